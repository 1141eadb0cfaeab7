//! What whoever works on cases reads: the queue, one case, and the hand-over of a shift.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::id::{AttemptId, CaseId, HealthCenterId, PatientId};
use crate::escalation::{Fact, Standing};
use crate::observation::Observation;
use crate::registry::{HealthCenter, Patient};
use crate::store::escalate::{facts_by_case, select_cases, select_facts, view_of};
use crate::store::handling::{CaseEvent, case_event, select_case_events, standing_of};
use crate::store::registry::{center_of, fold_patients, health_centers, patient, select_patients};
use crate::store::row::{self, Fields, millis, select_observations};
use crate::store::{CaseView, StoreError, Within};

/// How far back a card compares with earlier values: today, and the day before.
const COMPARED: SignedDuration = SignedDuration::from_hours(48);

/// An unresolved case as the queue shows it.
#[derive(Clone, Debug)]
pub struct QueueCard {
    /// The case, its patient and its centre.
    pub view: CaseView,
    /// Where it stands; look at it with [`Standing::seen_at`].
    pub standing: Standing,
    /// The name of whoever holds it.
    pub holder: Option<Private<String>>,
    /// The promises made and not kept, by when they are due.
    pub promises: Vec<Promise>,
    /// Temperatures and SpO2 of these two days, the newest first.
    pub recent: Vec<Observation>,
    /// Where the answers that rules fired at are in the recordings that can be heard.
    pub clips: Vec<Clip>,
}

/// Where an answer is in the recording of its call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clip {
    /// The call.
    pub attempt: AttemptId,
    /// The entry of its transcript.
    pub seq: u32,
    /// When the answer was settled, from the first sample.
    pub at: Duration,
}

/// A promise that was not kept yet.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Promise {
    /// Its place among the lines of its case.
    pub seq: u32,
    /// What was promised: 14時に再電話.
    pub text: String,
    /// When it is due.
    pub due_at: Timestamp,
    /// Who promised it.
    pub by: Option<Private<String>>,
}

/// All that is known of one case.
#[derive(Clone, Debug)]
pub struct CaseFile {
    /// As the queue shows it.
    pub card: QueueCard,
    /// Its lines, the oldest first.
    pub events: Vec<CaseEvent>,
}

/// What one shift tells the next.
#[derive(Clone, Debug)]
pub struct HandOver {
    /// The cases that are not resolved, as the queue orders them.
    pub open: Vec<QueueCard>,
    /// The cases that were resolved since then.
    pub resolved: Vec<CaseView>,
    /// Calls that nobody has listened to, the oldest first: those with a message for the staff, and
    /// those of open cases.
    pub unheard: Vec<Unheard>,
    /// What happened since then, the oldest first, with the patient.
    pub events: Vec<(CaseId, Patient, CaseEvent)>,
}

/// Selects cases of the scope with where they stand.
macro_rules! select_queue {
    ($rest:literal) => {
        concat!(
            "select k.id, k.patient_id, k.priority, k.state, k.opened_at, k.acknowledged_at, \
             k.acknowledged_by, k.resolved_at, k.resolved_by, k.resolution, k.handed_over_at, \
             k.outcome, c.staff_id, c.claimed_at, c.claim_until from escalation_case k \
             join patient p on p.id = k.patient_id left join case_claim c on c.case_id = k.id \
             where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest
        )
    };
}

/// Selects the facts of these cases.
macro_rules! facts_within {
    ($rest:literal) => {
        select_facts!(
            "join patient p on p.id = k.patient_id \
             where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest
        )
    };
}

/// Selects their patients.
macro_rules! patients_within {
    ($rest:literal) => {
        select_patients!(
            "join escalation_case k on k.patient_id = p.id \
             where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest
        )
    };
}

/// Selects the promises that were not kept.
macro_rules! promises_within {
    ($rest:literal) => {
        concat!(
            "select e.case_id, e.seq, e.text, e.due_at, t.name from case_event e \
             join escalation_case k on k.id = e.case_id join patient p on p.id = k.patient_id \
             left join staff t on t.id = e.staff_id \
             where e.kind = 'promised' and not exists (select 1 from case_event d \
             where d.case_id = e.case_id and d.of_seq = e.seq) \
             and p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest,
            " order by e.due_at, e.case_id, e.seq"
        )
    };
}

