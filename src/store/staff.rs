//! Rows of the staff: accounts and their sessions.

use jiff::{SignedDuration, Timestamp};
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::id::{HealthCenterId, StaffId};
use crate::registry::staff::FIRST_PASSWORD;
use crate::registry::{AuditEntry, ConsoleLanguage, Role, Staff};
use crate::store::audit;
use crate::store::row::{Fields, millis};
use crate::store::{Store, StoreError};

/// An account with what proves that somebody is its owner.
#[derive(Clone, Debug)]
pub struct Account {
    /// Whose it is.
    pub staff: Staff,
    /// The hash of the password as a PHC string.
    pub password: Option<Private<String>>,
    /// From when on the password opens nothing: it was made by somebody else, and never replaced.
    pub password_ends_at: Option<Timestamp>,
    /// The secret of the one-time passwords, sealed.
    pub totp_secret: Option<Private<String>>,
    /// The secret that is being set up, sealed.
    pub totp_pending: Option<Private<String>>,
    /// The step of the one-time password that was used last.
    pub totp_step: Option<i64>,
    /// Wrong passwords and codes in a row.
    pub failures: u32,
    /// Issuer and subject at an identity provider.
    pub subject: Option<(String, String)>,
}

/// A session of a browser.
#[derive(Clone, Debug)]
pub struct SignedIn {
    /// Whose it is.
    pub staff: Staff,
    /// SHA-256 of the cookie in hexadecimal, which names the session.
    pub token: String,
    /// What every form has to bring back.
    pub csrf: Private<String>,
    /// How far signing in has come.
    pub stage: Stage,
    /// Since when.
    pub created_at: Timestamp,
    /// When it was last used.
    pub seen_at: Timestamp,
    /// From where.
    pub address: String,
    /// With which browser, as it says itself.
    pub agent: String,
}

/// How far signing in has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stage {
    /// The password was right; the second factor is missing.
    SecondFactor,
    /// Signed in.
    Full,
}

impl Stage {
    fn as_str(self) -> &'static str {
        match self {
            Self::SecondFactor => "second_factor",
            Self::Full => "full",
        }
    }

    fn parse(text: &str) -> Option<Self> {
        [Self::SecondFactor, Self::Full].into_iter().find(|stage| stage.as_str() == text)
    }
}

macro_rules! select_staff {
    ($rest:literal) => {
        concat!(
            "select f.id, f.health_center_id, f.clinic_id, f.login, f.name, f.roles, f.state, \
             f.language, f.password, f.must_change_password, f.password_ends_at, \
             f.totp_secret, f.totp_confirmed, f.totp_step, f.totp_pending, f.failures, f.locked_until, f.oidc_issuer, \
             f.oidc_subject",
            $rest
        )
    };
}

impl Store {
    /// Adds an account. The password is the hash as a PHC string.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `staff_login` if the name is taken.
    pub async fn add_staff(
        &self,
        now: Timestamp,
        staff: &Staff,
        password: Option<&Private<String>>,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into staff (id, health_center_id, clinic_id, login, name, \
            roles, state, language, password, must_change_password, password_ends_at, \
            totp_confirmed, failures, created_at, updated_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $12, 0, 0, $11, $11)";
        let ends_at = password.filter(|_| staff.must_change_password).map(|_| now + FIRST_PASSWORD);
        let mut session = self.write().await?;
        sqlx::query(INSERT)
            .bind(staff.id.to_string())
            .bind(staff.health_center.map(|id| id.to_string()))
            .bind(staff.clinic.map(|id| id.to_string()))
            .bind(staff.login.as_str())
            .bind(staff.name.expose().as_str())
            .bind(words(&staff.roles))
            .bind(if staff.is_active { "active" } else { "disabled" })
            .bind(staff.language.as_str())
            .bind(password.map(|hash| hash.expose().clone()))
            .bind(i64::from(staff.must_change_password))
            .bind(millis(now))
            .bind(ends_at.map(millis))
            .execute(session.connection())
            .await?;
        audit::append(session.connection(), now, audit_entry).await?;
        session.commit(&[]).await
    }

