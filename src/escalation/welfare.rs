//! 安否確認: whoever was silent all day is on a list, and a person decides what is done about it.
//!
//! ```text
//! Listed ──decide──► Decided ──settle──► Settled
//!                     │  ▲
//!                     └──┘ decided anew
//! ```
//!
//! Evening slots (寝る前) are over after the meeting: who misses one is on the list of the night.
//!
//! Nothing closes by itself: a report that comes later is shown beside the name, and it is still a
//! person who settles it. (事務連絡 令和4年1月14日: 当日17時締めで対応を協議し、当日中に安否確認。)

use std::cmp::Reverse;

use jiff::civil::Time;
use jiff::{SignedDuration, Timestamp};

use crate::base::Bilingual;
use crate::base::clock::{civil, timestamp};
use crate::base::id::{EpisodeId, WelfareCheckId};
use crate::campaign::terms::Silence;
use crate::campaign::{Attempt, Slot, SlotKind, SlotState, schedule};
use crate::escalation::evaluate::{PatientFacts, is_in_vain};
use crate::escalation::{Fact, FactSource, Priority};

/// After so many characters a reason is a report.
pub const LONGEST_WORDS: usize = 500;

/// Under what facts of this file stand where others name their set of rules.
const TERMS: &str = "terms";

/// Which list of a day.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum List {
    /// Of those who were silent by day.
    Day,
    /// Of those who missed an evening slot (寝る前).
    Night,
}

impl List {
    /// Both, in the order in which they are made.
    pub const ALL: [Self; 2] = [Self::Day, Self::Night];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Day => "day",
            Self::Night => "night",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|list| list.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Day => Bilingual::fixed("日中", "day"),
            Self::Night => Bilingual::fixed("夜", "night"),
        }
    }

    /// Whether a slot is judged by it.
    pub fn judges(self, slot: &Slot, cadence: &schedule::Config) -> bool {
        let is_evening = cadence.is_evening(civil(slot.due_from).time());
        slot.kind == SlotKind::Planned && is_evening == (self == Self::Night)
    }
}

/// Why somebody is on the list.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Why {
    /// Called in vain, as often as the terms say.
    Unreached,
    /// Somebody took a call, but answered nothing.
    NoAnswers,
    /// The time passed, and nobody called.
    NotCalled,
    /// Calls are still to come, or under way.
    Waiting,
}

impl Why {
    /// Every reason, the one that weighs most first.
    pub const ALL: [Self; 4] = [Self::Unreached, Self::NoAnswers, Self::NotCalled, Self::Waiting];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unreached => "unreached",
            Self::NoAnswers => "no_answers",
            Self::NotCalled => "not_called",
            Self::Waiting => "waiting",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|why| why.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Unreached => Bilingual::fixed("電話に応答なし", "not reached by telephone"),
            Self::NoAnswers => {
                Bilingual::fixed("電話に出たが回答なし", "took a call, answered nothing")
            }
            Self::NotCalled => Bilingual::fixed("架電できなかった", "was not called"),
            Self::Waiting => Bilingual::fixed("架電の途中", "calls still to come"),
        }
    }

    fn of(state: SlotState) -> Option<Self> {
        match state {
            SlotState::Unreached => Some(Self::Unreached),
            SlotState::Partial => Some(Self::NoAnswers),
            SlotState::Expired => Some(Self::NotCalled),
            SlotState::Due | SlotState::InProgress => Some(Self::Waiting),
            SlotState::Reported | SlotState::Skipped => None,
        }
    }
}

/// Why a patient under observation belongs on a list; `None` if they do not.
///
/// Then something was heard of them today, or since the last evening slot began, or nothing was owed to them
/// yet. `slots` are those of the day.
pub fn why(
    list: List,
    slots: &[Slot],
    heard_at: Option<Timestamp>,
    now: Timestamp,
    cadence: &schedule::Config,
) -> Option<Why> {
    let begun = || slots.iter().filter(|slot| list.judges(slot, cadence) && slot.due_from <= now);
    let since = match list {
        List::Day => timestamp(civil(now).date().to_datetime(Time::midnight())),
        // The last call of the evening counts: what was said before it says nothing of the night.
        List::Night => begun().map(|slot| slot.due_from).max()?,
    };
    let judged = || begun().filter(|slot| list == List::Day || since <= slot.due_from);
    if heard_at.is_some_and(|at| at >= since) {
        return None;
    }
    if judged().any(|slot| slot.state == SlotState::Reported) {
        return None;
    }
    let reasons: Vec<Why> = judged().filter_map(|slot| Why::of(slot.state)).collect();
    Why::ALL.into_iter().find(|why| reasons.contains(why))
}

