//! 療養解除: what is proposed on both databases, and that a person decides.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::civil::{Date, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::clock::timestamp;
use mimamori::base::id::PatientId;
use mimamori::call::{Completion, Disposition, Respondent};
use mimamori::campaign::{SlotKind, SlotState, Terms};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Answer, Catalog, Questionnaires, YesNo};
use mimamori::observation::Channel;
use mimamori::prompt::Library;
use mimamori::registry::{Course, Role, Scope, Staff, TestMethod, TestResult};
use mimamori::release::{Block, Decision, ReleaseBook, ReleaseRules};
use mimamori::sim::clock::starting_at;
use mimamori::sim::{self, Temper, VirtualCarrier};
use mimamori::store::{CaseFilter, Deciding, NotDecided, Report, Store, StoreError, Within};
use mimamori::worker::{self, Progress, Road};
use tokio::sync::watch;

use crate::accounts_by_hand::Host;
use crate::staff::{hire, member};
use crate::store::{Database, District, at, claims, entry, outcome};
use crate::web::Office;

claims! {
    what_staff_wrote_of_an_illness_stays
    a_candidate_answered_well_for_long_enough
    an_answer_that_was_not_given_is_in_the_way
    a_correction_counts_in_place_of_what_it_corrects
    negative_tests_shorten_the_days_and_are_never_overwritten
    a_release_ends_the_calls_and_is_signed
    nobody_of_another_centre_is_proposed_or_decided_about
}

/// The day of the tests.
const TODAY: Date = date(2026, 11, 23);

fn rules() -> ReleaseRules {
    ReleaseBook::shipped().unwrap().effective_on(TODAY).unwrap().clone()
}

fn ill_for(days: i64) -> Course {
    let onset = Some(TODAY.saturating_sub(days.days()));
    Course { onset, specimen: None, has_symptoms: Some(true) }
}

fn within(district: &District) -> Within<'_> {
    district.store.within(Scope { center: district.center.id, clinic: None })
}

async fn nurse(store: &Store, district: &District) -> Staff {
    hire(
        store,
        at(0, 0),
        Staff {
            name: "保健 花子".to_owned().into(),
            ..member(store, at(0, 0), "hanako", Role::Nurse, Some(district.center.id))
        },
    )
    .await
}

/// All is well at that moment, by the web form.
async fn well(store: &Store, patient: PatientId, when: Timestamp) {
    let no = Answer::Choice(YesNo::No);
    let values = [("temperature", Answer::Number(366)), ("dyspnea", no), ("cough", no)];
    let report = Report {
        channel: Channel::Web,
        respondent: Respondent::Patient,
        questionnaire: "web@1".to_owned(),
        effective_at: when,
        values: values.map(|(code, value)| (code.to_owned(), value)).to_vec(),
        completion: Completion::Complete,
    };
    store.report(when, patient, &report).await.unwrap();
}

fn days_ago(days: i64, hour: i8) -> Timestamp {
    timestamp(TODAY.saturating_sub(days.days()).at(hour, 0, 0, 0))
}

/// Somebody ill for so many days, who was well yesterday morning and this morning.
async fn convalescent(district: &District, n: u32, days: i64) -> PatientId {
    let (patient, _) = district.admit(n).await;
    district.store.note_course(at(0, 0), patient.id, &ill_for(days)).await.unwrap();
    for when in [days_ago(1, 8), at(8, 30)] {
        well(&district.store, patient.id, when).await;
    }
    patient.id
}

/// Without a last call, whatever was shown.
fn deciding(decision: Decision, reason: &str) -> Deciding<'_> {
    Deciding { decision, reason, farewell: None, saw_candidate: None }
}

async fn blocks(district: &District, patient: PatientId) -> Vec<Block> {
    let one = within(district).convalescent(at(10, 0), &rules(), patient).await.unwrap();
    one.unwrap().proposal.blocks
}

