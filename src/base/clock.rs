//! Time as it is handed down from the edge.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;

/// The zone of the calendar that patients and staff live by.
pub const ZONE: &str = "Asia/Tokyo";

/// One reading of both clocks, taken once per turn by the edge.
///
/// Protocols measure with `instant`, which never steps; the domain writes down `timestamp`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Now {
    /// The monotonic clock: for deadlines and durations.
    pub instant: Instant,
    /// The wall clock: for what is stored and shown.
    pub timestamp: Timestamp,
}

impl Now {
    /// Both clocks moved on by the same span.
    #[must_use]
    pub fn later(self, by: Duration) -> Self {
        Self { instant: self.instant + by, timestamp: self.timestamp + by }
    }

    /// The calendar date in Japan.
    pub fn date(self) -> Date {
        civil(self.timestamp).date()
    }
}

/// How the edge hands time down: the composition root decides which clock is read.
///
/// A service reads the clocks of its host; a simulation reads its virtual one.
#[derive(Clone)]
pub struct Clock {
    read: Arc<dyn Fn() -> Now + Send + Sync>,
    is_host: bool,
}

impl Clock {
    /// A clock that is read by calling `read`, and keeps a time of its own.
    pub fn new(read: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), is_host: false }
    }

    /// The clock of a host: it ought to agree with those of other hosts.
    pub fn of_host(read: impl Fn() -> Now + Send + Sync + 'static) -> Self {
        Self { read: Arc::new(read), is_host: true }
    }

    /// One reading.
    pub fn now(&self) -> Now {
        (self.read)()
    }

    /// Whether it ought to agree with the clocks of other hosts.
    pub fn is_host(&self) -> bool {
        self.is_host
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// The Asia/Tokyo zone, from the table that is built in.
pub fn zone() -> TimeZone {
    TimeZone::get(ZONE).expect("the zone table is built in")
}

/// Date and time of day in Japan.
pub fn civil(timestamp: Timestamp) -> DateTime {
    timestamp.to_zoned(zone()).datetime()
}

/// The instant of a date and time of day in Japan.
pub fn timestamp(civil: DateTime) -> Timestamp {
    // Japan has had no daylight saving time since 1952, so no local time is skipped or doubled.
    zone().to_timestamp(civil).expect("within the range of dates that jiff knows")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_day_begins_at_midnight_in_japan() {
        let before: Timestamp = "2026-11-22T14:59:59Z".parse().unwrap();
        let after: Timestamp = "2026-11-22T15:00:00Z".parse().unwrap();
        assert_eq!(civil(before).date().to_string(), "2026-11-22");
        assert_eq!(civil(after).date().to_string(), "2026-11-23");
        assert_eq!(timestamp(civil(after)), after);
    }
}
