//! The end of a turn for one connection: its chain is sent, or fetched by a poll, and the rest kept.
//!
//! Ranges of a chain that are apart are copied together, up to a bound, into one send. What is left
//! goes into the connection's backlog unit by unit; a thousand slow connections share one copy of
//! it. Called by the hub, once a dirty connection and turn.

use std::rc::Rc;

use super::backlog::{Backlog, OutboxBound, Overflow};
use super::{Droppable, Flushed, Lane, NONE, Node, Outbox, Pending, Port, Range, Sent};
use crate::limits::CORK_BYTES_MAX;

impl Outbox {
    /// Sends one connection's chain, which is taken. A connection with a backlog sends nothing
    /// now: its chain goes behind the backlog (see [`Outbox::keep`]).
    pub fn flush(&mut self, conn: u32, lane: u8, chain: Pending, port: &mut impl Port) -> Unsent {
        let lane_bytes = &self.lanes[usize::from(lane)].bytes;
        let first = self.nodes[chain.head as usize];
        let mut unsent = Unsent::whole(chain);
        if first.next == NONE {
            let bytes = first.range.of(lane_bytes);
            unsent.send(conn, bytes, port);
            return unsent;
        }
        let mut at = chain.head;
        while at != NONE {
            self.cork.clear();
            let Node { range, next } = self.nodes[at as usize];
            let mut piece = range.of(lane_bytes);
            at = next;
            if piece.len() < CORK_BYTES_MAX {
                self.cork.extend_from_slice(piece);
                while at != NONE {
                    let Node { range, next } = self.nodes[at as usize];
                    if self.cork.len() + range.of(lane_bytes).len() > CORK_BYTES_MAX {
                        break;
                    }
                    self.cork.extend_from_slice(range.of(lane_bytes));
                    at = next;
                }
                piece = &self.cork;
            }
            if !unsent.send(conn, piece, port) {
                break;
            }
        }
        unsent
    }

    /// Takes what a poll is answered with: whole units, those of the backlog and behind them those
    /// of the chain, as many as have room in `bytes_max`, but always one if there are any.
    ///
    /// What is left of the chain is to go behind the backlog ([`Outbox::keep`]). The outcome is
    /// [`Flushed::All`] when nothing is left of either; a backlog that is given is empty then.
    ///
    /// # Panics
    /// When a unit of the backlog was sent in part.
    pub fn take(
        &self,
        lane: u8,
        chain: Pending,
        backlog: Option<&mut Backlog>,
        bytes_max: usize,
    ) -> (Vec<u8>, Unsent) {
        let (waiting, waited) =
            backlog.as_deref().map_or((0, 0), |it| (it.bytes(), it.fitting(bytes_max)));
        let mut unsent = Unsent::whole(chain);
        if waited == waiting {
            let room = bytes_max.saturating_sub(waited);
            unsent.skip = self.fitting(lane, chain, room, waited == 0);
            let queued: usize = self.ranges(chain).map(Range::len).sum();
            if unsent.skip == queued {
                unsent.outcome = Flushed::All;
            }
        }
        let mut body = Vec::with_capacity(waited + unsent.skip);
        if let Some(backlog) = backlog {
            backlog.move_to(&mut body, waited);
        }
        for range in self.ranges(chain) {
            let piece = range.of(&self.lanes[usize::from(lane)].bytes);
            let room = waited + unsent.skip - body.len();
            body.extend_from_slice(&piece[..piece.len().min(room)]);
        }
        (body, unsent)
    }

    /// Bytes of the units at the front of a chain that have room; with `one`, at least one unit's.
    fn fitting(&self, lane: u8, chain: Pending, room: usize, one: bool) -> usize {
        let Lane { bytes, marks } = &self.lanes[usize::from(lane)];
        let mut taken = 0;
        for range in self.ranges(chain) {
            if taken + range.len() <= room {
                taken += range.len();
                continue;
            }
            let start = range.start as usize;
            let beyond = marks.partition_point(|mark| mark.start as usize <= start + room - taken);
            // A range begins with a unit, so there is one that begins in the room.
            let mut end = marks[beyond - 1].start as usize;
            if one && taken == 0 && end == start {
                end = marks.get(beyond).map_or(bytes.len(), |mark| mark.start as usize);
            }
            return taken + end - start;
        }
        taken
    }

