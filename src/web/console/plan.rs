//! 架電計画: each patient's times of the day, what came of them, when the next call is, and what a
//! scheduler may ask for by hand.

use std::collections::{BTreeMap, HashMap};

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::response::Response;
use axum::routing::{get, post};
use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::clock::civil;
use crate::base::id::{AttemptId, PatientId};
use crate::base::{Bilingual, address};
use crate::campaign::outlook::next_call;
use crate::campaign::plan::OpenSlot;
use crate::campaign::{Attempt, AttemptState, NewSlot, Slot, SlotState, StopReason};
use crate::registry::{AuditEntry, Episode, Right};
use crate::store::{NotNow, PatientsDay, PlanFilter, PlanPage, Services, Stopped, Waiting, Within};
use crate::web::Desk;
use crate::web::auth::{Nothing, Posted, Viewer, done};
use crate::web::console::words;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

/// Patients on one page.
const PAGE: u32 = 100;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/plan", get(plan))
        .route("/plan/{patient}/call", post(call_now))
        .route("/plan/{patient}/stop", post(stop_today))
}

/// What is asked for by the address of the page.
#[derive(Clone, Debug, Default, Deserialize)]
struct Asked {
    date: Option<Date>,
    #[serde(default)]
    search: String,
    #[serde(default)]
    only: Only,
    #[serde(default)]
    page: u32,
}

/// Which slots are looked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Only {
    #[default]
    All,
    Open,
    Talking,
    Reported,
    Partial,
    Unreached,
    Skipped,
}

impl Only {
    const ALL: [Self; 7] = [
        Self::All,
        Self::Open,
        Self::Talking,
        Self::Reported,
        Self::Partial,
        Self::Unreached,
        Self::Skipped,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Open => "open",
            Self::Talking => "talking",
            Self::Reported => "reported",
            Self::Partial => "partial",
            Self::Unreached => "unreached",
            Self::Skipped => "skipped",
        }
    }

    fn states(self) -> &'static [SlotState] {
        match self {
            Self::All => &[],
            Self::Open => &[SlotState::Due],
            Self::Talking => &[SlotState::InProgress],
            Self::Reported => &[SlotState::Reported],
            Self::Partial => &[SlotState::Partial],
            Self::Unreached => &[SlotState::Unreached, SlotState::Expired],
            Self::Skipped => &[SlotState::Skipped],
        }
    }

    fn name(self) -> Bilingual {
        match self {
            Self::All => Bilingual::fixed("全員", "Everybody"),
            Self::Open => Bilingual::fixed("これから", "To be called"),
            Self::Talking => Bilingual::fixed("架電中", "On the line"),
            Self::Reported => Bilingual::fixed("報告済み", "Reported"),
            Self::Partial => Bilingual::fixed("途中まで", "In part"),
            Self::Unreached => Bilingual::fixed("つながらず", "Not reached"),
            Self::Skipped => Bilingual::fixed("発信しない", "Not called"),
        }
    }
}

fn within<'a>(desk: &'a Desk, viewer: &Viewer) -> Result<Within<'a>, Fault> {
    viewer.must(Right::SeePlan)?;
    Ok(desk.store.within(viewer.scope()?))
}

async fn plan(
    State(desk): State<Desk>,
    viewer: Viewer,
    Query(asked): Query<Asked>,
) -> Result<Markup, Fault> {
    let within = within(&desk, &viewer)?;
    let today = civil(viewer.now).date();
    let date = asked.date.unwrap_or(today);
    let is_ahead = date > today;
    // Tomorrow has no slots yet: nobody is in any state.
    let only = if is_ahead { Only::All } else { asked.only };
    let filter = PlanFilter { search: asked.search.clone(), states: only.states().to_vec() };
    let page = within.plan_of_day(viewer.now, date, &filter, PAGE, asked.page * PAGE).await?;
    let counts = within.slots_by_state(date).await?;
    let foreseen = foresee(&desk, &within.days_of(date).await?, &page, date);
    let entry = AuditEntry { object: date.to_string(), ..viewer.audit("plan.viewed") };
    desk.store.audit(viewer.now, &entry).await?;
    let waiting =
        if date == today { waiting(&desk, viewer.now, &page).await? } else { HashMap::new() };
    let shown = Shown { desk: &desk, viewer: &viewer, asked: &asked, only, date, today, waiting };
    let title = Bilingual::fixed("架電計画", "Plan of calls");
    Ok(ui::page(&viewer, Section::Plan, &title, &shown.body(&page, &counts, &foreseen)))
}

