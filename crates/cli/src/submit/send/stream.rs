//! Many small documents on one `Submit` stream, receipts coming back as they commit.

use std::{
    collections::{BTreeSet, HashMap},
    io::Read as _,
    sync::Arc,
};

use bytes::Bytes;
use evidence_wire::v1::{SubmitEnd, SubmitRequest, submit_request::Part};
use indicatif::ProgressBar;
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status};

use super::{CHUNK, Outcome, Parcel, Patience};
use crate::{CliError, Gateway, error::Failure};

/// Documents sent whose answer has not come: bounds memory here and at the gateway.
const IN_FLIGHT: usize = 128;
const QUEUE: usize = 32;

/// Sends the parcels `open`, on as many streams one after another as it takes.
pub async fn send(
    gateway: &Gateway,
    parcels: &[Parcel],
    open: Vec<usize>,
    progress: &ProgressBar,
    each: &mut impl FnMut(usize, Outcome),
) {
    let mut open: BTreeSet<usize> = open.into_iter().collect();
    let mut patience = Patience::new(gateway);
    let mut one_by_one = false;
    while !open.is_empty() {
        let before = open.len();
        let these = open
            .iter()
            .copied()
            .take(if one_by_one { 1 } else { before })
            .collect();
        let ended = one_stream(gateway, parcels, these, progress, &mut |index, outcome| {
            open.remove(&index);
            each(index, outcome);
        })
        .await;
        if open.len() < before {
            patience.progress();
        }
        let failure = match ended {
            Ended::Answered => continue,
            Ended::Nameless => {
                one_by_one = true;
                continue;
            }
            Ended::Failed(failure) => failure,
        };
        match patience.wait_after(&failure) {
            Some(wait) => tokio::time::sleep(wait).await,
            None => return give_up(&open, &failure, each),
        }
    }
}

/// How a stream ended.
enum Ended {
    /// Every document on it has its answer.
    Answered,
    /// An answer named no item: alone on a stream, the document that it is about is known.
    Nameless,
    Failed(Failure),
}

/// One stream with the parcels `these`.
async fn one_stream(
    gateway: &Gateway,
    parcels: &[Parcel],
    these: Vec<usize>,
    progress: &ProgressBar,
    each: &mut impl FnMut(usize, Outcome),
) -> Ended {
    let places = Arc::new(Semaphore::new(IN_FLIGHT));
    let (parts, outgoing) = mpsc::channel(QUEUE);
    let (unreadable, mut failed) = mpsc::unbounded_channel();
    let queue: Vec<(usize, Parcel)> = these
        .iter()
        .map(|index| (*index, parcels[*index].clone()))
        .collect();
    let feeding = tokio::spawn(feed(queue, parts, Arc::clone(&places), unreadable));
    let mut open: BTreeSet<usize> = these.into_iter().collect();
    let by_item: HashMap<&str, usize> = open
        .iter()
        .map(|index| (parcels[*index].item_id.as_str(), *index))
        .collect();
    let alone = if open.len() == 1 {
        open.first().copied()
    } else {
        None
    };
    let answered: Result<bool, Status> = async {
        let request = Request::new(ReceiverStream::new(outgoing));
        let mut answers = gateway.evidence().submit(request).await?.into_inner();
        while let Some(answer) = answers.message().await? {
            let named = by_item.get(answer.item_id.as_str()).copied();
            let Some(index) = named.or(alone) else {
                return Ok(true);
            };
            if open.remove(&index) {
                places.add_permits(1);
                progress.inc(parcels[index].document.size);
                each(index, Outcome::of(answer));
            }
        }
        Ok(false)
    }
    .await;
    feeding.abort();
    while let Ok((index, error)) = failed.try_recv() {
        if open.remove(&index) {
            each(index, Outcome::Failed(error));
        }
    }
    match answered {
        Err(status) => Ended::Failed(Failure::of(&status)),
        Ok(true) => Ended::Nameless,
        Ok(false) if open.is_empty() => Ended::Answered,
        Ok(false) => Ended::Failed(Failure::Broken(
            "the stream ended before every document was answered".to_owned(),
        )),
    }
}

/// Puts each document on the stream as a place becomes free. Ends when all are on it, or when the
/// stream is gone.
async fn feed(
    queue: Vec<(usize, Parcel)>,
    parts: mpsc::Sender<SubmitRequest>,
    places: Arc<Semaphore>,
    unreadable: mpsc::UnboundedSender<(usize, CliError)>,
) {
    for (index, parcel) in queue {
        let Ok(place) = places.acquire().await else {
            return;
        };
        let document = match read(&parcel).await {
            Ok(document) => document,
            Err(error) => {
                let _ = unreadable.send((index, error));
                continue;
            }
        };
        // Given back when the answer comes.
        place.forget();
        let mut pieces = vec![Part::Begin(parcel.push)];
        pieces.extend(
            (0..document.len())
                .step_by(CHUNK)
                .map(|from| Part::Chunk(document.slice(from..document.len().min(from + CHUNK)))),
        );
        pieces.push(Part::End(SubmitEnd {}));
        for part in pieces {
            if parts
                .send(SubmitRequest { part: Some(part) })
                .await
                .is_err()
            {
                return;
            }
        }
    }
}

async fn read(parcel: &Parcel) -> Result<Bytes, CliError> {
    let source = parcel.document.clone();
    let path = source.path.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut document = Vec::new();
        source
            .open(0)?
            .read_to_end(&mut document)
            .map_err(CliError::io(&source.path))?;
        Ok(Bytes::from(document))
    });
    read.await
        .unwrap_or_else(|error| Err(CliError::file(path, format!("could not be read: {error}."))))
}

fn give_up(open: &BTreeSet<usize>, failure: &Failure, each: &mut impl FnMut(usize, Outcome)) {
    for index in open {
        each(*index, Outcome::of_failure(failure.clone()));
    }
}
