//! Who is there: listens before it speaks, greets, tells people from machines, has the patient
//! fetched.
//!
//! A key proves a human. Who speaks long and presses nothing is taken for a machine, and hears the
//! same words again, for it may be one that screens calls for the patient.

use std::time::{Duration, Instant};

use crate::call::{Completion, Heard, Respondent};
use crate::ivr::gather::{Gathered, Wanted};
use crate::ivr::session::{MAX_WRONG, Next, Session, Stage};

/// How long to wait for somebody to speak before greeting.
pub(super) const FIRST_WORD: Duration = Duration::from_secs(1);
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
/// For the patient to come to the telephone.
const HOLD: Duration = Duration::from_secs(30);
/// Times the patient is fetched.
const MAX_HOLDS: u32 = 3;

/// How far we came with whoever answered.
#[derive(Default)]
pub(super) struct Opening {
    /// When to stop listening, or to leave the message.
    pub(super) until: Option<Instant>,
    /// Greet from here on, even into speech.
    greet_at: Option<Instant>,
    /// Since when they speak.
    speech_since: Option<Instant>,
    /// When the first greeting began.
    greeted_at: Option<Instant>,
    /// They spoke as long as machines do.
    pub(super) is_long: bool,
    /// Somebody, or something, has spoken.
    spoke: bool,
    /// The hint about the tone key was given.
    hinted: bool,
    /// Which greeting comes next.
    rung: u32,
    n_wrong: u32,
    n_holds: u32,
}

impl Opening {
    /// The call was answered: listens before it speaks.
    pub(super) fn listen(&mut self, now: Instant) {
        self.until = Some(now + FIRST_WORD);
        self.greet_at = Some(now + LONGEST_SILENCE);
    }
}

impl Session {
    /// Something that is no key, before a key has proved a human.
    pub(super) fn hear_somebody(&mut self, now: Instant, heard: Heard) {
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
    pub(super) fn heard_enough(&mut self, now: Instant) {
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

    pub(super) fn greet(&mut self, now: Instant) {
        let family = self.profile.family_may_answer;
        let (full, again, short) = if family {
            ("greeting_family", "greeting_family_again", "greeting_family_short")
        } else {
            ("greeting", "greeting_again", "greeting_short")
        };
        let mut prompts = match self.opening.rung {
            // A machine, or what screens calls for the patient, hears the same words again.
            0 if self.follows => vec!["next_person", full],
            0 | 1 if self.opening.is_long => vec!["opening", full],
            0 => vec!["opening", full],
            1 => vec!["opening", again],
            2 => vec![short],
            3 => vec!["any_key"],
            _ => vec![short],
        };
        let begins = matches!(prompts.first(), Some(&("opening" | "next_person")));
        if self.profile.is_recorded && begins {
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

    pub(super) fn on_who(&mut self, now: Instant, gathered: &Gathered) {
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
}
