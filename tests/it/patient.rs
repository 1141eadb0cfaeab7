//! What staff do about one patient, on both databases: pauses, times, corrections, and who may.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::time::Duration;

use jiff::civil::{Date, Time, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{ClinicId, ObservationId, PatientId, PauseId, SlotId, StaffId};
use mimamori::base::{Language, PhoneNumber, Private};
use mimamori::call::{Completion, Disposition, Respondent, Timeline};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{Book, NewSlot, PlannedAttempt, SlotState, Window, schedule, slots_on};
use mimamori::ivr::{Answer, Questionnaires, YesNo};
use mimamori::registry::{
    Contact, Episode, Gender, HealthCenter, Patient, PatientPhone, PhoneRole, Relation, Role,
    Scope, Staff,
};
use mimamori::store::{
    AuditFilter, Claimant, Correction, Outcome, Resumed, Setting, StaffReport, Store, StoreError,
    Way, Within,
};
use mimamori::tape::Consent;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

use crate::postgres;
use crate::staff::{hire, member};

/// Runs each claim once per database.
macro_rules! claims {
    ($($claim:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                let folder = tempfile::tempdir().unwrap();
                let url = format!("sqlite://{}", folder.path().join("mimamori.db").display());
                super::$claim(super::Ward::new(&url, Some(folder)).await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if let Some(url) = crate::postgres::fresh_database(stringify!($claim)).await {
                    super::$claim(super::Ward::new(&url, None).await).await;
                }
            })*
        }
    };
}

claims! {
    a_paused_patient_is_not_called
    a_pause_that_begins_during_a_call_holds_its_retry
    ending_a_pause_brings_back_what_is_still_possible
    pauses_do_not_overlap
    pauses_hold_exactly_their_days_whatever_is_done
    days_that_are_opened_during_a_pause_are_skipped
    who_is_no_longer_observed_is_not_called_again
    other_times_move_the_slots_at_which_nobody_was_called
    what_staff_write_down_settles_the_slot_once
    two_values_of_one_minute_are_two_observations
    a_correction_keeps_what_it_corrects
    a_correction_is_no_report
    settings_keep_what_was_before
    what_is_said_to_being_recorded_is_kept_with_what_was_before
    nobody_reaches_the_patients_of_another_centre
    patients_are_found_by_what_staff_have_at_hand
}

const DAY: Date = date(2026, 11, 23);

fn at(hour: i8, minute: i8) -> Timestamp {
    timestamp(DAY.at(hour, minute, 0, 0))
}

fn number(n: u32) -> PhoneNumber {
    format!("+8190{:08}", 10_000_000 + n).parse().unwrap()
}

/// A centre with a nurse.
struct Ward {
    store: Store,
    center: HealthCenter,
    nurse: StaffId,
    _folder: Option<TempDir>,
    url: String,
}

impl Ward {
    async fn new(url: &str, folder: Option<TempDir>) -> Self {
        let store = Store::open(url, [7; 32]).await.unwrap();
        let (center, nurse) = center(&store, "minato").await;
        Self { store, center, nurse, _folder: folder, url: url.to_owned() }
    }

