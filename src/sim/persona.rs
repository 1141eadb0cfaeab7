//! What kind of person, or thing, is at the other end, and how they are on each day.
//!
//! A persona follows from its [`Temper`] and a seed: the same questions on the same days get the
//! same answers again, so that a test can compare what was stored with what was [meant](Persona::meant).

use std::ops::RangeInclusive;
use std::time::Duration;

use rand::RngExt;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::call::Disposition;
use crate::ivr::{Answer, YesNo};

/// One simulated patient, or what stands at their telephone.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Persona {
    /// How they take calls and press keys, and what ails them.
    pub temper: Temper,
    /// Decides everything that the temper leaves open.
    pub seed: u64,
}

/// How somebody takes calls and presses keys, and what ails them.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Temper {
    /// Takes the call at the second ring and answers every question.
    Prompt,
    /// Takes the call late.
    Late,
    /// Lets it ring.
    Absent,
    /// Lets the first call of a day ring and takes the second.
    SecondCall,
    /// Speaks with somebody else.
    Busy,
    /// Has no telephone: the number does not exist.
    InvalidNumber,
    /// Refuses the call.
    Declines,
    /// Has switched the telephone off.
    Unreachable,
    /// Cannot be reached, for the carrier has no free line.
    CarrierFull,
    /// Cannot be reached, for the carrier fails.
    CarrierFails,
    /// Is a machine: a greeting, a beep, and it records.
    Machine,
    /// Has a machine announce that the call is recorded; then takes the call.
    Screened,
    /// Takes the call and makes no sound.
    Silent,
    /// Takes the call and speaks instead of pressing keys.
    Talks,
    /// Presses a wrong key or value first, then the right one.
    Mistypes,
    /// Does not know, or does not say, the right birth date.
    Stranger,
    /// Hangs up in the middle of the questions.
    HangsUp,
    /// Lives with the patient and answers for them.
    Family,
    /// Fetches the patient, who then answers.
    HandsOver,
    /// Tells that the patient is not there.
    NotHere,
    /// Presses keys before the question has ended.
    Impatient,
    /// Presses `#` after each digit until told that digits are missing.
    HashEachDigit,
    /// Takes twelve seconds for a key. Needs the slow profile to be understood.
    Slow,
    /// Does not know.
    Unsure,
    /// Has no instrument at hand.
    Unmeasured,
    /// Falls ill with fever on the third day.
    FeverOnThirdDay,
    /// Has little oxygen in the blood, but no sign of danger.
    LowOxygen,
    /// Is out of breath, but has no urgent sign and good SpO2.
    Breathless,
    /// Is in danger.
    Urgent,
    /// Presses the key that asks for help at the first question with yes and no.
    AsksForHelp,
    /// Is in danger, tells so, and is gone the moment the key is released.
    UrgentThenGone,
}

impl Temper {
    /// Every temper, in the order of this file.
    pub const ALL: [Self; 31] = [
        Self::Prompt,
        Self::Late,
        Self::Absent,
        Self::SecondCall,
        Self::Busy,
        Self::InvalidNumber,
        Self::Declines,
        Self::Unreachable,
        Self::CarrierFull,
        Self::CarrierFails,
        Self::Machine,
        Self::Screened,
        Self::Silent,
        Self::Talks,
        Self::Mistypes,
        Self::Stranger,
        Self::HangsUp,
        Self::Family,
        Self::HandsOver,
        Self::NotHere,
        Self::Impatient,
        Self::HashEachDigit,
        Self::Slow,
        Self::Unsure,
        Self::Unmeasured,
        Self::FeverOnThirdDay,
        Self::LowOxygen,
        Self::Breathless,
        Self::Urgent,
        Self::AsksForHelp,
        Self::UrgentThenGone,
    ];

