//! The terms of a campaign: when its patients are called, how often, and what is owed to those who
//! cannot be reached. What was published is never changed; a later version follows it.

use jiff::civil::{Date, Time};
use serde::{Deserialize, Serialize};

use crate::base::Bilingual;
use crate::campaign::calendar::{Calendar, SpecialDay};
use crate::campaign::schedule::{self, NewSlot, slots_on};
use crate::campaign::{Policy, Window};
use crate::registry::{Episode, HealthCenter};

/// Everything by which the patients of a campaign are called.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// The questionnaire that is asked and its version, as `recuperation@2`. Where it is not to be had
    /// nobody is called.
    pub questionnaire: String,
    /// The version of the set of rules by which answers are judged; `None` for the one that is in
    /// force for the centre on the day. Where it is not to be had, that one judges.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<String>,
    /// Which calls of a day ask the short script.
    pub short_script: ShortScript,
    /// When calls may start, by day of the week, Monday first. `None`: no calls on that day.
    pub hours: [Option<Window>; 7],
    /// What becomes of public holidays and days on which the centre is closed.
    pub holidays: HolidayPolicy,
    /// How agreed times become slots.
    pub cadence: schedule::Config,
    /// What follows a call that did not settle its slot.
    pub retry: Policy,
    /// What is owed to those who are silent.
    pub silence: Silence,
    /// Which calls are kept as sound.
    pub recording: Recording,
    /// Trunks of this group place the calls; `None` for any.
    pub trunk_group: Option<String>,
}

/// What terms may name: kept by the installation and by the centre, and chosen by a campaign.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Stock {
    /// The questionnaires that can be asked, the usual one first.
    pub questionnaires: Vec<String>,
    /// The versions of the sets of rules that a centre may be judged by.
    pub rules: Vec<String>,
}

/// Which calls of a day ask the short script: the whole one, twice a day, tires the ill.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ShortScript {
    /// None.
    Never,
    /// Those after the day's first.
    AfterFirst,
    /// All from the fourth day under observation on, and before it those after the day's first.
    FromFourthDay,
}

impl ShortScript {
    /// Whether a call asks the short script only: the slot's number of the day, and which day under
    /// observation it is, 1 for the first.
    pub fn is_short(self, number: u8, day: i32) -> bool {
        match self {
            Self::Never => false,
            Self::AfterFirst => number > 1,
            Self::FromFourthDay => number > 1 || day >= 4,
        }
    }
}

/// What becomes of public holidays and of days on which the centre is closed.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum HolidayPolicy {
    /// Calls as on other days.
    Call,
    /// No calls; nothing is owed.
    Skip,
    /// No calls; each patient is a matter for staff.
    Staff,
}

/// Which calls are kept as sound.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// As the centre's own rule says.
    AsCenter,
    /// None, but for messages that patients leave.
    Nothing,
    /// Those that led to a case.
    Escalated,
    /// All.
    All,
}

/// What is owed to those who are silent (事務連絡 令和4年1月14日: 17時締めで安否確認の対応を協議).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Silence {
    /// When staff decide about everybody on the list of those not reached; the list itself is made
    /// at [`schedule::Config::review_at`].
    pub decide_at: Time,
    /// When what is not settled goes to the supervisor.
    pub escalate_at: Time,
    /// When the list of those is made who missed an evening slot: it is judged apart from the day.
    #[serde(default = "night_at")]
    pub night_at: Time,
    /// When what is not settled of that list goes to the supervisor.
    #[serde(default = "night_escalate_at")]
    pub night_escalate_at: Time,
    /// After so many attempts in vain at one slot a patient at high risk, or living alone, is a
    /// matter for staff already.
    pub frail_after_attempts: u32,
    /// No observation at all for so many hours is an alarm of its own, whatever else is planned.
    pub absence_hours: u32,
}

/// Half an hour after the last hour at which anybody may be called.
const fn night_at() -> Time {
    Time::constant(20, 30, 0, 0)
}

