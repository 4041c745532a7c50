//! The room server: its events, and how sockets join and leave rooms.
//!
//! A room is a topic, never a pattern. A socket is in the room of its own name without being
//! subscribed to that, and nobody else can be. Contract: protocols.md section 5, section 11
//! "Socket.IO".

use std::sync::Arc;

use super::replies::{self, DONE};
use super::request::{self, Request};
use super::{Advice, Said};
use crate::close::Refusal;
use crate::config::{Action, RoomEvent};
use crate::json_text::push_string;
use crate::shard::hub::Hub;
use crate::sid::Sid;
use crate::time::Now;
use crate::topic::Topic;
use crate::wire::socketio::Args;

/// Slots of a shard, at most: no socket's name says more.
const PLACES_MAX: u32 = 1 << 26;

impl Hub {
    /// Takes an event of a socket of the room server.
    pub(super) fn on_room_event(&mut self, now: Now, said: &Said<'_>, name: &str, args: &Args<'_>) {
        let policy = Arc::clone(&self.policy);
        let Some(event) = policy.socketio.events.room_event(name) else {
            return self.refuse_event(now, said, Refusal::UnknownType);
        };
        let is_of_room = matches!(event, RoomEvent::JoinRoom | RoomEvent::LeaveRoom);
        match request::read(event, args) {
            Ok(request) => self.on_room_request(now, said, &request),
            Err(refusal) if is_of_room => self.refuse_room(now, said, refusal),
            Err(refusal) => self.refuse_event(now, said, refusal),
        }
    }

    fn on_room_request(&mut self, now: Now, said: &Said<'_>, request: &Request<'_, '_, '_>) {
        match *request {
            Request::Join { room } => self.join_room(now, said, room),
            Request::Leave { room } => self.leave_room(now, said, room),
            Request::Send(ref message) => self.send_chat(now, said, message),
            Request::Typing { kind, room } => self.tell_typing(now, said, kind, room),
            Request::Presence { status } => self.update_presence(now, said, status),
            Request::Relay { relay, room, data } => self.relay(now, said, relay, room, data),
            Request::Ping => {
                self.acknowledge(said.socket, said.ack, DONE);
                self.emit(said.socket, |events| &events.pong, &[]);
            }
        }
    }

    fn join_room(&mut self, now: Now, said: &Said<'_>, room: &str) {
        if self.room(room).is_none() {
            return self.refuse_room(now, said, Refusal::InvalidRoom);
        }
        if self.is_own_room(said.socket, room) {
            return self.joined(said.socket, said.ack, room, 1);
        }
        if self.name_of_socket(room).is_some() {
            return self.refuse_room(now, said, Refusal::Forbidden);
        }
        let advice = self.ask(now, said, Action::Subscribe, room);
        let Some(Advice(word)) = advice else { return };
        let subscribed = self.subscribe(now, said.socket, room, word);
        self.count_topics();
        match subscribed {
            Ok(()) => self.reply_joined(now, said, room),
            Err(refusal) => self.refuse_room(now, said, refusal),
        }
    }

    fn leave_room(&mut self, now: Now, said: &Said<'_>, room: &str) {
        if self.room(room).is_none() {
            return self.refuse_room(now, said, Refusal::InvalidRoom);
        }
        let left = self.unsubscribe(said.socket, room);
        debug_assert!(left.is_ok());
        self.count_topics();
        let mut reply = b"{\"success\":true,\"room\":".to_vec();
        push_string(&mut reply, room);
        let reply = replies::text(reply);
        self.acknowledge(said.socket, said.ack, &reply);
        self.emit(said.socket, |events| &events.room_left, &[&reply]);
    }

    /// Tells a socket that it is a member of a room, which has so many.
    pub(super) fn joined(&mut self, socket: u32, ack: Option<u64>, room: &str, members: u64) {
        let mut reply = b"{\"success\":true,\"room\":".to_vec();
        push_string(&mut reply, room);
        reply.extend_from_slice(format!(",\"memberCount\":{members}").as_bytes());
        let reply = replies::text(reply);
        self.acknowledge(socket, ack, &reply);
        self.emit(socket, |events| &events.room_joined, &[&reply]);
    }

    /// What a webhook says, where the rules have it asked. `None`: the event waits for that.
    pub(super) fn ask(
        &mut self,
        now: Now,
        said: &Said<'_>,
        action: Action,
        room: &str,
    ) -> Option<Advice> {
        if let Some(places) = said.told {
            return Some(Advice(places.of(0)));
        }
        let places = self.consult(now, said.socket, said.text, action, &[room])?;
        Some(Advice(places.of(0)))
    }

    /// The topic that a room is, if its name is one's.
    pub(super) fn room<'r>(&self, name: &'r str) -> Option<Topic<'r>> {
        Topic::parse(name, self.policy.topic_bounds).ok()
    }

    /// Whether a socket is in a room.
    pub(super) fn is_member(&self, socket: u32, room: &str) -> bool {
        self.topics.is_subscribed(socket, room) || self.is_own_room(socket, room)
    }

    /// Whether a room is that of a socket's own name.
    pub(super) fn is_own_room(&self, socket: u32, room: &str) -> bool {
        let name = self.name_of_socket(room);
        name.is_some() && name == self.sid(socket)
    }

    /// The socket that has this name, if it is of the form that sockets here have; nobody need
    /// have it.
    pub(in crate::shard) fn name_of_socket(&self, name: &str) -> Option<Sid> {
        Sid::parse(name).filter(|sid| sid.shard() < self.shards && sid.place() < PLACES_MAX)
    }
}
