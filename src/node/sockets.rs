//! The sockets of a shard: plain file descriptors under one edge-triggered epoll.
//!
//! An established connection costs its descriptor, a generation and nothing else here: no task, no
//! buffer. The shard's one read buffer serves all. This is the [`Port`] that the shard sends
//! through. One that speaks TLS has its session beside (`tls.rs`), and costs the others nothing.

mod moving;

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ahash::RandomState;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, Shutdown, recv, send, shutdown};

use crate::connection::ConnKey;
use crate::limits::{EVENTS_PER_TURN_MAX, READ_BUFFER_BYTES};
use crate::mailbox::Wake;
use crate::node::census::Census;
use crate::node::tls::Session;
use crate::shard::pages::Pages;
use crate::shard::{Port, Sent};

/// The event data of the mailbox's waker.
const WAKER: u64 = u64::MAX;

/// What is told of a connection's socket.
const WATCHED: EventFlags =
    EventFlags::IN.union(EventFlags::OUT).union(EventFlags::RDHUP).union(EventFlags::ET);

/// The event data of a connection's socket.
fn data(key: ConnKey) -> u64 {
    u64::from(key.generation) << 32 | u64::from(key.index)
}

/// Wakes a shard's thread out of its wait.
#[derive(Debug)]
pub struct Waker(Arc<OwnedFd>);

impl Waker {
    /// A waker and the descriptor that its shard waits on.
    ///
    /// # Errors
    /// The process or the system has no descriptor left.
    pub fn new() -> std::io::Result<(Self, Arc<OwnedFd>)> {
        let fd = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        Ok((Self(Arc::clone(&fd)), fd))
    }
}

impl Wake for Waker {
    fn wake(&self) {
        // A full counter means that a wake is pending already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }
}

/// What is kept of a connection's stream once its handshake is done.
#[derive(Debug)]
pub struct Wire {
    /// The socket.
    pub fd: OwnedFd,
    /// Its TLS, if it speaks that.
    pub tls: Option<Box<Session>>,
}

impl Wire {
    /// Closes it; over TLS that is said.
    pub fn end(self) {
        if let Some(mut session) = self.tls {
            session.end(&self.fd);
        }
    }
}

#[derive(Debug)]
struct Socket {
    fd: Option<OwnedFd>,
    generation: u32,
    /// Not read for now, though there is something: it does not take its replies.
    paused: bool,
    /// On the list of those to be read.
    ready: bool,
    /// The other side has closed its direction: to be read until its end.
    hung_up: bool,
}

impl Socket {
    const NONE: Self =
        Self { fd: None, generation: 0, paused: false, ready: false, hung_up: false };
}

/// What became of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Read {
    /// So many bytes are in the buffer, and there may be more to come.
    More(usize),
    /// So many bytes are in the buffer, and no more for now.
    Drained(usize),
    /// Nothing for now.
    Nothing,
    /// The other side closed, or the socket failed.
    End,
}

/// A shard's sockets.
pub struct Sockets {
    epoll: OwnedFd,
    slots: Pages<Socket>,
    /// By the numbers of the slots; empty where nobody speaks TLS.
    sessions: Pages<Option<Box<Session>>>,
    /// Records of those who speak TLS: as they come, and as they go.
    records: Box<[u8]>,
    events: Vec<Event>,
    census: Arc<Census>,
    /// Bytes read of connections that may cause no more work in their turn.
    held: HashMap<u32, Box<[u8]>, RandomState>,
    /// Since it was last asked for.
    closed: bool,
    held_bytes: usize,
    /// Sockets that got another slot since that was last asked for: from which, to which.
    rebound: Vec<(ConnKey, ConnKey)>,
    _waker: Arc<OwnedFd>,
}

