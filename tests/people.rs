//! Who is found, counted, spoken to and sent away: shards against a plain list, over random
//! comings, authentications, subscriptions and leavings.

mod guarded;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use guarded::{GUARDED, OPEN};
use serde_json::{Value, json};
use shardwire::audience::Audience;
use shardwire::auth::{Identity, IdentityParts};
use shardwire::connection::{Address, ConnKey, ConnectionId};
use shardwire::interest::{Interest, ShardSet};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::message::Publication;
use shardwire::metrics::ShardMetrics;
use shardwire::query::{Found, Query};
use shardwire::report::{Around, Page, Plan, Step, Wanted};
use shardwire::shard::{Arrival, Parts, Port, Sent, Settled, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};
use shardwire::topic::{TopicBounds, matches};

const SHARDS: u8 = 3;
const NODE: u64 = 5;
const NOW: Now = Now { mono_ms: 1000, wall: Timestamp(1_769_860_800_000) };
const TOPICS: [&str; 4] = ["public.a", "public.b", "public.a.c", "public.*"];

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// Takes everything.
struct Sink;

impl Port for Sink {
    fn send(&mut self, _: u32, bytes: &[u8]) -> Sent {
        Sent::Bytes(bytes.len())
    }
    fn shut(&mut self, _: u32) {}
    fn close(&mut self, _: u32, _: IpAddr) {}
}

/// A connection as the plain list has it.
struct Client {
    address: Address,
    endpoint: u8,
    /// Tenant and user, once authenticated.
    who: Option<(Option<&'static str>, &'static str)>,
    topics: BTreeSet<&'static str>,
}

