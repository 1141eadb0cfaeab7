//! `mimamori today`: the go or no-go of the morning, as the page 今日 judges it, with a test call to a
//! staff telephone if one is wanted.

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::app::{Configured, clock, house, open_store, told};
use crate::base::clock::civil;
use crate::base::phone::PhoneError;
use crate::base::{Bilingual, Clock, PhoneNumber};
use crate::registry::{Actor, AuditEntry, HealthCenter, Reach, Scope};
use crate::store::{
    Counts, Disturbances, Finish, Morning, NoTest, NodeStatus, Store, TestCall, TestStage,
    TrunkWord,
};
use crate::worker;

/// What is looked at.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// 保健所のコード(省略するとすべて) / The code of one health centre; all if left out
    #[arg(long, value_name = "CODE")]
    center: Option<String>,
    /// 職員の電話に試験通話をかける / Place a test call to this staff telephone
    #[arg(long, value_name = "NUMBER")]
    call: Option<String>,
    /// JSON で表示する / Print JSON
    #[arg(long)]
    json: bool,
}

/// Who did it, where nobody is signed in.
const BY: &str = "コマンド / command line";

/// As long as a test call may take, with all that comes before it.
const PATIENCE: u32 = 200;

/// Go: 0. No-go: 1. An error: 2, so that a script does not take it for either.
pub(super) async fn run(options: Options) -> ExitCode {
    match look(options).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            let _ = writeln!(stderr(), "{}", told(&error));
            ExitCode::from(2)
        }
    }
}

/// One centre, and how its day stands.
struct Local {
    center: HealthCenter,
    counts: Counts,
    disturbances: Disturbances,
}

async fn look(options: Options) -> anyhow::Result<bool> {
    let clock = clock::host();
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let tested = match &options.call {
        None => None,
        Some(number) => Some(test(&options.configured, &store, &clock, number).await?),
    };
    let now = clock.now();
    let is_writable = store.ping().await.is_ok();
    let database = is_writable.then(|| clock.now().instant - now.instant);
    let now = clock.now().timestamp;
    let morning = store.morning(now, database).await?;
    store.roll_health(now).await?;
    let known = house::known_questionnaires(&options.configured)?;
    let mut centers = Vec::new();
    for center in store.health_centers().await? {
        if options.center.as_ref().is_some_and(|code| *code != center.code) {
            continue;
        }
        let within = store.within(Scope { center: center.id, clinic: None });
        let counts = within.health_counts(store.mint(now)).await?;
        let campaigns_mute = match &known {
            Some(known) => {
                store.mute_campaigns(now, Reach::Center(center.id), known.keys()).await?
            }
            None => Vec::new(),
        };
        let disturbances = Disturbances { campaigns_mute, ..within.disturbances(now).await? };
        centers.push(Local { center, counts, disturbances });
    }
    if let Some(code) = options.center.as_ref().filter(|_| centers.is_empty()) {
        bail!("保健所が見つかりません / no such health centre: {code}");
    }
    let is_go = morning.no_go().is_empty() && tested.as_ref().is_none_or(TestCall::is_good);
    let mut out = stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&as_json(&morning, &centers, is_go))?)?;
    } else {
        write!(out, "{}", as_text(&morning, &centers))?;
    }
    store.close().await;
    Ok(is_go)
}

/// Has a staff telephone called: by a service that runs, or else from here.
async fn test(
    configured: &Configured,
    store: &Store,
    clock: &Clock,
    number: &str,
) -> anyhow::Result<TestCall> {
    let number: PhoneNumber = number.parse().map_err(|error: PhoneError| {
        let why = error.explanation();
        anyhow::anyhow!("この番号には架けられません / this number cannot be called: {why}")
    })?;
    // Asked for again with the call itself; nothing is made ready that may not be placed.
    if !store.dialing().await?.is_running {
        bail!("{}", NoTest::Stopped.words());
    }
    let asked_at = clock.now().timestamp;
    let nodes = store.node_statuses().await?;
    let is_served = nodes.iter().any(|node| node.is_here(asked_at));
    // Everything is ready before the call is asked for: it must not wait for us.
    let own = if is_served {
        None
    } else {
        let house = house::build(configured.load()?, clock).await?;
        let trunk = house.trunk(clock).await?;
        Some((Arc::new(house.road(trunk.clone(), clock.clone())?), trunk))
    };
    let asked_at = clock.now().timestamp;
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "test_call.asked",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    if let Err(why) = store.ask_test_call(asked_at, &number, BY, &entry).await? {
        bail!("{}", why.words());
    }
    if let Some((road, trunk)) = own {
        worker::place_test_call(&road).await?;
        trunk.stop(Duration::ZERO).await;
    }
    for _ in 0..PATIENCE {
        let call = store.last_test_call(clock.now().timestamp, asked_at).await?;
        let call = call.context("試験通話が見つかりません / the test call is gone")?;
        if call.is_over() {
            return Ok(call);
        }
        sleep(Duration::from_secs(1)).await;
    }
    bail!("試験通話が終わりません / the test call does not come to its end")
}

