//! Calls per second and calls at once, per trunk.
//!
//! A sans-IO machine: ask [`Pacer::poll_permit`] before each call, tell [`Pacer::release`] when the
//! call is over. Time is an input.

use std::time::{Duration, Instant};

/// What a trunk bears.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// New calls per second. Zero, or no number at all, stops new calls.
    pub calls_per_second: f64,
    /// How many calls may start at once after a quiet time; at least 1 is assumed. Carriers that
    /// count within each second want 1: calls evenly apart.
    pub burst: u32,
    /// Calls at the same time, ringing ones included. Zero stops new calls.
    pub calls_at_once: usize,
}

impl Limits {
    /// The time between two calls; `None` if there are to be none.
    fn interval(&self) -> Option<Duration> {
        if self.calls_at_once == 0 || !self.calls_per_second.is_normal() {
            return None;
        }
        Duration::try_from_secs_f64(1.0 / self.calls_per_second).ok()
    }
}

/// Whether a call may start.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum Permit {
    /// It may, now. It counts as started: [`Pacer::release`] must follow when it is over.
    Granted,
    /// Not before this instant.
    At(Instant),
    /// Not before a call is over or the limits are changed.
    Full,
}

/// Keeps a trunk's limits: a token bucket, and a count of the calls at the same time.
#[derive(Clone, Debug)]
pub struct Pacer {
    limits: Limits,
    /// When the bucket would be full again. (The generic cell rate algorithm: one instant says as
    /// much as a count of tokens and the time of that count, and nothing is ever rounded.)
    full_at: Instant,
    in_use: usize,
}

impl Pacer {
    /// A pacer without calls.
    pub fn new(now: Instant, limits: Limits) -> Self {
        Self { limits, full_at: now, in_use: 0 }
    }

    /// Asks to start a call.
    pub fn poll_permit(&mut self, now: Instant) -> Permit {
        let Some(interval) = self.limits.interval() else { return Permit::Full };
        if self.in_use >= self.limits.calls_at_once {
            return Permit::Full;
        }
        let credit = interval.saturating_mul(self.limits.burst.max(1) - 1);
        let earliest = self.full_at.checked_sub(credit).unwrap_or(now);
        if earliest > now {
            return Permit::At(earliest);
        }
        self.full_at = self.full_at.max(now) + interval;
        self.in_use += 1;
        Permit::Granted
    }

    /// A permit that was just granted is not used: as if it had not been asked for.
    pub fn give_back(&mut self) {
        self.release();
        if let Some(interval) = self.limits.interval() {
            // To be full at a moment that is past, or at this one, is the same.
            self.full_at = self.full_at.checked_sub(interval).unwrap_or(self.full_at);
        }
    }

    /// A call that was granted is over.
    pub fn release(&mut self) {
        self.in_use = self.in_use.saturating_sub(1);
    }

    /// New limits, from now on. Calls under way are not touched, also when there are more of them
    /// than the new limits allow.
    pub fn set_limits(&mut self, now: Instant, limits: Limits) {
        self.limits = limits;
        // What the old rate owes must not hold up the new one for longer than one new interval.
        if let Some(interval) = limits.interval() {
            self.full_at = self.full_at.min(now + interval);
        }
    }

    /// The calls that are under way.
    pub fn in_use(&self) -> usize {
        self.in_use
    }

    /// How many more calls there is room for, the rate aside.
    pub fn room(&self) -> usize {
        self.limits.calls_at_once.saturating_sub(self.in_use)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the tests need some instant to count from")]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn limits(calls_per_second: f64, burst: u32, calls_at_once: usize) -> Limits {
        Limits { calls_per_second, burst, calls_at_once }
    }

    /// Starts calls as soon as they are allowed; the milliseconds at which they started.
    fn starts(pacer: &mut Pacer, began: Instant, count: usize) -> Vec<u128> {
        let mut now = began;
        let mut starts = Vec::new();
        while starts.len() < count {
            match pacer.poll_permit(now) {
                Permit::Granted => starts.push((now - began).as_millis()),
                Permit::At(at) => now = at,
                Permit::Full => break,
            }
        }
        starts
    }

