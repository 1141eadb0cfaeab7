//! A district in which two days and a morning have been lived, as the road left it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use std::{fs, thread};

use jiff::civil::{Date, DateTime, Time, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::Clock;
use mimamori::base::clock::timestamp;
use mimamori::campaign::pacing::Limits;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Questionnaires};
use mimamori::prompt::Library;
use mimamori::registry::Course;
use mimamori::sim::clock::starting_at;
use mimamori::sim::district::{self, District};
use mimamori::sim::{Temper, VirtualCarrier};
use mimamori::store::{CaseFilter, Store};
use mimamori::worker::{self, Progress, Road};
use tempfile::TempDir;
use tokio::sync::watch;

const FIRST_DAY: Date = date(2026, 11, 22);
const CALL_TIMES: [Time; 2] = [time(9, 0, 0, 0), time(14, 0, 0, 0)];

/// What the clock shows when the console is opened: the first calls of the day are over, some
/// will be tried again.
pub(crate) const NOW: DateTime = date(2026, 11, 24).at(9, 50, 0, 0);

/// A copy of the lived-in database that one test may change.
pub(crate) struct Town {
    pub(crate) folder: TempDir,
    pub(crate) store: Store,
    pub(crate) clock: Clock,
    pub(crate) people: &'static District,
}

struct Lived {
    database: PathBuf,
    people: District,
    _folder: TempDir,
}

impl Town {
    /// Lives the days once per run of the tests, and copies what they left.
    pub(crate) async fn open() -> Self {
        static LIVED: OnceLock<Lived> = OnceLock::new();
        let lived = tokio::task::spawn_blocking(|| LIVED.get_or_init(live)).await.expect("lives");
        let folder = tempfile::tempdir().expect("a temporary folder");
        let database = folder.path().join("mimamori.sqlite");
        fs::copy(&lived.database, &database).expect("the database is closed");
        let store = Store::open(utf8(&database), [9; 32]).await.expect("opens");
        Self { folder, store, clock: starting_at(timestamp(NOW)), people: &lived.people }
    }

    /// The registration number of the first patient of that temper.
    pub(crate) fn somebody(&self, temper: Temper) -> &'static district::Household {
        let mut households = self.people.households.iter();
        households.find(|one| one.persona.temper == temper).expect("everybody lives there")
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now().timestamp
    }
}

fn live() -> Lived {
    // A thread of its own: its runtime's clock is paused.
    thread::spawn(|| {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        runtime.enable_all().start_paused(true).global_queue_interval(u32::MAX);
        runtime.build().expect("a runtime").block_on(live_in_virtual_time())
    })
    .join()
    .expect("the days are lived")
}

async fn live_in_virtual_time() -> Lived {
    let people = District::new(&district::Config {
        seed: 20,
        n_patients: 40,
        first_day: FIRST_DAY,
        last_day: date(2026, 12, 1),
        call_times: CALL_TIMES.to_vec(),
    });
    let began = timestamp(FIRST_DAY.at(8, 0, 0, 0));
    let clock = starting_at(began);
    // In memory, where the system has such a folder: nobody pulls the plug in virtual time.
    let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let folder = folder.expect("a temporary folder");
    let database = folder.path().join("lived.sqlite");
    let store = Store::open_in_virtual_time(utf8(&database), [1; 32]).await.expect("opens");
    store.save_health_center(began, &people.health_center).await.expect("is stored");
    for one in &people.households {
        store.import_patient(began, &one.patient, Some(&one.episode)).await.expect("is stored");
    }
    fell_ill(&store, &people, began).await;
    let directory = Arc::new(people.directory());
    let road = Arc::new(Road {
        recordings: None,
        store: store.clone(),
        carrier: Arc::new(VirtualCarrier::new(directory, clock.clone())),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().expect("the rules are right"),
        clock: clock.clone(),
        webhook: None,
        config: worker::Config {
            limits: Limits { calls_per_second: 2.0, burst: 1, calls_at_once: 12 },
            poll: Duration::from_hours(6),
            lease: Duration::from_mins(5),
            ..worker::Config::shipped("town".to_owned())
        },
        progress: Progress::new(),
    });
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(road, stopped));
    for day in 0..2_i8 {
        // Staff resolve in the evening what was opened during the day.
        sleep_until(&clock, FIRST_DAY.saturating_add(day.days()).at(20, 30, 0, 0)).await;
        let now = clock.now().timestamp;
        for view in store.cases(CaseFilter::Unresolved).await.expect("can be read") {
            let resolved = store.resolve_case(now, view.case.id, "保健師", "本人と通話").await;
            resolved.expect("is open");
        }
    }
    sleep_until(&clock, NOW).await;
    stop.send_replace(true);
    walking.await.expect("the road goes on").expect("the road holds");
    store.close().await;
    Lived { database, people, _folder: folder }
}

/// Whoever is in danger, and some who answer well, have been ill for ten days.
async fn fell_ill(store: &Store, people: &District, began: Timestamp) {
    let of_temper = |temper, n| {
        people.households.iter().filter(move |one| one.persona.temper == temper).take(n)
    };
    let onset = Some(FIRST_DAY.saturating_sub(8.days()));
    let course = Course { onset, specimen: None, has_symptoms: Some(true) };
    for one in of_temper(Temper::Urgent, 1).chain(of_temper(Temper::Prompt, 6)) {
        store.note_course(began, one.patient.id, &course).await.expect("is stored");
    }
}

async fn sleep_until(clock: &Clock, at: DateTime) {
    let until = timestamp(at).duration_since(clock.now().timestamp);
    tokio::time::sleep(until.unsigned_abs()).await;
}

fn utf8(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}
