//! 健康状態一覧 kept ready: one row per patient, made anew in the transaction that changed something.
//!
//! Triggers note whom a change concerns, whatever statement made it; [`Session`] calls [`settle`]
//! before each commit. So a new kind of write cannot forget the list, and the list cannot drift.
//! The rows speak of one day, to which [`Store::roll_health`] moves them at midnight.
//!
//! On PostgreSQL the row of the patient is locked before anything is read for it, and nothing else
//! is locked after it: of two transactions that concern one patient the later sees what the earlier
//! wrote, and none waits in a circle.
//!
//! [`Session`]: crate::store::session::Session

mod board;
mod list;
mod matrix;
mod read;
mod saved_view;
mod shown;
mod status;

use std::fmt::Display;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use sqlx::AnyConnection;

use crate::base::clock::{civil, timestamp};
use crate::base::id::PatientId;
use crate::store::batch;
use crate::store::row::{Fields, millis};
use crate::store::{Dialect, Store, StoreError, Topic};

pub use board::{Board, BoardRow, CallNow};
pub use list::{Counts, Cursor, ListPage, ListQuery, Listed, View};
pub use matrix::{DayCell, DayState, Matrix};
pub use saved_view::SavedView;
pub use status::{
    CallMade, CallStage, HealthStatus, Need, OpenCase, SlotOfDay, Symptom, Vital, WEEK,
};

use status::Stored;

/// Patients whose rows are made in one go: few enough that nobody waits long for the database.
const BATCH: usize = 500;

/// One statement in two texts: SQLite and PostgreSQL take a list of ids apart differently.
macro_rules! of_patients {
    ($before:literal, $after:literal) => {
        [
            concat!($before, " in (select value from json_each($1)) ", $after),
            concat!($before, " = any (array(select json_array_elements_text($1::json))) ", $after),
        ]
    };
}
pub(super) use of_patients;

/// What is for this database.
pub(super) fn pick<T>(dialect: Dialect, [sqlite, postgres]: [T; 2]) -> T {
    match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
    }
}

/// Ids as statements like those of [`of_patients`] take them.
pub(super) fn id_list(ids: impl IntoIterator<Item: Display>) -> String {
    let quoted: Vec<String> = ids.into_iter().map(|id| format!("\"{id}\"")).collect();
    format!("[{}]", quoted.join(","))
}

impl Store {
    /// Moves the list to the day of `now`, up to some hundred patients in one transaction, until
    /// all are there. Does nothing if they are. Returns how many were moved.
    pub async fn roll_health(&self, now: Timestamp) -> Result<usize, StoreError> {
        let today = civil(now).date();
        self.begin_day(now, today).await?;
        let mut rolled = 0;
        loop {
            let behind = self.behind(today).await?;
            if behind.is_empty() {
                return Ok(rolled);
            }
            rolled += behind.len();
            let mut session = self.write().await?;
            refresh(self.dialect, session.connection(), &behind).await?;
            session.commit(&[Topic::Registry]).await?;
        }
    }

    /// The day that the list speaks of; `None` before the first [`Self::roll_health`].
    pub async fn health_day(&self) -> Result<Option<Date>, StoreError> {
        let mut session = self.glance().await?;
        day(session.connection()).await
    }

    /// The patients whose row is not what would be made of the other tables now: none, ever. For
    /// tests and for `mimamori check`.
    pub async fn health_drift(&self) -> Result<Vec<PatientId>, StoreError> {
        const ALL: &str = "select id from patient order by id";
        let mut session = self.read().await?;
        let connection = session.connection();
        let rows = sqlx::query(ALL).fetch_all(&mut *connection).await?;
        let ids: Vec<PatientId> = rows
            .iter()
            .map(|row| Fields::new("patient", row).parsed("id"))
            .collect::<Result<_, _>>()?;
        let mut drifted = Vec::new();
        for ids in ids.chunks(BATCH) {
            let stored = read::stored(self.dialect, connection, ids).await?;
            for &id in ids {
                let expected = match stored.get(&id) {
                    None => None,
                    Some(row) => {
                        let day = row.day;
                        let made = read::make(self.dialect, connection, &[id], day).await?;
                        made.into_iter().next().map(|(_, row)| row)
                    }
                };
                if expected.is_none() || expected.as_ref() != stored.get(&id) {
                    drifted.push(id);
                }
            }
        }
        Ok(drifted)
    }

