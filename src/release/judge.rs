//! From the course of an illness and what was answered to a proposal. Pure.
//!
//! Improvement is counted backwards from now: for as long as every answer on fever and symptoms was
//! good, and no longer. An answer that was not given ends it like a bad one: silence is never "no".

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::ivr::{Answer, YesNo};
use crate::registry::Course;
use crate::release::rule::TEMPERATURE;
use crate::release::{Path, ReleaseRules};

/// Something that was answered, by any channel, or that was asked and not answered.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Seen {
    /// When.
    pub at: Timestamp,
    /// The question.
    pub code: String,
    /// The answer.
    pub value: Answer,
}

/// What the rules propose about one patient.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Proposal {
    /// The version of the rules.
    pub rules: String,
    /// The path within it.
    pub path: String,
    /// Day 0, if it is known.
    pub day_zero: Option<Date>,
    /// The first day on which the release is possible, by the days alone.
    pub from: Option<Date>,
    /// Since when every answer was good.
    pub improved_at: Option<Timestamp>,
    /// What is in the way; empty for a candidate.
    pub blocks: Vec<Block>,
}

impl Proposal {
    /// Nothing is in the way, but a person.
    pub fn is_candidate(&self) -> bool {
        self.blocks.is_empty()
    }
}

/// What is in the way of a release.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Block {
    /// Neither the onset nor the specimen is known.
    NoDayZero,
    /// The days have not passed.
    TooEarly {
        /// When they will have.
        from: Date,
    },
    /// The last answer was bad: a fever, or a symptom.
    Ill {
        /// The question.
        code: String,
        /// When it was answered.
        at: Timestamp,
    },
    /// The last answer was "don't know", "not measured", or none.
    Unknown {
        /// The question.
        code: String,
        /// When it was asked.
        at: Timestamp,
    },
    /// Nothing was answered of late.
    Unheard {
        /// The question.
        code: String,
    },
    /// All is well, but not for long enough.
    TooShort {
        /// When it will have been.
        until: Timestamp,
    },
    /// Somebody without symptoms has said that there are some: day 0 is another.
    SymptomsSince {
        /// The question.
        code: String,
        /// When it was answered.
        at: Timestamp,
    },
    /// A case is open.
    OpenCase,
}

impl Block {
    /// What is in the way, for people.
    pub fn told(&self, rules: &ReleaseRules) -> Bilingual {
        let moment = |at: Timestamp| civil(at).strftime("%m/%d %H:%M").to_string();
        let of = |code: &str, ja: &str, en: &str| {
            let label = rules.label(code);
            Bilingual::composed(format!("{}: {ja}", label.ja), format!("{}: {en}", label.en))
        };
        match self {
            Self::NoDayZero => Bilingual::fixed(
                "発症日・検体採取日が登録されていません",
                "neither the onset nor the specimen is known",
            ),
            Self::TooEarly { from } => Bilingual::composed(
                format!("{from} までは日数が足りません"),
                format!("too early before {from}"),
            ),
            Self::Ill { code, at } => {
                let at = moment(*at);
                let (ja, en) = (
                    format!("最後の回答({at})で症状があります"),
                    format!("there was one at the last answer ({at})"),
                );
                of(code, &ja, &en)
            }
            Self::Unknown { code, at } => {
                let at = moment(*at);
                let (ja, en) = (
                    format!("最後の質問({at})は不明・未測定・未回答です"),
                    format!("not known, measured or answered when last asked ({at})"),
                );
                of(code, &ja, &en)
            }
            Self::Unheard { code } => {
                of(code, "最近の回答がありません", "nothing was answered of late")
            }
            Self::TooShort { until } => {
                let until = moment(*until);
                Bilingual::composed(
                    format!("軽快してからの時間が足りません({until} まで)"),
                    format!("not better for long enough (until {until})"),
                )
            }
            Self::SymptomsSince { code, at } => {
                let at = moment(*at);
                let (ja, en) = (
                    format!(
                        "無症状とされていますが、{at} に「あり」の回答があります。発症日を確かめてください"
                    ),
                    format!(
                        "taken to be without symptoms, but there was one at {at}: look into the onset"
                    ),
                );
                of(code, &ja, &en)
            }
            Self::OpenCase => Bilingual::fixed("対応中の案件があります", "a case is open"),
        }
    }
}

