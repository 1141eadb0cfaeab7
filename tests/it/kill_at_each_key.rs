//! `kill -9` at every key and after every answer of a whole interview: no given answer is lost, no
//! finished call repeated, and no unfinished one forgotten.
//!
//! `kill` does the same in real time at four moments, over real SIP. Here the service is a process
//! of its own as well, on a real SQLite file, but it calls a simulated patient in virtual time, so
//! that an interview takes a moment, and kills itself (SIGKILL: no handler runs, nothing is flushed)
//! at the moment that it is told. It prints what was acknowledged before; then the service starts
//! again on the same file.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::env;
use std::fmt;
use std::io::{Write, stdout};
use std::path::Path;
use std::process::{Command, Stdio, id};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time, date, time};
use mimamori::base::clock::timestamp;
use mimamori::call::{Completion, Disposition};
use mimamori::campaign::{AttemptState, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Entry, Questionnaire, Questionnaires};
use mimamori::prompt::Library;
use mimamori::sim::clock::starting_at;
use mimamori::sim::district::{Config, Household};
use mimamori::sim::{self, Persona, Temper, VirtualCarrier};
use mimamori::store::{CaseFilter, Store};
use mimamori::worker::{self, News, Progress, Road, Step};
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch;

use crate::district::in_virtual_time;

const DAY: Date = date(2026, 11, 22);
/// The first call of the day asks everything.
const CALL_TIMES: [Time; 2] = [time(10, 0, 0, 0), time(14, 0, 0, 0)];
const CHILD: &str = "kill_at_each_key::the_service_that_kills_itself";

/// When the service kills itself.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Moment {
    /// While the n-th key is taken: what it answers may be on its way to the disk.
    Key(usize),
    /// The n-th answer is committed.
    Stored(usize),
    /// Never: the call comes to its end.
    Never,
}

impl Moment {
    fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some(("key", n)) => Self::Key(n.parse().unwrap()),
            Some(("stored", n)) => Self::Stored(n.parse().unwrap()),
            _ => Self::Never,
        }
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(n) => write!(f, "key {n}"),
            Self::Stored(n) => write!(f, "stored {n}"),
            Self::Never => f.write_str("never"),
        }
    }
}

// --- the village

/// One patient, who has everything and answers at once; the same in every process.
fn people() -> sim::District {
    let mut people = sim::District::new(&Config {
        seed: 9,
        n_patients: 1,
        first_day: DAY,
        last_day: DAY,
        call_times: CALL_TIMES.to_vec(),
    });
    for one in &mut people.households {
        one.patient.has_oximeter = true;
        one.persona = Persona { temper: Temper::Prompt, ..one.persona };
    }
    people
}

fn resident(people: &sim::District) -> &Household {
    people.households.first().unwrap()
}

async fn road(file: &Path, life: u8, now: Timestamp) -> Arc<Road<VirtualCarrier>> {
    let clock = starting_at(now);
    let directory = Arc::new(people().directory());
    Arc::new(Road {
        store: Store::open_in_virtual_time(file.to_str().unwrap(), [life; 32]).await.unwrap(),
        carrier: Arc::new(VirtualCarrier::new(directory, clock.clone())),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock,
        webhook: None,
        config: worker::Config {
            // No turn comes for nothing: hours pass in a moment.
            poll: Duration::from_hours(6),
            lease: Duration::from_mins(5),
            ..worker::Config::shipped("killed".to_owned())
        },
        recordings: None,
        progress: Progress::new(),
    })
}

async fn enrol(file: &Path) {
    let began = timestamp(DAY.at(0, 0, 0, 0));
    let people = people();
    let store = Store::open_in_virtual_time(file.to_str().unwrap(), [1; 32]).await.unwrap();
    store.save_health_center(began, &people.health_center).await.unwrap();
    let Household { patient, episode, .. } = resident(&people);
    store.import_patient(began, patient, Some(episode)).await.unwrap();
    store.close().await;
}

// --- the service

#[test]
#[ignore = "the child of another test: the service, until it kills itself"]
fn the_service_that_kills_itself() {
    let database = env::var("MIMAMORI_TEST_DATABASE").expect("run by another test only");
    let moment = Moment::parse(&env::var("MIMAMORI_TEST_MOMENT").unwrap());
    in_virtual_time(9, async {
        let road = road(Path::new(&database), 2, timestamp(DAY.at(9, 59, 0, 0))).await;
        let news = road.progress.watch();
        let (_never, stop) = watch::channel(false);
        let walking = tokio::spawn(worker::run(Arc::clone(&road), stop));
        until(news, moment).await;
        walking.abort();
    });
}

/// Tells the other process what is acknowledged, and dies at the moment.
async fn until(mut news: Receiver<News>, moment: Moment) {
    let mut out = stdout();
    let (mut n_keys, mut n_stored) = (0, 0);
    while let Ok(News { step, .. }) = news.recv().await {
        let now = match step {
            Step::Key => {
                n_keys += 1;
                writeln!(out, "\nkey").unwrap();
                Moment::Key(n_keys)
            }
            Step::Stored(entry) => {
                n_stored += 1;
                writeln!(out, "\nstored {} {}", entry.question, entry.answer.to_text()).unwrap();
                Moment::Stored(n_stored)
            }
            Step::Ended { .. } => return,
            _ => continue,
        };
        if now == moment {
            out.flush().unwrap();
            let killed = Command::new("kill").args(["-9", &id().to_string()]).status();
            panic!("still alive: {killed:?}");
        }
    }
}

