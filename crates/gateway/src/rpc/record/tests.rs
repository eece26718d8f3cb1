use evidence_domain::{
    Caller, Role,
    command::{NameRepresentative, OpenRequest},
    event::{Capture, Disclosure, RepresentationKind, Scope},
    ids::{ItemId, RepresentationId, RequestId},
    time::{Period, days_after},
};
use evidence_ledger::sha256;
use evidence_wire::v1::{
    self, bundle_service_server::BundleService as _, record_service_server::RecordService as _,
};
use futures::TryStreamExt as _;
use tonic::Status;

use super::Records;
use crate::rpc::{
    bundle::Bundles,
    fixture::call,
    scene::{Scene, refused},
};

fn records(scene: &Scene) -> Records {
    Records {
        app: scene.app.clone(),
    }
}

fn viewer(scene: &Scene, representation: Option<&RepresentationId>) -> v1::Viewer {
    v1::Viewer {
        claimant_id: scene.claimant.to_string(),
        representation_id: representation.map(ToString::to_string).unwrap_or_default(),
    }
}

async fn record(scene: &Scene) -> v1::Record {
    let body = v1::GetRecordRequest {
        viewer: Some(viewer(scene, None)),
    };
    records(scene)
        .get_record(call(&scene.portal, body))
        .await
        .expect("the record")
        .into_inner()
}

async fn accesses(scene: &Scene) -> Vec<v1::AccessRecord> {
    let body = v1::ListAccessesRequest {
        viewer: Some(viewer(scene, None)),
        ..v1::ListAccessesRequest::default()
    };
    let answer = records(scene)
        .list_accesses(call(&scene.portal, body))
        .await;
    answer.expect("the accesses").into_inner().accesses
}

async fn read(
    scene: &Scene,
    item: &ItemId,
    representation: Option<&RepresentationId>,
    from_offset: u64,
) -> Result<Vec<v1::ReadItemResponse>, Status> {
    let body = v1::ReadItemRequest {
        viewer: Some(viewer(scene, representation)),
        item_id: item.to_string(),
        from_offset,
    };
    let stream = records(scene).read_item(call(&scene.portal, body)).await?;
    stream.into_inner().try_collect().await
}

fn own_words(scene: &Scene, text: &str) -> v1::AddStatementRequest {
    v1::AddStatementRequest {
        request_id: "words-1".to_owned(),
        viewer: Some(viewer(scene, None)),
        grant_id: scene.grant.to_string(),
        title: "A bad day".to_owned(),
        text: text.to_owned(),
    }
}

async fn named(scene: &Scene, scope: Scope) -> RepresentationId {
    let id = RepresentationId::from_random(scene.app.random());
    let name = NameRepresentative {
        id: id.clone(),
        claimant: scene.claimant.clone(),
        kind: RepresentationKind::Representative,
        name: "Kim Ahmed".to_owned(),
        scopes: [scope].into(),
        expires_on: days_after(scene.app.now().day(), 30),
        capture: Capture::InWriting,
        witness: "Jo".to_owned(),
    };
    scene.done(&scene.dwp, name).await;
    id
}

async fn pull(scene: &Scene) {
    let body = v1::PullRequest {
        case_id: scene.case.to_string(),
        purpose: "wca".to_owned(),
        actor: "A. Officer".to_owned(),
        ..v1::PullRequest::default()
    };
    let service = Bundles {
        app: scene.app.clone(),
    };
    let parts = service
        .pull(call(&scene.dwp, body))
        .await
        .expect("a pull")
        .into_inner();
    let parts: Vec<v1::PullResponse> = parts.try_collect().await.expect("the whole stream");
    assert!(!parts.is_empty());
}

