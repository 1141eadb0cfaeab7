//! What the staff do to cases: one transaction per deed, with its lines and its link of the audit.

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::id::{AttemptId, CaseId, ObservationId, PatientId, StaffId};
use crate::escalation::{
    Claim, Deed, EventKind, Holder, Line, Outcome, Priority, Refusal, Standing,
};
use crate::registry::{Actor, AuditEntry, Scope, Staff};
use crate::store::audit::append;
use crate::store::row::{Fields, millis};
use crate::store::{Evaluated, Store, StoreError, Topic, Within};

/// A line of a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CaseEvent {
    /// Its place, from 1.
    pub seq: u32,
    /// When.
    pub at: Timestamp,
    /// Whose deed it is, with their name; `None` for the program and for the command line.
    pub by: Option<(StaffId, Private<String>)>,
    /// What happened.
    pub kind: EventKind,
    /// What was written: facts, a note, a promise, a reason. For a report that gave no rule a
    /// reason, its answers as `spo2=97 temperature=365`.
    pub text: String,
    /// How grave the case was after it, where that may have changed.
    pub priority: Option<Priority>,
    /// When a promise is due.
    pub due_at: Option<Timestamp>,
    /// The promise that was kept.
    pub of: Option<u32>,
}

/// What came of a deed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Handled {
    /// It is done.
    Done(Standing),
    /// It was refused, and nothing was changed. Whoever holds the case instead is named.
    Refused(Refusal, Option<Private<String>>),
}

/// A line to be added.
#[derive(Clone, Debug)]
pub(super) struct NewEvent {
    pub(super) kind: EventKind,
    pub(super) by: Option<StaffId>,
    pub(super) text: String,
    pub(super) priority: Option<Priority>,
    pub(super) due_at: Option<Timestamp>,
    pub(super) of: Option<u32>,
    pub(super) source: Option<String>,
}

impl NewEvent {
    pub(super) fn of(kind: EventKind) -> Self {
        Self {
            kind,
            by: None,
            text: String::new(),
            priority: None,
            due_at: None,
            of: None,
            source: None,
        }
    }
}

impl From<&Line> for NewEvent {
    fn from(line: &Line) -> Self {
        Self {
            by: Some(line.by),
            text: line.text.clone(),
            due_at: line.due_at,
            of: line.of,
            ..Self::of(line.kind)
        }
    }
}

impl Within<'_> {
    /// Does a deed to a case, adds its lines and writes it into the audit: all or nothing. Two who
    /// claim at once take turns, and the second is told of the first.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for a case of another centre, and for a promise that is none;
    /// [`StoreError::Conflict`] for a promise that was kept already.
    pub async fn handle_case(
        &self,
        now: Timestamp,
        by: &Staff,
        case: CaseId,
        deed: &Deed,
    ) -> Result<Handled, StoreError> {
        let mut session = self.store.write().await?;
        let connection = session.connection();
        let patient = self.store.lock_case(connection, case, Some(self.scope)).await?;
        let before = standing(connection, case).await?;
        let done = match before.act(now, by.id, deed) {
            Ok(done) => done,
            Err(refusal) => {
                let name = holder_name(connection, case).await?;
                return Ok(Handled::Refused(refusal, name));
            }
        };
        if let Deed::Keep(seq) = deed {
            require_promise(connection, case, *seq).await?;
        }
        if done.standing != before {
            set_standing(connection, now, case, by, deed, done.standing).await?;
        }
        for line in &done.lines {
            append_event(connection, now, case, &line.into()).await?;
            let entry = AuditEntry {
                actor: Actor::Staff(line.by),
                health_center: Some(self.scope.center),
                action: line.kind.audited(),
                patient: Some(patient),
                object: case.to_string(),
                detail: match deed {
                    Deed::Resolve(outcome, _) => outcome.as_str().to_owned(),
                    _ => String::new(),
                },
            };
            append(connection, now, &entry).await?;
        }
        session.commit(&[Topic::Case]).await?;
        Ok(Handled::Done(done.standing))
    }
}

impl Store {
    /// Ends the holds that have run out, and says when the next will.
    pub async fn end_lapsed_claims(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(c.claim_until) as next from case_claim c";
        const LAPSED: &str = "select c.case_id from case_claim c where c.claim_until <= $1 \
            order by c.claim_until, c.case_id";
        let lapsed = {
            let mut glance = self.glance().await?;
            sqlx::query(LAPSED).bind(millis(now)).fetch_all(glance.connection()).await?
        };
        for row in &lapsed {
            self.end_lapsed(now, Fields::new("case_claim", row).parsed("case_id")?).await?;
        }
        let mut glance = self.glance().await?;
        let row = sqlx::query(NEXT).fetch_one(glance.connection()).await?;
        Fields::new("case_claim", &row).time_or_null("next")
    }

