//! From observations and failed attempts to cases, and the message that tells of them.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::id::{
    AttemptId, CaseId, HealthCenterId, MessageId, ObservationId, PatientId, SlotId,
};
use crate::campaign::{Attempt, Slot};
use crate::escalation::case::FactSource;
use crate::escalation::{Case, CaseState, EventKind, Fact, Priority};
use crate::observation::Observation;
use crate::registry::{HealthCenter, Patient};
use crate::store::handling::{NewEvent, append_event, append_reports, set_claim};
use crate::store::observe::observations_of;
use crate::store::registry::{center_of, health_centers, patient};
use crate::store::row::{self, Fields, millis, select_attempts, select_observations, select_slots};
use crate::store::{MessageKind, Store, StoreError, Topic};

/// What was judged, so that it is not judged again.
#[derive(Clone, Debug, Default)]
pub struct Evaluated {
    /// Observations.
    pub observations: Vec<ObservationId>,
    /// Attempts that are over.
    pub attempts: Vec<AttemptId>,
    /// Slots that are settled.
    pub slots: Vec<SlotId>,
}

/// What facts did to the patient's case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CaseChange {
    /// There was none open; a message waits in the outbox.
    Opened(CaseId),
    /// Facts were added to the open one, which is as grave as before.
    Added(CaseId),
    /// Facts were added that made it graver; a message waits in the outbox.
    Raised(CaseId),
    /// Later answers of the same call made a fact less grave, and so the case.
    Lowered(CaseId),
    /// All facts were known, or are recorded only (P0).
    Unchanged,
}

impl CaseChange {
    /// The case that the facts are part of.
    pub fn case(self) -> Option<CaseId> {
        match self {
            Self::Opened(case) | Self::Added(case) | Self::Raised(case) | Self::Lowered(case) => {
                Some(case)
            }
            Self::Unchanged => None,
        }
    }

    /// The line that it adds to the case. What was lowered has its own.
    fn event(self) -> Option<EventKind> {
        match self {
            Self::Opened(_) => Some(EventKind::Opened),
            Self::Raised(_) => Some(EventKind::Raised),
            Self::Added(_) => Some(EventKind::FactAdded),
            Self::Lowered(_) | Self::Unchanged => None,
        }
    }

    /// What must be told about it.
    fn message(self) -> Option<MessageKind> {
        match self {
            Self::Opened(_) => Some(MessageKind::CaseOpened),
            Self::Raised(_) => Some(MessageKind::CaseRaised),
            Self::Added(_) | Self::Lowered(_) | Self::Unchanged => None,
        }
    }
}

/// Which cases to list.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CaseFilter {
    /// Open and acknowledged ones.
    Unresolved,
    /// All.
    All,
    /// Those of a patient.
    Patient(PatientId),
    /// The unresolved ones of a health centre.
    HealthCenter(HealthCenterId),
}

/// A case with whom it is about and who cares.
#[derive(Clone, Debug)]
pub struct CaseView {
    /// The case.
    pub case: Case,
    /// About whom.
    pub patient: Patient,
    /// Who looks after the patient.
    pub health_center: HealthCenter,
    /// Who took it, and when.
    pub acknowledged: Option<(String, Timestamp)>,
    /// Who closed it, when, and why.
    pub resolved: Option<(String, Timestamp, String)>,
}

impl Store {
    /// Observations that no rule has seen, the oldest first.
    pub async fn observations_to_evaluate(
        &self,
        limit: u32,
    ) -> Result<Vec<Observation>, StoreError> {
        const TO_EVALUATE: &str = select_observations!(
            "where o.evaluated_at is null order by o.recorded_at, o.id limit $1"
        );
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(TO_EVALUATE).bind(i64::from(limit)).fetch_all(session.connection()).await?;
        rows.iter().map(row::observation).collect()
    }

