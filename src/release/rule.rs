//! Rules of release as data with effective dates: `prompts/rules/release.toml`.

use std::ops::Range;

use jiff::SignedDuration;
use jiff::civil::Date;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::base::Bilingual;
use crate::registry::TestMethod;

/// The question of a fever.
pub const TEMPERATURE: &str = "temperature";

/// The versions of the rules, each list by its first days.
#[derive(Clone, Debug)]
pub struct ReleaseBook {
    /// Those of a site's own; no shipped one overrules them.
    own: Vec<ReleaseRules>,
    shipped: Vec<ReleaseRules>,
}

/// One version of the rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRules {
    /// Its version; every decision stores the version that proposed it.
    pub version: String,
    /// The first day on which it is in force.
    pub effective_from: Date,
    /// Where it comes from.
    pub source: String,
    /// The release is possible so many days after the last of the days.
    pub offset: i8,
    /// The last answers are no older than so many hours.
    fresh_hours: i32,
    /// Below this a temperature (°C) is no fever.
    fever_below: f64,
    /// The questions on symptoms that must have been answered with no.
    pub symptoms: Vec<Symptom>,
    /// What holds for whom.
    #[serde(rename = "path")]
    pub paths: Vec<Path>,
}

/// A question on a symptom, and what people call it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Symptom {
    /// The question.
    pub code: String,
    ja: String,
    en: String,
}

/// What holds for people with symptoms, or for those without.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Path {
    /// Its id, unique within the version.
    pub id: String,
    /// Whom it is for.
    pub symptomatic: bool,
    /// Whole days after day 0.
    pub days: i8,
    /// How many hours symptoms must have been better; by now, or when the first specimen is taken.
    improved_hours: i32,
    /// The negative tests that shorten the days.
    pub tests: Option<Negatives>,
}

/// Negative tests, one after the other, without another result since.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Negatives {
    /// So many.
    pub count: u8,
    /// So many hours between two specimens, and after one that was not negative.
    apart_hours: i32,
    /// The first specimen is taken on this day after day 0, or later.
    pub after_days: i8,
    /// How they may be examined.
    #[serde(deserialize_with = "methods")]
    pub methods: Vec<TestMethod>,
}

fn methods<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<TestMethod>, D::Error> {
    let words: Vec<String> = Vec::deserialize(deserializer)?;
    let read = |word: &String| {
        let unknown = || D::Error::custom(format!("methods: naat, antigen, kit: {word}"));
        TestMethod::parse(word).ok_or_else(unknown)
    };
    words.iter().map(read).collect()
}

/// The file, or one of its versions, is not valid.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("{file}:{line}: {message}")]
pub struct ReleaseRuleError {
    /// The file.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// What is wrong.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    rules: Vec<Spanned<ReleaseRules>>,
}

impl ReleaseBook {
    /// The rules that are shipped.
    ///
    /// # Errors
    /// None, as a test makes sure.
    pub fn shipped() -> Result<Self, ReleaseRuleError> {
        let text = include_str!("../../prompts/rules/release.toml");
        Ok(Self { own: Vec::new(), shipped: read("prompts/rules/release.toml", text, &[])? })
    }

    /// The shipped rules, and a site's own from the first day of the first of them on; `file` names
    /// these in errors.
    ///
    /// # Errors
    /// The first fault, with its line.
    pub fn with_shipped(file: &str, text: &str) -> Result<Self, ReleaseRuleError> {
        let book = Self::shipped()?;
        Ok(Self { own: read(file, text, &book.shipped)?, ..book })
    }

    /// The rules in force on this day; `None` before the first of them.
    pub fn effective_on(&self, day: Date) -> Option<&ReleaseRules> {
        let on = |rules: &[ReleaseRules]| rules.iter().rposition(|one| one.effective_from <= day);
        let own = on(&self.own).and_then(|place| self.own.get(place));
        own.or_else(|| self.shipped.get(on(&self.shipped)?))
    }
}

