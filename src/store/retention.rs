//! Which recordings stay and until when: the rules, the keys, and the rows of what is to be done.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::id::{CenterKeyId, HealthCenterId, PatientId, RecordingId};
use crate::registry::audit::{Actor, AuditEntry};
use crate::store::audit;
use crate::store::recording::{found, recording, recordings, select_recordings};
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError, Topic};
use crate::tape::{Consent, Deleted, Keep, Kept, Policy, Recording, SealedKey};

/// What decides whether a call is recorded.
#[derive(Clone, Debug)]
pub struct Terms {
    /// The centre in whose name the patient is called.
    pub health_center: HealthCenterId,
    /// The centre's rule, if it made one.
    pub policy: Option<Policy>,
    /// What the patient said to it.
    pub consent: Consent,
    /// The centre's key, if it has one already.
    pub key: Option<SealedKey>,
}

/// A recording whose call is over and of which it is not yet decided whether it stays.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The recording.
    pub recording: Recording,
    /// A case came of its call, or it added to one.
    pub escalated: bool,
    /// Everything about its call and its slot was judged.
    pub judged: bool,
}

/// The facts of cases, as `x`, that came of the call of `r`, more than on record only.
macro_rules! facts_of_call {
    ($condition:literal) => {
        concat!(
            "exists (select x.case_id from case_fact x \
             join escalation_case k on k.id = x.case_id \
             join attempt a on a.id = r.attempt_id \
             where x.priority <> 'p0' and (\
             (x.source in ('answer', 'attempt') and x.source_id = r.attempt_id) \
             or (x.source = 'slot' and x.source_id = a.slot_id) \
             or (x.source = 'observation' and x.source_id in (\
             select o.id from observation o where o.attempt_id = r.attempt_id)))",
            $condition,
            ")"
        )
    };
}

impl Store {
    /// What decides whether a call of this patient is recorded.
    pub async fn recording_terms(&self, patient: PatientId) -> Result<Terms, StoreError> {
        const TERMS: &str = "select p.health_center_id, l.keep, l.sample_percent, l.keep_days, \
            c.consent, y.id as key_id, y.sealed from patient p \
            left join recording_policy l on l.health_center_id = p.health_center_id \
            left join recording_consent c on c.patient_id = p.id \
            left join center_key y \
            on y.health_center_id = p.health_center_id and y.retired_at is null \
            where p.id = $1";
        let mut session = self.glance().await?;
        let row = sqlx::query(TERMS)
            .bind(patient.to_string())
            .fetch_optional(session.connection())
            .await?;
        let row = row.ok_or(StoreError::NotFound { what: "patient" })?;
        let fields = Fields::new("recording_policy", &row);
        Ok(Terms {
            health_center: fields.parsed("health_center_id")?,
            policy: policy(&row)?,
            consent: fields.word_or_null("consent", Consent::parse)?.unwrap_or_default(),
            key: sealed_key(&row)?,
        })
    }

    /// A centre's rule about recordings, if it made one.
    pub async fn recording_policy(
        &self,
        center: HealthCenterId,
    ) -> Result<Option<Policy>, StoreError> {
        const POLICY: &str = "select l.keep, l.sample_percent, l.keep_days \
            from recording_policy l where l.health_center_id = $1";
        let mut session = self.glance().await?;
        let row = sqlx::query(POLICY)
            .bind(center.to_string())
            .fetch_optional(session.connection())
            .await?;
        row.as_ref().map_or(Ok(None), policy)
    }

    /// Sets a centre's rule for the calls from now on.
    pub async fn set_recording_policy(
        &self,
        now: Timestamp,
        center: HealthCenterId,
        policy: Policy,
        by: &str,
    ) -> Result<(), StoreError> {
        const SET: &str = "insert into recording_policy \
            (health_center_id, keep, sample_percent, keep_days, changed_at, changed_by) \
            values ($1, $2, $3, $4, $5, $6) on conflict (health_center_id) do update set \
            keep = excluded.keep, sample_percent = excluded.sample_percent, \
            keep_days = excluded.keep_days, changed_at = excluded.changed_at, \
            changed_by = excluded.changed_by";
        let mut session = self.write().await?;
        sqlx::query(SET)
            .bind(center.to_string())
            .bind(policy.keep.as_str())
            .bind(i64::from(policy.keep.sample_percent()))
            .bind(i64::from(policy.keep_days))
            .bind(millis(now))
            .bind(by)
            .execute(session.connection())
            .await?;
        session.commit(&[Topic::Recording]).await
    }

