//! Engine.IO: sessions that carry packets, by polling or over a WebSocket.
//!
//! Called with frames, with the records of polling requests and by deadlines. Here: how a session
//! opens, what each kind of packet does, and how packets are queued whatever the transport. A
//! packet's message is for `socketio/`; whom it is from and what it may is not known here.
//! Contract: protocols.md section 5.

use crate::connection::ConnKey;
use crate::mail::Receipt;
use crate::polling::{Asked, Fault, HttpReply};
use crate::shard::hub::{Arrival, Hub};
use crate::shard::outbox::{Droppable, Port};
use crate::shard::timers::Tick;
use crate::sid::Sid;
use crate::time::Now;
use crate::wire::json::Scratch;

impl Hub {
    /// Begins a session over a WebSocket that has just been taken in.
    pub(in crate::shard) fn greet_engine(&mut self, _now: Now, _conn: u32) {}

    /// Begins a polling session; gives the body that answers the handshake.
    pub(in crate::shard) fn open_polling(
        &mut self,
        now: Now,
        arrival: Arrival,
    ) -> (ConnKey, Vec<u8>) {
        (self.open(now, arrival), Vec::new())
    }

    /// Takes in a WebSocket that is to take over from a polling session.
    pub(in crate::shard) fn probe(
        &mut self,
        _now: Now,
        _sid: Sid,
        _arrival: Arrival,
    ) -> Option<ConnKey> {
        None
    }

    /// Takes an HTTP request of a session; answers it at once or later, once.
    pub(in crate::shard) fn on_asked(
        &mut self,
        _now: Now,
        _sid: Sid,
        asked: Asked,
        answer: Receipt,
    ) {
        if !matches!(asked, Asked::Gone) {
            self.answer_http(answer, HttpReply::Bad(Fault::Session));
        }
    }

    /// Carries out records that came, so many at most; whether some are left.
    pub(in crate::shard) fn take_records(&mut self, _now: Now, _scratch: &mut Scratch) -> bool {
        false
    }

    /// Takes a frame of a session's WebSocket, or of one that wants to take over.
    pub(in crate::shard) fn on_frame(
        &mut self,
        _now: Now,
        _conn: u32,
        _text: bool,
        _payload: &[u8],
        _scratch: &mut Scratch,
    ) {
    }

    /// When something is to be done for a slot of this dialect, its drain and token apart.
    pub(in crate::shard) fn engine_deadline(&self, _conn: u32) -> Tick {
        Tick::NEVER
    }

    /// Acts on such a deadline.
    pub(in crate::shard) fn on_engine_deadline(&mut self, _now: Now, _conn: u32) {}

    /// Answers the poll that waits with what is queued, or keeps that for the next.
    pub(in crate::shard) fn flush_polling(&mut self, _now: Now, _conn: u32) {}

    /// Queues a Socket.IO packet for a socket, on its engine's transport: its text, and the bytes
    /// beside it, all of which go or none.
    pub(in crate::shard) fn queue_packet(
        &mut self,
        _socket: u32,
        _droppable: Droppable,
        _attachments: &[Box<[u8]>],
        _text: impl FnOnce(&mut Vec<u8>),
    ) {
    }

    /// An engine's slot is about to be freed, its transport is gone: what else it had goes too, and
    /// its sockets end or wait to be come back for.
    pub(in crate::shard) fn engine_ends(&mut self, _now: Now, _conn: u32, _port: &mut impl Port) {}
}
