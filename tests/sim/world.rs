//! The world of a run: shards with real mailboxes, a virtual network, virtual time, clients.
//!
//! Drives the shards as `node/` does: a turn takes mail, tells of room, reads, acts on deadlines
//! and flushes. Who takes a turn when, and how much of each part, is drawn.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use shardwire::auth::{Identity, IdentityParts};
use shardwire::close::Refusal;
use shardwire::interest::Interest;
use shardwire::limits::{CLOSE_WAIT_MS, MAILS_PER_TURN_MAX, SPILL_MAILS_MAX};
use shardwire::mail::{Delivery, Mail};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::message::Publication;
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Parts, Settled, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};
use shardwire::topic::TopicBounds;
use shardwire::wire::deflate::Accepted;

use super::addressed::ENDED;
use super::client::{Client, Reading, Rules};
use super::frames::{CLOSE, PONG, ServerFrame, put_frame};
use super::ledger::{Fate, Ledger, Published, Publisher};
use super::network::Net;
use super::people::Report;
use super::random::Random;
use super::setting::{ADMIN, CHANNELS, ECHO, ENDPOINTS, GUARDED, START_WALL_MS, Setting, TENANTS};
use super::webhook::Open;

/// The last events of a run, for whoever has to find out what went wrong.
pub type Trace = Rc<RefCell<VecDeque<String>>>;
const TRACE_EVENTS: usize = 120;
/// The longest that a driver keeps output back.
const FLUSH_DELAY_MS: u64 = 20;
/// The number of the node that the shards are of.
pub const NODE: u64 = 1;

/// Nobody sleeps here.
struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// Everything there is.
pub struct World {
    pub setting: Setting,
    pub shards: Vec<Shard>,
    pub metrics: Vec<Arc<ShardMetrics>>,
    pub mailboxes: Arc<[Arc<Mailbox>]>,
    pub interest: Arc<Interest>,
    pub net: Net,
    /// By link.
    pub clients: Vec<Client>,
    pub ledger: Ledger,
    pub random: Random,
    pub now: Now,
    /// When whoever is left is cut.
    pub gone_by_ms: Option<u64>,
    /// Server-side publishes not settled yet.
    pub tickets: BTreeMap<(u8, u64), usize>,
    /// Announcements not settled yet.
    pub said: BTreeMap<(u8, u64), usize>,
    /// Reports that are being made.
    pub reports: BTreeMap<(u8, u64), Report>,
    /// What an awaited one came to.
    pub made: Option<serde_json::Value>,
    /// Questions that the webhook will answer.
    pub questions: Vec<Open>,
    /// All come to rest: the webhook answers at once.
    pub resting: bool,
    /// Something was lost that no counter has: a connection died or was cut.
    pub lossy: bool,
    trace: Trace,
}

