//! The PostgreSQL side.
use std::str::FromStr as _;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{
    PgArgumentBuffer, PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgTypeInfo,
};
use sqlx::{
    Arguments as _, AssertSqlSafe, ConnectOptions as _, Connection as _, Decode, PgConnection,
    Postgres, Row as _, Type, TypeInfo as _, ValueRef as _,
};

use super::sql::{Batch, Sql, check_count, placeholders};
use super::{DbError, Row, Value};

/// READ COMMITTED, because the lock on the head row is what orders writers: a writer that waited
/// for it must then see what the one before it committed.
pub(super) const BEGIN_WRITE: &str = "BEGIN ISOLATION LEVEL READ COMMITTED, READ WRITE";
pub(super) const BEGIN_READ: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";

const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Server versions as `server_version_num` writes them: 15.0.
const OLDEST_SERVER: i64 = 150_000;

pub(super) async fn open(url: &SecretString, max_connections: u32) -> Result<PgPool, DbError> {
    let options = PgConnectOptions::from_str(url.expose_secret())
        // The driver's own message may quote the address, password and all.
        .map_err(|_| {
            DbError::Settings("the address is not of the form postgres://user@host/name".to_owned())
        })?
        .statement_cache_capacity(super::STATEMENT_CACHE)
        .disable_statement_logging();
    // A pool would try again and again where the first connection is refused for good.
    let first = async {
        let mut connection = PgConnection::connect_with(&options).await?;
        check_settings(&mut connection).await?;
        connection.close().await
    };
    tokio::time::timeout(ACQUIRE_TIMEOUT, first)
        .await
        .map_err(|_| sqlx::Error::PoolTimedOut)??;
    let pool = PgPoolOptions::new()
        .max_connections(max_connections)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        // After a failover the same address may lead to another server.
        .after_connect(|connection, _| Box::pin(check_settings(connection)))
        .connect_with(options);
    Ok(pool.await?)
}

/// Refuses a server that may lose what it has said is committed, or that cannot keep our text.
async fn check_settings(connection: &mut PgConnection) -> Result<(), sqlx::Error> {
    const SETTINGS: &str = "SELECT current_setting('fsync'), current_setting('full_page_writes'), \
        current_setting('synchronous_commit'), current_setting('server_encoding'), \
        current_setting('server_version_num')::bigint";
    let row = sqlx::query(SETTINGS).fetch_one(connection).await?;
    let text = |column: usize| row.try_get::<String, _>(column);
    let fault = if text(0)? != "on" {
        "fsync is off; turn it on"
    } else if text(1)? != "on" {
        "full_page_writes is off; turn it on"
    } else if text(2)? == "off" {
        "synchronous_commit is off; set it to local or more"
    } else if text(3)? != "UTF8" {
        "the encoding is not UTF8; make the database again with ENCODING 'UTF8'"
    } else if row.try_get::<i64, _>(4)? < OLDEST_SERVER {
        "the server is older than PostgreSQL 15; upgrade it"
    } else {
        return Ok(());
    };
    Err(sqlx::Error::Configuration(fault.into()))
}

pub(super) async fn fetch(
    connection: &mut PgConnection,
    sql: Sql,
    args: &[Value],
) -> Result<Vec<Row>, DbError> {
    let (sql, keep) = rewrite(sql, args)?;
    let query =
        sqlx::query_with::<Postgres, _>(AssertSqlSafe(sql), arguments(args)?).persistent(keep);
    query
        .fetch_all(connection)
        .await?
        .iter()
        .map(decode)
        .collect()
}

pub(super) async fn execute(
    connection: &mut PgConnection,
    sql: Sql,
    args: &[Value],
) -> Result<u64, DbError> {
    let (sql, keep) = rewrite(sql, args)?;
    let query =
        sqlx::query_with::<Postgres, _>(AssertSqlSafe(sql), arguments(args)?).persistent(keep);
    Ok(query.execute(connection).await?.rows_affected())
}

