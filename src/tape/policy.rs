//! Which calls are recorded, and which recordings stay.

use std::time::Duration;

use crate::base::id::AttemptId;

/// Which recordings stay once their calls are over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Keep {
    /// None: calls are not recorded at all, only what a patient wants to say to the staff.
    None,
    /// Those of calls from which a case came.
    Escalated,
    /// Those, and so many of a hundred of the others.
    Sampled(u8),
    /// All.
    All,
}

impl Keep {
    /// The word in the store and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Escalated => "escalated",
            Self::Sampled(_) => "sampled",
            Self::All => "all",
        }
    }

    /// Reads [`Self::as_str`]; the share counts for samples only.
    pub fn parse(word: &str, sample_percent: u8) -> Option<Self> {
        match word {
            "none" => Some(Self::None),
            "escalated" => Some(Self::Escalated),
            "sampled" if sample_percent <= 100 => Some(Self::Sampled(sample_percent)),
            "all" => Some(Self::All),
            _ => None,
        }
    }

    /// So many of a hundred, where samples are kept; else 0.
    pub fn sample_percent(self) -> u8 {
        match self {
            Self::Sampled(percent) => percent,
            Self::None | Self::Escalated | Self::All => 0,
        }
    }
}

/// A centre's rule about recordings.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    /// Which stay.
    pub keep: Keep,
    /// For how many days.
    pub keep_days: u16,
}

impl Policy {
    /// Recording is off until a centre decides otherwise; 30 days is then usual.
    pub const SHIPPED: Self = Self { keep: Keep::None, keep_days: 30 };

    /// How long what is kept stays.
    pub fn retention(self) -> Duration {
        Duration::from_hours(24) * u32::from(self.keep_days)
    }
}

/// What a patient said to being recorded.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Consent {
    /// Nobody has asked yet; the greeting announces it.
    #[default]
    Unknown,
    /// Yes.
    Given,
    /// No: no sound is kept, not even a message.
    Refused,
}

impl Consent {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Given => "given",
            Self::Refused => "refused",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Unknown, Self::Given, Self::Refused]
            .into_iter()
            .find(|consent| consent.as_str() == word)
    }
}

/// How much of a call is recorded.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Scope {
    /// All of it; the greeting says so.
    Whole,
    /// Only what the patient says to the staff after the tone.
    Message,
}

impl Scope {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Whole => "whole",
            Self::Message => "message",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Whole, Self::Message].into_iter().find(|scope| scope.as_str() == word)
    }
}

/// Whether messages to the staff can be left in a call.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Messages {
    /// The questionnaire has such a step.
    Offered,
    /// It has none.
    NotOffered,
}

/// How much of a call is to be recorded; `None` means that no sound may be kept.
pub fn scope(keep: Keep, consent: Consent, messages: Messages) -> Option<Scope> {
    match (consent, keep, messages) {
        (Consent::Refused, _, _) => None,
        (_, Keep::None, Messages::Offered) => Some(Scope::Message),
        (_, Keep::None, Messages::NotOffered) => None,
        (_, Keep::Escalated | Keep::Sampled(_) | Keep::All, _) => Some(Scope::Whole),
    }
}

/// What is known of a call that is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub struct Facts {
    /// A case came of it, or it added to one.
    pub escalated: bool,
    /// Everything about it has been judged, so that no case will come of it later.
    pub judged: bool,
    /// The patient said something to the staff.
    pub has_message: bool,
    /// The lot fell on it: see [`is_sample`].
    pub sampled: bool,
}

/// What becomes of a recording.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It stays.
    Keep(Kept),
    /// It is deleted.
    Drop,
    /// That is known only when the call was judged.
    Wait,
}

/// Why a recording stays.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kept {
    /// A case came of the call.
    Case,
    /// The patient said something to the staff.
    Message,
    /// The lot fell on it.
    Sample,
    /// The centre keeps all.
    All,
}

impl Kept {
    /// The word in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Case => "case",
            Self::Message => "message",
            Self::Sample => "sample",
            Self::All => "all",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Case, Self::Message, Self::Sample, Self::All]
            .into_iter()
            .find(|kept| kept.as_str() == word)
    }
}

