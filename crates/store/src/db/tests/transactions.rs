//! Isolation, atomicity, and telling failed from unknown.
use super::*;

on_both!(
    nothing_is_seen_before_the_commit,
    a_failed_statement_ends_the_transaction,
    an_abandoned_statement_ends_the_transaction,
    a_read_transaction_sees_one_moment,
    a_read_transaction_cannot_write,
    writers_take_turns,
);

async fn nothing_is_seen_before_the_commit(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "a", 1).await;
    assert_eq!(count(&db, "thing").await, 0);
    assert_eq!(
        tx.fetch("SELECT id FROM thing", &[]).await.unwrap().len(),
        1
    );
    drop(tx);
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "b", 2).await;
    tx.rollback().await.unwrap();
    assert_eq!(count(&db, "thing").await, 0);
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "c", 3).await;
    tx.commit().await.unwrap();
    assert_eq!(count(&db, "thing").await, 1);
    db.close().await;
}

async fn a_failed_statement_ends_the_transaction(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "a", 1).await;
    assert!(
        tx.execute("INSERT INTO nowhere (id) VALUES (?)", &["a".into()])
            .await
            .is_err()
    );
    assert!(matches!(
        tx.fetch("SELECT id FROM thing", &[]).await,
        Err(DbError::Statement(_))
    ));
    assert!(matches!(tx.commit().await, Err(CommitError::RolledBack)));
    assert_eq!(count(&db, "thing").await, 0);
    db.close().await;
}

async fn an_abandoned_statement_ends_the_transaction(place: &Place) {
    let db = ready(place).await;
    let mut abandoned = 0;
    for _ in 0..100 {
        let mut tx = db.begin().await.unwrap();
        put(&mut tx, "a", 1).await;
        let args = ["b".into(), 2.into()];
        let execute = tx.execute("INSERT INTO thing (id, n) VALUES (?, ?)", &args);
        // Polled once, so that it may have been sent, and dropped. Now and then the engine is so
        // quick that it has answered by then: that one was not abandoned.
        if futures::FutureExt::now_or_never(execute).is_none() {
            abandoned += 1;
            assert!(matches!(tx.commit().await, Err(CommitError::RolledBack)));
        }
    }
    assert!(abandoned > 0);
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "c", 3).await;
    tx.commit().await.unwrap();
    let found = db.fetch("SELECT id FROM thing", &[]).await.unwrap();
    assert_eq!(found, [Row(vec!["c".into()])]);
    db.close().await;
}

async fn a_read_transaction_sees_one_moment(place: &Place) {
    let db = ready(place).await;
    let mut read = db.read().await.unwrap();
    let sql = "SELECT COUNT(*) FROM thing";
    assert_eq!(read.fetch(sql, &[]).await.unwrap(), [Row(vec![0.into()])]);
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "a", 1).await;
    tx.commit().await.unwrap();
    assert_eq!(read.fetch(sql, &[]).await.unwrap(), [Row(vec![0.into()])]);
    drop(read);
    assert_eq!(count(&db, "thing").await, 1);
    db.close().await;
}

async fn a_read_transaction_cannot_write(place: &Place) {
    let db = ready(place).await;
    let mut read = db.read().await.unwrap();
    let refused = read
        .fetch("INSERT INTO thing (id) VALUES ('a') RETURNING id", &[])
        .await;
    assert!(matches!(refused, Err(DbError::Other(_))), "{refused:?}");
    drop(read);
    assert_eq!(count(&db, "thing").await, 0);
    db.close().await;
}

async fn writers_take_turns(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "head", 0).await;
    tx.commit().await.unwrap();
    let one = |db: Db| async move {
        for _ in 0..10 {
            let mut tx = db.begin().await.unwrap();
            let sql = format!(
                "SELECT n FROM thing WHERE id = ?{}",
                db.engine().for_update()
            );
            let n = tx.fetch(sql, &["head".into()]).await.unwrap()[0]
                .int(0)
                .unwrap();
            let args = [(n + 1).into(), "head".into()];
            tx.execute("UPDATE thing SET n = ? WHERE id = ?", &args)
                .await
                .unwrap();
            tx.commit().await.unwrap();
        }
    };
    futures::future::join_all((0..5).map(|_| tokio::spawn(one(db.clone())))).await;
    let found = db.fetch("SELECT n FROM thing", &[]).await.unwrap();
    assert_eq!(found, [Row(vec![50.into()])]);
    db.close().await;
}

/// The process id of the server process behind a transaction.
async fn backend(tx: &mut Tx) -> i64 {
    tx.fetch("SELECT pg_backend_pid()", &[]).await.unwrap()[0]
        .int(0)
        .unwrap()
}

#[tokio::test]
async fn losing_the_server_during_a_statement_is_unavailable_and_at_the_commit_unknown() {
    let place = Place::postgres().await;
    let db = ready(&place).await;

    let mut tx = db.begin().await.unwrap();
    let pid = backend(&mut tx).await;
    place
        .as_superuser(&format!("SELECT pg_terminate_backend({pid}, 5000)"))
        .await;
    let lost = tx.execute("INSERT INTO thing (id) VALUES ('a')", &[]).await;
    assert!(matches!(lost, Err(DbError::Unavailable(_))), "{lost:?}");
    assert!(matches!(tx.commit().await, Err(CommitError::RolledBack)));

    let mut tx = db.begin().await.unwrap();
    let pid = backend(&mut tx).await;
    put(&mut tx, "b", 1).await;
    place
        .as_superuser(&format!("SELECT pg_terminate_backend({pid}, 5000)"))
        .await;
    let unknown = tx.commit().await;
    assert!(
        matches!(unknown, Err(CommitError::Unknown(_))),
        "{unknown:?}"
    );

    // The pool makes a new connection; nothing was kept.
    assert_eq!(count(&db, "thing").await, 0);
    db.close().await;
    place.clear().await;
}

#[tokio::test]
async fn a_row_another_writer_holds_is_passed_over() {
    let place = Place::postgres().await;
    let db = ready(&place).await;
    let mut tx = db.begin().await.unwrap();
    for id in ["a", "b"] {
        put(&mut tx, id, 1).await;
    }
    tx.commit().await.unwrap();
    let sql = format!(
        "SELECT id FROM thing ORDER BY id LIMIT 1{}",
        db.engine().for_update_skip_locked()
    );
    let (mut one, mut two) = (db.begin().await.unwrap(), db.begin().await.unwrap());
    assert_eq!(
        one.fetch(sql.clone(), &[]).await.unwrap(),
        [Row(vec!["a".into()])]
    );
    assert_eq!(two.fetch(sql, &[]).await.unwrap(), [Row(vec!["b".into()])]);
    drop((one, two));
    db.close().await;
    place.clear().await;
}
