//! From observations and calls to findings: which rules fire, and how gravely.
//!
//! Everything here is pure. [`evaluate`] is asked after each answer with all answers of the call so
//! far; what it found before it finds again, so a second evaluation adds nothing. Only a rule's own
//! [`Lowering`](crate::escalation::rule::Lowering) makes a fact weigh less as the call goes on.

use std::fmt::Display;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::clock;
use crate::call::{Completion, Disposition, Respondent};
use crate::campaign::{Attempt, Slot, SlotState};
use crate::escalation::case::{Fact, FactSource};
use crate::escalation::rule::{Condition, Place, Priority, Rule, RuleSet, Trait, fill};
use crate::ivr::{Answer, Concern, YesNo};
use crate::observation::Observation;
use crate::registry::Patient;

/// What is true of a patient and makes findings weigh more.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PatientFacts {
    /// On the list of high risks, or 65 or older.
    pub high_risk: bool,
    /// Nobody else would notice.
    pub lives_alone: bool,
}

impl PatientFacts {
    /// The facts about a patient on a day.
    pub fn of(patient: &Patient, today: Date) -> Self {
        Self { high_risk: patient.is_high_risk(today), lives_alone: patient.lives_alone }
    }

    /// Silence is graver for them than for others.
    pub fn is_frail(self) -> bool {
        self.high_risk || self.lives_alone
    }

    fn has_any(self, traits: &[Trait]) -> bool {
        traits.iter().any(|one| match one {
            Trait::HighRisk => self.high_risk,
            Trait::LivesAlone => self.lives_alone,
        })
    }
}

/// How the dialogue should take these facts: by the gravest it chooses its words.
pub fn concern(facts: &[Fact]) -> Concern {
    match facts.iter().map(|fact| fact.priority).max().unwrap_or(Priority::P0) {
        Priority::P0 => Concern::None,
        Priority::P3 => Concern::Watch,
        Priority::P2 => Concern::Desk,
        Priority::P1 => Concern::Emergency,
    }
}

/// The facts that follow from the answers of one call so far (or of one report by another
/// channel).
///
/// `history` is what was observed before; what `call` holds too, or supersedes, is left out of it.
/// A fact's source is the entry of the transcript, or the observation itself if it came without a
/// call: a second report for the same slot, or for none, raises the alarm anew.
pub fn evaluate(
    rules: &RuleSet,
    patient: PatientFacts,
    history: &[Observation],
    call: &[Observation],
) -> Vec<Fact> {
    let report = Report::new(rules, history, call);
    let mut facts = Vec::new();
    for rule in applicable(rules, patient) {
        for (index, observation) in report.call.iter().enumerate() {
            let Some(finding) = report.find(rule, index, observation) else { continue };
            facts.push(Fact {
                rule: rule.id.clone(),
                rule_set: rules.version.clone(),
                priority: weigh(rule, patient, finding.priority),
                text: finding.text,
                at: observation.effective_at,
                source: source(observation),
            });
        }
    }
    facts
}

/// The facts that follow from the way in which the last of these attempts ended.
///
/// `attempts` are those at one patient in the order of time, earlier slots included.
pub fn evaluate_attempts(
    rules: &RuleSet,
    patient: PatientFacts,
    attempts: &[Attempt],
) -> Vec<Fact> {
    let Some((last, ended_at)) = attempts.last().and_then(|last| Some((last, last.ended_at?)))
    else {
        return Vec::new();
    };
    let fired = |rule: &Rule| match &rule.condition {
        Condition::InvalidNumber => last.disposition == Some(Disposition::InvalidNumber),
        Condition::NotIdentified => last.completion == Some(Completion::NotIdentified),
        Condition::Interrupted => is_interrupted(last),
        Condition::NoKey { calls } => {
            let mut answered =
                attempts.iter().rev().filter(|attempt| is_answered_by_no_machine(attempt));
            is_without_key(last)
                && answered.clone().count() >= *calls
                && answered.by_ref().take(*calls).all(is_without_key)
        }
        // Once per slot: at the attempt that makes the number full.
        Condition::InVain { at_least } => {
            let in_vain = |attempt: &&Attempt| attempt.slot == last.slot && is_in_vain(attempt);
            is_in_vain(last) && attempts.iter().filter(in_vain).count() == *at_least
        }
        _ => false,
    };
    applicable(rules, patient)
        .filter(|rule| fired(rule))
        .map(|rule| plain_fact(rules, rule, patient, ended_at, FactSource::Attempt(last.id)))
        .collect()
}

