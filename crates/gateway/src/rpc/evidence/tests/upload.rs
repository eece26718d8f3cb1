use std::{sync::Arc, time::Duration};

use evidence_domain::{
    command::Received,
    ids::{DocumentId, UploadId},
};
use evidence_store::{Attachments, NewDocument};
use evidence_wire::v1::submit_request::Part;
use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::*;
use crate::config::Limits;

const PART: usize = 1024 * 1024;

async fn start(client: &mut Client, push: &v1::Push) -> Result<v1::Upload, Status> {
    let asked = v1::StartUploadRequest {
        push: Some(push.clone()),
    };
    client
        .start_upload(asked)
        .await
        .map(tonic::Response::into_inner)
}

/// Sends bytes from an offset, on one connection.
async fn send(
    client: &mut Client,
    id: &str,
    offset: usize,
    bytes: &[u8],
) -> Result<v1::Upload, Status> {
    let first = v1::SendUploadRequest {
        upload_id: id.to_owned(),
        offset: offset as u64,
        ..v1::SendUploadRequest::default()
    };
    let chunks = bytes.chunks(100_000).map(|chunk| v1::SendUploadRequest {
        chunk: bytes::Bytes::copy_from_slice(chunk),
        ..v1::SendUploadRequest::default()
    });
    let messages: Vec<_> = std::iter::once(first).chain(chunks).collect();
    client
        .send_upload(tokio_stream::iter(messages))
        .await
        .map(tonic::Response::into_inner)
}

async fn query(client: &mut Client, id: &str) -> Result<v1::Upload, Status> {
    let asked = v1::QueryUploadRequest {
        upload_id: id.to_owned(),
    };
    client
        .query_upload(asked)
        .await
        .map(tonic::Response::into_inner)
}

async fn complete(client: &mut Client, id: &str) -> Result<v1::SubmitResponse, Status> {
    let asked = v1::CompleteUploadRequest {
        upload_id: id.to_owned(),
    };
    client
        .complete_upload(asked)
        .await
        .map(tonic::Response::into_inner)
}

async fn received(client: &mut Client, id: &str) -> v1::Receipt {
    match complete(client, id).await.unwrap().outcome {
        Some(Outcome::Receipt(receipt)) => receipt,
        other => panic!("no receipt: {other:?}"),
    }
}

