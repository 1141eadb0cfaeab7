//! Sound of any origin made ready for the telephone: 8 kHz, its band, one level, tight edges.

use std::time::Duration;

use rubato::audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Fft, FixedSync, Resampler};

use crate::audio::{RATE, Sound, band, g711, level, pcm};
use crate::base::Bilingual;
use crate::call::clip::FRAME_BYTES;

/// What is quieter than this at either end is cut off, in dBov.
const SILENCE_DBOV: f64 = -50.0;

/// How much silence stays before and after the sound: a click sounds less abrupt with it.
const LEAD_SAMPLES: usize = 320;
const TAIL_SAMPLES: usize = 480;

/// 5 ms.
const FADE_SAMPLES: usize = 40;

/// 10 ms: the piece of sound of which the level is judged.
const BLOCK_SAMPLES: usize = 80;

/// Why sound cannot be made ready.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MasterError {
    /// Every sample is (next to) silence.
    #[error("there is nothing to hear")]
    Silent,
    /// No telephone, and no studio, works at this rate.
    #[error("{0} samples a second are out of range (8000 to 192000)")]
    Rate(u32),
    /// The resampler refused.
    #[error("the sound cannot be resampled")]
    Resample(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl MasterError {
    /// For the person who has to mend it.
    pub fn explanation(&self) -> Bilingual {
        let ja = match self {
            Self::Silent => "音が聞こえません".to_owned(),
            Self::Rate(rate) => format!("毎秒 {rate} サンプルは使えません(8000〜192000)"),
            Self::Resample(_) => "サンプルの速さを変えられません".to_owned(),
        };
        Bilingual::composed(ja, self.to_string())
    }
}

/// A prompt in both forms of G.711, cut to whole packets.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Encoded {
    /// µ-law.
    pub pcmu: Vec<u8>,
    /// A-law, as long.
    pub pcma: Vec<u8>,
}

/// Resamples to 8 kHz, limits to the telephone band, sets the level to −23 dBov and cuts silence
/// off both ends.
pub fn master(sound: &Sound) -> Result<Vec<i16>, MasterError> {
    let mut samples = resample(sound)?;
    band::telephone_band(&mut samples, RATE);
    level::set_active_level(&mut samples, RATE, level::PROMPT_DBOV);
    let (start, end) = audible(&samples).ok_or(MasterError::Silent)?;
    let start = start.saturating_sub(LEAD_SAMPLES);
    let end = (end + TAIL_SAMPLES).min(samples.len());
    let kept = samples.get_mut(start..end).unwrap_or_default();
    fade(kept);
    Ok(kept.iter().map(|&sample| pcm::quantize(sample)).collect())
}

/// Encodes it, followed by silence up to a whole packet.
pub fn encode(samples: &[i16], pause: Duration) -> Encoded {
    let n_bytes = samples.len() + n_samples(pause);
    let n_bytes = n_bytes.next_multiple_of(FRAME_BYTES);
    let mut pcmu = g711::encode_mulaw(samples);
    let mut pcma = g711::encode_alaw(samples);
    pcmu.resize(n_bytes, g711::MULAW_SILENCE);
    pcma.resize(n_bytes, g711::ALAW_SILENCE);
    Encoded { pcmu, pcma }
}

fn n_samples(length: Duration) -> usize {
    usize::try_from(length.as_millis() * u128::from(RATE) / 1000).unwrap_or(0)
}

fn resample(sound: &Sound) -> Result<Vec<f32>, MasterError> {
    // The shortest chunk that keeps the filter of the resampler steep.
    const CHUNK: usize = 1024;
    if !(RATE..=192_000).contains(&sound.rate) {
        return Err(MasterError::Rate(sound.rate));
    }
    let samples = &sound.samples;
    if sound.rate == RATE || samples.is_empty() {
        return Ok(samples.clone());
    }
    let (from, to) = (sound.rate as usize, RATE as usize);
    let mut fft = Fft::<f32>::new(from, to, CHUNK, 1, FixedSync::Both)
        .map_err(|error| MasterError::Resample(error.into()))?;
    let input = InterleavedSlice::new(samples.as_slice(), 1, samples.len())
        .map_err(|error| MasterError::Resample(error.to_string().into()))?;
    let output = fft.process_all(&input, samples.len(), None);
    Ok(output.map_err(|error| MasterError::Resample(error.into()))?.take_data())
}

/// Where the sound begins and ends, in samples.
fn audible(samples: &[f32]) -> Option<(usize, usize)> {
    let threshold = 10.0_f64.powf(SILENCE_DBOV / 10.0);
    let is_audible = |block: &[f32]| {
        let energy: f64 = block.iter().map(|&sample| f64::from(sample).powi(2)).sum();
        energy > threshold * f64::from(u32::try_from(block.len()).unwrap_or(u32::MAX))
    };
    let mut blocks = samples.chunks(BLOCK_SAMPLES);
    let first = blocks.position(is_audible)?;
    let last = samples.chunks(BLOCK_SAMPLES).rposition(is_audible)?;
    Some((first * BLOCK_SAMPLES, ((last + 1) * BLOCK_SAMPLES).min(samples.len())))
}

