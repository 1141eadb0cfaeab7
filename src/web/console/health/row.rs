//! One row of 健康状態一覧, cell by cell. Nothing that matters is blank, or said by colour alone.

use jiff::Timestamp;
use jiff::civil::Date;
use maud::{Markup, html};

use crate::base::Private;
use crate::base::clock::civil;
use crate::campaign::{AttemptState, SlotState};
use crate::escalation::{CaseState, Priority};
use crate::ivr::YesNo;
use crate::registry::{ConsoleLanguage, Right};
use crate::store::{CallMade, DayReport, HealthStatus, Listed, Need, SlotOfDay, Vital};
use crate::web::auth::Viewer;
use crate::web::console::health::Around;
use crate::web::console::health::sparkline::sparkline;
use crate::web::console::words;
use crate::web::ui::{self, Icon};

/// 37.5 °C and more is fever.
const FEVER: i32 = 375;

pub(super) fn row(viewer: &Viewer, one: &Listed, around: &Around, is_masked: bool) -> Markup {
    html! {
        tr data-patient=(one.patient) tabindex="-1" {
            @match &one.status {
                Some(status) => {
                    td { (need(viewer, status.need)) }
                    (name(viewer, one, around.today, is_masked))
                    td.nowrap { (episode(viewer, status)) }
                    td { (risks(viewer, one, around.today)) }
                    td { (temperature(viewer, &status.temperature)) }
                    td { (spo2(viewer, &status.spo2)) }
                    td { (symptoms(viewer, status)) }
                    td { (report(viewer, status.report)) }
                    td { (calls(viewer, status, around.attempts)) }
                    td { (case(viewer, status)) }
                }
                None => {
                    td { (ui::badge("badge act", Icon::Alert, viewer.say("要確認", "To check"))) }
                    (name(viewer, one, around.today, is_masked))
                    td.red colspan="8" {
                        (viewer.say(
                            "この方の記録を読み取れません。技術者に連絡し、電話で様子を確かめてください。",
                            "This person's records cannot be read. Tell an engineer, and call the patient.",
                        ))
                    }
                }
            }
        }
    }
}

pub(super) fn need(viewer: &Viewer, need: Need) -> Markup {
    match need {
        Need::Urgent => ui::priority(viewer, Priority::P1),
        Need::Caution => ui::priority(viewer, Priority::P2),
        Need::Check => ui::priority(viewer, Priority::P3),
        Need::Unreported => {
            ui::badge("badge muted", Icon::Unknown, viewer.say("未報告", "No report"))
        }
        Need::Partial => ui::badge("badge check", Icon::Clock, viewer.say("途中", "Partial")),
        Need::Well => ui::badge("badge good", Icon::Check, viewer.say("良好", "Well")),
    }
}

/// Both identifiers, always.
pub(super) fn name(viewer: &Viewer, one: &Listed, today: Date, is_masked: bool) -> Markup {
    let shown = |text: &Private<String>| {
        if is_masked { words::masked(text.expose()) } else { text.expose().clone() }
    };
    let born = *one.birth_date.expose();
    html! {
        th scope="row" {
            a href=(format!("/patients/{}", one.patient)) { (shown(&one.name)) }
            div.muted.small {
                @if !is_masked { (one.kana.expose()) " · " }
                (age(born, today)) (viewer.say("歳", "y"))
                @if let Some(gender) = one.gender { " " (viewer.tell(&gender.name())) }
                " · " (one.registration_number)
            }
        }
    }
}

pub(super) fn age(born: Date, today: Date) -> i16 {
    let had_birthday = (today.month(), today.day()) >= (born.month(), born.day());
    today.year() - born.year() - i16::from(!had_birthday)
}

fn episode(viewer: &Viewer, status: &HealthStatus) -> Markup {
    let n = (status.day - status.first_day).get_days() + 1;
    let left = (status.last_day - status.day).get_days();
    html! {
        (viewer.say("", "day ")) strong { (n) } (viewer.say("日目", ""))
        div.small {
            @if left == 0 {
                span.chip.caution { (viewer.say("本日終了", "ends today")) }
            } @else if left == 1 {
                span.chip { (viewer.say("明日終了", "ends tomorrow")) }
            } @else {
                span.muted { "〜" (status.last_day.strftime("%m/%d")) }
            }
        }
    }
}

