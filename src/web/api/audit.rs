//! The chain of events.

use axum::Extension;
use axum::extract::{OriginalUri, State};
use axum::http::HeaderMap;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::registry::{AuditEvent, Right};
use crate::store::AuditFilter;
use crate::web::Desk;
use crate::web::api::given;
use crate::web::api::page::{Page, Wanted};
use crate::web::api::problem::{Asked, Problem};
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(list))
}

/// One link of the chain of what was done.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = AuditEvent)]
struct EventOut {
    /// Its place, from 1 without gaps.
    seq: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// Who: `staff`, `token` with an id, `command-line`, `program`, `nobody`.
    actor: String,
    /// What was done.
    action: String,
    /// The patient whom it concerns.
    patient: Option<String>,
    /// What it was done to.
    object: String,
    /// What else is known.
    detail: String,
    /// SHA-256 over the hash of the event before and all of the above.
    hash: String,
}

impl EventOut {
    fn new(event: AuditEvent) -> Self {
        Self {
            seq: event.seq,
            at: event.at.to_string(),
            actor: event.actor,
            action: event.action,
            patient: event.patient.map(|id| id.to_string()),
            object: event.object,
            detail: event.detail,
            hash: event.hash,
        }
    }
}

/// Which events are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct Which {
    /// Only those that concern this patient.
    #[param(format = Uuid)]
    patient: Option<String>,
    /// Only those by this member of the staff.
    #[param(format = Uuid)]
    staff: Option<String>,
    /// Only those whose action begins so, such as `recording.`.
    #[param(max_length = 64)]
    action: Option<String>,
}

/// What was done, the newest first: in one's own centre, or everywhere for those who serve the
/// whole installation. To read it is an event, too.
#[utoipa::path(get, path = "/audit", tag = "audit", params(Wanted, Which),
    responses((status = OK, body = Page<EventOut>)))]
async fn list(
    State(desk): State<Desk>,
    Extension(client): Extension<Client>,
    OriginalUri(uri): OriginalUri,
    Asked(wanted): Asked<Wanted>,
    Asked(which): Asked<Which>,
) -> Result<(HeaderMap, axum::Json<Page<EventOut>>), Problem> {
    client.must(Right::SeeAudit)?;
    let limit = wanted.limit()?;
    let action = which.action.filter(|action| !action.is_empty());
    let filter = AuditFilter {
        health_center: client.reach().center(),
        patient: which.patient.map(|id| given::id(&id)).transpose()?,
        staff: which.staff.map(|id| given::id(&id)).transpose()?,
        action: action.map(|action| given::text("action", &action, 64)).transpose()?,
        before: wanted.after()?,
        ..AuditFilter::default()
    };
    let events = desk.store.audit_events(&filter, limit + 1).await?;
    let mut entry = client.audit("audit.viewed");
    "api".clone_into(&mut entry.detail);
    desk.store.audit(client.now, &entry).await?;
    Ok(Page::new(&uri, limit, events, |last| last.seq, EventOut::new))
}
