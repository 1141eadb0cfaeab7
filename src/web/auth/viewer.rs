//! Who is there: the session of a browser, what it may do, and the forms it sends.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::RequestExt;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::http::{Extensions, HeaderMap};
use axum::response::{IntoResponse, Redirect, Response};
use axum_extra::extract::Form;
use axum_extra::extract::cookie::CookieJar;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::base::{Bilingual, Private};
use crate::registry::{Actor, AuditEntry, ConsoleLanguage, Reach, Right, Scope, Staff};
use crate::store::{Dialing, SignedIn, Stage};
use crate::web::auth::cookie;
use crate::web::fault::Fault;
use crate::web::{Config, Desk};

/// How often the use of a session is written down.
pub(super) const TOUCHED: Duration = Duration::from_mins(1);

/// How long somebody whose password was right may look for the second factor.
const PENDING: Duration = Duration::from_mins(10);

/// Where somebody may go who has to choose a password first.
const BEFORE_PASSWORD: [&str; 3] = ["/account/password", "/language", "/logout"];

/// Whoever looks at a page, signed in.
#[derive(Clone, Debug)]
pub struct Viewer {
    /// Who it is.
    pub staff: Staff,
    /// What every form has to bring back.
    pub csrf: Private<String>,
    /// The session's name in the store.
    pub session: String,
    /// Whether telephones are called; every page shows when they are not.
    pub dialing: Dialing,
    /// What the page before wants to be told.
    pub flash: Option<String>,
    /// The moment of the request.
    pub now: Timestamp,
}

impl Viewer {
    /// Whether the right is there.
    pub fn may(&self, right: Right) -> bool {
        self.staff.may(right)
    }

    /// Refuses who lacks the right.
    pub fn must(&self, right: Right) -> Result<(), Fault> {
        if self.may(right) { Ok(()) } else { Err(Fault::Forbidden) }
    }

    /// Whose patients may be seen.
    ///
    /// # Errors
    /// [`Fault::Forbidden`] for those who see none.
    pub fn scope(&self) -> Result<Scope, Fault> {
        self.staff.scope().ok_or(Fault::Forbidden)
    }

    /// Whose accounts are managed, and whose events audited.
    pub fn reach(&self) -> Reach {
        Reach::of(self.staff.health_center)
    }

    /// The text in the language of the viewer.
    pub fn say<'a>(&self, ja: &'a str, en: &'a str) -> &'a str {
        match self.staff.language {
            ConsoleLanguage::Ja => ja,
            ConsoleLanguage::En => en,
        }
    }

    /// The text in the language of the viewer.
    pub fn tell<'a>(&self, text: &'a Bilingual) -> &'a str {
        self.say(&text.ja, &text.en)
    }

    /// An entry of the audit for what this viewer does.
    pub fn audit(&self, action: &'static str) -> AuditEntry {
        AuditEntry {
            actor: Actor::Staff(self.staff.id),
            health_center: self.staff.health_center,
            action,
            patient: None,
            object: String::new(),
            detail: String::new(),
        }
    }
}

impl FromRequestParts<Desk> for Viewer {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Fault> {
        let jar = CookieJar::from_headers(&parts.headers);
        let now = desk.clock.now().timestamp;
        // A page that refreshes itself is nobody at work.
        let is_at_work = parts.uri.path() != "/live";
        let signed_in = session(&jar, desk, now, is_at_work).await?;
        if signed_in.stage != Stage::Full {
            return Err(Fault::SignIn);
        }
        let path = parts.uri.path();
        if signed_in.staff.must_change_password && !BEFORE_PASSWORD.contains(&path) {
            return Err(Fault::Elsewhere(BEFORE_PASSWORD[0]));
        }
        Ok(Self {
            staff: signed_in.staff,
            csrf: signed_in.csrf,
            session: signed_in.token,
            dialing: desk.store.dialing().await?,
            flash: cookie::flash(&jar),
            now,
        })
    }
}

/// Somebody whose password was right and whose second factor is missing.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) signed_in: SignedIn,
    pub(super) now: Timestamp,
}

impl FromRequestParts<Desk> for Pending {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Fault> {
        let jar = CookieJar::from_headers(&parts.headers);
        let now = desk.clock.now().timestamp;
        let signed_in = session(&jar, desk, now, true).await?;
        match signed_in.stage {
            Stage::SecondFactor => Ok(Self { signed_in, now }),
            Stage::Full => Err(Fault::Elsewhere("/")),
        }
    }
}

/// The session of the cookie, if it is neither over nor forgotten; it is kept from ending if
/// somebody is at work.
pub(super) async fn session(
    jar: &CookieJar,
    desk: &Desk,
    now: Timestamp,
    is_at_work: bool,
) -> Result<SignedIn, Fault> {
    let secret = jar.get(cookie::SESSION).ok_or(Fault::SignIn)?;
    let token = cookie::hash(secret.value());
    let signed_in = desk.store.session(&token).await?.ok_or(Fault::SignIn)?;
    if is_over(&signed_in, &desk.config, now) {
        return Err(Fault::SignIn);
    }
    if is_at_work && now.duration_since(signed_in.seen_at).unsigned_abs() > TOUCHED {
        desk.store.touch_session(now, &token).await?;
    }
    Ok(signed_in)
}

