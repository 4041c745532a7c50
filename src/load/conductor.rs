//! A run from its start to its end: processes, phases, windows, what came of them.
//!
//! The conductor starts the workers (and the broker, where none is given), orders one phase after
//! the other, reads the server's CPU time and memory between them and gathers what the workers
//! tell. It is one thread that waits at one channel; it never speaks to the server itself, but for
//! its metrics. Called by `cli/bench`. Whatever ends it ends its processes: see `child`. A signal
//! ends it early, with an outcome of what was measured until then: see `interrupt`.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "figures are for people")]

mod accounts;
mod child;
mod crew;
mod figures;
mod hearing;
mod interrupt;
mod measured;
mod points;
mod problem;
mod remarks;
mod search;
mod secrets;
mod servers;
mod tally;
mod windows;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crew::{Crew, Programs};
use interrupt::Interrupt;
use points::Points;
pub use problem::{Fault, Problem};
use servers::{Broker, Floor};
use tally::Tally;
use windows::{Open, Span};

use crate::load::clock::now_us;
use crate::load::orders::{Order, Tidings};
use crate::load::outcome::{Outcome, Phase, Sample};
use crate::load::probe::Probe;
use crate::load::scenario::Scenario;
use crate::process::raise_descriptor_limit;
use crate::time::Timestamp;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to do. With a broker of its own, the address is that of the broker.
    pub scenario: Scenario,
    /// What was typed, without what is secret.
    pub command: String,
    /// The server's process on this machine; its descendants are counted with it.
    pub pid: Option<u32>,
    /// Where the server tells its metrics: `http://HOST:PORT/PATH`.
    pub metrics: Option<String>,
    /// The broker to start and measure.
    pub own: Option<OwnBroker>,
}

/// A broker to start.
#[derive(Clone, Debug, Default)]
pub struct OwnBroker {
    /// Of `shardwire serve`, behind those that the conductor gives: `--dev`, a port of its own on
    /// loopback, one shard, no limits for a crowd. With or without the command's name.
    pub arguments: Vec<String>,
    /// Variables of its environment: what must not stand in the list of processes.
    pub environment: Vec<(String, String)>,
    /// The processor it is bound to, and the floor with it.
    pub processor: Option<u32>,
}

/// How it goes, in sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Live {
    /// Connections that are subscribed now.
    pub connected: u32,
    /// Connections that are to be.
    pub wanted: u32,
    /// Messages published so far.
    pub published: u64,
    /// Deliveries so far.
    pub delivered: u64,
    /// Deliveries that were due and did not come; known at the end.
    pub lost: u64,
}

/// Who is told how it goes.
pub trait Watch {
    /// A point of the plots is there.
    fn sample(&mut self, sample: &Sample, totals: &Live);
    /// A phase begins, and lasts about so long; zero: not known.
    fn phase(&mut self, phase: Phase, length: Duration);
    /// A fault or something else a reader has to know; told again in the outcome.
    fn remark(&mut self, remark: &str);
}

/// Runs it. Blocks until it is over.
///
/// # Errors
/// What kept it from its end; [`Problem::fault`] says whose fault.
pub fn run(plan: Plan, watch: &mut dyn Watch) -> Result<Outcome, Problem> {
    run_with(&Programs::own()?, plan, watch, Interrupt::caught()?)
}

fn run_with(
    programs: &Programs,
    plan: Plan,
    watch: &mut dyn Watch,
    interrupt: Interrupt,
) -> Result<Outcome, Problem> {
    let mut run = Run::start(programs, plan, watch, interrupt)?;
    match run.go(programs) {
        Ok(()) => {}
        Err(Problem::Interrupted) => {
            let cut = run.cut();
            run.tally.interrupted(run.points.live.connected, cut.as_ref());
        }
        Err(other) => return Err(other),
    }
    Ok(run.end())
}

/// A run that has begun.
struct Run<'a> {
    scenario: Scenario,
    processor: Option<u32>,
    watch: &'a mut dyn Watch,
    crew: Crew,
    broker: Option<Broker>,
    floor: Option<Floor>,
    probe: Option<Probe>,
    asked_us: u64,
    phase: Phase,
    /// The window that is under way.
    open: Option<Open>,
    points: Points,
    interrupt: Interrupt,
    tally: Tally,
}

