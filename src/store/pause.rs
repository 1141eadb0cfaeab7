//! Pauses: the days on which a patient is not called, and the slots that are skipped for them.

use std::collections::{HashMap, HashSet};
use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::civil::Date;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::clock::civil;
use crate::base::id::{PatientId, PauseId, SlotId, StaffId};
use crate::registry::Pause;
use crate::store::row::{Fields, millis};
use crate::store::schedule::drop_due_attempt;
use crate::store::{Store, StoreError, Topic, Within};

/// What stands beside a slot that is skipped for a pause. Why it was paused is the pause's own: it
/// may speak of a person.
pub(super) const PAUSED: &str = "休止中";
const OVER: &str = "観察期間終了";

/// What ending a pause did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resumed {
    /// It is ended; so many slots of today wait for their calls again.
    Resumed {
        /// How many.
        slots: u32,
    },
    /// It was over already.
    AlreadyOver,
}

impl Within<'_> {
    /// Leaves a patient in peace from the first to the last day. Due slots of these days are
    /// skipped, and their due attempts dropped; a call under way goes on. Asked for twice, it is
    /// one pause.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `patient_pause_overlap` if another pause holds on one of the
    /// days.
    pub async fn pause(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        (first_day, last_day): (Date, Date),
        reason: &str,
    ) -> Result<PauseId, StoreError> {
        const INSERT: &str = "insert into patient_pause \
            (id, patient_id, first_day, last_day, reason, staff_id, paused_at) \
            values ($1, $2, $3, $4, $5, $6, $7)";
        const SKIP: &str = "update slot set state = 'skipped', reason = $4, settled_at = $5, \
            pause_id = $6 where patient_id = $1 and date >= $2 and date <= $3 and state = 'due'";
        const DROP: &str = "update attempt set state = 'dropped' where state = 'due' \
            and slot_id in (select s.id from slot s where s.pause_id = $1)";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        for other in pauses_of(connection, patient, first_day).await? {
            if other.ended.is_some() || other.first_day > last_day {
                continue;
            }
            let is_same = (other.first_day, other.last_day) == (first_day, last_day)
                && other.reason.expose() == reason;
            return if is_same {
                Ok(other.id)
            } else {
                Err(StoreError::Conflict { constraint: "patient_pause_overlap".to_owned() })
            };
        }
        let id = self.store.mint::<PauseId>(now);
        sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(patient.to_string())
            .bind(first_day.to_string())
            .bind(last_day.to_string())
            .bind(reason)
            .bind(by.to_string())
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        sqlx::query(SKIP)
            .bind(patient.to_string())
            .bind(first_day.to_string())
            .bind(last_day.to_string())
            .bind(PAUSED)
            .bind(millis(now))
            .bind(id.to_string())
            .execute(&mut *connection)
            .await?;
        sqlx::query(DROP).bind(id.to_string()).execute(&mut *connection).await?;
        let days = format!("{first_day} – {last_day}");
        self.sign(connection, now, by, patient, ("patient.paused", id.to_string(), days)).await?;
        session.commit(&[Topic::Registry, Topic::Over]).await?;
        Ok(id)
    }

    /// Ends a pause before its last day. Slots that were skipped for it and whose time is not over
    /// are due again.
    pub async fn end_pause(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        pause: PauseId,
    ) -> Result<Resumed, StoreError> {
        const END: &str = "update patient_pause set ended_at = $3, ended_by = $4 \
            where id = $1 and patient_id = $2 and ended_at is null and last_day >= $5";
        const EXISTS: &str =
            "select z.id from patient_pause z where z.id = $1 and z.patient_id = $2";
        const RESUME: &str = "update slot set state = 'due', reason = null, settled_at = null, \
            pause_id = null where pause_id = $1 and state = 'skipped' and due_to > $2 \
            and exists (select 1 from episode e where e.id = slot.episode_id \
            and e.state = 'active' and e.last_day >= slot.date)";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let done = sqlx::query(END)
            .bind(pause.to_string())
            .bind(patient.to_string())
            .bind(millis(now))
            .bind(by.to_string())
            .bind(civil(now).date().to_string())
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            let known = sqlx::query(EXISTS)
                .bind(pause.to_string())
                .bind(patient.to_string())
                .fetch_optional(connection)
                .await?;
            return known
                .map(|_| Resumed::AlreadyOver)
                .ok_or(StoreError::NotFound { what: "pause" });
        }
        let done = sqlx::query(RESUME)
            .bind(pause.to_string())
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        let event = ("patient.resumed", pause.to_string(), String::new());
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Registry, Topic::Slot]).await?;
        Ok(Resumed::Resumed { slots: u32::try_from(done.rows_affected()).unwrap_or(u32::MAX) })
    }
}

/// Why a due slot is not to be called.
#[derive(Clone, Copy, Debug)]
pub(super) enum Hold {
    /// A pause holds on its day.
    Paused(PauseId),
    /// The observation was ended.
    Over,
}

impl Store {
    /// Skips a due slot on whose day a pause holds, or whose observation was ended, and drops its
    /// due attempt. Whether it did: a pause that was ended meanwhile skips nothing.
    pub async fn skip_held_slot(&self, now: Timestamp, slot: SlotId) -> Result<bool, StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        let Some(hold) = hold_of_slot(connection, slot).await? else { return Ok(false) };
        let is_skipped = skip_for(connection, now, slot, hold).await?;
        session.commit(&[Topic::Over]).await?;
        Ok(is_skipped)
    }
}

