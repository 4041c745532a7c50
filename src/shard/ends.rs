//! How a connection ends: told why, answered, given up, closed.
//!
//! Whoever is over waits on the hub's list for the next flushes, which end some each. Between our
//! close frame and the end of the socket stands the client's: until it comes, or the time for it is
//! over, the connection is read. One that goes on sending where nothing may follow is shut on our
//! side and read dry first, for a reset would destroy the close frame on its way (RFC 6455 section
//! 7.1.1). Phases: `slot.rs`.

use crate::close::Close;
use crate::connection::ConnKey;
use crate::limits::{CLOSE_WAIT_MS, ENDS_PER_TURN_MAX};
use crate::shard::encoder::POLLING;
use crate::shard::hub::Hub;
use crate::shard::outbox::{Droppable, Port};
use crate::shard::role::Role;
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::wire::frame;

/// A connection that is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ending {
    pub(super) key: ConnKey,
    pub(super) how: End,
}

/// How a connection ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    /// At once, whatever is queued for it.
    Cut,
    /// Its close frame is answered first, with the same code.
    Answer(Option<u16>),
    /// Both close frames are known and out; see [`Hub::finish`].
    Finish,
}

impl Hub {
    /// Begins to end a connection: it hears why, and no message any more.
    pub(super) fn begin_close(&mut self, now: Now, conn: u32, close: Close) {
        self.close_with(now, conn, close, (close.code(), close.reason()));
    }

