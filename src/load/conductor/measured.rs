//! What was measured: the windows that count, added up, and the server at the turns of the run, as
//! the probe saw it.

use std::time::Duration;

use super::figures::{Times, per};
use super::windows::Span;
use crate::load::outcome::Load;
use crate::load::probe::Reading;

/// What all of them came to.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) latency: Times,
    pub(super) late: Times,
    pub(super) returned: Times,
    pub(super) published: u64,
    pub(super) delivered: u64,
    pub(super) delivered_bytes: u64,
    pub(super) owed: u64,
    pub(super) unsent: u64,
    pub(super) unread: u64,
    pub(super) took: Duration,
    /// `None` when it is not known of some window.
    pub(super) server_us: Option<f64>,
    /// The same of what it was ready to run and had no processor.
    server_waited_us: Option<f64>,
    workers_us: Vec<f64>,
    workers_waited_us: Option<Vec<f64>>,
    /// Whether the last window was cut short: of it neither bytes nor what was late is known.
    pub(super) is_cut: bool,
}

impl Measured {
    /// None yet, of so many workers.
    pub(super) fn new(workers: usize) -> Self {
        Self {
            latency: Times::new(),
            late: Times::new(),
            returned: Times::new(),
            published: 0,
            delivered: 0,
            delivered_bytes: 0,
            owed: 0,
            unsent: 0,
            unread: 0,
            took: Duration::ZERO,
            server_us: Some(0.0),
            server_waited_us: Some(0.0),
            workers_us: vec![0.0; workers],
            workers_waited_us: Some(vec![0.0; workers]),
            is_cut: false,
        }
    }

    /// One more.
    pub(super) fn add(&mut self, span: &Span) {
        for done in &span.done {
            self.latency.add(&done.latency);
            self.late.add(&done.late);
            self.returned.add(&done.returned);
            self.owed += done.owed;
            self.unsent += done.unsent;
            self.unread += done.unread;
        }
        self.published += span.published();
        self.delivered += span.delivered();
        self.delivered_bytes += span.delivered_bytes();
        self.took += span.took;
        self.server_us = sum(self.server_us, span.server_us);
        self.server_waited_us = sum(self.server_waited_us, span.server_waited_us);
        add(&mut self.workers_us, &span.workers_us);
        match (&mut self.workers_waited_us, &span.workers_waited_us) {
            (Some(all), Some(more)) => add(all, more),
            (all, _) => *all = None,
        }
    }

    /// Share of their time that the server was ready to run and had no processor.
    pub(super) fn server_starved(&self) -> Option<f64> {
        per(self.server_waited_us?, self.took_us())
    }

    /// The load's part: what its processes used, and lacked. Memory is left to be filled in.
    pub(super) fn load(&self) -> Load {
        let most = |all: &Vec<f64>| all.iter().copied().fold(0.0, f64::max);
        let of_time = |us| per(us, self.took_us());
        Load {
            workers: self.workers_us.len() as u32,
            busiest: of_time(most(&self.workers_us)),
            cpu_us: (!self.took.is_zero()).then(|| self.workers_us.iter().sum()),
            starved: self.workers_waited_us.as_ref().map(most).and_then(of_time),
            rss_bytes_per_connection: None,
            late_us: self.late.percentiles(),
        }
    }

    fn took_us(&self) -> f64 {
        self.took.as_secs_f64() * 1e6
    }
}

/// The server at the turns of the run.
#[derive(Debug, Default)]
pub(super) struct ServerLooks {
    pub(super) alone: Option<Reading>,
    pub(super) full: Option<Reading>,
    /// With all connections there, when the load is over.
    pub(super) laden: Option<Reading>,
    pub(super) empty: Option<Reading>,
    pub(super) last: Option<Reading>,
    pub(super) rss_most: u64,
    pub(super) connect_us: Option<f64>,
    /// Whether it told what cannot be.
    pub(super) is_absurd: bool,
}

impl ServerLooks {
    /// Deliveries of a send, on average under load, as the server counts them.
    pub(super) fn coalescing(&self) -> Option<f64> {
        let (before, after) = (self.full?.sends?, self.laden?.sends?);
        per(after.0 - before.0, after.1 - before.1).filter(|many| *many >= 1.0)
    }
}

fn sum(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    Some(one? + other?)
}

fn add(sums: &mut [f64], more: &[f64]) {
    for (sum, one) in sums.iter_mut().zip(more) {
        *sum += one;
    }
}
