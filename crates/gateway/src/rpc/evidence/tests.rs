//! Real calls over a real connection: everything but TLS and the access layer.

use evidence_domain::{
    Aside, Guarded, Role,
    access::{claimant_view, document_for_claimant},
    command::{CreateDelegation, WithdrawGrant},
    event::{Capture, Disclosure, DisclosureDeclared, Evidence, EvidenceRelayed, Scope},
    ids::{DelegationId, ItemId},
    rows::{Claimant, ItemState},
    time::Period,
};
use evidence_ledger::{Receipt, Statement, sha256};
use evidence_wire::{
    common::item_state_number,
    v1::{
        evidence_service_client::EvidenceServiceClient,
        evidence_service_server::EvidenceServiceServer, submit_response::Outcome,
    },
};
use futures::TryStreamExt as _;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Channel, Server};

use super::*;
use crate::rpc::scene::Scene;

mod submit;
mod upload;

type Client = EvidenceServiceClient<Channel>;

/// A client through which `caller` calls.
async fn client(app: &App, caller: &Caller) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let caller = caller.clone();
    let service = EvidenceServiceServer::with_interceptor(
        EvidenceRpc::new(app.clone()),
        move |mut request: Request<()>| {
            request.extensions_mut().insert(caller.clone());
            Ok(request)
        },
    );
    let server = Server::builder().add_service(service);
    tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
    Client::connect(format!("http://{address}")).await.unwrap()
}

/// A letter's statement about these bytes, before a test changes it.
fn letter(scene: &Scene, document: &[u8]) -> Evidence {
    let today = scene.app.now().day();
    Evidence {
        item: ItemId::from_random(scene.app.random()),
        grant: scene.grant.clone(),
        request: None,
        kind: "clinical-letter".to_owned(),
        media_type: "application/pdf".to_owned(),
        size: document.len() as u64,
        digest: sha256(document),
        period: Period {
            from: Some(today),
            to: Some(today),
        },
        written_on: today,
        profession: "consultant".to_owned(),
        certified_copy: None,
        completes: false,
        supersedes: None,
        disclosure: Disclosure::Open,
    }
}

/// The hospital's push.
fn push(scene: &Scene, body: Evidence) -> v1::Push {
    let aside = Aside::from([("title".to_owned(), "Letter of 2 November".to_owned())]);
    let evidence = scene.signed(&scene.hospital, &scene.grant.urn(), body, aside);
    v1::Push {
        evidence: Some(evidence),
        ..v1::Push::default()
    }
}

/// Random bytes, so that nothing is alike by chance.
fn document(scene: &Scene, size: usize) -> Vec<u8> {
    let mut bytes = vec![0; size];
    ring::rand::SecureRandom::fill(scene.app.rng(), &mut bytes).unwrap();
    bytes
}

async fn item_row(scene: &Scene, item: &str) -> Item {
    let row = scene.app.store.get::<Item>(item).await.unwrap();
    row.expect("the item is there")
        .open(&scene.hospital)
        .unwrap()
}

/// An item's bytes as its claimant reads them.
async fn stored(scene: &Scene, item: &str) -> Vec<u8> {
    let store = &scene.app.store;
    let row = item_row(scene, item).await;
    let claimant = store
        .world(evidence_domain::Needs::default().key(&scene.claimant))
        .await
        .unwrap();
    let claimant: Option<&Claimant> = claimant.claimant(&scene.claimant);
    let view = claimant_view(
        &scene.portal,
        claimant,
        None,
        None,
        Scope::ReadEvidence,
        scene.app.now(),
    )
    .unwrap();
    let (_, permit) = document_for_claimant(&view, Guarded::new(row)).unwrap();
    let bytes: Vec<_> = store
        .open_document(&permit, 0)
        .await
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    bytes.concat()
}

/// Documents of which parts are in the document store.
fn documents_with_parts(scene: &Scene) -> usize {
    std::fs::read_dir(scene.documents().join("document")).map_or(0, Iterator::count)
}

/// That the receipt proves the statement to be in the log.
fn check_receipt(scene: &Scene, receipt: &v1::Receipt, statement: &v1::SignedStatement) {
    let entry = Statement::parse(&statement.statement).unwrap().entry();
    assert_eq!(
        (&receipt.statement, &receipt.entry[..]),
        (&statement.statement, entry.as_ref())
    );
    let key = scene.app.store.log_keys().receipt.public();
    Receipt::parse(&receipt.receipt)
        .unwrap()
        .verify(&entry, key)
        .unwrap();
}

