//! What an idle subscribed connection costs a shard in heap bytes, counted at the allocator, and
//! that a shard gives back what those who left had.
//!
//! A real [`Shard`] and real frames, no sockets: what the kernel keeps is not in the figure.

#[path = "../counting/mod.rs"]
#[allow(unsafe_code)] // A counting allocator cannot be written without.
mod counting;
mod engines;
#[path = "../guarded/mod.rs"]
mod guarded;

use std::net::IpAddr;
use std::sync::Arc;

use counting::held;
use guarded::{GUARDED, OPEN};
use serde_json::json;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};

/// Connections of the figure.
const CONNECTIONS: usize = 15_000;
/// Heap bytes of an idle connection with two subscriptions, half of them with an identity.
const BYTES_MAX: usize = 300;
const NOW: Now = Now { mono_ms: 1000, wall: Timestamp(1_769_860_800_000) };

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// Takes everything.
struct Sink;

impl Port for Sink {
    fn send(&mut self, _: u32, bytes: &[u8]) -> Sent {
        Sent::Bytes(bytes.len())
    }
    fn shut(&mut self, _: u32) {}
    fn close(&mut self, _: u32, _: IpAddr) {}
}

/// The parts of a shard's heap.
type HeapBytes = [(&'static str, usize); 7];

/// A shard without connections.
fn shard() -> Shard {
    shard_with(guarded::policy())
}

fn shard_with(policy: Policy) -> Shard {
    let metrics = ShardMetrics::new();
    let parts = Parts {
        id: 0,
        mailboxes: Arc::from([Mailbox::new(Box::new(Awake))]),
        interest: Interest::new(),
        policy: Arc::new(policy),
        metrics: Arc::clone(&metrics),
        seed: 1,
        node: 1,
        all_metrics: Arc::from([metrics]),
        secrets: Box::new(NotSecret(1)),
    };
    Shard::new(parts, NOW)
}

fn open(shard: &mut Shard, endpoint: u8) -> ConnKey {
    let address = IpAddr::from([127, 0, 0, 1]);
    shard.open(NOW, Arrival::new(endpoint, address))
}

/// A client says something in a frame of its own, masked with zeros.
fn say(shard: &mut Shard, key: ConnKey, text: &str) {
    let mut frame = vec![0x81];
    match text.len() {
        len @ 0..126 => frame.push(0x80 | len as u8),
        len => {
            frame.push(0x80 + 126);
            frame.extend((len as u16).to_be_bytes());
        }
    }
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    assert_eq!(shard.read(NOW, key, &mut frame, &mut Sink), frame.len());
}

fn authenticate(shard: &mut Shard, key: ConnKey, user: &str) {
    // No `exp`: the default settings do not ask for it.
    let token = guarded::token(&json!({"sub": user}));
    say(shard, key, &format!(r#"{{"type":"auth","token":"{token}"}}"#));
}

fn subscribe(shard: &mut Shard, key: ConnKey, topic: &str) {
    say(shard, key, &format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#));
}

/// Opens the connections of the figure, each with a topic of its own and one that all share.
fn fill(shard: &mut Shard) -> Vec<ConnKey> {
    let mut keys = Vec::with_capacity(CONNECTIONS);
    for number in 10_000..10_000 + CONNECTIONS {
        let guarded = number % 2 == 0;
        let key = open(shard, if guarded { GUARDED } else { OPEN });
        if guarded {
            authenticate(shard, key, &number.to_string());
        }
        subscribe(shard, key, &format!("user.{number}.inbox"));
        subscribe(shard, key, "announcements");
        shard.flush(NOW, &mut Sink);
        keys.push(key);
    }
    keys
}

fn leave(shard: &mut Shard, keys: &[ConnKey]) {
    for key in keys {
        shard.gone(*key);
    }
    while shard.is_ending() {
        shard.flush(NOW, &mut Sink);
    }
    shard.check_empty(NOW);
}

/// A shard that has worked once: what its first connection makes for all is there.
fn warm() -> Shard {
    let mut shard = shard();
    let key = open(&mut shard, GUARDED);
    authenticate(&mut shard, key, "7");
    subscribe(&mut shard, key, "user.7.inbox");
    say(&mut shard, key, r#"{"type":"message","topic":"a","data":1}"#);
    shard.flush(NOW, &mut Sink);
    leave(&mut shard, &[key]);
    shard
}

#[test]
fn bytes_of_an_idle_connection() {
    let mut shard = warm();
    let (before, parts_before) = (held(), shard.heap_bytes());
    let keys = fill(&mut shard);
    let keys_bytes = (keys.capacity() * size_of::<ConnKey>()).cast_signed();
    let each = usize::try_from(held() - before - keys_bytes).unwrap() / CONNECTIONS;
    println!("{each} bytes a connection, of which");
    tell_parts(&shard, parts_before, each);
    assert_eq!(shard.connections(), CONNECTIONS);
    shard.check(NOW);
    assert!(each <= BYTES_MAX, "{each} bytes a connection");
    leave(&mut shard, &keys);
    drop(keys);
    let kept = usize::try_from(held() - before).unwrap() / CONNECTIONS;
    println!("{kept} bytes a connection of the peak stay with an empty shard");
    // Slots, their free list, the wheel's links: bounded by the most that ever were at a time.
    assert!(kept <= KEPT_MAX, "{kept} bytes a connection of the peak stay");
    // They serve the next ones: a second crowd costs no more than the first.
    let keys = fill(&mut shard);
    leave(&mut shard, &keys);
    drop(keys);
    let again = usize::try_from(held() - before).unwrap() / CONNECTIONS;
    assert!(again <= kept + 1, "{again} bytes stay after the second time, {kept} after the first");
}

/// Tells what each connection's bytes are, and that the shard knows of them all.
fn tell_parts(shard: &Shard, before: HeapBytes, each: usize) {
    let mut told = 0;
    for ((part, after), (_, before)) in shard.heap_bytes().into_iter().zip(before) {
        println!("  {part}: {}", (after - before) / CONNECTIONS);
        told += after - before;
    }
    assert!(each.abs_diff(told / CONNECTIONS) <= 4, "the parts come to {}", told / CONNECTIONS);
}

/// Bytes that stay with a shard for each connection of its peak.
const KEPT_MAX: usize = 130;

#[test]
fn coming_and_going_leaves_nothing() {
    const ROUNDS: usize = 200_000;
    const AT_ONCE: usize = 200;
    let mut shard = warm();
    let mut random = 1_u64;
    let mut round = |shard: &mut Shard, rounds: usize| {
        for _ in 0..rounds / AT_ONCE {
            let keys: Vec<ConnKey> = (0..AT_ONCE).map(|_| open(shard, 0)).collect();
            for key in &keys {
                random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
                let name = random >> 24;
                subscribe(shard, *key, &format!("random.{name:x}"));
                subscribe(shard, *key, &format!("random.*.{name:x}"));
                say(shard, *key, &format!(r#"{{"type":"message","topic":"p.{name:x}","data":1}}"#));
            }
            shard.flush(NOW, &mut Sink);
            leave_quietly(shard, &keys);
        }
    };
    round(&mut shard, ROUNDS / 100);
    let before = held();
    round(&mut shard, ROUNDS);
    shard.check_empty(NOW);
    let grown = held() - before;
    println!("{grown} bytes more after {ROUNDS} connections came and went");
    assert!(grown <= 16 << 10, "{grown} bytes more than after the first hundredth");
}

fn leave_quietly(shard: &mut Shard, keys: &[ConnKey]) {
    for key in keys {
        shard.gone(*key);
    }
    while shard.is_ending() {
        shard.flush(NOW, &mut Sink);
    }
}

/// One turn of a hundred thousand frames, most of them kept back for a client that does not read.
#[test]
fn a_flood_is_forgotten() {
    struct Full;
    impl Port for Full {
        fn send(&mut self, _: u32, _: &[u8]) -> Sent {
            Sent::Bytes(0)
        }
        fn shut(&mut self, _: u32) {}
        fn close(&mut self, _: u32, _: IpAddr) {}
    }
    let mut shard = warm();
    let before = held();
    let keys: Vec<ConnKey> = (0..4).map(|_| open(&mut shard, 0)).collect();
    for key in &keys {
        subscribe(&mut shard, *key, "flood");
    }
    for _ in 0..100_000 {
        say(&mut shard, keys[0], r#"{"type":"message","topic":"flood","data":1}"#);
    }
    shard.flush(NOW, &mut Full);
    shard.check(NOW);
    leave(&mut shard, &keys);
    drop(keys);
    let grown = held() - before;
    println!("{grown} bytes more after a flood");
    assert!(grown <= 512 << 10, "{grown} bytes more after a flood");
}
