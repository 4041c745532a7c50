//! When to publish: on a schedule, or when earlier messages have reached everyone; and which
//! messages are still on their way.
//!
//! Sans-io. [`Schedule`] is the open loop: intended times, all of them kept, so that a stall of
//! the server or of the load is seen in the latencies and not skipped. [`Closed`] is the closed
//! loop: a share of the window for each publisher. [`Flights`] knows what is on its way in either:
//! a message is complete when all subscribers that this worker had when it was sent have it or are
//! gone. Other workers' subscribers are not waited for; a message to none of this worker's is
//! complete when sent, and then nothing paces a closed loop but [`TURN_MESSAGES_MAX`].

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "times of a run")]

use std::collections::VecDeque;

use crate::load::layout::Layout;

/// When a message that has not reached everyone no longer holds a place in the window.
pub const OVERDUE_US: u64 = 2_000_000;

/// Messages sent in one go, so that what arrives is read in time.
pub const TURN_MESSAGES_MAX: usize = 256;

/// The open loop: when this worker's publishers are to publish.
///
/// Message `j` of the run is meant for the `j`-th part of a second at the run's rate, and is that
/// of publisher `j` modulo their number: evenly spread in each process and over all of them.
#[derive(Debug)]
pub struct Schedule {
    from_us: u64,
    until_us: u64,
    /// Microseconds between two messages of the run.
    interval_us: f64,
    /// All publishers of the run.
    publishers: u64,
    /// This worker's, ascending.
    own: Vec<u32>,
    /// Turns of all publishers that are over, and who of this worker is next.
    round: u64,
    place: usize,
}

impl Schedule {
    /// Between two times, at `per_s` messages a second over all `publishers`, of which `own` are
    /// this worker's.
    pub fn new(from_us: u64, until_us: u64, per_s: f64, publishers: u32, own: Vec<u32>) -> Self {
        let (interval_us, publishers) = (1e6 / per_s, u64::from(publishers));
        Self { from_us, until_us, interval_us, publishers, own, round: 0, place: 0 }
    }

    /// When the next message is meant to go; `None` after the last.
    pub fn next_us(&self) -> Option<u64> {
        let message = self.round * self.publishers + u64::from(*self.own.get(self.place)?);
        let at_us = self.from_us + (message as f64 * self.interval_us) as u64;
        (at_us < self.until_us).then_some(at_us)
    }

    /// The next message that is due: the place of its publisher among this worker's, and when it
    /// was meant to go.
    pub fn take(&mut self, now_us: u64) -> Option<(u32, u64)> {
        let at_us = self.next_us().filter(|at_us| *at_us <= now_us)?;
        let publisher = self.place as u32;
        self.place += 1;
        if self.place == self.own.len() {
            (self.round, self.place) = (self.round + 1, 0);
        }
        Some((publisher, at_us))
    }
}

/// The closed loop: which publishers may publish.
#[derive(Debug)]
pub struct Closed {
    /// Messages that a publisher has on their way at most.
    share: u32,
    /// Messages that it sends at once.
    batch: u32,
    /// Who has places for a batch.
    ready: VecDeque<u32>,
    is_ready: Vec<bool>,
}

impl Closed {
    /// For so many publishers of this worker and of the whole run.
    pub fn new(in_flight: u32, batch: u32, own: u32, publishers: u32) -> Self {
        let share = (in_flight / publishers.max(1)).max(1);
        Self {
            share,
            batch: batch.clamp(1, share),
            ready: (0..own).collect(),
            is_ready: vec![true; own as usize],
        }
    }

    /// Messages that a publisher sends at once.
    pub fn batch(&self) -> u32 {
        self.batch
    }

    /// Whether any publisher has places for a batch.
    pub fn has_room(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next publisher that has places for a batch. [`Closed::freed`] must be told when it has
    /// sent one.
    pub fn take(&mut self) -> Option<u32> {
        let publisher = self.ready.pop_front()?;
        self.is_ready[publisher as usize] = false;
        Some(publisher)
    }

    /// So many messages of a publisher are on their way now.
    pub fn freed(&mut self, publisher: u32, aloft: u32) {
        let has_places = aloft + self.batch <= self.share;
        if has_places && !std::mem::replace(&mut self.is_ready[publisher as usize], true) {
            self.ready.push_back(publisher);
        }
    }
}

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
    /// Messages sent so far.
    count: u32,
    overdue: u64,
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
}

/// One message.
#[derive(Clone, Copy, Debug)]
struct Flight {
    /// Subscribers that have it not yet.
    left: u32,
    /// Messages of this worker before it: who came later is not waited for.
    order: u32,
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
        };
        for (publisher, of_run) in (0..).zip(own) {
            for (place, topic) in layout.publishes(*of_run).iter().enumerate() {
                let stream = layout.stream_in_turn(*of_run, place);
                this.rings_of[stream as usize] = this.rings.len() as u32;
                let flights = VecDeque::new();
                this.rings.push(Ring { publisher, stream, topic: *topic, base: 0, flights });
            }
            this.starts.push(this.rings.len() as u32);
        }
        this
    }

    /// The next message of a publisher goes now; `None` when it has no topic to publish to.
    /// `subscribers`: how many of this worker's are to have it, by topic.
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
        ring.flights.push_back(Flight { left, order: self.count });
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
    pub fn arrived(
        &mut self,
        stream: u32,
        (number, count): (u32, u32),
        joined: u32,
    ) -> Option<u32> {
        let ring = self.rings.get_mut(*self.rings_of.get(stream as usize)? as usize)?;
        // Those before the oldest are complete, and those behind the newest were never sent.
        let behind = u64::from(number) + u64::from(count);
        let end = behind.saturating_sub(ring.base.into()).min(ring.flights.len() as u64) as usize;
        let start = (number.saturating_sub(ring.base) as usize).min(end);
        let mut complete = 0;
        for flight in ring.flights.range_mut(start..end) {
            if flight.order >= joined && flight.left > 0 {
                flight.left -= 1;
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
        self.arrived(stream, (next, u32::MAX), joined)
    }

    /// Gives up waiting for what is overdue, and tells its publishers.
    pub fn expire(&mut self, now_us: u64, mut freed: impl FnMut(u32)) {
        while let Some(sent) = self.sent.front() {
            let ring = &mut self.rings[sent.ring as usize];
            let place = sent.number.checked_sub(ring.base).map(|place| place as usize);
            let flight = place.and_then(|place| ring.flights.get_mut(place));
            if let Some(flight) = flight.filter(|flight| flight.left > 0) {
                if sent.at_us + OVERDUE_US > now_us {
                    return;
                }
                flight.left = 0;
                ring.trim();
                self.overdue += 1;
                self.aloft[ring.publisher as usize] -= 1;
                freed(ring.publisher);
            }
            self.sent.pop_front();
        }
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

    /// How many messages of a stream there were; `None` when it is another worker's.
    pub fn published(&self, stream: u32) -> Option<u32> {
        self.rings.get(self.rings_of[stream as usize] as usize).map(Ring::next)
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
