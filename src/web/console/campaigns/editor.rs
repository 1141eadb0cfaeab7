//! One campaign on one page: its terms as a form, what they mean in plain words, what a day by them
//! looks like, whether the lines bear it, and the versions that were published.

use std::time::Duration;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::campaign::capacity::{Estimate, Habits, Load, Measured, estimate};
use crate::campaign::example::{Example, unanswered};
use crate::campaign::programme::{Caps, State as Stands, Version};
use crate::campaign::terms::Stock;
use crate::campaign::{Calendar, Campaign, Terms};
use crate::registry::{Arrangement, AuditEntry, Episode, HealthCenter, Right};
use crate::store::{CampaignChange, Effect, NodeStatus, TrunkStatus, TrunkWord, Within};
use crate::web::Desk;
use crate::web::auth::{Posted, Viewer, done};
use crate::web::console::campaigns::form::{Form, RETRY_COLUMNS};
use crate::web::console::campaigns::words::{
    self, Choice, HOLIDAYS, RECORDINGS, RETRIES, SHORT_SCRIPTS, WEEKDAYS,
};
use crate::web::console::campaigns::{
    InHand, actions, in_force, named, not_so, starting, state, within,
};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

/// Calls of so many days tell what calls are like.
const MEASURED_DAYS: u64 = 14;

/// More lines than any carrier gives, so that a slip of the finger is no cap.
const MOST_LINES: u32 = 10_000;

/// A telephone for the example; it is never dialled nor shown.
const SOMEBODY: &str = "090-1234-5678";

pub(super) async fn show(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    viewer: Viewer,
) -> Result<Markup, Fault> {
    let within = within(&desk, &viewer, Right::SeePlan)?;
    let campaign = within.campaign(viewer.now, named(&id)?).await?;
    let sheet = Sheet::of(&desk, &viewer, &within, campaign).await?;
    let form = Form::of(&sheet.campaign.name, &sheet.terms);
    Ok(sheet.page(&form))
}

/// Everything that the page shows.
struct Sheet<'a> {
    viewer: &'a Viewer,
    campaign: Campaign,
    /// The draft, or what was published last.
    terms: Terms,
    versions: Vec<Version>,
    center: HealthCenter,
    calendar: Calendar,
    in_hand: InHand,
    /// What the terms may name.
    stock: Stock,
    measured: Measured,
    /// What the trunks bear; `None` if no service runs.
    lines: Option<u32>,
    /// Somebody to whom the terms are shown.
    somebody: Episode,
}

impl<'a> Sheet<'a> {
    async fn of(
        desk: &Desk,
        viewer: &'a Viewer,
        within: &Within<'_>,
        campaign: Campaign,
    ) -> Result<Self, Fault> {
        let versions = within.campaign_versions(viewer.now, campaign.id).await?;
        let latest = versions.first().map_or(&desk.terms, |latest| &latest.terms);
        let terms = campaign.draft.clone().unwrap_or_else(|| Terms::clone(latest));
        let since = viewer.now - Duration::from_hours(24 * MEASURED_DAYS);
        let nodes = desk.store.node_statuses().await?;
        let trunks = desk.store.trunk_statuses().await?;
        let lines = lines_here(&nodes, &trunks, terms.trunk_group.as_deref(), viewer.now);
        let today = civil(viewer.now).date();
        Ok(Self {
            viewer,
            terms,
            versions,
            center: within.health_center().await?,
            calendar: within.closures(viewer.now).await?,
            in_hand: InHand::of(within, viewer).await?,
            stock: desk.stock(viewer.now, within).await?,
            measured: within.measured_calls(since).await?,
            lines,
            somebody: Episode {
                id: desk.store.mint(viewer.now),
                patient: desk.store.mint(viewer.now),
                first_day: today,
                last_day: Date::MAX,
                call_times: Vec::new(),
                arrangement: Arrangement::default(),
            },
            campaign,
        })
    }

    fn say<'s>(&self, ja: &'s str, en: &'s str) -> &'s str {
        self.viewer.say(ja, en)
    }

