//! Bringing a database's schema up to this program's.
use data_encoding::HEXLOWER;
use ring::digest::{SHA256, digest};

use super::{CommitError, Db, DbError, Engine, Session, Tx};

/// One step of the schema, one text for each engine. Once released it is never edited: a change is
/// a new step.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub version: i64,
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

/// Held while a step runs, so that gateways starting together take turns. Any number will do that
/// nothing else on the server uses; this one spells "evidence".
const ADVISORY_LOCK: i64 = 0x6576_6964_656e_6365;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS migration \
    (version BIGINT NOT NULL PRIMARY KEY, name TEXT NOT NULL, checksum TEXT NOT NULL)";

impl Db {
    /// Runs the steps not yet applied, in order, each in a transaction with its record; returns how
    /// many there were.
    ///
    /// # Errors
    /// [`DbError::Schema`] where `migrations` are not in ascending order, or the database holds a
    /// step that they lack, lacks one before its latest, or applied another text.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<usize, DbError> {
        if !migrations.is_sorted_by(|a, b| a.version < b.version) {
            return Err(DbError::Schema(
                "migrations are not in ascending order; renumber them".to_owned(),
            ));
        }
        let mut count = 0;
        while self.migrate_once(migrations).await? {
            count += 1;
        }
        Ok(count)
    }

    /// Applies the first outstanding step, if any.
    async fn migrate_once(&self, migrations: &[Migration]) -> Result<bool, DbError> {
        let engine = self.engine();
        let mut tx = self.begin().await?;
        if engine == Engine::Postgres {
            tx.execute("SELECT pg_advisory_xact_lock(?)", &[ADVISORY_LOCK.into()])
                .await?;
        }
        tx.execute(TABLE, &[]).await?;
        let applied = tx
            .fetch(
                "SELECT version, checksum FROM migration ORDER BY version",
                &[],
            )
            .await?;
        for (at, row) in applied.iter().enumerate() {
            check_applied(migrations.get(at), row.int(0)?, row.text(1)?, engine)?;
        }
        let Some(next) = migrations.get(applied.len()) else {
            tx.rollback().await?;
            return Ok(false);
        };
        tx.run_script(next.text(engine)).await?;
        let record = vec![
            next.version.into(),
            next.name.into(),
            next.checksum(engine).into(),
        ];
        tx.insert_many("migration", &["version", "name", "checksum"], vec![record])
            .await?;
        match tx.commit().await {
            Ok(()) => Ok(true),
            // The next start reads what became of it.
            Err(error @ (CommitError::Unknown(_) | CommitError::RolledBack)) => {
                Err(DbError::Unavailable(error.to_string()))
            }
        }
    }
}

/// Compares one applied step with this program's step at the same place.
fn check_applied(
    ours: Option<&Migration>,
    version: i64,
    checksum: &str,
    engine: Engine,
) -> Result<(), DbError> {
    let fault = match ours {
        None => format!(
            "it has step {version}, which this program does not know; run the newer program"
        ),
        Some(ours) if ours.version != version => {
            let ours = ours.version;
            format!(
                "it has step {version} where this program has {ours}; run the program that made it"
            )
        }
        Some(ours) if ours.checksum(engine) != checksum => {
            format!("step {version} was applied with another text; restore the migration's text")
        }
        Some(_) => return Ok(()),
    };
    Err(DbError::Schema(fault))
}

impl Migration {
    fn text(&self, engine: Engine) -> &'static str {
        match engine {
            Engine::Sqlite => self.sqlite,
            Engine::Postgres => self.postgres,
        }
    }

    /// Lower hex of the SHA-256 of the engine's text.
    fn checksum(&self, engine: Engine) -> String {
        HEXLOWER.encode(digest(&SHA256, self.text(engine).as_bytes()).as_ref())
    }
}

impl Tx {
    /// Runs several statements, as they stand and without arguments.
    async fn run_script(&mut self, script: &'static str) -> Result<(), DbError> {
        self.broken = true;
        let script = sqlx::raw_sql(script);
        match &mut self.session {
            Session::Sqlite(tx) => script.execute(&mut **tx).await.map(drop)?,
            Session::Postgres(tx) => script.execute(&mut **tx).await.map(drop)?,
        }
        self.broken = false;
        Ok(())
    }
}