/// Why the attempts wait whose time has come: of those few patients only who have one.
async fn waiting(
    desk: &Desk,
    now: Timestamp,
    page: &PlanPage,
) -> Result<HashMap<AttemptId, Waiting>, Fault> {
    let is_overdue =
        |attempt: &Attempt| attempt.state == AttemptState::Due && attempt.due_at <= now;
    let overdue = page
        .patients
        .iter()
        .filter(|day| day.slots.iter().flat_map(|(_, attempts)| attempts).any(is_overdue));
    let overdue: Vec<PatientId> = overdue.map(|day| day.patient.id).collect();
    let mut waiting = HashMap::new();
    if overdue.is_empty() {
        return Ok(waiting);
    }
    let nodes = desk.store.node_statuses().await?;
    let nodes: Vec<_> = nodes.iter().filter(|node| node.is_here(now)).collect();
    let statuses = desk.store.trunk_statuses().await?;
    let groups = Services::groups(now, &nodes, &statuses);
    let trunks: Vec<&str> = statuses.iter().map(|trunk| trunk.trunk.as_str()).collect();
    let services = Services {
        nodes: &nodes,
        trunks: &trunks,
        trunk_groups: groups.as_deref(),
        questionnaires: Some(desk.questionnaires.keys()),
    };
    for patient in overdue {
        waiting.extend(desk.store.waiting(now, &services, patient).await?);
    }
    Ok(waiting)
}

/// How many slots begin in which hour, by the same rule by which the worker opens them.
fn foresee(desk: &Desk, episodes: &[Episode], page: &PlanPage, date: Date) -> Vec<(i8, u32)> {
    let mut hours: BTreeMap<i8, u32> = BTreeMap::new();
    for episode in episodes {
        let slots = page.book.slots_on(date, episode, &page.center, &desk.terms);
        for slot in slots.iter().filter(|slot| slot.rest.is_none()) {
            *hours.entry(civil(slot.due_from).hour()).or_default() += 1;
        }
    }
    hours.into_iter().collect()
}

/// Everything that the parts of the page need.
struct Shown<'a> {
    desk: &'a Desk,
    viewer: &'a Viewer,
    asked: &'a Asked,
    only: Only,
    date: Date,
    today: Date,
    /// Why attempts wait whose time has come.
    waiting: HashMap<AttemptId, Waiting>,
}