    fn may_change(&self) -> bool {
        let is_over = matches!(self.campaign.state, Stands::Ended | Stands::Archived);
        !is_over && self.viewer.may(Right::ChangePlan)
    }

    fn page(&self, form: &Form) -> Markup {
        let campaign = &self.campaign;
        let title = Bilingual::composed(
            format!("架電の設計: {}", campaign.name),
            format!("Campaign: {}", campaign.name),
        );
        let body = html! {
            p { a href="/campaigns" { (self.say("◀ 計画の一覧", "◀ All campaigns")) } }
            section.card aria-labelledby="stand" {
                div.row.between {
                    div.row {
                        h2 #stand.visually-hidden { (self.say("いまの状態", "Where it stands")) }
                        (state(self.viewer, campaign)) (starting(self.viewer, campaign))
                        span { (self.say("対象者(今日)", "Patients today")) " " strong { (self.in_hand.patients(campaign)) } }
                        span { (self.say("使用中の回線", "Lines in use")) " " strong { (self.in_hand.lines(campaign)) } }
                        a href="/plan" { (self.say("今日だれに電話するか、しない理由(架電計画)", "Who is called today, who is not, and why")) }
                    }
                    @if self.viewer.may(Right::ChangePlan) { (actions(self.viewer, campaign)) }
                }
            }
            @for fault in &in_force(campaign, &self.stock) {
                p.notice.act { (ui::icon(Icon::Alert)) (self.say("公開中の版: ", "The version in force: ")) (self.viewer.tell(fault)) }
            }
            div.campaign {
                div { (self.terms_form(form)) }
                aside.side aria-label=(self.say("この内容の意味", "What it means")) {
                    (self.meaning()) (self.example()) (self.capacity())
                }
            }
            @if self.may_change() { (self.live()) }
            (self.history())
        };
        ui::page(self.viewer, Section::Campaigns, &title, &body)
    }

    fn terms_form(&self, form: &Form) -> Markup {
        let fields = Fields { viewer: self.viewer, form };
        html! {
            form.stack.terms method="post" action={ "/campaigns/" (self.campaign.id) } {
                (ui::csrf(self.viewer))
                @if form.is_faulty() {
                    p.notice.act role="alert" { (ui::icon(Icon::Alert)) (self.say(
                        "保存していません。赤い欄を直してください。",
                        "Nothing is saved. Please look at the fields in red.",
                    )) }
                }
                (fields.text("name", self.say("名前", "Name"), 60))
                fieldset {
                    legend { (self.say("発信する曜日と時間", "Days and hours of calls")) }
                    (fields.week())
                    (fields.choice("holidays", self.say("祝日と休業日", "Holidays and closures"), &HOLIDAYS))
                }
                fieldset {
                    legend { (self.say("標準の時刻(約束のない方)", "Usual times (for those without agreed ones)")) }
                    div.row {
                        @for n in 0..crate::campaign::schedule::SLOTS_A_DAY {
                            (fields.time(&format!("time{n}"), &format!("{}", n + 1)))
                        }
                    }
                    div.row {
                        (fields.number("tolerance", self.say("許容時間(分)", "Tolerance (minutes)"), 30, 480))
                        (fields.time("last_daytime_start", self.say("日中の最後の時刻", "Last time of daytime")))
                    }
                }
                fieldset {
                    legend { (self.say("つながらないとき", "If nobody answers")) }
                    (fields.number("attempts", self.say("1つの時刻あたりの発信回数", "Calls for each time"), 1, 6))
                    (fields.retries())
                    details.form {
                        summary { (self.say("そのほかの間隔", "Other delays")) }
                        div.row {
                            (fields.number("incomplete", self.say("途中で切れたとき(分)", "After an incomplete call (min)"), 3, 480))
                            (fields.number("resumptions", self.say("続きからの再開(回)", "Resumptions"), 0, 6))
                            (fields.number("next_phone_from", self.say("次の番号にかける回", "Next telephone from call"), 1, 6))
                            (fields.number("trunk_fault", self.say("回線の故障のあと(分)", "After a fault of the trunk (min)"), 3, 60))
                            (fields.number("trunk_fault_longest", self.say("その最長(分)", "At most (min)"), 3, 120))
                            (fields.number("after_emergency", self.say("緊急回答のあと電話を空ける(分)", "Line kept free after an emergency (min)"), 0, 1440))
                        }
                    }
                }
                fieldset {
                    legend { (self.say("連絡がとれない方", "Those who are silent")) }
                    div.row {
                        (fields.time("review_at", self.say("未応答一覧", "List")))
                        (fields.time("decide_at", self.say("安否確認の協議", "Decision")))
                        (fields.time("escalate_at", self.say("上申", "Escalation")))
                    }
                    div.row {
                        (fields.time("night_at", self.say("夜の一覧(寝る前の枠)", "List of the night (evening slots)")))
                        (fields.time("night_escalate_at", self.say("夜の上申", "Escalation of the night")))
                    }
                    div.row {
                        (fields.number("frail_after_attempts", self.say("高リスク・独居の方を知らせる回数", "High risk or alone: after calls"), 1, 6))
                        (fields.number("absence_hours", self.say("無報告の警告(時間)", "Alarm without a report (hours)"), 12, 72))
                    }
                }
                fieldset {
                    legend { (self.say("問診・録音・回線", "Script, recordings, trunks")) }
                    (fields.stocked("questionnaire", self.say("問診票", "Questionnaire"), None, &self.stock.questionnaires))
                    (fields.stocked(
                        "rules",
                        self.say("判定のルール", "Rules that judge the answers"),
                        Some(self.say("保健所でその日に有効なルール", "Those in force for the centre on the day")),
                        &self.stock.rules,
                    ))
                    (fields.choice("short_script", self.say("短い問診", "Short script"), &SHORT_SCRIPTS))
                    (fields.choice("recording", self.say("残す録音", "Recordings kept"), &RECORDINGS))
                    (fields.text("trunk_group", self.say("回線グループ(空欄はすべて)", "Trunk group (empty: any)"), 40))
                }
                @if self.may_change() { (self.buttons()) }
            }
        }
    }

