//! What a client's message does: the rules of a session, for each dialect.
//!
//! Called by the shard with one whole message at a time; answers in the same order. Here: which
//! dialect it is for, and what all of them do alike (subscribe, unsubscribe, ask the rules, withdraw
//! what they do not cover any more). A dialect's own session is a file beside this one; the rate
//! limit is `rate.rs`. Contract: protocols.md sections 3, 6 and 11.

mod notice;
mod rate;
mod topics;

pub(super) use notice::Notice;

use crate::auth::Verdict;
use crate::close::{Close, Refusal};
use crate::config::{Action, Dialect};
use crate::limits::PINGS_PER_SECOND_MAX;
use crate::shard::hub::Hub;
use crate::shard::outbox::Droppable;
use crate::shard::slot::Phase;
use crate::shard::topics::{Subscribed, Unsubscribed};
use crate::time::Now;
use crate::topic::Pattern;
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
        if self.slots[conn].phase != Phase::Open {
            return;
        }
        self.metrics.messages_received_total.add(1);
        match self.dialect(conn) {
            Dialect::Echo => match self.admit(now, conn) {
                Admission::Within => self.echo(conn, text, payload),
                // It has no message to say so with.
                Admission::Over { .. } => self.metrics.rate_limited_total.add(1),
                Admission::Abuse => self.begin_close(now, conn, Close::RateAbuse),
            },
            // An `events` client asks in the same words; what it is delivered differs.
            Dialect::Topics | Dialect::Events => self.on_topics(now, conn, text, payload, scratch),
            // In this version the configuration refuses them; whoever serves one all the same has
            // each message refused.
            Dialect::Channels | Dialect::Admin => match self.admit(now, conn) {
                Admission::Abuse => self.begin_close(now, conn, Close::RateAbuse),
                Admission::Within | Admission::Over { .. } => {
                    let refusal = Refusal::UnknownType;
                    self.tell(now, conn, Notice::Refused { refusal, topic: None });
                }
            },
        }
    }

    /// What is spoken on a connection.
    fn dialect(&self, conn: u32) -> Dialect {
        self.policy.endpoints[usize::from(self.slots[conn].endpoint)].dialect
    }

    /// Takes a ping frame.
    pub(super) fn on_ping(&mut self, now: Now, conn: u32, payload: &[u8]) {
        if self.slots[conn].phase != Phase::Open {
            return;
        }
        let second = (now.mono_ms / 1000) as u16;
        let rate = &mut self.slots[conn].rate;
        if rate.ping_second != second {
            (rate.ping_second, rate.pings) = (second, 0);
        }
        if rate.pings >= PINGS_PER_SECOND_MAX {
            self.metrics.pings_ignored_total.add(1);
            return;
        }
        rate.pings += 1;
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

    /// Ends the subscriptions that the connection's identity does not cover any more.
    fn withdraw_forbidden(&mut self, now: Now, conn: u32) {
        let Self { topics, slots, policy, interest, .. } = self;
        let slot = &slots[conn];
        let rules = &policy.endpoints[usize::from(slot.endpoint)].rules;
        let identity = slot.identity.as_deref();
        let mut withdrawn: Vec<Box<str>> = Vec::new();
        topics.retain(
            conn,
            |name| {
                let pattern = Pattern::checked(name);
                rules.decide(Action::Subscribe, pattern, identity) == Verdict::Allow
            },
            |removed| {
                if removed.last {
                    interest.remove(Pattern::checked(removed.pattern));
                }
                withdrawn.push(removed.pattern.into());
            },
        );
        self.metrics.subscriptions.sub(withdrawn.len() as u64);
        self.count_topics();
        for topic in withdrawn {
            self.tell(now, conn, Notice::Withdrawn { topic: &topic });
        }
    }

    fn subscribe(&mut self, conn: u32, topic: &str) -> Result<(), Refusal> {
        let pattern = Pattern::parse(topic, self.policy.topic_bounds).map_err(Refusal::BadTopic)?;
        self.judge(conn, Action::Subscribe, pattern)?;
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

    fn judge(&self, conn: u32, action: Action, pattern: Pattern<'_>) -> Result<(), Refusal> {
        let slot = &self.slots[conn];
        let rules = &self.policy.endpoints[usize::from(slot.endpoint)].rules;
        match rules.decide(action, pattern, slot.identity.as_deref()) {
            Verdict::Allow => Ok(()),
            // A webhook rule without a webhook denies (protocols.md section 6).
            Verdict::Deny | Verdict::Ask => Err(Refusal::Forbidden),
        }
    }
}
