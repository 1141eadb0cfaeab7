//! Nobody reaches what is not theirs: each role, asking for each kind of thing, near and far.
//!
//! The store answers here without any route before it: a route that forgets to ask for a right, or
//! for a centre, shows nothing of another's. Whoever adds a kind of thing to the store adds it to
//! [`ask`] and to [`KINDS`]; what has routes of its own stands in [`routes`], too.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::net::SocketAddr;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Method, Request, StatusCode};
use jiff::civil::{Date, date, time};
use jiff::{Timestamp, ToSpan};
use mimamori::base::id::{AttemptId, CaseId, CenterKeyId, ClinicId, ImportBatchId};
use mimamori::base::{Clock, Language, Now, Private};
use mimamori::campaign::plan::Precedence;
use mimamori::campaign::{NewSlot, PlannedAttempt, SlotKind};
use mimamori::escalation::case::FactSource;
use mimamori::escalation::{Deed, Fact, Priority};
use mimamori::registry::audit::hex;
use mimamori::registry::import::Reading;
use mimamori::registry::{
    Actor, ApiToken, Arrangement, AuditEntry, Clinic, Episode, HealthCenter, Patient, PatientPhone,
    PhoneRole, Reach, Right, Role, Scope, Staff, TestMethod, TestResult,
};
use mimamori::store::{
    Agreed, AuditFilter, Evaluated, NewBatch, NewRecording, SignedIn, Stage, Store,
};
use mimamori::tape::{self, Keep, Policy, SealedKey};
use mimamori::web::{self, Desk};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::staff::member;
use crate::store::{Database, at, claims};

claims! {
    nobody_reaches_what_is_not_theirs
    no_route_leads_to_what_is_not_theirs
}

/// Where a thing lies, seen from somebody who works in the first clinic of the first centre.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// Of the own centre, in the care of the own clinic.
    OwnClinic,
    /// Of the own centre, in nobody's care.
    OwnCenter,
    /// Of the own centre, in the care of another clinic.
    OtherClinic,
    /// Of another centre.
    OtherCenter,
}

const PLACES: [Place; 4] =
    [Place::OwnClinic, Place::OwnCenter, Place::OtherClinic, Place::OtherCenter];

#[derive(Clone, Copy, Debug)]
enum Kind {
    /// A patient's record.
    Patient,
    /// A patient found by searching.
    Found,
    /// The days, times and contacts of a patient.
    CarePlan,
    /// What was answered and observed.
    Health,
    /// The days under observation, as the plan shows them.
    Days,
    /// How a patient is spoken to.
    SlowSpeech,
    /// How a patient is reached.
    Arrangement,
    LabTest,
    /// A note about a patient.
    Note,
    /// To give a patient into the care of a clinic.
    Assign,
    /// A case, with all that happened to it.
    Case,
    /// A note on a case.
    Handle,
    /// A call with what was said in it.
    Call,
    /// The sound of a call.
    Sound,
    /// A list of patients.
    List,
    /// An account.
    Account,
    /// To disable an account.
    Disable,
    /// A token of an account.
    Token,
    /// An event that concerns a centre.
    Event,
}

const KINDS: [Kind; 19] = [
    Kind::Patient,
    Kind::Found,
    Kind::CarePlan,
    Kind::Health,
    Kind::Days,
    Kind::SlowSpeech,
    Kind::Arrangement,
    Kind::LabTest,
    Kind::Note,
    Kind::Assign,
    Kind::Case,
    Kind::Handle,
    Kind::Call,
    Kind::Sound,
    Kind::List,
    Kind::Account,
    Kind::Disable,
    Kind::Token,
    Kind::Event,
];

/// The right without which a route does not even ask the store.
fn right(kind: Kind) -> &'static [Right] {
    match kind {
        Kind::Patient | Kind::Found | Kind::CarePlan => &[Right::SeeHealth, Right::SeePlan],
        Kind::Health | Kind::Note | Kind::Call => &[Right::SeeHealth],
        Kind::Case | Kind::Handle => &[Right::HandleCases],
        Kind::Sound => &[Right::Listen],
        Kind::List => &[Right::Import],
        Kind::Days => &[Right::SeePlan],
        Kind::SlowSpeech | Kind::Arrangement | Kind::LabTest => &[Right::ChangePlan],
        Kind::Assign => &[Right::ChangeRules],
        Kind::Account | Kind::Disable | Kind::Token => &[Right::ManageStaff],
        Kind::Event => &[Right::SeeAudit],
    }
}

