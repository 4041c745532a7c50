//! A profile as typed: the tables and keys of the TOML file, by serde.
//!
//! Every key is optional; what a missing one means is in `meant.rs`. The range of a value is in its
//! type, so an error can tell what is allowed. Units are in the names of keys, or, for times, in
//! the text.

use std::path::PathBuf;

use serde::Deserialize;

use super::value::{Fraction, Latency, Processors, Protocol, Span, Whole};
use crate::load::scenario::{Interest, Mode};
use crate::load::stamp::STAMP_BYTES;

/// Connections, topics and the like.
pub(super) type Count = Whole<1, 10_000_000>;
/// The same, or none.
pub(super) type CountOrNone = Whole<0, 10_000_000>;
/// Bytes of a payload.
pub(super) type PayloadBytes = Whole<{ STAMP_BYTES as u64 }, { 1 << 20 }>;

/// A profile.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Typed {
    pub(super) about: Option<String>,
    pub(super) target: Target,
    pub(super) crowd: Crowd,
    pub(super) talk: Option<Talk>,
    pub(super) churn: Option<Churn>,
    pub(super) slow: Option<Slow>,
    pub(super) storm: Option<Storm>,
    pub(super) times: Times,
    pub(super) search: Option<Search>,
    pub(super) floor: Option<Floor>,
    pub(super) broker: Broker,
}

/// The server.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [target]")]
pub(super) struct Target {
    pub(super) url: Option<String>,
    pub(super) dialect: Option<Protocol>,
    pub(super) compression: Option<bool>,
    pub(super) token: Option<String>,
    pub(super) secret: Option<String>,
    pub(super) tenant: Option<String>,
    pub(super) ca: Option<PathBuf>,
    pub(super) insecure: Option<bool>,
}

/// Who connects.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [crowd]")]
pub(super) struct Crowd {
    pub(super) connections: Option<Count>,
    pub(super) topics: Option<Count>,
    pub(super) subscriptions: Option<Whole<1, 10_000>>,
    pub(super) interest: Option<Interest>,
    pub(super) connect_per_s: Option<CountOrNone>,
    pub(super) connecting_max: Option<Count>,
    pub(super) per_address: Option<Whole<1, 60_000>>,
    pub(super) workers: Option<Whole<0, 1024>>,
    pub(super) processors: Option<Processors>,
}

/// Who publishes.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [talk]")]
pub(super) struct Talk {
    pub(super) publishers: Option<CountOrNone>,
    pub(super) members: Option<bool>,
    pub(super) per_s: Option<Fraction>,
    pub(super) in_flight: Option<Count>,
    pub(super) batch: Option<Count>,
    pub(super) payload_bytes: Option<PayloadBytes>,
}

/// Leaving and coming.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [churn]")]
pub(super) struct Churn {
    pub(super) per_s: Option<Whole<1, 1_000_000>>,
    pub(super) resets: Option<bool>,
}

/// Reading slowly.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [slow]")]
pub(super) struct Slow {
    pub(super) readers: Option<Count>,
    pub(super) bytes_per_s: Option<Whole<0, 1_000_000_000>>,
}

/// Lost at once.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [storm]")]
pub(super) struct Storm {
    pub(super) connections: Option<Count>,
    pub(super) at: Option<Span<0>>,
    pub(super) back: Option<bool>,
}

/// How long.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [times]")]
pub(super) struct Times {
    pub(super) warm_up: Option<Span<0>>,
    pub(super) settle: Option<Span<0>>,
    pub(super) measure: Option<Span<100>>,
    pub(super) drain: Option<Span<100>>,
    pub(super) sample: Option<Span<20>>,
}

/// The search for the highest rate.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [search]")]
pub(super) struct Search {
    pub(super) p99: Option<Latency>,
    pub(super) within: Option<Whole<1, 100>>,
}

/// The bare send loop beside it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [floor]")]
pub(super) struct Floor {
    pub(super) pairs: Option<Whole<0, 1000>>,
    pub(super) sends: Option<Mode>,
}

/// A broker that is started for the run.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, expecting = "a table: [broker]")]
pub(super) struct Broker {
    pub(super) shards: Option<Whole<1, { crate::limits::SHARDS_MAX as u64 }>>,
    pub(super) processor: Option<Whole<0, 4095>>,
    pub(super) settings: Option<Vec<super::value::Assignment>>,
}
