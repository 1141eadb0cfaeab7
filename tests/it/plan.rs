//! What a scheduler, and those who are none, can do in the console: lists, the day's plan and calls
//! by hand, asked over HTTP as a browser asks, on both databases.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{HeaderMap, Request, StatusCode};
use encoding_rs::SHIFT_JIS;
use http_body_util::BodyExt;
use jiff::Timestamp;
use jiff::civil::{Date, date, time};
use mimamori::audio::wav::{Encoding, header};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{HealthCenterId, ImportBatchId, PatientId};
use mimamori::base::{Clock, Language, Now, Private, address};
use mimamori::call::{Completion, Respondent};
use mimamori::campaign::Terms;
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{NewSlot, PlannedAttempt, SlotKind, SlotState};
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Answer, Catalog, Questionnaires, Utterance};
use mimamori::observation::Channel;
use mimamori::prompt::{Library, Pace, Source};
use mimamori::registry::audit::hex;
use mimamori::registry::{
    Actor, AuditEntry, ConsoleLanguage, Gender, HealthCenter, Role, Scope, Staff, arrangement,
};
use mimamori::store::{
    AuditFilter, BatchState, Claimant, Dialing, ImportBatch, Report, SignedIn, Stage, Store,
    TakeState,
};
use mimamori::tape::Keep;
use mimamori::web::{self, Desk};
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
    an_excel_workbook_is_taken_over_like_any_list
    a_list_that_is_sent_twice_is_taken_over_once
    a_bad_row_is_put_right_on_the_page
    a_heading_is_explained_once
    gender_comes_with_a_list_and_stays_when_another_does_not_tell_it
    days_and_way_come_with_a_list_and_stay_when_another_does_not_tell_them
    how_people_stood_before_a_list_is_forgotten_after_ninety_days
    whoever_was_called_is_not_deleted_but_no_longer_observed
    what_staff_changed_since_is_left_as_it_is
    changed_patients_become_what_they_were
    nobody_imports_without_the_right_or_for_another_centre
    the_day_shows_everybodys_times_and_reasons
    a_call_by_hand_keeps_every_rule
    a_day_can_be_stopped_for_one_patient
    rules_are_tried_signed_and_then_in_force
    a_take_is_approved_by_somebody_else_and_then_said
    a_centres_settings_hold_against_the_configuration
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
        let desk = Desk {
            store,
            clock: Clock::new(ten_o_clock),
            library: Arc::new(Library::silent(Catalog::embedded())),
            questionnaires: Questionnaires::shipped(),
            rules: Arc::new(RuleBook::shipped().unwrap()),
            terms: Arc::new(Terms::shipped()),
            archive: None,
            config: Arc::new(web::Config::shipped()),
        };
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
            created_at: at(9, 55),
            seen_at: at(10, 0),
            address: "127.0.0.1".to_owned(),
            agent: String::new(),
            staff,
        };
        let entry = AuditEntry { action: "session.begun", ..entry };
        self.store().begin_session(at(9, 55), &signed_in, &entry).await.unwrap();
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

