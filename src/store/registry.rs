//! Rows of the registry: health centres, patients, telephones, episodes.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::clock::civil;
use crate::base::id::{EpisodeId, HealthCenterId, PatientId};
use crate::registry::arrangement::Told;
use crate::registry::{
    Arrangement, DoctorsOrder, Episode, Gender, HealthCenter, Patient, PatientPhone, PhoneRole,
    RiskFlag, Weekdays, arrangement,
};
use crate::store::care::drop_unagreed;
use crate::store::row::{Fields, millis, of_episode, slots_of_episode};
use crate::store::{Store, StoreError, Topic};

/// What an import did with one row.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Imported {
    /// The patient's id: the stored one if the patient was known.
    pub patient: PatientId,
    /// What changed.
    pub change: Change,
}

/// What changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// The patient is new.
    Created,
    /// The patient was known; something is different now.
    Updated,
    /// Everything was already so.
    Unchanged,
}

impl Store {
    /// Saves a health centre. One with the same code is updated, and keeps its id, which is
    /// returned; hours and desk that staff have set stay as they are.
    pub async fn save_health_center(
        &self,
        now: Timestamp,
        center: &HealthCenter,
    ) -> Result<HealthCenterId, StoreError> {
        // `returning` gives the id that stays: the old one where the code was known.
        const SAVE: &str = "insert into health_center \
            (id, code, name, kana, desk_phone, opens_at, closes_at, created_at, updated_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $8) \
            on conflict (code) do update set name = excluded.name, kana = excluded.kana, \
            desk_phone = case when health_center.set_at is null then excluded.desk_phone \
            else health_center.desk_phone end, \
            opens_at = case when health_center.set_at is null then excluded.opens_at \
            else health_center.opens_at end, \
            closes_at = case when health_center.set_at is null then excluded.closes_at \
            else health_center.closes_at end, updated_at = excluded.updated_at \
            returning id";
        let mut session = self.write().await?;
        let row = sqlx::query(SAVE)
            .bind(center.id.to_string())
            .bind(center.code.as_str())
            .bind(center.name.as_str())
            .bind(center.kana.as_str())
            .bind(center.desk_phone.as_str())
            .bind(time_of_day(center.opens_at))
            .bind(time_of_day(center.closes_at))
            .bind(millis(now))
            .fetch_one(session.connection())
            .await?;
        let id = Fields::new("health_center", &row).parsed("id")?;
        session.commit(&[Topic::Registry]).await?;
        Ok(id)
    }

    /// All health centres, by code.
    pub async fn health_centers(&self) -> Result<Vec<HealthCenter>, StoreError> {
        let mut session = self.read().await?;
        let mut centers: Vec<_> =
            health_centers(session.connection()).await?.into_values().collect();
        centers.sort_by(|one, other| one.code.cmp(&other.code));
        Ok(centers)
    }

    /// The health centre with this code.
    pub async fn health_center(&self, code: &str) -> Result<Option<HealthCenter>, StoreError> {
        let mut session = self.read().await?;
        let centers = health_centers(session.connection()).await?;
        Ok(centers.into_values().find(|center| center.code == code))
    }

    /// Saves a patient with telephones and, if given, the episode: all or nothing.
    ///
    /// A patient is known by centre and registration number; then the stored ids are kept and the
    /// ids in the arguments are not used. An episode that overlaps the active one changes it; one
    /// that does not ends it and begins a new one. Slots still due after the last day are skipped.
    pub async fn import_patient(
        &self,
        now: Timestamp,
        patient: &Patient,
        episode: Option<&Episode>,
    ) -> Result<Imported, StoreError> {
        self.import_told(now, patient, episode, Told::default()).await
    }

    /// The same, of a list that tells something of the arrangement.
    pub async fn import_told(
        &self,
        now: Timestamp,
        patient: &Patient,
        episode: Option<&Episode>,
        told: Told,
    ) -> Result<Imported, StoreError> {
        let mut session = self.write().await?;
        let imported = save(session.connection(), now, patient, episode, told).await?;
        if imported.change != Change::Unchanged {
            session.commit(&[Topic::Registry]).await?;
        }
        Ok(imported)
    }

    /// One patient.
    pub async fn patient(&self, id: PatientId) -> Result<Patient, StoreError> {
        let mut session = self.read().await?;
        patient(session.connection(), id).await
    }

