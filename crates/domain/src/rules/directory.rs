//! Who takes part. Only operators reach these rules; the access layer sees to it.

use std::collections::BTreeSet;

use evidence_ledger::Digest;

use super::{Emitted, Outcome};
use crate::{
    apply::kid,
    caller::{Caller, Role},
    command::{
        AddCertificate, RegisterKey, RegisterOrganisation, RemoveCertificate, RetireKey, SetPolicy,
        StartLog, UpdateOrganisation,
    },
    event::{
        CertificateAdded, CertificateRemoved, KeyRegistered, KeyRetired, OrganisationRegistered,
        OrganisationUpdated, PolicySet,
    },
    ids::OrgId,
    policy,
    refusal::{Reason, Refusal},
    rows::{Certificate, Organisation, OrganisationIdentifier},
    world::{World, certificate_key, organisation_identifier_key},
};

/// Longest validity of a signing key: three years.
const KEY_LIFE_SECONDS: i64 = 3 * 366 * 24 * 60 * 60;

/// Entry 0. The store starts a log only when there is none.
pub fn start_log(command: &StartLog) -> Result<Outcome, Refusal> {
    Ok(Outcome::of("log", Emitted::stated(command.policy.clone())))
}

pub fn register_organisation(
    world: &World,
    command: &RegisterOrganisation,
) -> Result<Outcome, Refusal> {
    some_role(&command.roles)?;
    let identifier = organisation_identifier_key(&command.identifier);
    if let Some(taken) = world.get::<OrganisationIdentifier>(identifier) {
        return Err(exists(format!(
            "This identifier belongs to {}.",
            taken.organisation
        )));
    }
    let event = OrganisationRegistered {
        organisation: command.id.clone(),
        identifier: command.identifier.clone(),
        name: command.name.clone(),
        roles: command.roles.clone(),
    };
    Ok(Outcome::of(&command.id, Emitted::stated(event)))
}

pub fn update_organisation(
    world: &World,
    caller: &Caller,
    command: &UpdateOrganisation,
) -> Result<Outcome, Refusal> {
    some_role(&command.roles)?;
    let row = organisation(world, &command.id)?;
    if caller.org == command.id && (command.suspended || !command.roles.contains(&Role::Operator)) {
        let detail = "an operator cannot shut itself out; let another operator do it";
        return Err(Refusal::field("roles", detail));
    }
    if row.name == command.name && row.roles == command.roles && row.suspended == command.suspended
    {
        return Ok(Outcome::already(&command.id));
    }
    let event = OrganisationUpdated {
        organisation: command.id.clone(),
        name: command.name.clone(),
        roles: command.roles.clone(),
        suspended: command.suspended,
    };
    Ok(Outcome::of(&command.id, Emitted::stated(event)))
}

pub fn add_certificate(world: &World, command: &AddCertificate) -> Result<Outcome, Refusal> {
    let row = organisation(world, &command.organisation)?;
    if row.certificates.contains(&command.fingerprint) {
        return Ok(Outcome::already(&command.organisation));
    }
    // A certificate taken off one organisation never speaks for another.
    let bound = world.get::<Certificate>(certificate_key(&command.fingerprint));
    if let Some(other) = bound.filter(|bound| bound.organisation != command.organisation) {
        return Err(exists(format!(
            "This certificate belongs to {}.",
            other.organisation
        )));
    }
    let event = CertificateAdded {
        organisation: command.organisation.clone(),
        fingerprint: command.fingerprint,
    };
    Ok(Outcome::of(&command.organisation, Emitted::stated(event)))
}

pub fn remove_certificate(
    world: &World,
    caller: &Caller,
    command: &RemoveCertificate,
) -> Result<Outcome, Refusal> {
    let row = organisation(world, &command.organisation)?;
    let bound = world.get::<Certificate>(certificate_key(&command.fingerprint));
    if bound.is_none_or(|bound| bound.organisation != command.organisation) {
        return Err(Refusal::not_found());
    }
    if !row.certificates.contains(&command.fingerprint) {
        return Ok(Outcome::already(&command.organisation));
    }
    if caller.org == command.organisation && row.certificates.len() == 1 {
        let detail = "this is your last certificate; add the next one first";
        return Err(Refusal::field("fingerprint", detail));
    }
    let event = CertificateRemoved {
        organisation: command.organisation.clone(),
        fingerprint: command.fingerprint,
    };
    Ok(Outcome::of(&command.organisation, Emitted::stated(event)))
}

pub fn register_key(world: &World, command: &RegisterKey) -> Result<Outcome, Refusal> {
    let row = organisation(world, &command.organisation)?;
    let (from, to) = (command.not_before, command.not_after);
    if to <= from {
        return Err(Refusal::field("not_after", "must be after not_before"));
    }
    if to > from.plus_seconds(KEY_LIFE_SECONDS) {
        return Err(Refusal::field(
            "not_after",
            "must be within three years of not_before",
        ));
    }
    let kid = kid(&command.key);
    if let Some(known) = key(row, &kid) {
        return if (known.not_before, known.not_after) == (from, to) {
            Ok(Outcome::already(&command.organisation))
        } else {
            // Else a retired key could be brought back by registering it again.
            Err(exists(
                "This key is registered with another validity. Make a new key.",
            ))
        };
    }
    let event = KeyRegistered {
        organisation: command.organisation.clone(),
        key: command.key.clone(),
        not_before: from,
        not_after: to,
    };
    Ok(Outcome::of(&command.organisation, Emitted::stated(event)))
}

pub fn retire_key(world: &World, command: &RetireKey) -> Result<Outcome, Refusal> {
    let row = organisation(world, &command.organisation)?;
    let known = key(row, &command.kid).ok_or_else(Refusal::not_found)?;
    if command.not_after > known.not_after {
        let detail = "A key's life can be cut short, not made longer. Register a new key.";
        return Err(Refusal::new(Reason::OnlyNarrowing, detail));
    }
    if command.not_after == known.not_after {
        return Ok(Outcome::already(&command.organisation));
    }
    let event = KeyRetired {
        organisation: command.organisation.clone(),
        kid: command.kid,
        not_after: command.not_after,
    };
    Ok(Outcome::of(&command.organisation, Emitted::stated(event)))
}

pub fn set_policy(world: &World, command: &SetPolicy) -> Result<Outcome, Refusal> {
    policy::check(&command.name, &command.document)?;
    let row = world.policy(&command.name);
    if row.is_some_and(|row| row.document == command.document) {
        return Ok(Outcome::already(&command.name));
    }
    let event = PolicySet {
        name: command.name.clone(),
        version: row.map_or(1, |row| row.version + 1),
        document: command.document.clone(),
    };
    Ok(Outcome::of(&command.name, Emitted::stated(event)))
}

fn organisation<'w>(world: &'w World, id: &OrgId) -> Result<&'w Organisation, Refusal> {
    world.organisation(id).ok_or_else(Refusal::not_found)
}

fn key<'o>(row: &'o Organisation, kid: &Digest) -> Option<&'o crate::rows::OrgKey> {
    row.signing_key(kid.as_bytes())
}

fn some_role(roles: &BTreeSet<Role>) -> Result<(), Refusal> {
    if roles.is_empty() {
        Err(Refusal::field("roles", "at least one is required"))
    } else {
        Ok(())
    }
}

fn exists(detail: impl Into<String>) -> Refusal {
    Refusal::new(Reason::AlreadyExists, detail)
}

#[cfg(test)]
mod tests;
