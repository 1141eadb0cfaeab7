//! What staff look at: the list of the day, the calls, the numbers.

use std::cmp::Reverse;
use std::collections::HashMap;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::clock::civil;
use crate::base::id::{AttemptId, CaseId, PatientId};
use crate::call::{Completion, Disposition};
use crate::campaign::{Attempt, AttemptState, Slot, SlotState};
use crate::escalation::{CaseState, Priority};
use crate::ivr::Answer;
use crate::observation::{Channel, Observation};
use crate::registry::{Episode, HealthCenter, Patient};
use crate::store::observe::latest_observations;
use crate::store::registry::{
    center_of, episodes_on, fold_patients, health_centers, patients_on, select_patients,
};
use crate::store::row::{self, Fields, millis, select_attempts, select_slots};
use crate::store::{Store, StoreError};

/// One patient in 健康状態一覧.
#[derive(Clone, Debug)]
pub struct HealthRow {
    /// The patient.
    pub patient: Patient,
    /// Who looks after the patient.
    pub health_center: HealthCenter,
    /// The days under observation.
    pub episode: Episode,
    /// Whether the patient has reported on this day. Never left open.
    pub report: DayReport,
    /// The latest observation per code up to the end of the day, also of earlier days: look at
    /// `effective_at`. By code.
    pub latest: Vec<Observation>,
    /// The slots of the day, by number.
    pub slots: Vec<Slot>,
    /// When the next attempt of the day is due.
    pub next_attempt: Option<Timestamp>,
    /// Calls of the day that were made so far.
    pub attempts: u32,
    /// The case that is not resolved.
    pub case: Option<(CaseId, Priority, CaseState)>,
}

/// Whether a patient has reported on a day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DayReport {
    /// Nothing was heard: 未報告.
    NotReported,
    /// Something was answered, but not all that is required.
    Partial {
        /// When the last of it was heard.
        at: Timestamp,
        /// By which way.
        channel: Channel,
    },
    /// Reported.
    Reported {
        /// When the last of it was heard.
        at: Timestamp,
        /// By which way.
        channel: Channel,
    },
}

/// One attempt of a day.
#[derive(Clone, Debug)]
pub struct AttemptOfDay {
    /// The attempt.
    pub attempt: Attempt,
    /// Whom it called.
    pub patient: Patient,
    /// How many answers were given.
    pub answers: u32,
}

/// How far the day has come, in numbers.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Funnel {
    /// Slots of the day by state; states without slots are left out.
    pub slots: Vec<(SlotState, u32)>,
    /// Attempts at them by state.
    pub attempts: Vec<(AttemptState, u32)>,
    /// Attempts that are over, by how the telephone part ended.
    pub dispositions: Vec<(Disposition, u32)>,
    /// Answered attempts by how far the dialogue came.
    pub completions: Vec<(Completion, u32)>,
}

/// A call that is under way.
#[derive(Clone, Debug)]
pub struct LiveCall {
    /// The attempt.
    pub attempt: AttemptId,
    /// The patient.
    pub patient: PatientId,
    /// Dialing or talking.
    pub state: AttemptState,
    /// When the dialling was committed.
    pub dialed_at: Timestamp,
    /// When it was taken.
    pub answered_at: Option<Timestamp>,
    /// How many answers were given.
    pub answers: u32,
    /// The code of the question that was answered last.
    pub last_question: Option<String>,
}

impl Store {
    /// The attempts at a patient that were placed since then, the oldest first.
    pub async fn attempts_of(
        &self,
        patient: PatientId,
        since: Timestamp,
    ) -> Result<Vec<Attempt>, StoreError> {
        const OF_PATIENT: &str = select_attempts!(
            "where a.patient_id = $1 and a.dialed_at >= $2 order by a.dialed_at, a.id"
        );
        let mut session = self.glance().await?;
        let rows = sqlx::query(OF_PATIENT)
            .bind(patient.to_string())
            .bind(millis(since))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(row::attempt).collect()
    }

    /// The slots of a patient on a day, by number.
    pub async fn slots_of(&self, patient: PatientId, date: Date) -> Result<Vec<Slot>, StoreError> {
        const OF_PATIENT: &str =
            select_slots!("where s.patient_id = $1 and s.date = $2 order by s.number");
        let mut session = self.glance().await?;
        let rows = sqlx::query(OF_PATIENT)
            .bind(patient.to_string())
            .bind(date.to_string())
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(row::slot).collect()
    }