/// What is promised.
fn may(role: Role, kind: Kind, place: Place) -> bool {
    let is_own_center = place != Place::OtherCenter;
    let is_own_clinic = place == Place::OwnClinic;
    match (kind, role) {
        (Kind::Patient | Kind::Found | Kind::CarePlan, Role::Scheduler) => is_own_center,
        (
            Kind::Patient | Kind::Found | Kind::CarePlan | Kind::Health | Kind::Note,
            Role::Nurse | Role::Supervisor,
        ) => is_own_center,
        (
            Kind::Patient | Kind::Found | Kind::CarePlan | Kind::Health | Kind::Note,
            Role::Clinic,
        ) => is_own_clinic,
        (
            Kind::Days | Kind::SlowSpeech | Kind::Arrangement | Kind::LabTest,
            Role::Scheduler | Role::Nurse | Role::Supervisor,
        ) => is_own_center,
        (Kind::Assign, Role::Supervisor) => is_own_center,
        (Kind::Case | Kind::Handle | Kind::Call | Kind::Sound, Role::Nurse | Role::Supervisor) => {
            is_own_center
        }
        (Kind::Case | Kind::Handle | Kind::Call | Kind::Sound, Role::Clinic) => is_own_clinic,
        (Kind::List, Role::Scheduler | Role::Supervisor) => is_own_center,
        (Kind::Account | Kind::Disable | Kind::Token, Role::Administrator) => is_own_center,
        (Kind::Event, Role::Auditor) => is_own_center,
        _ => false,
    }
}

/// One thing of each kind in a place.
struct Corner {
    place: Place,
    patient: Patient,
    clinic: Option<ClinicId>,
    staff: Staff,
    token: ApiToken,
    case: CaseId,
    call: AttemptId,
    list: ImportBatchId,
}

struct World {
    store: Store,
    corners: Vec<Corner>,
    /// One member of the staff per role, all of the first centre.
    staff: Vec<Staff>,
}

fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        actor: Actor::Program,
        health_center: None,
        action,
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

const DAY: Date = date(2026, 11, 23);

const NOW: fn() -> Timestamp = || at(9, 0);

impl World {
    async fn new(database: &Database) -> Self {
        let store = database.open().await;
        let (mut centers, mut keys) = (Vec::new(), Vec::new());
        for code in ["minato", "kita"] {
            let mut center = HealthCenter {
                id: store.mint(NOW()),
                code: code.to_owned(),
                name: code.to_owned(),
                kana: "ホケンジョ".to_owned(),
                desk_phone: "03-0000-0000".to_owned(),
                opens_at: time(8, 30, 0, 0),
                closes_at: time(18, 0, 0, 0),
            };
            center.id = store.save_health_center(NOW(), &center).await.unwrap();
            let sealed = SealedKey { id: store.mint(NOW()), sealed: vec![1; 60] };
            store.add_center_key(NOW(), center.id, &sealed, None).await.unwrap();
            keys.push(sealed.id);
            centers.push(center);
        }
        let managing = store.managing(Reach::Everybody);
        let mut clinics = Vec::new();
        for (center, code) in [(0, "a"), (0, "b"), (1, "a")] {
            let clinic = Clinic {
                id: store.mint(NOW()),
                health_center: centers[center].id,
                code: code.to_owned(),
                name: code.to_owned(),
            };
            managing.add_clinic(NOW(), &clinic, &entry("clinic.added")).await.unwrap();
            clinics.push(clinic.id);
        }
        let mut world = Self { store, corners: Vec::new(), staff: Vec::new() };
        // So that the administrators below are never the last.
        world.hire("first", Role::Administrator, &centers[1], None).await;
        for role in Role::ALL {
            let clinic = (role == Role::Clinic).then_some(clinics[0]);
            let staff = world.hire(role.as_str(), role, &centers[0], clinic).await;
            world.staff.push(staff);
        }
        for (n, (place, center, clinic)) in [
            (Place::OwnClinic, 0, Some(clinics[0])),
            (Place::OwnCenter, 0, None),
            (Place::OtherClinic, 0, Some(clinics[1])),
            (Place::OtherCenter, 1, Some(clinics[2])),
        ]
        .into_iter()
        .enumerate()
        {
            let center = (&centers[center], keys[center]);
            let corner = world.furnish(place, n, center, clinic).await;
            world.corners.push(corner);
        }
        world
    }

