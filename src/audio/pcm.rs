//! Linear sound in memory.

use std::time::Duration;

/// Samples in a second on the telephone (G.711).
pub const RATE: u32 = 8000;

/// Mono sound of any rate.
#[derive(Clone, Debug, PartialEq)]
pub struct Sound {
    /// Samples in a second.
    pub rate: u32,
    /// Full scale is ±1.0.
    pub samples: Vec<f32>,
}

impl Sound {
    /// Its length.
    #[expect(clippy::cast_precision_loss, reason = "2^52 samples are 17,000 years")]
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate.max(1)))
    }

    /// Sound of 16-bit samples.
    pub fn from_i16(rate: u32, samples: &[i16]) -> Self {
        Self { rate, samples: samples.iter().map(|&sample| widen(sample)).collect() }
    }
}

/// One sample in 16 bits, clipped to full scale. Not-a-number is silence.
#[expect(clippy::cast_possible_truncation, reason = "`as` saturates, which is the clipping")]
pub fn quantize(sample: f32) -> i16 {
    (sample * 32768.0).round() as i16
}

/// One 16-bit sample with full scale ±1.0.
pub fn widen(sample: i16) -> f32 {
    f32::from(sample) / 32768.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_16_bit_sample_survives_the_way_through_f32() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(quantize(widen(sample)), sample);
        }
    }

    #[test]
    fn what_is_too_loud_is_clipped() {
        for (sample, expected) in
            [(1.0, 32767), (7.0, 32767), (-1.0, -32768), (-7.0, -32768), (f32::NAN, 0)]
        {
            assert_eq!(quantize(sample), expected, "{sample}");
        }
    }

    #[test]
    fn duration_counts_samples_at_the_rate() {
        let sound = Sound { rate: 48_000, samples: vec![0.0; 12_000] };
        assert_eq!(sound.duration(), Duration::from_millis(250));
    }
}
