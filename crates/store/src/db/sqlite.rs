//! The SQLite side: one writer connection, several readers, write-ahead log, full fsync.
use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{
    SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteRow, SqliteSynchronous,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Decode, Row as _, Sqlite, SqliteConnection,
    TypeInfo as _, ValueRef as _,
};

use super::sql::{Batch, Sql, check_count, placeholders};
use super::{DbError, Row, Value};

/// Takes the write lock at once, so that a writer never finds half-way that it must wait.
pub(super) const BEGIN_WRITE: &str = "BEGIN IMMEDIATE";
pub(super) const BEGIN_READ: &str = "BEGIN DEFERRED";

const READERS: u32 = 4;
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(30);
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// SQLITE_MAX_VARIABLE_NUMBER as built by default: <https://www.sqlite.org/limits.html>.
const BIND_LIMIT: usize = 32_766;

/// Opens the file: (readers, writer). The writer comes first because it makes the log's side files,
/// which a read-only connection cannot.
pub(super) async fn open(path: &Path, create: bool) -> Result<(SqlitePool, SqlitePool), DbError> {
    if !create && !path.exists() {
        return Err(DbError::Missing(path.to_owned()));
    }
    let options = SqliteConnectOptions::new()
        .filename(path)
        .create_if_missing(create)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .statement_cache_capacity(super::STATEMENT_CACHE)
        .disable_statement_logging();
    let writer = pool(1).connect_with(options.clone()).await?;
    check_settings(&mut *writer.acquire().await?).await?;
    let readers = pool(READERS)
        .connect_with(options.create_if_missing(false).read_only(true))
        .await?;
    Ok((readers, writer))
}

/// Connections stay open for good: there is no network for them to go stale on.
fn pool(connections: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections)
        .min_connections(1)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
}

/// Reads back what was set: SQLite passes over a pragma it cannot follow without a word (a network
/// file system without shared memory stays out of WAL, for one).
async fn check_settings(connection: &mut SqliteConnection) -> Result<(), DbError> {
    let wanted = [
        ("PRAGMA journal_mode", Value::from("wal")),
        ("PRAGMA synchronous", Value::Int(2)),
        ("PRAGMA foreign_keys", Value::Int(1)),
    ];
    for (pragma, value) in wanted {
        let rows = fetch(connection, pragma.into(), &[]).await?;
        if rows != [Row(vec![value])] {
            return Err(DbError::Settings(format!(
                "{pragma} did not take; keep the file on a local disk, in a folder this user may write"
            )));
        }
    }
    Ok(())
}

pub(super) async fn fetch(
    connection: &mut SqliteConnection,
    sql: Sql,
    args: &[Value],
) -> Result<Vec<Row>, DbError> {
    let keep = matches!(sql, Sql::Borrowed(_));
    check_count(placeholders(&sql).len(), args.len())?;
    let args = arguments(args.iter().cloned())?;
    let query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), args).persistent(keep);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(decode)
        .collect()
}

pub(super) async fn execute(
    connection: &mut SqliteConnection,
    sql: Sql,
    args: &[Value],
) -> Result<u64, DbError> {
    check_count(placeholders(&sql).len(), args.len())?;
    run(connection, sql, arguments(args.iter().cloned())?).await
}

/// Multi-row VALUES, in as many statements as the bind limit asks for.
pub(super) async fn insert(
    connection: &mut SqliteConnection,
    batch: Batch,
) -> Result<u64, DbError> {
    let width = batch.columns.len();
    let chunk_rows = (BIND_LIMIT / width.max(1)).max(1);
    let (head, tail) = (batch.head(), batch.tail);
    let row = super::in_list(width);
    let mut rows = batch.rows.into_iter();
    let mut affected = 0;
    while rows.len() > 0 {
        let count = rows.len().min(chunk_rows);
        let args = arguments(rows.by_ref().take(count).flatten())?;
        let sql = format!(
            "{head}VALUES {row}{}{tail}",
            format!(",{row}").repeat(count - 1)
        );
        affected += run(connection, sql.into(), args).await?;
    }
    Ok(affected)
}

async fn run(
    connection: &mut SqliteConnection,
    sql: Sql,
    args: SqliteArguments,
) -> Result<u64, DbError> {
    let keep = matches!(sql, Sql::Borrowed(_));
    let query = sqlx::query_with::<Sqlite, _>(AssertSqlSafe(sql), args).persistent(keep);
    Ok(query.execute(connection).await?.rows_affected())
}

fn arguments(values: impl Iterator<Item = Value>) -> Result<SqliteArguments, DbError> {
    let mut args = SqliteArguments::default();
    for value in values {
        match value {
            Value::Text(text) => args.add(text),
            Value::Int(int) => args.add(int),
            Value::Blob(blob) => args.add(blob),
            Value::Null => args.add(None::<i64>),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(args)
}

fn decode(row: &SqliteRow) -> Result<Row, DbError> {
    let value = |column: usize| {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info();
        match kind.name() {
            "TEXT" => Decode::<Sqlite>::decode(raw).map(Value::Text),
            "INTEGER" => Decode::<Sqlite>::decode(raw).map(Value::Int),
            "BLOB" => Decode::<Sqlite>::decode(raw).map(Value::Blob),
            other => {
                return Err(DbError::Decode {
                    column,
                    expected: super::KINDS,
                    found: other.to_owned(),
                });
            }
        }
        .map_err(|cause| sqlx::Error::Decode(cause).into())
    };
    (0..row.len()).map(value).collect::<Result<_, _>>().map(Row)
}