    async fn end_lapsed(&self, now: Timestamp, case: CaseId) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        self.lock_case(connection, case, None).await?;
        // It may have been renewed or settled meanwhile.
        let Some(done) = standing(connection, case).await?.lapse(now) else { return Ok(()) };
        set_claim(connection, case, None).await?;
        set_open(connection, case, None).await?;
        for line in &done.lines {
            append_event(connection, now, case, &line.into()).await?;
        }
        session.commit(&[Topic::Case]).await
    }

    /// Lets one transaction at a time write lines of a case, by its patient, who is returned: that
    /// is also what keeps facts from being added at the same time.
    pub(super) async fn lock_case(
        &self,
        connection: &mut AnyConnection,
        case: CaseId,
        scope: Option<Scope>,
    ) -> Result<PatientId, StoreError> {
        const PATIENT: &str = "select k.patient_id from escalation_case k \
            join patient p on p.id = k.patient_id where k.id = $1 \
            and ($2 = '' or p.health_center_id = $2) and ($3 = '' or p.clinic_id = $3)";
        let center = scope.map(|scope| scope.center.to_string()).unwrap_or_default();
        let clinic = scope.and_then(|scope| scope.clinic).map(|id| id.to_string());
        let row = sqlx::query(PATIENT)
            .bind(case.to_string())
            .bind(center)
            .bind(clinic.unwrap_or_default())
            .fetch_optional(&mut *connection)
            .await?
            .ok_or(StoreError::NotFound { what: "case" })?;
        let patient = Fields::new("escalation_case", &row).parsed("patient_id")?;
        self.lock_patient(connection, patient).await?;
        Ok(patient)
    }
}

/// Where a case stands.
pub(super) async fn standing(
    connection: &mut AnyConnection,
    case: CaseId,
) -> Result<Standing, StoreError> {
    const STANDING: &str = "select k.state, k.handed_over_at, k.outcome, c.staff_id, \
        c.claimed_at, c.claim_until from escalation_case k \
        left join case_claim c on c.case_id = k.id where k.id = $1";
    let row = sqlx::query(STANDING).bind(case.to_string()).fetch_one(connection).await?;
    standing_of(&row)
}

/// Reads `state`, `handed_over_at`, `outcome` and the columns of the claim.
pub(super) fn standing_of(row: &AnyRow) -> Result<Standing, StoreError> {
    let fields = Fields::new("escalation_case", row);
    Ok(match fields.text("state")? {
        "resolved" => Standing::Resolved(fields.word_or_null("outcome", Outcome::parse)?),
        "open" if fields.time_or_null("handed_over_at")?.is_some() => Standing::HandedOver,
        "open" => Standing::Untouched,
        _ => Standing::InHand(match fields.parsed_or_null("staff_id")? {
            None => Holder::CommandLine,
            Some(by) => Holder::Staff(Claim {
                by,
                since: fields.time("claimed_at")?,
                until: fields.time("claim_until")?,
            }),
        }),
    })
}

async fn set_standing(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    by: &Staff,
    deed: &Deed,
    standing: Standing,
) -> Result<(), StoreError> {
    const IN_HAND: &str = "update escalation_case set state = 'acknowledged', \
        acknowledged_at = $2, acknowledged_by = $3, handed_over_at = null where id = $1";
    const RESOLVED: &str = "update escalation_case set state = 'resolved', resolved_at = $2, \
        resolved_by = $3, outcome = $4, resolution = $5, handed_over_at = null where id = $1";
    match standing {
        Standing::InHand(holder) => {
            let Holder::Staff(claim) = holder else { return Ok(()) };
            set_claim(connection, case, Some(claim)).await?;
            if claim.since == now {
                sqlx::query(IN_HAND)
                    .bind(case.to_string())
                    .bind(millis(now))
                    .bind(by.name.expose().as_str())
                    .execute(connection)
                    .await?;
            }
        }
        Standing::Untouched => {
            set_claim(connection, case, None).await?;
            set_open(connection, case, None).await?;
        }
        Standing::HandedOver => {
            set_claim(connection, case, None).await?;
            set_open(connection, case, Some(now)).await?;
        }
        Standing::Resolved(outcome) => {
            set_claim(connection, case, None).await?;
            let reason = match deed {
                Deed::Resolve(_, reason) => reason.trim(),
                _ => "",
            };
            sqlx::query(RESOLVED)
                .bind(case.to_string())
                .bind(millis(now))
                .bind(by.name.expose().as_str())
                .bind(outcome.map(Outcome::as_str))
                .bind(reason)
                .execute(connection)
                .await?;
        }
    }
    Ok(())
}

