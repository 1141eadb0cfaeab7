//! What people look at: the list of health, the day, and what wakes them.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::time::Duration;

use jiff::SignedDuration;
use jiff::civil::date;
use mimamori::call::{Completion, Disposition};
use mimamori::campaign::{AttemptState, SlotState};
use mimamori::escalation::{CaseState, Priority};
use mimamori::ivr::Answer;
use mimamori::observation::{Channel, Observation};
use mimamori::store::{DayReport, Evaluated, Outcome, Topic};

use crate::store::{
    DAY, Database, District, at, claims, entry, number, observation, outcome, web_report,
};

claims! {
    the_health_list_shows_who_is_silent
    the_day_is_counted
    a_change_wakes_who_waits
}

async fn the_health_list_shows_who_is_silent(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (silent, _, _) = district.due(1).await;
    let (web, slot, _) = district.due(2).await;
    let whole = web_report(at(9, 1), Completion::Complete);
    assert_eq!(store.report(at(9, 1), web, &whole).await.unwrap(), Some(slot));
    store.close_slot(at(9, 30), district.due(3).await.1, SlotState::Unreached, None).await.unwrap();
    let (yesterday, _) = district.admit(4).await;
    let before = at(9, 0) - SignedDuration::from_hours(24);
    let told = web_report(before, Completion::Complete);
    store.report(before, yesterday.id, &told).await.unwrap();
    let (grave, slot, attempt) = {
        let (_, episode) = district.admit(5).await;
        let slot = district.slot(&episode).await;
        let attempt = district.attempt(slot, 1, number(5)).await;
        let claims = district.claim(at(9, 0)).await;
        assert_eq!(claims.len(), 2, "the first patient, too");
        (episode.patient, slot, attempt)
    };
    district.answer(attempt, &entry(0, "spo2", Answer::Number(91))).await;
    let low = Observation {
        code: "spo2".to_owned(),
        slot: Some(slot),
        value: Answer::Number(91),
        ..observation(store, grave, (attempt, 0))
    };
    let unheard = Observation {
        id: store.mint(at(9, 3)),
        code: "cough".to_owned(),
        value: Answer::Unanswered,
        effective_at: at(9, 9),
        ..low.clone()
    };
    store.save_observations(at(9, 3), &[(attempt, 0)], &[low.clone(), unheard]).await.unwrap();
    let fact = District::fact("spo2-low", Priority::P1, attempt, 0);
    let seen = Evaluated::default();
    let case = store.add_facts(at(9, 3), grave, &[fact], &seen).await.unwrap().case().unwrap();

    let list = store.health_list(DAY).await.unwrap();
    let order: Vec<_> = list.iter().map(|row| row.patient.registration_number.as_str()).collect();
    assert_eq!(order, ["A0005", "A0001", "A0003", "A0004", "A0002"]);
    assert_eq!(list[0].case, Some((case, Priority::P1, CaseState::Open)));
    let channel = Channel::OutboundCall;
    assert_eq!(list[0].report, DayReport::Partial { at: at(9, 2), channel });
    assert_eq!(list[0].latest.len(), 2);
    assert_eq!(list[0].attempts, 1);
    assert_eq!((list[1].patient.id, list[1].report), (silent, DayReport::NotReported));
    assert_eq!(list[2].report, DayReport::NotReported);
    assert_eq!(list[2].slots[0].state, SlotState::Unreached);
    assert_eq!(list[3].report, DayReport::NotReported, "yesterday is not today");
    assert_eq!(list[3].latest.len(), 2);
    assert_eq!(list[4].report, DayReport::Reported { at: at(9, 1), channel: Channel::Web });
    assert_eq!(list[4].health_center, district.center);

    let day_before = store.health_list(DAY.yesterday().unwrap()).await.unwrap();
    let row = day_before.iter().find(|row| row.patient.id == yesterday.id).unwrap();
    assert_eq!(row.report, DayReport::Reported { at: before, channel: Channel::Web });
    assert!(store.health_list(date(2027, 6, 1)).await.unwrap().is_empty());
}

async fn the_day_is_counted(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, attempt) = district.talking(1).await;
    district.answer(attempt, &entry(0, "temperature", Answer::Number(365))).await;
    let live = store.calls_in_progress().await.unwrap();
    assert_eq!((live[0].answers, live[0].last_question.as_deref()), (1, Some("temperature")));
    let over = outcome(Disposition::Answered, SlotState::Reported);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    let (_, _, busy) = district.talking(2).await;
    let over = Outcome { completion: None, ..outcome(Disposition::Busy, SlotState::Due) };
    store.finish_attempt(at(9, 5), busy, &over).await.unwrap();
    let (_, _, waiting) = district.due(3).await;

    let funnel = store.funnel(DAY).await.unwrap();
    assert_eq!(funnel.slots, [(SlotState::Due, 2), (SlotState::Reported, 1)]);
    assert_eq!(funnel.attempts, [(AttemptState::Due, 1), (AttemptState::Done, 2)]);
    assert_eq!(funnel.dispositions, [(Disposition::Answered, 1), (Disposition::Busy, 1)]);
    assert_eq!(funnel.completions, [(Completion::Complete, 1)]);
    assert_eq!(store.funnel(DAY.tomorrow().unwrap()).await.unwrap().slots, []);

    let attempts = store.attempts_of_day(DAY).await.unwrap();
    let shown: Vec<_> = attempts.iter().map(|it| (it.attempt.id, it.answers)).collect();
    assert_eq!(shown.len(), 3);
    for expected in [(attempt, 1), (busy, 0), (waiting, 0)] {
        assert!(shown.contains(&expected), "{shown:?}");
    }
    assert!(attempts.iter().all(|it| it.patient.phones[0].number == it.attempt.phone));
}

async fn a_change_wakes_who_waits(database: Database) {
    let district = District::new(&database).await;
    let mut changes = district.store.clone().changes(&Topic::ALL);
    changes.mark_unchanged();
    let (_, _, attempt) = district.due(1).await;
    assert!(changes.has_changed());
    changes.mark_unchanged();
    district.store.health_list(DAY).await.unwrap();
    district.store.rescue_expired(at(9, 0)).await.unwrap();
    assert!(!changes.has_changed(), "nothing was changed");
    district.claim(at(9, 0)).await;
    assert!(changes.has_changed());
    changes.mark_unchanged();
    district.store.extend_lease(at(9, 1), attempt, Duration::from_mins(1)).await.unwrap();
    assert!(!changes.has_changed(), "nobody waits for a heartbeat");
    district.store.ping().await.unwrap();
}
