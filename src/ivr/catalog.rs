//! The catalogue: what each prompt says, and how it is pronounced.
//!
//! One TOML table per prompt. Blanks stand in `text` and in `kana`:
//!
//! ```toml
//! [readback_temperature]
//! text = "体温は、{temperature}ですね。"
//! kana = "タ'イオンワ、{temperature}デスネ。"
//! pause_ms = 1000
//! ```
//!
//! Without `kana` a dictionary reads the text. `pause_ms` is the silence that ends the prompt;
//! without it, it is that between two sentences, so that prompts may follow one another.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::base::Bilingual;
use crate::ivr::{Blank, Utterance};

/// The Japanese catalogue that is built in.
const EMBEDDED: &str = include_str!("../../prompts/ja/catalog.toml");

/// No prompt is followed by more silence than this, in milliseconds.
const MAX_PAUSE_MS: i64 = 10_000;

/// The prompts of one language by id.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    prompts: BTreeMap<String, Prompt>,
}

/// One prompt of the catalogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Prompt {
    /// What is said, as a person reads it.
    pub text: Template,
    /// How it is said, in accent-marked katakana; without it the dictionary reads the text.
    pub kana: Option<Template>,
    /// The silence that ends it, in milliseconds; without it, that between two sentences.
    pub pause_ms: Option<u32>,
}

/// A text with blanks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Template {
    /// In order.
    pub parts: Vec<Part>,
}

/// A piece of a [`Template`].
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Part {
    /// Said as it is.
    Literal(String),
    /// Filled by a value.
    Blank(BlankKind),
}

/// What a blank may be filled with.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum BlankKind {
    /// `{temperature}`, with its unit
    Temperature,
    /// `{spo2}`, with its unit
    Spo2,
    /// `{phone}`
    PhoneNumber,
    /// `{center}`
    HealthCenter,
    /// `{name}`
    FamilyName,
    /// `{moment}`
    Moment,
}

/// Every fault of a catalogue, with the line of each.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidCatalog(pub Vec<Fault>);

/// One fault of a catalogue.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where, counted from 1.
    pub line: usize,
    /// What is wrong.
    pub kind: FaultKind,
}

/// What is wrong with a line of a catalogue.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum FaultKind {
    /// The file is not TOML.
    #[error("{0}")]
    Toml(String),
    /// The file of recordings is named after the id.
    #[error("the id `{0}` may have small letters, digits and _ only")]
    Id(String),
    /// There is something other than a table.
    #[error("`{0}` must be a table with `text` and `kana`")]
    NotATable(String),
    /// A misspelt key, perhaps.
    #[error("unknown key `{0}`; known: text, kana, pause_ms")]
    UnknownKey(String),
    /// The value has the wrong type.
    #[error("`{key}` must be {expected}")]
    WrongType {
        /// The key.
        key: &'static str,
        /// What was expected.
        expected: &'static str,
    },
    /// There is nothing to show.
    #[error("`{0}` has no text")]
    NoText(String),
    /// A brace is not closed.
    #[error("a `{{` without its `}}`")]
    OpenBrace,
    /// No such blank.
    #[error("unknown blank {{{0}}}; known: temperature, spo2, phone, center, name, moment")]
    UnknownBlank(String),
    /// What is read is not what is said.
    #[error("the blanks of `kana` are not those of `text`")]
    OtherBlanks,
    /// The pronunciation cannot be said, and why.
    #[error("{0}")]
    Unsayable(String),
}

impl FaultKind {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Toml(message) => format!("書き方が正しくありません: {message}"),
            Self::Id(id) => format!("名前 {id} に使えるのは、小文字、数字、_ だけです"),
            Self::NotATable(id) => format!("{id} には text と kana の表を書いてください"),
            Self::UnknownKey(key) => {
                format!("{key} という項目はありません(使えるもの: text、kana、pause_ms)")
            }
            Self::WrongType { key, expected } => format!("{key} の型が違います({expected})"),
            Self::NoText(id) => format!("{id} に文がありません"),
            Self::OpenBrace => "{ が閉じていません".to_owned(),
            Self::UnknownBlank(blank) => format!(
                "{{{blank}}} という空欄はありません(使えるもの: temperature、spo2、phone、center、name、moment)"
            ),
            Self::OtherBlanks => "kana の空欄が text の空欄と違います".to_owned(),
            Self::Unsayable(why) => format!("読み上げられません: {why}"),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// Other values were given than the prompt has blanks.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("the prompt wants {wanted}")]
pub struct WrongBlanks {
    /// Its blanks, such as `{temperature}`.
    pub wanted: String,
}

impl Catalog {
    /// Reads a catalogue and reports all its faults together. Whether its kana can be said is not
    /// asked.
    pub fn parse(toml: &str) -> Result<Self, InvalidCatalog> {
        Self::parse_with(toml, |_| Ok(()))
    }

