//! From answers to observations, and reports by other ways than our call.

use std::fmt;

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use sqlx::AnyConnection;

use crate::base::clock::{civil, timestamp};
use crate::base::id::{AttemptId, ObservationId, PatientId, SlotId};
use crate::call::{Completion, Respondent};
use crate::campaign::SlotState;
use crate::ivr::{Answer, Entry};
use crate::observation::{Channel, Observation};
use crate::store::registry::episodes_on;
use crate::store::row::{self, Fields, millis, select_answers, select_observations};
use crate::store::schedule::drop_due_attempt;
use crate::store::{Dialect, Store, StoreError, Topic};

/// An answer that nobody has made an observation of.
#[derive(Clone, Debug)]
pub struct GivenAnswer {
    /// The attempt in whose call it was given.
    pub attempt: AttemptId,
    /// The slot of that attempt.
    pub slot: SlotId,
    /// About whom.
    pub patient: PatientId,
    /// What was asked and answered.
    pub entry: Entry,
    /// Who answered.
    pub respondent: Respondent,
    /// The questionnaire that asked, as `id@version`.
    pub questionnaire: String,
}

/// What a patient reported by another way than our call, or a member of the staff wrote down. Its
/// `Debug` hides the values.
#[derive(Clone)]
pub struct Report {
    /// By which way. [`Channel::OutboundCall`] reports by answers, not by this.
    pub channel: Channel,
    /// Who said it.
    pub respondent: Respondent,
    /// The form, as `id@version`.
    pub questionnaire: String,
    /// When it was so. The same patient, channel, moment and code is the same observation.
    pub effective_at: Timestamp,
    /// Codes and values.
    pub values: Vec<(String, Answer)>,
    /// Whether everything that is required was given: settles the open slot as reported, or else
    /// as partial.
    pub completion: Completion,
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (channel, n_values) = (self.channel.as_str(), self.values.len());
        write!(f, "Report({channel} at {}, {n_values} values)", self.effective_at)
    }
}

impl Store {
    /// Answers without observations, the oldest first.
    pub async fn answers_to_observe(&self, limit: u32) -> Result<Vec<GivenAnswer>, StoreError> {
        const TO_OBSERVE: &str = select_answers!(
            "where w.observed_at is null order by w.recorded_at, w.attempt_id, w.seq limit $1"
        );
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(TO_OBSERVE).bind(i64::from(limit)).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("answer", row);
                Ok(GivenAnswer {
                    attempt: fields.parsed("attempt_id")?,
                    slot: fields.parsed("slot_id")?,
                    patient: fields.parsed("patient_id")?,
                    entry: row::entry(row)?,
                    respondent: fields.word("respondent", Respondent::parse)?,
                    questionnaire: fields.text("questionnaire")?.to_owned(),
                })
            })
            .collect()
    }

    /// Saves what was derived from these answers, and marks them as observed, all at once. An
    /// observation that exists already (by source and code) stays as it is.
    pub async fn save_observations(
        &self,
        now: Timestamp,
        answers: &[(AttemptId, u32)],
        observations: &[Observation],
    ) -> Result<(), StoreError> {
        const MARK: &str = "update answer set observed_at = $3 \
            where attempt_id = $1 and seq = $2 and observed_at is null";
        let mut session = self.write().await?;
        for observation in observations {
            insert(session.connection(), now, observation).await?;
        }
        for (attempt, seq) in answers {
            sqlx::query(MARK)
                .bind(attempt.to_string())
                .bind(i64::from(*seq))
                .bind(millis(now))
                .execute(session.connection())
                .await?;
        }
        session.commit(&[Topic::Observation]).await
    }

    /// Takes a report by web, staff or an inbound call. The patient's slot whose window is open,
    /// or else the last one of the day that nobody settled well, is settled by it, and its due
    /// attempt is dropped. A slot later on is judged when its attempt is claimed.
    pub async fn report(
        &self,
        now: Timestamp,
        patient: PatientId,
        report: &Report,
    ) -> Result<Option<SlotId>, StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        self.lock_patient(connection, patient).await?;
        let slot = settle_open_slot(connection, now, patient, report.completion).await?;
        for (code, value) in &report.values {
            let observation = Observation {
                id: self.mint::<ObservationId>(now),
                patient,
                slot,
                source: None,
                code: code.clone(),
                value: *value,
                effective_at: report.effective_at,
                respondent: report.respondent,
                channel: report.channel,
                questionnaire: report.questionnaire.clone(),
                supersedes: None,
            };
            insert(connection, now, &observation).await?;
        }
        session.commit(&[Topic::Observation, Topic::Over]).await?;
        Ok(slot)
    }

    /// The observations of a patient with `from <= effective_at < to`, oldest first, without those
    /// that were corrected.
    pub async fn observations(
        &self,
        patient: PatientId,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<Vec<Observation>, StoreError> {
        let mut session = self.glance().await?;
        observations_of(session.connection(), patient, from, to).await
    }

    /// The latest observation per patient and code, up to the end of the day, of all patients
    /// under observation on that day.
    pub async fn latest_observations(&self, date: Date) -> Result<Vec<Observation>, StoreError> {
        let mut session = self.read().await?;
        latest_observations(session.connection(), date).await
    }
}

