//! What waits, what the policies drop of it, and what the kernel gets.

use super::*;

struct Kernel {
    room: usize,
    got: Vec<u8>,
}

impl Port for Kernel {
    fn send(&mut self, _: u32, bytes: &[u8]) -> Sent {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.got.extend_from_slice(&bytes[..taken]);
        Sent::Bytes(taken)
    }
    fn shut(&mut self, _: u32) {}
    fn close(&mut self, _: u32, _: std::net::IpAddr) {}
}

const REPLY: Droppable = Droppable::NEVER;

/// Pushes frames of ten equal letters: capitals are replies, others messages of a topic named
/// by the letter; then sends all and says which letters came.
fn outcome(policy: SlowConsumerPolicy, first_sent: usize, letters: &str) -> (String, u64, bool) {
    let mut backlog = Backlog::default();
    let bound = OutboxBound { bytes_max: 40, policy };
    let (mut dropped, mut overflow, mut sent) = (0, false, first_sent);
    for letter in letters.bytes() {
        let droppable =
            if letter.is_ascii_uppercase() { REPLY } else { Droppable::message(u64::from(letter)) };
        match backlog.push(Rc::from([letter; 10]), sent, droppable, bound) {
            Ok(count) => dropped += count,
            Err(Overflow { dropped: count }) => {
                dropped += count;
                overflow = true;
            }
        }
        sent = 0;
        assert!(backlog.bytes() <= 40);
    }
    let mut kernel = Kernel { room: usize::MAX, got: Vec::new() };
    assert_eq!(backlog.send(0, &mut kernel, &mut Vec::new(), &Counter::default()), Flushed::All);
    assert_eq!(backlog.bytes(), 0);
    let mut text = String::from_utf8(kernel.got).unwrap();
    text.dedup_letters();
    (text, dropped, overflow)
}

trait Dedup {
    fn dedup_letters(&mut self);
}

impl Dedup for String {
    fn dedup_letters(&mut self) {
        let mut bytes = std::mem::take(self).into_bytes();
        bytes.dedup();
        *self = String::from_utf8(bytes).unwrap();
    }
}

#[test]
fn each_policy_at_the_bound() {
    use SlowConsumerPolicy::{Conflate, Disconnect, DropNewest, DropOldest};
    for (policy, sent, pushed, came, dropped, overflow) in [
        (Disconnect, 0, "abcd", "abcd", 0, false),
        (Disconnect, 0, "abcde", "abcd", 0, true),
        (DropOldest, 0, "abcdef", "cdef", 2, false),
        (DropOldest, 3, "abcdef", "adef", 2, false),
        (DropOldest, 0, "AbCdEf", "ACEf", 2, false),
        (DropOldest, 0, "ABCDe", "ABCD", 1, false),
        (DropOldest, 0, "ABCDE", "ABCD", 0, true),
        (DropNewest, 0, "abcdef", "abcd", 2, false),
        (DropNewest, 0, "abcdE", "abcE", 1, false),
        (DropNewest, 0, "ABCDE", "ABCD", 0, true),
        (Conflate, 0, "abaca", "abca", 1, false),
        (Conflate, 0, "ababc", "abc", 2, false),
        (Conflate, 5, "abaca", "abca", 1, false),
        (Conflate, 0, "abcde", "bcde", 1, false),
    ] {
        let got = outcome(policy, sent, pushed);
        assert_eq!(got, (came.into(), dropped, overflow), "{policy:?} {pushed}");
    }
}

#[test]
fn short_sends_go_on_where_they_stopped() {
    let mut backlog = Backlog::default();
    let bound = OutboxBound { bytes_max: 1000, policy: SlowConsumerPolicy::Disconnect };
    for letter in b"abc" {
        backlog.push(Rc::from([*letter; 10]), 0, REPLY, bound).unwrap();
    }
    let mut kernel = Kernel { room: 0, got: Vec::new() };
    while backlog.bytes() > 0 {
        kernel.room = 7;
        backlog.send(0, &mut kernel, &mut Vec::new(), &Counter::default());
    }
    assert_eq!(kernel.got, [[b'a'; 10], [b'b'; 10], [b'c'; 10]].concat());
    assert!(backlog.is_empty());
}

#[test]
fn cutting_keeps_a_frame_that_has_begun() {
    let bound = OutboxBound { bytes_max: 1000, policy: SlowConsumerPolicy::Disconnect };
    for (sent, lost, rest) in [(0, 2, 0), (4, 1, 6)] {
        let mut backlog = Backlog::default();
        backlog.push(Rc::from([1; 10]), sent, Droppable::message(1), bound).unwrap();
        backlog.push(Rc::from([2; 10]), 0, Droppable::message(2), bound).unwrap();
        backlog.push(Rc::from([3; 10]), 0, REPLY, bound).unwrap();
        assert_eq!(backlog.cut(), lost);
        assert_eq!(backlog.bytes(), rest);
    }
}