    #[test]
    fn calls_start_evenly_apart() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, limits(4.0, 1, 100));
        assert_eq!(starts(&mut pacer, now, 4), [0, 250, 500, 750]);
    }

    #[test]
    fn a_burst_is_allowed_after_quiet_only() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, limits(2.0, 3, 100));
        assert_eq!(starts(&mut pacer, now, 5), [0, 0, 0, 500, 1000]);
        let later = now + Duration::from_mins(1);
        assert_eq!(starts(&mut pacer, later, 4), [0, 0, 0, 500]);
    }

    #[test]
    fn no_more_calls_at_once_than_allowed() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, limits(1000.0, 1, 2));
        assert_eq!(starts(&mut pacer, now, 5).len(), 2);
        let later = now + Duration::from_secs(1);
        assert_eq!((pacer.poll_permit(later), pacer.room()), (Permit::Full, 0));
        pacer.release();
        assert_eq!(pacer.poll_permit(later), Permit::Granted);
        assert_eq!(pacer.in_use(), 2);
    }

    #[test]
    fn a_permit_that_is_not_used_costs_nothing() {
        for burst in [1, 3] {
            let now = Instant::now();
            let mut pacer = Pacer::new(now, limits(2.0, burst, 4));
            let mut untouched = pacer.clone();
            for _ in 0..burst {
                assert_eq!(pacer.poll_permit(now), Permit::Granted);
            }
            for _ in 0..burst {
                pacer.give_back();
            }
            assert_eq!(pacer.in_use(), 0);
            assert_eq!(starts(&mut pacer, now, 4), starts(&mut untouched, now, 4));
        }
    }

    #[test]
    fn limits_change_while_calls_are_under_way() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, limits(10.0, 1, 10));
        assert_eq!(starts(&mut pacer, now, 5).len(), 5);
        let later = now + Duration::from_secs(1);
        pacer.set_limits(later, limits(10.0, 1, 3));
        assert_eq!(pacer.poll_permit(later), Permit::Full);
        assert_eq!(pacer.in_use(), 5);
        for stopped in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            pacer.set_limits(later, limits(stopped, 1, 100));
            assert_eq!(pacer.poll_permit(later), Permit::Full, "{stopped}");
        }
        pacer.set_limits(later, limits(10.0, 1, 6));
        assert_eq!(pacer.poll_permit(later), Permit::Granted);
    }

    #[test]
    fn a_faster_rate_is_felt_at_once() {
        let now = Instant::now();
        let mut pacer = Pacer::new(now, limits(0.01, 1, 10));
        assert_eq!(pacer.poll_permit(now), Permit::Granted);
        assert_eq!(pacer.poll_permit(now), Permit::At(now + Duration::from_secs(100)));
        pacer.set_limits(now, limits(10.0, 1, 10));
        assert_eq!(pacer.poll_permit(now), Permit::At(now + Duration::from_millis(100)));
    }

    proptest! {
        #[test]
        fn no_second_holds_more_calls_than_the_rate_and_the_burst(
            rate in 1_u32..50,
            burst in 1_u32..5,
            steps in prop::collection::vec((0_u64..400, prop::bool::ANY), 1..200),
        ) {
            let began = Instant::now();
            let mut now = began;
            let mut pacer = Pacer::new(now, limits(f64::from(rate), burst, 20));
            let mut granted: Vec<Instant> = Vec::new();
            for (wait, ends_one) in steps {
                now += Duration::from_millis(wait);
                if ends_one {
                    pacer.release();
                }
                while pacer.poll_permit(now) == Permit::Granted {
                    granted.push(now);
                }
                prop_assert!(pacer.in_use() <= 20);
            }
            for (index, first) in granted.iter().enumerate() {
                let within = granted[index..]
                    .iter()
                    .filter(|at| **at - *first < Duration::from_millis(999))
                    .count();
                prop_assert!(within <= (rate + burst) as usize, "{within} in a second");
            }
        }
    }
}
