//! When each call's next packet is due: a wheel of twenty slots, one for each millisecond of a
//! frame.
//!
//! Calls are spread over the slots, so that a thread sends a few packets each millisecond instead
//! of all at once. Deadlines are whole milliseconds from one origin and therefore never drift.

use std::time::Duration;
use std::time::Instant;

/// Slots in a frame of 20 ms.
const N_SLOTS: usize = 20;

/// Frames that are caught up with when the thread was held up. Beyond them frames are left out:
/// a burst would overrun the jitter buffer at the far end.
const MAX_BURST_FRAMES: u64 = 3;

/// What is due.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Due {
    /// One frame of the calls in this slot.
    Slot(usize),
    /// It is too late for so many frames of every call.
    Skipped(u32),
}

/// The wheel; see the [module docs](self).
#[derive(Debug)]
pub(super) struct Wheel {
    origin: Instant,
    /// Slots that have been, since the origin.
    turned: u64,
    slots: [Vec<usize>; N_SLOTS],
}

impl Wheel {
    pub(super) fn new(now: Instant) -> Self {
        Self { origin: now, turned: 0, slots: Default::default() }
    }

    /// Adds a call to the emptiest slot.
    pub(super) fn add(&mut self, key: usize) {
        if let Some(slot) = self.slots.iter_mut().min_by_key(|slot| slot.len()) {
            slot.push(key);
        }
    }

    pub(super) fn remove(&mut self, key: usize) {
        for slot in &mut self.slots {
            slot.retain(|&other| other != key);
        }
    }

    pub(super) fn slot(&self, slot: usize) -> &[usize] {
        &self.slots[slot]
    }

    /// Begins anew, after a time without calls.
    pub(super) fn restart(&mut self, now: Instant) {
        self.origin = now;
        self.turned = 0;
    }

    /// When the next slot is due.
    pub(super) fn deadline(&self) -> Instant {
        // A slot is a millisecond.
        self.origin + Duration::from_millis(self.turned)
    }

    /// The next thing that is due at this time, if any.
    pub(super) fn poll(&mut self, now: Instant) -> Option<Due> {
        let deadline = self.deadline();
        if now < deadline {
            return None;
        }
        let n_slots = N_SLOTS as u64;
        let late = u64::try_from((now - deadline).as_millis()).unwrap_or(u64::MAX);
        let late_frames = late / n_slots;
        if late_frames >= MAX_BURST_FRAMES {
            self.turned += late_frames * n_slots;
            return Some(Due::Skipped(u32::try_from(late_frames).unwrap_or(u32::MAX)));
        }
        let slot = usize::try_from(self.turned % n_slots).unwrap_or(0);
        self.turned += 1;
        Some(Due::Slot(slot))
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "one arbitrary origin; every later instant is derived"
)]
mod tests {
    use super::*;

    const SLOT: Duration = Duration::from_millis(1);

    fn drain(wheel: &mut Wheel, now: Instant) -> Vec<Due> {
        std::iter::from_fn(|| wheel.poll(now)).collect()
    }

    #[test]
    fn every_slot_comes_once_a_frame_however_irregular_the_wakes() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        let mut due = Vec::new();
        for ms in [0, 1, 2, 5, 9, 10, 30, 39] {
            due.extend(drain(&mut wheel, origin + SLOT * ms));
        }
        let expected: Vec<Due> = (0..40).map(|n| Due::Slot(n % 20)).collect();
        assert_eq!(due, expected);
        assert_eq!(wheel.deadline(), origin + SLOT * 40);
        assert_eq!(drain(&mut wheel, origin + Duration::from_micros(39_999)), []);
    }

    #[test]
    fn a_short_delay_is_caught_up_with_and_a_long_one_is_not() {
        let origin = Instant::now();
        let mut wheel = Wheel::new(origin);
        let caught_up = drain(&mut wheel, origin + SLOT * 59);
        assert_eq!(caught_up.len(), 60);
        assert!(!caught_up.iter().any(|due| matches!(due, Due::Skipped(_))));

        let late = drain(&mut wheel, origin + SLOT * 10_007);
        assert_eq!(late[0], Due::Skipped((10_007 - 60) / 20));
        // The phase of every call is kept.
        assert_eq!(late[1], Due::Slot(0));
        assert!(late.len() <= 21, "{}", late.len());
        assert_eq!(wheel.deadline(), origin + SLOT * 10_008);
    }

    #[test]
    fn calls_are_spread_evenly() {
        let mut wheel = Wheel::new(Instant::now());
        for key in 0..50 {
            wheel.add(key);
        }
        let sizes: Vec<usize> = (0..N_SLOTS).map(|slot| wheel.slot(slot).len()).collect();
        assert!(sizes.iter().all(|size| (2..=3).contains(size)), "{sizes:?}");
        for key in 0..50 {
            wheel.remove(key);
        }
        assert!((0..N_SLOTS).all(|slot| wheel.slot(slot).is_empty()));
    }
}
