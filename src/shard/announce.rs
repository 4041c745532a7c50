//! Announcements: what the server side says to an audience, whatever that is subscribed to.
//!
//! A shard mails the message to all others and hands it to its own, each of which it is encoded for
//! once a lane; the others answer the receipt. Who has no place in an audience, whatever the
//! audience: who must authenticate and has not, who is being closed, and the dialects `echo` and
//! `admin`, which have no message for it. Of Socket.IO clients each socket has its own place. Contract: protocols.md section 7, section 11 "HTTP API".

use std::sync::Arc;

use crate::audience::Audience;
use crate::close::Refusal;
use crate::config::Dialect;
use crate::connection::ConnKey;
use crate::interest::ShardSet;
use crate::mail::{Delivery, Receipt};
use crate::message::{Message, Publication};
use crate::shard::encoder::{Encoded, mute_from};
use crate::shard::fanout::transport_of;
use crate::shard::hub::Hub;
use crate::shard::receipts::Part;
use crate::shard::recovery::Said;
use crate::shard::role::{Namespace, Role};
use crate::shard::slot::Slots;
use crate::sid::Sid;

/// How many a message reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// So many.
    Known(u64),
    /// What is counted under this ticket.
    Awaited(u64),
}

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
        let (mut mails, mut shared) = (0, None);
        if !others.is_empty() {
            let message = shared.insert(Arc::new(Message::new(publication)));
            for shard in others.iter() {
                let (message, audience) = (Arc::clone(message), Arc::clone(audience));
                self.send(shard, Delivery::Announce { message, audience, receipt });
                mails += 1;
            }
        }
        let delivered = self.hand_to(publication, shared.as_ref(), audience);
        self.receipts.add(ticket, Part { delivered, more: Some(mails), position: None });
        Ok(ticket)
    }

    /// Says something to one Socket.IO socket, wherever that is; how many it reaches is told where
    /// somebody asks.
    pub(super) fn say_to_socket(
        &mut self,
        publication: &Publication<'_>,
        sid: Sid,
        asker: Option<ConnKey>,
    ) -> Result<Reach, Refusal> {
        let audience = Audience::Socket(sid);
        if sid.shard() == self.id {
            return Ok(Reach::Known(self.hand_to(publication, None, &audience)));
        }
        if self.post.congested() || self.receipts.is_full() {
            return Err(Refusal::Overloaded);
        }
        let ticket = asker.map(|asker| self.receipts.begin_for(Some(asker)));
        let receipt = ticket.map(|ticket| Receipt { shard: self.id, ticket });
        let message = Arc::new(Message::new(publication));
        let audience = Arc::new(audience);
        self.send(sid.shard(), Delivery::Announce { message, audience, receipt });
        let Some(ticket) = ticket else { return Ok(Reach::Known(0)) };
        self.receipts.add(ticket, Part { delivered: 0, more: Some(1), position: None });
        Ok(Reach::Awaited(ticket))
    }

    /// Takes an announcement of another shard.
    pub(super) fn on_announce(
        &mut self,
        message: &Arc<Message>,
        audience: &Audience,
        receipt: Option<Receipt>,
    ) {
        let count = self.hand_to(&message.publication(), Some(message), audience);
        if let Some(Receipt { shard, ticket }) = receipt {
            let (more, position) = (None, None);
            self.send(shard, Delivery::Delivered { ticket, count, more, position });
        }
    }

    /// Queues a message for those of an audience on this shard; says for how many.
    pub(super) fn hand_to(
        &mut self,
        publication: &Publication<'_>,
        shared: Option<&Arc<Message>>,
        audience: &Audience,
    ) -> u64 {
        let Self { people, slots, outbox, encoder, policy, recovery, .. } = self;
        let mut said = Said::new(recovery, publication, shared, Some(audience), None);
        let mut encoded = Encoded::default();
        let mut delivered = 0;
        let mute_from = mute_from(publication);
        for conn in people.members(slots, audience) {
            let slot = &slots[conn];
            let endpoint = &policy.endpoints[usize::from(slot.endpoint)];
            let hears = match endpoint.dialect {
                Dialect::Echo | Dialect::Admin => false,
                Dialect::SocketIo => is_told(slots, conn, audience) && slot.lane < mute_from,
                Dialect::Topics | Dialect::Events | Dialect::Channels => {
                    !endpoint.require_authentication || slot.identity.is_some()
                }
            };
            if !hears {
                continue;
            }
            let form = slot.form;
            let Some(conn) = transport_of(slots, conn) else { continue };
            let slot = &mut slots[conn];
            let range = encoded.in_lane(slot.lane, form, |lane| {
                encoder.encode(outbox, (lane, form), publication, policy, || said.offset())
            });
            outbox.queue(conn, &mut slot.pending, range);
            delivered += 1;
        }
        // Who is away hears it when it comes back, if it is for it then.
        let may_be_missed = match audience {
            Audience::Socket(name) => slots.is_ghost(*name),
            Audience::Connection(_) => false,
            _ => said.has_ghosts(),
        };
        if may_be_missed && mute_from == u8::MAX {
            said.offset();
        }
        self.metrics.deliveries_total.add(delivered);
        delivered
    }
}

/// Whether a slot of the Socket.IO dialect is a socket that is told what an audience is. Who is on the
/// room server was let in there; what one socket says to another stays there. On the gateway nobody
/// is told anything before it is known who it is.
fn is_told(slots: &Slots, conn: u32, audience: &Audience) -> bool {
    let socket = match slots.role(conn) {
        Some(Role::Carrier(engine)) => engine.socket.as_ref(),
        Some(Role::Guest(guest)) => Some(&guest.socket),
        Some(Role::Ghost(_) | Role::Probe(_) | Role::Forward(_)) | None => None,
    };
    socket.is_some_and(|socket| match socket.namespace {
        Namespace::Rooms => true,
        Namespace::Gateway => {
            slots[conn].identity.is_some() && !matches!(audience, Audience::Socket(_))
        }
        Namespace::Conformance(_) => false,
    })
}