    async fn begin_day(&self, now: Timestamp, today: Date) -> Result<(), StoreError> {
        const BEGIN: &str = "update health_day set day = $1 where id = 1 and day < $1";
        const DAY: &str = "select day from health_day where id = 1 and day < $1";
        let text = today.to_string();
        // A look costs less than a transaction that changes nothing.
        let mut session = self.glance().await?;
        let behind =
            sqlx::query(DAY).bind(text.as_str()).fetch_optional(session.connection()).await?;
        drop(session);
        if behind.is_some() {
            let mut session = self.write().await?;
            sqlx::query(BEGIN).bind(text).execute(session.connection()).await?;
            // What is kept for a time only goes once a day, whoever works on that day.
            batch::forget(session.connection(), now).await?;
            session.commit(&[]).await?;
        }
        Ok(())
    }

    /// Some of those whose row speaks of an earlier day, though it should or does say that they are
    /// under observation.
    async fn behind(&self, today: Date) -> Result<Vec<PatientId>, StoreError> {
        const BEHIND: &str = "select h.patient_id from health_status h \
            where h.is_observed = 1 and h.day < $1 \
            union select h.patient_id from episode e \
            join health_status h on h.patient_id = e.patient_id \
            where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1 and h.day < $1 \
            order by patient_id limit $2";
        let mut session = self.glance().await?;
        let rows = sqlx::query(BEHIND)
            .bind(today.to_string())
            .bind(i64::try_from(BATCH).unwrap_or(i64::MAX))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(|row| Fields::new("health_status", row).parsed("patient_id")).collect()
    }
}

/// Makes the rows of all whom this transaction has touched. The last that is done before a commit.
pub(super) async fn settle(
    dialect: Dialect,
    connection: &mut AnyConnection,
) -> Result<(), StoreError> {
    const TAKE: &str = "delete from health_touched returning patient_id";
    let rows = sqlx::query(TAKE).fetch_all(&mut *connection).await?;
    let mut touched: Vec<PatientId> = rows
        .iter()
        .map(|row| Fields::new("health_touched", row).parsed("patient_id"))
        .collect::<Result<_, _>>()?;
    // Everybody locks in the same order.
    touched.sort_unstable();
    touched.dedup();
    for patients in touched.chunks(BATCH) {
        refresh(dialect, connection, patients).await?;
    }
    Ok(())
}

/// Makes the rows of these patients, who are in order.
async fn refresh(
    dialect: Dialect,
    connection: &mut AnyConnection,
    patients: &[PatientId],
) -> Result<(), StoreError> {
    if dialect == Dialect::Postgres {
        lock(connection, patients).await?;
    }
    // Read after the lock: whoever moves the day waits for it, or has moved it.
    let day = day(connection).await?;
    let made = match read::make(dialect, connection, patients, day).await {
        Ok(made) => made,
        // A row that nobody can read must not undo what was just answered, or hide the others.
        Err(StoreError::Corrupt { .. }) => {
            return one_by_one(dialect, connection, patients, day).await;
        }
        Err(other) => return Err(other),
    };
    for (patient, row) in &made {
        save(connection, *patient, row).await?;
    }
    for gone in patients.iter().filter(|id| made.iter().all(|(made, _)| made != *id)) {
        forget(connection, *gone).await?;
    }
    Ok(())
}

