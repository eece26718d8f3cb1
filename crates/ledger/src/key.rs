//! Keys and signatures. The only module that names `ring`, so that it can be replaced in one place.
//!
//! The algorithm always comes from the key: a message never chooses it.

use std::fmt;

use ciborium::Value;
use coset::iana::{self, EnumI64};
use coset::{AsCborValue, CborSerializable, CoseKey, CoseKeyBuilder, Label};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, ED25519, EcdsaKeyPair,
    Ed25519KeyPair, KeyPair, UnparsedPublicKey,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use zeroize::Zeroizing;

pub use ring::rand::SecureRandom;

use crate::cbor::{self, CborError};

/// Bytes in a signature of either algorithm: ES256 `r ‖ s` (RFC 9053 §2.1), Ed25519 (RFC 8032).
pub const SIGNATURE_LEN: usize = 64;

/// The signature algorithms in use, under their COSE numbers (RFC 9053 §2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Alg {
    /// ECDSA on P-256 with SHA-256: -7.
    #[serde(rename = "ES256")]
    Es256,
    /// Ed25519: -8.
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Alg {
    /// The number in the COSE algorithm registry.
    pub const fn id(self) -> i64 {
        match self {
            Self::Es256 => -7,
            Self::EdDsa => -8,
        }
    }

    /// The algorithm with this COSE number, if it is one of ours.
    pub const fn from_id(id: i64) -> Option<Self> {
        match id {
            -7 => Some(Self::Es256),
            -8 => Some(Self::EdDsa),
            _ => None,
        }
    }
}

impl fmt::Display for Alg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        })
    }
}

/// A private key that signs. `Debug` shows the public half only.
pub struct SigningKey {
    pair: Pair,
    public: PublicKey,
}

enum Pair {
    Es256(Box<EcdsaKeyPair>),
    EdDsa(Box<Ed25519KeyPair>),
}

