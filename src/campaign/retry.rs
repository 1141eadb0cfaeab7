//! What follows from the attempts so far: call again, when and at which telephone, or stop.
//!
//! The rule is data ([`Policy`]). Four things are not: a telephone is left alone for at least
//! [`SPACING`] after each call, no call starts outside the slot and the window, what was the
//! carrier's fault is not counted against the patient, and nobody is called again by a machine
//! after a call that we broke off ourselves while the patient was talking.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::{Bilingual, PhoneNumber};
use crate::call::{Completion, Disposition, Respondent};
use crate::campaign::{Attempt, AttemptState, Slot, SlotState, Window, minutes};

/// The least time between two calls to one telephone: 端末設備等規則 第32条の3 allows few
/// automatic redials within three minutes, so there are none.
pub const SPACING: Duration = Duration::from_mins(3);

/// When to call again. All delays count from the end of the attempt.
///
/// In each list the n-th delay follows the n-th attempt that reached the patient's telephone, the
/// last one is used for all later attempts, and an empty list means: not again.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// No more attempts per slot than this, those that failed on the way to the telephone aside.
    pub attempts: u32,
    /// After a busy line.
    #[serde(with = "minutes::list")]
    pub busy: Vec<Duration>,
    /// After it rang in vain.
    #[serde(with = "minutes::list")]
    pub no_answer: Vec<Duration>,
    /// After somebody, or something, answered and no key was pressed.
    #[serde(with = "minutes::list")]
    pub no_key: Vec<Duration>,
    /// After an answering machine.
    #[serde(with = "minutes::list")]
    pub machine: Vec<Duration>,
    /// After a telephone that is off or out of reach.
    #[serde(with = "minutes::list")]
    pub unreachable: Vec<Duration>,
    /// After the called side refused the call.
    #[serde(with = "minutes::list")]
    pub declined: Vec<Duration>,
    /// After somebody said that it does not suit now, or that the patient is not there.
    #[serde(with = "minutes::list")]
    pub not_now: Vec<Duration>,
    /// After a call that ended before its questions did. It resumes where it ended.
    #[serde(with = "minutes::one")]
    pub incomplete: Duration,
    /// How often a call is resumed per slot.
    pub resumptions: u32,
    /// After a failure of the trunk, or a call that we cancelled: doubled after each failure in a
    /// row.
    #[serde(with = "minutes::one")]
    pub trunk_fault: Duration,
    /// No wait for the trunk is longer than this.
    #[serde(with = "minutes::one")]
    pub trunk_fault_longest: Duration,
    /// No automatic call to a patient for so long after an answer that was an emergency: the line
    /// must be free, and staff call back.
    #[serde(with = "minutes::one")]
    pub after_emergency: Duration,
    /// From which attempt on the next telephone takes its turn; the first one until then.
    pub next_phone_from: u32,
}

impl Policy {
    /// The shipped values. They sit inside what comparable services do (30 minutes twice; once
    /// after 60 minutes) and let a slot at 14:30 use up its attempts before the review at 16:00.
    pub fn shipped() -> Self {
        let minutes = |list: &[u64]| list.iter().copied().map(Duration::from_mins).collect();
        Self {
            attempts: 3,
            busy: minutes(&[5, 10, 20]),
            no_answer: minutes(&[20, 40, 60]),
            no_key: minutes(&[20, 40, 60]),
            machine: minutes(&[20, 40, 60]),
            unreachable: minutes(&[20, 40, 60]),
            declined: minutes(&[30, 60]),
            not_now: minutes(&[30, 60]),
            incomplete: Duration::from_mins(15),
            resumptions: 1,
            trunk_fault: SPACING,
            trunk_fault_longest: Duration::from_mins(15),
            after_emergency: Duration::from_hours(2),
            next_phone_from: 2,
        }
    }

