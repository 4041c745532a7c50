//! The topic index beside a plain recursive reference: the same sequence of subscribes,
//! unsubscribes, disconnects and publishes must give the same answers, the same matches, each
//! entry once, and two sides that agree. Semantics: protocols.md section 2.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use shardwire::shard::topics::{Subscribed, Topics, Unsubscribed};
use shardwire::topic::{Pattern, Topic, TopicBounds};

/// Whether `pattern` matches `topic`, said as plainly as can be. Exponential for many `**`.
fn matches(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        (["**", rest @ ..], [_, after @ ..]) => matches(rest, after) || matches(pattern, after),
        (["*", rest @ ..], [_, after @ ..]) => matches(rest, after),
        ([literal, rest @ ..], [first, after @ ..]) => literal == first && matches(rest, after),
        _ => false,
    }
}

#[test]
fn the_reference_knows_the_rules() {
    for (pattern, topic, expected) in [
        ("a.b", "a.b", true),
        ("a.*", "a", false),
        ("a.*", "a.b", true),
        ("a.*", "a.b.c", false),
        ("a.**", "a", false),
        ("a.**", "a.b.c", true),
        ("**.c", "c", false),
        ("**.c", "a.b.c", true),
        ("**.**", "a", false),
        ("a.**.b.**.c", "a.x.b.b.y.c", true),
        ("a.**.b.**.c", "a.b.x.c", false),
    ] {
        let (pattern, topic): (Vec<_>, Vec<_>) =
            (pattern.split('.').collect(), topic.split('.').collect());
        assert_eq!(matches(&pattern, &topic), expected, "{pattern:?} {topic:?}");
    }
}

/// The reference: who has what, and nothing clever.
#[derive(Default)]
struct Model {
    entries: BTreeMap<String, BTreeSet<u32>>,
}

impl Model {
    fn remove(&mut self, conn: u32, name: &str) -> Unsubscribed {
        let Some(conns) = self.entries.get_mut(name).filter(|conns| conns.contains(&conn)) else {
            return Unsubscribed::NotThere;
        };
        conns.remove(&conn);
        let last = conns.is_empty();
        if last {
            self.entries.remove(name);
        }
        Unsubscribed::Removed { last }
    }

    fn subscriptions(&self, conn: u32) -> BTreeSet<&str> {
        let mine = self.entries.iter().filter(|(_, conns)| conns.contains(&conn));
        mine.map(|(name, _)| name.as_str()).collect()
    }

    /// Sorted lists of subscribers, one for each entry that matches.
    fn matching(&self, topic: &str) -> Vec<Vec<u32>> {
        let topic: Vec<&str> = topic.split('.').collect();
        let entries = self.entries.iter();
        let mut found: Vec<Vec<u32>> = entries
            .filter(|(name, _)| matches(&name.split('.').collect::<Vec<_>>(), &topic))
            .map(|(_, conns)| conns.iter().copied().collect())
            .collect();
        found.sort();
        found
    }
}

/// One thing that happens to an index.
#[derive(Clone, Debug)]
enum Event {
    Subscribe(u32, String),
    Unsubscribe(u32, String),
    Disconnect(u32),
    /// A changed identity that may keep only what holds this text.
    Retain(u32, String),
    Publish(String),
}

/// The index and its reference, side by side.
#[derive(Default)]
struct Pair {
    topics: Topics,
    model: Model,
}

impl Pair {
    fn happen(&mut self, event: &Event) {
        match event {
            Event::Subscribe(conn, name) => self.subscribe(*conn, name),
            Event::Unsubscribe(conn, name) => {
                let expected = self.model.remove(*conn, name);
                assert_eq!(self.topics.unsubscribe(*conn, pattern(name)), expected);
                assert!(!self.topics.is_subscribed(*conn, name));
            }
            Event::Disconnect(conn) => {
                let mut removed = Vec::new();
                self.topics.remove_connection(*conn, |one| removed.push(owned(one)));
                self.removed(*conn, removed, |_| false);
            }
            Event::Retain(conn, part) => {
                let keep = |name: &str| name.contains(&**part);
                let mut removed = Vec::new();
                self.topics.retain(*conn, keep, |one| removed.push(owned(one)));
                self.removed(*conn, removed, keep);
            }
            // Noted, remembered, out of the cache.
            Event::Publish(name) => (0..3).for_each(|_| self.publish(name)),
        }
    }

