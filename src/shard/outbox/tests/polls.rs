//! What polls fetch, what becomes of the rest, and how it goes on over a WebSocket.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use super::policies::Kernel;
use super::*;
use crate::config::SlowConsumerPolicy::{self, Conflate, Disconnect, DropNewest, DropOldest};
use crate::metrics::Counter;
use crate::wire::frame::{OpCode, put_frame};

const POLLING: u8 = 32;
const WEBSOCKET: u8 = 24;
const SEPARATOR: u8 = 0x1e;

/// What a client is to hear as one: a text, and binary parts of so many bytes behind it.
#[derive(Clone, Debug)]
struct Unit {
    number: usize,
    topic: Option<u64>,
    parts: Vec<usize>,
}

impl Unit {
    fn droppable(&self) -> Droppable {
        self.topic.map_or(Droppable::NEVER, Droppable::message)
    }

    fn records(&self) -> Vec<u8> {
        let mut out = format!("4{:06}\u{1e}", self.number).into_bytes();
        for &bytes in &self.parts {
            out.push(b'b');
            out.resize(out.len() + bytes, b'x');
            out.push(SEPARATOR);
        }
        out
    }

    fn frames(&self) -> Vec<u8> {
        let mut out = Vec::new();
        reframe(&self.records(), &mut out);
        out
    }
}

/// Each record becomes a frame.
fn reframe(records: &[u8], out: &mut Vec<u8>) {
    let records = records.strip_suffix(&[SEPARATOR]).expect("a separator is behind each record");
    for record in records.split(|byte| *byte == SEPARATOR) {
        match record.strip_prefix(b"b") {
            Some(data) => put_frame(out, OpCode::Binary, false, data),
            None => put_frame(out, OpCode::Text, false, record),
        }
    }
}

/// A client's session: polling, until it is switched.
struct Session {
    outbox: Outbox,
    pending: Pending,
    backlog: Option<Backlog>,
    bound: OutboxBound,
    is_polling: bool,
    /// All that was queued for it.
    units: Vec<Unit>,
    /// Messages that were dropped of these.
    dropped: u64,
    overflow: bool,
    polled: Vec<u8>,
    kernel: Kernel,
}

impl Session {
    fn new(policy: SlowConsumerPolicy, bytes_max: usize) -> Self {
        Self {
            outbox: Outbox::new(33),
            pending: Pending::NOTHING,
            backlog: None,
            bound: OutboxBound { bytes_max, policy },
            is_polling: true,
            units: Vec::new(),
            dropped: 0,
            overflow: false,
            polled: Vec::new(),
            kernel: Kernel { room: 0, got: Vec::new() },
        }
    }

    fn lane(&self) -> u8 {
        if self.is_polling { POLLING } else { WEBSOCKET }
    }

    /// Writes a unit, for the client or for somebody else.
    fn write(&mut self, topic: Option<u64>, parts: &[usize], is_its: bool) {
        let unit = Unit { number: self.units.len(), topic, parts: parts.to_vec() };
        let bytes = if self.is_polling { unit.records() } else { unit.frames() };
        let range = self.outbox.write(self.lane(), unit.droppable(), |out| out.extend(bytes));
        if is_its {
            self.outbox.queue(0, &mut self.pending, range);
            self.units.push(unit);
        }
    }

    fn keep(&mut self, unsent: &Unsent) {
        let lane = self.lane();
        let backlog = self.backlog.get_or_insert_default();
        let kept = self.outbox.keep(lane, unsent, backlog, self.bound);
        self.dropped += kept.dropped + kept.lost;
        if kept.overflow {
            self.overflow = true;
            self.dropped += backlog.cut();
        }
        if backlog.is_empty() {
            assert!(self.overflow);
            self.backlog = None;
        }
    }

    fn end_turn(&mut self) {
        end_turn(&mut self.outbox);
        if let Some(backlog) = &self.backlog {
            backlog.check(self.bound, false);
        }
    }

    /// A turn without a poll: all waits.
    fn wait(&mut self) {
        let chain = std::mem::replace(&mut self.pending, Pending::NOTHING);
        if !chain.is_empty() {
            self.keep(&Unsent::whole(chain));
        }
        self.end_turn();
    }

