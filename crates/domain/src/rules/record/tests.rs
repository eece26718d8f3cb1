use super::super::bundle::scene::Scene;
use super::OWN_WORDS_LIMIT;
use crate::{
    Event, Reason,
    access::{Guarded, claimant_view, document_for_claimant},
    command::{
        AddNote, AddStatement, EndRepresentation, NameRepresentative, StateAdjustment, ViewItem,
        WithdrawGrant, WithdrawItem,
    },
    event::{Capture, Disclosure, RepresentationKind, Scope},
    ids::{AccessId, AdjustmentId, ClaimantId, GrantId, ItemId, NoteId, RepresentationId},
    rows::{Access, AccessAction, Adjustment, Note},
    time::days_after,
};
use evidence_ledger::sha256;

fn view(scene: &mut Scene, item: &ItemId) -> ViewItem {
    ViewItem {
        id: AccessId::from_random(scene.kit.draw()),
        claimant: scene.claimant.clone(),
        item: item.clone(),
        representation: None,
        purpose: "own-record".to_owned(),
    }
}

fn statement(scene: &mut Scene) -> AddStatement {
    AddStatement {
        item: ItemId::from_random(scene.kit.draw()),
        claimant: scene.claimant.clone(),
        grant: scene.grant.clone(),
        title: "A bad day".to_owned(),
        size: 11,
        digest: sha256(b"my own words"),
        representation: None,
    }
}

fn note(scene: &mut Scene, item: &ItemId) -> AddNote {
    AddNote {
        id: NoteId::from_random(scene.kit.draw()),
        claimant: scene.claimant.clone(),
        item: item.clone(),
        text: "This is not what I said".to_owned(),
        representation: None,
    }
}

fn adjustment(scene: &mut Scene) -> StateAdjustment {
    StateAdjustment {
        id: AdjustmentId::from_random(scene.kit.draw()),
        claimant: scene.claimant.clone(),
        text: "Large print".to_owned(),
        representation: None,
    }
}

fn named(scene: &mut Scene, scopes: &[Scope]) -> RepresentationId {
    let id = RepresentationId::from_random(scene.kit.draw());
    let name = NameRepresentative {
        id: id.clone(),
        claimant: scene.claimant.clone(),
        kind: RepresentationKind::Representative,
        name: "Kim Ahmed".to_owned(),
        scopes: scopes.iter().copied().collect(),
        expires_on: days_after(scene.today(), 30),
        capture: Capture::InWriting,
        witness: "Jo".to_owned(),
    };
    scene.kit.done(&scene.dwp, name);
    id
}

#[test]
fn a_view_is_logged_with_who_and_why() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let command = view(&mut scene, &item);
    let id = command.id.clone();
    scene.kit.done(&scene.portal, command);
    let access: &Access = scene.kit.world.get(id.as_str()).expect("logged");
    assert_eq!(
        (access.action, &access.organisation),
        (AccessAction::Viewed, &scene.portal.org)
    );
    assert_eq!(
        (access.items.len(), access.purpose.as_str()),
        (1, "own-record")
    );
}

#[test]
fn a_withheld_item_is_answered_as_one_that_is_not_there() {
    let mut scene = Scene::new();
    let withheld = scene.push(None, Disclosure::Withheld);
    let absent = ItemId::from_random([9; 16]);
    for item in [&withheld, &absent] {
        let command = view(&mut scene, item);
        assert_eq!(
            scene.kit.run(&scene.portal, command).expect_err("hidden"),
            crate::Refusal::not_found()
        );
        let command = note(&mut scene, item);
        assert_eq!(
            scene.kit.run(&scene.portal, command).expect_err("hidden"),
            crate::Refusal::not_found()
        );
    }
}

#[test]
fn another_claimants_item_grant_and_record_are_not_there() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let somebody = scene.kit.claimant(&scene.dwp);
    let command = ViewItem {
        claimant: somebody.clone(),
        ..view(&mut scene, &item)
    };
    assert_eq!(scene.kit.refused(&scene.portal, command), Reason::NotFound);
    let command = AddNote {
        claimant: somebody.clone(),
        ..note(&mut scene, &item)
    };
    assert_eq!(scene.kit.refused(&scene.portal, command), Reason::NotFound);
    let command = AddStatement {
        claimant: somebody,
        ..statement(&mut scene)
    };
    assert_eq!(scene.kit.refused(&scene.portal, command), Reason::NotFound);
    let command = StateAdjustment {
        claimant: ClaimantId::from_random([9; 16]),
        ..adjustment(&mut scene)
    };
    assert_eq!(scene.kit.refused(&scene.portal, command), Reason::NotFound);
}

#[test]
fn only_the_portal_acts_here() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    for caller in [scene.dwp.clone(), scene.hospital.clone()] {
        let command = view(&mut scene, &item);
        assert_eq!(scene.kit.refused(&caller, command), Reason::NotFound);
        let command = statement(&mut scene);
        assert_eq!(scene.kit.refused(&caller, command), Reason::NotFound);
        let command = note(&mut scene, &item);
        assert_eq!(scene.kit.refused(&caller, command), Reason::NotFound);
        let command = adjustment(&mut scene);
        assert_eq!(scene.kit.refused(&caller, command), Reason::NotFound);
    }
}

