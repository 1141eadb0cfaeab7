//! A headless Chromium that is driven by the WebDriver protocol, as a person would drive it.
//!
//! Where Chromium is not installed the tests that need it say so and pass, unless
//! `MIMAMORI_REQUIRE_BROWSER=1`.

use std::env;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::elements::Element;
use fantoccini::key::Key;
use fantoccini::wd::{Capabilities, WebDriverCompatibleCommand};
use fantoccini::{Client, ClientBuilder, Locator};
use hyper_util::client::legacy::connect::HttpConnector;
use serde_json::{Value, json};
use tempfile::TempDir;

/// A screen that people look at.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Screen {
    pub(crate) name: &'static str,
    pub(crate) width: u32,
    pub(crate) height: u32,
}

pub(crate) const LAPTOP: Screen = Screen { name: "laptop", width: 1366, height: 768 };
pub(crate) const TABLET: Screen = Screen { name: "tablet", width: 1024, height: 768 };
pub(crate) const TABLET_UPRIGHT: Screen =
    Screen { name: "tablet-upright", width: 768, height: 1024 };

/// One browser with a fresh profile, at one console.
pub(crate) struct Browser {
    pub(crate) client: Client,
    base: String,
    _profile: TempDir,
    _driver: Driver,
}

/// ChromeDriver and its browsers: a group of processes that ends with this value, or with the
/// tests, however they end.
struct Driver {
    shell: Child,
    port: u16,
}

impl Browser {
    /// Opens a browser on a laptop; `None`, and a printed line, without Chromium.
    #[expect(clippy::print_stdout, reason = "who runs the tests must know what was left out")]
    pub(crate) async fn open(claim: &str, base: &str) -> Option<Self> {
        if !is_installed() {
            let must = env::var("MIMAMORI_REQUIRE_BROWSER").is_ok_and(|value| value == "1");
            assert!(!must, "Chromium is required, but chromium and chromedriver were not found");
            println!("left out: {claim}, for Chromium is not installed");
            return None;
        }
        let profile = tempfile::tempdir().expect("a temporary folder");
        let driver = Driver::start();
        let client = ClientBuilder::new(HttpConnector::new())
            .capabilities(capabilities(profile.path()))
            .connect(&format!("http://127.0.0.1:{}", driver.port))
            .await
            .expect("ChromeDriver starts Chromium");
        let browser = Self { client, base: base.to_owned(), _profile: profile, _driver: driver };
        browser.look_through(LAPTOP).await;
        Some(browser)
    }

    /// Whether this console shows the page as on that screen.
    pub(crate) async fn look_through(&self, screen: Screen) {
        let Screen { width, height, .. } = screen;
        let metrics =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await;
    }

    /// Gives the browser a cookie of the console, as signing in would.
    pub(crate) async fn set_cookie(&self, name: &str, value: &str) {
        let cookie = json!({
            "url": self.base, "name": name, "value": value, "path": "/",
            "secure": true, "httpOnly": true, "sameSite": "Strict",
        });
        let set = self.devtools("Network.setCookie", cookie).await;
        assert_eq!(set["success"], json!(true), "the cookie is taken");
    }

    /// Goes to a page by its path.
    pub(crate) async fn goto(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.expect("the page loads");
    }

