//! One stream of all that happened to a patient, the newest first, by days.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};

use crate::base::Private;
use crate::base::clock::civil;
use crate::base::id::{AttemptId, CaseId};
use crate::campaign::{Attempt, AttemptState};
use crate::escalation::case::FactSource;
use crate::escalation::{EventKind, Fact, Priority};
use crate::ivr::{Answer, YesNo};
use crate::observation::{Channel, Observation};
use crate::registry::{Pause, Right, Signed};
use crate::release::Decision;
use crate::store::{
    CaseEvent, CaseView, Change, CourseWritten, DecisionTaken, Health, LabTestWritten, ListedIn,
    Observed, PatientChange,
};
use crate::tape::{Recording, State};
use crate::web::auth::Viewer;
use crate::web::console::cases::text_of;
use crate::web::console::patient::{STREAM_DAYS, Timeline, words};
use crate::web::console::words::{deleted, test_method, test_result};
use crate::web::ui::{self, Icon, badge, icon};

/// What a thing in the stream is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// Observations and their corrections.
    Observation,
    /// Attempts.
    Call,
    /// What was recorded of calls.
    Recording,
    /// Cases, and what happened to them.
    Case,
    /// Notes by staff.
    Note,
    /// Pauses and settings.
    Setting,
}

impl Kind {
    const ALL: [Self; 6] =
        [Self::Observation, Self::Call, Self::Recording, Self::Case, Self::Note, Self::Setting];