/// Nobody meets at night: an hour is what somebody on duty has.
const fn night_escalate_at() -> Time {
    Time::constant(21, 30, 0, 0)
}

/// What a date is to a campaign.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct DayTerms {
    /// When calls may start. On a day of rest: when they could.
    pub window: Window,
    /// Why nobody is called.
    pub rest: Option<Rest>,
}

/// Why nobody is called on a day.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Rest {
    /// The campaign does not call on this day of the week.
    Weekday,
    /// A holiday or closure on which nothing is owed.
    Skipped(SpecialDay),
    /// A holiday or closure on which staff call.
    Staff(SpecialDay),
}

impl Rest {
    /// What stands beside the slots of the day.
    pub fn reason(&self) -> String {
        match self {
            Self::Weekday => "発信しない曜日".to_owned(),
            Self::Skipped(day) => format!("休日: {}", day.name()),
            Self::Staff(day) => format!("休日: {}・職員が連絡", day.name()),
        }
    }
}

impl Terms {
    /// The shipped terms: every day in the centre's hours, holidays too.
    pub fn shipped() -> Self {
        Self {
            questionnaire: "recuperation@2".to_owned(),
            rules: None,
            short_script: ShortScript::AfterFirst,
            hours: [Some(Window::widest()); 7],
            holidays: HolidayPolicy::Call,
            cadence: schedule::Config::shipped(),
            retry: Policy::shipped(),
            silence: Silence {
                decide_at: Time::constant(17, 0, 0, 0),
                escalate_at: Time::constant(20, 0, 0, 0),
                night_at: night_at(),
                night_escalate_at: night_escalate_at(),
                frail_after_attempts: 2,
                absence_hours: 36,
            },
            recording: Recording::AsCenter,
            trunk_group: None,
        }
    }

    /// What a date is. The window is that of the campaign within the centre's hours, and those
    /// within the limits for everybody.
    pub fn day(&self, date: Date, center: &HealthCenter, calendar: &Calendar) -> DayTerms {
        let centers = Window::of(center);
        let weekday = date.weekday().to_monday_zero_offset();
        let hours = usize::try_from(weekday).ok().and_then(|index| self.hours.get(index));
        let Some(hours) = hours.copied().flatten() else {
            return DayTerms { window: centers, rest: Some(Rest::Weekday) };
        };
        let rest = calendar.special(date).and_then(|day| match self.holidays {
            HolidayPolicy::Call => None,
            HolidayPolicy::Skip => Some(Rest::Skipped(day)),
            HolidayPolicy::Staff => Some(Rest::Staff(day)),
        });
        DayTerms { window: centers.intersection(&hours), rest }
    }

    /// The slots that a day brings to a patient, and why they are not called if they are not.
    pub fn slots_on(
        &self,
        date: Date,
        episode: &Episode,
        center: &HealthCenter,
        calendar: &Calendar,
    ) -> Vec<NewSlot> {
        let day = self.day(date, center, calendar);
        let mut slots = slots_on(date, episode, &day.window, &self.cadence);
        for slot in &mut slots {
            slot.rest.clone_from(&day.rest);
        }
        slots
    }

