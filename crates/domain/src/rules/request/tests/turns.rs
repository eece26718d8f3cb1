use super::*;

fn acknowledge(request: &RequestId) -> AcknowledgeRequest {
    AcknowledgeRequest {
        request: request.clone(),
    }
}

fn ask(request: &RequestId) -> AskClarification {
    AskClarification {
        request: request.clone(),
        question: "Which leg?".to_owned(),
    }
}

fn answer(request: &RequestId) -> AnswerClarification {
    AnswerClarification {
        request: request.clone(),
        answer: "The left.".to_owned(),
    }
}

fn decline(request: &RequestId) -> DeclineRequest {
    DeclineRequest {
        request: request.clone(),
        reason: "no_record_held".to_owned(),
        note: "Searched.".to_owned(),
    }
}

fn cancel(request: &RequestId) -> CancelRequest {
    CancelRequest {
        request: request.clone(),
        note: "Found elsewhere.".to_owned(),
    }
}

fn row<'s>(scene: &'s Scene, request: &RequestId) -> &'s Request {
    scene.kit.world.request(request).expect("is there")
}

/// A request, the one who answers it and the one who asked.
fn asked() -> (Scene, RequestId, Caller, Caller) {
    let mut scene = Scene::new();
    let request = scene.request();
    let (hospital, dwp) = (scene.hospital.clone(), scene.dwp.clone());
    (scene, request, hospital, dwp)
}

#[test]
fn acknowledging_twice_is_acknowledging_once() {
    let (mut scene, request, hospital, _) = asked();
    let outcome = scene
        .kit
        .run(&hospital, acknowledge(&request))
        .expect("is open");
    assert_eq!(names(&outcome), ["request-acknowledged"]);
    assert_eq!(row(&scene, &request).state, RequestState::Acknowledged);
    let outcome = scene
        .kit
        .run(&hospital, acknowledge(&request))
        .expect("is so already");
    assert!(outcome.emitted.is_empty());
    assert_eq!(outcome.resource, request.to_string());
}

#[test]
fn a_question_pauses_and_its_answer_moves_the_due_day_on() {
    let (mut scene, request, hospital, dwp) = asked();
    assert_eq!(
        scene.kit.refused(&dwp, answer(&request)),
        Reason::RequestNotOpen
    );
    scene.kit.pass_days(3);
    let outcome = scene.kit.run(&hospital, ask(&request)).expect("is open");
    assert_eq!(names(&outcome), ["clarification-asked"]);
    assert_eq!(outcome.emitted[0].aside["question"], "Which leg?");
    assert_eq!(row(&scene, &request).turn(), Some(&dwp.org));
    assert_eq!(
        scene.kit.refused(&hospital, ask(&request)),
        Reason::RequestNotOpen
    );
    assert_eq!(
        scene.kit.refused(&hospital, acknowledge(&request)),
        Reason::RequestNotOpen
    );

    scene.kit.pass_days(40);
    assert!(
        !row(&scene, &request).is_overdue(scene.kit.now),
        "a pause stops the clock"
    );
    let outcome = scene.kit.run(&dwp, answer(&request)).expect("is paused");
    assert_eq!(names(&outcome), ["clarification-answered"]);
    assert_eq!(outcome.emitted[0].aside["answer"], "The left.");
    let after = row(&scene, &request);
    assert_eq!(
        after.due_on,
        date(2027, 1, 9),
        "2026-11-30 and the 40 days of the pause"
    );
    assert_eq!(
        (after.state, after.paused_on),
        (RequestState::Acknowledged, None)
    );
    assert_eq!(after.turn(), Some(&hospital.org));
    assert!(!after.is_overdue(scene.kit.now));

    // A second pause on one day moves nothing.
    scene.kit.done(&hospital, ask(&request));
    scene.kit.done(&dwp, answer(&request));
    assert_eq!(row(&scene, &request).due_on, date(2027, 1, 9));
    assert_eq!(row(&scene, &request).clarifications.len(), 2);
}

