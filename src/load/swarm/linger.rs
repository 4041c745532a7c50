//! Sockets of connections that are given up, until the server is done with them.
//!
//! Their numbers may be in use again; the kernel's events still come with their old keys. Nothing
//! of what they receive is looked at. One whose server takes too long is closed without more ado;
//! so is the one that has waited longest, when there are too many.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ahash::RandomState;
use rustix::net::{Shutdown, shutdown};

use super::slot::Key;
use super::socket::{self, Read};

/// How long a server may take to close its side.
pub(super) const LINGER: Duration = Duration::from_secs(5);
/// Sockets that are waited for at a time; beyond, those that have waited longest are closed.
const LINGERING_MAX: usize = 16 << 10;
/// Reads of one socket at a time.
const READS_MAX: usize = 16;

#[derive(Debug)]
struct Going {
    socket: OwnedFd,
    /// What is still to be said.
    output: Vec<u8>,
    /// Whether the end of sending follows it.
    shut: bool,
}

/// The sockets.
#[derive(Debug, Default)]
pub(super) struct Lingering {
    sockets: HashMap<Key, Going, RandomState>,
    /// When each is to be closed, in order; some are closed already, but not the first.
    due: VecDeque<(Instant, Key)>,
    /// Bytes that wait for the kernel to take them.
    waiting: usize,
}

impl Lingering {
    /// Takes a socket that is in the epoll under this key.
    pub(super) fn insert(
        &mut self,
        key: Key,
        socket: OwnedFd,
        output: Vec<u8>,
        shut: bool,
        now: Instant,
    ) {
        if shut && output.is_empty() {
            // A socket that is dead already needs no more shutting.
            let _ = shutdown(&socket, Shutdown::Write);
        }
        self.make_room(LINGERING_MAX);
        if self.due.len() >= 2 * LINGERING_MAX {
            self.due.retain(|(_, key)| self.sockets.contains_key(key));
        }
        self.waiting += output.len();
        self.sockets.insert(key, Going { socket, output, shut });
        self.due.push_back((now + LINGER, key));
    }

    /// Something is ready. Whether to come again without an event.
    pub(super) fn ready(&mut self, key: Key, buffer: &mut [u8]) -> bool {
        let Some(going) = self.sockets.get_mut(&key) else { return false };
        let before = going.output.len();
        let flushed = going.flush();
        self.waiting -= before - going.output.len();
        if flushed.is_err() {
            self.close(key);
            return false;
        }
        for _ in 0..READS_MAX {
            match socket::read(&going.socket, buffer) {
                Read::Bytes(_) => {}
                Read::Nothing => return false,
                Read::End | Read::Lost(_) => {
                    self.close(key);
                    return false;
                }
            }
        }
        true
    }

    /// Closes those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while self.due.front().is_some_and(|(due, _)| *due <= now) {
            self.close_oldest();
        }
    }

    /// Closes those that have waited longest, until there are fewer than so many.
    pub(super) fn make_room(&mut self, sockets: usize) {
        while self.sockets.len() >= sockets.max(1) {
            self.close_oldest();
        }
    }

    /// Closes the one that has waited longest; false when there is none.
    pub(super) fn close_oldest(&mut self) -> bool {
        let before = self.sockets.len();
        if let Some((_, key)) = self.due.front() {
            self.close(*key);
        }
        self.sockets.len() < before
    }

    /// Closes a socket; what it had to say is lost.
    fn close(&mut self, key: Key) {
        if let Some(going) = self.sockets.remove(&key) {
            self.waiting -= going.output.len();
        }
        while self.due.front().is_some_and(|(_, key)| !self.sockets.contains_key(key)) {
            self.due.pop_front();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Bytes of all that wait for the kernel to take them.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }
}

impl Going {
    fn flush(&mut self) -> Result<(), rustix::io::Errno> {
        if self.output.is_empty() {
            return Ok(());
        }
        let taken = socket::write(&self.socket, &self.output)?;
        self.output.drain(..taken);
        if self.output.is_empty() && self.shut {
            shutdown(&self.socket, Shutdown::Write)?;
        }
        Ok(())
    }
}
