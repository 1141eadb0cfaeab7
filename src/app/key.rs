//! The key that seals what the database must not tell by itself: from the configuration, the
//! environment, or a file beside the database that only its owner can read.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::base::Private;
use crate::config::Config;

/// Completes the configuration of the console with its key, and makes the file if it is missing.
///
/// # Errors
/// If the file cannot be read or made, or others can read it.
pub(super) fn complete(config: &mut Config) -> anyhow::Result<()> {
    let Some(web) = config.web.as_mut().filter(|web| web.key.is_none()) else { return Ok(()) };
    let Some(path) = beside(config.database.expose()) else {
        bail!(
            "PostgreSQL を使うときは [web] key か環境変数 MIMAMORI_WEB_KEY が要ります(例: openssl rand -base64 32) / \
             with PostgreSQL, [web] key or MIMAMORI_WEB_KEY is needed (for instance openssl rand -base64 32)"
        );
    };
    web.key = Some(read_or_make(&path)?);
    Ok(())
}

/// The file beside a database of SQLite.
fn beside(database: &str) -> Option<PathBuf> {
    if database.starts_with("postgres://") || database.starts_with("postgresql://") {
        return None;
    }
    let file = database.strip_prefix("sqlite:").unwrap_or(database);
    let file = file.strip_prefix("//").unwrap_or(file);
    Some(PathBuf::from(format!("{file}.key")))
}

fn read_or_make(path: &Path) -> anyhow::Result<Private<[u8; 32]>> {
    let shown = path.display();
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    match made {
        Ok(mut file) => {
            let key = super::seed()?;
            writeln!(file, "{}", BASE64_STANDARD.encode(key))
                .and_then(|()| file.sync_all())
                .with_context(|| {
                    format!("鍵 {shown} を書けません / cannot write the key {shown}")
                })?;
            Ok(key.into())
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode();
            if mode & 0o077 != 0 {
                bail!(
                    "鍵 {shown} を他の人も読めます(chmod 600) / others can read the key {shown}: chmod 600"
                );
            }
            let text = fs::read_to_string(path).with_context(|| {
                format!("鍵 {shown} を読めません / cannot read the key {shown}")
            })?;
            let bytes = BASE64_STANDARD.decode(text.trim()).ok();
            let key = bytes.and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
            Ok(key.with_context(|| format!("{shown} に鍵がありません / holds no key"))?.into())
        }
        Err(error) => Err(error)
            .with_context(|| format!("鍵 {shown} を作れません / cannot make the key {shown}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.db.key");
        let key = read_or_make(&path).unwrap();
        assert_eq!(read_or_make(&path).unwrap(), key);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(read_or_make(&path).is_err(), "others can read it");
    }

    #[test]
    fn it_lies_beside_a_file_and_nowhere_else() {
        for (database, expected) in [
            ("m.db", Some("m.db.key")),
            ("sqlite:///var/lib/m.db", Some("/var/lib/m.db.key")),
            ("postgres://m@db/m", None),
        ] {
            assert_eq!(beside(database), expected.map(PathBuf::from), "{database}");
        }
    }
}
