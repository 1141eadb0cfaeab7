//! Signing in: the password, the second factor or its set-up, and signing out.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::USER_AGENT;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use axum_extra::extract::Form;
use axum_extra::extract::cookie::CookieJar;
use jiff::Timestamp;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use serde::Deserialize;
use tokio::time::{Instant, sleep_until};

use crate::base::{Bilingual, Private};
use crate::registry::{Actor, AuditEntry, ConsoleLanguage, Staff};
use crate::store::{Account, Knock, SignedIn, Stage};
use crate::web::auth::second_factor::{Secret, recovery_codes, recovery_hash};
use crate::web::auth::viewer::{Address, Nothing, Pending, Posted};
use crate::web::auth::{Door, SecondFactor, Viewer, cookie, password};
use crate::web::fault::Fault;
use crate::web::{Desk, assets};

/// No refusal comes sooner, whatever was found out until then.
const REFUSED_AFTER: Duration = Duration::from_millis(300);

/// Where the second factor is asked for.
const CODE: &str = "/login/code";

/// Where the second factor is set up.
const SET_UP: &str = "/login/setup";

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/login", get(login_page).post(login))
        .route(CODE, get(code_page).post(code))
        .route(SET_UP, get(set_up_page).post(set_up))
        .route("/logout", post(logout))
        .route("/language", post(set_language))
}

#[derive(Deserialize)]
struct Credentials {
    login: String,
    password: Private<String>,
}

#[derive(Deserialize)]
struct Code {
    code: Private<String>,
}

async fn login_page(Extension(door): Extension<Arc<Door>>) -> Markup {
    login_form(&door, None)
}

fn login_form(door: &Door, refusal: Option<&Bilingual>) -> Markup {
    let title = Bilingual::fixed("ログイン", "Sign in");
    alone(
        &title,
        &html! {
            @if let Some(text) = refusal { (told(text)) }
            form.stack method="post" action="/login" {
                label {
                    "ログイン名 / " span lang="en" { "Name" }
                    input name="login" required autocomplete="username" autocapitalize="none"
                        spellcheck="false" autofocus;
                }
                label {
                    "パスワード / " span lang="en" { "Password" }
                    input name="password" type="password" required
                        autocomplete="current-password";
                }
                button.primary type="submit" { "ログイン / " span lang="en" { "Sign in" } }
            }
            @if let Some(provider) = &door.provider {
                p {
                    a.button href="/login/oidc" {
                        (provider.name()) " でログイン / "
                        span lang="en" { "Sign in with " (provider.name()) }
                    }
                }
            }
        },
    )
}

/// What everybody is told who is refused, whatever the reason: nobody learns who has an account.
pub(in crate::web) fn refused_text() -> Bilingual {
    Bilingual::fixed(
        "確認できませんでした。入力に誤りがあるか、続けて間違えたためしばらく受け付けていません。",
        "That was not right, or too many tries were wrong and none is taken for a while.",
    )
}

fn refusal() -> Markup {
    told(&refused_text())
}

fn told(text: &Bilingual) -> Markup {
    html! {
        p.notice.act role="alert" { (text.ja) " / " span lang="en" { (text.en) } }
    }
}

/// Told only to whoever knows the password.
const RUN_OUT: Bilingual = Bilingual::fixed(
    "この仮パスワードは、発行から72時間が過ぎたため使えません。管理者に、新しい仮パスワードの発行を依頼してください。",
    "This first password has run out, 72 hours after it was made. Ask your administrator for a new one.",
);

/// A page without the frame, for whoever is not signed in.
pub(super) fn alone(title: &Bilingual, body: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="ja" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title.ja) " · 見守りコール" }
                link rel="stylesheet" href=(assets::href("console.css"));
            }
            body.alone {
                main.card {
                    h1 { "見守りコール" }
                    p { (title.ja) " / " span lang="en" { (title.en) } }
                    (body)
                }
            }
        }
    }
}

