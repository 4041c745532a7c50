//! Fan-out: one publish, every subscriber once.
//!
//! Here: the message is encoded once for each lane that has a subscriber and its range queued for
//! each; compression too is once a message. There: one mail to each shard that may have a
//! subscriber. A topic with a history goes through its home shard first.

use std::sync::Arc;

use crate::audience::Audience;
use crate::close::Refusal;
use crate::connection::{Address, ConnKey};
use crate::interest::home_of;
use crate::mail::{Delivery, Mail, Receipt, Request};
use crate::message::{Message, Publication};
use crate::polling::Asked;
use crate::shard::encoder::{Encoded, mute_from};
use crate::shard::history::setting_for;
use crate::shard::hub::Hub;
use crate::shard::receipts::Part;
use crate::shard::recovery::Said;
use crate::shard::role::Role;
use crate::shard::slot::{Phase, Slots};
use crate::time::Now;
use crate::topic::Topic;

impl Hub {
    /// A stamp that no connection has, for whoever must see each once.
    pub(super) fn next_stamp(&mut self) -> u32 {
        self.stamp = self.stamp.wrapping_add(1);
        if self.stamp == 0 {
            // Once in four billion messages: stamps of the last round must not look new.
            for conn in self.slots.indices() {
                self.slots[conn].stamp = 0;
            }
            self.stamp = 1;
        }
        self.stamp
    }

    /// Queues a message for every subscriber on this shard; says for how many.
    pub(super) fn fan_out(
        &mut self,
        publication: &Publication<'_>,
        shared: Option<&Arc<Message>>,
        skip: Option<ConnKey>,
    ) -> u64 {
        self.next_stamp();
        let Self { topics, slots, outbox, encoder, policy, stamp, recovery, .. } = self;
        let skipped = skip.filter(|key| slots.holds(*key)).map(|key| key.index);
        let mut said = Said::new(recovery, publication, shared, None, skipped);
        let mut encoded = Encoded::default();
        let (mut delivered, mut unsaid) = (0, false);
        let mute_from = mute_from(publication);
        let topic = Topic::checked(publication.topic);
        for subscribers in topics.matching(topic, publication.topic_hash) {
            for subscriber in subscribers {
                let mut conn = subscriber.conn;
                let mut slot = &mut slots[conn];
                if slot.stamp == *stamp {
                    continue;
                }
                slot.stamp = *stamp;
                if let Some(key) = skip
                    && key.index == conn
                    && key.generation == slot.generation
                {
                    continue;
                }
                let form = slot.form;
                if slot.phase != Phase::Open {
                    if slot.lane < mute_from {
                        // Who is away hears it when it comes back.
                        said.offset();
                    }
                    let Some(carrier) = transport_of(slots, conn) else { continue };
                    conn = carrier;
                    slot = &mut slots[conn];
                }
                if slot.lane >= mute_from {
                    unsaid = true;
                    continue;
                }
                let range = encoded.in_lane(slot.lane, form, |lane| {
                    encoder.encode(outbox, (lane, form), publication, policy, || said.offset())
                });
                outbox.queue(conn, &mut slot.pending, range);
                delivered += 1;
            }
        }
        self.metrics.unsayable_total.add(u64::from(unsaid));
        self.metrics.deliveries_total.add(delivered);
        delivered
    }

    /// Queues a message for every Socket.IO socket on this shard that is in one of these rooms, for
    /// each once.
    pub(super) fn fan_out_many(&mut self, message: &Message, topics: &[Box<str>], skip: Address) {
        self.next_stamp();
        let publication = message.publication();
        let Self { topics: index, slots, outbox, encoder, policy, stamp, recovery, .. } = self;
        let mut said = Said::new(recovery, &publication, None, None, None);
        let mut encoded = Encoded::default();
        let mut delivered = 0;
        for topic in topics {
            let topic = Topic::checked(topic);
            for subscriber in index.matching(topic, topic.hash()).flatten() {
                let slot = &mut slots[subscriber.conn];
                let is_new = std::mem::replace(&mut slot.stamp, *stamp) != *stamp;
                let at = Address { shard: self.id, conn: slots.key(subscriber.conn) };
                if !is_new || at == skip || slots.role(subscriber.conn).is_none() {
                    continue;
                }
                let form = slots[subscriber.conn].form;
                let Some(conn) = transport_of(slots, subscriber.conn) else { continue };
                let slot = &mut slots[conn];
                let range = encoded.in_lane(slot.lane, form, |lane| {
                    encoder.encode(outbox, (lane, form), &publication, policy, || said.offset())
                });
                outbox.queue(conn, &mut slot.pending, range);
                delivered += 1;
            }
        }
        self.metrics.deliveries_total.add(delivered);
    }

