//! What both databases must do alike: each claim runs on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{env, fs, slice};

use jiff::civil::{Date, Time, date, time};
use jiff::{SignedDuration, Timestamp, ToSpan};
use mimamori::base::clock::{civil, timestamp};
use mimamori::base::id::{AttemptId, CaseId, PatientId, SlotId};
use mimamori::base::{Language, PhoneNumber, Private};
use mimamori::call::{Completion, Disposition, Respondent, Timeline};
use mimamori::campaign::{AttemptState, NewSlot, PlannedAttempt, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::{CaseState, Fact, Priority};
use mimamori::ivr::{Answer, Entry, YesNo};
use mimamori::observation::{Channel, Observation};
use mimamori::registry::{Episode, HealthCenter, Patient, PatientPhone, PhoneRole, RiskFlag};
use mimamori::store::{
    CaseChange, CaseFilter, Change, Claim, Claimant, DayReport, Evaluated, MessageKind, Outcome,
    Report, Store, StoreError, Topic,
};
use sqlx::{AssertSqlSafe, Connection};
use tempfile::TempDir;

use crate::postgres;

/// Runs each claim once per database.
macro_rules! claims {
    ($($claim:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim($crate::store::Database::sqlite()).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if let Some(database) = $crate::store::Database::postgres(stringify!($claim)).await {
                    super::$claim(database).await;
                }
            })*
        }
    };
}
pub(crate) use claims;

claims! {
    a_center_keeps_its_id_when_it_is_saved_again
    importing_a_list_twice_changes_nothing
    a_later_episode_ends_the_one_before
    nobody_is_called_after_the_last_day
    a_patient_is_found_by_both_identifiers_only
    a_day_has_its_slots_once
    only_open_slots_wait_for_a_plan
    a_slot_has_one_attempt_at_a_time
    a_settled_slot_wants_no_call
    a_closed_window_settles_the_slot_by_what_was_reached
    a_claim_brings_all_that_the_call_needs
    nobody_is_called_outside_the_hours
    a_number_that_is_on_the_line_is_not_called
    who_reported_otherwise_is_not_called
    an_unreadable_row_does_not_stop_the_others
    two_claimers_never_get_the_same_attempt
    an_attempt_goes_its_way_once
    an_answer_is_stored_once_and_never_lost
    a_lost_lease_closes_the_attempt_for_good
    what_a_crash_left_is_never_dialled_again
    an_answer_becomes_one_observation
    a_correction_hides_what_it_corrects
    a_report_settles_the_open_slot
    facts_open_one_case_and_raise_it
    what_was_resolved_does_not_come_back
    a_case_passes_through_hands_once
    an_alarm_is_sent_until_it_is_taken
    the_health_list_shows_who_is_silent
    the_day_is_counted
    a_change_wakes_who_waits
    the_tables_refuse_what_must_not_be
    errors_name_rules_and_never_persons
    a_database_that_is_gone_is_unavailable
    a_database_of_another_version_is_refused
    the_claim_walks_along_an_index
    killed_while_writing_it_keeps_what_it_acknowledged
}

/// A database of its own for one claim.
pub(crate) struct Database {
    url: String,
    _folder: Option<TempDir>,
}

impl Database {
    pub(crate) fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("mimamori.db").display());
        Self { url, _folder: Some(folder) }
    }

    pub(crate) async fn postgres(claim: &str) -> Option<Self> {
        let url = postgres::fresh_database(claim).await?;
        Some(Self { url, _folder: None })
    }

    pub(crate) async fn open(&self) -> Store {
        Store::open(&self.url, [7; 32]).await.unwrap()
    }

    /// Runs statements past the store.
    pub(crate) async fn execute(&self, statements: &str) {
        postgres::execute(&self.url, statements).await;
    }

    /// The rule that refuses a statement.
    pub(crate) async fn refusal(&self, statement: &str) -> String {
        let mut connection = postgres::connect(&self.url).await;
        if self.is_sqlite() {
            sqlx::raw_sql("pragma foreign_keys = on").execute(&mut connection).await.unwrap();
        }
        let text = AssertSqlSafe(statement.to_owned());
        let refused = sqlx::raw_sql(text).execute(&mut connection).await;
        connection.close().await.unwrap();
        match StoreError::from(refused.expect_err(statement)) {
            StoreError::Conflict { constraint } => constraint,
            other => panic!("{statement}: {other}"),
        }
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        self.url.starts_with("sqlite:")
    }
}

const DAY: Date = date(2026, 11, 23);

/// That time of the day of the tests, in Japan.
pub(crate) fn at(hour: i8, minute: i8) -> Timestamp {
    timestamp(DAY.at(hour, minute, 0, 0))
}

const MORNING: Time = time(9, 0, 0, 0);

/// A health centre and its patients.
pub(crate) struct District {
    pub(crate) store: Store,
    pub(crate) center: HealthCenter,
}

impl District {
    pub(crate) async fn new(database: &Database) -> Self {
        Self::with(database.open().await).await
    }

    async fn with(store: Store) -> Self {
        let mut center = HealthCenter {
            id: store.mint(at(0, 0)),
            code: "minato".to_owned(),
            name: "みなと保健所".to_owned(),
            kana: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(8, 30, 0, 0),
            closes_at: time(18, 0, 0, 0),
        };
        center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
        Self { store, center }
    }

    fn someone(&self, n: u32) -> (Patient, Episode) {
        let patient = Patient {
            id: self.store.mint(at(0, 0)),
            health_center: self.center.id,
            registration_number: format!("A{n:04}"),
            birth_date: Private::new(date(1950, 1, 2)),
            name: Private::new(format!("神崎 {n}")),
            kana: Private::new("カンザキ ハナ".to_owned()),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: n.is_multiple_of(2),
            slow_speech: false,
            lives_alone: true,
            risks: vec![RiskFlag::Heart, RiskFlag::Diabetes],
            phones: vec![
                PatientPhone { number: number(n), role: PhoneRole::Home },
                PatientPhone { number: number(n + 500_000), role: PhoneRole::Family },
            ],
        };
        let episode = Episode {
            id: self.store.mint(at(0, 0)),
            patient: patient.id,
            first_day: DAY.saturating_sub(3.days()),
            last_day: DAY.saturating_add(7.days()),
            call_times: vec![MORNING, time(15, 30, 0, 0)],
        };
        (patient, episode)
    }

    pub(crate) async fn admit(&self, n: u32) -> (Patient, Episode) {
        let (patient, episode) = self.someone(n);
        let imported = self.store.import_patient(at(0, 0), &patient, Some(&episode)).await;
        assert_eq!(imported.unwrap().change, Change::Created);
        (patient, episode)
    }

    /// The slot of the patient that is due from 9 to 12.
    async fn slot(&self, episode: &Episode) -> SlotId {
        self.slot_between(episode, 1, at(9, 0), at(12, 0)).await
    }

    async fn slot_between(
        &self,
        episode: &Episode,
        number: u8,
        due_from: Timestamp,
        due_to: Timestamp,
    ) -> SlotId {
        let patient = episode.patient;
        let slot = NewSlot { episode: episode.id, patient, date: DAY, number, due_from, due_to };
        assert_eq!(self.store.open_slots(at(0, 0), &[slot]).await.unwrap(), 1);
        let list = self.store.health_list(DAY).await.unwrap();
        let row = list.iter().find(|row| row.patient.id == patient).unwrap();
        row.slots.iter().find(|slot| slot.number == number).unwrap().id
    }

    async fn attempt(&self, slot: SlotId, number: u32, phone: PhoneNumber) -> AttemptId {
        self.attempt_at(slot, number, phone, at(9, 0)).await
    }

    async fn attempt_at(
        &self,
        slot: SlotId,
        number: u32,
        phone: PhoneNumber,
        due_at: Timestamp,
    ) -> AttemptId {
        let planned = PlannedAttempt { slot, number, phone, due_at };
        self.store.add_attempt(at(6, 0), &planned).await.unwrap().unwrap()
    }

    /// A patient whose attempt is due at nine.
    async fn due(&self, n: u32) -> (PatientId, SlotId, AttemptId) {
        let (patient, episode) = self.admit(n).await;
        let slot = self.slot(&episode).await;
        (patient.id, slot, self.attempt(slot, 1, number(n)).await)
    }

    async fn claim(&self, now: Timestamp) -> Vec<Claim> {
        self.store.claim_due(now, &claimant("one"), 10).await.unwrap()
    }

    /// A patient who has taken the call at 9:01.
    pub(crate) async fn talking(&self, n: u32) -> (PatientId, SlotId, AttemptId) {
        let (patient, slot, attempt) = self.due(n).await;
        assert_eq!(self.claim(at(9, 0)).await.len(), 1);
        self.store.attempt_answered(at(9, 1), attempt).await.unwrap();
        (patient, slot, attempt)
    }

