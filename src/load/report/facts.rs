//! What is told of a run, and in which order: the same for the table and the page.
//!
//! Facts are texts already, numbers with their units; what was not measured is not there.

use std::time::Duration;

use super::faults;
use super::figures::{bytes, count, micros, rate, rough, several, share, span};
use crate::load::floor::Mode;
use crate::load::outcome::{Floor, Outcome, Percentiles, Server};
use crate::load::scenario::{Interest, Pace, Scenario, Tls};

/// Connections below which what a server makes once weighs too much in the memory of each.
const ROUGH_BELOW: u32 = 10_000;

/// All of them.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether all went as it must: see [`faults::is_sound`].
    pub is_sound: bool,
    /// Loss, doubles and order in a line.
    pub verdict: String,
    /// The few that matter most.
    pub key: Vec<Fact>,
    /// Percentiles of times: of what, and they.
    pub times: Vec<(&'static str, Percentiles)>,
    /// Everything else, by what it is about.
    pub groups: Vec<(&'static str, Vec<Fact>)>,
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fact {
    /// What it is.
    pub name: String,
    /// How much.
    pub value: String,
    /// More of it, or nothing.
    pub note: String,
}

fn fact(name: &str, value: impl Into<String>, note: impl Into<String>) -> Fact {
    Fact { name: name.to_owned(), value: value.into(), note: note.into() }
}

/// Of a run.
pub fn of(outcome: &Outcome) -> Facts {
    let mut groups = vec![("deliveries", deliveries(outcome))];
    if let Some(server) = &outcome.server {
        groups.push(("server", server_cpu(server, outcome.floor.as_ref())));
        groups.push(("memory", server_memory(server, is_rough(outcome))));
    }
    groups.push(("connecting", connecting(outcome)));
    groups.push(("load", load(outcome)));
    groups.retain(|(_, facts)| !facts.is_empty());
    let mut times = Vec::new();
    times.extend(outcome.latency_us.map(|latency| ("delivery", latency)));
    if outcome.connecting.subscribed > 0 {
        times.push(("connecting", outcome.connecting.latency_us));
    }
    times.extend(outcome.connecting.returning_us.map(|returning| ("returning", returning)));
    times.extend(outcome.load.late_us.map(|late| ("sent late by", late)));
    Facts {
        is_sound: faults::is_sound(outcome),
        verdict: verdict(outcome),
        key: key(outcome),
        times,
        groups,
    }
}

fn verdict(outcome: &Outcome) -> String {
    let account = &outcome.deliveries.account;
    let astray = match account.astray {
        0 => String::new(),
        astray => format!(", {} astray", count(astray)),
    };
    format!(
        "{} lost, {} doubled, {} out of order{astray} of {}",
        count(account.lost),
        count(account.duplicated),
        count(account.out_of_order),
        several(account.expected, "delivery"),
    )
}

/// As many connections as there are deliveries of a message.
#[expect(clippy::cast_sign_loss, reason = "a quotient of counts")]
fn connections(fan_out: f64) -> String {
    if fan_out < 10.0 && fan_out.fract() != 0.0 {
        format!("{} connections", rough(fan_out))
    } else {
        several(fan_out.round() as u64, "connection")
    }
}

fn key(outcome: &Outcome) -> Vec<Fact> {
    let mut facts = Vec::new();
    if outcome.deliveries.measured > 0 {
        let note = format!("of {}", several(outcome.deliveries.published, "message"));
        facts.push(fact("Deliveries", rate(outcome.deliveries.per_second), note));
    }
    if let Some(latency) = outcome.latency_us {
        let note = format!("p50 {}", micros(to_f64(latency.p50)));
        facts.push(fact("Latency p99", micros(to_f64(latency.p99)), note));
    }
    let server = outcome.server.clone().unwrap_or_default();
    if let Some(cpu) = server.cpu_us_per_delivery {
        let each =
            server.deliveries_per_cpu_second.map(|each| format!("{} a CPU second", rough(each)));
        facts.push(fact("Server CPU a delivery", micros(cpu), each.unwrap_or_default()));
    }
    if let Some(floor) = &outcome.floor {
        let note = format!("a bare send: {}", micros(floor.cpu_us_per_send));
        facts.push(fact("Ratio to the floor", format!("{:.2}×", floor.ratio[1]), note));
    }
    if let Some(rss) = server.rss_bytes_per_connection {
        let heap = server.heap_bytes_per_connection.map(|heap| format!("{} of heap", bytes(heap)));
        let rough = is_rough(outcome).then(|| "rough: few connections".to_owned());
        let note = heap.into_iter().chain(rough).collect::<Vec<_>>().join("; ");
        facts.push(fact("Memory a connection", bytes(rss), note));
    }
    let wanted = u64::from(outcome.scenario.crowd.connections);
    let subscribed = u64::from(outcome.connecting.subscribed);
    let note = format!("{} of {}", count(subscribed), count(wanted));
    facts.push(fact("Connecting", rate(outcome.connecting.per_second), note));
    facts
}

fn deliveries(outcome: &Outcome) -> Vec<Fact> {
    let deliveries = &outcome.deliveries;
    let account = &deliveries.account;
    let mut facts = Vec::new();
    if deliveries.measured > 0 {
        let fan_out = to_f64(deliveries.measured) / to_f64(deliveries.published.max(1));
        let per_s = rate(deliveries.per_second / fan_out);
        let messages = several(deliveries.published, "message");
        let note = format!("{messages}, each to {} on average", connections(fan_out));
        facts.push(fact("published", per_s, note));
        let wire = bytes(deliveries.per_second * deliveries.frame_bytes);
        let note = format!("{wire}/s in frames of {}", bytes(deliveries.frame_bytes));
        let value = rate(deliveries.per_second);
        let note = format!("{note}; {} measured", count(deliveries.measured));
        facts.push(fact("delivered", value, note));
    }
    let more = [
        ("astray", account.astray, "came to who had not asked for them"),
        ("withheld", account.withheld, "from slow or ended connections: policy, not loss"),
        ("refused", account.refused, "requests, by the server"),
        ("replaced", account.replaced, "connections that left"),
    ];
    facts.extend(
        more.into_iter().filter(|it| it.1 > 0).map(|(name, n, note)| fact(name, count(n), note)),
    );
    if !account.closes.is_empty() {
        let total: u64 = account.closes.iter().map(|(_, times)| times).sum();
        let each = account.closes.iter().map(|(code, times)| format!("{code} ×{}", count(*times)));
        let codes = each.collect::<Vec<_>>().join(", ");
        facts.push(fact("closed", count(total), format!("by the server: {codes}")));
    }
    facts
}

fn server_cpu(server: &Server, floor: Option<&Floor>) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(cpu) = server.cpu_us_per_delivery {
        let each = server.deliveries_per_cpu_second;
        let note = each.map(|each| format!("{} deliveries a CPU second", rough(each)));
        facts.push(fact("CPU a delivery", micros(cpu), note.unwrap_or_default()));
    }
    if let Some(Floor { cpu_us_per_send, cpu_us_per_delivery, ratio: [low, median, high], pairs }) =
        floor
    {
        let pairs = several(pairs.len() as u64, "pair");
        let note = format!("quartiles {low:.2}–{high:.2}, {pairs} of windows");
        facts.push(fact("ratio to floor", format!("{median:.2}×"), note));
        let note = format!("a delivery; {} a bare send", micros(*cpu_us_per_send));
        facts.push(fact("floor", micros(*cpu_us_per_delivery), note));
    }
    if let Some(cpu) = server.cpu_us_per_connection {
        let note = "to connect, authenticate and subscribe";
        facts.push(fact("CPU a connection", micros(cpu), note));
    }
    let note = match server.processes {
        0 | 1 => "in the measured time".to_owned(),
        more => format!("in the measured time, {more} processes"),
    };
    facts.extend(server.cpu_us.map(|cpu| fact("CPU", micros(cpu), note)));
    facts
}

/// Whether there are too few connections for a good figure of the memory of each.
fn is_rough(outcome: &Outcome) -> bool {
    outcome.connecting.subscribed < ROUGH_BELOW
}

fn server_memory(server: &Server, is_rough: bool) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(rss) = server.rss_bytes_per_connection {
        let what = "resident, as the kernel counts";
        let below = count(ROUGH_BELOW.into());
        let note = if is_rough {
            format!("{what}; rough below {below} connections: what is made once weighs as much")
        } else {
            what.to_owned()
        };
        facts.push(fact("RSS a connection", bytes(rss), note));
    }
    if let Some(heap) = server.heap_bytes_per_connection {
        facts.push(fact("heap a connection", bytes(heap), "as the server counts"));
    }
    if let Some(at) = server.rss_bytes {
        let [before, connected, most, end] = at.map(|rss| bytes(to_f64(rss)));
        let note = format!("at the most; {before} before, {connected} connected, {end} at the end");
        facts.push(fact("RSS", most, note));
    }
    facts
}

