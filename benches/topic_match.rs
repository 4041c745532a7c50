//! How fast the topic index says who matches, beside the linear scan of compiled regular
//! expressions that it replaces (`*` as `[^.]+`, `**` as `.+`, anchored).
//!
//! `cargo bench --bench topic_match`; about a minute. In a group compare `trie` (every topic
//! another, so nothing is remembered) and `cached` (few topics) with `regex`. The scan of 100,000
//! patterns is left out: its cost is ten times that of 10,000, its memory gigabytes.

use std::hint::black_box;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, criterion_group, criterion_main};
use regex::Regex;
use shardwire::shard::topics::Topics;
use shardwire::topic::{Pattern, Topic, TopicBounds};

/// Names published in turn where none shall be remembered: 16 for each slot of the cache.
const MANY_NAMES: usize = 65_536;
/// Names published in turn where all shall be.
const FEW_NAMES: usize = 256;

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::parse(text, TopicBounds::default()).unwrap()
}

/// The `n`th pattern of a mix that products use: a few shapes, many tenants and users.
fn pattern_text(n: usize) -> String {
    let id = n / 5;
    match n % 5 {
        0 => format!("tenant.{id}.orders.*"),
        1 => format!("user.{id}.**"),
        2 => format!("tenant.*.device.{id}.state"),
        3 => format!("tenant.{id}.*.created"),
        _ => format!("room.{id}.**.typing"),
    }
}

/// The `n`th topic, drawn so that most match one to three of the first `patterns`.
fn topic_text(n: usize, patterns: usize) -> String {
    let id = n * 7919 % (patterns / 5).max(1);
    match n % 4 {
        0 => format!("tenant.{id}.orders.created"),
        1 => format!("user.{id}.inbox.{n}"),
        2 => format!("tenant.{n}.device.{id}.state"),
        _ => format!("room.{id}.thread.{n}.typing"),
    }
}

fn topics_with(patterns: &[String]) -> Topics {
    let mut topics = Topics::default();
    for (conn, text) in patterns.iter().enumerate() {
        topics.subscribe(conn as u32, pattern(text));
    }
    topics
}

/// A published topic as it arrives: checked and hashed.
fn published(name: &str) -> (Topic<'_>, u64) {
    let topic = Topic::parse(name, TopicBounds::default()).unwrap();
    (topic, topic.hash())
}

/// Publishes the names in turn; one iteration is one publish.
fn publish(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: &str,
    topics: &mut Topics,
    names: &[String],
) {
    let names: Vec<(Topic<'_>, u64)> = names.iter().map(|name| published(name)).collect();
    let mut turn = names.iter().cycle();
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let &(topic, hash) = turn.next().unwrap();
            topics.matching(topic, hash).map(<[_]>::len).sum::<usize>()
        });
    });
}

/// The scan of the server that kept a regular expression for each pattern.
fn scan(group: &mut BenchmarkGroup<'_, WallTime>, id: &str, patterns: &[String], names: &[String]) {
    let compiled: Vec<Regex> = patterns.iter().map(|text| regex_of(text)).collect();
    let mut turn = names.iter().cycle();
    group.bench_function(id, |bencher| {
        bencher.iter(|| {
            let name = turn.next().unwrap();
            compiled.iter().filter(|regex| regex.is_match(black_box(name))).count()
        });
    });
}

fn regex_of(pattern: &str) -> Regex {
    let segments = pattern.split('.').map(|segment| match segment {
        "*" => "[^.]+".into(),
        "**" => ".+".into(),
        literal => regex::escape(literal),
    });
    Regex::new(&format!("^{}$", segments.collect::<Vec<String>>().join(r"\."))).unwrap()
}

/// Both must say the same before one is called faster.
fn assert_same(patterns: &[String], topics: &mut Topics, names: &[String]) {
    let compiled: Vec<Regex> = patterns.iter().map(|text| regex_of(text)).collect();
    for name in names {
        let (topic, hash) = published(name);
        let expected = compiled.iter().filter(|regex| regex.is_match(name)).count();
        assert_eq!(topics.matching(topic, hash).len(), expected, "{name}");
    }
}

