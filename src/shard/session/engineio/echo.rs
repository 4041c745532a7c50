//! What is answered where Engine.IO alone is spoken: each message comes back.
//!
//! Two conformance suites take such a server for granted, and the one of the stock client has it
//! greet, and give bytes and text that is not ASCII when asked. Spec: the Engine.IO protocol,
//! revision 4, and what those suites' tests assume.

use crate::config::Conformance;
use crate::shard::hub::Hub;
use crate::wire::engineio::Packet;

/// What every session of that client's suite is told first.
const GREETING: &str = "hi";
/// Text with which that client asks for bytes.
const GIVE_BYTES: &str = "give binary";
const BYTES: [u8; 5] = [0, 1, 2, 3, 4];
/// Text with which it asks for some that is not ASCII.
const GIVE_TEXT: &str = "give utf8";
const TEXT: &str = "пойду спать всем спокойной ночи";

impl Hub {
    /// Greets a session that has just been opened, where its suite wants that.
    pub(super) fn greet_raw(&mut self, conn: u32) {
        if self.is_asked_for_more() && self.is_engine_only(conn) {
            self.queue_engine(conn, &Packet::Message(GREETING));
        }
    }

    pub(super) fn on_raw_text(&mut self, conn: u32, text: &str) {
        let reply = match text {
            GIVE_BYTES if self.is_asked_for_more() => Packet::Binary((&BYTES[..]).into()),
            GIVE_TEXT if self.is_asked_for_more() => Packet::Message(TEXT),
            _ => Packet::Message(text),
        };
        self.queue_engine(conn, &reply);
    }

    pub(super) fn on_raw_bytes(&mut self, conn: u32, bytes: &[u8]) {
        self.queue_engine(conn, &Packet::Binary(bytes.into()));
    }

    /// Whether the suite is the one that wants more than its messages back.
    fn is_asked_for_more(&self) -> bool {
        self.policy.socketio.conformance == Some(Conformance::Engine)
    }
}