#[test]
fn declining_needs_a_known_reason_and_is_final() {
    let (mut scene, request, hospital, dwp) = asked();
    for reason in ["", "too busy", "serious_harm"] {
        let command = DeclineRequest {
            reason: reason.to_owned(),
            ..decline(&request)
        };
        assert_eq!(
            scene.kit.refused(&hospital, command),
            Reason::DeclineReasonUnknown,
            "{reason}"
        );
    }
    scene.kit.done(&hospital, ask(&request));
    let outcome = scene
        .kit
        .run(&hospital, decline(&request))
        .expect("a paused request may be declined");
    assert_eq!(names(&outcome), ["request-declined"]);
    assert_eq!(outcome.emitted[0].aside["note"], "Searched.");
    let after = row(&scene, &request);
    assert_eq!(after.state, RequestState::Declined);
    assert_eq!(after.decline_reason.as_deref(), Some("no_record_held"));
    assert_eq!(after.turn(), None);

    assert_eq!(
        scene.kit.refused(&hospital, decline(&request)),
        Reason::RequestNotOpen
    );
    assert_eq!(
        scene.kit.refused(&hospital, acknowledge(&request)),
        Reason::RequestNotOpen
    );
    assert_eq!(
        scene.kit.refused(&hospital, ask(&request)),
        Reason::RequestNotOpen
    );
    assert_eq!(
        scene.kit.refused(&dwp, answer(&request)),
        Reason::RequestNotOpen
    );
    assert_eq!(
        scene.kit.refused(&dwp, cancel(&request)),
        Reason::RequestNotOpen
    );
}

#[test]
fn every_decline_reason_is_taken() {
    for reason in DECLINE_REASONS {
        let (mut scene, request, hospital, _) = asked();
        let command = DeclineRequest {
            reason: reason.to_owned(),
            note: String::new(),
            ..decline(&request)
        };
        scene.kit.done(&hospital, command);
        assert_eq!(
            row(&scene, &request).decline_reason.as_deref(),
            Some(reason)
        );
    }
}

#[test]
fn cancelling_ends_it_once() {
    let (mut scene, request, hospital, dwp) = asked();
    let outcome = scene.kit.run(&dwp, cancel(&request)).expect("is open");
    assert_eq!(names(&outcome), ["request-cancelled"]);
    assert_eq!(outcome.emitted[0].aside["note"], "Found elsewhere.");
    assert_eq!(row(&scene, &request).state, RequestState::Cancelled);
    let again = scene
        .kit
        .run(&dwp, cancel(&request))
        .expect("is so already");
    assert!(again.emitted.is_empty());
    assert_eq!(
        scene.kit.refused(&hospital, decline(&request)),
        Reason::RequestNotOpen
    );
}

#[test]
fn an_answered_request_takes_no_more_turns() {
    let (mut scene, request, hospital, dwp) = asked();
    scene.push(Some(&request), Disclosure::Open);
    assert_eq!(row(&scene, &request).state, RequestState::Answered);
    assert_eq!(
        scene.kit.refused(&hospital, acknowledge(&request)),
        Reason::RequestNotOpen
    );
    assert_eq!(
        scene.kit.refused(&dwp, cancel(&request)),
        Reason::RequestNotOpen
    );
}

#[test]
fn after_a_withdrawal_nothing_more_is_asked_but_it_can_be_closed() {
    let (mut scene, request, hospital, dwp) = asked();
    let second = scene.request();
    scene.kit.done(&hospital, ask(&second));
    withdraw(&mut scene);
    assert_eq!(
        scene.kit.refused(&hospital, ask(&request)),
        Reason::GrantWithdrawn
    );
    assert_eq!(
        scene.kit.refused(&dwp, answer(&second)),
        Reason::GrantWithdrawn
    );
    scene.kit.done(&hospital, acknowledge(&request));
    scene.kit.done(&hospital, decline(&request));
    scene.kit.done(&dwp, cancel(&second));
}

