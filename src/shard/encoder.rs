//! The encoder: a publication becomes one frame of a lane, compressed where the lane is.
//!
//! Owns what compressing and formatting keep between messages. Called by the fan-out once a message
//! and lane, and by the echo dialect once a message. Never: who gets it.

use std::sync::Arc;

use crate::limits::ENCODER_BYTES_KEPT;
use crate::message::Publication;
use crate::metrics::ShardMetrics;
use crate::shard::hub::window_bits;
use crate::shard::outbox::{Droppable, Outbox, Range};
use crate::time::{RFC3339_BYTES, Timestamp};
use crate::wire::deflate::Deflaters;
use crate::wire::frame::{self, OpCode};
use crate::wire::topics as dialect;

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
        if lane == 0 {
            return outbox.write(lane, droppable, |out| {
                let mark = frame::begin(out);
                dialect::delivery(out, publication, &self.at_text);
                frame::end(out, mark, OpCode::Text, false);
            });
        }
        dialect::delivery(&mut self.text, publication, &self.at_text);
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
        if lane == 0 || !worth {
            return outbox.write(lane, droppable, |out| {
                frame::put_frame(out, opcode, false, payload);
            });
        }
        let deflater = self.deflaters.with_window(window_bits(lane));
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
