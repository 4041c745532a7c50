//! Shards without sockets, and clients that behave as the stock one does: they keep the `pid` of
//! their CONNECT's reply and the last text that an event ends with, and come back with both.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde_json::{Value, json};
use shardwire::auth::{DialectRules, Rules, TokenSettings, Verifier};
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::message::Publication;
use shardwire::metrics::ShardMetrics;
use shardwire::polling::{Asked, HttpReply};
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard, SocketIoPolicy};
use shardwire::sid::{NotSecret, Sid};
use shardwire::time::{Now, Timestamp};

const SECRET: &str = "a secret for tests of recovery";
/// The wall clock when the monotonic one shows nothing.
const WALL_MS: u64 = 1_769_860_800_000;
/// How long a socket can be come back for.
pub const RECOVERY_MS: u64 = 120_000;

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// What a shard sent, by connection.
#[derive(Default)]
pub struct Net {
    sent: BTreeMap<u32, Vec<u8>>,
    closed: Vec<u32>,
    /// Connections whose kernel takes nothing.
    pub full: Vec<u32>,
}

impl Net {
    /// Another has this slot.
    fn forget(&mut self, conn: u32) {
        self.sent.remove(&conn);
        self.closed.retain(|it| *it != conn);
    }
}

impl Port for Net {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        if self.full.contains(&conn) {
            return Sent::Bytes(0);
        }
        self.sent.entry(conn).or_default().extend_from_slice(bytes);
        Sent::Bytes(bytes.len())
    }
    fn shut(&mut self, _: u32) {}
    fn rebind(&mut self, from: u32, to: ConnKey) {
        let sent = self.sent.remove(&from).unwrap_or_default();
        self.forget(to.index);
        self.sent.insert(to.index, sent);
    }
    fn close(&mut self, conn: u32, _: IpAddr) {
        self.closed.push(conn);
    }
}

/// A client: its engine, and what it keeps of its socket.
#[derive(Clone, Debug, Default)]
pub struct Client {
    pub user: &'static str,
    /// The shard that its engine is on.
    pub shard: usize,
    pub claims: Value,
    pub engine: Option<ConnKey>,
    pub sid: String,
    pub pid: Option<String>,
    pub offset: Option<String>,
    /// Its events of late, and what else it heard but pings.
    pub heard: Vec<Value>,
    /// Whether the last CONNECT's reply had the `pid` that it came with.
    pub recovered: bool,
}

impl Client {
    pub fn new(user: &'static str) -> Self {
        Self { user, claims: json!({"sub": user}), ..Self::default() }
    }

    pub fn take(&mut self, text: &str) {
        let Some(packet) = text.strip_prefix('4') else {
            return if text != "2" && !text.starts_with('0') {
                self.heard.push(json!(text));
            };
        };
        if let Some(reply) = packet.strip_prefix('0').filter(|it| it.starts_with('{')) {
            let reply: Value = serde_json::from_str(reply).expect("an object");
            let pid = reply["pid"].as_str().map(str::to_owned);
            self.recovered = pid.is_some() && pid == self.pid;
            self.sid = reply["sid"].as_str().expect("a name").into();
            self.pid = pid;
            return self.heard.push(json!("connected"));
        }
        let event = packet.strip_prefix('2').or_else(|| packet.strip_prefix("51-"));
        let Some(event) = event.filter(|it| it.starts_with('[')) else {
            return self.heard.push(json!(text));
        };
        let event: Value = serde_json::from_str(event).expect("an array");
        let last = event.as_array().and_then(|it| it.last()).and_then(Value::as_str);
        if let Some(last) = last {
            self.offset = Some(last.into());
        }
        self.heard.push(event);
    }

    /// The contents of the messages heard since the last call, in order.
    pub fn messages(&mut self) -> Vec<Value> {
        let heard = std::mem::take(&mut self.heard);
        let messages = heard.iter().filter(|it| it[0] == "message");
        messages.map(|it| it[1].get("content").unwrap_or(&it[1]).clone()).collect()
    }
}

