//! 健康状態一覧: it never drifts from what the other tables say, and nobody sees another's patients.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::civil::{Date, date, time};
use jiff::{SignedDuration, Timestamp, ToSpan};
use mimamori::base::clock::{civil, timestamp};
use mimamori::base::id::{AttemptId, CaseId, HealthCenterId, PatientId, SlotId};
use mimamori::base::{Language, PhoneNumber, Private};
use mimamori::call::{Completion, Disposition, Respondent, Timeline};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{AttemptState, NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::{CaseState, Deed, Fact, Priority};
use mimamori::ivr::{Answer, Entry, Questionnaires, YesNo};
use mimamori::observation::{Channel, Observation};
use mimamori::registry::{
    Episode, HealthCenter, Patient, PatientPhone, PhoneRole, Role, Scope, Staff,
};
use mimamori::store::{
    CallStage, CaseFilter, Claimant, Cursor, DayState, Evaluated, Handled, ListQuery, Need,
    NodeStatus, Outcome, RegistrationWord, Report, SavedView, Store, StoreError, TrunkStatus,
    TrunkWord, View,
};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};

use crate::staff::{hire, member};
use crate::store::{Database, claims};

claims! {
    the_list_is_what_the_other_tables_say
    no_write_is_forgotten_by_the_list
    the_list_moves_to_the_next_day
    a_row_that_cannot_be_read_comes_first_and_stops_nobody
    a_page_goes_on_where_the_one_before_ended
    a_tab_has_as_many_rows_as_it_says
    what_is_mine_is_told_by_the_account
    somebody_is_found_by_name_kana_number_and_telephone
    nobody_sees_the_list_of_another
    a_day_has_one_of_six_states
    a_view_is_saved_under_its_name
    a_node_says_how_it_is
    a_trunk_says_how_it_is_and_keeps_its_last_error
    the_list_walks_along_its_index
}

pub(crate) const DAY: Date = date(2026, 11, 23);

pub(crate) fn at(hour: i8, minute: i8) -> Timestamp {
    timestamp(DAY.at(hour, minute, 0, 0))
}

/// A town whose list is watched.
pub(crate) struct Town {
    pub(crate) store: Store,
    pub(crate) center: HealthCenter,
    pub(crate) people: Vec<(Patient, Episode)>,
}

impl Town {
    pub(crate) async fn new(database: &Database, n: u32) -> Self {
        Self::with(database.open().await, "minato", n).await
    }

    async fn with(store: Store, code: &str, n: u32) -> Self {
        let mut center = HealthCenter {
            id: store.mint(at(0, 0)),
            code: code.to_owned(),
            name: "みなと保健所".to_owned(),
            kana: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(8, 0, 0, 0),
            closes_at: time(20, 0, 0, 0),
        };
        center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
        let mut town = Self { store, center, people: Vec::new() };
        town.store.roll_health(at(0, 0)).await.unwrap();
        for n in 1..=n {
            town.admit(n).await;
        }
        town
    }

    async fn admit(&mut self, n: u32) -> (PatientId, Episode) {
        let patient = Patient {
            id: self.store.mint(at(0, 0)),
            health_center: self.center.id,
            registration_number: format!("A{n:04}"),
            birth_date: Private::new(date(1950, 1, 2)),
            name: Private::new(format!("神崎 花{n}")),
            kana: Private::new(format!("カンザキ ハナ{}", ["ア", "イ", "ウ"][n as usize % 3])),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            lives_alone: n.is_multiple_of(2),
            risks: Vec::new(),
            phones: vec![PatientPhone {
                number: number(n),
                role: PhoneRole::Mobile,
                may_call: true,
            }],
        };
        let episode = Episode {
            id: self.store.mint(at(0, 0)),
            patient: patient.id,
            first_day: DAY.saturating_sub(3.days()),
            last_day: DAY.saturating_add(i64::from(n % 4).days()),
            call_times: vec![time(9, 0, 0, 0)],
            arrangement: mimamori::registry::Arrangement::default(),
        };
        self.store.import_patient(at(0, 0), &patient, Some(&episode)).await.unwrap();
        self.people.push((patient.clone(), episode.clone()));
        (patient.id, episode)
    }

