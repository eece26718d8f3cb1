use super::scene::{Scene, entry_of};
use crate::{
    Caller, Event, Permit, Reason, Refusal, Role,
    access::document_in_bundle,
    command::{NarrowGrant, PullBundle, SetPolicy, WithdrawGrant, WithdrawItem},
    event::{BundleAcknowledged, Capture, Disclosure},
    ids::{BundleId, ItemId},
    rows::{Access, AccessAction, Bundle, Item, ItemState},
    rules::bundle::BUNDLE_ITEMS,
    testkit::Kit,
};

fn withdraw_grant(scene: &mut Scene) {
    let withdraw = WithdrawGrant {
        grant: scene.grant.clone(),
        capture: Capture::InPerson,
        note: String::new(),
    };
    scene.kit.done(&scene.dwp, withdraw);
}

fn acknowledged(bundle: &Bundle, kit: &Kit) -> BundleAcknowledged {
    BundleAcknowledged {
        bundle: bundle.id.clone(),
        pulled: bundle.pulled,
        official: bundle.official.expect("a pull has both statements"),
        received_on: kit.now.day(),
    }
}

#[test]
fn a_pull_takes_what_is_available_and_logs_it_before_any_byte() {
    let mut scene = Scene::new();
    let request = scene.request();
    let answer = scene.push(Some(&request), Disclosure::Open);
    let early = scene.push(None, Disclosure::Open);
    let own = scene.own_words();
    let withheld = scene.push(None, Disclosure::Withheld);

    let bundle = scene.pull();

    let all = [&answer, &early, &own, &withheld].map(|id| entry_of(scene.item(id)));
    assert_eq!(bundle.items, all.into());
    assert!(
        [&answer, &early, &own, &withheld]
            .iter()
            .all(|id| scene.item(id).state == ItemState::Delivered)
    );
    let accesses = scene.kit.world.all::<Access>();
    let [access] = accesses[..] else {
        panic!("one pull is one access: {accesses:?}")
    };
    assert_eq!(
        (access.action, &access.organisation),
        (AccessAction::Pulled, &scene.dwp.org)
    );
    assert_eq!(
        access.items,
        [answer, early, own].into(),
        "the claimant's log says nothing of what is withheld"
    );
}

#[test]
fn the_signed_heads_are_the_chains_before_the_pull_and_after_the_joins() {
    let mut scene = Scene::new();
    scene.push(None, Disclosure::Open);
    scene.push(None, Disclosure::Withheld);
    let join = scene.join_command();
    let joined = scene.kit.run(&scene.dwp, join).expect("the items join");
    assert_eq!(joined.emitted.len(), 2);
    let (chain, official) = (scene.case().chain, scene.case().official_chain);
    assert_eq!(
        (chain.count, official.count),
        (1, 1),
        "each item on its own chain"
    );

    let pull = scene.pull_command();
    let id = pull.id.clone();
    let outcome = scene.kit.run(&scene.dwp, pull).expect("a pull");

    let [first, second] = &outcome.emitted[..] else {
        panic!("two statements: {outcome:?}")
    };
    let (Event::BundlePulled(pulled), Event::BundleOfficial(kept)) = (&first.event, &second.event)
    else {
        panic!("a pull and its official part: {outcome:?}")
    };
    assert_eq!((pulled.chain, kept.official_chain), (chain, official));
    assert_eq!((pulled.items.len(), kept.items.len()), (1, 1));
    assert_eq!(
        first.aside.get("actor").map(String::as_str),
        Some("A. Officer")
    );
    let bundle = scene.bundle(&id);
    assert_eq!(
        (bundle.chain, bundle.official_chain),
        (chain, Some(official))
    );
    assert_eq!(
        scene.case().chain.count,
        2,
        "the pull itself is folded after"
    );
    assert_eq!(scene.case().bundle, Some(id));
}

#[test]
fn an_empty_pull_has_both_statements_too_and_joining_twice_does_nothing() {
    let mut scene = Scene::new();
    let bundle = scene.pull();
    assert!(bundle.items.is_empty());
    assert!(bundle.official.is_some());
    scene.push(None, Disclosure::Open);
    scene.pull();
    let join = scene.join_command();
    assert!(
        scene
            .kit
            .run(&scene.dwp, join)
            .expect("all is joined")
            .emitted
            .is_empty()
    );
}

#[test]
fn what_came_after_the_join_is_in_the_next_bundle() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let pull = scene.pull_command();
    let id = pull.id.clone();
    scene.kit.done(&scene.dwp, pull);
    assert!(scene.bundle(&id).items.is_empty());
    assert!(scene.pull().items.contains_key(&item));
}

