//! 療養解除: who may be released from recuperation at home, why, and what is in the way.
//!
//! Dated [`rule`]s say after how many days, how long after symptoms improved, and what negative tests
//! change. [`judge`](mod@judge) computes a proposal from the course of the illness, from what was
//! answered, and from the tests that staff wrote down. It never decides: calls end when a named
//! member of the staff confirms, or with the last day of the episode.

pub mod judge;
pub mod rule;

pub use judge::{Block, Findings, Proposal, Seen, judge};
pub use rule::{Negatives, Path, ReleaseBook, ReleaseRules};

/// What staff decide about a proposal.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Decision {
    /// 解除: the observation ends.
    Released,
    /// 見送り: it goes on.
    Kept,
}

impl Decision {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Released, Self::Kept];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Kept => "kept",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|decision| decision.as_str() == text)
    }
}
