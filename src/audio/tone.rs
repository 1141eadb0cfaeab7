//! Tones: those of the telephone, made; and the beep of an answering machine, found.

use std::f64::consts::TAU;
use std::time::Duration;

use crate::audio::level;
use crate::audio::pcm::RATE;
use crate::base::Digit;

/// One or two sines of equal level.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tone {
    /// The frequencies in hertz; the same twice for one sine.
    pub hertz: [f64; 2],
    /// The level of the whole, in dBov.
    pub dbov: f64,
}

impl Tone {
    /// The tone of all Japanese call progress (NTT technical reference: 400 Hz), at −19 dBm0.
    pub const PROGRESS: Self = Self { hertz: [400.0, 400.0], dbov: -25.0 };

    /// The beep after which an answering machine records.
    pub const BEEP: Self = Self { hertz: [1000.0, 1000.0], dbov: -20.0 };

    /// The pair of frequencies of a key (ITU-T Q.23), each at −9 dBm0.
    pub fn of_digit(digit: Digit) -> Self {
        const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
        const COLUMNS: [f64; 3] = [1209.0, 1336.0, 1477.0];
        let (row, column) = match digit {
            Digit::Number(0) => (3, 1),
            Digit::Number(n) => (usize::from(n - 1) / 3 % 4, usize::from(n - 1) % 3),
            Digit::Star => (3, 0),
            Digit::Pound => (3, 2),
        };
        Self { hertz: [ROWS[row], COLUMNS[column]], dbov: -12.2 }
    }

    /// 8 kHz samples of it.
    #[expect(clippy::cast_possible_truncation, reason = "`as` saturates: the tone is clipped")]
    pub fn samples(self, duration: Duration) -> Vec<i16> {
        let n = u32::try_from(duration.as_millis()).unwrap_or(u32::MAX).saturating_mul(RATE / 1000);
        let [low, high] = self.hertz.map(|hertz| TAU * hertz / f64::from(RATE));
        let one_sine = self.hertz[0].total_cmp(&self.hertz[1]).is_eq();
        // A sine has half the power of its squared amplitude; two sines share it.
        let factor = if one_sine { 0.5 } else { 1.0 };
        let amplitude =
            32768.0 * 10.0_f64.powf(self.dbov / 20.0) * std::f64::consts::SQRT_2 * factor
                / if one_sine { 1.0 } else { std::f64::consts::SQRT_2 };
        (0..n)
            .map(f64::from)
            .map(|i| (amplitude * ((low * i).sin() + (high * i).sin())).round() as i16)
            .collect()
    }
}

/// A tone that comes and goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cadence {
    /// What sounds.
    pub tone: Tone,
    /// How long it sounds.
    pub on: Duration,
    /// How long it is silent before it sounds again.
    pub off: Duration,
}

impl Cadence {
    /// The caller hears it ring: 400 Hz, 1 s on, 2 s off.
    pub const RINGBACK: Self =
        Self { tone: Tone::PROGRESS, on: Duration::from_secs(1), off: Duration::from_secs(2) };

    /// The line is engaged: 400 Hz, 0.5 s on, 0.5 s off.
    pub const BUSY: Self = Self {
        tone: Tone::PROGRESS,
        on: Duration::from_millis(500),
        off: Duration::from_millis(500),
    };

    /// 8 kHz samples of one round: the tone and the silence after it.
    pub fn samples(self) -> Vec<i16> {
        let mut samples = self.tone.samples(self.on);
        let silence = self.off.as_millis() * u128::from(RATE / 1000);
        samples.resize(samples.len() + usize::try_from(silence).unwrap_or(0), 0);
        samples
    }
}

/// Beeps lie between these frequencies. Below 600 Hz the vowels of men are as pure as a tone.
const BEEP_HZ: std::ops::RangeInclusive<f64> = 600.0..=2500.0;

/// What is fainter is no beep, in dBov.
const FAINTEST_BEEP_DBOV: f64 = -40.0;

/// The share of the energy that a pure sine may leave unexplained.
const LARGEST_RESIDUE: f64 = 0.015;

/// From frame to frame the frequency moves by less than this.
const LARGEST_DRIFT_HZ: f64 = 8.0;

/// From frame to frame the level moves by less than this: 30 %.
const LARGEST_STEP_DB: f64 = 2.3;

/// So many frames in a row make a beep: 160 ms.
const BEEP_FRAMES: u32 = 8;

/// Finds the beep of an answering machine.
///
/// A sine obeys `x[n-1] + x[n+1] = 2 cos ω · x[n]`: each 20 ms frame is fitted to that by least
/// squares; eight frames in a row that fit, with one frequency and level, are a beep. It is told
/// once, 160 ms after its onset.
#[derive(Clone, Debug, Default)]
pub struct BeepDetector {
    frames: u32,
    hertz: f64,
    dbov: f64,
}

