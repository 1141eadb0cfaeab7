//! From episodes to slots, and from due slots to attempts.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::Serialize;
use sqlx::AnyConnection;

use crate::base::clock::civil;
use crate::base::id::{AttemptId, CampaignId, EpisodeId, PatientId, PauseId, SlotId};
use crate::campaign::plan::PhonesInUse;
use crate::campaign::programme::State;
use crate::campaign::retry::SPACING;
use crate::campaign::terms::Rest;
use crate::campaign::{Attempt, Book, NewSlot, PlannedAttempt, Slot, SlotState};
use crate::registry::{Arrangement, Episode, HealthCenter, Patient};
use crate::store::health::{id_list, pick};
use crate::store::pause::{PAUSED, held_slots, pauses_from};
use crate::store::registry::{
    center_of, episode, episodes_on, fold_patients, health_centers, patients_on, select_episodes,
    select_patients,
};
use crate::store::row::{self, Fields, millis, select_attempts, select_slots};
use crate::store::{Dialect, Store, StoreError, Topic};

/// Slots that are opened in one transaction.
const BATCH: usize = 1_000;

/// An emergency of the day before holds up no call.
const LATELY: Duration = Duration::from_hours(24);

/// An active episode that covers a day.
#[derive(Clone, Debug)]
pub struct UnderObservation {
    /// The episode.
    pub episode: Episode,
    /// Its patient.
    pub patient: Patient,
    /// The patient's health centre.
    pub health_center: HealthCenter,
}

/// A due slot that waits for a decision: call again, when and where, or give up.
#[derive(Clone, Debug)]
pub struct SlotToPlan {
    /// The slot.
    pub slot: Slot,
    /// The patient, with telephones in the order of dialling.
    pub patient: Patient,
    /// The patient's health centre, with its hours.
    pub health_center: HealthCenter,
    /// All attempts so far, by number.
    pub attempts: Vec<Attempt>,
    /// When the patient last answered what was an emergency (P1), within the last day.
    pub emergency_at: Option<Timestamp>,
    /// A pause holds on its day, or the observation was ended: skip it
    /// ([`Store::skip_held_slot`]) instead.
    pub is_held: bool,
    /// What was agreed with the patient.
    pub arrangement: Arrangement,
}

impl Store {
    /// The active episodes that cover the day.
    pub async fn episodes_on(&self, date: Date) -> Result<Vec<UnderObservation>, StoreError> {
        let mut session = self.read().await?;
        let connection = session.connection();
        let centers = health_centers(connection).await?;
        let mut episodes = episodes_on(connection, date).await?;
        let patients = patients_on(connection, date).await?;
        let observed = patients.into_iter().filter_map(|patient| {
            let episode = episodes.remove(&patient.id)?;
            Some(center_of(&centers, &patient).map(|health_center| UnderObservation {
                episode,
                patient,
                health_center,
            }))
        });
        observed.collect()
    }

    /// Opens slots; those that exist already stay as they are. Those on whose day a pause holds
    /// are skipped from the beginning. Returns how many are new. A large
    /// district's slots are opened in several transactions, between which answers are stored.
    pub async fn open_slots(&self, now: Timestamp, slots: &[NewSlot]) -> Result<u32, StoreError> {
        let known = self.known_slots(slots).await?;
        let new = slots.iter().filter(|it| !known.contains(&(it.episode, it.date, it.number)));
        let mut new: Vec<&NewSlot> = new.collect();
        // Patients who stand side by side in the indexes are written together.
        new.sort_unstable_by_key(|slot| (slot.patient, slot.date, slot.number));
        let mut opened = 0;
        for batch in new.chunks(BATCH) {
            opened += self.open_batch(now, batch).await?;
        }
        if new.len() >= BATCH && self.dialect == Dialect::Postgres {
            self.count_slots().await?;
        }
        Ok(opened)
    }

    /// Lets PostgreSQL count the slots again. A day that it has not counted looks empty to it, and the
    /// whole of it would be searched for each patient: it counts by itself only after days, beside a
    /// year of them.
    async fn count_slots(&self) -> Result<(), StoreError> {
        const COUNT: &str = "analyze slot";
        let mut session = self.write().await?;
        sqlx::query(COUNT).execute(session.connection()).await?;
        session.commit(&[]).await
    }

