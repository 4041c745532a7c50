//! How sockets connect and end.
//!
//! The first socket of an engine has the engine's slot, each further one a slot of its own without a
//! transport, a *guest*. Who a socket is says its own token, or else the one that came with the
//! engine's handshake; the gateway looks at it when notifications are asked for. Contract:
//! protocols.md section 5, section 11 "Socket.IO".

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::replies::{AUTHENTICATION_FAILED, code};
use crate::auth::Identity;
use crate::close::Close;
use crate::limits::TOKEN_BYTES_MAX;
use crate::shard::hub::Hub;
use crate::shard::outbox::Droppable;
use crate::shard::role::{Guest, Namespace, Role, Socket};
use crate::shard::session::rate::Admission;
use crate::shard::slot::{Phase, Slot};
use crate::shard::timers::Tick;
use crate::sid::{Secret, Sid};
use crate::time::Now;
use crate::wire::socketio::{self as dialect, INVALID_NAMESPACE};

/// Why a token does not say who somebody is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoToken {
    /// There is none.
    Missing,
    /// It is none that is believed.
    Invalid,
}

impl NoToken {
    pub(super) fn message(self) -> &'static str {
        match self {
            Self::Missing => "Missing token",
            Self::Invalid => "Invalid token",
        }
    }
}

/// What a client says of itself when it connects.
#[derive(Deserialize)]
struct Auth<'a> {
    #[serde(borrow, default)]
    token: Option<&'a RawValue>,
}

/// The token of a CONNECT packet's payload, an object as written; what cannot be one, and what is
/// given twice, is an empty text.
fn token_of(auth: Option<&str>) -> Option<Cow<'_, str>> {
    let Ok(Auth { token }) = serde_json::from_str(auth?) else { return Some("".into()) };
    let text = match token?.get() {
        "null" | "\"\"" => return None,
        text if text.len() > TOKEN_BYTES_MAX => "\"\"",
        text => text,
    };
    Some(serde_json::from_str::<String>(text).unwrap_or_default().into())
}

impl Hub {
    /// Takes a CONNECT packet of so many bytes.
    pub(super) fn connect(
        &mut self,
        now: Now,
        carrier: u32,
        nsp: &str,
        auth: Option<&str>,
        bytes: usize,
    ) {
        let namespace = self.namespace_called(nsp);
        let is_there = namespace.is_some_and(|it| self.is_taken(carrier, it));
        match self.admit(now, carrier, bytes) {
            _ if is_there => return self.begin_close(now, carrier, Close::Parse),
            Admission::Within => {}
            Admission::Over(refusal) => {
                self.metrics.rate_limited_total.add(1);
                let (code, message) = (code(refusal), refusal.to_string());
                return self.turn_down(carrier, nsp, code, Some((code, &message)));
            }
            Admission::Abuse => return self.begin_close(now, carrier, Close::RateAbuse),
        }
        let Some(namespace) = namespace else {
            return self.turn_down(carrier, nsp, INVALID_NAMESPACE, None);
        };
        if let Some(why) = self.suite_refuses(carrier, namespace) {
            return self.turn_down(carrier, nsp, why, None);
        }
        self.connect_as(now, carrier, namespace, auth, true);
    }

    /// Takes a CONNECT packet that may be taken here, or on the shard of a socket that its client comes
    /// back for, if the engine may move there.
    pub(in crate::shard) fn connect_as(
        &mut self,
        now: Now,
        carrier: u32,
        namespace: Namespace,
        auth: Option<&str>,
        may_move: bool,
    ) {
        if may_move && self.departs_too(carrier, namespace, auth) {
            return;
        }
        let nsp = namespace.name();
        let token = token_of(auth);
        let identity = if namespace == Namespace::Rooms {
            match self.believe(now, carrier, token.as_deref()) {
                Ok(identity) => Some(identity),
                Err(NoToken::Missing) if !self.requires_authentication(carrier) => None,
                Err(why) => {
                    self.metrics.auth_failures_total.add(1);
                    let data = Some((AUTHENTICATION_FAILED, why.message()));
                    return self.turn_down(carrier, nsp, AUTHENTICATION_FAILED, data);
                }
            }
        } else {
            None
        };
        let shown = (identity.as_ref(), token.as_deref());
        if !self.comes_back(now, carrier, namespace, auth, shown, may_move) {
            self.begin_socket(now, carrier, namespace, identity, token.as_deref());
            if let Namespace::Conformance(_) = namespace
                && let Some(socket) = self.socket_in(carrier, namespace)
            {
                self.enter_suite(socket, auth);
            }
        }
    }

