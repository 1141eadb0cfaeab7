//! What one row of 健康状態一覧 says, made of what is known about a patient on a day. No SQL here.
//!
//! The latest value is shown, but the gravest matter that nobody has dealt with ranks: a morning
//! with SpO2 91% is not hidden by a good evening. Silence has a word of its own.

use std::collections::BTreeMap;

use jiff::civil::Date;
use jiff::{SignedDuration, Timestamp, ToSpan};

use crate::base::clock::civil;
use crate::base::id::{CaseId, PatientId, StaffId};
use crate::call::{Completion, Disposition, Respondent};
use crate::campaign::{Attempt, AttemptState, Slot, SlotState};
use crate::escalation::{CaseState, Priority};
use crate::ivr::{Answer, YesNo};
use crate::observation::Channel;
use crate::registry::Held;
use crate::store::DayReport;

/// Days that are drawn of a vital sign, today the last.
pub const WEEK: usize = 7;

/// 37.5 °C: fever, as staff read it.
const FEVER: i32 = 375;

/// One patient under observation, on the day of the list.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HealthStatus {
    /// The patient.
    pub patient: PatientId,
    /// The day that all this speaks of.
    pub day: Date,
    /// The first day under observation.
    pub first_day: Date,
    /// The last day under observation.
    pub last_day: Date,
    /// How soon somebody must look.
    pub need: Need,
    /// Whether the patient has reported.
    pub report: DayReport,
    /// Temperature in tenths of a degree.
    pub temperature: Vital,
    /// SpO2 in percent.
    pub spo2: Vital,
    /// The symptoms that are there or not known, each as it was told last on this day.
    pub symptoms: Vec<Symptom>,
    /// Why no machine calls, if none does.
    pub held: Option<Held>,
    /// The slots of the day, by number.
    pub slots: Vec<SlotOfDay>,
    /// The calls of the day that were placed, the oldest first.
    pub calls: Vec<CallMade>,
    /// When the next call is due.
    pub next_call: Option<Timestamp>,
    /// The case that is not resolved.
    pub case: Option<OpenCase>,
    /// So many days in a row, up to the last with a temperature, with fever (37.5 °C or more).
    pub fever_days: u8,
}

/// How soon somebody must look, the soonest first.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Need {
    /// 緊急: an unresolved case of priority P1.
    Urgent,
    /// 注意: P2.
    Caution,
    /// 要確認: P3.
    Check,
    /// 未報告: nothing was heard on this day.
    Unreported,
    /// 途中: something was heard, but not all that is required.
    Partial,
    /// 良好: reported, and nothing to deal with.
    Well,
}

impl Need {
    /// Every need.
    pub const ALL: [Self; 6] =
        [Self::Urgent, Self::Caution, Self::Check, Self::Unreported, Self::Partial, Self::Well];

    /// The least rank of it in the store, which leaves room for an order within.
    pub(super) fn rank(self) -> i64 {
        (self as i64 + 1) * 10
    }

    fn of_priority(priority: Priority) -> Self {
        match priority {
            Priority::P1 => Self::Urgent,
            Priority::P2 => Self::Caution,
            Priority::P3 | Priority::P0 => Self::Check,
        }
    }
}

/// A vital sign over the last days.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Vital {
    /// The last value of each day, [`Self::today`] the last.
    pub week: [Option<i32>; WEEK],
    /// The worst value of the day: the highest temperature, the lowest SpO2.
    pub worst: Option<i32>,
    /// When it was last measured on this day.
    pub at: Option<Timestamp>,
    /// The last value may have been mistyped: listen to the call.
    pub is_suspect: bool,
    /// The patient said that it was, or could, not be measured.
    pub not_measured: bool,
}

impl Vital {
    /// The last value of the day.
    pub fn today(&self) -> Option<i32> {
        self.week[WEEK - 1]
    }

    /// How much it has changed since the last value of the day before.
    pub fn change(&self) -> Option<i32> {
        Some(self.today()? - self.week[WEEK - 2]?)
    }
}

/// A symptom that is there, or not known.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Symptom {
    /// The code of the question, such as `dyspnea`.
    pub code: String,
    /// Yes or unknown.
    pub answer: YesNo,
}

/// A slot of the day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SlotOfDay {
    /// The number of the day.
    pub number: u8,
    /// Where it stands.
    pub state: SlotState,
    /// From when on the patient is to be called.
    pub due_from: Timestamp,
    /// Until when.
    pub due_to: Timestamp,
    /// Why it is skipped or was given up.
    pub reason: Option<String>,
}

