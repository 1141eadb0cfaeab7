//! Taking a list back, row by row: each patient becomes what they were, where nothing that came
//! later depends on it.
//!
//! Nothing that was said on a telephone goes away: a patient who was called is not deleted, but no
//! longer observed. A patient whom somebody has changed since is left as they are.

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};
use sqlx::AnyConnection;

use crate::base::Private;
use crate::base::id::{EpisodeId, ImportBatchId, PatientId};
use crate::registry::arrangement::{Channel, Told, Weekdays};
use crate::registry::{Arrangement, Episode, Gender, Patient, PatientPhone, PhoneRole, RiskFlag};
use crate::store::registry::{
    find_active_episode, patient, replace_phones, skip_slots_after, time_of_day, update_patient,
};
use crate::store::row::{Fields, millis, of_episode, slots_of_episode};
use crate::store::{StoreError, Topic, Within};

/// What became of a row that was to be taken back.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Undone {
    /// The patient whom the row brought in is gone.
    Deleted,
    /// The patient was called or observed meanwhile: the days under observation were ended.
    Ended,
    /// The patient is as before.
    Restored,
    /// Somebody has changed the patient meanwhile, or the row had changed nothing.
    Left,
}

impl Undone {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::Ended => "ended",
            Self::Restored => "restored",
            Self::Left => "left",
        }
    }
}

/// A patient and the active episode as they stood, kept as text.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts, as in `Patient`")]
pub(super) struct Snapshot {
    name: String,
    kana: String,
    birth_date: String,
    // Not in rows from before it was kept.
    #[serde(default)]
    gender: Option<String>,
    language: String,
    has_thermometer: bool,
    has_oximeter: bool,
    slow_speech: bool,
    lives_alone: bool,
    risks: Vec<String>,
    phones: Vec<(String, String)>,
    episode: Option<Days>,
}

#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
struct Days {
    id: String,
    first_day: String,
    last_day: String,
    call_times: Vec<String>,
    // Only of lists that tell them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    weekdays: Option<u8>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
}

fn unreadable() -> StoreError {
    StoreError::Corrupt { table: "import_row", column: "was" }
}

impl Snapshot {
    /// What the list tells of the arrangement is kept with it: what staff agree on besides does not
    /// stand in the way of taking the list back.
    pub(super) fn of(patient: &Patient, episode: Option<&Episode>, told: Told) -> Self {
        let phone =
            |phone: &PatientPhone| (phone.number.e164().to_owned(), phone.role.as_str().to_owned());
        Self {
            name: patient.name.expose().clone(),
            kana: patient.kana.expose().clone(),
            birth_date: patient.birth_date.expose().to_string(),
            gender: patient.gender.map(|gender| gender.as_str().to_owned()),
            language: patient.language.code().to_owned(),
            has_thermometer: patient.has_thermometer,
            has_oximeter: patient.has_oximeter,
            slow_speech: patient.slow_speech,
            lives_alone: patient.lives_alone,
            risks: patient.risks.iter().map(|risk| risk.as_str().to_owned()).collect(),
            phones: patient.phones.iter().map(phone).collect(),
            episode: episode.map(|episode| Days {
                id: episode.id.to_string(),
                first_day: episode.first_day.to_string(),
                last_day: episode.last_day.to_string(),
                call_times: episode.call_times.iter().copied().map(time_of_day).collect(),
                weekdays: told.weekdays.map(|_| episode.arrangement.weekdays.bits()),
                channel: told.channel.map(|_| episode.arrangement.channel.as_str().to_owned()),
            }),
        }
    }

    pub(super) fn to_text(&self) -> Result<String, StoreError> {
        serde_json::to_string(self).map_err(|_| unreadable())
    }

    fn parse(text: &str) -> Result<Self, StoreError> {
        serde_json::from_str(text).map_err(|_| unreadable())
    }

    /// What the list told of the arrangement.
    fn told(&self) -> Told {
        self.episode.as_ref().map(Days::told).unwrap_or_default()
    }

