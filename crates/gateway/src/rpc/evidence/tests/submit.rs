use std::{sync::Arc, time::Duration};

use evidence_wire::v1::submit_request::Part;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::*;
use crate::config::Limits;

const CHUNK: usize = 48 * 1024;

/// One `Submit` stream.
struct Stream {
    parts: mpsc::Sender<v1::SubmitRequest>,
    answers: Streaming<v1::SubmitResponse>,
}

impl Stream {
    async fn open(client: &mut Client) -> Self {
        let (parts, stream) = mpsc::channel(8);
        let answers = client
            .submit(ReceiverStream::new(stream))
            .await
            .unwrap()
            .into_inner();
        Self { parts, answers }
    }

    async fn part(&self, part: Part) {
        let _ = self
            .parts
            .send(v1::SubmitRequest { part: Some(part) })
            .await;
    }

    async fn chunks(&self, document: &[u8]) {
        for chunk in document.chunks(CHUNK) {
            self.part(Part::Chunk(bytes::Bytes::copy_from_slice(chunk)))
                .await;
        }
    }

    async fn item(&self, push: &v1::Push, document: &[u8]) {
        self.part(Part::Begin(push.clone())).await;
        self.chunks(document).await;
        self.part(Part::End(v1::SubmitEnd {})).await;
    }

    async fn answer(&mut self) -> Result<v1::SubmitResponse, Status> {
        let answer = tokio::time::timeout(Duration::from_secs(20), self.answers.message()).await;
        answer
            .expect("an answer comes")
            .map(|answer| answer.expect("an answer comes before the end"))
    }

    /// Pushes one item and waits for what it comes to.
    async fn pushed(&mut self, push: &v1::Push, document: &[u8]) -> v1::SubmitResponse {
        self.item(push, document).await;
        self.answer().await.unwrap()
    }

    /// As [`Stream::pushed`], for what must be refused: the reason.
    async fn refused(&mut self, push: &v1::Push, document: &[u8]) -> v1::Refusal {
        match self.pushed(push, document).await.outcome {
            Some(Outcome::Refusal(refusal)) => refusal,
            other => panic!("not refused: {other:?}"),
        }
    }
}

fn receipt_of(answer: &v1::SubmitResponse) -> &v1::Receipt {
    match &answer.outcome {
        Some(Outcome::Receipt(receipt)) => receipt,
        other => panic!("no receipt: {other:?}"),
    }
}

#[tokio::test]
async fn many_items_on_one_stream_each_get_their_receipt() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    let sizes = [1, 4_096, 64 * 1024, 64 * 1024 + 1, 1024 * 1024, 2_500_000];
    let mut sent = Vec::new();
    for size in sizes.iter().cycle().take(24) {
        let document = document(&scene, *size);
        let body = letter(&scene, &document);
        sent.push((body.item.to_string(), push(&scene, body), document));
    }
    for (_, push, document) in &sent {
        stream.item(push, document).await;
    }
    let mut answers = Vec::new();
    for _ in &sent {
        answers.push(stream.answer().await.unwrap());
    }
    for (item, push, document) in &sent {
        let answer = answers
            .iter()
            .find(|answer| answer.item_id == *item)
            .expect("each has an answer");
        check_receipt(&scene, receipt_of(answer), push.evidence.as_ref().unwrap());
        assert!(!receipt_of(answer).replay);
        assert_eq!(&stored(&scene, item).await, document);
    }
    drop(stream.parts);
    assert!(stream.answers.message().await.unwrap().is_none());
}

#[tokio::test]
async fn the_same_push_again_gets_the_same_receipt() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    for size in [4_096, 200_000] {
        let document = document(&scene, size);
        let push = push(&scene, letter(&scene, &document));
        let first = receipt_of(&stream.pushed(&push, &document).await).clone();
        let (size, parts) = (log_size(&scene).await, documents_with_parts(&scene));
        let again = receipt_of(&stream.pushed(&push, &document).await).clone();
        assert_eq!(
            again,
            v1::Receipt {
                replay: true,
                ..first
            }
        );
        assert_eq!(
            (log_size(&scene).await, documents_with_parts(&scene)),
            (size, parts)
        );
    }
    // Two at once: one entry, two equal receipts.
    let document = document(&scene, 100);
    let push = push(&scene, letter(&scene, &document));
    let size = log_size(&scene).await;
    stream.item(&push, &document).await;
    stream.item(&push, &document).await;
    let (one, two) = (
        stream.answer().await.unwrap(),
        stream.answer().await.unwrap(),
    );
    assert_eq!(receipt_of(&one).receipt, receipt_of(&two).receipt);
    assert_eq!(log_size(&scene).await, size + 1);
}

