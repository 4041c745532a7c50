//! What was published, and the judgement of what came of it.
//!
//! A message is known by its number, which it carries as data. Numbers rise with the time of the
//! publish, so one publisher's messages to a topic must arrive with rising numbers; that also
//! means each at most once.

use std::collections::{BTreeMap, BTreeSet};

use super::addressed::Addressed;

/// Who published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Publisher {
    /// A client, by number.
    Client(usize),
    /// The server side, on a shard.
    Server(u8),
}

/// What the broker did with a publish, as far as the publisher can know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was never told.
    Unknown,
    /// It was taken.
    Taken,
    /// It was refused.
    Refused,
}

/// One publish.
#[derive(Debug)]
pub struct Published {
    pub topic: usize,
    pub by: Publisher,
    /// When its first byte was on the way, as the ledger counts.
    pub at: u64,
    pub echo: bool,
    /// The publisher gave its number as metadata too.
    pub metadata: bool,
    pub fate: Fate,
    pub offset: Option<u64>,
    pub epoch: Option<u64>,
    /// The publisher's user, where it is certain.
    pub user: Option<Option<String>>,
    /// Connections that it reached.
    pub received: u64,
    /// Connections that it was queued for, as told to the server side.
    pub delivered: Option<u64>,
}

/// All publishes of a run.
#[derive(Default)]
pub struct Ledger {
    pub messages: Vec<Published>,
    /// Announcements and disconnects.
    pub addressed: Vec<Addressed>,
    /// Counts what clients say and hear: the order of what they can know.
    pub events: u64,
}

impl Ledger {
    /// The next moment.
    pub fn tick(&mut self) -> u64 {
        self.events += 1;
        self.events
    }

    /// Takes note of a place in a history.
    pub fn place(&mut self, number: usize, epoch: u64, offset: u64) {
        let message = &mut self.messages[number];
        assert!(message.offset.is_none_or(|known| known == offset));
        (message.epoch, message.offset) = (Some(epoch), Some(offset));
    }

    /// Offsets of a topic with history begin at 1 in one epoch, are given once, have no gap that
    /// an unanswered publish does not explain, and every subscriber saw them rise; what has none
    /// stands in one order too.
    pub fn check_order(&self, topic: usize, seen: &[Vec<usize>], one_epoch: bool) {
        let of_topic = || self.messages.iter().filter(|message| message.topic == topic);
        let mut places = BTreeSet::new();
        let mut tops: BTreeMap<u64, u64> = BTreeMap::new();
        for message in of_topic() {
            if let (Some(epoch), Some(offset)) = (message.epoch, message.offset) {
                assert!(places.insert((epoch, offset)), "offset {offset} was given twice");
                let top = tops.entry(epoch).or_default();
                *top = offset.max(*top);
            }
        }
        assert!(tops.len() <= 1 || !one_epoch);
        let unplaced = of_topic().filter(|it| it.offset.is_none() && it.fate != Fate::Refused);
        let gaps = tops.values().sum::<u64>() - places.len() as u64;
        assert!(gaps <= unplaced.count() as u64, "offsets have gaps");
        self.check_one_order(topic, seen);
    }

    /// The orders that subscribers saw, and that of the offsets, fit into one: no cycle.
    fn check_one_order(&self, topic: usize, seen: &[Vec<usize>]) {
        let mut placed: Vec<(u64, u64, usize)> = Vec::new();
        for (number, message) in self.messages.iter().enumerate().filter(|it| it.1.topic == topic) {
            if let (Some(epoch), Some(offset)) = (message.epoch, message.offset) {
                placed.push((epoch, offset, number));
            }
        }
        placed.sort_unstable();
        let placed: Vec<usize> = placed.into_iter().map(|(_, _, number)| number).collect();
        let mut behind: BTreeMap<usize, BTreeSet<usize>> = BTreeMap::new();
        let mut before: BTreeMap<usize, usize> = BTreeMap::new();
        let orders = seen.iter().chain([&placed]);
        for order in orders {
            for pair in order.windows(2) {
                before.entry(pair[0]).or_default();
                if behind.entry(pair[0]).or_default().insert(pair[1]) {
                    *before.entry(pair[1]).or_default() += 1;
                }
            }
        }
        let mut ready: Vec<usize> =
            before.iter().filter(|(_, count)| **count == 0).map(|(number, _)| *number).collect();
        let mut done = 0;
        while let Some(number) = ready.pop() {
            done += 1;
            for next in behind.get(&number).into_iter().flatten() {
                let count = before.get_mut(next).expect("it is behind one");
                *count -= 1;
                if *count == 0 {
                    ready.push(*next);
                }
            }
        }
        assert_eq!(done, before.len(), "subscribers saw a topic with history in two orders");
    }
}
