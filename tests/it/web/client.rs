//! Whoever asks the API: with a session and its word, or with a token and its scopes.

use std::time::Duration;

use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use axum::routing::get;
use axum::{Extension, Router};
use jiff::SignedDuration;
use mimamori::registry::{ApiToken, Reach, Right, Role, Staff};
use mimamori::web::auth::client::{CSRF_HEADER, new_token};
use mimamori::web::auth::{Client, Door};
use mimamori::web::fault::Fault;

use crate::web::{Browser, Office, entry};

/// Who asks, and what they may.
async fn who(client: Client) -> Result<String, Fault> {
    client.must(Right::SeeHealth)?;
    client.scope()?;
    let listens = if client.may(Right::Listen) { "listens" } else { "deaf" };
    Ok(format!("{}: {listens}", client.actor().as_text()))
}

fn asking(office: &Office) -> Browser {
    let router = Router::new()
        .route("/who", get(who).post(who))
        .layer(Extension(Door::new(&office.desk)))
        .with_state(office.desk.clone());
    Browser { router, ..office.browser() }
}

fn request(method: Method, header: Option<(&str, &str)>) -> Request<Body> {
    let mut request = Request::builder().method(method).uri("/who");
    if let Some((name, value)) = header {
        request = request.header(name, value);
    }
    request.body(Body::empty()).unwrap()
}

async fn token(office: &Office, owner: &Staff, rights: &[Right]) -> String {
    let token = ApiToken {
        id: office.store.mint(office.now()),
        owner: owner.id,
        name: "x".to_owned(),
        rights: rights.to_vec(),
        created_at: office.now(),
        expires_at: office.now() + SignedDuration::from_hours(1),
        last_used_at: None,
        revoked_at: None,
    };
    let (secret, hash) = new_token().unwrap();
    let managing = office.store.managing(Reach::Everybody);
    managing.add_token(office.now(), &token, &hash, &entry("token.added")).await.unwrap();
    secret.expose().clone()
}

#[tokio::test]
async fn a_token_does_what_its_owner_and_its_scopes_both_allow() {
    let office = Office::new().await;
    let nurse = office.hire("nurse", Role::Nurse).await;
    let scheduler = office.hire("scheduler", Role::Scheduler).await;
    let mut client = asking(&office);
    let see = [Right::SeeHealth];
    let hear = [Right::SeeHealth, Right::Listen];
    for (owner, rights, status, told) in [
        (&nurse, &see[..], StatusCode::OK, "deaf"),
        (&nurse, &hear[..], StatusCode::OK, "listens"),
        (&nurse, &[Right::SeePlan][..], StatusCode::FORBIDDEN, ""),
        // A scope gives nothing that its owner has not.
        (&scheduler, &hear[..], StatusCode::FORBIDDEN, ""),
    ] {
        let secret = token(&office, owner, rights).await;
        let header = format!("Bearer {secret}");
        for method in [Method::GET, Method::POST] {
            let page = client.send(request(method, Some(("authorization", &header)))).await;
            assert_eq!(page.status, status);
            assert!(page.text.contains(told), "{}", page.text);
            assert!(status != StatusCode::OK || page.text.starts_with("token "));
        }
    }
}

#[tokio::test]
async fn what_is_no_good_token_opens_nothing() {
    let office = Office::new().await;
    let nurse = office.hire("nurse", Role::Nurse).await;
    let secret = token(&office, &nurse, &[Right::SeeHealth]).await;
    let mut client = asking(&office);
    for header in ["Bearer", "Bearer x", &format!("Basic {secret}"), &secret, "Bearer mmr_"] {
        let page = client.send(request(Method::GET, Some(("authorization", header)))).await;
        assert_eq!(page.to(), "/login", "{header}");
    }
    let good = format!("bearer {secret}");
    let page = client.send(request(Method::GET, Some(("authorization", &good)))).await;
    assert_eq!(page.status, StatusCode::OK);
    office.pass(Duration::from_hours(1));
    let page = client.send(request(Method::GET, Some(("authorization", &good)))).await;
    assert_eq!(page.to(), "/login", "out of date");
    let mut put_off = 0;
    for _ in 0..100 {
        let guess = request(Method::GET, Some(("authorization", "Bearer mmr_guess")));
        put_off += usize::from(client.send(guess).await.status == StatusCode::TOO_MANY_REQUESTS);
    }
    // The token that was out of date has knocked, too.
    assert_eq!(put_off, 41);
}

#[tokio::test]
async fn a_session_changes_nothing_without_its_word() {
    let office = Office::new().await;
    let mut browser = office.at_work("nurse", Role::Nurse).await;
    browser.get("/account").await;
    let (cookies, csrf) = (browser.cookies.clone(), browser.csrf.clone());
    let mut client = Browser { cookies, ..asking(&office) };
    let page = client.send(request(Method::GET, None)).await;
    assert!(page.text.starts_with("staff ") && page.text.ends_with("listens"), "{}", page.text);
    for (header, expected) in [
        (None, StatusCode::FORBIDDEN),
        (Some((CSRF_HEADER, "guess")), StatusCode::FORBIDDEN),
        (Some((CSRF_HEADER, csrf.as_str())), StatusCode::OK),
    ] {
        let page = client.send(request(Method::POST, header)).await;
        assert_eq!(page.status, expected, "{header:?}");
    }
}
