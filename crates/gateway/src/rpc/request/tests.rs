use std::time::Duration;

use evidence_domain::Role;
use evidence_wire::v1::{
    RequestState as State, WatchEvent, consent_service_server::ConsentService as _,
};
use futures::StreamExt as _;
use tonic::Code;

use super::*;
use crate::rpc::{
    consent::Consent,
    fixture::{Fixture, call, reason},
};

struct Scene {
    fixture: Fixture,
    service: Requests,
    consent: Consent,
    hospital: Caller,
    dwp: Caller,
    stranger: Caller,
    claimant: String,
    grant: String,
}

impl Scene {
    async fn new() -> Self {
        let fixture = Fixture::start().await;
        let app = || fixture.app.clone();
        let hospital = fixture.organisation(&[Role::Discloser]).await;
        let dwp = fixture.organisation(&[Role::Recipient]).await;
        let stranger = fixture
            .organisation(&[Role::Recipient, Role::Discloser])
            .await;
        let consent = Consent { app: app() };
        let body = v1::RegisterClaimantRequest {
            request_id: "claimant".into(),
            name: "Sam Ahmed".into(),
            date_of_birth: "1980-01-02".into(),
            nhs_number: "9434765919".into(),
            national_insurance_number: String::new(),
        };
        let claimant = consent.register_claimant(call(&dwp, body)).await;
        let claimant = claimant.expect("is new").into_inner().claimant_id;
        let body = v1::CreateGrantRequest {
            request_id: "grant".into(),
            claimant_id: claimant.clone(),
            disclosers: vec![hospital.org.to_string()],
            kinds: vec!["*".into()],
            recipient: dwp.org.to_string(),
            purposes: vec!["wca".into()],
            expires_on: "2027-01-31".into(),
            capture: v1::Capture::InWriting.into(),
            witness: "Jo at the front desk".into(),
            lawful_basis: "uk-gdpr-6-1-e".into(),
            ..v1::CreateGrantRequest::default()
        };
        let grant = consent.create_grant(call(&dwp, body)).await;
        let grant = grant.expect("within the caps").into_inner().grant;
        Self {
            service: Requests { app: app() },
            consent,
            grant: grant.expect("is shown").grant_id,
            fixture,
            hospital,
            dwp,
            stranger,
            claimant,
        }
    }

    async fn withdraw(&self) {
        let body = v1::WithdrawGrantRequest {
            request_id: "withdraw".into(),
            grant_id: self.grant.clone(),
            capture: v1::Capture::ByPhone.into(),
            note: String::new(),
        };
        let withdrawn = self.consent.withdraw_grant(call(&self.dwp, body)).await;
        withdrawn.expect("is live");
    }

    fn case_body(&self) -> v1::OpenCaseRequest {
        v1::OpenCaseRequest {
            request_id: "open-case".into(),
            claimant_id: self.claimant.clone(),
            grant_id: self.grant.clone(),
            assessment_type: "wca".into(),
            nation: "england-and-wales".into(),
            reference: "UC/55".into(),
            mental_health: false,
        }
    }

    async fn case(&self) -> v1::Case {
        let opened = self
            .service
            .open_case(call(&self.dwp, self.case_body()))
            .await;
        opened
            .expect("covered")
            .into_inner()
            .case
            .expect("is shown")
    }

    fn request_body(&self, case: &v1::Case, key: &str) -> v1::OpenRequestRequest {
        v1::OpenRequestRequest {
            request_id: key.into(),
            case_id: case.case_id.clone(),
            grant_id: self.grant.clone(),
            discloser: self.hospital.org.to_string(),
            kinds: vec!["care-plan".into()],
            period: None,
            question: "How far can they walk?".into(),
            assurance: "Consent seen on paper.".into(),
            payer: "DWP".into(),
        }
    }

    async fn request(&self, case: &v1::Case, key: &str) -> v1::EvidenceRequest {
        let body = self.request_body(case, key);
        let opened = self.service.open_request(call(&self.dwp, body)).await;
        let opened = opened.expect("covered").into_inner();
        opened.request.expect("is shown")
    }

