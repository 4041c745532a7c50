//! Announcements: what the server side says to an audience, whatever that is subscribed to.
//!
//! A shard mails the message to all others and hands it to its own, each of which it is encoded for
//! once a lane; the others answer the receipt. Who has no place in an audience, whatever the
//! audience: who must authenticate and has not, who is being closed, and the dialects `echo` and
//! `admin`, which have no message for it. Contract: protocols.md section 7, section 11 "HTTP API".

use std::sync::Arc;

use crate::audience::Audience;
use crate::close::Refusal;
use crate::config::Dialect;
use crate::connection::ConnKey;
use crate::interest::ShardSet;
use crate::mail::{Delivery, Receipt};
use crate::message::{Message, Publication};
use crate::shard::encoder::Encoded;
use crate::shard::hub::Hub;
use crate::shard::receipts::Part;
use crate::shard::slot::Phase;

impl Hub {
    /// Says something to an audience; the deliveries are counted under the ticket given back, for
    /// the connection that asks or else the outside.
    pub(super) fn announce(
        &mut self,
        publication: &Publication<'_>,
        audience: &Arc<Audience>,
        asker: Option<ConnKey>,
    ) -> Result<u64, Refusal> {
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        if self.post.congested() || self.receipts.is_full() {
            return Err(Refusal::Overloaded);
        }
        self.metrics.messages_published_total.add(1);
        let ticket = self.receipts.begin_for(asker);
        let receipt = Some(Receipt { shard: self.id, ticket });
        // A connection is named on its own shard.
        let is_here = matches!(**audience, Audience::Connection(_) | Audience::Socket(_));
        let others = if is_here { ShardSet::all(0) } else { ShardSet::all(self.shards) };
        let others = others.without(self.id);
        let mut mails = 0;
        if !others.is_empty() {
            let message = Arc::new(Message::new(publication));
            for shard in others.iter() {
                let (message, audience) = (Arc::clone(&message), Arc::clone(audience));
                self.send(shard, Delivery::Announce { message, audience, receipt });
                mails += 1;
            }
        }
        let delivered = self.hand_to(publication, audience);
        self.receipts.add(ticket, Part { delivered, more: Some(mails), position: None });
        Ok(ticket)
    }

    /// Takes an announcement of another shard.
    pub(super) fn on_announce(
        &mut self,
        message: &Message,
        audience: &Audience,
        receipt: Option<Receipt>,
    ) {
        let count = self.hand_to(&message.publication(), audience);
        if let Some(Receipt { shard, ticket }) = receipt {
            let (more, position) = (None, None);
            self.send(shard, Delivery::Delivered { ticket, count, more, position });
        }
    }

    /// Queues a message for those of an audience on this shard; says for how many.
    fn hand_to(&mut self, publication: &Publication<'_>, audience: &Audience) -> u64 {
        let Self { people, slots, outbox, encoder, policy, .. } = self;
        let mut encoded = Encoded::default();
        let mut delivered = 0;
        for conn in people.members(slots, audience) {
            let slot = &mut slots[conn];
            if slot.phase != Phase::Open {
                continue;
            }
            let endpoint = &policy.endpoints[usize::from(slot.endpoint)];
            let is_mute =
                matches!(endpoint.dialect, Dialect::Echo | Dialect::Admin | Dialect::SocketIo);
            if is_mute || endpoint.require_authentication && slot.identity.is_none() {
                continue;
            }
            let range = encoded.in_lane(slot.lane, 0, |lane| {
                encoder.encode(outbox, lane, publication, policy.compression_min_bytes)
            });
            outbox.queue(conn, &mut slot.pending, range);
            delivered += 1;
        }
        self.metrics.deliveries_total.add(delivered);
        delivered
    }
}
