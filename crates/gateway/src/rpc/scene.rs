//! For the tests of services: a gateway's inside on a database of its own, with
//! a hospital, a recipient, the portal, a claimant, a grant and a case.

use std::{collections::BTreeMap, sync::Arc};

use evidence_domain::{
    Aside, Caller, Command, Event, Role,
    command::{CreateGrant, OpenCase, Push, Received, RegisterClaimant, RegisterKey, RegisterOrganisation, SetPolicy},
    event::{Capture, Disclosure, Evidence, Nation, typ},
    ids::{CaseId, ClaimantId, DocumentId, GrantId, ItemId, OrgId},
    policy,
    rows::{Item, Organisation},
    signed::{Signed, Verified},
    time::{Period, days_after},
};
use evidence_ledger::{
    Alg, Claims, NoteSigner, Payload, Salt, SigningKey, Statement, aside_digest, sha256, to_canonical,
};
use evidence_store::{
    Attachments, Done, LogKeys, NewDocument, Store, StoreConfig, Submission,
    db::DbConfig,
    documents::{Body, DocumentsConfig, PartWriter},
    seal::{KeyEncryptionKey, Rng},
};
use evidence_wire::v1;
use ring::rand::SystemRandom;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;

use crate::{
    app::{App, Call},
    clock::Clock,
    config::Limits,
    journal::{Journal, SubmitError},
};

pub(super) struct Scene {
    pub app: App,
    pub hospital: Caller,
    pub dwp: Caller,
    pub portal: Caller,
    pub claimant: ClaimantId,
    pub grant: GrantId,
    pub case: CaseId,
    keys: BTreeMap<OrgId, SigningKey>,
    _dir: TempDir,
}

impl Scene {
    pub async fn new() -> Self {
        let (app, dir) = gateway().await;
        let none = Caller { org: OrgId::from_random([0; 16]), roles: [].into() };
        let mut scene = Self {
            hospital: none.clone(),
            dwp: none.clone(),
            portal: none,
            claimant: ClaimantId::from_random(app.random()),
            grant: GrantId::from_random(app.random()),
            case: CaseId::from_random(app.random()),
            app,
            keys: BTreeMap::new(),
            _dir: dir,
        };
        let gateway = scene.app.store.gateway();
        for (name, document) in policy::DEFAULTS {
            scene.done(&gateway, SetPolicy { name: name.to_owned(), document: document.to_owned() }).await;
        }
        scene.hospital = scene.organisation("Anytown Hospital", Role::Discloser).await;
        scene.dwp = scene.organisation("The Department", Role::Recipient).await;
        scene.portal = scene.organisation("The Portal", Role::Portal).await;
        scene.open().await;
        scene
    }

    pub async fn organisation(&mut self, name: &str, role: Role) -> Caller {
        let caller = Caller { org: OrgId::from_random(self.app.random()), roles: [role].into() };
        let gateway = self.app.store.gateway();
        let register = RegisterOrganisation {
            id: caller.org.clone(),
            identifier: format!("ods:{}", &caller.org.as_str()[20..]),
            name: name.to_owned(),
            roles: caller.roles.clone(),
        };
        self.done(&gateway, register).await;
        let key = key(Alg::Es256, self.app.rng());
        let register = RegisterKey {
            organisation: caller.org.clone(),
            key: key.public().clone(),
            not_before: self.app.now(),
            not_after: self.app.now().plus_seconds(86_400),
        };
        self.done(&gateway, register).await;
        self.keys.insert(caller.org.clone(), key);
        caller
    }

    async fn open(&self) {
        let claimant = RegisterClaimant {
            id: self.claimant.clone(),
            name: "Sam Ahmed".to_owned(),
            date_of_birth: jiff::civil::date(1980, 1, 2),
            nhs_number: Some("9434765919".to_owned()),
            nino: None,
            identifiers: [("nhs-number".to_owned(), "index".to_owned())].into(),
            birth: "birth".to_owned(),
        };
        let wrapped = self.app.store.new_claimant_key(&self.claimant).expect("a key");
        let attachments =
            Attachments { claimant_key: Some((self.claimant.clone(), wrapped)), ..Attachments::default() };
        self.submit(&self.dwp, claimant, attachments).await.expect("a claimant");
        let grant = CreateGrant {
            id: self.grant.clone(),
            claimant: self.claimant.clone(),
            disclosers: [self.hospital.org.clone()].into(),
            kinds: ["*".to_owned()].into(),
            recipient: self.dwp.org.clone(),
            purposes: ["wca".to_owned()].into(),
            period: Period::default(),
            expires_on: days_after(self.app.now().day(), 90),
            capture: Capture::InWriting,
            witness: "Jo at the front desk".to_owned(),
            lawful_basis: "uk-gdpr-6-1-e".to_owned(),
            representation: None,
        };
        self.done(&self.dwp, grant).await;
        let case = OpenCase {
            id: self.case.clone(),
            claimant: self.claimant.clone(),
            grant: self.grant.clone(),
            assessment_type: "wca".to_owned(),
            nation: Nation::EnglandAndWales,
            reference: "REF 1".to_owned(),
            mental_health: false,
            chain_seed: sha256(b"chain"),
            official_seed: sha256(b"official"),
        };
        self.done(&self.dwp, case).await;
    }

    /// A call as the access layer hands it on.
    pub fn call<B>(caller: &Caller, body: B) -> tonic::Request<B> {
        let mut request = tonic::Request::new(body);
        request.extensions_mut().insert(caller.clone());
        request
    }

