//! Deciding a batch: in memory, in order, on one working set.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use evidence_domain::{
    Aside, Emitted, Event, Moment, Reason, Record, Refusal, World,
    apply::{Logged, Subject, apply, subject},
    decide,
    event::typ,
    receipt::Issued,
};
use evidence_ledger::{
    Appended, Checkpoint, Digest, Frontier, Payload, Salt, Statement, aside_digest, encode_receipt,
    seal_batch, to_canonical,
};

use super::{Earlier, NewKeys, keys_of};
use crate::{Attachments, NewDocument, Store, StoreError, Submission};

/// What a submission came to, before receipts are made.
pub(super) enum Answer {
    Refused(Refusal),
    Logged {
        resource: String,
        entries: Range<u64>,
        replay: bool,
    },
    Earlier(Earlier),
}

/// A statement about to be logged.
pub(super) struct Pending {
    pub statement: Statement,
    pub aside: Aside,
    pub event: &'static str,
    pub subject: Subject,
}

/// A batch under way.
pub(super) struct Batch<'s> {
    store: &'s Store,
    world: World,
    frontier: Frontier,
    first: u64,
    pub now: Moment,
    earlier: HashMap<String, Earlier>,
    answers: Vec<Answer>,
    issued: Vec<Issued>,
    pub pending: Vec<Pending>,
    pub digests: Vec<Digest>,
    /// Idempotency rows to write: key, fingerprint, entries, resource.
    pub keys: Vec<(String, Digest, Range<u64>, String)>,
    pub new_keys: NewKeys,
    pub documents: Vec<NewDocument>,
    pub uploads: BTreeSet<String>,
}

impl<'s> Batch<'s> {
    pub fn new(
        store: &'s Store,
        world: World,
        frontier: Frontier,
        earlier: HashMap<String, Earlier>,
        now: Moment,
    ) -> Self {
        Self {
            store,
            world,
            first: frontier.size(),
            frontier,
            now,
            earlier,
            answers: Vec::new(),
            issued: Vec::new(),
            pending: Vec::new(),
            digests: Vec::new(),
            keys: Vec::new(),
            new_keys: NewKeys::new(),
            documents: Vec::new(),
            uploads: BTreeSet::new(),
        }
    }

    /// Decides one submission and applies what it leads to.
    pub fn take(&mut self, submission: Submission) -> Result<(), StoreError> {
        let keys = keys_of(&submission);
        if let Some(answer) = self.replayed(&keys) {
            self.answers.push(answer);
            return Ok(());
        }
        let outcome = match self.decide(&submission) {
            Ok(outcome) => outcome,
            Err(refusal) => {
                self.answers.push(Answer::Refused(refusal));
                return Ok(());
            }
        };
        let from = self.next();
        if !outcome.emitted.is_empty() {
            self.attach(submission.attachments)?;
        }
        for emitted in outcome.emitted {
            self.log(emitted)?;
        }
        let entries = from..self.next();
        for (key, fingerprint) in keys {
            self.keys
                .push((key, fingerprint, entries.clone(), outcome.resource.clone()));
        }
        self.answers.push(Answer::Logged {
            resource: outcome.resource,
            entries,
            replay: false,
        });
        Ok(())
    }

