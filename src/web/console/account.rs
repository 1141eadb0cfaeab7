//! 自分のアカウント: password, second factor, recovery codes, language and own sessions.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use axum_extra::extract::cookie::CookieJar;
use jiff::Timestamp;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::clock::civil;
use crate::base::{Bilingual, Private};
use crate::store::SignedIn;
use crate::web::Desk;
use crate::web::auth::password;
use crate::web::auth::second_factor::{Secret, recovery_codes, recovery_hash};
use crate::web::auth::{self, Address, Door, Nothing, Posted, Viewer, done, is_owner};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("自分のアカウント", "Your account");

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/account", get(account))
        .route("/account/password", get(password_page).post(set_password))
        .route("/account/second-factor", get(second_factor_page).post(propose))
        .route("/account/second-factor/confirm", post(confirm))
        .route("/account/recovery", post(renew_codes))
        .route("/account/sessions/end", post(end_session))
        .route("/account/sessions/end-others", post(end_others))
}

#[derive(Deserialize)]
struct Proof {
    proof: Private<String>,
}

#[derive(Deserialize)]
struct NewPassword {
    proof: Private<String>,
    password: Private<String>,
    again: Private<String>,
}

#[derive(Deserialize)]
struct Code {
    code: Private<String>,
}

#[derive(Deserialize)]
struct Session {
    session: String,
}

async fn account(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    let account = desk.store.account_of(viewer.staff.id).await?;
    let codes = desk.store.recovery_codes_left(viewer.staff.id).await?;
    let sessions = live(&desk, desk.store.sessions_of(viewer.staff.id).await?, viewer.now);
    let has_password = account.password.is_some();
    let roles: Vec<_> =
        viewer.staff.roles.iter().map(|role| viewer.tell(&role.name()).to_owned()).collect();
    let body = html! {
        section.card {
            h2 { (viewer.staff.name.expose()) }
            dl.pairs {
                dt { (viewer.say("ログイン名", "Login")) }
                dd { (viewer.staff.login) }
                dt { (viewer.say("役割", "Roles")) }
                dd { (roles.join(viewer.say("、", ", "))) }
            }
        }
        section.card {
            h2 { (viewer.say("パスワード", "Password")) }
            @if has_password {
                p { a.button href="/account/password" { (viewer.say("パスワードを変える", "Change the password")) } }
            } @else {
                p { (viewer.say("このアカウントにはパスワードがありません(認証基盤などでログインします)。",
                    "This account has no password: you sign in otherwise, as with an identity provider.")) }
            }
        }
        section.card {
            h2 { (viewer.say("二段階認証", "Second factor")) }
            @if viewer.staff.has_second_factor {
                p {
                    (ui::badge("badge good", Icon::Check, viewer.say("設定済み", "Set up"))) " "
                    (viewer.say("残りの復旧コード: ", "Recovery codes left: ")) (codes)
                }
                @if codes < 3 {
                    p.notice.caution { (viewer.say("復旧コードが少なくなりました。作り直してください。",
                        "Few recovery codes are left. Please make new ones.")) }
                }
            } @else {
                p { (ui::badge("badge caution", Icon::Caution, viewer.say("未設定", "Not set up"))) }
            }
            (prove(&viewer, has_password, "/account/second-factor", viewer.say(
                "認証アプリを設定し直す", "Set up an authenticator app")))
            @if viewer.staff.has_second_factor {
                (prove(&viewer, has_password, "/account/recovery", viewer.say(
                    "復旧コードを作り直す", "Make new recovery codes")))
            }
        }
        section.card {
            h2 { (viewer.say("ログイン中の端末", "Where you are signed in")) }
            (session_table(&viewer, &sessions))
            form method="post" action="/account/sessions/end-others" {
                (ui::csrf(&viewer))
                button type="submit" { (viewer.say("この端末のほかはすべてログアウト", "Sign out everywhere else")) }
            }
        }
    };
    Ok(ui::page(&viewer, Section::Account, &TITLE, &body))
}

/// The sessions that have not come to their end by themselves.
pub(super) fn live(desk: &Desk, sessions: Vec<SignedIn>, now: Timestamp) -> Vec<SignedIn> {
    let is_live = |one: &SignedIn| !auth::is_over(one, &desk.config, now);
    sessions.into_iter().filter(is_live).collect()
}

