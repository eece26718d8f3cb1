use std::sync::Arc;

use evidence_domain::ids::ItemId;
use evidence_ledger::{Alg, NoteSigner, SigningKey, sha256};
use ring::rand::{SecureRandom as _, SystemRandom};

use super::*;
use crate::{
    LogKeys, StoreConfig,
    db::fixture::{Place, on_both},
    documents::{DocumentError, DocumentsConfig, PART_SIZE},
    seal::KeyEncryptionKey,
};

on_both!(
    an_upload_goes_on_where_the_connection_broke,
    the_end_of_a_document_may_be_a_whole_part,
    too_many_bytes_and_a_second_writer_are_told_so,
    the_same_statement_finds_the_upload_there_is,
    what_is_dropped_or_closed_leaves_no_bytes,
    the_sweep_takes_what_has_expired,
    the_sweep_takes_parts_that_nobody_owns,
);

const NOW: Moment = Moment::from_micros(1_800_000_000_000_000);

#[expect(clippy::disallowed_methods, reason = "a test is its own main")]
fn rng() -> SystemRandom {
    SystemRandom::new()
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rng().fill(&mut bytes).unwrap();
    bytes
}

fn key(alg: Alg) -> SigningKey {
    SigningKey::from_pkcs8(
        alg,
        &SigningKey::generate_pkcs8(alg, &rng()).unwrap(),
        &rng(),
    )
    .unwrap()
}

/// An empty store that knows one claimant's key.
async fn open(place: &Place) -> (Store, ClaimantId) {
    let dir = place.path("documents");
    std::fs::create_dir(&dir).unwrap();
    let config = StoreConfig {
        database: place.config.clone(),
        documents: DocumentsConfig::Files { dir },
    };
    let kek = KeyEncryptionKey::generate_file(&place.path("kek"), &rng()).unwrap();
    let log = LogKeys {
        receipt: key(Alg::Es256),
        statement: key(Alg::Es256),
        checkpoint: NoteSigner::new("log.example", key(Alg::EdDsa)).unwrap(),
    };
    let store = Store::open(&config, kek, log, Arc::new(rng()))
        .await
        .unwrap();
    let claimant = ClaimantId::from_random(random());
    let wrapped = store.new_claimant_key(&claimant).unwrap();
    let row = vec![claimant.to_string().into(), "".into(), Value::Blob(wrapped)];
    let mut tx = store.db().begin().await.unwrap();
    tx.insert_many("sealing_key", &["id", "parent", "wrapped"], vec![row])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    (store, claimant)
}

/// A new upload of `size` bytes, and its item.
async fn start(store: &Store, claimant: &ClaimantId, size: usize) -> (Upload, ItemId) {
    let item = ItemId::from_random(random());
    let (_, wrapped_key) = store.new_document_key(claimant, &item).await.unwrap();
    let new = Upload {
        id: UploadId::from_random(random()),
        org: OrgId::from_random(random()),
        entry: sha256(&random::<32>()),
        document: DocumentId::from_random(random()),
        claimant: claimant.clone(),
        size: size as u64,
        push: b"who wrote it, and about whom".to_vec(),
        wrapped_key,
        expires_at: NOW.plus_seconds(60),
        completed: false,
    };
    (store.start_upload(new).await.unwrap(), item)
}

