use super::super::bundle::scene::{Draft, Scene};
use super::official_uses_digest;
use crate::{
    Aside, Event, Reason, Role,
    command::{AskClarification, RecordDecision, StateAdjustment, WithdrawItem},
    event::{Disclosure, Use},
    ids::{AdjustmentId, BundleId, CaseId, ItemId, RequestId},
    rows::{Decision, ItemState},
};
use evidence_ledger::{ChainHead, Salt, sha256};

mod adverse;

fn text(aside: &mut Aside, name: &str) {
    aside.insert(name.to_owned(), "words".to_owned());
}

fn stated(scene: &mut Scene) -> AdjustmentId {
    let id = AdjustmentId::from_random(scene.kit.draw());
    let state = StateAdjustment {
        id: id.clone(),
        claimant: scene.claimant.clone(),
        text: "Please ring, do not write".to_owned(),
        representation: None,
    };
    scene.kit.done(&scene.portal, state);
    id
}

/// A draft on a case with one open item pulled.
fn one_item() -> (Scene, ItemId, Draft) {
    let mut scene = Scene::new();
    let item = scene.push(None, Disclosure::Open);
    let bundle = scene.pull();
    let draft = scene.draft(&bundle);
    (scene, item, draft)
}

#[test]
fn records_uses_of_open_and_withheld_items_apart() {
    let mut scene = Scene::new();
    let open = scene.push(None, Disclosure::Open);
    let withheld = scene.push(None, Disclosure::Withheld);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft
        .official
        .insert(format!("use/{withheld}"), "discounted".to_owned());
    draft.official.insert(
        format!("reason/{withheld}"),
        "Written before the accident".to_owned(),
    );
    let (id, salt, sent) = (
        draft.body.decision.clone(),
        draft.salt,
        draft.official.clone(),
    );
    let before = scene.case().clone();

    let outcome = scene.decide(draft);

    let [signed, official] = &outcome.emitted[..] else {
        panic!("two statements: {outcome:?}")
    };
    assert!(signed.signed.is_some() && official.signed.is_none());
    let Event::DecisionOfficial(body) = &official.event else {
        panic!("{official:?}")
    };
    assert_eq!(body.uses, [(withheld.clone(), Use::Discounted)].into());
    assert_eq!(
        body.official_uses,
        official_uses_digest(&Salt::from(salt), &sent)
    );
    assert!(
        official.aside.contains_key("salt"),
        "whoever opens it later can check the commitment"
    );
    let row: &Decision = scene.kit.world.decision(&id).expect("recorded");
    assert_eq!(row.uses, [(open.clone(), Use::ReliedOn)].into());
    assert_eq!(row.official_uses, body.uses);
    assert!(
        [&open, &withheld]
            .iter()
            .all(|id| scene.item(id).state == ItemState::Considered)
    );
    let after = scene.case();
    assert_eq!(after.chain.count, before.chain.count + 1);
    assert_eq!(after.official_chain.count, before.official_chain.count + 1);
}

#[test]
fn a_decision_with_nothing_withheld_looks_the_same_in_kind() {
    let (mut scene, _, draft) = one_item();
    let outcome = scene.decide(draft);
    let [_, official] = &outcome.emitted[..] else {
        panic!("two statements: {outcome:?}")
    };
    assert!(matches!(&official.event, Event::DecisionOfficial(body) if body.uses.is_empty()));
}

#[test]
fn is_refused_while_any_available_item_is_left_out_pulled_or_not() {
    let (mut scene, item, mut draft) = one_item();
    draft.body.uses.remove(&item);
    assert_eq!(scene.refused(draft), Reason::DecisionItemMissing);

    let bundle = scene.pull();
    let draft = scene.draft(&bundle);
    let late = scene.push(None, Disclosure::Open);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionItemMissing,
        "it came after the pull"
    );
    let mut draft = scene.draft(&bundle);
    draft.body.uses.insert(late, Use::Considered);
    scene.decide(draft);

    let mut scene = Scene::new();
    scene.push(None, Disclosure::Withheld);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft.official.clear();
    assert_eq!(scene.refused(draft), Reason::DecisionItemMissing);
}