#[test]
fn nobody_else_may_take_a_turn() {
    let (mut scene, request, hospital, dwp) = asked();
    let stranger = scene
        .kit
        .org(&[Role::Discloser, Role::Intermediary, Role::Recipient]);
    for caller in [&stranger, &dwp] {
        assert_eq!(
            scene.kit.refused(caller, acknowledge(&request)),
            Reason::NotFound
        );
        assert_eq!(scene.kit.refused(caller, ask(&request)), Reason::NotFound);
        assert_eq!(
            scene.kit.refused(caller, decline(&request)),
            Reason::NotFound
        );
    }
    for caller in [&stranger, &hospital] {
        assert_eq!(
            scene.kit.refused(caller, answer(&request)),
            Reason::NotFound
        );
        assert_eq!(
            scene.kit.refused(caller, cancel(&request)),
            Reason::NotFound
        );
    }
    let absent = RequestId::from_random([0xaa; 16]);
    assert_eq!(
        scene.kit.refused(&hospital, acknowledge(&absent)),
        Reason::NotFound
    );
    assert_eq!(scene.kit.refused(&dwp, cancel(&absent)), Reason::NotFound);
}

#[test]
fn an_intermediary_answers_while_its_delegation_lives() {
    let (mut scene, request, hospital, _) = asked();
    let charity = scene.kit.org(&[Role::Intermediary]);
    assert_eq!(
        scene.kit.refused(&charity, acknowledge(&request)),
        Reason::NotFound
    );
    let delegation = DelegationId::from_random(scene.kit.draw());
    let create = CreateDelegation {
        id: delegation.clone(),
        grant: scene.grant.clone(),
        intermediary: charity.org.clone(),
        kinds: ["care-plan".to_owned()].into(),
        expires_on: Some(date(2026, 11, 12)),
    };
    scene.kit.done(&hospital, create);
    scene.kit.done(&charity, acknowledge(&request));
    scene.kit.done(&charity, ask(&request));

    // A request opened later is the intermediary's to answer too.
    let second = scene.request();
    scene.kit.done(&charity, acknowledge(&second));

    scene.kit.pass_days(11);
    assert_eq!(
        scene.kit.refused(&charity, decline(&request)),
        Reason::DelegationNotLive
    );
    scene.kit.done(&hospital, EndDelegation { delegation });
    assert_eq!(
        scene.kit.refused(&charity, decline(&request)),
        Reason::DelegationNotLive
    );
    scene.kit.done(&hospital, decline(&request));

    // One opened after the end is not.
    let third = scene.request();
    assert_eq!(
        scene.kit.refused(&charity, acknowledge(&third)),
        Reason::NotFound
    );
}

#[test]
fn another_disclosers_intermediary_is_not_told_of_the_request() {
    let (mut scene, practice) = scene_with_practice();
    let charity = scene.kit.org(&[Role::Intermediary]);
    let create = CreateDelegation {
        id: DelegationId::from_random(scene.kit.draw()),
        grant: scene.grant.clone(),
        intermediary: charity.org.clone(),
        kinds: ["care-plan".to_owned()].into(),
        expires_on: None,
    };
    scene.kit.done(&practice, create);
    let (dwp, command) = (scene.dwp.clone(), open_request_command(&mut scene));
    let outcome = scene.kit.run(&dwp, command.clone()).expect("covered");
    let subject = crate::apply::subject(
        &scene.kit.world,
        "urn:evidence:log",
        &outcome.emitted[0].event,
    );
    assert_eq!(
        subject.audience,
        [dwp.org, scene.hospital.org.clone()].into()
    );
    assert_eq!(
        scene.kit.refused(&charity, acknowledge(&command.id)),
        Reason::NotFound
    );
}
