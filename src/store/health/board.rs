//! How the day stands in all centres at once: asked once per change, however many watch.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;

use crate::base::Private;
use crate::base::id::{AttemptId, ClinicId, HealthCenterId};
use crate::campaign::AttemptState;
use crate::store::row::Fields;
use crate::store::{Counts, Store, StoreError};

/// How the day stands in all centres.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// The day that the numbers speak of; `None` before there is one.
    pub day: Option<Date>,
    /// Whether telephones are called.
    pub is_running: bool,
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
    /// How the day stands in all centres. One statement, so that all of it is of one moment, however
    /// many centres and viewers there are.
    pub async fn board(&self) -> Result<Board, StoreError> {
        // The casts tell PostgreSQL what is missing; the first row is always there.
        const BOARD: &str = "select 'day' as part, d.day as day, i.dialing as word, \
            cast(null as text) as health_center_id, cast(null as text) as clinic_id, \
            cast(null as bigint) as facet, cast(null as bigint) as n, \
            cast(null as bigint) as version, cast(null as text) as id, \
            cast(null as text) as name, cast(null as text) as registration_number, \
            cast(null as bigint) as dialed_at, cast(null as bigint) as answered_at, \
            cast(null as text) as last_question \
            from installation i join health_day d on d.id = 1 where i.id = 1 \
            union all select 'counts', null, null, h.health_center_id, h.clinic_id, h.facet, \
            count(*), cast(sum(h.version) as bigint), null, null, null, null, null, null \
            from health_status h where h.is_observed = 1 \
            group by h.health_center_id, h.clinic_id, h.facet \
            union all select 'call', null, a.state, p.health_center_id, null, null, \
            (select count(*) from answer w where w.attempt_id = a.id), null, a.id, p.name, \
            p.registration_number, a.dialed_at, a.answered_at, \
            (select w.question from answer w where w.attempt_id = a.id \
            order by w.seq desc limit 1) \
            from attempt a join patient p on p.id = a.patient_id \
            where a.state in ('dialing', 'talking')";
        let mut session = self.glance().await?;
        let rows = sqlx::query(BOARD).fetch_all(session.connection()).await?;
        drop(session);
        let mut board = Board::default();
        let mut counts: BTreeMap<(HealthCenterId, Option<ClinicId>), Counts> = BTreeMap::new();
        for row in &rows {
            let fields = Fields::new("board", row);
            match fields.text("part")? {
                "day" => {
                    board.is_running = fields.text("word")? == "running";
                    let day = fields.text("day")?;
                    board.day = if day.is_empty() { None } else { Some(fields.parsed("day")?) };
                }
                "counts" => {
                    let clinic = match fields.text("clinic_id")? {
                        "" => None,
                        _ => Some(fields.parsed("clinic_id")?),
                    };
                    let (n, version) = (fields.integer("n")?, fields.integer("version")?);
                    let of = counts.entry((fields.parsed("health_center_id")?, clinic));
                    of.or_default()
                        .add(fields.integer("facet")?, n, version)
                        .ok_or_else(|| fields.corrupt("facet"))?;
                }
                _ => board.calls.push(call(fields)?),
            }
        }
        board.rows = counts
            .into_iter()
            .map(|((health_center, clinic), counts)| BoardRow { health_center, clinic, counts })
            .collect();
        board.calls.sort_by_key(|call| (call.dialed_at, call.attempt));
        Ok(board)
    }
}

fn call(fields: Fields<'_>) -> Result<CallNow, StoreError> {
    Ok(CallNow {
        attempt: fields.parsed("id")?,
        health_center: fields.parsed("health_center_id")?,
        name: Private::new(fields.text("name")?.to_owned()),
        registration_number: fields.text("registration_number")?.to_owned(),
        state: fields.word("word", AttemptState::parse)?,
        dialed_at: fields.time("dialed_at")?,
        answered_at: fields.time_or_null("answered_at")?,
        answers: fields.integer("n")?,
        last_question: fields.text_or_null("last_question")?.map(str::to_owned),
    })
}
