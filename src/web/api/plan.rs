//! What is to be called on a day, and how far the day has come.

use axum::Extension;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::base::clock::civil;
use crate::base::id::AttemptId;
use crate::registry::Right;
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::page::{Page, Wanted};
use crate::web::api::patients::{AttemptOut, point};
use crate::web::api::problem::{Asked, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Which day is wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// The day in Japan; today if it is left out.
    #[param(format = Date, example = "2026-11-24")]
    date: Option<String>,
}

/// The attempts at the slots of a day, by the time at which they are due.
#[utoipa::path(get, path = "/plan", tag = "calls", params(Wanted, Which),
    responses((status = OK, body = Page<AttemptOut>)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    OriginalUri(uri): OriginalUri,
    Asked(wanted): Asked<Wanted>,
    Asked(which): Asked<Which>,
) -> Result<(HeaderMap, axum::Json<Page<AttemptOut>>), Problem> {
    client.must(Right::SeePlan)?;
    let scope = client.scope()?;
    let today = civil(client.now).date();
    let date = which.date.map(|date| given::date("date", &date)).transpose()?.unwrap_or(today);
    let (limit, after) = (wanted.limit()?, point::<AttemptId>(&wanted)?);
    let within = desk.store.within(scope);
    let attempts = within.attempts_of_day_after(date, after, limit + 1).await?;
    let mut entry = client.audit("plan.viewed");
    entry.detail = format!("api {date}");
    desk.store.audit(client.now, &entry).await?;
    Ok(Page::new(
        &uri,
        limit,
        attempts,
        |(_, last)| (last.due_at.as_millisecond(), last.id.to_string()),
        |(patient, attempt)| AttemptOut::new(patient, &attempt),
    ))
}
