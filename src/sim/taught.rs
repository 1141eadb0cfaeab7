//! A carrier whose words the simulated callees know.
//!
//! A callee recognises a prompt only if it has learned it. [`Taught`] stands in front of the real
//! trunk and teaches each prompt at the moment when it is said; the calls themselves are the
//! trunk's.

use std::sync::Arc;

use crate::call::{Carrier, Clip, DialRequest, Line, LineEvent, Tap};
use crate::sim::carrier::SharedRepertoire;

/// A carrier that teaches what it says.
#[derive(Debug)]
pub struct Taught<C> {
    carrier: C,
    repertoire: SharedRepertoire,
}

impl<C> Taught<C> {
    /// A carrier whose words become known in `repertoire`.
    pub fn new(carrier: C, repertoire: SharedRepertoire) -> Self {
        Self { carrier, repertoire }
    }

    /// The carrier itself.
    pub fn carrier(&self) -> &C {
        &self.carrier
    }
}

impl<C: Carrier> Carrier for Taught<C> {
    type Line = TaughtLine<C::Line>;

    async fn dial(&self, request: DialRequest) -> Self::Line {
        let repertoire = self.repertoire.clone();
        TaughtLine { line: self.carrier.dial(request).await, repertoire }
    }
}

/// A line of a [`Taught`] carrier.
#[derive(Debug)]
pub struct TaughtLine<L> {
    line: L,
    repertoire: SharedRepertoire,
}

impl<L: Line> Line for TaughtLine<L> {
    async fn next_event(&mut self) -> LineEvent {
        self.line.next_event().await
    }

    fn play(&mut self, clips: Vec<Arc<Clip>>) {
        for clip in &clips {
            self.repertoire.learn(clip);
        }
        self.line.play(clips);
    }

    fn stop_playing(&mut self) {
        self.line.stop_playing();
    }

    fn tape(&mut self, tap: Option<Tap>) {
        self.line.tape(tap);
    }

    fn hang_up(&mut self) {
        self.line.hang_up();
    }
}
