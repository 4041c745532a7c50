//! How a shard holds its connections against new settings: some in each turn, anew when others come
//! meanwhile, and whoever comes in between.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use serde_json::json;
use shardwire::auth::{Rules, TokenSettings, Verifier};
use shardwire::config::{Action, Decision, Dialect, RuleSetting};
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::limits::{REVIEW_SLOTS_PER_TURN, REVIEW_STEPS_PER_TURN};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::origin::{OriginMark, Origins, Site};
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};

use crate::broker::token;

const NOW: Now = Now { mono_ms: 1, wall: Timestamp(1_769_860_800_123) };
/// A crowd of some turns.
const CROWD: u32 = 3 * REVIEW_SLOTS_PER_TURN + 100;

/// Keeps what came, by connection.
#[derive(Default)]
struct Kernel(BTreeMap<u32, String>);

impl Port for Kernel {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        let came = self.0.entry(conn).or_default();
        came.push_str(&String::from_utf8_lossy(bytes));
        Sent::Bytes(bytes.len())
    }

    fn shut(&mut self, _: u32) {}

    fn close(&mut self, _: u32, _: IpAddr) {}
}

impl Kernel {
    /// How many heard this.
    fn heard(&self, text: &str) -> u32 {
        self.0.values().filter(|came| came.contains(text)).count() as u32
    }
}

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

fn rules(topic: &str) -> Rules {
    let rule = RuleSetting {
        topic: topic.to_owned(),
        allow: vec![Action::Subscribe],
        role: None,
        decide: Decision::Allow,
    };
    Rules::compile(&[rule], false).unwrap()
}

fn policy(topic: &str) -> Policy {
    Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, rules(topic))])
}

fn shard(policy: Policy) -> Shard {
    let metrics = ShardMetrics::new();
    let parts = Parts {
        id: 0,
        mailboxes: Arc::from([Mailbox::new(Box::new(Awake))]),
        interest: Interest::new(),
        policy: Arc::new(policy),
        metrics: Arc::clone(&metrics),
        seed: 1,
        node: 1,
        all_metrics: Arc::from([metrics]),
        secrets: Box::new(NotSecret(1)),
    };
    Shard::new(parts, NOW)
}

fn arrival() -> Arrival {
    Arrival::new(0, IpAddr::V4(Ipv4Addr::LOCALHOST))
}

fn say(shard: &mut Shard, kernel: &mut Kernel, key: ConnKey, text: &str) {
    // The shortest form of the length (RFC 6455 section 5.2), and a mask of zeros.
    let length = match text.len() {
        short @ 0..126 => vec![0x80 | short as u8],
        long => [&[0xfe][..], &u16::try_from(long).unwrap().to_be_bytes()].concat(),
    };
    let mut bytes = [&[0x81], &length[..], &[0; 4], text.as_bytes()].concat();
    assert_eq!(shard.read(NOW, key, &mut bytes, kernel), bytes.len());
}

/// A crowd subscribed to `topics`, and what they heard forgotten.
fn crowd(shard: &mut Shard, kernel: &mut Kernel, count: u32, topics: &[String]) -> Vec<ConnKey> {
    let keys: Vec<ConnKey> = (0..count).map(|_| shard.open(NOW, arrival())).collect();
    let request = json!({"type":"subscribe","topics":topics}).to_string();
    for key in &keys {
        say(shard, kernel, *key, &request);
    }
    shard.flush(NOW, kernel);
    kernel.0.clear();
    keys
}

/// One turn; whether another must follow at once.
fn turn(shard: &mut Shard, kernel: &mut Kernel) -> bool {
    shard.advance(NOW, kernel);
    shard.flush(NOW, kernel);
    shard.check(NOW);
    shard.next_deadline_ms().is_some_and(|at| at <= NOW.mono_ms)
}

const WITHDRAWN: &str = r#""reason":"forbidden""#;

#[test]
fn a_crowd_is_looked_at_in_slices_and_nobody_is_forgotten() {
    let (mut shard, mut kernel) = (shard(policy("a")), Kernel::default());
    crowd(&mut shard, &mut kernel, CROWD, &["a".to_owned()]);
    shard.reconfigure(NOW, Arc::new(policy("b")));
    shard.check(NOW);
    let (mut heard, mut turns) = (0, 0);
    while turn(&mut shard, &mut kernel) {
        turns += 1;
        let now = kernel.heard(WITHDRAWN);
        assert!(now - heard <= REVIEW_SLOTS_PER_TURN, "{heard} {now}");
        heard = now;
    }
    assert_eq!((kernel.heard(WITHDRAWN), turns), (CROWD, CROWD / REVIEW_SLOTS_PER_TURN));
}