impl<'a> Run<'a> {
    fn start(
        programs: &Programs,
        plan: Plan,
        watch: &'a mut dyn Watch,
        interrupt: Interrupt,
    ) -> Result<Self, Problem> {
        let Plan { mut scenario, command, mut pid, metrics, own } = plan;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let floor = scenario.floor_pairs > 0;
        if floor && pid.is_none() && metrics.is_none() && own.is_none() {
            return Err(Problem::NothingToCompare);
        }
        if scenario.search.is_some() && (floor || search::first(&scenario).is_none()) {
            return Err(Problem::NothingToSearch);
        }
        let limit = raise_descriptor_limit();
        let connections = scenario.connections();
        let sockets = if floor { 2 } else { 1 };
        let workers = crew::workers(scenario.crowd.workers, connections, sockets, limit)?;
        let processor = own.as_ref().and_then(|own| own.processor);
        let mut broker = None;
        if let Some(own) = &own {
            let server = Broker::start(&programs.broker, own, &scenario, limit)?;
            scenario.target.address = server.address();
            if scenario.target.tls.is_none() {
                scenario.target.host = server.address().to_string();
            }
            pid = Some(server.pid());
            broker = Some(server);
        }
        let named = pid.filter(|_| own.is_none());
        let mut probe = Probe::new(pid, metrics.as_deref())?;
        // Before anybody connects: whether it can be read at all, and what it holds of itself.
        let alone = probe.as_mut().map(Probe::look_closely).transpose()?;
        interrupt.check()?;
        let crew = Crew::start(&programs.worker, workers, &scenario)?;
        let sample = Duration::from_millis(scenario.times.sample_ms);
        let mut tally = Tally::new(
            (secrets::without(&scenario), command),
            Timestamp(started.as_millis() as u64),
            crew.len(),
            alone,
        );
        let port = scenario.target.address.port();
        let is_there = probe.as_ref().and_then(|probe| probe.listens_at(port));
        if let Some(pid) = named.filter(|_| is_there == Some(false)) {
            tally.elsewhere(pid, port);
        }
        Ok(Self {
            tally,
            points: Points::new(now_us(), sample, crew.len(), scenario.crowd.connections, alone),
            scenario,
            processor,
            watch,
            crew,
            broker,
            floor: None,
            probe,
            asked_us: 0,
            phase: Phase::Connect,
            open: None,
            interrupt,
        })
    }

    fn go(&mut self, programs: &Programs) -> Result<(), Problem> {
        self.connect()?;
        self.load(programs)?;
        self.settle()
    }

    fn connect(&mut self) -> Result<(), Problem> {
        let per_s = u64::from(self.scenario.crowd.connect_per_s);
        let wanted = u64::from(self.scenario.connections());
        let takes =
            (wanted * 1000).checked_div(per_s).map_or(Duration::ZERO, Duration::from_millis);
        self.begin(Phase::Connect, takes);
        let before = self.look()?;
        let connected = self.connect_all(&Order::Connect, self.connects_within(takes))?;
        let after = self.look()?;
        self.tally.connected(&connected, before, after);
        if self.tally.is_deserted() {
            let reasons = self.tally.reasons().to_vec();
            return Err(Problem::NobodyConnected {
                address: self.scenario.target.address,
                reasons,
            });
        }
        self.rest(Duration::from_millis(self.scenario.times.settle_ms))?;
        let full = self.look_closely()?;
        self.tally.full(full);
        Ok(())
    }

    /// Warms up and measures.
    fn load(&mut self, programs: &Programs) -> Result<(), Problem> {
        let times = self.scenario.times.clone();
        let pairs = self.scenario.floor_pairs;
        if let Some(search) = self.scenario.search {
            return self.search(search);
        }
        let (warm_up, measured) = windows::lengths(&times, pairs);
        let mut warm = Span::default();
        if !warm_up.is_zero() {
            self.begin(Phase::WarmUp, warm_up);
            warm = self.target_window(warm_up, false, None)?;
        }
        if pairs == 0 {
            self.begin(Phase::Measure, measured);
            let span = self.target_window(measured, true, None)?;
            self.tally.measured(&span);
            return Ok(());
        }
        self.start_floor(programs, &warm)?;
        self.begin(Phase::WarmUp, measured);
        self.floor_window(measured, false)?;
        let waits_before = self.floor_waits();
        for pair in 0..pairs {
            // In turns which comes first: what goes on in the machine disturbs both alike.
            let (target, floor) = if pair % 2 == 0 {
                let target = self.measure_target(measured)?;
                (target, self.measure_floor(measured)?)
            } else {
                let floor = self.measure_floor(measured)?;
                (self.measure_target(measured)?, floor)
            };
            self.tally.measured(&target);
            self.tally.pair(&target, &floor);
        }
        self.tally.floor_waited(self.floor_waits() - waits_before);
        Ok(())
    }

    fn floor_waits(&self) -> u64 {
        self.floor.as_ref().map_or(0, Floor::waits)
    }

    fn settle(&mut self) -> Result<(), Problem> {
        let drain = Duration::from_millis(self.scenario.times.drain_ms);
        self.begin(Phase::Drain, drain);
        let published = self.tally.published_by_stream();
        self.crew.order(&Order::Settle { published }, drain)?;
        let accounts = self.gather(|tidings| match tidings {
            Tidings::Settled(account) => Ok(account),
            other => Err(other),
        })?;
        self.points.live.lost = accounts.iter().map(|account| account.lost).sum();
        self.tally.settled(&accounts);
        if self.probe.as_ref().is_some_and(Probe::is_told) {
            let laden = self.look_closely()?;
            self.tally.laden(laden);
        }
        // A last point, with what was lost.
        self.point()
    }

    /// Lets everything end and says what came of it.
    fn end(self) -> Outcome {
        let Self { crew, mut probe, broker, floor, points, mut tally, watch, .. } = self;
        crew.leave(tally.is_interrupted());
        // The server may be gone with its last connection: then this is not known.
        let empty = probe.as_mut().and_then(|probe| probe.look_closely().ok());
        tally.empty(empty);
        let coarse = probe.is_some_and(|probe| probe.is_coarse());
        drop(floor);
        if let Some(broker) = broker {
            broker.end();
        }
        let outcome = tally.outcome(points.samples, coarse);
        for remark in outcome.faults.iter().chain(&outcome.remarks) {
            watch.remark(remark);
        }
        outcome
    }

    fn begin(&mut self, phase: Phase, length: Duration) {
        self.phase = phase;
        self.watch.phase(phase, length);
    }
}

#[cfg(test)]
mod tests;
