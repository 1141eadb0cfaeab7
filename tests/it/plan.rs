//! What a scheduler, and those who are none, can do in the console: lists, the day's plan and calls
//! by hand, asked over HTTP as a browser asks, on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use encoding_rs::SHIFT_JIS;
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::civil::{Date, date, time};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{HealthCenterId, ImportBatchId, PatientId};
use mimamori::base::{Clock, Now, Private};
use mimamori::campaign::{NewSlot, PlannedAttempt, Policy, SlotState, schedule};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Catalog, Questionnaire};
use mimamori::prompt::Library;
use mimamori::registry::audit::hex;
use mimamori::registry::{
    Actor, AuditEntry, ConsoleLanguage, HealthCenter, Role, Scope, Staff,
};
use mimamori::store::{
    AuditFilter, BatchState, Claimant, Dialing, ImportBatch, SignedIn, Stage, Store,
};
use mimamori::web::{self, Calls, Desk};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::postgres;

macro_rules! claims {
    ($($claim:ident)*) => {
        mod on_sqlite {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                super::$claim(super::Office::on_sqlite().await).await;
            })*
        }
        mod on_postgres {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $claim() {
                if let Some(office) = super::Office::on_postgres(stringify!($claim)).await {
                    super::$claim(office).await;
                }
            })*
        }
    };
}

claims! {
    a_cp932_list_with_errors_is_mended_taken_over_and_taken_back
    a_list_that_is_sent_twice_is_taken_over_once
    whoever_was_called_is_not_deleted_but_no_longer_observed
    what_staff_changed_since_is_left_as_it_is
    changed_patients_become_what_they_were
    nobody_imports_without_the_right_or_for_another_centre
    the_day_shows_everybodys_times_and_reasons
    a_call_by_hand_keeps_every_rule
    a_day_can_be_stopped_for_one_patient
}

const DAY: Date = date(2026, 11, 25);

fn at(hour: i8, minute: i8) -> Timestamp {
    timestamp(DAY.at(hour, minute, 0, 0))
}

/// A health centre, another one, and their console at ten in the morning.
struct Office {
    desk: Desk,
    home: HealthCenterId,
    other: HealthCenterId,
    _folder: Option<TempDir>,
}

