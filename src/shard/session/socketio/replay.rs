//! What a socket that is come back for hears: what it missed, then that it is connected.
//!
//! In slices, by places looked at and by room in the engine's outbox. Until it has caught up with the
//! log the socket stays a ghost, so that what is said meanwhile is read there too and nothing comes
//! out of order. Contract: protocols.md section 5.

use crate::audience::Audience;
use crate::auth::Verdict;
use crate::config::Action;
use crate::limits::{REPLAY_MESSAGES, REPLAY_PLACES, RETURNS_PER_TURN, TICK_MS};
use crate::shard::hub::Hub;
use crate::shard::outbox::Port;
use crate::shard::recovery::{At, Return, To};
use crate::shard::role::{Guest, Namespace, Role, Socket};
use crate::shard::session::{is_own_notification, verdict};
use crate::shard::slot::Phase;
use crate::sid::Sid;
use crate::time::Now;
use crate::topic::{Pattern, name_hash};

use super::lost::is_of;

/// Entries of the log that are passed over in the time of a delivery.
const PLACES_A_STEP: u64 = 16;

/// What a slice of a replay came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Slice {
    /// There is more to be done at once.
    More,
    /// It waits for room.
    Waits,
    /// All was heard.
    CaughtUp,
    /// What was missed is not there any more, or the socket is not.
    Failed,
    /// Nobody awaits it any more.
    Abandoned,
}

impl Hub {
    /// When recovery has something to do, in monotonic milliseconds.
    pub(in crate::shard) fn recovery_due_ms(&self) -> Option<u64> {
        let recovery = self.recovery.as_deref()?;
        let lost = (!recovery.lost.is_empty()).then_some(0);
        let returns = (!recovery.returns.is_empty()).then_some(recovery.due_ms);
        let sweep = (!recovery.log.is_empty()).then_some(recovery.sweep_ms);
        [lost, returns, sweep].into_iter().flatten().min()
    }

    /// Goes on with those who come back, each a slice.
    pub(in crate::shard) fn go_on_returns(&mut self, now: Now, port: &mut impl Port) {
        let Some(recovery) = &self.recovery else { return };
        if recovery.returns.is_empty() || recovery.due_ms > now.mono_ms {
            return;
        }
        let steps_max = self.steps().saturating_add(self.policy.read_steps_max);
        let all = recovery.returns.len();
        let (mut is_more, mut looked_at) = (false, 0);
        while looked_at < all.min(RETURNS_PER_TURN) && self.steps() <= steps_max {
            let Some(mut it) = self.recovery.as_mut().and_then(|it| it.returns.pop_front()) else {
                break;
            };
            looked_at += 1;
            let slice = self.go_on_return(now, &mut it);
            is_more |= slice == Slice::More;
            match slice {
                Slice::CaughtUp => self.rejoin(now, it),
                Slice::Failed => self.begin_instead(now, it),
                Slice::Abandoned => self.let_wait(&it),
                Slice::More | Slice::Waits => {
                    if let Some(recovery) = &mut self.recovery {
                        recovery.returns.push_back(it);
                    }
                }
            }
            if self.outbox.is_full() {
                self.flush(now, port);
            }
        }
        if let Some(recovery) = &mut self.recovery {
            let in_ms = if is_more || looked_at < all { 0 } else { TICK_MS };
            recovery.due_ms = now.mono_ms + in_ms;
        }
    }

    fn go_on_return(&mut self, now: Now, it: &mut Return) -> Slice {
        let conn = it.socket;
        let is_its = self.ghost(conn).is_some_and(|ghost| ghost.number == it.number);
        if !self.is_wanted(it) {
            return Slice::Abandoned;
        }
        if !is_its {
            return Slice::Failed;
        }
        if self.slots[conn].phase != Phase::Ghost {
            // Soon: it is among those that are ended some in a turn.
            return Slice::More;
        }
        if it.rooms.is_none() {
            it.rooms = Some(self.judge_rooms(now, it));
        }
        let bytes_max = self.policy.outbox.bytes_max / 4;
        let backlog = self.slots[it.carrier.index].backlog.as_deref();
        if backlog.is_some_and(|backlog| backlog.bytes() > bytes_max) {
            return Slice::Waits;
        }
        self.replay(it, bytes_max)
    }

