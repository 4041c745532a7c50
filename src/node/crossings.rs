//! WebSockets on their way to the shard that has their session, or the socket that their client
//! comes back for.
//!
//! The kernel gives a connection to any shard; a session is at home on the one that answered its
//! handshake. So the socket of an upgrade is put here by the shard that it came to, once hyper has
//! let go of it, and taken by the other in its next turn. Off the way of messages: a lock is fine.
//! Contract: protocols.md section 5.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::limits::CROSSINGS_MAX;
use crate::moving::Moving;
use crate::node::sockets::Wire;
use crate::shard::Arrival;
use crate::sid::Sid;

/// A WebSocket that goes to another shard.
#[derive(Debug)]
pub(super) struct Crossing {
    pub(super) errand: Errand,
    pub(super) wire: Wire,
    /// What was read of it and not taken.
    pub(super) early: Vec<u8>,
}

/// What a WebSocket goes to another shard for.
#[derive(Debug)]
pub(super) enum Errand {
    /// To take over from a polling session.
    TakeOver {
        /// The session.
        sid: Sid,
        arrival: Arrival,
    },
    /// To go on there, where the socket is that its client comes back for.
    Move {
        /// Its own session.
        session: Moving,
        /// Its client's address, which is counted in.
        address: IpAddr,
    },
}

/// Those that are on their way to one shard.
#[derive(Debug, Default)]
pub(super) struct Crossings {
    /// Looked at each turn, and most turns that is all.
    are_there: AtomicBool,
    waiting: Mutex<Vec<Crossing>>,
}

impl Crossings {
    /// Puts one there; the shard is to be woken.
    ///
    /// # Errors
    /// The crossing, where [`CROSSINGS_MAX`] wait already.
    pub(super) fn put(&self, crossing: Crossing) -> Result<(), Crossing> {
        let mut waiting = self.waiting();
        if waiting.len() >= CROSSINGS_MAX {
            return Err(crossing);
        }
        waiting.push(crossing);
        self.are_there.store(true, Ordering::Release);
        Ok(())
    }

    /// Takes all of them, in the order in which they came.
    pub(super) fn take(&self) -> Vec<Crossing> {
        // Inside the lock nobody would be left behind either way; most turns do without it.
        if !self.are_there.load(Ordering::Relaxed) || !self.are_there.swap(false, Ordering::Acquire)
        {
            return Vec::new();
        }
        std::mem::take(&mut *self.waiting())
    }

    fn waiting(&self) -> MutexGuard<'_, Vec<Crossing>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::os::unix::net::UnixStream;

    use super::*;
    use crate::sid::{NotSecret, Secret};

    fn crossing(place: u32) -> Crossing {
        let (fd, _) = UnixStream::pair().unwrap();
        Crossing {
            errand: Errand::TakeOver {
                sid: Sid::new(1, place, Secret::new(&mut NotSecret(1))),
                arrival: Arrival::new(0, IpAddr::V4(Ipv4Addr::LOCALHOST)),
            },
            wire: Wire { fd: fd.into(), tls: None },
            early: Vec::new(),
        }
    }

    fn place(crossing: &Crossing) -> u32 {
        match &crossing.errand {
            Errand::TakeOver { sid, .. } => sid.place(),
            Errand::Move { .. } => unreachable!("none was put"),
        }
    }

    #[test]
    fn all_are_taken_once_and_no_more_wait_than_may() {
        let crossings = Crossings::default();
        assert!(crossings.take().is_empty());
        for place in 0..CROSSINGS_MAX as u32 {
            crossings.put(crossing(place)).unwrap();
        }
        let refused = crossings.put(crossing(7)).unwrap_err();
        assert_eq!(place(&refused), 7);
        let taken: Vec<u32> = crossings.take().iter().map(place).collect();
        assert!(taken.into_iter().eq(0..CROSSINGS_MAX as u32));
        assert!(crossings.take().is_empty());
        crossings.put(crossing(0)).unwrap();
        assert_eq!(crossings.take().len(), 1);
    }

    #[test]
    fn none_is_left_behind_by_threads_that_meet() {
        const EACH: u32 = 300;
        let crossings = Crossings::default();
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| (0..EACH).for_each(|it| crossings.put(crossing(it)).unwrap()));
            }
            let mut taken = 0;
            while taken < 2 * EACH as usize {
                taken += crossings.take().len();
                std::thread::yield_now();
            }
        });
        assert!(crossings.take().is_empty());
    }
}
