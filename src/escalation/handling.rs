//! How the staff work on a case: who holds it and until when, and what each of their deeds does.
//!
//! ```text
//!               ┌────────── claim, take over ─────────┐
//!  Untouched ───┤                                     ▼
//!      ▲        └── HandedOver ◄──hand over──────── InHand ──resolve──► Resolved
//!      └───────────────release, time out───────────────┘
//! ```
//! One member of the staff holds a case at a time. A hold runs out after [`CLAIM_LASTS`] unless its
//! holder does something; taking over from somebody who holds it is a deed of its own, which the
//! page asks about. Nothing is resolved by time, by a good report, or without a word about why.

use std::time::Duration;

use jiff::Timestamp;

use crate::base::Bilingual;
use crate::base::id::StaffId;
use crate::escalation::case::Fact;
use crate::escalation::rule::Priority;

/// How long a hold lasts after its holder's latest deed: longer than a call with a patient and its
/// notes, shorter than a break.
pub const CLAIM_LASTS: Duration = Duration::from_mins(30);

/// How soon somebody should have acted upon an urgent case, from its detection on.
pub const URGENT_TARGET: Duration = Duration::from_mins(15);

/// That somebody works on a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Who.
    pub by: StaffId,
    /// Since when.
    pub since: Timestamp,
    /// Until when the others leave it to them.
    pub until: Timestamp,
}

impl Claim {
    fn new(by: StaffId, now: Timestamp) -> Self {
        Self { by, since: now, until: now + CLAIM_LASTS }
    }

    /// Still counts.
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }
}

/// Who holds a case.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Holder {
    /// A member of the staff, until their claim runs out.
    Staff(Claim),
    /// Somebody who took it at the command line, whose hold does not run out.
    CommandLine,
}

/// Where a case stands for those who work on it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// 未着手: nobody works on it.
    Untouched,
    /// 担当中: somebody does.
    InHand(Holder),
    /// 引継ぎ: left to the next shift.
    HandedOver,
    /// 対応済 or 誤報; `None`: closed at the command line, with its reason as text.
    Resolved(Option<Outcome>),
}

/// What came of a case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Outcome {
    /// 受診調整
    CareArranged,
    /// 救急要請
    Ambulance,
    /// 経過観察
    Watch,
    /// 本人と通話・問題なし
    SpokeFine,
    /// 連絡不能→訪問依頼
    VisitRequested,
    /// 家族確認
    FamilyConfirmed,
    /// 入力誤り
    InputError,
    /// 番号誤り
    WrongNumber,
    /// 誤報: the rule fired for nothing. Its reason is read by those who tune the rules.
    FalseAlarm,
}

impl Outcome {
    /// Every outcome, the false alarm last.
    pub const ALL: [Self; 9] = [
        Self::CareArranged,
        Self::Ambulance,
        Self::Watch,
        Self::SpokeFine,
        Self::VisitRequested,
        Self::FamilyConfirmed,
        Self::InputError,
        Self::WrongNumber,
        Self::FalseAlarm,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::CareArranged => "care_arranged",
            Self::Ambulance => "ambulance",
            Self::Watch => "watch",
            Self::SpokeFine => "spoke_fine",
            Self::VisitRequested => "visit_requested",
            Self::FamilyConfirmed => "family_confirmed",
            Self::InputError => "input_error",
            Self::WrongNumber => "wrong_number",
            Self::FalseAlarm => "false_alarm",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|outcome| outcome.as_str() == text)
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::CareArranged => Bilingual::fixed("受診調整", "Medical care arranged"),
            Self::Ambulance => Bilingual::fixed("救急要請", "Ambulance called"),
            Self::Watch => Bilingual::fixed("経過観察", "Keep watching"),
            Self::SpokeFine => {
                Bilingual::fixed("本人と通話・問題なし", "Spoke to the patient, no problem")
            }
            Self::VisitRequested => {
                Bilingual::fixed("連絡不能→訪問依頼", "Out of reach, visit requested")
            }
            Self::FamilyConfirmed => Bilingual::fixed("家族確認", "Confirmed with the family"),
            Self::InputError => Bilingual::fixed("入力誤り", "Wrong keys pressed"),
            Self::WrongNumber => Bilingual::fixed("番号誤り", "Wrong telephone number"),
            Self::FalseAlarm => Bilingual::fixed("誤報", "False alarm"),
        }
    }
}

