//! The rules of RFC 6455 one by one, what a connection keeps in memory, and the encoder.
//!
//! `splits` holds the decoder against a plain reference under any cutting of the bytes.

mod splits;

use super::*;
use crate::limits::CLOSE_REASON_BYTES_MAX;

const BOUNDS: FrameBounds =
    FrameBounds { message_bytes_max: 1 << 20, compression: false, sender: Sender::Client };
const COMPRESSED: FrameBounds = FrameBounds { compression: true, ..BOUNDS };
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// An event that owns its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seen {
    Message { text: bool, compressed: bool, payload: Vec<u8> },
    Ping(Vec<u8>),
    Pong(Vec<u8>),
    Close(Option<u16>, String),
}

impl From<Event<'_>> for Seen {
    fn from(event: Event<'_>) -> Self {
        match event {
            Event::Message { text, compressed, payload } => {
                Seen::Message { text, compressed, payload: payload.to_vec() }
            }
            Event::Ping(payload) => Seen::Ping(payload.to_vec()),
            Event::Pong(payload) => Seen::Pong(payload.to_vec()),
            Event::Close { code, reason } => Seen::Close(code, reason.to_owned()),
        }
    }
}

fn text(payload: &str) -> Seen {
    Seen::Message { text: true, compressed: false, payload: payload.into() }
}

fn binary(payload: &[u8]) -> Seen {
    Seen::Message { text: false, compressed: false, payload: payload.into() }
}

/// A client's frame with `first` as its first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    put_frame(&mut out, OpCode::Text, false, payload);
    let header_len = header_len(payload.len());
    out[0] = first;
    out[1] |= MASK;
    out.splice(header_len..header_len, KEY);
    for (byte, key) in out[header_len + 4..].iter_mut().zip(KEY.iter().cycle()) {
        *byte ^= key;
    }
    out
}

fn frames(parts: &[(u8, &[u8])]) -> Vec<u8> {
    parts.iter().flat_map(|(first, payload)| frame(*first, payload)).collect()
}

/// Feeds one read; stops at the first violation.
fn feed(
    partial: &mut Option<Box<Partial>>,
    bounds: &FrameBounds,
    read: &[u8],
    seen: &mut Vec<Seen>,
) -> Result<(), Violation> {
    let mut input = read.to_vec();
    let mut decoder = Decoder::new(partial, &mut input, bounds);
    while let Some(event) = decoder.next_event()? {
        seen.push(event.into());
    }
    assert_eq!(decoder.consumed(), read.len());
    Ok(())
}

/// What comes of the bytes, at once and byte by byte, which must be the same.
fn decode(bounds: &FrameBounds, bytes: &[u8]) -> (Vec<Seen>, Result<(), Violation>) {
    let (mut partial, mut whole) = (None, Vec::new());
    let result = feed(&mut partial, bounds, bytes, &mut whole);
    let (mut partial, mut single) = (None, Vec::new());
    let by_byte =
        bytes.chunks(1).try_for_each(|byte| feed(&mut partial, bounds, byte, &mut single));
    assert_eq!((&whole, result), (&single, by_byte));
    (whole, result)
}

#[test]
fn what_is_allowed() {
    let long = vec![b'x'; 70_000];
    let cases: Vec<(Vec<u8>, Vec<Seen>)> = vec![
        // RFC 6455 section 5.7.
        (b"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58".to_vec(), vec![text("Hello")]),
        (frame(0x81, b""), vec![text("")]),
        (frame(0x82, &[0xFF; 125]), vec![binary(&[0xFF; 125])]),
        (frame(0x82, &[7; 126]), vec![binary(&[7; 126])]),
        (frame(0x82, &long[..65_535]), vec![binary(&long[..65_535])]),
        (frame(0x82, &long), vec![binary(&long)]),
        (frame(0x89, &[1; 125]), vec![Seen::Ping(vec![1; 125])]),
        (frame(0x8A, b""), vec![Seen::Pong(vec![])]),
        (frame(0x88, b""), vec![Seen::Close(None, String::new())]),
        (frame(0x88, b"\x03\xe8bye"), vec![Seen::Close(Some(1000), "bye".into())]),
        (frames(&[(0x01, b"Hel"), (0x80, b"lo")]), vec![text("Hello")]),
        (frames(&[(0x01, b""), (0x00, b""), (0x80, b"")]), vec![text("")]),
        (
            frames(&[(0x02, b"a"), (0x89, b"p"), (0x00, b"b"), (0x8A, b""), (0x80, b"c")]),
            vec![Seen::Ping(b"p".into()), Seen::Pong(vec![]), binary(b"abc")],
        ),
        // A character cut by a fragment, and by an empty one within it.
        (
            frames(&[(0x01, b"\xf0\x9f"), (0x00, b""), (0x00, b"\x98"), (0x80, b"\x80")]),
            vec![text("\u{1F600}")],
        ),
        (frames(&[(0x81, b"a"), (0x82, b"b")]), vec![text("a"), binary(b"b")]),
        // What follows a close is not looked at.
        (
            frames(&[(0x01, b"a"), (0x88, b""), (0xFF, b"b")]),
            vec![Seen::Close(None, String::new())],
        ),
    ];
    for (bytes, expected) in cases {
        let (mut partial, mut seen) = (None, Vec::new());
        assert_eq!(feed(&mut partial, &BOUNDS, &bytes, &mut seen), Ok(()));
        assert_eq!(seen, expected);
        assert!(partial.is_none());
        if !matches!(expected[..], [Seen::Close(..)]) {
            assert_eq!(decode(&BOUNDS, &bytes), (expected, Ok(())));
        }
    }
}

