//! Putting the parts together: a running gateway, and how it stops.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use evidence_store::{Store, seal::Rng};
use evidence_wire::{
    DESCRIPTORS,
    access::METHODS,
    v1::{
        bundle_service_server::BundleServiceServer, consent_service_server::ConsentServiceServer,
        decision_service_server::DecisionServiceServer,
        directory_service_server::DirectoryServiceServer,
        evidence_service_server::EvidenceServiceServer, ledger_service_server::LedgerServiceServer,
        record_service_server::RecordServiceServer, request_service_server::RequestServiceServer,
    },
};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tonic_health::server::HealthReporter;

use crate::{
    access::{AccessLayer, Identity},
    app::App,
    clock::Clock,
    config::Config,
    journal::Journal,
    rpc,
    telemetry::RpcLayer,
    tls::{
        MAX_DECODING_BYTES, MAX_ENCODING_BYTES, MAX_MANIFEST_BYTES, Tls, incoming, server_builder,
    },
};

/// How often what nobody will finish is swept away.
const SWEEP: Duration = Duration::from_mins(1);
/// How often the document store is searched for what no entry names: it lists all there is.
const SWEEP_ORPHANS: Duration = Duration::from_hours(24);
/// How much longer than any connection lives such a part must have lain there.
const ORPHAN_SLACK: Duration = Duration::from_hours(1);
/// How long calls under way may take to end once the gateway drains.
const DRAIN: Duration = Duration::from_secs(30);

/// Methods without an `access` option, for spans and metrics.
const OPEN_METHODS: [&str; 3] = [
    "grpc.health.v1.Health/Check",
    "grpc.health.v1.Health/Watch",
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
];

/// Why the gateway did not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error(transparent)]
    Tls(#[from] crate::tls::TlsError),
    #[error("cannot listen on {address}: {source}. Choose a free address in `listen`")]
    Listen {
        address: SocketAddr,
        source: std::io::Error,
    },
    #[error("the server failed: {0}")]
    Server(#[from] tonic::transport::Error),
    #[error(
        "the outcome of a commit is unknown: start the gateway again, callers that retry get their one receipt"
    )]
    Unknown,
    #[error("a task of the gateway broke off: {0}")]
    Task(#[from] tokio::task::JoinError),
}

/// A gateway that accepts calls.
pub struct Running {
    pub address: SocketAddr,
    pub app: App,
    pub tls: Tls,
    stop: CancellationToken,
    server: JoinHandle<Result<(), ServeError>>,
}

impl Running {
    /// Asks it to drain: no new calls, those under way may end.
    pub fn stop(&self) {
        self.stop.cancel();
    }

    /// Waits until it has stopped.
    pub async fn stopped(self) -> Result<(), ServeError> {
        // The journal ends only when nobody holds it any more.
        drop(self.app);
        self.server.await?
    }
}

/// Starts serving an opened store.
pub async fn start(
    config: &Config,
    store: Store,
    clock: Clock,
    rng: Arc<Rng>,
) -> Result<Running, ServeError> {
    // Certificates live in system time even where the sandbox's clock is ahead.
    let tls = Tls::load(&config.tls, Clock::system())?;
    let listener = TcpListener::bind(config.listen.address)
        .await
        .map_err(|source| ServeError::Listen {
            address: config.listen.address,
            source,
        })?;
    let address = listener.local_addr().map_err(|source| ServeError::Listen {
        address: config.listen.address,
        source,
    })?;
    let stop = CancellationToken::new();
    let failed = CancellationToken::new();
    let journal_stop = CancellationToken::new();
    let (journal, journal_task) = Journal::start(
        store.clone(),
        clock.clone(),
        journal_stop.clone(),
        failed.clone(),
    );
    let app = App::new(store, journal, clock, config.limits.clone(), rng);
    let identity = Identity::new(app.store.clone(), tls.clone());
    let (health, routes) = routes(&app, &identity).await;
    let known = METHODS
        .iter()
        .map(|method| method.path.trim_start_matches('/'))
        .chain(OPEN_METHODS)
        .map(str::to_owned);
    let server = server_builder(&config.limits)
        .layer(RpcLayer::new(known))
        .layer(AccessLayer::new(identity))
        .add_routes(routes);
    let connections = incoming(listener, tls.clone(), &config.limits);
    let draining = app.draining.clone();
    let serving =
        server.serve_with_incoming_shutdown(connections, async move { draining.cancelled().await });
    let keeper = Keeper {
        app: app.clone(),
        tls: tls.clone(),
        stop: stop.clone(),
        failed,
        journal_stop,
        health,
    };
    let kept = tokio::spawn(async move { keeper.keep(serving, journal_task).await });
    Ok(Running {
        address,
        app,
        tls,
        stop,
        server: kept,
    })
}

