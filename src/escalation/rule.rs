//! Rules as data with effective dates: which answers a human must hear of, and how soon.
//!
//! A [`RuleSet`] is one version, read from one TOML file. A [`RuleBook`] holds the versions and
//! knows which one is in force on a date. A version that has been used is never changed.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use jiff::civil::Date;
use serde::Deserialize;
use toml::Spanned;

use crate::base::Bilingual;
use crate::campaign::SlotState;
use crate::ivr::{Answer, Concern, YesNo};

/// How soon a human must act.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Priority {
    /// Recorded only.
    P0,
    /// 本日中: on the day's list.
    P3,
    /// 当日優先: call back within two hours.
    P2,
    /// 至急: at once.
    P1,
}

/// What the patient must hear of a finding in the same call.
impl From<Priority> for Concern {
    fn from(priority: Priority) -> Self {
        match priority {
            Priority::P1 => Self::Emergency,
            Priority::P2 => Self::Desk,
            Priority::P3 => Self::Watch,
            Priority::P0 => Self::None,
        }
    }
}

impl Priority {
    /// Every priority, the gravest last.
    pub const ALL: [Self; 4] = [Self::P0, Self::P3, Self::P2, Self::P1];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::P0 => "p0",
            Self::P3 => "p3",
            Self::P2 => "p2",
            Self::P1 => "p1",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|priority| priority.as_str() == text)
    }

    /// One level graver. [`Priority::P1`] stays, and so does what is recorded only.
    #[must_use]
    pub fn raised(self) -> Self {
        match self {
            Self::P0 => Self::P0,
            Self::P3 => Self::P2,
            Self::P2 | Self::P1 => Self::P1,
        }
    }
}

/// The versions of the rules.
#[derive(Clone, Debug)]
pub struct RuleBook {
    sets: Vec<RuleSet>,
    /// In force before the first of `sets`, but never after it: a new version of the program does
    /// not take the place of what somebody has decided.
    shipped: Vec<RuleSet>,
}

/// Every version that was ever shipped.
const SHIPPED: [(&str, &str); 2] = [
    (
        "prompts/rules/recuperation-2026-11-01.toml",
        include_str!("../../prompts/rules/recuperation-2026-11-01.toml"),
    ),
    ("prompts/rules/recuperation.toml", include_str!("../../prompts/rules/recuperation.toml")),
];

impl RuleBook {
    /// The rules that are shipped: `prompts/rules/recuperation.toml`, and its earlier versions.
    pub fn shipped() -> Result<Self, RuleError> {
        Self::with_shipped(Vec::new())
    }

    /// The shipped rules and these, so that rules are in force also before the first of these.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn with_shipped(sets: Vec<RuleSet>) -> Result<Self, RuleError> {
        let shipped = SHIPPED.into_iter().map(|(file, text)| RuleSet::parse(file, text));
        let shipped = Self::new(shipped.collect::<Result<_, _>>()?)?.sets;
        let book = Self { shipped, ..Self::new(sets)? };
        let is_taken = |set: &&RuleSet| book.shipped.iter().any(|one| one.version == set.version);
        if let Some(set) = book.sets.iter().find(is_taken) {
            let problem = Problem::Ambiguous { other: set.version.clone() };
            return Err(RuleError { file: set.version.clone(), line: 1, problem });
        }
        Ok(book)
    }

    /// A book of these versions, one of which is in force from each date on.
    ///
    /// # Errors
    /// Two of them share a version or a first day.
    pub fn new(mut sets: Vec<RuleSet>) -> Result<Self, RuleError> {
        sets.sort_by_key(|set| set.effective_from);
        for (index, set) in sets.iter().enumerate() {
            for later in sets.iter().skip(index + 1) {
                if set.version == later.version || set.effective_from == later.effective_from {
                    let problem = Problem::Ambiguous { other: set.version.clone() };
                    return Err(RuleError { file: later.version.clone(), line: 1, problem });
                }
            }
        }
        Ok(Self { sets, shipped: Vec::new() })
    }

    /// The rules in force on this day; `None` before the first of them.
    pub fn effective_on(&self, day: Date) -> Option<&RuleSet> {
        let on = |sets: &'_ [RuleSet]| sets.iter().rposition(|set| set.effective_from <= day);
        let own = on(&self.sets).and_then(|place| self.sets.get(place));
        own.or_else(|| self.shipped.get(on(&self.shipped)?))
    }

    /// Every set, the latest first day first; those that were shipped come last.
    pub fn sets(&self) -> impl Iterator<Item = &RuleSet> {
        self.sets.iter().rev().chain(self.shipped.iter().rev())
    }

    /// The rules of a version that a fact names.
    pub fn version(&self, version: &str) -> Option<&RuleSet> {
        self.sets.iter().chain(&self.shipped).find(|set| set.version == version)
    }
}