    /// What becomes of the `nth` call of a day (1 for the first).
    pub fn pickup(self, nth: u32) -> Pickup {
        let seconds = |seconds| Pickup::Answer { after: Duration::from_secs(seconds) };
        let refuse =
            |seconds, refusal| Pickup::Refuse { after: Duration::from_secs(seconds), refusal };
        match self {
            Self::Absent => Pickup::Ring,
            Self::SecondCall if nth == 1 => Pickup::Ring,
            Self::Late => seconds(25),
            // Landlines with an answering machine: four rings of three seconds.
            Self::Machine => seconds(12),
            // The announcement comes before it rings.
            Self::Screened => seconds(0),
            Self::Busy => refuse(0, Refusal::Busy),
            Self::InvalidNumber => refuse(0, Refusal::InvalidNumber),
            Self::Declines => refuse(6, Refusal::Declined),
            Self::Unreachable => refuse(2, Refusal::Unreachable),
            Self::CarrierFull => refuse(0, Refusal::CarrierFull),
            Self::CarrierFails => refuse(0, Refusal::CarrierFails),
            Self::Slow => seconds(15),
            _ => seconds(4),
        }
    }

    /// How keys are pressed.
    pub fn touch(self) -> Touch {
        let ordinary = Touch {
            first_key: Duration::from_millis(900)..=Duration::from_millis(2500),
            between_keys: Duration::from_millis(350)..=Duration::from_millis(900),
            barges_in: false,
        };
        match self {
            Self::Slow => Touch {
                first_key: Duration::from_secs(11)..=Duration::from_secs(13),
                between_keys: Duration::from_secs(3)..=Duration::from_secs(5),
                ..ordinary
            },
            // Not before the question can be known: keys of the first 1.5 s may be meant for the
            // question before.
            Self::Impatient => Touch {
                first_key: Duration::from_millis(1600)..=Duration::from_millis(2200),
                between_keys: Duration::from_millis(200)..=Duration::from_millis(400),
                barges_in: true,
            },
            _ => ordinary,
        }
    }

    /// Whether this one has something to say to the staff, if there is a way.
    pub fn has_a_message(self) -> bool {
        matches!(self, Self::Talks | Self::Unsure | Self::Family | Self::FeverOnThirdDay)
    }

    /// Whether this one presses keys at all.
    pub fn presses_keys(self) -> bool {
        !matches!(self, Self::Machine | Self::Silent | Self::Talks)
    }
}

/// What becomes of a call before it is answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Pickup {
    /// It rings for this long and is answered.
    Answer {
        /// How long it rings.
        after: Duration,
    },
    /// It is refused.
    Refuse {
        /// How long it rings before.
        after: Duration,
        /// How it is refused.
        refusal: Refusal,
    },
    /// It rings until the caller gives up.
    Ring,
}

/// How a call is refused.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Refusal {
    /// The line is engaged.
    Busy,
    /// No such number.
    InvalidNumber,
    /// The person refuses.
    Declined,
    /// Switched off or out of reach.
    Unreachable,
    /// The carrier has no free line.
    CarrierFull,
    /// The carrier fails.
    CarrierFails,
}

impl Refusal {
    /// The SIP status by which a carrier says so.
    pub fn status(self) -> u16 {
        match self {
            Self::Busy => 486,
            Self::InvalidNumber => 404,
            Self::Declined => 603,
            Self::Unreachable => 480,
            Self::CarrierFull => 503,
            Self::CarrierFails => 500,
        }
    }

    /// What the road should make of it.
    pub fn disposition(self) -> Disposition {
        match self {
            Self::Busy => Disposition::Busy,
            Self::InvalidNumber => Disposition::InvalidNumber,
            Self::Declined => Disposition::Declined,
            Self::Unreachable => Disposition::Unreachable,
            Self::CarrierFull => Disposition::Congestion,
            Self::CarrierFails => Disposition::TrunkError,
        }
    }
}

/// How keys are pressed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Touch {
    /// From the end of the question to the first key; from its beginning when barging in.
    pub first_key: RangeInclusive<Duration>,
    /// From one key to the next.
    pub between_keys: RangeInclusive<Duration>,
    /// Presses while the question is still being said.
    pub barges_in: bool,
}

