//! The patient page over HTTP: who sees what, what staff do there, and how it is drawn.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION};
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use jiff::civil::{Date, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::clock::timestamp;
use mimamori::base::id::{ClinicId, HealthCenterId, PatientId, StaffId};
use mimamori::base::{Clock, Language, Now, Private, address};
use mimamori::call::{Completion, Respondent};
use mimamori::campaign::pacing::Limits;
use mimamori::campaign::{SlotState, Window, slots_on};
use mimamori::escalation::Priority;
use mimamori::escalation::rule::RuleBook;
use mimamori::ivr::{Answer, Catalog, Questionnaires, YesNo};
use mimamori::observation::Channel;
use mimamori::prompt::Library;
use mimamori::registry::{
    Episode, HealthCenter, Patient, PatientPhone, PhoneRole, RiskFlag, Role, Scope, Staff, audit,
};
use mimamori::sim::clock::starting_at;
use mimamori::sim::{Directory, VirtualCarrier};
use mimamori::store::{AuditFilter, CaseFilter, Report, SignedIn, Stage, Store, Topic};
use mimamori::web::{self, Config, Desk};
use mimamori::worker::{self, Progress, Road};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::sync::watch;
use tower::ServiceExt;

use crate::postgres;
use crate::staff::{entry, hire, member};

const DAY: Date = date(2026, 11, 23);

fn at(hour: i8, minute: i8) -> Timestamp {
    timestamp(DAY.at(hour, minute, 0, 0))
}

/// A console, and people who have signed in to it. Each cookie is the login itself.
struct Office {
    store: Store,
    desk: Desk,
    router: Router,
    center: HealthCenter,
    other: HealthCenter,
    now: Arc<Mutex<Now>>,
    folder: TempDir,
}

impl Office {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mimamori.db");
        let store = Store::open(file.to_str().unwrap(), [7; 32]).await.unwrap();
        let instant = tokio::time::Instant::now().into_std();
        let now = Arc::new(Mutex::new(Now { instant, timestamp: at(10, 30) }));
        let shared = Arc::clone(&now);
        let desk = Desk::silent(
            store.clone(),
            Clock::new(move || *shared.lock().unwrap()),
            Config { key: Some([9; 32].into()), ..Config::shipped() },
        )
        .unwrap();
        let center = save_center(&store, "minato", "みなと保健所").await;
        let other = save_center(&store, "kita", "きた保健所").await;
        let router = web::router(desk.clone());
        let office = Self { store, desk, router, center, other, now, folder };
        let minato = Some(office.center.id);
        office.hire("nurse", Role::Nurse, minato, None).await;
        office.hire("scheduler", Role::Scheduler, minato, None).await;
        office.hire("supervisor", Role::Supervisor, minato, None).await;
        office.hire("engineer", Role::Engineer, None, None).await;
        office.hire("auditor", Role::Auditor, None, None).await;
        office.hire("stranger", Role::Nurse, Some(office.other.id), None).await;
        office
    }

    /// Somebody with a session that began just now.
    async fn hire(
        &self,
        login: &str,
        role: Role,
        center: Option<HealthCenterId>,
        clinic: Option<ClinicId>,
    ) -> StaffId {
        let staff = hire(
            &self.store,
            at(0, 0),
            Staff { clinic, ..member(&self.store, at(0, 0), login, role, center) },
        )
        .await;
        let id = staff.id;
        let session = SignedIn {
            staff,
            token: audit::hex(&Sha256::digest(login.as_bytes())),
            csrf: Private::new(format!("csrf-{login}")),
            stage: Stage::Full,
            created_at: at(10, 30),
            seen_at: at(10, 30),
            address: "127.0.0.1".to_owned(),
            agent: String::new(),
        };
        self.store.begin_session(at(10, 30), &session, &entry("session.begun")).await.unwrap();
        id
    }

    async fn admit(&self, center: &HealthCenter) -> (PatientId, Episode) {
        let id = self.store.mint(at(0, 0));
        let patient = Patient {
            id,
            health_center: center.id,
            registration_number: "A0001".to_owned(),
            birth_date: Private::new(date(1948, 3, 5)),
            name: Private::new("神崎 花".to_owned()),
            kana: Private::new("カンザキ ハナ".to_owned()),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            lives_alone: true,
            risks: vec![RiskFlag::Diabetes],
            phones: vec![PatientPhone {
                number: "090-1234-5678".parse().unwrap(),
                role: PhoneRole::Mobile,
                may_call: true,
            }],
        };
        let episode = Episode {
            id: self.store.mint(at(0, 0)),
            patient: id,
            first_day: date(2026, 11, 20),
            last_day: date(2026, 11, 29),
            call_times: vec![time(10, 0, 0, 0), time(14, 30, 0, 0)],
            arrangement: mimamori::registry::Arrangement::default(),
        };
        self.store.import_patient(at(0, 0), &patient, Some(&episode)).await.unwrap();
        let slots = slots_on(DAY, &episode, &Window::of(center), &self.desk.terms.cadence);
        self.store.open_slots(at(0, 0), &slots).await.unwrap();
        (id, episode)
    }

    /// A report by web, so many hours before ten o'clock of the day.
    async fn tell(&self, patient: PatientId, hours: i64, values: &[(&str, Answer)]) {
        let effective_at = at(10, 0) - hours.hours();
        let report = Report {
            channel: Channel::Web,
            respondent: Respondent::Family,
            questionnaire: "web@1".to_owned(),
            effective_at,
            values: values.iter().map(|(code, value)| ((*code).to_owned(), *value)).collect(),
            completion: Completion::Partial,
        };
        self.store.report(effective_at, patient, &report).await.unwrap();
    }

    async fn get(&self, who: &str, path: &str) -> (StatusCode, String) {
        self.ask(who, Request::get(path), Body::empty()).await
    }

    async fn post(&self, who: &str, path: &str, fields: &[(&str, &str)]) -> (StatusCode, String) {
        let csrf = format!("csrf-{who}");
        let pairs = fields.iter().copied().chain([("csrf", csrf.as_str())]);
        let body = address::query(pairs);
        let request = Request::post(path).header(CONTENT_TYPE, "application/x-www-form-urlencoded");
        self.ask(who, request, Body::from(body)).await
    }

    /// The status, and the page or where it leads.
    async fn ask(
        &self,
        who: &str,
        request: axum::http::request::Builder,
        body: Body,
    ) -> (StatusCode, String) {
        let mut request = request
            .header(HOST, "localhost")
            .header(COOKIE, format!("__Host-mimamori={who}"))
            .body(body)
            .unwrap();
        let address = SocketAddr::from(([192, 0, 2, 1], 40_000));
        request.extensions_mut().insert(ConnectInfo(address));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        if let Some(to) = response.headers().get(LOCATION) {
            return (status, to.to_str().unwrap().to_owned());
        }
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    async fn actions(&self, patient: PatientId) -> Vec<String> {
        let filter = AuditFilter { patient: Some(patient), ..AuditFilter::default() };
        let events = self.store.audit_events(&filter, 100).await.unwrap();
        events.into_iter().rev().map(|event| event.action).collect()
    }

    fn later(&self, minutes: u64) {
        let mut now = self.now.lock().unwrap();
        *now = now.later(Duration::from_mins(minutes));
    }
}

async fn save_center(store: &Store, code: &str, name: &str) -> HealthCenter {
    let mut center = HealthCenter {
        id: store.mint(at(0, 0)),
        code: code.to_owned(),
        name: name.to_owned(),
        kana: "ミナトホケ'ンジョ".to_owned(),
        desk_phone: "03-0000-0000".to_owned(),
        opens_at: time(8, 30, 0, 0),
        closes_at: time(18, 0, 0, 0),
    };
    center.id = store.save_health_center(at(0, 0), &center).await.unwrap();
    center
}

/// One tag a line, so that a person can read what changed.
fn lines(html: &str) -> String {
    html.replace("><", ">\n<")
}

/// The part of a page from a tag to its end.
fn part<'p>(page: &'p str, begin: &str, end: &str) -> &'p str {
    let from = page.find(begin).unwrap_or_else(|| panic!("no {begin}"));
    let rest = page.get(from..).unwrap();
    let to = rest.find(end).unwrap() + end.len();
    rest.get(..to).unwrap()
}

