use evidence_domain::{
    event::{RequestDeclined, RequestOpened},
    ids::{ClaimantId, OrgId},
    rows::RequestState,
    time::Period,
};
use evidence_ledger::ChainHead;
use jiff::{Timestamp, civil::date};

use super::*;

fn moment(text: &str) -> Moment {
    Moment::from(text.parse::<Timestamp>().expect("valid"))
}

fn digest(byte: u8) -> Digest {
    Digest::try_from([byte; 32].as_slice()).expect("32 bytes")
}

fn texts_of(pairs: &[(&str, &str)]) -> Aside {
    pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
        .collect()
}

fn named(refusal: &Refusal) -> Vec<&str> {
    refusal.fields.iter().map(|v| v.field.as_str()).collect()
}

fn case_body() -> v1::OpenCaseRequest {
    v1::OpenCaseRequest {
        request_id: "key-1".into(),
        claimant_id: ClaimantId::from_random([1; 16]).to_string(),
        grant_id: GrantId::from_random([2; 16]).to_string(),
        assessment_type: "pip".into(),
        nation: "northern-ireland".into(),
        reference: "PIP/77".into(),
        mental_health: true,
    }
}

fn request_body() -> v1::OpenRequestRequest {
    v1::OpenRequestRequest {
        request_id: "key-2".into(),
        case_id: CaseId::from_random([3; 16]).to_string(),
        grant_id: GrantId::from_random([2; 16]).to_string(),
        discloser: OrgId::from_random([4; 16]).to_string(),
        kinds: vec!["care-plan".into(), "clinical-letter".into()],
        period: Some(v1::Period {
            from: "2025-01-01".into(),
            to: String::new(),
        }),
        question: "How far can she walk?".into(),
        assurance: "Consent seen by the case officer".into(),
        payer: "DWP".into(),
    }
}

#[test]
fn a_case_is_read_whole() {
    let id = CaseId::from_random([9; 16]);
    let body = case_body();
    let command = open_case(&body, id.clone(), digest(1), digest(2)).expect("valid");
    assert_eq!(command.id, id);
    assert_eq!(command.claimant.to_string(), body.claimant_id);
    assert_eq!(command.grant.to_string(), body.grant_id);
    assert_eq!(command.assessment_type, "pip");
    assert_eq!(command.nation, Nation::NorthernIreland);
    assert_eq!(command.reference, "PIP/77");
    assert!(command.mental_health);
    assert_eq!(
        (command.chain_seed, command.official_seed),
        (digest(1), digest(2))
    );
}

#[test]
fn every_bad_field_of_a_case_is_named() {
    let body = v1::OpenCaseRequest {
        nation: "wales".into(),
        assessment_type: "Personal Independence".into(),
        reference: "x".repeat(201),
        ..v1::OpenCaseRequest::default()
    };
    let id = CaseId::from_random([9; 16]);
    let refusal = open_case(&body, id, digest(1), digest(2)).expect_err("all are bad");
    assert_eq!(
        named(&refusal),
        [
            "claimant_id",
            "grant_id",
            "assessment_type",
            "nation",
            "reference"
        ]
    );
}

#[test]
fn a_request_is_read_whole() {
    let id = RequestId::from_random([8; 16]);
    let body = request_body();
    let command = open_request(&body, id.clone()).expect("valid");
    assert_eq!(command.id, id);
    assert_eq!(command.case.to_string(), body.case_id);
    assert_eq!(command.grant.to_string(), body.grant_id);
    assert_eq!(command.discloser.to_string(), body.discloser);
    assert_eq!(command.kinds.len(), 2);
    assert_eq!(
        command.period,
        Period {
            from: Some(date(2025, 1, 1)),
            to: None
        }
    );
    assert_eq!(command.question, "How far can she walk?");
    assert_eq!(command.assurance, "Consent seen by the case officer");
    assert_eq!(command.payer, "DWP");
}

