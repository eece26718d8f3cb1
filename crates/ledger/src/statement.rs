//! Signed statements (RFC 9943): a COSE_Sign1 about one event, in exactly one shape.
//!
//! Tag 18, deterministic CBOR. Protected: 1 alg, 4 kid, 15 CWT claims {1 iss, 2 sub, 6 iat},
//! 16 typ, and nothing else. Unprotected: empty, or receipts at 394. Payload attached.

use ciborium::Value;
use serde::{Deserialize, Serialize};

use crate::cbor::{self, CborError};
use crate::cose::{self, Sign1};
use crate::hash::{Digest, Salt, sha256, sha256_parts};
use crate::key::{Alg, KeyError, PublicKey, SecureRandom, SigningKey};

/// The largest statement, receipts and all: 1 MiB. Documents lie beside statements, not in them; the
/// longest are those about a bundle or a decision, which name every item.
pub const MAX_LEN: usize = 1024 * 1024;

/// The header that carries receipts (RFC 9942 §4).
pub const RECEIPTS_LABEL: i64 = 394;

/// Who says it, about what, when: the CWT claims in the protected header (RFC 9597).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claims {
    /// The organisation's URN.
    pub iss: String,
    /// The random URN of the case.
    pub sub: String,
    /// When it was stated, in seconds since 1970.
    pub iat: i64,
}

/// A well-formed signed statement. Parsing proves its shape; only [`Statement::verify`] proves who
/// signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    bytes: Vec<u8>,
    protected: Vec<u8>,
    payload: Vec<u8>,
    signature: Vec<u8>,
    alg: Alg,
    kid: Vec<u8>,
    typ: String,
    claims: Claims,
    receipts: Vec<Vec<u8>>,
}

impl Statement {
    /// Reads a statement, refusing whatever is not exactly the one shape.
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        if bytes.len() > MAX_LEN {
            return Err(StatementError::TooLarge(bytes.len()));
        }
        let sign1 = Sign1::parse(bytes)?;
        let labels = [cose::ALG, cose::KID, cose::CLAIMS, cose::TYP];
        let [alg, kid, claims, typ] = cose::protected(&sign1.protected, labels)?;
        let payload = sign1.payload.ok_or(StatementError::Detached)?;
        let bare = sign1.unprotected.is_empty();
        let receipts = if bare {
            Vec::new()
        } else {
            let receipts = cose::only(sign1.unprotected, RECEIPTS_LABEL)?;
            cose::byte_strings(receipts).ok_or(StatementError::HeaderType(RECEIPTS_LABEL))?
        };
        let bytes = if bare {
            bytes.to_vec()
        } else {
            // The encoding is deterministic, so these are the bytes the signer made.
            cose::encode(
                &sign1.protected,
                Vec::new(),
                Some(&payload),
                &sign1.signature,
            )
        };
        Ok(Self {
            bytes,
            payload,
            signature: sign1.signature,
            alg: cose::alg(&alg)?,
            kid: cose::kid(kid)?,
            typ: cose::typ(typ)?,
            claims: cose::claims(claims)?,
            protected: sign1.protected,
            receipts,
        })
    }

    /// States `payload` (CBOR of a [`Payload`]) under `key`, whose thumbprint becomes the kid.
    pub fn sign(
        typ: &str,
        claims: &Claims,
        payload: &[u8],
        key: &SigningKey,
        rng: &dyn SecureRandom,
    ) -> Result<Self, StatementError> {
        let kid = key.public().kid();
        let protected = cbor::encode(&Value::Map(vec![
            (Value::from(cose::ALG), Value::from(key.alg().id())),
            (Value::from(cose::KID), Value::Bytes(kid.clone())),
            (Value::from(cose::CLAIMS), cose::claims_value(claims)),
            (Value::from(cose::TYP), Value::from(typ)),
        ]));
        let signature = key.sign(&cose::to_be_signed(&protected, payload), rng);
        let bytes = cose::encode(&protected, Vec::new(), Some(payload), &signature);
        if bytes.len() > MAX_LEN {
            return Err(StatementError::TooLarge(bytes.len()));
        }
        Ok(Self {
            bytes,
            protected,
            payload: payload.to_vec(),
            signature,
            alg: key.alg(),
            kid,
            typ: typ.to_owned(),
            claims: claims.clone(),
            receipts: Vec::new(),
        })
    }

    /// Checks the signature with the key the registry holds for this signer. The key decides the
    /// algorithm; a statement that names another is refused.
    pub fn verify(&self, key: &PublicKey) -> Result<(), StatementError> {
        if key.alg() != self.alg {
            return Err(StatementError::WrongAlg {
                stated: self.alg,
                key: key.alg(),
            });
        }
        key.verify(
            &cose::to_be_signed(&self.protected, &self.payload),
            &self.signature,
        )
        .map_err(|_| StatementError::BadSignature)
    }

    /// The statement's entry in the log: SHA-256 of its bytes with an empty unprotected header.
    pub fn entry(&self) -> Digest {
        sha256(&self.bytes)
    }

    /// The same statement with these receipts at 394. With none, [`Statement::bytes`].
    pub fn with_receipts(&self, receipts: &[Vec<u8>]) -> Vec<u8> {
        if receipts.is_empty() {
            return self.bytes.clone();
        }
        let receipts = receipts.iter().cloned().map(Value::Bytes).collect();
        let unprotected = vec![(Value::from(RECEIPTS_LABEL), Value::Array(receipts))];
        cose::encode(
            &self.protected,
            unprotected,
            Some(&self.payload),
            &self.signature,
        )
    }

    /// The receipts that came attached, unread: see [`Receipt::parse`](crate::Receipt::parse).
    pub fn receipts(&self) -> &[Vec<u8>] {
        &self.receipts
    }

    /// The whole message with an empty unprotected header.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub fn alg(&self) -> Alg {
        self.alg
    }

    pub fn kid(&self) -> &[u8] {
        &self.kid
    }

    pub fn typ(&self) -> &str {
        &self.typ
    }

    pub fn claims(&self) -> &Claims {
        &self.claims
    }

    pub fn payload(&self) -> &[u8] {
        &self.payload
    }
}

