//! The client's side of an INVITE (RFC 3261 §17.1.1, with the state Accepted of RFC 6026 §7.2).
//!
//! A [`ClientInvite`] knows *when*, not *what*: its owner keeps the messages, sends them when
//! [`ClientInvite::poll_output`] says so, and feeds the numbers of the responses.
//!
//! ```text
//!          1xx            2xx                     timer M
//! Calling ────► Proceeding ──► Accepted ─────────────────► Terminated
//!    │  └────────────┼──────────┘ ▲ 2xx again: passed on
//!    │   300–699     ▼            timer D                   ▲
//!    ├────────► Completed ──────────────────────────────────┤
//!    │           └ 300–699 again: ACK again                 │
//!    └── timer B, transport error, cancelled for 64 × T1 ───┘
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use crate::sip::timer::{Delivery, Retransmission, Timers};
use crate::sip::transaction::ClientOutput;

/// The machine; the diagram is at the top of its file.
#[derive(Debug)]
pub struct ClientInvite {
    timers: Timers,
    delivery: Delivery,
    state: State,
    /// Timer A.
    retransmission: Retransmission,
    /// Timer B, D or M; or the patience after a CANCEL.
    expires: Option<Instant>,
    outputs: VecDeque<ClientOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Calling,
    Proceeding,
    Accepted,
    Completed,
    Terminated,
}

impl ClientInvite {
    /// Sends the INVITE for the first time.
    pub fn new(now: Instant, timers: Timers, delivery: Delivery) -> Self {
        Self {
            timers,
            delivery,
            state: State::Calling,
            // Timer A has no longest wait: 64 × T1 ends the waiting altogether.
            retransmission: Retransmission::start(now, timers.t1, timers.lifetime(), delivery),
            expires: Some(now + timers.lifetime()),
            outputs: VecDeque::from([ClientOutput::Send]),
        }
    }

    /// Feeds the status of a response that matched.
    pub fn handle_response(&mut self, now: Instant, status: u16) {
        match (self.state, status) {
            (State::Calling | State::Proceeding, 100..=199) => {
                if self.state == State::Calling {
                    self.retransmission.stop();
                    self.expires = None;
                }
                self.state = State::Proceeding;
                self.outputs.push_back(ClientOutput::Pass);
            }
            (State::Calling | State::Proceeding | State::Accepted, 200..=299) => {
                if self.state != State::Accepted {
                    self.state = State::Accepted;
                    self.retransmission.stop();
                    // Timer M: other branches of a forked INVITE may answer until then.
                    self.expires = Some(now + self.timers.lifetime());
                }
                self.outputs.push_back(ClientOutput::Pass);
            }
            (State::Calling | State::Proceeding, 300..) => {
                self.state = State::Completed;
                self.retransmission.stop();
                // Timer D: at least 32 s on UDP.
                self.expires = Some(now + self.delivery.linger(self.timers.lifetime()));
                self.outputs.push_back(ClientOutput::Ack);
                self.outputs.push_back(ClientOutput::Pass);
            }
            (State::Completed, 300..) => self.outputs.push_back(ClientOutput::Ack),
            // Late provisionals, a refusal after an answer, an answer after a refusal.
            (State::Accepted | State::Completed | State::Terminated, _) => {}
            // No response has such a number.
            (State::Calling | State::Proceeding, ..=99) => {}
        }
    }

    /// The user has given the INVITE up: it is not repeated any more, and a final response is
    /// awaited for 64 × T1 only (RFC 3261 §9.1).
    pub fn handle_cancel(&mut self, now: Instant) {
        if matches!(self.state, State::Calling | State::Proceeding) {
            self.retransmission.stop();
            self.expires = Some(now + self.timers.lifetime());
        }
    }

    /// The transport says that the INVITE cannot be delivered. Means nothing once anything was
    /// heard from the far end.
    pub fn handle_transport_error(&mut self) {
        if self.state == State::Calling {
            self.terminate();
            self.outputs.push_back(ClientOutput::TransportFailed);
        }
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.expires.is_some_and(|at| at <= now) {
            if matches!(self.state, State::Calling | State::Proceeding) {
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

    /// Whether a final response may still come, so that a CANCEL makes sense.
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Calling | State::Proceeding)
    }

    /// Whether a provisional response came: only then may a CANCEL be sent.
    pub fn is_proceeding(&self) -> bool {
        self.state == State::Proceeding
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

    fn play(delivery: Delivery, words: &str) -> String {
        script::play(words, |now| ClientInvite::new(now, Timers::RFC3261, delivery))
    }

    impl script::Machine for ClientInvite {
        type Output = ClientOutput;

        fn handle(&mut self, now: Instant, word: &str) {
            match word {
                "cancel" => self.handle_cancel(now),
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
    fn it_follows_the_diagram_over_datagrams() {
        for (words, expected) in [
            // Seven transmissions, then timer B.
            (
                "40s",
                "0 send, 0.5 send, 1.5 send, 3.5 send, 7.5 send, 15.5 send, 31.5 send, 32 timed-out, 32 end",
            ),
            // A provisional stops timers A and B: a telephone may ring for minutes.
            ("0.2s 100 180s 180", "0 send, 0.2 pass, 180.2 pass"),
            // Accepted: every 2xx is passed on until timer M.
            ("0.2s 180 5s 200 1s 200 40s", "0 send, 0.2 pass, 5.2 pass, 6.2 pass, 37.2 end"),
            ("0.2s 200 1s 180 1s 486 40s", "0 send, 0.2 pass, 32.2 end"),
            // Completed: the refusal is passed on once, and acknowledged each time.
            ("0.2s 486 1s 486 1s 200 40s", "0 send, 0.2 ack, 0.2 pass, 1.2 ack, 32.2 end"),
            // A given up INVITE is not repeated, and ends for sure.
            ("0.2s cancel 40s", "0 send, 32.2 timed-out, 32.2 end"),
            ("0.2s 180 9.8s cancel 40s", "0 send, 0.2 pass, 42 timed-out, 42 end"),
            ("0.2s 180 1s cancel 1s 487 40s", "0 send, 0.2 pass, 2.2 ack, 2.2 pass, 34.2 end"),
            // A transport error counts only while nothing was heard.
            ("0.2s icmp 40s", "0 send, 0.2 transport-failed, 0.2 end"),
            ("0.2s 180 1s icmp 1s 200 40s", "0 send, 0.2 pass, 2.2 pass, 34.2 end"),
            ("0.2s 99 0.1s 100", "0 send, 0.3 pass"),
        ] {
            assert_eq!(play(Delivery::Datagram, words), expected, "{words}");
        }
    }

    #[test]
    fn it_sends_once_over_a_stream() {
        for (words, expected) in
            [("40s", "0 send, 32 timed-out, 32 end"), ("1s 486 1s", "0 send, 1 ack, 1 pass, 1 end")]
        {
            assert_eq!(play(Delivery::Stream, words), expected, "{words}");
        }
    }
}
