//! What can go wrong with the database, told without the contents of any row.

use crate::base::Bilingual;
use sqlx::error::{DatabaseError, ErrorKind};

/// An operation on the store failed. None of its effects remain.
///
/// Neither `Display` nor `Debug` shows a value of a row: databases quote rows in their errors.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The database cannot be reached, is full, locked or shutting down. The next turn may try
    /// again.
    #[error("the database is not available ({reason})")]
    Unavailable {
        /// The kind of failure, such as `sqlite 13 (full)` or `postgres 57P01`.
        reason: String,
    },
    /// Something that may exist at most once exists already, or a rule of the tables is broken.
    #[error("against the rule {constraint}")]
    Conflict {
        /// The name of the constraint, the same on both databases.
        constraint: String,
    },
    /// The row is no longer in the state that the caller supposes: somebody else settled it.
    #[error("the {what} was settled by somebody else")]
    Stale {
        /// What was settled, such as `attempt`.
        what: &'static str,
    },
    /// There is no such row.
    #[error("no such {what}")]
    NotFound {
        /// What was looked for, such as `patient`.
        what: &'static str,
    },
    /// A stored value cannot be understood.
    #[error("unreadable value in {table}.{column}")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// The tables could not be brought up to date.
    #[error("cannot migrate the database: {reason}")]
    Migration {
        /// What hindered it, such as `version 3 was changed after it was applied`.
        reason: String,
    },
    /// `--database` names no database that is known.
    #[error("not a database: expected a file or postgres://…")]
    UnknownDatabase,
    /// The database refused a statement: a fault of ours.
    #[error("the database refused a statement ({code})")]
    Refused {
        /// The database's own code.
        code: String,
    },
}

impl StoreError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Unavailable { reason } => format!("データベースを使えません({reason})"),
            Self::Conflict { constraint } => format!("規則 {constraint} に反します"),
            Self::Stale { what } => format!("{what} は、ほかの人がすでに処理しました"),
            Self::NotFound { what } => format!("{what} がありません"),
            Self::Corrupt { table, column } => format!("{table}.{column} の値を読み取れません"),
            Self::Migration { reason } => format!("データベースを新しくできません: {reason}"),
            Self::UnknownDatabase => {
                "データベースではありません。ファイル名か postgres://… を書いてください".to_owned()
            }
            Self::Refused { code } => format!("データベースが命令を拒否しました({code})"),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

impl StoreError {
    /// Whether the same may succeed later, without anybody's doing.
    pub fn may_retry(&self) -> bool {
        matches!(self, Self::Unavailable { .. })
    }
}

/// The codes of SQLite that mean "not now": busy, locked, out of memory, read-only, I/O error,
/// full, cannot open, schema changed (<https://sqlite.org/rescode.html>).
const SQLITE_UNAVAILABLE: [(i64, &str); 8] = [
    (5, "busy"),
    (6, "locked"),
    (7, "out of memory"),
    (8, "read-only"),
    (10, "I/O error"),
    (13, "full"),
    (14, "cannot open"),
    (17, "schema changed"),
];

/// The classes of SQLSTATE that mean "not now": connection, no such database, transaction rolled
/// back, authorization, read-only, resources, operator intervention, system error.
const POSTGRES_UNAVAILABLE: [&str; 9] = ["08", "3D", "40", "28", "25", "53", "55", "57", "58"];

/// The unique constraints by the columns that SQLite names instead.
const UNIQUE: &[(&str, &str)] = &[
    ("health_center.code", "health_center_code"),
    ("patient.health_center_id, patient.registration_number", "patient_registration"),
    ("clinic.health_center_id, clinic.code", "clinic_code"),
    ("campaign.health_center_id, campaign.name", "campaign_name"),
    ("campaign.health_center_id", "campaign_default_of_center"),
    ("campaign_version.campaign_id, campaign_version.number", "campaign_version_number"),
    ("episode_course.episode_id", "episode_course_in_force"),
    ("release_decision.episode_id", "release_decision_once"),
    ("center_closure.health_center_id, center_closure.date", "center_closure_date"),
    ("staff.login", "staff_login"),
    ("staff.oidc_issuer, staff.oidc_subject", "staff_subject"),
    ("api_token.hash", "api_token_hash"),
    ("patient_phone.patient_id, patient_phone.position", "patient_phone_position"),
    ("patient_phone.patient_id, patient_phone.number", "patient_phone_number"),
    ("episode.patient_id", "episode_active_of_patient"),
    ("slot.patient_id, slot.date, slot.number, slot.episode_id", "slot_of_the_day"),
    ("attempt.slot_id, attempt.number", "attempt_of_slot"),
    ("attempt.slot_id", "attempt_open_of_slot"),
    ("attempt.phone", "attempt_live_to_number"),
    ("attempt.patient_id", "attempt_live_of_patient"),
    ("answer.attempt_id, answer.seq", "answer_of_attempt"),
    ("observation.attempt_id, observation.seq, observation.code", "observation_of_answer"),
    (
        "observation.patient_id, observation.channel, observation.effective_at, observation.code",
        "observation_of_report",
    ),
    ("observation.supersedes", "observation_corrected_once"),
    ("observation.report_id, observation.code", "observation_of_form"),
    ("contact_plan.patient_id, contact_plan.position", "contact_plan_position"),
    ("escalation_case.patient_id", "case_open_of_patient"),
    ("api_request.principal, api_request.key", "api_request_key"),
    ("case_fact.case_id, case_fact.position", "case_fact_position"),
    ("center_key.health_center_id", "center_key_in_use"),
    ("recording.attempt_id", "recording_of_attempt"),
    ("recording_mark.recording_id, recording_mark.position", "recording_mark_position"),
    (
        "case_fact.rule, case_fact.source, case_fact.source_id, case_fact.source_seq",
        "case_fact_of_source",
    ),
    ("prompt_take.language, prompt_take.prompt", "prompt_take_in_use"),
    ("rule_set.health_center_id, rule_set.version", "rule_set_version"),
    ("rule_set.health_center_id, rule_set.effective_from", "rule_set_in_force"),
    ("welfare_check.patient_id, welfare_check.date, welfare_check.list", "welfare_check_once"),
    ("case_claim.case_id", "case_claim_of_case"),
    ("case_event.case_id, case_event.seq", "case_event_seq"),
    ("case_event.case_id, case_event.of_seq", "case_event_kept_once"),
    ("case_event.case_id, case_event.source_id", "case_event_reported_once"),
];

