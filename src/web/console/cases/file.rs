//! One case: its facts and lines, how to reach the patient, and what can be done.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::base::id::CaseId;
use crate::escalation::case::FactSource;
use crate::escalation::{Deed, EventKind, Holder, Outcome, Refusal, Standing};
use crate::ivr::Answer;
use crate::registry::Right;
use crate::store::{CaseEvent, CaseFile, Handled};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::cases::card;
use crate::web::console::value;
use crate::web::console::words::{self, pick};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

pub(super) async fn page(
    viewer: Viewer,
    State(desk): State<Desk>,
    Path(case): Path<String>,
) -> Result<Markup, Fault> {
    show(&viewer, &desk, id(&case)?, None).await
}

fn id(text: &str) -> Result<CaseId, Fault> {
    text.parse().map_err(|_| Fault::NotFound)
}

/// What the forms of the page send; each deed takes what it needs.
#[derive(Debug, Deserialize)]
pub(super) struct Form {
    #[serde(default)]
    text: String,
    /// A moment of the wall clock: `2026-11-23T14:00`.
    #[serde(default)]
    due: String,
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    seq: String,
}

pub(super) async fn deed(
    State(desk): State<Desk>,
    Path((case, deed)): Path<(String, String)>,
    Posted { viewer, form }: Posted<Form>,
) -> Result<Response, Fault> {
    viewer.must(Right::HandleCases)?;
    let case = id(&case)?;
    let deed = meant(&deed, &form)?;
    let within = desk.store.within(viewer.scope()?);
    let back = format!("/cases/{case}");
    match within.handle_case(viewer.now, &viewer.staff, case, &deed).await? {
        Handled::Done(_) => Ok(done(&back, viewer.tell(&told(&deed)))),
        Handled::Refused(refusal, holder) => {
            let holder = holder.map(|name| name.expose().clone()).unwrap_or_default();
            let text = refused(refusal, &holder);
            let status = match refusal {
                Refusal::NoText | Refusal::DueInPast => StatusCode::UNPROCESSABLE_ENTITY,
                Refusal::Held(_) | Refusal::NotHeld | Refusal::Closed => StatusCode::CONFLICT,
            };
            Ok((status, show(&viewer, &desk, case, Some(&text)).await?).into_response())
        }
    }
}

/// The deed that a form means.
fn meant(deed: &str, form: &Form) -> Result<Deed, Fault> {
    let text = form.text.trim().to_owned();
    Ok(match deed {
        "claim" => Deed::Claim,
        "take-over" => Deed::TakeOver,
        "release" => Deed::Release,
        "hand-over" => Deed::HandOver(text),
        "call" => Deed::Call,
        "note" => Deed::Note(text),
        "promise" => {
            let due: DateTime = form.due.parse().map_err(|_| {
                Fault::Invalid(Bilingual::fixed(
                    "約束の日時を入力してください。",
                    "Please say when the promise is due.",
                ))
            })?;
            Deed::Promise(text, timestamp(due))
        }
        "keep" => Deed::Keep(form.seq.parse().map_err(|_| Fault::NotFound)?),
        "resolve" => {
            let outcome = Outcome::parse(&form.outcome).ok_or_else(|| {
                Fault::Invalid(Bilingual::fixed(
                    "結果を選んでください。",
                    "Please choose what came of it.",
                ))
            })?;
            Deed::Resolve(outcome, text)
        }
        "false-alarm" => Deed::Resolve(Outcome::FalseAlarm, text),
        _ => return Err(Fault::NotFound),
    })
}

/// What the next page says was done.
fn told(deed: &Deed) -> Bilingual {
    match deed {
        Deed::Claim => Bilingual::fixed("担当になりました。", "You have taken the case."),
        Deed::TakeOver => {
            Bilingual::fixed("担当を引き取りました。", "You have taken the case over.")
        }
        Deed::Release => Bilingual::fixed("担当をはずれました。", "You have let the case go."),
        Deed::HandOver(_) => Bilingual::fixed("引継ぎにしました。", "It is handed over."),
        Deed::Call => Bilingual::fixed("電話を記録しました。", "The call is on record."),
        Deed::Note(_) => Bilingual::fixed("メモを記録しました。", "The note is on record."),
        Deed::Promise(..) => Bilingual::fixed("約束を記録しました。", "The promise is on record."),
        Deed::Keep(_) => Bilingual::fixed("約束を果たしました。", "The promise is kept."),
        Deed::Resolve(Outcome::FalseAlarm, _) => {
            Bilingual::fixed("誤報として終了しました。", "Closed as a false alarm.")
        }
        Deed::Resolve(..) => Bilingual::fixed("対応済にしました。", "The case is closed."),
    }
}

