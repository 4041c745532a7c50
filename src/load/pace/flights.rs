//! Messages on their way, and who is still to have them.
//!
//! Sans-io. A message is complete when all subscribers that this worker had when it was sent have
//! it, or are gone; when the server has refused it; or when it is overdue and given up. What is
//! complete is forgotten, but for the number of messages of each stream. Of other workers'
//! publishers and subscribers nothing is known here.

use std::collections::VecDeque;

use crate::load::layout::Layout;

/// When a message that has not reached everyone no longer holds a place in the window.
pub const OVERDUE_US: u64 = 2_000_000;

/// Messages that are waited for at a time, with those behind the oldest of them that are complete.
/// Beyond it the oldest is forgotten ([`Flights::forget`]).
pub const FLIGHTS_MAX: usize = 1 << 20;

/// Messages that one worker can send in a run: each has a place in their order.
pub const MESSAGES_MAX: u32 = u32::MAX - 1;

/// This worker's messages that are on their way. Publishers are known by their place among this
/// worker's.
#[derive(Debug)]
pub struct Flights {
    /// Publisher by publisher, in the order of its turns.
    rings: Vec<Ring>,
    /// By publisher, where its rings begin; one longer.
    starts: Vec<u32>,
    /// By publisher, the ring of its next message, counted from its first.
    turns: Vec<u32>,
    /// By publisher.
    aloft: Vec<u32>,
    /// By stream of the run; [`NO_RING`] for those of other workers.
    rings_of: Vec<u32>,
    /// All that are on their way, and some that are not any more, by the time of sending.
    sent: VecDeque<Sent>,
    /// Messages sent so far, [`MESSAGES_MAX`] at most.
    count: u32,
    overdue: u64,
    /// Messages forgotten for want of places.
    forgotten: u64,
}

const NO_RING: u32 = u32::MAX;

/// One stream.
#[derive(Debug)]
struct Ring {
    publisher: u32,
    stream: u32,
    topic: u32,
    /// The number of the first in `flights`.
    base: u32,
    /// From the oldest that is not complete to the newest.
    flights: VecDeque<Flight>,
    /// Whether anybody had any of them.
    is_heard: bool,
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// Subscribers that have it not yet.
    left: u32,
    /// Messages of this worker before it: who came later is not waited for.
    order: u32,
    /// Whether anybody has it.
    is_heard: bool,
}

/// A message that is given up: it did not reach everyone in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overdue {
    /// Whose it is.
    pub publisher: u32,
    /// Its stream.
    pub stream: u32,
    /// Its number there.
    pub number: u32,
    /// Whether it reached anybody.
    pub is_heard: bool,
}

#[derive(Clone, Copy, Debug)]
struct Sent {
    at_us: u64,
    ring: u32,
    number: u32,
}

/// A message that is to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// Its stream.
    pub stream: u32,
    /// Its number there.
    pub number: u32,
    /// Its topic.
    pub topic: u32,
}

impl Flights {
    /// Nothing on its way, of these publishers of the run.
    pub fn new(layout: &Layout, own: &[u32]) -> Self {
        let mut this = Self {
            rings: Vec::new(),
            starts: vec![0],
            turns: vec![0; own.len()],
            aloft: vec![0; own.len()],
            rings_of: vec![NO_RING; layout.streams() as usize],
            sent: VecDeque::new(),
            count: 0,
            overdue: 0,
            forgotten: 0,
        };
        for (publisher, of_run) in (0..).zip(own) {
            for (place, topic) in layout.publishes(*of_run).iter().enumerate() {
                let stream = layout.stream_in_turn(*of_run, place);
                this.rings_of[stream as usize] = this.rings.len() as u32;
                let flights = VecDeque::new();
                let (topic, base, is_heard) = (*topic, 0, false);
                this.rings.push(Ring { publisher, stream, topic, base, flights, is_heard });
            }
            this.starts.push(this.rings.len() as u32);
        }
        this
    }

    /// The next message of a publisher goes now; `None` when it has no topic to publish to.
    /// `subscribers`: how many of this worker's are to have it, by topic. [`Flights::forget`] is to
    /// be asked before.
    ///
    /// # Panics
    /// It is one more than [`MESSAGES_MAX`] (in a build that checks arithmetic).
    pub fn publish(
        &mut self,
        publisher: u32,
        now_us: u64,
        subscribers: impl FnOnce(u32) -> u32,
    ) -> Option<Outgoing> {
        let at = publisher as usize;
        let rings = self.starts[at]..self.starts[at + 1];
        if rings.is_empty() {
            return None;
        }
        let at_ring = rings.start + self.turns[at];
        self.turns[at] = (self.turns[at] + 1) % rings.len() as u32;
        let ring = &mut self.rings[at_ring as usize];
        let number = ring.next();
        let left = subscribers(ring.topic);
        ring.flights.push_back(Flight { left, order: self.count, is_heard: false });
        self.count += 1;
        if left == 0 {
            ring.trim();
        } else {
            self.aloft[at] += 1;
            self.sent.push_back(Sent { at_us: now_us, ring: at_ring, number });
        }
        Some(Outgoing { stream: ring.stream, number, topic: ring.topic })
    }

    /// A subscriber that joined when [`Flights::count`] was `joined` has messages, for the first
    /// time: `count` of them from `number` on. Their publisher, if one is complete by it. Constant
    /// in time for each.
    pub fn arrived(&mut self, stream: u32, numbers: (u32, u32), joined: u32) -> Option<u32> {
        self.no_longer_lack(stream, numbers, joined, true)
    }

