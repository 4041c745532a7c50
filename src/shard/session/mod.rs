//! What a client's message does: the rules of a session, for each dialect.
//!
//! Called by the shard with one whole message at a time; answers in the same order. Here: which
//! dialect it is for, and what all of them do alike (subscribe, unsubscribe, publish, ask the rules,
//! withdraw what they do not cover any more). A dialect's own session is a file beside this one; the
//! rate limit is `rate.rs`. Contract: protocols.md sections 3, 6 and 11.

mod admin;
mod channels;
mod engineio;
mod notice;
mod rate;
mod socketio;
mod topics;

pub(super) use admin::Operators;
pub use engineio::Leaving;
pub(super) use notice::Notice;
pub(super) use socketio::Counting;

use crate::auth::{self, Verdict};
use crate::close::{Close, Refusal};
use crate::config::{Action, Dialect};
use crate::connection::{Address, ConnectionId};
use crate::limits::PINGS_PER_SECOND_MAX;
use crate::message::{Binary, Publication, Publish};
use crate::shard::asking::Word;
use crate::shard::hub::Hub;
use crate::shard::outbox::Droppable;
use crate::shard::policy::Policy;
use crate::shard::role::Namespace;
use crate::shard::slot::{Phase, Slot};
use crate::shard::topics::{Subscribed, Unsubscribed};
use crate::time::Now;
use crate::topic::{Pattern, Topic};
use crate::wire::frame::OpCode;
use crate::wire::json::Scratch;
use rate::Admission;

impl Hub {
    /// Takes a whole message. `payload` is UTF-8 when `text`.
    pub(super) fn on_message(
        &mut self,
        now: Now,
        conn: u32,
        text: bool,
        payload: &[u8],
        scratch: &mut Scratch,
    ) {
        if !matches!(self.slots[conn].phase, Phase::Open | Phase::Probing) {
            return;
        }
        self.metrics.messages_received_total.add(1);
        match self.dialect(conn) {
            Dialect::Echo => match self.admit(now, conn, payload.len()) {
                Admission::Within => self.echo(conn, text, payload),
                // It has no message to say so with.
                Admission::Over(_) => self.metrics.rate_limited_total.add(1),
                Admission::Abuse => self.begin_close(now, conn, Close::RateAbuse),
            },
            // An `events` client asks in the same words; what it is delivered differs.
            Dialect::Topics | Dialect::Events => self.on_topics(now, conn, text, payload, scratch),
            Dialect::Channels => self.on_channels(now, conn, text, payload, scratch),
            Dialect::Admin => self.on_admin(now, conn, payload, scratch),
            Dialect::SocketIo => self.on_frame(now, conn, text, payload, scratch),
        }
    }

    /// What is spoken on a connection.
    pub(super) fn dialect(&self, conn: u32) -> Dialect {
        self.policy.endpoints[usize::from(self.slots[conn].endpoint)].dialect
    }

    /// Takes a ping frame.
    pub(super) fn on_ping(&mut self, now: Now, conn: u32, payload: &[u8]) {
        if !matches!(self.slots[conn].phase, Phase::Open | Phase::Probing) {
            return;
        }
        let second = (now.mono_ms / 1000) as u16;
        let pings = &mut self.slots[conn].pings;
        if pings.second != second {
            (pings.second, pings.count) = (second, 0);
        }
        if pings.count >= PINGS_PER_SECOND_MAX {
            self.metrics.pings_ignored_total.add(1);
            return;
        }
        pings.count += 1;
        self.queue_frame(conn, OpCode::Pong, |out| out.extend_from_slice(payload));
    }

    fn echo(&mut self, conn: u32, text: bool, payload: &[u8]) {
        let opcode = if text { OpCode::Text } else { OpCode::Binary };
        let min = self.policy.compression_min_bytes;
        let slot = &mut self.slots[conn];
        let never = Droppable::NEVER;
        let range = self.encoder.put(&mut self.outbox, slot.lane, never, opcode, payload, min);
        self.outbox.queue(conn, &mut slot.pending, range);
    }

