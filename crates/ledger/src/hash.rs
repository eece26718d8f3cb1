//! SHA-256 digests, salts, and the hashes of the Merkle tree (RFC 6962 §2.1).

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::key::{self, KeyError, SecureRandom};

/// Bytes in a digest and in a salt.
pub const LEN: usize = 32;

/// A 32-byte value that reads and writes as lower-case hex where people read it (text formats,
/// `FromStr`) and as a byte string where they do not (CBOR).
macro_rules! thirty_two_bytes {
    ($(#[$meta:meta])* $name:ident, $expecting:literal) => {
        $(#[$meta])*
        pub struct $name([u8; LEN]);

        impl $name {
            pub const fn as_bytes(&self) -> &[u8; LEN] {
                &self.0
            }
        }

        impl From<[u8; LEN]> for $name {
            fn from(bytes: [u8; LEN]) -> Self {
                Self(bytes)
            }
        }

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }

        impl TryFrom<&[u8]> for $name {
            type Error = DigestError;

            fn try_from(bytes: &[u8]) -> Result<Self, DigestError> {
                <[u8; LEN]>::try_from(bytes)
                    .map(Self)
                    .map_err(|_| DigestError::Length(bytes.len()))
            }
        }

        /// 64 lower-case hex digits; one value has one spelling.
        impl FromStr for $name {
            type Err = DigestError;

            fn from_str(hex: &str) -> Result<Self, DigestError> {
                let mut bytes = [0; LEN];
                if hex.len() != 2 * LEN {
                    return Err(DigestError::Hex);
                }
                HEXLOWER
                    .decode_mut(hex.as_bytes(), &mut bytes)
                    .map_err(|_| DigestError::Hex)?;
                Ok(Self(bytes))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() {
                    serializer.serialize_str(&HEXLOWER.encode(&self.0))
                } else {
                    serializer.serialize_bytes(&self.0)
                }
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct Visitor;

                // No `visit_seq`: an array of 32 numbers would be a second encoding of one value.
                impl de::Visitor<'_> for Visitor {
                    type Value = $name;

                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str($expecting)
                    }

                    fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<$name, E> {
                        $name::try_from(bytes).map_err(E::custom)
                    }

                    fn visit_str<E: de::Error>(self, hex: &str) -> Result<$name, E> {
                        hex.parse().map_err(E::custom)
                    }
                }

                if deserializer.is_human_readable() {
                    deserializer.deserialize_str(Visitor)
                } else {
                    deserializer.deserialize_bytes(Visitor)
                }
            }
        }
    };
}

thirty_two_bytes!(
    /// A SHA-256 digest, 32 bytes.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    Digest,
    "a 32-byte digest"
);

thirty_two_bytes!(
    /// 32 random bytes that keep a digest from being guessed. Whoever holds the salt can test a
    /// guess, so `Debug` does not print it.
    #[derive(Clone, Copy, PartialEq, Eq)]
    Salt,
    "a 32-byte salt"
);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Salt {
    /// A fresh salt. Fails only when the random source does.
    pub fn random(rng: &dyn SecureRandom) -> Result<Self, KeyError> {
        key::random(rng).map(Self)
    }
}

impl fmt::Debug for Salt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Salt(..)")
    }
}

/// Why bytes or text are no digest or salt.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DigestError {
    #[error("got {0} bytes where 32 are needed; send the whole SHA-256 digest or salt")]
    Length(usize),
    #[error("not 64 lower-case hex digits; write the 32 bytes as lower-case hex")]
    Hex,
}

/// `SHA-256(bytes)`.
pub fn sha256(bytes: &[u8]) -> Digest {
    sha256_parts(&[bytes])
}

/// `SHA-256(parts[0] ‖ parts[1] ‖ …)`, without joining them first.
pub fn sha256_parts(parts: &[&[u8]]) -> Digest {
    Digest(key::sha256(parts))
}

/// The hash of a leaf: `SHA-256(0x00 ‖ entry)` (RFC 6962 §2.1).
pub fn leaf_hash(entry: &Digest) -> Digest {
    sha256_parts(&[&[0x00], &entry.0])
}

/// The hash of an inner node: `SHA-256(0x01 ‖ left ‖ right)` (RFC 6962 §2.1).
pub fn node_hash(left: &Digest, right: &Digest) -> Digest {
    sha256_parts(&[&[0x01], &left.0, &right.0])
}

/// The root of the tree with no entries: `SHA-256("")` (RFC 6962 §2.1).
pub fn empty_root() -> Digest {
    sha256(&[])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cbor::{from_canonical, to_canonical};

    const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn hex_and_hash_of_nothing() {
        assert_eq!(empty_root().to_string(), EMPTY);
        assert_eq!(EMPTY.parse::<Digest>().unwrap(), empty_root());
        assert_eq!(format!("{:?}", empty_root()), EMPTY);
        assert_eq!(sha256_parts(&[b"a", b"", b"bc"]), sha256(b"abc"));
    }

    #[test]
    fn one_spelling_only() {
        assert_eq!(
            EMPTY.to_uppercase().parse::<Digest>(),
            Err(DigestError::Hex)
        );
        assert_eq!(EMPTY[1..].parse::<Digest>(), Err(DigestError::Hex));
        assert_eq!(Digest::try_from(&[0; 31][..]), Err(DigestError::Length(31)));
    }

    #[test]
    fn bytes_in_cbor_and_hex_in_json() {
        let digest = sha256(b"x");
        let cbor = to_canonical(&digest).unwrap();
        assert_eq!(cbor[..2], [0x58, 0x20]);
        assert_eq!(from_canonical::<Digest>(&cbor).unwrap(), digest);
        let json = serde_json::to_string(&digest).unwrap();
        assert_eq!(json, format!("\"{digest}\""));
        assert_eq!(serde_json::from_str::<Digest>(&json).unwrap(), digest);
        assert!(from_canonical::<Digest>(&to_canonical(&[0u8; 32]).unwrap()).is_err());
        assert!(from_canonical::<Digest>(&to_canonical(&digest.to_string()).unwrap()).is_err());
    }

    #[test]
    fn a_salt_keeps_silent() {
        let salt = Salt::from([7; 32]);
        assert_eq!(format!("{salt:?}"), "Salt(..)");
        let cbor = to_canonical(&salt).unwrap();
        assert_eq!(from_canonical::<Salt>(&cbor).unwrap(), salt);
    }
}