/// One array per column, unnested side by side: the text depends on the table alone (and on which
/// columns hold nothing but NULL, whose type the values do not tell), so it stays prepared, and
/// there is no bind limit to split for.
pub(super) async fn insert(connection: &mut PgConnection, batch: Batch) -> Result<u64, DbError> {
    let mut args = PgArguments::default();
    let (mut picks, mut arrays, mut names) = (Vec::new(), Vec::new(), Vec::new());
    let (head, tail) = (batch.head(), batch.tail);
    for (place, column) in transpose(batch.rows, batch.columns.len())
        .into_iter()
        .enumerate()
    {
        let Some(kind) = add_array(&mut args, column).map_err(sqlx::Error::Encode)? else {
            picks.push("NULL".to_owned());
            continue;
        };
        picks.push(format!("c{place}"));
        names.push(format!("c{place}"));
        arrays.push(format!("${}::{kind}[]", names.len()));
    }
    if names.is_empty() {
        return Err(DbError::Statement(format!("{head}: every value is NULL")));
    }
    let (picks, arrays, names) = (picks.join(","), arrays.join(","), names.join(","));
    let sql = format!("{head}SELECT {picks} FROM UNNEST({arrays}) AS rows({names}){tail}");
    let query = sqlx::query_with::<Postgres, _>(AssertSqlSafe(sql), args).persistent(true);
    Ok(query.execute(connection).await?.rows_affected())
}

fn transpose(rows: Vec<Vec<Value>>, width: usize) -> Vec<Vec<Value>> {
    let mut columns = vec![Vec::with_capacity(rows.len()); width];
    for row in rows {
        for (column, value) in columns.iter_mut().zip(row) {
            column.push(value);
        }
    }
    columns
}

/// Adds a column as an array and names its element type; a column of NULLs alone has none.
fn add_array(
    args: &mut PgArguments,
    column: Vec<Value>,
) -> Result<Option<&'static str>, BoxDynError> {
    let Some(sample) = column.iter().find(|value| **value != Value::Null).cloned() else {
        return Ok(None);
    };
    let values = column.into_iter();
    match sample {
        Value::Text(_) => {
            let text = |value| {
                if let Value::Text(text) = value {
                    Some(text)
                } else {
                    None
                }
            };
            args.add(values.map(text).collect::<Vec<_>>())?;
            Ok(Some("text"))
        }
        Value::Int(_) => {
            let int = |value| {
                if let Value::Int(int) = value {
                    Some(int)
                } else {
                    None
                }
            };
            args.add(values.map(int).collect::<Vec<_>>())?;
            Ok(Some("bigint"))
        }
        Value::Blob(_) | Value::Null => {
            let blob = |value| {
                if let Value::Blob(blob) = value {
                    Some(blob)
                } else {
                    None
                }
            };
            args.add(values.map(blob).collect::<Vec<_>>())?;
            Ok(Some("bytea"))
        }
    }
}

/// `?` to `$n`. The second of the pair: may the prepared statement be kept? Not with a NULL among
/// the arguments, which has no type of its own: kept, what the server guessed for it would also
/// be applied to a later call's value.
fn rewrite(sql: Sql, args: &[Value]) -> Result<(Sql, bool), DbError> {
    let places = placeholders(&sql);
    check_count(places.len(), args.len())?;
    let keep = matches!(sql, Sql::Borrowed(_)) && !args.contains(&Value::Null);
    if places.is_empty() {
        return Ok((sql, keep));
    }
    let mut text = String::with_capacity(sql.len() + 3 * places.len());
    let mut from = 0;
    for (place, number) in places.into_iter().zip(1..) {
        text += &sql[from..place];
        text.push('$');
        text += &i32::to_string(&number);
        from = place + 1;
    }
    text += &sql[from..];
    Ok((text.into(), keep))
}

fn arguments(values: &[Value]) -> Result<PgArguments, DbError> {
    let mut args = PgArguments::default();
    for value in values {
        match value {
            Value::Text(text) => args.add(text),
            Value::Int(int) => args.add(int),
            Value::Blob(blob) => args.add(blob),
            Value::Null => args.add(UntypedNull),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    Ok(args)
}

/// NULL with its type left to the server (parameter type 0: PostgreSQL manual, 55.7, Parse).
struct UntypedNull;

impl Type<Postgres> for UntypedNull {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for UntypedNull {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

fn decode(row: &PgRow) -> Result<Row, DbError> {
    let value = |column: usize| {
        let raw = row.try_get_raw(column)?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        let kind = raw.type_info().into_owned();
        match kind.name() {
            "TEXT" | "VARCHAR" | "NAME" => Decode::<Postgres>::decode(raw).map(Value::Text),
            "INT8" => Decode::<Postgres>::decode(raw).map(Value::Int),
            "INT4" => <i32 as Decode<Postgres>>::decode(raw).map(|int| Value::Int(int.into())),
            "BOOL" => <bool as Decode<Postgres>>::decode(raw).map(Value::from),
            "BYTEA" => Decode::<Postgres>::decode(raw).map(Value::Blob),
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
