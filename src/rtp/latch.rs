//! Where a stream comes from and goes to: symmetric RTP that no third party can take over.
//!
//! Gateways behind address translation send from another port than the one they signalled, and
//! want the answer there. So the first packets decide; but only the signalled host, and networks
//! that the operator named, may speak at all, and after the first packets the source is pinned.
//!
//! ```text
//!          first packet                  five packets of one source
//! Open ──────────────────► Learning ─────────────────────────────────► Pinned
//!  ▲                                                                      │
//!  └── new address signalled ◄────────────┬───────────────────────────────┤
//!                     Learning ◄──────────┘ same address, another port, after 2 s of silence
//! ```

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;
use std::time::Instant;

/// Packets after which a source is pinned.
const N_PINNING: u8 = 5;

/// A pinned source that is silent for so long may come back from another port.
const SILENCE: Duration = Duration::from_secs(2);

/// Addresses with a common beginning, such as `203.0.113.0/24`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Network {
    /// Any address of the network.
    pub address: IpAddr,
    /// How many leading bits are common.
    pub prefix: u8,
}

impl Network {
    /// Whether an address belongs to it.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (ours, theirs, width) = match (self.address, address) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (u128::from(ours.to_bits()), u128::from(theirs.to_bits()), 32)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => (ours.to_bits(), theirs.to_bits(), 128),
            _ => return false,
        };
        let n_free = width - u32::from(self.prefix).min(width);
        (ours ^ theirs).checked_shr(n_free).unwrap_or(0) == 0
    }
}

/// The far end's address; see the [module docs](self).
#[derive(Clone, Debug)]
pub struct Latch {
    signalled: SocketAddr,
    networks: Vec<Network>,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    Open,
    Learning { source: SocketAddr, n_packets: u8 },
    Pinned { source: SocketAddr, heard_at: Instant },
}

impl Latch {
    /// Starts with the address that was signalled; `networks` may speak besides its host.
    pub fn new(signalled: SocketAddr, networks: Vec<Network>) -> Self {
        Self { signalled, networks, state: State::Open }
    }

    /// Takes notice of a new address of the signalling. The same address again changes nothing.
    pub fn signal(&mut self, signalled: SocketAddr) {
        if self.signalled != signalled {
            self.signalled = signalled;
            self.state = State::Open;
        }
    }

    /// Where to send; `None` while the far end wants nothing (`0.0.0.0`), or names an address that
    /// is nobody's alone.
    pub fn target(&self) -> Option<SocketAddr> {
        let target = match self.state {
            State::Open => self.signalled,
            State::Learning { source, .. } | State::Pinned { source, .. } => source,
        };
        let ip = target.ip();
        let is_broadcast = matches!(ip, IpAddr::V4(ip) if ip.is_broadcast());
        let nobody = ip.is_unspecified() || ip.is_multicast() || is_broadcast || target.port() == 0;
        (!nobody && !self.signalled.ip().is_unspecified()).then_some(target)
    }

    /// Whether a well-formed packet of this source may be listened to. Learns from it, if so.
    pub fn admit(&mut self, now: Instant, source: SocketAddr) -> bool {
        let is_ours = source.ip() == self.signalled.ip()
            || self.networks.iter().any(|network| network.contains(source.ip()));
        if !is_ours {
            return false;
        }
        self.state = match self.state {
            State::Open => State::Learning { source, n_packets: 1 },
            State::Learning { source: before, n_packets } if before == source => {
                if n_packets + 1 < N_PINNING {
                    State::Learning { source, n_packets: n_packets + 1 }
                } else {
                    State::Pinned { source, heard_at: now }
                }
            }
            // Of two that speak at first, the one that was signalled is the right one.
            State::Learning { .. } if source == self.signalled => {
                State::Learning { source, n_packets: 1 }
            }
            State::Learning { .. } => return false,
            State::Pinned { source: pinned, .. } if pinned == source => {
                State::Pinned { source, heard_at: now }
            }
            State::Pinned { source: pinned, heard_at }
                if pinned.ip() == source.ip() && now >= heard_at + SILENCE =>
            {
                State::Learning { source, n_packets: 1 }
            }
            State::Pinned { .. } => return false,
        };
        true
    }
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "one arbitrary origin; every later instant is derived"
)]
mod tests {
    use super::*;

