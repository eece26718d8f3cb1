//! One of every event, with every field that may be absent present.

use std::collections::BTreeMap;

use evidence_domain::{
    Event, Moment, Role,
    event::{
        AdjustmentStated, BundleAcknowledged, BundleOfficial, BundlePulled, Capture, CaseOpened,
        CertificateAdded, CertificateRemoved, CertifiedCopy, ClaimantRegistered,
        ClarificationAnswered, ClarificationAsked, DecisionOfficial, DecisionOutcome,
        DecisionRecorded, DelegationCreated, DelegationEnded, Disclosure, DisclosureDeclared,
        Evidence, EvidenceJoined, EvidenceRelayed, GrantCreated, GrantNarrowed, GrantWithdrawn,
        ItemDisclosed, ItemViewed, ItemWithdrawn, KeyRegistered, KeyRetired, Kinds, LogPolicy,
        Nation, NoteAdded, OfficialOpened, OrganisationRegistered, OrganisationUpdated,
        OwnStatement, Panel, PolicySet, Refused, RepresentationEnded, RepresentationKind,
        RepresentationNamed, RequestAcknowledged, RequestCancelled, RequestDeclined, RequestOpened,
        Scope, Use,
    },
    ids::{
        AccessId, AdjustmentId, BundleId, CaseId, ClaimantId, DecisionId, DelegationId, GrantId,
        ItemId, NoteId, OrgId, RefusalId, RepresentationId, RequestId,
    },
    time::Period,
};
use evidence_ledger::{Alg, ChainHead, Digest, PublicKey, sha256};
use jiff::civil::{Date, date};

use crate::sign::tests::{evidence, signer};

const DAY: Date = date(2026, 3, 1);
const BITS: [u8; 16] = [0x5a; 16];

/// Any id.
macro_rules! id {
    ($id:ident) => {
        $id::from_random(BITS)
    };
}

fn digest() -> Digest {
    sha256(b"sample")
}

fn period() -> Period {
    Period {
        from: Some(DAY),
        to: Some(DAY),
    }
}

fn kinds() -> Kinds {
    ["care-plan".to_owned(), "*".to_owned()].into()
}

fn purposes() -> std::collections::BTreeSet<String> {
    ["pip".to_owned(), "wca".to_owned()].into()
}

fn chain() -> ChainHead {
    ChainHead {
        count: 300,
        head: digest(),
    }
}

fn key(alg: Alg) -> PublicKey {
    signer(alg).key().public().clone()
}

fn uses() -> BTreeMap<ItemId, Use> {
    [(id!(ItemId), Use::GivenLittleWeight)].into()
}

pub fn all() -> Vec<Event> {
    [
        directory(),
        consent(),
        people(),
        cases(),
        items(),
        uses_of(),
        record(),
    ]
    .concat()
}

fn directory() -> Vec<Event> {
    let organisation = id!(OrgId);
    let roles = Role::ALL.into();
    vec![
        LogPolicy {
            origin: "log.example".into(),
            receipt_key: key(Alg::Es256),
            statement_key: key(Alg::Es256),
            checkpoint_key: "log.example+00000000+AQ==".into(),
        }
        .into(),
        OrganisationRegistered {
            organisation: organisation.clone(),
            identifier: "ods:RXX".into(),
            name: "Sample Trust".into(),
            roles,
        }
        .into(),
        OrganisationUpdated {
            organisation: organisation.clone(),
            name: "Sample Trust".into(),
            roles: [Role::Portal].into(),
            suspended: true,
        }
        .into(),
        CertificateAdded {
            organisation: organisation.clone(),
            fingerprint: digest(),
        }
        .into(),
        CertificateRemoved {
            organisation: organisation.clone(),
            fingerprint: digest(),
        }
        .into(),
        KeyRegistered {
            organisation: organisation.clone(),
            key: key(Alg::EdDsa),
            not_before: Moment::from_micros(-1),
            not_after: Moment::from_micros(1),
        }
        .into(),
        KeyRetired {
            organisation,
            kid: digest(),
            not_after: Moment::from_micros(1),
        }
        .into(),
        PolicySet {
            name: "clocks".into(),
            version: 2,
            document: "[request]\n".into(),
        }
        .into(),
    ]
}

fn consent() -> Vec<Event> {
    let (grant, claimant, by) = (id!(GrantId), id!(ClaimantId), id!(OrgId));
    vec![
        ClaimantRegistered {
            claimant: claimant.clone(),
            by: by.clone(),
            identifiers: [("nhs_number".into(), digest().to_string())].into(),
            birth: digest().to_string(),
        }
        .into(),
        GrantCreated {
            grant: grant.clone(),
            claimant,
            disclosers: [by.clone()].into(),
            kinds: kinds(),
            recipient: by.clone(),
            purposes: purposes(),
            period: period(),
            expires_on: DAY,
            capture: Capture::InPerson,
            by: by.clone(),
            lawful_basis: "public task".into(),
            representation: Some(id!(RepresentationId)),
        }
        .into(),
        GrantNarrowed {
            grant: grant.clone(),
            disclosers: [by.clone()].into(),
            kinds: kinds(),
            purposes: purposes(),
            period: Period::default(),
            expires_on: DAY,
            by: by.clone(),
        }
        .into(),
        GrantWithdrawn {
            grant,
            capture: Capture::ByPhone,
            by,
        }
        .into(),
    ]
}