    /// The path and the query of the page that is shown.
    pub(crate) async fn path(&self) -> String {
        let url = self.client.current_url().await.expect("a page is shown");
        match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        }
    }

    /// The element; waits for it a while.
    pub(crate) async fn find(&self, css: &str) -> Element {
        let waiting = self.client.wait().at_most(Duration::from_secs(10));
        match waiting.for_element(Locator::Css(css)).await {
            Ok(element) => element,
            Err(error) => {
                panic!("no {css} on {}: {error}\n{}", self.path().await, self.text().await)
            }
        }
    }

    /// All that can be read on the page.
    pub(crate) async fn text(&self) -> String {
        let body = self.client.find(Locator::Css("body")).await.expect("a page has a body");
        body.text().await.expect("the page is shown")
    }

    /// Fails unless the page says so, at once or soon.
    pub(crate) async fn reads(&self, words: &str) {
        let script = "return document.body.innerText.includes(arguments[0])";
        for _ in 0..50 {
            if self.execute(script, vec![json!(words)]).await == json!(true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{} does not say {words:?}:\n{}", self.path().await, self.text().await);
    }

    /// Follows the link, or presses the button, of that name: what a screen reader would say.
    pub(crate) async fn press(&self, name: &str) {
        let element = self.named(PRESSABLE, name).await;
        element.click().await.unwrap_or_else(|error| panic!("cannot press {name:?}: {error}"));
    }

    /// The field with that label.
    pub(crate) async fn field(&self, label: &str) -> Element {
        self.named(FIELDS, label).await
    }

    /// Writes into the field with that label, in place of what is there.
    pub(crate) async fn fill(&self, label: &str, value: &str) {
        let field = self.field(label).await;
        if field.tag_name().await.is_ok_and(|tag| tag == "select") {
            field.select_by_label(value).await.expect("the choice is offered");
            return;
        }
        if !matches!(
            field.attr("type").await.as_ref().map(|kind| kind.as_deref()),
            Ok(Some("file"))
        ) {
            field.clear().await.expect("the field can be written");
        }
        field.send_keys(value).await.expect("the field can be written");
    }

    /// The element among those whose accessible name begins with this, or else contains it.
    async fn named(&self, among: &str, name: &str) -> Element {
        let script = format!("{NAMED}\nreturn named(arguments[0], arguments[1]);");
        for _ in 0..50 {
            let found = self.execute(&script, vec![json!(among), json!(name)]).await;
            if let Some(id) = found[ELEMENT].as_str() {
                return Element::from_element_id(self.client.clone(), id.to_owned().into());
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("nothing named {name:?} on {}:\n{}", self.path().await, self.text().await);
    }

    /// Types on the keyboard, into whatever has the focus.
    pub(crate) async fn type_keys(&self, keys: &str) {
        let mut actions = KeyActions::new("keyboard".to_owned());
        for value in keys.chars() {
            actions = actions.then(KeyAction::Down { value }).then(KeyAction::Up { value });
        }
        self.client.perform_actions(actions).await.expect("keys can be pressed");
    }

    /// Presses one of the keys without a letter.
    pub(crate) async fn key(&self, key: Key) {
        self.type_keys(char::from(key).encode_utf8(&mut [0; 4])).await;
    }

    /// Moves the focus by the tabulator until it is on the element of that name; fails if it never
    /// comes there, or if where it is cannot be seen.
    pub(crate) async fn tab_to(&self, name: &str) {
        let script = format!("{NAMED}\nreturn focused();");
        for _ in 0..200 {
            self.key(Key::Tab).await;
            let focused = self.execute(&script, vec![]).await;
            let is_it = focused["name"].as_str().is_some_and(|text| text.contains(name));
            assert_eq!(focused["visible"], json!(true), "the focus cannot be seen: {focused}");
            if is_it {
                return;
            }
        }
        panic!("the tabulator never comes to {name:?} on {}", self.path().await);
    }

    /// Runs a script in the page.
    pub(crate) async fn execute(&self, script: &str, arguments: Vec<Value>) -> Value {
        self.client.execute(script, arguments).await.expect("the script is right")
    }

    /// Keeps a picture of the whole page under `target/screenshots`, on each screen.
    pub(crate) async fn shoot(&self, name: &str, screens: &[Screen]) {
        for screen in screens {
            self.look_through(*screen).await;
            let taken = self
                .devtools("Page.captureScreenshot", json!({"captureBeyondViewport": false}))
                .await;
            let png = STANDARD.decode(taken["data"].as_str().expect("a picture")).expect("base64");
            let path = screenshots().join(format!("{name}-{}.png", screen.name));
            std::fs::write(&path, png).expect("target can be written");
        }
        self.look_through(LAPTOP).await;
    }

    /// The page as it would be printed: how many sheets, and the PDF kept beside the pictures.
    pub(crate) async fn print(&self, name: &str) -> usize {
        let printed = self
            .devtools(
                "Page.printToPDF",
                // A4.
                json!({"paperWidth": 8.27, "paperHeight": 11.69, "printBackground": false}),
            )
            .await;
        let pdf = STANDARD.decode(printed["data"].as_str().expect("a PDF")).expect("base64");
        std::fs::write(screenshots().join(format!("{name}.pdf")), &pdf)
            .expect("target can be written");
        let text = String::from_utf8_lossy(&pdf);
        text.matches("/Type /Page\n").count() + text.matches("/Type /Page ").count()
    }

    /// Commands of the protocol of Chromium's own tools.
    async fn devtools(&self, command: &'static str, parameters: Value) -> Value {
        self.client.issue_cmd(Devtools { command, parameters }).await.expect("Chromium knows it")
    }

    /// Errors that the page wrote into the console of the browser: refused by the policy of
    /// content, scripts that broke, resources that are missing.
    pub(crate) async fn complaints(&self) -> Vec<String> {
        let entries = self.client.issue_cmd(BrowserLog).await.expect("the log can be read");
        let entries = entries.as_array().cloned().unwrap_or_default();
        let is_bad = |entry: &&Value| entry["level"] == "SEVERE";
        entries.iter().filter(is_bad).map(|entry| entry["message"].to_string()).collect()
    }

    /// Leaves the browser in good order.
    pub(crate) async fn close(self) {
        self.client.clone().close().await.expect("the browser is there");
    }
}

/// Where pictures are kept.
pub(crate) fn screenshots() -> PathBuf {
    let folder = target().join("screenshots");
    std::fs::create_dir_all(&folder).expect("target can be written");
    folder
}

/// The folder of what is built.
pub(crate) fn target() -> PathBuf {
    let tmp = Path::new(env!("CARGO_TARGET_TMPDIR"));
    tmp.parent().expect("it is within target").to_owned()
}

fn is_installed() -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    let has = |name: &str| env::split_paths(&path).any(|folder| folder.join(name).exists());
    has("chromium") && has("chromedriver")
}

fn capabilities(profile: &Path) -> Capabilities {
    let arguments = [
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--disable-quic",
        "--no-first-run",
        "--no-proxy-server",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--disable-features=Translate,MediaRouter,OptimizationHints",
        // Somebody who listens has clicked first; a test need not.
        "--autoplay-policy=no-user-gesture-required",
        "--mute-audio",
        // A microphone that beeps, and whose use is granted.
        "--use-fake-device-for-media-stream",
        "--use-fake-ui-for-media-stream",
        "--lang=ja",
    ];
    let mut arguments: Vec<String> = arguments.map(str::to_owned).to_vec();
    arguments.push(format!("--user-data-dir={}", profile.display()));
    let capabilities = json!({
        "goog:chromeOptions": {"args": arguments, "prefs": {"intl.accept_languages": "ja"}},
        "goog:loggingPrefs": {"browser": "ALL"},
        "timeouts": {"pageLoad": 30_000, "script": 30_000},
    });
    capabilities.as_object().cloned().expect("an object")
}

impl Driver {
    fn start() -> Self {
        // `cat` ends when this process does; then the whole group does.
        let script = "chromedriver --port=0 2>/dev/null & cat >/dev/null; kill -KILL 0";
        let mut shell = Command::new("sh")
            .args(["-c", script])
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("sh runs");
        let said = BufReader::new(shell.stdout.take().expect("it is piped"));
        let port = said
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                line.split_once("successfully on port ")?.1.trim_end_matches('.').parse().ok()
            })
            .expect("ChromeDriver says its port");
        Self { shell, port }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        drop(self.shell.wait());
    }
}