    /// What makes these terms unusable; empty if they can be published.
    pub fn faults(&self) -> Vec<Bilingual> {
        let mut faults = Vec::new();
        let mut fault = |is_fault: bool, ja, en| {
            if is_fault {
                faults.push(Bilingual::fixed(ja, en));
            }
        };
        let times = &self.cadence.default_times;
        fault(
            self.hours.iter().all(Option::is_none),
            "発信できる曜日がありません",
            "there is no day on which calls may start",
        );
        fault(
            times.is_empty() || times.len() > schedule::SLOTS_A_DAY,
            "標準の時刻は 1〜4 個にしてください",
            "there must be one to four usual times",
        );
        fault(
            !times.is_sorted_by(|one, next| one < next),
            "標準の時刻を早い順に並べてください",
            "the usual times must ascend",
        );
        fault(
            !(1..=6).contains(&self.retry.attempts),
            "発信の回数は 1〜6 回にしてください",
            "a slot has one to six attempts",
        );
        fault(
            !(30..=480).contains(&(self.cadence.tolerance.as_secs() / 60)),
            "許容時間は 30〜480 分にしてください",
            "the tolerance must be between 30 and 480 minutes",
        );
        fault(
            !(self.cadence.review_at < self.silence.decide_at
                && self.silence.decide_at < self.silence.escalate_at),
            "未応答一覧・協議・上申の時刻をこの順に並べてください",
            "the list, the decision and the escalation must follow one another",
        );
        fault(
            !(self.cadence.review_at < self.silence.night_at
                && self.silence.night_at < self.silence.night_escalate_at),
            "夜の一覧は未応答一覧より後、夜の上申は夜の一覧より後にしてください",
            "the list of the night must follow that of the day, and its escalation must follow it",
        );
        fault(
            !(12..=72).contains(&self.silence.absence_hours),
            "無報告の警告は 12〜72 時間にしてください",
            "the watch over absence must be between 12 and 72 hours",
        );
        faults
    }

    /// What these terms name and nobody has, with what there is instead; empty if all is there. Terms
    /// of which something is missing are not published, and are shown as a fault if it went missing
    /// later.
    pub fn missing(&self, stock: &Stock) -> Vec<Bilingual> {
        let mut missing = Vec::new();
        let (asked, known) = (&self.questionnaire, &stock.questionnaires);
        if !known.contains(asked) {
            missing.push(Bilingual::composed(
                format!(
                    "問診票「{asked}」がないため、発信しません。選べるもの: {}",
                    known.join("、")
                ),
                format!(
                    "there is no questionnaire {asked}, so that nobody is called; there are: {}",
                    known.join(", ")
                ),
            ));
        }
        if let Some(rules) = self.rules.as_ref().filter(|rules| !stock.rules.contains(rules)) {
            missing.push(Bilingual::composed(
                format!(
                    "ルール「{rules}」がないため、保健所で有効なルールで判定します。選べるもの: {}",
                    stock.rules.join("、")
                ),
                format!(
                    "there is no set of rules {rules}, so that the one in force judges; there are: {}",
                    stock.rules.join(", ")
                ),
            ));
        }
        missing
    }

    /// Why calls by these terms cannot begin, and what to do; `None` if they can. Rules that are gone
    /// are replaced, and hold back nobody.
    pub fn cannot_begin(&self, known: &[String]) -> Option<Bilingual> {
        let asked = &self.questionnaire;
        (!known.contains(asked)).then(|| {
            Bilingual::composed(
                format!(
                    "問診票「{asked}」がないため開始できません。「架電の設計」で問診票を選び直して公開して\
                     ください。選べるもの: {}",
                    known.join("、")
                ),
                format!(
                    "It cannot begin without the questionnaire {asked}. Choose another under \
                     Campaigns, and publish: {}",
                    known.join(", ")
                ),
            )
        })
    }