/// Why it was not done, naming whoever holds the case.
fn refused(refusal: Refusal, holder: &str) -> Bilingual {
    let clock = |at: Timestamp| civil(at).strftime("%H:%M").to_string();
    match refusal {
        Refusal::Held(Holder::Staff(claim)) => Bilingual::composed(
            format!("{holder} が {} から担当しています。", clock(claim.since)),
            format!("{holder} has worked on it since {}.", clock(claim.since)),
        ),
        Refusal::Held(Holder::CommandLine) => Bilingual::composed(
            format!("{holder} が担当しています。"),
            format!("{holder} works on it."),
        ),
        Refusal::NotHeld => {
            Bilingual::fixed("このケースの担当ではありません。", "You do not hold this case.")
        }
        Refusal::Closed => Bilingual::fixed("このケースは終了しています。", "This case is closed."),
        Refusal::NoText => {
            Bilingual::fixed("内容を入力してください。", "Please write a word about it.")
        }
        Refusal::DueInPast => Bilingual::fixed(
            "約束の日時には、これからの時刻を入力してください。",
            "A promise is due in the future.",
        ),
    }
}

async fn show(
    viewer: &Viewer,
    desk: &Desk,
    case: CaseId,
    alert: Option<&Bilingual>,
) -> Result<Markup, Fault> {
    viewer.must(Right::HandleCases)?;
    let file = desk.store.within(viewer.scope()?).case_file(viewer.now, case).await?;
    let mut entry = viewer.audit("case.viewed");
    entry.patient = Some(file.card.view.patient.id);
    entry.object = case.to_string();
    desk.store.audit(viewer.now, &entry).await?;
    let title = Bilingual::composed(
        format!("対応: {}", file.card.view.patient.name.expose()),
        format!("Case: {}", file.card.view.patient.name.expose()),
    );
    let body = html! {
        @if let Some(text) = alert {
            p.notice.act role="alert" { (ui::icon(Icon::Alert)) (viewer.tell(text)) }
        }
        (head(viewer, &file))
        div.case-page {
            div {
                (facts(viewer, &file))
                (lines(viewer, &file))
            }
            div {
                (contact(viewer, &file))
                (deeds(viewer, &file))
            }
        }
    };
    Ok(ui::page_with(viewer, Section::Cases, &title, &["cases.js"], &body))
}

/// Two identifiers, always.
fn head(viewer: &Viewer, file: &CaseFile) -> Markup {
    let patient = &file.card.view.patient;
    html! {
        div.card {
            div.row {
                (ui::priority(viewer, file.card.view.case.priority))
                (card::timer(viewer, &file.card))
                (card::standing(viewer, &file.card))
            }
            p {
                strong { (patient.name.expose()) } " " (patient.kana.expose())
                " · " (viewer.say("生年月日", "born")) " " (patient.birth_date.expose())
                " (" (patient.age(civil(viewer.now).date())) (viewer.say("歳", "")) ")"
                " · " (viewer.say("管理番号", "No.")) " " (patient.registration_number)
                " · " a href={ "/patients/" (patient.id) } { (viewer.say("経過を見る", "Timeline")) }
            }
            p.what {
                (card::sentence(
                    viewer.staff.language, &file.card.view.case.facts, &file.card.recent, viewer.now,
                ))
            }
            div.row.no-print { (card::play(viewer, &file.card)) }
            @if let Some((by, at, reason)) = &file.card.view.resolved {
                p {
                    (viewer.say("終了", "Closed")) ": " (civil(*at).strftime("%m/%d %H:%M")) " "
                    (by) " — " (reason)
                }
            }
        }
    }
}