    fn within(&self) -> Within<'_> {
        self.store.within(Scope { center: self.center.id, clinic: None })
    }

    /// A patient who is called at nine and at half past two.
    async fn admit(&self, n: u32) -> (PatientId, Episode) {
        self.admit_to(self.center.id, n).await
    }

    async fn admit_to(
        &self,
        center: mimamori::base::id::HealthCenterId,
        n: u32,
    ) -> (PatientId, Episode) {
        let id = self.store.mint(at(0, 0));
        let patient = Patient {
            id,
            health_center: center,
            registration_number: format!("A{n:04}"),
            birth_date: Private::new(date(1950, 1, 2)),
            name: Private::new(format!("神崎 花{n}")),
            kana: Private::new("カンザキ ハナ".to_owned()),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            lives_alone: false,
            risks: vec![],
            phones: vec![PatientPhone {
                number: number(n),
                role: PhoneRole::Mobile,
                may_call: true,
            }],
        };
        let episode = Episode {
            id: self.store.mint(at(0, 0)),
            patient: id,
            first_day: DAY,
            last_day: DAY.saturating_add(6.days()),
            call_times: vec![time(9, 0, 0, 0), time(14, 30, 0, 0)],
            arrangement: mimamori::registry::Arrangement::default(),
        };
        self.store.import_patient(at(0, 0), &patient, Some(&episode)).await.unwrap();
        (id, episode)
    }

    fn slots(&self, day: Date, episode: &Episode) -> Vec<NewSlot> {
        slots_on(day, episode, &Window::of(&self.center), &schedule::Config::shipped())
    }

    /// Opens the slots of the day.
    async fn open(&self, episode: &Episode) -> Vec<SlotId> {
        self.store.open_slots(at(0, 0), &self.slots(DAY, episode)).await.unwrap();
        let slots = self.store.slots_of(episode.patient, DAY).await.unwrap();
        slots.iter().map(|slot| slot.id).collect()
    }

    async fn attempt(&self, slot: SlotId, attempt: u32, n: u32, due_at: Timestamp) {
        let planned = PlannedAttempt {
            slot,
            number: attempt,
            phone: number(n),
            due_at,
            campaign: None,
            priority: Precedence::First,
        };
        self.store.add_attempt(at(6, 0), &planned).await.unwrap().unwrap();
    }

    async fn claimed(&self, now: Timestamp) -> Vec<mimamori::store::Claim> {
        let claimant = Claimant {
            node: "one".to_owned(),
            lease: Duration::from_mins(1),
            grace: Duration::from_hours(3),
            only: None,
            trunk: "main".to_owned(),
            trunk_group: None,
            questionnaires: Questionnaires::shipped().keys().clone(),
        };
        self.store.claim_due(now, &claimant, 10).await.unwrap()
    }

    /// `reported skipped…` of the day's slots.
    async fn states(&self, patient: PatientId) -> String {
        let slots = self.store.slots_of(patient, DAY).await.unwrap();
        slots.iter().map(|slot| slot.state.as_str()).collect::<Vec<_>>().join(" ")
    }

    fn days(first: i8, last: i8) -> (Date, Date) {
        (date(2026, 11, first), date(2026, 11, last))
    }

    async fn pause(&self, now: Timestamp, patient: PatientId, days: (Date, Date)) -> PauseId {
        self.within().pause(now, self.nurse, patient, days, "入院").await.unwrap()
    }

    fn report(&self, minute: i8, values: &[(&str, Answer)]) -> StaffReport {
        StaffReport {
            id: self.store.mint(at(10, minute)),
            way: Way::Telephone,
            respondent: Respondent::Patient,
            effective_at: at(10, minute),
            values: values.iter().map(|(code, value)| ((*code).to_owned(), *value)).collect(),
            completion: Completion::Complete,
        }
    }

    async fn actions(&self, patient: PatientId) -> Vec<String> {
        let filter = AuditFilter { patient: Some(patient), ..AuditFilter::default() };
        let mut events = self.store.audit_events(&filter, 100).await.unwrap();
        events.reverse();
        events.into_iter().map(|event| event.action).collect()
    }
}

async fn center(store: &Store, code: &str) -> (HealthCenter, StaffId) {
    let mut center = HealthCenter {
        id: store.mint(at(0, 0)),
        code: code.to_owned(),
        name: "みなと保健所".to_owned(),
        kana: "ミナトホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(8, 30, 0, 0),
        closes_at: time(18, 0, 0, 0),
    };
    center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
    let nurse = hire(
        store,
        at(0, 0),
        Staff {
            name: Private::new("看護 花子".to_owned()),
            ..member(store, at(0, 0), &format!("{code}.nurse"), Role::Nurse, Some(center.id))
        },
    )
    .await;
    (center, nurse.id)
}

fn unanswered() -> Outcome {
    Outcome {
        disposition: Disposition::NoAnswer,
        code: Some(480),
        respondent: None,
        completion: None,
        timeline: Timeline { ringing: None, answered: None, ended: Some(at(9, 3)) },
        slot_after: SlotState::Due,
    }
}

