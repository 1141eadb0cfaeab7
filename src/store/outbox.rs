//! Messages that wait to be delivered: written with the case, sent at least once.

use std::time::Duration;

use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::base::id::{CaseId, MessageId};
use crate::escalation::Priority;
use crate::store::escalate::case_view;
use crate::store::row::{Fields, millis};
use crate::store::{CaseView, Dialect, Store, StoreError};

/// A message to be delivered. Its id stays the same however often it is sent.
#[derive(Clone, Debug)]
pub struct Message {
    /// The id, for the receiver to drop repeats by.
    pub id: MessageId,
    /// What it tells.
    pub kind: MessageKind,
    /// How grave the case was when it was written.
    pub priority: Priority,
    /// When it was written.
    pub created_at: Timestamp,
    /// How often it was tried before this claim.
    pub tries: u32,
    /// The case, with the facts that were known when the message was written.
    pub case: CaseView,
}

/// What a message tells.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum MessageKind {
    /// A case was opened.
    CaseOpened,
    /// A case became graver.
    CaseRaised,
}

impl Store {
    /// Claims messages that are due, the gravest first; each comes again after the lease unless
    /// it was delivered or failed by then.
    pub async fn claim_messages(
        &self,
        now: Timestamp,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Message>, StoreError> {
        let mut session = self.write().await?;
        let connection = session.connection();
        let due = self.due_messages(connection, now, limit).await?;
        let mut messages = Vec::with_capacity(due.len());
        for id in due {
            messages.push(claim(connection, now, lease, id).await?);
        }
        if !messages.is_empty() {
            session.commit(&[]).await?;
        }
        Ok(messages)
    }

    /// The receiver has taken it.
    pub async fn message_delivered(
        &self,
        now: Timestamp,
        message: MessageId,
    ) -> Result<(), StoreError> {
        const DELIVERED: &str = "update message set delivered_at = $2, last_error = null \
            where id = $1 and delivered_at is null";
        let mut session = self.write().await?;
        sqlx::query(DELIVERED)
            .bind(message.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// It could not be delivered; it is due again at `retry_at`. `error` names no person.
    pub async fn message_failed(
        &self,
        now: Timestamp,
        message: MessageId,
        retry_at: Timestamp,
        error: &str,
    ) -> Result<(), StoreError> {
        const FAILED: &str = "update message set due_at = $2, last_error = $3 \
            where id = $1 and delivered_at is null";
        let mut session = self.write().await?;
        sqlx::query(FAILED)
            .bind(message.to_string())
            .bind(millis(retry_at.max(now)))
            .bind(error)
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }
}

impl MessageKind {
    /// The word for it in the store and in what is sent.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CaseOpened => "case_opened",
            Self::CaseRaised => "case_raised",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        [Self::CaseOpened, Self::CaseRaised].into_iter().find(|kind| kind.as_str() == text)
    }
}

macro_rules! select_due {
    ($lock:literal) => {
        concat!(
            "select m.id from message m where m.delivered_at is null and m.due_at <= $1 \
             order by case m.priority when 'p1' then 1 when 'p2' then 2 else 3 end, \
             m.created_at, m.id limit $2",
            $lock
        )
    };
}

// `begin immediate` has locked the whole file before the look.
const SQLITE_DUE: &str = select_due!("");
const POSTGRES_DUE: &str = select_due!(" for update skip locked");

impl Store {
    async fn due_messages(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        limit: u32,
    ) -> Result<Vec<MessageId>, StoreError> {
        let due = match self.dialect {
            Dialect::Sqlite => SQLITE_DUE,
            Dialect::Postgres => POSTGRES_DUE,
        };
        let rows =
            sqlx::query(due).bind(millis(now)).bind(i64::from(limit)).fetch_all(connection).await?;
        rows.iter().map(|row| Fields::new("message", row).parsed("id")).collect()
    }
}

async fn claim(
    connection: &mut AnyConnection,
    now: Timestamp,
    lease: Duration,
    id: MessageId,
) -> Result<Message, StoreError> {
    const CLAIM: &str = "update message set due_at = $2, tries = tries + 1 where id = $1 \
        returning case_id, kind, priority, facts, created_at, tries";
    let row = sqlx::query(CLAIM)
        .bind(id.to_string())
        .bind(millis(now + lease))
        .fetch_one(&mut *connection)
        .await?;
    let fields = Fields::new("message", &row);
    let mut case = case_view(connection, fields.parsed::<CaseId>("case_id")?).await?;
    case.case.facts.truncate(fields.integer("facts")?);
    Ok(Message {
        id,
        kind: fields.word("kind", MessageKind::parse)?,
        priority: fields.word("priority", Priority::parse)?,
        created_at: fields.time("created_at")?,
        tries: fields.integer::<u32>("tries")?.saturating_sub(1),
        case,
    })
}
