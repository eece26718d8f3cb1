//! Checkpoints: the signed head of the tree, as C2SP tlog-checkpoint and signed-note write it.
//!
//! ```text
//! origin
//! size
//! base64(root)
//!
//! — origin base64(key id ‖ signature)
//! ```
//!
//! The key is Ed25519 and its name is the log's origin. Other signatures, a witness's say, may
//! follow and are passed over.

use std::fmt;
use std::str::FromStr;

use data_encoding::{BASE64, HEXLOWER};

use crate::hash::Digest;
use crate::key::{self, Alg, KeyError, PublicKey, SecureRandom, SigningKey};

/// A note longer than this is refused unread: room for 16 post-quantum signatures and more.
pub const MAX_NOTE_LEN: usize = 256 * 1024;

/// The signature type of Ed25519 (C2SP signed-note).
const ED25519: u8 = 0x01;
const KEY_ID_LEN: usize = 4;
/// Em dash, space.
const SIGNATURE_PREFIX: &str = "\u{2014} ";

/// A log's state: its name, how many entries, the root over them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    pub origin: String,
    pub size: u64,
    pub root: Digest,
}

impl Checkpoint {
    /// The text that is signed: three lines, each ended by a newline.
    pub fn body(&self) -> String {
        let root = BASE64.encode(self.root.as_bytes());
        format!("{}\n{}\n{root}\n", self.origin, self.size)
    }

    /// The signed note. The signer's name is the origin, or [`Checkpoint::parse_verified`] will
    /// refuse it.
    pub fn sign(&self, signer: &NoteSigner, rng: &dyn SecureRandom) -> String {
        let body = self.body();
        let mut signature = signer.verifier.key_id().to_vec();
        signature.extend(signer.key.sign(body.as_bytes(), rng));
        format!(
            "{body}\n{SIGNATURE_PREFIX}{} {}\n",
            signer.verifier.name,
            BASE64.encode(&signature)
        )
    }

    /// Reads a note that `verifier` signed. Each of its signatures on the note must hold; those of
    /// other keys are passed over.
    pub fn parse_verified(note: &str, verifier: &NoteVerifier) -> Result<Self, NoteError> {
        let (body, signatures) = split(note)?;
        let mut signed = false;
        for line in signatures.split('\n') {
            let (name, signature) = signature_line(line)?;
            let (key_id, signature) = signature
                .split_first_chunk::<KEY_ID_LEN>()
                .ok_or(NoteError::Malformed)?;
            if name == verifier.name && *key_id == verifier.key_id() {
                verifier
                    .key
                    .verify(body.as_bytes(), signature)
                    .map_err(|_| NoteError::BadSignature)?;
                signed = true;
            }
        }
        if !signed {
            return Err(NoteError::NotSigned);
        }
        let checkpoint = Self::from_body(body)?;
        if checkpoint.origin == verifier.name {
            Ok(checkpoint)
        } else {
            Err(NoteError::OtherOrigin)
        }
    }

    fn from_body(body: &str) -> Result<Self, NoteError> {
        let lines: Vec<&str> = body.lines().collect();
        let [origin, size, root] = lines[..] else {
            return Err(NoteError::NotCheckpoint);
        };
        let root = BASE64.decode(root.as_bytes()).ok();
        let root = root.and_then(|root| Digest::try_from(&root[..]).ok());
        let checkpoint = Self {
            origin: origin.to_owned(),
            size: size.parse().map_err(|_| NoteError::NotCheckpoint)?,
            root: root.ok_or(NoteError::NotCheckpoint)?,
        };
        // One checkpoint has one text: no leading zeros or signs.
        if checkpoint.body() == body {
            Ok(checkpoint)
        } else {
            Err(NoteError::NotCheckpoint)
        }
    }
}

/// The log's own key for checkpoints, and its name.
#[derive(Debug)]
pub struct NoteSigner {
    key: SigningKey,
    verifier: NoteVerifier,
}

impl NoteSigner {
    /// `name` is the log's origin, `key` an Ed25519 key that signs nothing else.
    pub fn new(name: &str, key: SigningKey) -> Result<Self, NoteError> {
        let verifier = NoteVerifier::new(name, key.public().clone())?;
        Ok(Self { key, verifier })
    }

    /// What others need to check this signer's notes.
    pub fn verifier(&self) -> &NoteVerifier {
        &self.verifier
    }
}

