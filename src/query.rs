//! What one shard is asked about its connections and topics, and what it says.
//!
//! Plain facts and no JSON: `report` makes the text of them. A question goes to some shards as mail
//! (`mail::Request::Ask`), each answers for itself (`mail::Delivery::Told`), and the shard that asks
//! puts the answers side by side. Lists are taken in the order of places, a page at a time, so that
//! no answer costs more than its page.

use std::net::IpAddr;
use std::sync::Arc;

use crate::audience::Audience;
use crate::connection::ConnectionId;
use crate::message::{Message, Position};
use crate::sid::Sid;
use crate::time::Timestamp;

/// What a shard is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Query {
    /// How many connections each tenant has.
    Tally,
    /// Who is connected, from a place on.
    Connections {
        /// Which of them.
        of: Audience,
        /// The first place that is looked at.
        from: u32,
        /// Connections in an answer.
        limit: u16,
    },
    /// Which topics have subscribers, from a place on.
    Topics {
        /// The first place that is looked at.
        from: u32,
        /// Topics in an answer.
        limit: u16,
        /// What their names begin with.
        prefix: Box<str>,
    },
    /// How many subscribers each of these names has; in their order, names and not what matches.
    Subscribers(Box<[Box<str>]>),
    /// Which Socket.IO sockets would get a message of a topic; the first of them.
    Members(Box<str>),
    /// Who would get a message of a topic, by a name or a pattern.
    Presence {
        /// The topic.
        topic: Box<str>,
        /// Whether users are told too, and not just how many connections.
        people: bool,
    },
    /// The past messages of a topic; asked of its home shard.
    History {
        /// The topic.
        topic: Box<str>,
        /// The offset behind which they begin.
        after: u64,
        /// Messages in an answer.
        limit: u16,
    },
    /// End connections.
    Disconnect {
        /// Which.
        of: Audience,
        /// The code that they hear.
        code: u16,
        /// The reason that they hear.
        reason: Box<str>,
    },
}

/// What a shard found, by the variant of its [`Query`].
#[derive(Clone, Debug)]
pub enum Found {
    /// Tenants, and how many connections each has.
    Tally(Vec<(Box<str>, u64)>),
    /// A page of connections.
    Connections {
        /// Those found.
        items: Vec<ConnectionFacts>,
        /// Where the next page begins, where there is one.
        next: Option<u32>,
    },
    /// A page of topics.
    Topics {
        /// Names, and how many subscribers each has here.
        items: Vec<(Box<str>, u64)>,
        /// Where the next page begins, where there is one.
        next: Option<u32>,
    },
    /// Subscribers of each name that was asked for.
    Subscribers(Vec<u64>),
    /// Sockets, in the order of their places, a page at most.
    Members(Vec<Sid>),
    /// Who would get a message.
    Presence {
        /// The users, so many at most as a page may have.
        people: Vec<Present>,
        /// All connections that would get it, each once.
        connections: u64,
    },
    /// The last position given and the messages asked for; `None` where the topic has no history.
    History(Option<(Position, Vec<Arc<Message>>)>),
    /// How many connections were ended.
    Disconnected(u64),
}

/// What is told of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectionFacts {
    /// Its name.
    pub id: ConnectionId,
    /// Its name as a Socket.IO socket, where it is one.
    pub socket: Option<Sid>,
    /// Its user; `None` for an anonymous one.
    pub user: Option<Box<str>>,
    /// Its user's tenant.
    pub tenant: Option<Box<str>>,
    /// Its user's roles.
    pub roles: Vec<Box<str>>,
    /// The path of the endpoint it came in by.
    pub endpoint: Box<str>,
    /// The client's address.
    pub address: IpAddr,
    /// When it came.
    pub opened: Timestamp,
    /// What it is subscribed to, a thousand at most.
    pub subscriptions: Vec<Box<str>>,
    /// Bytes that wait for it because it does not read.
    pub backlog_bytes: u64,
}

/// A user who is subscribed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Present {
    /// The user; `None` stands for all anonymous ones.
    pub user: Option<Box<str>>,
    /// The user's tenant.
    pub tenant: Option<Box<str>>,
    /// The user's connections that are.
    pub connections: u64,
}