impl Shown<'_> {
    fn say<'s>(&self, ja: &'s str, en: &'s str) -> &'s str {
        self.viewer.say(ja, en)
    }

    fn address(&self, date: Date, only: Only, page: u32) -> String {
        let query = address::query([
            ("date", date.to_string().as_str()),
            ("only", only.as_str()),
            ("search", &self.asked.search),
            ("page", &page.to_string()),
        ]);
        format!("/plan?{query}")
    }

    fn body(&self, page: &PlanPage, counts: &[(SlotState, u32)], foreseen: &[(i8, u32)]) -> Markup {
        let is_ahead = self.date > self.today;
        let count = |only: Only| -> u32 {
            counts.iter().filter(|(state, _)| only.states().contains(state)).map(|(_, n)| n).sum()
        };
        html! {
            (self.days())
            (self.hours(foreseen, is_ahead))
            form.row method="get" action="/plan" role="search" {
                input type="hidden" name="date" value=(self.date);
                input type="hidden" name="only" value=(self.only.as_str());
                label { (self.say("氏名・カナ・管理番号・電話番号", "Name, kana, number or telephone"))
                    input type="search" name="search" value=(self.asked.search);
                }
                button type="submit" { (ui::icon(Icon::Look)) (self.say("検索", "Search")) }
            }
            @if is_ahead {
                p.notice.check { (ui::icon(Icon::Clock)) (self.say(
                    "まだ先の日の見込みです。登録や時刻の変更で変わります。",
                    "This is what is foreseen; it changes with every list and every change of times.",
                )) }
            } @else {
                nav.tabs aria-label=(self.say("絞り込み", "Filter")) {
                    @for only in Only::ALL {
                        a href=(self.address(self.date, only, 0))
                            aria-current=[(only == self.only).then_some("true")] {
                            (self.viewer.tell(&only.name()))
                            @if only != Only::All { " " (count(only)) }
                        }
                    }
                }
            }
            @if page.patients.is_empty() {
                (ui::empty(self.say("該当する方はいません。", "Nobody.")))
            } @else {
                (self.table(page))
                (self.pages(page.total))
            }
        }
    }

    fn days(&self) -> Markup {
        let go = |date: Date, text: &str| {
            html! {
                a.button href=(self.address(date, self.only, 0))
                    aria-current=[(date == self.date).then_some("date")] { (text) }
            }
        };
        html! {
            div.row.no-print {
                @if let Ok(before) = self.date.yesterday() { (go(before, self.say("◀ 前の日", "◀ Day before"))) }
                (go(self.today, self.say("今日", "Today")))
                @if let Ok(after) = self.today.tomorrow() { (go(after, self.say("明日の見込み", "Tomorrow"))) }
                form.row method="get" action="/plan" {
                    label.inline { (self.say("日付", "Date"))
                        input type="date" name="date" value=(self.date);
                    }
                    button type="submit" { (self.say("表示", "Show")) }
                }
            }
            h2 { (self.date) "（" (weekday(self.date)) "）" }
        }
    }

    fn hours(&self, foreseen: &[(i8, u32)], is_ahead: bool) -> Markup {
        let most = foreseen.iter().map(|(_, n)| *n).max().unwrap_or(1);
        let total: u32 = foreseen.iter().map(|(_, n)| *n).sum();
        html! {
            details open[is_ahead] {
                summary { (self.say("時間帯ごとの予定", "By hour")) " (" (total) (self.say(" 件", " calls")) ")" }
                div.scroll { table {
                    thead { tr {
                        th scope="col" { (self.say("時間帯", "Hour")) }
                        th.number scope="col" { (self.say("最初の架電", "First calls")) }
                        th scope="col" { span.visually-hidden { (self.say("割合", "Share")) } }
                    } }
                    tbody { @for (hour, n) in foreseen {
                        tr {
                            th scope="row" { (hour) ":00" }
                            td.number { (n) }
                            td { meter min="0" max=(most) value=(n) aria-label=(format!("{hour}:00")) { (n) } }
                        }
                    } }
                } }
            }
        }
    }

    fn table(&self, page: &PlanPage) -> Markup {
        html! {
            div.scroll tabindex="0" {
                table {
                    caption { (page.total) (self.say(" 人", " people")) }
                    thead { tr {
                        th scope="col" { (self.say("氏名", "Name")) }
                        th scope="col" { (self.say("観察期間", "Days")) }
                        th scope="col" { (self.say("この日の架電", "Calls of the day")) }
                        th scope="col" { (self.say("次の架電", "Next call")) }
                        @if self.may_change() { th scope="col" { (self.say("操作", "Actions")) } }
                    } }
                    tbody { @for day in &page.patients { (self.patient(day, page)) } }
                }
            }
        }
    }

    fn may_change(&self) -> bool {
        self.date == self.today && self.viewer.may(Right::ChangePlan)
    }

    fn patient(&self, day: &PatientsDay, page: &PlanPage) -> Markup {
        let patient = &day.patient;
        let slots = self.slots_of(day, page);
        let next = slots.iter().filter_map(|one| one.next).min();
        html! {
            tr {
                th scope="row" {
                    a href={ "/patients/" (patient.id) } { (patient.name.expose()) }
                    div.small.muted { (patient.kana.expose()) " · " (patient.registration_number) }
                }
                td.nowrap { (day.episode.first_day.strftime("%m/%d")) "〜" (day.episode.last_day.strftime("%m/%d")) }
                td {
                    @if slots.is_empty() { span.muted { (self.say("予定なし", "none")) } }
                    ul.plain { @for slot in &slots { li { (self.slot(slot)) } } }
                }
                td.nowrap {
                    @if let Some(reason) = &day.paused {
                        (ui::badge("badge muted", Icon::Pause, self.say("休止中", "Paused")))
                        div.small { (reason.expose()) }
                    } @else if let Some(held) = day.episode.arrangement.held() {
                        (ui::badge("badge muted", Icon::Person, self.say("自動で発信しない", "No machine calls")))
                        div.small { (self.viewer.tell(&held.reason())) }
                    } @else { (self.next(next, &slots)) }
                }
                @if self.may_change() { td { (self.actions(day, &slots)) } }
            }
        }
    }

    /// The slots that are stored, or those that will be opened.
    fn slots_of(&self, day: &PatientsDay, page: &PlanPage) -> Vec<Planned> {
        let next = |slot: &Slot, attempts: &[Attempt]| {
            if day.paused.is_some() {
                return None;
            }
            let terms = page.book.of_slot(slot.campaign, &self.desk.terms);
            let calendar = page.book.calendar(page.center.id);
            let open = OpenSlot {
                slot,
                attempts,
                phones: day.patient.callable(),
                window: terms.terms.day(slot.date, &page.center, &calendar).window,
                emergency_at: day.emergency_at,
                terms: &terms,
                held: day.episode.arrangement.held(),
            };
            next_call(self.viewer.now, &open)
        };
        if !day.slots.is_empty() || self.date < self.today {
            return day
                .slots
                .iter()
                .map(|(slot, attempts)| Planned {
                    next: next(slot, attempts),
                    slot: slot.clone(),
                    attempts: attempts.clone(),
                })
                .collect();
        }
        page.book
            .slots_on(self.date, &day.episode, &page.center, &self.desk.terms)
            .into_iter()
            .map(|slot| {
                let slot = slot.to_come(self.desk.store.mint(self.viewer.now));
                Planned { next: next(&slot, &[]), slot, attempts: Vec::new() }
            })
            .collect()
    }

    fn slot(&self, one: &Planned) -> Markup {
        let slot = &one.slot;
        let (class, icon) = slot_shape(slot.state);
        html! {
            span.nowrap { (clock(slot.due_from)) "–" (clock(slot.due_to)) }
            @if let Some(kind) = slot.kind.remark() { " " span.small { (self.viewer.tell(&kind)) } }
            " " (ui::badge(class, icon, self.viewer.tell(&slot.state.label())))
            @if let Some(reason) = &slot.reason { " " span.small { (self.viewer.tell(&reason_words(reason))) } }
            @if !one.attempts.is_empty() {
                ol.small.plain {
                    @for attempt in &one.attempts {
                        li { (attempt.number) (self.say("回目 ", ". ")) (self.attempt(attempt)) }
                    }
                }
            }
        }
    }

    fn attempt(&self, attempt: &Attempt) -> Markup {
        let at = clock(attempt.dialed_at.unwrap_or(attempt.due_at));
        let text = match (attempt.state, attempt.disposition) {
            (AttemptState::Due, _) => Bilingual::fixed("予定", "due"),
            (AttemptState::Dialing, _) => Bilingual::fixed("呼出中", "ringing"),
            (AttemptState::Talking, _) => Bilingual::fixed("通話中", "talking"),
            (AttemptState::Dropped, _) => Bilingual::fixed("取りやめ", "dropped"),
            (AttemptState::Done, Some(disposition)) => {
                words::outcome(disposition, attempt.respondent, attempt.completion)
            }
            (AttemptState::Done, None) => Bilingual::fixed("終了", "over"),
        };
        let why = self.waiting.get(&attempt.id).map(|why| why.words());
        html! {
            (at) " " (self.viewer.tell(&text)) " " span.muted { (attempt.phone.to_string()) }
            @if let Some(why) = &why { " " strong { (self.viewer.tell(why)) } }
        }
    }

    fn next(&self, next: Option<Timestamp>, slots: &[Planned]) -> Markup {
        let is_on_the_line = slots.iter().any(|one| one.slot.state == SlotState::InProgress);
        html! {
            @if is_on_the_line { (ui::badge("badge check", Icon::Phone, self.say("架電中", "On the line"))) }
            @else if let Some(next) = next {
                strong { (clock(next)) }
                @if !self.viewer.dialing.is_running && self.date == self.today {
                    div { (ui::badge("badge act", Icon::Stop, self.say("発信停止中", "Calls are stopped"))) }
                }
            } @else { span.muted { (self.say("なし", "none")) } }
        }
    }

    fn actions(&self, day: &PatientsDay, slots: &[Planned]) -> Markup {
        let patient = day.patient.id;
        let is_on_the_line = slots.iter().any(|one| one.slot.state == SlotState::InProgress);
        let has_reported = slots.iter().any(|one| one.slot.state == SlotState::Reported);
        let question = if has_reported {
            self.say(
                "今日はすでに回答があります。もう一度電話しますか。",
                "There is a report today. Call again?",
            )
        } else {
            self.say("この方に今すぐ電話しますか。", "Call this patient now?")
        };
        html! {
            div.row.no-print {
                @if !is_on_the_line && day.paused.is_none() && self.viewer.dialing.is_running {
                    form method="post" action={ "/plan/" (patient) "/call" } {
                        (ui::csrf(self.viewer))
                        button type="submit" data-confirm=(question) { (ui::icon(Icon::Phone)) (self.say("今すぐ", "Call now")) }
                    }
                }
                @if slots.iter().any(|one| !one.slot.state.is_final()) {
                    details {
                        summary { (self.say("今日は止める", "None today")) }
                        form.stack method="post" action={ "/plan/" (patient) "/stop" } {
                            (ui::csrf(self.viewer))
                            label { (self.say("理由", "Reason"))
                                select name="reason" required {
                                    option value="" { (self.say("選んでください", "Choose")) }
                                    @for reason in &REASONS {
                                        option value=(reason.ja) { (self.viewer.tell(reason)) }
                                    }
                                }
                            }
                            button type="submit" { (ui::icon(Icon::Pause)) (self.say("今日の架電を止める", "Call no more today")) }
                        }
                    }
                }
            }
        }
    }

    fn pages(&self, total: u32) -> Markup {
        let n_pages = total.div_ceil(PAGE).max(1);
        let page = self.asked.page;
        html! {
            @if n_pages > 1 {
                nav.row aria-label=(self.say("ページ", "Pages")) {
                    @if page > 0 { a href=(self.address(self.date, self.only, page - 1)) { (self.say("前へ", "Previous")) } }
                    span { (page + 1) " / " (n_pages) }
                    @if page + 1 < n_pages { a href=(self.address(self.date, self.only, page + 1)) { (self.say("次へ", "Next")) } }
                }
            }
        }
    }
}

