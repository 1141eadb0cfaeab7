//! The picture of a recording: how loud each lane was, in a fixed number of columns.

use crate::audio::g711;

/// Columns of a picture: more than a page is wide, and few enough for one reading.
pub const COLUMNS: usize = 1200;

/// How loud a recording was. Loudness is the root of the highest sample of a column, so that quiet
/// voices stay visible: 0 is silence, 255 the loudest that G.711 knows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Waveform {
    /// What we said, at most [`COLUMNS`] from left to right.
    pub ours: Vec<u8>,
    /// What the patient said.
    pub theirs: Vec<u8>,
}

impl Waveform {
    /// The form in which it is kept: one lane after the other.
    pub fn to_bytes(&self) -> Vec<u8> {
        [self.ours.as_slice(), &self.theirs].concat()
    }

    /// Reads [`Self::to_bytes`].
    pub fn from_bytes(bytes: &[u8]) -> Self {
        let (ours, theirs) = bytes.split_at(bytes.len() / 2);
        Self { ours: ours.to_vec(), theirs: theirs.to_vec() }
    }
}

/// Measures sound of known length as it comes by, from the beginning.
pub struct Meter {
    samples: u64,
    seen: u64,
    peaks: [Vec<u16>; 2],
}

impl Meter {
    /// For so many samples of each lane.
    pub fn new(samples: u64) -> Self {
        let columns = usize::try_from(samples).unwrap_or(usize::MAX).min(COLUMNS);
        Self { samples, seen: 0, peaks: [vec![0; columns], vec![0; columns]] }
    }

    /// Hears the next samples of both lanes, in turn.
    pub fn hear(&mut self, sound: &[u8]) {
        let columns = self.peaks[0].len() as u64;
        for pair in sound.chunks_exact(2) {
            if self.seen >= self.samples {
                return;
            }
            let column = usize::try_from(self.seen * columns / self.samples).unwrap_or(0);
            for (peaks, &code) in self.peaks.iter_mut().zip(pair) {
                let peak = g711::from_mulaw(code).unsigned_abs();
                peaks[column] = peaks[column].max(peak);
            }
            self.seen += 1;
        }
    }

    /// The picture.
    pub fn finish(self) -> Waveform {
        let [ours, theirs] = self.peaks.map(|peaks| peaks.into_iter().map(loudness).collect());
        Waveform { ours, theirs }
    }
}

fn loudness(peak: u16) -> u8 {
    // 32124 is the loudest code of µ-law.
    let root = (u32::from(peak) * 255 * 255 / 32_124).isqrt();
    u8::try_from(root).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_as_high_as_its_loudest_sample() {
        let samples = 12_000_u64;
        let mut sound = vec![g711::MULAW_SILENCE; usize::try_from(samples).unwrap() * 2];
        sound[2 * 6005] = g711::mulaw(-32_000);
        sound[2 * 11_999 + 1] = g711::mulaw(500);
        let mut meter = Meter::new(samples);
        for part in sound.chunks(998) {
            meter.hear(part);
        }
        let waveform = meter.finish();
        assert_eq!(waveform.ours.len(), COLUMNS);
        assert_eq!(waveform.ours[600], 255);
        assert_eq!(waveform.ours.iter().filter(|&&peak| peak > 0).count(), 1);
        assert!((28..40).contains(&waveform.theirs[1199]), "{}", waveform.theirs[1199]);
        assert_eq!(Waveform::from_bytes(&waveform.to_bytes()), waveform);
        assert_eq!(Meter::new(0).finish().ours, Vec::<u8>::new());
    }
}