    fn scope(&self) -> Scope {
        Scope { center: self.center.id, clinic: None }
    }

    pub(crate) async fn slot(&self, n: usize, day: Date) -> SlotId {
        let episode = &self.people[n].1;
        let from = timestamp(day.at(9, 0, 0, 0));
        let slot = NewSlot {
            episode: episode.id,
            patient: episode.patient,
            date: day,
            number: 1,
            due_from: from,
            due_to: from + Duration::from_hours(3),
            kind: SlotKind::Planned,
            campaign: None,
            rest: None,
        };
        self.store.open_slots(from, &[slot]).await.unwrap();
        self.store.slots_of(episode.patient, day).await.unwrap()[0].id
    }

    pub(crate) async fn report(&self, n: usize, at: Timestamp, values: &[(&str, Answer)]) {
        let report = Report {
            channel: Channel::Web,
            respondent: Respondent::Patient,
            questionnaire: "web@1".to_owned(),
            effective_at: at,
            values: values.iter().map(|(code, value)| ((*code).to_owned(), *value)).collect(),
            completion: Completion::Complete,
        };
        self.store.report(at, self.people[n].0.id, &report).await.unwrap();
    }

    async fn page(&self, view: View, search: &str) -> Vec<String> {
        let query = ListQuery { view, search: search.to_owned(), after: None };
        let page = self.store.within(self.scope()).health_page(DAY, &query, 50).await.unwrap();
        page.rows.into_iter().map(|row| row.registration_number).collect()
    }

    pub(crate) async fn concern(&self, n: usize, priority: Priority, now: Timestamp) -> CaseId {
        let fact = Fact {
            rule: format!("rule-{}", now.as_millisecond()),
            rule_set: "2026-11-01".to_owned(),
            priority,
            text: "SpO2 92%".to_owned(),
            at: now,
            source: FactSource::Slot(self.store.mint(now)),
        };
        let patient = self.people[n].0.id;
        let change = self.store.add_facts(now, patient, &[fact], &Evaluated::default()).await;
        change.unwrap().case().unwrap()
    }

    async fn hire(&self, login: &str, name: &str) -> Staff {
        hire(
            &self.store,
            at(0, 0),
            Staff {
                name: name.to_owned().into(),
                ..member(&self.store, at(0, 0), login, Role::Nurse, Some(self.center.id))
            },
        )
        .await
    }

    async fn take(&self, case: CaseId, by: &Staff, deed: &Deed) {
        let within = self.store.within(self.scope());
        let handled = within.handle_case(at(9, 1), by, case, deed).await.unwrap();
        assert!(matches!(handled, Handled::Done(_)), "{handled:?}");
    }

    async fn undrifted(&self, after: &str) {
        let drifted = self.store.health_drift().await.unwrap();
        assert_eq!(drifted, [], "after {after}");
    }
}

pub(crate) fn number(n: u32) -> PhoneNumber {
    format!("+8190{:08}", 10_000_000 + n).parse().unwrap()
}

pub(crate) fn claimant() -> Claimant {
    Claimant {
        node: "one".to_owned(),
        lease: Duration::from_mins(1),
        only: None,
        trunk: "main".to_owned(),
        trunk_group: None,
        questionnaires: Questionnaires::shipped().keys().clone(),
        grace: Duration::from_hours(3),
    }
}