fn refused<T: std::fmt::Debug>(result: Result<T, StoreError>) -> String {
    result.unwrap_err().to_string()
}

// --- pauses

async fn a_paused_patient_is_not_called(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    let slots = ward.open(&episode).await;
    ward.attempt(slots[0], 1, 1, at(9, 0)).await;
    let pause = ward.pause(at(8, 50), patient, Ward::days(23, 24)).await;
    assert_eq!(ward.states(patient).await, "skipped skipped");
    let slot = &ward.store.slots_of(patient, DAY).await.unwrap()[0];
    assert_eq!((slot.reason.as_deref(), slot.pause), (Some("休止中"), Some(pause)));
    assert!(ward.claimed(at(9, 0)).await.is_empty());
    assert_eq!(ward.store.next_due().await.unwrap(), None, "the attempt was dropped");
    // Decided again at the last moment, whatever was planned meanwhile.
    let brought_back = "update slot set state = 'due', settled_at = null, pause_id = null; \
        update attempt set state = 'due'";
    postgres::execute(&ward.url, brought_back).await;
    let planned = ward.store.slots_to_plan(at(9, 0), &Book::default(), 10).await.unwrap();
    assert_eq!(planned.len(), 0, "an attempt is due");
    assert!(ward.claimed(at(9, 0)).await.is_empty());
    assert_eq!(ward.states(patient).await, "skipped due");
    // The day's later slot, which has no attempt, is skipped when it would be planned.
    let planned = ward.store.slots_to_plan(at(14, 30), &Book::default(), 10).await.unwrap();
    assert!(planned.len() == 1 && planned[0].is_held);
    assert!(ward.store.skip_held_slot(at(14, 30), planned[0].slot.id).await.unwrap());
    assert_eq!(ward.states(patient).await, "skipped skipped");
    assert_eq!(ward.actions(patient).await, ["patient.paused"]);
}

async fn a_pause_that_begins_during_a_call_holds_its_retry(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    let slots = ward.open(&episode).await;
    ward.attempt(slots[0], 1, 1, at(9, 0)).await;
    let claim = &ward.claimed(at(9, 0)).await[0];
    ward.pause(at(9, 1), patient, Ward::days(23, 23)).await;
    assert_eq!(ward.states(patient).await, "in_progress skipped", "a call goes on");
    ward.store.finish_attempt(at(9, 3), claim.attempt.id, &unanswered()).await.unwrap();
    assert_eq!(ward.states(patient).await, "due skipped");
    let planned = ward.store.slots_to_plan(at(9, 4), &Book::default(), 10).await.unwrap();
    assert!(planned[0].is_held);
    assert!(ward.store.skip_held_slot(at(9, 4), slots[0]).await.unwrap());
    assert_eq!(ward.states(patient).await, "skipped skipped");
}

async fn ending_a_pause_brings_back_what_is_still_possible(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    ward.open(&episode).await;
    let pause = ward.pause(at(8, 0), patient, Ward::days(23, 24)).await;
    let within = ward.within();
    let ended = within.end_pause(at(12, 0), ward.nurse, patient, pause).await.unwrap();
    assert_eq!(ended, Resumed::Resumed { slots: 1 }, "nine o'clock is over");
    assert_eq!(ward.states(patient).await, "skipped due");
    let again = within.end_pause(at(12, 1), ward.nurse, patient, pause).await.unwrap();
    assert_eq!(again, Resumed::AlreadyOver);
    let planned = ward.store.slots_to_plan(at(14, 30), &Book::default(), 10).await.unwrap();
    assert!(planned.len() == 1 && !planned[0].is_held);
    let unknown = within.end_pause(at(12, 1), ward.nurse, patient, ward.store.mint(at(1, 0))).await;
    assert_eq!(refused(unknown), "no such pause");
    assert_eq!(ward.actions(patient).await, ["patient.paused", "patient.resumed"]);
    let plan = within.care_plan(patient, (DAY, DAY)).await.unwrap();
    assert!(!plan.pauses[0].covers(DAY));
    assert_eq!(plan.pauses[0].ended.as_ref().unwrap().name.expose(), "看護 花子");
}

