//! An answered call → the calls that follow from its answers.

use std::slice::from_ref;

use jiff::Timestamp;
use tracing::{info, warn};

use crate::base::Now;
use crate::base::clock::civil;
use crate::campaign::follow_up::Call;
use crate::campaign::{Book, InForce, Window};
use crate::ivr::session::Remeasure;
use crate::ivr::{Answer, Entry, Questionnaire};
use crate::store::Claim;
use crate::worker::talk::Given;
use crate::worker::{Road, dial};

/// What a call may bring, by the terms that hold when it is made.
pub(super) struct Ahead {
    /// When a value is measured again, as the patient is told.
    remeasure_at: Option<Timestamp>,
    terms: InForce,
    window: Window,
}

impl Ahead {
    /// Looks ahead from the beginning of a call. A value is measured again only if what is asked has a
    /// script for it.
    pub(super) fn new<C>(
        road: &Road<C>,
        book: &Book,
        claim: &Claim,
        questionnaire: &Questionnaire,
        now: Now,
    ) -> Self {
        let terms = book.of_slot(claim.slot.campaign, &road.config.terms);
        let window = book.window(&terms, &claim.health_center, now.timestamp);
        let follow_ups = &road.config.follow_ups;
        let remeasure_at = follow_ups
            .remeasure_at(now.timestamp, &claim.slot, &window)
            .filter(|_| questionnaire.measures_again(&follow_ups.question));
        Self { remeasure_at, terms, window }
    }

    /// What a value of the call would bring, as the patient is told; `None` if nothing.
    pub(super) fn remeasure<C>(&self, road: &Road<C>) -> Option<Remeasure> {
        let follow_ups = &road.config.follow_ups;
        Some(Remeasure {
            question: follow_ups.question.clone(),
            range: follow_ups.range.clone(),
            at: civil(self.remeasure_at?),
        })
    }
}

/// Opens the slot that follows from the call. While the store is away it is tried again and again:
/// the patient was told of it. If it cannot be stored, staff have the case that the same answer
/// opened.
pub(super) async fn after<C>(road: &Road<C>, claim: &Claim, given: &Given) {
    let now = road.clock.now().timestamp;
    let follow_ups = &road.config.follow_ups;
    let Ahead { remeasure_at, terms, window } = &given.ahead;
    let call = Call {
        ended_at: now,
        value: value_of(&given.answers, &follow_ups.question),
        alarmed: given.alarmed,
        remeasure_at: *remeasure_at,
        after_emergency: terms.terms.retry.after_emergency,
        window: *window,
        campaign: terms.key,
    };
    // Most calls bring nothing.
    let Some(slot) = follow_ups.after(&call, &claim.slot) else { return };
    let kind = slot.kind.as_str();
    let attempt = claim.attempt.id;
    match dial::stored(attempt, || road.store.open_slots(now, from_ref(&slot))).await {
        Ok(0) => {}
        Ok(_) => info!(%attempt, kind, "a call follows: {kind}"),
        Err(error) => warn!(%attempt, %error, "a call that should follow is not planned"),
    }
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