    /// The slots of those days that are there: every half minute all are asked for again, and
    /// nothing need be written.
    async fn known_slots(
        &self,
        slots: &[NewSlot],
    ) -> Result<HashSet<(EpisodeId, Date, u8)>, StoreError> {
        const OF_DAY: &str = "select s.episode_id, s.number from slot s where s.date = $1";
        let days: BTreeSet<Date> = slots.iter().map(|slot| slot.date).collect();
        let mut known = HashSet::new();
        let mut session = self.glance().await?;
        for day in days {
            let rows =
                sqlx::query(OF_DAY).bind(day.to_string()).fetch_all(session.connection()).await?;
            for row in &rows {
                let fields = Fields::new("slot", row);
                known.insert((fields.parsed("episode_id")?, day, fields.integer("number")?));
            }
        }
        Ok(known)
    }

    async fn open_batch(&self, now: Timestamp, slots: &[&NewSlot]) -> Result<u32, StoreError> {
        let Some(first_day) = slots.iter().map(|slot| slot.date).min() else { return Ok(0) };
        let mut session = self.write().await?;
        let paused = pauses_from(session.connection(), first_day).await?;
        let rows: Vec<_> = slots
            .iter()
            .map(|slot| {
                let pauses = paused.get(&slot.patient).into_iter().flatten();
                let mut pauses = pauses.filter(|(days, _)| days.contains(&slot.date));
                let pause = pauses.next().map(|(_, pause)| *pause);
                opening(self.mint::<SlotId>(now), slot, pause, now)
            })
            .collect();
        let opened = open_all(self.dialect, session.connection(), &rows).await?;
        if opened > 0 {
            session.commit(&[Topic::Slot]).await?;
        }
        Ok(opened)
    }

    /// Whether any slot of that day is there.
    pub async fn has_slots(&self, day: Date) -> Result<bool, StoreError> {
        const ANY: &str = "select s.id from slot s where s.date = $1 limit 1";
        let mut session = self.glance().await?;
        let row =
            sqlx::query(ANY).bind(day.to_string()).fetch_optional(session.connection()).await?;
        Ok(row.is_some())
    }

    /// A mark of who is under observation, and in which centres: while it stays the same, the same
    /// slots are owed by the same terms.
    pub async fn observed_mark(&self) -> Result<String, StoreError> {
        const MARK: &str = "select (select count(*) from episode e where e.state = 'active') as n, \
            (select max(f.updated_at) from episode f where f.state = 'active') as changed_at, \
            (select max(c.updated_at) from health_center c) as center_changed_at";
        let mut session = self.glance().await?;
        let row = sqlx::query(MARK).fetch_one(session.connection()).await?;
        let fields = Fields::new("episode", &row);
        let (n, changed_at) = (fields.integer::<i64>("n")?, fields.time_or_null("changed_at")?);
        Ok(format!("{n} {changed_at:?} {:?}", fields.time_or_null("center_changed_at")?))
    }