    fn buttons(&self) -> Markup {
        let asks_now = self.say(
            "今日これからの電話も、この内容に変わります。公開しますか。",
            "The calls that are left of today follow it, too. Publish?",
        );
        html! {
            div.row {
                button type="submit" name="then" value="save" { (ui::icon(Icon::Note)) (self.say("下書きを保存", "Save the draft")) }
                button.primary type="submit" name="then" value="tomorrow" { (self.say("公開する(明日から)", "Publish from tomorrow")) }
                button type="submit" name="then" value="now" data-confirm=(asks_now) { (self.say("公開する(今すぐ)", "Publish now")) }
            }
        }
    }

    fn meaning(&self) -> Markup {
        let mut faults = self.terms.faults();
        faults.extend(self.terms.missing(&self.stock));
        let mut warnings = self.terms.warnings(&self.center);
        if let (Some(group), Some(0)) = (&self.terms.trunk_group, self.lines) {
            warnings.push(Bilingual::composed(
                format!("回線グループ「{group}」の回線が、いま動いていません"),
                format!("no trunk of the group “{group}” is up"),
            ));
        }
        html! {
            section.card {
                h2 { (self.say("この内容では", "By these terms")) }
                @for fault in &faults {
                    p.notice.act { (ui::icon(Icon::Alert)) (self.say("公開できません: ", "Cannot be published: ")) (self.viewer.tell(fault)) }
                }
                @for warning in &warnings {
                    p.notice.caution { (ui::icon(Icon::Caution)) (self.viewer.tell(warning)) }
                }
                ul { @for sentence in words::summary(&self.terms) { li { (self.viewer.tell(&sentence)) } } }
                @if self.campaign.draft.is_some() {
                    p.hint { (self.say("保存した下書きの内容です。まだ公開していません。", "This is the draft as it was saved; it is not published.")) }
                }
            }
        }
    }

    /// The first of the coming days on which somebody is called.
    fn coming_day(&self) -> Date {
        let today = civil(self.viewer.now).date();
        let rests = |day: &Date| self.terms.day(*day, &self.center, &self.calendar).rest.is_some();
        let days = today.series(jiff::ToSpan::days(1)).take(14);
        days.into_iter().find(|day| !rests(day)).unwrap_or(today)
    }

