//! The frame decoder on any bytes: cut into reads it tells the same as at once, what it hands out
//! is within the bounds, and what it keeps is bounded by what it was given.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use shardwire::wire::frame::{
    CONTROL_BYTES_MAX, Decoder, Event, FrameBounds, OpCode, Partial, Sender, Violation, frame_len,
    put_close, put_frame,
};

/// Seven bytes at the front of an input; the rest is what the client sends.
#[derive(Arbitrary, Debug)]
struct Setup {
    compression: bool,
    message_bytes_max: u16,
    /// Lengths of the reads, round and round; 0 is taken as 1.
    reads: [u8; 4],
}

#[derive(Debug, Default, PartialEq)]
struct Outcome {
    /// The events, each as the frame that would echo it.
    echoes: Vec<Vec<u8>>,
    violation: Option<Violation>,
    closed: bool,
}

impl Outcome {
    fn see(&mut self, event: Event<'_>, bounds: &FrameBounds) {
        let mut echo = Vec::new();
        match event {
            Event::Message { text, compressed, payload } => {
                let more = if compressed { bounds.message_bytes_max / 8 + 64 } else { 0 };
                assert!(payload.len() <= bounds.message_bytes_max + more);
                assert!(bounds.compression || !compressed);
                assert!(!text || compressed || std::str::from_utf8(payload).is_ok());
                let opcode = if text { OpCode::Text } else { OpCode::Binary };
                put_frame(&mut echo, opcode, compressed, payload);
            }
            Event::Ping(payload) => put_frame(&mut echo, OpCode::Ping, false, payload),
            Event::Pong(payload) => put_frame(&mut echo, OpCode::Pong, false, payload),
            Event::Close { code, reason } => {
                self.closed = true;
                put_close(&mut echo, code, reason);
            }
        }
        assert_eq!(frame_len(&echo), Some(echo.len()));
        self.echoes.push(echo);
    }
}

fn decode<'a>(bounds: &FrameBounds, reads: impl Iterator<Item = &'a [u8]>) -> Outcome {
    let mut outcome = Outcome::default();
    let mut partial: Option<Box<Partial>> = None;
    let mut received = 0;
    for read in reads {
        received += read.len();
        let mut input = read.to_vec();
        let mut decoder = Decoder::new(&mut partial, &mut input, bounds);
        loop {
            match decoder.next_event() {
                Ok(Some(event)) => outcome.see(event, bounds),
                Ok(None) => break,
                Err(violation) => {
                    outcome.violation = Some(violation);
                    break;
                }
            }
        }
        assert_eq!(decoder.consumed(), read.len());
        let kept = partial.as_ref().map_or(0, |partial| partial.heap_bytes());
        assert!(kept <= size_of::<Partial>() + 64 + 2 * (received + CONTROL_BYTES_MAX));
        if outcome.closed || outcome.violation.is_some() {
            assert_eq!(kept, 0);
            break;
        }
    }
    outcome
}

fuzz_target!(|input: (Setup, &[u8])| {
    let (Setup { compression, message_bytes_max, reads }, stream) = input;
    let bounds = FrameBounds {
        message_bytes_max: message_bytes_max.into(),
        compression,
        sender: Sender::Client,
    };
    let whole = decode(&bounds, std::iter::once(stream));
    let (mut rest, mut reads) = (stream, reads.iter().cycle());
    let pieces = std::iter::from_fn(|| {
        let len = usize::from(*reads.next()?).clamp(1, rest.len().max(1));
        let (piece, after) = rest.split_at_checked(len)?;
        rest = after;
        Some(piece)
    });
    assert_eq!(decode(&bounds, pieces), whole);
});
