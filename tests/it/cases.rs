//! How the staff work on cases: each claim about the store runs on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::slice;

use mimamori::base::Private;
use mimamori::base::id::{CaseId, PatientId};
use mimamori::call::Disposition;
use mimamori::campaign::SlotState;
use mimamori::escalation::EventKind::{
    self, Called, Claimed, HandedOver, Noted, Opened, Promised, Resolved, TakenOver, TimedOut,
};
use mimamori::escalation::{CaseState, Deed, Holder, Outcome, Priority, Refusal, Standing};
use mimamori::ivr::Answer;
use mimamori::registry::{Role, Scope, Staff};
use mimamori::store::{AuditFilter, Evaluated, Handled, Store, StoreError, Within};

use crate::staff::{hire, member};
use crate::store::{Database, District, at, claims, entry, observation, outcome};

claims! {
    two_nurses_at_once_one_wins_and_the_other_sees_who
    a_hold_runs_out_and_the_next_takes_the_case
    every_deed_leaves_a_line_and_a_link_of_the_audit
    a_good_report_adds_a_line_and_closes_nothing
    a_case_of_another_centre_is_not_there
    a_promise_is_kept_once
    the_command_line_and_the_console_work_on_the_same_cases
    the_tables_refuse_two_holders_and_lines_that_cannot_be
    a_shift_tells_the_next_what_changed
}

/// A member of the staff of the district's centre.
async fn nurse(district: &District, login: &str) -> Staff {
    let store = &district.store;
    hire(
        store,
        at(0, 0),
        Staff {
            name: Private::new(format!("看護師 {login}")),
            ..member(store, at(0, 0), login, Role::Nurse, Some(district.center.id))
        },
    )
    .await
}

fn within<'a>(store: &'a Store, staff: &Staff) -> Within<'a> {
    store.within(staff.scope().unwrap())
}

/// A patient with an urgent case since 9:03.
async fn alarm(district: &District, n: u32) -> (PatientId, CaseId) {
    let (patient, _, attempt) = district.talking(n).await;
    let low = District::fact("spo2-low", Priority::P1, attempt, 1);
    let seen = Evaluated::default();
    let change = district.store.add_facts(at(9, 3), patient, slice::from_ref(&low), &seen).await;
    (patient, change.unwrap().case().unwrap())
}

async fn act(store: &Store, by: &Staff, case: CaseId, minute: i8, deed: Deed) -> Handled {
    within(store, by).handle_case(at(9, minute), by, case, &deed).await.unwrap()
}

async fn kinds(store: &Store, by: &Staff, case: CaseId) -> Vec<EventKind> {
    let file = within(store, by).case_file(at(9, 59), case).await.unwrap();
    assert!(
        file.events.iter().map(|event| event.seq).eq(1..=file.events.len().try_into().unwrap())
    );
    file.events.iter().map(|event| event.kind).collect()
}

async fn two_nurses_at_once_one_wins_and_the_other_sees_who(database: Database) {
    let district = District::new(&database).await;
    let (hana, taro) = (nurse(&district, "hana").await, nurse(&district, "taro").await);
    let (one, other) = (database.open().await, database.open().await);
    for n in 1..=5 {
        let (_, case) = alarm(&district, n).await;
        let (first, second) = tokio::join!(
            act(&one, &hana, case, 5, Deed::Claim),
            act(&other, &taro, case, 5, Deed::Claim)
        );
        let (won, lost, winner) = match (&first, &second) {
            (Handled::Done(won), Handled::Refused(..)) => (won, &second, &hana),
            (Handled::Refused(..), Handled::Done(won)) => (won, &first, &taro),
            both => panic!("{both:?}"),
        };
        assert!(won.is_held_by(winner.id));
        let Handled::Refused(Refusal::Held(Holder::Staff(claim)), Some(name)) = lost else {
            panic!("{lost:?}")
        };
        assert_eq!((claim.by, name), (winner.id, &winner.name));
        let lines = kinds(&district.store, &hana, case).await;
        assert_eq!(lines, [Opened, Claimed]);
    }
}