async fn pauses_do_not_overlap(ward: Ward) {
    let (patient, _) = ward.admit(1).await;
    let pause = ward.pause(at(8, 0), patient, Ward::days(24, 26)).await;
    assert_eq!(ward.pause(at(8, 1), patient, Ward::days(24, 26)).await, pause, "sent twice");
    let within = ward.within();
    let pausing = |days| within.pause(at(8, 2), ward.nurse, patient, days, "旅行");
    for days in [Ward::days(23, 24), Ward::days(25, 25), Ward::days(26, 28)] {
        assert_eq!(refused(pausing(days).await), "against the rule patient_pause_overlap");
    }
    pausing(Ward::days(27, 28)).await.unwrap();
    pausing(Ward::days(23, 23)).await.unwrap();
    within.end_pause(at(8, 3), ward.nurse, patient, pause).await.unwrap();
    pausing(Ward::days(25, 25)).await.unwrap();
}

/// Random pauses and ends of pauses, against a list of days.
async fn pauses_hold_exactly_their_days_whatever_is_done(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    ward.open(&episode).await;
    let within = ward.within();
    for seed in 0..3 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut held: Vec<(PauseId, i8, i8)> = Vec::new();
        for step in 0..40 {
            let now = at(8, step);
            let told = format!("seed {seed} step {step}, {held:?}");
            if held.is_empty() || rng.random_bool(0.6) {
                let first = rng.random_range(23..=29);
                let last = rng.random_range(first..=29);
                let result =
                    within.pause(now, ward.nurse, patient, Ward::days(first, last), "入院").await;
                let same = held.iter().find(|one| (one.1, one.2) == (first, last));
                let is_free = held.iter().all(|one| one.2 < first || last < one.1);
                match (same, is_free) {
                    (Some(same), _) => assert_eq!(result.unwrap(), same.0, "{told}"),
                    (None, true) => held.push((result.unwrap(), first, last)),
                    (None, false) => assert_eq!(
                        refused(result),
                        "against the rule patient_pause_overlap",
                        "{told}"
                    ),
                }
            } else {
                let (id, ..) = held.swap_remove(rng.random_range(0..held.len()));
                let ended = within.end_pause(now, ward.nurse, patient, id).await.unwrap();
                assert!(matches!(ended, Resumed::Resumed { .. }), "{told}: {ended:?}");
            }
            let plan = within.care_plan(patient, (DAY, DAY)).await.unwrap();
            for day in 23..=29 {
                let is_held = held.iter().any(|one| (one.1..=one.2).contains(&day));
                let date = date(2026, 11, day);
                let covers = plan.pauses.iter().filter(|pause| pause.covers(date)).count();
                assert_eq!(covers, usize::from(is_held), "{told}: the {day}th");
            }
            let is_held = held.iter().any(|one| one.1 == 23);
            let expected = if is_held { "skipped skipped" } else { "due due" };
            assert_eq!(ward.states(patient).await, expected, "{told}");
        }
        for (id, ..) in held {
            within.end_pause(at(8, 50), ward.nurse, patient, id).await.unwrap();
        }
    }
}

async fn days_that_are_opened_during_a_pause_are_skipped(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    let (other, other_episode) = ward.admit(2).await;
    ward.pause(at(8, 0), patient, Ward::days(22, 23)).await;
    ward.open(&episode).await;
    ward.open(&other_episode).await;
    assert_eq!(ward.states(patient).await, "skipped skipped");
    assert_eq!(ward.states(other).await, "due due");
    let tomorrow = DAY.saturating_add(1.days());
    ward.store.open_slots(at(8, 1), &ward.slots(tomorrow, &episode)).await.unwrap();
    let slots = ward.store.slots_of(patient, tomorrow).await.unwrap();
    assert!(slots.iter().all(|slot| slot.state == SlotState::Due), "the pause is over");
}

// --- times and days

