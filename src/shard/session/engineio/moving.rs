//! How a session goes to the shard that has the socket which its client comes back for.
//!
//! The transport goes to the socket, never the socket to the transport: names, places in the log and
//! subscriptions stay true. It goes once, before anything but its handshake was said: otherwise its
//! client gets a new socket where it is. A WebSocket is brought by whoever drives the shards; a
//! polling session goes by mail, and its old slot passes on what requests still bring there, by
//! mail too, so that nothing overtakes it. Contract: protocols.md section 5.

use std::net::IpAddr;

use crate::close::Close;
use crate::connection::{Address, ConnKey};
use crate::mail::{Delivery, Mail, Receipt, Request};
use crate::moving::Moving;
use crate::origin::OriginMark;
use crate::polling::Asked;
use crate::shard::Shard;
use crate::shard::encoder::POLLING;
use crate::shard::hub::Hub;
use crate::shard::recovery::{Connects, Departure};
use crate::shard::role::{Engine, Forward, Home, Namespace, Role, Transport};
use crate::shard::slot::{Phase, Slot};
use crate::shard::timers::Tick;
use crate::sid::Sid;
use crate::time::Now;

/// A WebSocket that goes to another shard, with its session.
#[derive(Debug)]
pub struct Leaving {
    /// Its slot of before, which is nobody's now.
    pub key: ConnKey,
    /// The shard.
    pub to: u8,
    /// Its client's address, which stays counted in.
    pub address: IpAddr,
    /// The session, to be given to [`Shard::arrived`] there.
    pub session: Moving,
}

/// A session as it is moved.
struct Moved {
    engine: Engine,
    endpoint: u8,
    lane: u8,
    compression: bool,
    address: IpAddr,
    origin: OriginMark,
    opened: Tick,
    connects: Connects,
}

impl Shard {
    /// A WebSocket that is to go to another shard now, with what was read of it and not taken; to be
    /// taken until there is none, behind each flush. Who can go no longer is answered here.
    pub fn leaving(&mut self, now: Now) -> Option<Leaving> {
        let leaving = self.hub.leaving(now);
        self.hub.post.flush();
        leaving
    }

    /// Whether [`Shard::leaving`] has something to do.
    pub fn has_departures(&self) -> bool {
        self.hub.recovery.as_deref().is_some_and(|it| !it.departures.is_empty())
    }

    /// Takes in the session of a WebSocket that came from another shard.
    pub fn arrived(&mut self, now: Now, session: Moving) -> ConnKey {
        self.hub.move_in(now, session)
    }

    /// The shard that a session of this one has moved to.
    pub fn moved_to(&self, sid: Sid) -> Option<u8> {
        self.hub.moved_to(sid)
    }
}

impl Hub {
    /// Has a session go to a shard, if it may; there its client's CONNECT is answered.
    pub(in crate::shard) fn depart(
        &mut self,
        conn: u32,
        to: u8,
        namespace: Namespace,
        auth: Option<&str>,
    ) -> bool {
        let may_go = to < self.shards && to != self.id && self.may_move(conn);
        let is_idle = self.engine(conn).is_some_and(|engine| engine.returning == 0);
        let key = self.slots.key(conn);
        let Some(recovery) = self.recovery.as_deref_mut().filter(|_| may_go && is_idle) else {
            return false;
        };
        recovery.departures.push(Departure { key, to, connects: Vec::new() });
        self.departs_too(conn, namespace, auth)
    }

    /// Whether a session is to go to another shard: then this CONNECT of its client's is answered
    /// there as well.
    pub(in crate::shard) fn departs_too(
        &mut self,
        conn: u32,
        namespace: Namespace,
        auth: Option<&str>,
    ) -> bool {
        let key = self.slots.key(conn);
        let departures = self.recovery.iter_mut().flat_map(|it| &mut it.departures);
        let Some(departure) = departures.into_iter().find(|it| it.key == key) else {
            return false;
        };
        departure.connects.push((namespace, auth.map(Into::into)));
        if let Some(engine) = self.engine_mut(conn) {
            engine.known |= namespace.bit();
            engine.returning |= namespace.bit();
        }
        true
    }

