//! The dialogue of one call: asks, repeats, confirms, gives up.
//!
//! A [`Session`] is a sans-IO machine: feed it with [`Session::handle_input`], then call
//! [`Session::poll_output`] until it says [`Output::Wait`]; only then feed it again. After
//! [`Output::Record`] it says nothing until it is told [`Input::Recorded`] or
//! [`Input::NotRecorded`]. After [`Input::HungUp`] it must be drained once more: a value that was
//! typed, but not yet confirmed, is recorded then, for a sign of danger must not be lost for want
//! of a confirming key.
//!
//! ```text
//! Idle ──Answered──► Hearing ──quiet──► Greeting ◄──► Holding (the patient is fetched)
//!                       │beep, 40 s without a key │ 1, or 2 for the family
//!                       ▼                         ▼
//!                      Over ◄──wrong twice── Identifying
//!                       ▲                         │ Identified
//!                       │                         ▼
//!                    Telling ◄──nothing due── Asking ◄─────────────┐
//!               (closing), Offering               │ Record         │ Recorded
//!                       ▲                         ▼                │
//!                       └──not recorded────── Recording ──► Telling (emergency)
//! ```
//!
//! Keys are never lost: they wait in a queue until a question takes them, also while a safety
//! message is told, while an answer is committed, and during the first 1.5 s of a prompt. So the
//! same keys give the same transcript, whether they come early or late.
//!
//! Once the rules say [`Concern::Emergency`], the patient is told so at once and cannot skip it:
//! the desk's number twice, and to hang up and dial 119 if breathing is hard or consciousness
//! fades. Only then come the remaining *urgent* questions, in few words and with the advice to
//! hang up rather than answer: they tell the nurse whom to call first, and may lower a false
//! alarm. At the first silence, and after the last of them, the call closes with the number, so
//! that the line is free to call for help. Everything else is left for the nurse's call.
//!
//! One more key asks for help at every question that is answered with yes or no (`help`).
//!
//! At the end, where a recording is kept, what the patient wants to say to the staff is listened to
//! for half a minute; the same is offered once to somebody who speaks but presses no key.
//!
//! Before the birth date was right no word is said of health or illness, and its keys are kept
//! nowhere.

mod asking;
mod exchange;
mod help;
mod identity;
mod message;
mod opening;
mod profile;
mod turn;

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::base::{Digit, Now};
use crate::call::{Completion, Heard, Respondent};
use crate::ivr::gather::Gathered;
use crate::ivr::session::asking::{Asking, Phase};
use crate::ivr::session::help::Help;
use crate::ivr::session::identity::Identity;
use crate::ivr::session::message::Listening;
use crate::ivr::session::opening::Opening;
use crate::ivr::session::turn::{GUARDED, Turn};
use crate::ivr::{Answer, Entry, Questionnaire, Script, Utterance};

pub use crate::ivr::speech::utterances;

pub use self::exchange::{Concern, Input, Message, Output};
pub use self::profile::{Profile, Remeasure};

/// No new question after this long.
const CLOSES_AFTER: Duration = Duration::from_secs(450);
/// The whole call is at most this long.
const ENDS_AFTER: Duration = Duration::from_mins(8);

/// Wrong keys, or values, per question.
const MAX_WRONG: u32 = 3;

