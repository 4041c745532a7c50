//! The dialect `admin`: `{"type":T,"data":{…}}` both ways, `id` echoed.
//!
//! A session calls [`decode`] on each message of an operator's client and one of the encoders for
//! each answer. What is asked is a [`Wanted`], the same that the HTTP API asks, and the answer's
//! `data` is the text made for both. Nothing here knows a connection or decides whether something
//! is allowed. Contract: protocols.md section 11, "`admin` dialect".

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use crate::close::Refusal;
use crate::report::Wanted;

pub use decode::decode;
pub use encode::{auth_expired, error, reply};

/// The `type` of a request for figures, and of each answer to it.
pub const STATS: &str = "stats";
/// The `type` of a request to send to everyone or a tenant, and of the answer to it.
pub const BROADCAST: &str = "broadcast";

/// One message of an operator's client, well formed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// A JSON string or number as written, to be echoed in each reply.
    pub id: Option<&'a str>,
    /// What the client wants.
    pub command: Command<'a>,
}

/// What an operator's client can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// The broker's figures, [`STATS`]: once, or again and again in place of any stream before.
    Stats {
        /// Milliseconds between two answers, within the bounds of `limits`; 0 ends the stream,
        /// `None` asks once.
        every_ms: Option<u64>,
    },
    /// A question that is answered once, or a disconnect.
    Ask {
        /// The request's `type`, which the answer repeats.
        kind: &'static str,
        /// What is asked.
        wanted: Wanted,
    },
    /// A message for everyone or a tenant, [`BROADCAST`].
    Broadcast {
        /// Any JSON value as written.
        message: &'a str,
        /// Not empty.
        tenant: Option<Box<str>>,
    },
}

/// Why a message is no request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// The request's `id` as written, when it could be read.
    pub id: Option<&'a str>,
    /// What is wrong.
    pub refusal: Refusal,
}
