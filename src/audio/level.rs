//! How loud it is: the active speech level of ITU-T P.56, and whether somebody speaks.
//!
//! dBov is relative to the power of a full-scale square wave: a full-scale sine is −3.01 dBov and
//! 0 dBm0 is −6.18 dBov.

#![expect(
    clippy::cast_precision_loss,
    reason = "counts and energies of sound in memory stay far below 2^52"
)]

use std::time::Duration;

/// The level of every prompt: −16.8 dBm0, a little louder than the nominal −26 dBov because our
/// listeners are old.
pub const PROMPT_DBOV: f64 = -23.0;

/// No sample of a prompt comes nearer to full scale than this.
pub const PEAK_DBFS: f64 = -1.0;

/// The envelope of P.56 is smoothed with this time constant, in seconds.
const SMOOTHING_S: f64 = 0.03;

/// Pauses up to this long belong to the speech, in seconds.
const HANGOVER_S: f64 = 0.2;

/// The threshold of activity lies this far below the active level, in dB.
const MARGIN_DB: f64 = 15.9;

/// Thresholds that are tried: 2^−15, 2^−14 … 2^−1 of full scale.
const N_THRESHOLDS: usize = 15;

/// What [`active_level`] measures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ActiveLevel {
    /// The power while somebody speaks, in dBov.
    pub dbov: f64,
    /// The share of the time in which somebody speaks, 0 to 1.
    pub activity: f64,
}

/// The active speech level by method B of ITU-T P.56, or `None` when there is nothing to hear.
///
/// Unlike the mean power it does not fall when the pauses grow longer.
pub fn active_level(samples: &[f32], rate: u32) -> Option<ActiveLevel> {
    let rate = f64::from(rate);
    let keep = (-1.0 / (rate * SMOOTHING_S)).exp();
    let hangover = HANGOVER_S * rate;
    let thresholds: [f64; N_THRESHOLDS] =
        std::array::from_fn(|n| 0.5_f64.powi(15) * f64::from(1 << n));
    let mut active = [0.0_f64; N_THRESHOLDS];
    // Nobody has spoken yet, so that no pause is being bridged.
    let mut bridged = [hangover; N_THRESHOLDS];
    let (mut once, mut envelope, mut energy) = (0.0, 0.0, 0.0);
    for &sample in samples {
        let sample = f64::from(sample);
        energy += sample * sample;
        once = keep * once + (1.0 - keep) * sample.abs();
        envelope = keep * envelope + (1.0 - keep) * once;
        for n in 0..N_THRESHOLDS {
            if envelope >= thresholds[n] {
                active[n] += 1.0;
                bridged[n] = 0.0;
            } else if bridged[n] < hangover {
                active[n] += 1.0;
                bridged[n] += 1.0;
            }
        }
    }

    // The level falls from threshold to threshold: find where it is 15.9 dB above its threshold.
    let mut before: Option<(f64, f64)> = None;
    for n in 0..N_THRESHOLDS {
        if active[n] == 0.0 {
            return None;
        }
        let level = decibel(energy / active[n]);
        let threshold = decibel(thresholds[n] * thresholds[n]);
        if level - threshold <= MARGIN_DB {
            let dbov = match before {
                Some((level_before, threshold_before)) => {
                    let (far, near) = (level_before - threshold_before, level - threshold);
                    level_before + (level - level_before) * (far - MARGIN_DB) / (far - near)
                }
                None => level,
            };
            let mean = energy / samples.len() as f64;
            return Some(ActiveLevel { dbov, activity: (mean / power(dbov)).min(1.0) });
        }
        before = Some((level, threshold));
    }
    None
}

