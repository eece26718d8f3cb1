//! Who reads what: every organisation asks for everything there is.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use evidence_domain::{
    Record, Role, World as Folded,
    ids::{BundleId, CaseId, DecisionId, GrantId, ItemId, OrgId, RequestId},
};
use evidence_wire::v1;
use tonic::{Code, Status};

use crate::{Org, World, random, world::describe};

/// Rows of one kind that are asked for; more would only take longer.
const SAMPLE: usize = 12;

/// Each organisation gets a row if it is a party to it; otherwise the answer is, to the last bit,
/// that for an id that was never given.
pub async fn nobody_reads_what_is_not_theirs(world: &World, folded: &Folded) -> Result<()> {
    let mut kinds: std::collections::BTreeMap<&str, Vec<&Record>> =
        std::collections::BTreeMap::new();
    for record in folded.records() {
        kinds.entry(record.kind()).or_default().push(record);
    }
    for records in kinds.values_mut() {
        // The newest, in which most has happened; which they are does not depend on the run.
        records.sort_by_key(|record| std::cmp::Reverse(record.index().entry));
        for record in records.iter().take(SAMPLE) {
            let Some((parties, roles)) = readers(world, record) else {
                continue;
            };
            for org in world.organisations() {
                if org.roles.is_disjoint(&roles) {
                    continue;
                }
                one(org, record, parties.contains(&org.id)).await?;
            }
        }
    }
    Ok(())
}

async fn one(org: &Org, record: &Record, is_party: bool) -> Result<()> {
    let key = record.key();
    match read(org, record, &key).await {
        Ok(()) => ensure!(is_party, "{} may read {key}", org.identifier),
        Err(status) => {
            ensure!(
                !is_party,
                "{} may not read {key}: {}",
                org.identifier,
                describe(&status)
            );
            let absent = read(org, record, &absent(record)).await;
            ensure!(
                status.code() == Code::NotFound,
                "{}: {}",
                org.identifier,
                describe(&status)
            );
            let same = absent.is_err_and(|other| {
                (other.code(), other.message(), other.details())
                    == (status.code(), status.message(), status.details())
            });
            ensure!(
                same,
                "{} can tell {key} from what is not there",
                org.identifier
            );
        }
    }
    Ok(())
}

/// The organisations that may read a row, and the roles that may ask for rows of its kind.
fn readers(world: &World, record: &Record) -> Option<(BTreeSet<OrgId>, BTreeSet<Role>)> {
    let mut parties = record.index().parties;
    let recipient: BTreeSet<Role> = [Role::Recipient].into();
    let givers: BTreeSet<Role> = [Role::Recipient, Role::Discloser, Role::Intermediary].into();
    match record {
        Record::Grant(_) => {
            parties.insert(world.portal.id.clone());
            Some((
                parties,
                [
                    Role::Recipient,
                    Role::Discloser,
                    Role::Intermediary,
                    Role::Portal,
                ]
                .into(),
            ))
        }
        Record::Case(_) | Record::Bundle(_) | Record::Decision(_) => Some((parties, recipient)),
        Record::Request(_) => Some((parties, givers)),
        Record::Item(item) => {
            if item.cases.is_empty() {
                parties.remove(&item.recipient);
            }
            Some((parties, givers))
        }
        _ => None,
    }
}

async fn read(org: &Org, record: &Record, key: &str) -> Result<(), Status> {
    let id = key.to_owned();
    match record {
        Record::Grant(_) => org
            .consent()
            .get_grant(v1::GetGrantRequest { grant_id: id })
            .await
            .map(drop),
        Record::Case(_) => org
            .requests()
            .get_case(v1::GetCaseRequest { case_id: id })
            .await
            .map(drop),
        Record::Request(_) => org
            .requests()
            .get_request(v1::GetRequestRequest {
                evidence_request_id: id,
            })
            .await
            .map(drop),
        Record::Item(_) => org
            .evidence()
            .get_item(v1::GetItemRequest { item_id: id })
            .await
            .map(drop),
        Record::Bundle(_) => org
            .bundles()
            .get_bundle(v1::GetBundleRequest { bundle_id: id })
            .await
            .map(drop),
        Record::Decision(_) => {
            let asked = v1::GetDecisionRequest {
                decision_id: id.clone(),
            };
            org.decisions().get_decision(asked).await?;
            org.decisions()
                .get_uses(v1::GetUsesRequest { decision_id: id })
                .await
                .map(drop)
        }
        _ => Ok(()),
    }
}

/// An id of the record's kind that was never given.
fn absent(record: &Record) -> String {
    match record {
        Record::Grant(_) => GrantId::from_random(random()).to_string(),
        Record::Case(_) => CaseId::from_random(random()).to_string(),
        Record::Request(_) => RequestId::from_random(random()).to_string(),
        Record::Item(_) => ItemId::from_random(random()).to_string(),
        Record::Bundle(_) => BundleId::from_random(random()).to_string(),
        _ => DecisionId::from_random(random()).to_string(),
    }
}
