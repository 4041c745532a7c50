//! How a run goes, on standard error: a live bar on a terminal, else a line for each phase.
//!
//! Three lines of a terminal: the phase with its bar, and the last sample. Windows of the floor are
//! part of the measuring here: the bar does not begin anew with each. Quiet, it says nothing.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};

use super::facts::to_f64;
use crate::load::conductor::{Live, Watch};
use crate::load::numbers::{count, micros, rate, several, share, span};
use crate::load::outcome::{Phase, Sample};
use crate::load::scenario::Scenario;

/// Phase, bar, figures. A length that is not known has a spinner.
const TEMPLATE: &str = "{prefix:<10} {wide_bar} {elapsed} of {whole}\n{msg}";
const SPINNER: &str = "{prefix:<10} {spinner} {elapsed}\n{msg}";

/// Shows it.
#[derive(Debug)]
pub struct Progress {
    how: How,
    phase: Option<Phase>,
    began: Instant,
    measure: Duration,
    has_floor: bool,
}

#[derive(Debug)]
enum How {
    Live(ProgressBar),
    Lines,
    Quiet,
}

impl Progress {
    /// Of a run of this scenario.
    pub fn new(scenario: &Scenario, quiet: bool) -> Self {
        let how = match (quiet, std::io::stderr().is_terminal()) {
            (true, _) => How::Quiet,
            (false, false) => How::Lines,
            (false, true) => {
                How::Live(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr()))
            }
        };
        let has_floor = scenario.floor_pairs > 0;
        let measure = Duration::from_millis(scenario.times.measure_ms);
        Self { how, phase: None, began: Instant::now(), measure, has_floor }
    }

    /// The run is over: nothing of the bar stays on the screen.
    pub fn done(&self) {
        if let How::Live(bar) = &self.how {
            bar.finish_and_clear();
        }
    }

    /// A line that stays, above the bar.
    fn line(&self, text: &str) {
        match &self.how {
            // Whoever closed standard error wants none of it.
            How::Live(bar) => bar.suspend(|| drop(writeln!(std::io::stderr(), "{text}"))),
            How::Lines => drop(writeln!(std::io::stderr(), "{text}")),
            How::Quiet => {}
        }
    }

    /// Begins a phase; `None` when it is the one that goes on.
    fn begin(&mut self, phase: Phase, length: Duration) -> Option<(Phase, Duration)> {
        let (phase, length) = match phase {
            Phase::Measure | Phase::Floor if self.has_floor => (Phase::Measure, self.measure),
            _ => (phase, length),
        };
        if self.phase == Some(phase) {
            return None;
        }
        self.phase = Some(phase);
        self.began = Instant::now();
        Some((phase, length))
    }
}

impl Watch for Progress {
    fn sample(&mut self, sample: &Sample, live: &Live) {
        let How::Live(bar) = &self.how else { return };
        let elapsed = self.began.elapsed().as_millis() as u64;
        bar.set_position(elapsed.min(bar.length().unwrap_or(u64::MAX)));
        bar.set_message(figures(sample, live).replace('\u{a0}', " "));
    }

    fn phase(&mut self, phase: Phase, length: Duration) {
        let Some((phase, length)) = self.begin(phase, length) else { return };
        let How::Live(bar) = &self.how else {
            self.line(&told(phase, length).replace('\u{a0}', " "));
            return;
        };
        // First: everything that follows draws it.
        bar.reset();
        let template = if length.is_zero() { SPINNER } else { TEMPLATE };
        let style = ProgressStyle::with_template(template).expect("the templates are sound");
        let style = style.with_key("whole", whole(phase, length));
        bar.set_style(style.progress_chars("━╸ "));
        bar.set_prefix(name(phase));
        bar.set_length(length.as_millis().max(1) as u64);
        bar.enable_steady_tick(Duration::from_millis(100));
    }

    fn remark(&mut self, text: &str) {
        // The table tells it too: on a terminal that has both, once is enough.
        if !std::io::stdout().is_terminal() {
            self.line(&format!("note: {text}"));
        }
    }
}

