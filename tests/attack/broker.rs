//! The broker under attack, and how an attack is run and told.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use shardwire::auth::{Rules, TokenSettings, Verifier};
use shardwire::close::Close;
use shardwire::config::Dialect;
use shardwire::metrics::ShardMetrics;
use shardwire::node::{Node, Setup};
use shardwire::shard::{Endpoint, Policy};

use crate::bystanders::{self, Bystanders};
use crate::client::{Client, JSON_PING};
use crate::log::Log;
use crate::memory::{self, Watch};

pub const SECRET: &str = "a secret of the attacked, which no log may show";
pub const API_KEY: &str = "an-api-key-that-no-log-may-show";
/// Where the attackers come from, unless an attack says otherwise.
pub const ATTACKER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
/// Where the honest client comes from.
pub const HONEST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// What nothing here takes longer than, unless it hangs.
pub const LIMIT: Duration = Duration::from_secs(20);

const MIB: u64 = 1 << 20;
/// The longest that a message of the bystanders may take, publisher to subscriber, on a machine
/// that has the attackers to run too.
const OTHERS_MAX: Duration = Duration::from_secs(1);
/// What may stay resident after an attack: the allocator's own and the test's.
const AFTER_BYTES_MAX: u64 = 24 * MIB;

/// An attack.
pub struct Attack {
    pub name: &'static str,
    /// What the height may cost, the attackers' own buffers included.
    pub mib_max: u64,
    /// What the broker is set to.
    pub set: fn(&mut Setup),
    /// Does it; says what was done and what came of it.
    pub act: fn(&Scene<'_>) -> String,
}

/// What an attack finds.
pub struct Scene<'a> {
    pub node: &'a Node,
    pub log: &'static Log,
    honest: Cell<Option<Duration>>,
}

impl Attack {
    /// Runs it and prints its lines.
    pub fn run(&self, log: &'static Log) {
        let mut policy = Policy::new(vec![
            Endpoint::new("/ws", Dialect::Topics, false, Rules::open()),
            Endpoint::new("/guarded", Dialect::Topics, true, Rules::open()),
        ]);
        policy.verifier = Some(verifier(TokenSettings::default()));
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let mut setup = Setup { api_key: Some(API_KEY.into()), ..Setup::bare(address, 1, policy) };
        (self.set)(&mut setup);
        let node = Node::start(setup).expect("a free port");
        // What a first client costs is not the attack's.
        honest(&node);
        let bystanders = Bystanders::begin(node.address());
        let before = memory::now();
        let (watch, begun) = (Watch::begin(), Instant::now());
        let scene = Scene { node: &node, log, honest: Cell::default() };
        let told = (self.act)(&scene);
        let honest_ms =
            scene.honest.get().expect("each attack asks for an honest client").as_millis();
        let (peak, took) = (watch.end(), begun.elapsed().as_millis());
        let others = bystanders.end();
        until("all are gone", || sum(&node, |it| it.connections.get()) == 0);
        honest(&node);
        let after = settled_memory(before);
        let mib = |bytes: u64| format!("{}.{}", bytes / MIB, bytes % MIB * 10 / MIB);
        println!(
            "{:<30}{:>8}{:>8}{:>8}{honest_ms:>6} ms{:>6} in {:>4} ms  {told}; {took} ms",
            self.name,
            mib(before),
            mib(peak),
            mib(after),
            others.messages,
            others.longest.as_millis()
        );
        assert!(others.longest <= OTHERS_MAX, "others waited for {:?}", others.longest);
        let height = peak.saturating_sub(before) / MIB;
        assert!(height <= self.mib_max, "{height} MiB, more than {}", self.mib_max);
        assert!(after <= before + AFTER_BYTES_MAX, "not given back");
        node.drain(Duration::from_millis(200));
    }
}

/// The memory once what was freed is given back, which takes the allocator a while.
fn settled_memory(before: u64) -> u64 {
    let begun = Instant::now();
    loop {
        let now = memory::now();
        if now <= before + MIB || begun.elapsed() > Duration::from_secs(4) {
            return now;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Scene<'_> {
    pub fn address(&self) -> SocketAddr {
        self.node.address()
    }

    /// At the attack's height: a client that comes from elsewhere and only wants its pong.
    pub fn honest(&self) {
        self.honest.set(Some(honest(self.node)));
    }

    /// A counter of all shards.
    pub fn count(&self, counter: impl Fn(&ShardMetrics) -> u64) -> u64 {
        sum(self.node, counter)
    }

    /// The attackers' connections that are in.
    pub fn connections(&self) -> u64 {
        self.count(|it| it.connections.get()) - bystanders::CONNECTIONS
    }

    /// What the attackers are subscribed to.
    pub fn subscriptions(&self) -> u64 {
        self.count(|it| it.subscriptions.get()) - bystanders::SUBSCRIPTIONS
    }

    pub fn closed(&self, close: Close) -> u64 {
        self.count(|it| it.closed_for(close).get())
    }
}

fn honest(node: &Node) -> Duration {
    let begun = Instant::now();
    let mut client = Client::enter(node.address(), HONEST, "/ws");
    client.say(JSON_PING);
    let answer = client.hear_text();
    assert!(answer.contains("pong"), "{answer}");
    begun.elapsed()
}

pub fn sum(node: &Node, counter: impl Fn(&ShardMetrics) -> u64) -> u64 {
    node.metrics().iter().map(|shard| counter(shard)).sum()
}

/// Waits for something that must come.
pub fn until(what: &str, is_there: impl Fn() -> bool) {
    let begun = Instant::now();
    while !is_there() {
        assert!(begun.elapsed() < LIMIT, "not within {LIMIT:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Believes what is signed with [`SECRET`].
pub fn verifier(settings: TokenSettings) -> Verifier {
    let settings = TokenSettings { secret: Some(SECRET.into()), ..settings };
    Verifier::new(&settings).expect("a secret is enough")
}

/// Seconds since 1970.
pub fn now_s() -> u64 {
    std::time::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()
}

/// A token that the broker believes, if it is signed with [`SECRET`].
pub fn token(claims: &Value, secret: &str) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    encode(&Header::default(), claims, &key).expect("plain claims")
}

/// One that it does not.
pub fn forged_token() -> String {
    token(&json!({"sub": "mallory", "roles": ["admin"]}), "another secret than the broker has")
}