async fn who_is_no_longer_observed_is_not_called_again(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    let slots = ward.open(&episode).await;
    ward.attempt(slots[0], 1, 1, at(9, 0)).await;
    let claim = &ward.claimed(at(9, 0)).await[0];
    let within = ward.within();
    for _ in 0..2 {
        within.end_observation(at(9, 1), ward.nurse, patient, "療養解除").await.unwrap();
    }
    assert_eq!(ward.states(patient).await, "in_progress skipped");
    ward.store.finish_attempt(at(9, 3), claim.attempt.id, &unanswered()).await.unwrap();
    let planned = ward.store.slots_to_plan(at(9, 4), &Book::default(), 10).await.unwrap();
    assert!(planned[0].is_held);
    ward.attempt(slots[0], 2, 1, at(9, 10)).await;
    assert!(ward.claimed(at(9, 10)).await.is_empty(), "decided again when it is claimed");
    assert_eq!(ward.states(patient).await, "skipped skipped");
    let plan = within.care_plan(patient, (DAY, DAY)).await.unwrap();
    let (ended, is_active) = plan.episode.unwrap();
    assert!(!is_active && ended.last_day == DAY);
    assert_eq!(plan.changes.len(), 1);
    assert_eq!(plan.changes[0].reason.expose(), "療養解除");
    assert_eq!(ward.actions(patient).await, ["patient.changed"]);
}

async fn other_times_move_the_slots_at_which_nobody_was_called(ward: Ward) {
    let hours = |times: &[(i8, i8)]| -> Vec<Time> {
        times.iter().map(|(hour, minute)| time(*hour, *minute, 0, 0)).collect()
    };
    for (n, now, times, expected) in [
        // Before the first call, both move; a third is opened.
        (1, at(7, 0), hours(&[(10, 0), (13, 0), (16, 30)]), "10:00 due, 13:00 due, 16:30 due"),
        // One is too many.
        (2, at(7, 0), hours(&[(11, 0)]), "11:00 due, 14:30 skipped"),
        // After the first call, the first stays, and what overlaps with it is not opened.
        (3, at(9, 30), hours(&[(10, 0), (15, 0)]), "09:00 due, 15:00 due"),
    ] {
        let (patient, episode) = ward.admit(n).await;
        let slots = ward.open(&episode).await;
        if now > at(9, 0) {
            ward.attempt(slots[0], 1, n, at(9, 0)).await;
            let claims = ward.claimed(at(9, 0)).await;
            let mine = claims.iter().find(|claim| claim.patient.id == patient).unwrap();
            ward.store.finish_attempt(at(9, 3), mine.attempt.id, &unanswered()).await.unwrap();
        }
        let wanted = ward.slots(DAY, &Episode { call_times: times.clone(), ..episode });
        for _ in 0..2 {
            let within = ward.within();
            within.set_call_times(now, ward.nurse, patient, &times, &wanted).await.unwrap();
        }
        let slots = ward.store.slots_of(patient, DAY).await.unwrap();
        let shown: Vec<_> = slots
            .iter()
            .map(|slot| {
                let from = mimamori::base::clock::civil(slot.due_from).time();
                format!("{} {}", from.strftime("%R"), slot.state.as_str())
            })
            .collect();
        assert_eq!(shown.join(", "), expected);
        assert_eq!(ward.actions(patient).await, ["patient.changed"]);
    }
}

// --- observations by staff

async fn what_staff_write_down_settles_the_slot_once(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    let slots = ward.open(&episode).await;
    ward.attempt(slots[0], 1, 1, at(10, 30)).await;
    let report =
        ward.report(0, &[("spo2", Answer::Number(90)), ("dyspnea", Answer::Choice(YesNo::No))]);
    for _ in 0..2 {
        let slot = ward.within().observe(at(10, 5), ward.nurse, patient, &report).await.unwrap();
        assert_eq!(slot, Some(slots[0]));
    }
    assert_eq!(ward.states(patient).await, "reported due");
    assert!(ward.claimed(at(10, 30)).await.is_empty());
    let health = ward.within().health(patient, (DAY, DAY)).await.unwrap();
    assert_eq!(health.observations.len(), 2, "sent twice, stored once");
    let seen = &health.observations[0];
    assert_eq!((seen.way, seen.observation.slot), (Some(Way::Telephone), Some(slots[0])));
    assert_eq!(seen.by.as_ref().unwrap().0, ward.nurse);
    assert_eq!(ward.store.observations_to_evaluate(10).await.unwrap().len(), 2);
    // What was so yesterday says nothing about today's slot.
    let yesterday = StaffReport {
        id: ward.store.mint(at(10, 6)),
        effective_at: at(10, 0) - 24.hours(),
        ..report.clone()
    };
    let slot = ward.within().observe(at(10, 6), ward.nurse, patient, &yesterday).await.unwrap();
    assert_eq!(slot, None);
    assert_eq!(ward.actions(patient).await, ["observation.added", "observation.added"]);
}