    /// 健康状態一覧: every patient under observation on that day. Those with the gravest case come
    /// first, then those who have not reported, then by registration number.
    pub async fn health_list(&self, date: Date) -> Result<Vec<HealthRow>, StoreError> {
        let mut session = self.read().await?;
        let connection = session.connection();
        let centers = health_centers(connection).await?;
        let mut episodes = episodes_on(connection, date).await?;
        let mut slots = slots_of_day(connection, date).await?;
        let mut latest: HashMap<PatientId, Vec<Observation>> = HashMap::new();
        for observation in latest_observations(connection, date).await? {
            latest.entry(observation.patient).or_default().push(observation);
        }
        let calls = calls_of_day(connection, date).await?;
        let cases = unresolved_cases(connection).await?;
        let mut list = Vec::new();
        for patient in patients_on(connection, date).await? {
            let Some(episode) = episodes.remove(&patient.id) else { continue };
            let slots = slots.remove(&patient.id).unwrap_or_default();
            let latest = latest.remove(&patient.id).unwrap_or_default();
            let (attempts, next_attempt) = calls.get(&patient.id).copied().unwrap_or_default();
            list.push(HealthRow {
                health_center: center_of(&centers, &patient)?,
                report: day_report(date, &slots, &latest),
                case: cases.get(&patient.id).copied(),
                episode,
                latest,
                slots,
                next_attempt,
                attempts,
                patient,
            });
        }
        list.sort_by(|one, other| sort_key(one).cmp(&sort_key(other)));
        Ok(list)
    }

    /// All attempts at slots of that day, in the order of their times.
    pub async fn attempts_of_day(&self, date: Date) -> Result<Vec<AttemptOfDay>, StoreError> {
        const OF_DAY: &str = select_attempts!(
            "join slot s on s.id = a.slot_id where s.date = $1 \
             order by coalesce(a.dialed_at, a.due_at), a.id"
        );
        const PATIENTS: &str =
            select_patients!("where p.id in (select s.patient_id from slot s where s.date = $1)");
        const ANSWERS: &str = "select w.attempt_id, count(*) as answers from answer w \
            join slot s on s.id = w.slot_id where s.date = $1 group by w.attempt_id";
        let mut session = self.read().await?;
        let connection = session.connection();
        let rows = of_day(connection, OF_DAY, date).await?;
        let patients = fold_patients(&of_day(connection, PATIENTS, date).await?)?;
        let patients: HashMap<_, _> = patients.into_iter().map(|one| (one.id, one)).collect();
        let mut answers: HashMap<AttemptId, u32> = HashMap::new();
        for row in &of_day(connection, ANSWERS, date).await? {
            let fields = Fields::new("answer", row);
            answers.insert(fields.parsed("attempt_id")?, fields.integer("answers")?);
        }
        rows.iter()
            .map(|row| {
                let attempt = row::attempt(row)?;
                let patient: PatientId = Fields::new("attempt", row).parsed("patient_id")?;
                Ok(AttemptOfDay {
                    answers: answers.get(&attempt.id).copied().unwrap_or(0),
                    attempt,
                    patient: patients
                        .get(&patient)
                        .cloned()
                        .ok_or(StoreError::NotFound { what: "patient" })?,
                })
            })
            .collect()
    }

    /// How far that day has come.
    pub async fn funnel(&self, date: Date) -> Result<Funnel, StoreError> {
        const SLOTS: &str = "select s.state as word, count(*) as n from slot s \
            where s.date = $1 group by s.state";
        const ATTEMPTS: &str = "select a.state as word, count(*) as n from attempt a \
            join slot s on s.id = a.slot_id where s.date = $1 group by a.state";
        const DISPOSITIONS: &str = "select a.disposition as word, count(*) as n from attempt a \
            join slot s on s.id = a.slot_id where s.date = $1 and a.disposition is not null \
            group by a.disposition";
        const COMPLETIONS: &str = "select a.completion as word, count(*) as n from attempt a \
            join slot s on s.id = a.slot_id where s.date = $1 and a.completion is not null \
            group by a.completion";
        let mut session = self.read().await?;
        let connection = session.connection();
        let slots = of_day(connection, SLOTS, date).await?;
        let attempts = of_day(connection, ATTEMPTS, date).await?;
        let dispositions = of_day(connection, DISPOSITIONS, date).await?;
        let completions = of_day(connection, COMPLETIONS, date).await?;
        Ok(Funnel {
            slots: counts("slot", &slots, &SlotState::ALL, SlotState::as_str)?,
            attempts: counts("attempt", &attempts, &AttemptState::ALL, AttemptState::as_str)?,
            dispositions: counts("attempt", &dispositions, &Disposition::ALL, Disposition::as_str)?,
            completions: counts("attempt", &completions, &Completion::ALL, Completion::as_str)?,
        })
    }

