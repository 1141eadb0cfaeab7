//! Campaigns in virtual time: random hours, holidays, closures, caps, pauses, new versions and two
//! workers at once, for days on end. What the called side saw is the truth.
//!
//! `MIMAMORI_SEED=7 cargo test --test it campaign_weeks` plays a failing seed again.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::civil::{Date, Time, Weekday, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::clock::{civil, timestamp};
use mimamori::base::id::{CampaignId, PatientId};
use mimamori::base::{Clock, PhoneNumber};
use mimamori::campaign::pacing::Limits;
use mimamori::campaign::programme::{Action, Caps};
use mimamori::campaign::terms::HolidayPolicy;
use mimamori::campaign::{Book, SlotKind, SlotState, Terms, Window};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Questionnaires};
use mimamori::prompt::Library;
use mimamori::registry::arrangement::Channel;
use mimamori::registry::{Actor, AuditEntry, DoctorsOrder, Scope, Weekdays};
use mimamori::sim::clock::starting_at;
use mimamori::sim::district::{Config, Household};
use mimamori::sim::{self, Call, Directory, VirtualCarrier};
use mimamori::store::{CampaignChange, CaseFilter, Effect, Store};
use mimamori::worker::{self, Progress, Road};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use tokio::sync::watch;

/// A Friday; the Monday after it is 勤労感謝の日.
const FIRST_DAY: Date = date(2026, 11, 20);
const DAYS: i32 = 6;
const CLOSED: Date = date(2026, 11, 25);
const LINES: usize = 4;

/// What `MIMAMORI_SEED` says, or the usual seeds.
fn seeds(usual: &[u64]) -> Vec<u64> {
    match std::env::var("MIMAMORI_SEED") {
        Ok(seed) => vec![seed.parse().expect("MIMAMORI_SEED is a number")],
        Err(_) => usual.to_vec(),
    }
}

fn in_virtual_time<T>(seed: u64, future: impl Future<Output = T>) -> T {
    eprintln!("campaigns of MIMAMORI_SEED={seed}");
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_all().start_paused(true).global_queue_interval(u32::MAX);
    runtime.build().unwrap().block_on(future)
}

/// A centre whose campaigns are random, and what was done to them.
struct Centre {
    people: sim::District,
    directory: Arc<Directory>,
    clock: Clock,
    store: Store,
    campaigns: Vec<CampaignId>,
    caps: Vec<u32>,
    /// When each campaign was paused and resumed.
    pauses: Vec<(CampaignId, Timestamp, Timestamp)>,
    _folder: tempfile::TempDir,
}