impl Sockets {
    /// No sockets yet; `waker` is watched with them.
    ///
    /// # Errors
    /// The process or the system has no descriptor left.
    pub fn new(waker: Arc<OwnedFd>, census: Arc<Census>) -> std::io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, &*waker, EventData::new_u64(WAKER), flags)?;
        let events = Vec::with_capacity(EVENTS_PER_TURN_MAX);
        Ok(Self {
            epoll,
            slots: Pages::default(),
            sessions: Pages::default(),
            records: Box::default(),
            events,
            census,
            held: HashMap::default(),
            closed: false,
            held_bytes: 0,
            rebound: Vec::new(),
            _waker: waker,
        })
    }

    /// The descriptor that is readable while [`Sockets::poll`] has something to tell.
    pub fn epoll(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }

    /// Takes in a connection's socket.
    ///
    /// # Errors
    /// The system's limit of watched descriptors is reached; the socket is closed.
    pub fn insert(&mut self, key: ConnKey, wire: Wire) -> std::io::Result<()> {
        let Wire { fd, tls } = wire;
        epoll::add(&self.epoll, &fd, EventData::new_u64(data(key)), WATCHED)?;
        self.slots.reach(key.index, || Socket::NONE);
        self.slots[key.index] = Socket { fd: Some(fd), generation: key.generation, ..Socket::NONE };
        if tls.is_some() {
            self.sessions.reach(key.index, || None);
            self.sessions[key.index] = tls;
            if self.records.is_empty() {
                self.records = vec![0; READ_BUFFER_BYTES].into();
            }
        }
        Ok(())
    }

    /// Adds what has happened since the last call, without waiting: to `ready` who is to be read and
    /// is not on that list, to `writable` who can be sent to again. Whether there may be more.
    pub fn poll(&mut self, ready: &mut Vec<ConnKey>, writable: &mut Vec<ConnKey>) -> bool {
        self.events.clear();
        let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
        let told = epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&at_once));
        if told.is_err() {
            return false;
        }
        for event in &self.events {
            let data = event.data.u64();
            if data == WAKER {
                continue;
            }
            let key = ConnKey { index: data as u32, generation: (data >> 32) as u32 };
            let flags = event.flags;
            if flags.contains(EventFlags::OUT) {
                writable.push(key);
            }
            let Some(socket) = self.slots.get_mut(key.index) else { continue };
            if socket.generation != key.generation {
                continue;
            }
            socket.hung_up |=
                flags.intersects(EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR);
            let readable = socket.hung_up || flags.contains(EventFlags::IN);
            if readable && !std::mem::replace(&mut socket.ready, true) {
                ready.push(key);
            }
        }
        self.events.len() == EVENTS_PER_TURN_MAX
    }

    /// Puts a connection on the list of those to be read; whether it was not there.
    pub fn begin(&mut self, key: ConnKey) -> bool {
        self.get(key).is_some() && !std::mem::replace(&mut self.slots[key.index].ready, true)
    }

    /// Takes a connection off the list of those to be read, unless it stays on it (`again`).
    /// `paused` leaves it unread until [`Sockets::resume`].
    pub fn was_read(&mut self, key: ConnKey, again: bool, paused: bool) {
        if self.get(key).is_some() {
            let socket = &mut self.slots[key.index];
            (socket.ready, socket.paused) = (again, paused);
        }
    }

    /// Ends a pause; whether there was one, and the connection is to go on the list again.
    pub fn resume(&mut self, key: ConnKey) -> bool {
        self.get(key).is_some() && {
            let socket = &mut self.slots[key.index];
            std::mem::take(&mut socket.paused) && !std::mem::replace(&mut socket.ready, true)
        }
    }

    /// Whether the other side is done, and only the end is to come.
    pub fn is_hung_up(&self, key: ConnKey) -> bool {
        self.get(key).is_some() && self.slots[key.index].hung_up
    }

    /// Whether a connection was closed since this was last asked.
    pub fn has_closed(&mut self) -> bool {
        std::mem::take(&mut self.closed)
    }

    /// Keeps bytes of a connection to be read again first, before those that it holds already; of
    /// one whose socket has just got another slot, there.
    pub fn hold(&mut self, key: ConnKey, bytes: &[u8]) {
        let key = self.holder(key);
        if bytes.is_empty() || self.get(key).is_none() {
            return;
        }
        let behind = self.take_held(key.index).unwrap_or_default();
        let held: Box<[u8]> = [bytes, &behind].concat().into();
        self.held_bytes += held.len();
        self.held.insert(key.index, held);
    }

    /// Bytes that were read of all connections and are held.
    pub fn held_bytes(&self) -> usize {
        self.held_bytes
    }

    fn take_held(&mut self, conn: u32) -> Option<Box<[u8]>> {
        let held = self.held.remove(&conn)?;
        self.held_bytes -= held.len();
        Some(held)
    }

    /// Reads from a connection into the buffer, which has [`READ_BUFFER_BYTES`].
    pub fn read(&mut self, key: ConnKey, buffer: &mut [u8]) -> Read {
        if self.get(key).is_some()
            && let Some(held) = self.take_held(key.index)
        {
            // What came with a handshake may be more than one read.
            let (first, rest) = held.split_at(held.len().min(buffer.len()));
            buffer[..first.len()].copy_from_slice(first);
            self.hold(key, rest);
            return Read::More(first.len());
        }
        if self.get(key).is_none() {
            return Read::Nothing;
        }
        let Self { slots, sessions, records, .. } = self;
        let Some((fd, tls)) = stream(slots, sessions, key.index) else { return Read::Nothing };
        if let Some(session) = tls {
            return session.read(fd, records, buffer);
        }
        match recv(fd, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => Read::End,
            Ok((bytes, _)) if bytes < buffer.len() => Read::Drained(bytes),
            Ok((bytes, _)) => Read::More(bytes),
            Err(Errno::AGAIN) => Read::Nothing,
            Err(Errno::INTR) => Read::More(0),
            Err(_) => Read::End,
        }
    }

    fn get(&self, key: ConnKey) -> Option<&OwnedFd> {
        let socket = self.slots.get(key.index)?;
        if socket.generation == key.generation { socket.fd.as_ref() } else { None }
    }

    /// Closes the socket of a slot, if it has one.
    fn let_go(&mut self, conn: u32) {
        self.closed = true;
        if let Some((fd, Some(session))) = self.current(conn) {
            session.end(fd);
            self.sessions[conn] = None;
        }
        // A connection that epoll refused has no socket here, and was counted in all the same.
        if let Some(socket) = self.slots.get_mut(conn) {
            *socket = Socket::NONE;
        }
        self.take_held(conn);
    }

    fn current(&mut self, conn: u32) -> Option<(&OwnedFd, Option<&mut Session>)> {
        stream(&self.slots, &mut self.sessions, conn)
    }
}

