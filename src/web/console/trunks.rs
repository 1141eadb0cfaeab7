//! 回線: each node's line to the carrier, and how its last calls ended. Nothing of patients.

use std::time::Duration;

use axum::Router;
use axum::extract::{Path, State};
use axum::routing::get;
use jiff::Timestamp;
use maud::{Markup, html};

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::AttemptId;
use crate::call::Disposition;
use crate::registry::{AuditEntry, Right};
use crate::store::{LineCall, LineOutcome, NodeStatus, TrunkWord};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

const TITLE: Bilingual = Bilingual::fixed("回線", "Trunks");

/// Outcomes of the last hours are shown.
const LATELY: Duration = Duration::from_hours(4);

/// Calls that are listed.
const LISTED: u32 = 100;

/// A node that says nothing for so long is gone: it speaks every ten seconds.
const SILENCE: Duration = Duration::from_mins(1);

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/trunks", get(trunks))
        .route("/trunks/state", get(state))
        .route("/trunks/calls/{attempt}", get(ladder))
}

async fn trunks(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::SeeTrunks)?;
    let nodes = desk.store.node_statuses().await?;
    let outcomes = desk.store.line_outcomes(viewer.now - LATELY).await?;
    let calls = desk.store.last_calls(LISTED).await?;
    let say = |ja, en| viewer.say(ja, en);
    Ok(ui::page_with(
        &viewer,
        Section::Trunks,
        &TITLE,
        &["refresh.js"],
        &html! {
            (states(&viewer, &nodes))
            h2 { (say("直近4時間の結果", "How calls ended in the last four hours")) }
            (outcomes_of(&viewer, &outcomes))
            h2 { (say("最近の通話", "Last calls")) }
            (calls_of(&viewer, &calls))
        },
    ))
}

/// The part of the page that is looked at again and again.
async fn state(State(desk): State<Desk>, viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::SeeTrunks)?;
    Ok(states(&viewer, &desk.store.node_statuses().await?))
}

fn states(viewer: &Viewer, nodes: &[NodeStatus]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        section #state data-refresh="/trunks/state" data-every="10" {
            @if nodes.is_empty() {
                (ui::empty(say("架電するノードがまだありません。", "No node that places calls has spoken yet.")))
            } @else { div.scroll { table {
                thead { tr {
                    th scope="col" { (say("ノード", "Node")) }
                    th scope="col" { (say("回線", "Trunk")) }
                    th.number scope="col" { (say("使用中 / 上限", "In use / limit")) }
                    th.number scope="col" { (say("毎分の上限", "Calls a minute")) }
                    th scope="col" { (say("最後のエラー", "Last error")) }
                    th scope="col" { (say("最終確認", "Seen")) }
                } }
                tbody { @for node in nodes { tr {
                    th scope="row" { (node.node) }
                    td { (word(viewer, node)) }
                    td.number { (node.lines_in_use) " / " (node.lines_limit) }
                    td.number { (node.calls_per_minute) }
                    td { @if node.last_error.is_empty() { span.muted { (say("なし", "none")) } } @else { (node.last_error) } }
                    td.nowrap { (clock(node.at)) }
                } } }
            } } }
        }
    }
}

fn word(viewer: &Viewer, node: &NodeStatus) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    if node.at + SILENCE < viewer.now {
        return ui::badge("badge act", Icon::Alert, say("応答なし", "Silent"));
    }
    match node.trunk {
        TrunkWord::Ready => ui::badge("badge good", Icon::Check, say("発信できます", "Ready")),
        TrunkWord::Registering => ui::badge("badge", Icon::Clock, say("登録中", "Registering")),
        TrunkWord::Failed => ui::badge("badge act", Icon::Alert, say("発信できません", "Failed")),
    }
}

