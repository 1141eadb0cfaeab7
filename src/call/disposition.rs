//! How the telephone part of a call ended, whose doing it was, and whether it may be tried again.
//!
//! Who answered and how far the dialogue came are two further facts
//! ([`Respondent`](crate::call::Respondent), [`Completion`](crate::call::Completion)) and are never
//! mixed in here.

use std::fmt;
use std::str::FromStr;

/// How the telephone part ended.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Disposition {
    /// Somebody or something took the call.
    Answered,
    /// The line was engaged.
    Busy,
    /// It rang until we gave up.
    NoAnswer,
    /// The telephone is off or out of reach.
    Unreachable,
    /// The called side refused.
    Declined,
    /// No such number: a human must correct it.
    InvalidNumber,
    /// The carrier has no capacity at the moment.
    Congestion,
    /// The carrier, or the link to it, failed.
    TrunkError,
    /// We gave the call up ourselves before it was answered.
    Cancelled,
    /// Our own process died; what became of the call is not known.
    Interrupted,
}

impl Disposition {
    /// Every disposition, in the order of this file.
    pub const ALL: [Self; 10] = [
        Self::Answered,
        Self::Busy,
        Self::NoAnswer,
        Self::Unreachable,
        Self::Declined,
        Self::InvalidNumber,
        Self::Congestion,
        Self::TrunkError,
        Self::Cancelled,
        Self::Interrupted,
    ];

    /// The word for it in the store and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Busy => "busy",
            Self::NoAnswer => "no_answer",
            Self::Unreachable => "unreachable",
            Self::Declined => "declined",
            Self::InvalidNumber => "invalid_number",
            Self::Congestion => "congestion",
            Self::TrunkError => "trunk_error",
            Self::Cancelled => "cancelled",
            Self::Interrupted => "interrupted",
        }
    }

    /// Whether the patient's telephone was tried at all. If not, the attempt does not count
    /// against the patient.
    pub fn reached_the_patients_telephone(self) -> bool {
        match self {
            Self::Answered
            | Self::Busy
            | Self::NoAnswer
            | Self::Unreachable
            | Self::Declined
            | Self::InvalidNumber => true,
            Self::Congestion | Self::TrunkError | Self::Cancelled | Self::Interrupted => false,
        }
    }
}

impl fmt::Display for Disposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The text names no disposition.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("unknown disposition {0:?}")]
pub struct UnknownDisposition(pub String);

impl FromStr for Disposition {
    type Err = UnknownDisposition;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|disposition| disposition.as_str() == text)
            .ok_or_else(|| UnknownDisposition(text.to_owned()))
    }
}
