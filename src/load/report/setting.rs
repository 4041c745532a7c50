//! What was done in a run, told for those who were not there: the server, the crowd, its talk.
//!
//! From the scenario alone; what came of it is told by `facts`.

use std::time::Duration;

use super::facts::{Fact, fact, to_f64};
use crate::load::numbers::{bytes, count, micros, rate, several, span};
use crate::load::scenario::{Interest, Mode, Pace, Scenario, Tls};

/// All of it.
pub fn facts(scenario: &Scenario) -> Vec<Fact> {
    let Scenario { target, crowd, talk, churn, slow, storm, times, .. } = scenario;
    let ms = |ms| span(Duration::from_millis(ms));
    let extension = if target.compression { "permessage-deflate" } else { "" };
    let mut facts = vec![fact("server", url(scenario), dialect(scenario))];
    facts.push(fact("compression", if target.compression { "offered" } else { "no" }, extension));
    if let Some(Tls::Any) = target.tls {
        facts.push(fact("certificate", "not checked", ""));
    }
    facts.push(fact("crowd", several(crowd.connections.into(), "connection"), interest(scenario)));
    match talk {
        None => facts.push(fact("talk", "nobody publishes", "")),
        Some(talk) => {
            let whose = if talk.members { "of the crowd" } else { "beside the crowd" };
            facts.push(fact("talk", several(talk.publishers.into(), "publisher"), whose));
            let (pace, note) = pace(talk.pace);
            facts.push(fact("pace", pace, format!("{}: {note}", kind(scenario))));
            facts.push(fact("payload", bytes(f64::from(talk.payload_bytes)), ""));
        }
    }
    if let Some(churn) = churn {
        let how = if churn.resets {
            "leave and are replaced, half by a reset"
        } else {
            "leave and are replaced"
        };
        facts.push(fact("churn", rate(f64::from(churn.per_s)), how));
    }
    if let Some(slow) = slow {
        let how = format!("{}/s each", bytes(f64::from(slow.bytes_per_s)));
        facts.push(fact("slow", several(slow.readers.into(), "reader"), how));
    }
    if let Some(storm) = storm {
        let back = if storm.back { ", and come back" } else { "" };
        let how = format!("lost {} into the measuring{back}", ms(storm.at_ms));
        facts.push(fact("storm", several(storm.connections.into(), "connection"), how));
    }
    let around = format!("after {} of warm-up", ms(times.warm_up_ms));
    facts.push(fact("measured", ms(times.measure_ms), around));
    if scenario.floor_pairs > 0 {
        let pairs = several(scenario.floor_pairs.into(), "pair");
        let how = match scenario.floor_mode {
            Mode::Each => "of windows: the server, a bare loop with a send for each delivery",
            Mode::Together => {
                "of windows: the server, a bare loop that sends together what came so"
            }
        };
        facts.push(fact("floor", pairs, how));
    }
    if let Some(search) = &scenario.search {
        let p99 = micros(to_f64(search.p99_us));
        let how = format!("p99 within {p99}, found to {}\u{a0}%", search.within_percent);
        facts.push(fact("search", "the highest rate held", how));
    }
    facts
}

/// What was spoken there.
pub fn dialect(scenario: &Scenario) -> String {
    format!("dialect {}", format!("{:?}", scenario.target.dialect).to_lowercase())
}

fn interest(scenario: &Scenario) -> String {
    let crowd = &scenario.crowd;
    let topics = several(crowd.topics.into(), "topic");
    match crowd.interest {
        Interest::Exact => format!("{} of {topics} each", count(crowd.subscriptions.into())),
        Interest::Wildcard => {
            format!("{} over {topics} each", several(crowd.subscriptions.into(), "pattern"))
        }
    }
}

/// When messages were published, and what that means.
pub fn pace(pace: Pace) -> (String, &'static str) {
    match pace {
        Pace::Open { per_s } => (rate(per_s), "on schedule; latency counts from the schedule"),
        Pace::Closed { in_flight, batch: 1 } => (
            format!("{} in flight", count(in_flight.into())),
            "the next when one has reached everyone",
        ),
        Pace::Closed { in_flight, batch } => (
            format!("{} in flight, {} at once", count(in_flight.into()), count(batch.into())),
            "the next when as many have reached everyone",
        ),
    }
}

/// What kind of load it is, in two words.
pub fn kind(scenario: &Scenario) -> &'static str {
    match scenario.talk.as_ref().map(|talk| talk.pace) {
        None => "no talk",
        Some(Pace::Open { .. }) => "open loop",
        Some(Pace::Closed { .. }) => "closed loop",
    }
}

/// Where the load went.
pub fn url(scenario: &Scenario) -> String {
    let target = &scenario.target;
    let scheme = if target.tls.is_some() { "wss" } else { "ws" };
    format!("{scheme}://{}{}", target.host, target.path)
}
