//! Windows: times of load, of the server or of the floor, and what each came to.
//!
//! CPU times and what was waited for a processor are read when nothing is under way: before a window
//! is ordered, and when every worker has said that it is over.

use std::time::Duration;

use super::crew::Programs;
use super::figures::per;
use super::servers::Floor;
use super::{Problem, Run};
use crate::load::clock::now_us;
use crate::load::floor::Counts;
use crate::load::orders::{Order, Side, Tidings, Window, WindowDone};
use crate::load::outcome::Phase;
use crate::load::probe::{Probe, Reading};
use crate::load::scenario::Times;

/// Between an order and the beginning of its window, so that all workers begin together.
const LEAD: Duration = Duration::from_millis(20);
/// A warm-up where there must be one and none was asked for: before each rate of a search, and to
/// tell the floor a message's size.
pub(super) const WARM_UP_MIN: Duration = Duration::from_millis(500);
/// No window is shorter.
const WINDOW_MIN: Duration = Duration::from_millis(10);

/// What a window came to, all workers together.
#[derive(Clone, Debug, Default)]
pub(super) struct Span {
    /// What each told.
    pub(super) done: Vec<WindowDone>,
    /// From its beginning to its end or to the last delivery.
    pub(super) took: Duration,
    /// CPU time of the server, or of the floor's send loops.
    pub(super) server_us: Option<f64>,
    /// Calls of `send` by the floor.
    pub(super) sends: u64,
    /// Subscribers that the floor gave up.
    pub(super) floor_lost: u64,
    /// What the server was ready to run and had no processor.
    pub(super) server_waited_us: Option<f64>,
    /// CPU time of each worker.
    pub(super) workers_us: Vec<f64>,
    /// What each was ready to run and had no processor.
    pub(super) workers_waited_us: Option<Vec<f64>>,
}

/// A window that is under way.
#[derive(Debug)]
pub(super) struct Open {
    window: Window,
    /// The server as it was before.
    server: Option<Reading>,
    /// The workers as they were before, and how to look at them again.
    probes: Vec<Probe>,
    workers: Vec<Reading>,
}

impl Open {
    /// What each worker used since, and lacked. Who is over used nothing.
    fn used(&mut self) -> (Vec<f64>, Option<Vec<f64>>) {
        let before = self.workers.clone();
        let after = self.probes.iter_mut().map(|probe| probe.look().unwrap_or_default());
        let both: Vec<_> = before.into_iter().zip(after).collect();
        let cpu = |(before, after): &(Reading, Reading)| used_us(*before, *after).unwrap_or(0.0);
        let waited = |(before, after): &(Reading, Reading)| waited_us(*before, *after);
        (both.iter().map(cpu).collect(), both.iter().map(waited).collect())
    }
}

impl Span {
    pub(super) fn delivered(&self) -> u64 {
        self.done.iter().map(|done| done.delivered).sum()
    }

    pub(super) fn published(&self) -> u64 {
        self.done.iter().map(|done| done.published).sum()
    }

    pub(super) fn delivered_bytes(&self) -> u64 {
        self.done.iter().map(|done| done.delivered_bytes).sum()
    }

    /// Server CPU of a delivery, in microseconds.
    pub(super) fn delivery_us(&self) -> Option<f64> {
        per(self.server_us?, self.delivered() as f64)
    }
}

/// How long to warm up, and how long each measured window is: all of the measuring, or one of two
/// windows for each pair.
pub(super) fn lengths(times: &Times, pairs: u32) -> (Duration, Duration) {
    let warm_up = Duration::from_millis(times.warm_up_ms);
    let measured = Duration::from_millis(times.measure_ms);
    if pairs == 0 {
        return (warm_up, measured);
    }
    (warm_up.max(WARM_UP_MIN), (measured / (2 * pairs)).max(WINDOW_MIN))
}

/// CPU time between two looks.
pub(super) fn used_us(before: Reading, after: Reading) -> Option<f64> {
    Some(after.cpu_us? - before.cpu_us?).filter(|us| *us >= 0.0)
}

/// What was waited for a processor between two looks.
fn waited_us(before: Reading, after: Reading) -> Option<f64> {
    Some((after.waited_us? - before.waited_us?).max(0.0))
}

/// By stream, what all workers have published.
fn sums(said: &[Vec<u32>]) -> Vec<u32> {
    let streams = said.iter().map(Vec::len).max().unwrap_or(0);
    let of_all = |stream: usize| said.iter().filter_map(|one| one.get(stream)).sum();
    (0..streams).map(of_all).collect()
}

