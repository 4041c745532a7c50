//! Very many connections to one server, in one thread under one epoll.
//!
//! The swarm connects (from as many source addresses as it takes), shakes hands, reads frames with
//! the server's own codec and lets the dialect tell what is in them; whoever owns the swarm (the
//! [`Audience`]) hears it and answers. A connection that is idle costs its slot: no task, no buffer,
//! no timer. What the kernel does not take waits, up to a bound, and is counted.
//!
//! | file | what |
//! |---|---|
//! | `slot` | what is kept of a connection |
//! | `socket`, `handshake`, `tls` | a socket, the answer to the handshake, TLS: no epoll, no slots |
//! | `turn`, `reading` | what the kernel tells; from a socket's bytes to the audience |
//! | `hearing`, `repeat` | frames, inflating, the dialect; what many are sent alike |
//! | `sending`, `output`, `linger` | what goes out, what waits; sockets that are given up |

mod handshake;
mod hearing;
mod linger;
mod output;
mod reading;
mod repeat;
mod sending;
mod slot;
mod socket;
#[cfg(test)]
mod tests;
mod tls;
mod turn;

use std::io;
use std::mem;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::load::dialect::{Dialect, Heard, Who};
use crate::load::scenario::Target;
use hearing::Ears;
use linger::Lingering;
use sending::Fate;
use slot::{Key, Slot, Slow, Stage};
use socket::Route;
use tls::Security;

pub use sending::{OUTPUT_BYTES_ALL_MAX, OUTPUT_BYTES_MAX};

/// Bytes of the read buffer that all connections share.
const READ_BUFFER_BYTES: usize = 256 << 10;
/// Sockets whose readiness is taken from the kernel at a time.
const EVENTS_PER_TURN_MAX: usize = 1024;
/// Bytes that all connections together keep of messages (and records, and answers to handshakes)
/// that are not whole. When it is more, the next that is left with one is ended, with a trouble.
const UNFINISHED_BYTES_ALL_MAX: usize = 512 << 20;
/// Troubles that are told apart.
const TROUBLES_MAX: usize = 16;

/// What the kernel is to tell of a socket, once each time it comes to be so.
const WATCHED: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);
/// The same of one that reads slowly.
const WATCHED_SLOWLY: EventFlags = WATCHED.difference(EventFlags::IN);

/// Connections to one server. A connection is known by the number that its owner gave it, dense
/// from 0.
#[expect(missing_debug_implementations, reason = "sockets by the thousand")]
pub struct Swarm {
    epoll: OwnedFd,
    route: Route,
    security: Option<Security>,
    /// permessage-deflate is offered.
    compression: bool,
    dialect: Box<dyn Dialect>,
    slots: Vec<Slot>,
    /// To be read without an event: there was more than one read could take, or the end is near.
    again: Vec<Key>,
    /// Slow readers that read at all; some are gone.
    slow: Vec<Key>,
    /// When those were last served, in the owner's microseconds.
    slow_at_us: u64,
    lingering: Lingering,
    /// What became of connections and is not told yet.
    fates: Vec<(Key, Fate)>,
    /// Connections that went with frames unsent, and how many.
    unsent: Vec<(u32, u32)>,
    troubles: Vec<(String, u64)>,
    counts: Counts,
    /// Bytes that slots keep of what is not whole.
    unfinished: usize,
    #[cfg(test)]
    bytes_read: u64,
    ears: Ears,
    events: Vec<Event>,
    buffer: Box<[u8]>,
    /// Scratch, empty between uses: what is answered, what TLS makes of it, what was in records.
    answer: Vec<u8>,
    sealed: Vec<u8>,
    plain: Vec<u8>,
    /// When something last happened.
    last: Instant,
    /// Time of empty turns.
    spun: Duration,
}

/// What happened to a connection.
#[derive(Debug)]
pub enum Happened<'a> {
    /// The dialect's greeting is over: subscribing and publishing may begin.
    Ready,
    /// A message, or something in one; `frame_bytes` of it on the wire, 0 for all but the first
    /// thing in a frame.
    Heard {
        /// What.
        heard: Heard<'a>,
        /// How often: deliveries of one read that are numbered one after the other, and alike but
        /// for that, are told together, by the first of them. Of all else 1.
        count: u32,
        /// Header and payload, of each.
        frame_bytes: usize,
    },
    /// It did not come to be: refused with an HTTP status, or by the kernel, in a few words.
    Refused(&'a str),
    /// It is over, by the server's doing: its close code, 1006 without one (see
    /// [`Swarm::troubles`]).
    Ended(u16),
}

