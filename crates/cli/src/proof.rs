//! Receipt files: a statement and the log's receipt for it, kept to be checked offline later; and
//! the log's public keys to check them with.

use std::path::Path;

use data_encoding::{BASE64, HEXLOWER};
use evidence_domain::Aside;
use evidence_ledger::{Digest, NoteVerifier, PublicKey};
use evidence_wire::v1;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{CliError, files};

/// Bytes as base64 in JSON and TOML.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Base64(pub Vec<u8>);

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&BASE64.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        BASE64
            .decode(text.as_bytes())
            .map(Self)
            .map_err(de::Error::custom)
    }
}

/// The first field of every receipt file.
pub const FORMAT: &str = "evidence-receipt-1";

/// A receipt file, `<document>.receipt.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReceiptFile {
    pub format: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub item_id: Option<String>,
    /// The document that the statement is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub document: Option<Document>,
    /// The texts that were sent beside the statement.
    #[serde(default, skip_serializing_if = "Aside::is_empty")]
    pub aside: Aside,
    pub receipt: Proof,
    /// The relay statement's, when an intermediary sent it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub relay_receipt: Option<Proof>,
}

/// A document by name, size and SHA-256.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Document {
    pub file: String,
    pub size: u64,
    pub digest: Digest,
}

/// A statement and the proof that it is in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// SHA-256 of the statement: its entry in the log.
    pub entry: Digest,
    /// Its place, from 0.
    pub index: u64,
    /// How many entries the log had when it signed.
    pub tree_size: u64,
    /// The legal moment of receipt, as the gateway stated it.
    pub received_at: String,
    pub statement: Base64,
    /// COSE Receipt (RFC 9942).
    pub receipt: Base64,
}

impl ReceiptFile {
    /// A file for a receipt alone.
    pub fn of(receipt: &v1::Receipt) -> Result<Self, CliError> {
        Ok(Self {
            format: FORMAT.to_owned(),
            item_id: None,
            document: None,
            aside: Aside::new(),
            receipt: Proof::of(receipt)?,
            relay_receipt: None,
        })
    }

    pub fn load(path: &Path) -> Result<Self, CliError> {
        let text = files::read_text(path)?;
        let file: Self = serde_json::from_str(&text)
            .map_err(|error| CliError::file(path, format!("is no receipt file: {error}.")))?;
        if file.format == FORMAT {
            Ok(file)
        } else {
            Err(CliError::file(
                path,
                format!(
                    "has the format `{}`; this version reads `{FORMAT}`.",
                    file.format
                ),
            ))
        }
    }

    pub fn save(&self, path: &Path) -> Result<(), CliError> {
        files::write_json(path, self)
    }
}

impl Proof {
    pub fn of(receipt: &v1::Receipt) -> Result<Self, CliError> {
        let entry = Digest::try_from(&receipt.entry[..]).map_err(|_| {
            CliError::Invalid(
                "The gateway's receipt has no 32-byte entry; do not accept it.".to_owned(),
            )
        })?;
        Ok(Self {
            entry,
            index: receipt.index,
            tree_size: receipt.tree_size,
            received_at: receipt
                .received_at
                .as_ref()
                .and_then(moment)
                .map_or_else(String::new, |at| at.to_string()),
            statement: Base64(receipt.statement.clone()),
            receipt: Base64(receipt.receipt.clone()),
        })
    }
}

/// A moment of the API, if it is one.
pub fn moment(stamp: &prost_types::Timestamp) -> Option<jiff::Timestamp> {
    jiff::Timestamp::new(stamp.seconds, stamp.nanos).ok()
}

/// The log's public keys, as kept in a file (TOML or JSON).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogKeys {
    pub origin: String,
    pub keys: Vec<LogKey>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogKey {
    /// `receipt`, `statement` or `checkpoint`.
    #[serde(rename = "use")]
    pub purpose: String,
    /// Hex.
    pub kid: String,
    /// Hex of the COSE_Key.
    #[serde(rename = "cose_key")]
    pub key: PublicKey,
    /// For the checkpoint key: the C2SP verifier key line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub verifier_key: String,
}

impl LogKeys {
    pub fn load(path: &Path) -> Result<Self, CliError> {
        files::read_structured(path)
    }

    pub fn of(answer: &v1::ListLogKeysResponse) -> Result<Self, CliError> {
        let keys = answer.keys.iter().map(|key| {
            let public = PublicKey::from_cose_key(&key.cose_key).map_err(|error| {
                CliError::Invalid(format!("The gateway sent a key that is none: {error}."))
            })?;
            Ok(LogKey {
                purpose: key.r#use.clone(),
                kid: HEXLOWER.encode(&key.kid),
                key: public,
                verifier_key: key.verifier_key.clone(),
            })
        });
        Ok(Self {
            origin: answer.origin.clone(),
            keys: keys.collect::<Result<_, CliError>>()?,
        })
    }

    /// The key of this use with this kid. The kid is worked out from the key itself: what a file
    /// calls it counts for nothing.
    pub fn find(&self, purpose: &str, kid: &[u8]) -> Option<&PublicKey> {
        let mut keys = self.keys.iter().filter(|key| key.purpose == purpose);
        keys.find(|key| key.key.kid() == kid).map(|key| &key.key)
    }

    /// The verifiers of the log's checkpoints.
    pub fn checkpoint_verifiers(&self) -> impl Iterator<Item = NoteVerifier> {
        let keys = self.keys.iter().filter(|key| key.purpose == "checkpoint");
        keys.filter_map(|key| key.verifier_key.parse().ok())
    }
}