/// Selects the patients' temperatures and SpO2 that were not corrected, from `$4` on.
macro_rules! recent_within {
    ($rest:literal) => {
        select_observations!(
            "join escalation_case k on k.patient_id = o.patient_id \
             join patient p on p.id = k.patient_id \
             where o.code in ('temperature', 'spo2') and o.effective_at >= $4 \
             and not exists (select 1 from observation n where n.supersedes = o.id) \
             and p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest,
            " order by o.effective_at desc, o.id"
        )
    };
}

/// Selects where the answers that rules fired at are in recordings.
macro_rules! clips_within {
    ($rest:literal) => {
        concat!(
            "select distinct x.case_id, r.attempt_id, x.source_seq, m.at from case_fact x \
             join escalation_case k on k.id = x.case_id join patient p on p.id = k.patient_id \
             join recording r on r.attempt_id = x.source_id \
             join recording_mark m on m.recording_id = r.id and m.kind = 'answer' \
             and m.detail like x.source_seq || ' %' \
             where x.source = 'answer' and r.state in ('spooled', 'stored') \
             and p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest
        )
    };
}

/// The same choice of cases, in each of the tables.
struct Statements {
    cases: &'static str,
    facts: &'static str,
    patients: &'static str,
    promises: &'static str,
    recent: &'static str,
    clips: &'static str,
}

/// A recording that somebody should hear.
#[derive(Clone, Debug)]
pub struct Unheard {
    /// The call.
    pub attempt: AttemptId,
    /// When it began.
    pub started_at: Timestamp,
    /// Whose call it was.
    pub patient: Patient,
    /// The patient left a message for the staff in it.
    pub has_message: bool,
}

