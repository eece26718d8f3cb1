//! The write path on both engines: what is committed is proven, found again,
//! and cannot be changed.

use std::sync::Arc;

use evidence_domain::{
    Command, Moment, Reason, Role, World,
    apply::{Logged, apply},
    command::{RegisterOrganisation, SetPolicy, StartLog, UpdateOrganisation},
    event::{Event, LogPolicy},
    ids::OrgId,
    rows::Organisation,
};
use evidence_ledger::{
    Alg, Checkpoint, NoteSigner, Payload, Receipt, SigningKey, Statement, sha256,
    tree::verify_consistency,
};

use crate::{
    Attachments, By, Done, Idempotency, LogKeys, Page, Store, StoreConfig, Submission,
    db::{
        DbError,
        fixture::{Place, on_both},
    },
    documents::DocumentsConfig,
    seal::KeyEncryptionKey,
};

on_both!(
    receipts_prove_what_was_committed,
    the_same_call_gets_the_same_receipt,
    a_key_used_for_another_call_is_refused,
    a_refusal_leaves_nothing_behind,
    the_log_cannot_be_changed,
    time_in_the_log_never_goes_back,
    lists_page_in_order_of_creation,
    state_is_what_the_statements_rebuild,
);

const NOW: Moment = Moment::from_micros(1_790_000_000_000_000);

#[expect(clippy::disallowed_methods, reason = "a test's own random source")]
async fn open(place: &Place) -> Store {
    let rng = Arc::new(ring::rand::SystemRandom::new());
    let kek = place.path("kek");
    let kek = KeyEncryptionKey::generate_file(&kek, rng.as_ref()).expect("a new key");
    let key = |alg| {
        let pkcs8 = SigningKey::generate_pkcs8(alg, rng.as_ref()).expect("a new key");
        SigningKey::from_pkcs8(alg, &pkcs8, rng.as_ref()).expect("a good key")
    };
    let checkpoint = NoteSigner::new("example.org/test", key(Alg::EdDsa)).expect("a good name");
    let log = LogKeys {
        receipt: key(Alg::Es256),
        statement: key(Alg::Es256),
        checkpoint,
    };
    let dir = place.path("documents");
    std::fs::create_dir(&dir).expect("a new folder");
    let documents = DocumentsConfig::Files { dir };
    let config = StoreConfig {
        database: place.config.clone(),
        documents,
    };
    let store = Store::open(&config, kek, log, rng).await.expect("opens");
    let keys = store.log_keys();
    let policy = LogPolicy {
        origin: store.origin().to_owned(),
        receipt_key: keys.receipt.public().clone(),
        statement_key: keys.statement.public().clone(),
        checkpoint_key: keys.checkpoint.verifier().to_string(),
    };
    one(&store, None, StartLog { policy })
        .await
        .expect("accepted");
    store
}

fn submission(store: &Store, key: Option<&str>, command: Command) -> Submission {
    let fingerprint = sha256(format!("{command:?}").as_bytes());
    Submission {
        caller: store.gateway(),
        idempotency: key.map(|key| Idempotency {
            key: key.to_owned(),
            fingerprint,
        }),
        command,
        attachments: Attachments::default(),
    }
}

async fn one(
    store: &Store,
    key: Option<&str>,
    command: impl Into<Command>,
) -> Result<Done, evidence_domain::Refusal> {
    let batch = vec![submission(store, key, command.into())];
    store.commit(batch, NOW).await.expect("committed").remove(0)
}

fn register(number: u8) -> Command {
    RegisterOrganisation {
        id: OrgId::from_random([number; 16]),
        identifier: format!("ods:T{number:02}"),
        name: format!("Trust {number}"),
        roles: [Role::Discloser].into(),
    }
    .into()
}

async fn receipts_prove_what_was_committed(place: &Place) {
    let store = open(place).await;
    let mut last = store.checkpoint(None).await.expect("read").expect("one");
    let mut all = Vec::new();
    for batch in [1_u8..4, 4..5, 5..24] {
        let batch = batch
            .map(|number| submission(&store, None, register(number)))
            .collect();
        for done in store.commit(batch, NOW).await.expect("committed") {
            all.extend(done.expect("accepted").receipts);
        }
        let next = store.checkpoint(None).await.expect("read").expect("one");
        let proof = store
            .consistency(last.size, next.size)
            .await
            .expect("a proof");
        verify_consistency(last.size, &last.root, next.size, &next.root, &proof)
            .expect("consistent");
        let verifier = store.log_keys().checkpoint.verifier();
        let note = Checkpoint::parse_verified(&next.note, verifier).expect("signed");
        assert_eq!((note.size, note.root), (next.size, next.root));
        last = next;
    }
    for issued in all {
        let receipt = Receipt::parse(&issued.receipt).expect("well formed");
        let root = receipt
            .verify(&issued.entry, store.log_keys().receipt.public())
            .expect("proves");
        let at = store
            .checkpoint(Some(issued.tree_size))
            .await
            .expect("read")
            .expect("a checkpoint");
        assert_eq!(root, at.root);
        let statement = Statement::parse(&issued.statement).expect("well formed");
        assert_eq!(statement.entry(), issued.entry);
        statement
            .verify(store.log_keys().statement.public())
            .expect("signed by the gateway");
        assert_eq!(
            store.receipt(&issued.entry).await.expect("read"),
            Some(issued)
        );
    }
}

