//! 安否確認: who is on the list, what staff decide, and what is not forgotten, on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::slice;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::civil::time;
use jiff::{SignedDuration, Timestamp};
use mimamori::base::Private;
use mimamori::base::clock::civil;
use mimamori::base::id::{CampaignId, PatientId, WelfareCheckId};
use mimamori::call::{Completion, Disposition, Respondent};
use mimamori::campaign::{SlotState, Terms, schedule};
use mimamori::escalation::welfare::{
    Act, Choice, List, Refusal, Step, Why, absent, unsettled, why,
};
use mimamori::escalation::{PatientFacts, Priority};
use mimamori::ivr::Answer;
use mimamori::observation::Channel;
use mimamori::registry::{HealthCenter, Role, Scope, Staff};
use mimamori::sim::persona::Temper;
use mimamori::store::{
    AuditFilter, CaseChange, CaseFilter, Evaluated, NewWelfareCheck, NewWelfareList, Report,
    StoreError, WelfareCheck, Within,
};

use crate::staff::{hire, member};
use crate::store::{Database, District, at, claims, outcome};
use crate::terms::{DAY, Town};
use crate::web::Office;

claims! {
    the_list_is_made_once_of_those_who_were_silent
    what_is_decided_has_a_name_a_reason_and_a_link_of_the_audit
    what_nobody_settled_goes_to_the_supervisor_once
    a_later_report_is_shown_and_closes_nothing
    whoever_is_settled_by_day_may_be_missed_again_at_night
    nobody_of_another_centre_is_seen_or_decided_about
    the_tables_refuse_a_second_check_and_a_result_without_a_decision
    a_silence_is_told_once_until_something_is_heard
    campaigns_that_do_not_start_and_trunks_that_nobody_answers_are_seen
}

async fn nurse(district: &District) -> Staff {
    let store = &district.store;
    hire(
        store,
        at(0, 0),
        Staff {
            name: Private::new("看護師 花".to_owned()),
            ..member(store, at(0, 0), "hana", Role::Nurse, Some(district.center.id))
        },
    )
    .await
}

fn within(district: &District) -> Within<'_> {
    district.store.within(Scope { center: district.center.id, clinic: None })
}

/// A patient whose only call of the morning nobody took.
async fn silent(district: &District, n: u32) -> PatientId {
    let (patient, _, attempt) = district.talking(n).await;
    let over = outcome(Disposition::NoAnswer, SlotState::Unreached);
    district.store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    patient
}

async fn tell(district: &District, patient: PatientId, hour: i8) {
    let report = Report {
        channel: Channel::Web,
        respondent: Respondent::Patient,
        questionnaire: "web@1".to_owned(),
        effective_at: at(hour, 0),
        values: vec![("temperature".to_owned(), Answer::Number(365))],
        completion: Completion::Complete,
    };
    district.store.report(at(hour, 0), patient, &report).await.unwrap();
}

fn cadence() -> schedule::Config {
    schedule::Config::shipped()
}

async fn previewed(district: &District, now: Timestamp) -> Vec<WelfareCheck> {
    let book = district.store.campaigns(now).await.unwrap();
    let terms = Arc::new(Terms::shipped());
    within(district).welfare_preview(now, &book, &terms).await.unwrap()
}

/// Makes the list as the worker does at 16:00.
async fn list(district: &District) -> Option<usize> {
    let now = at(16, 0);
    let silent = district.store.silent_on(now, List::Day).await.unwrap();
    let new = silent.iter().filter_map(|one| {
        Some(NewWelfareCheck {
            patient: one.patient,
            why: why(List::Day, &one.slots, one.heard_at, now, &cadence())?,
            is_frail: true,
            heard_at: one.heard_at,
        })
    });
    let list = NewWelfareList {
        list: List::Day,
        health_center: district.center.id,
        campaign: None,
        date: civil(now).date(),
        escalate_at: at(20, 0),
        people: new.collect(),
    };
    district.store.make_welfare_list(now, &list).await.unwrap()
}

/// Somebody on the list of today.
async fn listed(district: &District, n: u32) -> (PatientId, WelfareCheckId) {
    let patient = silent(district, n).await;
    assert_eq!(list(district).await, Some(1));
    let checks = within(district).welfare_checks(civil(at(16, 0)).date()).await.unwrap();
    (patient, checks[0].id.unwrap())
}

fn decide() -> Act {
    Act::Decide(Choice::Visit, "独居で応答なし".to_owned())
}