/// Whether a session has come to its end by itself.
pub(in crate::web) fn is_over(signed_in: &SignedIn, config: &Config, now: Timestamp) -> bool {
    let unused = now.duration_since(signed_in.seen_at).unsigned_abs();
    let age = now.duration_since(signed_in.created_at).unsigned_abs();
    let longest = match signed_in.stage {
        Stage::SecondFactor => PENDING,
        Stage::Full => config.session_timeout,
    };
    unused > config.idle_timeout || age > longest
}

/// Whoever can send a form of ours.
pub trait Sender: FromRequestParts<Desk, Rejection = Fault> + Send {
    /// What the form has to bring back.
    fn csrf(&self) -> &Private<String>;
}

impl Sender for Viewer {
    fn csrf(&self) -> &Private<String> {
        &self.csrf
    }
}

impl Sender for Pending {
    fn csrf(&self) -> &Private<String> {
        &self.signed_in.csrf
    }
}

/// A form that a page of ours sent, with who sent it.
#[derive(Debug)]
pub struct Posted<T, S = Viewer> {
    /// Who sent it.
    pub viewer: S,
    /// What was filled in.
    pub form: T,
}

#[derive(Deserialize)]
struct Csrf {
    csrf: Private<String>,
}

impl<T: DeserializeOwned, S: Sender> FromRequest<Desk> for Posted<T, S> {
    type Rejection = Fault;

    async fn from_request(request: Request, desk: &Desk) -> Result<Self, Fault> {
        // How much may be sent is said by the guard, or by the route.
        let (mut parts, body) = request.with_limited_body().into_parts();
        let viewer = S::from_request_parts(&mut parts, desk).await?;
        let body = axum::body::to_bytes(body, usize::MAX).await.map_err(|_| too_long())?;
        let again = || Request::from_parts(parts.clone(), body.clone().into());
        let Form(Csrf { csrf }) =
            Form::from_request(again(), desk).await.map_err(|_| Fault::Forbidden)?;
        if !cookie::is_same(csrf.expose(), viewer.csrf().expose()) {
            return Err(Fault::Forbidden);
        }
        let Form(form) = Form::from_request(again(), desk).await.map_err(|rejection| {
            Fault::Invalid(Bilingual::composed(
                format!("入力を読み取れません: {rejection}"),
                format!("cannot read the form: {rejection}"),
            ))
        })?;
        Ok(Self { viewer, form })
    }
}

fn too_long() -> Fault {
    Fault::Invalid(Bilingual::fixed("送信された内容が大きすぎます。", "Too much was sent."))
}

/// A form that asks for nothing.
#[derive(Debug, Deserialize)]
pub struct Nothing {}

/// Goes to a page that says once what was done (Post/Redirect/Get).
pub fn done(to: &str, text: &str) -> Response {
    (CookieJar::new().add(cookie::with_flash(text)), Redirect::to(to)).into_response()
}

/// Where a request comes from.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Address(pub IpAddr);

impl Address {
    /// The address of the connection; behind a proxy, the one that it has added last.
    pub(in crate::web) fn of(
        headers: &HeaderMap,
        extensions: &Extensions,
        config: &Config,
    ) -> Self {
        let connected = extensions.get::<ConnectInfo<SocketAddr>>().map(|info| info.0.ip());
        let told = headers
            .get_all("x-forwarded-for")
            .into_iter()
            .next_back()
            .and_then(|value| value.to_str().ok()?.rsplit(',').next()?.trim().parse().ok())
            .filter(|_| config.behind_proxy);
        Self(told.or(connected).unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED)))
    }
}

impl FromRequestParts<Desk> for Address {
    type Rejection = Fault;

    async fn from_request_parts(parts: &mut Parts, desk: &Desk) -> Result<Self, Fault> {
        Ok(Self::of(&parts.headers, &parts.extensions, &desk.config))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_is_believed_only_if_there_is_one() {
        let mut extensions = Extensions::new();
        extensions.insert(ConnectInfo(SocketAddr::from(([127, 0, 0, 1], 1))));
        for (behind_proxy, told, expected) in [
            (false, Some("192.0.2.1"), "127.0.0.1"),
            (true, Some("192.0.2.1"), "192.0.2.1"),
            // What a browser says of itself comes first, and is not believed.
            (true, Some("10.0.0.1, 192.0.2.1"), "192.0.2.1"),
            (true, Some("nonsense"), "127.0.0.1"),
            (true, None, "127.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(told) = told {
                headers.insert("x-forwarded-for", told.parse().unwrap());
            }
            let config = Config { behind_proxy, ..Config::shipped() };
            let Address(address) = Address::of(&headers, &extensions, &config);
            assert_eq!(address.to_string(), expected, "{behind_proxy} {told:?}");
        }
    }
}
