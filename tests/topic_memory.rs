//! What the topic index costs in heap bytes, counted at the allocator, and that it gives it back.

#[allow(unsafe_code)] // A counting allocator cannot be written without.
mod counting;

use counting::held;
use shardwire::shard::topics::Topics;
use shardwire::topic::{Pattern, Topic, TopicBounds};

/// Heap bytes of this thread since `start`.
fn held_since(start: isize) -> usize {
    usize::try_from(held() - start).unwrap()
}

fn subscribe(topics: &mut Topics, conn: u32, text: &str) {
    topics.subscribe(conn, Pattern::parse(text, TopicBounds::default()).unwrap());
}

/// Where counting begins: what is made once a process, by whichever test is first, is made by now.
fn start() -> isize {
    let mut topics = Topics::default();
    subscribe(&mut topics, 0, "warm.*");
    drop(topics);
    held()
}

/// An idle connection: a topic of its own and one that all share.
#[test]
fn bytes_of_a_connection() {
    const BYTES_MAX: usize = 110;
    for connections in [1_000, 10_000, 15_000, 100_000, 115_000] {
        let start = start();
        let mut topics = Topics::default();
        for conn in 0..connections {
            subscribe(&mut topics, conn, &format!("user.{conn}.inbox"));
            subscribe(&mut topics, conn, "announcements");
        }
        let bytes = held_since(start);
        assert_eq!(bytes, topics.heap_bytes());
        let each = bytes / connections as usize;
        assert!(each <= BYTES_MAX, "{each} bytes a connection");
        topics.check();
        for conn in 0..connections {
            topics.remove_connection(conn, |_| {});
        }
        assert_eq!((held_since(start), topics.heap_bytes()), (0, 0));
        // The last of all: a test's output is kept on the heap of its thread.
        println!("{connections} connections: {each} bytes each");
    }
}

/// The same with a pattern of its own instead of a topic.
#[test]
fn bytes_of_a_pattern() {
    let start = start();
    let mut topics = Topics::default();
    for conn in 0..15_000 {
        subscribe(&mut topics, conn, &format!("user.{conn}.*"));
    }
    let each = held_since(start) / 15_000;
    assert_eq!(held_since(start), topics.heap_bytes());
    assert!(each <= 250, "{each} bytes a pattern");
    for conn in 0..15_000 {
        topics.remove_connection(conn, |_| {});
    }
    assert_eq!((held_since(start), topics.heap_bytes()), (0, 0));
    println!("{each} bytes each");
}

/// A million names come and go beside a few that stay: the heap is where it was.
#[test]
fn a_million_names_leave_nothing() {
    const STAY: u32 = 500;
    let mut topics = Topics::default();
    let start = start();
    for conn in 0..STAY {
        subscribe(&mut topics, conn, &format!("stays.{conn}"));
        subscribe(&mut topics, conn, &format!("stays.*.{conn}.**"));
    }
    let publish = |topics: &mut Topics| {
        for name in 0..10_000 {
            let name = format!("published.{name}");
            let topic = Topic::parse(&name, TopicBounds::default()).unwrap();
            assert_eq!(topics.matching(topic, topic.hash()).len(), 0);
        }
    };
    publish(&mut topics);
    let before = held_since(start);
    let mut seed = 1_u64;
    for _ in 0..25 {
        for leaves in 0..20_000 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99_991);
            let conn = STAY + leaves / 10;
            let name = seed >> 20;
            subscribe(&mut topics, conn, &format!("random.{name:x}"));
            subscribe(&mut topics, conn, &format!("random.*.{name:x}.**"));
        }
        for conn in STAY..STAY + 2_000 {
            topics.remove_connection(conn, |removed| assert!(removed.last));
        }
    }
    publish(&mut topics);
    topics.check();
    assert_eq!(held_since(start), topics.heap_bytes());
    let after = held_since(start);
    println!("{before} bytes before, {after} after");
    // Which slot a name falls to is not the same each run; nor is the table's slack after a peak.
    assert!(after <= before + before / 10, "{before} bytes before, {after} after");
}