impl BeepDetector {
    /// Listens to the next 20 ms; true at the moment a beep is certain.
    pub fn hear(&mut self, frame: &[i16]) -> bool {
        let dbov = level::mean_level(frame);
        let Some(hertz) =
            pure_tone(frame).filter(|hertz| BEEP_HZ.contains(hertz) && dbov >= FAINTEST_BEEP_DBOV)
        else {
            self.frames = 0;
            return false;
        };
        let steady = (hertz - self.hertz).abs() < LARGEST_DRIFT_HZ
            && (dbov - self.dbov).abs() < LARGEST_STEP_DB;
        self.frames = if steady { self.frames.saturating_add(1) } else { 1 };
        (self.hertz, self.dbov) = (hertz, dbov);
        self.frames == BEEP_FRAMES
    }
}

/// The frequency of a frame that is one sine, or `None` when it is something else.
fn pure_tone(frame: &[i16]) -> Option<f64> {
    let (mut products, mut squares, mut sums) = (0.0, 0.0, 0.0);
    for window in frame.windows(3) {
        let [before, middle, after] = [window[0], window[1], window[2]].map(f64::from);
        let neighbours = before + after;
        products += neighbours * middle;
        squares += middle * middle;
        sums += neighbours * neighbours;
    }
    if squares == 0.0 {
        return None;
    }
    let slope = products / squares;
    // What remains of the neighbours once the best sine has explained its part, in shares of the
    // energy of the frame: at 2 kHz the neighbours cancel and are no measure themselves.
    let residue = (sums - slope * products) / (squares * 2.0);
    let explained = residue < LARGEST_RESIDUE && slope.abs() < 2.0;
    explained.then(|| (slope / 2.0).acos() * f64::from(RATE) / TAU)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::g711;

    const SECOND: Duration = Duration::from_secs(1);

    /// The frames, from 0, at which a beep is told.
    fn beeps(samples: &[i16]) -> Vec<usize> {
        let mut detector = BeepDetector::default();
        let heard: Vec<i16> = g711::decode_mulaw(&g711::encode_mulaw(samples));
        let frames = heard.chunks_exact(160).enumerate();
        frames.filter(|(_, frame)| detector.hear(frame)).map(|(n, _)| n).collect()
    }

    /// Noise without pattern, from a linear congruence.
    fn noise(amplitude: i64, n: usize) -> Vec<i16> {
        let mut state = 7_u64;
        let next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let unit = i64::try_from(state >> 48).unwrap() - 32768;
            i16::try_from(unit * amplitude / 32768).unwrap()
        };
        std::iter::repeat_with(next).take(n).collect()
    }

    #[test]
    fn beeps_are_found_once_after_160_ms() {
        for hertz in [620.0, 800.0, 1000.0, 1400.0, 2000.0, 2400.0] {
            for dbov in [-38.0, -20.0, -6.0] {
                let mut samples = vec![0; 160 * 10];
                samples.extend(Tone { hertz: [hertz, hertz], dbov }.samples(SECOND));
                samples.extend(vec![0; 1600]);
                let found = beeps(&samples);
                assert_eq!(found, [17], "{hertz} Hz at {dbov} dBov");
            }
        }
    }

    #[test]
    fn what_is_no_beep_is_not_told() {
        let mut sliding = Vec::new();
        for n in 0..50 {
            let hertz = 700.0 + 25.0 * f64::from(n);
            sliding.extend(
                Tone { hertz: [hertz, hertz], dbov: -20.0 }.samples(Duration::from_millis(20)),
            );
        }
        for (name, samples) in [
            ("ringback", Cadence::RINGBACK.samples()),
            ("busy", Cadence::BUSY.samples()),
            ("a key", Tone::of_digit(Digit::Number(5)).samples(SECOND)),
            ("a short tone", Tone::BEEP.samples(Duration::from_millis(140))),
            ("a siren", sliding),
            ("noise", noise(8000, 8000)),
            ("silence", vec![0; 8000]),
            ("a faint tone", Tone { dbov: -45.0, ..Tone::BEEP }.samples(SECOND)),
        ] {
            assert_eq!(beeps(&samples), Vec::<usize>::new(), "{name}");
        }
    }

    #[test]
    fn a_beep_on_a_noisy_line_is_found() {
        let tone = Tone::BEEP.samples(SECOND);
        let noisy: Vec<i16> = tone.iter().zip(noise(300, 8000)).map(|(t, n)| t + n).collect();
        assert_eq!(beeps(&noisy).len(), 1);
    }

    #[test]
    fn tones_have_the_level_they_name() {
        for tone in [Tone::PROGRESS, Tone::BEEP, Tone::of_digit(Digit::Pound)] {
            let measured = level::mean_level(&tone.samples(SECOND));
            assert!((measured - tone.dbov).abs() < 0.1, "{tone:?}: {measured}");
        }
    }

    #[test]
    fn keys_sound_as_their_row_and_column() {
        for (digit, hertz) in [
            (Digit::Number(1), [697.0, 1209.0]),
            (Digit::Number(6), [770.0, 1477.0]),
            (Digit::Number(8), [852.0, 1336.0]),
            (Digit::Number(0), [941.0, 1336.0]),
            (Digit::Star, [941.0, 1209.0]),
            (Digit::Pound, [941.0, 1477.0]),
        ] {
            let found = Tone::of_digit(digit).hertz;
            assert!(found.iter().zip(hertz).all(|(a, b)| (a - b).abs() < 1e-9), "{digit}");
        }
    }
}