    /// The account with that login.
    pub async fn account(&self, login: &str) -> Result<Option<Account>, StoreError> {
        const BY_LOGIN: &str = select_staff!(" from staff f where f.login = $1");
        let mut session = self.glance().await?;
        let row = sqlx::query(BY_LOGIN).bind(login).fetch_optional(session.connection()).await?;
        row.as_ref().map(account).transpose()
    }

    /// One member of the staff.
    pub async fn staff(&self, id: StaffId) -> Result<Staff, StoreError> {
        const BY_ID: &str = select_staff!(" from staff f where f.id = $1");
        let mut session = self.glance().await?;
        let row =
            sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(session.connection()).await?;
        row.as_ref().map(staff).transpose()?.ok_or(StoreError::NotFound { what: "staff" })
    }

    /// The staff of a centre, or with `None` everybody, by login.
    pub async fn staff_list(
        &self,
        center: Option<HealthCenterId>,
    ) -> Result<Vec<Staff>, StoreError> {
        const LIST: &str = select_staff!(
            " from staff f where ($1 = '' or f.health_center_id = $1) order by f.login"
        );
        let mut session = self.glance().await?;
        let rows = sqlx::query(LIST)
            .bind(center.map(|id| id.to_string()).unwrap_or_default())
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(staff).collect()
    }

    /// Begins a session. `token` is the SHA-256 of the cookie. Signing in in full forgets how often
    /// passwords were wrong.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the account was disabled meanwhile.
    pub async fn begin_session(
        &self,
        now: Timestamp,
        signed_in: &SignedIn,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        forget_old_sessions(session.connection(), now).await?;
        insert_session(session.connection(), now, signed_in).await?;
        session.commit(&[]).await
    }

    /// Puts a session with a new token in the place of one: after a second factor, or a change of
    /// rights, a token that somebody may have seen before is worth nothing.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if the old one has ended, or the account was disabled.
    pub async fn renew_session(
        &self,
        now: Timestamp,
        old: &str,
        new: &SignedIn,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const END: &str = "update staff_session set ended_at = $2 \
            where token = $1 and staff_id = $3 and ended_at is null";
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        let ended = sqlx::query(END)
            .bind(old)
            .bind(millis(now))
            .bind(new.staff.id.to_string())
            .execute(session.connection())
            .await?;
        if ended.rows_affected() == 0 {
            return Err(StoreError::Stale { what: "session" });
        }
        insert_session(session.connection(), now, new).await?;
        session.commit(&[]).await
    }

    /// The sessions of an account that have not ended, the latest first. Those that nobody used for
    /// too long are among them.
    pub async fn sessions_of(&self, id: StaffId) -> Result<Vec<SignedIn>, StoreError> {
        const OF_STAFF: &str = select_staff!(
            ", s.token, s.csrf, s.stage, s.created_at, s.seen_at, s.address, s.agent \
             from staff_session s join staff f on f.id = s.staff_id \
             where s.staff_id = $1 and s.ended_at is null order by s.seen_at desc, s.token"
        );
        let mut session = self.glance().await?;
        let rows =
            sqlx::query(OF_STAFF).bind(id.to_string()).fetch_all(session.connection()).await?;
        rows.iter().map(signed_in).collect()
    }

    /// Ends all sessions of an account but the one with the token `kept`.
    pub async fn end_sessions_of(
        &self,
        now: Timestamp,
        id: StaffId,
        kept: &str,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        let mut session = self.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        end_all(session.connection(), now, id, kept).await?;
        session.commit(&[]).await
    }

