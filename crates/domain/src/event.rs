//! Every change of state is one of these events, carried by one statement.
//! The bodies are the CBOR maps of `proto/cddl`; they hold no names, numbers
//! of persons or free text: such texts are the statement's aside.

use std::collections::{BTreeMap, BTreeSet};

use evidence_ledger::{
    ChainHead, Digest, Payload, PublicKey,
    cbor::{from_value, to_value},
};
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::{
    caller::Role,
    ids::{
        AccessId, AdjustmentId, BundleId, CaseId, ClaimantId, DecisionId, DelegationId, GrantId,
        ItemId, NoteId, OrgId, RefusalId, RepresentationId, RequestId,
    },
    time::{Moment, Period},
};

/// Texts sealed beside a statement, by name; the statement commits to them.
pub type Aside = BTreeMap<String, String>;

/// Evidence kinds such as `clinical-letter`; `*` is every kind.
pub type Kinds = BTreeSet<String>;

/// A payload that is not the event its header names, or not as its CDDL says.
#[derive(Debug, thiserror::Error)]
pub enum EventError {
    #[error("unknown event `{0}`: see proto/cddl for the events there are")]
    Unknown(String),
    #[error("the body of `{event}` is not as proto/cddl says: {detail}")]
    Body { event: &'static str, detail: String },
}

macro_rules! events {
    ($($name:ident = $code:literal;)*) => {
        /// What happened.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event { $($name($name),)* }

        impl Event {
            /// Every event's name, as in the payload and in `proto/cddl`.
            pub const NAMES: &'static [&'static str] = &[$($code,)*];

            pub const fn name(&self) -> &'static str {
                match self { $(Event::$name(_) => $code,)* }
            }

            /// The body as a CBOR value; with salt and aside digest it makes the payload.
            pub fn body(&self) -> Result<ciborium::Value, EventError> {
                match self {
                    $(Event::$name(body) => to_value(body),)*
                }
                .map_err(|error| EventError::Body { event: self.name(), detail: error.to_string() })
            }

            /// Reads the event out of a payload; unknown fields are refused.
            pub fn from_payload(payload: &Payload) -> Result<Self, EventError> {
                match payload.event.as_str() {
                    $($code => from_value(&payload.body).map(Event::$name).map_err(|error| {
                        EventError::Body { event: $code, detail: error.to_string() }
                    }),)*
                    other => Err(EventError::Unknown(other.chars().take(64).collect())),
                }
            }
        }

        $(impl From<$name> for Event {
            fn from(body: $name) -> Event { Event::$name(body) }
        })*
    };
}

events! {
    LogPolicy = "log-policy";
    OrganisationRegistered = "organisation-registered";
    OrganisationUpdated = "organisation-updated";
    CertificateAdded = "certificate-added";
    CertificateRemoved = "certificate-removed";
    KeyRegistered = "key-registered";
    KeyRetired = "key-retired";
    PolicySet = "policy-set";
    ClaimantRegistered = "claimant-registered";
    GrantCreated = "grant-created";
    GrantNarrowed = "grant-narrowed";
    GrantWithdrawn = "grant-withdrawn";
    DelegationCreated = "delegation-created";
    DelegationEnded = "delegation-ended";
    RepresentationNamed = "representation-named";
    RepresentationEnded = "representation-ended";
    CaseOpened = "case-opened";
    OfficialOpened = "official-opened";
    RequestOpened = "request-opened";
    RequestAcknowledged = "request-acknowledged";
    ClarificationAsked = "clarification-asked";
    ClarificationAnswered = "clarification-answered";
    RequestDeclined = "request-declined";
    RequestCancelled = "request-cancelled";
    Evidence = "evidence";
    EvidenceRelayed = "evidence-relayed";
    EvidenceJoined = "evidence-joined";
    ItemWithdrawn = "item-withdrawn";
    DisclosureDeclared = "disclosure-declared";
    ItemDisclosed = "item-disclosed";
    BundlePulled = "bundle-pulled";
    BundleOfficial = "bundle-official";
    BundleAcknowledged = "bundle-acknowledged";
    DecisionRecorded = "decision";
    DecisionOfficial = "decision-official";
    ItemViewed = "item-viewed";
    OwnStatement = "own-statement";
    NoteAdded = "note-added";
    AdjustmentStated = "adjustment-stated";
    Refused = "refused";
}

/// The statement's protected `typ` header for an event.
pub fn typ(event: &str) -> String {
    format!("application/evidence.v1.{event}+cbor")
}

impl Event {
    /// Whether its statement is signed at source, by an organisation.
    pub const fn signed_at_source(&self) -> bool {
        matches!(
            self,
            Event::Evidence(_)
                | Event::EvidenceRelayed(_)
                | Event::DisclosureDeclared(_)
                | Event::BundleAcknowledged(_)
                | Event::DecisionRecorded(_)
        )
    }
}

