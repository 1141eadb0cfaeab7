//! `mimamori audit`: follows the chain of events, and takes it out of the system.

use std::io::{IsTerminal, Write, stderr, stdout};
use std::process::ExitCode;

use clap::{Args, Subcommand};

use crate::app::{Configured, clock, open_store};
use crate::registry::{Actor, AuditEntry, Reach};
use crate::store::{AuditFilter, Store};
use crate::web::console::audit::{head, line};

/// What is done with the events.
#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    configured: Configured,
    #[command(subcommand)]
    action: Action,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Action {
    /// 改ざんの有無を確かめる。終了コード 1 は改ざん / Follow the chain; exit code 1 if it is broken
    Verify,
    /// すべての記録を CSV で標準出力へ書き出す / Write all events to the standard output, as CSV
    Export,
}

/// Events read at once.
const STRIDE: u32 = 1000;

/// Does it.
pub(super) async fn run(options: Options) -> anyhow::Result<ExitCode> {
    let store = open_store(&options.configured.database_or_configured()?).await?;
    let code = match options.action {
        Action::Verify => verify(&store).await?,
        Action::Export => export(&store).await?,
    };
    store.close().await;
    Ok(code)
}

async fn verify(store: &Store) -> anyhow::Result<ExitCode> {
    let is_watched = stderr().is_terminal();
    let verified = store
        .verify_audit(|count| {
            if is_watched {
                // Whether somebody sees it does not matter to the chain.
                let _ = write!(stderr(), "\r{count}");
            }
        })
        .await?;
    let mut out = stdout();
    if is_watched {
        writeln!(stderr())?;
    }
    let (entry, code) = match verified.fault {
        None => {
            writeln!(
                out,
                "改ざんはありません / whole: {} 件 / events\n末尾のハッシュ / last hash: {}",
                verified.events, verified.head
            )?;
            (format!("whole, {} events", verified.events), ExitCode::SUCCESS)
        }
        Some(fault) => {
            writeln!(
                out,
                "改ざんされています / tampered with: {fault}\n末尾のハッシュ / last hash: {}",
                verified.head
            )?;
            (fault.to_string(), ExitCode::FAILURE)
        }
    };
    store.audit(clock::host().now().timestamp, &by_hand("audit.verified", entry)).await?;
    Ok(code)
}

async fn export(store: &Store) -> anyhow::Result<ExitCode> {
    let entry = by_hand("export.audit", String::new());
    store.audit(clock::host().now().timestamp, &entry).await?;
    let auditing = store.auditing(Reach::Everybody);
    let mut out = stdout().lock();
    out.write_all(head().as_bytes())?;
    let mut filter = AuditFilter::default();
    loop {
        let events = auditing.events_in_order(&filter, STRIDE).await?;
        let Some(last) = events.last() else { break };
        filter.after = Some(last.seq);
        for event in &events {
            out.write_all(line(event).as_bytes())?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn by_hand(action: &'static str, detail: String) -> AuditEntry {
    AuditEntry {
        actor: Actor::CommandLine,
        health_center: None,
        action,
        patient: None,
        object: String::new(),
        detail,
    }
}
