//! The one place that reads the clocks of the host.

use crate::base::{Clock, Now};

/// The clocks of the host.
#[expect(clippy::disallowed_methods, reason = "the edge: time enters the program here")]
pub(super) fn host() -> Clock {
    Clock::of_host(|| Now {
        instant: tokio::time::Instant::now().into_std(),
        timestamp: jiff::Timestamp::now(),
    })
}