/// The dialogue of one call; see the [module docs](self).
pub struct Session {
    questionnaire: Arc<Questionnaire>,
    profile: Profile,
    stage: Stage,
    /// The question that is being put, if any.
    turn: Option<Turn>,
    /// Keys that no question has taken yet.
    typed: VecDeque<Digit>,
    outputs: VecDeque<Output>,
    opening: Opening,
    identity: Identity,
    asking: Asking,
    help: Help,
    entries: Vec<Entry>,
    /// What is known: earlier attempts and this call.
    answers: Vec<(String, Answer)>,
    respondent: Respondent,
    /// How the dialogue ended, where the answers do not tell.
    end: Option<Completion>,
    /// The gravest so far.
    concern: Concern,
    /// The patient has been told to call for help.
    warned: bool,
    /// Questions in a row that nobody reacted to.
    n_silent: u32,
    /// What the patient wants to say is being listened to.
    listening: Option<Listening>,
    /// A message was offered.
    offered: bool,
    /// No new question from here on.
    closes_at: Option<Instant>,
    /// The call ends here at the latest.
    ends_at: Option<Instant>,
    /// Somebody else of the household was asked on this line just now.
    follows: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Stage {
    /// Not answered yet.
    Idle,
    /// Answered; we listen before we speak.
    Hearing,
    /// Who is there?
    Greeting,
    /// A member of the family: fetch the patient, or answer for them?
    FamilyChoice,
    /// The patient is being fetched.
    Holding,
    /// The birth date, from the patient or the family.
    Identifying(Respondent),
    /// A question of the questionnaire.
    Asking(Phase),
    /// Was the key meant that asks for help?
    Helping,
    /// An answer is being committed.
    Recording,
    /// Something is said that no key cuts.
    Telling(Next),
    /// Is there something to say to the staff?
    Offering,
    /// It is being said.
    Listening,
    /// A machine beeped; its recording is about to begin.
    Beeped,
    /// Nothing more is said or heard.
    Over,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Question,
    Message,
    HangUp,
}

impl Session {
    /// A dialogue that waits for [`Input::Answered`].
    pub fn new(questionnaire: Arc<Questionnaire>, profile: Profile) -> Self {
        let is_settled = |(_, answer): &&(String, Answer)| *answer != Answer::Unanswered;
        let answers = profile.answered.iter().filter(is_settled).cloned().collect();
        Self {
            questionnaire,
            profile,
            stage: Stage::Idle,
            turn: None,
            typed: VecDeque::new(),
            outputs: VecDeque::new(),
            opening: Opening::default(),
            identity: Identity::default(),
            asking: Asking::default(),
            help: Help::default(),
            entries: Vec::new(),
            answers,
            respondent: Respondent::Nobody,
            end: None,
            concern: Concern::None,
            warned: false,
            n_silent: 0,
            listening: None,
            offered: false,
            closes_at: None,
            ends_at: None,
            follows: false,
        }
    }

    /// A dialogue with the next one of a household, on the line on which another was asked just
    /// now: it does not wait for a voice, and tells whom it wants to speak with. All else is as in
    /// any call.
    pub fn following(questionnaire: Arc<Questionnaire>, profile: Profile) -> Self {
        Self { follows: true, ..Self::new(questionnaire, profile) }
    }

