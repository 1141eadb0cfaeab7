//! What was typed (TOML, environment) becomes what is meant. All errors are reported together.

mod recordings;
mod trunk;
mod web;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use jiff::civil::Time;
use serde::Deserialize;

use crate::base::{Bilingual, Private};
use crate::campaign::pacing::Limits;
use crate::campaign::{Policy, Terms, Window, schedule};
use crate::config::recordings::RawRecordings;
use crate::config::trunk::RawTrunk;
use crate::config::web::RawWeb;
use crate::notify;
use crate::prompt;
use crate::worker;

pub use self::recordings::{KeySource, RecordingSettings};
pub use self::trunk::TrunkSettings;

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
    /// Questionnaires beside the shipped ones; the first is asked where nobody chooses another.
    pub questionnaires: Vec<PathBuf>,
    /// Sets of rules beside the shipped one.
    pub rules: Vec<PathBuf>,
    /// Rules of release beside the shipped ones.
    pub release_rules: Option<PathBuf>,
    /// How the console is served; without it, there is none.
    pub web: Option<crate::web::Config>,
    /// Where calls are recorded; without it none is.
    pub recordings: Option<RecordingSettings>,
    /// How the road is run.
    pub worker: worker::Config,
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
    #[serde(default)]
    questionnaire: Files,
    #[serde(default)]
    rules: Vec<PathBuf>,
    release_rules: Option<PathBuf>,
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

/// One file, or a list of them.
#[derive(Debug, Default, Deserialize)]
#[serde(from = "OneOrMore")]
struct Files(Vec<PathBuf>);

#[derive(Deserialize)]
#[serde(untagged, expecting = "the name of a file, or a list of names, is expected")]
enum OneOrMore {
    One(PathBuf),
    More(Vec<PathBuf>),
}

impl From<OneOrMore> for Files {
    fn from(files: OneOrMore) -> Self {
        match files {
            OneOrMore::One(file) => Self(vec![file]),
            OneOrMore::More(files) => Self(files),
        }
    }
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
struct RawWebhook {
    url: Private<String>,
    secret: Option<Private<String>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPrompts {
    folder: Option<PathBuf>,
    cache: Option<PathBuf>,
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

fn default_opens_at() -> String {
    "09:00".to_owned()
}

fn default_closes_at() -> String {
    "18:00".to_owned()
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
        let (shown, text) = read(path)?;
        Self::parse(&shown, &text, from_environment)
    }

    /// Like [`Self::load`], but goes on past settings that cannot be meant, and tells them beside
    /// the rest, so that what does not hang on them can be looked at, too. To be checked, never to
    /// be run.
    ///
    /// # Errors
    /// If the file cannot be read or understood at all.
    pub fn survey(path: &Path) -> Result<(Self, Vec<Fault>), ConfigError> {
        let (shown, text) = read(path)?;
        Self::understand(&shown, &text, from_environment)
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
        let (config, faults) = Self::understand(path, text, secret)?;
        if faults.is_empty() {
            Ok(config)
        } else {
            Err(ConfigError::Faults { path: path.to_owned(), faults })
        }
    }

    fn understand(
        path: &str,
        text: &str,
        secret: impl Fn(&str) -> Option<String>,
    ) -> Result<(Self, Vec<Fault>), ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|error| ConfigError::Syntax {
            path: path.to_owned(),
            message: describe(&error, text),
        })?;
        let mut reader = Reader { faults: Vec::new() };
        let config = reader.config(raw, &secret);
        Ok((config, reader.faults))
    }
}

fn read(path: &Path) -> Result<(String, String), ConfigError> {
    let shown = path.display().to_string();
    match fs::read_to_string(path) {
        Ok(text) => Ok((shown, text)),
        Err(source) => Err(ConfigError::Unreadable { path: shown, source }),
    }
}

fn from_environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
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
        let name = raw.trunk.as_ref().map(RawTrunk::called);
        let group = raw.trunk.as_ref().and_then(|trunk| trunk.group.clone());
        let trunk = raw.trunk.and_then(|trunk| self.trunk(trunk, secret));
        let webhook = raw.webhook.and_then(|webhook| self.webhook(webhook, secret));
        let recordings = raw
            .recordings
            .and_then(|recordings| self.recordings(recordings, raw.database.expose(), secret));
        let web = raw.web.and_then(|web| self.web(web, secret));
        let mut worker = self.worker(raw.node, &raw.calls, lines, calls_per_second);
        worker.trunk = name.unwrap_or(worker.trunk);
        worker.trunk_group = group;
        Config {
            database: raw.database,
            health_centers,
            trunk,
            webhook,
            prompts: prompt::Config {
                folder: raw.prompts.folder,
                cache: raw.prompts.cache.or_else(default_cache),
            },
            questionnaires: raw.questionnaire.0,
            rules: raw.rules,
            release_rules: raw.release_rules,
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

    pub(super) const WHOLE: &str = r#"
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

    pub(super) fn environment(name: &str) -> Option<String> {
        let secret = |text: &str| Some(format!("hidden {text} of more than 24 bytes"));
        match name {
            "MIMAMORI_TRUNK_PASSWORD" => secret("password"),
            "MIMAMORI_WEBHOOK_SECRET" => secret("secret"),
            _ => None,
        }
    }

    pub(super) fn faults(text: &str) -> String {
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
    fn what_is_right_can_be_looked_at_beside_what_is_wrong() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let text = format!("{WHOLE}\n[calls]\nattempts = 0\n");
        let (config, faults) = Config::understand("m.toml", &text, environment).unwrap();
        let settings: Vec<&str> = faults.iter().map(|fault| fault.setting.as_str()).collect();
        assert_eq!(settings, ["calls.attempts"]);
        assert!(config.trunk.is_some() && config.webhook.is_some());
        assert_eq!(config.health_centers.len(), 1);
    }

    #[test]
    fn a_trunk_has_a_name_and_may_be_in_a_group() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let read = |more: &str| {
            let text = WHOLE.replace("lines = 4", &format!("lines = 4\n{more}"));
            let config = Config::parse("m.toml", &text, environment).unwrap();
            let (worker, trunk) = (config.worker, config.trunk.unwrap().trunk);
            assert_eq!(worker.trunk, trunk.name, "its calls and its state bear one name");
            (worker.trunk, worker.trunk_group)
        };
        let server = "sip.example.jp:5070, sip2.example.jp";
        assert_eq!(read(""), (server.to_owned(), None));
        let expected = ("ntt".to_owned(), Some("city".to_owned()));
        assert_eq!(read("name = \"ntt\"\ngroup = \"city\""), expected);
        let text = WHOLE.replace("lines = 4", "group = \"two words\"");
        let told = Config::parse("m.toml", &text, environment).unwrap_err().to_string();
        assert!(told.contains("trunk.group: 空白"), "{told}");
    }

    #[test]
    fn one_questionnaire_or_several_are_named() {
        let _ = rustls::crypto::ring::default_provider().install_default();
        for (setting, expected) in [
            ("", &[][..]),
            ("questionnaire = \"own.toml\"\n", &["own.toml"]),
            ("questionnaire = [\"new.toml\", \"old.toml\"]\n", &["new.toml", "old.toml"]),
        ] {
            let config = Config::parse("m.toml", &format!("{setting}{WHOLE}"), environment);
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(config.unwrap().questionnaires, expected, "{setting}");
        }
        let wrong = faults("questionnaire = 2");
        assert!(wrong.contains("a list of names, is expected"), "{wrong}");
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
}
