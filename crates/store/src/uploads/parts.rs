//! Writing and checking the parts of an upload.

use std::sync::Arc;

use bytes::Bytes;
use evidence_domain::ids::{DocumentId, ItemId};
use evidence_ledger::Digest;
use futures::{TryStreamExt as _, pin_mut};
use ring::digest::{Context, SHA256};

use super::Upload;
use crate::{
    Store, StoreError,
    documents::{DocumentError, Documents, PART_SIZE, context},
    seal::{DataKey, OVERHEAD, Rng},
};

/// Takes the bytes of an upload from where the last connection ended, and stores each part as it
/// fills. Several may write at once: whoever is second with a part is told.
pub struct UploadWriter {
    documents: Documents,
    rng: Arc<Rng>,
    id: DocumentId,
    key: Arc<DataKey>,
    size: u64,
    /// Whole parts stored.
    parts: u64,
    pending: Vec<u8>,
    ended: bool,
}

impl Store {
    /// How many bytes of an upload are durable: whole parts, or all.
    pub async fn upload_offset(&self, upload: &Upload) -> Result<u64, StoreError> {
        if upload.completed {
            return Ok(upload.size);
        }
        let stored = self.documents().parts(upload.document.as_str()).await?;
        let fits = |part: &u64| {
            stored.get(part) == Some(&(part_len(upload.size, *part) + OVERHEAD as u64))
        };
        let parts = (0..part_count(upload.size)).take_while(fits).count() as u64;
        Ok(upload.size.min(parts * PART_SIZE as u64))
    }

    /// A writer that goes on at [`Store::upload_offset`].
    pub async fn upload_writer(
        &self,
        upload: &Upload,
        item: &ItemId,
    ) -> Result<UploadWriter, StoreError> {
        let offset = self.upload_offset(upload).await?;
        Ok(UploadWriter {
            documents: self.documents().clone(),
            rng: Arc::clone(&self.0.rng),
            id: upload.document.clone(),
            key: self
                .document_key(&upload.claimant, item, &upload.wrapped_key)
                .await?,
            size: upload.size,
            parts: offset / PART_SIZE as u64,
            pending: Vec::new(),
            ended: offset == upload.size,
        })
    }

    /// Reads the stored bytes of an upload back and gives their SHA-256.
    pub async fn upload_digest(
        &self,
        upload: &Upload,
        item: &ItemId,
    ) -> Result<Digest, StoreError> {
        let key = self
            .document_key(&upload.claimant, item, &upload.wrapped_key)
            .await?;
        let plain = self
            .documents()
            .read(upload.document.as_str(), key, upload.size, 0)?;
        pin_mut!(plain);
        let mut digest = Context::new(&SHA256);
        while let Some(bytes) = plain.try_next().await? {
            digest.update(&bytes);
        }
        let digest: [u8; 32] = digest
            .finish()
            .as_ref()
            .try_into()
            .expect("a SHA-256 digest has 32 bytes");
        Ok(digest.into())
    }
}

impl UploadWriter {
    /// Bytes taken so far.
    pub fn offset(&self) -> u64 {
        if self.ended {
            self.size
        } else {
            self.parts * PART_SIZE as u64 + self.pending.len() as u64
        }
    }

    /// Takes the next bytes. The caller has checked that they do not go beyond the size.
    ///
    /// # Errors
    /// [`DocumentError::AlreadyExists`] where another connection has stored the part: ask for the
    /// offset and go on from there. [`DocumentError::OutOfRange`] where there are too many bytes.
    pub async fn push(&mut self, mut bytes: &[u8]) -> Result<(), DocumentError> {
        let offset = self.offset() + bytes.len() as u64;
        if offset > self.size {
            return Err(DocumentError::OutOfRange {
                offset,
                size: self.size,
            });
        }
        while !bytes.is_empty() {
            let (now, later) = bytes.split_at(bytes.len().min(PART_SIZE - self.pending.len()));
            self.pending.extend_from_slice(now);
            bytes = later;
            if self.pending.len() as u64 == part_len(self.size, self.parts) {
                self.store_part().await?;
            }
        }
        Ok(())
    }

    async fn store_part(&mut self) -> Result<(), DocumentError> {
        let last = self.parts + 1 == part_count(self.size);
        let sealed = self.key.seal(
            &context(self.id.as_str()),
            self.parts,
            last,
            &self.pending,
            &*self.rng,
        )?;
        self.documents
            .put_part(self.id.as_str(), self.parts, Bytes::from(sealed), false)
            .await?;
        self.pending.clear();
        self.parts += 1;
        self.ended = last;
        Ok(())
    }
}

fn part_count(size: u64) -> u64 {
    size.div_ceil(PART_SIZE as u64)
}

/// Plaintext bytes of a part of a document this long.
fn part_len(size: u64, part: u64) -> u64 {
    size.saturating_sub(part * PART_SIZE as u64)
        .min(PART_SIZE as u64)
}
