//! What the swarm keeps of a connection: a slot, and one box more for what most never need.
//!
//! An idle plain connection is its slot and no heap of its own. Bytes that wait (an answer cut
//! short, a message of a stream, what the kernel did not take), TLS and slow reading are in
//! [`Rare`], which is gone again when there is nothing left in it.

use std::os::fd::OwnedFd;

use super::output::Output;
use super::tls::Session;
use crate::wire::frame::Partial;

/// Which connection of a number: what an event of the kernel is told apart by, the number being
/// used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    /// Its number, and the index of its slot.
    pub(super) connection: u32,
    /// How many had the number before.
    pub(super) generation: u32,
}

impl Key {
    /// As data of an event.
    pub(super) fn data(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.connection)
    }

    /// From the data of an event.
    pub(super) fn of(data: u64) -> Self {
        Self { connection: data as u32, generation: (data >> 32) as u32 }
    }
}

/// How far a connection has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// The number is nobody's, or its owner has yet to hear that it is over.
    #[default]
    None,
    /// The kernel is asked for it.
    Connecting,
    /// TLS shakes hands.
    Securing,
    /// The request is sent, its answer has not come.
    Asking,
    /// Frames.
    Open,
}

/// One connection.
#[derive(Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "each goes with any of the others")]
pub(super) struct Slot {
    /// There from [`Stage::Connecting`] on.
    pub(super) socket: Option<OwnedFd>,
    pub(super) generation: u32,
    pub(super) stage: Stage,
    /// permessage-deflate was accepted.
    pub(super) compression: bool,
    /// The server has closed its direction: to be read until the end.
    pub(super) hung_up: bool,
    /// The kernel refused to send: what was said is lost, what was heard is still to be read.
    pub(super) mute: bool,
    /// Frames may come, and the dialect's greeting is not over.
    pub(super) greets: bool,
    /// An unfinished frame or message.
    pub(super) partial: Option<Box<Partial>>,
    pub(super) rare: Option<Box<Rare>>,
}

const _: () = assert!(size_of::<Slot>() <= 32, "the most part of what an idle connection costs");

/// What few connections have at a time.
#[derive(Debug, Default)]
pub(super) struct Rare {
    /// The start of the handshake's answer.
    pub(super) head: Vec<u8>,
    /// What the dialect left of a payload, to come in front of the next.
    pub(super) stream: Vec<u8>,
    /// Bytes for the wire that the kernel did not take yet.
    pub(super) output: Output,
    pub(super) tls: Option<Box<Session>>,
    pub(super) slow: Option<Slow>,
}

impl Rare {
    fn is_empty(&self) -> bool {
        let bytes = [self.head.len(), self.stream.len(), self.output.len()];
        bytes == [0; 3] && self.tls.is_none() && self.slow.is_none()
    }
}

/// What a slow reader may read.
#[derive(Debug)]
pub(super) struct Slow {
    pub(super) bytes_per_s: u32,
    /// Millionths of a byte that it may read now.
    pub(super) credit: u64,
}

/// Credit of a byte.
const CREDIT_PER_BYTE: u64 = 1_000_000;

impl Slow {
    /// Time goes by. What is not used in a second is lost.
    pub(super) fn earn(&mut self, elapsed_us: u64) {
        let rate = u64::from(self.bytes_per_s);
        let most = rate.max(1) * CREDIT_PER_BYTE;
        self.credit = (self.credit + rate * elapsed_us.min(1_000_000)).min(most);
    }

    /// Bytes that may be read now.
    pub(super) fn bytes(&self) -> usize {
        (self.credit / CREDIT_PER_BYTE) as usize
    }

    /// So many were.
    pub(super) fn spend(&mut self, bytes: usize) {
        self.credit = self.credit.saturating_sub(bytes as u64 * CREDIT_PER_BYTE);
    }
}

impl Slot {
    /// The rare things, made if there are none.
    pub(super) fn rare(&mut self) -> &mut Rare {
        self.rare.get_or_insert_default()
    }

    /// Gives back what is no longer needed.
    pub(super) fn trim(&mut self) {
        if self.rare.as_deref().is_some_and(Rare::is_empty) {
            self.rare = None;
        }
    }

    /// Whether all that came made whole messages.
    pub(super) fn is_between_messages(&self) -> bool {
        let is_left = |rare: &Rare| !rare.stream.is_empty();
        self.partial.is_none() && !self.rare.as_deref().is_some_and(is_left)
    }

    /// The TLS of it, if it has any.
    pub(super) fn tls(&mut self) -> Option<&mut Session> {
        self.rare.as_deref_mut()?.tls.as_deref_mut()
    }

    /// Bytes that wait for the kernel.
    pub(super) fn waiting(&self) -> usize {
        self.rare.as_deref().map_or(0, |rare| rare.output.len())
    }

    /// Bytes kept of what came and is not whole: the start of the handshake's answer, of a record,
    /// of a message.
    pub(super) fn unfinished(&self) -> usize {
        let partial = self.partial.as_deref().map_or(0, Partial::heap_bytes);
        let rare = self.rare.as_deref().map_or(0, |rare| {
            let record = rare.tls.as_deref().map_or(0, Session::kept_bytes);
            rare.head.capacity() + rare.stream.capacity() + record
        });
        partial + rare
    }

    /// Frames that were said and wait, in part or whole.
    pub(super) fn unsent(&self) -> u32 {
        self.rare.as_deref().map_or(0, |rare| rare.output.frames())
    }

    /// What waits for the kernel, if anything ever did.
    pub(super) fn output(&mut self) -> Option<&mut Output> {
        Some(&mut self.rare.as_deref_mut()?.output)
    }

    /// How slowly it reads, if it does.
    pub(super) fn slow(&mut self) -> Option<&mut Slow> {
        self.rare.as_deref_mut()?.slow.as_mut()
    }
}
