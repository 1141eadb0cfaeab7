//! 職員: who may sign in, with which roles, for which centre or clinic; for administrators.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::id::{ClinicId, HealthCenterId, StaffId};
use crate::base::{Bilingual, Private};
use crate::registry::staff::{Role, Staff};
use crate::registry::{AuditEntry, Clinic, ConsoleLanguage, HealthCenter, Reach, Right};
use crate::store::{Account, LAST_ADMINISTRATOR, Managing, OWN_RIGHTS, SignedIn, StoreError};
use crate::web::Desk;
use crate::web::auth::{Door, Nothing, Posted, Viewer, done};
use crate::web::auth::{gate::Gate, password};
use crate::web::console::account::{live, moment};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("職員", "Staff");

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/staff", get(list).post(add))
        .route("/staff/new", get(new))
        .route("/staff/clinics", post(add_clinic))
        .route("/staff/{id}", get(one).post(change))
        .route("/staff/{id}/reset-password", post(reset_password))
        .route("/staff/{id}/reset-second-factor", post(reset_second_factor))
        .route("/staff/{id}/end-sessions", post(end_sessions))
        .route("/staff/{id}/link", post(link))
}

/// What the form about an account holds. Boxes that are not ticked are not sent.
#[derive(Clone, Debug, Deserialize)]
struct Filled {
    #[serde(default)]
    login: String,
    name: Private<String>,
    #[serde(default)]
    role: Vec<String>,
    #[serde(default)]
    center: String,
    #[serde(default)]
    clinic: String,
    #[serde(default)]
    active: String,
}

impl Filled {
    /// The account that is meant; what cannot be read is an account that makes no sense.
    fn read(self, id: StaffId, login: String, before: Option<&Staff>) -> Result<Staff, Fault> {
        let center = chosen::<HealthCenterId>(&self.center)?;
        let roles = self.role.iter().map(|role| Role::parse(role)).collect::<Option<Vec<_>>>();
        let staff = Staff {
            id,
            health_center: center,
            clinic: chosen::<ClinicId>(&self.clinic)?,
            login,
            name: Private::new(self.name.expose().trim().to_owned()),
            roles: roles.ok_or(Fault::NotFound)?,
            is_active: before.is_none() || self.active == "yes",
            language: before.map_or(ConsoleLanguage::Ja, |staff| staff.language),
            has_second_factor: before.is_some_and(|staff| staff.has_second_factor),
            must_change_password: before.is_none_or(|staff| staff.must_change_password),
            locked_until: None,
        };
        match staff.fault() {
            Some(fault) => Err(Fault::Invalid(fault)),
            None => Ok(staff),
        }
    }
}

fn chosen<T: std::str::FromStr>(text: &str) -> Result<Option<T>, Fault> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Fault::NotFound)
}

/// What is chosen from: centres and clinics within reach.
struct Choice {
    centers: Vec<HealthCenter>,
    clinics: Vec<Clinic>,
}

async fn choice(desk: &Desk, viewer: &Viewer) -> Result<Choice, Fault> {
    let mut centers = desk.store.health_centers().await?;
    centers.retain(|center| match viewer.reach() {
        Reach::Everybody => true,
        Reach::Center(own) => center.id == own,
    });
    Ok(Choice { centers, clinics: managing(desk, viewer).clinics().await? })
}

impl Choice {
    fn center(&self, id: Option<HealthCenterId>) -> &str {
        let found = self.centers.iter().find(|center| Some(center.id) == id);
        found.map_or("", |center| &center.name)
    }

    fn clinic(&self, id: Option<ClinicId>) -> &str {
        let found = self.clinics.iter().find(|clinic| Some(clinic.id) == id);
        found.map_or("", |clinic| &clinic.name)
    }
}

fn managing<'a>(desk: &'a Desk, viewer: &Viewer) -> Managing<'a> {
    desk.store.managing(viewer.reach()).by(viewer.staff.id)
}

