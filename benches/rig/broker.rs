//! The role `broker`: a node in a process of its own, which answers questions about itself.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use shardwire::auth::{DialectRules, Rules, Tenants, TokenSettings, Verifier};
use shardwire::close::Close;
use shardwire::config::{self, Dialect};
use shardwire::limits::COMPRESSION_BYTES_MIN;
use shardwire::node::{Node, Setup, tls};
use shardwire::shard::{Bucket, Endpoint, Policy, Rate};

use super::arguments::Arguments;
use super::certificate::Certificate;
use super::child::{self, Child};
use super::memory::Memory;

/// The name of the role.
pub const ROLE: &str = "broker";
/// The endpoint's path.
pub const PATH: &str = "/ws";
/// That of Socket.IO.
pub const ROOMS_PATH: &str = "/socket.io/";
/// Socket.IO's heartbeat where it is brisk: who fell silent is gone before a run is over.
const BRISK_PING_MS: u64 = 10_000;
const BRISK_PONG_MS: u64 = 5_000;
/// How long Socket.IO's sockets can be come back for, where they can.
const RECOVERY_MS: u64 = 20_000;
/// The key of its HTTP API.
pub const API_KEY: &str = "a-key-for-measuring";
const SECRET: &str = "a-secret-for-measuring-of-32-bytes";
/// The tenant of those whom a broker with rules lets in.
const TENANT: &str = "acme";
/// A window that nobody comes to the end of.
fn never_reached() -> Bucket {
    Bucket::new(u32::MAX, 60_000)
}

/// A broker that was started.
pub struct Broker {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// What it shows, where it speaks TLS.
    pub certificate: Option<Certificate>,
}

