//! Databases that cannot be opened, or are gone.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::time::Duration;

use mimamori::call::Respondent;
use mimamori::ivr::{Answer, YesNo};
use mimamori::store::Store;

use crate::postgres;
use crate::store::{DAY, Database, District, FORM, at, claimant, claims, entry};

claims! {
    a_database_that_is_gone_is_unavailable
    a_database_of_another_version_is_refused
}

async fn a_database_that_is_gone_is_unavailable(database: Database) {
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(1).await;
    if database.is_sqlite() {
        district.store.close().await;
    } else {
        let (server, name) = database.url.split_once("localhost/").unwrap();
        let (name, socket) = name.split_once('?').unwrap();
        let server = format!("{server}localhost/postgres?{socket}");
        postgres::execute(&server, &format!("drop database {name} with (force)")).await;
    }
    let given = entry(0, "temperature", Answer::Number(375));
    let store = &district.store;
    for error in [
        store.record_answer(at(9, 2), attempt, &given, Respondent::Patient, FORM).await.err(),
        store.claim_due(at(9, 2), &claimant("one"), 1).await.err(),
        store.ping().await.err(),
        store.health_list(DAY).await.err(),
    ] {
        let error = error.unwrap();
        assert!(error.may_retry(), "{error}");
    }
}

async fn a_database_of_another_version_is_refused(database: Database) {
    database.open().await.close().await;
    database.open().await.close().await;
    let reopen = || async { Store::open(&database.url, [1; 32]).await.err().unwrap().to_string() };
    database.execute("update _sqlx_migrations set version = 999 where version = 5").await;
    assert_eq!(
        reopen().await,
        "cannot migrate the database: the database has version 999, which this program does not \
         know"
    );
    database
        .execute(
            "update _sqlx_migrations set version = 5 where version = 999; \
             update _sqlx_migrations set checksum = \
             (select checksum from _sqlx_migrations where version = 1) where version = 2",
        )
        .await;
    assert_eq!(
        reopen().await,
        "cannot migrate the database: version 2 was changed after it was applied"
    );
}

#[tokio::test]
async fn what_is_no_database_is_refused() {
    for database in ["", "mysql://x", ":memory:", "postgres://[", "/nowhere/at/all/x.db"] {
        let error = Store::open(database, [1; 32]).await.err().unwrap();
        let expected = match database {
            "/nowhere/at/all/x.db" => "the database is not available (sqlite 14, cannot open)",
            _ => "not a database: expected a file or postgres://…",
        };
        assert_eq!(error.to_string(), expected, "{database}");
    }
}

#[tokio::test(start_paused = true)]
async fn virtual_time_stands_still_while_the_database_works() {
    let database = Database::sqlite();
    let store = Store::open_in_virtual_time(&database.url, [7; 32]).await.unwrap();
    let before = tokio::time::Instant::now();
    // Somebody waits for a deadline, so the paused clock would like to jump.
    let deadline = tokio::spawn(tokio::time::sleep(Duration::from_secs(1)));
    let district = District::with(store).await;
    let (_, _, attempt) = district.talking(1).await;
    for seq in 0..20 {
        district.answer(attempt, &entry(seq, "cough", Answer::Choice(YesNo::No))).await;
    }
    assert_eq!(tokio::time::Instant::now(), before);
    deadline.await.unwrap();
    assert!(tokio::time::Instant::now() > before);
}
