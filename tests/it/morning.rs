//! The morning: go or no-go, test calls to a staff telephone, and one patient's day, at the command
//! line and on the road.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::VecDeque;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::clock::civil;
use mimamori::base::{Clock, Digit, Language, PhoneNumber, Private};
use mimamori::call::{
    Carrier, Clip, DialRequest, Disposition, Ended, Line, LineEvent, Tap, Timeline,
};
use mimamori::campaign::{NewSlot, SlotKind, Terms};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Questionnaires};
use mimamori::prompt::Library;
use mimamori::registry::arrangement::Channel;
use mimamori::registry::{
    Actor, Arrangement, AuditEntry, Episode, HealthCenter, Patient, PatientPhone, PhoneRole, Scope,
};
use mimamori::sim::clock::starting_at;
use mimamori::store::{Dialing, NoTest, NodeStatus, Store, TestStage, TrunkWord};
use mimamori::worker::{self, NotCalled, Progress, Road, place_test_call};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::Notify;

use crate::store::{Database, at, claims};

claims! {
    a_test_call_is_asked_for_once_taken_once_and_kept
    whoever_stops_all_calls_stops_test_calls_too
}

/// The commands read the clock of the host.
#[expect(clippy::disallowed_methods, reason = "what a command sees of the time is the host's")]
fn now() -> Timestamp {
    Timestamp::now()
}

