use evidence_domain::{
    Aside, Caller, Role,
    event::{DecisionOutcome, DecisionRecorded, Disclosure, Use},
    ids::{DecisionId, ItemId},
    rules::decision::official_uses_digest,
};
use evidence_ledger::{ChainHead, Digest, Salt};
use evidence_wire::v1::{
    self, bundle_service_server::BundleService as _, decision_service_server::DecisionService as _,
    record_service_server::RecordService as _,
};
use futures::TryStreamExt as _;
use tonic::Status;

use super::Decisions;
use crate::rpc::{
    bundle::Bundles,
    fixture::call,
    record::Records,
    scene::{Scene, refused},
};

const SALT: [u8; 32] = [5; 32];

/// A case with an open and a withheld item, pulled.
struct Pulled {
    scene: Scene,
    open: ItemId,
    withheld: ItemId,
    bundle: v1::Bundle,
}

impl Pulled {
    async fn new() -> Self {
        let scene = Scene::new().await;
        let open = scene.push("Letter", Disclosure::Open, b"letter").await;
        let withheld = scene.push("Hidden", Disclosure::Withheld, b"hidden").await;
        let body = v1::PullRequest {
            case_id: scene.case.to_string(),
            purpose: "wca".to_owned(),
            ..v1::PullRequest::default()
        };
        let service = Bundles {
            app: scene.app.clone(),
        };
        let parts = service
            .pull(call(&scene.dwp, body))
            .await
            .expect("a pull")
            .into_inner();
        let parts: Vec<v1::PullResponse> = parts.try_collect().await.expect("the whole stream");
        let manifest = parts.into_iter().find_map(|each| match each.part {
            Some(v1::pull_response::Part::Manifest(manifest)) => Some(manifest),
            _ => None,
        });
        let bundle = manifest
            .and_then(|manifest| manifest.bundle)
            .expect("a bundle");
        Self {
            scene,
            open,
            withheld,
            bundle,
        }
    }

    /// A record that discounts both items, with these reasons for the open one.
    fn record(&self, texts: Aside) -> v1::RecordDecisionRequest {
        let chain = self.bundle.chain.as_ref().expect("a chain");
        let official_head = self
            .bundle
            .official_chain
            .as_ref()
            .expect("an official chain");
        let digest = |bytes: &[u8]| Digest::try_from(bytes).expect("32 bytes");
        let official = Aside::from([
            (format!("use/{}", self.withheld), "discounted".to_owned()),
            (
                format!("reason/{}", self.withheld),
                "A secret reason".to_owned(),
            ),
        ]);
        let body = DecisionRecorded {
            decision: DecisionId::from_random(self.scene.app.random()),
            case: self.scene.case.clone(),
            bundle: self.bundle.bundle_id.parse().expect("an id"),
            purpose: "wca".to_owned(),
            outcome: DecisionOutcome::PartlyFavourable,
            for_lack_of_evidence: false,
            uses: [(self.open.clone(), Use::Discounted)].into(),
            adjustments: [].into(),
            overdue: [].into(),
            senior_override: false,
            panel: None,
            chain: ChainHead {
                count: chain.count,
                head: digest(&chain.head),
            },
            official_head: digest(&official_head.head),
            official_uses: official_uses_digest(&Salt::from(SALT), &official),
        };
        let decision = self
            .scene
            .signed(&self.scene.dwp, &self.scene.case.urn(), body, texts);
        v1::RecordDecisionRequest {
            decision: Some(decision),
            official,
            official_salt: SALT.to_vec(),
        }
    }

    fn reasons(&self) -> Aside {
        Aside::from([(
            format!("reason/{}", self.open),
            "It is about 2019".to_owned(),
        )])
    }

    async fn send(&self, body: v1::RecordDecisionRequest) -> Result<v1::DecisionResponse, Status> {
        let service = Decisions {
            app: self.scene.app.clone(),
        };
        let answer = service.record(call(&self.scene.dwp, body)).await;
        answer.map(tonic::Response::into_inner)
    }