fn people() -> Vec<Event> {
    let (claimant, by) = (id!(ClaimantId), id!(OrgId));
    vec![
        DelegationCreated {
            delegation: id!(DelegationId),
            grant: id!(GrantId),
            discloser: Some(by.clone()),
            intermediary: by.clone(),
            kinds: kinds(),
            expires_on: DAY,
            by: by.clone(),
        }
        .into(),
        DelegationEnded {
            delegation: id!(DelegationId),
            by: by.clone(),
        }
        .into(),
        RepresentationNamed {
            representation: id!(RepresentationId),
            claimant,
            kind: RepresentationKind::Appointee,
            scopes: [
                Scope::SeeProgress,
                Scope::ReadEvidence,
                Scope::GrantConsent,
                Scope::AddStatements,
            ]
            .into(),
            expires_on: DAY,
            capture: Capture::InWriting,
            by: by.clone(),
        }
        .into(),
        RepresentationEnded {
            representation: id!(RepresentationId),
            by,
        }
        .into(),
    ]
}

fn cases() -> Vec<Event> {
    let (case, request, by) = (id!(CaseId), id!(RequestId), id!(OrgId));
    vec![
        CaseOpened {
            case: case.clone(),
            claimant: id!(ClaimantId),
            grant: id!(GrantId),
            recipient: by.clone(),
            assessment_type: "wca".into(),
            nation: Nation::EnglandAndWales,
            mental_health: true,
            chain_seed: digest(),
        }
        .into(),
        OfficialOpened {
            case: case.clone(),
            chain_seed: digest(),
        }
        .into(),
        RequestOpened {
            request: request.clone(),
            case,
            grant: id!(GrantId),
            recipient: by.clone(),
            discloser: by.clone(),
            kinds: kinds(),
            period: period(),
            due_on: DAY,
        }
        .into(),
        RequestAcknowledged {
            request: request.clone(),
            by: by.clone(),
        }
        .into(),
        ClarificationAsked {
            request: request.clone(),
            by: by.clone(),
        }
        .into(),
        ClarificationAnswered {
            request: request.clone(),
            by: by.clone(),
            due_on: DAY,
        }
        .into(),
        RequestDeclined {
            request: request.clone(),
            reason: "no_record_held".into(),
            by: by.clone(),
        }
        .into(),
        RequestCancelled { request, by }.into(),
    ]
}

fn items() -> Vec<Event> {
    let item = id!(ItemId);
    let copy = CertifiedCopy {
        method: "scan".into(),
        origin: Some(id!(OrgId)),
        delegation: Some(id!(DelegationId)),
    };
    vec![
        Evidence {
            request: Some(id!(RequestId)),
            certified_copy: Some(copy),
            supersedes: Some(item.clone()),
            ..evidence(b"document")
        }
        .into(),
        EvidenceRelayed {
            item: item.clone(),
            evidence: digest(),
            delegation: Some(id!(DelegationId)),
            received_on: DAY,
        }
        .into(),
        EvidenceJoined {
            item: item.clone(),
            case: id!(CaseId),
            evidence: digest(),
        }
        .into(),
        ItemWithdrawn {
            item: item.clone(),
            reason: "sent_in_error".into(),
            by: id!(OrgId),
        }
        .into(),
        DisclosureDeclared {
            item: item.clone(),
            disclosure: Disclosure::Withheld,
            profession: "general-practitioner".into(),
            declared_on: DAY,
        }
        .into(),
        ItemDisclosed {
            item,
            evidence: digest(),
        }
        .into(),
        Refused {
            refusal: id!(RefusalId),
            organisation: id!(OrgId),
            reason: "key_unknown".into(),
            statement: digest(),
        }
        .into(),
    ]
}

fn uses_of() -> Vec<Event> {
    let (bundle, case, decision) = (id!(BundleId), id!(CaseId), id!(DecisionId));
    vec![
        BundlePulled {
            bundle: bundle.clone(),
            case: case.clone(),
            purpose: "wca".into(),
            by: id!(OrgId),
            items: [(id!(ItemId), digest())].into(),
            chain: chain(),
        }
        .into(),
        BundleOfficial {
            bundle: bundle.clone(),
            case: case.clone(),
            items: BTreeMap::new(),
            official_chain: chain(),
        }
        .into(),
        BundleAcknowledged {
            bundle: bundle.clone(),
            pulled: digest(),
            official: digest(),
            received_on: DAY,
        }
        .into(),
        DecisionRecorded {
            decision: decision.clone(),
            case,
            bundle,
            purpose: "wca".into(),
            outcome: DecisionOutcome::PartlyFavourable,
            for_lack_of_evidence: false,
            uses: uses(),
            adjustments: [id!(AdjustmentId)].into(),
            overdue: [id!(RequestId)].into(),
            senior_override: true,
            panel: Some(Panel {
                referred_on: DAY,
                mental_health_clinician: true,
            }),
            chain: chain(),
            official_head: digest(),
            official_uses: digest(),
        }
        .into(),
        DecisionOfficial {
            decision,
            uses: uses(),
            official_uses: digest(),
        }
        .into(),
    ]
}

fn record() -> Vec<Event> {
    let (item, by) = (id!(ItemId), id!(OrgId));
    vec![
        ItemViewed {
            access: id!(AccessId),
            item: item.clone(),
            by: by.clone(),
            purpose: "own-record".into(),
            representation: Some(id!(RepresentationId)),
        }
        .into(),
        OwnStatement {
            item: item.clone(),
            claimant: id!(ClaimantId),
            grant: id!(GrantId),
            by: by.clone(),
            size: 70_000,
            digest: digest(),
            representation: Some(id!(RepresentationId)),
        }
        .into(),
        NoteAdded {
            note: id!(NoteId),
            item,
            by: by.clone(),
        }
        .into(),
        AdjustmentStated {
            adjustment: id!(AdjustmentId),
            claimant: id!(ClaimantId),
            by,
        }
        .into(),
    ]
}
