//! What was agreed with a patient beyond the times of day: on which days, by which way, or not at
//! all by a machine.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Weekday};

use crate::base::Private;
use crate::base::id::CampaignId;

/// How a patient is to be reached.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Arrangement {
    /// The campaign that the patient is in; `None` for the centre's first one.
    pub campaign: Option<CampaignId>,
    /// The days of the week that were agreed.
    pub weekdays: Weekdays,
    /// How long after an agreed time calls may still start; `None` for the campaign's.
    pub tolerance: Option<Duration>,
    /// By which way the patient reports.
    pub channel: Channel,
    /// A doctor's order that no machine calls: who ordered it, and why.
    pub no_automation: Option<Private<String>>,
}

impl Arrangement {
    /// Why no machine calls this patient, if none does.
    pub fn held(&self) -> Option<Held> {
        match (&self.no_automation, self.channel) {
            (Some(_), _) => Some(Held::DoctorsOrder),
            (None, Channel::Telephone) => None,
            (None, Channel::Web) => Some(Held::Web),
            (None, Channel::Staff) => Some(Held::Staff),
        }
    }
}

/// Why no machine calls a patient who is under observation. The slots stay: they are owed, and
/// become a matter for staff if nobody meets them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Held {
    /// The patient reports on the Web.
    Web,
    /// Staff call.
    Staff,
    /// A doctor ordered it.
    DoctorsOrder,
}

/// By which way a patient reports. Whatever it is, a report by another way counts.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Channel {
    /// We call.
    #[default]
    Telephone,
    /// The patient fills in the form; who does not is a matter for staff.
    Web,
    /// Staff call.
    Staff,
}

impl Channel {
    /// Every way.
    pub const ALL: [Self; 3] = [Self::Telephone, Self::Web, Self::Staff];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telephone => "telephone",
            Self::Web => "web",
            Self::Staff => "staff",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|channel| channel.as_str() == text)
    }
}

/// Days of the week. By default all of them: an illness knows no Sunday.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Weekdays(u8);

impl Weekdays {
    /// Every day.
    pub const ALL: Self = Self(0b111_1111);

    /// These days.
    pub fn of(days: impl IntoIterator<Item = Weekday>) -> Self {
        Self(days.into_iter().fold(0, |bits, day| bits | bit(day)))
    }

    /// Monday is bit 0, as it is stored. `None` for a number that is no set of days, or an empty
    /// one: who is called on no day is paused, and not agreed with.
    pub fn from_bits(bits: u8) -> Option<Self> {
        (1..=Self::ALL.0).contains(&bits).then_some(Self(bits))
    }

    /// See [`Self::from_bits`].
    pub fn bits(self) -> u8 {
        self.0
    }

    /// Whether this day of the week is one of them.
    pub fn contains(self, day: Weekday) -> bool {
        self.0 & bit(day) != 0
    }

    /// Whether a date falls on one of them.
    pub fn cover(self, date: Date) -> bool {
        self.contains(date.weekday())
    }
}

impl Default for Weekdays {
    fn default() -> Self {
        Self::ALL
    }
}

impl fmt::Debug for Weekdays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let days = (0..7).filter(|day| self.0 & (1 << day) != 0);
        f.debug_set().entries(days.flat_map(Weekday::from_monday_zero_offset)).finish()
    }
}

fn bit(day: Weekday) -> u8 {
    1 << day.to_monday_zero_offset()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_of_the_week_are_a_set_that_is_never_empty() {
        let weekend = Weekdays::of([Weekday::Saturday, Weekday::Sunday]);
        assert_eq!(weekend.bits(), 0b110_0000);
        assert!(weekend.cover(Date::constant(2026, 11, 29)) && !weekend.contains(Weekday::Monday));
        assert_eq!(Weekdays::from_bits(weekend.bits()), Some(weekend));
        assert_eq!((Weekdays::from_bits(0), Weekdays::from_bits(128)), (None, None));
        assert_eq!(format!("{weekend:?}"), "{Saturday, Sunday}");
    }

    #[test]
    fn a_doctors_order_comes_before_the_way_of_reporting() {
        let mut arrangement = Arrangement::default();
        assert_eq!(arrangement.held(), None);
        arrangement.channel = Channel::Web;
        assert_eq!(arrangement.held(), Some(Held::Web));
        arrangement.no_automation = Some("主治医の指示".to_owned().into());
        assert_eq!(arrangement.held(), Some(Held::DoctorsOrder));
    }
}