    /// The session that this token names, if it has not ended and its account is active.
    pub async fn session(&self, token: &str) -> Result<Option<SignedIn>, StoreError> {
        const BY_TOKEN: &str = select_staff!(
            ", s.token, s.csrf, s.stage, s.created_at, s.seen_at, s.address, s.agent \
             from staff_session s join staff f on f.id = s.staff_id \
             where s.token = $1 and s.ended_at is null and f.state = 'active'"
        );
        let mut session = self.glance().await?;
        let row = sqlx::query(BY_TOKEN).bind(token).fetch_optional(session.connection()).await?;
        row.as_ref().map(signed_in).transpose()
    }

    /// Notes that a session is in use.
    pub async fn touch_session(&self, now: Timestamp, token: &str) -> Result<(), StoreError> {
        const TOUCH: &str =
            "update staff_session set seen_at = $2 where token = $1 and ended_at is null";
        let mut session = self.write().await?;
        sqlx::query(TOUCH).bind(token).bind(millis(now)).execute(session.connection()).await?;
        session.commit(&[]).await
    }

    /// Ends a session.
    pub async fn end_session(
        &self,
        now: Timestamp,
        token: &str,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const END: &str =
            "update staff_session set ended_at = $2 where token = $1 and ended_at is null";
        let mut session = self.write().await?;
        sqlx::query(END).bind(token).bind(millis(now)).execute(session.connection()).await?;
        audit::append(session.connection(), now, audit_entry).await?;
        session.commit(&[]).await
    }

    /// Remembers the language that somebody chose.
    pub async fn set_language(
        &self,
        now: Timestamp,
        id: StaffId,
        language: ConsoleLanguage,
    ) -> Result<(), StoreError> {
        const SET: &str = "update staff set language = $2, updated_at = $3 where id = $1";
        let mut session = self.write().await?;
        sqlx::query(SET)
            .bind(id.to_string())
            .bind(language.as_str())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }
}

/// Sessions are kept so long after their last use, for whoever looks into what happened.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(24 * 90);

async fn forget_old_sessions(
    connection: &mut AnyConnection,
    now: Timestamp,
) -> Result<(), StoreError> {
    const FORGET: &str = "delete from staff_session where seen_at < $1";
    sqlx::query(FORGET).bind(millis(now - REMEMBERED)).execute(connection).await?;
    Ok(())
}

async fn insert_session(
    connection: &mut AnyConnection,
    now: Timestamp,
    signed_in: &SignedIn,
) -> Result<(), StoreError> {
    const INSERT: &str = "insert into staff_session \
        (token, staff_id, csrf, stage, created_at, seen_at, address, agent) \
        select $1, f.id, $3, $4, $5, $6, $7, $8 from staff f \
        where f.id = $2 and f.state = 'active'";
    const FORGIVE: &str = "update staff set failures = 0, locked_until = null where id = $1";
    let inserted = sqlx::query(INSERT)
        .bind(signed_in.token.as_str())
        .bind(signed_in.staff.id.to_string())
        .bind(signed_in.csrf.expose().as_str())
        .bind(signed_in.stage.as_str())
        .bind(millis(signed_in.created_at))
        .bind(millis(now))
        .bind(signed_in.address.as_str())
        .bind(signed_in.agent.as_str())
        .execute(&mut *connection)
        .await?;
    if inserted.rows_affected() == 0 {
        return Err(StoreError::Stale { what: "account" });
    }
    if signed_in.stage == Stage::Full {
        let id = signed_in.staff.id.to_string();
        sqlx::query(FORGIVE).bind(id).execute(connection).await?;
    }
    Ok(())
}

/// Ends the sessions of an account but one, within a transaction.
pub(super) async fn end_all(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: StaffId,
    kept: &str,
) -> Result<(), StoreError> {
    const END: &str = "update staff_session set ended_at = $2 \
        where staff_id = $1 and token <> $3 and ended_at is null";
    sqlx::query(END).bind(id.to_string()).bind(millis(now)).bind(kept).execute(connection).await?;
    Ok(())
}