const COUGH: (&str, Answer) = ("cough", Answer::Choice(YesNo::Yes));

#[tokio::test]
async fn a_nurse_sees_everything_and_is_written_down() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    let values = [("temperature", Answer::Number(381)), ("spo2", Answer::Number(95)), COUGH];
    office.tell(patient, 24, &values).await;
    let (status, page) = office.get("nurse", &format!("/patients/{patient}")).await;
    assert_eq!(status, StatusCode::OK);
    // Two identifiers in the bar that stays.
    let bar = part(&page, "<div class=\"person-bar\"", "</div>");
    for text in ["神崎 花", "A0001", "1948-03-05", "78歳"] {
        assert!(bar.contains(text), "{text} in {bar}");
    }
    for text in ["38.1 ℃", "95 %", "咳・鼻水", "Web入力", "家族入力", "web@1", "糖尿病", "独居"]
    {
        assert!(page.contains(text), "{text}");
    }
    for text in ["4日目", "2026-11-29", "10:00", "090", "観察を記録", "架電を休止"] {
        assert!(page.contains(text), "{text}");
    }
    // What matters to a strict policy, and to a slow line.
    assert!(!page.contains(" style=") && !page.contains("onclick"));
    assert!(page.len() < 200_000, "{}", page.len());
    assert_eq!(office.actions(patient).await, ["patient.viewed"]);
}