    /// The patients known by both identifiers; more than one only if two centres use the same
    /// number.
    pub async fn find_patient(
        &self,
        registration_number: &str,
        birth_date: Date,
    ) -> Result<Vec<Patient>, StoreError> {
        const FIND: &str =
            select_patients!("where p.registration_number = $1 and p.birth_date = $2");
        let mut session = self.read().await?;
        let rows = sqlx::query(FIND)
            .bind(registration_number)
            .bind(birth_date.to_string())
            .fetch_all(session.connection())
            .await?;
        fold_patients(&rows)
    }

    /// All patients of a centre, by registration number.
    pub async fn patients(&self, center: HealthCenterId) -> Result<Vec<Patient>, StoreError> {
        const OF_CENTER: &str = select_patients!("where p.health_center_id = $1");
        let mut session = self.read().await?;
        let rows =
            sqlx::query(OF_CENTER).bind(center.to_string()).fetch_all(session.connection()).await?;
        fold_patients(&rows)
    }
}

/// Saves a patient and, if given, the episode; see [`Store::import_patient`].
pub(super) async fn save(
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: &Patient,
    episode: Option<&Episode>,
    told: Told,
) -> Result<Imported, StoreError> {
    let known =
        find_registered(connection, patient.health_center, &patient.registration_number).await?;
    let mut changed = false;
    let mut saved = patient.clone();
    match &known {
        None => insert_patient(connection, now, patient).await?,
        Some(known) => {
            saved.id = known.id;
            // A list that does not tell it takes nothing away.
            saved.gender = patient.gender.or(known.gender);
            // A list says nothing of who agreed to be called.
            for phone in &mut saved.phones {
                let before = known.phones.iter().find(|one| one.number == phone.number);
                phone.may_call = before.is_none_or(|before| before.may_call);
            }
            if saved != *known {
                update_patient(connection, now, &saved).await?;
                changed = true;
            }
        }
    }
    if known.as_ref().is_none_or(|known| known.phones != saved.phones) {
        replace_phones(connection, &saved).await?;
    }
    if let Some(episode) = episode {
        changed |= save_episode(connection, now, saved.id, episode, told).await?;
    }
    let change = match (known, changed) {
        (None, _) => Change::Created,
        (Some(_), true) => Change::Updated,
        (Some(_), false) => Change::Unchanged,
    };
    Ok(Imported { patient: saved.id, change })
}

/// The health centres by id; there are few.
pub(super) async fn health_centers(
    connection: &mut AnyConnection,
) -> Result<HashMap<HealthCenterId, HealthCenter>, StoreError> {
    const ALL: &str =
        "select id, code, name, kana, desk_phone, opens_at, closes_at from health_center";
    let rows = sqlx::query(ALL).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("health_center", row);
            let center = HealthCenter {
                id: fields.parsed("id")?,
                code: fields.text("code")?.to_owned(),
                name: fields.text("name")?.to_owned(),
                kana: fields.text("kana")?.to_owned(),
                desk_phone: fields.text("desk_phone")?.to_owned(),
                opens_at: fields.parsed("opens_at")?,
                closes_at: fields.parsed("closes_at")?,
            };
            Ok((center.id, center))
        })
        .collect()
}

/// Takes the centre that a patient names out of all.
pub(super) fn center_of(
    centers: &HashMap<HealthCenterId, HealthCenter>,
    patient: &Patient,
) -> Result<HealthCenter, StoreError> {
    let center = centers.get(&patient.health_center).cloned();
    center.ok_or(StoreError::NotFound { what: "health center" })
}

/// A time of day that sorts as text, whatever its fraction of a second.
pub(super) fn time_of_day(time: Time) -> String {
    format!("{:02}:{:02}:{:02}", time.hour(), time.minute(), time.second())
}

/// The columns of patients, as `p`, and telephones, as `f`, for [`fold_patients`].
macro_rules! patient_columns {
    () => {
        "p.id, p.health_center_id, p.registration_number, p.birth_date, p.name, p.kana, \
         p.language, p.has_thermometer, p.has_oximeter, p.slow_speech, p.lives_alone, p.risks, \
         p.gender, f.number, f.role, f.consent"
    };
}
pub(super) use patient_columns;

