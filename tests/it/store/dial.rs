//! The claim of due attempts: who is called, when, and by whom.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use jiff::civil::time;
use jiff::{SignedDuration, Timestamp};
use mimamori::base::clock::civil;
use mimamori::base::id::{PatientId, SlotId};
use mimamori::base::{Clock, Now};
use mimamori::call::{Completion, Disposition};
use mimamori::campaign::{AttemptState, NewSlot, SlotKind, SlotState};
use mimamori::escalation::Priority;
use mimamori::ivr::Answer;
use mimamori::observation::Channel;
use mimamori::registry::{Actor, AuditEntry, Episode};
use mimamori::store::{Claim, DatabaseTime, Dialing, Evaluated, Report, Store};
use mimamori::worker::clock_ahead;

use crate::store::{
    DAY, Database, District, at, claimant, claims, entry, number, outcome, web_report,
};

claims! {
    a_claim_brings_all_that_the_call_needs
    nobody_is_called_outside_the_hours
    a_number_that_is_on_the_line_is_not_called
    who_reported_otherwise_is_not_called
    an_unreadable_row_does_not_stop_the_others
    two_claimers_never_get_the_same_attempt
    the_claim_walks_along_an_index
    a_clock_that_disagrees_is_found_out
    a_value_is_measured_again_unless_it_was_reported_meanwhile
    a_recall_is_made_while_the_case_is_open
    what_follows_is_opened_once
}

async fn a_claim_brings_all_that_the_call_needs(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    let first = district.attempt(slot, 1, number(1)).await;
    assert_eq!(district.claim(at(9, 0)).await[0].answered, []);
    let given = entry(0, "temperature", Answer::Number(375));
    district.answer(first, &given).await;
    let dropped = outcome(Disposition::Answered, SlotState::Due);
    district.store.finish_attempt(at(9, 5), first, &dropped).await.unwrap();

    let second = district.attempt(slot, 2, number(2)).await;
    let claims = district.claim(at(9, 20)).await;
    let [claim] = &claims[..] else { panic!("{} claims", claims.len()) };
    assert_eq!((claim.attempt.id, claim.attempt.number), (second, 2));
    assert_eq!(claim.attempt.state, AttemptState::Dialing);
    assert_eq!(claim.attempt.dialed_at, Some(at(9, 20)));
    assert_eq!(claim.attempt.phone, number(2));
    assert_eq!((claim.slot.id, claim.slot.state), (slot, SlotState::InProgress));
    assert_eq!(claim.patient, patient);
    assert_eq!(claim.episode, episode);
    assert_eq!(claim.health_center, district.center);
    assert_eq!(claim.answered, [given]);
    assert!(district.claim(at(9, 20)).await.is_empty());
    let live = district.store.calls_in_progress().await.unwrap();
    assert_eq!((live.len(), live[0].attempt, live[0].state), (1, second, AttemptState::Dialing));
}

async fn nobody_is_called_outside_the_hours(database: Database) {
    let district = District::new(&database).await;
    let mut center = district.center.clone();
    for (n, opens, closes, due, now, claimed) in [
        // The centre's own hours, to the second.
        (1, (8, 30), (18, 0), (8, 0), at(8, 29), 0),
        (2, (8, 30), (18, 0), (8, 0), at(8, 30), 1),
        (3, (8, 30), (18, 0), (8, 0), at(18, 0) - SignedDuration::from_millis(1), 1),
        (4, (8, 30), (18, 0), (8, 0), at(18, 0), 0),
        // The hard limit stands above them.
        (5, (6, 0), (23, 0), (6, 0), at(7, 59), 0),
        (6, (6, 0), (23, 0), (6, 0), at(8, 0), 1),
        (7, (6, 0), (23, 0), (6, 0), at(19, 59), 1),
        (8, (6, 0), (23, 0), (6, 0), at(20, 0), 0),
        // The slot's window.
        (9, (8, 30), (18, 0), (10, 0), at(9, 59), 0),
    ] {
        center.opens_at = time(opens.0, opens.1, 0, 0);
        center.closes_at = time(closes.0, closes.1, 0, 0);
        district.store.save_health_center(at(0, 0), &center).await.unwrap();
        let (_, episode) = district.admit(n).await;
        let slot = district.slot_between(&episode, 1, at(due.0, due.1), at(22, 0)).await;
        let attempt = district.attempt_at(slot, 1, number(n), at(6, 0)).await;
        let claims = district.claim(now).await;
        assert_eq!(claims.len(), claimed, "{n} at {}", civil(now));
        if claimed == 0 {
            district.store.close_slot(now, slot, SlotState::Skipped, None).await.unwrap();
        } else {
            let over = outcome(Disposition::NoAnswer, SlotState::Unreached);
            district.store.finish_attempt(now, attempt, &over).await.unwrap();
        }
    }
}

