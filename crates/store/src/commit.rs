//! The one write path: a batch of commands becomes entries, state and a signed
//! root in one transaction.
//!
//! In order, and what a crash there leaves behind: (1) lock the head row; (2)
//! load idempotency rows and facts; (3) decide each command, in order, on the
//! working set, which each outcome changes for the next; (4) extend the tree,
//! sign root and checkpoint; (5) write all rows; (6) COMMIT. Before (6) a crash
//! leaves nothing. Once COMMIT was sent and not answered the outcome is
//! unknown: the gateway stops, and the callers' keys find the receipts, or do
//! not, when they try again.

mod batch;
mod writes;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use evidence_domain::{Moment, Needs, Refusal, World};
use evidence_ledger::{Digest, Frontier};

use crate::{
    Done, Store, StoreError, Submission,
    db::{CommitError, DbError, Engine, Tx, Value, in_list},
    keys::Source,
    log::{signed, unsigned},
    state,
};

use batch::{Answer, Batch};

/// Why a batch came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum CommitFailure {
    /// Certainly not committed. The callers may try again.
    #[error("the batch was not committed: {0}")]
    NotCommitted(StoreError),
    /// COMMIT was sent; whether it took is not known.
    #[error("it is not known whether the batch was committed: {0}")]
    Unknown(String),
}

impl From<StoreError> for CommitFailure {
    fn from(error: StoreError) -> Self {
        Self::NotCommitted(error)
    }
}

impl From<DbError> for CommitFailure {
    fn from(error: DbError) -> Self {
        Self::NotCommitted(error.into())
    }
}

impl From<CommitError> for CommitFailure {
    fn from(error: CommitError) -> Self {
        match error {
            CommitError::Unknown(text) => Self::Unknown(text),
            CommitError::RolledBack => Self::NotCommitted(StoreError::Corrupt(error.to_string())),
        }
    }
}

/// An earlier call with the same key.
#[derive(Debug, Clone)]
struct Earlier {
    fingerprint: Digest,
    first: u64,
    entries: u64,
    resource: String,
}

impl Store {
    /// Commits a batch; answers each command in order.
    pub async fn commit(
        &self,
        submissions: Vec<Submission>,
        now: Moment,
    ) -> Result<Vec<Result<Done, Refusal>>, CommitFailure> {
        let answers = self.commit_batch(submissions, now).await;
        if answers.is_err() {
            self.0.keys.clear();
        }
        answers
    }

    async fn commit_batch(
        &self,
        submissions: Vec<Submission>,
        now: Moment,
    ) -> Result<Vec<Result<Done, Refusal>>, CommitFailure> {
        let mut tx = self.db().begin().await?;
        let (frontier, last) = self.lock_head(&mut tx).await?;
        // Time in the log never goes back, whatever a gateway's clock does.
        let now = now.max(last);
        let first = frontier.size();
        let earlier = earlier(&mut tx, &submissions).await?;
        let mut world = World::default();
        state::load(
            &mut Source::Write(&mut tx),
            &mut world,
            needs(&submissions, &earlier),
        )
        .await?;
        let mut batch = Batch::new(self, world, frontier, earlier, now);
        for submission in submissions {
            batch.take(submission)?;
        }
        if batch.is_idle() {
            tx.rollback().await?;
        } else {
            self.write(&mut tx, &mut batch).await?;
            tx.commit().await?;
            self.0.committed.send_replace(batch.size());
        }
        self.answer(batch, first).await
    }

    /// Locks the head row, which orders writers; reads the right edge of the tree and the time of
    /// the last batch. The row is there from the first migration on, so that two gateways cannot
    /// both start the log.
    async fn lock_head(&self, tx: &mut Tx) -> Result<(Frontier, Moment), StoreError> {
        let sql = match self.engine() {
            Engine::Sqlite => "SELECT frontier, at FROM head WHERE id = 1",
            Engine::Postgres => "SELECT frontier, at FROM head WHERE id = 1 FOR UPDATE",
        };
        let rows = tx.fetch(sql, &[]).await?;
        let row = rows
            .first()
            .ok_or_else(|| StoreError::Corrupt("there is no head row".to_owned()))?;
        let frontier = Frontier::decode(row.blob(0)?)
            .map_err(|error| StoreError::Corrupt(error.to_string()))?;
        Ok((frontier, Moment::from_micros(row.int(1)?)))
    }

