//! The UDP socket of a trunk, which also hears that nobody is there.

use std::collections::VecDeque;
use std::io;
use std::io::IoSliceMut;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;

use nix::cmsg_space;
use nix::sys::socket;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, SockaddrStorage, sockopt};
use socket2::SockRef;
use tokio::net::UdpSocket;
use tracing::trace;

/// Room for bursts: a few hundred messages.
const BUFFER_BYTES: usize = 1 << 20;

/// The most errors that are read at a time.
const MAX_ERRORS: usize = 64;

/// A bound socket. What cannot be sent counts as lost, and is sent again by who needs it.
#[derive(Debug)]
pub(super) struct SipSocket {
    socket: UdpSocket,
    /// Where datagrams did not arrive, not told yet.
    unreachable: VecDeque<SocketAddr>,
}

/// What has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Received {
    /// A datagram; its bytes are in the buffer.
    Datagram { source: SocketAddr, length: usize },
    /// The network says that our datagrams do not reach this address.
    Unreachable(SocketAddr),
}

impl SipSocket {
    pub(super) fn bind(address: SocketAddr) -> io::Result<Self> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, None)?;
        socket.set_nonblocking(true)?;
        // The system may give less; a burst is then lost sooner.
        socket.set_recv_buffer_size(BUFFER_BYTES)?;
        if address.is_ipv4() {
            socket::setsockopt(&socket, sockopt::Ipv4RecvErr, &true)?;
        } else {
            socket::setsockopt(&socket, sockopt::Ipv6RecvErr, &true)?;
        }
        socket.bind(&address.into())?;
        let socket = UdpSocket::from_std(socket.into())?;
        Ok(Self { socket, unreachable: VecDeque::new() })
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    pub(super) fn send(&mut self, destination: SocketAddr, bytes: &[u8]) {
        // An error of an earlier datagram is told by the next call, which then sends nothing.
        for _ in 0..2 {
            // Past the runtime, which refuses until it has learnt that the socket can be written to.
            match SockRef::from(&self.socket).send_to(bytes, &destination.into()) {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    trace!(%destination, %error, "a datagram could not be sent");
                    if !self.read_errors() {
                        return self.unreachable.push_back(destination);
                    }
                }
            }
        }
    }

    /// The next thing that comes. Cancel-safe.
    pub(super) async fn receive(&mut self, buffer: &mut [u8]) -> Received {
        loop {
            if let Some(destination) = self.unreachable.pop_front() {
                return Received::Unreachable(destination);
            }
            match self.socket.recv_from(buffer).await {
                Ok((length, source)) => return Received::Datagram { source, length },
                Err(_) => {
                    if !self.read_errors() {
                        // Never in a tight loop, whatever the system means.
                        tokio::task::yield_now().await;
                    }
                }
            }
        }
    }

    /// Reads what the network has said about our datagrams (`IP_RECVERR`); `false` if nothing.
    fn read_errors(&mut self) -> bool {
        let mut has_read = false;
        for _ in 0..MAX_ERRORS {
            let mut control = cmsg_space!(nix::libc::sock_extended_err, nix::libc::sockaddr_in6);
            let mut byte = [0];
            let mut slices = [IoSliceMut::new(&mut byte)];
            let message = socket::recvmsg::<SockaddrStorage>(
                self.socket.as_raw_fd(),
                &mut slices,
                Some(&mut control),
                MsgFlags::MSG_ERRQUEUE | MsgFlags::MSG_DONTWAIT,
            );
            let Ok(message) = message else { break };
            has_read = true;
            let is_from_network = message.cmsgs().is_ok_and(|mut messages| {
                messages.any(|one| {
                    matches!(
                        one,
                        ControlMessageOwned::Ipv4RecvErr(..) | ControlMessageOwned::Ipv6RecvErr(..)
                    )
                })
            });
            // The address is the one that the datagram was for.
            let destination = message.address.and_then(|address| {
                let v4 = address.as_sockaddr_in().map(|v4| SocketAddr::from(*v4));
                v4.or_else(|| address.as_sockaddr_in6().map(|v6| SocketAddr::from(*v6)))
            });
            self.unreachable.extend(destination.filter(|_| is_from_network));
        }
        has_read
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Long enough for any machine; nothing waits for it when all is well.
    const PATIENCE: Duration = Duration::from_secs(20);

    async fn next(socket: &mut SipSocket, buffer: &mut [u8]) -> Received {
        tokio::time::timeout(PATIENCE, socket.receive(buffer)).await.expect("something comes")
    }

    #[tokio::test]
    async fn datagrams_come_with_their_source() {
        let mut one = SipSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let mut two = SipSocket::bind("127.0.0.1:0".parse().unwrap()).unwrap();
        one.send(two.local_addr().unwrap(), b"hello");
        let mut buffer = [0; 100];
        let source = one.local_addr().unwrap();
        let received = next(&mut two, &mut buffer).await;
        assert_eq!(received, Received::Datagram { source, length: 5 });
        assert_eq!(buffer[..5], *b"hello");
    }

    #[tokio::test]
    async fn a_closed_port_is_told_and_others_are_not_disturbed() {
        for local in ["127.0.0.1:0", "[::1]:0"] {
            let Ok(mut socket) = SipSocket::bind(local.parse().unwrap()) else {
                eprintln!("left out: no address {local} on this machine");
                continue;
            };
            let mut peer = SipSocket::bind(local.parse().unwrap()).unwrap();
            let closed = {
                let closed = SipSocket::bind(local.parse().unwrap()).unwrap();
                closed.local_addr().unwrap()
            };
            let mut buffer = [0; 100];
            socket.send(closed, b"anyone?");
            assert_eq!(next(&mut socket, &mut buffer).await, Received::Unreachable(closed));
            // The error of one destination must not swallow the datagram for another.
            socket.send(closed, b"anyone?");
            socket.send(peer.local_addr().unwrap(), b"hello");
            let source = socket.local_addr().unwrap();
            let received = next(&mut peer, &mut buffer).await;
            assert_eq!(received, Received::Datagram { source, length: 5 });
            assert_eq!(next(&mut socket, &mut buffer).await, Received::Unreachable(closed));
        }
    }
}
