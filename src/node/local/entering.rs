//! Sockets that come to a shard: from its own HTTP, or from another shard's.
//! Each gets its slot, and what came behind its handshake is read first.

use super::Local;
use crate::connection::ConnKey;
use crate::node::clock;
use crate::node::crossings::Crossing;
use crate::node::sockets::{Sockets, Wire};
use crate::shard::{Arrival, Shard};
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
    pub(in crate::node) fn bring(&self, crossing: Crossing) {
        let home = crossing.sid.shard();
        if home == self.id {
            let shard = &mut *self.shard.borrow_mut();
            let sockets = &mut *self.sockets.borrow_mut();
            let ready = &mut *self.ready.borrow_mut();
            take_in(shard, sockets, ready, clock::now(), crossing);
            self.wake.notify_one();
            return;
        }
        // A session of no shard was looked for and is not there.
        let Some(crossings) = self.common.crossings.get(usize::from(home)) else {
            return crossing.wire.end();
        };
        match crossings.put(crossing) {
            Ok(()) => {
                self.metrics().crossings_total.add(1);
                self.common.mailboxes[usize::from(home)].wake();
            }
            Err(crossing) => {
                self.metrics().crossings_refused_total.add(1);
                crossing.wire.end();
            }
        }
    }
}

/// Takes in a WebSocket that is to take over from a session of this shard; closes it where that
/// has gone.
pub(super) fn take_in(
    shard: &mut Shard,
    sockets: &mut Sockets,
    ready: &mut Vec<ConnKey>,
    now: Now,
    crossing: Crossing,
) {
    let Crossing { sid, arrival, wire, early } = crossing;
    match shard.probe(now, sid, arrival) {
        Some(key) => seat(shard, sockets, ready, now, key, wire, early),
        None => wire.end(),
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