/// The slow, older way to the list is the judge of the ready one.
async fn the_list_is_what_the_other_tables_say(database: Database) {
    let town = Town::new(&database, 12).await;
    live(&town, 7, 150).await;
    let day = town.store.health_day().await.unwrap().unwrap();
    let expected = town.store.health_list(day).await.unwrap();
    let page = town.store.within(town.scope());
    let page = page.health_page(day, &ListQuery::default(), 100).await.unwrap();
    assert_eq!(page.rows.len(), expected.len());
    for row in page.rows {
        let told = expected.iter().find(|one| one.patient.id == row.patient).unwrap();
        let status = row.status.unwrap();
        assert_eq!(row.registration_number, told.patient.registration_number);
        assert_eq!(status.report, told.report);
        assert_eq!(status.next_call, told.next_attempt);
        assert_eq!(status.case.map(|case| (case.id, case.priority, case.state)), told.case);
        assert_eq!(status.calls.len(), told.attempts as usize);
        let states: Vec<_> = status.slots.iter().map(|slot| (slot.number, slot.state)).collect();
        let expected: Vec<_> = told.slots.iter().map(|slot| (slot.number, slot.state)).collect();
        assert_eq!(states, expected);
        let today = told.latest.iter().filter(|one| civil(one.effective_at).date() == day);
        let temperature = today.filter(|one| one.code == "temperature").map(|one| one.value);
        let shown = status.temperature.today().map(Answer::Number);
        assert_eq!(temperature.into_iter().find(|it| *it != Answer::NotMeasured), shown);
    }
}

async fn no_write_is_forgotten_by_the_list(database: Database) {
    let town = Town::new(&database, 6).await;
    town.undrifted("the import").await;
    for seed in 0..3 {
        live(&town, seed, 60).await;
    }
}

/// Random operations on the store, with a look after some of them.
async fn live(town: &Town, seed: u64, n_steps: u32) {
    let mut dice = StdRng::seed_from_u64(seed);
    let mut now = town
        .store
        .health_day()
        .await
        .unwrap()
        .map_or(at(7, 0), |day| timestamp(day.at(7, 0, 0, 0)));
    let store = &town.store;
    for step in 0..n_steps {
        now += SignedDuration::from_mins(dice.random_range(1..20));
        let day = civil(now).date();
        let n = dice.random_range(0..town.people.len());
        let (patient, episode) = &town.people[n];
        let done = match dice.random_range(0..12) {
            0 | 1 => {
                town.slot(n, day).await;
                "a slot"
            }
            2 | 3 => {
                if let Some(slot) = store.slots_of(patient.id, day).await.unwrap().first() {
                    let planned = PlannedAttempt {
                        slot: slot.id,
                        number: dice.random_range(1..4),
                        phone: patient.phones[0].number.clone(),
                        due_at: now,
                        campaign: None,
                        priority: Precedence::First,
                    };
                    let _ = store.add_attempt(now, &planned).await.unwrap();
                }
                "an attempt"
            }
            4 => {
                let _ = store.claim_due(now, &claimant(), 3).await.unwrap();
                "a claim"
            }
            5 | 6 => {
                for one in store.attempts_of_day(day).await.unwrap() {
                    step_on(store, &one.attempt.id, one.attempt.state, now, &mut dice).await;
                }
                "a call"
            }
            7 => {
                let value = dice.random_range(355..395);
                town.report(n, now, &[("temperature", Answer::Number(value))]).await;
                "a report"
            }
            8 => {
                let priority = [Priority::P1, Priority::P2, Priority::P3];
                town.concern(n, *priority.choose(&mut dice).unwrap(), now).await;
                "a case"
            }
            9 => {
                let filter = CaseFilter::Patient(patient.id);
                for view in store.cases(filter).await.unwrap() {
                    match view.case.state {
                        CaseState::Open => {
                            store.acknowledge_case(now, view.case.id, "nurse").await.unwrap();
                        }
                        CaseState::Acknowledged => {
                            store.resolve_case(now, view.case.id, "nurse", "済").await.unwrap();
                        }
                        CaseState::Resolved => {}
                    }
                }
                "work on a case"
            }
            10 => {
                let mut changed = patient.clone();
                changed.name = Private::new(format!("神崎 花{}", dice.random_range(0..9)));
                let last_day = day.saturating_add(dice.random_range(0..3_i64).days());
                let last_day = last_day.max(episode.first_day);
                let episode = Episode { last_day, ..episode.clone() };
                store.import_patient(now, &changed, Some(&episode)).await.unwrap();
                "an import"
            }
            _ => {
                store.expire_slots(now).await.unwrap();
                store.rescue_expired(now).await.unwrap();
                store.roll_health(now).await.unwrap();
                "the clock"
            }
        };
        if step.is_multiple_of(5) || step + 1 == n_steps {
            town.undrifted(done).await;
        }
    }
    store.roll_health(now).await.unwrap();
    town.undrifted("all").await;
}