impl Within<'_> {
    /// The cases that are not resolved: the gravest first, then the oldest.
    pub async fn case_queue(&self, now: Timestamp) -> Result<Vec<QueueCard>, StoreError> {
        let mut session = self.store.read().await?;
        self.queue(session.connection(), now).await
    }

    /// One case with all its lines. [`StoreError::NotFound`] also for one of another centre.
    pub async fn case_file(&self, now: Timestamp, id: CaseId) -> Result<CaseFile, StoreError> {
        const CASE: &str = select_queue!("and k.id = $3");
        const FACTS: &str = facts_within!("and k.id = $3");
        const PATIENT: &str = patients_within!("and k.id = $3");
        const PROMISES: &str = promises_within!("and k.id = $3");
        const RECENT: &str = recent_within!("and k.id = $3");
        const CLIPS: &str = clips_within!("and k.id = $3");
        const EVENTS: &str = select_case_events!("where e.case_id = $1 order by e.seq");
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let statements = Statements {
            cases: CASE,
            facts: FACTS,
            patients: PATIENT,
            promises: PROMISES,
            recent: RECENT,
            clips: CLIPS,
        };
        let cards = self.cards(connection, now, &statements, Some(id)).await?;
        let card = cards.into_iter().next().ok_or(StoreError::NotFound { what: "case" })?;
        let rows = sqlx::query(EVENTS).bind(id.to_string()).fetch_all(connection).await?;
        let events = rows.iter().map(case_event).collect::<Result<_, _>>()?;
        Ok(CaseFile { card, events })
    }

    /// What the next shift has to know; what happened is told from `since` on.
    pub async fn hand_over(
        &self,
        now: Timestamp,
        since: Timestamp,
    ) -> Result<HandOver, StoreError> {
        const RESOLVED: &str = select_cases!(
            "join patient p on p.id = k.patient_id where k.resolved_at >= $3 \
             and p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) \
             order by k.resolved_at, k.id"
        );
        const FACTS: &str = select_facts!(
            "join patient p on p.id = k.patient_id where k.resolved_at >= $3 \
             and p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2)"
        );
        const EVENTS: &str = select_case_events!(
            "join escalation_case k on k.id = e.case_id join patient p on p.id = k.patient_id \
             where e.at >= $3 and p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) \
             order by e.at, e.case_id, e.seq"
        );
        const PATIENTS: &str = select_patients!(
            "where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) and p.id in \
             (select k.patient_id from escalation_case k join case_event e on e.case_id = k.id \
             where e.at >= $3 union \
             select k.patient_id from escalation_case k where k.resolved_at >= $3)"
        );
        const PATIENT_OF: &str = "select k.id, k.patient_id from escalation_case k \
            join patient p on p.id = k.patient_id where p.health_center_id = $1 \
            and ($2 = '' or p.clinic_id = $2) and exists \
            (select 1 from case_event e where e.case_id = k.id and e.at >= $3)";
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let open = self.queue(connection, now).await?;
        let centers = health_centers(connection).await?;
        let patients = self.since(connection, PATIENTS, since).await?;
        let patients: HashMap<_, _> =
            fold_patients(&patients)?.into_iter().map(|one| (one.id, one)).collect();
        let known = |id: PatientId| {
            patients.get(&id).cloned().ok_or(StoreError::NotFound { what: "patient" })
        };
        let mut facts = facts_by_case(&self.since(connection, FACTS, since).await?)?;
        let mut resolved = Vec::new();
        for row in &self.since(connection, RESOLVED, since).await? {
            let fields = Fields::new("escalation_case", row);
            let facts = facts.remove(&fields.parsed("id")?).unwrap_or_default();
            let patient = known(fields.parsed("patient_id")?)?;
            let center = center_of(&centers, &patient)?;
            resolved.push(view_of(row, facts, patient, center)?);
        }
        let mut patient_of: HashMap<CaseId, PatientId> = HashMap::new();
        for row in &self.since(connection, PATIENT_OF, since).await? {
            let fields = Fields::new("escalation_case", row);
            patient_of.insert(fields.parsed("id")?, fields.parsed("patient_id")?);
        }
        let mut events = Vec::new();
        for row in &self.since(connection, EVENTS, since).await? {
            let case = Fields::new("case_event", row).parsed("case_id")?;
            let id = patient_of.get(&case).copied();
            let id = id.ok_or(StoreError::NotFound { what: "patient" })?;
            events.push((case, known(id)?, case_event(row)?));
        }
        let unheard = self.unheard(connection).await?;
        Ok(HandOver { open, resolved, unheard, events })
    }

    async fn unheard(&self, connection: &mut AnyConnection) -> Result<Vec<Unheard>, StoreError> {
        // What was heard is in the audit, whose events are found by patient.
        const UNHEARD: &str = "select r.attempt_id, r.patient_id, r.started_at, 1 as has_message \
            from recording r join patient p on p.id = r.patient_id \
            where r.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) \
            and r.message_from is not null and r.heard_at is null \
            and r.state in ('spooled', 'stored') \
            union select r.attempt_id, r.patient_id, r.started_at, 0 as has_message \
            from escalation_case k join patient p on p.id = k.patient_id \
            join case_fact x on x.case_id = k.id and x.source = 'answer' \
            join recording r on r.attempt_id = x.source_id \
            where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) \
            and k.state in ('open', 'acknowledged') and r.state in ('spooled', 'stored') \
            and (r.message_from is null or r.heard_at is not null) \
            and not exists (select 1 from audit_event v where v.patient_id = r.patient_id \
            and v.action = 'recording.heard' and v.object = r.attempt_id) order by 3, 1";
        let rows = sqlx::query(UNHEARD)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_all(&mut *connection)
            .await?;
        let mut unheard = Vec::with_capacity(rows.len());
        for row in &rows {
            let fields = Fields::new("recording", row);
            unheard.push(Unheard {
                attempt: fields.parsed("attempt_id")?,
                started_at: fields.time("started_at")?,
                patient: patient(connection, fields.parsed("patient_id")?).await?,
                has_message: fields.flag("has_message")?,
            });
        }
        Ok(unheard)
    }

    async fn since(
        &self,
        connection: &mut AnyConnection,
        statement: &'static str,
        since: Timestamp,
    ) -> Result<Vec<AnyRow>, StoreError> {
        Ok(sqlx::query(statement)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(millis(since))
            .fetch_all(connection)
            .await?)
    }

    async fn queue(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
    ) -> Result<Vec<QueueCard>, StoreError> {
        const CASES: &str = select_queue!("and k.state in ('open', 'acknowledged') and $3 = ''");
        const FACTS: &str = facts_within!("and k.state in ('open', 'acknowledged') and $3 = ''");
        const PATIENTS: &str =
            patients_within!("and k.state in ('open', 'acknowledged') and $3 = ''");
        const PROMISES: &str =
            promises_within!("and k.state in ('open', 'acknowledged') and $3 = ''");
        const CLIPS: &str = clips_within!("and k.state in ('open', 'acknowledged') and $3 = ''");
        const RECENT: &str = recent_within!("and k.state in ('open', 'acknowledged') and $3 = ''");
        let statements = Statements {
            cases: CASES,
            facts: FACTS,
            patients: PATIENTS,
            promises: PROMISES,
            recent: RECENT,
            clips: CLIPS,
        };
        let mut cards = self.cards(connection, now, &statements, None).await?;
        cards.sort_by_key(|card| {
            (Reverse(card.view.case.priority), card.view.case.opened_at, card.view.case.id)
        });
        Ok(cards)
    }

    async fn cards(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        statements: &Statements,
        case: Option<CaseId>,
    ) -> Result<Vec<QueueCard>, StoreError> {
        let centers = health_centers(connection).await?;
        let patients = self.bound(connection, statements.patients, case).await?;
        let mut patients: HashMap<PatientId, Patient> =
            fold_patients(&patients)?.into_iter().map(|one| (one.id, one)).collect();
        let mut facts = facts_by_case(&self.bound(connection, statements.facts, case).await?)?;
        let mut promises: HashMap<CaseId, Vec<Promise>> = HashMap::new();
        for row in &self.bound(connection, statements.promises, case).await? {
            let case = Fields::new("case_event", row).parsed("case_id")?;
            promises.entry(case).or_default().push(promise(row)?);
        }
        let mut recent: HashMap<PatientId, Vec<Observation>> = HashMap::new();
        let rows = sqlx::query(statements.recent)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(case.map(|case| case.to_string()).unwrap_or_default())
            .bind(millis(now - COMPARED))
            .fetch_all(&mut *connection)
            .await?;
        for row in &rows {
            let observation = row::observation(row)?;
            recent.entry(observation.patient).or_default().push(observation);
        }
        let mut clips: HashMap<CaseId, Vec<Clip>> = HashMap::new();
        for row in &self.bound(connection, statements.clips, case).await? {
            let fields = Fields::new("recording_mark", row);
            clips.entry(fields.parsed("case_id")?).or_default().push(Clip {
                attempt: fields.parsed("attempt_id")?,
                seq: fields.integer("source_seq")?,
                at: Duration::from_millis(fields.integer("at")?),
            });
        }
        let rows = self.bound(connection, statements.cases, case).await?;
        rows.iter()
            .map(|row| {
                let id = Fields::new("escalation_case", row).parsed("id")?;
                let facts = facts.remove(&id).unwrap_or_default();
                let mut card =
                    card(row, id, facts, &centers, &mut patients, &mut promises, &mut recent)?;
                card.clips = clips.remove(&id).unwrap_or_default();
                Ok(card)
            })
            .collect()
    }

    /// The third parameter stands in every statement, so that both databases find it bound.
    async fn bound(
        &self,
        connection: &mut AnyConnection,
        statement: &'static str,
        case: Option<CaseId>,
    ) -> Result<Vec<AnyRow>, StoreError> {
        Ok(sqlx::query(statement)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(case.map(|case| case.to_string()).unwrap_or_default())
            .fetch_all(connection)
            .await?)
    }
}

