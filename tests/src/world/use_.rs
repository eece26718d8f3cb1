//! Pulling a bundle, and saying how it was used.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, bail};
use evidence_domain::{
    Aside,
    event::{BundleAcknowledged, DecisionOutcome, DecisionRecorded, Use},
    ids::{DecisionId, ItemId},
    rules::decision::{REASON, USE, official_uses_digest, use_code},
};
use evidence_ledger::{ChainHead, Salt};
use evidence_wire::v1::{self, pull_response::Part};
use tonic::Status;

use super::{World, describe};
use crate::{Org, ok, random};

/// What came back from a pull.
#[derive(Debug)]
pub struct Pulled {
    pub manifest: v1::Manifest,
    pub documents: BTreeMap<String, Vec<u8>>,
}

/// A decision about to be signed; what a test does not change holds.
#[derive(Debug, Clone)]
pub struct Decide {
    pub body: DecisionRecorded,
    pub aside: Aside,
    pub official: Aside,
    pub subject: String,
}

impl Pulled {
    pub fn bundle(&self) -> &v1::Bundle {
        self.manifest
            .bundle
            .as_ref()
            .expect("every manifest has its bundle")
    }

    pub fn items(&self) -> BTreeSet<String> {
        self.documents.keys().cloned().collect()
    }
}

impl World {
    pub fn pull_request(&self, case: &v1::Case) -> v1::PullRequest {
        v1::PullRequest {
            request_id: self.key(),
            case_id: case.case_id.clone(),
            purpose: case.assessment_type.clone(),
            actor: "decision maker 7".to_owned(),
            ..Default::default()
        }
    }

    /// Pulls a new bundle whole, and keeps the receipts in it with their documents.
    pub async fn pull(&self, case: &v1::Case) -> Result<Pulled> {
        let pulled = match pull(&self.dwp, self.pull_request(case)).await {
            Ok(pulled) => pulled,
            Err(status) => bail!("the pull failed: {}", describe(&status)),
        };
        self.keep(pulled.manifest.receipt.clone())?;
        self.keep(pulled.manifest.official_receipt.clone())?;
        for item in &pulled.manifest.items {
            let id = item.item.as_ref().context("no item")?.item_id.clone();
            let document = pulled
                .documents
                .get(&id)
                .context("an item's document did not come")?;
            self.keep_with(item.receipt.clone(), Some((id.parse()?, document.clone())))?;
            if item.relay_receipt.is_some() {
                self.keep(item.relay_receipt.clone())?;
            }
        }
        Ok(pulled)
    }

    /// Signs for a bundle.
    pub async fn acknowledge(&self, case: &v1::Case, pulled: &Pulled) -> Result<()> {
        let entry = |receipt: &Option<v1::Receipt>| receipt.clone().unwrap_or_default().entry;
        let body = BundleAcknowledged {
            bundle: pulled.bundle().bundle_id.parse()?,
            pulled: entry(&pulled.manifest.receipt).as_slice().try_into()?,
            official: entry(&pulled.manifest.official_receipt)
                .as_slice()
                .try_into()?,
            received_on: self.now().day(),
        };
        let signed = self.sign(&self.dwp, &case.subject, body, Aside::new())?;
        let request = v1::AcknowledgeBundleRequest {
            acknowledgement: Some(signed),
        };
        self.keep(ok!(self.dwp.bundles().acknowledge(request)).receipt)?;
        Ok(())
    }

    /// A favourable decision that relies on everything in the bundle.
    pub fn decide(&self, case: &v1::Case, pulled: &Pulled) -> Result<Decide> {
        let (mut uses, mut official) = (BTreeMap::<ItemId, Use>::new(), Aside::new());
        for item in &pulled.manifest.items {
            let id = item.item.as_ref().context("no item")?.item_id.clone();
            if item.withheld {
                official.insert(format!("{USE}{id}"), use_code(Use::ReliedOn).to_owned());
            } else {
                uses.insert(id.parse()?, Use::ReliedOn);
            }
        }
        let bundle = pulled.bundle();
        let adjustments = &pulled.manifest.adjustments;
        let body = DecisionRecorded {
            decision: DecisionId::from_random(random()),
            case: case.case_id.parse()?,
            bundle: bundle.bundle_id.parse()?,
            purpose: case.assessment_type.clone(),
            outcome: DecisionOutcome::Favourable,
            for_lack_of_evidence: false,
            uses,
            adjustments: adjustments
                .iter()
                .map(|each| each.adjustment_id.parse())
                .collect::<Result<_, _>>()?,
            overdue: BTreeSet::new(),
            senior_override: false,
            panel: None,
            chain: head(bundle.chain.as_ref())?,
            official_head: head(bundle.official_chain.as_ref())?.head,
            official_uses: evidence_ledger::sha256(b"set when signed"),
        };
        Ok(Decide {
            body,
            aside: Aside::new(),
            official,
            subject: case.subject.clone(),
        })
    }

    /// Signs a decision.
    pub fn decision(&self, org: &Org, decide: &Decide) -> Result<v1::RecordDecisionRequest> {
        let salt: [u8; 32] = random();
        let mut body = decide.body.clone();
        body.official_uses = official_uses_digest(&Salt::from(salt), &decide.official);
        let decision = self.sign(org, &decide.subject, body, decide.aside.clone())?;
        Ok(v1::RecordDecisionRequest {
            decision: Some(decision),
            official: decide.official.clone(),
            official_salt: salt.to_vec(),
        })
    }

    /// Records a decision that must be accepted.
    pub async fn record(&self, decide: &Decide) -> Result<v1::Decision> {
        let request = self.decision(&self.dwp, decide)?;
        let recorded = ok!(self.dwp.decisions().record(request));
        self.keep(recorded.receipt)?;
        recorded.decision.context("no decision")
    }
}

impl Decide {
    /// Discounts an item, with a reason or without.
    pub fn discount(&mut self, item: &ItemId, reason: Option<&str>) {
        self.body.uses.insert(item.clone(), Use::Discounted);
        if let Some(reason) = reason {
            self.aside
                .insert(format!("{REASON}{item}"), reason.to_owned());
        }
    }
}

/// Pulls to the end.
pub async fn pull(org: &Org, request: v1::PullRequest) -> Result<Pulled, Status> {
    let mut stream = org.bundles().pull(request).await?.into_inner();
    let mut pulled = Pulled {
        manifest: v1::Manifest::default(),
        documents: BTreeMap::new(),
    };
    while let Some(message) = stream.message().await? {
        match message.part {
            Some(Part::Manifest(manifest)) => pulled.manifest = manifest,
            Some(Part::Chunk(chunk)) => pulled
                .documents
                .entry(chunk.item_id)
                .or_default()
                .extend(chunk.data),
            None => return Err(Status::internal("an empty message")),
        }
    }
    Ok(pulled)
}

fn head(head: Option<&v1::ChainHead>) -> Result<ChainHead> {
    let head = head.context("no chain head")?;
    Ok(ChainHead {
        count: head.count,
        head: head.head.as_slice().try_into()?,
    })
}
