use std::fmt;

use super::DbError;

/// A column's value, of one of the only types the schema uses: TEXT, BIGINT and BLOB (BYTEA on
/// PostgreSQL). A time is a BIGINT of microseconds since 1970 UTC. `Debug` shows the shape alone:
/// contents may identify a person.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Value {
    Text(String),
    Int(i64),
    Blob(Vec<u8>),
    Null,
}

/// One row of an answer, by column position from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(super) Vec<Value>);

impl Row {
    pub fn text(&self, column: usize) -> Result<&str, DbError> {
        self.opt_text(column)?
            .ok_or_else(|| self.mismatch(column, "TEXT"))
    }

    pub fn int(&self, column: usize) -> Result<i64, DbError> {
        self.opt_int(column)?
            .ok_or_else(|| self.mismatch(column, "BIGINT"))
    }

    pub fn blob(&self, column: usize) -> Result<&[u8], DbError> {
        self.opt_blob(column)?
            .ok_or_else(|| self.mismatch(column, "BLOB"))
    }

    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, DbError> {
        match self.0.get(column) {
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.mismatch(column, "TEXT or NULL")),
        }
    }

    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, DbError> {
        match self.0.get(column) {
            Some(Value::Int(int)) => Ok(Some(*int)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.mismatch(column, "BIGINT or NULL")),
        }
    }

    pub fn opt_blob(&self, column: usize) -> Result<Option<&[u8]>, DbError> {
        match self.0.get(column) {
            Some(Value::Blob(blob)) => Ok(Some(blob)),
            Some(Value::Null) => Ok(None),
            _ => Err(self.mismatch(column, "BLOB or NULL")),
        }
    }

    /// All the values, for a caller that keeps them.
    pub fn into_values(self) -> Vec<Value> {
        self.0
    }

    fn mismatch(&self, column: usize, expected: &'static str) -> DbError {
        let found = self
            .0
            .get(column)
            .map_or("no such column", Value::kind)
            .to_owned();
        DbError::Decode {
            column,
            expected,
            found,
        }
    }
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(_) => "TEXT",
            Self::Int(_) => "BIGINT",
            Self::Blob(_) => "BLOB",
            Self::Null => "NULL",
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write!(f, "TEXT({} bytes)", text.len()),
            Self::Blob(blob) => write!(f, "BLOB({} bytes)", blob.len()),
            Self::Int(_) | Self::Null => f.write_str(self.kind()),
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(int: i64) -> Self {
        Self::Int(int)
    }
}

impl From<i32> for Value {
    fn from(int: i32) -> Self {
        Self::Int(int.into())
    }
}

impl From<bool> for Value {
    /// 0 or 1: neither engine is asked to keep a boolean.
    fn from(yes: bool) -> Self {
        Self::Int(yes.into())
    }
}

impl From<&[u8]> for Value {
    fn from(blob: &[u8]) -> Self {
        Self::Blob(blob.to_vec())
    }
}

impl From<Vec<u8>> for Value {
    fn from(blob: Vec<u8>) -> Self {
        Self::Blob(blob)
    }
}

impl<const N: usize> From<[u8; N]> for Value {
    fn from(blob: [u8; N]) -> Self {
        Self::Blob(blob.to_vec())
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