async fn the_same_call_gets_the_same_receipt(place: &Place) {
    let store = open(place).await;
    let batch = vec![
        submission(&store, Some("a"), register(1)),
        submission(&store, Some("a"), register(1)),
    ];
    let answers = store.commit(batch, NOW).await.expect("committed");
    let first = answers[0].clone().expect("accepted");
    let second = answers[1].clone().expect("accepted");
    assert!(!first.replay && second.replay);
    assert_eq!(first.receipts, second.receipts);
    let later = one(&store, Some("a"), register(1)).await.expect("accepted");
    assert!(later.replay);
    assert_eq!(later.receipts, first.receipts);
    assert_eq!(store.size().await.expect("read"), 2);
}

async fn a_key_used_for_another_call_is_refused(place: &Place) {
    let store = open(place).await;
    one(&store, Some("a"), register(1)).await.expect("accepted");
    let refusal = one(&store, Some("a"), register(2))
        .await
        .expect_err("another call");
    assert_eq!(refusal.reason, Reason::IdempotencyKeyReused);
    assert_eq!(store.size().await.expect("read"), 2);
}

async fn a_refusal_leaves_nothing_behind(place: &Place) {
    let store = open(place).await;
    let before = store.every_record().await.expect("read");
    let unknown = UpdateOrganisation {
        id: OrgId::from_random([9; 16]),
        name: "Nobody".to_owned(),
        roles: [Role::Discloser].into(),
        suspended: false,
    };
    let refusal = one(&store, Some("a"), unknown).await.expect_err("nobody");
    assert_eq!(refusal.reason, Reason::NotFound);
    assert_eq!(store.every_record().await.expect("read"), before);
    assert_eq!(store.size().await.expect("read"), 1);
    // The key is free: the caller may correct the call.
    one(&store, Some("a"), register(1)).await.expect("accepted");
}

async fn the_log_cannot_be_changed(place: &Place) {
    let store = open(place).await;
    one(&store, Some("a"), register(1)).await.expect("accepted");
    for sql in [
        "UPDATE entry SET at = 0",
        "DELETE FROM entry",
        "UPDATE checkpoint SET note = ''",
        "DELETE FROM checkpoint",
        "DELETE FROM idempotency",
        "UPDATE feed SET idx = 9",
    ] {
        let mut tx = store.db().begin().await.expect("begins");
        let error = tx.execute(sql, &[]).await.expect_err(sql);
        assert!(matches!(error, DbError::AppendOnly(_)), "{sql}: {error}");
    }
}

async fn time_in_the_log_never_goes_back(place: &Place) {
    let store = open(place).await;
    let earlier = NOW.plus_seconds(-3_600);
    let batch = vec![submission(&store, None, register(1))];
    let done = store
        .commit(batch, earlier)
        .await
        .expect("committed")
        .remove(0)
        .expect("accepted");
    assert_eq!(done.receipts[0].at, NOW);
}

async fn lists_page_in_order_of_creation(place: &Place) {
    let store = open(place).await;
    let batch = (1..=7)
        .map(|number| submission(&store, None, register(number)))
        .collect();
    store.commit(batch, NOW).await.expect("committed");
    let caller = store.gateway();
    let (mut token, mut names) = (String::new(), Vec::new());
    loop {
        let page = Page { size: 3, token };
        let listed = store
            .list::<Organisation>(By::All, page)
            .await
            .expect("read");
        names.extend(
            listed
                .rows
                .into_iter()
                .map(|row| row.open(&caller).expect("all may see").name),
        );
        let Some(next) = listed.next else { break };
        token = next;
    }
    assert_eq!(
        names,
        (1..=7)
            .map(|number| format!("Trust {number}"))
            .collect::<Vec<_>>()
    );
    let garbage = Page {
        size: 3,
        token: "nonsense".to_owned(),
    };
    assert!(
        store
            .list::<Organisation>(By::All, garbage)
            .await
            .expect("read")
            .rows
            .is_empty()
    );
}

async fn state_is_what_the_statements_rebuild(place: &Place) {
    let store = open(place).await;
    let purposes = evidence_domain::policy::DEFAULTS[0];
    let policy = SetPolicy {
        name: purposes.0.to_owned(),
        document: purposes.1.to_owned(),
    };
    let batch = vec![
        submission(&store, None, policy.into()),
        submission(&store, None, register(1)),
        submission(&store, None, register(2)),
    ];
    for done in store.commit(batch, NOW).await.expect("committed") {
        done.expect("accepted");
    }
    let mut world = World::default();
    for entry in store.opened(0, 100).await.expect("read") {
        let statement =
            Statement::parse(&entry.statement.expect("not erased")).expect("well formed");
        let payload = Payload::decode(statement.payload()).expect("well formed");
        let event = Event::from_payload(&payload).expect("known");
        let logged = Logged {
            index: entry.index,
            entry: entry.entry,
            at: entry.at,
            issuer: None,
        };
        apply(&mut world, &logged, &event).expect("applies");
    }
    let mut rebuilt: Vec<_> = world.records().cloned().collect();
    rebuilt.sort_by_key(evidence_domain::Record::key);
    let mut stored = store.every_record().await.expect("read");
    stored.sort_by_key(evidence_domain::Record::key);
    assert_eq!(rebuilt, stored);
}
