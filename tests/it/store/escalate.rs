//! Facts, cases and the alarms that leave.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::slice;
use std::time::Duration;

use mimamori::base::id::CaseId;
use mimamori::call::Disposition;
use mimamori::campaign::SlotState;
use mimamori::escalation::case::FactSource;
use mimamori::escalation::{CaseState, Fact, Priority};
use mimamori::ivr::Answer;
use mimamori::store::{CaseChange, CaseFilter, Evaluated, MessageKind, StoreError};

use crate::store::{Database, District, at, claims, entry, is_stale, observation, outcome};

claims! {
    facts_open_one_case_and_raise_it
    what_was_resolved_does_not_come_back
    a_case_passes_through_hands_once
    an_alarm_is_sent_until_it_is_taken
}

async fn facts_open_one_case_and_raise_it(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, slot, attempt) = district.talking(1).await;
    district.answer(attempt, &entry(0, "temperature", Answer::Number(375))).await;
    let derived = observation(store, patient, (attempt, 0));
    store.save_observations(at(9, 3), &[(attempt, 0)], slice::from_ref(&derived)).await.unwrap();
    let over = outcome(Disposition::Answered, SlotState::Partial);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();

    assert_eq!(store.observations_to_evaluate(10).await.unwrap(), slice::from_ref(&derived));
    let attempts = store.attempts_to_evaluate(10).await.unwrap();
    assert_eq!((attempts.len(), attempts[0].0, attempts[0].1.id), (1, patient, attempt));
    assert_eq!(store.slots_to_evaluate(10).await.unwrap()[0].id, slot);

    let add = |facts: Vec<Fact>, evaluated: Evaluated| async move {
        store.add_facts(at(9, 6), patient, &facts, &evaluated).await.unwrap()
    };
    let recorded = District::fact("fine", Priority::P0, attempt, 0);
    let seen = Evaluated { observations: vec![derived.id], ..Evaluated::default() };
    assert_eq!(add(vec![recorded.clone()], seen).await, CaseChange::Unchanged);
    assert!(store.observations_to_evaluate(10).await.unwrap().is_empty());

    let fever = District::fact("fever", Priority::P3, attempt, 0);
    let seen = Evaluated { attempts: vec![attempt], slots: vec![slot], ..Evaluated::default() };
    let CaseChange::Opened(case) = add(vec![fever.clone(), fever.clone()], seen).await else {
        panic!("a case was to be opened")
    };
    assert!(store.attempts_to_evaluate(10).await.unwrap().is_empty());
    assert!(store.slots_to_evaluate(10).await.unwrap().is_empty());
    let none = Evaluated::default;
    assert_eq!(add(vec![fever.clone()], none()).await, CaseChange::Unchanged);
    let partial = Fact { source: FactSource::Slot(slot), ..fever.clone() };
    assert_eq!(add(vec![partial.clone(), recorded.clone()], none()).await, CaseChange::Added(case));
    let grave =
        Fact { source: FactSource::Attempt(attempt), priority: Priority::P1, ..fever.clone() };
    assert_eq!(add(vec![grave.clone()], none()).await, CaseChange::Raised(case));
    let web = FactSource::Observation(derived.id);
    let milder = Fact { source: web, priority: Priority::P2, ..fever.clone() };
    assert_eq!(add(vec![milder.clone()], none()).await, CaseChange::Added(case));

    let view = store.case(case).await.unwrap();
    assert_eq!(view.case.facts, [fever, partial, recorded, grave, milder]);
    assert_eq!((view.case.priority, view.case.state), (Priority::P1, CaseState::Open));
    assert_eq!((view.case.patient, view.patient.id), (patient, patient));
    assert_eq!(view.health_center, district.center);
}

async fn what_was_resolved_does_not_come_back(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _, attempt) = district.talking(1).await;
    let low = District::fact("spo2-low", Priority::P1, attempt, 1);
    let facts = slice::from_ref(&low);
    let seen = Evaluated::default();
    let opened = store.add_facts(at(9, 3), patient, facts, &seen).await.unwrap();
    let case = opened.case().unwrap();
    store.resolve_case(at(9, 10), case, "nurse", "本人と通話").await.unwrap();
    let again = store.add_facts(at(9, 20), patient, facts, &seen).await.unwrap();
    assert_eq!(again, CaseChange::Unchanged);
    let lower = District::fact("spo2-low", Priority::P1, attempt, 2);
    let new = store.add_facts(at(9, 30), patient, &[lower], &seen).await.unwrap();
    assert!(matches!(new, CaseChange::Opened(other) if other != case));
}

