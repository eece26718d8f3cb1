//! Who the claimant is, what they allow, and who may act for them.

use std::collections::BTreeSet;

use super::{Emitted, Outcome, grants};
use crate::{
    access::ForOrganisations,
    caller::{Caller, Role},
    command::{
        CreateDelegation, CreateGrant, EndDelegation, EndRepresentation, NameRepresentative,
        NarrowGrant, RegisterClaimant, WithdrawGrant,
    },
    event::{
        Capture, ClaimantRegistered, DelegationCreated, DelegationEnded, GrantCreated,
        GrantNarrowed, GrantWithdrawn, RepresentationEnded, RepresentationKind,
        RepresentationNamed, Scope,
    },
    ids::{ClaimantId, GrantId, OrgId, RepresentationId},
    policy::{self, Purpose},
    refusal::{Reason, Refusal},
    rows::{Delegation, Grant, Identifier, Organisation, Representation},
    time::Moment,
    world::{World, identifier_key},
};

/// Finds the person, or makes their record. An identifier that a known claimant
/// lacks is accepted when nothing contradicts it, but not added: only the
/// registration says which identifiers are the person's.
pub fn register_claimant(
    world: &World,
    caller: &Caller,
    command: &RegisterClaimant,
    now: Moment,
) -> Result<Outcome, Refusal> {
    if command.identifiers.is_empty() {
        return Err(Refusal::field(
            "nhs_number",
            "this or the National Insurance number is required",
        ));
    }
    if command.date_of_birth > now.day() {
        return Err(Refusal::field("date_of_birth", "is in the future"));
    }
    let found: BTreeSet<&ClaimantId> = command
        .identifiers
        .values()
        .filter_map(|index| world.get::<Identifier>(identifier_key(index)))
        .map(|row| &row.claimant)
        .collect();
    let mut found = found.into_iter();
    match (found.next(), found.next()) {
        (None, _) => Ok(register_new(caller, command)),
        (Some(id), None) if is_same_person(world, id, command) => Ok(Outcome::already(id)),
        _ => {
            let detail = "The identifiers and the date of birth are not those of one person here.";
            Err(Refusal::new(Reason::IdentityConflict, detail))
        }
    }
}

fn register_new(caller: &Caller, command: &RegisterClaimant) -> Outcome {
    let event = ClaimantRegistered {
        claimant: command.id.clone(),
        by: caller.org.clone(),
        identifiers: command.identifiers.clone(),
        birth: command.birth.clone(),
    };
    let texts = Emitted::stated(event)
        .text("name", &command.name)
        .text("date_of_birth", &command.date_of_birth.to_string())
        .text(
            "nhs_number",
            command.nhs_number.as_deref().unwrap_or_default(),
        )
        .text("nino", command.nino.as_deref().unwrap_or_default());
    Outcome::of(&command.id, texts)
}

fn is_same_person(world: &World, id: &ClaimantId, command: &RegisterClaimant) -> bool {
    world.claimant(id).is_some_and(|known| {
        let agree = |(kind, index)| known.identifiers.get(kind).is_none_or(|own| own == index);
        known.birth == command.birth && command.identifiers.iter().all(agree)
    })
}

/// Records the claimant's consent, within the caps of each purpose it names.
pub fn create_grant(
    world: &World,
    caller: &Caller,
    command: &CreateGrant,
    now: Moment,
) -> Result<Outcome, Refusal> {
    claimant_exists(world, &command.claimant)?;
    if let Some(representation) = &command.representation {
        may_grant_for(world, representation, &command.claimant, now)?;
    }
    check_capture(caller, command.capture, Some(&command.witness))?;
    check_terms(command, now)?;
    let recipient = taking_part(world, &command.recipient, &[Role::Recipient])?;
    for discloser in &command.disclosers {
        taking_part(world, discloser, &[Role::Discloser, Role::Intermediary])?;
    }
    check_purposes(world, command, recipient, now)?;
    let event = GrantCreated {
        grant: command.id.clone(),
        claimant: command.claimant.clone(),
        disclosers: command.disclosers.clone(),
        kinds: command.kinds.clone(),
        recipient: command.recipient.clone(),
        purposes: command.purposes.clone(),
        period: command.period,
        expires_on: command.expires_on,
        capture: command.capture,
        by: caller.org.clone(),
        lawful_basis: command.lawful_basis.clone(),
        representation: command.representation.clone(),
    };
    Ok(Outcome::of(
        &command.id,
        Emitted::stated(event).text("witness", &command.witness),
    ))
}

