//! Episodes → slots → attempts that are due.

use std::time::{Duration, Instant};

use jiff::civil::{Date, Time};
use tracing::{debug, info};

use crate::base::Now;
use crate::base::clock::timestamp;
use crate::base::id::CampaignId;
use crate::campaign::plan::{OpenSlot, plan};
use crate::campaign::{Book, InForce, Terms};
use crate::worker::{Road, Turn};

/// Patients may be enrolled at any moment, by any process: it is cheap to see that none was.
const LOOK_FOR_PATIENTS_EVERY: Duration = Duration::from_secs(30);

/// Whatever the mark says, all are looked at so often.
const LOOK_AT_ALL_EVERY: Duration = Duration::from_mins(30);

/// Slots that are planned in one turn.
const BATCH: u32 = 1024;

/// What the step remembers between its turns. Forgetting it costs a few needless queries.
#[derive(Default)]
pub(super) struct Memory {
    looked: Option<Instant>,
    opened: Option<Opened>,
    /// The day to which 健康状態一覧 was moved.
    listed: Option<Date>,
}

/// For whom the slots of a day were opened.
struct Opened {
    day: Date,
    at: Instant,
    /// Who was under observation ([`Store::observed_mark`](crate::store::Store::observed_mark)), and
    /// by which terms.
    mark: String,
}

/// Opens today's slots, plans the attempts of those that are due, closes those that are over.
pub(super) async fn turn<C>(road: &Road<C>, now: Now, memory: &mut Memory) -> anyhow::Result<Turn> {
    let started = road.store.start_campaigns(now.timestamp).await?;
    if started > 0 {
        info!(campaigns = started, "{started} campaigns started");
    }
    let book = road.store.campaigns(now.timestamp).await?;
    let opened = open_slots(road, now, &book, memory).await?;
    // The list of a day is made with the slots of that day.
    if memory.listed != Some(now.date()) {
        road.store.roll_health(now.timestamp).await?;
        memory.listed = Some(now.date());
    }
    let mut next = road.store.next_slot_change(now.timestamp).await?;
    let mut expired = 0;
    if next.is_some_and(|at| at <= now.timestamp) {
        expired = road.store.expire_slots(now.timestamp).await?.len();
        next = road.store.next_slot_change(now.timestamp).await?;
    }
    let midnight = now.date().tomorrow().map(|date| timestamp(date.to_datetime(Time::midnight())));
    let next = next.into_iter().chain(midnight.ok()).min();

    let mut slots = road.store.slots_to_plan(now.timestamp, &book, BATCH).await?;
    for held in slots.extract_if(.., |one| one.is_held) {
        road.store.skip_held_slot(now.timestamp, held.slot.id).await?;
        expired += 1;
    }
    if slots.is_empty() {
        return Ok(Turn { done: opened + expired, more: false, next });
    }
    let mut in_use = road.store.phones_in_use(now.timestamp).await?;
    let terms: Vec<InForce> =
        slots.iter().map(|one| book.of_slot(one.slot.campaign, &road.config.terms)).collect();
    let open: Vec<OpenSlot<'_>> = slots
        .iter()
        .zip(&terms)
        .map(|(one, terms)| OpenSlot {
            slot: &one.slot,
            attempts: &one.attempts,
            phones: one.patient.callable(),
            window: book.window(terms, &one.health_center, now.timestamp),
            emergency_at: one.emergency_at,
            terms,
            held: one.arrangement.held(),
        })
        .collect();
    // Calls of campaigns that are bound to trunks of another group wait for these: they must not
    // take the places of those that can be placed here.
    let is_elsewhere =
        |terms: &Terms| terms.trunk_group.is_some() && terms.trunk_group != road.config.trunk_group;
    let elsewhere: Vec<CampaignId> = book
        .campaigns()
        .filter(|one| one.version.as_ref().is_some_and(|it| is_elsewhere(&it.terms)))
        .map(|one| one.id)
        .collect();
    let waits_elsewhere = match &elsewhere[..] {
        [] => 0,
        some => road.store.in_hand(now.timestamp, some).await?,
    };
    // Enough that no line is ever idle, few enough that an urgent retry need not queue for long:
    // as many attempts wait as calls can be made at once. The end of a call brings the next turn.
    let capacity = road.config.limits.calls_at_once.saturating_mul(2);
    let (there, here): (Vec<_>, Vec<_>) =
        open.into_iter().partition(|one| is_elsewhere(&one.terms.terms));
    let busy_here = in_use.busy.len().saturating_sub(waits_elsewhere);
    let mut made = plan(now.timestamp, &here, &in_use, capacity.saturating_sub(busy_here));
    // A household may have members on both sides.
    in_use.busy.extend(made.attempts.iter().map(|one| one.phone.clone()));
    let other = plan(now.timestamp, &there, &in_use, capacity.saturating_sub(waits_elsewhere));
    made.attempts.extend(other.attempts);
    made.closings.extend(other.closings);
    for planned in &made.attempts {
        road.store.add_attempt(now.timestamp, planned).await?;
    }
    for closing in &made.closings {
        let reason = closing.reason.as_str();
        info!(slot = %closing.slot, state = closing.state.as_str(), reason, "slot {} closed", closing.slot);
        road.store.close_slot(now.timestamp, closing.slot, closing.state, Some(reason)).await?;
    }
    let done = opened + expired + made.attempts.len() + made.closings.len();
    Ok(Turn { done, more: false, next })
}

async fn open_slots<C>(
    road: &Road<C>,
    now: Now,
    book: &Book,
    memory: &mut Memory,
) -> anyhow::Result<usize> {
    let today = now.date();
    let passed = |since: Instant| now.instant.saturating_duration_since(since);
    if memory.opened.as_ref().is_some_and(|opened| opened.day == today)
        && memory.looked.is_some_and(|at| passed(at) < LOOK_FOR_PATIENTS_EVERY)
    {
        return Ok(0);
    }
    memory.looked = Some(now.instant);
    let mark = format!("{} {}", road.store.observed_mark().await?, book.mark());
    let is_done = |opened: &Opened| {
        opened.day == today && opened.mark == mark && passed(opened.at) < LOOK_AT_ALL_EVERY
    };
    if memory.opened.as_ref().is_some_and(is_done) {
        return Ok(0);
    }
    let slots: Vec<_> = road
        .store
        .episodes_on(today)
        .await?
        .iter()
        .flat_map(|one| book.slots_on(today, &one.episode, &one.health_center, &road.config.terms))
        // Who is enrolled in the afternoon is not late for the morning.
        .filter(|slot| slot.due_to > now.timestamp)
        .collect();
    let opened = road.store.open_slots(now.timestamp, &slots).await?;
    if opened > 0 {
        debug!(opened, date = %today, "{opened} slots opened");
    }
    memory.opened = Some(Opened { day: today, at: now.instant, mark });
    Ok(opened as usize)
}
