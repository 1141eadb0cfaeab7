//! People who share a telephone: one call, one after the other, each with a record of their own.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::sync::Arc;
use std::time::Duration;

use jiff::civil::{Date, date, time};
use mimamori::base::clock::timestamp;
use mimamori::base::{Digit, Now, PhoneNumber};
use mimamori::call::{Completion, Disposition, Respondent};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{AttemptState, NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Input, Output, Profile, Questionnaire, Questionnaires, Session};
use mimamori::prompt::Library;
use mimamori::recording::{Archive, Recorder};
use mimamori::registry::arrangement::Channel;
use mimamori::registry::{Actor, AuditEntry};
use mimamori::registry::{Arrangement, Episode, Patient, PhoneRole};
use mimamori::sim::clock::starting_at;
use mimamori::sim::directory::{Directory, Resident};
use mimamori::sim::district::{self, District};
use mimamori::sim::{SharedRepertoire, SipCarrier, Taught, Temper, VirtualCarrier, carrier};
use mimamori::store::{AttemptOfDay, CaseFilter, Claimant, Store, StoreError};
use mimamori::tape::{Keep, Policy, Scope, State};
use mimamori::trunk::Trunk;
use mimamori::trunk::media::{self, Engine};
use mimamori::worker::{self, Progress, Recordings, Road};
use tokio::sync::watch;

use crate::kill::{Marked, trunk_config};
use crate::recorded_calls::{lanes, our_lane_holds_what_was_said};
use crate::recordings;
use crate::store::{Database, at, claims, outcome};

claims! {
    the_next_of_a_household_is_claimed_on_the_same_line
    a_call_that_goes_on_is_no_second_one_a_minute
    who_was_not_heard_waits_and_nothing_counts
}

const DAY: Date = date(2026, 11, 23);

/// Asks the session for all that it wants to do now.
fn outputs(session: &mut Session) -> Vec<Output> {
    let mut outputs = Vec::new();
    loop {
        match session.poll_output() {
            Output::Wait(_) => return outputs,
            other => outputs.push(other),
        }
    }
}

#[test]
fn the_next_one_is_asked_for_by_name_and_proves_who_they_are() {
    let clock = starting_at(at(9, 0));
    let mut now: Now = clock.now();
    let family_name = "カンザキハナ".to_owned().into();
    let profile = Profile { family_name, ..Profile::invented() };
    let mut session = Session::following(Questionnaire::recuperation(), profile);
    session.handle_input(now, Input::Answered);
    let said = outputs(&mut session);
    let [Output::Say(said)] = &said[..] else { panic!("{said:?}") };
    let prompts: Vec<&str> = said.iter().map(|it| it.prompt.as_str()).collect();
    assert_eq!(prompts, ["next_person", "greeting"], "no word of health, and no waiting");
    let mut identified = false;
    for key in ["1", "0705"] {
        session.handle_input(now, Input::PlayEnded);
        for digit in key.chars() {
            now = now.later(Duration::from_millis(400));
            session.handle_input(now, Input::Digit(Digit::from_char(digit).unwrap()));
        }
        identified |= outputs(&mut session)
            .iter()
            .any(|it| matches!(it, Output::Identified(Respondent::Patient)));
    }
    assert!(identified, "the birth date is asked for as in any call");
    let mut session = Session::following(Questionnaire::recuperation(), Profile::invented());
    session.handle_input(now, Input::Answered);
    session.handle_input(now, Input::HungUp);
    assert_eq!(session.respondent(), Respondent::Nobody);
}

/// Two who share a telephone, and whom nobody has called today.
struct Couple {
    store: Store,
    number: PhoneNumber,
    patients: Vec<(Patient, Episode)>,
}

fn claimant() -> Claimant {
    Claimant {
        node: "one".to_owned(),
        lease: Duration::from_mins(1),
        only: None,
        trunk: "main".to_owned(),
        trunk_group: None,
        questionnaires: Questionnaires::shipped().keys().clone(),
        grace: Duration::from_hours(3),
    }
}

fn people(n_patients: u32) -> District {
    District::new(&district::Config {
        seed: 4,
        n_patients,
        first_day: DAY,
        last_day: date(2026, 12, 1),
        call_times: vec![time(9, 30, 0, 0)],
    })
}

