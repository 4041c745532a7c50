//! What the shard itself costs, without a kernel: fan-out into a port that takes everything, the
//! mail between shards, the encoding of a delivery.
//!
//! Beside the 3 µs of one `send`, these are the nanoseconds that the broker adds.

#![allow(missing_docs, reason = "criterion's macros make public functions")]

mod rig;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rig::clients;
use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::mail::Delivery;
use shardwire::mailbox::{Mailbox, Post, Wake};
use shardwire::message::{Message, Publication};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};
use shardwire::wire::frame::{self, OpCode};
use shardwire::wire::topics;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CONNECTIONS: usize = 1000;
const TOPICS: usize = 100;
const TOPICS_EACH: usize = 10;
const NOW: Now = Now { mono_ms: 1, wall: Timestamp(1_769_860_800_123) };

/// Takes everything and counts it.
#[derive(Default)]
struct Sink {
    sends: u64,
    bytes: u64,
}

impl Port for Sink {
    fn send(&mut self, _: u32, bytes: &[u8]) -> Sent {
        self.sends += 1;
        self.bytes += bytes.len() as u64;
        Sent::Bytes(black_box(bytes).len())
    }

    fn shut(&mut self, _: u32) {}

    fn close(&mut self, _: u32, _: IpAddr) {}
}

/// An owner that never sleeps.
struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

fn mailboxes(count: usize) -> Arc<[Arc<Mailbox>]> {
    (0..count).map(|_| Mailbox::new(Box::new(Awake))).collect()
}

/// A shard with subscribers and a publisher.
struct Bench {
    shard: Shard,
    sink: Sink,
    publisher: ConnKey,
    scratch: Vec<u8>,
}

impl Bench {
    fn new(topics_of: impl Fn(usize) -> Vec<String>) -> Self {
        let policy = Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, Rules::open())]);
        let metrics = ShardMetrics::new();
        let parts = Parts {
            id: 0,
            mailboxes: mailboxes(1),
            interest: Interest::new(),
            policy: Arc::new(policy),
            metrics: Arc::clone(&metrics),
            seed: 1,
            node: 1,
            all_metrics: Arc::from([metrics]),
            secrets: Box::new(NotSecret(1)),
        };
        let mut shard = Shard::new(parts, NOW);
        let publisher = shard.open(NOW, arrival());
        let mut bench = Self { shard, sink: Sink::default(), publisher, scratch: Vec::new() };
        for n in 0..CONNECTIONS {
            let key = bench.shard.open(NOW, arrival());
            let mut request = clients::subscribe(&topics_of(n));
            let taken = bench.shard.read(NOW, key, &mut request, &mut bench.sink);
            assert_eq!(taken, request.len());
        }
        bench.shard.flush(NOW, &mut bench.sink);
        bench
    }

    /// One turn: the publisher's frames are read, everybody's output is sent.
    fn turn(&mut self, frames: &[u8]) {
        self.scratch.clear();
        self.scratch.extend_from_slice(frames);
        let taken = self.shard.read(NOW, self.publisher, &mut self.scratch, &mut self.sink);
        assert_eq!(taken, self.scratch.len());
        self.shard.flush(NOW, &mut self.sink);
    }

    /// Makes sure that a turn brings so many sends of at least so many bytes altogether.
    fn check(&mut self, frames: &[u8], sends: usize, bytes: usize) {
        self.sink = Sink::default();
        self.turn(frames);
        assert_eq!(self.sink.sends, sends as u64);
        assert!(self.sink.bytes >= bytes as u64);
    }
}

fn arrival() -> Arrival {
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    Arrival::new(0, address)
}

fn publish(topic: &str) -> Vec<u8> {
    let data = "x".repeat(126);
    clients::publish(topic, &format!("\"{data}\""))
}

fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fan-out, a delivery");
    for messages in [1, 16] {
        let frames = publish("room.1").repeat(messages);
        let mut bench = Bench::new(|_| vec!["room.1".into()]);
        bench.check(&frames, CONNECTIONS, CONNECTIONS * messages * 200);
        group.throughput(Throughput::Elements((CONNECTIONS * messages) as u64));
        group.bench_function(format!("{messages} messages to 1000"), |bencher| {
            bencher.iter(|| bench.turn(&frames));
        });
    }
    // Everybody is in ten rooms, a hundred in each; their messages alternate, so the ranges of a
    // connection are apart and are copied together.
    let room = |n: usize| format!("room.{}", n % TOPICS);
    let frames: Vec<u8> = (0..TOPICS).flat_map(|n| publish(&room(n))).collect();
    let mut bench = Bench::new(|n| (0..TOPICS_EACH).map(|k| room(n + k * 7)).collect());
    bench.check(&frames, CONNECTIONS, CONNECTIONS * TOPICS_EACH * 200);
    group.throughput(Throughput::Elements((CONNECTIONS * TOPICS_EACH) as u64));
    group.bench_function("100 rooms of 100, ten each", |bencher| {
        bencher.iter(|| bench.turn(&frames));
    });
    group.finish();
}

fn publication(data: &str) -> Publication<'_> {
    Publication { sender: Some("user-42"), ..Publication::of_server("room.1", data, NOW.wall) }
}

fn mail(criterion: &mut Criterion) {
    let data = format!("\"{}\"", "x".repeat(126));
    let message = Arc::new(Message::new(&publication(&data)));
    let delivery = |message| Delivery::FanOut { message, skip: None, receipt: None };
    let mut group = criterion.benchmark_group("mail");
    let mailbox = Mailbox::new(Box::new(Awake));
    group.bench_function("push and take", |bencher| {
        bencher.iter(|| {
            mailbox.push(delivery(Arc::clone(&message)).into()).expect("there is room");
            black_box(mailbox.delivery())
        });
    });
    let boxes = mailboxes(4);
    let mut post = Post::new(Arc::clone(&boxes));
    group.throughput(Throughput::Elements(3 * 16));
    group.bench_function("post 16 messages to 3 shards, wake, take", |bencher| {
        bencher.iter(|| {
            for _ in 0..16 {
                for shard in 1..4 {
                    post.send(shard, delivery(Arc::clone(&message)).into());
                }
            }
            post.flush();
            for mailbox in &boxes[1..] {
                while let Some(delivery) = mailbox.delivery() {
                    black_box(delivery);
                }
            }
        });
    });
    group.bench_function("copy a message for other shards", |bencher| {
        bencher.iter(|| Arc::new(Message::new(black_box(&publication(&data)))));
    });
    group.finish();
}

fn encode(criterion: &mut Criterion) {
    let data = format!("\"{}\"", "x".repeat(126));
    let publication = publication(&data);
    let at_text = publication.at.rfc3339();
    let mut out = Vec::new();
    criterion.bench_function("encode a delivery", |bencher| {
        bencher.iter(|| {
            out.clear();
            let mark = frame::begin(&mut out);
            topics::delivery(&mut out, black_box(&publication), &at_text);
            frame::end(&mut out, mark, OpCode::Text, false);
            black_box(out.len())
        });
    });
}

fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(50)
}

criterion_group! {
    name = benches;
    config = short();
    targets = fan_out, mail, encode
}
criterion_main!(benches);