/// A slot with its attempts, and when its next call is due.
struct Planned {
    slot: Slot,
    attempts: Vec<Attempt>,
    next: Option<Timestamp>,
}

/// Why somebody is not to be called today.
static REASONS: [Bilingual; 6] = [
    Bilingual::fixed("本人・家族の希望", "The patient or the family wishes so"),
    Bilingual::fixed("入院", "In hospital"),
    Bilingual::fixed("職員が直接連絡済み", "Staff have spoken with the patient"),
    Bilingual::fixed("訪問予定", "A visit is planned"),
    Bilingual::fixed("番号の確認中", "The number is being checked"),
    Bilingual::fixed("その他", "Other"),
];

fn slot_shape(state: SlotState) -> (&'static str, Icon) {
    match state {
        SlotState::Due => ("badge", Icon::Clock),
        SlotState::InProgress => ("badge check", Icon::Phone),
        SlotState::Reported => ("badge good", Icon::Check),
        SlotState::Partial | SlotState::Unreached | SlotState::Expired => {
            ("badge caution", Icon::Caution)
        }
        SlotState::Skipped => ("badge muted", Icon::Pause),
    }
}

/// Why a slot is closed: the plan's own words are explained, what staff and other channels wrote
/// stands as it is.
fn reason_words(reason: &str) -> Bilingual {
    let stop = StopReason::ALL.into_iter().find(|stop| stop.as_str() == reason);
    let chosen = REASONS.iter().find(|known| known.ja == reason).cloned();
    stop.map(StopReason::explanation)
        .or(chosen)
        .unwrap_or_else(|| Bilingual::composed(reason.to_owned(), reason.to_owned()))
}

