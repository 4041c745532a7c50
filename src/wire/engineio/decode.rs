//! Text to packets.
//!
//! Data behind a packet that has none is passed over, as other servers do. Base64 is that of RFC
//! 4648 section 4, padded or without any padding; the alphabet for addresses, blanks, padding in
//! part and bits left over at the end are refused, where other servers read what they can.

use std::borrow::Cow;
use std::iter::FusedIterator;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use memchr::memchr;

use super::{
    BINARY, CLOSE, MESSAGE, Malformed, NOOP, OPEN, PING, PONG, Packet, SEPARATOR, UPGRADE,
};

/// Reads a text frame of a WebSocket, or one record of a polling body. Allocates for a binary
/// message alone, which may stand in a text frame too: so sends a client that was told to keep to
/// text.
///
/// # Errors
/// What is wrong with it, always the client's fault.
pub fn decode_text(text: &str) -> Result<Packet<'_>, Malformed> {
    let (&kind, _) = text.as_bytes().split_first().ok_or(Malformed::Empty)?;
    // Every kind is ASCII: a character of more bytes has none of its own to cut off.
    let (_, data) = text.split_at_checked(1).ok_or(Malformed::Type)?;
    Ok(match kind {
        OPEN => Packet::Open,
        CLOSE => Packet::Close,
        PING => Packet::Ping(data),
        PONG => Packet::Pong(data),
        MESSAGE => Packet::Message(data),
        UPGRADE => Packet::Upgrade,
        NOOP => Packet::Noop,
        BINARY => Packet::Binary(Cow::Owned(bytes_of(data)?)),
        _ => return Err(Malformed::Type),
    })
}

fn bytes_of(base64: &str) -> Result<Vec<u8>, Malformed> {
    let engine = if base64.ends_with('=') { &STANDARD } else { &STANDARD_NO_PAD };
    engine.decode(base64).map_err(|_| Malformed::Base64)
}

/// The records of a polling body, each decoded when it is asked for. Text without any record does
/// not exist: an empty body is one malformed record, and so is what follows a separator at the end.
pub fn records(body: &str) -> Records<'_> {
    Records { rest: Some(body) }
}

/// See [`records`]. A malformed record is the last one that is told of.
#[derive(Clone, Debug)]
pub struct Records<'a> {
    rest: Option<&'a str>,
}

impl<'a> Records<'a> {
    /// The end of the body that was not asked for yet, for [`records`] to go on with at another
    /// time; it may be empty, which is malformed. `None` once there is nothing to come.
    pub fn rest(&self) -> Option<&'a str> {
        self.rest
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Packet<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.rest.take()?;
        let (record, rest) = match memchr(SEPARATOR, rest.as_bytes()) {
            Some(at) => (&rest[..at], Some(&rest[at + 1..])),
            None => (rest, None),
        };
        let packet = decode_text(record);
        if packet.is_ok() {
            self.rest = rest;
        }
        Some(packet)
    }
}

impl FusedIterator for Records<'_> {}