/// A call of the day that was placed.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallMade {
    /// The number of the slot of the day.
    pub slot: u8,
    /// The number of the attempt at that slot.
    pub number: u32,
    /// Where it stands.
    pub state: AttemptState,
    /// When it was placed.
    pub at: Timestamp,
    /// How the telephone part ended.
    pub disposition: Option<Disposition>,
    /// Who answered.
    pub respondent: Option<Respondent>,
    /// How far the dialogue came.
    pub completion: Option<Completion>,
}

/// A case that is not resolved.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct OpenCase {
    /// The id.
    pub id: CaseId,
    /// How grave it is.
    pub priority: Priority,
    /// Open or acknowledged.
    pub state: CaseState,
    /// Since when.
    pub opened_at: Timestamp,
    /// Who has taken it, as the case says it.
    pub owner: Option<String>,
}

/// How far the calls of a day came, each step with all that come after it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum CallStage {
    /// No call is owed.
    None,
    /// 予定
    Planned,
    /// 架電
    Called,
    /// 応答
    Answered,
    /// 本人確認
    Identified,
}

impl CallStage {
    /// Every stage.
    pub const ALL: [Self; 5] =
        [Self::None, Self::Planned, Self::Called, Self::Answered, Self::Identified];
}

/// An observation as far as the list needs it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Seen {
    pub(super) code: String,
    pub(super) value: Answer,
    pub(super) at: Timestamp,
    pub(super) channel: Channel,
}

/// What the other tables know about a patient on a day.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    pub(super) held: Option<Held>,
    pub(super) slots: Vec<Slot>,
    /// Those that are not dropped, by slot and number.
    pub(super) attempts: Vec<Attempt>,
    /// Everything of the day, the oldest first; without what was corrected.
    pub(super) today: Vec<Seen>,
    /// Temperature and SpO2 of the week, the oldest first; without what was corrected.
    pub(super) vitals: Vec<Seen>,
    pub(super) case: Option<OpenCase>,
    /// Whose hands the case is in.
    pub(super) holder: Option<StaffId>,
}

/// One row as it is stored.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Stored {
    pub(super) day: Option<Date>,
    pub(super) is_observed: bool,
    pub(super) health_center: String,
    pub(super) clinic: String,
    pub(super) registration_number: String,
    pub(super) kana: String,
    pub(super) search: String,
    pub(super) last_day: String,
    pub(super) need: i64,
    pub(super) report: String,
    pub(super) facet: i64,
    pub(super) fever_days: i64,
    pub(super) owner: String,
    pub(super) shown: String,
}

impl HealthStatus {
    /// Puts together what is known.
    pub(super) fn of(
        patient: PatientId,
        day: Date,
        (first_day, last_day): (Date, Date),
        known: &Known,
    ) -> Self {
        let in_episode = |seen: &&Seen| first_day <= civil(seen.at).date();
        let vitals: Vec<&Seen> = known.vitals.iter().filter(in_episode).collect();
        let report = day_report(&known.slots, &known.today);
        Self {
            patient,
            day,
            first_day,
            last_day,
            need: need(known.case.as_ref(), report),
            report,
            temperature: vital(day, "temperature", &vitals, i32::max),
            spo2: vital(day, "spo2", &vitals, i32::min),
            symptoms: symptoms(&known.today),
            held: known.held,
            slots: known.slots.iter().map(slot_of_day).collect(),
            calls: calls(known),
            next_call: known
                .attempts
                .iter()
                .filter(|attempt| attempt.state == AttemptState::Due)
                .map(|attempt| attempt.due_at)
                .min(),
            case: known.case.clone(),
            fever_days: fever_days(day, &vitals),
        }
    }

    /// How far the calls of the day came.
    pub fn stage(&self) -> CallStage {
        let reached = |call: &CallMade| match call.respondent {
            Some(Respondent::Patient | Respondent::Family) => CallStage::Identified,
            _ if call.disposition == Some(Disposition::Answered)
                || call.state == AttemptState::Talking =>
            {
                CallStage::Answered
            }
            _ => CallStage::Called,
        };
        let planned = if self.slots.is_empty() { CallStage::None } else { CallStage::Planned };
        self.calls.iter().map(reached).max().unwrap_or(planned)
    }

    /// Nothing was heard, and no call of the day will change that.
    pub fn is_unreached(&self) -> bool {
        let given_up =
            |slot: &SlotOfDay| matches!(slot.state, SlotState::Unreached | SlotState::Expired);
        self.report == DayReport::NotReported
            && self.slots.iter().any(given_up)
            && self.slots.iter().all(|slot| slot.state.is_final())
    }

