//! The telephone band: what a telephone passes on, and nothing that it would distort.

use std::f64::consts::PI;

/// Below this a telephone's earpiece only rattles.
const LOWEST_HZ: f64 = 250.0;

/// Above this the filters of the network begin.
const HIGHEST_HZ: f64 = 3500.0;

/// Qualities of the two sections that make a Butterworth filter of fourth order.
const BUTTERWORTH_4: [f64; 2] = [0.541_196_100_146_197, 1.306_562_964_876_376_6];

/// Keeps 250 to 3500 Hz (Butterworth, fourth order at both ends), in place.
///
/// 60 Hz falls by 50 dB, 300 Hz and 3400 Hz by less than 1 dB. The rate is that of the samples; at
/// 7 kHz and below only the lower end is filtered.
pub fn telephone_band(samples: &mut [f32], rate: u32) {
    let rate = f64::from(rate);
    let mut sections: Vec<Biquad> =
        BUTTERWORTH_4.iter().map(|&quality| Biquad::high_pass(rate, LOWEST_HZ, quality)).collect();
    if rate > 2.0 * HIGHEST_HZ {
        sections.extend(BUTTERWORTH_4.iter().map(|&q| Biquad::low_pass(rate, HIGHEST_HZ, q)));
    }
    for sample in samples {
        let filtered = sections.iter_mut().fold(f64::from(*sample), |x, section| section.next(x));
        *sample = narrow(filtered);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the filters compute wider than they store")]
fn narrow(sample: f64) -> f32 {
    sample as f32
}

/// A filter of second order (Bristow-Johnson's formulas), transposed direct form II.
struct Biquad {
    b: [f64; 3],
    a: [f64; 2],
    state: [f64; 2],
}

impl Biquad {
    fn high_pass(rate: f64, corner: f64, quality: f64) -> Self {
        let cos = (2.0 * PI * corner / rate).cos();
        let side = f64::midpoint(1.0, cos);
        Self::new(rate, corner, quality, [side, -(1.0 + cos), side])
    }

    fn low_pass(rate: f64, corner: f64, quality: f64) -> Self {
        let cos = (2.0 * PI * corner / rate).cos();
        let side = (1.0 - cos) / 2.0;
        Self::new(rate, corner, quality, [side, 1.0 - cos, side])
    }

    fn new(rate: f64, corner: f64, quality: f64, b: [f64; 3]) -> Self {
        let (sin, cos) = (2.0 * PI * corner / rate).sin_cos();
        let alpha = sin / (2.0 * quality);
        let a0 = 1.0 + alpha;
        Self {
            b: b.map(|coefficient| coefficient / a0),
            a: [-2.0 * cos / a0, (1.0 - alpha) / a0],
            state: [0.0; 2],
        }
    }

    fn next(&mut self, x: f64) -> f64 {
        let y = self.b[0] * x + self.state[0];
        self.state[0] = self.b[1] * x - self.a[0] * y + self.state[1];
        self.state[1] = self.b[2] * x - self.a[1] * y;
        y
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How much a tone gains or loses on its way through, once the filter has settled.
    fn gain_db(hertz: f64, rate: u32) -> f64 {
        let tone = |n: u32| (2.0 * PI * hertz * f64::from(n) / f64::from(rate)).sin();
        let input: Vec<f32> = (0..rate).map(|n| narrow(0.5 * tone(n))).collect();
        let mut output = input.clone();
        telephone_band(&mut output, rate);
        let power = |samples: &[f32]| -> f64 {
            samples[samples.len() / 2..].iter().map(|s| f64::from(*s).powi(2)).sum()
        };
        10.0 * (power(&output) / power(&input)).log10()
    }

    #[test]
    fn passes_speech_and_drops_the_rest() {
        for (hertz, at_least, at_most) in [
            (60.0, -52.0, -48.0),
            (150.0, -19.0, -17.0),
            (300.0, -1.2, -0.6),
            (400.0, -0.2, 0.0),
            (1000.0, -0.1, 0.1),
            (3300.0, -0.6, 0.0),
            (3400.0, -1.2, -0.5),
            (3800.0, -36.0, -28.0),
        ] {
            let gain = gain_db(hertz, 8000);
            assert!((at_least..=at_most).contains(&gain), "{hertz} Hz: {gain:.2} dB");
        }
        assert!(gain_db(1000.0, 48_000).abs() < 0.1);
        assert!(gain_db(10_000.0, 48_000) < -30.0);
    }
}