    /// The patient as they were, under the id and number that they have.
    fn patient(&self, now: &Patient) -> Result<Patient, StoreError> {
        let phones = self.phones.iter().map(|(number, role)| {
            let role = PhoneRole::parse(role).ok_or_else(unreadable)?;
            let number = number.parse().map_err(|_| unreadable())?;
            // Lists know nothing of consent, so it stays as it is.
            let current = now.phones.iter().find(|phone| phone.number == number);
            let may_call = current.is_none_or(|phone| phone.may_call);
            Ok(PatientPhone { number, role, may_call })
        });
        let risks = self.risks.iter().map(|risk| RiskFlag::parse(risk));
        Ok(Patient {
            id: now.id,
            health_center: now.health_center,
            registration_number: now.registration_number.clone(),
            birth_date: Private::new(self.birth_date.parse().map_err(|_| unreadable())?),
            name: Private::new(self.name.clone()),
            kana: Private::new(self.kana.clone()),
            gender: self.gender.as_deref().and_then(Gender::parse),
            language: self.language.parse().map_err(|_| unreadable())?,
            has_thermometer: self.has_thermometer,
            has_oximeter: self.has_oximeter,
            slow_speech: self.slow_speech,
            lives_alone: self.lives_alone,
            risks: risks.collect::<Option<_>>().ok_or_else(unreadable)?,
            phones: phones.collect::<Result<_, StoreError>>()?,
        })
    }
}

impl Days {
    fn episode(&self, patient: PatientId) -> Result<Episode, StoreError> {
        let times = self.call_times.iter().map(|time| time.parse::<Time>());
        Ok(Episode {
            id: self.id.parse().map_err(|_| unreadable())?,
            patient,
            first_day: self.first_day.parse().map_err(|_| unreadable())?,
            last_day: self.last_day.parse().map_err(|_| unreadable())?,
            call_times: times.collect::<Result<_, _>>().map_err(|_| unreadable())?,
            // What the list did not tell stays as it is.
            arrangement: self.told().apply(Arrangement::default()),
        })
    }

    fn told(&self) -> Told {
        Told {
            weekdays: self.weekdays.and_then(Weekdays::from_bits),
            channel: self.channel.as_deref().and_then(Channel::parse),
        }
    }
}

/// What is written down of a row.
struct Taken {
    patient: PatientId,
    change: String,
    was: Option<Snapshot>,
    became: Option<Snapshot>,
    at: Timestamp,
}

impl Within<'_> {
    /// The next lines that are to be taken back, the last of the list first.
    pub async fn lines_to_undo(
        &self,
        id: ImportBatchId,
        limit: u32,
    ) -> Result<Vec<usize>, StoreError> {
        const NEXT: &str = "select r.line from import_row r join import_batch b on b.id = r.batch_id \
            where r.batch_id = $1 and b.health_center_id = $2 and r.undone is null \
            order by r.line desc limit $3";
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(NEXT)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(i64::from(limit))
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(|row| Fields::new("import_row", row).integer("line")).collect()
    }

    /// Takes one row back.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the list is not being taken back any more.
    pub async fn undo_row(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        line: usize,
    ) -> Result<Undone, StoreError> {
        let mut result = self.try_undo(now, id, line, Reach::Delete).await;
        for reach in [Reach::End, Reach::Leave] {
            match result {
                // Something that this file knows nothing of depends on it, or nobody can read it.
                Err(StoreError::Conflict { .. } | StoreError::Corrupt { .. }) => {
                    result = self.try_undo(now, id, line, reach).await;
                }
                other => return other,
            }
        }
        result
    }

    async fn try_undo(
        &self,
        now: Timestamp,
        id: ImportBatchId,
        line: usize,
        reach: Reach,
    ) -> Result<Undone, StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.touch(connection, now, id, "undoing").await?;
        let undone = if reach == Reach::Leave {
            Undone::Left
        } else {
            let taken = taken(connection, id, line).await?;
            undo(connection, now, &taken, reach).await?
        };
        mark(connection, id, line, undone).await?;
        session.commit(&[Topic::Registry, Topic::Over]).await?;
        Ok(undone)
    }
}

/// How far taking back may go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Reach {
    Delete,
    End,
    Leave,
}

