//! One case in the queue: what happened in one sentence, for how long, who has it, what to do.

use jiff::Timestamp;
use maud::{Markup, html};

use crate::base::clock::civil;
use crate::base::id::{AttemptId, CaseId};
use crate::escalation::case::FactSource;
use crate::escalation::handling::URGENT_TARGET;
use crate::escalation::{Fact, Holder, Lane, Standing};
use crate::ivr::Answer;
use crate::observation::Observation;
use crate::registry::{ConsoleLanguage, Patient, PhoneRole, Right};
use crate::store::QueueCard;
use crate::web::auth::Viewer;
use crate::web::console::words::{self, pick};
use crate::web::ui::{self, Icon};

/// Facts that a card tells of; the rest is on the page of the case.
const TOLD: usize = 3;

/// What is played at once: most of the question, and the answer.
pub(super) const CLIP_BEFORE_MS: u64 = 8_000;
/// See [`CLIP_BEFORE_MS`].
pub(super) const CLIP_MS: u64 = 12_000;

/// A card.
pub(super) fn card(viewer: &Viewer, card: &QueueCard) -> Markup {
    let case = &card.view.case;
    let patient = &card.view.patient;
    let lane = Lane::of(case.priority, &case.facts);
    let class = if lane == Lane::Urgent { "card case urgent" } else { "card case" };
    let label = format!("case-{}", case.id);
    html! {
        article class=(class) data-case=(case.id) data-lane=(lane_word(lane))
            aria-labelledby=(label) {
            header.row {
                (ui::priority(viewer, case.priority))
                (timer(viewer, card))
                (standing(viewer, card))
            }
            h3 id=(label) {
                a href={ "/cases/" (case.id) } { (patient.name.expose()) }
                " " span.muted.small { (patient.kana.expose()) }
            }
            p.small {
                (patient.registration_number) " · "
                (patient.birth_date.expose()) " ("
                (patient.age(civil(viewer.now).date())) (viewer.say("歳", "")) ")"
                @for risk in risks(viewer, patient) { " " span.chip { (risk) } }
            }
            p.what { (sentence(viewer.staff.language, &case.facts, &card.recent, viewer.now)) }
            (promises(viewer, card))
            div.row.actions {
                (play(viewer, card))
                (call(viewer, case.id, patient))
                (take(viewer, card))
            }
        }
    }
}

/// The word of a lane for scripts and tests.
pub(super) fn lane_word(lane: Lane) -> &'static str {
    match lane {
        Lane::Urgent => "urgent",
        Lane::Unreached => "unreached",
        Lane::Caution => "caution",
    }
}

fn risks(viewer: &Viewer, patient: &Patient) -> Vec<String> {
    let language = viewer.staff.language;
    let mut risks: Vec<String> = patient
        .risks
        .iter()
        .map(|risk| {
            let word = words::risk(*risk);
            pick(language, &word.ja, &word.en).to_owned()
        })
        .collect();
    if patient.lives_alone {
        risks.push(viewer.say("独居", "lives alone").to_owned());
    }
    risks
}

/// How long the case waits. An island of script lets it run on.
pub(super) fn timer(viewer: &Viewer, card: &QueueCard) -> Markup {
    let case = &card.view.case;
    let seconds = case.opened_at.duration_until(viewer.now).as_secs().max(0);
    let lane = Lane::of(case.priority, &case.facts);
    let untouched =
        !matches!(card.standing.seen_at(viewer.now), Standing::InHand(_) | Standing::Resolved(_));
    let target = i64::try_from(URGENT_TARGET.as_secs()).unwrap_or(i64::MAX);
    let runs = lane == Lane::Urgent && untouched;
    let is_late = runs && seconds >= target;
    html! {
        span.timer.late[is_late] {
            (ui::icon(Icon::Clock))
            time datetime=(case.opened_at) data-since=(case.opened_at.as_millisecond())
                data-target=[runs.then_some(target)] { (elapsed(viewer.staff.language, seconds)) }
            @if runs {
                span.target hidden[is_late] {
                    " / " (viewer.say("目標15分", "target 15 min"))
                }
                strong.overdue hidden[!is_late] {
                    " " (viewer.say("目標15分を超過", "over the target of 15 min"))
                }
            }
        }
    }
}

/// A span in words: 12分, 3時間20分, 2日.
pub(super) fn elapsed(language: ConsoleLanguage, seconds: i64) -> String {
    let minutes = seconds / 60;
    let (days, hours) = (minutes / 1440, minutes / 60);
    match language {
        ConsoleLanguage::Ja if days > 0 => format!("{days}日{}時間", hours % 24),
        ConsoleLanguage::Ja if hours > 0 => format!("{hours}時間{}分", minutes % 60),
        ConsoleLanguage::Ja => format!("{minutes}分"),
        ConsoleLanguage::En if days > 0 => format!("{days} d {} h", hours % 24),
        ConsoleLanguage::En if hours > 0 => format!("{hours} h {} min", minutes % 60),
        ConsoleLanguage::En => format!("{minutes} min"),
    }
}