/// Brings speech to an active level, in place; less, where a peak would come nearer to full scale
/// than [`PEAK_DBFS`]. Returns the gain in dB; silence is left alone.
pub fn set_active_level(samples: &mut [f32], rate: u32, target_dbov: f64) -> f64 {
    let peak = samples.iter().fold(0.0_f64, |peak, &sample| peak.max(f64::from(sample).abs()));
    let Some(level) = active_level(samples, rate) else { return 0.0 };
    let gain_db = (target_dbov - level.dbov).min(PEAK_DBFS - decibel(peak * peak));
    let gain = power(gain_db).sqrt();
    for sample in samples {
        *sample = amplified(*sample, gain);
    }
    gain_db
}

#[expect(clippy::cast_possible_truncation, reason = "samples are stored narrower")]
fn amplified(sample: f32, gain: f64) -> f32 {
    (f64::from(sample) * gain) as f32
}

/// The mean power of 16-bit samples in dBov; −200 for nothing at all.
pub fn mean_level(samples: &[i16]) -> f64 {
    let energy: i64 = samples.iter().map(|&sample| i64::from(sample).pow(2)).sum();
    decibel(energy as f64 / (samples.len().max(1) as f64 * 32768.0 * 32768.0))
}

fn decibel(power: f64) -> f64 {
    10.0 * power.max(1e-20).log10()
}

fn power(decibel: f64) -> f64 {
    10.0_f64.powf(decibel / 10.0)
}

/// What [`VoiceActivity`] hears.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Activity {
    /// Somebody, or something, began to speak.
    Began,
    /// It has been quiet again since this long.
    Quiet(Duration),
}

/// Below this nothing counts as speech: the noise of a line, in dBov.
const FAINTEST_DBOV: f64 = -45.0;

/// Speech is this much louder than the noise around it, in dB.
const ABOVE_NOISE_DB: f64 = 9.0;

/// Frames of sound that make a word: 100 ms, so that a click is none.
const WORD_FRAMES: u32 = 5;

/// Frames of silence within a word, in which it goes on: 120 ms.
const GAP_FRAMES: u32 = 6;

/// After so many quiet frames [`Activity::Quiet`] is told: 0.9 s (the end of a greeting) and 2 s
/// (the end of an announcement).
const QUIET_FRAMES: [u32; 2] = [45, 100];

const FRAME: Duration = Duration::from_millis(20);

/// Tells speech from silence by its energy, frame by frame.
///
/// The threshold follows the noise: at once when it grows quieter, by 1.5 dB a second when it
/// grows louder. A hint, never a proof: music and tones count as speech.
#[derive(Clone, Debug)]
pub struct VoiceActivity {
    noise_dbov: f64,
    loud: u32,
    quiet: u32,
    speaking: bool,
}

impl Default for VoiceActivity {
    fn default() -> Self {
        Self { noise_dbov: FAINTEST_DBOV - ABOVE_NOISE_DB, loud: 0, quiet: 0, speaking: false }
    }
}

impl VoiceActivity {
    /// Listens to the next 20 ms.
    pub fn hear(&mut self, frame: &[i16]) -> Option<Activity> {
        self.hear_level(mean_level(frame))
    }