pub(super) async fn account_by_id(
    connection: &mut AnyConnection,
    id: StaffId,
) -> Result<Account, StoreError> {
    const BY_ID: &str = select_staff!(" from staff f where f.id = $1");
    let row = sqlx::query(BY_ID).bind(id.to_string()).fetch_optional(connection).await?;
    row.as_ref().map(account).transpose()?.ok_or(StoreError::NotFound { what: "staff" })
}

pub(super) async fn account_by_subject(
    connection: &mut AnyConnection,
    issuer: &str,
    subject: &str,
) -> Result<Option<Account>, StoreError> {
    const BY_SUBJECT: &str =
        select_staff!(" from staff f where f.oidc_issuer = $1 and f.oidc_subject = $2");
    let row = sqlx::query(BY_SUBJECT).bind(issuer).bind(subject).fetch_optional(connection).await?;
    row.as_ref().map(account).transpose()
}

pub(super) async fn link(
    connection: &mut AnyConnection,
    now: Timestamp,
    id: StaffId,
    subject: Option<(&str, &str)>,
) -> Result<(), StoreError> {
    const LINK: &str = "update staff set oidc_issuer = $2, oidc_subject = $3, updated_at = $4 \
        where id = $1";
    sqlx::query(LINK)
        .bind(id.to_string())
        .bind(subject.map(|(issuer, _)| issuer.to_owned()))
        .bind(subject.map(|(_, subject)| subject.to_owned()))
        .bind(millis(now))
        .execute(connection)
        .await?;
    Ok(())
}

pub(super) fn words(roles: &[Role]) -> String {
    roles.iter().map(|role| role.as_str()).collect::<Vec<_>>().join(" ")
}

fn staff(row: &AnyRow) -> Result<Staff, StoreError> {
    let fields = Fields::new("staff", row);
    let roles = fields.text("roles")?.split_whitespace().map(Role::parse).collect::<Option<_>>();
    Ok(Staff {
        id: fields.parsed("id")?,
        health_center: fields.parsed_or_null("health_center_id")?,
        clinic: fields.parsed_or_null("clinic_id")?,
        login: fields.text("login")?.to_owned(),
        name: fields.text("name")?.to_owned().into(),
        roles: roles.ok_or_else(|| fields.corrupt("roles"))?,
        is_active: fields.text("state")? == "active",
        language: fields.word("language", ConsoleLanguage::parse)?,
        has_second_factor: fields.flag("totp_confirmed")?,
        must_change_password: fields.flag("must_change_password")?,
        locked_until: fields.time_or_null("locked_until")?,
    })
}

fn account(row: &AnyRow) -> Result<Account, StoreError> {
    let fields = Fields::new("staff", row);
    let private = |text: Option<&str>| text.map(|text| Private::new(text.to_owned()));
    Ok(Account {
        staff: staff(row)?,
        password: private(fields.text_or_null("password")?),
        password_ends_at: fields.time_or_null("password_ends_at")?,
        totp_secret: private(fields.text_or_null("totp_secret")?),
        totp_pending: private(fields.text_or_null("totp_pending")?),
        totp_step: fields.integer_or_null("totp_step")?,
        failures: fields.integer("failures")?,
        subject: fields
            .text_or_null("oidc_issuer")?
            .zip(fields.text_or_null("oidc_subject")?)
            .map(|(issuer, subject)| (issuer.to_owned(), subject.to_owned())),
    })
}

fn signed_in(row: &AnyRow) -> Result<SignedIn, StoreError> {
    let fields = Fields::new("staff_session", row);
    Ok(SignedIn {
        staff: staff(row)?,
        token: fields.text("token")?.to_owned(),
        csrf: fields.text("csrf")?.to_owned().into(),
        stage: fields.word("stage", Stage::parse)?,
        created_at: fields.time("created_at")?,
        seen_at: fields.time("seen_at")?,
        address: fields.text("address")?.to_owned(),
        agent: fields.text("agent")?.to_owned(),
    })
}