impl Store {
    /// Lets one transaction at a time decide about a patient.
    pub(super) async fn lock_patient(
        &self,
        connection: &mut AnyConnection,
        patient: PatientId,
    ) -> Result<(), StoreError> {
        // `begin immediate` has locked the whole file.
        const SQLITE_LOCK: &str = "select p.id from patient p where p.id = $1";
        const POSTGRES_LOCK: &str = "select p.id from patient p where p.id = $1 for no key update";
        let lock = match self.dialect {
            Dialect::Sqlite => SQLITE_LOCK,
            Dialect::Postgres => POSTGRES_LOCK,
        };
        let row = sqlx::query(lock).bind(patient.to_string()).fetch_optional(connection).await?;
        row.map(|_| ()).ok_or(StoreError::NotFound { what: "patient" })
    }
}

/// The slot that a report settles, if there is one.
pub(super) async fn settle_open_slot(
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: PatientId,
    completion: Completion,
) -> Result<Option<SlotId>, StoreError> {
    // What follows from answers is judged when its attempt is claimed: it wants one value.
    const OPEN: &str = "select s.id, s.state from slot s \
        where s.kind not in ('remeasure', 'recall') and s.patient_id = $1 and s.date = $2 and s.due_from <= $3 \
        and s.state in ('due', 'in_progress', 'unreached', 'partial', 'expired') \
        order by case when s.state in ('due', 'in_progress') then 0 else 1 end, \
        s.due_from desc limit 1";
    const SETTLE: &str = "update slot set state = $2, settled_at = $3, reason = null where id = $1";
    let row = sqlx::query(OPEN)
        .bind(patient.to_string())
        .bind(civil(now).date().to_string())
        .bind(millis(now))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::new("slot", &row);
    let slot: SlotId = fields.parsed("id")?;
    let after = match completion {
        Completion::Complete => SlotState::Reported,
        _ => SlotState::Partial,
    };
    // The call that is under way may still make it whole.
    let is_under_way = fields.word("state", SlotState::parse)? == SlotState::InProgress;
    if after == SlotState::Reported || !is_under_way {
        sqlx::query(SETTLE)
            .bind(slot.to_string())
            .bind(after.as_str())
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        drop_due_attempt(connection, slot).await?;
    }
    Ok(Some(slot))
}

macro_rules! insert_observation {
    ($conflict:literal) => {
        concat!(
            "insert into observation (id, patient_id, slot_id, attempt_id, seq, code, value, \
             effective_at, respondent, channel, questionnaire, supersedes, recorded_at) \
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ",
            $conflict
        )
    };
}

/// One that exists already, by its source or by its report, stays as it is.
pub(super) async fn insert(
    connection: &mut AnyConnection,
    now: Timestamp,
    observation: &Observation,
) -> Result<(), StoreError> {
    const OF_ANSWER: &str = insert_observation!(
        "on conflict (attempt_id, seq, code) where attempt_id is not null do nothing"
    );
    const OF_REPORT: &str = insert_observation!(
        "on conflict (patient_id, channel, effective_at, code) where attempt_id is null do nothing"
    );
    // The key of an index that does not apply would not be caught: one text for each source.
    sqlx::query(if observation.source.is_some() { OF_ANSWER } else { OF_REPORT })
        .bind(observation.id.to_string())
        .bind(observation.patient.to_string())
        .bind(observation.slot.map(|slot| slot.to_string()))
        .bind(observation.source.map(|(attempt, _)| attempt.to_string()))
        .bind(observation.source.map(|(_, seq)| i64::from(seq)))
        .bind(observation.code.as_str())
        .bind(observation.value.to_text())
        .bind(millis(observation.effective_at))
        .bind(observation.respondent.as_str())
        .bind(observation.channel.as_str())
        .bind(observation.questionnaire.as_str())
        .bind(observation.supersedes.map(|id| id.to_string()))
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn observations_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    from: Timestamp,
    to: Timestamp,
) -> Result<Vec<Observation>, StoreError> {
    const OF_PATIENT: &str = select_observations!(
        "where o.patient_id = $1 and o.effective_at >= $2 and o.effective_at < $3 \
         and not exists (select 1 from observation c where c.supersedes = o.id) \
         order by o.effective_at, o.id"
    );
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    rows.iter().map(row::observation).collect()
}

/// The latest per patient and code, within each episode and up to the end of the day.
pub(super) async fn latest_observations(
    connection: &mut AnyConnection,
    date: Date,
) -> Result<Vec<Observation>, StoreError> {
    const LATEST: &str = "select o.id, o.patient_id, o.slot_id, o.attempt_id, o.seq, o.code, \
        o.value, o.effective_at, o.respondent, o.channel, o.questionnaire, o.supersedes from \
        (select n.*, row_number() over (partition by n.patient_id, n.code \
        order by n.effective_at desc, n.id desc) as age from observation n \
        where n.effective_at < $2 and n.patient_id in (select e.patient_id from episode e \
        where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1) \
        and not exists (select 1 from observation c where c.supersedes = n.id)) o \
        where o.age = 1 order by o.patient_id, o.code";
    let episodes = episodes_on(connection, date).await?;
    let rows = sqlx::query(LATEST)
        .bind(date.to_string())
        .bind(millis(end_of(date)))
        .fetch_all(connection)
        .await?;
    let mut latest: Vec<Observation> =
        rows.iter().map(row::observation).collect::<Result<_, _>>()?;
    latest.retain(|observation| {
        let episode = episodes.get(&observation.patient);
        episode.is_some_and(|it| it.first_day <= civil(observation.effective_at).date())
    });
    Ok(latest)
}

/// The first moment of the next day in Japan.
fn end_of(date: Date) -> Timestamp {
    timestamp(date.to_datetime(Time::midnight()).saturating_add(1.day()))
}