/// Selects patients, as `p`, each with one row per telephone, for [`fold_patients`].
macro_rules! select_patients {
    ($($rest:literal),+) => {
        concat!(
            "select ",
            $crate::store::registry::patient_columns!(),
            " from patient p left join patient_phone f on f.patient_id = p.id ",
            $($rest),+,
            " order by p.registration_number, p.id, f.position"
        )
    };
}
pub(super) use select_patients;

/// Reads the rows of `select_patients!`.
pub(super) fn fold_patients(rows: &[AnyRow]) -> Result<Vec<Patient>, StoreError> {
    let mut patients: Vec<Patient> = Vec::new();
    for row in rows {
        let id = Fields::new("patient", row).parsed("id")?;
        let is_known = patients.last().is_some_and(|last| last.id == id);
        if !is_known {
            patients.push(patient_without_phones(row)?);
        }
        let fields = Fields::new("patient_phone", row);
        if fields.text_or_null("number")?.is_some()
            && let Some(patient) = patients.last_mut()
        {
            let role = fields.word("role", PhoneRole::parse)?;
            let may_call = fields.text("consent")? == "given";
            let number = fields.parsed("number")?;
            patient.phones.push(PatientPhone { number, role, may_call });
        }
    }
    Ok(patients)
}

fn patient_without_phones(row: &AnyRow) -> Result<Patient, StoreError> {
    let fields = Fields::new("patient", row);
    let risks = fields.text("risks")?.split_whitespace().map(RiskFlag::parse);
    Ok(Patient {
        id: fields.parsed("id")?,
        health_center: fields.parsed("health_center_id")?,
        registration_number: fields.text("registration_number")?.to_owned(),
        birth_date: Private::new(fields.parsed("birth_date")?),
        name: Private::new(fields.text("name")?.to_owned()),
        kana: Private::new(fields.text("kana")?.to_owned()),
        gender: fields.word_or_null("gender", Gender::parse)?,
        language: fields.parsed("language")?,
        has_thermometer: fields.flag("has_thermometer")?,
        has_oximeter: fields.flag("has_oximeter")?,
        slow_speech: fields.flag("slow_speech")?,
        lives_alone: fields.flag("lives_alone")?,
        risks: risks.collect::<Option<_>>().ok_or_else(|| fields.corrupt("risks"))?,
        phones: Vec::new(),
    })
}

pub(super) async fn patient(
    connection: &mut AnyConnection,
    id: PatientId,
) -> Result<Patient, StoreError> {
    const BY_ID: &str = select_patients!("where p.id = $1");
    let rows = sqlx::query(BY_ID).bind(id.to_string()).fetch_all(connection).await?;
    fold_patients(&rows)?.pop().ok_or(StoreError::NotFound { what: "patient" })
}

/// The patients under observation on a day.
pub(super) async fn patients_on(
    connection: &mut AnyConnection,
    date: Date,
) -> Result<Vec<Patient>, StoreError> {
    const ON: &str = select_patients!(
        "where p.id in (select e.patient_id from episode e \
         where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1)"
    );
    let rows = sqlx::query(ON).bind(date.to_string()).fetch_all(connection).await?;
    fold_patients(&rows)
}

/// The columns of episodes, as `e`, that [`episode`] reads.
macro_rules! episode_columns {
    () => {
        "e.id, e.patient_id, e.first_day, e.last_day, e.call_times, e.campaign_id, e.weekdays, \
         e.tolerance_minutes, e.channel, e.no_automation"
    };
}
pub(super) use episode_columns;

/// Selects episodes, as `e`, under the names that [`episode`] reads.
macro_rules! select_episodes {
    ($rest:literal) => {
        concat!("select ", $crate::store::registry::episode_columns!(), " from episode e ", $rest)
    };
}
pub(super) use select_episodes;

/// The active episodes that cover a day, by patient: each has at most one.
pub(super) async fn episodes_on(
    connection: &mut AnyConnection,
    date: Date,
) -> Result<HashMap<PatientId, Episode>, StoreError> {
    const ON: &str =
        select_episodes!("where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1");
    let rows = sqlx::query(ON).bind(date.to_string()).fetch_all(connection).await?;
    rows.iter().map(|row| episode(row).map(|episode| (episode.patient, episode))).collect()
}

pub(super) async fn episode_by_id(
    connection: &mut AnyConnection,
    id: EpisodeId,
) -> Result<Episode, StoreError> {
    const BY_ID: &str = select_episodes!("where e.id = $1");
    episode(&sqlx::query(BY_ID).bind(id.to_string()).fetch_one(connection).await?)
}

