//! API トークン: programs that act for an account; for administrators.

use axum::Router;
use axum::extract::{Path, State};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::SignedDuration;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::id::StaffId;
use crate::base::{Bilingual, Private};
use crate::registry::token::{SCOPES, right_of, scope_of};
use crate::registry::{ApiToken, AuditEntry, Right, Staff};
use crate::web::Desk;
use crate::web::auth::client::new_token;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::console::account::moment;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("API トークン", "Tokens of the API");

/// How many days a token may last: it is to be made anew, and seen again, every year.
const LONGEST_DAYS: i64 = 366;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/staff/tokens", get(list).post(add))
        .route("/staff/tokens/{id}/revoke", post(revoke))
}

#[derive(Deserialize)]
struct Filled {
    owner: String,
    name: String,
    #[serde(default)]
    scope: Vec<String>,
    days: i64,
}

async fn list(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::ManageStaff)?;
    let managing = desk.store.managing(viewer.reach());
    let tokens = managing.tokens().await?;
    let staff = managing.staff().await?;
    let body = html! {
        section.card {
            p { (viewer.say(
                "トークンは、選んだ職員の権限のうち、選んだ範囲だけで動きます。利用はすべて監査に残ります。",
                "A token acts with the rights of an account, as far as its scopes reach. All it does is audited.")) }
            @if tokens.is_empty() {
                (ui::empty(viewer.say("まだありません。", "There are none yet.")))
            } @else {
                (table(&viewer, &tokens, &staff))
            }
        }
        section.card {
            h2 { (viewer.say("トークンを作る", "Make a token")) }
            form.stack method="post" action="/staff/tokens" {
                (ui::csrf(&viewer))
                label {
                    (viewer.say("用途", "What it is for"))
                    input name="name" required maxlength="100" autocomplete="off";
                }
                label {
                    (viewer.say("職員", "Account"))
                    select name="owner" required {
                        @for one in staff.iter().filter(|one| one.is_active) {
                            option value=(one.id) { (one.login) " — " (one.name.expose()) }
                        }
                    }
                }
                fieldset {
                    legend { (viewer.say("範囲", "Scopes")) }
                    @for (scope, _) in SCOPES {
                        label { input type="checkbox" name="scope" value=(scope); " " code { (scope) } }
                    }
                }
                label {
                    (viewer.say("有効日数", "Days"))
                    input name="days" type="number" min="1" max=(LONGEST_DAYS) value="90" required;
                }
                button.primary type="submit" { (viewer.say("作る", "Make")) }
            }
        }
    };
    Ok(ui::page(&viewer, Section::Staff, &TITLE, &body))
}

fn table(viewer: &Viewer, tokens: &[ApiToken], staff: &[Staff]) -> Markup {
    let login = |id: StaffId| {
        let owner = staff.iter().find(|one| one.id == id);
        owner.map_or("", |one| one.login.as_str())
    };
    html! {
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { (viewer.say("用途", "For")) }
                    th scope="col" { (viewer.say("職員", "Account")) }
                    th scope="col" { (viewer.say("範囲", "Scopes")) }
                    th scope="col" { (viewer.say("期限", "Until")) }
                    th scope="col" { (viewer.say("最後の利用", "Last used")) }
                    th scope="col" { (viewer.say("状態", "State")) }
                } }
                tbody {
                    @for token in tokens {
                        tr {
                            th scope="row" { (token.name) }
                            td { (login(token.owner)) }
                            td { (token.rights.iter().filter_map(|right| scope_of(*right)).collect::<Vec<_>>().join(", ")) }
                            td.nowrap { (moment(token.expires_at)) }
                            td.nowrap { (token.last_used_at.map(moment).unwrap_or_default()) }
                            td { (state(viewer, token)) }
                        }
                    }
                }
            }
        }
    }
}

fn state(viewer: &Viewer, token: &ApiToken) -> Markup {
    if token.revoked_at.is_some() {
        return ui::badge("badge muted", Icon::Stop, viewer.say("失効", "Revoked"));
    }
    if token.expires_at <= viewer.now {
        return ui::badge("badge muted", Icon::Clock, viewer.say("期限切れ", "Expired"));
    }
    html! {
        form method="post" action={ "/staff/tokens/" (token.id) "/revoke" } {
            (ui::csrf(viewer))
            button type="submit" data-confirm=(viewer.say("失効させますか?", "Revoke it?")) {
                (viewer.say("失効させる", "Revoke"))
            }
        }
    }
}

async fn add(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Filled>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let rights: Option<Vec<Right>> = form.scope.iter().map(|scope| right_of(scope)).collect();
    let rights = rights.ok_or(Fault::NotFound)?;
    let name = form.name.trim().to_owned();
    if rights.is_empty() || name.is_empty() || !(1..=LONGEST_DAYS).contains(&form.days) {
        return Err(Fault::Invalid(Bilingual::fixed(
            "用途、範囲(一つ以上)、有効日数(366 日まで)を入力してください。",
            "A token has a purpose, at least one scope and at most 366 days.",
        )));
    }
    let token = ApiToken {
        id: desk.store.mint(viewer.now),
        owner: form.owner.parse().map_err(|_| Fault::NotFound)?,
        name,
        rights,
        created_at: viewer.now,
        expires_at: viewer.now + SignedDuration::from_hours(24 * form.days),
        last_used_at: None,
        revoked_at: None,
    };
    let (secret, hash) = new_token()?;
    let entry = AuditEntry {
        object: token.id.to_string(),
        detail: format!("owner={} scopes={} days={}", token.owner, form.scope.join("+"), form.days),
        ..viewer.audit("token.added")
    };
    let managing = desk.store.managing(viewer.reach());
    managing.add_token(viewer.now, &token, &hash, &entry).await?;
    Ok(token_page(&viewer, &secret).into_response())
}

/// Shown here and nowhere else, so not after a redirect.
fn token_page(viewer: &Viewer, secret: &Private<String>) -> Markup {
    let body = html! {
        section.card {
            p.notice.caution role="status" { (viewer.say(
                "この画面でしか表示されません。プログラムの設定に書き写してください。",
                "It is shown only now. Copy it into the settings of the program.")) }
            p { code #token { (secret.expose()) } }
            p { a.button href="/staff/tokens" { (viewer.say("一覧へ", "To the list")) } }
        }
    };
    ui::page(viewer, Section::Staff, &TITLE, &body)
}

async fn revoke(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let id = id.parse().map_err(|_| Fault::NotFound)?;
    let entry = AuditEntry { object: format!("{id}"), ..viewer.audit("token.revoked") };
    desk.store.managing(viewer.reach()).revoke_token(viewer.now, id, &entry).await?;
    Ok(done("/staff/tokens", viewer.say("失効させました", "Revoked")))
}
