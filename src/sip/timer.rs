//! The timers of RFC 3261 and RFC 6026, and a table of who must be woken when.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::{Duration, Instant};

/// The three values that all timers follow from (RFC 3261 §17.1.1.1 and table 4).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timers {
    /// An estimate of the round trip: the first wait before a message is sent again. RFC: 500 ms.
    pub t1: Duration,
    /// The longest wait between two copies of a non-INVITE request or of a final response to an
    /// INVITE. RFC: 4 s.
    pub t2: Duration,
    /// How long a message may stay in the network. RFC: 5 s.
    pub t4: Duration,
}

impl Timers {
    /// The values that RFC 3261 recommends for the open internet.
    pub const RFC3261: Self = Self {
        t1: Duration::from_millis(500),
        t2: Duration::from_secs(4),
        t4: Duration::from_secs(5),
    };

    /// `64 × T1`: when a transaction is given up (timers B, F, H), and how long a finished one
    /// stays to absorb what still arrives (timers D, J, L, M).
    pub fn lifetime(&self) -> Duration {
        self.t1 * 64
    }
}

/// Whether the transport delivers by itself what was handed to it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Delivery {
    /// UDP: messages may be lost, so they are sent again, and echoes must be absorbed.
    Datagram,
    /// TCP or TLS: nothing is sent twice, and nothing is waited for.
    Stream,
}

impl Delivery {
    /// How long a finished transaction lingers, given how long it would on UDP.
    pub(in crate::sip) fn linger(self, on_datagrams: Duration) -> Duration {
        match self {
            Self::Datagram => on_datagrams,
            Self::Stream => Duration::ZERO,
        }
    }
}

/// When to send a message again: waits that double, up to a longest one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::sip) struct Retransmission {
    /// When the next copy is due; `None` when no more copies are sent.
    pub(in crate::sip) at: Option<Instant>,
    interval: Duration,
    longest: Duration,
}

impl Retransmission {
    /// Starts with the first copy sent at `now`; over streams no copy follows.
    pub(in crate::sip) fn start(
        now: Instant,
        first: Duration,
        longest: Duration,
        delivery: Delivery,
    ) -> Self {
        let at = match delivery {
            Delivery::Datagram => Some(now + first),
            Delivery::Stream => None,
        };
        Self { at, interval: first, longest }
    }

    /// Whether a copy is due; if so, the next one is planned.
    pub(in crate::sip) fn take_due(&mut self, now: Instant) -> bool {
        let due = self.at.is_some_and(|at| at <= now);
        if due {
            self.interval = (self.interval * 2).min(self.longest);
            self.at = Some(now + self.interval);
        }
        due
    }

    /// From now on the longest wait separates the copies.
    pub(in crate::sip) fn slow_down(&mut self, now: Instant) {
        self.interval = self.longest;
        if self.at.is_some() {
            self.at = Some(now + self.longest);
        }
    }

    /// No more copies.
    pub(in crate::sip) fn stop(&mut self) {
        self.at = None;
    }
}

/// Who must be woken when: one deadline for each key.
#[derive(Debug)]
pub(in crate::sip) struct TimerTable<K> {
    by_time: BTreeSet<(Instant, K)>,
    by_key: HashMap<K, Instant>,
}

impl<K: Copy + Eq + Hash + Ord> TimerTable<K> {
    pub(in crate::sip) fn new() -> Self {
        Self { by_time: BTreeSet::new(), by_key: HashMap::new() }
    }

    /// Replaces the deadline of `key`; `None` removes it.
    pub(in crate::sip) fn set(&mut self, key: K, deadline: Option<Instant>) {
        if self.by_key.get(&key).copied() == deadline {
            return;
        }
        if let Some(old) = self.by_key.remove(&key) {
            self.by_time.remove(&(old, key));
        }
        if let Some(at) = deadline {
            self.by_key.insert(key, at);
            self.by_time.insert((at, key));
        }
    }

    /// The earliest deadline of all.
    pub(in crate::sip) fn next(&self) -> Option<Instant> {
        self.by_time.first().map(|(at, _)| *at)
    }

    /// Takes out one key whose deadline has come, the earliest first.
    pub(in crate::sip) fn pop_due(&mut self, now: Instant) -> Option<K> {
        let (at, key) = *self.by_time.first()?;
        if at > now {
            return None;
        }
        self.by_time.pop_first();
        self.by_key.remove(&key);
        Some(key)
    }

    #[cfg(test)]
    pub(in crate::sip) fn is_empty(&self) -> bool {
        self.by_key.is_empty() && self.by_time.is_empty()
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "one arbitrary origin; every later instant is derived"
)]
mod tests {
    use super::*;

    #[test]
    fn copies_follow_doubled_waits_up_to_the_longest() {
        let origin = Instant::now();
        let Timers { t1, t2, .. } = Timers::RFC3261;
        let mut retransmission = Retransmission::start(origin, t1, t2, Delivery::Datagram);
        let mut waits = Vec::new();
        let mut now = origin;
        for _ in 0..6 {
            let at = retransmission.at.unwrap();
            waits.push((at - now).as_millis());
            assert!(!retransmission.take_due(now), "not before its time");
            now = at;
            assert!(retransmission.take_due(now));
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 4000, 4000]);
    }

    #[test]
    fn nothing_is_sent_twice_over_a_stream() {
        let origin = Instant::now();
        let Timers { t1, t2, .. } = Timers::RFC3261;
        let mut retransmission = Retransmission::start(origin, t1, t2, Delivery::Stream);
        assert!(!retransmission.take_due(origin + t1 * 100));
        assert_eq!(Delivery::Stream.linger(t2), Duration::ZERO);
    }

    #[test]
    fn a_key_has_one_deadline_and_the_earliest_comes_first() {
        let origin = Instant::now();
        let at = |seconds| origin + Duration::from_secs(seconds);
        let mut table = TimerTable::new();
        table.set('a', Some(at(3)));
        table.set('b', Some(at(2)));
        table.set('a', Some(at(1)));
        table.set('c', Some(at(1)));
        table.set('c', None);
        assert_eq!(table.next(), Some(at(1)));
        assert_eq!(table.pop_due(at(0)), None);
        assert_eq!(table.pop_due(at(5)), Some('a'));
        assert_eq!(table.pop_due(at(5)), Some('b'));
        assert_eq!(table.pop_due(at(5)), None);
        assert!(table.is_empty());
    }
}