impl Broker {
    /// Starts one with so many shards; with `tokens`, nobody comes in without. `processor` pins the
    /// whole process.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start(shards: usize, tokens: bool, processor: Option<usize>) -> Self {
        Self::begin(shards, Self::flags(tokens), processor, None)
    }

    /// Starts one for rooms that are lively: who falls silent is given up soon; with `recovery`,
    /// sockets can be come back for.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_brisk(shards: usize, recovery: bool) -> Self {
        let flags: &[_] = if recovery { &["--brisk", "--recovery"] } else { &["--brisk"] };
        Self::begin(shards, flags, None, None)
    }

    /// Starts one where all that can be switched on for the judging of requests is: the default
    /// rules, tenants, rate limits that nobody reaches, a webhook that nobody must ask. Nobody
    /// comes in without a token of [`tenant_token`].
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with_rules(shards: usize, processor: Option<usize>) -> Self {
        Self::begin(shards, &["--tokens", "--rules"], processor, None)
    }

    /// Starts one that speaks TLS and shows this certificate.
    ///
    /// # Panics
    /// When it does not start.
    pub fn secured(shards: usize, processor: Option<usize>, certificate: Certificate) -> Self {
        Self::begin(shards, &[], processor, Some(certificate))
    }

    fn flags(tokens: bool) -> &'static [&'static str] {
        if tokens { &["--tokens"] } else { &[] }
    }

    fn begin(
        shards: usize,
        flags: &[&str],
        processor: Option<usize>,
        certificate: Option<Certificate>,
    ) -> Self {
        let (shards, processor) = (shards.to_string(), processor.map(|number| number.to_string()));
        let mut arguments = vec!["--shards", &shards];
        arguments.extend(flags);
        if let Some(processor) = &processor {
            arguments.extend(["--processor", processor]);
        }
        let files = certificate.as_ref().map(|certificate| {
            let files = certificate.files();
            [files.cert_file, files.key_file].map(|file| file.display().to_string())
        });
        if let Some([certificate, key]) = &files {
            arguments.extend(["--certificate", certificate, "--key", key]);
        }
        let mut child = Child::start(ROLE, &arguments);
        let address = child.hear().parse().expect("an address");
        Self { child, address, certificate }
    }

    /// Nanoseconds of processor time used so far.
    pub fn cpu_ns(&mut self) -> u64 {
        self.child.ask_number("cpu")
    }

    /// Its memory.
    pub fn memory(&mut self) -> Memory {
        Memory::from_line(&self.child.ask("memory"))
    }

    /// The sum of a metric over its shards.
    ///
    /// # Panics
    /// When there is no such metric.
    pub fn metric(&mut self, name: &str) -> u64 {
        self.child.ask_number(name)
    }

    /// How many connections it has closed, by reason.
    pub fn closed(&mut self) -> String {
        self.child.ask("closed")
    }

    /// Waits until no more than so many connections are left.
    ///
    /// # Panics
    /// When that takes longer than half a minute.
    pub fn wait_for_connections(&mut self, most: u64) {
        for _ in 0..3000 {
            if self.metric("connections") <= most {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{} connections are still there", self.metric("connections"));
    }
}

/// The child's side of [`Broker`].
///
/// # Panics
/// When the node cannot start.
pub fn run(arguments: &Arguments) {
    if let Some(processor) = arguments.number("processor") {
        child::pin(processor);
    }
    let shards = arguments.number("shards").unwrap_or(1);
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let shards = u8::try_from(shards).expect("at most 64 shards");
    let node = Node::start(Setup {
        api_key: Some(API_KEY.into()),
        connections_per_ip_max: 100,
        tls: arguments.text("certificate").map(|certificate| {
            let key = arguments.text("key").expect("a certificate has a key");
            let files = config::Tls { cert_file: certificate.into(), key_file: key.into() };
            tls::load(&files).expect("a certificate and its key")
        }),
        ..Setup::bare(address, shards, policy(arguments))
    })
    .expect("a node starts");
    child::say(&node.address().to_string());
    child::answer(|question| match question {
        "cpu" => child::cpu_ns().to_string(),
        "memory" => Memory::read().to_line(),
        "closed" => {
            let sum = |close| node.metrics().iter().map(|it| it.closed_for(close).get()).sum();
            let closed = Close::ALL.map(|close| (close.reason(), sum(close)));
            let closed = closed.iter().filter(|(_, times): &&(_, u64)| *times > 0);
            closed
                .map(|(why, times)| {
                    format!("{times} {}", if why.is_empty() { "without a word" } else { why })
                })
                .collect::<Vec<_>>()
                .join(", ")
        }
        metric => {
            let readings = node.metrics().iter().flat_map(|shard| shard.readings());
            let values = readings.filter(|reading| reading.name == metric);
            let sum = values.map(|reading| reading.value).reduce(|sum, value| sum + value);
            sum.map_or("no such metric".into(), |sum| sum.to_string())
        }
    });
}

fn policy(arguments: &Arguments) -> Policy {
    let (tokens, with_rules) = (arguments.has("tokens"), arguments.has("rules"));
    let rules =
        if with_rules { Rules::defaults(DialectRules::Topics, true) } else { Rules::open() };
    let mut policy = Policy::new(vec![
        Endpoint::new(PATH, Dialect::Topics, tokens, rules),
        Endpoint::new(ROOMS_PATH, Dialect::SocketIo, tokens, Rules::open()),
    ]);
    if arguments.has("brisk") {
        policy.socketio.ping_interval_ms = BRISK_PING_MS;
        policy.socketio.ping_timeout_ms = BRISK_PONG_MS;
    }
    policy.socketio.recovery_ms = arguments.has("recovery").then_some(RECOVERY_MS);
    if with_rules {
        policy.tenants = Tenants::new(Some(&[TENANT.into()]), &["idle".into()]);
        policy.rate = Rate { messages: Some(never_reached()), bytes: Some(never_reached()) };
        policy.webhook_timeout_ms = Some(2000);
    }
    // For those who offer it.
    policy.compression_min_bytes = Some(COMPRESSION_BYTES_MIN);
    if tokens {
        let settings = TokenSettings { secret: Some(SECRET.into()), ..TokenSettings::default() };
        policy.verifier = Some(Verifier::new(&settings).expect("a secret is a key"));
    }
    policy
}

/// A token that such a broker believes, good for an hour.
///
/// # Panics
/// Never: the claims are plain.
pub fn token(user: &str) -> String {
    sign(&json!({"sub": user, "exp": in_an_hour_s()}))
}

/// The same of a user of the tenant whom a broker with rules lets in.
///
/// # Panics
/// Never: the claims are plain.
pub fn tenant_token(user: &str) -> String {
    sign(&json!({"sub": user, "tenantId": TENANT, "exp": in_an_hour_s()}))
}

fn in_an_hour_s() -> u64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.unwrap_or_default().as_secs() + 3600
}

fn sign(claims: &Value) -> String {
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), claims, &key).expect("plain claims")
}
