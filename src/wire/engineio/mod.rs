//! Engine.IO v4: packets, as a WebSocket carries them and as HTTP long-polling does.
//!
//! A packet is a digit and its data. A WebSocket has one in each text frame, and a binary frame is
//! a message by itself, without a digit; a polling body has records, packets with [`SEPARATOR`]
//! between, where `b` and base64 stand for a binary message. A session calls [`decode_text`] and
//! [`records`] on what comes, and the encoders on what goes; where it leaves polling for a
//! WebSocket, [`records_to_frames`] turns what still waits from one into the other.
//! Nothing here knows a session, a heartbeat or what a message says. Specification: the Engine.IO
//! protocol, revision 4.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use thiserror::Error;

pub use decode::{Records, decode_text, records};
pub use encode::{
    Begun, begin_message, end_message, open, put, put_frame, put_record, record_to_frames,
    records_to_frames,
};

/// Stands between the records of a polling body; no record holds it.
pub const SEPARATOR: u8 = 0x1e;
/// The first byte of a text message, for who writes a message's text piece by piece.
pub const MESSAGE: u8 = b'4';
/// The data of the ping that tries a WebSocket, and of the pong that answers it.
pub const PROBE: &str = "probe";

/// The first bytes of the other packets.
const OPEN: u8 = b'0';
const CLOSE: u8 = b'1';
const PING: u8 = b'2';
const PONG: u8 = b'3';
const UPGRADE: u8 = b'5';
const NOOP: u8 = b'6';
const BINARY: u8 = b'b';

/// How packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// HTTP long-polling: records.
    Polling,
    /// A WebSocket: frames.
    WebSocket,
}

/// One packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet<'a> {
    /// The handshake. Only a server sends it, and writes it with [`open()`].
    Open,
    /// The session ends.
    Close,
    /// A heartbeat, of the server; or [`PROBE`], of a client that tries a WebSocket.
    Ping(&'a str),
    /// The answer to a ping, with its data.
    Pong(&'a str),
    /// A message of text, which may be empty.
    Message(&'a str),
    /// A message of bytes, which may be none.
    Binary(Cow<'a, [u8]>),
    /// The client goes over to the WebSocket that this came on.
    Upgrade,
    /// Nothing: it answers a poll.
    Noop,
}

/// Why text is no packet. The other side's fault always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Malformed {
    /// No text at all, so no first character.
    #[error("empty packet")]
    Empty,
    /// The first character is none of `0` to `6` and `b`.
    #[error("unknown packet type")]
    Type,
    /// What follows `b` is not base64.
    #[error("bad base64")]
    Base64,
}