/// Every service, with its message limits.
async fn routes(app: &App, identity: &Identity) -> (HealthReporter, Routes) {
    let (health, health_service) = tonic_health::server::health_reporter();
    health
        .set_service_status("", tonic_health::ServingStatus::Serving)
        .await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()
        .expect("the compiled descriptors are well formed");
    macro_rules! service {
        ($server:ident, $service:expr) => {
            $server::new($service)
                .max_decoding_message_size(MAX_DECODING_BYTES)
                .max_encoding_message_size(MAX_ENCODING_BYTES)
        };
    }
    let mut routes = Routes::builder();
    let app = || app.clone();
    routes
        .add_service(health_service)
        .add_service(reflection)
        .add_service(service!(
            ConsentServiceServer,
            rpc::consent::Consent { app: app() }
        ))
        .add_service(service!(
            RequestServiceServer,
            rpc::request::Requests { app: app() }
        ))
        .add_service(service!(
            EvidenceServiceServer,
            rpc::evidence::EvidenceRpc::new(app())
        ))
        .add_service(
            service!(BundleServiceServer, rpc::bundle::Bundles { app: app() })
                .max_encoding_message_size(MAX_MANIFEST_BYTES),
        )
        .add_service(service!(
            DecisionServiceServer,
            rpc::decision::Decisions { app: app() }
        ))
        .add_service(service!(
            RecordServiceServer,
            rpc::record::Records { app: app() }
        ))
        .add_service(service!(
            LedgerServiceServer,
            rpc::ledger::Ledger { app: app() }
        ))
        .add_service(service!(
            DirectoryServiceServer,
            rpc::directory::Directory {
                app: app(),
                identity: identity.clone()
            }
        ));
    (health, routes.routes())
}

/// What runs beside the calls, and the order of stopping.
struct Keeper {
    app: App,
    tls: Tls,
    stop: CancellationToken,
    failed: CancellationToken,
    journal_stop: CancellationToken,
    health: HealthReporter,
}

impl Keeper {
    async fn keep(
        self,
        serving: impl Future<Output = Result<(), tonic::transport::Error>> + Send + 'static,
        journal: JoinHandle<()>,
    ) -> Result<(), ServeError> {
        let mut serving = tokio::spawn(serving);
        let watching = tokio::spawn(self.tls.clone().watch());
        let sweeping = tokio::spawn(sweep(self.app.clone()));
        let ended = tokio::select! {
            ended = &mut serving => Some(ended),
            () = self.stop.cancelled() => None,
            () = self.failed.cancelled() => None,
        };
        self.health
            .set_service_status("", tonic_health::ServingStatus::NotServing)
            .await;
        self.app.draining.cancel();
        let outcome = match ended {
            Some(ended) => ended,
            None => tokio::time::timeout(DRAIN, &mut serving)
                .await
                .unwrap_or_else(|_| {
                    serving.abort();
                    Ok(Ok(()))
                }),
        };
        watching.abort();
        sweeping.abort();
        let store = self.app.store.clone();
        self.journal_stop.cancel();
        if tokio::time::timeout(DRAIN, journal).await.is_err() {
            tracing::warn!("the journal was still waiting when the gateway stopped");
        }
        store.close().await;
        if self.failed.is_cancelled() {
            return Err(ServeError::Unknown);
        }
        Ok(outcome??)
    }
}

/// Sweeps away uploads that nobody finished, and parts that no entry names.
async fn sweep(app: App) {
    tokio::join!(sweep_uploads(&app), sweep_orphans(&app));
}

async fn sweep_uploads(app: &App) {
    let mut ticks = ticks(SWEEP);
    loop {
        ticks.tick().await;
        match app.store.sweep_uploads(app.now()).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "swept uploads that were not completed in time"),
            Err(error) => {
                tracing::warn!(%error, "could not sweep uploads; trying again in a minute");
            }
        }
    }
}

async fn sweep_orphans(app: &App) {
    let age = app.limits.connection_longest() + ORPHAN_SLACK;
    let mut ticks = ticks(SWEEP_ORPHANS);
    loop {
        ticks.tick().await;
        match app.store.sweep_orphans(age).await {
            Ok(0) => {}
            Ok(swept) => tracing::info!(swept, "swept documents that no entry names"),
            Err(error) => {
                tracing::warn!(%error, "could not sweep documents that no entry names; trying again in a day");
            }
        }
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    ticks
}

/// Says so in the log, and serves until SIGTERM, SIGINT or a failure; SIGHUP reloads certificates and revocation lists.
pub async fn until_signal(running: Running) -> Result<(), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| {
        signal(kind).map_err(|source| ServeError::Listen {
            address: running.address,
            source,
        })
    };
    let mut hangup = listen(SignalKind::hangup())?;
    let mut terminate = listen(SignalKind::terminate())?;
    let mut interrupt = listen(SignalKind::interrupt())?;
    // Only now: who reads this may send a signal, which before would have ended the process at once.
    tracing::info!(address = %running.address, "serving");
    let tls = running.tls.clone();
    let stop = running.stop.clone();
    let mut stopped = std::pin::pin!(running.stopped());
    loop {
        tokio::select! {
            ended = &mut stopped => return ended,
            _ = terminate.recv() => stop.cancel(),
            _ = interrupt.recv() => stop.cancel(),
            _ = hangup.recv() => {
                let tls = tls.clone();
                // Reading is a blocking call; what goes wrong is logged where it does.
                let _ = tokio::task::spawn_blocking(move || tls.reload()).await;
            }
        }
    }
}