async fn step_on(
    store: &Store,
    attempt: &AttemptId,
    state: AttemptState,
    now: Timestamp,
    dice: &mut StdRng,
) {
    let attempt = *attempt;
    match state {
        AttemptState::Dialing if dice.random() => {
            store.attempt_answered(now, attempt).await.unwrap();
        }
        AttemptState::Talking if dice.random() => {
            let seq = u32::try_from(store.transcript(attempt).await.unwrap().len()).unwrap();
            let entry = Entry {
                seq,
                question: "spo2".to_owned(),
                asked: 1,
                keys: "9 6".to_owned(),
                answer: Answer::Number(96),
                at: now,
            };
            let respondent = Respondent::Patient;
            store.record_answer(now, attempt, &entry, respondent, "q@1").await.unwrap();
            let given = store.answers_to_observe(1).await.unwrap();
            let given = given.first().unwrap();
            let observation = Observation {
                id: store.mint(now),
                patient: given.patient,
                slot: Some(given.slot),
                source: Some((attempt, seq)),
                code: "spo2".to_owned(),
                value: Answer::Number(96),
                effective_at: now,
                respondent,
                channel: Channel::OutboundCall,
                questionnaire: "q@1".to_owned(),
                supersedes: None,
            };
            store.save_observations(now, &[(attempt, seq)], &[observation]).await.unwrap();
        }
        AttemptState::Dialing | AttemptState::Talking => {
            let answered = state == AttemptState::Talking;
            let outcome = Outcome {
                disposition: if answered { Disposition::Answered } else { Disposition::NoAnswer },
                code: None,
                respondent: answered.then_some(Respondent::Patient),
                completion: answered.then_some(Completion::Complete),
                timeline: Timeline { ended: Some(now), ..Timeline::default() },
                slot_after: if answered { SlotState::Reported } else { SlotState::Due },
            };
            store.finish_attempt(now, attempt, &outcome).await.unwrap();
        }
        AttemptState::Due | AttemptState::Done | AttemptState::Dropped => {}
    }
}

async fn the_list_moves_to_the_next_day(database: Database) {
    let town = Town::new(&database, 8).await;
    town.report(0, at(9, 0), &[("temperature", Answer::Number(380))]).await;
    let before = town.store.within(town.scope()).health_status(town.people[0].0.id).await.unwrap();
    assert_eq!(before.unwrap().need, Need::Well);
    let midnight = timestamp(DAY.tomorrow().unwrap().at(0, 0, 0, 0));
    // Two of eight end on the first day.
    assert_eq!(town.store.roll_health(midnight).await.unwrap(), 8);
    assert_eq!(town.store.roll_health(midnight).await.unwrap(), 0);
    // A clock that lags behind moves nothing back.
    assert_eq!(town.store.roll_health(at(23, 59)).await.unwrap(), 0);
    town.undrifted("midnight").await;
    let after = town.store.within(town.scope()).health_status(town.people[0].0.id).await.unwrap();
    let after = after.unwrap();
    assert_eq!((after.need, after.temperature.today()), (Need::Unreported, None));
    assert_eq!(after.temperature.week[5], Some(380), "yesterday stays in the picture");
    let nobody = town.store.mint(at(9, 0));
    let counts = town.store.within(town.scope()).health_counts(nobody).await.unwrap();
    assert_eq!((counts.all, counts.unreported), (6, 6));
}

