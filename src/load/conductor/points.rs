//! Points of the plots: what all workers told since the last, as one.
//!
//! Workers tell at their own times. A point is made when each has told since the last one, or
//! after two sample times without some of them; rates are of the time that each worker's figures
//! cover, so that one that was late makes no dip and no peak.

use std::time::Duration;

use super::Live;
use super::figures::{Times, per};
use crate::load::orders::{Progress, WindowDone};
use crate::load::outcome::{POINTS_MAX, Phase, Sample};
use crate::load::probe::Reading;

/// What is known of one worker.
#[derive(Clone, Debug, Default)]
struct Told {
    /// Until when its figures reach, and from when those that are in no point yet.
    until_us: u64,
    from_us: u64,
    cpu_us: u64,
    cpu_from_us: u64,
    open: u32,
    subscribed: u32,
    published: u64,
    delivered: u64,
}

/// The points of a run.
#[derive(Debug)]
pub(super) struct Points {
    began_us: u64,
    sample_us: u64,
    last_us: u64,
    workers: Vec<Told>,
    latency: Times,
    server: Option<(u64, Reading)>,
    /// Of the window that is under way, and the CPU time of each worker at its beginning.
    window: WindowDone,
    window_latency: Times,
    window_cpu_us: Vec<u64>,
    /// Totals so far.
    pub(super) live: Live,
    /// The points so far.
    pub(super) samples: Vec<Sample>,
}

impl Points {
    /// None yet, of so many workers, with what was read of the server before all.
    pub(super) fn new(
        began_us: u64,
        sample: Duration,
        workers: usize,
        wanted: u32,
        server: Option<Reading>,
    ) -> Self {
        let told = Told { until_us: began_us, from_us: began_us, ..Told::default() };
        Self {
            began_us,
            sample_us: sample.as_micros().max(1000) as u64,
            last_us: began_us,
            workers: vec![told; workers],
            latency: Times::new(),
            server: server.map(|reading| (began_us, reading)),
            window: WindowDone::default(),
            window_latency: Times::new(),
            window_cpu_us: vec![0; workers],
            live: Live { wanted, ..Live::default() },
            samples: Vec::new(),
        }
    }

    /// Takes what a worker tells.
    pub(super) fn add(&mut self, worker: usize, progress: &Progress) {
        let told = &mut self.workers[worker];
        told.until_us = told.until_us.max(progress.at_us);
        told.cpu_us = told.cpu_us.max(progress.cpu_us);
        told.open = progress.open;
        told.subscribed = progress.subscribed;
        told.published += progress.published;
        told.delivered += progress.delivered;
        self.latency.add(&progress.latency);
        self.window_latency.add(&progress.latency);
        self.window.published += progress.published;
        self.window.delivered += progress.window_delivered;
        self.live.published += progress.published;
        self.live.delivered += progress.delivered;
        self.live.connected = self.workers.iter().map(|told| told.subscribed).sum();
    }

    /// Until when the latest of what was told reaches.
    pub(super) fn told_us(&self) -> u64 {
        self.workers.iter().map(|told| told.until_us).max().unwrap_or(0)
    }

    /// A window begins.
    pub(super) fn begin_window(&mut self) {
        self.window = WindowDone::default();
        self.window_latency.clear();
        self.window_cpu_us = self.workers.iter().map(|told| told.cpu_us).collect();
    }

    /// What has come of the window so far, as far as the workers have told, and what CPU time each
    /// of them has worked in it.
    pub(super) fn cut_window(&mut self) -> (WindowDone, Vec<f64>) {
        let latency = self.window_latency.latencies();
        let now = self.workers.iter().zip(&self.window_cpu_us);
        let worked = now.map(|(told, before)| (told.cpu_us - before) as f64);
        (WindowDone { latency, ..std::mem::take(&mut self.window) }, worked.collect())
    }

    /// Whether it is time for a point.
    pub(super) fn is_due(&self, now_us: u64) -> bool {
        let mut fresh = self.workers.iter().map(Told::is_fresh);
        fresh.clone().all(|fresh| fresh)
            || now_us >= self.last_us + 2 * self.sample_us && fresh.any(|fresh| fresh)
    }

    /// How long nothing has to be looked at, unless a worker tells.
    pub(super) fn until_due(&self, now_us: u64) -> Duration {
        let due_us = self.last_us + 2 * self.sample_us;
        // Past it nobody has told at all: look again later.
        Duration::from_micros(due_us.checked_sub(now_us).unwrap_or(self.sample_us).max(1000))
    }