#[test]
fn names_no_item_that_is_not_available_or_belongs_in_the_other_part() {
    let (mut scene, _, mut draft) = one_item();
    draft
        .body
        .uses
        .insert(ItemId::from_random([8; 16]), Use::Considered);
    assert_eq!(scene.refused(draft), Reason::DecisionItemUnknown);

    let mut scene = Scene::new();
    let withheld = scene.push(None, Disclosure::Withheld);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft.body.uses.insert(withheld, Use::Considered);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionItemUnknown,
        "the claimant would read of it"
    );

    let (mut scene, item, mut draft) = one_item();
    draft
        .official
        .insert(format!("use/{item}"), "considered".to_owned());
    assert_eq!(scene.refused(draft), Reason::DecisionItemUnknown);

    let (mut scene, item, draft) = one_item();
    let withdraw = WithdrawItem {
        item,
        reason: "wrong_person".to_owned(),
    };
    scene.kit.done(&scene.hospital, withdraw);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionItemUnknown,
        "it was taken back"
    );
}

#[test]
fn every_discounted_item_needs_a_reason() {
    let (mut scene, item, mut draft) = one_item();
    draft.body.uses.insert(item.clone(), Use::Discounted);
    draft
        .texts
        .insert(format!("reason/{item}"), "  ".to_owned());
    assert_eq!(scene.refused(draft), Reason::DecisionReasonMissing);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft.body.uses.insert(item.clone(), Use::Discounted);
    text(&mut draft.texts, &format!("reason/{item}"));
    scene.decide(draft);

    let mut scene = Scene::new();
    let withheld = scene.push(None, Disclosure::Withheld);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft
        .official
        .insert(format!("use/{withheld}"), "discounted".to_owned());
    assert_eq!(scene.refused(draft), Reason::DecisionReasonMissing);
}

#[test]
fn texts_without_a_place_are_refused() {
    let mut scene = Scene::new();
    let withheld = scene.push(None, Disclosure::Withheld);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    text(&mut draft.texts, &format!("reason/{withheld}"));
    assert_eq!(
        scene.refused(draft),
        Reason::InvalidField,
        "the claimant would read it"
    );
    for name in ["note", "salt", "use/", "reason/item"] {
        let mut draft = scene.draft(&bundle);
        text(&mut draft.official, name);
        assert_eq!(scene.refused(draft), Reason::InvalidField, "{name}");
    }
    let mut draft = scene.draft(&bundle);
    draft
        .official
        .insert(format!("use/{withheld}"), "ignored".to_owned());
    assert_eq!(scene.refused(draft), Reason::InvalidField);
}

#[test]
fn the_signed_digest_binds_the_official_part() {
    let (mut scene, _, draft) = one_item();
    let mut command = scene.sign(draft);
    command.official_salt = Salt::from([1; 32]);
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::AsideMismatch
    );
}

#[test]
fn names_the_newest_bundle_and_its_heads() {
    let (mut scene, _, draft) = one_item();
    let newer = scene.pull();
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionChainStale,
        "there is a newer bundle"
    );

    let mut draft = scene.draft(&newer);
    draft.body.chain = ChainHead {
        count: newer.chain.count + 1,
        ..newer.chain
    };
    assert_eq!(scene.refused(draft), Reason::DecisionChainStale);
    let mut draft = scene.draft(&newer);
    draft.body.official_head = sha256(b"another head");
    assert_eq!(scene.refused(draft), Reason::DecisionChainStale);
    let mut draft = scene.draft(&newer);
    draft.body.bundle = BundleId::from_random([7; 16]);
    assert_eq!(scene.refused(draft), Reason::DecisionChainStale);
    let mut draft = scene.draft(&newer);
    draft.body.purpose = "pip".to_owned();
    assert_eq!(scene.refused(draft), Reason::BundleMismatch);
}

#[test]
fn acknowledges_exactly_the_stated_adjustments() {
    let (mut scene, _, draft) = one_item();
    let adjustment = stated(&mut scene);
    assert_eq!(scene.refused(draft), Reason::DecisionAdjustmentMissing);
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft.body.adjustments = [adjustment.clone(), AdjustmentId::from_random([6; 16])].into();
    assert_eq!(scene.refused(draft), Reason::InvalidField);
    let mut draft = scene.draft(&bundle);
    draft.body.adjustments = [adjustment].into();
    scene.decide(draft);
}