    fn example_day(&self, day: Date) -> Vec<Example> {
        let window = self.terms.day(day, &self.center, &self.calendar).window;
        let slots = self.terms.slots_on(day, &self.somebody, &self.center, &self.calendar);
        let phones: Vec<_> = SOMEBODY.parse().into_iter().collect();
        unanswered(&slots, &self.terms, &window, &phones)
    }

    fn example(&self) -> Markup {
        let day = self.coming_day();
        let slots = if self.is_usable() { self.example_day(day) } else { Vec::new() };
        html! {
            section.card {
                h2 { (self.say("ある方の一日(出られなかった場合)", "A day of somebody who never answers")) }
                p.small.muted { (day) "（" (self.viewer.tell(weekday(day))) "）" }
                @if slots.is_empty() { (ui::empty(self.say("電話しません。", "No calls."))) }
                @for slot in &slots {
                    ol.plain {
                        @for (at, _) in &slot.calls {
                            li { strong { (clock(*at)) } " " (self.say("発信 → 応答なし", "call → no answer")) }
                        }
                    }
                    p.small {
                        @if let Some(rest) = &slot.rest { (rest.reason()) }
                        @if let Some(stop) = slot.stop { "→ " (self.viewer.tell(&stop.explanation())) }
                    }
                }
            }
        }
    }

    /// Terms with faults may make no day at all.
    fn is_usable(&self) -> bool {
        self.terms.faults().is_empty()
    }

    fn capacity(&self) -> Markup {
        let measured = self.measured.habits();
        let habits = measured.unwrap_or(Habits::ASSUMED);
        let lines = [self.lines, self.campaign.caps.lines].into_iter().flatten().min();
        let slots = if self.is_usable() { self.example_day(self.coming_day()) } else { Vec::new() };
        let patients = self.in_hand.patients(&self.campaign);
        let load = |slot: &Example, lines| Load {
            patients,
            attempts: self.terms.retry.attempts,
            lines,
            calls_per_minute: self.campaign.caps.calls_per_minute,
            open: (slot.due_to.duration_since(slot.due_from)).unsigned_abs(),
        };
        html! {
            section.card {
                h2 { (self.say("回線は足りるか", "Do the lines suffice")) }
                @match lines {
                    None => (ui::empty(self.say(
                        "架電サービスが動いていないため、回線の数が分かりません。",
                        "No service runs, so the number of lines is not known.",
                    ))),
                    Some(lines) => @for slot in slots.iter().filter(|slot| slot.rest.is_none()) {
                        (self.slot_capacity(slot, &load(slot, lines), &habits))
                    }
                }
                p.hint {
                    (self.habits_words(&habits)) " "
                    @if measured.is_some() {
                        (self.say("過去14日の通話から。", "From the calls of the last 14 days."))
                    } @else {
                        (self.say("通話がまだ少ないため、仮の値です。", "Assumed: there were too few calls to measure."))
                    }
                }
            }
        }
    }

    fn slot_capacity(&self, slot: &Example, load: &Load, habits: &Habits) -> Markup {
        let estimate = estimate(load, habits);
        let open = hours(load.open);
        let sum = match self.say("ja", "en") {
            "ja" => format!(
                "{}人 × {:.1}分 ÷ {}回線 ≒ {}",
                load.patients,
                estimate.per_patient.as_secs_f64() / 60.0,
                load.lines,
                self.duration(&estimate)
            ),
            _ => format!(
                "{} people × {:.1} min ÷ {} lines ≒ {}",
                load.patients,
                estimate.per_patient.as_secs_f64() / 60.0,
                load.lines,
                self.duration(&estimate)
            ),
        };
        html! {
            p {
                strong { (clock(slot.due_from)) "–" (clock(slot.due_to)) } " "
                span.small.muted { "(" (format!("{open:.1}")) (self.say("時間", " h")) ")" }
                br;
                (sum)
                br;
                @if estimate.fits {
                    (ui::badge("badge good", Icon::Check, self.say("窓に入ります", "fits")))
                } @else {
                    (ui::badge("badge caution", Icon::Caution, self.say("窓に入りません", "does not fit")))
                }
            }
        }
    }

