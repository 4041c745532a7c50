//! Replies that wait for what other shards count: members of a room, whether a socket was there.
//!
//! The engine of the socket that asked is held meanwhile, so that replies keep their order; how an
//! answer finds its engine is by the number of the inquiry or receipt. Where nothing is to be asked
//! of others, nobody waits. Contract: protocols.md section 11, "Socket.IO".

use std::sync::Arc;

use super::Said;
use crate::connection::ConnKey;
use crate::query::{Found, Query};
use crate::shard::hub::Hub;
use crate::shard::inquiry::Told;
use crate::shard::receipts::Settled;
use crate::time::Now;
use crate::topic::Topic;

/// A reply that waits.
#[derive(Debug)]
pub struct Counting {
    /// Of an inquiry or a receipt, by what is counted.
    ticket: u64,
    /// The slot of the socket that is to be told.
    pub(in crate::shard) socket: u32,
    ack: Option<u64>,
    what: What,
}

/// What is counted.
#[derive(Debug)]
enum What {
    /// Members of a room that the socket has joined.
    Members(Box<str>),
    /// Sockets that a message went to; the acknowledgement so far.
    Deliveries(Vec<u8>),
}

impl Hub {
    /// Tells a socket that it has joined a room, once it is known with how many others.
    pub(super) fn reply_joined(&mut self, now: Now, said: &Said<'_>, room: &str) {
        let topic = Topic::checked(room);
        let shards = self.interest.table().shards(room, topic.hash());
        let carrier = self.slots.key(self.carrier_of(said.socket));
        if !shards.without(self.id).is_empty() {
            let query = Arc::new(Query::Subscribers(Box::new([room.into()])));
            if let Ok(ticket) = self.inquire(now, &query, shards, Some(carrier)) {
                let what = What::Members(room.into());
                return self.count(carrier, ticket, said, what);
            }
            // With too many questions open it hears of those of this shard.
        }
        let members = self.member_count(room);
        self.joined(said.socket, said.ack, room, members);
    }

    /// Acknowledges a message to a socket, once it is known whether that was there; `sent` is the
    /// acknowledgement without its end.
    pub(super) fn reply_sent(&mut self, said: &Said<'_>, ticket: u64, sent: Vec<u8>) {
        let carrier = self.slots.key(self.carrier_of(said.socket));
        self.count(carrier, ticket, said, What::Deliveries(sent));
    }

    fn count(&mut self, carrier: ConnKey, ticket: u64, said: &Said<'_>, what: What) {
        let (socket, ack) = (said.socket, said.ack);
        self.count_for(carrier.index, Counting { ticket, socket, ack, what });
    }

    /// Takes what was told to an engine; what nobody waits for any more is nothing.
    pub(in crate::shard::session) fn members_told(&mut self, key: ConnKey, told: &Told) {
        let is_this =
            |it: &Counting| it.ticket == told.ticket && matches!(it.what, What::Members(_));
        let counts = told.parts.iter().map(|(_, found)| match found {
            Found::Subscribers(counts) => counts.iter().sum(),
            _ => 0,
        });
        let members = counts.sum();
        if self.slots.holds(key)
            && let Some(Counting { socket, ack, what: What::Members(room), .. }) =
                self.take_counting(key.index, is_this)
        {
            self.joined(socket, ack, &room, members);
        }
    }

    /// The same of what was counted.
    pub(in crate::shard::session) fn deliveries_counted(
        &mut self,
        key: ConnKey,
        counted: &Settled,
    ) {
        let is_this =
            |it: &Counting| it.ticket == counted.ticket && matches!(it.what, What::Deliveries(_));
        if self.slots.holds(key)
            && let Some(Counting { socket, ack, what: What::Deliveries(sent), .. }) =
                self.take_counting(key.index, is_this)
        {
            self.sent(socket, ack, sent, counted.delivered);
        }
    }
}
