//! Accounts, clinics and tokens, as far as one administrator reaches: every statement here is bound
//! to a [`Reach`].

use jiff::Timestamp;
use sqlx::AnyConnection;
use sqlx::any::AnyRow;

use crate::base::Private;
use crate::base::id::{ClinicId, HealthCenterId, PatientId, StaffId, TokenId};
use crate::registry::staff::FIRST_PASSWORD;
use crate::registry::token::{right_of, scope_of};
use crate::registry::{ApiToken, AuditEntry, Clinic, Reach, Right, Staff};
use crate::store::row::{Fields, millis};
use crate::store::staff::words;
use crate::store::{SignedIn, Store, StoreError, Within};
use crate::store::{audit, staff};

macro_rules! select_tokens {
    ($rest:literal) => {
        concat!(
            "select t.id, t.staff_id, t.name, t.scopes, t.created_at, t.expires_at, \
             t.last_used_at, t.revoked_at from api_token t ",
            $rest
        )
    };
}

/// The store as far as a manager of accounts reaches.
#[derive(Clone, Copy, Debug)]
pub struct Managing<'a> {
    store: &'a Store,
    reach: Reach,
    by: Option<StaffId>,
}

impl Store {
    /// The accounts as far as this reach goes.
    pub fn managing(&self, reach: Reach) -> Managing<'_> {
        Managing { store: self, reach, by: None }
    }

    /// The token with this hash and its owner, if it is neither revoked nor expired, the owner is
    /// active, and still belongs to the centre that the token was made for.
    pub async fn bearer(
        &self,
        now: Timestamp,
        hash: &str,
    ) -> Result<Option<(ApiToken, Staff)>, StoreError> {
        const BY_HASH: &str = select_tokens!(
            "join staff f on f.id = t.staff_id where t.hash = $1 and t.revoked_at is null \
             and t.expires_at > $2 and f.state = 'active' \
             and coalesce(t.health_center_id, '') = coalesce(f.health_center_id, '')"
        );
        let mut session = self.glance().await?;
        let row = sqlx::query(BY_HASH)
            .bind(hash)
            .bind(millis(now))
            .fetch_optional(session.connection())
            .await?;
        let Some(row) = row else { return Ok(None) };
        let token = token(&row)?;
        let owner = staff::account_by_id(session.connection(), token.owner).await?.staff;
        Ok(Some((token, owner)))
    }

    /// Notes that a token is in use.
    pub async fn touch_token(&self, now: Timestamp, id: TokenId) -> Result<(), StoreError> {
        const TOUCH: &str = "update api_token set last_used_at = $2 where id = $1";
        let mut session = self.write().await?;
        sqlx::query(TOUCH)
            .bind(id.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }
}

