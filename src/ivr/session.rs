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
//! At the end, where a recording is kept, what the patient wants to say to the staff is listened to
//! for half a minute; the same is offered once to somebody who speaks but presses no key.
//!
//! Before the birth date was right no word is said of health or illness, and its keys are kept
//! nowhere.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::civil::{Date, DateTime};

use crate::base::{Digit, Now, Private};
use crate::call::{Completion, Heard, Respondent};
use crate::ivr::gather::{Gather, Gathered, Wanted};
use crate::ivr::message::Listening;
use crate::ivr::questionnaire::{Kind, MessageStep, NumberFormat, Question};
use crate::ivr::{Answer, Entry, Questionnaire, Script, Utterance, YesNo};

pub use crate::ivr::speech::utterances;

/// What the interview must know of the patient and of the day. Its `Debug` tells no person's data.
#[derive(Clone)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts and choices")]
pub struct Profile {
    /// The name of the health centre in accent-marked katakana.
    pub health_center: String,
    /// The consultation desk, digits and hyphens; read out, never dialled.
    pub desk_phone: String,
    /// The family name in katakana.
    pub family_name: Private<String>,
    /// Month and day of the patient's birth, which prove who is there.
    pub birth: Private<(i8, i8)>,
    /// A thermometer is at hand.
    pub has_thermometer: bool,
    /// A pulse oximeter is at hand.
    pub has_oximeter: bool,
    /// Every patience is doubled.
    pub slow_speech: bool,
    /// Which questions are put.
    pub script: Script,
    /// A member of the family may answer for the patient.
    pub family_may_answer: bool,
    /// What earlier attempts at the same slot settled; it is not asked again.
    pub answered: Vec<(String, Answer)>,
    /// When the next call comes, if one is planned.
    pub next_call: Option<DateTime>,
    /// The day of this call.
    pub today: Date,
    /// Say a neutral sentence to an answering machine after its beep; leave nothing otherwise.
    pub leave_message: bool,
    /// The call is recorded, and the greeting says so.
    pub is_recorded: bool,
    /// What the patient wants to say to the staff can be kept.
    pub takes_messages: bool,
}

/// What the driver tells a [`Session`]. Its `Debug` hides keys: they may prove an identity.
#[derive(Clone, Copy)]
pub enum Input {
    /// The call was answered; the first input.
    Answered,
    /// A key was pressed.
    Digit(Digit),
    /// What was said last has been said to its end. Never told of words that were cut: the
    /// session would take the end of one sentence for that of the next.
    PlayEnded,
    /// The instant of the last [`Output::Wait`] has come.
    Timeout,
    /// Something was heard that is no key.
    Heard(Heard),
    /// The entry of the last [`Output::Record`] is committed, and weighs this much.
    Recorded(Concern),
    /// The entry of the last [`Output::Record`] could not be committed.
    NotRecorded,
    /// The far end is gone; the last input.
    HungUp,
}

/// How much an answer weighs: what the rules made of it.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Concern {
    /// Nothing.
    None,
    /// Staff will look at it today.
    Watch,
    /// Staff will call back soon; the closing names the consultation desk.
    Desk,
    /// The patient must call for help now.
    Emergency,
}

/// What a [`Session`] asks of its driver.
#[derive(Clone, Debug, Eq, PartialEq)]
#[must_use]
pub enum Output {
    /// Say these one after the other, instead of whatever is being said.
    Say(Vec<Utterance>),
    /// Fall silent: the patient has begun to answer.
    StopSaying,
    /// Somebody proved who they are: the patient or the family.
    Identified(Respondent),
    /// An answer is settled: commit it, have the rules weigh it, then tell [`Input::Recorded`].
    Record(Entry),
    /// Keep what is heard from now on: it is meant for the staff.
    BeginMessage,
    /// That was it.
    EndMessage(Message),
    /// End the call.
    HangUp,
    /// Nothing more to do until this instant, or until something happens if `None`.
    Wait(Option<Instant>),
}