/// A set of rules that was found valid.
#[derive(Clone, Debug)]
pub struct RuleSet {
    /// Its version, such as `2026-11-01`; every fact stores the version that made it.
    pub version: String,
    /// The first day on which it is in force.
    pub effective_from: Date,
    /// The rules, in the order of the file.
    pub rules: Vec<Rule>,
    /// The file, with its comments.
    pub text: String,
    codes: BTreeMap<String, Code>,
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Its id, unique within the set, such as `spo2-low`.
    pub id: String,
    /// How soon a human must act.
    pub priority: Priority,
    /// Where the rule comes from: a guideline, a prefecture's practice, or our own default.
    pub source: String,
    /// What staff read, with places for `{label}`, `{value}`, `{median}`, `{days}`, `{count}`.
    pub text: String,
    /// When it fires.
    pub condition: Condition,
    /// How later answers of the same call may make it weigh less.
    pub lowering: Option<Lowering>,
    /// People for whom it weighs one level more.
    pub raised_by: Vec<Trait>,
    /// The only people whom it concerns; empty for everybody.
    pub only_for: Vec<Trait>,
}

/// When a rule fires. Numbers are in the unit of the stored answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Condition {
    /// A number lies in a range.
    Number {
        /// The question.
        code: String,
        /// Both ends included.
        range: RangeInclusive<i32>,
    },
    /// One of the questions was answered so.
    Answer {
        /// The questions.
        codes: Vec<String>,
        /// The answer.
        is: Answer,
    },
    /// A number is lower than the patient's own median before this call.
    Drop {
        /// The question.
        code: String,
        /// By how much at least.
        at_least: i32,
        /// How many earlier numbers make the median; fewer do while there are no more.
        of_last: usize,
    },
    /// A number was reached on each of so many days in a row, the day of the call included.
    Days {
        /// The question.
        code: String,
        /// The number.
        at_least: i32,
        /// How many days.
        days: u32,
    },
    /// A number is reached for the first time after a day on which it never was.
    Onset {
        /// The question.
        code: String,
        /// The number.
        at_least: i32,
    },
    /// The last no to the question has become a yes.
    Turned {
        /// The questions.
        codes: Vec<String>,
    },
    /// So many questions of one call were answered so.
    Count {
        /// The answer.
        is: Answer,
        /// How many.
        at_least: usize,
    },
    /// A slot came to this end.
    Slot {
        /// The final state.
        state: SlotState,
    },
    /// So many attempts at one slot reached nobody.
    InVain {
        /// How many.
        at_least: usize,
    },
    /// No slot of a day was reported.
    MissedDay,
    /// A number does not exist.
    InvalidNumber,
    /// A call ended after a key was pressed, or after an answer, and before the last question.
    Interrupted,
    /// The birth date was wrong as often as it may be.
    NotIdentified,
    /// So many answered calls in a row ended without a key; machines do not count.
    NoKey {
        /// How many.
        calls: usize,
    },
}

/// How later answers of the same call may make a fact weigh less. Silence never does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Lowering {
    /// The priority instead.
    pub to: Priority,
    /// What staff read instead; `{value}` is the number that helped.
    pub text: String,
    /// All of these were answered with no.
    pub if_no: Vec<String>,
    /// And this question was answered with a number …
    pub code: String,
    /// … of at least this.
    pub at_least: i32,
}

/// What is true of a patient and makes a rule weigh more.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Trait {
    /// On the list of high risks, or 65 or older.
    HighRisk,
    /// Nobody else would notice.
    LivesAlone,
}

