//! 申し送り: what one shift tells the next, on one sheet that can be printed.

use axum::extract::{Query, State};
use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan};
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::registry::{Patient, Right};
use crate::store::{HandOver, Promise, QueueCard};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::cases::{card, file};
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

/// From when on the page tells what changed.
#[derive(Deserialize)]
pub(super) struct Since {
    #[serde(default)]
    since: String,
}

pub(super) async fn page(
    viewer: Viewer,
    State(desk): State<Desk>,
    Query(Since { since }): Query<Since>,
) -> Result<Markup, Fault> {
    viewer.must(Right::HandleCases)?;
    let since = moment(&since, viewer.now)?;
    let told = desk.store.within(viewer.scope()?).hand_over(viewer.now, since).await?;
    let mut entry = viewer.audit("handover.viewed");
    entry.detail = format!("{} cases", told.open.len());
    desk.store.audit(viewer.now, &entry).await?;
    let title = Bilingual::fixed("申し送り", "Hand-over");
    let body = html! {
        form.row.no-print method="get" action="/handover" {
            label.inline {
                (viewer.say("この時刻からの変化", "What changed since"))
                input type="datetime-local" name="since" required
                    value=(civil(since).strftime("%Y-%m-%dT%H:%M"));
            }
            button type="submit" { (viewer.say("表示", "Show")) }
        }
        p.muted {
            (civil(viewer.now).strftime("%Y-%m-%d %H:%M")) " " (viewer.staff.name.expose()) " · "
            (civil(since).strftime("%m/%d %H:%M")) (viewer.say("からの変化", " on"))
        }
        (open(&viewer, &told))
        (promises(&viewer, &told))
        (unheard(&viewer, &told))
        (resolved(&viewer, &told))
        (events(&viewer, &told))
    };
    Ok(ui::page(&viewer, Section::Handover, &title, &body))
}

/// The moment that was asked for; the last twelve hours if none was.
fn moment(since: &str, now: Timestamp) -> Result<Timestamp, Fault> {
    if since.is_empty() {
        return Ok(now.saturating_sub(12.hours()).unwrap_or(now));
    }
    let since: DateTime = since.parse().map_err(|_| {
        Fault::Invalid(Bilingual::fixed("日時を読み取れません。", "This is not a date and time."))
    })?;
    Ok(timestamp(since))
}

fn clock(at: Timestamp) -> String {
    civil(at).strftime("%m/%d %H:%M").to_string()
}

fn who(patient: &Patient) -> Markup {
    html! {
        (patient.name.expose()) " " span.muted.small { (patient.registration_number) " · " (patient.birth_date.expose()) }
    }
}

fn open(viewer: &Viewer, told: &HandOver) -> Markup {
    html! {
        h2 { (viewer.say("終わっていないケース", "Open cases")) " " span.chip { (told.open.len()) } }
        @if told.open.is_empty() {
            (ui::empty(viewer.say("ありません", "None")))
        } @else {
            div.scroll { table {
                thead { tr {
                    th scope="col" { (viewer.say("優先", "Priority")) }
                    th scope="col" { (viewer.say("患者", "Patient")) }
                    th scope="col" { (viewer.say("何があったか", "What happened")) }
                    th scope="col" { (viewer.say("経過時間", "For")) }
                    th scope="col" { (viewer.say("状態", "State")) }
                } }
                tbody {
                    @for one in &told.open {
                        tr {
                            td { (ui::priority(viewer, one.view.case.priority)) }
                            th scope="row" {
                                a href={ "/cases/" (one.view.case.id) } { (who(&one.view.patient)) }
                            }
                            td { (card::sentence(viewer.staff.language, &one.view.case.facts, &one.recent, viewer.now)) }
                            td.nowrap { (card::timer(viewer, one)) }
                            td { (card::standing(viewer, one)) }
                        }
                    }
                }
            } }
        }
    }
}

