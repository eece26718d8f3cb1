//! What every handler has at hand.

use std::sync::Arc;

use evidence_domain::{Caller, Command, Moment};
use evidence_ledger::{Digest, sha256_parts};
use evidence_store::{Attachments, Done, Idempotency, Store, Submission, seal::Rng};
use prost::Message;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::{
    clock::Clock,
    config::Limits,
    error,
    journal::{Journal, SubmitError},
};

/// The running gateway. Clones share it.
#[derive(Clone)]
pub struct App {
    pub store: Store,
    pub clock: Clock,
    pub limits: Arc<Limits>,
    /// Cancelled when the gateway drains: long streams end.
    pub draining: CancellationToken,
    journal: Journal,
    rng: Arc<Rng>,
}

/// A call that changes state: who makes it, and their key for it.
#[derive(Debug, Clone)]
pub struct Call {
    pub caller: Caller,
    pub idempotency: Option<Idempotency>,
}

impl App {
    pub fn new(
        store: Store,
        journal: Journal,
        clock: Clock,
        limits: Limits,
        rng: Arc<Rng>,
    ) -> Self {
        Self {
            store,
            clock,
            limits: Arc::new(limits),
            draining: CancellationToken::new(),
            journal,
            rng,
        }
    }

    pub fn now(&self) -> Moment {
        self.clock.now().into()
    }

    pub fn random<const N: usize>(&self) -> [u8; N] {
        evidence_ledger::key::random(self.rng()).expect("the operating system gives random bytes")
    }

    pub fn rng(&self) -> &Rng {
        self.rng.as_ref()
    }

    /// Takes a call apart: the caller that the access layer found, the key the caller gave (if
    /// any), and the message.
    pub fn enter<B: Message>(
        &self,
        request: Request<B>,
        request_id: impl Fn(&B) -> &str,
    ) -> Result<(Call, B), Status> {
        let caller = self.caller(&request)?;
        let body = request.into_inner();
        let key = request_id(&body);
        if key.len() > 128 {
            return Err(error::refused(&evidence_domain::Refusal::field(
                "request_id",
                "must be at most 128 bytes",
            )));
        }
        let idempotency = (!key.is_empty()).then(|| Idempotency {
            key: key.to_owned(),
            fingerprint: fingerprint(&body),
        });
        Ok((
            Call {
                caller,
                idempotency,
            },
            body,
        ))
    }

    /// Who calls.
    pub fn caller<B>(&self, request: &Request<B>) -> Result<Caller, Status> {
        request
            .extensions()
            .get::<Caller>()
            .cloned()
            .ok_or_else(|| error::unauthenticated("The call came past the access layer."))
    }

    /// Runs a command through the journal.
    pub async fn run(&self, call: Call, command: impl Into<Command>) -> Result<Done, Status> {
        let submission = Submission {
            caller: call.caller,
            idempotency: call.idempotency,
            command: command.into(),
            attachments: Attachments::default(),
        };
        Ok(self.submit(submission).await?)
    }

    pub async fn submit(&self, submission: Submission) -> Result<Done, SubmitError> {
        self.journal.submit(submission).await
    }
}

/// A digest of what was asked: the message's type and bytes. Maps are ordered, so the same message
/// has the same bytes.
fn fingerprint<B: Message>(body: &B) -> Digest {
    sha256_parts(&[
        std::any::type_name::<B>().as_bytes(),
        &[0],
        &body.encode_to_vec(),
    ])
}
