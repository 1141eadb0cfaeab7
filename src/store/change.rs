//! What was changed, told to those whom it concerns.
//!
//! A step of the road that looks at the store after every commit looks in vain nine times of ten:
//! each waits for news of the [`Topic`]s only that may leave work for it.

use tokio::sync::watch;

/// What news of a commit may be about.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Topic {
    /// Health centres, patients and their episodes.
    Registry,
    /// There are new slots.
    Slot,
    /// An attempt waits to be dialled.
    Due,
    /// A call goes on: it is placed, rings, or was answered.
    Call,
    /// An attempt or a slot is over, or an attempt need not be made.
    Over,
    /// An answer was given.
    Answer,
    /// Something was observed.
    Observation,
    /// A case was opened, changed or closed.
    Case,
    /// The emergency stop was pulled or released.
    Installation,
    /// A recording ended, was stored, heard, held or deleted, or the rule about them changed.
    Recording,
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 10] = [
        Self::Registry,
        Self::Slot,
        Self::Due,
        Self::Call,
        Self::Over,
        Self::Answer,
        Self::Observation,
        Self::Case,
        Self::Installation,
        Self::Recording,
    ];
}

/// How often each was changed.
type Counts = [u64; Topic::ALL.len()];

/// Tells what was changed through one store.
#[derive(Debug)]
pub(super) struct Bell(watch::Sender<Counts>);

impl Bell {
    pub(super) fn new() -> Self {
        Self(watch::Sender::new(Counts::default()))
    }

    pub(super) fn ring(&self, topics: &[Topic]) {
        if !topics.is_empty() {
            self.0.send_modify(|counts| {
                for topic in topics {
                    counts[*topic as usize] += 1;
                }
            });
        }
    }

    pub(super) fn listen(&self, topics: &'static [Topic]) -> Changes {
        let receiver = self.0.subscribe();
        let seen = *receiver.borrow();
        Changes { receiver, topics, seen }
    }
}

/// Waits for changes of some topics.
#[derive(Clone, Debug)]
pub struct Changes {
    receiver: watch::Receiver<Counts>,
    topics: &'static [Topic],
    seen: Counts,
}

impl Changes {
    /// Takes all changes made so far as seen.
    pub fn mark_unchanged(&mut self) {
        self.seen = *self.receiver.borrow_and_update();
    }

    /// Whether there was a change that was not seen.
    pub fn has_changed(&self) -> bool {
        differ(&self.receiver.borrow(), &self.seen, self.topics)
    }

    /// Waits for a change that was not seen, and takes it as seen. For ever if the store is gone.
    /// Cancel-safe.
    pub async fn changed(&mut self) {
        let (seen, topics) = (self.seen, self.topics);
        let changed = self.receiver.wait_for(|counts| differ(counts, &seen, topics)).await;
        let Some(counts) = changed.ok().map(|counts| *counts) else {
            return std::future::pending().await;
        };
        self.seen = counts;
    }
}

fn differ(counts: &Counts, seen: &Counts, topics: &[Topic]) -> bool {
    topics.iter().any(|topic| counts[*topic as usize] != seen[*topic as usize])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_change_wakes_those_alone_whom_it_concerns() {
        let bell = Bell::new();
        let mut answers = bell.listen(&[Topic::Answer, Topic::Over]);
        let mut cases = bell.listen(&[Topic::Case]);
        bell.ring(&[Topic::Answer]);
        assert!(answers.has_changed() && !cases.has_changed());
        answers.changed().await;
        assert!(!answers.has_changed(), "seen by waiting for it");
        bell.ring(&[Topic::Over, Topic::Case]);
        assert!(answers.has_changed() && cases.has_changed());
        cases.mark_unchanged();
        assert!(!cases.has_changed());
        bell.ring(&[]);
        assert!(!cases.has_changed());
    }

    #[test]
    fn every_topic_has_a_count_of_its_own() {
        for (index, topic) in Topic::ALL.into_iter().enumerate() {
            assert_eq!(topic as usize, index);
        }
    }
}