async fn list(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::ManageStaff)?;
    let choice = choice(&desk, &viewer).await?;
    let all = managing(&desk, &viewer).staff().await?;
    desk.store.audit(viewer.now, &viewer.audit("staff.listed")).await?;
    let body = html! {
        p.row {
            a.button.primary href="/staff/new" { (viewer.say("職員を追加", "Add somebody")) }
            a.button href="/staff/tokens" { (viewer.say("API トークン", "Tokens of the API")) }
        }
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { (viewer.say("ログイン名", "Login")) }
                    th scope="col" { (viewer.say("氏名", "Name")) }
                    th scope="col" { (viewer.say("役割", "Roles")) }
                    th scope="col" { (viewer.say("所属", "Belongs to")) }
                    th scope="col" { (viewer.say("二段階認証", "Second factor")) }
                    th scope="col" { (viewer.say("状態", "State")) }
                } }
                tbody {
                    @for staff in &all {
                        tr {
                            th scope="row" { a href={ "/staff/" (staff.id) } { (staff.login) } }
                            td { (staff.name.expose()) }
                            td { (role_names(&viewer, staff)) }
                            td { (choice.center(staff.health_center)) " " (choice.clinic(staff.clinic)) }
                            td { (second_factor(&viewer, staff)) }
                            td { (state(&viewer, staff)) }
                        }
                    }
                }
            }
        }
        section.card {
            h2 { (viewer.say("委託医療機関", "Contracted clinics")) }
            @if choice.clinics.is_empty() {
                (ui::empty(viewer.say("まだありません。", "There are none yet.")))
            } @else {
                ul {
                    @for clinic in &choice.clinics {
                        li { (choice.center(Some(clinic.health_center))) " — " (clinic.name) " (" (clinic.code) ")" }
                    }
                }
            }
            form.inline method="post" action="/staff/clinics" {
                (ui::csrf(&viewer))
                (center_field(&viewer, &choice, None, true))
                label {
                    (viewer.say("コード", "Code"))
                    input name="code" required maxlength="32" pattern="[A-Za-z0-9_\\-]+" spellcheck="false";
                }
                label { (viewer.say("名称", "Name")) input name="name" required maxlength="100"; }
                button type="submit" { (viewer.say("医療機関を追加", "Add the clinic")) }
            }
        }
    };
    Ok(ui::page(&viewer, Section::Staff, &TITLE, &body))
}

fn role_names(viewer: &Viewer, staff: &Staff) -> String {
    let names: Vec<_> =
        staff.roles.iter().map(|role| viewer.tell(&role.name()).to_owned()).collect();
    names.join(viewer.say("、", ", "))
}

fn second_factor(viewer: &Viewer, staff: &Staff) -> Markup {
    if staff.has_second_factor {
        ui::badge("badge good", Icon::Check, viewer.say("設定済み", "Set up"))
    } else {
        ui::badge("badge muted", Icon::Unknown, viewer.say("未設定", "Not yet"))
    }
}

fn state(viewer: &Viewer, staff: &Staff) -> Markup {
    if !staff.is_active {
        ui::badge("badge muted", Icon::Stop, viewer.say("停止", "Disabled"))
    } else if staff.locked_until.is_some_and(|until| until > viewer.now) {
        ui::badge("badge caution", Icon::Clock, viewer.say("一時ロック中", "Locked for a while"))
    } else if staff.must_change_password {
        ui::badge("badge check", Icon::Person, viewer.say("仮パスワード", "First sign-in to come"))
    } else {
        ui::badge("badge good", Icon::Check, viewer.say("有効", "Active"))
    }
}

async fn new(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::ManageStaff)?;
    let choice = choice(&desk, &viewer).await?;
    let title = Bilingual::fixed("職員を追加", "Add somebody");
    let body = html! {
        section.card {
            form.stack method="post" action="/staff" {
                (ui::csrf(&viewer))
                label {
                    (viewer.say("ログイン名", "Login"))
                    input name="login" required minlength="2" maxlength="64" autocapitalize="none"
                        spellcheck="false" autocomplete="off" aria-describedby="login-hint";
                }
                p.hint #login-hint { (viewer.say("半角の英小文字・数字・ . - _ @", "a–z, 0–9, . - _ @")) }
                (fields(&viewer, &choice, None))
                button.primary type="submit" { (viewer.say("追加して仮パスワードを発行", "Add, and make a first password")) }
            }
        }
    };
    Ok(ui::page(&viewer, Section::Staff, &title, &body))
}

