//! The right column: the next calls, or why there are none, and the forms of what staff may do.

use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::{ReportId, StaffNoteId};
use crate::call::Respondent;
use crate::campaign::{AttemptState, SlotState, Window};
use crate::registry::arrangement::{self, Channel};
use crate::registry::{Episode, Gender, Held, Relation, Right};
use crate::store::{Observed, Way};
use crate::tape::Consent;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::patient::form::{CONTACTS, Draft, is_number};
use crate::web::console::patient::{Timeline, words};
use crate::web::ui::{self, Icon, icon};

pub(super) fn panel(desk: &Desk, viewer: &Viewer, timeline: &Timeline, draft: &Draft) -> Markup {
    let forms = Forms { viewer, timeline, draft };
    let active = timeline.plan.episode.as_ref().filter(|(_, is_active)| *is_active);
    html! {
        (next_calls(desk, viewer, timeline))
        @if viewer.may(Right::Observe) {
            @if let Some(observed) = forms.to_correct() { (forms.correct(observed)) }
            (forms.observe(desk.store.mint(viewer.now)))
        }
        @if viewer.may(Right::SeeHealth) { (forms.note(desk.store.mint(viewer.now))) }
        @if viewer.may(Right::ChangePlan) {
            (forms.pause())
            @if let Some((episode, _)) = active {
                (forms.times(episode))
                (forms.arrangement(episode))
                (forms.last_day(episode))
            }
            (forms.gender())
            (forms.speech())
            (forms.consent())
            (forms.contacts())
        }
        @if viewer.may(Right::SeeHealth)
            && active.is_some_and(|(episode, _)| episode.covers(timeline.today)) {
            (release(viewer, timeline))
        }
        @if viewer.may(Right::ChangeRules) && !timeline.clinics.is_empty() { (forms.clinic()) }
        @if viewer.may(Right::ChangePlan) && active.is_some() { (forms.end()) }
    }
}

/// The way to what the rules of release say.
fn release(viewer: &Viewer, timeline: &Timeline) -> Markup {
    html! {
        div.card {
            h2 { (viewer.say("療養解除", "Release")) }
            a href={ "/release/" (timeline.plan.patient.id) } {
                (viewer.say("解除の条件と検査結果", "What the rules say, and tests"))
            }
        }
    }
}

// --- the next calls

fn next_calls(desk: &Desk, viewer: &Viewer, timeline: &Timeline) -> Markup {
    let tomorrow = timeline.today.saturating_add(1.days());
    html! {
        div.card {
            h2 { (viewer.say("次の架電", "Next calls")) }
            @if !viewer.dialing.is_running {
                p.red { (icon(Icon::Stop)) (viewer.say("全体の架電を停止しています。", "All calls are stopped.")) }
            }
            @if let Some(held) = held(timeline) {
                p { (icon(Icon::Person)) (viewer.tell(&no_machine(held))) }
            }
            h3 { (viewer.say("今日", "Today")) }
            (today(desk, viewer, timeline))
            h3 { (viewer.say("明日", "Tomorrow")) }
            (planned(desk, viewer, timeline, tomorrow))
        }
    }
}

/// Why no machine calls the patient, if none does.
fn held(timeline: &Timeline) -> Option<Held> {
    let (episode, is_active) = timeline.plan.episode.as_ref()?;
    episode.arrangement.held().filter(|_| *is_active)
}

fn no_machine(held: Held) -> Bilingual {
    let reason = held.reason();
    Bilingual::composed(
        format!("自動の電話はかけません({})。報告がなければ職員の対応になります。", reason.ja),
        format!("No machine calls ({}). Without a report it is a matter for staff.", reason.en),
    )
}

/// What is owed today and how it stands; what will be, before the slots are opened.
fn today(desk: &Desk, viewer: &Viewer, timeline: &Timeline) -> Markup {
    let slots: Vec<_> =
        timeline.plan.slots.iter().filter(|slot| slot.date == timeline.today).collect();
    if slots.is_empty() {
        return planned(desk, viewer, timeline, timeline.today);
    }
    html! {
        ul.plain {
            @for slot in slots {
                @let due = timeline.plan.attempts.iter().find(|one| {
                    one.slot == slot.id && one.state == AttemptState::Due
                });
                li {
                    strong { (words::clock(slot.due_from)) } "〜" (words::clock(slot.due_to)) " "
                    @if held(timeline).is_some() && slot.state == SlotState::Due {
                        span.small { (viewer.say("報告待ち", "waits for a report")) }
                    } @else {
                        (words::slot(viewer, slot))
                    }
                    @if let Some(due) = due {
                        " " span.chip {
                            (viewer.say(
                                &format!("{}回目 {}", due.number, words::clock(due.due_at)),
                                &format!("try {} at {}", due.number, words::clock(due.due_at)),
                            ))
                        }
                    }
                }
            }
        }
    }
}