async fn a_cp932_list_with_errors_is_mended_taken_over_and_taken_back(office: Office) {
    let hana = office.scheduler().await;
    let broken = "A3,佐藤次郎,佐藤次郎,1950/2/30,080-1111-2222,2026/11/20,2026/12/1,9:30";
    let cp932 = |rows: &[&str]| SHIFT_JIS.encode(&list(rows)).0.into_owned();
    let (status, id) = hana.bring(&cp932(&[HANA, TARO, broken])).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let id = id.unwrap();
    let (status, page) = hana.get(&format!("/import/{id}")).await;
    assert_eq!(status, StatusCode::OK);
    for part in [
        "Shift_JIS",
        "カタカナ以外",
        "暦にない",
        "取り込む",
        "神崎花",
        "1950-01-02",
        "取り込めません",
    ] {
        assert!(page.contains(part), "{part} in {page}");
    }
    assert!(!page.contains("style="), "the Content-Security-Policy forbids it");
    assert_eq!(office.patients().await, 0, "nothing changes by looking");
    let (_, headers, table) =
        hana.ask(Request::get(format!("/import/{id}/problems.csv")), Body::empty()).await;
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

async fn an_excel_workbook_is_taken_over_like_any_list(office: Office) {
    let hana = office.scheduler().await;
    let mut workbook = rust_xlsxwriter::Workbook::new();
    let sheet = workbook.add_worksheet();
    for (row, line) in (0..).zip(list(&[HANA, TARO]).lines()) {
        for (column, cell) in (0..).zip(line.split(',')) {
            // Excel makes a number of what looks like one.
            match cell.parse::<f64>() {
                Ok(number) => sheet.write(row, column, number).unwrap(),
                Err(_) => sheet.write(row, column, cell).unwrap(),
            };
        }
    }
    let (status, id) = hana.bring(&workbook.save_to_buffer().unwrap()).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let id = id.unwrap();
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("Excel (.xlsx)") && page.contains("先頭の0"), "{page}");
    assert_eq!(hana.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.settled(id).await.counts.created, 2);
    assert!(office.patient("A1").await.is_some());

    let old = [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &[0; 600]].concat();
    let (_, id) = hana.bring(&old).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    assert!(page.contains("古い形式") && page.contains("Excelブック（.xlsx）"), "{page}");
    assert!(page.contains("取り込める行がありません"), "{page}");
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

    let changed = HANA
        .replace("カンザキ", "ヤマダ")
        .replace("9:30", "10:30")
        .replace("9012345678", "8012345678");
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

async fn a_bad_row_is_put_right_on_the_page(office: Office) {
    let hana = office.scheduler().await;
    let broken = "A3,佐藤次郎,佐藤次郎,1950/2/30,080-1111-2222,2026/11/20,2026/12/1,9:30";
    let unclosed = "\"A4,鈴木一";
    let (_, id) = hana.bring(list(&[HANA, broken, unclosed, TARO]).as_bytes()).await;
    let id = id.unwrap();
    let page = format!("/import/{id}");
    let (_, shown) = hana.get(&page).await;
    for part in ["この画面で直す", "value=\"1950/2/30\"", "id=\"line-3\"", "id=\"line-4\""] {
        assert!(shown.contains(part), "{part} in {shown}");
    }
    let mend = format!("{page}/mend");
    let cells = |line: usize, cells: &[&str]| {
        let cells = cells.join("&cell=");
        format!("line={line}&cell={cells}")
    };
    let still = ["A3", "S", "サトウ ジロウ", "1950/2/30", "08011112222", "", "", "9:30"];
    assert_eq!(hana.post(&mend, &cells(3, &still)).await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.within().import(id).await.unwrap().refused, 2, "the date is still wrong");
    let mended = ["A3", "S", "サトウ ジロウ", "1950/2/28", "08011112222", "", "", "9:30"];
    assert_eq!(hana.post(&mend, &cells(3, &mended)).await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.within().import(id).await.unwrap().refused, 1);
    let whole = ["A4", "T", "スズキ イチ", "1951/2/3", "09099998888", "", "", "10:00"];
    assert_eq!(hana.post(&mend, &cells(4, &whole)).await.0, StatusCode::SEE_OTHER);
    // What is no row, and more cells than headings.
    for (line, row) in [(99, &whole[..]), (3, &["x"; 20][..])] {
        assert_eq!(hana.post(&mend, &cells(line, row)).await.0, StatusCode::NOT_FOUND);
    }
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    assert_eq!(nurse.post(&mend, &cells(3, &mended)).await.0, StatusCode::FORBIDDEN);
    let stranger = office.person("yama", Role::Scheduler, office.other).await;
    assert_eq!(stranger.post(&mend, &cells(3, &mended)).await.0, StatusCode::NOT_FOUND);
    assert_eq!(hana.post(&format!("{page}/take"), "").await.0, StatusCode::SEE_OTHER);
    let taken = office.settled(id).await;
    assert_eq!((taken.counts.created, taken.refused), (4, 0));
    assert!(office.patient("A3").await.is_some() && office.patient("A4").await.is_some());
    assert!(office.within().import_reading(id).await.unwrap().rows.is_empty(), "not needed now");
    assert_eq!(hana.post(&mend, &cells(3, &mended)).await.0, StatusCode::CONFLICT);
    assert_eq!(office.audited("list.row_mended").await, 3);
}

async fn a_heading_is_explained_once(office: Office) {
    let hana = office.scheduler().await;
    let foreign =
        list(&[HANA]).replace("電話番号1", "ご連絡先").replace("生年月日", "血液型,生年月日");
    let foreign = foreign.replace("S25.1.2", "A型,S25.1.2");
    let (_, id) = hana.bring(foreign.as_bytes()).await;
    let id = id.unwrap();
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    for part in ["知らない見出し", "「電話番号1」の列がありません", "value=\"ご連絡先\""]
    {
        assert!(page.contains(part), "{part} in {page}");
    }
    let say = |fields: &str| {
        let fields = fields.to_owned();
        let (hana, path) = (&hana, format!("/import/{id}/headings"));
        async move { hana.post(&path, &fields).await.0 }
    };
    assert_eq!(say("heading=ご連絡先&field=nonsense").await, StatusCode::NOT_FOUND);
    assert_eq!(say("heading=nonsense&field=備考").await, StatusCode::NOT_FOUND);
    let both = "heading=ご連絡先&field=電話番号1&heading=血液型&field=-";
    assert_eq!(say(both).await, StatusCode::SEE_OTHER);
    assert_eq!(office.within().import(id).await.unwrap().refused, 0);
    let (_, page) = hana.get(&format!("/import/{id}")).await;
    assert!(page.contains("090-1234-5678") || page.contains("取り込める行"), "{page}");
    assert!(!page.contains("この列は読み込みません"), "{page}");
    // The next list is read so at once.
    let (_, again) = hana.bring(foreign.as_bytes()).await;
    let again = again.unwrap();
    assert_eq!(office.within().import(again).await.unwrap().rows, 1);
    assert_eq!(hana.post(&format!("/import/{again}/take"), "").await.0, StatusCode::SEE_OTHER);
    assert_eq!(office.settled(again).await.counts.created, 1);
    // Another centre has headings of its own.
    let stranger = office.person("yama", Role::Scheduler, office.other).await;
    let (_, theirs) = stranger.bring(foreign.as_bytes()).await;
    let theirs = office
        .store()
        .within(Scope { center: office.other, clinic: None })
        .import(theirs.unwrap())
        .await
        .unwrap();
    assert_eq!(theirs.rows, 0);
    // Taken back, it is not known any more.
    assert_eq!(say("heading=ご連絡先&field=").await, StatusCode::SEE_OTHER);
    let (_, id) = hana.bring(foreign.as_bytes()).await;
    assert_eq!(office.within().import(id.unwrap()).await.unwrap().rows, 0);
}

/// A list with 性別, one that does not tell it, and taking each back.
async fn gender_comes_with_a_list_and_stays_when_another_does_not_tell_it(office: Office) {
    let hana = office.scheduler().await;
    let with = list(&[HANA]).replace(",電話番号", ",性別,電話番号");
    for (told, expected) in [
        ("男", Some(Gender::Male)),
        ("女性", Some(Gender::Female)),
        ("F", Some(Gender::Female)),
        ("その他", Some(Gender::Other)),
        ("不明", Some(Gender::Unknown)),
        ("", Some(Gender::Unknown)),
    ] {
        let list = with.replace("S25.1.2,", &format!("S25.1.2,{told},"));
        let (_, id) = hana.bring(list.as_bytes()).await;
        let id = id.unwrap();
        assert_eq!(hana.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
        office.settled(id).await;
        let patient = office.patient("A1").await.unwrap();
        assert_eq!(office.within().patient(patient).await.unwrap().gender, expected, "{told}");
    }
    let again = hana.import(&[HANA]).await;
    assert_eq!((again.counts.unchanged, again.counts.updated), (1, 0));
    let nameless = with.replace("S25.1.2,", "S25.1.2,猫,");
    let (_, id) = hana.bring(nameless.as_bytes()).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    assert!(page.contains("性別として読めません"), "{page}");
    let patient = office.patient("A1").await.unwrap();
    let page = format!("/patients/{patient}");
    assert!(hana.get(&page).await.1.contains("一覧の取り込みで登録"));
    assert_eq!(hana.post(&format!("{page}/gender"), "gender=cat").await.0, StatusCode::NOT_FOUND);
    let set = hana.post(&format!("{page}/gender"), "gender=female").await;
    assert_eq!(set.0, StatusCode::SEE_OTHER);
    let (_, shown) = hana.get(&page).await;
    assert!(shown.contains("<del>不明</del> → <ins>女</ins>"), "{shown}");
}

/// A list with 架電曜日 and 報告方法, one that does not tell them, and taking the first back.
async fn days_and_way_come_with_a_list_and_stay_when_another_does_not_tell_them(office: Office) {
    let hana = office.scheduler().await;
    let with = |days: &str, way: &str| {
        let head = list(&[HANA]).replace("架電時刻1", "架電時刻1,架電曜日,報告方法");
        head.replace(",9:30", &format!(",9:30,{days},{way}"))
    };
    let take = async |text: String| {
        let id = hana.bring(text.as_bytes()).await.1.unwrap();
        assert_eq!(hana.post(&format!("/import/{id}/take"), "").await.0, StatusCode::SEE_OTHER);
        office.settled(id).await
    };
    let agreed = async || {
        let patient = office.patient("A1").await.unwrap();
        let arrangement = office.within().episode_of(patient).await.unwrap().unwrap().arrangement;
        (arrangement.weekdays.written(), arrangement.channel)
    };
    for (days, way, fault) in
        [("祝日", "電話", "曜日として読めません"), ("月", "FAX", "「電話」「Web」「職員」のどれか")]
    {
        let (_, id) = hana.bring(with(days, way).as_bytes()).await;
        let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
        assert!(page.contains(fault), "{fault} in {page}");
    }
    assert_eq!(take(with("月水金", "")).await.counts.created, 1);
    assert_eq!(agreed().await, ("月水金".to_owned(), arrangement::Channel::Telephone));
    // What a list does not tell is as it was agreed.
    assert_eq!(hana.import(&[HANA]).await.counts.unchanged, 1);
    assert_eq!(take(with("", "電話")).await.counts.unchanged, 1);
    let (_, id) = hana.bring(with("平日", "Web").as_bytes()).await;
    let (_, page) = hana.get(&format!("/import/{}", id.unwrap())).await;
    for part in ["架電曜日", "月水金", "月火水木金", "報告方法"] {
        assert!(page.contains(part), "{part} in {page}");
    }
    let changed = take(with("平日", "Web")).await;
    assert_eq!(changed.counts.updated, 1);
    assert_eq!(agreed().await, ("月火水木金".to_owned(), arrangement::Channel::Web));
    assert_eq!(hana.take_back(changed.id).await.counts.restored, 1);
    assert_eq!(agreed().await, ("月水金".to_owned(), arrangement::Channel::Telephone));
}

async fn how_people_stood_before_a_list_is_forgotten_after_ninety_days(office: Office) {
    let hana = office.scheduler().await;
    let first = hana.import(&[HANA]).await;
    let second = hana.import(&[&HANA.replace("9:30", "10:30")]).await;
    let days = |days: u64| at(10, 0) + Duration::from_hours(24 * days);
    office.store().roll_health(days(89)).await.unwrap();
    assert!(second.can_be_undone(days(89)) && !second.can_be_undone(days(91)));
    assert_eq!(hana.take_back(second.id).await.counts.restored, 1, "it is still known");
    office.store().roll_health(days(91)).await.unwrap();
    let entry = AuditEntry {
        actor: Actor::Program,
        health_center: None,
        action: "list.undo_begun",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    let by = office.store().mint(at(10, 0));
    let begun = office.within().begin_undo(days(91), first.id, by, &entry).await;
    assert!(!begun.unwrap(), "too late");
    // Even for a clock that is behind: it is gone.
    let undone = hana.take_back(first.id).await;
    assert_eq!((undone.counts.left, undone.counts.deleted), (1, 0));
    assert!(office.patient("A1").await.is_some());
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
    let endless = format!("leave={}", "1".repeat(300 * 1024));
    let (status, page) = hana.post(&format!("/import/{}/take", taken.id), &endless).await;
    assert!(status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("大きすぎます"), "{page}");
    assert_eq!(office.patients().await, 1);
    // The same number at another centre is another person.
    let (_, id) = stranger.bring(list(&[HANA]).as_bytes()).await;
    let take = format!("/import/{}/take", id.unwrap());
    assert_eq!(stranger.post(&take, "").await.0, StatusCode::SEE_OTHER);
    while office.store().patients(office.other).await.unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    assert_eq!(office.patients().await, 1);
}

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

async fn a_take_is_approved_by_somebody_else_and_then_said(office: Office) {
    let hana = office.scheduler().await;
    let chief = office.person("chief", Role::Supervisor, office.home).await;
    let nurse = office.person("nao", Role::Nurse, office.home).await;
    let tone = tone();
    let bring = "/prompts/hold/takes";
    assert_eq!(nurse.send_file(bring, "hold.wav", &tone).await.0, StatusCode::FORBIDDEN);
    let (status, page) = hana.send_file(bring, "hold.wav", b"no sound at all").await;
    assert!(
        status == StatusCode::UNPROCESSABLE_ENTITY && page.contains("音声として読めません"),
        "{page}"
    );
    assert_eq!(hana.send_file(bring, "hold.exe", &tone).await.0, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        hana.send_file("/prompts/opening/takes", "a.wav", &tone).await.0,
        StatusCode::UNPROCESSABLE_ENTITY
    );
    assert_eq!(hana.send_file(bring, "hold.wav", &tone).await.0, StatusCode::SEE_OTHER);
    let take = office.store().takes(Language::Ja).await.unwrap().remove(0);
    assert_eq!((take.prompt.as_str(), take.state), ("hold", TakeState::Draft));
    assert!(office.store().takes_in_use(Language::Ja).await.unwrap().is_empty());
    let (_, headers, sound) = hana
        .ask(Request::get(format!("/prompts/takes/{}/sound.wav", take.id)), Body::empty())
        .await;
    assert_eq!(headers["content-type"], "audio/wav");
    assert!(sound.starts_with(b"RIFF") && sound.len() > 8000, "a second at 8 kHz");

    let approve = format!("/prompts/takes/{}/approve", take.id);
    assert_eq!(hana.post(&approve, "").await.0, StatusCode::FORBIDDEN);
    assert_eq!(chief.send_file(bring, "hold.wav", &tone).await.0, StatusCode::SEE_OTHER);
    let own = office
        .store()
        .takes(Language::Ja)
        .await
        .unwrap()
        .into_iter()
        .find(|one| one.id != take.id)
        .unwrap();
    let (status, page) = chief.post(&format!("/prompts/takes/{}/approve", own.id), "").await;
    assert!(status == StatusCode::CONFLICT && page.contains("別の人"), "{page}");
    assert_eq!(chief.post(&approve, "").await.0, StatusCode::SEE_OTHER);
    let in_use = office.store().takes_in_use(Language::Ja).await.unwrap();
    let stamp = office.store().takes_stamp(Language::Ja).await.unwrap();
    let library = Arc::clone(&office.desk.library);
    let hold = Utterance::fixed("hold");
    let before = library.clip(&hold, Pace::Normal).unwrap();
    library.use_takes(stamp.clone(), in_use.clone());
    assert_eq!((library.takes_stamp(), library.source(&hold)), (stamp, Source::Take));
    let after = library.clip(&hold, Pace::Normal).unwrap();
    assert!(after.pcmu.starts_with(&in_use["hold"]) && before.pcmu != after.pcmu);
    let (_, page) = hana.get("/prompts").await;
    assert!(page.contains("録音(承認済み)") && page.contains("承認待ち"), "{page}");
    let (status, page) = hana.get("/prompts/hold").await;
    assert!(
        status == StatusCode::OK && page.contains("使用中") && page.contains("class=\"high\""),
        "{page}"
    );
    assert_eq!(nurse.get("/prompts").await.0, StatusCode::FORBIDDEN);

    assert_eq!(
        chief.post(&format!("/prompts/takes/{}/retire", take.id), "").await.0,
        StatusCode::SEE_OTHER
    );
    library.use_takes(
        office.store().takes_stamp(Language::Ja).await.unwrap(),
        office.store().takes_in_use(Language::Ja).await.unwrap(),
    );
    assert_eq!(library.source(&hold), Source::Voice);
    assert_eq!(library.clip(&hold, Pace::Normal).unwrap().pcmu, before.pcmu);
    assert_eq!(
        office.store().take_sound(take.id).await.unwrap()[..],
        in_use["hold"][..],
        "kept for the record"
    );
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

/// A second and a half of a tone, as 16-bit WAV at 8 kHz.
fn tone() -> Vec<u8> {
    let samples: Vec<u8> = (0..12_000_u32)
        .flat_map(|n| {
            let wave = (f64::from(n) * 440.0 * std::f64::consts::TAU / 8000.0).sin();
            #[expect(clippy::cast_possible_truncation, reason = "within the range of samples")]
            let sample = (wave * 8000.0) as i16;
            sample.to_le_bytes()
        })
        .collect();
    let mut bytes = header(Encoding::Linear16, 1, 8000, u32::try_from(samples.len()).unwrap());
    bytes.extend(samples);
    bytes
}
