//! Signing in: password, second factor, locks, sessions, forms.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, StatusCode};
use mimamori::registry::Role;
use mimamori::web::auth::SecondFactor;

use crate::web::{Office, PASSWORD};

const ACCOUNT: &str = "/account";

#[tokio::test]
async fn whoever_signs_in_for_the_first_time_sets_up_a_second_factor() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    assert_eq!(browser.get(ACCOUNT).await.to(), "/login");
    let page = browser.give_password("hanako", PASSWORD).await;
    assert_eq!((page.status, page.to()), (StatusCode::SEE_OTHER, "/login/setup"));
    let half = browser.cookies.clone();
    // The password alone opens nothing.
    assert_eq!(browser.get(ACCOUNT).await.to(), "/login");
    let page = browser.get("/login/setup").await;
    assert!(page.text.contains("<svg"), "{}", page.text);
    let code = page.secret().code_at(office.now()).unwrap();
    let page = browser.post("/login/setup", &[("code", code.expose())]).await;
    assert_eq!(page.text.matches("<li><code>").count(), 10, "recovery codes: {}", page.text);
    assert_ne!(half, browser.cookies, "a new token at sign-in");
    assert_eq!(browser.get(ACCOUNT).await.status, StatusCode::OK);
    browser.cookies = half;
    assert_eq!(browser.get(ACCOUNT).await.to(), "/login", "the old token is worth nothing");
    let actions: Vec<String> =
        office.audited("se").await.into_iter().map(|(action, _)| action).collect();
    assert_eq!(actions, ["session.knocked", "second_factor.set", "session.begun"]);
}

#[tokio::test]
async fn a_code_is_good_once_and_a_recovery_code_too() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    browser.give_password("hanako", PASSWORD).await;
    let secret = browser.get("/login/setup").await.secret();
    let code = secret.code_at(office.now()).unwrap();
    let page = browser.post("/login/setup", &[("code", code.expose())]).await;
    let recovery = page.between("<li><code>", "</code>").unwrap();

    // The code that set it up is used up already.
    let mut again = office.browser();
    let page = again.give_password("hanako", PASSWORD).await;
    assert_eq!(page.to(), "/login/code");
    again.get("/login/code").await;
    let page = again.post("/login/code", &[("code", code.expose())]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    office.pass(Duration::from_secs(30));
    let code = secret.code_at(office.now()).unwrap();
    let page = again.post("/login/code", &[("code", code.expose())]).await;
    assert_eq!((page.status, page.to()), (StatusCode::SEE_OTHER, "/"));
    assert_eq!(again.get(ACCOUNT).await.status, StatusCode::OK);

    for expected in [StatusCode::SEE_OTHER, StatusCode::UNAUTHORIZED] {
        let mut lost = office.browser();
        lost.give_password("hanako", PASSWORD).await;
        lost.get("/login/code").await;
        let typed = recovery.to_uppercase();
        let page = lost.post("/login/code", &[("code", &typed)]).await;
        assert_eq!(page.status, expected);
    }
    assert_eq!(office.audited("second_factor.recovered").await.len(), 1);
}

#[tokio::test]
async fn nobody_learns_who_has_an_account() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    let mut told = Vec::new();
    for (login, password) in
        [("hanako", "wrong"), ("nobody", "wrong"), ("nobody", PASSWORD), ("", ""), ("'--", "x")]
    {
        let began = tokio::time::Instant::now();
        let page = browser.give_password(login, password).await;
        assert!(began.elapsed() >= Duration::from_millis(300), "{login}");
        assert!(browser.cookies.is_empty());
        told.push((page.status, page.text));
    }
    told.dedup();
    assert_eq!(told.len(), 1);
    assert_eq!(told[0].0, StatusCode::UNAUTHORIZED);
    let reasons: Vec<String> =
        office.audited("session.refused").await.into_iter().map(|(_, detail)| detail).collect();
    assert_eq!(reasons[0], "password from 192.0.2.1");
    assert_eq!(reasons[1], "unknown from 192.0.2.1");
}

#[tokio::test]
async fn five_wrong_passwords_lock_the_account_and_not_for_ever() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    for _ in 0..5 {
        browser.give_password("hanako", "wrong").await;
    }
    let wrong = browser.give_password("hanako", "wrong").await;
    let locked = browser.give_password("hanako", PASSWORD).await;
    assert_eq!((locked.status, &locked.text), (wrong.status, &wrong.text), "the same words");
    office.pass(Duration::from_secs(59));
    assert_eq!(browser.give_password("hanako", PASSWORD).await.status, StatusCode::UNAUTHORIZED);
    office.pass(Duration::from_secs(1));
    assert_eq!(browser.give_password("hanako", PASSWORD).await.to(), "/login/setup");
    assert_eq!(office.audited("account.locked").await.len(), 2, "the fifth, and the sixth try");
}

#[tokio::test]
async fn guessing_codes_locks_whatever_passwords_are_given_between() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let (_, secret) = office.sign_in("hanako").await;
    office.pass(Duration::from_mins(1));
    let mut guessing = office.browser();
    for _ in 0..5 {
        let page = guessing.give_password("hanako", PASSWORD).await;
        assert_eq!(page.to(), "/login/code");
        guessing.get("/login/code").await;
        let page = guessing.post("/login/code", &[("code", "000000")]).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED);
    }
    let code = secret.code_at(office.now()).unwrap();
    let page = guessing.post("/login/code", &[("code", code.expose())]).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "locked");
    let page = guessing.give_password("hanako", PASSWORD).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "locked");
}