impl Couple {
    async fn new(store: Store) -> Self {
        let district = people(2);
        store.save_health_center(at(0, 0), &district.health_center).await.unwrap();
        let number = district.households[0].patient.phones[0].number.clone();
        let mut patients = Vec::new();
        for one in district.households {
            let mut patient = one.patient;
            patient.phones.truncate(1);
            patient.phones[0].number = number.clone();
            patient.phones[0].role = PhoneRole::Home;
            store.import_patient(at(0, 0), &patient, Some(&one.episode)).await.unwrap();
            patients.push((patient, one.episode));
        }
        Self { store, number, patients }
    }

    /// Calls of both, the second behind the first, as the planner spreads them.
    async fn planned(&self) {
        self.planned_as(1).await;
    }

    /// The first slot of the day is settled already.
    async fn spared_the_first(&self) {
        for (patient, episode) in &self.patients {
            let slot = NewSlot {
                episode: episode.id,
                patient: patient.id,
                date: DAY,
                number: 1,
                due_from: at(8, 0),
                due_to: at(8, 30),
                kind: SlotKind::Planned,
                campaign: None,
                rest: None,
            };
            self.store.open_slots(at(7, 0), &[slot]).await.unwrap();
            let slot = self.store.slots_of(patient.id, DAY).await.unwrap()[0].id;
            self.store.close_slot(at(8, 0), slot, SlotState::Skipped, None).await.unwrap();
        }
    }

    /// As the slot of that number: the second one of a day asks little.
    async fn planned_as(&self, number: u8) {
        for (n, (patient, episode)) in self.patients.iter().enumerate() {
            let slot = NewSlot {
                episode: episode.id,
                patient: patient.id,
                date: DAY,
                number,
                due_from: at(9, 30),
                due_to: at(11, 30),
                kind: SlotKind::Planned,
                campaign: None,
                rest: None,
            };
            self.store.open_slots(at(9, 0), &[slot]).await.unwrap();
            let slots = self.store.slots_of(patient.id, DAY).await.unwrap();
            let slot = slots.iter().find(|slot| slot.number == number).unwrap().id;
            let planned = PlannedAttempt {
                slot,
                number: 1,
                phone: self.number.clone(),
                due_at: at(9, 30) + Duration::from_mins(10) * u32::try_from(n).unwrap(),
                campaign: None,
                priority: Precedence::First,
            };
            self.store.add_attempt(at(9, 0), &planned).await.unwrap().unwrap();
        }
    }

    /// The attempt of the first or the second.
    async fn attempt(&self, n: usize) -> AttemptOfDay {
        let attempts = self.store.attempts_of_day(DAY).await.unwrap();
        let own = |one: &AttemptOfDay| one.patient.id == self.patients[n].0.id;
        attempts.into_iter().find(own).unwrap()
    }
}

async fn the_next_of_a_household_is_claimed_on_the_same_line(database: Database) {
    let couple = Couple::new(database.open().await).await;
    couple.planned().await;
    let store = &couple.store;
    let first = store.claim_due(at(9, 30), &claimant(), 9).await.unwrap().remove(0);
    let first = first.attempt.id;
    store.attempt_answered(at(9, 30), first).await.unwrap();
    let one = claimant();
    let waits = |now| store.household_waits(now, &one, first);
    assert!(waits(at(9, 32)).await.unwrap());
    assert!(!waits(at(9, 29)).await.unwrap(), "not before the slot's own time");
    for (dialing, goes_on) in [("stopped", false), ("running", true)] {
        database.execute(&format!("update installation set dialing = '{dialing}'")).await;
        assert_eq!(waits(at(9, 32)).await.unwrap(), goes_on, "{dialing}");
    }
    let early = store.claim_next_in_household(at(9, 32), &claimant(), first).await.unwrap();
    assert!(early.is_none(), "never two live calls to one number");
    let over = outcome(Disposition::Answered, SlotState::Reported);
    store.finish_attempt(at(9, 33), first, &over).await.unwrap();
    assert!(store.claim_due(at(9, 33), &claimant(), 9).await.unwrap().is_empty());

    // What was agreed with the second holds here, too.
    let (wife, episode) = &couple.patients[1];
    let web = Arrangement { channel: Channel::Web, ..Arrangement::default() };
    let told = format!(
        "update episode set channel = '{}' where id = '{}'",
        web.channel.as_str(),
        episode.id
    );
    database.execute(&told).await;
    let none = store.claim_next_in_household(at(9, 33), &claimant(), first).await.unwrap();
    assert!(none.is_none());
    assert_eq!(couple.attempt(1).await.attempt.state, AttemptState::Dropped);
    database.execute("update episode set channel = 'telephone'").await;
    database.execute("update attempt set state = 'due' where state = 'dropped'").await;
    database.execute("update installation set dialing = 'stopped'").await;
    let none = store.claim_next_in_household(at(9, 33), &claimant(), first).await.unwrap();
    assert!(none.is_none(), "the emergency stop is for the next one on the line, too");
    database.execute("update installation set dialing = 'running'").await;

    let next = store.claim_next_in_household(at(9, 33), &claimant(), first).await.unwrap();
    let next = next.unwrap();
    assert_eq!((next.patient.id, next.continues), (wife.id, Some(first)));
    assert_eq!((next.attempt.state, next.attempt.number), (AttemptState::Talking, 1));
    assert_eq!(next.attempt.dialed_at, Some(at(9, 33)));
    assert_eq!(next.slot.state, SlotState::InProgress);
    let again = store.claim_next_in_household(at(9, 33), &claimant(), first).await.unwrap();
    assert!(again.is_none(), "there is nobody else");
}

