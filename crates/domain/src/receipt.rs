//! A receipt as issued: what proves that a statement is in the log.

use evidence_ledger::Digest;

use crate::time::Moment;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The entry's digest.
    pub entry: Digest,
    pub index: u64,
    pub tree_size: u64,
    /// COSE Receipt (RFC 9942), tag 18.
    pub receipt: Vec<u8>,
    /// The statement as logged; empty where the reader is not a party to it.
    pub statement: Vec<u8>,
    /// When it was committed: the legal moment of receipt.
    pub at: Moment,
}
