//! What the page and the API have in common about releases: the rules of the day, and the farewell.

use jiff::Timestamp;

use crate::base::clock::civil;
use crate::base::id::PatientId;
use crate::campaign::NewSlot;
use crate::release::ReleaseRules;
use crate::store::{StoreError, Within};
use crate::web::Desk;
use crate::web::fault::Fault;

/// The rules of the day.
pub(super) fn rules(desk: &Desk, now: Timestamp) -> Result<&ReleaseRules, Fault> {
    desk.release_rules.effective_on(civil(now).date()).ok_or(Fault::NotFound)
}

/// When a patient is told by telephone that it is over; `None` for one whom no machine may call.
pub(super) async fn farewell(
    desk: &Desk,
    within: &Within<'_>,
    now: Timestamp,
    patient: PatientId,
) -> Result<Option<NewSlot>, StoreError> {
    let today = civil(now).date();
    let plan = within.care_plan(patient, (today, today)).await?;
    let Some((episode, true)) = &plan.episode else { return Ok(None) };
    let book = desk.store.campaigns(now).await?;
    Ok(book.farewell(now, episode, &plan.health_center, &desk.terms))
}
