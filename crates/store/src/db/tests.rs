use super::fixture::{Place, on_both};
use super::*;

mod statements;
mod transactions;

const SCHEMA: &[Migration] = &[Migration {
    version: 1,
    name: "start",
    sqlite: "CREATE TABLE thing (id TEXT NOT NULL PRIMARY KEY, n BIGINT, body BLOB);
        CREATE TABLE proof (id TEXT NOT NULL PRIMARY KEY);
        CREATE TRIGGER proof_update BEFORE UPDATE ON proof BEGIN
            SELECT RAISE(ABORT, 'proof is append-only'); END;
        CREATE TRIGGER proof_delete BEFORE DELETE ON proof BEGIN
            SELECT RAISE(ABORT, 'proof is append-only'); END;",
    postgres: "CREATE TABLE thing (id TEXT NOT NULL PRIMARY KEY, n BIGINT, body BYTEA);
        CREATE TABLE proof (id TEXT NOT NULL PRIMARY KEY);
        CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'ZA001'; END $$;
        CREATE TRIGGER proof_change BEFORE UPDATE OR DELETE ON proof
            FOR EACH ROW EXECUTE FUNCTION append_only();",
}];

async fn ready(place: &Place) -> Db {
    let db = place.open().await;
    db.migrate(SCHEMA).await.unwrap();
    db
}

async fn count(db: &Db, table: &str) -> i64 {
    let rows = db
        .fetch(format!("SELECT COUNT(*) FROM {table}"), &[])
        .await
        .unwrap();
    rows[0].int(0).unwrap()
}

async fn put(tx: &mut Tx, id: &str, n: i64) {
    tx.execute(
        "INSERT INTO thing (id, n) VALUES (?, ?)",
        &[id.into(), n.into()],
    )
    .await
    .unwrap();
}

mod opening {
    use super::*;

    on_both!(what_is_committed_is_there_after_reopening);

    async fn what_is_committed_is_there_after_reopening(place: &Place) {
        let db = ready(place).await;
        let mut tx = db.begin().await.unwrap();
        put(&mut tx, "a", 1).await;
        tx.commit().await.unwrap();
        db.close().await;
        assert!(matches!(db.begin().await, Err(DbError::Unavailable(_))));
        let again = place.open().await;
        assert_eq!(count(&again, "thing").await, 1);
        again.close().await;
    }

    #[tokio::test]
    async fn a_missing_sqlite_file_is_not_made_unasked() {
        let place = Place::sqlite();
        let path = place.path("evidence.db");
        let config = DbConfig::Sqlite {
            path: path.clone(),
            create: false,
        };
        assert!(
            matches!(Db::open(&config).await, Err(DbError::Missing(missing)) if missing == path)
        );
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn every_sqlite_connection_syncs_fully_and_readers_cannot_write() {
        let place = Place::sqlite();
        let db = ready(&place).await;
        let wanted = [
            ("journal_mode", Value::from("wal")),
            ("synchronous", 2.into()),
            ("foreign_keys", 1.into()),
        ];
        for (pragma, value) in wanted {
            let sql = format!("PRAGMA {pragma}");
            let read = db.fetch(sql.clone(), &[]).await.unwrap();
            let mut tx = db.begin().await.unwrap();
            let written = tx.fetch(sql, &[]).await.unwrap();
            tx.rollback().await.unwrap();
            assert_eq!(
                (read, written),
                (vec![Row(vec![value.clone()])], vec![Row(vec![value])])
            );
        }
        let refused = db.fetch("DELETE FROM thing RETURNING id", &[]).await;
        assert!(matches!(refused, Err(DbError::Other(_))), "{refused:?}");
    }

    #[tokio::test]
    async fn a_postgres_that_may_lose_a_commit_is_refused() {
        let place = Place::postgres().await;
        place
            .as_superuser("ALTER DATABASE {database} SET synchronous_commit = off")
            .await;
        let refused = Db::open(&place.config).await.unwrap_err();
        assert!(
            matches!(&refused, DbError::Settings(why) if why.contains("synchronous_commit")),
            "{refused}"
        );
        place.clear().await;
    }

    #[tokio::test]
    async fn an_address_is_refused_without_being_repeated() {
        let url = "postgres://user:hunter2@host:notaport/name".to_owned();
        let config = DbConfig::Postgres {
            url: url.into(),
            max_connections: 1,
        };
        let refused = Db::open(&config).await.unwrap_err();
        assert!(!format!("{refused} {refused:?} {config:?}").contains("hunter2"));
    }

    #[tokio::test]
    async fn a_server_that_does_not_answer_is_unavailable() {
        // Port 1 of this host: nobody listens there.
        let config = DbConfig::Postgres {
            url: "postgres://u@127.0.0.1:1/n".to_owned().into(),
            max_connections: 1,
        };
        assert!(matches!(
            Db::open(&config).await,
            Err(DbError::Unavailable(_))
        ));
    }
}

mod migrating {
    use super::*;

