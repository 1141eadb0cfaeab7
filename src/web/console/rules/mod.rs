//! 判定ルール: which answers a human must hear of, in plain words; a new version, tried on days that
//! are over and signed by a doctor before it is in force.

mod trial;
mod words;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::RuleSetId;
use crate::escalation::RuleSet;
use crate::escalation::edit::{Threshold, edited, thresholds};
use crate::escalation::rule::Rule;
use crate::registry::{AuditEntry, Right};
use crate::store::{MadeRules, RulesState, StoreError, Within};
use crate::web::Desk;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("判定ルール", "Rules");

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/rules", get(rules))
        .route("/rules/new", get(editor).post(draft))
        .route("/rules/{id}", get(one))
        .route("/rules/{id}/release", post(release))
        .route("/rules/{id}/withdraw", post(withdraw))
}

fn within<'a>(desk: &'a Desk, viewer: &Viewer, right: Right) -> Result<Within<'a>, Fault> {
    viewer.must(right)?;
    Ok(desk.store.within(viewer.scope()?))
}

/// The rules in force today: the centre's own, or those of the configuration.
async fn in_force(desk: &Desk, viewer: &Viewer) -> Result<RuleSet, Fault> {
    let today = civil(viewer.now).date();
    let center = viewer.scope()?.center;
    if let Some(own) = desk.store.rules_in_force(center, today).await? {
        return Ok(own);
    }
    desk.rules.effective_on(today).cloned().ok_or(Fault::NotFound)
}

async fn rules(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    let made = within(&desk, &viewer, Right::SeeHealth)?.rules_made().await?;
    let set = in_force(&desk, &viewer).await?;
    let own =
        made.iter().find(|one| one.state == RulesState::Released && one.set.version == set.version);
    let say = |ja, en| viewer.say(ja, en);
    Ok(ui::page(
        &viewer,
        Section::Rules,
        &TITLE,
        &html! {
            section.card {
                h2 { (say("いま有効なルール", "In force")) }
                dl.pairs {
                    dt { (say("版", "Version")) } dd { (set.version) }
                    dt { (say("適用開始", "From")) } dd { (set.effective_from) }
                    dt { (say("医師の確認", "Signed by a doctor")) }
                    dd {
                        @match own.and_then(|own| Some((&own.signed_by, own.signed_on?))) {
                            Some((doctor, day)) => { (doctor) " (" (day) ")" }
                            None => {
                                (ui::badge("badge caution", Icon::Caution, say("未記入", "not yet")))
                                " " (say("出荷時または設定ファイルのルールです。", "These are the shipped or configured rules."))
                            }
                        }
                    }
                }
                p.hint { (say(
                    "このルールは、職員に知らせるきっかけを決めるものです。医学的な判断に代わるものではありません。",
                    "These rules decide when staff are told. They are no medical judgement.",
                )) }
                @if viewer.may(Right::ChangeRules) {
                    p { a.button href="/rules/new" { (say("新しい版を作る", "Make a new version")) } }
                }
            }
            (table(&viewer, &set, None))
            section {
                h2 { (say("作成した版", "Versions made here")) }
                @if made.is_empty() { (ui::empty(say("まだありません。", "None yet."))) }
                @else { (versions(&viewer, &made, &set)) }
            }
        },
    ))
}

fn versions(viewer: &Viewer, made: &[MadeRules], set: &RuleSet) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (say("版", "Version")) }
                th scope="col" { (say("適用開始", "From")) }
                th scope="col" { (say("状態", "State")) }
                th scope="col" { (say("医師の確認", "Doctor")) }
                th scope="col" { (say("作成", "Made")) }
                th scope="col" { (say("決定", "Decided")) }
            } }
            tbody { @for one in made { tr {
                th scope="row" { a href={ "/rules/" (one.id) } { (one.set.version) } }
                td.nowrap { (one.set.effective_from) }
                td { (state(viewer, one, set.version == one.set.version)) }
                td { (one.signed_by) @if let Some(day) = one.signed_on { " " (day) } }
                td { (civil(one.created_at).strftime("%Y-%m-%d %H:%M")) " " (one.created_by) }
                td { @if let (Some(at), Some(by)) = (one.decided_at, &one.decided_by) {
                    (civil(at).strftime("%Y-%m-%d %H:%M")) " " (by)
                } }
            } } }
        } }
    }
}