    pub(crate) async fn answer(&self, attempt: AttemptId, entry: &Entry) {
        let respondent = Respondent::Patient;
        self.store.record_answer(entry.at, attempt, entry, respondent, FORM).await.unwrap();
    }

    async fn slot_state(&self, slot: SlotId) -> (SlotState, Option<String>) {
        let list = self.store.health_list(DAY).await.unwrap();
        let slot = list.into_iter().flat_map(|row| row.slots).find(|one| one.id == slot).unwrap();
        (slot.state, slot.reason)
    }

    async fn attempt_state(&self, attempt: AttemptId) -> AttemptState {
        let attempts = self.store.attempts_of_day(DAY).await.unwrap();
        attempts.iter().find(|one| one.attempt.id == attempt).unwrap().attempt.state
    }

    /// A fact of a patient, from an attempt.
    pub(crate) fn fact(rule: &str, priority: Priority, attempt: AttemptId, seq: u32) -> Fact {
        Fact {
            rule: rule.to_owned(),
            rule_set: "2026-11-01".to_owned(),
            priority,
            text: format!("{rule} 92%"),
            at: at(9, 3),
            source: FactSource::Answer(attempt, seq),
        }
    }
}

const FORM: &str = "recuperation@1";

fn number(n: u32) -> PhoneNumber {
    format!("+8190{:08}", 10_000_000 + n).parse().unwrap()
}

fn claimant(node: &str) -> Claimant {
    Claimant {
        node: node.to_owned(),
        lease: Duration::from_mins(1),
        only: None,
        grace: Duration::from_hours(3),
    }
}

pub(crate) fn entry(seq: u32, question: &str, answer: Answer) -> Entry {
    let at = at(9, 2) + SignedDuration::from_secs(i64::from(seq));
    Entry { seq, question: question.to_owned(), asked: 1, keys: "3 7 5".to_owned(), answer, at }
}

pub(crate) fn outcome(disposition: Disposition, slot_after: SlotState) -> Outcome {
    let answered = disposition == Disposition::Answered;
    Outcome {
        disposition,
        code: Some(200),
        respondent: answered.then_some(Respondent::Patient),
        completion: answered.then_some(Completion::Complete),
        timeline: Timeline {
            ringing: Some(at(9, 0)),
            answered: answered.then(|| at(9, 1)),
            ended: Some(at(9, 5)),
        },
        slot_after,
    }
}

fn web_report(effective_at: Timestamp, completion: Completion) -> Report {
    Report {
        channel: Channel::Web,
        respondent: Respondent::Patient,
        questionnaire: "web@1".to_owned(),
        effective_at,
        values: vec![
            ("temperature".to_owned(), Answer::Number(372)),
            ("dyspnea".to_owned(), Answer::Choice(YesNo::No)),
        ],
        completion,
    }
}

fn is_stale(result: Result<(), StoreError>) -> bool {
    result.is_err_and(|error| matches!(error, StoreError::Stale { .. }))
}

// --- registry

async fn a_center_keeps_its_id_when_it_is_saved_again(database: Database) {
    let District { store, center } = District::new(&database).await;
    let again = HealthCenter {
        id: store.mint(at(1, 0)),
        name: "港保健所".to_owned(),
        closes_at: time(17, 0, 0, 0),
        ..center.clone()
    };
    assert_eq!(store.save_health_center(at(1, 0), &again).await.unwrap(), center.id);
    let stored = store.health_center("minato").await.unwrap().unwrap();
    assert_eq!(stored, HealthCenter { id: center.id, ..again });
    assert_eq!(store.health_centers().await.unwrap(), [stored]);
    assert_eq!(store.health_center("nowhere").await.unwrap(), None);
}

async fn importing_a_list_twice_changes_nothing(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, episode) = district.admit(1).await;
    assert_eq!(store.patient(patient.id).await.unwrap(), patient);

    // A second reading of the list knows nothing of the first one's ids.
    let (again, episode_again) = district.someone(1);
    assert_ne!(again.id, patient.id);
    let import = store.import_patient(at(1, 0), &again, Some(&episode_again)).await.unwrap();
    assert_eq!((import.patient, import.change), (patient.id, Change::Unchanged));

    let mut moved = again.clone();
    moved.phones.reverse();
    moved.name = Private::new("神崎 花子".to_owned());
    let import = store.import_patient(at(2, 0), &moved, None).await.unwrap();
    assert_eq!((import.patient, import.change), (patient.id, Change::Updated));
    let stored = store.patient(patient.id).await.unwrap();
    assert_eq!(stored, Patient { id: patient.id, ..moved });

    let longer = Episode { last_day: episode.last_day.saturating_add(2.days()), ..episode_again };
    let import = store.import_patient(at(3, 0), &stored, Some(&longer)).await.unwrap();
    assert_eq!(import.change, Change::Updated);
    let observed = store.episodes_on(longer.last_day).await.unwrap();
    assert_eq!(observed[0].episode, Episode { id: episode.id, patient: patient.id, ..longer });
    assert_eq!(store.patients(district.center.id).await.unwrap(), [stored]);
}

async fn a_later_episode_ends_the_one_before(database: Database) {
    let district = District::new(&database).await;
    let (patient, first) = district.admit(1).await;
    let second = Episode {
        id: district.store.mint(at(1, 0)),
        first_day: date(2027, 1, 10),
        last_day: date(2027, 1, 20),
        ..first.clone()
    };
    let now = timestamp(date(2027, 1, 9).at(9, 0, 0, 0));
    let import = district.store.import_patient(now, &patient, Some(&second)).await.unwrap();
    assert_eq!(import.change, Change::Updated);
    assert!(district.store.episodes_on(DAY).await.unwrap().is_empty());
    let observed = district.store.episodes_on(date(2027, 1, 20)).await.unwrap();
    assert_eq!(observed.len(), 1);
    assert_eq!(observed[0].episode, second);
    assert_eq!(observed[0].patient, patient);
    assert_eq!(observed[0].health_center, district.center);
    assert!(district.store.episodes_on(date(2027, 1, 21)).await.unwrap().is_empty());
}

async fn nobody_is_called_after_the_last_day(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    let attempt = district.attempt(slot, 1, number(1)).await;
    let shorter = Episode { last_day: DAY.yesterday().unwrap(), ..episode };
    district.store.import_patient(at(7, 0), &patient, Some(&shorter)).await.unwrap();
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert!(district.claim(at(9, 0)).await.is_empty());
    assert!(district.store.slots_to_plan(at(9, 0), 10).await.unwrap().is_empty());
}

async fn a_patient_is_found_by_both_identifiers_only(database: Database) {
    let district = District::new(&database).await;
    let (patient, _) = district.admit(1).await;
    district.admit(2).await;
    let born = *patient.birth_date.expose();
    for (number, birth_date, found) in
        [("A0001", born, 1), ("A0001", born.tomorrow().unwrap(), 0), ("A0009", born, 0)]
    {
        let patients = district.store.find_patient(number, birth_date).await.unwrap();
        assert_eq!(patients.len(), found, "{number} {birth_date}");
    }
    let nobody = district.store.patient(district.store.mint(at(0, 0))).await;
    assert!(matches!(nobody, Err(StoreError::NotFound { what: "patient" })));
}

// --- schedule

async fn a_day_has_its_slots_once(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slots: Vec<_> = [(1, 9), (2, 15)]
        .map(|(number, hour)| NewSlot {
            episode: episode.id,
            patient: patient.id,
            date: DAY,
            number,
            due_from: at(hour, 0),
            due_to: at(hour + 2, 0),
        })
        .into();
    assert_eq!(district.store.open_slots(at(0, 0), &slots).await.unwrap(), 2);
    assert_eq!(district.store.open_slots(at(1, 0), &slots).await.unwrap(), 0);
    let list = district.store.health_list(DAY).await.unwrap();
    let stored: Vec<_> = list[0].slots.iter().map(|slot| (slot.number, slot.due_from)).collect();
    assert_eq!(stored, [(1, at(9, 0)), (2, at(15, 0))]);
}

async fn only_open_slots_wait_for_a_plan(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    for (now, waiting) in [(at(8, 59), 0), (at(9, 0), 1), (at(11, 59), 1), (at(12, 0), 0)] {
        let slots = district.store.slots_to_plan(now, 10).await.unwrap();
        assert_eq!(slots.len(), waiting, "{}", civil(now));
    }
    let attempt = district.attempt(slot, 1, number(1)).await;
    assert!(district.store.slots_to_plan(at(9, 0), 10).await.unwrap().is_empty());
    assert_eq!(district.store.next_due().await.unwrap(), Some(at(9, 0)));

    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    assert!(district.store.slots_to_plan(at(9, 0), 10).await.unwrap().is_empty());
    let busy = outcome(Disposition::Busy, SlotState::Due);
    district.store.finish_attempt(at(9, 5), attempt, &busy).await.unwrap();
    let slots = district.store.slots_to_plan(at(9, 6), 10).await.unwrap();
    assert_eq!(slots.len(), 1);
    assert_eq!((slots[0].slot.id, slots[0].slot.state), (slot, SlotState::Due));
    assert_eq!(slots[0].patient, patient);
    assert_eq!(slots[0].health_center, district.center);
    let history = &slots[0].attempts;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].disposition, Some(Disposition::Busy));
    assert_eq!((history[0].dialed_at, history[0].ended_at), (Some(at(9, 0)), Some(at(9, 5))));
    assert_eq!(district.store.slots_to_plan(at(9, 6), 0).await.unwrap().len(), 0);
}

