//! Reports driven with shards that are tables: every text, the order of keys, the pages.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::*;
use crate::audience::Audience;
use crate::close::Refusal;
use crate::connection::{Address, ConnKey};
use crate::message::{Message, Position, Publication};
use crate::query::{ConnectionFacts, Found, Present, Query};
use crate::sid::Sid;
use crate::time::Timestamp;

const NODE: u64 = 7;
const NOW: Now = Now { mono_ms: 5000, wall: Timestamp(1_769_860_800_123) };

fn around(shards: u8) -> Around {
    let metrics = (0..shards).map(|_| ShardMetrics::new()).collect();
    Around {
        node: NODE,
        shards,
        metrics,
        now: NOW,
        draining: false,
        topic_bounds: TopicBounds::default(),
    }
}

/// Makes a report with what each shard answers; each question is counted.
fn report(
    wanted: Wanted,
    around: &Around,
    mut answer: impl FnMut(u8, &Query) -> Found,
) -> Result<String, Refusal> {
    let (mut plan, mut step) = Plan::begin(wanted, around);
    for _ in 0..10_000 {
        match step {
            Step::Done(outcome) => return outcome,
            Step::Ask { query, of } => {
                assert!(!of.is_empty() && of.iter().all(|shard| shard < around.shards));
                let parts = of.iter().map(|shard| (shard, answer(shard, &query))).collect();
                step = plan.told(parts, around);
            }
        }
    }
    panic!("it does not end");
}

fn facts(shard: u8, index: u32) -> ConnectionFacts {
    let conn = ConnKey { index, generation: 0 };
    ConnectionFacts {
        id: ConnectionId { node: NODE, at: Address { shard, conn } },
        socket: None,
        user: Some("42".into()),
        tenant: None,
        roles: Vec::new(),
        endpoint: "/ws".into(),
        address: IpAddr::from([127, 0, 0, 1]),
        opened: Timestamp(1_769_860_800_000),
        subscriptions: Vec::new(),
        backlog_bytes: 0,
    }
}

fn value(text: &str) -> serde_json::Value {
    serde_json::from_str(text).expect("a report is JSON")
}

#[test]
fn one_connection() {
    let id = facts(1, 5).id;
    let whole = ConnectionFacts {
        tenant: Some("ac\"me".into()),
        roles: vec!["a".into(), "b".into()],
        subscriptions: vec!["a.*".into(), "b".into()],
        backlog_bytes: 9,
        ..facts(1, 5)
    };
    for (facts, expected) in [
        (
            whole,
            r#""userId":"42","tenantId":"ac\"me","roles":["a","b"],"endpoint":"/ws","address":"127.0.0.1","connectedAt":"2026-01-31T12:00:00.000Z","subscriptions":["a.*","b"],"backlogBytes":9}"#,
        ),
        (
            ConnectionFacts { user: None, ..facts(1, 5) },
            r#""userId":null,"roles":[],"endpoint":"/ws","address":"127.0.0.1","connectedAt":"2026-01-31T12:00:00.000Z","subscriptions":[],"backlogBytes":0}"#,
        ),
    ] {
        let made = report(Wanted::Connection(id), &around(2), |shard, _| {
            assert_eq!(shard, 1);
            Found::Connections { items: vec![facts.clone()], next: None }
        });
        assert_eq!(made, Ok(format!("{{\"connectionId\":\"{id}\",{expected}")));
    }
    let none = |_, _: &Query| Found::Connections { items: Vec::new(), next: None };
    assert_eq!(report(Wanted::Connection(id), &around(2), none), Err(Refusal::NotFound));
}

#[test]
fn presence_is_of_all_shards() {
    let present = |user: Option<&str>, tenant: Option<&str>, connections| Present {
        user: user.map(Into::into),
        tenant: tenant.map(Into::into),
        connections,
    };
    let made = report(Wanted::Presence("t".into()), &around(2), |shard, query| {
        assert_eq!(*query, Query::Presence { topic: "t".into(), people: true });
        let people = if shard == 0 {
            vec![present(None, None, 3), present(Some("a"), None, 1)]
        } else {
            vec![present(Some("a"), None, 2), present(Some("a"), Some("t"), 1)]
        };
        Found::Presence { people, connections: 4 }
    });
    let items = r#"{"userId":null,"connections":3},{"userId":"a","connections":3},{"userId":"a","tenantId":"t","connections":1}"#;
    assert_eq!(made, Ok(format!("{{\"items\":[{items}],\"connections\":8}}")));
}