async fn log_size(scene: &Scene) -> u64 {
    scene.app.store.size().await.unwrap()
}

async fn withdraw_grant(scene: &Scene) {
    let grant = scene.grant.clone();
    scene
        .done(
            &scene.dwp,
            WithdrawGrant {
                grant,
                capture: Capture::ByPhone,
                note: String::new(),
            },
        )
        .await;
}

fn reason(status: &Status) -> String {
    use tonic_types::StatusExt as _;
    status
        .get_error_details()
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

#[tokio::test]
async fn validation_says_what_would_happen_and_keeps_nothing() {
    let scene = Scene::new().await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let size = log_size(&scene).await;
    let good = push(&scene, letter(&scene, b"letter"));
    let answer = hospital
        .validate(v1::ValidateRequest { push: Some(good) })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        answer,
        v1::ValidateResponse {
            acceptable: true,
            ..v1::ValidateResponse::default()
        }
    );
    let gone = Evidence {
        grant: evidence_domain::ids::GrantId::from_random([7; 16]),
        ..letter(&scene, b"letter")
    };
    let too_large = Evidence {
        size: 1 << 40,
        ..letter(&scene, b"letter")
    };
    for (push, code) in [
        (v1::Push::default(), "invalid_field"),
        (push(&scene, gone), "not_found"),
        (push(&scene, too_large), "document_too_large"),
    ] {
        let answer = hospital
            .validate(v1::ValidateRequest { push: Some(push) })
            .await
            .unwrap()
            .into_inner();
        assert_eq!((answer.acceptable, answer.reason.as_str()), (false, code));
        assert!(!answer.message.is_empty());
    }
    let mut dwp = client(&scene.app, &scene.dwp).await;
    let theirs = v1::ValidateRequest {
        push: Some(push(&scene, letter(&scene, b"letter"))),
    };
    assert_eq!(
        dwp.validate(theirs).await.unwrap().into_inner().reason,
        "statement_wrong_issuer"
    );
    assert_eq!(log_size(&scene).await, size);
}

#[tokio::test]
async fn items_are_shown_to_their_parties_alone() {
    let mut scene = Scene::new().await;
    let other = scene.organisation(Role::Discloser).await;
    let early = scene.push("Early letter", Disclosure::Open, b"early").await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let shown = hospital
        .get_item(v1::GetItemRequest {
            item_id: early.to_string(),
        })
        .await
        .unwrap()
        .into_inner();
    assert_eq!(
        (shown.size, shown.aside["title"].as_str()),
        (5, "Early letter")
    );
    let all = hospital
        .list_items(v1::ListItemsRequest::default())
        .await
        .unwrap()
        .into_inner();
    assert_eq!(all.items, [shown]);
    // Until it joins a case, the recipient does not learn of it.
    for stranger in [&other, &scene.dwp] {
        let mut client = client(&scene.app, stranger).await;
        let one = client
            .get_item(v1::GetItemRequest {
                item_id: early.to_string(),
            })
            .await
            .unwrap_err();
        assert_eq!(reason(&one), "not_found");
        assert!(
            client
                .list_items(v1::ListItemsRequest::default())
                .await
                .unwrap()
                .into_inner()
                .items
                .is_empty()
        );
    }
    let in_case = v1::ListItemsRequest {
        case_id: scene.case.to_string(),
        ..v1::ListItemsRequest::default()
    };
    let mut dwp = client(&scene.app, &scene.dwp).await;
    assert!(
        dwp.list_items(in_case.clone())
            .await
            .unwrap()
            .into_inner()
            .items
            .is_empty()
    );
    assert_eq!(
        reason(&hospital.list_items(in_case).await.unwrap_err()),
        "not_found"
    );
    let odd = v1::ListItemsRequest {
        page_size: -1,
        ..v1::ListItemsRequest::default()
    };
    assert_eq!(
        reason(&hospital.list_items(odd).await.unwrap_err()),
        "invalid_field"
    );
}

