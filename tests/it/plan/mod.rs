//! What a scheduler, and those who are none, can do in the console: the day's plan, calls by hand and
//! lines here, lists, rules and prompts beside it, asked over HTTP as a browser asks, on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::net::SocketAddr;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::civil::{Date, date, time};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{HealthCenterId, ImportBatchId, PatientId};
use mimamori::base::{Clock, Now};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::ivr::Questionnaires;
use mimamori::registry::audit::hex;
use mimamori::registry::{Actor, AuditEntry, HealthCenter, Role, Scope, Staff};
use mimamori::store::{
    AuditFilter, BatchState, Claimant, Dialing, ImportBatch, SignedIn, Stage, Store,
};
use mimamori::web::{self, Desk};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::postgres;
use crate::staff::{entry, hire, member};

macro_rules! claims {
    ($($claim:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim($crate::plan::Office::on_sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if let Some(office) = $crate::plan::Office::on_postgres(stringify!($claim)).await {
                    super::$claim(office).await;
                }
            })*
        }
    };
}
pub(crate) use claims;

mod lists;
mod rules;
mod takes;

claims! {
    the_day_shows_everybodys_times_and_reasons
    a_call_by_hand_keeps_every_rule
    a_day_can_be_stopped_for_one_patient
    an_engineer_sees_lines_and_no_patient
}

pub(crate) const DAY: Date = date(2026, 11, 25);

pub(crate) fn at(hour: i8, minute: i8) -> Timestamp {
    timestamp(DAY.at(hour, minute, 0, 0))
}

fn ten_o_clock() -> Now {
    Now { instant: tokio::time::Instant::now().into_std(), timestamp: at(10, 0) }
}

/// A health centre, another one, and their console at ten in the morning.
pub(crate) struct Office {
    pub(crate) desk: Desk,
    pub(crate) home: HealthCenterId,
    pub(crate) other: HealthCenterId,
    _folder: Option<TempDir>,
}

