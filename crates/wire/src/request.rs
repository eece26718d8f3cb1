//! Conversions of the request service.

use std::collections::BTreeMap;

use evidence_domain::{
    Aside, Event, Moment, Refusal,
    command::{
        AcknowledgeRequest, AnswerClarification, AskClarification, CancelRequest, DeclineRequest,
        OpenCase, OpenRequest,
    },
    event::Nation,
    ids::{CaseId, GrantId, ItemId, RequestId},
    rows::{Case, Clarification, Request},
};
use evidence_ledger::Digest;

use crate::{
    common::{chain_head, period, request_state_number, texts, timestamp},
    fields::Fields,
    v1,
};

/// Reads `OpenCase`; both seeds are random.
pub fn open_case(
    body: &v1::OpenCaseRequest,
    id: CaseId,
    chain_seed: Digest,
    official_seed: Digest,
) -> Result<OpenCase, Refusal> {
    let mut f = Fields::new();
    let claimant = f.parse("claimant_id", &body.claimant_id);
    let grant = f.parse("grant_id", &body.grant_id);
    let assessment_type = f.code("assessment_type", &body.assessment_type);
    let nation = f.choice("nation", nation(&body.nation));
    let reference = f.optional_name("reference", &body.reference);
    let command = (claimant.zip(grant).zip(nation)).map(|((claimant, grant), nation)| OpenCase {
        id,
        claimant,
        grant,
        assessment_type,
        nation,
        reference,
        mental_health: body.mental_health,
        chain_seed,
        official_seed,
    });
    f.finish(command)
}

pub fn open_request(body: &v1::OpenRequestRequest, id: RequestId) -> Result<OpenRequest, Refusal> {
    let mut f = Fields::new();
    let case = f.parse("case_id", &body.case_id);
    let grant = f.parse("grant_id", &body.grant_id);
    let discloser = f.parse("discloser", &body.discloser);
    let kinds = f.codes("kinds", &body.kinds);
    if kinds.is_empty() {
        f.violation("kinds", "must name at least one kind of evidence");
    }
    let period = f.period("period", body.period.as_ref());
    let question = f.text("question", &body.question);
    let assurance = f.text("assurance", &body.assurance);
    let payer = f.optional_name("payer", &body.payer);
    let command = (case.zip(grant).zip(discloser)).map(|((case, grant), discloser)| OpenRequest {
        id,
        case,
        grant,
        discloser,
        kinds,
        period,
        question,
        assurance,
        payer,
    });
    f.finish(command)
}

pub fn acknowledge_request(
    body: &v1::AcknowledgeRequestRequest,
) -> Result<AcknowledgeRequest, Refusal> {
    let mut f = Fields::new();
    let request = named(&mut f, &body.evidence_request_id);
    f.finish(request.map(|request| AcknowledgeRequest { request }))
}

pub fn ask_clarification(body: &v1::AskClarificationRequest) -> Result<AskClarification, Refusal> {
    let mut f = Fields::new();
    let request = named(&mut f, &body.evidence_request_id);
    let question = f.text("question", &body.question);
    f.finish(request.map(|request| AskClarification { request, question }))
}

pub fn answer_clarification(
    body: &v1::AnswerClarificationRequest,
) -> Result<AnswerClarification, Refusal> {
    let mut f = Fields::new();
    let request = named(&mut f, &body.evidence_request_id);
    let answer = f.text("answer", &body.answer);
    f.finish(request.map(|request| AnswerClarification { request, answer }))
}

pub fn decline_request(body: &v1::DeclineRequestRequest) -> Result<DeclineRequest, Refusal> {
    let mut f = Fields::new();
    let request = named(&mut f, &body.evidence_request_id);
    let reason = f.name("reason", &body.reason);
    let note = f.optional_text("note", &body.note);
    f.finish(request.map(|request| DeclineRequest {
        request,
        reason,
        note,
    }))
}

pub fn cancel_request(body: &v1::CancelRequestRequest) -> Result<CancelRequest, Refusal> {
    let mut f = Fields::new();
    let request = named(&mut f, &body.evidence_request_id);
    let note = f.optional_text("note", &body.note);
    f.finish(request.map(|request| CancelRequest { request, note }))
}

fn named(f: &mut Fields, id: &str) -> Option<RequestId> {
    f.parse("evidence_request_id", id)
}

/// The case as its recipient sees it. `opened` holds the texts of its first statement.
pub fn case(row: &Case, opened: &Aside) -> v1::Case {
    v1::Case {
        case_id: row.id.to_string(),
        claimant_id: row.claimant.to_string(),
        recipient: row.recipient.to_string(),
        assessment_type: row.assessment_type.clone(),
        nation: nation_text(row.nation).to_owned(),
        reference: text(Some(opened), "reference"),
        mental_health: row.mental_health,
        opened_at: Some(timestamp(row.opened_at)),
        subject: row.id.urn(),
        chain: Some(chain_head(&row.chain)),
        official_chain: Some(chain_head(&row.official_chain)),
    }
}

/// The entries whose texts [`request`] wants.
pub fn request_entries(row: &Request) -> impl Iterator<Item = u64> {
    let turns = row
        .clarifications
        .iter()
        .flat_map(|turn| [Some(turn.asked), turn.answered]);
    std::iter::once(row.entry).chain(turns.flatten())
}