#[test]
fn what_is_refused() {
    let header = |bytes: &[u8]| bytes.to_vec();
    let protocol = |rule| Violation::Protocol(rule);
    let reserved_bit = protocol("reserved bit set");
    let too_long = protocol("control frame longer than 125 bytes");
    let not_shortest = protocol("payload length not in its shortest form");
    let nested = protocol("new message within a fragmented one");
    let cases: Vec<(Vec<u8>, Violation)> = vec![
        (header(b"\x81\x05"), protocol("client frame without a mask")),
        (frame(0xC1, b""), reserved_bit),
        (frame(0xA1, b""), reserved_bit),
        (frame(0x91, b""), reserved_bit),
        (frame(0xC9, b""), reserved_bit),
        (frame(0x09, b""), protocol("fragmented control frame")),
        (frame(0x89, &[0; 126]), too_long),
        (header(b"\x88\xff"), too_long),
        (header(b"\x81\xfe\x00\x7d"), not_shortest),
        (header(b"\x81\xff\0\0\0\0\0\0\xff\xff"), not_shortest),
        (header(b"\x81\xff\x80\0\0\0\0\0\0\0"), protocol("payload length with its top bit set")),
        (header(b"\x81\xff\x7f\xff\xff\xff\xff\xff\xff\xff"), Violation::TooLarge),
        (header(b"\x82\xff\0\0\0\0\0\x10\0\x01"), Violation::TooLarge),
        (frame(0x80, b""), protocol("continuation without a message to continue")),
        (frames(&[(0x01, b"a"), (0x81, b"b")]), nested),
        (frames(&[(0x02, b"a"), (0x01, b"b")]), nested),
        (frame(0x88, b"\x03"), protocol("close frame with half a code")),
        (frame(0x88, b"\x03\xe8\xff"), Violation::BadUtf8),
        (frame(0x81, b"\xed\xa0\x80"), Violation::BadUtf8),
        (frame(0x81, b"\xe2\x82"), Violation::BadUtf8),
        (frames(&[(0x01, b"\xe2"), (0x80, b"\x82")]), Violation::BadUtf8),
    ];
    for (bytes, violation) in cases {
        assert_eq!(decode(&BOUNDS, &bytes), (vec![], Err(violation)));
    }
    for opcode in (0x3..=0x7).chain(0xB..=0xF) {
        let refused = (vec![], Err(protocol("reserved opcode")));
        assert_eq!(decode(&BOUNDS, &frame(0x80 | opcode, b"")), refused);
    }
}

#[test]
fn close_codes() {
    let allowed = |code| matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
    for code in (0..=5100).chain([u16::MAX]) {
        let (seen, result) = decode(&BOUNDS, &frame(0x88, &code.to_be_bytes()));
        assert_eq!(result.is_ok(), allowed(code), "{code}");
        assert_eq!(seen.len(), usize::from(allowed(code)));
    }
}

#[test]
fn violations_are_closes() {
    assert_eq!(Close::from(Violation::Protocol("")).code(), 1002);
    assert_eq!(Close::from(Violation::BadUtf8).code(), 1007);
    assert_eq!(Close::from(Violation::TooLarge).code(), 1009);
}

#[test]
fn rsv1_marks_the_first_frame_of_a_compressed_message() {
    let message = |text, payload: &[u8]| {
        vec![Seen::Message { text, compressed: true, payload: payload.into() }]
    };
    // Not UTF-8: deflated text is checked after inflating.
    assert_eq!(decode(&COMPRESSED, &frame(0xC1, b"\xff")), (message(true, b"\xff"), Ok(())));
    let fragmented = frames(&[(0x42, b"\xff"), (0x80, b"\xfe")]);
    assert_eq!(decode(&COMPRESSED, &fragmented), (message(false, b"\xff\xfe"), Ok(())));
    let reserved = (vec![], Err(Violation::Protocol("reserved bit set")));
    assert_eq!(decode(&COMPRESSED, &frames(&[(0x41, b"a"), (0xC0, b"b")])), reserved);
    assert_eq!(decode(&COMPRESSED, &frame(0xC9, b"")), reserved);
    assert_eq!(decode(&COMPRESSED, &frame(0xA1, b"")), reserved);
}