    /// What to do for a slot after these attempts, in the order of their numbers. `phones` is in
    /// the order of dialling.
    pub fn next(
        &self,
        slot: &Slot,
        attempts: &[Attempt],
        phones: &[PhoneNumber],
        window: &Window,
    ) -> Next {
        if attempts.iter().any(|attempt| is_open(attempt.state)) {
            return Next::Underway;
        }
        let made = made(attempts);
        let stop = |reason| Next::Stop(final_state(&made, reason), reason);

        let delay = match made.last().map(|last| self.delay_after(last, &made)).transpose() {
            Ok(delay) => delay,
            Err(reason) => return stop(reason),
        };
        let Some(phone) = self.next_phone(&made, phones) else {
            return stop(if phones.is_empty() {
                StopReason::NoPhone
            } else {
                StopReason::InvalidNumber
            });
        };
        let earliest = delay.map_or(slot.due_from, |delay| {
            // Also a fault's clock never runs faster than the spacing of calls.
            let ended_at = made.iter().map(|attempt| end_of(attempt)).max();
            ended_at.unwrap_or(slot.due_from).max(slot.due_from) + delay.max(SPACING)
        });
        match window.next_open(earliest) {
            Some(due_at) if due_at < slot.due_to => Next::At { due_at, phone },
            Some(_) | None => stop(StopReason::NoTime),
        }
    }

    /// The delay after the last attempt, or why there is no further one.
    fn delay_after(&self, last: &Attempt, made: &[&Attempt]) -> Result<Duration, StopReason> {
        let count = |wanted: fn(Outcome) -> bool| {
            made.iter().filter(|attempt| wanted(Outcome::of(attempt))).count()
        };
        let counted = count(Outcome::counts);
        let step = |delays: &[Duration]| {
            let index = counted.min(delays.len()).checked_sub(1);
            let delay = index.and_then(|index| delays.get(index)).copied();
            delay.filter(|_| counted < self.attempts as usize).ok_or(StopReason::AttemptsUsedUp)
        };
        match Outcome::of(last) {
            Outcome::Reported => Err(StopReason::Reported),
            Outcome::Busy => step(&self.busy),
            Outcome::NoAnswer => step(&self.no_answer),
            Outcome::NoKey => step(&self.no_key),
            Outcome::Machine => step(&self.machine),
            Outcome::Unreachable => step(&self.unreachable),
            Outcome::Declined => step(&self.declined),
            Outcome::NotNow => step(&self.not_now),
            // The next telephone, if there is one, need not wait.
            Outcome::InvalidNumber => step(&[SPACING]).map_err(|_| StopReason::InvalidNumber),
            Outcome::NotIdentified => Err(StopReason::NotIdentified),
            Outcome::BrokenOff => Err(StopReason::BrokenOff),
            Outcome::Incomplete => {
                let resumed = count(|outcome| outcome == Outcome::Incomplete) - 1;
                let delay = step(&[self.incomplete]).ok();
                delay.filter(|_| resumed < self.resumptions as usize).ok_or(StopReason::Incomplete)
            }
            Outcome::TrunkFault => Ok(self.trunk_delay(made)),
        }
    }

    fn trunk_delay(&self, made: &[&Attempt]) -> Duration {
        let in_a_row = made
            .iter()
            .rev()
            .take_while(|attempt| Outcome::of(attempt) == Outcome::TrunkFault)
            .count();
        let doublings = u32::try_from(in_a_row.saturating_sub(1)).unwrap_or(u32::MAX).min(10);
        self.trunk_fault.saturating_mul(1 << doublings).min(self.trunk_fault_longest)
    }

    /// The index of the telephone whose turn it is; `None` if all are known to be invalid.
    fn next_phone(&self, made: &[&Attempt], phones: &[PhoneNumber]) -> Option<usize> {
        let is_invalid = |phone: &PhoneNumber| {
            made.iter().any(|attempt| {
                attempt.phone == *phone && Outcome::of(attempt) == Outcome::InvalidNumber
            })
        };
        let usable: Vec<usize> =
            (0..phones.len()).filter(|index| !is_invalid(&phones[*index])).collect();
        if usable.is_empty() {
            return None;
        }
        // Who began to answer is called back where he is.
        if let Some(last) = made.last().filter(|last| Outcome::of(last) == Outcome::Incomplete)
            && let Some(same) = usable.iter().find(|index| phones[**index] == last.phone)
        {
            return Some(*same);
        }
        let tried = made
            .iter()
            .map(|attempt| Outcome::of(attempt))
            .filter(|outcome| outcome.counts() && *outcome != Outcome::InvalidNumber)
            .count();
        // With `next_phone_from` 2, the second attempt takes the second telephone.
        let turn = (tried + 2).saturating_sub(self.next_phone_from.max(2) as usize);
        Some(usable[turn % usable.len()])
    }
}

