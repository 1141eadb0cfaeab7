//! What a scheduler, and those who are none, can do to campaigns: drafts, versions, states, caps and
//! closures, asked over HTTP as a browser asks, on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::fs;
use std::time::Duration;

use axum::http::StatusCode;
use jiff::civil::{date, time};
use mimamori::base::address;
use mimamori::base::id::{CampaignId, PatientId};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::programme::State;
use mimamori::campaign::{AttemptState, NewSlot, PlannedAttempt, SlotKind, Terms};
use mimamori::ivr::Questionnaires;
use mimamori::registry::arrangement::Channel;
use mimamori::registry::{HealthCenter, Held, Role, Scope};
use mimamori::store::{
    AttemptOfDay, CampaignChange, Claimant, Effect, NodeStatus, RegistrationWord, Store,
    TrunkStatus, TrunkWord,
};

use crate::accounts_by_hand::Host;
use crate::plan::{HANA, Office, TARO, at, claims};

claims! {
    a_campaign_is_drafted_published_started_and_ended
    what_cannot_be_meant_is_not_saved
    caps_hold_at_once_and_a_day_starts_by_itself
    the_first_campaign_is_paused_and_never_ended
    a_draft_is_discarded_and_what_was_published_is_not
    what_nobody_has_is_neither_saved_nor_started
    nobody_changes_a_campaign_of_another_centre
    the_lines_are_measured_from_the_calls_of_the_centre
    only_the_trunks_of_its_group_bear_a_campaign
    a_centre_is_closed_and_opened_again
    an_arrangement_is_agreed_and_written_down
    what_is_no_longer_agreed_to_is_not_called
}

/// The form of the shipped terms, and what else was typed.
fn terms(others: &[(&str, &str)]) -> String {
    let mut fields: Vec<(String, String)> = Vec::new();
    let mut put = |name: &str, value: &str| {
        fields.retain(|(known, _)| known != name);
        fields.push((name.to_owned(), value.to_owned()));
    };
    for day in 0..7 {
        put(&format!("on{day}"), "1");
        put(&format!("from{day}"), "09:00");
        put(&format!("to{day}"), "18:00");
    }
    for (name, value) in [
        ("name", "夏の計画"),
        ("questionnaire", "recuperation@2"),
        ("time0", "09:30"),
        ("time1", "14:30"),
        ("holidays", "staff"),
        ("short_script", "after_first"),
        ("recording", "as_center"),
        ("trunk_group", ""),
        ("last_daytime_start", "15:00"),
        ("review_at", "16:00"),
        ("decide_at", "17:00"),
        ("escalate_at", "20:00"),
        ("night_at", "20:30"),
        ("night_escalate_at", "21:30"),
        ("tolerance", "90"),
        ("incomplete", "15"),
        ("trunk_fault", "3"),
        ("trunk_fault_longest", "15"),
        ("after_emergency", "120"),
        ("attempts", "3"),
        ("resumptions", "1"),
        ("next_phone_from", "2"),
        ("frail_after_attempts", "2"),
        ("absence_hours", "36"),
        ("no_answer0", "20"),
        ("busy0", "5"),
        ("busy1", "10"),
    ] {
        put(name, value);
    }
    for (name, value) in others {
        put(name, value);
    }
    let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    address::query(pairs.collect::<Vec<_>>())
}

async fn drafted(office: &Office, name: &str) -> CampaignId {
    let campaigns = office.within().campaigns(at(10, 0)).await.unwrap();
    campaigns.iter().find(|campaign| campaign.name == name).unwrap().id
}

