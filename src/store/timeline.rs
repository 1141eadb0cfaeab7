//! One patient as the console shows them: who and when, and how they were.

use jiff::civil::{Date, Time};
use jiff::{Timestamp, ToSpan};
use sqlx::AnyConnection;

use crate::base::Private;
use crate::base::clock::timestamp;
use crate::base::id::{CaseId, ClinicId, ImportBatchId, PatientId, StaffId};
use crate::campaign::{Attempt, Slot};
use crate::observation::Observation;
use crate::registry::{Contact, Episode, HealthCenter, Patient, Pause, Signed, StaffNote};
use crate::store::care::{changes_of, contacts_of, notes_of};
use crate::store::escalate::case_views;
use crate::store::handling::{case_event, select_case_events};
use crate::store::lab_test::{LabTestWritten, tests_of};
use crate::store::pause::pauses_of;
use crate::store::recording::{recording, select_recordings};
use crate::store::registry::{center_of, episode, episode_columns, health_centers, patient};
use crate::store::release::{courses_of, decisions_of};
use crate::store::retention::consent_of;
use crate::store::row::{self, Fields, millis, select_attempts, select_slots};
use crate::store::{
    CaseEvent, CaseFilter, CaseView, Change, CourseWritten, DecisionTaken, PatientChange,
    StoreError, Way, Within,
};
use crate::tape::{Consent, Recording};

/// Who a patient is, and when they are called: no answers.
#[derive(Clone, Debug)]
pub struct CarePlan {
    /// The patient.
    pub patient: Patient,
    /// Who looks after them.
    pub health_center: HealthCenter,
    /// The contracted clinic that does, if one.
    pub clinic: Option<ClinicId>,
    /// The days under observation, or else the last that were; with whether they are active.
    pub episode: Option<(Episode, bool)>,
    /// What they said to being recorded.
    pub consent: Consent,
    /// Whom staff may ask, in order.
    pub contacts: Vec<Contact>,
    /// Pauses that touch the days asked for, or are to come, by first day.
    pub pauses: Vec<Pause>,
    /// What was set during these days, oldest first.
    pub changes: Vec<PatientChange>,
    /// The lists that brought the patient in or changed them during these days, oldest first.
    pub lists: Vec<ListedIn>,
    /// The slots of these days, by date and number.
    pub slots: Vec<Slot>,
    /// The attempts at these slots, by the time at which they were placed or are due.
    pub attempts: Vec<Attempt>,
}

/// How a patient was.
#[derive(Clone, Debug)]
pub struct Health {
    /// All observations, also those that were corrected, oldest first.
    pub observations: Vec<Observed>,
    /// All cases, newest first.
    pub cases: Vec<CaseView>,
    /// What happened to cases during these days, with the case, oldest first.
    pub case_events: Vec<(CaseId, CaseEvent)>,
    /// The recordings of these days, also those that were deleted, oldest first.
    pub recordings: Vec<Recording>,
    /// What staff noted, oldest first.
    pub notes: Vec<StaffNote>,
    /// What was written down of the illness, oldest first.
    pub courses: Vec<CourseWritten>,
    /// The tests of specimens that were written down, also those that were withdrawn, oldest first.
    pub tests: Vec<LabTestWritten>,
    /// What was decided about a release from recuperation, oldest first.
    pub decisions: Vec<DecisionTaken>,
}

/// A patient's row in a list that was taken over.
#[derive(Clone, Debug)]
pub struct ListedIn {
    /// The list.
    pub batch: ImportBatchId,
    /// The line of it.
    pub line: u32,
    /// Whether the row brought the patient in, or changed them.
    pub change: Change,
    /// It was taken back since.
    pub is_undone: bool,
    /// Who brought the list, and when the row was taken over.
    pub signed: Signed,
}

