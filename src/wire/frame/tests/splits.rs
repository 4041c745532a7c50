//! Any stream, good or bad, gives the same events however it is cut into reads, and those that a
//! plain reference gives: it has the whole stream, copies at will and follows RFC 6455 by the page.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::{COMPRESSED, FrameBounds, Partial, Seen, Violation, feed};

const BOUNDS: FrameBounds = FrameBounds { message_bytes_max: 300, ..COMPRESSED };

/// The close code that the stream is failed with, if it is.
type Outcome = (Vec<Seen>, Option<u16>);

/// Reads of the lengths given, round and round.
fn decode(bytes: &[u8], reads: &[usize]) -> Outcome {
    let (mut partial, mut seen): (Option<Box<Partial>>, _) = (None, Vec::new());
    let (mut rest, mut reads) = (bytes, reads.iter().cycle());
    while let (false, Some(&read)) = (rest.is_empty(), reads.next()) {
        let (read, after) = rest.split_at(read.min(rest.len()));
        rest = after;
        if let Err(violation) = feed(&mut partial, &BOUNDS, read, &mut seen) {
            let close: crate::close::Close = violation.into();
            return (seen, Some(close.code()));
        }
        if matches!(seen.last(), Some(Seen::Close(..))) {
            break;
        }
    }
    (seen, None)
}

fn reference(bytes: &[u8]) -> Outcome {
    let mut seen = Vec::new();
    let failed = run_reference(bytes, &mut seen).err();
    (seen, failed)
}

/// The fragments so far: opcode, compressed, payload.
type Fragments = Option<(u8, bool, Vec<u8>)>;

fn run_reference(mut bytes: &[u8], seen: &mut Vec<Seen>) -> Result<(), u16> {
    let mut fragments: Fragments = None;
    while bytes.len() >= 2 {
        let (fin, rsv, opcode) = (bytes[0] >> 7 == 1, bytes[0] >> 4 & 7, bytes[0] & 15);
        let (masked, short) = (bytes[1] >> 7 == 1, usize::from(bytes[1] & 127));
        let control = opcode >= 8;
        let opens = opcode == 1 || opcode == 2;
        let known = matches!(opcode, 0..=2 | 8..=10);
        let rsv_good = rsv == 0 || (rsv == 4 && opens && BOUNDS.compression);
        let in_order = control || opens == fragments.is_none();
        let control_good = !control || (fin && short <= 125);
        if !(known && rsv_good && masked && in_order && control_good) {
            return Err(1002);
        }
        let Some((len, header_len)) = reference_length(short, bytes)? else { return Ok(()) };
        let (compressed, so_far) = match &fragments {
            Some((_, compressed, payload)) => (*compressed, payload.len()),
            None => (rsv == 4, 0),
        };
        if !control && so_far as u128 + len > BOUNDS.framed_bytes_max(compressed) as u128 {
            return Err(1009);
        }
        let Some(mask) = bytes.get(header_len..header_len + 4) else { return Ok(()) };
        let body = &bytes[header_len + 4..];
        let whole = body.len() as u128 >= len;
        let body = &body[..body.len().min(len as usize)];
        let payload: Vec<u8> = (0..body.len()).map(|at| body[at] ^ mask[at % 4]).collect();
        bytes = &bytes[header_len + 4 + body.len()..];
        if control {
            if whole && reference_control(opcode, payload, seen)? {
                return Ok(());
            }
        } else {
            reference_data(opcode, compressed, &payload, whole && fin, &mut fragments, seen)?;
        }
    }
    Ok(())
}

fn reference_length(short: usize, bytes: &[u8]) -> Result<Option<(u128, usize)>, u16> {
    let (header_len, least) = match short {
        126 => (4, 126),
        127 => (10, 65_536),
        _ => return Ok(Some((short as u128, 2))),
    };
    let Some(digits) = bytes.get(2..header_len) else { return Ok(None) };
    let len = digits.iter().fold(0, |len, &digit| len << 8 | u128::from(digit));
    if len < least || len >= 1 << 63 { Err(1002) } else { Ok(Some((len, header_len))) }
}