async fn a_row_that_cannot_be_read_comes_first_and_stops_nobody(database: Database) {
    let town = Town::new(&database, 3).await;
    town.slot(1, DAY).await;
    database.execute("update slot set date = '2026-11-23', reason = null").await;
    database
        .execute(
            "insert into escalation_case (id, patient_id, priority, state, opened_at) \
            select 'not an id', id, 'p1', 'open', 0 from patient \
            where registration_number = 'A0003'",
        )
        .await;
    town.report(2, at(9, 0), &[("temperature", Answer::Number(370))]).await;
    let rows = town.store.within(town.scope());
    let rows = rows.health_page(DAY, &ListQuery::default(), 50).await.unwrap().rows;
    assert_eq!(rows[0].registration_number, "A0003");
    assert!(rows[0].status.is_none());
    assert!(rows[1..].iter().all(|row| row.status.is_some()));
}

async fn a_page_goes_on_where_the_one_before_ended(database: Database) {
    let town = Town::new(&database, 23).await;
    for n in [4, 9, 14] {
        town.concern(n, Priority::P2, at(9, 0)).await;
    }
    town.report(7, at(9, 0), &[("temperature", Answer::Number(365))]).await;
    let within = town.store.within(town.scope());
    let whole = within.health_page(DAY, &ListQuery::default(), 50).await.unwrap();
    assert_eq!((whole.rows.len(), whole.next), (23, None));
    let needs: Vec<_> = whole.rows.iter().map(|row| row.status.as_ref().unwrap().need).collect();
    assert!(needs.is_sorted(), "{needs:?}");
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let query = ListQuery { after, ..ListQuery::default() };
        let page = within.health_page(DAY, &query, 5).await.unwrap();
        seen.extend(page.rows.iter().map(|row| row.patient));
        // As it goes through an address.
        after = page.next.map(|next| Cursor::parse(&next.to_text()).unwrap());
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = whole.rows.iter().map(|row| row.patient).collect();
    assert_eq!(seen, expected);
}

async fn a_tab_has_as_many_rows_as_it_says(database: Database) {
    let town = Town::new(&database, 12).await;
    for back in 0..3 {
        let then = at(9, 0) - SignedDuration::from_hours(24 * back);
        town.report(0, then, &[("temperature", Answer::Number(381))]).await;
    }
    town.concern(1, Priority::P1, at(9, 0)).await;
    let case = town.concern(2, Priority::P2, at(9, 0)).await;
    let hanako = town.hire("hanako", "花子").await;
    town.take(case, &hanako, &Deed::Claim).await;
    let slot = town.slot(3, DAY).await;
    town.store.close_slot(at(9, 30), slot, SlotState::Unreached, None).await.unwrap();
    let counts = town.store.within(town.scope()).health_counts(hanako.id).await.unwrap();
    let owner = View::Owner(hanako.id);
    for (view, told, expected) in [
        (View::All, counts.all, 12),
        (View::Action, counts.action, 2),
        (View::Unreported, counts.unreported, 11),
        (View::Fever, counts.fever, 1),
        (View::Ending, counts.ending, 6),
        (owner, counts.owned, 1),
    ] {
        let rows = town.page(view.clone(), "").await.len();
        assert_eq!((rows, told as usize), (expected, expected), "{view:?}");
    }
    assert_eq!((counts.planned, counts.unreached, counts.reported), (1, 1, 1));
    let status = town.store.within(town.scope()).health_status(town.people[3].0.id).await;
    assert_eq!(status.unwrap().unwrap().stage(), CallStage::Planned);
}