    /// Attempts that are over and that no rule has seen (invalid numbers, calls that were
    /// interrupted after the answer …), the oldest first.
    pub async fn attempts_to_evaluate(
        &self,
        limit: u32,
    ) -> Result<Vec<(PatientId, Attempt)>, StoreError> {
        // Nothing is asked in a farewell, and nobody is missed by it.
        const TO_EVALUATE: &str = select_attempts!(
            "where a.state = 'done' and a.evaluated_at is null and not exists (select 1 from slot s \
             where s.id = a.slot_id and s.kind = 'farewell') order by a.ended_at, a.id limit $1"
        );
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(TO_EVALUATE).bind(i64::from(limit)).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| Ok((Fields::new("attempt", row).parsed("patient_id")?, row::attempt(row)?)))
            .collect()
    }

    /// Slots that ended unreached, partial or expired and that no rule has seen.
    pub async fn slots_to_evaluate(&self, limit: u32) -> Result<Vec<Slot>, StoreError> {
        const TO_EVALUATE: &str = select_slots!(
            "where s.evaluated_at is null and s.state in ('unreached', 'partial', 'expired') \
             and s.kind <> 'farewell' order by s.settled_at, s.id limit $1"
        );
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(TO_EVALUATE).bind(i64::from(limit)).fetch_all(session.connection()).await?;
        rows.iter().map(row::slot).collect()
    }

    /// A patient's observations since then, oldest first, without those that were corrected.
    pub async fn history(
        &self,
        patient: PatientId,
        since: Timestamp,
    ) -> Result<Vec<Observation>, StoreError> {
        let mut session = self.glance().await?;
        observations_of(session.connection(), patient, since, Timestamp::MAX).await
    }

    /// Adds facts to the patient's open case, or opens one, writes the message if it was opened or
    /// raised, and marks what was evaluated: all in one transaction.
    ///
    /// A fact that was ever added (same rule, same source) is not added again, also not after the
    /// case was resolved. Facts of priority P0 open no case.
    pub async fn add_facts(
        &self,
        now: Timestamp,
        patient: PatientId,
        facts: &[Fact],
        evaluated: &Evaluated,
    ) -> Result<CaseChange, StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        self.lock_patient(connection, patient).await?;
        mark(connection, now, evaluated).await?;
        let open = open_case(connection, patient).await?;
        let lowered = match open {
            Some((case, before)) => amend_facts(connection, case, before, facts).await?,
            None => None,
        };
        let given = facts;
        let facts = unknown_facts(connection, facts).await?;
        let gravest = facts.iter().map(|fact| fact.priority).max().unwrap_or(Priority::P0);
        let open = lowered.or(open);
        let change = match open {
            Some((case, _)) if facts.is_empty() && lowered.is_some() => CaseChange::Lowered(case),
            _ if facts.is_empty() => CaseChange::Unchanged,
            None if gravest == Priority::P0 => CaseChange::Unchanged,
            None => {
                let case = self.mint(now);
                insert_case(connection, now, case, patient, gravest).await?;
                CaseChange::Opened(case)
            }
            Some((case, before)) if before < gravest => {
                set_priority(connection, case, gravest).await?;
                CaseChange::Raised(case)
            }
            Some((case, _)) => CaseChange::Added(case),
        };
        if let Some((case, priority)) = lowered {
            let event = happened(EventKind::Lowered, priority, given.iter());
            append_event(connection, now, case, &event).await?;
        }
        if let Some(case) = change.case() {
            insert_facts(connection, now, case, &facts).await?;
            if let Some(kind) = change.event() {
                let priority = gravest.max(open.map_or(Priority::P0, |(_, priority)| priority));
                let event = happened(kind, priority, facts.iter().copied());
                append_event(connection, now, case, &event).await?;
            }
            if let Some(kind) = change.message() {
                let id = self.mint::<MessageId>(now);
                insert_message(connection, now, id, case, kind, gravest).await?;
            }
        }
        let case = change.case().or(open.map(|(case, _)| case));
        let reported = match case {
            Some(case) => append_reports(connection, now, case, evaluated).await?,
            None => false,
        };
        let changes: &[Topic] =
            if change.case().is_some() || reported { &[Topic::Case] } else { &[] };
        session.commit(changes).await?;
        Ok(change)
    }

    /// Cases, the gravest first, then the oldest.
    pub async fn cases(&self, filter: CaseFilter) -> Result<Vec<CaseView>, StoreError> {
        let mut session = self.read().await?;
        let mut cases = case_views(session.connection(), filter).await?;
        cases.sort_by_key(|view| (std::cmp::Reverse(view.case.priority), view.case.opened_at));
        Ok(cases)
    }

    /// One case.
    pub async fn case(&self, id: CaseId) -> Result<CaseView, StoreError> {
        let mut session = self.read().await?;
        case_view(session.connection(), id).await
    }

    /// A member of the staff takes an open case. [`StoreError::Stale`] if somebody has it.
    pub async fn acknowledge_case(
        &self,
        now: Timestamp,
        case: CaseId,
        by: &str,
    ) -> Result<(), StoreError> {
        const TAKE: &str = "update escalation_case set state = 'acknowledged', \
            acknowledged_at = $2, acknowledged_by = $3, handed_over_at = null \
            where id = $1 and state = 'open'";
        let mut session = self.write().await?;
        let connection = session.connection();
        self.lock_case(connection, case, None).await?;
        let done = sqlx::query(TAKE)
            .bind(case.to_string())
            .bind(millis(now))
            .bind(by)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "case" });
        }
        let event = NewEvent { text: by.to_owned(), ..NewEvent::of(EventKind::Claimed) };
        append_event(connection, now, case, &event).await?;
        session.commit(&[Topic::Case]).await
    }

    /// A member of the staff closes a case. [`StoreError::Stale`] if it is closed.
    pub async fn resolve_case(
        &self,
        now: Timestamp,
        case: CaseId,
        by: &str,
        reason: &str,
    ) -> Result<(), StoreError> {
        const RESOLVE: &str = "update escalation_case set state = 'resolved', resolved_at = $2, \
            resolved_by = $3, resolution = $4, handed_over_at = null \
            where id = $1 and state <> 'resolved'";
        let mut session = self.write().await?;
        let connection = session.connection();
        self.lock_case(connection, case, None).await?;
        let done = sqlx::query(RESOLVE)
            .bind(case.to_string())
            .bind(millis(now))
            .bind(by)
            .bind(reason)
            .execute(&mut *connection)
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "case" });
        }
        set_claim(connection, case, None).await?;
        let event =
            NewEvent { text: format!("{by}: {reason}"), ..NewEvent::of(EventKind::Resolved) };
        append_event(connection, now, case, &event).await?;
        session.commit(&[Topic::Case]).await
    }
}