impl Office {
    async fn on_sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("sqlite://{}", folder.path().join("mimamori.db").display());
        Self::open(&url, Some(folder)).await
    }

    async fn on_postgres(claim: &str) -> Option<Self> {
        let url = postgres::fresh_database(claim).await?;
        Some(Self::open(&url, None).await)
    }

    async fn open(url: &str, folder: Option<TempDir>) -> Self {
        let store = Store::open(url, [7; 32]).await.unwrap();
        let home = centre(&store, "minato").await;
        let other = centre(&store, "yama").await;
        let desk = Desk {
            store,
            clock: Clock::new(|| Now { instant: Instant::now(), timestamp: at(10, 0) }),
            library: Arc::new(Library::silent(Catalog::embedded())),
            questionnaire: Questionnaire::recuperation(),
            rules: Arc::new(RuleBook::shipped().unwrap()),
            calls: Arc::new(Calls { schedule: schedule::Config::shipped(), retry: Policy::shipped() }),
            config: Arc::new(web::Config::shipped()),
        };
        Self { desk, home, other, _folder: folder }
    }

    fn store(&self) -> &Store {
        &self.desk.store
    }

    fn within(&self) -> mimamori::store::Within<'_> {
        self.store().within(Scope { center: self.home, clinic: None })
    }

    /// Somebody of a centre who is signed in.
    async fn person(&self, login: &str, role: Role, center: HealthCenterId) -> Person<'_> {
        let health_center = role.sees_patients().then_some(center);
        let staff = Staff {
            id: self.store().mint(at(0, 0)),
            health_center,
            clinic: None,
            login: login.to_owned(),
            name: Private::new(format!("職員 {login}")),
            roles: vec![role],
            is_active: true,
            language: ConsoleLanguage::Ja,
            has_second_factor: true,
            must_change_password: false,
            locked_until: None,
        };
        let entry = AuditEntry {
            actor: Actor::CommandLine,
            health_center,
            action: "staff.added",
            patient: None,
            object: staff.id.to_string(),
            detail: String::new(),
        };
        self.store().add_staff(at(0, 0), &staff, None, &entry).await.unwrap();
        let signed_in = SignedIn {
            token: hex(&Sha256::digest(login.as_bytes())),
            csrf: format!("csrf-{login}").into(),
            stage: Stage::Full,
            created_at: at(9, 0),
            seen_at: at(10, 0),
            address: "127.0.0.1".to_owned(),
            agent: String::new(),
            staff,
        };
        let entry = AuditEntry { action: "session.begun", ..entry };
        self.store().begin_session(at(9, 0), &signed_in, &entry).await.unwrap();
        Person { office: self, login: login.to_owned() }
    }

    async fn scheduler(&self) -> Person<'_> {
        self.person("hana", Role::Scheduler, self.home).await
    }

    async fn audited(&self, action: &str) -> usize {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        self.store().audit_events(&filter, 100).await.unwrap().len()
    }

    async fn patients(&self) -> usize {
        self.store().patients(self.home).await.unwrap().len()
    }

    /// The patient with this number.
    async fn patient(&self, number: &str) -> Option<PatientId> {
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
    async fn called(&self, number: &str) {
        let patient = self.patient(number).await.unwrap();
        let episode = self.within().episode_of(patient).await.unwrap().unwrap();
        let slot = NewSlot {
            episode: episode.id,
            patient,
            date: DAY,
            number: 1,
            due_from: at(9, 30),
            due_to: at(11, 30),
        };
        self.store().open_slots(at(9, 0), &[slot]).await.unwrap();
        let slot = self.store().slots_of(patient, DAY).await.unwrap()[0].id;
        let phone = self.within().patient(patient).await.unwrap().phones[0].number.clone();
        let planned = PlannedAttempt { slot, number: 1, phone, due_at: at(9, 30) };
        self.store().add_attempt(at(9, 0), &planned).await.unwrap().unwrap();
        assert_eq!(self.claim().await, 1);
    }

    /// How many calls the worker takes at ten.
    async fn claim(&self) -> usize {
        let claimant = Claimant {
            node: "one".to_owned(),
            lease: Duration::from_mins(1),
            grace: Duration::from_hours(3),
            only: None,
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
struct Person<'o> {
    office: &'o Office,
    login: String,
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

    async fn get(&self, path: &str) -> (StatusCode, String) {
        let (status, _, bytes) = self.ask(Request::get(path), Body::empty()).await;
        (status, String::from_utf8(bytes).unwrap())
    }

    async fn post(&self, path: &str, fields: &str) -> (StatusCode, String) {
        let request =
            Request::post(path).header("content-type", "application/x-www-form-urlencoded");
        let form = format!("csrf=csrf-{}&{fields}", self.login);
        let (status, _, bytes) = self.ask(request, form).await;
        (status, String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Brings a file; where the answer leads.
    async fn bring(&self, list: &[u8]) -> (StatusCode, Option<ImportBatchId>) {
        let mut body = Vec::new();
        let csrf = format!("csrf-{}", self.login);
        body.extend_from_slice(
            format!("--x\r\ncontent-disposition: form-data; name=\"csrf\"\r\n\r\n{csrf}\r\n").as_bytes(),
        );
        body.extend_from_slice(
            b"--x\r\ncontent-disposition: form-data; name=\"file\"; filename=\"list.csv\"\r\n\r\n",
        );
        body.extend_from_slice(list);
        body.extend_from_slice(b"\r\n--x--\r\n");
        let request =
            Request::post("/import").header("content-type", "multipart/form-data; boundary=x");
        let (status, headers, _) = self.ask(request, body).await;
        let id = headers.get("location").and_then(|to| {
            to.to_str().ok()?.strip_prefix("/import/")?.parse().ok()
        });
        (status, id)
    }

    /// Brings a list and takes it over.
    async fn import(&self, rows: &[&str]) -> ImportBatch {
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

const HANA: &str = "A1,神崎花,カンザキ ハナ,S25.1.2,9012345678,2026/11/20,2026/12/1,9:30";
const TARO: &str = "A2,山田太郎,ﾔﾏﾀﾞ ﾀﾛｳ,1961/3/4,080-1111-2222,2026/11/20,2026/12/1,14:30";

async fn a_cp932_list_with_errors_is_mended_taken_over_and_taken_back(office: Office) {
    let hana = office.scheduler().await;
    let broken = "A3,佐藤次郎,佐藤次郎,1950/2/30,080-1111-2222,2026/11/20,2026/12/1,9:30";
    let cp932 = |rows: &[&str]| SHIFT_JIS.encode(&list(rows)).0.into_owned();
    let (status, id) = hana.bring(&cp932(&[HANA, TARO, broken])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let id = id.unwrap();
    let (status, page) = hana.get(&format!("/import/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    for part in ["Shift_JIS", "カタカナ以外", "暦にない", "取り込む", "神崎花", "1950-01-02", "取り込めません"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("style="), "the Content-Security-Policy forbids it");
    assert_eq!(office.patients().await, 0, "nothing changes by looking");
    let (_, headers, table) = hana.ask(Request::get(format!("/import/{id}/problems.csv")), Body::empty()).await;
    assert_eq!(headers["content-type"], "text/csv; charset=utf-8");
    let table = String::from_utf8(table).unwrap();
    assert!(table.starts_with('\u{feff}') && table.contains("\"4\",\"C\",\"フリガナ\""), "{table}");
    assert_eq!(hana.post(&format!("/import/{id}/discard"), "").await.0, StatusCode::SEE_OTHER);
    assert!(office.within().import_content(id).await.unwrap().is_none(), "it is about people");

    let mended = broken.replace("佐藤次郎,1950", "サトウ ジロウ,1950").replace("2/30", "2/28");
    let (_, id) = hana.bring(&cp932(&[HANA, TARO, &mended])).await;
    let id = id.unwrap();
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("3行目の方と同じ電話番号です"), "a household: {page}");
    assert_eq!(hana.post(&format!("/import/{id}/take"), "leave=3").await.0, StatusCode::SEE_OTHER);
    let taken = office.settled(id).await;
    assert_eq!((taken.state, taken.counts.created), (BatchState::Imported, 2), "one was left out");
    assert!(office.patient("A3").await.is_some() && office.patient("A2").await.is_none());
    assert!(office.within().import_content(id).await.unwrap().is_none(), "nobody needs it now");
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("取り消す"), "{page}");

    let undone = hana.take_back(id).await;
    assert_eq!((undone.state, undone.counts.deleted), (BatchState::Undone, 2));
    assert_eq!(office.patients().await, 0);
    assert_eq!(undone.undone_by.as_deref(), Some("職員 hana"));
    for action in ["list.imported", "list.undone", "list.problems_exported"] {
        assert_eq!(office.audited(action).await, 1, "{action}");
    }
}

async fn a_list_that_is_sent_twice_is_taken_over_once(office: Office) {
    let hana = office.scheduler().await;
    let (_, id) = hana.bring(list(&[HANA]).as_bytes()).await;
    let take = format!("/import/{}/take", id.unwrap());
    let (one, other) = tokio::join!(hana.post(&take, ""), hana.post(&take, ""));
    assert_eq!((one.0, other.0), (StatusCode::SEE_OTHER, StatusCode::SEE_OTHER));
    let taken = office.settled(id.unwrap()).await;
    assert_eq!(taken.counts.done(), 1);
    assert_eq!(office.audited("list.import_begun").await, 1);
    let again = hana.import(&[HANA]).await;
    assert_eq!((again.counts.unchanged, again.counts.created), (1, 0));
    let (_, id) = hana.bring(list(&[HANA]).as_bytes()).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    assert!(page.contains("同じ内容の一覧がすでに取り込まれています"), "{page}");
}

async fn whoever_was_called_is_not_deleted_but_no_longer_observed(office: Office) {
    let hana = office.scheduler().await;
    let taken = hana.import(&[HANA, TARO]).await;
    office.called("A1").await;
    let undone = hana.take_back(taken.id).await;
    assert_eq!((undone.counts.ended, undone.counts.deleted), (1, 1));
    let called = office.patient("A1").await.unwrap();
    assert!(office.within().episode_of(called).await.unwrap().is_none(), "nobody calls again");
    let slots = office.store().slots_of(called, DAY).await.unwrap();
    assert_eq!(slots[0].state, SlotState::InProgress, "the call goes on");
    assert!(office.patient("A2").await.is_none());
    let (_, page) = hana.get(&format!("/import/{}", taken.id)).await;
    assert!(page.contains("電話・記録があるため観察を終了"), "{page}");
}

async fn what_staff_changed_since_is_left_as_it_is(office: Office) {
    let hana = office.scheduler().await;
    let first = hana.import(&[HANA]).await;
    hana.import(&[&HANA.replace("9:30", "10:30")]).await;
    let undone = hana.take_back(first.id).await;
    assert_eq!((undone.counts.left, undone.counts.deleted), (1, 0));
    assert_eq!(office.patients().await, 1);
}

async fn changed_patients_become_what_they_were(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA]).await;
    let patient = office.patient("A1").await.unwrap();
    let before = office.within().patient(patient).await.unwrap();
    let days = office.within().episode_of(patient).await.unwrap();

    let changed = HANA.replace("カンザキ", "ヤマダ").replace("9:30", "10:30").replace("9012345678", "8012345678");
    let second = hana.import(&[&changed]).await;
    assert_eq!(second.counts.updated, 1);
    assert_ne!(office.within().patient(patient).await.unwrap(), before);
    let undone = hana.take_back(second.id).await;
    assert_eq!(undone.counts.restored, 1);
    assert_eq!(office.within().patient(patient).await.unwrap(), before);
    assert_eq!(office.within().episode_of(patient).await.unwrap(), days);

    // A later stay ends the one before; taken back, the one before goes on.
    let later = HANA.replace("2026/11/20,2026/12/1", "2026/12/10,2026/12/20");
    let third = hana.import(&[&later]).await;
    assert_ne!(office.within().episode_of(patient).await.unwrap(), days);
    assert_eq!(hana.take_back(third.id).await.counts.restored, 1);
    assert_eq!(office.within().episode_of(patient).await.unwrap(), days);
}

async fn nobody_imports_without_the_right_or_for_another_centre(office: Office) {
    let hana = office.scheduler().await;
    let taken = hana.import(&[HANA]).await;
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    let auditor = office.person("aki", Role::Auditor, office.home).await;
    let stranger = office.person("yuki", Role::Scheduler, office.other).await;
    for (person, refused) in [
        (&nurse, StatusCode::FORBIDDEN),
        (&auditor, StatusCode::FORBIDDEN),
        (&stranger, StatusCode::NOT_FOUND),
    ] {
        let page = format!("/import/{}", taken.id);
        assert_eq!(person.get(&page).await.0, refused, "{}", person.login);
        assert_eq!(person.get(&format!("{page}/problems.csv")).await.0, refused);
        for verb in ["take", "undo"] {
            assert_eq!(person.post(&format!("{page}/{verb}"), "").await.0, refused);
        }
    }
    assert_eq!(nurse.bring(list(&[TARO]).as_bytes()).await.0, StatusCode::FORBIDDEN);
    let (_, page) = stranger.get("/import").await;
    assert!(!page.contains("list.csv"), "the lists of others are not shown");
    let request = Request::post(format!("/import/{}/undo", taken.id))
        .header("content-type", "application/x-www-form-urlencoded");
    assert_eq!(hana.ask(request, "csrf=wrong").await.0, StatusCode::FORBIDDEN);
    assert_eq!(office.patients().await, 1);
    // The same number at another centre is another person.
    assert_eq!(stranger.import(&[HANA]).await.counts.created, 1);
}

async fn the_day_shows_everybodys_times_and_reasons(office: Office) {
    let hana = office.scheduler().await;
    hana.import(&[HANA, TARO]).await;
    office.called("A1").await;
    let (status, page) = hana.get("/plan").await;
    assert_eq!(status, StatusCode::OK);
    for part in ["神崎花", "山田太郎", "09:30–11:30", "架電中", "14:30", "明日の見込み", "今すぐ"] {
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
