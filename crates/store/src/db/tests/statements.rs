//! What goes in comes out, and what is put together wrongly is refused.
use super::*;

on_both!(
    values_come_back_as_they_went_in,
    many_rows_go_in_at_once,
    a_null_needs_no_type,
    an_upsert_replaces_all_but_the_key,
    lists_and_quoted_question_marks,
    small_numbers_and_booleans_are_integers,
    wrong_shapes_are_refused_before_they_are_sent,
    a_taken_key_is_a_conflict,
    append_only_rows_stay,
    other_types_are_not_guessed_at,
);

const COLUMNS: [&str; 3] = ["id", "n", "body"];

async fn everything(db: &Db) -> Vec<Row> {
    db.fetch("SELECT id, n, body FROM thing ORDER BY id", &[])
        .await
        .unwrap()
}

async fn values_come_back_as_they_went_in(place: &Place) {
    let db = ready(place).await;
    let rows = vec![
        vec!["a".into(), i64::MIN.into(), vec![0_u8, 255, 0].into()],
        vec!["b".into(), i64::MAX.into(), Vec::new().into()],
        vec!["c £ ŵ 漢 '?' \"".into(), Value::Null, Value::Null],
    ];
    let mut tx = db.begin().await.unwrap();
    for row in &rows {
        let sql = "INSERT INTO thing (id, n, body) VALUES (?, ?, ?)";
        assert_eq!(tx.execute(sql, row).await.unwrap(), 1);
    }
    tx.commit().await.unwrap();
    let found = everything(&db).await;
    assert_eq!(found, rows.into_iter().map(Row).collect::<Vec<_>>());
    assert_eq!(
        (found[0].int(1).unwrap(), found[0].blob(2).unwrap()),
        (i64::MIN, &[0, 255, 0][..])
    );
    assert_eq!(
        (found[2].opt_int(1).unwrap(), found[2].opt_blob(2).unwrap()),
        (None, None)
    );
    for refused in [
        found[0].text(1).err(),
        found[2].int(1).err().map(|_| found[2].text(9).unwrap_err()),
    ] {
        assert!(matches!(refused, Some(DbError::Decode { .. })));
    }
    db.close().await;
}

async fn many_rows_go_in_at_once(place: &Place) {
    let db = ready(place).await;
    // More values than SQLite binds in one statement.
    let rows = (0..12_000_i64).map(|n| {
        let body = (n % 3 != 0).then(|| n.to_be_bytes().to_vec());
        vec![
            format!("{n:05}").into(),
            Value::from((n % 5 != 0).then_some(n)),
            body.into(),
        ]
    });
    let rows = rows.collect::<Vec<_>>();
    let mut tx = db.begin().await.unwrap();
    assert_eq!(
        tx.insert_many("thing", &COLUMNS, rows.clone())
            .await
            .unwrap(),
        12_000
    );
    assert_eq!(
        tx.insert_many("thing", &COLUMNS, Vec::new()).await.unwrap(),
        0
    );
    tx.commit().await.unwrap();
    assert!(everything(&db).await == rows.into_iter().map(Row).collect::<Vec<_>>());
    db.close().await;
}

async fn a_null_needs_no_type(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    let bare = vec![
        vec!["a".into(), Value::Null, Value::Null],
        vec!["b".into(), Value::Null, Value::Null],
    ];
    tx.insert_many("thing", &COLUMNS, bare.clone())
        .await
        .unwrap();
    // The same text with NULL first and a value after, and the other way round.
    let sql = "UPDATE thing SET n = ?, body = ? WHERE id = ?";
    for (n, body) in [
        (None, Some(vec![1_u8])),
        (Some(7), None),
        (None, None),
        (Some(8), Some(vec![2])),
    ] {
        tx.execute(sql, &[n.into(), body.clone().into(), "a".into()])
            .await
            .unwrap();
        let found = tx
            .fetch("SELECT n, body FROM thing WHERE id = ?", &["a".into()])
            .await
            .unwrap();
        assert_eq!(found, [Row(vec![n.into(), body.into()])]);
    }
    // Where nothing around it tells the type, what was guessed for a NULL must not stick.
    for value in [Value::Null, 5.into(), Value::Null, 6.into()] {
        let found = tx
            .fetch("SELECT ?", std::slice::from_ref(&value))
            .await
            .unwrap();
        assert_eq!(found, [Row(vec![value])]);
    }
    let found = tx
        .fetch("SELECT id FROM thing WHERE n IS NULL", &[])
        .await
        .unwrap();
    assert_eq!(found, [Row(vec!["b".into()])]);
    tx.commit().await.unwrap();
    db.close().await;
}

