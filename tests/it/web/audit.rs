//! The page of the audit: searched, taken out, verified.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mimamori::registry::{AuditEntry, Role};

use crate::web::{Office, entry};

async fn note(office: &Office, action: &'static str, detail: &str) {
    let event =
        AuditEntry { object: "object".to_owned(), detail: detail.to_owned(), ..entry(action) };
    office.store.audit(office.now(), &event).await.unwrap();
}

#[tokio::test]
async fn the_auditor_finds_what_was_done() {
    let office = Office::new().await;
    let mut auditor = office.at_work("auditor", Role::Auditor).await;
    note(&office, "patient.viewed", "first of all").await;
    note(&office, "recording.heard", "1.0-13.0 s").await;
    let page = auditor.get("/audit").await;
    assert!(page.text.contains("first of all") && page.text.contains("1.0-13.0 s"));
    let page = auditor.get("/audit?action=recording.").await;
    assert!(!page.text.contains("first of all") && page.text.contains("1.0-13.0 s"));
    let page = auditor.get("/audit?from=2026-11-24&to=2026-11-25").await;
    assert!(!page.text.contains("first of all"), "it was on the day before");
    let page = auditor.get("/audit?from=2026-11-23&to=2026-11-23").await;
    assert!(page.text.contains("first of all"));
    for wrong in ["from=yesterday", "patient=1", "staff=x", "before=-1"] {
        let page = auditor.get(&format!("/audit?{wrong}")).await;
        assert_eq!(page.status, StatusCode::UNPROCESSABLE_ENTITY, "{wrong}");
    }
    assert!(office.audited("audit.viewed").await.len() >= 4, "who audits is audited");
}

#[tokio::test]
async fn pages_follow_each_other() {
    let office = Office::new().await;
    let mut auditor = office.at_work("auditor", Role::Auditor).await;
    for n in 0..250 {
        note(&office, "patient.viewed", &format!("view {n};")).await;
    }
    let mut path = "/audit?action=patient.".to_owned();
    let mut seen = 0;
    for expected in [100, 100, 50] {
        let page = auditor.get(&path).await;
        let n = page.text.matches("view ").count();
        assert_eq!(n, expected);
        seen += n;
        path = page
            .between("href=\"/audit?action=patient.&amp;before=", "\"")
            .map(|before| format!("/audit?action=patient.&before={before}"))
            .unwrap_or_default();
    }
    assert_eq!((seen, path.as_str()), (250, ""));
}

#[tokio::test]
async fn what_is_taken_out_runs_nowhere() {
    let office = Office::new().await;
    let mut auditor = office.at_work("auditor", Role::Auditor).await;
    note(&office, "patient.viewed", "=HYPERLINK(\"http://evil.example\")").await;
    let page = auditor.get("/audit/export?action=patient.").await;
    assert_eq!(page.headers["content-type"], "text/csv; charset=utf-8");
    let disposition = page.headers["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment; filename=\"mimamori-audit-20261123"));
    let lines: Vec<&str> = page.text.lines().collect();
    assert_eq!(lines.len(), 2, "{}", page.text);
    assert!(lines[0].starts_with("\u{feff}\"seq\",\"at\",\"actor\""));
    assert!(lines[1].contains("\"'=HYPERLINK(\"\"http://evil.example\"\")\""), "{}", lines[1]);
    assert_eq!(office.audited("export.audit").await.len(), 1);
}

#[tokio::test]
async fn a_chain_that_was_tampered_with_is_told_at_once() {
    let office = Office::new().await;
    let mut auditor = office.at_work("auditor", Role::Auditor).await;
    auditor.get("/audit").await;
    let page = auditor.post("/audit/verify", &[]).await;
    assert_eq!(page.to(), "/audit");
    let page = auditor.get("/audit").await;
    assert!(page.text.contains("改ざんはありません"), "{}", page.text);
    let text = "update audit_event set detail = 'nothing happened' where seq = 2";
    office.tamper(text).await;
    let page = auditor.post("/audit/verify", &[]).await;
    assert_eq!(page.status, StatusCode::CONFLICT);
    assert!(page.text.contains("event 2 was changed"), "{}", page.text);
}

/// Who knocks at a door that is not theirs is written down, and cannot fill the chain with it.
#[tokio::test]
async fn refusals_for_want_of_a_right_are_audited_and_no_flood() {
    let office = Office::new().await;
    let mut scheduler = office.at_work("scheduler", Role::Scheduler).await;
    let refusals = async || {
        let all = office.audited("access.refused").await;
        all.into_iter().map(|(_, detail)| detail).collect::<Vec<_>>()
    };
    assert!(refusals().await.is_empty());
    scheduler.get("/account").await;
    let patient = "01900000-0000-7000-8000-000000000000";
    let note = scheduler.post(&format!("/patients/{patient}/note"), &[("text", "x")]).await;
    for page in [
        scheduler.get("/health").await,
        scheduler.get("/staff?x=a-name").await,
        note,
        scheduler.post_exactly(&format!("/plan/{patient}/stop"), &[("csrf", "guess")]).await,
        scheduler.get("/api/v1/patients/x/release").await,
    ] {
        assert_eq!(page.status, StatusCode::FORBIDDEN, "{}", page.text);
    }
    let told = refusals().await;
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(
        told.iter().any(|one| one == "GET /health") && told.iter().any(|one| one == "GET /staff")
    );
    assert!(!told.iter().any(|one| one.contains(patient) || one.contains("a-name")), "{told:?}");

    for _ in 0..40 {
        assert_eq!(scheduler.get("/health").await.status, StatusCode::FORBIDDEN);
    }
    assert_eq!(refusals().await.len(), 20);
    office.pass(std::time::Duration::from_mins(3));
    for _ in 0..10 {
        scheduler.get("/health").await;
    }
    assert_eq!(refusals().await.len(), 23, "one a minute comes back");
    // A token says nothing on a page, and hides nobody.
    office.pass(std::time::Duration::from_mins(1));
    let request = Request::get("/health").header("authorization", "Bearer x").body(Body::empty());
    assert_eq!(scheduler.send(request.unwrap()).await.status, StatusCode::FORBIDDEN);
    assert_eq!(refusals().await.len(), 24);
    // Another account has its own.
    let mut nurse = office.at_work("nurse", Role::Nurse).await;
    nurse.get("/staff").await;
    assert_eq!(refusals().await.len(), 25);
    // Nobody in particular is refused elsewhere.
    office.browser().get("/health").await;
    assert_eq!(refusals().await.len(), 25);
}