struct World {
    shards: Vec<Shard>,
    mailboxes: Arc<[Arc<Mailbox>]>,
    metrics: Arc<[Arc<ShardMetrics>]>,
    clients: Vec<Client>,
    random: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        let mailboxes: Arc<[_]> = (0..SHARDS).map(|_| Mailbox::new(Box::new(Awake))).collect();
        let metrics: Arc<[_]> = (0..SHARDS).map(|_| ShardMetrics::new()).collect();
        let (interest, policy) = (Interest::new(), Arc::new(guarded::policy()));
        let parts = |id: u8| Parts {
            id,
            mailboxes: Arc::clone(&mailboxes),
            interest: Arc::clone(&interest),
            policy: Arc::clone(&policy),
            metrics: Arc::clone(&metrics[usize::from(id)]),
            seed: u64::from(id),
            node: NODE,
            all_metrics: Arc::clone(&metrics),
            secrets: Box::new(NotSecret(1)),
        };
        let shards = (0..SHARDS).map(|id| Shard::new(parts(id), NOW)).collect();
        Self { shards, mailboxes, metrics, clients: Vec::new(), random: seed }
    }

    fn draw(&mut self, below: usize) -> usize {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
        (self.random >> 33) as usize % below
    }

    /// Lets all shards work until no mail is left.
    fn rest(&mut self) {
        let is_idle = |world: &Self| world.mailboxes.iter().all(|mailbox| mailbox.is_empty());
        for round in 0.. {
            for shard in &mut self.shards {
                shard.take_mail(NOW, &mut Sink);
                shard.flush(NOW, &mut Sink);
            }
            if is_idle(self) && self.shards.iter().all(|shard| !shard.is_ending()) {
                break;
            }
            assert!(round < 1000, "the shards do not come to rest");
        }
    }

    fn say(&mut self, client: usize, message: &Value) {
        let Address { shard, conn } = self.clients[client].address;
        let text = message.to_string();
        let mut frame = vec![0x81, 0x80 + 126];
        frame.extend((text.len() as u16).to_be_bytes());
        if text.len() < 126 {
            frame = vec![0x81, 0x80 + text.len() as u8];
        }
        frame.extend([0; 4]);
        frame.extend(text.bytes());
        let shard = &mut self.shards[usize::from(shard)];
        assert_eq!(shard.read(NOW, conn, &mut frame, &mut Sink), frame.len());
    }

    fn step(&mut self) {
        let some = self.draw(self.clients.len().max(1));
        match self.draw(10) {
            0..3 => self.connect(),
            _ if self.clients.is_empty() => {}
            3..5 => {
                let tenant = [None, Some("acme"), Some("a.b")][self.draw(3)];
                let user = ["1", "2", "acme"][self.draw(3)];
                let claims = match tenant {
                    None => json!({"sub": user}),
                    Some(tenant) => json!({"sub": user, "tenantId": tenant}),
                };
                let token = guarded::token(&claims);
                self.say(some, &json!({"type": "auth", "token": token}));
                self.clients[some].who = Some((tenant, user));
            }
            5..8 => {
                let topic = TOPICS[self.draw(TOPICS.len())];
                let client = &mut self.clients[some];
                // What a guarded endpoint lets nobody have is not counted on.
                if client.endpoint == OPEN {
                    client.topics.insert(topic);
                    self.say(some, &json!({"type": "subscribe", "topic": topic}));
                }
            }
            8 => {
                let gone = self.clients.swap_remove(some);
                self.hang_up(gone.address);
            }
            _ => self.disconnect(some),
        }
    }

    fn connect(&mut self) {
        let (shard, endpoint) = (self.draw(SHARDS.into()) as u8, [OPEN, GUARDED][self.draw(2)]);
        let arrival = Arrival::new(endpoint, IpAddr::from([127, 0, 0, 1]));
        let conn = self.shards[usize::from(shard)].open(NOW, arrival);
        let address = Address { shard, conn };
        self.clients.push(Client { address, endpoint, who: None, topics: BTreeSet::new() });
    }

    /// All connections of somebody's user are ended, or one.
    fn disconnect(&mut self, some: usize) {
        let (code, reason) = (4000, "bye");
        if let Some((tenant, user)) = self.clients[some].who {
            let of = audience(tenant, user);
            let made = self.report(Wanted::Disconnect { of, code, reason: reason.into() });
            let is_gone = |client: &mut Client| client.who == Some((tenant, user));
            let gone: Vec<Client> = self.clients.extract_if(.., is_gone).collect();
            assert_eq!(made.unwrap()["disconnected"], gone.len());
            for client in &gone {
                self.hang_up(client.address);
            }
        } else {
            let id = ConnectionId { node: NODE, at: self.clients[some].address };
            let wanted = || Wanted::DisconnectOne { id, code, reason: reason.into() };
            assert_eq!(self.report(wanted()).unwrap()["disconnected"], 1);
            assert_eq!(self.report(wanted()), None);
            assert_eq!(self.report(Wanted::Connection(id)), None);
            let gone = self.clients.swap_remove(some);
            self.hang_up(gone.address);
        }
    }

    fn hang_up(&mut self, Address { shard, conn }: Address) {
        self.shards[usize::from(shard)].gone(conn);
        self.rest();
    }

    /// Makes a report from any of the shards; `None`: what was named is not there.
    fn report(&mut self, wanted: Wanted) -> Option<Value> {
        let asker = self.draw(SHARDS.into());
        let metrics = Arc::clone(&self.metrics);
        let around = Around {
            node: NODE,
            shards: SHARDS,
            metrics,
            now: NOW,
            draining: false,
            topic_bounds: TopicBounds::default(),
        };
        let (mut plan, mut step) = Plan::begin(wanted, &around);
        loop {
            match step {
                Step::Done(made) => return Some(serde_json::from_str(&made.ok()?).unwrap()),
                Step::Ask { query, of } => {
                    let ticket = self.shards[asker].inquire(NOW, &query, of).unwrap();
                    self.rest();
                    let told = self.shards[asker].told().expect("all have answered");
                    assert_eq!(told.ticket, ticket);
                    step = plan.told(told.parts, &around);
                }
            }
        }
    }

    /// To how many an announcement goes.
    fn announce(&mut self, audience: Audience) -> u64 {
        let asker = self.draw(SHARDS.into());
        let publication = Publication::of_server("*..", "1", NOW.wall);
        let ticket = self.shards[asker].announce(NOW, &publication, &Arc::new(audience)).unwrap();
        self.rest();
        let settled = self.shards[asker].settled().expect("all have answered");
        assert_eq!(settled.ticket, ticket);
        settled.delivered
    }

    fn count(&self, is: impl Fn(&Client) -> bool) -> u64 {
        self.clients.iter().filter(|client| is(client)).count() as u64
    }

    /// Holds every count against the plain list.
    fn judge(&mut self) {
        let may_hear = |it: &Client| it.endpoint == OPEN || it.who.is_some();
        assert_eq!(self.announce(Audience::Everyone), self.count(may_hear));
        for tenant in ["acme", "a.b", "nobody"] {
            let expected = self.count(|it| it.who.is_some_and(|who| who.0 == Some(tenant)));
            assert_eq!(self.announce(Audience::Tenant(tenant.into())), expected, "{tenant}");
            self.judge_list(&Audience::Tenant(tenant.into()), expected);
        }
        for tenant in [None, Some("acme")] {
            for user in ["1", "acme", "nobody"] {
                let expected = self.count(|it| it.who == Some((tenant, user)));
                assert_eq!(self.announce(audience(tenant, user)), expected, "{tenant:?} {user}");
                self.judge_list(&audience(tenant, user), expected);
            }
        }
        self.judge_list(&Audience::Everyone, self.clients.len() as u64);
        for topic in ["public.a", "public.a.c", "public.z"] {
            self.judge_presence(topic);
        }
        let figures = self.report(Wanted::Stats).unwrap();
        let mut by_tenant = BTreeMap::<&str, u64>::new();
        for tenant in self.clients.iter().filter_map(|client| client.who?.0) {
            *by_tenant.entry(tenant).or_default() += 1;
        }
        let mut by_channel = BTreeMap::<&str, u64>::new();
        for topic in self.clients.iter().flat_map(|client| &client.topics) {
            if !topic.contains('*') {
                *by_channel.entry(topic).or_default() += 1;
            }
        }
        assert_eq!(figures["total"], self.clients.len());
        assert_eq!(figures["byTenant"], json!(by_tenant));
        assert_eq!(figures["byChannel"], json!(by_channel));
        for shard in &self.shards {
            shard.check(NOW);
        }
    }

    fn judge_list(&mut self, of: &Audience, expected: u64) {
        let (mut ids, mut cursor) = (BTreeSet::new(), None);
        let limit = 1 + self.draw(20) as u16;
        loop {
            let page = Page { limit, cursor };
            let made = self.report(Wanted::Connections { of: of.clone(), page }).unwrap();
            for item in made["items"].as_array().unwrap() {
                let id = item["connectionId"].as_str().unwrap().to_owned();
                let parsed: ConnectionId = id.parse().unwrap();
                let client = self.clients.iter().find(|client| client.address == parsed.at);
                let client = client.expect("who is listed is there");
                assert_eq!(item["userId"].as_str(), client.who.map(|who| who.1));
                assert_eq!(item["tenantId"].as_str(), client.who.and_then(|who| who.0));
                assert_eq!(item["subscriptions"], json!(client.topics));
                assert!(ids.insert(id), "listed twice");
            }
            let Some(next) = made["next"].as_str() else { break };
            cursor = Some(next.parse().unwrap());
        }
        assert_eq!(ids.len() as u64, expected, "{of:?}");
    }

    fn judge_presence(&mut self, topic: &str) {
        let made = self.report(Wanted::Presence(topic.into())).unwrap();
        let mut people = BTreeMap::<(Option<&str>, Option<&str>), u64>::new();
        for client in &self.clients {
            if client.topics.iter().any(|pattern| matches(pattern, topic)) {
                let (tenant, user) = client.who.unzip();
                *people.entry((user, tenant.flatten())).or_default() += 1;
            }
        }
        assert_eq!(made["connections"], people.values().sum::<u64>());
        let items = people.into_iter().map(|((user, tenant), connections)| match tenant {
            None => json!({"userId": user, "connections": connections}),
            Some(tenant) => {
                json!({"userId": user, "tenantId": tenant, "connections": connections})
            }
        });
        assert_eq!(made["items"], Value::Array(items.collect()));
        // A message goes to just so many.
        let asker = self.draw(SHARDS.into());
        let publication = Publication::of_server(topic, "1", NOW.wall);
        self.shards[asker].publish(NOW, &publication).unwrap();
        self.rest();
        let settled = self.shards[asker].settled().expect("all have answered");
        assert_eq!(made["connections"], settled.delivered);
    }
}