fn may_grant_for(
    world: &World,
    id: &RepresentationId,
    claimant: &ClaimantId,
    now: Moment,
) -> Result<(), Refusal> {
    let named = world
        .representation(id)
        .filter(|row| row.claimant == *claimant)
        .ok_or_else(Refusal::not_found)?;
    if named.is_live(now) && named.scopes.contains(&Scope::GrantConsent) {
        Ok(())
    } else {
        let detail = "The naming does not allow giving consent, or has ended.";
        Err(Refusal::new(Reason::RepresentationOutOfScope, detail))
    }
}

fn check_terms(command: &CreateGrant, now: Moment) -> Result<(), Refusal> {
    for (field, is_empty) in [
        ("disclosers", command.disclosers.is_empty()),
        ("kinds", command.kinds.is_empty()),
        ("purposes", command.purposes.is_empty()),
    ] {
        if is_empty {
            return Err(Refusal::field(field, "at least one is required"));
        }
    }
    if command.period.is_backwards() {
        return Err(Refusal::field("period", "ends before it starts"));
    }
    not_past(command.expires_on, now)
}

fn check_purposes(
    world: &World,
    command: &CreateGrant,
    recipient: &Organisation,
    now: Moment,
) -> Result<(), Refusal> {
    let policy = policy::purposes(world)?;
    let purposes: Vec<&Purpose> = command
        .purposes
        .iter()
        .map(|id| policy.get(id))
        .collect::<Result<_, _>>()?;
    for purpose in &purposes {
        if purpose.separate && purposes.len() > 1 {
            let detail = format!("The purpose `{}` stands together with others.", purpose.id);
            return Err(Refusal::new(Reason::PurposeNeedsOwnGrant, detail));
        }
        purpose.allows_kinds(&command.kinds)?;
        purpose.allows_recipient(&recipient.identifier)?;
        purpose.allows_until(now.day(), command.expires_on)?;
    }
    Ok(())
}

/// Takes organisations, kinds, purposes or time away. What is not there to be
/// taken away is passed over: it is so already.
pub fn narrow_grant(
    world: &World,
    caller: &Caller,
    command: &NarrowGrant,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let grant = grant_to_change(world, caller, &command.grant)?;
    grants::live(grant, now)?;
    if !command.remove_kinds.is_empty() && grant.kinds.contains("*") {
        let detail = "The grant names every kind, from which none can be taken: that takes a new grant with a list.";
        return Err(Refusal::new(Reason::OnlyNarrowing, detail));
    }
    let period = command.period.unwrap_or(grant.period);
    if period.is_backwards() {
        return Err(Refusal::field("period", "ends before it starts"));
    }
    if !grant.period.covers(&period) {
        return Err(only_narrowing(
            "The new period reaches outside the grant's.",
        ));
    }
    let expires_on = command.expires_on.unwrap_or(grant.expires_on);
    if expires_on > grant.expires_on {
        return Err(only_narrowing(
            "The new last day is later than the grant's.",
        ));
    }
    not_past(expires_on, now)?;
    let event = GrantNarrowed {
        grant: command.grant.clone(),
        disclosers: without(
            "remove_disclosers",
            &grant.disclosers,
            &command.remove_disclosers,
        )?,
        kinds: without("remove_kinds", &grant.kinds, &command.remove_kinds)?,
        purposes: without("remove_purposes", &grant.purposes, &command.remove_purposes)?,
        period,
        expires_on,
        by: caller.org.clone(),
    };
    if is_as_before(&event, grant) {
        return Ok(Outcome::already(&command.grant));
    }
    Ok(Outcome::of(&command.grant, Emitted::stated(event)))
}