    /// Judges the rooms of a socket anew, as those of who it is now, and leaves those that are not
    /// allowed; gives the hashes of the others, in order.
    fn judge_rooms(&mut self, now: Now, it: &mut Return) -> Vec<u64> {
        let conn = it.socket;
        let endpoint = self.slots[it.carrier.index].endpoint;
        self.slots[conn].endpoint = endpoint;
        self.slots[conn].identity = it.identity.take();
        let Self { topics, slots, policy, interest, asking, recovery, metrics, .. } = self;
        let slot = &slots[conn];
        let may_stay = |name: &str| {
            let pattern = Pattern::checked(name);
            let is_allowed = match verdict(policy, slot, Action::Subscribe, pattern) {
                Verdict::Allow => true,
                // It was asked when that was granted.
                Verdict::Ask => {
                    asking.remembered(now, slot, Action::Subscribe, pattern) != Some(false)
                }
                Verdict::Deny => false,
            };
            is_allowed || is_own_notification(policy, slot, name)
        };
        topics.retain(conn, may_stay, |removed| {
            if removed.last {
                interest.remove(Pattern::checked(removed.pattern));
            }
            if let Some(recovery) = recovery {
                recovery.ghosts.leave(removed.pattern);
            }
            metrics.subscriptions.sub(1);
        });
        let mut rooms: Vec<u64> = topics.subscriptions(conn).map(name_hash).collect();
        rooms.sort_unstable();
        it.identity = self.slots[conn].identity.take();
        self.count_topics();
        rooms
    }

    /// Whether the client of an engine still awaits a socket on it.
    fn is_wanted(&self, it: &Return) -> bool {
        let engine =
            if self.slots.holds(it.carrier) { self.engine(it.carrier.index) } else { None };
        engine.is_some_and(|engine| engine.returning & it.namespace.bit() != 0)
            && self.slots[it.carrier.index].phase == Phase::Open
    }

    /// Queues some of what a socket has missed.
    fn replay(&mut self, it: &mut Return, bytes_max: usize) -> Slice {
        let Self { recovery, topics, slots, encoder, outbox, policy, metrics, id, .. } = self;
        let (conn, carrier) = (it.socket, it.carrier.index);
        let (Some(recovery), Some(Role::Ghost(ghost))) = (recovery, slots.role(conn)) else {
            return Slice::Failed;
        };
        let log = &recovery.log;
        let sid = Sid::new(*id, conn, ghost.socket.name);
        let (lane, form) = (slots[carrier].lane, slots[conn].form);
        let rooms = it.rooms.as_deref().unwrap_or_default();
        let (mut looked_at, mut told, mut bytes) = (0, 0, 0);
        let mut ranges = Vec::new();
        let slice = loop {
            if looked_at == REPLAY_PLACES || told == REPLAY_MESSAGES || bytes > bytes_max {
                break Slice::More;
            }
            let place = it.heard + 1;
            let entry = match log.at(place) {
                At::Entry(entry) => entry,
                At::Next => break Slice::CaughtUp,
                At::Lost => break Slice::Failed,
            };
            it.heard = place;
            looked_at += 1;
            let is_for = match &entry.to {
                _ if entry.skip == Some(conn) => false,
                To::Topic => {
                    rooms.binary_search(&entry.topic_hash).is_ok()
                        && ghost.socket.was_in(entry.topic_hash, place)
                        && topics.is_subscribed(conn, entry.message.publication().topic)
                }
                To::Audience(of) => is_told(it, sid, of),
            };
            if is_for {
                let (at, publication) = ((lane, form), entry.message.publication());
                let offset = || Some(log.offset(place));
                ranges.push(encoder.encode(outbox, at, &publication, policy, offset));
                told += 1;
                bytes += entry.message.bytes();
            }
        };
        let slot = &mut slots[carrier];
        for range in ranges {
            outbox.queue(carrier, &mut slot.pending, range);
        }
        metrics.deliveries_total.add(told);
        self.looked_at += looked_at / PLACES_A_STEP;
        slice
    }

