//! 今日 and 健康状態一覧 as pages: who may see and do what, and what is never left blank.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use jiff::{SignedDuration, Timestamp};
use mimamori::base::id::ClinicId;
use mimamori::base::{Clock, Now};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::escalation::Priority;
use mimamori::ivr::{Answer, YesNo};
use mimamori::registry::audit::hex;
use mimamori::registry::{Role, Staff};
use mimamori::store::{
    AuditFilter, NodeStatus, RegistrationWord, SignedIn, Stage, TrunkStatus, TrunkWord,
};
use mimamori::web::{self, Desk};
use sha2::{Digest, Sha256};

use crate::health::{DAY, Town, at, claimant, number};
use crate::staff::{entry, hire, member};
use crate::store::Database;

/// The console of a town at noon.
struct Desktop {
    town: Town,
    pages: Router,
}

/// What came back.
struct Page {
    status: StatusCode,
    to: Option<String>,
    bytes: Vec<u8>,
}

impl Page {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.bytes).unwrap()
    }

    #[track_caller]
    fn has(&self, words: &[&str]) {
        for word in words {
            assert!(self.text().contains(word), "{word} is missing in:\n{}", self.text());
        }
    }

    #[track_caller]
    fn lacks(&self, words: &[&str]) {
        for word in words {
            assert!(!self.text().contains(word), "{word} is in:\n{}", self.text());
        }
    }
}

const NOON: (i8, i8) = (12, 0);

impl Desktop {
    async fn new(database: &Database, n: u32) -> Self {
        let town = Town::new(database, n).await;
        let instant = tokio::time::Instant::now().into_std();
        let now = Now { instant, timestamp: at(NOON.0, NOON.1) };
        let desk =
            Desk::silent(town.store.clone(), Clock::new(move || now), web::Config::shipped())
                .unwrap();
        let desktop = Self { pages: web::router(desk), town };
        for role in Role::ALL {
            desktop.sign_in(role, None).await;
        }
        desktop
    }

    async fn sign_in(&self, role: Role, clinic: Option<ClinicId>) {
        let (store, now) = (&self.town.store, at(NOON.0, NOON.1));
        let word = role.as_str();
        let staff = hire(
            store,
            now,
            Staff {
                name: "職員".to_owned().into(),
                clinic,
                has_second_factor: true,
                ..member(
                    store,
                    now,
                    &clinic.map_or(word.to_owned(), |_| format!("{word}-2")),
                    role,
                    role.sees_patients().then_some(self.town.center.id),
                )
            },
        )
        .await;
        let signed_in = SignedIn {
            token: hex(&Sha256::digest(&staff.login)),
            csrf: "right".to_owned().into(),
            stage: Stage::Full,
            created_at: now,
            seen_at: now,
            address: "::1".to_owned(),
            agent: "test".to_owned(),
            staff,
        };
        store.begin_session(now, &signed_in, &entry("session.begun")).await.unwrap();
    }

    async fn ask(&self, who: &str, request: Request<Body>) -> Response<Body> {
        let (mut parts, body) = request.into_parts();
        parts.headers.insert("cookie", format!("__Host-mimamori={who}").parse().unwrap());
        let request = Request::from_parts(parts, body);
        tower::ServiceExt::oneshot(self.pages.clone(), request).await.unwrap()
    }

    async fn get(&self, who: &str, path: &str) -> Page {
        let request = Request::get(path).body(Body::empty()).unwrap();
        page(self.ask(who, request).await).await
    }

    async fn post(&self, who: &str, path: &str, form: &str) -> Page {
        let request = Request::post(path)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(Body::from(form.to_owned()))
            .unwrap();
        page(self.ask(who, request).await).await
    }

    async fn actions(&self) -> Vec<String> {
        let events = self.town.store.audit_events(&AuditFilter::default(), 100).await.unwrap();
        events.into_iter().map(|event| event.action).collect()
    }
}

async fn page(response: Response<Body>) -> Page {
    let status = response.status();
    let to = response.headers().get("location").map(|to| to.to_str().unwrap().to_owned());
    let bytes = to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec();
    Page { status, to, bytes }
}

fn node(at: Timestamp) -> NodeStatus {
    NodeStatus {
        node: "one".to_owned(),
        at,
        lines_in_use: 0,
        lines_limit: 8,
        calls_per_minute: 60,
        trunk: TrunkWord::Ready,
        prompts_complete: true,
        clock_ahead: None,
        last_error: String::new(),
    }
}