macro_rules! bodies {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_attr:meta])* $field:ident: $type:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct $name { $($(#[$field_attr])* pub $field: $type,)* }
    )*};
}

bodies! {
    /// Entry 0: what this log is and which keys speak for it.
    LogPolicy {
        origin: String,
        receipt_key: PublicKey,
        statement_key: PublicKey,
        /// Verifier key line of C2SP signed-note.
        checkpoint_key: String,
    }
    OrganisationRegistered {
        organisation: OrgId,
        identifier: String,
        name: String,
        roles: BTreeSet<Role>,
    }
    OrganisationUpdated {
        organisation: OrgId,
        name: String,
        roles: BTreeSet<Role>,
        suspended: bool,
    }
    CertificateAdded { organisation: OrgId, fingerprint: Digest, }
    CertificateRemoved { organisation: OrgId, fingerprint: Digest, }
    KeyRegistered {
        organisation: OrgId,
        key: PublicKey,
        not_before: Moment,
        not_after: Moment,
    }
    KeyRetired { organisation: OrgId, kid: Digest, not_after: Moment, }
    PolicySet { name: String, version: u32, document: String, }
    /// Identifiers and birth date are keyed digests (HMAC-SHA-256, hex).
    ClaimantRegistered {
        claimant: ClaimantId,
        by: OrgId,
        identifiers: BTreeMap<String, String>,
        birth: String,
    }
    /// Aside: `witness`.
    GrantCreated {
        grant: GrantId,
        claimant: ClaimantId,
        disclosers: BTreeSet<OrgId>,
        kinds: Kinds,
        recipient: OrgId,
        purposes: BTreeSet<String>,
        period: Period,
        expires_on: Date,
        capture: Capture,
        by: OrgId,
        lawful_basis: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        representation: Option<RepresentationId>,
    }
    /// The grant as it is after the narrowing.
    GrantNarrowed {
        grant: GrantId,
        disclosers: BTreeSet<OrgId>,
        kinds: Kinds,
        purposes: BTreeSet<String>,
        period: Period,
        expires_on: Date,
        by: OrgId,
    }
    /// Aside: `note`.
    GrantWithdrawn { grant: GrantId, capture: Capture, by: OrgId, }
    DelegationCreated {
        delegation: DelegationId,
        grant: GrantId,
        /// Absent when the claimant delegates.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        discloser: Option<OrgId>,
        intermediary: OrgId,
        kinds: Kinds,
        expires_on: Date,
        by: OrgId,
    }
    DelegationEnded { delegation: DelegationId, by: OrgId, }
    /// Aside: `name`, `witness`.
    RepresentationNamed {
        representation: RepresentationId,
        claimant: ClaimantId,
        kind: RepresentationKind,
        scopes: BTreeSet<Scope>,
        expires_on: Date,
        capture: Capture,
        by: OrgId,
    }
    RepresentationEnded { representation: RepresentationId, by: OrgId, }
    /// Aside: `reference`.
    CaseOpened {
        case: CaseId,
        claimant: ClaimantId,
        grant: GrantId,
        recipient: OrgId,
        assessment_type: String,
        nation: Nation,
        mental_health: bool,
        chain_seed: Digest,
    }
    /// Starts the case's official chain; its seed is nobody's but the gateway's.
    OfficialOpened { case: CaseId, chain_seed: Digest, }
    /// Aside: `question`, `assurance`, `payer`.
    RequestOpened {
        request: RequestId,
        case: CaseId,
        grant: GrantId,
        recipient: OrgId,
        discloser: OrgId,
        kinds: Kinds,
        period: Period,
        due_on: Date,
    }
    RequestAcknowledged { request: RequestId, by: OrgId, }
    /// Aside: `question`.
    ClarificationAsked { request: RequestId, by: OrgId, }
    /// Aside: `answer`. The due day moves on by the days of the pause.
    ClarificationAnswered { request: RequestId, by: OrgId, due_on: Date, }
    /// Aside: `note`.
    RequestDeclined { request: RequestId, reason: String, by: OrgId, }
    /// Aside: `note`.
    RequestCancelled { request: RequestId, by: OrgId, }
    /// Signed by the discloser (or by a VCSE that certifies a copy of paper).
    /// Aside: `title`, `author`, `author_registration`, `filename`, …
    Evidence {
        item: ItemId,
        grant: GrantId,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<RequestId>,
        kind: String,
        media_type: String,
        /// Bytes.
        size: u64,
        /// SHA-256 of the document.
        digest: Digest,
        period: Period,
        written_on: Date,
        profession: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        certified_copy: Option<CertifiedCopy>,
        /// Whether this item completes the answer to the request.
        completes: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        supersedes: Option<ItemId>,
        disclosure: Disclosure,
    }
    /// Signed by the intermediary.
    EvidenceRelayed {
        item: ItemId,
        /// Entry digest of the evidence statement.
        evidence: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegation: Option<DelegationId>,
        received_on: Date,
    }
    /// An item held already becomes part of a case.
    EvidenceJoined { item: ItemId, case: CaseId, evidence: Digest, }
    ItemWithdrawn { item: ItemId, reason: String, by: OrgId, }
    /// Signed by the organisation whose professional declares.
    /// Aside: `professional`, `registration`, `reasons`.
    DisclosureDeclared {
        item: ItemId,
        disclosure: Disclosure,
        profession: String,
        declared_on: Date,
    }
    /// A withheld item becomes visible to the claimant and joins their chain.
    ItemDisclosed { item: ItemId, evidence: Digest, }
    /// What the claimant may see of a pull. Aside: `actor`.
    BundlePulled {
        bundle: BundleId,
        case: CaseId,
        purpose: String,
        by: OrgId,
        items: BTreeMap<ItemId, Digest>,
        chain: ChainHead,
    }
    /// The rest of the same pull; every pull has one.
    BundleOfficial {
        bundle: BundleId,
        case: CaseId,
        items: BTreeMap<ItemId, Digest>,
        official_chain: ChainHead,
    }
    /// Signed by the recipient.
    BundleAcknowledged {
        bundle: BundleId,
        /// Entry digests of the two statements about the pull.
        pulled: Digest,
        official: Digest,
        received_on: Date,
    }
    /// Signed by the recipient. Aside: `reason/<item>`, `override_by`,
    /// `override_reason`, `panel_reference`, `panel_clinician`.
    DecisionRecorded {
        decision: DecisionId,
        case: CaseId,
        bundle: BundleId,
        purpose: String,
        outcome: DecisionOutcome,
        for_lack_of_evidence: bool,
        uses: BTreeMap<ItemId, Use>,
        adjustments: BTreeSet<AdjustmentId>,
        overdue: BTreeSet<RequestId>,
        senior_override: bool,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        panel: Option<Panel>,
        chain: ChainHead,
        official_head: Digest,
        /// SHA-256(secret salt || CBOR map) over the uses of withheld items;
        /// there is always one, so that it says nothing.
        official_uses: Digest,
    }
    /// Aside: `use/<item>`, `reason/<item>` for the withheld items; `salt`, hex.
    DecisionOfficial { decision: DecisionId, uses: BTreeMap<ItemId, Use>, official_uses: Digest, }
    /// Aside: `actor`.
    ItemViewed {
        access: AccessId,
        item: ItemId,
        by: OrgId,
        purpose: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        representation: Option<RepresentationId>,
    }
    /// The claimant's own words. Aside: `title`.
    OwnStatement {
        item: ItemId,
        claimant: ClaimantId,
        grant: GrantId,
        by: OrgId,
        size: u64,
        digest: Digest,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        representation: Option<RepresentationId>,
    }
    /// Aside: `text`.
    NoteAdded { note: NoteId, item: ItemId, by: OrgId, }
    /// Aside: `text`.
    AdjustmentStated { adjustment: AdjustmentId, claimant: ClaimantId, by: OrgId, }
    /// A push refused. `statement` is the entry digest the statement would have had.
    Refused {
        refusal: RefusalId,
        organisation: OrgId,
        reason: String,
        statement: Digest,
    }
    /// How a copy of paper was made, certified by who signs.
    CertifiedCopy {
        /// scan or photograph
        method: String,
        /// The registered organisation that wrote the paper, if it is one.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        origin: Option<OrgId>,
        /// The delegation under which an intermediary certifies, when the
        /// grant does not name it as a discloser itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delegation: Option<DelegationId>,
    }
    Panel {
        referred_on: Date,
        mental_health_clinician: bool,
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident { $($variant:ident,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { $($variant,)* }
    )*};
}

codes! {
    /// How consent or a naming was taken.
    Capture { InPerson, InWriting, ByPhone, InPortal, }
    RepresentationKind { Representative, Appointee, }
    /// What someone who acts for a claimant may see and do.
    Scope { SeeProgress, ReadEvidence, GrantConsent, AddStatements, }
    /// Whose bank holidays and rules apply.
    Nation { EnglandAndWales, Scotland, NorthernIreland, }
    /// Whether the claimant may see an item: `withheld` only for likely serious
    /// harm (DPA 2018 Schedule 3), on a professional's word.
    Disclosure { Open, Withheld, }
    DecisionOutcome { Favourable, PartlyFavourable, Adverse, }
    /// How a decision used an item.
    Use { ReliedOn, Considered, GivenLittleWeight, Discounted, }
}
