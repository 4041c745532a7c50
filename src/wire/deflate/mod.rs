//! permessage-deflate (RFC 7692): the payloads of messages, deflated and inflated.
//!
//! A shard owns one [`Inflater`] and the [`Deflaters`], one for each window size in use; no
//! connection keeps a state of its own, because both directions are without context takeover. That
//! is what makes it possible to deflate a message once for all its receivers. What a client offers
//! is answered by [`negotiate`]; which frames are compressed is `wire/frame`'s business.

mod offer;
#[cfg(test)]
mod tests;

pub use offer::{Accepted, negotiate};

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};
use thiserror::Error;

use crate::wire::frame::Violation;

/// Bits of the smallest window that can be used: zlib makes no raw deflate with 8.
pub const WINDOW_BITS_MIN: u8 = 9;
/// Bits of the largest window, 32 KiB.
pub const WINDOW_BITS_MAX: u8 = 15;

/// zlib's level: what a message is deflated once for, all of its receivers wait for.
const LEVEL: u32 = 3;
/// Bytes of room given to zlib at least. A flush that ends exactly where the room does is made
/// again; zlib asks for more than six.
const ROOM_BYTES_MIN: usize = 128;
/// Bytes inflated at once.
const PIECE_BYTES: usize = 16 << 10;
/// What a sync flush ends with: an empty stored block but for its three header bits (RFC 7692
/// section 7.2.1).
const FLUSH_TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];
/// The flush's tail, then an empty last block: inflating ends with these bytes if, and but for
/// contrived data only if, the payload ended where a block may begin.
const END_PROBE: [u8; 9] = [0x00, 0x00, 0xFF, 0xFF, 0x01, 0x00, 0x00, 0xFF, 0xFF];

/// Why a compressed payload is refused. The client's fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum InflateError {
    /// Not deflated data, or cut short.
    #[error("corrupt deflate data")]
    Corrupt,
    /// It inflates to more than the bound.
    #[error("message too large after inflating")]
    TooLarge,
}

impl From<InflateError> for Violation {
    fn from(error: InflateError) -> Self {
        match error {
            InflateError::Corrupt => Violation::Protocol("corrupt deflate data"),
            InflateError::TooLarge => Violation::TooLarge,
        }
    }
}

/// Deflates messages for one window size. Holds zlib's state, about 370 KB for the largest window.
#[derive(Debug)]
pub struct Deflater {
    zlib: Compress,
}

impl Deflater {
    /// For receivers with a window of `2^window_bits` bytes.
    ///
    /// # Panics
    ///
    /// If `window_bits` is not in [`WINDOW_BITS_MIN`]`..=`[`WINDOW_BITS_MAX`].
    pub fn new(window_bits: u8) -> Self {
        let level = Compression::new(LEVEL);
        Deflater { zlib: Compress::new_with_window_bits(level, false, window_bits) }
    }

    /// Appends `payload` deflated as one message (RFC 7692 section 7.2.1).
    ///
    /// # Panics
    ///
    /// Never, unless zlib's state is broken.
    pub fn deflate(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            out.push(0x00); // RFC 7692 section 7.2.3.6.
            return;
        }
        self.zlib.reset();
        let mut rest = payload;
        loop {
            out.reserve(ROOM_BYTES_MIN.max(rest.len() / 2));
            let taken_before = self.zlib.total_in();
            self.zlib
                .compress_vec(rest, out, FlushCompress::Sync)
                .expect("a fresh deflate state takes any bytes");
            rest = &rest[(self.zlib.total_in() - taken_before) as usize..];
            if out.len() < out.capacity() {
                break;
            }
        }
        debug_assert!(rest.is_empty() && out.ends_with(&FLUSH_TAIL));
        out.truncate(out.len() - FLUSH_TAIL.len());
    }
}

