//! What a nurse, and those who are none, can do in the console: cases, calls and their sound, asked
//! over HTTP as a browser asks.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::fs;
use std::net::SocketAddr;
use std::slice;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response, StatusCode};
use http_body_util::BodyExt;
use mimamori::base::id::{AttemptId, CaseId, PatientId};
use mimamori::base::{Clock, Now};
use mimamori::call::Disposition;
use mimamori::campaign::SlotState;
use mimamori::escalation::{Deed, Outcome, Priority};
use mimamori::ivr::Answer;
use mimamori::recording::seal::{CHUNK_BYTES, Place, Seal};
use mimamori::recording::{Archive, CenterKey, View};
use mimamori::registry::audit::hex;
use mimamori::registry::{Right, Role, Staff};
use mimamori::store::{AuditFilter, Evaluated, NewRecording, SignedIn, Stage};
use mimamori::tape::{Keep, Mark, MarkKind, Policy, Scope};
use mimamori::web::{self, Desk};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::recordings;
use crate::staff::{self, hire, member};
use crate::store::{Database, District, at, entry, observation, outcome};

/// A centre with one urgent case whose call was recorded, and its console.
struct Centre {
    district: District,
    desk: Desk,
    patient: PatientId,
    attempt: AttemptId,
    case: CaseId,
    _folder: TempDir,
    _database: Database,
}

/// Half a minute, every sample of both lanes at its place.
const SAMPLES: usize = 8000 * 30;

impl Centre {
    async fn open() -> Self {
        let database = Database::sqlite();
        let district = District::new(&database).await;
        let store = &district.store;
        let (patient, _, attempt) = district.talking(1).await;
        district.answer(attempt, &entry(0, "temperature", Answer::Number(378))).await;
        district.answer(attempt, &entry(1, "spo2", Answer::Number(92))).await;
        let mut seen = observation(store, patient, (attempt, 1));
        "spo2".clone_into(&mut seen.code);
        seen.value = Answer::Number(92);
        let keys = [(attempt, 0), (attempt, 1)];
        store.save_observations(at(9, 3), &keys, slice::from_ref(&seen)).await.unwrap();
        let over = outcome(Disposition::Answered, SlotState::Reported);
        store.finish_attempt(at(9, 5), attempt, &over).await.unwrap();
        let mut low = District::fact("spo2-low", Priority::P1, attempt, 1);
        "SpO2 92%".clone_into(&mut low.text);
        let judged = Evaluated { attempts: vec![attempt], ..Evaluated::default() };
        let change = store.add_facts(at(9, 5), patient, &[low], &judged).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let archive = Archive::open(&recordings::config(folder.path())).unwrap();
        record(&district, &archive, attempt).await;
        let desk = Desk {
            archive: Some(archive),
            ..Desk::silent(store.clone(), ten_past_nine(), web::Config::shipped()).unwrap()
        };
        Self {
            patient,
            attempt,
            case: change.case().unwrap(),
            desk,
            district,
            _folder: folder,
            _database: database,
        }
    }

    /// Somebody who is signed in.
    async fn somebody(&self, login: &str, role: Role) -> Person<'_> {
        let home = self.district.center.id;
        let needs_center = role.sees_patients().then_some(home);
        self.person(login, role, needs_center).await
    }

    async fn person(
        &self,
        login: &str,
        role: Role,
        health_center: Option<mimamori::base::id::HealthCenterId>,
    ) -> Person<'_> {
        let store = &self.district.store;
        let staff = hire(
            store,
            at(0, 0),
            Staff {
                has_second_factor: true,
                ..member(store, at(0, 0), login, role, health_center)
            },
        )
        .await;
        let signed_in = SignedIn {
            token: hex(&Sha256::digest(login.as_bytes())),
            csrf: format!("csrf-{login}").into(),
            stage: Stage::Full,
            created_at: at(9, 0),
            seen_at: at(9, 10),
            address: "127.0.0.1".to_owned(),
            agent: String::new(),
            staff: staff.clone(),
        };
        store.begin_session(at(9, 0), &signed_in, &staff::entry("session.begun")).await.unwrap();
        Person { centre: self, login: login.to_owned(), staff }
    }

    async fn audited(&self, action: &str) -> Vec<(Option<PatientId>, String, String)> {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let mut events = self.district.store.audit_events(&filter, 100).await.unwrap();
        events.reverse();
        events.into_iter().map(|event| (event.patient, event.object, event.detail)).collect()
    }
}

