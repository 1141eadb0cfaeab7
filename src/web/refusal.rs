//! Refusals for want of a right, written into the audit: who knocked at which door.
//!
//! An entry costs a place in the chain that is never given back, so each account has a few in reserve
//! and gets one back per minute. What is left out is the twenty-first knock of the same hand.

use std::sync::Arc;

use axum::Extension;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::StatusCode;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::Response;
use jiff::Timestamp;
use tracing::warn;

use crate::registry::AuditEntry;
use crate::web::Desk;
use crate::web::auth::{Client, Door, Viewer};

const ACTION: &str = "access.refused";

/// Lets a request pass, and writes down if it was refused.
pub(super) async fn note(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    request: Request,
    next: Next,
) -> Response {
    let (parts, body) = request.into_parts();
    let asked = parts.clone();
    let response = next.run(Request::from_parts(parts, body)).await;
    if response.status() == StatusCode::FORBIDDEN
        && let Some((now, entry)) = refused(asked, &desk).await
        && door.gate.admits_refusal(&entry.actor.as_text())
        && let Err(error) = desk.store.audit(now, &entry).await
    {
        // Refused it is all the same.
        warn!("a refusal cannot be written into the audit: {error}");
    }
    response
}

/// Who was refused what. Nobody, where nobody has proven who they are: that is written down where
/// they try to.
async fn refused(mut asked: Parts, desk: &Desk) -> Option<(Timestamp, AuditEntry)> {
    // Pages do not look at a token, and who sends one there is known by the session.
    let is_api = asked.uri.path().starts_with("/api/");
    let (now, mut entry) = if is_api && asked.headers.contains_key(AUTHORIZATION) {
        let client = Client::from_request_parts(&mut asked, desk).await.ok()?;
        (client.now, client.audit(ACTION))
    } else {
        // Also of one whose form came without the word of the session.
        let viewer = Viewer::from_request_parts(&mut asked, desk).await.ok()?;
        (viewer.now, viewer.audit(ACTION))
    };
    // The pattern of the address: what stands in its places may be about a person.
    let path = asked.extensions.get::<MatchedPath>().map_or("", MatchedPath::as_str);
    entry.detail = format!("{} {path}", asked.method);
    Some((now, entry))
}