/// Where the case stands, as a word with an icon.
pub(super) fn standing(viewer: &Viewer, card: &QueueCard) -> Markup {
    let until = |at: Timestamp| civil(at).strftime("%H:%M").to_string();
    match card.standing.seen_at(viewer.now) {
        Standing::Untouched => {
            ui::badge("badge", Icon::Unknown, viewer.say("未着手", "Nobody yet"))
        }
        Standing::HandedOver => {
            ui::badge("badge check", Icon::Note, viewer.say("引継ぎ", "Handed over"))
        }
        Standing::InHand(holder) => {
            let name = card.holder.as_ref().map(|name| name.expose().as_str()).unwrap_or_default();
            let mine = card.standing.is_held_by(viewer.staff.id);
            let name = if mine { viewer.say("自分", "me") } else { name };
            let text = match holder {
                Holder::Staff(claim) => {
                    format!("{}: {name} (–{})", viewer.say("担当中", "In hand"), until(claim.until))
                }
                Holder::CommandLine => format!("{}: {name}", viewer.say("担当中", "In hand")),
            };
            ui::badge("badge good", Icon::Person, &text)
        }
        Standing::Resolved(outcome) => {
            let text = match outcome {
                Some(outcome) => viewer.tell(&outcome.name()).to_owned(),
                None => String::new(),
            };
            let text = format!("{} {text}", viewer.say("終了", "Closed"));
            ui::badge("badge muted", Icon::Check, text.trim())
        }
    }
}

fn promises(viewer: &Viewer, card: &QueueCard) -> Markup {
    html! {
        @if !card.promises.is_empty() {
            ul.plain {
                @for promise in &card.promises {
                    li {
                        (ui::icon(Icon::Clock)) " "
                        (civil(promise.due_at).strftime("%m/%d %H:%M")) " " (promise.text)
                        @if promise.due_at <= viewer.now {
                            " " strong.red { (viewer.say("期限を過ぎています", "overdue")) }
                        }
                    }
                }
            }
        }
    }
}

/// The call and the entry of its transcript that the gravest rule fired at, if it fired at one.
pub(super) fn gravest_answer(facts: &[Fact]) -> Option<(AttemptId, u32)> {
    let gravest = facts.iter().map(|fact| fact.priority).max()?;
    facts.iter().rev().find_map(|fact| match fact.source {
        FactSource::Answer(attempt, seq) if fact.priority == gravest => Some((attempt, seq)),
        _ => None,
    })
}

/// Plays the answer that the gravest rule fired at; without script it leads to the call.
pub(super) fn play(viewer: &Viewer, card: &QueueCard) -> Markup {
    let Some((attempt, seq)) = gravest_answer(&card.view.case.facts) else { return html! {} };
    let Some(clip) = card.clips.iter().find(|clip| (clip.attempt, clip.seq) == (attempt, seq))
    else {
        return html! {};
    };
    if !viewer.may(Right::Listen) {
        return html! {};
    }
    let at = u64::try_from(clip.at.as_millis()).unwrap_or(u64::MAX);
    let from = at.saturating_sub(CLIP_BEFORE_MS);
    html! {
        a.button href={ "/calls/" (attempt) "?from=" (from) } data-play={ "/calls/" (attempt) "/audio?fmt=pcm16" }
            data-heard={ "/calls/" (attempt) "/heard" } data-from=(from) data-length=(CLIP_MS) data-csrf=(viewer.csrf.expose()) {
            (ui::icon(Icon::Play)) (viewer.say("12秒を聞く", "Hear 12 s"))
        }
    }
}

/// A link that the telephone of the desk understands; an island writes down that it was used.
pub(super) fn call(viewer: &Viewer, case: CaseId, patient: &Patient) -> Markup {
    html! {
        @if let Some(phone) = patient.phones.first() {
            a.button href={ "tel:" (phone.number.e164()) } data-called={ "/cases/" (case) "/call" }
                data-csrf=(viewer.csrf.expose()) {
                (ui::icon(Icon::Phone)) (viewer.say("電話する", "Ring"))
                " " span.small { (phone.number.national()) " " (role(viewer, phone.role)) }
            }
        }
    }
}

/// Whose telephone it is.
pub(super) fn role<'a>(viewer: &Viewer, role: PhoneRole) -> &'a str {
    let (ja, en) = match role {
        PhoneRole::Home => ("自宅", "home"),
        PhoneRole::Mobile => ("本人携帯", "mobile"),
        PhoneRole::Family => ("家族", "family"),
    };
    pick(viewer.staff.language, ja, en)
}

