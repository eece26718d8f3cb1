use evidence_domain::{
    Aside, Caller, Role,
    command::{WithdrawGrant, WithdrawItem},
    event::{BundleAcknowledged, Capture, Disclosure},
    ids::ItemId,
};
use evidence_ledger::{Digest, Receipt};
use evidence_wire::v1::{
    self, bundle_service_server::BundleService as _, pull_response::Part,
    record_service_server::RecordService as _,
};
use futures::{StreamExt as _, TryStreamExt as _};
use tonic::{Code, Status};

use super::{Bundles, stream::Parts};
use crate::rpc::{
    fixture::call,
    record::Records,
    scene::{Scene, refused},
};

const LARGE: usize = 2 * 1024 * 1024 + 100;

fn bundles(scene: &Scene) -> Bundles {
    Bundles {
        app: scene.app.clone(),
    }
}

fn new_pull(scene: &Scene) -> v1::PullRequest {
    v1::PullRequest {
        case_id: scene.case.to_string(),
        purpose: "wca".to_owned(),
        actor: "A. Officer".to_owned(),
        ..v1::PullRequest::default()
    }
}

async fn pull(scene: &Scene, caller: &Caller, body: v1::PullRequest) -> Result<Parts, Status> {
    let pulled = bundles(scene).pull(call(caller, body)).await;
    pulled.map(tonic::Response::into_inner)
}

/// The manifest, and the documents' chunks in order.
async fn all(mut parts: Parts) -> Result<(v1::Manifest, Vec<v1::DocumentChunk>), Status> {
    let first = parts.try_next().await?.and_then(|first| first.part);
    let Some(Part::Manifest(manifest)) = first else {
        panic!("the manifest comes first")
    };
    let rest: Vec<v1::PullResponse> = parts.try_collect().await?;
    let chunks = rest.into_iter().map(|each| match each.part {
        Some(Part::Chunk(chunk)) => chunk,
        other => panic!("chunks follow: {other:?}"),
    });
    Ok((manifest, chunks.collect()))
}

fn document(chunks: &[v1::DocumentChunk], item: &ItemId) -> Vec<u8> {
    let own: Vec<_> = chunks
        .iter()
        .filter(|chunk| chunk.item_id == item.as_str())
        .collect();
    let lasts = own.iter().filter(|chunk| chunk.last).count();
    assert!(
        own.last().is_none_or(|chunk| chunk.last) && lasts <= 1,
        "only the last chunk is the last"
    );
    own.iter().flat_map(|chunk| chunk.data.to_vec()).collect()
}

async fn withdraw_grant(scene: &Scene) {
    let withdraw = WithdrawGrant {
        grant: scene.grant.clone(),
        capture: Capture::InPerson,
        note: String::new(),
    };
    scene.done(&scene.dwp, withdraw).await;
}

#[tokio::test]
async fn a_pull_brings_the_manifest_with_proofs_and_then_every_document() {
    let scene = Scene::new().await;
    let large: Vec<u8> = (0..=250).cycle().take(LARGE).collect();
    let small = scene.push("Letter", Disclosure::Open, b"small").await;
    let big = scene.push("Scan", Disclosure::Open, &large).await;
    let withheld = scene
        .push("Hidden", Disclosure::Withheld, b"withheld")
        .await;
    let records = Records {
        app: scene.app.clone(),
    };
    let viewer = Some(v1::Viewer {
        claimant_id: scene.claimant.to_string(),
        representation_id: String::new(),
    });
    let note = v1::AddNoteRequest {
        viewer: viewer.clone(),
        item_id: small.to_string(),
        text: "This is not what I said".to_owned(),
        ..v1::AddNoteRequest::default()
    };
    records
        .add_note(call(&scene.portal, note))
        .await
        .expect("a note");
    let adjustment = v1::StateAdjustmentRequest {
        viewer,
        text: "Large print".to_owned(),
        ..v1::StateAdjustmentRequest::default()
    };
    records
        .state_adjustment(call(&scene.portal, adjustment))
        .await
        .expect("an adjustment");

    let parts = pull(&scene, &scene.dwp, new_pull(&scene))
        .await
        .expect("a pull");
    let (manifest, chunks) = all(parts).await.expect("the whole stream");

    let items = manifest.items.iter();
    let listed: Vec<_> = items.filter_map(|each| each.item.as_ref()).collect();
    let ids: Vec<&str> = listed.iter().map(|item| item.item_id.as_str()).collect();
    let in_order = [small.as_str(), big.as_str(), withheld.as_str()];
    assert_eq!(ids, in_order);
    let hidden: Vec<bool> = manifest.items.iter().map(|each| each.withheld).collect();
    assert_eq!(hidden, [false, false, true]);
    assert_eq!(listed[0].aside["title"], "Letter");
    assert_eq!(manifest.items[0].notes[0].text, "This is not what I said");
    assert_eq!(manifest.adjustments[0].text, "Large print");
    assert_eq!(document(&chunks, &small), b"small");
    assert_eq!(document(&chunks, &big), large);
    assert_eq!(document(&chunks, &withheld), b"withheld");
    let proofs = manifest.items.iter().map(|each| each.receipt.as_ref());
    for proof in proofs.chain([
        manifest.receipt.as_ref(),
        manifest.official_receipt.as_ref(),
    ]) {
        let proof = proof.expect("everything has its receipt");
        let entry = Digest::try_from(proof.entry.as_slice()).expect("32 bytes");
        let receipt = Receipt::parse(&proof.receipt).expect("a receipt");
        receipt
            .verify(&entry, scene.app.store.log_keys().receipt.public())
            .expect("the entry is in the log");
    }
}