fn connecting(outcome: &Outcome) -> Vec<Fact> {
    let connecting = &outcome.connecting;
    let wanted = outcome.scenario.crowd.connections;
    let subscribed = count(u64::from(connecting.subscribed));
    let note = format!("of {}, {}", count(u64::from(wanted)), rate(connecting.per_second));
    let mut facts = vec![fact("subscribed", subscribed, note)];
    if connecting.failed > 0 {
        let reasons = connecting.reasons.join("; ");
        facts.push(fact("failed", count(u64::from(connecting.failed)), reasons));
    }
    facts
}

fn load(outcome: &Outcome) -> Vec<Fact> {
    let load = &outcome.load;
    let workers = match load.workers {
        1 => "the one process".to_owned(),
        more => format!("the busiest of {more} processes"),
    };
    let mut facts = vec![fact("busy", share(load.busiest), workers)];
    if outcome.deliveries.measured > 0 {
        let each = load.cpu_us / to_f64(outcome.deliveries.measured);
        facts.push(fact("CPU a delivery", micros(each), "all processes"));
    }
    let rss = bytes(load.rss_bytes_per_connection);
    facts.push(fact("RSS a connection", rss, "of the load's own"));
    facts
}

/// What was done, for those who were not there.
pub fn scenario(scenario: &Scenario) -> Vec<Fact> {
    let Scenario {
        target, crowd, talk, churn, slow, storm, times, floor_pairs, floor_mode, ..
    } = scenario;
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
            facts.push(fact("pace", pace, note));
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
    if *floor_pairs > 0 {
        let pairs = several((*floor_pairs).into(), "pair");
        let how = match floor_mode {
            Mode::Each => "of windows: the server, a bare loop with a send for each delivery",
            Mode::Together => {
                "of windows: the server, a bare loop that sends together what came so"
            }
        };
        facts.push(fact("floor", pairs, how));
    }
    facts
}

