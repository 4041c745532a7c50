//! Figures from counts: percentiles of latencies, quartiles of ratios, CPU by deliveries.
//!
//! Latencies of workers, windows and samples are added up as they are, never averaged.

use hdrhistogram::Histogram;

use crate::load::orders::Latencies;
use crate::load::outcome::Percentiles;
use crate::load::times::{self, LATENCY_US_MAX};

/// Points of the curve for each halving of what is beyond.
const POINTS_PER_HALF: u32 = 5;

/// Latencies of many workers and windows as one.
#[derive(Clone, Debug)]
pub(super) struct Times(Histogram<u64>);

impl Times {
    /// None yet.
    pub(super) fn new() -> Self {
        Self(times::histogram())
    }

    /// Adds what one worker told.
    pub(super) fn add(&mut self, latencies: &Latencies) {
        for (us, count) in latencies {
            self.0.saturating_record_n(*us, *count);
        }
    }

    /// As a worker would tell them.
    pub(super) fn latencies(&self) -> Latencies {
        times::latencies(&self.0)
    }

    /// Whether some were as long as can be told, or longer.
    pub(super) fn is_clipped(&self) -> bool {
        !self.0.is_empty() && self.0.max() >= LATENCY_US_MAX
    }

    /// Forgets all.
    pub(super) fn clear(&mut self) {
        // `clear` would keep the least and the most.
        self.0.reset();
    }

    /// `None` of none.
    pub(super) fn percentiles(&self) -> Option<Percentiles> {
        if self.0.is_empty() {
            return None;
        }
        let at = |quantile| self.0.value_at_quantile(quantile);
        Some(Percentiles {
            min: self.0.min(),
            mean: self.0.mean(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p99_9: at(0.999),
            p99_99: at(0.9999),
            max: self.0.max(),
        })
    }

    /// Percentile and microseconds, closer together towards 100, which is the last.
    pub(super) fn curve(&self) -> Vec<(f64, u64)> {
        let mut curve: Vec<(f64, u64)> = Vec::new();
        for step in self.0.iter_quantiles(POINTS_PER_HALF) {
            let point = (step.quantile_iterated_to() * 100.0, step.value_iterated_to());
            if curve.last().is_none_or(|last| last.0 < point.0) {
                curve.push(point);
            }
        }
        curve
    }
}

/// Lower quartile, median and upper quartile, between neighbours where none is exactly there.
/// `None` of no values.
pub(super) fn quartiles(mut values: Vec<f64>) -> Option<[f64; 3]> {
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    Some([0.25, 0.5, 0.75].map(|part| {
        let place = part * last as f64;
        let below = place as usize;
        let above = values[(below + 1).min(last)];
        values[below] + (above - values[below]) * place.fract()
    }))
}

/// A share, where there is something to share among.
pub(super) fn per(total: f64, parts: f64) -> Option<f64> {
    (parts > 0.0).then(|| total / parts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latencies_of_several_are_one() {
        let mut times = Times::new();
        assert!(times.percentiles().is_none());
        assert!(times.curve().is_empty());
        times.add(&vec![(100, 50), (200, 49)]);
        times.add(&vec![(u64::MAX, 1)]);
        let all = times.percentiles().unwrap();
        assert_eq!((all.min, all.p50, all.p90, all.p99), (100, 100, 200, 200));
        // A bucket is told by its end, a thousandth above at most.
        assert!(all.max >= LATENCY_US_MAX && all.max < LATENCY_US_MAX / 1000 * 1002, "{all:?}");
        assert!(times.is_clipped());
        let curve = times.curve();
        assert!(curve.windows(2).all(|two| two[0].0 < two[1].0 && two[0].1 <= two[1].1));
        assert_eq!(curve.last().map(|last| last.0), Some(100.0));
        assert_eq!(curve[0].1, 100);
        times.clear();
        assert!(times.percentiles().is_none());
        times.add(&vec![(150, 1)]);
        assert!(!times.is_clipped());
        let again = times.percentiles().unwrap();
        assert_eq!((again.min, again.max), (150, 150));
    }

    #[test]
    fn quartiles_lie_between_neighbours() {
        assert_eq!(quartiles(vec![5.0, 1.0, 3.0, 2.0, 4.0]), Some([2.0, 3.0, 4.0]));
        assert_eq!(quartiles(vec![2.0, 1.0]), Some([1.25, 1.5, 1.75]));
        assert_eq!(quartiles(vec![7.0]), Some([7.0; 3]));
        assert_eq!(quartiles(Vec::new()), None);
    }

    #[test]
    fn nothing_is_not_shared() {
        assert_eq!(per(6.0, 3.0), Some(2.0));
        assert_eq!(per(6.0, 0.0), None);
    }
}
