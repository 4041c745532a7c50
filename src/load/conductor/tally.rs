//! What came of a run, gathered while it goes, and made the outcome at its end.
//!
//! Only windows that count are in the figures; loss, doubles and order are of the whole run. What
//! was not measured, or not in every window, is absent.

use std::time::Duration;

use super::figures::{Times, per, quartiles};
use super::remarks::{self, Facts};
use super::windows::Span;
use crate::load::machine;
use crate::load::orders::{Account, Connected, WindowDone};
use crate::load::outcome::{Connecting, Deliveries, Floor, Load, Outcome, Sample, Server};
use crate::load::probe::Reading;
use crate::load::report::faults;
use crate::load::scenario::Scenario;
use crate::time::Timestamp;

/// The form of the outcome's file.
const FORMAT: u32 = 1;
/// Reasons of failed connections that are told.
const REASONS_MAX: usize = 8;

/// Counts, times and looks of a run.
#[derive(Debug)]
pub(super) struct Tally {
    scenario: Scenario,
    command: String,
    started: Timestamp,
    workers: usize,
    connecting: Connecting,
    /// Connections, publishers counted in, that are there.
    present: u32,
    load_bytes: u64,
    server: ServerLooks,
    measured: Measured,
    pairs: Vec<(f64, f64)>,
    floor: FloorSum,
    streams: Vec<u32>,
    account: Account,
}

/// The server at the turns of the run.
#[derive(Debug, Default)]
struct ServerLooks {
    alone: Option<Reading>,
    full: Option<Reading>,
    empty: Option<Reading>,
    last: Option<Reading>,
    rss_most: u64,
    connect_us: Option<f64>,
}

/// The windows that count.
#[derive(Debug)]
struct Measured {
    latency: Times,
    late: Times,
    returned: Times,
    published: u64,
    delivered: u64,
    delivered_bytes: u64,
    overdue: u64,
    unsent: u64,
    took: Duration,
    /// `None` when it is not known of some window.
    server_us: Option<f64>,
    workers_us: Vec<f64>,
}

#[derive(Debug, Default)]
struct FloorSum {
    cpu_us: f64,
    delivered: u64,
    sends: u64,
    /// Connections that failed, or were given up.
    failed: u64,
    /// Times that a subscriber was waited for.
    waits: u64,
    /// Pairs of windows in one of which nothing was measured.
    dropped: u32,
}

impl Tally {
    pub(super) fn new(
        (scenario, command): (Scenario, String),
        started: Timestamp,
        workers: usize,
        alone: Option<Reading>,
    ) -> Self {
        let server = ServerLooks { alone, ..ServerLooks::default() };
        let measured = Measured {
            latency: Times::new(),
            late: Times::new(),
            returned: Times::new(),
            published: 0,
            delivered: 0,
            delivered_bytes: 0,
            overdue: 0,
            unsent: 0,
            took: Duration::ZERO,
            server_us: Some(0.0),
            workers_us: vec![0.0; workers],
        };
        Self {
            scenario,
            command,
            started,
            workers,
            connecting: Connecting::default(),
            present: 0,
            load_bytes: 0,
            server,
            measured,
            pairs: Vec::new(),
            floor: FloorSum::default(),
            streams: Vec::new(),
            account: Account::default(),
        }
    }

    /// All have connected or given up; with the server's CPU time before and after.
    pub(super) fn connected(
        &mut self,
        all: &[Connected],
        before: Option<Reading>,
        after: Option<Reading>,
    ) {
        let mut latency = Times::new();
        let mut took_us = 0;
        // Publishers of the crowd are among its subscribed already.
        let members = self.scenario.talk.as_ref().is_some_and(|talk| talk.members);
        let connecting = &mut self.connecting;
        for one in all {
            latency.add(&one.latency);
            took_us = took_us.max(one.took_us);
            connecting.subscribed += one.subscribed;
            connecting.failed += one.failed;
            self.present += one.subscribed + if members { 0 } else { one.publishers };
            self.load_bytes += one.resident_bytes.1.saturating_sub(one.resident_bytes.0);
            for reason in &one.reasons {
                if connecting.reasons.len() < REASONS_MAX && !connecting.reasons.contains(reason) {
                    connecting.reasons.push(reason.clone());
                }
            }
        }
        connecting.latency_us = latency.percentiles().unwrap_or_default();
        let seconds = took_us as f64 / 1e6;
        connecting.per_second = per(f64::from(connecting.subscribed), seconds).unwrap_or(0.0);
        self.server.connect_us = used_us(before, after);
    }

