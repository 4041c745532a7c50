//! What a run came to: the JSON file, and all that the table and the page show.
//!
//! Field names are the file's; units are in them. What was not measured is absent, never zero.

use std::sync::LazyLock;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::load::orders::Account;
use crate::load::scenario::Scenario;

/// Connections below which what a server makes once weighs too much in the memory of each.
pub const ROUGH_BELOW: u32 = 10_000;
/// Points that a run may have: what asks for more is refused.
pub const POINTS_MAX: usize = 500_000;
/// What is told of deliveries that were not counted.
static UNCOUNTED: LazyLock<Account> = LazyLock::new(Account::default);

/// A run, done.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// Of this form: 1.
    pub format: u32,
    /// RFC 3339, when it began.
    pub started: String,
    /// What was typed.
    pub command: String,
    /// This program's version.
    pub version: String,
    /// Where it ran.
    pub machine: Machine,
    /// What was done, its secrets taken out.
    pub scenario: Scenario,
    /// It was interrupted: what was measured until then.
    #[serde(default)]
    pub interrupted: bool,
    /// Told first: loss, doubles, order.
    pub deliveries: Deliveries,
    /// Latency of deliveries; absent when nothing was published.
    pub latency_us: Option<Percentiles>,
    /// Connecting.
    pub connecting: Connecting,
    /// The server, where its process or metrics were given.
    pub server: Option<Server>,
    /// The bare send loop, where it was asked for.
    pub floor: Option<Floor>,
    /// The load itself.
    pub load: Load,
    /// The search for the highest rate that is held, where it was asked for.
    #[serde(default)]
    pub search: Option<Search>,
    /// What went wrong besides loss, doubles and order, in words: connections that the server ended,
    /// that failed or did not come back; talk that did not come to be. Each makes the run unsound.
    #[serde(default)]
    pub faults: Vec<String>,
    /// Points of the plots, in order of time.
    pub samples: Vec<Sample>,
    /// Percentiles for the plot: percentile, microseconds.
    pub latency_curve: Vec<(f64, u64)>,
    /// What a reader has to know: a saturated load process, late publishing, shared memory.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// The file's text: indented, with a newline at its end.
    ///
    /// # Panics
    /// Never: an outcome holds nothing that JSON has not.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).expect("an outcome is plain data");
        text.push('\n');
        text
    }
}

/// The machine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Machine {
    /// Model of the processor.
    pub processor: String,
    /// Logical processors.
    pub processors: u32,
    /// Bytes of memory.
    pub memory_bytes: u64,
    /// Kernel and its release.
    pub kernel: String,
}

/// Deliveries, all of them and by time.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Deliveries {
    /// Messages published while it was measured.
    pub published: u64,
    /// Messages that came due in that time and did not go out: the load was late, or their
    /// publisher gone.
    #[serde(default)]
    pub unsent: Option<u64>,
    /// Messages that came due in that time while their publisher's connection had no room: the
    /// server did not read them.
    #[serde(default)]
    pub unread: Option<u64>,
    /// Deliveries of the measured windows that came after their window's drain, or not at all.
    #[serde(default)]
    pub late: Option<u64>,
    /// Over the whole run, warm-up included; absent where an interrupted run did not come to the
    /// counting.
    #[serde(flatten, serialize_with = "counted_or_null", deserialize_with = "counted")]
    pub account: Option<Account>,
    /// Deliveries of the measured windows.
    pub measured: u64,
    /// Of them, a second of the measured time.
    pub per_second: Option<f64>,
    /// Bytes of a delivery's frame, on average.
    pub frame_bytes: Option<f64>,
}

impl Deliveries {
    /// Loss, doubles and order; nothing but zeros where they were not counted.
    pub fn account(&self) -> &Account {
        self.account.as_ref().unwrap_or(&UNCOUNTED)
    }

    /// The same, to be changed.
    #[cfg(test)]
    pub(in crate::load) fn account_mut(&mut self) -> &mut Account {
        self.account.get_or_insert_default()
    }
}

/// The fields of an account, each `null` where there is none: the file's shape stays.
#[expect(clippy::ref_option, reason = "serde gives it so")]
fn counted_or_null<S: Serializer>(account: &Option<Account>, to: S) -> Result<S::Ok, S::Error> {
    let Some(account) = account else {
        let fields = serde_json::to_value(&*UNCOUNTED).map_err(serde::ser::Error::custom)?;
        let names = fields.as_object().into_iter().flatten().map(|(name, _)| name);
        return to.collect_map(names.map(|name| (name, None::<u64>)));
    };
    account.serialize(to)
}

/// An account, or none where its fields are `null`.
fn counted<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Account>, D::Error> {
    let mut fields = serde_json::Map::deserialize(from)?;
    if fields.get("expected").is_none_or(serde_json::Value::is_null) {
        return Ok(None);
    }
    // Of a file from before it was counted.
    fields.entry("early").or_insert_with(|| 0.into());
    serde_json::from_value(fields.into()).map(Some).map_err(serde::de::Error::custom)
}