async fn the_list_is_made_once_of_those_who_were_silent(database: Database) {
    let district = District::new(&database).await;
    let today = civil(at(16, 0)).date();
    let quiet = silent(&district, 1).await;
    let told = silent(&district, 2).await;
    tell(&district, told, 12).await;
    let preview = previewed(&district, at(15, 0)).await;
    assert_eq!(preview.iter().map(|one| one.patient.id).collect::<Vec<_>>(), [quiet]);
    let made = async || within(&district).welfare_listed_at(today, List::Day).await.unwrap();
    assert_eq!(made().await, None);

    assert_eq!(list(&district).await, Some(1));
    silent(&district, 3).await;
    assert_eq!(list(&district).await, None, "it stays as it was made");
    assert_eq!(made().await, Some(at(16, 0)));
    let checks = within(&district).welfare_checks(today).await.unwrap();
    let [one] = &checks[..] else { panic!("{checks:?}") };
    assert_eq!((one.patient.id, one.why, one.step()), (quiet, Why::Unreached, Step::Listed));
    assert_eq!((one.attempts.len(), one.heard_at, one.reported_at), (1, None, None));
    let preview = previewed(&district, at(17, 0)).await;
    assert_eq!(preview.len(), 1, "who is listed is not listed twice");
}

async fn what_is_decided_has_a_name_a_reason_and_a_link_of_the_audit(database: Database) {
    let district = District::new(&database).await;
    let hana = nurse(&district).await;
    let (patient, id) = listed(&district, 1).await;
    let within = within(&district);
    let act = |minute, act: Act| {
        let hana = hana.clone();
        async move { within.act_on_welfare(at(17, minute), &hana, id, &act).await.unwrap() }
    };
    let settle = || Act::Settle("自宅で本人を確認".to_owned());
    assert_eq!(act(0, settle()).await, Err(Refusal::NotDecided));
    assert_eq!(act(1, Act::Decide(Choice::Wait, " ".to_owned())).await, Err(Refusal::NoWords));
    assert_eq!(act(2, Act::Decide(Choice::Wait, "夜に再確認".to_owned())).await, Ok(Step::Decided));
    assert_eq!(act(3, decide()).await, Ok(Step::Decided), "they may think again");
    assert_eq!(act(40, settle()).await, Ok(Step::Settled));
    assert_eq!(act(41, decide()).await, Err(Refusal::Settled));

    let checks = within.welfare_checks(civil(at(17, 0)).date()).await.unwrap();
    let decision = checks[0].decision.as_ref().unwrap();
    assert_eq!((decision.choice, decision.by.at), (Choice::Visit, at(17, 3)));
    assert_eq!(decision.by.name.expose(), "看護師 花");
    let (result, by) = checks[0].result.as_ref().unwrap();
    assert_eq!((result.expose().as_str(), by.at), ("自宅で本人を確認", at(17, 40)));

    let filter = AuditFilter { action: Some("welfare.".to_owned()), ..AuditFilter::default() };
    let events = district.store.audit_events(&filter, 100).await.unwrap();
    let told: Vec<_> =
        events.iter().rev().map(|one| (one.action.as_str(), one.detail.as_str())).collect();
    assert_eq!(
        told,
        [("welfare.decided", "wait"), ("welfare.decided", "visit"), ("welfare.settled", "")]
    );
    assert!(events.iter().all(|one| one.patient == Some(patient)));
    assert!(!format!("{events:?}").contains("独居"), "reasons stay out of the audit");
    let yet = within.welfare_checks(civil(at(17, 0)).date().tomorrow().unwrap()).await.unwrap();
    assert!(yet.is_empty(), "who is settled is not shown the next day");
}

async fn what_nobody_settled_goes_to_the_supervisor_once(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, id) = listed(&district, 1).await;
    assert_eq!(store.next_welfare_escalation().await.unwrap(), Some(at(20, 0)));
    assert_eq!(store.welfare_to_escalate(at(19, 59)).await.unwrap(), []);
    let due = store.welfare_to_escalate(at(20, 0)).await.unwrap();
    assert_eq!(due, [(id, patient, Step::Listed)]);
    let fact = unsettled(id, Step::Listed, at(20, 0));
    let nothing = Evaluated::default();
    let change =
        store.add_facts(at(20, 0), patient, slice::from_ref(&fact), &nothing).await.unwrap();
    assert!(matches!(change, CaseChange::Opened(_)));
    // A crash here must not tell it twice.
    let again = store.add_facts(at(20, 1), patient, &[fact], &nothing).await.unwrap();
    assert_eq!(again, CaseChange::Unchanged);
    store.welfare_escalated(at(20, 0), id).await.unwrap();
    assert_eq!(store.welfare_to_escalate(at(23, 0)).await.unwrap(), []);
    assert_eq!(store.next_welfare_escalation().await.unwrap(), None);
    let cases = store.cases(CaseFilter::Patient(patient)).await.unwrap();
    assert_eq!((cases.len(), cases[0].case.priority), (1, Priority::P1));

    let tomorrow = civil(at(16, 0)).date().tomorrow().unwrap();
    let checks = within(&district).welfare_checks(tomorrow).await.unwrap();
    assert_eq!(checks[0].escalated_at, Some(at(20, 0)), "it stays until somebody settles it");
}