async fn refused(client: &mut Client, id: &str) -> v1::Refusal {
    match complete(client, id).await.unwrap().outcome {
        Some(Outcome::Refusal(refusal)) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

#[tokio::test]
async fn an_upload_is_left_gone_on_with_and_completed_once() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let bytes = document(&scene, 2 * PART + 77);
    let body = letter(&scene, &bytes);
    let item = body.item.to_string();
    let push = push(&scene, body);
    let upload = start(&mut hospital, &push).await.unwrap();
    assert_eq!((upload.offset, upload.size), (0, bytes.len() as u64));
    let id = upload.upload_id.as_str();
    assert_eq!(
        reason(&complete(&mut hospital, id).await.unwrap_err()),
        "upload_incomplete"
    );
    // Of what was sent, whole parts are held.
    let held = send(&mut hospital, id, 0, &bytes[..PART + 200_000])
        .await
        .unwrap();
    assert_eq!(held.offset, PART as u64);
    assert_eq!(start(&mut hospital, &push).await.unwrap(), held);
    assert_eq!(query(&mut hospital, id).await.unwrap(), held);
    for wrong in [0, PART + 200_000] {
        assert_eq!(
            reason(&send(&mut hospital, id, wrong, &bytes).await.unwrap_err()),
            "upload_offset_wrong"
        );
    }
    let size = log_size(&scene).await;
    let held = send(&mut hospital, id, PART, &bytes[PART..]).await.unwrap();
    assert_eq!(held.offset, bytes.len() as u64);
    assert_eq!(log_size(&scene).await, size);
    let receipt = received(&mut hospital, id).await;
    check_receipt(&scene, &receipt, push.evidence.as_ref().unwrap());
    assert_eq!(stored(&scene, &item).await, bytes);
    // Again, or by another way: the same receipt, and one copy.
    let again = v1::Receipt {
        replay: true,
        ..receipt
    };
    assert_eq!(received(&mut hospital, id).await, again);
    let found = start(&mut hospital, &push).await.unwrap();
    assert_eq!(
        (found.upload_id.as_str(), found.offset),
        (id, bytes.len() as u64)
    );
    assert_eq!(
        send(&mut hospital, id, bytes.len(), b"")
            .await
            .unwrap()
            .offset,
        bytes.len() as u64
    );
    assert_eq!(received(&mut hospital, &found.upload_id).await, again);
    assert_eq!(
        (log_size(&scene).await, documents_with_parts(&scene)),
        (size + 1, 1)
    );
}

#[tokio::test]
async fn an_upload_is_its_organisations_own() {
    let mut scene = Scene::new().await;
    let other = scene.organisation(Role::Discloser).await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let upload = start(&mut hospital, &push(&scene, letter(&scene, b"small")))
        .await
        .unwrap()
        .upload_id;
    let mut other = client(&scene.app, &other).await;
    let absent = UploadId::from_random([9; 16]).to_string();
    for id in [upload.as_str(), absent.as_str()] {
        assert_eq!(
            reason(&query(&mut other, id).await.unwrap_err()),
            "not_found"
        );
        assert_eq!(
            reason(&send(&mut other, id, 0, b"small").await.unwrap_err()),
            "not_found"
        );
        assert_eq!(
            reason(&complete(&mut other, id).await.unwrap_err()),
            "not_found"
        );
    }
    assert_eq!(
        reason(&query(&mut other, "upload_1").await.unwrap_err()),
        "invalid_field"
    );
    // Small documents may come this way too.
    send(&mut hospital, &upload, 0, b"small").await.unwrap();
    received(&mut hospital, &upload).await;
}

#[tokio::test]
async fn what_is_refused_at_the_start_is_logged_and_not_kept() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let body = letter(&scene, b"letter");
    let mut forged = push(&scene, body.clone());
    *forged
        .evidence
        .as_mut()
        .unwrap()
        .statement
        .last_mut()
        .unwrap() ^= 1;
    let empty = push(&scene, Evidence { size: 0, ..body });
    for (push, code) in [
        (forged, "signature_invalid"),
        (empty, "document_empty"),
        (v1::Push::default(), "invalid_field"),
    ] {
        let size = log_size(&scene).await;
        assert_eq!(
            reason(&start(&mut hospital, &push).await.unwrap_err()),
            code
        );
        assert_eq!(log_size(&scene).await, size + 1);
    }
}

#[tokio::test]
async fn what_is_refused_at_the_end_is_dropped() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let bytes = document(&scene, PART + 5);
    let good = push(&scene, letter(&scene, &bytes));
    let wrong = push(&scene, letter(&scene, &document(&scene, PART + 5)));
    let id = start(&mut hospital, &wrong).await.unwrap().upload_id;
    let too_long = [&bytes[..], b"!"].concat();
    assert_eq!(
        reason(&send(&mut hospital, &id, 0, &too_long).await.unwrap_err()),
        "size_mismatch"
    );
    let held = query(&mut hospital, &id).await.unwrap().offset;
    let held = usize::try_from(held).unwrap();
    send(&mut hospital, &id, held, &bytes[held..])
        .await
        .unwrap();
    let refusal = refused(&mut hospital, &id).await;
    assert_eq!(
        (refusal.reason.as_str(), refusal.receipt.is_some()),
        ("digest_mismatch", true)
    );
    assert_eq!(
        (
            reason(&query(&mut hospital, &id).await.unwrap_err()),
            documents_with_parts(&scene)
        ),
        ("not_found".to_owned(), 0)
    );

    let id = start(&mut hospital, &good).await.unwrap().upload_id;
    send(&mut hospital, &id, 0, &bytes).await.unwrap();
    withdraw_grant(&scene).await;
    assert_eq!(refused(&mut hospital, &id).await.reason, "grant_withdrawn");
    assert_eq!(
        (
            reason(&query(&mut hospital, &id).await.unwrap_err()),
            documents_with_parts(&scene)
        ),
        ("not_found".to_owned(), 0)
    );
    assert_eq!(
        reason(&start(&mut hospital, &good).await.unwrap_err()),
        "grant_withdrawn"
    );
}