/// The facts that follow from the end of a slot.
pub fn evaluate_slot(
    rules: &RuleSet,
    patient: PatientFacts,
    slot: &Slot,
    at: Timestamp,
) -> Vec<Fact> {
    applicable(rules, patient)
        .filter(|rule| rule.condition == Condition::Slot { state: slot.state })
        .map(|rule| plain_fact(rules, rule, patient, at, FactSource::Slot(slot.id)))
        .collect()
}

/// The facts that follow from one day of a patient, asked at the hour at which staff meet about
/// those who were not reached (17:00). Slots that begin later are judged later.
pub fn evaluate_day(
    rules: &RuleSet,
    patient: PatientFacts,
    slots: &[Slot],
    at: Timestamp,
) -> Vec<Fact> {
    let begun = || slots.iter().filter(|slot| slot.due_from <= at);
    let is_missed = |slot: &Slot| {
        matches!(slot.state, SlotState::Unreached | SlotState::Expired | SlotState::Due)
    };
    let Some(last) = begun().next_back().filter(|_| begun().all(is_missed)) else {
        return Vec::new();
    };
    applicable(rules, patient)
        .filter(|rule| rule.condition == Condition::MissedDay)
        .map(|rule| plain_fact(rules, rule, patient, at, FactSource::Slot(last.id)))
        .collect()
}

fn applicable(rules: &RuleSet, patient: PatientFacts) -> impl Iterator<Item = &Rule> {
    rules
        .rules
        .iter()
        .filter(move |rule| rule.only_for.is_empty() || patient.has_any(&rule.only_for))
}

fn weigh(rule: &Rule, patient: PatientFacts, priority: Priority) -> Priority {
    if patient.has_any(&rule.raised_by) { priority.raised() } else { priority }
}

fn source(observation: &Observation) -> FactSource {
    match observation.source {
        Some((attempt, seq)) => FactSource::Answer(attempt, seq),
        None => FactSource::Observation(observation.id),
    }
}

/// A fact about a call or a slot, which has no answer to show.
fn plain_fact(
    rules: &RuleSet,
    rule: &Rule,
    patient: PatientFacts,
    at: Timestamp,
    source: FactSource,
) -> Fact {
    let count: &dyn Display = match &rule.condition {
        Condition::NoKey { calls } => calls,
        Condition::InVain { at_least } => at_least,
        _ => &"",
    };
    Fact {
        rule: rule.id.clone(),
        rule_set: rules.version.clone(),
        priority: weigh(rule, patient, rule.priority),
        text: fill(&rule.text, &[(Place::Count, count)]),
        at,
        source,
    }
}

/// Somebody began to answer and did not come to the end, or we died while they did.
fn is_interrupted(attempt: &Attempt) -> bool {
    let dialogue = matches!(
        attempt.completion,
        Some(Completion::Partial | Completion::HungUp | Completion::SystemError)
    );
    let ours = attempt.disposition == Some(Disposition::Interrupted);
    dialogue || (ours && attempt.answered_at.is_some())
}

fn is_answered_by_no_machine(attempt: &Attempt) -> bool {
    attempt.disposition == Some(Disposition::Answered)
        && attempt.respondent != Some(Respondent::Machine)
}

fn is_without_key(attempt: &Attempt) -> bool {
    is_answered_by_no_machine(attempt) && attempt.completion == Some(Completion::NoInput)
}

/// The patient's telephone was tried, and no human gave a sign.
pub(super) fn is_in_vain(attempt: &Attempt) -> bool {
    match attempt.disposition {
        Some(Disposition::Answered) => {
            matches!(attempt.respondent, Some(Respondent::Nobody | Respondent::Machine))
        }
        Some(other) => other.reached_the_patients_telephone(),
        None => false,
    }
}

/// What a rule saw.
struct Finding {
    priority: Priority,
    text: String,
}

/// The answers of one call, and what was observed before them.
struct Report<'a> {
    rules: &'a RuleSet,
    /// Earlier observations that still hold, the oldest first.
    history: Vec<&'a Observation>,
    call: &'a [Observation],
}

impl<'a> Report<'a> {
    fn new(rules: &'a RuleSet, history: &'a [Observation], call: &'a [Observation]) -> Self {
        let corrected = |old: &Observation| {
            history.iter().chain(call).any(|newer| newer.supersedes == Some(old.id))
        };
        let in_call = |old: &Observation| {
            call.iter()
                .any(|new| new.id == old.id || (new.source.is_some() && new.source == old.source))
        };
        let mut history: Vec<_> =
            history.iter().filter(|old| !corrected(old) && !in_call(old)).collect();
        history.sort_by_key(|observation| observation.effective_at);
        Self { rules, history, call }
    }