    async fn hire(
        &self,
        login: &str,
        role: Role,
        center: &HealthCenter,
        clinic: Option<ClinicId>,
    ) -> Staff {
        let staff = Staff {
            clinic,
            name: login.to_owned().into(),
            ..member(&self.store, NOW(), login, role, Some(center.id))
        };
        let managing = self.store.managing(Reach::Everybody);
        managing.add(NOW(), &staff, None, &entry("staff.added")).await.unwrap();
        staff
    }

    async fn furnish(
        &self,
        place: Place,
        n: usize,
        (center, key): (&HealthCenter, CenterKeyId),
        clinic: Option<ClinicId>,
    ) -> Corner {
        let phone = format!("+8190{:08}", 10_000_000 + n).parse().unwrap();
        let patient = Patient {
            id: self.store.mint(NOW()),
            health_center: center.id,
            registration_number: format!("A{n:04}"),
            birth_date: Private::new(date(1950, 1, 2)),
            name: Private::new("神崎 花".to_owned()),
            kana: Private::new("カンザキ ハナ".to_owned()),
            gender: None,
            language: Language::Ja,
            has_thermometer: true,
            has_oximeter: true,
            slow_speech: false,
            lives_alone: true,
            risks: Vec::new(),
            phones: vec![PatientPhone { number: phone, role: PhoneRole::Home, may_call: true }],
        };
        let episode = Episode {
            id: self.store.mint(NOW()),
            patient: patient.id,
            first_day: DAY,
            last_day: DAY.saturating_add(7.days()),
            call_times: vec![time(9, 0, 0, 0)],
            arrangement: Arrangement::default(),
        };
        self.store.import_patient(NOW(), &patient, Some(&episode)).await.unwrap();
        let within = self.store.within(Scope { center: center.id, clinic: None });
        let by = self.staff[0].id;
        within.assign_clinic(NOW(), by, patient.id, clinic).await.unwrap();
        let staff = self.hire(&format!("{n}-nurse"), Role::Nurse, center, None).await;
        let token = ApiToken {
            id: self.store.mint(NOW()),
            owner: staff.id,
            name: "x".to_owned(),
            rights: vec![Right::SeePlan],
            created_at: NOW(),
            expires_at: at(18, 0),
            last_used_at: None,
            revoked_at: None,
        };
        let managing = self.store.managing(Reach::Everybody);
        let hash = format!("hash {n}");
        managing.add_token(NOW(), &token, &hash, &entry("token.added")).await.unwrap();
        let event = AuditEntry {
            health_center: Some(center.id),
            object: format!("{place:?}"),
            ..entry("patient.viewed")
        };
        self.store.audit(NOW(), &event).await.unwrap();
        let call = self.call(&patient, &episode, key).await;
        let fact = Fact {
            rule: "spo2-low".to_owned(),
            rule_set: "2026-11-01".to_owned(),
            priority: Priority::P1,
            text: "SpO2 92%".to_owned(),
            at: NOW(),
            source: FactSource::Attempt(call),
        };
        let judged = Evaluated::default();
        let change = self.store.add_facts(NOW(), patient.id, &[fact], &judged).await.unwrap();
        let case = change.case().unwrap();
        let list = NewBatch {
            source: "list.csv".to_owned(),
            encoding: "UTF-8".to_owned(),
            sha256: String::new(),
            content: "管理番号,氏名,フリガナ\n".into(),
            read_on: DAY,
            rows: 0,
            refused: 0,
            problems: Vec::new(),
            reading: Reading::default(),
        };
        let list = within.add_import(NOW(), staff.id, &list).await.unwrap();
        Corner { place, patient, clinic, staff, token, case, call, list }
    }

