//! From an episode and a date to the slots of that day.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::base::id::{EpisodeId, PatientId, SlotId};
use crate::campaign::terms::Rest;
use crate::campaign::{Slot, SlotKind, SlotState, VersionKey, Window, minutes, window};
use crate::registry::Episode;

/// At most four slots a day: 朝・昼・夕・寝る前 (自宅療養の実施に関する留意事項).
pub const SLOTS_A_DAY: usize = 4;

/// How the times of day agreed with a patient become slots.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The times of day for patients with whom none was agreed; ascending.
    pub default_times: Vec<Time>,
    /// How long after the agreed time calls for the slot may still start.
    #[serde(with = "minutes::one")]
    pub tolerance: Duration,
    /// The latest agreed time that is judged on the same day's review of those not reached.
    /// Later ones are evening slots.
    pub last_daytime_start: Time,
    /// When staff review who was not reached: no call for a daytime slot starts at or after it,
    /// so that the list is final.
    pub review_at: Time,
}

impl Config {
    /// The shipped values: twice a day, within two hours, the last daytime start at 15:00 and
    /// the list of those not reached at 16:00 (an hour before the meeting at 17:00).
    pub fn shipped() -> Self {
        Self {
            default_times: vec![Time::constant(9, 30, 0, 0), Time::constant(14, 30, 0, 0)],
            tolerance: Duration::from_hours(2),
            last_daytime_start: Time::constant(15, 0, 0, 0),
            review_at: Time::constant(16, 0, 0, 0),
        }
    }

    /// Whether a slot that begins then is judged at night, not with those of the day.
    pub fn is_evening(&self, time: Time) -> bool {
        self.last_daytime_start < time
    }

    /// Whether staff should be advised against this time of day: a call then is over too late
    /// for the review of the same day, and too early for an evening slot.
    pub fn is_unwise(&self, time: Time) -> bool {
        self.is_evening(time) && time <= self.review_at
    }
}

/// A slot to be opened. It gets its id, and its state due, from the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct NewSlot {
    /// The episode.
    pub episode: EpisodeId,
    /// The patient of that episode.
    pub patient: PatientId,
    /// The calendar date in Japan.
    pub date: Date,
    /// The number of the day: 1 to 4 for the planned ones, above it for others.
    pub number: u8,
    /// From when on the patient is to be called.
    pub due_from: Timestamp,
    /// No call starts at or after it.
    pub due_to: Timestamp,
    /// What it is for.
    pub kind: SlotKind,
    /// The terms by which it is opened; `None` for those of the installation.
    pub campaign: Option<VersionKey>,
    /// Why nobody is called for it: it is settled as soon as it is opened.
    pub rest: Option<Rest>,
}

impl NewSlot {
    /// The slot as it will be once it is opened.
    pub fn to_come(&self, id: SlotId) -> Slot {
        Slot {
            id,
            episode: self.episode,
            patient: self.patient,
            date: self.date,
            number: self.number,
            due_from: self.due_from,
            due_to: self.due_to,
            state: if self.rest.is_some() { SlotState::Skipped } else { SlotState::Due },
            reason: self.rest.as_ref().map(Rest::reason),
            pause: None,
            kind: self.kind,
            campaign: self.campaign,
        }
    }
}

/// The slots of one day, ascending and without overlap, all inside the window.
///
/// An agreed time outside the centre's hours is moved into them, with room for retries, rather
/// than dropped: a patient is better called at another hour than not at all.
pub fn slots_on(date: Date, episode: &Episode, window: &Window, config: &Config) -> Vec<NewSlot> {
    let arrangement = &episode.arrangement;
    let is_agreed = episode.covers(date) && arrangement.weekdays.cover(date);
    if !is_agreed || window.opens_at() >= window.closes_at() {
        return Vec::new();
    }
    let agreed =
        if episode.call_times.is_empty() { &config.default_times } else { &episode.call_times };
    let tolerance = arrangement.tolerance.unwrap_or(config.tolerance);
    let mut starts: Vec<Time> =
        agreed.iter().map(|time| move_into(window, *time, tolerance)).collect();
    starts.sort();
    starts.dedup();
    starts.truncate(SLOTS_A_DAY);

    let nexts = starts.iter().copied().skip(1).chain([window.closes_at()]);
    (1..)
        .zip(starts.iter().copied().zip(nexts))
        .map(|(number, (start, next))| {
            let due_from = window::on(date, start);
            let mut end = window::on(date, next).min(due_from + tolerance);
            if start <= config.last_daytime_start && config.review_at > start {
                end = end.min(window::on(date, config.review_at));
            }
            let Episode { id: episode, patient, .. } = *episode;
            NewSlot {
                episode,
                patient,
                date,
                number,
                due_from,
                due_to: end,
                kind: SlotKind::Planned,
                campaign: None,
                rest: None,
            }
        })
        .collect()
}