    /// Whether nothing holds a session here: no socket, nothing unfinished, nothing that waits.
    fn may_move(&self, conn: u32) -> bool {
        let slot = &self.slots[conn];
        let Some(engine) = self.engine(conn) else { return false };
        let has_sockets = engine.socket.is_some() || !engine.guests.is_empty();
        slot.phase == Phase::Open
            && !has_sockets
            && !engine.has_moved
            && (engine.unfinished.is_none() && engine.ghost.is_none() && engine.leaving.is_none())
            && (slot.backlog.is_none() && slot.aside.is_none())
    }

    /// Whether a session is to wait for its departure: for a flush, for the rest of a frame, or for a
    /// WebSocket that is about to take over, and goes along then.
    fn is_delayed(&self, conn: u32) -> bool {
        let slot = &self.slots[conn];
        let has_probe = self.engine(conn).is_some_and(|engine| match &engine.transport {
            Transport::Polling(polling) => polling.probe.is_some(),
            Transport::WebSocket => false,
        });
        has_probe || !slot.pending.is_empty() || slot.partial.is_some()
    }

    fn leaving(&mut self, now: Now) -> Option<Leaving> {
        let departures = std::mem::take(&mut self.recovery.as_deref_mut()?.departures);
        let mut departures = departures.into_iter();
        let (mut leaving, mut later) = (None, Vec::new());
        for departure in departures.by_ref() {
            let Departure { key, .. } = departure;
            if !self.slots.holds(key) || self.slots[key.index].phase != Phase::Open {
                continue;
            }
            if self.is_delayed(key.index) {
                later.push(departure);
            } else if let Some(found) = self.leave(now, departure) {
                leaving = Some(found);
                break;
            }
        }
        later.extend(departures);
        self.recovery.as_deref_mut()?.departures = later;
        leaving
    }

    /// Has one go, or stay where that has become impossible.
    fn leave(&mut self, now: Now, departure: Departure) -> Option<Leaving> {
        let Departure { key, to, mut connects } = departure;
        let conn = key.index;
        let may_move = self.may_move(conn);
        let engine = self.engine_mut(conn)?;
        // But those that its client took back.
        connects.retain(|(namespace, _)| engine.returning & namespace.bit() != 0);
        engine.returning = 0;
        if !may_move || connects.is_empty() {
            self.connect_all(now, key, &connects);
            return None;
        }
        let is_polling = self.slots[conn].lane == POLLING;
        let role = self.slots.set_role(conn, None).map(|role| *role);
        let Some(Role::Carrier(engine)) = role else { return None };
        self.count_out(&engine);
        self.wheel.cancel(conn);
        self.operators.forget(key);
        let secret = engine.secret;
        let slot = self.slots.move_out(conn, is_polling);
        let Slot { endpoint, lane, compression, address, origin, opened, .. } = slot;
        let mut moved =
            Moved { engine, endpoint, lane, compression, address, origin, opened, connects };
        if !is_polling {
            let session = Moving::new(moved);
            return Some(Leaving { key, to, address, session });
        }
        let forward = Role::Forward(Forward { secret, to });
        self.slots.set_role(conn, Some(Box::new(forward)));
        self.wheel.set(conn, Tick::NEVER);
        let at = Address { shard: self.id, conn: self.slots.key(conn) };
        moved.engine.home = Some(Box::new(Home { at, sid: Sid::new(self.id, conn, secret) }));
        self.send(to, Delivery::Moved { session: Moving::new(moved) });
        None
    }

    /// Answers CONNECT packets of a session that goes nowhere, or no further.
    fn connect_all(&mut self, now: Now, key: ConnKey, connects: &Connects) {
        for (namespace, auth) in connects {
            if self.slots.holds(key) && self.slots[key.index].phase == Phase::Open {
                self.connect_as(now, key.index, *namespace, auth.as_deref(), false);
            }
        }
    }

