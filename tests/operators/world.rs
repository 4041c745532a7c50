//! Two shards, operators on them, and all that they hear.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use serde_json::Value;
use shardwire::auth::{Identity, IdentityParts, Rules};
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};
use shardwire::topic::TopicBounds;

pub const NODE: u64 = 1;
/// The numbers of the endpoints.
const ADMIN: u8 = 0;
pub const TOPICS: u8 = 1;

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// Keeps what came, by the connection's number.
#[derive(Default)]
pub struct Kernel(HashMap<u32, Vec<u8>>);

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
    pub fn heard(&mut self, key: ConnKey) -> Vec<Value> {
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
pub struct World {
    pub shards: Vec<Shard>,
    pub metrics: Arc<[Arc<ShardMetrics>]>,
    pub kernel: Kernel,
    pub now: Now,
}

impl World {
    pub fn new() -> Self {
        let mailboxes: Arc<[_]> = (0..2).map(|_| Mailbox::new(Box::new(Awake))).collect();
        let metrics: Arc<[_]> = (0..2).map(|_| ShardMetrics::new()).collect();
        let admin = Endpoint::new("/ws/admin", Dialect::Admin, true, Rules::open());
        let topics = Endpoint::new("/ws", Dialect::Topics, false, Rules::open());
        let (interest, policy) = (Interest::new(), Arc::new(Policy::new(vec![admin, topics])));
        let now = Now { mono_ms: 1000, wall: Timestamp(1_769_860_800_000) };
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: 1,
            node: NODE,
            all_metrics: Arc::clone(&metrics),
            secrets: Box::new(NotSecret(1)),
        };
        let shards = (0..2).map(|id| Shard::new(parts(id), now)).collect();
        Self { shards, metrics, kernel: Kernel::default(), now }
    }

    pub fn open(&mut self, roles: &[&str]) -> ConnKey {
        self.open_on(0, ADMIN, &IdentityParts { user_id: "root", roles, ..Default::default() })
    }

    pub fn open_on(&mut self, shard: usize, endpoint: u8, who: &IdentityParts<'_>) -> ConnKey {
        let identity = Some(Identity::new(who, TopicBounds::default()).expect("well formed"));
        let arrival = Arrival { identity, ..Arrival::new(endpoint, IpAddr::from([127, 0, 0, 1])) };
        self.shards[shard].open(self.now, arrival)
    }

    pub fn say(&mut self, key: ConnKey, text: &str) {
        self.say_on(0, key, text);
    }

    pub fn say_on(&mut self, shard: usize, key: ConnKey, text: &str) {
        let mut frame = vec![0x81, 0x80 + 126];
        frame.extend((text.len() as u16).to_be_bytes());
        if text.len() < 126 {
            frame = vec![0x81, 0x80 + text.len() as u8];
        }
        frame.extend([0; 4]);
        frame.extend(text.bytes());
        let shard = &mut self.shards[shard];
        assert_eq!(shard.read(self.now, key, &mut frame, &mut self.kernel), frame.len());
    }

    /// A turn of one shard.
    pub fn turn(&mut self, shard: usize) {
        let shard = &mut self.shards[shard];
        shard.take_mail(self.now, &mut self.kernel);
        if shard.next_deadline_ms().is_some_and(|at| at <= self.now.mono_ms) {
            shard.advance(self.now, &mut self.kernel);
        }
        shard.flush(self.now, &mut self.kernel);
        shard.check(self.now);
    }

    /// More turns of both than anything takes.
    pub fn rest(&mut self) {
        self.turns(600);
    }

    /// So many turns of both.
    pub fn turns(&mut self, rounds: usize) {
        for _ in 0..rounds {
            (0..2).for_each(|shard| self.turn(shard));
        }
    }

    pub fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.turns(50);
    }
}