    fn named(id: &str) -> v1::GetRequestRequest {
        v1::GetRequestRequest {
            evidence_request_id: id.into(),
        }
    }

    fn acknowledge(id: &str, key: &str) -> v1::AcknowledgeRequestRequest {
        v1::AcknowledgeRequestRequest {
            request_id: key.into(),
            evidence_request_id: id.into(),
        }
    }

    async fn watch(&self, caller: &Caller, token: &str) -> Result<watch::Events, Status> {
        let body = v1::WatchRequest {
            resume_token: token.into(),
        };
        let started = self.service.watch(call(caller, body)).await;
        started.map(Response::into_inner)
    }
}

/// The next event, which must come soon.
async fn next(events: &mut watch::Events) -> Result<WatchEvent, Status> {
    let next = tokio::time::timeout(Duration::from_secs(20), events.next()).await;
    next.expect("an event in time")
        .expect("the stream stays open")
}

async fn take(events: &mut watch::Events, names: &[&str]) -> Vec<WatchEvent> {
    let mut taken = Vec::new();
    for name in names {
        let event = next(events).await.expect("an event");
        assert_eq!(event.event, *name);
        taken.push(event);
    }
    taken
}

/// Passes over what is told before the first event of this name.
async fn until(events: &mut watch::Events, name: &str) -> WatchEvent {
    loop {
        let event = next(events).await.expect("an event");
        if event.event == name {
            return event;
        }
    }
}

#[tokio::test]
async fn a_case_is_opened_once_and_seen_by_its_recipient_only() {
    let scene = Scene::new().await;
    let open = || scene.service.open_case(call(&scene.dwp, scene.case_body()));
    let first = open().await.expect("covered").into_inner();
    let receipt = first.receipt.expect("a receipt");
    assert!(!receipt.replay && !receipt.receipt.is_empty());
    let case = first.case.expect("is shown");
    assert_eq!(case.reference, "UC/55");
    assert_eq!(case.recipient, scene.dwp.org.to_string());

    // The same key and body: the same case, the same receipt.
    let again = open().await.expect("a replay").into_inner();
    assert_eq!(
        again.case.map(|case| case.case_id),
        Some(case.case_id.clone())
    );
    let replayed = again.receipt.expect("the receipt");
    assert!(replayed.replay);
    assert_eq!(
        (replayed.entry, replayed.receipt),
        (receipt.entry, receipt.receipt)
    );
    let mut other = scene.case_body();
    other.nation = "scotland".into();
    let status = scene.service.open_case(call(&scene.dwp, other)).await;
    assert_eq!(reason(status), "idempotency_key_reused");

    let get = |caller| {
        let case_id = case.case_id.clone();
        scene
            .service
            .get_case(call(caller, v1::GetCaseRequest { case_id }))
    };
    assert_eq!(get(&scene.dwp).await.expect("its own").into_inner(), case);
    for caller in [&scene.stranger, &scene.hospital] {
        let status = get(caller).await.expect_err("not theirs");
        assert_eq!(
            (status.code(), reason(Err::<(), _>(status))),
            (Code::NotFound, "not_found".into())
        );
    }
    let list = |caller, claimant_id: String| {
        let body = v1::ListCasesRequest {
            claimant_id,
            ..v1::ListCasesRequest::default()
        };
        scene.service.list_cases(call(caller, body))
    };
    for claimant in [String::new(), scene.claimant.clone()] {
        let listed = list(&scene.dwp, claimant.clone())
            .await
            .expect("a list")
            .into_inner();
        assert_eq!(listed.cases, std::slice::from_ref(&case));
        let listed = list(&scene.stranger, claimant)
            .await
            .expect("a list")
            .into_inner();
        assert!(listed.cases.is_empty());
    }
}