impl Run<'_> {
    pub(super) fn measure_target(&mut self, length: Duration) -> Result<Span, Problem> {
        self.begin(Phase::Measure, length);
        self.target_window(length, true, None)
    }

    pub(super) fn measure_floor(&mut self, length: Duration) -> Result<Span, Problem> {
        self.begin(Phase::Floor, length);
        self.floor_window(length, true)
    }

    /// `per_s`: in place of the scenario's rate.
    pub(super) fn target_window(
        &mut self,
        length: Duration,
        counted: bool,
        per_s: Option<f64>,
    ) -> Result<Span, Problem> {
        let span = self.window(Side::Target, length, counted, per_s)?;
        self.tally.streams(&span.done);
        Ok(span)
    }

    pub(super) fn floor_window(
        &mut self,
        length: Duration,
        counted: bool,
    ) -> Result<Span, Problem> {
        let before = self.floor_counts()?;
        let mut span = self.window(Side::Floor, length, counted, None)?;
        let after = self.floor_counts()?;
        span.server_us = Some((after.cpu_ns - before.cpu_ns) as f64 / 1000.0);
        span.server_waited_us = None;
        span.sends = after.sends - before.sends;
        span.floor_lost = after.lost - before.lost;
        Ok(span)
    }

    fn floor_counts(&mut self) -> Result<Counts, Problem> {
        self.floor.as_mut().map_or(Ok(Counts::default()), Floor::counts)
    }

    fn window(
        &mut self,
        side: Side,
        length: Duration,
        counted: bool,
        per_s: Option<f64>,
    ) -> Result<Span, Problem> {
        let mut probes: Vec<_> = self.crew.pids().into_iter().map(Probe::of_process).collect();
        let workers = probes.iter_mut().map(|probe| Ok(probe.look()?));
        let workers = workers.collect::<Result<_, Problem>>()?;
        let server = self.look()?;
        let from_us = now_us() + LEAD.as_micros() as u64;
        let until_us = from_us + length.as_micros() as u64;
        let drain = Duration::from_millis(self.scenario.times.drain_ms);
        let window = Window { side, from_us, until_us, counted, per_s };
        self.points.begin_window();
        self.crew.order(&Order::Window(window), LEAD + length)?;
        self.open = Some(Open { window, server, probes, workers });
        let said = self.gather(|tidings| match tidings {
            Tidings::Said { published } => Ok(published),
            other => Err(other),
        })?;
        self.crew.order(&Order::Finish { published: sums(&said) }, drain)?;
        let done = self.gather(|tidings| match tidings {
            Tidings::Window(done) => Ok(done),
            other => Err(other),
        })?;
        let mut open = self.open.take().expect("it was begun just now");
        let (used, workers_waited_us) = open.used();
        let both = open.server.zip(self.look()?);
        let worked = used.iter().zip(&done).map(|(us, done)| (us - done.spun_us as f64).max(0.0));
        let last_us = done.iter().map(|done| done.last_us).fold(until_us, u64::max);
        Ok(Span {
            took: Duration::from_micros(last_us - from_us),
            server_us: both.and_then(|(before, after)| used_us(before, after)),
            server_waited_us: both.and_then(|(before, after)| waited_us(before, after)),
            workers_us: worked.collect(),
            workers_waited_us,
            done,
            ..Span::default()
        })
    }

    /// What came of the window that is under way, as the workers told it at each sample: how many
    /// bytes, and what was late or unsent, is not known. `None`: none is, or none that counts.
    pub(super) fn cut(&mut self) -> Option<Span> {
        let mut open = self.open.take()?;
        let Window { side, from_us, until_us, counted, .. } = open.window;
        // In the drain it was as long as deliveries were told.
        let now_us = now_us();
        let end_us = now_us.min(until_us.max(self.points.told_us()));
        let took_us = end_us.checked_sub(from_us).filter(|us| *us > 0)?;
        if side != Side::Target || !counted {
            return None;
        }
        let (done, workers_us) = self.points.cut_window();
        let both = open.server.zip(self.look().ok().flatten());
        Some(Span {
            done: vec![done],
            took: Duration::from_micros(took_us),
            server_us: both.and_then(|(before, after)| used_us(before, after)),
            server_waited_us: both.and_then(|(before, after)| waited_us(before, after)),
            workers_us,
            workers_waited_us: open.used().1,
            ..Span::default()
        })
    }

    /// Starts the floor and connects the second crowd to it, which is to get frames of the size
    /// that the server's had.
    pub(super) fn start_floor(&mut self, programs: &Programs, warm: &Span) -> Result<(), Problem> {
        let frame_bytes = per(warm.delivered_bytes() as f64, warm.delivered() as f64)
            .filter(|bytes| *bytes > 0.0);
        let frame_bytes = frame_bytes.ok_or(Problem::NothingDelivered)?.round() as u32;
        let floor = Floor::start(&programs.floor, self.scenario.floor_mode, self.processor)?;
        let address = floor.address();
        self.floor = Some(floor);
        self.begin(Phase::Connect, Duration::ZERO);
        let within = self.connects_within(Duration::ZERO);
        let connected = self.connect_all(&Order::Floor { address, frame_bytes }, within)?;
        self.tally.floor_connected(&connected);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_workers_said() {
        assert_eq!(sums(&[vec![1, 0, 3], vec![0, 2, 4]]), [1, 2, 7]);
        assert_eq!(sums(&[]), [0; 0]);
    }

    #[test]
    fn pairs_share_the_time() {
        let times =
            Times { warm_up_ms: 0, settle_ms: 0, measure_ms: 6000, drain_ms: 0, sample_ms: 100 };
        let ms = Duration::from_millis;
        assert_eq!(lengths(&times, 0), (ms(0), ms(6000)));
        assert_eq!(lengths(&times, 3), (ms(500), ms(1000)));
        assert_eq!(lengths(&times, 10_000).1, ms(10));
    }
}