    /// Feeds one input. Follow it with [`Self::poll_output`] until [`Output::Wait`].
    pub fn handle_input(&mut self, now: Now, input: Input) {
        match (self.stage, input) {
            // The line is gone, or was never there: whatever comes late changes nothing.
            (Stage::Over, _) => {}
            (_, Input::HungUp) => self.on_hung_up(now),
            (Stage::Idle, Input::Answered) => self.on_answered(now.instant),
            (Stage::Idle, _) | (_, Input::Answered) => {}
            (_, Input::Digit(digit)) => self.on_digit(now.instant, digit),
            (_, Input::PlayEnded) => self.on_play_ended(now),
            (_, Input::Timeout) => self.on_timeout(now),
            (_, Input::Heard(heard)) => self.on_heard(now.instant, heard),
            (Stage::Recording, Input::Recorded(concern)) => self.on_recorded(now, concern),
            (Stage::Recording, Input::NotRecorded) => self.on_not_recorded(),
            // An answer to no question of ours.
            (_, Input::Recorded(_) | Input::NotRecorded) => {}
        }
        self.take_typed(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or_else(|| Output::Wait(self.deadline()))
    }

    /// Who answered, as far as keys have proved it.
    pub fn respondent(&self) -> Respondent {
        self.respondent
    }

    /// How far the dialogue has come. What counts as complete: every question that is due and
    /// required has an answer, or is said not to be measured, here or in an earlier attempt.
    pub fn completion(&self) -> Completion {
        if let Some(end) = self.end {
            return end;
        }
        match self.respondent {
            Respondent::Nobody | Respondent::Machine => Completion::NoInput,
            Respondent::Patient | Respondent::Family if self.has_all_required() => {
                Completion::Complete
            }
            _ if self.entries.iter().any(|entry| entry.answer != Answer::Unanswered) => {
                Completion::Partial
            }
            _ => Completion::HungUp,
        }
    }

    /// The answers so far.
    pub fn transcript(&self) -> &[Entry] {
        &self.entries
    }

    fn deadline(&self) -> Option<Instant> {
        let turn = self.turn.as_ref();
        let guard = turn
            .and_then(|turn| turn.saying_since)
            .filter(|_| !self.typed.is_empty())
            .map(|since| since + GUARDED);
        let in_stage = match self.stage {
            Stage::Idle | Stage::Over => return None,
            Stage::Hearing | Stage::Beeped => self.opening.until,
            Stage::Listening => self.listening.map(|listening| listening.deadline()),
            _ => self.closes_at.filter(|_| turn.is_some()),
        };
        let of_turn = turn.and_then(|turn| turn.deadline);
        [guard, in_stage, of_turn, self.ends_at].into_iter().flatten().min()
    }

    // --- inputs

    fn on_answered(&mut self, now: Instant) {
        self.closes_at = Some(now + CLOSES_AFTER);
        self.ends_at = Some(now + ENDS_AFTER);
        if self.follows {
            return self.greet(now);
        }
        self.stage = Stage::Hearing;
        self.opening.listen(now);
    }

    fn on_digit(&mut self, now: Instant, digit: Digit) {
        if self.stage == Stage::Beeped {
            return;
        }
        if !self.is_human() {
            self.respondent = Respondent::Unidentified;
        }
        self.opening.is_long = false;
        if self.stage == Stage::Listening {
            return self.end_message();
        }
        self.typed.push_back(digit);
        if self.stage == Stage::Hearing {
            self.greet(now);
        }
    }

    fn on_play_ended(&mut self, now: Now) {
        if let Stage::Telling(next) = self.stage {
            return match next {
                Next::Question => self.next_question(now),
                Next::Message => self.listen(now.instant),
                Next::HangUp => self.hang_up(),
            };
        }
        let Some(turn) = &mut self.turn else { return };
        if turn.saying_since.take().is_some() {
            let first = now.instant + turn.first;
            turn.deadline = Some(turn.not_before.map_or(first, |at| at.max(first)));
        }
    }

    fn on_timeout(&mut self, now: Now) {
        let is_past = |at: Option<Instant>| at.is_some_and(|at| at <= now.instant);
        if is_past(self.ends_at) {
            self.hang_up();
        } else if is_past(self.closes_at) && self.turn.is_some() {
            self.run_out(now);
        } else if self.stage == Stage::Hearing && is_past(self.opening.until) {
            self.heard_enough(now.instant);
        } else if self.stage == Stage::Listening && is_past(self.deadline()) {
            self.end_message();
        } else if self.stage == Stage::Beeped && is_past(self.opening.until) {
            self.tell(&["voicemail"], Next::HangUp);
        } else if let Some(turn) = &mut self.turn
            && is_past(turn.deadline)
        {
            let gathered = turn.gather.give_up();
            self.on_gathered(now, &gathered);
        }
    }

    fn on_heard(&mut self, now: Instant, heard: Heard) {
        if self.listening.is_some() {
            self.hear_message(now, heard);
        } else if !self.is_human() && matches!(self.stage, Stage::Hearing | Stage::Greeting) {
            self.hear_somebody(now, heard);
        }
    }

    fn on_recorded(&mut self, now: Now, concern: Concern) {
        self.concern = self.concern.max(concern);
        let is_late = self.closes_at.is_some_and(|at| at <= now.instant);
        if concern == Concern::Emergency && !self.warned {
            self.warned = true;
            match self.due() {
                Some(_) if !is_late => self.tell(&["emergency", "urgent_more"], Next::Question),
                _ => self.tell(&["emergency"], Next::Question),
            }
        } else {
            self.next_question(now);
        }
    }

    fn on_not_recorded(&mut self) {
        // It is in no store, so it must not look as if it were.
        self.entries.pop();
        self.end = Some(Completion::SystemError);
        let words: &[&str] = if self.warned {
            &["not_recorded", "closing_emergency"]
        } else {
            &["not_recorded", "closing_phone", "closing_119", "goodbye"]
        };
        self.tell(words, Next::HangUp);
    }

    fn on_hung_up(&mut self, now: Now) {
        if self.stage == Stage::Helping {
            self.settle_help(now);
        } else if let Some(answer) = self.asking.pending.take() {
            self.keep_try();
            self.settle(now, answer);
        }
        self.stop_listening();
        self.turn = None;
        self.stage = Stage::Over;
    }

    // --- what is said and gathered

    /// Says words that nothing cuts.
    fn tell(&mut self, prompts: &[&str], next: Next) {
        self.stage = Stage::Telling(next);
        self.turn = None;
        let words = self.words(prompts);
        self.outputs.push_back(Output::Say(words));
    }

    fn words(&self, prompts: &[&str]) -> Vec<Utterance> {
        prompts.iter().filter_map(|id| self.profile.words(id)).collect()
    }

    fn hang_up(&mut self) {
        self.stop_listening();
        self.turn = None;
        self.stage = Stage::Over;
        self.outputs.push_back(Output::HangUp);
    }

    fn is_human(&self) -> bool {
        !matches!(self.respondent, Respondent::Nobody | Respondent::Machine)
    }

    fn on_gathered(&mut self, now: Now, gathered: &Gathered) {
        match self.stage {
            Stage::Greeting | Stage::FamilyChoice | Stage::Holding => {
                self.on_who(now.instant, gathered);
            }
            Stage::Identifying(respondent) => self.on_birth(now, respondent, gathered),
            Stage::Helping => self.on_helping(now, gathered),
            Stage::Offering if self.is_help(gathered) => self.on_help(now),
            Stage::Offering => self.on_offered(now.instant, gathered),
            Stage::Asking(phase) => {
                if phase != Phase::Alive {
                    self.keep_try();
                }
                match phase {
                    _ if self.is_help(gathered) => self.on_help(now),
                    Phase::Value => self.on_value(now, gathered),
                    Phase::Alive => self.on_alive(now, gathered),
                    Phase::Confirm => self.on_confirm(now, gathered),
                }
            }
            // Only those stages gather.
            _ => {}
        }
    }

    // --- the end

    /// The call has lasted long enough.
    fn run_out(&mut self, now: Now) {
        self.cut();
        if !matches!(self.respondent, Respondent::Patient | Respondent::Family) {
            return self.tell(&["nobody"], Next::HangUp);
        }
        if self.stage == Stage::Helping {
            return self.settle_help(now);
        }
        match self.asking.pending {
            Some(answer) => {
                self.keep_try();
                self.settle(now, answer);
            }
            None => self.close("closing_time"),
        }
    }

    /// Says what happens next, and whom to call.
    fn close(&mut self, first: &str) {
        if self.warned {
            return self.tell(&["closing_emergency"], Next::HangUp);
        }
        let mut prompts = vec![first];
        prompts.extend(self.what_follows(first));
        prompts.extend(["closing_phone", "closing_119", "goodbye"]);
        self.tell(&prompts, Next::HangUp);
    }

    /// The next call, or what comes in its place, and what staff make of the answers.
    fn what_follows(&self, first: &str) -> Vec<&'static str> {
        if self.profile.script == Script::Farewell {
            return Vec::new();
        }
        let of_answers = match self.concern {
            Concern::None => None,
            Concern::Watch => Some("closing_watch"),
            Concern::Desk | Concern::Emergency => Some("closing_desk"),
        };
        // These say themselves that another call may come.
        let is_broken_off = matches!(first, "closing_silence" | "closing_time");
        let of_calls = match self.profile.next_call {
            _ if first == "closing_silence" => None,
            _ if self.is_to_be_remeasured() => Some("closing_remeasure"),
            Some(_) => Some("closing_next"),
            None if is_broken_off || of_answers == Some("closing_desk") => None,
            None if self.profile.has_open_case => return vec!["closing_staff"],
            None => Some("closing_last"),
        };
        of_calls.into_iter().chain(of_answers).collect()
    }