fn document(size: usize) -> Vec<u8> {
    (0..size).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

async fn sent(
    store: &Store,
    upload: &Upload,
    item: &ItemId,
    bytes: &[u8],
) -> Result<u64, DocumentError> {
    let mut writer = store.upload_writer(upload, item).await.unwrap();
    for chunk in bytes.chunks(300_000) {
        writer.push(chunk).await?;
    }
    Ok(store.upload_offset(upload).await.unwrap())
}

async fn parts(store: &Store, upload: &Upload) -> usize {
    store
        .documents()
        .parts(upload.document.as_str())
        .await
        .unwrap()
        .len()
}

async fn an_upload_goes_on_where_the_connection_broke(place: &Place) {
    let (store, claimant) = open(place).await;
    let plain = document(2 * PART_SIZE + 1_000);
    let (upload, item) = start(&store, &claimant, plain.len()).await;
    assert_eq!(store.upload_offset(&upload).await.unwrap(), 0);
    let held = sent(&store, &upload, &item, &plain[..PART_SIZE + 500])
        .await
        .unwrap();
    assert_eq!(held, PART_SIZE as u64);
    let held = sent(&store, &upload, &item, &plain[PART_SIZE..])
        .await
        .unwrap();
    assert_eq!(held, plain.len() as u64);
    assert_eq!(
        store.upload_digest(&upload, &item).await.unwrap(),
        sha256(&plain)
    );
    let writer = store.upload_writer(&upload, &item).await.unwrap();
    assert_eq!(writer.offset(), plain.len() as u64);
}

async fn the_end_of_a_document_may_be_a_whole_part(place: &Place) {
    let (store, claimant) = open(place).await;
    for size in [PART_SIZE, 2 * PART_SIZE, 1] {
        let plain = document(size);
        let (upload, item) = start(&store, &claimant, size).await;
        assert_eq!(
            sent(&store, &upload, &item, &plain).await.unwrap(),
            size as u64
        );
        assert_eq!(
            store.upload_digest(&upload, &item).await.unwrap(),
            sha256(&plain)
        );
    }
}

async fn too_many_bytes_and_a_second_writer_are_told_so(place: &Place) {
    let (store, claimant) = open(place).await;
    let plain = document(PART_SIZE + 10);
    let (upload, item) = start(&store, &claimant, plain.len()).await;
    let mut first = store.upload_writer(&upload, &item).await.unwrap();
    let mut second = store.upload_writer(&upload, &item).await.unwrap();
    first.push(&plain[..PART_SIZE]).await.unwrap();
    let error = second.push(&plain[..PART_SIZE]).await.unwrap_err();
    assert!(
        matches!(error, DocumentError::AlreadyExists { part: 0, .. }),
        "{error}"
    );
    let error = first.push(&document(11)).await.unwrap_err();
    assert!(matches!(error, DocumentError::OutOfRange { .. }), "{error}");
    // What was refused was not taken: the rest still fits.
    first.push(&plain[PART_SIZE..]).await.unwrap();
    assert_eq!(
        store.upload_digest(&upload, &item).await.unwrap(),
        sha256(&plain)
    );
}

async fn the_same_statement_finds_the_upload_there_is(place: &Place) {
    let (store, claimant) = open(place).await;
    let (upload, _) = start(&store, &claimant, 10).await;
    let later = NOW.plus_seconds(600);
    let again = Upload {
        id: UploadId::from_random(random()),
        document: DocumentId::from_random(random()),
        expires_at: later,
        ..upload.clone()
    };
    let found = store.start_upload(again.clone()).await.unwrap();
    assert_eq!(
        found,
        Upload {
            expires_at: later,
            ..upload.clone()
        }
    );
    assert_eq!(store.upload(&upload.id).await.unwrap(), Some(found));
    let of_another = Upload {
        org: OrgId::from_random(random()),
        ..again
    };
    assert_eq!(
        store.start_upload(of_another.clone()).await.unwrap(),
        of_another
    );
    assert_eq!(
        store
            .upload(&UploadId::from_random(random()))
            .await
            .unwrap(),
        None
    );
    // Whose evidence it is does not lie open in the database.
    let rows = store
        .db()
        .fetch("SELECT push FROM upload", &[])
        .await
        .unwrap();
    assert_eq!(rows.len(), 2);
    for row in rows {
        assert!(
            !row.blob(0)
                .unwrap()
                .windows(10)
                .any(|seen| upload.push.windows(10).any(|plain| plain == seen))
        );
    }
}

async fn complete(store: &Store, upload: &Upload) {
    let id = upload.id.to_string().into();
    assert_eq!(
        store
            .change("UPDATE upload SET completed = 1 WHERE id = ?", &[id])
            .await
            .unwrap(),
        1
    );
}

async fn what_is_dropped_or_closed_leaves_no_bytes(place: &Place) {
    let (store, claimant) = open(place).await;
    let plain = document(PART_SIZE + 1);
    let (dropped, item) = start(&store, &claimant, plain.len()).await;
    sent(&store, &dropped, &item, &plain).await.unwrap();
    store.drop_upload(&dropped).await.unwrap();
    assert_eq!(
        (
            store.upload(&dropped.id).await.unwrap(),
            parts(&store, &dropped).await
        ),
        (None, 0)
    );
    assert!(!store.extend_upload(&dropped.id, NOW).await.unwrap());

    let (closed, item) = start(&store, &claimant, plain.len()).await;
    sent(&store, &closed, &item, &plain).await.unwrap();
    store.close_upload(&closed).await.unwrap();
    let found = store.upload(&closed.id).await.unwrap().unwrap();
    assert_eq!((found.completed, parts(&store, &closed).await), (true, 0));
    assert_eq!(
        store.upload_offset(&found).await.unwrap(),
        plain.len() as u64
    );

    // The bytes of a completed one are an item's.
    let (kept, item) = start(&store, &claimant, plain.len()).await;
    sent(&store, &kept, &item, &plain).await.unwrap();
    complete(&store, &kept).await;
    store.drop_upload(&kept).await.unwrap();
    store.close_upload(&kept).await.unwrap();
    assert_eq!(parts(&store, &kept).await, 2);
}

async fn the_sweep_takes_what_has_expired(place: &Place) {
    let (store, claimant) = open(place).await;
    let plain = document(100);
    let mut uploads = Vec::new();
    for _ in 0..3 {
        let (upload, item) = start(&store, &claimant, plain.len()).await;
        sent(&store, &upload, &item, &plain).await.unwrap();
        uploads.push(upload);
    }
    let [left, extended, completed] = &uploads[..] else {
        unreachable!()
    };
    assert!(
        store
            .extend_upload(&extended.id, NOW.plus_seconds(3_600))
            .await
            .unwrap()
    );
    complete(&store, completed).await;
    assert_eq!(store.sweep_uploads(NOW).await.unwrap(), 0);
    assert_eq!(store.sweep_uploads(NOW.plus_seconds(61)).await.unwrap(), 2);
    for (upload, row, bytes) in [(left, false, 0), (extended, true, 1), (completed, false, 1)] {
        let found = store.upload(&upload.id).await.unwrap();
        assert_eq!((found.is_some(), parts(&store, upload).await), (row, bytes));
    }
}

async fn the_sweep_takes_parts_that_nobody_owns(place: &Place) {
    let (store, claimant) = open(place).await;
    let plain = document(PART_SIZE + 1);
    let (of_upload, item) = start(&store, &claimant, plain.len()).await;
    sent(&store, &of_upload, &item, &plain).await.unwrap();
    let (of_item, item) = start(&store, &claimant, plain.len()).await;
    sent(&store, &of_item, &item, &plain).await.unwrap();
    let columns = ["item_id", "document_id", "size", "inline"];
    let row = vec![
        item.to_string().into(),
        of_item.document.to_string().into(),
        1_i64.into(),
        Value::Null,
    ];
    let mut tx = store.db().begin().await.unwrap();
    tx.insert_many("document", &columns, vec![row])
        .await
        .unwrap();
    tx.commit().await.unwrap();
    let (orphan, item) = start(&store, &claimant, plain.len()).await;
    sent(&store, &orphan, &item, &plain).await.unwrap();
    for gone in [&of_item, &orphan] {
        let sql = "DELETE FROM upload WHERE id = ?";
        store
            .change(sql, &[gone.id.to_string().into()])
            .await
            .unwrap();
    }
    assert_eq!(
        store.sweep_orphans(Duration::from_hours(1)).await.unwrap(),
        0
    );
    assert_eq!(store.sweep_orphans(Duration::ZERO).await.unwrap(), 1);
    for (upload, left) in [(&of_upload, 2), (&of_item, 2), (&orphan, 0)] {
        assert_eq!(parts(&store, upload).await, left);
    }
}
