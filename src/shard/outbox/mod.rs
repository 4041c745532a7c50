//! What goes out: each frame encoded once, each dirty connection sent to once a turn.
//!
//! A turn's frames stand one behind the other in a `Lane`, one lane per encoding (dialect and
//! compression). What a connection is to get is a chain of byte ranges of its lane; a range that
//! continues the last one only makes that longer, so a subscriber of one busy topic has one range,
//! sent as it stands, and nothing is copied for it. Several ranges are copied together ("corked")
//! into one send. What the kernel refuses is kept by `backlog.rs`, unit by unit.
//!
//! Owns: the lanes, the chains, the dirty list. Never: a socket ([`Port`] is the owner's), the
//! decision what to send, or a connection's life.

mod backlog;
mod flush;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::rc::Rc;

use ahash::AHashMap;

use crate::connection::ConnKey;
use crate::limits::{
    CORK_BYTES_MAX, TURN_BYTES_MAX, TURN_FRAMES_KEPT, TURN_RANGES_KEPT, TURN_RANGES_MAX,
};
pub use backlog::{Backlog, OutboxBound, Overflow};
pub use flush::{Kept, Unsent};

const NONE: u32 = u32::MAX;

/// The owner of the sockets, as a shard sees it.
pub trait Port {
    /// Hands bytes for a connection to the kernel, behind those that it holds of it; without any,
    /// only those.
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent;
    /// Ends the sending side of a connection; what it still sends is read and dropped.
    fn shut(&mut self, conn: u32);
    /// Whether bytes of a connection have come that were not read: to close its socket now would
    /// reset it. A port without sockets has none.
    fn has_unread(&mut self, _conn: u32) -> bool {
        false
    }
    /// Whether bytes that were taken are not with the kernel yet: they are bound to go as they are,
    /// as what is encrypted is. The port will say when there is room for them. A port that keeps
    /// none has none.
    fn holds(&self, _conn: u32) -> bool {
        false
    }
    /// Gives the socket of one slot to another, which has none; the first has none then.
    ///
    /// # Panics
    /// By default: a port on which nobody upgrades is never asked.
    fn rebind(&mut self, from: u32, _to: ConnKey) {
        unreachable!("{from} upgrades");
    }
    /// Closes the socket of a slot that the shard has forgotten and whose address was never counted
    /// in: one that was to take over from a polling session.
    fn discard(&mut self, _conn: u32) {}
    /// Closes the socket of a connection that the shard has forgotten, and counts out its address.
    fn close(&mut self, conn: u32, address: IpAddr);
}

/// What became of bytes handed to a [`Port`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// So many were taken; fewer than given means that the kernel's buffer is full, and the port
    /// will say when there is room. What is not taken may be dropped, and other bytes come next.
    Bytes(usize),
    /// The connection is dead; the port will say so too.
    Gone,
}

/// A range of a lane's bytes: one or more whole units (see [`Outbox::write`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    start: u32,
    end: u32,
}

/// What is queued for one connection in this turn: a chain in [`Outbox`].
#[derive(Clone, Copy, Debug)]
pub struct Pending {
    head: u32,
    tail: u32,
}

impl Pending {
    /// An empty chain.
    pub const NOTHING: Self = Self { head: NONE, tail: NONE };

    /// Whether nothing is queued.
    pub fn is_empty(self) -> bool {
        self.head == NONE
    }
}

#[derive(Clone, Copy, Debug)]
struct Node {
    range: Range,
    next: u32,
}

/// Which messages a unit may be dropped for: none, or those of one topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Droppable(Option<u64>);

impl Droppable {
    /// A reply, a control frame: never dropped.
    pub const NEVER: Self = Self(None);

    /// A message of the topic with this hash.
    pub fn message(topic_hash: u64) -> Self {
        Self(Some(topic_hash))
    }
}

#[derive(Clone, Copy, Debug)]
struct Mark {
    start: u32,
    droppable: Droppable,
}

/// The frames of one encoding, in this turn.
#[derive(Debug, Default)]
struct Lane {
    bytes: Vec<u8>,
    marks: Vec<Mark>,
}

/// The outgoing side of a shard.
#[derive(Debug)]
pub struct Outbox {
    lanes: Vec<Lane>,
    /// Lanes that the turn's end must look at, a bit each: those written to, and those that have
    /// more room than usual.
    touched: u64,
    /// Bytes of all lanes.
    bytes: usize,
    nodes: Vec<Node>,
    dirty: Vec<u32>,
    cork: Vec<u8>,
    /// Frames of this turn that a backlog keeps, so that a thousand slow connections share one.
    kept: AHashMap<(u8, u32), Rc<[u8]>>,
}

/// What a flush of one connection came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flushed {
    /// All is with the kernel.
    All,
    /// Some is kept until the port has room.
    Kept,
    /// The connection is dead.
    Gone,
}

impl Outbox {
    /// Empty, with so many lanes.
    ///
    /// # Panics
    /// When these are more than 64.
    pub fn new(lanes: usize) -> Self {
        assert!(lanes <= u64::BITS as usize, "{lanes} lanes");
        Self {
            lanes: (0..lanes).map(|_| Lane::default()).collect(),
            touched: 0,
            bytes: 0,
            nodes: Vec::new(),
            dirty: Vec::new(),
            cork: Vec::new(),
            kept: AHashMap::new(),
        }
    }

