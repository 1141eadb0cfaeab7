//! 今日: whether calls can be placed, how far the day has come, and who is on the line right now.
//! The emergency stop is here.

use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::clock::civil;
use crate::base::phone::PhoneError;
use crate::base::{Bilingual, PhoneNumber};
use crate::registry::{Reach, Right};
use crate::store::{
    Counts, Dialing, Disturbances, Finish, Morning, NoTest, NodeStatus, TestCall, TrunkWord,
};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::cases;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/", get(today))
        .route("/calls/stop", get(stop_form).post(stop))
        .route("/calls/start", get(start_form).post(start))
        .route("/calls/test", post(ask_test_call))
}

/// After so many characters a reason is a report.
const LONGEST_REASON: usize = 200;

async fn today(viewer: Viewer, State(desk): State<Desk>) -> Result<Markup, Fault> {
    let asked = desk.clock.now().instant;
    let is_writable = desk.store.ping().await.is_ok();
    let database = is_writable.then(|| desk.clock.now().instant - asked);
    let morning = desk.store.morning(viewer.now, database).await?;
    let counts = match viewer.staff.scope() {
        Some(scope) => Some(desk.store.within(scope).health_counts(viewer.staff.id).await?),
        None => None,
    };
    let disturbances = match viewer.staff.scope() {
        Some(scope) => {
            let found = desk.store.within(scope).disturbances(viewer.now).await?;
            let reach = Reach::Center(scope.center);
            let campaigns_mute = desk.mute_campaigns(viewer.now, reach).await?;
            Disturbances { campaigns_mute, ..found }
        }
        None => Disturbances::default(),
    };
    let sees_plan = counts.is_some() && viewer.may(Right::SeePlan);
    let body = html! {
        (go(&viewer, &morning, counts.as_ref()))
        (disturbed(&viewer, &disturbances))
        @if let Some(counts) = &counts {
            (shortcuts(&viewer, counts))
            @if sees_plan {
                (funnel(&viewer, counts))
                section #live data-live="/live" data-running=(viewer.dialing.is_running) {
                    div.row {
                        h2 { (viewer.say("いま通話中", "Calls under way")) }
                        p.muted.small role="status" data-state
                            data-live-word=(viewer.say("自動更新中", "updates by itself"))
                            data-lost-word=(viewer.say("接続が切れました。画面を開き直してください。", "Connection lost. Please reload."))
                            {}
                    }
                    div data-calls {
                        (ui::empty(viewer.say("読み込み中…", "Loading …")))
                    }
                    noscript {
                        p.notice {
                            (viewer.say(
                                "通話の様子を見るには JavaScript を有効にしてください。",
                                "Enable JavaScript to follow the calls.",
                            ))
                        }
                    }
                }
            }
        } @else {
            p.muted {
                (viewer.say(
                    "このアカウントでは患者の情報は表示されません。",
                    "This account shows no patients.",
                ))
            }
        }
    };
    let title = Bilingual::fixed("今日", "Today");
    let scripts: &[&str] = if sees_plan { &["live.js"] } else { &[] };
    Ok(ui::page_with(&viewer, Section::Today, &title, scripts, &body))
}

/// 進める・進めない: everything that must be well before anybody is called.
fn go(viewer: &Viewer, morning: &Morning, counts: Option<&Counts>) -> Markup {
    let faults = morning.no_go();
    let words: Vec<Bilingual> = faults.iter().map(|fault| fault.words()).collect();
    let words: Vec<&str> = words.iter().map(|words| viewer.tell(words)).collect();
    let prompts = morning.has_prompts();
    html! {
        section.card aria-labelledby="go" {
            div.row.between {
                h2 #go {
                    @if faults.is_empty() {
                        (ui::badge("badge good", Icon::Check, viewer.say("架電できます", "Calls can be placed")))
                    } @else {
                        (ui::badge("badge act", Icon::Alert, viewer.say("架電できません", "No calls are placed")))
                        " " span.red { (words.join("・")) }
                    }
                }
                (stop_or_start(viewer))
            }
            dl.pairs {
                dt { (viewer.say("架電", "Dialling")) }
                dd { (dialing(viewer)) }
                dt { (viewer.say("回線", "Lines")) }
                dd { (lines_of(viewer, &morning.nodes)) }
                dt { (viewer.say("音声", "Prompts")) }
                dd {
                    @if prompts {
                        (state(true, viewer.say("揃っています", "complete")))
                    } @else {
                        (state(false, viewer.say("確認できません", "not known to be complete")))
                    }
                }
                dt { (viewer.say("データベース", "Database")) }
                dd {
                    @match morning.database {
                        Some(took) => {
                            (state(true, viewer.say("応答しています", "answers"))) " "
                            span.muted.small { (took.as_millis()) " ms" }
                        }
                        None => (state(false, viewer.say("書き込めません", "cannot be written to"))),
                    }
                }
                dt { (viewer.say("試験通話", "Test call")) }
                dd { (test_call(viewer, morning.test_call.as_ref())) }
                @if let Some(counts) = counts {
                    dt { (viewer.say("本日の対象", "Today")) }
                    dd { (people(viewer, counts)) }
                    dt { (viewer.say("終了見込み", "Expected end")) }
                    dd { (finishing(viewer, morning.finish(counts))) }
                }
            }
        }
    }
}

