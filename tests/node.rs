//! A whole node in this process, met over TCP by a client that we did not write
//! (tokio-tungstenite).

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use shardwire::auth::Rules;
use shardwire::config::{Dialect, HistorySetting, SlowConsumerPolicy};
use shardwire::metrics::Kind;
use shardwire::node::{Node, Setup};
use shardwire::shard::outbox::OutboxBound;
use shardwire::shard::{Endpoint, Policy};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn policy() -> Policy {
    Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, Rules::open())])
}

fn start(shards: u8, policy: Policy) -> Node {
    try_start(SocketAddr::from(([127, 0, 0, 1], 0)), shards, policy).unwrap()
}

fn start_with(shards: u8, policy: Policy, change: impl FnOnce(&mut Setup)) -> Node {
    let mut setup = setup(SocketAddr::from(([127, 0, 0, 1], 0)), shards, policy);
    change(&mut setup);
    Node::start(setup).unwrap()
}

fn try_start(address: SocketAddr, shards: u8, policy: Policy) -> std::io::Result<Node> {
    Node::start(setup(address, shards, policy))
}

fn setup(address: SocketAddr, shards: u8, policy: Policy) -> Setup {
    Setup { api_key: Some("key".into()), ..Setup::bare(address, shards, policy) }
}

async fn connect(node: &Node) -> Client {
    connect_async(format!("ws://{}/ws", node.address())).await.unwrap().0
}

async fn say(client: &mut Client, text: &Value) {
    client.send(Message::text(text.to_string())).await.unwrap();
}

async fn hear(client: &mut Client) -> Value {
    let message = tokio::time::timeout(Duration::from_secs(10), client.next()).await;
    let text = message.expect("an answer in time").unwrap().unwrap().into_text().unwrap();
    serde_json::from_str(&text).unwrap()
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn what_is_published_reaches_subscribers_on_every_shard() {
    for shards in [1, 2, 5] {
        let node = start(shards, policy());
        runtime().block_on(async {
            let mut clients = Vec::new();
            for _ in 0..20 {
                let mut client = connect(&node).await;
                say(&mut client, &json!({"type":"subscribe","topic":"a.*","id":7})).await;
                let reply = hear(&mut client).await;
                assert_eq!((&reply["type"], &reply["id"]), (&json!("subscribed"), &json!(7)));
                clients.push(client);
            }
            let mut publisher = connect(&node).await;
            let message = json!({"type":"message","topic":"a.b","data":{"n":1},"id":"x"});
            say(&mut publisher, &message).await;
            assert_eq!(hear(&mut publisher).await["type"], "published");
            for client in &mut clients {
                let delivered = hear(client).await;
                assert_eq!(delivered["topic"], "a.b");
                assert_eq!(delivered["data"], json!({"n":1}));
            }
        });
        node.drain(Duration::from_millis(500));
    }
}

#[test]
fn an_address_in_use_is_refused_though_shards_share_theirs() {
    let node = start(2, policy());
    for shards in [1, 2] {
        let error = try_start(node.address(), shards, policy()).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse);
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn offsets_have_no_gaps_whatever_shard_the_publisher_is_on() {
    let mut policy = policy();
    policy.history = vec![HistorySetting { topic: "kept.*".into(), size: 100, ttl_s: 60 }];
    let node = start(4, policy);
    runtime().block_on(async {
        let mut reader = connect(&node).await;
        say(&mut reader, &json!({"type":"subscribe","topic":"kept.x"})).await;
        hear(&mut reader).await;
        let (mut offsets, mut order) = (Vec::new(), Vec::new());
        for n in 0..20 {
            let mut publisher = connect(&node).await;
            let message = json!({"type":"message","topic":"kept.x","data":n,"id":n});
            say(&mut publisher, &message).await;
            let answer = hear(&mut publisher).await;
            assert_eq!((&answer["type"], &answer["id"]), (&json!("published"), &json!(n)));
            offsets.push(answer["offset"].as_u64().unwrap());
            order.push(hear(&mut reader).await["data"].as_u64().unwrap());
        }
        assert_eq!(offsets, (1..=20).collect::<Vec<_>>());
        assert_eq!(order, (0..20).collect::<Vec<_>>());
    });
    node.drain(Duration::from_millis(500));
}

#[test]
fn a_drain_tells_everybody_and_leaves_nothing() {
    let node = start(3, policy());
    runtime().block_on(async {
        let mut clients = Vec::new();
        for n in 0..30 {
            let mut client = connect(&node).await;
            say(&mut client, &json!({"type":"subscribe","topics":["a", "b.*", format!("c.{n}")]}))
                .await;
            for _ in 0..3 {
                assert_eq!(hear(&mut client).await["type"], "subscribed");
            }
            clients.push(client);
        }
        let metrics: Vec<_> = node.metrics().to_vec();
        let drained = std::thread::spawn(move || node.drain(Duration::from_secs(5)));
        for client in &mut clients {
            let end = tokio::time::timeout(Duration::from_secs(10), client.next()).await.unwrap();
            let Message::Close(Some(frame)) = end.unwrap().unwrap() else {
                panic!("a close frame is the last thing said");
            };
            assert_eq!(u16::from(frame.code), 1001);
            // The client's answer goes out with the next poll, which ends in the socket's end.
            assert!(client.next().await.is_none_or(|end| end.is_err()));
        }
        drained.join().unwrap();
        // Those of late tell of the seconds before the end.
        let is_of_late = |name: &str| name.contains("of_late");
        for shard in metrics {
            let gauges = shard.readings().filter(|it| it.kind == Kind::Gauge);
            for gauge in gauges.filter(|it| !is_of_late(it.name)) {
                assert_eq!(gauge.value, 0, "{}", gauge.name);
            }
        }
    });
}

/// A handshake by hand; the socket and the answer's status.
fn knock(address: SocketAddr) -> (std::net::TcpStream, u16) {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    let handshake = "GET /ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n\
        Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    stream.write_all(handshake.as_bytes()).unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte).unwrap();
        head.push(byte[0]);
    }
    let status = std::str::from_utf8(&head[9..12]).unwrap().parse().unwrap();
    (stream, status)
}

#[test]
fn a_close_with_the_end_right_behind_it_is_answered() {
    use std::io::{Read, Write};
    let node = start(1, policy());
    for _ in 0..20 {
        let (mut stream, _) = knock(node.address());
        // A request, a close frame of code 1000 (masked by zeros), and the end, all at once.
        let request = br#"{"type":"ping"}"#;
        let mut bytes = vec![0x81, 0x80 | request.len() as u8, 0, 0, 0, 0];
        bytes.extend_from_slice(request);
        bytes.extend_from_slice(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]);
        stream.write_all(&bytes).unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        assert!(answer.windows(6).any(|part| part == b"\"pong\""), "{answer:?}");
        assert!(answer.ends_with(&[0x88, 2, 0x03, 0xe8]), "{answer:?}");
    }
    node.drain(Duration::from_millis(100));
}

