//! Rooms over Socket.IO v5 on Engine.IO v4, by WebSocket from the start: a packet a text frame.
//!
//! The server opens; the client connects to the namespace `/` with its token and is ready when that
//! is answered. A room is joined with an acknowledgement, whose id is the subscription's number, so
//! the events that tell the same (`room_joined`, `room_error`) need no look. Who sends to a room has
//! to be in it. Heartbeats are answered here. Contract: protocols.md sections 5 and 11.

use std::str;

use serde_json::Value;

use super::handshake::Door;
use super::{Dialect, Heard, Who, Words, reply};
use crate::load::scenario::Target;
use crate::load::stamp::Stamp;
use crate::wire::json::push_string;

/// What asks for Engine.IO v4 by WebSocket.
const QUERY: &str = "EIO=4&transport=websocket";

/// Bytes of a message's packet beside its room and content.
const ENVELOPE_BYTES: usize = 80;

/// Speaks Socket.IO.
#[derive(Debug)]
pub(super) struct SocketIo {
    door: Door,
}

impl SocketIo {
    pub(super) fn new(target: &Target) -> Self {
        let mut target = target.clone();
        if !target.path.contains("EIO=") {
            target.path.push(if target.path.contains('?') { '&' } else { '?' });
            target.path.push_str(QUERY);
        }
        Self { door: Door::new(&target) }
    }
}

impl Dialect for SocketIo {
    fn handshake(&self, _who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        self.door.knock(None, key, offer, out);
    }

    fn opened(&self, _who: &Who<'_>, _say: &mut Words<'_>) -> bool {
        false
    }

    fn foreign(&self, payload: &[u8]) -> Option<&'static str> {
        let may_be = matches!(
            payload,
            [b'0', b'{', ..] | [b'4', b'0' | b'1' | b'2' | b'4', ..] | b"1" | b"2" | b"6"
        );
        (!may_be).then_some("socketio")
    }

    fn subscribe(&self, pattern: &str, number: u16, say: &mut Words<'_>) -> bool {
        say.text(&about("join_room", pattern, u32::from(number)));
        true
    }

    fn joins_to_publish(&self) -> bool {
        true
    }

    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>) {
        let mut text = Vec::with_capacity(ENVELOPE_BYTES + topic.len() + payload.len());
        // Servers put the authenticated user in the place of `from`; some want one to be there.
        text.extend_from_slice(b"42[\"message\",{\"from\":\"bench\",\"room\":");
        push_string(&mut text, topic);
        text.extend_from_slice(b",\"content\":\"");
        text.extend_from_slice(payload);
        text.extend_from_slice(b"\",\"type\":\"text\"}]");
        say.text(&text);
    }

    fn hear(
        &self,
        who: &Who<'_>,
        payload: &[u8],
        say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        match payload {
            [b'4', b'2', rest @ ..] => match Stamp::find(rest) {
                // A publisher is in the room too, only to send to it.
                Some(_) if who.publishes => tell(Heard::Other),
                Some((stamp, _)) if !is_error(rest) => tell(Heard::Delivery(stamp)),
                _ => event(rest, tell),
            },
            [b'4', b'3', rest @ ..] => acknowledged(rest, tell),
            [b'0', ..] => {
                say.text(&connect(who));
                tell(Heard::Other);
            }
            b"2" => {
                say.text(b"3");
                tell(Heard::Other);
            }
            [b'4', b'0', ..] => tell(Heard::Ready),
            [b'4', b'1', ..] => tell(Heard::Refused(b"disconnected from the namespace")),
            [b'4', b'4', rest @ ..] => {
                let error: Option<Value> = serde_json::from_slice(rest).ok();
                let message = error.as_ref().and_then(|error| error.get("message"));
                tell(Heard::Refused(reply::words(None, message).as_bytes()));
            }
            _ => tell(Heard::Other),
        }
        payload.len()
    }
}

/// The CONNECT packet for the namespace `/`.
fn connect(who: &Who<'_>) -> Vec<u8> {
    let mut text = b"40".to_vec();
    if let Some(token) = who.token {
        text.extend_from_slice(b"{\"token\":");
        push_string(&mut text, token);
        text.push(b'}');
    }
    text
}

/// An event about a room, to be acknowledged.
fn about(event: &str, room: &str, id: u32) -> Vec<u8> {
    let mut text = format!("42{id}[\"{event}\",{{\"room\":").into_bytes();
    push_string(&mut text, room);
    text.extend_from_slice(b"}]");
    text
}

fn is_error(event: &[u8]) -> bool {
    event.starts_with(b"[\"error\"")
}

/// An event that is no message of the load.
fn event(text: &[u8], tell: &mut dyn FnMut(Heard<'_>)) {
    if !is_error(text) {
        return tell(Heard::Other);
    }
    let event: Option<Value> = serde_json::from_slice(text).ok();
    let error = event.as_ref().and_then(|event| event.get(1));
    tell(Heard::Refused(error_words(error).as_bytes()));
}

/// `<id>[{"success":…}]`; whatever does not say that it failed has succeeded.
fn acknowledged(text: &[u8], tell: &mut dyn FnMut(Heard<'_>)) {
    let digits = text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (id, arguments) = text.split_at(digits);
    if str::from_utf8(id).ok().is_none_or(|id| id.parse::<u32>().is_err()) {
        return tell(Heard::Other);
    }
    let arguments: Option<Value> = serde_json::from_slice(arguments).ok();
    let answer = arguments.as_ref().and_then(|arguments| arguments.get(0));
    let success = answer.and_then(|answer| answer.get("success"));
    if success == Some(&Value::Bool(false)) {
        tell(Heard::Refused(error_words(answer).as_bytes()));
    } else {
        tell(Heard::Subscribed);
    }
}

/// Of an object with `code` and `message`, or of a text.
fn error_words(error: Option<&Value>) -> String {
    let part = |key| error.and_then(|error| error.get(key));
    match part("message") {
        Some(message) => reply::words(part("code"), Some(message)),
        None => reply::words(part("code"), error),
    }
}
