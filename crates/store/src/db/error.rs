use std::path::PathBuf;

/// The SQLSTATE which PostgreSQL's append-only triggers raise (`RAISE EXCEPTION '…' USING ERRCODE =
/// 'ZA001'`); on SQLite they `RAISE(ABORT, '…')`. Both arrive as [`DbError::AppendOnly`].
pub const APPEND_ONLY_SQLSTATE: &str = "ZA001";

/// Why the database did not do what it was asked. None of these carries a bound value.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    #[error("the database cannot be reached or is too busy: {0}; nothing was committed, try again")]
    Unavailable(String),
    #[error("a row with this key is there already: {0}; load it and answer from it")]
    Conflict(String),
    #[error("append-only rows cannot be changed: {0}; add a new row instead")]
    AppendOnly(String),
    #[error(
        "column {column}: {expected} expected, {found} found; make the query and the reader agree"
    )]
    Decode {
        column: usize,
        expected: &'static str,
        found: String,
    },
    #[error("the schema is not this program's: {0}")]
    Schema(String),
    #[error("the database is not set up to keep what it is given: {0}")]
    Settings(String),
    #[error("there is no database at {}; restore it, or start once with creation allowed", .0.display())]
    Missing(PathBuf),
    #[error("a statement was put together wrongly: {0}; this is a fault in the program")]
    Statement(String),
    #[error("the database refused: {0}; its own log says more")]
    Other(String),
}

/// How a commit can fail.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// COMMIT was sent and no success was seen: the rows may or may not be there. Stop, start
    /// again, and look; never send the same transaction a second time.
    #[error("it is not known whether the transaction was committed: {0}; stop and reconcile")]
    Unknown(String),
    /// An earlier statement failed or was abandoned, so COMMIT was never sent.
    #[error(
        "the transaction was rolled back because an earlier statement did not finish; nothing was committed"
    )]
    RolledBack,
}

impl From<sqlx::Error> for DbError {
    fn from(error: sqlx::Error) -> Self {
        match &error {
            sqlx::Error::Database(cause) => from_engine(cause.as_ref()),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(error.to_string()),
            sqlx::Error::Configuration(cause) => Self::Settings(cause.to_string()),
            _ => Self::Other(error.to_string()),
        }
    }
}

/// Sorts an engine's own error codes. Only `message()` is kept: PostgreSQL's `detail()` quotes the
/// offending values, which may identify a person.
fn from_engine(error: &dyn sqlx::error::DatabaseError) -> DbError {
    let code = error.code().unwrap_or_default();
    let what = format!("{} (code {code})", error.message());
    if error.is_unique_violation() {
        return DbError::Conflict(error.constraint().map_or(what, str::to_owned));
    }
    let postgres = error
        .try_downcast_ref::<sqlx::postgres::PgDatabaseError>()
        .is_some();
    if (postgres && code == APPEND_ONLY_SQLSTATE)
        || (!postgres && code == SQLITE_CONSTRAINT_TRIGGER)
    {
        return DbError::AppendOnly(error.message().to_owned());
    }
    if if postgres {
        postgres_is_passing(&code)
    } else {
        sqlite_is_passing(&code)
    } {
        DbError::Unavailable(what)
    } else {
        DbError::Other(what)
    }
}

/// A trigger's `RAISE(ABORT)`: <https://www.sqlite.org/rescode.html#constraint_trigger>.
const SQLITE_CONSTRAINT_TRIGGER: &str = "1811";

/// SQLSTATEs which a later try may not meet: the connection exceptions (class 08), serialization
/// failure and deadlock, too many connections, and the server's going down or coming up
/// (PostgreSQL manual, appendix A).
fn postgres_is_passing(code: &str) -> bool {
    code.starts_with("08")
        || matches!(
            code,
            "40001" | "40P01" | "53300" | "57P01" | "57P02" | "57P03" | "57P05"
        )
}

/// `SQLITE_BUSY` and `SQLITE_LOCKED`, in the low byte of an extended result code.
fn sqlite_is_passing(code: &str) -> bool {
    code.parse::<i32>()
        .is_ok_and(|code| matches!(code & 0xff, 5 | 6))
}