/// The calls that a day will have, or why it has none.
fn planned(desk: &Desk, viewer: &Viewer, timeline: &Timeline, day: Date) -> Markup {
    if let Some(reason) = why_none(viewer, timeline, day) {
        return html! { p.muted { (reason) } };
    }
    let center = &timeline.plan.health_center;
    let episode = timeline.plan.episode.as_ref();
    let slots =
        episode.map(|(episode, _)| timeline.book.slots_on(day, episode, center, &desk.terms));
    html! {
        ul.plain {
            @for slot in slots.unwrap_or_default() {
                li {
                    strong { (words::clock(slot.due_from)) } "〜" (words::clock(slot.due_to))
                    @if let Some(rest) = &slot.rest { " " span.small { (rest.reason()) } }
                }
            }
        }
    }
}

fn why_none(viewer: &Viewer, timeline: &Timeline, day: Date) -> Option<String> {
    let reason = match &timeline.plan.episode {
        None => viewer.say("観察の予定がありません。", "No observation is planned."),
        Some((_, false)) => viewer.say("観察は終了しました。", "The observation has ended."),
        Some((episode, true)) if day < episode.first_day => {
            viewer.say("観察はまだ始まっていません。", "The observation has not begun.")
        }
        Some((episode, true)) if day > episode.last_day => {
            viewer.say("観察期間が終わります。", "The observation is over by then.")
        }
        Some((_, true)) if timeline.plan.pauses.iter().any(|pause| pause.covers(day)) => {
            viewer.say("休止中です。", "Paused.")
        }
        Some((_, true)) => return None,
    };
    Some(reason.to_owned())
}

// --- forms

/// What the forms show: what holds, and what was typed.
struct Forms<'a> {
    viewer: &'a Viewer,
    timeline: &'a Timeline,
    draft: &'a Draft,
}

