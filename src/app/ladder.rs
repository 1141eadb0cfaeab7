//! Keeps what was sent and received for each call, for engineers who look at it in the console.

use tokio::sync::mpsc;
use tracing::warn;

use crate::base::Clock;
use crate::base::id::AttemptId;
use crate::store::{Store, StoreError};
use crate::trunk::CallLadder;

/// Writes ladders down as they come, until the trunk is gone.
pub(super) async fn keep(store: Store, clock: Clock, mut ladders: mpsc::Receiver<CallLadder>) {
    while let Some(CallLadder { label, steps }) = ladders.recv().await {
        // Calls of the road are labelled by their attempts; others are nobody's.
        let Ok(attempt) = label.parse::<AttemptId>() else { continue };
        match store.save_ladder(clock.now().timestamp, attempt, &steps).await {
            Ok(()) | Err(StoreError::Conflict { .. }) => {}
            Err(error) => warn!(%attempt, "the ladder of a call is not kept: {error}"),
        }
    }
}
