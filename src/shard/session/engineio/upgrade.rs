//! How a WebSocket takes over from polling, without a packet lost or out of order.
//!
//! The newcomer has a slot of its own until it has said `2probe`, heard `3probe` and said `5`. Then
//! what waits for the session as records is made frames, in its order, and the session's slot gets
//! the socket; subscriptions, name and identity do not move. Polls that come meanwhile are ended one
//! by one, each once: the client goes over only when it has no request open. Whatever goes wrong
//! with the newcomer, the session stays. Contract: protocols.md section 5.

use crate::close::Close;
use crate::connection::ConnKey;
use crate::limits::{CLOSE_WAIT_MS, TICK_MS};
use crate::polling::{Fault, HttpReply};
use crate::shard::encoder::lane_of;
use crate::shard::hub::{Arrival, Hub};
use crate::shard::outbox::{Droppable, Pending, Port, Unsent};
use crate::shard::role::{Probe, Role, Transport};
use crate::shard::slot::{Phase, Slot};
use crate::shard::timers::Tick;
use crate::sid::Sid;
use crate::time::Now;
use crate::wire::engineio::{PROBE, Packet};

use super::polling::{CLOSED, NOOP};

impl Hub {
    /// Takes in a WebSocket that is to take over from a polling session; `None` where there is no
    /// such session, or another one is about to.
    pub(in crate::shard) fn probe(
        &mut self,
        now: Now,
        sid: Sid,
        arrival: &Arrival,
    ) -> Option<ConnKey> {
        let carrier = self.engine_called(sid)?;
        let carrier = self.slots.key(carrier);
        let is_open = self.slots[carrier.index].phase == Phase::Open;
        let is_free = self.polling_mut(carrier.index).is_some_and(|it| it.probe.is_none());
        if !is_open || !is_free {
            self.metrics.upgrades_failed_total.add(1);
            return None;
        }
        let Arrival { endpoint, compression, address, origin, .. } = *arrival;
        let dialect = self.policy.endpoints[usize::from(endpoint)].dialect;
        let tick = Tick::at_ms(now.mono_ms);
        let key = self.slots.insert(Slot {
            compression: compression.is_some(),
            origin,
            phase: Phase::Probing,
            ..Slot::open(endpoint, lane_of(dialect, compression), address, tick)
        });
        let role = Role::Probe(Probe { carrier, probed: false });
        self.slots.set_role(key.index, Some(Box::new(role)));
        if let Some(polling) = self.polling_mut(carrier.index) {
            polling.probe = Some(key.index);
        }
        self.rearm(now, key.index);
        Some(key)
    }

    /// Takes a packet of a WebSocket that wants to take over.
    pub(super) fn on_probe_packet(&mut self, now: Now, conn: u32, packet: &Packet<'_>) {
        let Some(Role::Probe(Probe { carrier, probed })) = self.slots.role_mut(conn) else {
            return;
        };
        match packet {
            Packet::Ping(PROBE) if !*probed => {
                *probed = true;
                let carrier = carrier.index;
                self.queue_engine(conn, &Packet::Pong(PROBE));
                let slot = &self.slots[carrier];
                if slot.pending.is_empty() && slot.backlog.is_none() {
                    self.answer_poll(carrier, HttpReply::Body(NOOP.into()));
                }
                self.rearm(now, carrier);
            }
            Packet::Upgrade if *probed => {
                let carrier = *carrier;
                self.switch(now, conn, carrier);
            }
            _ => self.fail_probe(now, conn),
        }
    }

