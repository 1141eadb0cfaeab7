//! `kill -9` at any question: no given answer is lost, no finished call repeated, and no
//! unfinished one forgotten.
//!
//! The service runs as a process of its own (this program again, with a clock inside the calling
//! hours) and calls simulated patients over real SIP and RTP. It is killed in the middle, started
//! again at once, and again after the time in which a telephone is left alone. What the patients
//! saw is compared with what the database holds.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::PhoneNumber;
use mimamori::base::clock::timestamp;
use mimamori::base::id::AttemptId;
use mimamori::call::{Carrier, Clip, Completion, DialRequest, Disposition, FRAME_BYTES};
use mimamori::call::{Line, LineEvent};
use mimamori::campaign::pacing::Limits;
use mimamori::campaign::{Attempt, AttemptState, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::session::{Profile, utterances};
use mimamori::ivr::{Answer, Catalog, Entry, Questionnaire, Script};
use mimamori::prompt::Library;
use mimamori::sim::clock::starting_at;
use mimamori::sim::{
    self, Call, Directory, Persona, Resident, SharedRepertoire, SipCarrier, Temper, carrier,
};
use mimamori::store::{CaseFilter, Store};
use mimamori::trunk::media::{self, Engine};
use mimamori::trunk::{self, Codec, Identity, Trunk};
use mimamori::worker::{self, Progress, Road};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;
use tokio::sync::watch;
use tokio::time::sleep;

const DAY: Date = date(2026, 11, 22);

/// Who lives there: the first is called first, a second before the next.
const TEMPERS: [Temper; 5] =
    [Temper::Prompt, Temper::Impatient, Temper::Family, Temper::Prompt, Temper::Late];

/// A telephone is left alone for three minutes, a failed trunk for as long; then somebody whose
/// call was not answered is called again.
const LATER: Duration = Duration::from_mins(4);

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
struct Marked<C>(C);

struct MarkedLine<L>(L);

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

    fn hang_up(&mut self) {
        self.0.hang_up();
    }
}

/// Half a second that sounds like nothing, but like no other.
fn noise(label: &str) -> Clip {
    // FNV-1a.
    let seed = label.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    let mut dice = StdRng::seed_from_u64(seed);
    let pcmu: Arc<[u8]> = (0..25 * FRAME_BYTES).map(|_| dice.random()).collect();
    let pcma = pcmu.iter().map(|code| code ^ 0x55).collect();
    Clip { label: label.to_owned(), pcmu, pcma }
}

fn trunk_config(carrier: &str) -> trunk::Config {
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
        max_calls: TEMPERS.len(),
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
    let engine = Engine::start(&media::Config { threads: 1, ports: 32_000..=35_999 }).unwrap();
    let trunk = Trunk::start(trunk_config(&carrier), engine, clock.clone()).await.unwrap();
    let road = Road {
        store: Store::open(&database, rand::random()).await.unwrap(),
        carrier: Arc::new(Marked(trunk)),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaire: Questionnaire::recuperation(),
        rules: RuleBook::shipped().unwrap(),
        clock,
        webhook: None,
        config: worker::Config {
            limits: Limits { calls_per_second: 1.0, burst: 1, calls_at_once: TEMPERS.len() },
            ..worker::Config::shipped("killed".to_owned())
        },
        progress: Progress::new(),
    };
    let (_never, stop) = watch::channel(false);
    worker::run(Arc::new(road), stop).await.unwrap();
}

/// The service as a process. Dropped, it is killed.
struct Service(Child);