/// As [`refresh`], where the records of one or more cannot be read: these come first in the list, and
/// say so.
async fn one_by_one(
    dialect: Dialect,
    connection: &mut AnyConnection,
    patients: &[PatientId],
    day: Option<Date>,
) -> Result<(), StoreError> {
    const UNREADABLE: &str = "update health_status set need = $2, shown = '' where patient_id = $1";
    for patient in patients {
        match read::make(dialect, connection, std::slice::from_ref(patient), day).await {
            Ok(made) => {
                for (patient, row) in &made {
                    save(connection, *patient, row).await?;
                }
                if made.is_empty() {
                    forget(connection, *patient).await?;
                }
            }
            Err(StoreError::Corrupt { .. }) => {
                sqlx::query(UNREADABLE)
                    .bind(patient.to_string())
                    .bind(Need::Urgent.rank())
                    .execute(&mut *connection)
                    .await?;
            }
            Err(other) => return Err(other),
        }
    }
    Ok(())
}

async fn lock(connection: &mut AnyConnection, patients: &[PatientId]) -> Result<(), StoreError> {
    const LOCK: &str = "select h.patient_id from health_status h where h.patient_id in \
        (select value from json_array_elements_text($1::json)) order by h.patient_id for update";
    sqlx::query(LOCK).bind(id_list(patients)).fetch_all(connection).await?;
    Ok(())
}

async fn day(connection: &mut AnyConnection) -> Result<Option<Date>, StoreError> {
    const DAY: &str = "select day from health_day where id = 1";
    let row = sqlx::query(DAY).fetch_one(connection).await?;
    let fields = Fields::new("health_day", &row);
    if fields.text("day")?.is_empty() { Ok(None) } else { fields.parsed("day").map(Some) }
}

async fn save(
    connection: &mut AnyConnection,
    patient: PatientId,
    row: &Stored,
) -> Result<(), StoreError> {
    // A row that says the same as before is left alone.
    const SAVE: &str = "insert into health_status (patient_id, day, is_observed, \
        health_center_id, clinic_id, registration_number, kana, search, last_day, need, report, \
        fever_days, owner, facet, shown, version) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, 1) \
        on conflict (patient_id) do update set day = excluded.day, \
        is_observed = excluded.is_observed, health_center_id = excluded.health_center_id, \
        clinic_id = excluded.clinic_id, registration_number = excluded.registration_number, \
        kana = excluded.kana, search = excluded.search, last_day = excluded.last_day, \
        need = excluded.need, report = excluded.report, fever_days = excluded.fever_days, \
        owner = excluded.owner, facet = excluded.facet, shown = excluded.shown, version = health_status.version + 1 \
        where (health_status.shown, health_status.search, health_status.day, \
        health_status.need, health_status.owner, health_status.clinic_id, \
        health_status.health_center_id) \
        <> (excluded.shown, excluded.search, excluded.day, excluded.need, excluded.owner, \
        excluded.clinic_id, excluded.health_center_id)";
    sqlx::query(SAVE)
        .bind(patient.to_string())
        .bind(row.day.map(|day| day.to_string()).unwrap_or_default())
        .bind(i64::from(row.is_observed))
        .bind(row.health_center.as_str())
        .bind(row.clinic.as_str())
        .bind(row.registration_number.as_str())
        .bind(row.kana.as_str())
        .bind(row.search.as_str())
        .bind(row.last_day.as_str())
        .bind(row.need)
        .bind(row.report.as_str())
        .bind(row.fever_days)
        .bind(row.owner.as_str())
        .bind(row.facet)
        .bind(row.shown.as_str())
        .execute(connection)
        .await?;
    Ok(())
}

async fn forget(connection: &mut AnyConnection, patient: PatientId) -> Result<(), StoreError> {
    const FORGET: &str = "delete from health_status where patient_id = $1";
    sqlx::query(FORGET).bind(patient.to_string()).execute(connection).await?;
    Ok(())
}

/// A moment of the calendar in Japan as it is stored.
fn midnight(day: Date) -> i64 {
    millis(timestamp(day.to_datetime(Time::midnight())))
}
