//! The questions: which is due, what its keys mean, and when it is given up.
//!
//! ```text
//!         third silence           no key
//!   ┌────────────────────► Alive ────────────────┐
//!   │  ┌───── any key ───────┘                   ▼
//! Value ──────────────────────── wrong thrice ► settled
//!   │  └───── 2 ─────────┐                       ▲
//!   └──────────────► Confirm ── 1, or not denied ┘
//!      plausible
//! ```

use std::time::Instant;

use crate::base::Now;
use crate::ivr::gather::{Gathered, Wanted};
use crate::ivr::questionnaire::{Kind, NumberFormat, Question};
use crate::ivr::session::{MAX_WRONG, Output, Session, Stage};
use crate::ivr::{Answer, Entry, Utterance, YesNo};

/// Confirmations per value.
const MAX_CONFIRMS: u32 = 2;

/// What is waited for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The answer.
    Value,
    /// Any key, as a sign of life.
    Alive,
    /// The answer was read back: is it right?
    Confirm,
}

/// How far we came with one question.
#[derive(Default)]
pub(super) struct Asking {
    /// Its place in the questionnaire.
    index: usize,
    n_asked: u32,
    n_silences: u32,
    n_wrong: u32,
    n_confirms: u32,
    /// The keys of every try.
    pub(super) tries: Vec<String>,
    /// Given, but not confirmed.
    pub(super) pending: Option<Answer>,
}

impl Session {
    /// The next question that is due.
    pub(super) fn due(&self) -> Option<usize> {
        let is_known = |code: &str| self.answers.iter().any(|(known, _)| known == code);
        self.questionnaire.questions.iter().position(|question| {
            !is_known(&question.code)
                && self.profile.has(question)
                && question.is_due(self.profile.script, &self.answers)
                && (question.urgent || !self.warned)
        })
    }

    pub(super) fn has_all_required(&self) -> bool {
        let has = |question: &Question| self.profile.has(question);
        self.questionnaire.is_complete(self.profile.script, has, &self.answers)
    }

    pub(super) fn next_question(&mut self, now: Now) {
        let is_late = self.closes_at.is_some_and(|at| at <= now.instant);
        let is_unanswered =
            self.entries.last().is_some_and(|entry| entry.answer == Answer::Unanswered);
        if is_late {
            self.run_out(now);
        } else if self.help.closes {
            self.close("thanks");
        } else if self.n_silent >= 2 || (self.warned && self.n_silent >= 1) {
            self.close("closing_silence");
        } else if is_unanswered {
            self.question_after(now, &["next_question"]);
        } else {
            self.question_after(now, &[]);
        }
    }

    pub(super) fn question_after(&mut self, now: Now, before: &[&str]) {
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
        words.extend(self.hint());
        words.extend(prompts.iter().map(|id| Utterance::fixed(id)));
        let wanted = self.question().wanted(self.help_key());
        self.put(now, Stage::Asking(Phase::Value), words, wanted);
    }

    /// Puts the question again in few words.
    pub(super) fn ask_in_short(&mut self, now: Instant) {
        let prompts = self.question().short.clone();
        self.ask(now, &[], &prompts);
    }

    pub(super) fn question(&self) -> &Question {
        &self.questionnaire.questions[self.asking.index]
    }

    pub(super) fn keep_try(&mut self) {
        if let Some(turn) = &self.turn
            && !turn.gather.pressed().is_empty()
        {
            self.asking.tries.push(turn.gather.pressed().to_owned());
        }
    }

    /// Takes back the keys of the last try: they were no answer to the question.
    pub(super) fn take_back_try(&mut self) -> Option<String> {
        self.asking.tries.pop()
    }

    pub(super) fn on_value(&mut self, now: Now, gathered: &Gathered) {
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
        let help = self.help_key().filter(|_| self.question().is_choice());
        let keys = [1, 2].into_iter().chain(help).collect();
        self.put(now, Stage::Asking(Phase::Confirm), words, Wanted::Choice(keys));
    }

    pub(super) fn on_confirm(&mut self, now: Now, gathered: &Gathered) {
        let Some(answer) = self.asking.pending else { return };
        let number = match answer {
            Answer::Number(number) => Some(number),
            _ => None,
        };
        let Some(readback) = self.question().readback(number) else { return };
        match gathered {
            Gathered::Key(2) => {
                self.asking.pending = None;
                self.ask_in_short(now.instant);
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
            2 => self.ask_in_short(now.instant),
            3 => {
                let words = self.words(&["any_key"]);
                self.put(now.instant, Stage::Asking(Phase::Alive), words, Wanted::Any);
            }
            _ => self.settle(now, Answer::Unanswered),
        }
    }

    pub(super) fn on_alive(&mut self, now: Now, gathered: &Gathered) {
        if *gathered != Gathered::Alive {
            return self.settle(now, Answer::Unanswered);
        }
        self.ask_in_short(now.instant);
    }

    fn on_wrong(&mut self, now: Now, prompt: &str) {
        self.asking.n_wrong += 1;
        if self.asking.n_wrong >= MAX_WRONG {
            return self.settle(now, Answer::Unanswered);
        }
        let prompts = self.question().short.clone();
        self.ask(now.instant, &[prompt], &prompts);
    }

    pub(super) fn settle(&mut self, now: Now, answer: Answer) {
        let tries = std::mem::take(&mut self.asking.tries);
        self.n_silent = if tries.is_empty() { self.n_silent + 1 } else { 0 };
        self.asking.pending = None;
        let code = self.question().code.clone();
        self.record(now, code, self.asking.n_asked, &tries, answer);
    }

    pub(super) fn record(
        &mut self,
        now: Now,
        question: String,
        asked: u32,
        tries: &[String],
        answer: Answer,
    ) {
        let entry = Entry {
            seq: u32::try_from(self.entries.len()).unwrap_or(u32::MAX),
            question,
            asked,
            keys: tries.join(" "),
            answer,
            at: now.timestamp,
        };
        self.answers.push((entry.question.clone(), answer));
        self.entries.push(entry.clone());
        self.turn = None;
        self.stage = Stage::Recording;
        self.outputs.push_back(Output::Record(entry));
    }
}

impl Question {
    /// The keys that may be pressed, the one that asks for help among them.
    fn wanted(&self, help: Option<u8>) -> Wanted {
        match &self.kind {
            Kind::Number(format) => Wanted::Digits {
                min: format.min_digits,
                max: format.max_digits,
                plausible: format.typings(),
            },
            Kind::YesNo(keys) | Kind::Group { keys, .. } => {
                let keys = [keys.yes, keys.no].into_iter().chain(keys.unknown);
                Wanted::Choice(keys.chain(help).collect())
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
