//! What every way of pushing evidence shares: statements are parsed, their
//! signatures verified, and what is refused is refused with a receipt.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Arc, Mutex, PoisonError},
};

use evidence_domain::{
    Caller, Command, Event, Needs, Reason, Refusal, World,
    command::{Push, Received, Refuse},
    decide,
    event::Evidence,
    ids::{ClaimantId, GrantId, OrgId, RefusalId},
    rows::Organisation,
    signed::{Signed, Verified},
};
use evidence_ledger::Digest;
use evidence_store::{Attachments, Done, Idempotency, StoreError, Submission};
use evidence_wire::{common::receipt, evidence as wire, v1};
use tonic::Status;

use crate::{app::App, error, journal::SubmitError};

/// Rows remembered; beyond this the memory starts anew.
const REMEMBERED: usize = 10_000;
/// The longest key of a caller's own, bytes.
const KEY_LIMIT: usize = 128;

/// Shared by the handlers of the evidence service. Clones share its memory.
#[derive(Clone)]
pub(super) struct Intake {
    pub app: App,
    /// Organisations as they were when last looked up. What has changed since is caught under the
    /// journal's lock; a signature that an old row does not bear out is tried with a new one.
    issuers: Arc<Mutex<HashMap<OrgId, Arc<Organisation>>>>,
    /// Whose grant it is never changes.
    claimants: Arc<Mutex<HashMap<GrantId, ClaimantId>>>,
}

/// A push that did not come to a receipt.
pub(super) enum Fault {
    /// To be stated and logged.
    Refused(Refusal),
    /// The call failed; nothing was committed.
    Failed(Status),
    /// It is not known whether the push was committed: what came with it must be kept.
    Unknown(Status),
}

/// A push whose shape is right; its signatures are not verified yet.
pub(super) struct Parsed {
    signed: wire::Pushed,
    pub body: Evidence,
    pub digest: Digest,
    key: String,
}

/// A push whose signatures verified.
pub(super) struct Proven {
    evidence: Verified,
    relay: Option<Verified>,
    pub body: Evidence,
    pub digest: Digest,
    key: String,
    /// Whose evidence it is.
    pub claimant: ClaimantId,
}

impl Parsed {
    /// By which the same push is found again.
    pub fn content(&self) -> Digest {
        self.signed.evidence.content()
    }
}

impl Intake {
    pub fn new(app: App) -> Self {
        Self {
            app,
            issuers: Arc::default(),
            claimants: Arc::default(),
        }
    }

    /// Reads a push, as far as that takes nothing but the push.
    pub fn parse(&self, push: &v1::Push) -> Result<Parsed, Refusal> {
        if push.request_id.len() > KEY_LIMIT {
            return Err(Refusal::field(
                "push.request_id",
                format!("must be at most {KEY_LIMIT} bytes"),
            ));
        }
        let signed = wire::push(push)?;
        let Event::Evidence(body) = signed.evidence.event().clone() else {
            return Err(Refusal::new(
                Reason::StatementPayloadInvalid,
                "This is not an evidence statement.",
            ));
        };
        let limit = self.app.limits.max_document_bytes;
        if body.size > limit {
            let detail = format!("The document has {} bytes; {limit} are allowed.", body.size);
            return Err(Refusal::new(Reason::DocumentTooLarge, detail));
        }
        let digest = signed.evidence.statement().entry();
        Ok(Parsed {
            signed,
            body,
            digest,
            key: push.request_id.clone(),
        })
    }

    /// Verifies the signatures and finds whose evidence it is.
    pub async fn verify(&self, caller: &Caller, parsed: Parsed) -> Result<Proven, Fault> {
        // Before anything is answered from memory: receipts are for who could have made the push.
        let sender = parsed
            .signed
            .relay
            .as_ref()
            .unwrap_or(&parsed.signed.evidence)
            .issuer();
        if *sender != caller.org {
            let detail = "Another organisation than the caller has signed this.";
            return Err(Refusal::new(Reason::StatementWrongIssuer, detail).into());
        }
        let evidence = self.verify_one(parsed.signed.evidence).await?;
        let relay = match parsed.signed.relay {
            Some(relay) => Some(self.verify_one(relay).await?),
            None => None,
        };
        let claimant = self.claimant(&parsed.body.grant).await?;
        let (body, digest, key) = (parsed.body, parsed.digest, parsed.key);
        Ok(Proven {
            evidence,
            relay,
            body,
            digest,
            key,
            claimant,
        })
    }

    /// The receipts of the same push, if it was made before.
    pub async fn replay(&self, push: &Proven) -> Result<Option<Done>, Fault> {
        Ok(self.app.store.replay(&push.evidence.content()).await?)
    }

    /// Decides a push on a snapshot, as far as that can be told before its bytes come. It is decided
    /// again, under the lock, when they have come.
    pub async fn foresee(&self, caller: &Caller, push: &Proven) -> Result<(), Fault> {
        let command = Command::Push(push.command(None));
        let world = self
            .app
            .store
            .world(command.needs().key(&caller.org))
            .await?;
        decide(&world, caller, &command, self.app.now())?;
        Ok(())
    }