/// What an answer says about an illness.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Sign {
    Well,
    Ill,
    Unknown,
}

/// Judges one patient. `seen` are all answers to the questions of the rules, each as it was
/// corrected last, in any order.
pub fn judge(
    rules: &ReleaseRules,
    course: &Course,
    seen: &[Seen],
    has_open_case: bool,
    now: Timestamp,
) -> Proposal {
    let today = civil(now).date();
    let Some(path) = rules.path(course.is_symptomatic()) else {
        unreachable!("a version without both paths is not valid")
    };
    let mut proposal = Proposal {
        rules: rules.version.clone(),
        path: path.id.clone(),
        day_zero: course.day_zero(),
        from: course.day_zero().map(|day| first_day(rules, path, day)),
        improved_at: None,
        blocks: Vec::new(),
    };
    match proposal.from {
        None => proposal.blocks.push(Block::NoDayZero),
        Some(from) if today < from => proposal.blocks.push(Block::TooEarly { from }),
        Some(_) => {}
    }
    let mut improved_at = Some(Timestamp::MIN);
    for code in rules.codes() {
        match well_since(rules, code, seen, now) {
            Ok(since) => improved_at = improved_at.map(|at| at.max(since)),
            Err(block) => {
                improved_at = None;
                proposal.blocks.push(block);
            }
        }
        if !path.symptomatic {
            proposal.blocks.extend(first_symptom(rules, code, seen, course));
        }
    }
    proposal.improved_at = improved_at;
    let until = improved_at.and_then(|at| at.checked_add(path.improved()).ok());
    if let Some(until) = until.filter(|until| now < *until) {
        proposal.blocks.push(Block::TooShort { until });
    }
    if has_open_case {
        proposal.blocks.push(Block::OpenCase);
    }
    proposal
}

/// The first day on which the release is possible, by the days alone.
fn first_day(rules: &ReleaseRules, path: &Path, day_zero: Date) -> Date {
    day_zero.saturating_add((i64::from(path.days) + i64::from(rules.offset)).days())
}

/// Since when every answer to a question was good.
fn well_since(
    rules: &ReleaseRules,
    code: &str,
    seen: &[Seen],
    now: Timestamp,
) -> Result<Timestamp, Block> {
    let mut answers: Vec<&Seen> =
        seen.iter().filter(|one| one.code == code && one.at <= now).collect();
    answers.sort_by_key(|one| one.at);
    let unheard = || Block::Unheard { code: code.to_owned() };
    let last = answers.last().ok_or_else(unheard)?;
    match sign(rules, last) {
        Sign::Ill => return Err(Block::Ill { code: code.to_owned(), at: last.at }),
        Sign::Unknown => return Err(Block::Unknown { code: code.to_owned(), at: last.at }),
        Sign::Well if now.duration_since(last.at) > rules.fresh() => return Err(unheard()),
        Sign::Well => {}
    }
    let well = answers.iter().rev().take_while(|one| sign(rules, one) == Sign::Well);
    Ok(well.last().map_or(last.at, |first| first.at))
}

/// A symptom of somebody who was taken to have none, since the specimen.
fn first_symptom(
    rules: &ReleaseRules,
    code: &str,
    seen: &[Seen],
    course: &Course,
) -> Option<Block> {
    let since = course.specimen.map(|day| timestamp(day.to_datetime(Time::midnight())))?;
    let ill = |one: &&Seen| one.code == code && one.at >= since && sign(rules, one) == Sign::Ill;
    let first = seen.iter().filter(ill).min_by_key(|one| one.at)?;
    Some(Block::SymptomsSince { code: code.to_owned(), at: first.at })
}

fn sign(rules: &ReleaseRules, seen: &Seen) -> Sign {
    match seen.value {
        Answer::Number(tenths) if seen.code == TEMPERATURE && tenths < rules.fever() => Sign::Well,
        Answer::Number(_) if seen.code == TEMPERATURE => Sign::Ill,
        Answer::Choice(YesNo::No) => Sign::Well,
        Answer::Choice(YesNo::Yes) => Sign::Ill,
        _ => Sign::Unknown,
    }
}

