//! From statements to state: the one projection. The journal applies each
//! event as it logs it; `fsck` and the tests fold the whole log through the
//! same function and compare.

use std::collections::BTreeSet;

use evidence_ledger::{ChainHead, Digest};

use crate::{
    event::{Disclosure, Event},
    ids::{CaseId, ClaimantId, ItemId, OrgId},
    rows::{Case, Item},
    time::Moment,
    world::World,
};

mod consent;
mod directory;
mod evidence;
mod request;
mod use_;

pub use directory::kid;
pub use evidence::OWN_WORDS;

/// Where and when a statement was logged, and who issued it.
#[derive(Debug, Clone)]
pub struct Logged {
    pub index: u64,
    pub entry: Digest,
    pub at: Moment,
    /// The organisation that signed it; `None` for the gateway's own.
    pub issuer: Option<OrgId>,
}

/// A row that the event is about was not loaded. In the journal this is a bug,
/// in `fsck` it is a finding.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("event `{event}` speaks of `{key}`, which is not there")]
pub struct ApplyError {
    pub event: &'static str,
    pub key: String,
}

/// Which of a case's two chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Chain {
    /// What the claimant may see and count.
    Claimant,
    /// What is withheld, and what would betray it.
    Official,
}

/// Applies one event: chains first, then rows.
pub fn apply(world: &mut World, logged: &Logged, event: &Event) -> Result<(), ApplyError> {
    if let Event::CaseOpened(_) | Event::OfficialOpened(_) = event {
        // A seed starts a chain; the statement that carries it is not folded.
    } else {
        for (case, chain) in chains(world, event) {
            fold(world, event, &case, chain, &logged.entry)?;
        }
    }
    match event {
        Event::LogPolicy(_) | Event::Refused(_) => Ok(()),
        Event::OrganisationRegistered(_)
        | Event::OrganisationUpdated(_)
        | Event::CertificateAdded(_)
        | Event::CertificateRemoved(_)
        | Event::KeyRegistered(_)
        | Event::KeyRetired(_)
        | Event::PolicySet(_) => directory::apply(world, logged, event),
        Event::ClaimantRegistered(_)
        | Event::GrantCreated(_)
        | Event::GrantNarrowed(_)
        | Event::GrantWithdrawn(_)
        | Event::DelegationCreated(_)
        | Event::DelegationEnded(_)
        | Event::RepresentationNamed(_)
        | Event::RepresentationEnded(_) => consent::apply(world, logged, event),
        Event::CaseOpened(_)
        | Event::OfficialOpened(_)
        | Event::RequestOpened(_)
        | Event::RequestAcknowledged(_)
        | Event::ClarificationAsked(_)
        | Event::ClarificationAnswered(_)
        | Event::RequestDeclined(_)
        | Event::RequestCancelled(_) => request::apply(world, logged, event),
        Event::Evidence(_)
        | Event::EvidenceRelayed(_)
        | Event::EvidenceJoined(_)
        | Event::ItemWithdrawn(_)
        | Event::DisclosureDeclared(_)
        | Event::ItemDisclosed(_)
        | Event::OwnStatement(_)
        | Event::NoteAdded(_)
        | Event::AdjustmentStated(_) => evidence::apply(world, logged, event),
        Event::BundlePulled(_)
        | Event::BundleOfficial(_)
        | Event::BundleAcknowledged(_)
        | Event::DecisionRecorded(_)
        | Event::DecisionOfficial(_)
        | Event::ItemViewed(_) => use_::apply(world, logged, event),
    }
}

fn fold(
    world: &mut World,
    event: &Event,
    case: &CaseId,
    chain: Chain,
    entry: &Digest,
) -> Result<(), ApplyError> {
    let row = world
        .change::<Case>(case.as_str())
        .ok_or_else(|| missing(event, case))?;
    let head: &mut ChainHead = match chain {
        Chain::Claimant => &mut row.chain,
        Chain::Official => &mut row.official_chain,
    };
    *head = head.fold(entry);
    Ok(())
}

pub(crate) fn missing(event: &Event, key: &(impl ToString + ?Sized)) -> ApplyError {
    ApplyError {
        event: event.name(),
        key: key.to_string(),
    }
}