fn move_into(window: &Window, time: Time, tolerance: Duration) -> Time {
    let latest =
        if time < window.closes_at() { time } else { window.closes_at().saturating_sub(tolerance) };
    latest.max(window.opens_at())
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use jiff::civil::time;
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock;
    use crate::base::id::Minter;
    use crate::registry::Arrangement;

    fn episode(call_times: Vec<Time>) -> Episode {
        let mut minter = Minter::new([5; 32]);
        let born = Timestamp::UNIX_EPOCH;
        Episode {
            id: minter.mint(born),
            patient: minter.mint(born),
            first_day: Date::constant(2026, 12, 30),
            last_day: Date::constant(2027, 1, 8),
            call_times,
            arrangement: Arrangement::default(),
        }
    }

    /// `1 09:30–11:30, …`
    fn day(times: &[(i8, i8)]) -> String {
        let window = Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap();
        let times = times.iter().map(|(hour, minute)| time(*hour, *minute, 0, 0)).collect();
        let date = Date::constant(2027, 1, 1);
        let mut text = String::new();
        for slot in slots_on(date, &episode(times), &window, &Config::shipped()) {
            let [from, to] = [slot.due_from, slot.due_to].map(|at| clock::civil(at).time());
            write!(text, "{} {}–{} ", slot.number, from.strftime("%R"), to.strftime("%R")).unwrap();
        }
        text
    }

    #[test]
    fn agreed_times_become_slots() {
        for (times, expected) in [
            (vec![], "1 09:30–11:30 2 14:30–16:00 "),
            (vec![(10, 0)], "1 10:00–12:00 "),
            // Unordered and doubled.
            (vec![(14, 0), (10, 0), (14, 0)], "1 10:00–12:00 2 14:00–16:00 "),
            // The next slot ends the one before.
            (vec![(10, 0), (11, 0)], "1 10:00–11:00 2 11:00–13:00 "),
            // Late daytime slots are over before the review; evening slots are not bound by it.
            (vec![(15, 0), (16, 0)], "1 15:00–16:00 2 16:00–18:00 "),
            // Outside the centre's hours.
            (vec![(7, 0), (19, 30)], "1 09:00–11:00 2 16:00–18:00 "),
            // Inside them, if only just.
            (vec![(17, 30)], "1 17:30–18:00 "),
            // Never more than four.
            (
                vec![(9, 0), (10, 0), (11, 0), (12, 0), (13, 0)],
                "1 09:00–10:00 2 10:00–11:00 3 11:00–12:00 4 12:00–14:00 ",
            ),
        ] {
            assert_eq!(day(&times), expected, "{times:?}");
        }
    }

    #[test]
    fn only_days_under_observation_have_slots() {
        let window = Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap();
        let count = |date| slots_on(date, &episode(vec![]), &window, &Config::shipped()).len();
        assert_eq!(count(Date::constant(2026, 12, 29)), 0);
        assert_eq!(count(Date::constant(2026, 12, 30)), 2);
        assert_eq!(count(Date::constant(2027, 1, 8)), 2);
        assert_eq!(count(Date::constant(2027, 1, 9)), 0);
    }

    #[test]
    fn staff_are_advised_against_times_just_before_the_review() {
        let config = Config::shipped();
        for (hour, unwise) in [(9, false), (15, false), (16, true), (19, false)] {
            assert_eq!(config.is_unwise(time(hour, 0, 0, 0)), unwise, "{hour}");
        }
    }

    proptest! {
        #[test]
        fn slots_are_ordered_apart_and_inside_the_window(
            times in prop::collection::vec((0_i8..24, 0_i8..60), 0..6),
            hours in (8_i8..20, 1_i8..12),
            tolerance in 1_u64..600,
        ) {
            let closes_at = time((hours.0 + hours.1).min(20), 0, 0, 0);
            let window = Window::new(time(hours.0, 0, 0, 0), closes_at).unwrap();
            let config =
                Config { tolerance: Duration::from_mins(tolerance), ..Config::shipped() };
            let times = times.iter().map(|(hour, minute)| time(*hour, *minute, 0, 0)).collect();
            let slots = slots_on(Date::constant(2027, 1, 1), &episode(times), &window, &config);
            prop_assert!((1..=SLOTS_A_DAY).contains(&slots.len()));
            for slot in &slots {
                prop_assert!(slot.due_from < slot.due_to);
                prop_assert!(window.is_open(slot.due_from));
                prop_assert!(window.is_open(slot.due_to - Duration::from_nanos(1)));
            }
            for pair in slots.windows(2) {
                prop_assert!(pair[0].due_to <= pair[1].due_from);
                prop_assert_eq!(pair[0].number + 1, pair[1].number);
            }
        }
    }
}