/// Whether something was said after [`Output::BeginMessage`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Message {
    /// Somebody spoke: the staff must hear it.
    Spoken,
    /// Nobody did.
    Empty,
}

/// How long to wait for somebody to speak before greeting.
const FIRST_WORD: Duration = Duration::from_secs(1);
/// How long it must be quiet after a short "hello".
const PAUSE_OF_A_PERSON: Duration = Duration::from_millis(900);
/// Speech longer than this is probably a machine.
const LONG_SPEECH: Duration = Duration::from_secs(3);
/// How long it must be quiet after long speech.
const PAUSE_OF_A_MACHINE: Duration = Duration::from_secs(2);
/// Greet after this, however long they speak: it may be a television.
const LONGEST_SILENCE: Duration = Duration::from_secs(20);
/// Between the two openings to a probable machine.
const MACHINE_GAP: Duration = Duration::from_secs(5);
/// Without a key for this long it is a machine.
const MACHINE_PATIENCE: Duration = Duration::from_secs(40);
/// Between the beep and the message.
const AFTER_BEEP: Duration = Duration::from_secs(1);
/// For the first key: a mobile telephone has to be taken from the ear.
const FIRST_KEY: Duration = Duration::from_secs(10);
/// Between two keys.
const NEXT_KEY: Duration = Duration::from_secs(5);
/// For the patient to come to the telephone.
const HOLD: Duration = Duration::from_secs(30);
/// A prompt is heard at least this long before a key cuts it.
const GUARDED: Duration = Duration::from_millis(1500);
/// No new question after this long.
const CLOSES_AFTER: Duration = Duration::from_secs(450);
/// A message is offered only if so much is left before that.
const ROOM_FOR_MESSAGE: Duration = Duration::from_secs(75);
/// The whole call is at most this long.
const ENDS_AFTER: Duration = Duration::from_mins(8);