/// How far back answers matter.
pub fn look_back(rules: &ReleaseRules) -> SignedDuration {
    let longest = rules.paths.iter().map(Path::improved).max().unwrap_or_default();
    // Whoever has been well for longer than that has been well for long enough; symptoms of those
    // who were taken to have none matter since the specimen.
    let days = SignedDuration::from_hours(24 * i64::from(rules.fewest_days() + rules.offset + 7));
    (longest + rules.fresh()).max(days)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::release::ReleaseBook;

    const TODAY: Date = date(2026, 11, 26);

    fn rules(version: &str) -> ReleaseRules {
        let book = ReleaseBook::shipped().unwrap();
        let day = version.parse().unwrap();
        book.effective_on(day).unwrap().clone()
    }

    fn at(day: i32, hour: i8) -> Timestamp {
        timestamp(TODAY.saturating_add(day.days()).at(hour, 0, 0, 0))
    }

    fn seen(day: i32, hour: i8, code: &str, value: Answer) -> Seen {
        Seen { at: at(day, hour), code: code.to_owned(), value }
    }

    const NO: Answer = Answer::Choice(YesNo::No);
    const YES: Answer = Answer::Choice(YesNo::Yes);

    /// Well at nine o'clock on these days.
    fn well(days: impl IntoIterator<Item = i32>) -> Vec<Seen> {
        days.into_iter()
            .flat_map(|day| {
                [(TEMPERATURE, Answer::Number(366)), ("dyspnea", NO), ("cough", NO)]
                    .map(|(code, value)| seen(day, 9, code, value))
            })
            .collect()
    }

    fn ill_for(days: i64) -> Course {
        let onset = Some(TODAY.saturating_sub(days.days()));
        Course { onset, specimen: None, has_symptoms: Some(true) }
    }

    #[test]
    fn the_days_are_those_of_the_guidelines() {
        // Onset on 9/20: in recuperation until 9/27, and so released on 9/28 (2022-09-07);
        // ten days, released on the eleventh day after (2021-02-25).
        let onset = date(2022, 9, 20);
        for (version, expected) in
            [("2022-09-07", date(2022, 9, 28)), ("2021-02-25", date(2022, 10, 1))]
        {
            let rules = rules(version);
            assert_eq!(first_day(&rules, rules.path(true).unwrap(), onset), expected);
        }
    }

    #[test]
    fn a_candidate_has_been_ill_and_well_for_long_enough() {
        let (new, old) = (rules("2022-09-07"), rules("2021-02-25"));
        let now = at(0, 10);
        let blocks =
            |rules, course: &Course, seen: &[Seen]| judge(rules, course, seen, false, now).blocks;
        assert_eq!(blocks(&new, &ill_for(8), &well(-3..=0)), []);
        let from = date(2026, 11, 27);
        assert_eq!(blocks(&new, &ill_for(7), &well(-3..=0)), [Block::TooEarly { from }]);
        // 72 hours by the older rules: good since 9:00 three days ago is enough, since two days is not.
        assert_eq!(blocks(&old, &ill_for(11), &well(-3..=0)), []);
        let until = at(1, 9);
        assert_eq!(blocks(&old, &ill_for(11), &well(-2..=0)), [Block::TooShort { until }]);
        assert_eq!(blocks(&new, &Course::default(), &well(-3..=0)), [Block::NoDayZero]);
        let told = judge(&new, &ill_for(8), &well(-3..=0), true, now);
        assert_eq!(told.blocks, [Block::OpenCase]);
        assert_eq!(told.improved_at, Some(at(-3, 9)));
    }

    #[test]
    fn what_is_bad_or_unknown_is_in_the_way() {
        let rules = rules("2022-09-07");
        let now = at(0, 10);
        for (changed, value, expected) in [
            (TEMPERATURE, Answer::Number(374), None),
            (TEMPERATURE, Answer::Number(375), Some("ill")),
            (TEMPERATURE, Answer::NotMeasured, Some("unknown")),
            ("cough", YES, Some("ill")),
            ("cough", Answer::Choice(YesNo::Unknown), Some("unknown")),
            ("dyspnea", Answer::Unanswered, Some("unknown")),
        ] {
            let mut answers = well(-3..=0);
            answers.push(seen(0, 10, changed, value));
            let blocks = judge(&rules, &ill_for(9), &answers, false, now).blocks;
            let found = match blocks.as_slice() {
                [] => None,
                [Block::Ill { code, .. }] if code == changed => Some("ill"),
                [Block::Unknown { code, .. }] if code == changed => Some("unknown"),
                other => panic!("{changed}: {other:?}"),
            };
            assert_eq!(found, expected, "{changed} {value:?}");
        }
        // It is over, but not for a day yet.
        let mut answers = well(-3..=0);
        answers.push(seen(-1, 20, "cough", YES));
        let until = at(1, 9);
        assert_eq!(
            judge(&rules, &ill_for(9), &answers, false, now).blocks,
            [Block::TooShort { until }]
        );
        let stale = judge(&rules, &ill_for(9), &well(-5..=-2), false, now).blocks;
        let unheard = |code: &str| Block::Unheard { code: code.to_owned() };
        assert_eq!(stale, [unheard(TEMPERATURE), unheard("dyspnea"), unheard("cough")]);
        assert_eq!(judge(&rules, &ill_for(9), &[], false, now).blocks.len(), 3);
    }

    #[test]
    fn who_had_no_symptoms_and_gets_some_is_counted_anew() {
        let rules = rules("2022-09-07");
        let specimen = Some(TODAY.saturating_sub(8.days()));
        let course = Course { onset: None, specimen, has_symptoms: Some(false) };
        let now = at(0, 10);
        assert_eq!(judge(&rules, &course, &well(0..=0), false, now).blocks, []);
        let mut answers = well(-6..=0);
        answers.push(seen(-6, 10, "cough", YES));
        let since = Block::SymptomsSince { code: "cough".to_owned(), at: at(-6, 10) };
        assert_eq!(judge(&rules, &course, &answers, false, now).blocks, [since]);
    }

    fn any_seen() -> impl Strategy<Value = Seen> {
        let codes = prop::sample::select(vec![TEMPERATURE, "dyspnea", "cough"]);
        (codes, -6..=0_i32, 0..24_i8, 0..5_u8).prop_map(|(code, day, hour, kind)| {
            let value = match (kind, code) {
                (0, _) => Answer::Unanswered,
                (1, TEMPERATURE) => Answer::Number(381),
                (1, _) => YES,
                (_, TEMPERATURE) => Answer::Number(364),
                _ => NO,
            };
            seen(day, hour, code, value)
        })
    }

    proptest! {
        #[test]
        fn nothing_bad_or_unknown_within_the_hours_is_overlooked(
            answers in prop::collection::vec(any_seen(), 0..40),
            days in 0..14_i64,
            version in prop::sample::select(vec!["2021-02-25", "2022-09-07"]),
        ) {
            let rules = rules(version);
            let now = at(0, 23);
            let course = ill_for(days);
            let proposal = judge(&rules, &course, &answers, false, now);
            let path = rules.path(true).unwrap();
            let window = now - path.improved();
            if proposal.is_candidate() {
                prop_assert!(days > i64::from(path.days));
                for one in answers.iter().filter(|one| one.at > window) {
                    prop_assert_eq!(sign(&rules, one), Sign::Well);
                }
                for code in [TEMPERATURE, "dyspnea", "cough"] {
                    prop_assert!(answers.iter().any(|one| one.code == code && one.at <= window));
                }
            }
            // One more day ill, all else alike, is never in the way.
            let older = judge(&rules, &ill_for(days + 1), &answers, false, now);
            prop_assert!(!proposal.is_candidate() || older.is_candidate());
            // One more bad answer never makes a candidate.
            let mut worse = answers.clone();
            worse.push(seen(0, 12, "cough", YES));
            let worse = judge(&rules, &course, &worse, false, now);
            prop_assert!(proposal.is_candidate() || !worse.is_candidate());
        }
    }
}
