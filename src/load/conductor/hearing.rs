//! Hearing the workers and looking at the server, while anything is waited for.
//!
//! Whatever a run waits for, it waits here: so points are made as they are due, a server of its own
//! that is over is noticed, and an interruption ends every wait within [`LOOK_UP`].

use std::time::{Duration, Instant};

use super::servers::{Broker, Floor};
use super::{Problem, Run};
use crate::limits::{LOAD_CONNECT_MS, LOAD_CONNECT_US_EACH};
use crate::load::clock::now_us;
use crate::load::orders::{Connected, Order, Tidings};
use crate::load::probe::{Blind, Reading};

/// Least time between two questions to a server that tells its figures itself.
const ASK_US: u64 = 1_000_000;
/// No wait is longer without a look at whether the run is interrupted or its time over.
const LOOK_UP: Duration = Duration::from_millis(100);

impl Run<'_> {
    /// Waits until every worker has answered an order; the answers, in order of the workers.
    pub(super) fn gather<T>(
        &mut self,
        answer: impl Fn(Tidings) -> Result<T, Tidings>,
    ) -> Result<Vec<T>, Problem> {
        Ok(self.gather_until(None, answer)?.expect("without an end it ends with all answers"))
    }

    /// The same, until a time; `None`: it is over.
    fn gather_until<T>(
        &mut self,
        until: Option<Instant>,
        answer: impl Fn(Tidings) -> Result<T, Tidings>,
    ) -> Result<Option<Vec<T>>, Problem> {
        let mut answers: Vec<Option<T>> = (0..self.crew.len()).map(|_| None).collect();
        while answers.iter().any(Option::is_none) {
            if until.is_some_and(|until| Instant::now() >= until) {
                return Ok(None);
            }
            if let Some((worker, tidings)) = self.hear(LOOK_UP)? {
                match answer(tidings) {
                    Ok(said) if answers[worker].is_none() => answers[worker] = Some(said),
                    Ok(_) => return Err(self.crew.unasked(worker, &"the same answer twice")),
                    Err(other) => return Err(self.crew.unasked(worker, &other)),
                }
            }
        }
        Ok(Some(answers.into_iter().flatten().collect()))
    }

    /// Lets a time pass.
    pub(super) fn rest(&mut self, time: Duration) -> Result<(), Problem> {
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
        self.interrupt.check()?;
        let at_most = at_most.min(LOOK_UP);
        match self.crew.next(self.points.until_due(now_us()).min(at_most))? {
            Some((worker, Tidings::Progress(progress))) => {
                self.points.add(worker, &progress);
                Ok(None)
            }
            told => Ok(told),
        }
    }

    /// How long a crowd may take to connect, the beginning of which takes so long.
    pub(super) fn connects_within(&self, takes: Duration) -> Duration {
        let each = Duration::from_micros(LOAD_CONNECT_US_EACH);
        takes + Duration::from_millis(LOAD_CONNECT_MS) + each * self.scenario.connections()
    }

    /// Orders a crowd to connect, and waits until it is there or given up.
    ///
    /// # Errors
    /// The server's: it takes too long.
    pub(super) fn connect_all(
        &mut self,
        order: &Order,
        within: Duration,
    ) -> Result<Vec<Connected>, Problem> {
        let until = Instant::now() + within;
        self.crew.order(order, within)?;
        let connected = self.gather_until(Some(until), |tidings| match tidings {
            Tidings::Connected(connected) => Ok(connected),
            other => Err(other),
        })?;
        connected.ok_or(Problem::Connecting {
            address: self.scenario.target.address,
            seconds: within.as_secs(),
            connected: self.points.live.connected,
            wanted: self.points.live.wanted,
        })
    }

    /// Makes a point, with a look at the server.
    pub(super) fn point(&mut self) -> Result<(), Problem> {
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
    pub(super) fn look(&mut self) -> Result<Option<Reading>, Problem> {
        let Some(probe) = &mut self.probe else { return Ok(None) };
        let reading = tolerated(probe.look())?;
        self.tally.seen(reading);
        Ok(reading)
    }

    pub(super) fn look_closely(&mut self) -> Result<Option<Reading>, Problem> {
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
