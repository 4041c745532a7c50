use std::collections::BTreeSet;

use proptest::prelude::*;

use super::*;
use crate::load::floor::Mode;
use crate::load::scenario::{Crowd, Pace, Talk, Times};
use crate::topic::{self, Pattern, Topic, TopicBounds};

/// A scenario with this crowd, and publishers of it or beside it.
pub(in crate::load) fn scenario(
    (connections, topics, subscriptions): (u32, u32, u32),
    interest: Interest,
    talk: Option<(u32, bool)>,
) -> Scenario {
    Scenario {
        name: "test".into(),
        target: Target {
            address: ([127, 0, 0, 1], 1).into(),
            host: "localhost".into(),
            path: "/ws".into(),
            tls: None,
            dialect: Spoken::Topics,
            compression: false,
            credentials: Credentials::None,
        },
        crowd: Crowd {
            connections,
            topics,
            subscriptions,
            interest,
            connect_per_s: 0,
            connecting_max: 100,
            per_address: 20_000,
            workers: 1,
            processors: Vec::new(),
        },
        talk: talk.map(|(publishers, members)| Talk {
            publishers,
            members,
            pace: Pace::Open { per_s: 1000.0 },
            payload_bytes: 128,
        }),
        churn: None,
        slow: None,
        storm: None,
        times: Times {
            warm_up_ms: 0,
            measure_ms: 1000,
            drain_ms: 1000,
            sample_ms: 100,
            settle_ms: 0,
        },
        floor_pairs: 0,
        floor_mode: Mode::Each,
        search: None,
    }
}

#[test]
fn topics_by_name_in_turns() {
    let layout = Layout::new(&scenario((10, 4, 3), Interest::Exact, Some((2, false))));
    assert_eq!(layout.hears(0), [0, 1, 2]);
    assert_eq!(layout.hears(7), [3, 0, 1]);
    assert_eq!(layout.patterns(7), ["bench.t3", "bench.t0", "bench.t1"]);
    assert_eq!(layout.publishes(0), [0, 1, 2, 3]);
    assert_eq!(layout.publishes(1), [1, 2, 3, 0]);
    assert_eq!((layout.streams(), layout.slots(7)), (8, 6));
    assert_eq!(layout.streams_of(3), 6..8);
    assert_eq!((layout.stream_in_turn(1, 2), layout.topic_of(7)), (7, 3));
    assert_eq!(layout.slot(7, 7), Some(1));
    assert_eq!(layout.slot(7, 4), None);
    assert_eq!(layout.slot(7, 8), None);
}

#[test]
fn names_that_dialects_take() {
    let mut scenario = scenario((1, 2, 1), Interest::Exact, None);
    scenario.target.dialect = Spoken::Channels;
    assert_eq!(Layout::new(&scenario).topic_name(1), "public:bench:t1");
    scenario.target.credentials =
        Credentials::Secret { secret: "s".into(), tenant: Some("acme".into()) };
    assert_eq!(Layout::new(&scenario).patterns(1), ["tenant:acme:bench:t1"]);
}

#[test]
fn nothing_to_hear_and_nobody_to_publish() {
    let layout = Layout::new(&scenario((10, 0, 0), Interest::Exact, None));
    assert!(layout.patterns(3).is_empty() && layout.hears(3).is_empty());
    assert_eq!((layout.streams(), layout.slots(3), layout.slot(3, 0)), (0, 0, None));
    let more = Layout::new(&scenario((3, 2, 9), Interest::Exact, Some((9, true))));
    assert_eq!((more.publishers(), more.hears(1)), (3, &[1, 0][..]));
}