#[tokio::test]
async fn a_scheduler_sees_the_plan_and_nothing_of_the_state_of_health() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    office.tell(patient, 24, &[("temperature", Answer::Number(381)), COUGH]).await;
    let path = format!("/patients/{patient}");
    let note = office.store.mint::<mimamori::base::id::StaffNoteId>(at(9, 0)).to_string();
    let fields = [("note", note.as_str()), ("text", "娘さんと話した")];
    let noted = office.post("nurse", &format!("{path}/note"), &fields).await;
    assert_eq!(noted.0, StatusCode::SEE_OTHER);
    let (status, page) = office.get("scheduler", &path).await;
    assert_eq!(status, StatusCode::OK);
    for text in ["神崎 花", "A0001", "1948-03-05", "架電を休止", "架電時刻を変更"] {
        assert!(page.contains(text), "{text}");
    }
    for text in [
        "38.1",
        "咳",
        "<svg viewBox=\"0 0 760",
        "娘さん",
        "糖尿病",
        "高リスク",
        "観察を記録",
        "対応",
    ] {
        assert!(!page.contains(text), "{text}");
    }
    for (form, fields) in [("observe", vec![("spo2", "98")]), ("correct", vec![]), ("note", vec![])]
    {
        let (status, _) = office.post("scheduler", &format!("{path}/{form}"), &fields).await;
        assert_eq!(status, StatusCode::FORBIDDEN, "{form}");
    }
    let (status, _) = office.post("nurse", &format!("{path}/clinic"), &[("clinic", "")]).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "only a supervisor gives a patient away");
}

