//! Whether the lines bear a campaign: an estimate before anybody is called, from how long calls
//! took and how often somebody answered.

use std::time::Duration;

/// Fewer calls than these say nothing about those to come.
const ENOUGH_CALLS: u32 = 20;

/// What the calls of the last days were like.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Measured {
    /// Calls that reached a telephone.
    pub calls: u32,
    /// Those of them that were answered.
    pub answered: u32,
    /// How long the answered ones held a line, together.
    pub talked: Duration,
    /// How long the others did.
    pub rang: Duration,
}

/// What one call is like on average.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Habits {
    /// How likely somebody answers, 0 to 1.
    pub answer_rate: f64,
    /// How long an answered call holds its line.
    pub talk: Duration,
    /// How long a call in vain does.
    pub ring: Duration,
}

impl Habits {
    /// What is taken for granted where nothing was measured.
    pub const ASSUMED: Self =
        Self { answer_rate: 0.7, talk: Duration::from_secs(150), ring: Duration::from_secs(45) };
}

impl Measured {
    /// What calls are like; `None` if there were too few to say.
    pub fn habits(&self) -> Option<Habits> {
        if self.calls < ENOUGH_CALLS {
            return None;
        }
        let in_vain = self.calls.saturating_sub(self.answered);
        let mean = |whole: Duration, n: u32, otherwise| whole.checked_div(n).unwrap_or(otherwise);
        Some(Habits {
            answer_rate: f64::from(self.answered.min(self.calls)) / f64::from(self.calls),
            talk: mean(self.talked, self.answered, Habits::ASSUMED.talk),
            ring: mean(self.rang, in_vain, Habits::ASSUMED.ring),
        })
    }
}

/// What is to be done in one slot of the day.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Load {
    /// Patients to be called.
    pub patients: u32,
    /// Attempts that a slot may have.
    pub attempts: u32,
    /// Calls at once.
    pub lines: u32,
    /// New calls per minute, if they are capped.
    pub calls_per_minute: Option<u32>,
    /// How long calls may start.
    pub open: Duration,
}

/// How long one slot of the day will take.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// How long each patient holds a line, all attempts together.
    pub per_patient: Duration,
    /// Attempts that each patient takes.
    pub calls_per_patient: f64,
    /// How long it takes until everybody was called. `None`: for ever, there is no line.
    pub takes: Option<Duration>,
    /// Whether that is within the time in which calls may start.
    pub fits: bool,
}

/// Estimates one slot. Each attempt in vain is followed by the next one, as far as there are any;
/// that some must wait longer for it is not looked at.
pub fn estimate(load: &Load, habits: &Habits) -> Estimate {
    let mut still_unreached = 1.0;
    let mut seconds = 0.0;
    let mut calls_per_patient = 0.0;
    for _ in 0..load.attempts {
        calls_per_patient += still_unreached;
        let answered = still_unreached * habits.answer_rate;
        still_unreached -= answered;
        seconds +=
            answered * habits.talk.as_secs_f64() + still_unreached * habits.ring.as_secs_f64();
    }
    let patients = f64::from(load.patients);
    let by_lines = patients * seconds / f64::from(load.lines);
    let by_pace = load
        .calls_per_minute
        .map_or(0.0, |pace| patients * calls_per_patient * 60.0 / f64::from(pace));
    let takes = if load.patients == 0 {
        Some(Duration::ZERO)
    } else {
        // Not finite without a line.
        Duration::try_from_secs_f64(by_lines.max(by_pace)).ok()
    };
    Estimate {
        per_patient: Duration::from_secs_f64(seconds),
        calls_per_patient,
        takes,
        fits: takes.is_some_and(|takes| takes <= load.open),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LOAD: Load = Load {
        patients: 420,
        attempts: 1,
        lines: 4,
        calls_per_minute: None,
        open: Duration::from_hours(2),
    };

    #[test]
    fn many_patients_on_four_lines_do_not_fit_into_two_hours() {
        let habits = Habits { answer_rate: 1.0, ..Habits::ASSUMED };
        let four = estimate(&LOAD, &habits);
        assert_eq!(four.takes, Some(Duration::from_secs(420 * 150 / 4)), "4.4 hours");
        assert!(!four.fits);
        assert!(estimate(&Load { lines: 16, ..LOAD }, &habits).fits);
        let none = estimate(&Load { lines: 0, ..LOAD }, &habits);
        assert_eq!((none.takes, none.fits), (None, false), "without a line nobody is called");
        let nobody = estimate(&Load { patients: 0, lines: 0, ..LOAD }, &habits);
        assert!(nobody.fits);
    }

    #[test]
    fn few_calls_say_nothing_about_those_to_come() {
        let mut measured = Measured {
            calls: 19,
            answered: 19,
            talked: Duration::from_mins(38),
            rang: Duration::ZERO,
        };
        assert_eq!(measured.habits(), None);
        (measured.calls, measured.rang) = (38, Duration::from_secs(19 * 30));
        let expected = Habits {
            answer_rate: 0.5,
            talk: Duration::from_mins(2),
            ring: Duration::from_secs(30),
        };
        assert_eq!(measured.habits(), Some(expected));
    }

    prop_compose! {
        fn any_load()(
            patients in 0_u32..200_000,
            attempts in 1_u32..=6,
            lines in 0_u32..5_000,
            calls_per_minute in prop::option::of(0_u32..10_000),
            minutes in 0_u64..720,
        ) -> Load {
            let open = Duration::from_mins(minutes);
            Load { patients, attempts, lines, calls_per_minute, open }
        }
    }

    prop_compose! {
        fn any_habits()(rate in 0.0..=1.0, talk in 1_u64..600, ring in 1_u64..90) -> Habits {
            Habits {
                answer_rate: rate,
                talk: Duration::from_secs(talk),
                ring: Duration::from_secs(ring),
            }
        }
    }

    proptest! {
        #[test]
        fn more_lines_never_take_longer_and_more_patients_never_less(
            load in any_load(), habits in any_habits(), more in 1_u32..1_000,
        ) {
            let takes = |load: &Load| estimate(load, &habits).takes.unwrap_or(Duration::MAX);
            let one = estimate(&load, &habits);
            let [with_lines, with_patients] = [
                Load { lines: load.lines + more, ..load },
                Load { patients: load.patients + more, ..load },
            ];
            prop_assert!(takes(&with_lines) <= takes(&load), "more lines");
            prop_assert!(takes(&with_patients) >= takes(&load), "more patients");
            let rounding = 1e-9;
            prop_assert!(one.calls_per_patient >= 1.0);
            prop_assert!(one.calls_per_patient <= f64::from(load.attempts) + rounding);
            prop_assert_eq!(one.fits, takes(&load) <= load.open);
            let longest = habits.talk.max(habits.ring).as_secs_f64() * f64::from(load.attempts);
            prop_assert!(one.per_patient.as_secs_f64() <= longest + rounding);
        }
    }
}
