//! Whoever asks the API: a browser with its session, or a program with a token. Both have the same
//! rights and the same scope as the account behind them; a token less, if its scopes say so.

use axum::Extension;
use axum::RequestPartsExt;
use axum::extract::FromRequestParts;
use axum::http::Method;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;
use jiff::Timestamp;
use std::sync::Arc;

use crate::base::Private;
use crate::registry::{Actor, ApiToken, AuditEntry, Reach, Right, Scope, Staff};
use crate::web::Desk;
use crate::web::auth::viewer::{Address, TOUCHED};
use crate::web::auth::{Door, Viewer, cookie};
use crate::web::fault::Fault;

/// What every token begins with, so that scanners for lost secrets can find it.
const PREFIX: &str = "mmr_";

/// The header in which a page's script brings the session's word back when it changes something.
pub const CSRF_HEADER: &str = "x-csrf-token";

/// Whoever asks the API.
///
/// Rejected with [`Fault::SignIn`] if there is neither a session nor a good token, with
/// [`Fault::Forbidden`] if a session changes something without its word, and with
/// [`Fault::TooMany`] if one address tries too many tokens.
#[derive(Clone, Debug)]
pub struct Client {
    /// In whose name.
    pub staff: Staff,
    /// With which token; `None` for a browser.
    pub token: Option<ApiToken>,
    /// The moment of the request.
    pub now: Timestamp,
}

impl Client {
    /// Whether the right is there: the account's, and the token's if there is one.
    pub fn may(&self, right: Right) -> bool {
        let is_within = |token: &ApiToken| token.rights.contains(&right);
        self.staff.may(right) && self.token.as_ref().is_none_or(is_within)
    }

    /// Refuses who lacks the right.
    ///
    /// # Errors
    /// [`Fault::Forbidden`].
    pub fn must(&self, right: Right) -> Result<(), Fault> {
        if self.may(right) { Ok(()) } else { Err(Fault::Forbidden) }
    }

    /// Whose patients may be seen.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] for those who see none.
    pub fn scope(&self) -> Result<Scope, Fault> {
        if !(self.may(Right::SeeHealth) || self.may(Right::SeePlan)) {
            return Err(Fault::Forbidden);
        }
        self.staff.scope().ok_or(Fault::Forbidden)
    }

    /// Whose events are audited.
    pub fn reach(&self) -> Reach {
        Reach::of(self.staff.health_center)
    }

    /// Who did it, for the audit.
    pub fn actor(&self) -> Actor {
        match &self.token {
            Some(token) => Actor::Token(token.id.to_string()),
            None => Actor::Staff(self.staff.id),
        }
    }

    /// An entry of the audit for what this client does.
    pub fn audit(&self, action: &'static str) -> AuditEntry {
        AuditEntry {
            actor: self.actor(),
            health_center: self.staff.health_center,
            action,
            patient: None,
            object: String::new(),
            detail: String::new(),
        }
    }
}

impl FromRequestParts<Desk> for Client {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Fault> {
        let authorization = parts.headers.get(AUTHORIZATION);
        let Some(authorization) = authorization else {
            return from_session(parts, desk).await;
        };
        let text = authorization.to_str().map_err(|_| Fault::SignIn)?;
        let (scheme, token) = text.split_once(' ').ok_or(Fault::SignIn)?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err(Fault::SignIn);
        }
        let hash = cookie::hash(token.trim());
        let now = desk.clock.now().timestamp;
        let Some((token, staff)) = desk.store.bearer(now, &hash).await? else {
            let Address(address) = Address::of(&parts.headers, &parts.extensions, &desk.config);
            let Extension(door) =
                parts.extract::<Extension<Arc<Door>>>().await.map_err(|_| Fault::Internal)?;
            let is_admitted = door.gate.admits_knock(address);
            return Err(if is_admitted { Fault::SignIn } else { Fault::TooMany });
        };
        let is_fresh = |used: Timestamp| now.duration_since(used).unsigned_abs() <= TOUCHED;
        if !token.last_used_at.is_some_and(is_fresh) {
            desk.store.touch_token(now, token.id).await?;
        }
        Ok(Self { staff, token: Some(token), now })
    }
}

async fn from_session(parts: &mut Parts, desk: &Desk) -> Result<Client, Fault> {
    let viewer = Viewer::from_request_parts(parts, desk).await?;
    let changes = !matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS);
    let word = parts.headers.get(CSRF_HEADER).and_then(|word| word.to_str().ok());
    let is_ours = word.is_some_and(|word| cookie::is_same(word, viewer.csrf.expose()));
    if changes && !is_ours {
        return Err(Fault::Forbidden);
    }
    Ok(Client { staff: viewer.staff, token: None, now: viewer.now })
}

/// A new token, and the hash under which the store keeps it. The token is shown once.
///
/// # Errors
/// If the system gives no random numbers.
pub fn new_token() -> anyhow::Result<(Private<String>, String)> {
    let token = format!("{PREFIX}{}", cookie::secret()?);
    let hash = cookie::hash(&token);
    Ok((token.into(), hash))
}