fn risks(viewer: &Viewer, one: &Listed, today: Date) -> Markup {
    let risks: Vec<_> = one.risks.iter().map(|risk| words::risk(*risk)).collect();
    let mut shown: Vec<(&str, &str)> = Vec::new();
    if age(*one.birth_date.expose(), today) >= 65 {
        shown.push((viewer.say("65歳以上", "65+"), "chip"));
    }
    if one.lives_alone {
        shown.push((viewer.say("独居", "alone"), "chip"));
    }
    shown.extend(risks.iter().map(|risk| (viewer.tell(risk), "chip")));
    html! {
        (chips(viewer, &shown))
        @if shown.is_empty() { span.muted { (viewer.say("なし", "none")) } }
    }
}

/// More chips than these make a row higher than two lines: the rest is counted, and named to
/// whoever points at it or listens.
const CHIPS: usize = 3;

/// Words side by side, each with its class.
fn chips(viewer: &Viewer, words: &[(&str, &str)]) -> Markup {
    let n_shown = if words.len() > CHIPS { CHIPS - 1 } else { CHIPS };
    let (shown, rest) = words.split_at(words.len().min(n_shown));
    let rest_words: Vec<&str> = rest.iter().map(|(word, _)| *word).collect();
    let rest_words = rest_words.join(viewer.say("・", ", "));
    html! {
        div.chips {
            @for (word, class) in shown { span class=(class) { (word) } }
            @if !rest.is_empty() {
                span class={ "chip" @if rest.iter().any(|(_, class)| class.contains("act")) { " act" } }
                    title=(rest_words) {
                    span aria-hidden="true" { "+" (rest.len()) }
                    span.visually-hidden { (rest_words) }
                }
            }
        }
    }
}

/// 37.2 for 372.
pub(super) fn degrees(tenths: i32) -> String {
    format!("{}.{}", tenths / 10, (tenths % 10).abs())
}

fn temperature(viewer: &Viewer, vital: &Vital) -> Markup {
    let change = |tenths: i32| format!("{}{}", sign(tenths), degrees(tenths.abs()));
    html! {
        div.nowrap { (value(viewer, vital, |it| if it >= FEVER { "red" } else { "" }, degrees, change)) }
        div.vital.small {
            (sparkline(&vital.week, (360, FEVER), degrees))
            @if let Some(worst) = vital.worst.filter(|worst| Some(*worst) != vital.today()) {
                span.nowrap.red[worst >= FEVER] { (viewer.say("最高 ", "max ")) (degrees(worst)) }
            }
            (doubt(viewer, vital))
        }
    }
}

fn spo2(viewer: &Viewer, vital: &Vital) -> Markup {
    let percent = |it: i32| it.to_string();
    let change = |it: i32| format!("{}{}", sign(it), it.abs());
    html! {
        div.nowrap { (value(viewer, vital, |it| if it <= 95 { "red" } else { "" }, percent, change)) }
        div.vital.small {
            (sparkline(&vital.week, (93, 100), percent))
            @if let Some(worst) = vital.worst.filter(|worst| Some(*worst) != vital.today()) {
                span.nowrap.red[worst <= 95] { (viewer.say("最低 ", "min ")) (worst) }
            }
            (doubt(viewer, vital))
        }
    }
}

fn sign(change: i32) -> &'static str {
    match change {
        ..0 => "▼",
        0 => "±",
        1.. => "▲",
    }
}

fn value(
    viewer: &Viewer,
    vital: &Vital,
    class: impl Fn(i32) -> &'static str,
    say: impl Fn(i32) -> String,
    say_change: impl Fn(i32) -> String,
) -> Markup {
    html! {
        @match vital.today() {
            Some(today) => {
                strong class=(class(today)) { (say(today)) }
                @if let Some(change) = vital.change() {
                    " " span.muted.small.nowrap {
                        span.visually-hidden { (viewer.say("前日との差", "since yesterday")) }
                        (say_change(change))
                    }
                }
            }
            None if vital.not_measured => span { (viewer.say("測れず", "not measured")) },
            None => span.muted { (viewer.say("未", "not yet")) },
        }
    }
}