/// The socket of a slot, and the session of one that speaks TLS.
fn stream<'a>(
    slots: &'a Pages<Socket>,
    sessions: &'a mut Pages<Option<Box<Session>>>,
    conn: u32,
) -> Option<(&'a OwnedFd, Option<&'a mut Session>)> {
    let fd = slots.get(conn)?.fd.as_ref()?;
    Some((fd, sessions.get_mut(conn).and_then(Option::as_deref_mut)))
}

impl Port for Sockets {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        let Self { slots, sessions, records, .. } = self;
        let Some((fd, tls)) = stream(slots, sessions, conn) else { return Sent::Gone };
        if let Some(session) = tls {
            return session.send(fd, bytes, records);
        }
        loop {
            match send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(taken) => return Sent::Bytes(taken),
                Err(Errno::INTR) => {}
                // No room, or no memory for now: both end with a writable event.
                Err(Errno::AGAIN) => return Sent::Bytes(0),
                Err(_) => return Sent::Gone,
            }
        }
    }

    fn shut(&mut self, conn: u32) {
        match self.current(conn) {
            Some((fd, Some(session))) => session.shut(fd),
            // A socket that is dead already needs no more shutting.
            Some((fd, None)) => drop(shutdown(fd, Shutdown::Write)),
            None => {}
        }
    }

    fn has_unread(&mut self, conn: u32) -> bool {
        let Some((fd, _)) = self.current(conn) else { return false };
        let told = recv(fd, &mut [0_u8; 1], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        matches!(told, Ok((1.., _)))
    }

    fn holds(&self, conn: u32) -> bool {
        let session = self.sessions.get(conn).and_then(Option::as_deref);
        session.is_some_and(Session::holds)
    }

    fn rebind(&mut self, from: u32, to: ConnKey) {
        self.give(from, to);
    }

    fn discard(&mut self, conn: u32) {
        self.let_go(conn);
    }

    fn close(&mut self, conn: u32, address: IpAddr) {
        // Before the socket goes: who has seen the end finds the place free.
        self.census.leave(address);
        self.let_go(conn);
    }
}

#[cfg(test)]
mod tests;
