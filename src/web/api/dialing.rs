//! The emergency stop.

use axum::Extension;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::registry::Right;
use crate::store::Dialing;
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::problem::{Json, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(stop)).routes(routes!(resume))
}

/// Whether telephones are called.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Dialing)]
struct DialingOut {
    /// Calls are placed.
    is_running: bool,
    /// Since when.
    #[schema(format = DateTime)]
    changed_at: String,
    /// Who changed it.
    changed_by: String,
    /// Why.
    reason: String,
}

/// Why calls are stopped, or may begin again.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Why {
    /// The reason, shown on every page.
    #[schema(min_length = 1, max_length = 200)]
    reason: String,
}

type Tagged = ([(HeaderName, HeaderValue); 1], axum::Json<DialingOut>);

impl DialingOut {
    fn new(dialing: Dialing) -> Self {
        Self {
            is_running: dialing.is_running,
            changed_at: dialing.changed_at.to_string(),
            changed_by: dialing.changed_by,
            reason: dialing.reason,
        }
    }
}

/// Whether telephones are called.
#[utoipa::path(get, path = "/dialing", tag = "dialing",
    responses((status = OK, body = DialingOut, headers(("ETag" = String)))))]
async fn show(State(desk): State<Desk>) -> Result<Tagged, Problem> {
    Ok(given::tagged(DialingOut::new(desk.store.dialing().await?)))
}

/// Stops all dialling at once. Calls under way go on. Never refused for what was seen before:
/// stopping twice is better than not at all.
#[utoipa::path(post, path = "/dialing/stop", tag = "dialing", request_body = Why,
    responses((status = OK, body = DialingOut, headers(("ETag" = String)))))]
async fn stop(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    Json(why): Json<Why>,
) -> Result<Tagged, Problem> {
    client.must(Right::StopCalls)?;
    set(&desk, &client, false, &why).await
}

/// Lets calls begin again. `If-Match` must bring the `ETag` of the state that was seen: whoever has
/// stopped for another reason meanwhile is not overruled unseen.
#[utoipa::path(post, path = "/dialing/resume", tag = "dialing", request_body = Why,
    params(("If-Match" = String, Header, description = "The ETag of the state that was seen.")),
    responses((status = OK, body = DialingOut, headers(("ETag" = String)))))]
async fn resume(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    headers: HeaderMap,
    Json(why): Json<Why>,
) -> Result<Tagged, Problem> {
    client.must(Right::StartCalls)?;
    let now = DialingOut::new(desk.store.dialing().await?);
    match given::means(&headers, &now) {
        Some(true) => set(&desk, &client, true, &why).await,
        Some(false) => Err(Problem::new("changed")),
        None => Err(Problem::new("precondition")),
    }
}

async fn set(desk: &Desk, client: &Client, is_running: bool, why: &Why) -> Result<Tagged, Problem> {
    let dialing = Dialing {
        is_running,
        changed_at: client.now,
        changed_by: client.staff.name.expose().clone(),
        reason: given::text("/reason", &why.reason, 200)?,
    };
    let mut entry = client.audit(if is_running { "calls.resumed" } else { "calls.stopped" });
    entry.detail.clone_from(&dialing.reason);
    desk.store.set_dialing(&dialing, &entry).await?;
    show(State(desk.clone())).await
}
