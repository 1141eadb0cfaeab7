//! What somebody wants to say to the staff: offers to listen, and does until silence, or time, is
//! over.

use std::time::{Duration, Instant};

use crate::call::{Heard, Respondent};
use crate::ivr::Utterance;
use crate::ivr::gather::{Gathered, Wanted};
use crate::ivr::questionnaire::MessageStep;
use crate::ivr::session::{Message, Next, Output, Session, Stage};

/// A message is offered only if so much is left before no new question is put.
const ROOM_FOR_MESSAGE: Duration = Duration::from_secs(75);

/// Who has not begun to speak by then has nothing to say.
const FIRST_WORD: Duration = Duration::from_secs(6);

/// Silence of this length ends the message.
const SILENCE: Duration = Duration::from_secs(4);

/// The echo of our signal is no voice.
const ECHO: Duration = Duration::from_millis(300);

/// A message that is being left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Listening {
    began_at: Instant,
    ends_at: Instant,
    /// When silence will have been long enough; `None` while somebody speaks.
    quiet_until: Option<Instant>,
    /// Somebody has spoken.
    pub(super) spoke: bool,
}

impl Listening {
    /// Listens from now on, for so long at most.
    pub(super) fn new(now: Instant, longest: Duration) -> Self {
        let ends_at = now + longest;
        Self { began_at: now, ends_at, quiet_until: Some(now + FIRST_WORD), spoke: false }
    }

    pub(super) fn hear(&mut self, now: Instant, heard: Heard) {
        match heard {
            Heard::Speech => {
                self.spoke = true;
                self.quiet_until = None;
            }
            Heard::Quiet(quiet) => {
                let since = now.checked_sub(quiet).unwrap_or(now);
                // Whoever spoke before the signal and went on.
                self.spoke |= since > self.began_at + ECHO;
                if self.spoke {
                    self.quiet_until = Some(since + SILENCE);
                }
            }
            Heard::Beep => {}
        }
    }

    /// When it is over unless something is heard.
    pub(super) fn deadline(&self) -> Instant {
        self.quiet_until.map_or(self.ends_at, |at| at.min(self.ends_at))
    }
}

impl Session {
    /// Everything was asked.
    pub(super) fn wrap_up(&mut self, now: Instant) {
        if self.may_offer(now) {
            self.offered = true;
            self.offer(now);
        } else {
            self.close("thanks");
        }
    }

    pub(super) fn may_offer(&self, now: Instant) -> bool {
        let has_room = self.closes_at.is_some_and(|at| now + ROOM_FOR_MESSAGE <= at);
        let exists = self.questionnaire.message.is_some() && self.profile.takes_messages;
        exists && has_room && !self.offered && !self.warned
    }

    pub(super) fn offer(&mut self, now: Instant) {
        let Some(step) = &self.questionnaire.message else { return self.close("thanks") };
        let words = vec![Utterance::fixed(&step.offer)];
        let keys = [1, 2].into_iter().chain(self.help_key()).collect();
        self.put(now, Stage::Offering, words, Wanted::Choice(keys));
    }

    pub(super) fn on_offered(&mut self, now: Instant, gathered: &Gathered) {
        match gathered {
            Gathered::Key(1) => self.invite_message(|step| &step.begin),
            Gathered::Repeat => self.offer(now),
            // No, or nothing that means yes.
            _ => self.close("thanks"),
        }
    }

    /// Says what to do, and gives the signal.
    pub(super) fn invite_message(&mut self, words: fn(&MessageStep) -> &String) {
        let Some(step) = &self.questionnaire.message else { return };
        let (words, signal) = (words(step).clone(), step.signal.clone());
        self.tell(&[&words, &signal], Next::Message);
    }

    pub(super) fn listen(&mut self, now: Instant) {
        let Some(step) = &self.questionnaire.message else { return self.hang_up() };
        // Keys that came before the signal are no end of what comes after it.
        self.typed.clear();
        self.listening = Some(Listening::new(now, step.longest));
        self.stage = Stage::Listening;
        self.outputs.push_back(Output::BeginMessage);
    }

    pub(super) fn end_message(&mut self) {
        let message = self.stop_listening();
        let thanks = self.questionnaire.message.as_ref().map(|step| step.thanks.clone());
        let thanks = thanks.filter(|_| message == Message::Spoken);
        if matches!(self.respondent, Respondent::Patient | Respondent::Family) {
            return self.close(thanks.as_deref().unwrap_or("thanks"));
        }
        let words: Vec<&str> = thanks.as_deref().into_iter().chain(["nobody"]).collect();
        self.tell(&words, Next::HangUp);
    }

    pub(super) fn stop_listening(&mut self) -> Message {
        let Some(listening) = self.listening.take() else { return Message::Empty };
        let message = if listening.spoke { Message::Spoken } else { Message::Empty };
        self.outputs.push_back(Output::EndMessage(message));
        message
    }

    pub(super) fn hear_message(&mut self, now: Instant, heard: Heard) {
        let Some(listening) = &mut self.listening else { return };
        listening.hear(now, heard);
        if listening.deadline() <= now {
            self.end_message();
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "one arbitrary origin")]
mod tests {
    use super::*;

    #[test]
    fn silence_ends_it_and_time_at_the_latest() {
        let seconds = Duration::from_secs;
        let origin = Instant::now();
        let quiet = |n| Heard::Quiet(seconds(n));
        for (heard, ends_after, spoke) in [
            (vec![], 6, false),
            (vec![(1, Heard::Speech)], 30, true),
            (vec![(1, Heard::Speech), (5, quiet(2))], 7, true),
            (vec![(1, Heard::Speech), (5, quiet(2)), (6, Heard::Speech)], 30, true),
            (vec![(1, Heard::Speech), (29, quiet(1))], 30, true),
            (vec![(3, quiet(1))], 6, true),
            (vec![(1, quiet(2))], 6, false),
            (vec![(1, Heard::Beep)], 6, false),
        ] {
            let mut listening = Listening::new(origin, seconds(30));
            for (at, heard) in &heard {
                listening.hear(origin + seconds(*at), *heard);
            }
            let after = listening.deadline().duration_since(origin);
            assert_eq!((after, listening.spoke), (seconds(ends_after), spoke), "{heard:?}");
        }
    }
}