fn doubt(viewer: &Viewer, vital: &Vital) -> Markup {
    html! {
        @if vital.is_suspect {
            span title=(viewer.say("入力誤りの可能性 — 音声を確認", "may be mistyped — listen to the call")) {
                (ui::badge("badge caution", Icon::Caution, viewer.say("入力誤り?", "typo?")))
                span.visually-hidden { (viewer.say("音声を確認", "listen to the call")) }
            }
        }
    }
}

fn symptoms(viewer: &Viewer, status: &HealthStatus) -> Markup {
    let language = viewer.staff.language;
    // What is there comes before what is not known.
    let (there, unknown): (Vec<_>, Vec<_>) =
        status.symptoms.iter().partition(|one| one.answer == YesNo::Yes);
    let unknown: Vec<String> = unknown
        .iter()
        .map(|one| {
            let word = words::question(&one.code, language);
            format!("{word} {}", viewer.tell(&words::yes_no(one.answer)))
        })
        .collect();
    let mut shown: Vec<(&str, &str)> =
        there.iter().map(|one| (words::question(&one.code, language), "chip act")).collect();
    shown.extend(unknown.iter().map(|word| (word.as_str(), "chip")));
    html! {
        (chips(viewer, &shown))
        @if status.symptoms.is_empty() {
            span.muted {
                @if status.report == DayReport::NotReported {
                    (viewer.say("未", "not yet"))
                } @else {
                    (viewer.say("なし", "none"))
                }
            }
        }
    }
}

fn report(viewer: &Viewer, report: DayReport) -> Markup {
    let heard = |at: Timestamp, channel, is_whole: bool| {
        let (icon, word) = words::channel(channel);
        html! {
            span.nowrap { (ui::icon(icon)) " " (viewer.tell(&word)) }
            div.small.muted {
                (time(at)) @if !is_whole { " " (viewer.say("途中", "partial")) }
            }
        }
    };
    match report {
        DayReport::NotReported => html! { strong { (viewer.say("未報告", "no report")) } },
        DayReport::Partial { at, channel } => heard(at, channel, false),
        DayReport::Reported { at, channel } => heard(at, channel, true),
    }
}

fn time(at: Timestamp) -> impl std::fmt::Display {
    let at = civil(at);
    format!("{}:{:02}", at.hour(), at.minute())
}

/// What was done and what is done next, and when: never blank.
fn calls(viewer: &Viewer, status: &HealthStatus, attempts: u32) -> Markup {
    let earlier: Vec<String> = match status.calls.split_last() {
        Some((_, earlier)) => earlier.iter().map(|call| in_words(viewer, call)).collect(),
        None => Vec::new(),
    };
    // A line in Japanese is short; one in English may break.
    let is_short = viewer.staff.language == ConsoleLanguage::Ja;
    html! {
        @if let Some(call) = status.calls.last() {
            div.small.nowrap[is_short] title=[(!earlier.is_empty()).then(|| earlier.join(" / "))] {
                (call_made(viewer, call))
                @if !earlier.is_empty() {
                    span.visually-hidden { " / " (earlier.join(" / ")) }
                }
            }
        }
        @if let Some(held) = status.held {
            div.small { strong { (viewer.say("自動で発信しない", "no machine calls")) } " — " (viewer.tell(&held.reason())) }
        }
        (what_follows(viewer, status, attempts))
    }
}

/// A call that was followed by others.
fn in_words(viewer: &Viewer, call: &CallMade) -> String {
    let number = match viewer.staff.language {
        ConsoleLanguage::Ja => format!("{}回目", call.number),
        ConsoleLanguage::En => format!("call {}", call.number),
    };
    let outcome = call
        .disposition
        .map(|disposition| words::outcome(disposition, call.respondent, call.completion));
    let outcome = outcome.as_ref().map_or("", |word| viewer.tell(word));
    format!("{number} {outcome} {}", time(call.at))
}

