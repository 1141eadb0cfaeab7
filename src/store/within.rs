//! What one member of the staff may see: every query here is bound to a [`Scope`].
//!
//! Pages and the API read people only through [`Within`]. It cannot be made without a scope, and
//! each of its statements names the centre (and the clinic), so that a forgotten check in a route
//! shows nothing of another centre.

use jiff::Timestamp;
use sqlx::AnyConnection;

use crate::base::id::{HealthCenterId, PatientId, StaffId};
use crate::registry::{Actor, AuditEntry, Patient, Scope};
use crate::store::audit;
use crate::store::registry::{fold_patients, select_patients};
use crate::store::{Dialect, Store, StoreError};

/// The store as far as a [`Scope`] reaches. Other files of this module add to it what their pages
/// read.
#[derive(Clone, Copy, Debug)]
pub struct Within<'a> {
    pub(super) store: &'a Store,
    pub(super) scope: Scope,
}

impl Store {
    /// The store as far as this scope reaches.
    pub fn within(&self, scope: Scope) -> Within<'_> {
        Within { store: self, scope }
    }
}

/// Locks a patient's row, if the scope reaches it.
macro_rules! hold_patient {
    ($lock:literal) => {
        concat!(
            "select p.id from patient p where p.id = $1 and p.health_center_id = $2 \
             and ($3 = '' or p.clinic_id = $3)",
            $lock
        )
    };
}

impl Within<'_> {
    /// The centre.
    pub fn center(&self) -> HealthCenterId {
        self.scope.center
    }

    /// The centre as a parameter.
    pub(super) fn center_text(&self) -> String {
        self.scope.center.to_string()
    }

    /// The clinic as a parameter; empty if the whole centre may be seen.
    pub(super) fn clinic_text(&self) -> String {
        self.scope.clinic.map(|id| id.to_string()).unwrap_or_default()
    }

    /// One patient.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] also for a patient of somebody else: that one exists is told to
    /// nobody.
    pub async fn patient(&self, id: PatientId) -> Result<Patient, StoreError> {
        const BY_ID: &str = select_patients!(
            "where p.id = $1 and p.health_center_id = $2 and ($3 = '' or p.clinic_id = $3)"
        );
        let mut session = self.store.glance().await?;
        let rows = sqlx::query(BY_ID)
            .bind(id.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_all(session.connection())
            .await?;
        fold_patients(&rows)?.pop().ok_or(StoreError::NotFound { what: "patient" })
    }

    /// Lets one transaction at a time decide about a patient, whom the scope must reach.
    ///
    /// # Errors
    /// [`StoreError::NotFound`] as [`Self::patient`].
    pub(super) async fn hold(
        &self,
        connection: &mut AnyConnection,
        patient: PatientId,
    ) -> Result<(), StoreError> {
        // `begin immediate` has locked the whole file.
        const SQLITE_HOLD: &str = hold_patient!("");
        const POSTGRES_HOLD: &str = hold_patient!(" for no key update");
        let hold = match self.store.dialect {
            Dialect::Sqlite => SQLITE_HOLD,
            Dialect::Postgres => POSTGRES_HOLD,
        };
        let row = sqlx::query(hold)
            .bind(patient.to_string())
            .bind(self.center_text())
            .bind(self.clinic_text())
            .fetch_optional(connection)
            .await?;
        row.map(|_| ()).ok_or(StoreError::NotFound { what: "patient" })
    }

    /// Writes down what a member of the staff did to a patient, within its transaction.
    pub(super) async fn sign(
        &self,
        connection: &mut AnyConnection,
        now: Timestamp,
        by: StaffId,
        patient: PatientId,
        (action, object, detail): (&'static str, String, String),
    ) -> Result<(), StoreError> {
        let entry = AuditEntry {
            actor: Actor::Staff(by),
            health_center: Some(self.scope.center),
            action,
            patient: Some(patient),
            object,
            detail,
        };
        audit::append(connection, now, &entry).await
    }
}