    /// What a patient said to being recorded.
    pub async fn recording_consent(&self, patient: PatientId) -> Result<Consent, StoreError> {
        Ok(self.recording_terms(patient).await?.consent)
    }

    /// Sets what a patient said. A refusal also ends the time of what is kept already: it is
    /// deleted by the next turn unless somebody holds it.
    pub async fn set_recording_consent(
        &self,
        now: Timestamp,
        patient: PatientId,
        consent: Consent,
        by: &str,
    ) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        save_consent(session.connection(), now, patient, consent, by).await?;
        session.commit(&[Topic::Recording]).await
    }

    /// Gives a centre a new key. The one before is retired: it seals nothing new.
    ///
    /// A [`StoreError::Conflict`] if another node was faster: take its key.
    pub async fn add_center_key(
        &self,
        now: Timestamp,
        center: HealthCenterId,
        key: &SealedKey,
        replacing: Option<CenterKeyId>,
    ) -> Result<(), StoreError> {
        const RETIRE: &str = "update center_key set retired_at = $2 \
            where id = $1 and retired_at is null";
        const ADD: &str = "insert into center_key (id, health_center_id, sealed, created_at) \
            values ($1, $2, $3, $4)";
        let mut session = self.write().await?;
        if let Some(old) = replacing {
            sqlx::query(RETIRE)
                .bind(old.to_string())
                .bind(millis(now))
                .execute(session.connection())
                .await?;
        }
        sqlx::query(ADD)
            .bind(key.id.to_string())
            .bind(center.to_string())
            .bind(BASE64_STANDARD.encode(&key.sealed))
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// The key that a centre seals with now.
    pub async fn center_key(
        &self,
        center: HealthCenterId,
    ) -> Result<Option<SealedKey>, StoreError> {
        const KEY: &str = "select y.id as key_id, y.sealed from center_key y \
            where y.health_center_id = $1 and y.retired_at is null";
        let mut session = self.glance().await?;
        let row =
            sqlx::query(KEY).bind(center.to_string()).fetch_optional(session.connection()).await?;
        row.as_ref().map_or(Ok(None), sealed_key)
    }

    /// Recordings that this node's earlier life left running: their calls are over.
    pub async fn recordings_left(&self, node: &str) -> Result<Vec<Recording>, StoreError> {
        const LEFT: &str =
            select_recordings!("where r.node = $1 and r.state = 'running' order by r.id");
        let mut session = self.glance().await?;
        recordings(session.connection(), LEFT, &[node.to_owned()]).await
    }

    /// Recordings in this node's spool of which it is not decided whether they stay.
    pub async fn recordings_to_judge(&self, node: &str) -> Result<Vec<Judged>, StoreError> {
        const ESCALATED: &str = concat!(
            "select r.id from recording r where r.node = $1 and r.state = 'spooled' \
             and r.kept_because is null and ",
            facts_of_call!("")
        );
        const JUDGED: &str = "select r.id from recording r join attempt a on a.id = r.attempt_id \
            join slot s on s.id = a.slot_id where r.node = $1 and r.state = 'spooled' \
            and r.kept_because is null and a.evaluated_at is not null \
            and s.state not in ('due', 'in_progress') and (s.evaluated_at is not null \
            or s.state not in ('unreached', 'partial', 'expired')) \
            and not exists (select w.seq from answer w \
            where w.attempt_id = a.id and w.observed_at is null) \
            and not exists (select o.id from observation o \
            where o.attempt_id = a.id and o.evaluated_at is null)";
        const UNDECIDED: &str = select_recordings!(
            "where r.node = $1 and r.state = 'spooled' and r.kept_because is null order by r.id"
        );
        let mut session = self.read().await?;
        let undecided = recordings(session.connection(), UNDECIDED, &[node.to_owned()]).await?;
        // Most turns find nothing.
        if undecided.is_empty() {
            return Ok(Vec::new());
        }
        let mut ids: [Vec<RecordingId>; 2] = Default::default();
        for (statement, ids) in [ESCALATED, JUDGED].into_iter().zip(&mut ids) {
            let rows = sqlx::query(statement).bind(node).fetch_all(session.connection()).await?;
            for row in &rows {
                ids.push(Fields::new("recording", row).parsed("id")?);
            }
        }
        let [escalated, judged] = ids;
        let one = |recording: Recording| Judged {
            escalated: escalated.contains(&recording.id),
            judged: judged.contains(&recording.id),
            recording,
        };
        Ok(undecided.into_iter().map(one).collect())
    }

    /// Notes that a recording stays, why, and until when.
    pub async fn keep_recording(
        &self,
        recording: RecordingId,
        because: Kept,
        until: Timestamp,
    ) -> Result<(), StoreError> {
        const KEEP: &str = "update recording set kept_because = $2, keep_until = $3 \
            where id = $1 and state <> 'deleted'";
        let mut session = self.write().await?;
        let done = sqlx::query(KEEP)
            .bind(recording.to_string())
            .bind(because.as_str())
            .bind(millis(until))
            .execute(session.connection())
            .await?;
        found(done.rows_affected())?;
        session.commit(&[Topic::Recording]).await
    }

    /// Recordings in this node's spool that stay and belong into the archive, the oldest first.
    pub async fn recordings_to_store(&self, node: &str) -> Result<Vec<Recording>, StoreError> {
        const TO_STORE: &str = select_recordings!(
            "where r.node = $1 and r.state = 'spooled' and r.kept_because is not null \
             order by r.id limit 64"
        );
        let mut session = self.glance().await?;
        recordings(session.connection(), TO_STORE, &[node.to_owned()]).await
    }

    /// Notes that a recording is in the archive, with the checksum of its sealed file.
    pub async fn recording_stored(
        &self,
        now: Timestamp,
        recording: RecordingId,
        sealed_bytes: u64,
        sha256: &str,
    ) -> Result<(), StoreError> {
        const STORED: &str = "update recording set state = 'stored', stored_at = $2, \
            sealed_bytes = $3, sha256 = $4 where id = $1 and state = 'spooled'";
        let mut session = self.write().await?;
        let done = sqlx::query(STORED)
            .bind(recording.to_string())
            .bind(millis(now))
            .bind(i64::try_from(sealed_bytes).unwrap_or(i64::MAX))
            .bind(sha256)
            .execute(session.connection())
            .await?;
        found(done.rows_affected())?;
        session.commit(&[Topic::Recording]).await
    }

    /// Recordings whose sound must go: their time is over or their patient refuses, nobody holds
    /// them, and no case of their call is open. Those of other nodes only if they are stored.
    pub async fn recordings_to_delete(
        &self,
        now: Timestamp,
        node: &str,
    ) -> Result<Vec<(Recording, Deleted)>, StoreError> {
        const EXPIRED: &str = concat!(
            select_recordings!(
                "where r.keep_until <= $2 and r.held_at is null \
                 and (r.state = 'stored' or (r.state = 'spooled' and r.node = $1)) and not "
            ),
            facts_of_call!(" and k.state in ('open', 'acknowledged')"),
            " order by r.keep_until limit 64"
        );
        const REFUSED: &str = concat!(
            select_recordings!(
                "join recording_consent c on c.patient_id = r.patient_id \
                 where c.consent = 'refused' and r.held_at is null \
                 and (r.state = 'stored' or (r.state = 'spooled' and r.node = $1)) and not "
            ),
            facts_of_call!(" and k.state in ('open', 'acknowledged')"),
            " order by r.id limit 64"
        );
        let mut session = self.read().await?;
        let expired = sqlx::query(EXPIRED)
            .bind(node)
            .bind(millis(now))
            .fetch_all(session.connection())
            .await?;
        let refused = sqlx::query(REFUSED).bind(node).fetch_all(session.connection()).await?;
        let mut gone: Vec<(Recording, Deleted)> = Vec::new();
        for (rows, because) in [(expired, Deleted::Expired), (refused, Deleted::Refused)] {
            for row in &rows {
                let recording = recording(row)?;
                if gone.iter().all(|(other, _)| other.id != recording.id) {
                    gone.push((recording, because));
                }
            }
        }
        Ok(gone)
    }

    /// When the time of the next recording is over; it may be held all the same.
    pub async fn next_expiry(&self) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(r.keep_until) as keep_until from recording r \
            where r.state in ('spooled', 'stored') and r.held_at is null";
        let mut session = self.glance().await?;
        let row = sqlx::query(NEXT).fetch_one(session.connection()).await?;
        Fields::new("recording", &row).time_or_null("keep_until")
    }

    /// Notes that the sound of a recording is gone, and why. The row stays, and the audit proves
    /// it.
    pub async fn recording_deleted(
        &self,
        now: Timestamp,
        recording: RecordingId,
        because: Deleted,
    ) -> Result<(), StoreError> {
        const DELETED: &str = "update recording set state = 'deleted', deleted_at = $2, \
            deleted_because = $3 where id = $1 and state <> 'deleted' \
            returning patient_id, health_center_id";
        let mut session = self.write().await?;
        let row = sqlx::query(DELETED)
            .bind(recording.to_string())
            .bind(millis(now))
            .bind(because.as_str())
            .fetch_optional(session.connection())
            .await?;
        let row = row.ok_or(StoreError::NotFound { what: "recording" })?;
        let fields = Fields::new("recording", &row);
        let entry = AuditEntry {
            actor: Actor::Program,
            health_center: Some(fields.parsed("health_center_id")?),
            action: "recording.deleted",
            patient: Some(fields.parsed("patient_id")?),
            object: recording.to_string(),
            detail: because.as_str().to_owned(),
        };
        audit::append(session.connection(), now, &entry).await?;
        session.commit(&[Topic::Recording]).await
    }

    /// Holds a recording: it stays until [`Self::release_recording`], whatever its time.
    pub async fn hold_recording(
        &self,
        now: Timestamp,
        recording: RecordingId,
        by: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        const HOLD: &str = "update recording set held_at = $2, held_by = $3, hold_reason = $4 \
            where id = $1 and state <> 'deleted'";
        let mut session = self.write().await?;
        let done = sqlx::query(HOLD)
            .bind(recording.to_string())
            .bind(millis(now))
            .bind(by)
            .bind(reason)
            .execute(session.connection())
            .await?;
        found(done.rows_affected())?;
        session.commit(&[Topic::Recording]).await
    }

    /// Ends a hold: the recording goes when its time is over.
    pub async fn release_recording(&self, recording: RecordingId) -> Result<(), StoreError> {
        const RELEASE: &str = "update recording set held_at = null, held_by = null, \
            hold_reason = null where id = $1 and state <> 'deleted'";
        let mut session = self.write().await?;
        let done =
            sqlx::query(RELEASE).bind(recording.to_string()).execute(session.connection()).await?;
        found(done.rows_affected())?;
        session.commit(&[Topic::Recording]).await
    }
}

