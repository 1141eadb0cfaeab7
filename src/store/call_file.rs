//! All that is known of one call: what was asked and pressed, what came of it, who listened.

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::id::{AttemptId, CaseId, ObservationId, PatientId, StaffId};
use crate::call::Disposition;
use crate::campaign::{Attempt, Slot};
use crate::escalation::Fact;
use crate::ivr::Entry;
use crate::observation::Observation;
use crate::registry::Patient;
use crate::store::escalate::{facts_by_case, select_facts};
use crate::store::recording::{recordings, select_recordings};
use crate::store::registry::patient;
use crate::store::row::{
    self, Fields, millis, select_answers, select_attempts, select_observations, select_slots,
};
use crate::store::{Store, StoreError, Within};
use crate::tape::{Mark, Note, Recording};

/// How long a reason for listening is good for: a shift.
const REASON_LASTS: SignedDuration = SignedDuration::from_hours(12);

/// One call.
#[derive(Clone, Debug)]
pub struct CallFile {
    /// The attempt.
    pub attempt: Attempt,
    /// When it rang.
    pub ringing_at: Option<Timestamp>,
    /// Whom it called.
    pub patient: Patient,
    /// What it was to fill.
    pub slot: Slot,
    /// What was asked, as `id@version`; `None` before the first answer.
    pub questionnaire: Option<String>,
    /// What was asked and pressed.
    pub entries: Vec<Entry>,
    /// What it means; also what was corrected since.
    pub observations: Vec<Observation>,
    /// Those of the observations that were corrected.
    pub corrected: Vec<ObservationId>,
    /// The facts that it gave to cases.
    pub facts: Vec<(CaseId, Fact)>,
    /// The case of the patient that is not resolved.
    pub open_case: Option<OpenCaseOf>,
    /// The sound, also if it was deleted by now.
    pub recording: Option<Recording>,
    /// What happened when in the recording.
    pub marks: Vec<Mark>,
    /// What was written at moments of it.
    pub notes: Vec<Note>,
}

/// Who works on the patient's open case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct OpenCaseOf {
    /// The case.
    pub case: CaseId,
    /// Who holds it, until when.
    pub holder: Option<(StaffId, Timestamp)>,
    /// Somebody took it at the command line.
    pub is_taken_elsewhere: bool,
}

impl OpenCaseOf {
    /// Whether listening belongs to this person's work on the case: they hold it, or nobody does
    /// and they look whether to take it.
    pub fn is_work_of(&self, staff: StaffId, now: Timestamp) -> bool {
        match self.holder {
            Some((holder, until)) => holder == staff || until <= now,
            None => !self.is_taken_elsewhere,
        }
    }
}

/// That somebody did something with a recording.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Heard {
    /// When.
    pub at: Timestamp,
    /// Who; `None` for the program.
    pub by: Option<Private<String>>,
    /// What: `recording.heard`, `recording.served`, `recording.reason` …
    pub action: String,
    /// From where to where, or the reason.
    pub detail: String,
    /// The hash of the event in the chain.
    pub hash: String,
}

/// One call without the patient, for engineers.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallTechnical {
    /// The attempt.
    pub attempt: AttemptId,
    /// Which try it was.
    pub number: u32,
    /// The node that placed it.
    pub node: Option<String>,
    /// When it was to be placed.
    pub due_at: Timestamp,
    /// When the dialling was committed.
    pub dialed_at: Option<Timestamp>,
    /// When it rang.
    pub ringing_at: Option<Timestamp>,
    /// When it was taken.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub disposition: Option<Disposition>,
    /// The final SIP status.
    pub code: Option<u16>,
    /// Samples of each lane that were recorded, and those that were lost.
    pub samples: Option<(u64, u64)>,
}

