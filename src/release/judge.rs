//! From the course of an illness and what was answered to a proposal. Pure.
//!
//! Improvement is counted backwards from now: for as long as every answer on fever and symptoms was
//! good, and no longer. An answer that was not given ends it like a bad one: silence is never "no".

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::ivr::{Answer, YesNo};
use crate::registry::{Course, LabTest, TestResult};
use crate::release::rule::{Negatives, TEMPERATURE};
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

/// What is known of one patient.
#[derive(Clone, Copy, Debug)]
pub struct Findings<'a> {
    /// The beginning of the illness.
    pub course: &'a Course,
    /// All answers to the questions of the rules, each as it was corrected last, in any order.
    pub seen: &'a [Seen],
    /// The tests that were not withdrawn, in any order.
    pub tests: &'a [LabTest],
    /// Whether staff are at work on a case.
    pub has_open_case: bool,
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
    /// The first day on which the release is possible without a test, by the days alone.
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
    /// Tests would shorten the days, but there are not enough negative ones.
    NegativesNeeded {
        /// How many more.
        missing: u8,
        /// When the next specimen may be taken.
        from: Timestamp,
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
            Self::NegativesNeeded { missing, from } => {
                let from = moment(*from);
                Bilingual::composed(
                    format!("検査の陰性があと{missing}回必要です(検体採取は {from} 以降)"),
                    format!("negative tests still needed: {missing} (specimen from {from} on)"),
                )
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

/// Judges one patient by each path that is open to them, and tells the one with the least in the
/// way. Paths by tests are open to whoever has had a negative one.
pub fn judge(rules: &ReleaseRules, findings: Findings<'_>, now: Timestamp) -> Proposal {
    let course = findings.course;
    let is_negative =
        tests_since_day_zero(findings, now).iter().any(|test| test.result == TestResult::Negative);
    let open = rules.paths.iter().filter(|path| {
        path.symptomatic == course.is_symptomatic() && (path.tests.is_none() || is_negative)
    });
    let judged = open.map(|path| (path, judge_by(rules, path, findings, now)));
    // Whoever was tested wants to know what the tests are worth.
    let best = judged.min_by_key(|(path, told)| (told.blocks.len(), path.tests.is_none()));
    let Some((_, proposal)) = best else {
        unreachable!("a version without both paths is not valid")
    };
    proposal
}

/// The specimens that say something about this illness, in the order in which they were taken.
fn tests_since_day_zero(findings: Findings<'_>, now: Timestamp) -> Vec<LabTest> {
    let Some(day_zero) = findings.course.day_zero() else { return Vec::new() };
    let since = timestamp(day_zero.to_datetime(Time::midnight()));
    let tests = findings.tests.iter().filter(|test| (since..=now).contains(&test.collected_at));
    let mut tests: Vec<LabTest> = tests.copied().collect();
    tests.sort_by_key(|test| test.collected_at);
    tests
}

fn judge_by(rules: &ReleaseRules, path: &Path, findings: Findings<'_>, now: Timestamp) -> Proposal {
    let today = civil(now).date();
    let Findings { course, seen, has_open_case, .. } = findings;
    let day_zero = course.day_zero();
    let by_days = rules.path(path.symptomatic).unwrap_or(path);
    let mut proposal = Proposal {
        rules: rules.version.clone(),
        path: path.id.clone(),
        day_zero,
        from: day_zero.map(|day| first_day(rules, by_days, day)),
        improved_at: None,
        blocks: Vec::new(),
    };
    match day_zero.map(|day| first_day(rules, path, day)) {
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
    match (&path.tests, until) {
        (None, Some(until)) if now < until => proposal.blocks.push(Block::TooShort { until }),
        (Some(negatives), Some(until)) => {
            // Whoever need not have been better for a while need not have been asked before the test.
            let until = if path.improved().is_zero() { Timestamp::MIN } else { until };
            proposal.blocks.extend(negatives_needed(negatives, findings, until, now));
        }
        _ => {}
    }
    if has_open_case {
        proposal.blocks.push(Block::OpenCase);
    }
    proposal
}

/// What is missing of these negative tests, if the first specimen is taken no sooner than `until`.
fn negatives_needed(
    negatives: &Negatives,
    findings: Findings<'_>,
    until: Timestamp,
    now: Timestamp,
) -> Option<Block> {
    let day = findings.course.day_zero()?.saturating_add(i64::from(negatives.after_days).days());
    let soonest = timestamp(day.to_datetime(Time::midnight())).max(until);
    let (mut missing, mut from) = (negatives.count, soonest);
    for test in tests_since_day_zero(findings, now) {
        let next = test.collected_at.saturating_add(negatives.apart()).ok()?;
        if test.result != TestResult::Negative {
            (missing, from) = (negatives.count, soonest.max(next));
        } else if missing > 0
            && from <= test.collected_at
            && negatives.methods.contains(&test.method)
        {
            (missing, from) = (missing - 1, next);
        }
    }
    (missing > 0).then_some(Block::NegativesNeeded { missing, from })
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
    use crate::base::id::Minter;
    use crate::registry::TestMethod;
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

    fn judged(
        rules: &ReleaseRules,
        course: &Course,
        seen: &[Seen],
        tests: &[LabTest],
        now: Timestamp,
    ) -> Proposal {
        judge(rules, Findings { course, seen, tests, has_open_case: false }, now)
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
            |rules, course: &Course, seen: &[Seen]| judged(rules, course, seen, &[], now).blocks;
        assert_eq!(blocks(&new, &ill_for(8), &well(-3..=0)), []);
        let from = date(2026, 11, 27);
        assert_eq!(blocks(&new, &ill_for(7), &well(-3..=0)), [Block::TooEarly { from }]);
        // 72 hours by the older rules: good since 9:00 three days ago is enough, since two days is not.
        assert_eq!(blocks(&old, &ill_for(11), &well(-3..=0)), []);
        let until = at(1, 9);
        assert_eq!(blocks(&old, &ill_for(11), &well(-2..=0)), [Block::TooShort { until }]);
        assert_eq!(blocks(&new, &Course::default(), &well(-3..=0)), [Block::NoDayZero]);
        let findings =
            Findings { course: &ill_for(8), seen: &well(-3..=0), tests: &[], has_open_case: true };
        let told = judge(&new, findings, now);
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
            let blocks = judged(&rules, &ill_for(9), &answers, &[], now).blocks;
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
            judged(&rules, &ill_for(9), &answers, &[], now).blocks,
            [Block::TooShort { until }]
        );
        let stale = judged(&rules, &ill_for(9), &well(-5..=-2), &[], now).blocks;
        let unheard = |code: &str| Block::Unheard { code: code.to_owned() };
        assert_eq!(stale, [unheard(TEMPERATURE), unheard("dyspnea"), unheard("cough")]);
        assert_eq!(judged(&rules, &ill_for(9), &[], &[], now).blocks.len(), 3);
    }

    #[test]
    fn who_had_no_symptoms_and_gets_some_is_counted_anew() {
        let rules = rules("2022-09-07");
        let specimen = Some(TODAY.saturating_sub(8.days()));
        let course = Course { onset: None, specimen, has_symptoms: Some(false) };
        let now = at(0, 10);
        assert_eq!(judged(&rules, &course, &well(0..=0), &[], now).blocks, []);
        let mut answers = well(-6..=0);
        answers.push(seen(-6, 10, "cough", YES));
        let since = Block::SymptomsSince { code: "cough".to_owned(), at: at(-6, 10) };
        assert_eq!(judged(&rules, &course, &answers, &[], now).blocks, [since]);
    }

    fn test(day: i32, hour: i8, method: TestMethod, result: TestResult) -> LabTest {
        let id = Minter::new([0; 32]).mint(at(day, hour));
        LabTest { id, collected_at: at(day, hour), method, result }
    }

    #[test]
    fn negative_tests_shorten_the_days() {
        use TestMethod::{Antigen, Kit, Naat};
        use TestResult::{Indeterminate, Negative, Positive};
        let (old, new) = (rules("2021-02-25"), rules("2022-09-07"));
        let without = |days: i64| Course {
            onset: None,
            specimen: Some(TODAY.saturating_sub(days.days())),
            has_symptoms: Some(false),
        };
        let needed = |missing, from| vec![Block::NegativesNeeded { missing, from }];
        let (ill, well) = (ill_for(7), well(-4..=0));
        let now = at(0, 12);
        for (name, rules, course, tests, path, blocks) in [
            // Good since nine o'clock four days ago.
            (
                "two, a day apart",
                &old,
                ill,
                vec![test(-3, 9, Naat, Negative), test(-2, 9, Antigen, Negative)],
                "symptomatic-negative",
                vec![],
            ),
            (
                "the first is too soon after the symptoms",
                &old,
                ill,
                vec![test(-3, 8, Naat, Negative), test(-2, 9, Naat, Negative)],
                "symptomatic-negative",
                needed(1, at(-1, 9)),
            ),
            (
                "too soon after one another",
                &old,
                ill,
                vec![test(-1, 9, Naat, Negative), test(0, 8, Naat, Negative)],
                "symptomatic-negative",
                needed(1, at(0, 9)),
            ),
            (
                "a positive one begins anew",
                &old,
                ill,
                vec![
                    test(-3, 9, Naat, Negative),
                    test(-2, 9, Naat, Negative),
                    test(-1, 10, Naat, Positive),
                ],
                "symptomatic-negative",
                needed(2, at(0, 10)),
            ),
            (
                "so does one that proves nothing",
                &old,
                ill,
                vec![test(-2, 9, Naat, Negative), test(-1, 9, Naat, Indeterminate)],
                "symptomatic-negative",
                needed(2, at(0, 9)),
            ),
            (
                "a kit is not among the methods",
                &old,
                ill,
                vec![test(-3, 9, Kit, Negative), test(-2, 9, Kit, Negative)],
                "symptomatic-negative",
                needed(2, at(-3, 9)),
            ),
            (
                "without a negative one the days are told",
                &old,
                ill,
                vec![test(-7, 9, Naat, Positive)],
                "symptomatic",
                vec![Block::TooEarly { from: TODAY.saturating_add(4.days()) }],
            ),
            (
                "those of another illness say nothing",
                &old,
                ill,
                vec![test(-9, 9, Naat, Negative), test(-8, 9, Naat, Negative)],
                "symptomatic",
                vec![Block::TooEarly { from: TODAY.saturating_add(4.days()) }],
            ),
            (
                "without symptoms once six days have passed, and not on the sixth",
                &old,
                without(7),
                vec![test(-1, 9, Naat, Negative), test(0, 9, Naat, Negative)],
                "asymptomatic-negative",
                needed(1, at(1, 9)),
            ),
            (
                "without symptoms on the seventh and eighth",
                &old,
                without(8),
                vec![test(-1, 9, Naat, Negative), test(0, 9, Naat, Negative)],
                "asymptomatic-negative",
                vec![],
            ),
            (
                "the kit of the fifth day",
                &new,
                without(6),
                vec![test(-1, 9, Kit, Negative)],
                "asymptomatic-kit",
                vec![],
            ),
            (
                "the kit of the fifth day, on that day",
                &new,
                without(5),
                vec![test(0, 9, Kit, Negative)],
                "asymptomatic-kit",
                vec![Block::TooEarly { from: TODAY.saturating_add(1.day()) }],
            ),
            (
                "the kit of the fourth day",
                &new,
                without(6),
                vec![test(-2, 9, Kit, Negative)],
                "asymptomatic-kit",
                needed(1, at(-1, 0)),
            ),
            (
                "no test helps whoever has symptoms by the newer rules",
                &new,
                ill,
                vec![test(-2, 9, Naat, Negative), test(-1, 9, Naat, Negative)],
                "symptomatic",
                vec![Block::TooEarly { from: TODAY.saturating_add(1.day()) }],
            ),
        ] {
            let told = judged(rules, &course, &well, &tests, now);
            assert_eq!((told.path.as_str(), told.blocks), (path, blocks), "{name}");
        }
        // Who is ill again is no candidate, whatever the tests say.
        let tests = [test(-3, 9, Naat, Negative), test(-2, 9, Naat, Negative)];
        let mut worse = well.clone();
        worse.push(seen(0, 10, "cough", YES));
        let told = judged(&old, &ill, &worse, &tests, now);
        assert!(matches!(told.blocks[..], [Block::Ill { .. }]), "{:?}", told.blocks);
    }

    fn any_test() -> impl Strategy<Value = LabTest> {
        let results = prop::sample::select(TestResult::ALL.to_vec());
        let methods = prop::sample::select(TestMethod::ALL.to_vec());
        (-9..=0_i32, 0..24_i8, methods, results)
            .prop_map(|(day, hour, method, result)| test(day, hour, method, result))
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
            let proposal = judged(&rules, &course, &answers, &[], now);
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
            let older = judged(&rules, &ill_for(days + 1), &answers, &[], now);
            prop_assert!(!proposal.is_candidate() || older.is_candidate());
            // One more bad answer never makes a candidate.
            let mut worse = answers.clone();
            worse.push(seen(0, 12, "cough", YES));
            let worse = judged(&rules, &course, &worse, &[], now);
            prop_assert!(proposal.is_candidate() || !worse.is_candidate());
        }

        #[test]
        fn nobody_is_released_sooner_without_the_negative_tests(
            tests in prop::collection::vec(any_test(), 0..8),
            days in 0..12_i64,
            has_symptoms in any::<bool>(),
            version in prop::sample::select(vec!["2021-02-25", "2022-09-07"]),
        ) {
            let rules = rules(version);
            let now = at(0, 23);
            let day = Some(TODAY.saturating_sub(days.days()));
            let course = Course { onset: day, specimen: day, has_symptoms: Some(has_symptoms) };
            let answers = well(-12..=0);
            let untested = judged(&rules, &course, &answers, &[], now);
            let told = judged(&rules, &course, &answers, &tests, now);
            // Tests never keep anybody who need not be tested.
            prop_assert!(told.is_candidate() || !untested.is_candidate());
            let path = rules.path_of(&told.path).unwrap();
            if told.is_candidate() && !untested.is_candidate() {
                let negatives = path.tests.as_ref().unwrap();
                let last_other = tests
                    .iter()
                    .filter(|one| one.result != TestResult::Negative)
                    .map(|one| one.collected_at)
                    .max();
                let mut counted: Vec<Timestamp> = tests
                    .iter()
                    .filter(|one| {
                        one.result == TestResult::Negative
                            && negatives.methods.contains(&one.method)
                            && last_other.is_none_or(|at| at + negatives.apart() <= one.collected_at)
                            && days + i64::from(civil(one.collected_at).date().since(TODAY).unwrap().get_days())
                                >= i64::from(negatives.after_days)
                    })
                    .map(|one| one.collected_at)
                    .collect();
                counted.sort();
                let (first, last) = (counted[0], counted[counted.len() - 1]);
                prop_assert!(counted.len() >= usize::from(negatives.count));
                prop_assert!(last.duration_since(first) >= negatives.apart() * i32::from(negatives.count - 1));
                prop_assert!(days >= i64::from(path.days + rules.offset));
            }
        }
    }
}