    /// What the tabs and the funnel count of it.
    pub(super) fn facet(&self) -> Facet {
        Facet {
            need: self.need,
            is_reported: matches!(self.report, DayReport::Reported { .. }),
            is_partial: matches!(self.report, DayReport::Partial { .. }),
            has_fever: i64::from(self.fever_days) >= FEVER_DAYS,
            is_ending: self.last_day <= self.day.saturating_add(1.day()),
            is_unreached: self.is_unreached(),
            stage: self.stage(),
        }
    }

    /// The place in the list: by need; what nobody has taken, and whom nobody will call any more,
    /// first.
    pub(super) fn rank(&self) -> i64 {
        let waits = match (&self.case, self.report) {
            (Some(case), _) => case.state == CaseState::Acknowledged,
            (None, DayReport::NotReported) => !self.is_unreached(),
            (None, _) => false,
        };
        self.need.rank() + i64::from(waits)
    }
}

/// 改善しない発熱: on so many days in a row.
pub(super) const FEVER_DAYS: i64 = 3;

/// What the tabs and the funnel count of one patient.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "what is counted is counted by itself")]
pub(super) struct Facet {
    pub(super) need: Need,
    pub(super) is_reported: bool,
    pub(super) is_partial: bool,
    pub(super) has_fever: bool,
    pub(super) is_ending: bool,
    pub(super) is_unreached: bool,
    pub(super) stage: CallStage,
}

impl Facet {
    /// All of it in one number.
    pub(super) fn packed(self) -> i64 {
        let flags =
            [self.is_reported, self.is_partial, self.has_fever, self.is_ending, self.is_unreached];
        let flags = flags.into_iter().fold(0, |bits, flag| bits * 2 + i64::from(flag));
        (flags * 8 + self.stage as i64) * 8 + self.need as i64
    }

    /// Reads [`Self::packed`].
    pub(super) fn unpacked(packed: i64) -> Option<Self> {
        let place = |bits: i64| usize::try_from(bits).ok();
        let flag = |place: u32| packed >> (6 + place) & 1 == 1;
        Some(Self {
            need: *Need::ALL.get(place(packed & 7)?)?,
            stage: *CallStage::ALL.get(place(packed >> 3 & 7)?)?,
            is_unreached: flag(0),
            is_ending: flag(1),
            has_fever: flag(2),
            is_partial: flag(3),
            is_reported: flag(4),
        })
    }
}

fn need(case: Option<&OpenCase>, report: DayReport) -> Need {
    match (case, report) {
        (Some(case), _) => Need::of_priority(case.priority),
        (None, DayReport::NotReported) => Need::Unreported,
        (None, DayReport::Partial { .. }) => Need::Partial,
        (None, DayReport::Reported { .. }) => Need::Well,
    }
}

/// Silence is no report: an observation that is unanswered does not count.
fn day_report(slots: &[Slot], today: &[Seen]) -> DayReport {
    let heard = today.iter().filter(|seen| seen.value != Answer::Unanswered);
    let Some(newest) = heard.max_by_key(|seen| seen.at) else { return DayReport::NotReported };
    DayReport::of(slots, newest.at, newest.channel)
}

fn vital(day: Date, code: &str, vitals: &[&Seen], worse: fn(i32, i32) -> i32) -> Vital {
    let mut vital = Vital::default();
    let mut before: Option<(Timestamp, i32)> = None;
    for seen in vitals.iter().filter(|seen| seen.code == code) {
        let date = civil(seen.at).date();
        if date == day {
            vital.not_measured = seen.value == Answer::NotMeasured;
        }
        let Answer::Number(value) = seen.value else { continue };
        let Some(place) = place(day, date) else { continue };
        vital.week[place] = Some(value);
        if date == day {
            vital.worst = Some(vital.worst.map_or(value, |worst| worse(worst, value)));
            vital.at = Some(seen.at);
            vital.is_suspect = is_suspect(code, value, before, seen.at);
        }
        before = Some((seen.at, value));
    }
    vital
}

/// The place of a date in the week that ends with `day`.
fn place(day: Date, date: Date) -> Option<usize> {
    let back = usize::try_from((day - date).get_days()).ok()?;
    (WEEK - 1).checked_sub(back)
}

