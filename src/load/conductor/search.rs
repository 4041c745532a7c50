//! The search for the highest rate that is held: which rate is next, and whether one was held.
//!
//! From the first rate it doubles while held (or halves until held), then halves the gap between
//! the highest held and the lowest failed. Each rate has a warm-up and a window of its own. What a
//! machine's noise lets fail is not tried again, so that the rate found is one that was held, and
//! not always the highest that could be.

use std::time::{Duration, Instant};

use super::figures::{Times, per};
use super::remarks::late_allowed_us;
use super::windows::{Span, WARM_UP_MIN};
use super::{Problem, Run, windows};
use crate::load::dialect;
use crate::load::layout::Layout;
use crate::load::orders::{Latencies, WindowDone};
use crate::load::outcome::{Phase, Step};
use crate::load::scenario::{Pace, SEARCH_STEPS_MAX, Scenario, Search};

/// Messages a second that are tried at most, and at least.
const RATE_MAX_PER_S: f64 = 10_000_000.0;
const RATE_MIN_PER_S: f64 = 1.0;
/// The last delivery may come this long after the last message; or the latency asked for, or a
/// tenth of the window, where one is longer.
const LAG: Duration = Duration::from_millis(100);
/// Sample times without a delivery after which what a failed step left is thought to be through.
const QUIET_SAMPLES: u32 = 5;
/// How long that is waited for.
const QUIET: Duration = Duration::from_secs(30);

/// The rate that a search begins at; `None` in a closed loop.
pub(super) fn first(scenario: &Scenario) -> Option<f64> {
    match scenario.talk.as_ref()?.pace {
        Pace::Open { per_s } if per_s > 0.0 => Some(per_s),
        _ => None,
    }
}

/// The next rate to try, after those tried and whether each was held; `None`: it is found, or not
/// to be found.
fn next(first: f64, within_percent: u32, tried: &[(f64, bool)]) -> Option<f64> {
    if tried.len() >= SEARCH_STEPS_MAX {
        return None;
    }
    let rates = |held| tried.iter().filter(move |one| one.1 == held).map(|one| one.0);
    let held = rates(true).max_by(f64::total_cmp);
    let failed = rates(false).min_by(f64::total_cmp);
    match (held, failed) {
        (None, None) => Some(first.clamp(RATE_MIN_PER_S, RATE_MAX_PER_S)),
        (Some(held), None) => (held < RATE_MAX_PER_S).then(|| (held * 2.0).min(RATE_MAX_PER_S)),
        (None, Some(failed)) => {
            (failed > RATE_MIN_PER_S).then(|| (failed / 2.0).max(RATE_MIN_PER_S))
        }
        (Some(held), Some(failed)) => {
            let gap_percent = (failed - held) / held * 100.0;
            (gap_percent > f64::from(within_percent)).then(|| f64::midpoint(held, failed))
        }
    }
}

/// What a rate that was tried is taken for.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Judged {
    Held,
    /// The server did not hold it, and why.
    Failed(String),
    /// The load did not get so far: nothing is known of the server.
    Inconclusive(String),
}

/// A rate that was tried.
#[derive(Debug)]
struct Tried<'a> {
    per_s: f64,
    length: Duration,
    span: &'a Span,
    /// Deliveries that were due; `None`: not known.
    due: Option<u64>,
    /// Connections that were there before and no longer are.
    ended: u32,
    publishers: u32,
}

impl Tried<'_> {
    /// That what was to be delivered was not; empty: it was.
    fn unarrived(&self) -> String {
        let delivered = self.span.delivered();
        let sum = |of: fn(&WindowDone) -> u64| self.span.done.iter().map(of).sum::<u64>();
        let (owed, overdue) = (sum(|done| done.owed), sum(|done| done.overdue));
        let (unread, refused) = (sum(|done| done.unread), sum(|done| done.refused));
        match self.due {
            _ if self.ended > 0 => format!("{} connections were ended", self.ended),
            _ if refused > 0 => format!("{refused} messages were refused"),
            Some(due) if delivered < due => {
                format!("{} of {due} deliveries had not arrived", due - delivered)
            }
            _ if owed > 0 => format!("{owed} deliveries had not arrived"),
            _ if unread > 0 => format!("the server did not read {unread} messages in time"),
            _ if overdue > 0 => format!("{overdue} messages had not reached everyone"),
            _ if delivered == 0 => "nothing was delivered".to_owned(),
            _ => String::new(),
        }
    }

    /// Whether the rate was held, and why not. That the load was late says nothing of the server,
    /// unless it was slower than by that alone.
    fn judged(&self, search: Search) -> Judged {
        let unarrived = self.unarrived();
        if !unarrived.is_empty() {
            return Judged::Failed(unarrived);
        }
        let late = self.times(|done| &done.late).percentiles().unwrap_or_default();
        let p99_us = self.times(|done| &done.latency).percentiles().map_or(0, |times| times.p99);
        let allowed_us = late_allowed_us(self.publishers, self.per_s);
        let is_late = late.p99 as f64 > allowed_us;
        // No message was later than the latest: what is beyond is the server's.
        let excused_us = if is_late { late.max } else { 0 };
        if p99_us > search.p99_us + excused_us {
            let (is, may) = (p99_us as f64 / 1000.0, search.p99_us as f64 / 1000.0);
            return Judged::Failed(format!("p99 {is:.1} ms, over {may:.1} ms"));
        }
        let unsent: u64 = self.span.done.iter().map(|done| done.unsent).sum();
        if unsent > 0 {
            return Judged::Inconclusive(format!("the load was late: {unsent} messages not sent"));
        }
        if is_late {
            let late_ms = late.p99 as f64 / 1000.0;
            return Judged::Inconclusive(format!("the load published late: p99 {late_ms:.1} ms"));
        }
        let lag = self.span.took.saturating_sub(self.length);
        if lag > LAG.max(Duration::from_micros(search.p99_us)).max(self.length / 10) {
            let behind = format!("the last delivery came {} ms behind", lag.as_millis());
            return Judged::Failed(behind);
        }
        Judged::Held
    }

    fn times(&self, of: impl Fn(&WindowDone) -> &Latencies) -> Times {
        let mut times = Times::new();
        self.span.done.iter().for_each(|done| times.add(of(done)));
        times
    }

    fn step(&self, judged: Judged) -> Step {
        let held = judged == Judged::Held;
        let inconclusive = matches!(judged, Judged::Inconclusive(_));
        let because = match judged {
            Judged::Held => String::new(),
            Judged::Failed(because) | Judged::Inconclusive(because) => because,
        };
        let seconds = self.span.took.as_secs_f64();
        Step {
            per_s: self.per_s,
            delivered_per_s: per(self.span.delivered() as f64, seconds).unwrap_or(0.0),
            latency_us: self.times(|done| &done.latency).percentiles().unwrap_or_default(),
            server_cpu: self.span.server_us.and_then(|us| per(us, seconds * 1e6)),
            held,
            inconclusive,
            because,
        }
    }
}

