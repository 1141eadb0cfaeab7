//! `mimamori plan`: one patient's day: what was agreed, when we call, what happens if nobody
//! answers, and why nobody calls.

use std::io::{Write, stdout};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use clap::Args;
use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde_json::{Value, json};

use crate::app::{Configured, clock, house, open_store};
use crate::base::clock::{civil, timestamp};
use crate::base::id::{AttemptId, PatientId};
use crate::base::{Bilingual, PhoneNumber};
use crate::call::{Completion, Disposition, Respondent};
use crate::campaign::example::from_here;
use crate::campaign::{
    Attempt, AttemptState, Book, InForce, Slot, SlotState, StopReason, Terms, Window,
};
use crate::config::Config;
use crate::ivr::Questionnaires;
use crate::registry::{Episode, HealthCenter, Held, Pause, Scope};
use crate::store::{CarePlan, Services, Store, Waiting, Within};

/// Whose day.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// 管理番号 / The registration number
    #[arg(long, value_name = "NUMBER")]
    patient: String,
    /// 保健所のコード(保健所が一つなら不要) / The code of the health centre, if there are several
    #[arg(long, value_name = "CODE")]
    center: Option<String>,
    /// 日付(省略すると今日) / The day, today if left out: 2026-11-22
    #[arg(long)]
    date: Option<Date>,
    /// JSON で表示する / Print JSON
    #[arg(long)]
    json: bool,
}

/// The day of one patient.
struct Day {
    date: Date,
    center: HealthCenter,
    plan: CarePlan,
    campaign: Option<(String, Bilingual)>,
    /// Why nobody is called on this day, if nobody is.
    not_called: Option<Bilingual>,
    slots: Vec<SlotOfDay>,
}

/// One slot, and what is still to come.
struct SlotOfDay {
    slot: Slot,
    attempts: Vec<(Attempt, Option<Waiting>)>,
    /// The calls that follow if nobody answers, each with its telephone.
    ahead: Vec<(Timestamp, PhoneNumber)>,
    stop: Option<StopReason>,
}