async fn a_campaign_is_drafted_published_started_and_ended(office: Office) {
    let hana = office.scheduler().await;
    let form = address::query([("name", "夏の計画")]);
    assert_eq!(hana.post("/campaigns", &form).await.0, StatusCode::SEE_OTHER);
    let again = hana.post("/campaigns", &form).await;
    assert!(again.0 == StatusCode::CONFLICT && again.1.contains("同じ名前"), "{}", again.1);
    let id = drafted(&office, "夏の計画").await;
    let page = format!("/campaigns/{id}");
    let stands = || async { office.within().campaign(at(10, 0), id).await.unwrap() };
    assert_eq!((stands().await.state, stands().await.version.is_none()), (State::Draft, true));

    let (status, shown) = hana.get(&page).await;
    assert_eq!(status, StatusCode::OK);
    for part in ["夏の計画", "9:30", "9:51", "応答なし", "未応答一覧", "公開する(今すぐ)"]
    {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    assert!(!shown.contains("style="), "the Content-Security-Policy forbids it");

    assert_eq!(hana.post(&page, &terms(&[("then", "save")])).await.0, StatusCode::SEE_OTHER);
    assert!(stands().await.version.is_none(), "saving publishes nothing");
    let faulty = terms(&[("then", "now"), ("attempts", "0")]);
    assert_eq!(hana.post(&page, &faulty).await.0, StatusCode::SEE_OTHER);
    assert!(stands().await.version.is_none(), "terms with faults are not published");
    let (_, shown) = hana.get(&page).await;
    assert!(shown.contains("公開できません") && shown.contains("発信の回数は"), "{shown}");

    assert_eq!(hana.post(&page, &terms(&[("then", "now")])).await.0, StatusCode::SEE_OTHER);
    let version = stands().await.version.unwrap();
    assert_eq!((version.number, version.published_by.as_str()), (1, "職員 hana"));
    assert_eq!(version.terms.retry.busy.len(), 2);
    assert_eq!(stands().await.state, State::Ready);
    let later = terms(&[("then", "tomorrow"), ("tolerance", "60")]);
    assert_eq!(hana.post(&page, &later).await.0, StatusCode::SEE_OTHER);
    assert_eq!(stands().await.version.unwrap().number, 1, "the next one holds tomorrow");
    let (_, shown) = hana.get(&page).await;
    assert!(shown.contains("これから"), "{shown}");

    let act = format!("{page}/act");
    assert_eq!(hana.post(&act, "action=start").await.0, StatusCode::SEE_OTHER);
    assert_eq!(hana.post(&act, "action=start").await.0, StatusCode::CONFLICT, "it runs already");
    let silent = hana.post(&act, "action=pause&reason=+").await;
    assert_eq!(silent.0, StatusCode::UNPROCESSABLE_ENTITY, "where calls stop, somebody says why");
    for (action, state) in [
        ("pause&reason=maintenance", State::Paused),
        ("resume", State::Running),
        ("end&reason=over", State::Ended),
        ("archive", State::Archived),
    ] {
        assert_eq!(hana.post(&act, &format!("action={action}")).await.0, StatusCode::SEE_OTHER);
        assert_eq!(stands().await.state, state);
    }
    assert_eq!(hana.post(&act, "action=publish").await.0, StatusCode::NOT_FOUND);
    assert_eq!(hana.post(&page, &terms(&[])).await.0, StatusCode::CONFLICT, "it is over");
    assert_eq!(hana.post(&format!("{page}/copy"), "").await.0, StatusCode::SEE_OTHER);
    let copy = drafted(&office, "夏の計画(写し)").await;
    let copy = office.within().campaign(at(10, 0), copy).await.unwrap();
    assert_eq!(copy.draft.unwrap().cadence.tolerance.as_secs(), 3600, "of what was published last");
    for action in ["campaign.started", "campaign.paused", "campaign.ended", "campaign.archived"] {
        assert_eq!(office.audited(action).await, 1, "{action}");
    }
    assert_eq!(office.audited("campaign.published").await, 2);
}

async fn what_cannot_be_meant_is_not_saved(office: Office) {
    let hana = office.scheduler().await;
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let page = format!("/campaigns/{}", drafted(&office, "夏の計画").await);
    for (name, value) in [("to0", "23:00"), ("tolerance", "soon"), ("busy0", "1"), ("name", "")] {
        let (status, shown) = hana.post(&page, &terms(&[(name, value)])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}={value}");
        assert!(shown.contains("保存していません") && shown.contains("aria-invalid"), "{shown}");
        assert!(value.is_empty() || shown.contains(&format!("value=\"{value}\"")), "kept: {shown}");
    }
    assert_eq!(office.audited("campaign.saved").await, 0);
    let unnamed = hana.post("/campaigns", "name=+").await;
    assert_eq!(unnamed.0, StatusCode::UNPROCESSABLE_ENTITY);
}

async fn caps_hold_at_once_and_a_day_starts_by_itself(office: Office) {
    let hana = office.scheduler().await;
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let id = drafted(&office, "夏の計画").await;
    let page = format!("/campaigns/{id}");
    let (caps, day) = (format!("{page}/caps"), format!("{page}/start-day"));
    assert_eq!(hana.post(&caps, "lines=4&calls_per_minute=").await.0, StatusCode::SEE_OTHER);
    for wrong in ["lines=-1", "lines=many", "calls_per_minute=10001"] {
        assert_eq!(hana.post(&caps, wrong).await.0, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let over = hana.post(&day, "starts_on=2026-11-24").await;
    assert_eq!(over.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(hana.post(&day, "starts_on=2026-12-01").await.0, StatusCode::SEE_OTHER);
    let campaign = office.within().campaign(at(10, 0), id).await.unwrap();
    assert_eq!((campaign.caps.lines, campaign.caps.calls_per_minute), (Some(4), None));
    assert_eq!(campaign.starts_on, Some(date(2026, 12, 1)));
    assert!(hana.get("/campaigns").await.1.contains("2026-12-01"));
    assert_eq!(hana.post(&day, "starts_on=").await.0, StatusCode::SEE_OTHER);
    let campaign = office.within().campaign(at(10, 0), id).await.unwrap();
    assert_eq!(campaign.starts_on, None);
}

async fn the_first_campaign_is_paused_and_never_ended(office: Office) {
    office.store().ensure_campaigns(at(9, 0), &Terms::shipped()).await.unwrap();
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    let act = format!("/campaigns/{}/act", drafted(&office, "健康観察").await);
    let (status, page) = hana.post(&act, "action=end&reason=over").await;
    assert!(status == StatusCode::CONFLICT && page.contains("一時停止はできます"), "{page}");
    let (_, page) = hana.get("/campaigns").await;
    assert!(page.contains("実施中") && page.contains("<td class=\"number\">2</td>"), "{page}");
    assert!(!page.contains("value=\"end\""), "{page}");
    assert_eq!(hana.post(&act, "action=pause&reason=x").await.0, StatusCode::SEE_OTHER);
    assert!(hana.get("/campaigns").await.1.contains("一時停止"));
}

async fn a_draft_is_discarded_and_what_was_published_is_not(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA]).await;
    let patient = office.patient("A1").await.unwrap();
    let count = || async { office.within().campaigns(at(10, 0)).await.unwrap().len() };
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let id = drafted(&office, "夏の計画").await;
    let page = format!("/campaigns/{id}");
    let discard = format!("{page}/discard");
    assert!(hana.get(&page).await.1.contains("下書きを破棄"));

    // Somebody was put into it: they must not be left in no campaign that anybody knows.
    let put = as_it_is().replace("campaign=", &format!("campaign={id}"));
    hana.post(&format!("/patients/{patient}/arrangement"), &put).await;
    let (status, shown) = hana.post(&discard, "").await;
    assert!(status == StatusCode::CONFLICT && shown.contains("別の計画に移して"), "{shown}");
    assert_eq!(count().await, 1);
    hana.post(&format!("/patients/{patient}/arrangement"), &as_it_is()).await;

    // Of a campaign that is published only what is being written goes.
    assert_eq!(hana.post(&page, &terms(&[("then", "now")])).await.0, StatusCode::SEE_OTHER);
    assert_eq!(hana.post(&discard, "").await.0, StatusCode::CONFLICT, "there is no draft");
    hana.post(&page, &terms(&[("then", "save"), ("tolerance", "45")])).await;
    assert!(hana.get("/campaigns").await.1.contains("下書きあり"));
    assert_eq!(hana.post(&discard, "").await.0, StatusCode::SEE_OTHER);
    let campaign = office.within().campaign(at(10, 0), id).await.unwrap();
    assert!(campaign.draft.is_none() && campaign.version.is_some());
    assert_eq!(campaign.state, State::Ready);

    // One that never was goes as a whole; its name is free again, and the audit remembers it.
    hana.post("/campaigns", &address::query([("name", "冬の計画")])).await;
    let winter = drafted(&office, "冬の計画").await;
    let discard = format!("/campaigns/{winter}/discard");
    assert_eq!(hana.post(&discard, "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(hana.get(&format!("/campaigns/{winter}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(hana.post(&discard, "").await.0, StatusCode::NOT_FOUND);
    assert_eq!((count().await, office.audited("campaign.discarded").await), (1, 2));
    let again = hana.post("/campaigns", &address::query([("name", "冬の計画")])).await;
    assert_eq!(again.0, StatusCode::SEE_OTHER);
}

async fn what_nobody_has_is_neither_saved_nor_started(office: Office) {
    let hana = office.scheduler().await;
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let id = drafted(&office, "夏の計画").await;
    let page = format!("/campaigns/{id}");
    let (_, shown) = hana.get(&page).await;
    for choice in ["recuperation@2", "recuperation@1", "2026-11-26", "2026-11-01"] {
        assert!(shown.contains(&format!("<option value=\"{choice}\"")), "{choice} in {shown}");
    }
    for (name, value) in [("questionnaire", "school@1"), ("rules", "2020-01-01")] {
        let (status, shown) = hana.post(&page, &terms(&[(name, value), ("then", "now")])).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{name}={value}");
        for part in [format!("「{value}」はありません"), format!("{value}(ありません)")]
        {
            assert!(shown.contains(&part), "{part} in {shown}");
        }
    }
    let good = [("questionnaire", "recuperation@1"), ("rules", "2026-11-01"), ("then", "now")];
    assert_eq!(hana.post(&page, &terms(&good)).await.0, StatusCode::SEE_OTHER);
    let (_, shown) = hana.get(&page).await;
    assert!(
        shown.contains("問診票「recuperation@1」で尋ね、ルール「2026-11-01」で判定"),
        "{shown}"
    );
    let version = office.within().campaign(at(10, 0), id).await.unwrap().version.unwrap();
    assert_eq!(version.terms.rules.as_deref(), Some("2026-11-01"));

    // A file that was there when the terms were published, and is gone now.
    let gone = Terms { questionnaire: "school@1".to_owned(), ..(*version.terms).clone() };
    let entry = mimamori::registry::AuditEntry {
        actor: mimamori::registry::Actor::CommandLine,
        health_center: None,
        action: "campaign.changed",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    let change = CampaignChange { by: "試験", reason: "", entry: &entry };
    let within = office.within();
    within.save_draft(at(9, 0), id, "夏の計画", &gone, &change).await.unwrap();
    within.publish_campaign(at(9, 0), id, Effect::Now, &change).await.unwrap();
    let (status, shown) = hana.post(&format!("{page}/act"), "action=start").await;
    assert!(
        status == StatusCode::CONFLICT && shown.contains("選べるもの: recuperation@2"),
        "{shown}"
    );
    for path in [&page, "/campaigns", "/"] {
        let (_, shown) = hana.get(path).await;
        assert!(shown.contains("問診票「school@1」がないため"), "{path}: {shown}");
    }
    // Rules that are gone are replaced, and hold nobody back.
    let replaced = Terms { rules: Some("2020-01-01".to_owned()), ..(*version.terms).clone() };
    within.save_draft(at(9, 0), id, "夏の計画", &replaced, &change).await.unwrap();
    within.publish_campaign(at(9, 0), id, Effect::Now, &change).await.unwrap();
    let (status, shown) = hana.post(&format!("{page}/act"), "action=start").await;
    assert_eq!(status, StatusCode::SEE_OTHER, "{shown}");
}

async fn nobody_changes_a_campaign_of_another_centre(office: Office) {
    let hana = office.scheduler().await;
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let id = drafted(&office, "夏の計画").await;
    let page = format!("/campaigns/{id}");
    let stranger = office.person("yuki", Role::Scheduler, office.other).await;
    let engineer = office.person("eng", Role::Engineer, office.home).await;
    let auditor = office.person("aud", Role::Auditor, office.home).await;
    for (person, refused) in [
        (&stranger, StatusCode::NOT_FOUND),
        (&engineer, StatusCode::FORBIDDEN),
        (&auditor, StatusCode::FORBIDDEN),
    ] {
        assert_eq!(person.get(&page).await.0, refused, "{}", person.login);
        assert_eq!(person.post(&page, &terms(&[("then", "now")])).await.0, refused);
        for (verb, form) in [
            ("act", "action=archive"),
            ("discard", ""),
            ("copy", ""),
            ("caps", "lines=1"),
            ("start-day", ""),
        ] {
            let answer = person.post(&format!("{page}/{verb}"), form).await.0;
            assert_eq!(answer, refused, "{} {verb}", person.login);
        }
    }
    assert!(!stranger.get("/campaigns").await.1.contains("夏の計画"));
    assert_eq!(engineer.get("/campaigns").await.0, StatusCode::FORBIDDEN);
    let (status, _) = hana.post("/campaigns/nonsense/act", "action=start").await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    let campaign = office.within().campaign(at(10, 0), id).await.unwrap();
    assert_eq!((campaign.state, campaign.caps.lines), (State::Draft, None));
}

async fn the_lines_are_measured_from_the_calls_of_the_centre(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA]).await;
    let since = at(0, 0);
    assert_eq!(office.within().measured_calls(since).await.unwrap().calls, 0);
    office.called("A1").await;
    let measured = office.within().measured_calls(since).await.unwrap();
    assert_eq!(measured.calls, 0, "it is under way");
    assert!(office.within().lines_by_campaign().await.unwrap().is_empty(), "it has no campaign");
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let page = format!("/campaigns/{}", drafted(&office, "夏の計画").await);
    let (_, page) = hana.get(&page).await;
    assert!(page.contains("仮の値です"), "too few calls to measure: {page}");
}

async fn only_the_trunks_of_its_group_bear_a_campaign(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let page = format!("/campaigns/{}", drafted(&office, "夏の計画").await);
    for (node, group, lines) in [("one", None, 40), ("two", Some("city"), 2)] {
        let status = NodeStatus {
            node: node.to_owned(),
            at: at(10, 0),
            lines_in_use: 0,
            lines_limit: lines,
            calls_per_minute: 60,
            trunk: TrunkWord::Ready,
            prompts_complete: true,
            clock_ahead: None,
            last_error: String::new(),
        };
        let trunk = TrunkStatus {
            node: node.to_owned(),
            trunk: "ntt".to_owned(),
            group: group.map(str::to_owned),
            at: at(10, 0),
            state: TrunkWord::Ready,
            since: at(10, 0),
            registration: RegistrationWord::Registered,
            lines_in_use: 0,
            lines_limit: lines,
            last_error: None,
        };
        office.store().save_node_status(&status).await.unwrap();
        office.store().save_trunk_status(&trunk).await.unwrap();
    }
    for (group, shown) in [("", "÷ 42回線"), ("city", "÷ 2回線"), ("yama", "÷ 0回線")] {
        let form = terms(&[("then", "save"), ("trunk_group", group)]);
        assert_eq!(hana.post(&page, &form).await.0, StatusCode::SEE_OTHER);
        let (_, told) = hana.get(&page).await;
        assert!(told.contains(shown), "{group}: {told}");
        let warned = told.contains("回線グループ「yama」の回線が、いま動いていません");
        assert_eq!(warned, group == "yama", "{group}: {told}");
    }
}

async fn a_centre_is_closed_and_opened_again(office: Office) {
    let chief = office.person("chief", Role::Supervisor, office.home).await;
    let hana = office.scheduler().await;
    let close = address::query([("date", "2026-12-31"), ("reason", "年末年始")]);
    assert_eq!(hana.post("/settings/closures", &close).await.0, StatusCode::FORBIDDEN);
    assert_eq!(chief.post("/settings/closures", &close).await.0, StatusCode::SEE_OTHER);
    for wrong in ["date=2026-12-31&reason=+", "date=2026-11-24&reason=x", "date=soon&reason=x"] {
        let answer = chief.post("/settings/closures", wrong).await.0;
        assert_eq!(answer, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    let (_, page) = chief.get("/settings").await;
    assert!(page.contains("2026-12-31") && page.contains("年末年始"), "{page}");
    let closed = office.within().closures(at(10, 0)).await.unwrap();
    assert!(closed.special(date(2026, 12, 31)).is_some());
    let boss = office.person("boss", Role::Supervisor, office.other).await;
    assert!(!boss.get("/settings").await.1.contains("年末年始"), "the other centre is open");
    assert_eq!(chief.post("/settings/closures", "date=2026-12-31").await.0, StatusCode::SEE_OTHER);
    let open = office.within().closures(at(10, 0)).await.unwrap();
    assert_eq!(open.special(date(2026, 12, 31)), None);
    assert_eq!(
        (office.audited("center.closed").await, office.audited("center.opened").await),
        (1, 1)
    );
}

const EVERY_DAY: &str = "day0=1&day1=1&day2=1&day3=1&day4=1&day5=1&day6=1";

/// The form of what holds for everybody at first, and why.
fn as_it_is() -> String {
    let reason = address::query([("reason", "本人の希望")]);
    format!("campaign=&{EVERY_DAY}&tolerance=&channel=telephone&call0=1&{reason}")
}

/// A slot of the afternoon, as an earlier plan made it.
async fn afternoon(office: &Office, patient: PatientId) {
    let episode = office.within().episode_of(patient).await.unwrap().unwrap().id;
    let slot = NewSlot {
        episode,
        patient,
        date: date(2026, 11, 25),
        number: 1,
        due_from: at(14, 30),
        due_to: at(16, 0),
        kind: SlotKind::Planned,
        campaign: None,
        rest: None,
    };
    office.store().open_slots(at(9, 0), &[slot]).await.unwrap();
}

async fn an_arrangement_is_agreed_and_written_down(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    let patient = office.patient("A1").await.unwrap();
    let page = format!("/patients/{patient}/arrangement");
    afternoon(&office, patient).await;

    assert_eq!(hana.post(&page, &as_it_is()).await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.audited("patient.changed").await, 0, "nothing is new");
    for wrong in [
        "campaign=&channel=telephone&call0=1&reason=x",
        &as_it_is().replace("telephone", "fax"),
        &as_it_is().replace("tolerance=", "tolerance=5"),
        &format!("{}&ordered=1&doctor=+&why=x", as_it_is()),
        &format!("{}&ordered=1&doctor=x&why=", as_it_is()),
        &as_it_is().replace("campaign=", "campaign=nonsense"),
        &format!("campaign=&{EVERY_DAY}&channel=web&call0=1&reason=+"),
    ] {
        let (status, shown) = hana.post(&page, wrong).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
        assert!(shown.contains("field-fault") || shown.contains("-fault"), "{wrong}");
    }
    let stranger = office.person("yuki", Role::Scheduler, office.other).await;
    let auditor = office.person("aud", Role::Auditor, office.home).await;
    assert_eq!(stranger.post(&page, &as_it_is()).await.0, StatusCode::NOT_FOUND);
    assert_eq!(auditor.post(&page, &as_it_is()).await.0, StatusCode::FORBIDDEN);

    // The 9:30 of the list, within 45 minutes: today's slot moves there.
    let sooner = as_it_is().replace("tolerance=", "tolerance=45");
    assert_eq!(hana.post(&page, &sooner).await.0, StatusCode::SEE_OTHER);
    let slots = office.store().slots_of(patient, date(2026, 11, 25)).await.unwrap();
    assert_eq!((slots[0].due_from, slots[0].due_to), (at(9, 30), at(10, 15)));

    hana.post("/campaigns", &address::query([("name", "夏の計画")])).await;
    let summer = drafted(&office, "夏の計画").await;
    stranger.post("/campaigns", &address::query([("name", "よその計画")])).await;
    let theirs = office.store().within(Scope { center: office.other, clinic: None });
    let theirs = theirs.campaigns(at(10, 0)).await.unwrap().remove(0).id;
    let foreign = sooner.replace("campaign=", &format!("campaign={theirs}"));
    assert_eq!(hana.post(&page, &foreign).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let said = [("doctor", "山田医師"), ("why", "安静のため"), ("reason", "往診で相談")];
    let weekdays = "day0=1&day1=1&day2=1&day3=1&day4=1";
    let form = format!(
        "campaign={summer}&{weekdays}&tolerance=60&channel=staff&ordered=1&{}",
        address::query(said)
    );
    assert_eq!(hana.post(&page, &form).await.0, StatusCode::SEE_OTHER);
    let arrangement = office.within().episode_of(patient).await.unwrap().unwrap().arrangement;
    assert_eq!(arrangement.campaign, Some(summer));
    assert_eq!((arrangement.weekdays.bits(), arrangement.channel), (0b1_1111, Channel::Staff));
    assert_eq!(arrangement.held(), Some(Held::DoctorsOrder));
    let known = office.within().patient(patient).await.unwrap();
    assert!(known.callable().is_empty(), "the number has no consent any more");
    assert_eq!(office.audited("patient.changed").await, 1 + 6);
    let (_, plan) = hana.get("/plan").await;
    assert!(plan.contains("自動で発信しない") && plan.contains("医師の指示"), "{plan}");
    office.store().roll_health(at(10, 0)).await.unwrap();
    let nurse = office.person("nurse", Role::Nurse, office.home).await;
    let (_, list) = nurse.get("/health").await;
    assert!(list.contains("自動で発信しない") && list.contains("医師の指示"), "{list}");
    let (_, shown) = hana.get(&format!("/patients/{patient}")).await;
    for part in [
        "電話への同意",
        "同意なし・発信しない",
        "架電する曜日",
        "月火水木金",
        "職員の電話",
        "山田医師: 安静のため (往診で相談)",
        "自動の電話はかけません(医師の指示)",
        "夏の計画",
        "職員 hana",
    ] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
}

async fn what_is_no_longer_agreed_to_is_not_called(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    let patient = office.patient("A1").await.unwrap();
    let page = format!("/patients/{patient}/arrangement");
    afternoon(&office, patient).await;
    let store = office.store();
    let slot = store.slots_of(patient, date(2026, 11, 25)).await.unwrap()[0].id;
    let phone = office.within().patient(patient).await.unwrap().phones[0].number.clone();
    let made = || async { store.attempts_of_day(date(2026, 11, 25)).await.unwrap() };
    let wait = || async {
        let number = u32::try_from(made().await.len()).unwrap() + 1;
        let planned = PlannedAttempt {
            slot,
            number,
            phone: phone.clone(),
            due_at: at(14, 30),
            campaign: None,
            priority: Precedence::First,
        };
        store.add_attempt(at(10, 0), &planned).await.unwrap().unwrap()
    };
    let claimant = Claimant {
        node: "a".to_owned(),
        lease: Duration::from_secs(30),
        grace: Duration::from_hours(3),
        only: None,
        trunk: "main".to_owned(),
        trunk_group: None,
        questionnaires: Questionnaires::shipped().keys().clone(),
    };
    let claimed = || async { store.claim_due(at(14, 30), &claimant, 9).await.unwrap().len() };
    for (change, what) in [
        (as_it_is().replace("telephone", "web"), "a way"),
        (as_it_is().replace("&call0=1", ""), "a consent"),
        (format!("{}&ordered=1&doctor=x&why=x", as_it_is()), "an order"),
    ] {
        wait().await;
        assert_eq!(hana.post(&page, &change).await.0, StatusCode::SEE_OTHER);
        let is_dropped = |one: &AttemptOfDay| one.attempt.state == AttemptState::Dropped;
        assert!(made().await.iter().all(is_dropped), "{what} drops it");
        // One that was planned a moment before the change was stored.
        wait().await;
        assert_eq!(claimed().await, 0, "{what}");
        let is_dropped = |one: &AttemptOfDay| one.attempt.state == AttemptState::Dropped;
        assert!(made().await.iter().all(is_dropped), "{what}");
        assert_eq!(hana.post(&page, &as_it_is()).await.0, StatusCode::SEE_OTHER);
    }
    wait().await;
    assert_eq!(claimed().await, 1, "all is agreed again");
}

#[tokio::test]
async fn campaigns_are_seen_and_stopped_at_the_command_line() {
    let host = Host::new();
    let url = format!("sqlite://{}", host.file().join("mimamori.db").display());
    let store = Store::open(&url, [7; 32]).await.unwrap();
    let center = HealthCenter {
        id: store.mint(at(0, 0)),
        code: "minato".to_owned(),
        name: "みなと保健所".to_owned(),
        kana: "ミナトホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(9, 0, 0, 0),
        closes_at: time(18, 0, 0, 0),
    };
    store.save_health_center(at(0, 0), &center).await.unwrap();
    store.ensure_campaigns(at(0, 0), &Terms::shipped()).await.unwrap();
    let other = HealthCenter { id: store.mint(at(0, 0)), code: "yama".to_owned(), ..center };
    store.save_health_center(at(0, 0), &other).await.unwrap();
    let asks_what_is_gone = Terms { questionnaire: "own@1".to_owned(), ..Terms::shipped() };
    store.ensure_campaigns(at(0, 0), &asks_what_is_gone).await.unwrap();
    store.close().await;

    let list = host.good(&["campaign", "--center", "minato", "list"]);
    assert!(list.contains("健康観察\t実施中 / running"), "{list}");
    let shown = host.good(&["campaign", "--center", "minato", "show", "健康観察"]);
    assert!(shown.contains("\"review_at\": \"16:00:00\""), "{shown}");
    let pause = ["campaign", "--center", "minato", "pause", "健康観察"];
    assert!(host.bad(&pause).contains("--reason"), "where calls stop, somebody says why");
    let paused = host.good(&[&pause[..], &["--reason", "点検"]].concat());
    assert!(paused.contains("paused"), "{paused}");
    for (arguments, expected) in [
        (vec!["start", "健康観察"], "cannot do this"),
        (vec!["end", "健康観察", "--reason", "x"], "cannot end"),
        (vec!["start", "夏の計画"], "no such campaign"),
        (vec!["discard", "健康観察"], "there is no draft"),
    ] {
        let told = host.bad(&[&["campaign", "--center", "minato"], &arguments[..]].concat());
        assert!(told.contains(expected), "{arguments:?}: {told}");
    }
    let told = host.bad(&["campaign", "--center", "kita", "list"]);
    assert!(told.contains("no such health centre"), "{told}");
    assert!(
        host.good(&["campaign", "--center", "minato", "resume", "健康観察"]).contains("running")
    );
    host.good(&["campaign", "--center", "yama", "pause", "健康観察", "--reason", "点検"]);
    let settings = "[[health_center]]\ncode = \"yama\"\nname = \"やま保健所\"\n\
        kana = \"ヤマホケ'ンジョ\"\ndesk_phone = \"03-0000-0000\"\n";
    fs::write(host.file().join("mimamori.toml"), settings).unwrap();
    let told = host.bad(&["campaign", "--center", "yama", "resume", "健康観察"]);
    assert!(told.contains("cannot begin without the questionnaire own@1"), "{told}");
    let chain = host.good(&["audit", "export"]);
    assert!(chain.contains("\"campaign.paused\"") && chain.contains("\"campaign.resumed\""));
}