async fn a_call_that_goes_on_is_no_second_one_a_minute(database: Database) {
    let couple = Couple::new(database.open().await).await;
    couple.planned().await;
    let store = &couple.store;
    database.execute("update installation set calls_per_minute = 1").await;
    let first = store.claim_due(at(9, 30), &claimant(), 9).await.unwrap().remove(0).attempt.id;
    let later = |seconds| at(9, 30) + Duration::from_secs(seconds);
    store.attempt_answered(later(5), first).await.unwrap();
    assert!(store.household_waits(later(20), &claimant(), first).await.unwrap());
    let over = outcome(Disposition::Answered, SlotState::Reported);
    store.finish_attempt(later(30), first, &over).await.unwrap();
    let next = store.claim_next_in_household(later(31), &claimant(), first).await.unwrap();
    assert_eq!(next.map(|next| next.continues), Some(Some(first)), "the line is there");
}

async fn who_was_not_heard_waits_and_nothing_counts(database: Database) {
    let couple = Couple::new(database.open().await).await;
    couple.planned().await;
    let store = &couple.store;
    let first = store.claim_due(at(9, 30), &claimant(), 9).await.unwrap().remove(0);
    let first = first.attempt.id;
    store.attempt_answered(at(9, 30), first).await.unwrap();
    let stranger = store.put_back_unheard(at(9, 31), first, "one").await;
    assert!(matches!(stranger, Err(StoreError::Stale { .. })), "a call of its own is an attempt");
    let over = outcome(Disposition::Answered, SlotState::Reported);
    store.finish_attempt(at(9, 33), first, &over).await.unwrap();
    let next = store.claim_next_in_household(at(9, 33), &claimant(), first).await.unwrap();
    let next = next.unwrap();
    store.put_back_unheard(at(9, 34), next.attempt.id, "one").await.unwrap();
    let waiting = couple.attempt(1).await.attempt;
    assert_eq!((waiting.state, waiting.due_at), (AttemptState::Due, at(9, 37)));
    assert_eq!((waiting.dialed_at, waiting.answered_at, waiting.number), (None, None, 1));
    assert!(store.claim_due(at(9, 36), &claimant(), 9).await.unwrap().is_empty());
    let own = store.claim_due(at(9, 37), &claimant(), 9).await.unwrap();
    assert_eq!((own.len(), own[0].continues), (1, None), "a call of their own");
}

/// Walks the road from 9:20 to 10:10 with the couple at one telephone; the other one takes it too, if
/// there is a temper.
async fn morning(other: Option<Temper>) -> (Couple, Arc<Directory>) {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("household.sqlite");
    let store = Store::open_in_virtual_time(database.to_str().unwrap(), [1; 32]).await.unwrap();
    let couple = Couple::new(store.clone()).await;
    let birth = |n: usize| {
        let born = *couple.patients[n].0.birth_date.expose();
        (born.month(), born.day())
    };
    let persona = people(1).households.remove(0).persona;
    let resident = Resident { persona, birth: birth(0).into(), first_day: DAY };
    let mut directory = Directory::new([(couple.number.clone(), resident)]);
    if let Some(temper) = other {
        directory = directory.shared(couple.number.clone(), [(birth(1), temper)]);
    }
    let archive = Archive::open(&recordings::config(folder.path())).unwrap();
    let recorder = Recorder::start(&archive).unwrap();
    let policy = Policy { keep: Keep::None, keep_days: 30 };
    let directory = Arc::new(directory);
    let clock = starting_at(at(9, 20));
    let road = Arc::new(Road {
        recordings: Some(Recordings { archive, recorder, policy }),
        store: store.clone(),
        carrier: Arc::new(VirtualCarrier::new(Arc::clone(&directory), clock.clone())),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock: clock.clone(),
        webhook: None,
        config: worker::Config {
            poll: Duration::from_mins(1),
            lease: Duration::from_mins(5),
            ..worker::Config::shipped("one".to_owned())
        },
        progress: Progress::new(),
    });
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(road, stopped));
    let until = timestamp(DAY.at(10, 10, 0, 0)).duration_since(clock.now().timestamp);
    tokio::time::sleep(until.unsigned_abs()).await;
    stop.send_replace(true);
    walking.await.unwrap().unwrap();
    std::mem::forget(folder);
    (couple, directory)
}

