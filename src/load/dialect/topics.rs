//! The dialects `topics` and `events`: JSON text frames, one message each.
//!
//! Both have the same requests and replies; what differs, the envelope of a delivery, does not
//! matter to who looks for a stamp. The token goes into the handshake's query, so a client is ready
//! as soon as it is connected. Contract: protocols.md sections 3 and 11, "Envelope".

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::Value;

use super::handshake::Door;
use super::{Dialect, Heard, Who, Words, reply};
use crate::load::scenario::Target;
use crate::wire::json::push_string;

/// Bytes of a request beside its topic and payload.
const ENVELOPE_BYTES: usize = 64;

/// Speaks `topics`, and `events`.
#[derive(Debug)]
pub(super) struct Topics {
    door: Door,
}

/// A reply, as far as it matters.
#[derive(Deserialize)]
struct Reply<'a> {
    #[serde(rename = "type", borrow)]
    kind: Cow<'a, str>,
    code: Option<Value>,
    message: Option<Value>,
}

impl Topics {
    pub(super) fn new(target: &Target) -> Self {
        Self { door: Door::new(target) }
    }
}

impl Dialect for Topics {
    fn handshake(&self, who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        self.door.knock(who.token, key, offer, out);
    }

    fn opened(&self, _who: &Who<'_>, _say: &mut Words<'_>) -> bool {
        true
    }

    fn subscribe(&self, pattern: &str, _number: u16, say: &mut Words<'_>) -> bool {
        say.text(&about("subscribe", pattern));
        true
    }

    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>) {
        let mut text = Vec::with_capacity(ENVELOPE_BYTES + topic.len() + payload.len());
        text.extend_from_slice(b"{\"type\":\"message\",\"topic\":");
        push_string(&mut text, topic);
        text.extend_from_slice(b",\"data\":\"");
        text.extend_from_slice(payload);
        text.extend_from_slice(b"\"}");
        say.text(&text);
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

/// A request that names a topic and nothing else.
fn about(kind: &str, topic: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(ENVELOPE_BYTES + topic.len());
    text.extend_from_slice(b"{\"type\":\"");
    text.extend_from_slice(kind.as_bytes());
    text.extend_from_slice(b"\",\"topic\":");
    push_string(&mut text, topic);
    text.push(b'}');
    text
}

fn control(payload: &[u8], tell: &mut dyn FnMut(Heard<'_>)) {
    let Ok(Reply { kind, code, message }) = serde_json::from_slice(payload) else {
        return tell(Heard::Other);
    };
    match &*kind {
        "subscribed" => tell(Heard::Subscribed),
        "error" | "auth_error" | "auth_expired" => {
            tell(Heard::Refused(reply::words(code.as_ref(), message.as_ref()).as_bytes()));
        }
        _ => tell(Heard::Other),
    }
}