    fn subscribe(&mut self, conn: u32, name: &str) {
        let first = !self.model.entries.contains_key(name);
        let new = self.model.entries.entry(name.into()).or_default().insert(conn);
        let expected = if new { Subscribed::New { first } } else { Subscribed::Already };
        assert_eq!(self.topics.subscribe(conn, pattern(name)), expected);
        assert!(self.topics.is_subscribed(conn, name));
    }

    fn removed(
        &mut self,
        conn: u32,
        removed: Vec<(String, bool, bool)>,
        keep: impl Fn(&str) -> bool,
    ) {
        let expected: BTreeSet<String> =
            self.model.subscriptions(conn).into_iter().map(String::from).collect();
        let expected: BTreeSet<String> = expected.into_iter().filter(|name| !keep(name)).collect();
        assert_eq!(removed.len(), expected.len());
        for (name, is_wildcard, last) in removed {
            assert!(expected.contains(&name));
            assert_eq!(is_wildcard, pattern(&name).is_wildcard());
            assert_eq!(self.model.remove(conn, &name), Unsubscribed::Removed { last });
        }
    }

    fn publish(&mut self, name: &str) {
        let topic = Topic::parse(name, TopicBounds::default()).unwrap();
        let found = self.topics.matching(topic, topic.hash());
        let (announced, mut lists) = (found.len(), Vec::new());
        for list in found {
            let mut conns: Vec<u32> = list.iter().map(|subscriber| subscriber.conn).collect();
            conns.sort_unstable();
            lists.push(conns);
        }
        lists.sort();
        assert_eq!(announced, lists.len());
        assert_eq!(lists, self.model.matching(name), "{name}");
    }

    /// Everything that can be asked, and the inner story.
    fn check(&self, conns: &[u32]) {
        self.topics.check();
        let (topics, patterns): (Vec<_>, Vec<_>) =
            self.model.entries.iter().partition(|(name, _)| !pattern(name).is_wildcard());
        assert_eq!(self.topics.topic_count(), topics.len());
        assert_eq!(self.topics.pattern_count(), patterns.len());
        let listed: BTreeMap<&str, usize> = self.topics.topics().collect();
        assert!(listed.into_iter().eq(topics.iter().map(|(name, conns)| (&***name, conns.len()))));
        for (name, conns) in &self.model.entries {
            assert_eq!(self.topics.subscriber_count(name), conns.len());
        }
        for &conn in conns {
            let names: Vec<&str> = self.topics.subscriptions(conn).collect();
            assert_eq!(names.len(), self.topics.subscription_count(conn));
            assert_eq!(names.into_iter().collect::<BTreeSet<_>>(), self.model.subscriptions(conn));
        }
    }

    fn all_leave(&mut self, conns: &[u32]) {
        for &conn in conns {
            self.happen(&Event::Disconnect(conn));
            self.check(conns);
        }
        assert_eq!(self.topics.heap_bytes(), 0);
    }
}

fn owned(removed: shardwire::shard::topics::Removed<'_>) -> (String, bool, bool) {
    (removed.pattern.into(), removed.is_wildcard, removed.last)
}

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::parse(text, TopicBounds::default()).unwrap()
}

/// Connections at the edges of pages and far apart.
const CONNS: [u32; 6] = [0, 1, 63, 64, 4_096, 70_000];

fn conn() -> impl Strategy<Value = u32> {
    prop::sample::select(&CONNS[..])
}

/// One to six of `segments`, joined.
fn name(segments: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::collection::vec(prop::sample::select(segments), 1..=6)
        .prop_map(|segments| segments.join("."))
}