    /// The calls under way, the oldest first.
    pub async fn calls_in_progress(&self) -> Result<Vec<LiveCall>, StoreError> {
        const LIVE: &str = "select a.id, a.patient_id, a.state, a.dialed_at, a.answered_at, \
            (select count(*) from answer w where w.attempt_id = a.id) as answers, \
            (select w.question from answer w where w.attempt_id = a.id \
            order by w.seq desc limit 1) as last_question \
            from attempt a where a.state in ('dialing', 'talking') order by a.dialed_at, a.id";
        let mut session = self.read().await?;
        let rows = sqlx::query(LIVE).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("attempt", row);
                Ok(LiveCall {
                    attempt: fields.parsed("id")?,
                    patient: fields.parsed("patient_id")?,
                    state: fields.word("state", AttemptState::parse)?,
                    dialed_at: fields.time("dialed_at")?,
                    answered_at: fields.time_or_null("answered_at")?,
                    answers: fields.integer("answers")?,
                    last_question: fields.text_or_null("last_question")?.map(str::to_owned),
                })
            })
            .collect()
    }
}

async fn of_day(
    connection: &mut AnyConnection,
    statement: &'static str,
    date: Date,
) -> Result<Vec<AnyRow>, StoreError> {
    Ok(sqlx::query(statement).bind(date.to_string()).fetch_all(connection).await?)
}

/// Rows of `word` and `n` in the order of the words.
fn counts<T: Copy>(
    table: &'static str,
    rows: &[AnyRow],
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<Vec<(T, u32)>, StoreError> {
    let mut counted = Vec::new();
    for &one in all {
        for row in rows {
            let fields = Fields::new(table, row);
            if fields.text("word")? == as_str(one) {
                counted.push((one, fields.integer("n")?));
            }
        }
    }
    Ok(counted)
}

async fn slots_of_day(
    connection: &mut AnyConnection,
    date: Date,
) -> Result<HashMap<PatientId, Vec<Slot>>, StoreError> {
    const OF_DAY: &str = select_slots!("where s.date = $1 order by s.number");
    let mut slots: HashMap<PatientId, Vec<Slot>> = HashMap::new();
    for row in &of_day(connection, OF_DAY, date).await? {
        let slot = row::slot(row)?;
        slots.entry(slot.patient).or_default().push(slot);
    }
    Ok(slots)
}

/// Per patient: how many calls were made, and when the next is due.
async fn calls_of_day(
    connection: &mut AnyConnection,
    date: Date,
) -> Result<HashMap<PatientId, (u32, Option<Timestamp>)>, StoreError> {
    const CALLS: &str = "select a.patient_id, \
        count(case when a.state in ('dialing', 'talking', 'done') then 1 end) as calls, \
        min(case when a.state = 'due' then a.due_at end) as due_at \
        from attempt a join slot s on s.id = a.slot_id where s.date = $1 group by a.patient_id";
    let rows = of_day(connection, CALLS, date).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("attempt", row);
            let calls = (fields.integer("calls")?, fields.time_or_null("due_at")?);
            Ok((fields.parsed("patient_id")?, calls))
        })
        .collect()
}

async fn unresolved_cases(
    connection: &mut AnyConnection,
) -> Result<HashMap<PatientId, (CaseId, Priority, CaseState)>, StoreError> {
    const UNRESOLVED: &str = "select k.id, k.patient_id, k.priority, k.state \
        from escalation_case k where k.state in ('open', 'acknowledged')";
    let rows = sqlx::query(UNRESOLVED).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("escalation_case", row);
            let case = (
                fields.parsed("id")?,
                fields.word("priority", Priority::parse)?,
                fields.word("state", CaseState::parse)?,
            );
            Ok((fields.parsed("patient_id")?, case))
        })
        .collect()
}

/// Silence is no report: an observation that is unanswered does not count.
fn day_report(date: Date, slots: &[Slot], latest: &[Observation]) -> DayReport {
    let newest = latest
        .iter()
        .filter(|observation| civil(observation.effective_at).date() == date)
        .filter(|observation| observation.value != Answer::Unanswered)
        .max_by_key(|observation| observation.effective_at);
    newest.map_or(DayReport::NotReported, |newest| {
        DayReport::of(slots, newest.effective_at, newest.channel)
    })
}

impl DayReport {
    /// What it means that something was heard, last at this moment and by this way.
    pub(super) fn of(slots: &[Slot], at: Timestamp, channel: Channel) -> Self {
        let has = |state| slots.iter().any(|slot| slot.state == state);
        let by_call = channel == Channel::OutboundCall;
        // A slot is skipped when another channel has reported, or for a pause, which is no report;
        // without slots, that channel is all that there is.
        let is_met = |slot: &Slot| slot.state == SlotState::Skipped && slot.pause.is_none();
        if has(SlotState::Reported) || slots.iter().any(is_met) || (!by_call && slots.is_empty()) {
            Self::Reported { at, channel }
        } else {
            Self::Partial { at, channel }
        }
    }
}

fn sort_key(row: &HealthRow) -> (Reverse<Option<Priority>>, u8, &str) {
    let silence = match row.report {
        DayReport::NotReported => 0,
        DayReport::Partial { .. } => 1,
        DayReport::Reported { .. } => 2,
    };
    let priority = row.case.map(|(_, priority, _)| priority);
    (Reverse(priority), silence, &row.patient.registration_number)
}