fn asked() -> AuditEntry {
    AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "test_call.asked",
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

fn staff_phone() -> PhoneNumber {
    "090-8765-4321".parse().unwrap()
}

fn node(at: Timestamp) -> NodeStatus {
    NodeStatus {
        node: "one".to_owned(),
        at,
        lines_in_use: 0,
        lines_limit: 8,
        calls_per_minute: 60,
        trunk: TrunkWord::Ready,
        prompts_complete: true,
        clock_ahead: None,
        last_error: String::new(),
    }
}

fn center(store: &Store) -> HealthCenter {
    HealthCenter {
        id: store.mint(at(0, 0)),
        code: "minato".to_owned(),
        name: "みなと保健所".to_owned(),
        kana: "ミナトホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(9, 0, 0, 0),
        closes_at: time(18, 0, 0, 0),
    }
}

/// A patient under observation around the real day, called at 9:30 and 14:30.
async fn admit(store: &Store, center: &HealthCenter, arrangement: Arrangement) -> Episode {
    let patient = Patient {
        id: store.mint(at(0, 0)),
        health_center: center.id,
        registration_number: "A1".to_owned(),
        birth_date: Private::new(date(1950, 1, 2)),
        name: Private::new("神崎 はな".to_owned()),
        kana: Private::new("カンザキ ハナ".to_owned()),
        gender: None,
        language: Language::Ja,
        has_thermometer: true,
        has_oximeter: true,
        slow_speech: false,
        lives_alone: false,
        risks: Vec::new(),
        phones: vec![PatientPhone {
            number: "090-1234-5678".parse().unwrap(),
            role: PhoneRole::Home,
            may_call: true,
        }],
    };
    let today = civil(now()).date();
    let episode = Episode {
        id: store.mint(at(0, 0)),
        patient: patient.id,
        first_day: today.saturating_sub(2.days()),
        last_day: today.saturating_add(5.days()),
        call_times: vec![time(9, 30, 0, 0), time(14, 30, 0, 0)],
        arrangement,
    };
    store.import_patient(at(0, 0), &patient, Some(&episode)).await.unwrap();
    episode
}

async fn a_test_call_is_asked_for_once_taken_once_and_kept(database: Database) {
    let store = database.open().await;
    let mut center = center(&store);
    center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
    let episode = admit(&store, &center, Arrangement::default()).await;
    let patients = store.patient(episode.patient).await.unwrap().phones[0].number.clone();
    let ask = |now, number: PhoneNumber| {
        let store = store.clone();
        async move { store.ask_test_call(now, &number, "技術 次郎", &asked()).await.unwrap() }
    };
    let last = |now| {
        let store = store.clone();
        async move { store.last_test_call(now, at(0, 0)).await.unwrap() }
    };
    assert_eq!(ask(at(8, 0), patients).await, Err(NoTest::Patient), "nobody is called by mistake");
    assert_eq!(last(at(8, 0)).await, None);
    let id = ask(at(8, 0), staff_phone()).await.unwrap();
    assert_eq!(ask(at(8, 0), staff_phone()).await, Err(NoTest::Underway));
    let taken = store.take_test_call(at(8, 0), "one", "main").await.unwrap();
    assert_eq!(taken, Some((id, staff_phone())));
    assert_eq!(store.take_test_call(at(8, 0), "two", "main").await.unwrap(), None);
    let placing = last(at(8, 1)).await.unwrap();
    assert_eq!((placing.stage, placing.phone_end.as_str()), (TestStage::Placing, "21"));
    store.finish_test_call(at(8, 1), id, Disposition::Answered, true).await.unwrap();
    let good = last(at(8, 5)).await.unwrap();
    assert!(good.is_good());
    assert_eq!(good.words().ja, "08:00 良好");
    assert_eq!((good.asked_by.as_str(), good.trunk.as_deref()), ("技術 次郎", Some("main")));
    // One that nobody takes, and one whose service stops, do not stand in the way for ever.
    ask(at(9, 0), staff_phone()).await.unwrap();
    assert_eq!(store.take_test_call(at(9, 2), "one", "main").await.unwrap(), None, "too late");
    assert_eq!(last(at(9, 2)).await.unwrap().stage, TestStage::Lost);
    ask(at(9, 2), staff_phone()).await.unwrap();
    store.take_test_call(at(9, 2), "one", "main").await.unwrap().unwrap();
    assert_eq!(last(at(9, 6)).await.unwrap().stage, TestStage::Lost);
    ask(at(9, 6), staff_phone()).await.unwrap();
}

async fn set_dialing(store: &Store, now: Timestamp, is_running: bool) {
    let dialing = Dialing {
        is_running,
        changed_at: now,
        changed_by: "技術 次郎".to_owned(),
        reason: "点検".to_owned(),
    };
    store.set_dialing(&dialing, &asked()).await.unwrap();
}

async fn whoever_stops_all_calls_stops_test_calls_too(database: Database) {
    let store = database.open().await;
    let ask = |now| {
        let store = store.clone();
        async move { store.ask_test_call(now, &staff_phone(), "技術 次郎", &asked()).await.unwrap() }
    };
    let last = |now| {
        let store = store.clone();
        async move { store.last_test_call(now, at(0, 0)).await.unwrap().unwrap() }
    };
    // Asked for before the stop: it is over, and says why; nobody can look its number up any more.
    ask(at(8, 0)).await.unwrap();
    set_dialing(&store, at(8, 0), false).await;
    assert_eq!(store.take_test_call(at(8, 0), "one", "main").await.unwrap(), None);
    let stopped = last(at(8, 0)).await;
    assert_eq!((stopped.stage, stopped.phone_end.as_str()), (TestStage::Stopped, "21"));
    assert!(stopped.is_over() && !stopped.is_good());
    assert_eq!(
        stopped.words().to_string(),
        "08:00 中止(架電の停止) / 08:00 not placed: all calls were stopped"
    );
    let kept = "update test_call set phone = '12345' where length(phone) > 2";
    database.execute(kept).await;
    assert_eq!(last(at(8, 0)).await.phone_end, "21", "the whole number is gone");
    // While all is stopped none is asked for, and it does not come back by itself.
    assert_eq!(ask(at(8, 1)).await, Err(NoTest::Stopped));
    set_dialing(&store, at(8, 1), true).await;
    assert_eq!(store.take_test_call(at(8, 1), "one", "main").await.unwrap(), None);
    // A call whose words are just being made ready is not placed either.
    let id = ask(at(8, 2)).await.unwrap();
    store.take_test_call(at(8, 2), "one", "main").await.unwrap().unwrap();
    assert!(store.may_place_test_call(at(8, 2), id).await.unwrap());
    set_dialing(&store, at(8, 2), false).await;
    assert!(!store.may_place_test_call(at(8, 2), id).await.unwrap());
    assert_eq!(last(at(8, 2)).await.stage, TestStage::Stopped);
    // Stopped and begun again within the moment in which it may be taken.
    set_dialing(&store, at(8, 3), true).await;
    ask(at(8, 3)).await.unwrap();
    assert!(store.take_test_call(at(8, 3), "one", "main").await.unwrap().is_some());
}

/// How a member of the staff takes a call.
#[derive(Clone, Copy)]
enum Manner {
    Presses,
    Listens,
    Absent,
}

struct StaffTelephone(Manner);

/// Somebody stops all calls at the moment at which it rings.
struct StoppedMeanwhile(Store);

impl Carrier for StoppedMeanwhile {
    type Line = StaffLine;

    async fn dial(&self, request: DialRequest) -> StaffLine {
        set_dialing(&self.0, at(8, 5), false).await;
        StaffTelephone(Manner::Presses).dial(request).await
    }
}

/// Nobody may be dialled.
struct Forbidden;

impl Carrier for Forbidden {
    type Line = StaffLine;

    async fn dial(&self, _: DialRequest) -> StaffLine {
        panic!("a telephone rings although all calls are stopped")
    }
}

fn road<C>(store: &Store, carrier: C, clock: &Clock) -> Road<C> {
    Road {
        recordings: None,
        store: store.clone(),
        carrier: Arc::new(carrier),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock: clock.clone(),
        webhook: None,
        config: worker::Config::shipped("one".to_owned()),
        progress: Progress::new(),
    }
}

struct StaffLine {
    manner: Manner,
    events: VecDeque<LineEvent>,
    /// Prompts that were said.
    plays: usize,
    news: Arc<Notify>,
}

impl Carrier for StaffTelephone {
    type Line = StaffLine;

    async fn dial(&self, request: DialRequest) -> StaffLine {
        assert_eq!(request.callee, staff_phone());
        let first = match self.0 {
            Manner::Absent => ended(Disposition::NoAnswer),
            Manner::Presses | Manner::Listens => LineEvent::Answered,
        };
        let events = VecDeque::from([LineEvent::Ringing, first]);
        StaffLine { manner: self.0, events, plays: 0, news: Arc::new(Notify::new()) }
    }
}

fn ended(disposition: Disposition) -> LineEvent {
    LineEvent::Ended(Ended { disposition, code: None, timeline: Timeline::default() })
}

impl Line for StaffLine {
    async fn next_event(&mut self) -> LineEvent {
        loop {
            if let Some(event) = self.events.pop_front() {
                return event;
            }
            self.news.notified().await;
        }
    }

    fn play(&mut self, _: Vec<Arc<Clip>>) {
        self.plays += 1;
        let presses = matches!(self.manner, Manner::Presses) && self.plays == 2;
        if presses {
            self.events.push_back(LineEvent::Digit(Digit::from_char('1').unwrap()));
        } else {
            self.events.push_back(LineEvent::PlayEnded);
        }
        self.news.notify_one();
    }

    fn stop_playing(&mut self) {}

    fn tape(&mut self, _: Option<Tap>) {}

    fn hang_up(&mut self) {
        self.events.push_back(ended(Disposition::Answered));
        self.news.notify_one();
    }
}

#[tokio::test(start_paused = true)]
async fn a_staff_telephone_is_called_and_asked_for_a_key() {
    for (manner, disposition, heard) in [
        (Manner::Presses, Disposition::Answered, true),
        (Manner::Listens, Disposition::Answered, false),
        (Manner::Absent, Disposition::NoAnswer, false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("mimamori.db");
        let store = Store::open_in_virtual_time(database.to_str().unwrap(), [3; 32]).await.unwrap();
        let clock = starting_at(at(8, 5));
        let road = road(&store, StaffTelephone(manner), &clock);
        let now = clock.now().timestamp;
        store.ask_test_call(now, &staff_phone(), "技術 次郎", &asked()).await.unwrap().unwrap();
        let began = clock.now().instant;
        place_test_call(&road).await.unwrap();
        assert!(clock.now().instant - began < Duration::from_secs(70), "it comes to its end");
        let call = store.last_test_call(clock.now().timestamp, now).await.unwrap().unwrap();
        assert_eq!(call.stage, TestStage::Over { disposition, heard });
        store.close().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_test_call_under_way_goes_on_when_all_calls_are_stopped_and_none_is_placed_after() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("mimamori.db");
    let store = Store::open_in_virtual_time(database.to_str().unwrap(), [3; 32]).await.unwrap();
    let clock = starting_at(at(8, 5));
    let now = clock.now().timestamp;
    store.ask_test_call(now, &staff_phone(), "技術 次郎", &asked()).await.unwrap().unwrap();
    place_test_call(&road(&store, StoppedMeanwhile(store.clone()), &clock)).await.unwrap();
    let call = store.last_test_call(clock.now().timestamp, now).await.unwrap().unwrap();
    assert!(call.is_good(), "{call:?}");

    set_dialing(&store, at(8, 10), true).await;
    let now = clock.now().timestamp + Duration::from_mins(5);
    store.ask_test_call(now, &staff_phone(), "技術 次郎", &asked()).await.unwrap().unwrap();
    set_dialing(&store, now, false).await;
    place_test_call(&road(&store, Forbidden, &clock)).await.unwrap();
    let call = store.last_test_call(now, now).await.unwrap().unwrap();
    assert_eq!(call.stage, TestStage::Stopped);
    store.close().await;
}

#[tokio::test(start_paused = true)]
async fn nobody_is_called_by_hand_while_all_calls_are_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("mimamori.db");
    let store = Store::open_in_virtual_time(database.to_str().unwrap(), [3; 32]).await.unwrap();
    let mut center = center(&store);
    center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
    let episode = admit(&store, &center, Arrangement::default()).await;
    let patient = store.patient(episode.patient).await.unwrap();
    set_dialing(&store, at(9, 0), false).await;
    let road = road(&store, Forbidden, &starting_at(at(10, 0)));
    let called = worker::call_now(&road, patient.id, &patient.phones[0].number).await.unwrap();
    assert_eq!(called, Err(NotCalled::Stopped));
    store.close().await;
}

/// The command line on a database of its own.
struct Desk(TempDir);

impl Desk {
    async fn new() -> (Self, Store, HealthCenter) {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("mimamori.db").display());
        let store = Store::open(&url, [7; 32]).await.unwrap();
        let mut center = center(&store);
        center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
        store.ensure_campaigns(at(0, 0), &Terms::shipped()).await.unwrap();
        (Self(folder), store, center)
    }

    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = Command::new(env!("CARGO_BIN_EXE_mimamori"))
            .args(arguments)
            .args(["--database", "mimamori.db"])
            .current_dir(self.0.path())
            .env_remove("MIMAMORI_CONFIG")
            .env_remove("MIMAMORI_DATABASE")
            .output()
            .unwrap();
        let told = String::from_utf8([stdout, stderr].concat()).unwrap();
        (status.code().unwrap(), told)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_terminal_says_go_or_no_go_as_the_page_does() {
    let (desk, store, center) = Desk::new().await;
    admit(&store, &center, Arrangement::default()).await;
    let (code, told) = desk.run(&["today"]);
    assert_eq!(code, 1, "{told}");
    assert!(told.contains("架電できません") && told.contains("no service runs"), "{told}");
    assert!(told.contains("観察中 / observed 1"), "{told}");
    store.save_node_status(&node(now())).await.unwrap();
    let (code, told) = desk.run(&["today", "--center", "minato"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("○ 架電できます / calls can be placed"), "{told}");
    assert!(told.contains("試験通話 / Test call: 今日はまだありません / none today"), "{told}");
    let (code, told) = desk.run(&["today", "--json"]);
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!(
        (code, &json["go"], &json["centers"][0]["center"]),
        (0, &true.into(), &"minato".into())
    );
    for wrong in [
        &["today", "--center", "kita"][..],
        &["today", "--call", "119"],
        // A patient's.
        &["today", "--call", "090-1234-5678"],
    ] {
        let (code, told) = desk.run(wrong);
        assert_eq!(code, 2, "{wrong:?}: {told}");
    }
    assert!(desk.run(&["today", "--call", "090-1234-5678"]).1.contains("患者のもの"));
    // The emergency stop is for every call.
    assert_eq!(desk.run(&["stop", "--reason", "点検"]).0, 0);
    let (code, told) = desk.run(&["today", "--call", "090-8765-4321"]);
    assert_eq!(code, 2, "{told}");
    assert!(told.contains("試験通話もかけません") && told.contains("mimamori resume"), "{told}");
    assert_eq!(store.last_test_call(now(), at(0, 0)).await.unwrap(), None, "none is asked for");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_test_call_is_placed_by_the_service_and_told_at_the_terminal() {
    let (desk, store, _) = Desk::new().await;
    store.save_node_status(&node(now())).await.unwrap();
    let service = tokio::spawn(async move {
        loop {
            let now = now();
            if let Some((id, _)) = store.take_test_call(now, "one", "main").await.unwrap() {
                let over = store.finish_test_call(now, id, Disposition::Answered, false).await;
                return over.unwrap();
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    let asking = move || desk.run(&["today", "--call", "090-8765-4321"]);
    let (code, told) = tokio::task::spawn_blocking(asking).await.unwrap();
    service.await.unwrap();
    assert_eq!(code, 1, "a line without sound is no go: {told}");
    assert!(told.contains("応答あり・ボタンの音が届きません") && told.contains("…21"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_patients_day_is_told_with_what_follows_and_why_not() {
    let (desk, store, center) = Desk::new().await;
    let episode = admit(&store, &center, Arrangement::default()).await;
    let today = civil(now()).date();
    let tomorrow = today.tomorrow().unwrap();
    let plan = |more: &[&str]| desk.run(&[&["plan", "--patient", "A1"], more].concat());
    let (code, told) = plan(&["--date", &tomorrow.to_string()]);
    assert_eq!(code, 0, "{told}");
    for part in [
        "A1 神崎 はな (みなと保健所)",
        "架電時刻 / Calls at: 09:30 14:30",
        "計画 / Campaign: 健康観察",
        "応答がなければ / if nobody answers: 09:30 …78 → 09:51 …78 → 10:32 …78",
        "職員の対応",
    ] {
        assert!(told.contains(part), "{part} in {told}");
    }
    let after = episode.last_day.tomorrow().unwrap();
    let (_, told) = plan(&["--date", &after.to_string()]);
    assert!(told.contains("観察期間が終わります"), "{told}");
    // What has happened today, with its reason.
    let slot = NewSlot {
        episode: episode.id,
        patient: episode.patient,
        date: today,
        number: 1,
        due_from: now() - Duration::from_hours(1),
        due_to: now() + Duration::from_hours(1),
        kind: SlotKind::Planned,
        campaign: None,
        rest: None,
    };
    store.open_slots(now(), &[slot]).await.unwrap();
    let within = store.within(Scope { center: center.id, clinic: None });
    let why = "Web入力済 08:12";
    within.stop_today(now(), episode.patient, &[], why, &asked()).await.unwrap();
    let (_, told) = plan(&[]);
    assert!(told.contains("発信しない / not called — Web入力済 08:12"), "{told}");
    let (_, told) = plan(&["--json"]);
    let json: Value = serde_json::from_str(&told).unwrap();
    assert_eq!((&json["slots"][0]["state"], &json["patient"]), (&"skipped".into(), &"A1".into()));
    let (code, told) = desk.run(&["plan", "--patient", "A9"]);
    assert!(code != 0 && told.contains("A9"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_patient_whom_no_machine_calls_is_told_so() {
    let (desk, store, center) = Desk::new().await;
    let arrangement = Arrangement { channel: Channel::Web, ..Arrangement::default() };
    admit(&store, &center, arrangement).await;
    let (code, told) = desk.run(&["plan", "--patient", "A1"]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("× 自動の電話はかけません(Web で報告)"), "{told}");
    assert!(!told.contains("応答がなければ"), "{told}");
}
