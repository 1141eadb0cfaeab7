//! `mimamori bench --console`: how fast the console answers with as many patients as a large city.
//!
//! The whole handler is measured, from the request to the last byte of the page: session, rights,
//! queries, audit, drawing. Only the network is left out.

use std::io::{Write, stdout};
use std::time::Duration;

use anyhow::{Context, ensure};
use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use tower::ServiceExt;

use crate::app::bench::{Place, center, print};
use crate::app::{clock, open_store};
use crate::base::{Clock, Private, address};
use crate::registry::audit::hex;
use crate::registry::{Actor, AuditEntry, ConsoleLanguage, Role, Scope, Staff};
use crate::store::{SignedIn, Stage, Store};
use crate::web::{self, Desk};

/// Requests of each kind.
const ROUNDS: usize = 200;

/// The cookie of the one who looks.
const COOKIE: &str = "bench";

/// Fills the database unless it was filled before, and measures.
pub(super) async fn run(database: Option<&Private<String>>, patients: u32) -> anyhow::Result<()> {
    let place = Place::new(database)?;
    measure(&place.database, patients).await
}

async fn measure(database: &Private<String>, patients: u32) -> anyhow::Result<()> {
    let mut out = stdout();
    let store = open_store(database).await?;
    let clock = clock::host();
    let scope = filled(&store, &clock, patients).await?;
    let began = Instant::now();
    let rolled = store.roll_health(clock.now().timestamp).await?;
    let seconds = began.elapsed().as_secs_f64();
    writeln!(
        out,
        "一覧を今日に進めました({rolled} 行、{seconds:.1} 秒) / \
         the list moved to today: {rolled} rows in {seconds:.1} s"
    )?;
    let pages = Router::clone(&console(&store, &clock, scope).await?);
    writeln!(out, "{:<44} {:>8} {:>8} {:>9}", "what", "p50 ms", "p95 ms", "kB")?;
    for (name, paths) in [
        ("健康状態一覧, first page", vec!["/health".to_owned()]),
        ("健康状態一覧, the tabs in turn", tabs()),
        ("健康状態一覧, 40 pages in turn", following(&pages, "/health", 40).await?),
        ("search by kana", searches(&["ハナコ", "さとうたろう", "ワタナベミ"])),
        ("search by registration number", searches(&["B99999", "B54321", "B777"])),
        ("search by telephone, last four", searches(&["4321", "0000", "9876"])),
        ("search that finds nobody", searches(&["いない人", "zzz"])),
        ("days × people, 7 days", vec!["/health/matrix?days=7".to_owned()]),
        ("days × people, 14 days", vec!["/health/matrix?days=14".to_owned()]),
        ("今日", vec!["/".to_owned()]),
    ] {
        let (mut times, mut largest) = (Vec::new(), 0);
        for round in 0..ROUNDS {
            let path = &paths[round % paths.len()];
            let began = Instant::now();
            let page = fetch(&pages, path).await?;
            times.push(began.elapsed());
            largest = largest.max(page.len());
        }
        print(&mut out, name, times, Some(largest))?;
    }
    let within = store.within(scope);
    let nurse = store.mint(clock.now().timestamp);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        within.health_counts(nurse).await?;
        times.push(began.elapsed());
    }
    print(&mut out, "the counts of all tabs, query alone", times, None)?;
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        store.board().await?;
        times.push(began.elapsed());
    }
    print(&mut out, "one live update for all viewers, queries", times, None)?;
    store.close().await;
    Ok(())
}

fn tabs() -> Vec<String> {
    ["", "action", "unreported", "fever", "ending", "mine"]
        .map(|view| format!("/health?view={view}"))
        .to_vec()
}

fn searches(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| format!("/health?{}", address::query([("q", word)]))).collect()
}

/// The addresses of so many pages, each as the one before links to it.
async fn following(pages: &Router, first: &str, n: usize) -> anyhow::Result<Vec<String>> {
    let mut paths = vec![first.to_owned()];
    while paths.len() < n {
        let page = fetch(pages, paths.last().context("there is a first")?).await?;
        let Some((_, rest)) = page.split_once("rel=\"next\" href=\"") else { break };
        let Some((next, _)) = rest.split_once('"') else { break };
        paths.push(next.replace("&amp;", "&"));
    }
    Ok(paths)
}

async fn fetch(pages: &Router, path: &str) -> anyhow::Result<String> {
    let request = Request::get(path)
        .header("cookie", format!("__Host-mimamori={COOKIE}"))
        .body(Body::empty())?;
    let response = pages.clone().oneshot(request).await?;
    ensure!(response.status() == StatusCode::OK, "{path}: {}", response.status());
    let bytes = to_bytes(response.into_body(), usize::MAX).await?;
    Ok(String::from_utf8(bytes.to_vec())?)
}

/// Invents the patients, unless an earlier run did.
async fn filled(store: &Store, clock: &Clock, patients: u32) -> anyhow::Result<Scope> {
    let mut out = stdout();
    let now = clock.now().timestamp;
    if let Some(center) = store.health_center("bench").await? {
        return Ok(Scope { center: center.id, clinic: None });
    }
    let center = store.save_health_center(now, &center(store.mint(now))).await?;
    let began = Instant::now();
    store
        .invent(now, center, patients, |table| {
            // What cannot be printed is not worth ending for.
            let _ = writeln!(out, "作成中 / inventing {table}");
        })
        .await?;
    let seconds = began.elapsed().as_secs_f64();
    writeln!(
        out,
        "患者 {patients} 人の一週間を {seconds:.0} 秒で作りました / \
         {patients} patients with a week in {seconds:.0} s"
    )?;
    Ok(Scope { center, clinic: None })
}

/// The console, with a supervisor signed in.
async fn console(store: &Store, clock: &Clock, scope: Scope) -> anyhow::Result<Router> {
    let now = clock.now().timestamp;
    let token = hex(&Sha256::digest(COOKIE));
    let staff = match store.account("bench").await? {
        Some(account) => account.staff,
        None => Staff {
            id: store.mint(now),
            health_center: Some(scope.center),
            clinic: None,
            login: "bench".to_owned(),
            name: "計測".to_owned().into(),
            roles: vec![Role::Supervisor],
            is_active: true,
            language: ConsoleLanguage::Ja,
            has_second_factor: false,
            must_change_password: false,
            locked_until: None,
        },
    };
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: "bench.signed_in",
        patient: None,
        object: String::new(),
        detail: String::new(),
    };
    if store.account("bench").await?.is_none() {
        store.add_staff(now, &staff, None, &entry).await?;
    }
    if store.session(&token).await?.is_none() {
        let signed_in = SignedIn {
            staff,
            token,
            csrf: "bench".to_owned().into(),
            stage: Stage::Full,
            created_at: now,
            seen_at: now,
            address: "local".to_owned(),
            agent: "bench".to_owned(),
        };
        store.begin_session(now, &signed_in, &entry).await?;
    }
    let config = web::Config {
        idle_timeout: Duration::from_hours(24),
        session_timeout: Duration::from_hours(24),
        ..web::Config::shipped()
    };
    Ok(web::router(Desk::silent(store.clone(), clock.clone(), config)?))
}
