//! Whom something of the server side is for: a broadcast, a notification, a question, a disconnect.
//!
//! Named by the HTTP API and the `admin` dialect, carried to the shards, matched there against who
//! is connected. User ids are unique within a tenant only, so a user is named with the tenant.
//! Contract: protocols.md section 4 and section 11 "HTTP API".

use crate::connection::ConnKey;
use crate::sid::Sid;

/// Connections of a shard.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Audience {
    /// All of them.
    Everyone,
    /// Those whose token carries this tenant.
    Tenant(Box<str>),
    /// Those of one user.
    User {
        /// The user's tenant; `None`: the user whose token carries none.
        tenant: Option<Box<str>>,
        /// The user's id.
        user: Box<str>,
    },
    /// One, on the shard that is asked.
    Connection(ConnKey),
    /// A Socket.IO socket, on the shard that its name says.
    Socket(Sid),
}
