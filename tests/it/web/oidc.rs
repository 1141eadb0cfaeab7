//! Signing in with an identity provider: a small one that speaks real HTTP, checks PKCE and the
//! client's secret, and signs real tokens (RS256), or false ones if a test wants it.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex};

use axum::extract::{Form, State};
use axum::http::HeaderMap;
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use mimamori::registry::{Role, Staff};
use mimamori::web::auth::oidc::{CALLBACK, Config};
use openidconnect::PrivateSigningKey;
use openidconnect::core::{CoreJwsSigningAlgorithm, CoreRsaPrivateSigningKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinHandle;

use crate::web::{Browser, Office, Page, entry};

/// What a test makes of the claims before they are signed.
type Forge = fn(&mut Value);

/// The provider, with what it was asked.
#[derive(Clone)]
struct Idp {
    issuer: String,
    /// Per code: what was asked for when it was given.
    asked: Arc<Mutex<HashMap<String, HashMap<String, String>>>>,
    forge: Arc<Mutex<Forge>>,
    /// Signs nothing: `alg` is `none`.
    is_unsigned: Arc<Mutex<bool>>,
    /// Where it ends sessions, if it says so.
    ends_sessions_at: Arc<Mutex<Option<String>>>,
}

impl Idp {
    async fn start() -> (Self, JoinHandle<()>) {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let idp = Self {
            issuer: format!("http://{}", listener.local_addr().unwrap()),
            asked: Arc::default(),
            forge: Arc::new(Mutex::new(|_| {})),
            is_unsigned: Arc::default(),
            ends_sessions_at: Arc::default(),
        };
        let app = Router::new()
            .route("/.well-known/openid-configuration", get(configuration))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .with_state(idp.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        (idp, serving)
    }

    fn config(&self) -> Config {
        Config {
            issuer: self.issuer.clone(),
            client_id: "mimamori".to_owned(),
            client_secret: Some("between us".to_owned().into()),
            redirect: format!("https://mimamori.example{CALLBACK}"),
            name: "市の認証基盤".to_owned(),
            match_email: false,
            asks_second_factor: false,
        }
    }

    /// Somebody signs in there: from where they were sent, to where they are sent back.
    fn sign_in(&self, sent_to: &str) -> String {
        let (_, query) = sent_to.split_once('?').unwrap();
        let asked: HashMap<String, String> =
            query.split('&').map(|pair| pair.split_once('=').unwrap()).map(decoded).collect();
        assert_eq!(asked["response_type"], "code");
        assert_eq!(asked["code_challenge_method"], "S256");
        assert!(asked["scope"].contains("openid"));
        let code = format!("code-{}", self.asked.lock().unwrap().len());
        let back = format!("{CALLBACK}?code={code}&state={}", asked["state"]);
        self.asked.lock().unwrap().insert(code, asked);
        back
    }
}

fn decoded((name, value): (&str, &str)) -> (String, String) {
    let mut bytes = Vec::new();
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let digits = [rest.next().unwrap(), rest.next().unwrap()];
            let digits = std::str::from_utf8(&digits).unwrap();
            bytes.push(u8::from_str_radix(digits, 16).unwrap());
        } else {
            bytes.push(if byte == b'+' { b' ' } else { byte });
        }
    }
    (name.to_owned(), String::from_utf8(bytes).unwrap())
}

fn key() -> CoreRsaPrivateSigningKey {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tls/provider.pem");
    let pem = std::fs::read_to_string(file).unwrap();
    CoreRsaPrivateSigningKey::from_pem(&pem, None).unwrap()
}

