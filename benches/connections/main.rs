//! What very many idle, subscribed connections cost in heap and resident memory, by the byte.
//!
//! The broker runs in a process of its own, with an allocator that counts the bytes asked for. Each
//! client subscribes to a topic of its own and to one that all share. Some come and go before, so
//! that what is made once and kept is not counted against those who stay. Then both kinds of topic
//! are published to, and every client must get every message once and in order; then all leave, and
//! as many come and leave again: the places that are kept for them must be used again, and the heap
//! must not grow. Once without tokens, once with one each (HS256), once over TLS 1.3: a session is
//! in the heap but for what the C library of its ciphers asks for, which is in `resident` alone. Then
//! as members of a room of Socket.IO with a token each: over WebSockets, and by polling (`polling.rs`).
//!
//! `shardwire bench idle` does this to any server, from outside, and tells what connecting costs;
//! heap asked for, what a warm-up leaves, and that a second crowd uses the places of the
//! first, only this tells.
//!
//! `cargo bench --bench connections -- [--only anonymous|tokens|tls|socketio|polling]
//! [--connections N] [--pollers N] [--shards N] [--messages N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod polling;
#[path = "../rig/mod.rs"]
mod rig;

use std::time::Duration;

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::certificate::Certificate;
use rig::clients::{self, Clients, Heard, PATIENCE};
use rig::memory::{Counting, Memory};
use rig::publisher::Publisher;
use rig::report;
use shardwire::load::swarm::Leave;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// The topic that all share.
pub const SHARED: &str = "shared";
/// Own topics have the numbers of their clients.
const SHARED_STREAM: usize = u32::MAX as usize;
/// Heap that may differ between two quiet moments: what each thread keeps for its next use.
const SLACK_BYTES: f64 = 65536.0;
/// More than an allocator keeps pages that nobody uses.
const GIVEN_BACK_AFTER: Duration = Duration::from_secs(5);
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
    for (name, way, who) in WAYS {
        if arguments.text("only").is_none_or(|only| only == name) {
            let subscriptions = if way == Way::Rooms { "in one room" } else { "two topics each" };
            println!("{connections} connections, {subscriptions}, {shards} shards, {who}");
            measure(connections, shards, messages, way);
            println!();
        }
    }
    if arguments.text("only").is_none_or(|only| only == "polling") {
        polling::measure(arguments.size("pollers", 5000, 100), shards);
    }
}

const WAYS: [(&str, Way, &str); 4] = [
    ("anonymous", Way::Anonymous, "anonymous"),
    ("tokens", Way::Tokens, "a token each (HS256)"),
    ("tls", Way::Tls, "anonymous, over TLS"),
    ("socketio", Way::Rooms, "Socket.IO over WebSockets, a token each (HS256)"),
];

/// How the clients come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Anonymous,
    Tokens,
    Tls,
    Rooms,
}