async fn a_slot_has_one_attempt_at_a_time(database: Database) {
    let district = District::new(&database).await;
    let (_, slot, attempt) = district.due(1).await;
    let second = PlannedAttempt { slot, number: 2, phone: number(2), due_at: at(9, 30) };
    assert_eq!(district.store.add_attempt(at(9, 0), &second).await.unwrap(), None);
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    assert_eq!(district.store.add_attempt(at(9, 0), &second).await.unwrap(), None);
    let busy = outcome(Disposition::Busy, SlotState::Due);
    district.store.finish_attempt(at(9, 5), attempt, &busy).await.unwrap();
    let same_number = PlannedAttempt { number: 1, ..second.clone() };
    assert_eq!(district.store.add_attempt(at(9, 6), &same_number).await.unwrap(), None);
    assert!(district.store.add_attempt(at(9, 6), &second).await.unwrap().is_some());
}

async fn a_settled_slot_wants_no_call(database: Database) {
    let district = District::new(&database).await;
    let (_, slot, attempt) = district.due(1).await;
    let store = &district.store;
    let close = |state| store.close_slot(at(9, 0), slot, state, Some("入院"));
    close(SlotState::Skipped).await.unwrap();
    assert!(is_stale(close(SlotState::Unreached).await));
    let state = district.slot_state(slot).await;
    assert_eq!(state, (SlotState::Skipped, Some("入院".to_owned())));
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert!(district.claim(at(9, 0)).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
}

async fn a_closed_window_settles_the_slot_by_what_was_reached(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let mut slots = Vec::new();
    for (n, answers) in [(1, 0), (2, 2)] {
        let (_, slot, attempt) = district.due(n).await;
        assert_eq!(district.claim(at(9, 0)).await.len(), 1);
        let answer = [Answer::Unanswered, Answer::Number(365)];
        for seq in 0..answers {
            district.answer(attempt, &entry(seq, "temperature", answer[seq as usize])).await;
        }
        let over = outcome(Disposition::Answered, SlotState::Due);
        store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
        slots.push(slot);
    }
    let (_, under_way, _) = district.due(3).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    let (_, never_called, waiting) = district.due(4).await;

    assert!(store.expire_slots(at(11, 59)).await.unwrap().is_empty());
    assert_eq!(store.expire_slots(at(12, 0)).await.unwrap().len(), 3);
    for (slot, state) in [
        (slots[0], SlotState::Unreached),
        (slots[1], SlotState::Partial),
        (under_way, SlotState::InProgress),
        (never_called, SlotState::Expired),
    ] {
        assert_eq!(district.slot_state(slot).await.0, state);
    }
    assert_eq!(district.attempt_state(waiting).await, AttemptState::Dropped);
    assert_eq!(store.slots_to_evaluate(10).await.unwrap().len(), 3);
}

// --- dial

async fn a_claim_brings_all_that_the_call_needs(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    let first = district.attempt(slot, 1, number(1)).await;
    assert_eq!(district.claim(at(9, 0)).await[0].answered, []);
    let given = entry(0, "temperature", Answer::Number(375));
    district.answer(first, &given).await;
    let dropped = outcome(Disposition::Answered, SlotState::Due);
    district.store.finish_attempt(at(9, 5), first, &dropped).await.unwrap();

    let second = district.attempt(slot, 2, number(2)).await;
    let claims = district.claim(at(9, 20)).await;
    let [claim] = &claims[..] else { panic!("{} claims", claims.len()) };
    assert_eq!((claim.attempt.id, claim.attempt.number), (second, 2));
    assert_eq!(claim.attempt.state, AttemptState::Dialing);
    assert_eq!(claim.attempt.dialed_at, Some(at(9, 20)));
    assert_eq!(claim.attempt.phone, number(2));
    assert_eq!((claim.slot.id, claim.slot.state), (slot, SlotState::InProgress));
    assert_eq!(claim.patient, patient);
    assert_eq!(claim.episode, episode);
    assert_eq!(claim.health_center, district.center);
    assert_eq!(claim.answered, [given]);
    assert!(district.claim(at(9, 20)).await.is_empty());
    let live = district.store.calls_in_progress().await.unwrap();
    assert_eq!((live.len(), live[0].attempt, live[0].state), (1, second, AttemptState::Dialing));
}

async fn nobody_is_called_outside_the_hours(database: Database) {
    let district = District::new(&database).await;
    let mut center = district.center.clone();
    for (n, opens, closes, due, now, claimed) in [
        // The centre's own hours, to the second.
        (1, (8, 30), (18, 0), (8, 0), at(8, 29), 0),
        (2, (8, 30), (18, 0), (8, 0), at(8, 30), 1),
        (3, (8, 30), (18, 0), (8, 0), at(18, 0) - SignedDuration::from_millis(1), 1),
        (4, (8, 30), (18, 0), (8, 0), at(18, 0), 0),
        // The hard limit stands above them.
        (5, (6, 0), (23, 0), (6, 0), at(7, 59), 0),
        (6, (6, 0), (23, 0), (6, 0), at(8, 0), 1),
        (7, (6, 0), (23, 0), (6, 0), at(19, 59), 1),
        (8, (6, 0), (23, 0), (6, 0), at(20, 0), 0),
        // The slot's window.
        (9, (8, 30), (18, 0), (10, 0), at(9, 59), 0),
    ] {
        center.opens_at = time(opens.0, opens.1, 0, 0);
        center.closes_at = time(closes.0, closes.1, 0, 0);
        district.store.save_health_center(at(0, 0), &center).await.unwrap();
        let (_, episode) = district.admit(n).await;
        let slot = district.slot_between(&episode, 1, at(due.0, due.1), at(22, 0)).await;
        let attempt = district.attempt_at(slot, 1, number(n), at(6, 0)).await;
        let claims = district.claim(now).await;
        assert_eq!(claims.len(), claimed, "{n} at {}", civil(now));
        if claimed == 0 {
            district.store.close_slot(now, slot, SlotState::Skipped, None).await.unwrap();
        } else {
            let over = outcome(Disposition::NoAnswer, SlotState::Unreached);
            district.store.finish_attempt(now, attempt, &over).await.unwrap();
        }
    }
}

async fn a_number_that_is_on_the_line_is_not_called(database: Database) {
    let district = District::new(&database).await;
    // A couple with one telephone, and a man with two slots.
    let (_, slot, husband) = district.due(1).await;
    let (_, wife_episode) = district.admit(2).await;
    let wife_slot = district.slot(&wife_episode).await;
    let wife = district.attempt_at(wife_slot, 1, number(1), at(9, 1)).await;
    let (_, episode) = district.admit(3).await;
    let early = district.slot_between(&episode, 1, at(9, 0), at(12, 0)).await;
    let late = district.slot_between(&episode, 2, at(9, 0), at(15, 0)).await;
    let early = district.attempt_at(early, 1, number(3), at(9, 2)).await;
    let late = district.attempt_at(late, 1, number(500_003), at(9, 3)).await;

    let claimed = |claims: Vec<Claim>| claims.iter().map(|it| it.attempt.id).collect::<Vec<_>>();
    assert_eq!(claimed(district.claim(at(9, 4)).await), [husband, early]);
    assert_eq!(claimed(district.claim(at(9, 4)).await), []);
    let over = outcome(Disposition::NoAnswer, SlotState::Due);
    district.store.finish_attempt(at(9, 5), husband, &over).await.unwrap();
    district.store.finish_attempt(at(9, 5), early, &over).await.unwrap();
    // The other number is free; the one just called is left alone for three minutes.
    assert_eq!(claimed(district.claim(at(9, 5)).await), [late]);
    let in_use = district.store.phones_in_use(at(9, 5)).await.unwrap();
    assert_eq!(in_use.busy, HashSet::from([number(1), number(500_003)]));
    assert_eq!(in_use.last_ended, HashMap::from([(number(1), at(9, 5)), (number(3), at(9, 5))]));
    let a_moment = SignedDuration::from_millis(1);
    assert_eq!(claimed(district.claim(at(9, 8) - a_moment).await), []);
    assert_eq!(claimed(district.claim(at(9, 8)).await), [wife]);
    assert!(district.store.phones_in_use(at(9, 8)).await.unwrap().last_ended.is_empty());
    assert_eq!(district.slot_state(slot).await.0, SlotState::Due);
}

async fn who_reported_otherwise_is_not_called(database: Database) {
    let district = District::new(&database).await;
    for (n, channel, reported_at, expected) in [
        (1, Channel::Web, at(8, 12), Some("Web入力済 08:12")),
        (2, Channel::InboundCall, at(6, 30), Some("折返し電話で報告済 06:30")),
        (3, Channel::Staff, at(8, 59), Some("職員入力済 08:59")),
        // Three hours and a minute ago.
        (4, Channel::Web, at(5, 59), None),
    ] {
        let (patient, slot, attempt) = district.due(n).await;
        let report = Report { channel, ..web_report(reported_at, Completion::Complete) };
        let settled = district.store.report(reported_at, patient, &report).await.unwrap();
        assert_eq!(settled, None, "the slot is not open yet");
        let claims = district.claim(at(9, 0)).await;
        let (state, reason) = district.slot_state(slot).await;
        match expected {
            Some(text) => {
                assert!(claims.is_empty());
                assert_eq!((state, reason.as_deref()), (SlotState::Skipped, Some(text)));
                assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
            }
            None => assert_eq!((claims.len(), state), (1, SlotState::InProgress)),
        }
    }
}

async fn an_unreadable_row_does_not_stop_the_others(database: Database) {
    let district = District::new(&database).await;
    let (broken, slot, _) = district.due(1).await;
    let (_, _, sound) = district.due(2).await;
    database.execute(&format!("update patient set risks = 'x' where id = '{broken}'")).await;
    let claims = district.claim(at(9, 0)).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].attempt.id, sound);
    database.execute(&format!("update patient set risks = '' where id = '{broken}'")).await;
    let (state, reason) = district.slot_state(slot).await;
    assert_eq!(state, SlotState::Unreached);
    assert_eq!(reason.as_deref(), Some("patient.risks を読めません"));
}

