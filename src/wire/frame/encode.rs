//! The encoder: a server's frames, unmasked, and a client's, appended to a buffer of the caller.
//!
//! A payload at hand goes out by [`put_frame`]; one that is written piece by piece, its length not
//! known before, stands between [`begin`] and [`end`]. The caller keeps to the order of fragments
//! and to the size of control frames. RFC 6455 section 5.2.

use fastwebsockets::unmask;

use super::{CONTROL_BYTES_MAX, FIN, LEN, LEN_16, LEN_64, MASK, OpCode, RSV1};
use crate::limits::CLOSE_REASON_BYTES_MAX;

/// Where a frame was begun in a buffer.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a frame that is begun has to be ended"]
pub struct Mark(usize);

/// The header length kept free by [`begin`]: that of payloads from 126 bytes to 64 KiB.
const COMMON_HEADER_LEN: usize = 4;

/// Bytes of the header of a server's frame with `payload_len` bytes of payload.
#[inline]
pub const fn header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// Appends a whole frame. `rsv1` says that the payload is deflated (RFC 7692 section 6).
#[inline]
pub fn put_frame(out: &mut Vec<u8>, opcode: OpCode, rsv1: bool, payload: &[u8]) {
    let (header, header_len) = header(opcode, rsv1, payload.len());
    out.reserve(header_len + payload.len());
    out.extend_from_slice(&header[..header_len]);
    out.extend_from_slice(payload);
}

/// Appends a whole frame of a client, masked with the key (RFC 6455 section 5.3).
pub fn put_masked(out: &mut Vec<u8>, opcode: OpCode, rsv1: bool, key: [u8; 4], payload: &[u8]) {
    let (mut header, header_len) = header(opcode, rsv1, payload.len());
    header[1] |= MASK;
    out.reserve(header_len + key.len() + payload.len());
    out.extend_from_slice(&header[..header_len]);
    out.extend_from_slice(&key);
    let start = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[start..], key);
}

/// Appends a close frame. Without a code there is no reason either; a reason longer than
/// [`CLOSE_REASON_BYTES_MAX`] is cut between two characters.
pub fn put_close(out: &mut Vec<u8>, code: Option<u16>, reason: &str) {
    let mut payload = [0; CONTROL_BYTES_MAX];
    let mut len = 0;
    if let Some(code) = code {
        let reason = &reason[..reason.floor_char_boundary(CLOSE_REASON_BYTES_MAX)];
        len = 2 + reason.len();
        payload[..2].copy_from_slice(&code.to_be_bytes());
        payload[2..len].copy_from_slice(reason.as_bytes());
    }
    put_frame(out, OpCode::Close, false, &payload[..len]);
}

/// Begins a frame: the caller appends its payload to `out` and nothing else, then calls [`end`].
#[inline]
pub fn begin(out: &mut Vec<u8>) -> Mark {
    let mark = Mark(out.len());
    out.extend_from_slice(&[0; COMMON_HEADER_LEN]);
    mark
}

/// Ends the frame begun at the mark: writes its header. The payload is moved, by 2 or 6 bytes, if it
/// is shorter than 126 bytes or longer than 64 KiB.
///
/// # Panics
///
/// If `out` is shorter than when the frame was begun.
#[inline]
pub fn end(out: &mut Vec<u8>, Mark(start): Mark, opcode: OpCode, rsv1: bool) {
    let payload_at = start + COMMON_HEADER_LEN;
    let payload_len = out.len() - payload_at;
    let (header, header_len) = header(opcode, rsv1, payload_len);
    if header_len < COMMON_HEADER_LEN {
        out.copy_within(payload_at.., start + header_len);
        out.truncate(start + header_len + payload_len);
    } else if header_len > COMMON_HEADER_LEN {
        out.resize(start + header_len + payload_len, 0);
        out.copy_within(payload_at..payload_at + payload_len, start + header_len);
    }
    out[start..start + header_len].copy_from_slice(&header[..header_len]);
}

/// Bytes of the server's frame at the front of `bytes`, header and payload, or `None` if its
/// header is not whole. For walking a queue of frames that [`put_frame`] or [`end`] made.
#[inline]
pub fn frame_len(bytes: &[u8]) -> Option<usize> {
    let (&[_, second], rest) = bytes.split_first_chunk()?;
    let payload_len = match second & LEN {
        LEN_16 => usize::from(u16::from_be_bytes(*rest.first_chunk()?)),
        LEN_64 => usize::try_from(u64::from_be_bytes(*rest.first_chunk()?)).ok()?,
        len => usize::from(len),
    };
    header_len(payload_len).checked_add(payload_len)
}

/// A header in the shortest form, and its length.
#[inline]
fn header(opcode: OpCode, rsv1: bool, payload_len: usize) -> ([u8; 10], usize) {
    let mut header = [0; 10];
    header[0] = FIN | if rsv1 { RSV1 } else { 0 } | opcode as u8;
    let header_len = header_len(payload_len);
    match header_len {
        2 => header[1] = payload_len as u8,
        4 => {
            header[1] = LEN_16;
            header[2..4].copy_from_slice(&(payload_len as u16).to_be_bytes());
        }
        _ => {
            header[1] = LEN_64;
            header[2..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
    (header, header_len)
}