#[tokio::test]
async fn an_address_that_tries_without_end_is_put_off() {
    let office = Office::new().await;
    let tries = (0..70).map(|_| {
        let mut browser = office.browser();
        async move { browser.give_password("nobody", "x").await.status }
    });
    let told = futures_util::future::join_all(tries).await;
    let put_off = told.iter().filter(|status| **status == StatusCode::TOO_MANY_REQUESTS).count();
    assert_eq!(put_off, 10);
    let mut elsewhere = office.browser();
    elsewhere.address = ([198, 51, 100, 1], 40_000).into();
    assert_eq!(elsewhere.give_password("nobody", "x").await.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn forms_that_are_not_ours_change_nothing() {
    let office = Office::new().await;
    let mut browser = office.at_work("hanako", Role::Nurse).await;
    browser.get(ACCOUNT).await;
    let own = browser.csrf.clone();
    for (csrf, expected) in [
        ("", StatusCode::FORBIDDEN),
        ("guess", StatusCode::FORBIDDEN),
        (own.as_str(), StatusCode::SEE_OTHER),
    ] {
        let fields = [("csrf", csrf), ("language", "en")];
        assert_eq!(browser.post_exactly("/language", &fields).await.status, expected);
    }
    let fields = format!("csrf={own}&language=ja");
    for (name, value) in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let request = Request::post("/language")
            .header("content-type", "application/x-www-form-urlencoded")
            .header(name, value)
            .body(Body::from(fields.clone()))
            .unwrap();
        assert_eq!(browser.send(request).await.status, StatusCode::FORBIDDEN, "{name}");
    }
    let page = browser.get(ACCOUNT).await;
    assert!(page.text.contains("<html lang=\"en\">"), "changed once, by our own form");
}

#[tokio::test]
async fn a_session_ends_when_nobody_uses_it_and_after_a_day_of_work() {
    let office = Office::new().await;
    let mut browser = office.at_work("hanako", Role::Nurse).await;
    office.pass(Duration::from_mins(19));
    assert_eq!(browser.get(ACCOUNT).await.status, StatusCode::OK);
    office.pass(Duration::from_mins(21));
    assert_eq!(browser.get(ACCOUNT).await.to(), "/login");

    let mut browser = office.at_work("taro", Role::Nurse).await;
    for _ in 0..(12 * 4) {
        assert_eq!(browser.get(ACCOUNT).await.status, StatusCode::OK);
        office.pass(Duration::from_mins(15));
    }
    office.pass(Duration::from_secs(1));
    assert_eq!(browser.get(ACCOUNT).await.to(), "/login", "twelve hours");
}

#[tokio::test]
async fn the_second_factor_is_asked_for_within_ten_minutes() {
    let office = Office::new().await;
    office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    browser.give_password("hanako", PASSWORD).await;
    office.pass(Duration::from_mins(11));
    assert_eq!(browser.get("/login/setup").await.to(), "/login");
}

#[tokio::test]
async fn signing_out_ends_the_session_itself() {
    let office = Office::new().await;
    let mut browser = office.at_work("hanako", Role::Nurse).await;
    browser.get(ACCOUNT).await;
    let cookies = browser.cookies.clone();
    assert_eq!(browser.post("/logout", &[]).await.to(), "/login");
    assert!(!browser.cookies.contains_key("__Host-mimamori"));
    browser.cookies = cookies;
    assert_eq!(browser.get(ACCOUNT).await.to(), "/login", "a stolen cookie opens nothing");
}

#[tokio::test]
async fn where_it_is_optional_a_password_is_enough() {
    let office = Office::with(|config| config.second_factor = SecondFactor::Optional).await;
    office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    assert_eq!(browser.give_password("hanako", PASSWORD).await.to(), "/");
    assert_eq!(browser.get(ACCOUNT).await.status, StatusCode::OK);
}

#[tokio::test]
async fn every_answer_tells_browsers_what_they_may_do() {
    let office = Office::new().await;
    let mut browser = office.at_work("hanako", Role::Nurse).await;
    for path in ["/login", ACCOUNT, "/nowhere", "/staff"] {
        let page = browser.get(path).await;
        for (name, expected) in [
            ("content-security-policy", "default-src 'none'; script-src 'self'; style-src 'self'"),
            ("content-security-policy", "frame-ancestors 'none'; base-uri 'none'"),
            ("x-content-type-options", "nosniff"),
            ("x-frame-options", "DENY"),
            ("referrer-policy", "same-origin"),
            ("permissions-policy", "microphone=()"),
            ("cross-origin-opener-policy", "same-origin"),
            ("cross-origin-resource-policy", "same-origin"),
            ("cache-control", "no-store"),
        ] {
            let value = page.headers.get(name).map_or("", |value| value.to_str().unwrap());
            assert!(value.contains(expected), "{path} {name}: {value}");
        }
        assert!(!page.text.contains(" style="), "{path}: the policy forbids it");
        assert!(page.headers.get("strict-transport-security").is_none(), "no TLS here");
    }
    let proxied = Office::with(|config| config.behind_proxy = true).await;
    let page = proxied.browser().get("/login").await;
    assert!(page.headers.contains_key("strict-transport-security"));
    let page = browser.get("/prompts").await;
    let policy = page.headers["permissions-policy"].to_str().unwrap();
    assert!(policy.contains("microphone=(self)"));
}

#[tokio::test]
async fn too_large_a_form_is_refused() {
    let office = Office::new().await;
    let mut browser = office.browser();
    let long = "x".repeat(300 * 1024);
    let page = browser.give_password("hanako", &long).await;
    assert_eq!(page.status, StatusCode::PAYLOAD_TOO_LARGE);
}