fn clock(at: Timestamp) -> String {
    civil(at).strftime("%H:%M").to_string()
}

fn weekday(date: Date) -> &'static str {
    ["月", "火", "水", "木", "金", "土", "日"]
        [usize::try_from(date.weekday().to_monday_zero_offset()).unwrap_or(0)]
}

async fn call_now(
    State(desk): State<Desk>,
    Path(patient): Path<PatientId>,
    Posted { viewer, form: Nothing {} }: Posted<Nothing>,
) -> Result<Response, Fault> {
    viewer.must(Right::ChangePlan)?;
    let within = within(&desk, &viewer)?;
    let entry = viewer.audit("plan.call_asked");
    let asked = within.call_now(viewer.now, patient, &desk.terms, &entry).await?;
    match asked {
        Ok(_) => Ok(done(
            "/plan",
            viewer.say(
                "架電を予約しました。回線が空き次第、電話します(同じ番号へは3分以上あけます)。",
                "The call is asked for. It is placed as soon as a line is free, three minutes after the last call \
                 to the same number.",
            ),
        )),
        Err(reason) => Err(Fault::Conflict(not_now(reason))),
    }
}

fn not_now(reason: NotNow) -> Bilingual {
    match reason {
        NotNow::Stopped => {
            Bilingual::fixed("すべての架電を停止しています。", "All calls are stopped.")
        }
        NotNow::NotObserved => Bilingual::fixed(
            "この方は今日の観察の対象ではありません。",
            "The patient is not under observation today.",
        ),
        NotNow::OutsideHours => Bilingual::fixed(
            "架電できる時間ではありません(保健所の時間内、8時から20時まで)。",
            "It is outside the hours of calls (those of the centre, within 8:00 to 20:00).",
        ),
        NotNow::Paused => Bilingual::fixed(
            "この方は架電を休止しています。患者の画面で再開してください。",
            "A pause holds: end it on the page of the patient first.",
        ),
        NotNow::OnTheLine => {
            Bilingual::fixed("この方にはいま電話しています。", "The patient is being called.")
        }
        NotNow::KeptFree(until) => Bilingual::composed(
            format!(
                "緊急の回答があったため、{}まで自動の電話をかけません。職員から電話してください。",
                clock(until)
            ),
            format!(
                "After an urgent answer no machine calls until {}: please call yourself.",
                clock(until)
            ),
        ),
        NotNow::CampaignRests(state) => Bilingual::composed(
            format!("この方の架電計画は「{}」です。", state.label().ja),
            format!("The patient's campaign is {}.", state.label().en),
        ),
        NotNow::Held(_) => Bilingual::fixed(
            "自動の電話をかけないよう指示されています。職員から電話してください。",
            "No machine may call this patient: please call yourself.",
        ),
        NotNow::NoFreeSlot => Bilingual::fixed(
            "今日はもう電話の予定を追加できません。職員から電話してください。",
            "No more calls can be added today: please call yourself.",
        ),
        NotNow::NoPhone => {
            Bilingual::fixed("電話番号が登録されていません。", "No telephone is registered.")
        }
    }
}

