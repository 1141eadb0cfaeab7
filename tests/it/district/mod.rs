//! A seeded district in virtual time: weeks pass in seconds, and the road must keep its promises.
//!
//! What the called side saw is the truth; the store must agree with it. A failing district prints
//! its seed: `MIMAMORI_SEED=7 cargo test --test it district` plays it again. More people live, or for
//! longer, with `MIMAMORI_PATIENTS=2000 MIMAMORI_DAYS=2`: a third of a second for each and each day.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use jiff::civil::{Date, Time, date, time};
use jiff::{SignedDuration, Timestamp, ToSpan};
use mimamori::base::clock::{civil, timestamp};
use mimamori::base::id::{AttemptId, Minter, PatientId, SlotId};
use mimamori::base::{Clock, Now, PhoneNumber, Private};
use mimamori::call::{Completion, Disposition, Respondent};
use mimamori::campaign::pacing::Limits;
use mimamori::campaign::retry::SPACING;
use mimamori::campaign::{Attempt, Policy, Slot, SlotKind, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::rule::RuleBook;
use mimamori::escalation::welfare::{Act, Choice, List};
use mimamori::escalation::{Case, Fact, Priority};
use mimamori::ivr::questionnaire::{Need, Question};
use mimamori::ivr::{Answer, Catalog, Entry, Questionnaire, Questionnaires, Script, YesNo};
use mimamori::observation::Channel;
use mimamori::prompt::Library;
use mimamori::registry::{Actor, AuditEntry, ConsoleLanguage, Role, Scope, Staff};
use mimamori::sim::clock::starting_at;
use mimamori::sim::district::{Config, Household};
use mimamori::sim::{self, Call, Directory, Temper, VirtualCarrier};
use mimamori::store::{
    AttemptOfDay, CaseFilter, DatabaseTime, Report, Store, Topic, WelfareCheck, Within,
};
use mimamori::worker::{self, Progress, Road, Step};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::watch;
use tokio::task::JoinHandle;

mod promises;

use promises::check;

const FIRST_DAY: Date = date(2026, 11, 22);
const CALL_TIMES: [Time; 2] = [time(10, 0, 0, 0), time(14, 0, 0, 0)];

static QUESTIONNAIRE: LazyLock<Arc<Questionnaire>> = LazyLock::new(Questionnaire::recuperation);

// --- the district

/// A district, its telephones, and where its database lies.
struct Town {
    people: sim::District,
    days: i32,
    /// Lines of the trunk; fewer than patients, so that some wait.
    lines: usize,
    directory: Arc<Directory>,
    library: Arc<Library>,
    clock: Clock,
    /// How far the wall clock was set forward, in milliseconds; no other clock follows.
    stepped: Arc<AtomicI64>,
    /// How often the road looks at the time though nothing happens.
    poll: Duration,
    folder: TempDir,
    /// Who decides what is done about the silent.
    supervisor: Staff,
    /// Keys that the dialogue heard, per attempt.
    heard: Arc<Mutex<BTreeMap<AttemptId, usize>>>,
    /// When the database was away.
    outages: Mutex<Vec<(Timestamp, Timestamp)>>,
    /// Slots that were reported by web.
    told: Arc<Mutex<Vec<(SlotId, SlotState)>>>,
}

/// What `MIMAMORI_SEED` says, or the usual seeds.
fn seeds(usual: &[u64]) -> Vec<u64> {
    match std::env::var("MIMAMORI_SEED") {
        Ok(seed) => vec![seed.parse().expect("MIMAMORI_SEED is a number")],
        Err(_) => usual.to_vec(),
    }
}

/// How many patients live for how many days, unless the environment wants others.
fn size(patients: u32, days: i32) -> (u32, i32) {
    let read = |name| std::env::var(name).ok().map(|text| text.parse().expect(name));
    let patients = read("MIMAMORI_PATIENTS").unwrap_or(i64::from(patients));
    let days = read("MIMAMORI_DAYS").unwrap_or(i64::from(days));
    (patients.try_into().unwrap(), days.try_into().unwrap())
}

/// Runs in a runtime whose clock jumps to the next instant at which something happens, and whose
/// tasks take the same turns in every run.
pub(crate) fn in_virtual_time<T>(seed: u64, future: impl Future<Output = T>) -> T {
    eprintln!("district of MIMAMORI_SEED={seed}");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    // What the threads of the database wake comes after what is awake already.
    runtime.enable_all().start_paused(true).global_queue_interval(u32::MAX);
    runtime.build().unwrap().block_on(future)
}

/// A folder in memory, where the system has one: nobody pulls the plug in virtual time.
fn folder() -> TempDir {
    let memory = PathBuf::from("/dev/shm");
    tempfile::tempdir_in(memory).or_else(|_| tempfile::tempdir()).unwrap()
}

impl Town {
    async fn new(seed: u64, n_patients: u32, days: i32) -> Self {
        let people = sim::District::new(&Config {
            seed,
            n_patients,
            first_day: FIRST_DAY,
            last_day: FIRST_DAY.checked_add((days - 1).days()).unwrap(),
            call_times: CALL_TIMES.to_vec(),
        });
        let began = timestamp(FIRST_DAY.to_datetime(Time::midnight()));
        let (clock, stepped) = (starting_at(began), Arc::new(AtomicI64::new(0)));
        let steps = Arc::clone(&stepped);
        let clock = Clock::new(move || {
            let now = clock.now();
            let step = SignedDuration::from_millis(steps.load(Ordering::Relaxed));
            Now { timestamp: now.timestamp + step, ..now }
        });
        let supervisor = supervisor(&people);
        let town = Self {
            supervisor,
            directory: Arc::new(people.directory()),
            people,
            days,
            lines: (n_patients as usize / 4).max(8),
            library: Arc::new(Library::silent(Catalog::embedded())),
            clock,
            stepped,
            // So long that a step which forgets the time, or a change, is found out.
            poll: Duration::from_hours(6),
            folder: folder(),
            heard: Arc::default(),
            outages: Mutex::default(),
            told: Arc::default(),
        };
        let store = town.store(0).await;
        store.save_health_center(began, &town.people.health_center).await.unwrap();
        for one in &town.people.households {
            store.import_patient(began, &one.patient, Some(&one.episode)).await.unwrap();
        }
        let entry = AuditEntry {
            actor: Actor::CommandLine,
            health_center: town.supervisor.health_center,
            action: "staff.added",
            patient: None,
            object: town.supervisor.id.to_string(),
            detail: String::new(),
        };
        store.add_staff(began, &town.supervisor, None, &entry).await.unwrap();
        store.close().await;
        town
    }

    fn within<'a>(&self, store: &'a Store) -> Within<'a> {
        store.within(Scope { center: self.people.health_center.id, clinic: None })
    }

    async fn store(&self, life: u8) -> Store {
        let path = self.folder.path().join("district.sqlite");
        Store::open_in_virtual_time(path.to_str().unwrap(), [life; 32]).await.unwrap()
    }

    /// The road on the district's file, once more; the first life is 1.
    async fn road(&self, life: u8) -> Arc<Road<VirtualCarrier>> {
        let carrier = VirtualCarrier::new(Arc::clone(&self.directory), self.clock.clone());
        let road = Road {
            store: self.store(life).await,
            carrier: Arc::new(carrier),
            library: Arc::clone(&self.library),
            questionnaires: Questionnaires::shipped(),
            rules: RuleBook::shipped().unwrap(),
            clock: self.clock.clone(),
            webhook: None,
            config: worker::Config {
                limits: Limits { calls_per_second: 2.0, burst: 1, calls_at_once: self.lines },
                poll: self.poll,
                // A sign of life is a write on the disk; virtual calls need few.
                lease: Duration::from_mins(5),
                ..worker::Config::shipped("district".to_owned())
            },
            recordings: None,
            progress: Progress::new(),
        };
        self.listen(&road);
        Arc::new(road)
    }

    fn listen(&self, road: &Road<VirtualCarrier>) {
        let mut news = road.progress.watch();
        let heard = Arc::clone(&self.heard);
        tokio::spawn(async move {
            loop {
                match news.recv().await {
                    Ok(one) if matches!(one.step, Step::Key) => {
                        *heard.lock().unwrap().entry(one.attempt).or_default() += 1;
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => panic!("the watcher is too slow"),
                    Err(RecvError::Closed) => break,
                }
            }
        });
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the district")]
    fn at(&self, day: i32, time: Time) -> Timestamp {
        timestamp(FIRST_DAY.checked_add(day.days()).unwrap().to_datetime(time))
    }

    async fn sleep_until(&self, at: Timestamp) {
        let now = self.clock.now().timestamp;
        if now < at {
            tokio::time::sleep(now.duration_until(at).unsigned_abs()).await;
        }
    }

    /// Sets the wall clock forward, or back.
    fn step(&self, by: SignedDuration) {
        let millis = i64::try_from(by.as_millis()).unwrap();
        self.stepped.fetch_add(millis, Ordering::Relaxed);
    }

    /// Staff resolve in the evening what was opened during the day.
    async fn resolve_cases(&self, store: &Store) {
        let now = self.clock.now().timestamp;
        for view in store.cases(CaseFilter::Unresolved).await.unwrap() {
            store.resolve_case(now, view.case.id, "nurse", "対応済み").await.unwrap();
        }
    }

    /// The meeting of 17:00 settles every third of those on the list, decides about another third,
    /// and does not come to the rest.
    async fn meet(&self, store: &Store, day: i32) {
        self.sleep_until(self.at(day, time(17, 10, 0, 0))).await;
        let today = FIRST_DAY.checked_add(day.days()).unwrap();
        let within = self.within(store);
        let checks = within.welfare_checks(today).await.unwrap();
        let todays = checks.iter().filter(|check| check.date == today);
        for (index, check) in todays.enumerate() {
            let decided = Act::Decide(Choice::Family, "家族に電話".to_owned());
            let settled = Act::Settle("無事を確認".to_owned());
            for act in [decided, settled].iter().take(index % 3) {
                let now = self.clock.now().timestamp;
                let done = within.act_on_welfare(now, &self.supervisor, check.id.unwrap(), act);
                done.await.unwrap().unwrap();
            }
        }
    }

    /// A patient reports by web before the telephone rings.
    async fn tell(&self, store: &Store, patient: PatientId) {
        let now = self.clock.now().timestamp;
        let values = [("temperature", Answer::Number(365)), ("spo2", Answer::Number(98))];
        let report = Report {
            channel: Channel::Web,
            respondent: Respondent::Patient,
            questionnaire: "web@1".to_owned(),
            effective_at: now,
            values: values.map(|(code, value)| (code.to_owned(), value)).to_vec(),
            completion: Completion::Complete,
        };
        store.report(now, patient, &report).await.unwrap();
    }

    /// Each day one patient reports half an hour before the slot, and one at the worst moment: the
    /// attempt is planned and waits for a line.
    async fn web_reports(&self, store: &Store, day: i32) {
        let today = FIRST_DAY.checked_add(day.days()).unwrap();
        self.sleep_until(self.at(day, time(9, 30, 0, 0))).await;
        let index = usize::try_from(day).unwrap() * 3 % self.people.households.len();
        let early = self.people.households[index].patient.id;
        self.tell(store, early).await;
        let slots = store.slots_of(early, today).await.unwrap();
        self.told.lock().unwrap().push((slots[0].id, SlotState::Skipped));

        self.sleep_until(self.at(day, time(10, 0, 1, 100_000_000))).await;
        let attempts = store.attempts_of_day(today).await.unwrap();
        let waiting = attempts.iter().rfind(|one| {
            one.attempt.dialed_at.is_none() && one.attempt.number == 1 && one.patient.id != early
        });
        if let Some(one) = waiting {
            self.tell(store, one.patient.id).await;
            self.told.lock().unwrap().push((one.attempt.slot, SlotState::Reported));
        }
    }

    /// What happens beside the road on one day.
    async fn daily_life(&self, store: &Store, day: i32) {
        self.web_reports(store, day).await;
        self.meet(store, day).await;
        self.sleep_until(self.at(day, time(20, 30, 0, 0))).await;
        self.resolve_cases(store).await;
    }

    /// Lives all days, without a fault.
    async fn live(&self) -> Store {
        let road = self.road(1).await;
        let life = Life::begin(&road);
        for day in 0..self.days {
            self.daily_life(&road.store, day).await;
        }
        self.sleep_until(self.at(self.days, Time::midnight())).await;
        life.end().await;
        road.store.clone()
    }

    /// Lives all days, and on each the process dies three times while calls are up.
    async fn live_and_die(&self, dice: &mut StdRng) -> Store {
        let mut n_lives = 1;
        let mut road = self.road(n_lives).await;
        let mut life = Life::begin(&road);
        for day in 0..self.days {
            self.web_reports(&road.store, day).await;
            for time in [time(10, 0, 2, 0), time(10, 4, 0, 0), time(14, 1, 0, 0)] {
                let late = Duration::from_millis(dice.random_range(0..120_000));
                self.sleep_until(self.at(day, time) + late).await;
                // In the middle of something, not only while everybody waits.
                let mut changes = road.store.changes(&Topic::ALL);
                for _ in 0..dice.random_range(0..6) {
                    changes.changed().await;
                }
                life.die().await;
                n_lives += 1;
                road = self.road(n_lives).await;
                life = Life::begin(&road);
            }
            self.meet(&road.store, day).await;
            self.sleep_until(self.at(day, time(20, 30, 0, 0))).await;
            self.resolve_cases(&road.store).await;
        }
        self.sleep_until(self.at(self.days, Time::midnight())).await;
        life.end().await;
        road.store.clone()
    }

    /// Lives all days. On each the machine is suspended once while calls are up, and its clock is
    /// set back once; one day it begins anew with a clock that is slow.
    async fn live_by_a_clock_that_steps(&self, dice: &mut StdRng) -> Store {
        let mut road = self.road(1).await;
        let mut life = Life::begin(&road);
        for day in 0..self.days {
            let late = Duration::from_millis(dice.random_range(0..240_000));
            self.sleep_until(self.at(day, time(10, 0, 2, 0)) + late).await;
            self.step(SignedDuration::from_secs(dice.random_range(3..9_000)));
            self.sleep_until(self.at(day, time(14, 1, 0, 0)) + late).await;
            let back = SignedDuration::from_secs(dice.random_range(3..900));
            let called = if day == 1 {
                life.end().await;
                let called = self.called_on(&road.store, day).await;
                self.step(-back);
                road = self.road(2).await;
                life = Life::begin(&road);
                called
            } else {
                let called = self.called_on(&road.store, day).await;
                self.step(-back);
                called
            };
            // Whoever is called by a clock that was set back may have been called a moment ago.
            if let DatabaseTime::Written(Some(last)) = road.store.time().await.unwrap() {
                self.sleep_until(last - Duration::from_secs(3)).await;
                let since = self.called_on(&road.store, day).await;
                assert!(since.is_subset(&called), "called by a clock that was wrong");
            }
            self.meet(&road.store, day).await;
            self.sleep_until(self.at(day, time(20, 30, 0, 0))).await;
            self.resolve_cases(&road.store).await;
        }
        self.sleep_until(self.at(self.days, Time::midnight())).await;
        life.end().await;
        road.store.clone()
    }

    /// Lives all days. On each the database is away for a while when calls are up, and later the
    /// trunk takes no calls.
    async fn live_through_outages(&self, dice: &mut StdRng) -> Store {
        let road = self.road(1).await;
        let life = Life::begin(&road);
        for day in 0..self.days {
            self.web_reports(&road.store, day).await;
            let late = Duration::from_millis(dice.random_range(0..240_000));
            self.sleep_until(self.at(day, time(10, 0, 2, 0)) + late).await;
            let from = self.clock.now().timestamp;
            road.store.set_away(true);
            tokio::time::sleep(Duration::from_secs(dice.random_range(1..900))).await;
            road.store.set_away(false);
            self.outages.lock().unwrap().push((from, self.clock.now().timestamp));
            self.sleep_until(self.at(day, time(14, 0, 0, 0)) + late).await;
            road.carrier.set_down(true);
            tokio::time::sleep(Duration::from_secs(dice.random_range(60..2400))).await;
            road.carrier.set_down(false);
            self.meet(&road.store, day).await;
            self.sleep_until(self.at(day, time(20, 30, 0, 0))).await;
            self.resolve_cases(&road.store).await;
        }
        self.sleep_until(self.at(self.days, Time::midnight())).await;
        life.end().await;
        road.store.clone()
    }

    /// By when something must be known that happened then: at once, or when the database is back
    /// and was tried again.
    fn known_by(&self, at: Timestamp) -> Timestamp {
        let soon = at + Duration::from_secs(1);
        let outages = self.outages.lock().unwrap();
        let ends = outages.iter().filter(|(from, to)| *from <= soon && at <= *to);
        ends.map(|(_, to)| *to + Duration::from_mins(1)).max().unwrap_or(soon)
    }

    /// The attempts of a day that were placed.
    async fn called_on(&self, store: &Store, day: i32) -> BTreeSet<AttemptId> {
        let attempts = store.attempts_of_day(civil(self.at(day, Time::midnight())).date()).await;
        let placed = |one: &AttemptOfDay| one.attempt.dialed_at.is_some();
        attempts.unwrap().iter().filter(|one| placed(one)).map(|one| one.attempt.id).collect()
    }
}

fn supervisor(people: &sim::District) -> Staff {
    Staff {
        id: Minter::new([0; 32]).mint(timestamp(FIRST_DAY.to_datetime(Time::midnight()))),
        health_center: Some(people.health_center.id),
        clinic: None,
        login: "sato".to_owned(),
        name: Private::new("佐藤 係長".to_owned()),
        roles: vec![Role::Supervisor],
        is_active: true,
        language: ConsoleLanguage::Ja,
        has_second_factor: false,
        must_change_password: false,
        locked_until: None,
    }
}

/// A road that is walked.
struct Life {
    walking: JoinHandle<anyhow::Result<()>>,
    stop: watch::Sender<bool>,
}

impl Life {
    fn begin(road: &Arc<Road<VirtualCarrier>>) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { walking: tokio::spawn(worker::run(Arc::clone(road), stopped)), stop }
    }

    async fn end(self) {
        self.stop.send_replace(true);
        self.walking.await.unwrap().unwrap();
    }

    /// Drops everything on the spot, as a killed process does.
    async fn die(self) {
        self.walking.abort();
        assert!(self.walking.await.unwrap_err().is_cancelled());
    }
}