/// Keeps the kind of the error and drops the rest: sqlx's errors carry PostgreSQL's detail, which
/// quotes rows.
impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> Self {
        let unavailable = |reason: &str| Self::Unavailable { reason: reason.to_owned() };
        match &error {
            sqlx::Error::Database(error) => from_database(error.as_ref()),
            sqlx::Error::Io(error) => unavailable(&error.kind().to_string()),
            sqlx::Error::Tls(_) => unavailable("TLS"),
            sqlx::Error::PoolTimedOut => unavailable("no connection in time"),
            sqlx::Error::PoolClosed => unavailable("closed"),
            sqlx::Error::WorkerCrashed => unavailable("connection lost"),
            sqlx::Error::Protocol(_) => unavailable("protocol error"),
            sqlx::Error::BeginFailed => unavailable("no transaction"),
            sqlx::Error::Configuration(_) => Self::UnknownDatabase,
            sqlx::Error::RowNotFound => Self::NotFound { what: "row" },
            _ => Self::Refused { code: "driver".to_owned() },
        }
    }
}

fn from_database(error: &dyn DatabaseError) -> StoreError {
    match error.kind() {
        ErrorKind::Other => from_code(&error.code().unwrap_or_default()),
        ErrorKind::ForeignKeyViolation => conflict("foreign_key"),
        ErrorKind::NotNullViolation => conflict("not_null"),
        kind => match error.constraint() {
            Some(name) => conflict(name),
            None => conflict(sqlite_constraint(&kind, error.message())),
        },
    }
}

fn from_code(code: &str) -> StoreError {
    // An SQLSTATE has five characters; SQLite's codes are shorter numbers, whose low byte tells.
    if code.len() == 5 {
        if POSTGRES_UNAVAILABLE.iter().any(|class| code.starts_with(class)) {
            return StoreError::Unavailable { reason: format!("postgres {code}") };
        }
        return StoreError::Refused { code: format!("postgres {code}") };
    }
    let primary = code.parse::<i64>().map_or(0, |code| code & 0xff);
    match SQLITE_UNAVAILABLE.iter().find(|(code, _)| *code == primary) {
        Some((_, word)) => StoreError::Unavailable { reason: format!("sqlite {code}, {word}") },
        None => StoreError::Refused { code: format!("sqlite {code}") },
    }
}

/// The name of the constraint from `UNIQUE constraint failed: attempt.slot_id, attempt.number` or
/// `CHECK constraint failed: slot_state`. These messages name the schema, never a row.
fn sqlite_constraint<'a>(kind: &ErrorKind, message: &'a str) -> &'a str {
    let broken = message.split_once("failed: ").map_or("unknown", |(_, broken)| broken);
    let is_unique = matches!(kind, ErrorKind::UniqueViolation);
    let named = UNIQUE.iter().find(|(columns, _)| is_unique && *columns == broken);
    named.map_or(broken, |(_, name)| name)
}

fn conflict(constraint: &str) -> StoreError {
    StoreError::Conflict { constraint: constraint.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tell_what_may_be_tried_again() {
        for (code, may_retry, text) in [
            ("13", true, "the database is not available (sqlite 13, full)"),
            ("778", true, "the database is not available (sqlite 778, I/O error)"),
            ("5", true, "the database is not available (sqlite 5, busy)"),
            ("1", false, "the database refused a statement (sqlite 1)"),
            ("53100", true, "the database is not available (postgres 53100)"),
            ("57P01", true, "the database is not available (postgres 57P01)"),
            ("40P01", true, "the database is not available (postgres 40P01)"),
            ("42601", false, "the database refused a statement (postgres 42601)"),
        ] {
            let error = from_code(code);
            assert_eq!((error.may_retry(), error.to_string().as_str()), (may_retry, text));
        }
    }

    #[test]
    fn sqlite_names_constraints_as_postgres_does() {
        let schema = include_str!("../../migrations/sqlite/0002_campaign.sql");
        for (message, name) in [
            ("UNIQUE constraint failed: attempt.slot_id, attempt.number", "attempt_of_slot"),
            ("UNIQUE constraint failed: attempt.phone", "attempt_live_to_number"),
        ] {
            assert_eq!(sqlite_constraint(&ErrorKind::UniqueViolation, message), name);
            assert!(schema.contains(name));
        }
        let message = "CHECK constraint failed: slot_state";
        assert_eq!(sqlite_constraint(&ErrorKind::CheckViolation, message), "slot_state");
    }
}
