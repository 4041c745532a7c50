//! Who leaves and comes back, who reads slowly, and when. Sans-io.
//!
//! Of the crowd, only those that do not publish: what a publisher said last may be lost with its
//! connection, and would count as the server's loss. Slow readers stay, and stay slow. Shares of
//! the workers are even; within a worker the chosen are spread over its part.

#![expect(clippy::cast_sign_loss, reason = "times of a run")]

use crate::load::layout::{Layout, nth_of, part_of, rank_of};
use crate::load::orders::{Begin, Window};
use crate::load::scenario::Storm;
use crate::load::swarm::Leave;

/// Connections replaced in one go, so that what arrives is read in time.
const TURN_LEAVERS_MAX: usize = 64;

/// What disturbs a worker's crowd.
#[derive(Debug)]
pub(super) struct Unrest {
    /// Who reads slowly, until it is told.
    slow: Option<(Vec<u32>, u32)>,
    /// Who may leave and come back.
    restless: Vec<u32>,
    storm: Option<Storm>,
    /// How many of the restless the storm takes.
    lost: u32,
    storm_us: Option<u64>,
    churn: Option<Churning>,
}

/// Leaving one after another.
#[derive(Debug)]
struct Churning {
    interval_us: f64,
    resets: bool,
    /// Of the window.
    from_us: u64,
    until_us: u64,
    left: u32,
    /// Over all windows: whose turn it is.
    turn: usize,
}

/// What is to be done now.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Now {
    /// To become slow, and so many bytes a second.
    pub(super) slow: Option<(Vec<u32>, u32)>,
    /// To be closed without a word; whether they come back.
    pub(super) storm: Option<(Vec<u32>, bool)>,
    /// To leave and be replaced.
    pub(super) replaced: Vec<(u32, Leave)>,
}

impl Unrest {
    /// A worker's share. Connections are known by their place in its part.
    pub(super) fn new(begin: &Begin, layout: &Layout) -> Self {
        let (scenario, worker, workers) = (&begin.scenario, begin.worker, begin.workers);
        let share = |all: u32| part_of(all, worker, workers).len() as u32;
        let part = layout.part(worker, workers);
        let (start, silent) = (part.start, |one: &u32| layout.publisher_at(*one).is_none());
        let mut restless = Vec::new();
        if scenario.churn.is_some() || scenario.slow.is_some() || scenario.storm.is_some() {
            restless = part.filter(silent).map(|one| one - start).collect();
        }
        let readers = scenario.slow.as_ref().map_or(0, |slow| share(slow.readers));
        let (slow, restless) = spread(&restless, readers);
        let storm = scenario.storm.clone();
        Self {
            slow: scenario.slow.as_ref().map(|how| (slow, how.bytes_per_s)),
            lost: storm.as_ref().map_or(0, |storm| share(storm.connections)),
            storm,
            storm_us: None,
            churn: scenario.churn.as_ref().filter(|churn| churn.per_s > 0).map(|churn| Churning {
                interval_us: 1e6 * f64::from(workers) / f64::from(churn.per_s),
                resets: churn.resets,
                from_us: 0,
                until_us: 0,
                left: 0,
                turn: 0,
            }),
            restless,
        }
    }

    /// A window of the target begins.
    pub(super) fn begin(&mut self, window: &Window) {
        if let Some(churn) = &mut self.churn {
            (churn.from_us, churn.until_us, churn.left) = (window.from_us, window.until_us, 0);
        }
        if let (Some(storm), None, true) = (&self.storm, self.storm_us, window.counted) {
            self.storm_us = Some(window.from_us + storm.at_ms * 1000);
        }
    }

