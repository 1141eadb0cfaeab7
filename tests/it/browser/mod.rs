//! The console as people use it: a real server, a real browser, one day per role.

mod axe;
mod days;
mod driver;
mod gallery;

use axum::Router;
use axum::response::Html;
use axum::routing::get;
use mimamori::registry::Role;

use crate::browser::driver::{Browser, LAPTOP};
use crate::console::Console;

impl Browser {
    /// Opens a browser in which the member of the staff with that role has signed in.
    async fn of(console: &Console, role: Role, claim: &str) -> Option<Self> {
        let browser = Self::open(claim, &console.base).await?;
        browser.enter(console, role).await;
        Some(browser)
    }

    /// Goes on as somebody else.
    async fn enter(&self, console: &Console, role: Role) {
        let cookie = console.sign_in(role).await;
        self.goto("/login").await;
        self.set_cookie("__Host-mimamori", &cookie).await;
        self.goto("/").await;
    }
}

/// Axe and the harness find what is there to find, so that silence means that all is well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_with_faults_is_found_out() {
    const FAULTY: &str = "<!doctype html><html><head><title>x</title></head><body>\
        <form><input name='q'></form><p style='color:#ccc'>pale</p>\
        <script src='/missing.js'></script></body></html>";
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let router = Router::new().route("/", get(|| async { Html(FAULTY) }));
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let Some(browser) = Browser::open("the browser's own test", &base).await else { return };
    browser.goto("/").await;
    let faults = browser.faults().await.join("\n");
    for rule in Browser::has_axe()
        .then_some(["html-has-lang", "label", "color-contrast"])
        .into_iter()
        .flatten()
    {
        assert!(faults.contains(rule), "axe misses {rule}:\n{faults}");
    }
    assert!(browser.complaints().await.iter().any(|one| one.contains("missing.js")));
    browser.shoot("harness", &[LAPTOP]).await;
    browser.close().await;
    serving.abort();
}