/// In which order people stand on the list: high risk or living alone first, then those who were
/// silent longest.
pub fn rank(is_frail: bool, heard_at: Option<Timestamp>) -> impl Ord + use<> {
    (Reverse(is_frail), heard_at)
}

/// What is done about somebody.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Choice {
    /// 訪問
    Visit,
    /// 警察
    Police,
    /// 消防
    Fire,
    /// 家族確認
    Family,
    /// 様子を見る
    Wait,
    /// 連絡がついた
    Reached,
}

impl Choice {
    /// Every choice, in the order of the form.
    pub const ALL: [Self; 6] =
        [Self::Visit, Self::Police, Self::Fire, Self::Family, Self::Wait, Self::Reached];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Visit => "visit",
            Self::Police => "police",
            Self::Fire => "fire",
            Self::Family => "family",
            Self::Wait => "wait",
            Self::Reached => "reached",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Visit => Bilingual::fixed("訪問", "visit"),
            Self::Police => Bilingual::fixed("警察に依頼", "ask the police"),
            Self::Fire => Bilingual::fixed("消防に依頼", "ask the fire service"),
            Self::Family => Bilingual::fixed("家族に確認", "ask the family"),
            Self::Wait => Bilingual::fixed("様子を見る", "wait"),
            Self::Reached => Bilingual::fixed("連絡がついた", "was reached"),
        }
    }
}

/// How far somebody's welfare check has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step {
    /// On the list; nobody has decided.
    Listed,
    /// Decided; what came of it is not known.
    Decided,
    /// Over.
    Settled,
}

/// What a member of the staff does.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Act {
    /// Decides what is done, and says why.
    Decide(Choice, String),
    /// Says what came of it.
    Settle(String),
}

/// Why something was refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// It needs words.
    NoWords,
    /// What came of it cannot be known before it is decided.
    NotDecided,
    /// It is over.
    Settled,
}

impl Step {
    /// Every step.
    pub const ALL: [Self; 3] = [Self::Listed, Self::Decided, Self::Settled];

    /// Where an act leads.
    ///
    /// # Errors
    /// What this step does not allow.
    pub fn act(self, act: &Act) -> Result<Self, Refusal> {
        let (Act::Decide(_, words) | Act::Settle(words)) = act;
        match (self, act) {
            (Self::Settled, _) => Err(Refusal::Settled),
            _ if words.trim().is_empty() => Err(Refusal::NoWords),
            (Self::Listed | Self::Decided, Act::Decide(..)) => Ok(Self::Decided),
            (Self::Listed, Act::Settle(_)) => Err(Refusal::NotDecided),
            (Self::Decided, Act::Settle(_)) => Ok(Self::Settled),
        }
    }
}

/// The fact that a check was not settled by the hour at which it goes to the supervisor.
pub fn unsettled(check: WelfareCheckId, step: Step, now: Timestamp) -> Fact {
    let text = match step {
        Step::Listed => "安否確認が未協議",
        Step::Decided | Step::Settled => "安否確認の結果が未入力",
    };
    fact("welfare-unsettled", Priority::P1, text.to_owned(), now, FactSource::Welfare(check))
}

