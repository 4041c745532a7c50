//! Reports of connections, topics and the broker itself: what is wanted, which shards are asked in
//! which order, and the JSON that comes of it.
//!
//! A [`Plan`] is driven by whoever can ask shards: the HTTP API in `node`, and a session of the
//! `admin` dialect in `shard`; both give the same text. It asks nobody itself, and reads nothing but
//! counters. JSON is written by hand, for the contract's order of keys. Contract: protocols.md
//! section 7, section 11 "HTTP API" and "admin dialect".

mod cursor;
mod figures;
mod lists;
mod plan;
#[cfg(test)]
mod tests;
mod text;

pub use cursor::{Cursor, NotACursor};
pub use plan::{Plan, Step};

use std::sync::Arc;

use crate::audience::Audience;
use crate::connection::ConnectionId;
use crate::metrics::ShardMetrics;
use crate::sid::Sid;
use crate::time::Now;
use crate::topic::TopicBounds;

/// What a report is wanted of, or what is to be done and reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The counters, with connections by tenant and by topic.
    Stats,
    /// A page of connections.
    Connections {
        /// Which of them.
        of: Audience,
        /// Which page.
        page: Page,
    },
    /// One connection.
    Connection(ConnectionId),
    /// One Socket.IO socket.
    Socket(Sid),
    /// A page of topics.
    Topics {
        /// What their names begin with.
        prefix: Box<str>,
        /// Which page.
        page: Page,
    },
    /// One topic, perhaps ill formed.
    Topic(Box<str>),
    /// Who would get a message of a topic, perhaps ill formed.
    Presence(Box<str>),
    /// Past messages of a topic.
    History {
        /// The topic, perhaps ill formed.
        topic: Box<str>,
        /// The offset behind which they begin.
        since: u64,
        /// Messages at most.
        limit: u16,
    },
    /// The end of all connections of an audience.
    Disconnect {
        /// Whose.
        of: Audience,
        /// The code that they hear.
        code: u16,
        /// The reason that they hear.
        reason: Box<str>,
    },
    /// The end of one Socket.IO socket, which must be there.
    DisconnectSocket(Sid),
    /// The end of one connection, which must be there.
    DisconnectOne {
        /// Which.
        id: ConnectionId,
        /// The code that it hears.
        code: u16,
        /// The reason that it hears.
        reason: Box<str>,
    },
}

/// A part of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Items at most.
    pub limit: u16,
    /// Where it begins, perhaps on a shard that is not there; `None`: at the beginning.
    pub cursor: Option<Cursor>,
}

/// What a report is made in.
#[derive(Clone, Debug)]
pub struct Around {
    /// The node's number.
    pub node: u64,
    /// Its shards.
    pub shards: u8,
    /// Their counters.
    pub metrics: Arc<[Arc<ShardMetrics>]>,
    /// The time.
    pub now: Now,
    /// Whether the broker is shutting down.
    pub draining: bool,
    /// What a topic is.
    pub topic_bounds: TopicBounds,
}
