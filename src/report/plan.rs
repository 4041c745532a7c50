//! The steps from what is wanted to the text of it.
//!
//! A list is asked of one shard after the other until its page is full; most else of all shards at
//! once, and put together. What a shard says is never trusted to be whole: a page is what came, and
//! where it goes on.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::figures;
use super::lists::{ConnectionList, TopicList};
use super::text::{self, Text};
use super::{Around, Page, Wanted};
use crate::audience::Audience;
use crate::close::{Close, Refusal};
use crate::connection::ConnectionId;
use crate::interest::{ShardSet, home_of};
use crate::limits::{LIST_ITEMS_MAX, PAGE_ITEMS_MAX};
use crate::message::Position;
use crate::query::{Found, Present, Query};
use crate::sid::Sid;
use crate::topic::{Topic, name_hash};

/// What is to be done next.
#[derive(Clone, Debug)]
pub enum Step {
    /// Ask these shards, one at least, and give what they say to [`Plan::told`].
    Ask {
        /// The question.
        query: Arc<Query>,
        /// Whom.
        of: ShardSet,
    },
    /// Nothing more: the JSON text, or why there is none. [`Refusal::NotFound`] where what was
    /// named is not there; a 400 where nothing can be of such a name: the fault of who asks.
    Done(Result<String, Refusal>),
}

/// A report that is being made.
#[derive(Debug)]
pub struct Plan(State);

/// What was asked last.
#[derive(Debug)]
enum State {
    Tally,
    /// The topics of figures, with what the tally came to.
    Figures(BTreeMap<Box<str>, u64>, TopicList),
    Connections(ConnectionList),
    Connection,
    Topics(TopicList),
    /// By name, of the topic.
    Subscribers(Box<str>),
    /// By name and pattern, with the subscribers by name.
    Matching(Box<str>, u64),
    /// The place of a topic, with its subscribers and all connections.
    Place(Box<str>, u64, u64),
    /// And its place in a history, where it has one.
    Members(Box<str>, u64, u64, Option<Position>),
    Presence,
    History,
    Disconnect,
    DisconnectOne,
}

impl Step {
    fn ask(query: Query, of: ShardSet) -> Self {
        Self::Ask { query: Arc::new(query), of }
    }

    fn done(text: Text) -> Self {
        Self::Done(Ok(text.into_string()))
    }
}

impl Plan {
    /// Begins a report, if there can be one.
    pub fn begin(wanted: Wanted, around: &Around) -> (Self, Step) {
        if let Some(refusal) = objection(&wanted, around) {
            return (Self(State::Tally), Step::Done(Err(refusal)));
        }
        let all = ShardSet::all(around.shards);
        let (state, query, of) = match wanted {
            Wanted::Stats => (State::Tally, Query::Tally, all),
            Wanted::Connections { of, page } => {
                let list = ConnectionList::new(of, page);
                let (query, of) = list.first();
                (State::Connections(list), query, of)
            }
            Wanted::Connection(id) => {
                let of = Audience::Connection(id.at.conn);
                let query = Query::Connections { of, from: id.at.conn.index, limit: 1 };
                (State::Connection, query, ShardSet::only(id.at.shard))
            }
            Wanted::Socket(sid) => {
                let of = Audience::Socket(sid);
                let query = Query::Connections { of, from: sid.place(), limit: 1 };
                (State::Connection, query, ShardSet::only(sid.shard()))
            }
            Wanted::Topics { prefix, page } => {
                let list = TopicList::new(prefix, page);
                let (query, of) = list.first();
                (State::Topics(list), query, of)
            }
            Wanted::Topic(topic) => {
                let query = Query::Subscribers([topic.clone()].into());
                (State::Subscribers(topic), query, all)
            }
            Wanted::Presence(topic) => {
                (State::Presence, Query::Presence { topic, people: true }, all)
            }
            Wanted::History { topic, since, limit } => {
                let home = home(&topic, around);
                (State::History, Query::History { topic, after: since, limit }, home)
            }
            Wanted::Disconnect { of, code, reason } => {
                (State::Disconnect, Query::Disconnect { of, code, reason }, all)
            }
            Wanted::DisconnectSocket(sid) => {
                // Its client is told neither a code nor a reason.
                let (code, reason) = (Close::Forced.code(), Close::Forced.reason().into());
                let query = Query::Disconnect { of: Audience::Socket(sid), code, reason };
                (State::DisconnectOne, query, ShardSet::only(sid.shard()))
            }
            Wanted::DisconnectOne { id, code, reason } => {
                let of = Audience::Connection(id.at.conn);
                let one = ShardSet::only(id.at.shard);
                (State::DisconnectOne, Query::Disconnect { of, code, reason }, one)
            }
        };
        (Self(state), Step::ask(query, of))
    }