fn take(viewer: &Viewer, card: &QueueCard) -> Markup {
    let case = card.view.case.id;
    match card.standing.seen_at(viewer.now) {
        Standing::Untouched | Standing::HandedOver => html! {
            form method="post" action={ "/cases/" (case) "/claim" } {
                (ui::csrf(viewer))
                button.primary type="submit" {
                    (ui::icon(Icon::Person)) (viewer.say("担当になる", "Take the case"))
                }
            }
        },
        Standing::InHand(_) | Standing::Resolved(_) => html! {
            a.button href={ "/cases/" (case) } { (viewer.say("開く", "Open")) }
        },
    }
}

/// What happened, in one sentence: 今朝 9:02 の電話で「息苦しい: はい」、SpO2 92% (昨日 96%).
pub(super) fn sentence(
    language: ConsoleLanguage,
    facts: &[Fact],
    recent: &[Observation],
    now: Timestamp,
) -> String {
    let Some(gravest) = facts.iter().max_by_key(|fact| (fact.priority, fact.at)) else {
        return String::new();
    };
    let mut told: Vec<&Fact> = facts.iter().collect();
    told.sort_by_key(|fact| (std::cmp::Reverse(fact.priority), std::cmp::Reverse(fact.at)));
    let mut texts: Vec<String> = Vec::new();
    for fact in &told {
        let text = with_earlier(language, &fact.text, recent, now);
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    let more = texts.len().saturating_sub(TOLD);
    texts.truncate(TOLD);
    if !texts.iter().any(|text| text.contains("SpO2"))
        && let Some(value) = latest(recent, "spo2", |_| true)
    {
        texts.push(with_earlier(language, &format!("SpO2 {value}%"), recent, now));
    }
    let more = match language {
        _ if more == 0 => String::new(),
        ConsoleLanguage::Ja => format!(" ほか{more}件"),
        ConsoleLanguage::En => format!(" and {more} more"),
    };
    let separator = pick(language, "、", ", ");
    format!("{}{}{more}", occasion(language, gravest, now), texts.join(separator))
}

/// 今朝 9:02 の電話で
fn occasion(language: ConsoleLanguage, fact: &Fact, now: Timestamp) -> String {
    let (at, today) = (civil(fact.at), civil(now).date());
    let clock = at.strftime("%-H:%M");
    let is_today = at.date() == today;
    let is_yesterday = today.yesterday().is_ok_and(|day| day == at.date());
    let day = match language {
        ConsoleLanguage::Ja if is_today && at.hour() < 11 => "今朝".to_owned(),
        ConsoleLanguage::Ja if is_today => "今日".to_owned(),
        ConsoleLanguage::Ja if is_yesterday => "昨日".to_owned(),
        ConsoleLanguage::En if is_today => "Today".to_owned(),
        ConsoleLanguage::En if is_yesterday => "Yesterday".to_owned(),
        _ => at.strftime("%-m/%-d").to_string(),
    };
    let (ja, en) = match fact.source {
        FactSource::Answer(..) => (" の電話で", ", on the telephone: "),
        FactSource::Attempt(_) => (" の架電で", ", calling: "),
        FactSource::Slot(_) => (" までの定時架電で", ", calls of the day: "),
        FactSource::Observation(_) => (" の報告で", ", reported: "),
        FactSource::Welfare(_) => (" の安否確認で", ", welfare check: "),
        FactSource::Silence(..) => (" の時点で", ", still silent: "),
    };
    format!("{day} {clock}{}", pick(language, ja, en))
}

/// The text of a fact, in quotation marks if it is what was said, with the value of an earlier day
/// if it is a measurement.
fn with_earlier(
    language: ConsoleLanguage,
    text: &str,
    recent: &[Observation],
    now: Timestamp,
) -> String {
    let today = civil(now).date();
    let is_earlier = |one: &Observation| civil(one.effective_at).date() < today;
    let earlier = if text.starts_with("SpO2 ") {
        latest(recent, "spo2", is_earlier).map(|value| format!("{value}%"))
    } else if text.starts_with("体温 ") {
        let value = latest(recent, "temperature", is_earlier);
        value.map(|value| format!("{}.{}℃", value / 10, value % 10))
    } else if text.contains(": ") {
        return format!("{}{text}{}", pick(language, "「", "“"), pick(language, "」", "”"));
    } else {
        None
    };
    match earlier {
        Some(value) => format!("{text} ({} {value})", pick(language, "昨日", "yesterday")),
        None => text.to_owned(),
    }
}

fn latest(
    recent: &[Observation],
    code: &str,
    is_meant: impl Fn(&Observation) -> bool,
) -> Option<i32> {
    recent.iter().filter(|one| one.code == code && is_meant(one)).find_map(|one| match one.value {
        Answer::Number(value) => Some(value),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::clock::timestamp;
    use crate::base::id::Minter;
    use crate::call::Respondent;
    use crate::escalation::Priority;
    use crate::observation::Channel;
    use jiff::civil::date;

    fn at(day: i8, hour: i8, minute: i8) -> Timestamp {
        timestamp(date(2026, 11, day).at(hour, minute, 0, 0))
    }

    fn fact(priority: Priority, text: &str, at: Timestamp, is_answer: bool) -> Fact {
        let mut minter = Minter::new([1; 32]);
        Fact {
            rule: "rule".to_owned(),
            rule_set: "1".to_owned(),
            priority,
            text: text.to_owned(),
            at,
            source: if is_answer {
                FactSource::Answer(minter.mint(at), 2)
            } else {
                FactSource::Slot(minter.mint(at))
            },
        }
    }

    fn value(code: &str, value: i32, at: Timestamp) -> Observation {
        let mut minter = Minter::new([2; 32]);
        Observation {
            id: minter.mint(at),
            patient: minter.mint(at),
            slot: None,
            source: None,
            code: code.to_owned(),
            value: Answer::Number(value),
            effective_at: at,
            respondent: Respondent::Patient,
            channel: Channel::OutboundCall,
            questionnaire: "recuperation@1".to_owned(),
            supersedes: None,
        }
    }

    #[test]
    fn one_sentence_says_what_happened() {
        use Priority::{P1, P2, P3};
        let now = at(23, 9, 10);
        let recent = [
            value("spo2", 92, at(23, 9, 2)),
            value("temperature", 378, at(23, 9, 1)),
            value("spo2", 96, at(22, 9, 1)),
            value("temperature", 365, at(22, 9, 0)),
        ];
        for (facts, recent, ja, en) in [
            (
                vec![fact(P1, "息苦しい: はい", at(23, 9, 2), true)],
                &recent[..],
                "今朝 9:02 の電話で「息苦しい: はい」、SpO2 92% (昨日 96%)",
                "Today 9:02, on the telephone: “息苦しい: はい”, SpO2 92% (yesterday 96%)",
            ),
            (
                vec![
                    fact(P2, "体温 37.8℃", at(23, 9, 1), true),
                    fact(P1, "SpO2 92%", at(23, 9, 2), true),
                ],
                &recent[..],
                "今朝 9:02 の電話でSpO2 92% (昨日 96%)、体温 37.8℃ (昨日 36.5℃)",
                "Today 9:02, on the telephone: SpO2 92% (yesterday 96%), 体温 37.8℃ (yesterday 36.5℃)",
            ),
            (
                vec![fact(P3, "すべての架電に応答なし", at(22, 12, 0), false)],
                &[],
                "昨日 12:00 までの定時架電ですべての架電に応答なし",
                "Yesterday 12:00, calls of the day: すべての架電に応答なし",
            ),
            (
                (0..5).map(|n| fact(P3, &format!("所見{n}"), at(20, 13, n), true)).collect(),
                &[],
                "11/20 13:04 の電話で所見4、所見3、所見2 ほか2件",
                "11/20 13:04, on the telephone: 所見4, 所見3, 所見2 and 2 more",
            ),
            (Vec::new(), &[], "", ""),
        ] {
            assert_eq!(sentence(ConsoleLanguage::Ja, &facts, recent, now), ja);
            assert_eq!(sentence(ConsoleLanguage::En, &facts, recent, now), en);
        }
    }

    #[test]
    fn a_span_is_told_in_its_largest_units() {
        for (seconds, ja, en) in [
            (59, "0分", "0 min"),
            (14 * 60, "14分", "14 min"),
            (200 * 60, "3時間20分", "3 h 20 min"),
            (50 * 3600, "2日2時間", "2 d 2 h"),
        ] {
            assert_eq!(elapsed(ConsoleLanguage::Ja, seconds), ja);
            assert_eq!(elapsed(ConsoleLanguage::En, seconds), en);
        }
    }

    #[test]
    fn what_is_played_is_the_answer_that_the_gravest_rule_fired_at() {
        let grave = fact(Priority::P1, "SpO2 92%", at(23, 9, 2), true);
        let mild = fact(Priority::P3, "体温", at(23, 9, 3), true);
        assert!(gravest_answer(&[grave.clone(), mild.clone()]).is_some());
        let silent = fact(Priority::P1, "本日の報告なし", at(23, 17, 0), false);
        assert_eq!(gravest_answer(&[silent, mild]), None);
        assert_eq!(gravest_answer(&[]), None);
    }
}
