//! A run from its start to its end: processes, phases, windows, what came of them.
//!
//! The conductor starts the workers (and the broker, where none is given), orders one phase after
//! the other, reads the server's CPU time and memory between them and gathers what the workers
//! tell. It is one thread that waits at one channel; it never speaks to the server itself, but for
//! its metrics. Called by `cli/bench`. Whatever ends it ends its processes: see `child`.

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "figures are for people")]

mod child;
mod crew;
mod figures;
mod points;
mod problem;
mod remarks;
mod secrets;
mod servers;
mod tally;
mod windows;

use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crew::Crew;
use points::Points;
pub use problem::{Fault, Problem};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use servers::{Broker, Floor};
use tally::Tally;
use windows::Span;

use crate::load::clock::now_us;
use crate::load::orders::{Order, Tidings};
use crate::load::outcome::{Outcome, Phase, Sample};
use crate::load::probe::{Blind, Probe, Reading};
use crate::load::scenario::Scenario;
use crate::time::Timestamp;

/// Least time between two questions to a server that tells its figures itself.
const ASK_US: u64 = 1_000_000;
/// Sample times that a server's memory is given to settle when all are connected.
const SETTLE_SAMPLES: u32 = 2;

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

/// The programs of a run, each a path and its arguments.
#[derive(Clone, Debug)]
struct Programs {
    worker: Vec<PathBuf>,
    floor: Vec<PathBuf>,
    broker: Vec<PathBuf>,
}

impl Programs {
    /// This one, in its several roles.
    fn own() -> Result<Self, Problem> {
        let own = std::env::current_exe()
            .map_err(|why| Problem::Start { what: "this program".to_owned(), why })?;
        let program = |words: &[&str]| {
            [own.clone()].into_iter().chain(words.iter().map(PathBuf::from)).collect()
        };
        Ok(Self {
            worker: program(&["bench-worker"]),
            floor: program(&["bench-floor"]),
            broker: program(&["serve", "--until-input-ends"]),
        })
    }
}

/// Runs it. Blocks until it is over.
///
/// # Errors
/// What kept it from its end; [`Problem::fault`] says whose fault.
pub fn run(plan: Plan, watch: &mut dyn Watch) -> Result<Outcome, Problem> {
    run_with(&Programs::own()?, plan, watch)
}

fn run_with(programs: &Programs, plan: Plan, watch: &mut dyn Watch) -> Result<Outcome, Problem> {
    let mut run = Run::start(programs, plan, watch)?;
    run.connect()?;
    run.load(programs)?;
    run.settle()?;
    Ok(run.end())
}

/// Connections to the server: the crowd, and publishers beside it.
pub(in crate::load) fn connections(scenario: &Scenario) -> u32 {
    let beside = scenario.talk.as_ref().filter(|talk| !talk.members);
    scenario.crowd.connections + beside.map_or(0, |talk| talk.publishers)
}

/// Raises the limit of descriptors to the hard one, for this process and those it starts; what it
/// is then.
fn descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum.unwrap_or(u64::MAX),
        Err(_) => limit.current.unwrap_or(u64::MAX),
    }
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
    points: Points,
    tally: Tally,
}

impl<'a> Run<'a> {
    fn start(programs: &Programs, plan: Plan, watch: &'a mut dyn Watch) -> Result<Self, Problem> {
        let Plan { mut scenario, command, mut pid, metrics, own } = plan;
        let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let floor = scenario.floor_pairs > 0;
        if floor && pid.is_none() && metrics.is_none() && own.is_none() {
            return Err(Problem::NothingToCompare);
        }
        let limit = descriptors();
        let connections = connections(&scenario);
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
        let mut probe = Probe::new(pid, metrics.as_deref())?;
        // Before anybody connects: whether it can be read at all, and what it holds of itself.
        let alone = probe.as_mut().map(Probe::look_closely).transpose()?;
        let crew = Crew::start(&programs.worker, workers, &scenario)?;
        let sample = Duration::from_millis(scenario.times.sample_ms);
        Ok(Self {
            tally: Tally::new(
                (secrets::without(&scenario), command),
                Timestamp(started.as_millis() as u64),
                crew.len(),
                alone,
            ),
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
        })
    }

    fn connect(&mut self) -> Result<(), Problem> {
        let per_s = u64::from(self.scenario.crowd.connect_per_s);
        let wanted = u64::from(connections(&self.scenario));
        let takes =
            (wanted * 1000).checked_div(per_s).map_or(Duration::ZERO, Duration::from_millis);
        self.begin(Phase::Connect, takes);
        let before = self.look()?;
        self.crew.order(&Order::Connect, takes)?;
        let connected = self.gather(|tidings| match tidings {
            Tidings::Connected(connected) => Ok(connected),
            other => Err(other),
        })?;
        let after = self.look()?;
        self.tally.connected(&connected, before, after);
        if self.tally.is_deserted() {
            let reasons = self.tally.reasons().to_vec();
            return Err(Problem::NobodyConnected {
                address: self.scenario.target.address,
                reasons,
            });
        }
        self.rest(SETTLE_SAMPLES * Duration::from_millis(self.scenario.times.sample_ms))?;
        let full = self.look_closely()?;
        self.tally.full(full);
        Ok(())
    }