#[tokio::test]
async fn the_record_shows_what_is_held_asked_and_granted() {
    let scene = Scene::new().await;
    let item = scene.push("Letter", Disclosure::Open, b"letter").await;
    let open = OpenRequest {
        id: RequestId::from_random(scene.app.random()),
        case: scene.case.clone(),
        grant: scene.grant.clone(),
        discloser: scene.hospital.org.clone(),
        kinds: ["*".to_owned()].into(),
        period: Period::default(),
        question: "How far can they walk?".to_owned(),
        assurance: "Consent seen on paper.".to_owned(),
        payer: String::new(),
    };
    scene.done(&scene.dwp, open).await;
    named(&scene, Scope::SeeProgress).await;

    let record = record(&scene).await;

    let [held] = &record.items[..] else {
        panic!("one item: {record:?}")
    };
    assert_eq!(
        (held.item_id.as_str(), held.title.as_str()),
        (item.as_str(), "Letter")
    );
    assert_eq!(held.from_name, "Anytown Hospital");
    assert!(
        held.receipt
            .as_ref()
            .is_some_and(|receipt| !receipt.statement.is_empty())
    );
    let [asked] = &record.requests[..] else {
        panic!("one request: {record:?}")
    };
    assert_eq!(
        (asked.turn_name.as_str(), asked.asked_by_name.as_str()),
        ("Anytown Hospital", "The Department")
    );
    assert_eq!(asked.question, "How far can they walk?");
    assert_eq!((record.grants.len(), record.cases.len()), (1, 1));
    assert_eq!(record.representations[0].name, "Kim Ahmed");
}

#[tokio::test]
async fn nothing_the_claimant_sees_betrays_a_withheld_item() {
    let scene = Scene::new().await;
    scene.push("Letter", Disclosure::Open, b"letter").await;
    pull(&scene).await;
    let before = (record(&scene).await, accesses(&scene).await);

    let withheld = scene.push("Hidden", Disclosure::Withheld, b"hidden").await;

    assert_eq!((record(&scene).await, accesses(&scene).await), before);
    pull(&scene).await;
    let seen = format!("{:?} {:?}", record(&scene).await, accesses(&scene).await);
    assert!(!seen.contains(withheld.as_str()) && !seen.contains("Hidden"));
    let absent = ItemId::from_random([9; 16]);
    let (hidden, none) = (
        read(&scene, &withheld, None, 0).await,
        read(&scene, &absent, None, 0).await,
    );
    assert_eq!(
        (refused(hidden).as_str(), refused(none).as_str()),
        ("not_found", "not_found")
    );
}

#[tokio::test]
async fn every_read_is_in_the_claimants_log_with_who_and_why() {
    let scene = Scene::new().await;
    let large: Vec<u8> = (0..=250).cycle().take(1_200_000).collect();
    let item = scene.push("Scan", Disclosure::Open, &large).await;
    pull(&scene).await;
    let representative = named(&scene, Scope::ReadEvidence).await;
    let parts = read(&scene, &item, Some(&representative), 100)
        .await
        .expect("the rest of it");
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.data.to_vec()).collect();
    assert_eq!(bytes, large[100..]);
    assert!(parts.last().is_some_and(|part| part.last));

    let accesses = accesses(&scene).await;
    let told: Vec<_> = accesses
        .iter()
        .map(|each| {
            (
                each.organisation_name.as_str(),
                each.actor.as_str(),
                each.purpose.as_str(),
                each.action.as_str(),
            )
        })
        .collect();
    let pulled = ("The Department", "A. Officer", "wca", "pulled");
    assert_eq!(
        told,
        [pulled, ("The Portal", "Kim Ahmed", "own-record", "viewed")]
    );
    assert!(accesses.iter().all(|each| each.items == [item.to_string()]));
}

