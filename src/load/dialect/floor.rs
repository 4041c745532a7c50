//! The few words of the floor ([`crate::load::floor`]): what is needed to know who gets a frame.
//!
//! `s<pattern>` subscribes and is answered by `s`; `p<bytes>\n<topic>\n<payload>` publishes. The floor
//! pads the payload until a delivery's frame has that many bytes, so that it is as long as the
//! measured server's: `bytes=N` in the target's path.

use std::str;

use super::handshake::Door;
use super::{Dialect, Heard, Who, Words};
use crate::load::scenario::Target;
use crate::load::stamp::Stamp;

/// The answer to [`Word::Subscribe`].
pub(in crate::load) const SUBSCRIBED: &[u8] = b"s";

/// Speaks to the floor.
#[derive(Debug)]
pub(super) struct Floor {
    door: Door,
    /// Of a delivery's frame, as written.
    frame_bytes: String,
}

/// What a client wants of the floor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::load) enum Word<'a> {
    /// To hear a topic, or all that match a pattern.
    Subscribe(&'a str),
    /// To send to who hears a topic.
    Publish {
        /// Of the frame that goes out, at least.
        frame_bytes: usize,
        /// No pattern.
        topic: &'a str,
        /// Before padding.
        payload: &'a [u8],
    },
}

impl<'a> Word<'a> {
    /// A message's word, if it is one.
    pub(in crate::load) fn parse(text: &'a [u8]) -> Option<Self> {
        let (kind, rest) = text.split_first()?;
        Some(match kind {
            b's' => Self::Subscribe(str::from_utf8(rest).ok()?),
            b'p' => {
                let mut parts = rest.splitn(3, |byte| *byte == b'\n');
                let mut text = || str::from_utf8(parts.next()?).ok();
                let (frame_bytes, topic) = (text()?.parse().ok()?, text()?);
                Self::Publish { frame_bytes, topic, payload: parts.next()? }
            }
            _ => return None,
        })
    }
}

impl Floor {
    pub(super) fn new(target: &Target) -> Self {
        let query = target.path.split_once('?').map_or("", |(_, query)| query);
        let bytes = query.split('&').find_map(|pair| pair.strip_prefix("bytes="));
        let frame_bytes = bytes.and_then(|bytes| bytes.parse::<usize>().ok()).unwrap_or(0);
        Self { door: Door::new(target), frame_bytes: frame_bytes.to_string() }
    }
}

impl Dialect for Floor {
    fn handshake(&self, _who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        self.door.knock(None, key, offer, out);
    }

    fn opened(&self, _who: &Who<'_>, _say: &mut Words<'_>) -> bool {
        true
    }

    fn subscribe(&self, pattern: &str, _number: u16, say: &mut Words<'_>) -> bool {
        say.text(["s", pattern].concat().as_bytes());
        true
    }

    fn publish(&self, topic: &str, payload: &[u8], say: &mut Words<'_>) {
        let bytes = self.frame_bytes.as_bytes();
        say.text(&[b"p", bytes, b"\n", topic.as_bytes(), b"\n", payload].concat());
    }

    fn hear(
        &self,
        _who: &Who<'_>,
        payload: &[u8],
        _say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        tell(match (payload, Stamp::find(payload)) {
            (_, Some((stamp, _))) => Heard::Delivery(stamp),
            (SUBSCRIBED, _) => Heard::Subscribed,
            _ => Heard::Other,
        });
        payload.len()
    }
}