async fn a_number_that_is_on_the_line_is_not_called(database: Database) {
    let district = District::new(&database).await;
    // A couple with one telephone, and a man with two slots.
    let (_, slot, husband) = district.due(1).await;
    let (_, wife_episode) = district.admit(2).await;
    let wife_slot = district.slot(&wife_episode).await;
    let wife = district.attempt_at(wife_slot, 1, number(1), at(9, 1)).await;
    let (_, episode) = district.admit(3).await;
    let early = district.slot_between(&episode, 1, at(9, 0), at(12, 0)).await;
    let late = district.slot_between(&episode, 2, at(9, 0), at(15, 0)).await;
    let early = district.attempt_at(early, 1, number(3), at(9, 2)).await;
    let late = district.attempt_at(late, 1, number(500_003), at(9, 3)).await;

    let claimed = |claims: Vec<Claim>| claims.iter().map(|it| it.attempt.id).collect::<Vec<_>>();
    assert_eq!(claimed(district.claim(at(9, 4)).await), [husband, early]);
    assert_eq!(claimed(district.claim(at(9, 4)).await), []);
    let over = outcome(Disposition::NoAnswer, SlotState::Due);
    district.store.finish_attempt(at(9, 5), husband, &over).await.unwrap();
    district.store.finish_attempt(at(9, 5), early, &over).await.unwrap();
    // The other number is free; the one just called is left alone for three minutes.
    assert_eq!(claimed(district.claim(at(9, 5)).await), [late]);
    let in_use = district.store.phones_in_use(at(9, 5)).await.unwrap();
    assert_eq!(in_use.busy, HashSet::from([number(1), number(500_003)]));
    assert_eq!(in_use.last_ended, HashMap::from([(number(1), at(9, 5)), (number(3), at(9, 5))]));
    let a_moment = SignedDuration::from_millis(1);
    assert_eq!(claimed(district.claim(at(9, 8) - a_moment).await), []);
    assert_eq!(claimed(district.claim(at(9, 8)).await), [wife]);
    assert!(district.store.phones_in_use(at(9, 8)).await.unwrap().last_ended.is_empty());
    assert_eq!(district.slot_state(slot).await.0, SlotState::Due);
}

async fn who_reported_otherwise_is_not_called(database: Database) {
    let district = District::new(&database).await;
    for (n, channel, reported_at, expected) in [
        (1, Channel::Web, at(8, 12), Some("Web入力済 08:12")),
        (2, Channel::InboundCall, at(6, 30), Some("折返し電話で報告済 06:30")),
        (3, Channel::Staff, at(8, 59), Some("職員入力済 08:59")),
        // Three hours and a minute ago.
        (4, Channel::Web, at(5, 59), None),
    ] {
        let (patient, slot, attempt) = district.due(n).await;
        let report = Report { channel, ..web_report(reported_at, Completion::Complete) };
        let settled = district.store.report(reported_at, patient, &report).await.unwrap();
        assert_eq!(settled, None, "the slot is not open yet");
        let claims = district.claim(at(9, 0)).await;
        let (state, reason) = district.slot_state(slot).await;
        match expected {
            Some(text) => {
                assert!(claims.is_empty());
                assert_eq!((state, reason.as_deref()), (SlotState::Skipped, Some(text)));
                assert_eq!(district.attempt_state(attempt).await, AttemptState::Dropped);
            }
            None => assert_eq!((claims.len(), state), (1, SlotState::InProgress)),
        }
    }
}

