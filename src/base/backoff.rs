//! Exponential back-off with jitter.

use std::time::Duration;

use rand::RngExt;
use rand::rngs::StdRng;

/// How long to wait before try *n* of something that failed.
#[derive(Clone, Copy, Debug)]
pub struct Backoff {
    /// The wait after the first failure.
    pub first: Duration,
    /// No wait is longer than this.
    pub longest: Duration,
}

impl Backoff {
    /// The wait after `failures` failures in a row: doubled each time, then spread over the upper
    /// half so that many clients do not return at once.
    pub fn delay(&self, failures: u32, rng: &mut StdRng) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        let full = self.first.saturating_mul(1 << doublings).min(self.longest);
        full.mul_f64(rng.random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn it_doubles_up_to_the_longest_wait() {
        let backoff = Backoff { first: Duration::from_secs(1), longest: Duration::from_mins(1) };
        let mut rng = StdRng::seed_from_u64(7);
        for (failures, full) in [(1, 1), (2, 2), (3, 4), (7, 60), (u32::MAX, 60)] {
            let delay = backoff.delay(failures, &mut rng);
            let full = Duration::from_secs(full);
            assert!(delay <= full && delay >= full / 2, "{failures}: {delay:?}");
        }
    }
}
