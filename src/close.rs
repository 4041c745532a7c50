//! One table of refusals and closes: code, text, whose fault, come back or not.
//!
//! A [`Refusal`] is answered and the connection stays; a [`Close`] ends it. Nothing else in the
//! crate spells a code or a text of its own. Codes: protocols.md section 3, RFC 6455 section 7.4.

use thiserror::Error;

use crate::topic::TopicError;

/// Who has to mend what went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nobody: an end that was meant.
    None,
    /// The client, or whoever wrote it.
    Client,
    /// The broker or its operator.
    Server,
}

/// Why the broker ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Close {
    /// The client's own close, answered.
    Normal,
    /// The broker shuts down.
    Shutdown,
    /// Bytes that are no WebSocket frames of a client.
    Protocol,
    /// Text that is not UTF-8.
    BadUtf8,
    /// Too many failed `auth` messages.
    AuthFailures,
    /// Not authenticated within the deadline.
    AuthDeadline,
    /// The operator or the application ended it.
    Forced,
    /// A message larger than the limit.
    TooLarge,
    /// Our own fault.
    Internal,
    /// The client reads slower than it is sent to, and its outbox is full.
    SlowConsumer,
    /// The token's time is over.
    TokenExpired,
    /// No sign of life within the ping time limit.
    PingTimeout,
    /// The rate limit was exceeded again and again.
    RateAbuse,
    /// A token that the `channels` dialect does not take, told behind the handshake as its clients
    /// expect.
    AuthRefused,
    /// The settings changed, and do not let the connection in any more.
    Withdrawn,
    /// A packet of Engine.IO or Socket.IO that is none, or comes at a wrong time.
    Parse,
    /// An engine on which no namespace was connected within the time for it.
    ConnectDeadline,
    /// Two polls or two posts of one session at a time.
    Overlap,
    /// A WebSocket that was to take over from a polling session, and does not.
    UpgradeFailed,
}

impl Close {
    /// Every row of the table, in the order of [`Close::index`].
    pub const ALL: [Close; 19] = [
        Close::Normal,
        Close::Shutdown,
        Close::Protocol,
        Close::BadUtf8,
        Close::AuthFailures,
        Close::AuthDeadline,
        Close::Forced,
        Close::TooLarge,
        Close::Internal,
        Close::SlowConsumer,
        Close::TokenExpired,
        Close::PingTimeout,
        Close::RateAbuse,
        Close::AuthRefused,
        Close::Withdrawn,
        Close::Parse,
        Close::ConnectDeadline,
        Close::Overlap,
        Close::UpgradeFailed,
    ];

    /// Its row, for an array of counters.
    pub fn index(self) -> usize {
        self as usize
    }

    /// The code on the wire.
    pub fn code(self) -> u16 {
        self.row().0
    }

    /// The reason on the wire.
    pub fn reason(self) -> &'static str {
        self.row().1
    }

    /// The reason as a label of its counter: in lower case, blanks made underscores.
    pub fn label(self) -> String {
        match self.reason() {
            "" => "normal".into(),
            reason => reason.replace([' ', '-'], "_").to_ascii_lowercase(),
        }
    }

    /// Who has to mend it.
    pub fn fault(self) -> Fault {
        self.row().2
    }

    /// Whether the same client may come back as it is.
    pub fn come_back(self) -> bool {
        self.row().3
    }

    fn row(self) -> (u16, &'static str, Fault, bool) {
        match self {
            Close::Normal => (1000, "", Fault::None, true),
            Close::Shutdown => (1001, "server shutting down", Fault::None, true),
            Close::Protocol => (1002, "protocol error", Fault::Client, false),
            Close::BadUtf8 => (1007, "invalid UTF-8", Fault::Client, false),
            Close::AuthFailures => (1008, "too many failed authentications", Fault::Client, false),
            Close::AuthDeadline => (1008, "authentication deadline", Fault::Client, true),
            Close::Forced => (1008, "disconnected by the server", Fault::None, false),
            Close::TooLarge => (1009, "message too large", Fault::Client, false),
            Close::Internal => (1011, "internal error", Fault::Server, true),
            Close::SlowConsumer => (1013, "slow consumer", Fault::Client, true),
            Close::TokenExpired => (4401, "token expired", Fault::Client, true),
            Close::PingTimeout => (4408, "ping timeout", Fault::Client, true),
            Close::RateAbuse => (4429, "rate limit abuse", Fault::Client, false),
            Close::AuthRefused => (1000, "Authentication failed", Fault::Client, false),
            Close::Withdrawn => (1008, "not allowed any more", Fault::None, true),
            Close::Parse => (1000, "parse error", Fault::Client, true),
            Close::ConnectDeadline => (1000, "connect deadline", Fault::Client, true),
            Close::Overlap => (1000, "overlapping requests", Fault::Client, true),
            Close::UpgradeFailed => (1000, "upgrade failed", Fault::Client, true),
        }
    }
}

