//! What is told of a run, and in which order: the same for the table and the page.
//!
//! Facts are texts already, numbers with their units; what was not measured is not there.

use std::time::Duration;

use super::{hints, search};
use crate::load::judge::{self, is_counted};
use crate::load::numbers::{bytes, count, micros, rate, rough, several, share, span};
use crate::load::outcome::{Floor, Outcome, Percentiles, ROUGH_BELOW, Server};

/// All of them.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Whether all went as it must: see [`judge::is_sound`].
    pub is_sound: bool,
    /// Loss, doubles and order in a line.
    pub verdict: String,
    /// What may help against its faults.
    pub hints: Vec<String>,
    /// The answer of a search, where there was one.
    pub answer: Option<String>,
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

/// One of them.
pub(super) fn fact(name: &str, value: impl Into<String>, note: impl Into<String>) -> Fact {
    Fact { name: name.to_owned(), value: value.into(), note: note.into() }
}

/// Of a run.
pub fn of(outcome: &Outcome) -> Facts {
    let mut groups = vec![("deliveries", deliveries(outcome))];
    if let Some(server) = &outcome.server {
        groups.push(("server", server_cpu(server, outcome.floor.as_ref())));
        groups.push(("memory", server_memory(server, outcome)));
    }
    groups.push(("connecting", connecting(outcome)));
    groups.push(("load", load(outcome)));
    groups.retain(|(_, facts)| !facts.is_empty());
    let mut times = Vec::new();
    times.extend(outcome.latency_us.map(|latency| ("delivery", latency)));
    times.extend(outcome.connecting.latency_us.map(|latency| ("connecting", latency)));
    times.extend(outcome.connecting.returning_us.map(|returning| ("returning", returning)));
    times.extend(outcome.load.late_us.map(|late| ("sent late by", late)));
    Facts {
        is_sound: judge::is_sound(outcome),
        verdict: verdict(outcome),
        hints: hints::of(&outcome.connecting.reasons.join("; "), &outcome.scenario),
        answer: search::answer(outcome),
        key: key(outcome),
        times,
        groups,
    }
}

fn verdict(outcome: &Outcome) -> String {
    if !is_counted(outcome) {
        return "loss, doubles and order were not counted".to_owned();
    }
    let account = outcome.deliveries.account();
    let astray = match account.astray {
        0 => String::new(),
        astray => format!(", {} astray", count(astray)),
    };
    // What is not there yet may be lost or late: nobody can tell.
    let unarrived = match account.unarrived {
        0 => String::new(),
        unarrived => format!(", {} not arrived when the drain ended", count(unarrived)),
    };
    let unsent = match outcome.deliveries.unsent.unwrap_or(0) {
        0 => String::new(),
        unsent => format!("; {} unsent", several(unsent, "message")),
    };
    format!(
        "{} lost{unarrived}, {} doubled, {} out of order{astray} of {}{unsent}",
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
    if let (Some(_), Some(per_s)) = (&outcome.scenario.talk, outcome.deliveries.per_second) {
        let note = format!("of {}", several(outcome.deliveries.published, "message"));
        facts.push(fact("Deliveries", rate(per_s), note));
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
    facts.extend(outcome.connecting.per_second.map(|it| fact("Connecting", rate(it), note)));
    facts
}

fn deliveries(outcome: &Outcome) -> Vec<Fact> {
    let deliveries = &outcome.deliveries;
    let account = deliveries.account();
    let mut facts = Vec::new();
    // Of what an interrupted run did not come to there is nothing to tell.
    let per_s = deliveries.per_second.unwrap_or(0.0);
    let is_measured = deliveries.per_second.is_some();
    if outcome.scenario.talk.is_some() && deliveries.measured == 0 && is_measured {
        facts.push(fact("published", count(deliveries.published), "messages"));
        facts.push(fact("delivered", rate(0.0), "nothing of what was measured"));
    } else if deliveries.measured > 0 {
        let fan_out = to_f64(deliveries.measured) / to_f64(deliveries.published.max(1));
        let published = rate(per_s / fan_out);
        let messages = several(deliveries.published, "message");
        let note = format!("{messages}, each to {} on average", connections(fan_out));
        facts.push(fact("published", published, note));
        let wire = deliveries.frame_bytes.map_or_else(String::new, |frame| {
            format!("{}/s in frames of {}; ", bytes(per_s * frame), bytes(frame))
        });
        let note = format!("{wire}{} measured", count(deliveries.measured));
        facts.push(fact("delivered", rate(per_s), note));
    }
    if account.lost + account.unarrived > 0 {
        let note = format!("of {} due, warm-up included", count(account.expected));
        facts.push(fact("arrived", count(account.received), note));
    }
    let more = [
        ("lost", account.lost, "a later one of their stream came"),
        ("not arrived", account.unarrived, "nor a later one when the drain ended: lost or late"),
        ("astray", account.astray, "came to who had not asked for them"),
        ("early", account.early, "came before the time in their stamp"),
        (
            "late",
            deliveries.late.unwrap_or(0),
            "deliveries after the drain of their window, or not at all",
        ),
        ("unread", deliveries.unread.unwrap_or(0), "messages that the server did not read in time"),
        ("withheld", account.withheld, "from slow or ended connections: policy, not loss"),
        ("refused", account.publishes_refused, "messages, by the server"),
        ("turned away", account.refused.saturating_sub(account.publishes_refused), "who came back"),
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

fn server_memory(server: &Server, outcome: &Outcome) -> Vec<Fact> {
    let mut facts = Vec::new();
    if let Some(rss) = server.rss_bytes_per_connection {
        // Allocators give pages back late: the figure is of this time.
        let settle = span(Duration::from_millis(outcome.scenario.times.settle_ms));
        let what = format!("resident, as the kernel counts, {settle} after the last came");
        let below = count(ROUGH_BELOW.into());
        let note = if is_rough(outcome) {
            format!("{what}; rough below {below} connections: what is made once weighs as much")
        } else {
            what
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
    let pace = connecting.per_second.map_or_else(String::new, |it| format!(", {}", rate(it)));
    let note = format!("of {}{pace}", count(u64::from(wanted)));
    let mut facts = vec![fact("subscribed", subscribed, note)];
    facts.extend(storm(outcome));
    if connecting.failed > 0 {
        let reasons = connecting.reasons.join("; ");
        facts.push(fact("failed", count(u64::from(connecting.failed)), reasons));
    }
    facts
}

/// Who was lost in a storm and came back.
fn storm(outcome: &Outcome) -> Option<Fact> {
    let storm = outcome.scenario.storm.as_ref()?;
    let account = outcome.deliveries.account.as_ref()?;
    let all = u64::from(storm.connections);
    let back = if storm.back { all.saturating_sub(account.away) } else { 0 };
    Some(fact("storm", format!("lost {}", count(all)), format!("back {}", count(back))))
}

fn load(outcome: &Outcome) -> Vec<Fact> {
    let load = &outcome.load;
    let workers = match load.workers {
        1 => "the one process".to_owned(),
        more => format!("the busiest of {more} processes"),
    };
    let mut facts = Vec::new();
    facts.extend(load.busiest.map(|busiest| fact("busy", share(busiest), workers)));
    if let Some(cpu_us) = load.cpu_us.filter(|_| outcome.deliveries.measured > 0) {
        let each = cpu_us / to_f64(outcome.deliveries.measured);
        facts.push(fact("CPU a delivery", micros(each), "all processes"));
    }
    let rss = load.rss_bytes_per_connection;
    facts.extend(rss.map(|rss| fact("RSS a connection", bytes(rss), "of the load's own")));
    facts
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