impl Managing<'_> {
    /// The same, on behalf of somebody, who cannot change what they themselves may do.
    #[must_use]
    pub fn by(self, id: StaffId) -> Self {
        Self { by: Some(id), ..self }
    }

    /// The accounts, by login.
    pub async fn staff(&self) -> Result<Vec<Staff>, StoreError> {
        self.store.staff_list(self.reach.center()).await
    }

    /// One account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for an account of another centre.
    pub async fn one(&self, id: StaffId) -> Result<Staff, StoreError> {
        let found = self.store.staff(id).await?;
        self.must_reach(found.health_center, "staff")?;
        Ok(found)
    }

    /// Adds an account.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the centre or the clinic is out of reach,
    /// [`StoreError::Conflict`] with `staff_login` if the name is taken.
    pub async fn add(
        &self,
        now: Timestamp,
        staff: &Staff,
        password: Option<&Private<String>>,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        self.must_reach(staff.health_center, "health center")?;
        self.must_have_clinic(staff).await?;
        self.store.add_staff(now, staff, password, audit_entry).await
    }

    /// Changes name, roles, centre, clinic and whether the account is active. If what it may do
    /// changes, its sessions end.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] if the account, the centre or the clinic is out of reach,
    /// [`StoreError::Conflict`] with [`LAST_ADMINISTRATOR`] if nobody would be left who can manage
    /// accounts, or with [`OWN_RIGHTS`] if it is one's own.
    pub async fn change(
        &self,
        now: Timestamp,
        staff: &Staff,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const CHANGE: &str = "update staff set name = $2, health_center_id = $3, clinic_id = $4, \
            roles = $5, state = $6, updated_at = $7 where id = $1";
        let before = self.one(staff.id).await?;
        if !before.has_rights_of(staff) {
            self.must_be_another(staff.id)?;
        }
        self.must_reach(staff.health_center, "health center")?;
        self.must_have_clinic(staff).await?;
        let mut session = self.store.write().await?;
        // The head of the chain is locked from here on: two who take each other's rights away come
        // one after the other.
        audit::append(session.connection(), now, audit_entry).await?;
        sqlx::query(CHANGE)
            .bind(staff.id.to_string())
            .bind(staff.name.expose().as_str())
            .bind(staff.health_center.map(|id| id.to_string()))
            .bind(staff.clinic.map(|id| id.to_string()))
            .bind(words(&staff.roles))
            .bind(if staff.is_active { "active" } else { "disabled" })
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        must_have_administrator(session.connection()).await?;
        if !before.has_rights_of(staff) {
            staff::end_all(session.connection(), now, staff.id, "").await?;
        }
        session.commit(&[]).await
    }

    /// Gives a new password, to be replaced when it is first used, and within days; unlocks the
    /// account and ends its sessions.
    pub async fn reset_password(
        &self,
        now: Timestamp,
        id: StaffId,
        hash: &Private<String>,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const RESET: &str = "update staff set password = $2, must_change_password = 1, \
            password_ends_at = $4, failures = 0, locked_until = null, updated_at = $3 \
            where id = $1";
        self.one(id).await?;
        self.must_be_another(id)?;
        let mut session = self.store.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        sqlx::query(RESET)
            .bind(id.to_string())
            .bind(hash.expose().as_str())
            .bind(millis(now))
            .bind(millis(now + FIRST_PASSWORD))
            .execute(session.connection())
            .await?;
        staff::end_all(session.connection(), now, id, "").await?;
        session.commit(&[]).await
    }

    /// Takes the second factor and its recovery codes away, to be set up anew, and ends the
    /// sessions.
    pub async fn reset_second_factor(
        &self,
        now: Timestamp,
        id: StaffId,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const RESET: &str = "update staff set totp_secret = null, totp_pending = null, \
            totp_confirmed = 0, totp_step = null, updated_at = $2 where id = $1";
        const FORGET: &str = "delete from recovery_code where staff_id = $1";
        self.one(id).await?;
        self.must_be_another(id)?;
        let mut session = self.store.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        sqlx::query(RESET)
            .bind(id.to_string())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        sqlx::query(FORGET).bind(id.to_string()).execute(session.connection()).await?;
        staff::end_all(session.connection(), now, id, "").await?;
        session.commit(&[]).await
    }

    /// Ends all sessions of an account.
    pub async fn end_sessions(
        &self,
        now: Timestamp,
        id: StaffId,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        self.one(id).await?;
        self.store.end_sessions_of(now, id, "", audit_entry).await
    }

    /// The sessions of an account that have not ended, the latest first.
    pub async fn sessions(&self, id: StaffId) -> Result<Vec<SignedIn>, StoreError> {
        self.one(id).await?;
        self.store.sessions_of(id).await
    }

    /// Ties an account to somebody at an identity provider, or unties it.
    ///
    /// # Errors
    /// As [`Store::link_subject`]; [`StoreError::Conflict`] with [`OWN_RIGHTS`] if it is one's own.
    pub async fn link_subject(
        &self,
        now: Timestamp,
        id: StaffId,
        subject: Option<(&str, &str)>,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        self.one(id).await?;
        self.must_be_another(id)?;
        self.store.link_subject(now, id, subject, audit_entry).await
    }

    /// The clinics, by centre and code.
    pub async fn clinics(&self) -> Result<Vec<Clinic>, StoreError> {
        clinics(self.store, self.reach.center()).await
    }

    /// Adds a clinic.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] with `clinic_code` if the centre has one with this code.
    pub async fn add_clinic(
        &self,
        now: Timestamp,
        clinic: &Clinic,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into clinic (id, health_center_id, code, name, created_at) \
            values ($1, $2, $3, $4, $5)";
        self.must_reach(Some(clinic.health_center), "health center")?;
        let mut session = self.store.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        sqlx::query(INSERT)
            .bind(clinic.id.to_string())
            .bind(clinic.health_center.to_string())
            .bind(clinic.code.as_str())
            .bind(clinic.name.as_str())
            .bind(millis(now))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// The tokens of the accounts, those in use first.
    pub async fn tokens(&self) -> Result<Vec<ApiToken>, StoreError> {
        const LIST: &str = select_tokens!(
            "join staff f on f.id = t.staff_id where ($1 = '' or f.health_center_id = $1) \
             order by case when t.revoked_at is null then 0 else 1 end, t.created_at desc, t.id"
        );
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(LIST)
            .bind(self.reach.center().map(|id| id.to_string()).unwrap_or_default())
            .fetch_all(session.connection())
            .await?;
        rows.iter().map(token).collect()
    }

    /// Adds a token with this hash. It is bound to the centre that its owner belongs to now.
    pub async fn add_token(
        &self,
        now: Timestamp,
        token: &ApiToken,
        hash: &str,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const INSERT: &str = "insert into api_token \
            (id, staff_id, health_center_id, name, scopes, hash, created_at, expires_at) \
            values ($1, $2, $3, $4, $5, $6, $7, $8)";
        let owner = self.one(token.owner).await?;
        let scopes: Vec<&str> = token.rights.iter().filter_map(|right| scope_of(*right)).collect();
        let mut session = self.store.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        sqlx::query(INSERT)
            .bind(token.id.to_string())
            .bind(token.owner.to_string())
            .bind(owner.health_center.map(|id| id.to_string()))
            .bind(token.name.as_str())
            .bind(scopes.join(" "))
            .bind(hash)
            .bind(millis(now))
            .bind(millis(token.expires_at))
            .execute(session.connection())
            .await?;
        session.commit(&[]).await
    }

    /// Revokes a token, for good.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for a token of another centre.
    pub async fn revoke_token(
        &self,
        now: Timestamp,
        id: TokenId,
        audit_entry: &AuditEntry,
    ) -> Result<(), StoreError> {
        const REVOKE: &str = "update api_token set revoked_at = coalesce(revoked_at, $2) \
            where id = $1 and ($3 = '' or staff_id in \
            (select id from staff where health_center_id = $3))";
        let mut session = self.store.write().await?;
        audit::append(session.connection(), now, audit_entry).await?;
        let revoked = sqlx::query(REVOKE)
            .bind(id.to_string())
            .bind(millis(now))
            .bind(self.reach.center().map(|id| id.to_string()).unwrap_or_default())
            .execute(session.connection())
            .await?;
        if revoked.rows_affected() == 0 {
            return Err(StoreError::NotFound { what: "token" });
        }
        session.commit(&[]).await
    }

    fn must_reach(
        &self,
        center: Option<HealthCenterId>,
        what: &'static str,
    ) -> Result<(), StoreError> {
        match self.reach {
            Reach::Center(own) if center != Some(own) => Err(StoreError::NotFound { what }),
            _ => Ok(()),
        }
    }

    /// What lets people in is not changed by themselves past the page that asks for their password.
    fn must_be_another(&self, id: StaffId) -> Result<(), StoreError> {
        if self.by == Some(id) {
            return Err(StoreError::Conflict { constraint: OWN_RIGHTS.to_owned() });
        }
        Ok(())
    }

    /// A clinic belongs to the centre of its staff.
    async fn must_have_clinic(&self, staff: &Staff) -> Result<(), StoreError> {
        let Some(id) = staff.clinic else { return Ok(()) };
        let of_center = clinics(self.store, staff.health_center).await?;
        let has =
            |clinic: &Clinic| clinic.id == id && Some(clinic.health_center) == staff.health_center;
        of_center.iter().any(has).then_some(()).ok_or(StoreError::NotFound { what: "clinic" })
    }
}