    /// Due slots inside their window that have no attempt due or under way: of each campaign that
    /// runs, and of patients without one, the oldest ones first, so that no campaign hides another.
    pub async fn slots_to_plan(
        &self,
        now: Timestamp,
        book: &Book,
        limit: u32,
    ) -> Result<Vec<SlotToPlan>, StoreError> {
        // In the order of the index of what is due: a plus hides that of its ends.
        const OF_CAMPAIGN: &str = select_slots!(
            "where s.state = 'due' and s.due_from <= $1 and +s.due_to > $1 \
             and s.campaign_id = $3 and not exists (select 1 from attempt a \
             where a.slot_id = s.id and a.state in ('due', 'dialing', 'talking')) \
             order by s.due_from, s.id limit $2"
        );
        const OF_NONE: &str = select_slots!(
            "where s.state = 'due' and s.due_from <= $1 and +s.due_to > $1 \
             and s.campaign_id is null and not exists (select 1 from attempt a \
             where a.slot_id = s.id and a.state in ('due', 'dialing', 'talking')) \
             order by s.due_from, s.id limit $2"
        );
        let mut session = self.read().await?;
        let connection = session.connection();
        let mut running: Vec<CampaignId> = book
            .campaigns()
            .filter(|campaign| campaign.state == State::Running)
            .map(|campaign| campaign.id)
            .collect();
        running.sort();
        let share = (limit as usize / (running.len() + 1)).max(64.min(limit as usize));
        let share = i64::try_from(share).unwrap_or(i64::MAX);
        let mut rows =
            sqlx::query(OF_NONE).bind(millis(now)).bind(share).fetch_all(&mut *connection).await?;
        for campaign in running {
            let more = sqlx::query(OF_CAMPAIGN)
                .bind(millis(now))
                .bind(share)
                .bind(campaign.to_string())
                .fetch_all(&mut *connection)
                .await?;
            rows.extend(more);
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let slots: Vec<Slot> = rows.iter().map(row::slot).collect::<Result<_, _>>()?;
        let centers = health_centers(connection).await?;
        let emergencies = emergencies(connection, now - LATELY).await?;
        let held = held_slots(connection, civil(now).date()).await?;
        let patients = patients_of(self.dialect, connection, &slots).await?;
        let mut attempts = attempts_at_all(self.dialect, connection, &slots).await?;
        let episodes = episodes_of(self.dialect, connection, &slots).await?;
        let to_plan = slots.into_iter().map(|slot| {
            let patient = patients.get(&slot.patient).cloned();
            let patient = patient.ok_or(StoreError::NotFound { what: "patient" })?;
            let episode = episodes.get(&slot.episode);
            let episode = episode.ok_or(StoreError::NotFound { what: "episode" })?;
            Ok(SlotToPlan {
                health_center: center_of(&centers, &patient)?,
                attempts: attempts.remove(&slot.id).unwrap_or_default(),
                emergency_at: emergencies.get(&slot.patient).copied(),
                is_held: held.contains(&slot.id),
                arrangement: episode.arrangement.clone(),
                patient,
                slot,
            })
        });
        to_plan.collect()
    }

    /// When a due slot begins or ends next; in the past if one has ended that
    /// [`Self::expire_slots`] would settle.
    pub async fn next_slot_change(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        const BEGINS: &str = "select min(s.due_from) as at from slot s \
            where s.state = 'due' and s.due_from > $1";
        const ENDS: &str = "select min(s.due_to) as at from slot s where s.state = 'due'";
        let mut session = self.glance().await?;
        let row = sqlx::query(BEGINS).bind(millis(now)).fetch_one(session.connection()).await?;
        let begins = Fields::new("slot", &row).time_or_null("at")?;
        let row = sqlx::query(ENDS).fetch_one(session.connection()).await?;
        let ends = Fields::new("slot", &row).time_or_null("at")?;
        Ok(begins.into_iter().chain(ends).min())
    }

    /// The telephones that are being called or about to be, and those that were a short while ago.
    pub async fn phones_in_use(&self, now: Timestamp) -> Result<PhonesInUse, StoreError> {
        const BUSY: &str = "select a.phone from attempt a \
            where a.state in ('dialing', 'talking') or (a.state = 'due' and a.due_at <= $1)";
        const ENDED: &str = "select a.phone, max(a.ended_at) as ended_at from attempt a \
            where a.ended_at > $1 group by a.phone";
        let mut session = self.read().await?;
        let busy = sqlx::query(BUSY).bind(millis(now)).fetch_all(session.connection()).await?;
        let ended =
            sqlx::query(ENDED).bind(millis(now - SPACING)).fetch_all(session.connection()).await?;
        let busy = busy.iter().map(|row| Fields::new("attempt", row).parsed("phone"));
        let last_ended = ended.iter().map(|row| {
            let fields = Fields::new("attempt", row);
            Ok((fields.parsed("phone")?, fields.time("ended_at")?))
        });
        Ok(PhonesInUse {
            busy: busy.collect::<Result<_, StoreError>>()?,
            last_ended: last_ended.collect::<Result<_, StoreError>>()?,
        })
    }

    /// Adds an attempt. `None` if the slot is no longer due, has an attempt that is due or under
    /// way, or has had an attempt of this number: somebody else was faster.
    pub async fn add_attempt(
        &self,
        now: Timestamp,
        planned: &PlannedAttempt,
    ) -> Result<Option<AttemptId>, StoreError> {
        // The slot is locked first, so that nobody settles it in between.
        const LOCK: &str = "update slot set state = state where id = $1 and state = 'due' \
            and not exists (select 1 from attempt a where a.slot_id = slot.id \
            and a.state in ('due', 'dialing', 'talking')) returning patient_id";
        const ADD: &str = "insert into attempt (id, slot_id, patient_id, number, phone, due_at, \
            state, created_at, campaign_id, campaign_version, priority) \
            values ($1, $2, $3, $4, $5, $6, 'due', $7, $8, $9, $10) on conflict do nothing";
        let mut session = self.write().await?;
        let row = sqlx::query(LOCK)
            .bind(planned.slot.to_string())
            .fetch_optional(session.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let patient: PatientId = Fields::new("slot", &row).parsed("patient_id")?;
        let id = self.mint::<AttemptId>(now);
        let done = sqlx::query(ADD)
            .bind(id.to_string())
            .bind(planned.slot.to_string())
            .bind(patient.to_string())
            .bind(i64::from(planned.number))
            .bind(planned.phone.e164())
            .bind(millis(planned.due_at))
            .bind(millis(now))
            .bind(planned.campaign.map(|key| key.campaign.to_string()))
            .bind(planned.campaign.map(|key| i64::from(key.version)))
            .bind(planned.priority.rank())
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Ok(None);
        }
        session.commit(&[Topic::Due]).await?;
        Ok(Some(id))
    }

    /// Settles a slot that is due, and drops its attempt that is due. A slot that is under way or
    /// settled is [`StoreError::Stale`].
    pub async fn close_slot(
        &self,
        now: Timestamp,
        slot: SlotId,
        state: SlotState,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        const CLOSE: &str = "update slot set state = $2, reason = $3, settled_at = $4 \
            where id = $1 and state = 'due'";
        let mut session = self.write().await?;
        let done = sqlx::query(CLOSE)
            .bind(slot.to_string())
            .bind(state.as_str())
            .bind(reason)
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "slot" });
        }
        drop_due_attempt(session.connection(), slot).await?;
        session.commit(&[Topic::Over]).await
    }

    /// Settles the due slots whose window has closed: partial if something was answered,
    /// unreached if somebody was called, else expired. Slots under way are left alone.
    pub async fn expire_slots(&self, now: Timestamp) -> Result<Vec<SlotId>, StoreError> {
        const EXPIRE: &str = "update slot set settled_at = $1, state = case \
            when exists (select 1 from answer w where w.slot_id = slot.id \
            and w.answer <> 'unanswered') then 'partial' \
            when exists (select 1 from attempt a where a.slot_id = slot.id \
            and a.state = 'done') then 'unreached' \
            else 'expired' end \
            where state = 'due' and due_to <= $1 returning id";
        let mut session = self.write().await?;
        let rows = sqlx::query(EXPIRE).bind(millis(now)).fetch_all(session.connection()).await?;
        let mut expired = Vec::with_capacity(rows.len());
        for row in &rows {
            let id = Fields::new("slot", row).parsed("id")?;
            drop_due_attempt(session.connection(), id).await?;
            expired.push(id);
        }
        if !expired.is_empty() {
            session.commit(&[Topic::Over]).await?;
        }
        Ok(expired)
    }
}