pub struct World {
    pub shards: Vec<Shard>,
    pub nets: Vec<Net>,
    pub mailboxes: Arc<[Arc<Mailbox>]>,
    pub metrics: Arc<[Arc<ShardMetrics>]>,
    pub now_ms: u64,
    /// Engines that went to another shard: from where, to where.
    moved: BTreeMap<(usize, ConnKey), (usize, ConnKey)>,
    /// What was read of connections and not taken.
    held: BTreeMap<(usize, ConnKey), Vec<u8>>,
    /// What requests were answered, by their numbers.
    pub replies: BTreeMap<u64, HttpReply>,
    tickets: u64,
}

/// A policy with one endpoint of the dialect.
pub fn policy(recovery_ms: Option<u64>) -> Policy {
    let rules = Rules::defaults(DialectRules::SocketIo, false);
    let mut policy = Policy::new(vec![Endpoint::new("/", Dialect::SocketIo, false, rules)]);
    let settings = TokenSettings { secret: Some(SECRET.into()), ..TokenSettings::default() };
    policy.verifier = Some(Verifier::new(&settings).expect("a secret is enough"));
    policy.socketio = SocketIoPolicy { recovery_ms, ..SocketIoPolicy::default() };
    policy
}

impl World {
    pub fn new(shards: u8) -> Self {
        Self::with(shards, policy(Some(RECOVERY_MS)))
    }

