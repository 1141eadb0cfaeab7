//! The console without a socket: requests through the router, cookies kept as a browser keeps them,
//! time moved by hand.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

mod audit;
mod client;
mod oidc;
mod people;
mod sign_in;
mod tls;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use jiff::civil::time;
use mimamori::base::id::{ClinicId, HealthCenterId};
use mimamori::base::{Clock, Now, Private, address};
use mimamori::registry::{Actor, AuditEntry, Clinic, HealthCenter, Reach, Role, Staff};
use mimamori::store::{AuditFilter, Store};
use mimamori::web::auth::password;
use mimamori::web::auth::second_factor::Secret;
use mimamori::web::{self, Config, Desk};
use tempfile::TempDir;
use tower::ServiceExt;

use crate::staff::member;
use crate::store::at;

/// The password of everybody here.
const PASSWORD: &str = "なつのおわりのかぜ-2026";

/// A console with its database.
pub(crate) struct Office {
    pub(crate) store: Store,
    pub(crate) desk: Desk,
    pub(crate) router: Router,
    pub(crate) center: HealthCenterId,
    now: Arc<Mutex<Now>>,
    hash: Private<String>,
    folder: TempDir,
}

impl Office {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}).await
    }

    /// An office whose console is configured otherwise.
    pub(crate) async fn with(configure: impl FnOnce(&mut Config)) -> Self {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mimamori.db");
        let store = Store::open(file.to_str().unwrap(), [7; 32]).await.unwrap();
        let began = Now { instant: tokio::time::Instant::now().into_std(), timestamp: at(9, 0) };
        let now = Arc::new(Mutex::new(began));
        let shared = Arc::clone(&now);
        let mut config = Config { key: Some([9; 32].into()), ..Config::shipped() };
        configure(&mut config);
        let desk = Desk::silent(store.clone(), Clock::new(move || *shared.lock().unwrap()), config)
            .unwrap();
        let center = HealthCenter {
            id: store.mint(at(0, 0)),
            code: "minato".to_owned(),
            name: "みなと保健所".to_owned(),
            kana: "ミナトホケ'ンジョ".to_owned(),
            desk_phone: "03-0000-0000".to_owned(),
            opens_at: time(8, 30, 0, 0),
            closes_at: time(18, 0, 0, 0),
        };
        let center = store.save_health_center(at(0, 0), &center).await.unwrap();
        let hash = password::hash(&PASSWORD.to_owned().into()).unwrap();
        let router = web::router(desk.clone());
        Self { store, desk, router, center, now, hash, folder }
    }

    /// Moves the clock on.
    pub(crate) fn pass(&self, by: Duration) {
        let mut now = self.now.lock().unwrap();
        *now = now.later(by);
    }

    pub(crate) fn now(&self) -> jiff::Timestamp {
        self.now.lock().unwrap().timestamp
    }

    /// Somebody with the password of everybody; of the centre if the role sees patients.
    pub(crate) async fn hire(&self, login: &str, role: Role) -> Staff {
        let center = role.sees_patients().then_some(self.center);
        self.hire_for(login, role, center).await
    }

    pub(crate) async fn hire_for(
        &self,
        login: &str,
        role: Role,
        center: Option<HealthCenterId>,
    ) -> Staff {
        let clinic = match role {
            Role::Clinic => Some(self.contract(login).await),
            _ => None,
        };
        let staff = Staff { clinic, ..member(&self.store, at(0, 0), login, role, center) };
        let entry = entry("staff.added");
        let managing = self.store.managing(Reach::Everybody);
        managing.add(at(0, 0), &staff, Some(&self.hash), &entry).await.unwrap();
        staff
    }

    /// A clinic of the centre.
    async fn contract(&self, code: &str) -> ClinicId {
        let clinic = Clinic {
            id: self.store.mint(at(0, 0)),
            health_center: self.center,
            code: code.to_owned(),
            name: code.to_owned(),
        };
        let managing = self.store.managing(Reach::Everybody);
        managing.add_clinic(at(0, 0), &clinic, &entry("clinic.added")).await.unwrap();
        clinic.id
    }

    /// Changes the database past the store.
    pub(crate) async fn tamper(&self, statement: &str) {
        let file = self.folder.path().join("mimamori.db");
        crate::postgres::execute(&format!("sqlite://{}", file.display()), statement).await;
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser {
            router: self.router.clone(),
            cookies: BTreeMap::new(),
            csrf: String::new(),
            address: SocketAddr::from(([192, 0, 2, 1], 40_000)),
        }
    }

    /// Hires somebody and signs them in, with a second factor.
    pub(crate) async fn at_work(&self, login: &str, role: Role) -> Browser {
        self.hire(login, role).await;
        self.sign_in(login).await.0
    }

    /// Signs somebody in for the first time: password, then the set-up of the second factor.
    pub(crate) async fn sign_in(&self, login: &str) -> (Browser, Secret) {
        let mut browser = self.browser();
        let page = browser.give_password(login, PASSWORD).await;
        assert_eq!(page.to(), "/login/setup", "{}", page.text);
        let page = browser.get("/login/setup").await;
        let secret = page.secret();
        let code = secret.code_at(self.now()).unwrap();
        let page = browser.post("/login/setup", &[("code", code.expose())]).await;
        assert_eq!(page.status, StatusCode::OK, "{}", page.text);
        (browser, secret)
    }

    /// The actions of the audit, the oldest first, that begin so.
    pub(crate) async fn audited(&self, action: &str) -> Vec<(String, String)> {
        let filter = AuditFilter { action: Some(action.to_owned()), ..AuditFilter::default() };
        let mut events = self.store.audit_events(&filter, 1000).await.unwrap();
        events.reverse();
        events.into_iter().map(|event| (event.action, event.detail)).collect()
    }
}