/// Whether whoever forces a disconnect may give this code (protocols.md section 11, "HTTP API").
pub fn is_disconnect_code(code: u16) -> bool {
    matches!(code, 1000 | 1001 | 1008 | 4000..=4999)
}

/// Why one request of a client is not carried out; the connection stays open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    /// Not JSON, not UTF-8, or a lone surrogate escape.
    #[error("Invalid JSON")]
    BadJson,
    /// JSON, but no object.
    #[error("Message must be a JSON object")]
    NotAnObject,
    /// The same key twice in the envelope.
    #[error("Duplicate key in message")]
    DuplicateKey,
    /// A `type` that this dialect does not have.
    #[error("Unknown message type")]
    UnknownType,
    /// A required field is not there.
    #[error("Missing field: {0}")]
    Missing(&'static str),
    /// A field is there and not of its type.
    #[error("Invalid field: {0}")]
    IllTyped(&'static str),
    /// Both `topic` and `topics`.
    #[error("Give either topic or topics")]
    TopicAndTopics,
    /// The topic or pattern is ill formed.
    #[error("Invalid topic: {0}")]
    BadTopic(TopicError),
    /// Asked for something that needs an identity.
    #[error("Not authenticated")]
    Unauthenticated,
    /// The rules say no.
    #[error("Not allowed")]
    Forbidden,
    /// What was asked about is not there.
    #[error("Not found")]
    NotFound,
    /// An item of a batch is larger than a message may be.
    #[error("Message too large")]
    TooLarge,
    /// The connection has as many subscriptions as it may have.
    #[error("Too many subscriptions")]
    TooManySubscriptions,
    /// Over the rate limit.
    #[error("Rate limit exceeded")]
    RateLimited {
        /// Milliseconds in which as much as was refused may be sent again.
        retry_after_ms: u64,
    },
    /// Larger than all that the rate limit allows in a window: to come back with it is of no use.
    #[error("Message larger than the rate limit allows")]
    OverWindow,
    /// The broker is shutting down.
    #[error("Server is shutting down")]
    ShuttingDown,
    /// A room whose name is no topic's.
    #[error("Invalid room")]
    InvalidRoom,
    /// A room that the socket has not joined.
    #[error("Not a member of the room")]
    NotAMember,
    /// A queue between shards is full; nothing was published.
    #[error("Server is overloaded")]
    Overloaded,
}

impl Refusal {
    /// The `code` of the error message.
    pub fn code(self) -> u16 {
        match self {
            Refusal::BadJson
            | Refusal::NotAnObject
            | Refusal::DuplicateKey
            | Refusal::UnknownType
            | Refusal::Missing(_)
            | Refusal::IllTyped(_)
            | Refusal::TopicAndTopics
            | Refusal::BadTopic(_)
            | Refusal::InvalidRoom
            | Refusal::OverWindow => 400,
            Refusal::Unauthenticated => 401,
            Refusal::Forbidden | Refusal::NotAMember | Refusal::TooManySubscriptions => 403,
            Refusal::NotFound => 404,
            Refusal::TooLarge => 413,
            Refusal::RateLimited { .. } => 429,
            Refusal::ShuttingDown | Refusal::Overloaded => 503,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_whole() {
        for (row, close) in Close::ALL.into_iter().enumerate() {
            assert_eq!(close.index(), row);
            assert!(close.reason().len() <= crate::limits::CLOSE_REASON_BYTES_MAX);
            assert_eq!(close == Close::Normal, close.reason().is_empty());
            assert!(close.label().bytes().all(|b| b.is_ascii_lowercase() || b"_8".contains(&b)));
        }
    }
}