#[test]
fn bad_text_is_told_before_its_frame_ends() {
    // F4 90 begins no character; the frame claims a hundred bytes more.
    let mut bytes = frame(0x01, "κόσμε".as_bytes());
    bytes.extend_from_slice(&frame(0x80, &[b"\xf4\x90".as_slice(), &[b'x'; 100]].concat())[..8]);
    assert_eq!(decode(&BOUNDS, &bytes[..bytes.len() - 1]), (vec![], Ok(())));
    assert_eq!(decode(&BOUNDS, &bytes), (vec![], Err(Violation::BadUtf8)));
}

#[test]
fn the_bound_holds_for_the_sum_of_fragments() {
    let bounds = FrameBounds { message_bytes_max: 10, ..COMPRESSED };
    assert_eq!(decode(&bounds, &frame(0x82, &[0; 10])), (vec![binary(&[0; 10])], Ok(())));
    let ten = frames(&[(0x02, &[0; 6]), (0x89, &[0; 20]), (0x80, &[0; 4])]);
    assert_eq!(decode(&bounds, &ten).1, Ok(()));
    for bytes in [frame(0x82, &[0; 11]), frames(&[(0x02, &[0; 6]), (0x00, &[0; 5])])] {
        assert_eq!(decode(&bounds, &bytes), (vec![], Err(Violation::TooLarge)));
    }
    // Ten bytes deflated may be more than ten.
    assert_eq!(decode(&bounds, &frame(0xC2, &[0; 75])).1, Ok(()));
    assert_eq!(decode(&bounds, &frame(0xC2, &[0; 76])).1, Err(Violation::TooLarge));
}

#[test]
fn an_idle_connection_keeps_eight_bytes() {
    assert_eq!(size_of::<Option<Box<Partial>>>(), 8);
    assert!(size_of::<Partial>() <= 128);
    let bytes = frames(&[(0x01, b"a"), (0x89, b"ping"), (0x80, b"b")]);
    for end in 0..=bytes.len() {
        let (mut partial, mut seen) = (None, Vec::new());
        feed(&mut partial, &BOUNDS, &bytes[..end], &mut seen).unwrap();
        assert_eq!(partial.is_none(), end == 0 || end == bytes.len());
    }
    // A violation and a close let go of it too.
    for last in [frame(0x83, b""), frame(0x88, b"")] {
        let mut partial = None;
        let _ = feed(&mut partial, &BOUNDS, &[frame(0x01, b"a"), last].concat(), &mut Vec::new());
        assert!(partial.is_none());
    }
}

#[test]
fn memory_follows_what_was_received() {
    let mut partial = None;
    let mut heap_bytes = |read: &[u8]| {
        feed(&mut partial, &BOUNDS, read, &mut Vec::new()).unwrap();
        partial.as_ref().map_or(0, |partial| partial.heap_bytes())
    };
    // A claim of 1 MiB and ten bytes of it.
    let claimed = heap_bytes(b"\x02\xff\0\0\0\0\0\x0f\xff\xff1234abcdefghij");
    assert!(claimed <= size_of::<Partial>() + 64);
    for received in 11..=1000 {
        assert!(heap_bytes(b"x") <= size_of::<Partial>() + 2 * received.max(64));
    }
    // Fragments without payload, for ever.
    let empty = frame(0x00, b"").repeat(100);
    let mut partial = None;
    feed(&mut partial, &BOUNDS, &frame(0x01, b""), &mut Vec::new()).unwrap();
    for _ in 0..100 {
        feed(&mut partial, &BOUNDS, &empty, &mut Vec::new()).unwrap();
    }
    assert_eq!(partial.unwrap().heap_bytes(), size_of::<Partial>());
}

#[test]
fn a_message_in_65_536_fragments() {
    let mut bytes = frame(0x01, &[b'x'; 64]);
    bytes.extend(frame(0x00, &[b'x'; 64]).repeat(65_534));
    bytes.extend(frame(0x80, &[b'x'; 64]));
    let bounds = FrameBounds { message_bytes_max: 4 << 20, ..BOUNDS };
    let (mut partial, mut seen) = (None, Vec::new());
    for read in bytes.chunks(65_536) {
        feed(&mut partial, &bounds, read, &mut seen).unwrap();
        let kept = partial.as_ref().map_or(0, |partial| partial.heap_bytes());
        assert!(kept <= (4 << 20) + size_of::<Partial>());
    }
    assert_eq!(seen, [text(&"x".repeat(4 << 20))]);
    assert!(partial.is_none());
}

