//! What goes out of the swarm, and what becomes of a connection that is over.
//!
//! Bytes go to the kernel at once; what it does not take waits in the connection's slot, in order.
//! Of what is said no more is taken than may wait; answers that nobody reads end a connection. The
//! audience is not at hand everywhere here: what it has to hear of an end is a [`Fate`], told in the
//! next turn.

use std::fmt;
use std::mem;
use std::time::Instant;

use rustix::event::epoll::{self, EventData};

use super::hearing::scratch;
use super::slot::{Key, Slot, Stage};
use super::{Audience, Happened, Swarm, TROUBLES_MAX, WATCHED, socket};
use crate::load::dialect::Words;
use crate::wire::frame::OpCode;

/// Bytes that may wait for the kernel to take them, of one connection: of what is said, unless it is
/// said at once, and again of answers. One with more answers is lost.
pub const OUTPUT_BYTES_MAX: usize = 1 << 20;
/// Bytes that may wait of what all connections say, those included that were given up and linger.
pub const OUTPUT_BYTES_ALL_MAX: usize = 64 << 20;

/// The close code of a connection that ended without one (RFC 6455 section 7.4.1).
pub(super) const NO_CODE: u16 = 1006;

/// How a connection ended.
#[derive(Debug)]
pub(super) enum Fate {
    /// Before it was one.
    Refused(String),
    /// With a close code.
    Ended(u16),
}

impl Swarm {
    /// Sends frames that the audience says; whether the connection took them.
    pub(super) fn send_said(&mut self, connection: u32, frames: &[u8]) -> bool {
        let Some(wire_bytes) = self.send(connection, frames) else { return false };
        if let Some(output) = self.slots[connection as usize].output() {
            output.said(frames, wire_bytes);
        }
        true
    }

    /// Sends what answers the server, through TLS where there is any.
    pub(super) fn answer(&mut self, connection: u32, bytes: &[u8]) {
        if let Some(wire_bytes) = self.send(connection, bytes) {
            self.bound_answers(connection, wire_bytes);
        }
    }

    /// The same, of TLS itself.
    pub(super) fn answer_sealed(&mut self, connection: u32, bytes: &[u8]) {
        if self.send_sealed(connection, bytes) {
            self.bound_answers(connection, bytes.len());
        }
    }

    /// The last bytes that were sent are an answer: ends the connection if too many wait.
    fn bound_answers(&mut self, connection: u32, wire_bytes: usize) {
        let output = self.slots[connection as usize].output();
        if output.is_some_and(|output| output.answered(wire_bytes) > OUTPUT_BYTES_MAX) {
            let why = format_args!(
                "the server does not read: over {OUTPUT_BYTES_MAX} bytes of answers wait"
            );
            self.fail(connection, &why);
        }
    }

    /// Sends bytes, through TLS where there is any; how many they are on the wire, if the connection
    /// took them.
    fn send(&mut self, connection: u32, bytes: &[u8]) -> Option<usize> {
        let Some(session) = self.slots[connection as usize].tls() else {
            return self.send_sealed(connection, bytes).then_some(bytes.len());
        };
        let mut sealed = mem::take(&mut self.sealed);
        let taken = match session.encrypt(bytes, &mut sealed) {
            Ok(()) => self.send_sealed(connection, &sealed).then_some(sealed.len()),
            Err(error) => {
                self.fail(connection, &format_args!("TLS: {error}"));
                None
            }
        };
        self.sealed = scratch(sealed);
        taken
    }

    /// Sends bytes as they are.
    fn send_sealed(&mut self, connection: u32, bytes: &[u8]) -> bool {
        let slot = &mut self.slots[connection as usize];
        let Some(socket) = &slot.socket else { return false };
        if slot.mute {
            return false;
        }
        let waiting = slot.waiting();
        let taken = if waiting > 0 { Ok(0) } else { socket::write(socket, bytes) };
        let Ok(taken) = taken else {
            self.go_mute(connection);
            return false;
        };
        let rest = &bytes[taken..];
        if !rest.is_empty() {
            slot.rare().output.push(rest);
            self.counts.waiting += rest.len() as u64;
        }
        true
    }

    /// There is room again: sends what waits.
    pub(super) fn flush(&mut self, connection: u32) {
        let slot = &mut self.slots[connection as usize];
        let (Some(socket), Some(rare)) = (&slot.socket, slot.rare.as_deref_mut()) else { return };
        if rare.output.is_empty() {
            return;
        }
        let Ok(taken) = socket::write(socket, rare.output.bytes()) else {
            return self.go_mute(connection);
        };
        rare.output.take(taken);
        slot.trim();
        self.counts.waiting -= taken as u64;
    }