async fn two_values_of_one_minute_are_two_observations(ward: Ward) {
    let (patient, _) = ward.admit(1).await;
    for spo2 in [95, 90] {
        let report = ward.report(0, &[("spo2", Answer::Number(spo2))]);
        ward.within().observe(at(10, 5), ward.nurse, patient, &report).await.unwrap();
    }
    let latest = ward.store.history(patient, at(0, 0)).await.unwrap();
    let values: Vec<_> = latest.iter().map(|one| one.value).collect();
    assert_eq!(values, [Answer::Number(95), Answer::Number(90)]);
}

async fn a_correction_keeps_what_it_corrects(ward: Ward) {
    let (patient, _) = ward.admit(1).await;
    let (other, _) = ward.admit(2).await;
    let report = ward.report(0, &[("temperature", Answer::Number(395))]);
    ward.within().observe(at(10, 5), ward.nurse, patient, &report).await.unwrap();
    let old = ward.store.history(patient, at(0, 0)).await.unwrap().remove(0);
    let correction = Correction {
        observation: old.id,
        value: Answer::Number(365),
        reason: "聞き違い".to_owned(),
    };
    let within = ward.within();
    for _ in 0..2 {
        within.correct(at(10, 10), ward.nurse, patient, &correction).await.unwrap();
    }
    let holds = ward.store.history(patient, at(0, 0)).await.unwrap();
    assert_eq!((holds.len(), holds[0].value), (1, Answer::Number(365)));
    let all = within.health(patient, (DAY, DAY)).await.unwrap().observations;
    let new = all.iter().find(|one| one.observation.supersedes == Some(old.id)).unwrap();
    assert_eq!(all.len(), 2);
    assert_eq!(new.reason.as_ref().unwrap().expose(), "聞き違い");
    assert_eq!(new.by.as_ref().unwrap().1.expose(), "看護 花子");
    let unheard = ward.store.observations_to_evaluate(10).await.unwrap();
    assert_eq!(unheard.len(), 2, "the rules look at a correction, too");

    let otherwise = Correction { value: Answer::Number(370), ..correction.clone() };
    let stale = within.correct(at(10, 11), ward.nurse, patient, &otherwise).await;
    assert_eq!(refused(stale), "the observation was settled by somebody else");
    let of_another = within.correct(at(10, 11), ward.nurse, other, &correction).await;
    assert_eq!(refused(of_another), "no such observation");
    let nothing: ObservationId = ward.store.mint(at(1, 0));
    let nothing = Correction { observation: nothing, ..correction };
    let unknown = within.correct(at(10, 11), ward.nurse, patient, &nothing).await;
    assert_eq!(refused(unknown), "no such observation");
    assert_eq!(ward.actions(patient).await, ["observation.added", "observation.corrected"]);
}