    /// Whether nobody listens: what is published then is no load, but a flood.
    pub(super) fn is_deserted(&self) -> bool {
        self.connecting.subscribed == 0 && self.connecting.failed > 0
    }

    /// Why some did not connect.
    pub(super) fn reasons(&self) -> &[String] {
        &self.connecting.reasons
    }

    /// The second crowd has connected.
    pub(super) fn floor_connected(&mut self, all: &[Connected]) {
        self.floor.failed = all.iter().map(|one| u64::from(one.failed)).sum();
    }

    /// A look at the server, at any time.
    pub(super) fn seen(&mut self, reading: Option<Reading>) {
        if let Some(reading) = reading {
            self.server.rss_most = self.server.rss_most.max(reading.rss_bytes.unwrap_or(0));
            self.server.last = Some(reading);
        }
    }

    /// A close look with all connections there.
    pub(super) fn full(&mut self, reading: Option<Reading>) {
        self.server.full = reading;
    }

    /// A close look when all have left.
    pub(super) fn empty(&mut self, reading: Option<Reading>) {
        self.seen(reading);
        self.server.empty = reading.or(self.server.last);
    }

    /// Takes how many messages of each stream the workers have published up to now.
    pub(super) fn streams(&mut self, done: &[WindowDone]) {
        let streams = done.iter().map(|done| done.published_by_stream.len()).max().unwrap_or(0);
        self.streams.clear();
        self.streams.resize(streams, 0);
        for done in done {
            for (sum, published) in self.streams.iter_mut().zip(&done.published_by_stream) {
                *sum += published;
            }
        }
    }

    /// Messages of each stream that were published in the run.
    pub(super) fn published_by_stream(&self) -> Vec<u32> {
        self.streams.clone()
    }

    /// A window of the server that counts.
    pub(super) fn measured(&mut self, span: &Span) {
        let measured = &mut self.measured;
        for done in &span.done {
            measured.latency.add(&done.latency);
            measured.late.add(&done.late);
            measured.returned.add(&done.returned);
            measured.overdue += done.overdue;
            measured.unsent += done.unsent;
        }
        measured.published += span.published();
        measured.delivered += span.delivered();
        measured.delivered_bytes += span.delivered_bytes();
        measured.took += span.took;
        measured.server_us = measured.server_us.zip(span.server_us).map(|(sum, us)| sum + us);
        for (sum, us) in measured.workers_us.iter_mut().zip(&span.workers_us) {
            *sum += us;
        }
    }

    /// A window of the server and one of the floor beside it.
    pub(super) fn pair(&mut self, target: &Span, floor: &Span) {
        self.floor.cpu_us += floor.server_us.unwrap_or(0.0);
        self.floor.delivered += floor.delivered();
        self.floor.sends += floor.sends;
        self.floor.failed += floor.floor_lost;
        // A clock of ticks may tell no time for a window of the server: then others have a tick
        // more, and to leave it out would raise the ratio. To no time of the floor there is none.
        match target.delivery_us().zip(floor.delivery_us()) {
            Some(pair) if pair.1 > 0.0 => self.pairs.push(pair),
            _ => self.floor.dropped += 1,
        }
    }

    /// How often the floor had to wait for a subscriber in the measured windows.
    pub(super) fn floor_waited(&mut self, waits: u64) {
        self.floor.waits = waits;
    }

    /// Loss, doubles and order, as each worker counted them.
    pub(super) fn settled(&mut self, accounts: &[Account]) {
        self.account = sum(accounts);
    }

