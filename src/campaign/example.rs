//! A day on which nobody ever answers, as the terms make it: what staff see of terms before they
//! hold for anybody.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::PhoneNumber;
use crate::base::id::Minter;
use crate::call::Disposition;
use crate::campaign::terms::Rest;
use crate::campaign::{
    Attempt, AttemptState, NewSlot, Next, Slot, SlotState, StopReason, Terms, Window,
};

/// It rings so long in vain.
const RINGS: Duration = Duration::from_mins(1);

/// One slot of the day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Example {
    /// From when on the patient is to be called.
    pub due_from: Timestamp,
    /// No call starts at or after it.
    pub due_to: Timestamp,
    /// The calls, each in vain: when, and the index of the telephone in the order of dialling.
    pub calls: Vec<(Timestamp, usize)>,
    /// Why there are no more; `None` on a day of rest.
    pub stop: Option<StopReason>,
    /// Why nobody is called at all.
    pub rest: Option<Rest>,
}

/// The calls of a day, slot by slot, if nobody answers any of them.
pub fn unanswered(
    slots: &[NewSlot],
    terms: &Terms,
    window: &Window,
    phones: &[PhoneNumber],
) -> Vec<Example> {
    slots.iter().map(|slot| of_slot(slot, terms, window, phones)).collect()
}

fn of_slot(new: &NewSlot, terms: &Terms, window: &Window, phones: &[PhoneNumber]) -> Example {
    let mut example = Example {
        due_from: new.due_from,
        due_to: new.due_to,
        calls: Vec::new(),
        stop: None,
        rest: new.rest.clone(),
    };
    if example.rest.is_some() {
        return example;
    }
    // Nobody will ever see these ids.
    let mut minter = Minter::new([0; 32]);
    let slot = Slot {
        id: minter.mint(new.due_from),
        episode: new.episode,
        patient: new.patient,
        date: new.date,
        number: new.number,
        due_from: new.due_from,
        due_to: new.due_to,
        state: SlotState::Due,
        reason: None,
        pause: None,
        kind: new.kind,
        campaign: new.campaign,
    };
    let mut attempts: Vec<Attempt> = Vec::new();
    loop {
        let (due_at, phone) = match terms.retry.next(&slot, &attempts, phones, window) {
            Next::At { due_at, phone } => (due_at, phone),
            Next::Stop(_, reason) => {
                example.stop = Some(reason);
                return example;
            }
            Next::Underway => return example,
        };
        example.calls.push((due_at, phone));
        attempts.push(Attempt {
            id: minter.mint(due_at),
            slot: slot.id,
            number: u32::try_from(example.calls.len()).unwrap_or(u32::MAX),
            phone: phones[phone].clone(),
            due_at,
            state: AttemptState::Done,
            dialed_at: Some(due_at),
            answered_at: None,
            ended_at: Some(due_at + RINGS),
            disposition: Some(Disposition::NoAnswer),
            respondent: None,
            completion: None,
        });
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, time};

    use super::*;
    use crate::base::clock::civil;
    use crate::campaign::slots_on;
    use crate::registry::{Arrangement, Episode};

    const DAY: Date = Date::constant(2026, 11, 25);

    /// `09:30 0, 09:51 1 … attempts_used_up`, slot by slot.
    fn day(terms: &Terms, phones: &[&str]) -> Vec<String> {
        let mut minter = Minter::new([5; 32]);
        let episode = Episode {
            id: minter.mint(Timestamp::UNIX_EPOCH),
            patient: minter.mint(Timestamp::UNIX_EPOCH),
            first_day: DAY,
            last_day: DAY,
            call_times: Vec::new(),
            arrangement: Arrangement::default(),
        };
        let window = Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap();
        let slots = slots_on(DAY, &episode, &window, &terms.cadence);
        let phones: Vec<PhoneNumber> = phones.iter().map(|one| one.parse().unwrap()).collect();
        let words = |one: Example| {
            let calls = one.calls.iter();
            let calls = calls.map(|(at, phone)| format!("{} {phone}", civil(*at).strftime("%R")));
            let stop = one.stop.map(StopReason::as_str).unwrap_or_default();
            format!("{} … {stop}", calls.collect::<Vec<_>>().join(", "))
        };
        unanswered(&slots, terms, &window, &phones).into_iter().map(words).collect()
    }

    #[test]
    fn a_day_without_an_answer_is_drawn_from_the_terms() {
        let mut terms = Terms::shipped();
        assert_eq!(
            day(&terms, &["090-1234-5678"]),
            [
                "09:30 0, 09:51 0, 10:32 0 … attempts_used_up",
                "14:30 0, 14:51 0, 15:32 0 … attempts_used_up",
            ]
        );
        terms.retry.no_answer.clear();
        let once = day(&terms, &["090-1234-5678", "03-1234-5678"]);
        assert_eq!(once[0], "09:30 0 … attempts_used_up");
        assert_eq!(day(&terms, &[])[0], " … no_phone");
    }
}