#[derive(Debug)]
struct Devtools {
    command: &'static str,
    parameters: Value,
}

impl WebDriverCompatibleCommand for Devtools {
    fn endpoint(
        &self,
        base_url: &reqwest::Url,
        session_id: Option<&str>,
    ) -> Result<reqwest::Url, <reqwest::Url as std::str::FromStr>::Err> {
        base_url.join(&format!("session/{}/goog/cdp/execute", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &reqwest::Url) -> (axum::http::Method, Option<String>) {
        let body = json!({"cmd": self.command, "params": self.parameters});
        (axum::http::Method::POST, Some(body.to_string()))
    }
}

#[derive(Debug)]
struct BrowserLog;

impl WebDriverCompatibleCommand for BrowserLog {
    fn endpoint(
        &self,
        base_url: &reqwest::Url,
        session_id: Option<&str>,
    ) -> Result<reqwest::Url, <reqwest::Url as std::str::FromStr>::Err> {
        base_url.join(&format!("session/{}/se/log", session_id.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &reqwest::Url) -> (axum::http::Method, Option<String>) {
        (axum::http::Method::POST, Some(json!({"type": "browser"}).to_string()))
    }
}

/// How the protocol marks an element among other values (WebDriver 2, section 12.1).
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

const PRESSABLE: &str = "a[href], button, input[type=submit], summary, [role=button], [role=tab], \
    label:has(input[type=radio]), label:has(input[type=checkbox])";
const FIELDS: &str = "input:not([type=hidden]), select, textarea";

/// Finds elements by the name that assistive technology is told, as far as our pages make use of
/// the rules (accname 1.2): `aria-label`, `aria-labelledby`, `label`, content, `title`.
const NAMED: &str = r"
function nameOf(element) {
  const squeeze = text => (text || '').replace(/\s+/g, ' ').trim();
  if (element.hasAttribute('aria-labelledby')) {
    const ids = element.getAttribute('aria-labelledby').split(/\s+/);
    return squeeze(ids.map(id => document.getElementById(id)?.textContent || '').join(' '));
  }
  if (element.hasAttribute('aria-label')) return squeeze(element.getAttribute('aria-label'));
  if (element.labels && element.labels.length) {
    return squeeze([...element.labels].map(label => label.textContent).join(' '));
  }
  return squeeze(element.innerText || element.textContent || element.value || element.title);
}
function isShown(element) {
  const box = element.getBoundingClientRect();
  return box.width > 0 && box.height > 0 && getComputedStyle(element).visibility !== 'hidden';
}
function named(among, name) {
  const shown = [...document.querySelectorAll(among)].filter(isShown);
  const open = document.querySelector('dialog[open]');
  const within = open ? shown.filter(element => open.contains(element)) : shown;
  return within.find(element => nameOf(element) === name)
    || within.find(element => nameOf(element).startsWith(name))
    || within.find(element => nameOf(element).includes(name)) || null;
}
function focused() {
  const element = document.activeElement;
  if (!element || element === document.body) return {name: '', visible: true};
  const style = getComputedStyle(element);
  const hasOutline = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1;
  return {name: nameOf(element), visible: hasOutline || style.boxShadow !== 'none', tag: element.tagName};
}
";