/// The line that tells of facts.
fn happened<'f>(
    kind: EventKind,
    priority: Priority,
    facts: impl Iterator<Item = &'f Fact>,
) -> NewEvent {
    let mut texts: Vec<&str> = Vec::new();
    for fact in facts {
        if !texts.contains(&fact.text.as_str()) {
            texts.push(&fact.text);
        }
    }
    NewEvent { text: texts.join("、"), priority: Some(priority), ..NewEvent::of(kind) }
}

/// Marks what was judged.
async fn mark(
    connection: &mut AnyConnection,
    now: Timestamp,
    evaluated: &Evaluated,
) -> Result<(), StoreError> {
    const OBSERVATION: &str = "update observation set evaluated_at = $2 where id = $1";
    const ATTEMPT: &str = "update attempt set evaluated_at = $2 where id = $1";
    const SLOT: &str = "update slot set evaluated_at = $2 where id = $1";
    let observations = evaluated.observations.iter().map(|id| (OBSERVATION, id.to_string()));
    let attempts = evaluated.attempts.iter().map(|id| (ATTEMPT, id.to_string()));
    let slots = evaluated.slots.iter().map(|id| (SLOT, id.to_string()));
    for (statement, id) in observations.chain(attempts).chain(slots) {
        sqlx::query(statement).bind(id).bind(millis(now)).execute(&mut *connection).await?;
    }
    Ok(())
}

