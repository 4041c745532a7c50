//! What conformance suites take for granted above Engine.IO: namespaces, and what sockets do there.
//!
//! A mode stands in for the server that a suite was written against. Its namespaces are there in
//! place of the room server's and the gateway's, and nobody is asked who they are: it listens on
//! this machine alone. Sessions come here when they connect, say or acknowledge something in one of
//! these namespaces, and never else. Spec: the Socket.IO protocol, revision 5, and what the suites'
//! tests assume.

mod client;
mod handshake;
mod protocol;

use super::Said;
use crate::config::Conformance;
use crate::shard::hub::Hub;
use crate::shard::outbox::Droppable;
use crate::shard::role::Namespace;
use crate::time::Now;
use crate::wire::socketio::{self as dialect, Args, ROOT};

/// The namespaces of all suites: a number is a place here, and a bit among those that an engine
/// knows, which are eight.
const NAMES: [&str; 8] =
    [ROOT, "/custom", "/foo", "/timeout_socket", "/valid", "/asd", ABC, REFUSED];
/// Where a socket is told what its client asked for.
const ABC: &str = "/abc";
/// Where nobody is let in.
const REFUSED: &str = "/no";

/// Whether a suite has a namespace.
fn has(mode: Conformance, name: &str) -> bool {
    match mode {
        Conformance::Protocol => matches!(name, ROOT | "/custom"),
        Conformance::Client => name != "/custom",
        Conformance::Engine => false,
    }
}

/// The namespace of this name, while a suite is served.
pub(super) fn named(mode: Conformance, name: &str) -> Option<Namespace> {
    let number = NAMES.iter().position(|known| *known == name && has(mode, known))?;
    Some(Namespace::Conformance(number as u8))
}

/// The name of a namespace.
pub(super) fn name(number: u8) -> &'static str {
    NAMES[usize::from(number)]
}

impl Hub {
    /// Why nobody is let in to a namespace of a suite, where that is so.
    pub(super) fn suite_refuses(&self, carrier: u32, namespace: Namespace) -> Option<&'static str> {
        let mode = self.policy.socketio.conformance?;
        (mode == Conformance::Client).then(|| self.client_suite_refuses(carrier, namespace))?
    }

    /// A socket of a suite has connected, and said this of itself, an object as written.
    pub(super) fn enter_suite(&mut self, conn: u32, auth: Option<&str>) {
        let auth = auth.unwrap_or("{}");
        match self.policy.socketio.conformance {
            Some(Conformance::Protocol) => self.enter_protocol_suite(conn, auth),
            Some(Conformance::Client) => self.enter_client_suite(conn, auth),
            Some(Conformance::Engine) | None => {}
        }
    }

    /// Takes an event of such a socket.
    pub(super) fn on_suite_event(
        &mut self,
        now: Now,
        said: &Said<'_>,
        name: &str,
        args: &Args<'_>,
    ) {
        match self.policy.socketio.conformance {
            Some(Conformance::Protocol) => self.on_protocol_event(said, name, args),
            Some(Conformance::Client) => self.on_client_event(now, said, name, args),
            Some(Conformance::Engine) | None => {}
        }
    }

    /// Takes what a client says to an event that it was to acknowledge: an array as written.
    pub(super) fn on_suite_ack(&mut self, socket: u32, args: &str) {
        if self.policy.socketio.conformance == Some(Conformance::Client) {
            self.on_client_ack(socket, args);
        }
    }

    /// Gives an event back what it brought; `args` is raw JSON, with commas between.
    fn acknowledge_with(&mut self, said: &Said<'_>, args: &str) {
        let nsp = self.namespace(said.socket).map(Namespace::name);
        if let (Some(nsp), Some(id)) = (nsp, said.ack) {
            let attachments = said.attachments;
            self.queue_packet(said.socket, Droppable::NEVER, attachments, |out| {
                dialect::ack(out, nsp, id, attachments.len() as u8, args);
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_suite_has_its_namespaces() {
        for (mode, name, is_there) in [
            (Conformance::Protocol, "/", true),
            (Conformance::Protocol, "/custom", true),
            (Conformance::Protocol, "/foo", false),
            (Conformance::Protocol, "/ws", false),
            (Conformance::Client, "/", true),
            (Conformance::Client, "/custom", false),
            (Conformance::Client, "/no", true),
            (Conformance::Client, "/random", false),
            (Conformance::Engine, "/", false),
        ] {
            let found = named(mode, name);
            assert_eq!(found.is_some(), is_there, "{mode:?} {name}");
            assert!(found.is_none_or(|it| it.name() == name));
        }
    }

    #[test]
    fn each_namespace_has_a_bit_of_its_own() {
        let bits = (0..NAMES.len() as u8).map(|number| Namespace::Conformance(number).bit());
        assert_eq!(bits.fold(0_u16, |sum, bit| sum + u16::from(bit)), 255);
    }
}