// --- what was stored

/// Everything that the store knows.
struct History {
    patients: Vec<Past>,
    /// When the list of the silent was made, by day.
    listed_at: BTreeMap<Date, Timestamp>,
}

/// What the store knows of one patient.
struct Past {
    household: Household,
    slots: Vec<Slot>,
    attempts: Vec<Told>,
    cases: Vec<Case>,
    /// When cases were resolved.
    resolved: Vec<Option<Timestamp>>,
    /// When something was answered, by whatever channel.
    heard: Vec<Timestamp>,
    checks: Vec<WelfareCheck>,
}

/// An attempt, what was answered, and the call that the other side saw.
struct Told {
    attempt: Attempt,
    entries: Vec<Entry>,
    call: Option<Call>,
}

impl History {
    async fn read(town: &Town, store: &Store) -> Self {
        let views = store.cases(CaseFilter::All).await.unwrap();
        let mut calls: BTreeMap<PhoneNumber, Vec<Call>> = BTreeMap::new();
        for call in town.directory.calls() {
            calls.entry(call.callee.clone()).or_default().push(call);
        }
        let (mut listed_at, mut checks) = (BTreeMap::new(), Vec::new());
        for day in 0..town.days {
            let date = FIRST_DAY.checked_add(day.days()).unwrap();
            let within = town.within(store);
            if let Some(at) = within.welfare_listed_at(date, List::Day).await.unwrap() {
                listed_at.insert(date, at);
            }
            let mut of_day = within.welfare_checks(date).await.unwrap();
            of_day.retain(|check| check.date == date);
            checks.extend(of_day);
        }
        let mut patients = Vec::new();
        for household in &town.people.households {
            let patient = household.patient.id;
            let mut slots = Vec::new();
            for day in 0..town.days {
                let date = FIRST_DAY.checked_add(day.days()).unwrap();
                slots.extend(store.slots_of(patient, date).await.unwrap());
            }
            let mut calls = calls.remove(&household.patient.phones[0].number).unwrap_or_default();
            calls.sort_by_key(|call| call.began_at);
            let mut attempts = Vec::new();
            for attempt in
                store.attempts_of(patient, Timestamp::UNIX_EPOCH).await.unwrap().into_iter().rev()
            {
                let dialed_at = attempt.dialed_at.unwrap();
                // The database knows milliseconds.
                let call = calls
                    .pop_if(|call| call.began_at.as_millisecond() >= dialed_at.as_millisecond());
                let entries = store.transcript(attempt.id).await.unwrap();
                attempts.push(Told { attempt, entries, call });
            }
            attempts.reverse();
            assert!(calls.is_empty(), "{} calls without an attempt", calls.len());
            let all_days = (town.at(0, Time::midnight()), town.at(town.days, Time::midnight()));
            let observations = store.observations(patient, all_days.0, all_days.1).await.unwrap();
            let answered = observations.iter().filter(|one| one.value != Answer::Unanswered);
            let own = || views.iter().filter(|view| view.case.patient == patient);
            patients.push(Past {
                household: household.clone(),
                slots,
                attempts,
                cases: own().map(|view| view.case.clone()).collect(),
                resolved: own().map(|view| view.resolved.as_ref().map(|(_, at, _)| *at)).collect(),
                heard: answered.map(|one| one.effective_at).collect(),
                checks: checks.extract_if(.., |check| check.patient.id == patient).collect(),
            });
        }
        assert!(calls.is_empty(), "strangers were called");
        assert!(checks.is_empty(), "strangers are on the list");
        Self { patients, listed_at }
    }