/// Name, roles, centre and clinic.
fn fields(viewer: &Viewer, choice: &Choice, staff: Option<&Staff>) -> Markup {
    let has = |role: Role| staff.is_some_and(|staff| staff.roles.contains(&role));
    let name = staff.map(|staff| staff.name.expose().as_str()).unwrap_or_default();
    let clinic = staff.and_then(|staff| staff.clinic);
    html! {
        label {
            (viewer.say("氏名", "Name"))
            input name="name" required maxlength="100" value=(name) autocomplete="off";
        }
        fieldset {
            legend { (viewer.say("役割", "Roles")) }
            @for role in Role::ALL {
                label {
                    input type="checkbox" name="role" value=(role.as_str()) checked[has(role)];
                    " " (viewer.tell(&role.name()))
                }
            }
        }
        (center_field(viewer, choice, staff.and_then(|staff| staff.health_center), false))
        label {
            (viewer.say("医療機関(委託医療機関のみ)", "Clinic (for the role Clinic)"))
            select name="clinic" {
                option value="" { "—" }
                @for one in &choice.clinics {
                    option value=(one.id) selected[Some(one.id) == clinic] {
                        (choice.center(Some(one.health_center))) " — " (one.name)
                    }
                }
            }
        }
    }
}

fn center_field(
    viewer: &Viewer,
    choice: &Choice,
    chosen: Option<HealthCenterId>,
    is_required: bool,
) -> Markup {
    let reaches_all = viewer.reach() == Reach::Everybody;
    html! {
        label {
            (viewer.say("保健所", "Health centre"))
            select name="center" required[is_required] {
                @if reaches_all && !is_required {
                    option value="" { (viewer.say("全体(患者は見られません)", "All (sees no patient)")) }
                }
                @for center in &choice.centers {
                    option value=(center.id) selected[Some(center.id) == chosen] { (center.name) }
                }
            }
        }
    }
}

async fn add(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Posted { viewer, form }: Posted<Filled>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let login = form.login.trim().to_lowercase();
    let staff = form.read(desk.store.mint(viewer.now), login, None)?;
    let (password, hash) = one_time(&door.gate).await?;
    let entry = about(&viewer, "staff.added", &staff);
    let added = managing(&desk, &viewer).add(viewer.now, &staff, Some(&hash), &entry).await;
    added.map_err(explain)?;
    Ok(password_page(&viewer, &staff, &password).into_response())
}

/// A password to be used once, and its hash.
async fn one_time(gate: &Gate) -> Result<(Private<String>, Private<String>), Fault> {
    let password = password::one_time()?;
    let given = password.clone();
    let hash = gate.hash(move || password::hash(&given)).await??;
    Ok((password, hash))
}

