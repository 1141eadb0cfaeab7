//! One question that is being put: words that a key may cut, then keys.

use std::time::{Duration, Instant};

use crate::base::Now;
use crate::ivr::Utterance;
use crate::ivr::gather::{Gather, Wanted};
use crate::ivr::session::{Output, Session, Stage};

/// For the first key: a mobile telephone has to be taken from the ear.
const FIRST_KEY: Duration = Duration::from_secs(10);
/// Between two keys.
const NEXT_KEY: Duration = Duration::from_secs(5);
/// A prompt is heard at least this long before a key cuts it.
pub(super) const GUARDED: Duration = Duration::from_millis(1500);

/// One question that is being put: words, then keys.
pub(super) struct Turn {
    pub(super) gather: Gather,
    /// Since when its words are being said; `None` once they are over or cut.
    pub(super) saying_since: Option<Instant>,
    /// How long to wait for the first key once the words are over.
    pub(super) first: Duration,
    /// The wait for the first key does not end before this.
    pub(super) not_before: Option<Instant>,
    /// When patience ends; `None` while the words are being said.
    pub(super) deadline: Option<Instant>,
}

impl Session {
    /// Says words that a key may cut, and gathers keys.
    pub(super) fn put(
        &mut self,
        now: Instant,
        stage: Stage,
        words: Vec<Utterance>,
        wanted: Wanted,
    ) {
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

    pub(super) fn cut(&mut self) {
        if let Some(turn) = &mut self.turn
            && turn.saying_since.take().is_some()
        {
            self.outputs.push_back(Output::StopSaying);
        }
    }

    /// Feeds waiting keys to whatever question takes them.
    pub(super) fn take_typed(&mut self, now: Now) {
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

    pub(super) fn patience(&self, usual: Duration) -> Duration {
        if self.profile.slow_speech { usual * 2 } else { usual }
    }
}
