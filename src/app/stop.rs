//! `mimamori stop` and `mimamori resume`: the emergency stop from the command line.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::app::{Configured, clock, open_store};
use crate::base::clock::civil;
use crate::registry::{Actor, AuditEntry};
use crate::store::{Dialing, Store};

/// Why all calls are stopped, or begin again.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    /// 理由(全職員に表示) / The reason, shown to all staff
    #[arg(long, default_value = "")]
    reason: String,
}

/// Who did it, where nobody is signed in.
const BY: &str = "コマンド / command line";

/// Stops all calls of all nodes, or lets them begin again.
pub(super) async fn run(options: Options, is_running: bool) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let now = clock::host().now().timestamp;
    set(&store, now, is_running, &options.reason).await?;
    let dialing = store.dialing().await?;
    let at = civil(dialing.changed_at).strftime("%m/%d %H:%M");
    let words = if dialing.is_running {
        "架電を再開しました / calls begin again"
    } else {
        "すべての架電を止めました。通話中の電話は続きます / \
         all calls are stopped; calls under way go on to their end"
    };
    writeln!(std::io::stdout(), "{at} {words}")?;
    Ok(ExitCode::SUCCESS)
}

/// Writes down whether telephones are called, and in the audit who said so.
pub(super) async fn set(
    store: &Store,
    now: Timestamp,
    is_running: bool,
    reason: &str,
) -> anyhow::Result<()> {
    let entry = AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action: if is_running { "calls.started" } else { "calls.stopped" },
        patient: None,
        object: String::new(),
        detail: reason.to_owned(),
    };
    let dialing = Dialing {
        is_running,
        changed_at: now,
        changed_by: BY.to_owned(),
        reason: reason.to_owned(),
    };
    Ok(store.set_dialing(&dialing, &entry).await?)
}
