//! What both databases must do alike: each claim runs on SQLite and on PostgreSQL.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

mod campaign;
mod dial;
mod durability;
mod escalate;
mod observe;
mod opening;
mod registry;
mod rules;
mod schedule;
mod talk;
mod views;

use std::time::Duration;

use jiff::civil::{Date, Time, date, time};
use jiff::{SignedDuration, Timestamp, ToSpan};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{AttemptId, PatientId, SlotId};
use mimamori::base::{Language, PhoneNumber, Private};
use mimamori::call::{Completion, Disposition, Respondent, Timeline};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{AttemptState, NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::{Fact, Priority};
use mimamori::ivr::{Answer, Entry, Questionnaires, YesNo};
use mimamori::observation::{Channel, Observation};
use mimamori::registry::{Episode, HealthCenter, Patient, PatientPhone, PhoneRole, RiskFlag};
use mimamori::store::{Change, Claim, Claimant, Outcome, Report, Store, StoreError};
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

    /// The name of a snapshot that each database has its own of.
    pub(crate) fn named(&self, snapshot: &str) -> String {
        let dialect = if self.is_sqlite() { "sqlite" } else { "postgres" };
        format!("{snapshot}_{dialect}")
    }

    /// What a plan walks along, line by line. Of PostgreSQL, which takes now this index and now that
    /// where tables are small, how the tables that grow are read, in no order.
    pub(crate) fn walks(&self, plan: &[String]) -> String {
        if self.is_sqlite() {
            return plan.join("\n");
        }
        let mut walks = std::collections::BTreeSet::new();
        for table in ["attempt", "slot", "health_status"] {
            for line in plan.iter().filter(|line| line.contains(&format!(" on {table} "))) {
                let way = if line.contains("Seq Scan") { "row by row" } else { "by an index" };
                walks.insert(format!("{table} {way}"));
            }
        }
        walks.into_iter().collect::<Vec<_>>().join("\n")
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

    pub(crate) async fn with(store: Store) -> Self {
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
                PatientPhone { number: number(n), role: PhoneRole::Home, may_call: true },
                PatientPhone {
                    number: number(n + 500_000),
                    role: PhoneRole::Family,
                    may_call: true,
                },
            ],
        };
        let episode = Episode {
            id: self.store.mint(at(0, 0)),
            patient: patient.id,
            first_day: DAY.saturating_sub(3.days()),
            last_day: DAY.saturating_add(7.days()),
            call_times: vec![MORNING, time(15, 30, 0, 0)],
            arrangement: mimamori::registry::Arrangement::default(),
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

    pub(crate) async fn slot_between(
        &self,
        episode: &Episode,
        number: u8,
        due_from: Timestamp,
        due_to: Timestamp,
    ) -> SlotId {
        let patient = episode.patient;
        let slot = NewSlot {
            episode: episode.id,
            patient,
            date: DAY,
            number,
            due_from,
            due_to,
            kind: SlotKind::Planned,
            campaign: None,
            rest: None,
        };
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
        let planned = PlannedAttempt {
            slot,
            number,
            phone,
            due_at,
            campaign: None,
            priority: Precedence::First,
        };
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
        trunk: "main".to_owned(),
        trunk_group: None,
        questionnaires: Questionnaires::shipped().keys().clone(),
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