/// Shown here and nowhere else, so not after a redirect.
fn password_page(viewer: &Viewer, staff: &Staff, password: &Private<String>) -> Markup {
    let title = Bilingual::fixed("仮パスワード", "First password");
    let body = html! {
        section.card {
            p.notice.caution role="status" { (viewer.say(
                "この画面でしか表示されません。ご本人に、本人確認のうえで直接伝えてください。72時間以内にログインし、新しいパスワードに変更していただきます。",
                "It is shown only now. Hand it to its owner in person, who has to sign in and change it within 72 hours.")) }
            dl.pairs {
                dt { (viewer.say("ログイン名", "Login")) } dd { code { (staff.login) } }
                dt { (viewer.say("仮パスワード", "First password")) } dd { code #password { (password.expose()) } }
            }
            p { a.button href="/staff" { (viewer.say("職員の一覧へ", "To the list")) } }
        }
    };
    ui::page(viewer, Section::Staff, &title, &body)
}

/// An entry of the audit about an account: what it may do, never its name.
fn about(viewer: &Viewer, action: &'static str, staff: &Staff) -> AuditEntry {
    let roles: Vec<&str> = staff.roles.iter().map(|role| role.as_str()).collect();
    let center = staff.health_center.map(|id| id.to_string()).unwrap_or_default();
    let clinic = staff.clinic.map(|id| id.to_string()).unwrap_or_default();
    let state = if staff.is_active { "active" } else { "disabled" };
    AuditEntry {
        health_center: staff.health_center.or(viewer.staff.health_center),
        object: staff.id.to_string(),
        detail: format!("roles={} center={center} clinic={clinic} {state}", roles.join("+")),
        ..viewer.audit(action)
    }
}

fn explain(fault: StoreError) -> Fault {
    let text = match &fault {
        StoreError::Conflict { constraint } => match constraint.as_str() {
            "staff_login" => Bilingual::fixed(
                "このログイン名はすでに使われています。",
                "Somebody has this login already.",
            ),
            "clinic_code" => Bilingual::fixed(
                "このコードの医療機関はすでにあります。",
                "There is a clinic with this code already.",
            ),
            "staff_subject" => Bilingual::fixed(
                "この識別子は別の職員に結び付いています。",
                "This subject is tied to somebody else.",
            ),
            LAST_ADMINISTRATOR => Bilingual::fixed(
                "最後のシステム管理者です。先に別の管理者を追加してください。",
                "This is the last administrator. Add another one first.",
            ),
            OWN_RIGHTS => Bilingual::fixed(
                "自分の権限は変えられません。別のシステム管理者に依頼してください。",
                "Nobody changes their own rights. Ask another administrator.",
            ),
            _ => return fault.into(),
        },
        _ => return fault.into(),
    };
    Fault::Conflict(text)
}

async fn one(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Path(id): Path<String>,
    viewer: Viewer,
) -> Result<Markup, Fault> {
    viewer.must(Right::ManageStaff)?;
    let staff = managing(&desk, &viewer).one(id_of(&id)?).await?;
    let account = desk.store.account_of(staff.id).await?;
    let sessions = managing(&desk, &viewer).sessions(staff.id).await?;
    let sessions = live(&desk, sessions, viewer.now);
    let choice = choice(&desk, &viewer).await?;
    let entry = AuditEntry { object: staff.id.to_string(), ..viewer.audit("staff.viewed") };
    desk.store.audit(viewer.now, &entry).await?;
    let title = Bilingual::composed(staff.login.clone(), staff.login.clone());
    let is_self = staff.id == viewer.staff.id;
    let body = html! {
        p.row { (state(&viewer, &staff)) (second_factor(&viewer, &staff)) }
        @if is_self {
            p.notice.check { (viewer.say(
                "ご自分のアカウントです。権限は別のシステム管理者だけが変えられます。",
                "This is your own account. Only another administrator can change its rights.")) }
        }
        section.card {
            form.stack method="post" action={ "/staff/" (staff.id) } {
                (ui::csrf(&viewer))
                (fields(&viewer, &choice, Some(&staff)))
                label {
                    input type="checkbox" name="active" value="yes" checked[staff.is_active];
                    " " (viewer.say("ログインできる", "May sign in"))
                }
                p.hint { (viewer.say(
                    "権限や所属を変えると、この職員はすべての端末からログアウトします。",
                    "Whoever's rights change is signed out everywhere.")) }
                button.primary type="submit" { (viewer.say("保存", "Save")) }
            }
        }
        @if !is_self {
            section.card {
                h2 { (viewer.say("ログイン", "Signing in")) }
                p { (viewer.say("ログイン中の端末: ", "Signed in on: ")) (sessions.len())
                    @if let Some(latest) = latest(&sessions) { " (" (latest) ")" } }
                div.row {
                    (button(&viewer, &staff, "end-sessions", "すべての端末からログアウトさせる", "Sign out everywhere"))
                    (button(&viewer, &staff, "reset-password", "仮パスワードを発行", "Make a first password"))
                    (button(&viewer, &staff, "reset-second-factor", "二段階認証をやり直させる", "Have the second factor set up again"))
                }
            }
            @if let Some(provider) = &door.provider {
                (link_form(&viewer, &account, provider.name()))
            }
        }
    };
    Ok(ui::page(&viewer, Section::Staff, &title, &body))
}

fn latest(sessions: &[SignedIn]) -> Option<String> {
    sessions.first().map(|one| format!("{} {}", moment(one.seen_at), one.address))
}

fn button(viewer: &Viewer, staff: &Staff, action: &str, ja: &str, en: &str) -> Markup {
    html! {
        form method="post" action={ "/staff/" (staff.id) "/" (action) } {
            (ui::csrf(viewer))
            button type="submit" data-confirm={ (viewer.say(ja, en)) (viewer.say("。よろしいですか?", "?")) } {
                (viewer.say(ja, en))
            }
        }
    }
}

fn link_form(viewer: &Viewer, account: &Account, provider: &str) -> Markup {
    let subject = account.subject.as_ref().map(|(_, subject)| subject.as_str());
    html! {
        section.card {
            h2 { (viewer.say("認証基盤", "Identity provider")) " " (provider) }
            form.inline method="post" action={ "/staff/" (account.staff.id) "/link" } {
                (ui::csrf(viewer))
                label {
                    (viewer.say("識別子(sub)。空にすると解除します", "Subject (sub); empty unties"))
                    input name="subject" maxlength="255" value=(subject.unwrap_or_default())
                        autocomplete="off" spellcheck="false";
                }
                button type="submit" { (viewer.say("結び付ける", "Tie")) }
            }
        }
    }
}

fn id_of(text: &str) -> Result<StaffId, Fault> {
    text.parse().map_err(|_| Fault::NotFound)
}

async fn change(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form }: Posted<Filled>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let before = managing(&desk, &viewer).one(id_of(&id)?).await?;
    let staff = form.read(before.id, before.login.clone(), Some(&before))?;
    let entry = about(&viewer, "staff.changed", &staff);
    managing(&desk, &viewer).change(viewer.now, &staff, &entry).await.map_err(explain)?;
    Ok(done(&format!("/staff/{}", staff.id), viewer.say("保存しました", "Saved")))
}

