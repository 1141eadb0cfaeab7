//! Attempts that a crash left behind: closed as what they are, never dialled again as the same.

use tracing::warn;

use crate::base::Now;
use crate::store::Interrupted;
use crate::worker::{Road, Turn};

/// Closes what this node's earlier life left under way. Once, before the first claim.
pub(super) async fn at_start<C>(road: &Road<C>, now: Now) -> anyhow::Result<()> {
    report(&road.store.rescue_at_start(now.timestamp, &road.config.node).await?);
    Ok(())
}

/// Closes attempts of any node whose lease ran out.
pub(super) async fn turn<C>(road: &Road<C>, now: Now) -> anyhow::Result<Turn> {
    let next = road.store.next_lease_end().await?;
    // A look needs no lock; most turns find that everybody lives.
    if next.is_none_or(|at| at > now.timestamp) {
        return Ok(Turn { next, ..Turn::idle() });
    }
    let interrupted = road.store.rescue_expired(now.timestamp).await?;
    report(&interrupted);
    Ok(Turn { done: interrupted.len(), more: true, next: None })
}

fn report(interrupted: &[Interrupted]) {
    for Interrupted { attempt, answered, slot_after, .. } in interrupted {
        warn!(
            attempt = %attempt.id,
            answered,
            slot = slot_after.as_str(),
            "attempt {} was interrupted", attempt.id
        );
    }
}
