//! What is asked, in which order, and when: a questionnaire as data.
//!
//! A questionnaire is read by [`parse::questionnaire`], which
//! lets only valid ones pass; nothing above checks again.

use std::sync::Arc;
use std::time::Duration;

use crate::ivr::{Answer, Catalog, Script, YesNo, parse};

/// The text of the questionnaire that is built in (`domain.md` §8 and §5.1).
const RECUPERATION: &str = include_str!("../../prompts/questionnaires/recuperation.toml");

/// A questionnaire that was found valid.
#[derive(Clone, Debug, PartialEq)]
pub struct Questionnaire {
    /// Its id, such as `recuperation`.
    pub id: String,
    /// Its version; every answer stores the version that asked for it.
    pub version: u32,
    /// The questions in the order in which they are put.
    pub questions: Vec<Question>,
    /// The key that asks for help.
    pub help: Option<HelpStep>,
    /// The last step, in which the patient may say something to the staff.
    pub message: Option<MessageStep>,
}

/// The key that asks for help wherever a yes or a no is expected.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HelpStep {
    /// Names the wish in transcripts, observations and rules. It is only ever answered with yes.
    pub code: String,
    /// The key, a digit that no question and no confirmation takes.
    pub key: u8,
    /// The prompt that tells of the key, once in a call.
    pub hint: String,
    /// The prompt that asks whether it was meant: 1 is yes, 2 is no.
    pub confirm: String,
}

/// What is said around a message to the staff, by the names of the prompts.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MessageStep {
    /// Asks whether there is something to say: 1 is yes, 2 is no.
    pub offer: String,
    /// Tells to speak after the signal.
    pub begin: String,
    /// Tells the same to somebody who speaks but presses no key. Nobody knows who that is, so it
    /// must hold no word on health.
    pub unheard: String,
    /// The signal.
    pub signal: String,
    /// Said when something was heard.
    pub thanks: String,
    /// How long it may last.
    pub longest: Duration,
}

/// One question.
#[derive(Clone, Debug, PartialEq)]
pub struct Question {
    /// Names the answer in transcripts, observations and rules, such as `dyspnea`.
    pub code: String,
    /// What an answer looks like.
    pub kind: Kind,
    /// The prompts that put it the first time, said one after the other.
    pub ask: Vec<String>,
    /// The prompts that put it again after silence, in slower words.
    pub again: Vec<String>,
    /// The prompts that put it in few words, after a wrong key or once it is known.
    pub short: Vec<String>,
    /// The prompt that reads the value back; of yes/no questions only "yes" is read back.
    pub confirm: Option<String>,
    /// An answer, or "not measured", is needed for the interview to count as complete.
    pub required: bool,
    /// Still asked, in few words, after the patient was told to call for help at once.
    pub urgent: bool,
    /// The scripts that contain it.
    pub scripts: Vec<Script>,
    /// Asked only of those who have this.
    pub needs: Option<Need>,
    /// Asked only when one of these holds; always if empty.
    pub ask_when: Vec<Condition>,
    /// Stands in for `ask_when` in the short script.
    pub ask_when_short: Option<Vec<Condition>>,
}

/// What an answer looks like.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Digits.
    Number(NumberFormat),
    /// はい・いいえ・わからない.
    YesNo(ChoiceKeys),
    /// One はい・いいえ・わからない for several signs (`domain.md` §2.3).
    Group {
        /// The keys.
        keys: ChoiceKeys,
        /// The codes of the signs that "yes" may mean, for staff.
        signs: Vec<String>,
    },
}

/// The keys of a choice, as digits 0 to 8 (9 and `*` repeat the question).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ChoiceKeys {
    /// はい
    pub yes: u8,
    /// いいえ
    pub no: u8,
    /// わからない, where it may be said.
    pub unknown: Option<u8>,
}

/// How a number is typed and what it may be.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NumberFormat {
    /// How it is read back.
    pub unit: Unit,
    /// Fewest digits.
    pub min_digits: usize,
    /// Most digits; shorter numbers may be padded with zeros in front.
    pub max_digits: usize,
    /// The smallest plausible value, in the unit of the keys (375 is 37.5 ℃).
    pub min: i32,
    /// The largest plausible value.
    pub max: i32,
    /// How many of the unit of the keys make one of the unit people speak of: 10 for 37.5 ℃.
    pub scale: i32,
    /// The keys for "not measured", such as `000`.
    pub not_measured: Option<String>,
    /// The prompt that tells which values are plausible.
    pub implausible: String,
}

