//! Typing and presence: events of the moment, which are held to one in a second.
//!
//! Of typing events the rest is dropped, for the next says the same; of presence the latest is held
//! back until it may be told. Neither is kept in a history. Presence goes to Socket.IO clients alone,
//! to each once, however many rooms it shares. Contract: protocols.md section 5, section 11
//! "Socket.IO".

use std::sync::Arc;

use super::replies::{self, DONE};
use super::request::Typing;
use super::{Advice, Said};
use crate::close::{Close, Refusal};
use crate::config::Action;
use crate::connection::Address;
use crate::json_text::push_string;
use crate::limits::PRESENCE_MS;
use crate::mail::Delivery;
use crate::message::{Message, Publication, Publish};
use crate::shard::hub::Hub;
use crate::shard::role::Throttle;
use crate::shard::session::Notice;
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::sid::Sid;
use crate::time::{Now, Timestamp};
use crate::topic::name_hash;

impl Typing {
    /// The event's type in every dialect.
    fn event(self) -> &'static str {
        match self {
            Self::Start => "\"typing_start\"",
            Self::Stop => "\"typing_stop\"",
        }
    }
}

/// The event's type.
const PRESENCE_UPDATE: &str = "\"presence_update\"";

impl Throttle {
    /// Whether a typing event of this kind may be told in a room now; one of the last four kinds and
    /// rooms may not within a second.
    fn may_type(&mut self, kind: Typing, room: &str, mono_ms: u64) -> bool {
        let what = name_hash(room) << 1 | u64::from(kind == Typing::Start);
        if self.typing.iter().any(|(it, until_ms)| *it == what && mono_ms < *until_ms) {
            return false;
        }
        let oldest = self.typing.iter_mut().min_by_key(|(it, until_ms)| {
            // The entry of the same, that is over, first.
            (*it != what, *until_ms)
        });
        if let Some(oldest) = oldest {
            *oldest = (what, mono_ms + PRESENCE_MS);
        }
        true
    }

    /// Whether presence may be told now; otherwise this one is held back, in place of any other.
    fn may_tell(&mut self, status: &str, mono_ms: u64) -> bool {
        let may = mono_ms >= self.presence_ms;
        if may {
            self.presence_ms = mono_ms + PRESENCE_MS;
        }
        self.presence = (!may).then(|| status.into());
        may
    }

    /// What was held back and is due.
    fn take_due(&mut self, mono_ms: u64) -> Option<Box<str>> {
        self.presence.take_if(|_| mono_ms >= self.presence_ms).inspect(|_| {
            self.presence_ms = mono_ms + PRESENCE_MS;
        })
    }
}

impl Hub {
    /// Tells the other members of a room that somebody types, or does no more.
    pub(super) fn tell_typing(&mut self, now: Now, said: &Said<'_>, kind: Typing, room: &str) {
        let word = match self.may_type(now, said, kind, room) {
            Ok(Some(Advice(word))) => word,
            Ok(None) => return,
            Err(refusal) => return self.refuse_event(now, said, refusal),
        };
        let data = self.typing(said.socket, room, now.wall);
        let event = Some(kind.event());
        let publish = Publish { topic: room, data: &data, metadata: "", event, echo: false };
        match self.publish_with(now, said.socket, None, &publish, (None, true), word) {
            Ok(()) => self.acknowledge(said.socket, said.ack, DONE),
            Err(refusal) => self.refuse_event(now, said, refusal),
        }
    }

    /// Whether it may be told, and what a webhook says of it. `None`: it waits for that, or comes
    /// too often and is done with.
    fn may_type(
        &mut self,
        now: Now,
        said: &Said<'_>,
        kind: Typing,
        room: &str,
    ) -> Result<Option<Advice>, Refusal> {
        self.check_member(said, room)?;
        // What waited for a webhook was let through before.
        if said.told.is_none()
            && let Some(socket) = self.socket_mut(said.socket)
            && !socket.throttle.get_or_insert_default().may_type(kind, room, now.mono_ms)
        {
            self.acknowledge(said.socket, said.ack, DONE);
            return Ok(None);
        }
        Ok(self.ask(now, said, Action::Publish, room))
    }

    fn typing(&self, socket: u32, room: &str, at: Timestamp) -> String {
        let mut out = b"{\"room\":".to_vec();
        push_string(&mut out, room);
        out.push(b',');
        push_user(&mut out, self.user(socket));
        out.extend_from_slice(b",\"socketId\":\"");
        out.extend(self.sid(socket).map(Sid::chars).into_iter().flatten());
        out.extend_from_slice(b"\",\"timestamp\":\"");
        out.extend_from_slice(&at.rfc3339());
        out.push(b'"');
        replies::text(out)
    }

