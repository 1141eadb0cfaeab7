//! A clock that is set once: real from then on, or virtual when tokio's is paused.

use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

use crate::base::{Clock, Now};

/// A clock that shows `now` and then follows tokio's clock. Within a tokio runtime only.
pub fn starting_at(now: Timestamp) -> Clock {
    let began = Instant::now();
    Clock::new(move || {
        let instant = Instant::now();
        let passed = SignedDuration::try_from(instant - began).unwrap_or(SignedDuration::MAX);
        let timestamp = now.saturating_add(passed).unwrap_or(Timestamp::MAX);
        Now { instant: instant.into_std(), timestamp }
    })
}
