//! The wire side of sending: small documents many at a time on one stream, large ones in uploads
//! that go on where they broke off. The same statement goes again until there is an answer.

mod stream;
mod upload;

use std::time::Duration;

use evidence_wire::v1;
use indicatif::ProgressBar;

use crate::{CliError, Gateway, client::Backoff, error::Failure, package::Source};

/// Larger documents go by upload session.
pub const STREAM_LIMIT: u64 = 4 * 1024 * 1024;
/// The size of one piece on the wire.
const CHUNK: usize = 256 * 1024;

/// A signed push and where its document is.
#[derive(Debug, Clone, PartialEq)]
pub struct Parcel {
    /// As the evidence statement names it.
    pub item_id: String,
    pub push: v1::Push,
    pub document: Source,
}

/// How one parcel ended.
#[derive(Debug)]
pub enum Outcome {
    Received {
        receipt: v1::Receipt,
        relay_receipt: Option<v1::Receipt>,
    },
    /// Refused, and the refusal logged where it has a receipt. Nothing of it was kept.
    Refused(v1::Refusal),
    Failed(CliError),
}

/// Sends all parcels and tells `each` how each one (by its index) ended.
pub async fn send(
    gateway: &Gateway,
    parcels: &[Parcel],
    progress: &ProgressBar,
    mut each: impl FnMut(usize, Outcome),
) {
    let is_small = |index: &usize| parcels[*index].document.size <= STREAM_LIMIT;
    let (small, large): (Vec<usize>, Vec<usize>) = (0..parcels.len()).partition(is_small);
    stream::send(gateway, parcels, small, progress, &mut each).await;
    for index in large {
        let outcome = upload::send(gateway, &parcels[index], progress).await;
        each(index, outcome);
    }
}

impl Outcome {
    /// The gateway's answer about one parcel.
    fn of(response: v1::SubmitResponse) -> Self {
        match response.outcome {
            Some(v1::submit_response::Outcome::Receipt(receipt)) => Self::Received {
                receipt,
                relay_receipt: response.relay_receipt,
            },
            Some(v1::submit_response::Outcome::Refusal(refusal)) => Self::Refused(refusal),
            None => Self::Failed(CliError::CannotTell(
                "The gateway answered with neither receipt nor refusal.".to_owned(),
            )),
        }
    }

    fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::Refused(refused) => Self::Refused(v1::Refusal {
                reason: refused.reason,
                message: refused.message,
                receipt: None,
            }),
            failure => Self::Failed(failure.into_error(true)),
        }
    }
}

/// Attempts that count only while nothing moves: any progress gives them all back.
struct Patience<'a> {
    gateway: &'a Gateway,
    backoff: Backoff,
}

impl<'a> Patience<'a> {
    fn new(gateway: &'a Gateway) -> Self {
        Self {
            gateway,
            backoff: gateway.backoff(),
        }
    }

    fn progress(&mut self) {
        self.backoff = self.gateway.backoff();
    }

    /// The wait before another attempt, if there is to be one.
    fn wait_after(&mut self, failure: &Failure) -> Option<Duration> {
        if failure.may_be_tried_again() {
            self.backoff.next_wait()
        } else {
            None
        }
    }
}