impl World {
    pub fn new(mut random: Random, steps: u64, trace: Trace) -> Self {
        let (setting, policy) = Setting::draw(&mut random, steps);
        let now = Now { mono_ms: 0, wall: Timestamp(START_WALL_MS) };
        let mails = setting.mailbox_mails;
        let mailboxes: Arc<[_]> =
            (0..setting.shards).map(|_| Mailbox::with_capacity(mails, Box::new(Awake))).collect();
        let interest = Interest::new();
        let metrics: Vec<_> = (0..setting.shards).map(|_| ShardMetrics::new()).collect();
        let policy = Arc::new(policy);
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: 1 << 40 | u64::from(id),
            node: NODE,
            all_metrics: metrics.clone().into(),
            secrets: Box::new(NotSecret(1)),
        };
        let shards = (0..setting.shards).map(|id| Shard::new(parts(id), now)).collect();
        let net = Net::new(setting.shards, random.fork());
        Self {
            setting,
            shards,
            metrics,
            mailboxes,
            interest,
            net,
            clients: Vec::new(),
            ledger: Ledger::default(),
            random,
            now,
            gone_by_ms: None,
            tickets: BTreeMap::new(),
            said: BTreeMap::new(),
            reports: BTreeMap::new(),
            made: None,
            questions: Vec::new(),
            resting: false,
            lossy: false,
            trace,
        }
    }

    /// Takes note of an event.
    pub fn note(&self, event: impl FnOnce() -> String) {
        let mut trace = self.trace.borrow_mut();
        if trace.len() == TRACE_EVENTS {
            trace.pop_front();
        }
        trace.push_back(format!("{:>7} ms  {}", self.now.mono_ms, event()));
    }

    /// Time goes by. A driver may keep output back for some milliseconds, not for longer.
    pub fn pass(&mut self, ms: u64) {
        if ms > FLUSH_DELAY_MS {
            for (shard, id) in self.shards.iter_mut().zip(0..) {
                shard.flush(self.now, &mut self.net.sockets(id));
            }
        }
        self.now.mono_ms += ms;
        self.now.wall.0 += ms;
        self.net.now_ms = self.now.mono_ms;
    }

    /// A client comes.
    pub fn connect(&mut self) {
        let shard = self.random.below(u64::from(self.setting.shards)) as u8;
        let endpoint = self.random.below(ENDPOINTS) as u8;
        let number = self.clients.len();
        let (tenant, user) = self.draw_identity(endpoint);
        let identity = user.as_ref().map(|user| {
            let roles: &[&str] = if endpoint == ADMIN { &["admin"] } else { &[] };
            let tenant = tenant.as_deref();
            let parts = IdentityParts { user_id: user, tenant, roles, ..Default::default() };
            Identity::new(&parts, TopicBounds::default()).unwrap()
        });
        let compression = self.random.one_in(4);
        let server_bits = self.random.within(9..16) as u8;
        let offer = format!("permessage-deflate; server_max_window_bits={server_bits}");
        let accepted: Option<Accepted> =
            shardwire::wire::deflate::negotiate(std::iter::once(&*offer)).filter(|_| compression);
        let address = IpAddr::from([127, 0, 0, 1 + (number % 7) as u8]);
        let arrival =
            Arrival { identity, compression: accepted, ..Arrival::new(endpoint, address) };
        let key = self.shards[usize::from(shard)].open(self.now, arrival);
        let down_max = self.random.within(64..8192) as usize;
        self.net.connect(shard, key, address, down_max);
        if !self.setting.calm && self.random.one_in(8) {
            self.net.links[number].dies_in = Some(self.random.within(1..9000) as usize);
        }
        let since = self.ledger.tick();
        let mut client = Client::new(endpoint, (tenant, user), compression, since);
        client.mute = !self.setting.calm && self.random.one_in(10);
        client.reading = self.draw_reading();
        self.note(|| format!("client {number} comes to shard {shard}, endpoint {endpoint}"));
        self.clients.push(client);
    }

    /// The tenant and user whose token a client comes with.
    fn draw_identity(&mut self, endpoint: u8) -> (Option<String>, Option<String>) {
        match endpoint {
            GUARDED if self.random.one_in(2) => (self.draw_tenant(), Some(self.draw_user())),
            // The door lets in nobody without.
            CHANNELS if self.random.one_in(2) => {
                (Some(self.random.pick(&TENANTS).into()), Some(self.draw_user()))
            }
            ADMIN => (None, Some("root".into())),
            _ => (None, None),
        }
    }

    pub fn draw_reading(&mut self) -> Reading {
        match self.random.below(6) {
            0 => Reading::Stopped,
            1 => Reading::Slow(self.random.within(1..600)),
            _ => Reading::Fast,
        }
    }

    /// A turn of a shard, any part of which may be left out or done in part.
    pub fn turn(&mut self, shard: u8, whole: bool) {
        let id = usize::from(shard);
        let mails_before = self.metrics[id].mails_sent_total.get();
        if whole || !self.random.one_in(4) {
            self.shards[id].take_mail(self.now, &mut self.net.sockets(shard));
        }
        for link in self.net.of_shard(shard) {
            self.serve(shard, link, whole);
        }
        if self.shards[id].next_deadline_ms().is_some_and(|at| at <= self.now.mono_ms) {
            self.shards[id].advance(self.now, &mut self.net.sockets(shard));
        }
        if whole || !self.random.one_in(6) {
            self.shards[id].flush(self.now, &mut self.net.sockets(shard));
        } else {
            self.shards[id].send_mail(self.now);
            self.shards[id].end_some(self.now, &mut self.net.sockets(shard));
        }
        while let Some(settled) = self.shards[id].settled() {
            self.on_settled(shard, settled);
        }
        self.take_told(shard);
        self.answer_questions(shard);
        let made = self.metrics[id].mails_sent_total.get() - mails_before;
        let kept = self.metrics[id].mails_spilled.get();
        let bound = SPILL_MAILS_MAX + 2 * MAILS_PER_TURN_MAX * self.shards.len();
        assert!(kept <= bound as u64 && made <= 3 * bound as u64, "{kept} mails are kept back");
    }

    /// Room, bytes and the end of one connection.
    fn serve(&mut self, shard: u8, link: usize, whole: bool) {
        let id = usize::from(shard);
        let key = self.net.links[link].key;
        if (whole || self.random.one_in(2)) && self.net.links[link].take_writable() {
            self.shards[id].writable(key, &mut self.net.sockets(shard));
            self.net.links[link].paused &= !self.shards[id].reads(key);
        }
        // As a driver must: nobody is read while mail cannot go out, nor who does not read.
        if self.shards[id].is_congested() || self.net.links[link].paused {
            return;
        }
        if !self.shards[id].reads(key) {
            self.net.links[link].paused = true;
            return;
        }
        let at_once = match self.random.below(4) {
            _ if whole => usize::MAX,
            0 => return,
            1 => self.random.within(1..40) as usize,
            _ => 64 << 10,
        };
        let place = &mut self.net.links[link];
        if place.closed_ms.is_some() || !place.is_readable() {
            return;
        }
        let count = place.up.len().min(at_once);
        let mut bytes: Vec<u8> = place.up.drain(..count).collect();
        if bytes.is_empty() {
            self.note(|| format!("shard {shard} learns that client {link} is gone"));
            self.shards[id].gone(key);
        } else {
            let shards = &mut self.shards;
            let taken = shards[id].read(self.now, key, &mut bytes, &mut self.net.sockets(shard));
            for byte in bytes.drain(taken..).rev() {
                self.net.links[link].up.push_front(byte);
            }
        }
    }

    fn on_settled(&mut self, shard: u8, settled: Settled) {
        if let Some(number) = self.said.remove(&(shard, settled.ticket)) {
            assert_eq!(settled.position, None);
            self.ledger.addressed[number].told = Some(settled.delivered);
            return;
        }
        let number = self.tickets.remove(&(shard, settled.ticket)).expect("settled once");
        let name = &self.setting.topics[self.ledger.messages[number].topic];
        assert_eq!(settled.position.is_some(), Setting::has_history(name));
        if let Some(position) = settled.position {
            self.ledger.place(number, position.epoch, position.offset);
        }
        self.ledger.messages[number].delivered = Some(settled.delivered);
    }

    /// The server side publishes on a shard; whether it could.
    pub fn publish(&mut self, shard: u8, topic: usize) -> bool {
        let (number, at) = (self.ledger.messages.len(), self.ledger.tick());
        let (data, metadata) = self.content(number);
        let name = &self.setting.topics[topic];
        let publication = Publication {
            metadata: &metadata,
            ..Publication::of_server(name, &data, self.now.wall)
        };
        let congested = self.shards[usize::from(shard)].is_congested();
        let fate = match self.shards[usize::from(shard)].publish(self.now, &publication) {
            Ok(ticket) => {
                assert!(self.tickets.insert((shard, ticket), number).is_none());
                Fate::Taken
            }
            Err(refusal) => {
                let draining = self.gone_by_ms.is_some();
                assert!(refusal == Refusal::ShuttingDown && draining || congested, "{refusal}");
                Fate::Refused
            }
        };
        self.ledger.messages.push(Published {
            topic,
            by: Publisher::Server(shard),
            at,
            echo: true,
            metadata: true,
            fate,
            offset: None,
            epoch: None,
            user: Some(None),
            received: 0,
            delivered: None,
        });
        fate == Fate::Taken
    }

    /// What a message carries: its number, and stuffing.
    pub fn content(&mut self, number: usize) -> (String, String) {
        let stuffing = match self.random.below(8) {
            0 => self.random.below(3000),
            1..=4 => self.random.below(60),
            _ => 0,
        };
        let data = format!("{{\"n\":{number},\"s\":\"{}\"}}", "s".repeat(stuffing as usize));
        (data, format!("\"k\":{number}"))
    }

    /// A client takes what has come, as much as it wants.
    pub fn listen(&mut self, number: usize, whole: bool) {
        if self.clients[number].over {
            return;
        }
        let link = &mut self.net.links[number];
        let most = match self.clients[number].reading {
            _ if whole => usize::MAX,
            Reading::Fast => usize::MAX,
            Reading::Slow(bytes) => bytes as usize,
            Reading::Stopped => 0,
        };
        let count = link.down.len().min(most);
        self.clients[number].parser.feed(link.down.drain(..count));
        while let Some(frame) = self.clients[number].parser.next_frame() {
            assert!(self.clients[number].close_seen.is_none(), "something came after the close");
            self.hear(number, frame);
        }
        self.notice_end(number);
    }

    fn hear(&mut self, number: usize, frame: ServerFrame) {
        self.note(|| format!("client {number} hears {frame:.160?}"));
        let Self { clients, ledger, setting, net, random, .. } = self;
        let client = &mut clients[number];
        let mask = (random.below(1 << 32) as u32).to_be_bytes();
        match frame {
            ServerFrame::Text(text) => {
                let rules = Rules { setting, draining: self.gone_by_ms.is_some() };
                match client.endpoint {
                    CHANNELS => client.hear_in_channels(number, &text, ledger, &rules),
                    ECHO => client.hear_echo(&text, &rules),
                    ADMIN => client.hear_as_operator(&text, ledger, &rules),
                    _ => client.hear(number, &text, ledger, &rules),
                }
            }
            ServerFrame::Ping(payload) if !client.mute && !client.close_sent => {
                put_frame(&mut net.links[number].up, true, PONG, mask, &payload);
            }
            ServerFrame::Ping(_) => {}
            ServerFrame::Pong(payload) => {
                while client.pings.pop_front().expect("a pong for a ping") != payload {}
            }
            ServerFrame::Close(code) => {
                self.check_code(number, code);
                let client = &mut self.clients[number];
                client.close_seen = Some(code);
                if !client.mute && !client.close_sent && !self.net.links[number].up_ended {
                    client.close_sent = true;
                    put_frame(&mut self.net.links[number].up, true, CLOSE, mask, &[]);
                }
            }
        }
    }

    /// A close code has its reason.
    fn check_code(&mut self, number: usize, code: Option<u16>) {
        let client = &self.clients[number];
        let mut ended = self.ledger.addressed.iter_mut();
        if let Some(code @ ENDED..) = code
            && let Some(ended) = ended.find(|it| it.code == Some(code))
        {
            return ended.reach(number, client);
        }
        let draining = self.gone_by_ms.is_some();
        let fits = match code {
            None | Some(1000) => client.close_sent,
            Some(1001) => draining,
            Some(1002 | 1007 | 1009) => client.broken,
            Some(1008) => client.bad_tokens >= 3 || client.endpoint == GUARDED,
            Some(1013 | 4408) => true,
            Some(4401) => client.user.is_some(),
            Some(4429) => self.setting.rated,
            Some(_) => false,
        };
        assert!(fits, "close {code:?} has no reason");
    }

    /// The end of the stream, once all before it is read.
    fn notice_end(&mut self, number: usize) {
        let link = &mut self.net.links[number];
        if !(link.dead || link.down.is_empty() && (link.closed_ms.is_some() || link.shut)) {
            return;
        }
        let client = &mut self.clients[number];
        client.over = true;
        let whole = client.close_seen.is_some() && !client.parser.is_within_frame();
        self.lossy |= !whole;
        if let Some(closed_ms) = link.closed_ms
            && !link.dead
            && !link.up_ended
        {
            let waited = link.short_first_ms.is_some_and(|at| closed_ms - at >= CLOSE_WAIT_MS);
            let waited = link.short && waited;
            let cut = self.gone_by_ms.is_some_and(|at| closed_ms >= at);
            assert!(whole || waited || cut, "client {number} was cut without a word");
        }
        link.up_ended = true;
    }

    /// Tells all shards to drain.
    pub fn drain(&mut self) {
        let told_by_ms = self.now.mono_ms + self.random.within(1..2000);
        let gone_by_ms = told_by_ms + self.random.within(100..6000);
        self.note(|| format!("drain: told by {told_by_ms}, gone by {gone_by_ms}"));
        for shard in 0..self.setting.shards {
            let mut mail = Mail::from(Delivery::Drain { told_by_ms, gone_by_ms });
            while let Err(refused) = self.mailboxes[usize::from(shard)].push(mail) {
                mail = refused;
                self.turn(shard, true);
            }
        }
        self.gone_by_ms = Some(gone_by_ms);
    }
}
