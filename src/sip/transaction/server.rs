//! The server's side of every request but INVITE and ACK (RFC 3261 §17.2.2).
//!
//! ```text
//!         1xx             200–699             timer J
//! Trying ────► Proceeding ───────► Completed ────────► Terminated
//!    └─────────────┴── no response for 64 × T1 ───────────►┘
//! ```

use std::collections::VecDeque;
use std::time::Instant;

use crate::sip::timer::{Delivery, Timers};
use crate::sip::transaction::ServerOutput;

/// The machine; its owner keeps the last response and sends it when told to.
#[derive(Debug)]
pub struct Server {
    timers: Timers,
    delivery: Delivery,
    state: State,
    /// Timer J; before that, when the client has given up and no answer is worth anything.
    expires: Option<Instant>,
    outputs: VecDeque<ServerOutput>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum State {
    Trying,
    Proceeding,
    Completed,
    Terminated,
}

impl Server {
    /// A request has come, and was passed to the user.
    pub fn new(now: Instant, timers: Timers, delivery: Delivery) -> Self {
        let expires = Some(now + timers.lifetime());
        Self { timers, delivery, state: State::Trying, expires, outputs: VecDeque::new() }
    }

    /// The user responds.
    pub fn handle_response(&mut self, now: Instant, status: u16) {
        match (self.state, status) {
            (State::Trying | State::Proceeding, ..=199) => {
                self.state = State::Proceeding;
                self.outputs.push_back(ServerOutput::Send);
            }
            (State::Trying | State::Proceeding, 200..) => {
                self.state = State::Completed;
                self.expires = Some(now + self.delivery.linger(self.timers.lifetime()));
                self.outputs.push_back(ServerOutput::Send);
            }
            // There is one final response only.
            (State::Completed | State::Terminated, _) => {}
        }
    }

    /// The request has come again.
    pub fn handle_copy(&mut self) {
        match self.state {
            State::Proceeding | State::Completed => self.outputs.push_back(ServerOutput::Send),
            State::Trying | State::Terminated => {}
        }
    }

    /// The deadline has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.expires.is_some_and(|at| at <= now) {
            self.state = State::Terminated;
            self.expires = None;
        }
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> ServerOutput {
        self.outputs.pop_front().unwrap_or(ServerOutput::Wait(self.expires))
    }

    /// Whether the machine is spent and may be forgotten.
    pub fn is_terminated(&self) -> bool {
        self.state == State::Terminated
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sip::transaction::script;

    impl script::Machine for Server {
        type Output = ServerOutput;

        fn handle(&mut self, now: Instant, word: &str) {
            match word {
                "copy" => self.handle_copy(),
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
            (
                Delivery::Datagram,
                "0.1s copy 0.1s 100 0.1s copy 1s 200 1s copy 1s 404 30s copy",
                "0.2 send, 0.3 send, 1.3 send, 2.3 send, 33.3 end",
            ),
            // A user that forgets to answer costs no memory for ever.
            (Delivery::Datagram, "1s 100 40s", "1 send, 32 end"),
            (Delivery::Stream, "0.2s 200 1s", "0.2 send, 0.2 end"),
        ] {
            let log = script::play(words, |now| Server::new(now, Timers::RFC3261, delivery));
            assert_eq!(log, expected, "{words}");
        }
    }
}
