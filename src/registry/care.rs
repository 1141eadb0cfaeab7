//! What staff know and agree about a patient: pauses, contacts, notes.

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::Private;
use crate::base::bilingual::Bilingual;
use crate::base::id::{PauseId, StaffId, StaffNoteId};

/// Who did something, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signed {
    /// Who.
    pub by: StaffId,
    /// The name that colleagues read.
    pub name: Private<String>,
    /// When.
    pub at: Timestamp,
}

/// Days on which a patient is not called: a stay in hospital, a journey, a wish.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Pause {
    /// The id.
    pub id: PauseId,
    /// The first day.
    pub first_day: Date,
    /// The last day, inclusive.
    pub last_day: Date,
    /// Why, in the words of whoever decided it.
    pub reason: Private<String>,
    /// Who decided it.
    pub begun: Signed,
    /// Who ended it before its last day; it counts no more.
    pub ended: Option<Signed>,
}

impl Pause {
    /// Whether no machine calls on this day.
    pub fn covers(&self, day: Date) -> bool {
        self.ended.is_none() && self.first_day <= day && day <= self.last_day
    }
}

/// Somebody whom staff may ask about a patient who cannot be reached. Never dialled by a machine,
/// and told nothing of the state of health.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contact {
    /// What they are to the patient.
    pub relation: Relation,
    /// The name.
    pub name: Private<String>,
    /// The number as staff wrote it: any telephone, for a human to dial. May be empty.
    pub phone: Private<String>,
    /// They hold a key of the patient's home (合鍵).
    pub is_keyholder: bool,
    /// What else is to be known, such as when they are at home. May be empty.
    pub note: Private<String>,
}

/// What somebody is to a patient.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Relation {
    /// 家族・親族
    Family,
    /// 近所の方
    Neighbour,
    /// 民生委員
    WelfareCommissioner,
    /// ケアマネジャー
    CareManager,
    /// かかりつけ医
    Doctor,
    /// 大家・管理人
    Landlord,
    /// その他
    Other,
}

impl Relation {
    /// Every one, in the order in which they are offered.
    pub const ALL: [Self; 7] = [
        Self::Family,
        Self::Neighbour,
        Self::WelfareCommissioner,
        Self::CareManager,
        Self::Doctor,
        Self::Landlord,
        Self::Other,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Family => "family",
            Self::Neighbour => "neighbour",
            Self::WelfareCommissioner => "welfare_commissioner",
            Self::CareManager => "care_manager",
            Self::Doctor => "doctor",
            Self::Landlord => "landlord",
            Self::Other => "other",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|relation| relation.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Family => Bilingual::fixed("家族・親族", "Family"),
            Self::Neighbour => Bilingual::fixed("近所の方", "Neighbour"),
            Self::WelfareCommissioner => Bilingual::fixed("民生委員", "Welfare commissioner"),
            Self::CareManager => Bilingual::fixed("ケアマネジャー", "Care manager"),
            Self::Doctor => Bilingual::fixed("かかりつけ医", "Family doctor"),
            Self::Landlord => Bilingual::fixed("大家・管理人", "Landlord"),
            Self::Other => Bilingual::fixed("その他", "Other"),
        }
    }
}

/// A note that staff wrote about a patient. Immutable.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct StaffNote {
    /// The id.
    pub id: StaffNoteId,
    /// What was written.
    pub text: Private<String>,
    /// Who wrote it, and when.
    pub written: Signed,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    #[test]
    fn a_pause_holds_from_its_first_to_its_last_day_unless_it_was_ended() {
        let mut minter = Minter::new([3; 32]);
        let at = Timestamp::UNIX_EPOCH;
        let signed = Signed { by: minter.mint(at), name: Private::default(), at };
        let day = |n| Date::constant(2026, 11, n);
        let pause = Pause {
            id: minter.mint(at),
            first_day: day(23),
            last_day: day(24),
            reason: Private::new("入院".to_owned()),
            begun: signed.clone(),
            ended: None,
        };
        assert_eq!([22, 23, 24, 25].map(|n| pause.covers(day(n))), [false, true, true, false]);
        assert!(!Pause { ended: Some(signed), ..pause }.covers(day(23)));
    }
}