fn audience(tenant: Option<&str>, user: &str) -> Audience {
    Audience::User { tenant: tenant.map(Into::into), user: user.into() }
}

#[test]
fn every_count_is_that_of_a_plain_list() {
    for seed in 0..12 {
        let mut world = World::new(seed);
        for _ in 0..12 {
            for _ in 0..=world.draw(40) {
                world.step();
            }
            world.rest();
            world.judge();
        }
    }
}

#[test]
fn a_connection_is_named_on_its_own_shard() {
    let mut world = World::new(1);
    for _ in 0..10 {
        world.connect();
    }
    let [there, other] = [0, 1].map(|it| world.clients[it].address);
    let asker = usize::from(there.shard);
    let publication = Publication::of_server("x", "1", NOW.wall);
    for (key, delivered) in [
        (there.conn, u64::from(world.clients[0].endpoint == OPEN)),
        (ConnKey { generation: there.conn.generation + 1, ..other.conn }, 0),
        (ConnKey { index: u32::MAX, generation: 0 }, 0),
    ] {
        let audience = Arc::new(Audience::Connection(key));
        world.shards[asker].announce(NOW, &publication, &audience).unwrap();
        // Nobody else is asked.
        assert_eq!(world.shards[asker].settled().map(|it| it.delivered), Some(delivered));
    }
}

