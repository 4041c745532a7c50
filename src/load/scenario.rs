//! What a run does, as meant: every choice made, every number checked.
//!
//! Made from a profile and flags ([`super::profile`]), handed to each worker as JSON. One shape
//! holds every kind of load: a crowd that connects and subscribes, and then any of talk, churn,
//! slow readers and a storm beside it. Times are milliseconds, sizes bytes, as the names say.

use std::net::SocketAddr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Rates that a search tries at most.
pub const SEARCH_STEPS_MAX: usize = 24;

/// A run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    /// Of the profile.
    pub name: String,
    /// Where, and in which words.
    pub target: Target,
    /// Who connects and subscribes.
    pub crowd: Crowd,
    /// Who publishes; nobody: the connections are held.
    pub talk: Option<Talk>,
    /// Connections that leave while it runs, each replaced by a new one.
    pub churn: Option<Churn>,
    /// Connections that read slowly.
    pub slow: Option<Slow>,
    /// Connections that are lost at once and come back.
    pub storm: Option<Storm>,
    /// How long.
    pub times: Times,
    /// Pairs of windows, one of the server and one of the floor, that the measuring is cut into;
    /// 0: the server alone.
    pub floor_pairs: u32,
    /// How the floor sends.
    pub floor_mode: Mode,
    /// Search for the highest rate that the server holds, in place of one measured window; with
    /// [`Pace::Open`], whose rate is the first that is tried.
    #[serde(default)]
    pub search: Option<Search>,
}

impl Scenario {
    /// Connections to the server: the crowd, and publishers beside it.
    pub fn connections(&self) -> u32 {
        let beside = self.talk.as_ref().filter(|talk| !talk.members);
        self.crowd.connections + beside.map_or(0, |talk| talk.publishers)
    }
}

/// How messages that were read together go out from the floor ([`super::floor`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// A send for each delivery.
    Each,
    /// One send to each subscriber.
    Together,
}

/// When a rate is held: nothing lost or late beyond the drain, and latency within bounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Search {
    /// The 99th percentile of latency may be this, in microseconds.
    pub p99_us: u64,
    /// The search ends when the held and the failed rate are this close, in percent.
    pub within_percent: u32,
}

/// The server under load.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Resolved.
    pub address: SocketAddr,
    /// The `Host` header and, with TLS, the server's name.
    pub host: String,
    /// The path of the endpoint, with its query.
    pub path: String,
    /// `wss`.
    pub tls: Option<Tls>,
    /// What is spoken.
    pub dialect: Spoken,
    /// Offer permessage-deflate.
    pub compression: bool,
    /// What clients show.
    pub credentials: Credentials,
}

/// How the server's certificate is judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tls {
    /// By the authorities of this PEM file.
    Authorities(PathBuf),
    /// Not at all.
    Any,
}

/// The protocols a load can speak, each a file of [`super::dialect`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Spoken {
    /// The JSON protocol of `/ws` (protocols.md section 3).
    Topics,
    /// Its deliveries without an envelope (protocols.md section 3).
    Events,
    /// The multi-tenant channels (protocols.md section 4).
    Channels,
    /// Rooms over Engine.IO v4 and Socket.IO v5, WebSocket from the start (protocols.md section 5).
    Socketio,
    /// The NATS client protocol in WebSocket frames.
    Nats,
    /// MQTT 3.1.1 in WebSocket frames, QoS 0.
    Mqtt,
    /// nginx's nchan: a topic is a path, a message a frame.
    Nchan,
    /// The floor's own few words ([`super::floor`]).
    Floor,
}

/// What a client proves itself with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Credentials {
    /// Nothing.
    None,
    /// The same token for all.
    Token(String),
    /// A token for each, HS256, `sub` its user id.
    Secret {
        /// What it is signed with.
        secret: String,
        /// `tenantId`.
        tenant: Option<String>,
    },
}

/// Who connects, and what each subscribes to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Crowd {
    /// Connections that subscribe.
    pub connections: u32,
    /// Topics in all.
    pub topics: u32,
    /// Subscriptions of each connection.
    pub subscriptions: u32,
    /// Topics by name, or by patterns that match several.
    pub interest: Interest,
    /// Connections begun in a second over all workers; 0: as fast as they are taken.
    pub connect_per_s: u32,
    /// Connections at a time that are not yet subscribed.
    pub connecting_max: u32,
    /// Connections from one address of 127.0.0.0/8, when the server is on this machine.
    pub per_address: u32,
    /// Processes; 0: as few as the descriptors allow.
    pub workers: u32,
    /// Processors that the workers are bound to, in turns; empty: not bound.
    pub processors: Vec<u32>,
}

/// What is subscribed to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Interest {
    /// Topics by name, in turns: connection `c` has topics `c`, `c + 1` … modulo their number.
    Exact,
    /// Dashboards: patterns with `*` and `**` over sites, devices and metrics.
    Wildcard,
}

/// Publishing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Talk {
    /// Connections that publish.
    pub publishers: u32,
    /// Whether they are the crowd's own (everyone talks in its own rooms), or connections beside
    /// it, each publishing to all topics in turns.
    pub members: bool,
    /// When.
    pub pace: Pace,
    /// Bytes of a message's payload: the text in `data`, without its quotes.
    pub payload_bytes: u32,
}

/// When messages are published.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Pace {
    /// On schedule, whatever the server does. Messages a second, all publishers together.
    Open {
        /// Messages a second.
        per_s: f64,
    },
    /// When earlier messages have reached everyone.
    Closed {
        /// Messages on their way, all publishers together; no fewer than these.
        in_flight: u32,
        /// Places that must be free before as many messages go out at once.
        batch: u32,
    },
}

/// Leaving and coming.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Churn {
    /// Connections a second that leave, over all workers, each replaced by a new one that
    /// subscribes to the same.
    pub per_s: u32,
    /// Every second one leaves by a reset instead of a close frame.
    pub resets: bool,
}

/// Reading slowly.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Slow {
    /// How many of the crowd.
    pub readers: u32,
    /// Bytes that each reads in a second; 0: none at all.
    pub bytes_per_s: u32,
}

/// A crowd that is lost at once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Storm {
    /// Connections that are closed, without a word, at the same time.
    pub connections: u32,
    /// Milliseconds after the measuring began.
    pub at_ms: u64,
    /// Whether they come back at once.
    pub back: bool,
}

/// How long each part takes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// Load that is not measured, before.
    pub warm_up_ms: u64,
    /// Rest between the last connection and the look at the server's memory: allocators give pages
    /// back late.
    #[serde(default)]
    pub settle_ms: u64,
    /// What is measured.
    pub measure_ms: u64,
    /// At most this is waited for what is still on its way.
    pub drain_ms: u64,
    /// Time between two points of the plots.
    pub sample_ms: u64,
}
