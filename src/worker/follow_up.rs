//! An answered call → the calls that follow from its answers.

use jiff::Timestamp;
use tracing::{info, warn};

use crate::base::Now;
use crate::base::clock::civil;
use crate::campaign::follow_up::Call;
use crate::campaign::{Book, InForce, Window};
use crate::ivr::session::Remeasure;
use crate::ivr::{Answer, Entry};
use crate::store::{Claim, StoreError};
use crate::worker::Road;
use crate::worker::talk::Given;

/// What a value of the call would bring, as the patient is told; `None` if it brings nothing.
pub(super) fn foreseen<C>(
    road: &Road<C>,
    book: &Book,
    claim: &Claim,
    now: Now,
) -> Option<(Timestamp, Remeasure)> {
    let (_, window) = terms(road, book, claim, now.timestamp);
    let follow_ups = &road.config.follow_ups;
    let at = follow_ups.remeasure_at(now.timestamp, &claim.slot, &window)?;
    let remeasure = Remeasure {
        question: follow_ups.question.clone(),
        range: follow_ups.range.clone(),
        at: civil(at),
    };
    Some((at, remeasure))
}

/// Opens the slot that follows from the call. If that cannot be stored, staff have the case that
/// the same answer opened.
pub(super) async fn after<C>(road: &Road<C>, claim: &Claim, given: &Given) {
    if let Err(error) = open(road, claim, given).await {
        warn!(attempt = %claim.attempt.id, %error, "a call that should follow is not planned");
    }
}

async fn open<C>(road: &Road<C>, claim: &Claim, given: &Given) -> Result<(), StoreError> {
    let now = road.clock.now().timestamp;
    // Most calls bring nothing, and need no look at the store.
    let value = value_of(&given.answers, &road.config.follow_ups.question);
    if !given.alarmed && !road.config.follow_ups.wants_remeasure(value) {
        return Ok(());
    }
    let book = road.store.campaigns(now).await?;
    let (terms, window) = terms(road, &book, claim, now);
    let call = Call {
        ended_at: now,
        value,
        alarmed: given.alarmed,
        remeasure_at: given.remeasure_at,
        after_emergency: terms.terms.retry.after_emergency,
        window,
        campaign: terms.key,
    };
    let Some(slot) = road.config.follow_ups.after(&call, &claim.slot) else { return Ok(()) };
    let kind = slot.kind.as_str();
    if road.store.open_slots(now, &[slot]).await? > 0 {
        info!(attempt = %claim.attempt.id, kind, "a call follows: {kind}");
    }
    Ok(())
}

fn terms<C>(road: &Road<C>, book: &Book, claim: &Claim, at: Timestamp) -> (InForce, Window) {
    let terms = book.of_slot(claim.slot.campaign, &road.config.terms);
    let window = book.window(&terms, &claim.health_center, at);
    (terms, window)
}

/// The last value that was given to a question.
fn value_of(entries: &[Entry], question: &str) -> Option<i32> {
    let last = entries.iter().rfind(|entry| entry.question == question)?;
    match last.answer {
        Answer::Number(number) => Some(number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(question: &str, answer: Answer) -> Entry {
        let at = Timestamp::UNIX_EPOCH;
        Entry { seq: 0, question: question.to_owned(), asked: 1, keys: String::new(), answer, at }
    }

    #[test]
    fn the_last_value_counts() {
        let entries = [entry("spo2", Answer::Number(95)), entry("dyspnea", Answer::NotMeasured)];
        assert_eq!(value_of(&entries, "spo2"), Some(95));
        let later = [entry("spo2", Answer::Number(95)), entry("spo2", Answer::Number(97))];
        assert_eq!(value_of(&later, "spo2"), Some(97));
        assert_eq!(value_of(&[entry("spo2", Answer::NotMeasured)], "spo2"), None);
        assert_eq!(value_of(&[], "spo2"), None);
    }
}