/// Wrong keys, or values, per question.
const MAX_WRONG: u32 = 3;
/// Confirmations per value.
const MAX_CONFIRMS: u32 = 2;
/// Times the patient is fetched.
const MAX_HOLDS: u32 = 3;
/// Tries at the birth date.
const MAX_BIRTHS: u32 = 2;

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
    asking: Asking,
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
enum Phase {
    /// The answer.
    Value,
    /// Any key, as a sign of life.
    Alive,
    /// The answer was read back: is it right?
    Confirm,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Next {
    Question,
    Message,
    HangUp,
}

/// One question that is being put: words, then keys.
struct Turn {
    gather: Gather,
    /// Since when its words are being said; `None` once they are over or cut.
    saying_since: Option<Instant>,
    /// How long to wait for the first key once the words are over.
    first: Duration,
    /// The wait for the first key does not end before this.
    not_before: Option<Instant>,
    /// When patience ends; `None` while the words are being said.
    deadline: Option<Instant>,
}

/// How far we came with whoever answered.
#[derive(Default)]
struct Opening {
    /// When to stop listening, or to leave the message.
    until: Option<Instant>,
    /// Greet from here on, even into speech.
    greet_at: Option<Instant>,
    /// Since when they speak.
    speech_since: Option<Instant>,
    /// When the first greeting began.
    greeted_at: Option<Instant>,
    /// They spoke as long as machines do.
    is_long: bool,
    /// Somebody, or something, has spoken.
    spoke: bool,
    /// The hint about the tone key was given.
    hinted: bool,
    /// Which greeting comes next.
    rung: u32,
    n_wrong: u32,
    n_holds: u32,
    /// Wrong birth dates.
    n_births: u32,
    /// Birth dates that were not given.
    n_misses: u32,
}

/// How far we came with one question.
#[derive(Default)]
struct Asking {
    /// Its place in the questionnaire.
    index: usize,
    n_asked: u32,
    n_silences: u32,
    n_wrong: u32,
    n_confirms: u32,
    /// The keys of every try.
    tries: Vec<String>,
    /// Given, but not confirmed.
    pending: Option<Answer>,
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
            asking: Asking::default(),
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
        }
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
        self.stage = Stage::Hearing;
        self.opening.until = Some(now + FIRST_WORD);
        self.opening.greet_at = Some(now + LONGEST_SILENCE);
        self.closes_at = Some(now + CLOSES_AFTER);
        self.ends_at = Some(now + ENDS_AFTER);
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
        if let Some(listening) = &mut self.listening {
            listening.hear(now, heard);
            if listening.deadline() <= now {
                self.end_message();
            }
            return;
        }
        if self.is_human() || !matches!(self.stage, Stage::Hearing | Stage::Greeting) {
            return;
        }
        match heard {
            Heard::Beep => self.on_beep(now),
            Heard::Speech => {
                self.opening.spoke = true;
                if self.opening.speech_since.is_none() {
                    self.opening.speech_since = Some(now);
                    let until = now + LONG_SPEECH;
                    self.opening.until =
                        if self.opening.is_long { self.opening.greet_at } else { Some(until) };
                }
            }
            Heard::Quiet(quiet) => {
                let since = now.checked_sub(quiet).unwrap_or(now);
                let Some(began) = self.opening.speech_since.take() else { return };
                // Later on it may be somebody who talks to us, or a television.
                self.opening.is_long |= self.stage == Stage::Hearing
                    && since.saturating_duration_since(began) > LONG_SPEECH;
                let pause =
                    if self.opening.is_long { PAUSE_OF_A_MACHINE } else { PAUSE_OF_A_PERSON };
                self.opening.until = Some(since + pause);
                if self.stage == Stage::Hearing && since + pause <= now {
                    self.greet(now);
                }
            }
        }
    }

    /// Listening is over: they fell silent, or they speak like a machine.
    fn heard_enough(&mut self, now: Instant) {
        let is_capped = self.opening.greet_at.is_none_or(|at| at <= now);
        if self.opening.speech_since.is_some() && !is_capped {
            self.opening.is_long = true;
            self.opening.until = self.opening.greet_at;
        } else {
            self.greet(now);
        }
    }

    fn on_beep(&mut self, now: Instant) {
        self.respondent = Respondent::Machine;
        self.cut();
        self.turn = None;
        if self.profile.leave_message {
            self.stage = Stage::Beeped;
            self.opening.until = Some(now + AFTER_BEEP);
        } else {
            self.hang_up();
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
        if let Some(answer) = self.asking.pending.take() {
            self.keep_try();
            self.settle(now, answer);
        }
        self.stop_listening();
        self.turn = None;
        self.stage = Stage::Over;
    }

    // --- saying and gathering

    /// Says words that a key may cut, and gathers keys.
    fn put(&mut self, now: Instant, stage: Stage, words: Vec<Utterance>, wanted: Wanted) {
        self.stage = stage;
        self.turn = Some(Turn {
            gather: Gather::new(wanted),
            saying_since: Some(now),
            first: self.patience(FIRST_KEY),
            not_before: None,
            deadline: None,
        });
        self.outputs.push_back(Output::Say(words));
    }

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

    fn cut(&mut self) {
        if let Some(turn) = &mut self.turn
            && turn.saying_since.take().is_some()
        {
            self.outputs.push_back(Output::StopSaying);
        }
    }

    fn hang_up(&mut self) {
        self.stop_listening();
        self.turn = None;
        self.stage = Stage::Over;
        self.outputs.push_back(Output::HangUp);
    }

    /// Feeds waiting keys to whatever question takes them.
    fn take_typed(&mut self, now: Now) {
        while let Some(turn) = &mut self.turn {
            if turn.saying_since.is_some_and(|since| now.instant < since + GUARDED) {
                return;
            }
            let Some(digit) = self.typed.pop_front() else { return };
            let gathered = turn.gather.press(digit);
            // A key without meaning here does not cut the words.
            if !turn.gather.pressed().is_empty() {
                self.cut();
                let deadline = now.instant + self.patience(NEXT_KEY);
                if let Some(turn) = &mut self.turn {
                    turn.deadline = Some(deadline);
                }
            }
            if let Some(gathered) = gathered {
                self.on_gathered(now, &gathered);
            }
        }
    }

    fn patience(&self, usual: Duration) -> Duration {
        if self.profile.slow_speech { usual * 2 } else { usual }
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
            Stage::Offering => self.on_offered(now.instant, gathered),
            Stage::Asking(phase) => {
                if phase != Phase::Alive {
                    self.keep_try();
                }
                match phase {
                    Phase::Value => self.on_value(now, gathered),
                    Phase::Alive => self.on_alive(now, gathered),
                    Phase::Confirm => self.on_confirm(now, gathered),
                }
            }
            // Only those stages gather.
            _ => {}
        }
    }

    // --- who is there

    fn greet(&mut self, now: Instant) {
        let family = self.profile.family_may_answer;
        let (full, again, short) = if family {
            ("greeting_family", "greeting_family_again", "greeting_family_short")
        } else {
            ("greeting", "greeting_again", "greeting_short")
        };
        let mut prompts = match self.opening.rung {
            // A machine, or what screens calls for the patient, hears the same words again.
            0 | 1 if self.opening.is_long => vec!["opening", full],
            0 => vec!["opening", full],
            1 => vec!["opening", again],
            2 => vec![short],
            3 => vec!["any_key"],
            _ => vec![short],
        };
        if self.profile.is_recorded && prompts.first() == Some(&"opening") {
            prompts.insert(1, "recorded");
        }
        // They speak, but no key arrives: the telephone may dial by pulses.
        let is_mute = self.opening.spoke && !self.is_human() && !self.opening.is_long;
        if is_mute && self.opening.rung > 0 && !self.opening.hinted {
            self.opening.hinted = true;
            prompts.insert(0, "tone_hint");
        }
        let words = self.words(&prompts);
        let wanted = match prompts.last() {
            Some(&"any_key") => Wanted::Any,
            _ => Wanted::Choice(vec![1, 2, 3]),
        };
        self.put(now, Stage::Greeting, words, wanted);
        let greeted_at = *self.opening.greeted_at.get_or_insert(now);
        if self.opening.is_long
            && let Some(turn) = &mut self.turn
        {
            match self.opening.rung {
                0 => turn.first = MACHINE_GAP,
                _ => turn.not_before = Some(greeted_at + MACHINE_PATIENCE),
            }
        }
    }

    fn on_who(&mut self, now: Instant, gathered: &Gathered) {
        match (self.stage, gathered) {
            (Stage::FamilyChoice, Gathered::Key(1)) => self.hold(now),
            (Stage::FamilyChoice, Gathered::Key(2)) => self.identify(now, Respondent::Family),
            (_, Gathered::Key(1)) => self.identify(now, Respondent::Patient),
            (_, Gathered::Key(2)) if self.profile.family_may_answer => {
                let words = self.words(&["family_choice"]);
                self.put(now, Stage::FamilyChoice, words, Wanted::Choice(vec![1, 2, 3]));
            }
            (_, Gathered::Key(2)) => self.hold(now),
            (_, Gathered::Key(_)) => {
                self.respondent = Respondent::NotHere;
                self.end = Some(Completion::Refused);
                self.tell(&["not_here"], Next::HangUp);
            }
            (_, Gathered::Repeat) => {
                self.opening.rung = 0;
                self.greet(now);
            }
            (Stage::Holding, Gathered::Silence) => {
                self.opening.rung = 0;
                self.greet(now);
            }
            (_, Gathered::Silence) => self.on_nobody(now),
            (_, Gathered::Alive) => {
                self.opening.rung += 1;
                self.greet(now);
            }
            (_, Gathered::Wrong | Gathered::Digits(_) | Gathered::TooFew) => {
                self.opening.n_wrong += 1;
                if self.opening.n_wrong > MAX_WRONG {
                    return self.tell(&["nobody"], Next::HangUp);
                }
                let short = if self.profile.family_may_answer {
                    "greeting_family_short"
                } else {
                    "greeting_short"
                };
                let words = self.words(&["wrong_key", short]);
                self.put(now, Stage::Greeting, words, Wanted::Choice(vec![1, 2, 3]));
            }
        }
    }

    /// No key came after a greeting.
    fn on_nobody(&mut self, now: Instant) {
        self.opening.rung += 1;
        match self.opening.rung {
            2.. if self.opening.is_long => {
                self.respondent = Respondent::Machine;
                self.hang_up();
            }
            0..4 => self.greet(now),
            // They speak, but cannot press keys.
            _ if self.opening.spoke && !self.opening.is_long && self.may_offer(now) => {
                self.offered = true;
                self.invite_message(|step| &step.unheard);
            }
            _ => {
                if self.opening.n_holds > 0 {
                    self.end = Some(Completion::Refused);
                }
                self.tell(&["nobody"], Next::HangUp);
            }
        }
    }

    fn hold(&mut self, now: Instant) {
        self.opening.n_holds += 1;
        if self.opening.n_holds > MAX_HOLDS {
            self.end = Some(Completion::Refused);
            return self.tell(&["nobody"], Next::HangUp);
        }
        let words = self.words(&["hold"]);
        self.put(now, Stage::Holding, words, Wanted::Choice(vec![1, 2, 3]));
        let patience = self.patience(HOLD);
        if let Some(turn) = &mut self.turn {
            turn.first = patience;
        }
    }

    // --- the birth date

    fn identify(&mut self, now: Instant, respondent: Respondent) {
        let prompt = if respondent == Respondent::Family { "identify_family" } else { "identify" };
        self.ask_birth(now, respondent, &[prompt]);
    }

    fn ask_birth(&mut self, now: Instant, respondent: Respondent, prompts: &[&str]) {
        let words = self.words(prompts);
        let wanted = Wanted::Digits { min: 4, max: 4, plausible: Vec::new() };
        self.put(now, Stage::Identifying(respondent), words, wanted);
    }

    fn on_birth(&mut self, now: Now, respondent: Respondent, gathered: &Gathered) {
        let (month, day) = *self.profile.birth.expose();
        match gathered {
            Gathered::Digits(digits) if *digits == format!("{month:02}{day:02}") => {
                self.respondent = respondent;
                self.outputs.push_back(Output::Identified(respondent));
                let intro = match respondent {
                    Respondent::Family => "intro_family",
                    _ if !self.answers.is_empty() => "intro_resume",
                    _ => "intro",
                };
                self.question_after(now, &[intro]);
            }
            Gathered::Digits(_) => {
                self.opening.n_births += 1;
                if self.opening.n_births < MAX_BIRTHS {
                    let words = ["identify_wrong", "identify_again"];
                    return self.ask_birth(now.instant, respondent, &words);
                }
                self.end = Some(Completion::NotIdentified);
                self.tell(&["identify_failed"], Next::HangUp);
            }
            Gathered::Repeat => self.identify(now.instant, respondent),
            _ => {
                self.opening.n_misses += 1;
                match (self.opening.n_misses, gathered) {
                    (MAX_WRONG.., _) => self.tell(&["nobody"], Next::HangUp),
                    (_, Gathered::TooFew) => {
                        self.ask_birth(now.instant, respondent, &["too_few", "identify_again"]);
                    }
                    (1, _) => self.ask_birth(now.instant, respondent, &["identify_again"]),
                    _ => self.ask_birth(now.instant, respondent, &["identify_short"]),
                }
            }
        }
    }

    // --- the questions

    /// The next question that is due.
    fn due(&self) -> Option<usize> {
        let is_known = |code: &str| self.answers.iter().any(|(known, _)| known == code);
        self.questionnaire.questions.iter().position(|question| {
            !is_known(&question.code)
                && self.profile.has(question)
                && question.is_due(self.profile.script, &self.answers)
                && (question.urgent || !self.warned)
        })
    }

    fn has_all_required(&self) -> bool {
        let has = |question: &Question| self.profile.has(question);
        self.questionnaire.is_complete(self.profile.script, has, &self.answers)
    }

    fn next_question(&mut self, now: Now) {
        let is_late = self.closes_at.is_some_and(|at| at <= now.instant);
        let is_unanswered =
            self.entries.last().is_some_and(|entry| entry.answer == Answer::Unanswered);
        if is_late {
            self.run_out(now);
        } else if self.n_silent >= 2 || (self.warned && self.n_silent >= 1) {
            self.close("closing_silence");
        } else if is_unanswered {
            self.question_after(now, &["next_question"]);
        } else {
            self.question_after(now, &[]);
        }
    }

    fn question_after(&mut self, now: Now, before: &[&str]) {
        let Some(index) = self.due() else { return self.wrap_up(now.instant) };
        self.asking = Asking { index, ..Asking::default() };
        let question = &self.questionnaire.questions[index];
        let prompts = if self.warned { &question.short } else { &question.ask };
        let prompts = prompts.clone();
        self.ask(now.instant, before, &prompts);
    }

    /// Puts the question that we are at, in these words.
    fn ask(&mut self, now: Instant, before: &[&str], prompts: &[String]) {
        self.asking.n_asked += 1;
        let mut words = self.words(before);
        words.extend(prompts.iter().map(|id| Utterance::fixed(id)));
        let wanted = self.question().wanted();
        self.put(now, Stage::Asking(Phase::Value), words, wanted);
    }

    fn question(&self) -> &Question {
        &self.questionnaire.questions[self.asking.index]
    }

    fn keep_try(&mut self) {
        if let Some(turn) = &self.turn
            && !turn.gather.pressed().is_empty()
        {
            self.asking.tries.push(turn.gather.pressed().to_owned());
        }
    }

    fn on_value(&mut self, now: Now, gathered: &Gathered) {
        let answer = match (&self.question().kind, gathered) {
            (_, Gathered::Silence) => return self.on_silence(now),
            (_, Gathered::Repeat) => {
                let prompts = self.question().ask.clone();
                return self.ask(now.instant, &[], &prompts);
            }
            (_, Gathered::TooFew) => return self.on_wrong(now, "too_few"),
            (Kind::Number(format), Gathered::Digits(digits)) => {
                let Some(answer) = format.read(digits) else {
                    let implausible = format.implausible.clone();
                    return self.on_wrong(now, &implausible);
                };
                answer
            }
            (Kind::YesNo(keys) | Kind::Group { keys, .. }, Gathered::Key(key)) => {
                let Some(choice) = keys.meaning(*key) else {
                    return self.on_wrong(now, "wrong_key");
                };
                Answer::Choice(choice)
            }
            _ => return self.on_wrong(now, "wrong_key"),
        };
        self.confirm(now, answer);
    }

    /// Reads the answer back where that is wanted, and settles it where not.
    fn confirm(&mut self, now: Now, answer: Answer) {
        let readback = match answer {
            Answer::Number(number) => self.question().readback(Some(number)),
            Answer::Choice(YesNo::Yes) => self.question().readback(None),
            _ => None,
        };
        match readback {
            Some(words) if self.asking.n_confirms < MAX_CONFIRMS => {
                self.asking.n_confirms += 1;
                self.asking.n_wrong = 0;
                self.asking.n_silences = 0;
                self.asking.pending = Some(answer);
                self.read_back(now.instant, vec![words]);
            }
            _ => self.settle(now, answer),
        }
    }

    fn read_back(&mut self, now: Instant, words: Vec<Utterance>) {
        self.put(now, Stage::Asking(Phase::Confirm), words, Wanted::Choice(vec![1, 2]));
    }

    fn on_confirm(&mut self, now: Now, gathered: &Gathered) {
        let Some(answer) = self.asking.pending else { return };
        let number = match answer {
            Answer::Number(number) => Some(number),
            _ => None,
        };
        let Some(readback) = self.question().readback(number) else { return };
        match gathered {
            Gathered::Key(2) => {
                self.asking.pending = None;
                let prompts = self.question().short.clone();
                self.ask(now.instant, &[], &prompts);
            }
            Gathered::Repeat => self.read_back(now.instant, vec![readback]),
            Gathered::Silence if self.asking.n_silences == 0 => {
                self.asking.n_silences = 1;
                self.read_back(now.instant, vec![readback]);
            }
            Gathered::Wrong if self.asking.n_wrong + 1 < MAX_WRONG => {
                self.asking.n_wrong += 1;
                let words = vec![Utterance::fixed("wrong_key"), readback];
                self.read_back(now.instant, words);
            }
            // Right, or not denied: what is plausible, and was read back, stands.
            _ => self.settle(now, answer),
        }
    }

    /// Re-asks in slower words, then in few, then for a sign of life; then goes on.
    fn on_silence(&mut self, now: Now) {
        self.asking.n_silences += 1;
        match self.asking.n_silences {
            _ if self.warned => self.settle(now, Answer::Unanswered),
            1 => {
                let prompts = self.question().again.clone();
                self.ask(now.instant, &[], &prompts);
            }
            2 => {
                let prompts = self.question().short.clone();
                self.ask(now.instant, &[], &prompts);
            }
            3 => {
                let words = self.words(&["any_key"]);
                self.put(now.instant, Stage::Asking(Phase::Alive), words, Wanted::Any);
            }
            _ => self.settle(now, Answer::Unanswered),
        }
    }

    fn on_alive(&mut self, now: Now, gathered: &Gathered) {
        if *gathered != Gathered::Alive {
            return self.settle(now, Answer::Unanswered);
        }
        let prompts = self.question().short.clone();
        self.ask(now.instant, &[], &prompts);
    }

    fn on_wrong(&mut self, now: Now, prompt: &str) {
        self.asking.n_wrong += 1;
        if self.asking.n_wrong >= MAX_WRONG {
            return self.settle(now, Answer::Unanswered);
        }
        let prompts = self.question().short.clone();
        self.ask(now.instant, &[prompt], &prompts);
    }

    fn settle(&mut self, now: Now, answer: Answer) {
        let tries = std::mem::take(&mut self.asking.tries);
        self.n_silent = if tries.is_empty() { self.n_silent + 1 } else { 0 };
        let entry = Entry {
            seq: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            question: self.question().code.clone(),
            asked: self.asking.n_asked,
            keys: tries.join(" "),
            answer,
            at: now.timestamp,
        };
        self.asking.pending = None;
        self.answers.push((entry.question.clone(), answer));
        self.entries.push(entry.clone());
        self.turn = None;
        self.stage = Stage::Recording;
        self.outputs.push_back(Output::Record(entry));
    }

    // --- what the patient wants to say

    /// Everything was asked.
    fn wrap_up(&mut self, now: Instant) {
        if self.may_offer(now) {
            self.offered = true;
            self.offer(now);
        } else {
            self.close("thanks");
        }
    }

    fn may_offer(&self, now: Instant) -> bool {
        let has_room = self.closes_at.is_some_and(|at| now + ROOM_FOR_MESSAGE <= at);
        let exists = self.questionnaire.message.is_some() && self.profile.takes_messages;
        exists && has_room && !self.offered && !self.warned
    }

    fn offer(&mut self, now: Instant) {
        let Some(step) = &self.questionnaire.message else { return self.close("thanks") };
        let words = vec![Utterance::fixed(&step.offer)];
        self.put(now, Stage::Offering, words, Wanted::Choice(vec![1, 2]));
    }

    fn on_offered(&mut self, now: Instant, gathered: &Gathered) {
        match gathered {
            Gathered::Key(1) => self.invite_message(|step| &step.begin),
            Gathered::Repeat => self.offer(now),
            // No, or nothing that means yes.
            _ => self.close("thanks"),
        }
    }

    /// Says what to do, and gives the signal.
    fn invite_message(&mut self, words: fn(&MessageStep) -> &String) {
        let Some(step) = &self.questionnaire.message else { return };
        let (words, signal) = (words(step).clone(), step.signal.clone());
        self.tell(&[&words, &signal], Next::Message);
    }

    fn listen(&mut self, now: Instant) {
        let Some(step) = &self.questionnaire.message else { return self.hang_up() };
        // Keys that came before the signal are no end of what comes after it.
        self.typed.clear();
        self.listening = Some(Listening::new(now, step.longest));
        self.stage = Stage::Listening;
        self.outputs.push_back(Output::BeginMessage);
    }

    fn end_message(&mut self) {
        let message = self.stop_listening();
        let thanks = self.questionnaire.message.as_ref().map(|step| step.thanks.clone());
        let thanks = thanks.filter(|_| message == Message::Spoken);
        if matches!(self.respondent, Respondent::Patient | Respondent::Family) {
            return self.close(thanks.as_deref().unwrap_or("thanks"));
        }
        let words: Vec<&str> = thanks.as_deref().into_iter().chain(["nobody"]).collect();
        self.tell(&words, Next::HangUp);
    }

    fn stop_listening(&mut self) -> Message {
        let Some(listening) = self.listening.take() else { return Message::Empty };
        let message = if listening.spoke { Message::Spoken } else { Message::Empty };
        self.outputs.push_back(Output::EndMessage(message));
        message
    }

    // --- the end

    /// The call has lasted long enough.
    fn run_out(&mut self, now: Now) {
        self.cut();
        if !matches!(self.respondent, Respondent::Patient | Respondent::Family) {
            return self.tell(&["nobody"], Next::HangUp);
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
        if first != "closing_silence" {
            prompts.push("closing_next");
        }
        match self.concern {
            Concern::None => {}
            Concern::Watch => prompts.push("closing_watch"),
            Concern::Desk | Concern::Emergency => prompts.push("closing_desk"),
        }
        prompts.extend(["closing_phone", "closing_119", "goodbye"]);
        self.tell(&prompts, Next::HangUp);
    }
}

