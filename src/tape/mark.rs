//! What happened at a moment of a recording, on the clock of its samples.
//!
//! A mark never holds what proves an identity: keys pressed then are marked as a key, without
//! which.

use std::time::Duration;

/// Something that happened at a moment of a call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Mark {
    /// From the first sample.
    pub at: Duration,
    /// What kind of thing.
    pub kind: MarkKind,
    /// Which: see [`MarkKind`].
    pub detail: String,
}

/// What can happen in a call, and what the detail of its mark says.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum MarkKind {
    /// We begin to say something: the labels of the prompts, with a space between them, such as
    /// `ask_temperature`. Names of persons are not part of them.
    Say,
    /// The patient presses a key: `0` to `9`, `*`, `#`; empty for one that may prove an identity.
    Key,
    /// Somebody proved who they are: `patient` or `family`.
    Identified,
    /// An answer was stored: the number of the entry of the transcript and the question, such as
    /// `3 temperature`.
    Answer,
    /// A rule fired: its gravity (`watch`, `desk`, `emergency`), the entry and the question.
    Rule,
    /// `begin` or `end` of what the patient wants to say to the staff.
    Message,
    /// The call is over: how, such as `answered`; `hang_up` where we ended it.
    End,
}

impl MarkKind {
    const ALL: [Self; 7] = [
        Self::Say,
        Self::Key,
        Self::Identified,
        Self::Answer,
        Self::Rule,
        Self::Message,
        Self::End,
    ];

    /// The word in the store and on the page.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Say => "say",
            Self::Key => "key",
            Self::Identified => "identified",
            Self::Answer => "answer",
            Self::Rule => "rule",
            Self::Message => "message",
            Self::End => "end",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}
