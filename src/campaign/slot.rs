//! A slot: what is owed to one patient on one date. The unit that a nurse sees.
//!
//! ```text
//! Due ──claimed──► InProgress ──► Reported
//!  ▲  └──────────────┐   │ ├────► Partial      some answers, not all that are required
//!  └──── a retry ────┼───┘ └────► Unreached    every attempt used up
//!                    ├──────────► Skipped      another channel reported, or staff said so
//!                    └──────────► Expired      the window closed before anyone was called
//! ```

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::Bilingual;
use crate::base::id::{EpisodeId, PatientId, PauseId, SlotId};
use crate::campaign::VersionKey;

/// What is owed to one patient on one date. Unique by episode, date and number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Slot {
    /// The id.
    pub id: SlotId,
    /// The episode that it belongs to.
    pub episode: EpisodeId,
    /// The patient of that episode.
    pub patient: PatientId,
    /// The calendar date in Japan.
    pub date: Date,
    /// The number of the day: 1 to 4 for the planned ones, to 89 for those by hand, above it for
    /// what [follows](crate::campaign::follow_up) from answers.
    pub number: u8,
    /// From when on the patient is to be called.
    pub due_from: Timestamp,
    /// Until when; no first call and no retry starts at or after it.
    pub due_to: Timestamp,
    /// Where it stands.
    pub state: SlotState,
    /// Why it is skipped, such as `web 08:12`; shown to staff.
    pub reason: Option<String>,
    /// The pause for which it is skipped.
    pub pause: Option<PauseId>,
    /// What it is for.
    pub kind: SlotKind,
    /// The terms by which it was opened; `None` for those of the installation.
    pub campaign: Option<VersionKey>,
}

/// What a slot is for. Only the planned ones are owed; the others are extra.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum SlotKind {
    /// Agreed with the patient.
    #[default]
    Planned,
    /// Staff asked for this call.
    ByHand,
    /// One value is to be measured again.
    Remeasure,
    /// After an emergency: how is it now?
    Recall,
    /// The observation is over: a word of farewell.
    Farewell,
}

impl SlotKind {
    /// Every kind.
    pub const ALL: [Self; 5] =
        [Self::Planned, Self::ByHand, Self::Remeasure, Self::Recall, Self::Farewell];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::ByHand => "by_hand",
            Self::Remeasure => "remeasure",
            Self::Recall => "recall",
            Self::Farewell => "farewell",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// For staff, beside the time; planned ones need no word.
    pub fn remark(self) -> Option<Bilingual> {
        Some(match self {
            Self::Planned => return None,
            Self::ByHand => Bilingual::fixed("職員の依頼", "asked for by staff"),
            Self::Remeasure => Bilingual::fixed("再測定", "to measure again"),
            Self::Recall => Bilingual::fixed("至急のあとの確認", "after an emergency"),
            Self::Farewell => Bilingual::fixed("終了のあいさつ", "farewell"),
        })
    }

    /// Whether its calls go before those that were planned long ago.
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::ByHand | Self::Remeasure | Self::Recall)
    }
}

/// Where a slot stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum SlotState {
    /// To be called, at once or at a later time.
    Due,
    /// An attempt is under way.
    InProgress,
    /// Everything that is required was answered, by whatever channel.
    Reported,
    /// Something was answered, but not all.
    Partial,
    /// Nobody was reached by all attempts.
    Unreached,
    /// Not to be called; the reason says why.
    Skipped,
    /// The window closed before anyone was called.
    Expired,
}

impl SlotState {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Due,
        Self::InProgress,
        Self::Reported,
        Self::Partial,
        Self::Unreached,
        Self::Skipped,
        Self::Expired,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Due => "due",
            Self::InProgress => "in_progress",
            Self::Reported => "reported",
            Self::Partial => "partial",
            Self::Unreached => "unreached",
            Self::Skipped => "skipped",
            Self::Expired => "expired",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }

    /// For people.
    pub fn label(self) -> Bilingual {
        match self {
            Self::Due => Bilingual::fixed("これから", "due"),
            Self::InProgress => Bilingual::fixed("架電中", "on the line"),
            Self::Reported => Bilingual::fixed("報告済み", "reported"),
            Self::Partial => Bilingual::fixed("途中まで", "in part"),
            Self::Unreached => Bilingual::fixed("つながらず", "not reached"),
            Self::Skipped => Bilingual::fixed("発信しない", "not called"),
            Self::Expired => Bilingual::fixed("時間切れ", "out of time"),
        }
    }

    /// Whether nothing more is done for the slot.
    pub fn is_final(self) -> bool {
        !matches!(self, Self::Due | Self::InProgress)
    }
}