/// Two nurses may have the same name, and one may change hers.
async fn what_is_mine_is_told_by_the_account(database: Database) {
    let town = Town::new(&database, 4).await;
    let nurses = [town.hire("hanako", "佐藤 花子").await, town.hire("hanako-2", "佐藤 花子").await];
    let mut cases = Vec::new();
    for n in 0..3 {
        cases.push(town.concern(n, Priority::P2, at(9, 0)).await);
    }
    town.take(cases[0], &nurses[0], &Deed::Claim).await;
    town.take(cases[1], &nurses[1], &Deed::Claim).await;
    town.undrifted("two claims").await;
    let mine = |n: usize| View::Owner(nurses[n].id);
    assert_eq!(town.page(mine(0), "").await, ["A0001"]);
    assert_eq!(town.page(mine(1), "").await, ["A0002"]);
    // The name of the holder stays the same, the account does not.
    town.take(cases[0], &nurses[1], &Deed::TakeOver).await;
    town.undrifted("taking over").await;
    assert_eq!(town.page(mine(0), "").await, [""; 0]);
    assert_eq!(town.page(mine(1), "").await.len(), 2);
    town.take(cases[1], &nurses[1], &Deed::Release).await;
    town.undrifted("letting go").await;
    assert_eq!(town.page(mine(1), "").await, ["A0001"]);
    let counts = town.store.within(town.scope()).health_counts(nurses[1].id).await.unwrap();
    assert_eq!((counts.owned, counts.action), (1, 3));
}

async fn somebody_is_found_by_name_kana_number_and_telephone(database: Database) {
    let town = Town::new(&database, 5).await;
    for (search, expected) in [
        ("花3", &["A0003"][..]),
        ("神崎花3", &["A0003"]),
        ("かんざきはなイ", &["A0001", "A0004"]),
        ("ｶﾝｻﾞｷ", &["A0003", "A0001", "A0004", "A0002", "A0005"]),
        ("a0002", &["A0002"]),
        ("0005", &["A0005"]),
        ("%", &[]),
        ("知らない", &[]),
    ] {
        assert_eq!(town.page(View::All, search).await, expected, "{search}");
    }
}

async fn nobody_sees_the_list_of_another(database: Database) {
    let minato = Town::new(&database, 4).await;
    let kita = Town::with(minato.store.clone(), "kita", 3).await;
    let store = &minato.store;
    let theirs = kita.people[0].0.id;
    let within = store.within(minato.scope());
    assert_eq!(within.health_status(theirs).await.unwrap(), None);
    let page = within.health_page(DAY, &ListQuery::default(), 50).await.unwrap();
    assert_eq!(page.rows.len(), 4);
    let ids: BTreeSet<_> = page.rows.iter().map(|row| row.patient).collect();
    assert!(!ids.contains(&theirs));
    assert!(within.health_matrix(DAY, 7, &[theirs]).await.unwrap().cells.is_empty());
    // The cursor of another's page is worth nothing here.
    let query = ListQuery::default();
    let other = store.within(kita.scope()).health_page(DAY, &query, 1).await.unwrap();
    let query = ListQuery { after: other.next, ..query };
    let refused = within.health_page(DAY, &query, 50).await;
    assert!(matches!(refused, Err(StoreError::NotFound { .. })));

    // A clinic sees its own.
    let clinic: mimamori::base::id::ClinicId = store.mint(at(0, 0));
    let center: HealthCenterId = minato.center.id;
    let own = minato.people[2].0.id;
    database
        .execute(&format!(
            "insert into clinic (id, health_center_id, code, name, created_at) \
             values ('{clinic}', '{center}', 'c', 'c', 0); \
             update patient set clinic_id = '{clinic}' where id = '{own}'"
        ))
        .await;
    // What was written past the store is settled with the next transaction.
    store.ping().await.unwrap();
    let within = store.within(Scope { center, clinic: Some(clinic) });
    let page = within.health_page(DAY, &ListQuery::default(), 50).await.unwrap();
    let ids: Vec<_> = page.rows.iter().map(|row| row.patient).collect();
    assert_eq!(ids, [own]);
    let nobody = store.mint(at(9, 0));
    assert_eq!(within.health_counts(nobody).await.unwrap().all, 1);
    assert_eq!(within.health_status(minato.people[0].0.id).await.unwrap(), None);
}