fn exact(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("exact");
    for count in [1_000, 1_000_000] {
        let names: Vec<String> = (0..count).map(|n| format!("user.{n}.inbox")).collect();
        let mut topics = topics_with(&names);
        // In another order than they were made in.
        let asked: Vec<String> =
            (0..count).map(|n| names[n * 611_953 % count].clone()).take(MANY_NAMES).collect();
        publish(&mut group, &format!("hit of {count}"), &mut topics, &asked);
        let missing: Vec<String> = (0..MANY_NAMES).map(|n| format!("user.{n}.other")).collect();
        publish(&mut group, &format!("miss of {count}"), &mut topics, &missing);
    }
    group.finish();
}

fn patterns(criterion: &mut Criterion) {
    for count in [100, 10_000, 100_000] {
        let mut group = criterion.benchmark_group(format!("{count} patterns"));
        let patterns: Vec<String> = (0..count).map(pattern_text).collect();
        let mut topics = topics_with(&patterns);
        let many: Vec<String> = (0..MANY_NAMES).map(|n| topic_text(n, count)).collect();
        let few = &many[..FEW_NAMES];
        publish(&mut group, "trie", &mut topics, &many);
        publish(&mut group, "cached", &mut topics, few);
        if count <= 10_000 {
            assert_same(&patterns, &mut topics, &few[..32]);
            scan(&mut group, "regex", &patterns, &many);
        }
        group.finish();
    }
}

/// 10,000 patterns, and one that comes or goes before every publish.
fn churn(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("10000 patterns under churn");
    let patterns: Vec<String> = (0..10_000).map(pattern_text).collect();
    let names: Vec<String> = (0..FEW_NAMES).map(|n| topic_text(n, 10_000)).collect();
    for (id, coming) in [("own prefix", "user.90001.*"), ("matches all", "**")] {
        let mut topics = topics_with(&patterns);
        let names: Vec<(Topic<'_>, u64)> = names.iter().map(|name| published(name)).collect();
        let mut turn = names.iter().cycle();
        group.bench_function(id, |bencher| {
            bencher.iter(|| {
                topics.subscribe(10_000, pattern(coming));
                topics.unsubscribe(10_000, pattern(coming));
                let &(topic, hash) = turn.next().unwrap();
                topics.matching(topic, hash).map(<[_]>::len).sum::<usize>()
            });
        });
    }
    group.finish();
}

/// Stars that a backtracking matcher would try one way after another.
fn pathological(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pathological");
    let patterns: Vec<String> =
        (1..=15).map(|stars| format!("{}.b", ["**.a"; 15][..stars].join("."))).collect();
    let mut topics = topics_with(&patterns);
    let names: Vec<String> =
        (0..MANY_NAMES).map(|n| format!("{}.{n}", ["a"; 31].join("."))).collect();
    publish(&mut group, "trie", &mut topics, &names);
    scan(&mut group, "regex", &patterns, &names);
    group.finish();
}

/// The other verbs, where they have most to do.
fn subscribe(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("subscribe");
    let mut topics = Topics::default();
    // The connection whose list is scanned has the topic in question last.
    for n in 0..999 {
        topics.subscribe(7, pattern(&format!("topic.{n}")));
    }
    for conn in 0..1_000_000 {
        topics.subscribe(conn, pattern("announcements"));
    }
    group.bench_function("again, 1000 subscriptions, 1000000 subscribers", |bencher| {
        bencher.iter(|| topics.subscribe(black_box(7), pattern("announcements")));
    });
    group.bench_function("a topic, and leave", |bencher| {
        bencher.iter(|| {
            topics.subscribe(1_000_000, pattern("user.1000000.inbox"));
            topics.subscribe(1_000_000, pattern("announcements"));
            topics.remove_connection(1_000_000, |removed| {
                black_box(removed.last);
            });
        });
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .without_plots();
    targets = exact, patterns, churn, pathological, subscribe
}
criterion_main!(benches);
