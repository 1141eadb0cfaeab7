//! Who is there: the session of a browser, what it may do, and the forms it sends.

use axum::Router;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request, State};
use axum::http::HeaderMap;
use axum::http::header::USER_AGENT;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum_extra::extract::Form;
use axum_extra::extract::cookie::{Cookie, CookieJar, SameSite};
use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, html};
use rand::TryRng;
use rand::rngs::SysRng;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::net::SocketAddr;

use crate::base::{Bilingual, Private};
use crate::registry::audit::hex;
use crate::registry::{Actor, AuditEntry, ConsoleLanguage, Right, Scope, Staff};
use crate::store::{Dialing, SignedIn, Stage};
use crate::web::fault::Fault;
use crate::web::{Desk, assets};

/// `__Host-` binds the cookie to this host, this path and a secure transport (RFC 6265bis §4.1.3).
const COOKIE: &str = "__Host-mimamori";

/// A word that the next page shows once.
const FLASH: &str = "__Host-flash";

/// How often the use of a session is written down.
const TOUCHED: std::time::Duration = std::time::Duration::from_mins(1);

/// Whoever looks at a page, signed in.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Who it is.
    pub staff: Staff,
    /// What every form has to bring back.
    pub csrf: Private<String>,
    /// The session's name in the store.
    pub session: String,
    /// Whether telephones are called; every page shows when they are not.
    pub dialing: Dialing,
    /// What the page before wants to be told.
    pub flash: Option<String>,
    /// The moment of the request.
    pub now: Timestamp,
}

impl Viewer {
    /// Whether the right is there.
    pub fn may(&self, right: Right) -> bool {
        self.staff.may(right)
    }

    /// Refuses who lacks the right.
    pub fn must(&self, right: Right) -> Result<(), Fault> {
        if self.may(right) { Ok(()) } else { Err(Fault::Forbidden) }
    }

    /// Whose patients may be seen.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] for those who see none.
    pub fn scope(&self) -> Result<Scope, Fault> {
        self.staff.scope().ok_or(Fault::Forbidden)
    }

    /// The text in the language of the viewer.
    pub fn say<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        match self.staff.language {
            ConsoleLanguage::Ja => ja,
            ConsoleLanguage::En => en,
        }
    }

    /// The text in the language of the viewer.
    pub fn tell<'a>(&self, text: &'a Bilingual) -> &'a str {
        self.say(&text.ja, &text.en)
    }

    /// An entry of the audit for what this viewer does.
    pub fn audit(&self, action: &'static str) -> AuditEntry {
        AuditEntry {
            actor: Actor::Staff(self.staff.id),
            health_center: self.staff.health_center,
            action,
            patient: None,
            object: String::new(),
            detail: String::new(),
        }
    }
}

impl FromRequestParts<Desk> for Viewer {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Fault> {
        let jar = CookieJar::from_headers(&parts.headers);
        let cookie = jar.get(COOKIE).ok_or(Fault::SignIn)?;
        let token = hash(cookie.value());
        let now = desk.clock.now().timestamp;
        let signed_in = desk.store.session(&token).await?.ok_or(Fault::SignIn)?;
        let unused = now.duration_since(signed_in.seen_at).unsigned_abs();
        let age = now.duration_since(signed_in.created_at).unsigned_abs();
        let is_over = unused > desk.config.idle_timeout || age > desk.config.session_timeout;
        if is_over || signed_in.stage != Stage::Full || !signed_in.staff.is_active {
            return Err(Fault::SignIn);
        }
        // A page that refreshes itself is nobody at work.
        if unused > TOUCHED && parts.uri.path() != "/live" {
            desk.store.touch_session(now, &token).await?;
        }
        Ok(Self {
            staff: signed_in.staff,
            csrf: signed_in.csrf,
            session: token,
            dialing: desk.store.dialing().await?,
            flash: jar.get(FLASH).and_then(|flash| {
                let bytes = BASE64_URL_SAFE_NO_PAD.decode(flash.value()).ok()?;
                String::from_utf8(bytes).ok()
            }),
            now,
        })
    }
}

/// A form that a page of ours sent, with who sent it.
#[derive(Debug)]
pub struct Posted<T> {
    /// Who sent it.
    pub viewer: Viewer,
    /// What was filled in.
    pub form: T,
}

#[derive(Deserialize)]
struct Csrf {
    csrf: Private<String>,
}

impl<T: DeserializeOwned> FromRequest<Desk> for Posted<T> {
    type Rejection = Fault;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Fault> {
        let (mut parts, body) = request.into_parts();
        let viewer = Viewer::from_request_parts(&mut parts, desk).await?;
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| too_long())?;
        let again = || Request::from_parts(parts.clone(), body.clone().into());
        let Form(Csrf { csrf }) =
            Form::from_request(again(), desk).await.map_err(|_| Fault::Forbidden)?;
        if csrf != viewer.csrf {
            return Err(Fault::Forbidden);
        }
        let Form(form) = Form::from_request(again(), desk).await.map_err(|rejection| {
            Fault::Invalid(Bilingual::composed(
                format!("入力を読み取れません: {rejection}"),
                format!("cannot read the form: {rejection}"),
            ))
        })?;
        Ok(Self { viewer, form })
    }
}

fn too_long() -> Fault {
    Fault::Invalid(Bilingual::fixed("送信された内容が大きすぎます。", "Too much was sent."))
}

/// Goes to a page that says once what was done (Post/Redirect/Get).
pub fn done(to: &str, text: &str) -> Response {
    let mut flash = Cookie::new(FLASH, BASE64_URL_SAFE_NO_PAD.encode(text));
    harden(&mut flash);
    (CookieJar::new().add(flash), Redirect::to(to)).into_response()
}

