//! 安否確認: the list of those who were silent all day, what staff decide about them, and silences
//! that last too long.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::civil::{Date, Time};
use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{CampaignId, EpisodeId, HealthCenterId, PatientId, WelfareCheckId};
use crate::campaign::{Attempt, Book, Slot, Terms};
use crate::escalation::PatientFacts;
use crate::escalation::welfare::{Act, Choice, List, Refusal, Step, Why, why};
use crate::registry::{Contact, Patient, Signed, Staff};
use crate::store::care::contacts_of;
use crate::store::registry::{find_active_episode, patient};
use crate::store::row::{self, Fields, millis, select_attempts};
use crate::store::{Store, StoreError, Topic, Within};

/// No terms call a shorter silence an alarm, so it need not be looked at.
const SHORTEST_ABSENCE: SignedDuration = SignedDuration::from_hours(12);

/// Somebody under observation of whom nothing was heard today, though a slot stands open or ended
/// without a report.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Silent {
    /// Who.
    pub patient: PatientId,
    /// All slots of the day, by number.
    pub slots: Vec<Slot>,
    /// The last answer by any channel.
    pub heard_at: Option<Timestamp>,
}

/// A list of a day, for the patients of a centre who are in one campaign, or in none.
#[derive(Clone, Debug)]
pub struct NewWelfareList {
    /// Which.
    pub list: List,
    /// The centre.
    pub health_center: HealthCenterId,
    /// The campaign.
    pub campaign: Option<CampaignId>,
    /// The day.
    pub date: Date,
    /// When what is not settled goes to the supervisor.
    pub escalate_at: Timestamp,
    /// Who is on it.
    pub people: Vec<NewWelfareCheck>,
}

/// Somebody who comes on a list.
#[derive(Clone, Copy, Debug)]
pub struct NewWelfareCheck {
    /// Who.
    pub patient: PatientId,
    /// Why.
    pub why: Why,
    /// At high risk, or living alone.
    pub is_frail: bool,
    /// The last answer by any channel.
    pub heard_at: Option<Timestamp>,
}

/// A patient of whom nothing was heard for half a day or longer.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Absence {
    /// Who.
    pub patient: PatientId,
    /// The episode under observation.
    pub episode: EpisodeId,
    /// Since when: the last answer, the end of a pause, or the beginning.
    pub since: Timestamp,
}

/// Somebody on the list, with what staff need to decide.
#[derive(Clone, Debug)]
pub struct WelfareCheck {
    /// The id; `None` before the list is made.
    pub id: Option<WelfareCheckId>,
    /// Who.
    pub patient: Patient,
    /// The day on which nothing was heard.
    pub date: Date,
    /// On which list of that day.
    pub list: List,
    /// Why they are on the list.
    pub why: Why,
    /// At high risk, or living alone.
    pub is_frail: bool,
    /// The last answer before the list.
    pub heard_at: Option<Timestamp>,
    /// The first answer after it: その後報告あり.
    pub reported_at: Option<Timestamp>,
    /// When it went to the supervisor.
    pub escalated_at: Option<Timestamp>,
    /// What was decided.
    pub decision: Option<WelfareDecision>,
    /// What came of it.
    pub result: Option<(Private<String>, Signed)>,
    /// Whom to ask.
    pub contacts: Vec<Contact>,
    /// The calls of that day, by time.
    pub attempts: Vec<Attempt>,
}

/// What was decided about somebody.
#[derive(Clone, Debug)]
pub struct WelfareDecision {
    /// What is done.
    pub choice: Choice,
    /// Why.
    pub reason: Private<String>,
    /// Who decided it, and when.
    pub by: Signed,
}

impl WelfareCheck {
    /// How far it has come.
    pub fn step(&self) -> Step {
        match (&self.decision, &self.result) {
            (_, Some(_)) => Step::Settled,
            (Some(_), None) => Step::Decided,
            (None, None) => Step::Listed,
        }
    }
}

fn midnight(date: Date) -> Timestamp {
    timestamp(date.to_datetime(Time::midnight()))
}

/// From when on silence counts: by day from midnight on. An evening slot is judged for itself, so that
/// whatever was heard on the day puts nobody aside here.
fn silent_since(date: Date, list: List) -> Timestamp {
    match list {
        List::Day => midnight(date),
        List::Night => date.tomorrow().map_or(Timestamp::MAX, midnight),
    }
}

