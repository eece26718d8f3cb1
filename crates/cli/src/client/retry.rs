//! Trying again, with growing waits, what may succeed later.

use std::{future::Future, time::Duration};

use evidence_ledger::key::random;
use tonic::Status;

use super::Rng;
use crate::error::Failure;

const FIRST: Duration = Duration::from_millis(250);
const LONGEST: Duration = Duration::from_secs(15);

/// Waits between attempts: doubling up to 15 seconds, each shortened at random by up to half, so
/// that many clients do not come back at once.
pub struct Backoff {
    left: u32,
    next: Duration,
    rng: Rng,
}

impl Backoff {
    /// `attempts` in all, so one wait fewer.
    pub fn new(attempts: u32, rng: Rng) -> Self {
        Self {
            left: attempts.saturating_sub(1),
            next: FIRST,
            rng,
        }
    }

    /// How long to wait before the next attempt; `None` when there is none.
    pub fn next_wait(&mut self) -> Option<Duration> {
        self.left = self.left.checked_sub(1)?;
        let whole = self.next;
        self.next = (whole * 2).min(LONGEST);
        // Without randomness the whole wait is as good.
        let share = random::<1>(&*self.rng).map_or(0, |[byte]| u32::from(byte));
        Some(whole.saturating_sub(whole * share / 512))
    }
}

/// Attempts `call` until it succeeds, is decided, or `backoff` has no more waits.
pub async fn retry<R, F>(mut backoff: Backoff, call: impl Fn() -> F) -> Result<R, Failure>
where
    F: Future<Output = Result<R, Status>>,
{
    // Once one attempt may have been done, later ones that never left do not settle the doubt.
    let mut doubt = None;
    loop {
        let failure = match call().await {
            Ok(answer) => return Ok(answer),
            Err(status) => Failure::of(&status),
        };
        let wait = if failure.may_be_tried_again() {
            backoff.next_wait()
        } else {
            None
        };
        let Some(wait) = wait else {
            return Err(match (failure, doubt) {
                (Failure::Unreachable(_), Some(doubt)) => Failure::Broken(doubt),
                (failure, _) => failure,
            });
        };
        if let Failure::Broken(detail) = failure {
            doubt = Some(detail);
        }
        tokio::time::sleep(wait).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sign::tests::rng;
    use std::{cell::RefCell, collections::HashMap, sync::Arc};
    use tonic::Code;
    use tonic_types::{ErrorDetails, StatusExt as _};

    fn answered(code: Code, reason: &str) -> Status {
        Status::with_error_details(
            code,
            "",
            ErrorDetails::with_error_info(reason, "evidence.v1", HashMap::new()),
        )
    }

    /// Plays `answers` and says how many were asked for.
    async fn play(attempts: u32, answers: Vec<Result<u8, Status>>) -> (Result<u8, Failure>, usize) {
        let asked = RefCell::new(0);
        let result = retry(Backoff::new(attempts, Arc::new(rng())), || {
            let answer = answers[*asked.borrow()].clone();
            *asked.borrow_mut() += 1;
            async move { answer }
        })
        .await;
        let asked = *asked.borrow();
        (result, asked)
    }

    #[tokio::test(start_paused = true)]
    async fn an_unknown_outcome_is_asked_again_until_it_is_known() {
        let unknown = || Err(answered(Code::Unknown, "unknown_outcome"));
        let away = || Err(answered(Code::Unavailable, "store_unavailable"));
        assert_eq!(play(5, vec![unknown(), away(), Ok(7)]).await, (Ok(7), 3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_is_final() {
        let (result, asked) = play(
            5,
            vec![Err(answered(Code::FailedPrecondition, "grant_expired"))],
        )
        .await;
        assert!(matches!(result, Err(Failure::Refused(_))));
        assert_eq!(asked, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn attempts_are_bounded_and_a_doubt_stays_one() {
        let away = || Err(answered(Code::Unavailable, "store_unavailable"));
        let (result, asked) = play(3, vec![away(), away(), away()]).await;
        assert!(matches!(result, Err(Failure::Unreachable(_))));
        assert_eq!(asked, 3);
        let unknown = Err(answered(Code::Unknown, "unknown_outcome"));
        let (result, _) = play(3, vec![unknown, away(), away()]).await;
        assert!(matches!(result, Err(Failure::Broken(_))));
    }

    #[test]
    fn waits_grow_to_a_bound() {
        let mut backoff = Backoff::new(12, Arc::new(rng()));
        let waits: Vec<Duration> = std::iter::from_fn(|| backoff.next_wait()).collect();
        assert_eq!(waits.len(), 11);
        assert!(waits[0] <= FIRST && waits[0] >= FIRST / 2);
        assert!(waits[10] <= LONGEST && waits[10] >= LONGEST / 2);
    }
}
