//! What waits for the kernel to take it, of one connection: bytes in order, and where what the
//! audience said ends in them.
//!
//! Sans-io. A frame that the kernel has not taken to its last byte nobody can have heard: when its
//! connection is over, it was not sent.

use std::collections::VecDeque;
use std::mem;

use super::tls::RECORD_BYTES;
use crate::wire::frame::header_len;

/// Bytes that wait.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: Vec<u8>,
    /// Bytes that were here and are not any more.
    taken: u64,
    /// Where each said frame ends that is not taken whole, counted as `taken` is.
    ends: VecDeque<u64>,
    /// Bytes of answers that came here since nothing waited.
    answers: usize,
}

impl Output {
    /// Bytes that wait.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What goes next.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// More, behind the rest.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The last bytes, so many, answer the server; how many do by now.
    pub(super) fn answered(&mut self, bytes: usize) -> usize {
        self.answers += bytes.min(self.len());
        self.answers
    }

    /// The last bytes, `wire_bytes` with those that did not have to wait, are these frames, or
    /// records of TLS with them.
    pub(super) fn said(&mut self, frames: &[u8], wire_bytes: usize) {
        let end = self.taken + self.bytes.len() as u64;
        let mut at = 0;
        while let Some(frame_bytes) = masked_len(&frames[at..]) {
            at = at.saturating_add(frame_bytes).min(frames.len());
            // One that did not have to wait may have ended before all that was ever here.
            let frame_end = end.checked_sub(behind(at, frames.len(), wire_bytes) as u64);
            self.ends.extend(frame_end.filter(|frame_end| *frame_end > self.taken));
        }
    }

    /// The kernel took so many.
    pub(super) fn take(&mut self, bytes: usize) {
        self.bytes.drain(..bytes);
        self.taken += bytes as u64;
        while self.ends.front().is_some_and(|end| *end <= self.taken) {
            self.ends.pop_front();
        }
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Frames that were said and are not taken whole.
    pub(super) fn frames(&self) -> u32 {
        self.ends.len() as u32
    }

    /// Forgets everything; the bytes that waited.
    pub(super) fn clear(&mut self) -> Vec<u8> {
        mem::take(self).bytes
    }
}

/// Bytes of the client's frame that some bytes begin with (RFC 6455 section 5.2).
fn masked_len(bytes: &[u8]) -> Option<usize> {
    const KEY_BYTES: usize = 4;
    let payload_len = match bytes.get(1)? & 0x7F {
        126 => usize::from(u16::from_be_bytes(*bytes[2..].first_chunk()?)),
        127 => usize::try_from(u64::from_be_bytes(*bytes[2..].first_chunk()?)).ok()?,
        len => usize::from(len),
    };
    payload_len.checked_add(header_len(payload_len) + KEY_BYTES)
}

/// Bytes on the wire behind those that the first `at` of `len` bytes need. Every record of TLS is
/// longer than what is in it by the same, and of no use before its last byte.
fn behind(at: usize, len: usize, wire_bytes: usize) -> usize {
    let records = len.div_ceil(RECORD_BYTES);
    let more = (wire_bytes - len) / records.max(1);
    if more == 0 {
        return len - at;
    }
    let needed = at.div_ceil(RECORD_BYTES);
    len.saturating_sub(needed * RECORD_BYTES) + (records - needed) * more
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::frame::{OpCode, put_masked};

    /// Masked frames with so many bytes of payload.
    fn frames(payloads: &[usize]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for len in payloads {
            put_masked(&mut bytes, OpCode::Text, false, [1, 2, 3, 4], &vec![b'x'; *len]);
        }
        bytes
    }

    #[test]
    fn frames_wait_until_their_last_byte_is_taken() {
        let said = frames(&[0, 125, 126, 65_535, 65_536]);
        let ends = [6, 137, 271, 65_814, 131_364];
        assert_eq!(said.len(), ends[4]);
        for at_once in [0, 5, 6, 300, said.len() - 1] {
            let mut output = Output::default();
            output.push(&said[at_once..]);
            output.said(&said, said.len());
            let left = |taken| ends.iter().filter(|end| **end > taken).count() as u32;
            assert_eq!(output.frames(), left(at_once), "{at_once}");
            output.push(b"an answer");
            for taken in at_once..said.len() {
                output.take(1);
                assert_eq!(output.frames(), left(taken + 1), "{at_once} {taken}");
            }
            assert_eq!(output.bytes(), b"an answer");
        }
    }

    #[test]
    fn a_frame_needs_its_record_whole() {
        const MORE: usize = 22;
        let said = frames(&[100, 20_000, 100]);
        let wire_bytes = said.len() + 2 * MORE;
        let mut output = Output::default();
        output.push(&vec![0; wire_bytes]);
        output.said(&said, wire_bytes);
        output.take(RECORD_BYTES + MORE - 1);
        assert_eq!(output.frames(), 3);
        output.take(1);
        assert_eq!(output.frames(), 2);
        output.take(output.len() - 1);
        assert_eq!(output.frames(), 2);
        output.take(1);
        assert_eq!(output.frames(), 0);
    }

    #[test]
    fn what_is_no_frame_ends_with_the_rest() {
        for said in [&[0x81, 0xFF][..], &[0x81, 0xFF, 255, 255, 255, 255, 255, 255, 255, 255], b"x"]
        {
            let mut output = Output::default();
            output.push(said);
            output.said(said, said.len());
            assert!(output.frames() <= 1);
            output.take(said.len());
            assert_eq!(output.frames(), 0);
        }
    }

    #[test]
    fn answers_are_counted_while_anything_waits() {
        let mut output = Output::default();
        output.push(b"abc");
        assert_eq!(output.answered(5), 3, "two were taken at once");
        output.take(2);
        output.push(b"de");
        assert_eq!(output.answered(2), 5);
        output.take(3);
        assert_eq!(output.answered(0), 0);
    }
}
