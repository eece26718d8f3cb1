use evidence_domain::{
    Reason,
    ids::{AccessId, CaseId, RequestId},
    rows::RequestState,
    time::Period,
};

use super::*;
use crate::decision::tests::{item as held, row as decided, texts as aside};

fn viewer_of(claimant: &ClaimantId) -> v1::Viewer {
    v1::Viewer {
        claimant_id: claimant.to_string(),
        representation_id: String::new(),
    }
}

fn names() -> Names {
    let mut names = Names::default();
    names
        .0
        .insert(OrgId::from_random([4; 16]), "Anytown Hospital".to_owned());
    names
        .0
        .insert(OrgId::from_random([5; 16]), "The Department".to_owned());
    names
}

/// Asked of organisation 4 by 5, due on 1 March 2026, answered by a withheld item.
fn asked() -> Request {
    Request {
        id: RequestId::from_random([1; 16]),
        case: CaseId::from_random([6; 16]),
        claimant: ClaimantId::from_random([2; 16]),
        grant: GrantId::from_random([3; 16]),
        recipient: OrgId::from_random([5; 16]),
        discloser: OrgId::from_random([4; 16]),
        intermediaries: [].into(),
        kinds: ["*".to_owned()].into(),
        period: Period::default(),
        state: RequestState::Answered,
        claimant_state: RequestState::Acknowledged,
        opened_at: Moment::from_micros(0),
        due_on: jiff::civil::date(2026, 3, 1),
        paused_on: None,
        decline_reason: None,
        clarifications: Vec::new(),
        entry: 3,
    }
}

fn at(text: &str) -> Moment {
    text.parse::<jiff::Timestamp>().expect("a moment").into()
}

#[test]
fn a_request_shows_as_the_claimant_may_see_it() {
    let opened = aside(&[("question", "How far can they walk?"), ("payer", "nobody")]);
    let shown = request(asked(), &opened, &names(), at("2026-03-02T10:00:00Z"));
    assert_eq!(shown.state, v1::RequestState::Acknowledged as i32);
    assert!(!shown.r#final && shown.overdue);
    assert_eq!(shown.turn_name, "Anytown Hospital");
    assert_eq!(shown.asked_by_name, "The Department");
    assert_eq!(shown.question, "How far can they walk?");
    let early = request(asked(), &opened, &names(), at("2026-03-01T10:00:00Z"));
    assert!(!early.overdue);
    let answered = Request {
        claimant_state: RequestState::Answered,
        ..asked()
    };
    let shown = request(answered, &opened, &names(), at("2026-03-02T10:00:00Z"));
    assert!(shown.r#final && !shown.overdue && shown.turn_name.is_empty());
}

#[test]
fn an_item_says_who_it_is_from() {
    let opened = aside(&[("title", "Pain clinic review")]);
    let shown = item(&held(), &opened, &names(), None, Vec::new());
    assert_eq!(shown.from_name, "Anytown Hospital");
    assert_eq!(
        (shown.title.as_str(), shown.written_on.as_str()),
        ("Pain clinic review", "2026-03-03")
    );
    let own = Item {
        kind: OWN_WORDS.to_owned(),
        ..held()
    };
    assert_eq!(
        item(&own, &opened, &names(), None, Vec::new()).from_name,
        "The claimant"
    );
    let relayed = Item {
        intermediary: Some(OrgId::from_random([5; 16])),
        ..held()
    };
    assert_eq!(
        item(&relayed, &opened, &names(), None, Vec::new()).relayed_by_name,
        "The Department"
    );
}

#[test]
fn an_access_names_the_person_who_looked() {
    let row = Access {
        id: AccessId::from_random([1; 16]),
        claimant: ClaimantId::from_random([2; 16]),
        organisation: OrgId::from_random([5; 16]),
        representation: None,
        purpose: "wca".to_owned(),
        action: AccessAction::Pulled,
        items: [held().id].into(),
        at: Moment::from_micros(0),
        entry: 4,
        digest: sha256(b"access"),
    };
    let shown = access(&row, &aside(&[("actor", "A. Officer")]), &names(), "");
    assert_eq!(
        (
            shown.organisation_name.as_str(),
            shown.actor.as_str(),
            shown.action.as_str()
        ),
        ("The Department", "A. Officer", "pulled")
    );
    assert_eq!(
        access(&row, &Aside::new(), &names(), "Kim Ahmed").actor,
        "Kim Ahmed"
    );
}

#[test]
fn a_decision_shows_nothing_of_its_official_part() {
    let row = decided();
    let used = item_use(
        Use::ReliedOn,
        &held(),
        &aside(&[(&format!("reason/{}", held().id), "It is recent")]),
        &Aside::new(),
        &names(),
    );
    assert_eq!(used.reason, "It is recent");
    assert!(used.sentence.ends_with("Our reason: It is recent."));
    let shown = decision(&row, &names(), vec![used], None);
    assert_eq!(
        (shown.decided_by_name.as_str(), shown.uses.len()),
        ("The Department", 1)
    );
    let withheld = row.official_uses.keys().next().expect("there is one");
    assert!(!format!("{shown:?}").contains(withheld.as_str()));
}

#[test]
fn own_words_are_read_with_their_size_and_digest() {
    let claimant = ClaimantId::from_random([2; 16]);
    let body = v1::AddStatementRequest {
        viewer: Some(viewer_of(&claimant)),
        grant_id: GrantId::from_random([3; 16]).to_string(),
        title: "A bad day".to_owned(),
        text: "Ŵ".to_owned(),
        ..v1::AddStatementRequest::default()
    };
    let id = ItemId::from_random([1; 16]);
    let command = add_statement(&body, id.clone()).expect("well-formed");
    assert_eq!(
        (command.item, command.claimant, command.size),
        (id.clone(), claimant, 2)
    );
    assert_eq!(command.digest, sha256("Ŵ".as_bytes()));
    let long = v1::AddStatementRequest {
        text: "x".repeat(64 * 1024 + 1),
        title: String::new(),
        ..body
    };
    let refusal = add_statement(&long, id).expect_err("too long, and no title");
    let fields: Vec<_> = refusal.fields.iter().map(|v| v.field.as_str()).collect();
    assert_eq!(fields, ["title", "text"]);
}

#[test]
fn every_call_names_its_viewer() {
    let note = add_note(&v1::AddNoteRequest::default(), NoteId::from_random([1; 16]));
    let adjustment = v1::StateAdjustmentRequest::default();
    let adjustment = state_adjustment(&adjustment, AdjustmentId::from_random([1; 16]));
    let read = read_item(&v1::ReadItemRequest::default());
    let refusals = [
        note.expect_err("empty"),
        adjustment.expect_err("empty"),
        read.expect_err("empty"),
        viewer(None).expect_err("empty"),
    ];
    for refusal in refusals {
        assert_eq!(
            (refusal.reason, refusal.fields[0].field.as_str()),
            (Reason::InvalidField, "viewer")
        );
    }
    let wrong = v1::Viewer {
        claimant_id: "org_1".to_owned(),
        representation_id: "claimant_1".to_owned(),
    };
    assert!(viewer(Some(&wrong)).is_err());
}