/// Percentiles of times in microseconds.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[expect(missing_docs, reason = "their names say it")]
pub struct Percentiles {
    pub min: u64,
    pub mean: f64,
    pub p50: u64,
    pub p90: u64,
    pub p99: u64,
    pub p99_9: u64,
    pub p99_99: u64,
    pub max: u64,
}

/// What connecting came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Connecting {
    /// Connections that were subscribed in the end.
    pub subscribed: u32,
    /// Refused or lost, and some of the reasons.
    pub failed: u32,
    /// Each once.
    pub reasons: Vec<String>,
    /// From connecting to subscribed; absent where nobody was, or connecting did not end.
    pub latency_us: Option<Percentiles>,
    /// Connections subscribed in a second.
    pub per_second: Option<f64>,
    /// From being replaced (churn) or lost (storm) to being subscribed again, in the measured
    /// windows; absent where nobody came back.
    pub returning_us: Option<Percentiles>,
}

/// The server, from outside.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Server {
    /// CPU time of the measured windows; absent where it is not known of each.
    pub cpu_us: Option<f64>,
    /// For a delivery.
    pub cpu_us_per_delivery: Option<f64>,
    /// Deliveries that a second of its CPU makes.
    pub deliveries_per_cpu_second: Option<f64>,
    /// CPU to connect, authenticate and subscribe one connection.
    pub cpu_us_per_connection: Option<f64>,
    /// Resident memory of a connection: after connecting less before, by connections.
    pub rss_bytes_per_connection: Option<f64>,
    /// Heap of a connection, where the server tells its heap.
    pub heap_bytes_per_connection: Option<f64>,
    /// Resident memory before the first connection, with all of them, at the most, at the end.
    pub rss_bytes: Option<[u64; 4]>,
    /// Share of the measured time that its threads were ready to run and had no processor, in sum.
    #[serde(default)]
    pub starved: Option<f64>,
    /// Processes counted.
    pub processes: u32,
}

/// The bare send loop beside it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Floor {
    /// CPU of one send.
    pub cpu_us_per_send: f64,
    /// CPU of a delivery: of one send by the deliveries in it.
    pub cpu_us_per_delivery: f64,
    /// Of pairs of neighbouring windows: server's CPU a delivery by the floor's. Lower quartile,
    /// median, upper quartile.
    pub ratio: [f64; 3],
    /// Each pair: server's, floor's CPU a delivery in microseconds.
    pub pairs: Vec<(f64, f64)>,
}

/// What a search for the highest rate came to.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Search {
    /// The highest rate that was held, in messages a second; absent when none was.
    pub held_per_s: Option<f64>,
    /// The lowest rate that was not, by the server's fault; absent when there was none.
    pub failed_per_s: Option<f64>,
    /// The lowest rate at which the load was late and nothing else wrong: whether the server would
    /// have held it is not known. Absent when there was none.
    #[serde(default)]
    pub inconclusive_per_s: Option<f64>,
    /// Each rate that was tried, in order of time.
    pub steps: Vec<Step>,
}

/// One rate that a search tried.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Step {
    /// Messages a second that were to be published.
    pub per_s: f64,
    /// Deliveries a second that came.
    pub delivered_per_s: f64,
    /// Their latency, from the intended time.
    pub latency_us: Percentiles,
    /// Share of one processor that the server used.
    pub server_cpu: Option<f64>,
    /// Whether the rate was held.
    pub held: bool,
    /// Whether only the load was late: nothing is known of the server.
    #[serde(default)]
    pub inconclusive: bool,
    /// Why not, in words.
    pub because: String,
}

/// The load's own processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Processes.
    pub workers: u32,
    /// Share of one processor that the busiest worked in the measured time, 0 to 1; waiting without
    /// sleep is no work.
    pub busiest: Option<f64>,
    /// CPU time of all in the measured windows.
    pub cpu_us: Option<f64>,
    /// Share of the measured time that the worker which waited longest was ready to run and had no
    /// processor: the machine's noise. Absent where the kernel does not tell.
    #[serde(default)]
    pub starved: Option<f64>,
    /// Resident memory of a connection in the load.
    pub rss_bytes_per_connection: Option<f64>,
    /// How much later than on schedule messages were published; open loop.
    pub late_us: Option<Percentiles>,
}

/// One point of the plots.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sample {
    /// Milliseconds since the run began.
    pub at_ms: u64,
    /// What went on.
    pub phase: Phase,
    /// Connections open.
    pub open: u32,
    /// Messages published in a second.
    pub published_per_s: f64,
    /// Deliveries in a second.
    pub delivered_per_s: f64,
    /// Latencies of them.
    pub latency_us: Option<Percentiles>,
    /// Share of one processor that the server used; over 1 with more than one.
    pub server_cpu: Option<f64>,
    /// Its resident memory.
    pub server_rss_bytes: Option<u64>,
    /// Share of one processor that the load used, all workers.
    pub load_cpu: f64,
}

/// What a run does at a time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[expect(missing_docs, reason = "their names say it")]
pub enum Phase {
    #[default]
    Connect,
    WarmUp,
    Measure,
    Floor,
    Drain,
}
