//! What proves that somebody owns an account: counted tries, passwords, one-time and recovery codes.

use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::base::Private;
use crate::base::id::StaffId;
use crate::registry::staff::lock_after;
use crate::registry::{Actor, AuditEntry};
use crate::store::row::{Fields, millis};
use crate::store::{Account, Store, StoreError};
use crate::store::{audit, staff};

/// Whether a password or code may be tried now.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Knock {
    /// It may; the try counts as wrong until it is proven right.
    Open,
    /// Too many were wrong, or the account is disabled: the try must not be looked at.
    Closed,
}

impl Store {
    /// Counts a try before it is looked at, so that many at once do not get more tries than one
    /// after the other. Locks the account if too many were wrong in a row.
    pub async fn knock(&self, now: Timestamp, id: StaffId) -> Result<Knock, StoreError> {
        const COUNT: &str = "update staff set failures = failures + 1 where id = $1 \
            and state = 'active' and (locked_until is null or locked_until <= $2) \
            returning failures, health_center_id";
        const LOCK: &str = "update staff set locked_until = $2 where id = $1";
        let mut session = self.write().await?;
        let row = sqlx::query(COUNT)
            .bind(id.to_string())
            .bind(millis(now))
            .fetch_optional(session.connection())
            .await?;
        let Some(row) = row else { return Ok(Knock::Closed) };
        let fields = Fields::new("staff", &row);
        let failures: u32 = fields.integer("failures")?;
        if let Some(pause) = lock_after(failures) {
            sqlx::query(LOCK)
                .bind(id.to_string())
                .bind(millis(now + pause))
                .execute(session.connection())
                .await?;
            let entry = AuditEntry {
                actor: Actor::Program,
                health_center: fields.parsed_or_null("health_center_id")?,
                action: "account.locked",
                patient: None,
                object: id.to_string(),
                detail: format!("failures={failures} seconds={}", pause.as_secs()),
            };
            audit::append(session.connection(), now, &entry).await?;
        }
        session.commit(&[]).await?;
        Ok(Knock::Open)
    }

    /// Takes one counted try back: it was right. Signing in in full forgets all of them.
    pub async fn pardon(&self, id: StaffId) -> Result<(), StoreError> {
        const PARDON: &str = "update staff set locked_until = null, \
            failures = case when failures > 0 then failures - 1 else 0 end where id = $1";
        let mut session = self.write().await?;
        sqlx::query(PARDON).bind(id.to_string()).execute(session.connection()).await?;
        session.commit(&[]).await
    }

    /// The account with that id.
    pub async fn account_of(&self, id: StaffId) -> Result<Account, StoreError> {
        let mut session = self.glance().await?;
        staff::account_by_id(session.connection(), id).await
    }

    /// The account that somebody has at an identity provider.
    pub async fn account_of_subject(
        &self,
        issuer: &str,
        subject: &str,
    ) -> Result<Option<Account>, StoreError> {
        let mut session = self.glance().await?;
        staff::account_by_subject(session.connection(), issuer, subject).await
    }

    /// Replaces the password by one with this hash, and ends all sessions but `kept`.
    pub async fn set_own_password(
        &self,
        now: Timestamp,
        id: StaffId,
        hash: &Private<String>,
        kept: &str,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const SET: &str = "update staff set password = $2, must_change_password = 0, \
            password_ends_at = null, updated_at = $3 where id = $1";
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        sqlx::query(SET)
            .bind(id.to_string())
            .bind(hash.expose().as_str())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        staff::end_all(session.connection(), now, id, kept).await?;
        session.commit(&[]).await
    }

