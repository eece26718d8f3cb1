//! Sealing at rest: AES-256-GCM (NIST SP 800-38D) under a tree of keys.
//!
//! A document has its own [`DataKey`], wrapped by its claimant's [`DataKey`], wrapped by the
//! [`KeyEncryptionKey`]. Destroying a wrapped key erases all that was sealed under it, wherever
//! copies of the sealed bytes may lie.
//!
//! A sealed frame and a wrapped key are both
//! `version (1 byte, 0x01) ‖ nonce (12, random) ‖ ciphertext ‖ tag (16)`.
//! The associated data, which is not stored, binds each to its place:
//!
//! - frame: `"evidence/frame/v1" ‖ 0x00 ‖ context length (8, big-endian) ‖ context ‖ position (8,
//!   big-endian) ‖ last (1, 0 or 1)`;
//! - wrapped key: `"evidence/wrap/v1" ‖ 0x00 ‖ context length (8, big-endian) ‖ context`.
//!
//! Nonces are drawn at random: one key seals at most some thousands of frames, and the
//! key-encryption key wraps one key per claimant, well within the 2^32 that NIST SP 800-38D (8.3)
//! allows.
mod keyfile;

use std::fmt;

use data_encoding::HEXLOWER;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::SecureRandom;
use ring::{hkdf, hmac};
use zeroize::Zeroizing;

pub use keyfile::KeyFileError;

/// A random source that can be held across an await.
pub type Rng = dyn SecureRandom + Send + Sync;

/// What sealing adds to the plaintext, in bytes.
pub const OVERHEAD: usize = 1 + NONCE_LEN + TAG_LEN;

const TAG_LEN: usize = 16;
const KEY_LEN: usize = 32;
const VERSION: u8 = 1;

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error("the random source failed; stop and look at the host's entropy")]
    Random,
    #[error(
        "sealed by format version {0}, which this program does not know; use the newer program"
    )]
    Version(u8),
    /// Wrong key, altered, cut short, or not what was sealed for this place: which of them cannot
    /// be told apart, by design.
    #[error("the sealed bytes do not open at this place; restore them from a copy")]
    Refused,
}

/// The key at the root of the tree. It is kept outside the database, in a file of 32 raw bytes that
/// its owner alone may read. Zeroed when dropped.
pub struct KeyEncryptionKey(Zeroizing<[u8; KEY_LEN]>);

/// A claimant's or a document's key. It is stored only wrapped. Zeroed when dropped.
pub struct DataKey(Zeroizing<[u8; KEY_LEN]>);

/// Finds sealed identifiers by equality without their being readable. It is derived from the
/// key-encryption key, so replacing that means indexing anew.
pub struct BlindIndexKey(hmac::Key);

impl KeyEncryptionKey {
    /// Wraps a claimant's key. `context` names its place, as in `claimant-key/claimant_7f…`.
    pub fn wrap(&self, key: &DataKey, context: &str, rng: &Rng) -> Result<Vec<u8>, SealError> {
        seal(&self.0, &wrap_data(context), key.0.as_slice(), rng)
    }

    pub fn unwrap(&self, wrapped: &[u8], context: &str) -> Result<DataKey, SealError> {
        unwrap(&self.0, wrapped, context)
    }

    /// Derives the blind index's key: HKDF-SHA-256 (RFC 5869) with the salt `evidence/index/v1` and
    /// no info.
    pub fn blind_index_key(&self) -> BlindIndexKey {
        let salt = hkdf::Salt::new(hkdf::HKDF_SHA256, b"evidence/index/v1");
        let derived = salt.extract(self.0.as_slice());
        let okm = derived
            .expand(&[], hmac::HMAC_SHA256)
            .expect("one hash's length can be expanded to");
        BlindIndexKey(okm.into())
    }
}

impl DataKey {
    pub fn generate(rng: &Rng) -> Result<Self, SealError> {
        let mut key = Zeroizing::new([0; KEY_LEN]);
        rng.fill(key.as_mut_slice())
            .map_err(|_| SealError::Random)?;
        Ok(Self(key))
    }

    /// Wraps a key below this one. `context` names its place, as in `document-key/item_7f…`.
    pub fn wrap(&self, key: &DataKey, context: &str, rng: &Rng) -> Result<Vec<u8>, SealError> {
        seal(&self.0, &wrap_data(context), key.0.as_slice(), rng)
    }

