//! What a reader has to know of a run before its figures: what broke connections, and what makes
//! the figures doubtful. What is a fault is told before (`load::judge`), what is a figure below.

use crate::load::judge::{REFUSED, is_counted};
use crate::load::outcome::Outcome;
use crate::load::scenario::Pace;

/// Share of a processor from which a worker may be what limits.
const BUSY: f64 = 0.9;
/// Share of the measured time without a processor from which figures are disturbed.
const STARVED: f64 = 0.02;
/// Microseconds by which the latest hundredth of the messages may be late.
const LATE_US: f64 = 10_000.0;
/// The same as a share of a publisher's interval.
const LATE_SHARE: f64 = 0.1;
/// What a timer cannot do better.
const LATE_LEAST_US: f64 = 1000.0;

/// What is in no field of the outcome.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "doubts are independent of each other")]
pub(super) struct Facts {
    /// Whether a latency was as long as can be told, or longer.
    pub(super) is_clipped: bool,
    /// Connections to the floor that failed, or that it gave up.
    pub(super) floor_failed: u64,
    /// Times that the floor waited for a subscriber in the measured windows.
    pub(super) floor_waits: u64,
    /// Pairs of windows of server and floor, and those of them that make no ratio.
    pub(super) pairs: u32,
    pub(super) pairs_dropped: u32,
    /// Whether the server's CPU time was told in ticks.
    pub(super) coarse: bool,
    /// A process that was to be measured and does not listen at the target's port.
    pub(super) elsewhere: Option<(u32, u16)>,
    /// Deliveries of a send of the server, on average, where it tells that.
    pub(super) coalescing: Option<f64>,
    /// Whether the server told figures that cannot be.
    pub(super) is_absurd: bool,
    /// Whether the server's memory hardly grew with the crowd.
    pub(super) has_memory: bool,
}

/// The remarks on an outcome.
pub(super) fn of(outcome: &Outcome, facts: &Facts) -> Vec<String> {
    let mut remarks = Vec::new();
    meaning(outcome, facts, &mut remarks);
    deliveries(outcome, &mut remarks);
    starved(outcome, &mut remarks);
    doubts(outcome, facts, &mut remarks);
    remarks
}

fn deliveries(outcome: &Outcome, remarks: &mut Vec<String>) {
    let account = outcome.deliveries.account();
    // What was refused is told as a fault.
    let troubles = account.troubles.iter().filter(|(words, _)| !words.starts_with(REFUSED));
    for (trouble, times) in troubles {
        remarks.push(format!("{trouble} ({times} times)"));
    }
    if account.unjudged > 0 {
        remarks.push(format!(
            "of {} streams of latecomers nothing was heard: nothing can be said of their loss",
            account.unjudged
        ));
    }
}

fn doubts(outcome: &Outcome, facts: &Facts, remarks: &mut Vec<String>) {
    let load = &outcome.load;
    if facts.is_clipped {
        remarks.push("latencies of more than an hour are told as an hour".to_owned());
    }
    let is_closed =
        outcome.scenario.talk.as_ref().is_some_and(|talk| matches!(talk.pace, Pace::Closed { .. }));
    if is_closed && outcome.load.workers > 1 {
        remarks.push(
            "a message made room for the next when the subscribers of its publisher's own load \
             process had it, not those of the others"
                .to_owned(),
        );
    }
    if let Some(busiest) = load.busiest.filter(|busiest| *busiest > BUSY) {
        remarks.push(format!(
            "a load process was busy {:.0} % of the time: the load, not the server, may be the limit",
            busiest * 100.0
        ));
    }
    if let (Some(late), Some(allowed)) = (&load.late_us, lateness_us(outcome))
        && late.p99 as f64 > allowed
    {
        remarks.push(format!(
            "publishing was late: one message in a hundred by {:.1} ms or more; latency counts \
             from the schedule",
            late.p99 as f64 / 1000.0
        ));
    }
    floor(facts, remarks);
    if facts.has_memory {
        remarks.push(
            "the server's memory hardly grew with the connections: it held memory already, of an \
             earlier crowd or its own (restart it for the figure of a connection)"
                .to_owned(),
        );
    }
    if facts.is_absurd {
        remarks.push(
            "the server's metrics went backwards or told what cannot be: such figures are left out"
                .to_owned(),
        );
    }
    if facts.coarse {
        remarks.push("the server's CPU time is told in ticks of the kernel only".to_owned());
    }
    if let Some(server) = outcome.server.as_ref().filter(|server| server.processes > 1) {
        remarks.push(format!(
            "the server is {} processes: memory that they share is counted in each",
            server.processes
        ));
    }
}

