//! Requests that a webhook must judge: what waits, what does not, and what is remembered.
//!
//! One shard in virtual time; the test is the driver, the kernel and the webhook. Contract:
//! protocols.md section 6, section 11 "Rules".

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use shardwire::auth::{Asked, Rules};
use shardwire::config::{Action, Decision, Dialect, RuleSetting};
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::limits::{ANSWER_LATE_MS, QUESTIONS_PER_CONNECTION_MAX, TICK_MS};
use shardwire::mail::{Answer, Unanswered};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};

const TOPICS: u8 = 0;
const CHANNELS: u8 = 1;
const TIMEOUT_MS: u64 = 2000;
const TTL_MS: u64 = 1000;
const YES: Result<Answer, Unanswered> = Ok(Answer { allowed: true, ttl_ms: TTL_MS });
const NO: Result<Answer, Unanswered> = Ok(Answer { allowed: false, ttl_ms: TTL_MS });
const FAILED: Result<Answer, Unanswered> = Err(Unanswered::Failed);
/// Subscriptions of one connection.
const SUBSCRIPTIONS_MAX: usize = 100;

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// What came out, by connection.
#[derive(Default)]
struct Kernel(HashMap<u32, Vec<u8>>);

impl Port for Kernel {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        self.0.entry(conn).or_default().extend(bytes);
        Sent::Bytes(bytes.len())
    }

    fn shut(&mut self, _conn: u32) {}

    fn close(&mut self, _conn: u32, _address: IpAddr) {}
}

/// Everything is allowed, but these topics are asked about.
fn policy(asked: &str) -> Policy {
    let asks = RuleSetting {
        topic: asked.into(),
        allow: Action::ALL.into(),
        role: None,
        decide: Decision::Webhook,
    };
    let rest = RuleSetting { topic: "**".into(), decide: Decision::Allow, ..asks.clone() };
    let rules = || Rules::compile(&[asks.clone(), rest.clone()], true).expect("good rules");
    let mut policy = Policy::new(vec![
        Endpoint::new("/ws", Dialect::Topics, false, rules()),
        Endpoint::new("/channels", Dialect::Channels, false, rules()),
    ]);
    policy.webhook_timeout_ms = Some(TIMEOUT_MS);
    policy.subscriptions_max = SUBSCRIPTIONS_MAX;
    policy
}

struct World {
    shard: Shard,
    kernel: Kernel,
    metrics: Arc<ShardMetrics>,
    now: Now,
}

impl World {
    fn new() -> Self {
        let policy = policy("room.**");
        let now = Now { mono_ms: 0, wall: Timestamp(0) };
        let metrics = ShardMetrics::new();
        let parts = Parts {
            id: 0,
            mailboxes: Arc::from([Mailbox::new(Box::new(Awake))]),
            interest: Interest::new(),
            policy: Arc::new(policy),
            metrics: Arc::clone(&metrics),
            seed: 1,
            node: 1,
            all_metrics: Arc::from([Arc::clone(&metrics)]),
            secrets: Box::new(NotSecret(1)),
        };
        Self { shard: Shard::new(parts, now), kernel: Kernel::default(), metrics, now }
    }

    fn open(&mut self, endpoint: u8) -> ConnKey {
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let key = self.shard.open(self.now, Arrival::new(endpoint, address));
        self.heard(key);
        key
    }

    /// Says some texts at once; how many bytes of them are left.
    fn say(&mut self, key: ConnKey, texts: &[&str]) -> Vec<u8> {
        let frame = |text: &&str| {
            let len = u16::try_from(text.len()).unwrap().to_be_bytes();
            let head = match text.len() {
                0..126 => vec![0x81, 0x80 | len[1]],
                _ => vec![0x81, 0xfe, len[0], len[1]],
            };
            [&head, &[0; 4][..], text.as_bytes()].concat()
        };
        self.read(key, texts.iter().flat_map(frame).collect())
    }

    fn read(&mut self, key: ConnKey, mut bytes: Vec<u8>) -> Vec<u8> {
        let taken = self.shard.read(self.now, key, &mut bytes, &mut self.kernel);
        self.shard.check(self.now);
        bytes.split_off(taken)
    }