/// A name and public key that notes are checked with. Reads and writes as a C2SP verifier key:
/// `name+hex(key id)+base64(0x01 ‖ key)`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoteVerifier {
    name: String,
    key: PublicKey,
}

impl NoteVerifier {
    /// A key name is not empty and has no white space and no `+`; the key is Ed25519.
    pub fn new(name: &str, key: PublicKey) -> Result<Self, NoteError> {
        if !is_key_name(name) {
            return Err(NoteError::Name);
        }
        if key.alg() != Alg::EdDsa {
            let (needed, actual) = (Alg::EdDsa, key.alg());
            return Err(KeyError::WrongAlg { needed, actual }.into());
        }
        Ok(Self {
            name: name.to_owned(),
            key,
        })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// `SHA-256(name ‖ "\n" ‖ 0x01 ‖ key)[..4]`.
    pub fn key_id(&self) -> [u8; KEY_ID_LEN] {
        let named = [self.name.as_bytes(), b"\n", &[ED25519], self.key.as_bytes()];
        let hash = key::sha256(&named);
        *hash
            .first_chunk()
            .expect("a digest is longer than a key id")
    }
}

impl fmt::Display for NoteVerifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = [&[ED25519], self.key.as_bytes()].concat();
        let key_id = HEXLOWER.encode(&self.key_id());
        write!(f, "{}+{key_id}+{}", self.name, BASE64.encode(&key))
    }
}

impl FromStr for NoteVerifier {
    type Err = NoteError;

    fn from_str(vkey: &str) -> Result<Self, NoteError> {
        // Base64 has `+` among its digits; names and key ids have not.
        let mut parts = vkey.splitn(3, '+');
        let (Some(name), Some(key_id), Some(key)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NoteError::VerifierKey);
        };
        let key = BASE64.decode(key.as_bytes()).ok();
        let key = key.as_deref().and_then(|key| key.strip_prefix(&[ED25519]));
        let key = PublicKey::new(Alg::EdDsa, key.ok_or(NoteError::VerifierKey)?)?;
        let verifier = Self::new(name, key)?;
        if HEXLOWER.encode(&verifier.key_id()) == key_id {
            Ok(verifier)
        } else {
            Err(NoteError::VerifierKey)
        }
    }
}

/// Why a note or verifier key is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoteError {
    #[error("not a signed note (C2SP signed-note); fetch the checkpoint again, whole")]
    Malformed,
    #[error("the note is longer than 262144 bytes; fetch it with fewer signatures")]
    TooLarge,
    #[error("the log's key has not signed this note; check that it is this log's checkpoint")]
    NotSigned,
    #[error("the log's signature does not fit the note; do not accept the checkpoint")]
    BadSignature,
    #[error("the note is no checkpoint of exactly three lines: origin, size, root; report it")]
    NotCheckpoint,
    #[error("the checkpoint is for another origin than its signer's name; do not accept it")]
    OtherOrigin,
    #[error("not a key name; use the log's origin, with no white space and no +")]
    Name,
    #[error("not an Ed25519 verifier key name+id+base64; copy it again from the log's operator")]
    VerifierKey,
    #[error(transparent)]
    Key(#[from] KeyError),
}

/// The signed text with its last newline, and the signature lines without theirs.
fn split(note: &str) -> Result<(&str, &str), NoteError> {
    if note.len() > MAX_NOTE_LEN {
        return Err(NoteError::TooLarge);
    }
    if note.bytes().any(|byte| byte < b' ' && byte != b'\n') {
        return Err(NoteError::Malformed);
    }
    let blank = note.rfind("\n\n").ok_or(NoteError::Malformed)?;
    let (body, signatures) = note.split_at(blank + 1);
    let signatures = signatures[1..].strip_suffix('\n');
    Ok((body, signatures.ok_or(NoteError::Malformed)?))
}

/// The key name of a signature line, and its key id and signature.
fn signature_line(line: &str) -> Result<(&str, Vec<u8>), NoteError> {
    let (name, signature) = line
        .strip_prefix(SIGNATURE_PREFIX)
        .and_then(|rest| rest.split_once(' '))
        .filter(|(name, _)| is_key_name(name))
        .ok_or(NoteError::Malformed)?;
    let signature = BASE64
        .decode(signature.as_bytes())
        .map_err(|_| NoteError::Malformed)?;
    Ok((name, signature))
}

fn is_key_name(name: &str) -> bool {
    let fits = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !name.is_empty() && name.chars().all(fits)
}

#[cfg(test)]
mod tests;
