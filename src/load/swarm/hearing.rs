//! From bytes to what was heard: frames, inflating, the dialect.
//!
//! Sans-io. What one read brings is gathered first and then told to the [`Audience`], who may be
//! asked about the connection by the dialect only until then. Pings and closes are answered here
//! (RFC 6455 section 5.5); a message may be text or binary, that is the dialect's to judge.

use std::mem;

use crate::close::Close;
use crate::load::dialect::{Dialect, Heard, MESSAGE_BYTES_MAX, Who, Words};
use crate::load::stamp::Stamp;
use crate::wire::deflate::Inflater;
use crate::wire::frame::{
    Decoder, Event, FrameBounds, OpCode, Partial, Sender, Violation, header_len,
};

use super::repeat::{Manner, Repeat};
use super::slot::Slot;
use super::{Audience, Happened, Swarm};

/// Bytes of each scratch buffer that outlast one that had to be larger.
pub(super) const SCRATCH_BYTES_KEPT: usize = 256 << 10;

/// Bytes of a message that no dialect understands which are told on.
const STRANGE_BYTES_MAX: usize = 1 << 10;

/// Something that was heard, without borrowing the payload.
#[derive(Clone, Copy, Debug)]
enum What {
    Ready,
    Subscribed,
    Delivery(Stamp),
    /// The next so many bytes of the server's words.
    Refused(usize),
    Other,
}

/// What is to be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Told {
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

    /// One delivery alone.
    #[cfg(test)]
    pub(super) fn delivery(stamp: Stamp, frame_bytes: usize) -> Self {
        Self { what: What::Delivery(stamp), count: 1, frame_bytes: frame_bytes as u32 }
    }

    /// Bytes of the frames of deliveries; `None` for anything else.
    pub(super) fn delivery_bytes(&self) -> Option<u64> {
        let is_delivery = matches!(self.what, What::Delivery(_));
        is_delivery.then_some(u64::from(self.count) * u64::from(self.frame_bytes))
    }
}

/// What frames are read with, for one connection at a time.
#[derive(Debug, Default)]
pub(super) struct Ears {
    inflater: Option<Box<Inflater>>,
    inflated: Vec<u8>,
    heard: Vec<Told>,
    repeat: Repeat,
    /// The server's words, one refusal after the other.
    words: Vec<u8>,
}

/// Who hears frames: a dialect on behalf of a client, and where its answers go.
pub(super) struct Hearer<'a> {
    pub(super) dialect: &'a dyn Dialect,
    pub(super) who: Who<'a>,
    pub(super) answer: &'a mut Vec<u8>,
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
    pub(super) fn open(&mut self, slot: &mut Slot, hearer: &mut Hearer<'_>) {
        slot.greets =
            !hearer.dialect.opened(&hearer.who, &mut Words::new(hearer.answer, Swarm::KEY));
        if !slot.greets {
            self.heard.push(Told { what: What::Ready, count: 1, frame_bytes: 0 });
        }
    }

    /// Takes frames, and says whether they are the last. The hearer answers for the dialect and the
    /// protocol.
    pub(super) fn frames(
        &mut self,
        slot: &mut Slot,
        bytes: &mut [u8],
        hearer: &mut Hearer<'_>,
    ) -> Option<Over> {
        let manner = Manner { compression: slot.compression, publishes: hearer.who.publishes };
        let is_whole = slot.is_between_messages() && self.heard.is_empty();
        if is_whole && let Some(told) = self.repeat.of(bytes, manner) {
            self.heard.extend_from_slice(told);
            return None;
        }
        let said = hearer.answer.len();
        let over = self.read(slot, bytes, hearer);
        if is_whole && over.is_none() && hearer.answer.len() == said && slot.is_between_messages() {
            self.repeat.keep(bytes, manner, &self.heard);
        }
        over
    }

    /// Reads frames one by one.
    fn read(&mut self, slot: &mut Slot, bytes: &mut [u8], hearer: &mut Hearer<'_>) -> Option<Over> {
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
                        self.compressed(slot, payload, frame_bytes, hearer)
                    } else {
                        self.message(slot, payload, frame_bytes, hearer)
                    };
                    if let Err(violation) = heard {
                        break Some(Over::Broken(violation));
                    }
                }
                Ok(Some(Event::Ping(payload))) => {
                    Words::new(hearer.answer, Swarm::KEY).frame(OpCode::Pong, payload);
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
        hearer: &mut Hearer<'_>,
    ) -> Result<(), Violation> {
        let mut plain = mem::take(&mut self.inflated);
        let inflater = self.inflater.get_or_insert_default();
        let heard = match inflater.inflate(payload, MESSAGE_BYTES_MAX, &mut plain) {
            Ok(()) => self.message(slot, &plain, frame_bytes, hearer),
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
        hearer: &mut Hearer<'_>,
    ) -> Result<(), Violation> {
        let Hearer { dialect, who, answer } = hearer;
        let mut say = Words::new(answer, Swarm::KEY);
        let mut frame_bytes = frame_bytes as u32;
        let (heard, words) = (&mut self.heard, &mut self.words);
        let before = heard.len();
        let mut tell = |thing: Heard<'_>| {
            let what = match thing {
                Heard::Ready => What::Ready,
                Heard::Subscribed => What::Subscribed,
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
        let rare = slot.rare.as_deref_mut();
        let mut stream = rare.map_or_else(Vec::new, |rare| mem::take(&mut rare.stream));
        let is_first = stream.is_empty();
        if !is_first {
            stream.extend_from_slice(payload);
        }
        let bytes = if is_first { payload } else { &stream[..] };
        let foreign = if slot.greets { dialect.foreign(bytes) } else { None };
        let taken = match foreign {
            Some(name) => {
                tell(Heard::Refused(&strange(name, bytes)));
                bytes.len()
            }
            None => dialect.hear(who, bytes, &mut say, &mut tell),
        };
        let left = if is_first {
            payload.get(taken..).unwrap_or_default().to_vec()
        } else {
            stream.drain(..taken.min(stream.len()));
            stream.shrink_to(2 * stream.len());
            stream
        };
        if slot.greets {
            let is_ready = |told: &Told| matches!(told.what, What::Ready);
            slot.greets = !self.heard[before..].iter().any(is_ready);
        }
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

/// What is said of a server that speaks something else.
fn strange(dialect: &str, said: &[u8]) -> Vec<u8> {
    let said = &said[..said.len().min(STRANGE_BYTES_MAX)];
    [b"the server said what is not ", dialect.as_bytes(), b": ", said].concat()
}

/// Empties a scratch buffer, and makes it smaller if it had to grow much.
pub(super) fn scratch(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.clear();
    bytes.shrink_to(SCRATCH_BYTES_KEPT);
    bytes
}