/// A clock that stands still.
#[expect(clippy::disallowed_methods, reason = "an instant can only be had from the clock")]
fn ten_past_nine() -> Clock {
    let instant = Instant::now();
    Clock::new(move || Now { instant, timestamp: at(9, 10) })
}

/// Puts the sound of a call into the spool, with its marks.
async fn record(district: &District, archive: &Archive, attempt: AttemptId) {
    let store = &district.store;
    let center = CenterKey::random(store.mint(at(8, 0)));
    let key = center.seal(archive.master_key());
    store.add_center_key(at(8, 0), district.center.id, &key, None).await.unwrap();
    let id = store.mint(at(9, 1));
    let policy = Policy { keep: Keep::All, keep_days: 30 };
    let (node, scope) = ("one".to_owned(), Scope::Whole);
    let new = NewRecording { id, attempt, key: key.id, node, scope, policy };
    store.begin_recording(at(9, 1), &new).await.unwrap();
    let mark = |at, kind, detail: &str| Mark {
        at: Duration::from_secs(at),
        kind,
        detail: detail.to_owned(),
    };
    let marks = [
        mark(1, MarkKind::Say, "ask_temperature"),
        mark(4, MarkKind::Key, "3"),
        mark(8, MarkKind::Answer, "0 temperature"),
        mark(9, MarkKind::Say, "ask_spo2"),
        mark(20, MarkKind::Answer, "1 spo2"),
        mark(20, MarkKind::Rule, "emergency 1 spo2"),
    ];
    store.add_marks(id, 0, &marks).await.unwrap();

    let seal = Seal::new(id, &center);
    let mut file = seal.header().to_vec();
    let sound = sound();
    let chunks: Vec<&[u8]> = sound.chunks(CHUNK_BYTES).collect();
    let is_whole = sound.len().is_multiple_of(CHUNK_BYTES);
    let chunks = chunks.into_iter().chain(is_whole.then_some(&[][..]));
    let chunks: Vec<&[u8]> = chunks.collect();
    for (number, chunk) in chunks.iter().enumerate() {
        let place = if number + 1 == chunks.len() { Place::Last } else { Place::Within };
        let mut chunk = chunk.to_vec();
        seal.seal(u32::try_from(number).unwrap(), place, &mut chunk);
        file.extend_from_slice(&chunk);
    }
    fs::write(archive.spool().join(format!("{id}.rec")), file).unwrap();
    store.finish_recording(at(9, 2), id, SAMPLES as u64, 0).await.unwrap();
    let until = at(9, 0) + Duration::from_hours(24 * 30);
    store.keep_recording(id, mimamori::tape::Kept::All, until).await.unwrap();
}

fn sound() -> Vec<u8> {
    (0..SAMPLES * 2).map(|n| u8::try_from(n * 7 % 251).unwrap()).collect()
}

struct Person<'c> {
    centre: &'c Centre,
    login: String,
    staff: Staff,
}

