//! A gateway without its door: store, journal and handlers, in a folder of one
//! test's own, on a clock that stands still.

use std::{collections::BTreeSet, sync::Arc};

use evidence_domain::{Caller, Role, command::RegisterOrganisation, ids::OrgId};
use evidence_ledger::sha256;
use evidence_store::seal::Rng;
use jiff::Timestamp;
use ring::rand::SystemRandom;
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};
use tonic_types::StatusExt as _;

use crate::{
    app::App,
    boot::{self, Operator},
    clock::Clock,
    config::{Config, Limits},
    journal::Journal,
};

pub(super) struct Fixture {
    pub app: App,
    pub operator: Caller,
    folder: TempDir,
}

impl Fixture {
    /// A new log with the shipped policies, and its operator, on 2 November 2026.
    #[expect(
        clippy::disallowed_methods,
        reason = "a test makes its own random source"
    )]
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let config = Config::parse(&configuration(&folder)).unwrap();
        let clock = Clock::stopped_at("2026-11-02T10:00:00Z".parse::<Timestamp>().unwrap());
        let rng: Arc<Rng> = Arc::new(SystemRandom::new());
        let operator = Operator {
            identifier: "company:00000001".to_owned(),
            name: "Operator".to_owned(),
            certificate: sha256(b"operator"),
        };
        let (store, org) = boot::init(&config, &clock, &operator, Arc::clone(&rng))
            .await
            .unwrap();
        let (stop, failed) = (CancellationToken::new(), CancellationToken::new());
        let (journal, _) = Journal::start(store.clone(), clock.clone(), stop, failed);
        Self {
            app: App::new(store, journal, clock, Limits::default(), rng),
            operator: caller(org, &[Role::Operator]),
            folder,
        }
    }

    /// The document store's folder.
    pub fn documents(&self) -> std::path::PathBuf {
        self.folder.path().join("documents")
    }

    /// A registered organisation with these roles.
    pub async fn organisation(&self, roles: &[Role]) -> Caller {
        let caller = caller(OrgId::from_random(self.app.random()), roles);
        let registration = RegisterOrganisation {
            id: caller.org.clone(),
            identifier: format!("ods:{}", caller.org),
            name: format!("Organisation {}", caller.org),
            roles: caller.roles.clone(),
        };
        let commands = vec![registration.into()];
        boot::run(&self.app.store, &self.app.clock, commands)
            .await
            .unwrap();
        caller
    }
}

/// A call as the access layer passes it on.
pub(super) fn call<B>(caller: &Caller, body: B) -> Request<B> {
    let mut request = Request::new(body);
    request.extensions_mut().insert(caller.clone());
    request
}

/// The stable reason of a refusal.
pub(super) fn reason<T: std::fmt::Debug>(answer: Result<T, Status>) -> String {
    let status = answer.expect_err("refused");
    let details = status.get_error_details();
    details
        .error_info()
        .map(|info| info.reason.clone())
        .unwrap_or_default()
}

fn caller(org: OrgId, roles: &[Role]) -> Caller {
    Caller {
        org,
        roles: roles.iter().copied().collect::<BTreeSet<_>>(),
    }
}

/// The transport's files are named but never opened.
fn configuration(folder: &TempDir) -> String {
    let at = folder.path().display();
    format!(
        "[listen]\naddress = \"127.0.0.1:0\"\n\
         [tls]\ncertificate = \"{at}/c\"\nkey = \"{at}/k\"\nclient_roots = [\"{at}/r\"]\ncrls = [\"{at}/l\"]\n\
         [database]\nengine = \"sqlite\"\npath = \"{at}/evidence.sqlite\"\n\
         [documents]\nkind = \"files\"\ndir = \"{at}/documents\"\n\
         [keys]\nkey_encryption_key = \"{at}/kek\"\nstatement_key = \"{at}/statement\"\n\
         receipt_key = \"{at}/receipt\"\ncheckpoint_key = \"{at}/checkpoint\"\n\
         [log]\norigin = \"evidence.example.org/test\"\n"
    )
}
