//! The session of the `channels` dialect: one message at a time, answered in order.
//!
//! Called with whole messages. Reads them with `wire/channels`, has the hub do what is asked, writes
//! the answers. A channel is a topic, never a pattern; what is no topic is a channel that nobody has
//! access to. Contract: protocols.md section 4, section 11 "Identity".

use crate::auth::channels::is_notification_type;
use crate::close::{Close, Refusal};
use crate::config::{Action, Dialect};
use crate::connection::{Address, ConnectionId};
use crate::message::Publish;
use crate::shard::asking::Places;
use crate::shard::encoder::POLLING;
use crate::shard::hub::Hub;
use crate::shard::session::Notice;
use crate::shard::session::rate::Admission;
use crate::shard::slot::Phase;
use crate::time::Now;
use crate::topic::{Pattern, Topic};
use crate::wire::channels::{
    self as dialect, ACCESS_DENIED, Command, Fault, INVALID_FORMAT, PERMISSION_DENIED,
};
use crate::wire::json::{self, Scratch};

impl Hub {
    /// Says what a client of this dialect hears first; to others nothing.
    pub(in crate::shard) fn greet(&mut self, now: Now, conn: u32) {
        let slot = &self.slots[conn];
        if slot.phase != Phase::Open {
            return;
        }
        match self.dialect(conn) {
            Dialect::Channels => {}
            Dialect::SocketIo if slot.lane != POLLING => return self.greet_engine(conn),
            _ => return,
        }
        let at = Address { shard: self.id, conn: self.slots.key(conn) };
        let id = ConnectionId { node: self.node, at };
        self.reply(conn, |out| dialect::connection(out, id, now.wall));
    }

    pub(super) fn on_channels(
        &mut self,
        now: Now,
        conn: u32,
        text: bool,
        payload: &[u8],
        scratch: &mut Scratch,
    ) {
        match self.admit(now, conn, payload.len()) {
            Admission::Within => {}
            Admission::Over(refusal) => {
                self.metrics.rate_limited_total.add(1);
                return self.tell(now, conn, Notice::Refused { refusal, topic: None });
            }
            Admission::Abuse => return self.begin_close(now, conn, Close::RateAbuse),
        }
        // A text frame's UTF-8 was checked as it came; a binary frame may hold anything.
        debug_assert!(!text || json::utf8(payload).is_ok());
        let Ok(text) = json::utf8(payload) else {
            return self.deny(conn, INVALID_FORMAT);
        };
        match dialect::decode(text, scratch) {
            Err(Fault::Format) => self.deny(conn, INVALID_FORMAT),
            Err(Fault::UnknownType(kind)) => {
                self.metrics.refusals_total.add(1);
                self.reply(conn, |out| dialect::unknown_type(out, kind));
            }
            Ok(command) => self.on_channels_command(now, conn, text, &command),
        }
    }

    /// Carries out a request that waited for a webhook.
    pub(in crate::shard) fn on_channels_answered(
        &mut self,
        now: Now,
        conn: u32,
        text: &str,
        places: &Places,
        scratch: &mut Scratch,
    ) {
        match dialect::decode(text, scratch) {
            Ok(Command::Join { channel }) => self.join(now, conn, channel, places),
            Ok(Command::Send { channel, message }) => {
                self.send_message(now, conn, channel, message, places);
            }
            Ok(Command::Ping | Command::Leave { .. } | Command::Notifications { .. }) | Err(_) => {
                unreachable!("it asks nothing")
            }
        }
    }

    fn on_channels_command(&mut self, now: Now, conn: u32, text: &str, command: &Command<'_>) {
        let barred = self.awaits_authentication(conn);
        match *command {
            Command::Ping => self.reply(conn, |out| dialect::pong(out, now.wall)),
            Command::Leave { channel } => {
                // What is no topic has no members either.
                if self.topic(channel).is_some() {
                    let left = self.unsubscribe(conn, channel);
                    debug_assert!(left.is_ok());
                    self.count_topics();
                }
                self.reply(conn, |out| dialect::left(out, channel, None));
            }
            Command::Join { channel } => {
                if barred || self.topic(channel).is_none() {
                    return self.deny(conn, ACCESS_DENIED);
                }
                if let Some(places) = self.consult(now, conn, text, Action::Subscribe, &[channel]) {
                    self.join(now, conn, channel, &places);
                }
            }
            Command::Send { channel, message } => {
                if barred || self.topic(channel).is_none() {
                    return self.deny(conn, PERMISSION_DENIED);
                }
                if let Some(places) = self.consult(now, conn, text, Action::Publish, &[channel]) {
                    self.send_message(now, conn, channel, message, &places);
                }
            }
            Command::Notifications { ref types, raw } => match self.notify(conn, types) {
                Ok(()) => self.reply(conn, |out| dialect::notifications(out, raw)),
                Err(why) => self.deny(conn, &why),
            },
        }
    }

    fn join(&mut self, now: Now, conn: u32, channel: &str, places: &Places) {
        match self.subscribe(now, conn, channel, places.of(0)) {
            Ok(()) => self.reply(conn, |out| dialect::joined(out, channel)),
            Err(Refusal::Forbidden) => self.deny(conn, ACCESS_DENIED),
            Err(refusal) => self.deny(conn, &refusal.to_string()),
        }
        self.count_topics();
    }

    fn send_message(&mut self, now: Now, conn: u32, channel: &str, message: &str, places: &Places) {
        // To the other members: the sender is none of them here.
        let publish =
            Publish { topic: channel, data: message, metadata: "", event: None, echo: false };
        match self.publish_for(now, conn, None, &publish, places.of(0)) {
            Ok(()) => {}
            Err(Refusal::Forbidden) => self.deny(conn, PERMISSION_DENIED),
            Err(refusal) => self.deny(conn, &refusal.to_string()),
        }
    }

    /// Joins one's own notifications of these types: all, or none and the reason.
    fn notify(&mut self, conn: u32, types: &[&str]) -> Result<(), String> {
        let slot = &self.slots[conn];
        let identity = slot.identity.as_deref();
        let Some((tenant, user)) = identity.and_then(|it| Some((it.tenant()?, it.user_id())))
        else {
            return Err(ACCESS_DENIED.into());
        };
        let mut channels: Vec<String> =
            types.iter().map(|it| format!("notifications:{tenant}:{user}:{it}")).collect();
        let are_good = types.iter().all(|it| is_notification_type(it))
            && channels.iter().all(|channel| self.topic(channel).is_some());
        if !are_good {
            return Err(INVALID_FORMAT.into());
        }
        channels.sort_unstable();
        channels.dedup();
        channels.retain(|channel| !self.topics.is_subscribed(conn, channel));
        if self.topics.subscription_count(conn) + channels.len() > self.policy.subscriptions_max {
            return Err(Refusal::TooManySubscriptions.to_string());
        }
        for channel in &channels {
            self.enter(conn, Pattern::checked(channel)).map_err(|refusal| refusal.to_string())?;
        }
        self.count_topics();
        Ok(())
    }

    fn topic<'t>(&self, channel: &'t str) -> Option<Topic<'t>> {
        Topic::parse(channel, self.policy.topic_bounds).ok()
    }

    fn deny(&mut self, conn: u32, why: &str) {
        self.metrics.refusals_total.add(1);
        self.reply(conn, |out| dialect::error(out, why));
    }
}