    pub async fn done(&self, caller: &Caller, command: impl Into<Command>) -> Done {
        let call = Call { caller: caller.clone(), idempotency: None };
        self.app.run(call, command).await.expect("the command is accepted")
    }

    async fn submit(
        &self,
        caller: &Caller,
        command: impl Into<Command>,
        attachments: Attachments,
    ) -> Result<Done, SubmitError> {
        let (caller, command) = (caller.clone(), command.into());
        self.app.submit(Submission { caller, idempotency: None, command, attachments }).await
    }

    /// A letter from the hospital, before any request.
    pub async fn push(&self, title: &str, disclosure: Disclosure, document: &[u8]) -> ItemId {
        let item = ItemId::from_random(self.app.random());
        let today = self.app.now().day();
        let body = Evidence {
            item: item.clone(),
            grant: self.grant.clone(),
            request: None,
            kind: "clinical-letter".to_owned(),
            media_type: "text/plain".to_owned(),
            size: document.len() as u64,
            digest: sha256(document),
            period: Period { from: Some(today), to: Some(today) },
            written_on: today,
            profession: "consultant".to_owned(),
            certified_copy: None,
            completes: false,
            supersedes: None,
            disclosure,
        };
        let aside = Aside::from([("title".to_owned(), title.to_owned())]);
        let push = Push {
            evidence: self.verified(&self.hospital, &self.grant.urn(), body, aside).await,
            relay: None,
            received: Some(Received { size: document.len() as u64, digest: sha256(document) }),
        };
        let document = Some(self.stored(&item, document).await);
        let attachments = Attachments { document, ..Attachments::default() };
        self.submit(&self.hospital, push, attachments).await.expect("the push is accepted");
        item
    }

    async fn stored(&self, item: &ItemId, bytes: &[u8]) -> NewDocument {
        let (store, rng) = (&self.app.store, self.app.rng());
        let (key, wrapped_key) = store.new_document_key(&self.claimant, item).await.expect("a key");
        let document = DocumentId::from_random(self.app.random());
        let mut writer = PartWriter::start(store.documents().clone(), document.as_str(), key);
        writer.push(bytes, rng).await.expect("parts are stored");
        let inline = match writer.finish(rng).await.expect("the last part is stored").body {
            Body::Inline(sealed) => Some(sealed),
            Body::Parts(_) => None,
        };
        NewDocument { item: item.clone(), document, wrapped_key, size: bytes.len() as u64, inline }
    }

    /// A statement signed at source, as it is sent.
    pub fn signed(&self, org: &Caller, sub: &str, event: impl Into<Event>, aside: Aside) -> v1::SignedStatement {
        let (event, salt) = (event.into(), Salt::from(self.app.random()));
        let digest = |aside: &Aside| aside_digest(&salt, &to_canonical(aside).expect("texts encode"));
        let payload = Payload {
            event: event.name().to_owned(),
            salt,
            aside: (!aside.is_empty()).then(|| digest(&aside)),
            body: event.body().expect("a body encodes"),
        };
        let claims = Claims { iss: org.org.urn(), sub: sub.to_owned(), iat: self.app.now().seconds() };
        let payload = payload.encode().expect("a payload encodes");
        let statement = Statement::sign(&typ(event.name()), &claims, &payload, &self.keys[&org.org], self.app.rng());
        v1::SignedStatement { statement: statement.expect("a small statement").bytes().to_vec(), aside }
    }

    async fn verified(&self, org: &Caller, sub: &str, event: impl Into<Event>, aside: Aside) -> Verified {
        let sent = self.signed(org, sub, event, aside);
        let signed = Signed::open(&sent.statement, sent.aside).expect("well-formed");
        let issuer = self.app.store.get::<Organisation>(org.org.as_str()).await.expect("a database");
        let issuer = issuer.expect("registered").open(org).expect("seen by all");
        signed.verify(Some(&issuer), self.app.now()).expect("signed with a registered key")
    }

    pub async fn item(&self, id: &ItemId) -> Item {
        let item = self.app.store.get::<Item>(id.as_str()).await.expect("a database");
        item.expect("the item is there").open(&self.hospital).expect("the hospital's item")
    }
}

#[expect(clippy::disallowed_methods, reason = "a test makes its own random source")]
async fn gateway() -> (App, TempDir) {
    let dir = tempfile::tempdir().expect("a folder");
    let rng: Arc<Rng> = Arc::new(SystemRandom::new());
    let kek = KeyEncryptionKey::generate_file(&dir.path().join("kek"), rng.as_ref()).expect("a key");
    let documents = dir.path().join("documents");
    std::fs::create_dir(&documents).expect("a folder");
    let config = StoreConfig {
        database: DbConfig::Sqlite { path: dir.path().join("state.db"), create: true },
        documents: DocumentsConfig::Files { dir: documents },
    };
    let log = LogKeys {
        receipt: key(Alg::Es256, rng.as_ref()),
        statement: key(Alg::Es256, rng.as_ref()),
        checkpoint: NoteSigner::new("log.example", key(Alg::EdDsa, rng.as_ref())).expect("a log's name"),
    };
    let store = Store::open(&config, kek, log, Arc::clone(&rng)).await.expect("a new store");
    let clock = Clock::stopped_at("2026-11-02T10:00:00Z".parse().expect("a moment"));
    let (journal, _) = Journal::start(store.clone(), clock.clone(), CancellationToken::new());
    (App::new(store, journal, clock, Limits::default(), rng), dir)
}

fn key(alg: Alg, rng: &Rng) -> SigningKey {
    let der = SigningKey::generate_pkcs8(alg, rng).expect("a key");
    SigningKey::from_pkcs8(alg, &der, rng).expect("the key just made")
}
