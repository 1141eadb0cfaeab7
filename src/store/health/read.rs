//! Reads what the rows of the list are made of, for some patients at once, and the rows themselves.

use std::collections::HashMap;

use jiff::ToSpan;
use jiff::civil::Date;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::id::PatientId;
use crate::escalation::{CaseState, Priority};
use crate::ivr::Answer;
use crate::observation::Channel;
use crate::registry::{Held, arrangement};
use crate::store::health::list::folded;
use crate::store::health::status::{HealthStatus, Known, OpenCase, Seen, Stored, first_of_week};
use crate::store::health::{id_list, midnight, of_patients, pick, shown};
use crate::store::row::{self, Fields};
use crate::store::{DayReport, Dialect, StoreError};

/// Makes the rows of these patients for a day; without one nobody is under observation. Who is no
/// patient has no row. In the order of the ids.
pub(super) async fn make(
    dialect: Dialect,
    connection: &mut AnyConnection,
    patients: &[PatientId],
    day: Option<Date>,
) -> Result<Vec<(PatientId, Stored)>, StoreError> {
    let ids = id_list(patients);
    let people = people(dialect, connection, &ids, day).await?;
    let anybody = people.iter().any(|person| person.days.is_some());
    let mut known = match day {
        Some(day) if anybody => known(dialect, connection, &ids, day).await?,
        _ => HashMap::new(),
    };
    let mut rows: Vec<(PatientId, Stored)> = people
        .into_iter()
        .map(|person| {
            let mut known = known.remove(&person.patient).unwrap_or_default();
            known.held = person.held;
            (person.patient, person.row(day, &known))
        })
        .collect();
    rows.sort_by_key(|(patient, _)| *patient);
    Ok(rows)
}

/// What the registry knows.
struct Person {
    patient: PatientId,
    health_center: String,
    clinic: String,
    registration_number: String,
    name: String,
    kana: String,
    phone_ends: Vec<String>,
    /// The first and the last day of the episode that covers the day.
    days: Option<(Date, Date)>,
    /// Why no machine calls, if none does.
    held: Option<Held>,
}

impl Person {
    fn row(self, day: Option<Date>, known: &Known) -> Stored {
        let status =
            day.zip(self.days).map(|(day, days)| HealthStatus::of(self.patient, day, days, known));
        let mut search = vec![folded(&self.name), folded(&self.kana)];
        search.push(folded(&self.registration_number));
        search.extend(self.phone_ends);
        let status = status.as_ref();
        let report = status.map_or("none", |status| match status.report {
            DayReport::NotReported => "none",
            DayReport::Partial { .. } => "partial",
            DayReport::Reported { .. } => "reported",
        });
        let owner = status.and(known.holder).map(|holder| holder.to_string());
        Stored {
            day,
            is_observed: status.is_some(),
            health_center: self.health_center,
            clinic: self.clinic,
            registration_number: self.registration_number,
            kana: folded(&self.kana),
            search: search.join(" "),
            last_day: status.map(|status| status.last_day.to_string()).unwrap_or_default(),
            need: status.map_or(0, HealthStatus::rank),
            report: report.to_owned(),
            facet: status.map_or(0, |status| status.facet().packed()),
            fever_days: status.map_or(0, |status| i64::from(status.fever_days)),
            owner: owner.unwrap_or_default(),
            shown: status.map(shown::to_json).unwrap_or_default(),
        }
    }
}

