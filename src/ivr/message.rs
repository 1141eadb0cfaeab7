//! Listens to what somebody wants to say: until silence, or time, is over.

use std::time::{Duration, Instant};

use crate::call::Heard;

/// Who has not begun to speak by then has nothing to say.
const FIRST_WORD: Duration = Duration::from_secs(6);

/// Silence of this length ends the message.
const SILENCE: Duration = Duration::from_secs(4);

/// The echo of our signal is no voice.
const ECHO: Duration = Duration::from_millis(300);

/// A message that is being left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Listening {
    began_at: Instant,
    ends_at: Instant,
    /// When silence will have been long enough; `None` while somebody speaks.
    quiet_until: Option<Instant>,
    /// Somebody has spoken.
    pub(crate) spoke: bool,
}

impl Listening {
    /// Listens from now on, for so long at most.
    pub(crate) fn new(now: Instant, longest: Duration) -> Self {
        let ends_at = now + longest;
        Self { began_at: now, ends_at, quiet_until: Some(now + FIRST_WORD), spoke: false }
    }

    pub(crate) fn hear(&mut self, now: Instant, heard: Heard) {
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
    pub(crate) fn deadline(&self) -> Instant {
        self.quiet_until.map_or(self.ends_at, |at| at.min(self.ends_at))
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