    async fn uses(&self, caller: &Caller, decision: &str) -> Result<Vec<v1::QuotableUse>, Status> {
        let service = Decisions {
            app: self.scene.app.clone(),
        };
        let body = v1::GetUsesRequest {
            decision_id: decision.to_owned(),
        };
        let answer = service.get_uses(call(caller, body)).await;
        answer.map(|answer| answer.into_inner().uses)
    }
}

#[tokio::test]
async fn a_recorded_decision_reads_back_whole_to_its_recipient() {
    let pulled = Pulled::new().await;
    let body = pulled.record(pulled.reasons());
    let answer = pulled.send(body.clone()).await.expect("a complete record");
    let decision = answer.decision.expect("the decision");
    assert!(!answer.receipt.expect("a receipt").replay);
    assert_eq!(decision.official_chain, pulled.bundle.official_chain);
    let withheld = decision
        .uses
        .iter()
        .find(|each| each.withheld)
        .expect("the official part too");
    assert_eq!(
        (withheld.item_id.as_str(), withheld.reason.as_str()),
        (pulled.withheld.as_str(), "A secret reason")
    );
    let again = pulled.send(body).await.expect("the same statement");
    assert!(again.receipt.expect("the same receipt").replay);
    assert_eq!(again.decision, Some(decision));
}

#[tokio::test]
async fn a_record_without_a_reason_leaves_nothing_behind() {
    let pulled = Pulled::new().await;
    let size = pulled.scene.app.store.size().await.expect("a database");
    let body = pulled.record(Aside::new());
    assert_eq!(refused(pulled.send(body).await), "decision_reason_missing");
    assert_eq!(
        pulled.scene.app.store.size().await.expect("a database"),
        size
    );
}

#[tokio::test]
async fn a_letter_quotes_open_items_and_never_withheld_ones() {
    let mut pulled = Pulled::new().await;
    let body = pulled.record(pulled.reasons());
    let decision = pulled
        .send(body)
        .await
        .expect("recorded")
        .decision
        .expect("the decision")
        .decision_id;
    let uses = pulled
        .uses(&pulled.scene.dwp, &decision)
        .await
        .expect("its own decision");
    let sentences: Vec<&str> = uses.iter().map(|each| each.sentence.as_str()).collect();
    let expected = "We did not use “Letter”, written by Anytown Hospital on 2 November 2026. Our reason: It is about 2019.";
    assert_eq!(sentences, [expected]);
    let other = pulled.scene.organisation(Role::Recipient).await;
    assert_eq!(refused(pulled.uses(&other, &decision).await), "not_found");
}

#[tokio::test]
async fn the_claimant_reads_the_same_decision_without_its_official_part() {
    let pulled = Pulled::new().await;
    let body = pulled.record(pulled.reasons());
    pulled.send(body).await.expect("recorded");
    let viewer = v1::Viewer {
        claimant_id: pulled.scene.claimant.to_string(),
        representation_id: String::new(),
    };
    let body = v1::ListDecisionsRequest {
        viewer: Some(viewer),
    };
    let service = Records {
        app: pulled.scene.app.clone(),
    };
    let answer = service
        .list_decisions(call(&pulled.scene.portal, body))
        .await
        .expect("a list")
        .into_inner();
    let [decision] = &answer.decisions[..] else {
        panic!("one decision: {answer:?}")
    };
    assert_eq!(decision.decided_by_name, "The Department");
    let [used] = &decision.uses[..] else {
        panic!("one use: {decision:?}")
    };
    assert_eq!(
        (used.item_id.as_str(), used.reason.as_str()),
        (pulled.open.as_str(), "It is about 2019")
    );
    assert!(decision.receipt.is_some());
    let all = format!("{answer:?}");
    assert!(!all.contains(pulled.withheld.as_str()) && !all.contains("secret"));
}
