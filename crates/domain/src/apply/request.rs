//! Cases and requests.

use std::collections::BTreeSet;

use evidence_ledger::ChainHead;

use super::{ApplyError, Logged, Subject, consent::of_claimant, missing};
use crate::{
    event::{Event, RequestOpened},
    ids::{CaseId, OrgId, RequestId},
    rows::{Case, Clarification, Delegation, Request, RequestState},
    world::World,
};

pub(super) fn apply(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::CaseOpened(body) => world.insert(Case {
            id: body.case.clone(),
            claimant: body.claimant.clone(),
            grant: body.grant.clone(),
            recipient: body.recipient.clone(),
            assessment_type: body.assessment_type.clone(),
            nation: body.nation,
            mental_health: body.mental_health,
            opened_at: logged.at,
            chain: ChainHead::seed(body.chain_seed),
            official_chain: ChainHead::seed(body.chain_seed),
            bundle: None,
            entry: logged.index,
        }),
        Event::OfficialOpened(body) => {
            let row = world
                .change::<Case>(body.case.as_str())
                .ok_or_else(|| missing(event, &body.case))?;
            row.official_chain = ChainHead::seed(body.chain_seed);
        }
        Event::RequestOpened(body) => {
            let case = world
                .case(&body.case)
                .ok_or_else(|| missing(event, &body.case))?;
            let claimant = case.claimant.clone();
            let intermediaries = delegates(world, body);
            world.insert(Request {
                id: body.request.clone(),
                case: body.case.clone(),
                claimant,
                grant: body.grant.clone(),
                recipient: body.recipient.clone(),
                discloser: body.discloser.clone(),
                intermediaries,
                kinds: body.kinds.clone(),
                period: body.period,
                state: RequestState::Open,
                claimant_state: RequestState::Open,
                opened_at: logged.at,
                due_on: body.due_on,
                paused_on: None,
                decline_reason: None,
                clarifications: Vec::new(),
                entry: logged.index,
            });
        }
        _ => return apply_turn(world, logged, event),
    }
    Ok(())
}

/// Whom the request's discloser, or the claimant, lets act under its grant.
fn delegates(world: &World, body: &RequestOpened) -> BTreeSet<OrgId> {
    world
        .all::<Delegation>()
        .into_iter()
        .filter(|row| row.grant == body.grant && row.ended_at.is_none())
        .filter(|row| {
            row.discloser
                .as_ref()
                .is_none_or(|discloser| *discloser == body.discloser)
        })
        .map(|row| row.intermediary.clone())
        .collect()
}

fn apply_turn(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    let Some(id) = turn_of(event) else {
        return Ok(());
    };
    let row = world
        .change::<Request>(id.as_str())
        .ok_or_else(|| missing(event, id))?;
    match event {
        Event::RequestAcknowledged(_) => row.state = RequestState::Acknowledged,
        Event::ClarificationAsked(_) => {
            row.state = RequestState::Paused;
            row.paused_on = Some(logged.at.day());
            row.clarifications.push(Clarification {
                asked_at: logged.at,
                asked: logged.index,
                answered_at: None,
                answered: None,
            });
        }
        Event::ClarificationAnswered(body) => {
            row.state = RequestState::Acknowledged;
            row.paused_on = None;
            row.due_on = body.due_on;
            if let Some(last) = row.clarifications.last_mut() {
                last.answered_at = Some(logged.at);
                last.answered = Some(logged.index);
            }
        }
        Event::RequestDeclined(body) => {
            row.state = RequestState::Declined;
            row.decline_reason = Some(body.reason.clone());
        }
        Event::RequestCancelled(_) => row.state = RequestState::Cancelled,
        _ => {}
    }
    row.claimant_state = row.state;
    Ok(())
}

fn turn_of(event: &Event) -> Option<&RequestId> {
    match event {
        Event::RequestAcknowledged(body) => Some(&body.request),
        Event::ClarificationAsked(body) => Some(&body.request),
        Event::ClarificationAnswered(body) => Some(&body.request),
        Event::RequestDeclined(body) => Some(&body.request),
        Event::RequestCancelled(body) => Some(&body.request),
        _ => None,
    }
}

pub(super) fn subject(world: &World, event: &Event) -> Option<Subject> {
    match event {
        Event::CaseOpened(body) => Some(Subject {
            urn: body.case.urn(),
            case: Some(body.case.clone()),
            ..of_claimant(&body.claimant, [&body.recipient])
        }),
        Event::OfficialOpened(body) => of_case(world, &body.case),
        Event::RequestOpened(body) => {
            let mut subject = of_case(world, &body.case)?;
            subject.audience.insert(body.discloser.clone());
            subject.audience.extend(delegates(world, body));
            Some(subject)
        }
        _ => of_request(world, turn_of(event)?),
    }
}

pub(super) fn of_case(world: &World, case: &CaseId) -> Option<Subject> {
    let row = world.case(case)?;
    Some(Subject {
        urn: case.urn(),
        case: Some(case.clone()),
        ..of_claimant(&row.claimant, [&row.recipient])
    })
}

pub(super) fn of_request(world: &World, request: &RequestId) -> Option<Subject> {
    let row = world.request(request)?;
    let mut subject = of_case(world, &row.case)?;
    subject.audience.insert(row.discloser.clone());
    subject.audience.extend(row.intermediaries.iter().cloned());
    Some(subject)
}