/// Prints it.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let now = clock::host().now();
    let date = options.date.unwrap_or_else(|| now.date());
    let standing = standing(&options.configured)?;
    let center = center(&store, options.center.as_deref()).await?;
    let within = store.within(Scope { center: center.id, clinic: None });
    let patient = find(&within, &options.patient).await?;
    let day = day(&store, &within, now.timestamp, center, patient, date, &standing).await?;
    store.close().await;
    let mut out = stdout().lock();
    if options.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&as_json(&day))?)?;
    } else {
        write!(out, "{}", as_text(&day))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What the settings say, beside what is stored.
struct Standing {
    /// The terms for centres without campaigns.
    terms: Arc<Terms>,
    /// What can be asked, if that is known.
    questionnaires: Option<Arc<Questionnaires>>,
}

fn standing(configured: &Configured) -> anyhow::Result<Standing> {
    let questionnaires = house::known_questionnaires(configured)?;
    let terms = match &questionnaires {
        Some(_) => Config::load(&configured.config)?.worker.terms,
        None => Arc::new(Terms::shipped()),
    };
    Ok(Standing { terms, questionnaires })
}

async fn center(store: &Store, code: Option<&str>) -> anyhow::Result<HealthCenter> {
    let mut centers = store.health_centers().await?;
    match code {
        Some(code) => centers
            .into_iter()
            .find(|center| center.code == code)
            .with_context(|| format!("保健所が見つかりません / no such health centre: {code}")),
        None if centers.len() == 1 => Ok(centers.remove(0)),
        None => {
            let codes: Vec<_> = centers.into_iter().map(|center| center.code).collect();
            bail!(
                "--center で保健所を選んでください / choose a health centre with --center: {}",
                codes.join(", ")
            )
        }
    }
}

async fn find(within: &Within<'_>, number: &str) -> anyhow::Result<PatientId> {
    let found = within.patients_after(Some(number), None, 1).await?;
    let found = found.first().with_context(|| {
        format!("管理番号 {number} の患者はいません / no patient has the number {number}")
    })?;
    Ok(found.id)
}

async fn day(
    store: &Store,
    within: &Within<'_>,
    now: Timestamp,
    center: HealthCenter,
    patient: PatientId,
    date: Date,
    standing: &Standing,
) -> anyhow::Result<Day> {
    let Standing { terms: standing, questionnaires } = standing;
    let plan = within.care_plan(patient, (date, date)).await?;
    let book = store.campaigns(now).await?;
    let waiting = waiting(store, now, patient, questionnaires.as_deref()).await?;
    let episode = plan.episode.as_ref().map(|(episode, _)| episode);
    let campaign = episode.and_then(|it| book.campaign_of(center.id, &it.arrangement));
    let campaign = campaign.map(|campaign| (campaign.name.clone(), campaign.state.label()));
    let mut slots = Vec::new();
    let stored = plan.slots.iter().filter(|slot| slot.date == date);
    for slot in stored {
        let attempts: Vec<Attempt> =
            plan.attempts.iter().filter(|attempt| attempt.slot == slot.id).cloned().collect();
        let terms = book.of_slot(slot.campaign, standing);
        let ahead = Ahead { now, center: &center, book: &book, plan: &plan, terms: &terms };
        slots.push(ahead.slot(slot.clone(), attempts, &waiting));
    }
    let not_called = why_none(&plan, date);
    if slots.is_empty()
        && not_called.is_none()
        && date >= civil(now).date()
        && let Some(episode) = episode
    {
        let terms = book.in_force(center.id, &episode.arrangement, standing);
        let ahead = Ahead { now, center: &center, book: &book, plan: &plan, terms: &terms };
        for new in book.slots_on(date, episode, &center, standing) {
            slots.push(ahead.slot(new.to_come(store.mint(now)), Vec::new(), &waiting));
        }
    }
    Ok(Day { date, center, plan, campaign, not_called, slots })
}

/// Why each attempt waits whose time has come.
async fn waiting(
    store: &Store,
    now: Timestamp,
    patient: PatientId,
    known: Option<&Questionnaires>,
) -> anyhow::Result<Vec<(AttemptId, Waiting)>> {
    let nodes = store.node_statuses().await?;
    let nodes: Vec<_> = nodes.iter().filter(|node| node.is_here(now)).collect();
    let statuses = store.trunk_statuses().await?;
    let groups = Services::groups(now, &nodes, &statuses);
    let trunks: Vec<&str> = statuses.iter().map(|trunk| trunk.trunk.as_str()).collect();
    let services = Services {
        nodes: &nodes,
        trunks: &trunks,
        trunk_groups: groups.as_deref(),
        questionnaires: known.map(|known| &**known.keys()),
    };
    Ok(store.waiting(now, &services, patient).await?)
}

/// What a slot still expects.
struct Ahead<'a> {
    now: Timestamp,
    center: &'a HealthCenter,
    book: &'a Book,
    plan: &'a CarePlan,
    terms: &'a InForce,
}

impl Ahead<'_> {
    fn slot(
        &self,
        slot: Slot,
        attempts: Vec<Attempt>,
        waiting: &[(AttemptId, Waiting)],
    ) -> SlotOfDay {
        let phones = self.plan.patient.callable();
        let window = self.window(slot.date);
        let episode = self.plan.episode.as_ref().map(|(episode, _)| episode);
        let is_held = episode.is_some_and(|it| it.arrangement.held().is_some());
        let (ahead, stop) = if slot.state.is_final() || is_held {
            (Vec::new(), None)
        } else {
            let now = self.now.max(slot.due_from);
            from_here(now, &slot, &attempts, &self.terms.terms, &window, &phones)
        };
        let phone = |n: usize| phones.get(n).cloned();
        SlotOfDay {
            ahead: ahead.into_iter().filter_map(|(at, n)| Some((at, phone(n)?))).collect(),
            stop,
            attempts: attempts
                .into_iter()
                .map(|attempt| {
                    let why = waiting.iter().find(|(id, _)| *id == attempt.id);
                    (attempt, why.map(|(_, why)| *why))
                })
                .collect(),
            slot,
        }
    }

    fn window(&self, date: Date) -> Window {
        let noon = timestamp(date.to_datetime(Time::constant(12, 0, 0, 0)));
        self.book.window(self.terms, self.center, noon)
    }
}

