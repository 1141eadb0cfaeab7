//! Tells the console, wherever it is served, how this node is: its lines, its trunk, its prompts.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::call::Carrier;
use crate::store::{NodeStatus, TrunkWord};
use crate::trunk::{Outage, TrunkState};
use crate::worker::Road;

/// Less often than this a node counts as gone.
const EVERY: Duration = Duration::from_secs(10);

/// Writes the state of this node down whenever the trunk's changes, and every few seconds; for ever.
pub(super) async fn keep_telling<C: Carrier>(
    road: Arc<Road<C>>,
    mut trunk: watch::Receiver<TrunkState>,
) {
    loop {
        let state = *trunk.borrow_and_update();
        if let Err(error) = road.store.save_node_status(&status(&road, state)).await {
            warn!("the console does not hear how this node is: {error}");
        }
        tokio::select! {
            changed = trunk.changed() => if changed.is_err() { return },
            () = sleep(EVERY) => {}
        }
    }
}

fn status<C>(road: &Road<C>, state: TrunkState) -> NodeStatus {
    let limits = road.config.limits;
    let (trunk, last_error) = match state {
        TrunkState::Up => (TrunkWord::Ready, String::new()),
        TrunkState::Starting => (TrunkWord::Registering, String::new()),
        TrunkState::Down(outage) => (TrunkWord::Failed, words(outage)),
        TrunkState::Stopping | TrunkState::Stopped => {
            (TrunkWord::Failed, "停止しました / stopped".to_owned())
        }
    };
    NodeStatus {
        node: road.config.node.clone(),
        at: road.clock.now().timestamp,
        lines_in_use: 0,
        lines_limit: u32::try_from(limits.calls_at_once).unwrap_or(u32::MAX),
        calls_per_minute: per_minute(limits.calls_per_second),
        trunk,
        // A node does not begin without them.
        prompts_complete: true,
        last_error,
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
fn per_minute(per_second: f64) -> u32 {
    (per_second * 60.0).clamp(0.0, 1e6) as u32
}

fn words(outage: Outage) -> String {
    match outage {
        Outage::Refused { status } => {
            format!("登録を拒否されました({status}) / refused ({status})")
        }
        Outage::Silent => "電話会社が応答しません / the carrier does not answer".to_owned(),
        Outage::Unreachable => "電話会社に届きません / the carrier cannot be reached".to_owned(),
    }
}
