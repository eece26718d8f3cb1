use super::super::tests::Scene;
use super::*;
use crate::{
    Role,
    event::{Aside, Evidence},
    ids::{CaseId, ItemId},
    rows::RequestState,
    testkit::TODAY,
    time::days_after,
};

fn withdrawal(item: &ItemId, reason: &str) -> WithdrawItem {
    WithdrawItem {
        item: item.clone(),
        reason: reason.to_owned(),
    }
}

fn declaration(item: &ItemId, disclosure: Disclosure) -> DisclosureDeclared {
    let profession = "practice-nurse".to_owned();
    DisclosureDeclared {
        item: item.clone(),
        disclosure,
        profession,
        declared_on: TODAY,
    }
}

fn aside(texts: &[(&str, &str)]) -> Aside {
    texts
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// What a declaration says beside itself.
fn reasons() -> Aside {
    aside(&[
        ("professional", "Jo Lee"),
        ("reasons", "Likely serious harm."),
    ])
}

impl Scene {
    fn declare(&mut self, sub: &str, body: DisclosureDeclared, aside: Aside) -> DeclareDisclosure {
        let trust = self.trust.clone();
        DeclareDisclosure {
            declaration: self.kit.signed(&trust, sub, body, aside),
        }
    }

    /// A withheld item that completes the answer to a request.
    fn withheld(&mut self) -> (CaseId, ItemId) {
        let case = self.case();
        let request = self.request(&case, &["*"]);
        let letter = self.letter();
        let disclosure = Disclosure::Withheld;
        let item = self.pushed(Evidence {
            request: Some(request),
            completes: true,
            disclosure,
            ..letter
        });
        (case, item)
    }
}

#[test]
fn the_discloser_takes_an_item_back_for_a_known_reason() {
    let mut scene = Scene::new();
    let letter = scene.letter();
    let item = scene.pushed(letter);
    let (trust, dwp) = (scene.trust.clone(), scene.dwp.clone());
    let other = scene.kit.org(&[Role::Discloser]);
    for stranger in [&other, &dwp] {
        assert_eq!(
            scene.kit.refused(stranger, withdrawal(&item, "inaccurate")),
            Reason::NotFound
        );
    }
    let absent = ItemId::from_random(scene.kit.draw());
    assert_eq!(
        scene.kit.refused(&trust, withdrawal(&absent, "inaccurate")),
        Reason::NotFound
    );
    assert_eq!(
        scene
            .kit
            .refused(&trust, withdrawal(&item, "second thoughts")),
        Reason::InvalidField
    );
    // Consent is not needed to stop.
    scene.kit.pass_days(200);
    scene.kit.done(&trust, withdrawal(&item, "wrong_person"));
    assert_eq!(
        scene.kit.world.item(&item).expect("kept").state,
        ItemState::Withdrawn
    );
    let again = scene
        .kit
        .run(&trust, withdrawal(&item, "wrong_person"))
        .expect("so already");
    assert!(again.emitted.is_empty());
}

#[test]
fn what_was_superseded_is_not_there_to_take_back() {
    let mut scene = Scene::new();
    let old = scene.letter();
    let old = scene.pushed(old);
    let new = Evidence {
        supersedes: Some(old.clone()),
        ..scene.letter()
    };
    scene.pushed(new);
    let trust = scene.trust.clone();
    assert_eq!(
        scene.kit.refused(&trust, withdrawal(&old, "inaccurate")),
        Reason::ItemNotAvailable
    );
}

#[test]
fn a_withheld_item_declared_open_joins_the_claimants_chain() {
    let mut scene = Scene::new();
    let (case, item) = scene.withheld();
    let request = scene
        .kit
        .world
        .item(&item)
        .and_then(|row| row.request.clone())
        .expect("for a request");
    assert_eq!(
        scene
            .kit
            .world
            .request(&request)
            .expect("there")
            .claimant_state,
        RequestState::Open
    );
    let before = scene.kit.world.case(&case).expect("open").clone();
    let trust = scene.trust.clone();
    let command = scene.declare(&case.urn(), declaration(&item, Disclosure::Open), reasons());
    let outcome = scene
        .kit
        .run(&trust, command)
        .expect("the discloser's own item");
    let names: Vec<_> = outcome
        .emitted
        .iter()
        .map(|emitted| emitted.event.name())
        .collect();
    assert_eq!(names, ["disclosure-declared", "item-disclosed"]);
    let after = scene.kit.world.case(&case).expect("open");
    assert_eq!(after.chain.count, before.chain.count + 1);
    assert_eq!(after.official_chain.count, before.official_chain.count + 1);
    assert_eq!(
        scene
            .kit
            .world
            .request(&request)
            .expect("there")
            .claimant_state,
        RequestState::Answered
    );
}

#[test]
fn confirming_is_logged_and_withholding_what_was_open_is_not_possible() {
    let mut scene = Scene::new();
    let (case, hidden) = scene.withheld();
    let letter = scene.letter();
    let shown = scene.pushed(letter);
    let trust = scene.trust.clone();
    let confirmed = scene.declare(
        &case.urn(),
        declaration(&hidden, Disclosure::Withheld),
        reasons(),
    );
    assert_eq!(
        scene
            .kit
            .run(&trust, confirmed)
            .expect("confirmed")
            .emitted
            .len(),
        1
    );
    let sub = scene.grant.urn();
    let confirmed = scene.declare(&sub, declaration(&shown, Disclosure::Open), reasons());
    assert_eq!(
        scene
            .kit
            .run(&trust, confirmed)
            .expect("confirmed")
            .emitted
            .len(),
        1
    );
    let late = scene.declare(&sub, declaration(&shown, Disclosure::Withheld), reasons());
    assert_eq!(scene.kit.refused(&trust, late), Reason::DisclosureConflict);
    scene.kit.done(&trust, withdrawal(&shown, "inaccurate"));
    let gone = scene.declare(&sub, declaration(&shown, Disclosure::Open), reasons());
    assert_eq!(scene.kit.refused(&trust, gone), Reason::ItemNotAvailable);
}

#[test]
fn only_the_discloser_declares_in_a_statement_of_its_own() {
    let mut scene = Scene::new();
    let (case, item) = scene.withheld();
    let (trust, other) = (scene.trust.clone(), scene.kit.org(&[Role::Discloser]));
    let body = declaration(&item, Disclosure::Open);
    let theirs = scene.declare(&case.urn(), body.clone(), reasons());
    assert_eq!(
        scene.kit.refused(&other, theirs),
        Reason::StatementWrongIssuer
    );
    let declaration = scene.kit.signed(&other, &case.urn(), body, reasons());
    assert_eq!(
        scene.kit.refused(&other, DeclareDisclosure { declaration }),
        Reason::NotFound
    );
    let letter = scene.letter();
    let declaration = scene.push_by(&trust, letter).evidence;
    assert_eq!(
        scene.kit.refused(&trust, DeclareDisclosure { declaration }),
        Reason::StatementPayloadInvalid
    );
}

#[test]
fn a_declaration_is_about_its_item_dated_and_with_reasons() {
    let mut scene = Scene::new();
    let (case, item) = scene.withheld();
    let trust = scene.trust.clone();
    let body = declaration(&item, Disclosure::Withheld);
    let astray = scene.claimant.urn();
    let astray = scene.declare(&astray, body.clone(), reasons());
    assert_eq!(
        scene.kit.refused(&trust, astray),
        Reason::StatementWrongSubject
    );
    let vague = DisclosureDeclared {
        profession: "Dr".to_owned(),
        ..body.clone()
    };
    let ahead = DisclosureDeclared {
        declared_on: days_after(TODAY, 1),
        ..body.clone()
    };
    let nobody = aside(&[("reasons", "Likely serious harm.")]);
    let why = aside(&[("professional", "Jo Lee")]);
    for (body, aside) in [
        (vague, reasons()),
        (ahead, reasons()),
        (body.clone(), nobody),
        (body, why),
    ] {
        let command = scene.declare(&case.urn(), body, aside);
        assert_eq!(
            scene.kit.refused(&trust, command),
            Reason::StatementPayloadInvalid
        );
    }
}