impl Within<'_> {
    /// One call. [`StoreError::NotFound`] also for one of another centre.
    pub async fn call_file(&self, id: AttemptId) -> Result<CallFile, StoreError> {
        const ATTEMPT: &str = select_attempts!("where a.id = $1");
        const RINGING: &str = "select a.ringing_at, a.slot_id from attempt a where a.id = $1";
        const SLOT: &str = select_slots!("join attempt a on a.slot_id = s.id where a.id = $1");
        const ANSWERS: &str = select_answers!("where w.attempt_id = $1 order by w.seq");
        const OBSERVATIONS: &str =
            select_observations!("where o.attempt_id = $1 order by o.seq, o.id");
        const CORRECTED: &str = "select o.id from observation o \
            join observation n on n.supersedes = o.id where o.attempt_id = $1";
        const FACTS: &str =
            select_facts!("where x.source in ('answer', 'attempt') and x.source_id = $1");
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let patient_id = self.patient_of_call(connection, id).await?;
        let row = one(connection, ATTEMPT, id).await?.ok_or(NO_CALL)?;
        let attempt = row::attempt(&row)?;
        let ringing = one(connection, RINGING, id).await?.ok_or(NO_CALL)?;
        let slot = row::slot(&one(connection, SLOT, id).await?.ok_or(NO_CALL)?)?;
        let answers = all(connection, ANSWERS, id).await?;
        let questionnaire = match answers.first() {
            Some(row) => Some(Fields::new("answer", row).text("questionnaire")?.to_owned()),
            None => None,
        };
        let entries = answers.iter().map(row::entry).collect::<Result<_, _>>()?;
        let observations = all(connection, OBSERVATIONS, id).await?;
        let observations = observations.iter().map(row::observation).collect::<Result<_, _>>()?;
        let corrected = all(connection, CORRECTED, id).await?;
        let corrected = corrected
            .iter()
            .map(|row| Fields::new("observation", row).parsed("id"))
            .collect::<Result<_, _>>()?;
        let facts = facts_by_case(&all(connection, FACTS, id).await?)?;
        let facts = facts
            .into_iter()
            .flat_map(|(case, facts)| facts.into_iter().map(move |fact| (case, fact)));
        let mut facts: Vec<_> = facts.collect();
        facts.sort_by_key(|(_, fact)| fact.at);
        let open_case = open_case_of(connection, patient_id).await?;
        let recording = recording_of(connection, id).await?;
        let patient = patient(connection, patient_id).await?;
        drop(session);
        let (marks, notes) = match &recording {
            Some(recording) => {
                (self.store.marks(recording.id).await?, self.store.notes(recording.id).await?)
            }
            None => (Vec::new(), Vec::new()),
        };
        Ok(CallFile {
            attempt,
            ringing_at: Fields::new("attempt", &ringing).time_or_null("ringing_at")?,
            patient,
            slot,
            questionnaire,
            entries,
            observations,
            corrected,
            facts,
            open_case,
            recording,
            marks,
            notes,
        })
    }

    /// The recording of a call, whose it is, and who works on the patient's case: what is asked
    /// before any sound is served.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if there is none, or the call is one of another centre.
    pub async fn sound_of_call(
        &self,
        id: AttemptId,
    ) -> Result<(Recording, Option<OpenCaseOf>), StoreError> {
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let patient = self.patient_of_call(connection, id).await?;
        let open_case = open_case_of(connection, patient).await?;
        let recording = recording_of(connection, id).await?;
        Ok((recording.ok_or(StoreError::NotFound { what: "recording" })?, open_case))
    }

    /// Whether this person has given a reason for listening to this call of late.
    pub async fn has_reason(
        &self,
        now: Timestamp,
        staff: StaffId,
        call: AttemptId,
    ) -> Result<bool, StoreError> {
        const REASON: &str = "select v.seq from audit_event v where v.staff_id = $1 \
            and v.action = 'recording.reason' and v.object = $2 and v.at >= $3 limit 1";
        let mut session = self.store.glance().await?;
        let row = sqlx::query(REASON)
            .bind(staff.to_string())
            .bind(call.to_string())
            .bind(millis(now - REASON_LASTS))
            .fetch_optional(session.connection())
            .await?;
        Ok(row.is_some())
    }

    /// Who did what with the recording of a call, the oldest first.
    pub async fn heard(&self, call: AttemptId) -> Result<Vec<Heard>, StoreError> {
        const HEARD: &str = "select v.at, v.action, v.detail, v.hash, t.name from audit_event v \
            left join staff t on t.id = v.staff_id where v.patient_id = $1 and v.object = $2 \
            and substr(v.action, 1, 10) = 'recording.' order by v.seq";
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let patient = self.patient_of_call(connection, call).await?;
        let rows = sqlx::query(HEARD)
            .bind(patient.to_string())
            .bind(call.to_string())
            .fetch_all(connection)
            .await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("audit_event", row);
                Ok(Heard {
                    at: fields.time("at")?,
                    by: fields.text_or_null("name")?.map(|name| name.to_owned().into()),
                    action: fields.text("action")?.to_owned(),
                    detail: fields.text("detail")?.to_owned(),
                    hash: fields.text("hash")?.to_owned(),
                })
            })
            .collect()
    }

    async fn patient_of_call(
        &self,
        connection: &mut AnyConnection,
        id: AttemptId,
    ) -> Result<PatientId, StoreError> {
        const PATIENT: &str = "select a.patient_id from attempt a \
            join patient p on p.id = a.patient_id where a.id = $1 \
            and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3)";
        let row = sqlx::query(PATIENT)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(connection)
            .await?
            .ok_or(NO_CALL)?;
        Fields::new("attempt", &row).parsed("patient_id")
    }
}