async fn two_claimers_never_get_the_same_attempt(database: Database) {
    let district = District::new(&database).await;
    // Thirty attempts to twenty numbers: ten numbers are wanted twice.
    for n in 0..30 {
        let (_, episode) = district.admit(n).await;
        let slot = district.slot(&episode).await;
        district.attempt(slot, 1, number(n % 20)).await;
    }
    // Two processes, several workers in each.
    let other = Store::open(&database.url, [8; 32]).await.unwrap();
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { district.store.clone() } else { other.clone() };
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                for _ in 0..8 {
                    let node = claimant(&format!("node{n}"));
                    claimed.extend(store.claim_due(at(9, 0), &node, 2).await.unwrap());
                }
                claimed
            })
        })
        .collect();
    let mut claims = Vec::new();
    for worker in workers {
        claims.extend(worker.await.unwrap());
    }
    let total = claims.len();
    claims.sort_by_key(|claim| claim.attempt.id);
    claims.dedup_by_key(|claim| claim.attempt.id);
    assert_eq!(claims.len(), total, "an attempt was claimed twice");
    claims.sort_by(|one, other| one.attempt.phone.cmp(&other.attempt.phone));
    claims.dedup_by(|one, other| one.attempt.phone == other.attempt.phone);
    assert_eq!(claims.len(), total, "a number was claimed twice");
    assert_eq!(total, 20, "every number was claimed");
    assert_eq!(district.store.calls_in_progress().await.unwrap().len(), 20);
}

// --- talk

async fn an_attempt_goes_its_way_once(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, slot, attempt) = district.due(1).await;
    let done = outcome(Disposition::Answered, SlotState::Reported);
    assert!(is_stale(store.attempt_ringing(at(9, 0), attempt).await));
    assert!(is_stale(store.attempt_answered(at(9, 0), attempt).await));
    assert!(is_stale(store.finish_attempt(at(9, 0), attempt, &done).await));

    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    store.attempt_ringing(at(9, 0), attempt).await.unwrap();
    store.attempt_answered(at(9, 1), attempt).await.unwrap();
    assert!(is_stale(store.attempt_answered(at(9, 2), attempt).await));
    let live = store.calls_in_progress().await.unwrap();
    assert_eq!((live[0].state, live[0].answered_at), (AttemptState::Talking, Some(at(9, 1))));

    let nowhere = Outcome { slot_after: SlotState::InProgress, ..done.clone() };
    assert!(store.finish_attempt(at(9, 5), attempt, &nowhere).await.is_err());
    store.finish_attempt(at(9, 5), attempt, &done).await.unwrap();
    // Told again, it changes nothing; told otherwise, it is refused.
    store.finish_attempt(at(9, 6), attempt, &done).await.unwrap();
    let otherwise = Outcome { completion: Some(Completion::Partial), ..done };
    assert!(is_stale(store.finish_attempt(at(9, 6), attempt, &otherwise).await));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);

    let attempts = store.attempts_of_day(DAY).await.unwrap();
    let stored = &attempts[0].attempt;
    assert_eq!(stored.state, AttemptState::Done);
    assert_eq!(stored.disposition, Some(Disposition::Answered));
    assert_eq!(stored.respondent, Some(Respondent::Patient));
    assert_eq!(stored.completion, Some(Completion::Complete));
    assert_eq!((stored.answered_at, stored.ended_at), (Some(at(9, 1)), Some(at(9, 5))));
}

async fn an_answer_is_stored_once_and_never_lost(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, attempt) = district.due(1).await;
    let record = |entry: Entry| async move {
        store.record_answer(at(9, 3), attempt, &entry, Respondent::Patient, FORM).await
    };
    let first = entry(0, "temperature", Answer::Number(375));
    assert!(is_stale(record(first.clone()).await), "nobody was called");
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);

    let all = [
        first.clone(),
        entry(1, "spo2", Answer::NotMeasured),
        entry(2, "dyspnea", Answer::Choice(YesNo::Unknown)),
        Entry { keys: String::new(), ..entry(3, "cough", Answer::Unanswered) },
    ];
    for entry in &all {
        record(entry.clone()).await.unwrap();
        record(entry.clone()).await.unwrap();
    }
    let other = Entry { answer: Answer::Number(385), ..first };
    let refused = record(other).await.unwrap_err();
    assert_eq!(refused.to_string(), "against the rule answer_of_attempt");
    assert_eq!(store.transcript(attempt).await.unwrap(), all);

    // The patient did say it, whatever became of the attempt.
    let over = outcome(Disposition::Answered, SlotState::Partial);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    record(entry(4, "fatigue", Answer::Choice(YesNo::Yes))).await.unwrap();
    assert_eq!(store.transcript(attempt).await.unwrap().len(), 5);
    let nobody = store.mint::<AttemptId>(at(9, 0));
    let lost = store.record_answer(at(9, 3), nobody, &all[0], Respondent::Patient, FORM).await;
    assert!(is_stale(lost));
}

// --- rescue

async fn a_lost_lease_closes_the_attempt_for_good(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, slot, attempt) = district.due(1).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    store.extend_lease(at(9, 0), attempt, Duration::from_mins(3)).await.unwrap();
    assert!(store.rescue_expired(at(9, 2)).await.unwrap().is_empty());
    let rescued = store.rescue_expired(at(9, 3)).await.unwrap();
    assert_eq!(rescued.len(), 1);
    assert_eq!(rescued[0].attempt.id, attempt);
    assert_eq!(rescued[0].attempt.disposition, Some(Disposition::Interrupted));
    assert_eq!((rescued[0].answered, rescued[0].slot_after), (false, SlotState::Due));
    assert!(store.rescue_expired(at(9, 3)).await.unwrap().is_empty());

    // Its owner wakes up too late.
    assert!(is_stale(store.extend_lease(at(9, 4), attempt, Duration::from_mins(1)).await));
    assert!(is_stale(store.attempt_answered(at(9, 4), attempt).await));
    let over = outcome(Disposition::Answered, SlotState::Reported);
    assert!(is_stale(store.finish_attempt(at(9, 4), attempt, &over).await));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Due);
}

async fn what_a_crash_left_is_never_dialled_again(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, silent) = district.talking(1).await;
    let (_, _, heard) = district.talking(2).await;
    district.answer(heard, &entry(0, "temperature", Answer::Number(375))).await;
    let (_, _, ringing) = district.due(3).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    let (_, _, elsewhere) = district.due(4).await;
    assert_eq!(store.claim_due(at(9, 0), &claimant("two"), 10).await.unwrap().len(), 1);
    store.close().await;

    let restarted = Store::open(&database.url, [9; 32]).await.unwrap();
    let rescued = restarted.rescue_at_start(at(9, 0), "one").await.unwrap();
    let mut rescued: Vec<_> = rescued
        .iter()
        .map(|it| (it.attempt.id, it.answered, it.slot_after, it.attempt.completion))
        .collect();
    rescued.sort_by_key(|it| it.0);
    let mut expected = [
        (silent, true, SlotState::Unreached, Some(Completion::SystemError)),
        (heard, true, SlotState::Partial, Some(Completion::Partial)),
        (ringing, false, SlotState::Due, None),
    ];
    expected.sort_by_key(|it| it.0);
    assert_eq!(rescued, expected);
    let live = restarted.calls_in_progress().await.unwrap();
    assert_eq!((live.len(), live[0].attempt), (1, elsewhere), "the other node lives on");
    assert!(restarted.claim_due(at(9, 0), &claimant("one"), 10).await.unwrap().is_empty());
    let slots = restarted.slots_to_plan(at(9, 0), 10).await.unwrap();
    assert_eq!(slots.len(), 1, "the one that only rang");
    assert_eq!(slots[0].attempts[0].disposition, Some(Disposition::Interrupted));
}

