//! What a run is played with: shards, policy, names, manners, all drawn from the one source, and
//! what all parts of the simulation must agree on: tokens and the plain meaning of a pattern.

use serde_json::json;
use shardwire::auth::{Rules, Tenants};
use shardwire::config::{
    Action, Decision, Dialect, HistorySetting, RuleSetting, SlowConsumerPolicy,
};
use shardwire::shard::outbox::OutboxBound;
use shardwire::shard::{Bucket, Endpoint, Policy};

use super::guarded;
pub use super::guarded::{GUARDED, OPEN};
use super::random::Random;

/// The number of the endpoint of the dialect `events`; nobody needs a token there.
pub const EVENTS: u8 = 2;
/// The number of the endpoint of the dialect `channels`; nobody needs a token there.
pub const CHANNELS: u8 = 3;
/// The number of another endpoint where nobody needs a token, but a webhook may be asked.
const ASKED: u8 = 4;
/// The number of the endpoint of the dialect `echo`.
pub const ECHO: u8 = 5;
/// The number of the endpoint of the dialect `admin`.
pub const ADMIN: u8 = 6;
/// Endpoints.
pub const ENDPOINTS: u64 = 1 + ADMIN as u64;
/// Tenants that are let in.
pub const TENANTS: [&str; 2] = ["acme", "beta"];
/// A tenant that is not let in.
pub const IDLE: &str = "idle";

/// The wall clock when a run begins.
pub const START_WALL_MS: u64 = 1_769_860_800_000;

/// The drawn facts of a run.
pub struct Setting {
    pub shards: u8,
    pub mailbox_mails: usize,
    pub topics: Vec<String>,
    pub patterns: Vec<String>,
    pub slow: SlowConsumerPolicy,
    pub rated: bool,
    /// Time limit of the webhook that is asked about everything on some endpoints; `None`: there
    /// is none, and all is allowed there.
    pub timeout_ms: Option<u64>,
    /// Nobody dies, breaks the protocol or leaves.
    pub calm: bool,
    /// One shard at some time publishes more than mailboxes and spill hold.
    pub storm: bool,
    /// The drain begins amid the traffic.
    pub early_drain: bool,
    pub clients_max: usize,
    pub steps: u64,
}

impl Setting {
    /// Draws one, with the policy that goes with it.
    pub fn draw(random: &mut Random, steps: u64) -> (Self, Policy) {
        let shards = random.within(1..6) as u8;
        let (topics, patterns) = names(random);
        let slow = random.pick(&[
            SlowConsumerPolicy::Disconnect,
            SlowConsumerPolicy::DropOldest,
            SlowConsumerPolicy::DropNewest,
            SlowConsumerPolicy::Conflate,
        ]);
        let setting = Self {
            shards,
            mailbox_mails: random.within(1..9) as usize,
            topics,
            patterns,
            slow,
            rated: random.one_in(4),
            timeout_ms: random.one_in(2).then(|| random.within(10..300)),
            calm: random.one_in(3),
            storm: random.one_in(16),
            early_drain: random.one_in(4),
            clients_max: random.within(4..24) as usize,
            steps,
        };
        let policy = setting.policy(random);
        (setting, policy)
    }

    fn policy(&self, random: &mut Random) -> Policy {
        let mut policy = guarded::policy();
        for dialect in [Dialect::Events, Dialect::Channels, Dialect::Topics] {
            let asks = RuleSetting {
                topic: "**".into(),
                allow: Action::ALL.into(),
                role: None,
                decide: Decision::Webhook,
            };
            let rules = match self.timeout_ms {
                Some(_) => Rules::compile(&[asks], true).expect("a good rule"),
                None => Rules::open(),
            };
            let path = format!("/{}", policy.endpoints.len());
            policy.endpoints.push(Endpoint::new(path, dialect, false, rules));
        }
        for (dialect, wants_token) in [(Dialect::Echo, false), (Dialect::Admin, true)] {
            let path = format!("/{}", policy.endpoints.len());
            policy.endpoints.push(Endpoint::new(path, dialect, wants_token, Rules::open()));
        }
        policy.webhook_timeout_ms = self.timeout_ms;
        policy.tenants = Tenants::new(None, &[IDLE.into()]);
        policy.outbox =
            OutboxBound { bytes_max: random.within(300..20_000) as usize, policy: self.slow };
        if random.one_in(3) {
            policy.read_steps_max = random.below(10);
        }
        policy.subscriptions_max = random.within(2..12) as usize;
        policy.message_bytes_max = 16 << 10;
        policy.rate.messages = self.rated.then_some(Bucket::new(20, 100));
        policy.rate.bytes = self.rated.then_some(Bucket::new(20_000, 100));
        policy.ping_interval_ms = random.within(200..3000);
        policy.ping_timeout_ms = policy.ping_interval_ms * random.within(2..6);
        policy.compression_min_bytes = random.one_in(2).then_some(100);
        policy.history = vec![HistorySetting {
            topic: "*.h.*".into(),
            size: 5,
            ttl_s: random.within(1..9) * 10_000,
        }];
        policy
    }

    /// Whether a webhook is asked on an endpoint.
    pub fn is_asked(&self, endpoint: u8) -> bool {
        self.timeout_ms.is_some() && (EVENTS..=ASKED).contains(&endpoint)
    }

    /// Whether a topic is protected, and granted by the dialect `channels` alone.
    pub fn is_protected(topic: &str) -> bool {
        topic.starts_with("notifications:") || topic.starts_with("tenant:")
    }

    /// Whether a topic has a history.
    pub fn has_history(topic: &str) -> bool {
        topic.split('.').nth(1) == Some("h")
    }
}

/// A token of a user, good for so many seconds from the beginning of the run.
pub fn token(user: &str, tenant: Option<&str>, seconds: u64) -> String {
    let expires = START_WALL_MS / 1000 + seconds;
    let mut claims = json!({"sub": user, "exp": expires});
    if let Some(tenant) = tenant {
        claims["tenantId"] = tenant.into();
    }
    guarded::token(&claims)
}

/// Topics, and patterns that match some of them.
fn names(random: &mut Random) -> (Vec<String>, Vec<String>) {
    let groups = ["g0", "g1", "g2"];
    let mut topics: Vec<String> = (0..random.within(2..9))
        .map(|number| {
            let (group, kind) = (random.pick(&groups), random.pick(&["h", "n", "n"]));
            // The end makes it another home shard in another run.
            format!("{group}.{kind}.{number}-{}", random.below(100))
        })
        .collect();
    for tenant in TENANTS {
        topics.push(format!("tenant:{tenant}:room"));
        topics.push(format!("notifications:{tenant}:u{}:a", random.below(4)));
    }
    let mut patterns = topics.clone();
    for text in ["**", "*.h.*", "*.n.**", "**.h.**", "x.*"] {
        patterns.push(text.into());
    }
    for group in groups {
        patterns.extend([format!("{group}.**"), format!("{group}.*.*"), format!("{group}.h.**")]);
    }
    (topics, patterns)
}

/// Whether a pattern matches a topic, the plain way.
pub fn matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern.split_first(), topic.split_first()) {
        (None, None) => true,
        (Some((&"**", behind)), Some((_, rest))) => matches(behind, rest) || matches(pattern, rest),
        (Some((wanted, behind)), Some((segment, rest))) => {
            (*wanted == "*" || wanted == segment) && matches(behind, rest)
        }
        _ => false,
    }
}
