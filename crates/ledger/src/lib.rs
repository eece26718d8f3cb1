//! The ledger: everything an outsider needs to check the gateway's word.
//!
//! A Merkle tree (RFC 6962, RFC 9162), signed statements (RFC 9943), receipts (RFC 9942),
//! checkpoints and tiles (C2SP), and the chain each case keeps. No I/O, no async, no clock and no
//! random source of its own: time, randomness and storage are arguments.

pub mod cbor;
pub mod chain;
pub mod checkpoint;
mod cose;
pub mod hash;
pub mod key;
pub mod receipt;
pub mod statement;
pub mod tile;
pub mod tree;

pub use cbor::{CborError, from_canonical, from_value, to_canonical, to_value};
pub use chain::ChainHead;
pub use checkpoint::{Checkpoint, NoteError, NoteSigner, NoteVerifier};
pub use hash::{Digest, DigestError, Salt, sha256, sha256_parts};
pub use key::{Alg, KeyError, PublicKey, SecureRandom, SigningKey};
pub use receipt::{BatchSeal, Receipt, ReceiptError, SIZE_LABEL, encode_receipt, seal_batch};
pub use statement::{Claims, Payload, Statement, StatementError, aside_digest};
pub use tile::{Tile, TileError, TilePath};
pub use tree::{Appended, Frontier, FrontierError, Nodes, ProofError, VerifyError};

#[cfg(test)]
mod test_keys;