// --- observe

pub(crate) fn observation(
    store: &Store,
    patient: PatientId,
    source: (AttemptId, u32),
) -> Observation {
    Observation {
        id: store.mint(at(9, 3)),
        patient,
        slot: None,
        source: Some(source),
        code: "temperature".to_owned(),
        value: Answer::Number(375),
        effective_at: at(9, 2),
        respondent: Respondent::Patient,
        channel: Channel::OutboundCall,
        questionnaire: FORM.to_owned(),
        supersedes: None,
    }
}

async fn an_answer_becomes_one_observation(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, slot, attempt) = district.talking(1).await;
    let given = entry(0, "temperature", Answer::Number(375));
    district.answer(attempt, &given).await;
    district.answer(attempt, &entry(1, "spo2", Answer::NotMeasured)).await;
    let answers = store.answers_to_observe(1).await.unwrap();
    assert_eq!(answers.len(), 1);
    let answer = &answers[0];
    assert_eq!((answer.attempt, answer.slot, answer.patient), (attempt, slot, patient));
    assert_eq!((&answer.entry, answer.respondent), (&given, Respondent::Patient));
    assert_eq!(answer.questionnaire, FORM);

    let derived = Observation { slot: Some(slot), ..observation(store, patient, (attempt, 0)) };
    for _ in 0..2 {
        let source = [(attempt, 0)];
        store.save_observations(at(9, 3), &source, slice::from_ref(&derived)).await.unwrap();
    }
    let again = Observation { id: store.mint(at(9, 4)), ..derived.clone() };
    store.save_observations(at(9, 4), &[(attempt, 0)], &[again]).await.unwrap();
    assert_eq!(store.history(patient, at(0, 0)).await.unwrap(), [derived]);
    let left = store.answers_to_observe(10).await.unwrap();
    assert_eq!((left.len(), left[0].entry.seq), (1, 1));

    // All or nothing: an observation of an answer that does not exist takes the mark with it.
    let wrong = observation(store, patient, (attempt, 9));
    let refused = store.save_observations(at(9, 4), &[(attempt, 1)], &[wrong]).await;
    assert_eq!(refused.unwrap_err().to_string(), "against the rule foreign_key");
    assert_eq!(store.answers_to_observe(10).await.unwrap().len(), 1);
}

async fn a_correction_hides_what_it_corrects(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _) = district.admit(1).await;
    let report = web_report(at(8, 0), Completion::Complete);
    for _ in 0..2 {
        store.report(at(8, 0), patient.id, &report).await.unwrap();
    }
    let told = store.history(patient.id, at(0, 0)).await.unwrap();
    assert_eq!(told.len(), 2, "the form was sent twice");
    let wrong = told.iter().find(|it| it.code == "temperature").unwrap();
    let right = Observation {
        id: store.mint(at(8, 30)),
        value: Answer::Number(382),
        channel: Channel::Staff,
        supersedes: Some(wrong.id),
        ..wrong.clone()
    };
    store.save_observations(at(8, 30), &[], slice::from_ref(&right)).await.unwrap();
    let latest = store.latest_observations(DAY).await.unwrap();
    assert_eq!(latest.iter().find(|it| it.code == "temperature"), Some(&right));
    assert_eq!(latest.len(), 2);
    let between = |from, to| store.observations(patient.id, from, to);
    assert_eq!(between(at(8, 0), at(8, 1)).await.unwrap().len(), 2);
    assert_eq!(between(at(7, 0), at(8, 0)).await.unwrap().len(), 0);
    let second = Observation { id: store.mint(at(8, 31)), channel: Channel::Web, ..right };
    let second = Observation { effective_at: at(8, 2), ..second };
    let refused = store.save_observations(at(8, 31), &[], &[second]).await.unwrap_err();
    assert_eq!(refused.to_string(), "against the rule observation_corrected_once");
}

async fn a_report_settles_the_open_slot(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    // Before the first call.
    let (patient, slot, attempt) = district.due(1).await;
    let whole = web_report(at(9, 0), Completion::Complete);
    assert_eq!(store.report(at(9, 0), patient, &whole).await.unwrap(), Some(slot));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert_eq!(store.history(patient, at(0, 0)).await.unwrap()[0].slot, Some(slot));

    // While it rings: the call comes to its end, the slot stays reported.
    let (patient, slot, attempt) = district.due(2).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    let partial = web_report(at(9, 1), Completion::Partial);
    assert_eq!(store.report(at(9, 1), patient, &partial).await.unwrap(), Some(slot));
    assert_eq!(district.slot_state(slot).await.0, SlotState::InProgress);
    let whole = web_report(at(9, 2), Completion::Complete);
    assert_eq!(store.report(at(9, 2), patient, &whole).await.unwrap(), Some(slot));
    let over = outcome(Disposition::NoAnswer, SlotState::Due);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);

    // After nobody was reached.
    let (patient, slot, _) = district.due(3).await;
    store.close_slot(at(9, 30), slot, SlotState::Unreached, None).await.unwrap();
    assert_eq!(store.report(at(14, 0), patient, &whole).await.unwrap(), Some(slot));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);
    assert_eq!(store.report(at(15, 0), patient, &whole).await.unwrap(), None);

    let nobody = store.mint(at(9, 0));
    let refused = store.report(at(9, 0), nobody, &whole).await;
    assert!(matches!(refused, Err(StoreError::NotFound { what: "patient" })));
}

// --- escalate and notify

async fn facts_open_one_case_and_raise_it(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, slot, attempt) = district.talking(1).await;
    district.answer(attempt, &entry(0, "temperature", Answer::Number(375))).await;
    let derived = observation(store, patient, (attempt, 0));
    store.save_observations(at(9, 3), &[(attempt, 0)], slice::from_ref(&derived)).await.unwrap();
    let over = outcome(Disposition::Answered, SlotState::Partial);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();

    assert_eq!(store.observations_to_evaluate(10).await.unwrap(), slice::from_ref(&derived));
    let attempts = store.attempts_to_evaluate(10).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].0, attempts[0].1.id), (1, patient, attempt));
    assert_eq!(store.slots_to_evaluate(10).await.unwrap()[0].id, slot);

    let add = |facts: Vec<Fact>, evaluated: Evaluated| async move {
        store.add_facts(at(9, 6), patient, &facts, &evaluated).await.unwrap()
    };
    let recorded = District::fact("fine", Priority::P0, attempt, 0);
    let seen = Evaluated { observations: vec![derived.id], ..Evaluated::default() };
    assert_eq!(add(vec![recorded.clone()], seen).await, CaseChange::Unchanged);
    assert!(store.observations_to_evaluate(10).await.unwrap().is_empty());

    let fever = District::fact("fever", Priority::P3, attempt, 0);
    let seen = Evaluated { attempts: vec![attempt], slots: vec![slot], ..Evaluated::default() };
    let CaseChange::Opened(case) = add(vec![fever.clone(), fever.clone()], seen).await else {
        panic!("a case was to be opened")
    };
    assert!(store.attempts_to_evaluate(10).await.unwrap().is_empty());
    assert!(store.slots_to_evaluate(10).await.unwrap().is_empty());
    let none = Evaluated::default;
    assert_eq!(add(vec![fever.clone()], none()).await, CaseChange::Unchanged);
    let partial = Fact { source: FactSource::Slot(slot), ..fever.clone() };
    assert_eq!(add(vec![partial.clone(), recorded.clone()], none()).await, CaseChange::Added(case));
    let grave =
        Fact { source: FactSource::Attempt(attempt), priority: Priority::P1, ..fever.clone() };
    assert_eq!(add(vec![grave.clone()], none()).await, CaseChange::Raised(case));
    let web = FactSource::Observation(derived.id);
    let milder = Fact { source: web, priority: Priority::P2, ..fever.clone() };
    assert_eq!(add(vec![milder.clone()], none()).await, CaseChange::Added(case));

    let view = store.case(case).await.unwrap();
    assert_eq!(view.case.facts, [fever, partial, recorded, grave, milder]);
    assert_eq!((view.case.priority, view.case.state), (Priority::P1, CaseState::Open));
    assert_eq!((view.case.patient, view.patient.id), (patient, patient));
    assert_eq!(view.health_center, district.center);
}