impl Concern {
    /// Every one, the gravest last.
    pub const ALL: [Self; 4] = [Self::None, Self::Watch, Self::Desk, Self::Emergency];

    /// The word for it in scripts and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Watch => "watch",
            Self::Desk => "desk",
            Self::Emergency => "emergency",
        }
    }

    /// Reads [`Self::as_str`].
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|concern| concern.as_str() == text)
    }
}

impl Question {
    fn wanted(&self) -> Wanted {
        match &self.kind {
            Kind::Number(format) => Wanted::Digits {
                min: format.min_digits,
                max: format.max_digits,
                plausible: format.typings(),
            },
            Kind::YesNo(keys) | Kind::Group { keys, .. } => {
                Wanted::Choice([keys.yes, keys.no].into_iter().chain(keys.unknown).collect())
            }
        }
    }
}

impl NumberFormat {
    /// Every way to type a plausible answer.
    fn typings(&self) -> Vec<String> {
        let widths = self.min_digits..=self.max_digits;
        let numbers = (self.min..=self.max)
            .flat_map(|number| widths.clone().map(move |width| format!("{number:0width$}")));
        numbers.chain(self.not_measured.clone()).collect()
    }

    /// What these digits mean; `None` if nothing plausible.
    fn read(&self, digits: &str) -> Option<Answer> {
        if self.not_measured.as_deref() == Some(digits) {
            return Some(Answer::NotMeasured);
        }
        let number: i32 = digits.parse().ok()?;
        (self.min..=self.max).contains(&number).then_some(Answer::Number(number))
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (id, n_entries) = (self.questionnaire.key(), self.entries.len());
        write!(f, "Session({id}, {:?}, {n_entries} entries)", self.stage)
    }
}

impl fmt::Debug for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Profile({:?})", self.script)
    }
}

impl fmt::Debug for Input {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answered => f.write_str("Answered"),
            Self::Digit(_) => f.write_str("Digit([private])"),
            Self::PlayEnded => f.write_str("PlayEnded"),
            Self::Timeout => f.write_str("Timeout"),
            Self::Heard(heard) => write!(f, "Heard({heard:?})"),
            Self::Recorded(concern) => write!(f, "Recorded({concern:?})"),
            Self::NotRecorded => f.write_str("NotRecorded"),
            Self::HungUp => f.write_str("HungUp"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            "Session(recuperation@1, Greeting, 0 entries) Profile(Full) Digit([private])"
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