/// An observation, and how it came to be known.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The observation.
    pub observation: Observation,
    /// What was pressed, if by telephone.
    pub keys: Option<String>,
    /// When it was written down.
    pub recorded_at: Timestamp,
    /// The member of the staff who wrote it down or corrected it.
    pub by: Option<(StaffId, Private<String>)>,
    /// How staff came to know.
    pub way: Option<Way>,
    /// Why it corrects another.
    pub reason: Option<Private<String>>,
}

/// Selects observations of a patient with how they came to be known.
const OBSERVED: &str = "select o.id, o.patient_id, o.slot_id, o.attempt_id, o.seq, o.code, \
    o.value, o.effective_at, o.respondent, o.channel, o.questionnaire, o.supersedes, \
    o.recorded_at, o.staff_id, f.name as staff_name, o.way, o.reason, w.keys from observation o \
    left join staff f on f.id = o.staff_id \
    left join answer w on w.attempt_id = o.attempt_id and w.seq = o.seq \
    where o.patient_id = $1 and o.effective_at >= $2 and o.effective_at < $3 \
    order by o.effective_at, o.id";

impl Within<'_> {
    /// Who a patient is, and how their calls go from the first to the last day, in one view of the
    /// database.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] as [`Self::patient`].
    pub async fn care_plan(
        &self,
        id: PatientId,
        (first_day, last_day): (Date, Date),
    ) -> Result<CarePlan, StoreError> {
        const CLINIC: &str = "select p.clinic_id from patient p where p.id = $1 \
            and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3)";
        const EPISODE: &str = concat!(
            "select ",
            episode_columns!(),
            ", e.state from episode e where e.patient_id = $1 \
             order by case when e.state = 'active' then 0 else 1 end, e.last_day desc, \
             e.created_at desc limit 1"
        );
        const SLOTS: &str = select_slots!(
            "where s.patient_id = $1 and s.date >= $2 and s.date <= $3 order by s.date, s.number"
        );
        const ATTEMPTS: &str = select_attempts!(
            "join slot s on s.id = a.slot_id \
             where s.patient_id = $1 and s.date >= $2 and s.date <= $3 \
             order by coalesce(a.dialed_at, a.due_at), a.id"
        );
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let row = sqlx::query(CLINIC)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(&mut *connection)
            .await?;
        // What follows is of the same patient in the same transaction.
        let row = row.ok_or(StoreError::NotFound { what: "patient" })?;
        let clinic = Fields::new("patient", &row).parsed_or_null("clinic_id")?;
        let patient = patient(connection, id).await?;
        let latest =
            sqlx::query(EPISODE).bind(id.to_string()).fetch_optional(&mut *connection).await?;
        let episode = match latest {
            None => None,
            Some(row) => {
                let is_active = Fields::new("episode", &row).text("state")? == "active";
                Some((episode(&row)?, is_active))
            }
        };
        let bound = |statement| {
            sqlx::query(statement)
                .bind(id.to_string())
                .bind(first_day.to_string())
                .bind(last_day.to_string())
        };
        let slots = bound(SLOTS).fetch_all(&mut *connection).await?;
        let attempts = bound(ATTEMPTS).fetch_all(&mut *connection).await?;
        let days = (midnight(first_day), midnight(last_day.saturating_add(1.day())));
        Ok(CarePlan {
            health_center: center_of(&health_centers(connection).await?, &patient)?,
            patient,
            clinic,
            episode,
            consent: consent_of(connection, id).await?,
            contacts: contacts_of(connection, id).await?,
            pauses: pauses_of(connection, id, first_day).await?,
            changes: changes_of(connection, id, days).await?,
            lists: lists_of(connection, id, days).await?,
            slots: slots.iter().map(row::slot).collect::<Result<_, _>>()?,
            attempts: attempts.iter().map(row::attempt).collect::<Result<_, _>>()?,
        })
    }

    /// How a patient was from the first to the last day, in one view of the database.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] as [`Self::patient`].
    pub async fn health(
        &self,
        id: PatientId,
        (first_day, last_day): (Date, Date),
    ) -> Result<Health, StoreError> {
        const CASE_EVENTS: &str = select_case_events!(
            "join escalation_case k on k.id = e.case_id \
             where k.patient_id = $1 and e.at >= $2 and e.at < $3 order by e.at, e.case_id, e.seq"
        );
        const RECORDINGS: &str = select_recordings!(
            "where r.patient_id = $1 and r.started_at >= $2 and r.started_at < $3 \
             order by r.started_at, r.id"
        );
        const REACHED: &str = "select p.id from patient p where p.id = $1 \
            and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3)";
        let (from, to) = (midnight(first_day), midnight(last_day.saturating_add(1.day())));
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let reached = sqlx::query(REACHED)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(&mut *connection)
            .await?;
        reached.ok_or(StoreError::NotFound { what: "patient" })?;
        let bound = |statement| {
            sqlx::query(statement).bind(id.to_string()).bind(millis(from)).bind(millis(to))
        };
        let rows = bound(OBSERVED).fetch_all(&mut *connection).await?;
        let events = bound(CASE_EVENTS).fetch_all(&mut *connection).await?;
        let sounds = bound(RECORDINGS).fetch_all(&mut *connection).await?;
        let mut cases = case_views(connection, CaseFilter::Patient(id)).await?;
        cases.sort_by_key(|view| std::cmp::Reverse(view.case.opened_at));
        Ok(Health {
            observations: rows.iter().map(observed).collect::<Result<_, _>>()?,
            cases,
            case_events: events
                .iter()
                .map(|row| {
                    let case = Fields::new("case_event", row).parsed("case_id")?;
                    Ok((case, case_event(row)?))
                })
                .collect::<Result<_, StoreError>>()?,
            recordings: sounds.iter().map(recording).collect::<Result<_, _>>()?,
            notes: notes_of(connection, id, (from, to)).await?,
            courses: courses_of(connection, id, (from, to)).await?,
            tests: tests_of(connection, id, (from, to)).await?,
            decisions: decisions_of(connection, id, (from, to)).await?,
        })
    }
}

