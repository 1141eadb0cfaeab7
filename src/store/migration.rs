//! The tables, brought up to date at start from texts that are part of the program.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr};

use crate::store::{Dialect, StoreError};

macro_rules! migrations {
    ($folder:literal) => {
        [
            include_str!(concat!("../../migrations/", $folder, "/0001_registry.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0002_campaign.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0003_answer.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0004_observation.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0005_escalation.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0006_staff.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0007_recording.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0008_health_status.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0009_patient.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0010_case.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0011_plan.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0012_account.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0013_api.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0014_trunk_status.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0015_campaign.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0017_welfare_check.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0018_arrangement.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0020_clock.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0021_release.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0022_plan.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0023_night_list.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0024_trunk_group.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0025_first_password.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0027_search.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0028_slot_due.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0029_first_password_ends.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0030_deleted.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0031_slot_due_order.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0032_slot_of_patient.sql")),
            include_str!(concat!("../../migrations/", $folder, "/0033_lab_test.sql")),
        ]
    };
}

const SQLITE: [&str; NAMES.len()] = migrations!("sqlite");
const POSTGRES: [&str; NAMES.len()] = migrations!("postgres");
const NAMES: &[(i64, &str)] = &[
    (1, "registry"),
    (2, "campaign"),
    (3, "answer"),
    (4, "observation"),
    (5, "escalation"),
    (6, "staff"),
    (7, "recording"),
    (8, "health_status"),
    (9, "patient"),
    (10, "case"),
    (11, "plan"),
    (12, "account"),
    (13, "api"),
    (14, "trunk_status"),
    (15, "campaign"),
    (17, "welfare_check"),
    (18, "arrangement"),
    (20, "clock"),
    (21, "release"),
    (22, "plan"),
    (23, "night_list"),
    (24, "trunk_group"),
    (25, "first_password"),
    (27, "search"),
    (28, "slot_due"),
    (29, "first_password_ends"),
    (30, "deleted"),
    (31, "slot_due_order"),
    (32, "slot_of_patient"),
    (33, "lab_test"),
];

/// Applies what is missing, each migration whole or not at all.
pub(super) async fn run(dialect: Dialect, pool: &AnyPool) -> Result<(), StoreError> {
    let texts = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let migrations = NAMES.iter().zip(texts).map(|(&(version, name), text)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    Migrator::with_migrations(migrations.collect()).run(pool).await.map_err(explain)
}

fn explain(error: MigrateError) -> StoreError {
    let reason = match error {
        MigrateError::Execute(source) => return source.into(),
        MigrateError::ExecuteMigration(source, version) => match source.into() {
            StoreError::Refused { code } => format!("version {version} was refused ({code})"),
            other => return other,
        },
        MigrateError::VersionMissing(version) => {
            format!("the database has version {version}, which this program does not know")
        }
        MigrateError::VersionMismatch(version) => {
            format!("version {version} was changed after it was applied")
        }
        MigrateError::Dirty(version) => format!("version {version} was applied halfway"),
        _ => "the list of versions is not in order".to_owned(),
    };
    StoreError::Migration { reason }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use sqlx::Row;

    use super::*;
    use crate::store::Store;

    #[test]
    fn every_file_of_the_folders_is_part_of_the_program() {
        for (folder, texts) in [("sqlite", SQLITE), ("postgres", POSTGRES)] {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(folder);
            assert_eq!(fs::read_dir(&folder).unwrap().count(), NAMES.len());
            for (&(number, name), text) in NAMES.iter().zip(texts) {
                let file = folder.join(format!("{number:04}_{name}.sql"));
                assert_eq!(fs::read_to_string(file).unwrap(), text);
                assert!(text.starts_with("-- Why: "), "{name}");
            }
        }
    }

    #[test]
    fn the_two_texts_differ_in_the_names_of_types_only() {
        // Triggers, and checks that become wider, have no common form; the conformance tests hold
        // them to the same effect.
        let common = |text: &'static str| text.split("-- The two databases ").next();
        for (sqlite, postgres) in SQLITE.into_iter().zip(POSTGRES) {
            let translated = common(sqlite).map(|text| {
                text.replace(") strict;", ");")
                    .replace(" integer", " bigint")
                    .replace(" blob", " bytea")
            });
            assert_eq!(translated.as_deref(), common(postgres));
        }
    }

    #[tokio::test]
    async fn what_points_at_something_that_is_deleted_is_found_without_a_search() {
        const SEARCHED: &str = "select t.name || '.' || f.\"from\" as name \
            from sqlite_schema t, pragma_foreign_key_list(t.name) f where t.type = 'table' \
            and f.seq = 0 \
            and f.\"table\" in ('patient', 'episode', 'slot', 'attempt', 'campaign') \
            and not exists (select 1 from pragma_index_list(t.name) i, pragma_index_info(i.name) c \
            where c.seqno = 0 and c.name = f.\"from\") order by 1";
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mimamori.db");
        let store = Store::open(file.to_str().unwrap(), [7; 32]).await.unwrap();
        let mut session = store.glance().await.unwrap();
        let rows = sqlx::query(SEARCHED).fetch_all(session.connection()).await.unwrap();
        let names: Vec<String> = rows.iter().map(|row| row.get("name")).collect();
        // Campaigns are deleted as drafts, rarely; nobody has been in one then.
        assert_eq!(names, ["episode.campaign_id"]);
    }
}