    /// A turn with a poll, or none if there is nothing for it; the bytes of its body.
    fn poll(&mut self, bytes_max: usize) -> usize {
        let chain = std::mem::replace(&mut self.pending, Pending::NOTHING);
        let waited = self.backlog.as_ref().map_or(0, Backlog::bytes);
        let (body, unsent) = self.outbox.take(POLLING, chain, self.backlog.as_mut(), bytes_max);
        let waits = self.backlog.as_ref().map_or(0, Backlog::bytes);
        assert_eq!(waited - waits + unsent.sent_bytes(), body.len());
        assert_eq!(body.capacity(), body.len(), "what it needs is known before");
        let units = body.split(|byte| *byte == SEPARATOR).filter(|it| it.starts_with(b"4")).count();
        assert!(body.len() <= bytes_max || units == 1, "{units} units in {} bytes", body.len());
        self.polled.extend(&body);
        let dropped = self.dropped;
        match unsent.outcome {
            Flushed::All => {
                assert_eq!(waits, 0);
                self.backlog = None;
            }
            Flushed::Kept => self.keep(&unsent),
            Flushed::Gone => unreachable!("no port has a say"),
        }
        if let Some(backlog) = &self.backlog
            && self.dropped == dropped
        {
            assert!(body.len() + backlog.fitting(0) > bytes_max, "the next had room");
        }
        self.end_turn();
        body.len()
    }

    /// It goes on over a WebSocket.
    fn switch(&mut self) {
        self.wait();
        self.is_polling = false;
        if let Some(backlog) = &mut self.backlog {
            backlog.reframe(reframe);
            backlog.check(self.bound, false);
        }
    }

    /// A turn over a WebSocket with room for so many bytes.
    fn flush(&mut self, room: usize) {
        self.kernel.room = room;
        if let Some(backlog) = &mut self.backlog {
            let sends = Counter::default();
            if backlog.send(0, &mut self.kernel, &mut Vec::new(), &sends) == Flushed::All {
                assert_eq!((backlog.bytes(), backlog.reply_bytes()), (0, 0));
                self.backlog = None;
            }
        }
        let chain = std::mem::replace(&mut self.pending, Pending::NOTHING);
        if !chain.is_empty() {
            let unsent = match self.backlog {
                Some(_) => Unsent::whole(chain),
                None => self.outbox.flush(0, WEBSOCKET, chain, &mut self.kernel),
            };
            if unsent.outcome == Flushed::Kept {
                self.keep(&unsent);
            }
        }
        self.end_turn();
    }

    fn turn(&mut self, room: Option<usize>) {
        match room {
            _ if !self.is_polling => self.flush(room.unwrap_or(0)),
            Some(bytes_max) => {
                self.poll(bytes_max);
            }
            None => self.wait(),
        }
    }

