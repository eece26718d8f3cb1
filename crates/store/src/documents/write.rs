//! Writing a document as it arrives.
use std::sync::Arc;

use ring::digest::{Context, SHA256};

use super::{Bytes, DocumentError, Documents, INLINE_MAX, PART_SIZE, context, seal_inline};
use crate::seal::{DataKey, OVERHEAD, Rng};

/// Takes a document's bytes in order, keeping a running SHA-256, and stores each part as it fills.
///
/// What is whole is durable: after a broken connection, or a crash, [`PartWriter::resume`] goes on
/// from the last whole part. After an error, or a call that was dropped half-way, let the writer go
/// and resume likewise. One writer at a time per document: the caller holds the upload's lease.
pub struct PartWriter {
    documents: Documents,
    id: String,
    key: Arc<DataKey>,
    digest: Context,
    /// Whole parts stored so far.
    parts: u64,
    /// What comes after them, not stored yet: at most a part.
    pending: Vec<u8>,
    resumed: bool,
}

/// A document that has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Plaintext bytes.
    pub size: u64,
    /// Of the plaintext.
    pub sha256: [u8; 32],
    pub body: Body,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// The sealed bytes of a document of at most [`INLINE_MAX`] bytes, for the database; see
    /// [`super::open_inline`].
    Inline(Vec<u8>),
    /// This many parts, durable in the store; see [`Documents::read`].
    Parts(u64),
}

impl PartWriter {
    pub fn start(documents: Documents, id: &str, key: Arc<DataKey>) -> Self {
        Self {
            documents,
            id: id.to_owned(),
            key,
            digest: Context::new(&SHA256),
            parts: 0,
            pending: Vec::new(),
            resumed: false,
        }
    }

    /// Goes on after the parts that are stored: reads them back, to check them and to have the
    /// digest so far. The caller sends the document from [`PartWriter::offset`] on; what was stored
    /// beyond that (a last part whose entry was never committed) is overwritten.
    ///
    /// # Errors
    /// [`DocumentError::Damaged`] where a stored part does not open: delete all and start again.
    pub async fn resume(
        documents: Documents,
        id: &str,
        key: Arc<DataKey>,
    ) -> Result<Self, DocumentError> {
        let parts = documents.resume_point(id, &key).await?;
        let mut writer = Self {
            parts,
            resumed: true,
            ..Self::start(documents, id, key)
        };
        for part in 0..parts {
            let sealed = writer.documents.get_part(id, part).await?;
            let plain = writer.key.open(&context(id), part, false, &sealed);
            let plain = plain.map_err(|cause| DocumentError::Damaged {
                id: id.to_owned(),
                part,
                cause,
            })?;
            writer.digest.update(&plain);
        }
        Ok(writer)
    }

    /// How many bytes of the document have been taken.
    pub fn offset(&self) -> u64 {
        self.parts * PART_SIZE as u64 + self.pending.len() as u64
    }

    /// Takes the next bytes, however many.
    pub async fn push(&mut self, mut bytes: &[u8], rng: &Rng) -> Result<(), DocumentError> {
        while !bytes.is_empty() {
            // Not before there is more: a part must know whether it is the last.
            if self.pending.len() == PART_SIZE {
                self.store_pending(false, rng).await?;
            }
            let (now, later) = bytes.split_at(bytes.len().min(PART_SIZE - self.pending.len()));
            self.pending.extend_from_slice(now);
            self.digest.update(now);
            bytes = later;
        }
        Ok(())
    }

    /// Ends the document. A short one comes back sealed, to be kept in the database; of a longer
    /// one the last part is stored.
    pub async fn finish(mut self, rng: &Rng) -> Result<Written, DocumentError> {
        let size = self.offset();
        let body = if size <= INLINE_MAX as u64 {
            Body::Inline(seal_inline(&self.id, &self.key, &self.pending, rng)?)
        } else {
            self.store_pending(true, rng).await?;
            Body::Parts(self.parts)
        };
        let digest = self.digest.finish();
        let sha256 = digest
            .as_ref()
            .try_into()
            .expect("a SHA-256 digest has 32 bytes");
        Ok(Written { size, sha256, body })
    }

    /// Lets go of the pending bytes only once they are stored, so that a failure here can never
    /// leave a gap between parts.
    async fn store_pending(&mut self, last: bool, rng: &Rng) -> Result<(), DocumentError> {
        let sealed = self
            .key
            .seal(&context(&self.id), self.parts, last, &self.pending, rng)?;
        self.documents
            .put_part(&self.id, self.parts, Bytes::from(sealed), self.resumed)
            .await?;
        self.parts += 1;
        self.pending.clear();
        Ok(())
    }
}

impl Documents {
    /// How many parts of an upload are whole and need not be sent again; times [`PART_SIZE`], the
    /// offset to send from.
    pub async fn resume_point(&self, id: &str, key: &DataKey) -> Result<u64, DocumentError> {
        let whole = (PART_SIZE + OVERHEAD) as u64;
        let stored = self.parts(id).await?;
        let in_order = stored.into_iter().zip(0..);
        let parts = in_order
            .take_while(|(found, part)| *found == (*part, whole))
            .count() as u64;
        let Some(part) = parts.checked_sub(1) else {
            return Ok(0);
        };
        // A document may end on a whole part. Had that one been stored and the entry not committed,
        // it is the mark of the last that tells.
        let sealed = self.get_part(id, part).await?;
        let opens = |last| key.open(&context(id), part, last, &sealed);
        match (opens(false), opens(true)) {
            (Ok(_), _) => Ok(parts),
            (_, Ok(_)) => Ok(part),
            (Err(cause), Err(_)) => Err(DocumentError::Damaged {
                id: id.to_owned(),
                part,
                cause,
            }),
        }
    }
}