fn without<T: Ord + Clone>(
    field: &str,
    held: &BTreeSet<T>,
    removed: &BTreeSet<T>,
) -> Result<BTreeSet<T>, Refusal> {
    let left: BTreeSet<T> = held.difference(removed).cloned().collect();
    if left.is_empty() {
        Err(Refusal::field(
            field,
            "leaves nothing of the grant; withdraw it instead",
        ))
    } else {
        Ok(left)
    }
}

fn is_as_before(event: &GrantNarrowed, grant: &Grant) -> bool {
    event.disclosers == grant.disclosers
        && event.kinds == grant.kinds
        && event.purposes == grant.purposes
        && event.period == grant.period
        && event.expires_on == grant.expires_on
}

/// Stops everything under the grant. An expired one can be withdrawn too: it
/// says what the claimant wants.
pub fn withdraw_grant(
    world: &World,
    caller: &Caller,
    command: &WithdrawGrant,
    _now: Moment,
) -> Result<Outcome, Refusal> {
    let grant = grant_to_change(world, caller, &command.grant)?;
    if grant.withdrawn_at.is_some() {
        return Ok(Outcome::already(&command.grant));
    }
    // Withdrawing is made as easy as can be: it needs no witness.
    check_capture(caller, command.capture, None)?;
    let event = GrantWithdrawn {
        grant: command.grant.clone(),
        capture: command.capture,
        by: caller.org.clone(),
    };
    Ok(Outcome::of(
        &command.grant,
        Emitted::stated(event).text("note", &command.note),
    ))
}

/// Lets an intermediary act under a grant, for the discloser who calls or, when
/// the portal or whoever took the consent calls, for the claimant.
pub fn create_delegation(
    world: &World,
    caller: &Caller,
    command: &CreateDelegation,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let grant = seen_grant(world, caller, &command.grant)?;
    let discloser = grant
        .disclosers
        .contains(&caller.org)
        .then(|| caller.org.clone());
    if discloser.is_none() && !acts_for_claimant(caller, grant) {
        let detail =
            "Only a discloser that the grant names, or who acts for the claimant, can delegate.";
        return Err(Refusal::new(Reason::NotYoursToChange, detail));
    }
    grants::live(grant, now)?;
    taking_part(world, &command.intermediary, &[Role::Intermediary])?;
    if command.kinds.is_empty() {
        return Err(Refusal::field("kinds", "at least one is required"));
    }
    if !grants::kinds_within(&command.kinds, &grant.kinds) {
        return Err(only_narrowing("The kinds reach beyond the grant's."));
    }
    let expires_on = command.expires_on.unwrap_or(grant.expires_on);
    if expires_on > grant.expires_on {
        return Err(only_narrowing("The last day is later than the grant's."));
    }
    not_past(expires_on, now)?;
    let event = DelegationCreated {
        delegation: command.id.clone(),
        grant: command.grant.clone(),
        discloser,
        intermediary: command.intermediary.clone(),
        kinds: command.kinds.clone(),
        expires_on,
        by: caller.org.clone(),
    };
    Ok(Outcome::of(&command.id, Emitted::stated(event)))
}

/// Either side of a delegation may end it, and so may the portal.
pub fn end_delegation(
    world: &World,
    caller: &Caller,
    command: &EndDelegation,
    _now: Moment,
) -> Result<Outcome, Refusal> {
    let row: &Delegation = seen(world.delegation(&command.delegation), caller)?;
    if row.ended_at.is_some() {
        return Ok(Outcome::already(&command.delegation));
    }
    let event = DelegationEnded {
        delegation: command.delegation.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(&command.delegation, Emitted::stated(event)))
}

/// Names who helps the claimant, or, on a recipient's word, who stands in
/// their place in law.
pub fn name_representative(
    world: &World,
    caller: &Caller,
    command: &NameRepresentative,
    now: Moment,
) -> Result<Outcome, Refusal> {
    claimant_exists(world, &command.claimant)?;
    if command.kind == RepresentationKind::Appointee && !caller.is(Role::Recipient) {
        let detail = "an appointee is appointed by the department, not named by the claimant";
        return Err(Refusal::field("kind", detail));
    }
    check_capture(caller, command.capture, Some(&command.witness))?;
    if command.scopes.is_empty() {
        return Err(Refusal::field("scopes", "at least one is required"));
    }
    not_past(command.expires_on, now)?;
    let event = RepresentationNamed {
        representation: command.id.clone(),
        claimant: command.claimant.clone(),
        kind: command.kind,
        scopes: command.scopes.clone(),
        expires_on: command.expires_on,
        capture: command.capture,
        by: caller.org.clone(),
    };
    let texts = Emitted::stated(event)
        .text("name", &command.name)
        .text("witness", &command.witness);
    Ok(Outcome::of(&command.id, texts))
}

