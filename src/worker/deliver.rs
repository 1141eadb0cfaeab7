//! Outbox → webhook, until the receiver has taken it.

use std::time::Duration;

use rand::rngs::StdRng;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tracing::{info, warn};

use crate::base::{Backoff, Now};
use crate::store::{Message, MessageKind};
use crate::worker::{Road, Turn};

/// A receiver that is down is asked again soon at first, for the first messages are urgent ones.
const BACKOFF: Backoff = Backoff { first: Duration::from_secs(2), longest: Duration::from_mins(5) };

/// A message under way belongs to this worker for so long; longer than the webhook's own timeout.
const LEASE: Duration = Duration::from_mins(1);

/// Messages per turn.
const BATCH: u32 = 16;

/// Delivers what is due.
pub(super) async fn turn<C>(road: &Road<C>, now: Now, rng: &mut StdRng) -> anyhow::Result<Turn> {
    let Some(webhook) = &road.webhook else { return Ok(Turn::idle()) };
    let messages = road.store.claim_messages(now.timestamp, LEASE, BATCH).await?;
    // All at once: a receiver that hangs must not keep a fresh alarm waiting behind an old one.
    let mut sending = JoinSet::new();
    for message in &messages {
        let (webhook, id, tries) = (webhook.clone(), message.id, message.tries + 1);
        let body = body(message).to_string();
        sending.spawn(async move { (id, tries, webhook.deliver(id, body, now.timestamp).await) });
    }
    let mut done = 0;
    while let Some(sent) = sending.join_next().await {
        let (id, tries, result) = sent?;
        let now = road.clock.now().timestamp;
        match result {
            Ok(()) => {
                road.store.message_delivered(now, id).await?;
                done += 1;
                info!(message = %id, "message {id} delivered");
            }
            Err(error) => {
                let retry_at = now + BACKOFF.delay(tries, rng);
                warn!(message = %id, tries, %error, "message {id} not delivered");
                road.store.message_failed(now, id, retry_at, &error.to_string()).await?;
            }
        }
    }
    Ok(Turn { done, more: messages.len() == BATCH as usize, next: None })
}

/// What the receiver reads. Persons are named by their registration number only.
fn body(message: &Message) -> Value {
    let case = &message.case.case;
    json!({
        "type": match message.kind {
            MessageKind::CaseOpened => "case.opened",
            MessageKind::CaseRaised => "case.raised",
        },
        "timestamp": message.created_at.to_string(),
        "data": {
            "case": case.id.to_string(),
            "priority": message.priority.as_str(),
            "opened_at": case.opened_at.to_string(),
            "health_center": message.case.health_center.code,
            "patient": {
                "id": case.patient.to_string(),
                "registration_number": message.case.patient.registration_number,
            },
            "facts": case.facts.iter().map(|fact| json!({
                "rule": fact.rule,
                "rule_set": fact.rule_set,
                "priority": fact.priority.as_str(),
                "text": fact.text,
                "at": fact.at.to_string(),
            })).collect::<Vec<_>>(),
        },
    })
}