#[tokio::test(start_paused = true)]
async fn two_who_share_a_telephone_are_asked_in_one_call() {
    let (couple, directory) = morning(Some(Temper::Prompt)).await;
    let calls = directory.calls();
    assert_eq!(calls.len(), 1, "{calls:?}");
    let heard: Vec<&str> = calls[0].seen.heard.iter().map(String::as_str).collect();
    let next = heard.iter().position(|it| it.starts_with("next_person")).expect("it goes on");
    let goodbye = heard.iter().rposition(|it| *it == "goodbye");
    assert!(goodbye.is_some_and(|at| at > next), "one farewell, at the end: {heard:?}");
    assert!(!heard[..next].contains(&"goodbye"), "{heard:?}");
    for n in [0, 1] {
        let AttemptOfDay { attempt, answers, .. } = couple.attempt(n).await;
        assert_eq!(attempt.completion, Some(Completion::Complete), "{n}");
        assert!(answers > 0, "each has a transcript");
        let patient = couple.patients[n].0.id;
        let slots = couple.store.slots_of(patient, DAY).await.unwrap();
        assert_eq!(slots[0].state, SlotState::Reported);
        let observed = couple.store.observations(patient, at(0, 0), at(23, 0)).await.unwrap();
        assert!(
            observed.iter().all(|one| one.source.unwrap().0 == attempt.id) && !observed.is_empty()
        );
    }
    let [first, second] = [couple.attempt(0).await, couple.attempt(1).await];
    let ended = first.attempt.ended_at.unwrap();
    assert!(second.attempt.dialed_at.unwrap() >= ended, "one after the other");
    assert_eq!(directory.most_live_at_one(), 1);
}

