//! The decoder: the other side's bytes, as they come, to events.
//!
//! A frame that lies whole in the read buffer is unmasked there and handed out as a slice of it: no
//! copy, no allocation. Everything else (a frame cut by the end of a read, a fragment) is taken
//! into the connection's [`Partial`], which is gone again when the frame or message is done. Each
//! byte is looked at once whatever the pieces; memory grows with bytes received, never with a
//! length that was claimed. RFC 6455 sections 5.4 to 5.6, 7.4 and 8.1.

use std::mem;
use std::ops::Range;

use fastwebsockets::unmask;

use super::header::{Header, Open};
use super::{Event, FrameBounds, HEADER_BYTES_MAX, OpCode, Sender, Violation, is_control};

/// The first allocation for a message that comes in pieces, in bytes.
const FIRST_RESERVE_BYTES: usize = 64;

/// What a connection keeps between two reads: the unfinished frame and the unfinished message.
#[derive(Debug, Default)]
pub struct Partial {
    frame: Frame,
    /// From the first fragment to the last.
    message: Option<Message>,
    /// The payload so far of a control frame.
    control: Vec<u8>,
}

/// How far the current frame has come.
#[derive(Debug, Default)]
enum Frame {
    /// Nothing of it yet.
    #[default]
    Boundary,
    Header {
        bytes: [u8; HEADER_BYTES_MAX],
        len: usize,
    },
    Payload {
        header: Header,
        received: usize,
    },
}

#[derive(Debug)]
struct Message {
    text: bool,
    compressed: bool,
    /// To be checked: a client's text, not compressed.
    checked: bool,
    bytes: Vec<u8>,
    /// The front of `bytes` that is known to be whole UTF-8 sequences.
    utf8_len: usize,
}

/// Takes one read's bytes apart. Call [`Decoder::next_event`] until it gives `None`, or drop it
/// sooner and offer the bytes from [`Decoder::consumed`] on again.
#[derive(Debug)]
pub struct Decoder<'a> {
    partial: &'a mut Option<Box<Partial>>,
    input: &'a mut [u8],
    consumed: usize,
    followed: bool,
    bounds: FrameBounds,
    /// The payload of the event last given, if it had come in pieces.
    held: Vec<u8>,
}

/// An event not yet made into slices.
struct Found {
    kind: Kind,
    place: Place,
}

enum Kind {
    Message { text: bool, compressed: bool },
    Control(OpCode),
}

enum Place {
    Input(Range<usize>),
    Held,
}

impl<'a> Decoder<'a> {
    /// Over the bytes of one read and what the connection kept from those before.
    pub fn new(
        partial: &'a mut Option<Box<Partial>>,
        input: &'a mut [u8],
        bounds: &FrameBounds,
    ) -> Self {
        Decoder { partial, input, consumed: 0, followed: false, bounds: *bounds, held: Vec::new() }
    }

    /// Bytes of the input that are done with, those of the last event included.
    pub fn consumed(&self) -> usize {
        self.consumed
    }

    /// Whether bytes stood behind the close frame, where nothing may follow (RFC 6455 section
    /// 5.5.1); they were dropped.
    pub fn close_is_followed(&self) -> bool {
        self.followed
    }