fn fade(samples: &mut [f32]) {
    let n = FADE_SAMPLES.min(samples.len() / 2);
    let gains = (0_u16..).zip(0..n).map(|(step, _)| f32::from(step) / 40.0);
    let len = samples.len();
    for (at, gain) in gains.enumerate() {
        samples[at] *= gain;
        samples[len - 1 - at] *= gain;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::prompt::voice::Voice;
    use crate::prompt::{Kana, Pace};

    fn tone(rate: u32, hertz: f64, seconds: u32, amplitude: f32) -> Sound {
        let step = std::f64::consts::TAU * hertz / f64::from(rate);
        let sample = |i| narrow((step * f64::from(i)).sin());
        let samples = (0..rate * seconds).map(|i| amplitude * sample(i));
        Sound { rate, samples: samples.collect() }
    }

    #[expect(clippy::cast_possible_truncation, reason = "samples are stored narrower")]
    fn narrow(sample: f64) -> f32 {
        sample as f32
    }

    fn level_of(samples: &[i16]) -> f64 {
        let sound = Sound::from_i16(RATE, samples);
        level::active_level(&sound.samples, RATE).unwrap().dbov
    }

    /// The share of the power above a frequency, in dB, by a plain Fourier transform of windows.
    fn share_above(samples: &[i16], hertz: f64) -> f64 {
        const N: u16 = 256;
        let (mut above, mut all) = (0.0, 0.0);
        for window in samples.chunks_exact(N.into()).step_by(4) {
            for bin in 1..N / 2 {
                let step = std::f64::consts::TAU * f64::from(bin) / f64::from(N);
                let (mut re, mut im) = (0.0, 0.0);
                for (i, &sample) in (0..N).zip(window) {
                    let at = f64::from(i);
                    let hann = 0.5 - 0.5 * (std::f64::consts::TAU * at / f64::from(N)).cos();
                    re += f64::from(sample) * hann * (step * at).cos();
                    im += f64::from(sample) * hann * (step * at).sin();
                }
                let power = re * re + im * im;
                all += power;
                if f64::from(bin) * f64::from(RATE) / f64::from(N) > hertz {
                    above += power;
                }
            }
        }
        10.0 * (above / all).log10()
    }

    #[test]
    fn speech_has_the_level_and_the_band_of_the_telephone() {
        let voice = Voice::load().unwrap();
        for (kana, pace) in [
            ("イキグルシ'サワ、アリマ'スカ。", Pace::Normal),
            ("ハ'イワ、イチ'。", Pace::Slow),
            ("ニ'。", Pace::Normal),
        ] {
            let sound = voice.say(&Kana::parse(kana).unwrap(), pace).unwrap();
            let samples = master(&sound).unwrap();
            let level = level_of(&samples);
            assert!((-24.0..-22.0).contains(&level), "{kana}: {level} dBov");
            let above = share_above(&samples, 3600.0);
            assert!(above < -30.0, "{kana}: {above} dB above 3.6 kHz");
            let below = share_above(&samples, 150.0);
            assert!(below > -0.1, "{kana}: energy below 150 Hz");
        }
    }

    #[test]
    fn what_the_telephone_cannot_carry_does_not_fold_back() {
        for rate in [16_000, 44_100, 48_000] {
            let mut sound = tone(rate, 1000.0, 1, 0.1);
            let sibilant = tone(rate, 6500.0, 1, 0.3);
            for (sample, high) in sound.samples.iter_mut().zip(&sibilant.samples) {
                *sample += high;
            }
            let samples = master(&sound).unwrap();
            // Without a filter, 6.5 kHz would come back as 1.5 kHz.
            let high = share_above(&samples, 1200.0);
            assert!(high < -40.0, "{rate}: {high} dB");
        }
    }

    #[test]
    fn any_level_becomes_the_same_level() {
        for amplitude in [0.003, 0.1, 0.9] {
            let level = level_of(&master(&tone(16_000, 800.0, 2, amplitude)).unwrap());
            assert!((level + 23.0).abs() < 0.3, "{amplitude}: {level}");
        }
    }

    #[test]
    fn silence_at_the_ends_is_cut_off() {
        let mut sound = tone(8000, 800.0, 1, 0.1);
        sound.samples.splice(0..0, vec![0.0; 8000]);
        sound.samples.extend(vec![0.0; 8000]);
        let n = master(&sound).unwrap().len();
        // One second with 40 ms before and 60 ms after, and a block of 10 ms for the filter's tail.
        assert!((8720..=8960).contains(&n), "{n}");
    }

    #[test]
    fn sound_begins_and_ends_softly() {
        let samples = master(&tone(8000, 800.0, 1, 0.5)).unwrap();
        assert_eq!((samples[0], samples[samples.len() - 1]), (0, 0));
    }

    #[test]
    fn what_cannot_be_heard_is_refused() {
        let silent = Sound { rate: 8000, samples: vec![0.0; 8000] };
        assert!(matches!(master(&silent), Err(MasterError::Silent)));
        assert!(matches!(master(&tone(4000, 100.0, 1, 0.5)), Err(MasterError::Rate(4000))));
        assert!(matches!(
            master(&Sound { rate: 48_000, samples: Vec::new() }),
            Err(MasterError::Silent)
        ));
    }

    proptest! {
        #[test]
        fn packets_are_whole_and_hold_the_sound_and_its_pause(
            n in 0_usize..2000, pause_ms in 0_u64..500,
        ) {
            let encoded = encode(&vec![1000; n], Duration::from_millis(pause_ms));
            let wanted = n + usize::try_from(pause_ms).unwrap() * 8;
            prop_assert_eq!(encoded.pcmu.len() % FRAME_BYTES, 0);
            prop_assert!((wanted..wanted + FRAME_BYTES).contains(&encoded.pcmu.len()));
            prop_assert_eq!(encoded.pcma.len(), encoded.pcmu.len());
            prop_assert!(encoded.pcmu.iter().take(n).all(|byte| *byte != g711::MULAW_SILENCE));
            prop_assert!(encoded.pcmu.iter().skip(n).all(|byte| *byte == g711::MULAW_SILENCE));
        }
    }
}