/// A question that rules speak of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Code {
    label: String,
    #[serde(default)]
    decimals: u8,
}

impl RuleSet {
    /// Reads one version; `file` names it in errors.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn parse(file: &str, text: &str) -> Result<Self, RuleError> {
        let fault = |span: Option<Range<usize>>, problem| RuleError {
            file: file.to_owned(),
            line: line_of(text, span.map_or(0, |span| span.start)),
            problem,
        };
        let raw: RawSet = toml::from_str(text).map_err(|error| {
            fault(error.span(), Problem::Syntax { message: error.message().to_owned() })
        })?;
        let mut set = Self {
            version: raw.version.get_ref().clone(),
            effective_from: raw.effective_from,
            rules: Vec::new(),
            text: text.to_owned(),
            codes: raw.codes,
        };
        if set.version.is_empty() {
            return Err(fault(Some(raw.version.span()), Problem::NoVersion));
        }
        for rule in raw.rule {
            let span = rule.span();
            let rule = set
                .check(rule.into_inner(), &raw.raised_by)
                .map_err(|problem| fault(Some(span.clone()), problem))?;
            set.rules.push(rule);
        }
        Ok(set)
    }

    /// Whether the rules know this question, if only by its name: a question that they do not
    /// know can raise no alarm.
    pub fn knows(&self, code: &str) -> bool {
        self.codes.contains_key(code)
    }

    /// The words for a question.
    pub fn label<'a>(&'a self, code: &'a str) -> &'a str {
        self.codes.get(code).map_or(code, |known| &known.label)
    }

    /// A stored number as it is read: 375 is `37.5` where the question has one decimal.
    pub fn show(&self, code: &str, number: i32) -> String {
        match self.codes.get(code).map_or(0, |known| known.decimals) {
            0 => number.to_string(),
            decimals => {
                let scale = f64::from(10_i32.pow(u32::from(decimals)));
                format!("{:.*}", usize::from(decimals), f64::from(number) / scale)
            }
        }
    }

    fn check(&self, raw: RawRule, raised_by: &[Trait]) -> Result<Rule, Problem> {
        if self.rules.iter().any(|rule| rule.id == raw.id) {
            return Err(Problem::Twice { id: raw.id });
        }
        let priority = priority(&raw.priority)?;
        check_places(&raw.text)?;
        Ok(Rule {
            condition: self.condition(raw.when)?,
            lowering: raw.lowered.map(|lowered| self.lowering(lowered, priority)).transpose()?,
            id: raw.id,
            priority,
            source: raw.source,
            text: raw.text,
            raised_by: raw.raised_by.unwrap_or_else(|| raised_by.to_vec()),
            only_for: raw.only_for,
        })
    }

    fn condition(&self, raw: RawCondition) -> Result<Condition, Problem> {
        Ok(match raw {
            RawCondition::Number { code, at_least, at_most, below } => {
                let low = at_least.map(|number| self.scaled(&code, number)).transpose()?;
                let below = below.map(|number| self.scaled(&code, number)).transpose()?;
                let high = at_most.map(|number| self.scaled(&code, number)).transpose()?;
                if low.is_none() && below.is_none() && high.is_none() {
                    return Err(Problem::NoBound);
                }
                let high = high.unwrap_or(i32::MAX).min(below.map_or(i32::MAX, |below| below - 1));
                let range = low.unwrap_or(i32::MIN)..=high;
                if range.is_empty() {
                    return Err(Problem::EmptyRange);
                }
                Condition::Number { code: self.known(code)?, range }
            }
            RawCondition::Answer { codes, is } => {
                Condition::Answer { codes: self.all_known(codes)?, is: is.into() }
            }
            RawCondition::Drop { code, at_least, of_last } => Condition::Drop {
                at_least: self.scaled(&code, at_least)?,
                code: self.known(code)?,
                of_last: positive(of_last)?,
            },
            RawCondition::Days { code, at_least, days } => Condition::Days {
                at_least: self.scaled(&code, at_least)?,
                code: self.known(code)?,
                days: positive(days)?,
            },
            RawCondition::Onset { code, at_least } => Condition::Onset {
                at_least: self.scaled(&code, at_least)?,
                code: self.known(code)?,
            },
            RawCondition::Turned { codes } => Condition::Turned { codes: self.all_known(codes)? },
            RawCondition::Count { is, at_least } => {
                Condition::Count { is: is.into(), at_least: positive(at_least)? }
            }
            RawCondition::Slot { state } => Condition::Slot {
                state: SlotState::parse(&state)
                    .filter(|state| state.is_final())
                    .ok_or(Problem::UnknownState { state })?,
            },
            RawCondition::InVain { at_least } => {
                Condition::InVain { at_least: positive(at_least)? }
            }
            RawCondition::MissedDay {} => Condition::MissedDay,
            RawCondition::InvalidNumber {} => Condition::InvalidNumber,
            RawCondition::Interrupted {} => Condition::Interrupted,
            RawCondition::NotIdentified {} => Condition::NotIdentified,
            RawCondition::NoKey { calls } => Condition::NoKey { calls: positive(calls)? },
        })
    }

    fn lowering(&self, raw: RawLowering, from: Priority) -> Result<Lowering, Problem> {
        let to = priority(&raw.to)?;
        if to >= from {
            return Err(Problem::NotLower);
        }
        check_places(&raw.text)?;
        Ok(Lowering {
            to,
            text: raw.text,
            // Without a question that was answered, silence alone would lower it.
            if_no: self.all_known(raw.if_no)?,
            at_least: self.scaled(&raw.code, raw.at_least)?,
            code: self.known(raw.code)?,
        })
    }

    fn known(&self, code: String) -> Result<String, Problem> {
        if self.codes.contains_key(&code) { Ok(code) } else { Err(Problem::UnknownCode { code }) }
    }

    fn all_known(&self, codes: Vec<String>) -> Result<Vec<String>, Problem> {
        if codes.is_empty() {
            return Err(Problem::NoCode);
        }
        codes.into_iter().map(|code| self.known(code)).collect()
    }

    /// A number as written, in the unit of the stored answer.
    fn scaled(&self, code: &str, number: f64) -> Result<i32, Problem> {
        let decimals = self.codes.get(code).map_or(0, |known| known.decimals);
        let scaled = number * f64::from(10_i32.pow(u32::from(decimals.min(3))));
        if (scaled - scaled.round()).abs() > 1e-6 || scaled.abs() > 1e6 {
            return Err(Problem::Unrepresentable { code: code.to_owned() });
        }
        #[expect(clippy::cast_possible_truncation, reason = "a whole number below a million")]
        let whole = scaled.round() as i32;
        Ok(whole)
    }
}

