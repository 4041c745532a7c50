//! The dialect `topics`: JSON text to requests, replies and deliveries to JSON text.
//!
//! A session calls [`decode`] on each message of its client and one of the encoders for each answer;
//! the fan-out calls [`delivery`] once a message. Nothing here knows a connection, judges a topic's
//! grammar or decides whether something is allowed. What a client sent as `data` or `metadata` is
//! passed on byte for byte. Contract: protocols.md sections 3 and 11, "Envelope".

mod decode;
mod encode;
#[cfg(test)]
mod tests;

use crate::close::Refusal;
use crate::message::Publish;

pub use decode::decode;
pub use encode::{
    auth_error, auth_expired, auth_success, delivery, error, pong, published, subscribed,
    unsubscribed,
};

/// One message of a client, well formed but for its topics' grammar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request<'a> {
    /// A JSON string or number as written, to be echoed in each reply.
    pub id: Option<&'a str>,
    /// What the client wants.
    pub command: Command<'a>,
}

/// What a client can ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Be someone (else).
    Auth {
        /// Not looked at; may be empty.
        token: &'a str,
    },
    /// Receive what is published to topics or patterns.
    Subscribe {
        /// At least one; each is answered by itself, in this order.
        topics: Names<'a>,
    },
    /// Receive it no longer.
    Unsubscribe {
        /// At least one; each is answered by itself, in this order.
        topics: Names<'a>,
    },
    /// Send a message to a topic.
    Publish(Publish<'a>),
    /// Ask for a sign of life.
    Ping,
}

/// Names of topics or patterns, decoded, at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names<'a> {
    /// From `topic`.
    One(&'a str),
    /// From `topics`; at most `limits::TOPICS_PER_REQUEST_MAX`.
    Many(Vec<&'a str>),
}

impl<'a> Names<'a> {
    /// All of them in their order.
    pub fn as_slice(&self) -> &[&'a str] {
        match self {
            Names::One(name) => std::slice::from_ref(name),
            Names::Many(names) => names,
        }
    }
}

/// Why a message is no request, with what its error needs to name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// The request's `id` as written, when it could be read.
    pub id: Option<&'a str>,
    /// The one topic that it was about, decoded, when it could be read.
    pub topic: Option<&'a str>,
    /// What is wrong.
    pub refusal: Refusal,
}