#[tokio::test]
async fn a_nurse_reads_in_a_row_what_to_do() {
    let desktop = Desktop::new(&Database::sqlite(), 4).await;
    let (town, store) = (&desktop.town, &desktop.town.store);
    store.save_node_status(&node(at(12, 0))).await.unwrap();
    let yesterday = at(9, 0) - SignedDuration::from_hours(24);
    town.report(0, yesterday, &[("temperature", Answer::Number(371))]).await;
    town.report(
        0,
        at(9, 0),
        &[
            ("temperature", Answer::Number(385)),
            ("spo2", Answer::Number(66)),
            ("dyspnea", Answer::Choice(YesNo::Yes)),
            ("cough", Answer::Choice(YesNo::Unknown)),
            ("fatigue", Answer::Choice(YesNo::No)),
        ],
    )
    .await;
    town.concern(0, Priority::P1, at(9, 1)).await;
    let slot = town.slot(1, DAY).await;
    let phone = number(2);
    let planned = PlannedAttempt {
        slot,
        number: 1,
        phone,
        due_at: at(10, 20),
        campaign: None,
        priority: Precedence::First,
    };
    store.add_attempt(at(9, 0), &planned).await.unwrap();
    let slot = town.slot(2, DAY).await;
    store.close_slot(at(9, 30), slot, SlotState::Unreached, None).await.unwrap();

    let list = desktop.get("nurse", "/health").await;
    assert_eq!(list.status, StatusCode::OK);
    list.has(&[
        "緊急",
        "神崎 花1",
        "A0001",
        "76歳",
        "38.5",
        "▲1.4",
        "入力誤りの可能性",
        "息苦しさ",
        "せき 不明",
        "Web",
        "9:00",
        "未着手",
        "担当になる",
        "未報告",
        // Who has not reported is never blank: what follows, and when.
        "次回架電 10:20",
        "残り3回",
        "12:00に要確認へ",
        "職員が連絡",
        "本日の架電予定なし",
    ]);
    list.lacks(&["だるさ"]);
    let first = list.text().find("神崎 花1").unwrap();
    assert!(list.text().find("神崎 花2").unwrap() > first, "the urgent patient comes first");
    assert!(desktop.actions().await.contains(&"health.listed".to_owned()));

    let masked = desktop.get("nurse", "/health?mask=1").await;
    masked.has(&["神●●"]);
    masked.lacks(&["花1", "カンザキ"]);
    desktop.get("nurse", "/health?view=unreported").await.lacks(&["神崎 花1"]);
    desktop.get("nurse", "/health?q=0003").await.lacks(&["神崎 花1"]);
    let matrix = desktop.get("nurse", "/health/matrix?days=14").await;
    matrix.has(&["11/23 月", "済", "要注意", "未応答", "対象外"]);
    assert_eq!(matrix.text().matches("scope=\"col\"").count(), 16);
}

#[tokio::test]
async fn nobody_without_the_right_sees_the_list() {
    let desktop = Desktop::new(&Database::sqlite(), 2).await;
    for (who, expected) in [
        ("nurse", StatusCode::OK),
        ("supervisor", StatusCode::OK),
        ("scheduler", StatusCode::FORBIDDEN),
        ("engineer", StatusCode::FORBIDDEN),
        ("auditor", StatusCode::FORBIDDEN),
        ("administrator", StatusCode::FORBIDDEN),
        // Without a clinic its member sees nothing.
        ("clinic", StatusCode::FORBIDDEN),
        ("nobody", StatusCode::SEE_OTHER),
    ] {
        for path in ["/health", "/health/matrix"] {
            assert_eq!(desktop.get(who, path).await.status, expected, "{who} {path}");
        }
    }
    for who in ["engineer", "auditor", "administrator"] {
        assert_eq!(desktop.get(who, "/live").await.status, StatusCode::FORBIDDEN, "{who}");
        let today = desktop.get(who, "/").await;
        assert_eq!(today.status, StatusCode::OK, "{who}");
        today.lacks(&["神", "A000", "data-live"]);
    }
}

