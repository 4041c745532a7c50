//! How an engine ends.
//!
//! A WebSocket is closed as any connection is, with the codes that clients of this dialect know. A
//! polling session hears of its end by the poll that waits, or by the next; where the client broke
//! the protocol or is gone, there is none to wait for. Contract: protocols.md section 5.

use crate::close::Close;
use crate::limits::{POLL_CLOSE_MS, TICK_MS};
use crate::polling::{Fault, HttpReply};
use crate::shard::ends::End;
use crate::shard::hub::Hub;
use crate::shard::outbox::{Droppable, Port};
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::wire::frame;

use super::polling::{CLOSED, NOOP};

impl Hub {
    /// Begins to end a session that is open.
    pub(in crate::shard) fn close_engine(&mut self, now: Now, conn: u32, close: Close) {
        // After broken framing nothing the client sends can be read, its close frame included.
        let broken = matches!(close, Close::Protocol | Close::BadUtf8 | Close::TooLarge);
        let is_polling = self.polling_mut(conn).is_some();
        let Some(engine) = self.engine_mut(conn) else { return };
        let was_told = engine.leaving.take().is_some();
        let has_sockets = engine.socket.is_some() || !engine.guests.is_empty();
        if !was_told {
            self.metrics.closed_for(close).add(1);
        }
        if !close.come_back() && has_sockets {
            self.tell_disconnected(conn);
            if !is_polling && !broken {
                self.leave_sockets(conn, is_lost(close));
                if let Some(engine) = self.engine_mut(conn) {
                    engine.leaving = Some((close, now.mono_ms + TICK_MS));
                }
                return self.rearm(now, conn);
            }
        }
        if !was_told {
            self.leave_sockets(conn, is_lost(close));
        }
        if !is_polling {
            let slot = &mut self.slots[conn];
            slot.phase = if broken { Phase::Failing } else { Phase::Closing };
            let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
                super::put_close(out, close);
            });
            self.outbox.queue(conn, &mut slot.pending, range);
            return self.close_by(now, conn);
        }
        let is_at_once = matches!(
            close,
            Close::Parse | Close::Overlap | Close::PingTimeout | Close::ConnectDeadline
        );
        if is_at_once {
            self.leave_engine(now, conn, is_lost(close));
            self.answer_poll(conn, HttpReply::Body(CLOSED.into()));
            self.slots[conn].phase = Phase::Gone;
            self.end_soon(conn, End::Cut);
        } else {
            // A client that is about to go over hears it there: it polls no more.
            self.close_poll_by(now, conn, CLOSED[0], POLL_CLOSE_MS);
        }
    }

    /// The client ends its session.
    pub(super) fn on_engine_close(&mut self, now: Now, conn: u32) {
        let Some(polling) = self.polling_mut(conn) else {
            return self.begin_close(now, conn, Close::Normal);
        };
        let waits = polling.poll.is_some();
        self.metrics.closed_for(Close::Normal).add(1);
        self.leave_engine(now, conn, true);
        if waits {
            self.answer_poll(conn, HttpReply::Body(NOOP.into()));
            self.slots[conn].phase = Phase::Gone;
            self.end_soon(conn, End::Cut);
        } else {
            // The poll that it sent beside may have been brought here more slowly.
            self.close_poll_by(now, conn, NOOP[0], 2 * TICK_MS);
        }
    }

    /// Has a session's client told that it is over, by a poll of its own behind all that is queued.
    fn close_poll_by(&mut self, now: Now, conn: u32, last: u8, ms: u64) {
        let by = Tick::at_ms(now.mono_ms).plus_ms(ms);
        let slot = &mut self.slots[conn];
        slot.phase = Phase::Closing;
        slot.go_by = Some(self.gone_by.map_or(by, |gone| gone.min(by)));
        if let Some(polling) = self.polling_mut(conn) {
            polling.last = Some(last);
        }
        self.outbox.mark_dirty(conn);
        self.rearm(now, conn);
    }

    /// Nobody is on a session's side any more: its sockets end, and who wanted to take over.
    pub(in crate::shard) fn leave_engine(&mut self, now: Now, conn: u32, is_lost: bool) {
        if self.engine(conn).is_none() {
            return;
        }
        self.leave_sockets(conn, is_lost);
        if let Some(probe) = self.polling_mut(conn).and_then(|it| it.probe) {
            self.fail_probe(now, probe);
        }
    }

    /// The sockets of a session end, or, where its transport is lost, wait to be come back for.
    fn leave_sockets(&mut self, conn: u32, is_lost: bool) {
        if is_lost {
            self.lose_sockets(conn);
        } else {
            self.end_sockets(conn);
        }
        self.withdraw(conn);
    }

    /// The slot of a session is about to be freed: who still awaits something of it hears that there
    /// is nothing.
    pub(in crate::shard) fn end_engine(&mut self, conn: u32) {
        self.lose_sockets(conn);
        self.forget_home(conn);
        self.answer_poll(conn, HttpReply::Body(CLOSED.into()));
        if let Some(polling) = self.polling_mut(conn) {
            let (input, probe) = (polling.input.take(), polling.probe.take());
            self.metrics.engines_polling.sub(1);
            if let Some(input) = input {
                self.input_bytes -= input.body.len();
                self.answer_http(input.answer, HttpReply::Bad(Fault::Request));
            }
            if let Some(probe) = probe {
                self.hang_up(probe);
            }
        }
        self.metrics.engines.sub(1);
    }

    /// Frees the slot of a WebSocket that was to take over, and did not.
    pub(in crate::shard) fn end_probe(&mut self, conn: u32, port: &mut impl Port) {
        self.forget_probe(conn);
        if let Some(backlog) = &self.slots[conn].backlog {
            self.metrics.outbox_bytes.sub(backlog.bytes() as u64);
            self.metrics.outbox_connections.sub(1);
        }
        self.wheel.cancel(conn);
        self.slots.remove(conn);
        port.discard(conn);
    }

    /// Gives a polling session up: what waits for it is dropped, and the next poll is its last.
    pub(in crate::shard) fn give_up_polling(&mut self, conn: u32) {
        if let Some(mut backlog) = self.slots[conn].backlog.take() {
            self.metrics.outbox_bytes.sub(backlog.bytes() as u64);
            self.metrics.outbox_connections.sub(1);
            self.metrics.dropped_disconnect_total.add(backlog.cut());
        }
        if let Some(polling) = self.polling_mut(conn) {
            polling.last = Some(CLOSED[0]);
        }
        self.outbox.mark_dirty(conn);
    }

    /// The last that a connection hears which is given up.
    pub(in crate::shard) fn put_farewell(&self, out: &mut Vec<u8>, conn: u32, close: Close) {
        match self.slots.role(conn) {
            Some(_) => super::put_close(out, close),
            None => frame::put_close(out, Some(close.code()), close.reason()),
        }
    }
}

/// Whether a client may come back for its sockets after this: its transport was lost, and nobody
/// meant to end it.
fn is_lost(close: Close) -> bool {
    matches!(close, Close::Normal | Close::PingTimeout | Close::SlowConsumer | Close::Overlap)
}
