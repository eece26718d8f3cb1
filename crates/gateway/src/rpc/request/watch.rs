//! `Watch`: everything that concerns the caller, in the log's order, for as
//! long as the caller stays. Index order is commit order, so nothing can turn
//! up behind a resume token.

use std::{pin::Pin, time::Duration};

use evidence_domain::{Caller, Refusal};
use evidence_store::FeedEntry;
use evidence_wire::{request as wire, v1};
use futures::Stream;
use tokio::sync::watch::Receiver;
use tonic::{Code, Status};

use crate::{app::App, error};

/// Events read at once; the next are read when the caller has taken these.
const PAGE: usize = 100;
/// A busy log is not read for every batch: this long passes between reads.
const PACE: Duration = Duration::from_millis(50);
/// How long a commit made by another gateway on the same database may go unseen.
const ELSEWHERE: Duration = Duration::from_secs(1);

pub type Events = Pin<Box<dyn Stream<Item = Result<v1::WatchEvent, Status>> + Send>>;

/// Starts the stream after the event whose token this is; an empty one starts
/// at the beginning.
pub async fn start(app: &App, caller: Caller, token: &str) -> Result<Events, Status> {
    let mut after = index(token).map_err(|e| error::refused(&e))?;
    // A token from a log that has since been put back would skip what comes.
    let size = app.store.size().await.map_err(|e| error::store(&e))?;
    if after.is_some_and(|index| index >= size) {
        return Err(error::refused(&unknown()));
    }
    let app = app.clone();
    let mut committed = app.store.committed();
    Ok(Box::pin(async_stream::try_stream! {
        loop {
            // Marked as seen before the read: a commit during it wakes the wait.
            committed.borrow_and_update();
            while !app.draining.is_cancelled() {
                let told = app.store.feed(&caller.org, after, PAGE).await.map_err(|e| error::store(&e))?;
                let Some(last) = told.last() else { break };
                after = Some(last.index);
                for entry in told {
                    yield event(&entry);
                }
            }
            wait(&app, &mut committed).await?;
        }
    }))
}

/// Waits until there may be something new.
async fn wait(app: &App, committed: &mut Receiver<u64>) -> Result<(), Status> {
    let news = async {
        tokio::time::sleep(PACE).await;
        // The store keeps the sender; a fallback read does no harm if it did not.
        let _ = tokio::time::timeout(ELSEWHERE, committed.changed()).await;
    };
    tokio::select! {
        () = news => Ok(()),
        () = app.draining.cancelled() => Err(error::with(
            Code::Unavailable,
            "draining",
            "The gateway is closing. Watch again from the last resume token.",
        )),
    }
}

fn event(entry: &FeedEntry) -> v1::WatchEvent {
    v1::WatchEvent {
        resume_token: token(entry.index),
        ..wire::watch_event(&entry.event, &entry.entry, entry.at, entry.case.as_ref())
    }
}

/// Opaque to callers: the index of the last event they were told, in hex.
fn token(index: u64) -> String {
    format!("{index:016x}")
}

fn index(token: &str) -> Result<Option<u64>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let read = u64::from_str_radix(token, 16).ok();
    read.filter(|index| self::token(*index) == token)
        .map(Some)
        .ok_or_else(unknown)
}

fn unknown() -> Refusal {
    Refusal::field(
        "resume_token",
        "is not a token of this log; leave it out to start at the beginning",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_reads_back_and_anything_else_is_refused() {
        for number in [0, 1, 255, u64::MAX] {
            assert_eq!(index(&token(number)), Ok(Some(number)));
        }
        assert_eq!(index(""), Ok(None));
        for text in [
            "1",
            "+000000000000001",
            "000000000000000G",
            "00000000000000FF",
            " ",
            "00000000000000001",
        ] {
            let refusal = index(text).expect_err(text);
            assert_eq!(refusal.fields[0].field, "resume_token");
        }
    }
}
