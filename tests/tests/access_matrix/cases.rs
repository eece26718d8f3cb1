//! One call of every method, and one of everything to call it about.

mod evidence;
mod ledger;
mod people;

use anyhow::{Context as _, Result};
use evidence_domain::{
    Role,
    event::{CertifiedCopy, DecisionRecorded},
    ids::{
        BundleId, CaseId, ClaimantId, DecisionId, DelegationId, GrantId, ItemId, OrgId,
        RepresentationId, RequestId, UploadId,
    },
};
use evidence_tests::{
    Org, World, ok, random,
    world::{Decide, Pulled},
};
use evidence_wire::v1;
use tonic::{Response, Status};

/// A table of methods, each with the call that is made of it.
macro_rules! calls {
    ($name:ident, $client:ident; $($method:literal => $rpc:ident($message:expr);)*) => {
        match $name {
            $($method => super::text($client.$rpc($message).await?),)*
            _ => return Err(super::no_case($name)),
        }
    };
}
use calls;

/// What a call may name.
#[derive(Debug, Clone)]
pub struct Ids {
    claimant: String,
    grant: String,
    delegation: String,
    representation: String,
    case: String,
    request: String,
    item: String,
    bundle: String,
    decision: String,
    upload: String,
    organisation: String,
    decide: Decide,
}

/// One of everything, whose parties are the trust, the DWP and, by delegation, `other_vcse`.
pub struct Things {
    ids: Ids,
    /// A delegation that the recipient wrote down for the claimant.
    of_recipient: String,
    /// A copy of paper that the intermediary certified.
    copy: String,
}

impl Things {
    /// What a role is a party to.
    pub fn of(&self, role: Role) -> Ids {
        match role {
            Role::Recipient => Ids {
                delegation: self.of_recipient.clone(),
                ..self.ids.clone()
            },
            Role::Intermediary => Ids {
                item: self.copy.clone(),
                ..self.ids.clone()
            },
            _ => self.ids.clone(),
        }
    }
}

pub async fn things(world: &World) -> Result<Things> {
    let claimant = world.claimant().await?;
    let disclosers = vec![world.trust.id.to_string(), world.gp.id.to_string()];
    let grant = world
        .grant_with(v1::CreateGrantRequest {
            disclosers,
            ..world.grant_request(&claimant)
        })
        .await?;
    let delegation = world
        .delegate(&world.trust, &grant, &world.other_vcse)
        .await?;
    let of_recipient = of_recipient(world, &claimant).await?;
    let case = world.case(&grant, "wca").await?;
    let request = world.request(&case, &grant, &world.trust).await?;
    let evidence = world.evidence(&grant, Some(&request), b"letter");
    let item = evidence.item.clone();
    let push = world.push(&world.trust, &request.subject, evidence)?;
    let relay = world.relay(&item, &push, Some(&delegation))?;
    let push = world.relayed(&world.other_vcse, &request.subject, push, relay)?;
    world.give(&world.other_vcse, &push, b"letter").await?;
    let mut copy = world.evidence(&grant, Some(&request), b"scan");
    let delegation_id = Some(delegation.delegation_id.parse()?);
    copy.certified_copy = Some(CertifiedCopy {
        method: "scan".to_owned(),
        origin: None,
        delegation: delegation_id,
    });
    let push = world.push(&world.other_vcse, &request.subject, copy)?;
    let copy = world
        .give(&world.other_vcse, &push, b"scan")
        .await?
        .to_string();
    let named = ok!(world
        .dwp
        .consent()
        .name_representative(naming(world, &claimant)));
    let pulled: Pulled = world.pull(&case).await?;
    let decide = world.decide(&case, &pulled)?;
    let decision = world.record(&decide).await?;
    let ids = Ids {
        claimant,
        grant: grant.grant_id,
        delegation: delegation.delegation_id,
        representation: named
            .representation
            .context("no representation")?
            .representation_id,
        case: case.case_id,
        request: request.request_id,
        item: item.to_string(),
        bundle: pulled.bundle().bundle_id.clone(),
        decision: decision.decision_id,
        upload: String::new(),
        organisation: world.gp.id.to_string(),
        decide,
    };
    Ok(Things {
        ids,
        of_recipient,
        copy,
    })
}