/// Who hears what happens in a swarm.
pub trait Audience {
    /// What happens from now on has come now: told before each read's.
    fn came(&mut self) {}

    /// Something happened; whatever is appended to `answer` (frames, by [`super::dialect::Words`]
    /// with [`Swarm::KEY`]) is sent to that connection.
    fn happened(&mut self, connection: u32, what: Happened<'_>, answer: &mut Vec<u8>);

    /// What the dialect has to know of a connection.
    fn who(&self, connection: u32) -> Who<'_>;
}

/// How a connection is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leave {
    /// A close frame with 1000, then the end of sending; the socket goes when the server is done.
    Close,
    /// The socket is closed without a word.
    Silent,
    /// The same with a reset.
    Reset,
}

/// Figures of a swarm since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Connections whose sockets are open, ready or not yet; without those given up.
    pub open: u32,
    /// Bytes that wait for the kernel to take them, those of connections given up included.
    pub waiting: u64,
    /// Microseconds spent asking for events that were not there: CPU time, but no work.
    pub spun_us: u64,
}

impl Swarm {
    /// Any key is as good as another where nobody is to be fooled; not zero, so that the server
    /// has to unmask.
    pub const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

    /// Nobody yet. `per_address`: connections from one address of 127.0.0.0/8.
    ///
    /// # Errors
    /// No descriptor is left, or the authorities of the target's TLS cannot be read.
    pub fn new(target: &Target, dialect: Box<dyn Dialect>, per_address: u32) -> io::Result<Self> {
        let security = target.tls.as_ref().map(|tls| Security::new(tls, &target.host));
        Ok(Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            route: Route::new(target.address, per_address),
            security: security.transpose()?,
            compression: target.compression,
            dialect,
            slots: Vec::new(),
            again: Vec::new(),
            slow: Vec::new(),
            slow_at_us: 0,
            lingering: Lingering::default(),
            fates: Vec::new(),
            unsent: Vec::new(),
            troubles: Vec::new(),
            counts: Counts::default(),
            unfinished: 0,
            #[cfg(test)]
            bytes_read: 0,
            ears: Ears::default(),
            events: Vec::with_capacity(EVENTS_PER_TURN_MAX),
            buffer: vec![0; READ_BUFFER_BYTES].into_boxed_slice(),
            answer: Vec::new(),
            sealed: Vec::new(),
            plain: Vec::new(),
            last: Instant::now(),
            spun: Duration::ZERO,
        })
    }

    /// Begins a connection; what becomes of it, its audience hears. One that has the number is
    /// given up silently. The client's number in the run decides where it connects from.
    ///
    /// # Errors
    /// No descriptor, no port or no memory is left.
    pub fn connect(&mut self, connection: u32, who: &Who<'_>) -> io::Result<()> {
        self.leave(connection, Leave::Silent);
        let opened = self.route.open(who.number, || self.lingering.close_oldest())?;
        let at = connection as usize;
        if at >= self.slots.len() {
            let wanted = (at + 1).max(self.slots.len() + self.slots.len() / 8);
            self.slots.reserve_exact(wanted - self.slots.len());
            self.slots.resize_with(wanted, Slot::default);
        }
        let slot = &mut self.slots[at];
        let key = Key { connection, generation: slot.generation };
        match opened {
            Ok(socket) => {
                epoll::add(&self.epoll, &socket, EventData::new_u64(key.data()), WATCHED)?;
                let (socket, stage) = (Some(socket), Stage::Connecting);
                *slot = Slot { socket, stage, generation: key.generation, ..Slot::default() };
                self.counts.open += 1;
            }
            Err(error) => self.fates.push((key, Fate::Refused(format!("cannot connect: {error}")))),
        }
        Ok(())
    }

    /// Whether a connection would take so many bytes of frames now: it is ready for them, and what
    /// waits for the kernel would not become too much, of this connection ([`OUTPUT_BYTES_MAX`]) or
    /// of all ([`OUTPUT_BYTES_ALL_MAX`]). Where nothing waits, any number of bytes may be said.
    pub fn has_room(&self, connection: u32, bytes: usize) -> bool {
        let Some(slot) = self.slots.get(connection as usize) else { return false };
        let fits = |waiting: usize, most: usize| waiting == 0 || waiting + bytes <= most;
        slot.stage == Stage::Open
            && fits(slot.waiting(), OUTPUT_BYTES_MAX)
            && fits(self.counts().waiting as usize, OUTPUT_BYTES_ALL_MAX)
    }

    /// Sends whole frames. False when none of them goes: the connection is not there or not ready,
    /// breaks just now, or has no room ([`Swarm::has_room`]) and is to be asked again later.
    pub fn say(&mut self, connection: u32, frames: &[u8]) -> bool {
        self.has_room(connection, frames.len()) && self.send_said(connection, frames)
    }

    /// Connections that went since this was asked last with frames unsent that [`Swarm::say`] had
    /// taken, and how many frames: the last ones said. Told before the number is anybody else's,
    /// if it is asked after each turn and each [`Swarm::leave`]. One that left with
    /// [`Leave::Close`] is not among them: the rest of it goes out while the server reads.
    pub fn take_unsent(&mut self) -> Vec<(u32, u32)> {
        mem::take(&mut self.unsent)
    }

    /// Sockets that are open, those included that were given up and whose server is not done yet:
    /// 0 when all are gone.
    pub fn sockets(&self) -> u32 {
        self.counts.open + self.lingering.len() as u32
    }

    /// Gives a connection up; its number may be used again at once, and nothing more is heard of
    /// it. A socket that the server does not close is closed after a few seconds, or when too many
    /// others have been given up since.
    pub fn leave(&mut self, connection: u32, how: Leave) {
        let Some(slot) = self.slots.get(connection as usize) else { return };
        let key = Key { connection, generation: slot.generation };
        match (how, &slot.socket) {
            (Leave::Reset, Some(socket)) => socket::reset_on_close(socket),
            (Leave::Close, _) if slot.stage == Stage::Open => self.say_goodbye(key, Some(1000)),
            _ => {}
        }
        self.forget(connection);
        // What is still to be told of it is not.
        let slot = &mut self.slots[connection as usize];
        slot.generation = slot.generation.wrapping_add(1);
    }

    /// Makes a connection a slow reader: it reads so many bytes a second, 0: none. For one that is
    /// subscribed: the slowness begins at once. What is not read in a second is not made up for.
    /// When one that reads nothing learns that the server is done with it, it reads what there is,
    /// to hear why; it learns nothing as long as what it was sent before fills the kernel's buffer.
    pub fn slow_down(&mut self, connection: u32, bytes_per_s: u32) {
        let Some(slot) = self.slots.get_mut(connection as usize) else { return };
        let Some(socket) = &slot.socket else { return };
        let key = Key { connection, generation: slot.generation };
        socket::narrow(socket, bytes_per_s);
        // It fails for a descriptor that is not watched: ours are.
        let _ = epoll::modify(&self.epoll, socket, EventData::new_u64(key.data()), WATCHED_SLOWLY);
        let before = slot.rare().slow.replace(Slow { bytes_per_s, credit: 0 });
        if bytes_per_s > 0 && before.is_none_or(|before| before.bytes_per_s == 0) {
            self.slow.push(key);
        }
    }

    /// Figures.
    pub fn counts(&self) -> Counts {
        let waiting = self.counts.waiting + self.lingering.waiting() as u64;
        Counts { waiting, ..self.counts }
    }

    /// Why connections ended with 1006, where it is known, and how many: a failure of the kernel,
    /// a broken protocol, a server that does not read. The first kinds of it, in words.
    pub fn troubles(&self) -> &[(String, u64)] {
        &self.troubles
    }

    /// The connection that an event or a list means, if it is still there.
    fn live(&mut self, key: Key) -> Option<&mut Slot> {
        let slot = self.slots.get_mut(key.connection as usize)?;
        (slot.generation == key.generation && slot.socket.is_some()).then_some(slot)
    }
}
