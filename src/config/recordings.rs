//! The settings of recordings: which calls are kept, for how long, where, and under which key.

use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::base::Private;
use crate::config::Reader;
use crate::recording;
use crate::recording::MasterKey;
use crate::tape;

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

#[derive(Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRecordings {
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

impl Reader {
    pub(super) fn recordings(
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use crate::config::tests::{WHOLE, environment};

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
}
