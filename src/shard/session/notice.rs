//! What the broker tells a connection of its own accord, in the words of the connection's dialect.
//!
//! Called by what time does to a connection, by new settings, and by sessions for what no request's
//! `id` belongs to. An ending is told just before its close frame. Contract: protocols.md sections 3
//! and 11.

use crate::close::Refusal;
use crate::config::Dialect;
use crate::shard::hub::Hub;
use crate::time::Now;
use crate::wire::{channels, topics};

/// What a connection is told.
#[derive(Clone, Copy, Debug)]
pub(in crate::shard) enum Notice<'a> {
    /// The token's time is over.
    AuthExpired,
    /// A subscription is gone: the rules do not cover it any more.
    Withdrawn {
        /// What it was for.
        topic: &'a str,
    },
    /// Something was refused.
    Refused {
        /// Why.
        refusal: Refusal,
        /// What it was about, where it was about a topic.
        topic: Option<&'a str>,
    },
}

impl Hub {
    /// Tells a connection.
    pub(in crate::shard) fn tell(&mut self, now: Now, conn: u32, notice: Notice<'_>) {
        let at = now.wall;
        self.metrics.refusals_total.add(u64::from(matches!(notice, Notice::Refused { .. })));
        match self.dialect(conn) {
            // It has no message to say so with.
            Dialect::Echo => {}
            Dialect::SocketIo => self.tell_socket(now, conn, notice),
            Dialect::Channels => self.reply(conn, |out| match notice {
                Notice::AuthExpired => channels::auth_expired(out, at),
                Notice::Withdrawn { topic } => channels::left(out, topic, Some("forbidden")),
                Notice::Refused { refusal, .. } => channels::error(out, &refusal.to_string()),
            }),
            Dialect::Admin => self.tell_operator(now, conn, notice),
            Dialect::Topics | Dialect::Events => {
                self.reply(conn, |out| match notice {
                    Notice::AuthExpired => topics::auth_expired(out, at),
                    Notice::Withdrawn { topic } => {
                        topics::unsubscribed(out, None, topic, at, Some("forbidden"));
                    }
                    Notice::Refused { refusal, topic } => {
                        topics::error(out, None, &refusal, topic, at);
                    }
                });
            }
        }
    }
}
