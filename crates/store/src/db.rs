//! One SQL text, two native drivers.
//!
//! Statements are written once, with `?` placeholders and the types of [`Value`] alone; what truly
//! differs between SQLite and PostgreSQL is in the files `sqlite.rs` and `postgres.rs` and in
//! [`Engine`]. Three habits keep one text good for both: a sum is written
//! `CAST(SUM(x) AS BIGINT)`, sorted text is declared `COLLATE "C"` on PostgreSQL, and a row that may
//! be there already is met with `ON CONFLICT`, because a statement that fails ends its transaction.
mod error;
mod migrate;
mod postgres;
mod sql;
mod sqlite;
mod value;

use std::path::PathBuf;

use secrecy::SecretString;
use sqlx::{PgPool, PgTransaction, SqlitePool, SqliteTransaction};

pub use error::{APPEND_ONLY_SQLSTATE, CommitError, DbError};
pub use migrate::Migration;
pub use sql::{Sql, in_list};
pub use value::{Row, Value};

use sql::Batch;

/// Prepared statements kept per connection.
const STATEMENT_CACHE: usize = 256;
/// What a column may hold, for an error's text.
const KINDS: &str = "TEXT, BIGINT or BLOB";

/// Where the database is.
#[derive(Clone, Debug)]
pub enum DbConfig {
    /// `create`: make the file if there is none. Only a first start should say so: a file that has
    /// gone missing is a disaster to be told of, not an empty service.
    Sqlite { path: PathBuf, create: bool },
    /// `url`: `postgres://user:password@host:port/name?sslmode=verify-full`.
    Postgres {
        url: SecretString,
        max_connections: u32,
    },
}

/// An open database. Clones share it.
#[derive(Clone, Debug)]
pub struct Db(Pools);

#[derive(Clone, Debug)]
enum Pools {
    Sqlite {
        readers: SqlitePool,
        writer: SqlitePool,
    },
    Postgres(PgPool),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Engine {
    Sqlite,
    Postgres,
}

/// A write transaction. Dropped without [`Tx::commit`], it is rolled back.
#[derive(Debug)]
pub struct Tx {
    session: Session,
    /// A statement failed, or its future was dropped before it ended: what it did is not known, so
    /// the transaction can only be rolled back. (PostgreSQL would answer COMMIT with a silent
    /// rollback, SQLite would commit the rest.)
    broken: bool,
}

/// A read transaction: every [`ReadTx::fetch`] sees the same moment.
#[derive(Debug)]
pub struct ReadTx(Session);

#[derive(Debug)]
enum Session {
    Sqlite(SqliteTransaction<'static>),
    Postgres(PgTransaction<'static>),
}

impl Db {
    /// Opens the database and checks that it will keep what it acknowledges.
    ///
    /// # Errors
    /// [`DbError::Missing`] for a SQLite file that is not there, [`DbError::Settings`] where a
    /// durability setting is not in force, [`DbError::Unavailable`] where no server answers.
    pub async fn open(config: &DbConfig) -> Result<Self, DbError> {
        Ok(Self(match config {
            DbConfig::Sqlite { path, create } => {
                let (readers, writer) = sqlite::open(path, *create).await?;
                Pools::Sqlite { readers, writer }
            }
            DbConfig::Postgres {
                url,
                max_connections,
            } => Pools::Postgres(postgres::open(url, *max_connections).await?),
        }))
    }

    pub fn engine(&self) -> Engine {
        match self.0 {
            Pools::Sqlite { .. } => Engine::Sqlite,
            Pools::Postgres(_) => Engine::Postgres,
        }
    }

    /// Begins a write transaction. On SQLite it is the only one from here on; on PostgreSQL the
    /// first statement should lock the row that orders writers (see [`Engine::for_update`]).
    pub async fn begin(&self) -> Result<Tx, DbError> {
        let session = match &self.0 {
            Pools::Sqlite { writer, .. } => {
                Session::Sqlite(writer.begin_with(sqlite::BEGIN_WRITE).await?)
            }
            Pools::Postgres(pool) => {
                Session::Postgres(pool.begin_with(postgres::BEGIN_WRITE).await?)
            }
        };
        Ok(Tx {
            session,
            broken: false,
        })
    }

    /// Begins a read transaction, whose moment is that of its first fetch. Keep it short: on SQLite
    /// the log cannot be folded back past the oldest one.
    pub async fn read(&self) -> Result<ReadTx, DbError> {
        Ok(ReadTx(match &self.0 {
            Pools::Sqlite { readers, .. } => {
                Session::Sqlite(readers.begin_with(sqlite::BEGIN_READ).await?)
            }
            Pools::Postgres(pool) => {
                Session::Postgres(pool.begin_with(postgres::BEGIN_READ).await?)
            }
        }))
    }

    /// One query on its own.
    pub async fn fetch(&self, sql: impl Into<Sql>, args: &[Value]) -> Result<Vec<Row>, DbError> {
        match &self.0 {
            Pools::Sqlite { readers, .. } => {
                sqlite::fetch(&mut *readers.acquire().await?, sql.into(), args).await
            }
            Pools::Postgres(pool) => {
                postgres::fetch(&mut *pool.acquire().await?, sql.into(), args).await
            }
        }
    }

    /// Waits for the connections in use and closes all. SQLite then folds its log into the file.
    pub async fn close(&self) {
        match &self.0 {
            Pools::Sqlite { readers, writer } => {
                readers.close().await;
                writer.close().await;
            }
            Pools::Postgres(pool) => pool.close().await,
        }
    }
}

impl Tx {
    pub async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value],
    ) -> Result<Vec<Row>, DbError> {
        self.usable()?;
        self.broken = true;
        let rows = self.session.fetch(sql.into(), args).await?;
        self.broken = false;
        Ok(rows)
    }