#[tokio::test]
async fn turns_pass_between_the_parties_and_their_words_are_kept() {
    let scene = Scene::new().await;
    let case = scene.case().await;
    let request = scene.request(&case, "open").await;
    assert_eq!(request.question, "How far can they walk?");
    assert_eq!(request.assurance, "Consent seen on paper.");
    assert_eq!(request.due_on, "2026-11-30");
    assert_eq!(request.turn, scene.hospital.org.to_string());
    let id = request.request_id;

    let ask = v1::AskClarificationRequest {
        request_id: "ask".into(),
        evidence_request_id: id.clone(),
        question: "Which leg?".into(),
    };
    let asked = scene
        .service
        .ask_clarification(call(&scene.hospital, ask))
        .await;
    let asked = asked
        .expect("its turn")
        .into_inner()
        .request
        .expect("is shown");
    assert_eq!(asked.state(), State::Paused);
    assert_eq!(asked.turn, scene.dwp.org.to_string());

    let answer = v1::AnswerClarificationRequest {
        request_id: "answer".into(),
        evidence_request_id: id.clone(),
        answer: "The left.".into(),
    };
    let answered = scene
        .service
        .answer_clarification(call(&scene.dwp, answer))
        .await;
    let answered = answered
        .expect("its turn")
        .into_inner()
        .request
        .expect("is shown");
    assert_eq!(answered.state(), State::Acknowledged);
    let words = &answered.clarifications[0];
    assert_eq!(
        (&*words.question, &*words.answer),
        ("Which leg?", "The left.")
    );
}

