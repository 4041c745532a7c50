//! The dialect `channels`: `{"type":T,"data":{…}}` both ways.
//!
//! The server greets with `connection`; a bad token is told by a close. A channel's name is the
//! topic's as given: which names a token opens is the layout's care. Contract: protocols.md
//! section 4.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::handshake::Door;
use super::{Dialect, Heard, Who, Words, reply};
use crate::load::scenario::Target;
use crate::wire::json::push_string;

/// Bytes of a request beside its channel and payload.
const ENVELOPE_BYTES: usize = 64;

/// Speaks `channels`.
#[derive(Debug)]
pub(super) struct Channels {
    door: Door,
}

/// A reply, as far as it matters.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    data: Option<Value>,
}

impl Channels {
    pub(super) fn new(target: &Target) -> Self {
        Self { door: Door::new(target) }
    }
}

impl Dialect for Channels {
    fn handshake(&self, who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        self.door.knock(who.token, key, offer, out);
    }

    fn opened(&self, _who: &Who<'_>, _say: &mut Words<'_>) -> bool {
        false
    }

    fn foreign(&self, payload: &[u8]) -> Option<&'static str> {
        let reply: Option<Reply<'_>> = serde_json::from_slice(payload).ok();
        let may_be = reply.is_some_and(|reply| matches!(&*reply.kind, "connection" | "error"));
        (!may_be).then_some("channels")
    }

    fn subscribe(&self, pattern: &str, _number: u16, say: &mut Words<'_>) -> bool {
        say.text(&about("join_channel", pattern, None));
        true
    }

    fn echoes(&self) -> bool {
        false
    }

    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>) {
        say.text(&about("send_message", topic, Some(payload)));
    }

    fn hear(
        &self,
        _who: &Who<'_>,
        payload: &[u8],
        _say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        match reply::delivery(payload) {
            Some(stamp) => tell(Heard::Delivery(stamp)),
            None => control(payload, tell),
        }
        payload.len()
    }
}

/// A request about a channel, with a message to it or without.
fn about(kind: &str, channel: &str, message: Option<&[u8]>) -> Vec<u8> {
    let message_bytes = message.map_or(0, <[u8]>::len);
    let mut text = Vec::with_capacity(ENVELOPE_BYTES + channel.len() + message_bytes);
    text.extend_from_slice(b"{\"type\":\"");
    text.extend_from_slice(kind.as_bytes());
    text.extend_from_slice(b"\",\"data\":{\"channel\":");
    push_string(&mut text, channel);
    if let Some(message) = message {
        text.extend_from_slice(b",\"message\":\"");
        text.extend_from_slice(message);
        text.push(b'"');
    }
    text.extend_from_slice(b"}}");
    text
}

fn control(payload: &[u8], tell: &mut dyn FnMut(Heard<'_>)) {
    let Ok(Reply { kind, data }) = serde_json::from_slice(payload) else {
        return tell(Heard::Other);
    };
    match &*kind {
        "connection" => tell(Heard::Ready),
        "channel_joined" => tell(Heard::Subscribed),
        "error" => {
            let why = data.as_ref().and_then(|data| data.get("error"));
            tell(Heard::Refused(reply::words(None, why).as_bytes()));
        }
        _ => tell(Heard::Other),
    }
}