/// A delegation under a grant that the recipient took, by telephone.
async fn of_recipient(world: &World, claimant: &str) -> Result<String> {
    let taken = ok!(world.dwp.consent().create_grant(v1::CreateGrantRequest {
        capture: v1::Capture::ByPhone.into(),
        witness: "A. Witness".to_owned(),
        ..world.grant_request(claimant)
    }));
    let taken = taken.grant.context("no grant")?;
    let delegation = world
        .delegate(&world.dwp, &taken, &world.other_vcse)
        .await?;
    Ok(delegation.delegation_id)
}

impl Ids {
    /// Ids of the same kinds that were never given.
    pub fn absent(&self) -> Self {
        let case = CaseId::from_random(random());
        let body = DecisionRecorded {
            case: case.clone(),
            ..self.decide.body.clone()
        };
        Self {
            claimant: ClaimantId::from_random(random()).to_string(),
            grant: GrantId::from_random(random()).to_string(),
            delegation: DelegationId::from_random(random()).to_string(),
            representation: RepresentationId::from_random(random()).to_string(),
            request: RequestId::from_random(random()).to_string(),
            item: ItemId::from_random(random()).to_string(),
            bundle: BundleId::from_random(random()).to_string(),
            decision: DecisionId::from_random(random()).to_string(),
            upload: UploadId::from_random(random()).to_string(),
            organisation: OrgId::from_random(random()).to_string(),
            decide: Decide {
                body,
                subject: case.urn(),
                ..self.decide.clone()
            },
            case: case.to_string(),
        }
    }

    /// What a list must show to its party, and to nobody else.
    pub fn listed(&self, path: &str) -> Option<&str> {
        Some(match name(path) {
            "ListGrants" => &self.grant,
            "ListDelegations" => &self.delegation,
            "ListRepresentations" => &self.representation,
            "ListCases" => &self.case,
            "ListRequests" | "Watch" => &self.request,
            "ListItems" => &self.item,
            _ => return None,
        })
    }
}

/// Methods after which there is less to call the others about.
pub fn ends_something(path: &str) -> bool {
    let ends = [
        "Withdraw", "End", "Cancel", "Decline", "Narrow", "Update", "Remove", "Retire",
    ];
    ends.iter().any(|verb| name(path).starts_with(verb))
}

/// Methods for which knowing a claimant's id is enough: whoever sits with them takes their consent.
pub fn is_open_to_any(path: &str) -> bool {
    ["CreateGrant", "NameRepresentative"].contains(&name(path))
}

/// Calls a method about these ids; what it answered, as text.
pub async fn call(world: &World, org: &Org, ids: &Ids, path: &str) -> Result<String, Status> {
    let service = path.rsplit('/').nth(1).unwrap_or_default();
    match service.trim_start_matches("evidence.v1.") {
        "ConsentService" => people::consent(world, org, ids, name(path)).await,
        "RequestService" => people::requests(world, org, ids, name(path)).await,
        "EvidenceService" => evidence::evidence(world, org, ids, name(path)).await,
        "BundleService" => evidence::bundles(world, org, ids, name(path)).await,
        "DecisionService" => evidence::decisions(world, org, ids, name(path)).await,
        "RecordService" => people::record(world, org, ids, name(path)).await,
        "LedgerService" => ledger::ledger(org, name(path)).await,
        "DirectoryService" => ledger::directory(world, org, ids, name(path)).await,
        _ => Err(no_case(path)),
    }
}

fn name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

fn no_case(path: &str) -> Status {
    Status::unimplemented(format!("{path} has no case: add one here"))
}

fn text<T: std::fmt::Debug>(answer: Response<T>) -> String {
    format!("{:?}", answer.into_inner())
}

#[expect(
    clippy::needless_pass_by_value,
    reason = "the shape that map_err takes"
)]
fn faulty(error: anyhow::Error) -> Status {
    Status::internal(format!("the case cannot be made: {error:#}"))
}

fn naming(world: &World, claimant: &str) -> v1::NameRepresentativeRequest {
    v1::NameRepresentativeRequest {
        request_id: world.key(),
        claimant_id: claimant.to_owned(),
        kind: v1::RepresentationKind::Representative.into(),
        name: "A. Friend".to_owned(),
        scopes: vec![v1::RepresentationScope::SeeProgress.into()],
        expires_on: evidence_domain::time::days_after(world.now().day(), 100).to_string(),
        capture: v1::Capture::InPerson.into(),
        witness: "A. Witness".to_owned(),
    }
}