#[tokio::test]
async fn an_export_is_masked_and_on_record() {
    let desktop = Desktop::new(&Database::sqlite(), 3).await;
    desktop.town.report(0, at(9, 0), &[("temperature", Answer::Number(385))]).await;
    let form = "csrf=right&view=&q=&encoding=utf8";
    assert_eq!(desktop.post("nurse", "/health/export", form).await.status, StatusCode::FORBIDDEN);
    assert!(!desktop.actions().await.contains(&"health.exported".to_owned()));
    let csv = desktop.post("supervisor", "/health/export", form).await;
    assert_eq!(csv.status, StatusCode::OK);
    assert!(csv.text().starts_with("\u{feff}優先,管理番号,氏名"));
    csv.has(&["神●●", "A0003", "38.5", "\r\n"]);
    csv.lacks(&["花", "カンザキ", "+81", "1950"]);
    assert!(desktop.actions().await.contains(&"health.exported".to_owned()));
    let form = "csrf=right&view=unreported&q=&encoding=cp932";
    let csv = desktop.post("supervisor", "/health/export", form).await;
    let (text, _, is_broken) = encoding_rs::SHIFT_JIS.decode(&csv.bytes);
    assert!(!is_broken && text.contains("未報告") && !text.contains("A0001"), "{text}");
}

#[tokio::test]
async fn everything_is_stopped_and_begun_again_by_those_who_may() {
    let desktop = Desktop::new(&Database::sqlite(), 1).await;
    let (town, store) = (&desktop.town, &desktop.town.store);
    store.save_node_status(&node(at(12, 0))).await.unwrap();
    desktop.get("scheduler", "/").await.has(&[
        "架電できます",
        "すべての架電を止める",
        "試験通話",
        "今日はまだありません",
    ]);
    let test = |number: &str| format!("csrf=right&number={number}");
    for (who, form, status) in [
        ("nurse", test("090-8765-4321"), StatusCode::FORBIDDEN),
        ("supervisor", test("119"), StatusCode::UNPROCESSABLE_ENTITY),
        ("supervisor", test(&number(1).national()), StatusCode::CONFLICT),
        ("supervisor", test("090-8765-4321"), StatusCode::SEE_OTHER),
        ("supervisor", test("090-8765-4321"), StatusCode::CONFLICT),
    ] {
        assert_eq!(desktop.post(who, "/calls/test", &form).await.status, status, "{who} {form}");
    }
    desktop.get("scheduler", "/").await.has(&["発信待ち", "…21"]);
    let slot = town.slot(0, DAY).await;
    let planned = PlannedAttempt {
        slot,
        number: 1,
        phone: number(1),
        due_at: at(9, 0),
        campaign: None,
        priority: Precedence::First,
    };
    store.add_attempt(at(9, 0), &planned).await.unwrap();

    let stop = |csrf: &str, reason: &str| format!("csrf={csrf}&reason={reason}");
    for (who, form, expected) in [
        ("nurse", stop("wrong", "x"), StatusCode::FORBIDDEN),
        ("auditor", stop("right", "x"), StatusCode::FORBIDDEN),
        ("nurse", stop("right", "+"), StatusCode::UNPROCESSABLE_ENTITY),
    ] {
        assert_eq!(desktop.post(who, "/calls/stop", &form).await.status, expected, "{who} {form}");
        assert!(store.dialing().await.unwrap().is_running);
    }
    assert_eq!(desktop.get("nurse", "/calls/stop").await.status, StatusCode::OK);
    let stopped = desktop.post("nurse", "/calls/stop", &stop("right", "wrong+list")).await;
    assert_eq!((stopped.status, stopped.to.as_deref()), (StatusCode::SEE_OTHER, Some("/")));
    assert!(store.claim_due(at(9, 1), &claimant(), 1).await.unwrap().is_empty());
    for (who, path) in [("nurse", "/health"), ("auditor", "/")] {
        desktop.get(who, path).await.has(&["架電を停止しています", "wrong list"]);
    }
    desktop.get("nurse", "/").await.lacks(&["架電を再開する</a>"]);
    // Test calls are stopped, too: the one that waited is over, and none is asked for.
    let page = desktop.get("supervisor", "/").await;
    page.has(&["中止(架電の停止)", "試験通話もかけません"]);
    page.lacks(&["職員の電話で試す"]);
    let refused = desktop.post("supervisor", "/calls/test", &test("090-8765-4321")).await;
    assert_eq!(refused.status, StatusCode::CONFLICT);
    refused.has(&["試験通話もかけません", "mimamori resume"]);

    let begin = stop("right", "corrected");
    let refused = desktop.post("nurse", "/calls/start", &begin).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN, "who may stop may not begin");
    desktop.get("scheduler", "/").await.has(&["架電を再開する"]);
    desktop.post("scheduler", "/calls/start", &begin).await;
    assert_eq!(store.claim_due(at(9, 1), &claimant(), 1).await.unwrap().len(), 1);
    let actions = desktop.actions().await;
    assert!(actions.contains(&"calls.stopped".to_owned()));
    assert!(actions.contains(&"calls.started".to_owned()));
}