    /// Nothing to write.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.keys.is_empty()
    }

    pub fn size(&self) -> u64 {
        self.next()
    }

    pub fn first(&self) -> u64 {
        self.first
    }

    pub fn into_answers(self) -> (Vec<Answer>, Vec<Issued>) {
        (self.answers, self.issued)
    }

    pub fn changed(&mut self) -> Vec<Record> {
        self.world.take_changed()
    }

    /// Extends the tree and signs: once for the whole batch.
    pub fn seal(&mut self) -> Result<Sealed, StoreError> {
        let appended = self.frontier.append(&self.digests);
        let (size, root) = (self.frontier.size(), self.frontier.root());
        let log = &self.store.0.log;
        let claims = self.store.claims(self.store.log_urn(), self.now);
        let seal = seal_batch(&claims, size, &root, &log.receipt, self.store.rng())?;
        let note = Checkpoint {
            origin: self.store.origin().to_owned(),
            size,
            root,
        }
        .sign(&log.checkpoint, self.store.rng());
        for (pending, index) in self.pending.iter().zip(self.first..) {
            self.issued.push(Issued {
                entry: pending.statement.entry(),
                index,
                tree_size: size,
                receipt: encode_receipt(&seal, size, index, &appended.inclusion(index)),
                statement: pending.statement.bytes().to_vec(),
                at: self.now,
            });
        }
        Ok(Sealed {
            size,
            root,
            note,
            seal,
            appended,
            frontier: self.frontier.encode(),
        })
    }

    fn next(&self) -> u64 {
        self.first + self.digests.len() as u64
    }

    /// The answer to an earlier call with one of these keys, be it in an earlier batch or this one.
    fn replayed(&self, keys: &[(String, Digest)]) -> Option<Answer> {
        for (key, fingerprint) in keys {
            let in_batch = self.keys.iter().find(|(known, ..)| known == key);
            let (known, answer) = match (self.earlier.get(key), in_batch) {
                (Some(earlier), _) => (earlier.fingerprint, Answer::Earlier(earlier.clone())),
                (None, Some((_, known, entries, resource))) => {
                    let (resource, entries) = (resource.clone(), entries.clone());
                    (
                        *known,
                        Answer::Logged {
                            resource,
                            entries,
                            replay: true,
                        },
                    )
                }
                (None, None) => continue,
            };
            if known == *fingerprint {
                return Some(answer);
            }
            let detail = "This request_id was used for a different call.";
            return Some(Answer::Refused(Refusal::new(
                Reason::IdempotencyKeyReused,
                detail,
            )));
        }
        None
    }

    fn decide(&self, submission: &Submission) -> Result<evidence_domain::Outcome, Refusal> {
        let caller = &submission.caller;
        if *caller != self.store.gateway() {
            let organisation = self.world.organisation(&caller.org);
            let organisation = organisation.ok_or_else(|| {
                Refusal::new(Reason::OrganisationUnknown, "The caller is not registered.")
            })?;
            if organisation.suspended {
                return Err(Refusal::new(
                    Reason::OrganisationSuspended,
                    "The caller is suspended.",
                ));
            }
        }
        decide(&self.world, caller, &submission.command, self.now)
    }

    fn attach(&mut self, attachments: Attachments) -> Result<(), StoreError> {
        if let Some((claimant, wrapped)) = attachments.claimant_key {
            self.store.admit_key(claimant.as_str(), "", &wrapped)?;
            self.new_keys
                .insert(claimant.to_string(), (String::new(), wrapped));
        }
        if let Some(document) = attachments.document {
            self.documents.push(document);
        }
        self.uploads
            .extend(attachments.finished_upload.map(String::from));
        Ok(())
    }

    /// Makes the statement (unless it was signed at source), gives it its place, applies it.
    fn log(&mut self, emitted: Emitted) -> Result<(), StoreError> {
        let subject = subject(&self.world, &self.store.log_urn(), &emitted.event);
        let issuer = emitted
            .signed
            .as_ref()
            .map(|signed| signed.issuer().clone());
        let statement = match &emitted.signed {
            Some(signed) => signed.statement().clone(),
            None => self.state(&emitted, &subject)?,
        };
        let logged = Logged {
            index: self.next(),
            entry: statement.entry(),
            at: self.now,
            issuer,
        };
        apply(&mut self.world, &logged, &emitted.event)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        self.digests.push(logged.entry);
        let event = emitted.event.name();
        self.pending.push(Pending {
            statement,
            aside: emitted.aside,
            event,
            subject,
        });
        Ok(())
    }

    /// The gateway's own statement of an event.
    fn state(&self, emitted: &Emitted, subject: &Subject) -> Result<Statement, StoreError> {
        let salt = Salt::random(self.store.rng())?;
        let aside = if emitted.aside.is_empty() {
            None
        } else {
            Some(aside_digest(&salt, &to_canonical(&emitted.aside)?))
        };
        let event: &Event = &emitted.event;
        let body = event
            .body()
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        let payload = Payload {
            event: event.name().to_owned(),
            salt,
            aside,
            body,
        }
        .encode()?;
        let claims = self.store.claims(subject.urn.clone(), self.now);
        Ok(Statement::sign(
            &typ(event.name()),
            &claims,
            &payload,
            &self.store.0.log.statement,
            self.store.rng(),
        )?)
    }
}

/// The signed head of a batch.
pub(super) struct Sealed {
    pub size: u64,
    pub root: Digest,
    pub note: String,
    pub seal: evidence_ledger::BatchSeal,
    pub appended: Appended,
    pub frontier: Vec<u8>,
}
