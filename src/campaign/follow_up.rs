//! What follows from what was answered, beside the calls that were agreed: a value is measured
//! again, and who was told to call for help is asked how it is now.
//!
//! ```text
//! planned, by hand ──SpO2 94–95──► re-measure ──┐
//!        └───────────── P1 ─────────────────────┴── P1 ──► re-call
//! ```
//!
//! Nothing else follows, so that it comes to an end; and each has a number of its own within the
//! day, by what it follows from, so that it comes once.

use std::ops::RangeInclusive;
use std::time::Duration;

use jiff::{Timestamp, ToSpan};

use crate::base::clock::{civil, timestamp};
use crate::campaign::{NewSlot, Slot, SlotKind, VersionKey, Window};

/// The largest number that a slot by hand may have; those above are for what follows.
pub const LAST_BY_HAND: u8 = 89;

/// A time is told, and kept, to so many minutes.
const ROUND: i64 = 5;

/// Which answers are followed up, and when.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FollowUps {
    /// The question whose value is measured again.
    pub question: String,
    /// From here to there, both included.
    pub range: RangeInclusive<i32>,
    /// How long after the call.
    pub remeasure_after: Duration,
    /// How long calls for it may start.
    pub tolerance: Duration,
}

impl FollowUps {
    /// The shipped values: 滋賀県 measures 94 and 95 percent again after a little while, here half
    /// an hour.
    pub fn shipped() -> Self {
        Self {
            question: "spo2".to_owned(),
            range: 94..=95,
            remeasure_after: Duration::from_mins(30),
            tolerance: Duration::from_mins(30),
        }
    }

    /// When a value would be measured again after a call that begins now; `None` if none would.
    /// Rounded up, as it is told.
    pub fn remeasure_at(&self, now: Timestamp, slot: &Slot, window: &Window) -> Option<Timestamp> {
        if !matches!(slot.kind, SlotKind::Planned | SlotKind::ByHand) {
            return None;
        }
        let at = rounded_up(now + self.remeasure_after);
        window.is_open(at).then_some(at)
    }

    /// Whether this value is to be measured again.
    pub fn wants_remeasure(&self, value: Option<i32>) -> bool {
        value.is_some_and(|value| self.range.contains(&value))
    }

    /// The slot that follows from a call for `slot`, which is over; `None` if none does.
    pub fn after(&self, call: &Call, slot: &Slot) -> Option<NewSlot> {
        let (kind, due_from) = if call.alarmed {
            let at = call.ended_at + call.after_emergency;
            // Whatever it was: the line is kept free until then.
            (SlotKind::Recall, call.window.is_open(at).then_some(at)?)
        } else if self.wants_remeasure(call.value) {
            (SlotKind::Remeasure, call.remeasure_at?)
        } else {
            return None;
        };
        // What was to be told of a time that is over by now is not kept.
        let due_from = due_from.max(call.ended_at);
        let closes_at = civil(due_from).date().to_datetime(call.window.closes_at());
        Some(NewSlot {
            episode: slot.episode,
            patient: slot.patient,
            date: slot.date,
            number: number(slot, kind)?,
            due_from,
            due_to: (due_from + self.tolerance).min(timestamp(closes_at)),
            kind,
            campaign: call.campaign,
            rest: None,
        })
    }
}

/// A call that is over.
#[derive(Clone, Debug)]
pub struct Call {
    /// When it ended.
    pub ended_at: Timestamp,
    /// The last value that was given to the question.
    pub value: Option<i32>,
    /// An answer was an emergency.
    pub alarmed: bool,
    /// When the value is measured again, as the patient was told.
    pub remeasure_at: Option<Timestamp>,
    /// So long after an emergency the line is kept free.
    pub after_emergency: Duration,
    /// The hours of the day.
    pub window: Window,
    /// The terms in force.
    pub campaign: Option<VersionKey>,
}

/// The number of what follows: one of each kind for each planned slot of a day, and one for all
/// those by hand together. `None` where nothing follows.
fn number(cause: &Slot, kind: SlotKind) -> Option<u8> {
    let place = match (cause.kind, cause.number) {
        (SlotKind::Planned, number @ 1..=4) => number,
        (SlotKind::ByHand, _) => 0,
        (SlotKind::Remeasure, number @ 90..=94) if kind == SlotKind::Recall => number - 90,
        _ => return None,
    };
    Some(match kind {
        SlotKind::Remeasure => 90 + place,
        _ => 95 + place,
    })
}

