//! Organisations, certificates, keys, policies.

use std::collections::BTreeSet;

use evidence_ledger::Digest;

use super::{ApplyError, Logged, Subject, missing};
use crate::{
    event::Event,
    ids::OrgId,
    rows::{Certificate, OrgKey, Organisation, OrganisationIdentifier, Policy},
    world::{World, policy_key},
};

pub(super) fn apply(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::OrganisationRegistered(body) => {
            world.insert(OrganisationIdentifier {
                identifier: body.identifier.clone(),
                organisation: body.organisation.clone(),
                entry: logged.index,
            });
            world.insert(Organisation {
                id: body.organisation.clone(),
                identifier: body.identifier.clone(),
                name: body.name.clone(),
                roles: body.roles.clone(),
                suspended: false,
                keys: Vec::new(),
                certificates: BTreeSet::new(),
                entry: logged.index,
            });
        }
        Event::OrganisationUpdated(body) => {
            let row = organisation(world, event, &body.organisation)?;
            row.name.clone_from(&body.name);
            row.roles.clone_from(&body.roles);
            row.suspended = body.suspended;
        }
        Event::CertificateAdded(body) => {
            organisation(world, event, &body.organisation)?
                .certificates
                .insert(body.fingerprint);
            world.insert(Certificate {
                fingerprint: body.fingerprint,
                organisation: body.organisation.clone(),
                entry: logged.index,
            });
        }
        Event::CertificateRemoved(body) => {
            // The certificate's row stays and still names its organisation; the
            // organisation's set is what lets it in.
            organisation(world, event, &body.organisation)?
                .certificates
                .remove(&body.fingerprint);
        }
        _ => return apply_keys(world, logged, event),
    }
    Ok(())
}

fn apply_keys(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::KeyRegistered(body) => {
            let kid = kid(&body.key);
            let row = organisation(world, event, &body.organisation)?;
            row.keys.retain(|key| key.kid != kid);
            row.keys.push(OrgKey {
                kid,
                key: body.key.clone(),
                not_before: body.not_before,
                not_after: body.not_after,
            });
        }
        Event::KeyRetired(body) => {
            let row = organisation(world, event, &body.organisation)?;
            let key = row.keys.iter_mut().find(|key| key.kid == body.kid);
            key.ok_or_else(|| missing(event, &body.kid))?.not_after = body.not_after;
        }
        Event::PolicySet(body) => {
            let entry = world
                .get::<Policy>(policy_key(&body.name))
                .map_or(logged.index, |row| row.entry);
            world.insert(Policy {
                name: body.name.clone(),
                version: body.version,
                document: body.document.clone(),
                entry,
            });
        }
        _ => {}
    }
    Ok(())
}

fn organisation<'w>(
    world: &'w mut World,
    event: &Event,
    id: &OrgId,
) -> Result<&'w mut Organisation, ApplyError> {
    world
        .change::<Organisation>(id.as_str())
        .ok_or_else(|| missing(event, id))
}

/// The RFC 9679 thumbprint of a key, as a digest.
pub fn kid(key: &evidence_ledger::PublicKey) -> Digest {
    Digest::try_from(key.kid().as_slice()).expect("a thumbprint is a SHA-256 digest")
}

pub(super) fn subject(event: &Event) -> Option<Subject> {
    let organisation = match event {
        Event::OrganisationRegistered(body) => &body.organisation,
        Event::OrganisationUpdated(body) => &body.organisation,
        Event::CertificateAdded(body) => &body.organisation,
        Event::CertificateRemoved(body) => &body.organisation,
        Event::KeyRegistered(body) => &body.organisation,
        Event::KeyRetired(body) => &body.organisation,
        Event::Refused(body) => &body.organisation,
        _ => return None,
    };
    Some(Subject {
        urn: organisation.urn(),
        claimant: None,
        item: None,
        case: None,
        audience: BTreeSet::from([organisation.clone()]),
    })
}