#[test]
fn every_bad_field_of_a_request_is_named() {
    let body = v1::OpenRequestRequest {
        period: Some(v1::Period {
            from: "2025-02-01".into(),
            to: "2025-01-01".into(),
        }),
        question: "x".repeat(16 * 1024 + 1),
        ..v1::OpenRequestRequest::default()
    };
    let refusal = open_request(&body, RequestId::from_random([8; 16])).expect_err("all are bad");
    assert_eq!(
        named(&refusal),
        [
            "case_id",
            "grant_id",
            "discloser",
            "kinds",
            "period",
            "question",
            "assurance"
        ]
    );
}

#[test]
fn turns_need_the_request_and_their_words() {
    let id = RequestId::from_random([8; 16]).to_string();
    let ask = |id: &str, question: &str| {
        ask_clarification(&v1::AskClarificationRequest {
            request_id: "k".into(),
            evidence_request_id: id.into(),
            question: question.into(),
        })
    };
    assert_eq!(
        ask(&id, "Which year?").expect("valid").question,
        "Which year?"
    );
    let refusal = ask("request_1", " ").expect_err("both are bad");
    assert_eq!(named(&refusal), ["evidence_request_id", "question"]);

    let answer = v1::AnswerClarificationRequest {
        request_id: "k".into(),
        evidence_request_id: id.clone(),
        answer: String::new(),
    };
    assert_eq!(
        named(&answer_clarification(&answer).expect_err("empty")),
        ["answer"]
    );
    let decline = v1::DeclineRequestRequest {
        request_id: "k".into(),
        evidence_request_id: id.clone(),
        ..v1::DeclineRequestRequest::default()
    };
    assert_eq!(
        named(&decline_request(&decline).expect_err("no reason")),
        ["reason"]
    );
    let acknowledge = v1::AcknowledgeRequestRequest::default();
    assert_eq!(
        named(&acknowledge_request(&acknowledge).expect_err("no id")),
        ["evidence_request_id"]
    );
    let cancel = v1::CancelRequestRequest {
        request_id: "k".into(),
        evidence_request_id: id.clone(),
        note: String::new(),
    };
    assert_eq!(
        cancel_request(&cancel)
            .expect("a note is optional")
            .request
            .to_string(),
        id
    );
}

#[test]
fn a_case_is_shown_with_its_reference_and_both_chains() {
    let chain = |byte| ChainHead {
        count: 3,
        head: digest(byte),
    };
    let row = Case {
        id: CaseId::from_random([3; 16]),
        claimant: ClaimantId::from_random([1; 16]),
        grant: GrantId::from_random([2; 16]),
        recipient: OrgId::from_random([5; 16]),
        assessment_type: "wca".into(),
        nation: Nation::Scotland,
        mental_health: false,
        opened_at: moment("2026-11-02T09:00:00Z"),
        chain: chain(1),
        official_chain: chain(2),
        bundle: None,
        entry: 7,
    };
    let shown = case(&row, &texts_of(&[("reference", "UC/1")]));
    assert_eq!(shown.reference, "UC/1");
    assert_eq!(shown.nation, "scotland");
    assert_eq!(shown.subject, row.id.urn());
    assert_eq!(shown.chain.map(|chain| chain.head), Some(vec![1; 32]));
    assert_eq!(
        shown.official_chain.map(|chain| chain.head),
        Some(vec![2; 32])
    );
    assert_eq!(case(&row, &Aside::new()).reference, "");
}

fn request_row() -> Request {
    Request {
        id: RequestId::from_random([8; 16]),
        case: CaseId::from_random([3; 16]),
        claimant: ClaimantId::from_random([1; 16]),
        grant: GrantId::from_random([2; 16]),
        recipient: OrgId::from_random([5; 16]),
        discloser: OrgId::from_random([4; 16]),
        intermediaries: std::collections::BTreeSet::new(),
        kinds: ["care-plan".to_owned()].into(),
        period: Period::default(),
        state: RequestState::Paused,
        claimant_state: RequestState::Paused,
        opened_at: moment("2026-11-02T09:00:00Z"),
        due_on: date(2026, 11, 30),
        paused_on: Some(date(2026, 11, 5)),
        decline_reason: None,
        clarifications: vec![
            Clarification {
                asked_at: moment("2026-11-03T09:00:00Z"),
                asked: 11,
                answered_at: Some(moment("2026-11-04T09:00:00Z")),
                answered: Some(12),
            },
            Clarification {
                asked_at: moment("2026-11-05T09:00:00Z"),
                asked: 13,
                answered_at: None,
                answered: None,
            },
        ],
        entry: 10,
    }
}

