//! Sockets that lose their transport.
//!
//! A lost socket keeps its slot as a *ghost*: its name, its rooms in the topic index, nobody to send
//! to. What is said to it meanwhile stands in the shard's log. The one that had its engine's own slot
//! gets that for itself when the transport is closed. A ghost waits for its client (`recover.rs`)
//! until its time is over, others need its place, or the process ends. Contract: protocols.md
//! section 5.

use smallvec::SmallVec;

use crate::audience::Audience;
use crate::auth::Identity;
use crate::limits::{GHOSTS_MAX, RECOVERY_SWEEP, RECOVERY_SWEEP_MS};
use crate::shard::hub::Hub;
use crate::shard::role::{Ghost, Role};
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::sid::Sid;
use crate::time::Now;
use crate::topic::name_hash;

impl Hub {
    /// The transport of an engine is lost: its sockets become ghosts, where they may come back.
    pub(in crate::shard) fn lose_sockets(&mut self, carrier: u32) {
        if self.recovery.is_none() || self.gone_by.is_some() {
            return self.end_sockets(carrier);
        }
        let sockets: Vec<u32> = self.sockets_of(carrier).collect();
        for socket in sockets {
            self.lose_socket(carrier, socket);
        }
    }

    fn lose_socket(&mut self, carrier: u32, conn: u32) {
        self.forget_socket(conn);
        self.people.leave(&mut self.slots, conn);
        let identity = self.slots[conn].identity.take();
        self.metrics.connections_authenticated.sub(u64::from(identity.is_some()));
        let Some(engine) = self.engine_mut(carrier) else { return };
        engine.unfinished = None;
        engine.guests.retain(|guest| *guest != conn);
        let own = if conn == carrier { engine.socket.take() } else { None };
        let guest = match self.slots.role(conn) {
            Some(Role::Guest(_)) => self.slots.set_role(conn, None).map(|role| *role),
            _ => None,
        };
        let socket = if let Some(Role::Guest(guest)) = guest { Some(guest.socket) } else { own };
        let Some(socket) = socket else { unreachable!("it is a socket of the engine's") };
        let Self { recovery, topics, .. } = self;
        let Some(recovery) = recovery else { return };
        let number = recovery.ghosts.insert(conn, topics.subscriptions(conn));
        recovery.lost.push(conn);
        let until = Tick::NEVER;
        let ghost = Ghost { socket, identity, until, number, is_returning: false };
        if conn == carrier {
            if let Some(engine) = self.engine_mut(carrier) {
                engine.ghost = Some(Box::new(ghost));
            }
        } else {
            self.slots.set_role(conn, Some(Box::new(Role::Ghost(ghost))));
            self.slots[conn].phase = Phase::Ghost;
            self.wheel.set(conn, until);
        }
        self.metrics.socketio_sockets.sub(1);
        self.metrics.socketio_ghosts.add(1);
        self.make_room_for_ghosts();
    }

    fn make_room_for_ghosts(&mut self) {
        while let Some(recovery) = &self.recovery
            && recovery.ghosts.len() > GHOSTS_MAX
            && let Some(oldest) = recovery.ghosts.oldest()
        {
            self.forget_ghost(oldest);
        }
    }

    /// The slot of an engine that is over is given up: to the ghost that is in it, or to nobody.
    pub(in crate::shard) fn vacate(&mut self, conn: u32) {
        let ghost = self.engine_mut(conn).and_then(|engine| engine.ghost.take());
        let Some(ghost) = ghost else { return self.slots.remove(conn) };
        let until = ghost.until;
        self.slots.haunt(conn);
        self.slots.set_role(conn, Some(Box::new(Role::Ghost(*ghost))));
        self.wheel.set(conn, until);
    }

    /// The ghost that has a slot, or will have it.
    pub(in crate::shard) fn ghost(&self, conn: u32) -> Option<&Ghost> {
        match self.slots.role(conn)? {
            Role::Ghost(ghost) => Some(ghost),
            Role::Carrier(engine) => engine.ghost.as_deref(),
            Role::Guest(_) | Role::Probe(_) | Role::Forward(_) => None,
        }
    }

    pub(super) fn ghost_mut(&mut self, conn: u32) -> Option<&mut Ghost> {
        match self.slots.role_mut(conn)? {
            Role::Ghost(ghost) => Some(ghost),
            Role::Carrier(engine) => engine.ghost.as_deref_mut(),
            Role::Guest(_) | Role::Probe(_) | Role::Forward(_) => None,
        }
    }