/// What to do for a slot.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Next {
    /// Call.
    At {
        /// Not before. Inside the window and the slot; it may lie in the past.
        due_at: Timestamp,
        /// The index of the telephone in the order of dialling.
        phone: usize,
    },
    /// Do nothing more.
    Stop(SlotState, StopReason),
    /// An attempt is due or under way: ask again when it is over.
    Underway,
}

/// Why nobody is called again for a slot.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum StopReason {
    /// All that is required was answered.
    Reported,
    /// The policy allows no more attempts.
    AttemptsUsedUp,
    /// The slot or the window ends before the next attempt could start.
    NoTime,
    /// No telephone has a number that exists.
    InvalidNumber,
    /// The patient has no telephone number.
    NoPhone,
    /// The birth date was wrong twice.
    NotIdentified,
    /// The call was answered and resumed, and still not finished.
    Incomplete,
    /// Our process died after the call was answered.
    BrokenOff,
}

impl StopReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Reported,
        Self::AttemptsUsedUp,
        Self::NoTime,
        Self::InvalidNumber,
        Self::NoPhone,
        Self::NotIdentified,
        Self::Incomplete,
        Self::BrokenOff,
    ];

    /// The word for it in the store and in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::AttemptsUsedUp => "attempts_used_up",
            Self::NoTime => "no_time",
            Self::InvalidNumber => "invalid_number",
            Self::NoPhone => "no_phone",
            Self::NotIdentified => "not_identified",
            Self::Incomplete => "incomplete",
            Self::BrokenOff => "broken_off",
        }
    }

    /// For staff.
    pub fn explanation(self) -> Bilingual {
        match self {
            Self::Reported => Bilingual::fixed("回答済み", "reported"),
            Self::AttemptsUsedUp => Bilingual::fixed(
                "規定の回数を発信しましたが、つながりませんでした",
                "not reached by all attempts",
            ),
            Self::NoTime => Bilingual::fixed(
                "時間内に発信できませんでした",
                "no time was left for another attempt",
            ),
            Self::InvalidNumber => Bilingual::fixed(
                "電話番号が使われていません。番号を確認してください",
                "the telephone number does not exist: please correct it",
            ),
            Self::NoPhone => Bilingual::fixed(
                "電話番号が登録されていません",
                "no telephone number is registered",
            ),
            Self::NotIdentified => Bilingual::fixed(
                "生年月日で本人を確認できませんでした",
                "the birth date did not match",
            ),
            Self::Incomplete => Bilingual::fixed(
                "通話が途中で終わりました",
                "the calls ended before the questions did",
            ),
            Self::BrokenOff => Bilingual::fixed(
                "応答後にシステム側で通話が途切れました。職員から連絡してください",
                "our side broke off an answered call: please call the patient",
            ),
        }
    }
}

impl fmt::Display for StopReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The three results of an attempt, seen as one for the purpose of calling again.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Outcome {
    Reported,
    Busy,
    NoAnswer,
    NoKey,
    Machine,
    Unreachable,
    Declined,
    NotNow,
    InvalidNumber,
    NotIdentified,
    Incomplete,
    /// Our process died after the answer.
    BrokenOff,
    /// The patient's telephone was not tried, as far as we know.
    TrunkFault,
}

impl Outcome {
    fn of(attempt: &Attempt) -> Self {
        match attempt.disposition {
            Some(Disposition::Busy) => Self::Busy,
            Some(Disposition::NoAnswer) => Self::NoAnswer,
            Some(Disposition::Unreachable) => Self::Unreachable,
            Some(Disposition::Declined) => Self::Declined,
            Some(Disposition::InvalidNumber) => Self::InvalidNumber,
            Some(Disposition::Answered) => Self::of_dialogue(attempt),
            // An attempt that is over without a disposition was lost by a crash.
            Some(Disposition::Interrupted) | None if attempt.answered_at.is_some() => {
                match attempt.completion {
                    Some(Completion::Complete) => Self::Reported,
                    _ => Self::BrokenOff,
                }
            }
            Some(
                Disposition::Congestion
                | Disposition::TrunkError
                | Disposition::Cancelled
                | Disposition::Interrupted,
            )
            | None => Self::TrunkFault,
        }
    }

