//! Packets to records and frames, and records to frames.
//!
//! Everything is appended to `out`. A record is written with the separator behind it, so that
//! records stand one after the other in a queue; who answers a poll with some of them cuts off the
//! last separator. Frames are a server's, unmasked and not compressed.

use std::io::Write;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memchr::{memchr, memchr_iter};

use super::{
    BINARY, CLOSE, MESSAGE, NOOP, OPEN, PING, PONG, Packet, SEPARATOR, Transport, UPGRADE,
};
use crate::wire::frame::{self, Mark, OpCode};
use crate::wire::json::push_string;

/// The packet that opens a session, without separator or frame. `upgrades` says that the client may
/// go over to a WebSocket; `payload_bytes_max` bounds a polling body and a message.
pub fn open(
    out: &mut Vec<u8>,
    sid: &str,
    upgrades: bool,
    ping_interval_ms: u64,
    ping_timeout_ms: u64,
    payload_bytes_max: usize,
) {
    out.push(OPEN);
    out.extend_from_slice(b"{\"sid\":");
    push_string(out, sid);
    let upgrades = if upgrades { "[\"websocket\"]" } else { "[]" };
    write!(
        out,
        ",\"upgrades\":{upgrades},\"pingInterval\":{ping_interval_ms},\
         \"pingTimeout\":{ping_timeout_ms},\"maxPayload\":{payload_bytes_max}}}"
    )
    .expect("a vector takes all");
}

/// Appends a packet in the form of the transport: [`put_record`] or [`put_frame`].
pub fn put(out: &mut Vec<u8>, transport: Transport, packet: &Packet<'_>) {
    match transport {
        Transport::Polling => put_record(out, packet),
        Transport::WebSocket => put_frame(out, packet),
    }
}

/// Appends a packet as a record, and the separator. Its text must not hold one: what came in a
/// record, and JSON, does not.
pub fn put_record(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let start = out.len();
    put_text(out, packet);
    end_record(out, start);
}

/// Appends a packet as a frame of its own: a binary message in a binary one, the others as text.
pub fn put_frame(out: &mut Vec<u8>, packet: &Packet<'_>) {
    if let Packet::Binary(bytes) = packet {
        return frame::put_frame(out, OpCode::Binary, false, bytes);
    }
    let mark = frame::begin(out);
    put_text(out, packet);
    frame::end(out, mark, OpCode::Text, false);
}

/// Where a message was begun in a buffer.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a message that is begun has to be ended"]
pub struct Begun(Place);

#[derive(Debug, PartialEq, Eq)]
enum Place {
    /// A record that starts here.
    Record(usize),
    Frame(Mark),
}

/// Begins a text message: the caller appends its text to `out` and nothing else, then calls
/// [`end_message`].
pub fn begin_message(out: &mut Vec<u8>, transport: Transport) -> Begun {
    let place = match transport {
        Transport::Polling => Place::Record(out.len()),
        Transport::WebSocket => Place::Frame(frame::begin(out)),
    };
    out.push(MESSAGE);
    Begun(place)
}

/// Ends the message begun there.
///
/// # Panics
/// If `out` is shorter than when the message was begun.
pub fn end_message(out: &mut Vec<u8>, Begun(place): Begun) {
    match place {
        Place::Record(start) => end_record(out, start),
        Place::Frame(mark) => frame::end(out, mark, OpCode::Text, false),
    }
}

/// Appends one record, with or without its separator, as [`put_frame`] would have written the
/// packet in it. Nothing where the record is empty.
///
/// # Panics
/// If it is no record that was written here.
pub fn record_to_frames(out: &mut Vec<u8>, record: &[u8]) {
    match record.strip_suffix(&[SEPARATOR]).unwrap_or(record) {
        [] => {}
        [BINARY, base64 @ ..] => {
            let mark = frame::begin(out);
            STANDARD.decode_vec(base64, out).expect("put_record wrote it");
            frame::end(out, mark, OpCode::Binary, false);
        }
        text => frame::put_frame(out, OpCode::Text, false, text),
    }
}

/// Appends records, the last with or without its separator, as a frame each.
///
/// # Panics
/// As [`record_to_frames`].
pub fn records_to_frames(out: &mut Vec<u8>, records: &[u8]) {
    let mut start = 0;
    for at in memchr_iter(SEPARATOR, records) {
        record_to_frames(out, &records[start..at]);
        start = at + 1;
    }
    record_to_frames(out, &records[start..]);
}

fn end_record(out: &mut Vec<u8>, start: usize) {
    debug_assert_eq!(memchr(SEPARATOR, &out[start..]), None, "a separator within a record");
    out.push(SEPARATOR);
}

/// The packet as text, whatever carries it.
fn put_text(out: &mut Vec<u8>, packet: &Packet<'_>) {
    let (kind, data) = match packet {
        Packet::Open => (OPEN, ""),
        Packet::Close => (CLOSE, ""),
        Packet::Ping(data) => (PING, *data),
        Packet::Pong(data) => (PONG, *data),
        Packet::Message(text) => (MESSAGE, *text),
        Packet::Binary(bytes) => return put_base64(out, bytes),
        Packet::Upgrade => (UPGRADE, ""),
        Packet::Noop => (NOOP, ""),
    };
    out.push(kind);
    out.extend_from_slice(data.as_bytes());
}

fn put_base64(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(BINARY);
    let start = out.len();
    // In groups of four characters, the last one padded.
    out.resize(start + bytes.len().div_ceil(3) * 4, 0);
    STANDARD.encode_slice(bytes, &mut out[start..]).expect("as long as it has to be");
}
