//! Attempts on their way, their answers, and what a crash leaves of them.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::time::Duration;

use mimamori::base::id::AttemptId;
use mimamori::call::{Completion, Disposition, Respondent, Timeline};
use mimamori::campaign::{AttemptState, Book, SlotState};
use mimamori::ivr::{Answer, Entry, YesNo};
use mimamori::store::{Outcome, Store};

use crate::store::{DAY, Database, District, FORM, at, claimant, claims, entry, is_stale, outcome};

claims! {
    an_attempt_goes_its_way_once
    an_answer_is_stored_once_and_never_lost
    a_lost_lease_closes_the_attempt_for_good
    what_a_crash_left_is_never_dialled_again
}

async fn an_attempt_goes_its_way_once(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, slot, attempt) = district.due(1).await;
    let done = outcome(Disposition::Answered, SlotState::Reported);
    assert!(is_stale(store.attempt_ringing(at(9, 0), attempt).await));
    assert!(is_stale(store.attempt_answered(at(9, 0), attempt).await));
    assert!(is_stale(store.finish_attempt(at(9, 0), attempt, &done).await));

    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    store.attempt_ringing(at(9, 0), attempt).await.unwrap();
    store.attempt_answered(at(9, 1), attempt).await.unwrap();
    assert!(is_stale(store.attempt_answered(at(9, 2), attempt).await));
    let live = store.calls_in_progress().await.unwrap();
    assert_eq!((live[0].state, live[0].answered_at), (AttemptState::Talking, Some(at(9, 1))));

    let nowhere = Outcome { slot_after: SlotState::InProgress, ..done.clone() };
    assert!(store.finish_attempt(at(9, 5), attempt, &nowhere).await.is_err());
    store.finish_attempt(at(9, 5), attempt, &done).await.unwrap();
    // Told again, it changes nothing; told otherwise, it is refused.
    store.finish_attempt(at(9, 6), attempt, &done).await.unwrap();
    let otherwise = Outcome { completion: Some(Completion::Partial), ..done };
    assert!(is_stale(store.finish_attempt(at(9, 6), attempt, &otherwise).await));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);

    let attempts = store.attempts_of_day(DAY).await.unwrap();
    let stored = &attempts[0].attempt;
    assert_eq!(stored.state, AttemptState::Done);
    assert_eq!(stored.disposition, Some(Disposition::Answered));
    assert_eq!(stored.respondent, Some(Respondent::Patient));
    assert_eq!(stored.completion, Some(Completion::Complete));
    assert_eq!((stored.answered_at, stored.ended_at), (Some(at(9, 1)), Some(at(9, 5))));
}

async fn an_answer_is_stored_once_and_never_lost(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, attempt) = district.due(1).await;
    let record = |entry: Entry| async move {
        store.record_answer(at(9, 3), attempt, &entry, Respondent::Patient, FORM).await
    };
    let first = entry(0, "temperature", Answer::Number(375));
    assert!(is_stale(record(first.clone()).await), "nobody was called");
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);

    let all = [
        first.clone(),
        entry(1, "spo2", Answer::NotMeasured),
        entry(2, "dyspnea", Answer::Choice(YesNo::Unknown)),
        Entry { keys: String::new(), ..entry(3, "cough", Answer::Unanswered) },
    ];
    for entry in &all {
        record(entry.clone()).await.unwrap();
        record(entry.clone()).await.unwrap();
    }
    let other = Entry { answer: Answer::Number(385), ..first };
    let refused = record(other).await.unwrap_err();
    assert_eq!(refused.to_string(), "against the rule answer_of_attempt");
    assert_eq!(store.transcript(attempt).await.unwrap(), all);

    // The patient did say it, whatever became of the attempt.
    let over = outcome(Disposition::Answered, SlotState::Partial);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    record(entry(4, "fatigue", Answer::Choice(YesNo::Yes))).await.unwrap();
    assert_eq!(store.transcript(attempt).await.unwrap().len(), 5);
    let nobody = store.mint::<AttemptId>(at(9, 0));
    let lost = store.record_answer(at(9, 3), nobody, &all[0], Respondent::Patient, FORM).await;
    assert!(is_stale(lost));
}

async fn a_lost_lease_closes_the_attempt_for_good(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, slot, attempt) = district.due(1).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    store.extend_lease(at(9, 0), attempt, Duration::from_mins(3)).await.unwrap();
    assert!(store.rescue_expired(at(9, 2)).await.unwrap().is_empty());
    let rescued = store.rescue_expired(at(9, 3)).await.unwrap();
    assert_eq!(rescued.len(), 1);
    assert_eq!(rescued[0].attempt.id, attempt);
    assert_eq!(rescued[0].attempt.disposition, Some(Disposition::Interrupted));
    assert_eq!((rescued[0].answered, rescued[0].slot_after), (false, SlotState::Due));
    assert!(store.rescue_expired(at(9, 3)).await.unwrap().is_empty());

    // Its owner wakes up too late.
    assert!(is_stale(store.extend_lease(at(9, 4), attempt, Duration::from_mins(1)).await));
    assert!(is_stale(store.attempt_answered(at(9, 4), attempt).await));
    let over = outcome(Disposition::Answered, SlotState::Reported);
    assert!(is_stale(store.finish_attempt(at(9, 4), attempt, &over).await));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Due);
    // The line was in use until then, and is left alone from then on.
    let earlier = Timeline { ended: Some(at(9, 2)), ..over.timeline };
    let earlier = Outcome { timeline: earlier, ..over };
    assert!(is_stale(store.finish_attempt(at(9, 6), attempt, &earlier).await));
    let in_use = store.phones_in_use(at(9, 7)).await.unwrap();
    assert_eq!(in_use.last_ended.into_values().collect::<Vec<_>>(), [at(9, 5)]);
}

async fn what_a_crash_left_is_never_dialled_again(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (_, _, silent) = district.talking(1).await;
    let (_, _, heard) = district.talking(2).await;
    district.answer(heard, &entry(0, "temperature", Answer::Number(375))).await;
    let (_, _, ringing) = district.due(3).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    let (_, _, elsewhere) = district.due(4).await;
    assert_eq!(store.claim_due(at(9, 0), &claimant("two"), 10).await.unwrap().len(), 1);
    store.close().await;

    let restarted = Store::open(&database.url, [9; 32]).await.unwrap();
    let rescued = restarted.rescue_at_start(at(9, 0), "one").await.unwrap();
    let mut rescued: Vec<_> = rescued
        .iter()
        .map(|it| (it.attempt.id, it.answered, it.slot_after, it.attempt.completion))
        .collect();
    rescued.sort_by_key(|it| it.0);
    let mut expected = [
        (silent, true, SlotState::Unreached, Some(Completion::SystemError)),
        (heard, true, SlotState::Partial, Some(Completion::Partial)),
        (ringing, false, SlotState::Due, None),
    ];
    expected.sort_by_key(|it| it.0);
    assert_eq!(rescued, expected);
    let live = restarted.calls_in_progress().await.unwrap();
    assert_eq!((live.len(), live[0].attempt), (1, elsewhere), "the other node lives on");
    assert!(restarted.claim_due(at(9, 0), &claimant("one"), 10).await.unwrap().is_empty());
    let slots = restarted.slots_to_plan(at(9, 0), &Book::default(), 10).await.unwrap();
    assert_eq!(slots.len(), 1, "the one that only rang");
    assert_eq!(slots[0].attempts[0].disposition, Some(Disposition::Interrupted));
}