fn card(
    row: &AnyRow,
    id: CaseId,
    facts: Vec<Fact>,
    centers: &HashMap<HealthCenterId, HealthCenter>,
    patients: &mut HashMap<PatientId, Patient>,
    promises: &mut HashMap<CaseId, Vec<Promise>>,
    recent: &mut HashMap<PatientId, Vec<Observation>>,
) -> Result<QueueCard, StoreError> {
    let fields = Fields::new("escalation_case", row);
    let patient = patients
        .remove(&fields.parsed("patient_id")?)
        .ok_or(StoreError::NotFound { what: "patient" })?;
    let recent = recent.remove(&patient.id).unwrap_or_default();
    let center = center_of(centers, &patient)?;
    let view = view_of(row, facts, patient, center)?;
    let standing = standing_of(row)?;
    let holder = view.acknowledged.as_ref().map(|(by, _)| Private::new(by.clone()));
    Ok(QueueCard {
        holder: holder.filter(|_| matches!(standing, Standing::InHand(_))),
        promises: promises.remove(&id).unwrap_or_default(),
        view,
        standing,
        recent,
        clips: Vec::new(),
    })
}

fn promise(row: &AnyRow) -> Result<Promise, StoreError> {
    let fields = Fields::new("case_event", row);
    Ok(Promise {
        seq: fields.integer("seq")?,
        text: fields.text("text")?.to_owned(),
        due_at: fields.time("due_at")?,
        by: fields.text_or_null("name")?.map(|name| name.to_owned().into()),
    })
}
