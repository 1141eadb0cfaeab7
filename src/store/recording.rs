//! Recordings as rows: begun before the first sound, with marks and notes on their clock.

use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::id::{AttemptId, CenterKeyId, HealthCenterId, NoteId, PatientId, RecordingId};
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, Topic};
use crate::tape::{
    Deleted, Hold, Keep, Kept, Mark, MarkKind, Note, Policy, Recording, Scope, SealedKey, Spoken,
    State,
};

/// A recording that is about to begin.
#[derive(Clone, Debug)]
pub struct NewRecording {
    /// Its id.
    pub id: RecordingId,
    /// Of which attempt.
    pub attempt: AttemptId,
    /// The centre's key that its own key is sealed under.
    pub key: CenterKeyId,
    /// Whose spool will hold it.
    pub node: String,
    /// How much of the call is recorded.
    pub scope: Scope,
    /// The centre's rule.
    pub policy: Policy,
}

/// Selects recordings, as `r`, under the names that [`recording`] reads.
macro_rules! select_recordings {
    ($rest:literal) => {
        concat!(
            "select r.id, r.attempt_id, r.patient_id, r.health_center_id, r.key_id, y.sealed, \
             r.node, r.state, r.scope, r.keep, r.sample_percent, r.keep_days, r.started_at, \
             r.samples, r.missing_samples, r.kept_because, r.keep_until, r.sha256, r.held_at, \
             r.held_by, r.hold_reason, r.message_from, r.message_to, r.heard_at, r.heard_by, \
             r.deleted_at, r.deleted_because \
             from recording r join center_key y on y.id = r.key_id ",
            $rest
        )
    };
}
pub(super) use select_recordings;