async fn undo(
    connection: &mut AnyConnection,
    now: Timestamp,
    taken: &Taken,
    reach: Reach,
) -> Result<Undone, StoreError> {
    let current = match patient(connection, taken.patient).await {
        Ok(current) => current,
        Err(StoreError::NotFound { .. }) => return Ok(Undone::Left),
        Err(other) => return Err(other),
    };
    let episode = find_active_episode(connection, taken.patient).await?;
    let told = taken.became.as_ref().map(Snapshot::told).unwrap_or_default();
    let is_as_imported = taken.became == Some(Snapshot::of(&current, episode.as_ref(), told));
    if !is_as_imported {
        return Ok(Undone::Left);
    }
    match (taken.change.as_str(), &taken.was) {
        ("created", _) => {
            let has_calls = has_history(connection, taken.patient).await?;
            if reach == Reach::Delete && !has_calls {
                delete_patient(connection, taken.patient).await?;
                return Ok(Undone::Deleted);
            }
            if let Some(episode) = episode {
                end(connection, now, &episode).await?;
            }
            Ok(Undone::Ended)
        }
        ("updated", Some(was)) => {
            let before =
                was.episode.as_ref().map(|days| days.episode(taken.patient)).transpose()?;
            let before = before.map(|episode| (episode, was.told()));
            let back = restore(connection, now, taken, before.as_ref(), episode, reach).await?;
            if back != Undone::Left {
                let patient = was.patient(&current)?;
                update_patient(connection, now, &patient).await?;
                replace_phones(connection, &patient).await?;
            }
            Ok(back)
        }
        _ => Ok(Undone::Left),
    }
}

/// Gives the patient the days back that they had.
async fn restore(
    connection: &mut AnyConnection,
    now: Timestamp,
    taken: &Taken,
    before: Option<&(Episode, Told)>,
    current: Option<Episode>,
    reach: Reach,
) -> Result<Undone, StoreError> {
    const UPDATE: &str = "update episode set first_day = $2, last_day = $3, call_times = $4, \
        updated_at = $5, state = 'active', weekdays = coalesce($6, weekdays), \
        channel = coalesce($7, channel) where id = $1";
    if let Some(current) =
        current.filter(|current| before.is_none_or(|(old, _)| old.id != current.id))
    {
        let has_calls = has_calls(connection, current.id).await?;
        match (before, has_calls || reach == Reach::End) {
            (_, false) => delete_episode(connection, current.id).await?,
            // Its calls were made under the new days.
            (Some(_), true) => return Ok(Undone::Left),
            (None, true) => {
                end(connection, now, &current).await?;
                return Ok(Undone::Ended);
            }
        }
    }
    if let Some((before, told)) = before {
        let times: Vec<_> = before.call_times.iter().copied().map(time_of_day).collect();
        sqlx::query(UPDATE)
            .bind(before.id.to_string())
            .bind(before.first_day.to_string())
            .bind(before.last_day.to_string())
            .bind(times.join(" "))
            .bind(millis(now))
            .bind(told.weekdays.map(|days| i64::from(days.bits())))
            .bind(told.channel.map(Channel::as_str))
            .execute(&mut *connection)
            .await?;
        skip_slots_after(connection, now, before.id, before.last_day).await?;
        reopen(connection, now, before.id, before.last_day, taken.at).await?;
    }
    Ok(Undone::Restored)
}

/// Calls that the list made needless are owed again, if there is still time for them.
async fn reopen(
    connection: &mut AnyConnection,
    now: Timestamp,
    episode: EpisodeId,
    last_day: Date,
    at: Timestamp,
) -> Result<(), StoreError> {
    const REOPEN: &str = concat!(
        "update slot set state = 'due', reason = null, settled_at = null where ",
        of_episode!(),
        " and state = 'skipped' and reason = '観察期間終了' \
         and settled_at = $2 and due_to > $3 and date <= $4"
    );
    sqlx::query(REOPEN)
        .bind(episode.to_string())
        .bind(millis(at))
        .bind(millis(now))
        .bind(last_day.to_string())
        .execute(connection)
        .await?;
    Ok(())
}

/// The days are over; what is still owed is skipped.
async fn end(
    connection: &mut AnyConnection,
    now: Timestamp,
    episode: &Episode,
) -> Result<(), StoreError> {
    const END: &str = "update episode set state = 'ended', updated_at = $2 where id = $1";
    sqlx::query(END)
        .bind(episode.id.to_string())
        .bind(millis(now))
        .execute(&mut *connection)
        .await?;
    let before = episode.first_day.yesterday().unwrap_or(episode.first_day);
    skip_slots_after(connection, now, episode.id, before).await
}