/// The case chains on which an event's entry is folded.
pub fn chains(world: &World, event: &Event) -> BTreeSet<(CaseId, Chain)> {
    let claimant = |case: &CaseId| BTreeSet::from([(case.clone(), Chain::Claimant)]);
    let official = |case: &CaseId| BTreeSet::from([(case.clone(), Chain::Official)]);
    match event {
        Event::CaseOpened(body) => claimant(&body.case),
        Event::OfficialOpened(body) => official(&body.case),
        Event::RequestOpened(body) => claimant(&body.case),
        Event::RequestAcknowledged(body) => of_request(world, &body.request),
        Event::ClarificationAsked(body) => of_request(world, &body.request),
        Event::ClarificationAnswered(body) => of_request(world, &body.request),
        Event::RequestDeclined(body) => of_request(world, &body.request),
        Event::RequestCancelled(body) => of_request(world, &body.request),
        Event::Evidence(body) => body
            .request
            .as_ref()
            .and_then(|request| world.request(request))
            .map(|request| BTreeSet::from([(request.case.clone(), chain_of(body.disclosure))]))
            .unwrap_or_default(),
        Event::EvidenceRelayed(body) => of_item(world, &body.item),
        Event::EvidenceJoined(body) => world
            .item(&body.item)
            .map(|item| BTreeSet::from([(body.case.clone(), chain_of(item.disclosure))]))
            .unwrap_or_default(),
        Event::ItemWithdrawn(body) => of_item(world, &body.item),
        Event::NoteAdded(body) => of_item(world, &body.item),
        // A declaration names a withheld item, before or after; that it was made is official.
        Event::DisclosureDeclared(body) => on(world.item(&body.item), Chain::Official),
        Event::ItemDisclosed(body) => on(world.item(&body.item), Chain::Claimant),
        Event::BundlePulled(body) => claimant(&body.case),
        Event::BundleOfficial(body) => official(&body.case),
        Event::BundleAcknowledged(body) => world
            .bundle(&body.bundle)
            .map(|bundle| claimant(&bundle.case))
            .unwrap_or_default(),
        Event::DecisionRecorded(body) => claimant(&body.case),
        Event::DecisionOfficial(body) => world
            .decision(&body.decision)
            .map(|decision| official(&decision.case))
            .unwrap_or_default(),
        _ => BTreeSet::new(),
    }
}

fn of_request(world: &World, request: &crate::ids::RequestId) -> BTreeSet<(CaseId, Chain)> {
    world
        .request(request)
        .map(|request| BTreeSet::from([(request.case.clone(), Chain::Claimant)]))
        .unwrap_or_default()
}

fn of_item(world: &World, item: &ItemId) -> BTreeSet<(CaseId, Chain)> {
    let item = world.item(item);
    on(
        item,
        item.map_or(Chain::Claimant, |item| chain_of(item.disclosure)),
    )
}

fn on(item: Option<&Item>, chain: Chain) -> BTreeSet<(CaseId, Chain)> {
    item.map(|item| {
        item.cases
            .iter()
            .map(|case| (case.clone(), chain))
            .collect()
    })
    .unwrap_or_default()
}

pub(crate) const fn chain_of(disclosure: Disclosure) -> Chain {
    match disclosure {
        Disclosure::Open => Chain::Claimant,
        Disclosure::Withheld => Chain::Official,
    }
}

/// What a statement is about: its `sub` claim, whose key seals it, and who is
/// told of it on `Watch`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subject {
    pub urn: String,
    pub claimant: Option<ClaimantId>,
    /// Set for what is said about one item's document: sealed with the item's key.
    pub item: Option<ItemId>,
    pub case: Option<CaseId>,
    pub audience: BTreeSet<OrgId>,
}

/// Reads the subject off an event and the rows it names. `origin` is the
/// log's own URN, for what is about nobody. Called before [`apply`]: a statement
/// names its subject before it has a digest to apply.
pub fn subject(world: &World, origin: &str, event: &Event) -> Subject {
    directory::subject(event)
        .or_else(|| consent::subject(world, event))
        .or_else(|| request::subject(world, event))
        .or_else(|| evidence::subject(world, event))
        .or_else(|| use_::subject(world, event))
        .unwrap_or_else(|| Subject {
            urn: origin.to_owned(),
            claimant: None,
            item: None,
            case: None,
            audience: BTreeSet::new(),
        })
}
