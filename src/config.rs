//! What was typed (TOML, environment) becomes what is meant. All errors are reported together.

use std::fmt;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use jiff::civil::Time;
use serde::Deserialize;

use crate::base::{Bilingual, Codec, PhoneNumber, Private};
use crate::campaign::pacing::Limits;
use crate::campaign::{Policy, Terms, Window, schedule};
use crate::notify;
use crate::prompt;
use crate::recording;
use crate::recording::MasterKey;
use crate::tape;
use crate::trunk::{self, Credentials, Identity, Template};
use crate::web;
use crate::web::auth::{SecondFactor, oidc};
use crate::worker;

/// Everything that the service needs to know.
#[derive(Clone, Debug)]
pub struct Config {
    /// A file for SQLite, or `postgres://…`, which may hold a password.
    pub database: Private<String>,
    /// The centres in whose name patients are called.
    pub health_centers: Vec<HealthCenterSettings>,
    /// The link to the carrier; without one, nobody can be called.
    pub trunk: Option<TrunkSettings>,
    /// Where messages about cases go.
    pub webhook: Option<notify::Config>,
    /// Where recorded prompts are, and where synthesised ones are kept.
    pub prompts: prompt::Config,
    /// A questionnaire instead of the shipped one.
    pub questionnaire: Option<PathBuf>,
    /// Sets of rules beside the shipped one.
    pub rules: Vec<PathBuf>,
    /// How the console is served; without it, there is none.
    pub web: Option<web::Config>,
    /// Where calls are recorded; without it none is.
    pub recordings: Option<RecordingSettings>,
    /// How the road is run.
    pub worker: worker::Config,
}

/// Recordings as they are configured.
#[derive(Clone, Debug)]
pub struct RecordingSettings {
    /// The folder on this machine: the spool, and the archive unless there is an object store.
    pub folder: PathBuf,
    /// The object store.
    pub s3: Option<recording::S3>,
    /// The key that all others hang on.
    pub key: KeySource,
    /// The rule of centres that made none in the console.
    pub policy: tape::Policy,
    /// What the spool may grow to, in bytes.
    pub spool_limit: u64,
}

impl RecordingSettings {
    /// Beside a database, as without any setting but that of this rule.
    pub fn beside(database: &str, policy: tape::Policy) -> Self {
        let folder = default_recordings(database);
        let key = KeySource::File(folder.with_extension("key"));
        let spool_limit = RawRecordings::default().spool_gigabytes << 30;
        Self { folder, s3: None, key, policy, spool_limit }
    }
}

/// Where the key of the recordings is.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In the configuration or the environment.
    Given(MasterKey),
    /// In this file, which is made if it is missing.
    File(PathBuf),
}

/// The link to the carrier as it is configured.
#[derive(Clone, Debug)]
pub struct TrunkSettings {
    /// Signalling.
    pub trunk: trunk::Config,
    /// Sound.
    pub media: trunk::media::Config,
}

/// A health centre as it is configured; the store gives it an id.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthCenterSettings {
    /// The short code that lists and files use. Unique.
    pub code: String,
    /// The name as written.
    pub name: String,
    /// The name as said, in katakana with accent marks.
    pub kana: String,
    /// The consultation desk that patients are told to call.
    pub desk_phone: String,
    /// No call before this time of day.
    pub opens_at: Time,
    /// No call at or after this time of day.
    pub closes_at: Time,
}

/// The configuration cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("設定ファイル {path} を読めません / cannot read the configuration {path}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The file is not TOML, or has a setting that is not known.
    #[error(
        "設定ファイル {path} を解釈できません / cannot understand the configuration {path}:\n{message}"
    )]
    Syntax {
        /// The file.
        path: String,
        /// The line and what was expected.
        message: String,
    },
    /// Settings that are understood, but cannot be meant.
    #[error("設定ファイル {path} に誤りがあります / the configuration {path} has faults:\n{}", list(.faults))]
    Faults {
        /// The file.
        path: String,
        /// All of them.
        faults: Vec<Fault>,
    },
}

/// One setting that cannot be meant.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Which, such as `trunk.server`.
    pub setting: String,
    /// What is wrong, and what to write instead.
    pub text: Bilingual,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.setting, self.text)
    }
}

