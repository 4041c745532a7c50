//! What a client says and hears: one trait, a file for each protocol.
//!
//! Sans-io: a dialect appends frames to a buffer and reads payloads. It keeps nothing for a
//! connection; what has to be known of one is in [`Who`], or waits in the swarm as bytes not yet
//! consumed. A message of the load is known by its [`Stamp`], in whatever envelope.

mod channels;
pub(in crate::load) mod floor;
mod handshake;
mod mqtt;
mod nats;
mod nchan;
mod reply;
mod socketio;
#[cfg(test)]
mod tests;
mod topics;

use crate::load::scenario::{Spoken, Target};
use crate::load::stamp::Stamp;
use crate::wire::frame::{OpCode, put_masked};

pub(in crate::load) use handshake::push_encoded;

/// Bytes of a server's message, after inflating, whatever the protocol; of what a dialect leaves of
/// a stream, too. A server that sends a longer one loses its client.
pub(in crate::load) const MESSAGE_BYTES_MAX: usize = 16 << 20;

/// What a client of some protocol says and hears.
pub trait Dialect: Send + Sync {
    /// Appends the request of the handshake, whole: request line, headers, empty line. `key` is
    /// that of `Sec-WebSocket-Key`; `offer` what is offered as `Sec-WebSocket-Extensions`, if
    /// anything.
    fn handshake(&self, who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>);

    /// The handshake is done: appends the first words. Whether nothing more is needed and the
    /// client is ready; otherwise [`Heard::Ready`] will tell.
    fn opened(&self, who: &Who<'_>, say: &mut Words<'_>) -> bool;

    /// Whether a message, or the start of one, that comes before [`Heard::Ready`] was told cannot be
    /// of a server that speaks this: then the dialect's name. For dialects in which the server
    /// greets, and nothing else may come before that. Of a stream it is what is not done with.
    fn foreign(&self, _payload: &[u8]) -> Option<&'static str> {
        None
    }

    /// Appends a request to subscribe; answered by one [`Heard::Subscribed`]. False when the
    /// dialect needs no request for it and no answer comes (the topic was in the handshake).
    fn subscribe(&self, pattern: &str, number: u16, say: &mut Words<'_>) -> bool;

    /// Whether a publisher has to subscribe to each topic that it publishes to. What it hears then
    /// is told as [`Heard::Other`] when it is one that only publishes.
    fn joins_to_publish(&self) -> bool {
        false
    }

    /// Whether one that publishes to a topic it has subscribed to hears its own messages.
    fn echoes(&self) -> bool {
        true
    }

    /// Appends a message. `payload` needs no escapes in a JSON string.
    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>);

    /// Reads a message's payload (text or binary), tells what is in it, and says how many bytes
    /// of it are done with. What is left comes again in front of the next payload: protocols that
    /// are streams may cut anywhere, all others consume everything. Whether something is a delivery
    /// is told by the bytes and [`Who::publishes`] alone: the same bytes may be read once for many.
    fn hear(
        &self,
        who: &Who<'_>,
        payload: &[u8],
        say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize;
}

/// One client, as far as its dialect needs it.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Its number in the run; its user is `bench-<number>`.
    pub number: u32,
    /// What it shows, if anything.
    pub token: Option<&'a str>,
    /// The only or first topic that it subscribes or publishes to, for protocols that need it in
    /// the handshake.
    pub topic: &'a str,
    /// Whether it publishes and does not subscribe.
    pub publishes: bool,
}

/// What a client heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard<'a> {
    /// Authenticated, connected to the namespace: subscribing may begin.
    Ready,
    /// One subscription is in force.
    Subscribed,
    /// A message of the load.
    Delivery(Stamp),
    /// Something was refused; the server's words.
    Refused(&'a [u8]),
    /// Anything else, answered where it needs an answer.
    Other,
}

/// Where a client's frames go, masked as a client's must be (RFC 6455 section 5.3).
#[derive(Debug)]
pub struct Words<'a> {
    out: &'a mut Vec<u8>,
    key: [u8; 4],
}

impl<'a> Words<'a> {
    /// Appends to `out`, masking with the key.
    pub fn new(out: &'a mut Vec<u8>, key: [u8; 4]) -> Self {
        Self { out, key }
    }

    /// A text frame.
    pub fn text(&mut self, payload: &[u8]) {
        put_masked(self.out, OpCode::Text, false, self.key, payload);
    }

    /// A binary frame.
    pub fn binary(&mut self, payload: &[u8]) {
        put_masked(self.out, OpCode::Binary, false, self.key, payload);
    }

    /// Any other frame: a pong, a close.
    pub fn frame(&mut self, opcode: OpCode, payload: &[u8]) {
        put_masked(self.out, opcode, false, self.key, payload);
    }
}

/// The dialect of a target.
pub fn of(target: &Target) -> Box<dyn Dialect> {
    match target.dialect {
        Spoken::Topics | Spoken::Events => Box::new(topics::Topics::new(target)),
        Spoken::Channels => Box::new(channels::Channels::new(target)),
        Spoken::Socketio => Box::new(socketio::SocketIo::new(target)),
        Spoken::Nats => Box::new(nats::Nats::new(target)),
        Spoken::Mqtt => Box::new(mqtt::Mqtt::new(target)),
        Spoken::Nchan => Box::new(nchan::Nchan::new(target)),
        Spoken::Floor => Box::new(floor::Floor::new(target)),
    }
}