    /// All of it as text, without the ids.
    fn to_text(&self) -> String {
        let mut text = String::new();
        for past in &self.patients {
            writeln!(text, "{:?}", past.household.persona).unwrap();
            for slot in &past.slots {
                writeln!(
                    text,
                    "  {} {} {:?} {:?}",
                    slot.date, slot.number, slot.state, slot.reason
                )
                .unwrap();
            }
            for Told { attempt, entries, call } in &past.attempts {
                let Attempt { due_at, dialed_at, answered_at, ended_at, .. } = attempt;
                let Attempt { disposition, respondent, completion, number, .. } = attempt;
                writeln!(text, "  #{number} {due_at} {dialed_at:?} {answered_at:?} {ended_at:?} {disposition:?} {respondent:?} {completion:?}").unwrap();
                for Entry { seq, question, asked, keys, answer, at } in entries {
                    let answer = answer.to_text();
                    writeln!(text, "    {seq} {question} {asked} {keys} {answer} {at}").unwrap();
                }
                writeln!(text, "    {call:?}").unwrap();
            }
            for case in &past.cases {
                writeln!(text, "  {:?} {}", case.priority, case.opened_at).unwrap();
                for fact in &case.facts {
                    writeln!(
                        text,
                        "    {} {:?} {} {}",
                        fact.rule, fact.priority, fact.text, fact.at
                    )
                    .unwrap();
                }
            }
        }
        text
    }
}

