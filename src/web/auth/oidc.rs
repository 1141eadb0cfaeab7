//! Signing in with the identity provider of a city (OpenID Connect Core 1.0): authorization code
//! with PKCE (RFC 7636), `state` and `nonce`.
//!
//! The provider says who somebody is; what they may do is said by the account here that an
//! administrator has tied to them. What is sent along is kept in a sealed cookie for ten minutes,
//! so a callback that this browser did not ask for is refused.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::get;
use axum::{Extension, Router};
use axum_extra::extract::Query;
use axum_extra::extract::cookie::{CookieJar, SameSite};
use jiff::Timestamp;
use maud::html;
use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreIdTokenClaims};
use openidconnect::{
    AuthorizationCode, ClientId, ClientSecret, CsrfToken, EndpointMaybeSet, EndpointNotSet,
    EndpointSet, HttpRequest, HttpResponse, IssuerUrl, LogoutRequest, Nonce, PkceCodeChallenge,
    PkceCodeVerifier, ProviderMetadataWithLogout, RedirectUrl, Scope,
};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;
use tracing::warn;

use crate::base::{Bilingual, Private};
use crate::registry::staff::is_login;
use crate::registry::{Actor, AuditEntry};
use crate::store::{Account, Stage};
use crate::web::Desk;
use crate::web::auth::sign_in::{Visit, agent, alone, begin, next};
use crate::web::auth::{Address, Door, SecondFactor, cookie};
use crate::web::fault::Fault;

/// The identity provider, and what is believed of what it says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Config {
    /// The issuer: where its configuration is found (`/.well-known/openid-configuration`).
    pub issuer: String,
    /// What it knows this program by.
    pub client_id: String,
    /// Its secret, if it has given one.
    pub client_secret: Option<Private<String>>,
    /// Where it sends people back: this console's address and `/login/oidc/callback`.
    pub redirect: String,
    /// What people call it, on the button.
    pub name: String,
    /// A verified e-mail address that is somebody's login ties the two at the first sign-in.
    pub match_email: bool,
    /// It asks everybody for a second factor, so none is asked for here. Otherwise only its word
    /// that it did (`amr` with `mfa`, RFC 8176) is taken for one.
    pub asks_second_factor: bool,
}

/// Where the provider sends people back.
pub const CALLBACK: &str = "/login/oidc/callback";

/// How long somebody may be away at the provider.
const AWAY: Duration = Duration::from_mins(10);

/// How long the provider's configuration and keys are believed.
const BELIEVED: Duration = Duration::from_mins(10);

/// How long an answer of the provider may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The largest answer of a provider that is read.
const LARGEST_ANSWER: usize = 1 << 20;

type Client = CoreClient<
    EndpointSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointNotSet,
    EndpointMaybeSet,
    EndpointMaybeSet,
>;

/// The provider, with what it said of itself.
#[derive(Debug)]
pub(in crate::web) struct Provider {
    config: Config,
    metadata: Mutex<Option<(Timestamp, ProviderMetadataWithLogout)>>,
}

/// What is remembered while somebody is away at the provider.
#[derive(Deserialize, Serialize)]
struct Errand {
    state: String,
    nonce: String,
    verifier: String,
    left_at: i64,
}

impl Provider {
    pub(super) fn new(config: Config) -> Self {
        Self { config, metadata: Mutex::new(None) }
    }

    pub(in crate::web) fn name(&self) -> &str {
        &self.config.name
    }

    pub(in crate::web) fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// What it says of itself, not long ago.
    async fn metadata(&self, now: Timestamp) -> anyhow::Result<ProviderMetadataWithLogout> {
        let mut known = self.metadata.lock().await;
        let is_fresh = |at: &Timestamp| now.duration_since(*at).unsigned_abs() < BELIEVED;
        let fresh = known.as_ref().filter(|(at, _)| is_fresh(at)).map(|(_, it)| it.clone());
        if let Some(metadata) = fresh {
            return Ok(metadata);
        }
        let issuer = IssuerUrl::new(self.config.issuer.clone())?;
        let metadata = ProviderMetadataWithLogout::discover_async(issuer, &send)
            .await
            .context("the identity provider does not say how it works")?;
        *known = Some((now, metadata.clone()));
        Ok(metadata)
    }

