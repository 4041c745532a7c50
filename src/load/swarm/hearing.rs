//! From bytes to what was heard: frames, inflating, the dialect.
//!
//! Sans-io. What one read brings is gathered first and then told to the [`Audience`], who may be
//! asked about the connection by the dialect only until then. Pings and closes are answered here
//! (RFC 6455 section 5.5); a message may be text or binary, that is the dialect's to judge.

use std::mem;

use crate::close::Close;
use crate::load::dialect::{Dialect, Heard, Who, Words};
use crate::load::stamp::Stamp;
use crate::wire::deflate::Inflater;
use crate::wire::frame::{
    Decoder, Event, FrameBounds, OpCode, Partial, Sender, Violation, header_len,
};

use super::slot::Slot;
use super::{Audience, Happened, Swarm};

/// Bytes of a server's message, after inflating; of what a dialect leaves of a stream, too.
pub(super) const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Bytes of each scratch buffer that outlast one that had to be larger.
pub(super) const SCRATCH_BYTES_KEPT: usize = 256 << 10;

/// Something that was heard, without borrowing the payload.
#[derive(Debug)]
enum What {
    Ready,
    Subscribed,
    Unsubscribed,
    Delivery(Stamp),
    /// The next so many bytes of the server's words.
    Refused(usize),
    Other,
}

/// What is to be told.
#[derive(Debug)]
struct Told {
    what: What,
    /// As in [`Happened::Heard`].
    count: u32,
    frame_bytes: u32,
}

impl Told {
    /// Takes the next thing in, if it is a delivery that may be told together with this.
    #[inline]
    fn goes_on(&mut self, next: &Stamp, frame_bytes: u32) -> bool {
        let What::Delivery(first) = self.what else { return false };
        let number = first.number.checked_add(self.count);
        let goes_on = number == Some(next.number)
            && (first.stream, first.at_us, self.frame_bytes)
                == (next.stream, next.at_us, frame_bytes);
        self.count += u32::from(goes_on);
        goes_on
    }
}

/// What frames are read with, for one connection at a time.
#[derive(Debug, Default)]
pub(super) struct Ears {
    inflater: Option<Box<Inflater>>,
    inflated: Vec<u8>,
    heard: Vec<Told>,
    /// The server's words, one refusal after the other.
    words: Vec<u8>,
}

/// Why a connection's frames are over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Over {
    /// The server closed, with a code if it gave one.
    Closed(Option<u16>),
    /// The server broke the protocol.
    Broken(Violation),
}

impl Over {
    /// The code that goes back.
    pub(super) fn reply(self) -> Option<u16> {
        match self {
            Over::Closed(code) => code,
            Over::Broken(violation) => Some(Close::from(violation).code()),
        }
    }
}

impl Ears {
    /// The handshake is done: lets the dialect say its first words.
    pub(super) fn open(&mut self, dialect: &dyn Dialect, who: &Who<'_>, answer: &mut Vec<u8>) {
        if dialect.opened(who, &mut Words::new(answer, Swarm::KEY)) {
            self.heard.push(Told { what: What::Ready, count: 1, frame_bytes: 0 });
        }
    }

    /// Takes frames, and says whether they are the last. What the dialect and the protocol answer
    /// is appended to `answer`.
    pub(super) fn frames(
        &mut self,
        slot: &mut Slot,
        bytes: &mut [u8],
        dialect: &dyn Dialect,
        who: &Who<'_>,
        answer: &mut Vec<u8>,
    ) -> Option<Over> {
        let compression = slot.compression;
        let bounds = FrameBounds {
            message_bytes_max: MESSAGE_BYTES_MAX,
            compression,
            sender: Sender::Server,
        };
        let mut partial: Option<Box<Partial>> = slot.partial.take();
        let mut decoder = Decoder::new(&mut partial, bytes, &bounds);
        let over = loop {
            match decoder.next_event() {
                Ok(Some(Event::Message { compressed, payload, .. })) => {
                    let frame_bytes = header_len(payload.len()) + payload.len();
                    let heard = if compressed {
                        self.compressed(slot, payload, frame_bytes, dialect, who, answer)
                    } else {
                        self.message(slot, payload, frame_bytes, dialect, who, answer)
                    };
                    if let Err(violation) = heard {
                        break Some(Over::Broken(violation));
                    }
                }
                Ok(Some(Event::Ping(payload))) => {
                    Words::new(answer, Swarm::KEY).frame(OpCode::Pong, payload);
                }
                Ok(Some(Event::Pong(_))) => {}
                Ok(Some(Event::Close { code, .. })) => break Some(Over::Closed(code)),
                Ok(None) => break None,
                Err(violation) => break Some(Over::Broken(violation)),
            }
        };
        drop(decoder);
        slot.partial = partial;
        over
    }