fn promises(viewer: &Viewer, told: &HandOver) -> Markup {
    let mut promised: Vec<(&QueueCard, &Promise)> = told
        .open
        .iter()
        .flat_map(|one| one.promises.iter().map(move |promise| (one, promise)))
        .collect();
    promised.sort_by_key(|(_, promise)| promise.due_at);
    html! {
        h2 { (viewer.say("約束", "Promises")) " " span.chip { (promised.len()) } }
        @if promised.is_empty() {
            (ui::empty(viewer.say("ありません", "None")))
        } @else {
            div.scroll { table {
                thead { tr {
                    th scope="col" { (viewer.say("期限", "Due")) }
                    th scope="col" { (viewer.say("約束", "Promise")) }
                    th scope="col" { (viewer.say("患者", "Patient")) }
                    th scope="col" { (viewer.say("約束した人", "By")) }
                } }
                tbody {
                    @for (one, promise) in promised {
                        tr {
                            td.nowrap {
                                (clock(promise.due_at))
                                @if promise.due_at <= viewer.now {
                                    " " strong.red { (ui::icon(Icon::Alert)) (viewer.say("超過", "overdue")) }
                                }
                            }
                            td { (promise.text) }
                            th scope="row" {
                                a href={ "/cases/" (one.view.case.id) } { (who(&one.view.patient)) }
                            }
                            td { @if let Some(by) = &promise.by { (by.expose()) } }
                        }
                    }
                }
            } }
        }
    }
}

fn unheard(viewer: &Viewer, told: &HandOver) -> Markup {
    html! {
        h2 { (viewer.say("まだ聞いていない録音", "Recordings nobody has heard")) " " span.chip { (told.unheard.len()) } }
        @if told.unheard.is_empty() {
            (ui::empty(viewer.say("ありません", "None")))
        } @else {
            ul {
                @for one in &told.unheard {
                    li {
                        a href={ "/calls/" (one.attempt) } { (clock(one.started_at)) " " (who(&one.patient)) }
                        @if one.has_message {
                            " " (ui::badge("badge caution", Icon::Voice, viewer.say("伝言あり", "left a message")))
                        }
                    }
                }
            }
        }
    }
}

fn resolved(viewer: &Viewer, told: &HandOver) -> Markup {
    html! {
        h2 { (viewer.say("終了したケース", "Closed cases")) " " span.chip { (told.resolved.len()) } }
        @if told.resolved.is_empty() {
            (ui::empty(viewer.say("ありません", "None")))
        } @else {
            ul {
                @for view in &told.resolved {
                    li {
                        a href={ "/cases/" (view.case.id) } { (who(&view.patient)) }
                        @if let Some((by, at, reason)) = &view.resolved {
                            " " (clock(*at)) " " (by) " — " (reason)
                        }
                    }
                }
            }
        }
    }
}

fn events(viewer: &Viewer, told: &HandOver) -> Markup {
    html! {
        h2 { (viewer.say("変化", "What changed")) " " span.chip { (told.events.len()) } }
        @if told.events.is_empty() {
            (ui::empty(viewer.say("ありません", "None")))
        } @else {
            div.scroll { table {
                thead { tr {
                    th scope="col" { (viewer.say("時刻", "Time")) }
                    th scope="col" { (viewer.say("患者", "Patient")) }
                    th scope="col" { (viewer.say("できごと", "What")) }
                    th scope="col" { (viewer.say("だれが", "Who")) }
                } }
                tbody {
                    @for (case, patient, event) in &told.events {
                        tr {
                            td.nowrap { (clock(event.at)) }
                            th scope="row" { a href={ "/cases/" (case) } { (who(patient)) } }
                            td {
                                (viewer.tell(&event.kind.name()))
                                @let text = file::text_of(viewer, event);
                                @if !text.is_empty() { ": " (text) }
                            }
                            td { @if let Some((_, name)) = &event.by { (name.expose()) } }
                        }
                    }
                }
            } }
        }
    }
}
