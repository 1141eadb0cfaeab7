//! What holds for every request of the API: who asks, how often they may, and that what is asked
//! for twice takes effect once.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{FromRequestParts, Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, LINK, LOCATION};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use std::sync::Arc;

use crate::registry::audit::hex;
use crate::store::{Begun, KeptAnswer, RequestKey};
use crate::web::Desk;
use crate::web::api::problem::Problem;
use crate::web::auth::Client;

/// Bodies of the API are short.
const LARGEST_BODY: usize = 64 * 1024;

const KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Headers that belong to an answer that is kept.
const KEPT_HEADERS: [HeaderName; 4] = [CONTENT_TYPE, ETAG, LINK, LOCATION];

/// What every request passes.
#[derive(Clone)]
pub(super) struct Gate {
    desk: Desk,
    limiter: Arc<Limiter>,
}

impl Gate {
    pub(super) fn new(desk: &Desk) -> Self {
        Self {
            desk: desk.clone(),
            limiter: Arc::new(Limiter::new(desk.config.requests_per_minute)),
        }
    }
}

/// Lets a request pass, with who asks among its extensions.
pub(super) async fn pass(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let client = match Client::from_request_parts(&mut parts, &gate.desk).await {
        Ok(client) => client,
        Err(fault) => return Problem::from(fault).into_response(),
    };
    let principal = client.actor().as_text();
    let allowance = gate.limiter.take(&principal, client.now);
    let mut response = if !allowance.is_admitted {
        Problem::new("too-many").later(allowance.resets_in).into_response()
    } else {
        parts.extensions.insert(client.clone());
        let request = Request::from_parts(parts, body);
        if request.method() == Method::POST {
            match once(&gate.desk, &principal, client.now, request, next).await {
                Ok(response) => response,
                Err(problem) => problem.into_response(),
            }
        } else {
            next.run(request).await
        }
    };
    allowance.tell(response.headers_mut());
    response
}

/// Carries a request out once; asked again, it gives the answer of the first time.
async fn once(
    desk: &Desk,
    principal: &str,
    now: Timestamp,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = key(request.headers())?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, LARGEST_BODY).await.map_err(|_| Problem::new("too-long"))?;
    let hash = fingerprint(&parts.method, &parts.uri.to_string(), &body);
    let request_key = RequestKey { principal, key: &key, hash: &hash };
    match desk.store.begin_request(now, request_key).await? {
        Begun::Fresh => {}
        Begun::Answered(answer) => return Ok(again(answer)),
        Begun::UnderWay => return Err(Problem::new("key-in-use").later(1)),
        Begun::OtherRequest => return Err(Problem::new("key-reused")),
    }
    let response = next.run(Request::from_parts(parts, Body::from(body))).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    // Where nothing was done there is nothing to be done only once.
    let answer = parts.status.is_success().then(|| KeptAnswer {
        status: parts.status.as_u16(),
        headers: kept_headers(&parts.headers),
        body: String::from_utf8_lossy(&body).into_owned(),
    });
    desk.store.end_request(request_key, answer.as_ref()).await?;
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The key that the program chose: a string of 1 to 64 visible characters, in quotes
/// (draft-ietf-httpapi-idempotency-key-header-07 §2) or without.
fn key(headers: &HeaderMap) -> Result<String, Problem> {
    let given = headers.get(KEY).ok_or_else(|| Problem::new("key-missing"))?;
    let text = given.to_str().unwrap_or_default().trim();
    let text = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text);
    let is_good = (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
    if is_good { Ok(text.to_owned()) } else { Err(Problem::new("key-missing")) }
}

fn fingerprint(method: &Method, uri: &str, body: &Bytes) -> String {
    let mut hasher = Sha256::new();
    for part in [method.as_str(), "\n", uri, "\n"] {
        hasher.update(part);
    }
    hasher.update(body);
    hex(&hasher.finalize())
}

fn kept_headers(headers: &HeaderMap) -> String {
    let line = |name: &HeaderName| Some(format!("{name}: {}", headers.get(name)?.to_str().ok()?));
    KEPT_HEADERS.iter().filter_map(line).collect::<Vec<_>>().join("\n")
}

fn again(answer: KeptAnswer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body).into_response();
    let headers = response.headers_mut();
    headers.remove(CONTENT_TYPE);
    for line in answer.headers.lines() {
        let Some((name, value)) = line.split_once(": ") else { continue };
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    headers.insert("idempotency-replayed", HeaderValue::from_static("true"));
    response
}

/// Counts the requests of each minute, per principal.
#[derive(Debug)]
struct Limiter {
    per_minute: u32,
    windows: Mutex<HashMap<String, Window>>,
}

#[derive(Debug)]
struct Window {
    began: Timestamp,
    used: u32,
}

/// What is left of a minute.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Allowance {
    per_minute: u32,
    is_admitted: bool,
    remaining: u32,
    resets_in: u32,
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);

impl Limiter {
    fn new(per_minute: u32) -> Self {
        Self { per_minute, windows: Mutex::default() }
    }

    fn take(&self, principal: &str, now: Timestamp) -> Allowance {
        let mut windows = self.windows.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever stopped asking is forgotten.
        if windows.len() > 1000 {
            windows.retain(|_, window| now.duration_since(window.began) < MINUTE);
        }
        let fresh = || Window { began: now, used: 0 };
        let window = windows.entry(principal.to_owned()).or_insert_with(fresh);
        if now.duration_since(window.began) >= MINUTE {
            *window = fresh();
        }
        window.used = window.used.saturating_add(1);
        let left = MINUTE - now.duration_since(window.began);
        Allowance {
            per_minute: self.per_minute,
            is_admitted: window.used <= self.per_minute,
            remaining: self.per_minute.saturating_sub(window.used),
            resets_in: u32::try_from(left.as_secs().max(0)).unwrap_or(0) + 1,
        }
    }
}

impl Allowance {
    /// As draft-ietf-httpapi-ratelimit-headers-10 writes it.
    fn tell(self, headers: &mut HeaderMap) {
        let policy = format!("\"minute\";q={};w=60", self.per_minute);
        let limit = format!("\"minute\";r={};t={}", self.remaining, self.resets_in);
        for (name, value) in [("ratelimit-policy", policy), ("ratelimit", limit)] {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_so_many_requests_and_the_next_as_many_again() {
        const PER_MINUTE: u32 = 600;
        let limiter = Limiter::new(PER_MINUTE);
        let now = Timestamp::UNIX_EPOCH;
        let first = limiter.take("token a", now);
        assert_eq!((first.is_admitted, first.remaining), (true, PER_MINUTE - 1));
        for _ in 1..PER_MINUTE {
            limiter.take("token a", now);
        }
        let refused = limiter.take("token a", now + SignedDuration::from_secs(20));
        assert_eq!((refused.is_admitted, refused.remaining, refused.resets_in), (false, 0, 41));
        assert!(limiter.take("token b", now).is_admitted);
        assert!(limiter.take("token a", now + MINUTE).is_admitted);
    }

    #[test]
    fn a_key_may_stand_in_quotes() {
        for (given, expected) in [
            ("abc", Some("abc")),
            ("\"8e03978e-40d5\"", Some("8e03978e-40d5")),
            ("", None),
            ("\"\"", None),
            ("a b", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(KEY, HeaderValue::from_str(given).unwrap());
            assert_eq!(key(&headers).ok().as_deref(), expected, "{given}");
        }
        assert!(key(&HeaderMap::new()).is_err());
    }
}
