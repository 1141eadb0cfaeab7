//! Due attempts → calls, at the pace of the trunk.
//!
//! The claim is committed before anything is sent: after a crash the row says that a call may have
//! been placed, and nobody places it again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use tokio::time::{Instant, sleep_until};
use tracing::{info, warn};

use crate::base::Now;
use crate::base::id::{AttemptId, PatientId};
use crate::call::{Carrier, DialRequest, Ended, Line, LineEvent, Tap};
use crate::campaign::pacing::{Limits, Pacer, Permit};
use crate::store::{Claim, Claimant, Outcome, StoreError};
use crate::worker::{Road, Step};

/// Claims as many due attempts as the pace allows now; of one patient only, if so wanted.
pub(super) async fn turn<C: Carrier>(
    road: &Road<C>,
    now: Now,
    capacity: u32,
    only: Option<PatientId>,
) -> anyhow::Result<Vec<Claim>> {
    if capacity == 0 {
        return Ok(Vec::new());
    }
    let claimant = claimant(road, only);
    Ok(road.store.claim_due(now.timestamp, &claimant, capacity).await?)
}

/// Who claims here.
pub(super) fn claimant<C>(road: &Road<C>, only: Option<PatientId>) -> Claimant {
    Claimant {
        node: road.config.node.clone(),
        lease: road.config.lease,
        grace: road.config.grace,
        only,
        trunk: road.config.trunk.clone(),
        trunk_group: road.config.trunk_group.clone(),
        questionnaires: Arc::clone(road.questionnaires.keys()),
    }
}

/// Keeps calls apart at the moment when they are placed. Claims are paced, too, but one call is
/// made ready faster than another.
pub(super) struct Gate {
    pacer: Mutex<Pacer>,
    /// Speech for one call at a time is made: it uses all cores, and calls often share it.
    speech: Mutex<()>,
}

impl Gate {
    /// A gate with the pace of these limits.
    pub(super) fn new(now: Now, limits: Limits) -> Self {
        let limits = Limits { calls_at_once: usize::MAX, ..limits };
        Self { pacer: Mutex::new(Pacer::new(now.instant, limits)), speech: Mutex::new(()) }
    }

    /// Waits until it is this call's turn to be made ready.
    pub(super) async fn turn_to_speak(&self) -> MutexGuard<'_, ()> {
        self.speech.lock().await
    }

    /// Waits until the next call may be placed.
    pub(super) async fn pass<C>(&self, road: &Road<C>) {
        // Held while waiting: those who come later wait behind.
        let mut pacer = self.pacer.lock().await;
        while let Permit::At(instant) = pacer.poll_permit(road.clock.now().instant) {
            sleep_until(Instant::from_std(instant)).await;
        }
        pacer.release();
    }
}

/// What became of a call that was placed.
pub(super) enum Placed<L> {
    /// It was answered.
    Answered(L),
    /// It was over before anyone answered.
    Over(Ended),
}

/// Places the call, and waits until it is answered or over.
pub(super) async fn place<C: Carrier>(
    road: &Road<C>,
    claim: &Claim,
    tap: Option<Tap>,
) -> Placed<C::Line> {
    let attempt = claim.attempt.id;
    let patient = claim.patient.id;
    road.progress.tell(attempt, patient, Step::Dialing);
    let request = DialRequest {
        callee: claim.attempt.phone.clone(),
        ring_timeout: road.config.ring_timeout,
        label: attempt.to_string(),
        tap,
    };
    let mut line = road.carrier.dial(request).await;
    let mut lease = Lease::new(road);
    loop {
        let event = tokio::select! {
            biased;
            event = line.next_event() => event,
            () = lease.is_due() => {
                if lease.extend(road, claim).await.is_err() {
                    line.hang_up();
                }
                continue;
            }
        };
        let now = road.clock.now();
        match event {
            LineEvent::Ringing => {
                road.progress.tell(attempt, patient, Step::Ringing);
                // Only for those who watch: a call is not given up for it.
                if let Err(error) = road.store.attempt_ringing(now.timestamp, attempt).await {
                    warn!(%attempt, %error, "cannot note that it rings");
                }
            }
            LineEvent::Answered => {
                road.progress.tell(attempt, patient, Step::Answered);
                match road.store.attempt_answered(now.timestamp, attempt).await {
                    // The attempt is no longer ours.
                    Err(StoreError::Stale { .. }) => line.hang_up(),
                    Err(error) => {
                        // The answers will be tried to be stored, and the call ends if they can't.
                        warn!(%attempt, %error, "cannot note that the call was answered");
                        return Placed::Answered(line);
                    }
                    Ok(()) => return Placed::Answered(line),
                }
            }
            LineEvent::Ended(ended) => return Placed::Over(ended),
            // Nothing counts before the answer.
            LineEvent::Digit(_) | LineEvent::PlayEnded | LineEvent::Heard(_) => {}
        }
    }
}

