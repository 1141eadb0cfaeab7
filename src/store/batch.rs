//! Lists that staff bring in: kept until they are taken over, with what each row changed, so that
//! they can be taken back.
//!
//! ```text
//! Previewed ──begin_import──► Importing ──row by row──► Imported ──begin_undo──► Undoing ──► Undone
//!     └──► Discarded
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::id::{ImportBatchId, PatientId, StaffId};
use crate::registry::import::compare::Known;
use crate::registry::import::problem::Problem;
use crate::registry::import::{PatientDraft, Reading};
use crate::registry::{AuditEntry, Episode, Patient};
use crate::store::registry::{
    find_active_episode, find_registered, fold_patients, save, select_patients,
};
use crate::store::release::note_course;
use crate::store::row::{Fields, millis};
use crate::store::undo::Snapshot;
use crate::store::{Change, StoreError, Topic, Within, audit};

/// A worker that was silent for so long is taken for dead, and another may go on.
const SILENCE: Duration = Duration::from_mins(1);

/// A list that nobody took over is thrown away after this: it is about people.
const KEPT_UNREAD: Duration = Duration::from_hours(24);

/// What a list changed can be taken back for so long; then it is forgotten how the people stood
/// before and after: it is about people, and what came later depends on it.
const UNDO_KEPT: Duration = Duration::from_hours(24 * 90);

/// A list to be kept.
#[derive(Clone, Debug)]
pub struct NewBatch {
    /// The name of the file; empty if it was pasted.
    pub source: String,
    /// The encoding that was recognised.
    pub encoding: String,
    /// SHA-256 of the list, in hexadecimal.
    pub sha256: String,
    /// The list.
    pub content: Vec<u8>,
    /// The first day of observation for rows that name none.
    pub read_on: Date,
    /// How many rows it has.
    pub rows: u32,
    /// How many of them cannot be taken over.
    pub refused: u32,
    /// What is to be said about them.
    pub problems: Vec<Problem>,
    /// How it is read.
    pub reading: Reading,
}

/// A list that staff said something about, read again.
#[derive(Clone, Debug)]
pub struct Reread {
    /// How it is read now.
    pub reading: Reading,
    /// How many rows it has.
    pub rows: u32,
    /// How many of them cannot be taken over.
    pub refused: u32,
    /// What is to be said about them.
    pub problems: Vec<Problem>,
}

/// A list that was brought in.
#[derive(Clone, Debug)]
pub struct ImportBatch {
    /// The id.
    pub id: ImportBatchId,
    /// The name of the file; empty if it was pasted.
    pub source: String,
    /// The encoding that was recognised.
    pub encoding: String,
    /// SHA-256 of the list, in hexadecimal.
    pub sha256: String,
    /// The first day of observation for rows that name none.
    pub read_on: Date,
    /// How many rows it has.
    pub rows: u32,
    /// How many of them could not be read.
    pub refused: u32,
    /// Lines that staff left out.
    pub left_out: Vec<usize>,
    /// Where it stands.
    pub state: BatchState,
    /// Who brought it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When somebody last worked on it.
    pub touched_at: Timestamp,
    /// When it was taken over.
    pub imported_at: Option<Timestamp>,
    /// Who took it back.
    pub undone_by: Option<String>,
    /// When.
    pub undone_at: Option<Timestamp>,
    /// How many rows came to what, so far.
    pub counts: BatchCounts,
}

impl ImportBatch {
    /// Whether it can be taken back: how the people stood is still known.
    pub fn can_be_undone(&self, now: Timestamp) -> bool {
        self.state == BatchState::Imported
            && self.imported_at.is_some_and(|at| now < at + UNDO_KEPT)
    }

    /// Somebody began to take it over, or back, and was not heard of for long.
    pub fn is_stuck(&self, now: Timestamp) -> bool {
        matches!(self.state, BatchState::Importing | BatchState::Undoing)
            && self.touched_at + SILENCE < now
    }
}

