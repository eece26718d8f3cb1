use evidence_domain::world::RecordError;
use evidence_ledger::{CborError, KeyError, ReceiptError, StatementError};

use crate::{db::DbError, documents::DocumentError, seal::SealError};

/// Why the store could not answer. The caller of the API is told only whether
/// to try again; the operator's log has this text, which names no person.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error(transparent)]
    Db(#[from] DbError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error(transparent)]
    Seal(#[from] SealError),
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error("a stored statement cannot be read: {0}. Run fsck")]
    Statement(#[from] StatementError),
    #[error("stored CBOR cannot be read: {0}. Run fsck")]
    Cbor(#[from] CborError),
    #[error("a receipt could not be signed: {0}")]
    Receipt(#[from] ReceiptError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("what was stored does not hold together: {0}. Run fsck")]
    Corrupt(String),
    /// The key is destroyed, or was never there.
    #[error("there is no key `{0}`: what was sealed under it is erased")]
    NoKey(String),
}

impl StoreError {
    /// Whether the same call may succeed later.
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Db(DbError::Unavailable(_)))
    }
}