    fn duration(&self, estimate: &Estimate) -> String {
        match estimate.takes {
            None => self.say("終わりません", "for ever").to_owned(),
            Some(takes) if takes < Duration::from_hours(1) => {
                format!("{}{}", takes.as_secs().div_ceil(60), self.say("分", " min"))
            }
            Some(takes) => format!("{:.1}{}", hours(takes), self.say("時間", " h")),
        }
    }

    fn habits_words(&self, habits: &Habits) -> String {
        let percent = habits.answer_rate * 100.0;
        let (talk, ring) = (habits.talk.as_secs_f64() / 60.0, habits.ring.as_secs());
        match self.say("ja", "en") {
            "ja" => format!("応答率 {percent:.0}%、応答した通話 {talk:.1}分、応答なし {ring}秒。"),
            _ => format!("Answered {percent:.0}%, {talk:.1} min; in vain {ring} s."),
        }
    }

    /// What is changed at once, beside the terms.
    fn live(&self) -> Markup {
        let campaign = &self.campaign;
        let cap = |cap: Option<u32>| cap.map(|cap| cap.to_string()).unwrap_or_default();
        let address = format!("/campaigns/{}", campaign.id);
        html! {
            section.card {
                h2 { (self.say("すぐに効く設定", "At once")) }
                form.row method="post" action={ (address) "/caps" } {
                    (ui::csrf(self.viewer))
                    label { (self.say("同時通話の上限", "Calls at once, at most"))
                        input type="number" name="lines" min="0" max=(MOST_LINES) value=(cap(campaign.caps.lines));
                    }
                    label { (self.say("1分あたりの発信の上限", "New calls per minute, at most"))
                        input type="number" name="calls_per_minute" min="0" max=(MOST_LINES) value=(cap(campaign.caps.calls_per_minute));
                    }
                    button type="submit" { (self.say("上限を変更", "Change the caps")) }
                }
                p.hint { (self.say(
                    "空欄は、回線が許すかぎりです。次の発信から効き、版は変わりません。",
                    "Empty: as many as the trunks bear. It holds from the next call on, and is no new version.",
                )) }
                @if matches!(campaign.state, Stands::Draft | Stands::Ready) {
                    form.row method="post" action={ (address) "/start-day" } {
                        (ui::csrf(self.viewer))
                        label { (self.say("自動で開始する日", "Starts by itself on"))
                            input type="date" name="starts_on" min=(civil(self.viewer.now).date())
                                value=(campaign.starts_on.map(|day| day.to_string()).unwrap_or_default());
                        }
                        button type="submit" { (self.say("開始日を変更", "Change the day")) }
                    }
                    p.hint { (self.say(
                        "空欄のときは「開始」を押すまで始まりません。",
                        "Empty: it starts when somebody presses “start”.",
                    )) }
                }
            }
        }
    }

    fn history(&self) -> Markup {
        let now = self.viewer.now;
        let in_force = self.campaign.version.as_ref().map(|version| version.number);
        html! {
            section.card {
                h2 { (self.say("公開した版", "Published versions")) }
                @if self.versions.is_empty() {
                    (ui::empty(self.say("まだ公開していません。", "Nothing is published yet.")))
                } @else {
                    div.scroll tabindex="0" { table {
                        thead { tr {
                            th scope="col" { (self.say("版", "Version")) }
                            th scope="col" { (self.say("有効", "From")) }
                            th scope="col" { (self.say("公開", "Published")) }
                            th scope="col" { (self.say("内容", "Terms")) }
                        } }
                        tbody { @for version in &self.versions { tr {
                            th.nowrap scope="row" {
                                (version.number) " "
                                @if Some(version.number) == in_force {
                                    (ui::badge("badge good", Icon::Check, self.say("有効", "in force")))
                                } @else if version.effective_at > now {
                                    (ui::badge("badge check", Icon::Clock, self.say("これから", "to come")))
                                }
                            }
                            td.nowrap { (moment(version.effective_at)) }
                            td { (moment(version.published_at)) " " (version.published_by) }
                            td { details {
                                summary { (self.say("読む", "Read")) }
                                ul.small { @for sentence in words::summary(&version.terms) { li { (self.viewer.tell(&sentence)) } } }
                            } }
                        } } }
                    } }
                }
            }
        }
    }
}

