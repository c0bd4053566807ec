//! How long things took, as a sketch that merges by adding.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A histogram of durations in logarithmic buckets: 32 to each doubling, so that a quantile is exact to
/// about three per cent. Integers only, so that the same durations in any order give the same bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Histogram {
    buckets: BTreeMap<u16, u64>,
}

const SUB_BITS: u32 = 5;

/// Durations are counted in whole seconds; up to 63 each second has a bucket of its own.
fn bucket(seconds: u64) -> u16 {
    let exponent = seconds.max(1).ilog2().saturating_sub(SUB_BITS);
    let mantissa = seconds >> exponent;
    u16::try_from((u64::from(exponent) << SUB_BITS) + mantissa).unwrap_or(u16::MAX)
}

/// The largest duration that falls into the bucket, in seconds.
fn upper_bound(bucket: u16) -> u64 {
    let bucket = u64::from(bucket);
    let exponent = (bucket >> SUB_BITS).saturating_sub(1);
    let mantissa = bucket - (exponent << SUB_BITS);
    ((mantissa + 1) << exponent) - 1
}

impl Histogram {
    /// Counts a duration in milliseconds; a negative one counts as zero.
    pub fn record(&mut self, millis: i64) {
        let seconds = u64::try_from(millis / 1000).unwrap_or(0);
        *self.buckets.entry(bucket(seconds)).or_default() += 1;
    }

    /// Adds what another histogram counted.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
    }

    /// How many durations were counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// The duration in seconds that the given share of durations, 0 to 100 per cent, does not exceed;
    /// none when nothing was counted.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Option<u64> {
        let count = self.count();
        let rank = (count * u64::from(percent.min(100))).div_ceil(100).max(1);
        let mut seen = 0;
        self.buckets
            .iter()
            .find(|(_, here)| {
                seen += **here;
                seen >= rank
            })
            .map(|(bucket, _)| upper_bound(*bucket))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_bucket_holds_its_durations_to_three_per_cent(seconds in 0_u64..40_000_000_000) {
            let bound = upper_bound(bucket(seconds));
            prop_assert!(bound >= seconds);
            prop_assert!(bound - seconds <= seconds / 31);
        }

        #[test]
        fn merging_equals_counting_together(
            a in prop::collection::vec(0_i64..100_000_000_000, 0..50),
            b in prop::collection::vec(0_i64..100_000_000_000, 0..50),
        ) {
            let counted = |values: &[i64]| {
                let mut histogram = Histogram::default();
                values.iter().for_each(|value| histogram.record(*value));
                histogram
            };
            let mut merged = counted(&a);
            merged.merge(&counted(&b));
            let mut all = b.clone();
            all.extend(&a);
            prop_assert_eq!(merged, counted(&all));
        }
    }

    #[test]
    fn percentiles_follow_the_ranks() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.percentile(50), None);
        (1..=60).for_each(|second| histogram.record(second * 1000));
        assert_eq!(histogram.percentile(50), Some(30));
        assert_eq!(histogram.percentile(90), Some(54));
        assert_eq!(histogram.percentile(100), Some(60));
    }
}