    on_both!(
        steps_are_applied_once_and_in_order,
        a_changed_missing_or_newer_step_is_refused,
        a_step_that_fails_leaves_nothing,
        gateways_starting_together_take_turns,
    );

    const fn step(version: i64, text: &'static str) -> Migration {
        Migration {
            version,
            name: "step",
            sqlite: text,
            postgres: text,
        }
    }

    const ONE: Migration = step(1, "CREATE TABLE one (id TEXT); CREATE TABLE uno (id TEXT)");
    const TWO: Migration = step(2, "INSERT INTO one (id) VALUES ('semi;colon')");

    async fn steps_are_applied_once_and_in_order(place: &Place) {
        let db = place.open().await;
        assert_eq!(db.migrate(&[ONE]).await.unwrap(), 1);
        assert_eq!(db.migrate(&[ONE, TWO]).await.unwrap(), 1);
        assert_eq!(db.migrate(&[ONE, TWO]).await.unwrap(), 0);
        assert_eq!((count(&db, "one").await, count(&db, "uno").await), (1, 0));
        let disorder = db.migrate(&[TWO, ONE]).await;
        assert!(matches!(disorder, Err(DbError::Schema(_))), "{disorder:?}");
        db.close().await;
    }

    async fn a_changed_missing_or_newer_step_is_refused(place: &Place) {
        let db = place.open().await;
        db.migrate(&[ONE, TWO]).await.unwrap();
        let edited = step(2, "SELECT 1");
        let wrong: [&[Migration]; 4] = [
            &[ONE],
            &[ONE, edited],
            &[TWO],
            &[step(0, "SELECT 1"), ONE, TWO],
        ];
        for migrations in wrong {
            let refused = db.migrate(migrations).await;
            assert!(
                matches!(refused, Err(DbError::Schema(_))),
                "{migrations:?}: {refused:?}"
            );
        }
        assert_eq!(count(&db, "migration").await, 2);
        db.close().await;
    }

    async fn a_step_that_fails_leaves_nothing(place: &Place) {
        let db = place.open().await;
        let wrong = step(
            2,
            "INSERT INTO one (id) VALUES ('x'); INSERT INTO nowhere (id) VALUES ('y')",
        );
        assert!(db.migrate(&[ONE, wrong]).await.is_err());
        assert_eq!(
            (count(&db, "migration").await, count(&db, "one").await),
            (1, 0)
        );
        assert_eq!(db.migrate(&[ONE, TWO]).await.unwrap(), 1);
        db.close().await;
    }

    async fn gateways_starting_together_take_turns(place: &Place) {
        let first = place.open().await;
        let second = place.open().await;
        let (a, b) = tokio::join!(first.migrate(&[ONE, TWO]), second.migrate(&[ONE, TWO]));
        assert_eq!(a.unwrap() + b.unwrap(), 2);
        assert_eq!(count(&first, "one").await, 1);
        first.close().await;
        second.close().await;
    }
}