impl SigningKey {
    /// Reads a private key in unencrypted PKCS#8 DER. An ES256 key must carry its public key (as
    /// OpenSSL writes it); an Ed25519 key may.
    pub fn from_pkcs8(alg: Alg, der: &[u8], rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        let (pair, public) = match alg {
            Alg::Es256 => {
                let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der, rng)
                    .map_err(|_| KeyError::Pkcs8(alg))?;
                let public = PublicKey::new(alg, pair.public_key().as_ref())?;
                (Pair::Es256(Box::new(pair)), public)
            }
            Alg::EdDsa => {
                let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der)
                    .map_err(|_| KeyError::Pkcs8(alg))?;
                let public = PublicKey::new(alg, pair.public_key().as_ref())?;
                (Pair::EdDsa(Box::new(pair)), public)
            }
        };
        Ok(Self { pair, public })
    }

    /// A new private key as PKCS#8 DER, wiped from memory when dropped.
    pub fn generate_pkcs8(
        alg: Alg,
        rng: &dyn SecureRandom,
    ) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        let der = match alg {
            Alg::Es256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, rng),
            Alg::EdDsa => Ed25519KeyPair::generate_pkcs8(rng),
        };
        der.map(|der| Zeroizing::new(der.as_ref().to_vec()))
            .map_err(|_| KeyError::Random)
    }

    /// Signs `message`: 64 bytes. ES256 draws its nonce from `rng` and from the key together;
    /// Ed25519 needs none.
    ///
    /// # Panics
    /// When the random source fails: nothing can be signed after that.
    pub fn sign(&self, message: &[u8], rng: &dyn SecureRandom) -> Vec<u8> {
        match &self.pair {
            Pair::Es256(pair) => pair
                .sign(rng, message)
                .expect("the random source answers")
                .as_ref()
                .to_vec(),
            Pair::EdDsa(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    pub fn public(&self) -> &PublicKey {
        &self.public
    }

    pub fn alg(&self) -> Alg {
        self.public.alg
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SigningKey({:?})", self.public)
    }
}

/// A public key and the one algorithm it verifies. Serialises as its COSE_Key: bytes in binary
/// formats, lower-case hex in text formats.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    alg: Alg,
    /// ES256: the uncompressed point `04 ‖ x ‖ y`, 65 bytes. EdDSA: 32 bytes.
    bytes: Vec<u8>,
}

const COORDINATE_LEN: usize = 32;
const UNCOMPRESSED: u8 = 0x04;

/// SubjectPublicKeyInfo up to the point itself: id-ecPublicKey, prime256v1 (RFC 5480 §2).
const SPKI_P256: &[u8] = &[
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
    0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// SubjectPublicKeyInfo up to the key itself: id-Ed25519 (RFC 8410 §4).
const SPKI_ED25519: &[u8] = &[
    0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00,
];

impl PublicKey {
    /// A key from its raw bytes: `04 ‖ x ‖ y` (65) for ES256, 32 for EdDSA. A point off the curve
    /// is found when it verifies nothing.
    pub fn new(alg: Alg, bytes: &[u8]) -> Result<Self, KeyError> {
        let fits = match alg {
            Alg::Es256 => {
                bytes.len() == 1 + 2 * COORDINATE_LEN && bytes.first() == Some(&UNCOMPRESSED)
            }
            Alg::EdDsa => bytes.len() == COORDINATE_LEN,
        };
        if !fits {
            return Err(KeyError::PublicBytes(alg));
        }
        Ok(Self {
            alg,
            bytes: bytes.to_vec(),
        })
    }

    pub fn alg(&self) -> Alg {
        self.alg
    }

    /// `04 ‖ x ‖ y` (65) for ES256, 32 for EdDSA.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Checks a 64-byte signature over `message`.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), KeyError> {
        let verified = match self.alg {
            Alg::Es256 => UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &self.bytes)
                .verify(message, signature),
            Alg::EdDsa => UnparsedPublicKey::new(&ED25519, &self.bytes).verify(message, signature),
        };
        verified.map_err(|_| KeyError::BadSignature)
    }

    /// The key's name: its COSE Key Thumbprint (RFC 9679) with SHA-256, all 32 bytes.
    pub fn kid(&self) -> Vec<u8> {
        // The deterministic CBOR of the required parameters alone (RFC 9679 §4), piece by piece.
        let digest = match self.alg {
            Alg::Es256 => {
                let (x, y) = self.bytes[1..].split_at(COORDINATE_LEN);
                sha256(&[
                    // {1: 2 (EC2), -1: 1 (P-256), -2: x, -3: y}
                    &[0xa4, 0x01, 0x02, 0x20, 0x01, 0x21, 0x58, 0x20],
                    x,
                    &[0x22, 0x58, 0x20],
                    y,
                ])
            }
            // {1: 1 (OKP), -1: 6 (Ed25519), -2: x}
            Alg::EdDsa => sha256(&[
                &[0xa3, 0x01, 0x01, 0x20, 0x06, 0x21, 0x58, 0x20],
                &self.bytes,
            ]),
        };
        digest.to_vec()
    }

    /// The COSE_Key (RFC 9052 §7), deterministic CBOR, with its `kid` and `alg`.
    pub fn to_cose_key(&self) -> Vec<u8> {
        let builder = match self.alg {
            Alg::Es256 => {
                let (x, y) = self.bytes[1..].split_at(COORDINATE_LEN);
                CoseKeyBuilder::new_ec2_pub_key(iana::EllipticCurve::P_256, x.to_vec(), y.to_vec())
                    .algorithm(iana::Algorithm::ES256)
            }
            Alg::EdDsa => CoseKeyBuilder::new_okp_key()
                .param(
                    iana::OkpKeyParameter::Crv.to_i64(),
                    Value::from(iana::EllipticCurve::Ed25519.to_i64()),
                )
                .param(
                    iana::OkpKeyParameter::X.to_i64(),
                    Value::Bytes(self.bytes.clone()),
                )
                .algorithm(iana::Algorithm::EdDSA),
        };
        builder
            .key_id(self.kid())
            .build()
            .to_cbor_value()
            .ok()
            .and_then(|value| cbor::to_canonical(&value).ok())
            .expect("a key of integers and byte strings has an encoding")
    }

    /// Reads a COSE_Key in deterministic CBOR: EC2 on P-256 with both coordinates, or OKP on
    /// Ed25519. `alg` and `kid` may be left out; if present they must fit. Nothing else may be
    /// there, a private part least of all.
    pub fn from_cose_key(bytes: &[u8]) -> Result<Self, KeyError> {
        cbor::check(bytes)?;
        let cose = CoseKey::from_slice(bytes).map_err(|_| KeyError::CoseKey)?;
        let key = match (&cose.kty, &cose.params[..]) {
            (
                coset::KeyType::Assigned(iana::KeyType::EC2),
                [
                    (CRV, crv),
                    (X, Value::Bytes(x)),
                    (Label::Int(-3), Value::Bytes(y)),
                ],
            ) if *crv == Value::from(1) && x.len() == COORDINATE_LEN => {
                Self::new(Alg::Es256, &[&[UNCOMPRESSED], &x[..], &y[..]].concat())?
            }
            (coset::KeyType::Assigned(iana::KeyType::OKP), [(CRV, crv), (X, Value::Bytes(x))])
                if *crv == Value::from(6) =>
            {
                Self::new(Alg::EdDsa, x)?
            }
            _ => return Err(KeyError::CoseKey),
        };
        let alg_fits = match &cose.alg {
            None => true,
            Some(coset::Algorithm::Assigned(alg)) => alg.to_i64() == key.alg.id(),
            Some(_) => false,
        };
        let kid_fits = cose.key_id.is_empty() || cose.key_id == key.kid();
        if !alg_fits || !kid_fits || !cose.key_ops.is_empty() || !cose.base_iv.is_empty() {
            return Err(KeyError::CoseKey);
        }
        Ok(key)
    }

    /// The DER SubjectPublicKeyInfo, as in a certificate or a `PUBLIC KEY` PEM.
    pub fn to_spki_der(&self) -> Vec<u8> {
        let prefix = match self.alg {
            Alg::Es256 => SPKI_P256,
            Alg::EdDsa => SPKI_ED25519,
        };
        [prefix, &self.bytes].concat()
    }

    /// Reads a DER SubjectPublicKeyInfo: P-256 with an uncompressed point, or Ed25519.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, KeyError> {
        if let Some(point) = der.strip_prefix(SPKI_P256) {
            Self::new(Alg::Es256, point)
        } else if let Some(key) = der.strip_prefix(SPKI_ED25519) {
            Self::new(Alg::EdDsa, key)
        } else {
            Err(KeyError::Spki)
        }
    }
}

