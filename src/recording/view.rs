//! A recording as a player sees it: a WAV file that exists only where it is read.
//!
//! Both forms have the same sound, so that a range of one maps to a range of sealed chunks.

use std::ops::Range;
use std::time::Duration;

use crate::audio::g711;
use crate::audio::wav;
use crate::tape::recording::SAMPLE_RATE;

/// The form of the WAV file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum View {
    /// µ-law as it was on the wire, half the size; plays in Chromium and Firefox.
    Mulaw,
    /// 16-bit linear, for every player.
    Linear16,
}

impl View {
    fn encoding(self) -> wav::Encoding {
        match self {
            Self::Mulaw => wav::Encoding::Mulaw,
            Self::Linear16 => wav::Encoding::Linear16,
        }
    }

    /// Bytes in the view for one byte of µ-law.
    fn factor(self) -> u64 {
        match self {
            Self::Mulaw => 1,
            Self::Linear16 => 2,
        }
    }

    fn header(self, samples: u64) -> Vec<u8> {
        // Two lanes of one byte; a recording is cut long before the sizes of WAV are full.
        let size = u32::try_from(samples * 2 * self.factor()).unwrap_or(u32::MAX);
        wav::header(self.encoding(), 2, 8000, size)
    }

    /// The length of the file.
    pub fn length(self, samples: u64) -> u64 {
        self.header(samples).len() as u64 + samples * 2 * self.factor()
    }

    /// Where in the file a moment is: always the beginning of a sample of both lanes.
    pub fn position(self, samples: u64, at: Duration) -> u64 {
        let sample = u64::try_from(at.as_millis()).unwrap_or(u64::MAX).saturating_mul(SAMPLE_RATE);
        let sample = (sample / 1000).min(samples);
        self.header(samples).len() as u64 + sample * 2 * self.factor()
    }

    /// Which bytes of the µ-law sound are needed for a range of the file.
    pub(super) fn needed(self, samples: u64, range: &Range<u64>) -> Range<u64> {
        let header = self.header(samples).len() as u64;
        let sound = samples * 2;
        let from = range.start.saturating_sub(header) / self.factor();
        let to = range.end.saturating_sub(header).div_ceil(self.factor());
        from.min(sound)..to.min(sound)
    }

    /// A range of the file, from the µ-law sound of [`Self::needed`].
    pub(super) fn render(self, samples: u64, range: &Range<u64>, sound: &[u8]) -> Vec<u8> {
        let header = self.header(samples);
        let needed = self.needed(samples, range);
        let mut bytes = Vec::new();
        let begins_at = if range.start < header.len() as u64 {
            bytes.extend_from_slice(&header);
            0
        } else {
            header.len() as u64 + needed.start * self.factor()
        };
        match self {
            Self::Mulaw => bytes.extend_from_slice(sound),
            Self::Linear16 => {
                bytes.extend(sound.iter().flat_map(|&code| g711::from_mulaw(code).to_le_bytes()));
            }
        }
        let skip = usize::try_from(range.start - begins_at).unwrap_or(usize::MAX);
        let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        bytes.drain(..skip.min(bytes.len()));
        bytes.truncate(length);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::Wav;

    #[test]
    fn every_range_is_a_part_of_the_whole_file() {
        let samples = 300_u64;
        let sound: Vec<u8> = (0..600_u32).map(|n| u8::try_from(n * 7 % 256).unwrap()).collect();
        for view in [View::Mulaw, View::Linear16] {
            let length = view.length(samples);
            let part = |range: Range<u64>| {
                let needed = view.needed(samples, &range);
                let from = usize::try_from(needed.start).unwrap();
                let to = usize::try_from(needed.end).unwrap();
                view.render(samples, &range, &sound[from..to])
            };
            let whole = part(0..length);
            assert_eq!(whole.len() as u64, length);
            let wav = Wav::parse(&whole).unwrap();
            assert_eq!((wav.channels, wav.rate), (2, 8000));
            assert_eq!(wav.samples, g711::decode_mulaw(&sound));
            for from in [0, 1, 43, 44, 45, 57, 58, 59, 60, 333, length - 1, length] {
                for to in [from, from + 1, from + 2, from + 7, length] {
                    let to = to.clamp(from, length);
                    let expected =
                        &whole[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()];
                    assert_eq!(part(from..to), expected, "{view:?} {from}..{to}");
                }
            }
        }
    }

    #[test]
    fn a_moment_is_at_time_times_rate() {
        let samples = 8000 * 60;
        let second = Duration::from_secs(1);
        let mulaw =
            View::Mulaw.position(samples, second) - View::Mulaw.position(samples, Duration::ZERO);
        assert_eq!(mulaw, 16_000);
        assert_eq!(View::Linear16.position(samples, second), 44 + 32_000);
        assert_eq!(View::Mulaw.position(samples, second * 600), View::Mulaw.length(samples));
    }
}
