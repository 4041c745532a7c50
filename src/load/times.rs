//! Times as counts: the bounds of the histograms that hold them, and what is told of one.
//!
//! One place for the workers, which record, and the conductor, which adds up what they tell: their
//! bounds are the same, so nothing is cut or rounded twice. Sans-io.

use hdrhistogram::{Counter, Histogram};

/// Latencies as counts: microseconds, and how often. What `hdrhistogram` gives and takes.
pub type Latencies = Vec<(u64, u64)>;

/// The longest time told apart, in microseconds: an hour. A longer one counts as this.
pub const LATENCY_US_MAX: u64 = 3_600_000_000;
/// Decimal digits that a time is told to.
const DIGITS: u8 = 3;

/// An empty histogram of microseconds. Record by `saturating_record`: what is beyond
/// [`LATENCY_US_MAX`] is then counted as that.
#[expect(clippy::missing_panics_doc, reason = "the bounds are constants, in order")]
pub fn histogram<C: Counter>() -> Histogram<C> {
    Histogram::new_with_bounds(1, LATENCY_US_MAX, DIGITS).expect("the bounds are in order")
}

/// What is in a histogram: the end of each bucket that is not empty, and how often.
pub fn latencies<C: Counter>(histogram: &Histogram<C>) -> Latencies {
    let recorded = histogram.iter_recorded();
    recorded.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_recorded_alike() {
        let mut worker = histogram::<u32>();
        for us in [0, 1, 999, 123_456, 123_456, u64::MAX] {
            worker.saturating_record(us);
        }
        let told = latencies(&worker);
        assert_eq!(told.iter().map(|(_, count)| count).sum::<u64>(), 6);
        let longest = told.last().unwrap().0;
        assert!(longest.abs_diff(LATENCY_US_MAX) < LATENCY_US_MAX / 500, "{longest}");
        let mut conductor = histogram::<u64>();
        for (us, count) in &told {
            conductor.saturating_record_n(*us, *count);
        }
        assert_eq!(latencies(&conductor), told);
    }
}