    fn ranges(&self, chain: Pending) -> impl Iterator<Item = Range> {
        let node = |at: u32| (at != NONE).then(|| self.nodes[at as usize]);
        std::iter::successors(node(chain.head), move |last| node(last.next)).map(|it| it.range)
    }

    /// Moves what a flush left, or a whole chain, into the connection's backlog, unit by unit.
    ///
    /// Says how many messages were dropped or lost.
    pub fn keep(
        &mut self,
        lane: u8,
        unsent: &Unsent,
        backlog: &mut Backlog,
        bound: OutboxBound,
    ) -> Kept {
        let mut kept = Kept::default();
        let marks = &self.lanes[usize::from(lane)].marks;
        let bytes = &self.lanes[usize::from(lane)].bytes;
        let (mut at, mut skip) = (unsent.chain.head, unsent.skip);
        while at != NONE {
            let Node { range, next } = self.nodes[at as usize];
            let first = marks.partition_point(|mark| mark.start < range.start);
            for (row, mark) in marks.iter().enumerate().skip(first) {
                if mark.start >= range.end {
                    break;
                }
                let end = marks.get(row + 1).map_or(bytes.len(), |next| next.start as usize);
                let frame = &bytes[mark.start as usize..end];
                if skip >= frame.len() {
                    skip -= frame.len();
                    continue;
                }
                if kept.overflow {
                    kept.lost += u64::from(mark.droppable != Droppable::NEVER);
                    continue;
                }
                let frame = self.kept.entry((lane, mark.start)).or_insert_with(|| Rc::from(frame));
                match backlog.push(Rc::clone(frame), skip, mark.droppable, bound) {
                    Ok(dropped) => kept.dropped += dropped,
                    Err(Overflow { dropped }) => {
                        kept.overflow = true;
                        kept.dropped += dropped;
                        kept.lost += u64::from(mark.droppable != Droppable::NEVER);
                    }
                }
                skip = 0;
            }
            at = next;
        }
        kept
    }
}

/// What became of frames that were to go into a backlog.
#[derive(Clone, Copy, Debug, Default)]
pub struct Kept {
    /// Messages that the policy dropped to keep the bound.
    pub dropped: u64,
    /// The bound is passed and nothing more may be dropped: the connection must go.
    pub overflow: bool,
    /// Messages from the one that did not fit on.
    pub lost: u64,
}

/// What a flush or a poll did, and what it left.
#[derive(Clone, Copy, Debug)]
pub struct Unsent {
    chain: Pending,
    /// Bytes of the chain that the kernel or a poll took.
    skip: usize,
    /// Sends made.
    pub sends: u64,
    /// What it came to.
    pub outcome: Flushed,
}

impl Unsent {
    /// A chain of which nothing was tried.
    pub fn whole(chain: Pending) -> Self {
        Self { chain, skip: 0, sends: 0, outcome: Flushed::Kept }
    }

    /// Bytes of the chain that the kernel or a poll took.
    pub fn sent_bytes(&self) -> usize {
        self.skip
    }

    /// Sends a piece; whether to go on.
    fn send(&mut self, conn: u32, bytes: &[u8], port: &mut impl Port) -> bool {
        self.sends += 1;
        match port.send(conn, bytes) {
            Sent::Bytes(taken) => {
                self.skip += taken;
                self.outcome = if taken == bytes.len() { Flushed::All } else { Flushed::Kept };
            }
            Sent::Gone => self.outcome = Flushed::Gone,
        }
        self.outcome == Flushed::All
    }
}
