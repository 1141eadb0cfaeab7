//! What the tables refuse, and what errors tell.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use jiff::civil::date;
use mimamori::call::Completion;
use mimamori::escalation::Priority;
use mimamori::ivr::Answer;
use mimamori::store::Evaluated;

use crate::store::{Database, District, at, claims, entry, number, web_report};

claims! {
    the_tables_refuse_what_must_not_be
    errors_name_rules_and_never_persons
}

async fn the_tables_refuse_what_must_not_be(database: Database) {
    let district = District::new(&database).await;
    let (patient, slot, attempt) = district.talking(1).await;
    district.answer(attempt, &entry(0, "temperature", Answer::Number(375))).await;
    let (other, other_slot, other_attempt) = district.due(2).await;
    let (third, _, _) = district.due(3).await;
    let fact = District::fact("fever", Priority::P3, attempt, 0);
    let seen = Evaluated::default();
    let change = district.store.add_facts(at(9, 3), patient, &[fact], &seen).await.unwrap();
    let case = change.case().unwrap();
    let report = web_report(at(9, 0), Completion::Complete);
    district.store.report(at(9, 0), third, &report).await.unwrap();
    let copy = |table: &str, columns: &str, values: &str, id: &str| {
        format!("insert into {table} ({columns}) select {values} from {table} where {id}")
    };
    let attempt_columns = "id, slot_id, patient_id, number, phone, due_at, state, node, \
        lease_until, dialed_at, answered_at, created_at";
    let live = |slot: &str, patient: &str, phone: &str| {
        let values =
            format!("'x', {slot}, {patient}, 9, {phone}, 0, 'dialing', 'n', 1, 1, null, 0");
        copy("attempt", attempt_columns, &values, &format!("id = '{attempt}'"))
    };
    let (own_slot, own_patient) = (format!("'{slot}'"), format!("'{patient}'"));
    let (other_slot_, other_patient) = (format!("'{other_slot}'"), format!("'{other}'"));
    let drop_other = format!("update attempt set state = 'dropped' where id = '{other_attempt}'");
    for (statement, rule) in [
        // At most one.
        (live(&own_slot, &other_patient, "'+811'"), "attempt_open_of_slot"),
        (
            copy(
                "slot",
                "id, episode_id, patient_id, date, number, due_from, due_to, state, created_at",
                "'x', episode_id, patient_id, date, number, 1, 2, 'due', 0",
                &format!("id = '{slot}'"),
            ),
            "slot_of_the_day",
        ),
        (
            copy(
                "episode",
                "id, patient_id, first_day, last_day, call_times, state, created_at, updated_at",
                "'x', patient_id, first_day, last_day, call_times, state, 0, 0",
                &format!("patient_id = '{patient}'"),
            ),
            "episode_active_of_patient",
        ),
        (
            copy(
                "escalation_case",
                "id, patient_id, priority, state, opened_at",
                "'x', patient_id, 'p1', 'open', 0",
                &format!("id = '{case}'"),
            ),
            "case_open_of_patient",
        ),
        (
            copy(
                "case_fact",
                "case_id, position, rule, rule_set, priority, text, at, added_at, source, \
                 source_id, source_seq",
                "case_id, 9, rule, rule_set, priority, text, 0, 0, source, source_id, source_seq",
                &format!("case_id = '{case}'"),
            ),
            "case_fact_of_source",
        ),
        (
            copy(
                "observation",
                "id, patient_id, code, value, effective_at, respondent, channel, questionnaire, \
                 recorded_at",
                "code, patient_id, code, '1', effective_at, respondent, channel, questionnaire, 0",
                "code = 'temperature'",
            ),
            "observation_of_report",
        ),
        // States.
        ("update slot set state = 'done', settled_at = 1".to_owned(), "slot_state"),
        ("update slot set number = 100".to_owned(), "slot_number"),
        ("update slot set due_to = due_from".to_owned(), "slot_window"),
        ("update slot set settled_at = 1 where state = 'due'".to_owned(), "slot_settled"),
        (format!("update attempt set state = 'done' where id = '{other_attempt}'"), "attempt_d"),
        (format!("update attempt set state = 'lost' where id = '{other_attempt}'"), "attempt_"),
        (format!("update attempt set lease_until = null where id = '{attempt}'"), "attempt_lease"),
        ("update attempt set disposition = 'fine'".to_owned(), "attempt_d"),
        ("update attempt set respondent = 'cat'".to_owned(), "attempt_respondent"),
        ("update attempt set completion = 'half'".to_owned(), "attempt_completion"),
        ("update attempt set phone = '119'".to_owned(), "attempt_phone"),
        ("update patient_phone set number = '119'".to_owned(), "patient_phone_e164"),
        ("update patient_phone set role = 'work'".to_owned(), "patient_phone_role"),
        ("update patient set slow_speech = 2".to_owned(), "patient_flags"),
        ("update episode set state = 'gone'".to_owned(), "episode_state"),
        ("update episode set last_day = '2000-01-01'".to_owned(), "episode_days"),
        ("update answer set respondent = 'cat'".to_owned(), "answer_respondent"),
        ("update observation set channel = 'fax'".to_owned(), "observation_channel"),
        ("update observation set attempt_id = 'x'".to_owned(), "observation_source"),
        ("update escalation_case set state = 'closed'".to_owned(), "case_state"),
        ("update escalation_case set state = 'resolved'".to_owned(), "case_resolved"),
        ("update escalation_case set state = 'acknowledged'".to_owned(), "case_acknowledged"),
        ("update escalation_case set priority = 'p0'".to_owned(), "case_priority"),
        ("update case_fact set source = 'rumour'".to_owned(), "case_fact_source"),
        ("update message set kind = 'spam'".to_owned(), "message_kind"),
        // Rows that others rest on.
        ("delete from patient".to_owned(), "foreign_key"),
        ("update slot set patient_id = 'x'".to_owned(), "foreign_key"),
        (format!("update slot set patient_id = '{other}' where id = '{slot}'"), "foreign_key"),
        ("update slot set date = null".to_owned(), "not_null"),
    ] {
        let refused = database.refusal(&statement).await;
        // Where one statement breaks two rules, databases differ in which they name.
        assert!(refused.starts_with(rule), "{statement}: {refused}");
    }
    database.execute(&drop_other).await;
    let same_number = format!("'{}'", number(1).e164());
    for (statement, rule) in [
        (live(&other_slot_, &other_patient, &same_number), "attempt_live_to_number"),
        (live(&other_slot_, &own_patient, "'+811'"), "attempt_live_of_patient"),
        (
            copy(
                "attempt",
                "id, slot_id, patient_id, number, phone, due_at, state, created_at",
                "'x', slot_id, patient_id, number, phone, 0, 'dropped', 0",
                &format!("id = '{attempt}'"),
            ),
            "attempt_of_slot",
        ),
    ] {
        assert_eq!(database.refusal(&statement).await, rule, "{statement}");
    }
}

async fn errors_name_rules_and_never_persons(database: Database) {
    let district = District::new(&database).await;
    let (mut patient, _) = district.someone(1);
    patient.phones[1].number = patient.phones[0].number.clone();
    let error = district.store.import_patient(at(0, 0), &patient, None).await.unwrap_err();
    assert_eq!(error.to_string(), "against the rule patient_phone_number");
    let shown = format!("{error} {error:?}");
    for secret in [patient.phones[0].number.e164(), "神崎", &patient.id.to_string(), "A0001"] {
        assert!(!shown.contains(secret), "{shown}");
    }
    // Nothing half-done.
    assert!(district.store.find_patient("A0001", date(1950, 1, 2)).await.unwrap().is_empty());

    let (patient, _) = district.admit(2).await;
    let spoil = format!("update patient set birth_date = '1950-13-77' where id = '{}'", patient.id);
    database.execute(&spoil).await;
    let error = district.store.patient(patient.id).await.unwrap_err();
    assert_eq!(error.to_string(), "unreadable value in patient.birth_date");
    assert!(!format!("{error:?}").contains("1950"));
}
