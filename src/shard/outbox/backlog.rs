//! What the kernel would not take of a connection: whole units, kept by reference, in order.
//!
//! Made when a send falls short, gone when all is sent; of a client that polls, what it has not
//! fetched. Bounded in bytes; what happens at the bound is the operator's policy (protocols.md
//! section 9, "Slow consumers"). A unit is a frame, or several that were written as one: they are
//! kept or dropped together. One of which a part was sent is never dropped, nor is a reply or a
//! control frame.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::rc::Rc;

use ahash::AHashSet;

use super::{Droppable, Flushed, Port, Sent};
use crate::config::SlowConsumerPolicy;
use crate::limits::CORK_BYTES_MAX;
use crate::metrics::Counter;

/// The bound of a backlog and what to do there.
#[derive(Clone, Copy, Debug)]
pub struct OutboxBound {
    /// Bytes that may wait. One frame is always taken, whatever its size.
    pub bytes_max: usize,
    /// What to do at the bound.
    pub policy: SlowConsumerPolicy,
}

/// The bound is passed and nothing may be dropped any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overflow {
    /// Messages dropped in vain.
    pub dropped: u64,
}

#[derive(Debug)]
struct Waiting {
    frame: Rc<[u8]>,
    droppable: Droppable,
}

/// Frames that wait for room in the kernel's buffer.
#[derive(Debug, Default)]
pub struct Backlog {
    frames: VecDeque<Waiting>,
    /// Bytes of the first frame that are sent.
    sent: usize,
    bytes: usize,
    /// Bytes of the whole frames among these that are replies or control frames.
    replies: usize,
    /// Bytes that came by reframing: not the client's fault, they may be above the bound.
    grown: usize,
}

impl Backlog {
    /// Bytes that wait.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes of replies and control frames that wait; one that is sent in part counts whole.
    pub fn reply_bytes(&self) -> usize {
        self.replies
    }

