//! The encoder: a publication becomes one frame of a lane, in the lane's form, compressed where the
//! lane is.
//!
//! A lane is a form of deliveries, as dialects have them, and a packing: plain, or compressed with a
//! window of so many bits. What one lane's connections are sent is the same to the byte.
//!
//! Owns what compressing and formatting keep between messages. Called by the fan-out once a message
//! and lane, and by the echo dialect once a message. Never: who gets it.

use std::sync::Arc;

use crate::config::Dialect;
use crate::limits::ENCODER_BYTES_KEPT;
use crate::message::Publication;
use crate::metrics::ShardMetrics;
use crate::shard::outbox::{Droppable, Outbox, Range};
use crate::time::{RFC3339_BYTES, Timestamp};
use crate::wire::deflate::{Accepted, Deflaters, WINDOW_BITS_MAX, WINDOW_BITS_MIN};
use crate::wire::frame::{self, OpCode};
use crate::wire::{channels, events, topics};

/// Packings: plain, and compressed with a window of 15 down to 9 bits.
const PACKINGS: u8 = 2 + WINDOW_BITS_MAX - WINDOW_BITS_MIN;
/// The lane of polling sessions, which is not there yet.
pub(super) const POLLING: u8 = u8::MAX;
/// Lanes of the outbox: each form in each packing.
pub(super) const LANES: usize = FORMS.len() * PACKINGS as usize;

/// How a dialect writes a delivery; the time is given as text too.
type Form = fn(&mut Vec<u8>, &Publication<'_>, &[u8; RFC3339_BYTES]);
/// The forms, by number.
const FORMS: [Form; 3] = [topics::delivery, events::delivery, channels::delivery];

/// The lane of a connection.
pub(super) fn lane_of(dialect: Dialect, compression: Option<Accepted>) -> u8 {
    let form = match dialect {
        // The last three are delivered nothing.
        Dialect::Topics | Dialect::Echo | Dialect::Admin | Dialect::SocketIo => 0,
        Dialect::Events => 1,
        Dialect::Channels => 2,
    };
    form * PACKINGS + compression.map_or(0, |it| 1 + WINDOW_BITS_MAX - it.server_bits)
}

fn form_of(lane: u8) -> Form {
    FORMS[usize::from(lane / PACKINGS)]
}

/// The window of a lane that is compressed.
fn window_bits(lane: u8) -> Option<u8> {
    let packing = lane % PACKINGS;
    (packing > 0).then(|| 1 + WINDOW_BITS_MAX - packing)
}

/// Where a publication stands in each lane that it is encoded in.
#[derive(Default)]
pub(super) struct Encoded([Option<Range>; LANES]);

impl Encoded {
    /// Its range in a lane; `encode` is called once a lane.
    #[inline]
    pub(super) fn in_lane(&mut self, lane: u8, encode: impl FnOnce(u8) -> Range) -> Range {
        match self.0[usize::from(lane)] {
            Some(range) => range,
            None => *self.0[usize::from(lane)].insert(encode(lane)),
        }
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

    /// Encodes a publication into a lane.
    pub(super) fn encode(
        &mut self,
        outbox: &mut Outbox,
        lane: u8,
        publication: &Publication<'_>,
        compression_min_bytes: Option<usize>,
    ) -> Range {
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
        let worth = compression_min_bytes.is_some_and(|min| payload.len() >= min);
        let Some(window_bits) = window_bits(lane).filter(|_| worth) else {
            return outbox.write(lane, droppable, |out| {
                frame::put_frame(out, opcode, false, payload);
            });
        };
        let deflater = self.deflaters.with_window(window_bits);
        deflater.deflate(payload, &mut self.deflated);
        self.metrics.compressions_total.add(1);
        let range = outbox.write(lane, droppable, |out| {
            frame::put_frame(out, opcode, true, &self.deflated);
        });
        self.deflated.clear();
        self.deflated.shrink_to(ENCODER_BYTES_KEPT);
        range
    }
}