    /// A call to the patient, with a recording.
    async fn call(&self, patient: &Patient, episode: &Episode, key: CenterKeyId) -> AttemptId {
        let store = &self.store;
        let slot = NewSlot {
            episode: episode.id,
            patient: patient.id,
            date: DAY,
            number: 1,
            due_from: NOW(),
            due_to: at(12, 0),
            kind: SlotKind::Planned,
            campaign: None,
            rest: None,
        };
        store.open_slots(NOW(), &[slot]).await.unwrap();
        let slot = store.slots_of(patient.id, DAY).await.unwrap()[0].id;
        let phone = patient.phones[0].number.clone();
        let planned = PlannedAttempt {
            slot,
            number: 1,
            phone,
            due_at: NOW(),
            campaign: None,
            priority: Precedence::First,
        };
        let call = store.add_attempt(NOW(), &planned).await.unwrap().unwrap();
        let recording = NewRecording {
            id: store.mint(NOW()),
            attempt: call,
            key,
            node: "one".to_owned(),
            scope: tape::Scope::Whole,
            policy: Policy { keep: Keep::All, keep_days: 30 },
        };
        store.begin_recording(NOW(), &recording).await.unwrap();
        call
    }

    /// The console, in which everybody is signed in under their own login.
    async fn console(&self) -> Router {
        for staff in &self.staff {
            let signed_in = SignedIn {
                staff: staff.clone(),
                token: hex(&Sha256::digest(staff.login.as_bytes())),
                csrf: "right".to_owned().into(),
                stage: Stage::Full,
                created_at: NOW(),
                seen_at: NOW(),
                address: "::1".to_owned(),
                agent: String::new(),
            };
            self.store.begin_session(NOW(), &signed_in, &entry("session.begun")).await.unwrap();
        }
        let instant = tokio::time::Instant::now().into_std();
        let now = Now { instant, timestamp: NOW() };
        web::router(
            Desk::silent(self.store.clone(), Clock::new(move || now), web::Config::shipped())
                .unwrap(),
        )
    }
}

/// Whether somebody reaches the thing of that kind in that corner, past all routes but the right.
async fn ask(world: &World, asking: &Staff, kind: Kind, corner: &Corner) -> bool {
    if !right(kind).iter().any(|right| asking.may(*right)) {
        return false;
    }
    let store = &world.store;
    let reach = Reach::of(asking.health_center);
    let managing = store.managing(reach).by(asking.id);
    let patient = corner.patient.id;
    let days = (DAY, DAY);
    let within = || asking.scope().map(|scope| store.within(scope));
    match kind {
        Kind::Account | Kind::Disable | Kind::Token | Kind::Event => {}
        _ if within().is_none() => return false,
        _ => {}
    }
    let within = || within().expect("checked above");
    match kind {
        Kind::Patient => within().patient(patient).await.is_ok(),
        Kind::Found => {
            let number = &corner.patient.registration_number;
            let found = within().find_patients(number, 10).await.unwrap();
            found.iter().any(|found| found.patient.id == patient)
        }
        Kind::CarePlan => within().care_plan(patient, days).await.is_ok(),
        Kind::Health => within().health(patient, days).await.is_ok(),
        Kind::Days => {
            let seen = within().days_of(DAY).await.unwrap();
            let is_one = seen.iter().any(|episode| episode.patient == patient);
            let alone = within().episode_of(patient).await;
            assert_eq!(is_one, matches!(alone, Ok(Some(_))), "{asking:?}");
            is_one
        }
        Kind::SlowSpeech => within().set_slow_speech(NOW(), asking.id, patient, true).await.is_ok(),
        // As it is already.
        Kind::Arrangement => {
            let arrangement = Arrangement::default();
            let agreed = Agreed { arrangement, callable: &[], reason: "x" };
            within().set_arrangement(NOW(), asking.id, patient, &agreed, &[]).await.is_ok()
        }
        Kind::LabTest => {
            let test = (NOW(), TestMethod::Kit, TestResult::Negative);
            within().add_lab_test(NOW(), asking.id, patient, test).await.is_ok()
        }
        Kind::Note => {
            let id = store.mint(NOW());
            within().add_note(NOW(), asking.id, patient, id, "電話で確認").await.is_ok()
        }
        // To where the patient is already, so that the others still find everybody in place.
        Kind::Assign => {
            within().assign_clinic(NOW(), asking.id, patient, corner.clinic).await.is_ok()
        }
        Kind::Case => within().case_file(NOW(), corner.case).await.is_ok(),
        Kind::Handle => {
            let deed = Deed::Note("電話で確認".to_owned());
            within().handle_case(NOW(), asking, corner.case, &deed).await.is_ok()
        }
        Kind::Call => within().call_file(corner.call).await.is_ok(),
        Kind::Sound => within().sound_of_call(corner.call).await.is_ok(),
        Kind::List => within().import(corner.list).await.is_ok(),
        Kind::Account => managing.one(corner.staff.id).await.is_ok(),
        Kind::Disable => {
            let disabled = Staff { is_active: false, ..corner.staff.clone() };
            let done = managing.change(NOW(), &disabled, &entry("staff.changed")).await.is_ok();
            let anybody = store.managing(Reach::Everybody);
            anybody.change(NOW(), &corner.staff, &entry("staff.changed")).await.unwrap();
            done
        }
        Kind::Token => {
            let tokens = managing.tokens().await.unwrap();
            tokens.iter().any(|token| token.id == corner.token.id)
        }
        Kind::Event => {
            let all = AuditFilter::default();
            let events = store.auditing(reach).events(&all, 1000).await.unwrap();
            events.iter().any(|event| event.object == format!("{:?}", corner.place))
        }
    }
}