/// A file of rules that cannot be used.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {problem}")]
pub struct RuleError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub problem: Problem,
}

/// What is wrong with a file of rules.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// Not TOML, or not of this shape.
    #[error("{message}")]
    Syntax {
        /// What the reader of TOML says.
        message: String,
    },
    /// The version is empty.
    #[error("the version is empty")]
    NoVersion,
    /// Another set has the same version or the same first day.
    #[error("the set {other} has the same version or the same first day")]
    Ambiguous {
        /// The version of the other.
        other: String,
    },
    /// Another rule has the same id.
    #[error("there are two rules {id:?}")]
    Twice {
        /// The id.
        id: String,
    },
    /// Not one of `p1`, `p2`, `p3`.
    #[error("the priority {text:?} is none of p1, p2, p3")]
    UnknownPriority {
        /// What is written.
        text: String,
    },
    /// A question that `[codes]` does not name.
    #[error("the question {code:?} is not named under [codes]")]
    UnknownCode {
        /// The code.
        code: String,
    },
    /// An empty list of questions.
    #[error("name at least one question")]
    NoCode,
    /// A range without ends.
    #[error("give at_least, at_most or below")]
    NoBound,
    /// A range that holds no number.
    #[error("no number lies in this range")]
    EmptyRange,
    /// A number that the question cannot have.
    #[error("an answer to {code:?} cannot have this number of decimals")]
    Unrepresentable {
        /// The code.
        code: String,
    },
    /// A count that must be 1 or more.
    #[error("this number must be 1 or more")]
    Zero,
    /// Not a final state of a slot.
    #[error("{state:?} is no final state of a slot")]
    UnknownState {
        /// What is written.
        state: String,
    },
    /// A lowering that does not lower.
    #[error("`lowered.to` is not lower than the priority")]
    NotLower,
    /// A place in a text that nothing fills.
    #[error("nothing fills {place:?}; known: {}", Place::names())]
    UnknownPlace {
        /// The place, with its braces.
        place: String,
    },
}

