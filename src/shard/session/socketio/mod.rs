//! Socket.IO: sockets, each one namespace on an engine.
//!
//! Called with the messages of an engine, one at a time, and when an engine ends. Here: how a
//! socket connects and ends, and which namespace a packet is for. What the events of a namespace do
//! stands in a file each. Contract: protocols.md sections 5 and 11, "Socket.IO".

use crate::shard::hub::Hub;
use crate::shard::timers::Tick;
use crate::time::Now;
use crate::wire::json::Scratch;

impl Hub {
    /// Takes a message of an engine: a packet, or its beginning where bytes are to follow.
    pub(in crate::shard) fn on_packet(
        &mut self,
        _now: Now,
        _carrier: u32,
        _text: &str,
        _scratch: &mut Scratch,
    ) {
    }

    /// Takes bytes that belong to the packet before.
    pub(in crate::shard) fn on_attachment(
        &mut self,
        _now: Now,
        _carrier: u32,
        _bytes: &[u8],
        _scratch: &mut Scratch,
    ) {
    }

    /// When something is to be done for a socket: what was held back is due.
    pub(in crate::shard) fn socket_deadline(&self, _conn: u32) -> Tick {
        Tick::NEVER
    }

    /// Acts on such a deadline.
    pub(in crate::shard) fn on_socket_deadline(&mut self, _now: Now, _conn: u32) {}

    /// Tells the sockets of an engine that they are disconnected, where their clients must not come
    /// back by themselves.
    pub(in crate::shard) fn tell_disconnected(&mut self, _carrier: u32) {}

    /// An engine is over: its sockets end, or, where its transport was lost, wait to be come back
    /// for.
    pub(in crate::shard) fn sockets_end(&mut self, _now: Now, _carrier: u32, _is_lost: bool) {}
}
