//! What very many idle, subscribed connections cost: heap, resident memory, processor time.
//!
//! The broker runs in a process of its own, with an allocator that counts the bytes asked for. Each
//! client subscribes to a topic of its own and to one that all share. Some come and go before, so
//! that what is made once and kept is not counted against those who stay. Then the shared topic is
//! published to, and every client must get every message once and in order; then all leave, and as
//! many come and leave again: the places that are kept for them must be used again, and the heap
//! must not grow. Once without tokens, once with one each (HS256).
//!
//! `cargo bench --bench connections -- [--connections N] [--shards N] [--messages N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::memory::{Counting, Memory};
use rig::publisher::Publisher;
use rig::report;
use rig::swarm::{self, Heard, Swarm};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const SHARED: &str = "shared";
/// Handshakes under way at a time.
const CONNECTING_MAX: usize = 64;
/// Heap that may differ between two quiet moments: what each thread keeps for its next use.
const SLACK_BYTES: f64 = 65536.0;
/// Own topics that are published to.
const OWN_SAMPLE: usize = 50;

fn main() {
    let arguments = Arguments::read();
    if arguments.text("role") == Some(broker::ROLE) {
        return broker::run(&arguments);
    }
    let connections = arguments.size("connections", 15_000, 200);
    let shards = arguments.size("shards", 2, 2);
    let messages = arguments.size("messages", 10, 2);
    report::head("Idle subscribed connections");
    for tokens in [false, true] {
        println!(
            "{connections} connections with two subscriptions each, {} shards, {}",
            shards,
            if tokens { "a token each (HS256)" } else { "anonymous" }
        );
        measure(connections, shards, messages, tokens);
        println!();
    }
}

fn measure(connections: usize, shards: usize, messages: usize, tokens: bool) {
    let mut broker = Broker::start(shards, tokens, None);
    let fresh = broker.memory();
    let mut warm_up = Crowd::enter(&broker, connections / 8, tokens);
    warm_up.publish_shared(&broker, 1);
    warm_up.leave(&mut broker);
    let before = broker.memory();

    let (cpu, ticks) = (broker.cpu_ns(), broker.cpu_ticks());
    let begin = Instant::now();
    let mut crowd = Crowd::enter(&broker, connections, tokens);
    let took = begin.elapsed();
    let (cpu, after) = (broker.cpu_ns() - cpu, broker.cpu_ticks());
    let (user, system) = ((after.0 - ticks.0) as f64, (after.1 - ticks.1) as f64);
    settle(&mut broker, connections);
    let idle = broker.memory();
    print_memory("fresh", fresh, None);
    print_memory("after a warm-up that left", before, None);
    print_memory("all here", idle, Some((before, connections)));
    println!(
        "  connect and subscribe: {:.1} µs of server CPU each ({:.0} % of it in the kernel), \
         {:.0} a second",
        cpu as f64 / 1000.0 / connections as f64,
        100.0 * system / (user + system).max(1.0),
        connections as f64 / took.as_secs_f64()
    );

    let cpu = broker.cpu_ns();
    crowd.publish_shared(&broker, messages);
    let cpu = broker.cpu_ns() - cpu;
    println!(
        "  {messages} messages to all: each got each once, {:.2} µs of server CPU a delivery",
        cpu as f64 / 1000.0 / (messages * connections) as f64
    );
    crowd.publish_own(&broker);
    print_memory("after the messages", broker.memory(), Some((before, connections)));

    crowd.leave(&mut broker);
    let gone = broker.memory();
    print_memory("all gone", gone, None);
    let kept = gone.heap as f64 - before.heap as f64;
    Crowd::enter(&broker, connections, tokens).leave(&mut broker);
    let again = broker.memory();
    print_memory("as many came and left again", again, None);
    let grown = again.heap as f64 - gone.heap as f64;
    println!(
        "  heap kept for the next: {:.1} B a connection, after those {:.1} B more",
        kept / connections as f64,
        grown / connections as f64
    );
    assert!(grown < kept / 10.0 + SLACK_BYTES, "what connections leave behind is used again");
}

/// Waits until what the handshakes needed is given back, or does not shrink any more.
fn settle(broker: &mut Broker, connections: usize) {
    assert_eq!(broker.metric("connections"), connections as u64);
    let mut heap = u64::MAX;
    loop {
        std::thread::sleep(Duration::from_millis(200));
        let now = broker.memory().heap;
        if now >= heap {
            return;
        }
        heap = now;
    }
}

fn print_memory(what: &str, memory: Memory, against: Option<(Memory, usize)>) {
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    print!(
        "  {what:28} heap {:7.2} MiB (peak {:7.2}), resident {:7.2} MiB, anonymous {:7.2} MiB \
         (huge pages {:.0})",
        mib(memory.heap),
        mib(memory.heap_peak),
        mib(memory.resident),
        mib(memory.anonymous),
        mib(memory.huge)
    );
    if let Some((before, connections)) = against {
        let each = |now: u64, before: u64| (now as f64 - before as f64) / connections as f64;
        print!(
            "\n  {:28} a connection: heap {:.1} B, resident {:.1} B, anonymous {:.1} B",
            "",
            each(memory.heap, before.heap),
            each(memory.resident, before.resident),
            each(memory.anonymous, before.anonymous)
        );
    }
    println!();
}