#[tokio::test]
async fn nobody_reaches_the_patients_of_others() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    let path = format!("/patients/{patient}");
    assert_eq!(office.get("stranger", &path).await.0, StatusCode::NOT_FOUND);
    for who in ["engineer", "auditor"] {
        assert_eq!(office.get(who, &path).await.0, StatusCode::FORBIDDEN, "{who}");
        assert_eq!(office.get(who, "/patients?q=A0001").await.0, StatusCode::FORBIDDEN, "{who}");
    }
    assert_eq!(office.get("nobody", &path).await.1, "/login");
    assert_eq!(office.get("nurse", "/patients/x").await.0, StatusCode::NOT_FOUND);
    let (status, page) = office.get("stranger", "/patients?q=A0001").await;
    assert!(status == StatusCode::OK && page.contains("該当する患者はいません"), "{page}");
    let id = office.store.mint::<mimamori::base::id::ReportId>(at(9, 0)).to_string();
    let everything = [
        ("first_day", "2026-11-23"),
        ("last_day", "2026-11-24"),
        ("reason", "x"),
        ("pause", &id),
        ("time1", "10:00"),
        ("report", &id),
        ("way", "visit"),
        ("respondent", "patient"),
        ("date", "2026-11-23"),
        ("time", "10:00"),
        ("spo2", "98"),
        ("observation", &id),
        ("code", "spo2"),
        ("value", "98"),
        ("note", &id),
        ("text", "x"),
    ];
    for form in [
        "pause", "resume", "times", "last-day", "end", "observe", "correct", "note", "contacts",
        "speech",
    ] {
        let (status, _) = office.post("stranger", &format!("{path}/{form}"), &everything).await;
        assert_eq!(status, StatusCode::NOT_FOUND, "{form}");
    }
    assert!(office.actions(patient).await.is_empty());

    // A contracted clinic sees its own patients alone.
    let clinic: ClinicId = office.store.mint(at(0, 0));
    let insert = format!(
        "insert into clinic (id, health_center_id, code, name, created_at) \
         values ('{clinic}', '{}', 'c', '港クリニック', 0)",
        office.center.id
    );
    let url = format!("sqlite://{}", office.folder.path().join("mimamori.db").display());
    postgres::execute(&url, &insert).await;
    office.hire("clinic", Role::Clinic, Some(office.center.id), Some(clinic)).await;
    assert_eq!(office.get("clinic", &path).await.0, StatusCode::NOT_FOUND);
    let clinic = clinic.to_string();
    let fields = [("clinic", clinic.as_str())];
    let given = office.post("supervisor", &format!("{path}/clinic"), &fields).await;
    assert_eq!(given.0, StatusCode::SEE_OTHER);
    let (status, page) = office.get("clinic", &path).await;
    assert!(status == StatusCode::OK && page.contains("港クリニック"));
    assert!(!page.contains("架電を休止"), "the plan is the centre's");
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused_beside_the_field() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    let path = format!("/patients/{patient}");
    let (status, page) = office
        .post("nurse", &format!("{path}/pause"), &[("first_day", "2026-11-22"), ("reason", "入院")])
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    let form = part(&page, "<details class=\"card form\" id=\"pause\" open", "</details>");
    assert!(
        form.contains("今日以降の日にしてください。") || form.contains("日付を入力してください。")
    );
    assert!(form.contains("aria-describedby=\"pause-last_day-fault\""), "{form}");
    assert!(form.contains("value=\"入院\""), "what was typed stays");
    let fields = [("way", "telephone"), ("respondent", "patient"), ("temperature", "99")];
    let (status, page) = office.post("nurse", &format!("{path}/observe"), &fields).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("34.0〜42.0の体温を入力してください。"));
    let slots = office.store.slots_of(patient, DAY).await.unwrap();
    assert!(slots.iter().all(|slot| slot.state == SlotState::Due));
    // Without the word that our own form brings, nothing is done.
    let request = Request::post(format!("{path}/pause"))
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let body = Body::from("first_day=2026-11-23&last_day=2026-11-23&reason=x&csrf=csrf-stranger");
    assert_eq!(office.ask("nurse", request, body).await.0, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn a_pause_is_begun_and_ended() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    let path = format!("/patients/{patient}");
    let fields = [("first_day", "2026-11-23"), ("last_day", "2026-11-25"), ("reason", "入院")];
    for _ in 0..2 {
        let (status, to) = office.post("scheduler", &format!("{path}/pause"), &fields).await;
        assert_eq!((status, to.as_str()), (StatusCode::SEE_OTHER, path.as_str()));
    }
    let (_, page) = office.get("scheduler", &path).await;
    for text in ["休止中(〜11/25)", "入院", "休止中です。"] {
        assert!(page.contains(text), "{text}");
    }
    let other = [("first_day", "2026-11-25"), ("last_day", "2026-11-26"), ("reason", "旅行")];
    let (status, page) = office.post("scheduler", &format!("{path}/pause"), &other).await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(page.contains("すでに休止があります"));
    office.later(10);
    let scope = Scope { center: office.center.id, clinic: None };
    let plan = office.store.within(scope).care_plan(patient, (DAY, DAY)).await.unwrap();
    let pause = plan.pauses[0].id.to_string();
    let fields = [("pause", pause.as_str())];
    let ended = office.post("scheduler", &format!("{path}/resume"), &fields).await;
    assert_eq!(ended, (StatusCode::SEE_OTHER, path));
    let slots = office.store.slots_of(patient, DAY).await.unwrap();
    let states: Vec<_> = slots.iter().map(|slot| slot.state).collect();
    assert_eq!(states, [SlotState::Due, SlotState::Due]);
}

