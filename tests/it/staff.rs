//! Accounts of the staff, as the tests have them made.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use jiff::Timestamp;
use mimamori::base::id::HealthCenterId;
use mimamori::registry::{Actor, AuditEntry, ConsoleLanguage, Role, Staff};
use mimamori::store::Store;

/// An account of one role that may sign in, and that nobody has made yet.
pub(crate) fn member(
    store: &Store,
    now: Timestamp,
    login: &str,
    role: Role,
    health_center: Option<HealthCenterId>,
) -> Staff {
    Staff {
        id: store.mint(now),
        health_center,
        clinic: None,
        login: login.to_owned(),
        name: format!("職員 {login}").into(),
        roles: vec![role],
        is_active: true,
        language: ConsoleLanguage::Ja,
        has_second_factor: false,
        must_change_password: false,
        locked_until: None,
    }
}

/// What the audit hears of something that nobody in particular does.
pub(crate) fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action,
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

/// Makes the account.
pub(crate) async fn hire(store: &Store, now: Timestamp, staff: Staff) -> Staff {
    let entry = AuditEntry {
        health_center: staff.health_center,
        object: staff.id.to_string(),
        ..entry("staff.added")
    };
    store.add_staff(now, &staff, None, &entry).await.unwrap();
    staff
}
