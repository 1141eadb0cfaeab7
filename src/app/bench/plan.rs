//! `mimamori bench --plan`: how fast the next day is planned for everybody, and how fast the next
//! attempts are claimed beside millions of slots that are over.

use std::io::{Write, stdout};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, ensure};
use jiff::civil::{Date, Time, time};
use jiff::{Timestamp, ToSpan};
use tokio::time::Instant;

use crate::app::bench::{Place, center, print};
use crate::app::{clock, open_store};
use crate::base::Private;
use crate::base::clock::timestamp;
use crate::call::{Disposition, Timeline};
use crate::campaign::plan::Precedence;
use crate::campaign::{PlannedAttempt, SlotState, Terms};
use crate::ivr::Questionnaires;
use crate::store::{Claimant, Outcome, Store};

/// Claims that are timed.
const CLAIMS: u32 = 300;

/// Fills the database unless it was filled before, plans the day after the last that was planned,
/// and claims.
pub(super) async fn run(
    database: Option<&Private<String>>,
    patients: u32,
    past_days: u32,
) -> anyhow::Result<()> {
    let place = Place::new(database)?;
    let mut out = stdout();
    let store = open_store(&place.database).await?;
    let now = clock::host().now();
    if store.health_center("bench").await?.is_none() {
        fill(&store, now.timestamp, patients, past_days).await?;
    }
    let day = unplanned(&store, now.date()).await?;
    let terms = Arc::new(Terms::shipped());
    let midnight = timestamp(day.to_datetime(Time::midnight()));

    let began = Instant::now();
    let book = store.campaigns(midnight).await?;
    let observed = store.episodes_on(day).await?;
    let read = began.elapsed();
    let slots: Vec<_> = observed
        .iter()
        .flat_map(|one| book.slots_on(day, &one.episode, &one.health_center, &terms))
        .collect();
    let opened = store.open_slots(midnight, &slots).await?;
    let (whole, people) = (began.elapsed(), observed.len());
    writeln!(
        out,
        "{day} の計画: {people} 人、{opened} 枠を {:.1} 秒(うち読み込み {:.1} 秒) / \
         planned {opened} slots of {people} patients in {:.1} s, {:.1} s of it reading",
        whole.as_secs_f64(),
        read.as_secs_f64(),
        whole.as_secs_f64(),
        read.as_secs_f64()
    )?;
    writeln!(out, "{:<44} {:>8} {:>8}", "what", "p50 ms", "p95 ms")?;
    let mut times = Vec::new();
    for _ in 0..100 {
        let began = Instant::now();
        store.observed_mark().await?;
        times.push(began.elapsed());
    }
    print(&mut out, "to see that nobody was enrolled", times, None)?;

    let nine = timestamp(day.to_datetime(time(9, 0, 0, 0)));
    let mut times = Vec::new();
    let mut due = Vec::new();
    for _ in 0..20 {
        let began = Instant::now();
        due = store.slots_to_plan(nine, &book, CLAIMS).await?;
        times.push(began.elapsed());
    }
    print(&mut out, "due slots, 300 at a time", times, None)?;
    ensure!(due.len() == CLAIMS as usize, "{} of {CLAIMS} slots are due", due.len());
    let mut times = Vec::new();
    for one in &due {
        let planned = PlannedAttempt {
            slot: one.slot.id,
            number: 1,
            phone: one.patient.phones.first().context("everybody has one")?.number.clone(),
            due_at: nine,
            campaign: None,
            priority: Precedence::First,
        };
        let began = Instant::now();
        store.add_attempt(nine, &planned).await?;
        times.push(began.elapsed());
    }
    print(&mut out, "to add an attempt", times, None)?;
    claim(&store, &mut out, nine).await?;
    store.close().await;
    Ok(())
}

/// Claims one attempt after the other, and ends each.
async fn claim(store: &Store, out: &mut impl Write, now: Timestamp) -> anyhow::Result<()> {
    let claimant = Claimant {
        node: "bench".to_owned(),
        lease: Duration::from_mins(1),
        grace: Duration::from_hours(3),
        only: None,
        trunk: "main".to_owned(),
        trunk_group: None,
        questionnaires: Questionnaires::shipped().keys().clone(),
    };
    let (mut times, mut ends) = (Vec::new(), Vec::new());
    for _ in 0..CLAIMS {
        let began = Instant::now();
        let claims = store.claim_due(now, &claimant, 1).await?;
        times.push(began.elapsed());
        let claim = claims.first().context("nothing is due any more")?;
        let outcome = Outcome {
            disposition: Disposition::NoAnswer,
            code: Some(480),
            respondent: None,
            completion: None,
            timeline: Timeline { ended: Some(now), ..Timeline::default() },
            slot_after: SlotState::Unreached,
        };
        let began = Instant::now();
        store.finish_attempt(now, claim.attempt.id, &outcome).await?;
        ends.push(began.elapsed());
    }
    print(out, "to claim the next attempt", times, None)?;
    print(out, "to store how it ended", ends, None)
}

async fn fill(store: &Store, now: Timestamp, patients: u32, days: u32) -> anyhow::Result<()> {
    let mut out = stdout();
    let center = store.save_health_center(now, &center(store.mint(now))).await?;
    let began = Instant::now();
    store
        .invent_past(now, center, (patients, days), |what| {
            // What cannot be printed is not worth ending for.
            let _ = writeln!(out, "作成中 / inventing {what}");
        })
        .await?;
    let (seconds, slots) =
        (began.elapsed().as_secs_f64(), u64::from(patients) * u64::from(days) * 4);
    writeln!(
        out,
        "過ぎた {slots} 枠を {seconds:.0} 秒で作りました / {slots} past slots in {seconds:.0} s"
    )?;
    Ok(())
}

/// The first day from tomorrow on that no run has planned yet.
async fn unplanned(store: &Store, today: Date) -> anyhow::Result<Date> {
    for day in today.tomorrow()?.series(1.day()).take(29) {
        if store.episodes_on(day).await?.is_empty() {
            break;
        }
        if !store.has_slots(day).await? {
            return Ok(day);
        }
    }
    anyhow::bail!(
        "この後の日はすべて計画済みです / all days to come are planned; take a new database"
    )
}