pub fn end_representation(
    world: &World,
    caller: &Caller,
    command: &EndRepresentation,
    _now: Moment,
) -> Result<Outcome, Refusal> {
    let row: &Representation = seen(world.representation(&command.representation), caller)?;
    if row.ended_at.is_some() {
        return Ok(Outcome::already(&command.representation));
    }
    let event = RepresentationEnded {
        representation: command.representation.clone(),
        by: caller.org.clone(),
    };
    Ok(Outcome::of(&command.representation, Emitted::stated(event)))
}

fn claimant_exists(world: &World, id: &ClaimantId) -> Result<(), Refusal> {
    world
        .claimant(id)
        .map(|_| ())
        .ok_or_else(Refusal::not_found)
}

fn seen<'w, R: ForOrganisations>(row: Option<&'w R>, caller: &Caller) -> Result<&'w R, Refusal> {
    row.filter(|row| row.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)
}

fn seen_grant<'w>(world: &'w World, caller: &Caller, id: &GrantId) -> Result<&'w Grant, Refusal> {
    seen(world.grant(id), caller)
}

/// A grant that the caller may take away from: on the claimant's word, or to
/// hold less itself.
fn grant_to_change<'w>(
    world: &'w World,
    caller: &Caller,
    id: &GrantId,
) -> Result<&'w Grant, Refusal> {
    let grant = seen_grant(world, caller, id)?;
    if acts_for_claimant(caller, grant) || grant.recipient == caller.org {
        Ok(grant)
    } else {
        let detail = "Only its recipient, who took it, or the claimant through the portal can change the grant.";
        Err(Refusal::new(Reason::NotYoursToChange, detail))
    }
}

fn acts_for_claimant(caller: &Caller, grant: &Grant) -> bool {
    caller.is(Role::Portal) || grant.captured_by == caller.org
}

/// The organisation is registered, not suspended, and holds one of the roles.
fn taking_part<'w>(
    world: &'w World,
    id: &OrgId,
    roles: &[Role],
) -> Result<&'w Organisation, Refusal> {
    let unknown = || {
        Refusal::new(
            Reason::OrganisationUnknown,
            format!("There is no organisation {id}."),
        )
    };
    let row = world.organisation(id).ok_or_else(unknown)?;
    if row.suspended {
        return Err(Refusal::new(
            Reason::OrganisationSuspended,
            format!("{id} is suspended."),
        ));
    }
    if roles.iter().any(|role| row.roles.contains(role)) {
        Ok(row)
    } else {
        Err(Refusal::new(
            Reason::RoleNotAllowed,
            format!("{id} does not take part in this role."),
        ))
    }
}

/// What was taken in the portal, the portal records; everything else has a
/// witness, where one is asked for.
fn check_capture(caller: &Caller, capture: Capture, witness: Option<&str>) -> Result<(), Refusal> {
    if capture == Capture::InPortal {
        return if caller.is(Role::Portal) {
            Ok(())
        } else {
            Err(Refusal::field(
                "capture",
                "only the claimants' portal records what was taken in it",
            ))
        };
    }
    match witness {
        Some(witness) if witness.trim().is_empty() => Err(Refusal::field(
            "witness",
            "is required unless it was taken in the portal",
        )),
        _ => Ok(()),
    }
}

fn not_past(day: jiff::civil::Date, now: Moment) -> Result<(), Refusal> {
    if day < now.day() {
        Err(Refusal::field("expires_on", "is in the past"))
    } else {
        Ok(())
    }
}

fn only_narrowing(detail: &str) -> Refusal {
    Refusal::new(Reason::OnlyNarrowing, detail)
}

#[cfg(test)]
mod tests;
