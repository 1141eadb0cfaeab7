//! What a set of rules would have done with days that are over, beside the one in force.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};

use crate::base::clock::civil;
use crate::base::id::PatientId;
use crate::escalation::trial::{Difference, Past, Trial};
use crate::escalation::{Priority, RuleSet};
use crate::registry::AuditEntry;
use crate::store::Within;
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::rules::words;
use crate::web::fault::Fault;
use crate::web::ui;

/// Patients whose past is read at a time.
const BATCH: u32 = 500;

/// Rules look back so far: the longest episode is shorter.
const LOOK_BACK: i64 = 14;

/// Differences that are shown.
const MOST: usize = 200;

/// Tries a set of rules, and writes down that the past was looked at.
pub(super) async fn run(
    desk: &Desk,
    viewer: &Viewer,
    within: Within<'_>,
    current: &RuleSet,
    tried: &RuleSet,
    days: u16,
) -> Result<Markup, Fault> {
    let today = civil(viewer.now).date();
    let last = today.yesterday().unwrap_or(today);
    let first = last.saturating_sub((i64::from(days.clamp(1, 28)) - 1).days());
    let since = first.saturating_sub(LOOK_BACK.days());
    let (mut before, mut after) = (Trial::default(), Trial::default());
    let mut names = HashMap::new();
    let mut from = None;
    loop {
        let people = within.past(since, last, from, BATCH).await?;
        let Some(end) = people.last() else { break };
        from = Some(end.patient.id);
        for past in &people {
            names.insert(past.patient.id, past.patient.registration_number.clone());
        }
        let sets = (current.clone(), tried.clone());
        let judging =
            tokio::task::spawn_blocking(move || judge(&sets, &people, first, last, before, after));
        (before, after) = judging.await.map_err(anyhow::Error::from)?;
    }
    let entry = AuditEntry {
        object: tried.version.clone(),
        detail: format!("{first} – {last}"),
        ..viewer.audit("rules.tried")
    };
    desk.store.audit(viewer.now, &entry).await?;
    let shown = Shown { viewer, names: &names, before: &before, after: &after };
    Ok(shown.body(first, last))
}

fn judge(
    (current, tried): &(RuleSet, RuleSet),
    people: &[Past],
    first: Date,
    last: Date,
    mut before: Trial,
    mut after: Trial,
) -> (Trial, Trial) {
    for past in people {
        before.add(current, past, first, last);
        after.add(tried, past, first, last);
    }
    (before, after)
}

struct Shown<'a> {
    viewer: &'a Viewer,
    names: &'a HashMap<PatientId, String>,
    before: &'a Trial,
    after: &'a Trial,
}