async fn what_was_resolved_does_not_come_back(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _, attempt) = district.talking(1).await;
    let low = District::fact("spo2-low", Priority::P1, attempt, 1);
    let facts = slice::from_ref(&low);
    let seen = Evaluated::default();
    let opened = store.add_facts(at(9, 3), patient, facts, &seen).await.unwrap();
    let case = opened.case().unwrap();
    store.resolve_case(at(9, 10), case, "nurse", "本人と通話").await.unwrap();
    let again = store.add_facts(at(9, 20), patient, facts, &seen).await.unwrap();
    assert_eq!(again, CaseChange::Unchanged);
    let lower = District::fact("spo2-low", Priority::P1, attempt, 2);
    let new = store.add_facts(at(9, 30), patient, &[lower], &seen).await.unwrap();
    assert!(matches!(new, CaseChange::Opened(other) if other != case));
}

async fn a_case_passes_through_hands_once(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let mut cases: Vec<CaseId> = Vec::new();
    for (n, priority) in [(1, Priority::P3), (2, Priority::P1), (3, Priority::P2)] {
        let (patient, _, attempt) = district.talking(n).await;
        let fact = District::fact("rule", priority, attempt, 0);
        let change = store.add_facts(at(9, 3), patient, &[fact], &Evaluated::default()).await;
        cases.push(change.unwrap().case().unwrap());
    }
    let list = |filter| async move {
        let views = store.cases(filter).await.unwrap();
        views.iter().map(|view| view.case.id).collect::<Vec<_>>()
    };
    let [mild, grave, middle] = cases[..] else { unreachable!() };
    assert_eq!(list(CaseFilter::Unresolved).await, [grave, middle, mild]);

    store.acknowledge_case(at(9, 5), grave, "nurse").await.unwrap();
    assert!(is_stale(store.acknowledge_case(at(9, 6), grave, "other").await));
    store.resolve_case(at(9, 7), grave, "nurse", "救急要請").await.unwrap();
    assert!(is_stale(store.resolve_case(at(9, 8), grave, "other", "二重").await));
    assert!(is_stale(store.acknowledge_case(at(9, 8), grave, "other").await));
    let view = store.case(grave).await.unwrap();
    assert_eq!(view.case.state, CaseState::Resolved);
    assert_eq!(view.acknowledged, Some(("nurse".to_owned(), at(9, 5))));
    assert_eq!(view.resolved, Some(("nurse".to_owned(), at(9, 7), "救急要請".to_owned())));

    assert_eq!(list(CaseFilter::Unresolved).await, [middle, mild]);
    assert_eq!(list(CaseFilter::HealthCenter(district.center.id)).await, [middle, mild]);
    assert!(list(CaseFilter::HealthCenter(store.mint(at(0, 0)))).await.is_empty());
    assert_eq!(list(CaseFilter::All).await, [grave, middle, mild]);
    assert_eq!(list(CaseFilter::Patient(view.patient.id)).await, [grave]);
    let nothing: CaseId = store.mint(at(0, 0));
    assert!(matches!(store.case(nothing).await, Err(StoreError::NotFound { what: "case" })));
    let refused = store.resolve_case(at(9, 8), nothing, "nurse", "").await;
    assert!(matches!(refused, Err(StoreError::NotFound { what: "case" })));
}

async fn an_alarm_is_sent_until_it_is_taken(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let seen = Evaluated::default();
    let lease = Duration::from_mins(1);
    let (mild, _, attempt) = district.talking(1).await;
    let fact = District::fact("fever", Priority::P3, attempt, 0);
    store.add_facts(at(9, 3), mild, &[fact], &seen).await.unwrap();
    let worse = District::fact("spo2-low", Priority::P1, attempt, 1);
    store.add_facts(at(9, 4), mild, &[worse], &seen).await.unwrap();

    let kinds = |now, limit| async move {
        let messages = store.claim_messages(now, lease, limit).await.unwrap();
        messages.into_iter().map(|it| (it.kind, it.tries, it.case.case.facts.len(), it.id))
    };
    let claimed: Vec<_> = kinds(at(9, 5), 10).await.collect();
    let [(raised_kind, 0, 2, raised), (opened_kind, 0, 1, opened)] = claimed[..] else {
        panic!("{claimed:?}")
    };
    assert_eq!((raised_kind, opened_kind), (MessageKind::CaseRaised, MessageKind::CaseOpened));
    assert_eq!(kinds(at(9, 5), 10).await.count(), 0, "they are under way");

    store.message_delivered(at(9, 5), raised).await.unwrap();
    store.message_failed(at(9, 5), opened, at(9, 15), "503").await.unwrap();
    assert_eq!(kinds(at(9, 14), 10).await.count(), 0);
    let claimed: Vec<_> = kinds(at(9, 15), 10).await.collect();
    assert_eq!(claimed, [(MessageKind::CaseOpened, 1, 1, opened)], "the same content again");
    // Whoever claimed it died.
    assert_eq!(kinds(at(9, 15), 10).await.count(), 0);
    let claimed: Vec<_> = kinds(at(9, 16), 10).await.collect();
    assert_eq!(claimed, [(MessageKind::CaseOpened, 2, 1, opened)]);
    store.message_delivered(at(9, 17), opened).await.unwrap();
    store.message_failed(at(9, 17), opened, at(9, 18), "late").await.unwrap();
    assert_eq!(kinds(at(10, 0), 10).await.count(), 0, "taken is taken");
}

// --- views

async fn the_health_list_shows_who_is_silent(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (silent, _, _) = district.due(1).await;
    let (web, slot, _) = district.due(2).await;
    let whole = web_report(at(9, 1), Completion::Complete);
    assert_eq!(store.report(at(9, 1), web, &whole).await.unwrap(), Some(slot));
    store.close_slot(at(9, 30), district.due(3).await.1, SlotState::Unreached, None).await.unwrap();
    let (yesterday, _) = district.admit(4).await;
    let before = at(9, 0) - SignedDuration::from_hours(24);
    let told = web_report(before, Completion::Complete);
    store.report(before, yesterday.id, &told).await.unwrap();
    let (grave, slot, attempt) = {
        let (_, episode) = district.admit(5).await;
        let slot = district.slot(&episode).await;
        let attempt = district.attempt(slot, 1, number(5)).await;
        let claims = district.claim(at(9, 0)).await;
        assert_eq!(claims.len(), 2, "the first patient, too");
        (episode.patient, slot, attempt)
    };
    district.answer(attempt, &entry(0, "spo2", Answer::Number(91))).await;
    let low = Observation {
        code: "spo2".to_owned(),
        slot: Some(slot),
        value: Answer::Number(91),
        ..observation(store, grave, (attempt, 0))
    };
    let unheard = Observation {
        id: store.mint(at(9, 3)),
        code: "cough".to_owned(),
        value: Answer::Unanswered,
        effective_at: at(9, 9),
        ..low.clone()
    };
    store.save_observations(at(9, 3), &[(attempt, 0)], &[low.clone(), unheard]).await.unwrap();
    let fact = District::fact("spo2-low", Priority::P1, attempt, 0);
    let seen = Evaluated::default();
    let case = store.add_facts(at(9, 3), grave, &[fact], &seen).await.unwrap().case().unwrap();

    let list = store.health_list(DAY).await.unwrap();
    let order: Vec<_> = list.iter().map(|row| row.patient.registration_number.as_str()).collect();
    assert_eq!(order, ["A0005", "A0001", "A0003", "A0004", "A0002"]);
    assert_eq!(list[0].case, Some((case, Priority::P1, CaseState::Open)));
    let channel = Channel::OutboundCall;
    assert_eq!(list[0].report, DayReport::Partial { at: at(9, 2), channel });
    assert_eq!(list[0].latest.len(), 2);
    assert_eq!(list[0].attempts, 1);
    assert_eq!((list[1].patient.id, list[1].report), (silent, DayReport::NotReported));
    assert_eq!(list[2].report, DayReport::NotReported);
    assert_eq!(list[2].slots[0].state, SlotState::Unreached);
    assert_eq!(list[3].report, DayReport::NotReported, "yesterday is not today");
    assert_eq!(list[3].latest.len(), 2);
    assert_eq!(list[4].report, DayReport::Reported { at: at(9, 1), channel: Channel::Web });
    assert_eq!(list[4].health_center, district.center);

    let day_before = store.health_list(DAY.yesterday().unwrap()).await.unwrap();
    let row = day_before.iter().find(|row| row.patient.id == yesterday.id).unwrap();
    assert_eq!(row.report, DayReport::Reported { at: before, channel: Channel::Web });
    assert!(store.health_list(date(2027, 6, 1)).await.unwrap().is_empty());
}