    /// Appends one unit to a lane; `write` appends exactly its bytes, of which there are some.
    ///
    /// A unit is a frame, or several that make no sense without each other, as a text with the
    /// binary frames that belong to it. It is sent, kept or dropped as one.
    pub fn write(
        &mut self,
        lane: u8,
        droppable: Droppable,
        write: impl FnOnce(&mut Vec<u8>),
    ) -> Range {
        self.touched |= 1_u64 << lane;
        let lane = &mut self.lanes[usize::from(lane)];
        let start = lane.bytes.len();
        lane.marks.push(Mark { start: start as u32, droppable });
        write(&mut lane.bytes);
        self.bytes += lane.bytes.len() - start;
        Range { start: start as u32, end: lane.bytes.len() as u32 }
    }

    /// Queues a range of a connection's own lane behind what it has.
    #[inline]
    pub fn queue(&mut self, conn: u32, pending: &mut Pending, range: Range) {
        let new = self.nodes.len() as u32;
        if pending.tail == NONE {
            self.dirty.push(conn);
            pending.head = new;
        } else {
            let tail = &mut self.nodes[pending.tail as usize];
            if tail.range.end == range.start {
                tail.range.end = range.end;
                return;
            }
            tail.next = new;
        }
        pending.tail = new;
        self.nodes.push(Node { range, next: NONE });
    }

    /// Has the turn's end look at a connection, whether or not something is queued for it.
    pub fn mark_dirty(&mut self, conn: u32) {
        self.dirty.push(conn);
    }

    /// Whether the turn holds as much as it may and must be flushed before more is queued.
    pub fn is_full(&self) -> bool {
        self.bytes >= TURN_BYTES_MAX || self.nodes.len() >= TURN_RANGES_MAX
    }

    /// Whether any connection has something queued.
    pub fn is_dirty(&self) -> bool {
        !self.dirty.is_empty()
    }

    /// The connections with something queued; to be given back empty by [`Outbox::end_turn`].
    pub fn take_dirty(&mut self) -> Vec<u32> {
        std::mem::take(&mut self.dirty)
    }

    /// Forgets the turn's frames: every chain has been flushed or dropped.
    pub fn end_turn(&mut self, mut dirty: Vec<u32>) {
        dirty.clear();
        self.dirty = dirty;
        self.nodes.clear();
        self.nodes.shrink_to(TURN_RANGES_KEPT);
        self.kept.clear();
        // A turn with a flood or a huge message must not be paid for ever after.
        self.kept.shrink_to(TURN_FRAMES_KEPT);
        self.bytes = 0;
        let mut touched = std::mem::take(&mut self.touched);
        while touched != 0 {
            let at = touched.trailing_zeros();
            touched &= touched - 1;
            let lane = &mut self.lanes[at as usize];
            // One like the last must not be paid for each time; a flood not for ever after.
            let usual = (2 * lane.bytes.len()).max(CORK_BYTES_MAX);
            lane.bytes.clear();
            lane.marks.clear();
            lane.bytes.shrink_to(usual);
            lane.marks.shrink_to(TURN_FRAMES_KEPT);
            // It gives that back with the next turn that does not need it, whatever is in that.
            self.touched |= u64::from(lane.bytes.capacity() > CORK_BYTES_MAX) << at;
        }
        self.cork.shrink_to(CORK_BYTES_MAX);
    }

    /// Asserts that marks, bytes and what is known of them agree; gives the connections on the dirty
    /// list.
    pub(super) fn check(&self) -> &[u32] {
        assert_eq!(self.lanes.iter().map(|lane| lane.bytes.len()).sum::<usize>(), self.bytes);
        for (at, lane) in self.lanes.iter().enumerate() {
            let is_usual = lane.bytes.is_empty() && lane.bytes.capacity() <= CORK_BYTES_MAX;
            assert!(is_usual || self.touched & 1_u64 << at != 0, "lane {at} is forgotten");
            assert!(lane.marks.is_sorted_by_key(|mark| mark.start));
            assert!(lane.marks.last().is_none_or(|mark| (mark.start as usize) < lane.bytes.len()));
            assert_eq!(lane.bytes.is_empty(), lane.marks.is_empty());
        }
        &self.dirty
    }

    /// Bytes on the heap that outlast a turn.
    pub fn heap_bytes(&self) -> usize {
        let lanes: usize = self
            .lanes
            .iter()
            .map(|lane| lane.bytes.capacity() + lane.marks.capacity() * size_of::<Mark>())
            .sum();
        let kept = self.kept.capacity() * size_of::<((u8, u32), Rc<[u8]>)>();
        let lists = self.nodes.capacity() * size_of::<Node>() + self.dirty.capacity() * 4;
        lanes + lists + kept + self.cork.capacity()
    }
}

impl Range {
    /// Nothing: no unit is that.
    pub const EMPTY: Self = Self { start: 0, end: 0 };

    /// Whether it is nothing.
    #[inline]
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.end as usize]
    }
}