    async fn client(&self, now: Timestamp) -> anyhow::Result<Client> {
        let metadata = self.metadata(now).await?;
        let secret =
            self.config.client_secret.as_ref().map(|it| ClientSecret::new(it.expose().clone()));
        let id = ClientId::new(self.config.client_id.clone());
        Ok(CoreClient::from_provider_metadata(metadata, id, secret)
            .set_redirect_uri(RedirectUrl::new(self.config.redirect.clone())?))
    }

    /// Where somebody who signs out here is sent, so that they are signed out there, too (OpenID
    /// Connect RP-Initiated Logout 1.0); `None` if it names no such place, or is away. The tokens
    /// that could name the session were not kept, so the provider may ask again.
    pub(super) async fn way_out(&self, now: Timestamp) -> Option<String> {
        let metadata = match self.metadata(now).await {
            Ok(metadata) => metadata,
            Err(error) => {
                warn!("nobody is signed out at the identity provider: {error:#}");
                return None;
            }
        };
        let place = metadata.additional_metadata().end_session_endpoint.clone()?;
        let url = LogoutRequest::from(place)
            .set_client_id(ClientId::new(self.config.client_id.clone()))
            .http_get_url();
        matches!(url.scheme(), "https" | "http").then(|| url.into())
    }

    /// Where somebody is sent, and what has to be remembered until they are back.
    async fn depart(&self, now: Timestamp) -> anyhow::Result<(String, Errand)> {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let (url, state, nonce) = self
            .client(now)
            .await?
            .authorize_url(
                CoreAuthenticationFlow::AuthorizationCode,
                CsrfToken::new_random,
                Nonce::new_random,
            )
            .add_scope(Scope::new("email".to_owned()))
            .set_pkce_challenge(challenge)
            .url();
        let errand = Errand {
            state: state.secret().clone(),
            nonce: nonce.secret().clone(),
            verifier: verifier.secret().clone(),
            left_at: now.as_second(),
        };
        Ok((url.into(), errand))
    }

    /// What the provider says of whoever comes back with this code.
    async fn claims(
        &self,
        code: String,
        errand: Errand,
        now: Timestamp,
    ) -> anyhow::Result<CoreIdTokenClaims> {
        use openidconnect::TokenResponse;
        let client = self.client(now).await?;
        let answer = client
            .exchange_code(AuthorizationCode::new(code))?
            .set_pkce_verifier(PkceCodeVerifier::new(errand.verifier))
            .request_async(&send)
            .await
            .context("the identity provider does not take the code")?;
        let token = answer.id_token().context("the identity provider gave no ID token")?;
        let claims = token
            .claims(&client.id_token_verifier(), &Nonce::new(errand.nonce))
            .context("the ID token is not good")?;
        Ok(claims.clone())
    }

    /// Whether a second factor was asked for there.
    fn asked_second_factor(&self, claims: &CoreIdTokenClaims) -> bool {
        let methods = claims.auth_method_refs().into_iter().flatten();
        self.config.asks_second_factor || methods.into_iter().any(|method| method.as_str() == "mfa")
    }

    /// The login that the claims name by a verified e-mail address, if that counts.
    fn login_by_email(&self, claims: &CoreIdTokenClaims) -> Option<String> {
        let is_verified = self.config.match_email && claims.email_verified() == Some(true);
        let email = claims.email().filter(|_| is_verified)?.as_str().to_lowercase();
        is_login(&email).then_some(email)
    }
}

