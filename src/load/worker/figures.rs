//! What one crowd's load comes to: counts and latencies of a sample, a window, the connecting.
//!
//! A delivery is recorded once, in the sample; samples are added to their window when they end.
//! Latencies have three digits and end at a minute: a longer one counts as that.

use hdrhistogram::Histogram;

use crate::load::orders::{Latencies, Window, WindowDone};

/// The longest latency told apart, in microseconds.
const LATENCY_MAX_US: u64 = 60_000_000;
const DIGITS: u8 = 3;

/// The figures of a crowd.
#[derive(Debug)]
pub(super) struct Figures {
    /// Messages meant to go in this time are the window's.
    from_us: u64,
    until_us: u64,
    /// Of the sample.
    pub(super) published: u64,
    pub(super) delivered: u64,
    latency: Record,
    /// Of the window, without the sample that is open.
    window: Sums,
    window_latency: Record,
    late: Record,
    returned: Record,
    /// Of the connecting.
    connected: Record,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    published: u64,
    delivered: u64,
    delivered_bytes: u64,
    unsent: u64,
    last_us: u64,
}

/// A histogram of times.
#[derive(Debug)]
struct Record(Histogram<u32>);

impl Figures {
    pub(super) fn new() -> Self {
        Self {
            from_us: u64::MAX,
            until_us: 0,
            published: 0,
            delivered: 0,
            latency: Record::new(),
            window: Sums::default(),
            window_latency: Record::new(),
            late: Record::new(),
            returned: Record::new(),
            connected: Record::new(),
        }
    }

    /// A window begins.
    pub(super) fn begin(&mut self, window: &Window) {
        self.end_sample();
        (self.from_us, self.until_us) = (window.from_us, window.until_us);
        self.window = Sums::default();
        for record in [&mut self.window_latency, &mut self.late, &mut self.returned] {
            record.0.reset();
        }
    }

    /// Messages are published.
    pub(super) fn publish(&mut self) {
        self.published += 1;
        self.window.published += 1;
    }

    /// So much later than meant.
    pub(super) fn late(&mut self, us: u64) {
        self.late.add(us);
    }

    /// Messages that were meant to go could not be sent.
    pub(super) fn unsent(&mut self, messages: u64) {
        self.window.unsent += messages;
    }

    /// Messages that were sent, or meant to be, at `at_us` have come, in frames of so many bytes
    /// each. Latencies of who reads slowly are its own doing.
    pub(super) fn deliver(
        &mut self,
        at_us: u64,
        now_us: u64,
        count: u32,
        frame_bytes: usize,
        is_slow: bool,
    ) {
        self.delivered += u64::from(count);
        if at_us < self.from_us || at_us >= self.until_us {
            return;
        }
        self.window.delivered += u64::from(count);
        self.window.delivered_bytes += u64::from(count) * frame_bytes as u64;
        self.window.last_us = now_us;
        if !is_slow {
            self.latency.0.saturating_record_n(now_us.saturating_sub(at_us), count);
        }
    }

    /// A connection is subscribed, so long after it was begun.
    pub(super) fn connect(&mut self, us: u64) {
        self.connected.add(us);
    }

    /// A connection is back, so long after it was lost or replaced.
    pub(super) fn come_back(&mut self, us: u64) {
        self.returned.add(us);
    }

    /// The latencies of the sample, which ends; its counts are the caller's to take.
    pub(super) fn end_sample(&mut self) -> Latencies {
        (self.published, self.delivered) = (0, 0);
        let latencies = self.latency.latencies();
        if !latencies.is_empty() {
            self.window_latency.add_all(&self.latency);
            self.latency.0.reset();
        }
        latencies
    }

    /// The window, so far. `overdue`: messages that did not reach everyone in time.
    pub(super) fn window(&self, overdue: u64) -> WindowDone {
        let mut latency = Record(self.window_latency.0.clone());
        latency.add_all(&self.latency);
        WindowDone {
            published: self.window.published,
            delivered: self.window.delivered,
            delivered_bytes: self.window.delivered_bytes,
            latency: latency.latencies(),
            returned: self.returned.latencies(),
            last_us: self.window.last_us,
            overdue,
            late: self.late.latencies(),
            unsent: self.window.unsent,
            spun_us: 0,
            published_by_stream: Vec::new(),
        }
    }

    /// What connecting took, each connection.
    pub(super) fn connected(&self) -> Latencies {
        self.connected.latencies()
    }
}

impl Record {
    fn new() -> Self {
        let histogram = Histogram::new_with_bounds(1, LATENCY_MAX_US, DIGITS);
        Self(histogram.expect("bounds that are one"))
    }

    fn add(&mut self, us: u64) {
        self.0.saturating_record(us);
    }

    fn add_all(&mut self, other: &Self) {
        self.0.add(&other.0).expect("of the same bounds");
    }

    fn latencies(&self) -> Latencies {
        let recorded = self.0.iter_recorded();
        recorded.map(|step| (step.value_iterated_to(), step.count_since_last_iteration())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::orders::Side;

    #[test]
    fn a_window_has_what_was_meant_for_it() {
        let mut figures = Figures::new();
        figures.deliver(5, 9, 1, 10, false);
        let window = Window { side: Side::Target, from_us: 100, until_us: 200, counted: true };
        figures.begin(&window);
        figures.publish();
        figures.deliver(99, 150, 1, 10, false);
        figures.deliver(100, 160, 1, 10, false);
        assert_eq!((figures.published, figures.delivered), (1, 2));
        assert_eq!(figures.end_sample(), [(60, 1)]);
        figures.deliver(199, 259, 1, 10, false);
        figures.deliver(150, 100_000_150, 1, 10, true);
        figures.deliver(150, 90_000_150, 1, 10, false);
        figures.deliver(200, 300, 1, 10, false);
        let done = figures.window(2);
        assert_eq!((done.published, done.delivered, done.delivered_bytes), (1, 4, 40));
        assert_eq!((done.overdue, done.last_us), (2, 90_000_150));
        assert_eq!(done.latency.iter().map(|(_, count)| count).sum::<u64>(), 3);
        assert_eq!(done.latency[0], (60, 2));
        assert!(done.latency[1].0.abs_diff(LATENCY_MAX_US) < LATENCY_MAX_US / 500);
        assert_eq!(figures.delivered, 4);
    }
}