async fn a_day_has_one_of_six_states(database: Database) {
    let town = Town::new(&database, 6).await;
    let store = &town.store;
    let mut slots = Vec::new();
    for n in 0..4 {
        slots.push(town.slot(n, DAY).await);
    }
    let phone = number(2);
    let planned = PlannedAttempt {
        slot: slots[1],
        number: 1,
        phone,
        due_at: at(9, 0),
        campaign: None,
        priority: Precedence::First,
    };
    store.add_attempt(at(9, 0), &planned).await.unwrap().unwrap();
    assert_eq!(store.claim_due(at(9, 0), &claimant(), 1).await.unwrap().len(), 1);
    store.close_slot(at(9, 1), slots[2], SlotState::Unreached, None).await.unwrap();
    town.report(3, at(9, 0), &[("dyspnea", Answer::Choice(YesNo::No))]).await;
    town.concern(3, Priority::P3, at(9, 2)).await;
    // Told by web on a day without a call.
    let yesterday = at(9, 0) - SignedDuration::from_hours(24);
    town.report(4, yesterday, &[("spo2", Answer::Number(97))]).await;
    let ids: Vec<PatientId> = town.people.iter().map(|(patient, _)| patient.id).collect();
    let matrix = store.within(town.scope()).health_matrix(DAY, 7, &ids).await.unwrap();
    assert_eq!(matrix.days.len(), 7);
    assert_eq!(matrix.days.last(), Some(&DAY));
    let last = |n: usize| matrix.cells[&ids[n]][6];
    assert_eq!(last(0).state, DayState::Waiting);
    assert_eq!(last(1).state, DayState::Calling);
    assert_eq!(last(2).state, DayState::Unreached);
    assert_eq!((last(3).state, last(3).channel), (DayState::Reported, Some(Channel::Web)));
    assert!(last(3).needs_care && !last(0).needs_care);
    assert_eq!(
        (last(4).state, matrix.cells[&ids[4]][5].state),
        (DayState::NotOwed, DayState::Reported)
    );
    assert!(!matrix.cells.contains_key(&ids[5]), "nothing at all");
}

async fn a_view_is_saved_under_its_name(database: Database) {
    let store = database.open().await;
    let staff = store.mint(at(0, 0));
    database
        .execute(&format!(
            "insert into staff (id, login, name, roles, state, language, must_change_password, \
             totp_confirmed, failures, created_at, updated_at) \
             values ('{staff}', 'hanako', '花子', 'nurse', 'active', 'ja', 0, 0, 0, 0, 0)"
        ))
        .await;
    let view =
        |name: &str, query: &str| SavedView { name: name.to_owned(), query: query.to_owned() };
    assert!(store.save_view(at(9, 0), staff, &view("朝", "view=fever")).await.unwrap());
    assert!(store.save_view(at(9, 1), staff, &view("朝", "view=action")).await.unwrap());
    assert_eq!(store.saved_views(staff).await.unwrap(), [view("朝", "view=action")]);
    for n in 1..12 {
        assert!(store.save_view(at(9, 2), staff, &view(&n.to_string(), "")).await.unwrap());
    }
    assert!(!store.save_view(at(9, 3), staff, &view("多すぎ", "")).await.unwrap());
    store.remove_view(staff, "朝").await.unwrap();
    assert_eq!(store.saved_views(staff).await.unwrap().len(), 11);
}

async fn a_node_says_how_it_is(database: Database) {
    let store = database.open().await;
    let status = NodeStatus {
        node: "one".to_owned(),
        at: at(9, 0),
        lines_in_use: 0,
        lines_limit: 8,
        calls_per_minute: 60,
        trunk: TrunkWord::Ready,
        prompts_complete: true,
        clock_ahead: None,
        last_error: String::new(),
    };
    store.save_node_status(&status).await.unwrap();
    let clock_ahead = Some(SignedDuration::from_millis(-5_200));
    let later = NodeStatus { at: at(9, 1), trunk: TrunkWord::Failed, clock_ahead, ..status };
    store.save_node_status(&later).await.unwrap();
    assert_eq!(store.node_statuses().await.unwrap(), [later]);
}