    /// Plays `source@seconds` words and writes down who was admitted, and the target at the end.
    fn play(networks: &[&str], script: &str) -> (String, String) {
        let networks = networks.iter().map(|text| network(text)).collect();
        let mut latch = Latch::new("192.0.2.1:4000".parse().unwrap(), networks);
        let origin = Instant::now();
        let verdicts: Vec<&str> = script
            .split_whitespace()
            .map(|word| {
                let (source, seconds) = word.split_once('@').unwrap();
                let now = origin + Duration::from_secs(seconds.parse().unwrap());
                if latch.admit(now, source.parse().unwrap()) { "y" } else { "n" }
            })
            .collect();
        let target = latch.target().map_or("nobody".to_owned(), |target| target.to_string());
        (verdicts.concat(), target)
    }

    fn network(text: &str) -> Network {
        let (address, prefix) = text.split_once('/').unwrap();
        Network { address: address.parse().unwrap(), prefix: prefix.parse().unwrap() }
    }

    #[test]
    fn the_first_packets_decide_and_strangers_never_do() {
        let signalled = "192.0.2.1:4000@0 ".repeat(5);
        let translated = "192.0.2.1:5555@0 ".repeat(5);
        for (case, networks, script, verdicts, target) in [
            ("nobody spoke", vec![], String::new(), "", "192.0.2.1:4000"),
            ("as signalled", vec![], signalled.clone(), "yyyyy", "192.0.2.1:4000"),
            ("another port", vec![], "192.0.2.1:5555@0".into(), "y", "192.0.2.1:5555"),
            ("another host", vec![], "198.51.100.9:4000@0".into(), "n", "192.0.2.1:4000"),
            (
                "a named network",
                vec!["198.51.100.0/24"],
                "198.51.100.9:7000@0 198.51.101.9:7000@0".into(),
                "yn",
                "198.51.100.9:7000",
            ),
            (
                "the signalled port wins while learning",
                vec![],
                "192.0.2.1:5555@0 192.0.2.1:4000@0 192.0.2.1:5555@0".into(),
                "yyn",
                "192.0.2.1:4000",
            ),
            (
                "pinned",
                vec!["0.0.0.0/0"],
                format!("{translated} 192.0.2.1:4000@1 198.51.100.9:4000@9 192.0.2.1:5555@9"),
                "yyyyynny",
                "192.0.2.1:5555",
            ),
            (
                "back from another port",
                vec![],
                format!("{translated} 192.0.2.1:6000@3 192.0.2.1:5555@3"),
                "yyyyyyn",
                "192.0.2.1:6000",
            ),
        ] {
            let expected = (verdicts.to_owned(), target.to_owned());
            assert_eq!(play(&networks, &script), expected, "{case}");
        }
    }

    #[test]
    fn a_new_signalled_address_begins_anew() {
        let mut latch = Latch::new("192.0.2.1:4000".parse().unwrap(), Vec::new());
        let now = Instant::now();
        for _ in 0..9 {
            assert!(latch.admit(now, "192.0.2.1:5555".parse().unwrap()));
        }
        latch.signal("192.0.2.1:4000".parse().unwrap());
        assert_eq!(latch.target(), Some("192.0.2.1:5555".parse().unwrap()));
        latch.signal("192.0.2.7:4000".parse().unwrap());
        assert_eq!(latch.target(), Some("192.0.2.7:4000".parse().unwrap()));
        assert!(!latch.admit(now, "192.0.2.1:5555".parse().unwrap()));
        assert!(latch.admit(now, "192.0.2.7:4000".parse().unwrap()));
    }

    #[test]
    fn nothing_is_sent_to_addresses_that_are_nobodys() {
        for address in
            ["0.0.0.0:4000", "224.0.0.1:4000", "255.255.255.255:4000", "192.0.2.1:0", "[::]:9"]
        {
            let latch = Latch::new(address.parse().unwrap(), Vec::new());
            assert_eq!(latch.target(), None, "{address}");
        }
    }

    #[test]
    fn networks_are_told_by_their_leading_bits() {
        for (text, address, expected) in [
            ("198.51.100.0/24", "198.51.100.255", true),
            ("198.51.100.0/24", "198.51.101.0", false),
            ("198.51.100.7/32", "198.51.100.7", true),
            ("198.51.100.7/32", "198.51.100.6", false),
            ("0.0.0.0/0", "203.0.113.1", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("2001:db8::/32", "2001:db8:ffff::1", true),
            ("2001:db8::/32", "2001:db9::1", false),
            ("::/0", "2001:db9::1", true),
        ] {
            assert_eq!(
                network(text).contains(address.parse().unwrap()),
                expected,
                "{text} {address}"
            );
        }
    }
}
