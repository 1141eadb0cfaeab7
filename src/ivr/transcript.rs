//! What was asked and answered, in order. Append-only.

use std::fmt;

use jiff::Timestamp;

/// Which of the scripts of a questionnaire is followed.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Script {
    /// Every question: the first call of a day.
    Full,
    /// Temperature, SpO2, breathing, and whether anything else changed: the later calls.
    Short,
    /// No question: the observation is over, and we say so.
    Farewell,
    /// One value alone, which is measured again.
    Remeasure,
}

impl Script {
    /// Every script.
    pub const ALL: [Self; 4] = [Self::Full, Self::Short, Self::Remeasure, Self::Farewell];

    /// The word for it in the store and in questionnaires.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Short => "short",
            Self::Farewell => "farewell",
            Self::Remeasure => "remeasure",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|script| script.as_str() == text)
    }
}

/// One answer to one question, settled: confirmed where confirmation is asked for. Its `Debug`
/// hides what was answered.
#[derive(Clone, Eq, PartialEq)]
pub struct Entry {
    /// 0 for the first entry of the transcript; with the attempt it is the key of the row.
    pub seq: u32,
    /// The code of the question, such as `temperature` or `dyspnea`.
    pub question: String,
    /// How often the question was put before it was settled: 1 at best.
    pub asked: u32,
    /// The keys as pressed, all tries joined by a space; empty for silence. Keys that prove
    /// identity are never part of a transcript.
    pub keys: String,
    /// What they mean.
    pub answer: Answer,
    /// When it was settled.
    pub at: Timestamp,
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, question, asked, at, keys: _, answer: _ } = self;
        write!(f, "Entry(#{seq} {question}, asked {asked}, at {at})")
    }
}

/// What an answer means. Silence is never "no".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Answer {
    /// A number in the question's own unit: tenths of a degree, or percent.
    Number(i32),
    /// はい・いいえ・わからない.
    Choice(YesNo),
    /// The patient says that it was not, or cannot be, measured.
    NotMeasured,
    /// Asked as often as patience allows, and nothing that could be understood came back.
    Unanswered,
}

/// はい・いいえ・わからない. Questions are put so that yes is bad.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum YesNo {
    /// 1: はい
    Yes,
    /// 2: いいえ
    No,
    /// 3: わからない
    Unknown,
}

impl Answer {
    /// The word or number for it in the store: `375`, `yes`, `no`, `unknown`, `not_measured`,
    /// `unanswered`.
    pub fn to_text(self) -> String {
        match self {
            Self::Number(number) => number.to_string(),
            Self::Choice(YesNo::Yes) => "yes".to_owned(),
            Self::Choice(YesNo::No) => "no".to_owned(),
            Self::Choice(YesNo::Unknown) => "unknown".to_owned(),
            Self::NotMeasured => "not_measured".to_owned(),
            Self::Unanswered => "unanswered".to_owned(),
        }
    }

    /// Reads [`Self::to_text`].
    pub fn parse(text: &str) -> Option<Self> {
        Some(match text {
            "yes" => Self::Choice(YesNo::Yes),
            "no" => Self::Choice(YesNo::No),
            "unknown" => Self::Choice(YesNo::Unknown),
            "not_measured" => Self::NotMeasured,
            "unanswered" => Self::Unanswered,
            number => Self::Number(number.parse().ok()?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_can_read_an_answer_from_debug() {
        let entry = Entry {
            seq: 2,
            question: "temperature".to_owned(),
            asked: 1,
            keys: "385".to_owned(),
            answer: Answer::Number(385),
            at: Timestamp::UNIX_EPOCH,
        };
        assert_eq!(format!("{entry:?}"), "Entry(#2 temperature, asked 1, at 1970-01-01T00:00:00Z)");
    }
}