    /// Takes a push with its bytes through the journal.
    pub async fn submit(
        &self,
        caller: &Caller,
        push: &Proven,
        received: Received,
        attachments: Attachments,
    ) -> Result<Done, Fault> {
        let submission = Submission {
            caller: caller.clone(),
            idempotency: push.idempotency(),
            command: push.command(Some(received)).into(),
            attachments,
        };
        Ok(self.app.submit(submission).await?)
    }

    /// States and logs a refusal.
    pub async fn refuse(
        &self,
        caller: &Caller,
        refusal: &Refusal,
        statement: Digest,
    ) -> Result<v1::Refusal, Status> {
        let id = RefusalId::from_random(self.app.random());
        let submission = Submission {
            caller: caller.clone(),
            idempotency: None,
            command: Refuse {
                id,
                reason: refusal.reason,
                statement,
            }
            .into(),
            attachments: Attachments::default(),
        };
        let done = self.app.submit(submission).await?;
        Ok(wire::refusal(refusal, done.receipt()))
    }

    /// A refusal as the answer about an item; a failure ends the call.
    pub async fn answer_fault(
        &self,
        caller: &Caller,
        item: String,
        statement: Digest,
        fault: Fault,
    ) -> Result<v1::SubmitResponse, Status> {
        let refusal = match fault {
            Fault::Refused(refusal) => self.refuse(caller, &refusal, statement).await?,
            Fault::Failed(status) | Fault::Unknown(status) => return Err(status),
        };
        let outcome = Some(v1::submit_response::Outcome::Refusal(refusal));
        Ok(v1::SubmitResponse {
            item_id: item,
            outcome,
            relay_receipt: None,
        })
    }

    /// A refusal as the status of a call, stated and logged all the same.
    pub async fn status(&self, caller: &Caller, statement: Digest, fault: Fault) -> Status {
        match fault {
            Fault::Refused(refusal) => match self.refuse(caller, &refusal, statement).await {
                Ok(_) => error::refused(&refusal),
                Err(status) => status,
            },
            Fault::Failed(status) | Fault::Unknown(status) => status,
        }
    }

    async fn verify_one(&self, signed: Signed) -> Result<Verified, Fault> {
        let remembered = get(&self.issuers, signed.issuer());
        if let Some(issuer) = remembered
            && let Ok(verified) = signed.clone().verify(Some(&issuer), self.app.now())
        {
            return Ok(verified);
        }
        let world = self
            .app
            .store
            .world(Needs::default().key(signed.issuer()))
            .await?;
        let issuer = world.organisation(signed.issuer());
        if let Some(row) = issuer {
            put(&self.issuers, row.id.clone(), Arc::new(row.clone()));
        }
        Ok(signed.verify(issuer, self.app.now())?)
    }

    async fn claimant(&self, grant: &GrantId) -> Result<ClaimantId, Fault> {
        if let Some(claimant) = get(&self.claimants, grant) {
            return Ok(claimant);
        }
        let world: World = self.app.store.world(Needs::default().key(grant)).await?;
        let row = world.grant(grant).ok_or_else(Refusal::not_found)?;
        put(&self.claimants, grant.clone(), row.claimant.clone());
        Ok(row.claimant.clone())
    }
}

impl Proven {
    fn command(&self, received: Option<Received>) -> Push {
        Push {
            evidence: self.evidence.clone(),
            relay: self.relay.clone(),
            received,
        }
    }

    fn idempotency(&self) -> Option<Idempotency> {
        (!self.key.is_empty()).then(|| Idempotency {
            key: self.key.clone(),
            fingerprint: self.digest,
        })
    }
}

/// The receipts of an accepted push.
pub(super) fn accepted(done: &Done) -> v1::SubmitResponse {
    v1::SubmitResponse {
        item_id: done.resource.clone(),
        outcome: done
            .receipt()
            .map(|issued| v1::submit_response::Outcome::Receipt(receipt(issued, done.replay))),
        relay_receipt: done
            .receipts
            .get(1)
            .map(|issued| receipt(issued, done.replay)),
    }
}

fn get<K: Hash + Eq, V: Clone>(memory: &Mutex<HashMap<K, V>>, key: &K) -> Option<V> {
    memory
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get(key)
        .cloned()
}

fn put<K: Hash + Eq, V>(memory: &Mutex<HashMap<K, V>>, key: K, value: V) {
    let mut memory = memory.lock().unwrap_or_else(PoisonError::into_inner);
    if memory.len() >= REMEMBERED {
        memory.clear();
    }
    memory.insert(key, value);
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Failed(error::store(&error))
    }
}

impl From<SubmitError> for Fault {
    fn from(error: SubmitError) -> Self {
        match error {
            SubmitError::Refused(refusal) => Self::Refused(refusal),
            error @ SubmitError::UnknownOutcome => Self::Unknown(error.into()),
            error @ (SubmitError::Unavailable | SubmitError::Internal) => {
                Self::Failed(error.into())
            }
        }
    }
}