    /// What a client has heard since: of each text the given member, `type` or an error's code.
    fn heard(&mut self, key: ConnKey) -> Vec<String> {
        self.shard.flush(self.now, &mut self.kernel);
        self.shard.check(self.now);
        let mut bytes = &self.kernel.0.remove(&key.index).unwrap_or_default()[..];
        let mut heard = Vec::new();
        while let [_, len, rest @ ..] = bytes {
            let (len, rest) = match len {
                126 => (usize::from(u16::from_be_bytes([rest[0], rest[1]])), &rest[2..]),
                len => (usize::from(*len), rest),
            };
            let (text, behind) = rest.split_at(len);
            bytes = behind;
            let value: serde_json::Value = serde_json::from_slice(text).expect("JSON");
            let topic = value["topic"].as_str().or(value["details"]["topic"].as_str());
            let kind = value["type"].as_str().expect("a type");
            heard.push([kind, topic.unwrap_or_default()].join(" ").trim_end().into());
        }
        heard
    }

    fn questions(&mut self) -> Vec<Asked> {
        std::iter::from_fn(|| self.shard.question()).collect()
    }

    fn answer(&mut self, asked: &Asked, answer: Result<Answer, Unanswered>) {
        self.shard.answered(self.now, asked.ticket, answer);
        self.shard.check(self.now);
    }

    /// Other settings, and as many turns as they take.
    fn reload(&mut self, policy: Policy) {
        self.shard.reconfigure(self.now, Arc::new(policy));
        self.pass(0);
    }

    fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.shard.advance(self.now, &mut self.kernel);
        self.shard.check(self.now);
    }
}

const ARRAY: &str = r#"{"type":"subscribe","topics":["room.a","news","room.b","room.c"]}"#;