async fn login(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Address(address): Address,
    headers: HeaderMap,
    jar: CookieJar,
    Form(credentials): Form<Credentials>,
) -> Result<Response, Fault> {
    let refused_at = Instant::now() + REFUSED_AFTER;
    if !door.gate.admits_knock(address) {
        return Err(Fault::TooMany);
    }
    let now = desk.clock.now().timestamp;
    let account = desk.store.account(&credentials.login.trim().to_lowercase()).await?;
    let proven = prove_password(&desk, &door, account, credentials.password, now).await?;
    match proven {
        Ok(account) if account.password_ends_at.is_some_and(|at| at <= now) => {
            desk.store.pardon(account.staff.id).await?;
            let entry = refused(Some(&account.staff), "run out", &address.to_string());
            desk.store.audit(now, &entry).await?;
            sleep_until(refused_at).await;
            Ok((StatusCode::UNAUTHORIZED, login_form(&door, Some(&RUN_OUT))).into_response())
        }
        Ok(account) => {
            desk.store.pardon(account.staff.id).await?;
            let visit = Visit { address: address.to_string(), agent: agent(&headers) };
            let stage = match (account.staff.has_second_factor, desk.config.second_factor) {
                (false, SecondFactor::Optional) => Stage::Full,
                _ => Stage::SecondFactor,
            };
            begin(&desk, jar, account.staff, stage, visit, "password", now).await
        }
        Err((reason, known)) => {
            let entry = refused(known.as_ref(), reason, &address.to_string());
            desk.store.audit(now, &entry).await?;
            sleep_until(refused_at).await;
            let page = login_form(&door, Some(&refused_text()));
            Ok((StatusCode::UNAUTHORIZED, page).into_response())
        }
    }
}

/// Looks at a password, for as long where there is no account as where there is one. The error is
/// the reason for the audit, and whose account it is.
async fn prove_password(
    desk: &Desk,
    door: &Door,
    account: Option<Account>,
    password: Private<String>,
    now: Timestamp,
) -> Result<Result<Account, (&'static str, Option<Staff>)>, Fault> {
    let is_open = match &account {
        Some(account) => desk.store.knock(now, account.staff.id).await? == Knock::Open,
        None => false,
    };
    let kept = account.as_ref().filter(|_| is_open).and_then(|account| account.password.clone());
    let is_right = door.gate.hash(move || password::is_right(kept.as_ref(), &password)).await?;
    Ok(match account {
        Some(account) if is_right => Ok(account),
        Some(account) => {
            let reason = if is_open { "password" } else { "locked" };
            Err((reason, Some(account.staff)))
        }
        None => Err(("unknown", None)),
    })
}

/// Whether whoever uses a session is the owner of the account: asked again before what would let
/// somebody else in for good. Counts as a try; accounts without a password give a code.
pub(in crate::web) async fn is_owner(
    desk: &Desk,
    door: &Door,
    viewer: &Viewer,
    proof: Private<String>,
    address: Address,
) -> Result<bool, Fault> {
    let account = desk.store.account_of(viewer.staff.id).await?;
    let proven = if account.password.is_some() {
        let proven = prove_password(desk, door, Some(account), proof, viewer.now).await?;
        proven.map(|_| ()).map_err(|(reason, _)| reason)
    } else {
        prove_code(desk, door, &account, &proof, viewer.now).await?
    };
    if let Err(reason) = proven {
        let entry = refused(Some(&viewer.staff), reason, &address.0.to_string());
        desk.store.audit(viewer.now, &entry).await?;
        return Ok(false);
    }
    desk.store.pardon(viewer.staff.id).await?;
    Ok(true)
}

fn refused(staff: Option<&Staff>, reason: &str, address: &str) -> AuditEntry {
    AuditEntry {
        // Whoever it was, the account's owner it was not.
        actor: Actor::Nobody,
        health_center: staff.and_then(|staff| staff.health_center),
        action: "session.refused",
        patient: None,
        object: staff.map(|staff| staff.id.to_string()).unwrap_or_default(),
        detail: format!("{reason} from {address}"),
    }
}

/// From where somebody signs in, and with what.
pub(super) struct Visit {
    pub(super) address: String,
    pub(super) agent: String,
}

pub(super) fn agent(headers: &HeaderMap) -> String {
    let agent = headers.get(USER_AGENT).and_then(|agent| agent.to_str().ok()).unwrap_or_default();
    agent.chars().take(200).collect()
}

