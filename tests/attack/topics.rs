//! Attackers who are in, and use what they may use until it hurts.

use std::time::{Duration, Instant};

use shardwire::limits::SUBSCRIPTIONS_MAX;

use crate::broker::{ATTACKER, Attack, Scene, until};
use crate::bystanders;
use crate::client::Client;

pub const SUBSCRIPTIONS: Attack = Attack {
    name: "all subscriptions there are",
    mib_max: 128,
    set: |_| {},
    act: |scene| {
        let mut clients = enter(scene, 100);
        for (n, client) in clients.iter_mut().enumerate() {
            let topics: Vec<String> =
                (0..SUBSCRIPTIONS_MAX).map(|m| format!("\"attack.{n}.topic.{m}\"")).collect();
            // In parts: each reply waits for its reader.
            for topics in topics.chunks(100) {
                client.say(&format!(r#"{{"type":"subscribe","topics":[{}]}}"#, topics.join(",")));
                for _ in topics {
                    assert!(client.hear_text().contains("subscribed"));
                }
            }
            client.say(r#"{"type":"subscribe","topic":"one.more"}"#);
            assert!(client.hear_text().contains("\"code\":403"));
        }
        scene.honest();
        let held = scene.subscriptions();
        assert_eq!(held, (clients.len() * SUBSCRIPTIONS_MAX) as u64);
        drop(clients);
        until("all are taken back", || scene.subscriptions() == 0);
        assert_eq!(scene.count(|it| it.topics.get()), bystanders::SUBSCRIPTIONS);
        format!("{held} subscriptions to topics of their own, one more is 403")
    },
};

pub const PATTERNS: Attack = Attack {
    name: "patterns that match a lot",
    mib_max: 64,
    set: |_| {},
    act: |scene| {
        let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
        let mut patterns = 0;
        // As many ways as can be to match one deep topic.
        for n in 0..SUBSCRIPTIONS_MAX {
            let segments: Vec<&str> = (0..15)
                .flat_map(|at| if n >> (at % 10) & 1 == 1 { ["**", "a"] } else { ["*", "**"] })
                .collect();
            let rest = n / 10 % 4;
            client.say(&format!(
                r#"{{"type":"subscribe","topic":"{}"}}"#,
                segments[..segments.len() - rest].join(".")
            ));
            let answer = client.hear_text();
            patterns += usize::from(answer.contains("subscribed"));
        }
        let topic = vec!["a"; 32].join(".");
        let message = format!(r#"{{"type":"message","topic":"{topic}","data":1,"id":1}}"#);
        let mut publisher = Client::enter(scene.address(), ATTACKER, "/ws");
        let begun = Instant::now();
        let times = 200;
        for n in 0..times {
            // Another topic each time, so that nothing is remembered.
            publisher.say(&message.replacen("a.a", &format!("a.{n}"), 1));
            assert!(publisher.hear_text().contains("published"));
        }
        let each = begun.elapsed() / times;
        assert!(each < Duration::from_millis(50), "{each:?}");
        scene.honest();
        format!("{patterns} patterns, {} µs for a publish that they match", each.as_micros())
    },
};

pub const NESTING: Attack = Attack {
    name: "JSON without end",
    // What the index and the tape of a message of 1 MiB may take, at 64 bytes for each of its bytes
    // (`limits::JSON_SCRATCH_BYTES_KEPT`): once a shard, and given back with the message. And the
    // texts, ours and theirs.
    mib_max: 72,
    set: |_| {},
    act: |scene| {
        let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
        let deep = 900_000;
        let data = |data: String| format!(r#"{{"type":"message","topic":"a","data":{data}"#);
        let mut slowest = (Duration::ZERO, "");
        for (what, text) in [
            ("arrays", "[".repeat(deep)),
            ("objects", "{\"a\":".repeat(deep / 5)),
            ("arrays in data", data("[".repeat(deep))),
            ("closed arrays", data("[".repeat(deep / 2) + &"]".repeat(deep / 2) + "}")),
            ("backslashes", data("\"".to_owned() + &"\\".repeat(deep))),
            ("flat arrays, one bad", data("[],".repeat(deep / 3))),
        ] {
            let begun = Instant::now();
            for _ in 0..TIMES {
                assert!(client.say(&text));
                let answer = client.hear_text();
                assert!(answer.contains("\"code\":400"), "{answer}");
            }
            slowest = slowest.max((begun.elapsed() / TIMES, what));
        }
        // Data as good as any other; nobody hears it and nothing is answered.
        for good in ["9".repeat(deep), "[".to_owned() + &"[],".repeat(deep / 3) + "0]"] {
            for _ in 0..TIMES {
                assert!(client.say(&(data(good.clone()) + "}")));
            }
        }
        scene.honest();
        client.say(crate::client::JSON_PING);
        assert!(client.hear_text().contains("pong"));
        let (each, what) = slowest;
        assert!(each < Duration::from_millis(50), "{each:?} for {what}");
        format!("80 messages of 900 KB, 60 of them 400; slowest {what}: {} µs", each.as_micros())
    },
};

/// How often each text is sent.
const TIMES: u32 = 10;

fn enter(scene: &Scene<'_>, clients: usize) -> Vec<Client> {
    (0..clients).map(|_| Client::enter(scene.address(), ATTACKER, "/ws")).collect()
}
