//! Who the program is here.

use axum::Extension;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::registry::token::SCOPES;
use crate::web::Desk;
use crate::web::auth::Client;

pub(super) fn routes() -> OpenApiRouter<Desk> {
    OpenApiRouter::new().routes(routes!(me))
}

/// In whose name the program acts, and what it may do.
#[derive(Debug, Serialize, ToSchema)]
struct Me {
    /// The member of the staff.
    staff: String,
    /// The name that colleagues read.
    name: String,
    /// The roles.
    roles: Vec<String>,
    /// What may be done, as scopes of tokens.
    scopes: Vec<String>,
    /// The centre; null for those who serve the whole installation.
    health_center: Option<String>,
    /// The contracted clinic, whose patients alone are within reach.
    clinic: Option<String>,
    /// The token; null for the session of a browser.
    token: Option<String>,
    /// When the token ends.
    #[schema(format = DateTime)]
    token_expires_at: Option<String>,
}

/// In whose name the program acts, and what it may do.
#[utoipa::path(get, path = "/me", tag = "me", responses((status = OK, body = Me)))]
async fn me(Extension(client): Extension<Client>) -> axum::Json<Me> {
    let Client { staff, token, .. } = &client;
    let may = SCOPES.iter().filter(|(_, right)| client.may(*right));
    axum::Json(Me {
        staff: staff.id.to_string(),
        name: staff.name.expose().clone(),
        roles: staff.roles.iter().map(|role| role.as_str().to_owned()).collect(),
        scopes: may.map(|(word, _)| (*word).to_owned()).collect(),
        health_center: staff.health_center.map(|id| id.to_string()),
        clinic: staff.clinic.map(|id| id.to_string()),
        token: token.as_ref().map(|token| token.id.to_string()),
        token_expires_at: token.as_ref().map(|token| token.expires_at.to_string()),
    })
}