/// An entry of the audit of which only the action counts.
pub(crate) fn entry(action: &'static str) -> AuditEntry {
    AuditEntry {
        actor: Actor::Program,
        health_center: None,
        action,
        patient: None,
        object: String::new(),
        detail: String::new(),
    }
}

/// What came back.
#[derive(Debug)]
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Page {
    /// Where a redirect leads.
    pub(crate) fn to(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    /// The text between two others.
    pub(crate) fn between(&self, before: &str, after: &str) -> Option<String> {
        let (_, rest) = self.text.split_once(before)?;
        Some(rest.split_once(after)?.0.to_owned())
    }

    /// The secret of a second factor that the page shows.
    pub(crate) fn secret(&self) -> Secret {
        let written = self.between("<code>", "</code>").expect("the secret is shown");
        let secret = totp_rs::Secret::try_from_base32(written.replace(' ', "")).unwrap();
        Secret::from_bytes(secret.as_bytes().to_vec())
    }
}

/// A browser that shows one page at a time.
pub(crate) struct Browser {
    router: Router,
    pub(crate) cookies: BTreeMap<String, String>,
    pub(crate) csrf: String,
    pub(crate) address: SocketAddr,
}

impl Browser {
    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    /// Sends a form with the word of the page before.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.csrf.clone();
        let mut all = vec![("csrf", csrf.as_str())];
        all.extend(fields);
        self.post_exactly(path, &all).await
    }

    /// Sends a form as it is.
    pub(crate) async fn post_exactly(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let request = Request::builder()
            .method(Method::POST)
            .uri(path)
            .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
            .header("origin", "https://mimamori.example")
            .header("sec-fetch-site", "same-origin")
            .body(Body::from(address::query(fields.iter().copied())))
            .unwrap();
        self.send(request).await
    }

    pub(crate) async fn send(&mut self, mut request: Request<Body>) -> Page {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let headers = request.headers_mut();
        if !cookies.is_empty() {
            headers.insert(COOKIE, cookies.join("; ").parse().unwrap());
        }
        headers.entry(HOST).or_insert("mimamori.example".parse().unwrap());
        request.extensions_mut().insert(ConnectInfo(self.address));
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        for cookie in parts.headers.get_all(SET_COOKIE) {
            self.keep(cookie.to_str().unwrap());
        }
        let bytes = body.collect().await.unwrap().to_bytes();
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let page = Page { status: parts.status, headers: parts.headers, text };
        if let Some(csrf) = page.between("name=\"csrf\" value=\"", "\"") {
            self.csrf = csrf;
        }
        page
    }

    fn keep(&mut self, cookie: &str) {
        let (pair, attributes) = cookie.split_once(';').unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        for attribute in ["HttpOnly", "Secure", "Path=/"] {
            assert!(attributes.contains(attribute), "{cookie}");
        }
        assert!(name.starts_with("__Host-"), "{cookie}");
        if attributes.contains("Max-Age=0") {
            self.cookies.remove(name);
        } else {
            self.cookies.insert(name.to_owned(), value.to_owned());
        }
    }

    pub(crate) async fn give_password(&mut self, login: &str, password: &str) -> Page {
        self.post_exactly("/login", &[("login", login), ("password", password)]).await
    }
}