/// 入力誤りの可能性: no body warms or cools by 3 °C in two hours (41.8 after 36.5), and who has an
/// SpO2 of 66 presses no keys (96, perhaps). It is shown as a doubt; it never makes a row rank lower.
fn is_suspect(code: &str, value: i32, before: Option<(Timestamp, i32)>, at: Timestamp) -> bool {
    const SHORTLY: SignedDuration = SignedDuration::from_hours(2);
    let jump = before
        .filter(|(then, _)| then.duration_until(at) <= SHORTLY)
        .map_or(0, |(_, earlier)| (value - earlier).abs());
    match code {
        "temperature" => jump >= 30,
        "spo2" => value < 70 || jump >= 20,
        _ => false,
    }
}

/// The longest run of days with fever that ends today, or yesterday if there is no temperature yet.
fn fever_days(day: Date, vitals: &[&Seen]) -> u8 {
    let mut highest: [Option<i32>; WEEK] = [None; WEEK];
    for seen in vitals.iter().filter(|seen| seen.code == "temperature") {
        if let (Answer::Number(value), Some(place)) =
            (seen.value, place(day, civil(seen.at).date()))
        {
            highest[place] = highest[place].max(Some(value));
        }
    }
    let skipped = usize::from(highest[WEEK - 1].is_none());
    let run =
        highest.iter().rev().skip(skipped).take_while(|one| one.is_some_and(|it| it >= FEVER));
    u8::try_from(run.count()).unwrap_or(u8::MAX)
}

/// Each symptom as it was told last on this day, unless it is absent.
fn symptoms(today: &[Seen]) -> Vec<Symptom> {
    let mut latest: BTreeMap<&str, YesNo> = BTreeMap::new();
    for seen in today {
        if let Answer::Choice(answer) = seen.value {
            latest.insert(&seen.code, answer);
        }
    }
    let there = latest.into_iter().filter(|(_, answer)| *answer != YesNo::No);
    there.map(|(code, answer)| Symptom { code: code.to_owned(), answer }).collect()
}

fn slot_of_day(slot: &Slot) -> SlotOfDay {
    SlotOfDay {
        number: slot.number,
        state: slot.state,
        due_from: slot.due_from,
        due_to: slot.due_to,
        reason: slot.reason.clone(),
    }
}

fn calls(known: &Known) -> Vec<CallMade> {
    let mut calls: Vec<CallMade> = known
        .attempts
        .iter()
        .filter_map(|attempt| {
            let slot = known.slots.iter().find(|slot| slot.id == attempt.slot)?;
            Some(CallMade {
                slot: slot.number,
                number: attempt.number,
                state: attempt.state,
                at: attempt.dialed_at?,
                disposition: attempt.disposition,
                respondent: attempt.respondent,
                completion: attempt.completion,
            })
        })
        .collect();
    calls.sort_by_key(|call| (call.at, call.slot, call.number));
    calls
}

