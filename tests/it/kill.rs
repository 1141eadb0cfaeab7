//! `kill -9` at any question: no given answer is lost, no finished call repeated, and no
//! unfinished one forgotten.
//!
//! The service runs as a process of its own (this program again, with a clock inside the calling
//! hours) and calls simulated patients over real SIP and RTP. It has four lives: it is killed in the
//! middle, started again at once, and twice again after the time in which a telephone is left alone.
//! What the patients saw is compared with what the database holds.
//!
//! In each life but the first somebody new is enrolled. Whatever falls due earlier is called
//! earlier, so that once the newcomer is called the service has done, or left undone, all that it
//! owed to the others, and is killed again.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Lines, Write, stdout};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::PhoneNumber;
use mimamori::base::clock::timestamp;
use mimamori::call::{Carrier, Clip, Completion, DialRequest, Disposition, FRAME_BYTES};
use mimamori::call::{Line, LineEvent, Tap};
use mimamori::campaign::pacing::Limits;
use mimamori::campaign::{Attempt, AttemptState, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::session::{Profile, utterances};
use mimamori::ivr::{Answer, Catalog, Entry, Questionnaire, Questionnaires, Script};
use mimamori::prompt::Library;
use mimamori::sim::clock::starting_at;
use mimamori::sim::{
    self, Call, Directory, Persona, Resident, SharedRepertoire, SipCarrier, Temper, carrier,
};
use mimamori::store::{CaseFilter, Store};
use mimamori::trunk::media::{self, Engine};
use mimamori::trunk::{self, Codec, Identity, Trunk};
use mimamori::worker::{self, News, Progress, Road, Step};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::sync::broadcast::Receiver;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};

const DAY: Date = date(2026, 11, 22);

/// Who lives there: the first is called first, a second before the next.
const TEMPERS: [Temper; 5] =
    [Temper::Prompt, Temper::Impatient, Temper::Family, Temper::Prompt, Temper::Late];

/// One for each life of the service but the first.
const N_NEWCOMERS: usize = 3;

/// More than there are people: nobody waits for a line.
const N_LINES: usize = 2 * (TEMPERS.len() + N_NEWCOMERS);

/// A telephone is left alone for three minutes after the end of a call, or after it became known
/// that a call was cut off; then somebody who had not answered is called again.
const LATER: Duration = Duration::from_mins(4);

/// More than any of the waits takes on any machine.
const PATIENCE: Duration = Duration::from_mins(4);

/// When the service is killed for the first time.
#[derive(Clone, Copy, Debug)]
enum Moment {
    /// As soon as a telephone rings.
    Ringing,
    /// After so many answers of all patients together.
    Answers(usize),
    /// Somebody has answered the last question; the service says goodbye.
    LastAnswer,
}

// --- the service

/// A carrier that says noise instead of words: short, and different for each prompt.
pub(crate) struct Marked<C>(pub(crate) C);

pub(crate) struct MarkedLine<L>(L);

impl<C: Carrier> Carrier for Marked<C> {
    type Line = MarkedLine<C::Line>;

    async fn dial(&self, request: DialRequest) -> Self::Line {
        MarkedLine(self.0.dial(request).await)
    }
}

impl<L: Line> Line for MarkedLine<L> {
    async fn next_event(&mut self) -> LineEvent {
        self.0.next_event().await
    }

    fn play(&mut self, clips: Vec<Arc<Clip>>) {
        self.0.play(clips.iter().map(|clip| Arc::new(noise(&clip.label))).collect());
    }

    fn stop_playing(&mut self) {
        self.0.stop_playing();
    }

    fn tape(&mut self, tap: Option<Tap>) {
        self.0.tape(tap);
    }

    fn hang_up(&mut self) {
        self.0.hang_up();
    }
}

/// Half a second that sounds like nothing, but like no other.
pub(crate) fn noise(label: &str) -> Clip {
    // FNV-1a.
    let seed = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut dice = StdRng::seed_from_u64(seed);
    let pcmu: Arc<[u8]> = (0..25 * FRAME_BYTES).map(|_| dice.random()).collect();
    let pcma = pcmu.iter().map(|code| code ^ 0x55).collect();
    Clip { label: label.to_owned(), pcmu, pcma }
}

