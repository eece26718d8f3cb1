//! Statements that no honest signer makes: a good one taken apart and put together otherwise.

use anyhow::{Context as _, Result};
use ciborium::Value;
use evidence_ledger::SigningKey;
use evidence_wire::v1;

use crate::rng;

/// The COSE_Sign1 message (RFC 9052 section 4.2) in its parts.
#[derive(Debug, Clone)]
pub struct Forged {
    /// Header parameters in their order.
    pub protected: Vec<(Value, Value)>,
    pub payload: Vec<u8>,
    pub signature: Vec<u8>,
}

impl Forged {
    pub fn of(signed: &v1::SignedStatement) -> Result<Self> {
        let message: Value = ciborium::from_reader(signed.statement.as_slice())?;
        let Value::Tag(18, parts) = message else {
            anyhow::bail!("not a COSE_Sign1 message")
        };
        let parts = parts.into_array().ok().context("an array")?;
        let bytes = |at: usize| {
            parts
                .get(at)
                .and_then(Value::as_bytes)
                .context("a byte string")
                .cloned()
        };
        let protected: Value = ciborium::from_reader(bytes(0)?.as_slice())?;
        let protected = protected.into_map().ok().context("a map")?;
        Ok(Self {
            protected,
            payload: bytes(2)?,
            signature: bytes(3)?,
        })
    }

    /// Replaces a header parameter, or adds it where the deterministic order has it.
    pub fn set(&mut self, label: i64, value: Value) {
        self.protected
            .retain(|(known, _)| *known != Value::from(label));
        let at = self.protected.iter().position(|(known, _)| {
            known
                .as_integer()
                .is_some_and(|known| i128::from(known) > i128::from(label))
        });
        self.protected.insert(
            at.unwrap_or(self.protected.len()),
            (Value::from(label), value),
        );
    }

    /// Signs the parts as they are.
    pub fn sign(mut self, key: &SigningKey) -> Result<Self> {
        let parts = vec![
            Value::from("Signature1"),
            Value::Bytes(encode(&Value::Map(self.protected.clone()))?),
            Value::Bytes(Vec::new()),
            Value::Bytes(self.payload.clone()),
        ];
        self.signature = key.sign(&encode(&Value::Array(parts))?, &rng());
        Ok(self)
    }

    /// The message's bytes.
    pub fn bytes(&self) -> Result<Vec<u8>> {
        let parts = vec![
            Value::Bytes(encode(&Value::Map(self.protected.clone()))?),
            Value::Map(Vec::new()),
            Value::Bytes(self.payload.clone()),
            Value::Bytes(self.signature.clone()),
        ];
        encode(&Value::Tag(18, Box::new(Value::Array(parts))))
    }
}

fn encode(value: &Value) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    ciborium::into_writer(value, &mut bytes)?;
    Ok(bytes)
}
