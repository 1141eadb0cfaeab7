//! Rows a page at a time, each page beginning after the last row of the one before, as far as a
//! scope reaches.

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::any::AnyRow;

use crate::base::id::{AttemptId, ObservationId, PatientId};
use crate::campaign::Attempt;
use crate::ivr::Entry;
use crate::observation::Observation;
use crate::registry::{Episode, Patient};
use crate::store::registry::{episode, episode_columns, fold_patients, select_patients};
use crate::store::row::{
    self, Fields, millis, select_answers, select_attempts, select_observations,
};
use crate::store::{StoreError, Within};

impl Within<'_> {
    /// Patients by registration number, the next `limit` after that one; with a registration
    /// number, those who have it.
    pub async fn patients_after(
        &self,
        registration_number: Option<&str>,
        after: Option<(&str, PatientId)>,
        limit: u32,
    ) -> Result<Vec<Patient>, StoreError> {
        const AFTER: &str = select_patients!(
            "where p.id in (select q.id from patient q where q.health_center_id = $1 \
             and ($2 = '' or q.clinic_id = $2) and ($3 = '' or q.registration_number = $3) \
             and (q.registration_number > $4 or (q.registration_number = $4 and q.id > $5)) \
             order by q.registration_number, q.id limit $6)"
        );
        let (number, id) = match after {
            Some((number, id)) => (number, id.to_string()),
            None => ("", String::new()),
        };
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(AFTER)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(registration_number.unwrap_or_default())
            .bind(number)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        fold_patients(&rows)
    }

    /// The episodes of a patient, the newest first: whether it is active, and the episode.
    pub async fn episodes(&self, patient: PatientId) -> Result<Vec<(bool, Episode)>, StoreError> {
        const OF_PATIENT: &str = concat!(
            "select ",
            episode_columns!(),
            ", e.state from episode e join patient p on p.id = e.patient_id \
             where e.patient_id = $1 and p.health_center_id = $2 \
             and ($3 = '' or p.clinic_id = $3) order by e.first_day desc, e.id"
        );
        let rows = self.of_patient(OF_PATIENT, patient).await?;
        rows.iter()
            .map(|row| Ok((Fields::new("episode", row).text("state")? == "active", episode(row)?)))
            .collect()
    }

    /// Observations of a patient since then, the newest first, the next `limit` after that one.
    /// Those that were corrected are among them: the correction names them.
    pub async fn observations_after(
        &self,
        patient: PatientId,
        since: Timestamp,
        after: Option<(Timestamp, ObservationId)>,
        limit: u32,
    ) -> Result<Vec<Observation>, StoreError> {
        const AFTER: &str = select_observations!(
            "join patient p on p.id = o.patient_id where o.patient_id = $1 \
             and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3) \
             and o.effective_at >= $4 \
             and (o.effective_at < $5 or (o.effective_at = $5 and o.id < $6)) \
             order by o.effective_at desc, o.id desc limit $7"
        );
        let (at, id) = match after {
            Some((at, id)) => (millis(at), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(AFTER)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(millis(since))
            .bind(at)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(row::observation).collect()
    }

    /// Attempts at a patient, those of the last slots first, the next `limit` after that one.
    pub async fn attempts_after(
        &self,
        patient: PatientId,
        after: Option<(Timestamp, AttemptId)>,
        limit: u32,
    ) -> Result<Vec<Attempt>, StoreError> {
        const AFTER: &str = select_attempts!(
            "join patient p on p.id = a.patient_id where a.patient_id = $1 \
             and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3) \
             and (a.due_at < $4 or (a.due_at = $4 and a.id < $5)) \
             order by a.due_at desc, a.id desc limit $6"
        );
        let (at, id) = match after {
            Some((at, id)) => (millis(at), id.to_string()),
            None => (i64::MAX, String::new()),
        };
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(AFTER)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(at)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(row::attempt).collect()
    }

    /// One attempt, whom it called, and what was asked and answered.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for an attempt at somebody else's patient.
    pub async fn call(
        &self,
        id: AttemptId,
    ) -> Result<(PatientId, Attempt, Vec<Entry>), StoreError> {
        const BY_ID: &str = select_attempts!(
            "join patient p on p.id = a.patient_id where a.id = $1 and p.health_center_id = $2 \
             and ($3 = '' or p.clinic_id = $3)"
        );
        const ANSWERS: &str = select_answers!("where w.attempt_id = $1 order by w.seq");
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let row = sqlx::query(BY_ID)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(StoreError::NotFound { what: "attempt" })?;
        let rows = sqlx::query(ANSWERS).bind(id.to_string()).fetch_all(connection).await?;
        let entries = rows.iter().map(row::entry).collect::<Result<_, _>>()?;
        Ok((Fields::new("attempt", &row).parsed("patient_id")?, row::attempt(&row)?, entries))
    }

    /// Attempts at the slots of a day by the time at which they are due, the next `limit` after
    /// that one, each with whom it calls.
    pub async fn attempts_of_day_after(
        &self,
        date: Date,
        after: Option<(Timestamp, AttemptId)>,
        limit: u32,
    ) -> Result<Vec<(PatientId, Attempt)>, StoreError> {
        const AFTER: &str = select_attempts!(
            "join slot s on s.id = a.slot_id join patient p on p.id = a.patient_id \
             where s.date = $1 and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3) \
             and (a.due_at > $4 or (a.due_at = $4 and a.id > $5)) \
             order by a.due_at, a.id limit $6"
        );
        let (at, id) = match after {
            Some((at, id)) => (millis(at), id.to_string()),
            None => (i64::MIN, String::new()),
        };
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(AFTER)
            .bind(date.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(at)
            .bind(id)
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        rows.iter()
            .map(|row| Ok((Fields::new("attempt", row).parsed("patient_id")?, row::attempt(row)?)))
            .collect()
    }

    async fn of_patient(
        &self,
        statement: &'static str,
        patient: PatientId,
    ) -> Result<Vec<AnyRow>, StoreError> {
        let mut session = self.store.glance().await?;
        Ok(sqlx::query(statement)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_all(session.connection())
            .await?)
    }
}
