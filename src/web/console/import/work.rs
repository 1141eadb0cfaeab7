//! What goes on after "take it over": row by row, beside everything else that the service does.
//!
//! Each row is a transaction of its own. When the service stops in the middle, the list stays half
//! taken over, says so, and can be gone on with.

use std::time::Duration;

use anyhow::Context;
use tokio::time::sleep;
use tracing::{info, warn};

use crate::base::id::ImportBatchId;
use crate::registry::import::PatientDraft;
use crate::registry::import::read_as;
use crate::registry::{AuditEntry, Scope};
use crate::store::{StoreError, Within};
use crate::web::Desk;

/// How long to wait for a database that is away, and how often.
const PAUSE: Duration = Duration::from_secs(1);
const PATIENCE: u32 = 60;

/// Rows that are fetched at a time to take them back.
const BATCH: u32 = 100;

/// Takes a list over.
pub(super) async fn take_over(desk: Desk, scope: Scope, id: ImportBatchId, entry: AuditEntry) {
    match take_rows(&desk, scope, id, entry).await {
        Ok(n_rows) => info!(import = %id, n_rows, "import {id}: {n_rows} rows were taken over"),
        Err(error) => warn!(import = %id, "import {id} broke off: {error:#}"),
    }
}

async fn take_rows(
    desk: &Desk,
    scope: Scope,
    id: ImportBatchId,
    entry: AuditEntry,
) -> anyhow::Result<usize> {
    let within = desk.store.within(scope);
    let list = within.import(id).await?;
    let content = within.import_content(id).await?.context("its content is gone")?;
    let reading = within.import_reading(id).await?;
    let read_on = list.read_on;
    let import = tokio::task::spawn_blocking(move || read_as(&content, read_on, &reading)).await?;
    let mut n_rows = 0;
    for row in &import.rows {
        let Ok(draft) = &row.outcome else { continue };
        if list.left_out.contains(&row.line) {
            continue;
        }
        take_row(desk, within, id, row.line, draft).await?;
        n_rows += 1;
    }
    let counts = within.import(id).await?.counts;
    let detail = format!(
        "created {} updated {} unchanged {} refused {}",
        counts.created,
        counts.updated,
        counts.unchanged,
        list.refused + counts.refused
    );
    within.finish_import(desk.clock.now().timestamp, id, &AuditEntry { detail, ..entry }).await?;
    Ok(n_rows)
}

async fn take_row(
    desk: &Desk,
    within: Within<'_>,
    id: ImportBatchId,
    line: usize,
    draft: &PatientDraft,
) -> Result<(), StoreError> {
    for _ in 0..PATIENCE {
        let now = desk.clock.now().timestamp;
        match within.import_row(now, id, line, draft).await {
            Err(error) if error.may_retry() => sleep(PAUSE).await,
            // Somebody else works on the list.
            Err(error @ StoreError::Stale { .. }) => return Err(error),
            // A row that the store refuses does not stop the others.
            Err(_) => return within.refuse_row(now, id, line, draft).await,
            Ok(()) => return Ok(()),
        }
    }
    Err(StoreError::Unavailable { reason: "for a minute".to_owned() })
}

/// Takes a list back.
pub(super) async fn take_back(desk: Desk, scope: Scope, id: ImportBatchId, entry: AuditEntry) {
    match undo_rows(&desk, scope, id, entry).await {
        Ok(()) => info!(import = %id, "import {id} was taken back"),
        Err(error) => warn!(import = %id, "taking import {id} back broke off: {error:#}"),
    }
}

async fn undo_rows(
    desk: &Desk,
    scope: Scope,
    id: ImportBatchId,
    entry: AuditEntry,
) -> anyhow::Result<()> {
    let within = desk.store.within(scope);
    loop {
        let lines = within.lines_to_undo(id, BATCH).await?;
        if lines.is_empty() {
            break;
        }
        for line in lines {
            within.undo_row(desk.clock.now().timestamp, id, line).await?;
        }
    }
    let counts = within.import(id).await?.counts;
    let detail = format!(
        "deleted {} restored {} ended {} left {}",
        counts.deleted, counts.restored, counts.ended, counts.left
    );
    within.finish_undo(desk.clock.now().timestamp, id, &AuditEntry { detail, ..entry }).await?;
    Ok(())
}
