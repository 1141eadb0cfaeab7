//! The rules by which a centre's patients are judged: its own, if it has released any, or those of
//! the configuration.

use anyhow::Context;
use jiff::civil::Date;
use tracing::error;

use crate::base::id::HealthCenterId;
use crate::escalation::RuleSet;
use crate::store::StoreError;
use crate::worker::Road;

/// The rules in force for a centre on a day.
///
/// # Errors
/// If the store is away, or there are none at all.
pub(super) async fn in_force<C>(
    road: &Road<C>,
    center: HealthCenterId,
    day: Date,
) -> anyhow::Result<RuleSet> {
    match road.store.rules_in_force(center, day).await {
        Ok(Some(own)) => return Ok(own),
        Ok(None) => {}
        // A set that nobody can read must not keep patients from being judged at all.
        Err(fault @ StoreError::Corrupt { .. }) => {
            error!(%center, "the centre's own rules are not used: {fault}");
        }
        Err(fault) => return Err(fault.into()),
    }
    let rules = road.rules.effective_on(day);
    rules.cloned().with_context(|| format!("no rules are in force on {day}"))
}