async fn what_staff_wrote_of_an_illness_stays(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _) = district.admit(1).await;
    let known = async || {
        let one = within(&district).convalescent(at(10, 0), &rules(), patient.id).await.unwrap();
        one.unwrap().course
    };
    assert_eq!(known().await, Course::default());
    assert_eq!(within(&district).without_day_zero(TODAY, 10).await.unwrap().0, 1);
    store.note_course(at(1, 0), patient.id, &ill_for(5)).await.unwrap();
    assert_eq!(known().await, ill_for(5));
    assert_eq!(within(&district).without_day_zero(TODAY, 10).await.unwrap().0, 0);
    // A list that says nothing takes nothing away; one that says otherwise is believed.
    store.note_course(at(2, 0), patient.id, &Course::default()).await.unwrap();
    store.note_course(at(3, 0), patient.id, &ill_for(6)).await.unwrap();
    assert_eq!(known().await, ill_for(6));
    let by = nurse(store, &district).await.id;
    within(&district).set_course(at(4, 0), by, patient.id, &ill_for(4)).await.unwrap();
    store.note_course(at(5, 0), patient.id, &ill_for(6)).await.unwrap();
    assert_eq!(known().await, ill_for(4), "staff know better than a list");
}

async fn a_candidate_answered_well_for_long_enough(database: Database) {
    let district = District::new(&database).await;
    let candidate = convalescent(&district, 1, 8).await;
    let early = convalescent(&district, 2, 7).await;
    let (silent, _) = district.admit(3).await;
    district.store.note_course(at(0, 0), silent.id, &ill_for(20)).await.unwrap();
    let people = within(&district).convalescents(at(10, 0), &rules(), 10).await.unwrap();
    let seen: Vec<_> =
        people.iter().map(|one| (one.patient.id, one.proposal.is_candidate())).collect();
    assert_eq!(seen, [(silent.id, false), (candidate, true)], "the longest ill first");
    let from = TODAY.saturating_add(1.day());
    assert_eq!(blocks(&district, early).await, [Block::TooEarly { from }]);
    let few = within(&district).convalescents(at(10, 0), &rules(), 1).await.unwrap();
    assert_eq!(few.len(), 1);
}

async fn an_answer_that_was_not_given_is_in_the_way(database: Database) {
    let district = District::new(&database).await;
    let (patient, _, attempt) = district.talking(1).await;
    district.store.note_course(at(0, 0), patient, &ill_for(8)).await.unwrap();
    well(&district.store, patient, days_ago(1, 8)).await;
    assert_eq!(blocks(&district, patient).await, []);
    // The question on the cough meets silence.
    district.answer(attempt, &entry(0, "cough", Answer::Unanswered)).await;
    let cut = outcome(Disposition::Answered, SlotState::Due);
    district.store.finish_attempt(at(9, 5), attempt, &cut).await.unwrap();
    let found = blocks(&district, patient).await;
    let [Block::Unknown { code, .. }] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(code, "cough");
}

async fn a_correction_counts_in_place_of_what_it_corrects(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let patient = convalescent(&district, 1, 8).await;
    let fever = Report {
        channel: Channel::Web,
        respondent: Respondent::Patient,
        questionnaire: "web@1".to_owned(),
        effective_at: at(9, 0),
        values: vec![("temperature".to_owned(), Answer::Number(386))],
        completion: Completion::Partial,
    };
    store.report(at(9, 0), patient, &fever).await.unwrap();
    assert!(matches!(blocks(&district, patient).await[..], [Block::Ill { .. }]));
    let health = within(&district).health(patient, (TODAY, TODAY)).await.unwrap();
    let wrong = health.observations.iter().find(|one| one.observation.value == Answer::Number(386));
    let correction = mimamori::store::Correction {
        observation: wrong.unwrap().observation.id,
        value: Answer::Number(366),
        reason: "聞き違い".to_owned(),
    };
    let by = nurse(store, &district).await.id;
    within(&district).correct(at(9, 30), by, patient, &correction).await.unwrap();
    assert_eq!(blocks(&district, patient).await, []);
}

