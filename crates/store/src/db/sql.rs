//! Putting statement texts together: what both engines share, and the shape checks which come
//! before either is asked anything.
use std::borrow::Cow;
use std::collections::HashMap;

use super::{DbError, Value};

/// A statement. `&'static str` is prepared once per connection and kept, so each of its
/// placeholders must always be given one type (or NULL); a `String`, whose text varies from call to
/// call, is not kept, so that such texts do not push the fixed ones out.
pub type Sql = Cow<'static, str>;

/// `(?,?,…)` with `count` places, for `IN`. A list of none is `(NULL)`, which nothing equals (nor,
/// in SQL, differs from: do not put it after `NOT IN`).
pub fn in_list(count: usize) -> String {
    match count {
        0 => "(NULL)".to_owned(),
        _ => format!("({}?)", "?,".repeat(count - 1)),
    }
}

/// Byte positions of the `?` placeholders: those outside quotes and `--` comments.
pub(super) fn placeholders(sql: &str) -> Vec<usize> {
    let bytes = sql.as_bytes();
    let mut found = Vec::new();
    let mut quote = None;
    let mut at = 0;
    while at < bytes.len() {
        match (quote, bytes[at]) {
            // A doubled quote closes and opens again, which is the same.
            (Some(open), byte) if byte == open => quote = None,
            (None, byte @ (b'\'' | b'"')) => quote = Some(byte),
            (None, b'-') if bytes.get(at + 1) == Some(&b'-') => {
                at += bytes[at..]
                    .iter()
                    .position(|byte| *byte == b'\n')
                    .unwrap_or(bytes.len() - at);
            }
            (None, b'?') => found.push(at),
            _ => {}
        }
        at += 1;
    }
    found
}

/// Refuses a statement whose placeholders and arguments differ in number; SQLite would read a
/// missing argument as NULL.
pub(super) fn check_count(places: usize, args: usize) -> Result<(), DbError> {
    if places == args {
        Ok(())
    } else {
        Err(DbError::Statement(format!(
            "{places} placeholders and {args} arguments"
        )))
    }
}

/// Rows for one table, all of one shape.
pub(super) struct Batch {
    table: &'static str,
    pub columns: Vec<&'static str>,
    pub rows: Vec<Vec<Value>>,
    /// What follows the rows in the statement: nothing, or an `ON CONFLICT` clause.
    pub tail: String,
}

impl Batch {
    /// # Errors
    /// [`DbError::Statement`] where a row's width is not the columns', or a column holds two types.
    pub fn insert(
        table: &'static str,
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Result<Self, DbError> {
        let batch = Self {
            table,
            columns: columns.to_vec(),
            rows,
            tail: String::new(),
        };
        if batch
            .rows
            .iter()
            .any(|row| row.len() != batch.columns.len())
        {
            return Err(batch.fault("a row's values are not as many as the columns"));
        }
        for column in 0..batch.columns.len() {
            let mut kinds = batch
                .rows
                .iter()
                .map(|row| &row[column])
                .filter(|v| **v != Value::Null);
            let first = kinds.next().map(Value::kind);
            if kinds.any(|value| Some(value.kind()) != first) {
                return Err(batch.fault("a column holds values of two types"));
            }
        }
        Ok(batch)
    }

    /// As [`Batch::insert`]; a row whose key is there already replaces the columns that are not
    /// key. Where the batch names a key twice its last row counts, on both engines: PostgreSQL
    /// would refuse.
    pub fn upsert(
        table: &'static str,
        key_columns: &[&'static str],
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Result<Self, DbError> {
        let mut batch = Self::insert(table, columns, rows)?;
        let place = |key: &&str| columns.iter().position(|column| column == key);
        let Some(key_places) = key_columns.iter().map(place).collect::<Option<Vec<_>>>() else {
            return Err(batch.fault("a key column is not among the columns"));
        };
        let mut last = HashMap::with_capacity(batch.rows.len());
        for (at, row) in batch.rows.iter().enumerate() {
            last.insert(
                key_places
                    .iter()
                    .map(|place| row[*place].clone())
                    .collect::<Vec<_>>(),
                at,
            );
        }
        if last.len() < batch.rows.len() {
            let mut keep = last.into_values().collect::<Vec<_>>();
            keep.sort_unstable();
            batch.rows = keep
                .into_iter()
                .map(|at| std::mem::take(&mut batch.rows[at]))
                .collect();
        }
        let changes = columns
            .iter()
            .filter(|column| !key_columns.contains(column));
        let changes = changes
            .map(|column| format!("{column}=excluded.{column}"))
            .collect::<Vec<_>>();
        let keys = key_columns.join(",");
        batch.tail = if changes.is_empty() {
            format!(" ON CONFLICT ({keys}) DO NOTHING")
        } else {
            format!(" ON CONFLICT ({keys}) DO UPDATE SET {}", changes.join(","))
        };
        Ok(batch)
    }

    /// `INSERT INTO table (columns) `
    pub fn head(&self) -> String {
        format!("INSERT INTO {} ({}) ", self.table, self.columns.join(","))
    }

    pub fn fault(&self, what: &str) -> DbError {
        DbError::Statement(format!("rows for {}: {what}", self.table))
    }
}