    /// The outcome. `coarse`: whether the server's CPU time was told in the kernel's ticks.
    pub(super) fn outcome(self, samples: Vec<Sample>, coarse: bool) -> Outcome {
        let measured = &self.measured;
        let seconds = measured.took.as_secs_f64();
        let took_us = seconds * 1e6;
        let delivered = measured.delivered as f64;
        let load = Load {
            workers: self.workers as u32,
            busiest: per(measured.workers_us.iter().copied().fold(0.0, f64::max), took_us)
                .unwrap_or(0.0),
            cpu_us: measured.workers_us.iter().sum(),
            rss_bytes_per_connection: per(self.load_bytes as f64, f64::from(self.present))
                .unwrap_or(0.0),
            late_us: measured.late.percentiles(),
        };
        let mut outcome = Outcome {
            format: FORMAT,
            started: self.started.to_string(),
            command: self.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: machine::this(),
            scenario: self.scenario.clone(),
            deliveries: Deliveries {
                published: measured.published,
                unsent: measured.unsent,
                account: self.account.clone(),
                measured: measured.delivered,
                per_second: per(delivered, seconds).unwrap_or(0.0),
                frame_bytes: per(measured.delivered_bytes as f64, delivered).unwrap_or(0.0),
            },
            latency_us: measured.latency.percentiles(),
            connecting: Connecting {
                returning_us: measured.returned.percentiles(),
                ..self.connecting.clone()
            },
            server: self.server(),
            floor: self.floor(),
            load,
            faults: Vec::new(),
            samples,
            latency_curve: measured.latency.curve(),
            remarks: Vec::new(),
        };
        outcome.faults = faults::of(&outcome);
        let facts = Facts {
            overdue: measured.overdue,
            floor_failed: self.floor.failed,
            floor_waits: self.floor.waits,
            pairs: self.pairs.len() as u32 + self.floor.dropped,
            pairs_dropped: self.floor.dropped,
            coarse,
        };
        outcome.remarks = remarks::of(&outcome, &facts);
        outcome
    }

    fn server(&self) -> Option<Server> {
        let looks = &self.server;
        let alone = looks.alone?;
        let present = f64::from(self.present);
        // What was freed meanwhile belongs to no connection.
        let growth = |before: Option<u64>, with_all: Option<u64>| {
            per(with_all?.saturating_sub(before?) as f64, present)
        };
        let full = looks.full.unwrap_or_default();
        let empty = looks.empty.unwrap_or_default();
        let rss = || Some([alone.rss_bytes?, full.rss_bytes?, looks.rss_most, empty.rss_bytes?]);
        let cpu_us = self.measured.server_us.filter(|_| alone.cpu_us.is_some());
        let delivered = self.measured.delivered as f64;
        Some(Server {
            cpu_us,
            cpu_us_per_delivery: cpu_us.and_then(|cpu| per(cpu, delivered)),
            deliveries_per_cpu_second: cpu_us
                .and_then(|cpu| per(delivered * 1e6, cpu))
                .filter(|many| *many > 0.0),
            cpu_us_per_connection: looks.connect_us.and_then(|cpu| per(cpu, present)),
            rss_bytes_per_connection: growth(alone.rss_bytes, full.rss_bytes),
            heap_bytes_per_connection: growth(alone.heap_bytes, full.heap_bytes),
            rss_bytes: rss(),
            processes: alone.processes.max(full.processes),
        })
    }

    /// `None` where no pair of windows makes a ratio.
    fn floor(&self) -> Option<Floor> {
        let floor = &self.floor;
        let ratios = self.pairs.iter().map(|(server, floor)| server / floor).collect();
        Some(Floor {
            cpu_us_per_send: per(floor.cpu_us, floor.sends as f64)?,
            cpu_us_per_delivery: per(floor.cpu_us, floor.delivered as f64)?,
            ratio: quartiles(ratios)?,
            pairs: self.pairs.clone(),
        })
    }
}

/// CPU time between two looks.
pub(super) fn used_us(before: Option<Reading>, after: Option<Reading>) -> Option<f64> {
    Some((after?.cpu_us? - before?.cpu_us?).max(0.0))
}

/// Accounts of several workers as one.
fn sum(accounts: &[Account]) -> Account {
    let mut sum = Account::default();
    for one in accounts {
        sum.expected += one.expected;
        sum.received += one.received;
        sum.lost += one.lost;
        sum.duplicated += one.duplicated;
        sum.out_of_order += one.out_of_order;
        sum.astray += one.astray;
        sum.withheld += one.withheld;
        sum.refused += one.refused;
        sum.replaced += one.replaced;
        sum.away += one.away;
        sum.unjudged += one.unjudged;
        merge(&mut sum.closes, &one.closes);
        merge(&mut sum.troubles, &one.troubles);
    }
    sum.closes.sort_unstable();
    sum.troubles.sort_unstable();
    sum
}

/// Adds counts to those of the same kind.
fn merge<K: Clone + PartialEq>(sum: &mut Vec<(K, u64)>, more: &[(K, u64)]) {
    for (kind, count) in more {
        match sum.iter_mut().find(|(known, _)| known == kind) {
            Some((_, sum)) => *sum += count,
            None => sum.push((kind.clone(), *count)),
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "chosen so that nothing is rounded")]
mod tests;