    /// Gets all that is left to the client; makes sure that it got what was queued, in order and
    /// each unit as one, but for what was said to be dropped.
    fn finish(mut self) {
        while self.backlog.is_some() || !self.pending.is_empty() {
            self.turn(Some(usize::MAX));
        }
        let (mut polled, mut sent) = (&*self.polled, &*self.kernel.got);
        let (mut messages, mut replies) = (0, 0);
        for unit in &self.units {
            let (records, frames) = (unit.records(), unit.frames());
            if let Some(rest) = polled.strip_prefix(&*records) {
                polled = rest;
            } else if let Some(rest) = sent.strip_prefix(&*frames)
                && polled.is_empty()
            {
                sent = rest;
            } else if unit.topic.is_some() {
                messages += 1;
            } else {
                replies += 1;
            }
        }
        assert!(polled.is_empty() && sent.is_empty(), "something came that was not queued then");
        assert_eq!(messages, self.dropped);
        assert!(replies == 0 || self.overflow, "{replies} replies were dropped");
        assert!(messages == 0 || self.overflow || self.bound.policy != Disconnect);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Write { topic: Option<u64>, parts: Vec<usize>, is_its: bool },
    Turn(Option<usize>),
    Switch,
}

fn step() -> impl Strategy<Value = Step> {
    let topic = prop_oneof![1 => Just(None), 4 => (0..3_u64).prop_map(Some)];
    let parts = vec(0..40_usize, 0..4);
    prop_oneof![
        12 => (topic, parts, any::<bool>())
            .prop_map(|(topic, parts, is_its)| Step::Write { topic, parts, is_its }),
        6 => option::of(0..300_usize).prop_map(Step::Turn),
        1 => Just(Step::Switch),
    ]
}

proptest! {
    #[test]
    fn all_arrives_in_order_but_what_was_dropped(
        policy in select(vec![Disconnect, DropOldest, DropNewest, Conflate]),
        bytes_max in 100..600_usize,
        steps in vec(step(), 1..80),
    ) {
        let mut session = Session::new(policy, bytes_max);
        for step in steps {
            match step {
                Step::Write { topic, parts, is_its } => session.write(topic, &parts, is_its),
                Step::Turn(room) => session.turn(room),
                Step::Switch if session.is_polling => session.switch(),
                Step::Switch => {}
            }
            if session.overflow {
                break;
            }
        }
        session.finish();
    }
}

/// Bytes of the records of a unit that is but a text.
const TEXT_BYTES: usize = 8;

#[test]
fn a_poll_takes_what_waited_and_then_what_is_queued() {
    let mut session = Session::new(Disconnect, 1000);
    for _ in 0..3 {
        session.write(Some(1), &[], true);
    }
    session.wait();
    for _ in 0..4 {
        session.write(None, &[], true);
        session.write(None, &[], false);
    }
    // Of those that waited two have room.
    assert_eq!(session.poll(3 * TEXT_BYTES - 1), 2 * TEXT_BYTES);
    let backlog = session.backlog.as_ref().unwrap();
    assert_eq!(backlog.bytes(), 5 * TEXT_BYTES);
    assert_eq!(backlog.reply_bytes(), 4 * TEXT_BYTES);
    session.write(None, &[1, 1], true);
    session.write(None, &[], true);
    // All that waited, and what is behind it as far as its units have room.
    assert_eq!(session.poll(6 * TEXT_BYTES + 5), 5 * TEXT_BYTES);
    assert_eq!(session.poll(6 * TEXT_BYTES), 2 * TEXT_BYTES + 6);
    assert!(session.backlog.is_none());
    session.finish();
}

#[test]
fn a_poll_takes_one_unit_at_least_and_it_whole() {
    let mut session = Session::new(Disconnect, 10_000);
    for _ in 0..2 {
        session.write(Some(1), &[100, 200], true);
    }
    let unit_bytes = TEXT_BYTES + 102 + 202;
    assert_eq!(session.poll(10), unit_bytes, "of what is queued");
    assert_eq!(session.poll(10), unit_bytes, "of what waited");
    assert_eq!(session.poll(10), 0);
    session.finish();
}

#[test]
fn a_backlog_is_fetched_in_pieces() {
    let mut backlog = Backlog::default();
    assert!(backlog.take(100).is_empty());
    let bound = OutboxBound { bytes_max: 1000, policy: Disconnect };
    let message = Droppable::message(2);
    for (unit, droppable) in [
        ("one", Droppable::NEVER),
        ("two", message),
        ("three", Droppable::NEVER),
        ("four", message),
    ] {
        backlog.push(Rc::from(unit.as_bytes()), 0, droppable, bound).unwrap();
    }
    for (bytes_max, body, bytes, replies) in
        [(0, "one", 12, 5), (7, "two", 9, 5), (9, "threefour", 0, 0)]
    {
        assert_eq!(backlog.take(bytes_max), body.as_bytes());
        assert_eq!((backlog.bytes(), backlog.reply_bytes()), (bytes, replies));
    }
    assert!(backlog.is_empty());
}

#[test]
fn what_grows_by_reframing_is_not_held_against_the_bound() {
    let mut session = Session::new(DropOldest, 6 * TEXT_BYTES);
    for topic in [None, Some(1), None, Some(2), Some(3), Some(4)] {
        session.write(topic, &[], true);
    }
    session.switch();
    // A frame has a byte more than a record.
    let backlog = session.backlog.as_ref().unwrap();
    assert_eq!((backlog.bytes(), backlog.reply_bytes()), (6 * 9, 2 * 9));
    // For the next there is no room, and messages go for it, the oldest first.
    session.write(None, &[], true);
    session.flush(0);
    assert_eq!(session.dropped, 2);
    assert_eq!(session.backlog.as_ref().unwrap().bytes(), 5 * 9);
    session.finish();
}

#[test]
fn reframing_may_leave_nothing() {
    let mut session = Session::new(Disconnect, 1000);
    session.write(None, &[], true);
    session.write(Some(1), &[], true);
    session.wait();
    let backlog = session.backlog.as_mut().unwrap();
    backlog.reframe(|unit, out| {
        if unit == b"4000001\x1e" {
            out.extend(b"kept");
        }
    });
    assert_eq!((backlog.bytes(), backlog.reply_bytes()), (4, 0));
    backlog.reframe(|_, _| {});
    assert_eq!((backlog.bytes(), backlog.is_empty()), (0, true));
}

#[test]
#[should_panic(expected = "half a unit")]
fn half_a_unit_is_not_reframed() {
    let mut backlog = Backlog::default();
    let bound = OutboxBound { bytes_max: 1000, policy: Disconnect };
    backlog.push(Rc::from(*b"half"), 2, Droppable::NEVER, bound).unwrap();
    backlog.reframe(|unit, out| out.extend(unit));
}