#[test]
fn patterns_match_what_is_told_of_them() {
    let (topics, each) = (537, 3);
    let layout = Layout::new(&scenario((1000, topics, each), Interest::Wildcard, None));
    let bounds = TopicBounds::default();
    let mut kinds = BTreeSet::new();
    for connection in 0..300 {
        let patterns = layout.patterns(connection);
        assert_eq!(patterns.len(), each as usize);
        for pattern in patterns {
            assert!(Pattern::parse(pattern, bounds).unwrap().is_wildcard());
            kinds.insert(pattern.replace(|c: char| c.is_ascii_digit(), ""));
            assert!((0..topics).any(|t| topic::matches(pattern, layout.topic_name(t))));
        }
        let heard = |t: &u32| patterns.iter().any(|p| topic::matches(p, layout.topic_name(*t)));
        let heard: Vec<u32> = (0..topics).filter(heard).collect();
        assert_eq!(layout.hears(connection), heard, "{patterns:?}");
    }
    assert_eq!(
        kinds.into_iter().collect::<Vec<_>>(),
        ["bench.*.d.m", "bench.s.**", "bench.s.*.m", "bench.s.d.*"]
    );
    let names: BTreeSet<_> = (0..topics).map(|t| layout.topic_name(t)).collect();
    assert_eq!(names.len(), topics as usize);
    assert!(names.iter().all(|name| Topic::parse(name, bounds).is_ok()));
}

proptest! {
    /// Streams are whole: each publisher and topic has its own, in order of the topics; slots are
    /// the numbers of what is heard and of nothing else.
    #[test]
    fn streams_and_slots(
        connections in 1_u32..40,
        topics in 1_u32..30,
        subscriptions in 0_u32..8,
        is_wildcard: bool,
        publishers in 0_u32..20,
        members: bool,
    ) {
        let interest = if is_wildcard { Interest::Wildcard } else { Interest::Exact };
        let of = (connections, topics, subscriptions);
        let scenario = scenario(of, interest, Some((publishers, members)));
        let layout = Layout::new(&scenario);
        prop_assert!(u64::from(layout.streams()) <= Layout::streams_of_scenario(&scenario));
        let mut streams = Vec::new();
        for publisher in 0..layout.publishers() {
            for (place, topic) in layout.publishes(publisher).iter().enumerate() {
                let stream = layout.stream_in_turn(publisher, place);
                prop_assert_eq!(layout.topic_of(stream), *topic);
                prop_assert!(layout.streams_of(*topic).contains(&stream));
                streams.push(stream);
            }
        }
        streams.sort_unstable();
        prop_assert!(streams.into_iter().eq(0..layout.streams()));
        for connection in 0..connections {
            let heard: Vec<u32> = layout.streams_heard(connection).collect();
            prop_assert_eq!(heard.len(), layout.slots(connection) as usize);
            for (slot, stream) in (0..).zip(&heard) {
                prop_assert_eq!(layout.slot(connection, *stream), Some(slot));
                prop_assert_eq!(layout.stream_in(connection, slot), *stream);
            }
            let others = (0..layout.streams()).filter(|stream| !heard.contains(stream));
            for stream in others {
                prop_assert_eq!(layout.slot(connection, stream), None);
            }
            let own: Vec<u32> = layout.own_slots(connection).collect();
            let publisher = layout.publisher_at(connection);
            prop_assert_eq!(publisher.and_then(|publisher| layout.member(publisher)),
                publisher.map(|_| connection));
            let is_all = own.len() == layout.hears(connection).len();
            prop_assert!(is_all || publisher.is_none());
            prop_assert!(own.is_empty() || publisher.is_some());
        }
    }

    /// Every connection and every publisher belongs to one worker.
    #[test]
    fn parts(connections in 0_u32..50, workers in 1_u32..6, publishers in 0_u32..20, members: bool) {
        let of = (connections, 5, 2);
        let layout = Layout::new(&scenario(of, Interest::Exact, Some((publishers, members))));
        let parts = (0..workers).flat_map(|worker| layout.part(worker, workers));
        prop_assert!(parts.eq(0..connections));
        let theirs = (0..workers).flat_map(|worker| layout.publishers_of(worker, workers));
        let mut theirs: Vec<u32> = theirs.collect();
        theirs.sort_unstable();
        prop_assert!(theirs.into_iter().eq(0..layout.publishers()));
    }

    #[test]
    fn spread(all in 1_u32..200, chosen in 0_u32..200) {
        let chosen = chosen.min(all);
        let picked: Vec<u32> = (0..chosen).map(|index| nth_of(index, chosen, all)).collect();
        let found: Vec<u32> =
            (0..all).filter(|number| rank_of(*number, chosen, all).is_some()).collect();
        prop_assert_eq!(picked, found);
    }
}
