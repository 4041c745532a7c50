//! What the topic index promises that its outside does not show.

use super::*;
use crate::limits::MATCH_CACHE_PATTERNS_MAX;
use crate::topic::TopicBounds;

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::parse(text, TopicBounds::default()).unwrap()
}

fn matched(topics: &mut Topics, name: &str) -> Vec<u32> {
    let topic = Topic::parse(name, TopicBounds::default()).unwrap();
    let mut conns: Vec<u32> =
        topics.matching(topic, topic.hash()).flatten().map(|subscriber| subscriber.conn).collect();
    conns.sort_unstable();
    conns
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Subscriber>(), 8);
    assert_eq!(size_of::<Subscription>(), 8);
    assert_eq!(size_of::<List<Subscriber>>(), 24);
    assert_eq!(size_of::<names::Named<List<Subscriber>>>(), 56);
}

#[test]
fn first_and_last() {
    let mut topics = Topics::default();
    assert_eq!(topics.subscribe(7, pattern("a.b")), Subscribed::New { first: true });
    assert_eq!(topics.subscribe(7, pattern("a.b")), Subscribed::Already);
    assert_eq!(topics.subscribe(8, pattern("a.b")), Subscribed::New { first: false });
    assert_eq!(topics.unsubscribe(9, pattern("a.b")), Unsubscribed::NotThere);
    assert_eq!(topics.unsubscribe(7, pattern("a.c")), Unsubscribed::NotThere);
    assert_eq!(topics.unsubscribe(7, pattern("a.b")), Unsubscribed::Removed { last: false });
    assert_eq!(topics.unsubscribe(8, pattern("a.b")), Unsubscribed::Removed { last: true });
    assert_eq!(topics.heap_bytes(), 0);
}

#[test]
fn wildcards() {
    let mut topics = Topics::default();
    for (conn, text) in
        ["*", "**", "a.*", "a.**", "**.b", "a.*.b", "**.**", "**.a.**", "*.**.*"].iter().enumerate()
    {
        topics.subscribe(conn as u32, pattern(text));
    }
    for (topic, conns) in [
        ("a", &[0, 1][..]),
        ("b", &[0, 1]),
        ("a.b", &[1, 2, 3, 4, 6]),
        ("a.a.b", &[1, 3, 4, 5, 6, 7, 8]),
        ("b.a.b.a", &[1, 6, 7, 8]),
        ("a.b.c", &[1, 3, 6, 8]),
    ] {
        // The second time fills the cache, the third is out of it.
        for _ in 0..3 {
            assert_eq!(matched(&mut topics, topic), conns, "{topic}");
        }
    }
}

#[test]
fn numbers_of_walks_begin_anew() {
    let mut topics = Topics::default();
    topics.subscribe(1, pattern("**.**.b"));
    assert_eq!(matched(&mut topics, "a.a.b"), [1]);
    topics.trie.exhaust_walk_numbers();
    assert_eq!(matched(&mut topics, "c.c.b"), [1]);
    assert_eq!(matched(&mut topics, "a.c.b"), [1]);
}

#[test]
fn cache_forgets_what_a_pattern_touches_and_no_more() {
    let mut topics = Topics::default();
    let mut remembered = |text: &str, topic: &str| {
        topics.subscribe(0, pattern("x.*"));
        for _ in 0..2 {
            matched(&mut topics, topic);
        }
        let hash = name_hash(topic);
        assert!(topics.cache.find(topic, hash).is_some());
        topics.subscribe(1, pattern(text));
        let still = topics.cache.find(topic, hash).is_some();
        topics.subscribe(2, pattern(text));
        assert_eq!(topics.cache.find(topic, hash).is_some(), still, "one more subscriber");
        topics.remove_connection(1, |_| {});
        topics.remove_connection(2, |_| {});
        still
    };
    for text in ["**", "*.*", "a.*.**", "a.b.*", "*.c", "**.b.*", "**.c"] {
        assert!(!remembered(text, "a.b.c"), "{text}");
    }
    // Parts can share a place in the table by chance, hardly by three names of one kind.
    for others in [["b.*", "c.*", "d.*"], ["a.c.*", "a.d.*", "a.e.*"], ["*.d", "*.e", "*.f"]] {
        assert!(others.iter().any(|text| remembered(text, "a.b.c")), "{others:?}");
    }
}

#[test]
fn cache_is_bounded() {
    let mut topics = Topics::default();
    topics.subscribe(0, pattern("a.*"));
    for _ in 0..2 {
        for name in 0..20_000 {
            assert_eq!(matched(&mut topics, &format!("a.{name}")), [0]);
        }
    }
    assert!(topics.cache.heap_bytes() < 400_000, "{}", topics.cache.heap_bytes());
    let hash = name_hash("a.b");
    for _ in 0..2 {
        matched(&mut topics, "a.b");
    }
    assert!(topics.cache.find("a.b", hash).is_some());
    topics.remove_connection(0, |_| {});
    assert_eq!(topics.heap_bytes(), 0);
}

#[test]
fn long_matches_are_found_each_time() {
    let mut topics = Topics::default();
    let topic = ["a"; 7].join(".");
    for stars in 1..=MATCH_CACHE_PATTERNS_MAX + 1 {
        let segments = (0..7).map(|bit| if stars >> bit & 1 == 1 { "*" } else { "a" });
        topics.subscribe(stars as u32, pattern(&segments.collect::<Vec<_>>().join(".")));
        for _ in 0..3 {
            assert_eq!(matched(&mut topics, &topic).len(), stars);
        }
        let remembered = topics.cache.find(&topic, name_hash(&topic)).is_some();
        assert_eq!(remembered, stars <= MATCH_CACHE_PATTERNS_MAX);
    }
}

#[test]
fn swaps_keep_both_sides() {
    let mut topics = Topics::default();
    let names: Vec<String> = (0..40).map(|n| format!("t.{n}")).collect();
    for conn in [0, 1, 63, 64, 70_000] {
        for name in &names {
            topics.subscribe(conn, pattern(name));
        }
    }
    for name in names.iter().step_by(3) {
        topics.unsubscribe(63, pattern(name));
        topics.check();
    }
    let mut removed = 0;
    topics.retain(64, |name| name.ends_with('7'), |_| removed += 1);
    topics.check();
    assert_eq!((removed, topics.subscription_count(64)), (36, 4));
    assert_eq!(topics.subscriptions(64).filter(|name| name.ends_with('7')).count(), 4);
    for conn in [0, 1, 63, 64, 70_000] {
        topics.remove_connection(conn, |removed| assert!(!removed.is_wildcard));
        topics.check();
    }
    assert_eq!((topics.topic_count(), topics.heap_bytes()), (0, 0));
}

#[test]
fn slab_fills_the_lowest_page_first() {
    let mut slab = slab::Slab::default();
    let numbers: Vec<u32> = (0..10_000).map(|value| slab.insert(value)).collect();
    assert!(numbers.iter().copied().eq(0..10_000));
    for at in [9_999, 4_000, 70, 5] {
        assert_eq!(slab.remove(at), Some(at));
        assert_eq!(slab.remove(at), None);
    }
    for at in [5, 70, 4_000, 9_999] {
        assert_eq!(slab.insert(at), at);
    }
    assert!(slab.iter().map(|(at, &value)| (at, value)).eq((0..10_000).map(|at| (at, at))));
    for at in 0..10_000 {
        slab.remove(at);
    }
    assert_eq!((slab.len(), slab.heap_bytes()), (0, 0));
}
