//! The closed vocabularies of the configuration: what is typed as one word of a few.
//!
//! Each is an enum and its words in one place, so that reading, printing and the text of an error
//! cannot disagree. Words of the grammar that this version does not carry out yet stand in
//! `keys.rs`, beside the setting that refuses them.

use std::str::FromStr;

/// A text that is none of a vocabulary's words; `setting.rs` has already refused it by then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotAWord;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident { $($(#[$about:meta])* $variant:ident = $word:literal,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum $name {
            $($(#[$about])* $variant,)+
        }

        impl $name {
            /// Every variant.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];
            /// Every word, in the order of the variants.
            pub const WORDS: &'static [&'static str] = &[$($word),+];

            /// Its word in the configuration.
            pub fn word(self) -> &'static str {
                Self::WORDS[self as usize]
            }
        }

        impl FromStr for $name {
            type Err = NotAWord;

            fn from_str(text: &str) -> Result<Self, NotAWord> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(NotAWord),
                }
            }
        }
    )+};
}

words! {
    /// How a line of the log is written.
    LogFormat {
        /// For people.
        Text = "text",
        /// One JSON object a line.
        Json = "json",
    }

    /// The least severe event that is logged.
    LogLevel {
        /// What failed.
        Error = "error",
        /// And what looks wrong.
        Warn = "warn",
        /// And the life of the process.
        Info = "info",
        /// And each connection.
        Debug = "debug",
        /// And each message: never under load.
        Trace = "trace",
    }

    /// The codec that an endpoint speaks (protocols.md section 1).
    Dialect {
        /// protocols.md section 3.
        Topics = "topics",
        /// The same with deliveries that are the event itself (protocols.md section 3).
        Events = "events",
        /// protocols.md section 4.
        Channels = "channels",
        /// For operators (protocols.md section 11).
        Admin = "admin",
        /// Socket.IO over Engine.IO (protocols.md section 5).
        SocketIo = "socketio",
        /// Every message back as it came, for conformance suites; no broker behind it.
        Echo = "echo",
    }

    /// Which suite a broker stands in for another server for (protocols.md section 5).
    Conformance {
        /// Those of Engine.IO v4 and of Socket.IO v5.
        Protocol = "protocol",
        /// That of the client of Socket.IO.
        Client = "client",
        /// That of the client of Engine.IO.
        Engine = "engine",
    }

    /// What a rule is about (protocols.md section 6).
    Action {
        /// To receive what is published to a topic.
        Subscribe = "subscribe",
        /// To publish to it.
        Publish = "publish",
        /// To see who is subscribed.
        Presence = "presence",
        /// To read its past messages.
        History = "history",
    }

    /// What a matching rule says.
    Decision {
        /// Yes.
        Allow = "allow",
        /// No.
        Deny = "deny",
        /// What the webhook answers; no without a webhook.
        Webhook = "webhook",
    }

    /// What happens to a connection whose outbox is full (protocols.md section 9).
    SlowConsumerPolicy {
        /// It is closed with 1013.
        Disconnect = "disconnect",
        /// Its oldest waiting messages are dropped.
        DropOldest = "drop-oldest",
        /// The message that does not fit is dropped.
        DropNewest = "drop-newest",
        /// Of each topic the newest waiting message is kept.
        Conflate = "conflate",
    }

    /// How nodes find each other (protocols.md section 8).
    BusAdapter {
        /// Not at all: one node.
        Memory = "memory",
    }
}