async fn configuration(State(idp): State<Idp>) -> Json<Value> {
    let at = |path: &str| format!("{}{path}", idp.issuer);
    let mut said = json!({
        "issuer": idp.issuer,
        "authorization_endpoint": at("/authorize"),
        "token_endpoint": at("/token"),
        "jwks_uri": at("/jwks"),
        "response_types_supported": ["code"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256"],
    });
    if let Some(place) = &*idp.ends_sessions_at.lock().unwrap() {
        said["end_session_endpoint"] = json!(place);
    }
    Json(said)
}

async fn keys() -> Json<Value> {
    Json(json!({ "keys": [key().as_verification_key()] }))
}

#[expect(clippy::disallowed_methods, reason = "a provider of its own, with a clock of its own")]
async fn token(
    State(idp): State<Idp>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> Response {
    let basic = BASE64_STANDARD.encode("mimamori:between%20us");
    let plus = BASE64_STANDARD.encode("mimamori:between+us");
    let given = headers.get(AUTHORIZATION).map_or("", |value| value.to_str().unwrap());
    let is_client = [format!("Basic {basic}"), format!("Basic {plus}")].contains(&given.to_owned());
    // A code is good once.
    let asked = idp.asked.lock().unwrap().remove(&form["code"]);
    let Some(asked) = asked.filter(|_| is_client) else {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })))
            .into_response();
    };
    let challenge = BASE64_URL_SAFE_NO_PAD.encode(Sha256::digest(form["code_verifier"].as_bytes()));
    if challenge != asked["code_challenge"] || form["redirect_uri"] != asked["redirect_uri"] {
        return (StatusCode::BAD_REQUEST, Json(json!({ "error": "invalid_grant" })))
            .into_response();
    }
    let now = jiff::Timestamp::now().as_second();
    let mut claims = json!({
        "iss": idp.issuer,
        "sub": "subject-42",
        "aud": "mimamori",
        "iat": now,
        "exp": now + 300,
        "nonce": asked["nonce"],
    });
    let forge = *idp.forge.lock().unwrap();
    forge(&mut claims);
    let is_unsigned = *idp.is_unsigned.lock().unwrap();
    let header = json!({ "alg": if is_unsigned { "none" } else { "RS256" }, "typ": "JWT" });
    let part = |value: &Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = format!("{}.{}", part(&header), part(&claims));
    let algorithm = CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256;
    let signature =
        if is_unsigned { Vec::new() } else { key().sign(&algorithm, signed.as_bytes()).unwrap() };
    let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
    Json(json!({
        "access_token": "unused",
        "token_type": "Bearer",
        "id_token": format!("{signed}.{signature}"),
    }))
    .into_response()
}

async fn link(office: &Office, idp: &Idp, staff: &Staff) {
    let subject = Some((idp.issuer.as_str(), "subject-42"));
    office
        .store
        .link_subject(office.now(), staff.id, subject, &entry("staff.linked"))
        .await
        .unwrap();
}

/// Leaves for the provider, signs in there, and comes back.
async fn there_and_back(browser: &mut Browser, idp: &Idp) -> Page {
    let page = browser.get("/login/oidc").await;
    assert_eq!(page.status, StatusCode::SEE_OTHER, "{}", page.text);
    let back = idp.sign_in(page.to());
    browser.get(&back).await
}

#[tokio::test]
async fn the_provider_says_who_it_is_and_the_account_what_they_may() {
    let (idp, serving) = Idp::start().await;
    let office = Office::with(|config| config.oidc = Some(idp.config())).await;
    let staff = office.hire("hanako", Role::Nurse).await;
    let mut browser = office.browser();
    let page = browser.get("/login").await;
    assert!(page.text.contains("市の認証基盤"));
    let page = there_and_back(&mut browser, &idp).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "not tied to anybody");
    link(&office, &idp, &staff).await;
    let page = there_and_back(&mut browser, &idp).await;
    assert_eq!(page.status, StatusCode::OK, "{}", page.text);
    // A page leads on: a strict cookie is not sent along a redirect from another site.
    assert!(page.text.contains("0;url=/login/setup"), "{}", page.text);
    assert!(!browser.cookies.contains_key("__Host-mimamori-oidc"), "used up");
    assert_eq!(browser.get("/account").await.to(), "/login", "the second factor is missing");
    let secret = browser.get("/login/setup").await.secret();
    let code = secret.code_at(office.now()).unwrap();
    browser.post("/login/setup", &[("code", code.expose())]).await;
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    assert_eq!(browser.get("/staff").await.status, StatusCode::FORBIDDEN);
    serving.abort();
}

#[tokio::test]
async fn a_second_factor_that_the_provider_asked_for_is_enough() {
    let (idp, serving) = Idp::start().await;
    let office = Office::with(|config| config.oidc = Some(idp.config())).await;
    let staff = office.hire("hanako", Role::Nurse).await;
    link(&office, &idp, &staff).await;
    *idp.forge.lock().unwrap() = |claims| claims["amr"] = json!(["pwd", "otp", "mfa"]);
    let mut browser = office.browser();
    let page = there_and_back(&mut browser, &idp).await;
    assert!(page.text.contains("0;url=/\""), "{}", page.text);
    assert_eq!(browser.get("/account").await.status, StatusCode::OK);
    serving.abort();
}

