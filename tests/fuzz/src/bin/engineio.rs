//! Any text as a polling body and as packets: no panic, the judgement of a plain reader, the same
//! in several turns; and what was written as records, framed at once or later, is what was read.

#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use shardwire::wire::engineio::{
    Malformed, Packet, SEPARATOR, Transport, begin_message, decode_text, end_message, put_frame,
    put_record, record_to_frames, records, records_to_frames,
};
use shardwire::wire::frame::{self, OpCode};

fuzz_target!(|bytes: &[u8]| {
    round_trip(&[Packet::Binary(Cow::Borrowed(bytes))]);
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    assert_eq!(decode_text(body), plain(body));

    let read: Vec<_> = records(body).collect();
    let mut expected: Vec<_> = body.split(char::from(SEPARATOR)).map(plain).collect();
    if let Some(bad) = expected.iter().position(Result::is_err) {
        expected.truncate(bad + 1);
    }
    assert_eq!(read, expected);
    let turns = 1 + bytes.len() % 3;
    assert_eq!(in_turns(body, turns), expected);

    let packets: Vec<_> = read.into_iter().flatten().collect();
    round_trip(&packets);
    packets.iter().for_each(check_message);
});

/// Takes a few records in each turn.
fn in_turns(body: &str, few: usize) -> Vec<Result<Packet<'_>, Malformed>> {
    let (mut rest, mut read) = (Some(body), Vec::new());
    while let Some(text) = rest {
        let mut records = records(text);
        read.extend(records.by_ref().take(few));
        rest = records.rest();
        assert!(rest.is_none_or(|rest| rest.len() < text.len() && text.ends_with(rest)));
    }
    read
}

/// Packets as records and as frames, each way to the other.
fn round_trip(packets: &[Packet<'_>]) {
    let (mut lane, mut direct, mut reframed) = (Vec::new(), Vec::new(), Vec::new());
    for packet in packets {
        let (record_at, frame_at) = (lane.len(), direct.len());
        put_record(&mut lane, packet);
        put_frame(&mut direct, packet);
        assert_eq!(frame::frame_len(&direct[frame_at..]), Some(direct.len() - frame_at));
        reframed.clear();
        record_to_frames(&mut reframed, &lane[record_at..]);
        assert_eq!(reframed, direct[frame_at..]);
    }
    reframed.clear();
    records_to_frames(&mut reframed, &lane);
    assert_eq!(reframed, direct);
    if let Some((&last, body)) = lane.split_last() {
        assert_eq!(last, SEPARATOR);
        let body = std::str::from_utf8(body).expect("records are text");
        assert!(records(body).eq(packets.iter().cloned().map(Ok)));
    }
}

/// A message written in two pieces, and the frame of it by hand.
fn check_message(packet: &Packet<'_>) {
    let mut expected = Vec::new();
    match packet {
        Packet::Binary(bytes) => frame::put_frame(&mut expected, OpCode::Binary, false, bytes),
        Packet::Message(text) => {
            let payload = format!("4{text}");
            frame::put_frame(&mut expected, OpCode::Text, false, payload.as_bytes());
            let mut pieces = Vec::new();
            let begun = begin_message(&mut pieces, Transport::WebSocket);
            let (first, second) = text.as_bytes().split_at(text.len() / 2);
            pieces.extend_from_slice(first);
            pieces.extend_from_slice(second);
            end_message(&mut pieces, begun);
            assert_eq!(pieces, expected);
        }
        _ => return,
    }
    let mut direct = Vec::new();
    put_frame(&mut direct, packet);
    assert_eq!(direct, expected);
}

/// One packet, read without regard to speed.
fn plain(text: &str) -> Result<Packet<'_>, Malformed> {
    let mut chars = text.chars();
    let kind = chars.next().ok_or(Malformed::Empty)?;
    let data = chars.as_str();
    Ok(match kind {
        '0' => Packet::Open,
        '1' => Packet::Close,
        '2' => Packet::Ping(data),
        '3' => Packet::Pong(data),
        '4' => Packet::Message(data),
        '5' => Packet::Upgrade,
        '6' => Packet::Noop,
        'b' => Packet::Binary(Cow::Owned(plain_base64(data).ok_or(Malformed::Base64)?)),
        _ => return Err(Malformed::Type),
    })
}

/// RFC 4648 section 4, bit by bit; the padding may be left out as a whole.
fn plain_base64(text: &str) -> Option<Vec<u8>> {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let data = text.trim_end_matches('=');
    let padding = text.len() - data.len();
    if padding > 0 && (padding > 2 || !text.len().is_multiple_of(4)) {
        return None;
    }
    let mut bits = Vec::new();
    for c in data.chars() {
        let value = ALPHABET.find(c)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1 == 1));
    }
    let bytes = bits.chunks_exact(8);
    let over = bytes.remainder();
    if over.len() >= 6 || over.contains(&true) {
        return None;
    }
    Some(bytes.map(|byte| byte.iter().fold(0, |all, bit| all << 1 | u8::from(*bit))).collect())
}