impl Office {
    pub(crate) async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("mimamori.db").display());
        Self::open(&url, Some(folder)).await
    }

    pub(crate) async fn on_postgres(claim: &str) -> Option<Self> {
        let url = postgres::fresh_database(claim).await?;
        Some(Self::open(&url, None).await)
    }

    async fn open(url: &str, folder: Option<TempDir>) -> Self {
        let store = Store::open(url, [7; 32]).await.unwrap();
        let home = centre(&store, "minato").await;
        let other = centre(&store, "yama").await;
        let desk = Desk::silent(store, Clock::new(ten_o_clock), web::Config::shipped()).unwrap();
        Self { desk, home, other, _folder: folder }
    }

    pub(crate) fn store(&self) -> &Store {
        &self.desk.store
    }

    pub(crate) fn within(&self) -> mimamori::store::Within<'_> {
        self.store().within(Scope { center: self.home, clinic: None })
    }

    /// Somebody of a centre who is signed in.
    pub(crate) async fn person(
        &self,
        login: &str,
        role: Role,
        center: HealthCenterId,
    ) -> Person<'_> {
        let health_center = role.sees_patients().then_some(center);
        let staff = hire(
            self.store(),
            at(0, 0),
            Staff {
                has_second_factor: true,
                ..member(self.store(), at(0, 0), login, role, health_center)
            },
        )
        .await;
        let signed_in = SignedIn {
            token: hex(&Sha256::digest(login.as_bytes())),
            csrf: format!("csrf-{login}").into(),
            stage: Stage::Full,
            created_at: at(9, 55),
            seen_at: at(10, 0),
            address: "127.0.0.1".to_owned(),
            agent: String::new(),
            staff,
        };
        self.store().begin_session(at(9, 55), &signed_in, &entry("session.begun")).await.unwrap();
        Person { office: self, login: login.to_owned() }
    }

    pub(crate) async fn scheduler(&self) -> Person<'_> {
        self.person("hana", Role::Scheduler, self.home).await
    }

    pub(crate) async fn audited(&self, action: &str) -> usize {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        self.store().audit_events(&filter, 100).await.unwrap().len()
    }

    async fn patients(&self) -> usize {
        self.store().patients(self.home).await.unwrap().len()
    }

    /// The patient with this number.
    pub(crate) async fn patient(&self, number: &str) -> Option<PatientId> {
        let patients = self.store().patients(self.home).await.unwrap();
        patients.iter().find(|one| one.registration_number == number).map(|one| one.id)
    }

    /// Waits until nobody works on the list any more.
    async fn settled(&self, id: ImportBatchId) -> ImportBatch {
        loop {
            let list = self.within().import(id).await.unwrap();
            if !matches!(list.state, BatchState::Importing | BatchState::Undoing) {
                return list;
            }
            tokio::task::yield_now().await;
        }
    }

    /// A slot of the patient that is due now, with its attempt under way.
    pub(crate) async fn called(&self, number: &str) {
        let patient = self.patient(number).await.unwrap();
        let episode = self.within().episode_of(patient).await.unwrap().unwrap();
        let slot = NewSlot {
            episode: episode.id,
            patient,
            date: DAY,
            number: 1,
            due_from: at(9, 30),
            due_to: at(11, 30),
            kind: SlotKind::Planned,
            campaign: None,
            rest: None,
        };
        self.store().open_slots(at(9, 0), &[slot]).await.unwrap();
        let slot = self.store().slots_of(patient, DAY).await.unwrap()[0].id;
        let phone = self.within().patient(patient).await.unwrap().phones[0].number.clone();
        let planned = PlannedAttempt {
            slot,
            number: 1,
            phone,
            due_at: at(9, 30),
            campaign: None,
            priority: Precedence::First,
        };
        self.store().add_attempt(at(9, 0), &planned).await.unwrap().unwrap();
        assert_eq!(self.claim().await, 1);
    }

    /// How many calls the worker takes at ten.
    pub(crate) async fn claim(&self) -> usize {
        let claimant = Claimant {
            node: "one".to_owned(),
            lease: Duration::from_mins(1),
            grace: Duration::from_hours(3),
            only: None,
            trunk: "main".to_owned(),
            trunk_group: None,
            questionnaires: Questionnaires::shipped().keys().clone(),
        };
        self.store().claim_due(at(10, 0), &claimant, 10).await.unwrap().len()
    }
}

async fn centre(store: &Store, code: &str) -> HealthCenterId {
    let center = HealthCenter {
        id: store.mint(at(0, 0)),
        code: code.to_owned(),
        name: format!("{code}保健所"),
        kana: "ミナトホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(9, 0, 0, 0),
        closes_at: time(18, 0, 0, 0),
    };
    store.save_health_center(at(0, 0), &center).await.unwrap()
}

/// Somebody before the console.
pub(crate) struct Person<'o> {
    pub(crate) office: &'o Office,
    pub(crate) login: String,
}