async fn a_later_report_is_shown_and_closes_nothing(database: Database) {
    let district = District::new(&database).await;
    let (patient, id) = listed(&district, 1).await;
    tell(&district, patient, 18).await;
    let checks = within(&district).welfare_checks(civil(at(16, 0)).date()).await.unwrap();
    assert_eq!((checks[0].reported_at, checks[0].step()), (Some(at(18, 0)), Step::Listed));
    let due = district.store.welfare_to_escalate(at(20, 0)).await.unwrap();
    assert_eq!(due, [(id, patient, Step::Listed)]);
}

async fn whoever_is_settled_by_day_may_be_missed_again_at_night(database: Database) {
    let district = District::new(&database).await;
    let hana = nurse(&district).await;
    let (patient, id) = listed(&district, 1).await;
    let within = within(&district);
    for (minute, act) in [(0, decide()), (30, Act::Settle("自宅で本人を確認".to_owned()))] {
        within.act_on_welfare(at(17, minute), &hana, id, &act).await.unwrap().unwrap();
    }
    let night = NewWelfareList {
        list: List::Night,
        health_center: district.center.id,
        campaign: None,
        date: civil(at(20, 30)).date(),
        escalate_at: at(21, 30),
        people: vec![NewWelfareCheck {
            patient,
            why: Why::Unreached,
            is_frail: true,
            heard_at: None,
        }],
    };
    let store = &district.store;
    assert_eq!(store.make_welfare_list(at(20, 30), &night).await.unwrap(), Some(1));
    assert_eq!(store.make_welfare_list(at(20, 40), &night).await.unwrap(), None, "once");
    let checks = within.welfare_checks(night.date).await.unwrap();
    let steps: Vec<_> = checks.iter().map(|one| (one.list, one.step())).collect();
    assert_eq!(steps, [(List::Day, Step::Settled), (List::Night, Step::Listed)]);
    let made = async |list| within.welfare_listed_at(night.date, list).await.unwrap();
    assert_eq!(
        (made(List::Day).await, made(List::Night).await),
        (Some(at(16, 0)), Some(at(20, 30)))
    );
    let due = store.welfare_to_escalate(at(21, 30)).await.unwrap();
    assert_eq!(due, [(checks[1].id.unwrap(), patient, Step::Listed)]);
}

#[tokio::test(start_paused = true)]
async fn an_evening_call_that_nobody_takes_is_judged_at_night_and_goes_to_the_supervisor() {
    let times = [time(9, 30, 0, 0), time(19, 30, 0, 0)];
    let town = Town::called_at(&times, &[Terms::shipped()], Temper::Absent).await;
    town.walk(21, 40).await;
    let within = town.store.within(Scope { center: town.district.health_center.id, clinic: None });
    let checks = within.welfare_checks(DAY).await.unwrap();
    let told: Vec<_> = checks
        .iter()
        .map(|one| (one.list, one.why, one.escalated_at.map(|at| civil(at).time())))
        .collect();
    let [eight, half_past_nine] = [time(20, 0, 0, 0), time(21, 30, 0, 0)];
    assert_eq!(
        told,
        [
            (List::Day, Why::Unreached, Some(eight)),
            (List::Night, Why::Unreached, Some(half_past_nine)),
        ]
    );
    // Who is called in the evening only is on no list of the day, and the day is judged at night.
    let town = Town::called_at(&times[1..], &[Terms::shipped()], Temper::Absent).await;
    town.walk(21, 0).await;
    let within = town.store.within(Scope { center: town.district.health_center.id, clinic: None });
    let checks = within.welfare_checks(DAY).await.unwrap();
    assert_eq!(checks.iter().map(|one| one.list).collect::<Vec<_>>(), [List::Night]);
    let cases = town.store.cases(CaseFilter::Unresolved).await.unwrap();
    assert!(cases[0].case.facts.iter().any(|fact| fact.rule == "day-missed"), "{cases:?}");
}

