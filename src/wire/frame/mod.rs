//! WebSocket frames: the other side's bytes to events, and what is said to it to bytes. The server
//! reads a client's frames with it, the load generator a server's.
//!
//! Owns the framing rules of RFC 6455 section 5 and the use of RSV1 by RFC 7692 section 6. A shard
//! makes a [`Decoder`] over its one read buffer for each read; what a connection keeps in between
//! is an `Option<Box<Partial>>`, `None` unless a frame or a message is unfinished. Replies are
//! appended to a buffer of the caller ([`put_frame`], [`begin`], [`end`]). Nothing here answers a
//! ping, inflates a payload or knows a socket.

mod decode;
mod encode;
mod header;
#[cfg(test)]
mod tests;

pub use decode::{Decoder, Partial};
pub use encode::{Mark, begin, end, frame_len, header_len, put_close, put_frame, put_masked};
pub use fastwebsockets::OpCode;

use thiserror::Error;

use crate::close::Close;

/// Bytes of a control frame's payload (RFC 6455 section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// Bytes of a frame's header at most: two, a 64-bit length, a mask.
const HEADER_BYTES_MAX: usize = 14;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const OPCODE: u8 = 0x0F;
const MASK: u8 = 0x80;
const LEN: u8 = 0x7F;
/// The 7-bit length that says: 16 bits of length follow.
const LEN_16: u8 = 126;
/// The 7-bit length that says: 64 bits of length follow.
const LEN_64: u8 = 127;

/// Which side's frames: a client masks every one, a server none (RFC 6455 section 5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sender {
    /// Masked frames.
    Client,
    /// Unmasked frames. Whether text is UTF-8 is left to who reads it.
    Server,
}

/// What one connection may send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameBounds {
    /// Bytes of one message, the sum over its fragments.
    pub message_bytes_max: usize,
    /// Whether permessage-deflate was negotiated.
    pub compression: bool,
    /// The side that sends.
    pub sender: Sender,
}

impl FrameBounds {
    /// Bytes of one message as framed. Deflate makes some payloads longer (a fixed Huffman code
    /// has up to nine bits for a byte), so a compressed message gets an eighth more; after
    /// inflating it has to keep to `message_bytes_max` like any other.
    fn framed_bytes_max(&self, compressed: bool) -> usize {
        let more = if compressed { self.message_bytes_max / 8 + 64 } else { 0 };
        self.message_bytes_max.saturating_add(more)
    }
}

/// What a client sent.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole message, unmasked. A client's text that is not compressed is UTF-8; compressed text
    /// is to be checked after inflating.
    Message {
        /// Text, not binary.
        text: bool,
        /// The payload is deflated (RFC 7692).
        compressed: bool,
        /// The caller may write over it.
        payload: &'a mut [u8],
    },
    /// To be answered by a pong with the same payload.
    Ping(&'a [u8]),
    /// The answer to a ping, or unasked for.
    Pong(&'a [u8]),
    /// The client is done; nothing comes after it.
    Close {
        /// A code that may stand on the wire, if any was given.
        code: Option<u16>,
        /// Empty if there was no code.
        reason: &'a str,
    },
}

/// Why bytes of a client end its connection. The client's fault always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Violation {
    /// A rule of RFC 6455 or RFC 7692 was broken; which one is for the log.
    #[error("protocol error: {0}")]
    Protocol(&'static str),
    /// Text or a close reason is not UTF-8.
    #[error("invalid UTF-8")]
    BadUtf8,
    /// The message is, or is claimed to be, larger than the bound.
    #[error("message too large")]
    TooLarge,
}

impl From<Violation> for Close {
    fn from(violation: Violation) -> Self {
        match violation {
            Violation::Protocol(_) => Close::Protocol,
            Violation::BadUtf8 => Close::BadUtf8,
            Violation::TooLarge => Close::TooLarge,
        }
    }
}

fn is_control(opcode: OpCode) -> bool {
    matches!(opcode, OpCode::Close | OpCode::Ping | OpCode::Pong)
}
