//! Taking an item back, and whether its claimant may see it.

use super::{is_code, is_future};
use crate::{
    caller::Caller,
    command::{DeclareDisclosure, WithdrawItem},
    event::{Disclosure, DisclosureDeclared, Event, ItemDisclosed, ItemWithdrawn},
    refusal::{Reason, Refusal},
    rows::{Item, ItemState},
    rules::{Emitted, Outcome},
    signed::Verified,
    time::Moment,
    world::{Needs, World},
};

/// Why an item may be taken back.
pub const WITHDRAWAL_REASONS: [&str; 4] = [
    "consent_withdrawn",
    "inaccurate",
    "sent_in_error",
    "wrong_person",
];

/// The discloser, or who relayed it, takes an item back; that needs no live
/// grant. What was used already stays proven.
pub fn withdraw_item(world: &World, caller: &Caller, c: &WithdrawItem) -> Result<Outcome, Refusal> {
    let theirs = |item: &&Item| {
        item.discloser == caller.org || item.intermediary.as_ref() == Some(&caller.org)
    };
    let item = world
        .item(&c.item)
        .filter(theirs)
        .ok_or_else(Refusal::not_found)?;
    if item.state == ItemState::Withdrawn {
        return Ok(Outcome::already(&item.id));
    }
    if !WITHDRAWAL_REASONS.contains(&c.reason.as_str()) {
        return Err(Refusal::field(
            "reason",
            format!("must be one of {}", WITHDRAWAL_REASONS.join(", ")),
        ));
    }
    available(item)?;
    let withdrawn = ItemWithdrawn {
        item: item.id.clone(),
        reason: c.reason.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(&item.id, Emitted::stated(withdrawn)))
}

/// The rows that deciding a declaration needs.
pub fn declaration_needs(c: &DeclareDisclosure) -> Needs {
    let needs = Needs::default().key(c.declaration.issuer());
    match c.declaration.event() {
        Event::DisclosureDeclared(body) => needs.key(&body.item),
        _ => needs,
    }
}

/// A professional says whether the claimant may see an item. What was open
/// stays open: it may have been seen.
pub fn declare_disclosure(
    world: &World,
    caller: &Caller,
    c: &DeclareDisclosure,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let signed = &c.declaration;
    let Event::DisclosureDeclared(body) = signed.event() else {
        return Err(Refusal::new(
            Reason::StatementPayloadInvalid,
            "This is not a disclosure declaration.",
        ));
    };
    if *signed.issuer() != caller.org {
        return Err(Refusal::new(
            Reason::StatementWrongIssuer,
            "Another organisation than the caller has signed this.",
        ));
    }
    signed.recheck(world.organisation(signed.issuer()), now)?;
    let theirs = |item: &&Item| item.discloser == caller.org;
    let item = world
        .item(&body.item)
        .filter(theirs)
        .ok_or_else(Refusal::not_found)?;
    check_declaration(signed, body, item, now)?;
    available(item)?;
    let outcome = Outcome::of(&item.id, Emitted::signed(signed));
    match (item.disclosure, body.disclosure) {
        (Disclosure::Open, Disclosure::Withheld) => {
            let detail =
                "The claimant has been able to see this item; it cannot be withheld any more.";
            Err(Refusal::new(Reason::DisclosureConflict, detail))
        }
        (Disclosure::Withheld, Disclosure::Open) => {
            let disclosed = ItemDisclosed {
                item: item.id.clone(),
                evidence: item.evidence,
            };
            Ok(outcome.and(Emitted::stated(disclosed)))
        }
        (Disclosure::Open, Disclosure::Open) | (Disclosure::Withheld, Disclosure::Withheld) => {
            Ok(outcome)
        }
    }
}

fn check_declaration(
    signed: &Verified,
    body: &DisclosureDeclared,
    item: &Item,
    now: Moment,
) -> Result<(), Refusal> {
    let mut subjects = item
        .cases
        .iter()
        .map(crate::ids::CaseId::urn)
        .chain([item.grant.urn()]);
    if !subjects.any(|urn| urn == signed.subject()) {
        let detail = "The sub claim must be the item's case, or its grant while it has none.";
        return Err(Refusal::new(Reason::StatementWrongSubject, detail));
    }
    let invalid = |detail: &str| Err(Refusal::new(Reason::StatementPayloadInvalid, detail));
    if !is_code(&body.profession) {
        return invalid("`profession` must be a code of small letters, digits and hyphens.");
    }
    if is_future(body.declared_on, now) {
        return invalid("`declared_on` lies in the future.");
    }
    let says = |name: &str| {
        signed
            .aside()
            .get(name)
            .is_some_and(|text| !text.trim().is_empty())
    };
    if !says("professional") {
        return invalid("The aside must name the `professional`.");
    }
    // DPA 2018 Schedule 3: withheld only for likely serious harm, and with reasons.
    if body.disclosure == Disclosure::Withheld && !says("reasons") {
        return invalid("The aside must give the `reasons` for withholding.");
    }
    Ok(())
}

fn available(item: &Item) -> Result<(), Refusal> {
    if item.state.is_available() {
        Ok(())
    } else {
        Err(Refusal::new(
            Reason::ItemNotAvailable,
            "The item is not available any more.",
        ))
    }
}

#[cfg(test)]
mod tests;