/// What a member of the staff does to a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Deed {
    /// 担当になる
    Claim,
    /// 担当を引き取る, from whoever holds it.
    TakeOver,
    /// 担当をはずれる
    Release,
    /// 引継ぎ, with what the next shift has to know.
    HandOver(String),
    /// 電話する: the telephone was taken up.
    Call,
    /// メモ
    Note(String),
    /// A promise, such as 14時に再電話, and when it is due.
    Promise(String, Timestamp),
    /// The promise at this place among the events was kept.
    Keep(u32),
    /// 対応済 or 誤報, with what was done or why it was none.
    Resolve(Outcome, String),
}

/// What happened to a case.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum EventKind {
    /// A rule fired, and there was no open case.
    Opened,
    /// A graver fact came.
    Raised,
    /// Later answers made a fact weigh less.
    Lowered,
    /// A fact came that is no graver.
    FactAdded,
    /// A later report gave no rule a reason: a line, no more.
    Reported,
    /// Somebody took it.
    Claimed,
    /// Its holder let it go.
    Released,
    /// Somebody took it from its holder.
    TakenOver,
    /// Its holder did nothing for too long.
    TimedOut,
    /// Somebody rang the patient.
    Called,
    /// Something was promised.
    Promised,
    /// A promise was kept.
    Kept,
    /// Something was written down.
    Noted,
    /// It was closed.
    Resolved,
    /// It was left to the next shift.
    HandedOver,
}

impl EventKind {
    /// Every kind.
    pub const ALL: [Self; 15] = [
        Self::Opened,
        Self::Raised,
        Self::Lowered,
        Self::FactAdded,
        Self::Reported,
        Self::Claimed,
        Self::Released,
        Self::TakenOver,
        Self::TimedOut,
        Self::Called,
        Self::Promised,
        Self::Kept,
        Self::Noted,
        Self::Resolved,
        Self::HandedOver,
    ];

    /// The word for it in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Raised => "raised",
            Self::Lowered => "lowered",
            Self::FactAdded => "fact_added",
            Self::Reported => "reported",
            Self::Claimed => "claimed",
            Self::Released => "released",
            Self::TakenOver => "taken_over",
            Self::TimedOut => "timed_out",
            Self::Called => "called",
            Self::Promised => "promised",
            Self::Kept => "kept",
            Self::Noted => "noted",
            Self::Resolved => "resolved",
            Self::HandedOver => "handed_over",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// What is written into the audit for it.
    pub fn audited(self) -> &'static str {
        match self {
            Self::Opened => "case.opened",
            Self::Raised => "case.raised",
            Self::Lowered => "case.lowered",
            Self::FactAdded => "case.fact-added",
            Self::Reported => "case.reported",
            Self::Claimed => "case.claimed",
            Self::Released => "case.released",
            Self::TakenOver => "case.taken-over",
            Self::TimedOut => "case.timed-out",
            Self::Called => "case.called",
            Self::Promised => "case.promised",
            Self::Kept => "case.promise-kept",
            Self::Noted => "case.noted",
            Self::Resolved => "case.resolved",
            Self::HandedOver => "case.handed-over",
        }
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Opened => Bilingual::fixed("検知", "Detected"),
            Self::Raised => Bilingual::fixed("優先度が上がりました", "Became graver"),
            Self::Lowered => Bilingual::fixed("優先度が下がりました", "Became less grave"),
            Self::FactAdded => Bilingual::fixed("所見の追加", "Finding added"),
            Self::Reported => {
                Bilingual::fixed("その後の報告: 該当なし", "Later report: no finding")
            }
            Self::Claimed => Bilingual::fixed("担当になりました", "Took the case"),
            Self::Released => Bilingual::fixed("担当をはずれました", "Let the case go"),
            Self::TakenOver => Bilingual::fixed("担当を引き取りました", "Took the case over"),
            Self::TimedOut => Bilingual::fixed("担当の時間切れ", "Hold ran out"),
            Self::Called => Bilingual::fixed("電話しました", "Rang the patient"),
            Self::Promised => Bilingual::fixed("約束", "Promise"),
            Self::Kept => Bilingual::fixed("約束を果たしました", "Promise kept"),
            Self::Noted => Bilingual::fixed("メモ", "Note"),
            Self::Resolved => Bilingual::fixed("終了", "Closed"),
            Self::HandedOver => Bilingual::fixed("引継ぎ", "Handed over"),
        }
    }
}

