//! The client's side of every request but INVITE and ACK (RFC 3261 §17.1.2).
//!
//! ```text
//!        1xx             200–699             timer K
//! Trying ───► Proceeding ───────► Completed ────────► Terminated
//!    └───────────┴── timer F, transport error ───────────►┘
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use crate::sip::timer::{Delivery, Retransmission, Timers};
use crate::sip::transaction::ClientOutput;

/// The machine; its owner keeps the request, as with
/// [`ClientInvite`](crate::sip::transaction::ClientInvite).
#[derive(Debug)]
pub struct Client {
    timers: Timers,
    delivery: Delivery,
    state: State,
    /// Timer E.
    retransmission: Retransmission,
    /// Timer F or K.
    expires: Option<Instant>,
    outputs: VecDeque<ClientOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl Client {
    /// Sends the request for the first time.
    pub fn new(now: Instant, timers: Timers, delivery: Delivery) -> Self {
        Self {
            timers,
            delivery,
            state: State::Trying,
            retransmission: Retransmission::start(now, timers.t1, timers.t2, delivery),
            expires: Some(now + timers.lifetime()),
            outputs: VecDeque::from([ClientOutput::Send]),
        }
    }

    /// Feeds the status of a response that matched.
    pub fn handle_response(&mut self, now: Instant, status: u16) {
        match (self.state, status) {
            (State::Trying | State::Proceeding, 100..=199) => {
                if self.state == State::Trying {
                    self.retransmission.slow_down(now);
                }
                self.state = State::Proceeding;
                self.outputs.push_back(ClientOutput::Pass);
            }
            (State::Trying | State::Proceeding, 200..) => {
                self.state = State::Completed;
                self.retransmission.stop();
                self.expires = Some(now + self.delivery.linger(self.timers.t4));
                self.outputs.push_back(ClientOutput::Pass);
            }
            // Copies of the final response.
            (State::Completed | State::Terminated, _) => {}
            // No response has such a number.
            (State::Trying | State::Proceeding, ..=99) => {}
        }
    }

    /// The transport says that the request cannot be delivered.
    pub fn handle_transport_error(&mut self) {
        if matches!(self.state, State::Trying | State::Proceeding) {
            self.terminate();
            self.outputs.push_back(ClientOutput::TransportFailed);
        }
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.expires.is_some_and(|at| at <= now) {
            if matches!(self.state, State::Trying | State::Proceeding) {
                self.outputs.push_back(ClientOutput::TimedOut);
            }
            self.terminate();
        } else if self.retransmission.take_due(now) {
            self.outputs.push_back(ClientOutput::Send);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> ClientOutput {
        let deadline = self.expires.into_iter().chain(self.retransmission.at).min();
        self.outputs.pop_front().unwrap_or(ClientOutput::Wait(deadline))
    }

    /// Whether the machine is spent and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn terminate(&mut self) {
        self.state = State::Terminated;
        self.retransmission.stop();
        self.expires = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::script;

    impl script::Machine for Client {
        type Output = ClientOutput;

        fn handle(&mut self, now: Instant, word: &str) {
            match word {
                "icmp" => self.handle_transport_error(),
                status => self.handle_response(now, status.parse().unwrap()),
            }
        }

        fn handle_timeout(&mut self, now: Instant) {
            self.handle_timeout(now);
        }

        fn poll_output(&mut self) -> ClientOutput {
            self.poll_output()
        }

        fn is_terminated(&self) -> bool {
            self.is_terminated()
        }
    }

    #[test]
    fn it_follows_the_diagram() {
        for (delivery, words, expected) in [
            // Timer E doubles up to T2; timer F ends the waiting: eleven transmissions.
            (
                Delivery::Datagram,
                "40s",
                "0 send, 0.5 send, 1.5 send, 3.5 send, 7.5 send, 11.5 send, 15.5 send, 19.5 send, \
                 23.5 send, 27.5 send, 31.5 send, 32 timed-out, 32 end",
            ),
            // A provisional slows the copies down to T2 and does not stop timer F.
            (
                Delivery::Datagram,
                "0.2s 100 40s",
                "0 send, 0.2 pass, 4.2 send, 8.2 send, 12.2 send, 16.2 send, 20.2 send, 24.2 send, \
                 28.2 send, 32 timed-out, 32 end",
            ),
            // Copies of the final response are absorbed until timer K.
            (Delivery::Datagram, "0.2s 200 1s 200 1s 404 9s", "0 send, 0.2 pass, 5.2 end"),
            (Delivery::Datagram, "0.2s 401 9s", "0 send, 0.2 pass, 5.2 end"),
            (Delivery::Datagram, "0.2s icmp 9s", "0 send, 0.2 transport-failed, 0.2 end"),
            (Delivery::Datagram, "0.2s 200 0.1s icmp 9s", "0 send, 0.2 pass, 5.2 end"),
            (Delivery::Stream, "0.2s 200 1s", "0 send, 0.2 pass, 0.2 end"),
            (Delivery::Stream, "40s", "0 send, 32 timed-out, 32 end"),
        ] {
            let log = script::play(words, |now| Client::new(now, Timers::RFC3261, delivery));
            assert_eq!(log, expected, "{words}");
        }
    }
}