#[tokio::test]
async fn a_verified_address_ties_an_account_if_that_is_wanted() {
    let (idp, serving) = Idp::start().await;
    let verified: Forge = |claims| {
        claims["email"] = json!("Hanako@city.example");
        claims["email_verified"] = json!(true);
    };
    let unverified: Forge = |claims| claims["email"] = json!("hanako@city.example");
    for (match_email, forge, expected) in [
        (false, verified, StatusCode::UNAUTHORIZED),
        (true, unverified, StatusCode::UNAUTHORIZED),
        (true, verified, StatusCode::OK),
    ] {
        let config = Config { match_email, ..idp.config() };
        let office = Office::with(|it| it.oidc = Some(config)).await;
        office.hire("hanako@city.example", Role::Nurse).await;
        *idp.forge.lock().unwrap() = forge;
        let mut browser = office.browser();
        assert_eq!(there_and_back(&mut browser, &idp).await.status, expected);
        // From now on it is the subject that counts, whatever becomes of the address.
        *idp.forge.lock().unwrap() = |_| {};
        assert_eq!(there_and_back(&mut browser, &idp).await.status, expected);
    }
    serving.abort();
}

#[tokio::test]
async fn false_tokens_open_nothing() {
    let (idp, serving) = Idp::start().await;
    let office = Office::with(|config| config.oidc = Some(idp.config())).await;
    let staff = office.hire("hanako", Role::Nurse).await;
    link(&office, &idp, &staff).await;
    let forgeries: [(&str, Forge); 6] = [
        ("another nonce", |claims| claims["nonce"] = json!("guess")),
        ("no nonce", |claims| _ = claims.as_object_mut().unwrap().remove("nonce")),
        ("for another", |claims| claims["aud"] = json!("another")),
        ("from another", |claims| claims["iss"] = json!("https://evil.example")),
        ("out of date", |claims| claims["exp"] = json!(1_700_000_000)),
        ("somebody else", |claims| claims["sub"] = json!("subject-43")),
    ];
    for (name, forge) in forgeries {
        *idp.forge.lock().unwrap() = forge;
        let mut browser = office.browser();
        let page = there_and_back(&mut browser, &idp).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{name}");
        assert!(!browser.cookies.contains_key("__Host-mimamori"), "{name}");
    }
    *idp.forge.lock().unwrap() = |_| {};
    *idp.is_unsigned.lock().unwrap() = true;
    let page = there_and_back(&mut office.browser(), &idp).await;
    assert_eq!(page.status, StatusCode::UNAUTHORIZED, "not signed");
    *idp.is_unsigned.lock().unwrap() = false;
    let page = there_and_back(&mut office.browser(), &idp).await;
    assert_eq!(page.status, StatusCode::OK, "and the true one does");
    serving.abort();
}

#[tokio::test]
async fn only_the_browser_that_left_may_come_back_and_once() {
    let (idp, serving) = Idp::start().await;
    let office = Office::with(|config| config.oidc = Some(idp.config())).await;
    let staff = office.hire("hanako", Role::Nurse).await;
    link(&office, &idp, &staff).await;
    let mut browser = office.browser();
    let sent_to = browser.get("/login/oidc").await.to().to_owned();
    let back = idp.sign_in(&sent_to);
    let left = browser.cookies.clone();
    // A stranger is led to the callback of somebody else (login CSRF).
    let mut stranger = office.browser();
    assert_eq!(stranger.get(&back).await.status, StatusCode::UNAUTHORIZED);
    stranger.get("/login/oidc").await;
    assert_eq!(stranger.get(&back).await.status, StatusCode::UNAUTHORIZED, "another state");
    assert_eq!(browser.get(&back).await.status, StatusCode::OK);
    browser.cookies = left;
    assert_eq!(browser.get(&back).await.status, StatusCode::UNAUTHORIZED, "a code is used once");

    // After ten minutes nobody is expected any more.
    let sent_to = browser.get("/login/oidc").await.to().to_owned();
    let back = idp.sign_in(&sent_to);
    office.pass(std::time::Duration::from_secs(601));
    assert_eq!(browser.get(&back).await.status, StatusCode::UNAUTHORIZED);
    for nonsense in ["", "?error=access_denied", "?code=x", "?state=x"] {
        let page = browser.get(&format!("{CALLBACK}{nonsense}")).await;
        assert_eq!(page.status, StatusCode::UNAUTHORIZED, "{nonsense}");
    }
    serving.abort();
}

