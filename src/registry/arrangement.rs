//! What was agreed with a patient beyond the times of day: on which days, by which way, or not at
//! all by a machine.

use std::fmt;
use std::time::Duration;

use jiff::civil::{Date, Weekday};

use crate::base::id::CampaignId;
use crate::base::{Bilingual, Private};

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
    /// A doctor's order that no machine calls.
    pub no_automation: Option<DoctorsOrder>,
}

/// What a list says of an arrangement; what it does not say stays as it is.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Told {
    /// The days of the week.
    pub weekdays: Option<Weekdays>,
    /// By which way the patient reports.
    pub channel: Option<Channel>,
}

impl Told {
    /// The arrangement as it is after the list.
    pub fn apply(self, arrangement: Arrangement) -> Arrangement {
        Arrangement {
            weekdays: self.weekdays.unwrap_or(arrangement.weekdays),
            channel: self.channel.unwrap_or(arrangement.channel),
            ..arrangement
        }
    }
}

/// A doctor's order that no machine calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DoctorsOrder {
    /// Who ordered it.
    pub by: Private<String>,
    /// Why.
    pub why: Private<String>,
}

impl DoctorsOrder {
    /// As it is stored: who on the first line, why on the next ones.
    pub fn to_text(&self) -> String {
        format!("{}\n{}", self.by.expose(), self.why.expose())
    }

    /// Reads [`Self::to_text`]; a text of one line is the reason.
    pub fn parse(text: &str) -> Self {
        let (by, why) = text.split_once('\n').unwrap_or(("", text));
        Self { by: Private::new(by.to_owned()), why: Private::new(why.to_owned()) }
    }
}

impl Arrangement {
    /// Why no machine calls this patient, if none does.
    pub fn held(&self) -> Option<Held> {
        Held::of(self.no_automation.is_some(), self.channel)
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

impl Held {
    /// Every reason.
    pub const ALL: [Self; 3] = [Self::Web, Self::Staff, Self::DoctorsOrder];

    /// An order comes before the way of reporting.
    pub fn of(is_ordered: bool, channel: Channel) -> Option<Self> {
        match (is_ordered, channel) {
            (true, _) => Some(Self::DoctorsOrder),
            (false, Channel::Telephone) => None,
            (false, Channel::Web) => Some(Self::Web),
            (false, Channel::Staff) => Some(Self::Staff),
        }
    }

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Web => "web",
            Self::Staff => "staff",
            Self::DoctorsOrder => "doctors_order",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|held| held.as_str() == text)
    }

    /// For people.
    pub fn reason(self) -> Bilingual {
        match self {
            Self::Web => Bilingual::fixed("Web で報告", "reports on the Web"),
            Self::Staff => Bilingual::fixed("職員が連絡", "staff call"),
            Self::DoctorsOrder => Bilingual::fixed("医師の指示", "a doctor's order"),
        }
    }
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

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Telephone => Bilingual::fixed("自動の電話", "Automatic calls"),
            Self::Web => Bilingual::fixed("Web", "Web"),
            Self::Staff => Bilingual::fixed("職員の電話", "Staff call"),
        }
    }
}

/// Days of the week. By default all of them: an illness knows no Sunday.
#[derive(Clone, Copy, Eq, Hash, PartialEq)]
pub struct Weekdays(u8);

/// The days of the week, Monday first.
pub static WEEKDAYS: [Bilingual; 7] = [
    Bilingual::fixed("月", "Mon"),
    Bilingual::fixed("火", "Tue"),
    Bilingual::fixed("水", "Wed"),
    Bilingual::fixed("木", "Thu"),
    Bilingual::fixed("金", "Fri"),
    Bilingual::fixed("土", "Sat"),
    Bilingual::fixed("日", "Sun"),
];

/// The shortest and the longest tolerance, in minutes.
pub const TOLERANCE: std::ops::RangeInclusive<u64> = 10..=480;

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

    /// In letters: 月水金, or 毎日.
    pub fn written(self) -> Bilingual {
        if self == Self::ALL {
            return Bilingual::fixed("毎日", "every day");
        }
        let days = WEEKDAYS.iter().enumerate().filter(|(day, _)| self.0 & (1 << day) != 0);
        let (ja, en): (Vec<&str>, Vec<&str>) = days.map(|(_, name)| (&*name.ja, &*name.en)).unzip();
        Bilingual::composed(ja.concat(), en.join(" "))
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
        let written = |days: Weekdays| format!("{} / {}", days.written().ja, days.written().en);
        assert_eq!(written(weekend), "土日 / Sat Sun");
        assert_eq!(written(Weekdays::ALL), "毎日 / every day");
    }

    #[test]
    fn a_list_changes_what_it_tells_and_nothing_else() {
        let agreed = Arrangement { channel: Channel::Web, ..Arrangement::default() };
        assert_eq!(Told::default().apply(agreed.clone()), agreed);
        let weekdays = Weekdays::of([Weekday::Monday]);
        let told = Told { weekdays: Some(weekdays), channel: None };
        assert_eq!(told.apply(agreed.clone()), Arrangement { weekdays, ..agreed });
    }

    #[test]
    fn a_doctors_order_comes_before_the_way_of_reporting() {
        let mut arrangement = Arrangement::default();
        assert_eq!(arrangement.held(), None);
        arrangement.channel = Channel::Web;
        assert_eq!(arrangement.held(), Some(Held::Web));
        arrangement.no_automation = Some(DoctorsOrder::parse("主治医\n安静のため"));
        assert_eq!(arrangement.held(), Some(Held::DoctorsOrder));
    }

    #[test]
    fn an_order_is_read_back_as_it_was_written() {
        let order = DoctorsOrder::parse("山田医師\n安静のため");
        assert_eq!(order.by.expose(), "山田医師");
        assert_eq!(DoctorsOrder::parse(&order.to_text()), order);
        let nobody = DoctorsOrder::parse("安静のため");
        assert_eq!((nobody.by.expose().as_str(), nobody.why.expose().as_str()), ("", "安静のため"));
    }
}
