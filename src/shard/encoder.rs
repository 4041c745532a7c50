//! The encoder: a publication becomes one frame of a lane, in the lane's form, compressed where the
//! lane is.
//!
//! A lane is a form of deliveries, as dialects have them, and a packing: plain, or compressed with a
//! window of so many bits. What one lane's connections are sent is the same to the byte, but in the
//! lanes of Socket.IO: they carry a form for each namespace, and a connection may be in several.
//!
//! Owns what compressing and formatting keep between messages. Called by the fan-out once a message
//! and lane, and by the echo dialect once a message. Never: who gets it.

mod names;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use crate::announcement;
use crate::config::Dialect;
use crate::limits::ENCODER_BYTES_KEPT;
use crate::message::{Binary, Publication};
use crate::metrics::ShardMetrics;
use crate::shard::outbox::{Droppable, Outbox, Range};
use crate::shard::policy::Policy;
use crate::shard::recovery::Offset;
use crate::time::{RFC3339_BYTES, Timestamp};
use crate::wire::deflate::{Accepted, Deflaters, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::wire::engineio::{self, Packet, Transport};
use crate::wire::frame::{self, OpCode};
use crate::wire::{channels, events, socketio, topics};

/// Packings: plain, and compressed with a window of 15 down to 9 bits.
const PACKINGS: u8 = 2 + WINDOW_BITS_MAX - WINDOW_BITS_MIN;
/// The first lane of Socket.IO over WebSocket, of as many as there are packings, behind those of
/// [`FORMS`].
pub(super) const SOCKETIO: u8 = FORMS.len() as u8 * PACKINGS;
/// The lane of Socket.IO over polling: records, each with its separator behind it.
pub(super) const POLLING: u8 = SOCKETIO + PACKINGS;
/// Lanes of the outbox.
pub(super) const LANES: usize = POLLING as usize + 1;
/// Forms of a Socket.IO lane: one of each namespace. Any other lane has one.
const SOCKETIO_FORMS: u8 = 2;
/// Lanes of several forms, which are the last.
const MIXED_LANES: usize = LANES - SOCKETIO as usize;
/// Pairs of a lane and one of its forms.
const PLACES: usize = LANES + (SOCKETIO_FORMS as usize - 1) * MIXED_LANES;

/// How a dialect writes a delivery; the time is given as text too.
type Form = fn(&mut Vec<u8>, &Publication<'_>, &[u8; RFC3339_BYTES]);
/// The forms, by number.
const FORMS: [Form; 3] = [topics::delivery, events::delivery, channels::delivery];

/// The lane of a connection.
pub(super) fn lane_of(dialect: Dialect, compression: Option<Accepted>) -> u8 {
    let plain = match dialect {
        // The last two are delivered nothing.
        Dialect::Topics | Dialect::Echo | Dialect::Admin => 0,
        Dialect::Events => PACKINGS,
        Dialect::Channels => 2 * PACKINGS,
        Dialect::SocketIo => SOCKETIO,
    };
    plain + compression.map_or(0, |it| 1 + WINDOW_BITS_MAX - it.server_bits)
}

/// The first of the lanes that cannot say a publication: its event's name is reserved in Socket.IO.
pub(super) fn mute_from(publication: &Publication<'_>) -> u8 {
    if publication.event.is_some_and(socketio::is_unsayable) { SOCKETIO } else { u8::MAX }
}

fn form_of(lane: u8) -> Form {
    FORMS[usize::from(lane / PACKINGS)]
}

/// The window of a lane that is compressed.
fn window_bits(lane: u8) -> Option<u8> {
    let packing = lane % PACKINGS;
    (packing > 0).then(|| 1 + WINDOW_BITS_MAX - packing)
}

/// Where a publication stands in each lane and form that it is encoded in.
///
/// A table, though most publications have one place or two: what a delivery costs more in a list,
/// to be searched whenever the next subscriber has another lane, is more than filling this.
pub(super) struct Encoded([Range; PLACES]);

impl Encoded {
    /// Its range in a lane and form; `encode` is called once for both.
    #[inline]
    pub(super) fn in_lane(
        &mut self,
        lane: u8,
        form: u8,
        encode: impl FnOnce(u8) -> Range,
    ) -> Range {
        debug_assert!(form == 0 || lane >= SOCKETIO && form < SOCKETIO_FORMS, "{lane}, {form}");
        let place = &mut self.0[usize::from(lane) + usize::from(form) * MIXED_LANES];
        if place.is_empty() {
            *place = encode(lane);
        }
        *place
    }
}

impl Default for Encoded {
    fn default() -> Self {
        Self([Range::EMPTY; PLACES])
    }
}

/// What encoding needs and keeps between messages.
pub(super) struct Encoder {
    metrics: Arc<ShardMetrics>,
    deflaters: Deflaters,
    text: Vec<u8>,
    deflated: Vec<u8>,
    at: Timestamp,
    at_text: [u8; RFC3339_BYTES],
}

impl Encoder {
    pub(super) fn new(metrics: Arc<ShardMetrics>) -> Self {
        let at = Timestamp(0);
        Self {
            metrics,
            deflaters: Deflaters::default(),
            text: Vec::new(),
            deflated: Vec::new(),
            at,
            at_text: at.rfc3339(),
        }
    }

    /// Encodes a publication into a lane, in one of the lane's forms; `offset` is asked for where one
    /// may stand.
    pub(super) fn encode(
        &mut self,
        outbox: &mut Outbox,
        (lane, form): (u8, u8),
        publication: &Publication<'_>,
        policy: &Policy,
        offset: impl FnOnce() -> Option<Offset>,
    ) -> Range {
        let compression_min_bytes = policy.compression_min_bytes;
        if lane >= SOCKETIO {
            return self.encode_event(outbox, (lane, form), publication, policy, offset());
        }
        if self.at != publication.at {
            self.at = publication.at;
            self.at_text = publication.at.rfc3339();
        }
        let droppable = Droppable::message(publication.topic_hash);
        let delivery = form_of(lane);
        if window_bits(lane).is_none() {
            return outbox.write(lane, droppable, |out| {
                let mark = frame::begin(out);
                delivery(out, publication, &self.at_text);
                frame::end(out, mark, OpCode::Text, false);
            });
        }
        delivery(&mut self.text, publication, &self.at_text);
        let text = std::mem::take(&mut self.text);
        let range = self.put(outbox, lane, droppable, OpCode::Text, &text, compression_min_bytes);
        self.text = text;
        self.text.clear();
        self.text.shrink_to(ENCODER_BYTES_KEPT);
        range
    }

    /// The same for Socket.IO: an event, and the bytes beside it.
    fn encode_event(
        &mut self,
        outbox: &mut Outbox,
        (lane, form): (u8, u8),
        publication: &Publication<'_>,
        policy: &Policy,
        offset: Option<Offset>,
    ) -> Range {
        let droppable = Droppable::message(publication.topic_hash);
        let (event, data) = match publication.verbatim {
            Some(message) => announcement::said(message),
            None => (publication.event, publication.data),
        };
        let (nsp, name) = names::event(&policy.socketio.events, form, event);
        let binary = publication.binary.unwrap_or(Binary { data, attachments: &[] });
        let count = binary.attachments.len() as u8;
        let offset = offset.as_ref().map(Offset::as_str);
        let say = |out: &mut Vec<u8>| {
            socketio::room_message(out, nsp, Some(name), "", count, binary.data, offset);
        };
        if window_bits(lane).is_none() {
            let wire = if lane == POLLING { Transport::Polling } else { Transport::WebSocket };
            return outbox.write(lane, droppable, |out| {
                let begun = engineio::begin_message(out, wire);
                say(out);
                engineio::end_message(out, begun);
                for bytes in binary.attachments {
                    engineio::put(out, wire, &Packet::Binary((&**bytes).into()));
                }
            });
        }
        self.text.push(engineio::MESSAGE);
        say(&mut self.text);
        let text = std::mem::take(&mut self.text);
        let bytes = binary.attachments.iter().map(|bytes| (OpCode::Binary, &**bytes));
        let frames = std::iter::once((OpCode::Text, &*text)).chain(bytes);
        let range = self.put_frames(outbox, lane, droppable, frames, policy.compression_min_bytes);
        self.text = text;
        self.text.clear();
        self.text.shrink_to(ENCODER_BYTES_KEPT);
        range
    }

    /// Writes frames into a lane as one unit, each compressed where the lane is and its payload is
    /// worth it.
    fn put_frames<'p>(
        &mut self,
        outbox: &mut Outbox,
        lane: u8,
        droppable: Droppable,
        frames: impl Iterator<Item = (OpCode, &'p [u8])>,
        compression_min_bytes: Option<usize>,
    ) -> Range {
        let Self { metrics, deflaters, deflated, .. } = self;
        let range = outbox.write(lane, droppable, |out| {
            for (opcode, payload) in frames {
                let worth = compression_min_bytes.is_some_and(|min| payload.len() >= min);
                let Some(window_bits) = window_bits(lane).filter(|_| worth) else {
                    frame::put_frame(out, opcode, false, payload);
                    continue;
                };
                deflaters.with_window(window_bits).deflate(payload, deflated);
                metrics.compressions_total.add(1);
                frame::put_frame(out, opcode, true, deflated);
                deflated.clear();
            }
        });
        deflated.shrink_to(ENCODER_BYTES_KEPT);
        range
    }

    /// Writes a payload into a lane, compressed where the lane is and the payload is worth it.
    pub(super) fn put(
        &mut self,
        outbox: &mut Outbox,
        lane: u8,
        droppable: Droppable,
        opcode: OpCode,
        payload: &[u8],
        compression_min_bytes: Option<usize>,
    ) -> Range {
        let frames = std::iter::once((opcode, payload));
        self.put_frames(outbox, lane, droppable, frames, compression_min_bytes)
    }
}