#[tokio::test]
async fn a_refusal_is_signed_and_leaves_nothing_behind() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    for size in [5_000, 150_000] {
        let bytes = document(&scene, size);
        let body = letter(&scene, &bytes);
        let good = push(&scene, body.clone());
        let other = document(&scene, size);
        let longer = [&bytes[..], b"and more"].concat();
        for (bytes, code) in [
            (&other[..], "digest_mismatch"),
            (&bytes[..size - 1], "size_mismatch"),
            (&longer, "size_mismatch"),
        ] {
            assert_eq!(left_nothing(&scene, &mut stream, &good, bytes).await, code);
        }
        for (push, code) in spoilt(&scene, &good, body) {
            assert_eq!(left_nothing(&scene, &mut stream, &push, &bytes).await, code);
        }
        // The stream goes on.
        let answer = stream.pushed(&good, &bytes).await;
        check_receipt(&scene, receipt_of(&answer), good.evidence.as_ref().unwrap());
        scene
            .app
            .store
            .documents()
            .delete_all(&only_document(&scene))
            .await
            .unwrap();
    }
}

/// Pushes that are each wrong in one way, and what is said of each.
fn spoilt(scene: &Scene, good: &v1::Push, body: Evidence) -> Vec<(v1::Push, &'static str)> {
    let spoil = |change: &dyn Fn(&mut v1::SignedStatement)| {
        let mut push = good.clone();
        change(push.evidence.as_mut().unwrap());
        push
    };
    let free_text = Evidence {
        profession: "Dr Who".to_owned(),
        ..body
    };
    let reword = |signed: &mut v1::SignedStatement| {
        signed
            .aside
            .insert("title".to_owned(), "Another".to_owned());
    };
    vec![
        (
            spoil(&|signed| *signed.statement.last_mut().unwrap() ^= 1),
            "signature_invalid",
        ),
        (spoil(&reword), "aside_mismatch"),
        (
            spoil(&|signed| signed.statement.push(0)),
            "statement_malformed",
        ),
        (push(scene, free_text), "statement_payload_invalid"),
        (v1::Push::default(), "invalid_field"),
    ]
}

/// Pushes what must be refused: the reason, once it is certain that the refusal is in the log and
/// nothing else is left.
async fn left_nothing(scene: &Scene, stream: &mut Stream, push: &v1::Push, bytes: &[u8]) -> String {
    let (before, held) = (log_size(scene).await, listed(scene).await);
    let refusal = stream.refused(push, bytes).await;
    assert_eq!(log_size(scene).await, before + 1);
    let receipt = refusal.receipt.expect("a refusal has a receipt");
    let entry = Statement::parse(&receipt.statement).unwrap().entry();
    let key = scene.app.store.log_keys().receipt.public();
    Receipt::parse(&receipt.receipt)
        .unwrap()
        .verify(&entry, key)
        .unwrap();
    assert_eq!(
        (listed(scene).await, documents_with_parts(scene)),
        (held, 0)
    );
    refusal.reason
}

/// All that the hospital can list.
async fn listed(scene: &Scene) -> Vec<v1::Item> {
    let mut hospital = client(&scene.app, &scene.hospital).await;
    hospital
        .list_items(v1::ListItemsRequest::default())
        .await
        .unwrap()
        .into_inner()
        .items
}

/// The id of the one document of which there are parts, or of none.
fn only_document(scene: &Scene) -> String {
    let folders = std::fs::read_dir(scene.documents().join("document"))
        .into_iter()
        .flatten();
    folders.flatten().next().map_or_else(
        || "none".to_owned(),
        |folder| folder.file_name().into_string().unwrap(),
    )
}

#[tokio::test]
async fn consent_withdrawn_while_the_bytes_come_stops_the_push() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    let bytes = document(&scene, 3_000_000);
    let push = push(&scene, letter(&scene, &bytes));
    stream.part(Part::Begin(push)).await;
    stream.chunks(&bytes[..2_000_000]).await;
    withdraw_grant(&scene).await;
    stream.chunks(&bytes[2_000_000..]).await;
    stream.part(Part::End(v1::SubmitEnd {})).await;
    let Some(Outcome::Refusal(refusal)) = stream.answer().await.unwrap().outcome else {
        panic!("refused")
    };
    assert_eq!(
        (refusal.reason.as_str(), documents_with_parts(&scene)),
        ("grant_withdrawn", 0)
    );
}

#[tokio::test]
async fn a_used_key_is_not_for_another_push() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    let keyed = |push: v1::Push| v1::Push {
        request_id: "letter-1".to_owned(),
        ..push
    };
    let (one, two) = (
        keyed(push(&scene, letter(&scene, b"one"))),
        keyed(push(&scene, letter(&scene, b"two"))),
    );
    let first = stream.pushed(&one, b"one").await;
    assert!(!receipt_of(&first).replay);
    assert_eq!(
        stream.refused(&two, b"two").await.reason,
        "idempotency_key_reused"
    );
    assert!(receipt_of(&stream.pushed(&one, b"one").await).replay);
}