    /// Runs one statement; returns how many rows it touched.
    pub async fn execute(&mut self, sql: impl Into<Sql>, args: &[Value]) -> Result<u64, DbError> {
        self.usable()?;
        self.broken = true;
        let rows = match &mut self.session {
            Session::Sqlite(tx) => sqlite::execute(tx, sql.into(), args).await,
            Session::Postgres(tx) => postgres::execute(tx, sql.into(), args).await,
        }?;
        self.broken = false;
        Ok(rows)
    }

    /// Inserts all the rows, each as wide as `columns`; returns how many. None is no statement.
    ///
    /// # Errors
    /// [`DbError::Conflict`] where one's key is there already.
    pub async fn insert_many(
        &mut self,
        table: &'static str,
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Result<u64, DbError> {
        self.put(Batch::insert(table, columns, rows)).await
    }

    /// Inserts the rows, or overwrites those whose `key_columns` are there already; of two rows with
    /// one key, the later counts.
    pub async fn upsert_many(
        &mut self,
        table: &'static str,
        key_columns: &[&'static str],
        columns: &[&'static str],
        rows: Vec<Vec<Value>>,
    ) -> Result<u64, DbError> {
        self.put(Batch::upsert(table, key_columns, columns, rows))
            .await
    }

    /// Commits. Do not drop this future half-way: the answer would be lost, as with
    /// [`CommitError::Unknown`].
    pub async fn commit(self) -> Result<(), CommitError> {
        if self.broken {
            return Err(CommitError::RolledBack);
        }
        let answer = match self.session {
            Session::Sqlite(tx) => tx.commit().await,
            Session::Postgres(tx) => tx.commit().await,
        };
        answer.map_err(|error| CommitError::Unknown(DbError::from(error).to_string()))
    }

    pub async fn rollback(self) -> Result<(), DbError> {
        match self.session {
            Session::Sqlite(tx) => tx.rollback().await?,
            Session::Postgres(tx) => tx.rollback().await?,
        }
        Ok(())
    }

    async fn put(&mut self, batch: Result<Batch, DbError>) -> Result<u64, DbError> {
        self.usable()?;
        self.broken = true;
        let batch = batch?;
        let rows = match &mut self.session {
            _ if batch.rows.is_empty() => 0,
            Session::Sqlite(tx) => sqlite::insert(tx, batch).await?,
            Session::Postgres(tx) => postgres::insert(tx, batch).await?,
        };
        self.broken = false;
        Ok(rows)
    }

    fn usable(&self) -> Result<(), DbError> {
        if self.broken {
            Err(DbError::Statement(
                "an earlier statement of this transaction did not finish".to_owned(),
            ))
        } else {
            Ok(())
        }
    }
}

impl ReadTx {
    pub async fn fetch(
        &mut self,
        sql: impl Into<Sql>,
        args: &[Value],
    ) -> Result<Vec<Row>, DbError> {
        self.0.fetch(sql.into(), args).await
    }
}

impl Session {
    async fn fetch(&mut self, sql: Sql, args: &[Value]) -> Result<Vec<Row>, DbError> {
        match self {
            Self::Sqlite(tx) => sqlite::fetch(tx, sql, args).await,
            Self::Postgres(tx) => postgres::fetch(tx, sql, args).await,
        }
    }
}

impl Engine {
    /// Ends a SELECT that locks what it reads until the commit. SQLite's writer holds the one lock
    /// there is.
    pub fn for_update(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// As [`Engine::for_update`], passing over rows that another writer holds.
    pub fn for_update_skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }
}

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;