    /// Like [`Self::parse`], with a voice that tells why it could not say a kana.
    pub fn parse_with(
        toml: &str,
        check_kana: impl Fn(&Template) -> Result<(), String>,
    ) -> Result<Self, InvalidCatalog> {
        let lines = Lines(toml);
        let table = DeTable::parse(toml).map_err(|error| {
            let line = error.span().map_or(1, |span| lines.at(span.start));
            InvalidCatalog(vec![Fault { line, kind: FaultKind::Toml(error.message().to_owned()) }])
        })?;
        let mut faults = Vec::new();
        let mut prompts = BTreeMap::new();
        for (id, value) in table.get_ref() {
            if let Some(prompt) = prompt(id, value, lines, &check_kana, &mut faults) {
                prompts.insert(id.get_ref().to_string(), prompt);
            }
        }
        faults.sort_by_key(|fault| fault.line);
        if faults.is_empty() { Ok(Self { prompts }) } else { Err(InvalidCatalog(faults)) }
    }

    /// The Japanese catalogue that is built in.
    pub fn embedded() -> Self {
        Self::parse(EMBEDDED).expect("checked by its own test")
    }

    /// Replaces the prompts that another catalogue has too, and adds those that it has besides.
    pub fn overlay(&mut self, other: Self) {
        self.prompts.extend(other.prompts);
    }

    /// The prompt with this id.
    pub fn prompt(&self, id: &str) -> Option<&Prompt> {
        self.prompts.get(id)
    }

    /// Every id, sorted.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.prompts.keys().map(String::as_str)
    }

    /// What is said, as a person reads it, without the names of persons. An utterance that does
    /// not fit the catalogue is shown by its id and values.
    pub fn written(&self, utterance: &Utterance) -> String {
        let prompt = self.prompt(&utterance.prompt);
        let text = prompt.and_then(|prompt| prompt.written(&utterance.blanks).ok());
        text.unwrap_or_else(|| utterance.to_string())
    }
}

impl Template {
    fn parse(text: &str) -> Result<Self, FaultKind> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or(FaultKind::OpenBrace)?;
            let kind = BlankKind::parse(name);
            let kind = kind.ok_or_else(|| FaultKind::UnknownBlank(name.to_owned()))?;
            parts.extend((!before.is_empty()).then(|| Part::Literal(before.to_owned())));
            parts.push(Part::Blank(kind));
            rest = after;
        }
        parts.extend((!rest.is_empty()).then(|| Part::Literal(rest.to_owned())));
        Ok(Self { parts })
    }

    /// The blanks in order; one that stands twice is given twice.
    pub fn blanks(&self) -> impl Iterator<Item = BlankKind> {
        self.parts.iter().filter_map(|part| match part {
            Part::Blank(kind) => Some(*kind),
            Part::Literal(_) => None,
        })
    }
}