#[test]
fn a_request_is_shown_with_its_texts_turn_and_lateness() {
    let mut row = request_row();
    assert_eq!(request_entries(&row).collect::<Vec<_>>(), [10, 11, 12, 13]);
    let asides = BTreeMap::from([
        (
            10,
            texts_of(&[
                ("question", "How far?"),
                ("assurance", "Seen"),
                ("payer", "DWP"),
            ]),
        ),
        (11, texts_of(&[("question", "Which year?")])),
        (12, texts_of(&[("answer", "This one")])),
        (13, texts_of(&[("question", "Which leg?")])),
    ]);
    let item = ItemId::from_random([6; 16]);
    let late = moment("2026-12-01T09:00:00Z");
    let shown = request(&row, &asides, std::slice::from_ref(&item), late);
    assert_eq!(
        (&*shown.question, &*shown.assurance, &*shown.payer),
        ("How far?", "Seen", "DWP")
    );
    assert_eq!(shown.due_on, "2026-11-30");
    assert_eq!(shown.turn, row.recipient.to_string());
    assert_eq!(shown.items, [item.to_string()]);
    assert_eq!(shown.subject, row.case.urn());
    assert!(!shown.overdue, "a paused request is not overdue");
    assert!(!shown.r#final);
    assert_eq!(shown.state(), v1::RequestState::Paused);
    let turns: Vec<(&str, &str, bool)> = shown
        .clarifications
        .iter()
        .map(|turn| (&*turn.question, &*turn.answer, turn.answered_at.is_some()))
        .collect();
    assert_eq!(
        turns,
        [("Which year?", "This one", true), ("Which leg?", "", false)]
    );

    row.state = RequestState::Acknowledged;
    let shown = request(&row, &BTreeMap::new(), &[], late);
    assert!(shown.overdue);
    assert_eq!(shown.turn, row.discloser.to_string());
    assert_eq!(shown.question, "", "an erased text is empty");

    row.state = RequestState::Declined;
    row.decline_reason = Some("no_record_held".into());
    let shown = request(&row, &asides, &[], late);
    assert!(shown.r#final && !shown.overdue && shown.turn.is_empty());
    assert_eq!(shown.decline_reason, "no_record_held");
}

#[test]
fn a_watched_event_names_what_it_is_about() {
    let row = request_row();
    let at = moment("2026-11-02T09:00:00Z");
    let opened = Event::from(RequestOpened {
        request: row.id.clone(),
        case: row.case.clone(),
        grant: row.grant.clone(),
        recipient: row.recipient.clone(),
        discloser: row.discloser.clone(),
        kinds: row.kinds.clone(),
        period: row.period,
        due_on: row.due_on,
    });
    let told = watch_event(&opened, &digest(4), at, Some(&row.case));
    assert_eq!(told.event, "request-opened");
    assert_eq!(told.case_id, row.case.to_string());
    assert_eq!(told.evidence_request_id, row.id.to_string());
    assert_eq!(told.grant_id, row.grant.to_string());
    assert_eq!(told.item_id, "");
    assert_eq!(told.entry, vec![4; 32]);
    assert_eq!(told.at, Some(timestamp(at)));

    let declined = Event::from(RequestDeclined {
        request: row.id.clone(),
        reason: "no_record_held".into(),
        by: row.discloser.clone(),
    });
    let told = watch_event(&declined, &digest(4), at, None);
    assert_eq!(
        (&*told.event, &*told.case_id, &*told.grant_id),
        ("request-declined", "", "")
    );
    assert_eq!(told.evidence_request_id, row.id.to_string());
}

#[test]
fn nations_read_back() {
    for value in [
        Nation::EnglandAndWales,
        Nation::Scotland,
        Nation::NorthernIreland,
    ] {
        assert_eq!(nation(nation_text(value)), Some(value));
    }
    assert_eq!(nation("gb"), None);
}
