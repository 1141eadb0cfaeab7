//! What was sent and received for one call, without anything that names a person.
//!
//! Raw messages are never logged; this is what an engineer gets instead.

use std::fmt;
use std::time::{Duration, Instant};

use crate::sip::message::Method;

/// More steps than this are not written down: a call that loops must not fill the memory.
const MAX_STEPS: usize = 64;

/// The steps of one call, in their order. What the transaction layer does by itself, copies and the
/// ACK of a refusal, are no steps.
#[derive(Clone, Debug)]
pub struct Ladder {
    started: Instant,
    steps: Vec<Step>,
}

/// One message.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Step {
    /// How long after the first step.
    pub after: Duration,
    /// Which way it went.
    pub direction: Direction,
    /// What was asked for. Unknown methods are not written down by name.
    pub method: Option<Method>,
    /// The status of a response; `None` for a request.
    pub status: Option<u16>,
}

/// Which way a message went.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Direction {
    /// From us.
    Sent,
    /// To us.
    Received,
}

impl Ladder {
    /// Starts now, without steps.
    pub(in crate::sip) fn new(now: Instant) -> Self {
        Self { started: now, steps: Vec::new() }
    }

    /// The steps so far.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Writes a message down.
    pub(in crate::sip) fn note(
        &mut self,
        now: Instant,
        direction: Direction,
        method: &Method,
        status: Option<u16>,
    ) {
        if self.steps.len() < MAX_STEPS {
            let after = now.saturating_duration_since(self.started);
            let method = Some(method).filter(|one| Method::KNOWN.contains(one)).cloned();
            self.steps.push(Step { after, direction, method, status });
        }
    }
}

impl fmt::Display for Ladder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in &self.steps {
            let arrow = match step.direction {
                Direction::Sent => "──►",
                Direction::Received => "◄──",
            };
            write!(f, "{:8.3} {arrow} ", step.after.as_secs_f64())?;
            if let Some(status) = step.status {
                write!(f, "{status} ")?;
            }
            writeln!(f, "{}", step.method.as_ref().map_or("(unknown)", Method::as_str))?;
        }
        Ok(())
    }
}