async fn nobody_of_another_centre_is_seen_or_decided_about(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let hana = nurse(&district).await;
    let (_, id) = listed(&district, 1).await;
    silent(&district, 2).await;
    let today = civil(at(16, 0)).date();
    let book = store.campaigns(at(17, 0)).await.unwrap();
    let terms = Arc::new(Terms::shipped());
    for scope in [
        Scope { center: store.mint(at(0, 0)), clinic: None },
        Scope { center: district.center.id, clinic: Some(store.mint(at(0, 0))) },
    ] {
        let within = store.within(scope);
        assert!(within.welfare_checks(today).await.unwrap().is_empty());
        assert!(within.welfare_preview(at(17, 0), &book, &terms).await.unwrap().is_empty());
        let refused = within.act_on_welfare(at(17, 0), &hana, id, &decide()).await;
        assert!(matches!(refused, Err(StoreError::NotFound { .. })), "{refused:?}");
    }
}

async fn the_tables_refuse_a_second_check_and_a_result_without_a_decision(database: Database) {
    let district = District::new(&database).await;
    let (patient, id) = listed(&district, 1).await;
    let second = format!(
        "insert into welfare_check (id, patient_id, date, list, why, is_frail, listed_at, \
         escalate_at) select 'x', '{patient}', date, list, why, is_frail, listed_at, escalate_at \
         from welfare_check"
    );
    assert_eq!(database.refusal(&second).await, "welfare_check_once");
    let third = second
        .replace("select 'x'", "select 'y'")
        .replace("', date, list, why", "', date, 'noon', why");
    assert_eq!(database.refusal(&third).await, "welfare_check_list");
    let result = format!("update welfare_check set result = 'well' where id = '{id}'");
    assert_eq!(database.refusal(&result).await, "welfare_check_settled");
}

async fn a_silence_is_told_once_until_something_is_heard(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let terms = Terms::shipped().silence;
    let quiet = silent(&district, 1).await;
    let told = silent(&district, 2).await;
    let resting = silent(&district, 3).await;
    tell(&district, told, 12).await;
    let hana = nurse(&district).await;
    let days = (civil(at(0, 0)).date(), civil(at(0, 0)).date().tomorrow().unwrap());
    within(&district).pause(at(9, 30), hana.id, resting, days, "入院").await.unwrap();

    assert_eq!(store.absences(at(11, 0)).await.unwrap(), []);
    let absences = store.absences(at(13, 0)).await.unwrap();
    let [absence] = &absences[..] else { panic!("{absences:?}") };
    assert_eq!((absence.patient, absence.since), (quiet, at(0, 0)));
    let anybody = PatientFacts::default();
    let late = at(0, 0) + SignedDuration::from_hours(36);
    assert_eq!(absent(anybody, absence.episode, absence.since, &terms, at(13, 0)), None);
    let fact = absent(anybody, absence.episode, absence.since, &terms, late).unwrap();
    let nothing = Evaluated::default();
    let change = store.add_facts(late, quiet, slice::from_ref(&fact), &nothing).await.unwrap();
    assert!(matches!(change, CaseChange::Opened(_)));
    let cases = store.cases(CaseFilter::Patient(quiet)).await.unwrap();
    assert_eq!(cases[0].case.facts, [fact], "it is read as it was written");
    let yet = store.absences(late + SignedDuration::from_hours(1)).await.unwrap();
    assert!(yet.iter().all(|one| one.patient != quiet), "told once: {yet:?}");
    // A new silence begins after a report.
    tell(&district, quiet, 23).await;
    let later = store.absences(at(23, 0) + SignedDuration::from_hours(40)).await.unwrap();
    let again = later.iter().find(|one| one.patient == quiet).unwrap();
    assert_eq!(again.since, at(23, 0));
}

async fn campaigns_that_do_not_start_and_trunks_that_nobody_answers_are_seen(database: Database) {
    let district = District::new(&database).await;
    let campaign = |name: &str, day| {
        format!(
            "insert into campaign (id, health_center_id, name, state, is_default, starts_on, \
             created_at, changed_at, changed_by, reason) values ('{}', '{}', '{name}', \
             'ready', 0, '2026-11-{day}', 0, 0, '', '');",
            district.store.mint::<CampaignId>(at(0, 0)),
            district.center.id
        )
    };
    database.execute(&campaign("due", 23)).await;
    database.execute(&campaign("late", 20)).await;
    database.execute(&campaign("soon", 24)).await;
    let seen = within(&district).disturbances(at(8, 0)).await.unwrap();
    assert_eq!(seen.campaigns_not_started, ["late"], "the centre has not opened");
    let seen = within(&district).disturbances(at(8, 30)).await.unwrap();
    assert_eq!(seen.campaigns_not_started, ["due", "late"]);

    for n in 1..=19 {
        silent(&district, n).await;
    }
    database.execute("update attempt set answered_at = null").await;
    let seen = within(&district).disturbances(at(10, 0)).await.unwrap();
    assert_eq!(seen.trunks_in_vain, [], "so few may be chance");
    silent(&district, 20).await;
    let seen = within(&district).disturbances(at(10, 0)).await.unwrap();
    assert_eq!(seen.trunks_in_vain, [], "one was answered");
    database.execute("update attempt set answered_at = null").await;
    let seen = within(&district).disturbances(at(10, 0)).await.unwrap();
    assert_eq!(seen.trunks_in_vain, [("main".to_owned(), 20)]);
    let seen = within(&district).disturbances(at(11, 30)).await.unwrap();
    assert_eq!(seen.trunks_in_vain, [], "of late only");
}

