//! Slots and the attempts that are planned for them.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use jiff::ToSpan;
use jiff::civil::Date;
use mimamori::base::clock::civil;
use mimamori::call::Disposition;
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{AttemptState, Book, NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::ivr::Answer;
use mimamori::registry::Episode;

use crate::store::{DAY, Database, District, at, claims, entry, is_stale, number, outcome};

claims! {
    a_day_has_its_slots_once
    a_day_that_is_planned_is_known_to_the_planner
    only_open_slots_wait_for_a_plan
    a_slot_has_one_attempt_at_a_time
    a_settled_slot_wants_no_call
    a_closed_window_settles_the_slot_by_what_was_reached
}

fn planned(episode: &Episode, date: Date, number: u8, hour: i8) -> NewSlot {
    NewSlot {
        episode: episode.id,
        patient: episode.patient,
        date,
        number,
        due_from: at(hour, 0),
        due_to: at(hour + 2, 0),
        kind: SlotKind::Planned,
        campaign: None,
        rest: None,
    }
}

/// Of a database that keeps account of what is in its tables.
async fn a_day_that_is_planned_is_known_to_the_planner(database: Database) {
    if database.is_sqlite() {
        return;
    }
    let district = District::new(&database).await;
    let (_, episode) = district.admit(1).await;
    let slots: Vec<_> = DAY
        .series(1.day())
        .take(25)
        .flat_map(|date| (1..=40).map(move |number| (date, number)))
        .map(|(date, number)| planned(&episode, date, number, 9))
        .collect();
    assert_eq!(district.store.open_slots(at(0, 0), &slots).await.unwrap(), 1_000);
    let is_counted = "select 1 / count(*) from pg_stats where tablename = 'slot' \
        and attname = 'date' and n_distinct <> 0";
    database.execute(is_counted).await;
}

async fn a_day_has_its_slots_once(database: Database) {
    let district = District::new(&database).await;
    let (_, episode) = district.admit(1).await;
    let slots = [(1, 9), (2, 15)].map(|(number, hour)| planned(&episode, DAY, number, hour));
    assert_eq!(district.store.open_slots(at(0, 0), &slots).await.unwrap(), 2);
    assert_eq!(district.store.open_slots(at(1, 0), &slots).await.unwrap(), 0);
    let list = district.store.health_list(DAY).await.unwrap();
    let stored: Vec<_> = list[0].slots.iter().map(|slot| (slot.number, slot.due_from)).collect();
    assert_eq!(stored, [(1, at(9, 0)), (2, at(15, 0))]);
}

async fn only_open_slots_wait_for_a_plan(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    for (now, waiting) in [(at(8, 59), 0), (at(9, 0), 1), (at(11, 59), 1), (at(12, 0), 0)] {
        let slots = district.store.slots_to_plan(now, &Book::default(), 10).await.unwrap();
        assert_eq!(slots.len(), waiting, "{}", civil(now));
    }
    let attempt = district.attempt(slot, 1, number(1)).await;
    assert!(district.store.slots_to_plan(at(9, 0), &Book::default(), 10).await.unwrap().is_empty());
    assert_eq!(district.store.next_due().await.unwrap(), Some(at(9, 0)));

    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    assert!(district.store.slots_to_plan(at(9, 0), &Book::default(), 10).await.unwrap().is_empty());
    let busy = outcome(Disposition::Busy, SlotState::Due);
    district.store.finish_attempt(at(9, 5), attempt, &busy).await.unwrap();
    let slots = district.store.slots_to_plan(at(9, 6), &Book::default(), 10).await.unwrap();
    assert_eq!(slots.len(), 1);
    assert_eq!((slots[0].slot.id, slots[0].slot.state), (slot, SlotState::Due));
    assert_eq!(slots[0].patient, patient);
    assert_eq!(slots[0].health_center, district.center);
    let history = &slots[0].attempts;
    assert_eq!(history.len(), 1);
    assert_eq!(history[0].disposition, Some(Disposition::Busy));
    assert_eq!((history[0].dialed_at, history[0].ended_at), (Some(at(9, 0)), Some(at(9, 5))));
    assert_eq!(district.store.slots_to_plan(at(9, 6), &Book::default(), 0).await.unwrap().len(), 0);
}

async fn a_slot_has_one_attempt_at_a_time(database: Database) {
    let district = District::new(&database).await;
    let (_, slot, attempt) = district.due(1).await;
    let second = PlannedAttempt {
        slot,
        number: 2,
        phone: number(2),
        due_at: at(9, 30),
        campaign: None,
        priority: Precedence::First,
    };
    assert_eq!(district.store.add_attempt(at(9, 0), &second).await.unwrap(), None);
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    assert_eq!(district.store.add_attempt(at(9, 0), &second).await.unwrap(), None);
    let busy = outcome(Disposition::Busy, SlotState::Due);
    district.store.finish_attempt(at(9, 5), attempt, &busy).await.unwrap();
    let same_number = PlannedAttempt { number: 1, ..second.clone() };
    assert_eq!(district.store.add_attempt(at(9, 6), &same_number).await.unwrap(), None);
    assert!(district.store.add_attempt(at(9, 6), &second).await.unwrap().is_some());
}

async fn a_settled_slot_wants_no_call(database: Database) {
    let district = District::new(&database).await;
    let (_, slot, attempt) = district.due(1).await;
    let store = &district.store;
    let close = |state| store.close_slot(at(9, 0), slot, state, Some("入院"));
    close(SlotState::Skipped).await.unwrap();
    assert!(is_stale(close(SlotState::Unreached).await));
    let state = district.slot_state(slot).await;
    assert_eq!(state, (SlotState::Skipped, Some("入院".to_owned())));
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert!(district.claim(at(9, 0)).await.is_empty());
    assert_eq!(store.next_due().await.unwrap(), None);
}

async fn a_closed_window_settles_the_slot_by_what_was_reached(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let mut slots = Vec::new();
    for (n, answers) in [(1, 0), (2, 2)] {
        let (_, slot, attempt) = district.due(n).await;
        assert_eq!(district.claim(at(9, 0)).await.len(), 1);
        let answer = [Answer::Unanswered, Answer::Number(365)];
        for seq in 0..answers {
            district.answer(attempt, &entry(seq, "temperature", answer[seq as usize])).await;
        }
        let over = outcome(Disposition::Answered, SlotState::Due);
        store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
        slots.push(slot);
    }
    let (_, under_way, _) = district.due(3).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    let (_, never_called, waiting) = district.due(4).await;

    assert!(store.expire_slots(at(11, 59)).await.unwrap().is_empty());
    assert_eq!(store.expire_slots(at(12, 0)).await.unwrap().len(), 3);
    for (slot, state) in [
        (slots[0], SlotState::Unreached),
        (slots[1], SlotState::Partial),
        (under_way, SlotState::InProgress),
        (never_called, SlotState::Expired),
    ] {
        assert_eq!(district.slot_state(slot).await.0, state);
    }
    assert_eq!(district.attempt_state(waiting).await, AttemptState::Dropped);
    assert_eq!(store.slots_to_evaluate(10).await.unwrap().len(), 3);
}