/// Begins a session and goes on to what comes next.
pub(super) async fn begin(
    desk: &Desk,
    jar: CookieJar,
    staff: Staff,
    stage: Stage,
    visit: Visit,
    by: &str,
    now: Timestamp,
) -> Result<Response, Fault> {
    let next = next(&staff, stage);
    let entry = AuditEntry {
        actor: Actor::Staff(staff.id),
        health_center: staff.health_center,
        action: match stage {
            Stage::SecondFactor => "session.knocked",
            Stage::Full => "session.begun",
        },
        patient: None,
        object: String::new(),
        detail: format!("{by} from {}", visit.address),
    };
    let (secret, signed_in) = new_session(staff, stage, visit, now)?;
    desk.store.begin_session(now, &signed_in, &entry).await?;
    let jar = jar.add(cookie::hardened(cookie::SESSION, secret));
    Ok((jar, Redirect::to(next)).into_response())
}

/// Where somebody goes who has come so far.
pub(super) fn next(staff: &Staff, stage: Stage) -> &'static str {
    match stage {
        Stage::SecondFactor if staff.has_second_factor => CODE,
        Stage::SecondFactor => SET_UP,
        Stage::Full => "/",
    }
}

fn new_session(
    staff: Staff,
    stage: Stage,
    visit: Visit,
    now: Timestamp,
) -> anyhow::Result<(String, SignedIn)> {
    let secret = cookie::secret()?;
    let signed_in = SignedIn {
        token: cookie::hash(&secret),
        csrf: cookie::secret()?.into(),
        stage,
        created_at: now,
        seen_at: now,
        address: visit.address,
        agent: visit.agent,
        staff,
    };
    Ok((secret, signed_in))
}

async fn code_page(pending: Pending) -> Response {
    if !pending.signed_in.staff.has_second_factor {
        return Redirect::to(SET_UP).into_response();
    }
    code_form(&pending, false).into_response()
}

fn code_form(pending: &Pending, is_refused: bool) -> Markup {
    let title = Bilingual::fixed("二段階目の確認", "Second factor");
    alone(
        &title,
        &html! {
            @if is_refused { (refusal()) }
            form.stack method="post" action=(CODE) {
                (csrf(pending))
                label {
                    "認証アプリの 6 桁の数字 / " span lang="en" { "The six digits of your app" }
                    input name="code" required autofocus autocomplete="one-time-code"
                        inputmode="text" autocapitalize="none" spellcheck="false";
                }
                p.hint {
                    "スマートフォンが手元にないときは、控えておいた復旧コードを入力してください。 / "
                    span lang="en" { "Without your telephone, enter one of your recovery codes." }
                }
                button.primary type="submit" { "確認 / " span lang="en" { "Confirm" } }
            }
            p { a href="/login" { "はじめからやり直す / " span lang="en" { "Start again" } } }
        },
    )
}

fn csrf(pending: &Pending) -> Markup {
    html! { input type="hidden" name="csrf" value=(pending.signed_in.csrf.expose()); }
}

async fn code(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Address(address): Address,
    jar: CookieJar,
    Posted { viewer: pending, form: Code { code } }: Posted<Code, Pending>,
) -> Result<Response, Fault> {
    let refused_at = Instant::now() + REFUSED_AFTER;
    if !door.gate.admits_knock(address) {
        return Err(Fault::TooMany);
    }
    let now = pending.now;
    let account = desk.store.account_of(pending.signed_in.staff.id).await?;
    match prove_code(&desk, &door, &account, &code, now).await? {
        Ok(()) => {
            let jar = go_on(&desk, jar, &pending, "second factor").await?;
            Ok((jar, Redirect::to("/")).into_response())
        }
        Err(reason) => {
            let entry = refused(Some(&account.staff), reason, &address.to_string());
            desk.store.audit(now, &entry).await?;
            sleep_until(refused_at).await;
            Ok((StatusCode::UNAUTHORIZED, code_form(&pending, true)).into_response())
        }
    }
}

/// Uses up a one-time password or a recovery code. The error is the reason for the audit.
async fn prove_code(
    desk: &Desk,
    door: &Door,
    account: &Account,
    code: &Private<String>,
    now: Timestamp,
) -> Result<Result<(), &'static str>, Fault> {
    let id = account.staff.id;
    let Some(secret) = door.secret(account)?.filter(|_| account.staff.has_second_factor) else {
        return Ok(Err("no second factor"));
    };
    if desk.store.knock(now, id).await? == Knock::Closed {
        return Ok(Err("locked"));
    }
    if let Some(step) = secret.step_of(code, now)? {
        let is_first = desk.store.use_totp_step(id, step).await?;
        return Ok(if is_first { Ok(()) } else { Err("code used before") });
    }
    if let Some(hash) = recovery_hash(id, code) {
        let entry = AuditEntry {
            actor: Actor::Staff(id),
            health_center: account.staff.health_center,
            action: "second_factor.recovered",
            patient: None,
            object: id.to_string(),
            detail: String::new(),
        };
        if desk.store.use_recovery_code(now, id, &hash, &entry).await? {
            return Ok(Ok(()));
        }
    }
    Ok(Err("code"))
}

