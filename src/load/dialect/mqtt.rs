//! MQTT 3.1.1 in binary WebSocket frames (its section 6), QoS 0: a stream of packets, cut anywhere.
//!
//! Clean sessions, no keep-alive, `bench-<number>` for an id; a token goes as the password. Topics
//! have levels: `.` becomes `/`, `*` becomes `+`, `**` becomes `#`.

use super::handshake::{Door, Knock};
use super::{Dialect, Heard, Who, Words};
use crate::load::scenario::Target;
use crate::load::stamp::Stamp;

/// Bytes of a remaining length (MQTT section 2.2.3).
const LENGTH_BYTES_MAX: usize = 4;

/// Packets by their first byte, flags included.
const CONNECT: u8 = 0x10;
const CONNACK: u8 = 0x20;
const PUBLISH: u8 = 0x30;
const SUBSCRIBE: u8 = 0x82;
const SUBACK: u8 = 0x90;

/// What a SUBACK says of a subscription that is not made.
const FAILURE: u8 = 0x80;

/// CONNECT flags (MQTT section 3.1.2.3).
const CLEAN_SESSION: u8 = 0x02;
const USER_AND_PASSWORD: u8 = 0xC0;

/// Speaks MQTT.
#[derive(Debug)]
pub(super) struct Mqtt {
    door: Door,
}

/// One packet: its first byte and what is behind its length.
type Packet<'a> = (u8, &'a [u8]);

impl Mqtt {
    pub(super) fn new(target: &Target) -> Self {
        Self { door: Door::new(target) }
    }
}

impl Dialect for Mqtt {
    fn handshake(&self, _who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        let knock = Knock { path: self.door.path(), protocol: Some("mqtt"), key, offer };
        self.door.request(&knock, out);
    }

    fn opened(&self, who: &Who<'_>, say: &mut Words<'_>) -> bool {
        let id = format!("bench-{}", who.number);
        let mut body = Vec::new();
        push_string(&mut body, b"MQTT");
        let with_token = if who.token.is_some() { USER_AND_PASSWORD } else { 0 };
        let keep_alive = [0, 0];
        body.extend([4, CLEAN_SESSION | with_token]);
        body.extend(keep_alive);
        push_string(&mut body, id.as_bytes());
        if let Some(token) = who.token {
            push_string(&mut body, id.as_bytes());
            push_string(&mut body, token.as_bytes());
        }
        say.binary(&packet(CONNECT, &[&body]));
        false
    }

    fn foreign(&self, payload: &[u8]) -> Option<&'static str> {
        let length = 2;
        let is_greeting = |(byte, greeting): (&u8, u8)| *byte == greeting;
        (!payload.iter().zip([CONNACK, length]).all(is_greeting)).then_some("mqtt")
    }

    fn subscribe(&self, pattern: &str, number: u16, say: &mut Words<'_>) -> bool {
        let mut body = packet_id(number).to_vec();
        push_string(&mut body, filter(pattern).as_bytes());
        let quality = 0;
        body.push(quality);
        say.binary(&packet(SUBSCRIBE, &[&body]));
        true
    }

    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>) {
        let mut name = Vec::with_capacity(2 + topic.len());
        push_string(&mut name, filter(topic).as_bytes());
        say.binary(&packet(PUBLISH, &[&name, payload]));
    }

    fn hear(
        &self,
        _who: &Who<'_>,
        payload: &[u8],
        _say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        let mut rest = payload;
        loop {
            match take(rest) {
                Ok(Some((packet, after))) => {
                    rest = after;
                    obey(packet, tell);
                }
                Ok(None) => return payload.len() - rest.len(),
                Err(why) => {
                    tell(Heard::Refused(why.as_bytes()));
                    return payload.len();
                }
            }
        }
    }
}

/// The first packet, and what is behind it; `None` when it is not whole.
///
/// # Errors
/// The length is not MQTT's.
fn take(bytes: &[u8]) -> Result<Option<(Packet<'_>, &[u8])>, &'static str> {
    let Some((&first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut len = 0;
    for (at, &byte) in rest.iter().take(LENGTH_BYTES_MAX).enumerate() {
        len |= usize::from(byte & 0x7F) << (7 * at);
        if byte & 0x80 == 0 {
            let whole = rest[at + 1..].split_at_checked(len);
            return Ok(whole.map(|(body, after)| ((first, body), after)));
        }
    }
    if rest.len() < LENGTH_BYTES_MAX { Ok(None) } else { Err("a length of more than four bytes") }
}

fn obey((first, body): Packet<'_>, tell: &mut dyn FnMut(Heard<'_>)) {
    // Flags belong to PUBLISH alone: of what a server sends, all others have none.
    match (first & 0xF0, body) {
        (PUBLISH, message) => {
            tell(Stamp::find(message).map_or(Heard::Other, |(stamp, _)| Heard::Delivery(stamp)));
        }
        (CONNACK, [_, 0]) => tell(Heard::Ready),
        (CONNACK, [_, code]) => tell(Heard::Refused(refusal(*code).as_bytes())),
        (SUBACK, [_, _, granted @ ..]) => {
            for &code in granted {
                let refused = Heard::Refused(b"the subscription is not granted");
                tell(if code == FAILURE { refused } else { Heard::Subscribed });
            }
        }
        _ => tell(Heard::Other),
    }
}

/// Of a CONNACK's return code (MQTT section 3.2.2.3).
fn refusal(code: u8) -> &'static str {
    match code {
        1 => "1 unacceptable protocol version",
        2 => "2 identifier rejected",
        3 => "3 server unavailable",
        4 => "4 bad user name or password",
        5 => "5 not authorized",
        _ => "refused with a reserved code",
    }
}

/// A packet of these parts.
fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let mut len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(1 + LENGTH_BYTES_MAX + len);
    out.push(first);
    loop {
        let more = if len > 0x7F { 0x80 } else { 0 };
        out.push(len as u8 & 0x7F | more);
        len >>= 7;
        if len == 0 {
            break;
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// A length of two bytes and so many of the text; what does not fit is left out.
fn push_string(out: &mut Vec<u8>, text: &[u8]) {
    let len = u16::try_from(text.len()).unwrap_or(u16::MAX);
    out.extend(len.to_be_bytes());
    out.extend_from_slice(&text[..usize::from(len)]);
}

/// Of a subscription; 0 is not allowed.
fn packet_id(number: u16) -> [u8; 2] {
    (number % u16::MAX + 1).to_be_bytes()
}

/// A topic or pattern in MQTT's words.
fn filter(pattern: &str) -> String {
    let level = |segment| match segment {
        "*" => "+",
        "**" => "#",
        other => other,
    };
    pattern.split('.').map(level).collect::<Vec<_>>().join("/")
}
