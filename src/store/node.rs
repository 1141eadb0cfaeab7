//! What each node that places calls last said of itself: the pages may be served by another.

use jiff::Timestamp;

use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError};

/// The state of a node that places calls.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NodeStatus {
    /// Its name.
    pub node: String,
    /// When it said so. Long ago means that it is gone.
    pub at: Timestamp,
    /// Calls under way; counted when it is saved.
    pub lines_in_use: u32,
    /// Calls that may be under way at once.
    pub lines_limit: u32,
    /// Calls per minute that the pace allows.
    pub calls_per_minute: u32,
    /// Whether calls can be placed.
    pub trunk: TrunkWord,
    /// Every prompt that an interview may need is ready.
    pub prompts_complete: bool,
    /// What went wrong last, without names and numbers; empty if nothing did.
    pub last_error: String,
}

/// Whether calls can be placed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum TrunkWord {
    /// Registered, or without registration.
    Ready,
    /// It tries to register.
    Registering,
    /// The carrier refuses, or cannot be reached.
    Failed,
}

impl TrunkWord {
    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Registering => "registering",
            Self::Failed => "failed",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Ready, Self::Registering, Self::Failed]
            .into_iter()
            .find(|word| word.as_str() == text)
    }
}

impl Store {
    /// Writes down what a node says of itself.
    pub async fn save_node_status(&self, status: &NodeStatus) -> Result<(), StoreError> {
        const SAVE: &str = "insert into node_status (node, at, lines_in_use, lines_limit, \
            calls_per_minute, trunk, prompts, last_error) \
            values ($1, $2, (select count(*) from attempt a where a.node = $1 \
            and a.state in ('dialing', 'talking')), $3, $4, $5, $6, $7) \
            on conflict (node) do update set at = excluded.at, \
            lines_in_use = excluded.lines_in_use, lines_limit = excluded.lines_limit, \
            calls_per_minute = excluded.calls_per_minute, trunk = excluded.trunk, \
            prompts = excluded.prompts, last_error = excluded.last_error";
        let mut session = self.write().await?;
        sqlx::query(SAVE)
            .bind(status.node.as_str())
            .bind(millis(status.at))
            .bind(i64::from(status.lines_limit))
            .bind(i64::from(status.calls_per_minute))
            .bind(status.trunk.as_str())
            .bind(if status.prompts_complete { "complete" } else { "incomplete" })
            .bind(status.last_error.as_str())
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// What each node last said of itself, by name.
    pub async fn node_statuses(&self) -> Result<Vec<NodeStatus>, StoreError> {
        const ALL: &str = "select n.node, n.at, n.lines_in_use, n.lines_limit, \
            n.calls_per_minute, n.trunk, n.prompts, n.last_error from node_status n \
            order by n.node";
        let mut session = self.glance().await?;
        let rows = sqlx::query(ALL).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("node_status", row);
                Ok(NodeStatus {
                    node: fields.text("node")?.to_owned(),
                    at: fields.time("at")?,
                    lines_in_use: fields.integer("lines_in_use")?,
                    lines_limit: fields.integer("lines_limit")?,
                    calls_per_minute: fields.integer("calls_per_minute")?,
                    trunk: fields.word("trunk", TrunkWord::parse)?,
                    prompts_complete: fields.text("prompts")? == "complete",
                    last_error: fields.text("last_error")?.to_owned(),
                })
            })
            .collect()
    }
}