fn state(viewer: &Viewer, made: &MadeRules, is_in_force: bool) -> Markup {
    let (class, icon, ja, en) = match made.state {
        RulesState::Draft => ("badge check", Icon::Note, "下書き", "Draft"),
        RulesState::Released if is_in_force => ("badge good", Icon::Check, "有効", "In force"),
        RulesState::Released => ("badge", Icon::Clock, "確定(期間外)", "Released"),
        RulesState::Withdrawn => ("badge muted", Icon::Pause, "取り下げ", "Withdrawn"),
    };
    ui::badge(class, icon, viewer.say(ja, en))
}

/// The rules in words; those that differ from another set are marked.
fn table(viewer: &Viewer, set: &RuleSet, other: Option<&RuleSet>) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let is_new = |rule: &Rule| {
        other.is_some_and(|other| {
            let old = other.rules.iter().find(|old| old.id == rule.id);
            old.is_none_or(|old| {
                old.condition != rule.condition
                    || old.priority != rule.priority
                    || old.lowering != rule.lowering
                    || old.raised_by != rule.raised_by
                    || old.only_for != rule.only_for
            })
        })
    };
    let gone: Vec<&str> = other
        .iter()
        .flat_map(|other| &other.rules)
        .filter(|old| set.rules.iter().all(|rule| rule.id != old.id))
        .map(|old| old.id.as_str())
        .collect();
    html! {
        div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (say("優先", "Priority")) }
                th scope="col" { (say("条件", "When")) }
                th scope="col" { (say("重み", "Weight")) }
                th scope="col" { (say("根拠", "Source")) }
                th scope="col" { "ID" }
            } }
            tbody { @for rule in &set.rules { tr {
                td { (ui::priority(viewer, rule.priority)) }
                td {
                    (viewer.tell(&words::condition(set, &rule.condition)))
                    @if is_new(rule) { " " (ui::badge("badge caution", Icon::Note, say("変更", "changed"))) }
                }
                td.small { @for one in words::weight(set, rule) { div { (viewer.tell(&one)) } } }
                td.small { (rule.source) }
                td { code { (rule.id) } }
            } } }
        } }
        @if !gone.is_empty() {
            p.notice.caution { (ui::icon(Icon::Caution)) (say("なくなるルール: ", "Rules that go: ")) (gone.join(", ")) }
        }
    }
}

async fn editor(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    within(&desk, &viewer, Right::ChangeRules)?;
    let set = in_force(&desk, &viewer).await?;
    let today = civil(viewer.now).date();
    let from = today.tomorrow().unwrap_or(today);
    Ok(edit_page(&viewer, &set.text, &from.to_string(), from, None))
}

fn edit_page(
    viewer: &Viewer,
    text: &str,
    version: &str,
    from: Date,
    fault: Option<&str>,
) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let set = RuleSet::parse("", text).ok();
    let found = thresholds(text);
    ui::page(
        viewer,
        Section::Rules,
        &TITLE,
        &html! {
            @if let Some(fault) = fault {
                div.notice.act role="alert" { (ui::icon(Icon::Alert)) (say("保存できません: ", "Not saved: ")) (fault) }
            }
            form.stack method="post" action="/rules/new" {
                (ui::csrf(viewer))
                (head_fields(viewer, version, from))
                fieldset {
                    legend { (say("数値を変える", "Numbers")) }
                    div.scroll { table {
                        thead { tr {
                            th scope="col" { (say("条件", "Rule")) }
                            th scope="col" { (say("項目", "Number")) }
                            th scope="col" { (say("値", "Value")) }
                        } }
                        tbody { @for (n, one) in found.iter().enumerate() { tr {
                            th scope="row" { (rule_name(viewer, set.as_ref(), &one.rule)) }
                            td { (viewer.tell(&key_words(one))) }
                            td { input name="number" value=(one.value) inputmode="decimal" required
                                aria-label=(format!("{} {} {}", n + 1, one.rule, one.key)); }
                        } } }
                    } }
                }
                input type="hidden" name="text" value=(text);
                button.primary type="submit" { (say("下書きを保存して試算する", "Save as a draft and try it")) }
            }
            details open[fault.is_some()] {
                summary { (say("全文を編集する(TOML)", "Edit the whole text (TOML)")) }
                form.stack method="post" action="/rules/new" {
                    (ui::csrf(viewer))
                    (head_fields(viewer, version, from))
                    label { (say("ルールの全文", "The text of the rules"))
                        textarea.code name="text" rows="40" spellcheck="false" wrap="off" { (text) }
                    }
                    button type="submit" { (say("下書きを保存して試算する", "Save as a draft and try it")) }
                }
            }
        },
    )
}