fn as_text(morning: &Morning, centers: &[Local]) -> String {
    let no_go = morning.no_go();
    let verdict = if no_go.is_empty() {
        "○ 架電できます / calls can be placed".to_owned()
    } else {
        let [ja, en] = [|it: Bilingual| it.ja.into_owned(), |it: Bilingual| it.en.into_owned()]
            .map(|pick| no_go.iter().map(|why| pick(why.words())).collect::<Vec<_>>());
        format!("× 架電できません / no calls are placed: {} / {}", ja.join("・"), en.join(", "))
    };
    let mut lines = vec![verdict];
    lines.push(format!("架電 / Dialling: {}", dialing(morning)));
    if morning.nodes.is_empty() {
        lines.push(
            "回線 / Lines: 架電サービスがまだ動いたことがありません / no service has run yet"
                .to_owned(),
        );
    }
    for node in &morning.nodes {
        lines.push(format!("回線 / Lines: {}", line_of(morning, node)));
    }
    let prompts = if morning.has_prompts() {
        "揃っています / complete"
    } else {
        "確認できません / not known to be complete"
    };
    lines.push(format!("音声 / Prompts: {prompts}"));
    lines.push(match morning.database {
        Some(took) => {
            format!("データベース / Database: 応答しています / answers ({} ms)", took.as_millis())
        }
        None => "データベース / Database: 書き込めません / cannot be written to".to_owned(),
    });
    lines.push(match &morning.test_call {
        Some(call) => format!(
            "試験通話 / Test call: {} (…{}, {})",
            call.words(),
            call.phone_end,
            call.asked_by
        ),
        None => "試験通話 / Test call: 今日はまだありません / none today".to_owned(),
    });
    for one in centers {
        lines.push(format!("\n{} ({})", one.center.name, one.center.code));
        let Counts { all, planned, reported, partial, unreported, action, .. } = one.counts;
        lines.push(format!(
            "  観察中 / observed {all}  架電予定 / to be called {planned}  報告済 / reported {reported}  \
             途中 / partial {partial}  未報告 / not reported {unreported}  要対応 / to act on {action}"
        ));
        lines.push(format!("  終了見込み / Expected end: {}", finish(morning.finish(&one.counts))));
        for trouble in one.disturbances.words() {
            lines.push(format!("  ! {trouble}"));
        }
    }
    lines.join("\n") + "\n"
}

fn dialing(morning: &Morning) -> String {
    let dialing = &morning.dialing;
    if dialing.is_running {
        return "稼働中 / running".to_owned();
    }
    let at = civil(dialing.changed_at).strftime("%m/%d %H:%M");
    format!("停止中 / stopped {at} {} — {}", dialing.changed_by, dialing.reason)
}

fn line_of(morning: &Morning, node: &NodeStatus) -> String {
    if !node.is_here(morning.now) {
        let at = civil(node.at).strftime("%m/%d %H:%M");
        return format!("{} 応答なし / silent (最終 / last {at})", node.node);
    }
    let state = match node.trunk {
        TrunkWord::Ready => "正常 / up",
        TrunkWord::Registering => "登録中 / registering",
        TrunkWord::Failed => "不通 / down",
    };
    let fault =
        if node.last_error.is_empty() { String::new() } else { format!(" ({})", node.last_error) };
    let NodeStatus { node, lines_in_use, lines_limit, .. } = node;
    format!("{node} {state}, 使用中 / in use {lines_in_use}/{lines_limit}{fault}")
}

fn finish(finish: Finish) -> String {
    match finish {
        Finish::Done => "残りはありません / nothing is left".to_owned(),
        Finish::Unknown => {
            "架電していないため見込めません / not known: no calls are placed".to_owned()
        }
        Finish::At { at, left, .. } => {
            let late = if finish.is_late() {
                " — 20時までに終わらない見込み / not before 20:00"
            } else {
                ""
            };
            format!("{} (残り / left {left}){late}", civil(at).strftime("%H:%M"))
        }
    }
}

fn as_json(morning: &Morning, centers: &[Local], is_go: bool) -> Value {
    let nodes = morning.nodes.iter().map(|node| {
        json!({
            "node": node.node,
            "at": node.at.to_string(),
            "is_here": node.is_here(morning.now),
            "trunk": node.trunk.as_str(),
            "lines_in_use": node.lines_in_use,
            "lines_limit": node.lines_limit,
            "prompts_complete": node.prompts_complete,
            "clock_ahead_ms": node.clock_ahead.map(|it| i64::try_from(it.as_millis()).ok()),
            "last_error": node.last_error,
        })
    });
    let centers = centers.iter().map(|one| {
        let troubles: Vec<String> =
            one.disturbances.words().into_iter().map(|words| words.en.into_owned()).collect();
        let end = match morning.finish(&one.counts) {
            Finish::At { at, .. } => Some(at.to_string()),
            Finish::Done | Finish::Unknown => None,
        };
        json!({
            "center": one.center.code,
            "observed": one.counts.all,
            "planned": one.counts.planned,
            "reported": one.counts.reported,
            "partial": one.counts.partial,
            "unreported": one.counts.unreported,
            "action": one.counts.action,
            "expected_end": end,
            "disturbances": troubles,
        })
    });
    json!({
        "at": morning.now.to_string(),
        "go": is_go,
        "no_go": morning.no_go().iter().map(|why| why.as_str()).collect::<Vec<_>>(),
        "dialing": morning.dialing.is_running,
        "nodes": nodes.collect::<Vec<_>>(),
        "database_ms": morning.database.map(|took| u64::try_from(took.as_millis()).ok()),
        "test_call": morning.test_call.as_ref().map(test_call),
        "centers": centers.collect::<Vec<_>>(),
    })
}

fn test_call(call: &TestCall) -> Value {
    let (disposition, heard) = match call.stage {
        TestStage::Over { disposition, heard } => (Some(disposition.as_str()), Some(heard)),
        TestStage::Asked | TestStage::Placing | TestStage::Lost | TestStage::Stopped => {
            (None, None)
        }
    };
    json!({
        "asked_at": call.asked_at.to_string(),
        "asked_by": call.asked_by,
        "phone_end": call.phone_end,
        "trunk": call.trunk,
        "good": call.is_good(),
        "stopped": call.stage == TestStage::Stopped,
        "disposition": disposition,
        "key_heard": heard,
    })
}
