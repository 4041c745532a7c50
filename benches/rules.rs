//! What it costs to ask the rules: `Rules::decide` with the lists that products write and with the
//! worst ones, and a remembered answer of the webhook.
//!
//! `cargo bench --bench rules`; half a minute. Before it measures it makes sure of the other cost:
//! that a topic is judged, and a remembered answer found, without one allocation.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use shardwire::auth::{Answers, Asking, DialectRules, Identity, IdentityParts, Rules, Verdict};
use shardwire::config::{Action, Decision, RuleSetting};
use shardwire::mail::Answer;
use shardwire::topic::{Pattern, TopicBounds};

const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The system's allocator, counting this thread's calls.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

// SAFETY: every call goes on unchanged to `System`, which keeps the contract; counting touches a
// constant-initialized cell without a destructor, so it neither allocates nor unwinds.
#[allow(unsafe_code, reason = "an allocator cannot be written without")]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise, passed on.
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promise, passed on.
        unsafe { System.realloc(memory, layout, size) }
    }
}

fn pattern(text: &str) -> Pattern<'_> {
    Pattern::parse(text, TopicBounds::default()).unwrap()
}

fn identity(roles: &[&str], channels: &[&str]) -> Identity {
    let parts = IdentityParts {
        user_id: "user-1234",
        tenant: Some("acme"),
        roles,
        channels,
        ..Default::default()
    };
    Identity::new(&parts, TopicBounds::default()).unwrap()
}

fn rule(topic: &str, role: Option<&str>, decide: Decision) -> RuleSetting {
    let role = role.map(str::to_owned);
    RuleSetting { topic: topic.into(), allow: Action::ALL.to_vec(), role, decide }
}

fn compiled(rules: &[RuleSetting]) -> Rules {
    Rules::compile(rules, true).unwrap()
}

/// A list of so many rules as a product with many areas writes them, the last one a tenant's.
fn areas(count: usize) -> Rules {
    let mut rules: Vec<RuleSetting> = (1..count)
        .map(|number| {
            let decide = if number % 5 == 0 { Decision::Deny } else { Decision::Allow };
            rule(&format!("area{number}.{{tenantId}}.**"), Some("member"), decide)
        })
        .collect();
    rules.push(rule("orders.{tenantId}.**", None, Decision::Allow));
    compiled(&rules)
}

/// Rules that all begin like what is asked, so that none is passed over at a glance.
fn alike(count: usize, topic: impl Fn(usize) -> String) -> Rules {
    let rules: Vec<_> =
        (0..count).map(|number| rule(&topic(number), None, Decision::Allow)).collect();
    compiled(&rules)
}

struct Case {
    name: &'static str,
    rules: Rules,
    identity: Option<Identity>,
    action: Action,
    asked: String,
    expected: Verdict,
}

fn typical() -> Vec<Case> {
    use Action::{Publish, Subscribe};
    use Verdict::{Allow, Ask, Deny};
    let defaults = |webhook| Rules::defaults(DialectRules::Topics, webhook);
    let case = |name, rules, action, asked: &str, expected| Case {
        name,
        rules,
        identity: Some(identity(&["member"], &[])),
        action,
        asked: asked.into(),
        expected,
    };
    vec![
        case("open", Rules::open(), Publish, "orders.acme.created", Allow),
        case("defaults, publish", defaults(false), Publish, "orders.acme.created", Allow),
        case("defaults, own inbox", defaults(true), Subscribe, "user.user-1234.inbox", Allow),
        case("defaults, own pattern", defaults(true), Subscribe, "user.user-1234.**", Allow),
        case("defaults, other's inbox", defaults(true), Subscribe, "user.user-99.inbox", Deny),
        case("defaults, room asked", defaults(true), Publish, "room.17.chat", Ask),
        case("defaults, everything", defaults(true), Subscribe, "**", Deny),
        case("10 rules, last", areas(10), Publish, "orders.acme.created", Allow),
        case("10 rules, pattern", areas(10), Subscribe, "orders.acme.*", Allow),
        case("10 rules, none", areas(10), Publish, "other.acme.created", Deny),
        case("100 rules, last", areas(100), Publish, "orders.acme.created", Allow),
    ]
}

