//! 対応: the cases that need a human, in lanes, for all who look at once.
//!
//! The queue is read from the store once per centre (and clinic) however many look: what was read
//! stays until something about a case changes in this process, or until other processes may have
//! changed something.

mod card;
mod file;
mod handover;

pub(super) use file::text_of;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::http::header::{ETAG, IF_NONE_MATCH};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};
use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::escalation::Lane;
use crate::registry::audit::hex;
use crate::registry::{Reach, Right, Scope};
use crate::store::{
    Changes, Disturbances, NodeStatus, QueueCard, StoreError, Topic, TrunkStatus, TrunkWord,
};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

/// However little this process does, others may do something.
const STALE: Duration = Duration::from_secs(5);

/// A node that nobody has heard of for so long was taken out of service.
const RETIRED: Duration = Duration::from_hours(24);

/// What changes a queue.
const TOPICS: &[Topic] =
    &[Topic::Registry, Topic::Over, Topic::Observation, Topic::Case, Topic::Recording];

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/cases", get(page))
        .route("/cases/list", get(list))
        .route("/cases/{case}", get(file::page))
        .route("/cases/{case}/{deed}", post(file::deed))
        .route("/handover", get(handover::page))
        .layer(Extension(Arc::new(Board::default())))
}

/// What was read last, by whose patients they are.
#[derive(Default)]
pub(super) struct Board(Mutex<HashMap<Scope, Seen>>);

/// What one scope has seen.
struct Seen {
    at: Timestamp,
    changes: Changes,
    queue: Arc<Queue>,
}

/// The queue of a scope.
struct Queue {
    cards: Vec<QueueCard>,
    disturbances: Disturbances,
    nodes: Vec<NodeStatus>,
    trunks: Vec<TrunkStatus>,
}

impl Board {
    /// The queue as it is, or was a moment ago. Whoever comes while it is read waits for the same
    /// reading.
    async fn queue(
        &self,
        desk: &Desk,
        scope: Scope,
        now: Timestamp,
    ) -> Result<Arc<Queue>, StoreError> {
        let store = &desk.store;
        let mut seen = self.0.lock().await;
        if let Some(seen) = seen.get(&scope)
            && !seen.changes.has_changed()
            && seen.at.duration_until(now).unsigned_abs() < STALE
        {
            return Ok(Arc::clone(&seen.queue));
        }
        // Before it is read: what changes meanwhile is read the next time.
        let changes = store.changes(TOPICS);
        let within = store.within(scope);
        let campaigns_mute = desk.mute_campaigns(now, Reach::Center(scope.center)).await?;
        let disturbances = within.disturbances(now).await?;
        let queue = Arc::new(Queue {
            cards: within.case_queue(now).await?,
            disturbances: Disturbances { campaigns_mute, ..disturbances },
            nodes: store.node_statuses().await?,
            trunks: store.trunk_statuses().await?,
        });
        seen.insert(scope, Seen { at: now, changes, queue: Arc::clone(&queue) });
        Ok(queue)
    }
}

async fn page(
    viewer: Viewer,
    State(desk): State<Desk>,
    Extension(board): Extension<Arc<Board>>,
) -> Result<Markup, Fault> {
    if !viewer.may(Right::HandleCases) {
        return system_page(&viewer, &desk).await;
    }
    let queue = board.queue(&desk, viewer.scope()?, viewer.now).await?;
    let mut entry = viewer.audit("cases.viewed");
    entry.detail = format!("{} cases", queue.cards.len());
    desk.store.audit(viewer.now, &entry).await?;
    let title = Bilingual::fixed("対応が必要な方", "Cases that need a human");
    let body = html! {
        (cue(&viewer))
        p.visually-hidden #queue-news role="status" aria-live="polite" {}
        div #queue data-list="/cases/list" data-every="10000"
            data-news=(viewer.say("新しい緊急: {n}件", "New urgent cases: {n}")) {
            (lanes(&viewer, &queue))
        }
    };
    Ok(ui::page_with(&viewer, Section::Cases, &title, &["cases.js"], &body))
}

/// The lane システム by itself, for those who keep the lines up and see no patient.
async fn system_page(viewer: &Viewer, desk: &Desk) -> Result<Markup, Fault> {
    let queue = without_patients(viewer, desk).await?;
    desk.store.audit(viewer.now, &viewer.audit("system.viewed")).await?;
    let title = Bilingual::fixed("対応: システム", "Cases: the system");
    let body = html! {
        p.muted {
            (viewer.say(
                "架電と通知を妨げているものです。患者の情報は表示されません。",
                "What keeps calls and alarms from going out. No patient is shown.",
            ))
        }
        div data-refresh="/cases/list" data-every="10" { (system(viewer, &queue)) }
    };
    Ok(ui::page_with(viewer, Section::Cases, &title, &["refresh.js"], &body))
}

