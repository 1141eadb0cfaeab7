//! What pages are told while people look: one statement tells it all, for however many viewers.
#![expect(clippy::unwrap_used, reason = "clippy does not know this file for a test")]

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use http_body_util::BodyExt;
use mimamori::base::{Clock, Now};
use mimamori::campaign::AttemptState;
use mimamori::ivr::Answer;
use mimamori::registry::audit::hex;
use mimamori::registry::{Role, Staff};
use mimamori::store::{Dialing, SignedIn, Stage, Store};
use mimamori::web::{self, Desk};
use sha2::{Digest, Sha256};
use tower::ServiceExt;

use crate::postgres;
use crate::staff::{self, hire, member};
use crate::store::{Database, District, at, claims, entry};

claims! {
    the_board_tells_numbers_calls_and_the_stop
}

async fn the_board_tells_numbers_calls_and_the_stop(database: Database) {
    let district = District::new(&database).await;
    let store = &district.store;
    let board = store.board().await.unwrap();
    assert_eq!((board.day, board.is_running), (None, true), "before the first day");
    assert!(board.rows.is_empty() && board.calls.is_empty());

    store.roll_health(at(8, 0)).await.unwrap();
    let (_, _, first) = district.talking(1).await;
    district.answer(first, &entry(1, "temperature", Answer::Number(375))).await;
    district.answer(first, &entry(2, "spo2", Answer::Number(97))).await;
    district.admit(2).await;
    let stop = Dialing {
        is_running: false,
        changed_at: at(9, 2),
        changed_by: "所長".to_owned(),
        reason: "試験".to_owned(),
    };
    store.set_dialing(&stop, &crate::web::entry("dialing.stopped")).await.unwrap();

    let board = store.board().await.unwrap();
    assert_eq!(board.day, store.health_day().await.unwrap());
    assert!(board.day.is_some() && !board.is_running);
    let [row] = &*board.rows else { panic!("one centre without clinics: {:?}", board.rows) };
    assert_eq!((row.health_center, row.clinic), (district.center.id, None));
    let counts = row.counts;
    assert_eq!((counts.all, counts.planned, counts.called, counts.answered), (2, 1, 1, 1));
    let [call] = &*board.calls else { panic!("one call: {:?}", board.calls) };
    assert_eq!((call.attempt, call.state), (first, AttemptState::Talking));
    assert_eq!((call.dialed_at, call.answered_at), (at(9, 0), Some(at(9, 1))));
    assert_eq!((call.answers, call.last_question.as_deref()), (2, Some("spo2")));
    assert_eq!(
        (call.registration_number.as_str(), call.name.expose().as_str()),
        ("A0001", "神崎 1")
    );
}

/// The statements are counted on their way to the server: what is not sent was not asked.
#[tokio::test]
async fn one_statement_tells_all_viewers() {
    let Some(url) = postgres::fresh_database("one_statement_tells_all_viewers").await else {
        return;
    };
    let wire = Wire::to(&url);
    let store = Store::open_in_virtual_time(&wire.url, [7; 32]).await.unwrap();
    let district = District::with(store).await;
    let (router, cookies) = console(&district, 6).await;
    tokio::time::pause();
    let mut told = Vec::new();
    for n_viewers in [1, 6] {
        while told.len() < n_viewers {
            told.push(watch(&router, &cookies[told.len()]).await);
        }
        // The first look is over, and the next is due 3.7 s after the one before.
        tokio::time::sleep(Duration::from_secs(10)).await;
        let before = wire.n_statements.load(Ordering::Relaxed);
        tokio::time::sleep(Duration::from_secs(37)).await;
        let n_statements = wire.n_statements.load(Ordering::Relaxed) - before;
        assert_eq!(n_statements, 10, "for ten looks and {n_viewers} viewers");
    }
    for (n, told) in told.iter().enumerate() {
        assert!(told.load(Ordering::Relaxed) > 0, "viewer {n} was told nothing");
    }
}

