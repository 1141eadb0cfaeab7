//! Answers as observations, corrections, and reports through other channels.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::slice;

use mimamori::call::{Completion, Disposition, Respondent};
use mimamori::campaign::{AttemptState, SlotState};
use mimamori::ivr::Answer;
use mimamori::observation::{Channel, Observation};
use mimamori::store::StoreError;

use crate::store::{
    DAY, Database, District, FORM, at, claims, entry, observation, outcome, web_report,
};

claims! {
    an_answer_becomes_one_observation
    a_correction_hides_what_it_corrects
    a_report_settles_the_open_slot
}

async fn an_answer_becomes_one_observation(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, slot, attempt) = district.talking(1).await;
    let given = entry(0, "temperature", Answer::Number(375));
    district.answer(attempt, &given).await;
    district.answer(attempt, &entry(1, "spo2", Answer::NotMeasured)).await;
    let answers = store.answers_to_observe(1).await.unwrap();
    assert_eq!(answers.len(), 1);
    let answer = &answers[0];
    assert_eq!((answer.attempt, answer.slot, answer.patient), (attempt, slot, patient));
    assert_eq!((&answer.entry, answer.respondent), (&given, Respondent::Patient));
    assert_eq!(answer.questionnaire, FORM);

    let derived = Observation { slot: Some(slot), ..observation(store, patient, (attempt, 0)) };
    for _ in 0..2 {
        let source = [(attempt, 0)];
        store.save_observations(at(9, 3), &source, slice::from_ref(&derived)).await.unwrap();
    }
    let again = Observation { id: store.mint(at(9, 4)), ..derived.clone() };
    store.save_observations(at(9, 4), &[(attempt, 0)], &[again]).await.unwrap();
    assert_eq!(store.history(patient, at(0, 0)).await.unwrap(), [derived]);
    let left = store.answers_to_observe(10).await.unwrap();
    assert_eq!((left.len(), left[0].entry.seq), (1, 1));

    // All or nothing: an observation of an answer that does not exist takes the mark with it.
    let wrong = observation(store, patient, (attempt, 9));
    let refused = store.save_observations(at(9, 4), &[(attempt, 1)], &[wrong]).await;
    assert_eq!(refused.unwrap_err().to_string(), "against the rule foreign_key");
    assert_eq!(store.answers_to_observe(10).await.unwrap().len(), 1);
}

async fn a_correction_hides_what_it_corrects(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let (patient, _) = district.admit(1).await;
    let report = web_report(at(8, 0), Completion::Complete);
    for _ in 0..2 {
        store.report(at(8, 0), patient.id, &report).await.unwrap();
    }
    let told = store.history(patient.id, at(0, 0)).await.unwrap();
    assert_eq!(told.len(), 2, "the form was sent twice");
    let wrong = told.iter().find(|it| it.code == "temperature").unwrap();
    let right = Observation {
        id: store.mint(at(8, 30)),
        value: Answer::Number(382),
        channel: Channel::Staff,
        supersedes: Some(wrong.id),
        ..wrong.clone()
    };
    store.save_observations(at(8, 30), &[], slice::from_ref(&right)).await.unwrap();
    let latest = store.latest_observations(DAY).await.unwrap();
    assert_eq!(latest.iter().find(|it| it.code == "temperature"), Some(&right));
    assert_eq!(latest.len(), 2);
    let between = |from, to| store.observations(patient.id, from, to);
    assert_eq!(between(at(8, 0), at(8, 1)).await.unwrap().len(), 2);
    assert_eq!(between(at(7, 0), at(8, 0)).await.unwrap().len(), 0);
    let second = Observation { id: store.mint(at(8, 31)), channel: Channel::Web, ..right };
    let second = Observation { effective_at: at(8, 2), ..second };
    let refused = store.save_observations(at(8, 31), &[], &[second]).await.unwrap_err();
    assert_eq!(refused.to_string(), "against the rule observation_corrected_once");
}

async fn a_report_settles_the_open_slot(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    // Before the first call.
    let (patient, slot, attempt) = district.due(1).await;
    let whole = web_report(at(9, 0), Completion::Complete);
    assert_eq!(store.report(at(9, 0), patient, &whole).await.unwrap(), Some(slot));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);
    assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
    assert_eq!(store.history(patient, at(0, 0)).await.unwrap()[0].slot, Some(slot));

    // While it rings: the call comes to its end, the slot stays reported.
    let (patient, slot, attempt) = district.due(2).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    let partial = web_report(at(9, 1), Completion::Partial);
    assert_eq!(store.report(at(9, 1), patient, &partial).await.unwrap(), Some(slot));
    assert_eq!(district.slot_state(slot).await.0, SlotState::InProgress);
    let whole = web_report(at(9, 2), Completion::Complete);
    assert_eq!(store.report(at(9, 2), patient, &whole).await.unwrap(), Some(slot));
    let over = outcome(Disposition::NoAnswer, SlotState::Due);
    store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);

    // After nobody was reached.
    let (patient, slot, _) = district.due(3).await;
    store.close_slot(at(9, 30), slot, SlotState::Unreached, None).await.unwrap();
    assert_eq!(store.report(at(14, 0), patient, &whole).await.unwrap(), Some(slot));
    assert_eq!(district.slot_state(slot).await.0, SlotState::Reported);
    assert_eq!(store.report(at(15, 0), patient, &whole).await.unwrap(), None);

    let nobody = store.mint(at(9, 0));
    let refused = store.report(at(9, 0), nobody, &whole).await;
    assert!(matches!(refused, Err(StoreError::NotFound { what: "patient" })));
}