async fn a_trunk_says_how_it_is_and_keeps_its_last_error(database: Database) {
    let store = database.open().await;
    let told = |at, state, registration, error: Option<&str>| TrunkStatus {
        node: "one".to_owned(),
        trunk: "ntt".to_owned(),
        group: Some("city".to_owned()),
        at,
        state,
        since: at,
        registration,
        lines_in_use: 0,
        lines_limit: 2,
        last_error: error.map(|error| (error.to_owned(), at)),
    };
    let first = told(at(9, 0), TrunkWord::Failed, RegistrationWord::Refused, Some("403"));
    store.save_trunk_status(&first).await.unwrap();
    let other = TrunkStatus { trunk: "kddi".to_owned(), ..first.clone() };
    store.save_trunk_status(&other).await.unwrap();
    let again = told(at(9, 1), TrunkWord::Failed, RegistrationWord::Lost, Some("silent"));
    store.save_trunk_status(&again).await.unwrap();
    let expected = TrunkStatus { since: at(9, 0), ..again };
    assert_eq!(store.trunk_statuses().await.unwrap(), [other, expected.clone()]);
    let well = told(at(9, 2), TrunkWord::Ready, RegistrationWord::Registered, None);
    store.save_trunk_status(&well).await.unwrap();
    let kept = TrunkStatus { last_error: expected.last_error, ..well };
    assert_eq!(store.trunk_statuses().await.unwrap()[1], kept);
}

async fn the_list_walks_along_its_index(database: Database) {
    let town = Town::new(&database, 3).await;
    let center = town.center.id;
    // As many as make a difference, as long as they are, most of them well.
    let shown = "x".repeat(600);
    let many = "with recursive n (i) as (select 1 union all select i + 1 from n where i < 20000)";
    database
        .execute(&format!(
            "insert into patient (id, health_center_id, registration_number, birth_date, name, \
             kana, language, has_thermometer, has_oximeter, slow_speech, lives_alone, risks, \
             created_at, updated_at) {many} select 'p' || i, '{center}', 'B' || i, '1950-01-02', \
             '神崎', 'カンザキ', 'ja', 1, 1, 0, 0, '', 0, 0 from n; \
             delete from health_touched; \
             insert into health_status (patient_id, day, is_observed, health_center_id, clinic_id, \
             registration_number, kana, search, last_day, need, report, fever_days, owner, \
             facet, shown, version) {many} \
             select 'p' || i, '{DAY}', 1, '{center}', '', 'B' || i, 'カナ' || i, 'x' || i, \
             '2026-12-01', case when i > 19900 then 10 else 60 end, 'reported', 0, '', 1061, \
             '{shown}', 1 from n"
        ))
        .await;
    // The page that is gathered at once is also where the index alone may be read.
    database.execute(if database.is_sqlite() { "analyze" } else { "vacuum analyze" }).await;
    let within = town.store.within(town.scope());
    let plans = within.explain_health(DAY, "").await.unwrap();
    insta::assert_snapshot!(database.named("plan_of_health_page"), database.walks(&plans[0]));
    let [page, counts] = plans.map(|plan| plan.join("\n"));
    for whole_table in ["Seq Scan", "SCAN h", "SCAN p", "Sort", "USE TEMP B-TREE"] {
        assert!(!page.contains(whole_table), "{whole_table} is in:\n{page}");
    }
    assert!(page.contains("health_status_by_need"), "{page}");
    // PostgreSQL may find the table shorter than the index, which is as long as its rows are few.
    if database.is_sqlite() {
        assert!(counts.contains("health_status_by_facet"), "{counts}");
    }
    // Few are looked up one by one; what many have is found on the way along the list.
    for (words, name) in [("x1999", "plan_of_search_of_few"), ("x", "plan_of_search_of_many")] {
        let [page, _] = within.explain_health(DAY, words).await.unwrap();
        insta::assert_snapshot!(database.named(name), database.walks(&page));
        let page = page.join("\n");
        for whole_table in ["Seq Scan", "SCAN h", "SCAN p"] {
            assert!(!page.contains(whole_table), "{words}: {whole_table} is in:\n{page}");
        }
    }
}
