use std::collections::BTreeMap;

use evidence_domain::{
    Event,
    event::{BundleOfficial, BundlePulled, typ},
    ids::{BundleId, CaseId, ItemId, OrgId},
};
use evidence_ledger::{Alg, ChainHead, Claims, Payload, Salt, SigningKey, Statement, sha256};

use super::*;
use crate::{
    pull::check_manifest,
    sign::tests::{evidence, rng, signer, texts},
    testlog::{TestLog, new_key},
};

const NOW: i64 = 1_790_000_000;
const DOCUMENT: &[u8] = b"the document";

/// A gateway's log with one document in it and a pull of it.
struct Pulled {
    manifest: v1::Manifest,
    log_keys: LogKeys,
    organisation: PublicKey,
    item: String,
}

fn stated(event: impl Into<Event>, key: &SigningKey) -> Statement {
    let event = event.into();
    let payload = Payload {
        event: event.name().to_owned(),
        salt: Salt::from([7; 32]),
        aside: None,
        body: event.body().unwrap(),
    };
    let claims = Claims {
        iss: "urn:evidence:log".into(),
        sub: "urn:evidence:case".into(),
        iat: NOW,
    };
    Statement::sign(
        &typ(event.name()),
        &claims,
        &payload.encode().unwrap(),
        key,
        &rng(),
    )
    .unwrap()
}

fn chain_head(chain: ChainHead) -> v1::ChainHead {
    v1::ChainHead {
        count: chain.count,
        head: chain.head.as_bytes().to_vec(),
    }
}

/// What the gateway states of a pull of one item.
fn pull_of(item: &ItemId, entry: Digest) -> (BundlePulled, BundleOfficial) {
    let (bundle, case) = (BundleId::from_random([5; 16]), CaseId::from_random([6; 16]));
    let pulled = BundlePulled {
        bundle: bundle.clone(),
        case: case.clone(),
        purpose: "wca".into(),
        by: OrgId::from_random([8; 16]),
        items: [(item.clone(), entry)].into(),
        chain: ChainHead::seed(sha256(b"seed")).fold(&entry),
    };
    let official = BundleOfficial {
        bundle,
        case,
        items: BTreeMap::new(),
        official_chain: ChainHead::seed(sha256(b"other seed")),
    };
    (pulled, official)
}

impl Pulled {
    fn new() -> Self {
        let (discloser, stating) = (signer(Alg::Es256), new_key(Alg::Es256));
        let body = evidence(DOCUMENT);
        let item = body.item.clone();
        let made = discloser
            .sign(&body.grant.urn(), body, texts(), NOW, &rng())
            .unwrap();
        let (pulled, official) = pull_of(&item, crate::sign::entry(&made));
        let bundle = v1::Bundle {
            bundle_id: pulled.bundle.to_string(),
            case_id: pulled.case.to_string(),
            purpose: pulled.purpose.clone(),
            items: vec![item.to_string()],
            chain: Some(chain_head(pulled.chain)),
            official_chain: Some(chain_head(official.official_chain)),
            ..v1::Bundle::default()
        };
        let statements = [
            made.statement,
            stated(pulled, &stating).bytes().to_vec(),
            stated(official, &stating).bytes().to_vec(),
        ];
        let log = TestLog::of(&statements, &stating, NOW);
        let [receipt, pulled, official] = <[v1::Receipt; 3]>::try_from(log.receipts).unwrap();
        let about = v1::Item {
            item_id: item.to_string(),
            discloser: discloser.organisation().to_string(),
            media_type: "application/pdf".into(),
            size: DOCUMENT.len() as u64,
            digest: sha256(DOCUMENT).as_bytes().to_vec(),
            aside: made.aside,
            ..v1::Item::default()
        };
        let manifest = v1::Manifest {
            bundle: Some(bundle),
            items: vec![v1::ManifestItem {
                item: Some(about),
                receipt: Some(receipt),
                ..v1::ManifestItem::default()
            }],
            receipt: Some(pulled),
            official_receipt: Some(official),
            adjustments: Vec::new(),
        };
        Self {
            manifest,
            log_keys: log.keys,
            organisation: discloser.key().public().clone(),
            item: item.to_string(),
        }
    }

    fn folder(&self, path: &Path) -> Folder {
        let mut folder = Folder::begin(path, asked()).unwrap();
        folder.take_manifest(self.manifest.clone()).unwrap();
        folder
    }
}

fn asked() -> Asked {
    Asked {
        request_id: "r".into(),
        case_id: "case".into(),
        purpose: "wca".into(),
        actor: "officer".into(),
    }
}