impl Service {
    fn start(village: &Village, carrier: SocketAddr, now: Timestamp) -> Self {
        let child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "kill::the_service_that_is_killed", "--ignored", "--nocapture"])
            .env("MIMAMORI_TEST_DATABASE", village.database())
            .env("MIMAMORI_TEST_CARRIER", carrier.to_string())
            .env("MIMAMORI_TEST_NOW", now.to_string())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self(child)
    }

    /// SIGKILL: no handler runs, nothing is flushed.
    fn kill(mut self) {
        assert!(self.0.try_wait().unwrap().is_none(), "the service ended by itself");
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        // It may be dead already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

// --- the village

/// A few patients, their database, and the time of day there.
struct Village {
    people: sim::District,
    store: Store,
    folder: TempDir,
}

impl Village {
    /// The morning slot is over; that of eleven o'clock is due, with the short script.
    async fn new(seed: u64) -> Self {
        let mut people = sim::District::new(&sim::district::Config {
            seed,
            n_patients: u32::try_from(TEMPERS.len()).unwrap(),
            first_day: DAY,
            last_day: DAY.checked_add(1.day()).unwrap(),
            call_times: vec![time(9, 0, 0, 0), time(11, 0, 0, 0)],
        });
        for (household, temper) in people.households.iter_mut().zip(TEMPERS) {
            household.persona = Persona { temper, ..household.persona };
            if temper == Temper::Family {
                household.patient.phones[0].role = mimamori::registry::PhoneRole::Family;
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(path(&folder).to_str().unwrap(), [1; 32]).await.unwrap();
        let began = timestamp(DAY.at(0, 0, 0, 0));
        store.save_health_center(began, &people.health_center).await.unwrap();
        for one in &people.households {
            store.import_patient(began, &one.patient, Some(&one.episode)).await.unwrap();
        }
        Self { people, store, folder }
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
                today: DAY,
                leave_message: false,
            };
            for utterance in utterances(&Questionnaire::recuperation(), &profile) {
                repertoire.learn(&noise(&utterance.to_string()));
            }
        }
        let config = carrier::Config {
            address: "127.0.0.1:0".parse().unwrap(),
            media_ports: 36_000..=39_999,
            media_threads: 1,
            credentials: None,
        };
        let directory = Arc::new(self.directory());
        SipCarrier::start(config, directory, repertoire, starting_at(now)).await.unwrap()
    }

    /// All attempts, with what was answered.
    async fn attempts(&self) -> Vec<(Attempt, Vec<Entry>)> {
        let mut attempts = Vec::new();
        for one in self.store.attempts_of_day(DAY).await.unwrap() {
            let entries = self.store.transcript(one.attempt.id).await.unwrap();
            attempts.push((one.attempt, entries));
        }
        attempts
    }

    /// Waits until the store shows it. Fails after a time that is enough on any machine.
    async fn wait_until(&self, what: &str, shows: impl Fn(&[(Attempt, Vec<Entry>)]) -> bool) {
        for _ in 0..1200 {
            if shows(&self.attempts().await) {
                return;
            }
            sleep(Duration::from_millis(50)).await;
        }
        panic!("{what} does not come");
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

async fn killed_at(moment: Moment, seed: u64) {
    let village = Village::new(seed).await;
    let began = timestamp(DAY.at(11, 0, 0, 0));
    let carrier = village.carrier(began).await;

    let service = Service::start(&village, carrier.address(), began);
    village
        .wait_until("the moment to be killed", |attempts| match moment {
            Moment::Ringing => attempts.iter().any(|(one, _)| one.state == AttemptState::Dialing),
            Moment::Answers(n) => {
                attempts.iter().map(|(_, entries)| entries.len()).sum::<usize>() >= n
            }
            Moment::LastAnswer => attempts.iter().any(|(one, entries)| {
                let is_last = |entry: &Entry| entry.question == "other_change";
                one.state == AttemptState::Talking && entries.iter().any(is_last)
            }),
        })
        .await;
    service.kill();
    let before = village.attempts().await;

    // Again at once: it must know whom it has called.
    let service = Service::start(&village, carrier.address(), began + Duration::from_secs(45));
    village
        .wait_until("the end of what was interrupted", |attempts| {
            before.iter().filter(|(one, _)| is_live(one)).all(|(was, _)| {
                attempts.iter().any(|(one, _)| one.id == was.id && one.state == AttemptState::Done)
            })
        })
        .await;
    sleep(Duration::from_secs(2)).await;
    service.kill();
    let between = village.attempts().await;
    let calls = cut(carrier).await;
    let n_checked = every_answer_is_kept(&village, &between, &calls);
    eprintln!("{moment:?}: {} calls, {n_checked} answers heard and stored", calls.len());
    assert!(n_checked > 0 || matches!(moment, Moment::Ringing), "{moment:?}: nothing was compared");

    // Once more, when telephones may ring again.
    let later = began + Duration::from_mins(1) + LATER;
    let carrier = village.carrier(later).await;
    let service = Service::start(&village, carrier.address(), later);
    let cut_off: Vec<&Attempt> =
        between.iter().map(|(one, _)| one).filter(|one| is_live(one) || is_lost(one)).collect();
    assert!(!cut_off.is_empty(), "{moment:?}: nothing was under way");
    village
        .wait_until("the next attempt at the unfinished calls", |attempts| {
            cut_off.iter().filter(|was| was.answered_at.is_none()).all(|was| {
                attempts.iter().any(|(one, _)| {
                    one.slot == was.slot && one.number > was.number && one.dialed_at.is_some()
                })
            }) && attempts
                .iter()
                .all(|(one, _)| !cut_off.iter().any(|was| was.id == one.id) || is_lost(one))
        })
        .await;
    sleep(Duration::from_secs(1)).await;
    service.kill();
    nothing_is_repeated_or_forgotten(&village, &between, &cut_off).await;
    let calls = cut(carrier).await;
    assert!(calls.values().all(|calls| calls.len() == 1), "a telephone rang twice");
}

fn is_live(attempt: &Attempt) -> bool {
    matches!(attempt.state, AttemptState::Dialing | AttemptState::Talking)
}

fn is_lost(attempt: &Attempt) -> bool {
    attempt.disposition == Some(Disposition::Interrupted)
}

fn every_answer_is_kept(
    village: &Village,
    attempts: &[(Attempt, Vec<Entry>)],
    calls: &BTreeMap<PhoneNumber, Vec<Call>>,
) -> usize {
    let mut n_checked = 0;
    for household in &village.people.households {
        let number = &household.patient.phones[0].number;
        let own: Vec<_> = attempts
            .iter()
            .filter(|(one, _)| one.phone == *number && one.dialed_at.is_some())
            .collect();
        let calls = calls.get(number).map_or(&[] as &[Call], Vec::as_slice);
        assert!(own.len() <= 1 && calls.len() <= own.len(), "called again within three minutes");
        let ([(_, entries)], [call]) = (own.as_slice(), calls) else { continue };
        let heard = questions_heard(call);
        for question in heard.split_last().map_or(&[] as &[String], |(_, before)| before) {
            let stored = entries.iter().find(|entry| entry.question == *question);
            let meant = household.persona.meant(0, question);
            assert_eq!(stored.map(|entry| entry.answer), Some(meant), "{question} of {heard:?}");
            n_checked += 1;
        }
        for entry in entries.iter().filter(|entry| entry.answer != Answer::Unanswered) {
            assert_eq!(entry.answer, household.persona.meant(0, &entry.question));
        }
    }
    n_checked
}

async fn nothing_is_repeated_or_forgotten(
    village: &Village,
    between: &[(Attempt, Vec<Entry>)],
    cut_off: &[&Attempt],
) {
    let after = village.attempts().await;
    let cases = village.store.cases(CaseFilter::All).await.unwrap();
    let has_fact = |attempt: AttemptId| {
        let mut facts = cases.iter().flat_map(|view| &view.case.facts);
        facts.any(|fact| fact.source == FactSource::Attempt(attempt))
    };
    for (was, entries) in between {
        let (_, still) = after.iter().find(|(one, _)| one.id == was.id).unwrap();
        assert_eq!(still, entries, "a transcript is only ever added to by its own call");
        let next = after.iter().find(|(one, _)| one.slot == was.slot && one.number > was.number);
        if was.completion == Some(Completion::Complete) {
            assert!(next.is_none(), "a finished call was repeated");
        }
        if !cut_off.iter().any(|one| one.id == was.id) {
            continue;
        }
        let slot = village.slot_state(was).await;
        if was.answered_at.is_none() {
            assert!(next.is_some(), "forgotten");
            continue;
        }
        assert!(next.is_none(), "a machine called again after it had broken off");
        let expected = if entries.is_empty() { SlotState::Unreached } else { SlotState::Partial };
        assert_eq!(slot, expected);
        assert!(has_fact(was.id), "staff do not hear of a call that broke off");
    }
}

#[ignore = "unsettled: after a kill at the last answer the next attempt at the others sometimes comes too late"]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_service_loses_no_answer_repeats_no_finished_call_and_forgets_none() {
    tokio::join!(
        killed_at(Moment::Ringing, 1),
        killed_at(Moment::Answers(3), 2),
        killed_at(Moment::Answers(9), 3),
        killed_at(Moment::LastAnswer, 4),
    );
}
