//! What holds for every request: its size, its time, where it comes from, and what browsers may do
//! with the answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, ORIGIN, REFERRER_POLICY,
    SET_COOKIE, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;

use crate::web::auth::{Address, Door, cookie};
use crate::web::{Config, Desk};

/// Longer forms than lists and sounds need are refused; those routes raise it for themselves.
const LARGEST_BODY: usize = 256 * 1024;

/// No answer takes longer, but for streams, which begin in time.
const LONGEST: Duration = Duration::from_secs(30);

/// Nothing from elsewhere, no inline script or style, in nobody's frame.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; media-src 'self' blob:; connect-src 'self'; font-src 'self'; \
    form-action 'self'; frame-ancestors 'none'; base-uri 'none'";

const PERMISSIONS_POLICY: HeaderName = HeaderName::from_static("permissions-policy");

/// Nothing of the machine but what is on the screen.
const DEAF: &str = "camera=(), display-capture=(), geolocation=(), microphone=(), midi=(), \
    payment=(), usb=()";

/// Prompts are recorded on their page.
const HEARING: &str = "camera=(), display-capture=(), geolocation=(), microphone=(self), midi=(), \
    payment=(), usb=()";

/// For two years, as browsers want it.
const TLS_ONLY: &str = "max-age=63072000";

const HTML: &[u8] = b"text/html";

pub(super) fn around(pages: Router<Desk>, desk: &Desk, door: &Arc<Door>) -> Router<Desk> {
    let seen = (Arc::clone(&desk.config), Arc::clone(door));
    pages
        .layer(CompressionLayer::new())
        .layer(middleware::from_fn_with_state(seen, guard))
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, LONGEST))
        .layer(CatchPanicLayer::new())
}

async fn guard(
    State((config, door)): State<(Arc<Config>, Arc<Door>)>,
    request: Request,
    next: Next,
) -> Response {
    let Address(address) = Address::of(request.headers(), request.extensions(), &config);
    if !door.gate.admits_request(address) {
        return StatusCode::TOO_MANY_REQUESTS.into_response();
    }
    let may_hear = request.uri().path().starts_with("/prompts");
    let is_asset = request.uri().path().starts_with("/assets/");
    let shown = (request.method() == Method::GET).then(|| cookie::forget_flash(request.headers()));
    if !is_safe(request.method()) && !is_from_here(request.headers()) {
        return StatusCode::FORBIDDEN.into_response();
    }
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    let is_page = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(HTML));
    if let Some(Some(cookie)) = shown.filter(|_| is_page)
        && let Ok(value) = HeaderValue::from_str(&cookie.to_string())
    {
        headers.append(SET_COOKIE, value);
    }
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        // With `no-referrer`, browsers would send `Origin: null` with our own forms.
        (REFERRER_POLICY, "same-origin"),
        (PERMISSIONS_POLICY, if may_hear { HEARING } else { DEAF }),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
    if config.tls.is_some() || config.behind_proxy {
        headers.insert(STRICT_TRANSPORT_SECURITY, HeaderValue::from_static(TLS_ONLY));
    }
    if !is_asset {
        // What was seen of a patient is not left behind in a browser.
        headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    response
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

/// Whether a browser says that a page of ours sent it. Programs send neither header, and prove
/// themselves by a token instead of a cookie.
fn is_from_here(headers: &HeaderMap) -> bool {
    let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let site = headers.get("sec-fetch-site").and_then(|value| value.to_str().ok());
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return false;
    }
    match (text(&ORIGIN), text(&HOST)) {
        (None, _) => true,
        (Some(origin), Some(host)) => {
            origin.split_once("://").is_some_and(|(_, authority)| authority == host)
        }
        (Some(_), None) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_sites_cannot_make_a_browser_write() {
        for (site, origin, expected) in [
            (None, None, true),
            (Some("same-origin"), Some("http://localhost:8080"), true),
            (Some("cross-site"), Some("http://localhost:8080"), false),
            (Some("same-site"), None, false),
            (None, Some("http://evil.example"), false),
            (None, Some("null"), false),
            (None, Some("http://localhost:8080"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(HOST, HeaderValue::from_static("localhost:8080"));
            if let Some(site) = site {
                headers.insert("sec-fetch-site", HeaderValue::from_static(site));
            }
            if let Some(origin) = origin {
                headers.insert(ORIGIN, HeaderValue::from_static(origin));
            }
            assert_eq!(is_from_here(&headers), expected, "{site:?} {origin:?}");
        }
    }
}