/// How many rows of a list came to what.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct BatchCounts {
    /// New patients.
    pub created: u32,
    /// Patients who were changed.
    pub updated: u32,
    /// Patients who were so already.
    pub unchanged: u32,
    /// Rows that the store refused.
    pub refused: u32,
    /// Taken back: the patient was deleted.
    pub deleted: u32,
    /// Taken back as far as may be: the observation of the patient was ended.
    pub ended: u32,
    /// Taken back: the patient is as before.
    pub restored: u32,
    /// Not taken back, since somebody has changed the patient meanwhile.
    pub left: u32,
}

impl BatchCounts {
    /// Rows that were taken over or refused.
    pub fn done(&self) -> u32 {
        self.created + self.updated + self.unchanged + self.refused
    }

    /// Rows that were looked at again to take them back.
    pub fn undone(&self) -> u32 {
        self.deleted + self.ended + self.restored + self.left
    }
}

/// Where a list stands.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum BatchState {
    /// Read and explained; nothing has changed.
    Previewed,
    /// Being taken over.
    Importing,
    /// Taken over.
    Imported,
    /// Being taken back.
    Undoing,
    /// Taken back.
    Undone,
    /// Thrown away unread.
    Discarded,
}

impl BatchState {
    /// Every state.
    pub const ALL: [Self; 6] = [
        Self::Previewed,
        Self::Importing,
        Self::Imported,
        Self::Undoing,
        Self::Undone,
        Self::Discarded,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Previewed => "previewed",
            Self::Importing => "importing",
            Self::Imported => "imported",
            Self::Undoing => "undoing",
            Self::Undone => "undone",
            Self::Discarded => "discarded",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

fn reading_text(reading: &Reading) -> Result<String, StoreError> {
    serde_json::to_string(reading)
        .map_err(|_| StoreError::Corrupt { table: "import_batch", column: "reading" })
}

/// Throws away lists that nobody took over in time, and what is known of people for the sake of
/// taking a list back only. That each of them was on the list stays.
pub(super) async fn forget(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<(), StoreError> {
    const UNREAD: &str = "update import_batch set state = 'discarded', content = null, \
        reading = null where state = 'previewed' and created_at < $1";
    const SNAPSHOTS: &str = "update import_row set was = null, became = null \
        where at < $1 and (was is not null or became is not null)";
    sqlx::query(UNREAD).bind(millis(now - KEPT_UNREAD)).execute(&mut *connection).await?;
    sqlx::query(SNAPSHOTS).bind(millis(now - UNDO_KEPT)).execute(connection).await?;
    Ok(())
}

macro_rules! select_batches {
    ($rest:literal) => {
        concat!(
            "select b.id, b.source, b.encoding, b.sha256, b.read_on, b.n_rows, b.n_refused, \
             b.left_out, b.state, b.created_at, b.touched_at, b.imported_at, b.undone_at, \
             m.name as created_by_name, u.name as undone_by_name, \
             (select count(*) from import_row r where r.batch_id = b.id and r.change = 'created') as n_created, \
             (select count(*) from import_row r where r.batch_id = b.id and r.change = 'updated') as n_updated, \
             (select count(*) from import_row r where r.batch_id = b.id and r.change = 'unchanged') as n_unchanged, \
             (select count(*) from import_row r where r.batch_id = b.id and r.change = 'refused') as n_failed, \
             (select count(*) from import_row r where r.batch_id = b.id and r.undone = 'deleted') as n_deleted, \
             (select count(*) from import_row r where r.batch_id = b.id and r.undone = 'ended') as n_ended, \
             (select count(*) from import_row r where r.batch_id = b.id and r.undone = 'restored') as n_restored, \
             (select count(*) from import_row r where r.batch_id = b.id and r.undone = 'left') as n_left \
             from import_batch b join staff m on m.id = b.created_by \
             left join staff u on u.id = b.undone_by ",
            $rest
        )
    };
}

impl Within<'_> {
    /// Keeps a list that was read, and throws away lists that nobody took over in time.
    pub async fn add_import(
        &self,
        now: Timestamp,
        by: StaffId,
        batch: &NewBatch,
    ) -> Result<ImportBatchId, StoreError> {
        const ADD: &str = "insert into import_batch (id, health_center_id, source, encoding, \
            sha256, content, read_on, n_rows, n_refused, problems, left_out, state, created_by, \
            created_at, touched_at, reading) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, '', 'previewed', $11, $12, $12, $13)";
        let id: ImportBatchId = self.store.mint(now);
        let problems = serde_json::to_string(&batch.problems)
            .map_err(|_| StoreError::Corrupt { table: "import_batch", column: "problems" })?;
        let mut session = self.store.write().await?;
        forget(session.connection(), now).await?;
        sqlx::query(ADD)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(batch.source.as_str())
            .bind(batch.encoding.as_str())
            .bind(batch.sha256.as_str())
            .bind(batch.content.as_slice())
            .bind(batch.read_on.to_string())
            .bind(i64::from(batch.rows))
            .bind(i64::from(batch.refused))
            .bind(problems)
            .bind(by.to_string())
            .bind(millis(now))
            .bind(reading_text(&batch.reading)?)
            .execute(session.connection())
            .await?;
        session.commit(&[]).await?;
        Ok(id)
    }

    /// How a list is read.
    pub async fn import_reading(&self, id: ImportBatchId) -> Result<Reading, StoreError> {
        const BY_ID: &str =
            "select reading from import_batch where id = $1 and health_center_id = $2";
        let row = self.import_column(BY_ID, id).await?;
        let fields = Fields::new("import_batch", &row);
        match fields.text_or_null("reading")? {
            None => Ok(Reading::default()),
            Some(text) => serde_json::from_str(text).map_err(|_| fields.corrupt("reading")),
        }
    }

    /// Keeps what staff said about a list that is not taken over yet. `false` if it is.
    pub async fn reread_import(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        reread: &Reread,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        const REREAD: &str = "update import_batch set reading = $3, n_rows = $4, n_refused = $5, \
            problems = $6, touched_at = $7 where id = $1 and health_center_id = $2 \
            and state = 'previewed'";
        let problems = serde_json::to_string(&reread.problems)
            .map_err(|_| StoreError::Corrupt { table: "import_batch", column: "problems" })?;
        let mut session = self.store.write().await?;
        let done = sqlx::query(REREAD)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(reading_text(&reread.reading)?)
            .bind(i64::from(reread.rows))
            .bind(i64::from(reread.refused))
            .bind(problems)
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[]).await?;
        Ok(true)
    }

    /// What headings stand for in the lists of this centre, as its staff once said.
    pub async fn import_headings(&self) -> Result<BTreeMap<String, String>, StoreError> {
        const ALL: &str = "select h.heading, h.field from import_heading h \
            where h.health_center_id = $1";
        let mut session = self.store.glance().await?;
        let rows =
            sqlx::query(ALL).bind(self.center_text()).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("import_heading", row);
                Ok((fields.text("heading")?.to_owned(), fields.text("field")?.to_owned()))
            })
            .collect()
    }

    /// Remembers what these headings stand for; `None` forgets it.
    pub async fn remember_headings(
        &self,
        now: Timestamp,
        by: StaffId,
        headings: &BTreeMap<String, Option<String>>,
    ) -> Result<(), StoreError> {
        const KEEP: &str = "insert into import_heading \
            (health_center_id, heading, field, set_by, set_at) values ($1, $2, $3, $4, $5) \
            on conflict (health_center_id, heading) do update set field = excluded.field, \
            set_by = excluded.set_by, set_at = excluded.set_at";
        const FORGET: &str =
            "delete from import_heading where health_center_id = $1 and heading = $2";
        let mut session = self.store.write().await?;
        for (heading, field) in headings {
            let statement = if field.is_some() { KEEP } else { FORGET };
            let mut query = sqlx::query(statement).bind(self.center_text()).bind(heading.as_str());
            if let Some(field) = field {
                query = query.bind(field.as_str()).bind(by.to_string()).bind(millis(now));
            }
            query.execute(session.connection()).await?;
        }
        session.commit(&[]).await
    }

    /// Up to `limit` lists, the newest first.
    pub async fn imports(&self, limit: u32) -> Result<Vec<ImportBatch>, StoreError> {
        const LIST: &str = select_batches!(
            "where b.health_center_id = $1 order by b.created_at desc, b.id desc limit $2"
        );
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(LIST)
            .bind(self.center_text())
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(batch).collect()
    }

    /// One list.
    pub async fn import(&self, id: ImportBatchId) -> Result<ImportBatch, StoreError> {
        const BY_ID: &str = select_batches!("where b.id = $1 and b.health_center_id = $2");
        let mut session = self.store.glance().await?;
        let row = sqlx::query(BY_ID)
            .bind(id.to_string())
            .bind(self.center_text())
            .fetch_optional(session.connection())
            .await?;
        batch(&row.ok_or(StoreError::NotFound { what: "import" })?)
    }

    /// The list itself; `None` once it was taken over or thrown away.
    pub async fn import_content(&self, id: ImportBatchId) -> Result<Option<Vec<u8>>, StoreError> {
        const BY_ID: &str =
            "select content from import_batch where id = $1 and health_center_id = $2";
        let row = self.import_column(BY_ID, id).await?;
        Fields::new("import_batch", &row).bytes_or_null("content")
    }

    /// What there was to say about the list.
    pub async fn import_problems(&self, id: ImportBatchId) -> Result<Vec<Problem>, StoreError> {
        const BY_ID: &str =
            "select problems from import_batch where id = $1 and health_center_id = $2";
        let row = self.import_column(BY_ID, id).await?;
        let fields = Fields::new("import_batch", &row);
        serde_json::from_str(fields.text("problems")?).map_err(|_| fields.corrupt("problems"))
    }

    async fn import_column(
        &self,
        statement: &'static str,
        id: ImportBatchId,
    ) -> Result<AnyRow, StoreError> {
        let mut session = self.store.glance().await?;
        let row = sqlx::query(statement)
            .bind(id.to_string())
            .bind(self.center_text())
            .fetch_optional(session.connection())
            .await?;
        row.ok_or(StoreError::NotFound { what: "import" })
    }

    /// What is known of the people of a list, in its order.
    pub async fn known(&self, drafts: &[&PatientDraft]) -> Result<Vec<Known>, StoreError> {
        let mut session = self.store.read().await?;
        let mut all = Vec::with_capacity(drafts.len());
        for draft in drafts {
            all.push(self.known_of(session.connection(), draft).await?);
        }
        Ok(all)
    }

    async fn known_of(
        &self,
        connection: &mut AnyConnection,
        draft: &PatientDraft,
    ) -> Result<Known, StoreError> {
        const NAMESAKES: &str = select_patients!(
            "where p.health_center_id = $1 and p.birth_date = $2 and p.kana = $3 \
             and p.registration_number <> $4"
        );
        const HOUSEHOLD: &str = "select distinct p.registration_number from patient_phone f \
            join patient p on p.id = f.patient_id where f.number = $1 \
            and p.health_center_id = $2 and p.registration_number <> $3 \
            order by p.registration_number limit 9";
        let number = draft.registration_number.as_str();
        let mut known = Known::default();
        if let Some(patient) = find_registered(connection, self.center(), number).await? {
            let episode = find_active_episode(connection, patient.id).await?;
            known.patient = Some((patient, episode));
        }
        let rows = sqlx::query(NAMESAKES)
            .bind(self.center_text())
            .bind(draft.birth_date.expose().to_string())
            .bind(draft.kana.expose().as_str())
            .bind(number)
            .fetch_all(&mut *connection)
            .await?;
        known.namesakes =
            fold_patients(&rows)?.into_iter().map(|one| one.registration_number).collect();
        for phone in &draft.phones {
            let rows = sqlx::query(HOUSEHOLD)
                .bind(phone.number.e164())
                .bind(self.center_text())
                .bind(number)
                .fetch_all(&mut *connection)
                .await?;
            for row in &rows {
                known
                    .household
                    .push(Fields::new("patient", row).text("registration_number")?.to_owned());
            }
        }
        known.household.sort();
        known.household.dedup();
        Ok(known)
    }

    /// Throws a list away that was not taken over.
    pub async fn discard_import(
        &self,
        now: Timestamp,
        id: ImportBatchId,
    ) -> Result<(), StoreError> {
        const DISCARD: &str = "update import_batch set state = 'discarded', content = null, reading = null, \
            touched_at = $3 where id = $1 and health_center_id = $2 and state = 'previewed'";
        let mut session = self.store.write().await?;
        let done = sqlx::query(DISCARD)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "import" });
        }
        session.commit(&[]).await
    }

    /// Begins to take a list over, but for the lines that are left out. `false` if somebody has
    /// begun already: the same form sent twice takes it over once. One that a crash left half done
    /// is gone on with.
    pub async fn begin_import(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        left_out: &[usize],
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        const BEGIN: &str = "update import_batch set state = 'importing', touched_at = $3, \
            left_out = case when state = 'previewed' then $4 else left_out end \
            where id = $1 and health_center_id = $2 \
            and (state = 'previewed' or (state = 'importing' and touched_at < $5))";
        let lines: Vec<String> = left_out.iter().map(usize::to_string).collect();
        let mut session = self.store.write().await?;
        let begun = sqlx::query(BEGIN)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(millis(now))
            .bind(lines.join(" "))
            .bind(millis(now - SILENCE))
            .execute(session.connection())
            .await?;
        if begun.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[]).await?;
        Ok(true)
    }

    /// Takes one row over and writes down what it changed. A row that was taken over already
    /// stays so.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the list is not being taken over any more.
    pub async fn import_row(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        line: usize,
        draft: &PatientDraft,
    ) -> Result<(), StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.touch(connection, now, id, "importing").await?;
        if is_done(connection, id, line).await? {
            return Ok(());
        }
        let number = draft.registration_number.as_str();
        let known = find_registered(connection, self.center(), number).await?;
        let was = match &known {
            Some(patient) => {
                let episode = find_active_episode(connection, patient.id).await?;
                Some(Snapshot::of(patient, episode.as_ref(), draft.told).to_text()?)
            }
            None => None,
        };
        let patient: Patient = draft.patient(self.store.mint(now), self.center());
        let episode: Episode = draft.episode(self.store.mint(now), patient.id);
        let imported = save(connection, now, &patient, Some(&episode), draft.told).await?;
        note_course(self.store, connection, now, imported.patient, &draft.course()).await?;
        let gender = patient.gender.or(known.as_ref().and_then(|known| known.gender));
        let saved = Patient { id: imported.patient, gender, ..patient };
        let active = find_active_episode(connection, imported.patient).await?;
        let became = Snapshot::of(&saved, active.as_ref(), draft.told).to_text()?;
        let change = match imported.change {
            Change::Created => "created",
            Change::Updated => "updated",
            Change::Unchanged => "unchanged",
        };
        let row =
            Row { line, number, patient: imported.patient, change, was, became: Some(became) };
        add_row(connection, now, id, &row).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Notes that the store refused a row.
    pub async fn refuse_row(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        line: usize,
        draft: &PatientDraft,
    ) -> Result<(), StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.touch(connection, now, id, "importing").await?;
        if !is_done(connection, id, line).await? {
            let number = draft.registration_number.as_str();
            let patient = self.store.mint(now);
            let row = Row { line, number, patient, change: "refused", was: None, became: None };
            add_row(connection, now, id, &row).await?;
        }
        session.commit(&[]).await
    }

    /// The list was taken over; it is not needed any more.
    pub async fn finish_import(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const FINISH: &str = "update import_batch set state = 'imported', content = null, reading = null, \
            imported_at = $3, touched_at = $3 \
            where id = $1 and health_center_id = $2 and state = 'importing'";
        let mut session = self.store.write().await?;
        let done = sqlx::query(FINISH)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "import" });
        }
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[Topic::Registry]).await
    }

    /// Says that somebody still works on a list.
    pub(super) async fn touch(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        id: ImportBatchId,
        state: &'static str,
    ) -> Result<(), StoreError> {
        const TOUCH: &str = "update import_batch set touched_at = $3 \
            where id = $1 and health_center_id = $2 and state = $4";
        let touched = sqlx::query(TOUCH)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(millis(now))
            .bind(state)
            .execute(connection)
            .await?;
        if touched.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "import" });
        }
        Ok(())
    }

    /// Begins to take a list back. `false` if somebody has begun already, or there is nothing to
    /// take back any more: after ninety days nobody knows what it was.
    pub async fn begin_undo(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        by: StaffId,
        entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        const BEGIN: &str = "update import_batch set state = 'undoing', touched_at = $3, \
            undone_by = $4 where id = $1 and health_center_id = $2 \
            and ((state = 'imported' and imported_at > $6) \
            or (state = 'undoing' and touched_at < $5))";
        let mut session = self.store.write().await?;
        let begun = sqlx::query(BEGIN)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(millis(now))
            .bind(by.to_string())
            .bind(millis(now - SILENCE))
            .bind(millis(now - UNDO_KEPT))
            .execute(session.connection())
            .await?;
        if begun.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[]).await?;
        Ok(true)
    }

    /// The list was taken back as far as may be.
    pub async fn finish_undo(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const FINISH: &str = "update import_batch set state = 'undone', undone_at = $3, \
            touched_at = $3 where id = $1 and health_center_id = $2 and state = 'undoing'";
        let mut session = self.store.write().await?;
        let done = sqlx::query(FINISH)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "import" });
        }
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[Topic::Registry, Topic::Over]).await
    }
}