async fn an_unreadable_row_does_not_stop_the_others(database: Database) {
    let district = District::new(&database).await;
    let (broken, slot, _) = district.due(1).await;
    let (_, _, sound) = district.due(2).await;
    database.execute(&format!("update patient set risks = 'x' where id = '{broken}'")).await;
    let claims = district.claim(at(9, 0)).await;
    assert_eq!(claims.len(), 1);
    assert_eq!(claims[0].attempt.id, sound);
    database.execute(&format!("update patient set risks = '' where id = '{broken}'")).await;
    let (state, reason) = district.slot_state(slot).await;
    assert_eq!(state, SlotState::Unreached);
    assert_eq!(reason.as_deref(), Some("patient.risks を読めません"));
}

async fn two_claimers_never_get_the_same_attempt(database: Database) {
    let district = District::new(&database).await;
    // Thirty attempts to twenty numbers: ten numbers are wanted twice.
    for n in 0..30 {
        let (_, episode) = district.admit(n).await;
        let slot = district.slot(&episode).await;
        district.attempt(slot, 1, number(n % 20)).await;
    }
    // Two processes, several workers in each.
    let other = Store::open(&database.url, [8; 32]).await.unwrap();
    let workers: Vec<_> = (0..8)
        .map(|n| {
            let store = if n % 2 == 0 { district.store.clone() } else { other.clone() };
            tokio::spawn(async move {
                let mut claimed = Vec::new();
                for _ in 0..8 {
                    let node = claimant(&format!("node{n}"));
                    claimed.extend(store.claim_due(at(9, 0), &node, 2).await.unwrap());
                }
                claimed
            })
        })
        .collect();
    let mut claims = Vec::new();
    for worker in workers {
        claims.extend(worker.await.unwrap());
    }
    let total = claims.len();
    claims.sort_by_key(|claim| claim.attempt.id);
    claims.dedup_by_key(|claim| claim.attempt.id);
    assert_eq!(claims.len(), total, "an attempt was claimed twice");
    claims.sort_by(|one, other| one.attempt.phone.cmp(&other.attempt.phone));
    claims.dedup_by(|one, other| one.attempt.phone == other.attempt.phone);
    assert_eq!(claims.len(), total, "a number was claimed twice");
    assert_eq!(total, 20, "every number was claimed");
    assert_eq!(district.store.calls_in_progress().await.unwrap().len(), 20);
}

async fn the_claim_walks_along_an_index(database: Database) {
    let district = District::new(&database).await;
    let (_, episode) = district.admit(1).await;
    // A year of a large district: one plan for few rows says nothing.
    let many = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 4000)";
    let (id, patient) = (episode.id, episode.patient);
    database
        .execute(&format!(
            "insert into slot (id, episode_id, patient_id, date, number, due_from, due_to, state, \
             created_at, settled_at) {many} select 's' || i, '{id}', '{patient}', 'd' || i, 1, i, \
             i + 1, case when i > 3900 then 'due' else 'reported' end, 0, \
             case when i > 3900 then null else i end from n; \
             insert into attempt (id, slot_id, patient_id, number, phone, due_at, state, \
             created_at, dialed_at, ended_at, disposition) {many} select 'a' || i, 's' || i, \
             '{patient}', 1, '+81' || i, i, case when i > 3900 then 'due' else 'done' end, 0, \
             case when i > 3900 then null else i end, case when i > 3900 then null else i end, \
             case when i > 3900 then null else 'busy' end from n; \
             analyze"
        ))
        .await;
    let lines = district.store.explain_claim(at(9, 0)).await.unwrap();
    let plan = lines.join("\n") + "\n";
    insta::assert_snapshot!(database.named("plan_of_claim"), database.walks(&lines));
    // Along what is due, attempts or slots, past the few calls that are under way.
    assert!(plan.contains("attempt_due") || plan.contains("slot_due"), "{plan}");
    assert!(plan.contains("attempt_live_"), "{plan}");
    for whole_table in
        ["Seq Scan on attempt", "Seq Scan on slot", "SCAN a\n", "SCAN l\n", "SCAN s\n"]
    {
        assert!(!plan.contains(whole_table), "{whole_table} is in:\n{plan}");
    }
}