impl Problem {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Syntax { message } => format!("書き方が正しくありません: {message}"),
            Self::NoVersion => "version が空です".to_owned(),
            Self::Ambiguous { other } => format!("{other} と version か effective_from が同じです"),
            Self::Twice { id } => format!("{id:?} というルールが二つあります"),
            Self::UnknownPriority { text } => {
                format!("priority {text:?} は p1、p2、p3 のどれでもありません")
            }
            Self::UnknownCode { code } => format!("質問 {code:?} は [codes] にありません"),
            Self::NoCode => "質問を一つ以上書いてください".to_owned(),
            Self::NoBound => "at_least、at_most、below のどれかを書いてください".to_owned(),
            Self::EmptyRange => "この範囲に入る数がありません".to_owned(),
            Self::Unrepresentable { code } => format!("{code:?} の答えの小数の桁数に合いません"),
            Self::Zero => "1 以上の数にしてください".to_owned(),
            Self::UnknownState { state } => format!("{state:?} は予定の終わりの状態ではありません"),
            Self::NotLower => "lowered.to が priority より低くありません".to_owned(),
            Self::UnknownPlace { place } => {
                format!("{place} に入れるものがありません(使えるもの: {})", Place::names())
            }
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// A place in the text of a rule.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Place {
    Label,
    Value,
    Median,
    Days,
    Count,
}

