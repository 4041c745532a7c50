//! nginx's nchan: a topic is a path, a message a text frame without any envelope.
//!
//! Subscribers connect to `sub/<topic>` below the target's path, publishers to `pub/<topic>`: one
//! topic a connection, and no request for it. A publisher hears a status for each message.

use super::handshake::{Door, Knock, push_encoded};
use super::{Dialect, Heard, Who, Words};
use crate::load::scenario::Target;
use crate::load::stamp::Stamp;

/// Speaks to nchan.
#[derive(Debug)]
pub(super) struct Nchan {
    door: Door,
}

impl Nchan {
    pub(super) fn new(target: &Target) -> Self {
        Self { door: Door::new(target) }
    }

    /// The prefix may end in a slash or not, and have a query.
    fn path(&self, who: &Who<'_>) -> String {
        let whole = self.door.path_showing(who.token);
        let (prefix, query) = whole.split_at(whole.find('?').unwrap_or(whole.len()));
        let mut path = prefix.trim_end_matches('/').to_owned();
        path.push_str(if who.publishes { "/pub/" } else { "/sub/" });
        push_encoded(&mut path, who.topic);
        path + query
    }
}

impl Dialect for Nchan {
    fn handshake(&self, who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        let path = self.path(who);
        self.door.request(&Knock { path: &path, protocol: None, key, offer }, out);
    }

    fn opened(&self, _who: &Who<'_>, _say: &mut Words<'_>) -> bool {
        true
    }

    fn subscribe(&self, _pattern: &str, _number: u16, _say: &mut Words<'_>) -> bool {
        false
    }

    /// To the topic of the handshake: no frame names another.
    fn publish(&self, _topic: &str, payload: &[u8], say: &mut Words<'_>) {
        say.text(payload);
    }

    fn hear(
        &self,
        who: &Who<'_>,
        payload: &[u8],
        _say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        match Stamp::find(payload) {
            Some((stamp, _)) if !who.publishes => tell(Heard::Delivery(stamp)),
            _ => tell(Heard::Other),
        }
        payload.len()
    }
}