    /// Brings a message to every subscriber of the process; says to how many here, and how many
    /// other shards got mail.
    fn distribute(
        &mut self,
        publication: &Publication<'_>,
        mut shared: Option<Arc<Message>>,
        skip: Option<Address>,
        receipt: Option<Receipt>,
    ) -> (u64, u32) {
        let wanted = self.interest.table().shards(publication.topic, publication.topic_hash);
        let others = wanted.without(self.id);
        let mut mails = 0;
        if !others.is_empty() {
            let message = shared.get_or_insert_with(|| Arc::new(Message::new(publication)));
            for shard in others.iter() {
                let message = Arc::clone(message);
                self.send(shard, Delivery::FanOut { message, skip, receipt });
                mails += 1;
            }
        }
        let skip = skip.filter(|address| address.shard == self.id).map(|address| address.conn);
        if !wanted.contains(self.id) {
            return (0, mails);
        }
        (self.fan_out(publication, shared.as_ref(), skip), mails)
    }

    /// Publishes for a connection of this shard.
    pub(super) fn publish_from(
        &mut self,
        now: Now,
        conn: ConnKey,
        id: Option<&str>,
        echo: bool,
        publication: &Publication<'_>,
    ) {
        self.metrics.messages_published_total.add(1);
        let address = Address { shard: self.id, conn };
        let skip = (!echo).then_some(address);
        let is_kept = setting_for(&self.policy.history, publication.topic).is_some();
        if !is_kept || publication.ephemeral {
            self.distribute(publication, None, skip, None);
            if let Some(sid) = self.name_of_socket(publication.topic) {
                // Whoever that is, or is not: nobody awaits a number.
                let _ = self.say_to_socket(publication, sid, None);
            }
            if let Some(id) = id {
                self.tell_published(conn.index, id, publication.topic, None, publication.at);
            }
            return;
        }
        let request = Request::Sequence {
            message: Box::new(Message::new(publication)),
            skip,
            answer: id.map(|id| (address, id.into())),
            receipt: None,
        };
        self.send_home(now, publication.topic_hash, request);
    }

    /// Publishes for the server side; the deliveries are counted under the ticket given back.
    pub(super) fn publish(
        &mut self,
        now: Now,
        publication: &Publication<'_>,
    ) -> Result<u64, Refusal> {
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        if self.post.congested() || self.receipts.is_full() {
            return Err(Refusal::Overloaded);
        }
        self.metrics.messages_published_total.add(1);
        let ticket = self.receipts.begin();
        let receipt = Some(Receipt { shard: self.id, ticket });
        if setting_for(&self.policy.history, publication.topic).is_some() {
            let message = Box::new(Message::new(publication));
            let request = Request::Sequence { message, skip: None, answer: None, receipt };
            self.send_home(now, publication.topic_hash, request);
            return Ok(ticket);
        }
        let (mut here, mut mails) = self.distribute(publication, None, None, receipt);
        if let Some(sid) = self.name_of_socket(publication.topic) {
            let audience = Audience::Socket(sid);
            if sid.shard() == self.id {
                here += self.hand_to(publication, None, &audience);
            } else {
                let (message, audience) = (Arc::new(Message::new(publication)), Arc::new(audience));
                self.send(sid.shard(), Delivery::Announce { message, audience, receipt });
                mails += 1;
            }
        }
        let part = Part { delivered: here, more: Some(mails), position: None };
        self.receipts.add(ticket, part);
        Ok(ticket)
    }

    /// Takes a delivery.
    pub(super) fn on_delivery(&mut self, now: Now, delivery: Delivery) {
        self.metrics.mails_taken_total.add(1);
        match delivery {
            Delivery::FanOut { message, skip, receipt } => {
                let skip = skip.filter(|at| at.shard == self.id).map(|address| address.conn);
                let count = self.fan_out(&message.publication(), Some(&message), skip);
                if let Some(Receipt { shard, ticket }) = receipt {
                    self.send(
                        shard,
                        Delivery::Delivered { ticket, count, more: None, position: None },
                    );
                }
            }
            Delivery::Announce { message, audience, receipt } => {
                self.on_announce(&message, &audience, receipt);
            }
            Delivery::Published { conn, id, message } => self.on_published(conn, &id, &message),
            Delivery::Delivered { ticket, count, more, position } => {
                self.receipts.add(ticket, Part { delivered: count, more, position });
            }
            Delivery::Told { ticket, shard, found } => self.on_told(ticket, shard, *found),
            Delivery::Http { sid, asked, answer } => self.on_asked(now, sid, asked, answer),
            Delivery::HttpReply { ticket, reply } => self.http_replies.push_back((ticket, reply)),
            Delivery::Moved { session } => {
                self.move_in(now, session);
            }
            Delivery::Forgotten { place } => self.on_forgotten(place),
            Delivery::FanOutMany { message, topics, skip } => {
                self.fan_out_many(&message, &topics, skip);
            }
            Delivery::Drain { told_by_ms, gone_by_ms } => self.drain(now, told_by_ms, gone_by_ms),
        }
    }