impl Person<'_> {
    async fn ask(&self, request: axum::http::request::Builder, body: Body) -> Response<Body> {
        let mut request =
            request.header("cookie", format!("__Host-mimamori={}", self.login)).body(body).unwrap();
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(address));
        web::router(self.centre.desk.clone()).oneshot(request).await.unwrap()
    }

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let response = self.ask(Request::get(path), Body::empty()).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn post(&self, path: &str, fields: &str) -> (StatusCode, String) {
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let form = format!("csrf=csrf-{}&{fields}", self.login);
        let response = self.ask(request, Body::from(form)).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// A part of the sound: status, fields of the answer, content.
    async fn sound(&self, fields: &[(&str, &str)]) -> (StatusCode, axum::http::HeaderMap, Vec<u8>) {
        let path = format!("/calls/{}/audio?fmt=pcm16", self.centre.attempt);
        let request = Request::get(path).header("accept-encoding", "gzip");
        let request =
            fields.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let response = self.ask(request, Body::empty()).await;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.into_body().collect().await.unwrap().to_bytes().to_vec();
        (status, headers, bytes)
    }
}

#[tokio::test]
async fn a_nurse_finds_the_urgent_case_takes_it_and_closes_it() {
    let centre = Centre::open().await;
    let hana = centre.somebody("hana", Role::Nurse).await;
    let (status, page) = hana.get("/cases").await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "今朝 9:03 の電話でSpO2 92%",
        "神崎 1",
        "A0001",
        "1950-01-02",
        "独居",
        "5分",
        "目標15分",
        "未着手",
        "12秒を聞く",
        "data-from=\"12000\" data-length=\"12000\"",
        "href=\"tel:+819010000001\"",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("style="), "the Content-Security-Policy forbids it");

    let case = format!("/cases/{}", centre.case);
    assert_eq!(hana.post(&format!("{case}/claim"), "").await.0, StatusCode::SEE_OTHER);
    assert!(hana.get("/cases").await.1.contains("担当中: 自分"));
    assert_eq!(hana.post(&format!("{case}/call"), "").await.0, StatusCode::SEE_OTHER);
    let due = "text=14%E6%99%82&due=2026-11-23T14%3A00";
    assert_eq!(hana.post(&format!("{case}/promise"), due).await.0, StatusCode::SEE_OTHER);
    let silent = hana.post(&format!("{case}/resolve"), "outcome=spoke_fine&text=+").await;
    assert_eq!(silent.0, StatusCode::UNPROCESSABLE_ENTITY);
    let without = hana.post(&format!("{case}/resolve"), "text=fine").await;
    assert_eq!(without.0, StatusCode::UNPROCESSABLE_ENTITY);
    let (_, page) = hana.get(&case).await;
    for part in ["担当になりました", "電話しました", "14時", "11/23 14:00", "済みにする"]
    {
        assert!(page.contains(part), "{part}");
    }
    let kept = hana.post(&format!("{case}/keep"), "seq=4").await;
    assert_eq!(kept.0, StatusCode::SEE_OTHER);
    let closed = hana.post(&format!("{case}/resolve"), "outcome=spoke_fine&text=fine").await;
    assert_eq!(closed.0, StatusCode::SEE_OTHER);
    assert!(!hana.get("/cases").await.1.contains("神崎"), "it has left the queue");
    assert!(hana.get("/handover").await.1.contains("職員 hana — fine"));
    let viewed = centre.audited("case.viewed").await;
    assert!(viewed.iter().all(|(patient, object, _)| {
        (*patient, object) == (Some(centre.patient), &centre.case.to_string())
    }));
    assert!(!viewed.is_empty());
    assert_eq!(centre.audited("case.resolved").await[0].2, "spoke_fine");
}

