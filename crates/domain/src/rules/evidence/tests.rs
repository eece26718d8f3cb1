use jiff::civil::date;

use super::*;
use crate::{
    Event,
    command::{
        CancelRequest, CreateDelegation, EndDelegation, NarrowGrant, OpenCase, OpenRequest,
        RetireKey, SetPolicy, UpdateOrganisation, WithdrawGrant, WithdrawItem,
    },
    event::{Aside, Capture, Disclosure, Nation},
    ids::{CaseId, ClaimantId, GrantId, ItemId, RefusalId, RequestId},
    rows::ItemState,
    testkit::{Kit, TODAY},
    time::{Period, days_after},
};

mod held;
mod refused;
mod relay;

/// A trust, a charity, the DWP, a claimant and a grant that names the trust.
pub(super) struct Scene {
    pub kit: Kit,
    pub trust: Caller,
    pub vcse: Caller,
    pub dwp: Caller,
    pub claimant: ClaimantId,
    pub grant: GrantId,
}

impl Scene {
    pub fn new() -> Self {
        let mut kit = Kit::new();
        let trust = kit.org(&[Role::Discloser]);
        let vcse = kit.org(&[Role::Intermediary]);
        let dwp = kit.org(&[Role::Recipient]);
        let claimant = kit.claimant(&dwp);
        let grant = kit.grant(&claimant, &[&trust], &dwp);
        Self {
            kit,
            trust,
            vcse,
            dwp,
            claimant,
            grant,
        }
    }

    /// What a letter's statement says, before a test changes it.
    pub fn letter(&mut self) -> Evidence {
        Evidence {
            item: ItemId::from_random(self.kit.draw()),
            grant: self.grant.clone(),
            request: None,
            kind: "clinical-letter".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: 4_096,
            digest: self.kit.digest(),
            period: Period {
                from: Some(date(2026, 1, 1)),
                to: Some(date(2026, 6, 30)),
            },
            written_on: date(2026, 7, 1),
            profession: "consultant-psychiatrist".to_owned(),
            certified_copy: None,
            completes: false,
            supersedes: None,
            disclosure: Disclosure::Open,
        }
    }

    fn sub(&self, body: &Evidence) -> String {
        let request = body
            .request
            .as_ref()
            .and_then(|id| self.kit.world.request(id));
        request.map_or_else(|| body.grant.urn(), |request| request.case.urn())
    }

    pub fn push_by(&mut self, org: &Caller, body: Evidence) -> Push {
        let received = Some(Received {
            size: body.size,
            digest: body.digest,
        });
        let sub = self.sub(&body);
        Push {
            evidence: self.kit.signed(org, &sub, body, Aside::new()),
            relay: None,
            received,
        }
    }

    pub fn pushed(&mut self, body: Evidence) -> ItemId {
        let item = body.item.clone();
        let trust = self.trust.clone();
        let push = self.push_by(&trust, body);
        assert_eq!(self.kit.done(&trust, push), item.as_str());
        item
    }

    fn refused(&mut self, body: Evidence) -> Reason {
        let trust = self.trust.clone();
        let push = self.push_by(&trust, body);
        self.kit.refused(&trust, push)
    }

    /// The trust's letter as the charity relays it.
    fn relayed(&mut self, body: Evidence, delegation: Option<DelegationId>) -> Push {
        let (trust, vcse) = (self.trust.clone(), self.vcse.clone());
        let (item, sub) = (body.item.clone(), self.sub(&body));
        let push = self.push_by(&trust, body);
        let evidence = push.evidence.statement().entry();
        let relay = EvidenceRelayed {
            item,
            evidence,
            delegation,
            received_on: TODAY,
        };
        Push {
            relay: Some(self.kit.signed(&vcse, &sub, relay, Aside::new())),
            ..push
        }
    }

    /// The charity may act under the grant: for the trust, or (as the recipient took the grant)
    /// for the claimant.
    fn delegated(&mut self, by: &Caller, kinds: &[&str]) -> DelegationId {
        let id = DelegationId::from_random(self.kit.draw());
        let command = CreateDelegation {
            id: id.clone(),
            grant: self.grant.clone(),
            intermediary: self.vcse.org.clone(),
            kinds: kinds.iter().map(ToString::to_string).collect(),
            expires_on: None,
        };
        self.kit.done(by, command);
        id
    }

    pub fn case(&mut self) -> CaseId {
        let id = CaseId::from_random(self.kit.draw());
        let command = OpenCase {
            id: id.clone(),
            claimant: self.claimant.clone(),
            grant: self.grant.clone(),
            assessment_type: "wca".to_owned(),
            nation: Nation::EnglandAndWales,
            reference: "UC-1".to_owned(),
            mental_health: false,
            chain_seed: self.kit.digest(),
            official_seed: self.kit.digest(),
        };
        let dwp = self.dwp.clone();
        self.kit.done(&dwp, command);
        id
    }

    pub fn request(&mut self, case: &CaseId, kinds: &[&str]) -> RequestId {
        let id = RequestId::from_random(self.kit.draw());
        let command = OpenRequest {
            id: id.clone(),
            case: case.clone(),
            grant: self.grant.clone(),
            discloser: self.trust.org.clone(),
            kinds: kinds.iter().map(ToString::to_string).collect(),
            period: self.kit.grant_row(&self.grant).period,
            question: "How does it affect daily living?".to_owned(),
            assurance: "Consent was taken in writing.".to_owned(),
            payer: String::new(),
        };
        let dwp = self.dwp.clone();
        self.kit.done(&dwp, command);
        id
    }
}

fn narrowing(scene: &Scene) -> NarrowGrant {
    NarrowGrant {
        grant: scene.grant.clone(),
        remove_disclosers: [].into(),
        remove_kinds: [].into(),
        remove_purposes: [].into(),
        period: None,
        expires_on: None,
    }
}