    /// Takes a request.
    pub(super) fn on_request(&mut self, now: Now, request: Request) {
        self.metrics.mails_taken_total.add(1);
        match request {
            Request::Sequence { .. } => self.sequence(now, request),
            Request::Ask { query, answer } => self.on_ask(now, &query, answer),
            Request::Post { sid, body, answer } => {
                self.on_asked(now, sid, Asked::Post(body), answer);
            }
            Request::Answered { ticket, answer } => self.answered(now, ticket, answer),
        }
    }

    /// The home shard's part: place, keep, fan out, answer.
    fn sequence(&mut self, now: Now, request: Request) {
        let Request::Sequence { message, skip, answer, receipt } = request else {
            unreachable!("a home shard is sent publishes alone")
        };
        let policy = Arc::clone(&self.policy);
        let message = match setting_for(&policy.history, message.publication().topic) {
            Some(number) => self.history.append(*message, number, &policy.history[number], now),
            None => Arc::from(message),
        };
        let publication = message.publication();
        let shared = Some(Arc::clone(&message));
        let (count, more) = self.distribute(&publication, shared, skip, receipt);
        if let Some((Address { shard, conn }, id)) = answer {
            let message = Arc::clone(&message);
            self.send(shard, Delivery::Published { conn, id, message });
        }
        if let Some(Receipt { shard, ticket }) = receipt {
            let position = publication.position;
            let more = Some(more);
            self.send(shard, Delivery::Delivered { ticket, count, more, position });
        }
    }

    fn on_published(&mut self, conn: ConnKey, id: &str, message: &Message) {
        if self.slots.get(conn).is_none_or(|slot| slot.phase != Phase::Open) {
            return;
        }
        let Publication { topic, position, at, .. } = message.publication();
        self.tell_published(conn.index, id, topic, position, at);
    }

    fn send_home(&mut self, now: Now, topic_hash: u64, request: Request) {
        let home = home_of(topic_hash, self.shards);
        if home == self.id {
            self.sequence(now, request);
        } else {
            self.metrics.mails_sent_total.add(1);
            self.post.send(home, Mail::Request(request));
        }
    }

    /// Mails to a shard; what is for itself is carried out here.
    pub(super) fn send(&mut self, shard: u8, delivery: Delivery) {
        if shard == self.id {
            // Mail to oneself is carried out at once; it never makes more of its kind.
            match delivery {
                Delivery::Published { conn, id, message } => self.on_published(conn, &id, &message),
                Delivery::Delivered { ticket, count, more, position } => {
                    self.receipts.add(ticket, Part { delivered: count, more, position });
                }
                Delivery::Told { ticket, shard, found } => self.on_told(ticket, shard, *found),
                Delivery::HttpReply { ticket, reply } => {
                    self.http_replies.push_back((ticket, reply));
                }
                Delivery::FanOut { .. }
                | Delivery::FanOutMany { .. }
                | Delivery::Announce { .. }
                | Delivery::Http { .. }
                | Delivery::Moved { .. }
                | Delivery::Forgotten { .. }
                | Delivery::Drain { .. } => {
                    unreachable!("a shard fans out to itself by a call")
                }
            }
            return;
        }
        self.metrics.mails_sent_total.add(1);
        self.post.send(shard, Mail::Delivery(delivery));
    }
}

/// The slot by which whoever has a slot is sent to: its own, or its engine's. `None` of who is sent
/// nothing any more, or not now.
pub(super) fn transport_of(slots: &Slots, conn: u32) -> Option<u32> {
    let carrier = match slots.role(conn) {
        Some(Role::Guest(guest)) => guest.carrier,
        _ => conn,
    };
    (slots[carrier].phase == Phase::Open).then_some(carrier)
}
