//! 回線: each trunk of each node, what to do when it fails, and how its last calls ended. Nothing of patients.

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
use crate::store::{LineCall, LineOutcome, NodeStatus, RegistrationWord, TrunkStatus, TrunkWord};
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
    let trunks = desk.store.trunk_statuses().await?;
    let outcomes = desk.store.line_outcomes(viewer.now - LATELY).await?;
    let calls = desk.store.last_calls(LISTED).await?;
    let say = |ja, en| viewer.say(ja, en);
    Ok(ui::page_with(
        &viewer,
        Section::Trunks,
        &TITLE,
        &["refresh.js"],
        &html! {
            (states(&viewer, &nodes, &trunks))
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
    let nodes = desk.store.node_statuses().await?;
    Ok(states(&viewer, &nodes, &desk.store.trunk_statuses().await?))
}

fn states(viewer: &Viewer, nodes: &[NodeStatus], trunks: &[TrunkStatus]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    // What a node that is gone said of its lines is of no use.
    let trunks: Vec<&TrunkStatus> = trunks
        .iter()
        .filter(|trunk| nodes.iter().any(|node| node.node == trunk.node && node.at <= trunk.at))
        .collect();
    html! {
        section #state data-refresh="/trunks/state" data-every="10" {
            h2 { (say("回線ごとの状態", "State of each trunk")) }
            @if trunks.is_empty() {
                (ui::empty(say("回線の状態はまだわかりません。", "No trunk has been heard of yet.")))
            } @else {
                (trunks_of(viewer, &trunks))
                @for trunk in &trunks {
                    @if let Some(remedy) = remedy(trunk, viewer.now) {
                        p.notice.act role="status" {
                            (ui::icon(Icon::Alert))
                            span { strong { (trunk.node) " · " (trunk.trunk) } " — " (viewer.tell(&remedy)) }
                        }
                    }
                }
            }
            h2 { (say("ノード", "Nodes")) }
            @if nodes.is_empty() {
                (ui::empty(say("架電するノードがまだありません。", "No node that places calls has spoken yet.")))
            } @else { (nodes_of(viewer, nodes)) }
        }
    }
}

fn trunks_of(viewer: &Viewer, trunks: &[&TrunkStatus]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { (say("ノード", "Node")) }
                th scope="col" { (say("回線", "Trunk")) }
                th scope="col" { (say("状態", "State")) }
                th scope="col" { (say("登録", "Registration")) }
                th.number scope="col" { (say("使用中 / 回線数", "In use / lines")) }
                th scope="col" { (say("最後のエラー", "Last error")) }
                th scope="col" { (say("最終確認", "Seen")) }
            } }
            tbody { @for trunk in trunks { tr {
                th scope="row" { (trunk.node) }
                th scope="row" {
                    (trunk.trunk)
                    @if let Some(group) = &trunk.group {
                        div.small.muted { (say("グループ ", "group ")) (group) }
                    }
                }
                td {
                    (word(viewer, trunk.at, trunk.state))
                    div.small.muted { (day_and_clock(trunk.since)) (say(" から", " since")) }
                }
                td { (viewer.tell(&registration(trunk.registration))) }
                td.number { (trunk.lines_in_use) " / " (trunk.lines_limit) }
                td {
                    @match &trunk.last_error {
                        None => span.muted { (say("なし", "none")) },
                        Some((error, at)) => {
                            (error) div.small.muted { (day_and_clock(*at)) }
                        }
                    }
                }
                td.nowrap { (clock(trunk.at)) }
            } } }
        } }
    }
}

