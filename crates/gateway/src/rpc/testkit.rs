//! For the tests of services: a gateway behind its door, on a database of its
//! own. Calls come as the access layer passes them on.

use std::{collections::BTreeSet, sync::Arc};

use evidence_domain::{
    Caller, Command, Role,
    command::{
        CreateGrant, RegisterClaimant, RegisterOrganisation, SetPolicy, StartLog, WithdrawGrant,
    },
    event::{Capture, LogPolicy},
    ids::{ClaimantId, GrantId, OrgId},
    policy,
    time::{Period, days_after},
};
use evidence_ledger::{Alg, NoteSigner, SigningKey};
use evidence_store::{
    Attachments, Done, LogKeys, Store, StoreConfig, Submission,
    db::DbConfig,
    documents::DocumentsConfig,
    seal::{KeyEncryptionKey, Rng},
};
use jiff::{Timestamp, civil::date};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use crate::{app::App, clock::Clock, config::Limits, journal::Journal};

pub struct Kit {
    pub app: App,
    _data: TempDir,
}

impl Kit {
    /// A new log with the shipped policies, on 2026-11-02.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test makes its own random source"
    )]
    pub async fn new() -> Self {
        let data = tempfile::tempdir().expect("a folder");
        let rng: Arc<Rng> = Arc::new(ring::rand::SystemRandom::new());
        let documents = data.path().join("documents");
        std::fs::create_dir(&documents).expect("a folder");
        let config = StoreConfig {
            database: DbConfig::Sqlite {
                path: data.path().join("gateway.db"),
                create: true,
            },
            documents: DocumentsConfig::Files { dir: documents },
        };
        let kek = KeyEncryptionKey::generate_file(&data.path().join("kek"), rng.as_ref());
        let store = Store::open(
            &config,
            kek.expect("a key"),
            log_keys(&rng),
            Arc::clone(&rng),
        )
        .await
        .expect("a new store opens");
        let clock = Clock::stopped_at("2026-11-02T10:00:00Z".parse::<Timestamp>().expect("valid"));
        let (journal, _) = Journal::start(store.clone(), clock.clone(), CancellationToken::new());
        let app = App::new(store, journal, clock, Limits::default(), rng);
        let kit = Self { app, _data: data };
        kit.start_log().await;
        kit
    }

    async fn start_log(&self) {
        let keys = self.app.store.log_keys();
        let policy = LogPolicy {
            origin: self.app.store.origin().to_owned(),
            receipt_key: keys.receipt.public().clone(),
            statement_key: keys.statement.public().clone(),
            checkpoint_key: keys.checkpoint.verifier().to_string(),
        };
        let operator = self.app.store.gateway();
        self.done(&operator, StartLog { policy }).await;
        for (name, document) in policy::DEFAULTS {
            let (name, document) = (name.to_owned(), document.to_owned());
            self.done(&operator, SetPolicy { name, document }).await;
        }
    }

    /// A new organisation with these roles.
    pub async fn org(&self, roles: &[Role]) -> Caller {
        let id = OrgId::from_random(self.app.random());
        let roles: BTreeSet<Role> = roles.iter().copied().collect();
        let registration = RegisterOrganisation {
            id: id.clone(),
            identifier: format!("ods:{}", &id.as_str()[20..]),
            name: format!("Organisation {id}"),
            roles: roles.clone(),
        };
        self.done(&self.app.store.gateway(), registration).await;
        Caller { org: id, roles }
    }

    /// A new claimant with an NHS number.
    pub async fn claimant(&self, by: &Caller) -> ClaimantId {
        let id = ClaimantId::from_random(self.app.random());
        let key = self.app.store.new_claimant_key(&id).expect("a key");
        let index = self.app.store.blind_index("nhs-number", id.as_str());
        let command = RegisterClaimant {
            id: id.clone(),
            name: "Sam Ahmed".to_owned(),
            date_of_birth: date(1980, 1, 2),
            nhs_number: Some("9434765919".to_owned()),
            nino: None,
            identifiers: [("nhs-number".to_owned(), index)].into(),
            birth: self.app.store.blind_index("birth", "1980-01-02"),
        };
        let attachments = Attachments {
            claimant_key: Some((id.clone(), key)),
            ..Attachments::default()
        };
        self.submit(by, command.into(), attachments).await;
        id
    }

    /// A grant of every kind for `wca`, for 90 days, taken by its recipient.
    pub async fn grant(
        &self,
        claimant: &ClaimantId,
        discloser: &Caller,
        recipient: &Caller,
    ) -> GrantId {
        let id = GrantId::from_random(self.app.random());
        let command = CreateGrant {
            id: id.clone(),
            claimant: claimant.clone(),
            disclosers: [discloser.org.clone()].into(),
            kinds: ["*".to_owned()].into(),
            recipient: recipient.org.clone(),
            purposes: ["wca".to_owned()].into(),
            period: Period::default(),
            expires_on: days_after(self.app.now().day(), 90),
            capture: Capture::InWriting,
            witness: "Jo at the front desk".to_owned(),
            lawful_basis: "uk-gdpr-6-1-e".to_owned(),
            representation: None,
        };
        self.done(recipient, command).await;
        id
    }

    pub async fn withdraw(&self, grant: &GrantId, by: &Caller) {
        let command = WithdrawGrant {
            grant: grant.clone(),
            capture: Capture::ByPhone,
            note: String::new(),
        };
        self.done(by, command).await;
    }

    /// Runs a command that must succeed.
    pub async fn done(&self, caller: &Caller, command: impl Into<Command>) -> Done {
        self.submit(caller, command.into(), Attachments::default())
            .await
    }

    async fn submit(&self, caller: &Caller, command: Command, attachments: Attachments) -> Done {
        let name = command.name();
        let submission = Submission {
            caller: caller.clone(),
            idempotency: None,
            command,
            attachments,
        };
        match self.app.submit(submission).await {
            Ok(done) => done,
            Err(error) => panic!("{name}: {error}"),
        }
    }
}

/// A call as it arrives from the access layer.
pub fn call<B>(caller: &Caller, body: B) -> Request<B> {
    let mut request = Request::new(body);
    request.extensions_mut().insert(caller.clone());
    request
}

/// The stable reason code of a status.
pub fn reason(status: &tonic::Status) -> String {
    use tonic_types::StatusExt as _;
    let details = status.get_error_details();
    let info = details.error_info().expect("every status has a reason");
    info.reason.clone()
}

fn log_keys(rng: &Arc<Rng>) -> LogKeys {
    let key = |alg| {
        let der = SigningKey::generate_pkcs8(alg, rng.as_ref()).expect("a key");
        SigningKey::from_pkcs8(alg, &der, rng.as_ref()).expect("the key just made")
    };
    LogKeys {
        receipt: key(Alg::Es256),
        statement: key(Alg::Es256),
        checkpoint: NoteSigner::new("log.example", key(Alg::EdDsa)).expect("an Ed25519 key"),
    }
}