/// The console, and so many nurses who are signed in.
async fn console(district: &District, n_nurses: usize) -> (Router, Vec<String>) {
    let store = &district.store;
    store.roll_health(at(9, 0)).await.unwrap();
    let mut cookies = Vec::new();
    for n in 0..n_nurses {
        let staff = hire(
            store,
            at(9, 0),
            Staff {
                name: format!("保健 {n}").into(),
                ..member(
                    store,
                    at(9, 0),
                    &format!("nurse{n}"),
                    Role::Nurse,
                    Some(district.center.id),
                )
            },
        )
        .await;
        let signed_in = SignedIn {
            staff,
            token: hex(&Sha256::digest(format!("cookie{n}"))),
            csrf: "word".to_owned().into(),
            stage: Stage::Full,
            created_at: at(9, 0),
            seen_at: at(9, 0),
            address: "local".to_owned(),
            agent: "test".to_owned(),
        };
        store.begin_session(at(9, 0), &signed_in, &staff::entry("session.begun")).await.unwrap();
        cookies.push(format!("__Host-mimamori=cookie{n}"));
    }
    let nine = || Now { instant: tokio::time::Instant::now().into_std(), timestamp: at(9, 0) };
    let desk = Desk::silent(store.clone(), Clock::new(nine), web::Config::shipped()).unwrap();
    (web::router(desk), cookies)
}

/// Keeps the page of live news open; counts the events.
async fn watch(router: &Router, cookie: &str) -> Arc<AtomicUsize> {
    let request = Request::get("/live").header("cookie", cookie).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let told = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&told);
    let mut body = response.into_body();
    tokio::spawn(async move {
        while let Some(Ok(frame)) = body.frame().await {
            // Besides events there are signs of life.
            let data = frame.into_data().unwrap_or_default();
            let is_event = data.windows(6).any(|window| window == b"event:");
            counter.fetch_add(usize::from(is_event), Ordering::Relaxed);
        }
    });
    told
}

/// The way to PostgreSQL, with a counter of the statements that are carried out.
struct Wire {
    url: String,
    n_statements: Arc<AtomicUsize>,
    _folder: tempfile::TempDir,
}

impl Wire {
    fn to(url: &str) -> Self {
        const SOCKET: &str = ".s.PGSQL.5432";
        let (address, server) = url.split_once("?host=").unwrap();
        let server = Path::new(server).join(SOCKET);
        let folder = tempfile::tempdir().unwrap();
        let listener = UnixListener::bind(folder.path().join(SOCKET)).unwrap();
        let n_statements = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&n_statements);
        thread::spawn(move || {
            for client in listener.incoming() {
                carry(client.unwrap(), server.clone(), Arc::clone(&counter));
            }
        });
        let url = format!("{address}?host={}", folder.path().display());
        Self { url, n_statements, _folder: folder }
    }
}

/// Carries one connection, both ways.
fn carry(client: UnixStream, server: PathBuf, counter: Arc<AtomicUsize>) {
    let server = UnixStream::connect(server).unwrap();
    let (mut from_server, mut to_client) =
        (server.try_clone().unwrap(), client.try_clone().unwrap());
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_server, &mut to_client);
        let _ = to_client.shutdown(Shutdown::Both);
    });
    thread::spawn(move || {
        let _ = count(client, &server, &counter);
        let _ = server.shutdown(Shutdown::Both);
    });
}

/// Frontend messages (PostgreSQL, "Message Formats"): a type and a length, but for the first, which
/// has no type. `E` carries out a prepared statement, `Q` a text.
fn count(mut from: UnixStream, mut to: &UnixStream, counter: &AtomicUsize) -> std::io::Result<()> {
    let mut has_begun = false;
    loop {
        let mut kind = [0];
        if has_begun {
            from.read_exact(&mut kind)?;
            to.write_all(&kind)?;
        }
        let mut length = [0; 4];
        from.read_exact(&mut length)?;
        let mut rest = vec![0; u32::from_be_bytes(length) as usize - 4];
        from.read_exact(&mut rest)?;
        to.write_all(&length)?;
        to.write_all(&rest)?;
        if matches!(kind, [b'E' | b'Q']) {
            counter.fetch_add(1, Ordering::Relaxed);
        }
        // A request for TLS, which the server answers before the true beginning.
        has_begun |= rest != 80_877_103_u32.to_be_bytes();
    }
}