#[tokio::test]
async fn own_words_are_kept_and_read_back() {
    let scene = Scene::new().await;
    let words = "On a bad day I cannot leave the house. Ŵ";
    let service = records(&scene);
    let answer = service
        .add_statement(call(&scene.portal, own_words(&scene, words)))
        .await;
    let item = answer
        .expect("own words")
        .into_inner()
        .item
        .expect("the item");
    assert_eq!(
        (item.from_name.as_str(), item.title.as_str()),
        ("The claimant", "A bad day")
    );
    assert_eq!(item.digest, sha256(words.as_bytes()).as_bytes());
    assert!(item.receipt.as_ref().is_some_and(|receipt| !receipt.replay));
    let id: ItemId = item.item_id.parse().expect("an id");
    let parts = read(&scene, &id, None, 0).await.expect("their own words");
    let bytes: Vec<u8> = parts.iter().flat_map(|part| part.data.to_vec()).collect();
    assert_eq!(bytes, words.as_bytes());

    let again = service
        .add_statement(call(&scene.portal, own_words(&scene, words)))
        .await;
    let again = again
        .expect("the same call")
        .into_inner()
        .item
        .expect("the item");
    assert_eq!(again.item_id, item.item_id);
    let other = service
        .add_statement(call(&scene.portal, own_words(&scene, "Other words")))
        .await;
    assert_eq!(refused(other), "idempotency_key_reused");
    assert_eq!(record(&scene).await.items.len(), 1);
}

#[tokio::test]
async fn each_call_asks_for_its_own_scope() {
    let scene = Scene::new().await;
    let item = scene.push("Letter", Disclosure::Open, b"letter").await;
    let sees = named(&scene, Scope::SeeProgress).await;
    let adds = named(&scene, Scope::AddStatements).await;
    let service = records(&scene);
    let (portal, out) = (&scene.portal, "representation_out_of_scope");

    assert_eq!(refused(read(&scene, &item, Some(&sees), 0).await), out);
    let body = v1::GetRecordRequest {
        viewer: Some(viewer(&scene, Some(&adds))),
    };
    assert_eq!(refused(service.get_record(call(portal, body)).await), out);
    let body = v1::ListAccessesRequest {
        viewer: Some(viewer(&scene, Some(&adds))),
        ..Default::default()
    };
    assert_eq!(
        refused(service.list_accesses(call(portal, body)).await),
        out
    );
    let body = v1::ListDecisionsRequest {
        viewer: Some(viewer(&scene, Some(&adds))),
    };
    assert_eq!(
        refused(service.list_decisions(call(portal, body)).await),
        out
    );
    let body = v1::AddStatementRequest {
        viewer: Some(viewer(&scene, Some(&sees))),
        ..own_words(&scene, "words")
    };
    assert_eq!(
        refused(service.add_statement(call(portal, body)).await),
        out
    );
    let note = |who| v1::AddNoteRequest {
        viewer: Some(viewer(&scene, Some(who))),
        item_id: item.to_string(),
        text: "This is not what I said".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        refused(service.add_note(call(portal, note(&sees))).await),
        out
    );
    service
        .add_note(call(portal, note(&adds)))
        .await
        .expect("in scope");
}

#[tokio::test]
async fn an_unknown_claimant_and_a_caller_that_is_no_portal_see_nothing() {
    let mut scene = Scene::new().await;
    let service = records(&scene);
    let body = v1::GetRecordRequest {
        viewer: Some(viewer(&scene, None)),
    };
    let callers: [Caller; 2] = [scene.dwp.clone(), scene.organisation(Role::Discloser).await];
    for caller in callers {
        assert_eq!(
            refused(service.get_record(call(&caller, body.clone())).await),
            "not_found"
        );
    }
    scene.claimant = evidence_domain::ids::ClaimantId::from_random([9; 16]);
    let body = v1::GetRecordRequest {
        viewer: Some(viewer(&scene, None)),
    };
    assert_eq!(
        refused(service.get_record(call(&scene.portal, body)).await),
        "not_found"
    );
    let body = own_words(&scene, "words");
    assert_eq!(
        refused(service.add_statement(call(&scene.portal, body)).await),
        "not_found"
    );
}
