//! What happens on the road, for those who watch: the terminal today, the console later.
//!
//! Watching never slows the road down: a watcher that falls behind loses the oldest news.

use tokio::sync::broadcast;

use crate::base::id::{AttemptId, PatientId};
use crate::call::{Completion, Disposition, Respondent};
use crate::ivr::{Entry, Utterance};

/// One thing that happened in one call.
#[derive(Clone, Debug)]
pub struct News {
    /// In which attempt.
    pub attempt: AttemptId,
    /// Whom it concerns.
    pub patient: PatientId,
    /// What happened.
    pub step: Step,
}

/// What can happen in a call.
#[derive(Clone, Debug)]
pub enum Step {
    /// The call is being placed.
    Dialing,
    /// It rings.
    Ringing,
    /// It was answered.
    Answered,
    /// Something is said.
    Saying(Vec<Utterance>),
    /// A key was pressed. Which one is not told: it may prove who somebody is.
    Key,
    /// It became clear who answers.
    Identified(Respondent),
    /// An answer was stored.
    Stored(Entry),
    /// The call is over and its results are stored.
    Ended {
        /// How the telephone part ended.
        disposition: Disposition,
        /// Who answered, if anyone.
        respondent: Option<Respondent>,
        /// How far the dialogue came, if there was one.
        completion: Option<Completion>,
    },
}

/// Tells news to everyone who watches.
#[derive(Clone, Debug)]
pub struct Progress(broadcast::Sender<News>);

/// Enough for a watcher to be a second late with 200 calls under way.
const BACKLOG: usize = 4096;

impl Progress {
    /// Nobody watches yet.
    pub fn new() -> Self {
        Self(broadcast::Sender::new(BACKLOG))
    }

    /// Watches from now on.
    pub fn watch(&self) -> broadcast::Receiver<News> {
        self.0.subscribe()
    }

    pub(super) fn tell(&self, attempt: AttemptId, patient: PatientId, step: Step) {
        // It fails only if nobody watches.
        let _ = self.0.send(News { attempt, patient, step });
    }
}

impl Default for Progress {
    fn default() -> Self {
        Self::new()
    }
}
