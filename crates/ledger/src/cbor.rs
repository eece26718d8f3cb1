//! Deterministic CBOR (RFC 8949 §4.2.1, core requirements), and only that.
//!
//! One value has one encoding: shortest lengths and integers, definite lengths, map keys in the
//! byte order of their encodings and each only once. Stricter than the RFC where signed data is
//! better off without: no floats, no tags, no `undefined` or other simple values, and at most
//! [`MAX_DEPTH`] levels of arrays and maps.

use std::cmp::Ordering;

use ciborium::Value;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Arrays and maps may be nested this deep.
pub const MAX_DEPTH: u8 = 16;

/// The one deterministic encoding of `value`.
pub fn to_canonical<T: Serialize>(value: &T) -> Result<Vec<u8>, CborError> {
    let mut value = to_value(value)?;
    sort_maps(&mut value);
    let bytes = encode(&value);
    check(&bytes)?;
    Ok(bytes)
}

/// Reads `bytes` if they are exactly what [`to_canonical`] writes for the value they hold.
///
/// The value is written again and compared, because decoding alone is lenient: it takes arrays
/// that are too long, byte strings for field names, null for a field left out.
pub fn from_canonical<T: Serialize + DeserializeOwned>(bytes: &[u8]) -> Result<T, CborError> {
    check(bytes)?;
    let value = ciborium::from_reader(bytes).map_err(|error| CborError::Type(error.to_string()))?;
    if to_canonical(&value)? == bytes {
        Ok(value)
    } else {
        Err(CborError::OtherSpelling)
    }
}

/// `value` as a tree of CBOR, to be part of a larger one.
pub fn to_value<T: Serialize>(value: &T) -> Result<Value, CborError> {
    Value::serialized(value).map_err(|error| CborError::Type(error.to_string()))
}

/// Reads a part of a larger value, as strictly as [`from_canonical`].
pub fn from_value<T: Serialize + DeserializeOwned>(value: &Value) -> Result<T, CborError> {
    from_canonical(&to_canonical(value)?)
}

/// Why bytes are not deterministic CBOR, or not the value that was asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CborError {
    #[error("the CBOR ends early; send it whole")]
    Truncated,
    #[error("{0} bytes follow the CBOR item; send one item and nothing after it")]
    Trailing(usize),
    #[error("a length or integer is not in its shortest form; encode with RFC 8949 §4.2.1")]
    NotShortest,
    #[error("a length is indefinite; encode with definite lengths (RFC 8949 §4.2.1)")]
    Indefinite,
    #[error("map keys are out of order; sort them by their encoded bytes (RFC 8949 §4.2.1)")]
    Unsorted,
    #[error("a map holds one key twice; send each key once")]
    DuplicateKey,
    #[error("a floating-point number; use integers or text")]
    Float,
    #[error("a CBOR tag; send the plain value")]
    Tag,
    #[error("a simple value other than false, true and null; use one of those")]
    Simple,
    #[error("arrays and maps are nested deeper than 16 levels; flatten the value")]
    TooDeep,
    #[error("a text string is not UTF-8; send bytes as a byte string")]
    NotUtf8,
    #[error("a reserved initial byte (RFC 8949 §3); check the encoder")]
    Reserved,
    /// The message is for the sender: it can quote what was sent, so it belongs in no log.
    #[error("not the expected shape: {0}; see the CDDL for this message")]
    Type(String),
    #[error("readable, but not as this value is written; leave out what is absent or surplus")]
    OtherSpelling,
}

/// Encodes a value whose maps are in order already.
pub(crate) fn encode(value: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes).expect("writing to memory does not fail");
    bytes
}

/// Reads any value. A tree of CBOR holds all that was in the bytes, so it needs no second look.
pub(crate) fn decode(bytes: &[u8]) -> Result<Value, CborError> {
    check(bytes)?;
    ciborium::from_reader(bytes).map_err(|error| CborError::Type(error.to_string()))
}

/// Accepts exactly the encodings this module describes. Reads `bytes` once, allocates nothing.
pub(crate) fn check(bytes: &[u8]) -> Result<(), CborError> {
    let mut walk = Walk { rest: bytes };
    walk.item(MAX_DEPTH)?;
    match walk.rest.len() {
        0 => Ok(()),
        trailing => Err(CborError::Trailing(trailing)),
    }
}

fn sort_maps(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(sort_maps),
        Value::Map(entries) => {
            for (key, value) in entries.iter_mut() {
                sort_maps(key);
                sort_maps(value);
            }
            entries.sort_by_cached_key(|(key, _)| encode(key));
        }
        _ => {}
    }
}

struct Walk<'a> {
    rest: &'a [u8],
}

impl<'a> Walk<'a> {
    /// One data item; `depth` more levels may open inside it.
    fn item(&mut self, depth: u8) -> Result<(), CborError> {
        let initial = self.take(1)?[0];
        let (major, info) = (initial >> 5, initial & 0x1f);
        if major == 7 {
            return simple(info);
        }
        let argument = self.argument(major, info)?;
        match major {
            0 | 1 => Ok(()),
            2 => self.take(argument).map(drop),
            3 => match std::str::from_utf8(self.take(argument)?) {
                Ok(_) => Ok(()),
                Err(_) => Err(CborError::NotUtf8),
            },
            4 => {
                let inside = depth.checked_sub(1).ok_or(CborError::TooDeep)?;
                (0..argument).try_for_each(|_| self.item(inside))
            }
            5 => self.map(argument, depth.checked_sub(1).ok_or(CborError::TooDeep)?),
            _ => Err(CborError::Tag),
        }
    }

    fn map(&mut self, entries: u64, depth: u8) -> Result<(), CborError> {
        let mut previous: Option<&[u8]> = None;
        for _ in 0..entries {
            let from_key = self.rest;
            self.item(depth)?;
            let key = &from_key[..from_key.len() - self.rest.len()];
            match previous.map_or(Ordering::Less, |previous| previous.cmp(key)) {
                Ordering::Less => previous = Some(key),
                Ordering::Equal => return Err(CborError::DuplicateKey),
                Ordering::Greater => return Err(CborError::Unsorted),
            }
            self.item(depth)?;
        }
        Ok(())
    }

    /// The length, count or integer that follows an initial byte (RFC 8949 §3).
    fn argument(&mut self, major: u8, info: u8) -> Result<u64, CborError> {
        let (width, too_small) = match info {
            0..=23 => return Ok(u64::from(info)),
            24 => (1, 23),
            25 => (2, u64::from(u8::MAX)),
            26 => (4, u64::from(u16::MAX)),
            27 => (8, u64::from(u32::MAX)),
            31 if (2..=5).contains(&major) => return Err(CborError::Indefinite),
            _ => return Err(CborError::Reserved),
        };
        let argument = self
            .take(width)?
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
        if argument <= too_small {
            return Err(CborError::NotShortest);
        }
        Ok(argument)
    }

    fn take(&mut self, count: u64) -> Result<&'a [u8], CborError> {
        let count = usize::try_from(count).map_err(|_| CborError::Truncated)?;
        let (taken, rest) = self
            .rest
            .split_at_checked(count)
            .ok_or(CborError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }
}

fn simple(info: u8) -> Result<(), CborError> {
    match info {
        20..=22 => Ok(()), // false, true, null
        0..=19 | 23 | 24 => Err(CborError::Simple),
        25..=27 => Err(CborError::Float),
        _ => Err(CborError::Reserved),
    }
}

#[cfg(test)]
mod tests;