pub(crate) fn trunk_config(carrier: &str) -> trunk::Config {
    trunk::Config {
        name: "simulated".to_owned(),
        host: carrier.to_owned(),
        outbound_proxy: None,
        domain: "127.0.0.1".to_owned(),
        bind: "127.0.0.1:0".parse().unwrap(),
        public_ip: None,
        further_hosts: Vec::new(),
        media_networks: Vec::new(),
        user: "minato".to_owned(),
        credentials: None,
        registration: None,
        caller: "03-1234-5678".parse().unwrap(),
        caller_name: None,
        callee_uri: "sip:{national}@{domain}".parse().unwrap(),
        caller_uri: "sip:{national}@{domain}".parse().unwrap(),
        identity: Identity::None,
        codecs: vec![Codec::Pcmu],
        max_calls: N_LINES,
        calls_per_second: 4,
        response_timeout: Duration::from_secs(4),
        keep_alive: None,
        session_interval: None,
        lead_in: Duration::from_millis(200),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the child of other tests: the service, until it is killed"]
async fn the_service_that_is_killed() {
    let database = env::var("MIMAMORI_TEST_DATABASE").expect("run by other tests only");
    let carrier = env::var("MIMAMORI_TEST_CARRIER").unwrap();
    let now: Timestamp = env::var("MIMAMORI_TEST_NOW").unwrap().parse().unwrap();
    let clock = starting_at(now);
    let first: u16 = env::var("MIMAMORI_TEST_PORTS").unwrap().parse().unwrap();
    let ports = first..=first + N_PORTS - 1;
    let engine = Engine::start(&media::Config { threads: 1, ports }).unwrap();
    let trunk = Trunk::start(trunk_config(&carrier), engine, clock.clone()).await.unwrap();
    let road = Road {
        store: Store::open(&database, rand::random()).await.unwrap(),
        carrier: Arc::new(Marked(trunk)),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock,
        webhook: None,
        config: worker::Config {
            limits: Limits { calls_per_second: 1.0, burst: 1, calls_at_once: N_LINES },
            ..worker::Config::shipped("killed".to_owned())
        },
        recordings: None,
        progress: Progress::new(),
    };
    tokio::spawn(tell(road.progress.watch()));
    let (_never, stop) = watch::channel(false);
    worker::run(Arc::new(road), stop).await.unwrap();
}

/// Tells the other process what happens, each thing right after it is committed.
async fn tell(mut news: Receiver<News>) {
    let mut out = stdout();
    // What the harness has begun to print ends here.
    writeln!(out).unwrap();
    while let Ok(News { step, .. }) = news.recv().await {
        match step {
            Step::Ringing => writeln!(out, "ringing").unwrap(),
            Step::Stored(entry) => writeln!(out, "stored {}", entry.question).unwrap(),
            _ => {}
        }
    }
}

/// The service as a process. Dropped, it is killed.
struct Service {
    process: Child,
    told: Option<Lines<BufReader<ChildStdout>>>,
}

impl Service {
    fn start(village: &Village, carrier: SocketAddr, now: Timestamp) -> Self {
        let mut process = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kill::the_service_that_is_killed", "--ignored", "--nocapture"])
            .env("MIMAMORI_TEST_DATABASE", village.database())
            .env("MIMAMORI_TEST_CARRIER", carrier.to_string())
            .env("MIMAMORI_TEST_NOW", now.to_string())
            .env("MIMAMORI_TEST_PORTS", village.first_port.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let told = process.stdout.take().map(|out| BufReader::new(out).lines());
        Self { process, told }
    }

    /// Waits until the service tells that the moment has come.
    async fn reaches(&mut self, moment: Moment) {
        let told = self.told.take().unwrap();
        let reading = spawn_blocking(move || {
            let mut n_answers = 0;
            told.map_while(Result::ok).any(|line| {
                n_answers += usize::from(line.starts_with("stored"));
                match moment {
                    Moment::Ringing => line == "ringing",
                    Moment::Answers(n) => n_answers >= n,
                    Moment::LastAnswer => line == "stored other_change",
                }
            })
        });
        let has_come = timeout(PATIENCE, reading).await;
        let has_come = has_come.unwrap_or_else(|_| panic!("{moment:?} does not come")).unwrap();
        assert!(has_come, "the service ended before {moment:?}");
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(mut self) {
        assert!(self.process.try_wait().unwrap().is_none(), "the service ended by itself");
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

// --- the village

/// Ports for sound on each side. Ports in use by others are passed over.
const N_PORTS: u16 = 500;

/// A few patients and their database.
struct Village {
    people: sim::District,
    store: Store,
    folder: TempDir,
    /// The service's range of ports begins here, and that of the carrier follows. No other village
    /// has it, and the system gives it to nobody who asks for any port: what a carrier still sends
    /// to a service that was killed reaches nobody else.
    first_port: u16,
}

/// An attempt and what came of it.
struct Told {
    attempt: Attempt,
    entries: Vec<Entry>,
    /// A case names it: staff hear of it.
    is_in_case: bool,
}

impl Told {
    fn is_live(&self) -> bool {
        matches!(self.attempt.state, AttemptState::Dialing | AttemptState::Talking)
    }

    /// The service died meanwhile, and knows it.
    fn is_lost(&self) -> bool {
        self.attempt.disposition == Some(Disposition::Interrupted)
    }

    fn was_answered(&self) -> bool {
        self.attempt.answered_at.is_some()
    }

    /// The service died while somebody talked with it.
    fn has_broken_off(&self) -> bool {
        self.is_lost() && self.was_answered()
    }

    fn next<'a>(&self, all: &'a [Self]) -> Option<&'a Attempt> {
        let mut others = all.iter().map(|told| &told.attempt);
        let (slot, number) = (self.attempt.slot, self.attempt.number);
        others.find(|other| other.slot == slot && other.number > number)
    }
}

impl Village {
    /// The morning slot is over; that of eleven o'clock is due, with the short script.
    async fn new(seed: u16) -> Self {
        let mut people = sim::District::new(&sim::district::Config {
            seed: u64::from(seed),
            n_patients: u32::try_from(TEMPERS.len() + N_NEWCOMERS).unwrap(),
            first_day: DAY,
            last_day: DAY.checked_add(1.day()).unwrap(),
            call_times: vec![time(9, 0, 0, 0), time(11, 0, 0, 0)],
        });
        let tempers = TEMPERS.into_iter().chain([Temper::Prompt; N_NEWCOMERS]);
        for (household, temper) in people.households.iter_mut().zip(tempers) {
            household.persona = Persona { temper, ..household.persona };
            if temper == Temper::Family {
                household.patient.phones[0].role = mimamori::registry::PhoneRole::Family;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(path(&folder).to_str().unwrap(), [1; 32]).await.unwrap();
        let began = timestamp(DAY.at(0, 0, 0, 0));
        store.save_health_center(began, &people.health_center).await.unwrap();
        for one in &people.households[..TEMPERS.len()] {
            store.import_patient(began, &one.patient, Some(&one.episode)).await.unwrap();
        }
        Self { people, store, folder, first_port: 12_000 + 2 * N_PORTS * seed }
    }

    /// Enrols the newcomer of a life of the service. Returns the telephone.
    async fn enrol(&self, now: Timestamp, life: usize) -> &PhoneNumber {
        let newcomer = &self.people.households[TEMPERS.len() + life - 2];
        self.store.import_patient(now, &newcomer.patient, Some(&newcomer.episode)).await.unwrap();
        &newcomer.patient.phones[0].number
    }

    fn database(&self) -> PathBuf {
        path(&self.folder)
    }

    fn directory(&self) -> Directory {
        Directory::new(self.people.households.iter().map(|one| {
            let birth = *one.patient.birth_date.expose();
            let birth = (birth.month(), birth.day()).into();
            let resident = Resident { persona: one.persona, birth, first_day: DAY };
            (one.patient.phones[0].number.clone(), resident)
        }))
    }

    async fn carrier(&self, now: Timestamp) -> SipCarrier {
        let repertoire = SharedRepertoire::default();
        for one in &self.people.households {
            let born = *one.patient.birth_date.expose();
            let profile = Profile {
                health_center: self.people.health_center.kana.clone(),
                desk_phone: self.people.health_center.desk_phone.clone(),
                family_name: one.patient.kana.expose().split(' ').next().unwrap().to_owned().into(),
                birth: (born.month(), born.day()).into(),
                has_thermometer: true,
                has_oximeter: true,
                slow_speech: false,
                script: Script::Short,
                family_may_answer: one.persona.temper == Temper::Family,
                answered: Vec::new(),
                next_call: None,
                remeasure: None,
                has_open_case: false,
                today: DAY,
                leave_message: false,
                is_recorded: false,
                takes_messages: false,
                takes_help: true,
            };
            for utterance in utterances(&Questionnaire::recuperation(), &profile) {
                repertoire.learn(&noise(&utterance.to_string()));
            }
        }
        let config = carrier::Config {
            address: "127.0.0.1:0".parse().unwrap(),
            media_ports: self.first_port + N_PORTS..=self.first_port + 2 * N_PORTS - 1,
            media_threads: 1,
            credentials: None,
        };
        let directory = Arc::new(self.directory());
        SipCarrier::start(config, directory, repertoire, starting_at(now)).await.unwrap()
    }

    /// All attempts, with what was answered.
    async fn told(&self) -> Vec<Told> {
        let cases = self.store.cases(CaseFilter::All).await.unwrap();
        let facts: Vec<FactSource> =
            cases.iter().flat_map(|view| &view.case.facts).map(|fact| fact.source).collect();
        let mut all = Vec::new();
        for one in self.store.attempts_of_day(DAY).await.unwrap() {
            let entries = self.store.transcript(one.attempt.id).await.unwrap();
            let is_in_case = facts.contains(&FactSource::Attempt(one.attempt.id));
            all.push(Told { attempt: one.attempt, entries, is_in_case });
        }
        all
    }

    /// Waits until all is done that the service owes in a life of its own, the first aside.
    async fn wait_for_newcomer(&self, what: &str, newcomer: &PhoneNumber) {
        let is_done = |all: &[Told]| {
            let mut of_newcomer = all.iter().filter(|told| told.attempt.phone == *newcomer);
            of_newcomer.any(|told| told.attempt.dialed_at.is_some())
                && all.iter().all(|told| !told.has_broken_off() || told.is_in_case)
        };
        let waiting = async {
            while !is_done(&self.told().await) {
                sleep(Duration::from_millis(100)).await;
            }
        };
        if timeout(PATIENCE, waiting).await.is_err() {
            let all = self.told().await;
            let attempts: Vec<&Attempt> = all.iter().map(|told| &told.attempt).collect();
            panic!("{what} does not come to {newcomer}: {attempts:#?}");
        }
    }

    async fn slot_state(&self, attempt: &Attempt) -> SlotState {
        for one in &self.people.households {
            let slots = self.store.slots_of(one.patient.id, DAY).await.unwrap();
            if let Some(slot) = slots.iter().find(|slot| slot.id == attempt.slot) {
                return slot.state;
            }
        }
        panic!("an attempt without a slot");
    }
}

fn path(folder: &TempDir) -> PathBuf {
    folder.path().join("village.sqlite")
}

/// The calls that the telephones saw, once those that are still up are cut.
async fn cut(carrier: SipCarrier) -> BTreeMap<PhoneNumber, Vec<Call>> {
    let directory = Arc::clone(carrier.directory());
    assert!(directory.most_live_at_one() <= 1, "called while on the line");
    drop(carrier);
    // Its task holds the directory until it is gone.
    while Arc::strong_count(&directory) > 1 {
        sleep(Duration::from_millis(10)).await;
    }
    let mut calls: BTreeMap<PhoneNumber, Vec<Call>> = BTreeMap::new();
    for call in directory.calls() {
        calls.entry(call.callee.clone()).or_default().push(call);
    }
    calls
}

/// The questions that were heard, in the order in which they were first put.
fn questions_heard(call: &Call) -> Vec<String> {
    let questionnaire = Questionnaire::recuperation();
    let mut heard = Vec::new();
    for label in &call.seen.heard {
        let question = questionnaire.questions.iter().find(|question| {
            let mut prompts =
                [&question.ask, &question.again, &question.short].into_iter().flatten();
            prompts.any(|prompt| prompt == label && prompt.contains(&question.code))
        });
        if let Some(question) = question.filter(|question| !heard.contains(&question.code)) {
            heard.push(question.code.clone());
        }
    }
    heard
}

// --- what must hold

async fn killed_at(moment: Moment, seed: u16) {
    let village = Village::new(seed).await;
    let began = timestamp(DAY.at(11, 0, 0, 0));
    let clock = starting_at(began);
    let carrier = village.carrier(began).await;

    let mut service = Service::start(&village, carrier.address(), began);
    service.reaches(moment).await;
    service.kill();
    let first = village.told().await;
    assert!(first.iter().any(Told::is_live), "{moment:?}: nothing was under way");

    // Again at once: it must know whom it has called.
    let now = clock.now().timestamp + Duration::from_secs(5);
    let newcomer = village.enrol(now, 2).await;
    let service = Service::start(&village, carrier.address(), now);
    village.wait_for_newcomer(&format!("{moment:?}: the second life"), newcomer).await;
    service.kill();
    let second = village.told().await;
    what_was_under_way_is_lost(&first, &second);
    let calls = cut(carrier).await;
    let n_checked = every_answer_is_kept(&village, &second, &calls);
    eprintln!("{moment:?}: {} calls, {n_checked} answers heard and stored", calls.len());
    assert!(n_checked > 0 || matches!(moment, Moment::Ringing), "{moment:?}: nothing was compared");

    // Twice more, each time when telephones may ring again: that a call was cut off by the second
    // kill is known only from the third life on.
    let mut lives = vec![first, second];
    for life in [3_u16, 4] {
        let now = clock.now().timestamp + LATER * u32::from(life - 2);
        let newcomer = village.enrol(now, life.into()).await;
        let carrier = village.carrier(now).await;
        let service = Service::start(&village, carrier.address(), now);
        village.wait_for_newcomer(&format!("{moment:?}: life {life}"), newcomer).await;
        service.kill();
        let after = village.told().await;
        what_was_under_way_is_lost(&lives[lives.len() - 1], &after);
        who_had_not_answered_is_called_again(&lives[lives.len() - 1], &after);
        lives.push(after);
        let calls = cut(carrier).await;
        assert!(calls.values().all(|calls| calls.len() == 1), "{moment:?}: it rang twice");
    }
    let at_last = lives.pop().unwrap();
    for then in &lives {
        nothing_is_repeated_or_forgotten(&village, then, &at_last).await;
    }
}

/// A later life has closed what a kill left open, as what it is.
fn what_was_under_way_is_lost(before: &[Told], after: &[Told]) {
    for was in before.iter().filter(|told| told.is_live()) {
        let now = after.iter().find(|told| told.attempt.id == was.attempt.id).unwrap();
        assert!(now.is_lost(), "left open: {:?}", now.attempt);
    }
}

/// Whoever was known to be cut off before a life, and had not answered, was called again in it.
fn who_had_not_answered_is_called_again(before: &[Told], after: &[Told]) {
    for was in before.iter().filter(|told| told.is_lost() && !told.was_answered()) {
        let next = was.next(after);
        let is_called = next.is_some_and(|next| next.dialed_at.is_some());
        assert!(is_called, "not called again after {:?}, but {next:?}", was.attempt);
    }
}

fn every_answer_is_kept(
    village: &Village,
    all: &[Told],
    calls: &BTreeMap<PhoneNumber, Vec<Call>>,
) -> usize {
    let mut n_checked = 0;
    for household in &village.people.households {
        let number = &household.patient.phones[0].number;
        let own: Vec<&Told> = all
            .iter()
            .filter(|told| told.attempt.phone == *number && told.attempt.dialed_at.is_some())
            .collect();
        let calls = calls.get(number).map_or(&[] as &[Call], Vec::as_slice);
        assert!(own.len() <= 1 && calls.len() <= own.len(), "called again within three minutes");
        let ([Told { entries, .. }], [call]) = (own.as_slice(), calls) else { continue };
        let heard = questions_heard(call);
        for question in heard.split_last().map_or(&[] as &[String], |(_, before)| before) {
            let is_stored = entries.iter().any(|entry| entry.question == *question);
            assert!(is_stored, "{question} of {heard:?} was answered before the next was put");
        }
        // A machine without breath presses too late, which no kill can do.
        for entry in entries.iter().filter(|entry| entry.answer != Answer::Unanswered) {
            assert_eq!(entry.answer, household.persona.meant(0, &entry.question));
            n_checked += 1;
        }
    }
    n_checked
}

async fn nothing_is_repeated_or_forgotten(village: &Village, then: &[Told], at_last: &[Told]) {
    for was in then {
        let now = at_last.iter().find(|told| told.attempt.id == was.attempt.id).unwrap();
        let next = now.next(at_last);
        if was.attempt.state != AttemptState::Due {
            assert_eq!(now.entries, was.entries, "a transcript is only added to by its own call");
        }
        if now.attempt.completion == Some(Completion::Complete) {
            assert!(next.is_none(), "a finished call was repeated");
        }
        if !now.is_lost() {
            continue;
        }
        if !now.was_answered() {
            assert!(next.is_some(), "forgotten");
            continue;
        }
        assert!(next.is_none(), "a machine called again after it had broken off");
        let expected =
            if now.entries.is_empty() { SlotState::Unreached } else { SlotState::Partial };
        assert_eq!(village.slot_state(&now.attempt).await, expected);
        assert!(now.is_in_case, "staff do not hear of a call that broke off");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_loses_no_answer_repeats_no_finished_call_and_forgets_none() {
    tokio::join!(
        killed_at(Moment::Ringing, 1),
        killed_at(Moment::Answers(3), 2),
        killed_at(Moment::Answers(9), 3),
        killed_at(Moment::LastAnswer, 4),
    );
}
