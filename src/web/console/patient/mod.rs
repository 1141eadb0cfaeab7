//! 患者: one person on one page — who they are, how they were, when they are called, and what staff
//! do about it. And the search that leads there.
//!
//! Rights decide which parts are there: without [`Right::SeeHealth`] there is no answer, no chart,
//! no case and no note, not even hidden.

mod act;
mod chart;
mod form;
mod identity;
mod panel;
mod search;
mod stream;
mod words;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use jiff::ToSpan;
use jiff::civil::Date;
use maud::{Markup, html};
use serde::Deserialize;

use crate::base::Bilingual;
use crate::base::clock::civil;
use crate::base::id::{ObservationId, PatientId};
use crate::campaign::Book;
use crate::observation::Observation;
use crate::registry::{Clinic, Right};
use crate::store::{CarePlan, Health, StoreError};
use crate::web::Desk;
use crate::web::auth::Viewer;
use crate::web::console::patient::chart::Chart;
use crate::web::console::patient::form::Draft;
use crate::web::console::patient::stream::Kind;
use crate::web::fault::Fault;
use crate::web::ui::{self, Section};

/// Days of the stream on one page.
const STREAM_DAYS: i64 = 7;

/// Days of the charts.
const CHART_DAYS: i64 = 14;

pub(super) fn routes() -> Router<Desk> {
    Router::new()
        .route("/patients", get(search::page))
        .route("/patients/{id}", get(page))
        .route("/patients/{id}/pause", post(act::pause))
        .route("/patients/{id}/resume", post(act::resume))
        .route("/patients/{id}/times", post(act::times))
        .route("/patients/{id}/arrangement", post(act::arrangement))
        .route("/patients/{id}/last-day", post(act::last_day))
        .route("/patients/{id}/end", post(act::end))
        .route("/patients/{id}/observe", post(act::observe))
        .route("/patients/{id}/correct", post(act::correct))
        .route("/patients/{id}/note", post(act::note))
        .route("/patients/{id}/contacts", post(act::contacts))
        .route("/patients/{id}/gender", post(act::gender))
        .route("/patients/{id}/speech", post(act::speech))
        .route("/patients/{id}/consent", post(act::consent))
        .route("/patients/{id}/clinic", post(act::clinic))
}

/// Which part of the page is wanted.
#[derive(Debug, Default, Deserialize)]
struct Wanted {
    /// The newest day of the stream.
    until: Option<String>,
    /// Only these things.
    kind: Option<String>,
    /// The observation that is to be corrected.
    correct: Option<String>,
}

/// All that the page shows.
struct Timeline {
    plan: CarePlan,
    /// `None` for those who may not see it.
    health: Option<Health>,
    clinics: Vec<Clinic>,
    today: Date,
    /// The campaigns and the calendar.
    book: Book,
    /// The newest day of the stream.
    until: Date,
    kind: Option<Kind>,
    correct: Option<ObservationId>,
}

async fn page(
    State(desk): State<Desk>,
    viewer: Viewer,
    Path(id): Path<String>,
    Query(wanted): Query<Wanted>,
) -> Result<Markup, Fault> {
    show(&desk, &viewer, &id, &wanted, &Draft::default()).await
}

/// The page with what could not be meant, beside the fields.
async fn refuse(desk: &Desk, viewer: &Viewer, id: &str, draft: &Draft) -> Result<Response, Fault> {
    let wanted = Wanted { correct: draft.text("observation"), ..Wanted::default() };
    let page = show(desk, viewer, id, &wanted, draft).await?;
    Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response())
}

/// The patient that an address names. What is no id names nobody.
fn named(id: &str) -> Result<PatientId, Fault> {
    id.parse().map_err(|_| Fault::NotFound)
}

async fn show(
    desk: &Desk,
    viewer: &Viewer,
    id: &str,
    wanted: &Wanted,
    draft: &Draft,
) -> Result<Markup, Fault> {
    let id = named(id)?;
    let today = civil(viewer.now).date();
    let until = wanted.until.as_deref().and_then(|day| day.parse().ok()).unwrap_or(today);
    let until: Date = until.min(today);
    let first = until.saturating_sub((CHART_DAYS - 1).days());
    let within = desk.store.within(viewer.scope()?);
    // Tomorrow's calls stand beside the page of today.
    let last = if until == today { today.saturating_add(1.days()) } else { until };
    let plan = within.care_plan(id, (first, last)).await?;
    let sees_health = viewer.may(Right::SeeHealth);
    let health = if sees_health { Some(within.health(id, (first, until)).await?) } else { None };
    let clinics = within.clinics().await?;
    let mut entry = viewer.audit("patient.viewed");
    entry.patient = Some(id);
    entry.detail = format!("{first} – {until}");
    desk.store.audit(viewer.now, &entry).await?;
    let timeline = Timeline {
        plan,
        book: desk.store.campaigns(viewer.now).await?,
        health,
        clinics,
        today,
        until,
        kind: wanted.kind.as_deref().and_then(Kind::parse),
        correct: wanted.correct.as_deref().and_then(|id| id.parse().ok()),
    };
    let title = Bilingual::fixed("患者の経過", "Patient");
    Ok(ui::page(viewer, Section::Patients, &title, &body(desk, viewer, &timeline, draft)))
}

fn body(desk: &Desk, viewer: &Viewer, timeline: &Timeline, draft: &Draft) -> Markup {
    html! {
        (identity::bar(viewer, timeline))
        div.patient {
            section.side aria-label=(viewer.say("本人・連絡先", "Who they are")) {
                (identity::block(viewer, timeline))
            }
            div.middle {
                @if let Some(health) = &timeline.health { (charts(desk, viewer, timeline, health)) }
                (stream::stream(viewer, timeline))
            }
            section.side aria-label=(viewer.say("予定・操作", "Plan and actions")) {
                (panel::panel(desk, viewer, timeline, draft))
            }
        }
    }
}

fn charts(desk: &Desk, viewer: &Viewer, timeline: &Timeline, health: &Health) -> Markup {
    let rules = desk.rules.effective_on(timeline.until);
    let days = (timeline.until.saturating_sub((CHART_DAYS - 1).days()), timeline.until);
    let holds = in_force(health);
    let temperature = Chart {
        id: "temperature",
        code: "temperature",
        observations: holds.clone(),
        days,
        scale: (350, 400),
        step: 10,
    };
    let spo2 =
        Chart { id: "spo2", code: "spo2", observations: holds, days, scale: (88, 100), step: 2 };
    html! {
        section.card {
            h2 { (viewer.say("体温とSpO2", "Temperature and SpO2")) }
            (temperature.draw(viewer, rules))
            (spo2.draw(viewer, rules))
            (chart::legend(viewer))
        }
    }
}

/// The observations that nobody corrected or took back.
fn in_force(health: &Health) -> Vec<&Observation> {
    let all = || health.observations.iter().map(|one| &one.observation);
    all().filter(|old| !all().any(|new| new.supersedes == Some(old.id))).collect()
}

/// What the store refused, in words for this page.
fn refused(error: StoreError) -> Fault {
    match error {
        StoreError::Conflict { constraint } if constraint == "patient_pause_overlap" => {
            Fault::Conflict(Bilingual::fixed(
                "この期間にはすでに休止があります。先にその休止を終了してください。",
                "There is a pause on one of these days already. Please end it first.",
            ))
        }
        other => other.into(),
    }
}
