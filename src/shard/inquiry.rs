//! Inquiries: a question to some shards, and their answers side by side.
//!
//! The asker is the outside, which takes what was told with `Shard::told`, or a connection of an
//! operator (`session/admin.rs`). A question to another shard is mail, one to the own is answered
//! at once. What a shard finds is `report.rs`.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use ahash::RandomState;

use crate::close::Refusal;
use crate::connection::ConnKey;
use crate::interest::ShardSet;
use crate::limits::INQUIRIES_MAX;
use crate::mail::{Delivery, Mail, Receipt, Request};
use crate::query::{Found, Query};
use crate::shard::hub::Hub;
use crate::time::Now;

/// An inquiry to which all shards have answered.
#[derive(Clone, Debug)]
pub struct Told {
    /// The number that `Shard::inquire` gave.
    pub ticket: u64,
    /// What each of the shards that were asked has found, in their order.
    pub parts: Vec<(u8, Found)>,
}

/// An inquiry to which some have not answered yet.
#[derive(Debug)]
struct Open {
    awaited: ShardSet,
    parts: Vec<(u8, Found)>,
    /// Whose connection asks; `None`: the outside.
    asker: Option<ConnKey>,
}

/// The inquiries of one shard.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    open: HashMap<u64, Open, RandomState>,
    told: VecDeque<Told>,
    /// What connections asked.
    answered: VecDeque<(ConnKey, Told)>,
    next_ticket: u64,
}

impl Inquiries {
    /// Takes one that is over and that the outside asked.
    pub(super) fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    /// Takes one that is over and that a connection asked.
    pub(super) fn answered(&mut self) -> Option<(ConnKey, Told)> {
        self.answered.pop_front()
    }

    /// Whether [`Inquiries::answered`] has one.
    pub(super) fn has_answers(&self) -> bool {
        !self.answered.is_empty()
    }

    /// Inquiries that are not over.
    pub(super) fn open(&self) -> usize {
        self.open.len()
    }

    fn begin(&mut self, of: ShardSet, asker: Option<ConnKey>) -> u64 {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let parts = Vec::with_capacity(of.iter().count());
        self.open.insert(ticket, Open { awaited: of, parts, asker });
        ticket
    }

    /// Takes what a shard says; of an inquiry that is not open, or said twice, it is nothing.
    fn add(&mut self, ticket: u64, shard: u8, found: Found) {
        let Some(open) = self.open.get_mut(&ticket) else { return };
        if !open.awaited.contains(shard) {
            return;
        }
        open.awaited = open.awaited.without(shard);
        open.parts.push((shard, found));
        if !open.awaited.is_empty() {
            return;
        }
        let Some(Open { mut parts, asker, .. }) = self.open.remove(&ticket) else { return };
        parts.sort_unstable_by_key(|(shard, _)| *shard);
        let told = Told { ticket, parts };
        match asker {
            None => self.told.push_back(told),
            Some(conn) => self.answered.push_back((conn, told)),
        }
    }
}

impl Hub {
    /// Asks some shards, one at least; what they tell has the ticket given back, and goes to the
    /// connection that asks or else to the outside. A shard that drains answers too.
    pub(super) fn inquire(
        &mut self,
        now: Now,
        query: &Arc<Query>,
        of: ShardSet,
        asker: Option<ConnKey>,
    ) -> Result<u64, Refusal> {
        debug_assert!(!of.is_empty() && of.iter().all(|shard| shard < self.shards), "{of:?}");
        if self.post.congested() || self.inquiries.open() >= INQUIRIES_MAX {
            self.metrics.inquiries_refused_total.add(1);
            return Err(Refusal::Overloaded);
        }
        let ticket = self.inquiries.begin(of, asker);
        let answer = Receipt { shard: self.id, ticket };
        for shard in of.without(self.id).iter() {
            self.metrics.mails_sent_total.add(1);
            let query = Arc::clone(query);
            self.post.send(shard, Mail::Request(Request::Ask { query, answer }));
        }
        if of.contains(self.id) {
            let found = self.find(now, query);
            self.inquiries.add(ticket, self.id, found);
        }
        Ok(ticket)
    }

    /// Takes what a shard says.
    pub(super) fn on_told(&mut self, ticket: u64, shard: u8, found: Found) {
        self.inquiries.add(ticket, shard, found);
    }

    /// Answers a question of another shard.
    pub(super) fn on_ask(&mut self, now: Now, query: &Query, answer: Receipt) {
        let found = Box::new(self.find(now, query));
        let (Receipt { shard, ticket }, from) = (answer, self.id);
        self.send(shard, Delivery::Told { ticket, shard: from, found });
    }
}
