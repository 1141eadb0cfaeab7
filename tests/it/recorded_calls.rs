//! Whole calls over real SIP and RTP that are recorded: what both sides said lies where the marks
//! say, and what must not be kept is not.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::env;
use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use jiff::ToSpan;
use jiff::civil::{Date, date, time};
use mimamori::audio::g711::MULAW_SILENCE;
use mimamori::base::Codec;
use mimamori::base::clock::timestamp;
use mimamori::base::id::{Minter, PatientId, RecordingId};
use mimamori::call::media::{Ear, Lane};
use mimamori::call::{Completion, Respondent};
use mimamori::campaign::pacing::Limits;
use mimamori::campaign::{NewSlot, SlotKind, SlotState};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Questionnaires};
use mimamori::prompt::Library;
use mimamori::recording::seal::{CHUNK_BYTES, Place, Seal};
use mimamori::recording::{Archive, ArchiveError, CenterKey, MasterKey, Recorder, View};
use mimamori::sim::clock::starting_at;
use mimamori::sim::{
    self, Directory, Persona, Resident, SharedRepertoire, SipCarrier, Taught, Temper,
    VirtualCarrier, carrier,
};
use mimamori::store::{CaseFilter, NewRecording, Store};
use mimamori::tape::{
    Consent, Deleted, Keep, Kept, Mark, MarkKind, Policy, Recording, Scope, State,
    recording::SAMPLE_RATE,
};
use mimamori::trunk::Trunk;
use mimamori::trunk::media::{self, Engine};
use mimamori::worker::{self, Progress, Recordings, Road};
use tokio::time::Instant;

use crate::kill::{Marked, noise, trunk_config};
use crate::recordings::config;
use crate::store::{Database, District, at};

const DAY: Date = date(2026, 11, 22);

/// Both lanes of a recording.
pub(crate) async fn lanes(archive: &Archive, recording: &Recording) -> [Vec<u8>; 2] {
    let samples = recording.samples.unwrap();
    let wav = archive.read_range(recording, 0..View::Mulaw.length(samples)).await.unwrap();
    let sound = &wav[wav.len() - usize::try_from(samples * 2).unwrap()..];
    [0, 1].map(|lane| sound.iter().skip(lane).step_by(2).copied().collect())
}

fn sample(at: Duration) -> usize {
    usize::try_from(u64::try_from(at.as_millis()).unwrap() * SAMPLE_RATE / 1000).unwrap()
}

fn loud(lane: &[u8]) -> f64 {
    let n = lane.iter().filter(|&&code| code & 0x7F != MULAW_SILENCE & 0x7F).count();
    f64::from(u32::try_from(n).unwrap()) / f64::from(u32::try_from(lane.len().max(1)).unwrap())
}

/// The simulated voice: five seconds, of which a quarter is gaps between syllables.
fn is_message(lane: &[u8]) -> bool {
    let spoken = loud(lane) * f64::from(u32::try_from(lane.len()).unwrap()) / 8000.0;
    eprintln!("{spoken:.2} s of voice");
    (3.5..4.0).contains(&spoken)
}

/// Every prompt that the marks tell of lies in our lane, byte for byte, where they tell it.
pub(crate) fn our_lane_holds_what_was_said(ours: &[u8], marks: &[Mark], heard: &[String]) {
    let mut labels = heard.iter();
    let mut n_found = 0;
    for mark in marks.iter().filter(|mark| mark.kind == MarkKind::Say) {
        let prompts: Vec<&str> = mark.detail.split(' ').collect();
        let mut first = None;
        for prompt in &prompts {
            let Some(label) = labels.next() else { break };
            let name = label.split_once(':').map_or(label.as_str(), |(name, _)| name);
            assert_eq!(name, *prompt, "the marks tell what was heard, in order");
            first.get_or_insert(label);
        }
        let Some(label) = first else { continue };
        let said = noise(label).pcmu;
        let near = sample(mark.at).saturating_sub(800)..(sample(mark.at) + 12_000).min(ours.len());
        let at = ours[near.clone()].windows(said.len()).position(|heard| *heard == *said);
        let at = at.unwrap_or_else(|| panic!("{label} is not where its mark is"));
        assert!(near.start + at + 400 >= sample(mark.at), "{label} before its mark");
        n_found += 1;
    }
    assert!(n_found > 6, "{n_found} prompts were compared");
}