    /// Nothing can be sent any more. What the server said before, its close frame perhaps, is still
    /// to be read, and then the end.
    fn go_mute(&mut self, connection: u32) {
        let slot = &mut self.slots[connection as usize];
        (slot.mute, slot.hung_up) = (true, true);
        if let Some(rare) = slot.rare.as_deref_mut() {
            rare.slow = None;
        }
        self.drop_output(connection);
        let slot = &mut self.slots[connection as usize];
        slot.trim();
        self.again.push(Key { connection, generation: slot.generation });
    }

    /// Ends a connection whose socket, server or TLS does not go on.
    pub(super) fn fail(&mut self, connection: u32, why: &dyn fmt::Display) {
        let slot = &self.slots[connection as usize];
        match slot.stage {
            Stage::None => {}
            Stage::Open => {
                self.note(format!("a connection broke: {why}"));
                self.end(connection, Fate::Ended(NO_CODE));
            }
            Stage::Connecting => self.end(connection, refused("cannot connect", why)),
            Stage::Securing => self.end(connection, refused("in the handshake of TLS", why)),
            Stage::Asking => self.end(connection, refused("in the handshake", why)),
        }
    }

    /// Counts a reason.
    pub(super) fn note(&mut self, why: String) {
        if let Some((_, times)) = self.troubles.iter_mut().find(|(known, _)| *known == why) {
            *times += 1;
        } else if self.troubles.len() < TROUBLES_MAX {
            self.troubles.push((why, 1));
        }
    }

    /// Ends a connection: its socket is closed, unless it lingers; the rest is to be told.
    pub(super) fn end(&mut self, connection: u32, fate: Fate) {
        let generation = self.slots[connection as usize].generation;
        self.forget(connection);
        self.fates.push((Key { connection, generation }, fate));
    }

    /// What waits is not sent any more.
    pub(super) fn drop_output(&mut self, connection: u32) {
        let slot = &mut self.slots[connection as usize];
        self.counts.waiting -= slot.waiting() as u64;
        if slot.unsent() > 0 {
            self.unsent.push((connection, slot.unsent()));
        }
        if let Some(output) = slot.output() {
            output.clear();
        }
    }

    /// Gives back all that there is of a connection but its generation.
    pub(super) fn forget(&mut self, connection: u32) {
        self.drop_output(connection);
        let slot = &mut self.slots[connection as usize];
        if slot.stage != Stage::None {
            self.counts.open -= 1;
        }
        self.unfinished -= slot.unfinished();
        *slot = Slot { generation: slot.generation, ..Slot::default() };
    }

    /// Says that nothing more is said, and lets the socket linger until the server is done too.
    /// With a code it is the client's own close, and the end of sending follows. What is left of
    /// the connection is to be forgotten.
    pub(super) fn say_goodbye(&mut self, key: Key, code: Option<u16>) {
        let connection = key.connection;
        if let Some(code) = code {
            let mut frame = Vec::new();
            Words::new(&mut frame, Swarm::KEY).frame(OpCode::Close, &code.to_be_bytes());
            self.send(connection, &frame);
        }
        let mut end = Vec::new();
        if let Some(session) = self.slots[connection as usize].tls() {
            // A session that is over has said its end.
            let _ = session.end(&mut end);
        }
        if !end.is_empty() {
            self.send_sealed(connection, &end);
        }
        let slot = &mut self.slots[connection as usize];
        self.counts.waiting -= slot.waiting() as u64;
        let before = slot.unfinished();
        let rare = slot.rare.take();
        self.unfinished -= before - slot.unfinished();
        let (output, is_slow) =
            rare.map_or((Vec::new(), false), |mut rare| (rare.output.clear(), rare.slow.is_some()));
        // Sending may have failed, and the connection be over already.
        let Some(socket) = slot.socket.take() else { return };
        if is_slow {
            // It fails for a descriptor that is not watched: ours are.
            let _ = epoll::modify(&self.epoll, &socket, EventData::new_u64(key.data()), WATCHED);
        }
        self.lingering.insert(key, socket, output, code.is_some(), Instant::now());
        // What came before this is not told again by the kernel.
        self.again.push(key);
    }

    /// Tells what became of connections; how many they were.
    pub(super) fn tell_fates(&mut self, audience: &mut impl Audience) -> usize {
        let mut told = 0;
        let mut nothing = Vec::new();
        for (key, fate) in mem::take(&mut self.fates) {
            let slot = &self.slots[key.connection as usize];
            // Given up since, or connected anew.
            if slot.generation != key.generation {
                continue;
            }
            let what = match &fate {
                Fate::Refused(why) => Happened::Refused(why),
                Fate::Ended(code) => Happened::Ended(*code),
            };
            audience.happened(key.connection, what, &mut nothing);
            nothing.clear();
            told += 1;
        }
        told
    }
}

fn refused(when: &str, why: &dyn fmt::Display) -> Fate {
    Fate::Refused(format!("{when}: {why}"))
}