#[tokio::test]
async fn a_broken_pull_goes_on_at_an_offset_of_an_item() {
    let scene = Scene::new().await;
    let large: Vec<u8> = (0..=252).cycle().take(LARGE).collect();
    let first = scene.push("First", Disclosure::Open, b"first").await;
    let second = scene.push("Second", Disclosure::Open, &large).await;
    let third = scene.push("Third", Disclosure::Open, b"third").await;
    let parts = pull(&scene, &scene.dwp, new_pull(&scene))
        .await
        .expect("a pull");
    let (manifest, _) = all(parts).await.expect("the whole stream");
    let bundle = manifest.bundle.expect("a bundle");
    let size = scene.app.store.size().await.expect("a database");

    let rest = |item: &ItemId, offset: u64| v1::PullRequest {
        bundle_id: bundle.bundle_id.clone(),
        from_item_id: item.to_string(),
        from_offset: offset,
        ..v1::PullRequest::default()
    };
    let cut = 1_500_000;
    let parts = pull(&scene, &scene.dwp, rest(&second, cut as u64))
        .await
        .expect("the rest");
    let (again, chunks) = all(parts).await.expect("the whole rest");
    assert_eq!(again.bundle, Some(bundle.clone()));
    assert!(document(&chunks, &first).is_empty());
    assert_eq!(document(&chunks, &second), large[cut..]);
    assert_eq!(document(&chunks, &third), b"third");
    let parts = pull(&scene, &scene.dwp, rest(&third, 5))
        .await
        .expect("nothing but the end");
    let (_, chunks) = all(parts).await.expect("the end");
    assert_eq!(
        (chunks.len(), chunks[0].last, chunks[0].offset),
        (1, true, 5)
    );
    assert_eq!(
        scene.app.store.size().await.expect("a database"),
        size,
        "no new bundle was made"
    );

    assert_eq!(
        refused(pull(&scene, &scene.dwp, rest(&third, 6)).await),
        "invalid_field"
    );
    let absent = ItemId::from_random([9; 16]);
    assert_eq!(
        refused(pull(&scene, &scene.dwp, rest(&absent, 0)).await),
        "not_found"
    );
    assert_eq!(
        refused(pull(&scene, &scene.hospital, rest(&third, 0)).await),
        "not_found"
    );
}

#[tokio::test]
async fn the_same_call_again_brings_the_same_bundle() {
    let scene = Scene::new().await;
    scene.push("Letter", Disclosure::Open, b"letter").await;
    let body = v1::PullRequest {
        request_id: "pull-1".to_owned(),
        ..new_pull(&scene)
    };
    let (first, _) = all(pull(&scene, &scene.dwp, body.clone())
        .await
        .expect("a pull"))
    .await
    .expect("whole");
    scene.push("Later", Disclosure::Open, b"later").await;
    let (again, chunks) = all(pull(&scene, &scene.dwp, body.clone())
        .await
        .expect("a replay"))
    .await
    .expect("whole");
    assert_eq!((again.bundle, chunks.len()), (first.bundle, 1));
    let other = v1::PullRequest {
        actor: "B. Officer".to_owned(),
        ..body
    };
    assert_eq!(
        refused(pull(&scene, &scene.dwp, other).await),
        "idempotency_key_reused"
    );
}

