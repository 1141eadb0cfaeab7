//! What was acknowledged is on the disk: after a kill, and when the disk is full.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::{env, fs};

use mimamori::base::id::AttemptId;
use mimamori::call::Respondent;
use mimamori::ivr::{Answer, YesNo};
use mimamori::store::Store;
use sqlx::Connection;

use crate::postgres;
use crate::store::{Database, District, FORM, at, claims, entry};

claims! {
    killed_while_writing_it_keeps_what_it_acknowledged
}

/// A child writes answers and says which ones were acknowledged, until it is killed.
async fn killed_while_writing_it_keeps_what_it_acknowledged(database: Database) {
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(1).await;
    district.store.close().await;
    let mut child = writer(&database.url, attempt, "").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = Vec::new();
    while acknowledged.len() < 25 {
        let line = lines.next().expect("the child writes until it is killed").unwrap();
        acknowledged.extend(line.strip_prefix("stored ").map(|seq| seq.parse::<u32>().unwrap()));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    for line in lines {
        // The last line may be cut short.
        let line = line.unwrap();
        let seq = line.strip_prefix("stored ").and_then(|seq| seq.parse::<u32>().ok());
        acknowledged.extend(seq.filter(|seq| *seq < 100_000));
    }
    let stored = database.open().await.transcript(attempt).await.unwrap();
    assert!(stored.len() >= acknowledged.len(), "{} of {}", stored.len(), acknowledged.len());
    for (seq, entry) in (0..).zip(&stored) {
        assert_eq!(entry.seq, seq, "without a gap");
    }
    assert!(acknowledged.iter().all(|seq| stored.iter().any(|entry| entry.seq == *seq)));
}

/// This program again, as the writer of answers only.
fn writer(url: &str, attempt: AttemptId, limits: &str) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("{limits} exec \"$0\" \"$@\"")])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "store::durability::the_writer_of_answers", "--ignored", "--nocapture"])
        .env("MIMAMORI_TEST_DATABASE", url)
        .env("MIMAMORI_TEST_ATTEMPT", attempt.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null());
    command
}

#[tokio::test]
#[ignore = "the child of other tests: writes answers until it is killed or the disk is full"]
async fn the_writer_of_answers() {
    let url = env::var("MIMAMORI_TEST_DATABASE").expect("run by other tests only");
    let attempt: AttemptId = env::var("MIMAMORI_TEST_ATTEMPT").unwrap().parse().unwrap();
    let store = Store::open(&url, [3; 32]).await.unwrap();
    for seq in 0.. {
        let given = entry(seq, &"q".repeat(500), Answer::Choice(YesNo::Yes));
        let told = store.record_answer(at(9, 3), attempt, &given, Respondent::Patient, FORM).await;
        let line = match &told {
            Ok(()) => format!("stored {seq}"),
            Err(error) => format!("failed {error}"),
        };
        let mut stdout = std::io::stdout().lock();
        writeln!(stdout, "{line}").unwrap();
        stdout.flush().unwrap();
        if told.is_err() {
            return;
        }
    }
}

#[tokio::test]
async fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let database = Database::sqlite();
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(1).await;
    district.store.close().await;
    // A file may not grow beyond 1 MiB (blocks of 512 bytes); beyond it, writing fails.
    let written = writer(&database.url, attempt, "trap '' XFSZ; ulimit -f 2048;").output().unwrap();
    let said = String::from_utf8(written.stdout).unwrap();
    let last = said.lines().find(|line| line.starts_with("failed")).expect("the disk was full");
    assert!(last.starts_with("failed the database is not available (sqlite "), "{last}");
    let acknowledged = said.lines().filter(|line| line.starts_with("stored")).count();
    let store = database.open().await;
    assert_eq!(store.transcript(attempt).await.unwrap().len(), acknowledged);
    district_lives_on(&store, attempt, acknowledged).await;
}

/// With space again, the same store goes on.
async fn district_lives_on(store: &Store, attempt: AttemptId, next: usize) {
    let next = u32::try_from(next).unwrap();
    let given = entry(next, "cough", Answer::Choice(YesNo::No));
    store.record_answer(at(9, 4), attempt, &given, Respondent::Patient, FORM).await.unwrap();
    assert_eq!(store.transcript(attempt).await.unwrap().last(), Some(&given));
}

#[tokio::test]
async fn a_commit_is_on_the_disk() {
    let database = Database::sqlite();
    let store = database.open().await;
    store.close().await;
    // The journal mode is a property of the file.
    let mut connection = postgres::connect(&database.url).await;
    let row = sqlx::query("pragma journal_mode").fetch_one(&mut connection).await.unwrap();
    assert_eq!(sqlx::Row::get::<String, _>(&row, 0), "wal");
    connection.close().await.unwrap();
    assert!(fs::metadata(database.url.strip_prefix("sqlite://").unwrap()).unwrap().is_file());
}
