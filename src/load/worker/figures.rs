//! What one crowd's load comes to: counts and latencies of a sample, a window, the connecting.
//!
//! A delivery is recorded once, in the sample; samples are added to their window when they end.
//! A latency beyond the longest that is told apart counts as that ([`times::LATENCY_US_MAX`]).

use hdrhistogram::Histogram;

use crate::load::orders::{Latencies, Window, WindowDone};
use crate::load::times;

/// The figures of a crowd.
#[derive(Debug)]
pub(super) struct Figures {
    /// Messages meant to go in this time are the window's.
    from_us: u64,
    until_us: u64,
    /// Of the sample.
    pub(super) published: u64,
    pub(super) delivered: u64,
    /// Of the sample, what is the window's.
    pub(super) window_delivered: u64,
    latency: Histogram<u32>,
    /// Of the window; latencies without the sample that is open.
    window: Sums,
    window_latency: Histogram<u32>,
    late: Histogram<u32>,
    returned: Histogram<u32>,
    /// Of the connecting.
    connected: Histogram<u32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    published: u64,
    delivered: u64,
    delivered_bytes: u64,
    unsent: u64,
    unread: u64,
    refused: u64,
    last_us: u64,
}

impl Figures {
    pub(super) fn new() -> Self {
        Self {
            from_us: u64::MAX,
            until_us: 0,
            published: 0,
            delivered: 0,
            window_delivered: 0,
            latency: times::histogram(),
            window: Sums::default(),
            window_latency: times::histogram(),
            late: times::histogram(),
            returned: times::histogram(),
            connected: times::histogram(),
        }
    }

    /// A window begins.
    pub(super) fn begin(&mut self, window: &Window) {
        self.end_sample();
        (self.from_us, self.until_us) = (window.from_us, window.until_us);
        self.window = Sums::default();
        for record in [&mut self.window_latency, &mut self.late, &mut self.returned] {
            record.reset();
        }
    }

    /// Messages are published.
    pub(super) fn publish(&mut self) {
        self.published += 1;
        self.window.published += 1;
    }

    /// A message that was to be published never left.
    pub(super) fn unsay(&mut self) {
        self.published = self.published.saturating_sub(1);
        self.window.published = self.window.published.saturating_sub(1);
        self.window.unsent += 1;
    }

    /// So much later than meant.
    pub(super) fn late(&mut self, us: u64) {
        self.late.saturating_record(us);
    }

    /// Messages that were meant to go could not be sent.
    pub(super) fn unsent(&mut self, messages: u64) {
        self.window.unsent += messages;
    }

    /// Messages came due and found no room: the server did not read them.
    pub(super) fn unread(&mut self, messages: u64) {
        self.window.unread += messages;
    }

    /// The server refused a message.
    pub(super) fn refused(&mut self) {
        self.window.refused += 1;
    }

    /// Messages that were sent, or meant to be, at `at_us` have come, in frames of so many bytes
    /// each. Latencies of who reads slowly are its own doing; what came before it was sent has none.
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
        self.window_delivered += u64::from(count);
        self.window.delivered += u64::from(count);
        self.window.delivered_bytes += u64::from(count) * frame_bytes as u64;
        self.window.last_us = now_us;
        if let Some(us) = now_us.checked_sub(at_us).filter(|_| !is_slow) {
            self.latency.saturating_record_n(us, count);
        }
    }

    /// A connection is subscribed, so long after it was begun.
    pub(super) fn connect(&mut self, us: u64) {
        self.connected.saturating_record(us);
    }

    /// A connection is back, so long after it was lost or replaced.
    pub(super) fn come_back(&mut self, us: u64) {
        self.returned.saturating_record(us);
    }

    /// The latencies of the sample, which ends; its counts are the caller's to take.
    pub(super) fn end_sample(&mut self) -> Latencies {
        (self.published, self.delivered, self.window_delivered) = (0, 0, 0);
        let latencies = times::latencies(&self.latency);
        if !latencies.is_empty() {
            add(&mut self.window_latency, &self.latency);
            self.latency.reset();
        }
        latencies
    }

    /// The window, so far. `overdue`: messages of this worker's publishers that did not reach all
    /// of this worker's subscribers in time; what other workers' lack is in their accounts alone.
    /// What is owed, spun away and published by stream is left to be filled in.
    pub(super) fn window(&self, overdue: u64) -> WindowDone {
        let mut latency = self.window_latency.clone();
        add(&mut latency, &self.latency);
        WindowDone {
            published: self.window.published,
            delivered: self.window.delivered,
            delivered_bytes: self.window.delivered_bytes,
            latency: times::latencies(&latency),
            returned: times::latencies(&self.returned),
            last_us: self.window.last_us,
            overdue,
            late: times::latencies(&self.late),
            owed: 0,
            unsent: self.window.unsent,
            unread: self.window.unread,
            refused: self.window.refused,
            spun_us: 0,
            published_by_stream: Vec::new(),
        }
    }

    /// What connecting took, each connection.
    pub(super) fn connected(&self) -> Latencies {
        times::latencies(&self.connected)
    }
}

fn add(sum: &mut Histogram<u32>, more: &Histogram<u32>) {
    sum.add(more).expect("of the same bounds");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::orders::Side;

    #[test]
    fn a_window_has_what_was_meant_for_it() {
        let mut figures = Figures::new();
        figures.deliver(5, 9, 1, 10, false);
        let window =
            Window { side: Side::Target, from_us: 100, until_us: 200, counted: true, per_s: None };
        figures.begin(&window);
        figures.publish();
        figures.deliver(99, 150, 1, 10, false);
        figures.deliver(100, 160, 1, 10, false);
        assert_eq!((figures.published, figures.delivered), (1, 2));
        assert_eq!(figures.window_delivered, 1);
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
        assert!(done.latency[1].0.abs_diff(90_000_000) < 90_000_000 / 500);
        assert_eq!((figures.delivered, figures.window_delivered), (4, 3));
    }
}
