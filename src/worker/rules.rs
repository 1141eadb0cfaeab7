//! The rules by which a centre's patients are judged: those that their campaign names, or else the
//! centre's own, if it has released any, or those of the configuration.

use anyhow::Context;
use jiff::civil::Date;
use tracing::error;

use crate::base::id::HealthCenterId;
use crate::escalation::RuleSet;
use crate::store::StoreError;
use crate::worker::Road;

/// The rules by which a centre's patients are judged on a day: those that the terms of their campaign
/// name, or else those that are in force.
///
/// # Errors
/// If the store is away, or there are none at all.
pub(super) async fn in_force<C>(
    road: &Road<C>,
    center: HealthCenterId,
    day: Date,
    named: Option<&str>,
) -> anyhow::Result<RuleSet> {
    if let Some(version) = named {
        let own = road.store.rules_of_version(center, version, day).await;
        if let Some(own) = readable(center, own)? {
            return Ok(own);
        }
        let shipped = road.rules.version(version).filter(|set| set.effective_from <= day);
        if let Some(set) = shipped {
            return Ok(set.clone());
        }
        // Withdrawn, or of a file that is gone. Whoever answers must be judged all the same; each fact
        // names the set that made it, and the console shows what is missing.
        error!(%center, version, "the rules that a campaign names are not there: {version}");
    }
    if let Some(own) = readable(center, road.store.rules_in_force(center, day).await)? {
        return Ok(own);
    }
    let rules = road.rules.effective_on(day);
    rules.cloned().with_context(|| format!("no rules are in force on {day}"))
}

/// A set of the centre's own, unless nobody can read it: that must not keep patients from being judged
/// at all.
fn readable(
    center: HealthCenterId,
    read: Result<Option<RuleSet>, StoreError>,
) -> Result<Option<RuleSet>, StoreError> {
    match read {
        Err(fault @ StoreError::Corrupt { .. }) => {
            error!(%center, "the centre's own rules are not used: {fault}");
            Ok(None)
        }
        read => read,
    }
}