    fn as_str(self) -> &'static str {
        match self {
            Self::Observation => "observation",
            Self::Call => "call",
            Self::Recording => "recording",
            Self::Case => "case",
            Self::Note => "note",
            Self::Setting => "setting",
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    fn name<'a>(self, viewer: &Viewer) -> &'a str {
        let (ja, en) = match self {
            Self::Observation => ("観察", "Observations"),
            Self::Call => ("架電", "Calls"),
            Self::Recording => ("録音", "Recordings"),
            Self::Case => ("対応", "Cases"),
            Self::Note => ("メモ", "Notes"),
            Self::Setting => ("設定・休止", "Settings"),
        };
        viewer.say(ja, en)
    }

    fn icon(self) -> Icon {
        match self {
            Self::Observation => Icon::Pulse,
            Self::Call => Icon::Phone,
            Self::Recording => Icon::Voice,
            Self::Case => Icon::Alert,
            Self::Note => Icon::Note,
            Self::Setting => Icon::Settings,
        }
    }

    /// Whether it tells of the state of health.
    fn is_health(self) -> bool {
        matches!(self, Self::Observation | Self::Recording | Self::Case | Self::Note)
    }
}

/// One thing that happened.
struct Item {
    at: Timestamp,
    kind: Kind,
    body: Markup,
}

pub(super) fn stream(viewer: &Viewer, timeline: &Timeline) -> Markup {
    let (first, last) = (timeline.until.saturating_sub((STREAM_DAYS - 1).days()), timeline.until);
    let mut items = items(viewer, timeline);
    items.retain(|item| {
        let day = civil(item.at).date();
        first <= day && day <= last && timeline.kind.is_none_or(|kind| kind == item.kind)
    });
    items.sort_by_key(|item| std::cmp::Reverse(item.at));
    html! {
        section aria-label=(viewer.say("経過", "What happened")) {
            (filters(viewer, timeline))
            @if items.is_empty() {
                (ui::empty(viewer.say("この期間の記録はありません。", "Nothing happened in these days.")))
            }
            @for day in items.chunk_by(|one, other| civil(one.at).date() == civil(other.at).date()) {
                @if let Some(newest) = day.first() {
                    h3.day { (words::day(viewer, civil(newest.at).date())) }
                }
                ol.stream {
                    @for item in day {
                        li class=(format!("item {}", item.kind.as_str())) {
                            span.when { (icon(item.kind.icon())) (words::clock(item.at)) }
                            div { (item.body) }
                        }
                    }
                }
            }
            (paging(viewer, timeline, first))
        }
    }
}

fn address(timeline: &Timeline, until: Date, kind: Option<Kind>) -> String {
    let kind = kind.map(|kind| format!("&kind={}", kind.as_str())).unwrap_or_default();
    format!("/patients/{}?until={until}{kind}", timeline.plan.patient.id)
}

fn filters(viewer: &Viewer, timeline: &Timeline) -> Markup {
    let sees_health = viewer.may(Right::SeeHealth);
    let current = |kind| (timeline.kind == kind).then_some("page");
    html! {
        nav.tabs aria-label=(viewer.say("表示の絞り込み", "Show only")) {
            a href=(address(timeline, timeline.until, None)) aria-current=[current(None)] {
                (viewer.say("すべて", "All"))
            }
            @for kind in Kind::ALL {
                @if sees_health || !kind.is_health() {
                    a href=(address(timeline, timeline.until, Some(kind)))
                        aria-current=[current(Some(kind))] {
                        (icon(kind.icon())) (kind.name(viewer))
                    }
                }
            }
        }
    }
}

fn paging(viewer: &Viewer, timeline: &Timeline, first: Date) -> Markup {
    let earlier = first.saturating_sub(1.days());
    let later = timeline.until.saturating_add(STREAM_DAYS.days()).min(timeline.today);
    html! {
        nav.row aria-label=(viewer.say("期間", "Days")) {
            a.button href=(address(timeline, earlier, timeline.kind)) {
                (viewer.say("前の7日間", "Seven days before"))
            }
            span { (first) " – " (timeline.until) }
            @if timeline.until < timeline.today {
                a.button href=(address(timeline, later, timeline.kind)) {
                    (viewer.say("次の7日間", "Seven days after"))
                }
            }
        }
    }
}

fn items(viewer: &Viewer, timeline: &Timeline) -> Vec<Item> {
    let mut items = Vec::new();
    for attempt in &timeline.plan.attempts {
        items.extend(attempt_item(viewer, attempt));
    }
    for change in &timeline.plan.changes {
        items.push(change_item(viewer, change));
    }
    for list in &timeline.plan.lists {
        items.push(list_item(viewer, list));
    }
    for pause in &timeline.plan.pauses {
        items.extend(pause_items(viewer, pause));
    }
    if let Some(health) = &timeline.health {
        items.extend(reports(viewer, timeline, health));
        for recording in &health.recordings {
            items.push(recording_item(viewer, recording));
        }
        for (case, event) in &health.case_events {
            let view = health.cases.iter().find(|view| view.case.id == *case);
            items.push(case_item(viewer, *case, view, event));
        }
        for course in &health.courses {
            items.push(course_item(viewer, course));
        }
        for test in &health.tests {
            items.push(test_item(viewer, test));
        }
        for decision in &health.decisions {
            items.push(decision_item(viewer, decision));
        }
        for note in &health.notes {
            let body = html! {
                p.words { (note.text.expose()) }
                (signature(viewer, &note.written))
            };
            items.push(Item { at: note.written.at, kind: Kind::Note, body });
        }
    }
    items
}

fn signature(viewer: &Viewer, signed: &Signed) -> Markup {
    html! { p.small.muted { (viewer.say("記入", "By")) " " (signed.name.expose()) } }
}

// --- calls

/// Attempts that were made, or are under way; those to come stand in the panel.
fn attempt_item(viewer: &Viewer, attempt: &Attempt) -> Option<Item> {
    let at = attempt.dialed_at?;
    let is_fine = attempt.completion == Some(crate::call::Completion::Complete);
    let (class, shape) = match attempt.state {
        AttemptState::Done if is_fine => ("badge good", Icon::Check),
        AttemptState::Done => ("badge muted", Icon::Phone),
        _ => ("badge check", Icon::Phone),
    };
    let body = html! {
        p {
            (badge(class, shape, viewer.tell(&words::outcome(attempt)))) " "
            (viewer.say(&format!("{}回目", attempt.number), &format!("try {}", attempt.number))) " "
            // The whole number stands beside; here its end is enough to tell it from others.
            span.muted { (attempt.phone) } " "
            @if let Some(who) = attempt.respondent {
                (viewer.tell(&words::respondent(who))) " "
            }
            @if viewer.may(Right::SeeHealth) {
                a href=(format!("/calls/{}", attempt.id)) { (viewer.say("通話の詳細", "Details")) }
            }
        }
    };
    Some(Item { at, kind: Kind::Call, body })
}

// --- settings

fn change_item(viewer: &Viewer, change: &PatientChange) -> Item {
    let value = |value| words::setting_value(viewer, change.setting, value);
    let body = html! {
        p {
            strong { (viewer.tell(&words::setting(change.setting))) } " "
            del { (value(&change.before)) } " → " ins { (value(&change.after)) }
        }
        (reason(viewer, &change.reason))
        (signature(viewer, &change.signed))
    };
    Item { at: change.signed.at, kind: Kind::Setting, body }
}

fn reason(viewer: &Viewer, reason: &Private<String>) -> Markup {
    html! {
        @if !reason.expose().is_empty() {
            p.words { (viewer.say("理由: ", "Because: ")) (reason.expose()) }
        }
    }
}

fn pause_items(viewer: &Viewer, pause: &Pause) -> impl Iterator<Item = Item> {
    let begun = html! {
        p {
            (badge("badge caution", Icon::Pause, viewer.say("休止", "Paused"))) " "
            (pause.first_day) " – " (pause.last_day)
        }
        (reason(viewer, &pause.reason))
        (signature(viewer, &pause.begun))
    };
    let ended = pause.ended.as_ref().map(|signed| {
        let body = html! {
            p { (badge("badge good", Icon::Play, viewer.say("休止を終了", "Pause ended"))) }
            (signature(viewer, signed))
        };
        Item { at: signed.at, kind: Kind::Setting, body }
    });
    [Item { at: pause.begun.at, kind: Kind::Setting, body: begun }].into_iter().chain(ended)
}

/// A list that brought the patient in or changed them: what it said stands in the list.
fn list_item(viewer: &Viewer, list: &ListedIn) -> Item {
    let what = match list.change {
        Change::Created => viewer.say("一覧の取り込みで登録", "Enrolled by a list"),
        Change::Updated | Change::Unchanged => {
            viewer.say("一覧の取り込みで変更", "Changed by a list")
        }
    };
    let place =
        viewer.say(&format!("{}行目", list.line), &format!("line {}", list.line)).to_owned();
    let body = html! {
        p {
            (badge("badge muted", Icon::Import, what)) " "
            @if viewer.may(Right::Import) {
                a href=(format!("/import/{}", list.batch)) { (place) }
            } @else { (place) }
            @if list.is_undone {
                " " span.muted { (viewer.say("その後、取り消されました", "taken back since")) }
            }
        }
        (signature(viewer, &list.signed))
    };
    Item { at: list.signed.at, kind: Kind::Setting, body }
}

/// When an illness began, as somebody wrote it down.
fn course_item(viewer: &Viewer, written: &CourseWritten) -> Item {
    let body = html! {
        p {
            strong { (viewer.say("発症日・検体採取日", "Onset and specimen")) } " "
            del { (words::course(viewer, &written.before)) } " → "
            ins { (words::course(viewer, &written.after)) }
        }
        @match &written.by {
            Some(signed) => (signature(viewer, signed)),
            None => p.small.muted { (viewer.say("一覧の取り込みから", "From a list")) },
        }
    };
    Item { at: written.at, kind: Kind::Setting, body }
}

/// A test of a specimen, as somebody wrote it down; crossed out if it was withdrawn.
fn test_item(viewer: &Viewer, written: &LabTestWritten) -> Item {
    let test = &written.test;
    let told = html! {
        (civil(test.collected_at).strftime("%m/%d %H:%M")) " "
        (viewer.tell(&test_method(test.method))) ": "
        strong { (viewer.tell(&test_result(test.result))) }
    };
    let body = html! {
        p {
            strong { (viewer.say("検査", "Test")) } " "
            @if written.withdrawn.is_some() { del { (told) } } @else { (told) }
        }
        (signature(viewer, &written.signed))
        @if let Some((reason, signed)) = &written.withdrawn {
            p { (viewer.say("取り消し: ", "Withdrawn: ")) (reason.expose()) }
            (signature(viewer, signed))
        }
    };
    let at = written.withdrawn.as_ref().map_or(written.signed.at, |(_, signed)| signed.at);
    Item { at, kind: Kind::Setting, body }
}

/// That somebody was released from recuperation, or was not; and what the rules had to say.
fn decision_item(viewer: &Viewer, taken: &DecisionTaken) -> Item {
    let decided = &taken.decided;
    let what = match decided.decision {
        Decision::Released => {
            badge("badge good", Icon::Check, viewer.say("療養解除", "Released from recuperation"))
        }
        Decision::Kept => {
            badge("badge caution", Icon::Clock, viewer.say("解除を見送り", "Kept in recuperation"))
        }
    };
    let rules = match taken.n_blocks {
        0 => viewer.say("基準を満たす", "met the rules"),
        _ => viewer.say("基準を満たさない項目あり", "did not meet all rules"),
    };
    let body = html! {
        p { (what) " " span.small.muted { (rules) " (" (taken.rules) ")" } }
        (reason(viewer, &decided.reason))
        (signature(viewer, &decided.signed))
    };
    Item { at: decided.signed.at, kind: Kind::Setting, body }
}

// --- recordings

fn recording_item(viewer: &Viewer, recording: &Recording) -> Item {
    let seconds = recording.duration().as_secs();
    let can_be_heard = matches!(recording.state, State::Spooled | State::Stored);
    let body = html! {
        p {
            (badge("badge muted", Icon::Voice, viewer.say("録音", "Recording"))) " "
            @if recording.state == State::Running {
                (viewer.say("録音中", "the call goes on"))
            } @else {
                (seconds / 60) ":" (format!("{:02}", seconds % 60))
            }
            " "
            @if can_be_heard && viewer.may(Right::Listen) {
                a href=(format!("/calls/{}", recording.attempt)) {
                    (icon(Icon::Play)) (viewer.say("通話を聞く", "Listen"))
                }
            }
            @if let Some((at, why)) = recording.deleted {
                span.muted {
                    (viewer.say("音声は削除済み", "the sound was deleted")) " ("
                    (civil(at).strftime("%m/%d")) " " (viewer.tell(&deleted(why))) ")"
                }
            }
        }
        @if let Some(message) = &recording.message {
            p {
                @match &message.heard {
                    None if can_be_heard => (badge(
                        "badge caution", Icon::Voice,
                        viewer.say("「伝えたいこと」あり・未聴取", "left a message, not heard yet"),
                    )),
                    None => (viewer.say("「伝えたいこと」あり", "left a message")),
                    Some((by, at)) => span.small.muted {
                        (viewer.say("「伝えたいこと」を聴取", "message heard")) " "
                        (by) " " (civil(*at).strftime("%m/%d %H:%M"))
                    }
                }
            }
        }
        @if let (Some((_, until)), None) = (recording.kept, recording.deleted) {
            p.small.muted {
                (viewer.say("保存期限", "kept until")) " " (civil(until).date())
                @if let Some(hold) = &recording.hold {
                    " · " (viewer.say("保全中", "held")) ": " (hold.reason)
                }
            }
        }
    };
    Item { at: recording.started_at, kind: Kind::Recording, body }
}

// --- cases

/// A line of a case; with its findings where it begins.
fn case_item(viewer: &Viewer, case: CaseId, view: Option<&CaseView>, event: &CaseEvent) -> Item {
    let href = format!("/cases/{case}");
    let text = text_of(viewer, event);
    let facts = match (event.kind, view) {
        (EventKind::Opened, Some(view)) => view.case.facts.as_slice(),
        _ => &[],
    };
    let body = html! {
        p {
            @if let Some(priority) = event.priority { (ui::priority(viewer, priority)) " " }
            @match event.kind {
                EventKind::Resolved => {
                    (badge("badge good", Icon::Check, viewer.say("対応終了", "Closed"))) " "
                    a href=(href) { (viewer.say("対応の記録", "The case")) }
                }
                EventKind::Opened => {
                    a href=(href) { (viewer.say("対応が必要になりました", "A case was opened")) }
                }
                kind => a href=(href) { (viewer.tell(&kind.name())) },
            }
            @if let Some(due) = event.due_at {
                " " (viewer.say("期限", "due")) " " (civil(due).strftime("%m/%d %H:%M"))
            }
        }
        @if facts.is_empty() {
            @if !text.is_empty() { p.words { (text) } }
        } @else {
            ul.plain { @for fact in facts { li { (words::clock(fact.at)) " " (fact.text) } } }
        }
        @if let Some((_, name)) = &event.by {
            p.small.muted { (viewer.say("記入", "By")) " " (name.expose()) }
        }
    };
    Item { at: event.at, kind: Kind::Case, body }
}

// --- observations

/// What makes observations one card: the call, or else the form.
type CardKey = (Option<AttemptId>, &'static str, Timestamp);

/// One card for each call and each form, one item for each correction.
fn reports(viewer: &Viewer, timeline: &Timeline, health: &Health) -> Vec<Item> {
    let facts: Vec<&Fact> = health.cases.iter().flat_map(|view| &view.case.facts).collect();
    let mut cards: BTreeMap<CardKey, Vec<&Observed>> = BTreeMap::new();
    let mut items = Vec::new();
    for observed in &health.observations {
        let observation = &observed.observation;
        if let Some(old) = observation.supersedes {
            let old = health.observations.iter().find(|one| one.observation.id == old);
            items.push(correction(viewer, observed, old));
            continue;
        }
        let key = match observation.source {
            Some((attempt, _)) => (Some(attempt), "", Timestamp::UNIX_EPOCH),
            None => (None, observation.channel.as_str(), observation.effective_at),
        };
        cards.entry(key).or_default().push(observed);
    }
    items.extend(cards.values().filter_map(|card| {
        let at = card.iter().map(|one| one.observation.effective_at).max()?;
        let body = report(viewer, timeline, health, &facts, card);
        Some(Item { at, kind: Kind::Observation, body })
    }));
    items
}

fn report(
    viewer: &Viewer,
    timeline: &Timeline,
    health: &Health,
    facts: &[&Fact],
    card: &[&Observed],
) -> Markup {
    let Some(first) = card.first() else { return html! {} };
    let shape = match first.observation.channel {
        Channel::OutboundCall => Icon::Phone,
        Channel::InboundCall => Icon::PhoneIn,
        Channel::Web => Icon::Web,
        Channel::Staff => Icon::Person,
    };
    let channel = words::channel(first.observation.channel, first.way);
    let mut questions: Vec<&&Observed> = card.iter().collect();
    questions.sort_by_key(|one| {
        let of_code = |(code, _): &(&str, _)| *code == one.observation.code;
        words::QUESTIONS.iter().position(of_code).unwrap_or(usize::MAX)
    });
    html! {
        p {
            (badge("badge muted", shape, viewer.tell(&channel))) " "
            span.chip {
                (viewer.say(
                    &format!("{}入力", words::respondent(first.observation.respondent).ja),
                    &format!("by: {}", words::respondent(first.observation.respondent).en),
                ))
            }
            @if let Some((_, name)) = &first.by {
                " " span.small.muted { (viewer.say("記入", "By")) " " (name.expose()) }
            }
        }
        dl.answers {
            @for observed in questions { (given(viewer, timeline, health, facts, observed)) }
            @for code in unanswered(timeline, card) {
                div { dt { (words::question(viewer, code)) } dd.muted { (viewer.say("未回答", "Not answered")) } }
            }
        }
        details.small {
            summary { (viewer.say("入力の詳細", "How it was given")) }
            p { (viewer.say("質問票", "Questionnaire")) " " code { (first.observation.questionnaire) } }
            @if card.iter().any(|one| one.keys.is_some()) {
                ul.plain {
                    @for observed in card {
                        @if let Some(keys) = &observed.keys {
                            li {
                                (words::question(viewer, &observed.observation.code)) ": "
                                (viewer.say("押されたキー", "keys")) " " code { (keys) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// What everybody is asked, and was not answered here. Silence is never "no".
fn unanswered<'a>(timeline: &Timeline, card: &[&Observed]) -> impl Iterator<Item = &'a str> {
    let is_asked = [
        ("temperature", timeline.plan.patient.has_thermometer),
        ("spo2", timeline.plan.patient.has_oximeter),
        ("dyspnea", true),
    ];
    let given: Vec<String> = card.iter().map(|one| one.observation.code.clone()).collect();
    is_asked
        .into_iter()
        .filter(move |(code, is_asked)| *is_asked && !given.iter().any(|one| one == code))
        .map(|(code, _)| code)
}

fn given(
    viewer: &Viewer,
    timeline: &Timeline,
    health: &Health,
    facts: &[&Fact],
    observed: &Observed,
) -> Markup {
    let observation = &observed.observation;
    let value = words::answer(viewer, &observation.code, observation.value);
    let newer =
        health.observations.iter().find(|one| one.observation.supersedes == Some(observation.id));
    let gravest = facts
        .iter()
        .filter(|fact| is_of(fact, observation))
        .map(|fact| fact.priority)
        .max()
        .unwrap_or(Priority::P0);
    let class = if gravest > Priority::P0 { "red" } else { answer_class(observation.value) };
    html! {
        div {
            dt { (words::question(viewer, &observation.code)) }
            dd {
                @match newer {
                    Some(newer) => {
                        del { (value) } " → "
                        strong { (words::answer(viewer, &observation.code, newer.observation.value)) }
                        " " span.small { (viewer.say("訂正済", "corrected")) }
                    }
                    None => span class=(class) { (value) },
                }
                @if gravest > Priority::P0 { " " (ui::priority(viewer, gravest)) }
                @if newer.is_none() && viewer.may(Right::Observe) {
                    " " (correct_link(viewer, timeline, observation))
                }
            }
        }
    }
}

fn answer_class(value: Answer) -> &'static str {
    match value {
        Answer::Number(_) => "value",
        Answer::Choice(YesNo::No) | Answer::NotMeasured | Answer::Unanswered => "muted",
        Answer::Choice(YesNo::Yes | YesNo::Unknown) => "value",
    }
}

fn is_of(fact: &Fact, observation: &Observation) -> bool {
    match fact.source {
        FactSource::Answer(attempt, seq) => observation.source == Some((attempt, seq)),
        FactSource::Observation(id) => observation.id == id,
        FactSource::Attempt(_)
        | FactSource::Slot(_)
        | FactSource::Welfare(_)
        | FactSource::Silence(..) => false,
    }
}

fn correct_link(viewer: &Viewer, timeline: &Timeline, observation: &Observation) -> Markup {
    let href = format!(
        "/patients/{}?until={}&correct={}#correct",
        timeline.plan.patient.id, timeline.until, observation.id
    );
    let label = format!(
        "{}{}",
        words::question(viewer, &observation.code),
        viewer.say("を訂正", ": correct"),
    );
    html! { a.small href=(href) aria-label=(label) { (viewer.say("訂正", "Correct")) } }
}

fn correction(viewer: &Viewer, new: &Observed, old: Option<&Observed>) -> Item {
    let value = |one: &Observation| words::answer(viewer, &one.code, one.value);
    let body = html! {
        p {
            (badge("badge muted", Icon::Note, viewer.say("訂正", "Correction"))) " "
            strong { (words::question(viewer, &new.observation.code)) } " "
            @match old {
                Some(old) => {
                    del { (value(&old.observation)) }
                    " (" (civil(old.observation.effective_at).strftime("%m/%d %H:%M")) ")"
                }
                None => (viewer.say("前の値", "an earlier value"))
            }
            " → " ins { (value(&new.observation)) }
        }
        @if let Some(why) = &new.reason { (reason(viewer, why)) }
        @if let Some((_, name)) = &new.by {
            p.small.muted { (viewer.say("記入", "By")) " " (name.expose()) }
        }
    };
    Item { at: new.recorded_at, kind: Kind::Observation, body }
}