/// Restricts to patients under observation on the day `$1` of whom nothing was heard since `$2`,
/// and who have a planned slot that has begun by `$5` and is neither reported nor skipped; within a scope
/// if `$3` is one.
macro_rules! of_the_silent {
    ($patient:literal) => {
        concat!(
            $patient,
            " in (select p.id from patient p join episode e on e.patient_id = p.id \
             where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1 \
             and ($3 = '' or p.health_center_id = $3) and ($4 = '' or p.clinic_id = $4) \
             and exists (select 1 from slot q where q.patient_id = p.id and q.date = $1 \
             and q.kind = 'planned' and q.due_from <= $5 \
             and q.state not in ('reported', 'skipped')) \
             and not exists (select 1 from observation n where n.patient_id = p.id \
             and n.effective_at >= $2 and n.value <> 'unanswered'))"
        )
    };
}

async fn silent_on(
    connection: &mut AnyConnection,
    (now, list): (Timestamp, List),
    (center, clinic): (&str, &str),
) -> Result<Vec<Silent>, StoreError> {
    const SLOTS: &str = concat!(
        "select ",
        row::slot_columns!(),
        " from slot s where s.date = $1 and ",
        of_the_silent!("s.patient_id"),
        " order by s.patient_id, s.number"
    );
    const HEARD: &str = concat!(
        "select o.patient_id, max(o.effective_at) as heard_at from observation o \
         where o.value <> 'unanswered' and ",
        of_the_silent!("o.patient_id"),
        " group by o.patient_id"
    );
    let date = civil(now).date();
    let bound = |statement| {
        sqlx::query(statement)
            .bind(date.to_string())
            .bind(millis(silent_since(date, list)))
            .bind(center.to_owned())
            .bind(clinic.to_owned())
            .bind(millis(now))
    };
    let mut heard: HashMap<PatientId, Timestamp> = HashMap::new();
    for row in &bound(HEARD).fetch_all(&mut *connection).await? {
        let fields = Fields::new("observation", row);
        heard.insert(fields.parsed("patient_id")?, fields.time("heard_at")?);
    }
    let mut silent: Vec<Silent> = Vec::new();
    for row in &bound(SLOTS).fetch_all(connection).await? {
        let slot = row::slot(row)?;
        match silent.last_mut().filter(|last| last.patient == slot.patient) {
            Some(last) => last.slots.push(slot),
            None => silent.push(Silent {
                patient: slot.patient,
                heard_at: heard.get(&slot.patient).copied(),
                slots: vec![slot],
            }),
        }
    }
    Ok(silent)
}

impl Store {
    /// Everybody who may belong on a list of today: who has a planned slot that has begun and was not
    /// met, and by day of whom nothing was heard.
    pub async fn silent_on(&self, now: Timestamp, list: List) -> Result<Vec<Silent>, StoreError> {
        let mut session = self.read().await?;
        silent_on(session.connection(), (now, list), ("", "")).await
    }

    /// Makes a list of a day, once: asked for again, it stays as it was made, and the answer is
    /// `None`.
    pub async fn make_welfare_list(
        &self,
        now: Timestamp,
        list: &NewWelfareList,
    ) -> Result<Option<usize>, StoreError> {
        const MADE: &str = "insert into welfare_list \
            (health_center_id, campaign_id, date, made_at, list) values ($1, $2, $3, $4, $5) \
            on conflict (health_center_id, campaign_id, date, list) do nothing";
        const INSERT: &str = "insert into welfare_check (id, patient_id, date, why, is_frail, \
            heard_at, listed_at, escalate_at, list) values ($1, $2, $3, $4, $5, $6, $7, $8, $9) \
            on conflict (patient_id, date, list) do nothing";
        let mut session = self.write().await?;
        let connection = session.connection();
        let made = sqlx::query(MADE)
            .bind(list.health_center.to_string())
            .bind(list.campaign.map(|id| id.to_string()).unwrap_or_default())
            .bind(list.date.to_string())
            .bind(millis(now))
            .bind(list.list.as_str())
            .execute(&mut *connection)
            .await?;
        if made.rows_affected() == 0 {
            return Ok(None);
        }
        for one in &list.people {
            sqlx::query(INSERT)
                .bind(self.mint::<WelfareCheckId>(now).to_string())
                .bind(one.patient.to_string())
                .bind(list.date.to_string())
                .bind(one.why.as_str())
                .bind(i64::from(one.is_frail))
                .bind(one.heard_at.map(millis))
                .bind(millis(now))
                .bind(millis(list.escalate_at))
                .bind(list.list.as_str())
                .execute(&mut *connection)
                .await?;
        }
        session.commit(&[Topic::Case]).await?;
        Ok(Some(list.people.len()))
    }