    pub fn with(shards: u8, policy: Policy) -> Self {
        let mailboxes: Arc<[_]> = (0..shards).map(|_| Mailbox::new(Box::new(Awake))).collect();
        let metrics: Arc<[_]> = (0..shards).map(|_| ShardMetrics::new()).collect();
        let (interest, policy) = (Interest::new(), Arc::new(policy));
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: 7 + u64::from(id),
            node: 5,
            all_metrics: Arc::clone(&metrics),
            secrets: Box::new(NotSecret(u64::from(id))),
        };
        let now = Now { mono_ms: 1000, wall: Timestamp(WALL_MS) };
        let nets = (0..shards).map(|_| Net::default()).collect();
        let shards = (0..shards).map(|id| Shard::new(parts(id), now)).collect();
        Self {
            shards,
            nets,
            mailboxes,
            metrics,
            now_ms: 1000,
            moved: BTreeMap::new(),
            held: BTreeMap::new(),
            replies: BTreeMap::new(),
            tickets: 0,
        }
    }

    pub fn now(&self) -> Now {
        Now { mono_ms: self.now_ms, wall: Timestamp(WALL_MS + self.now_ms) }
    }

    /// One turn of each shard.
    pub fn turn(&mut self) {
        let now = self.now();
        for (shard, net) in self.shards.iter_mut().zip(&mut self.nets) {
            shard.take_mail(now, net);
            shard.advance(now, net);
            shard.flush(now, net);
        }
        self.bring();
        for shard in &mut self.shards {
            shard.check(now);
            while let Some((ticket, reply)) = shard.http_reply() {
                assert!(self.replies.insert(ticket, reply).is_none(), "{ticket} twice");
            }
        }
    }

    /// Brings engines to other shards.
    fn bring(&mut self) {
        let now = self.now();
        for from in 0..self.shards.len() {
            while let Some(leaving) = self.shards[from].leaving(now) {
                let to = usize::from(leaving.to);
                let key = self.shards[to].arrived(now, leaving.session);
                self.nets[to].forget(key.index);
                let sent = self.nets[from].sent.remove(&leaving.key.index);
                self.nets[to].sent.extend(sent.map(|bytes| (key.index, bytes)));
                self.moved.insert((from, leaving.key), (to, key));
                if let Some(bytes) = self.held.remove(&(from, leaving.key)) {
                    self.read((to, key), bytes);
                }
            }
        }
    }

    fn read(&mut self, at: (usize, ConnKey), mut bytes: Vec<u8>) {
        let now = self.now();
        let taken = self.shards[at.0].read(now, at.1, &mut bytes, &mut self.nets[at.0]);
        bytes.drain(..taken);
        if !bytes.is_empty() {
            self.held.insert(at, bytes);
        }
    }

    /// Where a client's engine is by now.
    fn find(&self, client: &mut Client) -> Option<(usize, ConnKey)> {
        let mut at = (client.shard, client.engine?);
        while let Some(to) = self.moved.get(&at) {
            at = *to;
        }
        (client.shard, client.engine) = (at.0, Some(at.1));
        Some(at)
    }

    /// Turns until nothing is left to be done at this time.
    pub fn rest(&mut self) {
        for round in 0.. {
            self.turn();
            let is_due = |it: &Shard| it.next_deadline_ms().is_some_and(|due| due <= self.now_ms);
            let is_busy = |it: &Shard| is_due(it) || it.is_ending() || it.is_dirty();
            let has_mail = self.mailboxes.iter().any(|mailbox| !mailbox.is_empty());
            if !has_mail && !self.shards.iter().any(is_busy) {
                break;
            }
            assert!(round < 2000, "the shards do not come to rest");
        }
    }

    /// Lets time pass in steps of a second, all clients answering their pings.
    pub fn pass(&mut self, ms: u64, clients: &mut [&mut Client]) {
        let until = self.now_ms + ms;
        while self.now_ms < until {
            self.now_ms = (self.now_ms + 1000).min(until);
            self.rest();
            for client in clients.iter_mut() {
                self.hear(client);
                if client.engine.is_some() {
                    self.frame(client, "3");
                }
            }
            self.rest();
        }
    }

    /// Has a client shake hands on a WebSocket of its shard.
    pub fn arrive(&mut self, client: &mut Client) {
        let now = self.now();
        let key = self.shards[client.shard].open(now, arrival());
        self.nets[client.shard].forget(key.index);
        client.engine = Some(key);
    }

    /// Asks something of a polling session, at a shard; gives the request's number.
    pub fn ask(&mut self, shard: usize, sid: Sid, asked: Asked) -> u64 {
        self.tickets += 1;
        let now = self.now();
        self.shards[shard].ask(now, sid, asked, self.tickets);
        self.tickets
    }

    /// Has a WebSocket try to take over from a polling session, where that is at home.
    pub fn probe(&mut self, client: &mut Client, sid: Sid) {
        let (now, shard) = (self.now(), usize::from(sid.shard()));
        client.shard = shard;
        client.engine = self.shards[shard].probe(now, sid, &arrival());
        let key = client.engine.expect("there is a session");
        self.nets[shard].forget(key.index);
    }

    /// The slot of a session that was upgraded: that of its name, and whose it was first.
    pub fn engine_of(&self, sid: Sid) -> ConnKey {
        let of = |(shard, key): &&(usize, ConnKey)| {
            *shard == usize::from(sid.shard()) && key.index == sid.place()
        };
        *self.moved.keys().find(of).map(|(_, key)| key).expect("it has moved")
    }

    /// Begins a polling session on a shard.
    pub fn poll_open(&mut self, shard: usize) -> Sid {
        let now = self.now();
        let (_, body) = self.shards[shard].open_polling(now, arrival());
        let open: Value = serde_json::from_slice(&body[1..]).expect("an object");
        Sid::parse(open["sid"].as_str().expect("a name")).expect("a name")
    }

    /// Has a client connect, with what it has of its socket of before.
    pub fn connect(&mut self, client: &mut Client) {
        self.arrive(client);
        let auth = self.auth(client);
        self.frame(client, &format!("40{auth}"));
        self.rest();
        self.hear(client);
    }

    /// What a client says of itself when it connects.
    pub fn auth(&self, client: &Client) -> Value {
        let mut auth = json!({});
        if let Some(pid) = &client.pid {
            auth["pid"] = json!(pid);
        }
        if let Some(offset) = &client.offset {
            auth["offset"] = json!(offset);
        }
        if !client.user.is_empty() {
            auth["token"] = json!(token(&client.claims, self.now()));
        }
        auth
    }

    /// A client's transport is lost, and the shard sees it.
    pub fn lose(&mut self, client: &mut Client) {
        if let Some((shard, engine)) = self.find(client) {
            self.shards[shard].gone(engine);
            client.engine = None;
        }
        self.rest();
    }

    /// Sends a text message of a client's engine.
    pub fn frame(&mut self, client: &mut Client, text: &str) {
        self.send(client, 0x81, text.as_bytes());
    }

    pub fn send(&mut self, client: &mut Client, head: u8, payload: &[u8]) {
        let mut frame = vec![head];
        match payload.len() {
            0..126 => frame.push(0x80 | payload.len() as u8),
            len => {
                frame.push(0x80 + 126);
                frame.extend(u16::try_from(len).expect("short").to_be_bytes());
            }
        }
        frame.extend([0; 4]);
        frame.extend(payload);
        let at = self.find(client).expect("it is there");
        match self.held.get_mut(&at) {
            Some(kept) => kept.extend(frame),
            None => self.read(at, frame),
        }
    }

    /// Emits an event.
    pub fn emit(&mut self, client: &mut Client, event: &Value) {
        self.frame(client, &format!("42{event}"));
        self.rest();
        self.hear(client);
    }

    pub fn join(&mut self, client: &mut Client, room: &str) {
        self.emit(client, &json!(["join_room", {"room": room}]));
        let joined = client.heard.iter().any(|it| it[0] == "room_joined" && it[1]["room"] == room);
        assert!(joined, "{client:?}");
        client.heard.clear();
    }

    /// Takes what a client was sent.
    pub fn hear(&mut self, client: &mut Client) {
        let Some((shard, engine)) = self.find(client) else { return };
        let net = &mut self.nets[shard];
        let bytes = net.sent.remove(&engine.index).unwrap_or_default();
        for (opcode, payload) in frames(&bytes) {
            match opcode {
                1 => client.take(std::str::from_utf8(payload).expect("text")),
                2 => client.heard.push(json!({"bytes": payload})),
                8 => client.heard.push(json!("close")),
                _ => {}
            }
        }
        if let Some(at) = net.closed.iter().position(|it| *it == engine.index) {
            net.closed.remove(at);
            client.engine = None;
            client.heard.push(json!("closed"));
        }
    }

    /// Publishes for the server side, without letting anybody hear it yet.
    pub fn publish(&mut self, topic: &str, data: &str) {
        let publication = Publication::of_server(topic, data, self.now().wall);
        let now = self.now();
        self.shards[0].publish(now, &publication).expect("there is room");
        while self.shards[0].settled().is_some() {}
    }

    /// The reading of a counter, of all shards.
    pub fn reading(&self, name: &str) -> u64 {
        let of = |metrics: &Arc<ShardMetrics>| metrics.readings().find(|it| it.name == name);
        let readings = self.metrics.iter().map(of);
        readings.map(|it| it.unwrap_or_else(|| panic!("no {name}")).value).sum()
    }
}

fn arrival() -> Arrival {
    Arrival::new(0, IpAddr::from([127, 0, 0, 1]))
}

fn frames(mut bytes: &[u8]) -> Vec<(u8, &[u8])> {
    let mut frames = Vec::new();
    while let [head, len, rest @ ..] = bytes {
        let (len, rest) = match len {
            126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
            127 => {
                let len = u64::from_be_bytes(rest[..8].try_into().expect("eight bytes"));
                (len as usize, &rest[8..])
            }
            len => (usize::from(*len), rest),
        };
        frames.push((head & 15, &rest[..len]));
        bytes = &rest[len..];
    }
    frames
}

/// A token with these claims.
fn token(claims: &Value, now: Now) -> String {
    let mut claims = claims.clone();
    claims["exp"] = json!(now.wall.0 / 1000 + 3600);
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    encode(&Header::default(), &claims, &key).expect("plain claims")
}