/// The queue without a single case.
async fn without_patients(viewer: &Viewer, desk: &Desk) -> Result<Queue, Fault> {
    viewer.must(Right::SeeTrunks)?;
    let campaigns_mute = desk.mute_campaigns(viewer.now, viewer.reach()).await?;
    let disturbances = desk.store.disturbances(viewer.now, viewer.reach()).await?;
    Ok(Queue {
        cards: Vec::new(),
        disturbances: Disturbances { campaigns_mute, ..disturbances },
        nodes: desk.store.node_statuses().await?,
        trunks: desk.store.trunk_statuses().await?,
    })
}

/// The lanes alone, for pages that are open; 304 if they are as they were.
async fn list(
    viewer: Viewer,
    State(desk): State<Desk>,
    Extension(board): Extension<Arc<Board>>,
    headers: HeaderMap,
) -> Result<Response, Fault> {
    if !viewer.may(Right::HandleCases) {
        let queue = without_patients(&viewer, &desk).await?;
        let part = html! {
            div data-refresh="/cases/list" data-every="10" { (system(&viewer, &queue)) }
        };
        return Ok(part.into_response());
    }
    let queue = board.queue(&desk, viewer.scope()?, viewer.now).await?;
    let lanes = lanes(&viewer, &queue);
    let etag = format!("\"{}\"", hex(&Sha256::digest(lanes.0.as_bytes())[..16]));
    let known = headers.get(IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    if known.is_some_and(|known| known.trim_start_matches("W/") == etag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, etag)]).into_response());
    }
    Ok(([(ETAG, etag)], lanes).into_response())
}

/// The cue for new urgent cases: off until somebody turns it on, and muted for a time only.
fn cue(viewer: &Viewer) -> Markup {
    html! {
        div.row.cue #cue hidden
            data-on=(viewer.say("緊急の音: 入", "Sound for urgent cases: on"))
            data-off=(viewer.say("緊急の音: 切", "Sound for urgent cases: off"))
            data-muted=(viewer.say("消音中 あと{n}分", "muted, {n} min left")) {
            button type="button" #cue-switch aria-pressed="false" {
                (ui::icon(Icon::Voice)) span #cue-state {}
            }
            button type="button" #cue-mute { (viewer.say("10分消音", "Mute for 10 min")) }
            span.muted.small #cue-note role="status" {}
        }
    }
}

fn lanes(viewer: &Viewer, queue: &Queue) -> Markup {
    let of = |lane| {
        queue
            .cards
            .iter()
            .filter(move |card| Lane::of(card.view.case.priority, &card.view.case.facts) == lane)
    };
    html! {
        (system(viewer, queue))
        div.lanes {
            @for lane in Lane::ALL {
                section.lane aria-labelledby={ "lane-" (card::lane_word(lane)) } {
                    h2 id={ "lane-" (card::lane_word(lane)) } {
                        (ui::icon(match lane {
                            Lane::Urgent => Icon::Alert,
                            Lane::Unreached => Icon::Phone,
                            Lane::Caution => Icon::Caution,
                        }))
                        " " (viewer.tell(&lane.name()))
                        " " span.chip { (of(lane).count()) }
                    }
                    @for card in of(lane) { (card::card(viewer, card)) }
                    @if of(lane).next().is_none() {
                        (ui::empty(viewer.say("ありません", "None")))
                    }
                }
            }
        }
    }
}

/// What keeps calls and alarms from going out: for those who can do something about it.
fn system(viewer: &Viewer, queue: &Queue) -> Markup {
    if !(viewer.may(Right::ChangeRules) || viewer.may(Right::SeeTrunks)) {
        return html! {};
    }
    let troubles = troubles(queue, viewer.now);
    html! {
        section.card.case[!troubles.is_empty()] aria-labelledby="lane-system" data-lane="system" {
            h2 #lane-system {
                (ui::icon(Icon::Line)) " " (viewer.say("システム", "System")) " "
                span.chip { (troubles.len()) }
            }
            @if troubles.is_empty() {
                p { (ui::badge("badge good", Icon::Check, viewer.say("異常はありません", "Nothing is wrong"))) }
            } @else {
                ul {
                    @for trouble in &troubles { li { strong { (viewer.tell(trouble)) } } }
                }
            }
            @if viewer.may(Right::SeeTrunks) {
                p { a href="/trunks" { (viewer.say("回線の状態と対処", "State of the trunks, and what to do")) } }
            } @else if !troubles.is_empty() {
                p.muted { (viewer.say("技術者に連絡してください。", "Tell an engineer.")) }
            }
        }
    }
}