/// A line to be added to a case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Line {
    /// What happened.
    pub kind: EventKind,
    /// Whose deed it is; for a hold that ran out, whose hold.
    pub by: StaffId,
    /// What was written.
    pub text: String,
    /// When a promise is due.
    pub due_at: Option<Timestamp>,
    /// The promise that was kept.
    pub of: Option<u32>,
}

/// What a deed comes to.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Done {
    /// Where the case stands now.
    pub standing: Standing,
    /// What is added to its lines.
    pub lines: Vec<Line>,
}

/// Why a deed is not done. Nothing has changed.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum Refusal {
    /// Somebody else works on it: ask them, or take over.
    #[error("somebody else works on the case")]
    Held(Holder),
    /// One has to hold a case to let it go.
    #[error("the case is not held")]
    NotHeld,
    /// It is closed.
    #[error("the case is closed")]
    Closed,
    /// The note, the promise or the reason is missing.
    #[error("a word about it is missing")]
    NoText,
    /// A promise lies in the future.
    #[error("the promise is due in the past")]
    DueInPast,
}

impl Standing {
    /// Does a deed.
    ///
    /// # Errors
    /// If it cannot be done as the case stands.
    pub fn act(self, now: Timestamp, by: StaffId, deed: &Deed) -> Result<Done, Refusal> {
        if matches!(self, Self::Resolved(_)) {
            return Err(Refusal::Closed);
        }
        if let Deed::HandOver(text)
        | Deed::Note(text)
        | Deed::Promise(text, _)
        | Deed::Resolve(_, text) = deed
            && text.trim().is_empty()
        {
            return Err(Refusal::NoText);
        }
        let foreign = self.held_by_another(now, by);
        let mut lines = self.lines_of_lapse(now, by, deed);
        let line = |kind| Line { kind, by, text: String::new(), due_at: None, of: None };
        let (standing, line) = match deed {
            Deed::Claim | Deed::TakeOver if self.is_held_by(by) => {
                // Whoever asks again is at work.
                return Ok(Done { standing: self.renewed(now, by), lines: Vec::new() });
            }
            Deed::Claim => match foreign {
                Some(holder) => return Err(Refusal::Held(holder)),
                None => (Self::in_hand(now, by), line(EventKind::Claimed)),
            },
            Deed::TakeOver => {
                let kind =
                    if foreign.is_some() { EventKind::TakenOver } else { EventKind::Claimed };
                (Self::in_hand(now, by), line(kind))
            }
            Deed::Release if !self.is_held_by(by) => {
                return Err(foreign.map_or(Refusal::NotHeld, Refusal::Held));
            }
            Deed::Release => (Self::Untouched, line(EventKind::Released)),
            Deed::HandOver(_) | Deed::Resolve(..) if foreign.is_some() => {
                return Err(foreign.map_or(Refusal::NotHeld, Refusal::Held));
            }
            Deed::HandOver(text) => {
                (Self::HandedOver, Line { text: text.clone(), ..line(EventKind::HandedOver) })
            }
            Deed::Resolve(outcome, text) => (
                Self::Resolved(Some(*outcome)),
                Line { text: text.clone(), ..line(EventKind::Resolved) },
            ),
            // A colleague may have something to add, and to ring somebody is never wrong.
            Deed::Call => (self.renewed(now, by), line(EventKind::Called)),
            Deed::Note(text) => {
                (self.renewed(now, by), Line { text: text.clone(), ..line(EventKind::Noted) })
            }
            Deed::Promise(_, due) if *due <= now => return Err(Refusal::DueInPast),
            Deed::Promise(text, due) => (
                self.renewed(now, by),
                Line { text: text.clone(), due_at: Some(*due), ..line(EventKind::Promised) },
            ),
            Deed::Keep(of) => {
                (self.renewed(now, by), Line { of: Some(*of), ..line(EventKind::Kept) })
            }
        };
        lines.push(line);
        Ok(Done { standing, lines })
    }

