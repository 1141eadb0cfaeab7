//! How many calls are placed in a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Keeps the cap on calls per second: never more within any stretch of a second.
#[derive(Debug)]
pub(super) struct Pace {
    per_second: usize,
    placed: VecDeque<Instant>,
}

impl Pace {
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = usize::try_from(per_second).unwrap_or(usize::MAX);
        Self { per_second, placed: VecDeque::new() }
    }

    pub(super) fn has_room(&mut self, now: Instant) -> bool {
        while self.placed.front().is_some_and(|at| *at + Duration::from_secs(1) <= now) {
            self.placed.pop_front();
        }
        self.placed.len() < self.per_second
    }

    pub(super) fn note(&mut self, now: Instant) {
        self.placed.push_back(now);
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one arbitrary origin; every later time is derived")]
mod tests {
    use super::*;

    #[test]
    fn no_second_has_more_calls_than_the_cap() {
        let origin = Instant::now();
        let mut pace = Pace::new(3);
        let mut placed = Vec::new();
        for ms in (0..5000).step_by(70) {
            let now = origin + Duration::from_millis(ms);
            if pace.has_room(now) {
                pace.note(now);
                placed.push(ms);
            }
        }
        assert!(placed.windows(4).all(|calls| calls[3] - calls[0] >= 1000), "{placed:?}");
        assert!(placed.len() >= 14, "{placed:?}");
    }
}