/// Reads all versions of a file; none may bear the name of one that is `taken`.
fn read(
    file: &str,
    text: &str,
    taken: &[ReleaseRules],
) -> Result<Vec<ReleaseRules>, ReleaseRuleError> {
    let fault = |span: Option<Range<usize>>, message: String| {
        let before = text.get(..span.map_or(0, |span| span.start)).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        ReleaseRuleError { file: file.to_owned(), line, message }
    };
    let raw: Raw =
        toml::from_str(text).map_err(|error| fault(error.span(), error.message().to_owned()))?;
    let mut rules: Vec<ReleaseRules> = Vec::new();
    for one in raw.rules {
        let span = one.span();
        let one = one.into_inner();
        if let Some(message) = one.fault(&rules, taken) {
            return Err(fault(Some(span), message));
        }
        rules.push(one);
    }
    if rules.is_empty() {
        return Err(fault(None, "版がありません / there is no version".to_owned()));
    }
    Ok(rules)
}

impl ReleaseRules {
    /// The path by days alone for people with symptoms, or for those without.
    pub fn path(&self, symptomatic: bool) -> Option<&Path> {
        self.by_days().find(|path| path.symptomatic == symptomatic)
    }

    /// The path of this id.
    pub fn path_of(&self, id: &str) -> Option<&Path> {
        self.paths.iter().find(|path| path.id == id)
    }

    fn by_days(&self) -> impl Iterator<Item = &Path> {
        self.paths.iter().filter(|path| path.tests.is_none())
    }

    /// The questions that matter: fever, and the symptoms.
    pub fn codes(&self) -> impl Iterator<Item = &str> {
        std::iter::once(TEMPERATURE).chain(self.symptoms.iter().map(|one| one.code.as_str()))
    }

    /// What people call a question.
    pub fn label(&self, code: &str) -> Bilingual {
        match self.symptoms.iter().find(|one| one.code == code) {
            Some(one) => Bilingual::composed(one.ja.clone(), one.en.clone()),
            None => Bilingual::fixed("体温", "temperature"),
        }
    }

    /// The fewest days after which anybody may be released without a test.
    pub fn fewest_days(&self) -> i8 {
        self.by_days().map(|path| path.days).min().unwrap_or_default()
    }

    /// The first number that is a fever, in tenths of a degree.
    #[expect(clippy::cast_possible_truncation, reason = "checked to be a temperature of people")]
    pub fn fever(&self) -> i32 {
        (self.fever_below * 10.0).round() as i32
    }

    /// How old the last answers may be.
    pub fn fresh(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.fresh_hours))
    }

    fn fault(&self, earlier: &[Self], taken: &[Self]) -> Option<String> {
        let tests = || self.paths.iter().filter_map(|path| path.tests.as_ref());
        let bounds = [
            (self.version.is_empty(), "version が空です / empty"),
            (!(35.0..=39.0).contains(&self.fever_below), "fever_below: 35.0–39.0"),
            (!(1..=24 * 7).contains(&self.fresh_hours), "fresh_hours: 1–168"),
            (!(0..=7).contains(&self.offset), "offset: 0–7"),
            (self.symptoms.is_empty(), "symptoms が空です / empty"),
            (
                earlier.iter().chain(taken).any(|one| one.version == self.version),
                "この版は二つあります / this version is there twice",
            ),
            (
                earlier.last().is_some_and(|last| last.effective_from >= self.effective_from),
                "effective_from の順に並べてください / sort by effective_from",
            ),
            (
                self.path(true).is_none()
                    || self.path(false).is_none()
                    || self.by_days().count() != 2,
                "検査によらない path は症状あり・なしの二つです / without tests one path with symptoms, one without",
            ),
            (
                self.paths.iter().enumerate().any(|(place, path)| {
                    self.paths.iter().take(place).any(|before| before.id == path.id)
                }),
                "この id の path は二つあります / this path is there twice",
            ),
            (
                self.by_days().any(|path| path.days < 1),
                "days: 1–60 (検査によらない path / without tests)",
            ),
            (self.paths.iter().any(|path| !(0..=60).contains(&path.days)), "days: 0–60"),
            (
                self.paths.iter().any(|path| !(0..=24 * 14).contains(&path.improved_hours)),
                "improved_hours: 0–336",
            ),
            (tests().any(|tests| !(1..=5).contains(&tests.count)), "tests.count: 1–5"),
            (
                tests().any(|tests| !(1..=24 * 7).contains(&tests.apart_hours)),
                "tests.apart_hours: 1–168",
            ),
            (tests().any(|tests| !(0..=60).contains(&tests.after_days)), "tests.after_days: 0–60"),
            (tests().any(|tests| tests.methods.is_empty()), "tests.methods が空です / empty"),
            (
                self.paths.iter().any(|path| {
                    path.symptomatic && path.tests.is_some() && path.improved_hours < 1
                }),
                "improved_hours: 症状のある方の検査は軽快後です / people with symptoms are tested once better",
            ),
        ];
        bounds.into_iter().find_map(|(is_faulty, words)| is_faulty.then(|| words.to_owned()))
    }
}