fn entry() -> AuditEntry {
    AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "campaign.changed",
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

fn random_terms(dice: &mut StdRng) -> Terms {
    let mut terms = Terms::shipped();
    for hours in &mut terms.hours {
        let opens = dice.random_range(8..13);
        let closes = dice.random_range(opens + 3..=20);
        *hours = Window::new(time(opens, 0, 0, 0), time(closes, 0, 0, 0)).ok();
    }
    terms.hours[dice.random_range(0..7)] = None;
    let policies = [HolidayPolicy::Call, HolidayPolicy::Skip, HolidayPolicy::Staff];
    terms.holidays = *policies.choose(dice).unwrap();
    terms.retry.attempts = dice.random_range(1..=3);
    if dice.random_bool(0.3) {
        terms.retry.no_answer = Vec::new();
    }
    assert_eq!(terms.faults(), []);
    terms
}

impl Centre {
    async fn new(seed: u64, dice: &mut StdRng) -> Self {
        let mut people = sim::District::new(&Config {
            seed,
            n_patients: 30,
            first_day: FIRST_DAY,
            last_day: FIRST_DAY.checked_add((DAYS - 1).days()).unwrap(),
            call_times: vec![time(10, 0, 0, 0), time(14, 0, 0, 0)],
        });
        let began = timestamp(FIRST_DAY.to_datetime(Time::midnight()));
        let folder = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
        let path = folder.path().join("campaigns.sqlite");
        let store = Store::open_in_virtual_time(path.to_str().unwrap(), [1; 32]).await.unwrap();
        store.save_health_center(began, &people.health_center).await.unwrap();
        store.ensure_campaigns(began, &Terms::shipped()).await.unwrap();
        let within = store.within(Scope { center: people.health_center.id, clinic: None });
        within.set_closure(began, CLOSED, Some("庁舎停電"), &entry()).await.unwrap();
        let (mut campaigns, mut caps) = (Vec::new(), Vec::new());
        for name in ["一般", "見守り強化"] {
            let entry = entry();
            let change = CampaignChange { by: "試験", reason: "試験", entry: &entry };
            let terms = random_terms(dice);
            let id = within.draft_campaign(began, name, &terms, &change).await.unwrap();
            within.publish_campaign(began, id, Effect::Now, &change).await.unwrap();
            within.act_on_campaign(began, id, Action::Start, &change).await.unwrap();
            let lines = dice.random_range(1..=3);
            let cap = Caps { lines: Some(lines), calls_per_minute: None };
            within.set_campaign_caps(began, id, cap, &change).await.unwrap();
            campaigns.push(id);
            caps.push(lines);
        }
        for (index, one) in people.households.iter_mut().enumerate() {
            let arrangement = &mut one.episode.arrangement;
            arrangement.campaign = Some(campaigns[index % 2]);
            match index % 9 {
                3 => arrangement.weekdays = Weekdays::of([Weekday::Saturday, Weekday::Tuesday]),
                5 => arrangement.channel = Channel::Web,
                6 => arrangement.tolerance = Some(Duration::from_mins(30)),
                7 => arrangement.no_automation = Some(DoctorsOrder::parse("主治医")),
                8 => one.patient.phones[0].may_call = false,
                _ => {}
            }
            store.import_patient(began, &one.patient, Some(&one.episode)).await.unwrap();
        }
        Self {
            directory: Arc::new(people.directory()),
            people,
            clock: starting_at(began),
            store,
            campaigns,
            caps,
            pauses: Vec::new(),
            _folder: folder,
        }
    }

    fn road(&self, node: &str) -> Arc<Road<VirtualCarrier>> {
        let carrier = VirtualCarrier::new(Arc::clone(&self.directory), self.clock.clone());
        Arc::new(Road {
            store: self.store.clone(),
            carrier: Arc::new(carrier),
            library: Arc::new(Library::silent(Catalog::embedded())),
            questionnaires: Questionnaires::shipped(),
            rules: RuleBook::shipped().unwrap(),
            clock: self.clock.clone(),
            webhook: None,
            config: worker::Config {
                limits: Limits { calls_per_second: 2.0, burst: 1, calls_at_once: LINES },
                lease: Duration::from_mins(5),
                poll: Duration::from_mins(5),
                ..worker::Config::shipped(node.to_owned())
            },
            recordings: None,
            progress: Progress::new(),
        })
    }

    fn at(&self, day: i32, time: Time) -> Timestamp {
        assert!(day <= DAYS, "{}", self.people.health_center.code);
        timestamp(FIRST_DAY.checked_add(day.days()).unwrap().to_datetime(time))
    }

    async fn sleep_until(&self, at: Timestamp) {
        let now = self.clock.now().timestamp;
        if now < at {
            tokio::time::sleep(now.duration_until(at).unsigned_abs()).await;
        }
    }

    async fn act(&self, id: CampaignId, action: Action) -> Timestamp {
        let (entry, now) = (entry(), self.clock.now().timestamp);
        let change = CampaignChange { by: "試験", reason: "試験", entry: &entry };
        let scope = Scope { center: self.people.health_center.id, clinic: None };
        self.store.within(scope).act_on_campaign(now, id, action, &change).await.unwrap();
        self.clock.now().timestamp
    }

    /// One campaign is paused each day, at the busiest hour, and resumed.
    async fn daily_life(&mut self, day: i32, dice: &mut StdRng) {
        let id = *self.campaigns.choose(dice).unwrap();
        let minute = dice.random_range(0..40);
        self.sleep_until(self.at(day, time(10, minute, 0, 0))).await;
        let paused = self.act(id, Action::Pause).await;
        self.sleep_until(paused + Duration::from_mins(dice.random_range(5..60))).await;
        // What is stored before the commit is still within the pause.
        let resumes = self.clock.now().timestamp;
        self.act(id, Action::Resume).await;
        self.pauses.push((id, paused, resumes));
        if day == 2 {
            let (entry, now) = (entry(), self.clock.now().timestamp);
            let change = CampaignChange { by: "試験", reason: "", entry: &entry };
            let scope = Scope { center: self.people.health_center.id, clinic: None };
            let within = self.store.within(scope);
            let terms = random_terms(dice);
            within.save_draft(now, id, "改定", &terms, &change).await.unwrap();
            let version = within.publish_campaign(now, id, Effect::Tomorrow, &change).await;
            assert_eq!(version.unwrap(), 2);
        }
        self.sleep_until(self.at(day, time(20, 30, 0, 0))).await;
        let now = self.clock.now().timestamp;
        for view in self.store.cases(CaseFilter::Unresolved).await.unwrap() {
            self.store.resolve_case(now, view.case.id, "nurse", "対応済み").await.unwrap();
        }
    }

    /// Looks at every call as it begins: no campaign has more calls than it may.
    fn watch_caps(&self) -> (tokio::task::JoinHandle<()>, Arc<AtomicBool>) {
        let (store, campaigns, caps) =
            (self.store.clone(), self.campaigns.clone(), self.caps.clone());
        let households: HashMap<PatientId, CampaignId> = self
            .people
            .households
            .iter()
            .filter_map(|one| Some((one.patient.id, one.episode.arrangement.campaign?)))
            .collect();
        let seen = Arc::new(AtomicBool::new(false));
        let saw = Arc::clone(&seen);
        let watching = tokio::spawn(async move {
            let mut changes = store.changes(&[mimamori::store::Topic::Call]);
            loop {
                changes.changed().await;
                let live = store.calls_in_progress().await.unwrap();
                let mut counts: HashMap<CampaignId, u32> = HashMap::new();
                for call in &live {
                    let campaign = households[&call.patient];
                    *counts.entry(campaign).or_default() += 1;
                }
                for (id, cap) in campaigns.iter().zip(&caps) {
                    let count = counts.get(id).copied().unwrap_or(0);
                    assert!(count <= *cap, "{count} calls at once where {cap} are allowed");
                    saw.fetch_or(count == *cap, Ordering::Relaxed);
                }
            }
        });
        (watching, seen)
    }
}

async fn check(centre: &Centre, books: &[Book]) {
    assert!(centre.directory.most_live_at_one() <= 1, "two calls to one telephone at once");
    let mut calls: BTreeMap<PhoneNumber, Vec<Call>> = BTreeMap::new();
    for call in centre.directory.calls() {
        calls.entry(call.callee.clone()).or_default().push(call);
    }
    assert!(calls.len() > 10, "hardly anybody was called");
    let cases = centre.store.cases(CaseFilter::All).await.unwrap();
    for one in &centre.people.households {
        let number = &one.patient.phones[0].number;
        let calls = calls.remove(number).unwrap_or_default();
        if one.episode.arrangement.held().is_some() || !one.patient.phones[0].may_call {
            assert!(calls.is_empty(), "called against what was agreed");
        }
        no_call_comes_at_a_wrong_time(centre, books, one, &calls);
        for (day, book) in books.iter().enumerate() {
            let date = FIRST_DAY.checked_add(i32::try_from(day).unwrap().days()).unwrap();
            let slots = centre.store.slots_of(one.patient.id, date).await.unwrap();
            let center = &centre.people.health_center;
            let owed = book.slots_on(date, &one.episode, center, &Arc::new(Terms::shipped()));
            let (slots, extra): (Vec<_>, Vec<_>) =
                slots.into_iter().partition(|slot| slot.kind == SlotKind::Planned);
            let stored: Vec<_> = slots.iter().map(|slot| (slot.number, slot.campaign)).collect();
            let planned: Vec<_> = owed.iter().map(|slot| (slot.number, slot.campaign)).collect();
            assert_eq!(stored, planned, "{date}: the slots of the version in force, no others");
            for (slot, owed) in slots.iter().zip(&owed) {
                assert_eq!(
                    owed.rest.as_ref().map(mimamori::campaign::terms::Rest::reason),
                    owed.rest.as_ref().and(slot.reason.clone()),
                    "a day of rest says why"
                );
            }
            for slot in slots.iter().chain(&extra) {
                assert!(slot.state.is_final(), "{slot:?}");
                let is_silent = matches!(slot.state, SlotState::Unreached | SlotState::Expired);
                let is_told = cases.iter().any(|view| {
                    let facts = &view.case.facts;
                    facts.iter().any(|fact| fact.source == FactSource::Slot(slot.id))
                });
                assert!(!is_silent || is_told, "nobody is told of {slot:?}");
            }
        }
    }
    assert!(calls.is_empty(), "strangers were called");
}

fn no_call_comes_at_a_wrong_time(centre: &Centre, books: &[Book], one: &Household, calls: &[Call]) {
    for call in calls {
        let began = call.began_at;
        let date = civil(began).date();
        let day = usize::try_from(FIRST_DAY.until(date).unwrap().get_days()).unwrap();
        let campaign = one.episode.arrangement.campaign.unwrap();
        let version = books[day].campaign(campaign).unwrap().version.as_ref().unwrap();
        let center = &centre.people.health_center;
        let terms = version.terms.day(date, center, &books[day].calendar(center.id));
        assert_eq!(terms.rest, None, "called on {date}");
        assert!(terms.window.is_open(began), "called at {} on {date}", civil(began).time());
        assert!(one.episode.arrangement.weekdays.cover(date), "called on {date}");
        for (_, paused, resumed) in centre.pauses.iter().filter(|(id, ..)| *id == campaign) {
            let is_paused = *paused + Duration::from_secs(2) <= began && began < *resumed;
            assert!(!is_paused, "called at {} in a pause", civil(began).time());
        }
    }
}

#[test]
fn campaigns_keep_their_promises_whatever_their_terms() {
    for seed in seeds(&[11]) {
        in_virtual_time(seed, async {
            let mut dice = StdRng::seed_from_u64(seed);
            let mut centre = Centre::new(seed, &mut dice).await;
            let (stop, stopped) = watch::channel(false);
            let workers = ["one", "two"]
                .map(|node| tokio::spawn(worker::run(centre.road(node), stopped.clone())));
            let (watching, seen) = centre.watch_caps();
            let mut books = Vec::new();
            for day in 0..DAYS {
                centre.sleep_until(centre.at(day, time(7, 0, 0, 0))).await;
                books.push(centre.store.campaigns(centre.clock.now().timestamp).await.unwrap());
                centre.daily_life(day, &mut dice).await;
            }
            stop.send_replace(true);
            for worker in workers {
                worker.await.unwrap().unwrap();
            }
            assert!(!watching.is_finished(), "a campaign had too many calls");
            watching.abort();
            assert!(seen.load(Ordering::Relaxed), "no cap was ever reached");
            assert_eq!(centre.store.health_drift().await.unwrap(), [], "健康状態一覧 has drifted");
            check(&centre, &books).await;
        });
    }
}