/// Sends a request of the crate with our own client: no redirects (they lead elsewhere), no proxy
/// surprises, a limit of time and size.
async fn send(request: HttpRequest) -> Result<HttpResponse, ProviderError> {
    let client = reqwest::Client::builder()
        .redirect(reqwest::redirect::Policy::none())
        .timeout(PATIENCE)
        .build()?;
    let mut answer = client.execute(request.try_into()?).await?;
    let mut told = HttpResponse::new(Vec::new());
    *told.status_mut() = answer.status();
    *told.headers_mut() = answer.headers().clone();
    while let Some(chunk) = answer.chunk().await? {
        if told.body().len() + chunk.len() > LARGEST_ANSWER {
            return Err(ProviderError::TooLong);
        }
        told.body_mut().extend_from_slice(&chunk);
    }
    Ok(told)
}

/// The provider cannot be asked.
#[derive(Debug, thiserror::Error)]
enum ProviderError {
    #[error("it cannot be reached")]
    Unreachable(#[from] reqwest::Error),
    #[error("its answer is too long")]
    TooLong,
}

pub(super) fn routes() -> Router<Desk> {
    Router::new().route("/login/oidc", get(depart)).route(CALLBACK, get(arrive))
}

async fn depart(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Address(address): Address,
    jar: CookieJar,
) -> Result<Response, Fault> {
    let provider = door.provider.as_ref().ok_or(Fault::NotFound)?;
    if !door.gate.admits_knock(address) {
        return Err(Fault::TooMany);
    }
    let now = desk.clock.now().timestamp;
    let (url, errand) = match provider.depart(now).await {
        Ok(departure) => departure,
        Err(error) => return Ok(refused("unreachable", &error)),
    };
    let errand = serde_json::to_vec(&errand).map_err(anyhow::Error::from)?;
    let sealed = door.seals()?.provider.seal(&errand, "")?;
    let mut away = cookie::hardened(cookie::PROVIDER, sealed.expose().clone());
    away.set_same_site(SameSite::Lax);
    Ok((jar.add(away), Redirect::to(&url)).into_response())
}

#[derive(Deserialize)]
struct Return {
    code: Option<String>,
    state: Option<String>,
}

async fn arrive(
    State(desk): State<Desk>,
    Extension(door): Extension<Arc<Door>>,
    Address(address): Address,
    headers: HeaderMap,
    jar: CookieJar,
    Query(back): Query<Return>,
) -> Result<Response, Fault> {
    let provider = door.provider.as_ref().ok_or(Fault::NotFound)?;
    if !door.gate.admits_knock(address) {
        return Err(Fault::TooMany);
    }
    let now = desk.clock.now().timestamp;
    let errand = errand(&door, &jar, &back, now);
    let jar = jar.add(cookie::removed(cookie::PROVIDER));
    let claims = match (errand, back.code) {
        (Ok(errand), Some(code)) => provider.claims(code, errand, now).await,
        (Err(error), _) => Err(error),
        (Ok(_), None) => Err(anyhow::anyhow!("the identity provider gave no code")),
    };
    let claims = match claims {
        Ok(claims) => claims,
        Err(error) => {
            let entry = refusal("provider", &address.to_string());
            desk.store.audit(now, &entry).await?;
            return Ok((jar, refused("refused", &error)).into_response());
        }
    };
    let Some(account) = owner(&desk, provider, &claims, now).await? else {
        let entry = refusal("provider: no account", &address.to_string());
        desk.store.audit(now, &entry).await?;
        let error = anyhow::anyhow!("nobody here is tied to who came back");
        return Ok((jar, refused("no account", &error)).into_response());
    };
    let staff = account.staff;
    let stage = if provider.asked_second_factor(&claims)
        || (!staff.has_second_factor && desk.config.second_factor == SecondFactor::Optional)
    {
        Stage::Full
    } else {
        Stage::SecondFactor
    };
    let next = next(&staff, stage);
    let visit = Visit { address: address.to_string(), agent: agent(&headers) };
    let begun = begin(&desk, jar, staff, stage, visit, "provider", now).await?;
    Ok(by_a_page(&begun, next))
}

/// What was remembered, if it belongs to what came back.
fn errand(door: &Door, jar: &CookieJar, back: &Return, now: Timestamp) -> anyhow::Result<Errand> {
    let sealed = jar.get(cookie::PROVIDER).context("this browser did not leave for it")?;
    let errand = door.seals()?.provider.open(sealed.value(), "")?;
    let errand: Errand = serde_json::from_slice(&errand)?;
    let state = back.state.as_deref().unwrap_or_default();
    let left_at = Timestamp::from_second(errand.left_at)?;
    if !cookie::is_same(state, &errand.state) {
        bail!("what came back was not asked for");
    }
    if now.duration_since(left_at).unsigned_abs() > AWAY {
        bail!("it took too long");
    }
    Ok(errand)
}

/// The active account that is tied to who came back, or is tied now by a verified e-mail address.
async fn owner(
    desk: &Desk,
    provider: &Provider,
    claims: &CoreIdTokenClaims,
    now: Timestamp,
) -> Result<Option<Account>, Fault> {
    let (issuer, subject) = (provider.issuer(), claims.subject().as_str());
    let tied = desk.store.account_of_subject(issuer, subject).await?;
    if tied.is_some() {
        return Ok(tied.filter(|account| account.staff.is_active));
    }
    let Some(login) = provider.login_by_email(claims) else { return Ok(None) };
    let found = desk.store.account(&login).await?;
    let is_free = |account: &Account| account.staff.is_active && account.subject.is_none();
    let Some(account) = found.filter(is_free) else { return Ok(None) };
    let entry = AuditEntry {
        actor: Actor::Staff(account.staff.id),
        health_center: account.staff.health_center,
        action: "staff.linked",
        patient: None,
        object: account.staff.id.to_string(),
        detail: "by verified e-mail".to_owned(),
    };
    desk.store.link_subject(now, account.staff.id, Some((issuer, subject)), &entry).await?;
    Ok(Some(account))
}

/// The session's cookie is strict: a browser that was led here by another site would not send it
/// with a redirect. So a page of ours leads on.
fn by_a_page(begun: &Response, next: &'static str) -> Response {
    let title = Bilingual::fixed("ログインしました", "Signed in");
    let page = alone(
        &title,
        &html! {
            meta http-equiv="refresh" content=(format!("0;url={next}"));
            p { a.button.primary href=(next) { "進む / " span lang="en" { "Continue" } } }
        },
    );
    let mut response = page.into_response();
    for (name, value) in begun.headers() {
        if name == axum::http::header::SET_COOKIE {
            response.headers_mut().append(name, value.clone());
        }
    }
    response
}

fn refusal(reason: &str, address: &str) -> AuditEntry {
    AuditEntry {
        actor: Actor::Nobody,
        health_center: None,
        action: "session.refused",
        patient: None,
        object: String::new(),
        detail: format!("{reason} from {address}"),
    }
}

/// The same words for whoever is refused; what is wrong goes into the log.
fn refused(reason: &str, error: &anyhow::Error) -> Response {
    warn!(reason, "signing in with the identity provider failed: {error:#}");
    let title = Bilingual::fixed("ログインできません", "Cannot sign in");
    let page = alone(
        &title,
        &html! {
            p.notice.act role="alert" {
                "認証基盤でのログインを確認できませんでした。もう一度お試しになるか、システム管理者にご相談ください。 / "
                span lang="en" {
                    "Signing in with the identity provider did not succeed. Try again, or ask your \
                     administrator."
                }
            }
            p { a.button href="/login" { "戻る / " span lang="en" { "Back" } } }
        },
    );
    (StatusCode::UNAUTHORIZED, page).into_response()
}
