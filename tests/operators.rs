//! Connections of the dialect `admin`: streams of figures, the order of answers, and that nothing
//! is left of who goes. What is answered is in the transcripts.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use shardwire::auth::{Identity, IdentityParts, Rules};
use shardwire::config::Dialect;
use shardwire::interest::Interest;
use shardwire::limits::OPERATOR_REQUESTS_MAX;
use shardwire::mail::ConnKey;
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::time::{Now, Timestamp};
use shardwire::topic::TopicBounds;

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// Keeps what came, by connection.
#[derive(Default)]
struct Kernel(HashMap<u32, Vec<u8>>);

impl Port for Kernel {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        self.0.entry(conn).or_default().extend_from_slice(bytes);
        Sent::Bytes(bytes.len())
    }
    fn shut(&mut self, _: u32) {}
    fn close(&mut self, _: u32, _: IpAddr) {}
}

impl Kernel {
    /// The text frames that came since the last call, as JSON.
    fn heard(&mut self, key: ConnKey) -> Vec<Value> {
        let bytes = self.0.remove(&key.index).unwrap_or_default();
        let (mut at, mut heard) = (0, Vec::new());
        while at < bytes.len() {
            let (len, begin) = match bytes[at + 1] {
                126 => (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), 4),
                len => (usize::from(len), 2),
            };
            if bytes[at] == 0x81 {
                let text = &bytes[at + begin..at + begin + len];
                heard.push(serde_json::from_slice(text).expect("JSON"));
            }
            at += begin + len;
        }
        heard
    }
}

/// Two shards, of which operators are on the first.
struct World {
    shards: Vec<Shard>,
    kernel: Kernel,
    now: Now,
}

impl World {
    fn new() -> Self {
        let mailboxes: Arc<[_]> = (0..2).map(|_| Mailbox::new(Box::new(Awake))).collect();
        let metrics: Arc<[_]> = (0..2).map(|_| ShardMetrics::new()).collect();
        let admin = Endpoint::new("/ws/admin", Dialect::Admin, true, Rules::open());
        let (interest, policy) = (Interest::new(), Arc::new(Policy::new(vec![admin])));
        let now = Now { mono_ms: 1000, wall: Timestamp(1_769_860_800_000) };
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: 1,
            node: 1,
            all_metrics: Arc::clone(&metrics),
        };
        let shards = (0..2).map(|id| Shard::new(parts(id), now)).collect();
        Self { shards, kernel: Kernel::default(), now }
    }

    fn open(&mut self, roles: &[&str]) -> ConnKey {
        let parts = IdentityParts { user_id: "root", roles, ..Default::default() };
        let identity = Some(Identity::new(&parts, TopicBounds::default()).expect("well formed"));
        let arrival = Arrival { identity, ..Arrival::new(0, IpAddr::from([127, 0, 0, 1])) };
        self.shards[0].open(self.now, arrival)
    }

    fn say(&mut self, key: ConnKey, text: &str) {
        let mut frame = vec![0x81, 0x80 + text.len() as u8, 0, 0, 0, 0];
        frame.extend(text.bytes());
        assert_eq!(self.shards[0].read(self.now, key, &mut frame, &mut self.kernel), frame.len());
    }

    /// A turn of one shard.
    fn turn(&mut self, shard: usize) {
        let shard = &mut self.shards[shard];
        shard.take_mail(self.now, &mut self.kernel);
        if shard.next_deadline_ms().is_some_and(|at| at <= self.now.mono_ms) {
            shard.advance(self.now, &mut self.kernel);
        }
        shard.flush(self.now, &mut self.kernel);
        shard.check(self.now);
    }

    /// So many turns of both.
    fn rest(&mut self) {
        for _ in 0..2000 {
            (0..2).for_each(|shard| self.turn(shard));
        }
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.rest();
    }
}

fn ids(heard: &[Value]) -> Vec<i64> {
    heard.iter().map(|frame| frame["id"].as_i64().unwrap_or(-1)).collect()
}