async fn a_hold_runs_out_and_the_next_takes_the_case(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (hana, taro) = (nurse(&district, "hana").await, nurse(&district, "taro").await);
    let (_, forgotten) = alarm(&district, 1).await;
    let (_, swept) = alarm(&district, 2).await;
    act(store, &hana, forgotten, 5, Deed::Claim).await;
    act(store, &hana, swept, 5, Deed::Claim).await;
    act(store, &hana, swept, 15, Deed::Note("折り返し待ち".to_owned())).await;

    // Whoever takes it need not wait for the worker.
    let refused = act(store, &taro, forgotten, 34, Deed::Claim).await;
    assert!(matches!(refused, Handled::Refused(Refusal::Held(_), Some(_))));
    let taken = act(store, &taro, forgotten, 35, Deed::Claim).await;
    assert!(matches!(taken, Handled::Done(standing) if standing.is_held_by(taro.id)));
    let lines = kinds(store, &taro, forgotten).await;
    assert_eq!(lines, [Opened, Claimed, TimedOut, Claimed]);

    assert_eq!(store.end_lapsed_claims(at(9, 44)).await.unwrap(), Some(at(9, 45)));
    assert_eq!(kinds(store, &hana, swept).await, [Opened, Claimed, Noted]);
    assert_eq!(store.end_lapsed_claims(at(9, 45)).await.unwrap(), Some(at(10, 5)));
    assert_eq!(kinds(store, &hana, swept).await, [Opened, Claimed, Noted, TimedOut]);
    let file = within(store, &hana).case_file(at(9, 46), swept).await.unwrap();
    assert_eq!((file.card.standing, file.card.holder), (Standing::Untouched, None));
    assert_eq!(file.card.view.case.state, CaseState::Open);
    assert_eq!(store.end_lapsed_claims(at(10, 30)).await.unwrap(), None);
}

async fn every_deed_leaves_a_line_and_a_link_of_the_audit(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (hana, taro) = (nurse(&district, "hana").await, nurse(&district, "taro").await);
    let (patient, case) = alarm(&district, 1).await;
    let word = || "呼吸が楽になったとのこと".to_owned();
    for (by, minute, deed) in [
        (&hana, 5, Deed::Claim),
        (&hana, 6, Deed::Call),
        (&hana, 8, Deed::Note(word())),
        (&taro, 9, Deed::TakeOver),
        (&taro, 10, Deed::Promise("14時に再電話".to_owned(), at(14, 0))),
        (&taro, 11, Deed::HandOver(word())),
        (&hana, 12, Deed::Claim),
        (&hana, 13, Deed::Resolve(Outcome::CareArranged, word())),
    ] {
        let done = act(store, by, case, minute, deed.clone()).await;
        assert!(matches!(done, Handled::Done(_)), "{deed:?}: {done:?}");
    }
    let refused = act(store, &taro, case, 14, Deed::Note(word())).await;
    assert_eq!(refused, Handled::Refused(Refusal::Closed, None));
    assert_eq!(
        kinds(store, &hana, case).await,
        [Opened, Claimed, Called, Noted, TakenOver, Promised, HandedOver, Claimed, Resolved]
    );
    let file = within(store, &hana).case_file(at(9, 20), case).await.unwrap();
    assert_eq!(file.card.standing, Standing::Resolved(Some(Outcome::CareArranged)));
    assert_eq!(file.card.view.resolved, Some(("看護師 hana".to_owned(), at(9, 13), word())));
    let by = file.events[4].by.clone().unwrap();
    assert_eq!((by.0, by.1), (taro.id, taro.name.clone()));

    let filter = AuditFilter { action: Some("case.".to_owned()), ..AuditFilter::default() };
    let audited = store.audit_events(&filter, 100).await.unwrap();
    assert_eq!(audited.len(), 8);
    assert!(audited.iter().all(|event| event.patient == Some(patient)));
    assert!(audited.iter().all(|event| event.health_center == Some(district.center.id)));
    assert!(audited.iter().all(|event| event.object == case.to_string()));
    assert_eq!(
        (audited[0].action.as_str(), audited[0].detail.as_str()),
        ("case.resolved", "care_arranged")
    );
    assert!(!format!("{audited:?}").contains("呼吸"), "notes stay out of the audit");
    assert_eq!(store.verify_audit(|_| ()).await.unwrap().fault, None);
}

