//! Every page that each role sees: looked at by axe in both languages, and kept as pictures.
//!
//! `cargo test --test it gallery` leaves them under `target/screenshots`.

use mimamori::registry::Role;
use serde_json::json;

use crate::browser::driver::{Browser, LAPTOP, TABLET, TABLET_UPRIGHT};
use crate::console::Console;

/// Pages that the menu leads to, and one of each kind that they lead to.
const FURTHER: &str = "const seen = new Set(), found = []; \
    for (const link of document.querySelectorAll('main a[href^=\"/\"]')) { \
        const path = new URL(link.href).pathname; \
        const kind = path.replace(/[0-9a-f-]{36}|[0-9]{4,}(-[0-9]+)*/g, '*'); \
        if (kind.includes('*') && !seen.has(kind) && !/audio|csv|export/.test(path)) { \
            seen.add(kind); found.push(link.getAttribute('href')); } } return found";

const MENU: &str = "return [...document.querySelectorAll('nav.menu a, header a[href=\"/account\"]')] \
    .map(link => link.getAttribute('href'))";

/// Whether the page is wider than the screen.
const WIDER: &str = "return document.documentElement.scrollWidth > innerWidth + 1";

/// The tables that are wider than their place, by how they begin.
const SCROLLING: &str = "return [...document.querySelectorAll('.scroll')] \
    .filter(box => box.scrollWidth > box.clientWidth + 1) \
    .map(box => `${box.scrollWidth - box.clientWidth} px: ${box.innerText.slice(0, 60)}`)";

/// What was found wrong, so that one run tells all of it.
#[derive(Default)]
struct Findings(Vec<String>);

impl Findings {
    async fn look(&mut self, browser: &Browser, role: Role, language: &str) {
        let path = browser.path().await;
        let at = format!("{} {path} ({language})", role.as_str());
        for fault in browser.faults().await {
            self.0.push(format!("{at}: axe: {fault}"));
        }
        for complaint in browser.complaints().await {
            self.0.push(format!("{at}: the browser: {complaint}"));
        }
        let said = browser.execute("return document.documentElement.lang", vec![]).await;
        if said != json!(language) {
            self.0.push(format!("{at}: the page says that it is in {said}"));
        }
        // A page that is wider than the screen must be pushed about to be read.
        browser.look_through(TABLET_UPRIGHT).await;
        if browser.execute(WIDER, vec![]).await == json!(true) {
            self.0.push(format!("{at}: wider than a {}", TABLET_UPRIGHT.name));
        }
        browser.look_through(LAPTOP).await;
        self.look_at_the_width(browser, role, language).await;
    }

    /// On a laptop neither the page nor a table on it is wider than what can be seen.
    async fn look_at_the_width(&mut self, browser: &Browser, role: Role, language: &str) {
        let at = format!("{} {} ({language})", role.as_str(), browser.path().await);
        if browser.execute(WIDER, vec![]).await == json!(true) {
            self.0.push(format!("{at}: wider than a laptop"));
        }
        let wide: Vec<String> = serde_json::from_value(browser.execute(SCROLLING, vec![]).await)
            .expect("a list of words");
        for table in wide {
            self.0.push(format!("{at}: scrolls sideways on a laptop: {table}"));
        }
    }
}

async fn paths(browser: &Browser, script: &str) -> Vec<String> {
    serde_json::from_value(browser.execute(script, vec![]).await).expect("a list of paths")
}

fn name(role: Role, path: &str) -> String {
    let words = path.split(|c: char| !c.is_ascii_alphabetic()).filter(|word| word.len() > 2);
    let words: Vec<&str> = words.take(3).collect();
    let page = if words.is_empty() { "today".to_owned() } else { words.join("-") };
    format!("{}-{page}", role.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_page_is_clean_in_both_languages() {
    let console = Console::open().await;
    let now = console.desk.clock.now().timestamp;
    console.desk.store.ensure_campaigns(now, &console.desk.terms).await.expect("a campaign");
    let claim = "the gallery of pages";
    let Some(browser) = Browser::open(claim, &console.base).await else { return };
    let mut findings = Findings::default();
    for path in ["/login", "/api"] {
        browser.goto(path).await;
        browser
            .shoot(&name(Role::Nurse, path).replace("nurse-", "public-"), &[LAPTOP, TABLET_UPRIGHT])
            .await;
        findings.look(&browser, Role::Nurse, "ja").await;
    }
    for role in Role::ALL {
        browser.enter(&console, role).await;
        let mut open = paths(&browser, MENU).await;
        let mut seen: Vec<String> = Vec::new();
        let mut visited: Vec<String> = Vec::new();
        while let Some(path) = open.pop() {
            let kind: String = path
                .split('?')
                .next()
                .unwrap_or_default()
                .split('/')
                .map(|part| if part.len() == 36 { "*" } else { part })
                .collect::<Vec<_>>()
                .join("/");
            if seen.contains(&kind) {
                continue;
            }
            seen.push(kind);
            browser.goto(&path).await;
            browser.shoot(&name(role, &path), &[LAPTOP, TABLET, TABLET_UPRIGHT]).await;
            findings.look(&browser, role, "ja").await;
            visited.push(path);
            open.extend(paths(&browser, FURTHER).await);
        }
        browser.goto("/").await;
        browser.press("English").await;
        let menu = paths(&browser, MENU).await;
        for path in visited.iter().filter(|path| !menu.contains(path)) {
            browser.goto(path).await;
            findings.look_at_the_width(&browser, role, "en").await;
        }
        for path in menu {
            browser.goto(&path).await;
            browser.shoot(&format!("{}-en", name(role, &path)), &[LAPTOP]).await;
            findings.look(&browser, role, "en").await;
        }
        browser.goto("/").await;
        browser.press("日本語").await;
    }
    browser.close().await;
    assert!(findings.0.is_empty(), "{} findings:\n{}", findings.0.len(), findings.0.join("\n"));
}