async fn the_day_is_counted(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, attempt) = district.talking(1).await;
    district.answer(attempt, &entry(0, "temperature", Answer::Number(365))).await;
    let live = store.calls_in_progress().await.unwrap();
    assert_eq!((live[0].answers, live[0].last_question.as_deref()), (1, Some("temperature")));
    let over = outcome(Disposition::Answered, SlotState::Reported);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    let (_, _, busy) = district.talking(2).await;
    let over = Outcome { completion: None, ..outcome(Disposition::Busy, SlotState::Due) };
    store.finish_attempt(at(9, 5), busy, &over).await.unwrap();
    let (_, _, waiting) = district.due(3).await;

    let funnel = store.funnel(DAY).await.unwrap();
    assert_eq!(funnel.slots, [(SlotState::Due, 2), (SlotState::Reported, 1)]);
    assert_eq!(funnel.attempts, [(AttemptState::Due, 1), (AttemptState::Done, 2)]);
    assert_eq!(funnel.dispositions, [(Disposition::Answered, 1), (Disposition::Busy, 1)]);
    assert_eq!(funnel.completions, [(Completion::Complete, 1)]);
    assert_eq!(store.funnel(DAY.tomorrow().unwrap()).await.unwrap().slots, []);

    let attempts = store.attempts_of_day(DAY).await.unwrap();
    let shown: Vec<_> = attempts.iter().map(|it| (it.attempt.id, it.answers)).collect();
    assert_eq!(shown.len(), 3);
    for expected in [(attempt, 1), (busy, 0), (waiting, 0)] {
        assert!(shown.contains(&expected), "{shown:?}");
    }
    assert!(attempts.iter().all(|it| it.patient.phones[0].number == it.attempt.phone));
}

async fn a_change_wakes_who_waits(database: Database) {
    let district = District::new(&database).await;
    let mut changes = district.store.clone().changes(&Topic::ALL);
    changes.mark_unchanged();
    let (_, _, attempt) = district.due(1).await;
    assert!(changes.has_changed());
    changes.mark_unchanged();
    district.store.health_list(DAY).await.unwrap();
    district.store.rescue_expired(at(9, 0)).await.unwrap();
    assert!(!changes.has_changed(), "nothing was changed");
    district.claim(at(9, 0)).await;
    assert!(changes.has_changed());
    changes.mark_unchanged();
    district.store.extend_lease(at(9, 1), attempt, Duration::from_mins(1)).await.unwrap();
    assert!(!changes.has_changed(), "nobody waits for a heartbeat");
    district.store.ping().await.unwrap();
}

// --- rules and faults

async fn the_tables_refuse_what_must_not_be(database: Database) {
    let district = District::new(&database).await;
    let (patient, slot, attempt) = district.talking(1).await;
    district.answer(attempt, &entry(0, "temperature", Answer::Number(375))).await;
    let (other, other_slot, other_attempt) = district.due(2).await;
    let (third, _, _) = district.due(3).await;
    let fact = District::fact("fever", Priority::P3, attempt, 0);
    let seen = Evaluated::default();
    let change = district.store.add_facts(at(9, 3), patient, &[fact], &seen).await.unwrap();
    let case = change.case().unwrap();
    let report = web_report(at(9, 0), Completion::Complete);
    district.store.report(at(9, 0), third, &report).await.unwrap();
    let copy = |table: &str, columns: &str, values: &str, id: &str| {
        format!("insert into {table} ({columns}) select {values} from {table} where {id}")
    };
    let attempt_columns = "id, slot_id, patient_id, number, phone, due_at, state, node, \
        lease_until, dialed_at, answered_at, created_at";
    let live = |slot: &str, patient: &str, phone: &str| {
        let values =
            format!("'x', {slot}, {patient}, 9, {phone}, 0, 'dialing', 'n', 1, 1, null, 0");
        copy("attempt", attempt_columns, &values, &format!("id = '{attempt}'"))
    };
    let (own_slot, own_patient) = (format!("'{slot}'"), format!("'{patient}'"));
    let (other_slot_, other_patient) = (format!("'{other_slot}'"), format!("'{other}'"));
    let drop_other = format!("update attempt set state = 'dropped' where id = '{other_attempt}'");
    for (statement, rule) in [
        // At most one.
        (live(&own_slot, &other_patient, "'+811'"), "attempt_open_of_slot"),
        (
            copy(
                "slot",
                "id, episode_id, patient_id, date, number, due_from, due_to, state, created_at",
                "'x', episode_id, patient_id, date, number, 1, 2, 'due', 0",
                &format!("id = '{slot}'"),
            ),
            "slot_of_the_day",
        ),
        (
            copy(
                "episode",
                "id, patient_id, first_day, last_day, call_times, state, created_at, updated_at",
                "'x', patient_id, first_day, last_day, call_times, state, 0, 0",
                &format!("patient_id = '{patient}'"),
            ),
            "episode_active_of_patient",
        ),
        (
            copy(
                "escalation_case",
                "id, patient_id, priority, state, opened_at",
                "'x', patient_id, 'p1', 'open', 0",
                &format!("id = '{case}'"),
            ),
            "case_open_of_patient",
        ),
        (
            copy(
                "case_fact",
                "case_id, position, rule, rule_set, priority, text, at, added_at, source, \
                 source_id, source_seq",
                "case_id, 9, rule, rule_set, priority, text, 0, 0, source, source_id, source_seq",
                &format!("case_id = '{case}'"),
            ),
            "case_fact_of_source",
        ),
        (
            copy(
                "observation",
                "id, patient_id, code, value, effective_at, respondent, channel, questionnaire, \
                 recorded_at",
                "code, patient_id, code, '1', effective_at, respondent, channel, questionnaire, 0",
                "code = 'temperature'",
            ),
            "observation_of_report",
        ),
        // States.
        ("update slot set state = 'done', settled_at = 1".to_owned(), "slot_state"),
        ("update slot set number = 5".to_owned(), "slot_number"),
        ("update slot set due_to = due_from".to_owned(), "slot_window"),
        ("update slot set settled_at = 1 where state = 'due'".to_owned(), "slot_settled"),
        (format!("update attempt set state = 'done' where id = '{other_attempt}'"), "attempt_d"),
        (format!("update attempt set state = 'lost' where id = '{other_attempt}'"), "attempt_"),
        (format!("update attempt set lease_until = null where id = '{attempt}'"), "attempt_lease"),
        ("update attempt set disposition = 'fine'".to_owned(), "attempt_d"),
        ("update attempt set respondent = 'cat'".to_owned(), "attempt_respondent"),
        ("update attempt set completion = 'half'".to_owned(), "attempt_completion"),
        ("update attempt set phone = '119'".to_owned(), "attempt_phone"),
        ("update patient_phone set number = '119'".to_owned(), "patient_phone_e164"),
        ("update patient_phone set role = 'work'".to_owned(), "patient_phone_role"),
        ("update patient set slow_speech = 2".to_owned(), "patient_flags"),
        ("update episode set state = 'gone'".to_owned(), "episode_state"),
        ("update episode set last_day = '2000-01-01'".to_owned(), "episode_days"),
        ("update answer set respondent = 'cat'".to_owned(), "answer_respondent"),
        ("update observation set channel = 'fax'".to_owned(), "observation_channel"),
        ("update observation set attempt_id = 'x'".to_owned(), "observation_source"),
        ("update escalation_case set state = 'closed'".to_owned(), "case_state"),
        ("update escalation_case set state = 'resolved'".to_owned(), "case_resolved"),
        ("update escalation_case set state = 'acknowledged'".to_owned(), "case_acknowledged"),
        ("update escalation_case set priority = 'p0'".to_owned(), "case_priority"),
        ("update case_fact set source = 'rumour'".to_owned(), "case_fact_source"),
        ("update message set kind = 'spam'".to_owned(), "message_kind"),
        // Rows that others rest on.
        ("delete from patient".to_owned(), "foreign_key"),
        ("update slot set patient_id = 'x'".to_owned(), "foreign_key"),
        ("update slot set date = null".to_owned(), "not_null"),
    ] {
        let refused = database.refusal(&statement).await;
        // Where one statement breaks two rules, databases differ in which they name.
        assert!(refused.starts_with(rule), "{statement}: {refused}");
    }
    database.execute(&drop_other).await;
    let same_number = format!("'{}'", number(1).e164());
    for (statement, rule) in [
        (live(&other_slot_, &other_patient, &same_number), "attempt_live_to_number"),
        (live(&other_slot_, &own_patient, "'+811'"), "attempt_live_of_patient"),
        (
            copy(
                "attempt",
                "id, slot_id, patient_id, number, phone, due_at, state, created_at",
                "'x', slot_id, patient_id, number, phone, 0, 'dropped', 0",
                &format!("id = '{attempt}'"),
            ),
            "attempt_of_slot",
        ),
    ] {
        assert_eq!(database.refusal(&statement).await, rule, "{statement}");
    }
}