impl Prompt {
    /// The value of each blank of a template, in its order.
    ///
    /// A blank that stands twice may be given once, since it says the same twice.
    pub fn values<'a>(
        &self,
        template: &Template,
        blanks: &'a [Blank],
    ) -> Result<Vec<&'a Blank>, WrongBlanks> {
        let all: Vec<BlankKind> = self.text.blanks().collect();
        let distinct: BTreeSet<BlankKind> = all.iter().copied().collect();
        let given: Vec<BlankKind> = blanks.iter().map(BlankKind::of).collect();
        let given_once = given.len() == distinct.len()
            && given.iter().copied().collect::<BTreeSet<_>>() == distinct;
        if given != all && !given_once {
            let wanted: Vec<String> = all.iter().map(BlankKind::to_string).collect();
            let wanted = if wanted.is_empty() { "no values".into() } else { wanted.join(", ") };
            return Err(WrongBlanks { wanted });
        }
        let mut seen: BTreeMap<BlankKind, usize> = BTreeMap::new();
        let values = template.blanks().filter_map(|kind| {
            let nth = seen.entry(kind).or_default();
            let mut same = blanks.iter().filter(|blank| BlankKind::of(blank) == kind);
            let value = same.clone().nth(*nth).or_else(|| same.next_back());
            *nth += 1;
            value
        });
        Ok(values.collect())
    }

    /// What is said, as a person reads it. The name of a person is not shown.
    pub fn written(&self, blanks: &[Blank]) -> Result<String, WrongBlanks> {
        let mut values = self.values(&self.text, blanks)?.into_iter();
        let pieces = self.text.parts.iter().map(|part| match part {
            Part::Literal(text) => text.clone(),
            Part::Blank(_) => values.next().map(Blank::written).unwrap_or_default(),
        });
        Ok(pieces.collect())
    }
}

impl BlankKind {
    /// What a value fills.
    pub fn of(blank: &Blank) -> Self {
        match blank {
            Blank::Temperature(_) => Self::Temperature,
            Blank::Spo2(_) => Self::Spo2,
            Blank::PhoneNumber(_) => Self::PhoneNumber,
            Blank::HealthCenter(_) => Self::HealthCenter,
            Blank::FamilyName(_) => Self::FamilyName,
            Blank::Moment { .. } => Self::Moment,
        }
    }

    fn parse(name: &str) -> Option<Self> {
        Some(match name {
            "temperature" => Self::Temperature,
            "spo2" => Self::Spo2,
            "phone" => Self::PhoneNumber,
            "center" => Self::HealthCenter,
            "name" => Self::FamilyName,
            "moment" => Self::Moment,
            _ => return None,
        })
    }
}

impl fmt::Display for BlankKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Temperature => "{temperature}",
            Self::Spo2 => "{spo2}",
            Self::PhoneNumber => "{phone}",
            Self::HealthCenter => "{center}",
            Self::FamilyName => "{name}",
            Self::Moment => "{moment}",
        })
    }
}

/// As it stands in the catalogue.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.parts.iter().try_for_each(|part| match part {
            Part::Literal(text) => f.write_str(text),
            Part::Blank(kind) => kind.fmt(f),
        })
    }
}

impl fmt::Display for InvalidCatalog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.0.iter().enumerate() {
            let newline = if n == 0 { "" } else { "\n" };
            write!(f, "{newline}line {}: {}", fault.line, fault.kind)?;
        }
        Ok(())
    }
}

impl std::error::Error for InvalidCatalog {}

type Key<'a> = Spanned<std::borrow::Cow<'a, str>>;

/// Reads one table; what is wrong with it goes to `faults`.
fn prompt(
    id: &Key<'_>,
    value: &Spanned<DeValue<'_>>,
    lines: Lines<'_>,
    check_kana: &impl Fn(&Template) -> Result<(), String>,
    faults: &mut Vec<Fault>,
) -> Option<Prompt> {
    let n_faults = faults.len();
    let mut fault = |at: usize, kind| faults.push(Fault { line: lines.at(at), kind });
    let (start, name) = (id.span().start, id.get_ref().as_ref());
    if !name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_') {
        fault(start, FaultKind::Id(name.to_owned()));
    }
    let Some(table) = value.get_ref().as_table() else {
        fault(start, FaultKind::NotATable(name.to_owned()));
        return None;
    };
    let (mut text, mut kana, mut pause_ms) = (None, None, None);
    for (key, value) in table {
        let at = value.span().start;
        let read = match key.get_ref().as_ref() {
            "text" => template("text", value).map(|read| text = Some(read)),
            "kana" => template("kana", value).and_then(|read| {
                check_kana(&read).map_err(FaultKind::Unsayable)?;
                kana = Some((at, read));
                Ok(())
            }),
            "pause_ms" => pause(value).map(|read| pause_ms = Some(read)),
            unknown => Err(FaultKind::UnknownKey(unknown.to_owned())),
        };
        if let Err(kind) = read {
            fault(at, kind);
        }
    }
    if !table.iter().any(|(key, _)| key.get_ref() == "text") {
        fault(start, FaultKind::NoText(name.to_owned()));
    }
    if let (Some(text), Some((at, kana))) = (&text, &kana)
        && sorted_blanks(text) != sorted_blanks(kana)
    {
        fault(*at, FaultKind::OtherBlanks);
    }
    let prompt = Prompt { text: text?, kana: kana.map(|(_, kana)| kana), pause_ms };
    (faults.len() == n_faults).then_some(prompt)
}