const CRV: Label = Label::Int(-1);
const X: Label = Label::Int(-2);

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kid = data_encoding::HEXLOWER.encode(&self.kid());
        write!(f, "PublicKey({}, kid {kid})", self.alg)
    }
}

impl Serialize for PublicKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let key = self.to_cose_key();
        if serializer.is_human_readable() {
            serializer.serialize_str(&data_encoding::HEXLOWER.encode(&key))
        } else {
            serializer.serialize_bytes(&key)
        }
    }
}

impl<'de> Deserialize<'de> for PublicKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;

        impl de::Visitor<'_> for Visitor {
            type Value = PublicKey;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a COSE_Key")
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<PublicKey, E> {
                PublicKey::from_cose_key(bytes).map_err(E::custom)
            }

            fn visit_str<E: de::Error>(self, hex: &str) -> Result<PublicKey, E> {
                let bytes = data_encoding::HEXLOWER
                    .decode(hex.as_bytes())
                    .map_err(E::custom)?;
                self.visit_bytes(&bytes)
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Visitor)
        } else {
            deserializer.deserialize_bytes(Visitor)
        }
    }
}

/// Why a key cannot be used, or a signature does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    #[error("not an unencrypted PKCS#8 {0} private key; convert it: openssl pkcs8 -topk8 -nocrypt")]
    Pkcs8(Alg),
    #[error("not the raw bytes of an {0} public key; send 04‖x‖y (ES256) or 32 bytes (EdDSA)")]
    PublicBytes(Alg),
    #[error(
        "not a COSE_Key of a P-256 or Ed25519 public key, with at most its own alg and thumbprint \
         kid; export it again without other parameters"
    )]
    CoseKey,
    #[error("the COSE_Key is not deterministic CBOR: {0}")]
    Cbor(#[from] CborError),
    #[error("not the SubjectPublicKeyInfo of a P-256 or Ed25519 key; use one of those")]
    Spki,
    #[error("the signature does not fit the key and the bytes; sign these bytes with this key")]
    BadSignature,
    #[error("the key is {actual} where {needed} is needed; use an {needed} key")]
    WrongAlg { needed: Alg, actual: Alg },
    #[error("the random source failed; check the operating system's entropy and try again")]
    Random,
}

/// `N` random bytes.
pub fn random<const N: usize>(rng: &dyn SecureRandom) -> Result<[u8; N], KeyError> {
    let mut bytes = [0; N];
    rng.fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(bytes)
}

/// `SHA-256(parts[0] ‖ parts[1] ‖ …)`.
pub(crate) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(part);
    }
    let digest = context.finish();
    digest.as_ref().try_into().expect("SHA-256 gives 32 bytes")
}

#[cfg(test)]
mod tests;