/// A source as it is stored: its kind, its id and its entry.
fn source_columns(source: FactSource) -> (&'static str, String, i64) {
    match source {
        FactSource::Answer(attempt, seq) => ("answer", attempt.to_string(), i64::from(seq)),
        FactSource::Attempt(attempt) => ("attempt", attempt.to_string(), 0),
        FactSource::Slot(slot) => ("slot", slot.to_string(), 0),
        FactSource::Observation(observation) => ("observation", observation.to_string(), 0),
        FactSource::Welfare(check) => ("welfare", check.to_string(), 0),
        FactSource::Silence(episode, since) => ("silence", episode.to_string(), since.into()),
    }
}

/// Takes over what later answers of the same call made of known facts: a rule's own lowering, with
/// its reason in the text. Returns the case with its new priority if that sank.
async fn amend_facts(
    connection: &mut AnyConnection,
    case: CaseId,
    before: Priority,
    facts: &[Fact],
) -> Result<Option<(CaseId, Priority)>, StoreError> {
    const AMEND: &str = "update case_fact set priority = $6, text = $7 \
        where case_id = $1 and rule = $2 and source = $3 and source_id = $4 and source_seq = $5 \
        and (priority <> $6 or text <> $7)";
    const PRIORITIES: &str = "select distinct priority from case_fact where case_id = $1";
    let mut amended = 0;
    for fact in facts {
        let (source, source_id, source_seq) = source_columns(fact.source);
        let done = sqlx::query(AMEND)
            .bind(case.to_string())
            .bind(fact.rule.as_str())
            .bind(source)
            .bind(source_id)
            .bind(source_seq)
            .bind(fact.priority.as_str())
            .bind(fact.text.as_str())
            .execute(&mut *connection)
            .await?;
        amended += done.rows_affected();
    }
    if amended == 0 {
        return Ok(None);
    }
    let rows = sqlx::query(PRIORITIES).bind(case.to_string()).fetch_all(&mut *connection).await?;
    let mut gravest = Priority::P3;
    for row in &rows {
        gravest = gravest.max(Fields::new("case_fact", row).word("priority", Priority::parse)?);
    }
    if gravest == before {
        return Ok(None);
    }
    set_priority(connection, case, gravest).await?;
    Ok((gravest < before).then_some((case, gravest)))
}

/// The facts that were never added to any case, each once.
async fn unknown_facts<'f>(
    connection: &mut AnyConnection,
    facts: &'f [Fact],
) -> Result<Vec<&'f Fact>, StoreError> {
    const KNOWN: &str = "select k.position from case_fact k \
        where k.rule = $1 and k.source = $2 and k.source_id = $3 and k.source_seq = $4";
    let mut unknown: Vec<&Fact> = Vec::new();
    for fact in facts {
        let (source, source_id, source_seq) = source_columns(fact.source);
        let known = sqlx::query(KNOWN)
            .bind(fact.rule.as_str())
            .bind(source)
            .bind(source_id)
            .bind(source_seq)
            .fetch_optional(&mut *connection)
            .await?;
        let is_repeated =
            unknown.iter().any(|one| one.rule == fact.rule && one.source == fact.source);
        if known.is_none() && !is_repeated {
            unknown.push(fact);
        }
    }
    Ok(unknown)
}

async fn open_case(
    connection: &mut AnyConnection,
    patient: PatientId,
) -> Result<Option<(CaseId, Priority)>, StoreError> {
    const OPEN: &str = "select k.id, k.priority from escalation_case k \
        where k.patient_id = $1 and k.state in ('open', 'acknowledged')";
    let row = sqlx::query(OPEN).bind(patient.to_string()).fetch_optional(connection).await?;
    let Some(row) = row else { return Ok(None) };
    let fields = Fields::new("escalation_case", &row);
    Ok(Some((fields.parsed("id")?, fields.word("priority", Priority::parse)?)))
}

async fn insert_case(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    patient: PatientId,
    priority: Priority,
) -> Result<(), StoreError> {
    const INSERT: &str = "insert into escalation_case \
        (id, patient_id, priority, state, opened_at) values ($1, $2, $3, 'open', $4)";
    sqlx::query(INSERT)
        .bind(case.to_string())
        .bind(patient.to_string())
        .bind(priority.as_str())
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}