/// The rows of lists that brought a patient in or changed them. Whoever brought the list is named.
async fn lists_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    (from, to): (Timestamp, Timestamp),
) -> Result<Vec<ListedIn>, StoreError> {
    const LISTS: &str = "select r.batch_id, r.line, r.change, r.at, r.undone, b.created_by, \
        m.name from import_row r join import_batch b on b.id = r.batch_id \
        join staff m on m.id = b.created_by where r.patient_id = $1 and r.at >= $2 and r.at < $3 \
        and r.change in ('created', 'updated') order by r.at, r.batch_id, r.line";
    let rows = sqlx::query(LISTS)
        .bind(patient.to_string())
        .bind(millis(from))
        .bind(millis(to))
        .fetch_all(connection)
        .await?;
    rows.iter()
        .map(|row| {
            let fields = Fields::new("import_row", row);
            let undone = fields.text_or_null("undone")?;
            Ok(ListedIn {
                batch: fields.parsed("batch_id")?,
                line: fields.integer("line")?,
                change: match fields.text("change")? {
                    "created" => Change::Created,
                    _ => Change::Updated,
                },
                is_undone: undone.is_some_and(|word| word != "left"),
                signed: fields.signed(["created_by", "name", "at"])?,
            })
        })
        .collect()
}

fn observed(row: &sqlx::any::AnyRow) -> Result<Observed, StoreError> {
    let fields = Fields::new("observation", row);
    let by = match fields.parsed_or_null("staff_id")? {
        None => None,
        Some(id) => Some((id, Private::new(fields.text("staff_name")?.to_owned()))),
    };
    Ok(Observed {
        observation: row::observation(row)?,
        keys: fields.text_or_null("keys")?.map(str::to_owned),
        recorded_at: fields.time("recorded_at")?,
        by,
        way: fields.word_or_null("way", Way::parse)?,
        reason: fields.text_or_null("reason")?.map(|text| Private::new(text.to_owned())),
    })
}

fn midnight(day: Date) -> Timestamp {
    timestamp(day.to_datetime(Time::midnight()))
}