async fn a_good_report_adds_a_line_and_closes_nothing(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let hana = nurse(&district, "hana").await;
    let (patient, _, attempt) = district.talking(1).await;
    let silent = District::fact("not-called", Priority::P3, attempt, 99);
    let silent = mimamori::escalation::Fact { at: at(8, 0), ..silent };
    // A case of yesterday; its source is no answer of this call.
    let source = mimamori::escalation::FactSource::Observation(store.mint(at(8, 0)));
    let facts = [mimamori::escalation::Fact { source, ..silent }];
    let case = store.add_facts(at(8, 0), patient, &facts, &Evaluated::default()).await.unwrap();
    let case = case.case().unwrap();

    district.answer(attempt, &entry(0, "temperature", Answer::Number(365))).await;
    district.answer(attempt, &entry(1, "spo2", Answer::Number(97))).await;
    let (mut warm, mut air) =
        (observation(store, patient, (attempt, 0)), observation(store, patient, (attempt, 1)));
    "temperature".clone_into(&mut warm.code);
    "spo2".clone_into(&mut air.code);
    store.save_observations(at(9, 3), &[(attempt, 0)], slice::from_ref(&warm)).await.unwrap();
    let first = Evaluated { observations: vec![warm.id], ..Evaluated::default() };
    store.add_facts(at(9, 3), patient, &[], &first).await.unwrap();
    assert_eq!(kinds(store, &hana, case).await, [Opened], "the call goes on");

    let over = outcome(Disposition::Answered, SlotState::Reported);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    let ended = Evaluated { attempts: vec![attempt], ..Evaluated::default() };
    store.add_facts(at(9, 6), patient, &[], &ended).await.unwrap();
    assert_eq!(kinds(store, &hana, case).await, [Opened], "an answer is not judged yet");

    store.save_observations(at(9, 6), &[(attempt, 1)], slice::from_ref(&air)).await.unwrap();
    let last = Evaluated { observations: vec![air.id], ..Evaluated::default() };
    store.add_facts(at(9, 7), patient, &[], &last).await.unwrap();
    store.add_facts(at(9, 8), patient, &[], &last).await.unwrap();
    assert_eq!(kinds(store, &hana, case).await, [Opened, EventKind::Reported]);
    let file = within(store, &hana).case_file(at(9, 9), case).await.unwrap();
    assert_eq!(file.events[1].text, "temperature=365 spo2=97");
    assert_eq!(file.card.view.case.state, CaseState::Open, "nothing closes by itself");
    assert_eq!(file.card.recent.len(), 2);
}

async fn a_case_of_another_centre_is_not_there(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let hana = nurse(&district, "hana").await;
    let (_, case) = alarm(&district, 1).await;
    let mut center = district.center.clone();
    "kita".clone_into(&mut center.code);
    center.id = store.mint(at(0, 0));
    let elsewhere = store.save_health_center(at(0, 0), &center).await.unwrap();
    let clinic = store.mint(at(0, 0));
    for scope in [
        Scope { center: elsewhere, clinic: None },
        Scope { center: district.center.id, clinic: Some(clinic) },
    ] {
        let within = store.within(scope);
        let read = within.case_file(at(9, 5), case).await;
        assert!(matches!(read, Err(StoreError::NotFound { what: "case" })), "{scope:?}");
        let written = within.handle_case(at(9, 5), &hana, case, &Deed::Claim).await;
        assert!(matches!(written, Err(StoreError::NotFound { what: "case" })), "{scope:?}");
        assert!(within.case_queue(at(9, 5)).await.unwrap().is_empty());
        let told = within.hand_over(at(9, 5), at(0, 0)).await.unwrap();
        assert!(told.open.is_empty() && told.events.is_empty() && told.resolved.is_empty());
    }
    assert_eq!(within(store, &hana).case_queue(at(9, 5)).await.unwrap().len(), 1);
    assert_eq!(kinds(store, &hana, case).await, [Opened]);
}

async fn a_promise_is_kept_once(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let hana = nurse(&district, "hana").await;
    let (_, case) = alarm(&district, 1).await;
    act(store, &hana, case, 5, Deed::Promise("14時に再電話".to_owned(), at(14, 0))).await;
    let card = within(store, &hana).case_queue(at(9, 6)).await.unwrap().remove(0);
    let [promise] = &card.promises[..] else { panic!("{card:?}") };
    assert_eq!(
        (promise.seq, promise.due_at, promise.text.as_str()),
        (2, at(14, 0), "14時に再電話")
    );
    assert_eq!(promise.by, Some(hana.name.clone()));

    let keep = |seq| {
        let hana = hana.clone();
        async move { within(store, &hana).handle_case(at(9, 9), &hana, case, &Deed::Keep(seq)).await }
    };
    assert!(matches!(keep(1).await, Err(StoreError::NotFound { what: "promise" })));
    assert!(matches!(keep(2).await, Ok(Handled::Done(_))));
    let again = keep(2).await;
    let Err(StoreError::Conflict { constraint }) = again else { panic!("{again:?}") };
    assert_eq!(constraint, "case_event_kept_once");
    assert!(within(store, &hana).case_queue(at(9, 9)).await.unwrap()[0].promises.is_empty());
}

