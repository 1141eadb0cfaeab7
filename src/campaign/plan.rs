//! The plan of a turn: which attempts to add, and which slots to close.
//!
//! A pure function of what is stored. It may run at any time, twice, or after a crash: what it
//! decided last time is in the slots and attempts it is given.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::base::PhoneNumber;
use crate::base::id::{CampaignId, SlotId};
use crate::base::phone::may_be_dialled;
use crate::campaign::retry::{SPACING, out_of_time};
use crate::campaign::{
    Attempt, AttemptState, InForce, Next, Policy, Slot, SlotState, StopReason, VersionKey, Window,
};
use crate::registry::Held;

/// A slot that is not final, and all that its plan depends on.
#[derive(Clone, Debug)]
pub struct OpenSlot<'a> {
    /// The slot.
    pub slot: &'a Slot,
    /// Its attempts so far, by number.
    pub attempts: &'a [Attempt],
    /// The patient's telephones in the order of dialling.
    pub phones: Vec<PhoneNumber>,
    /// The hours of the patient's health centre.
    pub window: Window,
    /// When the patient last gave an answer that was an emergency, lately.
    pub emergency_at: Option<Timestamp>,
    /// The terms by which it goes on.
    pub terms: &'a InForce,
    /// Why no machine calls, if none does: the slot waits for a report by another way.
    pub held: Option<Held>,
}

/// What is known of telephones beyond the slots that are planned: households share them, and one
/// patient has several slots a day.
#[derive(Clone, Debug, Default)]
pub struct PhonesInUse {
    /// Telephones that are being called, or are about to be.
    pub busy: HashSet<PhoneNumber>,
    /// When the last call to a telephone was over.
    pub last_ended: HashMap<PhoneNumber, Timestamp>,
}

/// An attempt to be added. It gets its id from the store.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PlannedAttempt {
    /// For which slot.
    pub slot: SlotId,
    /// 1 for the first try; the next free number of the slot.
    pub number: u32,
    /// Which telephone.
    pub phone: PhoneNumber,
    /// Not before.
    pub due_at: Timestamp,
    /// The terms that made it; `None` for those of the installation.
    pub campaign: Option<VersionKey>,
    /// Before which others it goes.
    pub priority: Precedence,
}

/// Which attempts go first when lines are few. Whoever calls us comes before all of them: calls of
/// patients are answered, not claimed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Precedence {
    /// A value is to be measured again, an emergency is looked after, or staff asked for it.
    Urgent,
    /// Somebody was tried before.
    Retry,
    /// The first call for a slot.
    First,
}

impl Precedence {
    /// As it is stored: the lower the sooner.
    pub fn rank(self) -> i64 {
        match self {
            Self::Urgent => 1,
            Self::Retry => 2,
            Self::First => 3,
        }
    }

    fn of(one: &OpenSlot<'_>) -> Self {
        if one.slot.kind.is_urgent() {
            Self::Urgent
        } else if one.attempts.is_empty() {
            Self::First
        } else {
            Self::Retry
        }
    }
}

/// A slot to be closed. An attempt of it that is due is dropped with it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Closing {
    /// Which slot.
    pub slot: SlotId,
    /// What it came to.
    pub state: SlotState,
    /// Why nobody is called again.
    pub reason: StopReason,
}

/// What to write down.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Plan {
    /// Attempts to be added: by priority, then campaign by campaign in turn, each by due time.
    pub attempts: Vec<PlannedAttempt>,
    /// Slots to be closed.
    pub closings: Vec<Closing>,
}

/// Between two calls to one telephone that are planned for two patients, or for two slots of
/// one. It holds ringing, a whole interview and [`SPACING`], so that neither waits for the other.
pub const TURN: Duration = Duration::from_mins(10);