async fn an_upsert_replaces_all_but_the_key(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    let row = |id: &str, n: i64| vec![id.into(), n.into(), Value::Null];
    tx.upsert_many("thing", &["id"], &COLUMNS, vec![row("a", 1), row("b", 2)])
        .await
        .unwrap();
    let again = vec![row("b", 3), row("c", 4), row("b", 5), row("d", 6)];
    tx.upsert_many("thing", &["id"], &COLUMNS, again)
        .await
        .unwrap();
    tx.upsert_many("proof", &["id"], &["id"], vec![vec!["p".into()]])
        .await
        .unwrap();
    let nothing = tx
        .upsert_many("proof", &["id"], &["id"], vec![vec!["p".into()]])
        .await
        .unwrap();
    assert_eq!(nothing, 0, "a row that is all key is left as it is");
    tx.commit().await.unwrap();
    let found = everything(&db).await;
    let found = found
        .iter()
        .map(|row| (row.text(0).unwrap(), row.int(1).unwrap()))
        .collect::<Vec<_>>();
    assert_eq!(found, [("a", 1), ("b", 5), ("c", 4), ("d", 6)]);
    db.close().await;
}

async fn lists_and_quoted_question_marks(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    for (id, n) in [("a", 1), ("b", 2), ("what?", 3)] {
        put(&mut tx, id, n).await;
    }
    tx.commit().await.unwrap();
    for (wanted, found) in [(vec![], 0), (vec![1], 1), (vec![1, 3, 9], 2)] {
        let sql = format!("SELECT id FROM thing WHERE n IN {}", in_list(wanted.len()));
        let args = wanted.into_iter().map(Value::Int).collect::<Vec<_>>();
        assert_eq!(db.fetch(sql, &args).await.unwrap().len(), found);
    }
    let sql = "SELECT 'it''s ?', id AS \"a ?\" -- why ?\n FROM thing WHERE id = 'what?' AND n = ?";
    let found = db.fetch(sql, &[3.into()]).await.unwrap();
    assert_eq!(found, [Row(vec!["it's ?".into(), "what?".into()])]);
    db.close().await;
}

async fn small_numbers_and_booleans_are_integers(place: &Place) {
    let db = ready(place).await;
    let sql = "SELECT 1, 2 > 1, COUNT(*), CAST(COALESCE(SUM(n), 0) AS BIGINT) FROM thing";
    let found = db.fetch(sql, &[]).await.unwrap();
    assert_eq!(found, [Row(vec![1.into(), 1.into(), 0.into(), 0.into()])]);
    db.close().await;
}

async fn wrong_shapes_are_refused_before_they_are_sent(place: &Place) {
    let db = ready(place).await;
    let few = db
        .fetch("SELECT id FROM thing WHERE id = ? AND n = ?", &["a".into()])
        .await;
    assert!(matches!(few, Err(DbError::Statement(_))), "{few:?}");
    let wrong: [Vec<Vec<Value>>; 3] = [
        vec![vec!["a".into(), 1.into()]],
        vec![
            vec!["a".into(), 1.into(), Value::Null],
            vec!["b".into(), "one".into(), Value::Null],
        ],
        vec![vec!["a".into(), 1.into(), Value::Null, Value::Null]],
    ];
    for rows in wrong {
        let mut tx = db.begin().await.unwrap();
        let refused = tx.insert_many("thing", &COLUMNS, rows).await;
        assert!(matches!(refused, Err(DbError::Statement(_))), "{refused:?}");
        assert!(matches!(tx.commit().await, Err(CommitError::RolledBack)));
    }
    let mut tx = db.begin().await.unwrap();
    let keyless = tx
        .upsert_many("thing", &["key"], &COLUMNS, Vec::new())
        .await;
    assert!(matches!(keyless, Err(DbError::Statement(_))), "{keyless:?}");
    drop(tx);
    db.close().await;
}

async fn a_taken_key_is_a_conflict(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    put(&mut tx, "a secret id", 1).await;
    let taken = tx
        .insert_many("thing", &["id"], vec![vec!["a secret id".into()]])
        .await
        .unwrap_err();
    assert!(matches!(taken, DbError::Conflict(_)), "{taken}");
    assert!(!format!("{taken} {taken:?}").contains("a secret id"));
    drop(tx);
    db.close().await;
}

async fn append_only_rows_stay(place: &Place) {
    let db = ready(place).await;
    let mut tx = db.begin().await.unwrap();
    tx.insert_many("proof", &["id"], vec![vec!["p".into()]])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    for sql in ["UPDATE proof SET id = 'q'", "DELETE FROM proof"] {
        let mut tx = db.begin().await.unwrap();
        let refused = tx.execute(sql, &[]).await;
        assert!(
            matches!(refused, Err(DbError::AppendOnly(_))),
            "{refused:?}"
        );
    }
    assert_eq!(count(&db, "proof").await, 1);
    db.close().await;
}

async fn other_types_are_not_guessed_at(place: &Place) {
    let db = ready(place).await;
    let refused = db.fetch("SELECT CAST(1.5 AS REAL)", &[]).await;
    assert!(
        matches!(refused, Err(DbError::Decode { column: 0, .. })),
        "{refused:?}"
    );
    db.close().await;
}
