//! The notification gateway: one event, by which a socket asks for its user's notifications.
//!
//! Anybody may connect; whose token is none hears so when it asks, and is disconnected. Other events
//! are nothing, as with the system that this replaces. Contract: protocols.md section 5.

use super::Said;
use super::connect::NoToken;
use super::replies::{AUTHENTICATION_FAILED, DONE};
use crate::auth::gateway;
use crate::close::{Close, Refusal};
use crate::shard::hub::Hub;
use crate::shard::role::Namespace;
use crate::time::Now;
use crate::topic::{Pattern, Topic};

/// What the test heartbeat says.
const HELLO: &str = "{\"message\":\"Hello, world!\"}";

impl Hub {
    /// Takes an event of a socket of the gateway.
    pub(super) fn on_gateway_event(&mut self, now: Now, said: &Said<'_>, name: &str) {
        if name != self.policy.socketio.events.subscribe_notifications.text() {
            return;
        }
        match self.subscribe_notifications(now, said) {
            Ok(Ok(())) => self.acknowledge(said.socket, said.ack, DONE),
            Ok(Err(refusal)) => self.refuse_event(now, said, refusal),
            Err(why) => self.turn_away(now, said, why),
        }
    }

    /// Joins a socket to its user's notifications.
    fn subscribe_notifications(
        &mut self,
        now: Now,
        said: &Said<'_>,
    ) -> Result<Result<(), Refusal>, NoToken> {
        let socket = said.socket;
        if self.slots[socket].identity.is_none() {
            let carrier = self.carrier_of(socket);
            let token = self.socket_mut(socket).and_then(|socket| socket.token.take());
            let identity = self.believe(now, carrier, token.as_deref())?;
            self.become_somebody(socket, Some(identity));
            self.rearm(now, socket);
        }
        let topic = self.slots[socket].identity.as_deref().and_then(gateway::topic);
        // A user id may be such that there is no topic for it.
        let topic = topic.filter(|it| Topic::parse(it, self.policy.topic_bounds).is_ok());
        let topic = topic.ok_or(NoToken::Invalid)?;
        let entered = self.enter(socket, Pattern::checked(&topic));
        self.count_topics();
        Ok(entered)
    }

    /// Tells a socket why it hears no notifications, and disconnects it.
    fn turn_away(&mut self, now: Now, said: &Said<'_>, why: NoToken) {
        self.metrics.auth_failures_total.add(1);
        self.metrics.socketio_errors_total.add(1);
        self.acknowledge_failure(said, AUTHENTICATION_FAILED, why.message());
        let message = format!("\"{}\"", why.message());
        self.emit(said.socket, |events| &events.gateway_error, &[&message]);
        self.disconnect_socket(now, said.socket, Close::AuthRefused);
    }

    /// When the test heartbeat is due, in monotonic milliseconds.
    pub(in crate::shard) fn hello_due_ms(&self) -> Option<u64> {
        self.policy.socketio.test_notification.then_some(self.hello_ms)
    }

    /// Says hello to all sockets of the gateway, where that is switched on and due.
    pub(in crate::shard) fn say_hello(&mut self, now: Now) {
        if self.hello_due_ms().is_none_or(|due_ms| due_ms > now.mono_ms) {
            return;
        }
        self.hello_ms = now.mono_ms + crate::limits::HELLO_MS;
        for conn in 0..self.slots.places() {
            if self.namespace(conn) == Some(Namespace::Gateway) && self.is_connected(conn) {
                self.emit(conn, |events| &events.test_notification, &[HELLO]);
            }
        }
    }
}