/// Who hears what, to know what is due.
struct Hearers {
    layout: Layout,
    /// By topic.
    many: Vec<u32>,
    /// Whether a publisher is one of them and does not hear itself.
    itself: u32,
}

impl Hearers {
    /// Of a scenario; `None` where who is there changes. Costs what everybody hears.
    fn new(scenario: &Scenario, whole: bool) -> Option<Self> {
        let changes = scenario.churn.is_some() || scenario.storm.is_some();
        if changes || scenario.slow.is_some() || !whole {
            return None;
        }
        let layout = Layout::new(scenario);
        let mut many = vec![0; layout.topics() as usize];
        for connection in 0..scenario.crowd.connections {
            for topic in layout.hears(connection) {
                many[*topic as usize] += 1;
            }
        }
        let members = scenario.talk.as_ref().is_some_and(|talk| talk.members);
        let itself = u32::from(members && !dialect::of(&scenario.target).echoes());
        Some(Self { layout, many, itself })
    }

    /// Deliveries due of what was published since, by stream.
    fn due(&self, before: &[u32], now: &[u32]) -> u64 {
        let streams = (0..).zip(now).map(|(stream, now)| {
            let published = now - before.get(stream as usize).copied().unwrap_or(0);
            let hearers = self.many[self.layout.topic_of(stream) as usize];
            u64::from(published) * u64::from(hearers.saturating_sub(self.itself))
        });
        streams.sum()
    }
}

impl Run<'_> {
    /// Tries one rate after the other, until the highest that is held is found.
    pub(super) fn search(&mut self, search: Search) -> Result<(), Problem> {
        let first = first(&self.scenario).ok_or(Problem::NothingToSearch)?;
        let hearers = Hearers::new(&self.scenario, self.tally.is_whole());
        let mut tried: Vec<(f64, bool)> = Vec::new();
        self.tally.searched(None);
        while let Some(per_s) = next(first, search.within_percent, &tried) {
            let crowd = self.points.live.connected;
            let (step, span) = self.try_rate(per_s, search, hearers.as_ref())?;
            tried.push((per_s, step.held));
            let held = step.held;
            self.tally.searched(Some((step, span)));
            if !held {
                self.fall_silent()?;
            }
            if self.ended(crowd) > 0 {
                // What is left of the crowd is another load: nothing can be compared with it.
                return Ok(());
            }
        }
        Ok(())
    }

    /// One rate: its warm-up, and its window, unless the warm-up was too much already.
    fn try_rate(
        &mut self,
        per_s: f64,
        search: Search,
        hearers: Option<&Hearers>,
    ) -> Result<(Step, Span), Problem> {
        let (warm_up, measured) = windows::lengths(&self.scenario.times, 0);
        let warm_up = warm_up.max(WARM_UP_MIN).min(measured);
        let publishers = self.scenario.talk.as_ref().map_or(1, |talk| talk.publishers);
        let windows = [(Phase::WarmUp, warm_up), (Phase::Measure, measured)];
        for (phase, length) in windows {
            self.begin(phase, length);
            let (crowd, before) = (self.points.live.connected, self.tally.published_by_stream());
            let is_last = phase == Phase::Measure;
            let span = self.target_window(length, is_last, Some(per_s))?;
            let now = self.tally.published_by_stream();
            let due = hearers.map(|hearers| hearers.due(&before, &now));
            let ended = self.ended(crowd);
            let tried = Tried { per_s, length, span: &span, due, ended, publishers };
            let judged = match tried.unarrived() {
                _ if is_last => tried.judged(search),
                fine if fine.is_empty() => continue,
                because => Judged::Failed(because),
            };
            return Ok((tried.step(judged), span));
        }
        unreachable!("the last window is a step")
    }

    /// How many of so many connections are no longer there, where they ought to be.
    fn ended(&self, crowd: u32) -> u32 {
        let changes = self.scenario.churn.is_some() || self.scenario.storm.is_some();
        if changes { 0 } else { crowd.saturating_sub(self.points.live.connected) }
    }

    /// Waits until nothing is delivered any more, or for [`QUIET`].
    fn fall_silent(&mut self) -> Result<(), Problem> {
        self.begin(Phase::Drain, QUIET);
        let sample = Duration::from_millis(self.scenario.times.sample_ms);
        let until = Instant::now() + QUIET;
        loop {
            let delivered = self.points.live.delivered;
            self.rest((QUIET_SAMPLES * sample).min(QUIET))?;
            if self.points.live.delivered == delivered || Instant::now() >= until {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests;
