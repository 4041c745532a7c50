//! What is meant by a profile as typed: every default, and the server's address.
//!
//! Nothing is refused here but what cannot be found; whether the choices go together is judged by
//! `check.rs`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::address::{ALLOWED, Url, usual_path};
use super::read::Read;
use super::typed::{self, Typed};
use super::value::{Span, Whole};
use super::{Broker, Surroundings};
use crate::load::outcome::ROUGH_BELOW;
use crate::load::scenario::{
    Churn, Credentials, Crowd, Interest, Mode, Pace, Scenario, Search, Slow, Spoken, Storm, Talk,
    Target, Times, Tls,
};

/// Connections of a crowd that says nothing.
const CONNECTIONS: u32 = 1000;
/// Connections at a time that are not yet subscribed.
const CONNECTING_MAX: u32 = 256;
/// Connections from one source address: within the kernel's range of ports for clients.
const PER_ADDRESS: u32 = 20_000;
/// Bytes of a payload.
const PAYLOAD_BYTES: u32 = 128;
/// Milliseconds: warm-up, measuring, drain at the most, between two samples; settling is made of
/// others.
const TIMES: Times =
    Times { warm_up_ms: 2000, settle_ms: 0, measure_ms: 10_000, drain_ms: 10_000, sample_ms: 250 };
/// Samples of the measuring at least, where none is asked for.
const SAMPLES_MIN: u64 = 4;
/// Milliseconds that the memory of a crowd settles that is worth a figure.
const SETTLE_MS: u64 = 3000;
/// Sample times that of another one does.
const SETTLE_SAMPLES: u64 = 2;
/// A search that says nothing.
const SEARCH: Search = Search { p99_us: 10_000, within_percent: 10 };
/// Deliveries a second that a search begins with, about: any server has them.
const SEARCH_DELIVERIES_PER_S: f64 = 20_000.0;
/// Milliseconds after the measuring began that a storm breaks out.
const STORM_AT_MS: u64 = 3000;
/// Where Debian and its kin keep the authorities that the machine trusts.
const SYSTEM_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Tenant of a run on a broker of its own, for the protocol that needs one.
const TENANT: &str = "bench";

/// The server, and whether it is one that has to be started.
pub(super) fn target(typed: &Typed, read: &mut Read, around: &Surroundings<'_>) -> (Target, bool) {
    let typed::Target { url, dialect, compression, .. } = &typed.target;
    let dialect = dialect.map_or(Spoken::Topics, |protocol| protocol.0);
    // A URL that was refused is no sign that a broker is wanted.
    let own = !read.has("target.url");
    let parsed = url.as_deref().and_then(Url::parse);
    if url.is_some() && parsed.is_none() {
        read.refuse("target.url", format_args!("allowed: {ALLOWED}, without #fragment and user@"));
    }
    let loopback = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let address = match &parsed {
        None => loopback,
        Some(url) => (around.resolve)(&url.host, url.port).unwrap_or_else(|error| {
            read.refuse("target.url", format_args!("{} is not found: {error}", url.host));
            loopback
        }),
    };
    let tls = match &parsed {
        Some(url) if url.tls => Some(tls(&typed.target, read, around)),
        _ => None,
    };
    let (host, path) = match parsed {
        Some(url) => (url.authority, path(url.path, dialect)),
        None => (loopback.ip().to_string(), usual_path(dialect).to_owned()),
    };
    let credentials = credentials(&typed.target, own && dialect == Spoken::Channels);
    let compression = compression.unwrap_or(false);
    (Target { address, host, path, tls, dialect, compression, credentials }, own)
}

fn tls(target: &typed::Target, read: &mut Read, around: &Surroundings<'_>) -> Tls {
    if target.insecure == Some(true) {
        return Tls::Any;
    }
    let file = target.ca.as_deref().unwrap_or(Path::new(SYSTEM_AUTHORITIES));
    if !(around.exists)(file) {
        let (key, what) = match target.ca {
            Some(_) => ("target.ca", "there is no such file; allowed: authorities as PEM"),
            None => ("target.url", "wss wants --ca FILE (authorities as PEM) or --insecure"),
        };
        read.refuse(key, what);
    }
    Tls::Authorities(file.to_owned())
}

/// A path as typed, or the usual one; Socket.IO's query is told for it.
fn path(typed: String, dialect: Spoken) -> String {
    let usual = usual_path(dialect);
    match (typed.as_str(), usual.split_once('?')) {
        ("", _) => usual.to_owned(),
        (_, Some((_, query))) if !typed.contains('?') => format!("{typed}?{query}"),
        _ => typed,
    }
}

fn credentials(target: &typed::Target, needs_tenant: bool) -> Credentials {
    match (&target.token, &target.secret) {
        (Some(token), _) => Credentials::Token(token.clone()),
        (None, Some(secret)) => {
            Credentials::Secret { secret: secret.clone(), tenant: target.tenant.clone() }
        }
        (None, None) if needs_tenant => {
            let tenant = target.tenant.clone().unwrap_or_else(|| TENANT.to_owned());
            Credentials::Secret { secret: random_secret(), tenant: Some(tenant) }
        }
        (None, None) => Credentials::None,
    }
}

