//! A take: what staff have recorded or brought for a prompt, made ready for the telephone.

use std::time::Duration;

use super::master;
use super::recording::{RecordingError, decode};
use crate::audio::{RATE, g711, level};

/// A prompt as somebody has spoken it.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// As it is said: µ-law at 8 kHz, at the level of all prompts, without silence at its ends.
    pub sound: Vec<u8>,
    /// How long it is.
    pub duration: Duration,
    /// How loud it was before it was set to the level of all prompts, in dBov (ITU-T P.56).
    pub level_dbov: f64,
}

impl Take {
    /// Reads a recording of any known kind; the extension is only a hint. It may take a second: call
    /// it from a thread that may block.
    ///
    /// # Errors
    /// If it cannot be read, is damaged, too long, or silent.
    pub fn read(bytes: Vec<u8>, extension: &str) -> Result<Self, RecordingError> {
        let sound = decode(bytes, extension)?;
        let loudness = level::active_level(&sound.samples, sound.rate);
        let samples = master::master(&sound)?;
        Ok(Self {
            sound: g711::encode_mulaw(&samples),
            duration: length_of(samples.len()),
            level_dbov: loudness.map_or(-90.0, |level| level.dbov),
        })
    }

    /// How loud it is as it is said, in dBov.
    pub fn level_on_the_telephone(&self) -> f64 {
        level_of(&self.sound)
    }
}

/// How long so many samples at 8 kHz are.
pub fn length_of(n_samples: usize) -> Duration {
    Duration::from_micros(n_samples as u64 * 1_000_000 / u64::from(RATE))
}

/// How loud µ-law at 8 kHz is, in dBov (ITU-T P.56); −90 for silence.
pub fn level_of(sound: &[u8]) -> f64 {
    let full_scale = 32768.0;
    let samples: Vec<f32> = g711::decode_mulaw(sound)
        .into_iter()
        .map(|sample| f32::from(sample) / full_scale)
        .collect();
    level::active_level(&samples, RATE).map_or(-90.0, |level| level.dbov)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::wav::{Encoding, header};

    /// A tone of so many milliseconds, as 16-bit WAV at 16 kHz.
    fn tone(milliseconds: u32, amplitude: f64) -> Vec<u8> {
        let n_samples = 16 * milliseconds;
        let mut bytes = header(Encoding::Linear16, 1, 16_000, n_samples * 2);
        for n in 0..n_samples {
            let wave = (f64::from(n) * 1000.0 * std::f64::consts::TAU / 16_000.0).sin();
            #[expect(clippy::cast_possible_truncation, reason = "within the range of samples")]
            let sample = (wave * amplitude * 32767.0) as i16;
            bytes.extend(sample.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn quiet_and_loud_takes_are_said_alike() {
        let quiet = Take::read(tone(1500, 0.02), "wav").unwrap();
        let loud = Take::read(tone(1500, 0.5), "wav").unwrap();
        assert!(loud.level_dbov - quiet.level_dbov > 20.0);
        let [one, other] = [&quiet, &loud].map(Take::level_on_the_telephone);
        assert!(
            (one - other).abs() < 1.0 && (one - level::PROMPT_DBOV).abs() < 1.5,
            "{one} {other}"
        );
        assert!((1400..1700).contains(&quiet.duration.as_millis()), "{:?}", quiet.duration);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        assert!(Take::read(b"MZ this is a program".to_vec(), "wav").is_err());
        assert!(Take::read(tone(1000, 0.0), "wav").is_err(), "silence");
        let cut = tone(2000, 0.3);
        assert!(Take::read(cut[..cut.len() / 2].to_vec(), "wav").is_err(), "half a sentence");
    }
}
