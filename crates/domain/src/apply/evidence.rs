//! Items, and what is said about them.

use super::{ApplyError, Logged, Subject, consent::of_claimant, missing, request::of_case};
use crate::{
    event::{Disclosure, Event, Evidence, OwnStatement},
    ids::ItemId,
    rows::{Adjustment, Item, ItemState, Note, Request, RequestState},
    time::Period,
    world::World,
};

/// The kind of a claimant's own words.
pub const OWN_WORDS: &str = "own-words";

pub(super) fn apply(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::Evidence(body) => return apply_evidence(world, logged, event, body),
        Event::OwnStatement(body) => return apply_own(world, logged, event, body),
        Event::EvidenceRelayed(body) => {
            let row = item(world, event, &body.item)?;
            row.relay = Some(logged.entry);
            row.intermediary.clone_from(&logged.issuer);
        }
        Event::EvidenceJoined(body) => {
            item(world, event, &body.item)?
                .cases
                .insert(body.case.clone());
        }
        Event::ItemWithdrawn(body) => item(world, event, &body.item)?.state = ItemState::Withdrawn,
        Event::ItemDisclosed(body) => {
            let row = item(world, event, &body.item)?;
            row.disclosure = Disclosure::Open;
            if let Some(request) = row.request.clone() {
                let request = world.change::<Request>(request.as_str());
                let request = request.ok_or_else(|| missing(event, &body.item))?;
                request.claimant_state = request.state;
            }
        }
        Event::NoteAdded(body) => {
            let claimant = item(world, event, &body.item)?.claimant.clone();
            world.insert(Note {
                id: body.note.clone(),
                item: body.item.clone(),
                claimant,
                at: logged.at,
                entry: logged.index,
            });
        }
        Event::AdjustmentStated(body) => world.insert(Adjustment {
            id: body.adjustment.clone(),
            claimant: body.claimant.clone(),
            at: logged.at,
            entry: logged.index,
        }),
        _ => {}
    }
    Ok(())
}

fn item<'w>(world: &'w mut World, event: &Event, id: &ItemId) -> Result<&'w mut Item, ApplyError> {
    world
        .change::<Item>(id.as_str())
        .ok_or_else(|| missing(event, id))
}

fn apply_evidence(
    world: &mut World,
    logged: &Logged,
    event: &Event,
    body: &Evidence,
) -> Result<(), ApplyError> {
    let grant = world
        .grant(&body.grant)
        .ok_or_else(|| missing(event, &body.grant))?;
    let (claimant, recipient) = (grant.claimant.clone(), grant.recipient.clone());
    let discloser = logged
        .issuer
        .clone()
        .ok_or_else(|| missing(event, "issuer"))?;
    let mut cases = std::collections::BTreeSet::new();
    if let Some(id) = &body.request {
        let request = world
            .change::<Request>(id.as_str())
            .ok_or_else(|| missing(event, id))?;
        cases.insert(request.case.clone());
        if body.completes {
            request.state = RequestState::Answered;
            request.paused_on = None;
            if body.disclosure == Disclosure::Open {
                request.claimant_state = RequestState::Answered;
            }
        }
    }
    if let Some(old) = &body.supersedes {
        let old = item(world, event, old)?;
        old.state = ItemState::Superseded;
        old.superseded_by = Some(body.item.clone());
    }
    world.insert(Item {
        id: body.item.clone(),
        claimant,
        grant: body.grant.clone(),
        request: body.request.clone(),
        discloser,
        intermediary: None,
        recipient,
        kind: body.kind.clone(),
        media_type: body.media_type.clone(),
        size: body.size,
        digest: body.digest,
        period: body.period,
        written_on: body.written_on,
        profession: body.profession.clone(),
        certified_copy: body.certified_copy.clone(),
        disclosure: body.disclosure,
        state: ItemState::Received,
        received_at: logged.at,
        supersedes: body.supersedes.clone(),
        superseded_by: None,
        cases,
        evidence: logged.entry,
        relay: None,
        entry: logged.index,
    });
    Ok(())
}

fn apply_own(
    world: &mut World,
    logged: &Logged,
    event: &Event,
    body: &OwnStatement,
) -> Result<(), ApplyError> {
    let grant = world
        .grant(&body.grant)
        .ok_or_else(|| missing(event, &body.grant))?;
    let day = logged.at.day();
    let recipient = grant.recipient.clone();
    world.insert(Item {
        id: body.item.clone(),
        claimant: body.claimant.clone(),
        grant: body.grant.clone(),
        request: None,
        discloser: body.by.clone(),
        intermediary: None,
        recipient,
        kind: OWN_WORDS.to_owned(),
        media_type: "text/plain; charset=utf-8".to_owned(),
        size: body.size,
        digest: body.digest,
        period: Period {
            from: Some(day),
            to: Some(day),
        },
        written_on: day,
        profession: "claimant".to_owned(),
        certified_copy: None,
        disclosure: Disclosure::Open,
        state: ItemState::Received,
        received_at: logged.at,
        supersedes: None,
        superseded_by: None,
        cases: std::collections::BTreeSet::new(),
        evidence: logged.entry,
        relay: None,
        entry: logged.index,
    });
    Ok(())
}

pub(super) fn subject(world: &World, event: &Event) -> Option<Subject> {
    match event {
        Event::Evidence(body) => {
            let grant = world.grant(&body.grant)?;
            let request = body.request.as_ref().and_then(|id| world.request(id));
            // Until it joins a case, the recipient is not told of it.
            let parties = request
                .into_iter()
                .flat_map(|request| [&request.recipient, &request.discloser]);
            let mut subject = of_claimant(&grant.claimant, parties);
            subject.urn = request.map_or_else(|| body.grant.urn(), |request| request.case.urn());
            subject.case = request.map(|request| request.case.clone());
            subject.item = Some(body.item.clone());
            Some(subject)
        }
        Event::OwnStatement(body) => {
            let grant = world.grant(&body.grant)?;
            let mut subject = of_claimant(&body.claimant, [&grant.recipient]);
            subject.urn = body.grant.urn();
            subject.item = Some(body.item.clone());
            Some(subject)
        }
        Event::EvidenceRelayed(body) => of_item(world, &body.item),
        Event::ItemWithdrawn(body) => of_item(world, &body.item),
        Event::DisclosureDeclared(body) => of_item(world, &body.item),
        Event::ItemDisclosed(body) => of_item(world, &body.item),
        Event::NoteAdded(body) => of_item(world, &body.item),
        Event::EvidenceJoined(body) => {
            let mut subject = of_case(world, &body.case)?;
            subject.item = Some(body.item.clone());
            Some(subject)
        }
        Event::AdjustmentStated(body) => Some(of_claimant(&body.claimant, [])),
        _ => None,
    }
}

/// An item's statements go under its case, or under its grant while it has none.
pub(super) fn of_item(world: &World, id: &ItemId) -> Option<Subject> {
    let row = world.item(id)?;
    let told = (!row.cases.is_empty()).then_some(&row.recipient);
    let mut subject = of_claimant(
        &row.claimant,
        row.intermediary.iter().chain([&row.discloser]).chain(told),
    );
    subject.case = row.cases.first().cloned();
    subject.urn = subject
        .case
        .as_ref()
        .map_or_else(|| row.grant.urn(), crate::ids::CaseId::urn);
    subject.item = Some(id.clone());
    Some(subject)
}