async fn people(
    dialect: Dialect,
    connection: &mut AnyConnection,
    ids: &str,
    day: Option<Date>,
) -> Result<Vec<Person>, StoreError> {
    const PEOPLE: [&str; 2] = of_patients!(
        "select p.id, p.health_center_id, coalesce(p.clinic_id, '') as clinic_id, \
         p.registration_number, p.name, p.kana, e.first_day, e.last_day, e.channel, \
         e.no_automation from patient p \
         left join episode e on e.patient_id = p.id and e.state = 'active' \
         and e.first_day <= $2 and e.last_day >= $2 where p.id",
        ""
    );
    const PHONES: [&str; 2] = of_patients!(
        "select f.patient_id, f.number from patient_phone f where f.patient_id",
        "order by f.patient_id, f.position"
    );
    let day = day.map(|day| day.to_string()).unwrap_or_default();
    let rows =
        sqlx::query(pick(dialect, PEOPLE)).bind(ids).bind(day).fetch_all(&mut *connection).await?;
    let phones = sqlx::query(pick(dialect, PHONES)).bind(ids).fetch_all(connection).await?;
    let mut ends: HashMap<PatientId, Vec<String>> = HashMap::new();
    for row in &phones {
        let fields = Fields::new("patient_phone", row);
        let number = fields.text("number")?;
        let end = number.get(number.len().saturating_sub(4)..).unwrap_or(number);
        ends.entry(fields.parsed("patient_id")?).or_default().push(end.to_owned());
    }
    rows.iter()
        .map(|row| {
            let fields = Fields::new("patient", row);
            let patient = fields.parsed("id")?;
            let episode = Fields::new("episode", row);
            Ok(Person {
                patient,
                health_center: fields.text("health_center_id")?.to_owned(),
                clinic: fields.text("clinic_id")?.to_owned(),
                registration_number: fields.text("registration_number")?.to_owned(),
                name: fields.text("name")?.to_owned(),
                kana: fields.text("kana")?.to_owned(),
                phone_ends: ends.remove(&patient).unwrap_or_default(),
                days: episode.parsed_or_null("first_day")?.zip(episode.parsed_or_null("last_day")?),
                held: Held::of(
                    episode.text_or_null("no_automation")?.is_some(),
                    episode
                        .word_or_null("channel", arrangement::Channel::parse)?
                        .unwrap_or_default(),
                ),
            })
        })
        .collect()
}

async fn known(
    dialect: Dialect,
    connection: &mut AnyConnection,
    ids: &str,
    day: Date,
) -> Result<HashMap<PatientId, Known>, StoreError> {
    const SLOTS: [&str; 2] = of_patients!(
        "select s.id, s.episode_id, s.patient_id, s.date, s.number, s.due_from, s.due_to, \
         s.state, s.reason, s.pause_id, s.kind, s.campaign_id, s.campaign_version from slot s where s.patient_id",
        "and s.date = $2 order by s.number, s.due_from, s.id"
    );
    const ATTEMPTS: [&str; 2] = of_patients!(
        "select a.id, a.slot_id, a.patient_id, a.number, a.phone, a.due_at, a.state, \
         a.dialed_at, a.answered_at, a.ended_at, a.disposition, a.respondent, a.completion \
         from slot s join attempt a on a.slot_id = s.id where s.patient_id",
        "and s.date = $2 and a.state <> 'dropped' order by s.number, a.number, a.id"
    );
    const TODAY: [&str; 2] = of_patients!(
        "select o.patient_id, o.code, o.value, o.effective_at, o.channel from observation o \
         where o.patient_id",
        "and o.effective_at >= $2 and o.effective_at < $3 \
         and not exists (select 1 from observation c where c.supersedes = o.id) \
         order by o.effective_at, o.id"
    );
    const VITALS: [&str; 2] = of_patients!(
        "select o.patient_id, o.code, o.value, o.effective_at, o.channel from observation o \
         where o.code in ('temperature', 'spo2') and o.patient_id",
        "and o.effective_at >= $2 and o.effective_at < $3 \
         and not exists (select 1 from observation c where c.supersedes = o.id) \
         order by o.effective_at, o.id"
    );
    const CASES: [&str; 2] = of_patients!(
        "select k.id, k.patient_id, k.priority, k.state, k.opened_at, k.acknowledged_by, \
         c.staff_id from escalation_case k left join case_claim c on c.case_id = k.id \
         where k.patient_id",
        "and k.state in ('open', 'acknowledged')"
    );
    let mut known: HashMap<PatientId, Known> = HashMap::new();
    let patient = |row: &AnyRow, table| Fields::new(table, row).parsed::<PatientId>("patient_id");
    for (twins, is_slots) in [(SLOTS, true), (ATTEMPTS, false)] {
        let rows = sqlx::query(pick(dialect, twins))
            .bind(ids)
            .bind(day.to_string())
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let known = known.entry(patient(row, "slot")?).or_default();
            if is_slots {
                known.slots.push(row::slot(row)?);
            } else {
                known.attempts.push(row::attempt(row)?);
            }
        }
    }
    let end = midnight(day.saturating_add(1.day()));
    for (twins, from, is_today) in [(TODAY, day, true), (VITALS, first_of_week(day), false)] {
        let rows = sqlx::query(pick(dialect, twins))
            .bind(ids)
            .bind(midnight(from))
            .bind(end)
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let known = known.entry(patient(row, "observation")?).or_default();
            let list = if is_today { &mut known.today } else { &mut known.vitals };
            list.push(seen(row)?);
        }
    }
    let rows = sqlx::query(pick(dialect, CASES)).bind(ids).fetch_all(connection).await?;
    for row in &rows {
        let known = known.entry(patient(row, "escalation_case")?).or_default();
        known.case = Some(open_case(row)?);
        known.holder = Fields::new("case_claim", row).parsed_or_null("staff_id")?;
    }
    Ok(known)
}