impl Place {
    const ALL: [(Self, &'static str); 5] = [
        (Self::Label, "{label}"),
        (Self::Value, "{value}"),
        (Self::Median, "{median}"),
        (Self::Days, "{days}"),
        (Self::Count, "{count}"),
    ];

    fn names() -> String {
        Self::ALL.map(|(_, name)| name).join(", ")
    }
}

/// The text with its places filled; a place without a filling stays empty.
pub(crate) fn fill(text: &str, fillings: &[(Place, &dyn fmt::Display)]) -> String {
    Place::ALL.iter().fold(text.to_owned(), |text, (place, name)| {
        let filling = fillings.iter().find(|(filled, _)| filled == place);
        text.replace(name, &filling.map_or_else(String::new, |(_, value)| value.to_string()))
    })
}

fn check_places(text: &str) -> Result<(), Problem> {
    let rest = fill(text, &[]);
    match rest.split_once('{') {
        None => Ok(()),
        Some((_, after)) => {
            let name = after.split('}').next().unwrap_or_default();
            Err(Problem::UnknownPlace { place: format!("{{{name}}}") })
        }
    }
}

fn priority(text: &str) -> Result<Priority, Problem> {
    // What is recorded only needs no rule.
    Priority::parse(text)
        .filter(|priority| *priority != Priority::P0)
        .ok_or_else(|| Problem::UnknownPriority { text: text.to_owned() })
}

fn positive<T: Default + PartialEq>(number: T) -> Result<T, Problem> {
    if number == T::default() { Err(Problem::Zero) } else { Ok(number) }
}

fn line_of(text: &str, offset: usize) -> usize {
    1 + text.bytes().take(offset).filter(|byte| *byte == b'\n').count()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawSet {
    version: Spanned<String>,
    effective_from: Date,
    #[serde(default)]
    raised_by: Vec<Trait>,
    codes: BTreeMap<String, Code>,
    rule: Vec<Spanned<RawRule>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRule {
    id: String,
    priority: String,
    source: String,
    text: String,
    when: RawCondition,
    lowered: Option<RawLowering>,
    raised_by: Option<Vec<Trait>>,
    #[serde(default)]
    only_for: Vec<Trait>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "snake_case", tag = "kind")]
enum RawCondition {
    Number { code: String, at_least: Option<f64>, at_most: Option<f64>, below: Option<f64> },
    Answer { codes: Vec<String>, is: RawAnswer },
    Drop { code: String, at_least: f64, of_last: usize },
    Days { code: String, at_least: f64, days: u32 },
    Onset { code: String, at_least: f64 },
    Turned { codes: Vec<String> },
    Count { is: RawAnswer, at_least: usize },
    Slot { state: String },
    InVain { at_least: usize },
    MissedDay {},
    InvalidNumber {},
    Interrupted {},
    NotIdentified {},
    NoKey { calls: usize },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLowering {
    to: String,
    text: String,
    if_no: Vec<String>,
    code: String,
    at_least: f64,
}

/// An answer that a rule may look for. Silence is none: it is not an answer.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawAnswer {
    Yes,
    No,
    Unknown,
    NotMeasured,
}

impl From<RawAnswer> for Answer {
    fn from(raw: RawAnswer) -> Self {
        match raw {
            RawAnswer::Yes => Self::Choice(YesNo::Yes),
            RawAnswer::No => Self::Choice(YesNo::No),
            RawAnswer::Unknown => Self::Choice(YesNo::Unknown),
            RawAnswer::NotMeasured => Self::NotMeasured,
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::ivr::Questionnaire;

    const HEAD: &str = "version = \"1\"\neffective_from = \"2026-01-01\"\n\
        [codes]\nspo2 = { label = \"SpO2\" }\ntemperature = { label = \"体温\", decimals = 1 }\n";

    fn rule(when: &str) -> String {
        format!(
            "[[rule]]\nid = \"a\"\npriority = \"p1\"\nsource = \"-\"\ntext = \"-\"\nwhen = {when}\n"
        )
    }

    #[test]
    fn the_shipped_rules_are_valid_and_each_names_its_source() {
        let book = RuleBook::shipped().unwrap();
        let set = book.effective_on(date(2026, 11, 22)).unwrap();
        assert!(set.rules.iter().all(|rule| !rule.source.is_empty() && !rule.text.is_empty()));
        assert_eq!(book.version(&set.version).unwrap().version, set.version);
        insta::assert_snapshot!(
            set.rules
                .iter()
                .map(|rule| format!("{} {}", rule.priority.as_str(), rule.id))
                .collect::<Vec<_>>()
                .join("\n"),
            @r"
        p1 spo2-low
        p1 urgent-sign
        p1 dyspnea
        p1 asks-for-help
        p2 spo2-borderline
        p2 spo2-drop
        p2 grave-unknown
        p2 intake-or-urine
        p2 fever-high
        p2 fever-lasting
        p2 temperature-low
        p2 worse-than-yesterday
        p3 fever-onset
        p3 symptom-new
        p3 other-change
        p3 unknown-often
        p3 not-measured
        p3 medicine-shortage
        p3 unreached
        p3 not-called
        p3 attempts-in-vain
        p1 day-missed
        p3 invalid-number
        p3 interrupted
        p3 not-identified
        p3 no-key
        "
        );
    }

    #[test]
    fn every_question_that_is_asked_is_known_to_the_rules() {
        let book = RuleBook::shipped().unwrap();
        let set = book.effective_on(date(2026, 11, 22)).unwrap();
        let questionnaire = Questionnaire::recuperation();
        let help = questionnaire.help.as_ref().map(|help| &help.code);
        for code in questionnaire.questions.iter().map(|question| &question.code).chain(help) {
            assert!(set.knows(code), "{code}");
        }
    }

    /// Facts of earlier days name it, and own rules are not overruled by a newer shipped one.
    #[test]
    fn an_earlier_shipped_version_is_kept_and_own_rules_stay_in_force() {
        let book = RuleBook::shipped().unwrap();
        assert!(book.version("2026-11-01").is_some_and(|set| !set.knows("consultation")));
        let on = |book: &RuleBook, day| book.effective_on(day).map(|set| set.version.clone());
        assert_eq!(on(&book, date(2026, 10, 31)).as_deref(), Some("2026-11-01"));
        assert_eq!(on(&book, date(2026, 11, 26)).as_deref(), Some("2026-11-26"));
        let own = RuleSet::parse("own", &format!("rule = []\n{HEAD}")).unwrap();
        let book = RuleBook::with_shipped(vec![own]).unwrap();
        assert_eq!(on(&book, date(2026, 11, 26)).as_deref(), Some("1"));
        let taken = HEAD.replace("\"1\"", "\"2026-11-01\"");
        let taken = RuleSet::parse("taken", &format!("rule = []\n{taken}")).unwrap();
        assert!(RuleBook::with_shipped(vec![taken]).is_err());
    }

    #[test]
    fn numbers_are_read_in_the_unit_of_the_answer() {
        let text = format!(
            "{HEAD}{}",
            rule("{ kind = \"number\", code = \"temperature\", below = 35.0 }")
        );
        let set = RuleSet::parse("x", &text).unwrap();
        let expected = Condition::Number { code: "temperature".to_owned(), range: i32::MIN..=349 };
        assert_eq!(set.rules[0].condition, expected);
        assert_eq!(set.show("temperature", 375), "37.5");
        assert_eq!(set.show("spo2", 93), "93");
    }

    #[test]
    fn a_fault_names_its_line() {
        let spo2 = |rest: &str| rule(&format!("{{ kind = \"number\", code = \"spo2\"{rest} }}"));
        let good = spo2(", at_most = 93");
        let cases = [
            ("version = ", "x:1: "),
            (&format!("{HEAD}surprise = 1\n"), "x:6: "),
            (&format!("{HEAD}{}", good.replace("p1", "p9")), "x:6: the priority \"p9\""),
            (&format!("{HEAD}{}", good.replace("p1", "p0")), "x:6: the priority \"p0\""),
            (&format!("{HEAD}{}", spo2("")), "x:6: give at_least"),
            (&format!("{HEAD}{}", spo2(", at_least = 95, below = 95")), "x:6: no number lies"),
            (&format!("{HEAD}{}", spo2(", at_most = 93.5")), "x:6: an answer to \"spo2\""),
            (&format!("{HEAD}{}", good.replace("spo2", "pulse")), "x:6: the question \"pulse\""),
            (&format!("{HEAD}{good}{good}"), "x:12: there are two rules \"a\""),
            (&format!("{HEAD}{}", good.replace("\"-\"", "\"{x}\"")), "x:6: nothing fills \"{x}\""),
            (
                &format!("{HEAD}{}", rule("{ kind = \"no_key\", calls = 0 }")),
                "x:6: this number must be 1 or more",
            ),
            (
                &format!("{HEAD}{}", rule("{ kind = \"answer\", codes = [], is = \"yes\" }")),
                "x:6: name at least one",
            ),
            (
                &format!("{HEAD}{}", rule("{ kind = \"slot\", state = \"due\" }")),
                "x:6: \"due\" is no final state",
            ),
            (
                &format!(
                    "{HEAD}{good}lowered = {{ to = \"p1\", text = \"\", if_no = [\"spo2\"], \
                     code = \"spo2\", at_least = 96 }}\n"
                ),
                "x:6: `lowered.to`",
            ),
            // Silence is no answer that a rule could look for.
            (
                &format!(
                    "{HEAD}{}",
                    rule("{ kind = \"answer\", codes = [\"spo2\"], is = \"unanswered\" }")
                ),
                "x:",
            ),
        ];
        for (text, expected) in cases {
            let error = RuleSet::parse("x", text).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{expected} | {error}\n{text}");
        }
    }

    #[test]
    fn the_set_in_force_is_the_latest_that_has_begun() {
        let set = |version: &str, from: &str| {
            let head = HEAD.replace("\"1\"", &format!("{version:?}")).replace("2026-01-01", from);
            let text = format!("rule = []\n{head}");
            RuleSet::parse(version, &text).unwrap()
        };
        let book = RuleBook::new(vec![set("new", "2026-04-01"), set("old", "2026-01-01")]).unwrap();
        let on = |day| book.effective_on(day).map(|set| set.version.as_str());
        for (day, expected) in [
            (date(2025, 12, 31), None),
            (date(2026, 1, 1), Some("old")),
            (date(2026, 3, 31), Some("old")),
            (date(2026, 4, 1), Some("new")),
        ] {
            assert_eq!(on(day), expected, "{day}");
        }
        assert!(RuleBook::new(vec![set("a", "2026-01-01"), set("b", "2026-01-01")]).is_err());
        assert!(RuleBook::new(vec![set("a", "2026-01-01"), set("a", "2026-02-01")]).is_err());
    }
}
