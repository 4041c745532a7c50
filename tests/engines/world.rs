//! Shards that speak Engine.IO alone, without sockets, and what a client sees of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::mail::Delivery;
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::polling::{Asked, HttpReply};
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard, SocketIoPolicy};
use shardwire::sid::{NotSecret, Sid};
use shardwire::time::{Now, Timestamp};

pub const INTERVAL_MS: u64 = 300;
pub const TIMEOUT_MS: u64 = 200;

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// The sockets of a shard: what each slot was sent, and how it ended.
#[derive(Default)]
pub struct Sockets {
    pub sent: HashMap<u32, Vec<u8>>,
    /// Bytes that a slot's socket takes yet; none given: all.
    pub room: HashMap<u32, usize>,
    pub closed: Vec<u32>,
    pub discarded: Vec<u32>,
    pub rebound: Vec<(u32, ConnKey)>,
}

impl Port for Sockets {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        let room = self.room.get(&conn).copied().unwrap_or(usize::MAX);
        let taken = bytes.len().min(room);
        if let Some(room) = self.room.get_mut(&conn) {
            *room -= taken;
        }
        self.sent.entry(conn).or_default().extend(&bytes[..taken]);
        Sent::Bytes(taken)
    }

    fn shut(&mut self, _: u32) {}

    fn rebind(&mut self, from: u32, to: ConnKey) {
        self.rebound.push((from, to));
    }

    fn discard(&mut self, conn: u32) {
        self.discarded.push(conn);
    }

    fn close(&mut self, conn: u32, _: IpAddr) {
        self.closed.push(conn);
    }
}

/// Some shards, a clock, and the requests under way.
pub struct World {
    pub shards: Vec<Shard>,
    pub sockets: Vec<Sockets>,
    pub metrics: Arc<[Arc<ShardMetrics>]>,
    pub now: Now,
    mailboxes: Arc<[Arc<Mailbox>]>,
    replies: HashMap<u64, HttpReply>,
    tickets: u64,
}

