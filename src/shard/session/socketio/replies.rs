//! What a socket is told: events, acknowledgements, errors.
//!
//! Every packet of the broker's own to a socket goes through here, so that what an event must carry
//! stands in one place. An acknowledgement goes before the event that says the same. Contract:
//! protocols.md section 5 "Error codes", section 11 "Socket.IO".

use std::sync::Arc;

use super::Said;
use crate::close::Refusal;
use crate::config::{EventName, Events};
use crate::json_text::push_string;
use crate::shard::hub::Hub;
use crate::shard::outbox::Droppable;
use crate::shard::recovery::{Offset, Recovery};
use crate::shard::role::Namespace;
use crate::shard::session::Notice;
use crate::time::{Now, Timestamp};
use crate::wire::socketio as dialect;

/// What an acknowledgement says of an event without anything to be told.
pub(super) const DONE: &str = "{\"success\":true}";
/// What a token that is none is told.
pub(super) const AUTHENTICATION_FAILED: &str = "AUTHENTICATION_FAILED";

/// The code of an error, by what is refused.
pub(super) fn code(refusal: Refusal) -> &'static str {
    match refusal {
        Refusal::Unauthenticated => AUTHENTICATION_FAILED,
        Refusal::Forbidden | Refusal::NotAMember => "AUTHORIZATION_FAILED",
        Refusal::RateLimited { .. } | Refusal::OverWindow => "RATE_LIMIT_EXCEEDED",
        Refusal::InvalidRoom | Refusal::BadTopic(_) | Refusal::TooManySubscriptions => {
            "INVALID_ROOM"
        }
        Refusal::ShuttingDown | Refusal::Overloaded => "CONNECTION_ERROR",
        Refusal::BadJson
        | Refusal::NotAnObject
        | Refusal::DuplicateKey
        | Refusal::UnknownType
        | Refusal::Missing(_)
        | Refusal::IllTyped(_)
        | Refusal::TopicAndTopics
        | Refusal::TooLarge => "INVALID_MESSAGE",
        Refusal::NotFound => "UNKNOWN_ERROR",
    }
}

/// Which event tells of what is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// `error`, which says when.
    Error,
    /// `room_error`, which does not.
    RoomError,
}

/// A JSON object with the members that an error has.
fn error(told: Told, code: &str, message: &str, at: Timestamp) -> String {
    let mut out = b"{".to_vec();
    push_error(&mut out, code, message);
    if told == Told::Error {
        out.extend_from_slice(b",\"timestamp\":\"");
        out.extend_from_slice(&at.rfc3339());
        out.push(b'"');
    }
    text(out)
}

fn push_error(out: &mut Vec<u8>, code: &str, message: &str) {
    out.extend_from_slice(b"\"code\":");
    push_string(out, code);
    out.extend_from_slice(b",\"message\":");
    push_string(out, message);
}

/// Ends an object that was written by hand.
pub(super) fn text(mut object: Vec<u8>) -> String {
    object.push(b'}');
    String::from_utf8(object).expect("what is written of text is text")
}

impl Hub {
    /// Emits an event to a socket; each argument is raw JSON.
    pub(super) fn emit(
        &mut self,
        socket: u32,
        name: impl FnOnce(&Events) -> &EventName,
        args: &[&str],
    ) {
        let policy = Arc::clone(&self.policy);
        self.emit_named(socket, None, name(&policy.socketio.events).text(), args, &[]);
    }

    /// Emits an event of this name, with bytes beside it, which the client is to acknowledge by a
    /// number where one is given.
    pub(super) fn emit_named(
        &mut self,
        socket: u32,
        ack: Option<u64>,
        name: &str,
        args: &[&str],
        attachments: &[Box<[u8]>],
    ) {
        let Some(nsp) = self.namespace(socket).map(Namespace::name) else { return };
        let count = attachments.len() as u8;
        // Clients take any last text for an offset, and of an event without arguments its name.
        let recovery = self.recovery.as_deref().filter(|_| ack.is_none());
        let offset = recovery.map(Recovery::last_offset);
        self.queue_packet(socket, Droppable::NEVER, attachments, |out| {
            let offset = offset.as_ref().map(Offset::as_str);
            dialect::event(out, nsp, ack, count, name, args, offset);
        });
    }

    /// Acknowledges an event, where its client wants that; `arg` is raw JSON.
    pub(super) fn acknowledge(&mut self, socket: u32, ack: Option<u64>, arg: &str) {
        let nsp = self.namespace(socket).map(Namespace::name);
        if let (Some(nsp), Some(id)) = (nsp, ack) {
            self.queue_packet(socket, Droppable::NEVER, &[], |out| {
                dialect::ack(out, nsp, id, 0, arg);
            });
        }
    }

    /// Tells a client that its event is not carried out.
    pub(super) fn refuse_event(&mut self, now: Now, said: &Said<'_>, refusal: Refusal) {
        self.refuse_by(now, said, refusal, Told::Error);
    }

    /// The same of an event by which it would have joined or left a room.
    pub(super) fn refuse_room(&mut self, now: Now, said: &Said<'_>, refusal: Refusal) {
        self.refuse_by(now, said, refusal, Told::RoomError);
    }

    fn refuse_by(&mut self, now: Now, said: &Said<'_>, refusal: Refusal, told: Told) {
        self.metrics.refusals_total.add(1);
        self.metrics.socketio_errors_total.add(1);
        let (code, message) = (code(refusal), refusal.to_string());
        self.acknowledge_failure(said, code, &message);
        if self.namespace(said.socket) == Some(Namespace::Rooms) {
            self.emit_error(now, said.socket, told, code, &message);
        }
    }

    /// Says in the acknowledgement that an event is not carried out.
    pub(super) fn acknowledge_failure(&mut self, said: &Said<'_>, code: &str, message: &str) {
        if said.ack.is_some() {
            let mut failure = b"{\"success\":false,".to_vec();
            push_error(&mut failure, code, message);
            self.acknowledge(said.socket, said.ack, &text(failure));
        }
    }

    fn emit_error(&mut self, now: Now, socket: u32, told: Told, code: &str, message: &str) {
        let error = error(told, code, message, now.wall);
        match told {
            Told::Error => self.emit(socket, |events| &events.error, &[&error]),
            Told::RoomError => self.emit(socket, |events| &events.room_error, &[&error]),
        }
    }

    /// Tells a socket something of the broker's own accord.
    pub(in crate::shard::session) fn tell_socket(
        &mut self,
        now: Now,
        conn: u32,
        notice: Notice<'_>,
    ) {
        let namespace = self.namespace(conn);
        match (notice, namespace) {
            (Notice::AuthExpired, Some(Namespace::Gateway)) => {
                self.emit(conn, |events| &events.gateway_error, &["\"Token expired\""]);
            }
            (Notice::AuthExpired, Some(Namespace::Rooms)) => {
                let code = AUTHENTICATION_FAILED;
                self.emit_error(now, conn, Told::Error, code, "Token expired");
            }
            (Notice::Withdrawn { topic }, Some(Namespace::Rooms)) => {
                let mut left = b"{\"success\":true,\"room\":".to_vec();
                push_string(&mut left, topic);
                left.extend_from_slice(b",\"reason\":\"forbidden\"");
                self.emit(conn, |events| &events.room_left, &[&text(left)]);
            }
            (Notice::Refused { refusal, .. }, Some(Namespace::Rooms)) => {
                let message = refusal.to_string();
                self.emit_error(now, conn, Told::Error, code(refusal), &message);
            }
            _ => {}
        }
    }
}