fn event() -> impl Strategy<Value = Event> {
    // A segment too long to be held in place, so that both kinds of name take part.
    const SEGMENTS: &[&str] = &["a", "a", "b", "*", "**", "a-segment-of-many-bytes"];
    const LITERALS: &[&str] = &["a", "a", "b", "c", "a-segment-of-many-bytes"];
    prop_oneof![
        6 => (conn(), name(SEGMENTS)).prop_map(|(conn, name)| Event::Subscribe(conn, name)),
        2 => (conn(), name(LITERALS)).prop_map(|(conn, name)| Event::Subscribe(conn, name)),
        3 => (conn(), name(SEGMENTS)).prop_map(|(conn, name)| Event::Unsubscribe(conn, name)),
        1 => conn().prop_map(Event::Disconnect),
        1 => (conn(), prop::sample::select(&["a.", "*", "b"][..]))
            .prop_map(|(conn, part)| Event::Retain(conn, part.into())),
        6 => name(LITERALS).prop_map(Event::Publish),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn same_as_the_reference(events in prop::collection::vec(event(), 1..120)) {
        let mut pair = Pair::default();
        for event in &events {
            pair.happen(event);
            pair.check(&CONNS);
        }
        pair.all_leave(&CONNS);
    }

    /// Few names, so that the same patterns come and go under the same remembered topics.
    #[test]
    fn same_under_churn(steps in prop::collection::vec((0..3u32, 0..14usize, any::<bool>()), 1..400)) {
        const NAMES: [&str; 14] = [
            "**", "*.b", "a.*", "a.b", "a.b.*", "a.b.**", "a.*.c", "*.c", "**.c", "**.b.**",
            "b.**", "*.b.c", "a.**.c", "**.**",
        ];
        let mut pair = Pair::default();
        for (conn, name, subscribe) in steps {
            let name = NAMES[name].to_string();
            let event = if subscribe { Event::Subscribe } else { Event::Unsubscribe };
            pair.happen(&event(conn, name));
            for topic in ["a", "b.c", "a.b", "a.b.c", "b.b.c", "a.b.c.c"] {
                pair.happen(&Event::Publish(topic.into()));
            }
        }
        pair.check(&[0, 1, 2]);
        pair.all_leave(&[0, 1, 2]);
    }
}

/// A list of numbers from a seed: the same test every time, on every machine.
fn numbers(mut seed: u64) -> impl FnMut(usize) -> usize {
    move |below| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (seed >> 33) as usize % below
    }
}

/// Thousands of entries: full pages, grown and shrunk tables, spilled lists, colliding slots.
#[test]
fn same_at_size() {
    let conns: Vec<u32> = (0..400).map(|conn| conn * 3).collect();
    let mut below = numbers(7);
    let mut pair = Pair::default();
    for round in 0..12 {
        let growing = round % 4 < 2;
        for _ in 0..4_000 {
            let conn = conns[below(conns.len())];
            let name = match below(4) {
                0 => format!("tenant.{}.user.{}", below(40), below(40)),
                1 => format!("tenant.{}.*.{}", below(40), below(40)),
                2 => format!("tenant.*.user.{}", below(200)),
                _ => format!("**.{}.**.{}", below(20), below(40)),
            };
            let remove = below(10) < if growing { 2 } else { 9 };
            match (remove, below(40)) {
                (true, 0..30) => pair.happen(&Event::Disconnect(conn)),
                (true, _) => pair.happen(&Event::Unsubscribe(conn, name)),
                (false, _) => pair.happen(&Event::Subscribe(conn, name)),
            }
        }
        for _ in 0..20 {
            let name = format!("tenant.{}.user.{}", below(40), below(40));
            pair.happen(&Event::Publish(name));
        }
        pair.check(&conns[..8]);
    }
    for &conn in &conns {
        pair.happen(&Event::Disconnect(conn));
    }
    pair.all_leave(&conns[..1]);
}

/// Patterns on which a matcher that tries one way after another takes minutes and more.
#[test]
fn many_stars_cost_no_more_than_nodes() {
    let mut topics = Topics::default();
    for conn in 0..15 {
        let text = format!("{}.b", ["**.a"; 15][..=conn as usize].join("."));
        topics.subscribe(conn, pattern(&text));
        topics.subscribe(conn, pattern(&["**"; 31][..=conn as usize * 2].join(".")));
    }
    let name = ["a"; 32].join(".");
    let topic = Topic::parse(&name, TopicBounds::default()).unwrap();
    for _ in 0..10_000 {
        assert_eq!(topics.matching(topic, topic.hash()).len(), 15);
        // Another pattern that matches everything comes and goes: nothing is remembered.
        topics.subscribe(99, pattern("*.**"));
        topics.unsubscribe(99, pattern("*.**"));
    }
}
