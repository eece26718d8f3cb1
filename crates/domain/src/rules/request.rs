//! Cases and requests: what a recipient asks, and whose turn it is.

use crate::{
    access::ForOrganisations,
    caller::Caller,
    command::{
        AcknowledgeRequest, AnswerClarification, AskClarification, CancelRequest, DeclineRequest,
        OpenCase, OpenRequest,
    },
    event::{
        CaseOpened, ClarificationAnswered, ClarificationAsked, EvidenceJoined, OfficialOpened,
        RequestAcknowledged, RequestCancelled, RequestDeclined, RequestOpened,
    },
    ids::{CaseId, GrantId, RequestId},
    policy,
    refusal::{Reason, Refusal},
    rows::{Grant, Item, Request, RequestState},
    rules::{Emitted, Outcome, grants},
    time::{Moment, days_after},
    world::World,
};

/// Why a discloser may decline. Serious harm is not among them: such evidence
/// is sent and declared `withheld`, which the claimant does not see; a decline
/// for that reason they would.
pub const DECLINE_REASONS: [&str; 6] = [
    "no_record_held",
    "not_our_patient",
    "consent_not_valid",
    "outside_period",
    "not_our_service",
    "duplicate_request",
];

/// Opens a case under a live grant to the caller; what is held already and may
/// be used for it joins it.
pub fn open_case(
    world: &World,
    caller: &Caller,
    c: &OpenCase,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let grant = visible_grant(world, caller, &c.grant)?;
    if grant.claimant != c.claimant {
        return Err(Refusal::field(
            "claimant_id",
            "is not the claimant of this grant",
        ));
    }
    check_purpose(world, caller, grant, &c.assessment_type, now)?;
    let opened = CaseOpened {
        case: c.id.clone(),
        claimant: c.claimant.clone(),
        grant: c.grant.clone(),
        recipient: caller.org.clone(),
        assessment_type: c.assessment_type.clone(),
        nation: c.nation,
        mental_health: c.mental_health,
        chain_seed: c.chain_seed,
    };
    let official = OfficialOpened {
        case: c.id.clone(),
        chain_seed: c.official_seed,
    };
    let outcome = Outcome::of(
        &c.id,
        Emitted::stated(opened).text("reference", &c.reference),
    )
    .and(Emitted::stated(official));
    let held = grants::available(world, &c.claimant, &caller.org, &c.assessment_type, now);
    Ok(join(outcome, &c.id, held))
}

/// Asks one discloser for evidence for the caller's case; what that discloser
/// has sent already joins the case.
pub fn open_request(
    world: &World,
    caller: &Caller,
    c: &OpenRequest,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let case = world
        .case(&c.case)
        .filter(|case| case.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)?;
    let grant = visible_grant(world, caller, &c.grant)?;
    if grant.claimant != case.claimant {
        return Err(Refusal::field(
            "grant_id",
            "is not a grant of this case's claimant",
        ));
    }
    if c.period.is_backwards() {
        return Err(Refusal::field("period", "ends before it starts"));
    }
    check_purpose(world, caller, grant, &case.assessment_type, now)?;
    grants::covers_discloser(grant, &c.discloser)?;
    for kind in &c.kinds {
        grants::covers_kind_of(grant, kind)?;
    }
    policy::purposes(world)?
        .get(&case.assessment_type)?
        .allows_kinds(&c.kinds)?;
    grants::covers_period(grant, &c.period)?;
    if world
        .organisation(&c.discloser)
        .is_none_or(|row| row.suspended)
    {
        return Err(Refusal::new(
            Reason::OrganisationSuspended,
            "The discloser cannot answer at present.",
        ));
    }
    let opened = RequestOpened {
        request: c.id.clone(),
        case: c.case.clone(),
        grant: c.grant.clone(),
        recipient: caller.org.clone(),
        discloser: c.discloser.clone(),
        kinds: c.kinds.clone(),
        period: c.period,
        due_on: days_after(now.day(), policy::clocks(world)?.request.answer_days),
    };
    let opened = Emitted::stated(opened)
        .text("question", &c.question)
        .text("assurance", &c.assurance)
        .text("payer", &c.payer);
    let held = grants::available(
        world,
        &case.claimant,
        &caller.org,
        &case.assessment_type,
        now,
    )
    .into_iter()
    .filter(|item| item.discloser == c.discloser && !item.cases.contains(&c.case))
    .collect();
    Ok(join(Outcome::of(&c.id, opened), &c.case, held))
}

/// The discloser, or an intermediary for it, has seen the request.
pub fn acknowledge(
    world: &World,
    caller: &Caller,
    c: &AcknowledgeRequest,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let request = to_answer(world, caller, &c.request, now)?;
    match request.state {
        RequestState::Open => {
            let body = RequestAcknowledged {
                request: c.request.clone(),
                by: caller.org.clone(),
            };
            Ok(Outcome::of(&c.request, Emitted::stated(body)))
        }
        RequestState::Acknowledged => Ok(Outcome::already(&c.request)),
        state => Err(not_open(state)),
    }
}

/// Asks the recipient something; the clock stands still until the answer.
pub fn ask_clarification(
    world: &World,
    caller: &Caller,
    c: &AskClarification,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let request = to_answer(world, caller, &c.request, now)?;
    if !matches!(
        request.state,
        RequestState::Open | RequestState::Acknowledged
    ) {
        return Err(not_open(request.state));
    }
    grants::live(grant_of(world, request)?, now)?;
    let body = ClarificationAsked {
        request: c.request.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(
        &c.request,
        Emitted::stated(body).text("question", &c.question),
    ))
}