/// A slot as it is opened: due, or settled from the beginning. The values of `insert_openings`, in
/// its order.
///
/// A slot on whose day its campaign calls nobody is settled; if staff are to call instead, as one
/// that nobody tried, and so it becomes a matter for them. A paused one is skipped.
fn opening(
    id: SlotId,
    slot: &NewSlot,
    pause: Option<PauseId>,
    now: Timestamp,
) -> impl Serialize + use<> {
    let (state, reason) = match (&slot.rest, pause) {
        (Some(rest @ (Rest::Weekday | Rest::Skipped(_))), _) => {
            (SlotState::Skipped, Some(rest.reason()))
        }
        (Some(rest @ Rest::Staff(_)), _) => (SlotState::Expired, Some(rest.reason())),
        (None, Some(_)) => (SlotState::Skipped, Some(PAUSED.to_owned())),
        (None, None) => (SlotState::Due, None),
    };
    (
        id.to_string(),
        slot.episode.to_string(),
        slot.patient.to_string(),
        slot.date.to_string(),
        slot.number,
        millis(slot.due_from),
        millis(slot.due_to),
        state.as_str(),
        reason,
        pause.filter(|_| slot.rest.is_none()).map(|pause| pause.to_string()),
        millis(now),
        state.is_final().then(|| millis(now)),
        slot.kind.as_str(),
        slot.campaign.map(|key| key.campaign.to_string()),
        slot.campaign.map(|key| key.version),
    )
}

