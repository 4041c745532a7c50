//! Sockets of connections that are given up, until the server is done with them.
//!
//! Their numbers may be in use again; the kernel's events still come with their old keys. Nothing
//! of what they receive is looked at. One whose server takes too long is closed without more ado.

use std::collections::{HashMap, VecDeque};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use ahash::RandomState;
use rustix::net::{Shutdown, shutdown};

use super::slot::Key;
use super::socket::{self, Read};

/// How long a server may take to close its side.
pub(super) const LINGER: Duration = Duration::from_secs(5);
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
    /// When each is to be closed, in order; some are closed already.
    due: VecDeque<(Instant, Key)>,
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
        self.sockets.insert(key, Going { socket, output, shut });
        self.due.push_back((now + LINGER, key));
    }

    /// Something is ready. Whether to come again without an event.
    pub(super) fn ready(&mut self, key: Key, buffer: &mut [u8]) -> bool {
        let Some(going) = self.sockets.get_mut(&key) else { return false };
        if going.flush().is_err() {
            self.sockets.remove(&key);
            return false;
        }
        for _ in 0..READS_MAX {
            match socket::read(&going.socket, buffer) {
                Read::Bytes(_) => {}
                Read::Nothing => return false,
                Read::End | Read::Lost(_) => {
                    self.sockets.remove(&key);
                    return false;
                }
            }
        }
        true
    }

    /// Closes those whose time is over.
    pub(super) fn expire(&mut self, now: Instant) {
        while let Some((due, key)) = self.due.front()
            && *due <= now
        {
            self.sockets.remove(key);
            self.due.pop_front();
        }
    }

    /// How many there are.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sockets.len()
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
