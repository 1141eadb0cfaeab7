//! What changes while people look: asked of the store once per change, for all who watch.
//!
//! One task asks, with one statement, draws what each centre may see, and hands it to every open page; without open
//! pages it sleeps. A page is told only what is new to it, and only of its own centre. Changes by
//! other nodes are seen within seconds, because the task also looks by the clock.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::extract::State;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use axum::routing::get;
use axum::{Extension, Router};
use futures_util::{Stream, StreamExt, stream};
use jiff::Timestamp;
use maud::{Markup, html};
use serde_json::json;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_stream::wrappers::WatchStream;
use tracing::warn;

use crate::base::Clock;
use crate::base::clock::civil;
use crate::base::id::{ClinicId, HealthCenterId};
use crate::campaign::AttemptState;
use crate::registry::{ConsoleLanguage, Right, Scope};
use crate::store::{Board, CallNow, Counts, Store, StoreError, Topic};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::words;
use crate::web::fault::Fault;

/// However much happens, the store is asked no more often.
const SETTLE: Duration = Duration::from_millis(700);

/// However little this process does, others may do something.
const LOOK: Duration = Duration::from_secs(3);

/// A stream ends after this, and the browser opens it again: whether somebody is still signed in is
/// asked then.
const LONGEST: Duration = Duration::from_mins(5);

/// Everything that changes all the time, wakes nobody.
const TOPICS: &[Topic] = &[
    Topic::Registry,
    Topic::Slot,
    Topic::Call,
    Topic::Over,
    Topic::Answer,
    Topic::Observation,
    Topic::Case,
    Topic::Installation,
];

/// The task that watches the store, and what it has seen last.
pub(super) struct Live {
    store: Store,
    clock: Clock,
    pictures: watch::Sender<Arc<Pictures>>,
    is_watching: Mutex<bool>,
    /// Turns true when the console stops: streams would hold it up.
    is_over: watch::Sender<bool>,
}

/// What the centres may see, drawn.
#[derive(Default)]
struct Pictures {
    is_running: bool,
    /// Whether anything was seen yet.
    is_ready: bool,
    centers: HashMap<HealthCenterId, Picture>,
}

#[derive(Default)]
struct Picture {
    /// By the clinic that looks after the patients, if any.
    counts: HashMap<Option<ClinicId>, Counts>,
    n_calls: usize,
    calls_ja: Arc<str>,
    calls_en: Arc<str>,
}

impl Live {
    pub(super) fn new(desk: &Desk) -> Arc<Self> {
        Arc::new(Self {
            store: desk.store.clone(),
            clock: desk.clock.clone(),
            pictures: watch::Sender::default(),
            is_watching: Mutex::new(false),
            is_over: watch::Sender::new(false),
        })
    }

    /// Ends all streams.
    pub(super) fn end(&self) {
        self.is_over.send_replace(true);
    }

    /// What is seen from now on; wakes the task if it sleeps.
    fn watch(self: &Arc<Self>) -> watch::Receiver<Arc<Pictures>> {
        let pictures = self.pictures.subscribe();
        let mut is_watching = self.is_watching.lock().unwrap_or_else(PoisonError::into_inner);
        if !*is_watching {
            *is_watching = true;
            tokio::spawn(keep_watching(Arc::downgrade(self)));
        }
        pictures
    }

    /// Whether nobody looks any more; then the task ends.
    fn is_left(&self) -> bool {
        let mut is_watching = self.is_watching.lock().unwrap_or_else(PoisonError::into_inner);
        if self.pictures.receiver_count() == 0 {
            *is_watching = false;
        }
        !*is_watching
    }

    /// One statement for all who watch; at midnight the list is moved to the new day first.
    async fn look(&self) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut board = self.store.board().await?;
        if board.day != Some(now.date()) {
            self.store.roll_health(now.timestamp).await?;
            board = self.store.board().await?;
        }
        self.pictures.send_replace(Arc::new(draw(&board, now.timestamp)));
        Ok(())
    }
}

async fn keep_watching(live: Weak<Live>) {
    let Some(mut changes) = live.upgrade().map(|live| live.store.changes(TOPICS)) else { return };
    loop {
        let Some(strong) = live.upgrade() else { return };
        if strong.is_left() {
            return;
        }
        changes.mark_unchanged();
        if let Err(error) = strong.look().await {
            // The next look is the retry; pages keep what they show.
            warn!("what is going on cannot be shown: {error}");
        }
        drop(strong);
        sleep(SETTLE).await;
        tokio::select! {
            () = changes.changed() => {}
            () = sleep(LOOK) => {}
        }
    }
}

