//! What staff write down of a patient's state, and how they correct it.

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;

use crate::base::clock::civil;
use crate::base::id::{ObservationId, PatientId, ReportId, SlotId, StaffId};
use crate::call::{Completion, Respondent};
use crate::ivr::Answer;
use crate::observation::{Channel, Observation};
use crate::store::observe::{insert, settle_open_slot};
use crate::store::row::{self, Fields, millis, select_observations};
use crate::store::{StoreError, Topic, Within};

/// The form of staff, as observations name it.
const FORM: &str = "staff@1";

/// How staff came to know what they write down.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Way {
    /// They telephoned.
    Telephone,
    /// They were there.
    Visit,
}

impl Way {
    /// Every one.
    pub const ALL: [Self; 2] = [Self::Telephone, Self::Visit];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Telephone => "telephone",
            Self::Visit => "visit",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|way| way.as_str() == text)
    }
}

/// What a member of the staff writes down.
#[derive(Clone, Debug)]
pub struct StaffReport {
    /// The id that the form was shown with: sent twice, it is stored once.
    pub id: ReportId,
    /// How they came to know.
    pub way: Way,
    /// Who said it.
    pub respondent: Respondent,
    /// When it was so.
    pub effective_at: Timestamp,
    /// Codes and values; at least one.
    pub values: Vec<(String, Answer)>,
    /// Whether everything that is required was given.
    pub completion: Completion,
}

/// How an observation is corrected.
#[derive(Clone, Debug)]
pub struct Correction {
    /// Which.
    pub observation: ObservationId,
    /// What it should have been. [`Answer::Unanswered`] takes it back: it was never said.
    pub value: Answer,
    /// Why.
    pub reason: String,
}

impl Within<'_> {
    /// Takes down what staff heard or saw. If it was so today, it settles the slot of the day as a
    /// report by any other way does ([`Store::report`](crate::store::Store::report)).
    pub async fn observe(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        report: &StaffReport,
    ) -> Result<Option<SlotId>, StoreError> {
        const KNOWN: &str = "select o.slot_id from observation o where o.report_id = $1 limit 1";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let known =
            sqlx::query(KNOWN).bind(report.id.to_string()).fetch_optional(&mut *connection).await?;
        if let Some(known) = known {
            return Fields::new("observation", &known).parsed_or_null("slot_id");
        }
        let is_of_today = civil(report.effective_at).date() == civil(now).date();
        let slot = if is_of_today {
            settle_open_slot(connection, now, patient, report.completion).await?
        } else {
            None
        };
        let effective_at = free_moment(connection, patient, report.effective_at).await?;
        for (code, value) in &report.values {
            let observation = Observation {
                id: self.store.mint::<ObservationId>(now),
                patient,
                slot,
                source: None,
                code: code.clone(),
                value: *value,
                effective_at,
                respondent: report.respondent,
                channel: Channel::Staff,
                questionnaire: FORM.to_owned(),
                supersedes: None,
            };
            insert(connection, now, &observation).await?;
            let seen = Seen { by, way: Some(report.way), report: Some(report.id), reason: None };
            seen_by(connection, observation.id, &seen).await?;
        }
        let event = ("observation.added", report.id.to_string(), report.way.as_str().to_owned());
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Observation, Topic::Over]).await?;
        Ok(slot)
    }

    /// Adds an observation that stands in the place of another, which stays to be read. The same
    /// correction again changes nothing.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if somebody else has corrected it otherwise,
    /// [`StoreError::NotFound`] if the patient has no such observation.
    pub async fn correct(
        &self,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        correction: &Correction,
    ) -> Result<(), StoreError> {
        const OLD: &str = select_observations!("where o.id = $1 and o.patient_id = $2");
        const NEWER: &str = "select o.value, o.staff_id, o.reason from observation o \
            where o.supersedes = $1";
        let mut session = self.store.write().await?;
        let connection = session.connection();
        self.hold(connection, patient).await?;
        let old = sqlx::query(OLD)
            .bind(correction.observation.to_string())
            .bind(patient.to_string())
            .fetch_optional(&mut *connection)
            .await?;
        let old = row::observation(&old.ok_or(StoreError::NotFound { what: "observation" })?)?;
        let newer =
            sqlx::query(NEWER).bind(old.id.to_string()).fetch_optional(&mut *connection).await?;
        if let Some(newer) = newer {
            let fields = Fields::new("observation", &newer);
            let is_same = fields.word("value", Answer::parse)? == correction.value
                && fields.parsed_or_null("staff_id")? == Some(by)
                && fields.text_or_null("reason")? == Some(&correction.reason);
            return if is_same { Ok(()) } else { Err(StoreError::Stale { what: "observation" }) };
        }
        let new = Observation {
            id: self.store.mint::<ObservationId>(now),
            source: None,
            value: correction.value,
            effective_at: free_moment(connection, patient, old.effective_at).await?,
            channel: Channel::Staff,
            supersedes: Some(old.id),
            ..old.clone()
        };
        insert(connection, now, &new).await?;
        let reason = Some(correction.reason.as_str());
        let seen = Seen { by, way: None, report: None, reason };
        seen_by(connection, new.id, &seen).await?;
        let detail = format!("{} → {}", old.id, new.id);
        let event = ("observation.corrected", new.id.to_string(), detail);
        self.sign(connection, now, by, patient, event).await?;
        session.commit(&[Topic::Observation]).await
    }
}

/// Who stands for an observation, and how it came to be known.
struct Seen<'a> {
    by: StaffId,
    way: Option<Way>,
    report: Option<ReportId>,
    reason: Option<&'a str>,
}

async fn seen_by(
    connection: &mut AnyConnection,
    id: ObservationId,
    seen: &Seen<'_>,
) -> Result<(), StoreError> {
    const SET: &str = "update observation set staff_id = $2, way = $3, report_id = $4, reason = $5 \
        where id = $1";
    let done = sqlx::query(SET)
        .bind(id.to_string())
        .bind(seen.by.to_string())
        .bind(seen.way.map(Way::as_str))
        .bind(seen.report.map(|id| id.to_string()))
        .bind(seen.reason)
        .execute(connection)
        .await?;
    if done.rows_affected() == 1 { Ok(()) } else { Err(StoreError::Stale { what: "observation" }) }
}

/// Forms speak of minutes; two values that staff write down for one minute are two observations,
/// and the later one is the later.
async fn free_moment(
    connection: &mut AnyConnection,
    patient: PatientId,
    wanted: Timestamp,
) -> Result<Timestamp, StoreError> {
    const LAST: &str = "select max(o.effective_at) as at from observation o \
        where o.patient_id = $1 and o.channel = 'staff' and o.attempt_id is null \
        and o.effective_at >= $2 and o.effective_at < $3";
    let row = sqlx::query(LAST)
        .bind(patient.to_string())
        .bind(millis(wanted))
        .bind(millis(wanted) + 60_000)
        .fetch_one(connection)
        .await?;
    let last = Fields::new("observation", &row).time_or_null("at")?;
    Ok(last.map_or(wanted, |last| last + SignedDuration::from_millis(1)))
}