#[test]
fn names_exactly_the_overdue_requests() {
    let mut scene = Scene::new();
    let request = scene.request();
    let bundle = scene.pull();
    let mut draft = scene.draft(&bundle);
    draft.body.overdue = [request.clone()].into();
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionOverdueMissing,
        "it is not overdue yet"
    );
    scene.kit.pass_days(29);
    let draft = scene.draft(&bundle);
    assert_eq!(scene.refused(draft), Reason::DecisionOverdueMissing);
    let mut draft = scene.draft(&bundle);
    draft.body.overdue = [request, RequestId::from_random([5; 16])].into();
    assert_eq!(scene.refused(draft), Reason::DecisionOverdueMissing);
}

#[test]
fn a_paused_request_is_not_overdue() {
    let mut scene = Scene::new();
    let request = scene.request();
    let ask = AskClarification {
        request,
        question: "Which year?".to_owned(),
    };
    scene.kit.done(&scene.hospital, ask);
    scene.kit.pass_days(40);
    let bundle = scene.pull();
    let draft = scene.draft(&bundle);
    scene.decide(draft);
}

#[test]
fn a_withheld_answer_does_not_show_in_what_is_overdue() {
    let mut scene = Scene::new();
    let request = scene.request();
    scene.push(Some(&request), Disclosure::Withheld);
    scene.kit.pass_days(29);
    let bundle = scene.pull();
    let draft = scene.draft(&bundle);
    assert_eq!(
        scene.refused(draft),
        Reason::DecisionOverdueMissing,
        "the claimant sees it open and late"
    );
    let mut draft = scene.draft(&bundle);
    draft.body.overdue = [request].into();
    scene.decide(draft);
}

#[test]
fn a_case_may_be_decided_again_under_another_id_only() {
    let (mut scene, _, draft) = one_item();
    let id = draft.body.decision.clone();
    scene.decide(draft);
    let bundle = scene.pull();
    let mut again = scene.draft(&bundle);
    again.body.decision = id;
    assert_eq!(scene.refused(again), Reason::AlreadyExists);
    let again = scene.draft(&bundle);
    scene.decide(again);
}

#[test]
fn only_the_cases_recipient_decides_it() {
    let (mut scene, _, draft) = one_item();
    let other = scene.kit.org(&[Role::Recipient]);
    let body = draft.body.clone();
    let command = scene.sign(draft);
    assert_eq!(
        scene.kit.refused(&other, command),
        Reason::StatementWrongIssuer
    );

    let official_salt = Salt::from([2; 32]);
    let with = |scene: &mut Scene, caller: &crate::Caller, sub: &str, body| RecordDecision {
        decision: scene.kit.signed(caller, sub, body, Aside::new()),
        official: Aside::new(),
        official_salt,
    };
    let sub = scene.case.urn();
    let command = with(&mut scene, &other, &sub, body.clone());
    assert_eq!(scene.kit.refused(&other, command), Reason::NotFound);
    let mut absent = body.clone();
    absent.case = CaseId::from_random([4; 16]);
    let dwp = scene.dwp.clone();
    let command = with(&mut scene, &dwp, &absent.case.urn(), absent);
    assert_eq!(scene.kit.refused(&dwp, command), Reason::NotFound);
    let sub = scene.grant.urn();
    let command = with(&mut scene, &dwp, &sub, body);
    assert_eq!(
        scene.kit.refused(&dwp, command),
        Reason::StatementWrongSubject
    );
}

#[test]
fn another_statement_is_no_decision() {
    let (mut scene, _, draft) = one_item();
    let bundle = scene.bundle(&draft.body.bundle);
    let body = crate::event::BundleAcknowledged {
        bundle: bundle.id.clone(),
        pulled: bundle.pulled,
        official: bundle.official.expect("a pull has both statements"),
        received_on: scene.today(),
    };
    let sub = scene.case.urn();
    let decision = scene.kit.signed(&scene.dwp, &sub, body, Aside::new());
    let command = RecordDecision {
        decision,
        official: Aside::new(),
        official_salt: Salt::from([0; 32]),
    };
    assert_eq!(
        scene.kit.refused(&scene.dwp, command),
        Reason::StatementPayloadInvalid
    );
}

#[test]
fn the_official_digest_is_salted_and_never_absent() {
    let salt = Salt::from([3; 32]);
    let empty = official_uses_digest(&salt, &Aside::new());
    assert_eq!(empty, evidence_ledger::sha256_parts(&[&[3; 32], &[0xa0]]));
    assert_ne!(
        empty,
        official_uses_digest(&Salt::from([4; 32]), &Aside::new())
    );
}