/// What a number measures, which tells how it is read back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Unit {
    /// Tenths of a degree Celsius.
    Temperature,
    /// Percent of oxygen saturation.
    Spo2,
}

/// What a patient must have at hand to be asked.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Need {
    /// 体温計
    Thermometer,
    /// パルスオキシメーター
    Oximeter,
}

/// A condition on the answer to an earlier question. An answer that was not given meets none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Condition {
    /// The code of the earlier question.
    pub question: String,
    /// What its answer must be.
    pub test: Test,
}

/// What an answer must be.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Test {
    /// This answer.
    Is(Answer),
    /// A number not above this, in the unit of the keys.
    AtMost(i32),
    /// A number not below this, in the unit of the keys.
    AtLeast(i32),
}

impl Questionnaire {
    /// The questionnaire that is built in: `recuperation`, version 2.
    pub fn recuperation() -> Arc<Self> {
        let read = parse::questionnaire(RECUPERATION, &Catalog::embedded());
        Arc::new(read.expect("checked by its own test"))
    }

    /// The id and version as observations store it: `recuperation@2`.
    pub fn key(&self) -> String {
        format!("{}@{}", self.id, self.version)
    }

    /// Whether every question that is due and required has an answer, or is said not to be
    /// measured. `has` tells whether what a question needs is at hand.
    pub fn is_complete(
        &self,
        script: Script,
        has: impl Fn(&Question) -> bool,
        answers: &[(String, Answer)],
    ) -> bool {
        let is_answered = |code: &str| {
            let mut given = answers.iter();
            given.any(|(known, answer)| known == code && *answer != Answer::Unanswered)
        };
        self.questions.iter().all(|question| {
            !question.required
                || !has(question)
                || !question.is_due(script, answers)
                || is_answered(&question.code)
        })
    }

    /// Whether a script asks anything at all.
    pub fn has(&self, script: Script) -> bool {
        self.questions.iter().any(|question| question.scripts.contains(&script))
    }

    /// Whether the value of this question can be measured again in a call of its own.
    pub fn measures_again(&self, code: &str) -> bool {
        self.question(code).is_some_and(|question| question.scripts.contains(&Script::Remeasure))
    }

    /// Whether the wish for help has this code.
    pub fn is_help(&self, code: &str) -> bool {
        self.help.as_ref().is_some_and(|help| help.code == code)
    }

    /// The question with this code.
    pub fn question(&self, code: &str) -> Option<&Question> {
        self.questions.iter().find(|question| question.code == code)
    }
}

impl Question {
    /// Whether it is answered with yes or no.
    pub fn is_choice(&self) -> bool {
        matches!(self.kind, Kind::YesNo(_) | Kind::Group { .. })
    }

    /// Whether the question belongs into `script`, given what is known so far.
    pub fn is_due(&self, script: Script, answers: &[(String, Answer)]) -> bool {
        let conditions = match (script, &self.ask_when_short) {
            (Script::Short, Some(conditions)) => conditions,
            _ => &self.ask_when,
        };
        self.scripts.contains(&script)
            && (conditions.is_empty() || conditions.iter().any(|one| one.holds(answers)))
    }
}

impl Condition {
    fn holds(&self, answers: &[(String, Answer)]) -> bool {
        let of_question = answers.iter().rev().find(|(code, _)| *code == self.question);
        of_question.is_some_and(|(_, answer)| match (self.test, *answer) {
            (Test::Is(wanted), given) => wanted == given,
            (Test::AtMost(limit), Answer::Number(number)) => number <= limit,
            (Test::AtLeast(limit), Answer::Number(number)) => number >= limit,
            _ => false,
        })
    }
}

impl ChoiceKeys {
    /// 1 = はい, 2 = いいえ, 3 = わからない.
    pub const STANDARD: Self = Self { yes: 1, no: 2, unknown: Some(3) };

    /// What this key says; `None` if nothing.
    pub fn meaning(self, key: u8) -> Option<YesNo> {
        match key {
            key if key == self.yes => Some(YesNo::Yes),
            key if key == self.no => Some(YesNo::No),
            key if Some(key) == self.unknown => Some(YesNo::Unknown),
            _ => None,
        }
    }
}