/// Why nobody is called on this day.
fn why_none(plan: &CarePlan, date: Date) -> Option<Bilingual> {
    let fixed = Bilingual::fixed;
    let episode = match &plan.episode {
        None => return Some(fixed("観察の予定がありません", "no observation is planned")),
        Some((_, false)) => return Some(fixed("観察は終了しました", "the observation has ended")),
        Some((episode, true)) => episode,
    };
    if date < episode.first_day {
        return Some(fixed("観察はまだ始まっていません", "the observation has not begun"));
    }
    if date > episode.last_day {
        return Some(fixed("観察期間が終わります", "the observation is over by then"));
    }
    let covers = |pause: &&Pause| pause.ended.is_none() && pause.covers(date);
    if let Some(pause) = plan.pauses.iter().find(covers) {
        let reason = pause.reason.expose();
        let (ja, en) = (format!("休止中: {reason}"), format!("paused: {reason}"));
        return Some(Bilingual::composed(ja, en));
    }
    if !episode.arrangement.weekdays.cover(date) {
        return Some(fixed("約束していない曜日です", "not one of the agreed days"));
    }
    episode.arrangement.held().map(|held| {
        let reason = held.reason();
        Bilingual::composed(
            format!("自動の電話はかけません({})", reason.ja),
            format!("no machine calls ({})", reason.en),
        )
    })
}

fn clock_of(at: Timestamp) -> String {
    civil(at).strftime("%H:%M").to_string()
}

fn as_text(day: &Day) -> String {
    let mut lines = vec![head(day)];
    if let Some((name, state)) = &day.campaign {
        lines.push(format!("計画 / Campaign: {name} ({state})"));
    }
    if let Some((episode, _)) = &day.plan.episode {
        lines.push(agreed(episode));
    }
    if let Some(why) = &day.not_called {
        lines.push(format!("× {why}"));
    }
    if day.slots.is_empty() && day.not_called.is_none() {
        lines.push("この日の枠はありません / no slot on this day".to_owned());
    }
    for one in &day.slots {
        lines.push(String::new());
        lines.extend(slot_lines(one));
    }
    lines.join("\n") + "\n"
}

fn head(day: &Day) -> String {
    let patient = &day.plan.patient;
    format!(
        "{} {} {} ({})",
        day.date,
        patient.registration_number,
        patient.name.expose(),
        day.center.name
    )
}

fn agreed(episode: &Episode) -> String {
    let times: Vec<_> =
        episode.call_times.iter().map(|time| time.strftime("%H:%M").to_string()).collect();
    let times = if times.is_empty() {
        "計画のとおり / the campaign's".to_owned()
    } else {
        times.join(" ")
    };
    format!(
        "観察 / Observation: {} – {}   架電時刻 / Calls at: {times}",
        episode.first_day, episode.last_day
    )
}