/// Signs in in full: a new session in the place of the one that waited.
async fn go_on(
    desk: &Desk,
    jar: CookieJar,
    pending: &Pending,
    by: &str,
) -> Result<CookieJar, Fault> {
    let old = &pending.signed_in;
    let visit = Visit { address: old.address.clone(), agent: old.agent.clone() };
    let entry = AuditEntry {
        actor: Actor::Staff(old.staff.id),
        health_center: old.staff.health_center,
        action: "session.begun",
        patient: None,
        object: String::new(),
        detail: format!("{by} from {}", old.address),
    };
    let (secret, new) = new_session(old.staff.clone(), Stage::Full, visit, pending.now)?;
    desk.store.renew_session(pending.now, &old.token, &new, &entry).await?;
    Ok(jar.add(cookie::hardened(cookie::SESSION, secret)))
}

/// Puts a new token in the place of the session's, after what it protects has changed.
pub(in crate::web) async fn renew(
    desk: &Desk,
    jar: CookieJar,
    viewer: &Viewer,
) -> Result<CookieJar, Fault> {
    let old = desk.store.session(&viewer.session).await?.ok_or(Fault::SignIn)?;
    let secret = cookie::secret()?;
    let new = SignedIn { token: cookie::hash(&secret), csrf: cookie::secret()?.into(), ..old };
    let entry = viewer.audit("session.renewed");
    desk.store.renew_session(viewer.now, &viewer.session, &new, &entry).await?;
    Ok(jar.add(cookie::hardened(cookie::SESSION, secret)))
}

async fn set_up_page(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    pending: Pending,
) -> Result<Response, Fault> {
    if pending.signed_in.staff.has_second_factor {
        return Ok(Redirect::to(CODE).into_response());
    }
    // Always a new one: whoever has begun before, and left, is not to know the secret.
    let secret = Secret::random()?;
    let id = pending.signed_in.staff.id;
    desk.store.propose_totp(pending.now, id, &door.seal(id, &secret)?).await?;
    Ok(set_up_form(&pending, &secret, false)?.into_response())
}

fn set_up_form(pending: &Pending, secret: &Secret, is_refused: bool) -> Result<Markup, Fault> {
    let title = Bilingual::fixed("二段階認証の設定", "Set up your second factor");
    Ok(alone(
        &title,
        &html! {
            @if is_refused { (refusal()) }
            (second_factor_form(&pending.signed_in.staff, secret, SET_UP, &csrf(pending))?)
        },
    ))
}

/// The picture to scan, the secret to type, and the field for the first code.
pub(in crate::web) fn second_factor_form(
    staff: &Staff,
    secret: &Secret,
    action: &str,
    csrf: &Markup,
) -> Result<Markup, Fault> {
    let picture = secret.picture(&staff.login)?;
    let written = secret.written()?;
    Ok(html! {
        ol {
            li {
                "スマートフォンの認証アプリ(Google Authenticator、Microsoft Authenticator など)で読み取ります。 / "
                span lang="en" { "Scan this with an authenticator app on your telephone." }
            }
            li {
                "アプリに表示された 6 桁の数字を入力します。 / "
                span lang="en" { "Enter the six digits that it shows." }
            }
        }
        div.qr role="img" aria-label="二段階認証を設定する QR コード / QR code of the second factor" {
            (PreEscaped(picture))
        }
        p {
            "読み取れないときは、次の文字を入力してください / "
            span lang="en" { "or type" } ": " code { (written) }
        }
        form.stack method="post" action=(action) {
            (csrf)
            label {
                "6 桁の数字 / " span lang="en" { "Six digits" }
                input name="code" required autocomplete="one-time-code" inputmode="numeric";
            }
            button.primary type="submit" { "設定する / " span lang="en" { "Set up" } }
        }
    })
}

