//! An attempt: one try to reach a patient for a slot.
//!
//! ```text
//! Due ──claimed──► Dialing ──answered──► Talking ──► Done
//!  │                  └───────────────────────────────▲
//!  └──no longer wanted──► Dropped
//! ```
//!
//! The row says `Dialing` before the call is placed, so that no crash can make us call twice.

use jiff::Timestamp;

use crate::base::PhoneNumber;
use crate::base::id::{AttemptId, SlotId};
use crate::call::{Completion, Disposition, Respondent};

/// One try to reach a patient for a slot. Unique by slot and number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attempt {
    /// The id.
    pub id: AttemptId,
    /// The slot that it tries to fill.
    pub slot: SlotId,
    /// 1 for the first try.
    pub number: u32,
    /// Which telephone.
    pub phone: PhoneNumber,
    /// Not before.
    pub due_at: Timestamp,
    /// Where it stands.
    pub state: AttemptState,
    /// When the dialling was committed.
    pub dialed_at: Option<Timestamp>,
    /// When the call was taken.
    pub answered_at: Option<Timestamp>,
    /// When it was over; the clock of the next retry starts here.
    pub ended_at: Option<Timestamp>,
    /// How the telephone part ended.
    pub disposition: Option<Disposition>,
    /// Who answered.
    pub respondent: Option<Respondent>,
    /// How far the dialogue came.
    pub completion: Option<Completion>,
}

/// Where an attempt stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum AttemptState {
    /// Waits for its time and a free line.
    Due,
    /// Claimed: the call is being placed or rings.
    Dialing,
    /// Answered.
    Talking,
    /// Over.
    Done,
    /// Not made: the slot was met otherwise.
    Dropped,
}

impl AttemptState {
    /// Every state.
    pub const ALL: [Self; 5] = [Self::Due, Self::Dialing, Self::Talking, Self::Done, Self::Dropped];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::Dialing => "dialing",
            Self::Talking => "talking",
            Self::Done => "done",
            Self::Dropped => "dropped",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}
