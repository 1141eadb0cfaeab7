//! Tells the console, wherever it is served, how this node is: its lines, its trunk, its prompts.

use std::sync::Arc;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use crate::call::Carrier;
use crate::store::{NodeStatus, RegistrationWord, TrunkStatus, TrunkWord};
use crate::trunk;
use crate::trunk::{Outage, TrunkState};
use crate::worker::{self, Road};

/// Less often than this a node counts as gone.
const EVERY: Duration = Duration::from_secs(10);

/// What does not change of a trunk while the node runs.
#[derive(Clone, Debug)]
pub(super) struct Link {
    name: String,
    lines: usize,
    registers: bool,
    group: Option<String>,
}

impl From<&trunk::Config> for Link {
    fn from(config: &trunk::Config) -> Self {
        Self {
            name: config.name.clone(),
            lines: config.max_calls,
            registers: config.registration.is_some(),
            group: None,
        }
    }
}

impl Link {
    /// The same, in the group that campaigns may be bound to.
    pub(super) fn in_group(self, group: Option<String>) -> Self {
        Self { group, ..self }
    }
}

/// Writes the state of this node and of its trunk down whenever the trunk's changes, and every few seconds; for ever.
pub(super) async fn keep_telling<C: Carrier>(
    road: Arc<Road<C>>,
    link: Link,
    mut trunk: watch::Receiver<TrunkState>,
) {
    loop {
        let state = *trunk.borrow_and_update();
        let node = NodeStatus { clock_ahead: clock_ahead(&road).await, ..status(&road, state) };
        let line = trunk_status(&link, &node, state);
        let saved = async {
            // A trunk of which a later word of its node says nothing is not there any more.
            road.store.save_trunk_status(&line).await?;
            road.store.save_node_status(&node).await
        };
        if let Err(error) = saved.await {
            warn!("the console does not hear how this node is: {error}");
        }
        tokio::select! {
            changed = trunk.changed() => if changed.is_err() { return },
            () = sleep(EVERY) => {}
        }
    }
}

/// How far our clock is off. While the database is away nobody knows, and nobody hears of it.
async fn clock_ahead<C>(road: &Road<C>) -> Option<SignedDuration> {
    worker::clock_ahead(&road.store, &road.clock).await.ok().flatten()
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
        clock_ahead: None,
        last_error,
    }
}

/// What there is to say of the trunk.
fn trunk_status(link: &Link, node: &NodeStatus, state: TrunkState) -> TrunkStatus {
    let registration = match state {
        _ if !link.registers => RegistrationWord::None,
        TrunkState::Up => RegistrationWord::Registered,
        TrunkState::Starting => RegistrationWord::Registering,
        TrunkState::Down(Outage::Refused { .. }) => RegistrationWord::Refused,
        TrunkState::Down(Outage::Silent | Outage::Unreachable)
        | TrunkState::Stopping
        | TrunkState::Stopped => RegistrationWord::Lost,
    };
    let has_failed = matches!(state, TrunkState::Down(_));
    TrunkStatus {
        node: node.node.clone(),
        trunk: link.name.clone(),
        group: link.group.clone(),
        at: node.at,
        state: node.trunk,
        since: node.at,
        registration,
        lines_in_use: node.lines_in_use,
        lines_limit: u32::try_from(link.lines).unwrap_or(u32::MAX),
        last_error: has_failed.then(|| (node.last_error.clone(), node.at)),
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

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::store::RegistrationWord as R;

    #[test]
    fn a_trunk_says_whether_the_carrier_knows_it_and_what_went_wrong() {
        let node = NodeStatus {
            node: "one".to_owned(),
            at: Timestamp::UNIX_EPOCH,
            lines_in_use: 0,
            lines_limit: 8,
            calls_per_minute: 30,
            trunk: TrunkWord::Ready,
            prompts_complete: true,
            clock_ahead: None,
            last_error: "it did not work".to_owned(),
        };
        for (registers, state, expected, has_error) in [
            (true, TrunkState::Starting, R::Registering, false),
            (true, TrunkState::Up, R::Registered, false),
            (true, TrunkState::Down(Outage::Refused { status: 403 }), R::Refused, true),
            (true, TrunkState::Down(Outage::Silent), R::Lost, true),
            (true, TrunkState::Stopped, R::Lost, false),
            (false, TrunkState::Up, R::None, false),
            (false, TrunkState::Down(Outage::Unreachable), R::None, true),
        ] {
            let group = Some("city".to_owned());
            let link = Link { name: "ntt".to_owned(), lines: 2, registers, group: None };
            let link = link.in_group(group.clone());
            let status = trunk_status(&link, &node, state);
            assert_eq!(status.registration, expected, "{state:?}");
            assert_eq!(status.last_error.is_some(), has_error, "{state:?}");
            assert_eq!((status.trunk.as_str(), status.lines_limit), ("ntt", 2));
            assert_eq!(status.group, group);
        }
    }
}
