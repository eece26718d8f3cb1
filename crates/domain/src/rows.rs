//! State: what the statements add up to. Each row is rebuilt from them alone,
//! and names the entry whose aside holds its texts.

use std::collections::{BTreeMap, BTreeSet};

use evidence_ledger::{ChainHead, Digest, PublicKey};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    caller::Role,
    event::{
        Capture, CertifiedCopy, DecisionOutcome, Disclosure, Kinds, Nation, RepresentationKind,
        Scope, Use,
    },
    ids::{
        AccessId, AdjustmentId, BundleId, CaseId, ClaimantId, DecisionId, DelegationId, GrantId,
        ItemId, NoteId, OrgId, RepresentationId, RequestId,
    },
    time::{Moment, Period},
};

macro_rules! rows {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_attr:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_attr])* pub $field: $type,)* }
    )*};
}

rows! {
    Organisation {
        id: OrgId,
        /// `ods:RXX`, `charity:1234567`, …
        identifier: String,
        name: String,
        roles: BTreeSet<Role>,
        suspended: bool,
        keys: Vec<OrgKey>,
        certificates: BTreeSet<Digest>,
        /// Entry index of its registration, which orders lists.
        entry: u64,
    }
    OrgKey {
        /// RFC 9679 thumbprint.
        kid: Digest,
        key: PublicKey,
        not_before: Moment,
        not_after: Moment,
    }
    /// Which organisation a client certificate belongs to.
    Certificate {
        fingerprint: Digest,
        organisation: OrgId,
        entry: u64,
    }
    /// Which organisation an identifier belongs to, however it is spelt.
    OrganisationIdentifier {
        identifier: String,
        organisation: OrgId,
        entry: u64,
    }
    Policy {
        name: String,
        version: u32,
        document: String,
        entry: u64,
    }
    Claimant {
        id: ClaimantId,
        /// Keyed digest of each identifier, by kind.
        identifiers: BTreeMap<String, String>,
        birth: String,
        entry: u64,
    }
    /// Which claimant an identifier belongs to.
    Identifier {
        index: String,
        claimant: ClaimantId,
        entry: u64,
    }
    Grant {
        id: GrantId,
        claimant: ClaimantId,
        disclosers: BTreeSet<OrgId>,
        kinds: Kinds,
        recipient: OrgId,
        purposes: BTreeSet<String>,
        period: Period,
        expires_on: Date,
        capture: Capture,
        captured_by: OrgId,
        lawful_basis: String,
        representation: Option<RepresentationId>,
        granted_at: Moment,
        withdrawn_at: Option<Moment>,
        narrowed: u32,
        /// Who may act under it by delegation, now or once.
        intermediaries: BTreeSet<OrgId>,
        entry: u64,
    }
    Delegation {
        id: DelegationId,
        grant: GrantId,
        claimant: ClaimantId,
        discloser: Option<OrgId>,
        intermediary: OrgId,
        kinds: Kinds,
        expires_on: Date,
        by: OrgId,
        ended_at: Option<Moment>,
        entry: u64,
    }
    Representation {
        id: RepresentationId,
        claimant: ClaimantId,
        kind: RepresentationKind,
        scopes: BTreeSet<Scope>,
        expires_on: Date,
        by: OrgId,
        ended_at: Option<Moment>,
        entry: u64,
    }
    Case {
        id: CaseId,
        claimant: ClaimantId,
        grant: GrantId,
        recipient: OrgId,
        assessment_type: String,
        nation: Nation,
        mental_health: bool,
        opened_at: Moment,
        chain: ChainHead,
        official_chain: ChainHead,
        /// The newest bundle, whose heads a decision must name.
        bundle: Option<BundleId>,
        entry: u64,
    }
    Request {
        id: RequestId,
        case: CaseId,
        claimant: ClaimantId,
        grant: GrantId,
        recipient: OrgId,
        discloser: OrgId,
        /// Who may act on it by delegation, now or once.
        intermediaries: BTreeSet<OrgId>,
        kinds: Kinds,
        period: Period,
        state: RequestState,
        /// What the claimant sees: an answer with a withheld item does not show.
        claimant_state: RequestState,
        opened_at: Moment,
        due_on: Date,
        paused_on: Option<Date>,
        decline_reason: Option<String>,
        clarifications: Vec<Clarification>,
        entry: u64,
    }
    Clarification {
        asked_at: Moment,
        /// Entry whose aside holds the question.
        asked: u64,
        answered_at: Option<Moment>,
        answered: Option<u64>,
    }
    Item {
        id: ItemId,
        claimant: ClaimantId,
        grant: GrantId,
        request: Option<RequestId>,
        discloser: OrgId,
        intermediary: Option<OrgId>,
        recipient: OrgId,
        kind: String,
        media_type: String,
        size: u64,
        digest: Digest,
        period: Period,
        written_on: Date,
        profession: String,
        certified_copy: Option<CertifiedCopy>,
        disclosure: Disclosure,
        state: ItemState,
        received_at: Moment,
        supersedes: Option<ItemId>,
        superseded_by: Option<ItemId>,
        cases: BTreeSet<CaseId>,
        /// The evidence statement's entry.
        evidence: Digest,
        relay: Option<Digest>,
        entry: u64,
    }
    Bundle {
        id: BundleId,
        case: CaseId,
        claimant: ClaimantId,
        recipient: OrgId,
        purpose: String,
        /// All items, withheld ones too, with the entries of their statements.
        items: BTreeMap<ItemId, Digest>,
        chain: ChainHead,
        official_chain: Option<ChainHead>,
        pulled_at: Moment,
        /// Entry digests of the two statements about the pull.
        pulled: Digest,
        official: Option<Digest>,
        acknowledged_at: Option<Moment>,
        entry: u64,
    }
    Decision {
        id: DecisionId,
        case: CaseId,
        claimant: ClaimantId,
        recipient: OrgId,
        bundle: BundleId,
        outcome: DecisionOutcome,
        for_lack_of_evidence: bool,
        uses: BTreeMap<ItemId, Use>,
        official_uses: BTreeMap<ItemId, Use>,
        adjustments: BTreeSet<AdjustmentId>,
        overdue: BTreeSet<RequestId>,
        chain: ChainHead,
        official_head: Digest,
        official_digest: Digest,
        recorded_at: Moment,
        digest: Digest,
        entry: u64,
        official_entry: Option<u64>,
    }
    Note {
        id: NoteId,
        item: ItemId,
        claimant: ClaimantId,
        at: Moment,
        entry: u64,
    }
    Adjustment {
        id: AdjustmentId,
        claimant: ClaimantId,
        at: Moment,
        entry: u64,
    }
    /// A logged read of evidence, as the claimant sees it.
    Access {
        id: AccessId,
        claimant: ClaimantId,
        organisation: OrgId,
        representation: Option<RepresentationId>,
        purpose: String,
        action: AccessAction,
        items: BTreeSet<ItemId>,
        at: Moment,
        entry: u64,
        digest: Digest,
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AccessAction {
    Pulled,
    Viewed,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestState {
    Open,
    Acknowledged,
    Paused,
    Answered,
    Declined,
    Cancelled,
    Lapsed,
}

impl RequestState {
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Answered | Self::Declined | Self::Cancelled | Self::Lapsed
        )
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ItemState {
    Received,
    Screened,
    Delivered,
    Considered,
    Quarantined,
    Withdrawn,
    Superseded,
    Erased,
}

impl ItemState {
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Considered | Self::Withdrawn | Self::Superseded | Self::Erased
        )
    }

    /// Whether it can be part of a bundle.
    pub const fn is_available(self) -> bool {
        matches!(
            self,
            Self::Received | Self::Screened | Self::Delivered | Self::Considered
        )
    }
}

impl Organisation {
    pub fn signing_key(&self, kid: &[u8]) -> Option<&OrgKey> {
        self.keys
            .iter()
            .find(|key| key.kid.as_bytes().as_slice() == kid)
    }
}

impl Request {
    /// Overdue is a fact of the day; a paused request is not overdue.
    pub fn is_overdue(&self, now: Moment) -> bool {
        matches!(self.state, RequestState::Open | RequestState::Acknowledged)
            && now.day() > self.due_on
    }

    /// Overdue as far as the claimant can see. An answer they may not know of
    /// does not end it, in a decision either: it would tell them of the answer.
    pub fn is_overdue_to_claimant(&self, now: Moment) -> bool {
        matches!(
            self.claimant_state,
            RequestState::Open | RequestState::Acknowledged
        ) && now.day() > self.due_on
    }

    /// Whose turn it is.
    pub fn turn(&self) -> Option<&OrgId> {
        match self.state {
            RequestState::Open | RequestState::Acknowledged => Some(&self.discloser),
            RequestState::Paused => Some(&self.recipient),
            RequestState::Answered
            | RequestState::Declined
            | RequestState::Cancelled
            | RequestState::Lapsed => None,
        }
    }
}

impl Grant {
    pub fn is_live(&self, now: Moment) -> bool {
        self.withdrawn_at.is_none() && now.day() <= self.expires_on
    }

    pub fn covers_kind(&self, kind: &str) -> bool {
        covers_kind(&self.kinds, kind)
    }
}

impl Delegation {
    pub fn is_live(&self, now: Moment) -> bool {
        self.ended_at.is_none() && now.day() <= self.expires_on
    }
}

impl Representation {
    pub fn is_live(&self, now: Moment) -> bool {
        self.ended_at.is_none() && now.day() <= self.expires_on
    }
}

/// Whether `kinds` names `kind` or every kind.
pub fn covers_kind(kinds: &Kinds, kind: &str) -> bool {
    kinds.contains("*") || kinds.contains(kind)
}