    fn compressed(
        &mut self,
        slot: &mut Slot,
        payload: &[u8],
        frame_bytes: usize,
        dialect: &dyn Dialect,
        who: &Who<'_>,
        answer: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        let mut plain = mem::take(&mut self.inflated);
        let inflater = self.inflater.get_or_insert_default();
        let heard = match inflater.inflate(payload, MESSAGE_BYTES_MAX, &mut plain) {
            Ok(()) => self.message(slot, &plain, frame_bytes, dialect, who, answer),
            Err(error) => Err(error.into()),
        };
        self.inflated = scratch(plain);
        heard
    }

    fn message(
        &mut self,
        slot: &mut Slot,
        payload: &[u8],
        frame_bytes: usize,
        dialect: &dyn Dialect,
        who: &Who<'_>,
        answer: &mut Vec<u8>,
    ) -> Result<(), Violation> {
        let mut say = Words::new(answer, Swarm::KEY);
        let mut frame_bytes = frame_bytes as u32;
        let (heard, words) = (&mut self.heard, &mut self.words);
        let mut tell = |thing: Heard<'_>| {
            let what = match thing {
                Heard::Ready => What::Ready,
                Heard::Subscribed => What::Subscribed,
                Heard::Unsubscribed => What::Unsubscribed,
                Heard::Delivery(stamp) => {
                    let frame_bytes = mem::take(&mut frame_bytes);
                    if !heard.last_mut().is_some_and(|last| last.goes_on(&stamp, frame_bytes)) {
                        heard.push(Told { what: What::Delivery(stamp), count: 1, frame_bytes });
                    }
                    return;
                }
                Heard::Refused(text) => {
                    words.extend_from_slice(text);
                    What::Refused(text.len())
                }
                Heard::Other => What::Other,
            };
            heard.push(Told { what, count: 1, frame_bytes: mem::take(&mut frame_bytes) });
        };
        let stream = slot.rare.as_deref_mut().map(|rare| mem::take(&mut rare.stream));
        let left = match stream {
            Some(mut stream) if !stream.is_empty() => {
                stream.extend_from_slice(payload);
                let taken = dialect.hear(who, &stream, &mut say, &mut tell);
                stream.drain(..taken.min(stream.len()));
                stream.shrink_to(2 * stream.len());
                stream
            }
            _ => {
                let taken = dialect.hear(who, payload, &mut say, &mut tell);
                payload.get(taken..).unwrap_or_default().to_vec()
            }
        };
        if left.len() > MESSAGE_BYTES_MAX {
            return Err(Violation::TooLarge);
        }
        if !left.is_empty() {
            slot.rare().stream = left;
        }
        Ok(())
    }

    /// Tells all that was heard, in its order.
    pub(super) fn tell(
        &mut self,
        connection: u32,
        audience: &mut impl Audience,
        answer: &mut Vec<u8>,
    ) {
        let mut words = &self.words[..];
        for Told { what, count, frame_bytes } in self.heard.drain(..) {
            let heard = match what {
                What::Ready => {
                    audience.happened(connection, Happened::Ready, answer);
                    continue;
                }
                What::Subscribed => Heard::Subscribed,
                What::Unsubscribed => Heard::Unsubscribed,
                What::Delivery(stamp) => Heard::Delivery(stamp),
                What::Refused(bytes) => {
                    let (text, rest) = words.split_at(bytes);
                    words = rest;
                    Heard::Refused(text)
                }
                What::Other => Heard::Other,
            };
            let frame_bytes = frame_bytes as usize;
            audience.happened(connection, Happened::Heard { heard, count, frame_bytes }, answer);
        }
        self.words = scratch(mem::take(&mut self.words));
        self.heard.shrink_to(SCRATCH_BYTES_KEPT / size_of::<Told>());
    }
}

/// Empties a scratch buffer, and makes it smaller if it had to grow much.
pub(super) fn scratch(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    bytes.shrink_to(SCRATCH_BYTES_KEPT);
    bytes
}
