//! Attackers who send too much of everything: frames, messages, names, lists, tokens, bodies.

use serde_json::json;
use shardwire::close::Close;
use shardwire::limits::{
    MESSAGE_BYTES_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_ID_BYTES_MAX, TOKEN_BYTES_MAX,
    TOPIC_BYTES_MAX, TOPIC_SEGMENTS_MAX, TOPICS_PER_REQUEST_MAX,
};
use shardwire::wire::frame::OpCode;

use crate::broker::{API_KEY, ATTACKER, Attack, Scene, until};
use crate::client::{Client, JSON_PING, frame, handshake};

pub const FRAMES: Attack = Attack {
    name: "oversized frames",
    mib_max: 8,
    set: |_| {},
    act: |scene| {
        let over = MESSAGE_BYTES_MAX as u64 + 1;
        let mut refused = 0;
        // A length is believed before there is a byte of it: refused at once, and nothing kept.
        for length in [over, u64::from(u32::MAX), u64::MAX >> 1] {
            for opcode in [1, 2] {
                let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
                assert!(client.send(&head(opcode, length)));
                assert_eq!(client.hear_close(), 1009);
                refused += 1;
            }
        }
        // Lengths that are no lengths, and control frames that are none (RFC 6455 section 5).
        for bytes in [head(1, 1 << 63), head(1, 5), head(9, 126), head(8, 126), vec![0x09, 0x80]] {
            let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
            assert!(client.send(&bytes));
            assert_eq!(client.hear_close(), 1002, "{bytes:?}");
            refused += 1;
        }
        // The most that may be said is announced, and a little of it sent: no room is made for it.
        let mut waiting: Vec<Client> = (0..1000)
            .map(|_| {
                let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
                assert!(client.send(&head(1, MESSAGE_BYTES_MAX as u64)));
                assert!(client.send(&[b'x'; 100]));
                client
            })
            .collect();
        scene.honest();
        assert!(waiting.iter().all(Client::is_open));
        let announced = waiting.len();
        waiting.clear();
        assert_eq!(scene.closed(Close::TooLarge), 6);
        format!("{refused} refused by their first bytes; {announced} times 1 MiB announced")
    },
};

/// The head of a masked frame that says it is so long, the long way.
fn head(opcode: u8, length: u64) -> Vec<u8> {
    let mut head = vec![0x80 | opcode, 0x80 | 127];
    head.extend(length.to_be_bytes());
    head.extend([0; 4]);
    head
}

pub const REQUESTS: Attack = Attack {
    name: "oversized requests",
    // The body of a batch, which only who has the key may send; and texts of 900 KB, read.
    mib_max: 48,
    set: |_| {},
    act: |scene| {
        let mut client = Client::enter(scene.address(), ATTACKER, "/ws");
        let x = |bytes: usize| "x".repeat(bytes);
        let deep = vec!["a"; TOPIC_SEGMENTS_MAX + 1].join(".");
        let wide = x(TOPIC_BYTES_MAX + 1);
        let mut requests = Vec::new();
        for topic in [&wide, &deep, &x(900_000)] {
            requests.push(json!({"type": "subscribe", "topic": topic}));
            requests.push(json!({"type": "unsubscribe", "topic": topic}));
            requests.push(json!({"type": "message", "topic": topic, "data": 1}));
        }
        let topics: Vec<String> = (0..=TOPICS_PER_REQUEST_MAX).map(|n| format!("t.{n}")).collect();
        requests.push(json!({"type": "subscribe", "topics": topics}));
        requests.push(json!({"type": "ping", "id": x(REQUEST_ID_BYTES_MAX)}));
        requests.push(json!({"type": x(900_000)}));
        for request in &requests {
            client.say(&request.to_string());
            let answer = client.hear_text();
            assert!(answer.contains("\"code\":400"), "{answer}");
            // It may name what is wrong, and never says more than it was told.
            assert!(answer.len() < request.to_string().len() + 1024, "{}", answer.len());
        }
        // A token is not looked at; it fails like a bad one.
        client.say(&json!({"type": "auth", "token": x(TOKEN_BYTES_MAX + 1)}).to_string());
        assert!(client.hear_text().contains("auth_error"));
        client.say(JSON_PING);
        assert!(client.hear_text().contains("pong"));
        assert_eq!(scene.subscriptions(), 0);
        let bodies = bodies(scene);
        scene.honest();
        format!(
            "{} requests 400, 1 token refused, {bodies} requests over HTTP refused",
            requests.len()
        )
    },
};

/// Too long over HTTP: how many, each refused.
fn bodies(scene: &Scene<'_>) -> usize {
    let request = |line: &str, rest: &str| {
        format!("{line} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {API_KEY}\r\n{rest}")
    };
    let post = |rest: &str| request("POST /api/publish", rest);
    let batch = 16 * MESSAGE_BYTES_MAX + 1;
    let long = "x".repeat(2 * REQUEST_HEAD_BYTES_MAX);
    let all = [
        (vec![413], post(&format!("Content-Length: {batch}\r\n\r\n"))),
        (vec![413], post(&format!("Content-Length: {}\r\n\r\n", u64::MAX >> 1))),
        (vec![400], post("Content-Length: 99999999999999999999999\r\n\r\n")),
        (vec![414, 431], request(&format!("GET /{long}"), "\r\n")),
        (vec![414, 431], handshake(&format!("/ws?token={long}"), "")),
        (vec![431], handshake("/guarded", &format!("Cookie: token={long}\r\n"))),
    ];
    for (statuses, request) in &all {
        let mut client = Client::connect(scene.address(), ATTACKER);
        // It may be refused, and cut, before all of it is out.
        client.send(request.as_bytes());
        let status = client.status();
        let begins = &request[..request.len().min(150)];
        assert!(statuses.contains(&status), "{status} for {begins}");
    }
    // One that does not say how long it is, until it is too long.
    let mut client = Client::connect(scene.address(), ATTACKER);
    assert!(client.send(post("Transfer-Encoding: chunked\r\n\r\n").as_bytes()));
    let chunk = format!("{:x}\r\n{}\r\n", 1 << 16, "x".repeat(1 << 16));
    let mut chunks = 0;
    while client.is_open() && client.send(chunk.as_bytes()) {
        chunks += 1;
        assert!(chunks << 16 < 2 * batch, "{chunks} chunks of 64 KiB are taken");
    }
    assert!(chunks << 16 >= batch - 1, "a batch may be that long");
    assert!(matches!(client.status(), 413 | 0), "0 where our last chunk broke the answer");
    until("they are gone", || scene.connections() == 1);
    all.len() + 1
}

pub const MANY: Attack = Attack {
    name: "large messages at once",
    // A hundred messages of the largest size, which may stand in a buffer twice as large.
    mib_max: 200,
    set: |_| {},
    act: |scene| {
        let text =
            format!(r#"{{"type":"message","topic":"a","data":"{}"}}"#, "x".repeat(1_000_000));
        let message = frame(OpCode::Text, false, text.as_bytes());
        let (most, last) = message.split_at(message.len() - 1);
        let mut clients: Vec<Client> =
            (0..100).map(|_| Client::enter(scene.address(), ATTACKER, "/ws")).collect();
        for client in &mut clients {
            assert!(client.send(most));
        }
        let all = (clients.len() * most.len()) as u64;
        until("all is taken", || scene.count(|it| it.bytes_received_total.get()) >= all);
        scene.honest();
        for client in &mut clients {
            assert!(client.send(last));
            client.say(JSON_PING);
            assert!(client.hear_text().contains("pong"));
        }
        format!("{} messages of 1 MB, a byte short of whole all at a time", clients.len())
    },
};
