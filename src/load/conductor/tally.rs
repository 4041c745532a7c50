//! What came of a run, gathered while it goes, and made the outcome at its end.
//!
//! Only windows that count are in the figures; loss, doubles and order are of the whole run. What
//! was not measured, or not in every window, is absent.

use super::accounts;
use super::figures::{Times, per, quartiles};
use super::measured::{Measured, ServerLooks};
use super::remarks::{self, Facts};
use super::windows::{Span, used_us};
use crate::load::orders::{Account, Connected, WindowDone};
use crate::load::outcome::{
    Connecting, Deliveries, Floor, Load, Outcome, Sample, Search, Server, Step,
};
use crate::load::probe::Reading;
use crate::load::scenario::Scenario;
use crate::load::{judge, machine};
use crate::time::Timestamp;

/// The form of the outcome's file.
const FORMAT: u32 = 1;
/// Reasons of failed connections that are told.
const REASONS_MAX: usize = 8;
/// Bytes of resident memory a connection below which a server is thought to have had them before.
const GROWTH_BYTES_MIN: f64 = 32.0;

/// Counts, times and looks of a run.
#[derive(Debug)]
pub(super) struct Tally {
    scenario: Scenario,
    command: String,
    started: Timestamp,
    connecting: Connecting,
    /// Connections, publishers counted in, that are there.
    present: u32,
    load_bytes: u64,
    server: ServerLooks,
    measured: Measured,
    /// What a search has tried, and the window whose figures are the run's: of the highest rate
    /// that was held, or of the lowest tried while none was.
    search: Option<Search>,
    best: Option<(Step, Span)>,
    interrupted: bool,
    /// A process that was to be measured and does not listen at the target's port.
    elsewhere: Option<(u32, u16)>,
    pairs: Vec<(f64, f64)>,
    floor: FloorSum,
    streams: Vec<u32>,
    /// `None` until it is counted.
    account: Option<Account>,
    /// Share of the windows of a search that the load and the server had no processor, at the worst.
    starved: (Option<f64>, Option<f64>),
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
        Self {
            scenario,
            command,
            started,
            connecting: Connecting::default(),
            present: 0,
            load_bytes: 0,
            server,
            measured: Measured::new(workers),
            search: None,
            best: None,
            interrupted: false,
            elsewhere: None,
            pairs: Vec::new(),
            floor: FloorSum::default(),
            streams: Vec::new(),
            account: None,
            starved: (None, None),
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
        connecting.latency_us = latency.percentiles();
        let seconds = took_us as f64 / 1e6;
        connecting.per_second = per(f64::from(connecting.subscribed), seconds);
        self.server.connect_us = before.zip(after).and_then(|(one, two)| used_us(one, two));
    }