    /// What is not settled though its hour has come, and has not gone to the supervisor yet.
    pub async fn welfare_to_escalate(
        &self,
        now: Timestamp,
    ) -> Result<Vec<(WelfareCheckId, PatientId, Step)>, StoreError> {
        const OVERDUE: &str = "select w.id, w.patient_id, w.choice from welfare_check w \
            where w.settled_at is null and w.escalated_at is null and w.escalate_at <= $1 \
            order by w.escalate_at, w.id";
        let mut session = self.glance().await?;
        let rows = sqlx::query(OVERDUE).bind(millis(now)).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("welfare_check", row);
                let choice = fields.text_or_null("choice")?;
                let step = if choice.is_some() { Step::Decided } else { Step::Listed };
                Ok((fields.parsed("id")?, fields.parsed("patient_id")?, step))
            })
            .collect()
    }

    /// Notes that the supervisor was told.
    pub async fn welfare_escalated(
        &self,
        now: Timestamp,
        check: WelfareCheckId,
    ) -> Result<(), StoreError> {
        const TOLD: &str =
            "update welfare_check set escalated_at = $2 where id = $1 and escalated_at is null";
        let mut session = self.write().await?;
        sqlx::query(TOLD)
            .bind(check.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[Topic::Case]).await
    }

    /// When the next unsettled check goes to the supervisor.
    pub async fn next_welfare_escalation(&self) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(w.escalate_at) as next from welfare_check w \
            where w.settled_at is null and w.escalated_at is null";
        let mut session = self.glance().await?;
        let row = sqlx::query(NEXT).fetch_one(session.connection()).await?;
        Fields::new("welfare_check", &row).time_or_null("next")
    }

    /// Everybody under observation, and not paused, of whom nothing was heard for half a day or
    /// longer, and whose silence nobody was told of yet.
    pub async fn absences(&self, now: Timestamp) -> Result<Vec<Absence>, StoreError> {
        const ABSENT: &str = "select e.id, e.patient_id, e.first_day, e.created_at, \
            (select max(o.effective_at) from observation o where o.patient_id = e.patient_id \
            and o.value <> 'unanswered') as heard_at, \
            (select max(z.ended_at) from patient_pause z where z.patient_id = e.patient_id) \
            as resumed_at, \
            (select max(z.last_day) from patient_pause z where z.patient_id = e.patient_id \
            and z.ended_at is null and z.last_day < $1) as paused_to, \
            (select max(x.source_seq) from case_fact x where x.rule = 'absence' \
            and x.source = 'silence' and x.source_id = e.id) as told \
            from episode e where e.state = 'active' and e.first_day <= $1 and e.last_day >= $1 \
            and not exists (select 1 from observation o where o.patient_id = e.patient_id \
            and o.effective_at > $2 and o.value <> 'unanswered') \
            and not exists (select 1 from patient_pause z where z.patient_id = e.patient_id \
            and z.ended_at is null and z.first_day <= $1 and z.last_day >= $1) order by e.id";
        let mut session = self.read().await?;
        let rows = sqlx::query(ABSENT)
            .bind(civil(now).date().to_string())
            .bind(millis(now - SHORTEST_ABSENCE))
            .fetch_all(session.connection())
            .await?;
        let mut absences = Vec::new();
        for row in &rows {
            let fields = Fields::new("episode", row);
            let paused_to = fields.parsed_or_null::<Date>("paused_to")?;
            let after_pause = paused_to.and_then(|day| day.tomorrow().ok()).map(midnight);
            let since = [
                Some(midnight(fields.parsed("first_day")?)),
                Some(fields.time("created_at")?),
                fields.time_or_null("heard_at")?,
                fields.time_or_null("resumed_at")?,
                after_pause,
            ];
            let Some(since) = since.into_iter().flatten().max() else { continue };
            let told: Option<i64> = fields.integer_or_null("told")?;
            let is_long = since + SHORTEST_ABSENCE <= now;
            if is_long && told.is_none_or(|told| told < since.as_second()) {
                let (patient, episode) = (fields.parsed("patient_id")?, fields.parsed("id")?);
                absences.push(Absence { patient, episode, since });
            }
        }
        Ok(absences)
    }
}