/// What the trunks of the nodes that are there bear, of one group only if the terms are bound to it;
/// `None` if no node is there.
fn lines_here(
    nodes: &[NodeStatus],
    trunks: &[TrunkStatus],
    group: Option<&str>,
    now: Timestamp,
) -> Option<u32> {
    let mut here: Vec<&NodeStatus> = nodes.iter().filter(|node| node.is_here(now)).collect();
    if here.is_empty() {
        return None;
    }
    let is_of_group = |node: &NodeStatus| {
        let mut own = trunks.iter().filter(|trunk| trunk.node == node.node);
        group.is_none() || own.any(|trunk| trunk.group.as_deref() == group)
    };
    here.retain(|node| is_of_group(node));
    let ready = here.iter().filter(|node| node.trunk == TrunkWord::Ready);
    Some(ready.map(|node| node.lines_limit).sum())
}

/// The fields of the form, with what is wrong beside each.
struct Fields<'a> {
    viewer: &'a Viewer,
    form: &'a Form,
}

impl Fields<'_> {
    fn fault(&self, name: &str) -> Markup {
        html! {
            @if let Some(fault) = self.form.fault(name) {
                (ui::field_fault(&format!("{name}-fault"), self.viewer.tell(fault)))
            }
        }
    }

    fn invalid(&self, name: &str) -> Option<&'static str> {
        self.form.fault(name).map(|_| "true")
    }

    fn described(&self, name: &str) -> Option<String> {
        self.form.fault(name).map(|_| format!("{name}-fault"))
    }

    fn text(&self, name: &str, label: &str, longest: usize) -> Markup {
        html! {
            div {
                label { (label)
                    input name=(name) maxlength=(longest) value=(self.form.shown(name))
                        aria-invalid=[self.invalid(name)] aria-describedby=[self.described(name)];
                }
                (self.fault(name))
            }
        }
    }

    fn time(&self, name: &str, label: &str) -> Markup {
        html! {
            div {
                label { (label)
                    input type="time" name=(name) value=(self.form.shown(name))
                        aria-invalid=[self.invalid(name)] aria-describedby=[self.described(name)];
                }
                (self.fault(name))
            }
        }
    }

    fn number(&self, name: &str, label: &str, least: u32, most: u32) -> Markup {
        html! {
            div {
                label { (label)
                    input type="number" name=(name) min=(least) max=(most) required value=(self.form.shown(name))
                        aria-invalid=[self.invalid(name)] aria-describedby=[self.described(name)];
                }
                (self.fault(name))
            }
        }
    }

    fn choice<T>(&self, name: &str, label: &str, choices: &[Choice<T>]) -> Markup {
        let shown = self.form.shown(name);
        html! {
            div {
                label { (label)
                    select name=(name) aria-invalid=[self.invalid(name)] aria-describedby=[self.described(name)] {
                        @for (_, word, told) in choices {
                            option value=(word) selected[*word == shown] { (self.viewer.tell(told)) }
                        }
                    }
                }
                (self.fault(name))
            }
        }
    }

    /// A choice from what is kept elsewhere; `none` is the choice of nothing. What was chosen and is
    /// gone meanwhile is shown as such, rather than another in its place.
    fn stocked(&self, name: &str, label: &str, none: Option<&str>, known: &[String]) -> Markup {
        let shown = self.form.shown(name);
        let is_gone = !shown.is_empty() && !known.iter().any(|one| one == shown);
        html! {
            div {
                label { (label)
                    select name=(name) aria-invalid=[self.invalid(name)] aria-describedby=[self.described(name)] {
                        @if let Some(none) = none { option value="" selected[shown.is_empty()] { (none) } }
                        @if is_gone { option value=(shown) selected { (shown) (self.viewer.say("(ありません)", " (not there)")) } }
                        @for one in known { option value=(one) selected[one == shown] { (one) } }
                    }
                }
                (self.fault(name))
            }
        }
    }

    fn week(&self) -> Markup {
        html! {
            div.scroll tabindex="0" { table {
                thead { tr {
                    th scope="col" { (self.viewer.say("曜日", "Day")) }
                    th scope="col" { (self.viewer.say("発信する", "Calls")) }
                    th scope="col" { (self.viewer.say("開始", "From")) }
                    th scope="col" { (self.viewer.say("終了", "Until")) }
                } }
                tbody { @for (day, name) in WEEKDAYS.iter().enumerate() {
                    @let from = format!("from{day}");
                    @let told = self.viewer.tell(name);
                    tr {
                        th scope="row" { (told) }
                        td { input type="checkbox" name={ "on" (day) } value="1" checked[!self.form.shown(&format!("on{day}")).is_empty()]
                            aria-label={ (told) " " (self.viewer.say("発信する", "calls")) }; }
                        td { input type="time" name=(from) value=(self.form.shown(&from)) min="08:00" max="20:00"
                            aria-label={ (told) " " (self.viewer.say("開始", "from")) }
                            aria-invalid=[self.invalid(&from)] aria-describedby=[self.described(&from)]; (self.fault(&from)) }
                        td { input type="time" name={ "to" (day) } value=(self.form.shown(&format!("to{day}"))) min="08:00" max="20:00"
                            aria-label={ (told) " " (self.viewer.say("終了", "until")) }; }
                    }
                } }
            } }
        }
    }

    fn retries(&self) -> Markup {
        let say = |ja, en| self.viewer.say(ja, en);
        html! {
            div.scroll tabindex="0" { table.retries {
                caption { (say("かけ直すまでの分数", "Minutes until the next call")) }
                thead { tr {
                    th scope="col" { (say("結果", "Outcome")) }
                    @for n in 1..=RETRY_COLUMNS {
                        th scope="col" { (n) (say("回目のあと", ordinal(n))) }
                    }
                } }
                tbody { @for (name, told, _) in &RETRIES {
                    tr {
                        th scope="row" { (self.viewer.tell(told)) }
                        @for n in 0..RETRY_COLUMNS {
                            @let field = format!("{name}{n}");
                            td {
                                input type="number" name=(field) min="3" max="480" value=(self.form.shown(&field))
                                    aria-label={ (self.viewer.tell(told)) " " (n + 1) }
                                    aria-invalid=[self.invalid(&field)] aria-describedby=[self.described(&field)];
                                (self.fault(&field))
                            }
                        }
                    }
                } }
            } }
            p.hint { (say(
                "行がすべて空欄なら、かけ直しません。途中からの空欄は、左と同じ分数です。3分より早くはかけ直しません。",
                "An empty row: not again. Empty fields to the right are as the last one before them. Never within three minutes.",
            )) }
        }
    }
}