fn floor(facts: &Facts, remarks: &mut Vec<String>) {
    let Facts { floor_failed, floor_waits, pairs, pairs_dropped, .. } = facts;
    if *floor_failed > 0 {
        remarks.push(format!("{floor_failed} connections to the floor failed"));
    }
    if *floor_waits > 0 {
        remarks.push(format!("the floor had to wait for readers, {floor_waits} times"));
    }
    if *pairs > 0 && pairs == pairs_dropped {
        remarks.push(format!(
            "no ratio to the floor: in none of the {pairs} pairs of windows was the CPU of a \
             delivery measured on both sides"
        ));
    } else if *pairs_dropped > 0 {
        remarks.push(format!(
            "{pairs_dropped} of {pairs} pairs of windows are not in the ratio to the floor: no CPU \
             of a delivery was measured on one side"
        ));
    }
}

/// What is to be said of the figures that are there: where they are not all of the run, or of
/// something else than they seem to be.
fn meaning(outcome: &Outcome, facts: &Facts, remarks: &mut Vec<String>) {
    if outcome.interrupted {
        let what = "interrupted: the figures are of what was measured until then";
        let but =
            if is_counted(outcome) { "" } else { "; loss, doubles and order were not counted" };
        remarks.push(format!("{what}{but}"));
    }
    if let Some(search) = outcome.search.as_ref().filter(|search| search.held_per_s.is_none()) {
        let tried = search.steps.len();
        remarks
            .push(format!("none of {tried} rates was held: the figures are of the lowest tried"));
    } else if outcome.search.is_some() {
        remarks.push("the figures are of the highest rate held; faults of all rates".to_owned());
    }
    if outcome.scenario.floor_pairs > 0 {
        remarks.push(
            "latency and deliveries a second are of short windows beside a second crowd: not to \
             be compared with a run without a floor"
                .to_owned(),
        );
    }
    let cpu = outcome.server.as_ref().and_then(|server| server.cpu_us_per_delivery);
    if let Some((many, _)) = facts.coalescing.zip(cpu) {
        remarks.push(format!(
            "the server made {many:.1} deliveries a send on average: its CPU per delivery is at that"
        ));
    }
    if let Some((pid, port)) = facts.elsewhere {
        remarks.push(format!(
            "process {pid} does not listen on port {port}, nor does one that it started: its CPU \
             and memory may not be those of the server"
        ));
    }
}

/// That processors were missing.
fn starved(outcome: &Outcome, remarks: &mut Vec<String>) {
    let percent = |share: Option<f64>| share.filter(|share| *share > STARVED).map(|it| it * 100.0);
    let load = percent(outcome.load.starved).map(|it| format!("a load process for {it:.1} %"));
    let server = outcome.server.as_ref().and_then(|server| percent(server.starved));
    let server = server.map(|it| format!("the server's threads for {it:.1} %"));
    let who: Vec<_> = load.into_iter().chain(server).collect();
    if !who.is_empty() {
        remarks.push(format!(
            "the machine was busy with other work, or has too few processors: ready to run without \
             one were {} of the measured time",
            who.join(", ")
        ));
    }
}

/// How late messages may be published, in an open loop.
fn lateness_us(outcome: &Outcome) -> Option<f64> {
    let talk = outcome.scenario.talk.as_ref()?;
    let Pace::Open { per_s } = talk.pace else { return None };
    let held = outcome.search.as_ref().and_then(|search| search.held_per_s);
    Some(late_allowed_us(talk.publishers, held.unwrap_or(per_s)))
}

