//! What HTTP asks of an engine, and is answered: between the shard that a request came to and the
//! shard that has the session.
//!
//! The owner judges all; the shard that was asked knows bytes and a status. Faults are the table of
//! Engine.IO version 4. Contract: protocols.md section 5.

/// What a request wants of a session.
#[derive(Debug)]
pub enum Asked {
    /// Whether it is there, and may get a WebSocket: asked before an upgrade is answered.
    Look,
    /// To hear what is queued, or what comes next.
    Poll,
    /// To say something: a body of records.
    Post(Box<[u8]>),
    /// Nothing any more: whoever polled went away.
    Gone,
}

/// What it is answered.
#[derive(Debug, PartialEq, Eq)]
pub enum HttpReply {
    /// A poll: records.
    Body(Vec<u8>),
    /// All of it was taken; or, to a look, it may.
    Taken,
    /// It is at fault.
    Bad(Fault),
    /// Nothing was taken: too much waits already.
    NoRoom,
}

/// What is wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// No transport of ours, or not the session's.
    Transport,
    /// There is no such session.
    Session,
    /// A handshake is a GET.
    Method,
    /// Any other fault.
    Request,
    /// Not from this page, or not now.
    Forbidden,
    /// A version of the protocol that is not ours.
    Version,
}

impl Fault {
    /// The code in the answer.
    pub fn code(self) -> u8 {
        self as u8
    }

    /// The message in the answer.
    pub fn message(self) -> &'static str {
        match self {
            Fault::Transport => "Transport unknown",
            Fault::Session => "Session ID unknown",
            Fault::Method => "Bad handshake method",
            Fault::Request => "Bad request",
            Fault::Forbidden => "Forbidden",
            Fault::Version => "Unsupported protocol version",
        }
    }

    /// The status of the answer.
    pub fn status(self) -> u16 {
        if self == Fault::Forbidden { 403 } else { 400 }
    }
}
