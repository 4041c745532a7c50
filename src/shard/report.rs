//! What a shard finds when it is asked about its connections and topics, and the disconnects that
//! are asked of it. The JSON of it is `report`'s.
//!
//! Lists are in the order of places, and an answer looks at [`LIST_PLACES_MAX`] of them at most, so
//! that a page costs the same whatever the number of connections; where that cuts it short, it says
//! where the next one begins. What is looked at counts as work of the turn ([`Hub::steps`]), so that
//! a turn answers only so many. Connections that are being closed are not found any more. Contract:
//! protocols.md section 7, section 11 "HTTP API".

use std::collections::BTreeMap;

use crate::audience::Audience;
use crate::auth::Identity;
use crate::close::Close;
use crate::connection::{Address, ConnectionId};
use crate::limits::{LIST_BYTES_MAX, LIST_ITEMS_MAX, LIST_PLACES_MAX, SUBSCRIPTIONS_TOLD_MAX};
use crate::query::{ConnectionFacts, Found, Present, Query};
use crate::shard::hub::Hub;
use crate::shard::slot::Phase;
use crate::time::{Now, Timestamp};
use crate::topic::Topic;

impl Hub {
    /// Answers a question, or does what is asked.
    pub(super) fn find(&mut self, now: Now, query: &Query) -> Found {
        match query {
            Query::Tally => {
                let tally = self.people.tally();
                self.looked_at += tally.len() as u64;
                Found::Tally(tally)
            }
            Query::Connections { of, from, limit } => self.connections(now, of, *from, *limit),
            Query::Topics { from, limit, prefix } => self.list_topics(*from, *limit, prefix),
            Query::Subscribers(names) => {
                self.looked_at += names.len() as u64;
                let count = |name: &str| self.member_count(name);
                Found::Subscribers(names.iter().map(|name| count(name)).collect())
            }
            Query::Members(topic) => self.members(topic),
            Query::Presence { topic, people } => self.presence(topic, *people),
            Query::History { topic, after, limit } => {
                let bound = (usize::from(*limit), LIST_BYTES_MAX);
                let found = self.history.after(topic, *after, bound, now);
                self.looked_at += found.as_ref().map_or(0, |(_, messages)| messages.len() as u64);
                Found::History(found)
            }
            Query::Disconnect { of, code, reason } => {
                let members: Vec<u32> = self.people.members(&self.slots, of).collect();
                self.looked_at += members.len() as u64;
                let mut disconnected = 0;
                for conn in members {
                    if !self.is_listed(conn) {
                        continue;
                    }
                    if self.socket(conn).is_some() {
                        self.disconnect_socket(now, conn, Close::Forced);
                    } else {
                        self.close_with(now, conn, Close::Forced, (*code, reason));
                    }
                    disconnected += 1;
                }
                self.forget_ghosts_of(of);
                Found::Disconnected(disconnected)
            }
        }
    }

    fn connections(&mut self, now: Now, of: &Audience, from: u32, limit: u16) -> Found {
        let places = self.slots.places();
        let until = places.min(from.saturating_add(LIST_PLACES_MAX as u32));
        let few = self.people.members(&self.slots, of).take(LIST_PLACES_MAX + 1);
        let mut few: Vec<u32> = match of {
            Audience::Everyone => (from..until).collect(),
            Audience::Connection(_)
            | Audience::Socket(_)
            | Audience::Tenant(_)
            | Audience::User { .. } => few.collect(),
        };
        let mut end = if matches!(of, Audience::Everyone) { until } else { places };
        let mut looked_at = few.len() as u64;
        if few.len() > LIST_PLACES_MAX {
            // Too many to be put in order: who is looked at is looked at by place.
            few = (from..until).filter(|conn| self.belongs(*conn, of)).collect();
            looked_at += u64::from(until.saturating_sub(from));
            end = until;
        }
        few.sort_unstable();
        let mut next = (end < places).then_some(end);
        let (mut items, mut bytes) = (Vec::new(), 0);
        let is_open = |conn: &u32| *conn >= from && self.is_listed(*conn);
        for conn in few.into_iter().filter(is_open) {
            if items.len() == usize::from(limit) || bytes > LIST_BYTES_MAX {
                next = Some(conn);
                break;
            }
            let facts = self.facts(now, conn);
            bytes += facts.subscriptions.iter().map(|topic| topic.len()).sum::<usize>();
            bytes += facts.roles.iter().map(|role| role.len()).sum::<usize>();
            looked_at += (facts.subscriptions.len() + facts.roles.len()) as u64;
            items.push(facts);
        }
        self.looked_at += looked_at;
        Found::Connections { items, next }
    }

    /// Whether a slot is a connection's that is found: of Socket.IO each socket is one, and an engine
    /// by itself is none.
    fn is_listed(&self, conn: u32) -> bool {
        let is_other = self.slots.role(conn).is_none() && self.slots[conn].phase == Phase::Open;
        is_other || self.is_connected(conn)
    }

