//! How often one address may knock, how many passwords are looked at at once, and how much of what
//! is refused is written down.

use std::fmt;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use governor::clock::Clock as GovernorClock;
use governor::middleware::NoOpMiddleware;
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use tokio::sync::Semaphore;

use crate::base::Clock;

/// Tries to sign in that an address has at once: a whole centre behind one address signs in at nine
/// o'clock, each with a password and a code.
const KNOCKS_AT_ONCE: NonZeroU32 = NonZeroU32::new(60).expect("not zero");

/// Tries to sign in that come back per minute.
const KNOCKS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// Requests of any kind that an address has at once.
const REQUESTS_AT_ONCE: NonZeroU32 = NonZeroU32::new(1000).expect("not zero");

/// Requests that come back per second.
const REQUESTS_PER_SECOND: NonZeroU32 = NonZeroU32::new(100).expect("not zero");

/// Refusals of an account that are written down at once.
const REFUSALS_AT_ONCE: NonZeroU32 = NonZeroU32::new(20).expect("not zero");

/// Refusals that may be written down again per minute.
const REFUSALS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(1).expect("not zero");

/// Each password takes 19 MiB and a core while it is looked at.
const HASHES_AT_ONCE: usize = 4;

/// Beyond so many addresses or accounts those that have been quiet are forgotten.
const REMEMBERED: usize = 10_000;

type Limiter<K = IpAddr> = RateLimiter<K, DashMapStateStore<K>, Beat, NoOpMiddleware<Duration>>;

/// Keeps those out who knock too often.
pub struct Gate {
    knocks: Limiter,
    requests: Limiter,
    refusals: Limiter<String>,
    hashing: Semaphore,
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Gate")
    }
}

impl Gate {
    /// A gate where nobody has knocked yet.
    pub fn new(clock: &Clock) -> Self {
        let beat = Beat { clock: clock.clone(), began: clock.now().instant };
        let knocks = Quota::per_minute(KNOCKS_PER_MINUTE).allow_burst(KNOCKS_AT_ONCE);
        let requests = Quota::per_second(REQUESTS_PER_SECOND).allow_burst(REQUESTS_AT_ONCE);
        let refusals = Quota::per_minute(REFUSALS_PER_MINUTE).allow_burst(REFUSALS_AT_ONCE);
        Self {
            knocks: RateLimiter::new(knocks, DashMapStateStore::default(), beat.clone()),
            requests: RateLimiter::new(requests, DashMapStateStore::default(), beat.clone()),
            refusals: RateLimiter::new(refusals, DashMapStateStore::default(), beat),
            hashing: Semaphore::new(HASHES_AT_ONCE),
        }
    }

    /// Whether this address may try a password, a code or a token now.
    pub fn admits_knock(&self, address: IpAddr) -> bool {
        admits(&self.knocks, &network(address))
    }

    /// Whether this address may ask for anything now.
    pub fn admits_request(&self, address: IpAddr) -> bool {
        admits(&self.requests, &network(address))
    }

    /// Whether a refusal of this account, or token, is written down now.
    pub fn admits_refusal(&self, actor: &str) -> bool {
        admits(&self.refusals, &actor.to_owned())
    }

    /// Runs what hashes a password, apart from what answers requests, and few at once.
    ///
    /// # Errors
    /// If it breaks off.
    pub async fn hash<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> anyhow::Result<T> {
        let _turn = self.hashing.acquire().await?;
        Ok(tokio::task::spawn_blocking(work).await?)
    }
}

fn admits<K: Clone + Eq + Hash>(limiter: &Limiter<K>, key: &K) -> bool {
    if limiter.len() > REMEMBERED {
        limiter.retain_recent();
    }
    limiter.check_key(key).is_ok()
}

/// Who has one address of IPv6 has all of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// The clock of the house, as the crate wants it: time since the gate was made.
#[derive(Clone, Debug)]
struct Beat {
    clock: Clock,
    began: Instant,
}

impl GovernorClock for Beat {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.clock.now().instant.saturating_duration_since(self.began)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use jiff::Timestamp;

    use super::*;
    use crate::base::Now;

    #[test]
    fn an_address_that_knocks_too_often_waits_and_others_do_not() {
        let began = Now {
            instant: tokio::time::Instant::now().into_std(),
            timestamp: Timestamp::UNIX_EPOCH,
        };
        let now = Arc::new(Mutex::new(began));
        let shared = Arc::clone(&now);
        let gate = Gate::new(&Clock::new(move || *shared.lock().unwrap()));
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let admitted = (0..100).filter(|_| gate.admits_knock(one)).count();
        assert_eq!(admitted, 60);
        assert!(gate.admits_knock("192.0.2.2".parse().unwrap()));
        *now.lock().unwrap() = began.later(Duration::from_secs(3));
        assert!(gate.admits_knock(one));
        assert!(!gate.admits_knock(one));
        *now.lock().unwrap() = began.later(Duration::from_mins(10));
        assert_eq!((0..100).filter(|_| gate.admits_knock(one)).count(), 60);
    }

    #[test]
    fn addresses_of_one_network_count_together() {
        for (one, other, expected) in [
            ("2001:db8::1", "2001:db8::2", true),
            ("2001:db8::1", "2001:db8:0:1::1", false),
            ("::ffff:192.0.2.1", "192.0.2.1", true),
            ("192.0.2.1", "192.0.2.2", false),
        ] {
            let same = network(one.parse().unwrap()) == network(other.parse().unwrap());
            assert_eq!(same, expected, "{one} {other}");
        }
    }
}
