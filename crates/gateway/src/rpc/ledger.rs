//! `LedgerService`: receipts, checkpoints, proofs, keys.

use evidence_domain::Refusal;
use evidence_ledger::Digest;
use evidence_store::StoredCheckpoint;
use evidence_wire::{
    common::{receipt, timestamp},
    v1::{self, ledger_service_server::LedgerService},
};
use tonic::{Request, Response, Status};

use crate::{app::App, error};

/// Paths are worked out for one caller at a time.
pub struct Ledger {
    pub app: App,
}

#[tonic::async_trait]
impl LedgerService for Ledger {
    async fn get_receipt(
        &self,
        request: Request<v1::GetReceiptRequest>,
    ) -> Result<Response<v1::Receipt>, Status> {
        let entry = Digest::try_from(request.into_inner().entry.as_slice())
            .map_err(|_| error::refused(&Refusal::field("entry", "must be 32 bytes")))?;
        let mut issued = self
            .app
            .store
            .receipt(&entry)
            .await
            .map_err(|e| error::store(&e))?
            .ok_or_else(absent)?;
        // Whoever has the digest may have the proof; what it says is for the parties.
        issued.statement.clear();
        Ok(Response::new(receipt(&issued, false)))
    }

    async fn get_checkpoint(
        &self,
        request: Request<v1::GetCheckpointRequest>,
    ) -> Result<Response<v1::Checkpoint>, Status> {
        let found = self.checkpoint(request.into_inner().size).await?;
        Ok(Response::new(v1::Checkpoint {
            size: found.size,
            root: found.root.as_bytes().to_vec(),
            note: found.note,
            at: Some(timestamp(found.at)),
        }))
    }

    async fn get_inclusion_proof(
        &self,
        request: Request<v1::GetInclusionProofRequest>,
    ) -> Result<Response<v1::InclusionProof>, Status> {
        let asked = request.into_inner();
        let size = self.checkpoint(asked.size).await?.size;
        if asked.index >= size {
            return Err(error::refused(&Refusal::field(
                "index",
                "must be below the tree's size",
            )));
        }
        let path = self
            .app
            .store
            .inclusion(asked.index, size)
            .await
            .map_err(|e| error::store(&e))?;
        Ok(Response::new(v1::InclusionProof {
            index: asked.index,
            size,
            path: bytes(&path),
        }))
    }

    async fn get_consistency_proof(
        &self,
        request: Request<v1::GetConsistencyProofRequest>,
    ) -> Result<Response<v1::ConsistencyProof>, Status> {
        let asked = request.into_inner();
        let to_size = self.checkpoint(asked.to_size).await?.size;
        if asked.from_size == 0 || asked.from_size > to_size {
            return Err(error::refused(&Refusal::field(
                "from_size",
                "must be from 1 to to_size",
            )));
        }
        let path = self
            .app
            .store
            .consistency(asked.from_size, to_size)
            .await
            .map_err(|e| error::store(&e))?;
        Ok(Response::new(v1::ConsistencyProof {
            from_size: asked.from_size,
            to_size,
            path: bytes(&path),
        }))
    }

    async fn list_log_keys(
        &self,
        _: Request<v1::ListLogKeysRequest>,
    ) -> Result<Response<v1::ListLogKeysResponse>, Status> {
        let keys = self.app.store.log_keys();
        let key =
            |usage: &str, key: &evidence_ledger::PublicKey, verifier_key: String| v1::LogKey {
                r#use: usage.to_owned(),
                kid: key.kid(),
                cose_key: key.to_cose_key(),
                verifier_key,
            };
        let checkpoint = keys.checkpoint.verifier();
        Ok(Response::new(v1::ListLogKeysResponse {
            origin: self.app.store.origin().to_owned(),
            keys: vec![
                key("receipt", keys.receipt.public(), String::new()),
                key("statement", keys.statement.public(), String::new()),
                key("checkpoint", checkpoint.key(), checkpoint.to_string()),
            ],
        }))
    }
}

impl Ledger {
    /// The checkpoint of this size; 0 is the newest.
    async fn checkpoint(&self, size: u64) -> Result<StoredCheckpoint, Status> {
        let size = (size != 0).then_some(size);
        self.app
            .store
            .checkpoint(size)
            .await
            .map_err(|e| error::store(&e))?
            .ok_or_else(absent)
    }
}

fn absent() -> Status {
    error::refused(&Refusal::not_found())
}

fn bytes(path: &[Digest]) -> Vec<Vec<u8>> {
    path.iter().map(|hash| hash.as_bytes().to_vec()).collect()
}