/// A row as it is written down.
struct Row<'a> {
    line: usize,
    number: &'a str,
    patient: PatientId,
    change: &'static str,
    was: Option<String>,
    became: Option<String>,
}

fn line_number(line: usize) -> i64 {
    i64::try_from(line).unwrap_or(i64::MAX)
}

async fn is_done(
    connection: &mut AnyConnection,
    id: ImportBatchId,
    line: usize,
) -> Result<bool, StoreError> {
    const DONE: &str = "select r.line from import_row r where r.batch_id = $1 and r.line = $2";
    let row = sqlx::query(DONE)
        .bind(id.to_string())
        .bind(line_number(line))
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}

async fn add_row(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: ImportBatchId,
    row: &Row<'_>,
) -> Result<(), StoreError> {
    const ADD: &str = "insert into import_row (batch_id, line, registration_number, patient_id, \
        change, was, became, at) values ($1, $2, $3, $4, $5, $6, $7, $8)";
    sqlx::query(ADD)
        .bind(id.to_string())
        .bind(line_number(row.line))
        .bind(row.number)
        .bind(row.patient.to_string())
        .bind(row.change)
        .bind(row.was.as_deref())
        .bind(row.became.as_deref())
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}

fn batch(row: &AnyRow) -> Result<ImportBatch, StoreError> {
    let fields = Fields::new("import_batch", row);
    let left_out = fields.text("left_out")?.split_whitespace().map(str::parse);
    Ok(ImportBatch {
        id: fields.parsed("id")?,
        source: fields.text("source")?.to_owned(),
        encoding: fields.text("encoding")?.to_owned(),
        sha256: fields.text("sha256")?.to_owned(),
        read_on: fields.parsed("read_on")?,
        rows: fields.integer("n_rows")?,
        refused: fields.integer("n_refused")?,
        left_out: left_out.collect::<Result<_, _>>().map_err(|_| fields.corrupt("left_out"))?,
        state: fields.word("state", BatchState::parse)?,
        created_by: fields.text("created_by_name")?.to_owned(),
        created_at: fields.time("created_at")?,
        touched_at: fields.time("touched_at")?,
        imported_at: fields.time_or_null("imported_at")?,
        undone_by: fields.text_or_null("undone_by_name")?.map(str::to_owned),
        undone_at: fields.time_or_null("undone_at")?,
        counts: BatchCounts {
            created: fields.integer("n_created")?,
            updated: fields.integer("n_updated")?,
            unchanged: fields.integer("n_unchanged")?,
            refused: fields.integer("n_failed")?,
            deleted: fields.integer("n_deleted")?,
            ended: fields.integer("n_ended")?,
            restored: fields.integer("n_restored")?,
            left: fields.integer("n_left")?,
        },
    })
}