/// The same, with so many publishers and messages a second.
pub(super) fn late_allowed_us(publishers: u32, per_s: f64) -> f64 {
    let interval_us = f64::from(publishers.max(1)) * 1e6 / per_s;
    (interval_us * LATE_SHARE).clamp(LATE_LEAST_US, LATE_US)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::conductor::tests::scenario;
    use crate::load::outcome::{Connecting, Percentiles, Server};

    fn outcome() -> Outcome {
        Outcome {
            format: 1,
            started: String::new(),
            command: String::new(),
            version: String::new(),
            machine: crate::load::outcome::Machine::default(),
            scenario: scenario(),
            interrupted: false,
            deliveries: crate::load::outcome::Deliveries::default(),
            latency_us: None,
            connecting: Connecting::default(),
            server: None,
            floor: None,
            load: crate::load::outcome::Load::default(),
            search: None,
            faults: Vec::new(),
            samples: Vec::new(),
            latency_curve: Vec::new(),
            remarks: Vec::new(),
        }
    }

    #[test]
    fn a_clean_run_has_no_remarks() {
        assert!(of(&outcome(), &Facts::default()).is_empty());
    }

    #[test]
    fn each_doubt_is_told_and_no_figure_twice() {
        let mut outcome = outcome();
        outcome.load.busiest = Some(0.97);
        outcome.deliveries.account_mut().lost = 3;
        outcome.deliveries.account_mut().out_of_order = 1;
        outcome.deliveries.account_mut().withheld = 5;
        outcome.deliveries.account_mut().unjudged = 6;
        outcome.deliveries.account_mut().troubles = vec![("corrupt deflate".into(), 7)];
        outcome.deliveries.unsent = Some(8);
        outcome.interrupted = true;
        outcome.scenario.floor_pairs = 3;
        outcome.load.starved = Some(0.031);
        outcome.server = Some(Server {
            processes: 2,
            starved: Some(0.1),
            cpu_us_per_delivery: Some(1.0),
            ..Server::default()
        });
        let facts = Facts {
            is_clipped: true,
            floor_failed: 1,
            floor_waits: 9,
            pairs: 3,
            pairs_dropped: 3,
            coarse: true,
            elsewhere: Some((7, 80)),
            coalescing: Some(16.04),
            is_absurd: true,
            has_memory: true,
        };
        let remarks = of(&outcome, &facts);
        let beginnings = [
            "interrupted: the figures are of what was measured until then",
            "latency and deliveries a second are of short windows beside a second crowd",
            "the server made 16.0 deliveries a send on average",
            "process 7 does not listen on port 80",
            "corrupt deflate (7 times)",
            "of 6 streams",
            "the machine was busy with other work, or has too few processors: ready to run without \
             one were a load process for 3.1 %, the server's threads for 10.0 % of the measured time",
            "latencies of more than an hour",
            "a load process was busy 97 % of the time",
            "1 connections to the floor failed",
            "the floor had to wait for readers, 9 times",
            "no ratio to the floor",
            "the server's memory hardly grew",
            "the server's metrics went backwards",
            "the server's CPU time is told in ticks",
            "the server is 2 processes",
        ];
        assert_eq!(remarks.len(), beginnings.len(), "{remarks:?}");
        for (remark, beginning) in remarks.iter().zip(beginnings) {
            assert!(remark.starts_with(beginning), "{remark} / {beginning}");
        }
    }

    #[test]
    fn lateness_is_judged_by_the_interval() {
        let mut outcome = outcome();
        let mut late = |per_s, p99| {
            let talk = outcome.scenario.talk.as_mut().unwrap();
            (talk.pace, talk.publishers) = (Pace::Open { per_s }, 10);
            outcome.load.late_us = Some(Percentiles { p99, ..Percentiles::default() });
            of(&outcome, &Facts::default()).len()
        };
        // An interval of 10 s, of 20 ms, of a tenth of a millisecond.
        assert_eq!([late(1.0, 10_000), late(1.0, 10_100)], [0, 1]);
        assert_eq!([late(500.0, 2000), late(500.0, 2100)], [0, 1]);
        assert_eq!([late(100_000.0, 1000), late(100_000.0, 1100)], [0, 1]);
    }
}
