use std::collections::BTreeMap;

use evidence_domain::{
    Moment, Reason,
    event::Disclosure,
    ids::{BundleId, CaseId, ClaimantId, DecisionId, GrantId, OrgId},
    rows::ItemState,
    time::Period,
};
use evidence_ledger::{ChainHead, sha256};

use super::*;

/// An item for the tests of this crate.
pub(crate) fn item() -> Item {
    Item {
        id: ItemId::from_random([1; 16]),
        claimant: ClaimantId::from_random([2; 16]),
        grant: GrantId::from_random([3; 16]),
        request: None,
        discloser: OrgId::from_random([4; 16]),
        intermediary: None,
        recipient: OrgId::from_random([5; 16]),
        kind: "clinical-letter".to_owned(),
        media_type: "application/pdf".to_owned(),
        size: 10,
        digest: sha256(b"document"),
        period: Period::default(),
        written_on: jiff::civil::date(2026, 3, 3),
        profession: "consultant".to_owned(),
        certified_copy: None,
        disclosure: Disclosure::Open,
        state: ItemState::Considered,
        received_at: Moment::from_micros(0),
        supersedes: None,
        superseded_by: None,
        cases: [CaseId::from_random([6; 16])].into(),
        evidence: sha256(b"statement"),
        relay: None,
        entry: 7,
    }
}

pub(crate) fn texts(pairs: &[(&str, &str)]) -> Aside {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

/// A decision that relied on one open item and discounted a withheld one.
pub(crate) fn row() -> Decision {
    let chain = ChainHead::seed(sha256(b"chain"));
    Decision {
        id: DecisionId::from_random([7; 16]),
        case: CaseId::from_random([6; 16]),
        claimant: ClaimantId::from_random([2; 16]),
        recipient: OrgId::from_random([5; 16]),
        bundle: BundleId::from_random([8; 16]),
        outcome: DecisionOutcome::PartlyFavourable,
        for_lack_of_evidence: false,
        uses: [(item().id, Use::ReliedOn)].into(),
        official_uses: [(ItemId::from_random([9; 16]), Use::Discounted)].into(),
        adjustments: [].into(),
        overdue: [].into(),
        chain,
        official_head: sha256(b"official"),
        official_digest: sha256(b"uses"),
        recorded_at: Moment::from_micros(0),
        digest: sha256(b"decision"),
        entry: 9,
        official_entry: Some(10),
    }
}

#[test]
fn each_use_reads_as_a_sentence_to_the_claimant() {
    let opened = texts(&[("title", "Pain clinic review"), ("author", "Dr Jane Ward")]);
    let said = |how, reason| sentence(how, &item(), &opened, "Anytown Hospital", reason);
    let what = "“Pain clinic review”, written by Dr Jane Ward (Anytown Hospital) on 3 March 2026";
    assert_eq!(said(Use::ReliedOn, ""), format!("We relied on {what}."));
    assert_eq!(said(Use::Considered, " "), format!("We considered {what}."));
    assert_eq!(
        said(Use::GivenLittleWeight, "It is about 2019"),
        format!("We gave little weight to {what}. Our reason: It is about 2019.")
    );
    assert_eq!(
        said(Use::Discounted, "It is about somebody else! "),
        format!("We did not use {what}. Our reason: It is about somebody else!")
    );
}

#[test]
fn an_item_without_texts_is_named_by_kind_and_date() {
    let said = sentence(
        Use::Considered,
        &item(),
        &Aside::new(),
        "Anytown Hospital",
        "",
    );
    assert_eq!(
        said,
        "We considered the clinical letter, written by Anytown Hospital on 3 March 2026."
    );
}

#[test]
fn own_words_are_what_you_told_us() {
    let own = Item {
        kind: OWN_WORDS.to_owned(),
        ..item()
    };
    let opened = texts(&[("title", "A bad day")]);
    assert_eq!(
        sentence(Use::ReliedOn, &own, &opened, "Portal", ""),
        "We relied on what you told us on 3 March 2026, “A bad day”."
    );
    assert_eq!(
        sentence(Use::ReliedOn, &own, &Aside::new(), "Portal", ""),
        "We relied on what you told us on 3 March 2026."
    );
}

#[test]
fn the_recipient_sees_both_parts_and_which_is_withheld() {
    let row = row();
    let withheld = ItemId::from_random([9; 16]);
    let official = texts(&[
        (&format!("reason/{withheld}"), "Not about this"),
        ("salt", "00"),
    ]);
    let shown = decision(&row, None, &Aside::new(), &official);
    let uses: BTreeMap<_, _> = shown
        .uses
        .iter()
        .map(|each| (each.item_id.as_str(), (each.withheld, each.reason.as_str())))
        .collect();
    let open = item().id;
    assert_eq!(
        uses,
        [
            (open.as_str(), (false, "")),
            (withheld.as_str(), (true, "Not about this"))
        ]
        .into()
    );
    assert_eq!(shown.outcome, "partly-favourable");
}

#[test]
fn a_record_needs_its_salt_and_a_statement() {
    let refusal = record(&v1::RecordDecisionRequest::default()).expect_err("no salt");
    assert_eq!(refusal.fields[0].field, "official_salt");
    let salted = v1::RecordDecisionRequest {
        official_salt: vec![1; 32],
        ..v1::RecordDecisionRequest::default()
    };
    assert_eq!(
        record(&salted).expect_err("no statement").fields[0].field,
        "decision"
    );
    let junk = v1::RecordDecisionRequest {
        decision: Some(v1::SignedStatement::default()),
        ..salted
    };
    assert_eq!(
        record(&junk).expect_err("no CBOR").reason,
        Reason::StatementMalformed
    );
}
