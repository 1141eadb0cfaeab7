//! What a set of rules would have done with days that are over: how many people it would have
//! called a human for, and for whom it differs from the set in force.
//!
//! Counted are people and days: whatever is found about one patient on one day is one alarm, as
//! grave as the gravest of it. (In service a case lives until somebody resolves it, so several days
//! may be one case; what staff have to look at on a day is the same.)

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, Time};

use crate::base::clock::{civil, timestamp};
use crate::base::id::{PatientId, SlotId};
use crate::campaign::{Attempt, Slot};
use crate::escalation::evaluate::{
    PatientFacts, evaluate, evaluate_attempts, evaluate_day, evaluate_slot,
};
use crate::escalation::{Fact, Priority, RuleSet};
use crate::observation::Observation;
use crate::registry::Patient;

/// When a day's silence is judged, as the worker does.
const MEETING: Time = Time::constant(17, 0, 0, 0);

/// What is known of one patient from days that are over.
#[derive(Clone, Debug)]
pub struct Past {
    /// The patient.
    pub patient: Patient,
    /// By time; also of some days before those that are judged.
    pub observations: Vec<Observation>,
    /// By time; also of some days before.
    pub attempts: Vec<Attempt>,
    /// By date and number.
    pub slots: Vec<Slot>,
}

/// What a set of rules made of the past.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Trial {
    /// The gravest finding of each patient and day, and the rule that made it.
    pub alarms: BTreeMap<(Date, PatientId), (Priority, String)>,
    /// How often each rule fired, and how gravely.
    pub rules: BTreeMap<(String, Priority), u32>,
}

impl Trial {
    /// Adds what the rules make of one patient from `first` to `last`.
    pub fn add(&mut self, rules: &RuleSet, past: &Past, first: Date, last: Date) {
        let mut seen = BTreeSet::new();
        for fact in facts(rules, past, first, last) {
            let day = civil(fact.at).date();
            let key = format!("{} {:?}", fact.rule, fact.source);
            if !(first..=last).contains(&day) || !seen.insert(key) {
                continue;
            }
            *self.rules.entry((fact.rule.clone(), fact.priority)).or_default() += 1;
            if fact.priority == Priority::P0 {
                continue;
            }
            let alarm = self.alarms.entry((day, past.patient.id));
            let alarm = alarm.or_insert_with(|| (fact.priority, fact.rule.clone()));
            if fact.priority > alarm.0 {
                *alarm = (fact.priority, fact.rule);
            }
        }
    }

    /// How many alarms of each priority, the gravest first.
    pub fn by_priority(&self) -> [(Priority, u32); 3] {
        [Priority::P1, Priority::P2, Priority::P3].map(|priority| {
            let n = self.alarms.values().filter(|(one, _)| *one == priority).count();
            (priority, u32::try_from(n).unwrap_or(u32::MAX))
        })
    }

    /// How many alarms on each day.
    pub fn by_day(&self) -> BTreeMap<Date, u32> {
        let mut days = BTreeMap::new();
        for (day, _) in self.alarms.keys() {
            *days.entry(*day).or_default() += 1;
        }
        days
    }

    /// Where the other differs: day, patient, and what each made of it.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<Difference<'a>> {
        let keys: BTreeSet<_> = self.alarms.keys().chain(other.alarms.keys()).collect();
        let differs = |key: &&(Date, PatientId)| {
            let priority = |trial: &Self| trial.alarms.get(*key).map(|(priority, _)| *priority);
            priority(self) != priority(other)
        };
        keys.into_iter()
            .filter(differs)
            .map(|key| Difference {
                day: key.0,
                patient: key.1,
                before: self.alarms.get(key),
                after: other.alarms.get(key),
            })
            .collect()
    }
}

/// A patient's day that two sets of rules judge differently.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Difference<'a> {
    /// The day.
    pub day: Date,
    /// Whom it is about.
    pub patient: PatientId,
    /// What the first set found, and by which rule.
    pub before: Option<&'a (Priority, String)>,
    /// What the second set found.
    pub after: Option<&'a (Priority, String)>,
}

