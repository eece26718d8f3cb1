//! Time, as the gateway sees it: the one place that reads the system clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::{SignedDuration, Timestamp};

/// Where `now` comes from. Clones share one clock, so advancing one advances all.
///
/// Everything below the gateway (rules, ledger, store) takes `now` as an argument; the gateway
/// gets that argument here.
#[derive(Clone, Debug)]
pub struct Clock(Source);

/// Why a clock did not move.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ClockError {
    #[error(
        "this gateway follows the system clock and cannot be moved; only a sandbox's clock can"
    )]
    NotSettable,
    #[error("a clock only moves forward; give a positive time, or start a new sandbox")]
    Backwards,
    #[error("that is beyond the last moment the calendar knows; give a shorter time")]
    TooFar,
}

impl Clock {
    /// The system clock. What production uses.
    pub fn system() -> Self {
        Self(Source::System)
    }

    /// A clock that runs with the system's, plus whatever it has been advanced by. For a sandbox.
    pub fn settable() -> Self {
        Self(Source::Settable {
            start: None,
            ahead_us: Arc::default(),
        })
    }

    /// A clock that stands at `start` and moves only when advanced. For a sandbox or a test that
    /// must say the same thing each time.
    pub fn stopped_at(start: Timestamp) -> Self {
        Self(Source::Settable {
            start: Some(start),
            ahead_us: Arc::default(),
        })
    }

    /// The moment, in whole microseconds (the finest that both database engines keep).
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System => system_now(),
            Source::Settable { start, ahead_us } => {
                let start = start.unwrap_or_else(system_now);
                let now_us = start.as_microsecond() + ahead_us.load(Ordering::SeqCst);
                Timestamp::from_microsecond(now_us).unwrap_or(Timestamp::MAX)
            }
        }
    }

    /// Moves a settable clock forward by `by` and returns the new moment.
    ///
    /// # Errors
    /// [`ClockError`] if this is the system clock, `by` is not positive, or the result would be
    /// out of range; the clock then stays as it was.
    pub fn advance(&self, by: SignedDuration) -> Result<Timestamp, ClockError> {
        let Source::Settable { ahead_us, .. } = &self.0 else {
            return Err(ClockError::NotSettable);
        };
        if !by.is_positive() {
            return Err(ClockError::Backwards);
        }
        let by_us = i64::try_from(by.as_micros()).map_err(|_| ClockError::TooFar)?;
        self.now().checked_add(by).map_err(|_| ClockError::TooFar)?;
        ahead_us.fetch_add(by_us, Ordering::SeqCst);
        Ok(self.now())
    }
}

#[derive(Clone, Debug)]
enum Source {
    System,
    Settable {
        start: Option<Timestamp>,
        ahead_us: Arc<AtomicI64>,
    },
}

#[expect(
    clippy::disallowed_methods,
    reason = "this is the clock everything else takes `now` from"
)]
fn system_now() -> Timestamp {
    let now = Timestamp::now();
    // Finer digits would be lost in the database, and a receipt would then disagree with its row.
    Timestamp::from_microsecond(now.as_microsecond()).unwrap_or(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start() -> Timestamp {
        "2026-03-02T09:00:00Z".parse().unwrap()
    }

    #[test]
    fn a_stopped_clock_moves_only_when_told_and_all_clones_with_it() {
        let clock = Clock::stopped_at(start());
        let other = clock.clone();
        assert_eq!(clock.now(), start());
        assert_eq!(clock.now(), start());
        let later = other.advance(SignedDuration::from_hours(30)).unwrap();
        assert_eq!(later, "2026-03-03T15:00:00Z".parse().unwrap());
        assert_eq!(clock.now(), later);
    }

    #[test]
    fn a_settable_clock_runs_on_from_where_it_was_put() {
        let system = Clock::system();
        let clock = Clock::settable();
        clock.advance(SignedDuration::from_hours(24)).unwrap();
        let ahead = clock.now().duration_since(system.now());
        assert!(ahead > SignedDuration::from_hours(23));
        assert!(ahead < SignedDuration::from_hours(25));
    }

    #[test]
    fn time_is_in_whole_microseconds() {
        assert_eq!(Clock::system().now().as_nanosecond() % 1_000, 0);
    }

    #[test]
    fn refusals_leave_the_clock_as_it_was() {
        let hour = SignedDuration::from_hours(1);
        assert_eq!(Clock::system().advance(hour), Err(ClockError::NotSettable));
        let clock = Clock::stopped_at(start());
        for (by, why) in [
            (SignedDuration::ZERO, ClockError::Backwards),
            (-hour, ClockError::Backwards),
            (SignedDuration::MAX, ClockError::TooFar),
            (
                SignedDuration::from_hours(24 * 365 * 9_000),
                ClockError::TooFar,
            ),
        ] {
            assert_eq!(clock.advance(by), Err(why));
            assert_eq!(clock.now(), start());
        }
    }
}