fn rounded_up(at: Timestamp) -> Timestamp {
    let here = civil(at);
    let floor = here.date().at(here.hour(), here.minute(), 0, 0);
    let beyond = i64::from(here.minute()) % ROUND;
    let is_round = beyond == 0 && floor == here;
    let more = if is_round { 0 } else { ROUND - beyond };
    timestamp(floor.saturating_add(more.minutes()))
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, Time, date, time};
    use proptest::prelude::*;

    use super::*;
    use crate::base::id::Minter;
    use crate::campaign::SlotState;

    const DAY: Date = date(2026, 11, 25);

    fn at(hour: i8, minute: i8) -> Timestamp {
        timestamp(DAY.at(hour, minute, 0, 0))
    }

    fn window() -> Window {
        Window::new(Time::constant(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap()
    }

    fn slot(kind: SlotKind, number: u8) -> Slot {
        let mut minter = Minter::new([4; 32]);
        Slot {
            id: minter.mint(Timestamp::UNIX_EPOCH),
            episode: minter.mint(Timestamp::UNIX_EPOCH),
            patient: minter.mint(Timestamp::UNIX_EPOCH),
            date: DAY,
            number,
            due_from: at(10, 0),
            due_to: at(12, 0),
            state: SlotState::Reported,
            reason: None,
            pause: None,
            kind,
            campaign: None,
        }
    }

    /// What follows from a call from `began` to three minutes later.
    fn follows(slot: &Slot, began: Timestamp, spo2: Option<i32>, alarmed: bool) -> Option<NewSlot> {
        let follow_ups = FollowUps::shipped();
        let call = Call {
            ended_at: began + Duration::from_mins(3),
            value: spo2,
            alarmed,
            remeasure_at: follow_ups.remeasure_at(began, slot, &window()),
            after_emergency: Duration::from_hours(2),
            window: window(),
            campaign: None,
        };
        follow_ups.after(&call, slot)
    }

    fn shown(new: Option<NewSlot>) -> String {
        new.map_or("nothing".to_owned(), |new| {
            let clock = |at| civil(at).strftime("%H:%M").to_string();
            let (from, to) = (clock(new.due_from), clock(new.due_to));
            format!("{} {} {from}-{to}", new.kind.as_str(), new.number)
        })
    }

    #[test]
    fn what_was_answered_decides_what_follows() {
        let planned = slot(SlotKind::Planned, 2);
        for (began, spo2, alarmed, expected) in [
            (at(10, 0), Some(96), false, "nothing"),
            (at(10, 0), Some(95), false, "remeasure 92 10:30-11:00"),
            (at(10, 2), Some(94), false, "remeasure 92 10:35-11:05"),
            (at(10, 0), Some(93), true, "recall 97 12:03-12:33"),
            (at(10, 0), None, false, "nothing"),
            (at(10, 0), None, true, "recall 97 12:03-12:33"),
            // The alarm comes first: the line must be free.
            (at(10, 0), Some(95), true, "recall 97 12:03-12:33"),
            // Too late for the hours; or only just not.
            (at(17, 31), Some(95), false, "nothing"),
            (at(17, 20), Some(95), false, "remeasure 92 17:50-18:00"),
            (at(15, 58), Some(90), true, "nothing"),
        ] {
            assert_eq!(shown(follows(&planned, began, spo2, alarmed)), expected, "{spo2:?}");
        }
    }

    #[test]
    fn nothing_follows_twice_from_the_same_or_without_end() {
        use SlotKind::{ByHand, Farewell, Planned, Recall, Remeasure};
        for (cause, number, low, alarmed) in [
            (Planned, 1, "remeasure 91", "recall 96"),
            (Planned, 4, "remeasure 94", "recall 99"),
            (ByHand, 5, "remeasure 90", "recall 95"),
            (ByHand, 89, "remeasure 90", "recall 95"),
            (Remeasure, 91, "nothing", "recall 96"),
            (Remeasure, 90, "nothing", "recall 95"),
            (Recall, 96, "nothing", "nothing"),
            (Farewell, 5, "nothing", "nothing"),
        ] {
            let cause = slot(cause, number);
            let follows = |alarmed| shown(follows(&cause, at(10, 0), Some(95), alarmed));
            assert!(follows(false).starts_with(low), "{cause:?}: {}", follows(false));
            assert!(follows(true).starts_with(alarmed), "{cause:?}: {}", follows(true));
        }
    }

    proptest! {
        /// Whenever the call is, and whatever was said: inside the hours of its own day, after
        /// the call, and never empty.
        #[test]
        fn what_follows_lies_within_the_hours(
            minutes in 0..540_i64, spo2 in 70..=100_i32, alarmed: bool, number in 1..=4_u8,
        ) {
            let began = at(9, 0) + Duration::from_secs(minutes.unsigned_abs() * 60 + 17);
            let cause = slot(SlotKind::Planned, number);
            if let Some(new) = follows(&cause, began, Some(spo2), alarmed) {
                prop_assert!(alarmed || (94..=95).contains(&spo2));
                prop_assert!(window().is_open(new.due_from) && new.due_from < new.due_to);
                prop_assert!(new.due_to <= at(18, 0) && new.date == civil(new.due_from).date());
                prop_assert!(new.due_from >= began + Duration::from_mins(30));
                prop_assert!(new.due_from <= began + Duration::from_mins(36) || alarmed);
                prop_assert!((91..=99).contains(&new.number));
            }
        }
    }
}