async fn the_command_line_and_the_console_work_on_the_same_cases(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let hana = nurse(&district, "hana").await;
    let (_, case) = alarm(&district, 1).await;
    store.acknowledge_case(at(9, 5), case, "desk").await.unwrap();
    let Handled::Refused(refusal, name) = act(store, &hana, case, 6, Deed::Claim).await else {
        panic!("it is taken")
    };
    assert_eq!(refusal, Refusal::Held(Holder::CommandLine));
    assert_eq!(name, Some("desk".to_owned().into()));
    assert!(matches!(act(store, &hana, case, 7, Deed::TakeOver).await, Handled::Done(_)));
    let stale = store.acknowledge_case(at(9, 8), case, "desk").await;
    assert!(matches!(stale, Err(StoreError::Stale { what: "case" })));
    store.resolve_case(at(9, 9), case, "desk", "本人と通話").await.unwrap();
    let file = within(store, &hana).case_file(at(9, 10), case).await.unwrap();
    assert_eq!(file.card.standing, Standing::Resolved(None));
    let lines: Vec<_> = file.events.iter().map(|event| event.kind).collect();
    assert_eq!(lines, [Opened, Claimed, TakenOver, Resolved]);
    assert_eq!(file.events[3].text, "desk: 本人と通話");
    assert_eq!(store.end_lapsed_claims(at(10, 30)).await.unwrap(), None, "the hold is over");
}

async fn the_tables_refuse_two_holders_and_lines_that_cannot_be(database: Database) {
    let district = District::new(&database).await;
    let hana = nurse(&district, "hana").await;
    let (_, case) = alarm(&district, 1).await;
    act(&district.store, &hana, case, 5, Deed::Claim).await;
    let line = |seq: u32, kind: &str, due: &str, of: &str, source: &str| {
        format!(
            "insert into case_event (case_id, seq, at, kind, text, due_at, of_seq, source_id) \
             values ('{case}', {seq}, 0, '{kind}', '', {due}, {of}, {source})"
        )
    };
    for (statement, rule) in [
        (
            format!("insert into case_claim values ('{case}', '{}', 1, 2)", hana.id),
            "case_claim_of_case",
        ),
        (
            format!("update case_claim set claim_until = claimed_at where case_id = '{case}'"),
            "case_claim_span",
        ),
        (
            format!("update escalation_case set outcome = 'watch' where id = '{case}'"),
            "case_outcome",
        ),
        (
            format!("update escalation_case set handed_over_at = 1 where id = '{case}'"),
            "case_handed_over",
        ),
        (line(1, "noted", "null", "null", "null"), "case_event_seq"),
        (line(0, "noted", "null", "null", "null"), "case_event_place"),
        (line(9, "closed", "null", "null", "null"), "case_event_kind"),
        (line(9, "promised", "null", "null", "null"), "case_event_due"),
        (line(9, "noted", "1", "null", "null"), "case_event_due"),
        (line(9, "kept", "null", "null", "null"), "case_event_of"),
        (line(9, "reported", "null", "null", "null"), "case_event_source"),
        (line(9, "kept", "null", "8", "null"), "foreign_key"),
    ] {
        assert_eq!(database.refusal(&statement).await, rule, "{statement}");
    }
}

async fn a_shift_tells_the_next_what_changed(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let hana = nurse(&district, "hana").await;
    let (_, open) = alarm(&district, 1).await;
    let (_, closed) = alarm(&district, 2).await;
    let word = || "家族が様子を見る".to_owned();
    act(store, &hana, open, 10, Deed::HandOver(word())).await;
    act(store, &hana, closed, 20, Deed::Resolve(Outcome::FamilyConfirmed, word())).await;
    let told = within(store, &hana).hand_over(at(9, 30), at(9, 15)).await.unwrap();
    assert_eq!(told.open.len(), 1);
    assert_eq!((told.open[0].view.case.id, told.open[0].standing), (open, Standing::HandedOver));
    assert_eq!(told.resolved.len(), 1);
    assert_eq!((told.resolved[0].case.id, told.resolved[0].case.facts.len()), (closed, 1));
    let lines: Vec<_> = told.events.iter().map(|(case, _, line)| (*case, line.kind)).collect();
    assert_eq!(lines, [(closed, Resolved)]);
    let all = within(store, &hana).hand_over(at(9, 30), at(0, 0)).await.unwrap();
    assert_eq!(all.events.len(), 4);
}