    /// Tells who shares a room with a socket that it is there, or not; at once or soon.
    pub(super) fn update_presence(&mut self, now: Now, said: &Said<'_>, status: &str) {
        self.acknowledge(said.socket, said.ack, DONE);
        let Some(socket) = self.socket_mut(said.socket) else { return };
        if socket.throttle.get_or_insert_default().may_tell(status, now.mono_ms) {
            self.tell_presence(now, said.socket, status);
        } else {
            self.rearm(now, said.socket);
        }
    }

    fn tell_presence(&mut self, now: Now, socket: u32, status: &str) {
        let rooms: Arc<[Box<str>]> = self.topics.subscriptions(socket).map(Into::into).collect();
        let Some(sid) = self.sid(socket).map(Sid::chars).filter(|_| !rooms.is_empty()) else {
            return;
        };
        // Of one sender the latest counts: to a slow consumer as well.
        let topic = std::str::from_utf8(&sid).expect("a name is ASCII");
        let mut data = b"{".to_vec();
        push_user(&mut data, self.user(socket));
        data.extend_from_slice(format!(",\"status\":\"{status}\",\"lastSeen\":\"").as_bytes());
        data.extend_from_slice(&now.wall.rfc3339());
        data.push(b'"');
        let data = replies::text(data);
        let message = Arc::new(Message::new(&Publication {
            event: Some(PRESENCE_UPDATE),
            ephemeral: true,
            ..Publication::of_server(topic, &data, now.wall)
        }));
        let skip = Address { shard: self.id, conn: self.slots.key(socket) };
        let mut wanted = vec![false; usize::from(self.shards)];
        for room in &*rooms {
            let shards = self.interest.table().shards(room, name_hash(room));
            shards.iter().for_each(|shard| wanted[usize::from(shard)] = true);
        }
        let own = self.id;
        for shard in (0..self.shards).filter(|it| *it != own && wanted[usize::from(*it)]) {
            let (message, topics) = (Arc::clone(&message), Arc::clone(&rooms));
            self.send(shard, Delivery::FanOutMany { message, topics, skip });
        }
        self.fan_out_many(&message, &rooms, skip);
    }

    /// When something is to be done for a socket: what was held back is due.
    pub(in crate::shard) fn socket_deadline(&self, conn: u32) -> Tick {
        let throttle = self.socket(conn).and_then(|socket| socket.throttle.as_deref());
        let held = throttle.filter(|throttle| throttle.presence.is_some());
        let due = held.map_or(Tick::NEVER, |throttle| Tick::not_before_ms(throttle.presence_ms));
        due.min(self.asked_deadline(conn))
    }

    /// Acts on such a deadline, and on the end of a token, where the socket has no transport of its
    /// own.
    pub(in crate::shard) fn on_socket_deadline(&mut self, now: Now, conn: u32) {
        if self.slots[conn].phase == Phase::Guest && self.token_left_ms(now, conn) == Some(0) {
            self.tell_socket(now, conn, Notice::AuthExpired);
            let carrier = self.carrier_of(conn);
            return self.begin_close(now, carrier, Close::TokenExpired);
        }
        self.on_asked_deadline(now, conn);
        let Some(socket) = self.socket_mut(conn) else { return };
        let throttle = socket.throttle.as_deref_mut();
        if let Some(status) = throttle.and_then(|it| it.take_due(now.mono_ms)) {
            self.tell_presence(now, conn, &status);
        }
    }
}

fn push_user(out: &mut Vec<u8>, user: Option<&str>) {
    out.extend_from_slice(b"\"userId\":");
    match user {
        Some(user) => push_string(out, user),
        None => out.extend_from_slice(b"null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typing_is_told_once_a_second_for_each_room_and_kind() {
        let mut throttle = Throttle::default();
        let mut may = |kind, room, ms| throttle.may_type(kind, room, ms);
        assert!(may(Typing::Start, "a", 10) && !may(Typing::Start, "a", 1009));
        assert!(may(Typing::Stop, "a", 10) && may(Typing::Start, "b", 10));
        assert!(may(Typing::Start, "a", 1010) && !may(Typing::Start, "a", 1011));
        // Of more than four the one that is held back the shortest is forgotten.
        assert!(may(Typing::Start, "c", 1020) && may(Typing::Start, "d", 1021));
        assert!(!may(Typing::Start, "a", 1022) && !may(Typing::Start, "c", 1022));
    }

    #[test]
    fn of_presence_the_latest_is_told_when_it_may_be() {
        let mut throttle = Throttle::default();
        assert!(throttle.may_tell("online", 5));
        assert_eq!(throttle.take_due(5000), None);
        assert!(!throttle.may_tell("away", 6) && !throttle.may_tell("busy", 900));
        assert_eq!(throttle.take_due(1004), None);
        assert_eq!(throttle.take_due(1005).as_deref(), Some("busy"));
        assert_eq!(throttle.take_due(3000), None);
        assert!(!throttle.may_tell("away", 2004));
        // One that may be told makes one that was held back old.
        assert!(throttle.may_tell("offline", 2006));
        assert_eq!(throttle.take_due(9000), None);
    }
}