#[tokio::test]
async fn what_is_not_an_item_ends_the_stream() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    stream
        .part(Part::Chunk(bytes::Bytes::from_static(b"bytes of nothing")))
        .await;
    assert_eq!(
        reason(&stream.answer().await.unwrap_err()),
        "stream_protocol"
    );

    for size in [1_000, 1_500_000] {
        let bytes = document(&scene, size);
        let good = push(&scene, letter(&scene, &bytes));
        // Another item within the item; and an end of the stream within it.
        for again in [true, false] {
            let mut stream = Stream::open(&mut hospital).await;
            stream.part(Part::Begin(good.clone())).await;
            stream.chunks(&bytes[..size - 1]).await;
            if again {
                stream.part(Part::Begin(good.clone())).await;
            }
            let Stream { parts, answers } = stream;
            drop(parts);
            stream = Stream {
                parts: mpsc::channel(1).0,
                answers,
            };
            let Some(Outcome::Refusal(refusal)) = stream.answer().await.unwrap().outcome else {
                panic!("refused")
            };
            assert_eq!(refusal.reason, "stream_protocol");
            assert_eq!(
                reason(&stream.answer().await.unwrap_err()),
                "stream_protocol"
            );
            assert_eq!(documents_with_parts(&scene), 0);
        }
    }
}

#[tokio::test]
async fn a_stalled_item_is_refused_and_ends_the_stream() {
    let mut scene = Scene::new().await;
    scene.app.limits = Arc::new(Limits {
        stream_idle_seconds: 1,
        ..Limits::default()
    });
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    let bytes = document(&scene, 1_500_000);
    stream
        .part(Part::Begin(push(&scene, letter(&scene, &bytes))))
        .await;
    stream.chunks(&bytes[..1_200_000]).await;
    let Some(Outcome::Refusal(refusal)) = stream.answer().await.unwrap().outcome else {
        panic!("refused")
    };
    assert_eq!(
        (refusal.reason.as_str(), documents_with_parts(&scene)),
        ("upload_stalled", 0)
    );
    assert_eq!(
        reason(&stream.answer().await.unwrap_err()),
        "upload_stalled"
    );
}

#[tokio::test]
async fn a_large_document_is_checked_before_its_bytes() {
    let mut scene = Scene::new().await;
    scene.app.limits = Arc::new(Limits {
        max_document_bytes: 1_000_000,
        ..Limits::default()
    });
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    let bytes = document(&scene, 1_000_001);
    let push = push(&scene, letter(&scene, &bytes));
    stream.part(Part::Begin(push)).await;
    // The answer comes while nothing but the statement has been sent.
    let Some(Outcome::Refusal(refusal)) = stream.answer().await.unwrap().outcome else {
        panic!("refused")
    };
    assert_eq!(refusal.reason, "document_too_large");
    withdraw_grant(&scene).await;
    let mut stream = Stream::open(&mut hospital).await;
    let bytes = document(&scene, 900_000);
    stream
        .part(Part::Begin(super::push(&scene, letter(&scene, &bytes))))
        .await;
    let Some(Outcome::Refusal(refusal)) = stream.answer().await.unwrap().outcome else {
        panic!("refused")
    };
    assert_eq!(refusal.reason, "grant_withdrawn");
}

#[tokio::test]
async fn a_relay_gets_both_receipts() {
    let mut scene = Scene::new().await;
    let (charity, push) = relayed(&mut scene, b"relayed").await;
    let mut client = client(&scene.app, &charity).await;
    let mut stream = Stream::open(&mut client).await;
    let answer = stream.pushed(&push, b"relayed").await;
    check_receipt(&scene, receipt_of(&answer), push.evidence.as_ref().unwrap());
    check_receipt(
        &scene,
        answer.relay_receipt.as_ref().unwrap(),
        push.relay.as_ref().unwrap(),
    );
    // The hospital's own statement is not the charity's to send by itself.
    let bare = v1::Push {
        relay: None,
        ..push
    };
    assert_eq!(
        stream.refused(&bare, b"relayed").await.reason,
        "statement_wrong_issuer"
    );
}

#[tokio::test]
async fn a_draining_gateway_ends_the_stream_between_items() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut stream = Stream::open(&mut hospital).await;
    let bytes = document(&scene, 5_000_000);
    let push = push(&scene, letter(&scene, &bytes));
    stream.part(Part::Begin(push.clone())).await;
    // More than waits on the way, so that the item is being read.
    stream.chunks(&bytes[..4_500_000]).await;
    scene.app.draining.cancel();
    stream.chunks(&bytes[4_500_000..]).await;
    stream.part(Part::End(v1::SubmitEnd {})).await;
    check_receipt(
        &scene,
        receipt_of(&stream.answer().await.unwrap()),
        push.evidence.as_ref().unwrap(),
    );
    assert!(stream.answers.message().await.unwrap().is_none());
}
