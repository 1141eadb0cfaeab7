//! Attempts that a crash left behind: closed as interrupted, never dialled again as the same.

use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::base::id::{AttemptId, PatientId};
use crate::call::{Completion, Respondent};
use crate::campaign::{Attempt, AttemptState, SlotState};
use crate::store::row::{self, Fields, millis, select_attempts};
use crate::store::talk::release_slot;
use crate::store::{Store, StoreError, Topic};

/// An attempt that was closed because whoever made the call is gone.
#[derive(Clone, Debug)]
pub struct Interrupted {
    /// The attempt, now done, with the disposition interrupted.
    pub attempt: Attempt,
    /// The patient.
    pub patient: PatientId,
    /// Whether the call had been answered: then no attempt follows by itself, and staff call.
    pub answered: bool,
    /// Where the slot stands now: due again if nobody had answered, else partial if answers were
    /// given, else unreached.
    pub slot_after: SlotState,
}

impl Store {
    /// Closes what this node's earlier life left under way, and every attempt whose lease ran
    /// out. Call it once, before the first claim.
    pub async fn rescue_at_start(
        &self,
        now: Timestamp,
        node: &str,
    ) -> Result<Vec<Interrupted>, StoreError> {
        const LEFT: &str = select_attempts!(
            "where a.state in ('dialing', 'talking') and (a.node = $2 or a.lease_until <= $1) \
             order by a.id"
        );
        self.rescue(now, LEFT, Some(node)).await
    }

    /// When the first lease runs out, of whatever node; in the past if it has.
    pub async fn next_lease_end(&self) -> Result<Option<Timestamp>, StoreError> {
        const NEXT: &str = "select min(a.lease_until) as lease_until from attempt a \
            where a.state in ('dialing', 'talking')";
        let mut session = self.glance().await?;
        let row = sqlx::query(NEXT).fetch_one(session.connection()).await?;
        Fields::new("attempt", &row).time_or_null("lease_until")
    }

    /// Closes every attempt whose lease ran out. Call it now and then.
    pub async fn rescue_expired(&self, now: Timestamp) -> Result<Vec<Interrupted>, StoreError> {
        const LEFT: &str = select_attempts!(
            "where a.state in ('dialing', 'talking') and a.lease_until <= $1 \
             order by a.id"
        );
        self.rescue(now, LEFT, None).await
    }
}

impl Store {
    async fn rescue(
        &self,
        now: Timestamp,
        left: &'static str,
        node: Option<&str>,
    ) -> Result<Vec<Interrupted>, StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        let rows =
            sqlx::query(left).bind(millis(now)).bind(node).fetch_all(&mut *connection).await?;
        let mut rescued = Vec::with_capacity(rows.len());
        for row in &rows {
            let attempt = row::attempt(row)?;
            let patient = Fields::new("attempt", row).parsed("patient_id")?;
            if let Some(interrupted) = interrupt(connection, now, attempt, patient).await? {
                rescued.push(interrupted);
            }
        }
        if !rescued.is_empty() {
            session.commit(&[Topic::Over]).await?;
        }
        Ok(rescued)
    }
}

/// Closes one attempt; `None` if its owner has closed it in the meantime.
async fn interrupt(
    connection: &mut AnyConnection,
    now: Timestamp,
    attempt: Attempt,
    patient: PatientId,
) -> Result<Option<Interrupted>, StoreError> {
    const CLOSE: &str = "update attempt set state = 'done', lease_until = null, ended_at = $2, \
        disposition = 'interrupted', respondent = $3, completion = $4 \
        where id = $1 and state in ('dialing', 'talking') returning answered_at";
    let (answers, respondent) = given_so_far(connection, attempt.id).await?;
    let completion = match answers {
        _ if attempt.state == AttemptState::Dialing => None,
        0 => Some(Completion::SystemError),
        _ => Some(Completion::Partial),
    };
    let row = sqlx::query(CLOSE)
        .bind(attempt.id.to_string())
        .bind(millis(now))
        .bind(respondent.map(Respondent::as_str))
        .bind(completion.map(Completion::as_str))
        .fetch_optional(&mut *connection)
        .await?;
    let Some(row) = row else { return Ok(None) };
    let answered = Fields::new("attempt", &row).time_or_null("answered_at")?.is_some();
    let slot_after = match (answered, answers) {
        (false, _) => SlotState::Due,
        (true, 0) => SlotState::Unreached,
        (true, _) => SlotState::Partial,
    };
    release_slot(connection, now, attempt.slot, slot_after).await?;
    Ok(Some(Interrupted {
        attempt: reread(connection, attempt.id).await?,
        patient,
        answered,
        slot_after,
    }))
}

async fn reread(connection: &mut AnyConnection, id: AttemptId) -> Result<Attempt, StoreError> {
    const BY_ID: &str = select_attempts!("where a.id = $1");
    row::attempt(&sqlx::query(BY_ID).bind(id.to_string()).fetch_one(connection).await?)
}

/// How many answers were understood, and who gave the last of them.
async fn given_so_far(
    connection: &mut AnyConnection,
    attempt: AttemptId,
) -> Result<(u32, Option<Respondent>), StoreError> {
    const GIVEN: &str = "select w.respondent, w.answer from answer w where w.attempt_id = $1 \
        order by w.seq";
    let rows = sqlx::query(GIVEN).bind(attempt.to_string()).fetch_all(connection).await?;
    let mut given = (0, None);
    for row in &rows {
        let fields = Fields::new("answer", row);
        given.0 += u32::from(fields.text("answer")? != "unanswered");
        given.1 = Some(fields.word("respondent", Respondent::parse)?);
    }
    Ok(given)
}
