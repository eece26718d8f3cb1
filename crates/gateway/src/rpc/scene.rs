//! For the tests of pulls, decisions and records: a gateway with a hospital, a
//! recipient, the portal, a claimant, a grant and a case.

use std::collections::BTreeMap;

use evidence_domain::{
    Aside, Caller, Command, Event, Role,
    command::{
        CreateGrant, OpenCase, Push, Received, RegisterClaimant, RegisterKey, UpdateOrganisation,
    },
    event::{Capture, Disclosure, Evidence, Nation, typ},
    ids::{CaseId, ClaimantId, DocumentId, GrantId, ItemId, OrgId},
    rows::Organisation,
    signed::{Signed, Verified},
    time::{Period, days_after},
};
use evidence_ledger::{
    Alg, Claims, Payload, Salt, SigningKey, Statement, aside_digest, sha256, to_canonical,
};
use evidence_store::{
    Attachments, Done, NewDocument, Submission,
    documents::{Body, PartWriter},
};
use evidence_wire::v1;
use tonic::Status;

use super::fixture::{Fixture, reason};
use crate::{
    app::{App, Call},
    journal::SubmitError,
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
    fixture: Fixture,
}

impl Scene {
    pub async fn new() -> Self {
        let fixture = Fixture::start().await;
        let app = fixture.app.clone();
        let mut keys = BTreeMap::new();
        let hospital = organisation(&fixture, &mut keys, "Anytown Hospital", Role::Discloser).await;
        let dwp = organisation(&fixture, &mut keys, "The Department", Role::Recipient).await;
        let portal = organisation(&fixture, &mut keys, "The Portal", Role::Portal).await;
        let scene = Self {
            hospital,
            dwp,
            portal,
            claimant: ClaimantId::from_random(app.random()),
            grant: GrantId::from_random(app.random()),
            case: CaseId::from_random(app.random()),
            app,
            keys,
            fixture,
        };
        scene.open().await;
        scene
    }

    pub async fn organisation(&mut self, role: Role) -> Caller {
        organisation(&self.fixture, &mut self.keys, "Another", role).await
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
        let wrapped = self
            .app
            .store
            .new_claimant_key(&self.claimant)
            .expect("a key");
        let attachments = Attachments {
            claimant_key: Some((self.claimant.clone(), wrapped)),
            ..Attachments::default()
        };
        self.submit(&self.dwp, claimant, attachments)
            .await
            .expect("a claimant");
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

    /// The document store's folder.
    pub fn documents(&self) -> std::path::PathBuf {
        self.fixture.documents()
    }

    pub async fn done(&self, caller: &Caller, command: impl Into<Command>) -> Done {
        let call = Call {
            caller: caller.clone(),
            idempotency: None,
        };
        self.app
            .run(call, command)
            .await
            .expect("the command is accepted")
    }

    async fn submit(
        &self,
        caller: &Caller,
        command: impl Into<Command>,
        attachments: Attachments,
    ) -> Result<Done, SubmitError> {
        let (caller, command) = (caller.clone(), command.into());
        self.app
            .submit(Submission {
                caller,
                idempotency: None,
                command,
                attachments,
            })
            .await
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
            period: Period {
                from: Some(today),
                to: Some(today),
            },
            written_on: today,
            profession: "consultant".to_owned(),
            certified_copy: None,
            completes: false,
            supersedes: None,
            disclosure,
        };
        let aside = Aside::from([("title".to_owned(), title.to_owned())]);
        let push = Push {
            evidence: self
                .verified(&self.hospital, &self.grant.urn(), body, aside)
                .await,
            relay: None,
            received: Some(Received {
                size: document.len() as u64,
                digest: sha256(document),
            }),
        };
        let document = Some(self.stored(&item, document).await);
        let attachments = Attachments {
            document,
            ..Attachments::default()
        };
        self.submit(&self.hospital, push, attachments)
            .await
            .expect("the push is accepted");
        item
    }

    async fn stored(&self, item: &ItemId, bytes: &[u8]) -> NewDocument {
        let (store, rng) = (&self.app.store, self.app.rng());
        let (key, wrapped_key) = store
            .new_document_key(&self.claimant, item)
            .await
            .expect("a key");
        let document = DocumentId::from_random(self.app.random());
        let mut writer = PartWriter::start(store.documents().clone(), document.as_str(), key);
        writer.push(bytes, rng).await.expect("parts are stored");
        let inline = match writer
            .finish(rng)
            .await
            .expect("the last part is stored")
            .body
        {
            Body::Inline(sealed) => Some(sealed),
            Body::Parts(_) => None,
        };
        NewDocument {
            item: item.clone(),
            document,
            wrapped_key,
            size: bytes.len() as u64,
            inline,
        }
    }

    /// A statement signed at source, as it is sent.
    pub fn signed(
        &self,
        org: &Caller,
        sub: &str,
        event: impl Into<Event>,
        aside: Aside,
    ) -> v1::SignedStatement {
        let (event, salt) = (event.into(), Salt::from(self.app.random()));
        let digest =
            |aside: &Aside| aside_digest(&salt, &to_canonical(aside).expect("texts encode"));
        let payload = Payload {
            event: event.name().to_owned(),
            salt,
            aside: (!aside.is_empty()).then(|| digest(&aside)),
            body: event.body().expect("a body encodes"),
        };
        let claims = Claims {
            iss: org.org.urn(),
            sub: sub.to_owned(),
            iat: self.app.now().seconds(),
        };
        let payload = payload.encode().expect("a payload encodes");
        let statement = Statement::sign(
            &typ(event.name()),
            &claims,
            &payload,
            &self.keys[&org.org],
            self.app.rng(),
        );
        v1::SignedStatement {
            statement: statement.expect("a small statement").bytes().to_vec(),
            aside,
        }
    }

    async fn verified(
        &self,
        org: &Caller,
        sub: &str,
        event: impl Into<Event>,
        aside: Aside,
    ) -> Verified {
        let sent = self.signed(org, sub, event, aside);
        let signed = Signed::open(&sent.statement, sent.aside).expect("well-formed");
        let issuer = self
            .app
            .store
            .get::<Organisation>(org.org.as_str())
            .await
            .expect("a database");
        let issuer = issuer.expect("registered").open(org).expect("seen by all");
        signed
            .verify(Some(&issuer), self.app.now())
            .expect("signed with a registered key")
    }
}

/// The stable reason of a refusal, whatever was asked for.
pub(super) fn refused<T>(answer: Result<T, Status>) -> String {
    reason(answer.map(|_| ()))
}

/// A named organisation with a signing key.
async fn organisation(
    fixture: &Fixture,
    keys: &mut BTreeMap<OrgId, SigningKey>,
    name: &str,
    role: Role,
) -> Caller {
    let (app, caller) = (&fixture.app, fixture.organisation(&[role]).await);
    let update = UpdateOrganisation {
        id: caller.org.clone(),
        name: name.to_owned(),
        roles: caller.roles.clone(),
        suspended: false,
    };
    let der = SigningKey::generate_pkcs8(Alg::Es256, app.rng()).expect("a key");
    let key = SigningKey::from_pkcs8(Alg::Es256, &der, app.rng()).expect("the key just made");
    let register = RegisterKey {
        organisation: caller.org.clone(),
        key: key.public().clone(),
        not_before: app.now(),
        not_after: app.now().plus_seconds(86_400),
    };
    for command in [Command::from(update), register.into()] {
        let call = Call {
            caller: fixture.operator.clone(),
            idempotency: None,
        };
        app.run(call, command).await.expect("the operator may");
    }
    keys.insert(caller.org.clone(), key);
    caller
}