fn head_fields(viewer: &Viewer, version: &str, from: Date) -> Markup {
    html! {
        div.row {
            label { (viewer.say("版の名前", "Version"))
                input name="version" value=(version) required maxlength="40";
            }
            label { (viewer.say("適用開始日", "In force from"))
                input type="date" name="from" value=(from) required;
            }
        }
    }
}

fn rule_name(viewer: &Viewer, set: Option<&RuleSet>, id: &str) -> String {
    set.and_then(|set| {
        let rule = set.rules.iter().find(|rule| rule.id == id)?;
        Some(viewer.tell(&words::condition(set, &rule.condition)).to_owned())
    })
    .unwrap_or_else(|| id.to_owned())
}

fn key_words(one: &Threshold) -> Bilingual {
    let (ja, en) = match one.key.as_str() {
        "at_least" => ("以上", "or more"),
        "at_most" => ("以下", "or less"),
        "below" => ("未満", "below"),
        "days" => ("日数", "days"),
        "of_last" => ("直近の回数", "of the last"),
        "calls" => ("通話の回数", "calls"),
        other => (other, other),
    };
    if one.is_lowering {
        Bilingual::composed(format!("軽くする条件: {ja}"), format!("weighs less: {en}"))
    } else {
        Bilingual::composed(ja.to_owned(), en.to_owned())
    }
}

/// A new version as it was filled in.
#[derive(Debug, Deserialize)]
struct Draft {
    version: String,
    from: Date,
    text: String,
    #[serde(default)]
    number: Vec<String>,
}

async fn draft(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Draft>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangeRules)?;
    let version = form.version.trim();
    // A browser ends the lines of a text area with CR LF.
    let text = form.text.replace("\r\n", "\n");
    let text = edited(&text, version, form.from, &form.number);
    let again = |fault: &str| {
        let page = edit_page(&viewer, &text, version, form.from, Some(fault));
        Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
    };
    let is_plain = version.chars().all(|char| char.is_alphanumeric() || "-_.".contains(char));
    if version.is_empty() || !is_plain {
        return again(viewer.say(
            "版の名前は、文字・数字・ハイフンで入力してください。",
            "A version is made of letters, digits and hyphens.",
        ));
    }
    if form.from < civil(viewer.now).date() {
        return again(
            viewer.say(
                "適用開始日は今日以降にしてください。",
                "The first day cannot be over already.",
            ),
        );
    }
    let set = match RuleSet::parse("", &text) {
        Ok(set) => set,
        Err(fault) => {
            let place = match viewer.say("ja", "en") {
                "ja" => format!("{}行目: {}", fault.line, fault.problem.explanation().ja),
                _ => format!("line {}: {}", fault.line, fault.problem),
            };
            return again(&place);
        }
    };
    let is_taken = desk.rules.version(&set.version).is_some();
    let entry = AuditEntry { detail: set.version.clone(), ..viewer.audit("rules.drafted") };
    let taken = viewer.say("同じ名前の版があります。", "There is a version of this name.");
    if is_taken {
        return again(taken);
    }
    match within.add_rules(viewer.now, viewer.staff.id, &set, &entry).await {
        Ok(id) => Ok(Redirect::to(&format!("/rules/{id}?days=14")).into_response()),
        Err(StoreError::Conflict { .. }) => again(taken),
        Err(other) => Err(other.into()),
    }
}

/// How many days that are over the set is tried on.
#[derive(Debug, Default, Deserialize)]
struct Tried {
    days: Option<u16>,
}