#[test]
fn histories() {
    let position = |offset| Some(Position { epoch: u64::MAX, offset });
    let made = |offsets: &'static [u64]| {
        let wanted = Wanted::History { topic: "t".into(), since: 4, limit: 2 };
        report(wanted, &around(1), |_, query| {
            assert_eq!(*query, Query::History { topic: "t".into(), after: 4, limit: 2 });
            let message = |offset: &u64| {
                let bare = Publication::of_server("t", "[1]", Timestamp(0));
                let full = Publication { event: Some("\"e\""), metadata: "\"k\":1", ..bare };
                let mut publication = if *offset == 5 { bare } else { full };
                publication.sender = Some("x");
                publication.position = position(*offset);
                Arc::new(Message::new(&publication))
            };
            let place = Position { epoch: u64::MAX, offset: 7 };
            Found::History(Some((place, offsets.iter().map(message).collect())))
        })
    };
    assert_eq!(
        made(&[5, 6]).unwrap(),
        r#"{"items":[{"offset":5,"eventType":"message","data":[1],"metadata":{"senderId":"x"},"timestamp":"1970-01-01T00:00:00.000Z"},{"offset":6,"eventType":"e","data":[1],"metadata":{"k":1,"senderId":"x"},"timestamp":"1970-01-01T00:00:00.000Z"}],"epoch":"18446744073709551615","next":6}"#
    );
    assert_eq!(value(&made(&[6, 7]).unwrap())["next"], serde_json::Value::Null);
    assert!(made(&[]).unwrap().ends_with(r#"],"epoch":"18446744073709551615","next":null}"#));
    let wanted = Wanted::History { topic: "t".into(), since: 0, limit: 2 };
    let none = report(wanted, &around(1), |_, _| Found::History(None));
    assert_eq!(none.unwrap(), r#"{"items":[],"epoch":null,"next":null}"#);
}

#[test]
fn disconnects_and_topics() {
    let id = facts(1, 5).id;
    let one = || Wanted::DisconnectOne { id, code: 1008, reason: "".into() };
    let found = |count| move |_, _: &Query| Found::Disconnected(count);
    assert_eq!(report(one(), &around(2), found(1)).unwrap(), r#"{"disconnected":1}"#);
    assert_eq!(report(one(), &around(2), found(0)), Err(Refusal::NotFound));
    let (of, code, reason) = (Audience::Tenant("t".into()), 1000, "".into());
    let all = Wanted::Disconnect { of, code, reason };
    assert_eq!(report(all.clone(), &around(2), found(3)).unwrap(), r#"{"disconnected":6}"#);
    assert_eq!(report(all, &around(2), found(0)).unwrap(), r#"{"disconnected":0}"#);
    for (place, expected) in [(None, "null"), (Some(9), r#"{"epoch":"3","offset":9}"#)] {
        let made = report(Wanted::Topic("t".into()), &around(2), |_, query| match query {
            Query::Subscribers(_) => Found::Subscribers(vec![1]),
            Query::Presence { people: false, .. } => {
                Found::Presence { people: Vec::new(), connections: 2 }
            }
            Query::Members(topic) => {
                assert_eq!(&**topic, "t");
                Found::Members(vec![Sid::parse("AAAAAAAAAAAAAAAAAAAA").expect("a name")])
            }
            _ => Found::History(place.map(|offset| (Position { epoch: 3, offset }, Vec::new()))),
        });
        let head = r#"{"topic":"t","subscribers":2,"connections":4,"history":"#;
        let members =
            r#""memberCount":2,"members":["AAAAAAAAAAAAAAAAAAAA","AAAAAAAAAAAAAAAAAAAA"]"#;
        assert_eq!(made, Ok(format!("{head}{expected},{members}}}")));
    }
}

#[test]
fn a_socket_has_a_name_and_rooms() {
    let sid = Sid::parse("AQAAAAUAAAAAAAAAAAAA").expect("a name");
    let made = report(Wanted::Socket(sid), &around(2), |shard, query| {
        assert_eq!(shard, 1);
        let of = Audience::Socket(sid);
        assert_eq!(*query, Query::Connections { of, from: 5, limit: 1 });
        let subscriptions = vec!["r".into()];
        let facts = ConnectionFacts { socket: Some(sid), subscriptions, ..facts(1, 5) };
        Found::Connections { items: vec![facts], next: None }
    });
    let made = value(&made.expect("it is there"));
    assert_eq!(made["socketId"], "AQAAAAUAAAAAAAAAAAAA");
    assert_eq!((&made["rooms"][0], &made["userId"]), (&"r".into(), &"42".into()));
    let none = |_, _: &Query| unreachable!("there is no such shard");
    assert_eq!(report(Wanted::Socket(sid), &around(1), none), Err(Refusal::NotFound));
}

#[test]
fn figures_have_every_counter() {
    let around = around(2);
    around.metrics[0].connections.add(2);
    around.metrics[1].connections.add(3);
    around.metrics[1].closed_for(crate::close::Close::Shutdown).add(4);
    let made = report(Wanted::Stats, &around, |shard, query| match query {
        Query::Tally => Found::Tally(vec![("b".into(), 1), (format!("c{shard}").into(), 2)]),
        Query::Topics { .. } if shard == 0 => {
            Found::Topics { items: vec![("x\"".into(), 5)], next: None }
        }
        Query::Topics { .. } => Found::Topics { items: Vec::new(), next: None },
        _ => Found::Subscribers(vec![1]),
    });
    let text = made.unwrap();
    let head = r#"{"uptime":5,"timestamp":"2026-01-31T12:00:00.123Z","draining":false,"total":5,"byTenant":{"b":2,"c0":2,"c1":2},"byChannel":{"x\"":6},"totalConnections":0,"activeConnections":5,"totalRooms":0,"messagesPerSecond":0,"averageLatency":0,"errorRate":0,"totals":{"connections":5,"connectionsAuthenticated":0,"#;
    assert!(text.starts_with(head), "{text}");
    let made = value(&text);
    assert_eq!(made["closed"]["server_shutting_down"], 4);
    assert_eq!(made["shards"][1]["connections"], 3);
    let counters = made["totals"].as_object().unwrap().len();
    assert_eq!(counters, around.metrics[0].readings().count());
}

/// Shards with topics and connections at places.
struct Tables {
    shards: u8,
    topics: Vec<BTreeMap<u32, (String, u64)>>,
    connections: Vec<BTreeSet<u32>>,
    /// Places that a shard looks at for one answer.
    places_max: u32,
}

impl Tables {
    fn new(seed: u64) -> Self {
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let mut draw = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
            (random >> 33) % below
        };
        let shards = 1 + draw(4) as u8;
        let (mut topics, mut connections) = (Vec::new(), Vec::new());
        for _ in 0..shards {
            let names: BTreeSet<_> = (0..draw(12)).map(|_| format!("t{}", draw(15))).collect();
            let place = |(at, name): (u32, String)| (3 * at, (name, 1 + draw(3)));
            topics.push((0..).zip(names).map(place).collect());
            connections.push((0..draw(9)).map(|_| draw(20) as u32).collect());
        }
        Self { shards, topics, connections, places_max: 1 + draw(9) as u32 }
    }

    fn answer(&self, shard: u8, query: &Query) -> Found {
        let topics = &self.topics[usize::from(shard)];
        match query {
            Query::Topics { from, limit, prefix } => {
                let end = topics.range(from + self.places_max..).next().map(|(at, _)| *at);
                let (mut items, mut next) = (Vec::new(), end);
                for (at, (name, count)) in topics.range(*from..from + self.places_max) {
                    if items.len() == usize::from(*limit) {
                        next = Some(*at);
                        break;
                    }
                    if name.starts_with(&**prefix) {
                        items.push((name.as_str().into(), *count));
                    }
                }
                Found::Topics { items, next }
            }
            Query::Subscribers(names) => {
                Found::Subscribers(names.iter().map(|name| self.subscribers(shard, name)).collect())
            }
            Query::Connections { from, limit, .. } => {
                let connections = &self.connections[usize::from(shard)];
                let mut there = connections.range(from..).copied();
                let taken: Vec<u32> = there.by_ref().take(usize::from(*limit)).collect();
                let items = taken.into_iter().map(|at| facts(shard, at)).collect();
                Found::Connections { items, next: there.next() }
            }
            other => unreachable!("nobody asks {other:?}"),
        }
    }

    fn subscribers(&self, shard: u8, topic: &str) -> u64 {
        let all = self.topics[usize::from(shard)].values();
        all.filter(|(name, _)| name == topic).map(|(_, count)| count).sum()
    }

    /// All items of a list, page by page.
    fn pages(&self, limit: u16, wanted: impl Fn(Page) -> Wanted) -> Vec<serde_json::Value> {
        let (mut all, mut cursor) = (Vec::new(), None);
        loop {
            let wanted = wanted(Page { limit, cursor });
            let made =
                report(wanted, &around(self.shards), |shard, query| self.answer(shard, query));
            let made = value(&made.unwrap());
            let items = made["items"].as_array().unwrap();
            assert!(items.len() <= usize::from(limit));
            all.extend(items.iter().cloned());
            let Some(next) = made["next"].as_str() else { return all };
            assert_eq!(items.len(), usize::from(limit), "a short page goes on");
            cursor = Some(next.parse().unwrap());
        }
    }
}

#[test]
fn pages_have_each_item_once() {
    for seed in 0..300 {
        let tables = Tables::new(seed);
        for limit in [1, 2, 5, 1000] {
            for prefix in ["", "t1", "x"] {
                let mut expected = BTreeMap::new();
                for (name, count) in tables.topics.iter().flat_map(BTreeMap::values) {
                    if name.starts_with(prefix) {
                        *expected.entry(name.clone()).or_insert(0) += count;
                    }
                }
                let topics = |page| Wanted::Topics { prefix: prefix.into(), page };
                let listed = tables.pages(limit, topics);
                assert_eq!(listed.len(), expected.len(), "seed {seed}");
                for item in listed {
                    let name = item["topic"].as_str().unwrap();
                    assert_eq!(item["subscribers"].as_u64().as_ref(), expected.get(name));
                }
            }
            let listed = tables
                .pages(limit, |page| Wanted::Connections { of: Audience::Everyone, page })
                .into_iter()
                .map(|item| item["connectionId"].as_str().unwrap().to_owned());
            let all = (0..).zip(&tables.connections).flat_map(|(shard, connections)| {
                connections.iter().map(move |at| facts(shard, *at).id.to_string())
            });
            assert!(listed.eq(all), "seed {seed}");
        }
    }
}