/// What does not go its way, a sentence each.
fn troubles(queue: &Queue, now: Timestamp) -> Vec<Bilingual> {
    let clock = |at: Timestamp| civil(at).strftime("%H:%M").to_string();
    let mut troubles = Vec::new();
    let is_meant = |node: &&NodeStatus| now.duration_since(node.at).unsigned_abs() < RETIRED;
    for node in queue.nodes.iter().filter(is_meant) {
        let name = &node.node;
        if !node.is_here(now) {
            let at = clock(node.at);
            troubles.push(Bilingual::composed(
                format!("{name}: 応答がありません(最後は {at})"),
                format!("{name}: not heard of since {at}"),
            ));
            continue;
        }
        let mut failed = queue
            .trunks
            .iter()
            .filter(|trunk| trunk.node == node.node && trunk.at >= node.at)
            .filter(|trunk| trunk.state == TrunkWord::Failed)
            .peekable();
        if failed.peek().is_some() {
            troubles.extend(failed.map(trunk_down));
        } else if node.trunk == TrunkWord::Failed {
            troubles.push(Bilingual::composed(
                format!("{name}: 回線に接続できません"),
                format!("{name}: the line to the carrier is down"),
            ));
        }
        if let Some(ahead) = node.clock_ahead {
            let off = clock_off(ahead);
            troubles.push(Bilingual::composed(
                format!(
                    "{name}: {} — 時計を直してください。正しいときは、架電を止めて再開してください",
                    off.ja
                ),
                format!(
                    "{name}: {}; set it right, or if it is right, stop and start the calls",
                    off.en
                ),
            ));
        }
        if !node.prompts_complete {
            troubles.push(Bilingual::composed(
                format!("{name}: 音声がそろっていません"),
                format!("{name}: prompts are missing"),
            ));
        }
    }
    troubles.extend(queue.disturbances.words());
    troubles
}

/// By how much a clock cannot be trusted.
pub(super) fn clock_off(ahead: SignedDuration) -> Bilingual {
    let seconds = ahead.abs().as_secs_f64();
    let (ja, en) =
        if ahead.is_negative() { ("遅れて", "behind") } else { ("進んで", "ahead of") };
    Bilingual::composed(
        format!("時計がデータベースより {seconds:.1} 秒{ja}います"),
        format!("the clock is {seconds:.1} s {en} the database"),
    )
}

/// Which trunk of which node is down, since when, and why.
fn trunk_down(trunk: &TrunkStatus) -> Bilingual {
    let TrunkStatus { node, trunk: name, since, last_error, .. } = trunk;
    let since = civil(*since).strftime("%m/%d %H:%M");
    let why = last_error.as_ref().map(|(why, _)| format!(": {why}")).unwrap_or_default();
    Bilingual::composed(
        format!("{node}: 回線 {name} が {since} から不通です{why}"),
        format!("{node}: trunk {name} is down since {since}{why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::RegistrationWord;

    #[test]
    fn what_keeps_calls_from_going_out_is_told_in_a_sentence_each() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let node = |name: &str, at, trunk, prompts_complete| NodeStatus {
            node: name.to_owned(),
            at,
            lines_in_use: 0,
            lines_limit: 8,
            calls_per_minute: 30,
            trunk,
            prompts_complete,
            clock_ahead: (name == "three").then(|| SignedDuration::from_millis(-5_200)),
            last_error: String::new(),
        };
        let quiet = Queue {
            cards: Vec::new(),
            disturbances: Disturbances::default(),
            nodes: vec![node("one", at(10), TrunkWord::Ready, true)],
            trunks: Vec::new(),
        };
        assert!(troubles(&quiet, at(20)).is_empty());
        let loud = Queue {
            nodes: vec![
                node("one", at(990), TrunkWord::Failed, false),
                node("two", at(0), TrunkWord::Ready, true),
                node("three", at(990), TrunkWord::Registering, true),
                node("four", at(990), TrunkWord::Failed, true),
                node("retired", at(-90_000), TrunkWord::Failed, false),
            ],
            disturbances: Disturbances {
                slots_not_tried: 3,
                waiting_since: Some(at(60)),
                messages_not_taken: 2,
                campaigns_not_started: vec!["冬".to_owned()],
                campaigns_mute: vec![("秋".to_owned(), "school@1".to_owned())],
                trunks_in_vain: vec![("main".to_owned(), 24)],
            },
            trunks: vec![TrunkStatus {
                group: None,
                node: "four".to_owned(),
                trunk: "ntt".to_owned(),
                at: at(990),
                state: TrunkWord::Failed,
                since: at(900),
                registration: RegistrationWord::Refused,
                lines_in_use: 0,
                lines_limit: 2,
                last_error: Some(("refused (403)".to_owned(), at(990))),
            }],
            ..quiet
        };
        let told: Vec<_> = troubles(&loud, at(1000)).into_iter().map(|it| it.en).collect();
        assert_eq!(
            told,
            [
                "one: the line to the carrier is down",
                "one: prompts are missing",
                "two: not heard of since 09:00",
                "three: the clock is 5.2 s behind the database; set it right, or if it is right, \
                 stop and start the calls",
                "four: trunk ntt is down since 01/01 09:15: refused (403)",
                "due, but not called: 3 (since 09:01)",
                "alarms that their receiver does not take: 2",
                "campaign that should have started: 冬",
                "campaign that calls nobody, for want of its questionnaire: 秋 (school@1)",
                "trunk main: nobody answered any of 24 calls within two hours",
            ]
        );
    }
}