    fn find(&self, rule: &Rule, index: usize, observation: &Observation) -> Option<Finding> {
        let code = observation.code.as_str();
        let label = self.rules.label(code);
        let show = |number| self.rules.show(code, number);
        let found = |fillings: &[(Place, &dyn Display)]| {
            let mut all: Vec<(Place, &dyn Display)> = vec![(Place::Label, &label)];
            all.extend_from_slice(fillings);
            Some(Finding { priority: rule.priority, text: fill(&rule.text, &all) })
        };
        match (&rule.condition, observation.value) {
            (Condition::Number { code: asked, range }, Answer::Number(number)) => {
                (asked == code && range.contains(&number)).then_some(())?;
                found(&[(Place::Value, &show(number))])
            }
            (Condition::Answer { codes, is }, value) => {
                (codes.iter().any(|asked| asked == code) && value == *is).then_some(())?;
                self.lowered(rule, label).or_else(|| found(&[]))
            }
            (Condition::Drop { code: asked, at_least, of_last }, Answer::Number(number)) => {
                (asked == code).then_some(())?;
                let median = self.median(code, *of_last)?;
                (median - number >= *at_least).then_some(())?;
                found(&[(Place::Value, &show(number)), (Place::Median, &show(median))])
            }
            (Condition::Days { code: asked, at_least, days }, Answer::Number(number)) => {
                (asked == code && number >= *at_least).then_some(())?;
                let today = day(observation);
                (1..*days)
                    .all(|back| {
                        let then = today.saturating_sub(jiff::Span::new().days(back));
                        self.highest(code, then).is_some_and(|highest| highest >= *at_least)
                    })
                    .then_some(())?;
                found(&[(Place::Value, &show(number)), (Place::Days, days)])
            }
            (Condition::Onset { code: asked, at_least }, Answer::Number(number)) => {
                (asked == code && number >= *at_least).then_some(())?;
                let today = day(observation);
                let already = self.highest(code, today).is_some_and(|earlier| earlier >= *at_least);
                let before =
                    self.numbers(code).map(|(then, _)| then).rfind(|then| *then < today)?;
                let afebrile = self.highest(code, before)? < *at_least;
                (afebrile && !already).then_some(())?;
                found(&[(Place::Value, &show(number))])
            }
            (Condition::Turned { codes }, Answer::Choice(YesNo::Yes)) => {
                codes.iter().any(|asked| asked == code).then_some(())?;
                let definite = |old: &&&Observation| {
                    old.code == code && matches!(old.value, Answer::Choice(YesNo::Yes | YesNo::No))
                };
                let before = self.history.iter().rfind(definite)?;
                (before.value == Answer::Choice(YesNo::No)).then_some(())?;
                found(&[])
            }
            // Once per call: at the answer that makes the number full.
            (Condition::Count { is, at_least }, value) if value == *is => {
                let earlier = self.call.iter().take(index).filter(|one| one.value == *is);
                (earlier.count() + 1 == *at_least).then_some(())?;
                found(&[(Place::Count, at_least)])
            }
            _ => None,
        }
    }

    /// What the rule finds instead, if every answer is there that lowers it.
    fn lowered(&self, rule: &Rule, label: &str) -> Option<Finding> {
        let lowering = rule.lowering.as_ref()?;
        let no = Answer::Choice(YesNo::No);
        lowering
            .if_no
            .iter()
            .all(|code| self.all_answers(code, |value| value == no))
            .then_some(())?;
        let high = |value| matches!(value, Answer::Number(number) if number >= lowering.at_least);
        self.all_answers(&lowering.code, high).then_some(())?;
        let number = self.call.iter().find_map(|one| match one.value {
            Answer::Number(number) if one.code == lowering.code => Some(number),
            _ => None,
        })?;
        let value = self.rules.show(&lowering.code, number);
        let fillings: [(Place, &dyn Display); 2] = [(Place::Label, &label), (Place::Value, &value)];
        Some(Finding { priority: lowering.to, text: fill(&lowering.text, &fillings) })
    }

    /// Whether the question was answered in this call, and always so.
    fn all_answers(&self, code: &str, is: impl Fn(Answer) -> bool) -> bool {
        let mut answers = self.call.iter().filter(|one| one.code == code).peekable();
        answers.peek().is_some() && answers.all(|one| is(one.value))
    }

    /// Earlier numbers of a question with their days, the oldest first.
    fn numbers(&self, code: &str) -> impl DoubleEndedIterator<Item = (Date, i32)> {
        self.history.iter().filter(move |old| old.code == code).filter_map(|old| match old.value {
            Answer::Number(number) => Some((day(old), number)),
            _ => None,
        })
    }

