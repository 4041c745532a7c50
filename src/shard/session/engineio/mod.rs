//! Engine.IO: sessions that carry packets, by polling or over a WebSocket.
//!
//! Here: how a session opens, what each kind of packet does, and how packets are queued whatever
//! the transport. Beside: the heartbeat, what polling requests do, how a WebSocket takes over, how a
//! session ends, what comes back where nothing is spoken above. A packet's message is for
//! `socketio/`; whom it is from and what it may is not known here. Contract: protocols.md section 5.

mod beat;
mod closing;
mod echo;
mod moving;
mod polling;
mod upgrade;

pub use moving::Leaving;

use crate::auth::Identity;
use crate::close::Close;
use crate::connection::ConnKey;
use crate::shard::encoder::POLLING;
use crate::shard::hub::{Arrival, Hub};
use crate::shard::outbox::Droppable;
use crate::shard::role::{Beat, Engine, Polling, Role, Transport};
use crate::shard::slot::Phase;
use crate::sid::{Secret, Sid};
use crate::time::Now;
use crate::wire::engineio::{self as dialect, Packet};
use crate::wire::frame::{self, OpCode};
use crate::wire::json::Scratch;

impl Hub {
    /// Begins a polling session; gives the body that answers the handshake.
    pub(in crate::shard) fn open_polling(
        &mut self,
        now: Now,
        arrival: Arrival,
    ) -> (ConnKey, Vec<u8>) {
        let key = self.open_in(now, arrival, POLLING);
        let mut body = Vec::new();
        self.put_open(&mut body, key.index, true);
        self.greet_raw(key.index);
        (key, body)
    }

    /// Makes an engine of a slot that has just been taken.
    pub(in crate::shard) fn become_engine(
        &mut self,
        now: Now,
        conn: u32,
        brought: Option<Identity>,
        bad_token: bool,
    ) {
        let transport = if self.slots[conn].lane == POLLING {
            self.metrics.engines_polling.add(1);
            Transport::Polling(Box::<Polling>::default())
        } else {
            Transport::WebSocket
        };
        let engine = Engine {
            secret: Secret::new(&mut *self.secrets),
            beat: Beat {
                due_ms: now.mono_ms + self.policy.socketio.ping_interval_ms,
                pinged: false,
            },
            transport,
            socket: None,
            guests: <_>::default(),
            known: 0,
            bad_token,
            brought: brought.map(Box::new),
            unfinished: None,
            leaving: None,
            ghost: None,
            returning: 0,
            pinged_at: 0,
            suite: None,
            has_moved: false,
            home: None,
        };
        self.slots.set_role(conn, Some(Box::new(Role::Carrier(engine))));
        self.metrics.engines.add(1);
    }

    /// Tells a client that its session over a WebSocket is open.
    pub(in crate::shard) fn greet_engine(&mut self, conn: u32) {
        let mut open = Vec::new();
        self.put_open(&mut open, conn, false);
        self.queue_frame(conn, OpCode::Text, |out| out.extend_from_slice(&open));
        self.greet_raw(conn);
    }

    fn put_open(&self, out: &mut Vec<u8>, conn: u32, upgrades: bool) {
        let Some(Role::Carrier(engine)) = self.slots.role(conn) else { return };
        let sid = Sid::new(self.id, conn, engine.secret).chars();
        let policy = &self.policy.socketio;
        dialect::open(
            out,
            std::str::from_utf8(&sid).expect("a name is ASCII"),
            upgrades,
            policy.ping_interval_ms,
            policy.ping_timeout_ms,
            policy.payload_bytes_max,
        );
    }

    /// The engine of a slot that is one.
    pub(super) fn engine(&self, conn: u32) -> Option<&Engine> {
        match self.slots.role(conn) {
            Some(Role::Carrier(engine)) => Some(engine),
            _ => None,
        }
    }

    /// The same, to be changed.
    pub(super) fn engine_mut(&mut self, conn: u32) -> Option<&mut Engine> {
        match self.slots.role_mut(conn) {
            Some(Role::Carrier(engine)) => Some(engine),
            _ => None,
        }
    }