async fn reset_password(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Path(id): Path<String>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let managing = managing(&desk, &viewer);
    let staff = managing.one(id_of(&id)?).await?;
    let (password, hash) = one_time(&door.gate).await?;
    let entry = about(&viewer, "password.reset", &staff);
    managing.reset_password(viewer.now, staff.id, &hash, &entry).await.map_err(explain)?;
    Ok((StatusCode::OK, password_page(&viewer, &staff, &password)).into_response())
}

async fn reset_second_factor(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let managing = managing(&desk, &viewer);
    let staff = managing.one(id_of(&id)?).await?;
    let entry = about(&viewer, "second_factor.reset", &staff);
    managing.reset_second_factor(viewer.now, staff.id, &entry).await.map_err(explain)?;
    let text = viewer.say(
        "二段階認証を外しました。次のログインで設定します",
        "The second factor is set up again at the next sign-in",
    );
    Ok(done(&format!("/staff/{}", staff.id), text))
}

async fn end_sessions(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let managing = managing(&desk, &viewer);
    let staff = managing.one(id_of(&id)?).await?;
    let entry = about(&viewer, "session.others_ended", &staff);
    managing.end_sessions(viewer.now, staff.id, &entry).await?;
    let text = viewer.say("ログアウトさせました", "Signed out everywhere");
    Ok(done(&format!("/staff/{}", staff.id), text))
}

#[derive(Deserialize)]
struct Link {
    subject: String,
}

async fn link(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Path(id): Path<String>,
    Posted { viewer, form: Link { subject } }: Posted<Link>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let provider = door.provider.as_ref().ok_or(Fault::NotFound)?;
    let managing = managing(&desk, &viewer);
    let staff = managing.one(id_of(&id)?).await?;
    let subject = Some(subject.trim()).filter(|subject| !subject.is_empty());
    let entry = AuditEntry {
        detail: if subject.is_some() { "tied" } else { "untied" }.to_owned(),
        ..about(&viewer, "staff.linked", &staff)
    };
    let tie = subject.map(|subject| (provider.issuer(), subject));
    managing.link_subject(viewer.now, staff.id, tie, &entry).await.map_err(explain)?;
    Ok(done(&format!("/staff/{}", staff.id), viewer.say("保存しました", "Saved")))
}

#[derive(Deserialize)]
struct NewClinic {
    center: String,
    code: String,
    name: String,
}

async fn add_clinic(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<NewClinic>,
) -> Result<Response, Fault> {
    viewer.must(Right::ManageStaff)?;
    let (code, name) = (form.code.trim(), form.name.trim());
    let is_code = |code: &str| {
        (1..=32).contains(&code.len())
            && code.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    if !is_code(code) || name.is_empty() {
        return Err(Fault::Invalid(Bilingual::fixed(
            "コード(半角の英数字)と名称を入力してください。",
            "A clinic has a code (letters and digits) and a name.",
        )));
    }
    let clinic = Clinic {
        id: desk.store.mint(viewer.now),
        health_center: form.center.parse().map_err(|_| Fault::NotFound)?,
        code: code.to_owned(),
        name: name.to_owned(),
    };
    let entry = AuditEntry {
        health_center: Some(clinic.health_center),
        object: clinic.id.to_string(),
        detail: clinic.code.clone(),
        ..viewer.audit("clinic.added")
    };
    managing(&desk, &viewer).add_clinic(viewer.now, &clinic, &entry).await.map_err(explain)?;
    Ok(done("/staff", viewer.say("医療機関を追加しました", "The clinic is added")))
}