#[expect(clippy::disallowed_methods, reason = "the clock of the host is what is tested")]
fn host_now() -> Now {
    Now { instant: Instant::now(), timestamp: Timestamp::now() }
}

async fn a_clock_that_disagrees_is_found_out(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let skewed = |by: i64| {
        let now = host_now();
        let timestamp = now.timestamp + SignedDuration::from_millis(by);
        Clock::of_host(move || Now { timestamp, ..now })
    };
    if !database.is_sqlite() {
        assert!(matches!(store.time().await.unwrap(), DatabaseTime::Clock(_)));
        // Slow machines may read the one clock long after the other.
        for (by, is_behind) in [(60_000, false), (-60_000, true)] {
            let ahead = clock_ahead(store, &skewed(by)).await.unwrap().unwrap();
            assert_eq!(ahead.is_negative(), is_behind, "{ahead:#} at {by}");
            let off = (ahead.abs() - SignedDuration::from_mins(1)).abs();
            assert!(off < SignedDuration::from_secs(30), "{ahead:#} at {by}");
        }
        assert_eq!(clock_ahead(store, &Clock::of_host(host_now)).await.unwrap(), None);
        let invented = skewed(0).now().later(Duration::from_hours(1));
        assert_eq!(clock_ahead(store, &Clock::new(move || invented)).await.unwrap(), None);
        return;
    }
    // It has our clock, and remembers.
    let at_nine = |offset| {
        let timestamp = at(9, 0) + SignedDuration::from_millis(offset);
        Clock::of_host(move || Now { timestamp, ..host_now() })
    };
    assert_eq!(store.time().await.unwrap(), DatabaseTime::Written(None));
    let (_, episode) = district.admit(1).await;
    let slot = district.slot(&episode).await;
    district.attempt(slot, 1, number(1)).await;
    assert_eq!(district.claim(at(9, 0)).await.len(), 1);
    assert_eq!(store.time().await.unwrap(), DatabaseTime::Written(Some(at(9, 0))));
    for (offset, expected) in [(0, None), (-2_000, None), (-2_001, Some(-2_001)), (60_000, None)] {
        let expected = expected.map(SignedDuration::from_millis);
        assert_eq!(clock_ahead(store, &at_nine(offset)).await.unwrap(), expected, "{offset}");
    }
    // A person vouches for the clock.
    let running = Dialing {
        is_running: true,
        changed_at: at(8, 0),
        changed_by: "事務".to_owned(),
        reason: "時計を直した".to_owned(),
    };
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "dialing.started",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    store.set_dialing(&running, &entry).await.unwrap();
    assert_eq!(store.time().await.unwrap(), DatabaseTime::Written(None));
    assert_eq!(clock_ahead(store, &at_nine(-3_600_000)).await.unwrap(), None);
}

/// A slot that follows from a call that ended at five past nine.
async fn follow_up(district: &District, n: u32, kind: SlotKind) -> (PatientId, SlotId) {
    let (patient, episode) = district.admit(n).await;
    let new = following(&episode, kind);
    assert_eq!(district.store.open_slots(at(9, 5), &[new]).await.unwrap(), 1);
    let slots = district.store.slots_of(patient.id, DAY).await.unwrap();
    let [slot] = slots.as_slice() else { panic!("{slots:?}") };
    assert_eq!((slot.kind, slot.number), (kind, 91));
    district.attempt_at(slot.id, 1, number(n), at(9, 35)).await;
    (patient.id, slot.id)
}