#[tokio::test]
async fn the_day_says_why_no_call_can_be_placed() {
    let desktop = Desktop::new(&Database::sqlite(), 1).await;
    let store = &desktop.town.store;
    desktop.get("nurse", "/").await.has(&["架電サービスが動いていません"]);
    let failed = NodeStatus {
        trunk: TrunkWord::Failed,
        last_error: "登録を拒否されました(403)".to_owned(),
        ..node(at(12, 0))
    };
    store.save_node_status(&failed).await.unwrap();
    desktop.get("nurse", "/").await.has(&["回線が不通です", "403"]);
    store.save_node_status(&node(at(11, 50))).await.unwrap();
    let silent = desktop.get("nurse", "/").await;
    silent.has(&["架電サービスが動いていません", "応答なし", "11/23 11:50"]);
    store.save_node_status(&node(at(12, 0))).await.unwrap();
    desktop.get("nurse", "/").await.has(&["架電できます"]);
}

/// A trunk of the node `one`, refused.
fn refused_trunk(at: Timestamp) -> TrunkStatus {
    TrunkStatus {
        node: "one".to_owned(),
        trunk: "ntt-hikari".to_owned(),
        group: None,
        at,
        state: TrunkWord::Failed,
        since: at,
        registration: RegistrationWord::Refused,
        lines_in_use: 0,
        lines_limit: 2,
        last_error: Some(("登録を拒否されました(403)".to_owned(), at)),
    }
}

#[tokio::test]
async fn an_engineer_reads_what_keeps_calls_from_going_out_and_no_patient() {
    let desktop = Desktop::new(&Database::sqlite(), 2).await;
    let (town, store) = (&desktop.town, &desktop.town.store);
    town.concern(0, Priority::P1, at(9, 0)).await;
    let episode = &town.people[1].1;
    let slot = NewSlot {
        episode: episode.id,
        patient: episode.patient,
        date: DAY,
        number: 1,
        due_from: at(9, 0),
        due_to: at(14, 0),
        kind: SlotKind::Planned,
        campaign: None,
        rest: None,
    };
    store.open_slots(at(9, 0), &[slot]).await.unwrap();
    let failed = NodeStatus { trunk: TrunkWord::Failed, ..node(at(12, 0)) };
    store.save_trunk_status(&refused_trunk(at(12, 0))).await.unwrap();
    store.save_node_status(&failed).await.unwrap();
    for who in ["engineer", "administrator"] {
        for path in ["/cases", "/cases/list"] {
            let page = desktop.get(who, path).await;
            page.has(&["システム", "回線 ntt-hikari", "12:00 から不通", "403", "href=\"/trunks\""]);
            page.lacks(&["神崎", "A0001", "SpO2", "緊急</h2>", "/patients/"]);
        }
        for path in ["/handover", "/cases/list/x", "/health", "/patients"] {
            assert_ne!(desktop.get(who, path).await.status, StatusCode::OK, "{who} {path}");
        }
    }
    desktop.get("engineer", "/cases").await.has(&["時刻を過ぎても架電していない方: 1件"]);
    assert!(desktop.actions().await.contains(&"system.viewed".to_owned()));
    let supervisor = desktop.get("supervisor", "/cases").await;
    supervisor.has(&["システム", "回線 ntt-hikari", "神崎"]);
    desktop.get("nurse", "/cases").await.lacks(&["ntt-hikari"]);
    for who in ["scheduler", "auditor"] {
        assert_eq!(desktop.get(who, "/cases").await.status, StatusCode::FORBIDDEN, "{who}");
        assert_eq!(desktop.get(who, "/cases/list").await.status, StatusCode::FORBIDDEN, "{who}");
    }
}