#[test]
fn what_was_taken_back_can_be_noted_on_but_not_read() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let withdraw = WithdrawItem {
        item: item.clone(),
        reason: "wrong_person".to_owned(),
    };
    scene.kit.done(&scene.hospital, withdraw);
    let command = view(&mut scene, &item);
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::ItemNotAvailable
    );
    let command = note(&mut scene, &item);
    scene.kit.done(&scene.portal, command);

    let claimant = scene.kit.world.claimant(&scene.claimant);
    let view = claimant_view(
        &scene.portal,
        claimant,
        None,
        None,
        Scope::ReadEvidence,
        scene.kit.now,
    );
    let view = view.expect("the portal acts for the claimant");
    let refused = document_for_claimant(&view, Guarded::new(scene.item(&item).clone()));
    assert_eq!(
        refused.expect_err("taken back").reason,
        Reason::ItemNotAvailable
    );
}

#[test]
fn own_words_are_evidence_like_any_other() {
    let mut scene = Scene::new();
    let command = statement(&mut scene);
    let item = command.item.clone();
    let outcome = scene
        .kit
        .run(&scene.portal, command.clone())
        .expect("own words");
    assert_eq!(
        outcome.emitted[0].aside.get("title").map(String::as_str),
        Some("A bad day")
    );
    let row = scene.item(&item);
    assert_eq!(
        (row.size, row.kind.as_str(), row.disclosure),
        (11, "own-words", Disclosure::Open)
    );
    assert!(scene.pull().items.contains_key(&item));
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::ItemIdTaken
    );
}

#[test]
fn own_words_have_a_size_and_a_live_grant() {
    let mut scene = Scene::new();
    let command = AddStatement {
        size: 0,
        ..statement(&mut scene)
    };
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::DocumentEmpty
    );
    let command = AddStatement {
        size: OWN_WORDS_LIMIT + 1,
        ..statement(&mut scene)
    };
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::DocumentTooLarge
    );
    let command = AddStatement {
        grant: GrantId::from_random([9; 16]),
        ..statement(&mut scene)
    };
    assert_eq!(scene.kit.refused(&scene.portal, command), Reason::NotFound);
    let withdraw = WithdrawGrant {
        grant: scene.grant.clone(),
        capture: Capture::InPortal,
        note: String::new(),
    };
    scene.kit.done(&scene.portal, withdraw);
    let command = statement(&mut scene);
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::GrantWithdrawn
    );
}

#[test]
fn notes_and_adjustments_are_kept_with_their_texts() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    scene.pull();
    let chain = scene.case().chain;
    let command = note(&mut scene, &item);
    let outcome = scene.kit.run(&scene.portal, command).expect("a note");
    assert!(outcome.emitted[0].aside.contains_key("text"));
    assert_eq!(
        scene.case().chain.count,
        chain.count + 1,
        "the note travels with the item"
    );
    let notes = scene.kit.world.all::<Note>();
    assert_eq!((notes.len(), &notes[0].item), (1, &item));

    let command = adjustment(&mut scene);
    let outcome = scene
        .kit
        .run(&scene.portal, command)
        .expect("an adjustment");
    assert!(matches!(
        outcome.emitted[0].event,
        Event::AdjustmentStated(_)
    ));
    assert_eq!(scene.kit.world.all::<Adjustment>().len(), 1);
}

#[test]
fn someone_named_does_only_what_the_claimant_allowed() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let scopes = [
        Scope::SeeProgress,
        Scope::ReadEvidence,
        Scope::GrantConsent,
        Scope::AddStatements,
    ];
    for scope in scopes {
        let representation = Some(named(&mut scene, &[scope]));
        let commands: [(crate::Command, Scope); 4] = [
            (
                ViewItem {
                    representation: representation.clone(),
                    ..view(&mut scene, &item)
                }
                .into(),
                Scope::ReadEvidence,
            ),
            (
                AddStatement {
                    representation: representation.clone(),
                    ..statement(&mut scene)
                }
                .into(),
                Scope::AddStatements,
            ),
            (
                AddNote {
                    representation: representation.clone(),
                    ..note(&mut scene, &item)
                }
                .into(),
                Scope::AddStatements,
            ),
            (
                StateAdjustment {
                    representation,
                    ..adjustment(&mut scene)
                }
                .into(),
                Scope::AddStatements,
            ),
        ];
        for (command, needed) in commands {
            let name = command.name();
            match scene.kit.run(&scene.portal, command) {
                Ok(_) => assert_eq!(scope, needed, "{name}"),
                Err(refusal) => {
                    assert_ne!(scope, needed, "{name}");
                    assert_eq!(refusal.reason, Reason::RepresentationOutOfScope, "{name}");
                }
            }
        }
    }
}

#[test]
fn someone_named_does_nothing_once_the_naming_has_ended() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let scopes = [Scope::ReadEvidence];
    let ended = named(&mut scene, &scopes);
    let command = EndRepresentation {
        representation: ended.clone(),
    };
    scene.kit.done(&scene.dwp, command);
    let command = ViewItem {
        representation: Some(ended),
        ..view(&mut scene, &item)
    };
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::RepresentationOutOfScope
    );
    let expired = named(&mut scene, &scopes);
    scene.kit.pass_days(31);
    let command = ViewItem {
        representation: Some(expired),
        ..view(&mut scene, &item)
    };
    assert_eq!(
        scene.kit.refused(&scene.portal, command),
        Reason::RepresentationOutOfScope
    );
}

#[test]
fn someone_named_by_another_claimant_is_nobody_here() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let somebody = scene.kit.claimant(&scene.dwp);
    let theirs = std::mem::replace(&mut scene.claimant, somebody);
    let representation = Some(named(&mut scene, &[Scope::ReadEvidence]));
    scene.claimant = theirs;
    let command = ViewItem {
        representation,
        ..view(&mut scene, &item)
    };
    assert_eq!(scene.kit.refused(&scene.portal, command), Reason::NotFound);
}