/// Answers; the due day moves on by the days of the pause.
pub fn answer_clarification(
    world: &World,
    caller: &Caller,
    c: &AnswerClarification,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let request = asked_by(world, caller, &c.request)?;
    let (RequestState::Paused, Some(paused_on)) = (request.state, request.paused_on) else {
        return Err(not_open(request.state));
    };
    grants::live(grant_of(world, request)?, now)?;
    // A clock set back must not bring the due day forward.
    let paused_days =
        i64::from(paused_on.until(now.day()).map_or(0, |span| span.get_days())).max(0);
    let body = ClarificationAnswered {
        request: c.request.clone(),
        by: caller.org.clone(),
        due_on: days_after(request.due_on, paused_days),
    };
    Ok(Outcome::of(
        &c.request,
        Emitted::stated(body).text("answer", &c.answer),
    ))
}

/// Says that there will be no answer, and why. Allowed after a withdrawal: it
/// gives nothing.
pub fn decline(
    world: &World,
    caller: &Caller,
    c: &DeclineRequest,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let request = to_answer(world, caller, &c.request, now)?;
    if request.state.is_final() {
        return Err(not_open(request.state));
    }
    if !DECLINE_REASONS.contains(&c.reason.as_str()) {
        let detail = format!("The reasons are {}.", DECLINE_REASONS.join(", "));
        return Err(Refusal::new(Reason::DeclineReasonUnknown, detail));
    }
    let body = RequestDeclined {
        request: c.request.clone(),
        reason: c.reason.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(
        &c.request,
        Emitted::stated(body).text("note", &c.note),
    ))
}

/// The recipient asks no more.
pub fn cancel(
    world: &World,
    caller: &Caller,
    c: &CancelRequest,
    _now: Moment,
) -> Result<Outcome, Refusal> {
    let request = asked_by(world, caller, &c.request)?;
    match request.state {
        RequestState::Cancelled => Ok(Outcome::already(&c.request)),
        state if state.is_final() => Err(not_open(state)),
        _ => {
            let body = RequestCancelled {
                request: c.request.clone(),
                by: caller.org.clone(),
            };
            Ok(Outcome::of(
                &c.request,
                Emitted::stated(body).text("note", &c.note),
            ))
        }
    }
}

fn visible_grant<'w>(
    world: &'w World,
    caller: &Caller,
    id: &GrantId,
) -> Result<&'w Grant, Refusal> {
    world
        .grant(id)
        .filter(|grant| grant.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)
}

/// The grant lives, is to the caller, and is for the purpose; and the policy
/// in force still has that purpose for this recipient.
fn check_purpose(
    world: &World,
    caller: &Caller,
    grant: &Grant,
    purpose: &str,
    now: Moment,
) -> Result<(), Refusal> {
    grants::live(grant, now)?;
    grants::covers_recipient(grant, &caller.org)?;
    grants::covers_purpose(grant, purpose)?;
    let unknown = || {
        Refusal::new(
            Reason::OrganisationUnknown,
            "The recipient is not registered.",
        )
    };
    let recipient = world.organisation(&caller.org).ok_or_else(unknown)?;
    policy::purposes(world)?
        .get(purpose)?
        .allows_recipient(&recipient.identifier)
}

fn join(mut outcome: Outcome, case: &CaseId, items: Vec<&Item>) -> Outcome {
    outcome.emitted.extend(items.into_iter().map(|item| {
        Emitted::stated(EvidenceJoined {
            item: item.id.clone(),
            case: case.clone(),
            evidence: item.evidence,
        })
    }));
    outcome
}

/// The request, for whoever is to answer it: its discloser, or an intermediary
/// with a live delegation.
fn to_answer<'w>(
    world: &'w World,
    caller: &Caller,
    id: &RequestId,
    now: Moment,
) -> Result<&'w Request, Refusal> {
    let request = world.request(id).ok_or_else(Refusal::not_found)?;
    if request.discloser == caller.org {
        return Ok(request);
    }
    if !request.intermediaries.contains(&caller.org) {
        return Err(Refusal::not_found());
    }
    let grant = grant_of(world, request)?;
    grants::delegation(
        world,
        grant,
        &caller.org,
        Some(&request.discloser),
        None,
        now,
    )?;
    Ok(request)
}

fn asked_by<'w>(world: &'w World, caller: &Caller, id: &RequestId) -> Result<&'w Request, Refusal> {
    world
        .request(id)
        .filter(|request| request.recipient == caller.org)
        .ok_or_else(Refusal::not_found)
}

fn grant_of<'w>(world: &'w World, request: &Request) -> Result<&'w Grant, Refusal> {
    world.grant(&request.grant).ok_or_else(Refusal::not_found)
}

fn not_open(state: RequestState) -> Refusal {
    let state = match state {
        RequestState::Open => "open",
        RequestState::Acknowledged => "acknowledged",
        RequestState::Paused => "paused until a question is answered",
        RequestState::Answered => "answered",
        RequestState::Declined => "declined",
        RequestState::Cancelled => "cancelled",
        RequestState::Lapsed => "lapsed",
    };
    Refusal::new(Reason::RequestNotOpen, format!("The request is {state}."))
}

#[cfg(test)]
mod tests;
