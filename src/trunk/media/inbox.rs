//! Reads all that waits on a socket in one system call, with the kernel's time of each arrival.

use std::io;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::fd::AsRawFd;
use std::time::Duration;
use std::time::Instant;
use std::time::SystemTime;

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket;
use nix::sys::socket::ControlMessageOwned;
use nix::sys::socket::MsgFlags;
use nix::sys::socket::MultiHeaders;
use nix::sys::socket::SockaddrStorage;
use nix::sys::socket::sockopt;
use nix::sys::time::TimeSpec;

/// Datagrams read by one call.
const BATCH: usize = 16;

/// Longer datagrams are cut off, and are no packets of ours.
const DATAGRAM_BYTES: usize = 1500;

/// An arrival cannot lie further back than this; if it seems so, the wall clock was set.
const OLDEST: Duration = Duration::from_secs(1);

/// Whether a socket may hold more.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Left {
    /// It is empty: the next packet makes it ready again.
    Nothing,
    /// It may hold more, and will not be told ready again.
    Perhaps,
}

/// Buffers for one batch; see the [module docs](self).
pub(super) struct Inbox {
    /// The kernel leaves the length of the last address behind, so each family has its own.
    headers: [MultiHeaders<SockaddrStorage>; 2],
    buffers: Box<[[u8; DATAGRAM_BYTES]; BATCH]>,
}

/// One reading of both clocks, to turn the kernel's wall time into an instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) now: Instant,
    pub(super) wall: SystemTime,
}

impl Clocks {
    fn arrival(self, stamp: TimeSpec) -> Instant {
        let since_epoch = self.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let stamp = Duration::from(stamp);
        let age = since_epoch.saturating_sub(stamp);
        if age <= OLDEST { self.now.checked_sub(age).unwrap_or(self.now) } else { self.now }
    }
}

/// Asks the kernel to note when packets arrive.
pub(super) fn stamp_arrivals(socket: &impl AsFd) -> io::Result<()> {
    Ok(socket::setsockopt(socket, sockopt::ReceiveTimestampns, &true)?)
}

impl Inbox {
    pub(super) fn new() -> Self {
        let headers = || MultiHeaders::preallocate(BATCH, Some(cmsg_space!(TimeSpec)));
        let buffers = vec![[0; DATAGRAM_BYTES]; BATCH].into_boxed_slice();
        Self {
            headers: [headers(), headers()],
            buffers: buffers.try_into().unwrap_or_else(|_| unreachable!("made of BATCH buffers")),
        }
    }

    /// Reads one batch from a socket that does not block.
    pub(super) fn read(
        &mut self,
        socket: &impl AsRawFd,
        is_v6: bool,
        clocks: Clocks,
        mut take: impl FnMut(Instant, SocketAddr, &[u8]),
    ) -> Left {
        let mut slices = self.buffers.each_mut().map(|buffer| [IoSliceMut::new(buffer)]);
        let headers = &mut self.headers[usize::from(is_v6)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = socket::recvmmsg(socket.as_raw_fd(), headers, &mut slices, flags, None);
        let messages = match received {
            Ok(messages) => messages,
            Err(Errno::EINTR) => return Left::Perhaps,
            // An ICMP error of an earlier packet was told and is gone; what waits is still there.
            Err(Errno::ECONNREFUSED | Errno::EHOSTUNREACH | Errno::ENETUNREACH) => {
                return Left::Perhaps;
            }
            Err(_) => return Left::Nothing,
        };
        let mut n = 0;
        for message in messages {
            n += 1;
            let Some(source) = message.address.and_then(source) else { continue };
            let stamp = message.cmsgs().ok().and_then(|mut messages| {
                messages.find_map(|message| match message {
                    ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
                    _ => None,
                })
            });
            let at = stamp.map_or(clocks.now, |stamp| clocks.arrival(stamp));
            if let Some(bytes) = message.iovs().next() {
                take(at, source, bytes);
            }
        }
        if n < BATCH { Left::Nothing } else { Left::Perhaps }
    }
}

fn source(address: SockaddrStorage) -> Option<SocketAddr> {
    let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
    v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the kernel stamps arrivals with the real clock")]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    fn clocks() -> Clocks {
        Clocks { now: Instant::now(), wall: SystemTime::now() }
    }

    #[test]
    fn datagrams_of_both_families_come_in_order_with_source_and_time() {
        let mut inbox = Inbox::new();
        // The families take turns, since one leaves traces in the headers of the other.
        for local in ["127.0.0.1:0", "[::1]:0", "127.0.0.1:0", "[::1]:0"] {
            let Ok(receiver) = UdpSocket::bind(local) else {
                eprintln!("left out: no address {local} on this machine");
                continue;
            };
            receiver.set_nonblocking(true).unwrap();
            stamp_arrivals(&receiver).unwrap();
            let sender = UdpSocket::bind(local).unwrap();
            let before = Instant::now();
            for n in 0..20_u8 {
                sender.send_to(&[n; 7], receiver.local_addr().unwrap()).unwrap();
            }
            let mut seen = Vec::new();
            let is_v6 = receiver.local_addr().unwrap().is_ipv6();
            let mut read = || {
                inbox.read(&receiver, is_v6, clocks(), |at, source, bytes| {
                    assert_eq!((source, bytes.len()), (sender.local_addr().unwrap(), 7));
                    // Both clocks are read one after the other: a little slack.
                    assert!(at + Duration::from_millis(5) >= before);
                    seen.push(bytes[0]);
                })
            };
            assert_eq!([read(), read(), read()], [Left::Perhaps, Left::Nothing, Left::Nothing]);
            assert_eq!(seen, (0..20).collect::<Vec<u8>>());
        }
    }

    #[test]
    fn a_clock_that_was_set_does_not_move_arrivals() {
        let clocks = clocks();
        let since_epoch = clocks.wall.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        for (age_ms, expected_ms) in [(0, 0), (250, 250), (5000, 0), (-3000, 0)] {
            let stamp = since_epoch.as_millis().cast_signed() - age_ms;
            let stamp = Duration::from_millis(u64::try_from(stamp).unwrap())
                + Duration::from_nanos((since_epoch.as_nanos() % 1_000_000) as u64);
            let at = clocks.arrival(TimeSpec::from_duration(stamp));
            assert_eq!(clocks.now - at, Duration::from_millis(expected_ms), "{age_ms}");
        }
    }
}