/// A form that asks for the password (or a code) again, before what would let somebody in for good.
fn prove(viewer: &Viewer, has_password: bool, action: &str, text: &str) -> Markup {
    // Whoever has neither password nor second factor came from the provider a moment ago.
    let label = if has_password {
        viewer.say("現在のパスワード", "Your present password")
    } else {
        viewer.say("認証アプリの数字", "The code of your app")
    };
    html! {
        form.inline method="post" action=(action) {
            (ui::csrf(viewer))
            label {
                (label)
                input name="proof" type="password" required
                    autocomplete=(if has_password { "current-password" } else { "one-time-code" });
            }
            button type="submit" { (text) }
        }
    }
}

fn session_table(viewer: &Viewer, sessions: &[SignedIn]) -> Markup {
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { (viewer.say("最後の操作", "Last used")) }
                    th scope="col" { (viewer.say("ログイン", "Since")) }
                    th scope="col" { (viewer.say("接続元", "From")) }
                    th scope="col" { (viewer.say("ブラウザー", "Browser")) }
                    th scope="col" { span.visually-hidden { (viewer.say("操作", "Actions")) } }
                } }
                tbody {
                    @for one in sessions {
                        tr {
                            td.nowrap { (moment(one.seen_at)) }
                            td.nowrap { (moment(one.created_at)) }
                            td { (one.address) }
                            td { (one.agent) }
                            td {
                                @if one.token == viewer.session {
                                    (ui::badge("badge good", Icon::Check, viewer.say("この端末", "This one")))
                                } @else {
                                    form method="post" action="/account/sessions/end" {
                                        (ui::csrf(viewer))
                                        button name="session" value=(one.token) {
                                            (viewer.say("ログアウトさせる", "Sign out"))
                                        }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Date and time in Japan.
pub(super) fn moment(at: Timestamp) -> String {
    civil(at).strftime("%Y-%m-%d %H:%M").to_string()
}

async fn password_page(viewer: Viewer) -> Markup {
    password_form(&viewer, None)
}

fn password_form(viewer: &Viewer, fault: Option<&Bilingual>) -> Markup {
    let title = Bilingual::fixed("パスワードの変更", "Change your password");
    let body = html! {
        section.card {
            @if viewer.staff.must_change_password {
                p.notice.caution { (viewer.say(
                    "仮のパスワードでログインしています。ご自分のパスワードを決めてください。",
                    "You signed in with a password that somebody gave you. Choose your own.")) }
            }
            @if let Some(fault) = fault { (ui::field_fault("fault", viewer.tell(fault))) }
            form.stack method="post" action="/account/password" {
                (ui::csrf(viewer))
                label {
                    (viewer.say("現在のパスワード", "Your present password"))
                    input name="proof" type="password" required autocomplete="current-password";
                }
                label {
                    (viewer.say("新しいパスワード(12 文字以上)", "New password (12 characters or more)"))
                    input name="password" type="password" required minlength=(password::SHORTEST)
                        autocomplete="new-password" aria-describedby="hint fault";
                }
                p.hint #hint { (viewer.say(
                    "長さがいちばん大切です。関係のない言葉をいくつか並べると、覚えやすく強くなります。",
                    "Length matters most: some unrelated words make a strong one that you can remember.")) }
                label {
                    (viewer.say("もう一度", "Once more"))
                    input name="again" type="password" required minlength=(password::SHORTEST)
                        autocomplete="new-password";
                }
                button.primary type="submit" { (viewer.say("変更する", "Change")) }
            }
        }
    };
    ui::page(viewer, Section::Account, &title, &body)
}

async fn set_password(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    address: Address,
    jar: CookieJar,
    Posted { viewer, form }: Posted<NewPassword>,
) -> Result<Response, Fault> {
    let names = [viewer.staff.login.as_str(), viewer.staff.name.expose().as_str()];
    let fault = if form.password != form.again {
        Some(Bilingual::fixed("二つの入力が違います", "the two are not the same"))
    } else if form.password == form.proof {
        Some(Bilingual::fixed("今と同じパスワードです", "this is your present password"))
    } else {
        password::fault(&form.password, &names)
    };
    if let Some(fault) = fault {
        let page = password_form(&viewer, Some(&fault));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    if !is_owner(&desk, &door, &viewer, form.proof, address).await? {
        let page = password_form(&viewer, Some(&auth::refused_text()));
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    }
    let hash = door.gate.hash(move || password::hash(&form.password)).await??;
    let entry = viewer.audit("password.changed");
    desk.store
        .set_own_password(viewer.now, viewer.staff.id, &hash, &viewer.session, &entry)
        .await?;
    let jar = auth::renew(&desk, jar, &viewer).await?;
    let text = viewer.say(
        "パスワードを変えました。ほかの端末はログアウトしました",
        "The password is changed; you are signed out elsewhere",
    );
    Ok((jar, done("/account", text)).into_response())
}

async fn propose(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    address: Address,
    Posted { viewer, form: Proof { proof } }: Posted<Proof>,
) -> Result<Response, Fault> {
    if !is_owner(&desk, &door, &viewer, proof, address).await? {
        return Err(Fault::Invalid(auth::refused_text()));
    }
    let secret = Secret::random()?;
    let sealed = door.seal(viewer.staff.id, &secret)?;
    desk.store.propose_totp(viewer.now, viewer.staff.id, &sealed).await?;
    Ok(Redirect::to("/account/second-factor").into_response())
}

async fn second_factor_page(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    viewer: Viewer,
) -> Result<Response, Fault> {
    let account = desk.store.account_of(viewer.staff.id).await?;
    let Some(secret) = door.proposed(&account)? else {
        return Ok(Redirect::to("/account").into_response());
    };
    Ok(second_factor_form(&viewer, &secret, false)?.into_response())
}

fn second_factor_form(viewer: &Viewer, secret: &Secret, is_refused: bool) -> Result<Markup, Fault> {
    let title = Bilingual::fixed("二段階認証の設定", "Set up your second factor");
    let action = "/account/second-factor/confirm";
    let form = auth::second_factor_form(&viewer.staff, secret, action, &ui::csrf(viewer))?;
    let body = html! {
        section.card {
            @if is_refused { (ui::field_fault("fault", viewer.tell(&auth::refused_text()))) }
            (form)
        }
    };
    Ok(ui::page(viewer, Section::Account, &title, &body))
}

async fn confirm(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    jar: CookieJar,
    Posted { viewer, form: Code { code } }: Posted<Code>,
) -> Result<Response, Fault> {
    let account = desk.store.account_of(viewer.staff.id).await?;
    let Some(secret) = door.proposed(&account)? else {
        return Ok(Redirect::to("/account").into_response());
    };
    let Some(codes) = auth::confirm(&desk, &viewer.staff, &secret, &code, viewer.now).await? else {
        let page = second_factor_form(&viewer, &secret, true)?;
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
    };
    let entry = viewer.audit("session.others_ended");
    desk.store.end_sessions_of(viewer.now, viewer.staff.id, &viewer.session, &entry).await?;
    let jar = auth::renew(&desk, jar, &viewer).await?;
    Ok((jar, codes_page(&viewer, &codes)).into_response())
}

async fn renew_codes(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    address: Address,
    Posted { viewer, form: Proof { proof } }: Posted<Proof>,
) -> Result<Response, Fault> {
    if !viewer.staff.has_second_factor {
        return Err(Fault::NotFound);
    }
    if !is_owner(&desk, &door, &viewer, proof, address).await? {
        return Err(Fault::Invalid(auth::refused_text()));
    }
    let codes = recovery_codes()?;
    let hashes: Vec<String> =
        codes.iter().filter_map(|code| recovery_hash(viewer.staff.id, code)).collect();
    let entry = viewer.audit("second_factor.codes_renewed");
    desk.store.set_recovery_codes(viewer.now, viewer.staff.id, &hashes, &entry).await?;
    Ok(codes_page(&viewer, &codes).into_response())
}

/// Shown here and nowhere else, so not after a redirect.
fn codes_page(viewer: &Viewer, codes: &[Private<String>]) -> Markup {
    let title = Bilingual::fixed("復旧コード", "Recovery codes");
    let body = html! { section.card { (auth::recovery_page(codes, "/account")) } };
    ui::page(viewer, Section::Account, &title, &body)
}

async fn end_session(
    State(desk): State<Desk>,
    Posted { viewer, form: Session { session } }: Posted<Session>,
) -> Result<Response, Fault> {
    let own = desk.store.sessions_of(viewer.staff.id).await?;
    if !own.iter().any(|one| one.token == session) {
        return Err(Fault::NotFound);
    }
    desk.store.end_session(viewer.now, &session, &viewer.audit("session.ended")).await?;
    Ok(done("/account", viewer.say("その端末をログアウトさせました", "That one is signed out")))
}

async fn end_others(
    State(desk): State<Desk>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let entry = viewer.audit("session.others_ended");
    desk.store.end_sessions_of(viewer.now, viewer.staff.id, &viewer.session, &entry).await?;
    Ok(done(
        "/account",
        viewer.say("ほかの端末をログアウトさせました", "You are signed out elsewhere"),
    ))
}