impl Persona {
    /// What this person means to answer on a day (0 for the first under observation), whatever
    /// keys they press on the way. Silence is never meant: who presses nothing means nothing.
    pub fn meant(&self, day: i32, question: &str) -> Answer {
        let mut rng = self.dice(day, question);
        match question {
            "temperature" | "spo2" if self.temper == Temper::Unmeasured => Answer::NotMeasured,
            "temperature" => Answer::Number(match self.temper {
                Temper::FeverOnThirdDay if day >= 2 => rng.random_range(382..=389),
                Temper::Urgent | Temper::UrgentThenGone => rng.random_range(380..=389),
                _ => rng.random_range(358..=369),
            }),
            "spo2" => Answer::Number(match self.temper {
                Temper::Urgent => rng.random_range(88..=93),
                Temper::LowOxygen => rng.random_range(94..=95),
                // Near enough that no drop is seen between two days.
                _ => rng.random_range(97..=99),
            }),
            _ => Answer::Choice(self.choice(day, question)),
        }
    }

    fn choice(&self, day: i32, question: &str) -> YesNo {
        match (self.temper, question) {
            (Temper::AsksForHelp, "consultation") => YesNo::Yes,
            // Who did not press that key does not want it either.
            (_, "consultation") => YesNo::No,
            (Temper::Unsure, _) => YesNo::Unknown,
            (Temper::Breathless | Temper::Urgent | Temper::UrgentThenGone, "dyspnea")
            | (Temper::Urgent, "urgent_breathing") => YesNo::Yes,
            (Temper::FeverOnThirdDay, "fatigue") if day < 2 => YesNo::No,
            (Temper::FeverOnThirdDay, "fatigue") => YesNo::Yes,
            // A common cold that lasts: the same answer every day.
            (_, "cough" | "fatigue") if self.dice(0, question).random_bool(0.3) => YesNo::Yes,
            (Temper::FeverOnThirdDay, "other_change" | "worse_than_yesterday") if day == 2 => {
                YesNo::Yes
            }
            _ => YesNo::No,
        }
    }

    /// How many questions are heard before this person hangs up.
    pub fn patience(&self) -> Option<u32> {
        (self.temper == Temper::HangsUp).then(|| self.dice(0, "patience").random_range(2..=5))
    }

    /// A generator for one matter, the same again for the same matter.
    pub fn dice(&self, day: i32, matter: &str) -> StdRng {
        // FNV-1a: spreads neighbouring seeds and days.
        let bytes = self.seed.to_le_bytes().into_iter().chain(day.to_le_bytes());
        let hash = bytes.chain(matter.bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        });
        StdRng::seed_from_u64(hash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persona_means_the_same_when_asked_again() {
        for temper in Temper::ALL {
            let persona = Persona { temper, seed: 3 };
            for day in 0..4 {
                for question in ["temperature", "spo2", "dyspnea", "cough"] {
                    assert_eq!(persona.meant(day, question), persona.meant(day, question));
                }
            }
        }
    }

    #[test]
    fn seeds_make_different_people() {
        let temperatures: std::collections::BTreeSet<String> = (0..50)
            .map(|seed| Persona { temper: Temper::Prompt, seed }.meant(0, "temperature").to_text())
            .collect();
        assert!(temperatures.len() > 6, "{temperatures:?}");
    }

    #[test]
    fn the_fever_comes_on_the_third_day() {
        for seed in 0..20 {
            let persona = Persona { temper: Temper::FeverOnThirdDay, seed };
            let has_fever = |day| matches!(persona.meant(day, "temperature"), Answer::Number(tenths) if tenths >= 375);
            assert_eq!([0, 1, 2, 3].map(has_fever), [false, false, true, true]);
        }
    }

    #[test]
    fn every_refusal_says_what_it_is() {
        for (refusal, status, disposition) in [
            (Refusal::Busy, 486, Disposition::Busy),
            (Refusal::InvalidNumber, 404, Disposition::InvalidNumber),
            (Refusal::Declined, 603, Disposition::Declined),
            (Refusal::Unreachable, 480, Disposition::Unreachable),
            (Refusal::CarrierFull, 503, Disposition::Congestion),
            (Refusal::CarrierFails, 500, Disposition::TrunkError),
        ] {
            assert_eq!((refusal.status(), refusal.disposition()), (status, disposition));
        }
    }
}
