//! Inquiries: a question to some shards, and their answers side by side.
//!
//! The asker is the outside, which takes what was told with `Shard::told`. In this version nothing
//! is asked: whoever wants to is refused.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::close::Refusal;
use crate::interest::ShardSet;
use crate::mail::Receipt;
use crate::query::{Found, Query};
use crate::shard::hub::Hub;

/// An inquiry to which all shards have answered.
#[derive(Clone, Debug)]
pub struct Told {
    /// The number that `Shard::inquire` gave.
    pub ticket: u64,
    /// What each of the shards that were asked has found.
    pub parts: Vec<(u8, Found)>,
}

/// The inquiries of one shard.
#[derive(Debug, Default)]
pub(super) struct Inquiries {
    told: VecDeque<Told>,
}

impl Inquiries {
    /// Takes one that is over.
    pub(super) fn told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }
}

impl Hub {
    /// Asks some shards; what they tell has the ticket given back.
    pub(super) fn inquire(&mut self, _query: &Arc<Query>, _of: ShardSet) -> Result<u64, Refusal> {
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        Err(Refusal::Overloaded)
    }

    /// Takes what a shard says: of an inquiry that is not open it is nothing, and none is.
    #[expect(clippy::unused_self, reason = "no inquiry is open")]
    pub(super) fn on_told(&mut self, _ticket: u64, _shard: u8, _found: Found) {}

    /// Takes a question: no shard asks one.
    #[expect(clippy::unused_self, reason = "nothing is asked")]
    pub(super) fn on_ask(&mut self, _query: &Query, _answer: Receipt) {}
}
