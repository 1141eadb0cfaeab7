//! Days × people: who reported on which day, by which way, and where a rule raised the alarm.

use axum::extract::{Query, State};
use jiff::civil::{Date, Weekday};
use maud::{Markup, html};

use crate::base::{Bilingual, id::PatientId};
use crate::registry::{ConsoleLanguage, Right};
use crate::store::{DayCell, DayState, ListPage, Listed, Matrix};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::health::{Around, Wanted, around, page_of, paging, row, tools};
use crate::web::console::words;
use crate::web::fault::Fault;
use crate::web::ui::{self, Icon, Section};

/// Days that can be chosen.
const DAYS: [u8; 2] = [7, 14];

pub(super) async fn matrix(
    viewer: Viewer,
    State(desk): State<Desk>,
    Query(mut wanted): Query<Wanted>,
) -> Result<Markup, Fault> {
    viewer.must(Right::SeeHealth)?;
    if !DAYS.contains(&wanted.days) {
        wanted.days = DAYS[0];
    }
    let around = around(&viewer, &desk);
    let page = page_of(&viewer, &desk, &wanted, &around, "health.matrix").await?;
    let people: Vec<PatientId> = page.rows.iter().map(|one| one.patient).collect();
    let within = desk.store.within(viewer.scope()?);
    let matrix = within.health_matrix(around.today, wanted.days, &people).await?;
    let body = html! {
        (tools(&viewer, &wanted, "/health/matrix"))
        (lengths(&viewer, &wanted))
        (table(&viewer, &wanted, &page, &matrix, &around))
        (legend(&viewer))
        (paging(&viewer, &wanted, &page, "/health/matrix"))
    };
    let title = Bilingual::fixed("健康状態一覧 — 日別の表", "State of health by days");
    Ok(ui::page_with(&viewer, Section::Health, &title, &["list.js"], &body))
}

fn lengths(viewer: &Viewer, wanted: &Wanted) -> Markup {
    html! {
        nav.tabs.no-print aria-label=(viewer.say("日数", "Days")) {
            @for days in DAYS {
                @let other = Wanted { days, after: String::new(), ..wanted.clone() };
                a href=(other.address("/health/matrix", None))
                    aria-current=[(days == wanted.days).then_some("page")] {
                    (days) (viewer.say("日間", " days"))
                }
            }
        }
    }
}

fn table(
    viewer: &Viewer,
    wanted: &Wanted,
    page: &ListPage,
    matrix: &Matrix,
    around: &Around,
) -> Markup {
    html! {
        @if page.rows.is_empty() {
            (ui::empty(viewer.say("該当する方はいません。", "Nobody is here.")))
        } @else {
            div.scroll {
                table.matrix data-list {
                    caption.visually-hidden { (viewer.say("人と日の表", "people and days")) }
                    thead {
                        tr {
                            th scope="col" { (viewer.say("優先", "Need")) }
                            th scope="col" { (viewer.say("氏名", "Name")) }
                            @for day in &matrix.days { th scope="col" { (heading(viewer, *day)) } }
                        }
                    }
                    tbody {
                        @for one in &page.rows {
                            (line(viewer, wanted, one, matrix, around))
                        }
                    }
                }
            }
        }
    }
}

fn heading(viewer: &Viewer, day: Date) -> String {
    let weekday = match (viewer.staff.language, day.weekday()) {
        (ConsoleLanguage::En, weekday) => match weekday {
            Weekday::Monday => "Mo",
            Weekday::Tuesday => "Tu",
            Weekday::Wednesday => "We",
            Weekday::Thursday => "Th",
            Weekday::Friday => "Fr",
            Weekday::Saturday => "Sa",
            Weekday::Sunday => "Su",
        },
        (ConsoleLanguage::Ja, weekday) => match weekday {
            Weekday::Monday => "月",
            Weekday::Tuesday => "火",
            Weekday::Wednesday => "水",
            Weekday::Thursday => "木",
            Weekday::Friday => "金",
            Weekday::Saturday => "土",
            Weekday::Sunday => "日",
        },
    };
    format!("{}/{} {weekday}", day.month(), day.day())
}

fn line(
    viewer: &Viewer,
    wanted: &Wanted,
    one: &Listed,
    matrix: &Matrix,
    around: &Around,
) -> Markup {
    let cells = matrix.cells.get(&one.patient);
    html! {
        tr data-patient=(one.patient) tabindex="-1" {
            td {
                @match &one.status {
                    Some(status) => (row::need(viewer, status.need)),
                    None => (ui::badge("badge act", Icon::Alert, viewer.say("要確認", "To check"))),
                }
            }
            (row::name(viewer, one, around.today, wanted.is_masked()))
            @for place in 0..matrix.days.len() {
                (cell(viewer, cells.and_then(|cells| cells.get(place)).copied().unwrap_or_default()))
            }
        }
    }
}

fn cell(viewer: &Viewer, cell: DayCell) -> Markup {
    let (class, word) = match cell.state {
        DayState::NotOwed => ("muted", viewer.say("－", "－")),
        DayState::Waiting => ("", viewer.say("未", "open")),
        DayState::Calling => ("", viewer.say("架電中", "calling")),
        DayState::Unreached => ("", viewer.say("未応答", "unreached")),
        DayState::Partial => ("", viewer.say("途中", "partial")),
        DayState::Reported => ("", viewer.say("済", "done")),
    };
    html! {
        td.nowrap class=(class) {
            @if cell.state == DayState::NotOwed {
                span aria-hidden="true" { (word) }
                span.visually-hidden { (viewer.say("対象外", "not owed")) }
            } @else {
                (word)
            }
            @if let Some(channel) = cell.channel {
                @let (icon, name) = words::channel(channel);
                " " (ui::icon(icon)) span.visually-hidden { (viewer.tell(&name)) }
            }
            @if cell.needs_care {
                " " span.red { (ui::icon(Icon::Alert)) (viewer.say("要注意", "care")) }
            }
        }
    }
}

fn legend(viewer: &Viewer) -> Markup {
    html! {
        p.muted.small {
            (viewer.say(
                "済=報告済、途中=一部のみ回答、未=まだ報告なし、未応答=電話に応答なし、－=対象外。要注意=判定ルールに該当。",
                "done: reported; partial: some answers; open: nothing yet; unreached: no answer; －: not owed. care: a rule raised the alarm.",
            ))
        }
    }
}
