//! What is said: prompts of the catalogue, and the values that fill their blanks.

use std::fmt;

use jiff::civil::{Date, DateTime};

use crate::base::Private;

/// One prompt of the catalogue with the values for its blanks.
///
/// The whole sentence is spoken as one, so that `36度5分ですね` has one melody.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Utterance {
    /// The id of the prompt in `prompts/ja/catalog.toml`, such as `readback_temperature`.
    pub prompt: String,
    /// What fills its blanks, in the order of the text.
    pub blanks: Vec<Blank>,
}

impl Utterance {
    /// A prompt without blanks.
    pub fn fixed(prompt: &str) -> Self {
        Self { prompt: prompt.to_owned(), blanks: Vec::new() }
    }

    /// A prompt with one blank.
    pub fn with(prompt: &str, blank: Blank) -> Self {
        Self { prompt: prompt.to_owned(), blanks: vec![blank] }
    }
}

/// Shows the prompt and its values, but no person's name: `readback_temperature:375`.
impl fmt::Display for Utterance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.prompt)?;
        self.blanks.iter().try_for_each(|blank| write!(f, ":{blank}"))
    }
}

/// A value that is said within a prompt. Its `Debug` hides what was measured.
#[derive(Clone, Eq, Hash, PartialEq)]
pub enum Blank {
    /// A temperature in tenths of a degree Celsius: 375 is said as さんじゅうななど ごぶ.
    Temperature(u16),
    /// A blood oxygen saturation in percent.
    Spo2(u8),
    /// A telephone number, read digit by digit with pauses at the hyphens.
    PhoneNumber(String),
    /// The name of the health centre in accent-marked katakana.
    HealthCenter(String),
    /// A person's family name in katakana; 様 follows in the prompt's own text.
    FamilyName(Private<String>),
    /// A time of day relative to a date: きょう ごご さんじ, あす ごぜん くじ, or the date.
    Moment {
        /// What is said.
        at: DateTime,
        /// The day on which it is said.
        today: Date,
    },
}

impl fmt::Debug for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temperature(_) => f.write_str("Temperature"),
            Self::Spo2(_) => f.write_str("Spo2"),
            Self::PhoneNumber(_) | Self::HealthCenter(_) | Self::FamilyName(_) => {
                write!(f, "{self}")
            }
            Self::Moment { at, .. } => write!(f, "Moment({at})"),
        }
    }
}

impl fmt::Display for Blank {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Temperature(tenths) => write!(f, "{tenths}"),
            Self::Spo2(percent) => write!(f, "{percent}"),
            Self::PhoneNumber(number) => f.write_str(number),
            Self::HealthCenter(_) => f.write_str("center"),
            Self::FamilyName(_) => f.write_str("name"),
            Self::Moment { at, .. } => write!(f, "{at}"),
        }
    }
}

impl Blank {
    /// The value as a person reads it. The name of a person is not shown.
    pub fn written(&self) -> String {
        match self {
            Self::Temperature(tenths) if tenths % 10 == 0 => format!("{}度ちょうど", tenths / 10),
            Self::Temperature(tenths) => format!("{}度{}分", tenths / 10, tenths % 10),
            Self::Spo2(percent) => format!("{percent}パーセント"),
            Self::PhoneNumber(number) => number.clone(),
            Self::HealthCenter(kana) => kana.replace(['\'', '/'], ""),
            Self::FamilyName(_) => "〇〇".to_owned(),
            Self::Moment { at, today } => written_moment(*at, *today),
        }
    }
}

fn written_moment(at: DateTime, today: Date) -> String {
    let day = if at.date() == today {
        "きょう".to_owned()
    } else if today.tomorrow().is_ok_and(|tomorrow| at.date() == tomorrow) {
        "あす".to_owned()
    } else {
        format!("{}月{}日", at.month(), at.day())
    };
    let half_day = if at.hour() < 12 { "午前" } else { "午後" };
    match (at.hour(), at.minute()) {
        (12, 0) => format!("{day}正午"),
        (hour, 0) => format!("{day}{half_day}{}時", hour % 12),
        (hour, 30) => format!("{day}{half_day}{}時半", hour % 12),
        (hour, minute) => format!("{day}{half_day}{}時{minute}分", hour % 12),
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn values_are_written_as_they_are_said() {
        let today = date(2026, 11, 22);
        let moment =
            |day: Date, hour, minute| Blank::Moment { at: day.at(hour, minute, 0, 0), today };
        let tomorrow = date(2026, 11, 23);
        for (blank, expected) in [
            (Blank::Temperature(380), "38度ちょうど"),
            (Blank::Temperature(375), "37度5分"),
            (Blank::HealthCenter("ミナトホケ'ンジョ".to_owned()), "ミナトホケンジョ"),
            (Blank::FamilyName(Private::new("カンザキ".to_owned())), "〇〇"),
            (moment(today, 15, 0), "きょう午後3時"),
            (moment(tomorrow, 9, 0), "あす午前9時"),
            (moment(tomorrow, 0, 0), "あす午前0時"),
            (moment(today, 12, 0), "きょう正午"),
            (moment(today, 12, 20), "きょう午後0時20分"),
            (moment(today, 16, 30), "きょう午後4時半"),
            (moment(today, 10, 8), "きょう午前10時8分"),
            (moment(date(2026, 12, 1), 9, 0), "12月1日午前9時"),
            (moment(date(2026, 11, 21), 9, 0), "11月21日午前9時"),
        ] {
            assert_eq!(blank.written(), expected);
        }
    }
}