/// A flush ends some of those that have hung up, not all; nobody counts who is left of them.
#[test]
fn who_has_hung_up_is_nobody() {
    const CLIENTS: u64 = 200;
    let mut world = World::new(1);
    let who = IdentityParts { user_id: "1", tenant: Some("acme"), ..Default::default() };
    let shard = &mut world.shards[0];
    let open = |shard: &mut Shard| {
        let identity = Some(Identity::new(&who, TopicBounds::default()).expect("well formed"));
        let arrival = Arrival { identity, ..Arrival::new(OPEN, IpAddr::from([127, 0, 0, 1])) };
        shard.open(NOW, arrival)
    };
    let keys: Vec<ConnKey> = (0..CLIENTS).map(|_| open(shard)).collect();
    for key in &keys {
        shard.gone(*key);
    }
    let last = Audience::Connection(keys[CLIENTS as usize - 1]);
    for of in
        [Audience::Everyone, Audience::Tenant("acme".into()), audience(Some("acme"), "1"), last]
    {
        let shard = &mut world.shards[0];
        assert_eq!(shard.connections() as u64, CLIENTS);
        let publication = Publication::of_server("x", "1", NOW.wall);
        let ticket = shard.announce(NOW, &publication, &Arc::new(of.clone())).unwrap();
        let listed = Query::Connections { of: of.clone(), from: 0, limit: 1000 };
        let disconnect = Query::Disconnect { of: of.clone(), code: 4000, reason: "".into() };
        for query in [listed, disconnect] {
            shard.inquire(NOW, &Arc::new(query), ShardSet::only(0)).unwrap();
            match &shard.told().expect("it is answered at once").parts[0].1 {
                Found::Connections { items, .. } => assert!(items.is_empty(), "{of:?}"),
                found => assert!(matches!(found, Found::Disconnected(0)), "{of:?}: {found:?}"),
            }
        }
        world.shards[0].send_mail(NOW);
        for shard in &mut world.shards[1..] {
            shard.take_mail(NOW, &mut Sink);
            shard.send_mail(NOW);
        }
        while !world.mailboxes[0].is_empty() {
            world.shards[0].take_mail(NOW, &mut Sink);
        }
        let settled = world.shards[0].settled();
        let expected = Settled { ticket, delivered: 0, position: None };
        assert_eq!(settled, Some(expected), "{of:?}");
        world.shards[0].check(NOW);
    }
    world.rest();
    world.shards[0].check_empty(NOW);
}