async fn nobody_reaches_what_is_not_theirs(database: Database) {
    let world = World::new(&database).await;
    let mut faults = Vec::new();
    for (role, asking) in Role::ALL.into_iter().zip(&world.staff) {
        for kind in KINDS {
            for place in PLACES {
                let corner = world.corners.iter().find(|corner| corner.place == place).unwrap();
                let reached = ask(&world, asking, kind, corner).await;
                if reached != may(role, kind, place) {
                    faults.push(format!("{role:?} {kind:?} {place:?}: reached {reached}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What a route asks of the store, the path to it in a corner, and what is sent.
fn routes(corner: &Corner) -> Vec<(Kind, String, Option<&'static str>)> {
    let Corner { case, call, list, .. } = corner;
    let patient = corner.patient.id;
    vec![
        (
            Kind::Arrangement,
            format!("/patients/{patient}/arrangement"),
            Some("day0=1&channel=telephone&reason=x"),
        ),
        (Kind::Health, format!("/release/{patient}"), None),
        (Kind::Case, format!("/cases/{case}"), None),
        (Kind::Handle, format!("/cases/{case}/note"), Some("text=x")),
        (Kind::Handle, format!("/cases/{case}/claim"), Some("")),
        (Kind::Handle, format!("/cases/{case}/release"), Some("")),
        (Kind::Call, format!("/calls/{call}"), None),
        (Kind::Sound, format!("/calls/{call}/reason"), Some("text=x")),
        (Kind::List, format!("/import/{list}"), None),
        (Kind::List, format!("/import/{list}/progress"), None),
        (Kind::List, format!("/import/{list}/problems.csv"), None),
        (Kind::List, format!("/import/{list}/headings"), Some("")),
        (Kind::List, format!("/import/{list}/mend"), Some("line=9")),
        (Kind::List, format!("/import/{list}/undo"), Some("")),
        (Kind::List, format!("/import/{list}/take"), Some("")),
    ]
}

/// As above, through the routes: 403 without the right, 404 for what is another's.
async fn no_route_leads_to_what_is_not_theirs(database: Database) {
    let world = World::new(&database).await;
    let console = world.console().await;
    let mut faults = Vec::new();
    for (role, asking) in Role::ALL.into_iter().zip(&world.staff) {
        for corner in &world.corners {
            for (kind, path, sent) in routes(corner) {
                let method = if sent.is_some() { Method::POST } else { Method::GET };
                let body = sent.map_or_else(String::new, |sent| format!("csrf=right&{sent}"));
                let mut request = Request::builder()
                    .method(method)
                    .uri(&path)
                    .header("cookie", format!("__Host-mimamori={}", asking.login))
                    .header("content-type", "application/x-www-form-urlencoded")
                    .body(Body::from(body))
                    .unwrap();
                let address = SocketAddr::from(([192, 0, 2, 1], 40_000));
                request.extensions_mut().insert(ConnectInfo(address));
                let status = console.clone().oneshot(request).await.unwrap().status();
                let has_right = right(kind).iter().any(|right| asking.may(*right));
                let is_right = match (has_right, may(role, kind, corner.place)) {
                    (false, _) => status == StatusCode::FORBIDDEN,
                    (true, false) => status == StatusCode::NOT_FOUND,
                    // Reached; whether it can be done is another matter.
                    (true, true) => {
                        status.is_success()
                            || status.is_redirection()
                            || status == StatusCode::CONFLICT
                            || path.ends_with("/mend") && status == StatusCode::NOT_FOUND
                    }
                };
                if !is_right {
                    faults.push(format!("{role:?} {path} of {:?}: {status}", corner.place));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
}