    /// Ends the subscriptions that a connection may not have any more, and tells it of each. What a
    /// webhook must be asked about stays where it allowed that of late, and in a `review` of new
    /// settings also where it was asked when that was granted.
    pub(super) fn withdraw_forbidden(&mut self, now: Now, conn: u32, in_review: bool) {
        let Self { topics, slots, policy, interest, asking, review, .. } = self;
        let slot = &slots[conn];
        let mut may_stay = |name: &str| {
            let pattern = Pattern::checked(name);
            match verdict(policy, slot, Action::Subscribe, pattern) {
                Verdict::Allow => true,
                Verdict::Ask
                    if (in_review && review.was_asked(slot, pattern))
                        || asking.remembered(now, slot, Action::Subscribe, pattern)
                            == Some(true) =>
                {
                    true
                }
                Verdict::Ask | Verdict::Deny => is_own_notification(policy, slot, name),
            }
        };
        let mut withdrawn: Vec<Box<str>> = Vec::new();
        topics.retain(conn, &mut may_stay, |removed| {
            if removed.last {
                interest.remove(Pattern::checked(removed.pattern));
            }
            withdrawn.push(removed.pattern.into());
        });
        if withdrawn.is_empty() {
            return;
        }
        self.metrics.subscriptions.sub(withdrawn.len() as u64);
        self.count_topics();
        for topic in withdrawn {
            self.tell(now, conn, Notice::Withdrawn { topic: &topic });
        }
    }

    /// Subscribes a connection, if it may; `asked` is what a webhook says. Its no ends what it
    /// granted before.
    fn subscribe(
        &mut self,
        now: Now,
        conn: u32,
        topic: &str,
        asked: Option<Word>,
    ) -> Result<(), Refusal> {
        let pattern = Pattern::parse(topic, self.policy.topic_bounds).map_err(Refusal::BadTopic)?;
        let judged = self.judge(conn, Action::Subscribe, pattern, asked);
        if judged == Err(Refusal::Forbidden)
            && asked == Some(Word::Denied)
            && self.topics.is_subscribed(conn, topic)
            && !is_own_notification(&self.policy, &self.slots[conn], topic)
        {
            self.unsubscribe(conn, topic)?;
            self.tell(now, conn, Notice::Withdrawn { topic });
        }
        judged?;
        self.enter(conn, pattern)
    }

    /// Subscribes a connection that may.
    fn enter(&mut self, conn: u32, pattern: Pattern<'_>) -> Result<(), Refusal> {
        let topic = pattern.as_str();
        if self.topics.subscription_count(conn) >= self.policy.subscriptions_max
            && !self.topics.is_subscribed(conn, topic)
        {
            return Err(Refusal::TooManySubscriptions);
        }
        match self.topics.subscribe(conn, pattern) {
            Subscribed::Already => return Ok(()),
            // Before the reply is sent: whoever has seen it may count on it.
            Subscribed::New { first: true } => self.interest.add(pattern),
            Subscribed::New { first: false } => {}
        }
        self.metrics.subscriptions.add(1);
        self.has_joined(conn, topic);
        Ok(())
    }

    fn unsubscribe(&mut self, conn: u32, topic: &str) -> Result<(), Refusal> {
        let pattern = Pattern::parse(topic, self.policy.topic_bounds).map_err(Refusal::BadTopic)?;
        match self.topics.unsubscribe(conn, pattern) {
            Unsubscribed::NotThere => return Ok(()),
            Unsubscribed::Removed { last: true } => self.interest.remove(pattern),
            Unsubscribed::Removed { last: false } => {}
        }
        self.metrics.subscriptions.sub(1);
        Ok(())
    }