    /// Whether an engine has a socket in a namespace, or one is being come back for.
    fn is_taken(&self, carrier: u32, namespace: Namespace) -> bool {
        let returning = self.engine(carrier).map_or(0, |engine| engine.returning);
        returning & namespace.bit() != 0 || self.socket_in(carrier, namespace).is_some()
    }

    /// Makes a new socket on an engine, and tells its client.
    pub(super) fn begin_socket(
        &mut self,
        now: Now,
        carrier: u32,
        namespace: Namespace,
        identity: Option<Identity>,
        token: Option<&str>,
    ) {
        let is_gateway = namespace == Namespace::Gateway;
        let place = self.recovery.as_deref().map(|it| it.log.last());
        let socket = Socket {
            name: Secret::new(&mut *self.secrets),
            pid: place.map(|_| Secret::new(&mut *self.secrets)),
            namespace,
            since: place.unwrap_or(0),
            joined: None,
            throttle: None,
            asked: None,
            token: token.filter(|_| is_gateway).map(Into::into),
        };
        let conn = self.seat(now, carrier, socket);
        self.become_somebody(conn, identity);
        self.metrics.socketio_sockets.add(1);
        self.tell_connected(now, conn);
    }

    /// Tells a client that it is a socket, by which name, and with which it comes back.
    pub(super) fn tell_connected(&mut self, now: Now, conn: u32) {
        let Some(&Socket { name, pid, namespace, .. }) = self.socket(conn) else { return };
        let sid = Sid::new(self.id, conn, name).chars();
        let pid = pid.map(|pid| Sid::new(self.id, conn, pid).chars());
        let text = |chars| std::str::from_utf8(chars).expect("a name is ASCII");
        self.queue_packet(conn, Droppable::NEVER, &[], |out| {
            let pid = pid.as_ref().map(|pid| text(pid.as_slice()));
            dialect::connected(out, namespace.name(), text(&sid), pid);
        });
        self.hold_against_settings(now, conn);
        self.rearm(now, self.carrier_of(conn));
        self.rearm(now, conn);
    }

    /// Tells an engine's client that it is no socket of a namespace; the engine stays.
    fn turn_down(&mut self, carrier: u32, nsp: &str, why: &str, data: Option<(&str, &str)>) {
        self.queue_packet(carrier, Droppable::NEVER, &[], |out| {
            dialect::connect_error(out, nsp, why, data);
        });
    }

    fn requires_authentication(&self, conn: u32) -> bool {
        self.policy.endpoints[usize::from(self.slots[conn].endpoint)].require_authentication
    }

    /// Who has shown this token, or, without one, what the handshake brought.
    pub(super) fn believe(
        &self,
        now: Now,
        carrier: u32,
        token: Option<&str>,
    ) -> Result<Identity, NoToken> {
        let verified = if let Some(token) = token {
            let verifier = self.policy.verifier.as_ref().ok_or(NoToken::Invalid)?;
            verifier.verify(token, now.wall).map_err(|_| NoToken::Invalid)?
        } else {
            let engine = self.engine(carrier).ok_or(NoToken::Missing)?;
            if engine.bad_token {
                return Err(NoToken::Invalid);
            }
            engine.brought.as_deref().ok_or(NoToken::Missing)?.clone()
        };
        let is_admitted = self.policy.tenants.admits(verified.tenant());
        is_admitted.then_some(verified).ok_or(NoToken::Invalid)
    }