impl Path {
    /// How long symptoms must have been better.
    pub fn improved(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.improved_hours))
    }
}

impl Negatives {
    /// How long after another a specimen must be taken.
    pub fn apart(&self) -> SignedDuration {
        SignedDuration::from_hours(i64::from(self.apart_hours))
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn the_version_of_the_day_is_in_force() {
        let book = ReleaseBook::shipped().unwrap();
        let on = |day| book.effective_on(day).map(|rules| rules.version.as_str());
        assert_eq!(on(date(2021, 2, 24)), None);
        assert_eq!(on(date(2021, 2, 25)), Some("2021-02-25"));
        assert_eq!(on(date(2022, 9, 6)), Some("2021-02-25"));
        assert_eq!(on(date(2026, 11, 26)), Some("2022-09-07"));
        let rules = book.effective_on(date(2026, 11, 26)).unwrap();
        assert_eq!((rules.fever(), rules.fewest_days()), (375, 7));
        assert_eq!(rules.path(true).unwrap().improved(), SignedDuration::from_hours(24));
        assert!(rules.path(false).unwrap().tests.is_none());
        let kit = rules.path_of("asymptomatic-kit").unwrap().tests.as_ref().unwrap();
        assert_eq!(
            (kit.count, kit.after_days, kit.methods.as_slice()),
            (1, 5, &[TestMethod::Kit][..])
        );
    }

    #[test]
    fn a_fault_is_told_with_its_line() {
        let shipped = include_str!("../../prompts/rules/release.toml");
        let mut begins = shipped.lines().zip(1..).filter(|(line, _)| *line == "[[rules]]");
        let (first, second) = (begins.next().unwrap().1, begins.next().unwrap().1);
        for (from, to, line, expected) in [
            ("offset = 1", "offset = 9", first, "offset"),
            ("days = 10", "days = 0", first, "days"),
            ("days = 10", "days = \"ten\"", first + 15, "invalid type"),
            ("version = \"2022-09-07\"", "version = \"2021-02-25\"", second, "twice"),
            ("id = \"symptomatic-negative\"", "id = \"symptomatic\"", first, "path is there twice"),
            ("count = 2", "count = 0", first, "tests.count"),
            ("\"antigen\"", "\"dog\"", first + 33, "naat"),
            ("fever_below = 37.5", "fever_below = 375", first, "fever_below"),
            ("symptomatic = true", "symptomatic = false", first, "one path with symptoms"),
            ("days = 10", "dais = 10", first + 15, "unknown field"),
        ] {
            let text = shipped.replacen(from, to, 1);
            assert_ne!(text, shipped, "{from}");
            let error = read("release.toml", &text, &[]).unwrap_err();
            assert!(error.message.contains(expected), "{error}");
            assert!(error.line.abs_diff(line) <= 1, "{error}, and not line {line}");
        }
        assert!(read("release.toml", "rules = []", &[]).is_err());
    }

    #[test]
    fn no_shipped_version_overrules_one_of_the_sites_own() {
        let shipped = include_str!("../../prompts/rules/release.toml");
        let own = |version: &str, from: &str| {
            shipped
                .replace("version = \"2021-02-25\"", &format!("version = \"{version}\""))
                .replace("effective_from = \"2021-02-25\"", &format!("effective_from = \"{from}\""))
                .split("[[rules]]")
                .take(2)
                .collect::<Vec<_>>()
                .join("[[rules]]")
        };
        let book = ReleaseBook::with_shipped("own.toml", &own("市-1", "2022-01-01")).unwrap();
        let on = |day| book.effective_on(day).map(|rules| rules.version.as_str());
        assert_eq!(on(date(2021, 12, 31)), Some("2021-02-25"));
        assert_eq!(on(date(2022, 1, 1)), Some("市-1"));
        assert_eq!(on(date(2026, 11, 26)), Some("市-1"), "that of 2022-09-07 is shipped only");
        let error = ReleaseBook::with_shipped("own.toml", &own("2022-09-07", "2026-01-01"));
        let error = error.unwrap_err();
        assert!(error.message.contains("twice") && error.file == "own.toml", "{error}");
    }
}