    /// A hold that has run out ends; `None` if nothing is to be done.
    pub fn lapse(self, now: Timestamp) -> Option<Done> {
        let lines = self.lapsed(now).map(timed_out)?;
        Some(Done { standing: Self::Untouched, lines: vec![lines] })
    }

    /// Where it stands for whoever looks now: a hold that has run out is none.
    #[must_use]
    pub fn seen_at(self, now: Timestamp) -> Self {
        if self.lapsed(now).is_some() { Self::Untouched } else { self }
    }

    /// Whether this member of the staff holds it, also if nobody has noticed that the hold ran out.
    pub fn is_held_by(self, by: StaffId) -> bool {
        matches!(self, Self::InHand(Holder::Staff(claim)) if claim.by == by)
    }

    fn in_hand(now: Timestamp, by: StaffId) -> Self {
        Self::InHand(Holder::Staff(Claim::new(by, now)))
    }

    fn lapsed(self, now: Timestamp) -> Option<Claim> {
        match self {
            Self::InHand(Holder::Staff(claim)) if !claim.is_live(now) => Some(claim),
            _ => None,
        }
    }

    fn held_by_another(self, now: Timestamp, by: StaffId) -> Option<Holder> {
        match self.seen_at(now) {
            Self::InHand(holder) if !self.is_held_by(by) => Some(holder),
            _ => None,
        }
    }

    /// That another's hold has run out is written before a deed that ends it.
    fn lines_of_lapse(self, now: Timestamp, by: StaffId, deed: &Deed) -> Vec<Line> {
        let ends_hold =
            matches!(deed, Deed::Claim | Deed::TakeOver | Deed::HandOver(_) | Deed::Resolve(..));
        match self.lapsed(now) {
            Some(claim) if ends_hold && claim.by != by => vec![timed_out(claim)],
            _ => Vec::new(),
        }
    }

    /// The same, with the holder's time running anew if it is the holder who acts.
    fn renewed(self, now: Timestamp, by: StaffId) -> Self {
        match self {
            Self::InHand(Holder::Staff(claim)) if claim.by == by => {
                Self::InHand(Holder::Staff(Claim { until: now + CLAIM_LASTS, ..claim }))
            }
            other => other,
        }
    }
}

fn timed_out(claim: Claim) -> Line {
    let kind = EventKind::TimedOut;
    Line { kind, by: claim.by, text: String::new(), due_at: None, of: None }
}

/// Where a case is shown in the queue.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Lane {
    /// 緊急
    Urgent,
    /// 未応答・連絡不能: all that is known is that nothing was heard.
    Unreached,
    /// 注意・確認
    Caution,
}

impl Lane {
    /// Every lane, the most urgent first.
    pub const ALL: [Self; 3] = [Self::Urgent, Self::Unreached, Self::Caution];

    /// Where a case with this priority and these facts belongs.
    pub fn of(priority: Priority, facts: &[Fact]) -> Self {
        let is_silence = |fact: &Fact| fact.source.is_silence();
        if priority == Priority::P1 {
            Self::Urgent
        } else if facts.iter().filter(|fact| fact.priority != Priority::P0).all(is_silence) {
            Self::Unreached
        } else {
            Self::Caution
        }
    }

