//! Units of several frames: whatever the policy, each arrives whole or not at all.

use super::*;
use crate::config::SlowConsumerPolicy::{self, Conflate, Disconnect, DropNewest, DropOldest};
use crate::metrics::Counter;
use crate::wire::frame::{OpCode, put_frame};

const LANE: u8 = 5;
/// A text of one letter and two binary frames of its.
const UNIT_BYTES: usize = 3 + 4 + 5;

/// Takes so many bytes.
pub(super) struct Kernel {
    pub(super) room: usize,
    pub(super) got: Vec<u8>,
}

impl Port for Kernel {
    fn send(&mut self, _: u32, bytes: &[u8]) -> Sent {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.got.extend_from_slice(&bytes[..taken]);
        Sent::Bytes(taken)
    }
    fn shut(&mut self, _: u32) {}
    fn close(&mut self, _: u32, _: IpAddr) {}
}

fn unit(letter: u8) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, OpCode::Text, false, &[letter]);
    put_frame(&mut out, OpCode::Binary, false, &[letter; 2]);
    put_frame(&mut out, OpCode::Binary, false, &[letter; 3]);
    assert_eq!(out.len(), UNIT_BYTES);
    out
}

/// Queues a unit for each letter in one turn, of which the kernel takes so many bytes; capitals are
/// replies, others messages of a topic named by the letter. Four have room. Says which came in the
/// end, how many were dropped and whether it was too much.
fn outcome(policy: SlowConsumerPolicy, room: usize, letters: &str) -> (String, u64, bool) {
    let mut outbox = Outbox::new(8);
    let mut pending = Pending::NOTHING;
    for (at, letter) in letters.bytes().enumerate() {
        let topic = Droppable::message(u64::from(letter));
        let droppable = if letter.is_ascii_uppercase() { Droppable::NEVER } else { topic };
        let range = outbox.write(LANE, droppable, |out| out.extend(unit(letter)));
        outbox.queue(0, &mut pending, range);
        if at % 2 == 0 {
            // One for somebody else: the ranges are apart.
            outbox.write(LANE, Droppable::NEVER, |out| out.extend(unit(b'-')));
        }
    }
    let mut kernel = Kernel { room, got: Vec::new() };
    let unsent = outbox.flush(0, LANE, pending, &mut kernel);
    assert_eq!((unsent.outcome, unsent.sent_bytes()), (Flushed::Kept, room));
    let mut backlog = Backlog::default();
    let bound = OutboxBound { bytes_max: 4 * UNIT_BYTES, policy };
    let kept = outbox.keep(LANE, &unsent, &mut backlog, bound);
    backlog.check(bound, false);
    end_turn(&mut outbox);
    kernel.room = usize::MAX;
    let sent = backlog.send(0, &mut kernel, &mut Vec::new(), &Counter::default());
    assert_eq!((sent, backlog.bytes(), backlog.reply_bytes()), (Flushed::All, 0, 0));
    let came: String = kernel.got.chunks(UNIT_BYTES).map(|it| char::from(it[2])).collect();
    assert_eq!(kernel.got, came.bytes().flat_map(unit).collect::<Vec<_>>(), "in pieces");
    (came, kept.dropped, kept.overflow)
}

#[test]
fn each_policy_drops_units_as_one() {
    for (policy, room, queued, came, dropped, overflow) in [
        (Disconnect, 0, "abcd", "abcd", 0, false),
        (Disconnect, 3, "abcde", "abcd", 0, true),
        (DropOldest, 0, "abcdef", "cdef", 2, false),
        // The text of the first is gone, and just that: its binary frames must follow.
        (DropOldest, 3, "abcdef", "adef", 2, false),
        (DropOldest, 7, "abcdef", "adef", 2, false),
        (DropOldest, UNIT_BYTES, "abcdefg", "adefg", 2, false),
        (DropOldest, UNIT_BYTES + 3, "abcdefg", "abefg", 2, false),
        (DropOldest, 0, "AbCdEf", "ACEf", 2, false),
        (DropOldest, 0, "ABCDE", "ABCD", 0, true),
        (DropNewest, 0, "abcdef", "abcd", 2, false),
        (DropNewest, 7, "abcdEf", "abcE", 2, false),
        (Conflate, 0, "abaca", "abca", 1, false),
        (Conflate, 3, "abaca", "abca", 1, false),
        (Conflate, 0, "ababc", "abc", 2, false),
        (Conflate, 0, "abcde", "bcde", 1, false),
    ] {
        let got = outcome(policy, room, queued);
        assert_eq!(got, (came.into(), dropped, overflow), "{policy:?} {room} {queued}");
    }
}

#[test]
fn who_is_cut_hears_the_rest_of_a_unit_that_has_begun() {
    for (room, lost, came) in [(0, 3, 0), (3, 2, 1), (UNIT_BYTES, 2, 1), (UNIT_BYTES + 7, 1, 2)] {
        let mut outbox = Outbox::new(8);
        let mut pending = Pending::NOTHING;
        for letter in *b"abc" {
            let droppable = Droppable::message(u64::from(letter));
            let range = outbox.write(LANE, droppable, |out| out.extend(unit(letter)));
            outbox.queue(0, &mut pending, range);
        }
        let mut kernel = Kernel { room, got: Vec::new() };
        let unsent = outbox.flush(0, LANE, pending, &mut kernel);
        let mut backlog = Backlog::default();
        let bound = OutboxBound { bytes_max: 1000, policy: Disconnect };
        outbox.keep(LANE, &unsent, &mut backlog, bound);
        assert_eq!(backlog.cut(), lost);
        backlog.push_last(Rc::from(*b"close"));
        backlog.check(bound, true);
        kernel.room = usize::MAX;
        backlog.send(0, &mut kernel, &mut Vec::new(), &Counter::default());
        let mut meant: Vec<u8> = b"abc"[..came].iter().copied().flat_map(unit).collect();
        meant.extend(b"close");
        assert_eq!(kernel.got, meant, "{room}");
    }
}