    /// Whether everybody is there who was to be.
    pub(super) fn is_whole(&self) -> bool {
        self.connecting.failed == 0
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
            self.server.is_absurd |= reading.is_absurd;
            self.server.rss_most = self.server.rss_most.max(reading.rss_bytes.unwrap_or(0));
            self.server.last = Some(reading);
        }
    }

    /// A close look with all connections there.
    pub(super) fn full(&mut self, reading: Option<Reading>) {
        self.server.full = reading;
    }

    /// A close look with all connections there, the load over.
    pub(super) fn laden(&mut self, reading: Option<Reading>) {
        self.server.laden = reading;
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
        self.measured.add(span);
    }

    /// A search begins, or has tried one more rate.
    pub(super) fn searched(&mut self, step: Option<(Step, Span)>) {
        let search = self.search.get_or_insert_default();
        let Some((step, span)) = step else { return };
        if step.held {
            search.held_per_s = worse(search.held_per_s, Some(step.per_s));
        } else {
            let lowest = if step.inconclusive {
                &mut search.inconclusive_per_s
            } else {
                &mut search.failed_per_s
            };
            *lowest = Some(lowest.map_or(step.per_s, |lowest| lowest.min(step.per_s)));
        }
        let mut alone = Measured::new(span.workers_us.len());
        alone.add(&span);
        self.starved.0 = worse(self.starved.0, alone.load().starved);
        self.starved.1 = worse(self.starved.1, alone.server_starved());
        search.steps.push(step.clone());
        let is_better = self.best.as_ref().is_none_or(|(best, _)| match (step.held, best.held) {
            (true, true) => step.per_s > best.per_s,
            (false, false) => step.per_s < best.per_s,
            (held, _) => held,
        });
        if is_better {
            self.best = Some((step, span));
        }
    }

    /// The process to be measured does not listen where the load goes.
    pub(super) fn elsewhere(&mut self, pid: u32, port: u16) {
        self.elsewhere = Some((pid, port));
    }

    /// The run ends before its time, with so many connections; in the midst of a window, with what
    /// came of that. In a search only whole windows count.
    pub(super) fn interrupted(&mut self, connected: u32, cut: Option<&Span>) {
        self.interrupted = true;
        if self.connecting.subscribed == 0 {
            self.connecting.subscribed = connected;
        }
        if let Some(span) = cut.filter(|_| self.search.is_none()) {
            self.measured.add(span);
            self.measured.is_cut = true;
        }
    }

    /// Whether the run ended before its time.
    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted
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
        self.account = Some(accounts::sum(accounts));
    }

    /// The outcome. `coarse`: whether the server's CPU time was told in the kernel's ticks.
    pub(super) fn outcome(mut self, samples: Vec<Sample>, coarse: bool) -> Outcome {
        if let Some((_, span)) = &self.best {
            self.measured.add(span);
        }
        let measured = &self.measured;
        let seconds = measured.took.as_secs_f64();
        let delivered = measured.delivered as f64;
        let load_bytes = per(self.load_bytes as f64, f64::from(self.present));
        let mut load = Load { rss_bytes_per_connection: load_bytes, ..measured.load() };
        load.starved = worse(load.starved, self.starved.0);
        // A window that was cut short has told some of its counts only.
        let whole = |count: u64| (!measured.is_cut).then_some(count);
        let mut outcome = Outcome {
            format: FORMAT,
            started: self.started.to_string(),
            command: self.command.clone(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            machine: machine::this(),
            scenario: self.scenario.clone(),
            interrupted: self.interrupted,
            deliveries: Deliveries {
                published: measured.published,
                unsent: whole(measured.unsent),
                unread: whole(measured.unread),
                late: whole(measured.owed),
                account: self.account.clone(),
                measured: measured.delivered,
                per_second: per(delivered, seconds),
                frame_bytes: whole(measured.delivered_bytes)
                    .and_then(|bytes| per(bytes as f64, delivered)),
            },
            latency_us: measured.latency.percentiles(),
            connecting: Connecting {
                returning_us: measured.returned.percentiles(),
                ..self.connecting.clone()
            },
            server: self.server(),
            floor: self.floor(),
            load,
            search: self.search.clone(),
            faults: Vec::new(),
            samples,
            latency_curve: measured.latency.curve(),
            remarks: Vec::new(),
        };
        let published = self.streams.iter().map(|many| u64::from(*many)).sum();
        outcome.faults = judge::faults(&outcome, published);
        let facts = Facts {
            is_clipped: measured.latency.is_clipped(),
            floor_failed: self.floor.failed,
            floor_waits: self.floor.waits,
            pairs: self.pairs.len() as u32 + self.floor.dropped,
            pairs_dropped: self.floor.dropped,
            coarse,
            elsewhere: self.elsewhere,
            coalescing: self.server.coalescing(),
            is_absurd: self.server.is_absurd,
            has_memory: self.has_memory(),
        };
        outcome.remarks = remarks::of(&outcome, &facts);
        outcome
    }

    /// Whether the server's memory is known and hardly grew with the crowd.
    fn has_memory(&self) -> bool {
        let rss = |look: Option<Reading>| look?.rss_bytes;
        rss(self.server.alone).zip(rss(self.server.full)).is_some_and(|(before, full)| {
            let least = GROWTH_BYTES_MIN * f64::from(self.present);
            self.present > 0 && (full.saturating_sub(before) as f64) < least
        })
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
            rss_bytes_per_connection: growth(alone.rss_bytes, full.rss_bytes)
                .filter(|bytes| *bytes >= GROWTH_BYTES_MIN),
            heap_bytes_per_connection: growth(alone.heap_bytes, full.heap_bytes),
            rss_bytes: rss(),
            processes: alone.processes.max(full.processes),
            starved: worse(self.measured.server_starved(), self.starved.1)
                .filter(|_| alone.waited_us.is_some()),
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

/// The greater of two, where there are any.
fn worse(one: Option<f64>, other: Option<f64>) -> Option<f64> {
    one.into_iter().chain(other).max_by(f64::total_cmp)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "chosen so that nothing is rounded")]
mod tests;