async fn set_open(
    connection: &mut AnyConnection,
    case: CaseId,
    handed_over_at: Option<Timestamp>,
) -> Result<(), StoreError> {
    const OPEN: &str = "update escalation_case set state = 'open', acknowledged_at = null, \
        acknowledged_by = null, handed_over_at = $2 where id = $1";
    sqlx::query(OPEN)
        .bind(case.to_string())
        .bind(handed_over_at.map(millis))
        .execute(connection)
        .await?;
    Ok(())
}

/// Puts this claim in the place of the one there is.
pub(super) async fn set_claim(
    connection: &mut AnyConnection,
    case: CaseId,
    claim: Option<Claim>,
) -> Result<(), StoreError> {
    const END: &str = "delete from case_claim where case_id = $1";
    const BEGIN: &str = "insert into case_claim (case_id, staff_id, claimed_at, claim_until) \
        values ($1, $2, $3, $4)";
    sqlx::query(END).bind(case.to_string()).execute(&mut *connection).await?;
    if let Some(claim) = claim {
        sqlx::query(BEGIN)
            .bind(case.to_string())
            .bind(claim.by.to_string())
            .bind(millis(claim.since))
            .bind(millis(claim.until))
            .execute(connection)
            .await?;
    }
    Ok(())
}

/// The name of whoever holds the case.
async fn holder_name(
    connection: &mut AnyConnection,
    case: CaseId,
) -> Result<Option<Private<String>>, StoreError> {
    const NAME: &str = "select k.acknowledged_by from escalation_case k \
        where k.id = $1 and k.state = 'acknowledged'";
    let row = sqlx::query(NAME).bind(case.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let name = Fields::new("escalation_case", &row).text_or_null("acknowledged_by")?;
    Ok(name.map(|name| name.to_owned().into()))
}

async fn require_promise(
    connection: &mut AnyConnection,
    case: CaseId,
    seq: u32,
) -> Result<(), StoreError> {
    const PROMISE: &str = "select e.seq from case_event e where e.case_id = $1 and e.seq = $2 and e.kind = 'promised'";
    let row = sqlx::query(PROMISE)
        .bind(case.to_string())
        .bind(i64::from(seq))
        .fetch_optional(connection)
        .await?;
    row.map(|_| ()).ok_or(StoreError::NotFound { what: "promise" })
}

/// Adds a line. The caller has locked the case or its patient.
pub(super) async fn append_event(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    event: &NewEvent,
) -> Result<(), StoreError> {
    const APPEND: &str = "insert into case_event (case_id, seq, at, staff_id, kind, text, \
        priority, due_at, of_seq, source_id) select $1, \
        coalesce((select max(e.seq) from case_event e where e.case_id = $1), 0) + 1, \
        $2, $3, $4, $5, $6, $7, $8, $9";
    sqlx::query(APPEND)
        .bind(case.to_string())
        .bind(millis(now))
        .bind(event.by.map(|by| by.to_string()))
        .bind(event.kind.as_str())
        .bind(event.text.trim())
        .bind(event.priority.map(Priority::as_str))
        .bind(event.due_at.map(millis))
        .bind(event.of.map(i64::from))
        .bind(event.source.as_deref())
        .execute(connection)
        .await?;
    Ok(())
}

/// Selects lines, as `e`, under the names that [`case_event`] reads.
macro_rules! select_case_events {
    ($rest:literal) => {
        concat!(
            "select e.case_id, e.seq, e.at, e.staff_id, t.name, e.kind, e.text, e.priority, \
             e.due_at, e.of_seq from case_event e left join staff t on t.id = e.staff_id ",
            $rest
        )
    };
}
pub(super) use select_case_events;

pub(super) fn case_event(row: &AnyRow) -> Result<CaseEvent, StoreError> {
    let fields = Fields::new("case_event", row);
    let name = fields.text_or_null("name")?.map(|name| Private::new(name.to_owned()));
    Ok(CaseEvent {
        seq: fields.integer("seq")?,
        at: fields.time("at")?,
        by: fields.parsed_or_null("staff_id")?.zip(name),
        kind: fields.word("kind", EventKind::parse)?,
        text: fields.text("text")?.to_owned(),
        priority: fields.word_or_null("priority", Priority::parse)?,
        due_at: fields.time_or_null("due_at")?,
        of: fields.integer_or_null("of_seq")?,
    })
}

/// Adds a line for each call and each other report that is now judged as a whole, came after the
/// case was opened, and gave no rule a reason. Says whether there was one.
///
/// Answers are judged one by one while the patient talks, so it is here, at the last of them, that
/// a report is known to have been a good one.
pub(super) async fn append_reports(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    evaluated: &Evaluated,
) -> Result<bool, StoreError> {
    let mut attempts: Vec<AttemptId> = evaluated.attempts.clone();
    let mut others: Vec<ObservationId> = Vec::new();
    for &observation in &evaluated.observations {
        const ATTEMPT: &str = "select o.attempt_id from observation o where o.id = $1";
        let row = sqlx::query(ATTEMPT)
            .bind(observation.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        let Some(row) = row else { continue };
        match Fields::new("observation", &row).parsed_or_null("attempt_id")? {
            Some(attempt) if !attempts.contains(&attempt) => attempts.push(attempt),
            Some(_) => {}
            None => others.push(observation),
        }
    }
    let mut added = false;
    for attempt in attempts {
        added |= append_report_of_call(connection, now, case, attempt).await?;
    }
    Ok(append_report(connection, now, case, &others).await? || added)
}

async fn append_report_of_call(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    attempt: AttemptId,
) -> Result<bool, StoreError> {
    const IS_GOOD: &str = "select a.id from attempt a join escalation_case k on k.id = $2 \
        where a.id = $1 and a.evaluated_at is not null and a.answered_at >= k.opened_at \
        and a.completion in ('complete', 'partial') \
        and not exists (select 1 from answer w where w.attempt_id = a.id \
            and w.observed_at is null) \
        and not exists (select 1 from observation o where o.attempt_id = a.id \
            and o.evaluated_at is null) \
        and not exists (select 1 from case_fact x where x.source in ('answer', 'attempt') \
            and x.source_id = a.id and x.priority <> 'p0') \
        and not exists (select 1 from case_event e where e.case_id = k.id \
            and e.source_id = a.id)";
    const ANSWERS: &str = "select w.question as code, w.answer as value from answer w \
        where w.attempt_id = $1 and w.answer <> 'unanswered' order by w.seq";
    let good = sqlx::query(IS_GOOD)
        .bind(attempt.to_string())
        .bind(case.to_string())
        .fetch_optional(&mut *connection)
        .await?;
    if good.is_none() {
        return Ok(false);
    }
    let rows = sqlx::query(ANSWERS).bind(attempt.to_string()).fetch_all(&mut *connection).await?;
    append_good(connection, now, case, attempt.to_string(), &rows).await
}

/// A report that did not come by our call. `observations` are those judged at once.
async fn append_report(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    observations: &[ObservationId],
) -> Result<bool, StoreError> {
    const VALUE: &str = "select o.code, o.value from observation o \
        join escalation_case k on k.id = $2 where o.id = $1 and o.effective_at >= k.opened_at \
        and o.supersedes is null and o.value <> 'unanswered'";
    const FACT: &str = "select x.position from case_fact x \
        where x.source = 'observation' and x.source_id = $1 and x.priority <> 'p0'";
    let mut rows = Vec::new();
    for observation in observations {
        let fact = sqlx::query(FACT)
            .bind(observation.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        if fact.is_some() {
            return Ok(false);
        }
        let row = sqlx::query(VALUE)
            .bind(observation.to_string())
            .bind(case.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        rows.extend(row);
    }
    match observations.first() {
        Some(first) => append_good(connection, now, case, first.to_string(), &rows).await,
        None => Ok(false),
    }
}

async fn append_good(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    source: String,
    rows: &[AnyRow],
) -> Result<bool, StoreError> {
    let mut values = Vec::with_capacity(rows.len());
    for row in rows {
        let fields = Fields::new("answer", row);
        values.push(format!("{}={}", fields.text("code")?, fields.text("value")?));
    }
    if values.is_empty() {
        return Ok(false);
    }
    let event = NewEvent {
        text: values.join(" "),
        source: Some(source),
        ..NewEvent::of(EventKind::Reported)
    };
    append_event(connection, now, case, &event).await?;
    Ok(true)
}