fn template(key: &'static str, value: &Spanned<DeValue<'_>>) -> Result<Template, FaultKind> {
    let text = value.get_ref().as_str();
    Template::parse(text.ok_or(FaultKind::WrongType { key, expected: "a text in quotes" })?)
}

fn pause(value: &Spanned<DeValue<'_>>) -> Result<u32, FaultKind> {
    let integer = value.get_ref().as_integer();
    let integer =
        integer.and_then(|digits| i64::from_str_radix(digits.as_str(), digits.radix()).ok());
    let in_range = integer.filter(|pause| (0..=MAX_PAUSE_MS).contains(pause));
    in_range.and_then(|pause| u32::try_from(pause).ok()).ok_or(FaultKind::WrongType {
        key: "pause_ms",
        expected: "a number of milliseconds from 0 to 10000",
    })
}

fn sorted_blanks(template: &Template) -> Vec<BlankKind> {
    let mut blanks: Vec<_> = template.blanks().collect();
    blanks.sort_unstable();
    blanks
}

/// Finds the line of a byte, counted from 1.
#[derive(Clone, Copy)]
pub(super) struct Lines<'a>(pub(super) &'a str);

impl Lines<'_> {
    pub(super) fn at(self, offset: usize) -> usize {
        self.0.bytes().take(offset).filter(|byte| *byte == b'\n').count() + 1
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::base::Private;

    fn faults(toml: &str) -> String {
        let no_kanji = |kana: &Template| {
            if kana.to_string().contains('葉') { Err("a kanji".to_owned()) } else { Ok(()) }
        };
        let read = Catalog::parse_with(toml, no_kanji);
        read.map_or_else(|error| error.to_string(), |_| "none".to_owned())
    }

    #[test]
    fn the_catalogue_that_is_built_in_is_complete() {
        let catalog = Catalog::embedded();
        assert!(catalog.ids().count() > 50);
        for id in catalog.ids() {
            let prompt = catalog.prompt(id).unwrap();
            let kana = prompt.kana.as_ref().expect("its reading is guaranteed").to_string();
            assert!(prompt.text.to_string().ends_with('。') && kana.ends_with('。'), "{id}");
        }
    }

    #[test]
    fn the_disease_has_no_name() {
        let catalog = Catalog::embedded();
        for id in catalog.ids() {
            let prompt = catalog.prompt(id).unwrap();
            let both = format!("{}{}", prompt.text, prompt.kana.as_ref().unwrap());
            for word in ["コロナ", "感染", "カンセン", "陽性", "ヨーセー", "COVID"] {
                assert!(!both.contains(word), "{id}: {word}");
            }
        }
    }

    /// The pauses of the text are the pauses of the speech.
    #[test]
    fn text_and_speech_have_the_same_sentences() {
        let catalog = Catalog::embedded();
        for id in catalog.ids() {
            let prompt = catalog.prompt(id).unwrap();
            let n_sentences = |template: &Template| template.to_string().matches('。').count();
            assert_eq!(
                n_sentences(&prompt.text),
                n_sentences(prompt.kana.as_ref().unwrap()),
                "{id}"
            );
        }
    }

    #[test]
    fn blanks_are_filled_in_the_order_of_the_text() {
        let catalog = Catalog::embedded();
        let today = date(2026, 11, 22);
        let phone = Blank::PhoneNumber("03-0000-0000".to_owned());
        let moment = |at| Blank::Moment { at, today };
        for (prompt, blanks, expected) in [
            ("readback_temperature", vec![Blank::Temperature(365)], "体温は、36度5分ですね。"),
            ("readback_temperature", vec![Blank::Temperature(380)], "体温は、38度ちょうどですね。"),
            ("readback_spo2", vec![Blank::Spo2(98)], "酸素は、98パーセントですね。"),
            (
                "closing_phone",
                vec![phone.clone(), phone],
                "電話してください。番号は、03-0000-0000。",
            ),
            (
                "closing_next",
                vec![moment(today.at(15, 0, 0, 0))],
                "つぎのお電話は、きょう午後3時ごろ",
            ),
            ("closing_next", vec![moment(date(2026, 11, 23).at(9, 30, 0, 0))], "あす午前9時半ごろ"),
            ("closing_next", vec![moment(date(2026, 12, 1).at(12, 0, 0, 0))], "12月1日正午ごろ"),
            ("no_such_prompt", vec![], "no_such_prompt"),
        ] {
            let utterance = Utterance { prompt: prompt.to_owned(), blanks };
            let written = catalog.written(&utterance);
            assert!(written.contains(expected), "{written} has no {expected}");
        }
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let toml = "\
[hello]
text = \"こんにちは\"
kana = \"コンニチ葉\"

[\"My Prompt\"]
text = \"x\"

[ask]
text = \"{temprature}\"
kanna = \"ア\"
pause_ms = -1

[readback]
text = \"{temperature}\"
kana = \"{spo2}デ'スネ'\"

[other]
text = \"{temperature}\"
kana = \"{spo2}デ'スネ\"

[empty]
kana = \"ア\"

[open]
text = \"{\"
";
        insta::assert_snapshot!(faults(toml), @r"
        line 3: a kanji
        line 5: the id `My Prompt` may have small letters, digits and _ only
        line 9: unknown blank {temprature}; known: temperature, spo2, phone, center, name, moment
        line 10: unknown key `kanna`; known: text, kana, pause_ms
        line 11: `pause_ms` must be a number of milliseconds from 0 to 10000
        line 15: the blanks of `kana` are not those of `text`
        line 19: the blanks of `kana` are not those of `text`
        line 21: `empty` has no text
        line 25: a `{` without its `}`
        ");
    }

    #[test]
    fn what_is_not_toml_is_named_with_its_line() {
        assert_eq!(faults("[a]\ntext = \"x\"\n\ntext"), "line 4: key with no value, expected `=`");
        assert_eq!(faults("a = 1"), "line 1: `a` must be a table with `text` and `kana`");
        assert_eq!(faults("[a]\ntext = 1"), "line 2: `text` must be a text in quotes");
    }

    #[test]
    fn a_blank_that_stands_twice_may_be_given_once_or_twice() {
        let toml = "[a]\ntext = '{phone}、{spo2}、{phone}'\nkana = '{spo2}、{phone}、{phone}'";
        let catalog = Catalog::parse(toml).unwrap();
        let prompt = catalog.prompt("a").unwrap();
        let (phone, spo2) = (Blank::PhoneNumber("119".to_owned()), Blank::Spo2(96));
        for given in
            [vec![phone.clone(), spo2.clone()], vec![phone.clone(), spo2.clone(), phone.clone()]]
        {
            let kana = prompt.kana.as_ref().unwrap();
            assert_eq!(prompt.values(kana, &given), Ok(vec![&spo2, &phone, &phone]));
            assert_eq!(prompt.written(&given).unwrap(), "119、96パーセント、119");
        }
        for given in [vec![], vec![phone.clone()], vec![spo2.clone(), spo2.clone()]] {
            let error = prompt.values(&prompt.text, &given).unwrap_err();
            assert_eq!(error.to_string(), "the prompt wants {phone}, {spo2}, {phone}");
        }
    }

    #[test]
    fn a_name_is_not_written() {
        let catalog = Catalog::parse("[hello]\ntext = '{name}様'").unwrap();
        let name = Blank::FamilyName(Private::new("カンザキ".to_owned()));
        assert_eq!(catalog.prompt("hello").unwrap().written(&[name]).unwrap(), "〇〇様");
    }

    #[test]
    fn a_later_catalogue_replaces_prompts_one_by_one() {
        let mut catalog = Catalog::parse("[a]\ntext = '1'\n[b]\ntext = '2'").unwrap();
        catalog.overlay(Catalog::parse("[b]\ntext = '3'\n[c]\ntext = '4'").unwrap());
        let texts: Vec<String> =
            catalog.ids().map(|id| catalog.prompt(id).unwrap().written(&[]).unwrap()).collect();
        assert_eq!(texts, ["1", "3", "4"]);
    }
}
