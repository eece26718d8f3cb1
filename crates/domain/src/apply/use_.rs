//! Pulls, acknowledgements, decisions, views.

use super::{ApplyError, Logged, Subject, missing, request::of_case};
use crate::{
    event::{BundlePulled, DecisionRecorded, Event},
    ids::{AccessId, BundleId, DecisionId},
    rows::{Access, AccessAction, Bundle, Case, Decision, Item, ItemState},
    world::World,
};

pub(super) fn apply(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::BundlePulled(body) => pulled(world, logged, event, body),
        Event::BundleOfficial(body) => {
            let row = bundle(world, event, &body.bundle)?;
            row.official_chain = Some(body.official_chain);
            row.official = Some(logged.entry);
            row.items.extend(
                body.items
                    .iter()
                    .map(|(item, entry)| (item.clone(), *entry)),
            );
            deliver(world, event, body.items.keys())
        }
        Event::BundleAcknowledged(body) => {
            bundle(world, event, &body.bundle)?.acknowledged_at = Some(logged.at);
            Ok(())
        }
        Event::DecisionRecorded(body) => decided(world, logged, event, body),
        Event::DecisionOfficial(body) => {
            let row = world.change::<Decision>(body.decision.as_str());
            let row = row.ok_or_else(|| missing(event, &body.decision))?;
            row.official_uses.clone_from(&body.uses);
            row.official_entry = Some(logged.index);
            consider(world, event, body.uses.keys())
        }
        Event::ItemViewed(body) => {
            let item = world
                .item(&body.item)
                .ok_or_else(|| missing(event, &body.item))?;
            let claimant = item.claimant.clone();
            world.insert(Access {
                id: body.access.clone(),
                claimant,
                organisation: body.by.clone(),
                representation: body.representation.clone(),
                purpose: body.purpose.clone(),
                action: AccessAction::Viewed,
                items: [body.item.clone()].into(),
                at: logged.at,
                entry: logged.index,
                digest: logged.entry,
            });
            Ok(())
        }
        _ => Ok(()),
    }
}

fn bundle<'w>(
    world: &'w mut World,
    event: &Event,
    id: &BundleId,
) -> Result<&'w mut Bundle, ApplyError> {
    world
        .change::<Bundle>(id.as_str())
        .ok_or_else(|| missing(event, id))
}

fn pulled(
    world: &mut World,
    logged: &Logged,
    event: &Event,
    body: &BundlePulled,
) -> Result<(), ApplyError> {
    let case = world
        .change::<Case>(body.case.as_str())
        .ok_or_else(|| missing(event, &body.case))?;
    case.bundle = Some(body.bundle.clone());
    let claimant = case.claimant.clone();
    deliver(world, event, body.items.keys())?;
    world.insert(Access {
        id: access_of(&body.bundle),
        claimant: claimant.clone(),
        organisation: body.by.clone(),
        representation: None,
        purpose: body.purpose.clone(),
        action: AccessAction::Pulled,
        items: body.items.keys().cloned().collect(),
        at: logged.at,
        entry: logged.index,
        digest: logged.entry,
    });
    world.insert(Bundle {
        id: body.bundle.clone(),
        case: body.case.clone(),
        claimant,
        recipient: body.by.clone(),
        purpose: body.purpose.clone(),
        items: body.items.clone(),
        chain: body.chain,
        official_chain: None,
        pulled_at: logged.at,
        pulled: logged.entry,
        official: None,
        acknowledged_at: None,
        entry: logged.index,
    });
    Ok(())
}

/// A pull is an access too; its id is the bundle's with the other prefix.
fn access_of(bundle: &BundleId) -> AccessId {
    bundle
        .as_str()
        .replacen(BundleId::PREFIX, AccessId::PREFIX, 1)
        .parse()
        .expect("a bundle id with the access prefix is an access id")
}

fn decided(
    world: &mut World,
    logged: &Logged,
    event: &Event,
    body: &DecisionRecorded,
) -> Result<(), ApplyError> {
    let case = world
        .case(&body.case)
        .ok_or_else(|| missing(event, &body.case))?;
    let (claimant, recipient) = (case.claimant.clone(), case.recipient.clone());
    consider(world, event, body.uses.keys())?;
    world.insert(Decision {
        id: body.decision.clone(),
        case: body.case.clone(),
        claimant,
        recipient,
        bundle: body.bundle.clone(),
        outcome: body.outcome,
        for_lack_of_evidence: body.for_lack_of_evidence,
        uses: body.uses.clone(),
        official_uses: std::collections::BTreeMap::new(),
        adjustments: body.adjustments.clone(),
        overdue: body.overdue.clone(),
        chain: body.chain,
        official_head: body.official_head,
        official_digest: body.official_uses,
        recorded_at: logged.at,
        digest: logged.entry,
        entry: logged.index,
        official_entry: None,
    });
    Ok(())
}

type ItemIds<'a> =
    std::collections::btree_map::Keys<'a, crate::ids::ItemId, evidence_ledger::Digest>;

fn deliver(world: &mut World, event: &Event, items: ItemIds<'_>) -> Result<(), ApplyError> {
    for id in items {
        let item = world
            .change::<Item>(id.as_str())
            .ok_or_else(|| missing(event, id))?;
        if matches!(item.state, ItemState::Received | ItemState::Screened) {
            item.state = ItemState::Delivered;
        }
    }
    Ok(())
}

fn consider<'a>(
    world: &mut World,
    event: &Event,
    items: impl IntoIterator<Item = &'a crate::ids::ItemId>,
) -> Result<(), ApplyError> {
    for id in items {
        let item = world
            .change::<Item>(id.as_str())
            .ok_or_else(|| missing(event, id))?;
        if item.state.is_available() {
            item.state = ItemState::Considered;
        }
    }
    Ok(())
}

pub(super) fn subject(world: &World, event: &Event) -> Option<Subject> {
    match event {
        Event::BundlePulled(body) => of_case(world, &body.case),
        Event::BundleOfficial(body) => of_case(world, &body.case),
        Event::BundleAcknowledged(body) => world
            .bundle(&body.bundle)
            .and_then(|row| of_case(world, &row.case)),
        Event::DecisionRecorded(body) => of_case(world, &body.case),
        Event::DecisionOfficial(body) => of_decision(world, &body.decision),
        Event::ItemViewed(body) => {
            let mut subject = super::evidence::of_item(world, &body.item)?;
            subject.item = None;
            subject.audience.clear();
            Some(subject)
        }
        _ => None,
    }
}

fn of_decision(world: &World, id: &DecisionId) -> Option<Subject> {
    world.decision(id).and_then(|row| of_case(world, &row.case))
}