/// All findings about one patient, in the way in which the worker comes to them.
fn facts(rules: &RuleSet, past: &Past, first: Date, last: Date) -> Vec<Fact> {
    let mut facts = Vec::new();
    let mut reports: Vec<SlotId> =
        past.observations.iter().filter_map(|observation| observation.slot).collect();
    reports.sort_unstable();
    reports.dedup();
    for slot in reports {
        let is_of_report = |one: &&Observation| one.slot == Some(slot);
        let report: Vec<Observation> =
            past.observations.iter().filter(is_of_report).cloned().collect();
        let Some(until) = report.iter().map(|one| one.effective_at).max() else { continue };
        let day = civil(until).date();
        if !(first..=last).contains(&day) {
            continue;
        }
        let history: Vec<Observation> =
            past.observations.iter().filter(|one| one.effective_at <= until).cloned().collect();
        let traits = PatientFacts::of(&past.patient, day);
        facts.extend(evaluate(rules, traits, &history, &report));
    }
    for (index, attempt) in past.attempts.iter().enumerate() {
        let Some(day) = attempt.ended_at.map(|at| civil(at).date()) else { continue };
        if (first..=last).contains(&day) {
            let until_then = past.attempts.get(..=index).unwrap_or_default();
            let traits = PatientFacts::of(&past.patient, day);
            facts.extend(evaluate_attempts(rules, traits, until_then));
        }
    }
    let mut days: BTreeMap<Date, Vec<Slot>> = BTreeMap::new();
    for slot in past.slots.iter().filter(|slot| (first..=last).contains(&slot.date)) {
        let traits = PatientFacts::of(&past.patient, slot.date);
        facts.extend(evaluate_slot(rules, traits, slot, slot.due_to));
        days.entry(slot.date).or_default().push(slot.clone());
    }
    for (day, slots) in days {
        let traits = PatientFacts::of(&past.patient, day);
        facts.extend(evaluate_day(rules, traits, &slots, timestamp(day.to_datetime(MEETING))));
    }
    facts
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::date;

    use super::*;
    use crate::base::Language;
    use crate::base::id::Minter;
    use crate::call::Respondent;
    use crate::campaign::SlotState;
    use crate::escalation::rule::RuleBook;
    use crate::ivr::Answer;
    use crate::observation::Channel;

    const FIRST: Date = Date::constant(2026, 11, 20);
    const LAST: Date = Date::constant(2026, 11, 21);

    fn at(day: Date, hour: i8) -> Timestamp {
        timestamp(day.at(hour, 0, 0, 0))
    }

    fn somebody(n: u8) -> Past {
        let mut minter = Minter::new([n; 32]);
        let born = Timestamp::UNIX_EPOCH;
        let patient = Patient {
            id: minter.mint(born),
            health_center: minter.mint(born),
            registration_number: format!("A{n}"),
            birth_date: date(1990, 1, 2).into(),
            name: "神崎 花".to_owned().into(),
            kana: "カンザキ ハナ".to_owned().into(),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            lives_alone: false,
            risks: Vec::new(),
            phones: Vec::new(),
        };
        Past { patient, observations: Vec::new(), attempts: Vec::new(), slots: Vec::new() }
    }

    fn with_spo2(mut past: Past, day: Date, percent: i32) -> Past {
        let mut minter = Minter::new([99; 32]);
        let slot: SlotId = minter.mint(at(day, 9));
        past.slots.push(Slot {
            id: slot,
            episode: minter.mint(at(day, 9)),
            patient: past.patient.id,
            date: day,
            number: 1,
            due_from: at(day, 9),
            due_to: at(day, 11),
            state: SlotState::Reported,
            reason: None,
            pause: None,
            kind: crate::campaign::SlotKind::Planned,
            campaign: None,
        });
        past.observations.push(Observation {
            id: minter.mint(at(day, 9)),
            patient: past.patient.id,
            slot: Some(slot),
            source: None,
            code: "spo2".to_owned(),
            value: Answer::Number(percent),
            effective_at: at(day, 9),
            respondent: Respondent::Patient,
            channel: Channel::Web,
            questionnaire: "web@1".to_owned(),
            supersedes: None,
        });
        past
    }

    fn stricter() -> RuleSet {
        let text = include_str!("../../prompts/rules/recuperation.toml")
            .replace("code = \"spo2\", at_most = 93 }", "code = \"spo2\", at_most = 95 }")
            .replace("version = \"2026-11-26\"", "version = \"strict\"");
        RuleSet::parse("strict", &text).unwrap()
    }

    #[test]
    fn a_stricter_set_is_counted_against_data_made_by_hand() {
        // On the first day 92, 95, 97; on the second the third has 94.
        let people = [
            with_spo2(somebody(1), FIRST, 92),
            with_spo2(somebody(2), FIRST, 95),
            with_spo2(with_spo2(somebody(3), FIRST, 97), LAST, 94),
        ];
        let book = RuleBook::shipped().unwrap();
        let shipped = book.effective_on(FIRST).unwrap();
        let (mut before, mut after) = (Trial::default(), Trial::default());
        for past in &people {
            before.add(shipped, past, FIRST, LAST);
            after.add(&stricter(), past, FIRST, LAST);
        }
        assert_eq!(before.by_priority(), [(Priority::P1, 1), (Priority::P2, 2), (Priority::P3, 0)]);
        assert_eq!(after.by_priority(), [(Priority::P1, 3), (Priority::P2, 0), (Priority::P3, 0)]);
        assert_eq!(before.by_day(), [(FIRST, 2), (LAST, 1)].into());
        assert_eq!(after.rules[&("spo2-low".to_owned(), Priority::P1)], 3);
        let differences = before.differences(&after);
        assert_eq!(differences.len(), 2, "the first is judged alike");
        assert!(differences.iter().all(|one| one.patient != people[0].patient.id));
        // A day that is not asked about brings nothing.
        let mut one_day = Trial::default();
        one_day.add(shipped, &people[2], FIRST, FIRST);
        assert_eq!(one_day, Trial::default());
    }
}
