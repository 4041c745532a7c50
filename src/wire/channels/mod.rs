//! The dialect `channels`: `{"type":T,"data":{…}}` both ways.
//!
//! A session calls [`decode`] on each message of its client and one of the encoders for each answer;
//! the fan-out calls [`delivery`] once a message. Nothing here knows a connection, judges a
//! channel's grammar or decides whether something is allowed. What a client sent as `message` is
//! passed on byte for byte. Contract: protocols.md sections 4 and 11.

mod decode;
mod encode;
#[cfg(test)]
mod tests;

pub use decode::decode;
pub use encode::{
    auth_expired, connection, delivery, error, joined, left, notifications, pong, unknown_type,
};

/// What the `error` says of [`Fault::Format`].
pub const INVALID_FORMAT: &str = "Invalid message format";
/// What the `error` says to who may not join a channel.
pub const ACCESS_DENIED: &str = "Access denied to channel";
/// What the `error` says to who may not send to a channel.
pub const PERMISSION_DENIED: &str = "Permission denied";

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Ask for a sign of life.
    Ping,
    /// Receive what is sent to a channel.
    Join {
        /// Its name, decoded; any text.
        channel: &'a str,
    },
    /// Receive it no longer.
    Leave {
        /// Its name, decoded; any text.
        channel: &'a str,
    },
    /// Send to the other members of a channel.
    Send {
        /// Its name, decoded; any text.
        channel: &'a str,
        /// Any JSON value as written.
        message: &'a str,
    },
    /// Receive one's own notifications of some types.
    Notifications {
        /// Decoded, none with a `:`; at most `limits::TOPICS_PER_REQUEST_MAX`.
        types: Vec<&'a str>,
        /// The array as written, for the reply.
        raw: &'a str,
    },
}

/// Why a message is no command. Always the client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault<'a> {
    /// To be answered with [`INVALID_FORMAT`].
    Format,
    /// A `type` that this dialect does not have, decoded; to be answered with [`unknown_type`].
    UnknownType(&'a str),
}