    /// Keeps the sealed secret of a second factor that is being set up.
    pub async fn propose_totp(
        &self,
        now: Timestamp,
        id: StaffId,
        sealed: &Private<String>,
    ) -> Result<(), StoreError> {
        const SET: &str = "update staff set totp_pending = $2, updated_at = $3 where id = $1";
        let mut session = self.write().await?;
        sqlx::query(SET)
            .bind(id.to_string())
            .bind(sealed.expose().as_str())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// Puts the proposed second factor into use, its first code being used up; the recovery codes
    /// with these hashes replace all earlier ones.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if none was proposed.
    pub async fn confirm_totp(
        &self,
        now: Timestamp,
        id: StaffId,
        step: i64,
        codes: &[String],
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const CONFIRM: &str = "update staff set totp_secret = totp_pending, totp_pending = null, \
            totp_confirmed = 1, totp_step = $2, updated_at = $3 \
            where id = $1 and totp_pending is not null";
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        let confirmed = sqlx::query(CONFIRM)
            .bind(id.to_string())
            .bind(step)
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if confirmed.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "second factor" });
        }
        replace_codes(session.connection(), id, codes).await?;
        session.commit(&[]).await
    }

    /// Uses up the one-time password of a step. False if it, or a later one, was used before
    /// (RFC 6238 §5.2).
    pub async fn use_totp_step(&self, id: StaffId, step: i64) -> Result<bool, StoreError> {
        const USE: &str = "update staff set totp_step = $2 where id = $1 and totp_confirmed = 1 \
            and (totp_step is null or totp_step < $2)";
        let mut session = self.write().await?;
        let used =
            sqlx::query(USE).bind(id.to_string()).bind(step).execute(session.connection()).await?;
        session.commit(&[]).await?;
        Ok(used.rows_affected() == 1)
    }

    /// Uses up a recovery code. False if there is none with this hash, or it was used before.
    pub async fn use_recovery_code(
        &self,
        now: Timestamp,
        id: StaffId,
        hash: &str,
        audit_entry: &AuditEntry,
    ) -> Result<bool, StoreError> {
        const USE: &str = "update recovery_code set used_at = $3 \
            where staff_id = $1 and hash = $2 and used_at is null";
        let mut session = self.write().await?;
        let used = sqlx::query(USE)
            .bind(id.to_string())
            .bind(hash)
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        if used.rows_affected() == 0 {
            return Ok(false);
        }
        audit::append(session.connection(), now, audit_entry).await?;
        session.commit(&[]).await?;
        Ok(true)
    }

    /// How many recovery codes are left.
    pub async fn recovery_codes_left(&self, id: StaffId) -> Result<u32, StoreError> {
        const COUNT: &str = "select count(*) as n from recovery_code \
            where staff_id = $1 and used_at is null";
        let mut session = self.glance().await?;
        let row = sqlx::query(COUNT).bind(id.to_string()).fetch_one(session.connection()).await?;
        Fields::new("recovery_code", &row).integer("n")
    }

    /// Replaces all recovery codes by those with these hashes.
    pub async fn set_recovery_codes(
        &self,
        now: Timestamp,
        id: StaffId,
        codes: &[String],
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        replace_codes(session.connection(), id, codes).await?;
        session.commit(&[]).await
    }

    /// Ties an account to somebody at an identity provider, or unties it.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `staff_subject` if that somebody has another account.
    pub async fn link_subject(
        &self,
        now: Timestamp,
        id: StaffId,
        subject: Option<(&str, &str)>,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        staff::link(session.connection(), now, id, subject).await?;
        session.commit(&[]).await
    }
}

async fn replace_codes(
    connection: &mut AnyConnection,
    id: StaffId,
    codes: &[String],
) -> Result<(), StoreError> {
    const FORGET: &str = "delete from recovery_code where staff_id = $1";
    const INSERT: &str = "insert into recovery_code (staff_id, hash) values ($1, $2)";
    sqlx::query(FORGET).bind(id.to_string()).execute(&mut *connection).await?;
    for code in codes {
        sqlx::query(INSERT)
            .bind(id.to_string())
            .bind(code.as_str())
            .execute(&mut *connection)
            .await?;
    }
    Ok(())
}
