//! Receipts: to how many connections a publish of the server side went, over all shards.
//!
//! Each shard that a message is mailed to answers with its own number; the shard that mails it on
//! says how many will. The answers come in any order. Whoever asked is the outside, or a connection
//! of an operator.

use std::collections::HashMap;

use ahash::RandomState;

use crate::connection::ConnKey;
use crate::limits::RECEIPTS_MAX;
use crate::message::Position;

/// A publish whose deliveries are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The number that `Shard::publish` gave.
    pub ticket: u64,
    /// Connections of this process it was queued for.
    pub delivered: u64,
    /// Its place, on a topic with history.
    pub position: Option<Position>,
}

/// A publish whose deliveries are being counted.
#[derive(Debug, Default)]
struct Awaited {
    /// Answers that are still to come; below zero while some came before their number.
    answers: i64,
    /// Whether their number is known.
    known: bool,
    delivered: u64,
    position: Option<Position>,
    /// Whose connection wants to know; `None`: the outside.
    asker: Option<ConnKey>,
}

/// One part of a count.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    /// Connections of one shard.
    pub(super) delivered: u64,
    /// From whoever mailed the message on: how many others will answer.
    pub(super) more: Option<u32>,
    /// From the home shard: the message's place.
    pub(super) position: Option<Position>,
}

/// The counts of one shard's publishes.
#[derive(Debug, Default)]
pub(super) struct Receipts {
    awaited: HashMap<u64, Awaited, RandomState>,
    settled: Vec<Settled>,
    /// What connections asked.
    answered: Vec<(ConnKey, Settled)>,
    next_ticket: u64,
}

impl Receipts {
    /// Whether no further count may begin.
    pub(super) fn is_full(&self) -> bool {
        self.awaited.len() >= RECEIPTS_MAX
    }

    /// Begins a count for the outside.
    pub(super) fn begin(&mut self) -> u64 {
        self.begin_for(None)
    }

    /// Begins a count for a connection, or the outside.
    pub(super) fn begin_for(&mut self, asker: Option<ConnKey>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        self.awaited.insert(ticket, Awaited { asker, ..Awaited::default() });
        ticket
    }

    /// Takes a part of a count; one for a count that is over is nothing.
    pub(super) fn add(&mut self, ticket: u64, part: Part) {
        let Some(awaited) = self.awaited.get_mut(&ticket) else { return };
        awaited.delivered += part.delivered;
        awaited.position = awaited.position.or(part.position);
        awaited.known |= part.more.is_some();
        awaited.answers += part.more.map_or(-1, i64::from);
        if awaited.known && awaited.answers == 0 {
            let Awaited { delivered, position, asker, .. } = *awaited;
            self.awaited.remove(&ticket);
            let settled = Settled { ticket, delivered, position };
            match asker {
                None => self.settled.push(settled),
                Some(conn) => self.answered.push((conn, settled)),
            }
        }
    }

    /// Takes a count that is over and that a connection asked for.
    pub(super) fn answered(&mut self) -> Option<(ConnKey, Settled)> {
        self.answered.pop()
    }

    /// Whether [`Receipts::answered`] has one.
    pub(super) fn has_answers(&self) -> bool {
        !self.answered.is_empty()
    }

    /// Takes a count that is over and that the outside asked for.
    pub(super) fn settled(&mut self) -> Option<Settled> {
        self.settled.pop()
    }

    /// Asserts that the bound is kept and that no count is over and still kept.
    pub(super) fn check(&self) {
        assert!(self.awaited.len() <= RECEIPTS_MAX);
        assert!(self.awaited.values().all(|awaited| !awaited.known || awaited.answers != 0));
    }

    /// Counts that are not over.
    pub(super) fn open(&self) -> usize {
        self.awaited.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_in_any_order() {
        let part = |delivered, more| Part { delivered, more, position: None };
        for order in [[0, 1, 2], [1, 0, 2], [2, 1, 0], [1, 2, 0]] {
            let parts = [part(1, Some(2)), part(10, None), part(100, None)];
            let mut receipts = Receipts::default();
            let ticket = receipts.begin();
            for at in order {
                assert_eq!(receipts.settled(), None);
                receipts.add(ticket, parts[at]);
            }
            let settled = Settled { ticket, delivered: 111, position: None };
            assert_eq!(receipts.settled(), Some(settled));
            assert_eq!(receipts.open(), 0);
            receipts.add(ticket, parts[0]);
            assert_eq!(receipts.settled(), None);
        }
    }
}
