//! What each node that places calls last said of itself: the pages may be served by another.

use jiff::{SignedDuration, Timestamp};

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
    /// How far its clock is ahead of what the database knows of the time, where the two disagree;
    /// negative if it is behind. It places no calls then.
    pub clock_ahead: Option<SignedDuration>,
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

/// What a node last said of one of its trunks.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TrunkStatus {
    /// The node.
    pub node: String,
    /// The trunk's name in the configuration.
    pub trunk: String,
    /// The group that it is in, if any: campaigns may be bound to one.
    pub group: Option<String>,
    /// When it said so.
    pub at: Timestamp,
    /// Whether calls can be placed.
    pub state: TrunkWord,
    /// Since when it is so; found out when it is saved.
    pub since: Timestamp,
    /// Whether the carrier knows us.
    pub registration: RegistrationWord,
    /// Calls under way; counted when it is saved.
    pub lines_in_use: u32,
    /// Calls that the trunk may carry at once.
    pub lines_limit: u32,
    /// What went wrong last, and when it was last so; it stays when all is well again. Without
    /// names and numbers.
    pub last_error: Option<(String, Timestamp)>,
}

/// Whether the carrier knows us.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RegistrationWord {
    /// The carrier knows us by our address: nothing is registered.
    None,
    /// Asked for, and not answered yet.
    Registering,
    /// It does.
    Registered,
    /// It refuses to.
    Refused,
    /// It does not answer.
    Lost,
}

impl RegistrationWord {
    /// Every word.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Registering, Self::Registered, Self::Refused, Self::Lost];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Registering => "registering",
            Self::Registered => "registered",
            Self::Refused => "refused",
            Self::Lost => "lost",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|word| word.as_str() == text)
    }
}

impl Store {
    /// Writes down what a node says of one of its trunks.
    pub async fn save_trunk_status(&self, status: &TrunkStatus) -> Result<(), StoreError> {
        // A trunk that is well again keeps its last error.
        const SAVE: &str = "insert into trunk_status (node, trunk, at, state, since, \
            registration, lines_in_use, lines_limit, last_error, last_error_at, trunk_group) \
            values ($1, $2, $3, $4, $3, $5, (select count(*) from attempt a where a.node = $1 \
            and a.state in ('dialing', 'talking')), $6, $7, $8, $9) \
            on conflict (node, trunk) do update set at = excluded.at, state = excluded.state, \
            since = case when trunk_status.state = excluded.state then trunk_status.since \
            else excluded.since end, registration = excluded.registration, \
            lines_in_use = excluded.lines_in_use, lines_limit = excluded.lines_limit, \
            trunk_group = excluded.trunk_group, last_error = case when excluded.last_error = '' then trunk_status.last_error \
            else excluded.last_error end, \
            last_error_at = coalesce(excluded.last_error_at, trunk_status.last_error_at)";
        let (error, error_at) = match &status.last_error {
            Some((error, at)) => (error.as_str(), Some(millis(*at))),
            None => ("", None),
        };
        let mut session = self.write().await?;
        sqlx::query(SAVE)
            .bind(status.node.as_str())
            .bind(status.trunk.as_str())
            .bind(millis(status.at))
            .bind(status.state.as_str())
            .bind(status.registration.as_str())
            .bind(i64::from(status.lines_limit))
            .bind(error)
            .bind(error_at)
            .bind(status.group.as_deref())
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// What each node last said of each of its trunks, by names.
    pub async fn trunk_statuses(&self) -> Result<Vec<TrunkStatus>, StoreError> {
        const ALL: &str = "select t.node, t.trunk, t.at, t.state, t.since, t.registration, \
            t.lines_in_use, t.lines_limit, t.last_error, t.last_error_at, t.trunk_group \
            from trunk_status t \
            order by t.node, t.trunk";
        let mut session = self.glance().await?;
        let rows = sqlx::query(ALL).fetch_all(session.connection()).await?;
        rows.iter()
            .map(|row| {
                let fields = Fields::new("trunk_status", row);
                let error_at = fields.time_or_null("last_error_at")?;
                let error = fields.text("last_error")?.to_owned();
                Ok(TrunkStatus {
                    node: fields.text("node")?.to_owned(),
                    trunk: fields.text("trunk")?.to_owned(),
                    group: fields.text_or_null("trunk_group")?.map(str::to_owned),
                    at: fields.time("at")?,
                    state: fields.word("state", TrunkWord::parse)?,
                    since: fields.time("since")?,
                    registration: fields.word("registration", RegistrationWord::parse)?,
                    lines_in_use: fields.integer("lines_in_use")?,
                    lines_limit: fields.integer("lines_limit")?,
                    last_error: error_at.map(|at| (error, at)),
                })
            })
            .collect()
    }

    /// Writes down what a node says of itself.
    pub async fn save_node_status(&self, status: &NodeStatus) -> Result<(), StoreError> {
        const SAVE: &str = "insert into node_status (node, at, lines_in_use, lines_limit, \
            calls_per_minute, trunk, prompts, last_error, clock_ahead_ms) \
            values ($1, $2, (select count(*) from attempt a where a.node = $1 \
            and a.state in ('dialing', 'talking')), $3, $4, $5, $6, $7, $8) \
            on conflict (node) do update set at = excluded.at, \
            lines_in_use = excluded.lines_in_use, lines_limit = excluded.lines_limit, \
            calls_per_minute = excluded.calls_per_minute, trunk = excluded.trunk, \
            prompts = excluded.prompts, last_error = excluded.last_error, \
            clock_ahead_ms = excluded.clock_ahead_ms";
        let ahead = status.clock_ahead.map(|ahead| i64::try_from(ahead.as_millis()));
        let ahead = ahead.map(|ahead| ahead.unwrap_or(i64::MAX));
        let mut session = self.write().await?;
        sqlx::query(SAVE)
            .bind(status.node.as_str())
            .bind(millis(status.at))
            .bind(i64::from(status.lines_limit))
            .bind(i64::from(status.calls_per_minute))
            .bind(status.trunk.as_str())
            .bind(if status.prompts_complete { "complete" } else { "incomplete" })
            .bind(status.last_error.as_str())
            .bind(ahead)
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// What each node last said of itself, by name.
    pub async fn node_statuses(&self) -> Result<Vec<NodeStatus>, StoreError> {
        const ALL: &str = "select n.node, n.at, n.lines_in_use, n.lines_limit, \
            n.calls_per_minute, n.trunk, n.prompts, n.last_error, n.clock_ahead_ms from node_status n \
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
                    clock_ahead: fields
                        .integer_or_null("clock_ahead_ms")?
                        .map(SignedDuration::from_millis),
                    last_error: fields.text("last_error")?.to_owned(),
                })
            })
            .collect()
    }
}
