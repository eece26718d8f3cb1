//! The one door through which state changes: commands wait here, and are
//! committed in batches by one task.

use std::time::Duration;

use evidence_domain::Refusal;
use evidence_store::{CommitFailure, Done, Store, Submission};
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument as _, Span};

use crate::clock::Clock;

/// Commands in one batch, at most.
const BATCH: usize = 256;
/// Commands that may wait; more callers wait for a place.
const QUEUE: usize = 4 * BATCH;
/// How long to leave a database that cannot be reached alone.
const BREATHER: Duration = Duration::from_millis(100);

/// Hands commands to the journal. Clones share it.
#[derive(Clone)]
pub struct Journal {
    queue: mpsc::Sender<Waiting>,
}

/// Why a command has no outcome.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// Nothing was committed; the same call may succeed later.
    #[error("the store cannot be reached; nothing was committed")]
    Unavailable,
    /// The commit was sent and not answered. The gateway stops to reconcile.
    #[error("it is not known whether this was committed")]
    UnknownOutcome,
    /// A fault of ours; nothing was committed.
    #[error("a fault in the gateway; nothing was committed")]
    Internal,
}

struct Waiting {
    submission: Submission,
    span: Span,
    answer: oneshot::Sender<Result<Done, SubmitError>>,
}

impl Journal {
    /// Starts the journal's task. It ends when `stop` is cancelled and nothing waits any more; after
    /// an unknown outcome it cancels `failed` and takes nothing further.
    pub fn start(
        store: Store,
        clock: Clock,
        stop: CancellationToken,
        failed: CancellationToken,
    ) -> (Self, tokio::task::JoinHandle<()>) {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let task = tokio::spawn(run(store, clock, waiting, stop, failed));
        (Self { queue }, task)
    }

    /// Commits a command, together with what else is waiting. Once this was called the command may
    /// be committed even if the caller goes away; its key finds the outcome.
    pub async fn submit(&self, submission: Submission) -> Result<Done, SubmitError> {
        let span = tracing::info_span!("journal.submit", command = submission.command.name());
        let (answer, outcome) = oneshot::channel();
        let waiting = Waiting {
            submission,
            span: span.clone(),
            answer,
        };
        async {
            self.queue
                .send(waiting)
                .await
                .map_err(|_| SubmitError::Unavailable)?;
            outcome.await.map_err(|_| SubmitError::UnknownOutcome)?
        }
        .instrument(span)
        .await
    }
}

async fn run(
    store: Store,
    clock: Clock,
    mut queue: mpsc::Receiver<Waiting>,
    stop: CancellationToken,
    failed: CancellationToken,
) {
    let mut batch = Vec::with_capacity(BATCH);
    // What waited while the last batch was committed is the next batch.
    loop {
        tokio::select! {
            biased;
            taken = queue.recv_many(&mut batch, BATCH) => if taken == 0 { return },
            // What waits already is still committed.
            () = stop.cancelled(), if !queue.is_closed() => {
                queue.close();
                continue;
            }
        }
        metrics::histogram!("evidence_journal_batch")
            .record(f64::from(u32::try_from(batch.len()).unwrap_or(0)));
        if commit(&store, &clock, std::mem::take(&mut batch))
            .await
            .is_err()
        {
            // Whoever still waits is told that nothing was committed: their place in the queue ends.
            failed.cancel();
            queue.close();
            while let Some(waiting) = queue.recv().await {
                let _ = waiting.answer.send(Err(SubmitError::Unavailable));
            }
            return;
        }
    }
}

/// The outcome of the batch is unknown.
struct Unknown;

async fn commit(store: &Store, clock: &Clock, batch: Vec<Waiting>) -> Result<(), Unknown> {
    let size = batch.len();
    let mut submissions = Vec::with_capacity(size);
    let mut answers = Vec::with_capacity(size);
    // One commit answers many callers: each finds it as a span in their own trace.
    let mut spans = Vec::with_capacity(size);
    for Waiting {
        submission,
        span,
        answer,
    } in batch
    {
        spans.push(tracing::info_span!(parent: &span, "store.commit", batch = size));
        submissions.push(submission);
        answers.push(answer);
    }
    let outcome = store.commit(submissions, clock.now().into()).await;
    drop(spans);
    match outcome {
        Ok(outcomes) => {
            for (answer, outcome) in answers.into_iter().zip(outcomes) {
                count(&outcome);
                let _ = answer.send(outcome.map_err(SubmitError::Refused));
            }
            Ok(())
        }
        Err(CommitFailure::NotCommitted(error)) => {
            let passing = error.is_passing();
            tracing::error!(%error, batch = size, "a batch was not committed; its callers may try again");
            for answer in answers {
                let why = if passing {
                    SubmitError::Unavailable
                } else {
                    SubmitError::Internal
                };
                let _ = answer.send(Err(why));
            }
            if passing {
                tokio::time::sleep(BREATHER).await;
            }
            Ok(())
        }
        Err(CommitFailure::Unknown(error)) => {
            tracing::error!(%error, batch = size, "it is not known whether a batch was committed; stopping to reconcile, start the gateway again");
            for answer in answers {
                let _ = answer.send(Err(SubmitError::UnknownOutcome));
            }
            Err(Unknown)
        }
    }
}

fn count(outcome: &Result<Done, Refusal>) {
    match outcome {
        Ok(done) if done.replay => metrics::counter!("evidence_replays_total").increment(1),
        Ok(done) => {
            metrics::counter!("evidence_entries_total").increment(done.receipts.len() as u64);
        }
        Err(refusal) => {
            metrics::counter!("evidence_refusals_total", "reason" => refusal.reason.code())
                .increment(1);
        }
    }
}
