//! What engineers may see of calls: when, through which node, with which end. Nothing of patients.

use jiff::Timestamp;
use std::time::Duration;

use crate::base::id::AttemptId;
use crate::call::Disposition;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError};

/// Ladders are kept for so long.
const KEPT: Duration = Duration::from_hours(24 * 14);

/// A call as the line saw it.
#[derive(Clone, Debug)]
pub struct LineCall {
    /// The attempt.
    pub attempt: AttemptId,
    /// Through which node.
    pub node: String,
    /// When it was dialled.
    pub dialed_at: Timestamp,
    /// When it rang.
    pub ringing_at: Option<Timestamp>,
    /// When it was answered.
    pub answered_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    pub disposition: Option<Disposition>,
    /// The SIP status, if there was one.
    pub code: Option<u16>,
    /// Its ladder is kept.
    pub has_ladder: bool,
}

/// How often calls of a node ended in one way.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct LineOutcome {
    /// The node.
    pub node: String,
    /// How they ended.
    pub disposition: Disposition,
    /// How many.
    pub calls: u32,
}

impl Store {
    /// Keeps the ladder of a call, and forgets those that are too old.
    pub async fn save_ladder(
        &self,
        now: Timestamp,
        attempt: AttemptId,
        steps: &str,
    ) -> Result<(), StoreError> {
        const SAVE: &str = "insert into call_ladder (attempt_id, steps, written_at) \
            values ($1, $2, $3) on conflict (attempt_id) do nothing";
        const FORGET: &str = "delete from call_ladder where written_at < $1";
        let mut session = self.write().await?;
        sqlx::query(SAVE)
            .bind(attempt.to_string())
            .bind(steps)
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        sqlx::query(FORGET).bind(millis(now - KEPT)).execute(session.connection()).await?;
        session.commit(&[]).await
    }

    /// The ladder of a call, if it is kept.
    pub async fn ladder(&self, attempt: AttemptId) -> Result<Option<String>, StoreError> {
        const OF_CALL: &str = "select steps from call_ladder where attempt_id = $1";
        let mut session = self.glance().await?;
        let row = sqlx::query(OF_CALL)
            .bind(attempt.to_string())
            .fetch_optional(session.connection())
            .await?;
        row.map(|row| Ok(Fields::new("call_ladder", &row).text("steps")?.to_owned())).transpose()
    }

    /// The last calls of all nodes, the newest first.
    pub async fn last_calls(&self, limit: u32) -> Result<Vec<LineCall>, StoreError> {
        const LAST: &str = "select a.id, a.node, a.dialed_at, a.ringing_at, a.answered_at, \
            a.ended_at, a.disposition, a.code, \
            (select count(*) from call_ladder l where l.attempt_id = a.id) as ladders \
            from attempt a where a.dialed_at is not null and a.node is not null \
            order by a.dialed_at desc, a.id limit $1";
        let mut session = self.glance().await?;
        let rows = sqlx::query(LAST).bind(i64::from(limit)).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("attempt", row);
                Ok(LineCall {
                    attempt: fields.parsed("id")?,
                    node: fields.text("node")?.to_owned(),
                    dialed_at: fields.time("dialed_at")?,
                    ringing_at: fields.time_or_null("ringing_at")?,
                    answered_at: fields.time_or_null("answered_at")?,
                    ended_at: fields.time_or_null("ended_at")?,
                    disposition: fields.parsed_or_null("disposition")?,
                    code: fields.integer_or_null("code")?,
                    has_ladder: fields.integer::<i64>("ladders")? > 0,
                })
            })
            .collect()
    }

    /// How the calls that ended since then ended, by node.
    pub async fn line_outcomes(&self, since: Timestamp) -> Result<Vec<LineOutcome>, StoreError> {
        const COUNT: &str = "select a.node, a.disposition, count(*) as n from attempt a \
            where a.ended_at >= $1 and a.node is not null and a.disposition is not null \
            group by a.node, a.disposition order by a.node, a.disposition";
        let mut session = self.glance().await?;
        let rows = sqlx::query(COUNT).bind(millis(since)).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("attempt", row);
                Ok(LineOutcome {
                    node: fields.text("node")?.to_owned(),
                    disposition: fields.parsed("disposition")?,
                    calls: fields.integer("n")?,
                })
            })
            .collect()
    }
}
