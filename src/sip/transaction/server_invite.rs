//! The server's side of an INVITE (RFC 3261 §17.2.1, with the state Accepted of RFC 6026 §7.1).
//!
//! ```text
//!             300–699                ACK             timer I
//! Proceeding ─────────► Completed ───────► Confirmed ────────► Terminated
//!    │ │ ▲ 1xx              └── timer H: no ACK ─────────────────►┘ ▲
//!    │ └─┘                                                          │
//!    └── 2xx ────► Accepted ── timer L ─────────────────────────────┘
//! ```
//!
//! Copies of the 2xx are the business of the user, as is their ACK (RFC 3261 §13.3.1.4).

use std::collections::VecDeque;
use std::time::Instant;

use crate::sip::timer::{Delivery, Retransmission, Timers};
use crate::sip::transaction::ServerOutput;

/// The machine; its owner keeps the last response and sends it when told to.
#[derive(Debug)]
pub struct ServerInvite {
    timers: Timers,
    delivery: Delivery,
    state: State,
    /// Timer G.
    retransmission: Option<Retransmission>,
    /// Timer H, I or L.
    expires: Option<Instant>,
    /// The user has given a response.
    answered: bool,
    outputs: VecDeque<ServerOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Proceeding,
    Accepted,
    Completed,
    Confirmed,
    Terminated,
}

impl ServerInvite {
    /// An INVITE has come, and was passed to the user.
    pub fn new(timers: Timers, delivery: Delivery) -> Self {
        Self {
            timers,
            delivery,
            state: State::Proceeding,
            retransmission: None,
            expires: None,
            answered: false,
            outputs: VecDeque::new(),
        }
    }

    /// The user responds.
    pub fn handle_response(&mut self, now: Instant, status: u16) {
        match (self.state, status) {
            (State::Proceeding, ..=199) => self.send(),
            (State::Proceeding, 200..=299) => {
                self.state = State::Accepted;
                self.expires = Some(now + self.timers.lifetime());
                self.send();
            }
            (State::Proceeding, 300..) => {
                self.state = State::Completed;
                let Timers { t1, t2, .. } = self.timers;
                self.retransmission = Some(Retransmission::start(now, t1, t2, self.delivery));
                self.expires = Some(now + self.timers.lifetime());
                self.send();
            }
            // The user's copies of its 2xx.
            (State::Accepted, 200..=299) => self.send(),
            // There is one final response only.
            (State::Accepted | State::Completed | State::Confirmed | State::Terminated, _) => {}
        }
    }

    /// The INVITE has come again.
    pub fn handle_copy(&mut self) {
        match self.state {
            State::Proceeding | State::Completed if self.answered => {
                self.outputs.push_back(ServerOutput::Send);
            }
            // In Accepted the user's own copies are enough (RFC 6026 §7.1).
            State::Proceeding
            | State::Completed
            | State::Accepted
            | State::Confirmed
            | State::Terminated => {}
        }
    }

    /// The ACK of a refusal has come.
    pub fn handle_ack(&mut self, now: Instant) {
        if self.state == State::Completed {
            self.state = State::Confirmed;
            self.retransmission = None;
            self.expires = Some(now + self.delivery.linger(self.timers.t4));
        }
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.expires.is_some_and(|at| at <= now) {
            if self.state == State::Completed {
                self.outputs.push_back(ServerOutput::TimedOut);
            }
            self.state = State::Terminated;
            self.retransmission = None;
            self.expires = None;
        } else if self.retransmission.as_mut().is_some_and(|timer_g| timer_g.take_due(now)) {
            self.outputs.push_back(ServerOutput::Send);
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> ServerOutput {
        let copy = self.retransmission.and_then(|timer_g| timer_g.at);
        let deadline = self.expires.into_iter().chain(copy).min();
        self.outputs.pop_front().unwrap_or(ServerOutput::Wait(deadline))
    }

    /// Whether no final response was given, so that a CANCEL still means something.
    pub fn is_pending(&self) -> bool {
        self.state == State::Proceeding
    }

    /// Whether an ACK belongs to the refusal, and not to a 2xx.
    pub fn was_refused(&self) -> bool {
        matches!(self.state, State::Completed | State::Confirmed)
    }

    /// Whether the machine is spent and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }

    fn send(&mut self) {
        self.answered = true;
        self.outputs.push_back(ServerOutput::Send);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::script;

    impl script::Machine for ServerInvite {
        type Output = ServerOutput;

        fn handle(&mut self, now: Instant, word: &str) {
            match word {
                "ack" => self.handle_ack(now),
                "invite" => self.handle_copy(),
                status => self.handle_response(now, status.parse().unwrap()),
            }
        }

        fn handle_timeout(&mut self, now: Instant) {
            self.handle_timeout(now);
        }

        fn poll_output(&mut self) -> ServerOutput {
            self.poll_output()
        }

        fn is_terminated(&self) -> bool {
            self.is_terminated()
        }
    }

    #[test]
    fn it_follows_the_diagram() {
        for (delivery, words, expected) in [
            // A copy of the INVITE is met with the last provisional, once there is one.
            (
                Delivery::Datagram,
                "0.1s invite 0.1s 100 0.3s invite 1s 180 1s invite",
                "0.2 send, 0.5 send, 1.5 send, 2.5 send",
            ),
            // Timer G doubles up to T2 until the ACK; timer I ends the echo.
            (
                Delivery::Datagram,
                "1s 486 2s ack 1s ack 0.1s invite 9s",
                "1 send, 1.5 send, 2.5 send, 8 end",
            ),
            (
                Delivery::Datagram,
                "1s 486 0.1s invite 40s",
                "1 send, 1.1 send, 1.5 send, 2.5 send, 4.5 send, 8.5 send, 12.5 send, 16.5 send, \
                 20.5 send, 24.5 send, 28.5 send, 32.5 send, 33 timed-out, 33 end",
            ),
            // Accepted: copies of the INVITE are absorbed, the user's copies of the 2xx are sent.
            (
                Delivery::Datagram,
                "1s 200 0.1s invite 0.4s 200 1s 486 40s",
                "1 send, 1.5 send, 33 end",
            ),
            (Delivery::Stream, "1s 486 1s ack 1s", "1 send, 2 end"),
            (Delivery::Stream, "1s 486 40s", "1 send, 33 timed-out, 33 end"),
        ] {
            let log = script::play(words, |_| ServerInvite::new(Timers::RFC3261, delivery));
            assert_eq!(log, expected, "{words}");
        }
    }
}
