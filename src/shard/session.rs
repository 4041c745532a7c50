//! What a client's message does: the rules of a session, for each dialect.
//!
//! Called by the shard with one whole message at a time; answers in the same order. Authenticates,
//! subscribes, publishes; a request that is refused gets an error and costs the connection
//! nothing else. Contract: protocols.md sections 3, 6 and 11.

use crate::auth::Verdict;
use crate::close::{Close, Refusal};
use crate::config::{Action, Dialect};
use crate::limits::{AUTH_FAILURES_MAX, PINGS_PER_SECOND_MAX, RATE_BURST_FACTOR, RATE_WINDOWS_MAX};
use crate::mail::ConnKey;
use crate::message::Publication;
use crate::shard::hub::Hub;
use crate::shard::outbox::Droppable;
use crate::shard::policy::RateLimit;
use crate::shard::slot::Phase;
use crate::shard::topics::{Subscribed, Unsubscribed};
use crate::time::Now;
use crate::topic::{Pattern, Topic};
use crate::wire::frame::OpCode;
use crate::wire::json::{self, Scratch};
use crate::wire::topics::{self as dialect, Command, Publish, Request};

/// Whether a data frame is within the rate limit.
enum Admission {
    Within,
    Over { retry_after_ms: u64 },
    Abuse,
}

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
        let slot = &self.slots[conn];
        if slot.phase != Phase::Open {
            return;
        }
        self.metrics.messages_received_total.add(1);
        match self.policy.endpoints[usize::from(slot.endpoint)].dialect {
            Dialect::Echo => match self.admit(now, conn) {
                Admission::Within => self.echo(conn, text, payload),
                // It has no message to say so with.
                Admission::Over { .. } => self.metrics.rate_limited_total.add(1),
                Admission::Abuse => self.begin_close(now, conn, Close::RateAbuse),
            },
            Dialect::Topics => self.on_topics(now, conn, text, payload, scratch),
        }
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

    fn on_topics(
        &mut self,
        now: Now,
        conn: u32,
        text: bool,
        payload: &[u8],
        scratch: &mut Scratch,
    ) {
        let over = match self.admit(now, conn) {
            Admission::Within => None,
            Admission::Over { retry_after_ms } => Some(Refusal::RateLimited { retry_after_ms }),
            Admission::Abuse => return self.begin_close(now, conn, Close::RateAbuse),
        };
        self.metrics.rate_limited_total.add(u64::from(over.is_some()));
        // A text frame's UTF-8 was checked as it came; a binary frame may hold anything.
        debug_assert!(!text || json::utf8(payload).is_ok());
        let Ok(text) = json::utf8(payload) else {
            return self.refuse(now, conn, None, over.unwrap_or(Refusal::BadJson), None);
        };
        let decoded = dialect::decode(text, scratch);
        if let Some(refusal) = over {
            // Read for its `id` alone, which a client waits for; the burst limit bounds the work.
            let id = decoded.map_or_else(|rejected| rejected.id, |request| request.id);
            return self.refuse(now, conn, id, refusal, None);
        }
        match decoded {
            Err(rejected) => self.refuse(now, conn, rejected.id, rejected.refusal, rejected.topic),
            Ok(request) => self.on_topics_request(now, conn, &request),
        }
    }

    fn on_topics_request(&mut self, now: Now, conn: u32, request: &Request<'_>) {
        let Request { id, ref command } = *request;
        let barred = self.awaits_authentication(conn);
        match command {
            Command::Auth { token } => self.authenticate(now, conn, id, token),
            Command::Ping => self.reply(conn, |out| dialect::pong(out, id, now.wall)),
            Command::Subscribe { topics } | Command::Unsubscribe { topics } if barred => {
                for topic in topics.as_slice() {
                    self.refuse(now, conn, id, Refusal::Unauthenticated, Some(topic));
                }
            }
            Command::Publish(publish) if barred => {
                self.refuse(now, conn, id, Refusal::Unauthenticated, Some(publish.topic));
            }
            Command::Subscribe { topics } => {
                for topic in topics.as_slice() {
                    match self.subscribe(conn, topic) {
                        Ok(()) => self.reply(conn, |out| {
                            dialect::subscribed(out, id, topic, now.wall);
                        }),
                        Err(refusal) => self.refuse(now, conn, id, refusal, Some(topic)),
                    }
                }
                self.count_topics();
            }
            Command::Unsubscribe { topics } => {
                for topic in topics.as_slice() {
                    match self.unsubscribe(conn, topic) {
                        Ok(()) => self.reply(conn, |out| {
                            dialect::unsubscribed(out, id, topic, now.wall, None);
                        }),
                        Err(refusal) => self.refuse(now, conn, id, refusal, Some(topic)),
                    }
                }
                self.count_topics();
            }
            Command::Publish(publish) => {
                if let Err(refusal) = self.publish_topics(now, conn, id, publish) {
                    self.refuse(now, conn, id, refusal, Some(publish.topic));
                }
            }
        }
    }

    fn refuse(
        &mut self,
        now: Now,
        conn: u32,
        id: Option<&str>,
        refusal: Refusal,
        topic: Option<&str>,
    ) {
        self.metrics.refusals_total.add(1);
        self.reply(conn, |out| dialect::error(out, id, &refusal, topic, now.wall));
    }

    /// Counts a data frame against the connection's rate limit.
    fn admit(&mut self, now: Now, conn: u32) -> Admission {
        let Some(RateLimit { frames, window_ms }) = self.policy.rate else {
            return Admission::Within;
        };
        let rate = &mut self.slots[conn].rate;
        let window = (now.mono_ms / window_ms) as u32;
        if rate.window != window {
            if rate.frames <= frames || rate.window.wrapping_add(1) != window {
                rate.strikes = 0;
            }
            (rate.window, rate.frames) = (window, 0);
        }
        rate.frames = rate.frames.saturating_add(1);
        if rate.frames <= frames {
            return Admission::Within;
        }
        if rate.frames == frames + 1 {
            rate.strikes += 1;
        }
        let burst = frames.saturating_mul(RATE_BURST_FACTOR);
        if rate.strikes >= RATE_WINDOWS_MAX || rate.frames > burst {
            return Admission::Abuse;
        }
        Admission::Over { retry_after_ms: window_ms - now.mono_ms % window_ms }
    }

    fn authenticate(&mut self, now: Now, conn: u32, id: Option<&str>, token: &str) {
        let verified = match &self.policy.verifier {
            Some(verifier) => verifier.verify(token, now.wall).ok(),
            None => None,
        };
        let Some(identity) = verified else {
            self.metrics.auth_failures_total.add(1);
            let slot = &mut self.slots[conn];
            slot.auth_failures = slot.auth_failures.saturating_add(1);
            let over = slot.auth_failures >= AUTH_FAILURES_MAX;
            self.reply(conn, |out| dialect::auth_error(out, id, now.wall));
            if over {
                self.begin_close(now, conn, Close::AuthFailures);
            }
            return;
        };
        let slot = &mut self.slots[conn];
        let known = slot.identity.is_some();
        let same = slot.identity.as_deref().is_some_and(|old| old.may_as(&identity));
        self.metrics.connections_authenticated.add(u64::from(!known));
        self.reply(conn, |out| {
            dialect::auth_success(out, id, identity.user_id(), now.wall);
        });
        self.slots[conn].identity = Some(Box::new(identity));
        if !same {
            self.withdraw_forbidden(now, conn);
        }
        self.rearm(now, conn);
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
            self.reply(conn, |out| {
                dialect::unsubscribed(out, None, &topic, now.wall, Some("forbidden"));
            });
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

    fn publish_topics(
        &mut self,
        now: Now,
        conn: u32,
        id: Option<&str>,
        publish: &Publish<'_>,
    ) -> Result<(), Refusal> {
        let topic =
            Topic::parse(publish.topic, self.policy.topic_bounds).map_err(Refusal::BadTopic)?;
        self.judge(conn, Action::Publish, topic.into())?;
        if self.gone_by.is_some() {
            return Err(Refusal::ShuttingDown);
        }
        // The fan-out changes slots but never looks at identities: the publisher's steps aside.
        let slot = &mut self.slots[conn];
        let key = ConnKey { index: conn, generation: slot.generation };
        let identity = slot.identity.take();
        let publication = Publication {
            topic: topic.as_str(),
            topic_hash: topic.hash(),
            event: publish.event,
            data: publish.data,
            metadata: publish.metadata,
            sender: identity.as_deref().map(crate::auth::Identity::user_id),
            at: now.wall,
            position: None,
        };
        self.publish_from(now, key, id, publish.echo, &publication);
        self.slots[conn].identity = identity;
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