#[tokio::test]
async fn each_trunk_says_how_it_is_and_what_to_do() {
    let desktop = Desktop::new(&Database::sqlite(), 0).await;
    let store = &desktop.town.store;
    store.save_trunk_status(&refused_trunk(at(11, 59))).await.unwrap();
    let well = TrunkStatus {
        trunk: "kddi".to_owned(),
        state: TrunkWord::Ready,
        registration: RegistrationWord::Registered,
        lines_limit: 30,
        last_error: None,
        ..refused_trunk(at(11, 59))
    };
    store.save_trunk_status(&well).await.unwrap();
    // Its name is not in the configuration any more: the node says nothing of it.
    let gone = TrunkStatus { trunk: "gone".to_owned(), ..refused_trunk(at(11, 50)) };
    store.save_trunk_status(&gone).await.unwrap();
    store.save_node_status(&node(at(11, 59))).await.unwrap();
    let page = desktop.get("engineer", "/trunks").await;
    page.has(&["ntt-hikari", "拒否されました", "0 / 2", "403", "ユーザー名とパスワード"]);
    page.has(&["kddi", "登録済み", "0 / 30"]);
    page.lacks(&["gone"]);
    store.save_trunk_status(&refused_trunk(at(11, 50))).await.unwrap();
    store.save_node_status(&node(at(11, 50))).await.unwrap();
    desktop.get("engineer", "/trunks/state").await.has(&["応答なし", "1分以上連絡がありません"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_watches_is_told_at_once_and_of_their_own_centre() {
    let desktop = Desktop::new(&Database::sqlite(), 3).await;
    let (town, store) = (&desktop.town, &desktop.town.store);
    let slot = town.slot(0, DAY).await;
    let request = Request::get("/live").body(Body::empty()).unwrap();
    let mut stream = desktop.ask("nurse", request).await.into_body();
    let mut heard = String::new();
    hear(&mut stream, &mut heard, "event: calls").await;
    for word in ["event: dialing", "event: health", "\"all\":3", "通話中の電話はありません"]
    {
        assert!(heard.contains(word), "{word} is missing in {heard}");
    }
    let planned = PlannedAttempt {
        slot,
        number: 1,
        phone: number(1),
        due_at: at(9, 0),
        campaign: None,
        priority: Precedence::First,
    };
    store.add_attempt(at(9, 0), &planned).await.unwrap();
    store.claim_due(at(9, 0), &claimant(), 1).await.unwrap();
    hear(&mut stream, &mut heard, "神●●").await;
    assert!(heard.contains("呼出中") && !heard.contains("花1"), "{heard}");
}

/// Reads until a word was heard.
async fn hear(stream: &mut Body, heard: &mut String, word: &str) {
    let reading = async {
        while !heard.contains(word) {
            let frame = stream.frame().await.unwrap().unwrap();
            heard.push_str(std::str::from_utf8(&frame.into_data().unwrap()).unwrap());
        }
    };
    tokio::time::timeout(Duration::from_secs(20), reading).await.expect(word);
}

#[tokio::test]
async fn a_view_is_kept_as_a_tab_of_its_own() {
    let desktop = Desktop::new(&Database::sqlite(), 1).await;
    let form = "csrf=right&name=%E6%9C%9D&view=fever&q=&mask=1";
    let saved = desktop.post("nurse", "/health/views", form).await;
    assert_eq!(saved.to.as_deref(), Some("/health?view=fever&mask=1"));
    desktop.get("nurse", "/health").await.has(&["★ 朝", "/health?view=fever&amp;mask=1"]);
    desktop.get("supervisor", "/health").await.lacks(&["★ 朝"]);
    desktop.post("nurse", "/health/views/remove", "csrf=right&name=%E6%9C%9D").await;
    desktop.get("nurse", "/health").await.lacks(&["★ 朝"]);
}

/// A page that is full, of people of whom there is everything to say.
#[tokio::test]
async fn a_full_page_weighs_less_than_200_kilobytes() {
    let desktop = Desktop::new(&Database::sqlite(), 52).await;
    let town = &desktop.town;
    for n in 0..52 {
        for back in [2, 1, 0] {
            let then = at(9, 0) - SignedDuration::from_hours(24 * back);
            let yes = Answer::Choice(YesNo::Yes);
            let values = [
                ("temperature", Answer::Number(380)),
                ("spo2", Answer::Number(92)),
                ("dyspnea", yes),
                ("cough", yes),
                ("fatigue", yes),
                ("nausea", Answer::Choice(YesNo::Unknown)),
            ];
            town.report(n, then, &values).await;
        }
        town.concern(n, Priority::P2, at(9, 1)).await;
        town.slot(n, DAY).await;
    }
    for path in ["/", "/health", "/health/matrix?days=14"] {
        let page = desktop.get("nurse", path).await;
        assert_eq!(page.status, StatusCode::OK);
        assert!(page.bytes.len() < 200_000, "{path}: {} bytes", page.bytes.len());
    }
    desktop.get("nurse", "/health").await.has(&["rel=\"next\""]);
}