/// Stores what is known here only: while the store is away, again and again.
///
/// # Errors
/// What trying again does not mend.
pub(super) async fn stored<T, F: Future<Output = Result<T, StoreError>>>(
    attempt: AttemptId,
    mut store: impl FnMut() -> F,
) -> Result<T, StoreError> {
    loop {
        match store().await {
            Err(error) if error.may_retry() => {
                warn!(%attempt, %error, "what a call came to cannot be stored yet");
            }
            done => return done,
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// Stores how the attempt ended: what the patient heard and said is known here only.
pub(super) async fn finish<C: Carrier>(road: &Road<C>, claim: &Claim, outcome: &Outcome) {
    let attempt = claim.attempt.id;
    let finish = || {
        let now = road.clock.now().timestamp;
        road.store.finish_attempt(now, attempt, outcome)
    };
    if let Err(error) = stored(attempt, finish).await {
        warn!(%attempt, %error, "cannot store how the attempt ended");
    }
    let disposition = outcome.disposition;
    info!(
        %attempt,
        %disposition,
        code = outcome.code,
        completion = outcome.completion.map(crate::call::Completion::as_str),
        "attempt {attempt} ended: {disposition}"
    );
    road.progress.tell(
        attempt,
        claim.patient.id,
        Step::Ended { disposition, respondent: outcome.respondent, completion: outcome.completion },
    );
}

/// Keeps a claim alive: says again and again that whoever holds it lives.
pub(super) struct Lease {
    due: Instant,
    every: Duration,
}

impl Lease {
    /// The lease of a claim that was just made.
    pub(super) fn new<C>(road: &Road<C>) -> Self {
        // Two signs of life may fail before the lease runs out.
        let every = road.config.lease / 3;
        Self { due: Instant::from_std(road.clock.now().instant) + every, every }
    }

    /// Gives signs of life while something takes its time.
    ///
    /// # Errors
    /// If the claim was lost.
    pub(super) async fn hold_while<C, T>(
        road: &Road<C>,
        claim: &Claim,
        work: impl Future<Output = T>,
    ) -> Result<T, StoreError> {
        let mut lease = Self::new(road);
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return Ok(done),
                () = lease.is_due() => lease.extend(road, claim).await?,
            }
        }
    }

    /// Waits until the next sign of life is due. Cancel-safe.
    pub(super) async fn is_due(&self) {
        sleep_until(self.due).await;
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// If the claim was lost: the call must end. A store that is away is no reason to end it.
    pub(super) async fn extend<C>(
        &mut self,
        road: &Road<C>,
        claim: &Claim,
    ) -> Result<(), StoreError> {
        let now = road.clock.now();
        self.due = Instant::from_std(now.instant) + self.every;
        let attempt = claim.attempt.id;
        match road.store.extend_lease(now.timestamp, attempt, road.config.lease).await {
            Err(error @ StoreError::Stale { .. }) => {
                warn!(%attempt, "the claim was lost; hanging up");
                Err(error)
            }
            Err(error) => {
                warn!(%attempt, %error, "cannot extend the lease yet");
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }
}