#[test]
fn many_subscriptions_make_a_slice_smaller() {
    let (mut shard, mut kernel) = (shard(policy("*")), Kernel::default());
    let topics: Vec<String> = (0..1000).map(|n| format!("t{n}")).collect();
    crowd(&mut shard, &mut kernel, 40, &topics);
    shard.reconfigure(NOW, Arc::new(policy("b")));
    assert!(turn(&mut shard, &mut kernel));
    let a_turn = REVIEW_STEPS_PER_TURN.div_ceil(topics.len()) as u32;
    assert_eq!(kernel.heard(WITHDRAWN), a_turn);
    while turn(&mut shard, &mut kernel) {}
    assert_eq!(kernel.heard(WITHDRAWN), 40);
}

#[test]
fn settings_that_come_meanwhile_begin_it_anew() {
    let (mut shard, mut kernel) = (shard(policy("*")), Kernel::default());
    crowd(&mut shard, &mut kernel, CROWD, &["a".to_owned(), "b".to_owned()]);
    shard.reconfigure(NOW, Arc::new(policy("a")));
    assert!(turn(&mut shard, &mut kernel));
    assert_eq!(kernel.heard(WITHDRAWN), REVIEW_SLOTS_PER_TURN);
    // Those who were passed are looked at again; those who were not keep what these allow.
    shard.reconfigure(NOW, Arc::new(policy("b")));
    while turn(&mut shard, &mut kernel) {}
    let of = |topic: &str| format!(r#""unsubscribed","topic":"{topic}""#);
    assert_eq!(kernel.heard(&of("b")), REVIEW_SLOTS_PER_TURN);
    assert_eq!(kernel.heard(&of("a")), CROWD);
}

#[test]
fn who_comes_in_meanwhile_is_held_against_the_settings_of_now() {
    const NOWHERE: Site<'_> = Site { host: None, tls: false };
    let keys = |secret: &str| {
        let settings = TokenSettings { secret: Some(secret.into()), ..TokenSettings::default() };
        Some(Verifier::new(&settings).unwrap())
    };
    let old = keys("old").unwrap();
    let knock = |tenant: &str| {
        let token = token("old", &json!({"sub":"u","tenantId":tenant}));
        Arrival { identity: Some(old.verify(&token, NOW.wall).unwrap()), ..arrival() }
    };
    let page = || Arrival { origin: OriginMark::new("https://b.example", NOWHERE), ..arrival() };
    let tenants = shardwire::auth::Tenants::new(None, &["idle".to_owned()]);
    let one = Origins::only(&["https://a.example"]);
    for (policy, arrival, told) in [
        (Policy { verifier: keys("new"), ..policy("a") }, knock("acme"), "token expired"),
        (
            Policy { tenants, verifier: keys("old"), ..policy("a") },
            knock("idle"),
            "not allowed any",
        ),
        (Policy { origins: one, ..policy("a") }, page(), "not allowed any more"),
    ] {
        let (mut shard, mut kernel) = (shard(self::policy("a")), Kernel::default());
        shard.reconfigure(NOW, Arc::new(policy));
        while turn(&mut shard, &mut kernel) {}
        // It was let in at the door by the settings of before.
        shard.open(NOW, arrival);
        turn(&mut shard, &mut kernel);
        assert_eq!(kernel.heard(told), 1, "{told}");
        assert_eq!(kernel.heard("auth_expired"), u32::from(told == "token expired"));
    }
}

#[test]
fn lower_bounds_take_nothing_away() {
    let (mut shard, mut kernel) = (shard(policy("**")), Kernel::default());
    let topics: Vec<String> = (0..50).map(|n| format!("t.{n}")).collect();
    let keys = crowd(&mut shard, &mut kernel, 3, &topics);
    let lower = Policy {
        subscriptions_max: 2,
        message_bytes_max: 100,
        ping_interval_ms: 10,
        ..policy("**")
    };
    shard.reconfigure(NOW, Arc::new(lower));
    while turn(&mut shard, &mut kernel) {}
    assert!(kernel.0.is_empty(), "{:?}", kernel.0);
    say(&mut shard, &mut kernel, keys[0], r#"{"type":"subscribe","topic":"t.50"}"#);
    turn(&mut shard, &mut kernel);
    assert_eq!(kernel.heard(r#""code":403"#), 1);
    // The shorter interval holds for who was silent from before.
    let later = Now { mono_ms: 1000, ..NOW };
    shard.advance(later, &mut kernel);
    shard.flush(later, &mut kernel);
    assert_eq!(kernel.0.len(), 3);
}