#[tokio::test(start_paused = true)]
async fn if_the_line_drops_the_next_one_gets_a_call_of_their_own() {
    let (couple, directory) = morning(None).await;
    let calls = directory.calls();
    assert!(calls[0].seen.heard.iter().any(|it| it.starts_with("next_person")));
    assert!(calls.len() > 1, "{} calls", calls.len());
    let slots = couple.store.slots_of(couple.patients[0].0.id, DAY).await.unwrap();
    assert_eq!(slots[0].state, SlotState::Reported);
    let second = couple.attempt(1).await.attempt;
    assert_eq!(second.number, 1, "what dropped was no attempt");
    let spacing = second.dialed_at.unwrap().duration_since(calls[0].ended_at);
    assert!(spacing.as_secs() >= 170, "the number was left alone: {spacing:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_next_one_says_who_presses_no_key_is_kept() {
    let (couple, directory) = morning(Some(Temper::Talks)).await;
    let heard = &directory.calls()[0].seen.heard;
    assert!(heard.iter().any(|label| label.starts_with("next_person")), "{heard:?}");
    let second = couple.attempt(1).await.attempt;
    assert_eq!(second.state, AttemptState::Done, "not put back: {heard:?}");
    assert_eq!(second.completion, Some(Completion::NoInput), "a voice is no report");
    let recording = couple.store.recording_of(second.id).await.unwrap().expect("the message");
    assert_eq!(recording.scope, Scope::Message);
    let cases = couple.store.cases(CaseFilter::Unresolved).await.unwrap();
    let to_hear = cases.iter().filter(|one| one.case.patient == couple.patients[1].0.id);
    assert_eq!(to_hear.count(), 1, "somebody must listen to it");
}

/// Over SIP and RTP: a test call, and then the couple in one call, each on a tape of their own.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_wire_carries_a_test_call_and_a_call_that_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let database = folder.path().join("wire.sqlite");
    let store = Store::open(database.to_str().unwrap(), [1; 32]).await.unwrap();
    let couple = Couple::new(store.clone()).await;
    // The first call of the day is over: the second asks little.
    couple.spared_the_first().await;
    couple.planned_as(2).await;
    let birth = |n: usize| {
        let born = *couple.patients[n].0.birth_date.expose();
        (born.month(), born.day())
    };
    let persona = people(1).households.remove(0).persona;
    let resident = Resident { persona, birth: birth(0).into(), first_day: DAY };
    let staff: PhoneNumber = "090-8765-4321".parse().unwrap();
    let telephones = [(couple.number.clone(), resident.clone()), (staff.clone(), resident)];
    let directory =
        Directory::new(telephones).shared(couple.number.clone(), [(birth(1), persona.temper)]);
    let directory = Arc::new(directory);
    let clock = starting_at(at(9, 31));
    let repertoire = SharedRepertoire::default();
    let config = carrier::Config {
        address: "127.0.0.1:0".parse().unwrap(),
        media_ports: 25_000..=25_099,
        media_threads: 1,
        credentials: None,
    };
    let phones = Arc::clone(&directory);
    let carrier =
        SipCarrier::start(config, phones, repertoire.clone(), clock.clone()).await.unwrap();
    let engine = Engine::start(&media::Config { threads: 1, ports: 25_100..=25_199 }).unwrap();
    let address = carrier.address().to_string();
    let trunk = Trunk::start(trunk_config(&address), engine, clock.clone()).await.unwrap();
    let archive = Archive::open(&recordings::config(folder.path())).unwrap();
    let recorder = Recorder::start(&archive).unwrap();
    let policy = Policy { keep: Keep::All, keep_days: 30 };
    let road = Arc::new(Road {
        recordings: Some(Recordings { archive: archive.clone(), recorder, policy }),
        store: store.clone(),
        carrier: Arc::new(Marked(Taught::new(trunk.clone(), repertoire))),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock: clock.clone(),
        webhook: None,
        config: worker::Config::shipped("one".to_owned()),
        progress: Progress::new(),
    });
    let now = || clock.now().timestamp;
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "test_call.asked",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    store.ask_test_call(now(), &staff, "技術 次郎", &entry).await.unwrap().unwrap();
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(Arc::clone(&road), stopped));
    let both = async {
        loop {
            let [first, second] = [couple.attempt(0).await, couple.attempt(1).await];
            let is_over = |one: &AttemptOfDay| one.attempt.state == AttemptState::Done;
            let test = store.last_test_call(now(), at(9, 0)).await.unwrap().unwrap();
            if is_over(&first) && is_over(&second) && test.is_over() {
                return (first, second, test);
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let done = tokio::time::timeout(Duration::from_mins(3), both).await;
    let heard: Vec<_> = directory.calls().into_iter().map(|call| call.seen.heard).collect();
    let Ok((first, second, test)) = done else {
        let attempts = store.attempts_of_day(DAY).await.unwrap();
        let states: Vec<_> = attempts.iter().map(|one| &one.attempt).collect();
        let test = store.last_test_call(now(), at(9, 0)).await.unwrap();
        panic!("the calls do not come to their end: {states:?}, {test:?}, {heard:?}");
    };
    stop.send_replace(true);
    walking.await.unwrap().unwrap();
    trunk.stop(Duration::ZERO).await;
    drop(carrier);
    assert!(test.is_good(), "{test:?}");
    assert_eq!(first.attempt.completion, Some(Completion::Complete));
    assert_eq!(second.attempt.completion, Some(Completion::Complete));
    let calls = directory.calls();
    let of_couple: Vec<_> = calls.iter().filter(|call| call.callee == couple.number).collect();
    let [both] = of_couple[..] else { panic!("one call for both: {calls:?}") };

    let heard = &both.seen.heard;
    let next = heard.iter().position(|label| label.starts_with("next_person")).unwrap();
    let (of_first, of_second) = heard.split_at(next);
    assert!(of_second[1].starts_with("recorded"), "each is told: {heard:?}");
    let mut duration = Duration::ZERO;
    for (attempt, heard) in [(first.attempt.id, of_first), (second.attempt.id, of_second)] {
        let recording = store.recording_of(attempt).await.unwrap().expect("a recording each");
        assert_eq!(recording.state, State::Stored);
        let marks = store.marks(recording.id).await.unwrap();
        let [ours, _] = lanes(&archive, &recording).await;
        our_lane_holds_what_was_said(&ours, &marks, heard);
        duration += recording.duration();
    }
    assert!(duration <= both.ended_at.duration_since(both.began_at).unsigned_abs(), "{duration:?}");
    assert!(archive.spooled().unwrap().is_empty(), "all that is kept is in the archive");
}