    /// The same, and what it hears is given: the code and the reason.
    pub(super) fn close_with(&mut self, now: Now, conn: u32, close: Close, heard: (u16, &str)) {
        match self.slots[conn].phase {
            Phase::Open => {}
            Phase::Probing => return self.fail_probe(now, conn),
            _ => return,
        }
        if self.slots.role(conn).is_some() {
            return self.close_engine(now, conn, close);
        }
        self.withdraw(conn);
        self.metrics.closed_for(close).add(1);
        let slot = &mut self.slots[conn];
        // After broken framing nothing the client sends can be read, its close frame included.
        let broken = matches!(close, Close::Protocol | Close::BadUtf8 | Close::TooLarge);
        slot.phase = if broken { Phase::Failing } else { Phase::Closing };
        let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
            frame::put_close(out, Some(heard.0), heard.1);
        });
        self.outbox.queue(conn, &mut slot.pending, range);
        self.close_by(now, conn);
    }

    /// The client's close frame came: ours goes out if it has not yet, then the socket goes.
    pub(super) fn on_close(&mut self, now: Now, conn: u32, code: Option<u16>) {
        match self.slots[conn].phase {
            Phase::Open => {
                self.leave_engine(now, conn, true);
                self.withdraw(conn);
                self.slots[conn].phase = Phase::Leaving;
                // Here and not with the answer: it may be cut or given up before.
                self.metrics.closed_for(Close::Normal).add(1);
                self.end_soon(conn, End::Answer(code));
                self.close_by(now, conn);
            }
            Phase::Closing => {
                let slot = &mut self.slots[conn];
                slot.phase = Phase::Finishing;
                if slot.pending.is_empty() && slot.backlog.is_none() {
                    self.end_soon(conn, End::Finish);
                }
            }
            Phase::Free
            | Phase::Failing
            | Phase::Leaving
            | Phase::Finishing
            | Phase::Gone
            | Phase::Guest
            | Phase::Ghost => {}
            Phase::Probing => self.fail_probe(now, conn),
        }
    }

    /// The other side left without a close frame, or behind one: from now on there is nobody, though
    /// it may take flushes until the socket goes. Whose close frame came is answered still.
    pub(super) fn hang_up(&mut self, conn: u32) {
        self.forget_probe(conn);
        self.lose_sockets(conn);
        self.withdraw(conn);
        let phase = &mut self.slots[conn].phase;
        if matches!(phase, Phase::Open | Phase::Probing) {
            *phase = Phase::Gone;
        }
        self.end_soon(conn, End::Cut);
    }

    /// The client goes on sending behind its close frame: ours goes out, and nothing more that it
    /// sends is looked at.
    pub(super) fn goes_on(&mut self, conn: u32, port: &mut impl Port) {
        if let Some(&Ending { key, how: End::Answer(code) }) = self.ending.back()
            && key.index == conn
        {
            self.answer_close(key, code);
        }
        self.throw_away(conn, port);
    }

    /// Shuts our side, once our close frame is out, and throws away what the client sends.
    fn throw_away(&mut self, conn: u32, port: &mut impl Port) {
        let slot = &mut self.slots[conn];
        slot.phase = Phase::Failing;
        if slot.pending.is_empty() && slot.backlog.is_none() {
            port.shut(conn);
        }
    }

    /// The client broke the protocol: it hears why, unless it heard of another reason before, and
    /// nothing more that it sends is looked at.
    pub(super) fn fail(&mut self, now: Now, conn: u32, close: Close, port: &mut impl Port) {
        self.begin_close(now, conn, close);
        if self.slots[conn].phase == Phase::Closing {
            self.throw_away(conn, port);
        }
    }

    /// Puts a connection behind those that the next flushes end.
    pub(super) fn end_soon(&mut self, conn: u32, how: End) {
        let key = self.slots.key(conn);
        self.ending.push_back(Ending { key, how });
    }

    /// Answers the close frame of a connection that waited for it.
    fn answer_close(&mut self, key: ConnKey, code: Option<u16>) {
        // It may have been cut or given up in the meantime.
        if let Some(slot) = self.slots.get(key).filter(|slot| slot.phase == Phase::Leaving) {
            slot.phase = Phase::Finishing;
            let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
                frame::put_close(out, code, "");
            });
            self.outbox.queue(key.index, &mut slot.pending, range);
        }
    }

    /// Ends some of those that are over, each after what is queued for it; all other output stays.
    pub(super) fn end_some(&mut self, now: Now, port: &mut impl Port) {
        let ends = self.answer_some();
        for at in 0..ends {
            let key = self.ending[at].key;
            if self.slots.get(key).is_some() {
                self.flush_one(now, key.index, port);
            }
        }
        self.close_some(ends, port);
    }

    /// Queues the close frames of the first that wait to be ended; how many these are, whoever of
    /// them is to hear one.
    pub(super) fn answer_some(&mut self) -> usize {
        let ends = self.ending.len().min(ENDS_PER_TURN_MAX);
        for at in 0..ends {
            if let Ending { key, how: End::Answer(code) } = self.ending[at] {
                self.answer_close(key, code);
            }
        }
        ends
    }

    /// Closes those of the first `ends` that need no answer, or no more.
    pub(super) fn close_some(&mut self, ends: usize, port: &mut impl Port) {
        for _ in 0..ends {
            let Ending { key, how } = self.ending.pop_front().expect("there were as many before");
            let Some(slot) = self.slots.get(key) else { continue };
            match how {
                End::Cut => self.end(key.index, port),
                End::Finish if slot.phase == Phase::Finishing => self.finish(key.index, port),
                End::Finish | End::Answer(_) => {}
            }
        }
        if self.ending.is_empty() {
            self.ending.shrink_to(ENDS_PER_TURN_MAX);
        }
        self.metrics.connections_ending.set(self.ending.len() as u64);
    }

    /// Ends a connection of which both close frames are known and out. One that went on sending
    /// behind its own is not closed yet: the kernel answers bytes that nobody read with a reset,
    /// which may destroy our close frame on its way (RFC 6455 section 7.1.1). Nor is one of which
    /// the port holds a part: it ends with the room for that, or when its time is over.
    pub(super) fn finish(&mut self, conn: u32, port: &mut impl Port) {
        if port.holds(conn) {
            return;
        }
        if port.has_unread(conn) {
            self.throw_away(conn, port);
        } else {
            self.end(conn, port);
        }
    }

    /// A slow consumer: what waits is dropped, and it hears why if it reads again in time.
    /// One that was to go anyway hears this in place of the close frame that did not fit.
    pub(super) fn give_up(&mut self, now: Now, conn: u32) {
        if self.slots[conn].phase == Phase::Open {
            self.leave_engine(now, conn, true);
            self.withdraw(conn);
            self.metrics.closed_for(Close::SlowConsumer).add(1);
            self.slots[conn].phase = Phase::Closing;
            self.close_by(now, conn);
        }
        let slot = &mut self.slots[conn];
        if slot.phase == Phase::Leaving {
            slot.phase = Phase::Finishing;
        }
        if self.slots[conn].lane == POLLING {
            return self.give_up_polling(conn);
        }
        let mut farewell = Vec::new();
        self.put_farewell(&mut farewell, conn, Close::SlowConsumer);
        let slot = &mut self.slots[conn];
        let backlog = slot.backlog.get_or_insert_default();
        let before = backlog.bytes() as u64;
        self.metrics.dropped_disconnect_total.add(backlog.cut());
        backlog.push_last(farewell.into());
        self.metrics.outbox_bytes.add((backlog.bytes() as u64).wrapping_sub(before));
    }

    /// Ends a connection here and now.
    pub(super) fn end(&mut self, conn: u32, port: &mut impl Port) {
        self.withdraw(conn);
        match self.slots.role(conn) {
            Some(Role::Carrier(_)) => self.end_engine(conn),
            Some(Role::Probe(_)) => return self.end_probe(conn, port),
            Some(Role::Guest(_) | Role::Ghost(_) | Role::Forward(_)) => {
                unreachable!("it has no transport to end")
            }
            None => {}
        }
        self.people.leave(&mut self.slots, conn);
        let slot = &mut self.slots[conn];
        if let Some(backlog) = &slot.backlog {
            self.metrics.outbox_bytes.sub(backlog.bytes() as u64);
            self.metrics.outbox_connections.sub(1);
        }
        self.metrics.connections_authenticated.sub(u64::from(slot.identity.is_some()));
        self.metrics.connections.sub(1);
        self.metrics.connections_ended_total.add(1);
        self.wheel.cancel(conn);
        let address = slot.address;
        self.operators.forget(self.slots.key(conn));
        self.vacate(conn);
        port.close(conn, address);
    }

    pub(super) fn close_by(&mut self, now: Now, conn: u32) {
        let by = Tick::at_ms(now.mono_ms).plus_ms(CLOSE_WAIT_MS);
        let slot = &mut self.slots[conn];
        slot.go_by = Some(self.gone_by.map_or(by, |gone| gone.min(by)));
        self.rearm(now, conn);
    }
}
