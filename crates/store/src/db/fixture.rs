//! A database per test, on both engines.
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::SecretString;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};
use tempfile::TempDir;

use super::{Db, DbConfig};

/// `on_both!(a, b)` makes of `async fn a(place: &Place)` the tests `sqlite::a` and `postgres::a`.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let place = $crate::db::fixture::Place::sqlite();
                super::$name(&place).await;
            })*
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                let place = $crate::db::fixture::Place::postgres().await;
                super::$name(&place).await;
                place.clear().await;
            })*
        }
    };
}
pub(crate) use on_both;

/// An empty database of one test's own.
pub(crate) struct Place {
    pub config: DbConfig,
    folder: TempDir,
    /// The server's address and the database's name on it.
    server: Option<(String, String)>,
}

impl Place {
    pub fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = DbConfig::Sqlite {
            path: folder.path().join("evidence.db"),
            create: true,
        };
        Self {
            config,
            folder,
            server: None,
        }
    }

    pub async fn postgres() -> Self {
        let server = std::env::var("EVIDENCE_TEST_PG").expect(
            "EVIDENCE_TEST_PG must be the address of a PostgreSQL superuser, as in \
            postgres://postgres@127.0.0.1:5432/postgres; `cargo xtask test` starts a server and sets it",
        );
        let name = format!("test_{}", unique());
        admin(
            &server,
            &format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0"),
        )
        .await;
        let (base, _) = server
            .rsplit_once('/')
            .expect("the address names a database");
        let url = SecretString::from(format!("{base}/{name}"));
        let config = DbConfig::Postgres {
            url,
            max_connections: 8,
        };
        Self {
            config,
            folder: tempfile::tempdir().unwrap(),
            server: Some((server, name)),
        }
    }

    pub async fn open(&self) -> Db {
        Db::open(&self.config).await.unwrap()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs one statement as the server's superuser; nothing on SQLite.
    pub async fn as_superuser(&self, sql: &str) {
        if let Some((server, name)) = &self.server {
            admin(server, &sql.replace("{database}", name)).await;
        }
    }

    pub async fn clear(&self) {
        self.as_superuser("DROP DATABASE {database} WITH (FORCE)")
            .await;
    }
}

async fn admin(server: &str, sql: &str) {
    let mut connection = PgConnection::connect(server).await.unwrap();
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(&mut connection)
        .await
        .unwrap();
    connection.close().await.unwrap();
}

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn unique() -> String {
    let mut bytes = [0; 8];
    SystemRandom::new().fill(&mut bytes).unwrap();
    HEXLOWER.encode(&bytes)
}