fn dialect(scenario: &Scenario) -> String {
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

/// When messages were published, and what that is called.
pub fn pace(pace: Pace) -> (String, &'static str) {
    match pace {
        Pace::Open { per_s } => (rate(per_s), "on schedule (open loop)"),
        Pace::Closed { in_flight, batch: 1 } => (
            format!("{} in flight", count(in_flight.into())),
            "the next when one has arrived (closed loop)",
        ),
        Pace::Closed { in_flight, batch } => (
            format!("{} in flight, {} at once", count(in_flight.into()), count(batch.into())),
            "closed loop",
        ),
    }
}

/// Where the load went.
pub fn url(scenario: &Scenario) -> String {
    let target = &scenario.target;
    let scheme = if target.tls.is_some() { "wss" } else { "ws" };
    format!("{scheme}://{}{}", target.host, target.path)
}

/// The machine.
pub fn machine(outcome: &Outcome) -> Vec<Fact> {
    let machine = &outcome.machine;
    vec![
        fact("processor", &*machine.processor, several(machine.processors.into(), "logical one")),
        fact("memory", bytes(to_f64(machine.memory_bytes)), ""),
        fact("kernel", &*machine.kernel, ""),
        fact("shardwire", &*outcome.version, ""),
        fact("began", &*outcome.started, ""),
    ]
}

#[expect(clippy::cast_precision_loss, reason = "figures of three digits")]
pub(super) fn to_f64(number: u64) -> f64 {
    number as f64
}
