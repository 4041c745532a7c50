//! What time does to a connection: pings, the authentication deadline, the token's end, the drain.
//!
//! A connection has one entry in the timer wheel, set to the nearest of its deadlines. Signs of
//! life only write the time down; when the entry fires too early for that, it is set anew. So a
//! busy connection costs the wheel one step an interval and nothing a message.

use crate::auth::Verifier;
use crate::close::Close;
use crate::limits::{DEADLINES_PER_TURN_MAX, HISTORIES_PER_SWEEP, TICK_MS};
use crate::shard::asking::Waiting;
use crate::shard::ends::End;
use crate::shard::hub::Hub;
use crate::shard::outbox::Port;
use crate::shard::session::Notice;
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::wire::frame::OpCode;

impl Hub {
    /// Acts on the deadlines that have come, so many at most; the rest are due at once again.
    pub(super) fn advance(&mut self, now: Now, port: &mut impl Port) {
        let mut fired = std::mem::take(&mut self.fired);
        let all = self.wheel.advance(Tick::at_ms(now.mono_ms), DEADLINES_PER_TURN_MAX, &mut fired);
        self.metrics.deadlines_deferred_total.add(u64::from(!all));
        for conn in fired.drain(..) {
            self.on_deadline(now, conn);
            if self.outbox.is_full() {
                self.flush(now, port);
            }
        }
        self.fired = fired;
        self.history.sweep(now, HISTORIES_PER_SWEEP);
    }

    /// Begins to drain: each connection is told to go at a time of its own.
    pub(super) fn drain(&mut self, now: Now, told_by_ms: u64, gone_by_ms: u64) {
        let gone_by = Tick::not_before_ms(gone_by_ms);
        self.gone_by = Some(gone_by);
        self.forget_ghosts();
        let spread = told_by_ms.saturating_sub(now.mono_ms).max(1);
        for conn in self.slots.indices() {
            let after_ms = self.draw() % spread;
            let slot = &mut self.slots[conn];
            slot.go_by = Some(match slot.go_by {
                Some(by) if slot.phase != Phase::Open => by.min(gone_by),
                _ => Tick::not_before_ms(now.mono_ms + after_ms),
            });
            self.rearm(now, conn);
        }
    }

    /// Sets the wheel to the connection's nearest deadline.
    pub(super) fn rearm(&mut self, now: Now, conn: u32) {
        if self.slots[conn].phase == Phase::Free {
            // A further Socket.IO socket that ended meanwhile.
            return;
        }
        let due = self.deadline(now, conn);
        self.wheel.set(conn, due);
    }

    fn deadline(&self, now: Now, conn: u32) -> Tick {
        let slot = &self.slots[conn];
        let go_by = slot.go_by.unwrap_or(Tick::NEVER);
        match slot.phase {
            Phase::Open => {}
            // Guests and ghosts drain with those they are on, or were.
            Phase::Probing | Phase::Ghost => return self.engine_deadline(conn),
            Phase::Guest => {
                let token = self.token_left_ms(now, conn).map_or(Tick::NEVER, |left_ms| {
                    Tick::not_before_ms(now.mono_ms.saturating_add(left_ms))
                });
                return token.min(self.engine_deadline(conn));
            }
            _ => return go_by,
        }
        let silence =
            if slot.ping_sent { self.policy.ping_timeout_ms } else { self.policy.ping_interval_ms };
        // Who waits for a webhook is not read, and cannot be found silent.
        let waits = slot.waiting().map(Waiting::give_up_at);
        let mut due = go_by.min(waits.unwrap_or(slot.heard.plus_ms(silence)));
        if self.slots.role(conn).is_some() {
            due = go_by.min(waits.unwrap_or(Tick::NEVER)).min(self.engine_deadline(conn));
        }
        if let Some(left_ms) = self.token_left_ms(now, conn) {
            due = due.min(Tick::not_before_ms(now.mono_ms.saturating_add(left_ms)));
        }
        if self.awaits_authentication(conn) && self.slots.role(conn).is_none() {
            due = due.min(slot.opened.plus_ms(self.policy.auth_deadline_ms));
        }
        due
    }

    /// When the wheel must have come to the connection at the latest.
    pub(super) fn latest_wake(&self, now: Now, conn: u32) -> Tick {
        self.deadline(now, conn).max(Tick::at_ms(now.mono_ms + TICK_MS))
    }

    /// Whether the connection may do nothing yet.
    pub(super) fn awaits_authentication(&self, conn: u32) -> bool {
        let slot = &self.slots[conn];
        slot.identity.is_none()
            && self.policy.endpoints[usize::from(slot.endpoint)].require_authentication
    }

    /// Milliseconds until the connection's token is over, leeway included.
    pub(super) fn token_left_ms(&self, now: Now, conn: u32) -> Option<u64> {
        let expires_s = self.slots[conn].identity.as_ref()?.expires_at_s()?;
        let leeway_s = self.policy.verifier.as_ref().map_or(0, Verifier::leeway_s);
        let over_ms = expires_s.saturating_add(leeway_s).saturating_mul(1000);
        Some(over_ms.saturating_sub(now.wall.0))
    }

    fn on_deadline(&mut self, now: Now, conn: u32) {
        let tick = Tick::at_ms(now.mono_ms);
        let slot = &self.slots[conn];
        let go = slot.go_by.is_some_and(|by| by <= tick);
        match slot.phase {
            Phase::Free => return,
            Phase::Open if go => self.begin_close(now, conn, Close::Shutdown),
            Phase::Open => self.on_open_deadline(now, tick, conn),
            Phase::Probing | Phase::Guest | Phase::Ghost => self.on_engine_deadline(now, conn),
            _ if go => {
                self.end_soon(conn, End::Cut);
                return;
            }
            Phase::Closing | Phase::Failing | Phase::Leaving | Phase::Finishing | Phase::Gone => {}
        }
        self.rearm(now, conn);
    }

    fn on_open_deadline(&mut self, now: Now, tick: Tick, conn: u32) {
        let slot = &self.slots[conn];
        let (heard, opened, ping_sent) = (slot.heard, slot.opened, slot.ping_sent);
        let waits = slot.waiting().map(Waiting::give_up_at);
        if self.token_left_ms(now, conn) == Some(0) {
            self.tell(now, conn, Notice::AuthExpired);
            self.begin_close(now, conn, Close::TokenExpired);
        } else if self.slots.role(conn).is_some() {
            if waits.is_some_and(|give_up_at| give_up_at <= tick) {
                self.give_up_answers(conn);
            }
            self.on_engine_deadline(now, conn);
        } else if self.awaits_authentication(conn)
            && opened.plus_ms(self.policy.auth_deadline_ms) <= tick
        {
            self.begin_close(now, conn, Close::AuthDeadline);
        } else if let Some(give_up_at) = waits {
            if give_up_at <= tick {
                self.give_up_answers(conn);
            }
        } else if heard.plus_ms(self.policy.ping_timeout_ms) <= tick {
            self.begin_close(now, conn, Close::PingTimeout);
        } else if !ping_sent && heard.plus_ms(self.policy.ping_interval_ms) <= tick {
            self.slots[conn].ping_sent = true;
            self.queue_frame(conn, OpCode::Ping, |_| {});
        }
    }

    /// A number that need not be secret.
    pub(super) fn draw(&mut self) -> u64 {
        // splitmix64: full period, any seed.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}