#[tokio::test]
async fn a_provider_that_is_away_is_told_and_passwords_still_work() {
    let (idp, serving) = Idp::start().await;
    serving.abort();
    let _ = serving.await;
    let office = Office::with(|config| config.oidc = Some(idp.config())).await;
    let mut browser = office.browser();
    assert_eq!(browser.get("/login/oidc").await.status, StatusCode::UNAUTHORIZED);
    let mut nurse = office.at_work("hanako", Role::Nurse).await;
    assert_eq!(nurse.get("/account").await.status, StatusCode::OK);
    let none = Office::new().await;
    assert_eq!(none.browser().get("/login/oidc").await.status, StatusCode::NOT_FOUND);
}

/// A provider that others have written (PyPI `oidc-provider-mock`), if it is installed.
struct Foreign {
    process: std::process::Child,
    issuer: String,
}

impl Foreign {
    #[expect(clippy::print_stdout, reason = "who runs the tests must know what was left out")]
    async fn start() -> Option<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let process = std::process::Command::new("oidc-provider-mock")
            .args(["--port", &port.to_string()])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn();
        let Ok(process) = process else {
            println!("left out: a provider of another make, which is not installed");
            return None;
        };
        let issuer = format!("http://127.0.0.1:{port}");
        let mut tries = 0;
        while reqwest::get(format!("{issuer}/jwks")).await.is_err() {
            assert!(tries < 200, "the provider does not answer");
            tries += 1;
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        Some(Self { process, issuer })
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[tokio::test]
async fn a_provider_of_another_make_is_understood() {
    let Some(foreign) = Foreign::start().await else { return };
    let (mut idp, serving) = Idp::start().await;
    serving.abort();
    idp.issuer.clone_from(&foreign.issuer);
    let office = Office::with(|config| config.oidc = Some(idp.config())).await;
    let staff = office.hire("hanako", Role::Nurse).await;
    link(&office, &idp, &staff).await;
    let client =
        reqwest::Client::builder().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    for (subject, expected) in
        [("subject-42", StatusCode::OK), ("subject-43", StatusCode::UNAUTHORIZED)]
    {
        let mut browser = office.browser();
        let sent_to = browser.get("/login/oidc").await.to().to_owned();
        let answer = client
            .post(&sent_to)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(format!("sub={subject}"))
            .send()
            .await
            .unwrap();
        let back = answer.headers()["location"].to_str().unwrap();
        let back = back.strip_prefix("https://mimamori.example").unwrap();
        assert_eq!(browser.get(back).await.status, expected, "{subject}");
    }
}

#[tokio::test]
async fn whoever_signs_out_here_is_signed_out_at_the_provider_if_it_says_where() {
    let (idp, serving) = Idp::start().await;
    *idp.forge.lock().unwrap() = |claims| claims["amr"] = json!(["mfa"]);
    for (place, expected) in [
        (None, None),
        (Some(format!("{}/out?x=1", idp.issuer)), Some("/out?x=1&amp;client_id=mimamori")),
        (Some("javascript:alert(1)".to_owned()), None),
    ] {
        *idp.ends_sessions_at.lock().unwrap() = place;
        let office = Office::with(|config| config.oidc = Some(idp.config())).await;
        let staff = office.hire("hanako", Role::Nurse).await;
        link(&office, &idp, &staff).await;
        let mut browser = office.browser();
        there_and_back(&mut browser, &idp).await;
        browser.get("/account").await;
        let page = browser.post("/logout", &[]).await;
        match expected {
            Some(way) => {
                assert_eq!(page.status, StatusCode::OK);
                let way = format!("0;url={}{way}\"", idp.issuer);
                assert!(page.text.contains(&way), "{}", page.text);
            }
            None => assert_eq!(page.to(), "/login"),
        }
        assert_eq!(browser.get("/account").await.to(), "/login", "signed out here");
        // Who has no account there is not sent there.
        let mut taro = office.at_work("taro", Role::Nurse).await;
        taro.get("/account").await;
        assert_eq!(taro.post("/logout", &[]).await.to(), "/login");
    }
    serving.abort();
}