    /// The next event, or `None` when the input is used up. After a close or a violation all that
    /// follows is dropped unread; the caller feeds no further reads of that connection.
    ///
    /// # Errors
    ///
    /// The client broke the protocol: its connection is to be failed with that close (RFC 6455
    /// section 7.1.7). Events before the violation have been given.
    #[inline]
    pub fn next_event(&mut self) -> Result<Option<Event<'_>>, Violation> {
        self.held = Vec::new();
        match self.find().inspect_err(|_| self.stop())? {
            Some(found) => self.event(found),
            None => Ok(None),
        }
    }

    // Apart it costs 6 ns a frame: what is found goes through memory.
    #[expect(clippy::inline_always, reason = "measured: cargo bench --bench frame")]
    #[inline(always)]
    fn find(&mut self) -> Result<Option<Found>, Violation> {
        while self.consumed < self.input.len() {
            let within_payload = self
                .partial
                .as_deref()
                .is_some_and(|partial| matches!(partial.frame, Frame::Payload { .. }));
            let found = if within_payload {
                self.take_payload()?
            } else if let Some(header) = self.take_header()? {
                self.open_frame(header)?
            } else {
                None
            };
            if found.is_some() {
                return Ok(found);
            }
        }
        Ok(None)
    }

    #[inline]
    fn event(&mut self, found: Found) -> Result<Option<Event<'_>>, Violation> {
        if let Kind::Control(OpCode::Close) = found.kind {
            self.followed = self.consumed < self.input.len();
            self.stop();
        }
        let payload = match found.place {
            Place::Input(range) => &mut self.input[range],
            Place::Held => &mut self.held[..],
        };
        // Made where it is returned: to move it reads its flags as a word before they are there.
        match found.kind {
            Kind::Message { text, compressed } => {
                Ok(Some(Event::Message { text, compressed, payload }))
            }
            Kind::Control(OpCode::Ping) => Ok(Some(Event::Ping(payload))),
            Kind::Control(OpCode::Pong) => Ok(Some(Event::Pong(payload))),
            Kind::Control(_) => close(payload).map(Some),
        }
    }

    /// Drops what is unfinished and what is unread.
    fn stop(&mut self) {
        *self.partial = None;
        self.consumed = self.input.len();
    }

    /// The header at hand, begun in an earlier read or not; `None` if the input ends within it.
    #[inline]
    fn take_header(&mut self) -> Result<Option<Header>, Violation> {
        let rest = &self.input[self.consumed..];
        let Some(partial) = self.partial.as_deref_mut() else {
            let header = Header::parse(rest, None, &self.bounds)?;
            match &header {
                Some(header) => self.consumed += header.len,
                None => self.keep_header([0; HEADER_BYTES_MAX], 0),
            }
            return Ok(header);
        };
        let (mut bytes, had) = match partial.frame {
            Frame::Header { bytes, len } => (bytes, len),
            _ => ([0; HEADER_BYTES_MAX], 0),
        };
        let more = rest.len().min(HEADER_BYTES_MAX - had);
        bytes[had..had + more].copy_from_slice(&rest[..more]);
        let header = Header::parse(&bytes[..had + more], partial.open(), &self.bounds)?;
        match &header {
            Some(header) => self.consumed += header.len - had,
            None => self.keep_header(bytes, had),
        }
        Ok(header)
    }

    /// Keeps the rest of the input, the next bytes of a header of which `had` came before.
    fn keep_header(&mut self, mut bytes: [u8; HEADER_BYTES_MAX], had: usize) {
        let rest = &self.input[self.consumed..];
        let len = had + rest.len();
        bytes[had..len].copy_from_slice(rest);
        self.consumed = self.input.len();
        self.partial.get_or_insert_default().frame = Frame::Header { bytes, len };
    }

    /// Begins a frame whose header has just been read: the payload of a whole frame that needs no
    /// other is left in the input, any other is taken.
    #[inline]
    fn open_frame(&mut self, header: Header) -> Result<Option<Found>, Violation> {
        let whole = self.input.len() - self.consumed >= header.payload_len;
        let alone = header.fin && header.opcode != OpCode::Continuation;
        if !(whole && alone) {
            let frame = Frame::Payload { header, received: 0 };
            self.partial.get_or_insert_default().frame = frame;
            return self.take_payload();
        }
        self.close_frame();
        let range = self.consumed..self.consumed + header.payload_len;
        self.consumed = range.end;
        let payload = &mut self.input[range.clone()];
        if let Some(mask) = header.mask {
            unmask(payload, mask);
        }
        let kind = if is_control(header.opcode) {
            Kind::Control(header.opcode)
        } else {
            let (text, compressed) = (header.opcode == OpCode::Text, header.rsv1);
            let checked = text && !compressed && self.bounds.sender == Sender::Client;
            if checked && simdutf8::basic::from_utf8(payload).is_err() {
                return Err(Violation::BadUtf8);
            }
            Kind::Message { text, compressed }
        };
        Ok(Some(Found { kind, place: Place::Input(range) }))
    }

    /// Takes what there is of the current frame's payload, and ends the frame if that is all.
    fn take_payload(&mut self) -> Result<Option<Found>, Violation> {
        let Some(partial) = self.partial.as_deref_mut() else { return Ok(None) };
        let Frame::Payload { header, received } = &mut partial.frame else { return Ok(None) };
        let rest = &mut self.input[self.consumed..];
        let left = header.payload_len - *received;
        let piece_len = left.min(rest.len());
        let piece = &mut rest[..piece_len];
        if let Some(mut mask) = header.mask {
            mask.rotate_left(*received % 4);
            unmask(piece, mask);
        }
        self.consumed += piece_len;
        *received += piece_len;
        let header = *header;
        if is_control(header.opcode) {
            partial.control.extend_from_slice(piece);
        } else {
            let message = partial
                .message
                .get_or_insert_with(|| Message::begun_by(&header, self.bounds.sender));
            let bytes_max = if header.fin {
                message.bytes.len() + left
            } else {
                self.bounds.framed_bytes_max(message.compressed)
            };
            message.append(piece, bytes_max)?;
        }
        if piece_len < left { Ok(None) } else { self.end_frame(&header) }
    }

    /// Ends a frame whose payload was taken.
    fn end_frame(&mut self, header: &Header) -> Result<Option<Found>, Violation> {
        let Some(partial) = self.partial.as_deref_mut() else { return Ok(None) };
        if is_control(header.opcode) {
            self.held = mem::take(&mut partial.control);
            self.close_frame();
            let kind = Kind::Control(header.opcode);
            return Ok(Some(Found { kind, place: Place::Held }));
        }
        if !header.fin {
            self.close_frame();
            return Ok(None);
        }
        let Some(message) = partial.message.take() else { return Ok(None) };
        let Message { text, compressed, checked, bytes, utf8_len } = message;
        self.close_frame();
        if checked && utf8_len < bytes.len() {
            return Err(Violation::BadUtf8);
        }
        self.held = bytes;
        Ok(Some(Found { kind: Kind::Message { text, compressed }, place: Place::Held }))
    }

    /// Between frames again: what is kept is the unfinished message, if there is one.
    fn close_frame(&mut self) {
        match self.partial.as_deref_mut() {
            Some(partial) if partial.message.is_some() => partial.frame = Frame::Boundary,
            Some(_) => *self.partial = None,
            None => {}
        }
    }
}

