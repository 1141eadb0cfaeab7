//! A sound that is encoded once and shared by every call that says it.

use std::sync::Arc;
use std::time::Duration;

/// Bytes of G.711 in one packet: 20 ms at 8 kHz.
pub const FRAME_BYTES: usize = 160;

/// The length of one packet.
pub const FRAME_TIME: Duration = Duration::from_millis(20);

/// One utterance, encoded in both forms of G.711 and cut to whole packets.
#[derive(Clone, Eq, PartialEq)]
pub struct Clip {
    /// What is said, such as `readback_temperature:375`: for marks and the simulator. Names of
    /// persons are not part of it, but a value that is read back is; `Debug` shows what comes before
    /// the colon.
    pub label: String,
    /// The sound in µ-law; a multiple of [`FRAME_BYTES`], padded with silence.
    pub pcmu: Arc<[u8]>,
    /// The same in A-law, of the same length.
    pub pcma: Arc<[u8]>,
}

impl Clip {
    /// How long it takes to say.
    pub fn duration(&self) -> Duration {
        FRAME_TIME * u32::try_from(self.pcmu.len() / FRAME_BYTES).unwrap_or(u32::MAX)
    }
}

impl std::fmt::Debug for Clip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let prompt = self.label.split(':').next().unwrap_or_default();
        write!(f, "Clip({prompt}, {:?})", self.duration())
    }
}
