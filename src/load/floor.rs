//! The floor: a server that does nothing but send, a bare loop of `send` to compare with.
//!
//! A process beside the measured server, started by the conductor. It shakes hands, notes who hears
//! what (`audience`), and for each message sends a frame that was made ready before to each of
//! them (`sends`). Only those loops are timed, by their thread's processor time; reading, matching
//! and framing are not: what is told is the kernel's price alone. It is no lower bound. The same
//! `send` costs more or less as its reader sleeps or not, and as caches are warm: ratios a little
//! under 1 are within this bias. Its words are [`crate::load::dialect`]'s `floor`.
//!
//! Its first line on standard output is its address; then each line read is answered by one of
//! [`Counts`]; the end of the input ends it. Nothing is lost: who takes no bytes is waited for.

mod audience;
mod guests;
mod sends;
#[cfg(test)]
mod tests;

use std::io::{self, BufRead, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Mutex;
use std::thread;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use audience::Audience;
use guests::Guests;
use sends::{Outside, Sends};

use crate::limits::{EVENTS_PER_TURN_MAX, MESSAGE_BYTES_MAX};
use crate::load::dialect::floor::{SUBSCRIBED, Word};
use crate::process;
use crate::wire::frame::{OpCode, header_len, put_frame};

/// The event data of the listener and of the end; guests have their numbers.
const LISTENER: u64 = u64::MAX;
const STOP: u64 = u64::MAX - 1;

pub use crate::load::scenario::Mode;

/// What a floor is told at its start.
#[derive(Clone, Copy, Debug, clap::Args)]
pub struct Options {
    /// How messages that were read together go out.
    #[arg(long, value_enum, default_value = "together")]
    pub mode: Mode,
    /// The processor that it is bound to.
    #[arg(long)]
    pub processor: Option<usize>,
}

/// What a floor has done since it began; a JSON object a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls of `send`.
    pub sends: u64,
    /// Processor time of the send loops, in nanoseconds.
    pub cpu_ns: u64,
    /// Times that a subscriber took no more and was waited for, in the loops' time.
    pub waits: u64,
    /// Subscribers given up: gone, or waited for too long.
    pub lost: u64,
}

/// Runs a floor over this process's standard input and output, until the input ends.
///
/// # Errors
/// There is no such processor, no port or no descriptor; or the conductor does not listen.
pub fn run(options: &Options) -> io::Result<()> {
    if let Some(processor) = options.processor {
        process::pin(processor)?;
    }
    // With the limit as it was it carries fewer, and says so when they come.
    process::raise_descriptor_limit();
    serve(options.mode, io::stdin().lock(), io::stdout())
}

/// The same over any two pipes.
fn serve(mode: Mode, questions: impl BufRead, mut answers: impl Write) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let stop = eventfd(0, EventfdFlags::CLOEXEC)?;
    let told = Mutex::new(Counts::default());
    let outside = Outside { stop: stop.as_fd(), told: &told };
    let address: SocketAddr = listener.local_addr()?;
    let floor = Floor::new(mode, listener.into(), outside)?;
    thread::scope(|scope| {
        let turns = scope.spawn(|| floor.turns());
        let mut say = |line: &str| writeln!(answers, "{line}").and_then(|()| answers.flush());
        let mut answered = say(&address.to_string());
        for question in questions.lines() {
            if answered.is_err() || question.is_err() || turns.is_finished() {
                break;
            }
            let counts = *outside.told();
            answered = serde_json::to_string(&counts).map_err(Into::into).and_then(|it| say(&it));
        }
        rustix::io::write(&stop, &1_u64.to_ne_bytes())?;
        let turned = turns.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        turned.and(answered)
    })
}

/// All of it but the pipes.
struct Floor<'a> {
    epoll: OwnedFd,
    listener: OwnedFd,
    guests: Guests,
    audience: Audience,
    sends: Sends<'a>,
}

impl<'a> Floor<'a> {
    fn new(mode: Mode, listener: OwnedFd, outside: Outside<'a>) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
        epoll::add(&epoll, outside.stop, EventData::new_u64(STOP), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            guests: Guests::default(),
            audience: Audience::default(),
            sends: Sends::new(mode, outside),
        })
    }

    /// Reads whoever has said something, then sends what came of it; again and again.
    fn turns(mut self) -> io::Result<()> {
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_PER_TURN_MAX);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.guests.accept(&self.listener, &self.epoll)?,
                    STOP => return Ok(()),
                    guest => self.read(guest as u32),
                }
            }
            self.sends.send(&self.guests, &mut self.audience);
            for gone in self.sends.gone() {
                self.leave(gone);
            }
        }
    }

    fn read(&mut self, guest: u32) {
        let Self { guests, audience, sends, .. } = self;
        let mut answers = Vec::new();
        let stays = guests.read(guest, &mut answers, |text, answers| match Word::parse(text) {
            Some(Word::Subscribe(pattern)) => {
                audience.join(guest, pattern);
                put_frame(answers, OpCode::Text, false, SUBSCRIBED);
            }
            Some(Word::Publish { frame_bytes, topic, payload }) => {
                sends.add(topic, |out| put_padded(out, payload, frame_bytes));
            }
            None => {}
        });
        if !stays || !sends.answer(&self.guests, guest, &answers) {
            self.leave(guest);
        }
    }

    fn leave(&mut self, guest: u32) {
        self.audience.leave_all(guest);
        self.guests.leave(guest);
    }
}

/// Appends a text frame of `frame_bytes`, or as few more as its payload and the lengths that frames
/// can have want; at most as long as a message may be.
fn put_padded(out: &mut Vec<u8>, payload: &[u8], frame_bytes: usize) {
    let frame_bytes = frame_bytes.min(MESSAGE_BYTES_MAX);
    let mut payload_len = payload.len().max(frame_bytes.saturating_sub(header_len(usize::MAX)));
    while payload_len + header_len(payload_len) < frame_bytes {
        payload_len += 1;
    }
    let mut padded = Vec::with_capacity(payload_len);
    padded.extend_from_slice(payload);
    padded.resize(payload_len, b'.');
    put_frame(out, OpCode::Text, false, &padded);
}