    /// One subscriber less lacks these: it has them, or is gone.
    fn no_longer_lack(
        &mut self,
        stream: u32,
        (number, count): (u32, u32),
        joined: u32,
        is_heard: bool,
    ) -> Option<u32> {
        let ring = self.rings.get_mut(*self.rings_of.get(stream as usize)? as usize)?;
        // Those before the oldest are complete, and those behind the newest were never sent.
        let behind = u64::from(number) + u64::from(count);
        let end = behind.saturating_sub(ring.base.into()).min(ring.flights.len() as u64) as usize;
        let start = (number.saturating_sub(ring.base) as usize).min(end);
        let mut complete = 0;
        ring.is_heard |= is_heard;
        for flight in ring.flights.range_mut(start..end) {
            if flight.order >= joined && flight.left > 0 {
                flight.left -= 1;
                flight.is_heard |= is_heard;
                complete += u32::from(flight.left == 0);
            }
        }
        if complete == 0 {
            return None;
        }
        ring.trim();
        self.aloft[ring.publisher as usize] -= complete;
        Some(ring.publisher)
    }

    /// A subscriber that joined then is no longer waited for: it had a stream's messages before
    /// the `next`. Their publisher, if one is complete by it.
    pub fn gone(&mut self, stream: u32, next: u32, joined: u32) -> Option<u32> {
        self.no_longer_lack(stream, (next, u32::MAX), joined, false)
    }

    /// Gives up waiting for what is overdue, and tells of each; it counts as overdue when the
    /// answer is yes.
    pub fn expire(&mut self, now_us: u64, mut counts: impl FnMut(Overdue) -> bool) {
        while let Some(&Sent { at_us, ring, number }) = self.sent.front() {
            let (stream, publisher) = {
                let ring = &self.rings[ring as usize];
                (ring.stream, ring.publisher)
            };
            if let Some(flight) = self.aloft_in(ring, number) {
                if at_us + OVERDUE_US > now_us {
                    return;
                }
                let is_heard = flight.is_heard;
                self.land(ring, number);
                self.overdue += u64::from(counts(Overdue { publisher, stream, number, is_heard }));
            }
            self.sent.pop_front();
        }
    }

    /// Makes a place for the next message: where [`FLIGHTS_MAX`] are waited for, the oldest is so no
    /// longer. Its publisher, if there was one to forget. It is not overdue, and what the ledger
    /// says of it stays.
    pub fn forget(&mut self) -> Option<u32> {
        while self.sent.len() >= FLIGHTS_MAX {
            let Sent { ring, number, .. } = self.sent.pop_front()?;
            if self.aloft_in(ring, number).is_some() {
                self.land(ring, number);
                self.forgotten += 1;
                return Some(self.rings[ring as usize].publisher);
            }
        }
        None
    }

    /// The server refused a message: nobody is waited for. Its publisher, if it is complete by it;
    /// `None` where nobody was waited for any more.
    pub fn refused(&mut self, stream: u32, number: u32) -> Option<u32> {
        let ring = *self.rings_of.get(stream as usize)?;
        self.aloft_in(ring, number)?;
        self.land(ring, number);
        Some(self.rings[ring as usize].publisher)
    }

    /// A message that somebody is waited for.
    fn aloft_in(&self, ring: u32, number: u32) -> Option<&Flight> {
        let ring = self.rings.get(ring as usize)?;
        let place = number.checked_sub(ring.base)?;
        ring.flights.get(place as usize).filter(|flight| flight.left > 0)
    }

    /// Nobody is waited for any more.
    fn land(&mut self, ring: u32, number: u32) {
        let ring = &mut self.rings[ring as usize];
        ring.flights[(number - ring.base) as usize].left = 0;
        ring.trim();
        self.aloft[ring.publisher as usize] -= 1;
    }

    /// The publisher of a stream; `None` when it is another worker's, or there is no such stream.
    pub fn publisher(&self, stream: u32) -> Option<u32> {
        let ring = *self.rings_of.get(stream as usize)?;
        self.rings.get(ring as usize).map(|ring| ring.publisher)
    }

    /// Whether anybody has had any message of a publisher. Costs its streams.
    pub fn is_heard(&self, publisher: u32) -> bool {
        let at = publisher as usize;
        let rings = self.starts[at] as usize..self.starts[at + 1] as usize;
        self.rings[rings].iter().any(|ring| ring.is_heard)
    }

    /// Messages sent so far: what a subscriber that joins now has missed.
    pub fn count(&self) -> u32 {
        self.count
    }

    /// Messages of a publisher that are on their way.
    pub fn aloft(&self, publisher: u32) -> u32 {
        self.aloft[publisher as usize]
    }

    /// Whether nothing is on its way; exact after [`Flights::expire`].
    pub fn is_empty(&self) -> bool {
        self.sent.is_empty()
    }

    /// Messages given up so far.
    pub fn overdue(&self) -> u64 {
        self.overdue
    }

    /// Messages forgotten so far.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// How many messages of a stream there were; `None` when it is another worker's, or there is
    /// no such stream.
    pub fn published(&self, stream: u32) -> Option<u32> {
        self.rings.get(*self.rings_of.get(stream as usize)? as usize).map(Ring::next)
    }
}

impl Ring {
    /// The number of the next message.
    fn next(&self) -> u32 {
        self.base + self.flights.len() as u32
    }

    /// Forgets the oldest that are complete.
    fn trim(&mut self) {
        while self.flights.front().is_some_and(|flight| flight.left == 0) {
            self.flights.pop_front();
            self.base += 1;
        }
    }
}

#[cfg(test)]
mod tests;