#[tokio::test]
async fn a_withdrawal_stops_a_pull_under_way_and_every_later_one() {
    let scene = Scene::new().await;
    let item = scene.push("Scan", Disclosure::Open, &vec![7; LARGE]).await;
    let mut parts = pull(&scene, &scene.dwp, new_pull(&scene))
        .await
        .expect("a pull");
    let manifest = parts.next().await.expect("a manifest").expect("a manifest");
    let Some(Part::Manifest(manifest)) = manifest.part else {
        panic!("the manifest comes first")
    };
    let chunk = parts
        .next()
        .await
        .expect("a chunk")
        .expect("the consent lives");
    assert!(matches!(chunk.part, Some(Part::Chunk(chunk)) if !chunk.last));
    withdraw_grant(&scene).await;
    let stopped = parts.next().await.expect("an end");
    assert_eq!(
        stopped
            .as_ref()
            .expect_err("the consent is withdrawn")
            .code(),
        Code::FailedPrecondition
    );
    assert_eq!(refused(stopped), "grant_withdrawn");
    assert!(parts.next().await.is_none());

    let rest = v1::PullRequest {
        bundle_id: manifest.bundle.expect("a bundle").bundle_id,
        from_item_id: item.to_string(),
        ..v1::PullRequest::default()
    };
    let parts = pull(&scene, &scene.dwp, rest)
        .await
        .expect("the manifest may be had still");
    assert_eq!(refused(all(parts).await), "grant_withdrawn");
    assert_eq!(
        refused(pull(&scene, &scene.dwp, new_pull(&scene)).await),
        "grant_withdrawn"
    );
}

#[tokio::test]
async fn an_item_taken_back_stops_the_bundle_and_the_next_goes_without_it() {
    let scene = Scene::new().await;
    let item = scene.push("Wrong person", Disclosure::Open, b"wrong").await;
    let parts = pull(&scene, &scene.dwp, new_pull(&scene))
        .await
        .expect("a pull");
    let withdraw = WithdrawItem {
        item: item.clone(),
        reason: "wrong_person".to_owned(),
    };
    scene.done(&scene.hospital, withdraw).await;
    assert_eq!(refused(all(parts).await), "item_not_available");
    let (manifest, chunks) = all(pull(&scene, &scene.dwp, new_pull(&scene))
        .await
        .expect("a pull"))
    .await
    .expect("whole");
    assert!(manifest.items.is_empty() && chunks.is_empty());
}

#[tokio::test]
async fn the_recipient_signs_for_a_bundle_and_lists_its_own() {
    let mut scene = Scene::new().await;
    scene.push("Letter", Disclosure::Open, b"letter").await;
    let (manifest, _) = all(pull(&scene, &scene.dwp, new_pull(&scene))
        .await
        .expect("a pull"))
    .await
    .expect("whole");
    let bundle = manifest.bundle.expect("a bundle");
    let entry = |receipt: Option<v1::Receipt>| {
        Digest::try_from(receipt.expect("a receipt").entry.as_slice()).expect("32 bytes")
    };
    let body = BundleAcknowledged {
        bundle: bundle.bundle_id.parse().expect("an id"),
        pulled: entry(manifest.receipt),
        official: entry(manifest.official_receipt),
        received_on: scene.app.now().day(),
    };
    let signed = scene.signed(&scene.dwp, &scene.case.urn(), body, Aside::new());
    let sent = v1::AcknowledgeBundleRequest {
        acknowledgement: Some(signed),
    };
    let service = bundles(&scene);
    let answer = service
        .acknowledge(call(&scene.dwp, sent.clone()))
        .await
        .expect("signed for")
        .into_inner();
    assert!(answer.bundle.expect("a bundle").acknowledged_at.is_some());
    assert!(!answer.receipt.expect("a receipt").replay);
    let again = service
        .acknowledge(call(&scene.dwp, sent))
        .await
        .expect("the same statement")
        .into_inner();
    assert!(again.receipt.expect("the same receipt").replay);

    let list = v1::ListBundlesRequest {
        case_id: scene.case.to_string(),
        ..v1::ListBundlesRequest::default()
    };
    let get = v1::GetBundleRequest {
        bundle_id: bundle.bundle_id.clone(),
    };
    let listed = service
        .list_bundles(call(&scene.dwp, list.clone()))
        .await
        .expect("a list")
        .into_inner();
    assert_eq!(listed.bundles.len(), 1);
    service
        .get_bundle(call(&scene.dwp, get.clone()))
        .await
        .expect("a bundle");
    let other = scene.organisation(Role::Recipient).await;
    assert_eq!(
        refused(service.list_bundles(call(&other, list)).await),
        "not_found"
    );
    assert_eq!(
        refused(service.get_bundle(call(&other, get)).await),
        "not_found"
    );
}
