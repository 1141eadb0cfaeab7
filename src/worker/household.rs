//! People who share a telephone: one call, one after the other, each with a record of their own.
//!
//! The call with the first has come to its end, but for the farewell; the line is still there. The
//! next one is claimed as for any call, and asked on the same line. If it drops before anybody has
//! answered for them, they wait for a call of their own, and nothing counts as an attempt. Each has a
//! tape of their own, too, by their own consent.

use std::time::Duration;

use tokio::time::timeout;
use tracing::{error, info, warn};

use crate::base::id::AttemptId;
use crate::call::{Carrier, Line, LineEvent, Respondent};
use crate::store::{Claim, StoreError};
use crate::worker::track::Track;
use crate::worker::{Road, dial, follow_up, settle, talk};

/// How long the carrier may take to say that a line is gone.
const FAREWELL: Duration = Duration::from_secs(10);

/// Asks those who wait behind the attempt that has just ended, one after the other.
/// `track` is the recording of the first.
pub(super) async fn go_on<C: Carrier>(
    road: &Road<C>,
    first: AttemptId,
    line: C::Line,
    mut track: Track,
) {
    let mut after = first;
    let mut line = Some(line);
    while let Some(mut open) = line.take() {
        open.tape(None);
        let Some((claim, mut interview)) = next(road, after).await else {
            tokio::join!(hang_up(open), track.finish(road));
            return;
        };
        after = claim.attempt.id;
        open.tape(interview.track.tap());
        let talk = talk::hold(road, &claim, interview, open);
        let (talked, ()) = tokio::join!(talk, track.finish(road));
        let is_heard = talked.track.has_message()
            || !matches!(talked.respondent, Respondent::Nobody | Respondent::Unidentified);
        if !is_heard && put_back(road, &claim).await {
            info!(attempt = %after, "the line dropped: the next one of the household waits");
            track = talked.track;
            break;
        }
        follow_up::after(road, &claim, &talked.given).await;
        dial::finish(road, &claim, &settle(&talked)).await;
        (track, line) = (talked.track, talked.line);
    }
    track.finish(road).await;
}

/// The next one of the household, with all that may have to be said to them.
async fn next<C: Carrier>(road: &Road<C>, after: AttemptId) -> Option<(Claim, talk::Interview)> {
    let claimant = dial::claimant(road, None);
    let now = road.clock.now();
    let claim = match road.store.claim_next_in_household(now.timestamp, &claimant, after).await {
        Ok(claim) => claim?,
        Err(error) => {
            warn!(attempt = %after, %error, "nobody else of the household is asked");
            return None;
        }
    };
    match talk::prepare(road, &claim, now).await {
        Ok(interview) => {
            info!(attempt = %claim.attempt.id, after = %after, "the call goes on");
            Some((claim, interview))
        }
        Err(error) => {
            error!(attempt = %claim.attempt.id, "the call does not go on: {error:#}");
            put_back(road, &claim).await;
            None
        }
    }
}

/// Lets somebody wait who was not heard. Whether it was done.
async fn put_back<C>(road: &Road<C>, claim: &Claim) -> bool {
    let now = road.clock.now().timestamp;
    match road.store.put_back_unheard(now, claim.attempt.id, &road.config.node).await {
        Ok(()) => true,
        // Something was answered: it was an attempt.
        Err(StoreError::Stale { .. }) => false,
        Err(error) => {
            warn!(attempt = %claim.attempt.id, %error, "cannot put a call back");
            false
        }
    }
}

/// Ends the call, and waits until it is over.
async fn hang_up<L: Line>(mut line: L) {
    line.hang_up();
    let over = async { while !matches!(line.next_event().await, LineEvent::Ended(_)) {} };
    // A line that is dropped is gone, too.
    let _ = timeout(FAREWELL, over).await;
}