fn facts(viewer: &Viewer, file: &CaseFile) -> Markup {
    html! {
        h2 { (viewer.say("所見", "Findings")) }
        div.scroll {
            table {
                thead { tr {
                    th scope="col" { (viewer.say("時刻", "Time")) }
                    th scope="col" { (viewer.say("優先", "Priority")) }
                    th scope="col" { (viewer.say("内容", "Finding")) }
                    th scope="col" { (viewer.say("ルール", "Rule")) }
                    th scope="col" { (viewer.say("もと", "Source")) }
                } }
                tbody {
                    @for fact in &file.card.view.case.facts {
                        tr {
                            td.nowrap { (civil(fact.at).strftime("%m/%d %H:%M")) }
                            td { (ui::priority(viewer, fact.priority)) }
                            td { (fact.text) }
                            td.small { (fact.rule) " " span.muted { (fact.rule_set) } }
                            td {
                                @match fact.source {
                                    FactSource::Answer(attempt, seq) => {
                                        a href={ "/calls/" (attempt) "#answer-" (seq) } {
                                            (viewer.say("通話", "Call"))
                                        }
                                    }
                                    FactSource::Attempt(attempt) => {
                                        a href={ "/calls/" (attempt) } { (viewer.say("架電", "Call")) }
                                    }
                                    FactSource::Slot(_) => (viewer.say("1日の架電", "Calls of the day")),
                                    FactSource::Observation(_) => (viewer.say("報告", "Report")),
                                    FactSource::Welfare(_) => {
                                        a href="/welfare" { (viewer.say("安否確認", "Welfare check")) }
                                    }
                                    FactSource::Silence(..) => (viewer.say("無報告", "Silence")),
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn lines(viewer: &Viewer, file: &CaseFile) -> Markup {
    let kept = |seq| file.events.iter().any(|event| event.of == Some(seq));
    html! {
        h2 { (viewer.say("経過", "What happened")) }
        ol.lines {
            @for event in &file.events {
                li {
                    time datetime=(event.at) { (civil(event.at).strftime("%m/%d %H:%M")) }
                    " " strong { (viewer.tell(&event.kind.name())) }
                    @if let Some((_, name)) = &event.by { " · " (name.expose()) }
                    @let text = text_of(viewer, event);
                    @if !text.is_empty() { p { (text) } }
                    @if let Some(due) = event.due_at {
                        p.row {
                            (ui::icon(Icon::Clock))
                            (viewer.say("期限", "due")) " " (civil(due).strftime("%m/%d %H:%M"))
                            @if kept(event.seq) {
                                (ui::badge("badge good", Icon::Check, viewer.say("済", "kept")))
                            } @else if !is_closed(file) {
                                @if due <= viewer.now {
                                    strong.red { (viewer.say("期限を過ぎています", "overdue")) }
                                }
                                form method="post" action={ "/cases/" (file.card.view.case.id) "/keep" } {
                                    (ui::csrf(viewer))
                                    input type="hidden" name="seq" value=(event.seq);
                                    button type="submit" { (viewer.say("済みにする", "Kept")) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

fn is_closed(file: &CaseFile) -> bool {
    matches!(file.card.standing, Standing::Resolved(_))
}

/// The text of a line; the answers of a good report in words.
pub(in crate::web::console) fn text_of(viewer: &Viewer, event: &CaseEvent) -> String {
    if event.kind != EventKind::Reported {
        return event.text.clone();
    }
    let language = viewer.staff.language;
    let words = event.text.split(' ').filter_map(|pair| {
        let (code, value) = pair.split_once('=')?;
        let value = value::words(language, code, Answer::parse(value)?);
        Some(format!("{} {value}", words::question(code, language)))
    });
    words.collect::<Vec<_>>().join(pick(language, "、", ", "))
}

/// Whom to ring, in order.
fn contact(viewer: &Viewer, file: &CaseFile) -> Markup {
    let patient = &file.card.view.patient;
    let case = file.card.view.case.id;
    html! {
        div.card {
            h2 { (viewer.say("連絡先(架ける順)", "Telephones, in order")) }
            ol {
                @for phone in &patient.phones {
                    li {
                        a href={ "tel:" (phone.number.e164()) } data-called={ "/cases/" (case) "/call" }
                            data-csrf=(viewer.csrf.expose()) { (phone.number.national()) }
                        " " (card::role(viewer, phone.role))
                    }
                }
            }
            @if patient.lives_alone { p { (viewer.say("独居", "Lives alone")) } }
            @if !is_closed(file) {
                form method="post" action={ "/cases/" (case) "/call" } {
                    (ui::csrf(viewer))
                    button type="submit" {
                        (ui::icon(Icon::Phone)) (viewer.say("電話したことを記録", "Write down that I rang"))
                    }
                }
            }
        }
    }
}

fn deeds(viewer: &Viewer, file: &CaseFile) -> Markup {
    let case = file.card.view.case.id;
    let action = |deed: &str| format!("/cases/{case}/{deed}");
    let standing = file.card.standing.seen_at(viewer.now);
    if is_closed(file) {
        return html! {};
    }
    let mine = file.card.standing.is_held_by(viewer.staff.id);
    let other = matches!(standing, Standing::InHand(_)) && !mine;
    let holder = file.card.holder.as_ref().map(|name| name.expose().as_str()).unwrap_or_default();
    html! {
        section.card aria-labelledby="deeds" {
            h2 #deeds { (viewer.say("対応", "What to do")) }
            @if other {
                details {
                    summary.button { (viewer.say("担当を引き取る", "Take over")) }
                    form.stack method="post" action=(action("take-over")) {
                        (ui::csrf(viewer))
                        p {
                            (holder) " "
                            (viewer.say(
                                "が担当しています。引き取ったことは記録に残ります。",
                                "works on it. That you take it over stays on record.",
                            ))
                        }
                        label.inline {
                            input type="checkbox" required;
                            (viewer.say("担当者に確認した、または連絡がつかない", "I asked them, or they cannot be reached"))
                        }
                        button.danger type="submit" { (viewer.say("引き取る", "Take over")) }
                    }
                }
            } @else if mine {
                form method="post" action=(action("release")) {
                    (ui::csrf(viewer))
                    button type="submit" { (viewer.say("担当をはずれる", "Let it go")) }
                }
            } @else {
                form method="post" action=(action("claim")) {
                    (ui::csrf(viewer))
                    button.primary type="submit" {
                        (ui::icon(Icon::Person)) (viewer.say("担当になる", "Take the case"))
                    }
                }
            }
            form.stack method="post" action=(action("note")) {
                (ui::csrf(viewer))
                label { (viewer.say("メモ", "Note")) textarea name="text" rows="2" required {} }
                button type="submit" { (viewer.say("メモを記録", "Write down")) }
            }
            form.stack method="post" action=(action("promise")) {
                (ui::csrf(viewer))
                label {
                    (viewer.say("約束", "Promise"))
                    input name="text" required placeholder=(viewer.say("14時に再電話", "ring again at 14:00"));
                }
                label {
                    (viewer.say("いつまでに", "Due"))
                    input type="datetime-local" name="due" required
                        value=(civil(viewer.now.saturating_add(1.hour()).unwrap_or(viewer.now)).strftime("%Y-%m-%dT%H:00"));
                }
                button type="submit" { (viewer.say("約束を記録", "Promise")) }
            }
            @if !other {
                form.stack method="post" action=(action("resolve")) {
                    (ui::csrf(viewer))
                    fieldset.outcomes {
                        legend { (viewer.say("結果(必須)", "What came of it (required)")) }
                        @for outcome in Outcome::ALL.into_iter().filter(|one| *one != Outcome::FalseAlarm) {
                            label.inline {
                                input type="radio" name="outcome" value=(outcome.as_str()) required;
                                (viewer.tell(&outcome.name()))
                            }
                        }
                    }
                    label {
                        (viewer.say("対応の内容(必須)", "What was done (required)"))
                        textarea name="text" rows="3" required {}
                    }
                    button.primary type="submit" {
                        (ui::icon(Icon::Check)) (viewer.say("対応済にする", "Close the case"))
                    }
                }
                details {
                    summary { (viewer.say("誤報として終了", "Close as a false alarm")) }
                    form.stack method="post" action=(action("false-alarm")) {
                        (ui::csrf(viewer))
                        label {
                            (viewer.say("理由(必須。ルールの見直しに使います)", "Why (required; it is used to tune the rules)"))
                            textarea name="text" rows="2" required {}
                        }
                        button type="submit" { (viewer.say("誤報にする", "It was a false alarm")) }
                    }
                }
                details {
                    summary { (viewer.say("次の勤務に引き継ぐ", "Hand over to the next shift")) }
                    form.stack method="post" action=(action("hand-over")) {
                        (ui::csrf(viewer))
                        label {
                            (viewer.say("引き継ぐこと(必須)", "What they have to know (required)"))
                            textarea name="text" rows="2" required {}
                        }
                        button type="submit" { (viewer.say("引継ぎにする", "Hand over")) }
                    }
                }
            }
        }
    }
}