/// Whether it was a close.
fn reference_control(opcode: u8, payload: Vec<u8>, seen: &mut Vec<Seen>) -> Result<bool, u16> {
    match opcode {
        9 => seen.push(Seen::Ping(payload)),
        10 => seen.push(Seen::Pong(payload)),
        _ if payload.is_empty() => seen.push(Seen::Close(None, String::new())),
        _ => {
            let code =
                payload.get(..2).map_or(0, |code| u16::from(code[0]) << 8 | u16::from(code[1]));
            if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
                return Err(1002);
            }
            let reason = String::from_utf8(payload[2..].to_vec()).map_err(|_| 1007_u16)?;
            seen.push(Seen::Close(Some(code), reason));
        }
    }
    Ok(opcode == 8)
}

fn reference_data(
    opcode: u8,
    compressed: bool,
    payload: &[u8],
    last: bool,
    fragments: &mut Fragments,
    seen: &mut Vec<Seen>,
) -> Result<(), u16> {
    let (opcode, _, message) = fragments.get_or_insert((opcode, compressed, Vec::new()));
    message.extend_from_slice(payload);
    let text = *opcode == 1;
    if text && !compressed {
        let checked = std::str::from_utf8(message);
        if checked.is_err_and(|error| last || error.error_len().is_some()) {
            return Err(1007);
        }
    }
    if last {
        let payload = message.clone();
        seen.push(Seen::Message { text, compressed, payload });
        *fragments = None;
    }
    Ok(())
}

fn payloads() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => "[a-zä€😀]{0,40}".prop_map(String::into_bytes),
        2 => vec(any::<u8>(), 0..40),
        1 => vec(Just(b'x'), 100..310),
        1 => Just(vec![]),
        1 => Just(b"\x03\xe8reason \xe2\x82\xac".to_vec()),
    ]
}

/// Bytes of one message with control frames between its fragments.
fn messages() -> impl Strategy<Value = Vec<u8>> {
    let control = (select(vec![0x89, 0x8A, 0x89, 0x8A, 0x89, 0x8A, 0x88]), payloads());
    (select(vec![0x01, 0x02, 0x41]), payloads(), vec(0..200_usize, 0..4), vec(control, 0..3))
        .prop_map(|(opening, payload, mut cuts, controls)| {
            for cut in &mut cuts {
                *cut = (*cut).min(payload.len());
            }
            cuts.extend([0, payload.len()]);
            cuts.sort_unstable();
            let mut out = Vec::new();
            for (at, cut) in cuts.windows(2).enumerate() {
                let fin = if at + 2 == cuts.len() { 0x80 } else { 0 };
                let first = if at == 0 { opening } else { 0 } | fin;
                out.extend(super::frame(first, &payload[cut[0]..cut[1]]));
                if let Some((first, payload)) = controls.get(at) {
                    out.extend(super::frame(*first, &payload[..payload.len().min(125)]));
                }
            }
            out
        })
}

/// Mostly good streams; some have a byte changed, some end early.
fn streams() -> impl Strategy<Value = Vec<u8>> {
    let change = prop::option::weighted(0.4, (any::<prop::sample::Index>(), any::<u8>()));
    let end = prop::option::weighted(0.2, any::<prop::sample::Index>());
    (vec(messages(), 1..5), change, end).prop_map(|(messages, change, end)| {
        let mut bytes = messages.concat();
        if let Some((at, byte)) = change {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(end) = end {
            bytes.truncate(end.index(bytes.len()));
        }
        bytes
    })
}

proptest! {
    #[test]
    fn reads_do_not_matter(bytes in streams(), reads in vec(1..60_usize, 1..12)) {
        let expected = reference(&bytes);
        prop_assert_eq!(&decode(&bytes, &[bytes.len().max(1)]), &expected);
        prop_assert_eq!(&decode(&bytes, &reads), &expected);
        prop_assert_eq!(&decode(&bytes, &[1]), &expected);
    }

    #[test]
    fn any_bytes_are_a_verdict(bytes in vec(any::<u8>(), 0..200), reads in vec(1..9_usize, 1..9)) {
        prop_assert_eq!(decode(&bytes, &reads), reference(&bytes));
    }
}

#[test]
fn the_reference_knows_violations() {
    let closed = |violation: Violation| crate::close::Close::from(violation).code();
    assert_eq!(reference(&super::frame(0x83, b"")).1, Some(closed(Violation::Protocol(""))));
    assert_eq!(reference(&super::frame(0x81, b"\xff")).1, Some(closed(Violation::BadUtf8)));
    assert_eq!(reference(&super::frame(0x81, &[0; 301])).1, Some(closed(Violation::TooLarge)));
}