#[tokio::test]
async fn one_stream_tells_of_recordings_and_of_all_that_happened_to_cases() {
    let centre = Centre::open().await;
    let hana = centre.somebody("hana", Role::Nurse).await;
    let case = format!("/cases/{}", centre.case);
    for (deed, fields) in [
        ("claim", ""),
        ("note", "text=%E5%A8%98%E3%81%95%E3%82%93%E3%81%A8%E8%A9%B1%E3%81%97%E3%81%9F"),
        ("hand-over", "text=14%E6%99%82%E3%81%AB%E5%86%8D%E9%9B%BB%E8%A9%B1"),
        ("claim", ""),
        ("resolve", "outcome=spoke_fine&text=fine"),
    ] {
        let done = hana.post(&format!("{case}/{deed}"), fields).await;
        assert_eq!(done.0, StatusCode::SEE_OTHER, "{deed}");
    }
    let page = format!("/patients/{}", centre.patient);
    let (status, stream) = hana.get(&page).await;
    assert_eq!(status, StatusCode::OK);
    let call = format!("href=\"/calls/{}\"", centre.attempt);
    for part in [
        "対応が必要になりました",
        "SpO2 92%",
        "担当になりました",
        "娘さんと話した",
        "引継ぎ",
        "14時に再電話",
        "対応終了",
        "職員 hana",
        "0:30",
        "通話を聞く",
        "保存期限 2026-12-23",
        call.as_str(),
        &format!("href=\"{case}\""),
    ] {
        assert!(stream.contains(part), "{part} in {stream}");
    }
    let (_, only) = hana.get(&format!("{page}?kind=recording")).await;
    assert!(only.contains("通話を聞く") && !only.contains("引継ぎ"), "{only}");
    let (_, only) = hana.get(&format!("{page}?kind=case")).await;
    assert!(only.contains("引継ぎ") && !only.contains("通話を聞く"), "{only}");
    let sara = centre.somebody("sara", Role::Scheduler).await;
    let (_, plan) = sara.get(&page).await;
    for part in ["通話を聞く", "引継ぎ", "SpO2", "娘さん"] {
        assert!(!plan.contains(part), "{part} is health");
    }
}