impl Store {
    /// Notes that a call is being recorded, from now on. [`StoreError::NotFound`] if there is no
    /// such attempt; a second recording of it is a [`StoreError::Conflict`].
    pub async fn begin_recording(
        &self,
        now: Timestamp,
        new: &NewRecording,
    ) -> Result<(), StoreError> {
        const BEGIN: &str = "insert into recording (id, attempt_id, patient_id, \
            health_center_id, key_id, node, state, scope, keep, sample_percent, keep_days, \
            started_at) select $1, a.id, p.id, p.health_center_id, $3, $4, 'running', $5, $6, $7, \
            $8, $9 from attempt a join patient p on p.id = a.patient_id where a.id = $2";
        let mut session = self.write().await?;
        let done = sqlx::query(BEGIN)
            .bind(new.id.to_string())
            .bind(new.attempt.to_string())
            .bind(new.key.to_string())
            .bind(new.node.as_str())
            .bind(new.scope.as_str())
            .bind(new.policy.keep.as_str())
            .bind(i64::from(new.policy.keep.sample_percent()))
            .bind(i64::from(new.policy.keep_days))
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "attempt" });
        }
        session.commit(&[]).await
    }

    /// Appends marks. The same again at the same position changes nothing, so that a caller who
    /// does not know whether the first try arrived may try again.
    pub async fn add_marks(
        &self,
        recording: RecordingId,
        first_position: u32,
        marks: &[Mark],
    ) -> Result<(), StoreError> {
        const ADD: &str = "insert into recording_mark (recording_id, position, at, kind, detail) \
            values ($1, $2, $3, $4, $5) on conflict (recording_id, position) do nothing";
        let mut session = self.write().await?;
        for (position, mark) in (i64::from(first_position)..).zip(marks) {
            sqlx::query(ADD)
                .bind(recording.to_string())
                .bind(position)
                .bind(in_millis(mark.at))
                .bind(mark.kind.as_str())
                .bind(mark.detail.as_str())
                .execute(session.connection())
                .await?;
        }
        session.commit(&[]).await
    }

    /// Notes what the patient wanted to say to the staff: from now on someone must hear it.
    pub async fn message_left(
        &self,
        recording: RecordingId,
        from: Duration,
        to: Duration,
    ) -> Result<(), StoreError> {
        const LEFT: &str = "update recording set message_from = $2, message_to = $3 where id = $1";
        let mut session = self.write().await?;
        let done = sqlx::query(LEFT)
            .bind(recording.to_string())
            .bind(in_millis(from))
            .bind(in_millis(to))
            .execute(session.connection())
            .await?;
        found(done.rows_affected())?;
        session.commit(&[Topic::Recording]).await
    }

    /// Notes that the call is over and that its sound is whole in the spool. Again with other
    /// numbers, after a crash, the last one counts.
    pub async fn finish_recording(
        &self,
        now: Timestamp,
        recording: RecordingId,
        samples: u64,
        missing_samples: u64,
    ) -> Result<(), StoreError> {
        const FINISH: &str = "update recording set state = 'spooled', ended_at = $2, \
            samples = $3, missing_samples = $4 where id = $1 and state in ('running', 'spooled')";
        let mut session = self.write().await?;
        let done = sqlx::query(FINISH)
            .bind(recording.to_string())
            .bind(millis(now))
            .bind(i64::try_from(samples).unwrap_or(i64::MAX))
            .bind(i64::try_from(missing_samples).unwrap_or(i64::MAX))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "recording" });
        }
        session.commit(&[Topic::Recording]).await
    }

    /// One recording. [`StoreError::NotFound`] if there is none.
    pub async fn recording(&self, id: RecordingId) -> Result<Recording, StoreError> {
        const BY_ID: &str = select_recordings!("where r.id = $1");
        let found = self.select_recordings(BY_ID, id.to_string()).await?.into_iter().next();
        found.ok_or(StoreError::NotFound { what: "recording" })
    }

    /// The recording of a call, if there was one; also if it is deleted by now.
    pub async fn recording_of(&self, attempt: AttemptId) -> Result<Option<Recording>, StoreError> {
        const OF_ATTEMPT: &str = select_recordings!("where r.attempt_id = $1");
        Ok(self.select_recordings(OF_ATTEMPT, attempt.to_string()).await?.into_iter().next())
    }

    /// A patient's recordings, the newest first.
    pub async fn recordings_of(&self, patient: PatientId) -> Result<Vec<Recording>, StoreError> {
        const OF_PATIENT: &str =
            select_recordings!("where r.patient_id = $1 order by r.started_at desc, r.id");
        self.select_recordings(OF_PATIENT, patient.to_string()).await
    }

    /// Messages of patients that nobody has heard yet, the oldest first; of one centre.
    pub async fn unheard_messages(
        &self,
        center: HealthCenterId,
    ) -> Result<Vec<Recording>, StoreError> {
        const UNHEARD: &str = select_recordings!(
            "where r.health_center_id = $1 and r.message_from is not null \
             and r.heard_at is null and r.state in ('spooled', 'stored') \
             order by r.started_at, r.id"
        );
        self.select_recordings(UNHEARD, center.to_string()).await
    }

    /// Notes who has heard a message. Whoever was first stays on record.
    pub async fn message_heard(
        &self,
        now: Timestamp,
        recording: RecordingId,
        by: &str,
    ) -> Result<(), StoreError> {
        const HEARD: &str = "update recording set heard_at = coalesce(heard_at, $2), \
            heard_by = coalesce(heard_by, $3) where id = $1 and message_from is not null";
        let mut session = self.write().await?;
        let done = sqlx::query(HEARD)
            .bind(recording.to_string())
            .bind(millis(now))
            .bind(by)
            .execute(session.connection())
            .await?;
        found(done.rows_affected())?;
        session.commit(&[Topic::Recording]).await
    }

    /// What happened in a call, on the clock of its recording.
    pub async fn marks(&self, recording: RecordingId) -> Result<Vec<Mark>, StoreError> {
        const MARKS: &str = "select k.at, k.kind, k.detail from recording_mark k \
            where k.recording_id = $1 order by k.at, k.position";
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(MARKS).bind(recording.to_string()).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("recording_mark", row);
                Ok(Mark {
                    at: Duration::from_millis(fields.integer("at")?),
                    kind: fields.word("kind", MarkKind::parse)?,
                    detail: fields.text("detail")?.to_owned(),
                })
            })
            .collect()
    }

    /// Writes something down at a moment of a recording.
    pub async fn add_note(
        &self,
        now: Timestamp,
        recording: RecordingId,
        at: Duration,
        by: &str,
        text: &str,
    ) -> Result<NoteId, StoreError> {
        const ADD: &str = "insert into recording_note \
            (id, recording_id, at, written_by, text, written_at) values ($1, $2, $3, $4, $5, $6)";
        let id: NoteId = self.mint(now);
        let mut session = self.write().await?;
        sqlx::query(ADD)
            .bind(id.to_string())
            .bind(recording.to_string())
            .bind(in_millis(at))
            .bind(by)
            .bind(text)
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[Topic::Recording]).await?;
        Ok(id)
    }

    /// The notes of a recording, by their moment.
    pub async fn notes(&self, recording: RecordingId) -> Result<Vec<Note>, StoreError> {
        const NOTES: &str = "select n.id, n.at, n.written_by, n.text, n.written_at \
            from recording_note n where n.recording_id = $1 order by n.at, n.id";
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(NOTES).bind(recording.to_string()).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("recording_note", row);
                Ok(Note {
                    id: fields.parsed("id")?,
                    at: Duration::from_millis(fields.integer("at")?),
                    by: fields.text("written_by")?.to_owned(),
                    text: fields.text("text")?.to_owned(),
                    written_at: fields.time("written_at")?,
                })
            })
            .collect()
    }

    async fn select_recordings(
        &self,
        statement: &'static str,
        value: String,
    ) -> Result<Vec<Recording>, StoreError> {
        let mut session = self.glance().await?;
        recordings(session.connection(), statement, &[value]).await
    }
}