    /// What staff should think about before they publish these terms.
    pub fn warnings(&self, center: &HealthCenter) -> Vec<Bilingual> {
        let mut warnings = Vec::new();
        let mut warn = |is_unwise: bool, ja, en| {
            if is_unwise {
                warnings.push(Bilingual::fixed(ja, en));
            }
        };
        warn(
            self.holidays == HolidayPolicy::Skip,
            "祝日と休業日は、だれにも連絡しません",
            "nobody hears from anybody on holidays",
        );
        warn(
            self.hours.iter().any(Option::is_none),
            "発信しない曜日は、患者の状態が分かりません",
            "on days without calls nobody knows how the patients are",
        );
        let window = Window::of(center);
        let is_outside = |time: &Time| *time < window.opens_at() || *time >= window.closes_at();
        warn(
            self.cadence.default_times.iter().any(is_outside),
            "標準の時刻の一部が保健所の発信時間の外にあり、時間内に移されます",
            "some usual times lie outside the centre's hours and are moved into them",
        );
        warn(
            self.cadence.default_times.iter().any(|time| self.cadence.is_unwise(*time)),
            "標準の時刻の一部は、未応答一覧までに終わりません",
            "some usual times are too late for the list of those not reached",
        );
        let has_evening = self.cadence.default_times.iter().any(|it| self.cadence.is_evening(*it));
        warn(
            has_evening && self.silence.night_at < window.closes_at(),
            "夜の一覧を作る時刻に、夜の枠の電話がまだ続いていることがあります",
            "calls of evening slots may still be made when the list of the night is",
        );
        warn(
            self.retry.attempts == 1,
            "一度出られないだけで、職員への知らせになります",
            "whoever misses one call becomes a matter for staff",
        );
        warnings
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use jiff::civil::{Weekday, time};

    use super::*;
    use crate::base::clock::{civil, timestamp};
    use crate::base::id::Minter;
    use crate::registry::{Arrangement, Weekdays};

    const WORKERS_DAY: Date = Date::constant(2026, 11, 23);

    fn center() -> HealthCenter {
        HealthCenter {
            id: Minter::new([3; 32]).mint(Timestamp::UNIX_EPOCH),
            code: "minato".into(),
            name: "みなと保健所".into(),
            kana: "ミナトホケンジョ".into(),
            desk_phone: "03-0000-0000".into(),
            opens_at: time(9, 0, 0, 0),
            closes_at: time(18, 0, 0, 0),
        }
    }

    fn episode(arrangement: Arrangement) -> Episode {
        let mut minter = Minter::new([5; 32]);
        Episode {
            id: minter.mint(Timestamp::UNIX_EPOCH),
            patient: minter.mint(Timestamp::UNIX_EPOCH),
            first_day: Date::constant(2026, 11, 20),
            last_day: Date::constant(2026, 12, 10),
            call_times: vec![time(10, 0, 0, 0)],
            arrangement,
        }
    }

    /// `10:00–12:00 (reason)` for each slot.
    fn day(terms: &Terms, date: Date, arrangement: Arrangement) -> String {
        let slots = terms.slots_on(date, &episode(arrangement), &center(), &Calendar::default());
        let slots = slots.iter().map(|slot| {
            let [from, to] =
                [slot.due_from, slot.due_to].map(|at| civil(at).strftime("%R").to_string());
            let rest = slot.rest.as_ref().map(|rest| format!(" ({})", rest.reason()));
            format!("{from}–{to}{}", rest.unwrap_or_default())
        });
        slots.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_holiday_is_called_skipped_or_left_to_staff() {
        for (holidays, expected) in [
            (HolidayPolicy::Call, "10:00–12:00"),
            (HolidayPolicy::Skip, "10:00–12:00 (休日: 勤労感謝の日)"),
            (HolidayPolicy::Staff, "10:00–12:00 (休日: 勤労感謝の日・職員が連絡)"),
        ] {
            let terms = Terms { holidays, ..Terms::shipped() };
            assert_eq!(day(&terms, WORKERS_DAY, Arrangement::default()), expected);
            let next_day = WORKERS_DAY.tomorrow().unwrap();
            assert_eq!(day(&terms, next_day, Arrangement::default()), "10:00–12:00");
        }
    }

    #[test]
    fn each_day_of_the_week_has_hours_of_its_own_within_the_centres() {
        let mut terms = Terms::shipped();
        terms.hours[0] = None;
        terms.hours[1] = Some(Window::new(time(8, 0, 0, 0), time(10, 30, 0, 0)).unwrap());
        let tuesday = WORKERS_DAY.tomorrow().unwrap();
        assert_eq!(
            day(&terms, WORKERS_DAY, Arrangement::default()),
            "10:00–12:00 (発信しない曜日)"
        );
        assert_eq!(day(&terms, tuesday, Arrangement::default()), "10:00–10:30");
        let at_nine = timestamp(tuesday.to_datetime(time(8, 30, 0, 0)));
        let window = terms.day(tuesday, &center(), &Calendar::default()).window;
        assert!(!window.is_open(at_nine), "the centre opens at nine");
    }

    #[test]
    fn a_patient_has_days_and_a_tolerance_of_his_own() {
        let arrangement = Arrangement {
            weekdays: Weekdays::of([Weekday::Monday]),
            tolerance: Some(std::time::Duration::from_mins(45)),
            ..Arrangement::default()
        };
        assert_eq!(day(&Terms::shipped(), WORKERS_DAY, arrangement.clone()), "10:00–10:45");
        assert_eq!(day(&Terms::shipped(), WORKERS_DAY.tomorrow().unwrap(), arrangement), "");
    }

    #[test]
    fn terms_are_read_back_as_they_were_written() {
        let mut terms = Terms { trunk_group: Some("main".to_owned()), ..Terms::shipped() };
        terms.hours[6] = None;
        let text = serde_json::to_string(&terms).unwrap();
        assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), terms);
        let beyond = text.replace("08:00:00", "07:00:00");
        assert!(serde_json::from_str::<Terms>(&beyond).is_err(), "no hours beyond the limits");
    }