/// Selects checks, as `w`, within a scope, under the names that [`check`] reads.
macro_rules! select_checks {
    ($rest:literal) => {
        concat!(
            "select w.id, w.patient_id, w.date, w.list, w.why, w.is_frail, w.heard_at, w.listed_at, \
             w.escalated_at, w.choice, w.reason, w.decided_at, w.decided_by, w.result, \
             w.settled_at, w.settled_by, d.name as decided_name, t.name as settled_name, \
             (select min(o.effective_at) from observation o where o.patient_id = w.patient_id \
             and o.effective_at > w.listed_at and o.value <> 'unanswered') as reported_at \
             from welfare_check w join patient p on p.id = w.patient_id \
             left join staff d on d.id = w.decided_by left join staff t on t.id = w.settled_by \
             where p.health_center_id = $1 and ($2 = '' or p.clinic_id = $2) ",
            $rest
        )
    };
}

impl Within<'_> {
    /// The checks of a day, and those of earlier days that are not settled.
    pub async fn welfare_checks(&self, date: Date) -> Result<Vec<WelfareCheck>, StoreError> {
        const OF_DAY: &str = select_checks!(
            "and w.date <= $3 and (w.date = $3 or w.settled_at is null) \
             order by w.date, w.list, w.id"
        );
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let rows = sqlx::query(OF_DAY)
            .bind(self.center_text())
            .bind(self.clinic_text())
            .bind(date.to_string())
            .fetch_all(&mut *connection)
            .await?;
        let mut checks = Vec::with_capacity(rows.len());
        for row in &rows {
            checks.push(check(connection, row).await?);
        }
        Ok(checks)
    }

    /// Who would be on the lists if they were made now, but for those who are on them. The terms of
    /// each tell which slots are those of the evening; `standing` are those of centres without
    /// campaigns.
    pub async fn welfare_preview(
        &self,
        now: Timestamp,
        book: &Book,
        standing: &Arc<Terms>,
    ) -> Result<Vec<WelfareCheck>, StoreError> {
        const LISTED: &str = "select w.id from welfare_check w \
            where w.patient_id = $1 and w.date = $2 and w.list = $3";
        let date = civil(now).date();
        let mut session = self.store.read().await?;
        let connection = session.connection();
        let scope = (&*self.center_text(), &*self.clinic_text());
        let mut found = Vec::new();
        for list in List::ALL {
            let silent = silent_on(connection, (now, list), scope).await?;
            found.extend(silent.into_iter().map(|one| (list, one)));
        }
        let mut checks = Vec::new();
        for (list, one) in found {
            let episode = find_active_episode(connection, one.patient).await?;
            let arrangement = episode.map(|episode| episode.arrangement).unwrap_or_default();
            let cadence =
                book.in_force(self.center(), &arrangement, standing).terms.cadence.clone();
            let Some(why) = why(list, &one.slots, one.heard_at, now, &cadence) else { continue };
            let listed = sqlx::query(LISTED)
                .bind(one.patient.to_string())
                .bind(date.to_string())
                .bind(list.as_str())
                .fetch_optional(&mut *connection)
                .await?;
            if listed.is_some() {
                continue;
            }
            let patient = patient(connection, one.patient).await?;
            checks.push(WelfareCheck {
                id: None,
                date,
                list,
                why,
                is_frail: PatientFacts::of(&patient, date).is_frail(),
                heard_at: one.heard_at,
                reported_at: None,
                escalated_at: None,
                decision: None,
                result: None,
                contacts: contacts_of(connection, one.patient).await?,
                attempts: calls_of(connection, one.patient, date).await?,
                patient,
            });
        }
        Ok(checks)
    }

    /// When the first list of that kind of a day was made, if it was.
    pub async fn welfare_listed_at(
        &self,
        date: Date,
        list: List,
    ) -> Result<Option<Timestamp>, StoreError> {
        const MADE: &str = "select min(l.made_at) as made_at from welfare_list l \
            where l.health_center_id = $1 and l.date = $2 and l.list = $3";
        let mut session = self.store.glance().await?;
        let row = sqlx::query(MADE)
            .bind(self.center_text())
            .bind(date.to_string())
            .bind(list.as_str())
            .fetch_one(session.connection())
            .await?;
        Fields::new("welfare_list", &row).time_or_null("made_at")
    }

    /// Decides about somebody on the list, or says what came of it, and writes it into the audit.
    /// What is refused changes nothing.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for somebody of another centre.
    pub async fn act_on_welfare(
        &self,
        now: Timestamp,
        by: &Staff,
        id: WelfareCheckId,
        act: &Act,
    ) -> Result<Result<Step, Refusal>, StoreError> {
        const CHECK: &str = select_checks!("and w.id = $3");
        const DECIDE: &str = "update welfare_check set choice = $2, reason = $3, \
            decided_at = $4, decided_by = $5 where id = $1";
        const SETTLE: &str = "update welfare_check set result = $2, settled_at = $3, \
            settled_by = $4 where id = $1";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        let find = || {
            sqlx::query(CHECK)
                .bind(self.center_text())
                .bind(self.clinic_text())
                .bind(id.to_string())
        };
        let missing = StoreError::NotFound { what: "welfare check" };
        let row = find().fetch_optional(&mut *connection).await?.ok_or(missing)?;
        let patient: PatientId = Fields::new("welfare_check", &row).parsed("patient_id")?;
        self.hold(connection, patient).await?;
        // Somebody else may have held it until now.
        let row = find().fetch_one(&mut *connection).await?;
        let step = match check(connection, &row).await?.step().act(act) {
            Ok(step) => step,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let (action, detail) = match act {
            Act::Decide(choice, reason) => {
                sqlx::query(DECIDE)
                    .bind(id.to_string())
                    .bind(choice.as_str())
                    .bind(reason.trim())
                    .bind(millis(now))
                    .bind(by.id.to_string())
                    .execute(&mut *connection)
                    .await?;
                ("welfare.decided", choice.as_str())
            }
            Act::Settle(result) => {
                sqlx::query(SETTLE)
                    .bind(id.to_string())
                    .bind(result.trim())
                    .bind(millis(now))
                    .bind(by.id.to_string())
                    .execute(&mut *connection)
                    .await?;
                ("welfare.settled", "")
            }
        };
        let entry = (action, id.to_string(), detail.to_owned());
        self.sign(connection, now, by.id, patient, entry).await?;
        session.commit(&[Topic::Case]).await?;
        Ok(Ok(step))
    }
}