fn ordinal(n: usize) -> &'static str {
    match n {
        1 => "st",
        2 => "nd",
        3 => "rd",
        _ => "th",
    }
}

fn weekday(day: Date) -> &'static Bilingual {
    &WEEKDAYS[usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or(0)]
}

fn hours(duration: Duration) -> f64 {
    duration.as_secs_f64() / 3600.0
}

fn clock(at: Timestamp) -> String {
    words::clock(civil(at).time())
}

fn moment(at: Timestamp) -> String {
    civil(at).strftime("%Y-%m-%d %H:%M").to_string()
}

pub(super) async fn save(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form: fields }: Posted<Vec<(String, String)>>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let campaign = within.campaign(viewer.now, named(&id)?).await?;
    let id = campaign.id;
    let sheet = Sheet::of(&desk, &viewer, &within, campaign).await?;
    let mut form = Form::new(fields);
    let Some((name, terms)) = form.read(&sheet.terms, &sheet.stock) else {
        return Ok((StatusCode::UNPROCESSABLE_ENTITY, sheet.page(&form)).into_response());
    };
    let by = viewer.staff.name.expose().clone();
    let entry = AuditEntry { detail: name.clone(), ..viewer.audit("campaign.saved") };
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    within.save_draft(viewer.now, id, &name, &terms, &change).await.map_err(not_so)?;
    let effect = match form.shown("then") {
        "now" => Some(Effect::Now),
        "tomorrow" => Some(Effect::Tomorrow),
        _ => None,
    };
    let to = format!("/campaigns/{id}");
    let Some(effect) = effect else {
        return Ok(done(&to, viewer.say("下書きを保存しました。", "The draft is saved.")));
    };
    if !terms.faults().is_empty() || !terms.missing(&sheet.stock).is_empty() {
        return Ok(done(
            &to,
            viewer.say(
                "下書きを保存しましたが、公開していません。右の赤い項目を直してください。",
                "The draft is saved but not published: please look at what is red.",
            ),
        ));
    }
    let entry = AuditEntry { detail: name, ..viewer.audit("campaign.published") };
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    let number = within.publish_campaign(viewer.now, id, effect, &change).await?;
    let text = match (viewer.say("ja", "en"), effect) {
        ("ja", Effect::Now) => format!("第{number}版を公開しました。今から有効です。"),
        ("ja", Effect::Tomorrow) => format!("第{number}版を公開しました。明日から有効です。"),
        (_, Effect::Now) => format!("Version {number} is published and in force."),
        (_, Effect::Tomorrow) => {
            format!("Version {number} is published; it holds from tomorrow on.")
        }
    };
    Ok(done(&to, &text))
}