    #[test]
    fn terms_of_before_are_judged_by_the_rules_in_force() {
        let text = serde_json::to_string(&Terms::shipped()).unwrap();
        assert!(!text.contains("rules"), "as it was always written: {text}");
        assert_eq!(serde_json::from_str::<Terms>(&text).unwrap().rules, None);
        let named = Terms { rules: Some("2026-11-01".to_owned()), ..Terms::shipped() };
        let text = serde_json::to_string(&named).unwrap();
        assert_eq!(serde_json::from_str::<Terms>(&text).unwrap(), named);
    }

    #[test]
    fn terms_of_before_have_the_usual_list_of_the_night() {
        let text = serde_json::to_string(&Terms::shipped()).unwrap();
        let before = text
            .replace(",\"night_at\":\"20:30:00\"", "")
            .replace(",\"night_escalate_at\":\"21:30:00\"", "");
        assert!(!before.contains("night"), "{before}");
        assert_eq!(serde_json::from_str::<Terms>(&before).unwrap(), Terms::shipped());
        let mut wrong = Terms::shipped();
        wrong.silence.night_escalate_at = wrong.silence.night_at;
        assert_eq!(wrong.faults().len(), 1);
    }

    #[test]
    fn what_terms_name_and_nobody_has_is_told_with_what_there_is() {
        let stock = Stock {
            questionnaires: vec!["recuperation@2".to_owned(), "school@1".to_owned()],
            rules: vec!["2026-11-01".to_owned()],
        };
        assert_eq!(Terms::shipped().missing(&stock), []);
        let strange = Terms {
            questionnaire: "school@2".to_owned(),
            rules: Some("2020-01-01".to_owned()),
            ..Terms::shipped()
        };
        let told: Vec<String> =
            strange.missing(&stock).iter().map(|one| one.ja.to_string()).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        問診票「school@2」がないため、発信しません。選べるもの: recuperation@2、school@1
        ルール「2020-01-01」がないため、保健所で有効なルールで判定します。選べるもの: 2026-11-01
        ");
    }

    #[test]
    fn unusable_terms_say_why() {
        assert_eq!(Terms::shipped().faults(), []);
        let mut terms = Terms::shipped();
        terms.hours = [None; 7];
        terms.cadence.default_times = vec![time(14, 0, 0, 0), time(9, 0, 0, 0)];
        terms.retry.attempts = 0;
        terms.silence.decide_at = time(21, 0, 0, 0);
        assert_eq!(terms.faults().len(), 4);
        let mut unwise = Terms { holidays: HolidayPolicy::Skip, ..Terms::shipped() };
        unwise.cadence.default_times = vec![time(15, 30, 0, 0), time(19, 0, 0, 0)];
        assert_eq!(unwise.warnings(&center()).len(), 3);
    }
}
