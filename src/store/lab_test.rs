//! Tests of specimens, as staff wrote them down: what they are worth is for the rules of release.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::clock::civil;
use crate::base::id::{EpisodeId, LabTestId, PatientId, StaffId};
use crate::registry::{LabTest, Signed, TestMethod, TestResult};
use crate::store::health::{id_list, of_patients, pick};
use crate::store::registry::active_episode;
use crate::store::row::{Fields, SIGNED, millis};
use crate::store::{Dialect, StoreError, Topic, Within};

/// A test in the patient's own history.
#[derive(Clone, Debug)]
pub struct LabTestWritten {
    /// The test.
    pub test: LabTest,
    /// Who wrote it down, and when.
    pub signed: Signed,
    /// Why and by whom it was withdrawn, if it was.
    pub withdrawn: Option<(Private<String>, Signed)>,
}

/// The columns of who withdrew a test.
const WITHDRAWN: [&str; 3] = ["withdrawn_by", "withdrawn_name", "withdrawn_at"];

impl Within<'_> {
    /// Writes down a test of somebody under observation.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also if the patient is not under observation today.
    pub async fn add_lab_test(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        (collected_at, method, result): (Timestamp, TestMethod, TestResult),
    ) -> Result<LabTestId, StoreError> {
        const INSERT: &str = "insert into lab_test (id, patient_id, episode_id, collected_at, method, \
            result, written_at, staff_id) values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let episode = active_episode(connection, patient).await?;
        if !episode.covers(civil(now).date()) {
            return Err(StoreError::NotFound { what: "active episode" });
        }
        let id = self.store.mint::<LabTestId>(now);
        sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(patient.to_string())
            .bind(episode.id.to_string())
            .bind(millis(collected_at))
            .bind(method.as_str())
            .bind(result.as_str())
            .bind(millis(now))
            .bind(by.to_string())
            .execute(&mut *connection)
            .await?;
        let event = ("patient.test_written", id.to_string(), method.as_str().to_owned());
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Registry]).await?;
        Ok(id)
    }

    /// Withdraws a test that was written down wrongly; it stays in the history, with the reason.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also if the patient has no such test, or it was withdrawn before.
    pub async fn withdraw_lab_test(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        (test, reason): (LabTestId, &str),
    ) -> Result<(), StoreError> {
        const WITHDRAW: &str = "update lab_test set withdrawn_at = $3, withdrawn_by = $4, reason = $5 \
            where id = $1 and patient_id = $2 and withdrawn_at is null";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let done = sqlx::query(WITHDRAW)
            .bind(test.to_string())
            .bind(patient.to_string())
            .bind(millis(now))
            .bind(by.to_string())
            .bind(reason)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "lab test" });
        }
        let event = ("patient.test_withdrawn", test.to_string(), String::new());
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Registry]).await
    }
}

fn lab_test(row: &AnyRow) -> Result<LabTest, StoreError> {
    let fields = Fields::new("lab_test", row);
    Ok(LabTest {
        id: fields.parsed("id")?,
        collected_at: fields.time("collected_at")?,
        method: fields.word("method", TestMethod::parse)?,
        result: fields.word("result", TestResult::parse)?,
    })
}

/// The tests of these patients that were not withdrawn, by episode, in the order of the specimens.
pub(super) async fn tests_of_all(
    dialect: Dialect,
    connection: &mut AnyConnection,
    patients: &[PatientId],
) -> Result<HashMap<EpisodeId, Vec<LabTest>>, StoreError> {
    const IN_FORCE: [&str; 2] = of_patients!(
        "select t.id, t.collected_at, t.method, t.result, t.episode_id from lab_test t \
         where t.withdrawn_at is null and t.patient_id",
        "order by t.collected_at, t.id"
    );
    let rows =
        sqlx::query(pick(dialect, IN_FORCE)).bind(id_list(patients)).fetch_all(connection).await?;
    let mut tests: HashMap<EpisodeId, Vec<LabTest>> = HashMap::new();
    for row in &rows {
        let episode = Fields::new("lab_test", row).parsed("episode_id")?;
        tests.entry(episode).or_default().push(lab_test(row)?);
    }
    Ok(tests)
}

/// The tests of a patient that were written down, or withdrawn, from one moment to before another;
/// oldest first.
pub(super) async fn tests_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<LabTestWritten>, StoreError> {
    const OF_PATIENT: &str = "select t.id, t.collected_at, t.method, t.result, t.staff_id, \
        f.name as staff_name, t.written_at as signed_at, t.withdrawn_at, t.withdrawn_by, \
        g.name as withdrawn_name, t.reason from lab_test t join staff f on f.id = t.staff_id \
        left join staff g on g.id = t.withdrawn_by where t.patient_id = $1 \
        and ((t.written_at >= $2 and t.written_at < $3) \
        or (t.withdrawn_at >= $2 and t.withdrawn_at < $3)) order by t.written_at, t.id";
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    let written = rows.iter().map(|row| {
        let fields = Fields::new("lab_test", row);
        let withdrawn = if fields.time_or_null("withdrawn_at")?.is_some() {
            let reason = Private::new(fields.text("reason")?.to_owned());
            Some((reason, fields.signed(WITHDRAWN)?))
        } else {
            None
        };
        Ok(LabTestWritten { test: lab_test(row)?, signed: fields.signed(SIGNED)?, withdrawn })
    });
    written.collect()
}