impl Person<'_> {
    async fn ask(
        &self,
        request: axum::http::request::Builder,
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut request = request
            .header("cookie", format!("__Host-mimamori={}", self.login))
            .body(body.into())
            .unwrap();
        let address: SocketAddr = "127.0.0.1:9".parse().unwrap();
        request.extensions_mut().insert(ConnectInfo(address));
        let response = web::router(self.office.desk.clone()).oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes().to_vec();
        (parts.status, parts.headers, bytes)
    }

    pub(crate) async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, _, bytes) = self.ask(Request::get(path), Body::empty()).await;
        (status, String::from_utf8(bytes).unwrap())
    }

    pub(crate) async fn post(&self, path: &str, fields: &str) -> (StatusCode, String) {
        let (status, _, bytes) = self.send(path, fields).await;
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    pub(crate) async fn send(&self, path: &str, fields: &str) -> (StatusCode, HeaderMap, Vec<u8>) {
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        self.ask(request, format!("csrf=csrf-{}&{fields}", self.login)).await
    }

    /// Brings a list; where the answer leads.
    async fn bring(&self, list: &[u8]) -> (StatusCode, Option<ImportBatchId>) {
        let (status, headers, _) = self.file("/import", "list.csv", list).await;
        let to = headers.get("location").and_then(|to| to.to_str().ok()).unwrap_or_default();
        assert_ne!(to, "/login", "signed in");
        (status, to.strip_prefix("/import/").and_then(|id| id.parse().ok()))
    }

    async fn send_file(&self, path: &str, name: &str, content: &[u8]) -> (StatusCode, String) {
        let (status, _, page) = self.file(path, name, content).await;
        (status, String::from_utf8_lossy(&page).into_owned())
    }

    async fn file(
        &self,
        path: &str,
        name: &str,
        content: &[u8],
    ) -> (StatusCode, HeaderMap, Vec<u8>) {
        let mut body = format!(
            "--x\r\ncontent-disposition: form-data; name=\"csrf\"\r\n\r\ncsrf-{}\r\n\
             --x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"{name}\"\r\n\r\n",
            self.login
        )
        .into_bytes();
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n--x--\r\n");
        let request = Request::post(path).header("content-type", "multipart/form-data; boundary=x");
        self.ask(request, body).await
    }

    /// Brings a list and takes it over.
    pub(crate) async fn import(&self, rows: &[&str]) -> ImportBatch {
        let (_, id) = self.bring(list(rows).as_bytes()).await;
        let id = id.unwrap();
        assert_eq!(self.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
        self.office.settled(id).await
    }

    async fn take_back(&self, id: ImportBatchId) -> ImportBatch {
        assert_eq!(self.post(&format!("/import/{id}/undo"), "").await.0, StatusCode::SEE_OTHER);
        self.office.settled(id).await
    }
}

fn list(rows: &[&str]) -> String {
    let head = "管理番号,氏名,フリガナ,生年月日,電話番号1,観察開始日,観察終了日,架電時刻1";
    format!("{head}\r\n{}\r\n", rows.join("\r\n"))
}

pub(crate) const HANA: &str =
    "A1,神崎花,カンザキ ハナ,S25.1.2,9012345678,2026/11/20,2026/12/1,9:30";
pub(crate) const TARO: &str =
    "A2,山田太郎,ﾔﾏﾀﾞ ﾀﾛｳ,1971/3/4,080-1111-2222,2026/11/20,2026/12/1,14:30";

async fn the_day_shows_everybodys_times_and_reasons(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    office.called("A1").await;
    let (status, page) = hana.get("/plan").await;
    assert_eq!(status, StatusCode::OK);
    for part in ["神崎花", "山田太郎", "09:30–11:30", "架電中", "14:30", "明日の見込み", "今すぐ"]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("12345678"), "telephones are hidden where others see the screen");
    let (_, page) = hana.get("/plan?date=2026-11-26").await;
    assert!(page.contains("見込み") && page.contains("<strong>14:30</strong>"), "{page}");
    let (_, page) = hana.get("/plan?search=%E3%82%84%E3%81%BE%E3%81%A0").await;
    assert!(page.contains("山田太郎") && !page.contains("神崎花"), "found by hiragana");
    let (_, page) = hana.get("/plan?only=talking").await;
    assert!(page.contains("神崎花") && !page.contains("山田太郎"));
    let stranger = office.person("yuki", Role::Scheduler, office.other).await;
    assert!(!stranger.get("/plan").await.1.contains("神崎花"));
    let engineer = office.person("eng", Role::Engineer, office.home).await;
    assert_eq!(engineer.get("/plan").await.0, StatusCode::FORBIDDEN);
}