async fn set_up(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Address(address): Address,
    jar: CookieJar,
    Posted { viewer: pending, form: Code { code } }: Posted<Code, Pending>,
) -> Result<Response, Fault> {
    let refused_at = Instant::now() + REFUSED_AFTER;
    if !door.gate.admits_knock(address) {
        return Err(Fault::TooMany);
    }
    let staff = pending.signed_in.staff.clone();
    // Whoever has a second factor proves it; only the account's page replaces it.
    if staff.has_second_factor {
        return Err(Fault::Elsewhere(CODE));
    }
    let account = desk.store.account_of(staff.id).await?;
    let secret = door.proposed(&account)?.ok_or(Fault::Elsewhere(SET_UP))?;
    let Some(codes) = confirm(&desk, &staff, &secret, &code, pending.now).await? else {
        let entry = refused(Some(&staff), "first code", &address.to_string());
        desk.store.audit(pending.now, &entry).await?;
        sleep_until(refused_at).await;
        return Ok(
            (StatusCode::UNAUTHORIZED, set_up_form(&pending, &secret, true)?).into_response()
        );
    };
    let jar = go_on(&desk, jar, &pending, "new second factor").await?;
    let title = Bilingual::fixed("復旧コード", "Recovery codes");
    // Shown here and nowhere else, so not after a redirect.
    Ok((jar, alone(&title, &recovery_page(&codes, "/"))).into_response())
}

/// Puts the proposed secret into use if the code is its; gives new recovery codes.
pub(in crate::web) async fn confirm(
    desk: &Desk,
    staff: &Staff,
    secret: &Secret,
    code: &Private<String>,
    now: Timestamp,
) -> Result<Option<Vec<Private<String>>>, Fault> {
    if desk.store.knock(now, staff.id).await? == Knock::Closed {
        return Ok(None);
    }
    let Some(step) = secret.step_of(code, now)? else { return Ok(None) };
    let codes = recovery_codes()?;
    let hashes: Vec<String> =
        codes.iter().filter_map(|code| recovery_hash(staff.id, code)).collect();
    let entry = AuditEntry {
        actor: Actor::Staff(staff.id),
        health_center: staff.health_center,
        action: "second_factor.set",
        patient: None,
        object: staff.id.to_string(),
        detail: String::new(),
    };
    desk.store.confirm_totp(now, staff.id, step, &hashes, &entry).await?;
    desk.store.pardon(staff.id).await?;
    Ok(Some(codes))
}

/// New recovery codes, shown once.
pub(in crate::web) fn recovery_page(codes: &[Private<String>], next: &str) -> Markup {
    html! {
        p.notice.caution role="status" {
            "スマートフォンをなくしたときのための復旧コードです。この画面でしか表示されません。印刷するか書き写して、職場の鍵のかかる場所に保管してください。一つにつき一度だけ使えます。 / "
            span lang="en" {
                "For the day you lose your telephone. They are shown only now: print them or write \
                 them down, and lock them away. Each can be used once."
            }
        }
        ul.codes { @for code in codes { li { code { (code.expose()) } } } }
        p { a.button.primary href=(next) { "控えました / " span lang="en" { "I have kept them" } } }
    }
}

async fn logout(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    jar: CookieJar,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let entry = viewer.audit("session.ended");
    desk.store.end_session(viewer.now, &viewer.session, &entry).await?;
    let jar = jar.add(cookie::removed(cookie::SESSION));
    if let Some(provider) = &door.provider
        && desk.store.account_of(viewer.staff.id).await?.subject.is_some()
        && let Some(url) = provider.way_out(viewer.now).await
    {
        return Ok((jar, out_by_a_page(provider.name(), &url)).into_response());
    }
    Ok((jar, Redirect::to("/login")).into_response())
}

/// Leads on to the identity provider, which ends its own session: whoever sits down next could sign
/// in with it without a password. A form of ours may not be answered by a way to elsewhere, so a page
/// leads on.
fn out_by_a_page(provider: &str, url: &str) -> Markup {
    let title = Bilingual::fixed("ログアウトしました", "Signed out");
    alone(
        &title,
        &html! {
            meta http-equiv="refresh" content=(format!("0;url={url}"));
            p {
                "続けて、" (provider) "からもログアウトします。 / "
                span lang="en" { "Next you are signed out of " (provider) ", too." }
            }
            p { a.button.primary href=(url) { "進む / " span lang="en" { "Continue" } } }
            p { a href="/login" { "ログイン画面へ / " span lang="en" { "Sign in again" } } }
        },
    )
}

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
    path.filter(|path| !path.starts_with("//") && !path.starts_with("/\\")).unwrap_or("/")
}
