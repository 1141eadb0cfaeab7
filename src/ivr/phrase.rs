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

/// A value that is said within a prompt.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
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
