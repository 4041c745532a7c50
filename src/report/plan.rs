//! The steps from what is wanted to the text of it.
//!
//! In this version a plan knows whom to ask first, and its text is empty: nobody drives one yet.

use std::sync::Arc;

use super::{Around, Cursor, NotFound, Page, Wanted};
use crate::audience::Audience;
use crate::connection::ConnectionId;
use crate::interest::{ShardSet, home_of};
use crate::query::{Found, Query};
use crate::topic::name_hash;

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Ask these shards, and give what they say to [`Plan::told`].
    Ask {
        /// The question.
        query: Arc<Query>,
        /// Whom.
        of: ShardSet,
    },
    /// Nothing more: the JSON text.
    Done(Result<String, NotFound>),
}

/// A report that is being made.
#[derive(Debug)]
pub struct Plan;

impl Plan {
    /// Begins a report.
    pub fn begin(wanted: Wanted, around: &Around) -> (Self, Step) {
        let all = ShardSet::all(around.shards);
        let (query, of) = match wanted {
            Wanted::Stats => (Query::Tally, all),
            Wanted::Connections { of, page } => {
                let (from, on) = begins_at(page);
                (Query::Connections { of, from, limit: page.limit }, on)
            }
            Wanted::Connection(id) => {
                let of = Audience::Connection(id.at.conn);
                (Query::Connections { of, from: id.at.conn.index, limit: 1 }, owner(id, around))
            }
            Wanted::Topics { prefix, page } => {
                let (from, on) = begins_at(page);
                (Query::Topics { from, limit: page.limit, prefix }, on)
            }
            Wanted::Topic(topic) | Wanted::Presence(topic) => (Query::Presence(topic), all),
            Wanted::History { topic, since, limit } => {
                let home = ShardSet::only(home_of(name_hash(&topic), around.shards));
                (Query::History { topic, after: since, limit }, home)
            }
            Wanted::Disconnect { of, code, reason } => {
                (Query::Disconnect { of, code, reason }, all)
            }
            Wanted::DisconnectOne { id, code, reason } => {
                let of = Audience::Connection(id.at.conn);
                (Query::Disconnect { of, code, reason }, owner(id, around))
            }
        };
        // A shard that is not there, or nobody's: what was named is not either.
        let is_there = !of.is_empty() && of.iter().all(|shard| shard < around.shards);
        if is_there {
            (Self, Step::Ask { query: Arc::new(query), of })
        } else {
            (Self, Step::Done(Err(NotFound)))
        }
    }

    /// Takes what the shards said that were asked last.
    pub fn told(&mut self, _parts: Vec<(u8, Found)>, _around: &Around) -> Step {
        Step::Done(Ok("{}".into()))
    }
}

/// The first place of a page, and the shard that it is on.
fn begins_at(page: Page) -> (u32, ShardSet) {
    let Cursor { shard, index } = page.cursor.unwrap_or(Cursor { shard: 0, index: 0 });
    (index, ShardSet::only(shard))
}

/// The shard that would have a connection; none where it is another node's.
fn owner(id: ConnectionId, around: &Around) -> ShardSet {
    if id.node == around.node { ShardSet::only(id.at.shard) } else { ShardSet::all(0) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::{Address, ConnKey};
    use crate::time::{Now, Timestamp};

    #[test]
    fn only_shards_that_are_there_are_asked() {
        let now = Now { mono_ms: 0, wall: Timestamp(0) };
        let metrics = Arc::from([]);
        let around = Around { node: 7, shards: 2, metrics, now, draining: false };
        let asks = |wanted| match Plan::begin(wanted, &around).1 {
            Step::Ask { of, .. } => of.iter().collect(),
            Step::Done(outcome) => {
                assert_eq!(outcome, Err(NotFound));
                Vec::new()
            }
        };
        let connection = |node, shard| {
            let conn = ConnKey { index: 5, generation: 0 };
            Wanted::Connection(ConnectionId { node, at: Address { shard, conn } })
        };
        let topics = |shard| {
            let page = Page { limit: 10, cursor: Some(Cursor { shard, index: 0 }) };
            Wanted::Topics { prefix: "".into(), page }
        };
        assert_eq!(asks(Wanted::Stats), [0, 1]);
        assert_eq!(asks(connection(7, 1)), [1]);
        assert_eq!(asks(topics(1)), [1]);
        for wanted in [connection(8, 1), connection(7, 2), connection(7, 255), topics(64)] {
            assert!(asks(wanted.clone()).is_empty(), "{wanted:?}");
        }
    }
}