fn slot_lines(one: &SlotOfDay) -> Vec<String> {
    let slot = &one.slot;
    let mut lines = vec![format!(
        "{}–{}  {}{}",
        clock_of(slot.due_from),
        clock_of(slot.due_to),
        slot.state.label(),
        slot.reason.as_deref().map(reason).map(|it| format!(" — {it}")).unwrap_or_default()
    )];
    for (attempt, why) in &one.attempts {
        let at = clock_of(attempt.dialed_at.unwrap_or(attempt.due_at));
        let why = why.map(|why| format!(" ({})", why.words())).unwrap_or_default();
        lines.push(format!(
            "  {}. {at} {} {}{why}",
            attempt.number,
            attempt.phone,
            words_of(attempt)
        ));
    }
    if !one.ahead.is_empty() {
        let calls: Vec<_> =
            one.ahead.iter().map(|(at, phone)| format!("{} {phone}", clock_of(*at))).collect();
        lines.push(format!("  応答がなければ / if nobody answers: {}", calls.join(" → ")));
        if let Some(stop) = one.stop {
            lines.push(format!("  その後 / then: {} → 職員の対応 / for staff", stop.explanation()));
        }
    }
    lines
}

/// The plan's own words are explained; what others wrote stands as it is.
fn reason(text: &str) -> String {
    let known = StopReason::ALL.into_iter().find(|stop| stop.as_str() == text);
    known.map_or_else(|| text.to_owned(), |stop| stop.explanation().to_string())
}

fn words_of(attempt: &Attempt) -> String {
    let state = match attempt.state {
        AttemptState::Due => "予定 / due",
        AttemptState::Dialing => "呼出中 / ringing",
        AttemptState::Talking => "通話中 / talking",
        AttemptState::Dropped => "取りやめ / dropped",
        AttemptState::Done => "終了 / over",
    };
    let details = [
        attempt.disposition.map(Disposition::as_str),
        attempt.respondent.map(Respondent::as_str),
        attempt.completion.map(Completion::as_str),
    ];
    let details: Vec<&str> = details.into_iter().flatten().collect();
    if details.is_empty() { state.to_owned() } else { format!("{state}: {}", details.join(", ")) }
}

fn as_json(day: &Day) -> Value {
    let episode = day.plan.episode.as_ref().map(|(episode, is_active)| {
        let times = episode.call_times.iter().map(|time| time.strftime("%T").to_string());
        json!({
            "first_day": episode.first_day.to_string(),
            "last_day": episode.last_day.to_string(),
            "call_times": times.collect::<Vec<_>>(),
            "is_active": is_active,
            "held": episode.arrangement.held().map(Held::as_str),
        })
    });
    let slots = day.slots.iter().map(|one| {
        let attempts = one.attempts.iter().map(|(attempt, why)| {
            json!({
                "number": attempt.number,
                "phone": attempt.phone.to_string(),
                "due_at": attempt.due_at.to_string(),
                "state": attempt.state.as_str(),
                "dialed_at": attempt.dialed_at.map(|at| at.to_string()),
                "ended_at": attempt.ended_at.map(|at| at.to_string()),
                "disposition": attempt.disposition.map(Disposition::as_str),
                "completion": attempt.completion.map(Completion::as_str),
                "waiting": why.map(|why| why.words().en),
            })
        });
        let ahead = one
            .ahead
            .iter()
            .map(|(at, phone)| json!({"at": at.to_string(), "phone": phone.to_string()}));
        json!({
            "from": one.slot.due_from.to_string(),
            "to": one.slot.due_to.to_string(),
            "state": one.slot.state.as_str(),
            "is_open": matches!(one.slot.state, SlotState::Due | SlotState::InProgress),
            "reason": one.slot.reason,
            "attempts": attempts.collect::<Vec<_>>(),
            "if_unanswered": ahead.collect::<Vec<_>>(),
            "then": one.stop.map(StopReason::as_str),
        })
    });
    json!({
        "date": day.date.to_string(),
        "center": day.center.code,
        "patient": day.plan.patient.registration_number,
        "campaign": day.campaign.as_ref().map(|(name, _)| name),
        "episode": episode,
        "not_called": day.not_called.as_ref().map(|why| why.en.clone()),
        "slots": slots.collect::<Vec<_>>(),
    })
}