#[tokio::test]
async fn an_observation_is_written_down_once_and_corrected() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    let path = format!("/patients/{patient}");
    let (_, page) = office.get("nurse", &path).await;
    let hidden = part(&page, "<input type=\"hidden\" name=\"report\" value=\"", "\">");
    let report = hidden.rsplit('"').nth(1).unwrap().to_owned();
    let fields = [
        ("report", report.as_str()),
        ("way", "visit"),
        ("respondent", "family"),
        ("date", "2026-11-23"),
        ("time", "10:20"),
        ("temperature", "３９．５"),
        ("spo2_missing", "1"),
        ("dyspnea", "no"),
        ("cough", ""),
        ("other_change", "no"),
    ];
    for _ in 0..2 {
        let (status, _) = office.post("nurse", &format!("{path}/observe"), &fields).await;
        assert_eq!(status, StatusCode::SEE_OTHER);
    }
    let slots = office.store.slots_of(patient, DAY).await.unwrap();
    assert_eq!(slots[0].state, SlotState::Reported, "the short form was answered in full");
    let history = office.store.history(patient, at(0, 0)).await.unwrap();
    assert_eq!(history.len(), 4);
    let temperature = history.iter().find(|one| one.code == "temperature").unwrap().id.to_string();
    let (_, page) = office.get("nurse", &format!("{path}?correct={temperature}")).await;
    assert!(page.contains("<details class=\"card form\" id=\"correct\" open"));
    let fields = [
        ("observation", temperature.as_str()),
        ("code", "temperature"),
        ("value", "36.5"),
        ("reason", "読み違い"),
    ];
    let (status, page) =
        office.post("nurse", &format!("{path}/correct"), &[fields[0], fields[1]]).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert!(page.contains("id=\"correct-value-fault\"") && page.contains("correct-reason-fault"));
    let (status, _) = office.post("nurse", &format!("{path}/correct"), &fields).await;
    assert_eq!(status, StatusCode::SEE_OTHER);
    let (_, page) = office.get("nurse", &path).await;
    for text in ["<del>39.5 ℃</del>", "<ins>36.5 ℃</ins>", "読み違い", "職員 nurse", "測れない"]
    {
        assert!(page.contains(text), "{text}");
    }
}

#[tokio::test]
async fn a_patient_is_found_by_typing_as_people_do() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    office.tell(patient, 24, &[("temperature", Answer::Number(381))]).await;
    let (status, to) = office.get("scheduler", "/patients?q=%EF%BC%A10001").await;
    assert_eq!((status, to), (StatusCode::SEE_OTHER, format!("/patients/{patient}")));
    for words in ["かんざき", "神崎", "5678"] {
        let path = format!("/patients?{}", address::query([("q", words)]));
        let (_, page) = office.get("scheduler", &path).await;
        assert!(page.contains("神崎 花") && page.contains("1948-03-05"), "{words}");
        assert!(!page.contains("38.1"));
    }
}

#[tokio::test]
async fn charts_show_bands_gaps_and_single_values() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    let path = format!("/patients/{patient}");
    let figure = |page: &str| {
        let charts = part(page, "<figure class=\"chart\"", "</section>");
        lines(part(charts, "<figure", "</figure>"))
    };
    let (_, page) = office.get("nurse", &path).await;
    insta::assert_snapshot!("chart_without_a_value", figure(&page));
    office.tell(patient, 20, &[("temperature", Answer::Number(376))]).await;
    let (_, page) = office.get("nurse", &path).await;
    let one = figure(&page);
    assert!(!one.contains("<polyline"), "one value makes no line");
    insta::assert_snapshot!("chart_with_one_value", one);
    for (hours, value) in [(68, 365), (63, 371), (15, 392), (4, 349)] {
        office.tell(patient, hours, &[("temperature", Answer::Number(value))]).await;
    }
    office.tell(patient, 10, &[("temperature", Answer::NotMeasured)]).await;
    let (_, page) = office.get("nurse", &path).await;
    let many = figure(&page);
    // 68 and 63 hours ago; then two days of silence; then 20 and 15; then what was not measured.
    assert_eq!(many.matches("<polyline").count(), 2, "{many}");
    insta::assert_snapshot!("chart_with_gaps", many);
}