/// The page at 17:00, as a browser asks for it.
#[tokio::test]
async fn a_nurse_decides_by_name_and_nobody_else_does() {
    let office = Office::new().await;
    let district = District::with(office.store.clone()).await;
    let (_, id) = listed(&district, 1).await;
    office.pass(Duration::from_hours(8));
    let (decide, settle) = (format!("/welfare/{id}/decide"), format!("/welfare/{id}/settle"));
    let visit = [("choice", "visit"), ("text", "独居で応答なし")];
    let seen = [("text", "自宅で本人を確認")];
    for role in [Role::Scheduler, Role::Engineer, Role::Auditor, Role::Administrator] {
        let mut browser = office.at_work(role.as_str(), role).await;
        browser.get("/account").await;
        for page in [
            browser.get("/welfare").await,
            browser.post(&decide, &visit).await,
            browser.post(&settle, &seen).await,
        ] {
            assert_eq!(page.status, StatusCode::FORBIDDEN, "{role:?}");
            assert!(!page.text.contains("神崎"), "{role:?}");
        }
    }
    let elsewhere = HealthCenter {
        id: office.store.mint(at(0, 0)),
        code: "yama".to_owned(),
        ..district.center.clone()
    };
    let elsewhere = office.store.save_health_center(at(0, 0), &elsewhere).await.unwrap();
    office.hire_for("stranger", Role::Nurse, Some(elsewhere)).await;
    let mut stranger = office.sign_in("stranger").await.0;
    let page = stranger.get("/welfare").await;
    assert_eq!(page.status, StatusCode::OK);
    assert!(!page.text.contains("神崎"), "{}", page.text);
    stranger.get("/account").await;
    assert_eq!(stranger.post(&decide, &visit).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stranger.post(&settle, &seen).await.status, StatusCode::NOT_FOUND);

    let mut browser = office.at_work("nurse", Role::Nurse).await;
    let page = browser.get("/welfare").await;
    assert!(page.text.contains("神崎 1") && page.text.contains("A0001"), "{}", page.text);
    assert_eq!(page.between("data-count=\"listed\">", "<").as_deref(), Some("1"));
    for (path, fields, status) in [
        (&decide, &visit[1..], StatusCode::UNPROCESSABLE_ENTITY),
        (&decide, &visit[..1], StatusCode::UNPROCESSABLE_ENTITY),
        (&settle, &seen[..], StatusCode::CONFLICT),
        (&decide, &visit[..], StatusCode::SEE_OTHER),
    ] {
        assert_eq!(browser.post(path, fields).await.status, status, "{path} {fields:?}");
    }
    let page = browser.get("/welfare").await;
    for words in
        [&*Choice::Visit.name().ja, "独居で応答なし", "職員 nurse", "data-step=\"decided\""]
    {
        assert!(page.text.contains(words), "{words}: {}", page.text);
    }
    assert_eq!(browser.post(&settle, &seen).await.status, StatusCode::SEE_OTHER);
    let page = browser.get("/welfare").await;
    assert!(page.text.contains("data-step=\"settled\""), "{}", page.text);
    assert!(page.text.contains("自宅で本人を確認"), "{}", page.text);
    assert_eq!(browser.post(&decide, &visit).await.status, StatusCode::CONFLICT);
    let audited = office.audited("welfare.").await;
    let acts: Vec<_> = audited.iter().filter(|(action, _)| action != "welfare.viewed").collect();
    let expected = [("welfare.decided", "visit"), ("welfare.settled", "")];
    assert_eq!(acts.len(), expected.len(), "{audited:?}");
    for ((action, detail), expected) in acts.into_iter().zip(expected) {
        assert_eq!((action.as_str(), detail.as_str()), expected);
    }
}