#[tokio::test]
async fn what_is_so_already_has_no_receipt_and_what_is_final_stays() {
    let scene = Scene::new().await;
    let case = scene.case().await;
    let id = scene.request(&case, "open").await.request_id;
    let acknowledge = async |key: &str| {
        let body = Scene::acknowledge(&id, key);
        let done = scene
            .service
            .acknowledge_request(call(&scene.hospital, body))
            .await;
        done.expect("its turn").into_inner().receipt
    };
    assert!(acknowledge("once").await.is_some());
    assert_eq!(acknowledge("twice").await, None);

    let decline = v1::DeclineRequestRequest {
        request_id: "decline".into(),
        evidence_request_id: id.clone(),
        reason: "no_record_held".into(),
        note: "Searched twice.".into(),
    };
    let declined = scene
        .service
        .decline_request(call(&scene.hospital, decline))
        .await;
    let declined = declined
        .expect("its turn")
        .into_inner()
        .request
        .expect("is shown");
    assert!(declined.r#final && declined.turn.is_empty());

    let cancel = v1::CancelRequestRequest {
        request_id: "cancel".into(),
        evidence_request_id: id.clone(),
        note: String::new(),
    };
    let status = scene.service.cancel_request(call(&scene.dwp, cancel)).await;
    assert_eq!(reason(status), "request_not_open");
}

#[tokio::test]
async fn requests_are_listed_for_their_parties_by_case_state_and_page() {
    let scene = Scene::new().await;
    let case = scene.case().await;
    let first = scene.request(&case, "one").await.request_id;
    let second = scene.request(&case, "two").await.request_id;
    let third = scene.request(&case, "three").await.request_id;
    let body = Scene::acknowledge(&second, "acknowledge");
    let acknowledged = scene
        .service
        .acknowledge_request(call(&scene.hospital, body))
        .await;
    assert!(
        acknowledged
            .expect("is open")
            .into_inner()
            .receipt
            .is_some()
    );

    let list = async |caller: &Caller, body: v1::ListRequestsRequest| {
        let listed = scene.service.list_requests(call(caller, body)).await;
        let listed = listed.expect("a list").into_inner();
        let ids: Vec<String> = listed
            .requests
            .into_iter()
            .map(|row| row.request_id)
            .collect();
        (ids, listed.next_page_token)
    };
    let all = vec![first.clone(), second.clone(), third.clone()];
    let by_case = v1::ListRequestsRequest {
        case_id: case.case_id.clone(),
        ..v1::ListRequestsRequest::default()
    };
    for caller in [&scene.dwp, &scene.hospital] {
        assert_eq!(
            list(caller, v1::ListRequestsRequest::default()).await.0,
            all
        );
        assert_eq!(list(caller, by_case.clone()).await.0, all);
    }
    assert!(list(&scene.stranger, by_case).await.0.is_empty());

    let mut paged = v1::ListRequestsRequest {
        page_size: 2,
        ..v1::ListRequestsRequest::default()
    };
    let (ids, token) = list(&scene.dwp, paged.clone()).await;
    assert_eq!(ids, all[..2]);
    paged.page_token = token;
    assert_eq!(
        list(&scene.dwp, paged).await,
        (vec![third.clone()], String::new())
    );

    let mut open = v1::ListRequestsRequest::default();
    open.set_state(State::Open);
    assert_eq!(list(&scene.dwp, open).await.0, [first.clone(), third]);
}

#[tokio::test]
async fn a_request_is_got_by_its_parties_and_bad_filters_are_named() {
    let scene = Scene::new().await;
    let case = scene.case().await;
    let first = scene.request(&case, "one").await.request_id;
    let wrong = v1::ListRequestsRequest {
        case_id: "case_1".into(),
        state: 99,
        ..v1::ListRequestsRequest::default()
    };
    let status = scene.service.list_requests(call(&scene.dwp, wrong)).await;
    assert_eq!(reason(status), "invalid_field");

    let status = scene
        .service
        .get_request(call(&scene.stranger, Scene::named(&first)))
        .await;
    assert_eq!(status.expect_err("not theirs").code(), Code::NotFound);
    let got = scene
        .service
        .get_request(call(&scene.hospital, Scene::named(&first)))
        .await;
    assert_eq!(got.expect("its own").into_inner().request_id, first);
}

#[tokio::test]
async fn a_watch_tells_the_past_then_what_comes_and_resumes_without_a_gap() {
    let scene = Scene::new().await;
    let case = scene.case().await;
    let mut events = scene.watch(&scene.hospital, "").await.expect("starts");
    let granted = until(&mut events, "grant-created").await;
    assert_eq!(granted.grant_id, scene.grant);

    // What happens while it waits wakes it.
    let waiting = tokio::spawn(async move {
        let told = take(&mut events, &["request-opened"]).await;
        (events, told)
    });
    let request = scene.request(&case, "one").await;
    let (mut events, told) = waiting.await.expect("no panic");
    assert_eq!(told[0].case_id, case.case_id);
    assert_eq!(told[0].evidence_request_id, request.request_id);
    assert_eq!(told[0].grant_id, scene.grant);
    let token = told[0].resume_token.clone();

    let second = scene.request(&case, "two").await;
    scene.withdraw().await;
    let told = take(&mut events, &["request-opened", "grant-withdrawn"]).await;
    drop(events);

    // One that was away misses nothing and hears nothing twice.
    let mut resumed = scene.watch(&scene.hospital, &token).await.expect("resumes");
    let again = take(&mut resumed, &["request-opened", "grant-withdrawn"]).await;
    assert_eq!(again, told);
    assert_eq!(again[0].evidence_request_id, second.request_id);

    // Somebody else's events are not told.
    let mut strangers = scene.watch(&scene.stranger, "").await.expect("starts");
    scene.fixture.app.draining.cancel();
    let status = loop {
        match next(&mut strangers).await {
            Ok(event) => assert_eq!(
                (&*event.grant_id, &*event.case_id),
                ("", ""),
                "{}",
                event.event
            ),
            Err(status) => break status,
        }
    };
    assert_eq!(
        (status.code(), reason(Err::<(), _>(status))),
        (Code::Unavailable, "draining".into())
    );
}

#[tokio::test]
async fn a_token_of_another_log_is_refused() {
    let scene = Scene::new().await;
    for token in ["0000000000ffffff", "nonsense"] {
        let Err(status) = scene.watch(&scene.hospital, token).await else {
            panic!("{token} was taken");
        };
        assert_eq!(reason(Err::<(), _>(status)), "invalid_field");
    }
}
