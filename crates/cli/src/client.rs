//! Speaking to the gateway: TLS 1.3 both ways, deadlines, and the same call again when it broke off.

mod connect;
mod retry;
mod trace;

use std::{future::Future, sync::Arc, time::Duration};

use evidence_ledger::{SecureRandom, key::random};
use evidence_wire::v1::{
    bundle_service_client::BundleServiceClient, consent_service_client::ConsentServiceClient,
    decision_service_client::DecisionServiceClient,
    directory_service_client::DirectoryServiceClient,
    evidence_service_client::EvidenceServiceClient, ledger_service_client::LedgerServiceClient,
    record_service_client::RecordServiceClient, request_service_client::RequestServiceClient,
};
use tonic::{
    Request, Response, Status, service::interceptor::InterceptedService, transport::Channel,
};

use crate::{CliError, Config, error::Failure};

pub use retry::Backoff;
pub use trace::Trace;

/// A random source that many tasks may draw from.
pub type Rng = Arc<dyn SecureRandom + Send + Sync>;

/// The channel under every client: it names each call for tracing.
pub type Transport = InterceptedService<Channel, Trace>;

/// The largest message taken from or given to the gateway.
const MAX_MESSAGE_BYTES: usize = 16 * 1024 * 1024;

/// A connection to one gateway, as one organisation. Made at the first call, and again when it was
/// lost. Clones share it.
#[derive(Clone)]
pub struct Gateway {
    channel: Channel,
    rng: Rng,
    timeout: Duration,
    attempts: u32,
}

macro_rules! services {
    ($($(#[$doc:meta])* $name:ident: $client:ident;)*) => {
        impl Gateway {$(
            $(#[$doc])*
            pub fn $name(&self) -> $client<Transport> {
                $client::with_interceptor(self.channel.clone(), Trace::new(self.rng.clone()))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES)
            }
        )*}
    };
}

services! {
    consent: ConsentServiceClient;
    requests: RequestServiceClient;
    evidence: EvidenceServiceClient;
    bundles: BundleServiceClient;
    decisions: DecisionServiceClient;
    record: RecordServiceClient;
    ledger: LedgerServiceClient;
    directory: DirectoryServiceClient;
}

impl Gateway {
    /// Reads the certificates that `config` names. Connects at the first call.
    pub fn new(config: &Config, rng: Rng) -> Result<Self, CliError> {
        let channel = connect::channel(config)?;
        let timeout = Duration::from_secs(config.timeout_seconds);
        Ok(Self {
            channel,
            rng,
            timeout,
            attempts: config.attempts,
        })
    }

    /// Makes a call that only reads.
    pub async fn read<B, R, F>(
        &self,
        body: B,
        send: impl Fn(Self, Request<B>) -> F,
    ) -> Result<R, CliError>
    where
        B: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        self.call(body, send)
            .await
            .map_err(|failure| failure.into_error(false))
    }

    /// Makes a call that changes something. Sent again as it is when it broke off, so its message
    /// must hold a `request_id` or a signed statement: the gateway then does it once.
    pub async fn change<B, R, F>(
        &self,
        body: B,
        send: impl Fn(Self, Request<B>) -> F,
    ) -> Result<R, CliError>
    where
        B: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        self.call(body, send)
            .await
            .map_err(|failure| failure.into_error(true))
    }

    async fn call<B, R, F>(
        &self,
        body: B,
        send: impl Fn(Self, Request<B>) -> F,
    ) -> Result<R, Failure>
    where
        B: Clone,
        F: Future<Output = Result<Response<R>, Status>>,
    {
        retry::retry(self.backoff(), || async {
            let mut request = Request::new(body.clone());
            request.set_timeout(self.timeout);
            send(self.clone(), request).await.map(Response::into_inner)
        })
        .await
    }

    /// The waits between attempts.
    pub fn backoff(&self) -> Backoff {
        Backoff::new(self.attempts, self.rng.clone())
    }

    /// Waits without end, for what must go on.
    pub fn endless_backoff(&self) -> Backoff {
        Backoff::new(u32::MAX, self.rng.clone())
    }

    pub fn timeout(&self) -> Duration {
        self.timeout
    }
}

/// A new idempotency key.
pub fn new_request_id(rng: &dyn SecureRandom) -> Result<String, CliError> {
    let bits: [u8; 16] = random(rng).map_err(|error| CliError::CannotTell(error.to_string()))?;
    Ok(format!("cli-{}", data_encoding::HEXLOWER.encode(&bits)))
}
