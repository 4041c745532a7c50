//! The header of a frame (RFC 6455 section 5.2), and every rule that can be told from it.
//!
//! Called by the decoder with whatever bytes there are. The rules are asked in the order of the
//! bytes, so what a client is told does not depend on how its bytes were cut into reads. Owns no
//! state: what is known of the message before the frame comes in as [`Open`].

use super::{
    CONTROL_BYTES_MAX, FIN, FrameBounds, LEN, LEN_16, LEN_64, MASK, OPCODE, OpCode, RSV1,
    RSV2_RSV3, Sender, Violation, is_control,
};

/// A frame, but for its payload.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) opcode: OpCode,
    pub(super) fin: bool,
    pub(super) rsv1: bool,
    /// `None` in a server's frame.
    pub(super) mask: Option<[u8; 4]>,
    /// Bytes of the payload, within the bound.
    pub(super) payload_len: usize,
    /// Bytes of the header itself.
    pub(super) len: usize,
}

/// A message of which fragments have come, and not the last.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// Payload bytes so far.
    pub(super) bytes: usize,
    pub(super) compressed: bool,
}

impl Header {
    /// The header at the front of `bytes`, or `None` if it is not whole yet.
    ///
    /// # Errors
    ///
    /// The violation, as soon as the bytes that show it are there.
    #[inline]
    pub(super) fn parse(
        bytes: &[u8],
        open: Option<Open>,
        bounds: &FrameBounds,
    ) -> Result<Option<Header>, Violation> {
        let &[first, second, ref rest @ ..] = bytes else { return Ok(None) };
        let opcode = opcode(first)?;
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        check_kind(opcode, fin, open.is_some())?;
        check_rsv(first, opcode, bounds)?;
        let masked = second & MASK != 0;
        match bounds.sender {
            Sender::Client if !masked => {
                return Err(Violation::Protocol("client frame without a mask"));
            }
            Sender::Server if masked => {
                return Err(Violation::Protocol("server frame with a mask"));
            }
            _ => {}
        }
        if is_control(opcode) && usize::from(second & LEN) > CONTROL_BYTES_MAX {
            return Err(Violation::Protocol("control frame longer than 125 bytes"));
        }
        let Some((claimed, rest)) = length(second & LEN, rest)? else { return Ok(None) };
        let payload_len = usize::try_from(claimed).map_err(|_| Violation::TooLarge)?;
        if !is_control(opcode) {
            let open = open.unwrap_or(Open { bytes: 0, compressed: rsv1 });
            let bytes_max = bounds.framed_bytes_max(open.compressed);
            if payload_len > bytes_max.saturating_sub(open.bytes) {
                return Err(Violation::TooLarge);
            }
        }
        let (mask, payload) = if masked {
            let Some((&mask, payload)) = rest.split_first_chunk() else { return Ok(None) };
            (Some(mask), payload)
        } else {
            (None, rest)
        };
        let len = bytes.len() - payload.len();
        Ok(Some(Header { opcode, fin, rsv1, mask, payload_len, len }))
    }
}

#[inline]
fn opcode(first: u8) -> Result<OpCode, Violation> {
    Ok(match first & OPCODE {
        0x0 => OpCode::Continuation,
        0x1 => OpCode::Text,
        0x2 => OpCode::Binary,
        0x8 => OpCode::Close,
        0x9 => OpCode::Ping,
        0xA => OpCode::Pong,
        _ => return Err(Violation::Protocol("reserved opcode")),
    })
}

/// Fragmentation: RFC 6455 section 5.4.
#[inline]
fn check_kind(opcode: OpCode, fin: bool, open: bool) -> Result<(), Violation> {
    match opcode {
        OpCode::Continuation if !open => {
            Err(Violation::Protocol("continuation without a message to continue"))
        }
        OpCode::Text | OpCode::Binary if open => {
            Err(Violation::Protocol("new message within a fragmented one"))
        }
        OpCode::Close | OpCode::Ping | OpCode::Pong if !fin => {
            Err(Violation::Protocol("fragmented control frame"))
        }
        _ => Ok(()),
    }
}

/// RSV1 marks the first frame of a compressed message (RFC 7692 section 6) and nothing else.
#[inline]
fn check_rsv(first: u8, opcode: OpCode, bounds: &FrameBounds) -> Result<(), Violation> {
    let may_compress = bounds.compression && matches!(opcode, OpCode::Text | OpCode::Binary);
    if first & RSV2_RSV3 != 0 || (first & RSV1 != 0 && !may_compress) {
        return Err(Violation::Protocol("reserved bit set"));
    }
    Ok(())
}

/// The payload's length and the bytes behind it; the shortest form is the only one allowed.
#[inline]
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, Violation> {
    let (len, rest, len_min) = match short {
        LEN_16 => match rest.split_first_chunk() {
            Some((len, rest)) => (u64::from(u16::from_be_bytes(*len)), rest, u64::from(LEN_16)),
            None => return Ok(None),
        },
        LEN_64 => match rest.split_first_chunk() {
            Some((len, rest)) => (u64::from_be_bytes(*len), rest, 1 << 16),
            None => return Ok(None),
        },
        _ => (u64::from(short), rest, 0),
    };
    if len >> 63 != 0 {
        return Err(Violation::Protocol("payload length with its top bit set"));
    }
    if len < len_min {
        return Err(Violation::Protocol("payload length not in its shortest form"));
    }
    Ok(Some((len, rest)))
}
