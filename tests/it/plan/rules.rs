//! Rules and settings of a centre: tried, signed, in force.

use std::time::Duration;

use axum::http::StatusCode;
use jiff::civil::time;
use mimamori::base::address;
use mimamori::base::clock::timestamp;
use mimamori::call::{Completion, Respondent};
use mimamori::campaign::{NewSlot, SlotKind};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::Answer;
use mimamori::observation::Channel;
use mimamori::registry::Role;
use mimamori::store::Report;
use mimamori::tape::Keep;

use crate::plan::{DAY, HANA, Office, TARO, centre};

claims! {
    rules_are_tried_signed_and_then_in_force
    a_centres_settings_hold_against_the_configuration
}

async fn rules_are_tried_signed_and_then_in_force(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    // Yesterday one had 92 %, the other 95 %.
    for (number, percent) in [("A1", 92), ("A2", 95)] {
        let patient = office.patient(number).await.unwrap();
        let yesterday = DAY.yesterday().unwrap();
        let due_from = timestamp(yesterday.at(9, 0, 0, 0));
        let episode = office.within().episode_of(patient).await.unwrap().unwrap().id;
        let due_to = due_from + Duration::from_hours(2);
        let slot = NewSlot {
            episode,
            patient,
            date: yesterday,
            number: 1,
            due_from,
            due_to,
            kind: SlotKind::Planned,
            campaign: None,
            rest: None,
        };
        office.store().open_slots(due_from, &[slot]).await.unwrap();
        let report = Report {
            channel: Channel::Web,
            respondent: Respondent::Patient,
            questionnaire: "web@1".to_owned(),
            effective_at: due_from + Duration::from_mins(5),
            values: vec![("spo2".to_owned(), Answer::Number(percent))],
            completion: Completion::Complete,
        };
        office.store().report(due_from, patient, &report).await.unwrap();
    }
    let chief = office.person("chief", Role::Supervisor, office.home).await;
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    let (status, page) = nurse.get("/rules").await;
    assert!(status == StatusCode::OK && page.contains("SpO2が93以下"), "{page}");
    assert_eq!(nurse.get("/rules/new").await.0, StatusCode::FORBIDDEN);
    assert_eq!(hana.get("/rules").await.0, StatusCode::FORBIDDEN);

    let broken = "version=v2&from=2026-11-25&text=version+%3D+%22x%22%0D%0Aoops";
    let (status, page) = chief.post("/rules/new", broken).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("2行目"), "{page}");

    let book = RuleBook::shipped().unwrap();
    let shipped = book.effective_on(DAY).unwrap().text.clone();
    let stricter =
        shipped.replace("code = \"spo2\", at_most = 93", "code = \"spo2\", at_most = 95");
    let form = address::query([("version", "v2"), ("from", "2026-11-25"), ("text", &stricter)]);
    let (status, headers, _) = chief.send("/rules/new", &form).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let to = headers["location"].to_str().unwrap().to_owned();
    let (_, page) = chief.get(&to).await;
    assert!(
        page.contains("2026-11-11〜2026-11-24のデータでは、この版なら 2 件(いまのルールでは 2 件)"),
        "{page}"
    );
    assert!(page.contains("判定が変わる方と日 (1)"), "95 % is graver now: {page}");
    let rules = to.split('?').next().unwrap();
    assert_eq!(
        nurse.post(&format!("{rules}/release"), "doctor=x&day=2026-11-24").await.0,
        StatusCode::FORBIDDEN
    );
    let unsigned = chief.post(&format!("{rules}/release"), "doctor=+&day=2026-11-24").await;
    assert_eq!(unsigned.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(office.store().rules_in_force(office.home, DAY).await.unwrap().is_none());
    let signed = "doctor=%E5%8C%BB%E5%B8%AB&day=2026-11-24";
    assert_eq!(chief.post(&format!("{rules}/release"), signed).await.0, StatusCode::SEE_OTHER);
    let own = office.store().rules_in_force(office.home, DAY).await.unwrap().unwrap();
    assert_eq!(own.version, "v2");
    assert!(office.store().rules_in_force(office.other, DAY).await.unwrap().is_none());
    let (_, page) = nurse.get("/rules").await;
    assert!(page.contains("SpO2が95以下") && page.contains("医師"), "{page}");
    let stranger = office.person("boss", Role::Supervisor, office.other).await;
    assert_eq!(stranger.get(rules).await.0, StatusCode::NOT_FOUND);
    assert_eq!(chief.post(&format!("{rules}/withdraw"), "").await.0, StatusCode::SEE_OTHER);
    assert!(office.store().rules_in_force(office.home, DAY).await.unwrap().is_none());
    for action in ["rules.drafted", "rules.tried", "rules.released", "rules.withdrawn"] {
        assert_eq!(office.audited(action).await, 1, "{action}");
    }
}

async fn a_centres_settings_hold_against_the_configuration(office: Office) {
    let chief = office.person("chief", Role::Supervisor, office.home).await;
    let hana = office.scheduler().await;
    let form = "opens_at=10%3A00&closes_at=17%3A30&desk_phone=03-1111-2222";
    assert_eq!(hana.get("/settings").await.0, StatusCode::FORBIDDEN);
    assert_eq!(hana.post("/settings", form).await.0, StatusCode::FORBIDDEN);
    let night = form.replace("10%3A00", "05%3A00");
    assert_eq!(chief.post("/settings", &night).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(chief.post("/settings", form).await.0, StatusCode::SEE_OTHER);
    assert_eq!(centre(office.store(), "minato").await, office.home, "the next start");
    let center = office.within().health_center().await.unwrap();
    assert_eq!((center.opens_at, center.closes_at), (time(10, 0, 0, 0), time(17, 30, 0, 0)));
    assert_eq!(center.desk_phone, "03-1111-2222");
    let (_, page) = chief.get("/settings").await;
    assert!(page.contains("value=\"10:00\"") && page.contains("03-1111-2222"), "{page}");
    let other = office.store().health_center("yama").await.unwrap().unwrap();
    assert_eq!(other.desk_phone, "03-0000-0000");
    assert_eq!(office.audited("center.set").await, 1);
    let wrong = chief.post("/settings/recordings", "keep=sampled&percent=101&days=30").await;
    assert_eq!(wrong.0, StatusCode::UNPROCESSABLE_ENTITY);
    let form = "keep=sampled&percent=20&days=90";
    assert_eq!(hana.post("/settings/recordings", form).await.0, StatusCode::FORBIDDEN);
    assert_eq!(chief.post("/settings/recordings", form).await.0, StatusCode::SEE_OTHER);
    let policy = office.store().recording_policy(office.home).await.unwrap().unwrap();
    assert_eq!((policy.keep, policy.keep_days), (Keep::Sampled(20), 90));
    assert!(office.store().recording_policy(office.other).await.unwrap().is_none());
    assert_eq!(office.audited("center.recordings_set").await, 1);
}