    /// Asserts that the bound is kept and the count of bytes is that of the frames. Who was told to
    /// go (`farewell`) may have a close frame above the bound.
    pub(in crate::shard) fn check(&self, bound: OutboxBound, farewell: bool) {
        let bytes: usize = self.frames.iter().map(|waiting| waiting.frame.len()).sum();
        assert_eq!(bytes - self.sent, self.bytes);
        let replies: usize = self.frames.iter().map(Waiting::reply_bytes).sum();
        assert_eq!(replies, self.replies);
        let first = self.frames.front().expect("an empty backlog is none");
        assert!(self.sent < first.frame.len());
        let frames_above = 1 + usize::from(farewell);
        let bytes_max = bound.bytes_max.saturating_add(self.grown);
        assert!(self.bytes <= bytes_max || self.frames.len() <= frames_above);
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Adds a frame of which `sent` bytes are gone already (more than none for the first only).
    /// Says how many messages were dropped for it, itself included.
    ///
    /// # Errors
    /// It does not fit and the policy has nothing left to drop.
    pub fn push(
        &mut self,
        frame: Rc<[u8]>,
        sent: usize,
        droppable: Droppable,
        bound: OutboxBound,
    ) -> Result<u64, Overflow> {
        let bytes = frame.len() - sent;
        let fits = |backlog: &Self| backlog.is_empty() || backlog.bytes + bytes <= bound.bytes_max;
        let mut dropped = 0;
        if !fits(self) {
            match bound.policy {
                SlowConsumerPolicy::Disconnect => return Err(Overflow { dropped }),
                SlowConsumerPolicy::DropNewest if droppable != Droppable::NEVER => return Ok(1),
                SlowConsumerPolicy::DropNewest => dropped += self.drop_while_not(fits, true),
                SlowConsumerPolicy::DropOldest => dropped += self.drop_while_not(fits, false),
                SlowConsumerPolicy::Conflate => {
                    dropped += self.drop_topic(droppable);
                    if !fits(self) {
                        dropped += self.conflate(droppable);
                    }
                    if !fits(self) {
                        // Each topic has one message left. A quarter goes at once, or each further
                        // message would look through all of them again.
                        let room = bound.bytes_max - bound.bytes_max / 4;
                        let roomy = |backlog: &Self| fits(backlog) && backlog.bytes <= room;
                        dropped += self.drop_while_not(roomy, false);
                    }
                }
            }
            if !fits(self) {
                // Replies alone fill it: the client asks and never reads.
                let reply = droppable == Droppable::NEVER;
                return if reply { Err(Overflow { dropped }) } else { Ok(dropped + 1) };
            }
        }
        if self.is_empty() {
            self.sent = sent;
        }
        self.replies += if droppable == Droppable::NEVER { frame.len() } else { 0 };
        self.frames.push_back(Waiting { frame, droppable });
        self.bytes += bytes;
        Ok(dropped)
    }

    /// Drops everything but a frame that is sent in part; says how many messages were lost.
    pub fn cut(&mut self) -> u64 {
        let keep = usize::from(self.sent > 0);
        let lost = self.frames.iter().skip(keep).filter(|frame| frame.is_message()).count();
        self.frames.truncate(keep);
        self.bytes = self.frames.front().map_or(0, |first| first.frame.len() - self.sent);
        self.replies = self.frames.iter().map(Waiting::reply_bytes).sum();
        lost as u64
    }

    /// Adds a frame past the bound: the close frame of a connection that is given up.
    pub fn push_last(&mut self, frame: Rc<[u8]>) {
        self.bytes += frame.len();
        self.replies += frame.len();
        self.frames.push_back(Waiting { frame, droppable: Droppable::NEVER });
    }

    /// Takes whole units off the front: as many as have room in `bytes_max`, but always one.
    ///
    /// # Panics
    /// When one was sent in part.
    pub fn take(&mut self, bytes_max: usize) -> Vec<u8> {
        let bytes = self.fitting(bytes_max);
        let mut body = Vec::with_capacity(bytes);
        self.move_to(&mut body, bytes);
        body
    }

    /// Bytes of the units that [`Backlog::take`] would take.
    pub(super) fn fitting(&self, bytes_max: usize) -> usize {
        assert_eq!(self.sent, 0, "what was sent in part is not polled");
        let mut bytes = 0;
        for Waiting { frame, .. } in &self.frames {
            if bytes > 0 && bytes + frame.len() > bytes_max {
                break;
            }
            bytes += frame.len();
        }
        bytes
    }

    /// Moves the units that are the first so many bytes.
    pub(super) fn move_to(&mut self, body: &mut Vec<u8>, bytes: usize) {
        let end = body.len() + bytes;
        for Waiting { frame, .. } in &self.frames {
            if body.len() >= end {
                break;
            }
            body.extend_from_slice(frame);
        }
        self.advance(bytes);
    }

    /// Replaces each unit by what `reframe` writes for it, for a connection that goes on in another
    /// lane. The order stays, and what may be dropped for what. A unit for which it writes nothing
    /// is gone; the backlog may be empty then. What grows by this is not held against the bound.
    ///
    /// # Panics
    /// When a unit was sent in part.
    pub fn reframe(&mut self, mut reframe: impl FnMut(&[u8], &mut Vec<u8>)) {
        assert_eq!(self.sent, 0, "half a unit cannot be reframed");
        let mut written = Vec::new();
        let mut bytes = 0;
        self.frames.retain_mut(|waiting| {
            written.clear();
            reframe(&waiting.frame, &mut written);
            waiting.frame = Rc::from(&*written);
            bytes += written.len();
            !written.is_empty()
        });
        self.grown += bytes.saturating_sub(self.bytes);
        self.bytes = bytes;
        self.replies = self.frames.iter().map(Waiting::reply_bytes).sum();
    }

    /// Sends what the kernel takes, several frames at a time; counts the sends.
    pub fn send(
        &mut self,
        conn: u32,
        port: &mut impl Port,
        cork: &mut Vec<u8>,
        sends: &Counter,
    ) -> Flushed {
        while let Some(first) = self.frames.front() {
            let head = &first.frame[self.sent..];
            let alone = self.frames.len() == 1 || head.len() >= CORK_BYTES_MAX;
            let piece: &[u8] = if alone {
                head
            } else {
                cork.clear();
                cork.extend_from_slice(head);
                for next in self.frames.iter().skip(1) {
                    if cork.len() + next.frame.len() > CORK_BYTES_MAX {
                        break;
                    }
                    cork.extend_from_slice(&next.frame);
                }
                cork
            };
            let offered = piece.len();
            sends.add(1);
            match port.send(conn, piece) {
                Sent::Gone => return Flushed::Gone,
                Sent::Bytes(taken) => {
                    self.advance(taken);
                    if taken < offered {
                        return Flushed::Kept;
                    }
                }
            }
        }
        Flushed::All
    }

    /// Takes sent bytes off the front.
    fn advance(&mut self, mut taken: usize) {
        self.bytes -= taken;
        taken += self.sent;
        while let Some(first) = self.frames.front() {
            if taken < first.frame.len() {
                break;
            }
            taken -= first.frame.len();
            self.replies -= first.reply_bytes();
            self.frames.pop_front();
        }
        self.sent = taken;
    }

    /// Drops messages, the oldest or the newest first, until `done`.
    fn drop_while_not(&mut self, done: impl Fn(&Self) -> bool, newest: bool) -> u64 {
        let keep = usize::from(self.sent > 0);
        let mut dropped = 0;
        let mut at = if newest { self.frames.len() } else { keep };
        while !done(self) {
            if newest {
                if at <= keep {
                    break;
                }
                at -= 1;
            } else if at >= self.frames.len() {
                break;
            }
            if self.frames[at].is_message() {
                if let Some(frame) = self.frames.remove(at) {
                    self.bytes -= frame.frame.len();
                    dropped += 1;
                }
            } else if !newest {
                at += 1;
            }
        }
        dropped
    }

    /// Drops the newest message of the topic of `coming`, which makes it stale.
    fn drop_topic(&mut self, coming: Droppable) -> u64 {
        let keep = usize::from(self.sent > 0);
        if coming == Droppable::NEVER {
            return 0;
        }
        let stale = self.frames.iter().skip(keep).rposition(|frame| frame.droppable == coming);
        let Some(stale) = stale.and_then(|at| self.frames.remove(keep + at)) else { return 0 };
        self.bytes -= stale.frame.len();
        1
    }

    /// Keeps of each topic the newest message; none of the topic of `coming`.
    fn conflate(&mut self, coming: Droppable) -> u64 {
        let keep = usize::from(self.sent > 0);
        let mut seen = AHashSet::new();
        seen.extend(coming.0);
        let mut stale = Vec::new();
        for at in (keep..self.frames.len()).rev() {
            if let Some(topic) = self.frames[at].droppable.0
                && !seen.insert(topic)
            {
                stale.push(at);
            }
        }
        let dropped = stale.len() as u64;
        let mut at = 0;
        let bytes = &mut self.bytes;
        self.frames.retain(|frame| {
            let drop = stale.last() == Some(&at);
            if drop {
                stale.pop();
                *bytes -= frame.frame.len();
            }
            at += 1;
            !drop
        });
        dropped
    }
}

impl Waiting {
    fn is_message(&self) -> bool {
        self.droppable != Droppable::NEVER
    }

    fn reply_bytes(&self) -> usize {
        if self.is_message() { 0 } else { self.frame.len() }
    }
}