impl Past {
    fn temper(&self) -> Temper {
        self.household.persona.temper
    }

    #[expect(clippy::unused_self, reason = "reads as a question to the district")]
    fn day_of(&self, slot: &Slot) -> i32 {
        FIRST_DAY.until(slot.date).unwrap().get_days()
    }

    fn slot_of(&self, attempt: &Attempt) -> &Slot {
        self.slots.iter().find(|slot| slot.id == attempt.slot).unwrap()
    }

    fn attempts_at<'a>(&'a self, slot: &'a Slot) -> impl Iterator<Item = &'a Told> {
        self.attempts.iter().filter(|told| told.attempt.slot == slot.id)
    }

    /// The case that holds a fact of this source.
    fn case_about(&self, source: FactSource, priority: Priority) -> Option<&Case> {
        let is_it = |case: &&Case| {
            case.facts.iter().any(|fact| fact.source == source && fact.priority >= priority)
        };
        self.cases.iter().find(is_it)
    }
}

#[test]
fn the_road_keeps_its_promises_for_a_week_among_all_kinds_of_people() {
    for seed in seeds(&[2026]) {
        in_virtual_time(seed, async {
            let (patients, days) = size(32, 7);
            let town = Town::new(seed, patients, days).await;
            let store = town.live().await;
            let history = History::read(&town, &store).await;
            assert_eq!(store.health_drift().await.unwrap(), [], "健康状態一覧 has drifted");
            check(&town, &history);
            let n_told = town.told.lock().unwrap().len();
            let days = usize::try_from(days).unwrap();
            assert!(n_told >= 2 * days, "both kinds of web reports, each day");
            let checks: Vec<_> = history.patients.iter().flat_map(|past| &past.checks).collect();
            assert!(checks.iter().any(|check| check.escalated_at.is_some()), "nobody was silent");
            assert!(checks.iter().any(|check| check.result.is_some()), "nobody was settled");
            for kind in [SlotKind::Remeasure, SlotKind::Recall] {
                let all = history.patients.iter().flat_map(|past| &past.slots);
                let reached = all
                    .filter(|slot| slot.kind == kind)
                    .filter(|slot| matches!(slot.state, SlotState::Reported | SlotState::Partial));
                assert!(reached.count() >= days, "{kind:?}: hardly any");
            }
        });
    }
}

