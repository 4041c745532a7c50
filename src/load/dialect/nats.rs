//! The NATS client protocol in binary WebSocket frames: a stream of lines, cut anywhere.
//!
//! The server opens with INFO and is answered by CONNECT. SUB is not acknowledged; a PING behind it
//! is, in order, so a subscriber takes each PONG for a subscription in force and counts as ready
//! when it has sent CONNECT (a refusal comes before the first PONG); a publisher is ready at its
//! PONG. Protocol 0 is announced, so that no second INFO comes.

use std::str;

use memchr::memchr;

use super::handshake::Door;
use super::{Dialect, Heard, MESSAGE_BYTES_MAX, Who, Words};
use crate::load::scenario::Target;
use crate::load::stamp::Stamp;
use crate::wire::json::push_string;

/// Bytes of a line; a longer one is none of NATS. An INFO names every server of a cluster.
const LINE_BYTES_MAX: usize = 64 << 10;

/// Bytes of a request's line beside its subject.
const LINE_BYTES: usize = 32;

const END: &[u8] = b"\r\n";

/// What a server may begin with before a client is ready.
const GREETINGS: [&[u8]; 5] = [b"INFO ", b"PING\r\n", b"PONG\r\n", b"-ERR", b"+OK"];

/// Speaks NATS.
#[derive(Debug)]
pub(super) struct Nats {
    door: Door,
}

/// What a server says.
#[derive(Debug, PartialEq, Eq)]
enum Operation<'a> {
    Info,
    Ping,
    Pong,
    Error(&'a [u8]),
    Message(&'a [u8]),
    Unknown,
}

impl Nats {
    pub(super) fn new(target: &Target) -> Self {
        Self { door: Door::new(target) }
    }
}

impl Dialect for Nats {
    fn handshake(&self, _who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        self.door.knock(None, key, offer, out);
    }

    fn opened(&self, _who: &Who<'_>, _say: &mut Words<'_>) -> bool {
        false
    }

    fn foreign(&self, payload: &[u8]) -> Option<&'static str> {
        let may_be = |verb: &[u8]| verb.iter().zip(payload).all(|(one, other)| one == other);
        (!GREETINGS.iter().any(|verb| may_be(verb))).then_some("nats")
    }

    fn subscribe(&self, pattern: &str, number: u16, say: &mut Words<'_>) -> bool {
        let (subject, id) = (subject(pattern), u32::from(number) + 1);
        say.binary(format!("SUB {subject} {id}\r\nPING\r\n").as_bytes());
        true
    }

    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>) {
        let mut text = Vec::with_capacity(LINE_BYTES + topic.len() + payload.len());
        text.extend_from_slice(b"PUB ");
        text.extend_from_slice(topic.as_bytes());
        text.extend_from_slice(format!(" {}\r\n", payload.len()).as_bytes());
        text.extend_from_slice(payload);
        text.extend_from_slice(END);
        say.binary(&text);
    }

    fn hear(
        &self,
        who: &Who<'_>,
        payload: &[u8],
        say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        let mut rest = payload;
        loop {
            match take(rest) {
                Ok(Some((operation, after))) => {
                    rest = after;
                    obey(&operation, who, say, tell);
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

/// The first operation, and what is behind it; `None` when it is not whole.
///
/// # Errors
/// These are not the bytes of a NATS server.
fn take(bytes: &[u8]) -> Result<Option<(Operation<'_>, &[u8])>, &'static str> {
    let Some(line_len) = memchr(b'\n', bytes) else {
        let endless = bytes.len() > LINE_BYTES_MAX;
        return if endless { Err("a line without an end") } else { Ok(None) };
    };
    let (line, rest) = (bytes[..line_len].trim_ascii_end(), &bytes[line_len + 1..]);
    let (verb, arguments) = line.split_at(memchr(b' ', line).unwrap_or(line.len()));
    let operation = match verb {
        b"MSG" => {
            let len = arguments.rsplit(|byte| *byte == b' ').next().and_then(number);
            let len = len.ok_or("a message of no length")?;
            if len > MESSAGE_BYTES_MAX {
                return Err("a message longer than the load takes");
            }
            if rest.len() < len + END.len() {
                return Ok(None);
            }
            let (message, rest) = rest.split_at(len);
            let rest = rest.strip_prefix(END).ok_or("a message longer than it said")?;
            return Ok(Some((Operation::Message(message), rest)));
        }
        b"INFO" => Operation::Info,
        b"PING" => Operation::Ping,
        b"PONG" => Operation::Pong,
        b"-ERR" => Operation::Error(unquoted(arguments.trim_ascii())),
        _ => Operation::Unknown,
    };
    Ok(Some((operation, rest)))
}

fn obey(
    operation: &Operation<'_>,
    who: &Who<'_>,
    say: &mut Words<'_>,
    tell: &mut dyn FnMut(Heard<'_>),
) {
    match *operation {
        Operation::Message(message) => {
            tell(Stamp::find(message).map_or(Heard::Other, |(stamp, _)| Heard::Delivery(stamp)));
        }
        Operation::Info => {
            say.binary(&connect(who));
            tell(if who.publishes { Heard::Other } else { Heard::Ready });
        }
        Operation::Ping => {
            say.binary(b"PONG\r\n");
            tell(Heard::Other);
        }
        Operation::Pong => tell(if who.publishes { Heard::Ready } else { Heard::Subscribed }),
        Operation::Error(why) => tell(Heard::Refused(why)),
        Operation::Unknown => tell(Heard::Other),
    }
}

/// CONNECT, and for a publisher the PING that asks whether it was taken.
fn connect(who: &Who<'_>) -> Vec<u8> {
    let mut text =
        b"CONNECT {\"verbose\":false,\"pedantic\":false,\"tls_required\":false,".to_vec();
    text.extend_from_slice(b"\"lang\":\"rust\",\"version\":\"");
    text.extend_from_slice(env!("CARGO_PKG_VERSION").as_bytes());
    text.extend_from_slice(b"\",\"protocol\":0");
    if let Some(token) = who.token {
        text.extend_from_slice(b",\"auth_token\":");
        push_string(&mut text, token);
    }
    text.extend_from_slice(b"}\r\n");
    if who.publishes {
        text.extend_from_slice(b"PING\r\n");
    }
    text
}

/// A pattern in NATS's words; there `>` can only be the last segment.
fn subject(pattern: &str) -> String {
    pattern.replace("**", ">")
}

fn number(digits: &[u8]) -> Option<usize> {
    str::from_utf8(digits).ok()?.parse().ok()
}

fn unquoted(text: &[u8]) -> &[u8] {
    text.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'")).unwrap_or(text)
}