    /// Its name for people.
    pub const fn name(self) -> Bilingual {
        match self {
            Self::Urgent => Bilingual::fixed("緊急", "Urgent"),
            Self::Unreached => Bilingual::fixed("未応答・連絡不能", "Not reached"),
            Self::Caution => Bilingual::fixed("注意・確認", "Caution, to be confirmed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::id::{AttemptId, Minter};
    use crate::escalation::FactSource;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(minute * 60).unwrap()
    }

    fn staff(n: u8) -> StaffId {
        Minter::new([n; 32]).mint(at(0))
    }

    fn show(standing: Standing) -> String {
        match standing {
            Standing::Untouched => "untouched".to_owned(),
            Standing::InHand(Holder::CommandLine) => "command-line".to_owned(),
            Standing::InHand(Holder::Staff(claim)) => {
                let who = if claim.by == staff(1) { "hana" } else { "taro" };
                format!("{who}-until-{}", claim.until.as_second() / 60)
            }
            Standing::HandedOver => "handed-over".to_owned(),
            Standing::Resolved(None) => "resolved".to_owned(),
            Standing::Resolved(Some(outcome)) => format!("resolved-{}", outcome.as_str()),
        }
    }

    fn deed(word: &str, now: i64) -> Deed {
        let text = || "本人と話した".to_owned();
        match word {
            "claims" => Deed::Claim,
            "takes-over" => Deed::TakeOver,
            "releases" => Deed::Release,
            "hands-over" => Deed::HandOver(text()),
            "calls" => Deed::Call,
            "notes" => Deed::Note(text()),
            "notes-nothing" => Deed::Note("　 ".to_owned()),
            "promises" => Deed::Promise(text(), at(now + 60)),
            "promises-late" => Deed::Promise(text(), at(now)),
            "keeps" => Deed::Keep(3),
            "resolves" => Deed::Resolve(Outcome::SpokeFine, text()),
            "resolves-silently" => Deed::Resolve(Outcome::SpokeFine, String::new()),
            "calls-it-false" => Deed::Resolve(Outcome::FalseAlarm, text()),
            other => panic!("{other}"),
        }
    }

    /// Plays `minute who deed` and says where it ends: the standing, and the lines or the refusal.
    fn play(mut standing: Standing, script: &str) -> String {
        let mut told = Vec::new();
        for step in script.split(", ") {
            let words: Vec<&str> = step.split(' ').collect();
            let [minute, who, word] = words[..] else { panic!("{step}") };
            let now = minute.parse().unwrap();
            let by = staff(if who == "hana" { 1 } else { 2 });
            match standing.act(at(now), by, &deed(word, now)) {
                Ok(done) => {
                    standing = done.standing;
                    told.extend(done.lines.iter().map(|line| line.kind.as_str().to_owned()));
                }
                Err(refusal) => told.push(format!("! {refusal}")),
            }
        }
        format!("{} | {}", show(standing), told.join(" "))
    }

    #[test]
    fn one_holds_a_case_and_the_others_are_told_so() {
        for (script, expected) in [
            ("0 hana claims", "hana-until-30 | claimed"),
            (
                "0 hana claims, 1 taro claims",
                "hana-until-30 | claimed ! somebody else works on the case",
            ),
            ("0 hana claims, 10 hana claims", "hana-until-40 | claimed"),
            ("0 hana claims, 1 taro takes-over", "taro-until-31 | claimed taken_over"),
            ("0 hana takes-over", "hana-until-30 | claimed"),
            ("0 hana claims, 1 hana releases", "untouched | claimed released"),
            ("0 hana releases", "untouched | ! the case is not held"),
            (
                "0 hana claims, 1 taro releases",
                "hana-until-30 | claimed ! somebody else works on the case",
            ),
            ("0 hana claims, 1 hana hands-over", "handed-over | claimed handed_over"),
            (
                "0 hana claims, 1 hana hands-over, 2 taro claims",
                "taro-until-32 | claimed handed_over claimed",
            ),
            ("0 hana hands-over", "handed-over | handed_over"),
            (
                "0 hana claims, 1 taro hands-over",
                "hana-until-30 | claimed ! somebody else works on the case",
            ),
        ] {
            assert_eq!(play(Standing::Untouched, script), expected, "{script}");
        }
    }

    #[test]
    fn a_hold_runs_out_unless_its_holder_does_something() {
        for (script, expected) in [
            (
                "0 hana claims, 29 taro claims",
                "hana-until-30 | claimed ! somebody else works on the case",
            ),
            ("0 hana claims, 30 taro claims", "taro-until-60 | claimed timed_out claimed"),
            ("0 hana claims, 30 taro takes-over", "taro-until-60 | claimed timed_out claimed"),
            (
                "0 hana claims, 20 hana notes, 31 taro claims",
                "hana-until-50 | claimed noted ! somebody else works on the case",
            ),
            (
                "0 hana claims, 20 hana calls, 25 hana promises",
                "hana-until-55 | claimed called promised",
            ),
            ("0 hana claims, 20 taro notes", "hana-until-30 | claimed noted"),
            // Nobody has missed her.
            ("0 hana claims, 40 hana notes", "hana-until-70 | claimed noted"),
            ("0 hana claims, 40 taro resolves", "resolved-spoke_fine | claimed timed_out resolved"),
        ] {
            assert_eq!(play(Standing::Untouched, script), expected, "{script}");
        }
        let held = Standing::in_hand(at(0), staff(1));
        assert_eq!((held.lapse(at(29)), held.seen_at(at(29))), (None, held));
        assert_eq!(held.seen_at(at(30)), Standing::Untouched);
        let lapsed = held.lapse(at(30)).unwrap();
        assert_eq!(lapsed.standing, Standing::Untouched);
        assert_eq!((lapsed.lines[0].kind, lapsed.lines[0].by), (EventKind::TimedOut, staff(1)));
        let at_desk = Standing::InHand(Holder::CommandLine);
        assert_eq!(at_desk.lapse(at(1_000)), None);
        assert_eq!(
            play(at_desk, "0 hana claims, 1 hana takes-over"),
            "hana-until-31 | ! somebody else works on the case taken_over"
        );
    }

    #[test]
    fn nothing_is_closed_without_a_word_nor_opened_again() {
        for (script, expected) in [
            ("0 hana resolves", "resolved-spoke_fine | resolved"),
            ("0 hana claims, 1 hana calls-it-false", "resolved-false_alarm | claimed resolved"),
            ("0 hana resolves-silently", "untouched | ! a word about it is missing"),
            ("0 hana notes-nothing", "untouched | ! a word about it is missing"),
            ("0 hana promises-late", "untouched | ! the promise is due in the past"),
            ("0 hana promises, 1 taro keeps", "untouched | promised kept"),
            (
                "0 hana claims, 1 taro resolves",
                "hana-until-30 | claimed ! somebody else works on the case",
            ),
            (
                "0 hana resolves, 1 hana claims, 2 hana notes",
                "resolved-spoke_fine | resolved ! the case is closed ! the case is closed",
            ),
        ] {
            assert_eq!(play(Standing::Untouched, script), expected, "{script}");
        }
    }

    #[test]
    fn words_are_read_back() {
        for outcome in Outcome::ALL {
            assert_eq!(Outcome::parse(outcome.as_str()), Some(outcome));
        }
        for kind in EventKind::ALL {
            assert_eq!(EventKind::parse(kind.as_str()), Some(kind));
        }
    }

    #[test]
    fn silence_has_a_lane_of_its_own_unless_it_is_urgent() {
        let attempt: AttemptId = Minter::new([3; 32]).mint(at(0));
        let fact = |source, priority| Fact {
            rule: "rule".to_owned(),
            rule_set: "1".to_owned(),
            priority,
            text: String::new(),
            at: at(0),
            source,
        };
        let (said, silent) = (FactSource::Answer(attempt, 0), FactSource::Attempt(attempt));
        for (facts, lane) in [
            (vec![fact(said, Priority::P1)], Lane::Urgent),
            (vec![fact(silent, Priority::P1)], Lane::Urgent),
            (vec![fact(silent, Priority::P3)], Lane::Unreached),
            (vec![fact(silent, Priority::P3), fact(said, Priority::P0)], Lane::Unreached),
            (vec![fact(silent, Priority::P3), fact(said, Priority::P3)], Lane::Caution),
        ] {
            let gravest = facts.iter().map(|fact| fact.priority).max().unwrap();
            assert_eq!(Lane::of(gravest, &facts), lane, "{facts:?}");
        }
    }
}