fn nodes_of(viewer: &Viewer, nodes: &[NodeStatus]) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    html! {
        div.scroll { table {
            thead { tr {
                th scope="col" { (say("ノード", "Node")) }
                th scope="col" { (say("発信", "Calls")) }
                th.number scope="col" { (say("使用中 / 上限", "In use / limit")) }
                th.number scope="col" { (say("毎分の上限", "Calls a minute")) }
                th scope="col" { (say("音声", "Prompts")) }
                th scope="col" { (say("いまのエラー", "Error now")) }
                th scope="col" { (say("最終確認", "Seen")) }
            } }
            tbody { @for node in nodes { tr {
                th scope="row" { (node.node) }
                td { (word(viewer, node.at, node.trunk)) }
                td.number { (node.lines_in_use) " / " (node.lines_limit) }
                td.number { (node.calls_per_minute) }
                td {
                    @if node.prompts_complete { (say("揃っています", "complete")) }
                    @else { (ui::badge("badge act", Icon::Alert, say("不足", "Missing"))) }
                }
                td { @if node.last_error.is_empty() { span.muted { (say("なし", "none")) } } @else { (node.last_error) } }
                td.nowrap { (clock(node.at)) }
            } } }
        } }
    }
}

fn word(viewer: &Viewer, at: Timestamp, state: TrunkWord) -> Markup {
    let say = |ja, en| viewer.say(ja, en);
    if at + SILENCE < viewer.now {
        return ui::badge("badge act", Icon::Alert, say("応答なし", "Silent"));
    }
    match state {
        TrunkWord::Ready => ui::badge("badge good", Icon::Check, say("発信できます", "Ready")),
        TrunkWord::Registering => ui::badge("badge", Icon::Clock, say("登録中", "Registering")),
        TrunkWord::Failed => ui::badge("badge act", Icon::Alert, say("発信できません", "Failed")),
    }
}

/// Whether the carrier knows us, in words.
pub(super) fn registration(word: RegistrationWord) -> Bilingual {
    match word {
        RegistrationWord::None => Bilingual::fixed("登録なし(アドレスで識別)", "none (by address)"),
        RegistrationWord::Registering => Bilingual::fixed("登録中", "registering"),
        RegistrationWord::Registered => Bilingual::fixed("登録済み", "registered"),
        RegistrationWord::Refused => Bilingual::fixed("拒否されました", "refused"),
        RegistrationWord::Lost => Bilingual::fixed("登録できていません", "not registered"),
    }
}

/// What to do about a trunk that places no calls; `None` if it does, or is about to.
fn remedy(trunk: &TrunkStatus, now: Timestamp) -> Option<Bilingual> {
    if trunk.at + SILENCE < now {
        return Some(Bilingual::fixed(
            "このノードから1分以上連絡がありません。サーバーの電源・ネットワークと、サービスが動いているか(ログ)を             確認してください。他のノードの架電は続きます。",
            "This node has said nothing for more than a minute. Look at the power and the network of the server, and              at the log of the service. Other nodes go on calling.",
        ));
    }
    match (trunk.state, trunk.registration) {
        (TrunkWord::Ready | TrunkWord::Registering, _) => None,
        (TrunkWord::Failed, RegistrationWord::Refused) => Some(Bilingual::fixed(
            "電話会社が登録を拒否しています。401・403・407 ならユーザー名とパスワード(設定の [trunk])を、             ほかの番号なら契約の状態を電話会社に確認してください。直したらサービスを再起動します。",
            "The carrier refuses to register us. 401, 403 and 407 mean the user or the password ([trunk] in the              configuration); for other numbers ask the carrier about the contract. Restart the service once it is              mended.",
        )),
        (TrunkWord::Failed, _) => Some(Bilingual::fixed(
            "電話会社のサーバーと通信できません。回線の終端装置(HGW)・ルーター・ファイアウォール(SIP の UDP)と、             電話会社の障害情報を確認してください。つながれば自動で再開します。長引くときは、             急ぐ方に職員が電話してください。",
            "The server of the carrier does not answer. Look at the gateway, the router, the firewall (UDP of SIP)              and the carrier's notices. Calls go on by themselves once it answers. If it lasts, have staff call              those who cannot wait.",
        )),
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

fn day_and_clock(at: Timestamp) -> String {
    civil(at).strftime("%m/%d %H:%M").to_string()
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