/// What goes wrong without a noise.
fn disturbed(viewer: &Viewer, disturbances: &Disturbances) -> Markup {
    let troubles = disturbances.words();
    html! {
        @if !troubles.is_empty() {
            section.card aria-labelledby="disturbed" {
                h2 #disturbed {
                    (ui::badge("badge act", Icon::Alert, viewer.say("確認が必要です", "To be looked into")))
                }
                ul { @for trouble in &troubles { li { (viewer.tell(trouble)) } } }
            }
        }
    }
}

fn state(is_well: bool, word: &str) -> Markup {
    if is_well {
        ui::badge("badge good", Icon::Check, word)
    } else {
        ui::badge("badge act", Icon::Alert, word)
    }
}

fn dialing(viewer: &Viewer) -> Markup {
    let Dialing { is_running, changed_at, changed_by, reason } = &viewer.dialing;
    html! {
        @if *is_running {
            (state(true, viewer.say("稼働中", "running")))
        } @else {
            (state(false, viewer.say("停止中", "stopped"))) " "
            (civil(*changed_at).strftime("%m/%d %H:%M")) " " (changed_by) " — " (reason)
        }
    }
}

fn lines_of(viewer: &Viewer, nodes: &[NodeStatus]) -> Markup {
    html! {
        @if nodes.is_empty() {
            (state(false, viewer.say("架電サービスがまだ動いたことがありません", "no service has run yet")))
        }
        ul.plain {
            @for node in nodes {
                li {
                    @if !node.is_here(viewer.now) {
                        (state(false, viewer.say("応答なし", "silent"))) " "
                        span.muted.small {
                            (viewer.say("最終", "last seen")) " " (civil(node.at).strftime("%m/%d %H:%M"))
                        }
                    } @else {
                        @match node.trunk {
                            TrunkWord::Ready => (state(true, viewer.say("正常", "up"))),
                            TrunkWord::Registering => (ui::badge(
                                "badge caution", Icon::Clock, viewer.say("登録中", "registering"),
                            )),
                            TrunkWord::Failed => (state(false, viewer.say("不通", "down"))),
                        }
                        " " (viewer.say("使用中", "in use")) " "
                        strong { (node.lines_in_use) } " / " (node.lines_limit)
                    }
                    " " span.muted.small { (node.node) }
                    @if let Some(ahead) = node.clock_ahead {
                        " " span.red.small { (viewer.tell(&cases::clock_off(ahead))) }
                    }
                    @if !node.last_error.is_empty() { " " span.red.small { (node.last_error) } }
                }
            }
        }
    }
}

fn people(viewer: &Viewer, counts: &Counts) -> Markup {
    let part = |ja, en, n: u32, key| {
        html! { span.nowrap { (viewer.say(ja, en)) " " strong data-count=(key) { (n) } } }
    };
    html! {
        div.row {
            (part("観察中", "observed", counts.all, "all"))
            (part("架電予定", "to be called", counts.planned, "planned"))
            (part("報告済", "reported", counts.reported, "reported"))
            (part("未報告", "not reported", counts.unreported, "unreported"))
            (part("予定なし(休止・対象外)", "no call (paused …)", counts.all - counts.planned, "unplanned"))
        }
    }
}

fn finishing(viewer: &Viewer, finish: Finish) -> Markup {
    html! {
        @match finish {
            Finish::Done => (viewer.say("残りはありません", "nothing is left")),
            Finish::Unknown => span.red {
                (viewer.say("架電していないため見込めません", "not known: no calls are placed"))
            },
            Finish::At { at, left, per_minute } => {
                strong.red[finish.is_late()] { (civil(at).strftime("%H:%M")) }
                " " span.muted.small {
                    (viewer.say("残り", "left")) " " (left) " · "
                    (viewer.say("毎分およそ", "per minute about")) " " (per_minute)
                }
                @if finish.is_late() {
                    " " (ui::badge("badge caution", Icon::Caution,
                        viewer.say("20時までに終わらない見込み", "not before 20:00")))
                }
            }
        }
    }
}