/// Clients that are subscribed, each to a topic of its own and to the shared one.
struct Crowd {
    swarm: Swarm,
    /// Messages of the shared topic that each got.
    got: Vec<usize>,
}

impl Crowd {
    fn enter(broker: &Broker, connections: usize, tokens: bool) -> Self {
        let mut crowd = Self { swarm: Swarm::new(), got: vec![0; connections] };
        // Made before: a token costs the client more than the broker.
        let requests: Vec<Vec<u8>> = (0..connections)
            .map(|n| {
                let path = broker::PATH;
                if tokens {
                    let token = broker::token(&format!("user-{n:05}"));
                    swarm::handshake(&format!("{path}?token={token}"))
                } else {
                    swarm::handshake(path)
                }
            })
            .collect();
        // Subscribed replies of each.
        let mut replies = vec![0; connections];
        let (mut connected, mut done) = (0, 0);
        while done < connections {
            while connected < connections && connected - done < CONNECTING_MAX {
                let from = swarm::address(connected);
                let number = crowd.swarm.connect(from, broker.address, &requests[connected]);
                assert_eq!(number, connected, "nobody has left");
                connected += 1;
            }
            for number in crowd.swarm.wait(Duration::from_secs(10)) {
                let mut open = false;
                crowd.swarm.read(number, |heard| match heard {
                    Heard::Open => open = true,
                    Heard::Text(text) => {
                        assert!(text.contains(r#""type":"subscribed""#), "{text}");
                        replies[number] += 1;
                        done += usize::from(replies[number] == 2);
                    }
                    other => panic!("{other:?}"),
                });
                if open {
                    let topics = format!(r#"["{}","{SHARED}"]"#, own_topic(number));
                    let request = format!(r#"{{"type":"subscribe","topics":{topics}}}"#);
                    crowd.swarm.send(number, &swarm::text(&request));
                }
            }
        }
        crowd
    }

    /// Publishes to the shared topic, half over HTTP and half over a connection of the crowd; each
    /// client must get each message once and in order.
    fn publish_shared(&mut self, broker: &Broker, messages: usize) {
        let mut http = Publisher::connect(broker.address);
        for message in 0..messages {
            if message % 2 == 0 {
                let delivered = http.publish(SHARED, &message.to_string());
                assert_eq!(delivered, self.got.len() as u64);
            } else {
                let request =
                    format!(r#"{{"type":"message","topic":"{SHARED}","data":{message}}}"#);
                self.swarm.send(message % self.got.len(), &swarm::text(&request));
            }
            let mut left = self.got.len();
            while left > 0 {
                let ready = self.swarm.wait(Duration::from_secs(10));
                assert!(!ready.is_empty(), "{left} clients wait in vain");
                for number in ready {
                    let got = &mut self.got[number];
                    self.swarm.read(number, |heard| {
                        let Heard::Text(text) = heard else { panic!("{heard:?}") };
                        let wanted = format!(r#""data":{message},"#);
                        assert!(text.contains(&wanted) && text.contains(SHARED), "{text}");
                        assert_eq!(*got, message, "each message comes once");
                        *got += 1;
                        left -= 1;
                    });
                }
            }
        }
        self.nothing_more();
        self.got.fill(0);
    }

    /// Publishes to some own topics; the owner alone gets it.
    fn publish_own(&mut self, broker: &Broker) {
        let mut http = Publisher::connect(broker.address);
        for n in 0..OWN_SAMPLE.min(self.got.len()) {
            let owner = n * (self.got.len() / OWN_SAMPLE.min(self.got.len()));
            assert_eq!(http.publish(&own_topic(owner), "true"), 1);
            let mut heard_by = Vec::new();
            while heard_by.is_empty() {
                for number in self.swarm.wait(Duration::from_secs(10)) {
                    self.swarm.read(number, |heard| {
                        assert!(matches!(heard, Heard::Text(_)), "{heard:?}");
                        heard_by.push(number);
                    });
                }
            }
            assert_eq!(heard_by, [owner]);
        }
        self.nothing_more();
    }

    /// Nobody has anything more to read.
    fn nothing_more(&mut self) {
        for number in self.swarm.wait(Duration::from_millis(100)) {
            self.swarm.read(number, |heard| panic!("client {number} also heard {heard:?}"));
        }
    }

    /// Everybody leaves: a third with a close frame, a third without a word, a third with a reset.
    fn leave(mut self, broker: &mut Broker) {
        for number in 0..self.got.len() {
            match number % 3 {
                0 => {
                    self.swarm.send(number, &swarm::masked(0x88, &1000_u16.to_be_bytes()));
                    self.swarm.leave(number);
                }
                1 => self.swarm.leave(number),
                _ => self.swarm.reset(number),
            }
        }
        broker.wait_for_connections(0);
        // One more turn of each shard, for what a turn gives back at its end.
        let mut http = Publisher::connect(broker.address);
        assert_eq!(http.publish(SHARED, "0"), 0);
        drop(http);
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn own_topic(number: usize) -> String {
    format!("device.{number:05}")
}