    /// Whether this call brought a value that is measured again.
    fn is_to_be_remeasured(&self) -> bool {
        let Some(again) = &self.profile.remeasure else { return false };
        let last = self.entries.iter().rfind(|entry| entry.question == again.question);
        last.is_some_and(
            |entry| matches!(entry.answer, Answer::Number(number) if again.range.contains(&number)),
        )
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, n_entries) = (self.questionnaire.key(), self.entries.len());
        write!(f, "Session({id}, {:?}, {n_entries} entries)", self.stage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ivr::session::opening::FIRST_WORD;

    #[expect(clippy::disallowed_methods, reason = "one arbitrary origin")]
    fn answered() -> (Session, Now) {
        let timestamp = "2026-11-22T00:00:00Z".parse().unwrap();
        let now = Now { instant: Instant::now(), timestamp };
        let mut session = Session::new(Questionnaire::recuperation(), Profile::invented());
        session.handle_input(now, Input::Answered);
        (session, now)
    }

    fn drain(session: &mut Session) -> (Vec<Output>, Option<Instant>) {
        let mut outputs = Vec::new();
        loop {
            match session.poll_output() {
                Output::Wait(until) => return (outputs, until),
                output => outputs.push(output),
            }
        }
    }

    #[test]
    fn it_listens_for_a_second_before_it_speaks() {
        let (mut session, now) = answered();
        assert_eq!(drain(&mut session), (vec![], Some(now.instant + FIRST_WORD)));
        session.handle_input(now.later(FIRST_WORD), Input::Timeout);
        assert!(matches!(drain(&mut session).0.as_slice(), [Output::Say(_)]));
    }

    #[test]
    fn nobody_can_read_keys_or_persons_from_debug() {
        let (mut session, now) = answered();
        for key in [1, 0, 7, 0] {
            session.handle_input(now.later(GUARDED), Input::Digit(Digit::Number(key)));
        }
        let shown = format!("{session:?} {:?} {:?}", session.profile, Input::Digit(Digit::Star));
        assert_eq!(
            shown,
            "Session(recuperation@2, Greeting, 0 entries) Profile(Full) Digit([private])"
        );
    }

    #[test]
    fn patience_is_ten_seconds_and_twice_that_for_the_slow() {
        for (slow_speech, seconds) in [(false, 10), (true, 20)] {
            let (mut session, now) = answered();
            session.profile.slow_speech = slow_speech;
            session.handle_input(now.later(FIRST_WORD), Input::Timeout);
            let ended = now.later(Duration::from_secs(9));
            session.handle_input(ended, Input::PlayEnded);
            let until = drain(&mut session).1;
            assert_eq!(until, Some(ended.instant + Duration::from_secs(seconds)));
        }
    }

    #[test]
    fn a_key_in_the_first_moments_counts_once_they_are_over() {
        let (mut session, now) = answered();
        let greeted = now.later(FIRST_WORD);
        session.handle_input(greeted, Input::Timeout);
        let _ = drain(&mut session);
        session.handle_input(
            greeted.later(Duration::from_millis(100)),
            Input::Digit(Digit::Number(1)),
        );
        assert_eq!(drain(&mut session), (vec![], Some(greeted.instant + GUARDED)));
        session.handle_input(greeted.later(GUARDED), Input::Timeout);
        assert!(matches!(drain(&mut session).0.as_slice(), [Output::StopSaying, Output::Say(_)]));
    }
}