#[test]
fn a_process_that_dies_loses_no_answer_and_repeats_and_forgets_no_call() {
    for seed in seeds(&[1, 2]) {
        in_virtual_time(seed, async {
            let town = Town::new(seed, 31, 3).await;
            let store = town.live_and_die(&mut StdRng::seed_from_u64(seed)).await;
            let history = History::read(&town, &store).await;
            assert_eq!(store.health_drift().await.unwrap(), [], "健康状態一覧 has drifted");
            check(&town, &history);
            let attempts = || history.patients.iter().flat_map(|past| &past.attempts);
            let was_cut = |told: &&Told| told.attempt.disposition == Some(Disposition::Interrupted);
            assert!(attempts().any(|told| was_cut(&told)), "no call was up when the process died");
        });
    }
}

#[test]
fn while_the_database_or_the_trunk_is_away_nothing_is_lost_or_doubled() {
    for seed in seeds(&[4]) {
        in_virtual_time(seed, async {
            let mut town = Town::new(seed, 30, 3).await;
            town.poll = Duration::from_mins(5);
            let store = town.live_through_outages(&mut StdRng::seed_from_u64(seed)).await;
            let history = History::read(&town, &store).await;
            assert_eq!(store.health_drift().await.unwrap(), [], "健康状態一覧 has drifted");
            check(&town, &history);
            let attempts = || history.patients.iter().flat_map(|past| &past.attempts);
            let refused = |told: &&Told| told.attempt.disposition == Some(Disposition::TrunkError);
            assert!(attempts().any(|told| refused(&told)), "no call met the trunk's outage");
            let outages = town.outages.lock().unwrap().clone();
            let was_up = |told: &Told, (from, to): (Timestamp, Timestamp)| {
                told.attempt.answered_at.is_some_and(|at| at <= to)
                    && told.attempt.ended_at.is_some_and(|at| from <= at)
            };
            let met = |told: &Told| outages.iter().any(|outage| was_up(told, *outage));
            assert!(attempts().any(met), "no call met the database's outage");
        });
    }
}