/// The caps, as they were filled in.
#[derive(Debug, Deserialize)]
pub(super) struct Capped {
    #[serde(default)]
    lines: String,
    #[serde(default)]
    calls_per_minute: String,
}

pub(super) async fn set_caps(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form }: Posted<Capped>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let id = named(&id)?;
    let caps = Caps { lines: cap(&form.lines)?, calls_per_minute: cap(&form.calls_per_minute)? };
    let told = |cap: Option<u32>| cap.map_or_else(|| "∞".to_owned(), |cap| cap.to_string());
    let detail = format!("lines={} per_minute={}", told(caps.lines), told(caps.calls_per_minute));
    let entry = AuditEntry { detail, ..viewer.audit("campaign.capped") };
    let by = viewer.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    within.set_campaign_caps(viewer.now, id, caps, &change).await?;
    Ok(done(
        &format!("/campaigns/{id}"),
        viewer.say("上限を変更しました。", "The caps are changed."),
    ))
}

fn cap(text: &str) -> Result<Option<u32>, Fault> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let cap = text.parse().ok().filter(|cap| *cap <= MOST_LINES);
    cap.map(Some).ok_or_else(|| {
        Fault::Invalid(Bilingual::fixed(
            "上限は0〜10000の数、または空欄にしてください。",
            "A cap is a number from 0 to 10000, or empty.",
        ))
    })
}

/// The day on which a campaign starts by itself, as it was filled in.
#[derive(Debug, Deserialize)]
pub(super) struct Starting {
    #[serde(default)]
    starts_on: String,
}

pub(super) async fn set_start(
    State(desk): State<Desk>,
    Path(id): Path<String>,
    Posted { viewer, form }: Posted<Starting>,
) -> Result<Response, Fault> {
    let within = within(&desk, &viewer, Right::ChangePlan)?;
    let id = named(&id)?;
    let today = civil(viewer.now).date();
    let day = form.starts_on.trim();
    let day: Option<Date> = match day {
        "" => None,
        text => match text.parse() {
            Ok(day) if day >= today => Some(day),
            _ => {
                return Err(Fault::Invalid(Bilingual::fixed(
                    "開始日は今日以降にしてください。",
                    "The day cannot be over already.",
                )));
            }
        },
    };
    let detail = day.map(|day| day.to_string()).unwrap_or_default();
    let entry = AuditEntry { detail, ..viewer.audit("campaign.start_day_set") };
    let by = viewer.staff.name.expose().clone();
    let change = CampaignChange { by: &by, reason: "", entry: &entry };
    within.set_campaign_start(viewer.now, id, day, &change).await?;
    Ok(done(
        &format!("/campaigns/{id}"),
        viewer.say("開始日を変更しました。", "The day is changed."),
    ))
}
