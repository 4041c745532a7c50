//! What a reader has to know of a run before its figures: first what is to be said of deliveries,
//! then what makes the figures doubtful. Other faults of a run are told before: `report::faults`.

use crate::load::outcome::Outcome;
use crate::load::scenario::{Pace, Scenario};

/// Share of a processor from which a worker may be what limits.
const BUSY: f64 = 0.9;
/// Microseconds by which the latest hundredth of the messages may be late.
const LATE_US: f64 = 10_000.0;
/// The same as a share of a publisher's interval.
const LATE_SHARE: f64 = 0.1;
/// What a timer cannot do better.
const LATE_LEAST_US: f64 = 1000.0;

/// What is in no field of the outcome.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Facts {
    /// Messages of which not everyone had theirs in time.
    pub(super) overdue: u64,
    /// Connections to the floor that failed, or that it gave up.
    pub(super) floor_failed: u64,
    /// Times that the floor waited for a subscriber in the measured windows.
    pub(super) floor_waits: u64,
    /// Pairs of windows of server and floor, and those of them that make no ratio.
    pub(super) pairs: u32,
    pub(super) pairs_dropped: u32,
    /// Whether the server's CPU time was told in ticks.
    pub(super) coarse: bool,
}

/// The remarks on an outcome.
pub(super) fn of(outcome: &Outcome, facts: &Facts) -> Vec<String> {
    let mut remarks = Vec::new();
    deliveries(outcome, facts, &mut remarks);
    doubts(outcome, facts, &mut remarks);
    remarks
}

fn deliveries(outcome: &Outcome, facts: &Facts, remarks: &mut Vec<String>) {
    let account = &outcome.deliveries.account;
    for (count, what) in [
        (account.lost, "deliveries were lost"),
        (account.duplicated, "deliveries came twice"),
        (account.out_of_order, "deliveries came behind a later one of their stream"),
        (account.astray, "messages came to who had not asked for them"),
        (facts.overdue, "messages had not reached everyone within the drain time"),
        (account.refused, "requests were refused by the server"),
        (account.withheld, "deliveries were withheld from slow or ended connections"),
    ] {
        if count > 0 {
            remarks.push(format!("{count} {what}"));
        }
    }
    for (trouble, times) in &account.troubles {
        remarks.push(format!("connections broke, {times} times: {trouble}"));
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
    let unsent = outcome.deliveries.unsent;
    if unsent > 0 {
        remarks.push(format!(
            "{unsent} messages came due and did not go out: the load was late, or their publisher \
             was gone"
        ));
    }
    if load.busiest > BUSY {
        remarks.push(format!(
            "a load process was busy {:.0} % of the time: the load, not the server, may be the limit",
            load.busiest * 100.0
        ));
    }
    if let (Some(late), Some(allowed)) = (&load.late_us, late_allowed_us(&outcome.scenario))
        && late.p99 as f64 > allowed
    {
        remarks.push(format!(
            "publishing was late: one message in a hundred by {:.1} ms or more; latency counts \
             from the schedule",
            late.p99 as f64 / 1000.0
        ));
    }
    floor(facts, remarks);
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

/// How late messages may be published, with an open loop.
fn late_allowed_us(scenario: &Scenario) -> Option<f64> {
    let talk = scenario.talk.as_ref()?;
    let Pace::Open { per_s } = talk.pace else { return None };
    let interval_us = f64::from(talk.publishers.max(1)) * 1e6 / per_s;
    Some((interval_us * LATE_SHARE).clamp(LATE_LEAST_US, LATE_US))
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
            deliveries: crate::load::outcome::Deliveries::default(),
            latency_us: None,
            connecting: Connecting::default(),
            server: None,
            floor: None,
            load: crate::load::outcome::Load::default(),
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
    fn each_doubt_is_told_and_losses_first() {
        let mut outcome = outcome();
        outcome.load.busiest = 0.97;
        outcome.deliveries.account.lost = 3;
        outcome.deliveries.account.out_of_order = 1;
        outcome.deliveries.account.withheld = 5;
        outcome.deliveries.account.unjudged = 6;
        outcome.deliveries.account.troubles = vec![("corrupt deflate".into(), 7)];
        outcome.deliveries.unsent = 8;
        outcome.server = Some(Server { processes: 2, ..Server::default() });
        let facts = Facts {
            overdue: 4,
            floor_failed: 1,
            floor_waits: 9,
            pairs: 3,
            pairs_dropped: 3,
            coarse: true,
        };
        let remarks = of(&outcome, &facts);
        let beginnings = [
            "3 deliveries were lost",
            "1 deliveries came behind",
            "4 messages had not reached everyone within the drain time",
            "5 deliveries were withheld",
            "connections broke, 7 times: corrupt deflate",
            "of 6 streams",
            "8 messages came due and did not go out: the load was late, or their publisher was gone",
            "a load process was busy 97 % of the time",
            "1 connections to the floor failed",
            "the floor had to wait for readers, 9 times",
            "no ratio to the floor",
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