#[test]
fn a_clock_that_steps_neither_loses_nor_doubles_a_slot() {
    for seed in seeds(&[5]) {
        in_virtual_time(seed, async {
            let mut town = Town::new(seed, 29, 2).await;
            town.poll = Duration::from_mins(2);
            let store = town.live_by_a_clock_that_steps(&mut StdRng::seed_from_u64(seed)).await;
            let history = History::read(&town, &store).await;
            assert_eq!(store.health_drift().await.unwrap(), [], "健康状態一覧 has drifted");
            check(&town, &history);
        });
    }
}

#[test]
fn a_seed_has_one_history() {
    for seed in seeds(&[3]) {
        let [one, other] = [(); 2].map(|()| {
            in_virtual_time(seed, async {
                let town = Town::new(seed, 31, 1).await;
                let store = town.live().await;
                History::read(&town, &store).await.to_text()
            })
        });
        assert!(one.lines().count() > 500, "too short to tell anything");
        similar_asserts(&one, &other);
    }
}

/// Compares long texts, and shows the first difference alone.
fn similar_asserts(one: &str, other: &str) {
    for (number, (left, right)) in one.lines().zip(other.lines()).enumerate() {
        assert_eq!(left, right, "line {number}");
    }
    assert_eq!(one.lines().count(), other.lines().count());
}
