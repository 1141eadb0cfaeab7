//! How the day stands in all centres at once: asked once per change, whoever many watch.

use jiff::Timestamp;

use crate::base::Private;
use crate::base::id::{AttemptId, ClinicId, HealthCenterId};
use crate::campaign::AttemptState;
use crate::store::row::Fields;
use crate::store::{Counts, Store, StoreError};

/// How the day stands in all centres.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// Per centre and clinic.
    pub rows: Vec<BoardRow>,
    /// The calls under way, the oldest first.
    pub calls: Vec<CallNow>,
}

/// The numbers of the patients of one centre whom one clinic, or none, looks after.
#[derive(Clone, Copy, Debug)]
pub struct BoardRow {
    /// The centre.
    pub health_center: HealthCenterId,
    /// The clinic, if one looks after them.
    pub clinic: Option<ClinicId>,
    /// The numbers; what belongs to one viewer alone is zero.
    pub counts: Counts,
}

/// A call under way.
#[derive(Clone, Debug)]
pub struct CallNow {
    /// The attempt.
    pub attempt: AttemptId,
    /// Whose patient it is.
    pub health_center: HealthCenterId,
    /// Whom it calls.
    pub name: Private<String>,
    /// The first identifier.
    pub registration_number: String,
    /// Dialing or talking.
    pub state: AttemptState,
    /// When it was placed.
    pub dialed_at: Timestamp,
    /// When it was taken.
    pub answered_at: Option<Timestamp>,
    /// How many questions were answered so far.
    pub answers: u32,
    /// The code of the question that was answered last.
    pub last_question: Option<String>,
}

impl Store {
    /// How the day stands in all centres.
    pub async fn board(&self) -> Result<Board, StoreError> {
        const ROWS: &str = "select h.health_center_id, h.clinic_id, count(*) as all_rows, \
            count(case when h.need < 40 then 1 end) as action, \
            count(case when h.report = 'none' then 1 end) as unreported, \
            count(case when h.report = 'partial' then 1 end) as partial, \
            count(case when h.report = 'reported' then 1 end) as reported, \
            count(case when h.stage >= 1 then 1 end) as planned, \
            count(case when h.stage >= 2 then 1 end) as called, \
            count(case when h.stage >= 3 then 1 end) as answered, \
            count(case when h.stage >= 4 then 1 end) as identified, \
            count(case when h.is_unreached = 1 then 1 end) as unreached, \
            cast(sum(h.version) as bigint) as version \
            from health_status h where h.is_observed = 1 group by h.health_center_id, h.clinic_id";
        const CALLS: &str = "select a.id, p.health_center_id, p.name, p.registration_number, \
            a.state, a.dialed_at, a.answered_at, \
            (select count(*) from answer w where w.attempt_id = a.id) as answers, \
            (select w.question from answer w where w.attempt_id = a.id \
            order by w.seq desc limit 1) as last_question \
            from attempt a join patient p on p.id = a.patient_id \
            where a.state in ('dialing', 'talking') order by a.dialed_at, a.id";
        let mut session = self.read().await?;
        let rows = sqlx::query(ROWS).fetch_all(session.connection()).await?;
        let calls = sqlx::query(CALLS).fetch_all(session.connection()).await?;
        let rows = rows.iter().map(|row| {
            let fields = Fields::new("health_status", row);
            let clinic = fields.text("clinic_id")?;
            Ok(BoardRow {
                health_center: fields.parsed("health_center_id")?,
                clinic: if clinic.is_empty() { None } else { Some(fields.parsed("clinic_id")?) },
                counts: Counts {
                    all: fields.integer("all_rows")?,
                    action: fields.integer("action")?,
                    unreported: fields.integer("unreported")?,
                    partial: fields.integer("partial")?,
                    reported: fields.integer("reported")?,
                    planned: fields.integer("planned")?,
                    called: fields.integer("called")?,
                    answered: fields.integer("answered")?,
                    identified: fields.integer("identified")?,
                    unreached: fields.integer("unreached")?,
                    version: fields.integer("version")?,
                    ..Counts::default()
                },
            })
        });
        let calls = calls.iter().map(|row| {
            let fields = Fields::new("attempt", row);
            Ok(CallNow {
                attempt: fields.parsed("id")?,
                health_center: fields.parsed("health_center_id")?,
                name: Private::new(fields.text("name")?.to_owned()),
                registration_number: fields.text("registration_number")?.to_owned(),
                state: fields.word("state", AttemptState::parse)?,
                dialed_at: fields.time("dialed_at")?,
                answered_at: fields.time_or_null("answered_at")?,
                answers: fields.integer("answers")?,
                last_question: fields.text_or_null("last_question")?.map(str::to_owned),
            })
        });
        Ok(Board {
            rows: rows.collect::<Result<_, StoreError>>()?,
            calls: calls.collect::<Result<_, StoreError>>()?,
        })
    }
}