impl Store {
    /// One call without the patient. For engineers, who see no person.
    pub async fn call_technical(&self, id: AttemptId) -> Result<CallTechnical, StoreError> {
        const CALL: &str = "select a.id, a.number, a.node, a.due_at, a.dialed_at, a.ringing_at, \
            a.answered_at, a.ended_at, a.disposition, a.code, r.samples, r.missing_samples \
            from attempt a left join recording r on r.attempt_id = a.id where a.id = $1";
        let mut session = self.glance().await?;
        let row = one(session.connection(), CALL, id).await?.ok_or(NO_CALL)?;
        let fields = Fields::new("attempt", &row);
        let samples: Option<u64> = fields.integer_or_null("samples")?;
        Ok(CallTechnical {
            attempt: fields.parsed("id")?,
            number: fields.integer("number")?,
            node: fields.text_or_null("node")?.map(str::to_owned),
            due_at: fields.time("due_at")?,
            dialed_at: fields.time_or_null("dialed_at")?,
            ringing_at: fields.time_or_null("ringing_at")?,
            answered_at: fields.time_or_null("answered_at")?,
            ended_at: fields.time_or_null("ended_at")?,
            disposition: fields.parsed_or_null("disposition")?,
            code: fields.integer_or_null("code")?,
            samples: samples.zip(Some(fields.integer_or_null("missing_samples")?.unwrap_or(0))),
        })
    }
}

const NO_CALL: StoreError = StoreError::NotFound { what: "call" };

async fn one(
    connection: &mut AnyConnection,
    statement: &'static str,
    id: AttemptId,
) -> Result<Option<AnyRow>, StoreError> {
    Ok(sqlx::query(statement).bind(id.to_string()).fetch_optional(connection).await?)
}

async fn all(
    connection: &mut AnyConnection,
    statement: &'static str,
    id: AttemptId,
) -> Result<Vec<AnyRow>, StoreError> {
    Ok(sqlx::query(statement).bind(id.to_string()).fetch_all(connection).await?)
}

async fn recording_of(
    connection: &mut AnyConnection,
    id: AttemptId,
) -> Result<Option<Recording>, StoreError> {
    const OF_CALL: &str = select_recordings!("where r.attempt_id = $1");
    Ok(recordings(connection, OF_CALL, &[id.to_string()]).await?.into_iter().next())
}

async fn open_case_of(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<Option<OpenCaseOf>, StoreError> {
    const OPEN: &str = "select k.id, k.state, c.staff_id, c.claim_until from escalation_case k \
        left join case_claim c on c.case_id = k.id \
        where k.patient_id = $1 and k.state in ('open', 'acknowledged')";
    let row = sqlx::query(OPEN).bind(patient.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::new("escalation_case", &row);
    let holder = fields.parsed_or_null("staff_id")?.zip(fields.time_or_null("claim_until")?);
    Ok(Some(OpenCaseOf {
        case: fields.parsed("id")?,
        is_taken_elsewhere: holder.is_none() && fields.text("state")? == "acknowledged",
        holder,
    }))
}
