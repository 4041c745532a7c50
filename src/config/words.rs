//! The closed vocabularies of the configuration: what is typed as one word of a few.
//!
//! Words of the grammar that this version does not carry out yet stand in `keys.rs`, beside the
//! setting that refuses them; the words of rules in `rule`.

use crate::words::words;

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