impl Partial {
    /// Bytes held on the heap for this connection, this struct included.
    pub fn heap_bytes(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.bytes.capacity());
        size_of::<Self>() + message + self.control.capacity()
    }

    fn open(&self) -> Option<Open> {
        let message = self.message.as_ref()?;
        Some(Open { bytes: message.bytes.len(), compressed: message.compressed })
    }
}

impl Message {
    fn begun_by(header: &Header, sender: Sender) -> Self {
        let (text, compressed) = (header.opcode == OpCode::Text, header.rsv1);
        Message {
            text,
            compressed,
            checked: text && !compressed && sender == Sender::Client,
            bytes: Vec::new(),
            utf8_len: 0,
        }
    }

    /// Adds unmasked bytes. Text is checked up to its last byte at once, so a bad sequence is told
    /// before the frame ends. `bytes_max` is what the message can come to.
    fn append(&mut self, piece: &[u8], bytes_max: usize) -> Result<(), Violation> {
        let needed = self.bytes.len() + piece.len();
        if needed > self.bytes.capacity() {
            let doubled = (2 * self.bytes.capacity()).max(FIRST_RESERVE_BYTES);
            let target = doubled.min(bytes_max).max(needed);
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend_from_slice(piece);
        if !self.checked {
            return Ok(());
        }
        // At most three bytes, a sequence cut short, are looked at again.
        match simdutf8::compat::from_utf8(&self.bytes[self.utf8_len..]) {
            Ok(valid) => self.utf8_len += valid.len(),
            Err(error) if error.error_len().is_none() => self.utf8_len += error.valid_up_to(),
            Err(_) => return Err(Violation::BadUtf8),
        }
        Ok(())
    }
}

/// The body of a close frame: RFC 6455 sections 5.5.1 and 7.4.
fn close(payload: &[u8]) -> Result<Event<'_>, Violation> {
    let Some((code, reason)) = payload.split_first_chunk() else {
        return if payload.is_empty() {
            Ok(Event::Close { code: None, reason: "" })
        } else {
            Err(Violation::Protocol("close frame with half a code"))
        };
    };
    let code = u16::from_be_bytes(*code);
    // 1004 is reserved, 1005, 1006 and 1015 never stand on the wire; what is left below 3000 is
    // not registered.
    if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
        return Err(Violation::Protocol("close code that may not be sent"));
    }
    let reason = simdutf8::basic::from_utf8(reason).map_err(|_| Violation::BadUtf8)?;
    Ok(Event::Close { code: Some(code), reason })
}