fn worst() -> Vec<Case> {
    use Action::{Publish, Subscribe};
    use Verdict::{Allow, Deny};
    let deep = ["a"; 32].join(".");
    let stars = ["**", "a"].repeat(16).join(".");
    let memory = format!("**.a{}", ".*".repeat(30));
    let channels: Vec<String> = (0..256).map(|number| format!("news.{number}.**")).collect();
    let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
    let roles: Vec<String> = (0..100).map(|number| format!("role-{number}")).collect();
    let roles: Vec<&str> = roles.iter().map(String::as_str).collect();
    let by_role = compiled(&[rule("orders.**", Some("role-99"), Decision::Allow)]);
    let case = |name, rules, identity, action, asked: &str, expected| Case {
        name,
        rules,
        identity,
        action,
        asked: asked.into(),
        expected,
    };
    let plain = || Some(identity(&[], &[]));
    vec![
        case("1000 rules, last", areas(1000), plain(), Publish, "orders.acme.created", Allow),
        case(
            "100 rules alike",
            alike(100, |n| format!("a.{n}.*")),
            plain(),
            Publish,
            "a.b.c",
            Deny,
        ),
        case("role of 100", by_role, Some(identity(&roles, &[])), Publish, "orders.x", Allow),
        case(
            "256 channels, none",
            Rules::defaults(DialectRules::Events, false),
            Some(identity(&[], &channels)),
            Subscribe,
            "news.x.y",
            Deny,
        ),
        case(
            "10 rules, 32 segments",
            alike(10, |_| format!("**.b.{deep}")[..64].trim_end_matches('.').into()),
            plain(),
            Publish,
            &deep,
            Deny,
        ),
        case(
            "1 hard rule, hard pattern",
            alike(1, |_| memory.clone()),
            plain(),
            Subscribe,
            &stars,
            Deny,
        ),
        case(
            "10 hard rules, hard pattern",
            alike(10, |_| memory.clone()),
            plain(),
            Subscribe,
            &stars,
            Deny,
        ),
        case(
            "1 hard rule, deep topic",
            alike(1, |_| stars.clone()),
            plain(),
            Publish,
            &deep,
            Allow,
        ),
    ]
}

fn decide(c: &mut Criterion) {
    for (group, cases) in [("decide", typical()), ("decide, worst", worst())] {
        let mut group = c.benchmark_group(group);
        for case in &cases {
            let (asked, identity) = (pattern(&case.asked), case.identity.as_ref());
            let judge = || case.rules.decide(black_box(case.action), black_box(asked), identity);
            let before = ALLOCATIONS.get();
            let verdict = judge();
            let allocations = ALLOCATIONS.get() - before;
            assert_eq!(verdict, case.expected, "{}", case.name);
            assert!(allocations == 0 || asked.is_wildcard(), "{}: {allocations}", case.name);
            group.bench_function(case.name, |bencher| bencher.iter(judge));
        }
        group.finish();
    }
}

fn answers(c: &mut Criterion) {
    let identity = identity(&["member"], &[]);
    let asking = |topic| Asking {
        action: Action::Publish,
        pattern: pattern(topic),
        identity: Some(&identity),
        client: CLIENT,
    };
    let mut answers = Answers::default();
    let names: Vec<String> = (0..1024).map(|number| format!("room.{number}.chat")).collect();
    for name in &names {
        let question = Arc::new(asking(name).to_question());
        answers.keep(question, Answer { allowed: true, ttl_ms: 30_000 }, 0);
    }
    let mut turn = names.iter().cycle();
    let before = ALLOCATIONS.get();
    assert!(names.iter().all(|name| answers.get(&asking(name), 1).is_some()));
    assert!(answers.get(&asking("room.x.chat"), 1).is_none());
    assert_eq!(ALLOCATIONS.get() - before, 0);
    let mut group = c.benchmark_group("answers");
    group.bench_function("remembered, of 1024", |bencher| {
        bencher.iter(|| answers.get(&asking(turn.next().unwrap()), black_box(1)));
    });
    group.bench_function("not remembered", |bencher| {
        bencher.iter(|| answers.get(&asking(black_box("room.x.chat")), black_box(1)));
    });
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_millis(700));
    targets = decide, answers
}
criterion_main!(benches);