impl Forms<'_> {
    fn say<'t>(&self, ja: &'t str, en: &'t str) -> &'t str {
        self.viewer.say(ja, en)
    }

    /// A form that is folded away until it is wanted, or was refused.
    fn form(&self, name: &str, shape: Icon, title: &str, fields: &Markup) -> Markup {
        let is_open = self.draft.form == name;
        self.form_that(is_open, name, shape, title, fields)
    }

    fn form_that(
        &self,
        is_open: bool,
        name: &str,
        shape: Icon,
        title: &str,
        fields: &Markup,
    ) -> Markup {
        let action = format!("/patients/{}/{name}", self.timeline.plan.patient.id);
        html! {
            details.card.form id=(name) open[is_open] {
                summary { (icon(shape)) (title) }
                form.stack method="post" action=(action) novalidate {
                    (ui::csrf(self.viewer))
                    (fields)
                }
            }
        }
    }

    fn submit(&self, ja: &str, en: &str) -> Markup {
        html! { button.primary type="submit" { (self.say(ja, en)) } }
    }

    /// A field with its label, and what is wrong with it.
    fn input(&self, form: &str, name: &str, kind: &str, label: &str, holds: &str) -> Markup {
        let fault = self.draft.fault(form, name);
        let id = format!("{form}-{name}-fault");
        let mode = (kind == "text" && is_number(name)).then_some("decimal");
        html! {
            div {
                label {
                    (label)
                    input type=(kind) name=(name) value=(self.draft.shown(form, name, holds))
                        autocomplete="off" inputmode=[mode]
                        aria-invalid=[fault.map(|_| "true")]
                        aria-describedby=[fault.map(|_| id.as_str())];
                }
                @if let Some(fault) = fault { (ui::field_fault(&id, self.viewer.tell(fault))) }
            }
        }
    }

    fn area(&self, form: &str, name: &str, label: &str) -> Markup {
        let fault = self.draft.fault(form, name);
        let id = format!("{form}-{name}-fault");
        html! {
            div {
                label {
                    (label)
                    textarea name=(name) rows="3" aria-invalid=[fault.map(|_| "true")]
                        aria-describedby=[fault.map(|_| id.as_str())] {
                        (self.draft.shown(form, name, ""))
                    }
                }
                @if let Some(fault) = fault { (ui::field_fault(&id, self.viewer.tell(fault))) }
            }
        }
    }

    /// One of several words.
    fn choice(&self, form: &str, name: &str, label: &str, words: &[(&str, &str)]) -> Markup {
        let fault = self.draft.fault(form, name);
        let id = format!("{form}-{name}-fault");
        let chosen = self.draft.shown(form, name, "");
        html! {
            fieldset.inline aria-describedby=[fault.map(|_| id.as_str())] {
                legend { (label) }
                @for (value, word) in words {
                    label {
                        input type="radio" name=(name) value=(value) checked[chosen == *value];
                        (word)
                    }
                }
                @if let Some(fault) = fault { (ui::field_fault(&id, self.viewer.tell(fault))) }
            }
        }
    }

    fn tick(&self, form: &str, name: &str, label: &str, holds: bool) -> Markup {
        let holds = if holds { "1" } else { "" };
        let is_ticked = !self.draft.shown(form, name, holds).is_empty();
        html! {
            label.inline { input type="checkbox" name=(name) value="1" checked[is_ticked]; (label) }
        }
    }

    fn observe(&self, report: ReportId) -> Markup {
        let form = "observe";
        let now = civil(self.viewer.now);
        let date = now.date().to_string();
        let time = now.strftime("%H:%M").to_string();
        let answers = [
            ("yes", self.say("はい", "Yes")),
            ("no", self.say("いいえ", "No")),
            ("unknown", self.say("わからない", "Does not know")),
            ("", self.say("聞いていない", "Not asked")),
        ];
        let missing = self.say("測れない", "Not measured");
        let fields = html! {
            // The same form sent again is the same report.
            input type="hidden" name="report"
                value=(self.draft.shown(form, "report", report.to_string()));
            (self.choice(form, "way", self.say("方法", "How"), &[
                (Way::Telephone.as_str(), self.say("電話", "Telephone")),
                (Way::Visit.as_str(), self.say("訪問", "Visit")),
            ]))
            (self.choice(form, "respondent", self.say("回答者", "Who said it"), &[
                (Respondent::Patient.as_str(), self.say("本人", "Patient")),
                (Respondent::Family.as_str(), self.say("家族", "Family")),
            ]))
            div.row {
                (self.input(form, "date", "date", self.say("日付", "Date"), &date))
                (self.input(form, "time", "time", self.say("時刻", "Time"), &time))
            }
            div.row {
                (self.input(form, "temperature", "text", self.say("体温(℃)", "Temperature (℃)"), ""))
                (self.tick(form, "temperature_missing", missing, false))
            }
            div.row {
                (self.input(form, "spo2", "text", self.say("SpO2(%)", "SpO2 (%)"), ""))
                (self.tick(form, "spo2_missing", missing, false))
            }
            @for (code, name) in words::symptoms() {
                (self.choice(form, code, self.viewer.tell(name), &answers))
            }
            (self.submit("記録する", "Record"))
        };
        let title = self.say("観察を記録", "Record an observation");
        self.form(form, Icon::Pulse, title, &fields)
    }

    /// The observation that is to be corrected, if it is one of those shown and still holds.
    fn to_correct(&self) -> Option<&Observed> {
        let id = self.timeline.correct?;
        let health = self.timeline.health.as_ref()?;
        let is_corrected =
            health.observations.iter().any(|one| one.observation.supersedes == Some(id));
        let wanted = health.observations.iter().find(|one| one.observation.id == id);
        wanted.filter(|_| !is_corrected)
    }

    fn correct(&self, observed: &Observed) -> Markup {
        let form = "correct";
        let observation = &observed.observation;
        let code = observation.code.as_str();
        let value = self.say("正しい値", "What is right");
        let fields = html! {
            input type="hidden" name="observation" value=(observation.id);
            input type="hidden" name="code" value=(code);
            p {
                strong { (words::question(self.viewer, code)) } " "
                (words::answer(self.viewer, code, observation.value)) " "
                span.muted { (civil(observation.effective_at).strftime("%m/%d %H:%M")) }
            }
            @if is_number(code) {
                (self.input(form, "value", "text", value, ""))
            } @else {
                (self.choice(form, "value", value, &[
                    ("yes", self.say("はい", "Yes")),
                    ("no", self.say("いいえ", "No")),
                    ("unknown", self.say("わからない", "Does not know")),
                ]))
            }
            (self.tick(form, "never_said", self.say("この回答自体を取り消す", "Take this answer back"), false))
            (self.input(form, "reason", "text", self.say("理由", "Why"), ""))
            p.hint { (self.say("元の値と押されたキーは残ります。", "The value and the keys stay on record.")) }
            (self.submit("訂正する", "Correct"))
        };
        self.form_that(
            true,
            form,
            Icon::Note,
            self.say("観察を訂正", "Correct an observation"),
            &fields,
        )
    }

    fn note(&self, note: StaffNoteId) -> Markup {
        let form = "note";
        let fields = html! {
            input type="hidden" name="note" value=(self.draft.shown(form, "note", note.to_string()));
            (self.area(form, "text", self.say("内容", "Text")))
            (self.submit("追加する", "Add"))
        };
        self.form(form, Icon::Note, self.say("メモを追加", "Add a note"), &fields)
    }

    fn pause(&self) -> Markup {
        let form = "pause";
        let today = self.timeline.today.to_string();
        let action = format!("/patients/{}/resume", self.timeline.plan.patient.id);
        let fields = html! {
            div.row {
                (self.input(form, "first_day", "date", self.say("開始日", "From"), &today))
                (self.input(form, "last_day", "date", self.say("終了日", "Until"), &today))
            }
            (self.input(form, "reason", "text", self.say("理由(入院、旅行など)", "Why (hospital, journey …)"), ""))
            (self.submit("休止する", "Pause"))
        };
        let current = self
            .timeline
            .plan
            .pauses
            .iter()
            .filter(|pause| pause.ended.is_none() && pause.last_day >= self.timeline.today);
        html! {
            @for pause in current {
                div.card {
                    h2 { (icon(Icon::Pause)) (self.say("休止", "Pause")) }
                    p {
                        (pause.first_day) " – " (pause.last_day) br;
                        (pause.reason.expose()) " "
                        span.small.muted { (pause.begun.name.expose()) }
                    }
                    form method="post" action=(action) {
                        (ui::csrf(self.viewer))
                        input type="hidden" name="pause" value=(pause.id);
                        button type="submit" { (icon(Icon::Play)) (self.say("休止を終了", "End the pause")) }
                    }
                }
            }
            (self.form(form, Icon::Pause, self.say("架電を休止", "Pause the calls"), &fields))
        }
    }

    fn times(&self, episode: &Episode) -> Markup {
        let form = "times";
        let window = Window::of(&self.timeline.plan.health_center);
        let hours = format!(
            "{}〜{}",
            window.opens_at().strftime("%H:%M"),
            window.closes_at().strftime("%H:%M")
        );
        let fields = html! {
            p.hint { (self.say("1〜4回。架電できる時間: ", "One to four, within ")) (hours) }
            @for n in 1..=4_usize {
                @let holds = episode.call_times.get(n - 1);
                @let holds = holds.map(|time| time.strftime("%H:%M").to_string()).unwrap_or_default();
                @let label = self.say(&format!("{n}回目"), &format!("Call {n}")).to_owned();
                (self.input(form, &format!("time{n}"), "time", &label, &holds))
            }
            (self.submit("変更する", "Change"))
        };
        self.form(form, Icon::Clock, self.say("架電時刻を変更", "Change the times"), &fields)
    }

    fn arrangement(&self, episode: &Episode) -> Markup {
        let form = "arrangement";
        let agreed = &episode.arrangement;
        let holds = |is_set: bool| if is_set { "1" } else { "" };
        let minutes = agreed.tolerance.map(|it| (it.as_secs() / 60).to_string());
        let channel = self.draft.shown(form, "channel", agreed.channel.as_str());
        let order = agreed.no_automation.as_ref();
        let [doctor, why] = [order.map(|it| &it.by), order.map(|it| &it.why)]
            .map(|it| it.map(|it| it.expose().as_str()).unwrap_or_default());
        let fields = html! {
            (self.campaigns(episode))
            fieldset.inline {
                legend { (self.say("電話する曜日", "Days of calls")) }
                @for (day, name) in arrangement::WEEKDAYS.iter().enumerate() {
                    (self.tick(form, &format!("day{day}"), self.viewer.tell(name), agreed.weekdays.bits() & (1 << day) != 0))
                }
                @if let Some(fault) = self.draft.fault(form, "days") { (ui::field_fault("arrangement-days-fault", self.viewer.tell(fault))) }
            }
            (self.input(form, "tolerance", "number", self.say("許容時間(分。空欄は計画のとおり)", "Tolerance (minutes; empty: the campaign's)"),
                &minutes.unwrap_or_default()))
            fieldset {
                legend { (self.say("報告の方法", "Way of reporting")) }
                @for one in Channel::ALL {
                    label.inline {
                        input type="radio" name="channel" value=(one.as_str()) checked[channel == one.as_str()];
                        (self.viewer.tell(&one.name()))
                    }
                }
                @if let Some(fault) = self.draft.fault(form, "channel") { (ui::field_fault("arrangement-channel-fault", self.viewer.tell(fault))) }
            }
            (self.tick(form, "ordered", self.say("医師の指示で自動の電話をかけない", "A doctor ordered: no machine calls"), order.is_some()))
            (self.input(form, "doctor", "text", self.say("指示した医師", "The doctor"), doctor))
            (self.input(form, "why", "text", self.say("指示の理由", "Why it was ordered"), why))
            fieldset {
                legend { (self.say("電話してよい番号", "Telephones that may be called")) }
                @for (n, phone) in self.timeline.plan.patient.phones.iter().enumerate() {
                    @let name = format!("call{n}");
                    @let is_ticked = !self.draft.shown(form, &name, holds(phone.may_call)).is_empty();
                    label.inline {
                        input type="checkbox" name=(name) value="1" checked[is_ticked];
                        (self.viewer.tell(&words::phone_role(phone.role))) " " (phone.number.to_string())
                    }
                }
            }
            (self.input(form, "reason", "text", self.say("変更の理由", "Why it is changed"), ""))
            (self.submit("変更する", "Change"))
        };
        self.form(
            form,
            Icon::Phone,
            self.say("電話の約束を変更", "Change the arrangement"),
            &fields,
        )
    }

    fn campaigns(&self, episode: &Episode) -> Markup {
        let form = "arrangement";
        let center = self.timeline.plan.health_center.id;
        let holds = episode.arrangement.campaign;
        let own = self.timeline.book.joinable(center, &episode.arrangement);
        let own = own.into_iter().filter(|one| !one.is_default || holds == Some(one.id));
        let chosen = holds.map(|id| id.to_string()).unwrap_or_default();
        let chosen = self.draft.shown(form, "campaign", chosen);
        let fault = self.draft.fault(form, "campaign");
        let id_of_fault = "arrangement-campaign-fault";
        html! {
            label {
                (self.say("架電の計画", "Campaign"))
                select name="campaign" aria-invalid=[fault.map(|_| "true")]
                    aria-describedby=[fault.map(|_| id_of_fault)] {
                    option value="" { (self.say("標準の計画", "The centre's first one")) }
                    @for one in own {
                        @let id = one.id.to_string();
                        option value=(id) selected[id == chosen] {
                            (one.name) " (" (self.viewer.tell(&one.state.label())) ")"
                        }
                    }
                }
            }
            @if let Some(fault) = fault { (ui::field_fault(id_of_fault, self.viewer.tell(fault))) }
        }
    }

    fn last_day(&self, episode: &Episode) -> Markup {
        let form = "last-day";
        let label = self.say("終了予定日", "Last day");
        let fields = html! {
            (self.input(form, "last_day", "date", label, &episode.last_day.to_string()))
            (self.submit("変更する", "Change"))
        };
        self.form(form, Icon::Today, self.say("終了予定日を変更", "Change the last day"), &fields)
    }

    fn end(&self) -> Markup {
        let form = "end";
        let question = self.say(
            "観察を終了し、今日以降の架電を取りやめます。",
            "End the observation and all calls?",
        );
        let fields = html! {
            (self.input(form, "reason", "text", self.say("理由(療養解除、入院など)", "Why (released, hospital …)"), ""))
            button.danger type="submit" data-confirm=(question) {
                (self.say("観察を終了", "End the observation"))
            }
        };
        self.form(form, Icon::Stop, self.say("観察を終了", "End the observation"), &fields)
    }

    fn gender(&self) -> Markup {
        let form = "gender";
        let told = self.timeline.plan.patient.gender;
        let fields = html! {
            label {
                (self.say("性別", "Gender"))
                select name="gender" {
                    option value="" selected[told.is_none()] { (self.say("未記入", "Not told")) }
                    @for gender in Gender::ALL {
                        option value=(gender.as_str()) selected[told == Some(gender)] {
                            (self.viewer.tell(&gender.name()))
                        }
                    }
                }
            }
            (self.submit("変更する", "Change"))
        };
        self.form(form, Icon::Person, self.say("性別", "Gender"), &fields)
    }

    fn speech(&self) -> Markup {
        let form = "speech";
        let slow = self.timeline.plan.patient.slow_speech;
        let fields = html! {
            (self.tick(form, "slow", self.say("ゆっくり話し、長く待つ", "Speak slowly, wait longer"), slow))
            (self.submit("変更する", "Change"))
        };
        self.form(form, Icon::Voice, self.say("話す速さ", "Speed of speech"), &fields)
    }

    fn consent(&self) -> Markup {
        let form = "consent";
        let fields = html! {
            fieldset {
                legend { (self.say("録音の同意", "Consent to recording")) }
                @for one in [Consent::Unknown, Consent::Given, Consent::Refused] {
                    label.inline {
                        input type="radio" name="consent" value=(one.as_str())
                            checked[one == self.timeline.plan.consent];
                        (self.viewer.tell(&words::consent(one)))
                    }
                }
            }
            (self.submit("変更する", "Change"))
        };
        self.form(form, Icon::Voice, self.say("録音の同意", "Consent to recording"), &fields)
    }

    fn clinic(&self) -> Markup {
        let form = "clinic";
        let plan = &self.timeline.plan;
        let fields = html! {
            label {
                (self.say("担当", "Cared for by"))
                select name="clinic" {
                    option value="" selected[plan.clinic.is_none()] { (plan.health_center.name) }
                    @for clinic in &self.timeline.clinics {
                        option value=(clinic.id) selected[plan.clinic == Some(clinic.id)] { (clinic.name) }
                    }
                }
            }
            (self.submit("変更する", "Change"))
        };
        self.form(form, Icon::Person, self.say("担当を変更", "Who cares for the patient"), &fields)
    }

    fn contacts(&self) -> Markup {
        let form = "contacts";
        let contacts = &self.timeline.plan.contacts;
        let fields = html! {
            p.hint { (self.say("自動ではかけません。病状は伝えません。", "Never dialled by us; told nothing of the state of health.")) }
            @for n in 1..=CONTACTS {
                @let holds = contacts.get(n - 1);
                @let text = |text: Option<&String>| text.cloned().unwrap_or_default();
                @let relation = holds.map_or("family", |one| one.relation.as_str());
                @let relation = self.draft.shown(form, &format!("relation{n}"), relation);
                fieldset {
                    legend { (n) }
                    label {
                        (self.say("続柄・立場", "Relation"))
                        select name=(format!("relation{n}")) {
                            @for one in Relation::ALL {
                                option value=(one.as_str()) selected[relation == one.as_str()] {
                                    (self.viewer.tell(&one.name()))
                                }
                            }
                        }
                    }
                    (self.input(form, &format!("name{n}"), "text", self.say("氏名", "Name"),
                        &text(holds.map(|one| one.name.expose()))))
                    (self.input(form, &format!("phone{n}"), "tel", self.say("電話", "Telephone"),
                        &text(holds.map(|one| one.phone.expose()))))
                    (self.tick(form, &format!("key{n}"), self.say("合鍵あり", "Has a key"),
                        holds.is_some_and(|one| one.is_keyholder)))
                    (self.input(form, &format!("note{n}"), "text", self.say("備考", "Remark"),
                        &text(holds.map(|one| one.note.expose()))))
                }
            }
            (self.submit("保存する", "Save"))
        };
        self.form(form, Icon::Person, self.say("連絡先を変更", "Change the contacts"), &fields)
    }
}