/// Decides what becomes of the recording of a call that is over.
pub fn verdict(keep: Keep, scope: Scope, facts: Facts) -> Verdict {
    if facts.has_message {
        return Verdict::Keep(Kept::Message);
    }
    match (keep, scope) {
        // Silence is all that it holds.
        (_, Scope::Message) | (Keep::None, Scope::Whole) => Verdict::Drop,
        (_, Scope::Whole) if facts.escalated => Verdict::Keep(Kept::Case),
        (Keep::All, Scope::Whole) => Verdict::Keep(Kept::All),
        (Keep::Sampled(_), Scope::Whole) if facts.sampled => Verdict::Keep(Kept::Sample),
        (Keep::Sampled(_) | Keep::Escalated, Scope::Whole) if facts.judged => Verdict::Drop,
        (Keep::Sampled(_) | Keep::Escalated, Scope::Whole) => Verdict::Wait,
    }
}

/// Whether the lot falls on a call: so many of a hundred, and the same again whoever asks.
pub fn is_sample(attempt: AttemptId, percent: u8) -> bool {
    // FNV-1a over the text; the last digits of an id are random, so any mixing serves.
    let hash = attempt.to_string().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    (hash >> 16) % 100 < u64::from(percent)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::Minter;

    #[test]
    fn who_refuses_is_never_recorded_and_who_is_not_asked_may_leave_a_message() {
        use Consent::{Given, Refused, Unknown};
        use Messages::{NotOffered, Offered};
        for (keep, consent, messages, expected) in [
            (Keep::All, Refused, Offered, None),
            (Keep::None, Refused, Offered, None),
            (Keep::None, Unknown, Offered, Some(Scope::Message)),
            (Keep::None, Given, Offered, Some(Scope::Message)),
            (Keep::None, Given, NotOffered, None),
            (Keep::Escalated, Unknown, NotOffered, Some(Scope::Whole)),
            (Keep::Sampled(5), Given, Offered, Some(Scope::Whole)),
            (Keep::All, Unknown, Offered, Some(Scope::Whole)),
        ] {
            assert_eq!(scope(keep, consent, messages), expected, "{keep:?} {consent:?}");
        }
    }

    #[test]
    fn what_is_not_kept_goes_when_the_call_was_judged() {
        const NONE: Facts =
            Facts { escalated: false, judged: false, has_message: false, sampled: false };
        let judged = Facts { judged: true, ..NONE };
        let escalated = Facts { escalated: true, ..NONE };
        let message = Facts { has_message: true, ..NONE };
        let sampled = Facts { sampled: true, ..NONE };
        let part = Keep::Sampled(10);
        for (keep, scope, facts, expected) in [
            (Keep::None, Scope::Message, NONE, Verdict::Drop),
            (Keep::None, Scope::Message, escalated, Verdict::Drop),
            (Keep::None, Scope::Message, message, Verdict::Keep(Kept::Message)),
            (Keep::Escalated, Scope::Whole, NONE, Verdict::Wait),
            (Keep::Escalated, Scope::Whole, sampled, Verdict::Wait),
            (Keep::Escalated, Scope::Whole, judged, Verdict::Drop),
            (Keep::Escalated, Scope::Whole, escalated, Verdict::Keep(Kept::Case)),
            (Keep::Escalated, Scope::Whole, message, Verdict::Keep(Kept::Message)),
            (part, Scope::Whole, NONE, Verdict::Wait),
            (part, Scope::Whole, judged, Verdict::Drop),
            (part, Scope::Whole, sampled, Verdict::Keep(Kept::Sample)),
            (part, Scope::Whole, escalated, Verdict::Keep(Kept::Case)),
            (Keep::All, Scope::Whole, NONE, Verdict::Keep(Kept::All)),
            (Keep::All, Scope::Whole, escalated, Verdict::Keep(Kept::Case)),
        ] {
            assert_eq!(verdict(keep, scope, facts), expected, "{keep:?} {scope:?} {facts:?}");
        }
    }

    #[test]
    fn the_lot_falls_on_about_as_many_as_asked_for() {
        let mut minter = Minter::new([3; 32]);
        let now = "2026-11-22T00:00:00Z".parse().unwrap();
        let attempts: Vec<AttemptId> = (0..2000).map(|_| minter.mint(now)).collect();
        for (percent, low, high) in [(0, 0, 0), (10, 140, 260), (50, 900, 1100), (100, 2000, 2000)]
        {
            let n = attempts.iter().filter(|attempt| is_sample(**attempt, percent)).count();
            assert!((low..=high).contains(&n), "{percent} %: {n}");
        }
    }
}