    pub fn unwrap(&self, wrapped: &[u8], context: &str) -> Result<DataKey, SealError> {
        unwrap(&self.0, wrapped, context)
    }

    /// Seals one frame, the `position`th from 0 of `context`; `last` marks that none follows, so
    /// that a frame which was moved, swapped or lost is noticed. [`OVERHEAD`] bytes longer than
    /// `plain`.
    pub fn seal(
        &self,
        context: &str,
        position: u64,
        last: bool,
        plain: &[u8],
        rng: &Rng,
    ) -> Result<Vec<u8>, SealError> {
        seal(&self.0, &frame_data(context, position, last), plain, rng)
    }

    /// Opens what [`DataKey::seal`] made with the same context, position and last mark.
    pub fn open(
        &self,
        context: &str,
        position: u64,
        last: bool,
        sealed: &[u8],
    ) -> Result<Vec<u8>, SealError> {
        open(&self.0, &frame_data(context, position, last), sealed)
    }
}

impl BlindIndexKey {
    /// Lower hex of `HMAC-SHA-256(kind length (8, big-endian) ‖ kind ‖ value)`. `value` must be in
    /// its one normal form: another spelling has another index.
    pub fn index(&self, kind: &str, value: &str) -> String {
        let mut mac = hmac::Context::with_key(&self.0);
        mac.update(&length(kind));
        mac.update(kind.as_bytes());
        mac.update(value.as_bytes());
        HEXLOWER.encode(mac.sign().as_ref())
    }
}

impl fmt::Debug for KeyEncryptionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyEncryptionKey(..)")
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(..)")
    }
}

impl fmt::Debug for BlindIndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlindIndexKey(..)")
    }
}

fn seal(key: &[u8; KEY_LEN], place: &[u8], plain: &[u8], rng: &Rng) -> Result<Vec<u8>, SealError> {
    let mut nonce = [0; NONCE_LEN];
    rng.fill(&mut nonce).map_err(|_| SealError::Random)?;
    let mut sealed = Vec::with_capacity(plain.len() + OVERHEAD);
    sealed.push(VERSION);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(plain);
    let body = &mut sealed[1 + NONCE_LEN..];
    let tag = cipher(key)
        .seal_in_place_separate_tag(Nonce::assume_unique_for_key(nonce), Aad::from(place), body)
        .expect("a frame is shorter than the 64 GiB that AES-GCM can seal");
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

fn open(key: &[u8; KEY_LEN], place: &[u8], sealed: &[u8]) -> Result<Vec<u8>, SealError> {
    let (version, rest) = sealed.split_first().ok_or(SealError::Refused)?;
    if *version != VERSION {
        return Err(SealError::Version(*version));
    }
    let (nonce, body) = rest
        .split_first_chunk::<NONCE_LEN>()
        .ok_or(SealError::Refused)?;
    let mut body = body.to_vec();
    let opened = cipher(key)
        .open_in_place(
            Nonce::assume_unique_for_key(*nonce),
            Aad::from(place),
            &mut body,
        )
        .map_err(|_| SealError::Refused)?
        .len();
    body.truncate(opened);
    Ok(body)
}

fn unwrap(key: &[u8; KEY_LEN], wrapped: &[u8], context: &str) -> Result<DataKey, SealError> {
    let opened = Zeroizing::new(open(key, &wrap_data(context), wrapped)?);
    let bytes = opened
        .as_slice()
        .try_into()
        .map_err(|_| SealError::Refused)?;
    Ok(DataKey(Zeroizing::new(bytes)))
}

fn cipher(key: &[u8; KEY_LEN]) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).expect("an AES-256 key has 32 bytes"))
}

fn frame_data(context: &str, position: u64, last: bool) -> Vec<u8> {
    let position = position.to_be_bytes();
    [
        b"evidence/frame/v1\0",
        &length(context)[..],
        context.as_bytes(),
        &position,
        &[last.into()],
    ]
    .concat()
}

fn wrap_data(context: &str) -> Vec<u8> {
    [
        b"evidence/wrap/v1\0",
        &length(context)[..],
        context.as_bytes(),
    ]
    .concat()
}

fn length(text: &str) -> [u8; 8] {
    (text.len() as u64).to_be_bytes()
}

#[cfg(test)]
mod tests;