    fn of_dialogue(attempt: &Attempt) -> Self {
        match attempt.completion {
            Some(Completion::Complete) => Self::Reported,
            Some(Completion::Partial | Completion::HungUp | Completion::SystemError) => {
                Self::Incomplete
            }
            Some(Completion::NotIdentified) => Self::NotIdentified,
            Some(Completion::Refused) => Self::NotNow,
            Some(Completion::NoInput) | None if attempt.respondent == Some(Respondent::NotHere) => {
                Self::NotNow
            }
            Some(Completion::NoInput) | None if attempt.respondent == Some(Respondent::Machine) => {
                Self::Machine
            }
            Some(Completion::NoInput) | None => Self::NoKey,
        }
    }

    fn counts(self) -> bool {
        self != Self::TrunkFault
    }
}

fn is_open(state: AttemptState) -> bool {
    match state {
        AttemptState::Due | AttemptState::Dialing | AttemptState::Talking => true,
        AttemptState::Done | AttemptState::Dropped => false,
    }
}

/// When a finished attempt was over, as well as it is known.
fn end_of(attempt: &Attempt) -> Timestamp {
    attempt.ended_at.or(attempt.answered_at).or(attempt.dialed_at).unwrap_or(attempt.due_at)
}

/// What a slot comes to whose time is over. Attempts that still wait are left out of account.
pub(crate) fn out_of_time(attempts: &[Attempt]) -> SlotState {
    final_state(&made(attempts), StopReason::NoTime)
}

/// The attempts that were made and are over.
fn made(attempts: &[Attempt]) -> Vec<&Attempt> {
    attempts.iter().filter(|attempt| attempt.state == AttemptState::Done).collect()
}

