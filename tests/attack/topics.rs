//! Attackers who are in, and use what they may use until it hurts.

use std::time::{Duration, Instant};

use shardwire::close::Close;
use shardwire::limits::SUBSCRIPTIONS_MAX;

use crate::broker::{ATTACKER, Attack, Scene, until};
use crate::client::Client;

pub const SLOW_READERS: Attack = Attack {
    name: "readers who do not read",
    // Their outboxes: 64 times 256 KiB.
    mib_max: 48,
    set: |setup| setup.policy.outbox.bytes_max = 256 << 10,
    act: |scene| {
        let mut slow = enter(scene, 64);
        for client in &mut slow {
            client.say(r#"{"type":"subscribe","topic":"flood"}"#);
            assert!(client.hear_text().contains("subscribed"));
        }
        let mut publisher = Client::enter(scene.address(), ATTACKER, "/ws");
        let data = "x".repeat(64 << 10);
        let message = format!(r#"{{"type":"message","topic":"flood","data":"{data}","id":1}}"#);
        let mut published = 0;
        let closed = || scene.closed(Close::SlowConsumer);
        // The kernel takes some megabytes for each before the outbox begins to fill.
        while closed() < 64 {
            published += 1;
            assert!(published < 2000, "{} closed", closed());
            assert!(publisher.say(&message));
            assert!(publisher.hear_text().contains("published"));
        }
        scene.honest();
        let kept = scene.count(|it| it.outbox_bytes.get());
        // Of each the message that was begun, for a frame has no end in the middle.
        assert!(kept < 64 * (message.len() as u64 + 1024), "{kept} bytes kept for the given up");
        drop(slow);
        format!("64 readers given up after {published} messages of 64 KiB, {kept} bytes kept")
    },
};

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
        let held = scene.count(|it| it.subscriptions.get());
        assert_eq!(held, (clients.len() * SUBSCRIPTIONS_MAX) as u64);
        drop(clients);
        until("all are taken back", || scene.count(|it| it.subscriptions.get()) == 0);
        assert_eq!(scene.count(|it| it.topics.get()), 0);
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
    // What parsing a message of 1 MiB takes, once a shard.
    mib_max: 64,
    set: |_| {},
    act: |scene| {
        let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
        let deep = 900_000;
        for text in [
            "[".repeat(deep),
            "{\"a\":".repeat(deep / 5),
            format!(r#"{{"type":"message","topic":"a","data":{}"#, "[".repeat(deep)),
            format!(
                r#"{{"type":"message","topic":"a","data":{}{}}}"#,
                "[".repeat(deep / 2),
                "]".repeat(deep / 2)
            ),
            format!(r#"{{"type":"message","topic":"a","data":"{}"#, "\\".repeat(deep)),
            format!(r#"{{"type":"message","topic":"a","data":{}}}"#, "9".repeat(deep)),
        ] {
            for _ in 0..10 {
                assert!(client.say(&text));
            }
        }
        // The one number is data as good as any other; nobody hears it and nothing is answered.
        for _ in 0..50 {
            let answer = client.hear_text();
            assert!(answer.contains("\"code\":400"), "{answer}");
        }
        scene.honest();
        client.say(crate::client::JSON_PING);
        assert!(client.hear_text().contains("pong"));
        "60 messages nested, escaped and long without end, 50 of them 400".into()
    },
};

fn enter(scene: &Scene<'_>, clients: usize) -> Vec<Client> {
    (0..clients).map(|_| Client::enter(scene.address(), ATTACKER, "/ws")).collect()
}