async fn a_correction_is_no_report(ward: Ward) {
    let (patient, episode) = ward.admit(1).await;
    let slots = ward.open(&episode).await;
    // Yesterday's call, as far as the store knows: an answer of our own, long settled.
    let report = ward.report(0, &[("temperature", Answer::Number(365))]);
    let report = StaffReport { effective_at: at(13, 0) - 24.hours(), ..report };
    ward.within().observe(at(8, 0), ward.nurse, patient, &report).await.unwrap();
    let old = ward.store.history(patient, at(0, 0) - 48.hours()).await.unwrap().remove(0);
    postgres::execute(
        &ward.url,
        &format!(
            "update observation set channel = 'outbound_call', effective_at = {}",
            at(12, 30).as_millisecond()
        ),
    )
    .await;
    let correction = Correction {
        observation: old.id,
        value: Answer::Number(375),
        reason: "打ち間違い".to_owned(),
    };
    ward.within().correct(at(13, 0), ward.nurse, patient, &correction).await.unwrap();
    ward.attempt(slots[1], 1, 1, at(14, 30)).await;
    assert_eq!(ward.claimed(at(14, 30)).await.len(), 1, "nobody reported for the afternoon");
}

// --- settings, scope, search

async fn settings_keep_what_was_before(ward: Ward) {
    let (patient, _) = ward.admit(1).await;
    let (within, nurse) = (ward.within(), ward.nurse);
    let contact = Contact {
        relation: Relation::WelfareCommissioner,
        name: Private::new("民生 太郎".to_owned()),
        phone: Private::new("03-1234-5678".to_owned()),
        is_keyholder: true,
        note: Private::new("夕方のみ".to_owned()),
    };
    let note = ward.store.mint(at(8, 0));
    for _ in 0..2 {
        let contacts = std::slice::from_ref(&contact);
        within.set_contacts(at(8, 0), nurse, patient, contacts).await.unwrap();
        within.set_slow_speech(at(8, 1), nurse, patient, true).await.unwrap();
        within.set_gender(at(8, 1), nurse, patient, Some(Gender::Female)).await.unwrap();
        within.set_last_day(at(8, 2), nurse, patient, date(2026, 11, 26)).await.unwrap();
        within.add_note(at(8, 3), nurse, patient, note, "娘さんと話した").await.unwrap();
    }
    let plan = within.care_plan(patient, (DAY, DAY)).await.unwrap();
    assert!(plan.patient.slow_speech);
    assert_eq!(plan.patient.gender, Some(Gender::Female));
    assert_eq!(plan.contacts, [contact]);
    let changes: Vec<_> = plan
        .changes
        .iter()
        .map(|change| (change.setting, change.before.as_str(), change.after.as_str()))
        .collect();
    assert_eq!(
        changes,
        [
            (Setting::Contacts, "0", "1"),
            (Setting::SlowSpeech, "0", "1"),
            (Setting::Gender, "", "female"),
            (Setting::LastDay, "2026-11-29", "2026-11-26"),
        ]
    );
    let health = within.health(patient, (DAY, DAY)).await.unwrap();
    assert_eq!(health.notes.len(), 1);
    assert_eq!(health.notes[0].written.name.expose(), "看護 花子");
    assert_eq!(ward.actions(patient).await.len(), 5);
    let stray: ClinicId = ward.store.mint(at(0, 0));
    let refusal = within.assign_clinic(at(8, 4), nurse, patient, Some(stray)).await;
    assert_eq!(refused(refusal), "no such clinic");
}

async fn what_is_said_to_being_recorded_is_kept_with_what_was_before(ward: Ward) {
    let (patient, _) = ward.admit(1).await;
    let (within, nurse) = (ward.within(), ward.nurse);
    for (minute, said) in
        [(0, Consent::Given), (1, Consent::Given), (2, Consent::Refused), (3, Consent::Unknown)]
    {
        within.set_consent(at(8, minute), nurse, patient, said).await.unwrap();
        let plan = within.care_plan(patient, (DAY, DAY)).await.unwrap();
        assert_eq!(plan.consent, said);
        assert_eq!(ward.store.recording_consent(patient).await.unwrap(), said);
    }
    let plan = within.care_plan(patient, (DAY, DAY)).await.unwrap();
    let changes: Vec<_> = plan
        .changes
        .iter()
        .map(|change| (change.setting, change.before.as_str(), change.after.as_str()))
        .collect();
    let words = [Consent::Unknown, Consent::Given, Consent::Refused].map(Consent::as_str);
    assert_eq!(
        changes,
        [
            (Setting::RecordingConsent, words[0], words[1]),
            (Setting::RecordingConsent, words[1], words[2]),
            (Setting::RecordingConsent, words[2], words[0]),
        ],
        "said again, it is no change"
    );
    assert!(plan.changes.iter().all(|change| change.signed.by == nurse));
    assert_eq!(ward.actions(patient).await.len(), 3, "each is in the chain");
    let (elsewhere, stranger) = center(&ward.store, "kita").await;
    let other = ward.store.within(Scope { center: elsewhere.id, clinic: None });
    let refusal = other.set_consent(at(8, 4), stranger, patient, Consent::Given).await;
    assert_eq!(refused(refusal), "no such patient");
    assert_eq!(ward.store.recording_consent(patient).await.unwrap(), Consent::Unknown);
}

