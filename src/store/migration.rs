//! The tables, brought up to date at start from texts that are part of the program.

use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyPool, SqlSafeStr};

use crate::store::{Dialect, POSTGRES_MANNERS, StoreError};

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
    run_to(i64::MAX, dialect, pool).await
}

/// Applies what is missing up to a version.
async fn run_to(last: i64, dialect: Dialect, pool: &AnyPool) -> Result<(), StoreError> {
    let texts = match dialect {
        Dialect::Sqlite => SQLITE,
        Dialect::Postgres => POSTGRES,
    };
    let mut connection = pool.acquire().await?;
    if dialect == Dialect::Postgres {
        // A new index on years of calls takes longer than any statement may in service.
        sqlx::raw_sql("set statement_timeout = 0; set lock_timeout = 0")
            .execute(&mut *connection)
            .await?;
    }
    let wanted = NAMES.iter().zip(texts).filter(|((version, _), _)| *version <= last);
    let migrations = wanted.map(|(&(version, name), text)| {
        Migration::new(version, name.into(), MigrationType::Simple, text.into_sql_str(), false)
    });
    let migrated = Migrator::with_migrations(migrations.collect()).run(&mut *connection).await;
    migrated.map_err(explain)?;
    if dialect == Dialect::Postgres {
        sqlx::raw_sql(POSTGRES_MANNERS).execute(&mut *connection).await?;
    }
    Ok(())
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

    /// Slots of before are found by their new index, and one of another's episode stops the change.
    #[tokio::test]
    async fn the_slots_of_a_running_site_are_taken_along() {
        const ROWS: &str = "insert into health_center (id, code, name, kana, desk_phone, opens_at, \
            closes_at, created_at, updated_at) values ('c', 'c', 'c', 'c', '+81300000000', '09:00:00', \
            '18:00:00', 0, 0); \
            insert into patient (id, health_center_id, registration_number, name, kana, birth_date, \
            language, has_thermometer, has_oximeter, slow_speech, lives_alone, risks, created_at, \
            updated_at) select x.value, 'c', x.value, x.value, x.value, '1950-01-01', 'ja', 1, 1, 0, 0, \
            '', 0, 0 \
            from json_each('[\"p\", \"q\"]') x; \
            insert into episode (id, patient_id, first_day, last_day, call_times, state, created_at, \
            updated_at) select 'e' || p.id, p.id, '2026-11-01', '2026-11-30', '09:00:00', 'active', 0, 0 \
            from patient p; \
            insert into slot (id, episode_id, patient_id, date, number, due_from, due_to, state, \
            created_at, kind) select 's' || e.id || n.value, e.id, e.patient_id, '2026-11-22', n.value, \
            1, 2, 'due', 0, 'planned' from episode e, json_each('[1, 2, 3]') n";
        const WRONG: &str = "update slot set patient_id = 'q' where id = 'sep2'";
        for is_wrong in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("mimamori.db");
            sqlx::any::install_default_drivers();
            let options = format!("sqlite://{}?mode=rwc", file.display()).parse().unwrap();
            let pool = crate::store::pool(crate::store::SQLITE_MANNERS, 1, options).await.unwrap();
            run_to(31, Dialect::Sqlite, &pool).await.unwrap();
            sqlx::raw_sql(ROWS).execute(&pool).await.unwrap();
            if is_wrong {
                sqlx::raw_sql(WRONG).execute(&pool).await.unwrap();
            }
            let migrated = run(Dialect::Sqlite, &pool).await;
            if is_wrong {
                let error = migrated.unwrap_err().to_string();
                assert!(error.contains("slot_of_episode"), "{error}");
                continue;
            }
            migrated.unwrap();
            let row = sqlx::query("pragma integrity_check").fetch_one(&pool).await.unwrap();
            assert_eq!(row.get::<String, _>(0), "ok");
            let found = "select count(*) from slot indexed by sqlite_autoindex_slot_2 \
                where patient_id = 'p' and date = '2026-11-22' and number = 2";
            let row = sqlx::query(found).fetch_one(&pool).await.unwrap();
            assert_eq!(row.get::<i64, _>(0), 1);
            let foreign = sqlx::query("pragma foreign_key_check").fetch_all(&pool).await.unwrap();
            assert!(foreign.is_empty());
        }
    }
}
