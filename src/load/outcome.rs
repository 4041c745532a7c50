//! What a run came to: the JSON file, and all that the table and the page show.
//!
//! Field names are the file's; units are in them. What was not measured is absent, never zero.

use serde::{Deserialize, Serialize};

use crate::load::orders::Account;
use crate::load::scenario::Scenario;

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
    pub unsent: u64,
    /// Over the whole run, warm-up included.
    #[serde(flatten)]
    pub account: Account,
    /// Deliveries of the measured windows.
    pub measured: u64,
    /// Of them, a second of the measured time.
    pub per_second: f64,
    /// Bytes of a delivery's frame, on average.
    pub frame_bytes: f64,
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
    /// From connecting to subscribed.
    pub latency_us: Percentiles,
    /// Connections subscribed in a second.
    pub per_second: f64,
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

/// The load's own processes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Load {
    /// Processes.
    pub workers: u32,
    /// Share of one processor that the busiest worked in the measured time, 0 to 1; waiting without
    /// sleep is no work.
    pub busiest: f64,
    /// CPU time of all in the measured windows.
    pub cpu_us: f64,
    /// Resident memory of a connection in the load.
    pub rss_bytes_per_connection: f64,
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
