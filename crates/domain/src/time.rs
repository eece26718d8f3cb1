//! Moments and days. A moment is microseconds since 1970 in UTC; a day is a
//! civil date in Europe/London, where every party to this system works.

use jiff::{Timestamp, civil::Date, tz::TimeZone};
use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Moment(i64);

impl Moment {
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Whole seconds, rounded down, as a CWT NumericDate.
    pub const fn seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    #[must_use]
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1_000_000)))
    }

    pub fn timestamp(self) -> Timestamp {
        Timestamp::from_microsecond(self.0).unwrap_or(Timestamp::MAX)
    }

    /// The day in Europe/London.
    pub fn day(self) -> Date {
        self.timestamp().to_zoned(london()).date()
    }
}

impl From<Timestamp> for Moment {
    fn from(timestamp: Timestamp) -> Self {
        Self(timestamp.as_microsecond())
    }
}

/// The day `days` after `date`, or the last day there is.
pub fn days_after(date: Date, days: i64) -> Date {
    date.saturating_add(jiff::Span::new().days(days.clamp(-100_000, 100_000)))
}

fn london() -> TimeZone {
    static LONDON: std::sync::LazyLock<TimeZone> = std::sync::LazyLock::new(|| {
        TimeZone::get("Europe/London").expect("the time zone data is compiled in")
    });
    LONDON.clone()
}

/// A span of days, both included; open where `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Period {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Date>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Date>,
}

impl Period {
    /// Whether every day of `inner` is a day of this period.
    pub fn covers(&self, inner: &Period) -> bool {
        let starts = self
            .from
            .is_none_or(|from| inner.from.is_some_and(|i| i >= from));
        let ends = self.to.is_none_or(|to| inner.to.is_some_and(|i| i <= to));
        starts && ends
    }

    /// Whether it ends before it starts.
    pub fn is_backwards(&self) -> bool {
        matches!((self.from, self.to), (Some(from), Some(to)) if to < from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_day_follows_british_summer_time() {
        let late = Moment::from("2026-07-01T23:30:00Z".parse::<Timestamp>().expect("valid"));
        assert_eq!(late.day(), date(2026, 7, 2));
        let winter = Moment::from("2026-12-01T23:30:00Z".parse::<Timestamp>().expect("valid"));
        assert_eq!(winter.day(), date(2026, 12, 1));
    }

    #[test]
    fn an_open_end_is_covered_only_by_an_open_end() {
        let year = Period {
            from: Some(date(2026, 1, 1)),
            to: Some(date(2026, 12, 31)),
        };
        assert!(Period::default().covers(&year));
        assert!(!year.covers(&Period::default()));
        assert!(year.covers(&year));
        assert!(!year.covers(&Period {
            from: Some(date(2025, 12, 31)),
            to: Some(date(2026, 2, 1))
        }));
    }
}