#[test]
fn a_whole_frame_is_handed_out_of_the_buffer() {
    let mut input = frames(&[(0x82, b"first"), (0x82, b"second")]);
    let addresses = input.as_ptr_range();
    let mut partial = None;
    let mut decoder = Decoder::new(&mut partial, &mut input, &BOUNDS);
    let Ok(Some(Event::Message { payload, .. })) = decoder.next_event() else { panic!() };
    assert!(addresses.contains(&payload.as_ptr()));
    // Dropped early, the rest is still to be had.
    let consumed = decoder.consumed();
    let mut seen = Vec::new();
    feed(&mut partial, &BOUNDS, &input[consumed..], &mut seen).unwrap();
    assert_eq!(seen, [binary(b"second")]);
}

#[test]
fn encoded_frames() {
    for len in [0, 1, 125, 126, 127, 65_535, 65_536, 70_000] {
        let payload: Vec<u8> = (0..len).map(|at| at as u8).collect();
        let (mut put, mut in_place) = (b"before".to_vec(), b"before".to_vec());
        put_frame(&mut put, OpCode::Binary, true, &payload);
        let mark = begin(&mut in_place);
        in_place.extend_from_slice(&payload);
        end(&mut in_place, mark, OpCode::Binary, true);
        assert_eq!(put, in_place);
        let frame = &put[6..];
        assert_eq!(frame[0], 0xC2);
        assert_eq!(&frame[header_len(len)..], payload);
        assert_eq!(frame_len(frame), Some(frame.len()));
        for cut in 0..header_len(len) {
            assert_eq!(frame_len(&frame[..cut]), None);
        }
    }
}

#[test]
fn encoded_closes() {
    for (code, reason, expected) in [
        (None, "not sent", b"\x88\x00".to_vec()),
        (Some(1000), "", b"\x88\x02\x03\xe8".to_vec()),
        (Some(1001), "bye", b"\x88\x05\x03\xe9bye".to_vec()),
    ] {
        let mut out = Vec::new();
        put_close(&mut out, code, reason);
        assert_eq!(out, expected);
    }
    let mut out = Vec::new();
    put_close(&mut out, Some(1000), &"ä".repeat(100));
    assert_eq!(out.len(), 2 + 2 + CLOSE_REASON_BYTES_MAX - 1);
    assert!(std::str::from_utf8(&out[4..]).is_ok());
}

/// A server's text is not checked, whole or in pieces.
#[test]
fn only_a_clients_text_is_checked() {
    let of_server = FrameBounds { sender: Sender::Server, ..BOUNDS };
    let mut frame = Vec::new();
    put_frame(&mut frame, OpCode::Text, false, b"\xed\xa0\x80");
    for cut in 1..=frame.len() {
        let (mut partial, mut heard) = (None, Vec::new());
        for piece in [&frame[..cut], &frame[cut..]] {
            let mut input = piece.to_vec();
            let mut decoder = Decoder::new(&mut partial, &mut input, &of_server);
            while let Some(Event::Message { payload, .. }) = decoder.next_event().unwrap() {
                heard.extend_from_slice(payload);
            }
        }
        assert_eq!(heard, b"\xed\xa0\x80");
    }
}

/// The same decoder reads a server; what one side must do the other must not (RFC 6455 section 5.1).
#[test]
fn each_side_keeps_to_its_own_masking() {
    let of_server = FrameBounds { sender: Sender::Server, ..BOUNDS };
    for len in [0, 1, 125, 126, 70_000] {
        let payload = vec![b'x'; len];
        let (mut served, mut said) = (Vec::new(), Vec::new());
        put_frame(&mut served, OpCode::Text, false, &payload);
        put_masked(&mut said, OpCode::Text, false, KEY, &payload);
        assert_eq!(said.len(), served.len() + KEY.len());
        for (bytes, right, wrong) in [(served, of_server, BOUNDS), (said, BOUNDS, of_server)] {
            let mut partial = None;
            let mut input = bytes.clone();
            let mut decoder = Decoder::new(&mut partial, &mut input, &right);
            let heard = decoder.next_event().unwrap();
            let Some(Event::Message { text: true, payload: heard, .. }) = heard else {
                panic!("{heard:?}");
            };
            assert_eq!(heard, payload);
            assert_eq!(decoder.next_event(), Ok(None));
            let mut input = bytes;
            let mut decoder = Decoder::new(&mut partial, &mut input, &wrong);
            assert!(matches!(decoder.next_event(), Err(Violation::Protocol(_))));
        }
    }
}