/// What a statement's payload holds, whatever the event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The event's name.
    pub event: String,
    /// Random, so that the entry cannot be guessed from what it says.
    pub salt: Salt,
    /// Commits to what is sealed beside the statement: see [`aside_digest`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aside: Option<Digest>,
    /// The event's own map, as `proto/cddl` describes it: see [`cbor::to_value`] and
    /// [`cbor::from_value`].
    pub body: Value,
}

impl Payload {
    /// The deterministic CBOR map `{"event", "salt", ? "aside", "body"}`.
    pub fn encode(&self) -> Result<Vec<u8>, CborError> {
        cbor::to_canonical(self)
    }

    /// Reads what [`Payload::encode`] wrote, and nothing else: no other keys, no second spelling.
    pub fn decode(bytes: &[u8]) -> Result<Self, CborError> {
        cbor::from_canonical(bytes)
    }
}

/// The digest that binds what is sealed beside a statement: `SHA-256(salt ‖ aside_cbor)`, the
/// aside in deterministic CBOR. Without the salt it says nothing about the aside.
pub fn aside_digest(salt: &Salt, aside_cbor: &[u8]) -> Digest {
    sha256_parts(&[salt.as_bytes(), aside_cbor])
}

/// Why bytes are no statement of ours, or not signed by this key. Receipts share the envelope, so
/// they share these too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StatementError {
    #[error("the message is {0} bytes; keep it within 1 MiB, documents go beside it")]
    TooLarge(usize),
    #[error("not a COSE_Sign1 with tag 18 and four elements; send it as RFC 9052 §4.2 says")]
    NotSign1,
    #[error("not deterministic CBOR: {0}")]
    Cbor(#[from] CborError),
    #[error("a critical header (crit) is not known here; send the message without it")]
    UnknownCritical,
    #[error("the protected header {0} is not known here; send the message without it")]
    UnknownHeader(String),
    #[error("the protected header {0} is missing; add it and sign again")]
    MissingHeader(i64),
    #[error("the header {0} has the wrong type or parts; see the CDDL for the envelope")]
    HeaderType(i64),
    #[error("the unprotected header may hold {0} and nothing else; take the rest out")]
    Unprotected(i64),
    #[error("the payload is detached; attach it")]
    Detached,
    #[error("the algorithm {0} is not accepted; sign with ES256 (-7) or EdDSA (-8)")]
    UnknownAlg(i64),
    #[error("the signature is {0} bytes; send the 64 bytes of r‖s or of Ed25519")]
    SignatureLength(usize),
    #[error("signed as {stated} but the key is for {key}; state the registered key's algorithm")]
    WrongAlg { stated: Alg, key: Alg },
    #[error("the signature does not fit the registered key; sign these bytes with that key")]
    BadSignature,
    #[error(transparent)]
    Key(#[from] KeyError),
}

#[cfg(test)]
mod tests;