async fn negative_tests_shorten_the_days_and_are_never_overwritten(database: Database) {
    let district = District::new(&database).await;
    let (store, within) = (&district.store, within(&district));
    let by = nurse(store, &district).await.id;
    let (patient, _) = district.admit(1).await;
    let specimen = Some(TODAY.saturating_sub(6.days()));
    let course = Course { onset: None, specimen, has_symptoms: Some(false) };
    store.note_course(at(0, 0), patient.id, &course).await.unwrap();
    for when in [days_ago(1, 8), at(8, 30)] {
        well(store, patient.id, when).await;
    }
    let longest = convalescent(&district, 2, 9).await;
    let listed = async || {
        let people = within.convalescents(at(10, 0), &rules(), 10).await.unwrap();
        people.iter().map(|one| one.patient.id).collect::<Vec<_>>()
    };
    assert_eq!(listed().await, [longest], "a day too early");
    let test = |day, result| (days_ago(day, 9), TestMethod::Kit, result);
    let positive = test(6, TestResult::Positive);
    within.add_lab_test(at(9, 0), by, patient.id, positive).await.unwrap();
    assert_eq!(listed().await, [longest], "a positive one shortens nothing");
    let negative = test(1, TestResult::Negative);
    let wrong = within.add_lab_test(at(9, 10), by, patient.id, negative).await.unwrap();
    assert_eq!(listed().await, [longest, patient.id], "the longest ill first");
    let few = within.convalescents(at(10, 0), &rules(), 1).await.unwrap();
    assert_eq!(few.len(), 1);
    let one = within.convalescent(at(10, 0), &rules(), patient.id).await.unwrap().unwrap();
    assert!(one.proposal.is_candidate(), "{:?}", one.proposal.blocks);
    assert_eq!((one.proposal.path.as_str(), one.tests.len()), ("asymptomatic-kit", 2));

    let withdrawn = (wrong, "別の方の結果でした");
    within.withdraw_lab_test(at(9, 20), by, patient.id, withdrawn).await.unwrap();
    assert_eq!(listed().await, [longest], "what was withdrawn shortens nothing");
    let one = within.convalescent(at(10, 0), &rules(), patient.id).await.unwrap().unwrap();
    assert_eq!((one.proposal.path.as_str(), one.tests.len()), ("asymptomatic", 1));
    let again = within.withdraw_lab_test(at(9, 30), by, patient.id, withdrawn).await;
    assert!(matches!(again, Err(StoreError::NotFound { .. })), "once");
    let history = within.health(patient.id, (TODAY, TODAY)).await.unwrap().tests;
    let [first, second] = history.as_slice() else { panic!("{history:?}") };
    assert_eq!((first.test.result, second.test.id), (TestResult::Positive, wrong));
    assert!(first.withdrawn.is_none());
    let (reason, signed) = second.withdrawn.as_ref().unwrap();
    assert_eq!((reason.expose().as_str(), signed.at), ("別の方の結果でした", at(9, 20)));

    let silent = "update lab_test set withdrawn_at = 0, withdrawn_by = staff_id, reason = '' \
        where withdrawn_at is null";
    assert_eq!(database.refusal(silent).await, "lab_test_withdrawn");
    let unknown = "update lab_test set result = 'perhaps'";
    assert_eq!(database.refusal(unknown).await, "lab_test_result");
    within.end_observation(at(11, 0), by, patient.id, "入院").await.unwrap();
    let over = within.add_lab_test(at(11, 10), by, patient.id, negative).await;
    assert!(matches!(over, Err(StoreError::NotFound { .. })), "nobody is under observation");
}

async fn a_release_ends_the_calls_and_is_signed(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let by = nurse(store, &district).await.id;
    let (candidate, other) =
        (convalescent(&district, 1, 8).await, convalescent(&district, 2, 5).await);
    let decide = async |patient, decision, reason| {
        let within = within(&district);
        within
            .decide_release(at(10, 0), by, patient, &rules(), deciding(decision, reason))
            .await
            .unwrap()
    };
    assert_eq!(decide(candidate, Decision::Kept, "").await, Err(NotDecided::NoReason));
    assert!(decide(candidate, Decision::Kept, "家族が心配している").await.is_ok());
    let one =
        within(&district).convalescent(at(10, 1), &rules(), candidate).await.unwrap().unwrap();
    let decided = one.decided.unwrap();
    assert_eq!(decided.decision, Decision::Kept);
    assert_eq!(decided.signed.name.expose(), "保健 花子");

    let slot = district.slot_between(&one.episode, 2, at(15, 0), at(17, 0)).await;
    assert!(decide(candidate, Decision::Released, "").await.is_ok());
    let row = store.slots_of(candidate, TODAY).await.unwrap();
    let row = row.iter().find(|one| one.id == slot).unwrap();
    assert_eq!(row.state, SlotState::Skipped, "nobody is called any more");
    assert_eq!(decide(candidate, Decision::Released, "").await, Err(NotDecided::Over));
    assert!(
        within(&district).convalescent(at(10, 1), &rules(), candidate).await.unwrap().is_none()
    );

    let history = within(&district).health(candidate, (TODAY, TODAY)).await.unwrap();
    let taken: Vec<_> = history.decisions.iter().map(|one| one.decided.decision).collect();
    assert_eq!(taken.len(), 2, "both stand in the history");
    assert!(taken.contains(&Decision::Kept) && taken.contains(&Decision::Released), "{taken:?}");
    assert!(history.decisions.iter().all(|one| one.n_blocks == 0));
    let course = within(&district).health(candidate, (TODAY, TODAY)).await.unwrap().courses;
    let [course] = course.as_slice() else { panic!("{course:?}") };
    assert_eq!((course.before, course.after), (Course::default(), ill_for(8)));
    assert!(course.by.is_none(), "a list said so");
    let later = TODAY.saturating_add(1.day());
    let empty = within(&district).health(candidate, (later, later)).await.unwrap();
    assert!(empty.decisions.is_empty() && empty.courses.is_empty());

    assert_eq!(decide(other, Decision::Released, "").await, Err(NotDecided::NoReason));
    assert!(decide(other, Decision::Released, "入院した").await.is_ok(), "a person decides");
    let kept = "insert into release_decision (id, patient_id, episode_id, decision, rules, path, \
        blocks, reason, decided_at, staff_id) select 'x', patient_id, episode_id, 'released', rules, \
        path, 0, '', 0, staff_id from release_decision where reason = '入院した'";
    assert_eq!(database.refusal(kept).await, "release_decision_once");
    let silent = kept.replace("'released'", "'kept'");
    assert_eq!(database.refusal(&silent).await, "release_decision_reasoned");
}

