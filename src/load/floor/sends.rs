//! The send loops: ready frames to sockets, and the processor time that takes.
//!
//! What was read in a turn is planned first: every send with its socket and its bytes. Then one loop
//! runs through the plan, between two readings of the thread's clock, and does nothing else.

use std::collections::HashMap;
use std::mem;
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SendFlags, Shutdown, send, shutdown};

use super::audience::Audience;
use super::guests::Guests;
use super::{Counts, Mode};
use crate::process::thread_cpu_time;

/// Seconds for which a subscriber that takes no bytes is waited for.
const WAIT_S_MAX: i64 = 10;

/// What is to be sent, and what was.
pub(super) struct Sends<'a> {
    mode: Mode,
    outside: Outside<'a>,
    /// Frames, one behind the other, and what else is sent in one piece.
    bytes: Vec<u8>,
    /// Topics of this turn's messages, and where their frames lie.
    messages: Vec<(Box<str>, Range<usize>)>,
    plan: Vec<Send>,
    /// Who did not take theirs.
    gone: Vec<u32>,
}

/// What the other thread says and is told.
#[derive(Clone, Copy)]
pub(super) struct Outside<'a> {
    /// Readable when the floor is to end.
    pub(super) stop: BorrowedFd<'a>,
    /// Locked for a moment, and never while `send` is called.
    pub(super) told: &'a Mutex<Counts>,
}

/// One call of `send`.
#[derive(Clone, Debug)]
struct Send {
    guest: u32,
    bytes: Range<usize>,
}

impl<'a> Sends<'a> {
    pub(super) fn new(mode: Mode, outside: Outside<'a>) -> Self {
        Self {
            mode,
            outside,
            bytes: Vec::new(),
            messages: Vec::new(),
            plan: Vec::new(),
            gone: Vec::new(),
        }
    }

    /// Adds a message to this turn; `put` appends its frame.
    pub(super) fn add(&mut self, topic: &str, put: impl FnOnce(&mut Vec<u8>)) {
        let start = self.bytes.len();
        put(&mut self.bytes);
        self.messages.push((topic.into(), start..self.bytes.len()));
    }

    /// Sends this turn's messages to who hears them.
    pub(super) fn send(&mut self, guests: &Guests, audience: &mut Audience) {
        if self.messages.is_empty() {
            return;
        }
        match self.mode {
            Mode::Each => self.plan_each(audience),
            Mode::Together => self.plan_together(audience),
        }
        self.run(guests);
        self.plan.clear();
        self.messages.clear();
        self.bytes.clear();
    }

    /// Sends an answer to one guest, not counted; false when it has gone.
    pub(super) fn answer(&self, guests: &Guests, guest: u32, answer: &[u8]) -> bool {
        answer.is_empty() || guests.fd(guest).is_none_or(|fd| self.outside.deliver(fd, answer))
    }

    /// Who did not take theirs since this was last asked.
    pub(super) fn gone(&mut self) -> Vec<u32> {
        mem::take(&mut self.gone)
    }

    /// Message by message, as they came.
    fn plan_each(&mut self, audience: &mut Audience) {
        for (topic, frame) in &self.messages {
            let guests = audience.of(topic).iter();
            self.plan.extend(guests.map(|guest| Send { guest: *guest, bytes: frame.clone() }));
        }
    }

    /// Guest by guest: all of its messages in one piece, shared with who hears the same.
    fn plan_together(&mut self, audience: &mut Audience) {
        let topic = &self.messages[0].0;
        if self.messages.iter().all(|(other, _)| other == topic) {
            let guests = audience.of(topic).iter();
            let bytes = 0..self.bytes.len();
            self.plan.extend(guests.map(|guest| Send { guest: *guest, bytes: bytes.clone() }));
            return;
        }
        let mut heard: Vec<(u32, usize)> = Vec::new();
        for (number, (topic, _)) in self.messages.iter().enumerate() {
            heard.extend(audience.of(topic).iter().map(|guest| (*guest, number)));
        }
        heard.sort_unstable();
        let mut pieces = HashMap::new();
        for of_one in heard.chunk_by(|(one, _), (other, _)| one == other) {
            let numbers: Vec<usize> = of_one.iter().map(|(_, number)| *number).collect();
            let bytes = self.piece(numbers, &mut pieces);
            self.plan.push(Send { guest: of_one[0].0, bytes });
        }
    }

    /// The frames of these messages in one piece: where they lie, or a copy.
    fn piece(
        &mut self,
        numbers: Vec<usize>,
        pieces: &mut HashMap<Vec<usize>, Range<usize>>,
    ) -> Range<usize> {
        let (first, last) = (numbers[0], numbers[numbers.len() - 1]);
        if last - first + 1 == numbers.len() {
            return self.messages[first].1.start..self.messages[last].1.end;
        }
        if let Some(piece) = pieces.get(&numbers) {
            return piece.clone();
        }
        let start = self.bytes.len();
        for number in &numbers {
            self.bytes.extend_from_within(self.messages[*number].1.clone());
        }
        let piece = start..self.bytes.len();
        pieces.insert(numbers, piece.clone());
        piece
    }

    /// The loop that is timed.
    fn run(&mut self, guests: &Guests) {
        let before = thread_cpu_time();
        for Send { guest, bytes } in &self.plan {
            // One that is lost stays until the turn's end, shut.
            let Some(fd) = guests.fd(*guest) else { continue };
            if !self.outside.deliver(fd, &self.bytes[bytes.clone()]) {
                self.gone.push(*guest);
            }
        }
        let took = thread_cpu_time().saturating_sub(before);
        self.gone.sort_unstable();
        self.gone.dedup();
        let mut told = self.outside.told();
        told.cpu_ns += took.as_nanos() as u64;
        told.sends += self.plan.len() as u64;
        told.lost += self.gone.len() as u64;
    }
}

impl<'a> Outside<'a> {
    pub(super) fn told(&self) -> MutexGuard<'a, Counts> {
        self.told.lock().expect("it is held to count, and counting does not panic")
    }

    /// Sends all of it; false when the other side is gone or takes nothing. Then the connection is
    /// shut: what follows would begin in the midst of a frame.
    #[inline]
    fn deliver(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> bool {
        match send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) if sent == bytes.len() => true,
            Ok(sent) => self.deliver_slowly(fd, &bytes[sent..]),
            Err(Errno::AGAIN | Errno::INTR) => self.deliver_slowly(fd, bytes),
            Err(_) => false,
        }
    }

    #[cold]
    fn deliver_slowly(&self, fd: BorrowedFd<'_>, bytes: &[u8]) -> bool {
        let delivered = self.wait_and_send(fd, bytes).is_ok();
        if !delivered {
            // It may be gone already.
            let _ = shutdown(fd, Shutdown::Both);
        }
        delivered
    }

    fn wait_and_send(&self, fd: BorrowedFd<'_>, mut bytes: &[u8]) -> Result<(), Errno> {
        let patience = Timespec { tv_sec: WAIT_S_MAX, tv_nsec: 0 };
        while !bytes.is_empty() {
            self.told().waits += 1;
            let mut asked =
                [PollFd::new(&fd, PollFlags::OUT), PollFd::new(&self.stop, PollFlags::IN)];
            match poll(&mut asked, Some(&patience)) {
                Ok(0) => return Err(Errno::TIMEDOUT),
                Ok(_) if !asked[1].revents().is_empty() => return Err(Errno::CANCELED),
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error),
            }
            match send(fd, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