fn draw(board: &Board, now: Timestamp) -> Pictures {
    let mut centers: HashMap<HealthCenterId, Picture> = HashMap::new();
    for row in &board.rows {
        centers.entry(row.health_center).or_default().counts.insert(row.clinic, row.counts);
    }
    let mut calls: HashMap<HealthCenterId, Vec<&CallNow>> = HashMap::new();
    for call in &board.calls {
        calls.entry(call.health_center).or_default().push(call);
    }
    for (center, picture) in &mut centers {
        let calls = calls.remove(center).unwrap_or_default();
        picture.n_calls = calls.len();
        picture.calls_ja = calls_panel(ConsoleLanguage::Ja, &calls, now).into_string().into();
        picture.calls_en = calls_panel(ConsoleLanguage::En, &calls, now).into_string().into();
    }
    Pictures { is_running: board.is_running, is_ready: true, centers }
}

/// The calls under way, question by question. Names are masked: the page may hang in a room.
fn calls_panel(language: ConsoleLanguage, calls: &[&CallNow], now: Timestamp) -> Markup {
    let say = |ja: &'static str, en: &'static str| match language {
        ConsoleLanguage::Ja => ja,
        ConsoleLanguage::En => en,
    };
    html! {
        @if calls.is_empty() {
            p.empty { (say("通話中の電話はありません。", "No call is under way.")) }
        } @else {
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { (say("患者", "Patient")) }
                            th scope="col" { (say("状態", "State")) }
                            th scope="col" { (say("開始", "Since")) }
                            th scope="col" { (say("回答", "Answers")) }
                            th scope="col" { (say("最後の質問", "Last question")) }
                        }
                    }
                    tbody {
                        @for call in calls {
                            tr {
                                th scope="row" {
                                    (words::masked(call.name.expose())) " "
                                    span.muted.small { (call.registration_number) }
                                }
                                td {
                                    @if call.state == AttemptState::Talking {
                                        (say("通話中", "Talking"))
                                    } @else {
                                        (say("呼出中", "Ringing"))
                                    }
                                }
                                td.nowrap {
                                    (civil(call.dialed_at).strftime("%H:%M:%S")) " "
                                    span.muted { (elapsed(call.dialed_at, now)) }
                                }
                                td.number { (call.answers) }
                                td {
                                    @match &call.last_question {
                                        Some(code) => (words::question(code, language)),
                                        None => span.muted { (say("まだありません", "none yet")) },
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

fn elapsed(from: Timestamp, now: Timestamp) -> String {
    let seconds = from.duration_until(now).as_secs().max(0);
    format!("{}:{:02}", seconds / 60, seconds % 60)
}

pub(super) fn routes() -> Router<Desk> {
    Router::new().route("/live", get(live))
}

/// Server-sent events: `counts`, `calls`, `health` and `dialing`, as far as the viewer may see them.
async fn live(
    viewer: Viewer,
    State(_): State<Desk>,
    Extension(live): Extension<Arc<Live>>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let watcher = Watcher::of(&viewer)?;
    let told = Told::default();
    let pictures = WatchStream::new(live.watch());
    let events = pictures
        .scan(told, move |told, pictures| {
            let news = watcher.news(told, &pictures);
            async move { Some(stream::iter(news.into_iter().map(Ok))) }
        })
        .flatten()
        .take_until(Box::pin(until_over(live.is_over.subscribe())));
    // The task lives as long as somebody holds it.
    let events = events.map(move |event| {
        let _ = &live;
        event
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new()))
}

async fn until_over(mut is_over: watch::Receiver<bool>) {
    tokio::select! {
        () = sleep(LONGEST) => {}
        _ = is_over.wait_for(|is_over| *is_over) => {}
    }
}

/// Who watches, and what they may see.
struct Watcher {
    scope: Scope,
    language: ConsoleLanguage,
    sees_plan: bool,
    sees_health: bool,
}

/// What a page was told last.
#[derive(Default)]
struct Told {
    counts: String,
    calls: Arc<str>,
    version: Option<i64>,
    is_running: Option<bool>,
}

impl Watcher {
    fn of(viewer: &Viewer) -> Result<Self, Fault> {
        Ok(Self {
            scope: viewer.scope()?,
            language: viewer.staff.language,
            sees_plan: viewer.may(Right::SeePlan),
            sees_health: viewer.may(Right::SeeHealth),
        })
    }

    /// What is new to the page.
    fn news(&self, told: &mut Told, pictures: &Pictures) -> Vec<Event> {
        let mut news = Vec::new();
        if !pictures.is_ready {
            return news;
        }
        if told.is_running != Some(pictures.is_running) {
            told.is_running = Some(pictures.is_running);
            let word = if pictures.is_running { "running" } else { "stopped" };
            news.push(Event::default().event("dialing").data(word));
        }
        let nothing = Picture::default();
        let picture = pictures.centers.get(&self.scope.center).unwrap_or(&nothing);
        let counts = picture.sum(self.scope.clinic);
        if self.sees_health && told.version != Some(counts.version) {
            told.version = Some(counts.version);
            news.push(Event::default().event("health").data(counts.version.to_string()));
        }
        if !self.sees_plan {
            return news;
        }
        let text = counts_json(&counts, picture.n_calls);
        if told.counts != text {
            told.counts.clone_from(&text);
            news.push(Event::default().event("counts").data(text));
        }
        let calls = match self.language {
            ConsoleLanguage::Ja => &picture.calls_ja,
            ConsoleLanguage::En => &picture.calls_en,
        };
        if told.calls != *calls {
            told.calls = Arc::clone(calls);
            news.push(Event::default().event("calls").data(&**calls));
        }
        news
    }
}

impl Picture {
    /// The numbers of a scope: of the whole centre, or of one clinic's patients.
    fn sum(&self, clinic: Option<ClinicId>) -> Counts {
        let rows = self.counts.iter().filter(|(of, _)| clinic.is_none() || **of == clinic);
        rows.fold(Counts::default(), |sum, (_, one)| Counts {
            all: sum.all + one.all,
            action: sum.action + one.action,
            unreported: sum.unreported + one.unreported,
            partial: sum.partial + one.partial,
            reported: sum.reported + one.reported,
            planned: sum.planned + one.planned,
            called: sum.called + one.called,
            answered: sum.answered + one.answered,
            identified: sum.identified + one.identified,
            unreached: sum.unreached + one.unreached,
            version: sum.version + one.version,
            ..sum
        })
    }
}

fn counts_json(counts: &Counts, n_calls: usize) -> String {
    json!({
        "all": counts.all,
        "planned": counts.planned,
        "called": counts.called,
        "answered": counts.answered,
        "identified": counts.identified,
        "reported": counts.reported,
        "partial": counts.partial,
        "unreached": counts.unreached,
        "unreported": counts.unreported,
        "action": counts.action,
        "calls": n_calls,
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Private;
    use crate::base::id::Minter;
    use crate::store::BoardRow;

    fn board(minter: &mut Minter) -> (HealthCenterId, ClinicId, Board) {
        let at = Timestamp::UNIX_EPOCH;
        let (center, other, clinic) = (minter.mint(at), minter.mint(at), minter.mint(at));
        let counts = |n| Counts { all: n, version: i64::from(n), ..Counts::default() };
        let row = |health_center, clinic, n| BoardRow { health_center, clinic, counts: counts(n) };
        let call = |health_center, name: &str| CallNow {
            attempt: Minter::new([3; 32]).mint(at),
            health_center,
            name: Private::new(name.to_owned()),
            registration_number: "A1".to_owned(),
            state: AttemptState::Talking,
            dialed_at: at,
            answered_at: Some(at),
            answers: 2,
            last_question: Some("spo2".to_owned()),
        };
        let board = Board {
            day: None,
            is_running: true,
            rows: vec![row(center, None, 5), row(center, Some(clinic), 2), row(other, None, 9)],
            calls: vec![call(center, "神崎 花子"), call(other, "山田 太郎")],
        };
        (center, clinic, board)
    }

    fn watcher(center: HealthCenterId, clinic: Option<ClinicId>, sees_plan: bool) -> Watcher {
        let scope = Scope { center, clinic };
        Watcher { scope, language: ConsoleLanguage::Ja, sees_plan, sees_health: true }
    }

    #[test]
    fn a_page_hears_of_its_own_centre_only_and_of_news_only() {
        let (center, clinic, board) = board(&mut Minter::new([1; 32]));
        let pictures = draw(&board, Timestamp::UNIX_EPOCH);
        let mut told = Told::default();
        let nurse = watcher(center, None, true);
        assert_eq!(nurse.news(&mut told, &pictures).len(), 4);
        assert!(nurse.news(&mut told, &pictures).is_empty(), "nothing is new");
        assert!(told.calls.contains("神●●") && !told.calls.contains("花子"), "{}", told.calls);
        assert!(!told.calls.contains("山"), "the other centre's call");
        assert_eq!(told.version, Some(7));

        let mut told = Told::default();
        let clinic = watcher(center, Some(clinic), false);
        assert_eq!(clinic.news(&mut told, &pictures).len(), 2, "no calls for a clinic");
        assert_eq!(told.version, Some(2));
    }
}