impl World {
    pub fn new(shards: u8, outbox_bytes_max: usize) -> Self {
        let rules = Rules::open();
        let endpoint = Endpoint::new("/engine.io/", Dialect::SocketIo, false, rules);
        let mut policy = Policy::new(vec![Endpoint { engine_only: true, ..endpoint }]);
        policy.outbox.bytes_max = outbox_bytes_max;
        policy.socketio = SocketIoPolicy {
            ping_interval_ms: INTERVAL_MS,
            ping_timeout_ms: TIMEOUT_MS,
            ..SocketIoPolicy::default()
        };
        let policy = Arc::new(policy);
        let mailboxes: Arc<[_]> = (0..shards).map(|_| Mailbox::new(Box::new(Awake))).collect();
        let metrics: Arc<[_]> = (0..shards).map(|_| ShardMetrics::new()).collect();
        let interest = Interest::new();
        let now = Now { mono_ms: 1024, wall: Timestamp(1_769_860_800_000) };
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: u64::from(id),
            node: 5,
            all_metrics: Arc::clone(&metrics),
            secrets: Box::new(NotSecret(u64::from(id))),
        };
        Self {
            shards: (0..shards).map(|id| Shard::new(parts(id), now)).collect(),
            sockets: (0..shards).map(|_| Sockets::default()).collect(),
            metrics: Arc::clone(&metrics),
            now,
            mailboxes,
            replies: HashMap::new(),
            tickets: 0,
        }
    }

    /// One turn of each shard, and again until nothing is left to do at this time.
    pub fn rest(&mut self) {
        for round in 0.. {
            let now = self.now;
            for (shard, sockets) in self.shards.iter_mut().zip(&mut self.sockets) {
                shard.take_mail(now, sockets);
                if shard.next_deadline_ms().is_some_and(|at| at <= now.mono_ms) {
                    shard.advance(now, sockets);
                }
                shard.flush(now, sockets);
                while let Some((ticket, reply)) = shard.http_reply() {
                    assert!(self.replies.insert(ticket, reply).is_none(), "answered twice");
                }
                shard.check(now);
            }
            let is_idle = |shard: &Shard| {
                let is_due = shard.next_deadline_ms().is_some_and(|at| at <= now.mono_ms);
                !shard.is_ending() && !shard.is_dirty() && !is_due
            };
            if self.mailboxes.iter().all(|mailbox| mailbox.is_empty())
                && self.shards.iter().all(is_idle)
            {
                break;
            }
            assert!(round < 10_000, "the shards do not come to rest");
        }
    }

    pub fn pass_ms(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.rest();
    }

    /// All shards begin to drain: everybody is told at once.
    pub fn drain(&mut self, within_ms: u64) {
        let (told_by_ms, gone_by_ms) = (self.now.mono_ms, self.now.mono_ms + within_ms);
        for mailbox in self.mailboxes.iter() {
            mailbox.push(Delivery::Drain { told_by_ms, gone_by_ms }.into()).unwrap();
        }
    }

    pub fn arrival() -> Arrival {
        Arrival::new(0, IpAddr::from([127, 0, 0, 1]))
    }

    /// A polling session on a shard.
    pub fn handshake(&mut self, shard: u8) -> Sid {
        let (key, body) = self.shards[usize::from(shard)].open_polling(self.now, Self::arrival());
        let sid = sid_of(std::str::from_utf8(&body).unwrap().strip_prefix('0').unwrap());
        assert_eq!((sid.shard(), sid.place()), (shard, key.index));
        sid
    }

    /// A request that comes to a shard; its answer is asked for by what is given.
    pub fn ask(&mut self, shard: u8, sid: Sid, asked: Asked) -> u64 {
        self.tickets += 1;
        self.shards[usize::from(shard)].ask(self.now, sid, asked, self.tickets);
        self.tickets
    }

    /// The client of a request goes away.
    pub fn abort(&mut self, shard: u8, sid: Sid, ticket: u64) {
        self.shards[usize::from(shard)].ask(self.now, sid, Asked::Gone, ticket);
        self.rest();
    }

    /// What a request was answered, once.
    pub fn reply(&mut self, ticket: u64) -> Option<HttpReply> {
        self.rest();
        self.replies.remove(&ticket)
    }

    /// What a poll is answered, as text; `None` while it waits.
    pub fn body(&mut self, ticket: u64) -> Option<String> {
        match self.reply(ticket)? {
            HttpReply::Body(body) => Some(String::from_utf8(body).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    pub fn post(&mut self, shard: u8, sid: Sid, body: &str) -> HttpReply {
        let ticket = self.ask(shard, sid, Asked::Post(body.as_bytes().into()));
        self.reply(ticket).expect("a post is answered")
    }

    pub fn poll(&mut self, shard: u8, sid: Sid) -> HttpReply {
        let ticket = self.ask(shard, sid, Asked::Poll);
        self.reply(ticket).expect("something is there")
    }

    /// Text frames of a client, read in one piece; how many bytes were taken.
    pub fn say(&mut self, shard: u8, key: ConnKey, texts: &[&str]) -> usize {
        let mut bytes: Vec<u8> = texts.iter().flat_map(|text| frame(text)).collect();
        let all = bytes.len();
        let at = usize::from(shard);
        let taken = self.shards[at].read(self.now, key, &mut bytes, &mut self.sockets[at]);
        assert!(taken <= all);
        self.rest();
        taken
    }

    /// The text and binary frames that a slot's socket was sent since the last call; a close frame
    /// is its code.
    pub fn heard(&mut self, shard: u8, conn: u32) -> Vec<String> {
        let bytes = self.sockets[usize::from(shard)].sent.remove(&conn).unwrap_or_default();
        let (mut frames, mut at) = (Vec::new(), 0);
        while at < bytes.len() {
            let (opcode, short) = (bytes[at] & 15, usize::from(bytes[at + 1]));
            let (len, head) = match short {
                126 => (usize::from(u16::from_be_bytes([bytes[at + 2], bytes[at + 3]])), 4),
                127 => {
                    (u64::from_be_bytes(bytes[at + 2..at + 10].try_into().unwrap()) as usize, 10)
                }
                len => (len, 2),
            };
            let payload = &bytes[at + head..at + head + len];
            frames.push(match opcode {
                1 => String::from_utf8(payload.into()).unwrap(),
                2 => format!("{payload:?}"),
                8 => format!("close {}", u16::from_be_bytes([payload[0], payload[1]])),
                other => panic!("opcode {other}"),
            });
            at += head + len;
        }
        frames
    }
}

/// The name in an open packet.
fn sid_of(open: &str) -> Sid {
    let open: serde_json::Value = serde_json::from_str(open).unwrap();
    Sid::parse(open["sid"].as_str().unwrap()).unwrap()
}

/// A masked text frame.
pub fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 + 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    frame
}