/// A shard's deflaters, each made when its window size is first asked for.
#[derive(Debug, Default)]
pub struct Deflaters {
    by_window: [Option<Box<Deflater>>; (WINDOW_BITS_MAX - WINDOW_BITS_MIN + 1) as usize],
}

impl Deflaters {
    /// The deflater for receivers of [`Accepted::server_bits`].
    ///
    /// # Panics
    ///
    /// If `window_bits` is not in [`WINDOW_BITS_MIN`]`..=`[`WINDOW_BITS_MAX`].
    pub fn with_window(&mut self, window_bits: u8) -> &mut Deflater {
        let at = usize::from(window_bits - WINDOW_BITS_MIN);
        self.by_window[at].get_or_insert_with(|| Box::new(Deflater::new(window_bits)))
    }
}

/// Inflates messages of any client: the largest window takes the smaller ones. Holds zlib's state,
/// about 46 KB, and a piece of output.
#[derive(Debug)]
pub struct Inflater {
    zlib: Decompress,
    piece: Box<[u8]>,
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

impl Inflater {
    /// One serves all connections of a shard.
    pub fn new() -> Self {
        Inflater {
            zlib: Decompress::new_with_window_bits(false, WINDOW_BITS_MAX),
            piece: vec![0; PIECE_BYTES].into_boxed_slice(),
        }
    }

    /// Appends the message that `payload` is deflated from (RFC 7692 section 7.2.2), at most
    /// `bytes_max` bytes. `out` grows by what is really produced.
    ///
    /// # Errors
    ///
    /// Corrupt data, or more than `bytes_max` bytes; `out` is then as it was, but for its capacity.
    pub fn inflate(
        &mut self,
        payload: &[u8],
        bytes_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        // Not what RFC 7692 section 7.2.3.6 says an empty message is, but what a sender has whose
        // zlib makes nothing of a second flush without input between.
        if payload.is_empty() {
            return Ok(());
        }
        let start = out.len();
        let result = self.inflate_blocks(payload, start.saturating_add(bytes_max), out);
        if result.is_err() {
            out.truncate(start);
        }
        result
    }

    fn inflate_blocks(
        &mut self,
        mut payload: &[u8],
        len_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<(), InflateError> {
        // A block with BFINAL set is allowed, and others may follow it (RFC 7692 section 7.2.3.4):
        // for zlib those are a new stream, begun at the next byte.
        loop {
            self.zlib.reset(false);
            let Some(rest) = self.run(payload, len_max, out)? else { break };
            if rest.is_empty() {
                return Ok(());
            }
            payload = rest;
        }
        match self.run(&END_PROBE, out.len(), out) {
            Ok(Some([])) => Ok(()),
            _ => Err(InflateError::Corrupt),
        }
    }

    /// Inflates all of `input`, or up to the end of a last block: then what is behind it.
    fn run<'a>(
        &mut self,
        mut input: &'a [u8],
        len_max: usize,
        out: &mut Vec<u8>,
    ) -> Result<Option<&'a [u8]>, InflateError> {
        loop {
            // One byte more than allowed is room enough to see that there is one.
            let room = (len_max - out.len()).saturating_add(1).min(PIECE_BYTES);
            let (taken_before, made_before) = (self.zlib.total_in(), self.zlib.total_out());
            let status = self
                .zlib
                .decompress(input, &mut self.piece[..room], FlushDecompress::Sync)
                .map_err(|_| InflateError::Corrupt)?;
            let taken = (self.zlib.total_in() - taken_before) as usize;
            let made = (self.zlib.total_out() - made_before) as usize;
            if made > len_max - out.len() {
                return Err(InflateError::TooLarge);
            }
            out.extend_from_slice(&self.piece[..made]);
            input = &input[taken..];
            if status == Status::StreamEnd {
                return Ok(Some(input));
            }
            if made < room {
                // There was room left, so zlib has taken all it can of the input.
                return if input.is_empty() { Ok(None) } else { Err(InflateError::Corrupt) };
            }
        }
    }
}