/// The first day of the week that ends with `day`.
pub(super) fn first_of_week(day: Date) -> Date {
    let days = i64::try_from(WEEK - 1).unwrap_or(0);
    day.saturating_sub(days.days())
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;
    use crate::base::clock::timestamp;
    use crate::base::id::Minter;

    const DAY: Date = date(2026, 11, 23);

    fn at(days_ago: i64, hour: i8) -> Timestamp {
        timestamp(DAY.saturating_sub(days_ago.days()).at(hour, 0, 0, 0))
    }

    fn seen(code: &str, value: Answer, at: Timestamp) -> Seen {
        Seen { code: code.to_owned(), value, at, channel: Channel::OutboundCall }
    }

    fn temperatures(values: &[(i64, i8, i32)]) -> Vec<Seen> {
        let number =
            |&(days, hour, value)| seen("temperature", Answer::Number(value), at(days, hour));
        values.iter().map(number).collect()
    }

    fn status(known: &Known) -> HealthStatus {
        let patient = Minter::new([1; 32]).mint(at(0, 0));
        HealthStatus::of(patient, DAY, (date(2026, 11, 10), date(2026, 11, 30)), known)
    }

    fn case(priority: Priority, state: CaseState) -> OpenCase {
        let id = Minter::new([2; 32]).mint(at(0, 0));
        OpenCase { id, priority, state, opened_at: at(0, 9), owner: None }
    }

    #[test]
    fn the_latest_value_is_shown_and_the_worst_is_kept() {
        let vitals = vec![
            seen("spo2", Answer::Number(97), at(1, 9)),
            seen("spo2", Answer::Number(91), at(0, 9)),
            seen("spo2", Answer::Number(96), at(0, 15)),
        ];
        let known = Known {
            today: vitals[1..].to_vec(),
            vitals,
            case: Some(case(Priority::P1, CaseState::Open)),
            ..Known::default()
        };
        let status = status(&known);
        assert_eq!((status.spo2.today(), status.spo2.worst), (Some(96), Some(91)));
        assert_eq!(status.spo2.change(), Some(-1));
        assert_eq!(status.need, Need::Urgent, "the morning is not hidden by the evening");
    }

    #[test]
    fn fever_counts_by_days_without_a_gap() {
        for (values, expected) in [
            (&[(2, 9, 380), (1, 9, 378), (0, 9, 375)][..], 3),
            (&[(2, 9, 380), (1, 9, 378)], 2),
            (&[(2, 9, 380), (0, 9, 378)], 1),
            (&[(1, 9, 380), (0, 9, 370)], 0),
            // The highest of the day counts, not the last.
            (&[(1, 9, 380), (0, 9, 380), (0, 15, 370)], 2),
            (&[], 0),
        ] {
            let known = Known { vitals: temperatures(values), ..Known::default() };
            assert_eq!(status(&known).fever_days, expected, "{values:?}");
        }
    }

    #[test]
    fn a_jump_within_two_hours_may_be_a_typing_error() {
        for (values, expected) in [
            (&[(0, 9, 365), (0, 11, 418)][..], true),
            (&[(0, 9, 365), (0, 12, 418)], false),
            (&[(0, 9, 365), (0, 10, 390)], false),
            (&[(0, 9, 418)], false),
        ] {
            let known = Known { vitals: temperatures(values), ..Known::default() };
            assert_eq!(status(&known).temperature.is_suspect, expected, "{values:?}");
        }
        let vitals = vec![seen("spo2", Answer::Number(66), at(0, 9))];
        assert!(status(&Known { vitals, ..Known::default() }).spo2.is_suspect);
    }

    #[test]
    fn a_symptom_is_as_it_was_told_last_and_unknown_is_not_no() {
        let today = [
            ("cough", YesNo::Yes, 9),
            ("dyspnea", YesNo::Unknown, 9),
            ("fatigue", YesNo::No, 9),
            ("cough", YesNo::No, 15),
        ]
        .map(|(code, answer, hour)| seen(code, Answer::Choice(answer), at(0, hour)));
        let known = Known { today: today.to_vec(), ..Known::default() };
        let unknown = Symptom { code: "dyspnea".to_owned(), answer: YesNo::Unknown };
        assert_eq!(status(&known).symptoms, [unknown]);
    }

    #[test]
    fn what_nobody_deals_with_ranks_first() {
        let heard = vec![seen("temperature", Answer::Number(365), at(0, 9))];
        let with = |case| Known { case, today: heard.clone(), ..Known::default() };
        let rows = [
            with(Some(case(Priority::P1, CaseState::Open))),
            with(Some(case(Priority::P1, CaseState::Acknowledged))),
            with(Some(case(Priority::P3, CaseState::Open))),
            Known::default(),
            with(None),
        ];
        let ranks: Vec<i64> = rows.iter().map(|known| status(known).rank()).collect();
        assert!(ranks.is_sorted_by(|one, other| one < other), "{ranks:?}");
        assert_eq!(status(&rows[3]).need, Need::Unreported);
    }

    #[test]
    fn what_is_counted_survives_its_number() {
        let mut seen = std::collections::BTreeSet::new();
        for need in Need::ALL {
            for stage in CallStage::ALL {
                for bits in 0..32 {
                    let flag = |place: i32| bits >> place & 1 == 1;
                    let facet = Facet {
                        need,
                        stage,
                        is_reported: flag(0),
                        is_partial: flag(1),
                        has_fever: flag(2),
                        is_ending: flag(3),
                        is_unreached: flag(4),
                    };
                    assert_eq!(Facet::unpacked(facet.packed()), Some(facet));
                    assert!(seen.insert(facet.packed()));
                }
            }
        }
        assert_eq!(Facet::unpacked(7), None);
    }

    #[test]
    fn values_of_an_earlier_illness_are_not_drawn() {
        let known = Known { vitals: temperatures(&[(5, 9, 390), (0, 9, 365)]), ..Known::default() };
        let patient = Minter::new([1; 32]).mint(at(0, 0));
        let days = (date(2026, 11, 20), date(2026, 11, 30));
        let status = HealthStatus::of(patient, DAY, days, &known);
        assert_eq!(status.temperature.week, [None, None, None, None, None, None, Some(365)]);
    }
}
