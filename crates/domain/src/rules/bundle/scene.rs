//! For the tests of pulls, decisions and records: a case with its parties.

use evidence_ledger::{Digest, Salt, sha256};
use jiff::civil::Date;

use super::super::decision::official_uses_digest;
use crate::{
    Aside, Caller, Outcome, Reason, Role,
    command::{
        AcknowledgeBundle, AddStatement, JoinItems, OpenCase, OpenRequest, PullBundle, Push,
        Received, RecordDecision,
    },
    event::{DecisionOutcome, DecisionRecorded, Disclosure, Evidence, Nation, Use},
    ids::{BundleId, CaseId, ClaimantId, DecisionId, GrantId, ItemId, RequestId},
    rows::{Bundle, Case, Item},
    testkit::{Kit, TODAY},
    time::Period,
};

/// A hospital, the recipient, the portal, a claimant, a grant and an open case.
pub struct Scene {
    pub kit: Kit,
    pub hospital: Caller,
    pub dwp: Caller,
    pub portal: Caller,
    pub claimant: ClaimantId,
    pub grant: GrantId,
    pub case: CaseId,
}

/// A decision about to be signed.
pub struct Draft {
    pub body: DecisionRecorded,
    pub texts: Aside,
    pub official: Aside,
    pub salt: [u8; 32],
}

impl Scene {
    pub fn new() -> Self {
        Self::of(false)
    }

    /// A case that is marked mental health, or not.
    pub fn of(mental_health: bool) -> Self {
        let mut kit = Kit::new();
        let hospital = kit.org(&[Role::Discloser]);
        let dwp = kit.org(&[Role::Recipient]);
        let portal = kit.org(&[Role::Portal]);
        let claimant = kit.claimant(&dwp);
        let grant = kit.grant(&claimant, &[&hospital], &dwp);
        let case = CaseId::from_random(kit.draw());
        let open = OpenCase {
            id: case.clone(),
            claimant: claimant.clone(),
            grant: grant.clone(),
            assessment_type: "wca".to_owned(),
            nation: Nation::EnglandAndWales,
            reference: "REF 1".to_owned(),
            mental_health,
            chain_seed: kit.digest(),
            official_seed: kit.digest(),
        };
        kit.done(&dwp, open);
        Self {
            kit,
            hospital,
            dwp,
            portal,
            claimant,
            grant,
            case,
        }
    }

    pub fn request(&mut self) -> RequestId {
        let id = RequestId::from_random(self.kit.draw());
        let open = OpenRequest {
            id: id.clone(),
            case: self.case.clone(),
            grant: self.grant.clone(),
            discloser: self.hospital.org.clone(),
            kinds: ["*".to_owned()].into(),
            period: Period::default(),
            question: "How far can they walk?".to_owned(),
            assurance: "Consent seen on paper.".to_owned(),
            payer: String::new(),
        };
        self.kit.done(&self.dwp, open);
        id
    }

    /// The hospital pushes a letter; answering the request, if there is one.
    pub fn push(&mut self, request: Option<&RequestId>, disclosure: Disclosure) -> ItemId {
        let grant = self.grant.clone();
        self.push_under(&grant, request, disclosure)
    }

    pub fn push_under(
        &mut self,
        grant: &GrantId,
        request: Option<&RequestId>,
        disclosure: Disclosure,
    ) -> ItemId {
        let item = ItemId::from_random(self.kit.draw());
        let digest = self.kit.digest();
        let body = Evidence {
            item: item.clone(),
            grant: grant.clone(),
            request: request.cloned(),
            kind: "clinical-letter".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 10,
            digest,
            period: Period {
                from: Some(TODAY),
                to: Some(TODAY),
            },
            written_on: TODAY,
            profession: "consultant".to_owned(),
            certified_copy: None,
            completes: request.is_some(),
            supersedes: None,
            disclosure,
        };
        let sub = if request.is_some() {
            self.case.urn()
        } else {
            grant.urn()
        };
        let aside = Aside::from([("title".to_owned(), "Letter".to_owned())]);
        let evidence = self.kit.signed(&self.hospital, &sub, body, aside);
        let received = Some(Received { size: 10, digest });
        self.kit.done(
            &self.hospital,
            Push {
                evidence,
                relay: None,
                received,
            },
        );
        item
    }