#[tokio::test]
async fn the_second_nurse_is_told_who_has_the_case_and_may_take_it_over() {
    let centre = Centre::open().await;
    let hana = centre.somebody("hana", Role::Nurse).await;
    let taro = centre.somebody("taro", Role::Nurse).await;
    let case = format!("/cases/{}", centre.case);
    assert_eq!(hana.post(&format!("{case}/claim"), "").await.0, StatusCode::SEE_OTHER);
    let (status, page) = taro.post(&format!("{case}/claim"), "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(page.contains("職員 hana が 09:10 から担当しています。"), "{page}");
    assert!(page.contains("担当を引き取る") && page.contains("required"));
    assert_eq!(taro.post(&format!("{case}/take-over"), "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(hana.post(&format!("{case}/release"), "").await.0, StatusCode::CONFLICT);
    assert_eq!(centre.audited("case.taken-over").await.len(), 1);
}

#[tokio::test]
async fn an_open_page_asks_for_news_and_hears_of_none() {
    let centre = Centre::open().await;
    let hana = centre.somebody("hana", Role::Nurse).await;
    let first = hana.ask(Request::get("/cases/list"), Body::empty()).await;
    assert_eq!(first.status(), StatusCode::OK);
    let etag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = Request::get("/cases/list").header("if-none-match", &etag);
    assert_eq!(hana.ask(again, Body::empty()).await.status(), StatusCode::NOT_MODIFIED);
    let note = Deed::Resolve(Outcome::Watch, "経過をみる".to_owned());
    let within = centre.district.store.within(hana.staff.scope().unwrap());
    within.handle_case(at(9, 10), &hana.staff, centre.case, &note).await.unwrap();
    let again = Request::get("/cases/list").header("if-none-match", &etag);
    assert_eq!(hana.ask(again, Body::empty()).await.status(), StatusCode::OK);
}

#[tokio::test]
async fn sound_is_served_in_parts_and_every_part_is_audited() {
    let centre = Centre::open().await;
    let hana = centre.somebody("hana", Role::Nurse).await;
    let length = View::Linear16.length(SAMPLES as u64);
    let (status, headers, whole) = hana.sound(&[]).await;
    assert_eq!((status, whole.len() as u64), (StatusCode::OK, length));
    assert_eq!(headers["content-type"], "audio/wav");
    assert_eq!(headers["accept-ranges"], "bytes");
    assert_eq!(headers["cache-control"], "private, no-store");
    assert!(headers.get("content-range").is_none());
    let etag = headers["etag"].to_str().unwrap().to_owned();

    for (range, from, to) in [
        ("bytes=0-43", 0, 44),
        ("bytes=1000-1999", 1000, 2000),
        ("bytes=-1000", length - 1000, length),
        ("bytes=959000-", 959_000, length),
    ] {
        let (status, headers, part) = hana.sound(&[("range", range)]).await;
        assert_eq!(status, StatusCode::PARTIAL_CONTENT, "{range}");
        let expected = format!("bytes {from}-{}/{length}", to - 1);
        assert_eq!(headers["content-range"], expected.as_str());
        let (from, to) = (usize::try_from(from).unwrap(), usize::try_from(to).unwrap());
        assert_eq!(part, whole[from..to], "{range}");
    }
    for range in ["bytes=99999999-", "bytes=-0"] {
        let (status, headers, _) = hana.sound(&[("range", range)]).await;
        assert_eq!(status, StatusCode::RANGE_NOT_SATISFIABLE, "{range}");
        assert_eq!(headers["content-range"], format!("bytes */{length}").as_str());
    }
    for (range, if_range, expected) in [
        ("bytes=0-1", etag.as_str(), StatusCode::PARTIAL_CONTENT),
        ("bytes=0-1", "\"another\"", StatusCode::OK),
        ("bytes=5-1", etag.as_str(), StatusCode::OK),
        ("bytes=0-1,4-5", etag.as_str(), StatusCode::OK),
    ] {
        let (status, _, _) = hana.sound(&[("range", range), ("if-range", if_range)]).await;
        assert_eq!(status, expected, "{range} {if_range}");
    }
    let served = centre.audited("recording.served").await;
    assert_eq!(served.len(), 9, "{served:?}");
    let call = centre.attempt.to_string();
    assert!(served.iter().all(|one| (one.0, &one.1) == (Some(centre.patient), &call)));
    assert_eq!(served[0].2, "0.0–30.0 s");

    let heard = format!("/calls/{call}/heard");
    let told = hana.post(&heard, "from=12000&to=24000").await;
    assert_eq!(told.0, StatusCode::NO_CONTENT);
    assert_eq!(centre.audited("recording.heard").await[0].2, "12.0–24.0 s");
}

#[tokio::test]
async fn nobody_hears_without_the_right_the_scope_and_a_reason() {
    let centre = Centre::open().await;
    let call = format!("/calls/{}", centre.attempt);
    let mut elsewhere = centre.district.center.clone();
    elsewhere.code = "kita".to_owned();
    elsewhere.id = centre.district.store.mint(at(0, 0));
    let elsewhere = centre.district.store.save_health_center(at(0, 0), &elsewhere).await.unwrap();
    let stranger = centre.person("jiro", Role::Nurse, Some(elsewhere)).await;
    let case = format!("/cases/{}", centre.case);
    for path in [call.clone(), format!("{call}/audio"), case.clone()] {
        assert_eq!(stranger.get(&path).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for (path, fields) in [
        (format!("{case}/claim"), ""),
        (format!("{call}/heard"), "from=0&to=1"),
        (format!("{call}/reason"), "text=x"),
        (format!("{call}/note"), "at=1&text=x"),
        (format!("{call}/hold"), "text=x"),
    ] {
        assert_eq!(stranger.post(&path, fields).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    for role in [Role::Scheduler, Role::Engineer, Role::Auditor, Role::Administrator] {
        let somebody = centre.somebody(role.as_str(), role).await;
        for path in [
            call.clone(),
            format!("{call}/audio"),
            format!("{call}/evidence"),
            case.clone(),
            "/handover".to_owned(),
        ] {
            assert_eq!(somebody.get(&path).await.0, StatusCode::FORBIDDEN, "{role:?} {path}");
        }
        for path in ["/cases", "/cases/list"] {
            let (status, page) = somebody.get(path).await;
            if somebody.staff.may(Right::SeeTrunks) {
                assert_eq!(status, StatusCode::OK, "{role:?} sees the lane of the system");
                assert!(!page.contains("神崎") && !page.contains("SpO2"), "{role:?}: {page}");
            } else {
                assert_eq!(status, StatusCode::FORBIDDEN, "{role:?} {path}");
            }
        }
    }
    assert!(centre.audited("recording.").await.is_empty());

    // Nobody holds the case: whoever looks whether to take it may hear it at once.
    let hana = centre.somebody("hana", Role::Nurse).await;
    let taro = centre.somebody("taro", Role::Nurse).await;
    assert_eq!(taro.sound(&[]).await.0, StatusCode::OK);
    hana.post(&format!("{case}/claim"), "").await;
    assert_eq!(hana.sound(&[]).await.0, StatusCode::OK);
    assert_eq!(taro.sound(&[]).await.0, StatusCode::FORBIDDEN);
    let (_, page) = taro.get(&call).await;
    assert!(page.contains("聞く理由") && !page.contains("<audio"), "{page}");
    let silent = taro.post(&format!("{call}/reason"), "text=+").await;
    assert_eq!(silent.0, StatusCode::UNPROCESSABLE_ENTITY);
    taro.post(&format!("{call}/reason"), "text=handover").await;
    assert_eq!(centre.audited("recording.reason").await[0].2, "handover");
    assert_eq!(taro.sound(&[]).await.0, StatusCode::OK);
    assert!(taro.get(&call).await.1.contains("<audio"));
}

#[tokio::test]
async fn a_call_is_shown_in_words_and_as_a_picture() {
    let centre = Centre::open().await;
    let hana = centre.somebody("hana", Role::Nurse).await;
    let call = format!("/calls/{}", centre.attempt);
    let (status, page) = hana.get(&call).await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "1950-01-02",
        "A0001",
        "本人(キーで確認)",
        "09010000001",
        "recuperation@1",
        "録音は 2026-12-23 に自動削除",
        "<svg class=\"waveform\"",
        "class=\"rule\"",
        "体温",
        "37.8℃",
        "92%",
        "preload=\"none\"",
        "data-seek=\"9000\"",
        "この値を訂正",
        "保全する",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(
        !page.contains("autoplay") && !page.contains("style=") && !page.contains("記録票を印刷")
    );
    assert_eq!(hana.get(&format!("{call}/evidence")).await.0, StatusCode::FORBIDDEN);

    hana.post(&format!("{call}/note"), "at=12.5&text=%E3%81%9C%E3%82%93%E6%81%AF").await;
    hana.post(&format!("{call}/hold"), "text=%E8%AA%BF%E6%9F%BB").await;
    let (_, page) = hana.get(&call).await;
    for part in ["ぜん息", "0:12", "保全中: 職員 hana", "調査", "保全を解除"] {
        assert!(page.contains(part), "{part}");
    }
    hana.post(&format!("{call}/release"), "").await;
    assert!(hana.get(&call).await.1.contains("に自動削除"));
    hana.post(&format!("{call}/heard"), "from=0&to=5000").await;

    let boss = centre.somebody("boss", Role::Supervisor).await;
    let (status, sheet) = boss.get(&format!("{call}/evidence")).await;
    assert_eq!(status, StatusCode::OK);
    for part in ["spo2-low", "検知", "recording.heard", "0.0–5.0 s", "職員 hana", "流れた音声"]
    {
        assert!(sheet.contains(part), "{part} in {sheet}");
    }
    assert_eq!(centre.audited("call.evidence-exported").await.len(), 1);

    let engineer = centre.somebody("eng", Role::Engineer).await;
    let (status, page) = engineer.get(&format!("{call}/technical")).await;
    assert_eq!(status, StatusCode::OK);
    for part in ["answered", "200", "G.711", "240000 samples (30 s)"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    for secret in ["神崎", "A0001", "1950", "9010000001", "92"] {
        assert!(!page.contains(secret), "{secret} is nothing for engineers");
    }
    assert_eq!(hana.get(&format!("{call}/technical")).await.0, StatusCode::FORBIDDEN);
}