    fn highest(&self, code: &str, on: Date) -> Option<i32> {
        self.numbers(code).filter(|(day, _)| *day == on).map(|(_, number)| number).max()
    }

    /// The median of up to `count` earlier numbers; of two in the middle the higher, for a drop
    /// is better seen once too often.
    fn median(&self, code: &str, count: usize) -> Option<i32> {
        let mut numbers: Vec<i32> =
            self.numbers(code).rev().take(count).map(|(_, number)| number).collect();
        numbers.sort_unstable();
        numbers.get(numbers.len() / 2).copied()
    }
}

fn day(observation: &Observation) -> Date {
    clock::civil(observation.effective_at).date()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use jiff::civil::date;
    use proptest::prelude::*;

    use super::*;
    use crate::base::id::Minter;
    use crate::base::id::{AttemptId, PatientId, SlotId};
    use crate::escalation::RuleBook;
    use crate::observation::Channel;

    const NOBODY: PatientFacts = PatientFacts { high_risk: false, lives_alone: false };
    const HIGH_RISK: PatientFacts = PatientFacts { high_risk: true, lives_alone: false };
    const ALONE: PatientFacts = PatientFacts { high_risk: false, lives_alone: true };

    fn rules() -> &'static RuleSet {
        static BOOK: LazyLock<RuleBook> = LazyLock::new(|| RuleBook::shipped().unwrap());
        BOOK.effective_on(date(2026, 11, 22)).unwrap()
    }

    /// Ten o'clock, so many days before the day of the call.
    fn days_ago(days: i64) -> Timestamp {
        let day = date(2026, 11, 22).saturating_sub(jiff::Span::new().days(days));
        clock::timestamp(day.at(10, 0, 0, 0))
    }

    /// Observations from words such as `-1 temperature=380 cough=no`: days ago, code and value.
    fn observations(minter: &mut Minter, script: &str) -> Vec<Observation> {
        let patient: PatientId = minter.mint(Timestamp::UNIX_EPOCH);
        let mut attempt: AttemptId = minter.mint(Timestamp::UNIX_EPOCH);
        let (mut day, mut seq) = (0, 0);
        let mut found = Vec::new();
        for word in script.split_whitespace() {
            let Some((code, value)) = word.split_once('=') else {
                day = -word.parse::<i64>().unwrap();
                attempt = minter.mint(Timestamp::UNIX_EPOCH);
                continue;
            };
            found.push(Observation {
                id: minter.mint(Timestamp::UNIX_EPOCH),
                patient,
                slot: None,
                source: Some((attempt, seq)),
                code: code.to_owned(),
                value: Answer::parse(value).unwrap(),
                effective_at: days_ago(day) + jiff::SignedDuration::from_secs(seq.into()),
                respondent: Respondent::Patient,
                channel: Channel::OutboundCall,
                questionnaire: "recuperation@1".to_owned(),
                supersedes: None,
            });
            seq += 1;
        }
        found
    }

    fn found(patient: PatientFacts, history: &str, call: &str) -> Vec<String> {
        let mut minter = Minter::new([8; 32]);
        let history = observations(&mut minter, history);
        let call = observations(&mut minter, call);
        describe(&evaluate(rules(), patient, &history, &call))
    }

    fn describe(facts: &[Fact]) -> Vec<String> {
        facts
            .iter()
            .map(|fact| format!("{} {}: {}", fact.priority.as_str(), fact.rule, fact.text))
            .collect()
    }

    #[test]
    fn each_rule_on_answers_fires_when_it_must_and_only_then() {
        let dyspnea = "p1 dyspnea: 息苦しさ: はい";
        let onset = "p3 fever-onset: 体温 37.5℃(平熱の日のあとの発熱)";
        let cases: &[(&str, &str, &[&str])] = &[
            ("", "temperature=364 spo2=98 dyspnea=no face=no consciousness=no cough=yes", &[]),
            // SpO2
            ("", "spo2=96", &[]),
            ("", "spo2=95", &["p2 spo2-borderline: SpO2 95%"]),
            ("", "spo2=94", &["p2 spo2-borderline: SpO2 94%"]),
            ("", "spo2=93", &["p1 spo2-low: SpO2 93%"]),
            ("", "spo2=70", &["p1 spo2-low: SpO2 70%"]),
            ("-3 spo2=90 -2 spo2=99 -1 spo2=98", "spo2=96", &[]),
            (
                "-4 spo2=90 -3 spo2=99 -2 spo2=99 -1 spo2=99",
                "spo2=96",
                &["p2 spo2-drop: SpO2 96%(直近の中央値 99% から低下)"],
            ),
            ("-1 spo2=99", "spo2=96", &["p2 spo2-drop: SpO2 96%(直近の中央値 99% から低下)"]),
            ("-1 spo2=99", "spo2=97", &[]),
            ("-1 spo2=not_measured", "spo2=96", &[]),
            // Urgent signs
            ("", "consciousness=yes", &["p1 urgent-sign: 意識: はい"]),
            ("", "face=yes", &["p1 urgent-sign: 顔色・表情: はい"]),
            ("", "urgent_appearance=yes", &["p1 urgent-sign: 緊急性の高い症状(表情・外見): はい"]),
            ("", "dyspnea=unknown", &["p2 grave-unknown: 息苦しさ: わからない"]),
            ("", "face=unknown", &[]),
            ("", "cannot_eat=yes", &["p2 intake-or-urine: 食事困難: はい"]),
            ("", "no_urine=yes", &["p2 intake-or-urine: 排尿がない: はい"]),
            // Breathlessness, and the one lowering
            ("", "dyspnea=yes", &[dyspnea]),
            ("", "spo2=98 dyspnea=yes urgent_breathing=no urgent_appearance=no", &[dyspnea]),
            (
                "",
                "spo2=96 dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=no",
                &["p2 dyspnea: 息苦しさ: はい(緊急性の高い症状はすべて「いいえ」、SpO2 96%)"],
            ),
            (
                "",
                "dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=no",
                &[dyspnea],
            ),
            (
                "",
                "spo2=not_measured dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=no",
                &[dyspnea, "p3 not-measured: SpO2: 測定できない"],
            ),
            (
                "",
                "spo2=95 dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=no",
                &[dyspnea, "p2 spo2-borderline: SpO2 95%"],
            ),
            (
                "",
                "spo2=98 dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=unknown",
                &[dyspnea, "p2 grave-unknown: 緊急性の高い症状(意識障害等): わからない"],
            ),
            (
                "",
                "spo2=98 dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=unanswered",
                &[dyspnea],
            ),
            // Yesterday's SpO2 was not measured in this call.
            (
                "-1 spo2=98",
                "dyspnea=yes urgent_breathing=no urgent_appearance=no urgent_consciousness=no",
                &[dyspnea],
            ),
            // Temperature
            ("", "temperature=389", &[]),
            ("", "temperature=390", &["p2 fever-high: 体温 39.0℃"]),
            ("", "temperature=350", &[]),
            ("", "temperature=349", &["p2 temperature-low: 体温 34.9℃"]),
            (
                "-2 temperature=380 -1 temperature=379 temperature=385",
                "temperature=381",
                &["p2 fever-lasting: 体温 38.1℃(38.0℃以上が3日続く)"],
            ),
            ("-2 temperature=380 -1 temperature=379", "temperature=381", &[]),
            ("-3 temperature=380 -1 temperature=380", "temperature=381", &[]),
            ("-1 temperature=364", "temperature=374", &[]),
            ("-1 temperature=364", "temperature=375", &[onset]),
            ("-3 temperature=364 -2 cough=no", "temperature=375", &[onset]),
            ("-1 temperature=364 temperature=376", "temperature=375", &[]),
            ("-2 temperature=364 0 temperature=376", "temperature=375", &[]),
            ("-2 temperature=364 0 temperature=370", "temperature=375", &[onset]),
            ("", "temperature=375", &[]),
            // Changes
            ("-1 cough=no", "cough=yes", &["p3 symptom-new: 咳・鼻水: いいえ→はい"]),
            (
                "-2 cough=no -1 cough=unknown",
                "cough=yes",
                &["p3 symptom-new: 咳・鼻水: いいえ→はい"],
            ),
            ("-2 cough=no -1 cough=yes", "cough=yes", &[]),
            ("-1 nausea=no", "cough=yes", &[]),
            ("", "other_change=yes", &["p3 other-change: ほかの変化: はい"]),
            ("", "medicine_shortage=yes", &["p3 medicine-shortage: 薬が足りない: はい"]),
            ("", "worse_than_yesterday=yes", &[]),
            ("", "consultation=yes", &["p1 asks-for-help: 「相談・苦しい」のボタンを押した"]),
            // How it was answered
            ("", "fatigue=unknown cough=no", &[]),
            (
                "",
                "fatigue=unknown cough=unknown nausea=unknown",
                &["p3 unknown-often: 「わからない」が2問以上"],
            ),
            ("-1 fatigue=unknown", "cough=unknown", &[]),
            ("", "temperature=not_measured", &["p3 not-measured: 体温: 測定できない"]),
            ("", "temperature=unanswered spo2=unanswered dyspnea=unanswered", &[]),
        ];
        for (history, call, expected) in cases {
            assert_eq!(found(NOBODY, history, call), *expected, "{history} | {call}");
        }
    }

    #[test]
    fn high_risk_raises_one_level_and_never_above_the_gravest() {
        for (call, expected) in [
            ("spo2=93", "p1 spo2-low: SpO2 93%"),
            ("spo2=95", "p1 spo2-borderline: SpO2 95%"),
            ("other_change=yes", "p2 other-change: ほかの変化: はい"),
            ("worse_than_yesterday=yes", "p2 worse-than-yesterday: きのうより悪い: はい"),
        ] {
            assert_eq!(found(HIGH_RISK, "", call), [expected]);
        }
        // Living alone matters for silence, not for answers.
        assert_eq!(found(ALONE, "", "spo2=95"), ["p2 spo2-borderline: SpO2 95%"]);
    }

    #[test]
    fn the_dialogue_hears_of_the_gravest() {
        let heard = |call| {
            let call = observations(&mut Minter::new([8; 32]), call);
            concern(&evaluate(rules(), NOBODY, &[], &call))
        };
        for (call, expected) in [
            ("spo2=98", Concern::None),
            ("other_change=yes", Concern::Watch),
            ("other_change=yes spo2=94", Concern::Desk),
            ("other_change=yes spo2=94 face=yes", Concern::Emergency),
        ] {
            assert_eq!(heard(call), expected, "{call}");
        }
    }

    #[test]
    fn a_corrected_observation_no_longer_counts() {
        let mut minter = Minter::new([8; 32]);
        let mut history = observations(&mut minter, "-2 spo2=99 -1 spo2=97");
        history[1].supersedes = Some(history[0].id);
        let call = observations(&mut minter, "spo2=96");
        assert_eq!(describe(&evaluate(rules(), NOBODY, &history, &call)), Vec::<String>::new());
        history[1].supersedes = None;
        assert_eq!(evaluate(rules(), NOBODY, &history, &call).len(), 1);
    }

    #[test]
    fn the_call_itself_is_not_its_own_history() {
        let mut minter = Minter::new([8; 32]);
        let mut history = observations(&mut minter, "-1 temperature=364");
        let call = observations(&mut minter, "temperature=380");
        let before = evaluate(rules(), NOBODY, &history, &call);
        history.extend(call.clone());
        assert_eq!(evaluate(rules(), NOBODY, &history, &call), before);
        assert_eq!(before.len(), 1);
    }

    #[test]
    fn a_report_without_a_call_is_filed_under_itself() {
        let mut minter = Minter::new([8; 32]);
        let mut report = observations(&mut minter, "spo2=90");
        report[0].source = None;
        for slot in [None, Some(minter.mint(Timestamp::UNIX_EPOCH))] {
            report[0].slot = slot;
            let facts = evaluate(rules(), NOBODY, &[], &report);
            assert_eq!(facts[0].source, FactSource::Observation(report[0].id));
        }
    }

    /// Attempts from words such as `answered/patient/complete`, all at one slot; `|` begins the
    /// next slot.
    fn attempts(script: &str) -> Vec<Attempt> {
        let mut minter = Minter::new([6; 32]);
        let mut slot: SlotId = minter.mint(Timestamp::UNIX_EPOCH);
        let mut found = Vec::new();
        for word in script.split_whitespace() {
            if word == "|" {
                slot = minter.mint(Timestamp::UNIX_EPOCH);
                continue;
            }
            let mut parts = word.split('/');
            let disposition: Disposition = parts.next().unwrap().parse().unwrap();
            let respondent = parts.next().map(|text| Respondent::parse(text).unwrap());
            found.push(Attempt {
                id: minter.mint(Timestamp::UNIX_EPOCH),
                slot,
                number: 1,
                phone: "09010000001".parse().unwrap(),
                due_at: days_ago(0),
                state: crate::campaign::AttemptState::Done,
                dialed_at: Some(days_ago(0)),
                answered_at: respondent.map(|_| days_ago(0)),
                ended_at: Some(days_ago(0)),
                disposition: Some(disposition),
                respondent,
                completion: parts.next().map(|text| Completion::parse(text).unwrap()),
            });
        }
        found
    }

    #[test]
    fn each_rule_on_calls_fires_when_it_must_and_only_then() {
        let interrupted = "p3 interrupted: 通話が途中で終わった";
        let no_key = "p3 no-key: 2回の通話でボタン操作なし";
        let silent = "answered/nobody/no_input";
        let machine = "answered/machine/no_input";
        let cases: &[(PatientFacts, &str, &[&str])] = &[
            (NOBODY, "answered/patient/complete", &[]),
            (NOBODY, "busy", &[]),
            (NOBODY, "no_answer no_answer", &[]),
            (HIGH_RISK, "no_answer", &[]),
            (HIGH_RISK, "no_answer trunk_error", &[]),
            (HIGH_RISK, "no_answer busy", &["p2 attempts-in-vain: 2回の架電に応答なし"]),
            (HIGH_RISK, "no_answer busy busy", &[]),
            (HIGH_RISK, "no_answer | busy", &[]),
            (
                HIGH_RISK,
                "answered/machine/no_input busy",
                &["p2 attempts-in-vain: 2回の架電に応答なし"],
            ),
            (NOBODY, "invalid_number", &["p3 invalid-number: 使われていない番号"]),
            (NOBODY, "answered/patient/partial", &[interrupted]),
            (NOBODY, "answered/unidentified/hung_up", &[interrupted]),
            (NOBODY, "interrupted/nobody", &[interrupted]),
            (NOBODY, "interrupted", &[]),
            (
                NOBODY,
                "answered/unidentified/not_identified",
                &["p3 not-identified: 本人確認ができない"],
            ),
            (NOBODY, silent, &[]),
            (NOBODY, &format!("{silent} {silent}"), &[no_key]),
            (NOBODY, &format!("{silent} | no_answer {silent}"), &[no_key]),
            (NOBODY, &format!("{silent} {machine} {silent}"), &[no_key]),
            (NOBODY, &format!("{silent} {machine}"), &[]),
            (NOBODY, &format!("{silent} answered/patient/complete {silent}"), &[]),
        ];
        for (patient, script, expected) in cases {
            let facts = evaluate_attempts(rules(), *patient, &attempts(script));
            assert_eq!(describe(&facts), *expected, "{script}");
        }
        assert_eq!(evaluate_attempts(rules(), NOBODY, &[]), []);
    }

    fn slots(script: &str) -> Vec<Slot> {
        let mut minter = Minter::new([7; 32]);
        script
            .split_whitespace()
            .zip(0..)
            .map(|(state, index)| Slot {
                id: minter.mint(Timestamp::UNIX_EPOCH),
                episode: minter.mint(Timestamp::UNIX_EPOCH),
                patient: minter.mint(Timestamp::UNIX_EPOCH),
                date: date(2026, 11, 22),
                number: index + 1,
                due_from: days_ago(0) + jiff::SignedDuration::from_hours(4 * i64::from(index)),
                due_to: days_ago(0) + jiff::SignedDuration::from_hours(4 * i64::from(index) + 2),
                state: SlotState::parse(state).unwrap(),
                reason: None,
                pause: None,
                kind: crate::campaign::SlotKind::Planned,
                campaign: None,
            })
            .collect()
    }

    #[test]
    fn silence_is_graver_for_those_who_are_frail_or_alone() {
        for (patient, state, expected) in [
            (NOBODY, "unreached", Some("p3 unreached: すべての架電に応答なし")),
            (ALONE, "unreached", Some("p2 unreached: すべての架電に応答なし")),
            (HIGH_RISK, "unreached", Some("p2 unreached: すべての架電に応答なし")),
            (NOBODY, "expired", Some("p3 not-called: 時間内に架電できず")),
            (HIGH_RISK, "reported", None),
            (HIGH_RISK, "skipped", None),
        ] {
            let facts = evaluate_slot(rules(), patient, &slots(state)[0], days_ago(0));
            assert_eq!(describe(&facts), Vec::from_iter(expected), "{state}");
        }
    }

    #[test]
    fn a_missed_day_of_the_frail_or_lonely_is_urgent() {
        let missed = "p1 day-missed: 本日の報告なし(重症化リスクまたは独居)";
        for (patient, states, hours, expected) in [
            (ALONE, "unreached", 7, Some(missed)),
            (HIGH_RISK, "unreached expired", 7, Some(missed)),
            (ALONE, "unreached due", 7, Some(missed)),
            // The second is not due yet: the first alone is judged.
            (ALONE, "unreached due", 3, Some(missed)),
            (ALONE, "unreached in_progress", 7, None),
            (ALONE, "unreached partial", 7, None),
            (ALONE, "reported unreached", 7, None),
            (NOBODY, "unreached", 7, None),
            (ALONE, "", 7, None),
        ] {
            let at = days_ago(0) + jiff::SignedDuration::from_hours(hours);
            let facts = evaluate_day(rules(), patient, &slots(states), at);
            assert_eq!(describe(&facts), Vec::from_iter(expected), "{states}");
        }
    }

    fn any_answer() -> impl Strategy<Value = String> {
        let numbers = prop_oneof![
            (340..=420_i32).prop_map(|number| format!("temperature={number}")),
            (70..=100_i32).prop_map(|number| format!("spo2={number}")),
        ];
        let codes = prop::sample::select(vec![
            "dyspnea",
            "face",
            "consciousness",
            "cannot_eat",
            "no_urine",
            "fatigue",
            "cough",
            "nausea",
            "diarrhea",
            "urgent_breathing",
            "urgent_appearance",
            "urgent_consciousness",
            "other_change",
            "temperature",
            "spo2",
        ]);
        let words =
            prop::sample::select(vec!["yes", "no", "unknown", "not_measured", "unanswered"]);
        prop_oneof![
            1 => numbers,
            3 => (codes, words).prop_map(|(code, word)| format!("{code}={word}")),
        ]
    }

    fn any_patient() -> impl Strategy<Value = PatientFacts> {
        (any::<bool>(), any::<bool>())
            .prop_map(|(high_risk, lives_alone)| PatientFacts { high_risk, lives_alone })
    }

    /// Observations of one call; a question is asked once, so the first answer stands.
    fn call_of(minter: &mut Minter, words: &[String]) -> Vec<Observation> {
        let mut call = observations(minter, &words.join(" "));
        let codes: Vec<String> = call.iter().map(|one| one.code.clone()).collect();
        let mut index = 0;
        call.retain(|one| {
            index += 1;
            codes.iter().position(|code| *code == one.code) == Some(index - 1)
        });
        call
    }

    fn weight(facts: &[Fact], like: &Fact) -> Option<Priority> {
        facts
            .iter()
            .find(|fact| fact.rule == like.rule && fact.source == like.source)
            .map(|fact| fact.priority)
    }

    proptest! {
        #[test]
        fn a_grave_answer_always_makes_a_grave_fact(
            patient in any_patient(),
            history in prop::collection::vec(any_answer(), 0..8),
            mut words in prop::collection::vec(any_answer(), 0..8),
            grave in prop::sample::select(vec![
                "spo2=93", "spo2=70", "consciousness=yes", "face=yes",
                "urgent_breathing=yes", "urgent_appearance=yes", "urgent_consciousness=yes",
            ]),
            at in any::<prop::sample::Index>(),
        ) {
            let code = grave.split('=').next().unwrap().to_owned();
            words.retain(|word| word.split('=').next() != Some(code.as_str()));
            words.insert(at.index(words.len() + 1), grave.to_owned());
            let mut minter = Minter::new([3; 32]);
            let history = observations(&mut minter, &format!("-1 {}", history.join(" ")));
            let facts =
                evaluate(rules(), patient, &history, &call_of(&mut minter, &words));
            prop_assert_eq!(concern(&facts), Concern::Emergency);
        }

        #[test]
        fn what_was_found_stays_while_the_call_goes_on_but_for_the_lowering(
            patient in any_patient(),
            history in prop::collection::vec(any_answer(), 0..8),
            words in prop::collection::vec(any_answer(), 0..12),
        ) {
            let mut minter = Minter::new([3; 32]);
            let history = observations(&mut minter, &format!("-1 {}", history.join(" ")));
            let call = call_of(&mut minter, &words);
            let mut before = Vec::new();
            for length in 0..=call.len() {
                let facts = evaluate(rules(), patient, &history, &call[..length]);
                for fact in &before {
                    let now = weight(&facts, fact);
                    prop_assert!(now.is_some());
                    prop_assert!(now == Some(fact.priority) || fact.rule == "dyspnea");
                }
                before = facts;
            }
        }

        #[test]
        fn silence_instead_of_a_no_never_makes_anything_weigh_less(
            patient in any_patient(),
            history in prop::collection::vec(any_answer(), 0..8),
            words in prop::collection::vec(any_answer(), 1..12),
            fallen_silent in any::<prop::sample::Index>(),
        ) {
            let mut minter = Minter::new([3; 32]);
            let history = observations(&mut minter, &format!("-1 {}", history.join(" ")));
            let call = call_of(&mut minter, &words);
            let spoken = evaluate(rules(), patient, &history, &call);
            let mut silent = call.clone();
            let index = fallen_silent.index(call.len());
            if silent[index].value == Answer::Choice(YesNo::No) {
                silent[index].value = Answer::Unanswered;
            }
            let facts = evaluate(rules(), patient, &history, &silent);
            for fact in &spoken {
                prop_assert!(weight(&facts, fact) >= Some(fact.priority));
            }
            // And silence as such finds nothing.
            silent.retain(|one| one.value != Answer::Unanswered);
            prop_assert_eq!(evaluate(rules(), patient, &history, &silent), facts);
        }
    }
}