    /// A socket has heard what it missed: it is one of the engine that it came back on.
    fn rejoin(&mut self, now: Now, it: Return) {
        let (conn, carrier) = (it.socket, it.carrier.index);
        let Self { recovery, topics, slots, .. } = self;
        let Some(Role::Ghost(ghost)) = slots.set_role(conn, None).map(|role| *role) else { return };
        if let Some(recovery) = recovery {
            recovery.ghosts.remove(ghost.number, topics.subscriptions(conn));
        }
        let socket = Socket { token: it.token, ..ghost.socket };
        let guest = Role::Guest(Guest { carrier, socket });
        slots.set_role(conn, Some(Box::new(guest)));
        let at = &slots[carrier];
        let (lane, address, origin) = (at.lane, at.address, at.origin);
        let slot = &mut slots[conn];
        (slot.lane, slot.address, slot.origin) = (lane, address, origin);
        slot.phase = Phase::Guest;
        if let Some(engine) = self.engine_mut(carrier) {
            engine.guests.push(conn);
            engine.returning &= !it.namespace.bit();
            // The ping that may be on its way went before what was heard now.
            engine.pinged_at = 0;
        }
        self.metrics.socketio_ghosts.sub(1);
        self.metrics.socketio_sockets.add(1);
        self.metrics.recovered_total.add(1);
        self.become_somebody(conn, it.identity.map(|identity| *identity));
        self.tell_connected(now, conn);
    }

    /// Gives a client a new socket, for the one that it came back for is gone.
    fn begin_instead(&mut self, now: Now, it: Return) {
        let (carrier, identity) = (it.carrier.index, it.identity.map(|identity| *identity));
        if self.ghost(it.socket).is_some_and(|ghost| ghost.number == it.number) {
            self.forget_ghost(it.socket);
        }
        if let Some(engine) = self.engine_mut(carrier) {
            engine.returning &= !it.namespace.bit();
        }
        self.metrics.recovery_failed_total.add(1);
        self.begin_socket(now, carrier, it.namespace, identity, it.token.as_deref());
    }

    /// Who came back for a socket is gone again: the socket waits anew. It ends where its client says
    /// so.
    fn let_wait(&mut self, it: &Return) {
        let conn = it.socket;
        let is_open =
            self.slots.holds(it.carrier) && self.slots[it.carrier.index].phase == Phase::Open;
        let Self { recovery: Some(recovery), slots, .. } = self else { return };
        let ghost = match slots.role_mut(conn) {
            Some(Role::Ghost(ghost)) => ghost,
            Some(Role::Carrier(engine)) => match engine.ghost.as_deref_mut() {
                Some(ghost) => ghost,
                None => return,
            },
            _ => return,
        };
        if ghost.number != it.number {
            return;
        }
        if is_open {
            return self.forget_ghost(conn);
        }
        ghost.is_returning = false;
        ghost.number = recovery.ghosts.renew(ghost.number);
        recovery.lost.push(conn);
    }
}

/// Whether a socket is told what an audience was, as who it is now.
fn is_told(it: &Return, sid: Sid, of: &Audience) -> bool {
    let identity = it.identity.as_deref();
    let may = match it.namespace {
        Namespace::Rooms => true,
        Namespace::Gateway => identity.is_some() && !matches!(of, Audience::Socket(_)),
        Namespace::Conformance(_) => false,
    };
    may && is_of(identity, it.socket, sid, of)
}
