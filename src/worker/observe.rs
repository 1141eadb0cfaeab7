//! Answers → observations.

use crate::base::Now;
use crate::observation::Channel;
use crate::observation::derive::{Context, Derived, derive};
use crate::worker::{Road, Turn};

/// Answers per turn.
const BATCH: u32 = 256;

/// Makes observations of the answers that have none.
pub(super) async fn turn<C>(road: &Road<C>, now: Now) -> anyhow::Result<Turn> {
    let answers = road.store.answers_to_observe(BATCH).await?;
    if answers.is_empty() {
        return Ok(Turn::idle());
    }
    let mut seen = Vec::with_capacity(answers.len());
    let mut observations = Vec::with_capacity(answers.len());
    for answer in &answers {
        seen.push((answer.attempt, answer.entry.seq));
        let context = Context {
            patient: answer.patient,
            slot: Some(answer.slot),
            attempt: answer.attempt,
            respondent: answer.respondent,
            channel: Channel::OutboundCall,
            questionnaire: answer.questionnaire.clone(),
        };
        match derive(&context, &answer.entry, road.store.mint(now.timestamp)) {
            Derived::Observed(observation) => observations.push(observation),
            // Silence says nothing about the patient; the transcript keeps it.
            Derived::Unanswered { .. } => {}
        }
    }
    road.store.save_observations(now.timestamp, &seen, &observations).await?;
    Ok(Turn { done: seen.len(), more: answers.len() == BATCH as usize, next: None })
}
