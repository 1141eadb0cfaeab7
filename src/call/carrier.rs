//! What the road asks of telephony: dial, talk, hang up.
//!
//! Two things are a carrier: `trunk::Trunk` (real sockets) and the simulator's, which lets whole
//! districts live in virtual time. The road is the same for both.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::base::{Digit, PhoneNumber};
use crate::call::{Clip, Disposition, Tap, Timeline};

/// Places calls.
pub trait Carrier: Send + Sync + 'static {
    /// One call placed by this carrier.
    type Line: Line;

    /// Places one call. Nothing is known of its fate until the line's events tell it: also a
    /// refusal before anything was sent arrives as [`LineEvent::Ended`].
    ///
    /// The caller keeps the caps on calls per second and on calls at once; a carrier that is full
    /// all the same ends the line with [`Disposition::Congestion`].
    fn dial(&self, request: DialRequest) -> impl Future<Output = Self::Line> + Send;
}

/// One call to place.
#[derive(Clone, Debug)]
pub struct DialRequest {
    /// Whom to call.
    pub callee: PhoneNumber,
    /// How long the telephone may ring. At most 110 s: 端末設備等規則 第32条の3 wants the call
    /// cleared within 2 minutes.
    pub ring_timeout: Duration,
    /// Names the call in logs and spans: the attempt's id, never a person.
    pub label: String,
    /// Where the sound goes besides, from the answer on, if the call is recorded. A carrier
    /// without sound drops it.
    pub tap: Option<Tap>,
}

/// One call, from dialling to its end.
pub trait Line: Send + 'static {
    /// The next thing that happened. Cancel-safe. After [`LineEvent::Ended`] it stays pending.
    fn next_event(&mut self) -> impl Future<Output = LineEvent> + Send;

    /// Says the clips one after the other, instead of whatever is being said. Once the last one
    /// has been sent to its end, [`LineEvent::PlayEnded`] follows.
    fn play(&mut self, clips: Vec<Arc<Clip>>);

    /// Falls silent at once; no [`LineEvent::PlayEnded`] follows for what was cut.
    fn stop_playing(&mut self);

    /// From here on the sound goes onto this tape, or onto none; the one before comes to its end. A
    /// line without sound drops it.
    fn tape(&mut self, tap: Option<Tap>);

    /// Ends the call: cancels it while it rings. [`LineEvent::Ended`] follows.
    fn hang_up(&mut self);
}

/// What happens on a line.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum LineEvent {
    /// The far end rings, or the carrier says something before the answer (early media).
    Ringing,
    /// The call was answered, and sound flows both ways.
    Answered,
    /// A key was pressed. One event for one press, however often the network repeats it.
    Digit(Digit),
    /// What [`Line::play`] was given last has been said to its end.
    PlayEnded,
    /// Something was heard that is no key.
    Heard(Heard),
    /// The call is over. Nothing follows.
    Ended(Ended),
}

/// Sounds that tell a person from a machine; hints only, for a key is the only proof.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Heard {
    /// Somebody, or something, began to speak.
    Speech,
    /// It has been quiet again since this long.
    Quiet(Duration),
    /// The beep of an answering machine.
    Beep,
}

/// How a call ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Ended {
    /// How the telephone part ended.
    pub disposition: Disposition,
    /// The carrier's own code (a SIP status), kept for the engineers.
    pub code: Option<u16>,
    /// When it rang, was answered and ended.
    pub timeline: Timeline,
}