async fn set_priority(
    connection: &mut AnyConnection,
    case: CaseId,
    priority: Priority,
) -> Result<(), StoreError> {
    const SET: &str = "update escalation_case set priority = $2 where id = $1";
    sqlx::query(SET).bind(case.to_string()).bind(priority.as_str()).execute(connection).await?;
    Ok(())
}

async fn insert_facts(
    connection: &mut AnyConnection,
    now: Timestamp,
    case: CaseId,
    facts: &[&Fact],
) -> Result<(), StoreError> {
    const INSERT: &str = "insert into case_fact (case_id, position, rule, rule_set, priority, \
        text, at, added_at, source, source_id, source_seq) \
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
    let first = count_facts(connection, case).await?;
    for (position, fact) in (first..).zip(facts) {
        let (source, source_id, source_seq) = source_columns(fact.source);
        sqlx::query(INSERT)
            .bind(case.to_string())
            .bind(position)
            .bind(fact.rule.as_str())
            .bind(fact.rule_set.as_str())
            .bind(fact.priority.as_str())
            .bind(fact.text.as_str())
            .bind(millis(fact.at))
            .bind(millis(now))
            .bind(source)
            .bind(source_id)
            .bind(source_seq)
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}

async fn count_facts(connection: &mut AnyConnection, case: CaseId) -> Result<i64, StoreError> {
    const COUNT: &str = "select count(*) as facts from case_fact k where k.case_id = $1";
    let row = sqlx::query(COUNT).bind(case.to_string()).fetch_one(connection).await?;
    Fields::new("case_fact", &row).integer("facts")
}

async fn insert_message(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: MessageId,
    case: CaseId,
    kind: MessageKind,
    priority: Priority,
) -> Result<(), StoreError> {
    const INSERT: &str = "insert into message \
        (id, case_id, kind, priority, facts, created_at, due_at, tries) \
        values ($1, $2, $3, $4, $5, $6, $6, 0)";
    let facts = count_facts(connection, case).await?;
    sqlx::query(INSERT)
        .bind(id.to_string())
        .bind(case.to_string())
        .bind(kind.as_str())
        .bind(priority.as_str())
        .bind(facts)
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}

/// Selects cases, as `k`, under the names that [`view`] reads.
macro_rules! select_cases {
    ($rest:literal) => {
        concat!(
            "select k.id, k.patient_id, k.priority, k.state, k.opened_at, k.acknowledged_at, \
             k.acknowledged_by, k.resolved_at, k.resolved_by, k.resolution, k.handed_over_at, \
             k.outcome from escalation_case k ",
            $rest
        )
    };
}
pub(super) use select_cases;

/// Selects facts, as `x`, of the cases that the rest names.
macro_rules! select_facts {
    ($($rest:literal),+) => {
        concat!(
            "select x.case_id, x.rule, x.rule_set, x.priority, x.text, x.at, x.source, \
             x.source_id, x.source_seq from case_fact x \
             join escalation_case k on k.id = x.case_id ",
            $($rest),+,
            " order by x.case_id, x.position"
        )
    };
}
pub(super) use select_facts;

pub(super) async fn case_views(
    connection: &mut AnyConnection,
    filter: CaseFilter,
) -> Result<Vec<CaseView>, StoreError> {
    let (cases, facts, id) = match filter {
        CaseFilter::All => (select_cases!(""), select_facts!(""), None),
        CaseFilter::Unresolved => (
            select_cases!("where k.state in ('open', 'acknowledged')"),
            select_facts!("where k.state in ('open', 'acknowledged')"),
            None,
        ),
        CaseFilter::Patient(patient) => (
            select_cases!("where k.patient_id = $1"),
            select_facts!("where k.patient_id = $1"),
            Some(patient.to_string()),
        ),
        CaseFilter::HealthCenter(center) => (
            select_cases!(
                "join patient p on p.id = k.patient_id \
                 where p.health_center_id = $1 and k.state in ('open', 'acknowledged')"
            ),
            select_facts!(
                "join patient p on p.id = k.patient_id \
                 where p.health_center_id = $1 and k.state in ('open', 'acknowledged')"
            ),
            Some(center.to_string()),
        ),
    };
    let bound = |statement| match &id {
        Some(id) => sqlx::query(statement).bind(id.as_str()),
        None => sqlx::query(statement),
    };
    let rows = bound(cases).fetch_all(&mut *connection).await?;
    let fact_rows = bound(facts).fetch_all(&mut *connection).await?;
    let mut facts = facts_by_case(&fact_rows)?;
    let mut views = Vec::with_capacity(rows.len());
    for row in &rows {
        let case = Fields::new("escalation_case", row).parsed("id")?;
        views.push(view(connection, row, facts.remove(&case).unwrap_or_default()).await?);
    }
    Ok(views)
}

pub(super) fn facts_by_case(rows: &[AnyRow]) -> Result<HashMap<CaseId, Vec<Fact>>, StoreError> {
    let mut facts: HashMap<CaseId, Vec<Fact>> = HashMap::new();
    for row in rows {
        let case = Fields::new("case_fact", row).parsed("case_id")?;
        facts.entry(case).or_default().push(fact(row)?);
    }
    Ok(facts)
}

pub(super) async fn case_view(
    connection: &mut AnyConnection,
    id: CaseId,
) -> Result<CaseView, StoreError> {
    const CASE: &str = select_cases!("where k.id = $1");
    const FACTS: &str = select_facts!("where k.id = $1");
    let row = sqlx::query(CASE).bind(id.to_string()).fetch_optional(&mut *connection).await?;
    let row = row.ok_or(StoreError::NotFound { what: "case" })?;
    let facts = sqlx::query(FACTS).bind(id.to_string()).fetch_all(&mut *connection).await?;
    let facts = facts.iter().map(fact).collect::<Result<_, _>>()?;
    view(connection, &row, facts).await
}

async fn view(
    connection: &mut AnyConnection,
    row: &AnyRow,
    facts: Vec<Fact>,
) -> Result<CaseView, StoreError> {
    let patient =
        patient(connection, Fields::new("escalation_case", row).parsed("patient_id")?).await?;
    let health_center = center_of(&health_centers(connection).await?, &patient)?;
    view_of(row, facts, patient, health_center)
}

pub(super) fn view_of(
    row: &AnyRow,
    facts: Vec<Fact>,
    patient: Patient,
    health_center: HealthCenter,
) -> Result<CaseView, StoreError> {
    let fields = Fields::new("escalation_case", row);
    let case = Case {
        id: fields.parsed("id")?,
        patient: fields.parsed("patient_id")?,
        priority: fields.word("priority", Priority::parse)?,
        state: fields.word("state", CaseState::parse)?,
        opened_at: fields.time("opened_at")?,
        facts,
    };
    let acknowledged = fields
        .text_or_null("acknowledged_by")?
        .map(str::to_owned)
        .zip(fields.time_or_null("acknowledged_at")?);
    let resolved = match fields.text_or_null("resolved_by")? {
        None => None,
        Some(by) => Some((
            by.to_owned(),
            fields.time("resolved_at")?,
            fields.text("resolution")?.to_owned(),
        )),
    };
    Ok(CaseView { case, patient, health_center, acknowledged, resolved })
}

fn fact(row: &AnyRow) -> Result<Fact, StoreError> {
    let fields = Fields::new("case_fact", row);
    let source = match fields.text("source")? {
        "answer" => FactSource::Answer(fields.parsed("source_id")?, fields.integer("source_seq")?),
        "attempt" => FactSource::Attempt(fields.parsed("source_id")?),
        "slot" => FactSource::Slot(fields.parsed("source_id")?),
        "observation" => FactSource::Observation(fields.parsed("source_id")?),
        "welfare" => FactSource::Welfare(fields.parsed("source_id")?),
        "silence" => {
            FactSource::Silence(fields.parsed("source_id")?, fields.integer("source_seq")?)
        }
        _ => return Err(fields.corrupt("source")),
    };
    Ok(Fact {
        rule: fields.text("rule")?.to_owned(),
        rule_set: fields.text("rule_set")?.to_owned(),
        priority: fields.word("priority", Priority::parse)?,
        text: fields.text("text")?.to_owned(),
        at: fields.time("at")?,
        source,
    })
}
