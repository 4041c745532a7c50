//! How busy a shard is: its counters over the last seconds, as gauges for reports.
//!
//! Looked at with each turn, which costs a comparison but once a second. A shard that sleeps keeps
//! the figures of its last turn, with the time of that turn beside them: whoever reads them knows
//! when they are old. Contract: protocols.md section 7 (the metrics of 003).

use crate::limits::{EVENTS_OF_LATE_S, MESSAGES_OF_LATE_S};
use crate::metrics::ShardMetrics;
use crate::time::Now;

/// What a counter stood at in each of the last `N` seconds.
#[derive(Debug)]
struct Window<const N: usize>([u64; N]);

impl<const N: usize> Window<N> {
    /// The counter stands at `total` in this second, and did in those before that nobody looked in;
    /// how much it grew in the last `N`.
    fn grown(&mut self, before: u64, second: u64, last: u64, total: u64) -> u64 {
        for passed in (before + 1..=second).rev().take(N) {
            self.0[passed as usize % N] = last;
        }
        total.saturating_sub(self.0[(second + 1) as usize % N])
    }
}

/// The windows of a shard.
#[derive(Debug)]
pub(super) struct Pulse {
    second: u64,
    messages: Window<{ MESSAGES_OF_LATE_S as usize }>,
    events: Window<{ EVENTS_OF_LATE_S as usize }>,
    errors: Window<{ EVENTS_OF_LATE_S as usize }>,
    last: [u64; 3],
}

impl Pulse {
    pub(super) fn new(now: Now) -> Self {
        Self {
            second: now.mono_ms / 1000,
            messages: Window([0; MESSAGES_OF_LATE_S as usize]),
            events: Window([0; EVENTS_OF_LATE_S as usize]),
            errors: Window([0; EVENTS_OF_LATE_S as usize]),
            last: [0; 3],
        }
    }

    /// Looks at the counters, where a second has gone by.
    pub(super) fn beat(&mut self, now: Now, metrics: &ShardMetrics) {
        let (before, second) = (self.second, now.mono_ms / 1000);
        if second == before {
            return;
        }
        let totals = [
            metrics.messages_received_total.get(),
            metrics.socketio_events_total.get(),
            metrics.socketio_errors_total.get(),
        ];
        let [messages, events, errors] = self.last;
        let messages = self.messages.grown(before, second, messages, totals[0]);
        metrics.messages_of_late.set(messages);
        metrics.events_of_late.set(self.events.grown(before, second, events, totals[1]));
        metrics.errors_of_late.set(self.errors.grown(before, second, errors, totals[2]));
        metrics.of_late_ms.set(now.mono_ms);
        (self.second, self.last) = (second, totals);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;

    #[test]
    fn what_is_long_ago_does_not_count() {
        let metrics = ShardMetrics::new();
        let at = |second: u64| Now { mono_ms: second * 1000, wall: Timestamp(0) };
        let mut pulse = Pulse::new(at(0));
        let mut counted = Vec::new();
        for second in 1..=30 {
            metrics.messages_received_total.add(u64::from(second <= 20));
            pulse.beat(at(second), &metrics);
            counted.push(metrics.messages_of_late.get());
        }
        assert_eq!(counted[..12], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 10, 10]);
        assert_eq!(counted[19..], [10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0]);
        // Nobody looked for an hour.
        metrics.messages_received_total.add(7);
        pulse.beat(at(3630), &metrics);
        assert_eq!(metrics.messages_of_late.get(), 7);
        assert_eq!(metrics.of_late_ms.get(), 3_630_000);
    }
}
