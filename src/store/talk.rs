//! What happens while a call is up: each answer is committed when it is given.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::base::id::{AttemptId, SlotId};
use crate::call::{Completion, Disposition, Respondent, Timeline};
use crate::campaign::SlotState;
use crate::ivr::Entry;
use crate::store::row::{self, Fields, millis, select_answers, select_attempts};
use crate::store::{Store, StoreError, Topic};

/// How an attempt ended.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Outcome {
    /// How the telephone part ended.
    pub disposition: Disposition,
    /// The carrier's own code.
    pub code: Option<u16>,
    /// Who answered, if the call was answered.
    pub respondent: Option<Respondent>,
    /// How far the dialogue came, if the call was answered.
    pub completion: Option<Completion>,
    /// When it rang, was answered and ended.
    pub timeline: Timeline,
    /// Where the slot stands now; `Due` to let the plan decide on a retry. A slot that another
    /// channel has settled meanwhile stays as it is.
    pub slot_after: SlotState,
}

impl Store {
    /// Notes that it rings.
    pub async fn attempt_ringing(
        &self,
        now: Timestamp,
        attempt: AttemptId,
    ) -> Result<(), StoreError> {
        const RINGING: &str = "update attempt set ringing_at = coalesce(ringing_at, $2) \
            where id = $1 and state in ('dialing', 'talking')";
        let mut session = self.write().await?;
        let done = sqlx::query(RINGING)
            .bind(attempt.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        stale_unless(done.rows_affected() > 0)?;
        session.commit(&[Topic::Call]).await
    }

    /// Notes that the call was taken. [`StoreError::Stale`] unless the attempt is dialing.
    pub async fn attempt_answered(
        &self,
        now: Timestamp,
        attempt: AttemptId,
    ) -> Result<(), StoreError> {
        const ANSWERED: &str = "update attempt set state = 'talking', answered_at = $2 \
            where id = $1 and state = 'dialing'";
        let mut session = self.write().await?;
        let done = sqlx::query(ANSWERED)
            .bind(attempt.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        stale_unless(done.rows_affected() > 0)?;
        session.commit(&[Topic::Call]).await
    }

    /// Appends an answer; when this returns it is on the disk. The same entry again changes
    /// nothing; a different entry with the same `seq` is a [`StoreError::Conflict`].
    ///
    /// `questionnaire` is `id@version`. An answer is kept even if the attempt was closed meanwhile:
    /// the patient did give it.
    pub async fn record_answer(
        &self,
        now: Timestamp,
        attempt: AttemptId,
        entry: &Entry,
        respondent: Respondent,
        questionnaire: &str,
    ) -> Result<(), StoreError> {
        const RECORD: &str = "insert into answer (attempt_id, slot_id, patient_id, seq, question, \
            asked, keys, answer, respondent, questionnaire, given_at, recorded_at) \
            select a.id, a.slot_id, a.patient_id, $2, $3, $4, $5, $6, $7, $8, $9, $10 \
            from attempt a where a.id = $1 and a.state not in ('due', 'dropped') \
            on conflict (attempt_id, seq) do nothing";
        let mut session = self.write().await?;
        let done = sqlx::query(RECORD)
            .bind(attempt.to_string())
            .bind(i64::from(entry.seq))
            .bind(entry.question.as_str())
            .bind(i64::from(entry.asked))
            .bind(entry.keys.as_str())
            .bind(entry.answer.to_text())
            .bind(respondent.as_str())
            .bind(questionnaire)
            .bind(millis(entry.at))
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() > 0 {
            return session.commit(&[Topic::Answer]).await;
        }
        let stored = transcript(session.connection(), attempt).await?;
        match stored.iter().find(|stored| stored.seq == entry.seq) {
            None => Err(StoreError::Stale { what: "attempt" }),
            Some(stored) if is_same(stored, entry) => Ok(()),
            Some(_) => Err(StoreError::Conflict { constraint: "answer_of_attempt".to_owned() }),
        }
    }

    /// Holds the claim until `now + lease`. [`StoreError::Stale`] if it was lost: hang up.
    pub async fn extend_lease(
        &self,
        now: Timestamp,
        attempt: AttemptId,
        lease: Duration,
    ) -> Result<(), StoreError> {
        const EXTEND: &str = "update attempt set lease_until = $2 \
            where id = $1 and state in ('dialing', 'talking')";
        let mut session = self.write().await?;
        let done = sqlx::query(EXTEND)
            .bind(attempt.to_string())
            .bind(millis(now + lease))
            .execute(session.connection())
            .await?;
        stale_unless(done.rows_affected() > 0)?;
        session.commit(&[]).await
    }

    /// Closes an attempt and says where its slot stands. The same outcome again changes nothing;
    /// [`StoreError::Stale`] if it was closed otherwise. An attempt that was given up for lost, by a
    /// clock that was set forward perhaps, keeps the time at which its call really ended: the
    /// telephone is left alone from then on.
    pub async fn finish_attempt(
        &self,
        now: Timestamp,
        attempt: AttemptId,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        const FINISH: &str = "update attempt set state = 'done', lease_until = null, \
            disposition = $2, code = $3, respondent = $4, completion = $5, \
            ringing_at = coalesce(ringing_at, $6), answered_at = coalesce(answered_at, $7), \
            ended_at = $8 where id = $1 and state in ('dialing', 'talking') returning slot_id";
        const ENDED_LATER: &str = "update attempt set ended_at = $2 \
            where id = $1 and disposition = 'interrupted' and ended_at < $2";
        if outcome.slot_after == SlotState::InProgress {
            // Nobody would ever settle it.
            return Err(StoreError::Conflict { constraint: "slot_without_attempt".to_owned() });
        }
        let ended = outcome.timeline.ended.unwrap_or(now);
        let mut session = self.write().await?;
        let row = sqlx::query(FINISH)
            .bind(attempt.to_string())
            .bind(outcome.disposition.as_str())
            .bind(outcome.code.map(i64::from))
            .bind(outcome.respondent.map(Respondent::as_str))
            .bind(outcome.completion.map(Completion::as_str))
            .bind(outcome.timeline.ringing.map(millis))
            .bind(outcome.timeline.answered.map(millis))
            .bind(millis(ended))
            .fetch_optional(session.connection())
            .await?;
        let Some(row) = row else {
            if is_finished_so(session.connection(), attempt, outcome).await? {
                return Ok(());
            }
            sqlx::query(ENDED_LATER)
                .bind(attempt.to_string())
                .bind(millis(ended))
                .execute(session.connection())
                .await?;
            session.commit(&[]).await?;
            return Err(StoreError::Stale { what: "attempt" });
        };
        let slot = Fields::new("attempt", &row).parsed("slot_id")?;
        release_slot(session.connection(), now, slot, outcome.slot_after).await?;
        session.commit(&[Topic::Over]).await
    }

    /// The transcript of an attempt, in order.
    pub async fn transcript(&self, attempt: AttemptId) -> Result<Vec<Entry>, StoreError> {
        let mut session = self.glance().await?;
        transcript(session.connection(), attempt).await
    }
}

fn stale_unless(as_supposed: bool) -> Result<(), StoreError> {
    if as_supposed { Ok(()) } else { Err(StoreError::Stale { what: "attempt" }) }
}

/// Whether two entries say the same, at the precision of the store.
fn is_same(stored: &Entry, given: &Entry) -> bool {
    millis(stored.at) == millis(given.at) && Entry { at: stored.at, ..given.clone() } == *stored
}

async fn transcript(
    connection: &mut AnyConnection,
    attempt: AttemptId,
) -> Result<Vec<Entry>, StoreError> {
    const OF_ATTEMPT: &str = select_answers!("where w.attempt_id = $1 order by w.seq");
    let rows = sqlx::query(OF_ATTEMPT).bind(attempt.to_string()).fetch_all(connection).await?;
    rows.iter().map(row::entry).collect()
}

async fn is_finished_so(
    connection: &mut AnyConnection,
    attempt: AttemptId,
    outcome: &Outcome,
) -> Result<bool, StoreError> {
    const DONE: &str = select_attempts!("where a.id = $1 and a.state = 'done'");
    let row = sqlx::query(DONE).bind(attempt.to_string()).fetch_optional(connection).await?;
    let Some(stored) = row.as_ref().map(row::attempt).transpose()? else { return Ok(false) };
    Ok(stored.disposition == Some(outcome.disposition)
        && stored.respondent == outcome.respondent
        && stored.completion == outcome.completion
        && outcome.timeline.ended.is_none_or(|at| stored.ended_at.map(millis) == Some(millis(at))))
}

/// Says where a slot stands whose call is over. One that was settled meanwhile stays as it is.
pub(super) async fn release_slot(
    connection: &mut AnyConnection,
    now: Timestamp,
    slot: SlotId,
    after: SlotState,
) -> Result<(), StoreError> {
    const RELEASE: &str = "update slot set state = $2, settled_at = $3 \
        where id = $1 and state = 'in_progress'";
    sqlx::query(RELEASE)
        .bind(slot.to_string())
        .bind(after.as_str())
        .bind(after.is_final().then(|| millis(now)))
        .execute(connection)
        .await?;
    Ok(())
}