    /// The same for a frame whose [`mean_level`] is known.
    pub fn hear_level(&mut self, dbov: f64) -> Option<Activity> {
        // 0.03 dB a frame is 1.5 dB a second.
        self.noise_dbov = dbov.max(-70.0).min(self.noise_dbov + 0.03);
        let threshold = (self.noise_dbov + ABOVE_NOISE_DB).max(FAINTEST_DBOV);
        if dbov >= threshold {
            self.loud += 1;
            self.quiet = 0;
        } else {
            self.quiet += 1;
            if self.quiet > GAP_FRAMES {
                self.loud = 0;
            }
        }
        if !self.speaking && self.loud >= WORD_FRAMES {
            self.speaking = true;
            return Some(Activity::Began);
        }
        if self.speaking && QUIET_FRAMES.contains(&self.quiet) {
            // The last mark ends the speech: the next sound begins a new one.
            self.speaking = self.quiet < QUIET_FRAMES[1];
            return Some(Activity::Quiet(FRAME * self.quiet));
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::TAU;

    use super::*;

    fn sine(amplitude: f64, hertz: f64, seconds: i32) -> Vec<f32> {
        let wave = |n: i32| (TAU * hertz * f64::from(n) / 8000.0).sin();
        (0..seconds * 8000).map(|n| amplified(1.0, amplitude * wave(n))).collect()
    }

    #[test]
    fn pauses_do_not_lower_the_active_level() {
        let mut speech = Vec::new();
        for _ in 0..4 {
            speech.extend(sine(0.1, 500.0, 2));
            speech.extend(vec![0.0; 2 * 8000]);
        }
        let level = active_level(&speech, 8000).unwrap();
        // A sine of amplitude 0.1 has −23.01 dBov; the hangover of 0.2 s takes 0.4 dB of it.
        assert!((-23.6..-22.9).contains(&level.dbov), "{level:?}");
        assert!((0.5..0.6).contains(&level.activity), "{level:?}");
        assert_eq!(active_level(&vec![0.0; 8000], 8000), None);
        assert_eq!(active_level(&[], 8000), None);
    }

    #[test]
    fn prompts_come_to_the_level_but_not_to_full_scale() {
        for amplitude in [0.01, 0.1, 0.9] {
            let mut speech = sine(amplitude, 500.0, 3);
            set_active_level(&mut speech, 8000, PROMPT_DBOV);
            let level = active_level(&speech, 8000).unwrap();
            assert!((level.dbov - PROMPT_DBOV).abs() < 0.1, "{amplitude}: {level:?}");
        }
        // One click at full scale forbids any gain.
        let mut speech = sine(0.01, 500.0, 3);
        speech[12_000] = 1.0;
        let gain = set_active_level(&mut speech, 8000, PROMPT_DBOV);
        assert!((gain - PEAK_DBFS).abs() < 1e-6, "{gain}");
        assert!(set_active_level(&mut [0.0; 800], 8000, PROMPT_DBOV).abs() < 1e-9);
    }

    /// Plays a script of `level for frames` and writes down what was heard, with its frame.
    fn listen(script: &[(f64, u32)]) -> Vec<(u32, Activity)> {
        let mut voice = VoiceActivity::default();
        let levels = script.iter().flat_map(|&(level, n)| (0..n).map(move |_| level));
        let numbered = (1..).zip(levels);
        numbered.filter_map(|(n, level)| Some((n, voice.hear_level(level)?))).collect()
    }

    #[test]
    fn speech_begins_and_ends() {
        let quiet = |frames| Activity::Quiet(FRAME * frames);
        for (script, expected) in [
            (vec![(-60.0, 200)], vec![]),
            // A click of 60 ms is no word.
            (vec![(-60.0, 50), (-20.0, 3), (-60.0, 100)], vec![]),
            (
                vec![(-60.0, 50), (-20.0, 40), (-60.0, 120)],
                vec![(55, Activity::Began), (135, quiet(45)), (190, quiet(100))],
            ),
            // A pause within a sentence ends nothing.
            (
                vec![(-60.0, 10), (-20.0, 40), (-60.0, 30), (-20.0, 40), (-60.0, 46)],
                vec![(15, Activity::Began), (165, quiet(45))],
            ),
            // After two seconds the next word is a new beginning.
            (
                vec![(-20.0, 10), (-60.0, 100), (-20.0, 10)],
                vec![
                    (5, Activity::Began),
                    (55, quiet(45)),
                    (110, quiet(100)),
                    (115, Activity::Began),
                ],
            ),
        ] {
            assert_eq!(listen(&script), expected, "{script:?}");
        }
    }

    #[test]
    fn steady_noise_fades_out_of_hearing() {
        let heard = listen(&[(-38.0, 1500)]);
        assert_eq!(heard.first(), Some(&(5, Activity::Began)));
        assert!(matches!(heard.last(), Some((_, Activity::Quiet(_)))), "{heard:?}");
    }
}
