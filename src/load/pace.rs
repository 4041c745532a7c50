//! When to publish: on a schedule, or when earlier messages have reached everyone; and which
//! messages are still on their way.
//!
//! Sans-io. [`Schedule`] is the open loop: intended times, all of them kept until they are spent, so
//! that a stall of the server or of the load is seen in the latencies and not skipped. [`Closed`] is the closed
//! loop: a share of the window for each publisher. [`Flights`] knows what is on its way in either:
//! a message is complete when all subscribers that this worker had when it was sent have it or are
//! gone. Other workers' subscribers are not waited for: where a run has several workers, its closed
//! loop goes by the share of each message's subscribers that is the publisher's own worker's, and a
//! run in which somebody publishes to others' subscribers alone is none ([`unpaced`]).

#![expect(clippy::cast_precision_loss, clippy::cast_sign_loss, reason = "times of a run")]

mod flights;

use std::collections::VecDeque;

use crate::load::layout::Layout;

pub use flights::{FLIGHTS_MAX, Flights, MESSAGES_MAX, OVERDUE_US, Outgoing, Overdue};

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
    /// By publisher: turns that are spent. Those between them and what is over are kept: so what
    /// waits costs no memory, however much it is.
    spent: Vec<u64>,
}

impl Schedule {
    /// Between two times, at `per_s` messages a second over all `publishers`, of which `own` are
    /// this worker's. Nothing, when the rate is not above 0.
    pub fn new(
        from_us: u64,
        until_us: u64,
        per_s: f64,
        publishers: u32,
        mut own: Vec<u32>,
    ) -> Self {
        if per_s.is_nan() || per_s <= 0.0 {
            own.clear();
        }
        let (interval_us, publishers) = (1e6 / per_s, u64::from(publishers));
        let spent = vec![0; own.len()];
        Self { from_us, until_us, interval_us, publishers, own, round: 0, place: 0, spent }
    }

    /// When the next message is meant to go; `None` after the last.
    pub fn next_us(&self) -> Option<u64> {
        let at_us = self.at_us(self.round, *self.own.get(self.place)?);
        (at_us < self.until_us).then_some(at_us)
    }

    /// When a publisher of the run has one of its turns.
    fn at_us(&self, round: u64, of_run: u32) -> u64 {
        let message = round * self.publishers + u64::from(of_run);
        self.from_us + (message as f64 * self.interval_us) as u64
    }

    /// The next message that is due: the place of its publisher among this worker's, and when it
    /// was meant to go. Its time is kept until it is spent.
    pub fn take(&mut self, now_us: u64) -> Option<(u32, u64)> {
        let at_us = self.next_us().filter(|at_us| *at_us <= now_us)?;
        let publisher = self.place as u32;
        self.place += 1;
        if self.place == self.own.len() {
            (self.round, self.place) = (self.round + 1, 0);
        }
        Some((publisher, at_us))
    }

    /// Messages of a publisher that came due and are not spent.
    pub fn kept(&self, publisher: u32) -> u64 {
        let place = publisher as usize;
        self.round + u64::from(place < self.place) - self.spent[place]
    }

    /// When the oldest of those were meant to go, so many of them.
    pub fn times(
        &self,
        publisher: u32,
        messages: u32,
    ) -> impl ExactSizeIterator<Item = u64> + Clone {
        let (of_run, spent) = (self.own[publisher as usize], self.spent[publisher as usize]);
        (0..messages).map(move |turn| self.at_us(spent + u64::from(turn), of_run))
    }

    /// The oldest of those are sent, or given up.
    pub fn spend(&mut self, publisher: u32, messages: u64) {
        self.spent[publisher as usize] += messages;
    }
}

/// The closed loop: which publishers may publish.
#[derive(Debug)]
pub struct Closed {
    /// By publisher: messages that it has on their way at most.
    shares: Vec<u32>,
    /// Messages that it sends at once, if its share is no less.
    batch: u32,
    /// Who has places for a batch.
    ready: VecDeque<u32>,
    is_ready: Vec<bool>,
}

impl Closed {
    /// For `own` publishers of this worker, by their numbers in the run, and so many of the whole
    /// run. Of `in_flight` each has the same part, and the first of the run one more where that
    /// leaves a rest: together they are `in_flight`, unless there are more publishers, of which each
    /// has one.
    pub fn new(in_flight: u32, batch: u32, own: &[u32], publishers: u32) -> Self {
        let publishers = publishers.max(1);
        let (part, rest) = (in_flight / publishers, in_flight % publishers);
        let share = |of_run: &u32| (part + u32::from(*of_run < rest)).max(1);
        Self {
            shares: own.iter().map(share).collect(),
            batch: batch.max(1),
            ready: (0..own.len() as u32).collect(),
            is_ready: vec![true; own.len()],
        }
    }

    /// Messages that a publisher sends at once.
    pub fn batch(&self, publisher: u32) -> u32 {
        self.batch.min(self.shares[publisher as usize])
    }

    /// Whether any publisher has places for a batch.
    pub fn has_room(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next publisher that has places for a batch. [`Closed::freed`] must be told when it has
    /// sent one, [`Closed::put_back`] when it could not.
    pub fn take(&mut self) -> Option<u32> {
        let publisher = self.ready.pop_front()?;
        self.is_ready[publisher as usize] = false;
        Some(publisher)
    }

    /// So many messages of a publisher are on their way now.
    pub fn freed(&mut self, publisher: u32, aloft: u32) {
        if aloft + self.batch(publisher) <= self.shares[publisher as usize] {
            self.put_back(publisher);
        }
    }

    /// A publisher has places for a batch still: it is the last to be taken again.
    pub fn put_back(&mut self, publisher: u32) {
        if !std::mem::replace(&mut self.is_ready[publisher as usize], true) {
            self.ready.push_back(publisher);
        }
    }
}

/// A publisher of a worker, by its number in the run, and a topic of its that only other workers'
/// connections hear: nothing of what they have would pace a closed loop. `echoes`: whether who
/// publishes to a topic that it hears is told its own messages. Costs the worker's part and what its
/// publishers publish to, and only where there is such a topic, those of the others.
pub fn unpaced(layout: &Layout, worker: u32, workers: u32, echoes: bool) -> Option<(u32, u32)> {
    if workers <= 1 {
        return None;
    }
    let heard_by = |worker: u32| {
        let mut heard = vec![0_u32; layout.topics() as usize];
        let all = layout.part(worker, workers).flat_map(|connection| layout.hears(connection));
        all.for_each(|topic| heard[*topic as usize] += 1);
        heard
    };
    let own = heard_by(worker);
    let alone: Vec<(u32, u32)> = layout
        .publishers_of(worker, workers)
        .into_iter()
        .flat_map(|one| layout.publishes(one).iter().map(move |topic| (one, *topic)))
        .filter(|(one, topic)| {
            let itself = u32::from(!echoes && layout.member(*one).is_some());
            own[*topic as usize] <= itself
        })
        .collect();
    if alone.is_empty() {
        return None;
    }
    let mut others = (0..workers).filter(|other| *other != worker).map(heard_by);
    others.find_map(|heard| alone.iter().find(|(_, topic)| heard[*topic as usize] > 0).copied())
}

#[cfg(test)]
mod tests;
