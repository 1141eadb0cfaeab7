//! `mimamori rekey`: a new key for each centre's recordings from now on.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;

use crate::app::{clock, house, open_store};
use crate::config::Config;
use crate::recording::CenterKey;
use crate::registry::audit::{Actor, AuditEntry};

/// Gives every centre a new key. What the old ones have sealed stays readable.
pub(super) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    let settings = config
        .recordings
        .as_ref()
        .context("設定に [recordings] がありません / the configuration has no [recordings]")?;
    let archive = house::archive(settings)?;
    let store = open_store(&config.database).await?;
    let now = clock::host().now().timestamp;
    for center in store.health_centers().await? {
        let old = store.center_key(center.id).await?;
        let key = CenterKey::random(store.mint(now));
        let sealed = key.seal(archive.master_key());
        store.add_center_key(now, center.id, &sealed, old.map(|old| old.id)).await?;
        let entry = AuditEntry {
            actor: Actor::CommandLine,
            health_center: Some(center.id),
            action: "recording.rekeyed",
            patient: None,
            object: key.id.to_string(),
            detail: String::new(),
        };
        store.audit(now, &entry).await?;
        writeln!(std::io::stdout(), "{}: {}", center.code, key.id)?;
    }
    store.close().await;
    Ok(ExitCode::SUCCESS)
}