    async fn answer(
        &self,
        batch: Batch<'_>,
        first: u64,
    ) -> Result<Vec<Result<Done, Refusal>>, CommitFailure> {
        let (answers, issued) = batch.into_answers();
        let mut done = Vec::with_capacity(answers.len());
        for answer in answers {
            done.push(match answer {
                Answer::Refused(refusal) => Err(refusal),
                Answer::Logged {
                    resource,
                    entries,
                    replay,
                } => {
                    let (from, to) = (entries.start - first, entries.end - first);
                    let range = usize::try_from(from).unwrap_or(usize::MAX)
                        ..usize::try_from(to).unwrap_or(0);
                    let receipts = issued.get(range).unwrap_or_default().to_vec();
                    Ok(Done {
                        resource,
                        receipts,
                        replay,
                    })
                }
                Answer::Earlier(earlier) => {
                    // Read outside the transaction: what was logged does not change.
                    let receipts = self.issued(earlier.first, earlier.entries).await?;
                    Ok(Done {
                        resource: earlier.resource,
                        receipts,
                        replay: true,
                    })
                }
            });
        }
        Ok(done)
    }

    /// The answer to an earlier push of the same statement, by its content digest, if there was one.
    pub async fn replay(&self, statement: &Digest) -> Result<Option<Done>, StoreError> {
        let key = statement_key(statement);
        let sql = "SELECT first_idx, entries, resource FROM idempotency WHERE id = ?";
        let rows = self.db().fetch(sql, &[key.into()]).await?;
        let Some(row) = rows.first() else {
            return Ok(None);
        };
        let receipts = self
            .issued(unsigned(row.int(0)?), unsigned(row.int(1)?))
            .await?;
        Ok(Some(Done {
            resource: row.text(2)?.to_owned(),
            receipts,
            replay: true,
        }))
    }
}

impl Store {
    /// Every key under which a call is found again, its first entry and how many there are; for
    /// fsck and the invariant checker.
    pub async fn every_key(&self) -> Result<Vec<(String, u64, u64)>, StoreError> {
        let sql = "SELECT id, first_idx, entries FROM idempotency ORDER BY id";
        let rows = self.db().fetch(sql, &[]).await?;
        rows.iter()
            .map(|row| {
                let (first, entries) = (unsigned(row.int(1)?), unsigned(row.int(2)?));
                Ok((row.text(0)?.to_owned(), first, entries))
            })
            .collect()
    }
}

/// The idempotency key of a statement signed at source.
fn statement_key(statement: &Digest) -> String {
    format!("statement/{statement}")
}

/// The keys under which a submission must be found again: the caller's own, and its statement's.
fn keys_of(submission: &Submission) -> Vec<(String, Digest)> {
    let own = submission.idempotency.as_ref().map(|own| {
        (
            format!("{}/{}", submission.caller.org, own.key),
            own.fingerprint,
        )
    });
    let statement = submission
        .command
        .statement()
        .map(|digest| (statement_key(&digest), digest));
    own.into_iter().chain(statement).collect()
}

async fn earlier(
    tx: &mut Tx,
    submissions: &[Submission],
) -> Result<HashMap<String, Earlier>, StoreError> {
    let keys: BTreeSet<String> = submissions
        .iter()
        .flat_map(keys_of)
        .map(|(key, _)| key)
        .collect();
    let keys: Vec<String> = keys.into_iter().collect();
    let mut found = HashMap::new();
    for chunk in keys.chunks(500) {
        let sql = format!(
            "SELECT id, fingerprint, first_idx, entries, resource FROM idempotency WHERE id IN {}",
            in_list(chunk.len())
        );
        let args: Vec<Value> = chunk.iter().map(|key| Value::Text(key.clone())).collect();
        for row in tx.fetch(sql, &args).await? {
            let earlier = Earlier {
                fingerprint: crate::log::digest(&row, 1)?,
                first: unsigned(row.int(2)?),
                entries: unsigned(row.int(3)?),
                resource: row.text(4)?.to_owned(),
            };
            found.insert(row.text(0)?.to_owned(), earlier);
        }
    }
    Ok(found)
}

/// Facts for the whole batch at once. Commands that were answered before need none.
fn needs(submissions: &[Submission], earlier: &HashMap<String, Earlier>) -> Needs {
    let mut needs = Needs::default();
    for submission in submissions {
        if keys_of(submission)
            .iter()
            .any(|(key, _)| earlier.contains_key(key))
        {
            continue;
        }
        needs.extend(submission.command.needs().key(&submission.caller.org));
    }
    needs
}

/// Rows of one table, by column order.
type Rows = Vec<Vec<Value>>;

fn optional(text: Option<String>) -> Value {
    text.map_or(Value::Null, Value::Text)
}

fn number(value: u64) -> Value {
    Value::Int(signed(value))
}

/// Sealing keys that came with the batch: id to (parent, wrapped).
type NewKeys = BTreeMap<String, (String, Vec<u8>)>;

#[cfg(test)]
mod tests;