async fn check(connection: &mut AnyConnection, row: &AnyRow) -> Result<WelfareCheck, StoreError> {
    let fields = Fields::new("welfare_check", row);
    let date = fields.parsed("date")?;
    let of: PatientId = fields.parsed("patient_id")?;
    let words = |column| Ok::<_, StoreError>(Private::new(fields.text(column)?.to_owned()));
    let decision = match fields.word_or_null("choice", Choice::parse)? {
        None => None,
        Some(choice) => Some(WelfareDecision {
            choice,
            reason: words("reason")?,
            by: fields.signed(["decided_by", "decided_name", "decided_at"])?,
        }),
    };
    let result = match fields.time_or_null("settled_at")? {
        None => None,
        Some(_) => {
            Some((words("result")?, fields.signed(["settled_by", "settled_name", "settled_at"])?))
        }
    };
    Ok(WelfareCheck {
        id: Some(fields.parsed("id")?),
        patient: patient(connection, of).await?,
        date,
        list: fields.word("list", List::parse)?,
        why: fields.word("why", Why::parse)?,
        is_frail: fields.flag("is_frail")?,
        heard_at: fields.time_or_null("heard_at")?,
        reported_at: fields.time_or_null("reported_at")?,
        escalated_at: fields.time_or_null("escalated_at")?,
        decision,
        result,
        contacts: contacts_of(connection, of).await?,
        attempts: calls_of(connection, of, date).await?,
    })
}

/// The calls that were placed to a patient on a day.
async fn calls_of(
    connection: &mut AnyConnection,
    patient: PatientId,
    date: Date,
) -> Result<Vec<Attempt>, StoreError> {
    const CALLS: &str = select_attempts!(
        "where a.patient_id = $1 and a.dialed_at >= $2 and a.dialed_at < $3 \
         order by a.dialed_at, a.id"
    );
    let rows = sqlx::query(CALLS)
        .bind(patient.to_string())
        .bind(millis(midnight(date)))
        .bind(millis(date.tomorrow().map_or(Timestamp::MAX, midnight)))
        .fetch_all(connection)
        .await?;
    rows.iter().map(row::attempt).collect()
}
