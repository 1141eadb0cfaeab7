//! A day on which nobody ever answers, as the terms make it: what staff see of terms before they
//! hold for anybody.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::PhoneNumber;
use crate::base::id::Minter;
use crate::call::Disposition;
use crate::campaign::terms::Rest;
use crate::campaign::{Attempt, AttemptState, NewSlot, Next, Slot, StopReason, Terms, Window};

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
    let slot = new.to_come(minter.mint(new.due_from));
    let (calls, stop) = go_on(slot.due_from, &slot, Vec::new(), terms, window, phones);
    example.calls = calls;
    example.stop = stop;
    example
}

/// What becomes of a slot that is open, if nobody answers from now on: the calls that are still
/// made, one that waits or is under way among them, and why there are no more.
pub fn from_here(
    now: Timestamp,
    slot: &Slot,
    attempts: &[Attempt],
    terms: &Terms,
    window: &Window,
    phones: &[PhoneNumber],
) -> (Vec<(Timestamp, usize)>, Option<StopReason>) {
    let mut past = Vec::new();
    let mut calls = Vec::new();
    for attempt in attempts {
        let at = match attempt.state {
            AttemptState::Done | AttemptState::Dropped => {
                past.push(attempt.clone());
                continue;
            }
            AttemptState::Due => attempt.due_at.max(now),
            AttemptState::Dialing | AttemptState::Talking => attempt.dialed_at.unwrap_or(now),
        };
        let phone = phones.iter().position(|phone| *phone == attempt.phone);
        calls.push((at, phone.unwrap_or_default()));
        past.push(in_vain(attempt, at));
    }
    let (more, stop) = go_on(now, slot, past, terms, window, phones);
    calls.extend(more);
    (calls, stop)
}

/// The calls that follow, each in vain.
fn go_on(
    now: Timestamp,
    slot: &Slot,
    mut attempts: Vec<Attempt>,
    terms: &Terms,
    window: &Window,
    phones: &[PhoneNumber],
) -> (Vec<(Timestamp, usize)>, Option<StopReason>) {
    // Nobody will ever see these ids.
    let mut minter = Minter::new([1; 32]);
    let mut calls = Vec::new();
    loop {
        let (due_at, phone) = match terms.retry.next(slot, &attempts, phones, window) {
            Next::At { due_at, phone } => (due_at.max(now), phone),
            Next::Stop(_, reason) => return (calls, Some(reason)),
            Next::Underway => return (calls, None),
        };
        if due_at >= slot.due_to {
            return (calls, Some(StopReason::NoTime));
        }
        let number = attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0) + 1;
        calls.push((due_at, phone));
        let next = Attempt {
            id: minter.mint(due_at),
            slot: slot.id,
            number,
            phone: phones[phone].clone(),
            due_at,
            state: AttemptState::Due,
            dialed_at: None,
            answered_at: None,
            ended_at: None,
            disposition: None,
            respondent: None,
            completion: None,
        };
        attempts.push(in_vain(&next, due_at));
    }
}

/// An attempt as it will be once nobody has answered.
fn in_vain(attempt: &Attempt, at: Timestamp) -> Attempt {
    Attempt {
        state: AttemptState::Done,
        dialed_at: Some(at),
        ended_at: Some(at + RINGS),
        disposition: Some(Disposition::NoAnswer),
        respondent: None,
        completion: None,
        ..attempt.clone()
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, time};

    use super::*;
    use crate::base::clock::civil;
    use crate::campaign::{SlotKind, SlotState, slots_on};
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

    #[test]
    fn an_open_slot_goes_on_from_what_was_tried() {
        let mut minter = Minter::new([6; 32]);
        let nine = crate::campaign::window::on(DAY, time(9, 30, 0, 0));
        let minutes = |n: u64| nine + Duration::from_mins(n);
        let slot = Slot {
            id: minter.mint(nine),
            episode: minter.mint(nine),
            patient: minter.mint(nine),
            date: DAY,
            number: 1,
            due_from: nine,
            due_to: minutes(120),
            state: SlotState::Due,
            reason: None,
            pause: None,
            kind: SlotKind::Planned,
            campaign: None,
        };
        let phones: Vec<PhoneNumber> = vec!["090-1234-5678".parse().unwrap()];
        let waiting = Attempt {
            id: minter.mint(nine),
            slot: slot.id,
            number: 1,
            phone: phones[0].clone(),
            due_at: nine,
            state: AttemptState::Due,
            dialed_at: None,
            answered_at: None,
            ended_at: None,
            disposition: None,
            respondent: None,
            completion: None,
        };
        let window = Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap();
        let goes_on = |now: Timestamp, attempts: &[Attempt]| {
            let terms = Terms::shipped();
            let (calls, stop) = from_here(now, &slot, attempts, &terms, &window, &phones);
            let calls = calls.iter().map(|(at, _)| civil(*at).strftime("%R").to_string());
            format!(
                "{} … {}",
                calls.collect::<Vec<_>>().join(", "),
                stop.map_or("", StopReason::as_str)
            )
        };
        let waits = std::slice::from_ref(&waiting);
        assert_eq!(goes_on(nine, waits), "09:30, 09:51, 10:32 … attempts_used_up");
        assert_eq!(goes_on(minutes(10), waits), "09:40, 10:01, 10:42 … attempts_used_up");
        let once = [in_vain(&waiting, nine)];
        assert_eq!(goes_on(minutes(2), &once), "09:51, 10:32 … attempts_used_up");
        assert_eq!(goes_on(minutes(115), &once), "11:25 … no_time");
    }
}