/// Why a patient is not called today.
#[derive(Debug, Deserialize)]
struct Stop {
    reason: String,
}

async fn stop_today(
    State(desk): State<Desk>,
    Path(patient): Path<PatientId>,
    Posted { viewer, form }: Posted<Stop>,
) -> Result<Response, Fault> {
    viewer.must(Right::ChangePlan)?;
    let within = within(&desk, &viewer)?;
    let reason = REASONS.iter().find(|known| known.ja == form.reason).ok_or_else(|| {
        Fault::Invalid(Bilingual::fixed("理由を選んでください。", "Please choose a reason."))
    })?;
    let today = civil(viewer.now).date();
    let center = within.health_center().await?;
    let book = desk.store.campaigns(viewer.now).await?;
    let planned: Vec<NewSlot> = within
        .episode_of(patient)
        .await?
        .map(|episode| book.slots_on(today, &episode, &center, &desk.terms))
        .unwrap_or_default()
        .into_iter()
        .filter(|slot| slot.due_to > viewer.now)
        .collect();
    let entry = AuditEntry { detail: reason.ja.to_string(), ..viewer.audit("plan.stopped_today") };
    let stopped = within.stop_today(viewer.now, patient, &planned, &reason.ja, &entry).await?;
    let Stopped { skipped, on_the_line } = stopped;
    let text = match (viewer.say("ja", "en"), on_the_line) {
        ("ja", false) => format!("今日の架電を止めました({skipped} 件)。"),
        ("ja", true) => {
            format!("今日の残りの架電を止めました({skipped} 件)。いまの通話は続きます。")
        }
        (_, false) => format!("No more calls today ({skipped} slots)."),
        (_, true) => format!("No more calls today ({skipped} slots); the call under way goes on."),
    };
    Ok(done("/plan", &text))
}