    /// Whether a connection is of a user or tenant.
    fn belongs(&self, conn: u32, of: &Audience) -> bool {
        let identity = self.slots[conn].identity.as_deref();
        match of {
            Audience::Everyone => true,
            Audience::Connection(key) => key.index == conn && self.slots.holds(*key),
            Audience::Socket(sid) => sid.place() == conn && self.slots.is_socket(*sid),
            Audience::Tenant(tenant) => identity.is_some_and(|it| it.tenant() == Some(tenant)),
            Audience::User { tenant, user } => identity
                .is_some_and(|it| it.user_id() == &**user && it.tenant() == tenant.as_deref()),
        }
    }

    fn facts(&self, now: Now, conn: u32) -> ConnectionFacts {
        let slot = &self.slots[conn];
        let identity = slot.identity.as_deref();
        let key = self.slots.key(conn);
        let age_ms = now.mono_ms.saturating_sub(slot.opened.ms());
        let subscriptions = self.topics.subscriptions(conn).take(SUBSCRIPTIONS_TOLD_MAX);
        let mut subscriptions: Vec<Box<str>> = subscriptions.map(Into::into).collect();
        subscriptions.sort_unstable();
        ConnectionFacts {
            socket: self.sid(conn),
            id: ConnectionId { node: self.node, at: Address { shard: self.id, conn: key } },
            user: identity.map(|it| it.user_id().into()),
            tenant: identity.and_then(Identity::tenant).map(Into::into),
            roles: identity.map_or(Vec::new(), |it| it.roles().map(Into::into).collect()),
            endpoint: (&*self.policy.endpoints[usize::from(slot.endpoint)].path).into(),
            address: slot.address,
            opened: Timestamp(now.wall.0.saturating_sub(age_ms)),
            subscriptions,
            backlog_bytes: slot.backlog.as_ref().map_or(0, |backlog| backlog.bytes() as u64),
        }
    }

    fn list_topics(&mut self, from: u32, limit: u16, prefix: &str) -> Found {
        let (mut items, mut next) = (Vec::new(), None);
        for (looked_at, (place, named)) in self.topics.places_from(from).enumerate() {
            if items.len() == usize::from(limit) || looked_at == LIST_PLACES_MAX {
                next = Some(place);
                break;
            }
            self.looked_at += 1;
            if let Some((name, subscribers)) = named
                && name.starts_with(prefix)
            {
                items.push((name.into(), subscribers as u64));
            }
        }
        Found::Topics { items, next }
    }

    /// The first Socket.IO sockets that would get a message of a topic. Costs a step a subscriber.
    fn members(&mut self, topic: &str) -> Found {
        let mut found = Vec::new();
        if let Ok(topic) = Topic::parse(topic, self.policy.topic_bounds) {
            let Self { topics, slots, looked_at, .. } = self;
            for subscriber in topics.matching(topic, topic.hash()).flatten() {
                *looked_at += 1;
                if slots.role(subscriber.conn).is_some() {
                    found.push(subscriber.conn);
                }
            }
        }
        found.sort_unstable();
        found.dedup();
        found.truncate(LIST_ITEMS_MAX);
        Found::Members(found.into_iter().filter_map(|conn| self.sid(conn)).collect())
    }

    /// Who would get a message of a topic: the first users by name, where they are wanted, and all
    /// connections. Costs a step a subscriber, as the message itself would.
    fn presence(&mut self, topic: &str, wants_people: bool) -> Found {
        let mut connections = 0;
        let mut people = BTreeMap::<(Option<&str>, Option<&str>), u64>::new();
        if let Ok(topic) = Topic::parse(topic, self.policy.topic_bounds) {
            let stamp = self.next_stamp();
            let Self { topics, slots, looked_at, .. } = self;
            let mut found = Vec::new();
            for subscribers in topics.matching(topic, topic.hash()) {
                for subscriber in subscribers {
                    let slot = &mut slots[subscriber.conn];
                    let is_there = matches!(slot.phase, Phase::Open | Phase::Guest);
                    if std::mem::replace(&mut slot.stamp, stamp) != stamp && is_there {
                        connections += 1;
                        if wants_people {
                            found.push(subscriber.conn);
                        }
                    }
                }
            }
            *looked_at += connections;
            for conn in found {
                let identity = slots[conn].identity.as_deref();
                let who = (identity.map(Identity::user_id), identity.and_then(Identity::tenant));
                if let Some(known) = people.get_mut(&who) {
                    *known += 1;
                    continue;
                }
                // Who falls off the end never comes back: the last only gets smaller.
                if people.len() == LIST_ITEMS_MAX {
                    if people.last_key_value().is_none_or(|(last, _)| *last < who) {
                        continue;
                    }
                    people.pop_last();
                }
                people.insert(who, 1);
            }
        }
        let present = |((user, tenant), connections): ((Option<&str>, Option<&str>), u64)| {
            Present { user: user.map(Into::into), tenant: tenant.map(Into::into), connections }
        };
        Found::Presence { people: people.into_iter().map(present).collect(), connections }
    }
}
