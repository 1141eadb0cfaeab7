//! The hours in which patients may be called, in Asia/Tokyo.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};

use crate::base::clock;
use crate::registry::HealthCenter;

/// No automatic call before this time of day, whatever a centre's hours are.
pub const EARLIEST: Time = Time::constant(8, 0, 0, 0);

/// No automatic call at or after this time of day. The outer custom is 8 to 21 (貸金業法 第21条);
/// people in bed are left alone an hour earlier.
pub const LATEST: Time = Time::constant(20, 0, 0, 0);

/// The daily hours in which calls may start: from `opens_at` up to, not including, `closes_at`.
///
/// Always inside [`EARLIEST`] to [`LATEST`]. Asia/Tokyo has no daylight saving time, so every day
/// has the same hours and a window never crosses midnight.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "Hours")]
pub struct Window {
    opens_at: Time,
    closes_at: Time,
}

/// A window as it is read.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Hours {
    opens_at: Time,
    closes_at: Time,
}

impl TryFrom<Hours> for Window {
    type Error = WindowError;

    fn try_from(hours: Hours) -> Result<Self, WindowError> {
        Self::new(hours.opens_at, hours.closes_at)
    }
}

/// The hours are not allowed.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum WindowError {
    /// The window ends before it begins.
    #[error("calling hours end at {closes_at}, before they begin at {opens_at}")]
    Empty {
        /// As given.
        opens_at: Time,
        /// As given.
        closes_at: Time,
    },
    /// The window leaves the hours in which anybody may be called.
    #[error("calling hours {opens_at} to {closes_at} leave the limits of 08:00 to 20:00")]
    BeyondLimit {
        /// As given.
        opens_at: Time,
        /// As given.
        closes_at: Time,
    },
}

impl Window {
    /// The hours from `opens_at` to `closes_at`, if they are allowed.
    pub fn new(opens_at: Time, closes_at: Time) -> Result<Self, WindowError> {
        if opens_at >= closes_at {
            return Err(WindowError::Empty { opens_at, closes_at });
        }
        if opens_at < EARLIEST || closes_at > LATEST {
            return Err(WindowError::BeyondLimit { opens_at, closes_at });
        }
        Ok(Self { opens_at, closes_at })
    }

    /// All hours in which anybody may be called.
    pub fn widest() -> Self {
        Self { opens_at: EARLIEST, closes_at: LATEST }
    }

    /// The hours that both allow. They may be none: then it is never open.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        Self {
            opens_at: self.opens_at.max(other.opens_at),
            closes_at: self.closes_at.min(other.closes_at),
        }
    }

    /// The part of a centre's hours in which calls are allowed. It may be empty: then it is never
    /// open.
    pub fn of(center: &HealthCenter) -> Self {
        Self {
            opens_at: center.opens_at.clamp(EARLIEST, LATEST),
            closes_at: center.closes_at.clamp(EARLIEST, LATEST),
        }
    }

    /// Calls may start from this time of day on.
    pub fn opens_at(&self) -> Time {
        self.opens_at
    }

    /// Calls may start before this time of day.
    pub fn closes_at(&self) -> Time {
        self.closes_at
    }

    /// Whether a call may start now.
    pub fn is_open(&self, at: Timestamp) -> bool {
        let time = clock::civil(at).time();
        self.opens_at <= time && time < self.closes_at
    }

    /// The first instant, not before `at`, at which a call may start. `None` if there is none.
    pub fn next_open(&self, at: Timestamp) -> Option<Timestamp> {
        if self.opens_at >= self.closes_at {
            return None;
        }
        let local = clock::civil(at);
        if local.time() < self.opens_at {
            Some(on(local.date(), self.opens_at))
        } else if local.time() < self.closes_at {
            Some(at)
        } else {
            Some(on(local.date().tomorrow().ok()?, self.opens_at))
        }
    }
}

/// The instant of a time of day in Japan.
pub(crate) fn on(date: Date, time: Time) -> Timestamp {
    clock::timestamp(DateTime::from_parts(date, time))
}

#[cfg(test)]
mod tests {
    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;

    fn at(text: &str) -> Timestamp {
        clock::timestamp(text.parse().unwrap())
    }

    fn nine_to_six() -> Window {
        Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap()
    }

    #[test]
    fn the_next_opening_is_found_across_midnight_and_the_end_of_the_year() {
        for (asked, open, next) in [
            ("2026-11-22T08:59:59", false, "2026-11-22T09:00"),
            ("2026-11-22T09:00", true, "2026-11-22T09:00"),
            ("2026-11-22T17:59:59.999", true, "2026-11-22T17:59:59.999"),
            ("2026-11-22T18:00", false, "2026-11-23T09:00"),
            ("2026-11-22T23:59:59", false, "2026-11-23T09:00"),
            ("2026-11-23T00:00", false, "2026-11-23T09:00"),
            ("2026-12-31T18:00", false, "2027-01-01T09:00"),
            ("2028-02-28T20:00", false, "2028-02-29T09:00"),
        ] {
            assert_eq!(nine_to_six().is_open(at(asked)), open, "{asked}");
            assert_eq!(nine_to_six().next_open(at(asked)), Some(at(next)), "{asked}");
        }
    }

    #[test]
    fn nobody_is_called_at_night_whatever_a_centre_says() {
        assert!(Window::new(time(7, 0, 0, 0), time(18, 0, 0, 0)).is_err());
        assert!(Window::new(time(9, 0, 0, 0), time(20, 30, 0, 0)).is_err());
        assert!(Window::new(time(9, 0, 0, 0), time(9, 0, 0, 0)).is_err());
        let window = Window::of(&center(time(0, 0, 0, 0), time(23, 59, 0, 0)));
        assert_eq!((window.opens_at(), window.closes_at()), (EARLIEST, LATEST));
    }

    #[test]
    fn a_centre_with_hours_at_night_only_is_never_open() {
        let window = Window::of(&center(time(21, 0, 0, 0), time(23, 0, 0, 0)));
        assert_eq!(window.next_open(at("2026-11-22T21:30")), None);
        assert!(!window.is_open(at("2026-11-22T20:00")));
    }

    fn center(opens_at: Time, closes_at: Time) -> HealthCenter {
        let id = crate::base::id::Minter::new([3; 32]).mint(at("2026-11-22T00:00"));
        HealthCenter {
            id,
            code: "minato".into(),
            name: "みなと保健所".into(),
            kana: "ミナトホケンジョ".into(),
            desk_phone: "03-0000-0000".into(),
            opens_at,
            closes_at,
        }
    }

    proptest! {
        #[test]
        fn the_next_opening_is_open_and_the_first(second in 0_i64..200_000_000, hours in (0_i8..24, 0_i8..24)) {
            let asked = at("2024-01-01T00:00") + std::time::Duration::from_secs(second.unsigned_abs());
            let window = Window::of(&center(time(hours.0, 0, 0, 0), time(hours.1, 0, 0, 0)));
            if let Some(next) = window.next_open(asked) {
                prop_assert!(window.is_open(next) && next >= asked);
                let before = next - std::time::Duration::from_secs(1);
                prop_assert!(next == asked || !window.is_open(before));
                let hour = clock::civil(next).hour();
                prop_assert!((8..20).contains(&hour));
            }
        }
    }
}