async fn nobody_reaches_the_patients_of_another_centre(ward: Ward) {
    let (patient, _) = ward.admit(1).await;
    let (other, _) = center(&ward.store, "kita").await;
    let stranger = ward.store.within(Scope { center: other.id, clinic: None });
    let clinic = Some(ward.store.mint(at(0, 0)));
    let outside = ward.store.within(Scope { center: ward.center.id, clinic });
    let report = ward.report(0, &[("spo2", Answer::Number(90))]);
    let correction = Correction {
        observation: ward.store.mint(at(0, 0)),
        value: Answer::Unanswered,
        reason: String::new(),
    };
    let (now, by) = (at(10, 5), ward.nurse);
    for within in [stranger, outside] {
        let days = (DAY, DAY);
        assert_eq!(refused(within.care_plan(patient, days).await), "no such patient");
        assert_eq!(refused(within.health(patient, days).await), "no such patient");
        assert_eq!(refused(within.pause(now, by, patient, days, "").await), "no such patient");
        let pause = ward.store.mint(at(0, 0));
        assert_eq!(refused(within.end_pause(now, by, patient, pause).await), "no such patient");
        let times = [time(9, 0, 0, 0)];
        let moved = within.set_call_times(now, by, patient, &times, &[]).await;
        assert_eq!(refused(moved), "no such patient");
        assert_eq!(refused(within.set_last_day(now, by, patient, DAY).await), "no such patient");
        let ended = within.end_observation(now, by, patient, "").await;
        assert_eq!(refused(ended), "no such patient");
        let slow = within.set_slow_speech(now, by, patient, true).await;
        assert_eq!(refused(slow), "no such patient");
        assert_eq!(refused(within.assign_clinic(now, by, patient, None).await), "no such patient");
        assert_eq!(refused(within.set_contacts(now, by, patient, &[]).await), "no such patient");
        let note = ward.store.mint(at(0, 0));
        let noted = within.add_note(now, by, patient, note, "x").await;
        assert_eq!(refused(noted), "no such patient");
        assert_eq!(refused(within.observe(now, by, patient, &report).await), "no such patient");
        let corrected = within.correct(now, by, patient, &correction).await;
        assert_eq!(refused(corrected), "no such patient");
        assert!(within.find_patients("A0001", 10).await.unwrap().is_empty());
    }
    assert!(ward.actions(patient).await.is_empty());
}

async fn patients_are_found_by_what_staff_have_at_hand(ward: Ward) {
    let (first, _) = ward.admit(1).await;
    let (second, _) = ward.admit(2).await;
    ward.within().end_observation(at(8, 0), ward.nurse, second, "解除").await.unwrap();
    for (words, expected) in [
        ("a0001", vec![first]),
        ("A000", vec![first, second]),
        ("神崎花2", vec![second]),
        ("カンザキ", vec![first, second]),
        ("090-1000-0002", vec![second]),
        ("0001", vec![first]),
        ("%", vec![]),
        ("_", vec![]),
        ("  ", vec![]),
        ("山田", vec![]),
    ] {
        let found = ward.within().find_patients(words, 10).await.unwrap();
        let ids: Vec<_> = found.iter().map(|one| one.patient.id).collect();
        assert_eq!(ids, expected, "{words}");
    }
    let found = ward.within().find_patients("A000", 1).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].observed, Some(Ward::days(23, 29)));
}