/// What is told of one patient's only call.
struct Told {
    patient: PatientId,
    heard: Vec<String>,
    recording: Option<Recording>,
    marks: Vec<Mark>,
    respondent: Option<Respondent>,
    completion: Option<Completion>,
    answers: usize,
    state: SlotState,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_both_sides_said_is_kept_and_what_proves_an_identity_is_not() {
    // Healthy on the first day, with something to say; one who refuses; one who only speaks; and
    // one of whom there is nothing to keep.
    let tempers = [Temper::FeverOnThirdDay, Temper::Prompt, Temper::Talks, Temper::Prompt];
    let mut people = sim::District::new(&sim::district::Config {
        seed: 11,
        n_patients: 4,
        first_day: DAY,
        last_day: DAY.checked_add(1.day()).unwrap(),
        call_times: vec![time(9, 0, 0, 0)],
    });
    for (household, temper) in people.households.iter_mut().zip(tempers) {
        household.persona = Persona { temper, ..household.persona };
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.sqlite");
    let store = Store::open(path.to_str().unwrap(), [1; 32]).await.unwrap();
    let now = timestamp(DAY.at(11, 0, 0, 0));
    let clock = starting_at(now);
    store.save_health_center(now, &people.health_center).await.unwrap();
    for one in &people.households {
        store.import_patient(now, &one.patient, Some(&one.episode)).await.unwrap();
        // The first call of the day is over: the second asks little.
        let slot = NewSlot {
            episode: one.episode.id,
            patient: one.patient.id,
            date: DAY,
            number: 1,
            due_from: now - Duration::from_hours(2),
            due_to: now - Duration::from_hours(1),
            kind: SlotKind::Planned,
            campaign: None,
            rest: None,
        };
        store.open_slots(now, &[slot]).await.unwrap();
        let slot = store.slots_of(one.patient.id, DAY).await.unwrap()[0].id;
        store.close_slot(now, slot, SlotState::Skipped, None).await.unwrap();
    }
    let refuses = people.households[1].patient.id;
    store.set_recording_consent(now, refuses, Consent::Refused, "佐藤").await.unwrap();

    let directory = Arc::new(Directory::new(people.households.iter().map(|one| {
        let born = *one.patient.birth_date.expose();
        let birth = (born.month(), born.day()).into();
        let resident = Resident { persona: one.persona, birth, first_day: DAY };
        (one.patient.phones[0].number.clone(), resident)
    })));
    let repertoire = SharedRepertoire::default();
    let carrier_config = carrier::Config {
        address: "127.0.0.1:0".parse().unwrap(),
        media_ports: 24_000..=24_499,
        media_threads: 1,
        credentials: None,
    };
    let phones = Arc::clone(&directory);
    let carrier =
        SipCarrier::start(carrier_config, phones, repertoire.clone(), clock.clone()).await.unwrap();
    let engine = Engine::start(&media::Config { threads: 1, ports: 24_500..=24_999 }).unwrap();
    let address = carrier.address().to_string();
    let trunk = Trunk::start(trunk_config(&address), engine, clock.clone()).await.unwrap();
    let archive = Archive::open(&config(folder.path())).unwrap();
    let recorder = Recorder::start(&archive).unwrap();
    let policy = Policy { keep: Keep::Escalated, keep_days: 30 };
    let road = Arc::new(Road {
        store: store.clone(),
        carrier: Arc::new(Marked(Taught::new(trunk.clone(), repertoire))),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock: clock.clone(),
        webhook: None,
        recordings: Some(Recordings { archive: archive.clone(), recorder, policy }),
        config: worker::Config {
            limits: Limits { calls_per_second: 4.0, burst: 4, calls_at_once: 4 },
            ..worker::Config::shipped("recorded".to_owned())
        },
        progress: Progress::new(),
    });

    let call = async |n: usize| {
        let one = &people.households[n];
        let phone = &one.patient.phones[0].number;
        let attempt = worker::call_now(&road, one.patient.id, phone).await.unwrap().unwrap();
        let seen = directory.calls();
        let heard = seen.iter().find(|call| call.callee == *phone).unwrap().seen.heard.clone();
        let recording = store.recording_of(attempt).await.unwrap();
        let marks = match &recording {
            Some(recording) => store.marks(recording.id).await.unwrap(),
            None => Vec::new(),
        };
        let attempts = store.attempts_of_day(DAY).await.unwrap();
        let attempt = attempts.into_iter().find(|one| one.attempt.id == attempt).unwrap().attempt;
        let slots = store.slots_of(one.patient.id, DAY).await.unwrap();
        Told {
            patient: one.patient.id,
            heard,
            recording,
            marks,
            respondent: attempt.respondent,
            completion: attempt.completion,
            answers: store.transcript(attempt.id).await.unwrap().len(),
            state: slots.iter().find(|slot| slot.id == attempt.slot).unwrap().state,
        }
    };
    let began = Instant::now();
    let (says_more, refused, speaks, well) = tokio::join!(call(0), call(1), call(2), call(3));
    eprintln!("four calls in {:?}", began.elapsed());
    trunk.stop(Duration::ZERO).await;
    drop(carrier);

    // Who refuses answers as everybody does, and is not recorded.
    assert!(refused.recording.is_none());
    assert_eq!(refused.completion, Some(Completion::Complete));
    assert!(refused.heard.iter().all(|label| label != "recorded" && label != "message_offer"));

    // Who says more is recorded, stored, and to be heard.
    assert_eq!(says_more.completion, Some(Completion::Complete));
    assert!(says_more.answers >= 4);
    assert!(
        says_more.heard.starts_with(&["opening:".to_owned()]) || says_more.heard[1] == "recorded"
    );
    let recording = says_more.recording.unwrap();
    assert_eq!((recording.state, recording.scope), (State::Stored, Scope::Whole));
    assert_eq!(
        (recording.kept.map(|(kept, _)| kept), recording.missing_samples),
        (Some(Kept::Message), 0)
    );
    assert!(recording.duration() > Duration::from_secs(20), "{:?}", recording.duration());
    let [ours, theirs] = lanes(&archive, &recording).await;
    let marks = &says_more.marks;
    assert!(marks.windows(2).all(|two| two[0].at <= two[1].at), "in order");
    our_lane_holds_what_was_said(&ours, marks, &says_more.heard);
    let message = recording.message.as_ref().unwrap();
    let said = sample(message.from)..sample(message.to);
    let length = message.to.saturating_sub(message.from).as_secs_f64();
    assert!((4.0..10.0).contains(&length), "{message:?}");
    assert!(is_message(&theirs[said.clone()]));
    assert!(loud(&ours[said.clone()]) < 0.01, "we are silent meanwhile");
    let identified = marks.iter().find(|mark| mark.kind == MarkKind::Identified).unwrap();
    assert_eq!(identified.detail, "patient");
    let hello = &theirs[..sample(Duration::from_secs(2))];
    assert!(loud(hello) > 0.2, "もしもし: {}", loud(hello));
    let between = &theirs[sample(identified.at)..said.start];
    assert!(loud(between) < 0.01, "keys make no sound here: {}", loud(between));

    // By their order: the last key of the birth date and what it proves have the same time.
    let proven = marks.iter().position(|mark| mark.kind == MarkKind::Identified).unwrap();
    let keys = |before: bool| -> Vec<&str> {
        let all = marks.iter().enumerate();
        all.filter(|(index, mark)| mark.kind == MarkKind::Key && (*index < proven) == before)
            .map(|(_, mark)| mark.detail.as_str())
            .collect()
    };
    assert!(keys(true).len() >= 5 && keys(true).iter().all(|key| key.is_empty()), "{marks:?}");
    assert!(keys(false).len() >= 4 && keys(false).iter().all(|key| key.len() == 1), "{marks:?}");
    let answers = marks.iter().filter(|mark| mark.kind == MarkKind::Answer).count();
    assert_eq!(answers, says_more.answers);
    assert_eq!(marks.last().map(|mark| mark.detail.as_str()), Some("answered"));

    // Who cannot press keys is heard too, and is no report.
    let spoken = speaks.recording.unwrap();
    assert_eq!(spoken.kept.map(|(kept, _)| kept), Some(Kept::Message));
    let message = spoken.message.as_ref().unwrap();
    let [_, theirs] = lanes(&archive, &spoken).await;
    assert!(is_message(&theirs[sample(message.from)..sample(message.to)]));
    assert_eq!((speaks.respondent, speaks.answers), (Some(Respondent::Nobody), 0));
    assert_ne!(speaks.state, SlotState::Reported);

    // Nothing came of it: the sound is gone, and the audit proves it.
    let dropped = well.recording.unwrap();
    assert_eq!(well.completion, Some(Completion::Complete));
    assert!(well.heard.iter().any(|label| label == "recorded"), "it was announced all the same");
    assert_eq!(dropped.deleted.map(|(_, because)| because), Some(Deleted::NotKept));
    let gone = archive.read_range(&dropped, 0..100).await;
    assert!(matches!(gone, Err(ArchiveError::Deleted)), "{gone:?}");
    let proof = store.verify_audit(|_| {}).await.unwrap();
    assert!(proof.fault.is_none() && proof.events >= 1);

    let cases = store.cases(CaseFilter::Unresolved).await.unwrap();
    for patient in [says_more.patient, speaks.patient] {
        let case = cases.iter().find(|view| view.case.patient == patient).unwrap();
        assert!(case.case.facts.iter().any(|fact| fact.rule == "message"));
    }
    let center = people.health_center.id;
    assert_eq!(store.unheard_messages(center).await.unwrap().len(), 2);
    assert!(archive.spooled().unwrap().is_empty(), "all that is kept is in the archive");
}

// --- kill -9

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_crash_left_is_taken_over_by_the_next_start() {
    let database = Database::sqlite();
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, attempt) = district.talking(1).await;
    let folder = tempfile::tempdir().unwrap();
    let archive = Archive::open(&config(folder.path())).unwrap();
    let center = CenterKey::random(store.mint(at(9, 0)));
    let sealed = center.seal(archive.master_key());
    store.add_center_key(at(9, 0), district.center.id, &sealed, None).await.unwrap();
    let new = NewRecording {
        id: store.mint(at(9, 1)),
        attempt,
        key: center.id,
        node: "one".to_owned(),
        scope: Scope::Whole,
        policy: Policy { keep: Keep::All, keep_days: 30 },
    };
    store.begin_recording(at(9, 1), &new).await.unwrap();
    // Two seconds, and a third that is torn.
    let seal = Seal::new(new.id, &center);
    let mut file = seal.header().to_vec();
    for number in 0..2 {
        let mut chunk = vec![0x33; CHUNK_BYTES];
        seal.seal(number, Place::Within, &mut chunk);
        file.extend_from_slice(&chunk);
    }
    file.extend_from_slice(&[9; 777]);
    let part = archive.spool().join(format!("{}.part", new.id));
    std::fs::write(&part, file).unwrap();
    let stranger = archive.spool().join(format!("{}.rec", store.mint::<RecordingId>(at(9, 1))));
    std::fs::write(&stranger, "of a call that the store never heard of").unwrap();

    let clock = starting_at(at(9, 30));
    let recorder = Recorder::start(&archive).unwrap();
    let policy = Policy { keep: Keep::None, keep_days: 30 };
    let road = Road {
        store: store.clone(),
        carrier: Arc::new(VirtualCarrier::new(Arc::new(Directory::new([])), clock.clone())),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock,
        webhook: None,
        recordings: Some(Recordings { archive: archive.clone(), recorder, policy }),
        config: worker::Config::shipped("one".to_owned()),
        progress: Progress::new(),
    };
    let (_stop, stopped) = tokio::sync::watch::channel(true);
    worker::run(Arc::new(road), stopped).await.unwrap();

    let recording = store.recording(new.id).await.unwrap();
    assert_eq!((recording.state, recording.samples), (State::Stored, Some(16_000)));
    let [ours, theirs] = lanes(&archive, &recording).await;
    assert!(ours.iter().chain(&theirs).all(|&code| code == 0x33) && ours.len() == 16_000);
    assert!(!part.exists() && !stranger.exists());
}

/// A frame that tells its number.
fn frame(n: u32) -> [u8; 160] {
    [u8::try_from(n % 100).unwrap(); 160]
}

fn ids() -> (RecordingId, CenterKey, MasterKey) {
    let mut minter = Minter::new([6; 32]);
    let now = timestamp(DAY.at(11, 0, 0, 0));
    let master = MasterKey::parse("a2FnaSBrYWdpIGthZ2kga2FnaSBrYWdpIGthZ2kga2E=").unwrap();
    (minter.mint(now), CenterKey::random(minter.mint(now)), master)
}

#[test]
#[ignore = "the child of another test: a recorder, until it is killed"]
fn the_recorder_that_is_killed() {
    let folder = env::var("MIMAMORI_TEST_FOLDER").expect("run by another test only");
    let (recording, _, key) = ids();
    let config = mimamori::recording::Config { key, ..config(folder.as_ref()) };
    let archive = Archive::open(&config).unwrap();
    // The parent must know the key of the centre, too.
    let sealed = std::fs::read(std::path::Path::new(&folder).join("center")).unwrap();
    let id = ids().1.id;
    let sealed = mimamori::tape::SealedKey { id, sealed };
    let center = CenterKey::open(archive.master_key(), &sealed).unwrap();
    let recorder = Recorder::start(&archive).unwrap();
    let (tap, tape) = recorder.tape(recording, &center);
    let mut head = tap.take().unwrap();
    for n in 0.. {
        head.hear(Lane::Ours, Codec::Pcmu, n * 160, &frame(n));
        head.hear(Lane::Theirs, Codec::Pcmu, n * 160, &frame(n + 50));
        // Some twenty times as fast as a call.
        std::thread::sleep(Duration::from_millis(1));
        if n % 50 == 0 {
            eprintln!("{}", tape.reel.position().as_secs());
        }
    }
}

#[tokio::test]
async fn killed_at_any_moment_the_seconds_before_can_be_heard() {
    for seconds in [3, 8] {
        let folder = tempfile::tempdir().unwrap();
        let (id, center, key) = ids();
        let config = mimamori::recording::Config { key, ..config(folder.path()) };
        let archive = Archive::open(&config).unwrap();
        let sealed = center.seal(archive.master_key());
        std::fs::write(folder.path().join("center"), &sealed.sealed).unwrap();
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "recorded_calls::the_recorder_that_is_killed"])
            .args(["--ignored", "--nocapture"])
            .env("MIMAMORI_TEST_FOLDER", folder.path())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let told = BufReader::new(child.stderr.take().unwrap());
        let at = |line: std::io::Result<String>| line.ok().and_then(|line| line.parse().ok());
        let reached = told.lines().filter_map(at).find(|at: &u64| *at >= seconds);
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(reached.is_some(), "it died by itself");

        let mut recording = crate::recordings::spooled(&archive, &[]);
        archive.forget_spooled(recording.id).unwrap();
        (recording.id, recording.key) = (id, sealed);
        let samples = archive.mend(&recording).unwrap().unwrap();
        recording.samples = Some(samples);
        eprintln!("killed after {seconds} s: {samples} samples can be heard");
        // What is on its way is lost: the second under way, its grace, and what waits for the disk.
        assert!(samples >= (seconds - 2) * SAMPLE_RATE, "{samples}");
        let [ours, theirs] = lanes(&archive, &recording).await;
        for (n, (ours, theirs)) in (0..).zip(ours.chunks(160).zip(theirs.chunks(160))) {
            assert_eq!(ours, frame(n), "our frame {n}");
            assert_eq!(theirs, frame(n + 50), "their frame {n}");
        }
    }
}