#[test]
fn all_questions_at_once_and_all_replies_in_order() {
    let mut world = World::new();
    let (key, other) = (world.open(TOPICS), world.open(TOPICS));
    let rest = world.say(key, &[ARRAY, r#"{"type":"ping"}"#]);
    assert!(!rest.is_empty() && !world.shard.reads(key), "what stands behind waits");
    let asked = world.questions();
    let topics: Vec<&str> = asked.iter().map(|it| &*it.question.topic).collect();
    assert_eq!(topics, ["room.a", "room.b", "room.c"]);
    // Nobody else waits.
    assert!(world.say(other, &[r#"{"type":"subscribe","topic":"news"}"#]).is_empty());
    assert_eq!(world.heard(other), ["subscribed news"]);
    world.answer(&asked[2], YES);
    world.answer(&asked[0], YES);
    // Twice is once.
    world.answer(&asked[0], NO);
    assert!(world.heard(key).is_empty() && world.shard.resumed().is_none());
    assert_eq!(world.read(key, rest.clone()), rest);
    world.answer(&asked[1], NO);
    let replies = ["subscribed room.a", "subscribed news", "error room.b", "subscribed room.c"];
    assert_eq!(world.heard(key), replies);
    assert_eq!((world.shard.resumed(), world.shard.resumed()), (Some(key), None));
    assert!(world.shard.reads(key) && world.read(key, rest).is_empty());
    assert_eq!(world.heard(key), ["pong"]);
    // Who asks the same is told at once.
    assert!(world.say(other, &[ARRAY]).is_empty());
    assert_eq!(world.heard(other), replies);
    assert!(world.questions().is_empty());
    world.pass(TTL_MS);
    world.say(other, &[ARRAY]);
    assert_eq!(world.questions().len(), 3);
}

#[test]
fn what_nobody_answers_is_denied_and_not_remembered() {
    let mut world = World::new();
    let key = world.open(TOPICS);
    world.say(key, &[r#"{"type":"subscribe","topics":["room.a","room.b"]}"#]);
    let asked = world.questions();
    world.answer(&asked[1], YES);
    world.pass(TIMEOUT_MS + ANSWER_LATE_MS - TICK_MS);
    assert!(world.heard(key).is_empty());
    world.pass(2 * TICK_MS);
    assert_eq!(world.heard(key), ["error room.a", "subscribed room.b"]);
    assert_eq!(world.shard.resumed(), Some(key));
    world.answer(&asked[0], YES);
    assert!(world.heard(key).is_empty());
    world.say(key, &[r#"{"type":"message","topic":"room.b","data":1}"#]);
    assert_eq!(world.questions().len(), 1, "to publish is another question");
}

#[test]
fn who_goes_waits_no_more() {
    let mut world = World::new();
    let key = world.open(TOPICS);
    world.say(key, &[ARRAY]);
    let asked = world.questions();
    world.shard.gone(key);
    world.heard(key);
    world.heard(key);
    world.shard.check_empty(world.now);
    let next = world.open(TOPICS);
    assert_eq!(next.index, key.index);
    for it in &asked {
        world.answer(it, YES);
    }
    assert!(world.heard(next).is_empty() && world.shard.resumed().is_none());
}

#[test]
fn a_channel_is_asked_about_too() {
    let mut world = World::new();
    let (key, other) = (world.open(CHANNELS), world.open(CHANNELS));
    let join = r#"{"type":"join_channel","data":{"channel":"room.a"}}"#;
    let send = r#"{"type":"send_message","data":{"channel":"room.a","message":1}}"#;
    for (member, text, answer, told) in [
        (key, join, NO, &["error"][..]),
        (key, send, NO, &["error"]),
        (other, join, YES, &["channel_joined"]),
        (other, send, YES, &[]),
    ] {
        // One that the shard would remember is asked again.
        world.pass(TTL_MS);
        world.say(member, &[text]);
        let asked = world.questions();
        assert_eq!(asked.len(), 1, "{text}");
        world.answer(&asked[0], answer);
        assert_eq!(world.heard(member), told, "{text}");
        assert_eq!(world.shard.resumed(), Some(member));
    }
    world.say(key, &[send]);
    assert_eq!(world.heard(other), ["channel_message"]);
    // No channel, nothing to ask; what the dialect opens is open.
    world.say(key, &[r#"{"type":"join_channel","data":{"channel":"room.*"}}"#]);
    world.say(key, &[r#"{"type":"join_channel","data":{"channel":"public:room"}}"#]);
    assert_eq!(world.heard(key), ["error", "channel_joined"]);
    assert!(world.questions().is_empty());
}

/// A request for these rooms.
fn rooms(names: impl IntoIterator<Item = impl std::fmt::Display>) -> String {
    let names: Vec<String> = names.into_iter().map(|it| format!("\"room.{it}\"")).collect();
    format!(r#"{{"type":"subscribe","topics":[{}]}}"#, names.join(","))
}

fn topics(asked: &[Asked]) -> Vec<&str> {
    asked.iter().map(|it| it.question.topic.strip_prefix("room.").unwrap()).collect()
}

#[test]
fn a_long_list_is_asked_some_at_a_time() {
    const ALL: usize = 2 * QUESTIONS_PER_CONNECTION_MAX + 8;
    let mut world = World::new();
    let (key, other) = (world.open(TOPICS), world.open(TOPICS));
    world.say(key, &[&rooms(0..ALL)]);
    let mut asked = VecDeque::from(world.questions());
    assert_eq!(asked.len(), QUESTIONS_PER_CONNECTION_MAX);
    // Nobody else's questions wait for those of this one.
    world.say(other, &[r#"{"type":"subscribe","topic":"room.other"}"#]);
    let others = world.questions();
    assert_eq!(topics(&others), ["other"]);
    world.answer(&others[0], YES);
    assert_eq!(world.heard(other), ["subscribed room.other"]);
    let mut order = Vec::new();
    while let Some(it) = asked.pop_front() {
        order.push(it.question.topic.clone());
        // Each is asked in its own time.
        world.pass(TIMEOUT_MS / 16);
        world.answer(&it, if it.ticket.place % 5 == 0 { NO } else { YES });
        asked.extend(world.questions());
        assert!(asked.len() <= QUESTIONS_PER_CONNECTION_MAX);
        assert_eq!(world.metrics.questions_open.get(), asked.len() as u64);
    }
    assert_eq!(order.len(), ALL);
    let heard = world.heard(key);
    let expected = (0..ALL).map(|at| {
        let kind = if at % 5 == 0 { "error" } else { "subscribed" };
        format!("{kind} room.{at}")
    });
    assert_eq!(heard, expected.collect::<Vec<_>>());
    let metrics = &world.metrics;
    assert_eq!(metrics.webhook_asked_total.get(), 1 + ALL as u64);
    assert_eq!(metrics.webhook_denied_total.get(), ALL.div_ceil(5) as u64);
}

#[test]
fn what_has_no_place_is_not_asked_about() {
    let mut world = World::new();
    let key = world.open(TOPICS);
    let most: Vec<String> = (0..SUBSCRIPTIONS_MAX - 3).map(|at| format!("\"n{at}\"")).collect();
    world.say(key, &[&format!(r#"{{"type":"subscribe","topics":[{}]}}"#, most.join(","))]);
    assert_eq!(world.heard(key).len(), most.len());
    // `news` takes one of three places that are left, and a name that stands twice no more than
    // one.
    world.say(key, &[r#"{"type":"subscribe","topics":["room.a","room.a","news","n0","room.b","room.c","room.d"]}"#]);
    let asked = world.questions();
    assert_eq!(topics(&asked), ["a", "b"]);
    // A place that a denial leaves is the next one's.
    world.answer(&asked[0], NO);
    let next = world.questions();
    assert_eq!(topics(&next), ["c"]);
    world.answer(&next[0], YES);
    world.answer(&asked[1], YES);
    assert!(world.questions().is_empty());
    let replies = [
        "error room.a",
        "error room.a",
        "subscribed news",
        "subscribed n0",
        "subscribed room.b",
        "subscribed room.c",
        "error room.d",
    ];
    assert_eq!(world.heard(key), replies);
    world.say(key, &[&rooms(["e", "f"])]);
    assert!(world.questions().is_empty(), "all places are taken");
    assert_eq!(world.heard(key), ["error room.e", "error room.f"]);
}

#[test]
fn a_webhook_that_is_not_there_is_not_asked_about_all() {
    let mut world = World::new();
    let key = world.open(TOPICS);
    world.say(key, &[&rooms(0..SUBSCRIPTIONS_MAX)]);
    let mut count = 0;
    loop {
        let asked = world.questions();
        if asked.is_empty() {
            break;
        }
        count += asked.len();
        for it in &asked {
            world.answer(it, FAILED);
        }
    }
    assert!(count < 2 * QUESTIONS_PER_CONNECTION_MAX, "{count}");
    assert_eq!(world.heard(key).len(), SUBSCRIPTIONS_MAX);
    assert_eq!(world.metrics.webhook_failed_total.get(), count as u64);
    // And one that says nothing at all holds nobody up for longer than one that is late.
    world.say(key, &[&rooms(0..SUBSCRIPTIONS_MAX)]);
    assert_eq!(world.questions().len(), QUESTIONS_PER_CONNECTION_MAX);
    world.pass(TIMEOUT_MS + ANSWER_LATE_MS + TICK_MS);
    assert_eq!(world.heard(key).len(), SUBSCRIPTIONS_MAX);
    assert_eq!(world.shard.resumed(), Some(key));
}

#[test]
fn too_many_questions_are_no_denial() {
    let mut world = World::new();
    let (key, member) = (world.open(TOPICS), world.open(CHANNELS));
    world.say(key, &[&rooms(["a", "b"])]);
    world.say(member, &[r#"{"type":"join_channel","data":{"channel":"room.a"}}"#]);
    let asked = world.questions();
    world.answer(&asked[0], Err(Unanswered::NoRoom));
    world.answer(&asked[1], NO);
    world.answer(&asked[2], Err(Unanswered::NoRoom));
    let text = |world: &mut World, key: ConnKey| {
        world.shard.flush(world.now, &mut world.kernel);
        String::from_utf8_lossy(&world.kernel.0.remove(&key.index).unwrap()).into_owned()
    };
    let told = text(&mut world, key);
    let (first, second) = (told.find("\"code\":503").unwrap(), told.find("\"code\":403").unwrap());
    assert!(first < second && told.contains("Server is overloaded"), "{told}");
    assert!(text(&mut world, member).contains("Server is overloaded"));
    assert_eq!(world.metrics.questions_refused_total.get(), 2);
    // It was no answer: who asks again is asked about.
    world.say(key, &[&rooms(["a", "b"])]);
    assert_eq!(topics(&world.questions()), ["a"]);
}

#[test]
fn another_webhooks_answers_are_not_remembered() {
    let mut world = World::new();
    let (key, late, other) = (world.open(TOPICS), world.open(TOPICS), world.open(TOPICS));
    world.say(key, &[&rooms(["a"])]);
    let asked = world.questions();
    world.answer(&asked[0], YES);
    world.say(late, &[&rooms(["b"])]);
    let underway = world.questions();
    // The same webhook, whatever else is another: what it said is still good.
    world.reload(Policy { message_bytes_max: 1000, ..policy("room.**") });
    world.say(other, &[&rooms(["a"])]);
    assert!(world.questions().is_empty());
    // Another: what it did not say is not remembered as its own, though the one who asked is told.
    world.reload(Policy { webhook_number: 1, ..policy("room.**") });
    world.answer(&underway[0], YES);
    assert_eq!(world.heard(late), ["subscribed room.b"]);
    world.say(other, &[&rooms(["a", "b"])]);
    let asked = world.questions();
    assert_eq!(topics(&asked), ["a", "b"]);
    for it in &asked {
        world.answer(it, NO);
    }
    world.say(key, &[&rooms(["b"])]);
    assert!(world.questions().is_empty(), "what it said itself is");
}

#[test]
fn what_is_left_to_the_webhook_now_must_have_been_asked() {
    let mut world = World::new();
    let (key, other) = (world.open(TOPICS), world.open(TOPICS));
    world.say(key, &[r#"{"type":"subscribe","topics":["news.1","news.2","room.a","free"]}"#]);
    let asked = world.questions();
    world.answer(&asked[0], YES);
    assert_eq!(world.heard(key).len(), 4);
    // `news` was allowed without being asked about; of one of them it is known that it may stay.
    world.reload(policy("*.1"));
    world.say(other, &[r#"{"type":"subscribe","topic":"news.1"}"#]);
    let asked = world.questions();
    world.answer(&asked[0], YES);
    assert_eq!(world.heard(key), ["unsubscribed news.1"]);
    world.reload(policy("**"));
    // Of `room.a` the answer is remembered still, and `news.1` was asked about.
    let mut gone = world.heard(key);
    gone.sort();
    assert_eq!(gone, ["unsubscribed free", "unsubscribed news.2"]);
    assert_eq!(world.heard(other), ["subscribed news.1"]);
    // And that holds, however long ago it was.
    world.pass(10 * TTL_MS);
    world.reload(policy("**"));
    assert!(world.heard(other).is_empty() && world.heard(key).is_empty());
    // Settings in between that nobody was held against yet count too.
    world.shard.reconfigure(world.now, Arc::new(policy("x")));
    world.reload(policy("**"));
    assert_eq!(world.heard(key), ["unsubscribed room.a"]);
    assert_eq!(world.heard(other), ["unsubscribed news.1"]);
}

#[test]
fn a_no_ends_what_was_granted_before_and_silence_does_not() {
    let mut world = World::new();
    for (endpoint, subscribe, yes, no) in [
        (
            TOPICS,
            r#"{"type":"subscribe","topic":"room.a"}"#,
            &["subscribed room.a"][..],
            &["unsubscribed room.a", "error room.a"][..],
        ),
        (
            CHANNELS,
            r#"{"type":"join_channel","data":{"channel":"room.a"}}"#,
            &["channel_joined"],
            &["channel_left", "error"],
        ),
    ] {
        let key = world.open(endpoint);
        let ask = |world: &mut World, answer| {
            world.pass(TTL_MS);
            world.say(key, &[subscribe]);
            let asked = world.questions();
            assert_eq!(asked.len(), 1);
            world.answer(&asked[0], answer);
            world.heard(key)
        };
        assert_eq!(ask(&mut world, YES), yes);
        let subscribed = world.metrics.subscriptions.get();
        assert_eq!(ask(&mut world, Err(Unanswered::Failed)).len(), 1);
        assert_eq!(world.metrics.subscriptions.get(), subscribed, "nobody said no");
        assert_eq!(ask(&mut world, NO), no);
        assert_eq!(world.metrics.subscriptions.get(), subscribed - 1);
        assert_eq!(ask(&mut world, NO), no[1..]);
    }
}