fn seen(row: &AnyRow) -> Result<Seen, StoreError> {
    let fields = Fields::new("observation", row);
    Ok(Seen {
        code: fields.text("code")?.to_owned(),
        value: fields.word("value", Answer::parse)?,
        at: fields.time("effective_at")?,
        channel: fields.word("channel", Channel::parse)?,
    })
}

fn open_case(row: &AnyRow) -> Result<OpenCase, StoreError> {
    let fields = Fields::new("escalation_case", row);
    Ok(OpenCase {
        id: fields.parsed("id")?,
        priority: fields.word("priority", Priority::parse)?,
        state: fields.word("state", CaseState::parse)?,
        opened_at: fields.time("opened_at")?,
        owner: fields.text_or_null("acknowledged_by")?.map(str::to_owned),
    })
}

/// The rows as they are stored.
pub(super) async fn stored(
    dialect: Dialect,
    connection: &mut AnyConnection,
    patients: &[PatientId],
) -> Result<HashMap<PatientId, Stored>, StoreError> {
    const STORED: [&str; 2] = of_patients!(
        "select h.patient_id, h.day, h.is_observed, h.health_center_id, h.clinic_id, \
         h.registration_number, h.kana, h.search, h.last_day, h.need, h.report, \
         h.fever_days, h.owner, h.facet, h.shown from health_status h where h.patient_id",
        ""
    );
    let rows =
        sqlx::query(pick(dialect, STORED)).bind(id_list(patients)).fetch_all(connection).await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("health_status", row);
            let text = |column| fields.text(column).map(str::to_owned);
            let day =
                if fields.text("day")?.is_empty() { None } else { Some(fields.parsed("day")?) };
            Ok((
                fields.parsed("patient_id")?,
                Stored {
                    day,
                    is_observed: fields.flag("is_observed")?,
                    health_center: text("health_center_id")?,
                    clinic: text("clinic_id")?,
                    registration_number: text("registration_number")?,
                    kana: text("kana")?,
                    search: text("search")?,
                    last_day: text("last_day")?,
                    need: fields.integer("need")?,
                    report: text("report")?,
                    facet: fields.integer("facet")?,
                    fever_days: fields.integer("fever_days")?,
                    owner: text("owner")?,
                    shown: text("shown")?,
                },
            ))
        })
        .collect()
}