pub(super) async fn recordings(
    connection: &mut AnyConnection,
    statement: &'static str,
    values: &[String],
) -> Result<Vec<Recording>, StoreError> {
    let mut query = sqlx::query(statement);
    for value in values {
        query = query.bind(value.as_str());
    }
    query.fetch_all(connection).await?.iter().map(recording).collect()
}

pub(super) fn recording(row: &AnyRow) -> Result<Recording, StoreError> {
    let fields = Fields::new("recording", row);
    let sealed = BASE64_STANDARD.decode(fields.text("sealed")?);
    let keep = Keep::parse(fields.text("keep")?, fields.integer("sample_percent")?);
    let hold = match fields.time_or_null("held_at")? {
        None => None,
        Some(at) => Some(Hold {
            at,
            by: fields.text("held_by")?.to_owned(),
            reason: fields.text("hold_reason")?.to_owned(),
        }),
    };
    let heard = fields.text_or_null("heard_by")?.map(str::to_owned);
    let heard = heard.zip(fields.time_or_null("heard_at")?);
    let message =
        fields.integer_or_null("message_from")?.zip(fields.integer_or_null("message_to")?);
    Ok(Recording {
        id: fields.parsed("id")?,
        attempt: fields.parsed("attempt_id")?,
        patient: fields.parsed("patient_id")?,
        health_center: fields.parsed("health_center_id")?,
        key: SealedKey {
            id: fields.parsed("key_id")?,
            sealed: sealed.map_err(|_| fields.corrupt("sealed"))?,
        },
        node: fields.text("node")?.to_owned(),
        state: fields.word("state", State::parse)?,
        scope: fields.word("scope", Scope::parse)?,
        policy: Policy {
            keep: keep.ok_or_else(|| fields.corrupt("keep"))?,
            keep_days: fields.integer("keep_days")?,
        },
        started_at: fields.time("started_at")?,
        samples: fields.integer_or_null("samples")?,
        missing_samples: fields.integer_or_null("missing_samples")?.unwrap_or(0),
        kept: fields
            .word_or_null("kept_because", Kept::parse)?
            .zip(fields.time_or_null("keep_until")?),
        hold,
        message: message.map(|(from, to)| Spoken {
            from: Duration::from_millis(from),
            to: Duration::from_millis(to),
            heard,
        }),
        sha256: fields.text_or_null("sha256")?.map(str::to_owned),
        deleted: fields
            .time_or_null("deleted_at")?
            .zip(fields.word_or_null("deleted_because", Deleted::parse)?),
    })
}

pub(super) fn found(rows: u64) -> Result<(), StoreError> {
    if rows > 0 { Ok(()) } else { Err(StoreError::NotFound { what: "recording" }) }
}

fn in_millis(at: Duration) -> i64 {
    i64::try_from(at.as_millis()).unwrap_or(i64::MAX)
}
