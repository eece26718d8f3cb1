//! What a recipient pulls for a case, and its signed word for it.

use std::collections::BTreeMap;

use evidence_ledger::Digest;

use crate::{
    access::ForOrganisations,
    caller::Caller,
    command::{AcknowledgeBundle, JoinItems, PullBundle},
    event::{BundleOfficial, BundlePulled, Disclosure, Event, EvidenceJoined},
    ids::{CaseId, ItemId},
    policy,
    refusal::{Reason, Refusal},
    rows::{Case, Grant, Item},
    rules::{Emitted, Outcome, grants},
    signed::Verified,
    time::Moment,
    world::{Needs, World},
};

/// Items in one bundle, at most: its statements and its manifest are single
/// messages.
pub const BUNDLE_ITEMS: usize = 2_000;

/// Makes every item that is available for the case part of it.
pub fn join(
    world: &World,
    caller: &Caller,
    c: &JoinItems,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let case = to_pull(world, caller, &c.case, &c.purpose, now)?;
    let mut outcome = Outcome::already(&c.case);
    let held = grants::available(world, &case.claimant, &case.recipient, &c.purpose, now);
    outcome.emitted.extend(
        held.into_iter()
            .filter(|item| !item.cases.contains(&c.case))
            .map(|item| {
                Emitted::stated(EvidenceJoined {
                    item: item.id.clone(),
                    case: c.case.clone(),
                    evidence: item.evidence,
                })
            }),
    );
    Ok(outcome)
}

/// Makes a bundle of the case's available items. [`join`] comes first; what
/// became available after it is in the next bundle.
pub fn pull(
    world: &World,
    caller: &Caller,
    c: &PullBundle,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let case = to_pull(world, caller, &c.case, &c.purpose, now)?;
    let held = grants::available(world, &case.claimant, &case.recipient, &c.purpose, now);
    if held.len() > BUNDLE_ITEMS {
        let detail = format!("There are {} items for the case.", held.len());
        return Err(Refusal::new(Reason::BundleTooLarge, detail));
    }
    let (open, withheld): (Vec<&Item>, Vec<&Item>) = held
        .into_iter()
        .filter(|item| item.cases.contains(&c.case))
        .partition(|item| item.disclosure == Disclosure::Open);
    let pulled = BundlePulled {
        bundle: c.id.clone(),
        case: c.case.clone(),
        purpose: c.purpose.clone(),
        by: caller.org.clone(),
        items: entries(&open),
        chain: case.chain,
    };
    let official = BundleOfficial {
        bundle: c.id.clone(),
        case: c.case.clone(),
        items: entries(&withheld),
        official_chain: case.official_chain,
    };
    Ok(
        Outcome::of(&c.id, Emitted::stated(pulled).text("actor", &c.actor))
            .and(Emitted::stated(official)),
    )
}

/// The recipient signs that it has the bundle.
pub fn acknowledge(
    world: &World,
    caller: &Caller,
    c: &AcknowledgeBundle,
    now: Moment,
) -> Result<Outcome, Refusal> {
    let Event::BundleAcknowledged(body) = c.acknowledgement.event() else {
        return Err(Refusal::new(
            Reason::StatementPayloadInvalid,
            "This call takes a `bundle-acknowledged` statement.",
        ));
    };
    issued_by(&c.acknowledgement, world, caller, now)?;
    let bundle = world
        .bundle(&body.bundle)
        .filter(|row| row.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)?;
    if c.acknowledgement.subject() != bundle.case.urn() {
        return Err(Refusal::new(
            Reason::StatementWrongSubject,
            "The sub claim is not the bundle's case.",
        ));
    }
    if body.pulled != bundle.pulled || Some(body.official) != bundle.official {
        return Err(Refusal::new(
            Reason::BundleMismatch,
            "The entries are not those of the bundle's two statements.",
        ));
    }
    if body.received_on < bundle.pulled_at.day() || body.received_on > now.day() {
        let detail = "`received_on` is not a day between the pull and today.";
        return Err(Refusal::new(Reason::StatementTimeInvalid, detail));
    }
    if bundle.acknowledged_at.is_some() {
        return Err(Refusal::new(
            Reason::AlreadyExists,
            "The bundle has been acknowledged.",
        ));
    }
    Ok(Outcome::of(
        &body.bundle,
        Emitted::signed(&c.acknowledgement),
    ))
}

pub fn acknowledgement_needs(c: &AcknowledgeBundle) -> Needs {
    match c.acknowledgement.event() {
        Event::BundleAcknowledged(body) => Needs::default().key(&body.bundle),
        _ => Needs::default(),
    }
}

/// The caller's organisation signed it, with a key that is still good.
pub(super) fn issued_by(
    statement: &Verified,
    world: &World,
    caller: &Caller,
    now: Moment,
) -> Result<(), Refusal> {
    if *statement.issuer() != caller.org {
        let detail = "The statement is another organisation's than the caller's.";
        return Err(Refusal::new(Reason::StatementWrongIssuer, detail));
    }
    statement.recheck(world.organisation(&caller.org), now)
}

/// The caller's case, if something may be pulled for it now: the purpose is in
/// the policy in force and is the case's, and a live grant is for it.
fn to_pull<'w>(
    world: &'w World,
    caller: &Caller,
    id: &CaseId,
    purpose: &str,
    now: Moment,
) -> Result<&'w Case, Refusal> {
    let case = world
        .case(id)
        .filter(|case| case.is_seen_by(caller))
        .ok_or_else(Refusal::not_found)?;
    let unknown = || {
        Refusal::new(
            Reason::OrganisationUnknown,
            "The recipient is not registered.",
        )
    };
    let recipient = world.organisation(&caller.org).ok_or_else(unknown)?;
    policy::purposes(world)?
        .get(purpose)?
        .allows_recipient(&recipient.identifier)?;
    if case.assessment_type != purpose {
        let detail = format!("The case is for the purpose `{}`.", case.assessment_type);
        return Err(Refusal::new(Reason::GrantDoesNotCoverPurpose, detail));
    }
    let lets = |grant: &Grant| {
        grants::live(grant, now)?;
        grants::covers_recipient(grant, &case.recipient)?;
        grants::covers_purpose(grant, purpose)
    };
    let mut others = world
        .all::<Grant>()
        .into_iter()
        .filter(|grant| grant.claimant == case.claimant);
    if !others.any(|grant| lets(grant).is_ok()) {
        // The grant that the case was opened under says why.
        world
            .grant(&case.grant)
            .map_or_else(|| Err(Refusal::not_found()), lets)?;
    }
    Ok(case)
}

fn entries(items: &[&Item]) -> BTreeMap<ItemId, Digest> {
    items
        .iter()
        .map(|item| (item.id.clone(), item.evidence))
        .collect()
}

#[cfg(test)]
pub(super) mod scene;
#[cfg(test)]
mod tests;
