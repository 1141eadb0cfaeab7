//! The settings of the console: where it listens, how people sign in, and for how long.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;

use crate::base::Private;
use crate::config::Reader;
use crate::web;
use crate::web::auth::{SecondFactor, oidc};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawWeb {
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

impl Reader {
    pub(super) fn web(
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
}

#[cfg(test)]
mod tests {
    use crate::config::tests::faults;

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
}