/// Opens the slots of a list of lists: names would have to be looked up in each.
macro_rules! insert_openings {
    ($rows:literal) => {
        concat!(
            "insert into slot (id, episode_id, patient_id, date, number, due_from, due_to, state, \
             reason, pause_id, created_at, settled_at, kind, campaign_id, campaign_version) select \
             value ->> 0, value ->> 1, value ->> 2, value ->> 3, cast(value ->> 4 as bigint), \
             cast(value ->> 5 as bigint), cast(value ->> 6 as bigint), value ->> 7, value ->> 8, \
             value ->> 9, cast(value ->> 10 as bigint), cast(value ->> 11 as bigint), \
             value ->> 12, value ->> 13, cast(value ->> 14 as bigint) from ",
            $rows,
            " where true on conflict (patient_id, date, number, episode_id) do nothing"
        )
    };
}

/// Opens slots in one statement; those that exist stay as they are. Returns how many are new.
async fn open_all(
    dialect: Dialect,
    connection: &mut AnyConnection,
    rows: &[impl Serialize],
) -> Result<u32, StoreError> {
    // The two databases take a list apart by functions of other names; SQLite would write each list
    // of the list out as text, only to read it again.
    const SQLITE: &str = insert_openings!("jsonb_each($1)");
    const POSTGRES: &str = insert_openings!("json_array_elements($1::json) as x (value)");
    let statement = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let list = serde_json::to_string(rows)
        .map_err(|_| StoreError::Corrupt { table: "slot", column: "id" })?;
    let done = sqlx::query(statement).bind(list).execute(connection).await?;
    Ok(u32::try_from(done.rows_affected()).unwrap_or(u32::MAX))
}

/// Opens a slot, if there is none of its number. Whether it did.
pub(super) async fn open_slot(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: SlotId,
    slot: &NewSlot,
) -> Result<bool, StoreError> {
    const OPEN: &str = "insert into slot \
        (id, episode_id, patient_id, date, number, due_from, due_to, state, created_at, kind, \
        campaign_id, campaign_version) values ($1, $2, $3, $4, $5, $6, $7, 'due', $8, $9, $10, $11) \
        on conflict (patient_id, date, number, episode_id) do nothing";
    let done = sqlx::query(OPEN)
        .bind(id.to_string())
        .bind(slot.episode.to_string())
        .bind(slot.patient.to_string())
        .bind(slot.date.to_string())
        .bind(i64::from(slot.number))
        .bind(millis(slot.due_from))
        .bind(millis(slot.due_to))
        .bind(millis(now))
        .bind(slot.kind.as_str())
        .bind(slot.campaign.map(|key| key.campaign.to_string()))
        .bind(slot.campaign.map(|key| i64::from(key.version)))
        .execute(connection)
        .await?;
    Ok(done.rows_affected() > 0)
}

/// All attempts at a slot, by number.
pub(super) async fn attempts_at(
    connection: &mut AnyConnection,
    slot: SlotId,
) -> Result<Vec<Attempt>, StoreError> {
    const OF_SLOT: &str = select_attempts!("where a.slot_id = $1 order by a.number");
    let rows = sqlx::query(OF_SLOT).bind(slot.to_string()).fetch_all(connection).await?;
    rows.iter().map(row::attempt).collect()
}