#[test]
fn figures_stream_until_they_are_told_not_to() {
    let mut world = World::new();
    let ann = world.open(&["admin"]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":100},"id":1}"#);
    world.rest();
    let heard = world.kernel.heard(ann);
    assert_eq!(ids(&heard), [1]);
    assert_eq!((&heard[0]["type"], &heard[0]["data"]["total"]), (&"stats".into(), &1.into()));
    assert_eq!(world.shards[0].next_deadline_ms(), Some(1100));
    world.pass(99);
    assert!(world.kernel.heard(ann).is_empty());
    for _ in 0..3 {
        world.pass(100);
        assert_eq!(ids(&world.kernel.heard(ann)), [1]);
    }
    // Asked once in between, the stream goes on; another takes its place.
    world.say(ann, r#"{"type":"stats","id":2}"#);
    world.pass(100);
    assert_eq!(ids(&world.kernel.heard(ann)), [2, 1]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":250},"id":3}"#);
    world.rest();
    assert_eq!(ids(&world.kernel.heard(ann)), [3]);
    world.pass(249);
    assert!(world.kernel.heard(ann).is_empty());
    // What a late turn has missed is not made up for.
    world.pass(1000);
    assert_eq!(ids(&world.kernel.heard(ann)), [3]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":0},"id":4}"#);
    world.rest();
    assert_eq!(ids(&world.kernel.heard(ann)), [4]);
    world.pass(10_000);
    assert!(world.kernel.heard(ann).is_empty());
}

#[test]
fn a_stream_waits_for_a_shard_that_does_not_answer() {
    let mut world = World::new();
    let ann = world.open(&["admin"]);
    world.say(ann, r#"{"type":"stats","data":{"everyMs":100}}"#);
    for _ in 0..50 {
        world.now.mono_ms += 100;
        world.turn(0);
    }
    assert!(world.kernel.heard(ann).is_empty());
    world.rest();
    // That which was asked for, and one of the stream.
    assert_eq!(world.kernel.heard(ann).len(), 2);
}

#[test]
fn answers_come_in_their_order() {
    let mut world = World::new();
    let ann = world.open(&["admin"]);
    for (id, text) in
        [r#""stats""#, r#""dance""#, r#""topics""#, r#""broadcast""#].iter().enumerate()
    {
        world.say(ann, &format!(r#"{{"type":{text},"data":{{"message":1}},"id":{id}}}"#));
    }
    world.say(ann, r#"{"type":"connections","id":4}"#);
    world.rest();
    let heard = world.kernel.heard(ann);
    assert_eq!(ids(&heard), [0, 1, 2, 3, 4]);
    let kinds: Vec<_> = heard.iter().map(|frame| frame["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["stats", "error", "topics", "broadcast", "connections"]);
    assert_eq!(heard[3]["data"]["delivered"], 0, "an operator is no audience");
    assert_eq!(heard[4]["data"]["items"][0]["userId"], "root");
    // As many wait as may; the rest hears at once that it may not.
    for id in 0..OPERATOR_REQUESTS_MAX + 3 {
        world.say(ann, &format!(r#"{{"type":"stats","id":{id}}}"#));
    }
    world.turn(0);
    let refused = world.kernel.heard(ann);
    assert_eq!(refused.len(), 2);
    assert!(refused.iter().all(|frame| frame["data"]["code"] == 503));
    world.rest();
    assert_eq!(world.kernel.heard(ann).len(), OPERATOR_REQUESTS_MAX + 1);
}

#[test]
fn who_has_not_the_role_is_answered_nothing() {
    let mut world = World::new();
    let bob = world.open(&["member"]);
    world.say(bob, r#"{"type":"stats","data":{"everyMs":100},"id":1}"#);
    world.pass(1000);
    let heard = world.kernel.heard(bob);
    assert_eq!((heard.len(), &heard[0]["data"]["code"]), (1, &403.into()));
}

#[test]
fn nothing_is_left_of_who_goes() {
    let mut world = World::new();
    for way in 0..3 {
        let ann = world.open(&["admin"]);
        world.say(ann, r#"{"type":"stats","data":{"everyMs":100}}"#);
        world.say(ann, r#"{"type":"topics"}"#);
        match way {
            // While a shard is asked, while figures stream, and by its own wish.
            0 => world.turn(0),
            1 => world.pass(350),
            _ => world.say(ann, r#"{"type":"disconnect","data":{"userId":"root"}}"#),
        }
        world.rest();
        world.shards[0].gone(ann);
        world.rest();
        for shard in &world.shards {
            shard.check_empty(world.now);
        }
        assert_eq!(world.shards[0].next_deadline_ms(), None);
    }
}