/// What a phase is called.
pub(super) fn name(phase: Phase) -> &'static str {
    match phase {
        Phase::Connect => "connect",
        Phase::WarmUp => "warm-up",
        Phase::Measure => "measure",
        Phase::Floor => "floor",
        Phase::Drain => "drain",
    }
}

fn told(phase: Phase, length: Duration) -> String {
    match (phase, length) {
        (_, Duration::ZERO) => format!("{} …", name(phase)),
        (Phase::Connect | Phase::Drain, _) => format!("{}: at most {}", name(phase), span(length)),
        _ => format!("{}: {}", name(phase), span(length)),
    }
}

/// What stands behind the time that has passed: how long the phase lasts, where that is known.
fn whole(
    phase: Phase,
    length: Duration,
) -> impl Fn(&ProgressState, &mut dyn std::fmt::Write) + Clone + Send + Sync + 'static {
    let at_most = if matches!(phase, Phase::Connect | Phase::Drain) { "at most " } else { "" };
    let text = format!("{at_most}{}", span(length)).replace('\u{a0}', " ");
    move |_: &ProgressState, f: &mut dyn std::fmt::Write| {
        let _ = f.write_str(&text);
    }
}

/// The last sample in two lines of at most 80 columns: connections and rates, then times and CPU.
fn figures(sample: &Sample, live: &Live) -> String {
    let wanted = several(live.wanted.into(), "connection");
    let mut first = vec![format!("{} of {wanted}", count(live.connected.into()))];
    if sample.delivered_per_s > 0.0 || sample.published_per_s > 0.0 {
        first.push(format!("published {}", rate(sample.published_per_s)));
        first.push(format!("delivered {}", rate(sample.delivered_per_s)));
    }
    let mut second = Vec::new();
    if let Some(latency) = sample.latency_us {
        let (p50, p99) = (micros(to_f64(latency.p50)), micros(to_f64(latency.p99)));
        second.push(format!("latency p50 {p50}, p99 {p99}"));
    }
    if let Some(cpu) = sample.server_cpu {
        second.push(format!("server {} of a CPU", share(cpu)));
    }
    if live.lost > 0 {
        second.push(format!("{} LOST", count(live.lost)));
    }
    format!("{}\n{}", first.join("  "), second.join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::tests::fixture;

    #[test]
    fn a_sample_fits_a_line() {
        let outcome = fixture::outcome();
        let live = Live { connected: 60_000, wanted: 60_000, lost: 0, ..Live::default() };
        let lines = |it| figures(it, &live).lines().map(|line| line.chars().count()).max();
        let longest = outcome.samples.iter().filter_map(lines).max();
        assert!(longest < Some(80), "{longest:?}");
        let busy = outcome.samples.iter().rfind(|it| it.phase == Phase::Measure).unwrap();
        let text = figures(busy, &live).replace('\u{a0}', " ");
        assert!(text.starts_with("60,000 of 60,000 connections  published "), "{text}");
        assert!(text.contains("\nlatency p50 ") && text.ends_with("% of a CPU"), "{text}");
        let lost = figures(busy, &Live { lost: 7, ..live });
        assert!(lost.ends_with("7 LOST"), "{lost}");
    }

    #[test]
    fn windows_of_the_floor_are_one_phase() {
        let mut scenario = fixture::outcome().scenario;
        scenario.floor_pairs = 10;
        let mut progress = Progress::new(&scenario, true);
        let window = Duration::from_millis(500);
        let whole = Duration::from_millis(scenario.times.measure_ms);
        assert_eq!(progress.begin(Phase::Measure, window), Some((Phase::Measure, whole)));
        assert_eq!(progress.begin(Phase::Floor, window), None);
        assert_eq!(progress.begin(Phase::Measure, window), None);
        assert_eq!(progress.begin(Phase::Drain, window), Some((Phase::Drain, window)));
    }

    #[test]
    fn a_phase_is_told_in_a_line() {
        assert_eq!(told(Phase::Connect, Duration::ZERO), "connect …");
        assert_eq!(told(Phase::Measure, Duration::from_secs(10)), "measure: 10\u{a0}s");
        assert_eq!(told(Phase::Drain, Duration::from_secs(5)), "drain: at most 5\u{a0}s");
    }
}