/// Why a slot is not to be called, if it is not.
pub(super) async fn hold_of_slot(
    connection: &mut AnyConnection,
    slot: SlotId,
) -> Result<Option<Hold>, StoreError> {
    const OF_SLOT: &str = "select z.id from slot s join episode e on e.id = s.episode_id \
        left join patient_pause z on z.patient_id = s.patient_id and z.ended_at is null \
        and z.first_day <= s.date and z.last_day >= s.date where s.id = $1 \
        and (z.id is not null or (s.kind <> 'farewell' \
        and (e.state = 'ended' or e.last_day < s.date)))";
    let row = sqlx::query(OF_SLOT).bind(slot.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let pause = Fields::new("patient_pause", &row).parsed_or_null("id")?;
    Ok(Some(pause.map_or(Hold::Over, Hold::Paused)))
}

/// The due slots that are held now: there are few.
pub(super) async fn held_slots(
    connection: &mut AnyConnection,
    today: Date,
) -> Result<HashSet<SlotId>, StoreError> {
    // From the few pauses and ended observations to their slots, and never from all that is due: a
    // cross join of SQLite keeps its order.
    const PAUSED: &str = "select s.id from patient_pause z cross join slot s \
        where s.patient_id = z.patient_id and s.date >= z.first_day \
        and s.date <= z.last_day and z.ended_at is null and z.last_day >= $1 \
        and s.state = 'due'";
    const OVER: &str = "select s.id from episode e cross join slot s \
        where s.patient_id = e.patient_id and s.episode_id = e.id and e.state = 'ended' \
        and e.last_day >= $1 and s.state = 'due' and s.kind <> 'farewell'";
    let mut held = HashSet::new();
    for statement in [PAUSED, OVER] {
        let rows =
            sqlx::query(statement).bind(today.to_string()).fetch_all(&mut *connection).await?;
        for row in &rows {
            held.insert(Fields::new("slot", row).parsed("id")?);
        }
    }
    Ok(held)
}

/// The days of a pause, and which it is.
type Days = (RangeInclusive<Date>, PauseId);

/// The pauses that hold on this day or later, by patient.
pub(super) async fn pauses_from(
    connection: &mut AnyConnection,
    day: Date,
) -> Result<HashMap<PatientId, Vec<Days>>, StoreError> {
    const FROM: &str = "select z.id, z.patient_id, z.first_day, z.last_day from patient_pause z \
        where z.ended_at is null and z.last_day >= $1";
    let rows = sqlx::query(FROM).bind(day.to_string()).fetch_all(connection).await?;
    let mut pauses: HashMap<PatientId, Vec<Days>> = HashMap::new();
    for row in &rows {
        let fields = Fields::new("patient_pause", row);
        let days = fields.parsed("first_day")?..=fields.parsed("last_day")?;
        pauses.entry(fields.parsed("patient_id")?).or_default().push((days, fields.parsed("id")?));
    }
    Ok(pauses)
}

/// Skips a slot that is due.
pub(super) async fn skip_for(
    connection: &mut AnyConnection,
    now: Timestamp,
    slot: SlotId,
    hold: Hold,
) -> Result<bool, StoreError> {
    const SKIP: &str = "update slot set state = 'skipped', reason = $2, settled_at = $3, \
        pause_id = $4 where id = $1 and state = 'due'";
    let (reason, pause) = match hold {
        Hold::Paused(pause) => (PAUSED, Some(pause.to_string())),
        Hold::Over => (OVER, None),
    };
    let done = sqlx::query(SKIP)
        .bind(slot.to_string())
        .bind(reason)
        .bind(millis(now))
        .bind(pause)
        .execute(&mut *connection)
        .await?;
    if done.rows_affected() == 1 {
        drop_due_attempt(connection, slot).await?;
    }
    Ok(done.rows_affected() == 1)
}

/// The pauses of a patient that end on this day or later, also those that were ended, by first
/// day.
pub(super) async fn pauses_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    since: Date,
) -> Result<Vec<Pause>, StoreError> {
    const OF_PATIENT: &str = "select z.id, z.first_day, z.last_day, z.reason, z.staff_id, \
        f.name as staff_name, z.paused_at, z.ended_by, g.name as ended_name, z.ended_at \
        from patient_pause z join staff f on f.id = z.staff_id \
        left join staff g on g.id = z.ended_by \
        where z.patient_id = $1 and z.last_day >= $2 order by z.first_day, z.id";
    let rows = sqlx::query(OF_PATIENT)
        .bind(patient.to_string())
        .bind(since.to_string())
        .fetch_all(connection)
        .await?;
    rows.iter().map(pause).collect()
}

fn pause(row: &AnyRow) -> Result<Pause, StoreError> {
    let fields = Fields::new("patient_pause", row);
    let ended = match fields.time_or_null("ended_at")? {
        None => None,
        Some(_) => Some(fields.signed(["ended_by", "ended_name", "ended_at"])?),
    };
    Ok(Pause {
        id: fields.parsed("id")?,
        first_day: fields.parsed("first_day")?,
        last_day: fields.parsed("last_day")?,
        reason: Private::new(fields.text("reason")?.to_owned()),
        begun: fields.signed(["staff_id", "staff_name", "paused_at"])?,
        ended,
    })
}
