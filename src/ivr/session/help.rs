//! The key that asks for help. It is confirmed once, in plain words, so that a slip of the finger
//! raises no alarm; but whoever falls silent, or hangs up, after pressing it has asked for help.

use crate::base::Now;
use crate::ivr::gather::{Gathered, Wanted};
use crate::ivr::questionnaire::HelpStep;
use crate::ivr::session::asking::Phase;
use crate::ivr::session::{MAX_WRONG, Session, Stage};
use crate::ivr::{Answer, Utterance, YesNo};

/// How far we came with the wish for help.
#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "independent facts")]
pub(super) struct Help {
    /// The key was told of.
    pub(super) hinted: bool,
    /// The wish is an answer of this call.
    is_wished: bool,
    /// It was wished for again after the alarm: the line is wanted free.
    pub(super) closes: bool,
    /// It was pressed where a message was offered.
    was_offering: bool,
    n_asked: u32,
    n_wrong: u32,
    /// The keys of every try.
    keys: Vec<String>,
}

impl Session {
    /// The key that asks for help, where it is offered.
    pub(super) fn help_step(&self) -> Option<&HelpStep> {
        self.questionnaire.help.as_ref().filter(|_| self.profile.takes_help)
    }

    pub(super) fn help_key(&self) -> Option<u8> {
        self.help_step().map(|step| step.key)
    }

    /// The key was pressed instead of an answer.
    pub(super) fn on_help(&mut self, now: Now) {
        // There is nothing more to ask: whom to call is said, and the line is free for it.
        if self.help.is_wished {
            return self.close("thanks");
        }
        self.help.was_offering = self.stage == Stage::Offering;
        self.help.n_wrong = 0;
        // It is asked again, if it is asked at all.
        self.asking.pending = None;
        let keys = if self.help.was_offering {
            self.turn.as_ref().map(|turn| turn.gather.pressed().to_owned())
        } else {
            self.take_back_try()
        };
        self.help.keys.extend(keys);
        if self.warned {
            self.help.closes = true;
            self.settle_help(now);
        } else {
            self.confirm_help(now, &[]);
        }
    }

    fn confirm_help(&mut self, now: Now, before: &[&str]) {
        let Some(step) = self.help_step() else { return };
        let wanted = Wanted::Choice(vec![1, 2, step.key]);
        let confirm = Utterance::fixed(&step.confirm);
        let words = self.words(before).into_iter().chain([confirm]).collect();
        self.help.n_asked += 1;
        self.put(now.instant, Stage::Helping, words, wanted);
    }

    pub(super) fn on_helping(&mut self, now: Now, gathered: &Gathered) {
        if let Some(turn) = &self.turn
            && !turn.gather.pressed().is_empty()
        {
            self.help.keys.push(turn.gather.pressed().to_owned());
        }
        match gathered {
            Gathered::Key(2) => self.on_no_help(now),
            Gathered::Repeat => self.confirm_help(now, &[]),
            Gathered::Wrong if self.help.n_wrong + 1 < MAX_WRONG => {
                self.help.n_wrong += 1;
                self.confirm_help(now, &["wrong_key"]);
            }
            // 1, or the same key again; or nothing.
            _ => self.settle_help(now),
        }
    }

    /// A slip of the finger: back to what was asked.
    fn on_no_help(&mut self, now: Now) {
        self.help.n_asked = 0;
        let keys = std::mem::take(&mut self.help.keys);
        if self.help.was_offering {
            return self.offer(now.instant);
        }
        self.asking.tries.extend(keys);
        self.ask_in_short(now.instant);
    }

    pub(super) fn settle_help(&mut self, now: Now) {
        let Some(step) = self.help_step() else { return };
        let code = step.code.clone();
        let keys = std::mem::take(&mut self.help.keys);
        self.help.is_wished = true;
        self.n_silent = 0;
        let n_asked = self.help.n_asked.max(1);
        self.record(now, code, n_asked, &keys, Answer::Choice(YesNo::Yes));
    }

    /// Tells of the key before the first question at which it may be pressed.
    pub(super) fn hint(&mut self) -> Option<Utterance> {
        let step = self.help_step()?;
        let hint = Utterance::fixed(&step.hint);
        let is_due = !self.help.hinted && !self.warned && self.question().is_choice();
        self.help.hinted |= is_due;
        is_due.then_some(hint)
    }

    pub(super) fn is_help(&self, gathered: &Gathered) -> bool {
        let is_choice = match self.stage {
            Stage::Offering => true,
            Stage::Asking(phase) => phase != Phase::Alive && self.question().is_choice(),
            _ => false,
        };
        is_choice && self.help_key().is_some_and(|key| *gathered == Gathered::Key(key))
    }
}
