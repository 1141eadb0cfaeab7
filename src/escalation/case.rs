//! A case: a matter that a human must act on. One open case per patient; new facts are added.
//!
//! ```text
//! Open ──a member of staff takes it──► Acknowledged ──► Resolved
//!  └──────────────────────────────────────────────────────▲
//! ```
//! Nothing resolves by itself.

use jiff::Timestamp;

use crate::base::id::{AttemptId, CaseId, PatientId, SlotId};
use crate::escalation::Priority;

/// A matter that a human must act on.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Case {
    /// The id.
    pub id: CaseId,
    /// About whom.
    pub patient: PatientId,
    /// The gravest of its facts.
    pub priority: Priority,
    /// Where it stands.
    pub state: CaseState,
    /// Since when.
    pub opened_at: Timestamp,
    /// What is known, in the order in which it came to be known.
    pub facts: Vec<Fact>,
}

/// One reason why a case exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fact {
    /// The id of the rule that fired, such as `spo2-low`.
    pub rule: String,
    /// The version of the set that the rule belongs to.
    pub rule_set: String,
    /// How soon a human must act on it.
    pub priority: Priority,
    /// What the rule saw, in words for staff: `SpO2 92%`.
    pub text: String,
    /// When the rule fired.
    pub at: Timestamp,
    /// What it came from; with the rule it is unique, so that evaluating twice adds nothing.
    pub source: FactSource,
}

/// What a fact came from.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum FactSource {
    /// An entry of the transcript of an attempt.
    Answer(AttemptId, u32),
    /// The way an attempt ended.
    Attempt(AttemptId),
    /// The way a slot ended.
    Slot(SlotId),
}

/// Where a case stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum CaseState {
    /// Nobody has taken it.
    Open,
    /// Somebody works on it.
    Acknowledged,
    /// Closed by a person, with a reason.
    Resolved,
}

impl CaseState {
    /// Every state.
    pub const ALL: [Self; 3] = [Self::Open, Self::Acknowledged, Self::Resolved];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Acknowledged => "acknowledged",
            Self::Resolved => "resolved",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}
