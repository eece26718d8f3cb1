//! Receipts (RFC 9942): a COSE_Sign1 whose payload, the root of the tree, is left out and worked
//! out again from the inclusion proof.
//!
//! Protected: `{1: -7, 4: kid, 15: {1: iss, 2: sub, 6: iat}, 395: 1, SIZE_LABEL: size}`.
//! Unprotected: `{396: {-1: [<<[size, index, [path]]>>]}}`. RFC receipts leave the size unsigned;
//! here the protected header states it. It is the same for a whole batch, and so is the signature.

use ciborium::Value;

use crate::cbor;
use crate::cose::{self, Sign1};
use crate::hash::Digest;
use crate::key::{Alg, KeyError, PublicKey, SecureRandom, SigningKey};
use crate::statement::{Claims, MAX_LEN, StatementError};
use crate::tree::{VerifyError, root_from_inclusion};

/// The protected header with the size of the tree: a label for private use (below -65536).
pub const SIZE_LABEL: i64 = -70_395;

/// The kind of tree (RFC 9942 §4), and the one kind there is here: RFC9162_SHA256.
const VDS_LABEL: i64 = 395;
const RFC9162_SHA256: i64 = 1;
/// The proofs, and inclusion proofs among them (RFC 9942 §4, §5.2).
const PROOFS_LABEL: i64 = 396;
const INCLUSION: i64 = -1;

/// The part of a receipt that a whole batch has in common, signed once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BatchSeal {
    /// The encoded protected header.
    pub protected: Vec<u8>,
    /// ES256 over the Sig_structure with the root as payload, 64 bytes.
    pub signature: Vec<u8>,
}

/// Signs the root of a tree of `size` entries for every receipt issued at that size.
pub fn seal_batch(
    claims: &Claims,
    size: u64,
    root: &Digest,
    key: &SigningKey,
    rng: &dyn SecureRandom,
) -> Result<BatchSeal, ReceiptError> {
    require_es256(key.alg())?;
    let protected = cbor::encode(&Value::Map(vec![
        (Value::from(cose::ALG), Value::from(key.alg().id())),
        (Value::from(cose::KID), Value::Bytes(key.public().kid())),
        (Value::from(cose::CLAIMS), cose::claims_value(claims)),
        (Value::from(VDS_LABEL), Value::from(RFC9162_SHA256)),
        (Value::from(SIZE_LABEL), Value::from(size)),
    ]));
    let signature = key.sign(&cose::to_be_signed(&protected, root.as_bytes()), rng);
    Ok(BatchSeal {
        protected,
        signature,
    })
}

/// The receipt of one entry: the batch's seal with the entry's own path.
pub fn encode_receipt(seal: &BatchSeal, size: u64, index: u64, path: &[Digest]) -> Vec<u8> {
    let path = path.iter().map(|hash| Value::Bytes(hash.as_bytes().into()));
    let proof = cbor::encode(&Value::Array(vec![
        Value::from(size),
        Value::from(index),
        Value::Array(path.collect()),
    ]));
    let proofs = vec![(
        Value::from(INCLUSION),
        Value::Array(vec![Value::Bytes(proof)]),
    )];
    let unprotected = vec![(Value::from(PROOFS_LABEL), Value::Map(proofs))];
    cose::encode(&seal.protected, unprotected, None, &seal.signature)
}

/// A well-formed receipt. Only [`Receipt::verify`] proves anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The thumbprint of the log's key.
    pub kid: Vec<u8>,
    /// The log, and when it signed.
    pub claims: Claims,
    /// The size of the tree that was signed.
    pub size: u64,
    /// The entry's place in the log.
    pub index: u64,
    /// The inclusion path, lowest sibling first.
    pub path: Vec<Digest>,
    protected: Vec<u8>,
    signature: Vec<u8>,
}

impl Receipt {
    /// Reads a receipt, refusing whatever is not exactly the one shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, ReceiptError> {
        if bytes.len() > MAX_LEN {
            return Err(StatementError::TooLarge(bytes.len()).into());
        }
        let sign1 = Sign1::parse(bytes)?;
        let labels = [cose::ALG, cose::KID, cose::CLAIMS, VDS_LABEL, SIZE_LABEL];
        let [alg, kid, claims, vds, signed_size] = cose::protected(&sign1.protected, labels)?;
        require_es256(cose::alg(&alg)?)?;
        if vds != Value::from(RFC9162_SHA256) {
            return Err(ReceiptError::Tree);
        }
        if sign1.payload.is_some() {
            return Err(ReceiptError::Attached);
        }
        let (size, index, path) = inclusion(sign1.unprotected)?;
        let signed_size: u64 =
            cose::integer(&signed_size).ok_or(StatementError::HeaderType(SIZE_LABEL))?;
        if size != signed_size {
            return Err(ReceiptError::Size {
                signed: signed_size,
                proof: size,
            });
        }
        Ok(Self {
            kid: cose::kid(kid)?,
            claims: cose::claims(claims)?,
            size,
            index,
            path,
            protected: sign1.protected,
            signature: sign1.signature,
        })
    }

    /// Checks that the log's `key` signed a tree with `entry` in it, and gives that tree's root.
    pub fn verify(&self, entry: &Digest, key: &PublicKey) -> Result<Digest, ReceiptError> {
        require_es256(key.alg())?;
        if self.kid != key.kid() {
            return Err(ReceiptError::OtherKey);
        }
        let root = root_from_inclusion(entry, self.index, self.size, &self.path)?;
        key.verify(
            &cose::to_be_signed(&self.protected, root.as_bytes()),
            &self.signature,
        )
        .map_err(|_| ReceiptError::NotProved)?;
        Ok(root)
    }
}

/// Why bytes are no receipt, or prove nothing about an entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    #[error(transparent)]
    Envelope(#[from] StatementError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("the receipt is for another kind of tree than RFC9162_SHA256; ask this log for one")]
    Tree,
    #[error("the receipt's payload must be left out (nil); it is worked out from the proof")]
    Attached,
    #[error("not one inclusion proof [size, index, [path]] at 396; ask the log for the receipt")]
    Proof,
    #[error("the proof is for size {proof} but {signed} was signed; do not accept the receipt")]
    Size { signed: u64, proof: u64 },
    #[error("the receipt names another key; get the log's key with that kid")]
    OtherKey,
    #[error("the inclusion proof does not hold: {0}")]
    Inclusion(#[from] VerifyError),
    #[error("the log's key did not sign a tree with this entry there; do not accept the receipt")]
    NotProved,
}

fn require_es256(actual: Alg) -> Result<(), KeyError> {
    let needed = Alg::Es256;
    if actual == needed {
        Ok(())
    } else {
        Err(KeyError::WrongAlg { needed, actual })
    }
}

/// `(size, index, path)` out of the unprotected header.
fn inclusion(unprotected: Vec<(Value, Value)>) -> Result<(u64, u64, Vec<Digest>), ReceiptError> {
    let Value::Map(proofs) = cose::only(unprotected, PROOFS_LABEL)? else {
        return Err(ReceiptError::Proof);
    };
    let proofs = cose::only(proofs, INCLUSION).map_err(|_| ReceiptError::Proof)?;
    let proofs = cose::byte_strings(proofs).ok_or(ReceiptError::Proof)?;
    let [proof] = &proofs[..] else {
        return Err(ReceiptError::Proof);
    };
    let (size, index, path): (u64, u64, Vec<Digest>) =
        cbor::from_canonical(proof).map_err(StatementError::from)?;
    Ok((size, index, path))
}

#[cfg(test)]
mod tests;