#[test]
fn only_the_cases_recipient_may_pull_and_for_its_own_purpose() {
    let mut scene = Scene::new();
    let other = scene.kit.org(&[Role::Recipient]);
    let pull = scene.pull_command();
    let absent = PullBundle {
        case: crate::ids::CaseId::from_random([9; 16]),
        ..pull.clone()
    };
    let theirs = scene.kit.run(&other, pull.clone()).expect_err("not theirs");
    let nowhere = scene.kit.run(&scene.dwp, absent).expect_err("not there");
    assert_eq!(theirs, nowhere);
    assert_eq!(theirs, Refusal::not_found());
    let with = |purpose: &str| PullBundle {
        purpose: purpose.to_owned(),
        ..pull.clone()
    };
    assert_eq!(
        scene.kit.refused(&scene.dwp, with("fraud")),
        Reason::PurposeUnknown
    );
    assert_eq!(
        scene.kit.refused(&scene.dwp, with("pip")),
        Reason::GrantDoesNotCoverPurpose
    );
}

#[test]
fn a_purpose_taken_out_of_the_policy_cannot_be_pulled_for() {
    let mut scene = Scene::new();
    let document =
        "[[purposes]]\nid = \"pip\"\ntitle = \"PIP\"\nkinds = [\"*\"]\nlongest_days = 400\n";
    let set = SetPolicy {
        name: crate::policy::PURPOSES.to_owned(),
        document: document.to_owned(),
    };
    scene.kit.done(&scene.kit.operator(), set);
    let pull = scene.pull_command();
    assert_eq!(scene.kit.refused(&scene.dwp, pull), Reason::PurposeUnknown);
}

#[test]
fn withdrawal_and_expiry_stop_pulls_and_joins() {
    let mut scene = Scene::new();
    scene.push(None, Disclosure::Open);
    withdraw_grant(&mut scene);
    let (join, pull) = (scene.join_command(), scene.pull_command());
    assert_eq!(scene.kit.refused(&scene.dwp, join), Reason::GrantWithdrawn);
    assert_eq!(scene.kit.refused(&scene.dwp, pull), Reason::GrantWithdrawn);

    let mut scene = Scene::new();
    scene.kit.pass_days(91);
    let pull = scene.pull_command();
    assert_eq!(scene.kit.refused(&scene.dwp, pull), Reason::GrantExpired);
}

#[test]
fn another_live_grant_keeps_the_case_going_with_its_own_items_only() {
    let mut scene = Scene::new();
    let gone = scene.push(None, Disclosure::Open);
    let second = scene
        .kit
        .grant(&scene.claimant, &[&scene.hospital], &scene.dwp);
    let kept = scene.push_under(&second, None, Disclosure::Open);
    withdraw_grant(&mut scene);
    let bundle = scene.pull();
    assert!(bundle.items.contains_key(&kept) && !bundle.items.contains_key(&gone));
}

#[test]
fn nothing_reaches_another_recipient_or_another_claimants_case() {
    let mut scene = Scene::new();
    let other = scene.kit.org(&[Role::Recipient]);
    let for_other = scene.kit.grant(&scene.claimant, &[&scene.hospital], &other);
    scene.push_under(&for_other, None, Disclosure::Open);
    let somebody = scene.kit.claimant(&scene.dwp);
    let theirs = scene.kit.grant(&somebody, &[&scene.hospital], &scene.dwp);
    scene.push_under(&theirs, None, Disclosure::Open);
    assert!(scene.pull().items.is_empty());
}

#[test]
fn a_narrowed_grant_holds_back_what_it_no_longer_covers_but_never_own_words() {
    let mut scene = Scene::new();
    let letter = scene.push(None, Disclosure::Open);
    let own = scene.own_words();
    let gp = scene.kit.org(&[Role::Discloser]);
    let mut both = scene
        .kit
        .grant_command(&scene.claimant, &[&scene.hospital, &gp], &scene.dwp);
    both.kinds = ["clinical-letter".to_owned(), "care-plan".to_owned()].into();
    let wide = both.id.clone();
    scene.kit.done(&scene.dwp, both);
    let narrowed_away = scene.push_under(&wide, None, Disclosure::Open);
    let narrow = NarrowGrant {
        grant: wide,
        remove_disclosers: [scene.hospital.org.clone()].into(),
        remove_kinds: [].into(),
        remove_purposes: [].into(),
        period: None,
        expires_on: None,
    };
    scene.kit.done(&scene.dwp, narrow);
    let bundle = scene.pull();
    assert!(bundle.items.contains_key(&letter) && bundle.items.contains_key(&own));
    assert!(!bundle.items.contains_key(&narrowed_away));
}

#[test]
fn an_item_taken_back_is_not_in_the_next_bundle() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    assert!(scene.pull().items.contains_key(&item));
    let withdraw = WithdrawItem {
        item: item.clone(),
        reason: "sent_in_error".to_owned(),
    };
    scene.kit.done(&scene.hospital, withdraw);
    assert!(!scene.pull().items.contains_key(&item));
}