    /// Warms up and measures.
    fn load(&mut self, programs: &Programs) -> Result<(), Problem> {
        let times = self.scenario.times.clone();
        let pairs = self.scenario.floor_pairs;
        let (warm_up, measured) = windows::lengths(&times, pairs);
        let mut warm = Span::default();
        if !warm_up.is_zero() {
            self.begin(Phase::WarmUp, warm_up);
            warm = self.target_window(warm_up, false)?;
        }
        if pairs == 0 {
            self.begin(Phase::Measure, measured);
            let span = self.target_window(measured, true)?;
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
        // A last point, with what was lost.
        self.point()
    }

    /// Lets everything end and says what came of it.
    fn end(self) -> Outcome {
        let Self { crew, mut probe, broker, floor, points, mut tally, watch, .. } = self;
        crew.leave();
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

    /// Waits until every worker has answered an order; the answers, in order of the workers.
    fn gather<T>(
        &mut self,
        answer: impl Fn(Tidings) -> Result<T, Tidings>,
    ) -> Result<Vec<T>, Problem> {
        let mut answers: Vec<Option<T>> = (0..self.crew.len()).map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            if let Some((worker, tidings)) = self.hear(Duration::MAX)? {
                match answer(tidings) {
                    Ok(said) if answers[worker].is_none() => answers[worker] = Some(said),
                    Ok(_) => return Err(self.crew.unasked(worker, &"the same answer twice")),
                    Err(other) => return Err(self.crew.unasked(worker, &other)),
                }
            }
        }
        Ok(answers.into_iter().flatten().collect())
    }

    /// Lets a time pass.
    fn rest(&mut self, time: Duration) -> Result<(), Problem> {
        let until_us = now_us() + time.as_micros() as u64;
        while let Some(left_us) = until_us.checked_sub(now_us()).filter(|left| *left > 0) {
            if let Some((worker, tidings)) = self.hear(Duration::from_micros(left_us))? {
                return Err(self.crew.unasked(worker, &tidings));
            }
        }
        Ok(())
    }

    /// Takes what the next worker tells; makes points as they are due. What is no progress is
    /// given; `None` after progress, or when the time is over.
    fn hear(&mut self, at_most: Duration) -> Result<Option<(usize, Tidings)>, Problem> {
        if self.points.is_due(now_us()) {
            self.point()?;
        }
        match self.crew.next(self.points.until_due(now_us()).min(at_most))? {
            Some((worker, Tidings::Progress(progress))) => {
                self.points.add(worker, &progress);
                Ok(None)
            }
            told => Ok(told),
        }
    }

    /// Makes a point, with a look at the server.
    fn point(&mut self) -> Result<(), Problem> {
        self.broker.as_mut().map_or(Ok(()), Broker::check)?;
        self.floor.as_mut().map_or(Ok(()), Floor::check)?;
        let now_us = now_us();
        let mut reading = None;
        if let Some(probe) = &mut self.probe
            && (!probe.asks() || now_us >= self.asked_us + ASK_US)
        {
            self.asked_us = now_us;
            reading = tolerated(probe.glance())?;
        }
        self.tally.seen(reading);
        let sample = self.points.point(now_us, self.phase, reading).clone();
        self.watch.sample(&sample, &self.points.live);
        Ok(())
    }

    /// What the server used and holds.
    fn look(&mut self) -> Result<Option<Reading>, Problem> {
        let Some(probe) = &mut self.probe else { return Ok(None) };
        let reading = tolerated(probe.look())?;
        self.tally.seen(reading);
        Ok(reading)
    }

    fn look_closely(&mut self) -> Result<Option<Reading>, Problem> {
        let Some(probe) = &mut self.probe else { return Ok(None) };
        let reading = tolerated(probe.look_closely())?;
        self.tally.seen(reading);
        Ok(reading)
    }
}

/// A server under load may not answer in time: then a figure is missing. That it is over ends the
/// run.
fn tolerated(look: Result<Reading, Blind>) -> Result<Option<Reading>, Problem> {
    match look {
        Ok(reading) => Ok(Some(reading)),
        Err(Blind::Page(_)) => Ok(None),
        Err(blind) => Err(blind.into()),
    }
}

#[cfg(test)]
mod tests;