/// What a slot comes to when nothing more is done for it.
fn final_state(made: &[&Attempt], reason: StopReason) -> SlotState {
    let answered_some = made.iter().any(|attempt| attempt.completion == Some(Completion::Partial));
    if reason == StopReason::Reported {
        SlotState::Reported
    } else if answered_some {
        SlotState::Partial
    } else if made.iter().any(|attempt| Outcome::of(attempt).counts())
        || reason == StopReason::NoPhone
    {
        SlotState::Unreached
    } else {
        SlotState::Expired
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use jiff::civil::{Date, Time, time};

    use super::*;
    use crate::base::clock;
    use crate::base::id::Minter;
    use crate::campaign::SlotKind;

    fn at(time: Time) -> Timestamp {
        clock::timestamp(Date::constant(2026, 11, 22).to_datetime(time))
    }

    fn slot() -> Slot {
        let mut minter = Minter::new([7; 32]);
        Slot {
            id: minter.mint(Timestamp::UNIX_EPOCH),
            episode: minter.mint(Timestamp::UNIX_EPOCH),
            patient: minter.mint(Timestamp::UNIX_EPOCH),
            date: Date::constant(2026, 11, 22),
            number: 1,
            due_from: at(time(9, 0, 0, 0)),
            due_to: at(time(12, 0, 0, 0)),
            state: SlotState::Due,
            reason: None,
            pause: None,
            kind: SlotKind::Planned,
            campaign: None,
        }
    }

    fn phones(count: usize) -> Vec<PhoneNumber> {
        (0..count).map(|n| format!("090-1234-000{n}").parse().unwrap()).collect()
    }

    /// An attempt whose outcome is told by one word, and which took a minute.
    fn made(number: u32, outcome: &str, phone: &PhoneNumber, due_at: Timestamp) -> Attempt {
        let answered = |completion| (Disposition::Answered, None, Some(completion));
        let (disposition, respondent, completion) = match outcome {
            "machine" => {
                (Disposition::Answered, Some(Respondent::Machine), Some(Completion::NoInput))
            }
            "not-here" => {
                (Disposition::Answered, Some(Respondent::NotHere), Some(Completion::Refused))
            }
            "lost" => (Disposition::Interrupted, None, None),
            "lost-talking" => (Disposition::Interrupted, None, Some(Completion::Partial)),
            word => match Completion::parse(word) {
                Some(completion) => answered(completion),
                None => (word.parse().unwrap(), None, None),
            },
        };
        let is_answered = disposition == Disposition::Answered || outcome == "lost-talking";
        Attempt {
            id: Minter::new([8; 32]).mint(due_at),
            slot: slot().id,
            number,
            phone: phone.clone(),
            due_at,
            state: AttemptState::Done,
            dialed_at: Some(due_at),
            answered_at: is_answered.then_some(due_at),
            ended_at: Some(due_at + Duration::from_mins(1)),
            disposition: Some(disposition),
            respondent,
            completion,
        }
    }

    /// Plays outcomes; writes when and on which telephone each call was made, and what came next.
    fn play(policy: &Policy, n_phones: usize, script: &str) -> String {
        let window = Window::new(time(8, 0, 0, 0), time(20, 0, 0, 0)).unwrap();
        let (slot, phones) = (slot(), phones(n_phones));
        let mut attempts = Vec::new();
        let mut text = String::new();
        for (number, word) in (1..).zip(script.split_whitespace().chain([""])) {
            match policy.next(&slot, &attempts, &phones, &window) {
                Next::At { due_at, phone } => {
                    let time = clock::civil(due_at).strftime("%R");
                    write!(text, "{time}/{phone} ").unwrap();
                    if !word.is_empty() {
                        attempts.push(made(number, word, &phones[phone], due_at));
                    }
                }
                Next::Stop(state, reason) => {
                    write!(text, "{} {reason}", state.as_str()).unwrap();
                    assert!(word.is_empty(), "{script}: stopped before {word}");
                }
                Next::Underway => text.push_str("underway"),
            }
        }
        text
    }

    #[test]
    fn each_outcome_has_its_own_delays_from_the_end_of_the_call() {
        for (script, expected) in [
            ("", "09:00/0 "),
            ("busy", "09:00/0 09:06/0 "),
            ("busy busy", "09:00/0 09:06/0 09:17/0 "),
            ("busy busy busy", "09:00/0 09:06/0 09:17/0 unreached attempts_used_up"),
            ("no_answer no_answer", "09:00/0 09:21/0 10:02/0 "),
            ("no_answer no_answer no_answer", "09:00/0 09:21/0 10:02/0 unreached attempts_used_up"),
            ("busy no_answer", "09:00/0 09:06/0 09:47/0 "),
            ("unreachable", "09:00/0 09:21/0 "),
            ("declined", "09:00/0 09:31/0 "),
            ("machine", "09:00/0 09:21/0 "),
            ("no_input", "09:00/0 09:21/0 "),
            ("not-here", "09:00/0 09:31/0 "),
            ("refused refused refused", "09:00/0 09:31/0 10:32/0 unreached attempts_used_up"),
            ("complete", "09:00/0 reported reported"),
            ("busy complete", "09:00/0 09:06/0 reported reported"),
            ("not_identified", "09:00/0 unreached not_identified"),
        ] {
            assert_eq!(play(&Policy::shipped(), 1, script), expected, "{script}");
        }
    }

    #[test]
    fn an_unfinished_call_is_resumed_once_on_the_same_telephone() {
        for (script, expected) in [
            ("partial", "09:00/0 09:16/0 "),
            ("no_answer hung_up", "09:00/0 09:21/1 09:37/1 "),
            ("partial partial", "09:00/0 09:16/0 partial incomplete"),
            ("hung_up hung_up", "09:00/0 09:16/0 unreached incomplete"),
            ("system_error complete", "09:00/0 09:16/0 reported reported"),
            ("partial no_answer no_answer", "09:00/0 09:16/0 09:57/0 partial attempts_used_up"),
            ("busy busy partial", "09:00/0 09:06/1 09:17/0 partial incomplete"),
        ] {
            assert_eq!(play(&Policy::shipped(), 2, script), expected, "{script}");
        }
    }

    #[test]
    fn the_trunks_faults_are_not_the_patients() {
        for (script, expected) in [
            ("trunk_error", "09:00/0 09:04/0 "),
            (
                "congestion trunk_error lost trunk_error cancelled",
                "09:00/0 09:04/0 09:11/0 09:24/0 09:40/0 09:56/0 ",
            ),
            (
                "trunk_error no_answer trunk_error no_answer no_answer",
                "09:00/0 09:04/0 09:25/1 09:29/1 10:10/0 unreached attempts_used_up",
            ),
        ] {
            assert_eq!(play(&Policy::shipped(), 2, script), expected, "{script}");
        }
        let all_day = "trunk_error ".repeat(13);
        assert!(play(&Policy::shipped(), 1, &all_day).ends_with("expired no_time"));
    }

    #[test]
    fn a_call_that_we_broke_off_is_left_to_staff() {
        assert_eq!(play(&Policy::shipped(), 2, "lost-talking"), "09:00/0 partial broken_off");
    }

    #[test]
    fn a_number_that_does_not_exist_is_not_called_again() {
        for (n_phones, script, expected) in [
            (1, "invalid_number", "09:00/0 unreached invalid_number"),
            (2, "invalid_number", "09:00/0 09:04/1 "),
            (2, "invalid_number invalid_number", "09:00/0 09:04/1 unreached invalid_number"),
            (3, "no_answer invalid_number", "09:00/0 09:21/1 09:25/2 "),
            (0, "", "unreached no_phone"),
        ] {
            assert_eq!(play(&Policy::shipped(), n_phones, script), expected, "{script}");
        }
    }

    #[test]
    fn telephones_take_turns_from_the_second_attempt_or_later() {
        let script = "no_answer no_answer";
        assert_eq!(play(&Policy::shipped(), 2, script), "09:00/0 09:21/1 10:02/0 ");
        assert_eq!(play(&Policy::shipped(), 3, script), "09:00/0 09:21/1 10:02/2 ");
        let late = Policy { next_phone_from: 3, ..Policy::shipped() };
        assert_eq!(play(&late, 2, script), "09:00/0 09:21/0 10:02/1 ");
    }

    #[test]
    fn the_policy_is_data() {
        let machine = Policy { machine: vec![Duration::from_mins(5)], ..Policy::shipped() };
        assert_eq!(play(&machine, 1, "machine"), "09:00/0 09:06/0 ");
        let no_key = Policy { no_key: vec![], ..Policy::shipped() };
        assert_eq!(play(&no_key, 1, "no_input"), "09:00/0 unreached attempts_used_up");
        let never = Policy { no_answer: vec![], ..Policy::shipped() };
        assert_eq!(play(&never, 1, "no_answer"), "09:00/0 unreached attempts_used_up");
        let hasty = Policy { busy: vec![Duration::ZERO], ..Policy::shipped() };
        assert_eq!(play(&hasty, 1, "busy"), "09:00/0 09:04/0 ", "three minutes at least");
        let once = Policy { attempts: 1, ..Policy::shipped() };
        assert_eq!(play(&once, 1, "partial"), "09:00/0 partial incomplete");
        let slow = Policy { no_answer: vec![Duration::from_mins(90)], ..Policy::shipped() };
        assert_eq!(play(&slow, 1, "no_answer no_answer"), "09:00/0 10:31/0 unreached no_time");
    }

    #[test]
    fn nothing_is_decided_while_an_attempt_is_open() {
        let window = Window::new(time(8, 0, 0, 0), time(20, 0, 0, 0)).unwrap();
        let (slot, phones) = (slot(), phones(1));
        for (state, is_open) in [
            (AttemptState::Due, true),
            (AttemptState::Dialing, true),
            (AttemptState::Talking, true),
            (AttemptState::Dropped, false),
        ] {
            let open = Attempt { state, ..made(1, "busy", &phones[0], slot.due_from) };
            let next = Policy::shipped().next(&slot, &[open], &phones, &window);
            assert_eq!(next == Next::Underway, is_open, "{state:?}");
        }
    }
}