fn call_made(viewer: &Viewer, call: &CallMade) -> Markup {
    let number = match viewer.staff.language {
        ConsoleLanguage::Ja => format!("{}回目", call.number),
        ConsoleLanguage::En => format!("call {}", call.number),
    };
    html! {
        (number) " "
        @match (call.state, call.disposition) {
            (AttemptState::Dialing, _) => strong { (viewer.say("呼出中", "ringing")) },
            (AttemptState::Talking, _) => strong { (viewer.say("通話中", "talking")) },
            (_, Some(disposition)) => {
                (viewer.tell(&words::outcome(disposition, call.respondent, call.completion)))
            }
            (_, None) => (viewer.say("予定", "planned")),
        }
        " " (time(call.at))
    }
}

fn what_follows(viewer: &Viewer, status: &HealthStatus, attempts: u32) -> Markup {
    let open = status.slots.iter().find(|slot| !slot.state.is_final());
    let last = status.slots.last();
    match (open, last) {
        (Some(slot), _) if slot.state == SlotState::InProgress => html! {},
        (Some(slot), _) => waiting(viewer, status, slot, attempts),
        (None, None) => {
            html! { span.muted.small { (viewer.say("本日の架電予定なし", "no call today")) } }
        }
        (None, Some(slot)) => html! {
            div.small {
                @match slot.state {
                    SlotState::Unreached => strong.red {
                        (viewer.say("本日の架電終了・未応答 — 職員が連絡", "calls used up — staff to call"))
                    },
                    SlotState::Expired => strong.red {
                        (viewer.say("時間切れ — 職員が連絡", "window closed — staff to call"))
                    },
                    SlotState::Partial => (viewer.say("途中で終了", "ended halfway")),
                    SlotState::Skipped => span.muted {
                        @match &slot.reason {
                            Some(reason) => (reason),
                            None => (viewer.say("架電なし", "not called")),
                        }
                    },
                    SlotState::Reported | SlotState::Due | SlotState::InProgress => span.muted {
                        (viewer.say("本日は完了", "done for today"))
                    },
                }
            }
        },
    }
}

fn waiting(viewer: &Viewer, status: &HealthStatus, slot: &SlotOfDay, attempts: u32) -> Markup {
    let made = status.calls.iter().filter(|call| call.slot == slot.number).count();
    let left = (attempts as usize).saturating_sub(made);
    if status.held.is_some() {
        return html! {
            div.small {
                (viewer.say("報告を待つ 〜", "waits for a report until ")) (time(slot.due_to))
                @if status.report == DayReport::NotReported {
                    " / " span.nowrap { (viewer.say("以後は職員へ", "then for staff")) }
                }
            }
        };
    }
    html! {
        div.small {
            @match status.next_call {
                Some(at) => { strong { (viewer.say("次回架電 ", "next call ")) (time(at)) } }
                None => { (viewer.say("架電 ", "call ")) (time(slot.due_from)) "〜" (time(slot.due_to)) }
            }
            " / " span.nowrap { (viewer.say("残り", "")) (left) (viewer.say("回", " left")) }
            @if status.report == DayReport::NotReported {
                " / " span.nowrap { (time(slot.due_to)) (viewer.say("に要確認へ", " to check")) }
            }
        }
    }
}

/// The time, with the day unless it is this one.
fn since(at: Timestamp, day: Date) -> String {
    let at = civil(at);
    let text = if at.date() == day { at.strftime("%H:%M") } else { at.strftime("%m/%d %H:%M") };
    text.to_string()
}

fn case(viewer: &Viewer, status: &HealthStatus) -> Markup {
    html! {
        @match &status.case {
            None => span.muted { (viewer.say("なし", "none")) },
            Some(case) => {
                div.nowrap {
                    a href=(format!("/cases/{}", case.id)) {
                        @match case.state {
                            CaseState::Open => (viewer.say("未着手", "open")),
                            CaseState::Acknowledged => (viewer.say("対応中", "in hand")),
                            CaseState::Resolved => (viewer.say("終了", "closed")),
                        }
                    }
                    " " span.small.muted { (since(case.opened_at, status.day)) }
                }
                @if let Some(owner) = &case.owner { div.small.muted.nowrap { (owner) } }
                @if case.state == CaseState::Open && viewer.may(Right::HandleCases) {
                    button.small.no-print type="submit" form="claim" data-claim
                        formaction=(format!("/cases/{}/claim", case.id)) {
                        (viewer.say("担当になる", "Take"))
                    }
                }
            }
        }
    }
}
