//! Pushing evidence.

use anyhow::{Context as _, Result, bail};
use bytes::Bytes;
use evidence_domain::{
    Aside,
    event::{Disclosure, Evidence, EvidenceRelayed},
    ids::ItemId,
    time::Period,
};
use evidence_ledger::{Digest, sha256};
use evidence_wire::v1::{
    self, evidence_service_client::EvidenceServiceClient, submit_request::Part,
    submit_response::Outcome,
};
use jiff::civil::date;
use tonic::{Status, transport::Channel};

use super::{World, describe};
use crate::{Org, random};

/// Bytes in one message of a push.
const CHUNK: usize = 256 * 1024;

impl World {
    /// What a clinic usually says about a letter: nothing but its bytes is special.
    pub fn evidence(
        &self,
        grant: &v1::Grant,
        request: Option<&v1::EvidenceRequest>,
        document: &[u8],
    ) -> Evidence {
        Evidence {
            item: ItemId::from_random(random()),
            grant: grant.grant_id.parse().expect("the gateway gave the id"),
            request: request
                .map(|request| request.request_id.parse().expect("the gateway gave the id")),
            kind: "clinical-letter".to_owned(),
            media_type: "application/pdf".to_owned(),
            size: document.len() as u64,
            digest: sha256(document),
            period: Period {
                from: Some(date(2026, 1, 1)),
                to: Some(date(2026, 6, 30)),
            },
            written_on: date(2026, 7, 1),
            profession: "occupational-therapist".to_owned(),
            certified_copy: None,
            completes: false,
            supersedes: None,
            disclosure: Disclosure::Open,
        }
    }

    /// The subject that evidence names: the case where somebody asked, else the grant.
    pub fn subject(&self, grant: &v1::Grant, request: Option<&v1::EvidenceRequest>) -> String {
        request.map_or_else(|| grant.subject.clone(), |request| request.subject.clone())
    }

    /// Signs a push.
    pub fn push(&self, org: &Org, subject: &str, evidence: Evidence) -> Result<v1::Push> {
        let signed = self.sign(org, subject, evidence, titles())?;
        Ok(v1::Push {
            request_id: String::new(),
            evidence: Some(signed),
            relay: None,
        })
    }

    /// The same push with a relay's signature.
    pub fn relayed(
        &self,
        org: &Org,
        subject: &str,
        push: v1::Push,
        relay: EvidenceRelayed,
    ) -> Result<v1::Push> {
        let signed = self.sign(org, subject, relay, Aside::new())?;
        Ok(v1::Push {
            relay: Some(signed),
            ..push
        })
    }

    /// A relay of this push, received today.
    pub fn relay(
        &self,
        item: &ItemId,
        push: &v1::Push,
        delegation: Option<&v1::Delegation>,
    ) -> Result<EvidenceRelayed> {
        Ok(EvidenceRelayed {
            item: item.clone(),
            evidence: entry(push)?,
            delegation: delegation
                .map(|row| row.delegation_id.parse())
                .transpose()?,
            received_on: self.now().day(),
        })
    }

    /// Sends one item on a stream of its own.
    pub async fn submit(
        &self,
        org: &Org,
        push: &v1::Push,
        document: &[u8],
    ) -> Result<v1::SubmitResponse, Status> {
        submit(org, push, document).await
    }

    /// Pushes a letter that must be accepted; its item's id. The receipts are kept.
    pub async fn give(&self, org: &Org, push: &v1::Push, document: &[u8]) -> Result<ItemId> {
        match self.submit(org, push, document).await {
            Ok(answer) => self.accepted(answer, document),
            Err(status) => bail!("the push failed: {}", describe(&status)),
        }
    }

    /// A letter of the usual shape, for a request or early.
    pub async fn letter(
        &self,
        org: &Org,
        grant: &v1::Grant,
        request: Option<&v1::EvidenceRequest>,
        document: &[u8],
    ) -> Result<ItemId> {
        let evidence = self.evidence(grant, request, document);
        let push = self.push(org, &self.subject(grant, request), evidence)?;
        self.give(org, &push, document).await
    }

    /// Keeps the receipts of an accepted push.
    pub fn accepted(&self, answer: v1::SubmitResponse, document: &[u8]) -> Result<ItemId> {
        let item: ItemId = answer.item_id.parse()?;
        match answer.outcome.context("the answer is empty")? {
            Outcome::Receipt(receipt) => {
                self.keep_with(Some(receipt), Some((item.clone(), document.to_vec())))?;
                if answer.relay_receipt.is_some() {
                    self.keep(answer.relay_receipt)?;
                }
                Ok(item)
            }
            Outcome::Refusal(refusal) => bail!(
                "the push was refused: {} {}",
                refusal.reason,
                refusal.message
            ),
        }
    }

    /// The reason of a push that must be refused, its refusal being in the log; kept too.
    pub fn refused(&self, answer: v1::SubmitResponse) -> Result<String> {
        match answer.outcome.context("the answer is empty")? {
            Outcome::Refusal(refusal) => {
                self.keep(refusal.receipt)?;
                Ok(refusal.reason)
            }
            Outcome::Receipt(_) => bail!("the push was not refused"),
        }
    }
}

/// Sends one item on a stream of its own.
pub(crate) async fn submit(
    org: &Org,
    push: &v1::Push,
    document: &[u8],
) -> Result<v1::SubmitResponse, Status> {
    submit_on(org.evidence(), parts(push, document)).await
}

/// Sends the messages of one item; its answer.
pub async fn submit_on(
    mut client: EvidenceServiceClient<Channel>,
    parts: Vec<v1::SubmitRequest>,
) -> Result<v1::SubmitResponse, Status> {
    let answer = client.submit(tokio_stream::iter(parts)).await?;
    let answer = answer.into_inner().message().await?;
    answer.ok_or_else(|| Status::internal("the stream ended without an answer"))
}

/// The messages of one item.
pub fn parts(push: &v1::Push, document: &[u8]) -> Vec<v1::SubmitRequest> {
    let chunk = |bytes: &[u8]| Part::Chunk(Bytes::copy_from_slice(bytes));
    let parts = [Part::Begin(push.clone())]
        .into_iter()
        .chain(document.chunks(CHUNK).map(chunk))
        .chain([Part::End(v1::SubmitEnd {})]);
    parts
        .map(|part| v1::SubmitRequest { part: Some(part) })
        .collect()
}

/// The digest under which the log enters a push.
pub fn entry(push: &v1::Push) -> Result<Digest> {
    let evidence = push
        .evidence
        .as_ref()
        .context("the push has no statement")?;
    Ok(sha256(&evidence.statement))
}

fn titles() -> Aside {
    [
        ("title".to_owned(), "Letter".to_owned()),
        ("author".to_owned(), "A. Clinician".to_owned()),
    ]
    .into()
}
