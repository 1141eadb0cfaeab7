//! The emergency stop: whether any telephone may be called.

use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::registry::AuditEntry;
use crate::store::row::{Fields, latest_call, millis};
use crate::store::{Dialect, Store, StoreError, Topic};
use crate::store::{audit, test_call};

/// Whether telephones are called, since when, by whom and why.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Dialing {
    /// Calls are placed.
    pub is_running: bool,
    /// Since when.
    pub changed_at: Timestamp,
    /// Who changed it: a name for people.
    pub changed_by: String,
    /// Why.
    pub reason: String,
}

impl Store {
    /// Whether telephones are called.
    pub async fn dialing(&self) -> Result<Dialing, StoreError> {
        const SELECT: &str =
            "select dialing, changed_at, changed_by, reason from installation where id = 1";
        let mut session = self.glance().await?;
        let row = sqlx::query(SELECT).fetch_one(session.connection()).await?;
        let fields = Fields::new("installation", &row);
        Ok(Dialing {
            is_running: fields.text("dialing")? == "running",
            changed_at: fields.time("changed_at")?,
            changed_by: fields.text("changed_by")?.to_owned(),
            reason: fields.text("reason")?.to_owned(),
        })
    }

    /// Stops all dialling at once, or lets it begin again. Calls under way go on. Every node sees
    /// it when it claims its next attempt. Test calls that wait are not placed.
    pub async fn set_dialing(
        &self,
        dialing: &Dialing,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        // Whoever lets it begin vouches for the clock as it is now (`Store::time`).
        const SET: &str = concat!(
            "update installation set dialing = $1, changed_at = $2, changed_by = $3, reason = $4, \
             clock_base = case when $1 = 'running' then (",
            latest_call!(),
            ") else clock_base end where id = 1"
        );
        let mut session = self.write().await?;
        sqlx::query(SET)
            .bind(if dialing.is_running { "running" } else { "stopped" })
            .bind(millis(dialing.changed_at))
            .bind(dialing.changed_by.as_str())
            .bind(dialing.reason.as_str())
            .execute(session.connection())
            .await?;
        if !dialing.is_running {
            test_call::stop(session.connection(), dialing.changed_at).await?;
        }
        audit::append(session.connection(), dialing.changed_at, audit_entry).await?;
        session.commit(&[Topic::Due, Topic::Installation]).await
    }
}

impl Store {
    /// The same, and the row stays locked until the end of the transaction: claims of all nodes
    /// then come one after the other.
    pub(super) async fn may_dial_locked(
        &self,
        connection: &mut AnyConnection,
    ) -> Result<bool, StoreError> {
        // `begin immediate` has locked the whole file.
        const SQLITE: &str = "select dialing from installation where id = 1";
        const POSTGRES: &str = "select dialing from installation where id = 1 for update";
        let statement = match self.dialect {
            Dialect::Sqlite => SQLITE,
            Dialect::Postgres => POSTGRES,
        };
        let row = sqlx::query(statement).fetch_one(connection).await?;
        Ok(Fields::new("installation", &row).text("dialing")? == "running")
    }
}

/// Whether telephones may be called, within a transaction.
pub(super) async fn may_dial(connection: &mut AnyConnection) -> Result<bool, StoreError> {
    const SELECT: &str = "select dialing from installation where id = 1";
    let row = sqlx::query(SELECT).fetch_one(connection).await?;
    Ok(Fields::new("installation", &row).text("dialing")? == "running")
}