fn measure(connections: usize, shards: usize, messages: usize, way: Way) {
    let mut broker = match way {
        Way::Anonymous => Broker::start(shards, false, None),
        Way::Tokens | Way::Rooms => Broker::start(shards, true, None),
        Way::Tls => Broker::secured(shards, None, Certificate::new("idle")),
    };
    let fresh = broker.memory();
    let mut warm_up = Crowd::enter(&broker, connections / 8, way);
    warm_up.publish_shared(&broker, 1);
    warm_up.leave(&mut broker);
    let before = broker.memory();

    let mut crowd = Crowd::enter(&broker, connections, way);
    settle(&mut broker, connections);
    let idle = broker.memory();
    print_memory("fresh", fresh, None);
    print_memory("after a warm-up that left", before, None);
    print_memory("all here", idle, Some((before, connections)));
    crowd.publish_shared(&broker, messages);
    if way != Way::Rooms {
        crowd.publish_own(&broker);
    }
    print_memory("after the messages", broker.memory(), Some((before, connections)));

    crowd.leave(&mut broker);
    let gone = broker.memory();
    print_memory("all gone", gone, None);
    std::thread::sleep(GIVEN_BACK_AFTER);
    print_memory("some seconds later", broker.memory(), None);
    let kept = gone.heap as f64 - before.heap as f64;
    Crowd::enter(&broker, connections, way).leave(&mut broker);
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
///
/// # Panics
/// When others are there than so many.
pub fn settle(broker: &mut Broker, connections: usize) {
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

/// Tells what is held, and what that is for each of so many since another reading.
pub fn print_memory(what: &str, memory: Memory, against: Option<(Memory, usize)>) {
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

/// Clients that are subscribed, each to a topic of its own and to the shared one; of rooms, to that
/// alone.
struct Crowd {
    clients: Clients,
    way: Way,
    count: usize,
    /// Messages published to the shared topic.
    published: usize,
}

impl Crowd {
    fn enter(broker: &Broker, count: usize, way: Way) -> Self {
        let is_rooms = way == Way::Rooms;
        let mut clients =
            if is_rooms { Clients::of_rooms(broker) } else { Clients::of_broker(broker) };
        if matches!(way, Way::Tokens | Way::Rooms) {
            // Made before: a token costs the client more than the broker.
            let token = |n| broker::token(&format!("user-{n:05}"));
            clients.show((0..count).map(token).collect());
        }
        if is_rooms {
            clients.enter(count, count, |_| clients::packet(&clients::join(SHARED)));
        } else {
            clients.enter(count, 2 * count, |n| clients::subscribe(&[&own_topic(n), SHARED]));
        }
        Self { clients, way, count, published: 0 }
    }

    /// Publishes to the shared topic, half over HTTP and half over a connection of the crowd; each
    /// client must get each message once.
    fn publish_shared(&mut self, broker: &Broker, messages: usize) {
        let mut http = Publisher::to(broker);
        for message in 0..messages {
            let data = clients::stamped(SHARED_STREAM, self.published, 0);
            if message % 2 == 0 {
                assert_eq!(http.publish(SHARED, &data), self.count as u64);
            } else {
                let frame = match self.way {
                    Way::Rooms => {
                        let text = clients::message(SHARED, SHARED_STREAM, self.published);
                        clients::packet(&text)
                    }
                    _ => clients::publish(SHARED, &data),
                };
                self.clients.say(message % self.count, &frame);
            }
            let mut by = self.hear(SHARED_STREAM, self.published, self.count);
            by.sort_unstable();
            assert!(by.into_iter().eq(0..self.count), "each message comes once");
            self.published += 1;
        }
        self.nothing_more();
    }

    /// Publishes to some own topics; the owner alone gets it.
    fn publish_own(&mut self, broker: &Broker) {
        let mut http = Publisher::to(broker);
        let sample = OWN_SAMPLE.min(self.count);
        for owner in (0..self.count).step_by(self.count / sample).take(sample) {
            let data = clients::stamped(owner, 0, 0);
            assert_eq!(http.publish(&own_topic(owner), &data), 1);
            assert_eq!(self.hear(owner, 0, 1), [owner]);
        }
        self.nothing_more();
    }

    /// Waits until a message was heard so many times, and nothing else; by whom.
    fn hear(&mut self, stream: usize, number: usize, times: usize) -> Vec<usize> {
        let mut by = Vec::with_capacity(times);
        while by.len() < times {
            let all_heard = self.clients.wait(PATIENCE);
            assert!(!all_heard.is_empty(), "{} clients wait in vain", times - by.len());
            for (client, heard) in all_heard {
                let Heard::Messages(stamp, 1) = heard else { panic!("{heard:?}") };
                assert_eq!((stamp.stream as usize, stamp.number as usize), (stream, number));
                by.push(client);
            }
        }
        by
    }

    /// Nobody has anything more to read.
    fn nothing_more(&mut self) {
        assert_eq!(self.clients.wait(Duration::from_millis(100)), []);
    }

    /// Everybody leaves: a third with a close frame, a third without a word, a third with a reset.
    fn leave(mut self, broker: &mut Broker) {
        for number in 0..self.count {
            let how = [Leave::Close, Leave::Silent, Leave::Reset][number % 3];
            self.clients.leave(number, how);
        }
        broker.wait_for_connections(0);
        // One more turn of each shard, for what a turn gives back at its end.
        let mut http = Publisher::to(broker);
        assert_eq!(http.publish(SHARED, "0"), 0);
        drop(http);
        std::thread::sleep(Duration::from_millis(300));
    }
}

fn own_topic(number: usize) -> String {
    format!("device.{number:05}")
}