async fn nobody_of_another_centre_is_proposed_or_decided_about(database: Database) {
    let district = District::new(&database).await;
    let by = nurse(&district.store, &district).await.id;
    let patient = convalescent(&district, 1, 8).await;
    let test = (at(9, 0), TestMethod::Naat, TestResult::Negative);
    let own = within(&district).add_lab_test(at(9, 30), by, patient, test).await.unwrap();
    let elsewhere =
        district.store.within(Scope { center: district.store.mint(at(0, 0)), clinic: None });
    let clinic = Some(district.store.mint(at(0, 0)));
    let clinic = district.store.within(Scope { center: district.center.id, clinic });
    for foreign in [elsewhere, clinic] {
        assert!(foreign.convalescents(at(10, 0), &rules(), 10).await.unwrap().is_empty());
        assert!(foreign.convalescent(at(10, 0), &rules(), patient).await.unwrap().is_none());
        let (undated, people) = foreign.without_day_zero(TODAY, 10).await.unwrap();
        assert_eq!((undated, people.len()), (0, 0));
        let refused = foreign.set_course(at(10, 0), by, patient, &ill_for(3)).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
        let test = (at(9, 0), TestMethod::Naat, TestResult::Negative);
        let refused = foreign.add_lab_test(at(10, 0), by, patient, test).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
        let refused = foreign.withdraw_lab_test(at(10, 0), by, patient, (own, "x")).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
        let released = deciding(Decision::Released, "");
        let refused = foreign.decide_release(at(10, 0), by, patient, &rules(), released).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })));
    }
}