    /// Takes what the shards said that were asked last.
    pub fn told(&mut self, parts: Vec<(u8, Found)>, around: &Around) -> Step {
        let state = std::mem::replace(&mut self.0, State::Tally);
        let (state, query, of) = match state {
            State::Tally => {
                let tally = tally(parts);
                let page = Page { limit: PAGE_ITEMS_MAX, cursor: None };
                let list = TopicList::new("".into(), page);
                let (query, of) = list.first();
                (State::Figures(tally, list), query, of)
            }
            State::Figures(tally, mut list) => match list.told(parts, around.shards) {
                Some((query, of)) => (State::Figures(tally, list), query, of),
                None => return Step::done(figures::figures(&tally, &list, around)),
            },
            State::Connections(mut list) => match list.told(parts, around.shards) {
                Some((query, of)) => (State::Connections(list), query, of),
                None => return Step::done(list.text()),
            },
            State::Topics(mut list) => match list.told(parts, around.shards) {
                Some((query, of)) => (State::Topics(list), query, of),
                None => return Step::done(list.text()),
            },
            State::Connection => return connection(parts),
            State::Subscribers(topic) => {
                let subscribers = sum(parts);
                let query = Query::Presence { topic: topic.clone(), people: false };
                (State::Matching(topic, subscribers), query, ShardSet::all(around.shards))
            }
            State::Matching(topic, subscribers) => {
                let (_, connections) = present(parts);
                let query = Query::History { topic: topic.clone(), after: u64::MAX, limit: 0 };
                let home = home(&topic, around);
                (State::Place(topic, subscribers, connections), query, home)
            }
            State::Place(topic, subscribers, connections) => {
                let position = history(parts).map(|(position, _)| position);
                let query = Query::Members(topic.clone());
                let state = State::Members(topic, subscribers, connections, position);
                (state, query, ShardSet::all(around.shards))
            }
            State::Members(topic, subscribers, connections, position) => {
                let members = members(parts);
                return Step::done(topic_text(
                    &topic,
                    subscribers,
                    connections,
                    position,
                    &members,
                ));
            }
            State::Presence => {
                let (people, connections) = present(parts);
                return Step::done(text::presence(&people, connections));
            }
            State::History => return Step::done(text::history(history(parts))),
            State::Disconnect => return Step::done(disconnected(sum(parts))),
            State::DisconnectOne => {
                return match sum(parts) {
                    0 => Step::Done(Err(Refusal::NotFound)),
                    count => Step::done(disconnected(count)),
                };
            }
        };
        self.0 = state;
        Step::ask(query, of)
    }
}

/// Why nobody need be asked: what is named is no place or topic, or nobody here can have it.
fn objection(wanted: &Wanted, around: &Around) -> Option<Refusal> {
    match wanted {
        Wanted::Connections { page, .. } | Wanted::Topics { page, .. } => {
            let elsewhere = page.cursor.is_some_and(|cursor| cursor.shard >= around.shards);
            elsewhere.then_some(Refusal::IllTyped("cursor"))
        }
        Wanted::Connection(id) | Wanted::DisconnectOne { id, .. } => {
            (!is_owned(*id, around)).then_some(Refusal::NotFound)
        }
        Wanted::Socket(sid) | Wanted::DisconnectSocket(sid) => {
            (sid.shard() >= around.shards).then_some(Refusal::NotFound)
        }
        Wanted::Topic(topic) | Wanted::Presence(topic) | Wanted::History { topic, .. } => {
            Topic::parse(topic, around.topic_bounds).err().map(Refusal::BadTopic)
        }
        Wanted::Stats | Wanted::Disconnect { .. } => None,
    }
}

/// Whether a connection would be on one of the shards.
fn is_owned(id: ConnectionId, around: &Around) -> bool {
    id.node == around.node && id.at.shard < around.shards
}

fn home(topic: &str, around: &Around) -> ShardSet {
    ShardSet::only(home_of(name_hash(topic), around.shards))
}

/// Connections by tenant, the first tenants by name.
fn tally(parts: Vec<(u8, Found)>) -> BTreeMap<Box<str>, u64> {
    let mut all = BTreeMap::new();
    for (_, found) in parts {
        let Found::Tally(tenants) = found else { continue };
        for (tenant, connections) in tenants {
            *all.entry(tenant).or_insert(0) += connections;
        }
    }
    // Each shard gave its first: those behind the first of all may be less than there are.
    while all.len() > LIST_ITEMS_MAX {
        all.pop_last();
    }
    all
}

fn connection(parts: Vec<(u8, Found)>) -> Step {
    for (_, found) in parts {
        if let Found::Connections { items, .. } = found
            && let Some(facts) = items.first()
        {
            let mut text = Text::default();
            text::connection(&mut text, facts);
            return Step::done(text);
        }
    }
    Step::Done(Err(Refusal::NotFound))
}

