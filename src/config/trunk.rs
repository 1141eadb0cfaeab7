//! The settings of the link to the carrier.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::Deserialize;

use crate::base::{Codec, PhoneNumber, Private};
use crate::config::Reader;
use crate::trunk::{self, Credentials, Identity, Template};

/// The link to the carrier as it is configured.
#[derive(Clone, Debug)]
pub struct TrunkSettings {
    /// Signalling.
    pub trunk: trunk::Config,
    /// Sound.
    pub media: trunk::media::Config,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawTrunk {
    server: String,
    name: Option<String>,
    pub(super) group: Option<String>,
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
    pub(super) lines: usize,
    #[serde(default = "default_calls_per_second")]
    pub(super) calls_per_second: u32,
}

impl RawTrunk {
    /// What the trunk is called: as its server, unless it has a name.
    pub(super) fn called(&self) -> String {
        self.name.clone().unwrap_or_else(|| self.server.clone())
    }
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

impl Reader {
    pub(super) fn trunk(
        &mut self,
        raw: RawTrunk,
        secret: &impl Fn(&str) -> Option<String>,
    ) -> Option<TrunkSettings> {
        let n_faults = self.faults.len();
        let name = raw.called();
        for (setting, word) in [("trunk.name", Some(&name)), ("trunk.group", raw.group.as_ref())] {
            let is_word = |word: &String| {
                !word.is_empty() && word.chars().count() <= 100 && !word.contains(char::is_control)
            };
            if word.is_some_and(|word| !is_word(word)) {
                self.fault(setting, "1〜100 文字にしてください", "must have 1 to 100 characters");
            }
        }
        if raw.group.as_ref().is_some_and(|group| group.contains(char::is_whitespace)) {
            self.fault(
                "trunk.group",
                "空白を入れないでください(例: city)",
                "must have no blanks (example: city)",
            );
        }
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
            name,
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
