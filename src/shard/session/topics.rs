//! The session of the `topics` dialect: one request at a time, answered in order.
//!
//! Called with whole messages. Reads the envelope, has the hub do what is asked, writes the replies
//! of `wire/topics`; what is refused gets an error and costs the connection nothing else. Contract:
//! protocols.md section 3, section 11 "Envelope".

use crate::close::{Close, Refusal};
use crate::config::Action;
use crate::limits::AUTH_FAILURES_MAX;
use crate::message::{Position, Publish};
use crate::shard::asking::Places;
use crate::shard::hub::Hub;
use crate::shard::session::Notice;
use crate::shard::session::rate::Admission;
use crate::time::{Now, Timestamp};
use crate::wire::json::{self, Scratch};
use crate::wire::topics::{self as dialect, Command, Names, Request};

impl Hub {
    pub(super) fn on_topics(
        &mut self,
        now: Now,
        conn: u32,
        text: bool,
        payload: &[u8],
        scratch: &mut Scratch,
    ) {
        let over = match self.admit(now, conn, payload.len()) {
            Admission::Within => None,
            Admission::Over(refusal) => Some(refusal),
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
            Ok(request) => self.on_topics_request(now, conn, text, &request),
        }
    }

    /// Carries out a request that waited for a webhook.
    pub(in crate::shard) fn on_topics_answered(
        &mut self,
        now: Now,
        conn: u32,
        text: &str,
        places: &Places,
        scratch: &mut Scratch,
    ) {
        let Ok(Request { id, command }) = dialect::decode(text, scratch) else {
            unreachable!("it was read before")
        };
        match command {
            Command::Subscribe { topics } => self.subscribe_topics(now, conn, id, &topics, places),
            Command::Publish(publish) => self.publish_topics(now, conn, id, &publish, places),
            Command::Auth { .. } | Command::Unsubscribe { .. } | Command::Ping => {
                unreachable!("it asks nothing")
            }
        }
    }

    fn on_topics_request(&mut self, now: Now, conn: u32, text: &str, request: &Request<'_>) {
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
                let names = topics.as_slice();
                if let Some(places) = self.consult(now, conn, text, Action::Subscribe, names) {
                    self.subscribe_topics(now, conn, id, topics, &places);
                }
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
                let names = [publish.topic];
                if let Some(places) = self.consult(now, conn, text, Action::Publish, &names) {
                    self.publish_topics(now, conn, id, publish, &places);
                }
            }
        }
    }

    fn subscribe_topics(
        &mut self,
        now: Now,
        conn: u32,
        id: Option<&str>,
        topics: &Names<'_>,
        places: &Places,
    ) {
        for (name, topic) in topics.as_slice().iter().enumerate() {
            match self.subscribe(now, conn, topic, places.of(name)) {
                Ok(()) => self.reply(conn, |out| {
                    dialect::subscribed(out, id, topic, now.wall);
                }),
                Err(refusal) => self.refuse(now, conn, id, refusal, Some(topic)),
            }
        }
        self.count_topics();
    }

    fn publish_topics(
        &mut self,
        now: Now,
        conn: u32,
        id: Option<&str>,
        publish: &Publish<'_>,
        places: &Places,
    ) {
        if let Err(refusal) = self.publish_for(now, conn, id, publish, places.of(0)) {
            self.refuse(now, conn, id, refusal, Some(publish.topic));
        }
    }

    /// Tells a connection that its publish of this `id` is out, at this place of a history.
    pub(in crate::shard) fn tell_published(
        &mut self,
        conn: u32,
        id: &str,
        topic: &str,
        position: Option<Position>,
        at: Timestamp,
    ) {
        self.reply(conn, |out| dialect::published(out, Some(id), topic, position, at));
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
        let verified = verified.filter(|identity| self.policy.tenants.admits(identity.tenant()));
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
            self.withdraw_forbidden(now, conn, false);
        }
        self.rearm(now, conn);
    }
}