/// What came of the last call to a staff telephone, and how to ask for the next.
fn test_call(viewer: &Viewer, last: Option<&TestCall>) -> Markup {
    html! {
        @match last {
            None => span.muted { (viewer.say("今日はまだありません", "none today")) },
            Some(call) => {
                @let words = call.words();
                @if call.is_good() {
                    (state(true, viewer.tell(&words)))
                } @else if call.is_over() {
                    (ui::badge("badge caution", Icon::Caution, viewer.tell(&words)))
                } @else {
                    (ui::badge("badge check", Icon::Phone, viewer.tell(&words)))
                }
                " " span.muted.small {
                    "…" (call.phone_end) " · " (call.asked_by)
                    @if let Some(trunk) = &call.trunk { " · " (trunk) }
                }
            }
        }
        @if viewer.may(Right::StartCalls) && !viewer.dialing.is_running {
            p.hint.no-print { (viewer.tell(&NoTest::Stopped.words())) }
        } @else if viewer.may(Right::StartCalls) {
            details.no-print {
                summary { (viewer.say("職員の電話で試す", "Try a staff telephone")) }
                form.stack method="post" action="/calls/test" {
                    (ui::csrf(viewer))
                    label {
                        (viewer.say("職員の電話番号(患者の番号は使えません)", "Number of a member of the staff, of no patient"))
                        input type="tel" name="number" required autocomplete="off" maxlength="20";
                    }
                    p.hint {
                        (viewer.say(
                            "自動音声が1を押すようお願いします。押すと、音が両方向に届いたと分かります。",
                            "A voice asks for key 1. Pressed, it shows that sound goes both ways.",
                        ))
                    }
                    button type="submit" { (ui::icon(Icon::Phone)) (viewer.say("試験通話をかける", "Place a test call")) }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Number {
    number: String,
}

async fn ask_test_call(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Number>,
) -> Result<Response, Fault> {
    viewer.must(Right::StartCalls)?;
    let number: PhoneNumber =
        form.number.parse().map_err(|error: PhoneError| Fault::Invalid(error.explanation()))?;
    let entry = viewer.audit("test_call.asked");
    let by = viewer.staff.name.expose();
    match desk.store.ask_test_call(viewer.now, &number, by, &entry).await? {
        Ok(_) => Ok(done(
            "/",
            viewer.say(
                "試験通話をかけます。結果はこの画面に出ます(開き直してください)。",
                "The test call is asked for. Its result is shown here: reload the page.",
            ),
        )),
        Err(why) => Err(Fault::Conflict(why.words())),
    }
}

fn stop_or_start(viewer: &Viewer) -> Markup {
    html! {
        @if viewer.dialing.is_running && viewer.may(Right::StopCalls) {
            a.button.danger href="/calls/stop" {
                (ui::icon(Icon::Stop)) (viewer.say("すべての架電を止める", "Stop all calls"))
            }
        } @else if !viewer.dialing.is_running && viewer.may(Right::StartCalls) {
            a.button href="/calls/start" {
                (ui::icon(Icon::Play)) (viewer.say("架電を再開する", "Let calls begin again"))
            }
        }
    }
}

/// What needs somebody, as large figures that lead to the list.
fn shortcuts(viewer: &Viewer, counts: &Counts) -> Markup {
    let tile =
        |href: &'static str, key: &'static str, n: u32, word: &'static str, class: &'static str| {
            html! {
                a.tile href=(href) {
                    span.figure class=(if n > 0 { class } else { "muted" }) data-count=(key) { (n) }
                    span { (word) }
                }
            }
        };
    html! {
        @if viewer.may(Right::SeeHealth) {
            div.tiles {
                (tile("/health?view=action", "action", counts.action, viewer.say("要対応", "to act on"), "red"))
                (tile("/health?view=unreported", "unreported", counts.unreported, viewer.say("未報告", "not reported"), ""))
                (tile("/health?view=fever", "fever", counts.fever, viewer.say("改善しない発熱3日", "three days of fever"), ""))
                (tile("/health?view=ending", "ending", counts.ending, viewer.say("終了予定", "ending"), ""))
            }
        }
    }
}

/// 予定 → 架電 → 応答 → 本人確認 → 完了・途中・未応答.
fn funnel(viewer: &Viewer, counts: &Counts) -> Markup {
    let whole = f64::from(counts.planned.max(1));
    let steps = [
        ("planned", viewer.say("予定", "planned"), counts.planned),
        ("called", viewer.say("架電", "called"), counts.called),
        ("answered", viewer.say("応答", "answered"), counts.answered),
        ("identified", viewer.say("本人確認", "identified"), counts.identified),
        ("reported", viewer.say("完了", "complete"), counts.reported),
        ("partial", viewer.say("途中", "partial"), counts.partial),
        ("unreached", viewer.say("未応答", "unreached"), counts.unreached),
    ];
    html! {
        section.card aria-labelledby="funnel" {
            h2 #funnel { (viewer.say("今日の進み具合", "How far the day has come")) }
            table.funnel {
                caption.visually-hidden { (viewer.say("人数", "people")) }
                tbody {
                    @for (key, word, n) in steps {
                        tr {
                            th scope="row" { (word) }
                            td.number { strong data-count=(key) { (n) } }
                            td aria-hidden="true" {
                                svg.bar viewBox="0 0 100 8" preserveAspectRatio="none" {
                                    rect data-bar=(key) width=(format!("{:.1}", f64::from(n) / whole * 100.0)) height="8" {}
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[derive(Deserialize)]
struct Reason {
    reason: String,
}

async fn stop_form(viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::StopCalls)?;
    let title = Bilingual::fixed("すべての架電を止める", "Stop all calls");
    Ok(ask(
        &viewer,
        &title,
        None,
        &html! {
            p {
                (viewer.say(
                    "新しい電話は、すべての保健所で、ただちにかからなくなります(試験通話も)。通話中の電話は最後まで続きます。",
                    "No new call is placed for any health centre from now on, and no test call. Calls under way go on to their end.",
                ))
            }
        },
        "danger",
    ))
}

async fn start_form(viewer: Viewer) -> Result<Markup, Fault> {
    viewer.must(Right::StartCalls)?;
    let title = Bilingual::fixed("架電を再開する", "Let calls begin again");
    Ok(ask(
        &viewer,
        &title,
        None,
        &html! {
            p { (dialing(&viewer)) }
            p {
                (viewer.say(
                    "止めていた間に時刻を過ぎた方にも、枠の終わりまでに順に電話がかかります。",
                    "Those whose time has passed meanwhile are called in turn, until their window closes.",
                ))
            }
        },
        "primary",
    ))
}

/// Asks for a reason before something that concerns everybody.
fn ask(
    viewer: &Viewer,
    title: &Bilingual,
    fault: Option<&str>,
    text: &Markup,
    class: &str,
) -> Markup {
    ui::page(
        viewer,
        Section::Today,
        title,
        &html! {
            (text)
            form.stack.card method="post" {
                (ui::csrf(viewer))
                label {
                    (viewer.say("理由(全職員に表示されます)", "Reason (shown to all staff)"))
                    input name="reason" required maxlength=(LONGEST_REASON) autofocus size="40"
                        aria-invalid=[fault.map(|_| "true")]
                        aria-describedby=[fault.map(|_| "fault")];
                }
                @if let Some(fault) = fault { (ui::field_fault("fault", fault)) }
                div.row {
                    button class=(class) type="submit" { (viewer.tell(title)) }
                    a.button.quiet href="/" { (viewer.say("やめる", "Cancel")) }
                }
            }
        },
    )
}

async fn stop(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Reason>,
) -> Result<Response, Fault> {
    viewer.must(Right::StopCalls)?;
    set(&desk, &viewer, false, &form.reason).await?;
    Ok(done("/", viewer.say("すべての架電を止めました。", "All calls are stopped.")))
}

async fn start(
    State(desk): State<Desk>,
    Posted { viewer, form }: Posted<Reason>,
) -> Result<Response, Fault> {
    viewer.must(Right::StartCalls)?;
    set(&desk, &viewer, true, &form.reason).await?;
    Ok(done("/", viewer.say("架電を再開しました。", "Calls begin again.")))
}

async fn set(desk: &Desk, viewer: &Viewer, is_running: bool, reason: &str) -> Result<(), Fault> {
    let reason: String = reason.trim().chars().take(LONGEST_REASON).collect();
    if reason.is_empty() {
        return Err(Fault::Invalid(Bilingual::fixed(
            "理由を入力してください。",
            "Please give a reason.",
        )));
    }
    let mut entry = viewer.audit(if is_running { "calls.started" } else { "calls.stopped" });
    entry.detail.clone_from(&reason);
    let dialing = Dialing {
        is_running,
        changed_at: viewer.now,
        changed_by: viewer.staff.name.expose().clone(),
        reason,
    };
    Ok(desk.store.set_dialing(&dialing, &entry).await?)
}
