//! Sockets that come to a shard: from its own HTTP, or from another shard's.
//! Each gets its slot, and what came behind its handshake is read first.

use super::Local;
use crate::connection::ConnKey;
use crate::node::clock;
use crate::node::crossings::{Crossing, Errand};
use crate::node::sockets::{Sockets, Wire};
use crate::shard::{Arrival, Leaving, Shard};
use crate::sid::Sid;
use crate::time::Now;

impl Local {
    /// Takes in a connection whose handshake is done, with bytes that came behind it.
    pub(in crate::node) fn admit(&self, arrival: Arrival, wire: Wire, early: Vec<u8>) {
        let now = clock::now();
        let shard = &mut *self.shard.borrow_mut();
        let sockets = &mut *self.sockets.borrow_mut();
        let ready = &mut *self.ready.borrow_mut();
        let key = shard.open(now, arrival);
        seat(shard, sockets, ready, now, key, wire, early);
        self.wake.notify_one();
    }

    /// Takes in a WebSocket that is to take over from a polling session, or brings it to the shard
    /// that has that. It is closed where too many are on their way there.
    pub(in crate::node) fn bring(&self, sid: Sid, arrival: Arrival, wire: Wire, early: Vec<u8>) {
        let crossing = Crossing { errand: Errand::TakeOver { sid, arrival }, wire, early };
        if sid.shard() != self.id {
            return self.pass(sid.shard(), crossing);
        }
        let shard = &mut *self.shard.borrow_mut();
        let sockets = &mut *self.sockets.borrow_mut();
        let ready = &mut *self.ready.borrow_mut();
        self.take_in(shard, sockets, ready, clock::now(), crossing);
        self.wake.notify_one();
    }

    /// Puts a WebSocket on its way to another shard.
    fn pass(&self, to: u8, crossing: Crossing) {
        // A session of no shard was looked for and is not there.
        let Some(crossings) = self.common.crossings.get(usize::from(to)) else {
            return crossing.wire.end();
        };
        match crossings.put(crossing) {
            Ok(()) => {
                self.metrics().crossings_total.add(1);
                self.common.mailboxes[usize::from(to)].wake();
            }
            Err(Crossing { errand, wire, .. }) => {
                self.metrics().crossings_refused_total.add(1);
                if let Errand::Move { address, .. } = errand {
                    self.common.census.leave(address);
                }
                wire.end();
            }
        }
    }

    /// Has those go to other shards whose clients come back for a socket there.
    pub(super) fn send_off(&self, shard: &mut Shard, sockets: &mut Sockets, now: Now) {
        while let Some(Leaving { key, to, address, session }) = shard.leaving(now) {
            let Some((wire, early)) = sockets.remove(key) else {
                // One that could not be watched.
                self.common.census.leave(address);
                continue;
            };
            let errand = Errand::Move { session, address };
            self.pass(to, Crossing { errand, wire, early: early.into() });
        }
    }

    /// Takes in a WebSocket that came from another shard. One that is to take over from a session is
    /// closed where that has gone, and brought on where that has moved.
    pub(super) fn take_in(
        &self,
        shard: &mut Shard,
        sockets: &mut Sockets,
        ready: &mut Vec<ConnKey>,
        now: Now,
        crossing: Crossing,
    ) {
        let Crossing { errand, wire, early } = crossing;
        let key = match errand {
            Errand::TakeOver { sid, arrival } => {
                if let Some(to) = shard.moved_to(sid) {
                    let errand = Errand::TakeOver { sid, arrival };
                    return self.pass(to, Crossing { errand, wire, early });
                }
                shard.probe(now, sid, &arrival)
            }
            Errand::Move { session, .. } => Some(shard.arrived(now, session)),
        };
        match key {
            Some(key) => seat(shard, sockets, ready, now, key, wire, early),
            None => wire.end(),
        }
    }
}

/// Gives a slot its socket, and what was read of that.
fn seat(
    shard: &mut Shard,
    sockets: &mut Sockets,
    ready: &mut Vec<ConnKey>,
    now: Now,
    key: ConnKey,
    wire: Wire,
    mut early: Vec<u8>,
) {
    match sockets.insert(key, wire) {
        Ok(()) => {
            let taken = shard.read(now, key, &mut early, sockets);
            sockets.hold(key, &early[taken..]);
            // Read once in any case: what was held is taken up there.
            if sockets.begin(key) {
                ready.push(key);
            }
        }
        Err(error) => {
            tracing::error!(%error, "a connection could not be watched");
            shard.gone(key);
        }
    }
}
