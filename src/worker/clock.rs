//! Whether the time can be trusted: nobody is called by a clock that disagrees with the database's.
//!
//! A machine that was suspended, a clock that somebody set, a host whose clock runs away: each would
//! call at the wrong hour, or a second time within a minute. What is stored stays in order without
//! this, for slots are numbered within their day and attempts within their slot.

use jiff::{SignedDuration, Timestamp};
use tracing::{info, warn};

use crate::base::Clock;
use crate::store::{DatabaseTime, Store, StoreError};
use crate::worker::Road;

/// Clocks of well-kept hosts agree much better.
const TOLERANCE: SignedDuration = SignedDuration::from_secs(2);

/// How far our clock is ahead of what the database knows of the time, if they disagree; negative if
/// it is behind.
pub async fn ahead(store: &Store, clock: &Clock) -> Result<Option<SignedDuration>, StoreError> {
    let before = clock.now().timestamp;
    let time = store.time().await?;
    let after = clock.now().timestamp;
    Ok(match time {
        DatabaseTime::Clock(_) if !clock.is_host() => None,
        DatabaseTime::Clock(at) => disagreement(before, at, after),
        // It was earlier, so our clock cannot be too far ahead of it.
        DatabaseTime::Written(at) => at.and_then(|at| disagreement(at, at, after)),
    })
}

/// How far a clock that was read before and after is ahead of another that was read in between.
fn disagreement(before: Timestamp, at: Timestamp, after: Timestamp) -> Option<SignedDuration> {
    let (ahead, behind) = (before.duration_since(at), at.duration_since(after));
    if ahead > TOLERANCE {
        Some(ahead)
    } else if behind > TOLERANCE {
        Some(-behind)
    } else {
        None
    }
}

/// Says so when trust is lost, and when it comes back.
#[derive(Debug, Default)]
pub(super) struct Trust {
    is_lost: bool,
}

impl Trust {
    /// Whether calls may be placed by our clock.
    pub(super) async fn holds<C>(&mut self, road: &Road<C>) -> Result<bool, StoreError> {
        let ahead = ahead(&road.store, &road.clock).await?;
        match ahead {
            Some(ahead) if !self.is_lost => warn!(
                ahead_ms = i64::try_from(ahead.as_millis()).unwrap_or(i64::MAX),
                "no calls are placed: our clock and the database disagree by {ahead:#}"
            ),
            None if self.is_lost => info!("the clocks agree again"),
            _ => {}
        }
        self.is_lost = ahead.is_some();
        Ok(!self.is_lost)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_disagree_only_if_no_delay_explains_it() {
        let at = |millis: i64| Timestamp::from_millisecond(1_000_000 + millis).unwrap();
        for (before, between, after, expected) in [
            (0, 0, 0, None),
            (0, 1_999, 0, None),
            (0, -2_000, 0, None),
            (0, -2_001, 0, Some(2_001)),
            (0, 2_001, 0, Some(-2_001)),
            // A slow answer may have been given at any moment until it came.
            (0, 4_000, 5_000, None),
            (0, 9_000, 5_000, Some(-4_000)),
            (0, -9_000, 5_000, Some(9_000)),
        ] {
            let found = disagreement(at(before), at(between), at(after));
            let expected = expected.map(SignedDuration::from_millis);
            assert_eq!(found, expected, "{before} {between} {after}");
        }
    }
}
