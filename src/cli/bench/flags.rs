//! The flags of `shardwire bench`, and the keys of a profile that they stand for.
//!
//! A flag is only carried: the profile's reader judges it like the file's own value, so that one
//! start shows every error.

use std::path::PathBuf;

use clap::Args;

use crate::load::profile::Given;
use crate::load::report::bounds::Bound;

/// What can be typed.
#[derive(Args, Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "switches are independent of each other")]
pub(in crate::cli) struct BenchFlags {
    /// What to do: a built-in profile by name, or a TOML file by path [default: fanout]
    #[arg(value_name = "PROFILE")]
    pub(super) profile: Option<String>,
    /// List the built-in profiles
    #[arg(long, conflicts_with_all = ["show", "url"])]
    pub(super) list: bool,
    /// Print what is meant as a profile, with all other flags in it, and do nothing
    #[arg(long)]
    pub(super) show: bool,

    /// The server; without it a broker is started for the run
    #[arg(long, value_name = "URL", help_heading = "Server")]
    url: Option<String>,
    /// The protocol: topics, events, channels, socketio, nats, mqtt, nchan [default: topics]
    #[arg(long, value_name = "NAME", help_heading = "Server")]
    dialect: Option<String>,
    /// Offer permessage-deflate, and switch it on in a broker of the run [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", help_heading = "Server")]
    compression: Option<String>,
    /// The token that every client shows
    #[arg(long, env = "SHARDWIRE_BENCH_TOKEN", hide_env_values = true)]
    #[arg(value_name = "TOKEN", help_heading = "Server")]
    token: Option<String>,
    /// Make a token for each client, signed with this secret (HS256)
    #[arg(long, env = "SHARDWIRE_BENCH_SECRET", hide_env_values = true)]
    #[arg(value_name = "SECRET", help_heading = "Server")]
    secret: Option<String>,
    /// The tenant of these tokens [default: none; of channels on a broker of the run: bench]
    #[arg(long, value_name = "TENANT", help_heading = "Server")]
    tenant: Option<String>,
    /// Trust these authorities (PEM) with wss [default: the system's]
    #[arg(long, value_name = "FILE", help_heading = "Server")]
    ca: Option<String>,
    /// Take any certificate with wss
    #[arg(long, help_heading = "Server")]
    insecure: bool,
    /// The server's process, to tell its CPU time and memory; its descendants count too
    #[arg(long, value_name = "PID", value_parser = process, requires = "url", help_heading = "Server")]
    pub(super) pid: Option<u32>,
    /// Where the server tells its metrics, to tell its CPU time, memory and heap
    #[arg(long, value_name = "URL", requires = "url", help_heading = "Server")]
    pub(super) metrics: Option<String>,

    /// A setting of the broker started for the run, as websocket.compression=true; repeatable
    #[arg(long, value_name = "KEY=VALUE", help_heading = "Broker of the run")]
    set: Vec<String>,
    /// Its shards [default: 1]
    #[arg(long, value_name = "COUNT", help_heading = "Broker of the run")]
    shards: Option<String>,
    /// Bind it to this processor [default, with one shard: the first of several]
    #[arg(long, value_name = "NUMBER", help_heading = "Broker of the run")]
    server_cpu: Option<String>,

    /// Connections that subscribe; 1k is 1000 here and wherever a whole number is meant [default:
    /// the profile's, else 1000]
    #[arg(long, value_name = "COUNT", help_heading = "Crowd")]
    connections: Option<String>,
    /// Topics in all [default: the profile's, else 1]
    #[arg(long, value_name = "COUNT", help_heading = "Crowd")]
    topics: Option<String>,
    /// Subscriptions of each connection [default: the profile's, else 1]
    #[arg(long, value_name = "COUNT", help_heading = "Crowd")]
    subscriptions: Option<String>,
    /// Subscribe to topics by name or by patterns: exact, wildcard [default: the profile's, else
    /// exact]
    #[arg(long, value_name = "KIND", help_heading = "Crowd")]
    interest: Option<String>,
    /// Connections begun in a second; 0: as fast as they are taken [default: the profile's,
    /// else 0]
    #[arg(long, value_name = "RATE", help_heading = "Crowd")]
    connect_rate: Option<String>,
    /// Connections at a time that are not yet subscribed [default: the profile's, else 256]
    #[arg(long, value_name = "COUNT", help_heading = "Crowd")]
    connecting: Option<String>,
    /// Processes of the load; 0: as few as the descriptors allow [default: the profile's, else 0]
    #[arg(long, value_name = "COUNT", help_heading = "Crowd")]
    workers: Option<String>,
    /// Bind them to these processors, as 1-3,5 [default beside a bound broker: all others]
    #[arg(long, value_name = "LIST", help_heading = "Crowd")]
    cpu: Option<String>,

    /// Connections that publish; 0: nobody [default: the profile's, else all with --members and 1
    /// without]
    #[arg(long, value_name = "COUNT", help_heading = "Talk")]
    publishers: Option<String>,
    /// Whether they are of the crowd, each talking in its own topics [default: the profile's,
    /// else false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "true", help_heading = "Talk")]
    members: Option<String>,
    /// Publish on schedule, so many messages a second (0.001 or more), all publishers together
    /// [default: the profile's, else --in-flight, one for each publisher]
    #[arg(long, value_name = "RATE", help_heading = "Talk")]
    rate: Option<String>,
    /// Publish when earlier messages have reached everyone, at most so many on their way, one for
    /// each publisher or more [default: the profile's, else one for each]
    #[arg(long, value_name = "COUNT", help_heading = "Talk")]
    in_flight: Option<String>,
    /// Publish so many at once [default: the profile's, else 1]
    #[arg(long, value_name = "COUNT", help_heading = "Talk")]
    batch: Option<String>,
    /// Bytes of a message [default: the profile's, else 128]
    #[arg(long, value_name = "BYTES", help_heading = "Talk")]
    payload: Option<String>,