    /// Lets a ghost go before it was come back for.
    pub(in crate::shard) fn forget_ghost(&mut self, conn: u32) {
        let Some(number) = self.ghost(conn).map(|ghost| ghost.number) else { return };
        let Self { recovery, topics, metrics, .. } = self;
        if let Some(recovery) = recovery {
            recovery.ghosts.remove(number, topics.subscriptions(conn));
        }
        metrics.socketio_ghosts.sub(1);
        metrics.ghosts_forgotten_total.add(1);
        self.leave_topics(conn);
        if let Some(engine) = self.engine_mut(conn) {
            engine.ghost = None;
            self.slots[conn].form = 0;
        } else {
            self.wheel.cancel(conn);
            self.slots.remove(conn);
        }
    }

    /// Lets all ghosts go: the process ends, and nobody comes back to it.
    pub(in crate::shard) fn forget_ghosts(&mut self) {
        let ghosts: Vec<u32> = self.recovery.iter().flat_map(|it| it.ghosts.slots()).collect();
        for ghost in ghosts {
            self.forget_ghost(ghost);
        }
    }

    /// Lets the ghosts of an audience go, which is disconnected.
    pub(in crate::shard) fn forget_ghosts_of(&mut self, of: &Audience) {
        let ghosts: Vec<u32> = self.recovery.iter().flat_map(|it| it.ghosts.slots()).collect();
        for conn in ghosts {
            let Some(ghost) = self.ghost(conn) else { continue };
            let sid = Sid::new(self.id, conn, ghost.socket.name);
            if is_of(ghost.identity.as_deref(), conn, sid, of) {
                self.forget_ghost(conn);
            }
        }
    }

    /// Acts on the end of a ghost's time.
    pub(in crate::shard) fn on_ghost_deadline(&mut self, now: Now, conn: u32) {
        let Some(until) = self.ghost(conn).map(|ghost| ghost.until) else { return };
        if until <= Tick::at_ms(now.mono_ms) {
            self.forget_ghost(conn);
        } else {
            self.wheel.set(conn, until);
        }
    }

    /// A socket has joined a room: what was said there before is not for it.
    pub(in crate::shard) fn has_joined(&mut self, conn: u32, room: &str) {
        let Some(place) = self.recovery.as_deref().map(|it| it.log.last()) else { return };
        if let Some(socket) = self.socket_mut(conn) {
            socket.joins(name_hash(room), place);
        }
    }

    /// A ping was answered: what was sent before it has arrived.
    pub(in crate::shard) fn has_arrived(&mut self, carrier: u32) {
        let place = self.engine(carrier).map_or(0, |engine| engine.pinged_at);
        if place > 0 {
            for conn in self.sockets_of(carrier).collect::<SmallVec<[u32; 4]>>() {
                if let Some(socket) = self.socket_mut(conn) {
                    socket.has_heard(place);
                }
            }
        }
    }

    /// Whether a slot is an engine's that has a socket of its own still, or its ghost.
    pub(in crate::shard) fn has_own_socket(&self, conn: u32) -> bool {
        self.engine(conn).is_some_and(|it| it.socket.is_some() || it.ghost.is_some())
    }

    /// How many are subscribed to a topic by its name and there.
    pub(in crate::shard) fn member_count(&self, name: &str) -> u64 {
        let away = self.recovery.as_deref().map_or(0, |it| it.ghosts.count_in(name));
        (self.topics.subscriber_count(name) - away) as u64
    }

    /// What time does to what is kept: the time of those who were just lost begins, and what is old
    /// is dropped.
    pub(in crate::shard) fn keep_recovery(&mut self, now: Now) {
        let Some(recovery) = &mut self.recovery else { return };
        if recovery.sweep_ms <= now.mono_ms {
            recovery.log.sweep(now.wall, RECOVERY_SWEEP);
            let in_ms = if recovery.log.has_old(now.wall) { 0 } else { RECOVERY_SWEEP_MS };
            recovery.sweep_ms = now.mono_ms + in_ms;
        }
        let lost = std::mem::take(&mut recovery.lost);
        let until = Tick::at_ms(now.mono_ms).plus_ms(recovery.ghost_ms);
        for conn in lost {
            let Some(ghost) = self.ghost_mut(conn).filter(|it| !it.is_returning) else { continue };
            ghost.until = until;
            // Until the transport is closed, the wheel stands at that.
            if self.slots[conn].phase == Phase::Ghost {
                self.wheel.set(conn, until);
            }
        }
    }
}

/// Whether a socket that was somebody belongs to an audience.
pub(super) fn is_of(identity: Option<&Identity>, conn: u32, sid: Sid, of: &Audience) -> bool {
    match of {
        Audience::Everyone => true,
        Audience::Tenant(tenant) => identity.is_some_and(|it| it.tenant() == Some(tenant)),
        Audience::User { tenant, user } => {
            identity.is_some_and(|it| it.user_id() == &**user && it.tenant() == tenant.as_deref())
        }
        Audience::Connection(key) => key.index == conn,
        Audience::Socket(name) => *name == sid,
    }
}