/// The rule that nobody changes their own rights.
pub const OWN_RIGHTS: &str = "staff_own_rights";

/// The rule that somebody must be left who can manage accounts.
pub const LAST_ADMINISTRATOR: &str = "staff_last_administrator";

async fn must_have_administrator(connection: &mut AnyConnection) -> Result<(), StoreError> {
    const COUNT: &str = "select count(*) as n from staff where state = 'active' \
        and ' ' || roles || ' ' like '% administrator %'";
    let row = sqlx::query(COUNT).fetch_one(connection).await?;
    if Fields::new("staff", &row).integer::<i64>("n")? == 0 {
        return Err(StoreError::Conflict { constraint: LAST_ADMINISTRATOR.to_owned() });
    }
    Ok(())
}

impl Within<'_> {
    /// The clinics of the centre, by code; of a clinic's member, their own.
    pub async fn clinics(&self) -> Result<Vec<Clinic>, StoreError> {
        let mut all = clinics(self.store, Some(self.scope.center)).await?;
        all.retain(|clinic| self.scope.clinic.is_none_or(|own| own == clinic.id));
        Ok(all)
    }

    /// The clinic that looks after a patient.
    pub async fn clinic_of(&self, patient: PatientId) -> Result<Option<ClinicId>, StoreError> {
        const SELECT: &str = "select p.clinic_id from patient p where p.id = $1 \
            and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3)";
        let mut session = self.store.glance().await?;
        let row = sqlx::query(SELECT)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(session.connection())
            .await?
            .ok_or(StoreError::NotFound { what: "patient" })?;
        Fields::new("patient", &row).parsed_or_null("clinic_id")
    }
}