    /// Gives a session its WebSocket; the socket itself follows (see [`Hub::switched`]).
    fn switch(&mut self, now: Now, conn: u32, carrier: ConnKey) {
        let session = carrier.index;
        let chain = std::mem::replace(&mut self.slots[session].pending, Pending::NOTHING);
        if !chain.is_empty() {
            self.keep(now, session, &Unsent::whole(chain));
        }
        let is_open = self.slots[session].phase == Phase::Open;
        let polling = self.polling_mut(session);
        let is_done = polling.as_deref().is_some_and(|it| it.input.is_none());
        // It polls no more, and hears here that it is over, and what it was told before.
        let is_told = polling.is_some_and(|it| it.last == Some(CLOSED[0]));
        let is_told = is_told && self.slots[session].phase == Phase::Closing;
        if !(is_open || is_told) || !is_done {
            // It was just given up; or its client goes over with a post of its own unanswered.
            return self.fail_probe(now, conn);
        }
        // One that came after `3probe` was sent behind this, and has overtaken it: the client polls
        // no more by itself.
        let is_late = self.polling_mut(session).is_some_and(|it| it.noop_ms.is_some());
        let reply =
            if is_late { HttpReply::Bad(Fault::Request) } else { HttpReply::Body(NOOP.into()) };
        self.answer_poll(session, reply);
        let (lane, compression) = (self.slots[conn].lane, self.slots[conn].compression);
        let slot = &mut self.slots[session];
        (slot.lane, slot.compression) = (lane, compression);
        if let Some(backlog) = &mut slot.backlog {
            let before = backlog.bytes() as u64;
            backlog.reframe(super::reframe);
            self.metrics.outbox_bytes.add((backlog.bytes() as u64).wrapping_sub(before));
        }
        if let Some(engine) = self.engine_mut(session) {
            engine.transport = Transport::WebSocket;
        }
        if is_told {
            let close = if self.gone_by.is_some() { Close::Shutdown } else { Close::Forced };
            if let Some(engine) = self.engine_mut(session) {
                engine.leaving = Some((close, now.mono_ms + TICK_MS));
            }
            let slot = &mut self.slots[session];
            (slot.phase, slot.go_by) = (Phase::Open, self.gone_by);
        }
        self.metrics.engines_polling.sub(1);
        self.metrics.upgrades_total.add(1);
        self.switched = Some((conn, carrier));
        self.rearm(now, session);
    }

    /// Moves the socket of a WebSocket that has taken over; gives the session.
    pub(in crate::shard) fn hand_socket(
        &mut self,
        now: Now,
        port: &mut impl Port,
    ) -> Option<ConnKey> {
        let (conn, carrier) = self.switched.take()?;
        // What it was told itself, in the same read, comes before what the session has.
        self.flush_one(now, conn, port);
        if self.slots[conn].phase == Phase::Free {
            // It died of that.
            self.hang_up(carrier.index);
            return Some(carrier);
        }
        let is_out = self.slots[conn].backlog.is_none();
        port.rebind(conn, carrier);
        self.wheel.cancel(conn);
        self.slots.remove(conn);
        if !is_out {
            // Half a packet is with the client, and nothing can follow it.
            self.hang_up(carrier.index);
        } else if self.slots[carrier.index].backlog.is_some() {
            self.writable(carrier.index, port);
        }
        Some(carrier)
    }

    /// A WebSocket that was to take over does not: the session stays as it is.
    pub(in crate::shard) fn fail_probe(&mut self, now: Now, conn: u32) {
        if self.slots[conn].phase != Phase::Probing {
            return;
        }
        self.forget_probe(conn);
        self.metrics.closed_for(Close::UpgradeFailed).add(1);
        let slot = &mut self.slots[conn];
        slot.phase = Phase::Closing;
        slot.go_by = Some(Tick::at_ms(now.mono_ms).plus_ms(CLOSE_WAIT_MS));
        let range = self.outbox.write(slot.lane, Droppable::NEVER, |out| {
            super::put_close(out, Close::UpgradeFailed);
        });
        self.outbox.queue(conn, &mut slot.pending, range);
        self.rearm(now, conn);
        if let Some(Role::Probe(probe)) = self.slots.role(conn) {
            let carrier = probe.carrier;
            // Its ping may have waited.
            if self.slots.get(carrier).is_some() {
                self.rearm(now, carrier.index);
            }
        }
    }

    /// Its session waits for a WebSocket no longer.
    pub(in crate::shard) fn forget_probe(&mut self, conn: u32) {
        let Some(Role::Probe(probe)) = self.slots.role(conn) else { return };
        let carrier = probe.carrier;
        if self.slots.get(carrier).is_none() {
            return;
        }
        if let Some(polling) = self.polling_mut(carrier.index)
            && polling.probe == Some(conn)
        {
            (polling.probe, polling.noop_ms, polling.let_go) = (None, None, 0);
            self.metrics.upgrades_failed_total.add(1);
            // Its ping may have waited: what is due is looked at anew.
            self.wheel.set(carrier.index, Tick::at_ms(0));
        }
    }
}