/// The request as its parties see it. `asides` are the texts by entry, `items`
/// those that answer it and that the reader may know of.
pub fn request(
    row: &Request,
    asides: &BTreeMap<u64, Aside>,
    items: &[ItemId],
    now: Moment,
) -> v1::EvidenceRequest {
    let opened = asides.get(&row.entry);
    v1::EvidenceRequest {
        request_id: row.id.to_string(),
        case_id: row.case.to_string(),
        claimant_id: row.claimant.to_string(),
        grant_id: row.grant.to_string(),
        recipient: row.recipient.to_string(),
        discloser: row.discloser.to_string(),
        kinds: texts(&row.kinds),
        period: Some(period(&row.period)),
        question: text(opened, "question"),
        state: request_state_number(row.state),
        r#final: row.state.is_final(),
        opened_at: Some(timestamp(row.opened_at)),
        due_on: row.due_on.to_string(),
        overdue: row.is_overdue(now),
        turn: row.turn().map(ToString::to_string).unwrap_or_default(),
        decline_reason: row.decline_reason.clone().unwrap_or_default(),
        clarifications: row
            .clarifications
            .iter()
            .map(|turn| clarification(turn, asides))
            .collect(),
        items: texts(items),
        subject: row.case.urn(),
        assurance: text(opened, "assurance"),
        payer: text(opened, "payer"),
    }
}

fn clarification(turn: &Clarification, asides: &BTreeMap<u64, Aside>) -> v1::Clarification {
    let answered = turn.answered.and_then(|entry| asides.get(&entry));
    v1::Clarification {
        question: text(asides.get(&turn.asked), "question"),
        answer: text(answered, "answer"),
        asked_at: Some(timestamp(turn.asked_at)),
        answered_at: turn.answered_at.map(timestamp),
    }
}

/// An event as `Watch` tells it, without its resume token.
pub fn watch_event(
    event: &Event,
    entry: &Digest,
    at: Moment,
    case: Option<&CaseId>,
) -> v1::WatchEvent {
    let about = about(event);
    let id = |id: Option<String>| id.unwrap_or_default();
    v1::WatchEvent {
        resume_token: String::new(),
        event: event.name().to_owned(),
        at: Some(timestamp(at)),
        case_id: id(case.map(ToString::to_string)),
        evidence_request_id: id(about.request.map(ToString::to_string)),
        item_id: id(about.item.map(ToString::to_string)),
        grant_id: id(about.grant.map(ToString::to_string)),
        entry: entry.as_bytes().to_vec(),
    }
}

/// What an event names.
#[derive(Default)]
struct About<'e> {
    request: Option<&'e RequestId>,
    item: Option<&'e ItemId>,
    grant: Option<&'e GrantId>,
}

fn about(event: &Event) -> About<'_> {
    let request = |request| About {
        request: Some(request),
        ..About::default()
    };
    let item = |item| About {
        item: Some(item),
        ..About::default()
    };
    let grant = |grant| About {
        grant: Some(grant),
        ..About::default()
    };
    match event {
        Event::GrantCreated(body) => grant(&body.grant),
        Event::GrantNarrowed(body) => grant(&body.grant),
        Event::GrantWithdrawn(body) => grant(&body.grant),
        Event::DelegationCreated(body) => grant(&body.grant),
        Event::CaseOpened(body) => grant(&body.grant),
        Event::RequestOpened(body) => About {
            grant: Some(&body.grant),
            ..request(&body.request)
        },
        Event::RequestAcknowledged(body) => request(&body.request),
        Event::ClarificationAsked(body) => request(&body.request),
        Event::ClarificationAnswered(body) => request(&body.request),
        Event::RequestDeclined(body) => request(&body.request),
        Event::RequestCancelled(body) => request(&body.request),
        Event::Evidence(body) => About {
            request: body.request.as_ref(),
            item: Some(&body.item),
            grant: Some(&body.grant),
        },
        Event::OwnStatement(body) => About {
            grant: Some(&body.grant),
            ..item(&body.item)
        },
        Event::EvidenceRelayed(body) => item(&body.item),
        Event::EvidenceJoined(body) => item(&body.item),
        Event::ItemWithdrawn(body) => item(&body.item),
        Event::DisclosureDeclared(body) => item(&body.item),
        Event::ItemDisclosed(body) => item(&body.item),
        Event::NoteAdded(body) => item(&body.item),
        Event::ItemViewed(body) => item(&body.item),
        _ => About::default(),
    }
}

fn nation(text: &str) -> Option<Nation> {
    match text {
        "england-and-wales" => Some(Nation::EnglandAndWales),
        "scotland" => Some(Nation::Scotland),
        "northern-ireland" => Some(Nation::NorthernIreland),
        _ => None,
    }
}

/// The nation as the API names it.
pub fn nation_text(nation: Nation) -> &'static str {
    match nation {
        Nation::EnglandAndWales => "england-and-wales",
        Nation::Scotland => "scotland",
        Nation::NorthernIreland => "northern-ireland",
    }
}

fn text(aside: Option<&Aside>, name: &str) -> String {
    let text = aside.and_then(|aside| aside.get(name));
    text.cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests;