async fn a_case_passes_through_hands_once(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let mut cases: Vec<CaseId> = Vec::new();
    for (n, priority) in [(1, Priority::P3), (2, Priority::P1), (3, Priority::P2)] {
        let (patient, _, attempt) = district.talking(n).await;
        let fact = District::fact("rule", priority, attempt, 0);
        let change = store.add_facts(at(9, 3), patient, &[fact], &Evaluated::default()).await;
        cases.push(change.unwrap().case().unwrap());
    }
    let list = |filter| async move {
        let views = store.cases(filter).await.unwrap();
        views.iter().map(|view| view.case.id).collect::<Vec<_>>()
    };
    let [mild, grave, middle] = cases[..] else { unreachable!() };
    assert_eq!(list(CaseFilter::Unresolved).await, [grave, middle, mild]);

    store.acknowledge_case(at(9, 5), grave, "nurse").await.unwrap();
    assert!(is_stale(store.acknowledge_case(at(9, 6), grave, "other").await));
    store.resolve_case(at(9, 7), grave, "nurse", "救急要請").await.unwrap();
    assert!(is_stale(store.resolve_case(at(9, 8), grave, "other", "二重").await));
    assert!(is_stale(store.acknowledge_case(at(9, 8), grave, "other").await));
    let view = store.case(grave).await.unwrap();
    assert_eq!(view.case.state, CaseState::Resolved);
    assert_eq!(view.acknowledged, Some(("nurse".to_owned(), at(9, 5))));
    assert_eq!(view.resolved, Some(("nurse".to_owned(), at(9, 7), "救急要請".to_owned())));

    assert_eq!(list(CaseFilter::Unresolved).await, [middle, mild]);
    assert_eq!(list(CaseFilter::HealthCenter(district.center.id)).await, [middle, mild]);
    assert!(list(CaseFilter::HealthCenter(store.mint(at(0, 0)))).await.is_empty());
    assert_eq!(list(CaseFilter::All).await, [grave, middle, mild]);
    assert_eq!(list(CaseFilter::Patient(view.patient.id)).await, [grave]);
    let nothing: CaseId = store.mint(at(0, 0));
    assert!(matches!(store.case(nothing).await, Err(StoreError::NotFound { what: "case" })));
    let refused = store.resolve_case(at(9, 8), nothing, "nurse", "").await;
    assert!(matches!(refused, Err(StoreError::NotFound { what: "case" })));
}

async fn an_alarm_is_sent_until_it_is_taken(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let seen = Evaluated::default();
    let lease = Duration::from_mins(1);
    let (mild, _, attempt) = district.talking(1).await;
    let fact = District::fact("fever", Priority::P3, attempt, 0);
    store.add_facts(at(9, 3), mild, &[fact], &seen).await.unwrap();
    let worse = District::fact("spo2-low", Priority::P1, attempt, 1);
    store.add_facts(at(9, 4), mild, &[worse], &seen).await.unwrap();

    let kinds = |now, limit| async move {
        let messages = store.claim_messages(now, lease, limit).await.unwrap();
        messages.into_iter().map(|it| (it.kind, it.tries, it.case.case.facts.len(), it.id))
    };
    let claimed: Vec<_> = kinds(at(9, 5), 10).await.collect();
    let [(raised_kind, 0, 2, raised), (opened_kind, 0, 1, opened)] = claimed[..] else {
        panic!("{claimed:?}")
    };
    assert_eq!((raised_kind, opened_kind), (MessageKind::CaseRaised, MessageKind::CaseOpened));
    assert_eq!(kinds(at(9, 5), 10).await.count(), 0, "they are under way");

    store.message_delivered(at(9, 5), raised).await.unwrap();
    store.message_failed(at(9, 5), opened, at(9, 15), "503").await.unwrap();
    assert_eq!(kinds(at(9, 14), 10).await.count(), 0);
    let claimed: Vec<_> = kinds(at(9, 15), 10).await.collect();
    assert_eq!(claimed, [(MessageKind::CaseOpened, 1, 1, opened)], "the same content again");
    // Whoever claimed it died.
    assert_eq!(kinds(at(9, 15), 10).await.count(), 0);
    let claimed: Vec<_> = kinds(at(9, 16), 10).await.collect();
    assert_eq!(claimed, [(MessageKind::CaseOpened, 2, 1, opened)]);
    store.message_delivered(at(9, 17), opened).await.unwrap();
    store.message_failed(at(9, 17), opened, at(9, 18), "late").await.unwrap();
    assert_eq!(kinds(at(10, 0), 10).await.count(), 0, "taken is taken");
}
