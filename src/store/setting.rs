//! Settings of a centre that staff make in the console. They hold against the configuration, which
//! is read at every start.

use jiff::Timestamp;
use jiff::civil::Time;

use crate::registry::AuditEntry;
use crate::store::registry::time_of_day;
use crate::store::row::millis;
use crate::store::{StoreError, Topic, Within, audit};

/// What a centre may set for itself.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CenterSettings {
    /// The consultation desk that patients are told to call, digits and hyphens.
    pub desk_phone: String,
    /// No call before this time of day.
    pub opens_at: Time,
    /// No call at or after this time of day.
    pub closes_at: Time,
}

impl Within<'_> {
    /// Sets them for the calls from now on.
    pub async fn set_settings(
        &self,
        now: Timestamp,
        settings: &CenterSettings,
        entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const SET: &str = "update health_center set desk_phone = $2, opens_at = $3, \
            closes_at = $4, set_at = $5, updated_at = $5 where id = $1";
        let mut session = self.store.write().await?;
        let done = sqlx::query(SET)
            .bind(self.center_text())
            .bind(settings.desk_phone.as_str())
            .bind(time_of_day(settings.opens_at))
            .bind(time_of_day(settings.closes_at))
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if done.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "health center" });
        }
        audit::append(session.connection(), now, entry).await?;
        session.commit(&[Topic::Registry]).await
    }
}