#[tokio::test]
async fn a_statement_that_came_by_submit_needs_no_upload() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let bytes = document(&scene, 300_000);
    let push = push(&scene, letter(&scene, &bytes));
    let id = start(&mut hospital, &push).await.unwrap().upload_id;
    send(&mut hospital, &id, 0, &bytes).await.unwrap();
    let parts = [
        Part::Begin(push.clone()),
        Part::Chunk(bytes::Bytes::from(bytes.clone())),
        Part::End(v1::SubmitEnd {}),
    ];
    let messages = tokio_stream::iter(parts.map(|part| v1::SubmitRequest { part: Some(part) }));
    let mut answers = hospital.submit(messages).await.unwrap().into_inner();
    let Some(Outcome::Receipt(first)) = answers.message().await.unwrap().unwrap().outcome else {
        panic!("received")
    };
    assert_eq!(
        received(&mut hospital, &id).await,
        v1::Receipt {
            replay: true,
            ..first.clone()
        }
    );
    assert_eq!(documents_with_parts(&scene), 1);
    assert_eq!(
        received(&mut hospital, &id).await,
        v1::Receipt {
            replay: true,
            ..first
        }
    );
}

#[tokio::test]
async fn an_upload_that_stops_coming_keeps_what_it_has_until_it_is_swept() {
    let mut scene = Scene::new().await;
    scene.app.limits = Arc::new(Limits {
        stream_idle_seconds: 1,
        ..Limits::default()
    });
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let bytes = document(&scene, PART + 5);
    let id = start(&mut hospital, &push(&scene, letter(&scene, &bytes)))
        .await
        .unwrap()
        .upload_id;
    let (parts, stream) = mpsc::channel(2);
    let chunk = bytes::Bytes::copy_from_slice(&bytes[..=PART]);
    parts
        .send(v1::SendUploadRequest {
            upload_id: id.clone(),
            offset: 0,
            chunk,
        })
        .await
        .unwrap();
    let sending = hospital.send_upload(ReceiverStream::new(stream));
    let stalled = tokio::time::timeout(Duration::from_secs(20), sending)
        .await
        .expect("it ends")
        .unwrap_err();
    assert_eq!(reason(&stalled), "upload_stalled");
    assert_eq!(query(&mut hospital, &id).await.unwrap().offset, PART as u64);
    scene
        .app
        .clock
        .advance(SignedDuration::from_hours(24 * 4))
        .unwrap();
    assert_eq!(
        scene
            .app
            .store
            .sweep_uploads(scene.app.now())
            .await
            .unwrap(),
        1
    );
    assert_eq!(
        (
            reason(&query(&mut hospital, &id).await.unwrap_err()),
            documents_with_parts(&scene)
        ),
        ("not_found".to_owned(), 0)
    );
}

#[tokio::test]
async fn a_relay_completes_with_both_receipts() {
    let mut scene = Scene::new().await;
    let (charity, push) = relayed(&mut scene, b"relayed").await;
    let mut client = client(&scene.app, &charity).await;
    let id = start(&mut client, &push).await.unwrap().upload_id;
    send(&mut client, &id, 0, b"relayed").await.unwrap();
    let answer = complete(&mut client, &id).await.unwrap();
    check_receipt(
        &scene,
        answer.relay_receipt.as_ref().unwrap(),
        push.relay.as_ref().unwrap(),
    );
}

#[tokio::test]
async fn an_upload_dropped_as_it_is_completed_is_not_received() {
    let scene = Scene::new().await;
    let intake = Intake::new(scene.app.clone());
    let bytes = document(&scene, 70_000);
    let body = letter(&scene, &bytes);
    let (item, digest) = (body.item.clone(), body.digest);
    let Ok(parsed) = intake.parse(&push(&scene, body)) else {
        panic!("well-formed")
    };
    let Ok(proven) = intake.verify(&scene.hospital, parsed).await else {
        panic!("signed")
    };
    let (_, wrapped_key) = scene
        .app
        .store
        .new_document_key(&scene.claimant, &item)
        .await
        .unwrap();
    let new = NewDocument {
        item: item.clone(),
        document: DocumentId::from_random(scene.app.random()),
        wrapped_key,
        size: 70_000,
        inline: None,
    };
    let attachments = Attachments {
        document: Some(new),
        finished_upload: Some(UploadId::from_random(scene.app.random())),
        ..Attachments::default()
    };
    let received = Received {
        size: 70_000,
        digest,
    };
    let size = log_size(&scene).await;
    let Err(Fault::Failed(status)) = intake
        .submit(&scene.hospital, &proven, received, attachments)
        .await
    else {
        panic!("not committed")
    };
    assert_eq!(
        (status.code(), log_size(&scene).await),
        (tonic::Code::Unavailable, size)
    );
    assert!(
        scene
            .app
            .store
            .get::<Item>(item.as_str())
            .await
            .unwrap()
            .is_none()
    );
}
