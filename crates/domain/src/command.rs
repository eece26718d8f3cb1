//! What a caller asks for. Parsed by `wire`, decided by [`crate::rules`].
//! New ids and random seeds come with the command, so that deciding is pure.

use std::collections::BTreeSet;

use evidence_ledger::{Digest, PublicKey, Salt};
use jiff::civil::Date;

use crate::{
    caller::Role,
    event::{Capture, Kinds, Nation, RepresentationKind, Scope},
    ids::{
        AccessId, AdjustmentId, BundleId, CaseId, ClaimantId, DelegationId, GrantId, ItemId,
        NoteId, OrgId, RefusalId, RepresentationId, RequestId,
    },
    rules,
    signed::Verified,
    time::{Moment, Period},
    world::{Needs, certificate_key, identifier_key, organisation_identifier_key, policy_key},
};

macro_rules! commands {
    ($($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* })*) => {
        /// One call that changes state.
        #[allow(clippy::large_enum_variant, reason = "a push is the largest and by far the commonest")]
        #[derive(Debug, Clone)]
        pub enum Command { $($name($name),)* }

        impl Command {
            /// The command's name: the span's and the metric's label.
            pub const fn name(&self) -> &'static str {
                match self { $(Command::$name(_) => stringify!($name),)* }
            }
        }

        $(
            $(#[$doc])*
            #[derive(Debug, Clone)]
            pub struct $name { $($(#[$field_doc])* pub $field: $type,)* }

            impl From<$name> for Command {
                fn from(command: $name) -> Command { Command::$name(command) }
            }
        )*
    };
}

commands! {
    /// Entry 0 of a new log. The gateway's own.
    StartLog { policy: crate::event::LogPolicy, }
    RegisterOrganisation { id: OrgId, identifier: String, name: String, roles: BTreeSet<Role>, }
    UpdateOrganisation { id: OrgId, name: String, roles: BTreeSet<Role>, suspended: bool, }
    AddCertificate { organisation: OrgId, fingerprint: Digest, }
    RemoveCertificate { organisation: OrgId, fingerprint: Digest, }
    RegisterKey { organisation: OrgId, key: PublicKey, not_before: Moment, not_after: Moment, }
    RetireKey { organisation: OrgId, kid: Digest, not_after: Moment, }
    SetPolicy { name: String, document: String, }
    RegisterClaimant {
        id: ClaimantId,
        /// Sealed; never compared.
        name: String,
        date_of_birth: Date,
        /// Normalised, sealed.
        nhs_number: Option<String>,
        nino: Option<String>,
        /// Keyed digests by kind (`nhs-number`, `nino`), made by the gateway.
        identifiers: std::collections::BTreeMap<String, String>,
        birth: String,
    }
    CreateGrant {
        id: GrantId,
        claimant: ClaimantId,
        disclosers: BTreeSet<OrgId>,
        kinds: Kinds,
        recipient: OrgId,
        purposes: BTreeSet<String>,
        period: Period,
        expires_on: Date,
        capture: Capture,
        witness: String,
        lawful_basis: String,
        representation: Option<RepresentationId>,
    }
    NarrowGrant {
        grant: GrantId,
        remove_disclosers: BTreeSet<OrgId>,
        remove_kinds: Kinds,
        remove_purposes: BTreeSet<String>,
        period: Option<Period>,
        expires_on: Option<Date>,
    }
    WithdrawGrant { grant: GrantId, capture: Capture, note: String, }
    CreateDelegation {
        id: DelegationId,
        grant: GrantId,
        intermediary: OrgId,
        kinds: Kinds,
        expires_on: Option<Date>,
    }
    EndDelegation { delegation: DelegationId, }
    NameRepresentative {
        id: RepresentationId,
        claimant: ClaimantId,
        kind: RepresentationKind,
        name: String,
        scopes: BTreeSet<Scope>,
        expires_on: Date,
        capture: Capture,
        witness: String,
    }
    EndRepresentation { representation: RepresentationId, }
    OpenCase {
        id: CaseId,
        claimant: ClaimantId,
        grant: GrantId,
        assessment_type: String,
        nation: Nation,
        reference: String,
        mental_health: bool,
        /// Random.
        chain_seed: Digest,
        /// Random.
        official_seed: Digest,
    }
    OpenRequest {
        id: RequestId,
        case: CaseId,
        grant: GrantId,
        discloser: OrgId,
        kinds: Kinds,
        period: Period,
        question: String,
        assurance: String,
        payer: String,
    }
    AcknowledgeRequest { request: RequestId, }
    AskClarification { request: RequestId, question: String, }
    AnswerClarification { request: RequestId, answer: String, }
    DeclineRequest { request: RequestId, reason: String, note: String, }
    CancelRequest { request: RequestId, note: String, }
    /// An evidence push: signatures, digests and sizes checked already.
    Push {
        evidence: Verified,
        relay: Option<Verified>,
        /// What was received; `None` in a dry run, when nothing has been yet.
        received: Option<Received>,
    }
    WithdrawItem { item: ItemId, reason: String, }
    DeclareDisclosure { declaration: Verified, }
    /// Makes all that is available for a case part of it. Before a pull: the
    /// bundle's statement names the chain with these on it.
    JoinItems { case: CaseId, purpose: String, }
    PullBundle { id: BundleId, case: CaseId, purpose: String, actor: String, }
    AcknowledgeBundle { acknowledgement: Verified, }
    RecordDecision {
        decision: Verified,
        /// Uses and reasons of withheld items (`use/<item>`, `reason/<item>`).
        official: crate::event::Aside,
        /// Random, the recipient's: with it the statement commits to `official`.
        official_salt: Salt,
    }
    ViewItem {
        id: AccessId,
        claimant: ClaimantId,
        item: ItemId,
        representation: Option<RepresentationId>,
        purpose: String,
    }
    AddStatement {
        item: ItemId,
        claimant: ClaimantId,
        grant: GrantId,
        title: String,
        size: u64,
        digest: Digest,
        representation: Option<RepresentationId>,
    }
    AddNote {
        id: NoteId,
        claimant: ClaimantId,
        item: ItemId,
        text: String,
        representation: Option<RepresentationId>,
    }
    StateAdjustment {
        id: AdjustmentId,
        claimant: ClaimantId,
        text: String,
        representation: Option<RepresentationId>,
    }
    /// States that a push was refused.
    Refuse { id: RefusalId, reason: crate::refusal::Reason, statement: Digest, }
}

/// The bytes that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    pub size: u64,
    /// SHA-256.
    pub digest: Digest,
}

impl Command {
    /// The rows that deciding this needs, beside the caller's own organisation.
    pub fn needs(&self) -> Needs {
        let none = Needs::default;
        match self {
            Command::StartLog(_) | Command::Refuse(_) => none(),
            Command::RegisterOrganisation(c) => none()
                .key(&c.id)
                .key(&organisation_identifier_key(&c.identifier)),
            Command::UpdateOrganisation(c) => none().key(&c.id),
            Command::AddCertificate(c) => none()
                .key(&c.organisation)
                .key(&certificate_key(&c.fingerprint)),
            Command::RemoveCertificate(c) => none()
                .key(&c.organisation)
                .key(&certificate_key(&c.fingerprint)),
            Command::RegisterKey(c) => none().key(&c.organisation),
            Command::RetireKey(c) => none().key(&c.organisation),
            Command::SetPolicy(c) => none().key(&policy_key(&c.name)),
            Command::RegisterClaimant(c) => {
                none().keys(c.identifiers.values().map(|index| identifier_key(index)))
            }
            Command::CreateGrant(c) => none()
                .key(&c.claimant)
                .keys(&c.disclosers)
                .key(&c.recipient)
                .keys(&c.representation),
            Command::NarrowGrant(c) => none().key(&c.grant),
            Command::WithdrawGrant(c) => none().key(&c.grant),
            Command::CreateDelegation(c) => none().whole_claimant_of(&c.grant).key(&c.intermediary),
            Command::EndDelegation(c) => none().key(&c.delegation),
            Command::NameRepresentative(c) => none().whole_claimant(&c.claimant),
            Command::EndRepresentation(c) => none().key(&c.representation),
            Command::OpenCase(c) => none().whole_claimant(&c.claimant).key(&c.grant),
            Command::OpenRequest(c) => none()
                .whole_claimant_of(&c.case)
                .key(&c.grant)
                .key(&c.discloser),
            Command::AcknowledgeRequest(c) => none().whole_claimant_of(&c.request),
            Command::AskClarification(c) => none().whole_claimant_of(&c.request),
            Command::AnswerClarification(c) => none().key(&c.request),
            Command::DeclineRequest(c) => none().whole_claimant_of(&c.request),
            Command::CancelRequest(c) => none().key(&c.request),
            Command::Push(c) => rules::evidence::needs(c),
            Command::WithdrawItem(c) => none().key(&c.item),
            Command::DeclareDisclosure(c) => rules::evidence::declaration_needs(c),
            Command::JoinItems(c) => none().whole_claimant_of(&c.case),
            Command::PullBundle(c) => none().whole_claimant_of(&c.case),
            Command::AcknowledgeBundle(c) => rules::bundle::acknowledgement_needs(c),
            Command::RecordDecision(c) => rules::decision::needs(c),
            Command::ViewItem(c) => none().key(&c.claimant).key(&c.item).keys(&c.representation),
            Command::AddStatement(c) => none()
                .key(&c.claimant)
                .key(&c.grant)
                .key(&c.item)
                .keys(&c.representation),
            Command::AddNote(c) => none().key(&c.claimant).key(&c.item).keys(&c.representation),
            Command::StateAdjustment(c) => none().key(&c.claimant).keys(&c.representation),
        }
    }

    /// A digest of what the statement signed at source says: the same
    /// statement again is the same call again. It leaves out the signature,
    /// because anyone can spell an ECDSA signature in a second valid way
    /// (`s` or `n - s`); the payload's salt makes it unique.
    pub fn statement(&self) -> Option<Digest> {
        let verified = match self {
            Command::Push(c) => &c.evidence,
            Command::DeclareDisclosure(c) => &c.declaration,
            Command::AcknowledgeBundle(c) => &c.acknowledgement,
            Command::RecordDecision(c) => &c.decision,
            _ => return None,
        };
        Some(verified.content())
    }
}