fn following(episode: &Episode, kind: SlotKind) -> NewSlot {
    NewSlot {
        episode: episode.id,
        patient: episode.patient,
        date: DAY,
        number: 91,
        due_from: at(9, 35),
        due_to: at(10, 5),
        kind,
        campaign: None,
        rest: None,
    }
}

async fn a_value_is_measured_again_unless_it_was_reported_meanwhile(database: Database) {
    let district = District::new(&database).await;
    let spo2 = |answer| ("spo2".to_owned(), answer);
    for (n, values, reported_at, expected) in [
        (1, vec![spo2(Answer::Number(97))], at(9, 20), Some("Web入力済 09:20")),
        // Before the call from which it follows.
        (2, vec![spo2(Answer::Number(97))], at(9, 4), None),
        // Not the value that is wanted.
        (3, vec![], at(9, 20), None),
        (4, vec![spo2(Answer::NotMeasured)], at(9, 20), None),
    ] {
        let (patient, slot) = follow_up(&district, n, SlotKind::Remeasure).await;
        let mut report = web_report(reported_at, Completion::Complete);
        report.values.extend(values);
        let settled = district.store.report(reported_at, patient, &report).await.unwrap();
        assert_eq!(settled, None, "it waits for one value, and for its time");
        let claims = district.claim(at(9, 36)).await;
        let (state, reason) = district.slot_state(slot).await;
        match expected {
            Some(text) => {
                assert!(claims.is_empty(), "{n}");
                assert_eq!((state, reason.as_deref()), (SlotState::Skipped, Some(text)));
            }
            None => assert_eq!((claims.len(), claims[0].slot.id), (1, slot), "{n}"),
        }
    }
}

async fn a_recall_is_made_while_the_case_is_open(database: Database) {
    let district = District::new(&database).await;
    let (_, _, attempt) = district.talking(9).await;
    for (n, is_opened, is_resolved) in [(1, true, false), (2, true, true), (3, false, false)] {
        let (patient, slot) = follow_up(&district, n, SlotKind::Recall).await;
        if is_opened {
            let fact = District::fact("dyspnea", Priority::P1, attempt, n);
            let evaluated = Evaluated::default();
            let change = district.store.add_facts(at(9, 5), patient, &[fact], &evaluated).await;
            let case = change.unwrap().case().unwrap();
            if is_resolved {
                district.store.resolve_case(at(9, 30), case, "nurse", "対応済み").await.unwrap();
            }
        }
        let claims = district.claim(at(9, 36)).await;
        if is_opened && !is_resolved {
            assert_eq!((claims.len(), claims[0].slot.id), (1, slot));
            assert!(claims[0].has_open_case);
        } else {
            assert!(claims.is_empty(), "{n}");
            let (state, reason) = district.slot_state(slot).await;
            assert_eq!((state, reason.as_deref()), (SlotState::Skipped, Some("ケース対応済")));
        }
    }
}

async fn what_follows_is_opened_once(database: Database) {
    let district = District::new(&database).await;
    let (patient, episode) = district.admit(1).await;
    let new = following(&episode, SlotKind::Remeasure);
    for opened in [1, 0, 0] {
        let again = NewSlot { due_from: at(9, 50), ..new.clone() };
        let slots = if opened == 1 { [new.clone()] } else { [again] };
        assert_eq!(district.store.open_slots(at(9, 5), &slots).await.unwrap(), opened);
    }
    let slots = district.store.slots_of(patient.id, DAY).await.unwrap();
    assert_eq!((slots.len(), slots[0].due_from), (1, at(9, 35)));
}
