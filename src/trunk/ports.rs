//! Pairs of UDP ports for RTP (even) and RTCP (the odd one above), from a range.
//!
//! A pair comes back to the end of a line: it is used again as late as possible, so that what the
//! last call's gateway still sends does not reach another patient's call. The first order is
//! random, so that ports cannot be guessed (RTP injection).

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::net::SocketAddr;
use std::net::UdpSocket;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;

use rand::seq::SliceRandom;

/// The pairs of a range.
#[derive(Clone, Debug)]
pub struct Ports {
    /// Even ports that are not in use, the one that rested longest first.
    free: Arc<Mutex<VecDeque<u16>>>,
}

/// A bound pair, for as long as it lives.
#[derive(Debug)]
pub struct PortPair {
    /// The socket on the even port.
    pub rtp: UdpSocket,
    /// The socket on the odd port above it.
    pub rtcp: UdpSocket,
    /// To be dropped after the sockets.
    pub lease: Lease,
}

/// Keeps a pair from being used again until it is dropped.
#[derive(Debug)]
pub struct Lease {
    port: u16,
    free: Arc<Mutex<VecDeque<u16>>>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).push_back(self.port);
    }
}

impl Ports {
    /// The pairs that lie wholly within a range.
    pub fn new(range: &RangeInclusive<u16>) -> Self {
        let mut even: Vec<u16> = range
            .clone()
            .filter(|port| port % 2 == 0 && *port != 0 && range.contains(&(port + 1)))
            .collect();
        even.shuffle(&mut rand::rng());
        Self { free: Arc::new(Mutex::new(even.into())) }
    }

    /// How many pairs are not in use by us.
    pub fn n_free(&self) -> usize {
        self.free.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Binds a free pair on a local address. Pairs that another program uses are passed over.
    ///
    /// # Errors
    ///
    /// `AddrInUse` when no pair is left; otherwise what the operating system says of the address.
    pub fn open(&self, local: IpAddr) -> io::Result<PortPair> {
        for _ in 0..self.n_free() {
            let next = self.free.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(port) = next else { break };
            let lease = Lease { port, free: Arc::clone(&self.free) };
            let bind = |port| UdpSocket::bind(SocketAddr::new(local, port));
            match bind(port).and_then(|rtp| Ok((rtp, bind(port + 1)?))) {
                Ok((rtp, rtcp)) => return Ok(PortPair { rtp, rtcp, lease }),
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(error),
            }
        }
        Err(io::Error::new(io::ErrorKind::AddrInUse, "no pair of RTP ports is free"))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use super::*;

    const LOCAL: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    /// A stretch of ports that nobody uses at the moment, by asking the system for one.
    fn quiet_range(n_pairs: u16) -> RangeInclusive<u16> {
        for _ in 0..100 {
            let probe = UdpSocket::bind((LOCAL, 0)).unwrap().local_addr().unwrap().port();
            let first = probe.min(u16::MAX - 2 * n_pairs) & !1;
            let range = first..=first + 2 * n_pairs - 1;
            if range.clone().all(|port| UdpSocket::bind((LOCAL, port)).is_ok()) {
                return range;
            }
        }
        panic!("no quiet range of ports");
    }

    #[test]
    fn pairs_are_even_and_odd_and_never_given_twice() {
        let range = quiet_range(8);
        let ports = Ports::new(&range);
        let pairs: Vec<PortPair> = (0..8).map(|_| ports.open(LOCAL).unwrap()).collect();
        let mut seen = HashSet::new();
        for pair in &pairs {
            let rtp = pair.rtp.local_addr().unwrap().port();
            assert_eq!((rtp % 2, pair.rtcp.local_addr().unwrap().port()), (0, rtp + 1));
            assert!(range.contains(&rtp) && seen.insert(rtp));
        }
        let none_left = ports.open(LOCAL).unwrap_err();
        assert_eq!(none_left.kind(), io::ErrorKind::AddrInUse);
        drop(pairs);
        assert_eq!(ports.n_free(), 8);
    }

    #[test]
    fn a_pair_rests_until_all_others_were_used() {
        let ports = Ports::new(&quiet_range(4));
        let mut order = Vec::new();
        for _ in 0..8 {
            order.push(ports.open(LOCAL).unwrap().rtp.local_addr().unwrap().port());
        }
        assert_eq!(order[..4], order[4..]);
        assert_eq!(order[..4].iter().collect::<HashSet<_>>().len(), 4);
    }

    #[test]
    fn ports_of_other_programs_are_passed_over() {
        let range = quiet_range(3);
        let ports = Ports::new(&range);
        // One program holds an even port, another an odd one.
        let even = UdpSocket::bind((LOCAL, *range.start())).unwrap();
        let odd = UdpSocket::bind((LOCAL, *range.start() + 3)).unwrap();
        let pair = ports.open(LOCAL).unwrap();
        assert_eq!(pair.rtp.local_addr().unwrap().port(), *range.start() + 4);
        assert!(ports.open(LOCAL).is_err());
        drop((even, odd, pair));
        assert_eq!(ports.n_free(), 3);
        assert!(ports.open(LOCAL).is_ok());
    }

    #[test]
    fn a_range_holds_only_whole_pairs() {
        for (range, n_pairs) in [
            (20_000..=20_003, 2),
            (20_001..=20_004, 1),
            (20_000..=20_000, 0),
            (0..=3, 1),
            (65_534..=65_535, 1),
        ] {
            assert_eq!(Ports::new(&range).n_free(), n_pairs, "{range:?}");
        }
    }
}
