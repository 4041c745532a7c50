//! Socket.IO v5: packets, as they stand behind Engine.IO's `4`.
//!
//! A packet is a digit, the number of binary attachments where there are some, a namespace, an
//! acknowledgement id and JSON. A session calls [`decode`] on each text message of its client,
//! [`placeholders`] and [`inline`] where attachments follow, and one of the encoders for each
//! answer; the fan-out calls [`delivery`] once a message. Nothing here knows a connection, which
//! namespaces there are or what an event means; arguments are passed on byte for byte. The framing
//! is `wire/engineio`'s. Specification: the Socket.IO protocol, revision 5.

mod decode;
mod encode;
mod names;
mod placeholders;
#[cfg(test)]
mod tests;

use thiserror::Error;

pub use decode::decode;
pub use encode::{ack, connect_error, connected, delivery, disconnect, event, room_message};
pub use names::{is_reserved, is_unsayable};
pub use placeholders::{Placeholder, inline, placeholders};

use crate::wire::json::{Array, Items, Members, Object};

/// The namespace of a packet that names none.
pub const ROOT: &str = "/";
/// What `connect_error` says of a namespace that there is not, as clients expect it.
pub const INVALID_NAMESPACE: &str = "Invalid namespace";

/// The digits that packets begin with.
const CONNECT: u8 = b'0';
const DISCONNECT: u8 = b'1';
const EVENT: u8 = b'2';
const ACK: u8 = b'3';
const CONNECT_ERROR: u8 = b'4';
const BINARY_EVENT: u8 = b'5';
const BINARY_ACK: u8 = b'6';

/// What is no packet of a client, or attachments that do not fit one. Always the client's fault;
/// its engine is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("parse error")]
pub struct Malformed;

/// One packet of a client.
#[derive(Debug)]
pub enum Packet<'a> {
    /// Be a socket of a namespace.
    Connect {
        /// Begins with a slash; any text without comma and control characters.
        nsp: &'a str,
        /// What the client says of itself, if anything.
        auth: Option<Auth<'a>>,
    },
    /// Be one no longer.
    Disconnect {
        /// As in [`Packet::Connect`].
        nsp: &'a str,
    },
    /// Something happened.
    Event {
        /// As in [`Packet::Connect`].
        nsp: &'a str,
        /// By which number the client wants it acknowledged; at most `limits::ACK_ID_MAX`.
        ack: Option<u64>,
        /// Binary messages that belong to it and follow; at most `limits::ATTACHMENTS_MAX`.
        attachments: u8,
        /// What happened, decoded; of a number its digits as written. None of the reserved names.
        name: &'a str,
        /// What was said with it.
        args: Args<'a>,
    },
    /// An event of ours was taken.
    Ack {
        /// As in [`Packet::Connect`].
        nsp: &'a str,
        /// The number we gave it, or any other.
        ack: u64,
        /// As in [`Packet::Event`].
        attachments: u8,
        /// A JSON array as written.
        args: &'a str,
    },
}

/// What a client says of itself as it connects: a JSON object.
#[derive(Debug)]
pub struct Auth<'a> {
    object: Object<'a>,
    raw: &'a str,
}

impl<'a> Auth<'a> {
    /// The object as written.
    pub fn raw(&self) -> &'a str {
        self.raw
    }

    /// Its members in their order, duplicates included.
    pub fn members(&self) -> Members<'_, 'a> {
        self.object.members()
    }

    /// The string, decoded, under this key; of equal keys the last one counts, as in JavaScript.
    /// Linear in the number of members.
    pub fn string(&self, key: &str) -> Option<&'a str> {
        self.members().filter(|member| member.key == key).last()?.value.string()
    }
}

/// The arguments of an event.
#[derive(Debug)]
pub struct Args<'a> {
    /// The name, and the arguments behind it.
    event: Array<'a>,
}

impl<'a> Args<'a> {
    /// All as written, with the commas between them; empty if there are none.
    pub fn raw(&self) -> &'a str {
        self.iter().raw()
    }

    /// One after the other, as written and with its kind.
    pub fn iter(&self) -> Items<'_, 'a> {
        let mut items = self.event.items();
        let _name = items.next();
        items
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.event.len() - 1
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl<'t, 'a> IntoIterator for &'t Args<'a> {
    type Item = crate::wire::json::Item<'t, 'a>;
    type IntoIter = Items<'t, 'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}