#[tokio::test]
async fn a_list_comes_in_pages() {
    let scene = Scene::new().await;
    let mut pushed = Vec::new();
    for n in 0..5_u8 {
        pushed.push(
            scene
                .push("Letter", Disclosure::Open, &[n])
                .await
                .to_string(),
        );
    }
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let mut listed = Vec::new();
    let mut page_token = String::new();
    loop {
        let asked = v1::ListItemsRequest {
            page_size: 2,
            page_token,
            ..v1::ListItemsRequest::default()
        };
        let page = hospital.list_items(asked).await.unwrap().into_inner();
        assert!(page.items.len() <= 2);
        listed.extend(page.items.into_iter().map(|item| item.item_id));
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, pushed);
}

#[tokio::test]
async fn an_item_is_taken_back_once() {
    let scene = Scene::new().await;
    let item = scene.push("Letter", Disclosure::Open, b"letter").await;
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let asked = v1::WithdrawItemRequest {
        request_id: "take-back-1".to_owned(),
        item_id: item.to_string(),
        reason: "sent_in_error".to_owned(),
    };
    let first = hospital
        .withdraw_item(asked.clone())
        .await
        .unwrap()
        .into_inner();
    let shown = first.item.unwrap();
    assert_eq!(
        (shown.state, shown.r#final),
        (item_state_number(ItemState::Withdrawn), true)
    );
    let again = hospital
        .withdraw_item(asked.clone())
        .await
        .unwrap()
        .into_inner()
        .receipt
        .unwrap();
    assert_eq!(
        again,
        v1::Receipt {
            replay: true,
            ..first.receipt.unwrap()
        }
    );
    let other = v1::WithdrawItemRequest {
        reason: "inaccurate".to_owned(),
        ..asked
    };
    assert_eq!(
        reason(&hospital.withdraw_item(other).await.unwrap_err()),
        "idempotency_key_reused"
    );
}

#[tokio::test]
async fn a_declaration_is_logged_once() {
    let scene = Scene::new().await;
    let item = scene.push("Letter", Disclosure::Withheld, b"letter").await;
    let declared_on = scene.app.now().day();
    let body = DisclosureDeclared {
        item: item.clone(),
        disclosure: Disclosure::Open,
        profession: "consultant".to_owned(),
        declared_on,
    };
    let aside = Aside::from([("professional".to_owned(), "Dr Example".to_owned())]);
    let declaration = scene.signed(&scene.hospital, &scene.grant.urn(), body, aside);
    let mut hospital = client(&scene.app, &scene.hospital).await;
    let asked = v1::DeclareDisclosureRequest {
        declaration: Some(declaration.clone()),
    };
    let first = hospital
        .declare_disclosure(asked.clone())
        .await
        .unwrap()
        .into_inner()
        .receipt
        .unwrap();
    check_receipt(&scene, &first, &declaration);
    assert_eq!(
        item_row(&scene, item.as_str()).await.disclosure,
        Disclosure::Open
    );
    let size = log_size(&scene).await;
    let again = hospital
        .declare_disclosure(asked)
        .await
        .unwrap()
        .into_inner()
        .receipt
        .unwrap();
    assert_eq!(
        (again.entry, again.replay, log_size(&scene).await),
        (first.entry, true, size)
    );
    let none = v1::DeclareDisclosureRequest::default();
    assert_eq!(
        reason(&hospital.declare_disclosure(none).await.unwrap_err()),
        "invalid_field"
    );
}

/// What the charity relays of the hospital's.
async fn relayed(scene: &mut Scene, document: &[u8]) -> (Caller, v1::Push) {
    let charity = scene.organisation(Role::Intermediary).await;
    let delegation = DelegationId::from_random(scene.app.random());
    let command = CreateDelegation {
        id: delegation.clone(),
        grant: scene.grant.clone(),
        intermediary: charity.org.clone(),
        kinds: ["*".to_owned()].into(),
        expires_on: None,
    };
    scene.done(&scene.hospital, command).await;
    let body = letter(scene, document);
    let item = body.item.clone();
    let mut push = push(scene, body);
    let evidence = Statement::parse(&push.evidence.as_ref().unwrap().statement)
        .unwrap()
        .entry();
    let received_on = scene.app.now().day();
    let relay = EvidenceRelayed {
        item,
        evidence,
        delegation: Some(delegation),
        received_on,
    };
    push.relay = Some(scene.signed(&charity, &scene.grant.urn(), relay, Aside::new()));
    (charity, push)
}