async fn clinics(store: &Store, center: Option<HealthCenterId>) -> Result<Vec<Clinic>, StoreError> {
    const LIST: &str = "select c.id, c.health_center_id, c.code, c.name from clinic c \
        where ($1 = '' or c.health_center_id = $1) order by c.health_center_id, c.code";
    let mut session = store.glance().await?;
    let rows = sqlx::query(LIST)
        .bind(center.map(|id| id.to_string()).unwrap_or_default())
        .fetch_all(session.connection())
        .await?;
    rows.iter().map(clinic).collect()
}

fn clinic(row: &AnyRow) -> Result<Clinic, StoreError> {
    let fields = Fields::new("clinic", row);
    Ok(Clinic {
        id: fields.parsed("id")?,
        health_center: fields.parsed("health_center_id")?,
        code: fields.text("code")?.to_owned(),
        name: fields.text("name")?.to_owned(),
    })
}

fn token(row: &AnyRow) -> Result<ApiToken, StoreError> {
    let fields = Fields::new("api_token", row);
    let rights: Option<Vec<Right>> =
        fields.text("scopes")?.split_whitespace().map(right_of).collect();
    Ok(ApiToken {
        id: fields.parsed("id")?,
        owner: fields.parsed("staff_id")?,
        name: fields.text("name")?.to_owned(),
        rights: rights.ok_or_else(|| fields.corrupt("scopes"))?,
        created_at: fields.time("created_at")?,
        expires_at: fields.time("expires_at")?,
        last_used_at: fields.time_or_null("last_used_at")?,
        revoked_at: fields.time_or_null("revoked_at")?,
    })
}