    /// Gives a socket a slot: the engine's, where no socket has that.
    fn seat(&mut self, now: Now, carrier: u32, socket: Socket) -> u32 {
        let namespace = socket.namespace;
        let at = &self.slots[carrier];
        let (endpoint, lane, address, origin) = (at.endpoint, at.lane, at.address, at.origin);
        let Some(engine) = self.engine_mut(carrier) else {
            unreachable!("packets are an engine's")
        };
        engine.known |= namespace.bit();
        if engine.socket.is_none() {
            engine.socket = Some(socket);
            self.slots[carrier].form = namespace.form();
            return carrier;
        }
        let opened = Tick::at_ms(now.mono_ms);
        let key = self.slots.insert(Slot {
            phase: Phase::Guest,
            form: namespace.form(),
            origin,
            ..Slot::open(endpoint, lane, address, opened)
        });
        let guest = Role::Guest(Guest { carrier, socket });
        self.slots.set_role(key.index, Some(Box::new(guest)));
        if let Some(engine) = self.engine_mut(carrier) {
            engine.guests.push(key.index);
        }
        key.index
    }

    /// Gives a socket that is nobody yet an identity.
    pub(super) fn become_somebody(&mut self, conn: u32, identity: Option<Identity>) {
        if let Some(identity) = identity {
            self.slots[conn].identity = Some(Box::new(identity));
            self.metrics.connections_authenticated.add(1);
            self.people.enter(&mut self.slots, conn);
        }
    }

    /// Ends a socket, whose engine stays: it is in no room any more, and nobody.
    pub(super) fn end_socket(&mut self, conn: u32) {
        if self.socket(conn).is_none() {
            return;
        }
        let carrier = self.carrier_of(conn);
        if self.forget_socket(conn)
            && let Some(engine) = self.engine_mut(carrier)
        {
            engine.unfinished = None;
        }
        self.leave_topics(conn);
        self.people.leave(&mut self.slots, conn);
        let identity = self.slots[conn].identity.take();
        self.metrics.connections_authenticated.sub(u64::from(identity.is_some()));
        self.metrics.socketio_sockets.sub(1);
        if let Some(engine) = self.engine_mut(carrier) {
            if conn == carrier {
                engine.socket = None;
                self.slots[carrier].form = 0;
            } else {
                engine.guests.retain(|guest| *guest != conn);
                self.wheel.cancel(conn);
                self.slots.remove(conn);
            }
        }
    }

    /// Tells the client of a socket that it is disconnected, and ends the socket; and its engine too,
    /// where that has no other.
    pub(in crate::shard) fn disconnect_socket(&mut self, now: Now, conn: u32, close: Close) {
        let carrier = self.carrier_of(conn);
        self.tell_end(conn);
        self.end_socket(conn);
        if self.sockets_of(carrier).next().is_none() {
            self.begin_close(now, carrier, close);
        }
    }

    /// Tells the sockets of an engine that they are disconnected, where their clients must not come
    /// back by themselves.
    pub(in crate::shard) fn tell_disconnected(&mut self, carrier: u32) {
        let sockets: Vec<u32> = self.sockets_of(carrier).collect();
        for socket in sockets {
            self.tell_end(socket);
        }
    }

    fn tell_end(&mut self, conn: u32) {
        if let Some(nsp) = self.namespace(conn).map(Namespace::name) {
            self.queue_packet(conn, Droppable::NEVER, &[], |out| dialect::disconnect(out, nsp));
        }
    }

    /// Ends the sockets of an engine.
    pub(in crate::shard) fn end_sockets(&mut self, carrier: u32) {
        let sockets: Vec<u32> = self.sockets_of(carrier).collect();
        for socket in sockets {
            self.end_socket(socket);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_token_is_taken_out_of_what_a_client_says_of_itself() {
        let long = format!("{{\"token\":\"{}\"}}", "x".repeat(TOKEN_BYTES_MAX));
        for (auth, token) in [
            (None, None),
            (Some("{}"), None),
            (Some(r#"{"token":null}"#), None),
            (Some(r#"{"token":""}"#), None),
            (Some(r#"{"pid":"a","token":"b","offset":7}"#), Some("b")),
            (Some(r#"{"t\u006fken":"\u0062"}"#), Some("b")),
            (Some(r#"{"token":7}"#), Some("")),
            (Some(r#"{"token":["b"]}"#), Some("")),
            (Some(&long), Some("")),
        ] {
            assert_eq!(token_of(auth).as_deref(), token, "{auth:?}");
        }
    }
}