    /// Load that is not measured, before [default: the profile's, else 2s]
    #[arg(long, value_name = "TIME", help_heading = "Times (10s, 500ms, 2m)")]
    warm_up: Option<String>,
    /// What is measured [default: the profile's, else 10s]
    #[arg(long, value_name = "TIME", help_heading = "Times (10s, 500ms, 2m)")]
    measure: Option<String>,
    /// Wait at most so long for what is still on its way [default: the profile's, else 10s]
    #[arg(long, value_name = "TIME", help_heading = "Times (10s, 500ms, 2m)")]
    drain: Option<String>,
    /// Compare with a bare loop of send over as many sockets, in so many pairs of windows
    /// [default: the profile's, else no comparison; --floor alone: 10 pairs]
    #[arg(long, value_name = "PAIRS", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "10", help_heading = "Times (10s, 500ms, 2m)")]
    floor: Option<String>,
    /// How that loop sends: each delivery by itself, or together what came together [default:
    /// together where messages are published in batches, else each]
    #[arg(long, value_name = "HOW", help_heading = "Times (10s, 500ms, 2m)")]
    floor_sends: Option<String>,
    /// Search for the highest rate that is held: nothing lost, and p99 of latency within so much;
    /// in place of one measured window, from --rate on [default: no search; --find-rate alone:
    /// 10ms]
    #[arg(long, value_name = "P99", num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "10ms", help_heading = "Talk")]
    find_rate: Option<String>,
    /// Any key of a profile, as storm.at=2s; repeatable
    #[arg(long, value_name = "KEY=VALUE", value_parser = crate::cli::assignment)]
    with: Vec<(String, String)>,

    /// Write the outcome as JSON
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) json: Option<PathBuf>,
    /// Write a page with plots
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) html: Option<PathBuf>,
    /// Tell each main figure by that of an earlier run, whose JSON outcome this is
    #[arg(long, value_name = "FILE", help_heading = "Report")]
    pub(super) against: Option<PathBuf>,
    /// Fail when a figure is so, as p99>5ms, lost>0 or rss_per_connection>450; repeatable
    #[arg(long, value_name = "BOUND", value_parser = Bound::parse, help_heading = "Report")]
    pub(super) fail_if: Vec<Bound>,
    /// Say nothing but errors while it runs
    #[arg(long, short, help_heading = "Report")]
    pub(super) quiet: bool,
}

/// A process that may be a server: there is no process 0, and this one is the load.
fn process(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(own) if own == std::process::id() => Err("that is this very process".to_owned()),
        Ok(pid) if pid > 0 => Ok(pid),
        _ => Err("allowed: the number of a process, from 1".to_owned()),
    }
}

impl BenchFlags {
    /// The flags as keys of a profile: `--with` first, so that a flag of its own name counts more.
    pub(super) fn given(&self) -> Vec<Given> {
        let with = self.with.iter().map(|(key, text)| Given::guess("--with", key, text));
        let set = self.set.iter().map(|text| Given::text("--set", "broker.settings", text));
        let texts = [
            ("--url", "target.url", &self.url),
            ("--dialect", "target.dialect", &self.dialect),
            ("--token", "target.token", &self.token),
            ("--secret", "target.secret", &self.secret),
            ("--tenant", "target.tenant", &self.tenant),
            ("--ca", "target.ca", &self.ca),
            ("--interest", "crowd.interest", &self.interest),
            ("--cpu", "crowd.processors", &self.cpu),
            ("--find-rate", "search.p99", &self.find_rate),
            ("--warm-up", "times.warm_up", &self.warm_up),
            ("--measure", "times.measure", &self.measure),
            ("--drain", "times.drain", &self.drain),
        ];
        let guesses = [
            ("--compression", "target.compression", &self.compression),
            ("--connections", "crowd.connections", &self.connections),
            ("--topics", "crowd.topics", &self.topics),
            ("--subscriptions", "crowd.subscriptions", &self.subscriptions),
            ("--connect-rate", "crowd.connect_per_s", &self.connect_rate),
            ("--connecting", "crowd.connecting_max", &self.connecting),
            ("--workers", "crowd.workers", &self.workers),
            ("--publishers", "talk.publishers", &self.publishers),
            ("--members", "talk.members", &self.members),
            ("--rate", "talk.per_s", &self.rate),
            ("--in-flight", "talk.in_flight", &self.in_flight),
            ("--batch", "talk.batch", &self.batch),
            ("--payload", "talk.payload_bytes", &self.payload),
            ("--floor", "floor.pairs", &self.floor),
            ("--floor-sends", "floor.sends", &self.floor_sends),
            ("--shards", "broker.shards", &self.shards),
            ("--server-cpu", "broker.processor", &self.server_cpu),
        ];
        let text = |(flag, key, text): (&str, &str, &Option<String>)| {
            text.as_ref().map(|text| Given::text(flag, key, text))
        };
        let guess = |(flag, key, text): (&str, &str, &Option<String>)| {
            text.as_ref().map(|text| Given::guess(flag, key, text))
        };
        let insecure = self.insecure.then(|| Given::guess("--insecure", "target.insecure", "true"));
        with.chain(set)
            .chain(texts.into_iter().filter_map(text))
            .chain(guesses.into_iter().filter_map(guess))
            .chain(insecure)
            .collect()
    }
}