/// The fact that a patient at high risk, or living alone, was called in vain as often as the terms
/// bear: at the attempt that makes the number full. `attempts` are those at one patient by time.
pub fn in_vain(patient: PatientFacts, attempts: &[Attempt], terms: &Silence) -> Option<Fact> {
    let last = attempts.last().filter(|last| is_in_vain(last))?;
    let at_slot = attempts.iter().filter(|one| one.slot == last.slot && is_in_vain(one));
    let n = at_slot.count();
    let is_full = patient.is_frail() && n == terms.frail_after_attempts as usize;
    is_full.then_some(())?;
    let text = format!("{n}回の架電に応答なし");
    let source = FactSource::Attempt(last.id);
    Some(fact("attempts-in-vain", Priority::P3, text, last.ended_at?, source))
}

/// The fact that nothing at all was heard of a patient for too long, whatever else is planned.
pub fn absent(
    patient: PatientFacts,
    episode: EpisodeId,
    silent_since: Timestamp,
    terms: &Silence,
    now: Timestamp,
) -> Option<Fact> {
    (now >= silent_since + absence(terms)).then_some(())?;
    let priority = if patient.is_frail() { Priority::P1 } else { Priority::P2 };
    let text = format!("{}時間以上、何の報告もない", terms.absence_hours);
    let since = u32::try_from(silent_since.as_second()).unwrap_or_default();
    Some(fact("absence", priority, text, now, FactSource::Silence(episode, since)))
}

/// How long nothing may be heard.
pub fn absence(terms: &Silence) -> SignedDuration {
    SignedDuration::from_hours(terms.absence_hours.into())
}

fn fact(rule: &str, priority: Priority, text: String, at: Timestamp, source: FactSource) -> Fact {
    Fact { rule: rule.to_owned(), rule_set: TERMS.to_owned(), priority, text, at, source }
}

#[cfg(test)]
mod tests {
    use jiff::civil::{Date, date};

    use super::*;
    use crate::base::id::Minter;
    use crate::campaign::Terms;

    const DAY: Date = date(2026, 11, 24);

    fn at(hour: i8) -> Timestamp {
        timestamp(DAY.at(hour, 0, 0, 0))
    }

    fn slot(hour: i8, state: SlotState) -> Slot {
        let mut minter = Minter::new([u8::try_from(hour).unwrap(); 32]);
        Slot {
            id: minter.mint(at(0)),
            episode: minter.mint(at(0)),
            patient: minter.mint(at(0)),
            date: DAY,
            number: 1,
            due_from: at(hour),
            due_to: at(hour + 2),
            state,
            reason: None,
            pause: None,
            kind: SlotKind::Planned,
            campaign: None,
        }
    }

    #[test]
    fn who_was_silent_all_day_is_on_the_list() {
        use SlotState::{Due, Expired, InProgress, Partial, Reported, Skipped, Unreached};
        for (states, heard, expected) in [
            (&[Unreached][..], None, Some(Why::Unreached)),
            (&[Unreached], Some(at(0) - SignedDuration::from_mins(1)), Some(Why::Unreached)),
            (&[Expired, Unreached], None, Some(Why::Unreached)),
            (&[Partial, Expired], None, Some(Why::NoAnswers)),
            (&[Expired], None, Some(Why::NotCalled)),
            (&[Skipped, Due], None, Some(Why::Waiting)),
            (&[InProgress], None, Some(Why::Waiting)),
            // Something was answered, or another channel reported.
            (&[Partial], Some(at(9)), None),
            (&[Unreached], Some(at(8)), None),
            (&[Reported, Unreached], None, None),
            // Nothing was owed: a pause, a holiday.
            (&[Skipped, Skipped], None, None),
            (&[], None, None),
        ] {
            let slots: Vec<Slot> =
                (9..).zip(states).map(|(hour, state)| slot(hour, *state)).collect();
            assert_eq!(by_day(&slots, heard, at(16)), expected, "{states:?} {heard:?}");
        }
        assert_eq!(by_day(&[slot(15, Due)], None, at(14)), None, "it has not begun");
        let by_hand = Slot { kind: SlotKind::ByHand, ..slot(9, Unreached) };
        assert_eq!(by_day(&[by_hand], None, at(16)), None, "an extra call is not owed");
    }

    fn by_day(slots: &[Slot], heard_at: Option<Timestamp>, now: Timestamp) -> Option<Why> {
        why(List::Day, slots, heard_at, now, &schedule::Config::shipped())
    }