fn outcomes_of(viewer: &Viewer, outcomes: &[LineOutcome]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let total: u32 = outcomes.iter().map(|one| one.calls).sum();
    html! {
        @if outcomes.is_empty() { (ui::empty(say("通話はありません。", "No calls."))) }
        @else { div.scroll { table {
            thead { tr {
                th scope="col" { (say("ノード", "Node")) }
                th scope="col" { (say("結果", "Outcome")) }
                th.number scope="col" { (say("件数", "Calls")) }
                th scope="col" { span.visually-hidden { (say("割合", "Share")) } }
            } }
            tbody { @for one in outcomes { tr {
                th scope="row" { (one.node) }
                td { (disposition(viewer, Some(one.disposition))) }
                td.number { (one.calls) }
                td { meter min="0" max=(total.max(1)) value=(one.calls) aria-label=(one.disposition.as_str()) { (one.calls) } }
            } } }
        } } }
    }
}

/// The word of an engineer for the end of a call.
fn disposition(viewer: &Viewer, disposition: Option<Disposition>) -> Markup {
    let Some(disposition) = disposition else {
        return html! { (viewer.say("通話中", "under way")) };
    };
    let is_ours = matches!(
        disposition,
        Disposition::Congestion | Disposition::TrunkError | Disposition::Interrupted
    );
    html! {
        code { (disposition.as_str()) }
        @if is_ours { " " (ui::badge("badge caution", Icon::Caution, viewer.say("回線側", "line"))) }
    }
}

fn calls_of(viewer: &Viewer, calls: &[LineCall]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    let after = |from: Timestamp, to: Option<Timestamp>| {
        to.map(|to| format!("+{:.1}", to.duration_since(from).as_secs_f64())).unwrap_or_default()
    };
    html! {
        @if calls.is_empty() { (ui::empty(say("通話はありません。", "No calls."))) }
        @else { div.scroll tabindex="0" { table {
            thead { tr {
                th scope="col" { (say("発信", "Dialled")) }
                th scope="col" { (say("ノード", "Node")) }
                th.number scope="col" { (say("呼出 (秒)", "Rang (s)")) }
                th.number scope="col" { (say("応答 (秒)", "Answered (s)")) }
                th.number scope="col" { (say("終了 (秒)", "Ended (s)")) }
                th scope="col" { (say("結果", "Outcome")) }
                th.number scope="col" { "SIP" }
                th scope="col" { (say("ラダー", "Ladder")) }
            } }
            tbody { @for call in calls { tr {
                th.nowrap scope="row" { (civil(call.dialed_at).strftime("%m/%d %H:%M:%S")) }
                td { (call.node) }
                td.number { (after(call.dialed_at, call.ringing_at)) }
                td.number { (after(call.dialed_at, call.answered_at)) }
                td.number { (after(call.dialed_at, call.ended_at)) }
                td { (disposition(viewer, call.disposition)) }
                td.number { @if let Some(code) = call.code { (code) } }
                td { @if call.has_ladder { a href={ "/trunks/calls/" (call.attempt) } { (say("見る", "Show")) } } }
            } } }
        } } }
    }
}

fn clock(at: Timestamp) -> String {
    civil(at).strftime("%H:%M:%S").to_string()
}

async fn ladder(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(attempt): Path<AttemptId>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeTrunks)?;
    let steps = desk.store.ladder(attempt).await?.ok_or(Fault::NotFound)?;
    let entry = AuditEntry { object: attempt.to_string(), ..viewer.audit("ladder.viewed") };
    desk.store.audit(viewer.now, &entry).await?;
    Ok(ui::page(
        &viewer,
        Section::Trunks,
        &TITLE,
        &html! {
            h2 { (viewer.say("ラダー", "Ladder")) " " code { (attempt) } }
            p.hint { (viewer.say(
                "送受信した信号の順序です(秒 · 向き · 状態 · メソッド)。番号や名前は含みません。──► は送信、◄── は受信。",
                "What was sent (──►) and received (◄──): seconds, status, method. No number and no name is in it.",
            )) }
            pre { (steps) }
            p { a href="/trunks" { (viewer.say("回線へ", "Trunks")) } }
        },
    ))
}
