//! COSE_Sign1 (RFC 9052 §4.2) as statements and receipts share it: tag 18, deterministic CBOR,
//! and no header but the ones that were asked for.

use ciborium::Value;
use coset::{ProtectedHeader, SignatureContext, sig_structure_data};

use crate::cbor;
use crate::key::{Alg, SIGNATURE_LEN};
use crate::statement::{Claims, StatementError};

/// The encoded tag 18 (RFC 9052 §2).
const TAG: u8 = 0xd2;

/// Header parameters (IANA COSE registry; RFC 9597 for 15, RFC 9596 for 16).
pub const ALG: i64 = 1;
pub const CRIT: i64 = 2;
pub const KID: i64 = 4;
pub const CLAIMS: i64 = 15;
pub const TYP: i64 = 16;

/// CWT claims (RFC 8392 §3.1).
const ISS: i64 = 1;
const SUB: i64 = 2;
const IAT: i64 = 6;

/// The four parts of a COSE_Sign1, the protected header still encoded.
pub struct Sign1 {
    pub protected: Vec<u8>,
    pub unprotected: Vec<(Value, Value)>,
    pub payload: Option<Vec<u8>>,
    pub signature: Vec<u8>,
}

impl Sign1 {
    pub fn parse(bytes: &[u8]) -> Result<Self, StatementError> {
        let body = bytes.strip_prefix(&[TAG]);
        let body = body.ok_or(StatementError::NotSign1)?;
        let Value::Array(parts) = cbor::decode(body)? else {
            return Err(StatementError::NotSign1);
        };
        let parts = <[Value; 4]>::try_from(parts).map_err(|_| StatementError::NotSign1)?;
        let [
            Value::Bytes(protected),
            Value::Map(unprotected),
            payload,
            Value::Bytes(signature),
        ] = parts
        else {
            return Err(StatementError::NotSign1);
        };
        let payload = match payload {
            Value::Bytes(payload) => Some(payload),
            Value::Null => None,
            _ => return Err(StatementError::NotSign1),
        };
        if signature.len() != SIGNATURE_LEN {
            return Err(StatementError::SignatureLength(signature.len()));
        }
        Ok(Self {
            protected,
            unprotected,
            payload,
            signature,
        })
    }
}

/// The tagged encoding. `unprotected` is in canonical order.
pub fn encode(
    protected: &[u8],
    unprotected: Vec<(Value, Value)>,
    payload: Option<&[u8]>,
    signature: &[u8],
) -> Vec<u8> {
    let payload = payload.map_or(Value::Null, |payload| Value::Bytes(payload.to_vec()));
    let parts = vec![
        Value::Bytes(protected.to_vec()),
        Value::Map(unprotected),
        payload,
        Value::Bytes(signature.to_vec()),
    ];
    cbor::encode(&Value::Tag(18, Box::new(Value::Array(parts))))
}

/// The bytes that are signed: the Sig_structure (RFC 9052 §4.4) over the protected bytes as they
/// came, with no external data.
pub fn to_be_signed(protected: &[u8], payload: &[u8]) -> Vec<u8> {
    let protected = ProtectedHeader {
        original_data: Some(protected.to_vec()),
        ..ProtectedHeader::default()
    };
    sig_structure_data(SignatureContext::CoseSign1, protected, None, &[], payload)
}

/// The values of exactly the headers `labels`, which are in canonical order. A header beyond them
/// is refused before a missing one is.
pub fn protected<const N: usize>(
    bytes: &[u8],
    labels: [i64; N],
) -> Result<[Value; N], StatementError> {
    let Value::Map(headers) = cbor::decode(bytes)? else {
        return Err(StatementError::NotSign1);
    };
    for (label, _) in &headers {
        if *label == Value::from(CRIT) {
            return Err(StatementError::UnknownCritical);
        }
        if !labels.iter().any(|known| *label == Value::from(*known)) {
            return Err(StatementError::UnknownHeader(describe(label)));
        }
    }
    let present = |known: &i64| {
        headers
            .iter()
            .any(|(label, _)| *label == Value::from(*known))
    };
    if let Some(missing) = labels.into_iter().find(|known| !present(known)) {
        return Err(StatementError::MissingHeader(missing));
    }
    // Sorted and without duplicates, the values now stand in the order of `labels`.
    let values: Vec<Value> = headers.into_iter().map(|(_, value)| value).collect();
    <[Value; N]>::try_from(values).map_err(|_| StatementError::NotSign1)
}

pub fn alg(value: &Value) -> Result<Alg, StatementError> {
    let id = integer(value).ok_or(StatementError::HeaderType(ALG))?;
    Alg::from_id(id).ok_or(StatementError::UnknownAlg(id))
}

pub fn kid(value: Value) -> Result<Vec<u8>, StatementError> {
    match value {
        Value::Bytes(kid) if !kid.is_empty() => Ok(kid),
        _ => Err(StatementError::HeaderType(KID)),
    }
}

pub fn typ(value: Value) -> Result<String, StatementError> {
    value
        .into_text()
        .map_err(|_| StatementError::HeaderType(TYP))
}

pub fn claims(value: Value) -> Result<Claims, StatementError> {
    let wrong = || StatementError::HeaderType(CLAIMS);
    let claims = value.into_map().map_err(|_| wrong())?;
    let [(iss_label, iss), (sub_label, sub), (iat_label, iat)] =
        <[(Value, Value); 3]>::try_from(claims).map_err(|_| wrong())?;
    let labels = [&iss_label, &sub_label, &iat_label];
    if labels != [&Value::from(ISS), &Value::from(SUB), &Value::from(IAT)] {
        return Err(wrong());
    }
    Ok(Claims {
        iss: iss.into_text().map_err(|_| wrong())?,
        sub: sub.into_text().map_err(|_| wrong())?,
        iat: integer(&iat).ok_or_else(wrong)?,
    })
}

pub fn claims_value(claims: &Claims) -> Value {
    Value::Map(vec![
        (Value::from(ISS), Value::from(claims.iss.as_str())),
        (Value::from(SUB), Value::from(claims.sub.as_str())),
        (Value::from(IAT), Value::from(claims.iat)),
    ])
}

/// The only header of an unprotected map, if it is `label`.
pub fn only(unprotected: Vec<(Value, Value)>, label: i64) -> Result<Value, StatementError> {
    match <[(Value, Value); 1]>::try_from(unprotected) {
        Ok([(found, value)]) if found == Value::from(label) => Ok(value),
        _ => Err(StatementError::Unprotected(label)),
    }
}

/// An array of one or more byte strings.
pub fn byte_strings(value: Value) -> Option<Vec<Vec<u8>>> {
    let items = value.into_array().ok().filter(|items| !items.is_empty())?;
    items
        .into_iter()
        .map(|item| item.into_bytes().ok())
        .collect()
}

pub fn integer<T: TryFrom<i128>>(value: &Value) -> Option<T> {
    let integer = value.as_integer()?;
    T::try_from(i128::from(integer)).ok()
}

fn describe(label: &Value) -> String {
    match label {
        Value::Integer(label) => i128::from(*label).to_string(),
        _ => "that is no integer".to_owned(),
    }
}