    /// Makes a point. `server` is what was read of it just now.
    pub(super) fn point(&mut self, now_us: u64, phase: Phase, server: Option<Reading>) -> &Sample {
        let mut sample = Sample {
            at_ms: (now_us - self.began_us.min(now_us)) / 1000,
            phase,
            open: self.workers.iter().map(|told| told.open).sum(),
            latency_us: self.latency.percentiles(),
            server_rss_bytes: server.and_then(|server| server.rss_bytes),
            ..Sample::default()
        };
        for told in self.workers.iter_mut().filter(|told| told.is_fresh()) {
            let seconds = (told.until_us - told.from_us) as f64 / 1e6;
            sample.published_per_s += told.published as f64 / seconds;
            sample.delivered_per_s += told.delivered as f64 / seconds;
            sample.load_cpu += (told.cpu_us - told.cpu_from_us) as f64 / 1e6 / seconds;
            (told.from_us, told.cpu_from_us) = (told.until_us, told.cpu_us);
            (told.published, told.delivered) = (0, 0);
        }
        if let Some(now) = server {
            if let Some((before_us, before)) = self.server {
                let used_us = now.cpu_us.zip(before.cpu_us).map(|(now, before)| now - before);
                sample.server_cpu =
                    used_us.and_then(|used| per(used, now_us.saturating_sub(before_us) as f64));
            }
            self.server = Some((now_us, now));
        }
        self.latency.clear();
        self.last_us = now_us;
        // More are refused before a run; connecting may take longer than it was to.
        self.samples.truncate(POINTS_MAX - 1);
        self.samples.push(sample);
        self.samples.last().expect("one was added")
    }
}

impl Told {
    /// Whether it told since the last point.
    fn is_fresh(&self) -> bool {
        self.until_us > self.from_us
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(at_us: u64, delivered: u64, cpu_us: u64) -> Progress {
        Progress {
            at_us,
            open: 10,
            subscribed: 9,
            delivered,
            window_delivered: delivered / 2,
            published: 1,
            latency: vec![(50, delivered)],
            cpu_us,
        }
    }

    #[test]
    fn workers_are_one_point_when_all_have_told() {
        let mut points = Points::new(1_000_000, Duration::from_millis(100), 2, 20, None);
        assert!(!points.is_due(2_000_000));
        points.add(0, &told(1_100_000, 100, 50_000));
        assert!(!points.is_due(1_150_000));
        assert_eq!(points.until_due(1_150_000), Duration::from_millis(50));
        points.add(1, &told(1_200_000, 100, 100_000));
        assert!(points.is_due(1_200_000));
        let reading = |cpu_us| Reading { cpu_us: Some(cpu_us), ..Reading::default() };
        let sample = points.point(1_200_000, Phase::Measure, Some(reading(5.0))).clone();
        assert_eq!((sample.at_ms, sample.open, sample.server_cpu), (200, 20, None));
        // 100 in a tenth of a second, and 100 in two tenths.
        assert!((sample.delivered_per_s - 1500.0).abs() < 1e-6, "{sample:?}");
        assert!((sample.load_cpu - 1.0).abs() < 1e-6, "{sample:?}");
        assert_eq!(sample.latency_us.unwrap().p50, 50);
        assert!(!points.is_due(1_200_000));

        // Two reports of one worker; the other is late, and is not waited for for ever.
        points.add(0, &told(1_300_000, 10, 50_000));
        points.add(0, &told(1_350_000, 15, 50_000));
        assert!(!points.is_due(1_399_999));
        assert!(points.is_due(1_400_000));
        let sample = points.point(1_400_000, Phase::Drain, Some(reading(100_005.0))).clone();
        assert!((sample.delivered_per_s - 100.0).abs() < 1e-6, "{sample:?}");
        assert!((sample.server_cpu.unwrap() - 0.5).abs() < 1e-6, "{sample:?}");
        assert_eq!((points.live.delivered, points.live.connected), (225, 18));
        assert_eq!(points.samples.len(), 2);
        assert_eq!(points.told_us(), 1_350_000);
        // Of those deliveries half were of messages of the window.
        assert_eq!(points.cut_window().0.delivered, 50 + 50 + 5 + 7);
    }
}