/// Bytes that a client sends where nothing may follow: more than the kernel keeps unread.
const FLOOD_BYTES: usize = 16 << 20;

/// What a client hears that sends `first` and a flood behind it, and only then reads.
fn hear_after_flood(mut stream: std::net::TcpStream, first: &[u8]) -> Vec<u8> {
    use std::io::{Read, Write};
    let flood = [first, &vec![0xff; FLOOD_BYTES]].concat();
    stream.write_all(&flood).expect("whoever is being closed is read");
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).expect("an end and no reset");
    heard
}

#[test]
fn who_floods_while_being_closed_hears_why() {
    let node = start(1, policy());
    let goodbye = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];
    let reserved_opcode = [0x83, 0x80, 0, 0, 0, 0];
    let bad_utf8 = [0x81, 0x81, 0, 0, 0, 0, 0xff];
    let too_large = [0x82, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
    for (first, code) in
        [(&goodbye[..], 1000_u16), (&reserved_opcode, 1002), (&bad_utf8, 1007), (&too_large, 1009)]
    {
        let (stream, _) = knock(node.address());
        let heard = hear_after_flood(stream, first);
        assert_eq!((heard[0], &heard[2..4]), (0x88, &code.to_be_bytes()[..]), "{heard:?}");
        assert_eq!(heard.len(), 2 + usize::from(heard[1]), "{heard:?}");
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_floods_when_the_broker_closes_is_not_reset() {
    use std::io::Read;
    let node = start(1, policy());
    // The answer to our close frame and a flood behind it; a flood that is no frames at all.
    let answer = [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe9];
    for first in [&answer[..], &[0xff]].repeat(10) {
        let (mut stream, _) = knock(node.address());
        // Too often over the limit of failed tokens.
        let auth = br#"{"type":"auth","token":"x"}"#;
        let mut frame = vec![0x81, 0x80 | auth.len() as u8, 0, 0, 0, 0];
        frame.extend_from_slice(auth);
        std::io::Write::write_all(&mut stream, &frame.repeat(3)).unwrap();
        let mut heard = Vec::new();
        while !heard.windows(4).any(|part| part[0] == 0x88 && part[2..] == 1008_u16.to_be_bytes()) {
            let mut byte = [0];
            stream.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        hear_after_flood(stream, first);
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn an_address_counts_who_waits_out_its_close_and_nobody_who_has_seen_the_end() {
    use std::io::{Read, Write};
    let one_each = |setup: &mut Setup| setup.connections_per_ip_max = 1;
    let node = start_with(2, policy(), one_each);
    for _ in 0..200 {
        let (mut stream, status) = knock(node.address());
        assert_eq!(status, 101);
        stream.write_all(&[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8]).unwrap();
        // To the end of the socket: from here on the place is free, whatever shard is asked.
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    // This one broke the protocol, hears so, and stays: it holds its place.
    let (mut stream, status) = knock(node.address());
    assert_eq!(status, 101);
    stream.write_all(&[0x83, 0x80, 0, 0, 0, 0]).unwrap();
    stream.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(knock(node.address()).1, 429);
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_large_batch_is_published_whole_whatever_shard_its_readers_are_on() {
    const ITEMS: usize = 10_000;
    let node = start(4, policy());
    runtime().block_on(async {
        let mut readers = Vec::new();
        for _ in 0..8 {
            let mut reader = connect(&node).await;
            say(&mut reader, &json!({"type":"subscribe","topic":"batch"})).await;
            hear(&mut reader).await;
            readers.push(reader);
        }
        let items: Vec<Value> = (0..ITEMS).map(|n| json!({"topic":"batch","data":n})).collect();
        let body = Value::from(items).to_string();
        let mut stream = TcpStream::connect(node.address()).await.unwrap();
        let head = format!(
            "POST /api/publish HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
            Authorization: Bearer key\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let read = tokio::spawn(async move {
            stream.write_all(head.as_bytes()).await.unwrap();
            stream.write_all(body.as_bytes()).await.unwrap();
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.unwrap();
            answer
        });
        for reader in &mut readers {
            for n in 0..ITEMS {
                assert_eq!(hear(reader).await["data"], n);
            }
        }
        let answer = read.await.unwrap();
        assert_eq!(answer.matches("{\"delivered\":8}").count(), ITEMS);
    });
    node.drain(Duration::from_millis(500));
}

#[test]
fn a_slow_consumer_is_heard_though_its_outbox_is_full() {
    let mut policy = policy();
    policy.outbox = OutboxBound { bytes_max: 64 << 10, policy: SlowConsumerPolicy::DropOldest };
    let node = start(1, policy);
    runtime().block_on(async {
        let mut slow = connect(&node).await;
        say(&mut slow, &json!({"type":"subscribe","topic":"flood"})).await;
        hear(&mut slow).await;
        // From here on it writes and never reads.
        let mut publisher = connect(&node).await;
        let data = "x".repeat(10_000);
        let metrics = std::sync::Arc::clone(&node.metrics()[0]);
        let mut count = 0;
        while metrics.dropped_oldest_total.get() == 0 {
            count += 1;
            assert!(count < 10_000, "a hundred megabytes do not fill the outbox");
            let message = json!({"type":"message","topic":"flood","data":data,"id":0});
            say(&mut publisher, &message).await;
            hear(&mut publisher).await;
        }
        say(&mut slow, &json!({"type":"unsubscribe","topic":"flood"})).await;
        let started = std::time::Instant::now();
        while metrics.subscriptions.get() > 0 {
            assert!(started.elapsed() < Duration::from_secs(10), "it was not heard");
            tokio::task::yield_now().await;
        }
    });
    node.drain(Duration::from_millis(200));
}

#[test]
fn whose_share_behind_a_proxy_is_full_counts_as_cut_and_not_as_a_bad_proxy() {
    use std::io::{Read, Write};
    let node = start_with(1, policy(), |setup| {
        setup.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
        setup.proxy_protocol = true;
        setup.connections_per_ip_max = 1;
    });
    // All of one client, and each is being answered but the last: it waits for the body.
    let header = "PROXY TCP4 203.0.113.9 192.0.2.1 4000 80\r\n";
    let ask = "POST /api/publish HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer key\r\n\
        Expect: 100-continue\r\nContent-Length: 2\r\n\r\n";
    let come = || {
        let mut stream = std::net::TcpStream::connect(node.address()).unwrap();
        stream.write_all([header, ask].concat().as_bytes()).unwrap();
        let mut answer = [0; 12];
        let goes_on = stream.read_exact(&mut answer).is_ok() && &answer == b"HTTP/1.1 100";
        goes_on.then_some(stream)
    };
    let share = shardwire::limits::HANDSHAKES_PER_ADDRESS_MIN;
    let all: Vec<_> = (0..share).map(|_| come().expect("it has a place")).collect();
    assert!(come().is_none());
    let metrics = &node.metrics()[0];
    let refused = metrics.proxy_headers_refused_total.get();
    assert_eq!((metrics.handshakes_cut_total.get(), refused), (1, 0));
    drop(all);
    node.drain(Duration::from_millis(100));
}