/// All attempts at these slots, those of each by number.
async fn attempts_at_all(
    dialect: Dialect,
    connection: &mut AnyConnection,
    slots: &[Slot],
) -> Result<HashMap<SlotId, Vec<Attempt>>, StoreError> {
    const OF_SLOTS: [&str; 2] = [
        select_attempts!("where a.slot_id in (select value from json_each($1)) order by a.number"),
        select_attempts!(
            "where a.slot_id = any (array(select json_array_elements_text($1::json))) \
             order by a.number"
        ),
    ];
    let ids = id_list(slots.iter().map(|slot| slot.id));
    let rows = sqlx::query(pick(dialect, OF_SLOTS)).bind(ids).fetch_all(connection).await?;
    let mut attempts: HashMap<SlotId, Vec<Attempt>> = HashMap::new();
    for row in &rows {
        let attempt = row::attempt(row)?;
        attempts.entry(attempt.slot).or_default().push(attempt);
    }
    Ok(attempts)
}

/// The patients of these slots.
async fn patients_of(
    dialect: Dialect,
    connection: &mut AnyConnection,
    slots: &[Slot],
) -> Result<HashMap<PatientId, Patient>, StoreError> {
    const BY_ID: [&str; 2] = [
        select_patients!("where p.id in (select value from json_each($1))"),
        select_patients!("where p.id = any (array(select json_array_elements_text($1::json)))"),
    ];
    let ids = id_list(slots.iter().map(|slot| slot.patient));
    let rows = sqlx::query(pick(dialect, BY_ID)).bind(ids).fetch_all(connection).await?;
    Ok(fold_patients(&rows)?.into_iter().map(|patient| (patient.id, patient)).collect())
}

/// The episodes of these slots.
async fn episodes_of(
    dialect: Dialect,
    connection: &mut AnyConnection,
    slots: &[Slot],
) -> Result<HashMap<EpisodeId, Episode>, StoreError> {
    const BY_ID: [&str; 2] = [
        select_episodes!("where e.id in (select value from json_each($1))"),
        select_episodes!("where e.id = any (array(select json_array_elements_text($1::json)))"),
    ];
    let ids = id_list(slots.iter().map(|slot| slot.episode));
    let rows = sqlx::query(pick(dialect, BY_ID)).bind(ids).fetch_all(connection).await?;
    let episodes = rows.iter().map(|row| episode(row).map(|episode| (episode.id, episode)));
    episodes.collect()
}

/// When patients last gave an answer of the highest priority, since then.
async fn emergencies(
    connection: &mut AnyConnection,
    since: Timestamp,
) -> Result<HashMap<PatientId, Timestamp>, StoreError> {
    const LAST: &str = "select k.patient_id, max(x.at) as at from case_fact x \
        join escalation_case k on k.id = x.case_id \
        where x.priority = 'p1' and x.source = 'answer' and x.at >= $1 group by k.patient_id";
    let rows = sqlx::query(LAST).bind(millis(since)).fetch_all(connection).await?;
    let last = rows.iter().map(|row| {
        let fields = Fields::new("case_fact", row);
        Ok((fields.parsed("patient_id")?, fields.time("at")?))
    });
    last.collect()
}

/// When a patient last gave an answer of the highest priority, since then.
pub(super) async fn emergency_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    since: Timestamp,
) -> Result<Option<Timestamp>, StoreError> {
    const LAST: &str = "select max(x.at) as at from case_fact x \
        join escalation_case k on k.id = x.case_id where k.patient_id = $1 \
        and x.priority = 'p1' and x.source = 'answer' and x.at >= $2";
    let row = sqlx::query(LAST)
        .bind(patient.to_string())
        .bind(millis(since))
        .fetch_one(connection)
        .await?;
    Fields::new("case_fact", &row).time_or_null("at")
}

/// A settled slot wants no call.
pub(super) async fn drop_due_attempt(
    connection: &mut AnyConnection,
    slot: SlotId,
) -> Result<(), StoreError> {
    const DROP: &str = "update attempt set state = 'dropped' where slot_id = $1 and state = 'due'";
    sqlx::query(DROP).bind(slot.to_string()).execute(connection).await?;
    Ok(())
}
