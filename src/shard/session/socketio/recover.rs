//! Sockets that are come back for.
//!
//! Who comes back with a socket's secret, the same user still, gets that socket: its ghost, or, where
//! nobody noticed the loss, the socket itself, whose engine is closed. What it missed follows
//! (`replay.rs`) and then the reply to its CONNECT. Whatever does not fit ends in an ordinary new
//! socket, silently. Contract: protocols.md section 5.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::auth::Identity;
use crate::shard::hub::Hub;
use crate::shard::recovery::Return;
use crate::shard::role::{Namespace, Socket};
use crate::shard::slot::Phase;
use crate::shard::timers::Tick;
use crate::sid::Sid;
use crate::time::Now;

/// What a client that comes back says of itself.
#[derive(Deserialize)]
struct Ticket<'a> {
    #[serde(borrow, default)]
    pid: Option<&'a RawValue>,
    #[serde(borrow, default)]
    offset: Option<&'a RawValue>,
}

/// The secret and the offset of a CONNECT packet's payload. The first is `None` of who does not come
/// back; an offset that is no text is an empty one, which no place has.
fn ticket_of(auth: Option<&str>) -> Option<(Sid, Option<String>)> {
    let Ticket { pid, offset } = serde_json::from_str(auth?).ok()?;
    let text = |raw: &RawValue| serde_json::from_str::<String>(raw.get()).unwrap_or_default();
    Some((Sid::parse(&text(pid?))?, offset.map(text)))
}

impl Hub {
    /// The client of an engine does not want to be in a namespace any more, into which it comes back.
    pub(super) fn comes_back_no_more(&mut self, carrier: u32, nsp: &str) {
        let bit = self.namespace_called(nsp).map_or(0, Namespace::bit);
        if let Some(engine) = self.engine_mut(carrier) {
            engine.returning &= !bit;
        }
    }

    /// Takes the CONNECT packet of a client that comes back for its socket; whether that is so, and
    /// the packet is answered when all that was missed is.
    pub(super) fn comes_back(
        &mut self,
        now: Now,
        carrier: u32,
        namespace: Namespace,
        auth: Option<&str>,
        shown: (Option<&Identity>, Option<&str>),
        may_move: bool,
    ) -> bool {
        if self.recovery.is_none() {
            return false;
        }
        let Some((pid, offset)) = ticket_of(auth) else { return false };
        if may_move && self.depart(carrier, pid.shard(), namespace, auth) {
            return true;
        }
        let begun = self.begin_return(now, carrier, namespace, (pid, offset.as_deref()), shown);
        self.metrics.recovery_failed_total.add(u64::from(begun.is_none()));
        begun.is_some()
    }

    fn begin_return(
        &mut self,
        now: Now,
        carrier: u32,
        namespace: Namespace,
        (pid, offset): (Sid, Option<&str>),
        (identity, token): (Option<&Identity>, Option<&str>),
    ) -> Option<()> {
        let conn = pid.place();
        let socket = (pid.shard() == self.id).then(|| self.socket_or_ghost(conn))??;
        if socket.pid != Some(pid.secret()) || socket.namespace != namespace {
            return None;
        }
        let log = &self.recovery.as_deref()?.log;
        let offset = match offset {
            Some(offset) => log.place(offset)?,
            None => 0,
        };
        let heard = socket.since.max(offset);
        if !log.is_whole_behind(heard, now.wall) {
            return None;
        }
        let identity = self.same_person(now, carrier, conn, identity, token)?;
        self.lose_for_return(carrier, conn)?;
        let ghost = self.ghost_mut(conn)?;
        ghost.is_returning = true;
        ghost.until = Tick::NEVER;
        let number = ghost.number;
        if self.slots[conn].phase == Phase::Ghost {
            self.wheel.set(conn, Tick::NEVER);
        }
        let engine = self.engine_mut(carrier)?;
        engine.known |= namespace.bit();
        engine.returning |= namespace.bit();
        let carrier = self.slots.key(carrier);
        let token = token.filter(|_| namespace == Namespace::Gateway).map(Into::into);
        let identity = identity.map(Box::new);
        let recovery = self.recovery.as_deref_mut()?;
        recovery.returns.push_back(Return {
            socket: conn,
            number,
            carrier,
            namespace,
            identity,
            token,
            heard,
            rooms: None,
        });
        recovery.due_ms = 0;
        Some(())
    }

    fn socket_or_ghost(&self, conn: u32) -> Option<&Socket> {
        if conn >= self.slots.places() {
            return None;
        }
        self.ghost(conn).map(|ghost| &ghost.socket).or_else(|| self.socket(conn))
    }

    /// Whether who comes back is who was lost; who that is now.
    #[expect(clippy::option_option, reason = "nobody is somebody who may be who was lost")]
    fn same_person(
        &self,
        now: Now,
        carrier: u32,
        conn: u32,
        shown: Option<&Identity>,
        token: Option<&str>,
    ) -> Option<Option<Identity>> {
        let was = match self.ghost(conn) {
            Some(ghost) => ghost.identity.as_deref(),
            None => self.slots[conn].identity.as_deref(),
        };
        let who = |it: Option<&Identity>| {
            it.map(|it| (it.tenant().map(str::to_owned), it.user_id().to_owned()))
        };
        let is = match (shown, was) {
            (Some(shown), _) => Some(shown.clone()),
            // The gateway looks at a token when notifications are asked for: this one has been.
            (None, Some(_)) => Some(self.believe(now, carrier, token).ok()?),
            (None, None) => None,
        };
        (who(is.as_ref()) == who(was)).then_some(is)
    }

    /// Takes a socket that somebody comes back for from whatever engine it is on still.
    fn lose_for_return(&mut self, carrier: u32, conn: u32) -> Option<()> {
        if self.ghost(conn).is_none() {
            // Nobody noticed the loss.
            let old = self.carrier_of(conn);
            if old == carrier {
                return None;
            }
            self.hang_up(old);
        } else if self.slots[conn].phase != Phase::Ghost {
            // It is told why it is closed, and does not listen: its slot is needed.
            self.hang_up(conn);
        }
        let ghost = self.ghost(conn)?;
        if ghost.is_returning {
            let number = ghost.number;
            let recovery = self.recovery.as_deref_mut()?;
            let at = recovery.returns.iter().position(|it| it.number == number)?;
            if recovery.returns[at].carrier == self.slots.key(carrier) {
                return None;
            }
            let before = recovery.returns.remove(at)?;
            if self.slots.holds(before.carrier) {
                self.hang_up(before.carrier.index);
            }
        }
        Some(())
    }
}