/// Takes the word of the page before away, once it was shown.
pub(super) fn forget_flash(request: &HeaderMap) -> Option<Cookie<'static>> {
    CookieJar::from_headers(request).get(FLASH)?;
    let mut flash = Cookie::new(FLASH, "");
    harden(&mut flash);
    flash.make_removal();
    Some(flash)
}

fn harden(cookie: &mut Cookie<'_>) {
    cookie.set_secure(true);
    cookie.set_http_only(true);
    cookie.set_same_site(SameSite::Strict);
    cookie.set_path("/");
}

/// What names a session in the store: the cookie itself is kept nowhere.
fn hash(cookie: &str) -> String {
    hex(&Sha256::digest(cookie.as_bytes()))
}

/// 256 bits that nobody can guess.
fn secret() -> anyhow::Result<String> {
    let mut bytes = [0; 32];
    SysRng.try_fill_bytes(&mut bytes)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/login", get(login_page).post(login))
        .route("/logout", post(logout))
        .route("/language", post(set_language))
}

#[derive(Deserialize)]
struct Credentials {
    login: String,
    password: Private<String>,
}

async fn login_page() -> Markup {
    login_form(false)
}

fn login_form(is_refused: bool) -> Markup {
    html! {
        (DOCTYPE)
        html lang="ja" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "ログイン · 見守りコール" }
                link rel="stylesheet" href=(assets::href("console.css"));
            }
            body.alone {
                main.card {
                    h1 { "見守りコール" }
                    @if is_refused {
                        p.notice.act role="alert" {
                            "ログイン名かパスワードが違います。 / "
                            span lang="en" { "Wrong name or password." }
                        }
                    }
                    form.stack method="post" action="/login" {
                        label {
                            "ログイン名 / " span lang="en" { "Name" }
                            input name="login" required autocomplete="username" autofocus;
                        }
                        label {
                            "パスワード / " span lang="en" { "Password" }
                            input name="password" type="password" required
                                autocomplete="current-password";
                        }
                        button.primary type="submit" { "ログイン / " span lang="en" { "Sign in" } }
                    }
                }
            }
        }
    }
}

async fn login(
    State(desk): State<Desk>,
    ConnectInfo(address): ConnectInfo<SocketAddr>,
    headers: HeaderMap,
    jar: CookieJar,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Fault> {
    let now = desk.clock.now().timestamp;
    let account = desk.store.account(credentials.login.trim()).await?;
    let hash_of_password = account.as_ref().and_then(|account| account.password.clone());
    let is_right = tokio::task::spawn_blocking(move || {
        password_is(hash_of_password.as_ref(), &credentials.password)
    })
    .await
    .map_err(anyhow::Error::from)?;
    let Some(account) = account.filter(|account| is_right && account.staff.is_active) else {
        return Ok(login_form(true).into_response());
    };
    let cookie = secret()?;
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    let signed_in = SignedIn {
        token: hash(&cookie),
        csrf: secret()?.into(),
        stage: Stage::Full,
        created_at: now,
        seen_at: now,
        address: address.ip().to_string(),
        agent: agent.chars().take(200).collect(),
        staff: account.staff,
    };
    let entry = AuditEntry {
        actor: Actor::Staff(signed_in.staff.id),
        health_center: signed_in.staff.health_center,
        action: "session.begun",
        patient: None,
        object: String::new(),
        detail: signed_in.address.clone(),
    };
    desk.store.begin_session(now, &signed_in, &entry).await?;
    let mut cookie = Cookie::new(COOKIE, cookie);
    harden(&mut cookie);
    Ok((jar.add(cookie), Redirect::to("/")).into_response())
}

/// Whether the password is the one that was hashed. Takes as long where there is no account.
fn password_is(hash: Option<&Private<String>>, password: &Private<String>) -> bool {
    use argon2::PasswordVerifier;
    let phc = hash.map_or(NOBODY, |hash| hash.expose().as_str());
    let is_right =
        argon2::Argon2::default().verify_password(password.expose().as_bytes(), phc).is_ok();
    is_right && hash.is_some()
}

/// The hash of a password that nobody has.
const NOBODY: &str = "$argon2id$v=19$m=19456,t=2,p=1$bm9ib2R5LW5vYm9keQ$\
    0XdLNiTKdoPUrJ2gZ4i1PTp4lBgqRkvQxHgYBGyFqLE";

async fn logout(
    State(desk): State<Desk>,
    jar: CookieJar,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let entry = viewer.audit("session.ended");
    desk.store.end_session(viewer.now, &viewer.session, &entry).await?;
    let mut cookie = Cookie::new(COOKIE, "");
    harden(&mut cookie);
    Ok((jar.remove(cookie), Redirect::to("/login")).into_response())
}

/// A form that asks for nothing.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

#[derive(Deserialize)]
struct Language {
    language: String,
}

async fn set_language(
    State(desk): State<Desk>,
    headers: HeaderMap,
    Posted { viewer, form }: Posted<Language>,
) -> Result<Redirect, Fault> {
    let language = ConsoleLanguage::parse(&form.language).ok_or(Fault::NotFound)?;
    desk.store.set_language(viewer.now, viewer.staff.id, language).await?;
    Ok(Redirect::to(back(&headers)))
}

/// The page that the form was on; only its path, so that nobody is sent elsewhere.
fn back(headers: &HeaderMap) -> &str {
    let referer = headers.get("referer").and_then(|value| value.to_str().ok());
    let path = referer
        .and_then(|url| url.split_once("://"))
        .and_then(|(_, rest)| rest.find('/').and_then(|slash| rest.get(slash..)));
    path.filter(|path| !path.starts_with("//")).unwrap_or("/")
}