/// The active episode of a patient.
///
/// # Errors
/// [`StoreError::NotFound`] if the patient is not under observation.
pub(super) async fn active_episode(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<Episode, StoreError> {
    let found = find_active_episode(connection, patient).await?;
    found.ok_or(StoreError::NotFound { what: "active episode" })
}

pub(super) async fn find_active_episode(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<Option<Episode>, StoreError> {
    const ACTIVE: &str = select_episodes!("where e.patient_id = $1 and e.state = 'active'");
    let row = sqlx::query(ACTIVE).bind(patient.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(episode).transpose()
}

pub(super) fn episode(row: &AnyRow) -> Result<Episode, StoreError> {
    let fields = Fields::new("episode", row);
    let call_times = fields.text("call_times")?.split_whitespace().map(str::parse);
    Ok(Episode {
        id: fields.parsed("id")?,
        patient: fields.parsed("patient_id")?,
        first_day: fields.parsed("first_day")?,
        last_day: fields.parsed("last_day")?,
        call_times: call_times
            .collect::<Result<_, _>>()
            .map_err(|_| fields.corrupt("call_times"))?,
        arrangement: Arrangement {
            campaign: fields.parsed_or_null("campaign_id")?,
            weekdays: Weekdays::from_bits(fields.integer("weekdays")?)
                .ok_or_else(|| fields.corrupt("weekdays"))?,
            tolerance: fields.integer_or_null("tolerance_minutes")?.map(Duration::from_mins),
            channel: fields.word("channel", arrangement::Channel::parse)?,
            no_automation: fields.text_or_null("no_automation")?.map(DoctorsOrder::parse),
        },
    })
}

pub(super) async fn find_registered(
    connection: &mut AnyConnection,
    center: HealthCenterId,
    registration_number: &str,
) -> Result<Option<Patient>, StoreError> {
    const REGISTERED: &str =
        select_patients!("where p.health_center_id = $1 and p.registration_number = $2");
    let rows = sqlx::query(REGISTERED)
        .bind(center.to_string())
        .bind(registration_number)
        .fetch_all(connection)
        .await?;
    Ok(fold_patients(&rows)?.pop())
}

async fn insert_patient(
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: &Patient,
) -> Result<(), StoreError> {
    const INSERT: &str = "insert into patient (id, birth_date, name, kana, language, \
        has_thermometer, has_oximeter, slow_speech, lives_alone, risks, updated_at, \
        health_center_id, registration_number, gender, created_at) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $11)";
    save_patient(connection, INSERT, now, patient).await
}

pub(super) async fn update_patient(
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: &Patient,
) -> Result<(), StoreError> {
    const UPDATE: &str = "update patient set birth_date = $2, name = $3, kana = $4, language = $5, \
        has_thermometer = $6, has_oximeter = $7, slow_speech = $8, lives_alone = $9, risks = $10, \
        updated_at = $11, gender = $14 where id = $1 and health_center_id = $12 and registration_number = $13";
    save_patient(connection, UPDATE, now, patient).await
}

async fn save_patient(
    connection: &mut AnyConnection,
    statement: &'static str,
    now: Timestamp,
    patient: &Patient,
) -> Result<(), StoreError> {
    let risks: Vec<_> = patient.risks.iter().map(|risk| risk.as_str()).collect();
    sqlx::query(statement)
        .bind(patient.id.to_string())
        .bind(patient.birth_date.expose().to_string())
        .bind(patient.name.expose().as_str())
        .bind(patient.kana.expose().as_str())
        .bind(patient.language.code())
        .bind(i64::from(patient.has_thermometer))
        .bind(i64::from(patient.has_oximeter))
        .bind(i64::from(patient.slow_speech))
        .bind(i64::from(patient.lives_alone))
        .bind(risks.join(" "))
        .bind(millis(now))
        .bind(patient.health_center.to_string())
        .bind(patient.registration_number.as_str())
        .bind(patient.gender.map(Gender::as_str))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) async fn replace_phones(
    connection: &mut AnyConnection,
    patient: &Patient,
) -> Result<(), StoreError> {
    const CLEAR: &str = "delete from patient_phone where patient_id = $1";
    const INSERT: &str = "insert into patient_phone (patient_id, position, number, role, consent) \
        values ($1, $2, $3, $4, $5)";
    sqlx::query(CLEAR).bind(patient.id.to_string()).execute(&mut *connection).await?;
    for (position, phone) in (1_i64..).zip(&patient.phones) {
        sqlx::query(INSERT)
            .bind(patient.id.to_string())
            .bind(position)
            .bind(phone.number.e164())
            .bind(phone.role.as_str())
            .bind(if phone.may_call { "given" } else { "refused" })
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

/// Whether anything changed.
async fn save_episode(
    connection: &mut AnyConnection,
    now: Timestamp,
    patient: PatientId,
    wanted: &Episode,
    told: Told,
) -> Result<bool, StoreError> {
    const UPDATE: &str = "update episode set first_day = $2, last_day = $3, call_times = $4, \
        updated_at = $5, weekdays = $6, channel = $7 where id = $1";
    const END: &str = "update episode set state = 'ended', updated_at = $2 where id = $1";
    const INSERT: &str = "insert into episode \
        (id, first_day, last_day, call_times, updated_at, created_at, patient_id, state, \
        campaign_id, weekdays, tolerance_minutes, channel, no_automation) \
        values ($1, $2, $3, $4, $5, $5, $6, 'active', $7, $8, $9, $10, $11)";
    let call_times: Vec<_> = wanted.call_times.iter().copied().map(time_of_day).collect();
    let arrangement = &wanted.arrangement;
    if let Some(active) = find_active_episode(connection, patient).await? {
        // What a list does not say stays as it was agreed.
        let arrangement = told.apply(active.arrangement.clone());
        let (weekdays, channel) = (arrangement.weekdays, arrangement.channel);
        let same = Episode { id: active.id, patient, arrangement, ..wanted.clone() };
        if active == same {
            return Ok(false);
        }
        if active.first_day <= wanted.last_day && wanted.first_day <= active.last_day {
            sqlx::query(UPDATE)
                .bind(active.id.to_string())
                .bind(wanted.first_day.to_string())
                .bind(wanted.last_day.to_string())
                .bind(call_times.join(" "))
                .bind(millis(now))
                .bind(i64::from(weekdays.bits()))
                .bind(channel.as_str())
                .execute(&mut *connection)
                .await?;
            skip_slots_after(connection, now, active.id, wanted.last_day).await?;
            if channel != active.arrangement.channel {
                drop_unagreed(connection, patient).await?;
            }
            return Ok(true);
        }
        sqlx::query(END)
            .bind(active.id.to_string())
            .bind(millis(now))
            .execute(&mut *connection)
            .await?;
        skip_slots_after(connection, now, active.id, active.last_day.min(civil(now).date()))
            .await?;
    }
    sqlx::query(INSERT)
        .bind(wanted.id.to_string())
        .bind(wanted.first_day.to_string())
        .bind(wanted.last_day.to_string())
        .bind(call_times.join(" "))
        .bind(millis(now))
        .bind(patient.to_string())
        .bind(arrangement.campaign.map(|id| id.to_string()))
        .bind(i64::from(arrangement.weekdays.bits()))
        .bind(arrangement.tolerance.map(whole_minutes))
        .bind(arrangement.channel.as_str())
        .bind(arrangement.no_automation.as_ref().map(DoctorsOrder::to_text))
        .execute(connection)
        .await?;
    Ok(true)
}

/// A duration as it is stored.
pub(super) fn whole_minutes(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs() / 60).unwrap_or(i64::MAX)
}

/// Nobody is called after the last day.
pub(super) async fn skip_slots_after(
    connection: &mut AnyConnection,
    now: Timestamp,
    episode: EpisodeId,
    last_day: Date,
) -> Result<(), StoreError> {
    const SKIP: &str = concat!(
        "update slot set state = 'skipped', reason = '観察期間終了', settled_at = $3 where ",
        of_episode!(),
        " and date > $2 and state = 'due'"
    );
    const DROP: &str = concat!(
        "update attempt set state = 'dropped' where state = 'due' and slot_id in (",
        slots_of_episode!(),
        " and slot.state = 'skipped')"
    );
    sqlx::query(SKIP)
        .bind(episode.to_string())
        .bind(last_day.to_string())
        .bind(millis(now))
        .execute(&mut *connection)
        .await?;
    sqlx::query(DROP).bind(episode.to_string()).execute(connection).await?;
    Ok(())
}