fn list(faults: &[Fault]) -> String {
    faults.iter().map(|fault| format!("  - {fault}")).collect::<Vec<_>>().join("\n")
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    #[serde(default = "default_database")]
    database: Private<String>,
    node: Option<String>,
    questionnaire: Option<PathBuf>,
    #[serde(default)]
    rules: Vec<PathBuf>,
    #[serde(default)]
    health_center: Vec<RawHealthCenter>,
    trunk: Option<RawTrunk>,
    webhook: Option<RawWebhook>,
    #[serde(default)]
    prompts: RawPrompts,
    recordings: Option<RawRecordings>,
    #[serde(default)]
    calls: RawCalls,
    web: Option<RawWeb>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHealthCenter {
    code: String,
    name: String,
    kana: String,
    desk_phone: String,
    #[serde(default = "default_opens_at")]
    opens_at: String,
    #[serde(default = "default_closes_at")]
    closes_at: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawTrunk {
    server: String,
    outbound_proxy: Option<String>,
    domain: Option<String>,
    #[serde(default = "default_bind")]
    bind: String,
    public_address: Option<String>,
    #[serde(default)]
    further_hosts: Vec<String>,
    #[serde(default = "default_media_ports")]
    media_ports: [u16; 2],
    #[serde(default = "default_media_threads")]
    media_threads: usize,
    #[serde(default)]
    register: bool,
    username: Option<String>,
    auth_username: Option<String>,
    password: Option<Private<String>>,
    caller_id: String,
    caller_name: Option<String>,
    #[serde(default = "default_callee")]
    callee: String,
    #[serde(default = "default_callee")]
    caller: String,
    asserted_identity: Option<String>,
    preferred_identity: Option<String>,
    #[serde(default = "default_lines")]
    lines: usize,
    #[serde(default = "default_calls_per_second")]
    calls_per_second: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWebhook {
    url: Private<String>,
    secret: Option<Private<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawWeb {
    #[serde(default = "default_web_bind")]
    bind: String,
    #[serde(default = "default_idle_minutes")]
    idle_minutes: u64,
    #[serde(default = "default_session_hours")]
    session_hours: u64,
    #[serde(default = "default_requests_per_minute")]
    requests_per_minute: u32,
    #[serde(default)]
    second_factor: RawSecondFactor,
    key: Option<Private<String>>,
    #[serde(default)]
    behind_proxy: bool,
    certificate: Option<PathBuf>,
    private_key: Option<PathBuf>,
    oidc: Option<RawOidc>,
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
enum RawSecondFactor {
    #[default]
    Required,
    Optional,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawOidc {
    issuer: String,
    client_id: String,
    client_secret: Option<Private<String>>,
    redirect: String,
    #[serde(default = "default_provider_name")]
    name: String,
    #[serde(default)]
    match_email: bool,
    #[serde(default)]
    asks_second_factor: bool,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrompts {
    folder: Option<PathBuf>,
    cache: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawRecordings {
    keep: String,
    sample_percent: u8,
    keep_days: u16,
    folder: Option<PathBuf>,
    spool_gigabytes: u64,
    key: Option<Private<String>>,
    s3: Option<RawS3>,
}

impl Default for RawRecordings {
    fn default() -> Self {
        Self {
            keep: "escalated".to_owned(),
            sample_percent: 5,
            keep_days: tape::Policy::SHIPPED.keep_days,
            folder: None,
            spool_gigabytes: 10,
            key: None,
            s3: None,
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawS3 {
    bucket: String,
    endpoint: Option<String>,
    #[serde(default = "default_region")]
    region: String,
    access_key_id: Option<Private<String>>,
    secret_access_key: Option<Private<String>>,
}

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
struct RawCalls {
    ring_seconds: u64,
    tolerance_minutes: u64,
    attempts: u32,
}

impl Default for RawCalls {
    fn default() -> Self {
        Self { ring_seconds: 60, tolerance_minutes: 120, attempts: 3 }
    }
}

/// Where the system keeps what may be deleted at any time (XDG Base Directory Specification).
pub fn default_cache() -> Option<PathBuf> {
    let set = |name| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let caches = set("XDG_CACHE_HOME").or_else(|| set("HOME").map(|home| home.join(".cache")));
    caches.map(|caches| caches.join("mimamori"))
}

fn default_database() -> Private<String> {
    "mimamori.sqlite".to_owned().into()
}

/// The name that most object stores other than Amazon's take for their only region.
fn default_region() -> String {
    "us-east-1".to_owned()
}

/// Beside the database's file; in the current folder for a server.
fn default_recordings(database: &str) -> PathBuf {
    let file = database.strip_prefix("sqlite:").unwrap_or(database);
    let file = file.strip_prefix("//").unwrap_or(file);
    if file.contains("://") {
        return PathBuf::from("mimamori-recordings");
    }
    let path = Path::new(file);
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{name}-recordings"))
}

fn default_opens_at() -> String {
    "09:00".to_owned()
}

fn default_closes_at() -> String {
    "18:00".to_owned()
}

fn default_bind() -> String {
    "0.0.0.0:5060".to_owned()
}

fn default_media_ports() -> [u16; 2] {
    [20_000, 21_999]
}

fn default_media_threads() -> usize {
    1
}

/// What Japanese carriers and most private exchanges dial.
fn default_callee() -> String {
    "sip:{national}@{domain}".to_owned()
}

/// A telephone line of a small site carries two calls.
fn default_lines() -> usize {
    2
}

fn default_calls_per_second() -> u32 {
    1
}

/// This machine only.
fn default_web_bind() -> String {
    "127.0.0.1:8080".to_owned()
}

fn default_provider_name() -> String {
    "認証基盤".to_owned()
}

fn default_idle_minutes() -> u64 {
    20
}

fn default_session_hours() -> u64 {
    12
}

fn default_requests_per_minute() -> u32 {
    600
}

impl Config {
    /// Reads a configuration file. Secrets that it leaves out are taken from the environment:
    /// `MIMAMORI_TRUNK_PASSWORD`, `MIMAMORI_WEBHOOK_SECRET`, `MIMAMORI_RECORDING_KEY`,
    /// `MIMAMORI_S3_ACCESS_KEY_ID`, `MIMAMORI_S3_SECRET_ACCESS_KEY`, `MIMAMORI_WEB_KEY`,
    /// `MIMAMORI_OIDC_SECRET`.
    ///
    /// # Errors
    /// With all settings that cannot be meant, not only the first.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let shown = path.display().to_string();
        let text = fs::read_to_string(path)
            .map_err(|source| ConfigError::Unreadable { path: shown.clone(), source })?;
        Self::parse(&shown, &text, |name| std::env::var(name).ok())
    }

    /// Reads the text of a configuration file; `secret` looks a secret up in the environment.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(
        path: &str,
        text: &str,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: describe(&error, text),
        })?;
        let mut reader = Reader { faults: Vec::new() };
        let config = reader.config(raw, &secret);
        if reader.faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Faults { path: path.to_owned(), faults: reader.faults })
        }
    }
}

/// The line and what is wrong with it; not the line itself, which may hold a secret.
fn describe(error: &toml::de::Error, text: &str) -> String {
    let at = error.span().map_or(0, |span| span.start);
    let line = text.bytes().take(at).filter(|byte| *byte == b'\n').count();
    let content = text.lines().nth(line).unwrap_or_default().trim_start();
    let holds_secret = ["password", "secret", "url", "database", "key", "access_key_id"]
        .iter()
        .any(|key| content.starts_with(key));
    // The message may quote the value.
    let problem = if holds_secret { "a text in quotes is expected" } else { error.message() };
    format!("{} 行目 / line {}: {problem}", line + 1, line + 1)
}

/// The host of `host`, `host:port`, `[v6]:port`, or of the first of several with commas between.
fn host_of(server: &str) -> &str {
    let first = server.split(',').next().unwrap_or_default().trim();
    if first.starts_with('[') {
        return first.split_inclusive(']').next().unwrap_or(first);
    }
    match first.split_once(':') {
        // An IPv6 address without brackets has more than one colon, and no port.
        Some((host, port)) if !port.contains(':') => host,
        _ => first,
    }
}

/// Turns raw settings into meant ones and collects what is wrong with them.
struct Reader {
    faults: Vec<Fault>,
}

impl Reader {
    fn fault(&mut self, setting: &str, ja: &str, en: &str) {
        self.faults.push(Fault {
            setting: setting.to_owned(),
            text: Bilingual::composed(ja.to_owned(), en.to_owned()),
        });
    }

    /// A value that its own type reads.
    fn parsed<T: FromStr>(&mut self, setting: &str, text: &str, example: &str) -> Option<T> {
        let value = text.trim().parse().ok();
        if value.is_none() {
            self.fault(
                setting,
                &format!("{text:?} は使えません(例: {example})"),
                &format!("{text:?} cannot be used (example: {example})"),
            );
        }
        value
    }

    fn config(&mut self, raw: Raw, secret: &impl Fn(&str) -> Option<String>) -> Config {
        let health_centers = self.health_centers(&raw.health_center);
        let lines = raw.trunk.as_ref().map_or(0, |trunk| trunk.lines);
        let calls_per_second = raw.trunk.as_ref().map_or(1, |trunk| trunk.calls_per_second);
        let trunk = raw.trunk.and_then(|trunk| self.trunk(trunk, secret));
        let webhook = raw.webhook.and_then(|webhook| self.webhook(webhook, secret));
        let recordings = raw
            .recordings
            .and_then(|recordings| self.recordings(recordings, raw.database.expose(), secret));
        let web = raw.web.and_then(|web| self.web(web, secret));
        let worker = self.worker(raw.node, &raw.calls, lines, calls_per_second);
        Config {
            database: raw.database,
            health_centers,
            trunk,
            webhook,
            prompts: prompt::Config {
                folder: raw.prompts.folder,
                cache: raw.prompts.cache.or_else(default_cache),
            },
            questionnaire: raw.questionnaire,
            rules: raw.rules,
            web,
            recordings,
            worker,
        }
    }

    fn health_centers(&mut self, raw: &[RawHealthCenter]) -> Vec<HealthCenterSettings> {
        if raw.is_empty() {
            self.fault(
                "health_center",
                "保健所が一つも設定されていません([[health_center]])",
                "no health centre is configured ([[health_center]])",
            );
        }
        let mut centers: Vec<HealthCenterSettings> = Vec::new();
        for (index, raw) in raw.iter().enumerate() {
            let setting = |name: &str| format!("health_center[{}].{name}", index + 1);
            if centers.iter().any(|center| center.code == raw.code) {
                self.fault(
                    &setting("code"),
                    &format!("{:?} は二度使われています", raw.code),
                    &format!("{:?} is used twice", raw.code),
                );
            }
            if !raw.desk_phone.chars().all(|c| c.is_ascii_digit() || c == '-')
                || raw.desk_phone.is_empty()
            {
                self.fault(
                    &setting("desk_phone"),
                    "数字とハイフンで書いてください(例: 03-1234-5678)",
                    "write digits and hyphens (example: 03-1234-5678)",
                );
            }
            let opens_at = self.parsed::<Time>(&setting("opens_at"), &raw.opens_at, "09:00");
            let closes_at = self.parsed::<Time>(&setting("closes_at"), &raw.closes_at, "18:00");
            let (Some(opens_at), Some(closes_at)) = (opens_at, closes_at) else { continue };
            if let Err(error) = Window::new(opens_at, closes_at) {
                self.faults.push(Fault {
                    setting: setting("opens_at"),
                    text: Bilingual::composed(
                        format!("架電できる時間帯ではありません: {error}"),
                        format!("not a calling window: {error}"),
                    ),
                });
            }
            centers.push(HealthCenterSettings {
                code: raw.code.clone(),
                name: raw.name.clone(),
                kana: raw.kana.clone(),
                desk_phone: raw.desk_phone.clone(),
                opens_at,
                closes_at,
            });
        }
        centers
    }

    fn trunk(
        &mut self,
        raw: RawTrunk,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Option<TrunkSettings> {
        let n_faults = self.faults.len();
        let bind = self.parsed::<SocketAddr>("trunk.bind", &raw.bind, "0.0.0.0:5060");
        let public_ip = raw.public_address.as_ref().and_then(|address| {
            self.parsed::<IpAddr>("trunk.public_address", address, "203.0.113.5")
        });
        let further_hosts = raw
            .further_hosts
            .iter()
            .filter_map(|host| self.parsed::<IpAddr>("trunk.further_hosts", host, "192.0.2.11"))
            .collect();
        let caller = self.parsed::<PhoneNumber>("trunk.caller_id", &raw.caller_id, "0312345678");
        let callee_uri = self.template("trunk.callee", &raw.callee);
        let caller_uri = self.template("trunk.caller", &raw.caller);
        let identity = match (&raw.asserted_identity, &raw.preferred_identity) {
            (Some(asserted), _) => {
                self.template("trunk.asserted_identity", asserted).map(Identity::Asserted)
            }
            (None, Some(preferred)) => {
                self.template("trunk.preferred_identity", preferred).map(Identity::Preferred)
            }
            (None, None) => Some(Identity::None),
        };
        let password = raw.password.or_else(|| secret("MIMAMORI_TRUNK_PASSWORD").map(Private::new));
        if raw.register && raw.username.is_none() {
            self.fault(
                "trunk.username",
                "register = true には username が要ります",
                "register = true needs a username",
            );
        }
        if raw.username.is_some() && raw.register && password.is_none() {
            self.fault(
                "trunk.password",
                "パスワードがありません(trunk.password か MIMAMORI_TRUNK_PASSWORD)",
                "there is no password (trunk.password or MIMAMORI_TRUNK_PASSWORD)",
            );
        }
        let [first, last] = raw.media_ports;
        if raw.media_ports[0] < 1024 || last < first || usize::from(last - first) < raw.lines * 2 {
            self.fault(
                "trunk.media_ports",
                "1024 以上で、回線ごとに 2 つのポートが要ります(例: [20000, 21999])",
                "needs two ports a line, from 1024 on (example: [20000, 21999])",
            );
        }
        if raw.lines == 0 || raw.calls_per_second == 0 {
            self.fault(
                "trunk.lines",
                "lines と calls_per_second は 1 以上にしてください",
                "lines and calls_per_second must be at least 1",
            );
        }
        let host = host_of(&raw.server).to_owned();
        let user = raw.username.clone().unwrap_or_else(|| "mimamori".to_owned());
        let (Some(bind), Some(caller), Some(callee_uri), Some(caller_uri), Some(identity)) =
            (bind, caller, callee_uri, caller_uri, identity)
        else {
            return None;
        };
        if self.faults.len() > n_faults {
            return None;
        }
        let credentials = password.map(|password| Credentials {
            username: raw.auth_username.clone().unwrap_or_else(|| user.clone()),
            password,
        });
        let trunk = trunk::Config {
            name: raw.server.clone(),
            domain: raw.domain.unwrap_or(host),
            host: raw.server,
            outbound_proxy: raw.outbound_proxy,
            bind,
            public_ip,
            further_hosts,
            user,
            credentials,
            registration: raw.register.then_some(Duration::from_mins(10)),
            caller_name: raw.caller_name,
            callee_uri,
            caller_uri,
            identity,
            max_calls: raw.lines,
            // The road keeps the pace; this is the net beneath. Calls 1/n s apart begin at most
            // n + 1 times within a second.
            calls_per_second: raw.calls_per_second.saturating_add(1),
            caller,
            media_networks: Vec::new(),
            codecs: vec![Codec::Pcmu, Codec::Pcma],
            response_timeout: Duration::from_secs(4),
            keep_alive: Some(Duration::from_mins(1)),
            session_interval: None,
            lead_in: Duration::from_millis(700),
        };
        let media = trunk::media::Config { threads: raw.media_threads.max(1), ports: first..=last };
        Some(TrunkSettings { trunk, media })
    }

    fn template(&mut self, setting: &str, text: &str) -> Option<Template> {
        self.parsed(setting, text, "sip:{national}@{domain}")
    }

    fn webhook(
        &mut self,
        raw: RawWebhook,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Option<notify::Config> {
        let Some(secret) =
            raw.secret.or_else(|| secret("MIMAMORI_WEBHOOK_SECRET").map(Private::new))
        else {
            self.fault(
                "webhook.secret",
                "署名の秘密がありません(webhook.secret か MIMAMORI_WEBHOOK_SECRET)",
                "there is no secret to sign with (webhook.secret or MIMAMORI_WEBHOOK_SECRET)",
            );
            return None;
        };
        let config = notify::Config { url: raw.url, secret, timeout: Duration::from_secs(10) };
        if let Err(error) = notify::Webhook::new(config.clone()) {
            self.fault("webhook", "この通知先は使えません", &error.to_string());
        }
        Some(config)
    }

    fn recordings(
        &mut self,
        raw: RawRecordings,
        database: &str,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Option<RecordingSettings> {
        let keep = tape::Keep::parse(&raw.keep, raw.sample_percent);
        if keep.is_none() {
            self.fault(
                "recordings.keep",
                "none、escalated、sampled、all のどれかにしてください(sample_percent は 0〜100)",
                "must be none, escalated, sampled or all (sample_percent within 0 and 100)",
            );
        }
        if !(1..=3650).contains(&raw.keep_days) {
            self.fault(
                "recordings.keep_days",
                "1〜3650 日にしてください",
                "must be within 1 and 3650 days",
            );
        }
        let folder = raw.folder.unwrap_or_else(|| default_recordings(database));
        let given = raw.key.or_else(|| secret("MIMAMORI_RECORDING_KEY").map(Private::new));
        let key = match given.map(|text| MasterKey::parse(text.expose())) {
            Some(Ok(key)) => KeySource::Given(key),
            None => KeySource::File(folder.with_extension("key")),
            Some(Err(_)) => {
                self.fault(
                    "recordings.key",
                    "32 バイトを base64 で書いてください(例: openssl rand -base64 32)",
                    "write 32 bytes in base64 (such as openssl rand -base64 32)",
                );
                return None;
            }
        };
        let s3 = raw.s3.and_then(|s3| self.s3(s3, secret));
        Some(RecordingSettings {
            folder,
            s3,
            key,
            policy: tape::Policy { keep: keep?, keep_days: raw.keep_days },
            spool_limit: raw.spool_gigabytes.saturating_mul(1 << 30),
        })
    }

    fn s3(
        &mut self,
        raw: RawS3,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Option<recording::S3> {
        let endpoint = raw.endpoint.as_deref();
        if endpoint.is_some_and(|it| !it.starts_with("https://") && !it.starts_with("http://")) {
            self.fault(
                "recordings.s3.endpoint",
                "https:// で始まるアドレスを書いてください",
                "write an address that begins with https://",
            );
        }
        let id =
            raw.access_key_id.or_else(|| secret("MIMAMORI_S3_ACCESS_KEY_ID").map(Private::new));
        let key = raw
            .secret_access_key
            .or_else(|| secret("MIMAMORI_S3_SECRET_ACCESS_KEY").map(Private::new));
        let (Some(access_key_id), Some(secret_access_key)) = (id, key) else {
            self.fault(
                "recordings.s3",
                "アクセスキーがありません(MIMAMORI_S3_ACCESS_KEY_ID と MIMAMORI_S3_SECRET_ACCESS_KEY)",
                "there is no access key (MIMAMORI_S3_ACCESS_KEY_ID and MIMAMORI_S3_SECRET_ACCESS_KEY)",
            );
            return None;
        };
        Some(recording::S3 {
            endpoint: raw.endpoint,
            bucket: raw.bucket,
            region: raw.region,
            access_key_id,
            secret_access_key,
        })
    }

    fn web(
        &mut self,
        raw: RawWeb,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Option<web::Config> {
        for (setting, value, most) in [
            ("web.idle_minutes", raw.idle_minutes, 60),
            ("web.session_hours", raw.session_hours, 24),
        ] {
            if !(1..=most).contains(&value) {
                self.fault(
                    setting,
                    &format!("1〜{most} にしてください"),
                    &format!("must be within 1 and {most}"),
                );
            }
        }
        let bind = self.parsed::<SocketAddr>("web.bind", &raw.bind, "127.0.0.1:8080");
        let tls = match (raw.certificate, raw.private_key) {
            (Some(certificate), Some(key)) => Some(web::tls::Files { certificate, key }),
            (None, None) => None,
            _ => {
                self.fault(
                    "web.certificate",
                    "certificate と private_key は両方を設定してください",
                    "certificate and private_key go together",
                );
                None
            }
        };
        let is_open = bind.is_some_and(|bind| !bind.ip().is_loopback());
        if is_open && tls.is_none() && !raw.behind_proxy {
            self.fault(
                "web.bind",
                "この機械の外から使うには TLS(certificate と private_key)か behind_proxy = true が要ります",
                "to be used from outside this machine it needs TLS (certificate and private_key), \
                 or behind_proxy = true",
            );
        }
        let key = raw.key.or_else(|| secret("MIMAMORI_WEB_KEY").map(Private::new));
        let key = key.and_then(|key| self.key("web.key", &key));
        let oidc = raw.oidc.map(|oidc| self.oidc(oidc, secret));
        Some(web::Config {
            bind: bind?,
            idle_timeout: Duration::from_secs(raw.idle_minutes * 60),
            session_timeout: Duration::from_secs(raw.session_hours * 3600),
            requests_per_minute: raw.requests_per_minute,
            second_factor: match raw.second_factor {
                RawSecondFactor::Required => SecondFactor::Required,
                RawSecondFactor::Optional => SecondFactor::Optional,
            },
            key,
            behind_proxy: raw.behind_proxy,
            tls,
            oidc,
        })
    }

    /// 32 bytes in base 64.
    fn key(&mut self, setting: &str, text: &Private<String>) -> Option<Private<[u8; 32]>> {
        let bytes = BASE64_STANDARD.decode(text.expose().trim()).ok();
        let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        if key.is_none() {
            self.fault(
                setting,
                "32 バイトを base64 で書いてください(例: openssl rand -base64 32)",
                "must be 32 bytes in base 64 (for instance: openssl rand -base64 32)",
            );
        }
        key.map(Private::new)
    }

    fn oidc(&mut self, raw: RawOidc, secret: &impl Fn(&str) -> Option<String>) -> oidc::Config {
        let is_safe = |url: &str| {
            url.starts_with("https://")
                || ["http://127.0.0.1", "http://localhost", "http://[::1]"].iter().any(|here| {
                    url.strip_prefix(here).is_some_and(|rest| rest.starts_with([':', '/']))
                })
        };
        for (setting, url) in
            [("web.oidc.issuer", &raw.issuer), ("web.oidc.redirect", &raw.redirect)]
        {
            if !is_safe(url) {
                self.fault(setting, "https:// で始めてください", "must begin with https://");
            }
        }
        if !raw.redirect.ends_with(oidc::CALLBACK) {
            self.fault(
                "web.oidc.redirect",
                &format!("{} で終わるアドレスにしてください", oidc::CALLBACK),
                &format!("must end with {}", oidc::CALLBACK),
            );
        }
        oidc::Config {
            issuer: raw.issuer,
            client_id: raw.client_id,
            client_secret: raw
                .client_secret
                .or_else(|| secret("MIMAMORI_OIDC_SECRET").map(Private::new)),
            redirect: raw.redirect,
            name: raw.name,
            match_email: raw.match_email,
            asks_second_factor: raw.asks_second_factor,
        }
    }

    fn worker(
        &mut self,
        node: Option<String>,
        calls: &RawCalls,
        lines: usize,
        calls_per_second: u32,
    ) -> worker::Config {
        // 端末設備等規則 第32条の3: cleared within 2 minutes, the setting up included.
        if !(10..=110).contains(&calls.ring_seconds) {
            self.fault(
                "calls.ring_seconds",
                "10〜110 秒にしてください",
                "must be between 10 and 110 seconds",
            );
        }
        if !(1..=6).contains(&calls.attempts) {
            self.fault("calls.attempts", "1〜6 回にしてください", "must be between 1 and 6");
        }
        if !(30..=480).contains(&calls.tolerance_minutes) {
            self.fault(
                "calls.tolerance_minutes",
                "30〜480 分にしてください",
                "must be between 30 and 480 minutes",
            );
        }
        let node = node.unwrap_or_else(|| "mimamori".to_owned());
        worker::Config {
            ring_timeout: Duration::from_secs(calls.ring_seconds),
            limits: Limits {
                calls_per_second: f64::from(calls_per_second),
                burst: 1,
                calls_at_once: lines,
            },
            terms: Arc::new(Terms {
                cadence: schedule::Config {
                    // Any number may have been typed; a faulty one is not used.
                    tolerance: Duration::from_mins(calls.tolerance_minutes.min(480)),
                    ..schedule::Config::shipped()
                },
                retry: Policy { attempts: calls.attempts, ..Policy::shipped() },
                ..Terms::shipped()
            }),
            ..worker::Config::shipped(node)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recordings_lie_beside_the_database_unless_told_otherwise() {
        for (database, folder) in [
            ("mimamori.sqlite", "mimamori-recordings"),
            ("/var/lib/m/m.db", "/var/lib/m/m-recordings"),
            ("sqlite:///var/lib/m/m.db", "/var/lib/m/m-recordings"),
            ("postgres://m@db/m", "mimamori-recordings"),
        ] {
            assert_eq!(default_recordings(database), Path::new(folder), "{database}");
        }
    }

    #[test]
    fn recordings_are_off_until_they_are_wanted_and_their_faults_are_told() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::parse("m.toml", WHOLE, environment).unwrap();
        assert!(config.recordings.is_none());
        let wanted = format!("{WHOLE}\n[recordings]\nkeep = \"sampled\"\nsample_percent = 10\n");
        let config = Config::parse("m.toml", &wanted, environment).unwrap();
        let recordings = config.recordings.unwrap();
        assert_eq!(recordings.policy.keep, tape::Keep::Sampled(10));
        assert_eq!(recordings.policy.keep_days, 30);
        let KeySource::File(file) = recordings.key else { panic!("no key was given") };
        assert_eq!(file, Path::new("mimamori-recordings.key"));

        let wrong =
            format!("{WHOLE}\n[recordings]\nkeep = \"most\"\nkeep_days = 0\nkey = \"short\"\n");
        let told = Config::parse("m.toml", &wrong, environment).unwrap_err().to_string();
        for setting in ["recordings.keep:", "recordings.keep_days:", "recordings.key:"] {
            assert!(told.contains(setting), "{setting}: {told}");
        }
        assert!(!told.contains("short"), "{told}");
        let wrong =
            format!("{WHOLE}\n[recordings.s3]\nbucket = \"b\"\nendpoint = \"s3.example.jp\"\n");
        let told = Config::parse("m.toml", &wrong, environment).unwrap_err().to_string();
        for setting in ["recordings.s3:", "recordings.s3.endpoint:"] {
            assert!(told.contains(setting), "{setting}: {told}");
        }
    }

    const WHOLE: &str = r#"
        database = "postgres://m:hidden@db/m"
        [[health_center]]
        code = "minato"
        name = "みなと保健所"
        kana = "ミナトホケ'ンジョ"
        desk_phone = "03-0000-0000"
        [trunk]
        server = "sip.example.jp:5070, sip2.example.jp"
        caller_id = "0312345678"
        username = "0312345678"
        register = true
        lines = 4
        [webhook]
        url = "https://example.org/hook?token=hidden"
    "#;

    fn environment(name: &str) -> Option<String> {
        let secret = |text: &str| Some(format!("hidden {text} of more than 24 bytes"));
        match name {
            "MIMAMORI_TRUNK_PASSWORD" => secret("password"),
            "MIMAMORI_WEBHOOK_SECRET" => secret("secret"),
            _ => None,
        }
    }

    fn faults(text: &str) -> String {
        let read = Config::parse("m.toml", text, |_| None);
        read.map_or_else(|error| error.to_string(), |_| "none".to_owned())
    }

    #[test]
    fn a_short_configuration_is_enough() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::parse("m.toml", WHOLE, environment).unwrap();
        let trunk = config.trunk.unwrap().trunk;
        assert_eq!((trunk.domain.as_str(), trunk.max_calls), ("sip.example.jp", 4));
        assert_eq!(trunk.credentials.unwrap().username, "0312345678");
        assert_eq!(config.worker.limits.calls_at_once, 4);
        assert_eq!(config.worker.ring_timeout, Duration::from_mins(1));
    }

    #[test]
    fn secrets_are_not_shown() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let config = Config::parse("m.toml", WHOLE, environment).unwrap();
        let shown = format!("{config:?}");
        assert!(!shown.contains("hidden"), "{shown}");
        for text in ["[trunk]\npassword = 46812", "[webhook]\nsecret = \"46812", "database = 46812"]
        {
            let shown = faults(text);
            assert!(!shown.contains("46812") && shown.contains("line "), "{shown}");
        }
    }

    #[test]
    fn all_faults_are_told_together() {
        insta::assert_snapshot!(faults(
            r#"
            [[health_center]]
            code = "minato"
            name = "みなと保健所"
            kana = "ミナトホケ'ンジョ"
            desk_phone = "03 0000"
            opens_at = "07:00"
            [trunk]
            server = "sip.example.jp"
            caller_id = "119"
            register = true
            lines = 0
            [webhook]
            url = "https://example.org/hook"
            [calls]
            ring_seconds = 600
            tolerance_minutes = 9223372036854775807
            attempts = 0
            "#
        ), @r#"
        設定ファイル m.toml に誤りがあります / the configuration m.toml has faults:
          - health_center[1].desk_phone: 数字とハイフンで書いてください(例: 03-1234-5678) / write digits and hyphens (example: 03-1234-5678)
          - health_center[1].opens_at: 架電できる時間帯ではありません: calling hours 07:00:00 to 18:00:00 leave the limits of 08:00 to 20:00 / not a calling window: calling hours 07:00:00 to 18:00:00 leave the limits of 08:00 to 20:00
          - trunk.caller_id: "119" は使えません(例: 0312345678) / "119" cannot be used (example: 0312345678)
          - trunk.username: register = true には username が要ります / register = true needs a username
          - trunk.lines: lines と calls_per_second は 1 以上にしてください / lines and calls_per_second must be at least 1
          - webhook.secret: 署名の秘密がありません(webhook.secret か MIMAMORI_WEBHOOK_SECRET) / there is no secret to sign with (webhook.secret or MIMAMORI_WEBHOOK_SECRET)
          - calls.ring_seconds: 10〜110 秒にしてください / must be between 10 and 110 seconds
          - calls.attempts: 1〜6 回にしてください / must be between 1 and 6
          - calls.tolerance_minutes: 30〜480 分にしてください / must be between 30 and 480 minutes
        "#);
        insta::assert_snapshot!(faults("[calls]\nring_second = 5"), @r"
        設定ファイル m.toml を解釈できません / cannot understand the configuration m.toml:
        2 行目 / line 2: unknown field `ring_second`, expected one of `ring_seconds`, `tolerance_minutes`, `attempts`
        ");
    }

    #[test]
    fn a_console_for_others_needs_tls() {
        for (web, expected) in [
            ("", "none"),
            ("bind = \"192.0.2.1:443\"", "web.bind"),
            ("bind = \"192.0.2.1:443\"\nbehind_proxy = true", "none"),
            ("bind = \"0.0.0.0:443\"\ncertificate = \"c.pem\"", "web.certificate"),
            ("bind = \"0.0.0.0:443\"\ncertificate = \"c.pem\"\nprivate_key = \"k.pem\"", "none"),
            ("key = \"short\"", "web.key"),
            ("second_factor = \"never\"", "unknown variant"),
            (
                "[web.oidc]\nissuer = \"http://idp.example\"\nclient_id = \"m\"\n\
                 redirect = \"https://m.example/login/oidc/callback\"",
                "web.oidc.issuer",
            ),
            (
                "[web.oidc]\nissuer = \"https://idp.example\"\nclient_id = \"m\"\n\
                 redirect = \"https://m.example/elsewhere\"",
                "web.oidc.redirect",
            ),
        ] {
            let center = "[[health_center]]\ncode = \"a\"\nname = \"あ\"\nkana = \"ア\"\n\
                desk_phone = \"03-0000-0000\"\n";
            let told = faults(&format!("{center}[web]\n{web}"));
            assert!(told.contains(expected), "{web}: {told}");
        }
    }

    #[test]
    fn the_domain_is_that_of_the_first_server() {
        for (server, expected) in [
            ("sip.example.jp", "sip.example.jp"),
            ("sip.example.jp:5070", "sip.example.jp"),
            ("a.example.jp:5070, b.example.jp:5070", "a.example.jp"),
            ("192.0.2.1:5060", "192.0.2.1"),
            ("[2001:db8::1]:5060", "[2001:db8::1]"),
            ("2001:db8::1", "2001:db8::1"),
        ] {
            assert_eq!(host_of(server), expected);
        }
    }
}
