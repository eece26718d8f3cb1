//! Claimants, grants, delegations, representations.

use std::collections::BTreeSet;

use super::{ApplyError, Logged, Subject, missing};
use crate::{
    event::{DelegationCreated, Event},
    ids::{ClaimantId, DelegationId, GrantId, OrgId, RepresentationId},
    rows::{Claimant, Delegation, Grant, Identifier, Representation, Request},
    world::World,
};

pub(super) fn apply(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::ClaimantRegistered(body) => {
            for index in body.identifiers.values() {
                world.insert(Identifier {
                    index: index.clone(),
                    claimant: body.claimant.clone(),
                    entry: logged.index,
                });
            }
            world.insert(Claimant {
                id: body.claimant.clone(),
                identifiers: body.identifiers.clone(),
                birth: body.birth.clone(),
                entry: logged.index,
            });
        }
        Event::GrantCreated(body) => world.insert(Grant {
            id: body.grant.clone(),
            claimant: body.claimant.clone(),
            disclosers: body.disclosers.clone(),
            kinds: body.kinds.clone(),
            recipient: body.recipient.clone(),
            purposes: body.purposes.clone(),
            period: body.period,
            expires_on: body.expires_on,
            capture: body.capture,
            captured_by: body.by.clone(),
            lawful_basis: body.lawful_basis.clone(),
            representation: body.representation.clone(),
            granted_at: logged.at,
            withdrawn_at: None,
            narrowed: 0,
            intermediaries: BTreeSet::new(),
            entry: logged.index,
        }),
        Event::GrantNarrowed(body) => {
            let row = world
                .change::<Grant>(body.grant.as_str())
                .ok_or_else(|| missing(event, &body.grant))?;
            row.disclosers.clone_from(&body.disclosers);
            row.kinds.clone_from(&body.kinds);
            row.purposes.clone_from(&body.purposes);
            row.period = body.period;
            row.expires_on = body.expires_on;
            row.narrowed += 1;
        }
        Event::GrantWithdrawn(body) => {
            let row = world
                .change::<Grant>(body.grant.as_str())
                .ok_or_else(|| missing(event, &body.grant))?;
            row.withdrawn_at = Some(logged.at);
        }
        _ => return apply_helpers(world, logged, event),
    }
    Ok(())
}

fn apply_helpers(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    match event {
        Event::DelegationCreated(body) => {
            let grant = world
                .change::<Grant>(body.grant.as_str())
                .ok_or_else(|| missing(event, &body.grant))?;
            grant.intermediaries.insert(body.intermediary.clone());
            let claimant = grant.claimant.clone();
            let_into_requests(world, body);
            world.insert(Delegation {
                id: body.delegation.clone(),
                grant: body.grant.clone(),
                claimant,
                discloser: body.discloser.clone(),
                intermediary: body.intermediary.clone(),
                kinds: body.kinds.clone(),
                expires_on: body.expires_on,
                by: body.by.clone(),
                ended_at: None,
                entry: logged.index,
            });
        }
        Event::DelegationEnded(body) => {
            let row = world.change::<Delegation>(body.delegation.as_str());
            row.ok_or_else(|| missing(event, &body.delegation))?
                .ended_at = Some(logged.at);
        }
        Event::RepresentationNamed(body) => world.insert(Representation {
            id: body.representation.clone(),
            claimant: body.claimant.clone(),
            kind: body.kind,
            scopes: body.scopes.clone(),
            expires_on: body.expires_on,
            by: body.by.clone(),
            ended_at: None,
            entry: logged.index,
        }),
        Event::RepresentationEnded(body) => {
            let row = world.change::<Representation>(body.representation.as_str());
            row.ok_or_else(|| missing(event, &body.representation))?
                .ended_at = Some(logged.at);
        }
        _ => {}
    }
    Ok(())
}

/// Requests under the grant become the intermediary's to see.
fn let_into_requests(world: &mut World, body: &DelegationCreated) {
    let requests: Vec<_> = world
        .all::<Request>()
        .into_iter()
        .filter(|row| row.grant == body.grant)
        .filter(|row| {
            body.discloser
                .as_ref()
                .is_none_or(|discloser| *discloser == row.discloser)
        })
        .map(|row| row.id.clone())
        .collect();
    for id in requests {
        if let Some(row) = world.change::<Request>(id.as_str()) {
            row.intermediaries.insert(body.intermediary.clone());
        }
    }
}

pub(super) fn subject(world: &World, event: &Event) -> Option<Subject> {
    match event {
        Event::ClaimantRegistered(body) => Some(of_claimant(&body.claimant, [&body.by])),
        Event::GrantCreated(body) => Some(Subject {
            urn: body.grant.urn(),
            ..of_claimant(
                &body.claimant,
                body.disclosers.iter().chain([&body.recipient, &body.by]),
            )
        }),
        Event::GrantNarrowed(body) => of_grant(world, &body.grant, [&body.by]),
        Event::GrantWithdrawn(body) => of_grant(world, &body.grant, [&body.by]),
        Event::DelegationCreated(body) => {
            of_grant(world, &body.grant, [&body.intermediary, &body.by])
        }
        Event::DelegationEnded(body) => of_delegation(world, &body.delegation),
        Event::RepresentationNamed(body) => Some(of_claimant(&body.claimant, [&body.by])),
        Event::RepresentationEnded(body) => of_representation(world, &body.representation),
        _ => None,
    }
}

pub(super) fn of_claimant<'a>(
    claimant: &ClaimantId,
    audience: impl IntoIterator<Item = &'a OrgId>,
) -> Subject {
    Subject {
        urn: claimant.urn(),
        claimant: Some(claimant.clone()),
        item: None,
        case: None,
        audience: audience.into_iter().cloned().collect::<BTreeSet<_>>(),
    }
}

fn of_grant<'a>(
    world: &'a World,
    grant: &GrantId,
    also: impl IntoIterator<Item = &'a OrgId>,
) -> Option<Subject> {
    let row = world.grant(grant)?;
    let parties = row
        .disclosers
        .iter()
        .chain(&row.intermediaries)
        .chain([&row.recipient, &row.captured_by])
        .chain(also);
    Some(Subject {
        urn: grant.urn(),
        ..of_claimant(&row.claimant, parties)
    })
}

fn of_delegation(world: &World, id: &DelegationId) -> Option<Subject> {
    let row = world.delegation(id)?;
    of_grant(world, &row.grant, [&row.intermediary, &row.by])
}

fn of_representation(world: &World, id: &RepresentationId) -> Option<Subject> {
    world
        .representation(id)
        .map(|row| of_claimant(&row.claimant, [&row.by]))
}
