//! Sending documents: signed once, sent until there is a receipt.

mod journal;
mod plan;
mod send;

use std::{collections::HashMap, path::PathBuf};

use evidence_ledger::SecureRandom;
use evidence_wire::v1;
use indicatif::ProgressBar;

use crate::{
    CliError, Gateway, files,
    metadata::RECEIPT,
    package::Source,
    proof::{Document, FORMAT, Proof, ReceiptFile},
};
use journal::State;

pub use journal::{Journal, NAME as JOURNAL};
pub use plan::{Planner, Under};
pub use send::{Outcome, Parcel, send};

/// A document ready to go: its statement is in the journal.
#[derive(Debug, Clone)]
pub struct Job {
    /// The file, for messages and for the receipt beside it.
    pub path: PathBuf,
    key: String,
    state: State,
    parcel: Parcel,
    document: Document,
}

/// How sending one document ended.
#[derive(Debug)]
pub enum Sent {
    /// There is a receipt file. `before`: it was received by an earlier call or run.
    Received {
        item_id: String,
        receipt: PathBuf,
        before: bool,
    },
    Refused(v1::Refusal),
    Failed(CliError),
}

/// Documents are signed and sent this many at a time, so that the journal is written once for each
/// lot and not for each document.
const LOT: usize = 256;

/// Sends every job and tells `each` how it ended. Errors only where the journal cannot be kept.
pub async fn run(
    gateway: &Gateway,
    journal: &mut Journal,
    jobs: Vec<Job>,
    progress: &ProgressBar,
    mut each: impl FnMut(&Job, Sent) -> Result<(), CliError>,
) -> Result<(), CliError> {
    for lot in jobs.chunks(LOT) {
        let (done, open): (Vec<&Job>, Vec<&Job>) = lot.iter().partition(|job| job.is_done());
        for job in done {
            progress.inc(job.document.size);
            each(
                job,
                Sent::Received {
                    item_id: job.item_id(),
                    receipt: job.receipt_path(),
                    before: true,
                },
            )?;
        }
        // From here on the gateway may hold any of them: the journal must know.
        journal.save()?;
        let parcels: Vec<Parcel> = open.iter().map(|job| job.parcel.clone()).collect();
        let mut told = Ok(());
        send(gateway, &parcels, progress, |index, outcome| {
            let sent = open[index].conclude(journal, outcome);
            if told.is_ok() {
                told = each(open[index], sent);
            }
        })
        .await;
        journal.save()?;
        told?;
    }
    Ok(())
}

impl Job {
    pub fn item_id(&self) -> String {
        self.parcel.item_id.clone()
    }

    pub fn push(&self) -> &v1::Push {
        &self.parcel.push
    }

    pub fn size(&self) -> u64 {
        self.document.size
    }

    fn receipt_path(&self) -> PathBuf {
        files::beside(&self.path, RECEIPT)
    }

    /// Received by an earlier run, with its receipt at hand.
    fn is_done(&self) -> bool {
        self.state == State::Received
            && ReceiptFile::load(&self.receipt_path())
                .is_ok_and(|file| file.item_id == Some(self.item_id()))
    }

    fn conclude(&self, journal: &mut Journal, outcome: Outcome) -> Sent {
        match outcome {
            Outcome::Received {
                receipt,
                relay_receipt,
            } => match self.save_receipt(&receipt, relay_receipt.as_ref()) {
                Ok(path) => {
                    journal.set_state(&self.key, State::Received);
                    Sent::Received {
                        item_id: self.item_id(),
                        receipt: path,
                        before: receipt.replay,
                    }
                }
                Err(error) => Sent::Failed(error),
            },
            Outcome::Refused(refusal) => {
                journal.set_state(&self.key, State::Refused);
                Sent::Refused(refusal)
            }
            Outcome::Failed(error) => Sent::Failed(error),
        }
    }

    fn save_receipt(
        &self,
        receipt: &v1::Receipt,
        relay: Option<&v1::Receipt>,
    ) -> Result<PathBuf, CliError> {
        let evidence = self.parcel.push.evidence.as_ref();
        let signed = evidence
            .map(|evidence| evidence.statement.as_slice())
            .unwrap_or_default();
        if receipt.statement != signed {
            return Err(CliError::Invalid(format!(
                "{}: the gateway's receipt is for another statement than the one sent. Do not rely on it; tell the operator.",
                self.path.display()
            )));
        }
        let file = ReceiptFile {
            format: FORMAT.to_owned(),
            item_id: Some(self.item_id()),
            document: Some(self.document.clone()),
            aside: evidence
                .map(|evidence| evidence.aside.clone())
                .unwrap_or_default(),
            receipt: Proof::of(receipt)?,
            relay_receipt: relay.map(Proof::of).transpose()?,
        };
        let path = self.receipt_path();
        file.save(&path)?;
        Ok(path)
    }
}

/// Every job, without those for a document that is there twice; the second value names these, each
/// with the file it equals.
pub fn doubles(jobs: Vec<Job>) -> (Vec<Job>, Vec<(PathBuf, PathBuf)>) {
    let mut first: HashMap<String, PathBuf> = HashMap::new();
    let mut doubles = Vec::new();
    let kept = jobs.into_iter().filter(|job| {
        let earlier = first.get(&job.key).cloned();
        match &earlier {
            Some(earlier) => doubles.push((job.path.clone(), earlier.clone())),
            None => drop(first.insert(job.key.clone(), job.path.clone())),
        }
        earlier.is_none()
    });
    let kept = kept.collect();
    (kept, doubles)
}

/// What signing needs besides the key: the time, in seconds since 1970, and randomness.
#[derive(Clone, Copy)]
pub struct Moment<'a> {
    pub now: i64,
    pub rng: &'a dyn SecureRandom,
}

/// The whole file as a document.
pub(crate) fn document(path: &std::path::Path) -> Result<Source, CliError> {
    Source::of_file(path)
}