async fn one(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<RuleSetId>,
    Query(tried): Query<Tried>,
) -> Result<Markup, Fault> {
    let within = within(&desk, &viewer, Right::SeeHealth)?;
    let made = within.rules(id).await?;
    let current = in_force(&desk, &viewer).await?;
    let trial = match tried.days.filter(|_| viewer.may(Right::ChangeRules)) {
        Some(days) => Some(trial::run(&desk, &viewer, within, &current, &made.set, days).await?),
        None => None,
    };
    let say = |ja, en| viewer.say(ja, en);
    let is_in_force = current.version == made.set.version;
    Ok(ui::page(
        &viewer,
        Section::Rules,
        &TITLE,
        &html! {
            section.card {
                h2 { (made.set.version) " " (state(&viewer, &made, is_in_force)) }
                dl.pairs {
                    dt { (say("適用開始", "From")) } dd { (made.set.effective_from) }
                    dt { (say("作成", "Made")) } dd { (civil(made.created_at).strftime("%Y-%m-%d %H:%M")) " " (made.created_by) }
                    @if let Some(day) = made.signed_on {
                        dt { (say("医師の確認", "Signed by")) } dd { (made.signed_by) " " (day) }
                    }
                    @if let (Some(at), Some(by)) = (made.decided_at, &made.decided_by) {
                        dt { (say("決定", "Decided")) } dd { (civil(at).strftime("%Y-%m-%d %H:%M")) " " (by) }
                    }
                }
            }
            @if viewer.may(Right::ChangeRules) {
                section.card {
                    h2 { (say("過去のデータで試算", "Tried on days that are over")) }
                    form.row method="get" action={ "/rules/" (made.id) } {
                        label { (say("日数", "Days"))
                            select name="days" {
                                @for days in [1, 3, 7, 14, 28] {
                                    option value=(days) selected[tried.days.unwrap_or(14) == days] { (days) }
                                }
                            }
                        }
                        button type="submit" { (say("試算する", "Try")) }
                    }
                    @if let Some(trial) = &trial { (trial) }
                }
                (decide(&viewer, &made))
            }
            h2 { (say("ルール", "Rules")) }
            (table(&viewer, &made.set, Some(&current)))
            details {
                summary { (say("全文(TOML)", "The text (TOML)")) }
                pre { code { (made.set.text) } }
            }
            p { a href="/rules" { (say("ルールの一覧へ", "All rules")) } }
        },
    ))
}

fn decide(viewer: &Viewer, made: &MadeRules) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let today = civil(viewer.now).date();
    html! {
        @if made.state == RulesState::Draft {
            section.card {
                h2 { (say("医師の確認と確定", "Signed by a doctor, and released")) }
                @if made.set.effective_from < today {
                    p { (say("適用開始日を過ぎています。新しい版を作ってください。", "Its first day is over: please make a new version.")) }
                } @else {
                    form.stack method="post" action={ "/rules/" (made.id) "/release" } {
                        (ui::csrf(viewer))
                        label { (say("確認した医師の氏名", "Name of the doctor"))
                            input name="doctor" required maxlength="60" autocomplete="off";
                        }
                        label { (say("確認した日", "Signed on"))
                            input type="date" name="day" value=(today) max=(today) required;
                        }
                        button.primary type="submit" data-confirm=(say("この版を確定しますか。", "Release this version?")) {
                            (made.set.effective_from) (say("から適用する", ": in force from this day"))
                        }
                    }
                }
            }
        }
        @if made.state != RulesState::Withdrawn {
            form method="post" action={ "/rules/" (made.id) "/withdraw" } {
                (ui::csrf(viewer))
                button.quiet type="submit" data-confirm=(say(
                    "この版を取り下げますか。ひとつ前のルールに戻ります。",
                    "Withdraw this version? The rules before it hold again.",
                )) { (say("この版を取り下げる", "Withdraw this version")) }
            }
        }
    }
}

/// Who signed, and when.
#[derive(Debug, Deserialize)]
struct Signature {
    doctor: String,
    day: Date,
}

async fn release(
    State(desk): State<Desk>,
    Path(id): Path<RuleSetId>,
    Posted { viewer, form }: Posted<Signature>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangeRules)?;
    let doctor = form.doctor.trim();
    if doctor.is_empty() || form.day > civil(viewer.now).date() {
        return Err(Fault::Invalid(Bilingual::fixed(
            "確認した医師の氏名と、確認した日(今日まで)を入力してください。",
            "Please enter the name of the doctor, and the day of the signature, not after today.",
        )));
    }
    let made = within.rules(id).await?;
    let entry = AuditEntry { detail: made.set.version, ..viewer.audit("rules.released") };
    match within.release_rules(viewer.now, id, viewer.staff.id, (doctor, form.day), &entry).await {
        Err(StoreError::Conflict { .. }) => Err(Fault::Conflict(Bilingual::fixed(
            "同じ日から適用する版がすでにあります。先に取り下げてください。",
            "Another version begins on the same day: please withdraw it first.",
        ))),
        other => {
            other?;
            Ok(done("/rules", viewer.say("ルールを確定しました。", "The rules are released.")))
        }
    }
}

async fn withdraw(
    State(desk): State<Desk>,
    Path(id): Path<RuleSetId>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangeRules)?;
    let made = within.rules(id).await?;
    let entry = AuditEntry { detail: made.set.version, ..viewer.audit("rules.withdrawn") };
    within.withdraw_rules(viewer.now, id, viewer.staff.id, &entry).await?;
    Ok(done("/rules", viewer.say("版を取り下げました。", "The version is withdrawn.")))
}
