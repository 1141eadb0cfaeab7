//! What a slot can still expect: the plan of a turn, asked about one slot and without writing.

use jiff::Timestamp;

use crate::campaign::AttemptState;
use crate::campaign::plan::{OpenSlot, PhonesInUse, plan};

/// When the slot's next call is due, as things stand. `None` if none will be made, or one is under
/// way. Households are not looked at: a call may come a few minutes later for one.
pub fn next_call(now: Timestamp, open: &OpenSlot<'_>) -> Option<Timestamp> {
    if open.slot.state.is_final() {
        return None;
    }
    let waiting = open.attempts.iter().find(|attempt| attempt.state == AttemptState::Due);
    if let Some(waiting) = waiting {
        return Some(waiting.due_at);
    }
    let open = std::slice::from_ref(open);
    let plan = plan(now, open, &PhonesInUse::default(), usize::MAX);
    plan.attempts.first().map(|planned| planned.due_at)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use jiff::civil::{Date, Time, time};

    use super::*;
    use crate::base::id::Minter;
    use crate::call::Disposition;
    use crate::campaign::programme::State;
    use crate::campaign::{Attempt, InForce, Slot, SlotKind, SlotState, Terms, Window, window};

    const DAY: Date = Date::constant(2026, 11, 25);

    fn at(time: Time) -> Timestamp {
        window::on(DAY, time)
    }

    fn slot() -> Slot {
        let mut minter = Minter::new([4; 32]);
        let born = Timestamp::UNIX_EPOCH;
        Slot {
            id: minter.mint(born),
            episode: minter.mint(born),
            patient: minter.mint(born),
            date: DAY,
            number: 1,
            due_from: at(time(9, 30, 0, 0)),
            due_to: at(time(11, 30, 0, 0)),
            state: SlotState::Due,
            reason: None,
            pause: None,
            kind: SlotKind::Planned,
            campaign: None,
        }
    }

    fn attempt(slot: &Slot, state: AttemptState) -> Attempt {
        let due_at = slot.due_from;
        let is_done = state == AttemptState::Done;
        Attempt {
            id: Minter::new([5; 32]).mint(due_at),
            slot: slot.id,
            number: 1,
            phone: "090-1234-5678".parse().unwrap(),
            due_at,
            state,
            dialed_at: is_done.then_some(due_at),
            answered_at: None,
            ended_at: is_done.then_some(due_at + Duration::from_mins(1)),
            disposition: is_done.then_some(Disposition::NoAnswer),
            respondent: None,
            completion: None,
        }
    }

    fn next(now: Time, slot: &Slot, attempts: &[Attempt]) -> Option<Timestamp> {
        let standing =
            InForce { terms: Arc::new(Terms::shipped()), key: None, state: State::Running };
        let open = OpenSlot {
            slot,
            attempts,
            phones: vec!["090-1234-5678".parse().unwrap()],
            window: Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap(),
            emergency_at: None,
            terms: &standing,
            held: None,
        };
        next_call(at(now), &open)
    }

    #[test]
    fn the_next_call_is_the_one_that_the_worker_will_plan() {
        let slot = slot();
        let morning = time(7, 0, 0, 0);
        assert_eq!(next(morning, &slot, &[]), Some(at(time(9, 30, 0, 0))));
        let waiting = [attempt(&slot, AttemptState::Due)];
        assert_eq!(next(morning, &slot, &waiting), Some(slot.due_from));
        let in_vain = [attempt(&slot, AttemptState::Done)];
        assert_eq!(next(time(9, 40, 0, 0), &slot, &in_vain), Some(at(time(9, 51, 0, 0))));
        assert_eq!(next(time(11, 30, 0, 0), &slot, &in_vain), None, "its time is over");
        let settled = Slot { state: SlotState::Reported, ..slot };
        assert_eq!(next(morning, &settled, &[]), None);
    }
}