    #[test]
    fn an_evening_slot_is_judged_at_night_and_for_itself() {
        use SlotState::{Due, Partial, Reported, Skipped, Unreached};
        let cadence = schedule::Config::shipped();
        for (day, evening, heard, expected) in [
            // By day all was well, or nothing at all: at night the evening counts.
            (Reported, Unreached, Some(at(9)), (None, Some(Why::Unreached))),
            (Unreached, Unreached, None, (Some(Why::Unreached), Some(Why::Unreached))),
            (Unreached, Reported, Some(at(19)), (None, None)),
            (Unreached, Partial, Some(at(18)), (None, Some(Why::NoAnswers))),
            (Reported, Due, Some(at(9)), (None, Some(Why::Waiting))),
            (Unreached, Skipped, None, (Some(Why::Unreached), None)),
            // Told by another way meanwhile.
            (Reported, Unreached, Some(at(20)), (None, None)),
        ] {
            let slots = [slot(9, day), slot(19, evening)];
            let of = |list| why(list, &slots, heard, at(21), &cadence);
            assert_eq!((of(List::Day), of(List::Night)), expected, "{day:?} {evening:?}");
        }
        assert_eq!(why(List::Night, &[slot(9, Unreached)], None, at(21), &cadence), None);
        // Of two evening slots the last one counts.
        for (last, heard, expected) in [
            (Unreached, Some(at(17)), Some(Why::Unreached)),
            (Reported, Some(at(19)), None),
            (Partial, Some(at(20)), None),
        ] {
            let slots = [slot(17, Reported), slot(19, last)];
            assert_eq!(why(List::Night, &slots, heard, at(21), &cadence), expected, "{last:?}");
        }
        assert_eq!(by_day(&[slot(16, Unreached)], None, at(17)), None, "it is judged at night");
    }

    #[test]
    fn the_frail_and_the_longest_silent_come_first() {
        let mut people = [
            ("d", false, Some(at(9))),
            ("c", false, None),
            ("b", true, Some(at(9))),
            ("a", true, None),
        ];
        people.sort_by_key(|(_, is_frail, heard)| rank(*is_frail, *heard));
        assert_eq!(people.map(|(name, ..)| name), ["a", "b", "c", "d"]);
    }

    #[test]
    fn what_each_step_allows() {
        let decide = |words: &str| Act::Decide(Choice::Visit, words.to_owned());
        let settle = |words: &str| Act::Settle(words.to_owned());
        let table: Vec<String> = Step::ALL
            .iter()
            .flat_map(|step| {
                [
                    ("decide", decide("訪問する")),
                    ("settle", settle("在宅を確認")),
                    ("mute", decide(" ")),
                ]
                .map(|(name, act)| format!("{step:?} {name}: {:?}", step.act(&act)))
            })
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r"
        Listed decide: Ok(Decided)
        Listed settle: Err(NotDecided)
        Listed mute: Err(NoWords)
        Decided decide: Ok(Decided)
        Decided settle: Ok(Settled)
        Decided mute: Err(NoWords)
        Settled decide: Err(Settled)
        Settled settle: Err(Settled)
        Settled mute: Err(Settled)
        ");
    }

    #[test]
    fn a_silence_of_too_many_hours_is_one_fact() {
        let terms = Terms::shipped().silence;
        let episode = Minter::new([1; 32]).mint(at(0));
        let anybody = PatientFacts::default();
        let fact = |hour| absent(anybody, episode, at(9), &terms, at(9) + hour);
        assert_eq!(fact(SignedDuration::from_mins(36 * 60 - 1)), None);
        let first = fact(SignedDuration::from_hours(36)).unwrap();
        let later = fact(SignedDuration::from_hours(60)).unwrap();
        assert_eq!((&first.rule, first.source), (&later.rule, later.source), "once per silence");
        assert_eq!(first.priority, Priority::P2);
        let alone = PatientFacts { lives_alone: true, ..anybody };
        let fact = absent(alone, episode, at(9), &terms, at(9) + SignedDuration::from_hours(40));
        assert_eq!(fact.unwrap().priority, Priority::P1);
    }
}