/// The numbers that were told, all together.
fn sum(parts: Vec<(u8, Found)>) -> u64 {
    let number = |(_, found)| match found {
        Found::Subscribers(counts) => counts.iter().sum(),
        Found::Disconnected(count) => count,
        _ => 0,
    };
    parts.into_iter().map(number).sum()
}

/// The first users by name, each with the connections on all shards; and all connections.
fn present(parts: Vec<(u8, Found)>) -> (Vec<Present>, u64) {
    let (mut all, mut connections) = (BTreeMap::new(), 0);
    for (_, found) in parts {
        let Found::Presence { people, connections: here } = found else { continue };
        connections += here;
        for Present { user, tenant, connections } in people {
            *all.entry((user, tenant)).or_insert(0) += connections;
        }
    }
    let first = all.into_iter().take(LIST_ITEMS_MAX);
    let people =
        first.map(|((user, tenant), connections)| Present { user, tenant, connections }).collect();
    (people, connections)
}

/// The first Socket.IO sockets of all shards.
fn members(parts: Vec<(u8, Found)>) -> Vec<Sid> {
    let of_shard = |(_, found)| match found {
        Found::Members(members) => members,
        _ => Vec::new(),
    };
    parts.into_iter().flat_map(of_shard).take(LIST_ITEMS_MAX).collect()
}

fn history(parts: Vec<(u8, Found)>) -> Option<(Position, text::Messages)> {
    parts.into_iter().find_map(|(_, found)| match found {
        Found::History(history) => history,
        _ => None,
    })
}

fn disconnected(count: u64) -> Text {
    let mut text = Text::default();
    text.open('{').key("disconnected").number(count).close('}');
    text
}

fn topic_text(
    topic: &str,
    subscribers: u64,
    connections: u64,
    place: Option<Position>,
    members: &[Sid],
) -> Text {
    let mut text = Text::default();
    text.open('{').key("topic").string(topic).key("subscribers").number(subscribers);
    text.key("connections").number(connections).key("history");
    match place {
        None => text.raw("null"),
        Some(Position { epoch, offset }) => {
            text.open('{').key("epoch").string(&epoch.to_string());
            text.key("offset").number(offset).close('}')
        }
    };
    text.key("memberCount").number(subscribers).key("members").open('[');
    for member in members {
        text::socket(&mut text, *member);
    }
    text.close(']').close('}');
    text
}

#[cfg(test)]
mod tests {
    use super::super::Cursor;
    use super::*;
    use crate::connection::{Address, ConnKey};
    use crate::time::{Now, Timestamp};
    use crate::topic::{TopicBounds, TopicError};

    #[test]
    fn only_what_can_be_there_is_asked_for() {
        let now = Now { mono_ms: 0, wall: Timestamp(0) };
        let (metrics, topic_bounds) = (Arc::from([]), TopicBounds::default());
        let around = Around { node: 7, shards: 2, metrics, now, draining: false, topic_bounds };
        let asks = |wanted| match Plan::begin(wanted, &around).1 {
            Step::Ask { of, .. } => Ok(of.iter().collect()),
            Step::Done(outcome) => Err(outcome.unwrap_err()),
        };
        let id = |node, shard| {
            let conn = ConnKey { index: 5, generation: 0 };
            ConnectionId { node, at: Address { shard, conn } }
        };
        let one = |id| Wanted::DisconnectOne { id, code: 1008, reason: "".into() };
        let page = |shard| Page { limit: 10, cursor: Some(Cursor { shard, index: 0 }) };
        let topics = |shard| Wanted::Topics { prefix: "".into(), page: page(shard) };
        let people = |shard| Wanted::Connections { of: Audience::Everyone, page: page(shard) };
        for (wanted, expected) in [
            (Wanted::Stats, vec![0, 1]),
            (Wanted::Connection(id(7, 1)), vec![1]),
            (one(id(7, 0)), vec![0]),
            (topics(1), vec![1]),
            (people(0), vec![0]),
            (Wanted::Topic("a.b".into()), vec![0, 1]),
        ] {
            assert_eq!(asks(wanted.clone()), Ok(expected), "{wanted:?}");
        }
        for id in [id(8, 1), id(7, 2), id(7, 255)] {
            assert_eq!(asks(Wanted::Connection(id)), Err(Refusal::NotFound), "{id:?}");
            assert_eq!(asks(one(id)), Err(Refusal::NotFound), "{id:?}");
        }
        for shard in [2, 64, 255] {
            assert_eq!(asks(topics(shard)), Err(Refusal::IllTyped("cursor")));
            assert_eq!(asks(people(shard)), Err(Refusal::IllTyped("cursor")));
        }
        let wild = || "a.*".into();
        for wanted in [
            Wanted::Topic(wild()),
            Wanted::Presence(wild()),
            Wanted::History { topic: wild(), since: 0, limit: 1 },
        ] {
            assert_eq!(asks(wanted), Err(Refusal::BadTopic(TopicError::WildcardInTopic)));
        }
    }
}
