//! Events that a client is to acknowledge.
//!
//! Each has a number, from one on in each socket, and a time within which the acknowledgement must
//! come. What comes later, twice, or for what was never asked is nothing: so does Node's server.
//! Contract: protocols.md section 5.

use crate::limits::{ASKED_MAX, ASKED_MS};
use crate::shard::hub::Hub;
use crate::shard::role::Asked;
use crate::shard::timers::Tick;
use crate::time::Now;

impl Asked {
    /// The number of one more event; `None` where too many wait.
    fn one_more(&mut self, until: Tick) -> Option<u64> {
        if self.waiting.len() >= ASKED_MAX {
            return None;
        }
        self.last += 1;
        self.waiting.push((self.last, until));
        Some(self.last)
    }

    /// Whether an event of this number waits; it does not from now on.
    fn take(&mut self, number: u64) -> bool {
        let before = self.waiting.len();
        self.waiting.retain(|(waiting, _)| *waiting != number);
        self.waiting.len() < before
    }

    /// Forgets those whose time is over.
    fn expire(&mut self, tick: Tick) {
        self.waiting.retain(|(_, until)| *until > tick);
    }
}

impl Hub {
    /// Emits an event that a socket's client is to acknowledge, with raw JSON arguments; gives its
    /// number. `None`, and nothing was emitted, where too many wait already.
    pub(super) fn ask_client(
        &mut self,
        now: Now,
        socket: u32,
        name: &str,
        args: &[&str],
    ) -> Option<u64> {
        let until = Tick::at_ms(now.mono_ms).plus_ms(ASKED_MS);
        let asked = self.socket_mut(socket)?.asked.get_or_insert_default();
        let number = asked.one_more(until)?;
        self.emit_named(socket, Some(number), name, args, &[]);
        self.rearm(now, socket);
        Some(number)
    }

    /// Whether an acknowledgement is one that is waited for; the next of its number is not.
    pub(super) fn is_awaited(&mut self, socket: u32, number: u64) -> bool {
        let asked = self.socket_mut(socket).and_then(|socket| socket.asked.as_deref_mut());
        asked.is_some_and(|asked| asked.take(number))
    }

    /// When the first event's time is over.
    pub(super) fn asked_deadline(&self, conn: u32) -> Tick {
        let asked = self.socket(conn).and_then(|socket| socket.asked.as_deref());
        // Each has as long as the others, so that they stand in their order.
        asked.and_then(|asked| asked.waiting.first()).map_or(Tick::NEVER, |(_, until)| *until)
    }

    /// Acts on that.
    pub(super) fn on_asked_deadline(&mut self, now: Now, conn: u32) {
        let asked = self.socket_mut(conn).and_then(|socket| socket.asked.as_deref_mut());
        if let Some(asked) = asked {
            asked.expire(Tick::at_ms(now.mono_ms));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_acknowledged_once_and_in_time() {
        let mut asked = Asked::default();
        assert_eq!(asked.one_more(Tick(10)), Some(1));
        assert_eq!(asked.one_more(Tick(12)), Some(2));
        assert!(!asked.take(3) && !asked.take(0));
        assert!(asked.take(2) && !asked.take(2));
        asked.expire(Tick(9));
        assert_eq!(asked.waiting.len(), 1);
        asked.expire(Tick(10));
        assert!(!asked.take(1));
        // No number comes again.
        assert_eq!(asked.one_more(Tick(20)), Some(3));
    }

    #[test]
    fn a_client_that_acknowledges_nothing_is_asked_so_many_at_most() {
        let mut asked = Asked::default();
        let numbers = (0..2 * ASKED_MAX).filter_map(|_| asked.one_more(Tick(10)));
        assert_eq!(numbers.count(), ASKED_MAX);
        asked.take(1);
        assert!(asked.one_more(Tick(10)).is_some());
    }
}