/// A secret of 256 random bits, for one run on loopback.
fn random_secret() -> String {
    use std::fmt::Write as _;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).expect("the system gives random bytes");
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The run.
pub(super) fn scenario(
    name: &str,
    typed: &Typed,
    target: Target,
    own: bool,
    around: &Surroundings<'_>,
) -> Scenario {
    let crowd = crowd(typed, own, around);
    let storm = typed.storm.as_ref().map(|storm| Storm {
        connections: storm.connections.map_or(crowd.connections, Whole::u32),
        at_ms: storm.at.map_or(STORM_AT_MS, Span::ms),
        back: storm.back.unwrap_or(true),
    });
    let search = typed.search.as_ref().map(|search| Search {
        p99_us: search.p99.map_or(SEARCH.p99_us, |p99| p99.0.as_micros() as u64),
        within_percent: search.within.map_or(SEARCH.within_percent, Whole::u32),
    });
    Scenario {
        name: name.to_owned(),
        target,
        talk: typed.talk.as_ref().and_then(|talks| talk(talks, &crowd, search.is_some())),
        churn: typed.churn.as_ref().map(|churn| Churn {
            per_s: churn.per_s.map_or(crowd.connections.div_ceil(10), Whole::u32),
            resets: churn.resets.unwrap_or(false),
        }),
        slow: typed.slow.as_ref().map(|slow| Slow {
            readers: slow.readers.map_or(crowd.connections.div_ceil(10), Whole::u32),
            bytes_per_s: slow.bytes_per_s.map_or(0, Whole::u32),
        }),
        storm,
        times: self::times(&typed.times, crowd.connections),
        floor_mode: floor_mode(typed),
        search,
        floor_pairs: typed.floor.as_ref().and_then(|it| it.pairs).map_or(0, Whole::u32),
        crowd,
    }
}

fn times(times: &typed::Times, connections: u32) -> Times {
    let measure_ms = times.measure.map_or(TIMES.measure_ms, Span::ms);
    // Some points of a short measuring, too.
    let usual_ms = TIMES.sample_ms.min(measure_ms / SAMPLES_MIN);
    let sample_ms = times.sample.map_or(usual_ms, Span::ms);
    let least_ms = if connections >= ROUGH_BELOW { SETTLE_MS } else { 0 };
    let settle_ms = least_ms.max(SETTLE_SAMPLES * sample_ms);
    Times {
        warm_up_ms: times.warm_up.map_or(TIMES.warm_up_ms, Span::ms),
        settle_ms: times.settle.map_or(settle_ms, Span::ms),
        measure_ms,
        drain_ms: times.drain.map_or(TIMES.drain_ms, Span::ms),
        sample_ms,
    }
}

fn crowd(typed: &Typed, own: bool, around: &Surroundings<'_>) -> Crowd {
    let crowd = &typed.crowd;
    let beside = || match broker(typed, around).processor {
        Some(taken) if own => {
            around.processors.iter().copied().filter(|processor| *processor != taken).collect()
        }
        _ => Vec::new(),
    };
    Crowd {
        connections: crowd.connections.map_or(CONNECTIONS, Whole::u32),
        topics: crowd.topics.map_or(1, Whole::u32),
        subscriptions: crowd.subscriptions.map_or(1, Whole::u32),
        interest: crowd.interest.unwrap_or(Interest::Exact),
        connect_per_s: crowd.connect_per_s.map_or(0, Whole::u32),
        connecting_max: crowd.connecting_max.map_or(CONNECTING_MAX, Whole::u32),
        per_address: crowd.per_address.map_or(PER_ADDRESS, Whole::u32),
        workers: crowd.workers.map_or(0, Whole::u32),
        processors: crowd.processors.clone().map_or_else(beside, |list| list.0),
    }
}

/// What is published at once the server may send at once, and so may the floor.
fn floor_mode(typed: &Typed) -> Mode {
    let in_batches =
        typed.talk.as_ref().and_then(|talk| talk.batch).is_some_and(|batch| batch.u32() > 1);
    let usual = if in_batches { Mode::Together } else { Mode::Each };
    typed.floor.as_ref().and_then(|floor| floor.sends).unwrap_or(usual)
}

/// Nobody publishes where the number of publishers is 0; all members do where none is given.
fn talk(talk: &typed::Talk, crowd: &Crowd, searches: bool) -> Option<Talk> {
    let members = talk.members.unwrap_or(false);
    let all = if members { crowd.connections } else { 1 };
    let publishers = talk.publishers.map_or(all, Whole::u32);
    // One for each, as a closed loop wants.
    let in_flight = talk.in_flight.map_or(publishers, Whole::u32);
    let unsaid = if searches {
        Pace::Open { per_s: first_per_s(crowd) }
    } else {
        Pace::Closed { in_flight, batch: talk.batch.map_or(1, Whole::u32) }
    };
    let pace = talk.per_s.map_or(unsaid, |per_s| Pace::Open { per_s: per_s.0 });
    (publishers > 0).then(|| Talk {
        publishers,
        members,
        pace,
        payload_bytes: talk.payload_bytes.map_or(PAYLOAD_BYTES, Whole::u32),
    })
}

/// Where a search begins that no rate is given for: with few deliveries a second.
fn first_per_s(crowd: &Crowd) -> f64 {
    let deliveries = f64::from(crowd.connections) * f64::from(crowd.subscriptions);
    (SEARCH_DELIVERIES_PER_S * f64::from(crowd.topics) / deliveries).round().clamp(1.0, 1000.0)
}

/// The broker to start: one shard on the first processor, and the load on the others, where there
/// are others.
pub(super) fn broker(typed: &Typed, around: &Surroundings<'_>) -> Broker {
    let typed::Broker { shards, processor, settings } = &typed.broker;
    let shards = shards.map_or(1, Whole::u32);
    let first = around.processors.first().filter(|_| around.processors.len() > 1 && shards == 1);
    let settings = settings.iter().flatten().map(|one| (one.0.clone(), one.1.clone()));
    Broker {
        shards,
        processor: processor.map(Whole::u32).or(first.copied()),
        settings: settings.collect(),
    }
}
