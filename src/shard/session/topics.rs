//! The session of the `topics` dialect: one request at a time, answered in order.
//!
//! Called with whole messages. Reads the envelope, has the hub do what is asked, writes the replies
//! of `wire/topics`; what is refused gets an error and costs the connection nothing else. Contract:
//! protocols.md section 3, section 11 "Envelope".

use crate::close::{Close, Refusal};
use crate::config::Action;
use crate::connection::ConnectionId;
use crate::limits::AUTH_FAILURES_MAX;
use crate::mail::{Address, ConnKey};
use crate::message::Publication;
use crate::shard::hub::Hub;
use crate::shard::session::Notice;
use crate::shard::session::rate::Admission;
use crate::time::Now;
use crate::topic::Topic;
use crate::wire::json::{self, Scratch};
use crate::wire::topics::{self as dialect, Command, Publish, Request};

impl Hub {
    pub(super) fn on_topics(
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
            let refusal = over.unwrap_or(Refusal::BadJson);
            return self.tell(now, conn, Notice::Refused { refusal, topic: None });
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
        self.people.leave(&mut self.slots, conn);
        self.slots[conn].identity = Some(Box::new(identity));
        self.people.enter(&mut self.slots, conn);
        if !same {
            self.withdraw_forbidden(now, conn);
        }
        self.rearm(now, conn);
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
        let at = Address { shard: self.id, conn: key };
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
            from: Some(ConnectionId { node: self.node, at }),
            verbatim: None,
            sender_in_metadata: false,
        };
        self.publish_from(now, key, id, publish.echo, &publication);
        self.slots[conn].identity = identity;
        Ok(())
    }
}