#[test]
fn a_true_manifest_holds_and_every_change_to_it_is_found() {
    let pulled = Pulled::new();
    check_manifest(&pulled.manifest, &pulled.log_keys).unwrap();
    let changes: [&dyn Fn(&mut v1::Manifest); 10] = [
        &|m| m.items.clear(),
        &|m| m.items[0].withheld = true,
        &|m| m.items.push(m.items[0].clone()),
        &|m| m.items[0].item.as_mut().unwrap().item_id = ItemId::from_random([1; 16]).to_string(),
        &|m| m.bundle.as_mut().unwrap().bundle_id = BundleId::from_random([1; 16]).to_string(),
        &|m| m.bundle.as_mut().unwrap().purpose = "pip".into(),
        &|m| m.bundle.as_mut().unwrap().chain.as_mut().unwrap().count += 1,
        &|m| m.bundle.as_mut().unwrap().official_chain = None,
        &|m| m.official_receipt = m.receipt.clone(),
        &|m| m.receipt.as_mut().unwrap().statement[40] ^= 1,
    ];
    for (number, change) in changes.iter().enumerate() {
        let mut manifest = pulled.manifest.clone();
        change(&mut manifest);
        assert!(
            check_manifest(&manifest, &pulled.log_keys).is_err(),
            "change {number}"
        );
    }
    let keys = LogKeys {
        origin: "log.example".into(),
        keys: pulled.log_keys.keys[..1].to_vec(),
    };
    assert!(
        check_manifest(&pulled.manifest, &keys).is_err(),
        "a manifest that nobody vouches for"
    );
}

#[test]
fn a_pull_goes_on_where_it_stopped() {
    let (pulled, folder) = (Pulled::new(), tempfile::tempdir().unwrap());
    let path = folder.path().join("bundle");
    let mut held = Folder::begin(&path, asked()).unwrap();
    assert_eq!(held.request().unwrap().request_id, "r");
    held.take_manifest(pulled.manifest.clone()).unwrap();
    std::fs::write(held.part_path(&pulled.item).unwrap(), &DOCUMENT[..5]).unwrap();
    drop(held);

    // Another run, which does not know what the first one called itself.
    let held = Folder::begin(
        &path,
        Asked {
            request_id: "other".into(),
            ..asked()
        },
    )
    .unwrap();
    let request = held.request().unwrap();
    assert_eq!(
        (request.from_item_id.as_str(), request.from_offset),
        (pulled.item.as_str(), 5)
    );
    assert_eq!(
        (request.case_id.as_str(), request.request_id.as_str()),
        ("", "")
    );
    assert_eq!(held.bytes_held().unwrap(), 5);
    assert!(held.complete().is_err());
    let elsewhere = Asked {
        case_id: "another".into(),
        ..asked()
    };
    assert_eq!(
        Folder::begin(&path, elsewhere).unwrap_err().exit(),
        Exit::Usage
    );
}

#[test]
fn a_whole_document_is_named_and_keeps_its_receipt() {
    let (pulled, path) = (Pulled::new(), tempfile::tempdir().unwrap());
    let mut folder = pulled.folder(path.path());
    std::fs::write(folder.part_path(&pulled.item).unwrap(), DOCUMENT).unwrap();
    folder
        .accept(
            &pulled.item,
            &pulled.log_keys,
            std::slice::from_ref(&pulled.organisation),
        )
        .unwrap();
    assert_eq!(folder.next_missing().unwrap(), None);
    folder.finish().unwrap();

    let folder = Folder::open(path.path()).unwrap();
    let held = &folder.kept().documents[0];
    assert_eq!(held.file, format!("01-{}.pdf", pulled.item));
    assert_eq!(
        std::fs::read(path.path().join(&held.file)).unwrap(),
        DOCUMENT
    );
    assert!(held.checks.contains(&("document".into(), "valid".into())));
    assert!(
        path.path()
            .join(format!("{}.receipt.json", held.file))
            .exists()
    );
    assert_eq!(folder.complete().unwrap().0, &pulled.manifest);
    assert_eq!(folder.organisations().len(), 1);
}

#[test]
fn a_changed_document_is_not_kept() {
    let (pulled, path) = (Pulled::new(), tempfile::tempdir().unwrap());
    let mut folder = pulled.folder(path.path());
    let part = folder.part_path(&pulled.item).unwrap();
    std::fs::write(&part, b"the documenu").unwrap();
    let refused = folder
        .accept(
            &pulled.item,
            &pulled.log_keys,
            std::slice::from_ref(&pulled.organisation),
        )
        .unwrap_err();
    assert_eq!(refused.exit(), Exit::Invalid);
    assert!(!part.exists() && folder.kept().documents.is_empty());
    // Nor one whose signer the directory does not know.
    std::fs::write(&part, DOCUMENT).unwrap();
    let strangers = [new_key(Alg::Es256).public().clone()];
    assert!(
        folder
            .accept(&pulled.item, &pulled.log_keys, &strangers)
            .is_err()
    );
}

#[test]
fn no_name_that_was_sent_becomes_a_path() {
    let (mut pulled, path) = (Pulled::new(), tempfile::tempdir().unwrap());
    let item = pulled.manifest.items[0].item.as_mut().unwrap();
    item.item_id = "../../outside".into();
    let folder = pulled.folder(path.path());
    assert_eq!(
        folder.part_path("../../outside").unwrap_err().exit(),
        Exit::Invalid
    );
    assert_eq!(
        folder.part_path("item_other").unwrap_err().exit(),
        Exit::Invalid
    );
}