    /// A session is counted here no longer.
    fn count_out(&mut self, engine: &Engine) {
        self.metrics.engines.sub(1);
        self.metrics.connections.sub(1);
        self.metrics.connections_ended_total.add(1);
        self.metrics.engines_moved_total.add(1);
        if let Transport::Polling(polling) = &engine.transport {
            self.metrics.engines_polling.sub(1);
            self.metrics.polls_waiting.sub(u64::from(polling.poll.is_some()));
            self.input_bytes -= polling.input.as_ref().map_or(0, |input| input.body.len());
        }
    }

    /// Takes in a session that came from another shard, and answers its client's CONNECT.
    pub(in crate::shard) fn move_in(&mut self, now: Now, session: Moving) -> ConnKey {
        let moved: Moved = session.open();
        let slot = Slot {
            compression: moved.compression,
            origin: moved.origin,
            ..Slot::open(moved.endpoint, moved.lane, moved.address, moved.opened)
        };
        let Moved { mut engine, connects, .. } = moved;
        let (mut polls, mut has_input) = (false, false);
        self.metrics.engines.add(1);
        self.metrics.connections.add(1);
        self.metrics.connections_opened_total.add(1);
        if let Transport::Polling(polling) = &engine.transport {
            polls = polling.poll.is_some();
            has_input = polling.input.is_some();
            self.metrics.engines_polling.add(1);
            self.metrics.polls_waiting.add(u64::from(polls));
            self.input_bytes += polling.input.as_ref().map_or(0, |input| input.body.len());
        }
        engine.has_moved = true;
        let home = engine.home.as_deref().copied();
        let key = self.slots.insert(slot);
        self.slots.set_role(key.index, Some(Box::new(Role::Carrier(engine))));
        if let (Some(home), Some(recovery)) = (home, &mut self.recovery) {
            recovery.came.insert(home.sid, key.index);
        }
        if has_input {
            self.inputs.push_back(key);
        }
        if polls {
            self.outbox.mark_dirty(key.index);
        }
        self.rearm(now, key.index);
        if let Some(gone_by) = self.gone_by {
            self.begin_close(now, key.index, Close::Shutdown);
            self.slots[key.index].go_by = Some(gone_by);
            self.rearm(now, key.index);
        } else {
            self.connect_all(now, key, &connects);
        }
        key
    }

    /// The slot of a session's engine, here.
    pub(in crate::shard) fn engine_called(&self, sid: Sid) -> Option<u32> {
        if sid.shard() == self.id {
            return self.slots.engine_of(sid).map(|_| sid.place());
        }
        self.recovery.as_deref()?.came.get(&sid).copied()
    }

    pub(super) fn moved_to(&self, sid: Sid) -> Option<u8> {
        match self.slots.role(sid.place()) {
            Some(Role::Forward(forward))
                if sid.shard() == self.id && forward.secret == sid.secret() =>
            {
                Some(forward.to)
            }
            _ => None,
        }
    }

    /// Passes a request on to the shard that a session has moved to. One that came by mail makes one
    /// mail more, once.
    pub(in crate::shard) fn pass_on(&mut self, to: u8, sid: Sid, asked: Asked, answer: Receipt) {
        if let Asked::Post(body) = asked {
            self.metrics.mails_sent_total.add(1);
            self.post.send(to, Mail::Request(Request::Post { sid, body, answer }));
        } else {
            self.send(to, Delivery::Http { sid, asked, answer });
        }
    }

    /// A session that came from another shard is over: its slot there is given up.
    pub(in crate::shard) fn forget_home(&mut self, conn: u32) {
        let home = self.engine_mut(conn).and_then(|engine| engine.home.take());
        if let Some(Home { at, sid }) = home.as_deref().copied() {
            if let Some(recovery) = &mut self.recovery {
                recovery.came.remove(&sid);
            }
            self.send(at.shard, Delivery::Forgotten { place: at.conn });
        }
    }

    /// A session that went to another shard is over there.
    pub(in crate::shard) fn on_forgotten(&mut self, place: ConnKey) {
        if self.slots.holds(place) && matches!(self.slots.role(place.index), Some(Role::Forward(_)))
        {
            self.wheel.cancel(place.index);
            self.slots.remove(place.index);
        }
    }
}