/// Whether the patient was called, or observed, or is on somebody's mind.
async fn has_history(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<bool, StoreError> {
    const HISTORY: &str = "select \
        (select count(*) from attempt a where a.patient_id = $1 \
        and a.state in ('dialing', 'talking', 'done')) \
        + (select count(*) from observation o where o.patient_id = $1) \
        + (select count(*) from welfare_check w where w.patient_id = $1) \
        + (select count(*) from release_decision d where d.patient_id = $1) \
        + (select count(*) from lab_test t where t.patient_id = $1) \
        + (select count(*) from episode_course c join episode e on e.id = c.episode_id \
        where e.patient_id = $1 and c.staff_id is not null) \
        + (select count(*) from escalation_case k where k.patient_id = $1) as n";
    let row = sqlx::query(HISTORY).bind(patient.to_string()).fetch_one(connection).await?;
    Ok(Fields::new("attempt", &row).integer::<i64>("n")? > 0)
}

async fn has_calls(connection: &mut AnyConnection, episode: EpisodeId) -> Result<bool, StoreError> {
    const CALLS: &str = concat!(
        "select (select count(*) from attempt a where a.slot_id in (",
        slots_of_episode!(),
        ") and a.state in ('dialing', 'talking', 'done')) \
         + (select count(*) from observation o where o.slot_id in (",
        slots_of_episode!(),
        ")) + (select count(*) from release_decision d where d.episode_id = $1) \
         + (select count(*) from episode e join lab_test t on t.patient_id = e.patient_id \
         and t.episode_id = e.id where e.id = $1) \
         + (select count(*) from episode_course c where c.episode_id = $1 \
         and c.staff_id is not null) as n"
    );
    let row = sqlx::query(CALLS).bind(episode.to_string()).fetch_one(connection).await?;
    Ok(Fields::new("attempt", &row).integer::<i64>("n")? > 0)
}

async fn delete_episode(
    connection: &mut AnyConnection,
    episode: EpisodeId,
) -> Result<(), StoreError> {
    const DELETE: [&str; 4] = [
        "delete from episode_course where episode_id = $1",
        concat!("delete from attempt where slot_id in (", slots_of_episode!(), ")"),
        concat!("delete from slot where ", of_episode!()),
        "delete from episode where id = $1",
    ];
    for statement in DELETE {
        sqlx::query(statement).bind(episode.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn delete_patient(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<(), StoreError> {
    const DELETE: [&str; 6] = [
        "delete from attempt where patient_id = $1",
        "delete from slot where patient_id = $1",
        "delete from episode_course where episode_id in \
            (select e.id from episode e where e.patient_id = $1)",
        "delete from episode where patient_id = $1",
        "delete from patient_phone where patient_id = $1",
        "delete from patient where id = $1",
    ];
    for statement in DELETE {
        sqlx::query(statement).bind(patient.to_string()).execute(&mut *connection).await?;
    }
    Ok(())
}

async fn taken(
    connection: &mut AnyConnection,
    id: ImportBatchId,
    line: usize,
) -> Result<Taken, StoreError> {
    const TAKEN: &str = "select r.patient_id, r.change, r.was, r.became, r.at from import_row r \
        where r.batch_id = $1 and r.line = $2";
    let row = sqlx::query(TAKEN)
        .bind(id.to_string())
        .bind(i64::try_from(line).unwrap_or(i64::MAX))
        .fetch_optional(connection)
        .await?
        .ok_or(StoreError::NotFound { what: "row of an import" })?;
    let fields = Fields::new("import_row", &row);
    Ok(Taken {
        patient: fields.parsed("patient_id")?,
        change: fields.text("change")?.to_owned(),
        was: fields.text_or_null("was")?.map(Snapshot::parse).transpose()?,
        became: fields.text_or_null("became")?.map(Snapshot::parse).transpose()?,
        at: fields.time("at")?,
    })
}

/// What the row was and became is not needed any more.
async fn mark(
    connection: &mut AnyConnection,
    id: ImportBatchId,
    line: usize,
    undone: Undone,
) -> Result<(), StoreError> {
    const MARK: &str = "update import_row set undone = $3, was = null, became = null \
        where batch_id = $1 and line = $2";
    sqlx::query(MARK)
        .bind(id.to_string())
        .bind(i64::try_from(line).unwrap_or(i64::MAX))
        .bind(undone.as_str())
        .execute(connection)
        .await?;
    Ok(())
}
