//! How evenly packets follow one another: a histogram of the time between two of them.

use std::time::Duration;

/// The width of one bucket.
const BUCKET: Duration = Duration::from_micros(250);

/// Up to 64 ms; what is longer counts in the last bucket.
const N_BUCKETS: usize = 256;

/// Times between packets, in buckets of 0.25 ms.
#[derive(Clone, Eq, PartialEq)]
pub struct Spacing {
    buckets: [u32; N_BUCKETS],
    /// The longest of them, exactly.
    pub max: Duration,
}

impl Default for Spacing {
    fn default() -> Self {
        Self { buckets: [0; N_BUCKETS], max: Duration::ZERO }
    }
}

impl Spacing {
    /// Counts one.
    pub fn add(&mut self, time: Duration) {
        let index = usize::try_from(time.as_micros() / BUCKET.as_micros()).unwrap_or(usize::MAX);
        self.buckets[index.min(N_BUCKETS - 1)] += 1;
        self.max = self.max.max(time);
    }

    /// Counts those of another, too.
    pub fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.buckets.iter_mut().zip(other.buckets) {
            *ours = ours.saturating_add(theirs);
        }
        self.max = self.max.max(other.max);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().map(|&n| u64::from(n)).sum()
    }

    /// The time that this share of them (0 to 1) does not exceed, up to a bucket's width; zero
    /// when none was counted.
    pub fn quantile(&self, share: f64) -> Duration {
        let total = self.count();
        if total == 0 {
            return Duration::ZERO;
        }
        let mut below = 0;
        for (index, &n) in (1_u32..).zip(&self.buckets) {
            below += u64::from(n);
            if fraction(below, total) >= share {
                return (BUCKET * index).min(self.max);
            }
        }
        self.max
    }

    /// The share of them that is longer than this, 0 to 1, up to a bucket's width.
    pub fn share_above(&self, time: Duration) -> f64 {
        let index = usize::try_from(time.as_micros() / BUCKET.as_micros()).unwrap_or(usize::MAX);
        let above = self.buckets.iter().skip(index).map(|&n| u64::from(n)).sum();
        fraction(above, self.count().max(1))
    }
}

impl std::fmt::Debug for Spacing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [p50, p99] = [0.5, 0.99].map(|share| self.quantile(share));
        write!(f, "Spacing({} × p50 {p50:?}, p99 {p99:?}, max {:?})", self.count(), self.max)
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn fraction(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_name_the_end_of_their_bucket() {
        let mut spacing = Spacing::default();
        assert_eq!(spacing.quantile(0.5), Duration::ZERO);
        for n in 0..100_u64 {
            spacing.add(Duration::from_micros(if n < 98 { 20_100 } else { 70_000 + n }));
        }
        assert_eq!(spacing.count(), 100);
        assert_eq!(spacing.quantile(0.5), Duration::from_micros(20_250));
        assert_eq!(spacing.quantile(0.98), Duration::from_micros(20_250));
        assert_eq!(spacing.quantile(0.99), Duration::from_millis(64));
        assert_eq!(spacing.max, Duration::from_micros(70_099));
        assert!((spacing.share_above(Duration::from_millis(40)) - 0.02).abs() < 1e-9);
        let mut twice = spacing.clone();
        twice.merge(&spacing);
        assert_eq!((twice.count(), twice.max), (200, spacing.max));
    }
}