#[tokio::test]
async fn the_page_looks_as_it_was_agreed() {
    let office = Office::new().await;
    let (patient, _) = office.admit(&office.center).await;
    office.tell(patient, 24, &[("temperature", Answer::Number(381)), COUGH]).await;
    let path = format!("/patients/{patient}");
    let fields = [("relation1", "welfare_commissioner"), ("name1", "民生 太郎"), ("key1", "1")];
    let saved = office.post("nurse", &format!("{path}/contacts"), &fields).await;
    assert_eq!(saved.0, StatusCode::SEE_OTHER);
    let (_, page) = office.get("nurse", &path).await;
    insta::assert_snapshot!("patient_page", lines(part(&page, "<main", "</main>")));
}

#[tokio::test(start_paused = true)]
async fn what_staff_write_down_is_judged_by_the_rules() {
    let clock = starting_at(at(10, 30));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mimamori.db");
    let store = Store::open_in_virtual_time(file.to_str().unwrap(), [3; 32]).await.unwrap();
    let road = Arc::new(Road {
        store: store.clone(),
        recordings: None,
        carrier: Arc::new(VirtualCarrier::new(Arc::new(Directory::new([])), clock.clone())),
        library: Arc::new(Library::silent(Catalog::embedded())),
        questionnaires: Questionnaires::shipped(),
        rules: RuleBook::shipped().unwrap(),
        clock: clock.clone(),
        webhook: None,
        config: worker::Config {
            limits: Limits { calls_per_second: 1.0, burst: 1, calls_at_once: 1 },
            ..worker::Config::shipped("one".to_owned())
        },
        progress: Progress::new(),
    });
    let center = save_center(&store, "minato", "みなと保健所").await;
    let patient = Patient {
        id: store.mint(at(0, 0)),
        health_center: center.id,
        registration_number: "A0001".to_owned(),
        birth_date: Private::new(date(1990, 3, 5)),
        name: Private::new("神崎 花".to_owned()),
        kana: Private::new("カンザキ ハナ".to_owned()),
        gender: None,
        language: Language::Ja,
        has_thermometer: true,
        has_oximeter: true,
        slow_speech: false,
        lives_alone: false,
        risks: vec![],
        phones: vec![PatientPhone {
            number: "090-1234-5678".parse().unwrap(),
            role: PhoneRole::Mobile,
            may_call: true,
        }],
    };
    // No episode: the report meets no slot, and must be heard of all the same.
    store.import_patient(at(0, 0), &patient, None).await.unwrap();
    let nurse = hire(
        &store,
        at(0, 0),
        Staff {
            name: Private::new("看護 花子".to_owned()),
            ..member(&store, at(0, 0), "nurse", Role::Nurse, Some(center.id))
        },
    )
    .await;
    let mut cases = store.changes(&[Topic::Case]);
    let (stop, stopped) = watch::channel(false);
    let walking = tokio::spawn(worker::run(road, stopped));
    let within = store.within(Scope { center: center.id, clinic: None });
    for (minute, spo2) in [(20, 95), (25, 90)] {
        let report = mimamori::store::StaffReport {
            id: store.mint(at(10, minute)),
            way: mimamori::store::Way::Telephone,
            respondent: Respondent::Patient,
            effective_at: at(10, minute),
            values: vec![("spo2".to_owned(), Answer::Number(spo2))],
            completion: Completion::Partial,
        };
        within.observe(at(10, 30), nurse.id, patient.id, &report).await.unwrap();
        cases.changed().await;
    }
    stop.send_replace(true);
    walking.await.unwrap().unwrap();
    let cases = store.cases(CaseFilter::Unresolved).await.unwrap();
    let [view] = cases.as_slice() else { panic!("one case") };
    assert_eq!(view.case.priority, Priority::P1);
    let texts: Vec<_> = view.case.facts.iter().map(|fact| fact.text.as_str()).collect();
    assert!(texts.contains(&"SpO2 95%") && texts.contains(&"SpO2 90%"), "{texts:?}");
}
