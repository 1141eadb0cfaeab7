//! Transactions (RFC 3261 §17, RFC 6026): one request and its responses, over a lossy network.
//!
//! The four machines know *when* to send; the table (`table.rs`) knows *what* and to whom, and finds
//! the machine that a message belongs to.

mod client;
mod client_invite;
mod server;
mod server_invite;
mod table;

use std::time::Instant;

pub use client::Client;
pub use client_invite::ClientInvite;
pub use server::Server;
pub use server_invite::ServerInvite;
pub(in crate::sip) use table::{ClientFailure, ClientId, ServerId, TableFull, Transactions};
pub(in crate::sip) use table::{MAGIC_COOKIE, TableOutput};

/// What a client's machine asks of its owner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ClientOutput {
    /// Send the request (again).
    Send,
    /// Send the ACK of a refusal (again).
    Ack,
    /// Pass the response that was just fed to the user.
    Pass,
    /// Tell the user that nothing came in time.
    TimedOut,
    /// Tell the user that the request could not be delivered.
    TransportFailed,
    /// Nothing more to do until this instant, or for ever if `None`.
    Wait(Option<Instant>),
}

/// What a server's machine asks of its owner.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[must_use]
pub enum ServerOutput {
    /// Send the last response (again).
    Send,
    /// The refusal of an INVITE was never acknowledged.
    TimedOut,
    /// Nothing more to do until this instant, or for ever if `None`.
    Wait(Option<Instant>),
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "one arbitrary origin; every later instant is derived"
)]
mod script {
    //! Plays words to a machine in virtual time, and writes down what it asks for.

    use std::fmt::Debug;
    use std::time::{Duration, Instant};

    use super::{ClientOutput, ServerOutput};

    pub(super) trait Machine {
        type Output: Word;

        fn handle(&mut self, now: Instant, word: &str);
        fn handle_timeout(&mut self, now: Instant);
        fn poll_output(&mut self) -> Self::Output;
        fn is_terminated(&self) -> bool;
    }

    pub(super) trait Word: Debug {
        /// The word for it, or the deadline.
        fn word(self) -> Result<&'static str, Option<Instant>>;
    }

    impl Word for ClientOutput {
        fn word(self) -> Result<&'static str, Option<Instant>> {
            match self {
                Self::Send => Ok("send"),
                Self::Ack => Ok("ack"),
                Self::Pass => Ok("pass"),
                Self::TimedOut => Ok("timed-out"),
                Self::TransportFailed => Ok("transport-failed"),
                Self::Wait(deadline) => Err(deadline),
            }
        }
    }

    impl Word for ServerOutput {
        fn word(self) -> Result<&'static str, Option<Instant>> {
            match self {
                Self::Send => Ok("send"),
                Self::TimedOut => Ok("timed-out"),
                Self::Wait(deadline) => Err(deadline),
            }
        }
    }

    /// Plays a script such as `"0.2s 180 3s 200"`: a span lets time pass, deadlines included; any
    /// other word is fed to the machine.
    pub(super) fn play<M: Machine>(words: &str, new: impl FnOnce(Instant) -> M) -> String {
        let origin = Instant::now();
        let mut now = origin;
        let mut machine = new(now);
        let mut log = Vec::new();
        let mut deadline = drain(&mut machine, origin, now, &mut log);
        for word in words.split_whitespace() {
            if let Some(seconds) = word.strip_suffix('s').and_then(|span| span.parse().ok()) {
                let until = now + Duration::from_secs_f64(seconds);
                while let Some(at) = deadline.filter(|at| *at <= until) {
                    now = now.max(at);
                    machine.handle_timeout(now);
                    deadline = drain(&mut machine, origin, now, &mut log);
                }
                now = until;
            } else {
                machine.handle(now, word);
                deadline = drain(&mut machine, origin, now, &mut log);
            }
        }
        log.join(", ")
    }

    fn drain<M: Machine>(
        machine: &mut M,
        origin: Instant,
        now: Instant,
        log: &mut Vec<String>,
    ) -> Option<Instant> {
        let seconds = (now - origin).as_secs_f64();
        let seconds = (seconds * 1000.0).round() / 1000.0;
        loop {
            match machine.poll_output().word() {
                Ok(word) => log.push(format!("{seconds} {word}")),
                Err(deadline) => {
                    let ended = log.last().is_some_and(|line| line.ends_with(" end"));
                    if machine.is_terminated() && !ended {
                        log.push(format!("{seconds} end"));
                    }
                    return deadline;
                }
            }
        }
    }
}