async fn a_call_by_hand_keeps_every_rule(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    let patient = office.patient("A2").await.unwrap();
    let call = format!("/plan/{patient}/call");

    let stranger = office.person("yuki", Role::Scheduler, office.other).await;
    assert_eq!(stranger.post(&call, "").await.0, StatusCode::NOT_FOUND);
    let stop = Dialing {
        is_running: false,
        changed_at: at(10, 0),
        changed_by: "試験".to_owned(),
        reason: String::new(),
    };
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "calls.stopped",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    office.store().set_dialing(&stop, &entry).await.unwrap();
    assert_eq!(hana.post(&call, "").await.0, StatusCode::CONFLICT, "all calls are stopped");
    office.store().set_dialing(&Dialing { is_running: true, ..stop }, &entry).await.unwrap();

    assert_eq!(office.claim().await, 0);
    assert_eq!(hana.post(&call, "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(hana.post(&call, "").await.0, StatusCode::SEE_OTHER, "twice is once");
    assert_eq!(office.audited("plan.call_asked").await, 2);
    assert_eq!(office.claim().await, 1);
    let (status, page) = hana.post(&call, "").await;
    assert!(status == StatusCode::CONFLICT && page.contains("いま電話しています"), "{page}");
    // Another patient with the same number waits until the line is free.
    hana.import(&[&HANA.replace("9012345678", "080-1111-2222")]).await;
    let neighbour = office.patient("A1").await.unwrap();
    assert_eq!(hana.post(&format!("/plan/{neighbour}/call"), "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.claim().await, 0, "one call per number");
}

async fn a_day_can_be_stopped_for_one_patient(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    let patient = office.patient("A2").await.unwrap();
    let stop = format!("/plan/{patient}/stop");
    assert_eq!(hana.post(&stop, "reason=x").await.0, StatusCode::UNPROCESSABLE_ENTITY);
    let reason = "reason=%E5%85%A5%E9%99%A2";
    assert_eq!(hana.post(&stop, reason).await.0, StatusCode::SEE_OTHER);
    let slots = office.store().slots_of(patient, DAY).await.unwrap();
    assert_eq!(slots.len(), 1, "also what the worker has not opened yet");
    assert_eq!(slots[0].state, SlotState::Skipped);
    assert_eq!(slots[0].reason.as_deref(), Some("入院"));
    let (_, page) = hana.get("/plan?only=skipped").await;
    assert!(page.contains("山田太郎") && page.contains("入院"), "{page}");
    let nurse = office.person("aud", Role::Auditor, office.home).await;
    assert_eq!(nurse.post(&stop, reason).await.0, StatusCode::FORBIDDEN);
}

async fn an_engineer_sees_lines_and_no_patient(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA]).await;
    office.called("A1").await;
    let call = office.store().last_calls(1).await.unwrap().remove(0);
    let steps = "   0.000 ──► INVITE\n   0.031 ◄── 100 INVITE\n";
    office.store().save_ladder(at(10, 1), call.attempt, steps).await.unwrap();
    let engineer = office.person("eng", Role::Engineer, office.home).await;
    let (status, page) = engineer.get("/trunks").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page.contains("one") && page.contains("通話中"), "{page}");
    for part in ["神崎", "カンザキ", "A1<", "12345678", "1950"] {
        assert!(!page.contains(part), "{part}");
    }
    let ladder = format!("/trunks/calls/{}", call.attempt);
    let (status, page) = engineer.get(&ladder).await;
    assert!(status == StatusCode::OK && page.contains("──► INVITE"), "{page}");
    assert_eq!(office.audited("ladder.viewed").await, 1);
    for path in ["/trunks", "/trunks/state", &ladder] {
        assert_eq!(hana.get(path).await.0, StatusCode::FORBIDDEN, "{path}");
    }
    let old = at(10, 1) + Duration::from_hours(24 * 15);
    office.store().save_ladder(old, call.attempt, steps).await.unwrap();
    assert!(office.store().ladder(call.attempt).await.unwrap().is_none(), "kept for two weeks");
}