    /// The slot that a socket's packets go out by: its engine's.
    pub(in crate::shard) fn carrier_of(&self, conn: u32) -> u32 {
        match self.slots.role(conn) {
            Some(Role::Guest(guest)) => guest.carrier,
            _ => conn,
        }
    }

    /// Queues a Socket.IO packet for a socket, on its engine's transport: its text, and the bytes
    /// beside it, all of which go or none.
    pub(in crate::shard) fn queue_packet(
        &mut self,
        socket: u32,
        droppable: Droppable,
        attachments: &[Box<[u8]>],
        text: impl FnOnce(&mut Vec<u8>),
    ) {
        let carrier = self.carrier_of(socket);
        let slot = &mut self.slots[carrier];
        let wire = wire_of(slot.lane);
        let range = self.outbox.write(slot.lane, droppable, |out| {
            let begun = dialect::begin_message(out, wire);
            text(out);
            dialect::end_message(out, begun);
            for bytes in attachments {
                dialect::put(out, wire, &Packet::Binary((&**bytes).into()));
            }
        });
        self.outbox.queue(carrier, &mut slot.pending, range);
    }

    /// Queues a packet of Engine.IO's own.
    fn queue_engine(&mut self, conn: u32, packet: &Packet<'_>) {
        let slot = &mut self.slots[conn];
        let wire = wire_of(slot.lane);
        let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
            dialect::put(out, wire, packet);
        });
        self.outbox.queue(conn, &mut slot.pending, range);
    }

    /// Takes a frame of a session's WebSocket, or of one that wants to take over.
    pub(in crate::shard) fn on_frame(
        &mut self,
        now: Now,
        conn: u32,
        text: bool,
        payload: &[u8],
        scratch: &mut Scratch,
    ) {
        let packet = if text {
            let text = std::str::from_utf8(payload).expect("a text frame was checked as it came");
            match dialect::decode_text(text) {
                Ok(packet) => packet,
                Err(_) => return self.begin_close(now, conn, Close::Parse),
            }
        } else {
            Packet::Binary(payload.into())
        };
        if self.slots[conn].phase == Phase::Probing {
            return self.on_probe_packet(now, conn, &packet);
        }
        self.on_engine_packet(now, conn, &packet, scratch);
    }

    /// Takes a packet of a session, whatever it came by.
    fn on_engine_packet(
        &mut self,
        now: Now,
        conn: u32,
        packet: &Packet<'_>,
        scratch: &mut Scratch,
    ) {
        if self.is_overdue(now, conn) {
            return self.begin_close(now, conn, Close::PingTimeout);
        }
        if self.engine(conn).is_some_and(|it| it.leaving.is_some()) {
            // Said before it heard that it is disconnected.
            return;
        }
        let engine_only = self.is_engine_only(conn);
        match packet {
            Packet::Message(text) if engine_only => self.on_raw_text(conn, text),
            Packet::Binary(bytes) if engine_only => self.on_raw_bytes(conn, bytes),
            Packet::Message(text) => self.on_packet(now, conn, text, scratch),
            Packet::Binary(bytes) => self.on_attachment(now, conn, bytes, scratch),
            Packet::Pong(_) => self.on_pong(now, conn),
            // A server pings; a client that does speaks an older version.
            Packet::Ping(_) => self.begin_close(now, conn, Close::Parse),
            Packet::Close => self.on_engine_close(now, conn),
            Packet::Open | Packet::Upgrade | Packet::Noop => {}
        }
    }
}

/// How packets stand in a lane.
fn wire_of(lane: u8) -> dialect::Transport {
    if lane == POLLING { dialect::Transport::Polling } else { dialect::Transport::WebSocket }
}

/// The frames of what waited as records.
fn reframe(record: &[u8], out: &mut Vec<u8>) {
    dialect::records_to_frames(out, record);
}

/// Writes a close frame of this dialect: its clients know three codes and no reasons.
fn put_close(out: &mut Vec<u8>, close: Close) {
    let code = match close {
        Close::Shutdown | Close::TooLarge | Close::Protocol | Close::BadUtf8 => close.code(),
        _ => Close::Normal.code(),
    };
    frame::put_close(out, Some(code), "");
}