/// The rule in a row; `None` where no row was joined.
fn policy(row: &AnyRow) -> Result<Option<Policy>, StoreError> {
    let fields = Fields::new("recording_policy", row);
    let Some(keep) = fields.text_or_null("keep")? else { return Ok(None) };
    let keep = Keep::parse(keep, fields.integer("sample_percent")?);
    Ok(Some(Policy {
        keep: keep.ok_or_else(|| fields.corrupt("keep"))?,
        keep_days: fields.integer("keep_days")?,
    }))
}

/// The key in a row; `None` where no row was joined.
fn sealed_key(row: &AnyRow) -> Result<Option<SealedKey>, StoreError> {
    let fields = Fields::new("center_key", row);
    let Some(sealed) = fields.text_or_null("sealed")? else { return Ok(None) };
    let sealed = BASE64_STANDARD.decode(sealed).map_err(|_| fields.corrupt("sealed"))?;
    Ok(Some(SealedKey { id: fields.parsed("key_id")?, sealed }))
}

/// Writes down what a patient said to being recorded.
pub(super) async fn save_consent(
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: PatientId,
    consent: Consent,
    by: &str,
) -> Result<(), StoreError> {
    const SET: &str = "insert into recording_consent \
        (patient_id, consent, changed_at, changed_by) values ($1, $2, $3, $4) \
        on conflict (patient_id) do update set consent = excluded.consent, \
        changed_at = excluded.changed_at, changed_by = excluded.changed_by";
    sqlx::query(SET)
        .bind(patient.to_string())
        .bind(consent.as_str())
        .bind(millis(now))
        .bind(by)
        .execute(connection)
        .await?;
    Ok(())
}

/// What a patient said to being recorded.
pub(super) async fn consent_of(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<Consent, StoreError> {
    const OF_PATIENT: &str = "select t.consent from recording_consent t where t.patient_id = $1";
    let row = sqlx::query(OF_PATIENT).bind(patient.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(Consent::Unknown) };
    Fields::new("recording_consent", &row).word("consent", Consent::parse)
}
