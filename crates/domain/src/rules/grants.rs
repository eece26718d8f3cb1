//! What a grant allows, checked alike at request, push and pull.

use crate::{
    apply::OWN_WORDS,
    event::Kinds,
    ids::{ClaimantId, OrgId},
    refusal::{Reason, Refusal},
    rows::{Delegation, Grant, Item, covers_kind},
    time::{Moment, Period},
    world::World,
};

/// The grant has been neither withdrawn nor has it run out.
pub fn live(grant: &Grant, now: Moment) -> Result<(), Refusal> {
    if grant.withdrawn_at.is_some() {
        Err(Refusal::new(
            Reason::GrantWithdrawn,
            "The grant has been withdrawn.",
        ))
    } else if now.day() > grant.expires_on {
        Err(Refusal::new(
            Reason::GrantExpired,
            format!("The grant's last day was {}.", grant.expires_on),
        ))
    } else {
        Ok(())
    }
}

/// The grant names the kind.
pub fn covers_kind_of(grant: &Grant, kind: &str) -> Result<(), Refusal> {
    if grant.covers_kind(kind) {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::GrantDoesNotCoverKind,
            format!("The grant does not name the kind `{kind}`."),
        ))
    }
}

/// Every kind asked for lies within the kinds held; `*` only within `*`.
pub fn kinds_within(inner: &Kinds, outer: &Kinds) -> bool {
    inner.iter().all(|kind| covers_kind(outer, kind))
}

/// The grant names the purpose.
pub fn covers_purpose(grant: &Grant, purpose: &str) -> Result<(), Refusal> {
    if grant.purposes.contains(purpose) {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::GrantDoesNotCoverPurpose,
            format!("The grant does not name the purpose `{purpose}`."),
        ))
    }
}

/// The grant is to this recipient.
pub fn covers_recipient(grant: &Grant, recipient: &OrgId) -> Result<(), Refusal> {
    if grant.recipient == *recipient {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::GrantDoesNotCoverRecipient,
            "The grant names another recipient.",
        ))
    }
}

/// The grant covers the time that the evidence is about.
pub fn covers_period(grant: &Grant, period: &Period) -> Result<(), Refusal> {
    if grant.period.covers(period) {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::GrantDoesNotCoverPeriod,
            "The period reaches outside the grant's.",
        ))
    }
}

/// The grant names the organisation as a discloser.
pub fn covers_discloser(grant: &Grant, discloser: &OrgId) -> Result<(), Refusal> {
    if grant.disclosers.contains(discloser) {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::GrantDoesNotCoverOrganisation,
            "The grant does not name this organisation.",
        ))
    }
}

/// Items of the claimant that the recipient may have for the purpose now, in
/// the order in which they came: no kind of evidence goes before another.
pub fn available<'w>(
    world: &'w World,
    claimant: &ClaimantId,
    recipient: &OrgId,
    purpose: &str,
    now: Moment,
) -> Vec<&'w Item> {
    let mut items: Vec<&Item> = world
        .all::<Item>()
        .into_iter()
        .filter(|item| item.claimant == *claimant && item.state.is_available())
        .filter(|item| covers_item(world, item, recipient, purpose, now).is_ok())
        .collect();
    items.sort_by_key(|item| item.entry);
    items
}

/// The item's grant, as narrowed since, lets the recipient have it for the
/// purpose. That a delegation has ended takes nothing back: what was sent under
/// it was allowed.
pub fn covers_item(
    world: &World,
    item: &Item,
    recipient: &OrgId,
    purpose: &str,
    now: Moment,
) -> Result<(), Refusal> {
    let grant = world.grant(&item.grant).ok_or_else(Refusal::not_found)?;
    live(grant, now)?;
    covers_recipient(grant, recipient)?;
    covers_purpose(grant, purpose)?;
    // The claimant's own words need nobody else's leave.
    if item.kind == OWN_WORDS {
        return Ok(());
    }
    covers_kind_of(grant, &item.kind)?;
    covers_period(grant, &item.period)?;
    if copied_by_delegation(world, grant, item) {
        Ok(())
    } else {
        covers_discloser(grant, &item.discloser)
    }
}

/// Whether an intermediary certified the item for a giver whom the grant names still.
fn copied_by_delegation(world: &World, grant: &Grant, item: &Item) -> bool {
    let delegation = item
        .certified_copy
        .as_ref()
        .and_then(|copy| copy.delegation.as_ref());
    delegation
        .and_then(|id| world.delegation(id))
        .is_some_and(|row| {
            let giver_named = row
                .discloser
                .as_ref()
                .is_none_or(|giver| grant.disclosers.contains(giver));
            row.grant == grant.id && row.intermediary == item.discloser && giver_named
        })
}

/// A live delegation under the grant that lets `intermediary` act for
/// `discloser` (or for the claimant) with this kind.
pub fn delegation<'w>(
    world: &'w World,
    grant: &Grant,
    intermediary: &OrgId,
    discloser: Option<&OrgId>,
    kind: Option<&str>,
    now: Moment,
) -> Result<&'w Delegation, Refusal> {
    world
        .all::<Delegation>()
        .into_iter()
        .filter(|row| {
            row.grant == grant.id && row.intermediary == *intermediary && row.is_live(now)
        })
        .filter(|row| row.discloser.is_none() || row.discloser.as_ref() == discloser)
        .find(|row| kind.is_none_or(|kind| covers_kind(&row.kinds, kind)))
        .ok_or_else(|| {
            Refusal::new(
                Reason::DelegationNotLive,
                "No live delegation under this grant lets the organisation do this.",
            )
        })
}