/// Plans the slots that are open.
///
/// `capacity` is how many attempts may become due at once, so that the queue stays short and a
/// retry need not stand behind a thousand first calls. Attempts that are due later are not
/// counted. A slot that gets neither an attempt nor a closing is to be planned again.
pub fn plan(now: Timestamp, open: &[OpenSlot<'_>], in_use: &PhonesInUse, capacity: usize) -> Plan {
    let mut plan = Plan::default();
    let mut wanted = Vec::new();
    for one in open.iter().filter(|one| !one.slot.state.is_final() && one.held.is_none()) {
        match decide(now, one, &one.terms.terms.retry) {
            Next::At { due_at, phone } => wanted.push(Wanted { one, due_at, phone, turn: 0 }),
            Next::Stop(state, reason) => {
                plan.closings.push(Closing { slot: one.slot.id, state, reason });
            }
            Next::Underway => {}
        }
    }
    in_turn(&mut wanted);

    let mut phones = Phones::new(now, open, in_use);
    let mut due_now = 0;
    for Wanted { one, due_at, phone, .. } in wanted {
        let phone = &one.phones[phone];
        let Some(due_at) = phones.turn(now, phone, due_at) else { continue };
        // Too late, or not now: it is closed when its time has come.
        let Some(due_at) = one.window.next_open(due_at).filter(|at| *at < one.slot.due_to) else {
            continue;
        };
        if due_at <= now {
            if due_now == capacity {
                continue;
            }
            due_now += 1;
        }
        phones.take(phone, due_at);
        let number = one.attempts.iter().map(|attempt| attempt.number).max().unwrap_or(0) + 1;
        let phone = phone.clone();
        plan.attempts.push(PlannedAttempt {
            slot: one.slot.id,
            number,
            phone,
            due_at,
            campaign: one.terms.key,
            priority: Precedence::of(one),
        });
    }
    plan
}

/// A call that the terms want.
struct Wanted<'a> {
    one: &'a OpenSlot<'a>,
    due_at: Timestamp,
    phone: usize,
    /// How many calls of the same priority and campaign come before it.
    turn: usize,
}