    /// Publishes for a connection, if it may; `asked` is what a webhook says.
    fn publish_for(
        &mut self,
        now: Now,
        conn: u32,
        id: Option<&str>,
        publish: &Publish<'_>,
        asked: Option<Word>,
    ) -> Result<(), Refusal> {
        self.publish_with(now, conn, id, publish, (None, false), asked)
    }

    /// The same with what only some messages have: bytes beside it, or that it is of this moment.
    fn publish_with(
        &mut self,
        now: Now,
        conn: u32,
        id: Option<&str>,
        publish: &Publish<'_>,
        (binary, ephemeral): (Option<Binary<'_>>, bool),
        asked: Option<Word>,
    ) -> Result<(), Refusal> {
        let topic =
            Topic::parse(publish.topic, self.policy.topic_bounds).map_err(Refusal::BadTopic)?;
        self.judge(conn, Action::Publish, topic.into(), asked)?;
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        // The fan-out changes slots but never looks at identities: the publisher's steps aside.
        let key = self.slots.key(conn);
        let at = Address { shard: self.id, conn: key };
        let identity = self.slots[conn].identity.take();
        let publication = Publication {
            topic: topic.as_str(),
            topic_hash: topic.hash(),
            event: publish.event,
            data: publish.data,
            binary,
            metadata: publish.metadata,
            sender: identity.as_deref().map(auth::Identity::user_id),
            at: now.wall,
            position: None,
            from: Some(ConnectionId { node: self.node, at }),
            verbatim: None,
            sender_in_metadata: false,
            ephemeral,
        };
        self.publish_from(now, key, id, publish.echo, &publication);
        self.slots[conn].identity = identity;
        Ok(())
    }

    fn judge(
        &self,
        conn: u32,
        action: Action,
        pattern: Pattern<'_>,
        asked: Option<Word>,
    ) -> Result<(), Refusal> {
        match verdict(&self.policy, &self.slots[conn], action, pattern) {
            Verdict::Allow => Ok(()),
            Verdict::Deny => Err(Refusal::Forbidden),
            Verdict::Ask => match asked {
                Some(Word::Allowed) => Ok(()),
                Some(Word::NoRoom) => Err(Refusal::Overloaded),
                Some(Word::NoPlace) => Err(Refusal::TooManySubscriptions),
                // Not asked: the rules are others than when it was looked what is to be asked.
                Some(Word::Denied | Word::Unanswered) | None => Err(Refusal::Forbidden),
            },
        }
    }
}

/// What the dialect grants by itself, and beyond that the rules. [`Verdict::Ask`] where a webhook
/// must be asked, and there is one.
pub(super) fn verdict(
    policy: &Policy,
    slot: &Slot,
    action: Action,
    pattern: Pattern<'_>,
) -> Verdict {
    let endpoint = &policy.endpoints[usize::from(slot.endpoint)];
    let identity = slot.identity.as_deref();
    if endpoint.dialect == Dialect::Channels
        && matches!(action, Action::Subscribe | Action::Publish)
        && !pattern.is_wildcard()
        && auth::channels::opens(identity, pattern.as_str())
    {
        return Verdict::Allow;
    }
    match endpoint.rules.decide(action, pattern, identity) {
        // A webhook rule without a webhook denies (protocols.md section 6).
        Verdict::Ask if policy.webhook_timeout_ms.is_none() => Verdict::Deny,
        verdict => verdict,
    }
}

/// Whether a subscription is one that asking for notifications made, whatever the rules say.
pub(super) fn is_own_notification(policy: &Policy, slot: &Slot, name: &str) -> bool {
    let Some(identity) = slot.identity.as_deref() else { return false };
    match policy.endpoints[usize::from(slot.endpoint)].dialect {
        Dialect::Channels => auth::channels::is_own_notification(identity, name),
        Dialect::SocketIo => {
            slot.form == Namespace::Gateway.form()
                && auth::gateway::topic(identity).is_some_and(|it| it == name)
        }
        Dialect::Topics | Dialect::Events | Dialect::Admin | Dialect::Echo => false,
    }
}