impl Shown<'_> {
    fn say<'s>(&self, ja: &'s str, en: &'s str) -> &'s str {
        self.viewer.say(ja, en)
    }

    fn body(&self, first: Date, last: Date) -> Markup {
        let (before, after) = (self.before.alarms.len(), self.after.alarms.len());
        let summary = match self.say("ja", "en") {
            "ja" => format!(
                "{first}〜{last}のデータでは、この版なら {after} 件(いまのルールでは {before} 件)を知らせていました。"
            ),
            _ => format!(
                "From {first} to {last} this set would have raised {after} alarms instead of {before}."
            ),
        };
        html! {
            p #summary { strong { (summary) } }
            p.hint { (self.say(
                "同じ方の同じ日の所見は、まとめて1件と数えています。",
                "Whatever is found about one patient on one day counts as one alarm.",
            )) }
            div.grid {
                (self.priorities())
                (self.days(first, last))
            }
            (self.rules())
            (self.differences())
        }
    }

    fn priorities(&self) -> Markup {
        html! {
            div.scroll { table {
                caption { (self.say("優先度ごと", "By priority")) }
                thead { tr {
                    th scope="col" { (self.say("優先", "Priority")) }
                    th.number scope="col" { (self.say("いま", "Now")) }
                    th.number scope="col" { (self.say("この版", "This set")) }
                } }
                tbody { @for ((priority, before), (_, after)) in self.before.by_priority().into_iter().zip(self.after.by_priority()) {
                    tr {
                        th scope="row" { (ui::priority(self.viewer, priority)) }
                        td.number { (before) }
                        td.number { (after) }
                    }
                } }
            } }
        }
    }

    fn days(&self, first: Date, last: Date) -> Markup {
        let (before, after) = (self.before.by_day(), self.after.by_day());
        let most = before.values().chain(after.values()).max().copied().unwrap_or(1);
        let of = |days: &BTreeMap<Date, u32>, day| days.get(&day).copied().unwrap_or(0);
        html! {
            div.scroll { table {
                caption { (self.say("1日あたりの件数", "Alarms per day")) }
                thead { tr {
                    th scope="col" { (self.say("日", "Day")) }
                    th.number scope="col" { (self.say("いま", "Now")) }
                    th.number scope="col" { (self.say("この版", "This set")) }
                    th scope="col" { span.visually-hidden { (self.say("割合", "Share")) } }
                } }
                tbody { @for day in first.series(1.day()).take_while(|day| *day <= last) {
                    tr {
                        th.nowrap scope="row" { (day.strftime("%m/%d")) }
                        td.number { (of(&before, day)) }
                        td.number { (of(&after, day)) }
                        td { meter min="0" max=(most.max(1)) value=(of(&after, day)) aria-label=(day) { (of(&after, day)) } }
                    }
                } }
            } }
        }
    }

    fn rules(&self) -> Markup {
        let keys: BTreeSet<&(String, Priority)> =
            self.before.rules.keys().chain(self.after.rules.keys()).collect();
        html! {
            div.scroll { table {
                caption { (self.say("ルールごとの所見の数", "Findings by rule")) }
                thead { tr {
                    th scope="col" { "ID" }
                    th scope="col" { (self.say("優先", "Priority")) }
                    th.number scope="col" { (self.say("いま", "Now")) }
                    th.number scope="col" { (self.say("この版", "This set")) }
                } }
                tbody { @for key in keys {
                    tr {
                        th scope="row" { code { (key.0) } }
                        td { (self.viewer.tell(&words::priority(key.1))) }
                        td.number { (self.before.rules.get(key).copied().unwrap_or(0)) }
                        td.number { (self.after.rules.get(key).copied().unwrap_or(0)) }
                    }
                } }
            } }
        }
    }

    fn differences(&self) -> Markup {
        let differences = self.before.differences(self.after);
        html! {
            @if !differences.is_empty() {
                details {
                    summary { (self.say("判定が変わる方と日", "Who would be judged otherwise")) " (" (differences.len()) ")" }
                    div.scroll { table {
                        thead { tr {
                            th scope="col" { (self.say("日", "Day")) }
                            th scope="col" { (self.say("管理番号", "Number")) }
                            th scope="col" { (self.say("いま", "Now")) }
                            th scope="col" { (self.say("この版", "This set")) }
                        } }
                        tbody { @for one in differences.iter().take(MOST) { (self.difference(one)) } }
                    } }
                }
            }
        }
    }

    fn difference(&self, one: &Difference<'_>) -> Markup {
        let cell = |found: Option<&(Priority, String)>| {
            html! {
                @match found {
                    Some((priority, rule)) => { (self.viewer.tell(&words::priority(*priority))) " " code { (rule) } }
                    None => { span.muted { (self.say("なし", "none")) } }
                }
            }
        };
        let number = self.names.get(&one.patient).map_or("", String::as_str);
        html! {
            tr {
                th.nowrap scope="row" { (one.day.strftime("%m/%d")) }
                td { a href={ "/patients/" (one.patient) } { (number) } }
                td { (cell(one.before)) }
                td { (cell(one.after)) }
            }
        }
    }
}