fn permit(
    scene: &Scene,
    caller: &Caller,
    bundle: &BundleId,
    item: &ItemId,
) -> Result<Permit, Refusal> {
    document_in_bundle(&scene.kit.world, caller, bundle, item, scene.kit.now)
}

#[test]
fn a_document_of_a_bundle_is_its_recipients_while_the_consent_lives() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let bundle = scene.pull();
    let granted = permit(&scene, &scene.dwp, &bundle.id, &item).expect("a live consent");
    assert_eq!((granted.item(), granted.size()), (&item, 10));

    let other = scene.kit.org(&[Role::Recipient]);
    let later = scene.push(None, Disclosure::Open);
    let reason = |result: Result<Permit, Refusal>| result.expect_err("no permit").reason;
    assert_eq!(
        reason(permit(&scene, &other, &bundle.id, &item)),
        Reason::NotFound
    );
    assert_eq!(
        reason(permit(&scene, &scene.dwp, &bundle.id, &later)),
        Reason::NotFound
    );
    let withdraw = WithdrawItem {
        item: item.clone(),
        reason: "wrong_person".to_owned(),
    };
    scene.kit.done(&scene.hospital, withdraw);
    assert_eq!(
        reason(permit(&scene, &scene.dwp, &bundle.id, &item)),
        Reason::ItemNotAvailable
    );
    withdraw_grant(&mut scene);
    assert_eq!(
        reason(permit(&scene, &scene.dwp, &bundle.id, &item)),
        Reason::GrantWithdrawn
    );
}

#[test]
fn the_recipient_signs_for_exactly_this_bundle_once() {
    let mut scene = Scene::new();
    scene.push(None, Disclosure::Open);
    let bundle = scene.pull();
    let body = acknowledged(&bundle, &scene.kit);
    let sub = scene.case.urn();

    let wrong = BundleAcknowledged {
        pulled: body.official,
        ..body.clone()
    };
    let command = scene.acknowledgement(&sub, wrong);
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::BundleMismatch
    );
    let wrong = BundleAcknowledged {
        official: body.pulled,
        ..body.clone()
    };
    let command = scene.acknowledgement(&sub, wrong);
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::BundleMismatch
    );
    let early = BundleAcknowledged {
        received_on: body.received_on.yesterday().expect("a day"),
        ..body.clone()
    };
    let command = scene.acknowledgement(&sub, early);
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::StatementTimeInvalid
    );
    let late = BundleAcknowledged {
        received_on: body.received_on.tomorrow().expect("a day"),
        ..body.clone()
    };
    let command = scene.acknowledgement(&sub, late);
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::StatementTimeInvalid
    );
    let elsewhere = scene.grant.urn();
    let command = scene.acknowledgement(&elsewhere, body.clone());
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::StatementWrongSubject
    );
    let none = BundleAcknowledged {
        bundle: BundleId::from_random([7; 16]),
        ..body.clone()
    };
    let command = scene.acknowledgement(&sub, none);
    assert_eq!(scene.kit.refused(&scene.dwp, command), Reason::NotFound);

    let chain = scene.case().chain;
    let command = scene.acknowledgement(&sub, body.clone());
    scene.kit.done(&scene.dwp, command);
    assert!(scene.bundle(&bundle.id).acknowledged_at.is_some());
    assert_eq!(scene.case().chain.count, chain.count + 1);
    let again = scene.acknowledgement(&sub, body);
    assert_eq!(scene.kit.refused(&scene.dwp, again), Reason::AlreadyExists);
}

#[test]
fn nobody_else_signs_for_it() {
    let mut scene = Scene::new();
    let bundle = scene.pull();
    let other = scene.kit.org(&[Role::Recipient]);
    let body = acknowledged(&bundle, &scene.kit);
    let command = scene.acknowledgement(&scene.case.urn(), body.clone());
    assert_eq!(
        scene.kit.refused(&other, command),
        Reason::StatementWrongIssuer
    );
    let signed = scene
        .kit
        .signed(&other, &scene.case.urn(), body, crate::Aside::new());
    let command = crate::command::AcknowledgeBundle {
        acknowledgement: signed,
    };
    assert_eq!(scene.kit.refused(&other, command), Reason::NotFound);
    let draft = scene.draft(&bundle);
    let decision = scene.sign(draft).decision;
    let command = crate::command::AcknowledgeBundle {
        acknowledgement: decision,
    };
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::StatementPayloadInvalid
    );
}

#[test]
fn more_items_than_a_bundle_holds_are_refused_by_name() {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    scene.pull();
    let held = scene.item(&item).clone();
    for _ in 0..BUNDLE_ITEMS {
        let id = ItemId::from_random(scene.kit.draw());
        scene.kit.world.insert(Item { id, ..held.clone() });
    }
    let command = scene.pull_command();
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::BundleTooLarge
    );
}