/// What the service said in its life, line by line.
fn service(file: &Path, moment: Moment) -> Vec<String> {
    let run = Command::new(env::current_exe().unwrap())
        .args(["--exact", CHILD, "--ignored", "--nocapture"])
        .env("MIMAMORI_TEST_DATABASE", file)
        .env("MIMAMORI_TEST_MOMENT", moment.to_string())
        .stderr(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(run.status.success(), moment == Moment::Never, "{moment}: {}", run.status);
    let said = String::from_utf8(run.stdout).unwrap();
    said.lines().map(ToOwned::to_owned).collect()
}

fn told(lines: &[String], word: &str) -> Vec<String> {
    let all = lines.iter().filter_map(|line| line.strip_prefix(word));
    all.map(|rest| rest.trim().to_owned()).collect()
}

// --- what must hold

fn killed_at(moment: Moment) {
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    let file = folder.path().join("village.sqlite");
    in_virtual_time(9, enrol(&file));
    let acknowledged = told(&service(&file, moment), "stored");
    in_virtual_time(9, async {
        // Twenty minutes later: nobody is called in the first minutes after a call.
        let road = road(&file, 3, timestamp(DAY.at(10, 20, 0, 0))).await;
        let (stop, stopped) = watch::channel(false);
        let walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
        tokio::time::sleep(Duration::from_hours(7)).await;
        stop.send_replace(true);
        walking.await.unwrap().unwrap();
        check(moment, &road.store, &acknowledged).await;
    });
}

async fn check(moment: Moment, store: &Store, acknowledged: &[String]) {
    let people = people();
    let Household { patient, persona, .. } = resident(&people);
    let slots = store.slots_of(patient.id, DAY).await.unwrap();
    let attempts = store.attempts_of(patient.id, Timestamp::UNIX_EPOCH).await.unwrap();
    let [morning, afternoon] = slots.as_slice() else { panic!("{moment}: {slots:?}") };
    let [first, later] = attempts.as_slice() else { panic!("{moment}: {attempts:?}") };
    assert_eq!((first.slot, first.number), (morning.id, 1), "{moment}");

    // Every given answer is there, as it was given; at most one more was on its way.
    let entries = store.transcript(first.id).await.unwrap();
    let stored = |entry: &Entry| format!("{} {}", entry.question, entry.answer.to_text());
    let stored: Vec<String> = entries.iter().map(stored).collect();
    assert!(stored.starts_with(acknowledged), "{moment}: {stored:?} lacks {acknowledged:?}");
    assert!(stored.len() <= acknowledged.len() + 1, "{moment}: {stored:?}");
    for (seq, entry) in (0..).zip(&entries) {
        let meant = persona.meant(0, &entry.question);
        assert_eq!((entry.seq, entry.answer), (seq, meant), "{moment}: {}", entry.question);
    }

    // What was under way is closed as what it was, and not repeated: whoever was talking when we
    // died hears from staff, not from a machine.
    let expected = if moment == Moment::Never {
        (Disposition::Answered, Some(Completion::Complete), SlotState::Reported)
    } else if entries.is_empty() {
        (Disposition::Interrupted, Some(Completion::SystemError), SlotState::Unreached)
    } else {
        (Disposition::Interrupted, Some(Completion::Partial), SlotState::Partial)
    };
    let found = (first.disposition.unwrap(), first.completion, morning.state);
    assert_eq!((first.state, found), (AttemptState::Done, expected), "{moment}");
    let cases = store.cases(CaseFilter::All).await.unwrap();
    let mut facts = cases.iter().flat_map(|view| &view.case.facts);
    let is_told = facts.any(|fact| fact.source == FactSource::Attempt(first.id));
    assert_eq!(is_told, moment != Moment::Never, "{moment}: staff hear that we broke off");

    // And life goes on: the next slot is called, and observed.
    assert_eq!((later.slot, afternoon.state), (afternoon.id, SlotState::Reported), "{moment}");
    let until = timestamp(DAY.at(23, 0, 0, 0));
    let since = timestamp(DAY.at(0, 0, 0, 0));
    let observed = store.observations(patient.id, since, until).await.unwrap();
    let of_first = observed.iter().filter(|one| one.slot == Some(morning.id)).count();
    assert_eq!(of_first, entries.len(), "{moment}: every answer was observed, once");
}

#[test]
fn a_service_killed_at_any_key_or_answer_loses_repeats_and_forgets_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("village.sqlite");
    in_virtual_time(9, enrol(&file));
    let whole = service(&file, Moment::Never);
    let (n_keys, n_stored) = (told(&whole, "key").len(), told(&whole, "stored").len());
    let asked = Questionnaire::recuperation();
    let required = asked.questions.iter().filter(|question| question.required).count();
    assert!(n_stored > 10 && n_stored + 4 > required && n_keys > n_stored, "{whole:?}");
    let keys = (1..=n_keys).map(Moment::Key);
    let moments: Vec<Moment> =
        keys.chain((1..=n_stored).map(Moment::Stored)).chain([Moment::Never]).collect();
    thread::scope(|scope| {
        for part in moments.chunks(moments.len().div_ceil(3)) {
            scope.spawn(|| part.iter().copied().for_each(killed_at));
        }
    });
}