/// Sorts the calls: by priority, and among equals one of each campaign in turn, so that ten
/// thousand calls of one do not stand before twenty of another.
fn in_turn(wanted: &mut [Wanted<'_>]) {
    wanted.sort_by_key(|it| (Precedence::of(it.one), it.due_at, it.one.slot.id));
    let mut turns: HashMap<(Precedence, Option<CampaignId>), usize> = HashMap::new();
    for it in wanted.iter_mut() {
        let campaign = it.one.terms.key.map(|key| key.campaign);
        let turn = turns.entry((Precedence::of(it.one), campaign)).or_default();
        it.turn = *turn;
        *turn += 1;
    }
    wanted.sort_by_key(|it| (Precedence::of(it.one), it.turn, it.due_at, it.one.slot.id));
}

/// Whether a call may start at this very moment: the same rules again, just before dialling.
///
/// The slot is not final and its time has come and is not over, the window is open, and the
/// telephone may be dialled, is free and has been left alone for [`SPACING`].
pub fn may_start(
    now: Timestamp,
    attempt: &Attempt,
    slot: &Slot,
    window: &Window,
    in_use: &PhonesInUse,
) -> bool {
    let last_ended = in_use.last_ended.get(&attempt.phone);
    !slot.state.is_final()
        && slot.due_from <= now
        && now < slot.due_to
        && attempt.due_at <= now
        && window.is_open(now)
        && may_be_dialled(attempt.phone.e164()).is_ok()
        && !in_use.busy.contains(&attempt.phone)
        && last_ended.is_none_or(|ended_at| *ended_at + SPACING <= now)
}

/// What the policy says for the slot, at this moment: what is overdue is due now, and a slot
/// whose time is over is closed together with an attempt that still waits.
fn decide(now: Timestamp, one: &OpenSlot<'_>, policy: &Policy) -> Next {
    let is_calling =
        |attempt: &Attempt| matches!(attempt.state, AttemptState::Dialing | AttemptState::Talking);
    let next = policy.next(one.slot, one.attempts, &one.phones, &one.window);
    let due_at = match next {
        Next::At { due_at, .. } => {
            let quiet_until = one.emergency_at.map(|at| at + policy.after_emergency);
            due_at.max(now).max(quiet_until.unwrap_or(now))
        }
        Next::Underway => now,
        Next::Stop(..) => return next,
    };
    let has_time = one.window.next_open(due_at).is_some_and(|at| at < one.slot.due_to);
    if !has_time && !one.attempts.iter().any(is_calling) {
        return Next::Stop(out_of_time(one.attempts), StopReason::NoTime);
    }
    match next {
        Next::At { phone, .. } => Next::At { due_at, phone },
        other => other,
    }
}

/// The telephones of all open slots and of [`PhonesInUse`] together.
struct Phones {
    calling: HashSet<PhoneNumber>,
    last_ended: HashMap<PhoneNumber, Timestamp>,
    /// When calls are planned, ascending.
    planned: HashMap<PhoneNumber, BTreeSet<Timestamp>>,
}

impl Phones {
    fn new(now: Timestamp, open: &[OpenSlot<'_>], in_use: &PhonesInUse) -> Self {
        let mut phones = Self {
            calling: in_use.busy.clone(),
            last_ended: in_use.last_ended.clone(),
            planned: HashMap::new(),
        };
        for attempt in open.iter().flat_map(|one| one.attempts) {
            match attempt.state {
                AttemptState::Due => phones.take(&attempt.phone, attempt.due_at.max(now)),
                AttemptState::Dialing | AttemptState::Talking => {
                    phones.calling.insert(attempt.phone.clone());
                }
                AttemptState::Done => {
                    if let Some(ended_at) = attempt.ended_at {
                        let last = phones.last_ended.entry(attempt.phone.clone());
                        let last = last.or_insert(ended_at);
                        *last = ended_at.max(*last);
                    }
                }
                AttemptState::Dropped => {}
            }
        }
        phones
    }

    fn take(&mut self, phone: &PhoneNumber, at: Timestamp) {
        self.planned.entry(phone.clone()).or_default().insert(at);
    }

    /// The first time from `wanted` on that is free. `None` if that depends on a call under way.
    fn turn(&self, now: Timestamp, phone: &PhoneNumber, wanted: Timestamp) -> Option<Timestamp> {
        let free_at = self.last_ended.get(phone).map(|ended_at| *ended_at + SPACING);
        let mut at = free_at.map_or(wanted, |free_at| free_at.max(wanted));
        for taken in self.planned.get(phone).into_iter().flatten() {
            if at < *taken + TURN && *taken < at + TURN {
                at = *taken + TURN;
            }
        }
        let waits = self.calling.contains(phone) && at < now + TURN;
        (!waits).then_some(at)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, LazyLock};

    use jiff::civil::{Date, Time, time};
    use proptest::prelude::*;

    use super::*;
    use crate::base::clock;
    use crate::base::id::{AttemptId, Id, Minter};
    use crate::call::{Completion, Disposition};
    use crate::campaign::programme::State;
    use crate::campaign::{SlotKind, Terms, window};

    const DAY: Date = Date::constant(2026, 12, 31);

    static STANDING: LazyLock<InForce> = LazyLock::new(|| InForce {
        terms: Arc::new(Terms::shipped()),
        key: None,
        state: State::Running,
    });

    fn at(time: Time) -> Timestamp {
        window::on(DAY, time)
    }

    fn id<T: Id>(n: usize) -> T {
        Minter::new([u8::try_from(n).unwrap(); 32]).mint(Timestamp::UNIX_EPOCH)
    }

    fn phone(n: usize) -> PhoneNumber {
        format!("090-1234-{n:04}").parse().unwrap()
    }

    fn slot(n: usize, from: Time, to: Time) -> Slot {
        Slot {
            id: id(n),
            episode: id(n),
            patient: id(n),
            date: DAY,
            number: 1,
            due_from: at(from),
            due_to: at(to),
            state: SlotState::Due,
            reason: None,
            pause: None,
            kind: SlotKind::Planned,
            campaign: None,
        }
    }

    fn attempt(slot: &Slot, number: u32, phone: &PhoneNumber, due_at: Timestamp) -> Attempt {
        Attempt {
            id: id::<AttemptId>(100 + number as usize),
            slot: slot.id,
            number,
            phone: phone.clone(),
            due_at,
            state: AttemptState::Due,
            dialed_at: None,
            answered_at: None,
            ended_at: None,
            disposition: None,
            respondent: None,
            completion: None,
        }
    }

    fn done(attempt: Attempt, disposition: Disposition) -> Attempt {
        let ended_at = Some(attempt.due_at + Duration::from_mins(1));
        Attempt { state: AttemptState::Done, disposition: Some(disposition), ended_at, ..attempt }
    }

    fn open<'a>(slot: &'a Slot, attempts: &'a [Attempt], phones: &[PhoneNumber]) -> OpenSlot<'a> {
        let window = Window::new(time(9, 0, 0, 0), time(18, 0, 0, 0)).unwrap();
        let phones = phones.to_vec();
        OpenSlot {
            slot,
            attempts,
            phones,
            window,
            emergency_at: None,
            terms: &STANDING,
            held: None,
        }
    }

    /// `#1@09:00 …` for attempts and `=expired` for closings.
    fn planned(now: Time, slots: &[OpenSlot<'_>], capacity: usize) -> String {
        let plan = plan(at(now), slots, &PhonesInUse::default(), capacity);
        let attempts = plan.attempts.iter().map(|planned| {
            let time = clock::civil(planned.due_at).strftime("%R");
            format!("{}#{}@{time}", planned.phone, planned.number)
        });
        let closings = plan.closings.iter().map(|closing| format!("={}", closing.state.as_str()));
        attempts.chain(closings).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_slot_is_called_when_it_is_due_and_closed_when_its_time_is_over() {
        let (slot, phones) = (slot(1, time(9, 0, 0, 0), time(11, 0, 0, 0)), [phone(1)]);
        let day = |hour, minute| planned(time(hour, minute, 0, 0), &[open(&slot, &[], &phones)], 9);
        assert_eq!(day(8, 0), "…01#1@09:00");
        assert_eq!(day(9, 30), "…01#1@09:30", "a worker that slept calls late");
        assert_eq!(day(10, 59), "…01#1@10:59");
        assert_eq!(day(11, 0), "=expired");
        assert_eq!(day(23, 59), "=expired");
    }

    #[test]
    fn after_an_emergency_no_machine_calls_for_two_hours() {
        let (slot, phones) = (slot(1, time(12, 0, 0, 0), time(14, 0, 0, 0)), [phone(1)]);
        let after = |emergency: Time| {
            let emergency_at = Some(at(emergency));
            let open = OpenSlot { emergency_at, ..open(&slot, &[], &phones) };
            planned(time(12, 5, 0, 0), &[open], 9)
        };
        assert_eq!(after(time(9, 30, 0, 0)), "…01#1@12:05");
        assert_eq!(after(time(11, 50, 0, 0)), "…01#1@13:50");
        assert_eq!(after(time(12, 1, 0, 0)), "=expired", "the day's next slot asks again");
    }

    #[test]
    fn planning_twice_adds_nothing() {
        let (slot, phones) = (slot(1, time(9, 0, 0, 0), time(11, 0, 0, 0)), [phone(1)]);
        let attempts = [attempt(&slot, 1, &phones[0], slot.due_from)];
        assert_eq!(planned(time(9, 0, 0, 0), &[open(&slot, &attempts, &phones)], 9), "");
        let settled = Slot { state: SlotState::Skipped, ..slot.clone() };
        assert_eq!(planned(time(9, 0, 0, 0), &[open(&settled, &[], &phones)], 9), "");
    }

    #[test]
    fn an_attempt_that_still_waits_is_closed_with_its_slot() {
        let (slot, phones) = (slot(1, time(9, 0, 0, 0), time(11, 0, 0, 0)), [phone(1)]);
        let waiting = [attempt(&slot, 1, &phones[0], slot.due_from)];
        let now = time(11, 0, 0, 0);
        assert_eq!(planned(now, &[open(&slot, &waiting, &phones)], 9), "=expired");
        let talking = [Attempt { state: AttemptState::Talking, ..waiting[0].clone() }];
        assert_eq!(planned(now, &[open(&slot, &talking, &phones)], 9), "");
        let no_answer = done(waiting[0].clone(), Disposition::NoAnswer);
        let second = attempt(&slot, 2, &phones[0], at(time(10, 50, 0, 0)));
        assert_eq!(planned(now, &[open(&slot, &[no_answer, second], &phones)], 9), "=unreached");
    }

    #[test]
    fn retries_go_before_first_calls_and_the_queue_is_as_short_as_the_capacity() {
        let slots: Vec<Slot> =
            (1..=4).map(|n| slot(n, time(9, 0, 0, 0), time(11, 0, 0, 0))).collect();
        let phones: Vec<[PhoneNumber; 1]> = (0..=4).map(|n| [phone(n)]).collect();
        let busy =
            [done(attempt(&slots[3], 1, &phones[4][0], at(time(9, 0, 0, 0))), Disposition::Busy)];
        let later = [done(
            attempt(&slots[2], 1, &phones[3][0], at(time(9, 0, 0, 0))),
            Disposition::NoAnswer,
        )];
        let all = [
            open(&slots[0], &[], &phones[1]),
            open(&slots[1], &[], &phones[2]),
            open(&slots[2], &later, &phones[3]),
            open(&slots[3], &busy, &phones[4]),
        ];
        let now = time(9, 10, 0, 0);
        assert_eq!(planned(now, &all, 2), "…04#2@09:10 …03#2@09:21 …01#1@09:10");
        assert_eq!(planned(now, &all, 0), "…03#2@09:21");
    }

    #[test]
    fn a_household_is_called_one_after_the_other() {
        let slots: Vec<Slot> =
            (1..=3).map(|n| slot(n, time(9, 0, 0, 0), time(11, 0, 0, 0))).collect();
        let phones = [phone(1)];
        let all: Vec<OpenSlot<'_>> = slots.iter().map(|slot| open(slot, &[], &phones)).collect();
        assert_eq!(planned(time(9, 0, 0, 0), &all, 9), "…01#1@09:00 …01#1@09:10 …01#1@09:20");

        let ringing = Attempt {
            state: AttemptState::Dialing,
            ..attempt(&slots[0], 1, &phones[0], slots[0].due_from)
        };
        let all = [
            open(&slots[0], std::slice::from_ref(&ringing), &phones),
            open(&slots[1], &[], &phones),
        ];
        assert_eq!(planned(time(9, 1, 0, 0), &all, 9), "", "it depends on when the call ends");
        let over = [done(ringing, Disposition::NoAnswer)];
        let all = [open(&slots[0], &over, &phones), open(&slots[1], &[], &phones)];
        assert_eq!(planned(time(9, 2, 0, 0), &all, 9), "…01#2@09:21 …01#1@09:04");
    }

    #[test]
    fn the_rules_hold_again_at_the_moment_of_dialling() {
        let (slot, number) = (slot(1, time(9, 0, 0, 0), time(11, 0, 0, 0)), phone(1));
        let window = Window::new(time(9, 0, 0, 0), time(10, 0, 0, 0)).unwrap();
        let due = attempt(&slot, 1, &number, at(time(9, 10, 0, 0)));
        let free = PhonesInUse::default();
        let may = |minute, slot: &Slot, in_use: &PhonesInUse| {
            let now = at(time(9, 0, 0, 0)) + Duration::from_mins(minute);
            may_start(now, &due, slot, &window, in_use)
        };
        assert!(may(10, &slot, &free));
        assert!(!may(9, &slot, &free), "before it is due");
        assert!(!may(60, &slot, &free), "the centre is closed");
        let reported = Slot { state: SlotState::Reported, ..slot.clone() };
        assert!(!may(10, &reported, &free));
        let over = Slot { due_to: at(time(9, 10, 0, 0)), ..slot.clone() };
        assert!(!may(10, &over, &free));
        let busy = PhonesInUse { busy: HashSet::from([number.clone()]), ..free.clone() };
        assert!(!may(10, &slot, &busy));
        let ended_at = at(time(9, 9, 0, 0));
        let recent =
            PhonesInUse { last_ended: HashMap::from([(number.clone(), ended_at)]), ..free };
        assert!(!may(10, &slot, &recent));
        assert!(may(12, &slot, &recent));
    }

    /// A day lived minute by minute: patients, some of whom share telephones, with outcomes drawn
    /// beforehand, and a worker that is away at times.
    #[derive(Clone, Debug)]
    struct Day {
        window: (i8, i8),
        slots: Vec<(i8, i8, u64)>,
        phones: Vec<Vec<usize>>,
        outcomes: Vec<(Disposition, Option<Completion>, u64)>,
        capacity: usize,
        lines: usize,
        away: Vec<(i64, i64)>,
    }

    fn any_day() -> impl Strategy<Value = Day> {
        let outcome = (
            prop::sample::select(Disposition::ALL.to_vec()),
            prop::sample::select(Completion::ALL.to_vec()),
            0_u64..12,
        )
            .prop_map(|(disposition, completion, minutes)| {
                let is_answered = disposition == Disposition::Answered;
                (disposition, is_answered.then_some(completion), minutes)
            });
        (
            (8_i8..19, 1_i8..12),
            prop::collection::vec((6_i8..22, 0_i8..60, 1_u64..300), 1..7),
            prop::collection::vec(prop::collection::vec(0_usize..5, 0..3), 7),
            prop::collection::vec(outcome, 1..40),
            0_usize..4,
            1_usize..4,
            prop::collection::vec((0_i64..900, 0_i64..200), 0..3),
        )
            .prop_map(|(hours, slots, phones, outcomes, capacity, lines, away)| Day {
                window: (hours.0, (hours.0 + hours.1).min(20)),
                slots,
                phones,
                outcomes,
                capacity: capacity + 1,
                lines,
                away,
            })
    }

    struct Called {
        slot: SlotId,
        phone: PhoneNumber,
        from: Timestamp,
        to: Timestamp,
        counts: bool,
    }

    fn live(day: &Day) -> (Vec<Slot>, Vec<Called>) {
        let window = Window::new(time(day.window.0, 0, 0, 0), time(day.window.1, 0, 0, 0)).unwrap();
        let mut slots: Vec<Slot> = (1..)
            .zip(&day.slots)
            .map(|(n, (hour, minute, minutes))| {
                let from = time(*hour, *minute, 0, 0);
                let due_to = at(from) + Duration::from_mins(*minutes);
                Slot { due_to, ..slot(n, from, from) }
            })
            .collect();
        let mut attempts: Vec<Vec<Attempt>> = vec![Vec::new(); slots.len()];
        let mut outcomes = day.outcomes.iter().cycle();
        let mut called = Vec::new();
        // Until the next morning, so that every slot's time is over.
        for minute in 0_i64..1440 {
            let now = at(time(6, 0, 0, 0)) + jiff::SignedDuration::from_mins(minute);
            end_calls(now, &mut slots, &mut attempts, &mut called);
            if day.away.iter().any(|(from, span)| (*from..from + span).contains(&minute)) {
                continue;
            }
            let phones: Vec<Vec<PhoneNumber>> =
                day.phones.iter().map(|list| list.iter().map(|n| phone(*n)).collect()).collect();
            let open: Vec<OpenSlot<'_>> = (0..slots.len())
                .map(|n| OpenSlot {
                    slot: &slots[n],
                    attempts: &attempts[n],
                    phones: phones[n].clone(),
                    window,
                    emergency_at: None,
                    terms: &STANDING,
                    held: None,
                })
                .collect();
            let plan = plan(now, &open, &PhonesInUse::default(), day.capacity);
            for planned in plan.attempts {
                let n = slots.iter().position(|slot| slot.id == planned.slot).unwrap();
                let due = attempt(&slots[n], planned.number, &planned.phone, planned.due_at);
                assert!(attempts[n].iter().all(|one| one.number != due.number));
                attempts[n].push(due);
            }
            for closing in plan.closings {
                let n = slots.iter().position(|slot| slot.id == closing.slot).unwrap();
                assert!(!slots[n].state.is_final());
                slots[n].state = closing.state;
                attempts[n].retain(|attempt| attempt.state != AttemptState::Due);
            }
            dial(now, day, &window, &mut slots, &mut attempts, &mut outcomes);
        }
        (slots, called)
    }

    fn end_calls(
        now: Timestamp,
        slots: &mut [Slot],
        attempts: &mut [Vec<Attempt>],
        called: &mut Vec<Called>,
    ) {
        for (slot, attempts) in slots.iter_mut().zip(attempts) {
            for attempt in attempts.iter_mut() {
                let is_over = attempt.ended_at.is_some_and(|ended_at| ended_at <= now);
                if attempt.state == AttemptState::Dialing && is_over {
                    attempt.state = AttemptState::Done;
                    slot.state = SlotState::Due;
                    let disposition = attempt.disposition.unwrap();
                    called.push(Called {
                        slot: slot.id,
                        phone: attempt.phone.clone(),
                        from: attempt.dialed_at.unwrap(),
                        to: attempt.ended_at.unwrap(),
                        counts: disposition.reached_the_patients_telephone(),
                    });
                }
            }
        }
    }

    fn dial<'a>(
        now: Timestamp,
        day: &Day,
        window: &Window,
        slots: &mut [Slot],
        attempts: &mut [Vec<Attempt>],
        outcomes: &mut impl Iterator<Item = &'a (Disposition, Option<Completion>, u64)>,
    ) {
        for n in 0..slots.len() {
            let all = || attempts.iter().flatten();
            let dialing = all().filter(|one| one.state == AttemptState::Dialing);
            let in_use = PhonesInUse {
                busy: dialing.clone().map(|one| one.phone.clone()).collect(),
                last_ended: all().filter(|one| one.state == AttemptState::Done).fold(
                    HashMap::new(),
                    |mut ended, one| {
                        let last = ended.entry(one.phone.clone()).or_insert(Timestamp::MIN);
                        *last = one.ended_at.unwrap().max(*last);
                        ended
                    },
                ),
            };
            if dialing.count() >= day.lines {
                return;
            }
            let slot = &mut slots[n];
            for attempt in &mut attempts[n] {
                let is_due = attempt.state == AttemptState::Due;
                if is_due && may_start(now, attempt, slot, window, &in_use) {
                    let (disposition, completion, minutes) = *outcomes.next().unwrap();
                    let ended_at = now + Duration::from_mins(minutes);
                    slot.state = SlotState::InProgress;
                    attempt.state = AttemptState::Dialing;
                    attempt.dialed_at = Some(now);
                    attempt.answered_at = completion.map(|_| now);
                    attempt.ended_at = Some(ended_at);
                    (attempt.disposition, attempt.completion) = (Some(disposition), completion);
                }
            }
        }
    }

    proptest! {
        // A day takes some 50 ms of an unoptimised build.
        #![proptest_config(ProptestConfig::with_cases(48))]
        #[test]
        fn whatever_the_day_brings_the_rules_hold_and_every_slot_ends(day in any_day()) {
            let (slots, called) = live(&day);
            for call in &called {
                let slot = slots.iter().find(|slot| slot.id == call.slot).unwrap();
                let hour = clock::civil(call.from).hour();
                prop_assert!((day.window.0..day.window.1).contains(&hour), "outside the window");
                prop_assert!(slot.due_from <= call.from && call.from < slot.due_to);
            }
            for (index, one) in called.iter().enumerate() {
                for other in called[index + 1..].iter().filter(|other| other.phone == one.phone) {
                    let (first, second) =
                        if one.from <= other.from { (one, other) } else { (other, one) };
                    prop_assert!(first.to + SPACING <= second.from, "too soon after a call");
                }
            }
            for slot in &slots {
                prop_assert!(slot.state.is_final(), "slot stays {:?}", slot.state);
                let of_slot = called.iter().filter(|call| call.slot == slot.id);
                let counted = of_slot.filter(|call| call.counts).count();
                prop_assert!(counted <= 3, "{counted} attempts");
                prop_assert!(slot.state != SlotState::Expired || counted == 0);
            }
        }
    }
}
