//! What the driver and the dialogue tell each other.

use std::fmt;
use std::time::Instant;

use crate::base::Digit;
use crate::call::{Heard, Respondent};
use crate::ivr::{Entry, Utterance};

/// What the driver tells a [`Session`](crate::ivr::Session). Its `Debug` hides keys: they may prove
/// an identity.
#[derive(Clone, Copy)]
pub enum Input {
    /// The call was answered; the first input.
    Answered,
    /// A key was pressed.
    Digit(Digit),
    /// What was said last has been said to its end. Never told of words that were cut: the
    /// session would take the end of one sentence for that of the next.
    PlayEnded,
    /// The instant of the last [`Output::Wait`] has come.
    Timeout,
    /// Something was heard that is no key.
    Heard(Heard),
    /// The entry of the last [`Output::Record`] is committed, and weighs this much.
    Recorded(Concern),
    /// The entry of the last [`Output::Record`] could not be committed.
    NotRecorded,
    /// The far end is gone; the last input.
    HungUp,
}

/// How much an answer weighs: what the rules made of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Concern {
    /// Nothing.
    None,
    /// Staff will look at it today.
    Watch,
    /// Staff will call back soon; the closing names the consultation desk.
    Desk,
    /// The patient must call for help now.
    Emergency,
}

/// What a [`Session`](crate::ivr::Session) asks of its driver.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Output {
    /// Say these one after the other, instead of whatever is being said.
    Say(Vec<Utterance>),
    /// Fall silent: the patient has begun to answer.
    StopSaying,
    /// Somebody proved who they are: the patient or the family.
    Identified(Respondent),
    /// An answer is settled: commit it, have the rules weigh it, then tell [`Input::Recorded`].
    Record(Entry),
    /// Keep what is heard from now on: it is meant for the staff.
    BeginMessage,
    /// That was it.
    EndMessage(Message),
    /// End the call.
    HangUp,
    /// Nothing more to do until this instant, or until something happens if `None`.
    Wait(Option<Instant>),
}

/// Whether something was said after [`Output::BeginMessage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// Somebody spoke: the staff must hear it.
    Spoken,
    /// Nobody did.
    Empty,
}

impl Concern {
    /// Every one, the gravest last.
    pub const ALL: [Self; 4] = [Self::None, Self::Watch, Self::Desk, Self::Emergency];

    /// The word for it in scripts and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Watch => "watch",
            Self::Desk => "desk",
            Self::Emergency => "emergency",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|concern| concern.as_str() == text)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("Answered"),
            Self::Digit(_) => f.write_str("Digit([private])"),
            Self::PlayEnded => f.write_str("PlayEnded"),
            Self::Timeout => f.write_str("Timeout"),
            Self::Heard(heard) => write!(f, "Heard({heard:?})"),
            Self::Recorded(concern) => write!(f, "Recorded({concern:?})"),
            Self::NotRecorded => f.write_str("NotRecorded"),
            Self::HungUp => f.write_str("HungUp"),
        }
    }
}
