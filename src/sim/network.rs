//! A bad network: loses, delays, doubles and reorders, the same way again for the same seed.

use std::time::{Duration, Instant};

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

/// How bad the network is. Probabilities are from 0 to 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Config {
    /// A packet never arrives.
    pub loss: f64,
    /// A packet arrives twice.
    pub duplication: f64,
    /// A packet is held back by [`Self::held_back`], so that later ones overtake it.
    pub reordering: f64,
    /// How long an overtaken packet is held back.
    pub held_back: Duration,
    /// How long every packet travels at least.
    pub delay: Duration,
    /// And at most this much longer.
    pub jitter: Duration,
}

impl Config {
    /// Everything arrives at once, and once.
    pub const PERFECT: Self = Self {
        loss: 0.0,
        duplication: 0.0,
        reordering: 0.0,
        held_back: Duration::ZERO,
        delay: Duration::ZERO,
        jitter: Duration::ZERO,
    };

    /// 5 % lost, 5 % overtaken, 40 ms of jitter: what a call is still expected to survive.
    pub const BAD: Self = Self {
        loss: 0.05,
        duplication: 0.02,
        reordering: 0.05,
        held_back: Duration::from_millis(60),
        delay: Duration::from_millis(20),
        jitter: Duration::from_millis(40),
    };
}

/// Packets under way from one side to the other.
#[derive(Debug)]
pub struct Network<T> {
    config: Config,
    dice: StdRng,
    /// In no order.
    under_way: Vec<(Instant, u64, T)>,
    n_sent: u64,
}

impl<T: Clone> Network<T> {
    /// An empty network.
    pub fn new(config: Config, seed: u64) -> Self {
        Self { config, dice: StdRng::seed_from_u64(seed), under_way: Vec::new(), n_sent: 0 }
    }

    /// Sends a packet: it will arrive never, once or twice.
    pub fn send(&mut self, now: Instant, packet: T) {
        let copies = 1 + usize::from(self.dice.random_bool(self.config.duplication));
        for _ in 0..copies {
            if self.dice.random_bool(self.config.loss) {
                continue;
            }
            let mut delay = self.config.delay;
            delay += self.dice.random_range(Duration::ZERO..=self.config.jitter);
            if self.dice.random_bool(self.config.reordering) {
                delay += self.config.held_back;
            }
            self.n_sent += 1;
            self.under_way.push((now + delay, self.n_sent, packet.clone()));
        }
    }

    /// When the next packet arrives.
    pub fn next_arrival(&self) -> Option<Instant> {
        self.under_way.iter().map(|(at, _, _)| *at).min()
    }

    /// The next packet that has arrived by now. Packets that arrive together keep their order.
    pub fn receive(&mut self, now: Instant) -> Option<T> {
        let arrived = self.under_way.iter().enumerate().filter(|(_, (at, _, _))| *at <= now);
        let (index, _) = arrived.min_by_key(|(_, (at, number, _))| (*at, *number))?;
        Some(self.under_way.swap_remove(index).2)
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one arbitrary origin; the rest is derived")]
mod tests {
    use super::*;

    fn through(config: Config, seed: u64) -> Vec<u32> {
        let start = Instant::now();
        let mut network = Network::new(config, seed);
        let mut arrived = Vec::new();
        for number in 0..1000_u32 {
            let now = start + Duration::from_millis(20) * number;
            network.send(now, number);
            while let Some(packet) = network.receive(now) {
                arrived.push(packet);
            }
        }
        while let Some(at) = network.next_arrival() {
            arrived.extend(network.receive(at));
        }
        arrived
    }

    #[test]
    fn a_perfect_network_changes_nothing() {
        assert_eq!(through(Config::PERFECT, 1), (0..1000).collect::<Vec<_>>());
    }

    #[test]
    fn a_bad_network_loses_doubles_and_reorders_the_same_way_again() {
        let arrived = through(Config::BAD, 1);
        assert_eq!(arrived, through(Config::BAD, 1));
        assert_ne!(arrived, through(Config::BAD, 2));
        let mut distinct = arrived.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert!((900..990).contains(&distinct.len()), "{} arrived", distinct.len());
        assert!(distinct.len() < arrived.len(), "some arrive twice");
        assert!(arrived.windows(2).any(|pair| pair[1] < pair[0]), "some are overtaken");
    }
}
