//! The heartbeat, and what else time does to an engine.
//!
//! The server pings at every interval, whatever else is sent: the stock client gives up when a ping
//! does not come. Deadlines are judged to the millisecond by whatever happens next, and by the wheel
//! at the latest, which is a tick late at most.

use crate::close::Close;
use crate::limits::TICK_MS;
use crate::polling::HttpReply;
use crate::shard::hub::Hub;
use crate::shard::role::{Beat, Role, Transport};
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::wire::engineio::Packet;

use super::polling::NOOP;

impl Hub {
    /// Whether the pong of a session should have come by now.
    pub(super) fn is_overdue(&self, now: Now, conn: u32) -> bool {
        self.engine(conn).is_some_and(|it| it.beat.pinged && it.beat.due_ms <= now.mono_ms)
    }

    /// Takes a pong. One that nobody asked for is nothing.
    pub(super) fn on_pong(&mut self, now: Now, conn: u32) {
        let (interval, timeout) = self.beat_ms();
        let Some(engine) = self.engine_mut(conn) else { return };
        if !engine.beat.pinged {
            return;
        }
        let pinged_ms = engine.beat.due_ms.saturating_sub(timeout);
        // Counted from when this one was due: they would come later and later else, by up to a tick.
        let due_ms = (pinged_ms + interval).max(now.mono_ms);
        engine.beat = Beat { due_ms, pinged: false };
        self.has_arrived(conn);
        self.metrics.pongs_total.add(1);
        self.metrics.pong_wait_ms_total.add(now.mono_ms.saturating_sub(pinged_ms));
        // The wheel stands at the pong's time limit; the next ping may be due before.
        self.rearm(now, conn);
    }

    fn beat_ms(&self) -> (u64, u64) {
        (self.policy.socketio.ping_interval_ms, self.policy.socketio.ping_timeout_ms)
    }

    /// When something is to be done for a slot of this dialect, its drain and token apart.
    pub(in crate::shard) fn engine_deadline(&self, conn: u32) -> Tick {
        let policy = &self.policy.socketio;
        match self.slots.role(conn) {
            Some(Role::Carrier(engine)) => {
                let mut due = match &engine.transport {
                    // Its ping waits for the WebSocket to have taken over, or not.
                    Transport::Polling(polling) if self.is_probed(polling.probe) => {
                        polling.noop_ms.map_or(Tick::NEVER, Tick::not_before_ms)
                    }
                    _ => Tick::not_before_ms(engine.beat.due_ms),
                };
                if let Some((_, at_ms)) = engine.leaving {
                    due = due.min(Tick::not_before_ms(at_ms));
                }
                if engine.known == 0 && !self.is_engine_only(conn) {
                    due = due.min(self.connect_by(conn));
                }
                due.min(self.socket_deadline(conn))
            }
            Some(Role::Probe(_)) => self.slots[conn].opened.plus_ms(policy.upgrade_ms),
            Some(Role::Guest(_)) => self.socket_deadline(conn),
            Some(Role::Ghost(ghost)) => ghost.until,
            Some(Role::Forward(_)) | None => Tick::NEVER,
        }
    }

    /// Acts on such a deadline.
    pub(in crate::shard) fn on_engine_deadline(&mut self, now: Now, conn: u32) {
        match self.slots.role(conn) {
            Some(Role::Carrier(_)) => self.on_carrier_deadline(now, conn),
            Some(Role::Probe(_)) => {
                let by = self.slots[conn].opened.plus_ms(self.policy.socketio.upgrade_ms);
                if by <= Tick::at_ms(now.mono_ms) {
                    self.fail_probe(now, conn);
                }
            }
            Some(Role::Guest(_)) => self.on_socket_deadline(now, conn),
            Some(Role::Ghost(_)) => self.on_ghost_deadline(now, conn),
            Some(Role::Forward(_)) | None => {}
        }
    }

    fn on_carrier_deadline(&mut self, now: Now, conn: u32) {
        let (_, timeout) = self.beat_ms();
        let tick = Tick::at_ms(now.mono_ms);
        let connect_by = self.connect_by(conn);
        let Some(engine) = self.engine(conn) else { return };
        let (beat, known) = (engine.beat, engine.known);
        if let Some((close, _)) = engine.leaving.filter(|(_, at_ms)| *at_ms <= now.mono_ms) {
            return self.begin_close(now, conn, close);
        }
        let (mut is_probed, mut noop_ms) = (false, None);
        if let Transport::Polling(polling) = &engine.transport {
            (is_probed, noop_ms) = (self.is_probed(polling.probe), polling.noop_ms);
        }
        if known == 0 && !self.is_engine_only(conn) && connect_by <= tick {
            return self.begin_close(now, conn, Close::ConnectDeadline);
        }
        if is_probed {
            if noop_ms.is_some_and(|at| at <= now.mono_ms) {
                self.answer_poll(conn, HttpReply::Body(NOOP.into()));
            }
        } else if beat.due_ms <= now.mono_ms {
            if beat.pinged {
                return self.begin_close(now, conn, Close::PingTimeout);
            }
            // Counted from when it was due, but that a stall of ours is not the client's.
            let since_ms = beat.due_ms.max(now.mono_ms.saturating_sub(2 * TICK_MS));
            let pinged_at = self.recovery.as_deref().map_or(0, |it| it.log.last());
            if let Some(engine) = self.engine_mut(conn) {
                engine.beat = Beat { due_ms: since_ms + timeout, pinged: true };
                engine.pinged_at = pinged_at;
            }
            self.queue_engine(conn, &Packet::Ping(""));
        }
        if self.slots[conn].phase == Phase::Open {
            self.on_socket_deadline(now, conn);
        }
    }

    /// By when an engine must have connected a namespace: not before its time is over, though the
    /// tick that it was opened in had begun earlier.
    fn connect_by(&self, conn: u32) -> Tick {
        self.slots[conn].opened.plus_ms(self.policy.socketio.connect_ms + TICK_MS)
    }

    /// Whether nothing but Engine.IO is spoken on a connection.
    pub(super) fn is_engine_only(&self, conn: u32) -> bool {
        self.policy.endpoints[usize::from(self.slots[conn].endpoint)].engine_only
    }

    /// Whether this slot, if it is one, is a WebSocket that has been tried and may take over.
    pub(super) fn is_probed(&self, probe: Option<u32>) -> bool {
        let role = probe.and_then(|conn| self.slots.role(conn));
        matches!(role, Some(Role::Probe(probe)) if probe.probed)
    }
}