async fn errors_name_rules_and_never_persons(database: Database) {
    let district = District::new(&database).await;
    let (mut patient, _) = district.someone(1);
    patient.phones[1].number = patient.phones[0].number.clone();
    let error = district.store.import_patient(at(0, 0), &patient, None).await.unwrap_err();
    assert_eq!(error.to_string(), "against the rule patient_phone_number");
    let shown = format!("{error} {error:?}");
    for secret in [patient.phones[0].number.e164(), "神崎", &patient.id.to_string(), "A0001"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Nothing half-done.
    assert!(district.store.find_patient("A0001", date(1950, 1, 2)).await.unwrap().is_empty());

    let (patient, _) = district.admit(2).await;
    let spoil = format!("update patient set birth_date = '1950-13-77' where id = '{}'", patient.id);
    database.execute(&spoil).await;
    let error = district.store.patient(patient.id).await.unwrap_err();
    assert_eq!(error.to_string(), "unreadable value in patient.birth_date");
    assert!(!format!("{error:?}").contains("1950"));
}

async fn a_database_that_is_gone_is_unavailable(database: Database) {
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(1).await;
    if database.is_sqlite() {
        district.store.close().await;
    } else {
        let (server, name) = database.url.split_once("localhost/").unwrap();
        let (name, socket) = name.split_once('?').unwrap();
        let server = format!("{server}localhost/postgres?{socket}");
        postgres::execute(&server, &format!("drop database {name} with (force)")).await;
    }
    let given = entry(0, "temperature", Answer::Number(375));
    let store = &district.store;
    for error in [
        store.record_answer(at(9, 2), attempt, &given, Respondent::Patient, FORM).await.err(),
        store.claim_due(at(9, 2), &claimant("one"), 1).await.err(),
        store.ping().await.err(),
        store.health_list(DAY).await.err(),
    ] {
        let error = error.unwrap();
        assert!(error.may_retry(), "{error}");
    }
}

async fn a_database_of_another_version_is_refused(database: Database) {
    database.open().await.close().await;
    database.open().await.close().await;
    let reopen = || async { Store::open(&database.url, [1; 32]).await.err().unwrap().to_string() };
    database.execute("update _sqlx_migrations set version = 999 where version = 5").await;
    assert_eq!(
        reopen().await,
        "cannot migrate the database: the database has version 999, which this program does not \
         know"
    );
    database
        .execute(
            "update _sqlx_migrations set version = 5 where version = 999; \
             update _sqlx_migrations set checksum = \
             (select checksum from _sqlx_migrations where version = 1) where version = 2",
        )
        .await;
    assert_eq!(
        reopen().await,
        "cannot migrate the database: version 2 was changed after it was applied"
    );
}

async fn the_claim_walks_along_an_index(database: Database) {
    let district = District::new(&database).await;
    let (_, episode) = district.admit(1).await;
    // A year of a large district: one plan for few rows says nothing.
    let many = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 4000)";
    let (id, patient) = (episode.id, episode.patient);
    database
        .execute(&format!(
            "insert into slot (id, episode_id, patient_id, date, number, due_from, due_to, state, \
             created_at, settled_at) {many} select 's' || i, '{id}', '{patient}', 'd' || i, 1, i, \
             i + 1, case when i > 3900 then 'due' else 'reported' end, 0, \
             case when i > 3900 then null else i end from n; \
             insert into attempt (id, slot_id, patient_id, number, phone, due_at, state, \
             created_at, dialed_at, ended_at, disposition) {many} select 'a' || i, 's' || i, \
             '{patient}', 1, '+81' || i, i, case when i > 3900 then 'due' else 'done' end, 0, \
             case when i > 3900 then null else i end, case when i > 3900 then null else i end, \
             case when i > 3900 then null else 'busy' end from n; \
             analyze"
        ))
        .await;
    let plan = district.store.explain_claim(at(9, 0)).await.unwrap().join("\n");
    // Along what is due, attempts or slots, past the few calls that are under way.
    assert!(plan.contains("attempt_due") || plan.contains("slot_due"), "{plan}");
    assert!(plan.contains("attempt_live_"), "{plan}");
    for whole_table in ["Seq Scan on attempt", "Seq Scan on slot", "SCAN l", "SCAN s"] {
        assert!(!plan.contains(whole_table), "{whole_table} is in:\n{plan}");
    }
}

/// A child writes answers and says which ones were acknowledged, until it is killed.
async fn killed_while_writing_it_keeps_what_it_acknowledged(database: Database) {
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(1).await;
    district.store.close().await;
    let mut child = writer(&database.url, attempt, "").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 25 {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        acknowledged.extend(line.strip_prefix("stored ").map(|seq| seq.parse::<u32>().unwrap()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines {
        // The last line may be cut short.
        let line = line.unwrap();
        let seq = line.strip_prefix("stored ").and_then(|seq| seq.parse::<u32>().ok());
        acknowledged.extend(seq.filter(|seq| *seq < 100_000));
    }
    let stored = database.open().await.transcript(attempt).await.unwrap();
    assert!(stored.len() >= acknowledged.len(), "{} of {}", stored.len(), acknowledged.len());
    for (seq, entry) in (0..).zip(&stored) {
        assert_eq!(entry.seq, seq, "without a gap");
    }
    assert!(acknowledged.iter().all(|seq| stored.iter().any(|entry| entry.seq == *seq)));
}

/// This program again, as the writer of answers only.
fn writer(url: &str, attempt: AttemptId, limits: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "store::the_writer_of_answers", "--ignored", "--nocapture"])
        .env("MIMAMORI_TEST_DATABASE", url)
        .env("MIMAMORI_TEST_ATTEMPT", attempt.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[tokio::test]
#[ignore = "the child of other tests: writes answers until it is killed or the disk is full"]
async fn the_writer_of_answers() {
    let url = env::var("MIMAMORI_TEST_DATABASE").expect("run by other tests only");
    let attempt: AttemptId = env::var("MIMAMORI_TEST_ATTEMPT").unwrap().parse().unwrap();
    let store = Store::open(&url, [3; 32]).await.unwrap();
    for seq in 0.. {
        let given = entry(seq, &"q".repeat(500), Answer::Choice(YesNo::Yes));
        let told = store.record_answer(at(9, 3), attempt, &given, Respondent::Patient, FORM).await;
        let line = match &told {
            Ok(()) => format!("stored {seq}"),
            Err(error) => format!("failed {error}"),
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}").unwrap();
        stdout.flush().unwrap();
        if told.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let database = Database::sqlite();
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(1).await;
    district.store.close().await;
    // A file may not grow beyond 1 MiB (blocks of 512 bytes); beyond it, writing fails.
    let written = writer(&database.url, attempt, "trap '' XFSZ; ulimit -f 2048;").output().unwrap();
    let said = String::from_utf8(written.stdout).unwrap();
    let last = said.lines().find(|line| line.starts_with("failed")).expect("the disk was full");
    assert!(last.starts_with("failed the database is not available (sqlite "), "{last}");
    let acknowledged = said.lines().filter(|line| line.starts_with("stored")).count();
    let store = database.open().await;
    assert_eq!(store.transcript(attempt).await.unwrap().len(), acknowledged);
    district_lives_on(&store, attempt, acknowledged).await;
}

/// With space again, the same store goes on.
async fn district_lives_on(store: &Store, attempt: AttemptId, next: usize) {
    let next = u32::try_from(next).unwrap();
    let given = entry(next, "cough", Answer::Choice(YesNo::No));
    store.record_answer(at(9, 4), attempt, &given, Respondent::Patient, FORM).await.unwrap();
    assert_eq!(store.transcript(attempt).await.unwrap().last(), Some(&given));
}

#[tokio::test]
async fn a_commit_is_on_the_disk() {
    let database = Database::sqlite();
    let store = database.open().await;
    store.close().await;
    // The journal mode is a property of the file.
    let mut connection = postgres::connect(&database.url).await;
    let row = sqlx::query("pragma journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "wal");
    connection.close().await.unwrap();
    assert!(fs::metadata(database.url.strip_prefix("sqlite://").unwrap()).unwrap().is_file());
}

#[tokio::test(start_paused = true)]
async fn virtual_time_stands_still_while_the_database_works() {
    let database = Database::sqlite();
    let store = Store::open_in_virtual_time(&database.url, [7; 32]).await.unwrap();
    let before = tokio::time::Instant::now();
    // Somebody waits for a deadline, so the paused clock would like to jump.
    let deadline = tokio::spawn(tokio::time::sleep(Duration::from_secs(1)));
    let district = District::with(store).await;
    let (_, _, attempt) = district.talking(1).await;
    for seq in 0..20 {
        district.answer(attempt, &entry(seq, "cough", Answer::Choice(YesNo::No))).await;
    }
    assert_eq!(tokio::time::Instant::now(), before);
    deadline.await.unwrap();
    assert!(tokio::time::Instant::now() > before);
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    for database in ["", "mysql://x", ":memory:", "postgres://[", "/nowhere/at/all/x.db"] {
        let error = Store::open(database, [1; 32]).await.err().unwrap();
        let expected = match database {
            "/nowhere/at/all/x.db" => "the database is not available (sqlite 14, cannot open)",
            _ => "not a database: expected a file or postgres://…",
        };
        assert_eq!(error.to_string(), expected, "{database}");
    }
}