    /// What is due in a window. `is_counted`: it is one that does.
    pub(super) fn due(&mut self, now_us: u64, is_counted: bool) -> Now {
        let mut now = Now::default();
        if is_counted {
            now.slow = self.slow.take();
        }
        if self.storm_us.is_some_and(|at_us| at_us <= now_us)
            && let Some(storm) = self.storm.take()
        {
            now.storm = Some((spread(&self.restless, self.lost).0, storm.back));
        }
        if let Some(churn) = self.churn.as_mut().filter(|_| !self.restless.is_empty()) {
            while now.replaced.len() < TURN_LEAVERS_MAX && churn.is_due(now_us) {
                let one = self.restless[churn.turn % self.restless.len()];
                let resets = churn.resets && churn.turn % 2 == 1;
                now.replaced.push((one, if resets { Leave::Reset } else { Leave::Close }));
                (churn.left, churn.turn) = (churn.left + 1, churn.turn + 1);
            }
        }
        now
    }
}

impl Churning {
    fn is_due(&self, now_us: u64) -> bool {
        let at_us = self.from_us + (f64::from(self.left) * self.interval_us) as u64;
        at_us <= now_us && at_us < self.until_us
    }
}

/// So many of them, evenly spread, and the others.
fn spread(all: &[u32], chosen: u32) -> (Vec<u32>, Vec<u32>) {
    let of = all.len() as u32;
    let chosen = chosen.min(of);
    let picked = (0..chosen).map(|index| all[nth_of(index, chosen, of) as usize]).collect();
    let is_other = |place: &u32| rank_of(*place, chosen, of).is_none();
    (picked, (0..of).filter(is_other).map(|place| all[place as usize]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::layout::tests::scenario;
    use crate::load::orders::Side;
    use crate::load::scenario::{Churn, Interest, Slow};

    fn unrest(of: impl FnOnce(&mut Begin)) -> Unrest {
        let scenario = scenario((40, 4, 1), Interest::Exact, Some((10, true)));
        let mut begin = Begin { scenario, worker: 1, workers: 2 };
        of(&mut begin);
        Unrest::new(&begin, &Layout::new(&begin.scenario))
    }

    fn window(from_us: u64) -> Window {
        Window {
            side: Side::Target,
            from_us,
            until_us: from_us + 1_000_000,
            counted: true,
            per_s: None,
        }
    }

    #[test]
    fn nothing_is_asked_for() {
        let mut unrest = unrest(|_| {});
        unrest.begin(&window(5));
        assert_eq!(unrest.due(1_000_000, true), Now::default());
    }

    #[test]
    fn publishers_stay_and_slow_readers_too() {
        let mut unrest = unrest(|begin| {
            begin.scenario.slow = Some(Slow { readers: 10, bytes_per_s: 7 });
            begin.scenario.storm = Some(Storm { connections: 40, at_ms: 500, back: true });
        });
        unrest.begin(&window(0));
        assert_eq!(unrest.due(0, false), Now::default());
        let (slow, bytes_per_s) = unrest.due(0, true).slow.unwrap();
        // 20 in this part, every fourth of which publishes; 5 slow readers of the other 15.
        assert_eq!((slow, bytes_per_s), (vec![1, 5, 9, 13, 17], 7));
        let (lost, back) = unrest.due(500_000, true).storm.unwrap();
        assert_eq!((lost, back), (vec![2, 3, 6, 7, 10, 11, 14, 15, 18, 19], true));
        unrest.begin(&window(2_000_000));
        assert_eq!(unrest.due(u64::MAX, true), Now::default());
    }

    #[test]
    fn churn_goes_round() {
        let mut unrest = unrest(|begin| {
            begin.scenario.churn = Some(Churn { per_s: 40, resets: true });
        });
        unrest.begin(&window(1_000_000));
        assert!(unrest.due(999_999, false).replaced.is_empty());
        // 20 a second are this worker's.
        let first = unrest.due(1_050_000, false).replaced;
        assert_eq!(first, [(1, Leave::Close), (2, Leave::Reset)]);
        assert_eq!(unrest.due(9_000_000, false).replaced.len(), 18);
        assert!(unrest.due(9_000_000, false).replaced.is_empty());
        unrest.begin(&window(10_000_000));
        assert_eq!(unrest.due(10_000_000, false).replaced, [(7, Leave::Close)]);
    }
}