    pub fn own_words(&mut self) -> ItemId {
        let item = ItemId::from_random(self.kit.draw());
        let add = AddStatement {
            item: item.clone(),
            claimant: self.claimant.clone(),
            grant: self.grant.clone(),
            title: "My bad days".to_owned(),
            size: 5,
            digest: sha256(b"words"),
            representation: None,
        };
        self.kit.done(&self.portal, add);
        item
    }

    pub fn pull_command(&mut self) -> PullBundle {
        let id = BundleId::from_random(self.kit.draw());
        PullBundle {
            id,
            case: self.case.clone(),
            purpose: "wca".to_owned(),
            actor: "A. Officer".to_owned(),
        }
    }

    pub fn join_command(&self) -> JoinItems {
        JoinItems {
            case: self.case.clone(),
            purpose: "wca".to_owned(),
        }
    }

    /// Joins and pulls, as the gateway does.
    pub fn pull(&mut self) -> Bundle {
        let (join, pull) = (self.join_command(), self.pull_command());
        let id = pull.id.clone();
        self.kit.done(&self.dwp, join);
        self.kit.done(&self.dwp, pull);
        self.bundle(&id)
    }

    pub fn acknowledgement(
        &mut self,
        sub: &str,
        body: crate::event::BundleAcknowledged,
    ) -> AcknowledgeBundle {
        AcknowledgeBundle {
            acknowledgement: self.kit.signed(&self.dwp, sub, body, Aside::new()),
        }
    }

    /// A favourable decision on the bundle: all its items relied on.
    pub fn draft(&mut self, bundle: &Bundle) -> Draft {
        let (open, withheld): (Vec<&ItemId>, Vec<&ItemId>) = bundle
            .items
            .keys()
            .partition(|id| self.item(id).disclosure == Disclosure::Open);
        let body = DecisionRecorded {
            decision: DecisionId::from_random(self.kit.draw()),
            case: self.case.clone(),
            bundle: bundle.id.clone(),
            purpose: "wca".to_owned(),
            outcome: DecisionOutcome::Favourable,
            for_lack_of_evidence: false,
            uses: open
                .into_iter()
                .map(|id| (id.clone(), Use::ReliedOn))
                .collect(),
            adjustments: [].into(),
            overdue: [].into(),
            senior_override: false,
            panel: None,
            chain: bundle.chain,
            official_head: bundle
                .official_chain
                .expect("a pull has both statements")
                .head,
            official_uses: sha256(b"made on signing"),
        };
        let official = withheld
            .into_iter()
            .map(|id| (format!("use/{id}"), "considered".to_owned()))
            .collect();
        Draft {
            body,
            texts: Aside::new(),
            official,
            salt: *self.kit.digest().as_bytes(),
        }
    }

    /// Signs a draft as the recipient.
    pub fn sign(&mut self, draft: Draft) -> RecordDecision {
        let Draft {
            mut body,
            texts,
            official,
            salt,
        } = draft;
        let official_salt = Salt::from(salt);
        body.official_uses = official_uses_digest(&official_salt, &official);
        let decision = self.kit.signed(&self.dwp, &self.case.urn(), body, texts);
        RecordDecision {
            decision,
            official,
            official_salt,
        }
    }

    pub fn decide(&mut self, draft: Draft) -> Outcome {
        let command = self.sign(draft);
        self.kit
            .run(&self.dwp, command)
            .expect("a complete decision record")
    }

    pub fn refused(&mut self, draft: Draft) -> Reason {
        let command = self.sign(draft);
        self.kit.refused(&self.dwp, command)
    }

    pub fn case(&self) -> &Case {
        self.kit.world.case(&self.case).expect("the case is there")
    }

    pub fn item(&self, id: &ItemId) -> &Item {
        self.kit.world.item(id).expect("the item is there")
    }

    pub fn bundle(&self, id: &BundleId) -> Bundle {
        self.kit
            .world
            .bundle(id)
            .expect("the bundle is there")
            .clone()
    }

    pub fn today(&self) -> Date {
        self.kit.now.day()
    }
}

pub fn entry_of(item: &Item) -> (ItemId, Digest) {
    (item.id.clone(), item.evidence)
}