/// The whole road in virtual time: who was released is told so once, and asked nothing.
#[tokio::test(start_paused = true)]
async fn whoever_was_released_hears_a_farewell_and_no_question() {
    let began = at(10, 0);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mimamori.db");
    let store = Store::open_in_virtual_time(file.to_str().unwrap(), [3; 32]).await.unwrap();
    let people = sim::District::new(&sim::district::Config {
        seed: 1,
        n_patients: 30,
        first_day: TODAY.saturating_sub(9.days()),
        last_day: TODAY.saturating_add(5.days()),
        call_times: vec![time(15, 0, 0, 0)],
    });
    let center = people.health_center.clone();
    store.save_health_center(at(0, 0), &center).await.unwrap();
    let is_well = |one: &&sim::district::Household| one.persona.temper == Temper::Prompt;
    let one = people.households.iter().find(is_well).unwrap().clone();
    store.import_patient(at(0, 0), &one.patient, Some(&one.episode)).await.unwrap();
    let district = District { store: store.clone(), center: center.clone() };
    let by = nurse(&store, &district).await.id;
    let clock = starting_at(began);
    let directory = Arc::new(people.directory());
    let road = Arc::new(Road {
        store: store.clone(),
        recordings: None,
        carrier: Arc::new(VirtualCarrier::new(Arc::clone(&directory), clock.clone())),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock: clock.clone(),
        webhook: None,
        config: worker::Config {
            poll: Duration::from_mins(5),
            ..worker::Config::shipped("one".to_owned())
        },
        progress: Progress::new(),
    });
    let book = store.campaigns(began).await.unwrap();
    let terms = Arc::new(Terms::shipped());
    let farewell = book.farewell(began, &one.episode, &center, &terms).unwrap();
    assert_eq!((farewell.kind, farewell.date), (SlotKind::Farewell, TODAY));
    let decided = Deciding {
        farewell: Some(&farewell),
        ..deciding(Decision::Released, "主治医の判断")
    };
    let id = one.patient.id;
    within(&district).decide_release(began, by, id, &rules(), decided).await.unwrap().unwrap();
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(road, stopped));
    tokio::time::sleep(Duration::from_hours(12)).await;
    stop.send_replace(true);
    walking.await.unwrap().unwrap();
    let calls = directory.calls();
    let [call] = calls.as_slice() else { panic!("{} calls", calls.len()) };
    assert!(call.began_at >= farewell.due_from);
    let said: Vec<&str> = call.seen.heard.iter().map(String::as_str).collect();
    assert!(said.contains(&"farewell"), "{said:?}");
    assert!(said.iter().any(|prompt| prompt.starts_with("closing_phone")), "{said:?}");
    assert!(
        !said.iter().any(|prompt| prompt.starts_with("ask_") || *prompt == "intro"),
        "{said:?}"
    );
    let slots = store.slots_of(id, TODAY).await.unwrap();
    let [slot] = slots.as_slice() else { panic!("{slots:?}") };
    assert_eq!((slot.kind, slot.state), (SlotKind::Farewell, SlotState::Reported));
    assert!(store.cases(CaseFilter::All).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_nurse_releases_by_name_and_a_scheduler_sees_nothing() {
    let office = Office::new().await;
    let district = District::with(office.store.clone()).await;
    let candidate = convalescent(&district, 1, 8).await;
    let early = convalescent(&district, 2, 3).await;
    let (_, _) = district.admit(3).await;
    for role in [Role::Scheduler, Role::Engineer, Role::Auditor, Role::Administrator] {
        let mut browser = office.at_work(role.as_str(), role).await;
        assert_eq!(browser.get("/release").await.status, StatusCode::FORBIDDEN, "{role:?}");
    }
    let mut clinic = office.at_work("clinic", Role::Clinic).await;
    let page = clinic.get("/release").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("/decide"), "the centre decides");

    let mut browser = office.at_work("nurse", Role::Nurse).await;
    let page = browser.get("/release").await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    assert!(page.text.contains("神崎 1") && page.text.contains("A0001"), "{}", page.text);
    assert!(!page.text.contains("神崎 2"), "it is far too early");
    assert_eq!(page.between("data-count=\"undated\">", "<").as_deref(), Some("1"));

    let path = format!("/release/{candidate}/decide");
    let page = browser.post(&path, &[("decision", "released")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text);
    // The page that was open said otherwise.
    let stale = [("decision", "released"), ("confirmed", "1"), ("shown", "blocked")];
    let page = browser.post(&path, &[&stale[..], &[("reason", "主治医の判断")]].concat()).await;
    assert_eq!(page.status, StatusCode::CONFLICT, "{}", page.text);
    assert!(page.text.contains("判定が変わりました"), "{}", page.text);
    let confirmed = [("decision", "released"), ("confirmed", "1"), ("shown", "candidate")];
    let page = browser.post(&path, &confirmed).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert_eq!(browser.post(&path, &confirmed).await.status, StatusCode::CONFLICT);
    let page = browser.get("/release").await;
    assert!(!page.text.contains("神崎 1"), "{}", page.text);

    let path = format!("/release/{early}/course");
    for wrong in [("onset", "2026-11-24"), ("specimen", "x")] {
        let page = browser.post(&path, &[wrong]).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong:?}");
    }
    let page = browser.post(&path, &[("onset", "2026-11-10"), ("symptoms", "yes")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    assert!(browser.get("/release").await.text.contains("神崎 2"));

    // Both stand in the stream of the patient, for those who may see how people are.
    let stream = browser.get(&format!("/patients/{candidate}")).await.text;
    assert!(stream.contains("療養解除") && stream.contains("基準を満たす"), "{stream}");
    let stream = browser.get(&format!("/patients/{early}")).await.text;
    for words in ["<ins>発症日 2026-11-10、症状 あり</ins>", "職員 nurse", "一覧の取り込みから"]
    {
        assert!(stream.contains(words), "{words}: {stream}");
    }
    let mut scheduler = office.at_work("clerk", Role::Scheduler).await;
    for patient in [candidate, early] {
        let page = scheduler.get(&format!("/patients/{patient}")).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(
            !page.text.contains("基準を満たす") && !page.text.contains("発症日"),
            "{}",
            page.text
        );
    }

    // A test of a specimen, written down and withdrawn on the page of one patient.
    let page = browser.get(&format!("/release/{early}")).await;
    assert!(page.text.contains("神崎 2") && page.text.contains("日目以降"), "{}", page.text);
    let path = format!("/release/{early}/tests");
    let good = [("collected", "2026-11-22T09:00"), ("method", "naat"), ("result", "negative")];
    for (name, wrong) in [("collected", "2026-11-24T09:00"), ("method", "dog"), ("result", "")] {
        let form = good.map(|(field, value)| (field, if field == name { wrong } else { value }));
        let page = browser.post(&path, &form).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{name}");
    }
    assert_eq!(browser.post(&path, &good).await.status, StatusCode::SEE_OTHER);
    let page = browser.get(&format!("/release/{early}")).await;
    let test = page.between(&format!("action=\"{path}/"), "/withdraw\"").unwrap();
    let path = format!("{path}/{test}/withdraw");
    let page = browser.post(&path, &[("reason", " ")]).await;
    assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{}", page.text);
    let page = browser.post(&path, &[("reason", "転記の誤り")]).await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let stream = browser.get(&format!("/patients/{early}")).await.text;
    for words in ["<del>11/22 09:00 核酸検出検査", "転記の誤り"] {
        assert!(stream.contains(words), "{words}: {stream}");
    }
    assert_eq!(clinic.get(&format!("/release/{early}")).await.status, StatusCode::NOT_FOUND);
    assert_eq!(office.audited("patient.test_").await.len(), 2);

    let audited: Vec<String> =
        office.audited("release.").await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(audited.iter().filter(|action| *action == "release.decided").count(), 1);
    assert!(audited.contains(&"release.viewed".to_owned()));
    assert_eq!(office.audited("patient.course_written").await.len(), 1);
}

/// A site's own file, named in its settings: what is proposed at the terminal goes by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_site_releases_by_rules_of_its_own() {
    const NAMED: &str = "release_rules = \"own.toml\"\n";
    const SETTINGS: &str = "[[health_center]]\ncode = \"minato\"\nname = \"みなと保健所\"\n\
        kana = \"ミナトホケ'ンジョ\"\ndesk_phone = \"03-0000-0000\"\n";
    let host = Host::new();
    let database = host.file().join("mimamori.db");
    let store = Store::open(database.to_str().unwrap(), [7; 32]).await.unwrap();
    let now = at(0, 0);
    let center = mimamori::registry::HealthCenter {
        id: store.mint(now),
        code: "minato".to_owned(),
        name: "みなと保健所".to_owned(),
        kana: "ミナトホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(9, 0, 0, 0),
        closes_at: time(18, 0, 0, 0),
    };
    store.save_health_center(now, &center).await.unwrap();
    store.close().await;

    let shipped = include_str!("../../prompts/rules/release.toml");
    let own = shipped.split("[[rules]]").take(2).collect::<Vec<_>>().join("[[rules]]");
    let own = own
        .replace("version = \"2021-02-25\"", "version = \"市-1\"")
        .replace("source = \"厚生労働省", "source = \"みなと市の要領");
    std::fs::write(host.file().join("own.toml"), &own).unwrap();
    let settings = |text: &str| {
        std::fs::write(host.file().join("mimamori.toml"), text).unwrap();
    };
    let list = ["release", "--center", "minato"];
    settings(SETTINGS);
    assert!(!host.good(&list).contains("みなと市の要領"), "what nobody names is not in force");
    settings(&format!("{NAMED}{SETTINGS}"));
    assert!(host.good(&list).contains("みなと市の要領"));

    let faulty = own.replace("fresh_hours = 30", "fresh_hours = 0");
    std::fs::write(host.file().join("own.toml"), faulty).unwrap();
    let told = host.bad(&list);
    let line = own.lines().position(|line| line == "[[rules]]").unwrap() + 1;
    let place = format!("own.toml:{line}: fresh_hours: 1–168");
    assert!(told.contains(&place), "{told}");
    std::fs::remove_file(host.file().join("own.toml")).unwrap();
    let told = host.bad(&list);
    assert!(told.contains("cannot read") && told.contains("own.toml"), "{told}");
}
