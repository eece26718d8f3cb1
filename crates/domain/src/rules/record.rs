//! What claimants do on their side, through the portal.

use crate::{
    access::{self, ClaimantView, ForClaimant},
    caller::Caller,
    command::{AddNote, AddStatement, StateAdjustment, ViewItem},
    event::{AdjustmentStated, ItemViewed, NoteAdded, OwnStatement, Scope},
    ids::{ClaimantId, ItemId, RepresentationId},
    refusal::{Reason, Refusal},
    rows::{Item, ItemState},
    rules::{Emitted, Outcome, grants},
    time::Moment,
    world::World,
};

/// The longest statement in a claimant's own words, bytes of UTF-8.
pub const OWN_WORDS_LIMIT: u64 = 64 * 1024;

/// Logs that the claimant, or someone who acts for them, reads an item.
pub fn view_item(
    world: &World,
    caller: &Caller,
    c: &ViewItem,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let acting = (&c.claimant, c.representation.as_ref());
    let view = view(world, caller, acting, Scope::ReadEvidence, now)?;
    access::readable_by_claimant(shown_item(world, &view, &c.item)?)?;
    let viewed = ItemViewed {
        access: c.id.clone(),
        item: c.item.clone(),
        by: caller.org.clone(),
        purpose: c.purpose.clone(),
        representation: c.representation.clone(),
    };
    Ok(Outcome::of(&c.id, Emitted::stated(viewed)))
}

/// Takes the claimant's own words, as evidence like any other.
pub fn add_statement(
    world: &World,
    caller: &Caller,
    c: &AddStatement,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let acting = (&c.claimant, c.representation.as_ref());
    let view = view(world, caller, acting, Scope::AddStatements, now)?;
    let grant = world
        .grant(&c.grant)
        .filter(|grant| grant.claimant == *view.claimant());
    grants::live(grant.ok_or_else(Refusal::not_found)?, now)?;
    if c.size == 0 {
        return Err(Refusal::new(
            Reason::DocumentEmpty,
            "The statement has no words.",
        ));
    }
    if c.size > OWN_WORDS_LIMIT {
        return Err(Refusal::new(
            Reason::DocumentTooLarge,
            "The statement is over 64 KiB.",
        ));
    }
    if world.item(&c.item).is_some() {
        return Err(Refusal::new(
            Reason::ItemIdTaken,
            "There is an item with this id.",
        ));
    }
    let stated = OwnStatement {
        item: c.item.clone(),
        claimant: c.claimant.clone(),
        grant: c.grant.clone(),
        by: caller.org.clone(),
        size: c.size,
        digest: c.digest,
        representation: c.representation.clone(),
    };
    Ok(Outcome::of(
        &c.item,
        Emitted::stated(stated).text("title", &c.title),
    ))
}

/// Puts the claimant's note on an item. It may be on one that was taken back:
/// what was wrong in it may have been read.
pub fn add_note(
    world: &World,
    caller: &Caller,
    c: &AddNote,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let acting = (&c.claimant, c.representation.as_ref());
    let view = view(world, caller, acting, Scope::AddStatements, now)?;
    let item = shown_item(world, &view, &c.item)?;
    if item.state == ItemState::Erased {
        return Err(Refusal::new(
            Reason::ItemNotAvailable,
            "The item has been erased.",
        ));
    }
    let added = NoteAdded {
        note: c.id.clone(),
        item: c.item.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(
        &c.id,
        Emitted::stated(added).text("text", &c.text),
    ))
}

/// States something that the claimant needs done differently.
pub fn state_adjustment(
    world: &World,
    caller: &Caller,
    c: &StateAdjustment,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let acting = (&c.claimant, c.representation.as_ref());
    view(world, caller, acting, Scope::AddStatements, now)?;
    let stated = AdjustmentStated {
        adjustment: c.id.clone(),
        claimant: c.claimant.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(
        &c.id,
        Emitted::stated(stated).text("text", &c.text),
    ))
}

fn view(
    world: &World,
    caller: &Caller,
    (claimant, representation): (&ClaimantId, Option<&RepresentationId>),
    scope: Scope,
    now: Moment,
) -> Result<ClaimantView, Refusal> {
    let named = representation.and_then(|id| world.representation(id));
    access::claimant_view(
        caller,
        world.claimant(claimant),
        representation,
        named,
        scope,
        now,
    )
}

fn shown_item<'w>(world: &'w World, view: &ClaimantView, id: &ItemId) -> Result<&'w Item, Refusal> {
    let shown = |item: &&Item| *item.claimant() == *view.claimant() && item.is_shown();
    world.item(id).filter(shown).ok_or_else(Refusal::not_found)
}

#[cfg(test)]
mod tests;
