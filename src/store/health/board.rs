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
        const ROWS: &str = "select h.health_center_id, h.clinic_id, h.facet, count(*) as n, \
            cast(sum(h.version) as bigint) as version from health_status h \
            where h.is_observed = 1 group by h.health_center_id, h.clinic_id, h.facet \
            order by h.health_center_id, h.clinic_id";
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
        let mut board = Board::default();
        for row in &rows {
            let fields = Fields::new("health_status", row);
            let health_center = fields.parsed("health_center_id")?;
            let clinic = fields.text("clinic_id")?;
            let clinic = if clinic.is_empty() { None } else { Some(fields.parsed("clinic_id")?) };
            let is_same =
                |one: &BoardRow| one.health_center == health_center && one.clinic == clinic;
            if !board.rows.last().is_some_and(is_same) {
                board.rows.push(BoardRow { health_center, clinic, counts: Counts::default() });
            }
            if let Some(last) = board.rows.last_mut() {
                let (n, version) = (fields.integer("n")?, fields.integer("version")?);
                let facet = fields.integer("facet")?;
                last.counts.add(facet, n, version).ok_or_else(|| fields.corrupt("facet"))?;
            }
        }
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
        board.calls = calls.collect::<Result<_, StoreError>>()?;
        Ok(board)
    }
}
