//! Recordings of calls that are over → kept or not; the kept ones into the archive, until their
//! time is over.
//!
//! No call waits for this step: while the archive is away, recordings stay in the spool, sealed.

use std::time::Duration;

use anyhow::Context;
use jiff::Timestamp;
use tracing::{error, info, warn};

use crate::base::Now;
use crate::escalation::case::FactSource;
use crate::escalation::{Fact, Priority};
use crate::recording::{Archive, ArchiveError};
use crate::store::{Evaluated, Judged, StoreError};
use crate::tape::policy::{Facts, Verdict, is_sample, verdict};
use crate::tape::{Deleted, Kept, Recording};
use crate::worker::{Recordings, Road, Turn};

/// How long to leave an archive alone that did not answer.
const PAUSE: Duration = Duration::from_secs(30);

/// What is remembered between turns.
#[derive(Default)]
pub(super) struct Memory {
    /// The archive did not answer; it is asked again then.
    away_until: Option<Timestamp>,
}

/// Takes over what this node's earlier life left in the spool. Never an error: calls are worth
/// more than their recordings.
pub(super) async fn at_start<C>(road: &Road<C>, now: Now) {
    let Some(recordings) = &road.recordings else { return };
    if let Err(error) = take_over(road, &recordings.archive, now).await {
        error!("recordings that a crash left behind wait for the next start: {error:#}");
    }
}

async fn take_over<C>(road: &Road<C>, archive: &Archive, now: Now) -> anyhow::Result<()> {
    for left in road.store.recordings_left(&road.config.node).await? {
        match archive.mend(&left) {
            Ok(Some(samples)) => {
                warn!(recording = %left.id, samples, "recording {} was interrupted", left.id);
                road.store.finish_recording(now.timestamp, left.id, samples, 0).await?;
            }
            Ok(None) => {
                archive.forget_spooled(left.id)?;
                road.store.recording_deleted(now.timestamp, left.id, Deleted::Empty).await?;
            }
            // It stays for whoever brings the disk or the key back.
            Err(error) => error!(recording = %left.id, "cannot take a recording over: {error}"),
        }
    }
    // The call began, and the store never heard of its recording.
    for id in archive.spooled()? {
        if let Err(StoreError::NotFound { .. }) = road.store.recording(id).await {
            archive.forget_spooled(id)?;
        }
    }
    Ok(())
}

/// Decides, stores and deletes what is due.
pub(super) async fn turn<C>(road: &Road<C>, now: Now, memory: &mut Memory) -> anyhow::Result<Turn> {
    let Some(recordings) = &road.recordings else { return Ok(Turn::idle()) };
    let mut done = judge(road, recordings, now).await?;
    if memory.away_until.is_none_or(|until| until <= now.timestamp) {
        match store(road, recordings, now).await {
            Ok(stored) => {
                if memory.away_until.take().is_some() {
                    info!("the archive of recordings answers again");
                }
                done += stored;
            }
            Err(error) => {
                if memory.away_until.is_none() {
                    error!("recordings wait in the spool: {error:#}");
                }
                memory.away_until = Some(now.timestamp + PAUSE);
            }
        }
        if memory.away_until.is_none() {
            done += expire(road, recordings, now).await?;
        }
    }
    let expiry = road.store.next_expiry().await?.filter(|at| *at > now.timestamp);
    let next = expiry.into_iter().chain(memory.away_until).min();
    Ok(Turn { done, more: false, next })
}

/// Decides which of the recordings in the spool stay.
async fn judge<C>(road: &Road<C>, recordings: &Recordings, now: Now) -> anyhow::Result<usize> {
    let mut done = 0;
    for Judged { recording, escalated, judged } in
        road.store.recordings_to_judge(&road.config.node).await?
    {
        if recording.samples == Some(0) {
            delete(road, recordings, now, &recording, Deleted::Empty).await?;
            done += 1;
            continue;
        }
        let keep = recording.policy.keep;
        let facts = Facts {
            escalated,
            judged,
            has_message: recording.message.is_some(),
            sampled: is_sample(recording.attempt, keep.sample_percent()),
        };
        match verdict(keep, recording.scope, facts) {
            Verdict::Wait => continue,
            Verdict::Drop => delete(road, recordings, now, &recording, Deleted::NotKept).await?,
            Verdict::Keep(because) => {
                if because == Kept::Message {
                    ask_to_listen(road, now, &recording).await?;
                }
                let until = recording.started_at + recording.policy.retention();
                road.store.keep_recording(recording.id, because, until).await?;
            }
        }
        done += 1;
    }
    Ok(done)
}

/// Puts it on the patient's case that somebody must hear what was said. Again, it changes nothing.
async fn ask_to_listen<C>(road: &Road<C>, now: Now, recording: &Recording) -> anyhow::Result<()> {
    let Some(message) = &recording.message else { return Ok(()) };
    let rules = road.rules.effective_on(now.date()).context("no rules are in force")?;
    let seconds = message.to.saturating_sub(message.from).as_secs().max(1);
    let fact = Fact {
        rule: "message".to_owned(),
        rule_set: rules.version.clone(),
        priority: Priority::P3,
        text: format!("伝言があります({seconds} 秒)。録音を聞いてください"),
        at: recording.started_at + message.from,
        source: FactSource::Attempt(recording.attempt),
    };
    road.store.add_facts(now.timestamp, recording.patient, &[fact], &Evaluated::default()).await?;
    Ok(())
}

/// Takes what stays into the archive.
async fn store<C>(road: &Road<C>, recordings: &Recordings, now: Now) -> anyhow::Result<usize> {
    let mut done = 0;
    for recording in road.store.recordings_to_store(&road.config.node).await? {
        match recordings.archive.store(&recording).await {
            Ok(stored) => {
                road.store
                    .recording_stored(
                        now.timestamp,
                        recording.id,
                        stored.sealed_bytes,
                        &stored.sha256,
                    )
                    .await?;
                recordings.archive.forget_spooled(recording.id)?;
            }
            Err(ArchiveError::Missing | ArchiveError::Elsewhere { .. }) => {
                error!(recording = %recording.id, "the sound of a recording is lost");
                road.store.recording_deleted(now.timestamp, recording.id, Deleted::Lost).await?;
            }
            Err(error @ ArchiveError::Sealed { .. }) => {
                // Others may be in order.
                error!(recording = %recording.id, "a recording cannot be stored: {error}");
                continue;
            }
            Err(error) => return Err(error.into()),
        }
        done += 1;
    }
    Ok(done)
}

/// Deletes what has been kept for long enough.
async fn expire<C>(road: &Road<C>, recordings: &Recordings, now: Now) -> anyhow::Result<usize> {
    let due = road.store.recordings_to_delete(now.timestamp, &road.config.node).await?;
    for (recording, because) in &due {
        delete(road, recordings, now, recording, *because).await?;
    }
    Ok(due.len())
}

async fn delete<C>(
    road: &Road<C>,
    recordings: &Recordings,
    now: Now,
    recording: &Recording,
    because: Deleted,
) -> anyhow::Result<()> {
    // First the sound, then its row: what is said to be deleted is deleted. Sound that was never
    // stored is in the spool alone, whatever the archive does.
    match recording.state {
        crate::tape::State::Stored => recordings.archive.delete(recording).await?,
        _ => recordings.archive.forget_spooled(recording.id)?,
    }
    match road.store.recording_deleted(now.timestamp, recording.id, because).await {
        // Another node was faster.
        Ok(()) | Err(StoreError::NotFound { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    info!(recording = %recording.id, because = because.as_str(), "recording {} was deleted", recording.id);
    Ok(())
}
