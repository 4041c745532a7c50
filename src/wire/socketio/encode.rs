//! Packets as text.
//!
//! Each function appends one packet, without Engine.IO's `4` and without any frame, to `out`; the
//! order of the keys is that of Node's server. A namespace is written as it is given: it holds no
//! comma. What is raw JSON must be JSON. Specification: the Socket.IO protocol, revision 5.

use std::io::Write;

use super::{ACK, BINARY_EVENT, CONNECT, CONNECT_ERROR, DISCONNECT, EVENT, ROOT};
use crate::message::Publication;
use crate::wire::json::push_string;

/// Bytes of a delivery beside its parts, of which an event's name may grow when escaped.
const DELIVERY_FRAME_BYTES: usize = 64;

/// The client is a socket of the namespace. A `pid` lets it come back as the same, where that is
/// possible.
pub fn connected(out: &mut Vec<u8>, nsp: &str, sid: &str, pid: Option<&str>) {
    begin(out, CONNECT, 0, nsp, None);
    out.extend_from_slice(b"{\"sid\":");
    push_string(out, sid);
    if let Some(pid) = pid {
        out.extend_from_slice(b",\"pid\":");
        push_string(out, pid);
    }
    out.push(b'}');
}

/// The client is no socket of the namespace. `data` is a code and what it means.
pub fn connect_error(out: &mut Vec<u8>, nsp: &str, message: &str, data: Option<(&str, &str)>) {
    begin(out, CONNECT_ERROR, 0, nsp, None);
    out.extend_from_slice(b"{\"message\":");
    push_string(out, message);
    if let Some((code, message)) = data {
        out.extend_from_slice(b",\"data\":{\"code\":");
        push_string(out, code);
        out.extend_from_slice(b",\"message\":");
        push_string(out, message);
        out.push(b'}');
    }
    out.push(b'}');
}

/// The client is no longer a socket of the namespace, and shall not come back by itself.
pub fn disconnect(out: &mut Vec<u8>, nsp: &str) {
    begin(out, DISCONNECT, 0, nsp, None);
}

/// An event with its arguments, raw JSON each; the attachments follow by themselves. `ack` is the
/// number by which the client is to acknowledge it. An `offset` is the last argument. The name must
/// be none of the reserved ones ([`super::is_reserved`]).
pub fn event(
    out: &mut Vec<u8>,
    nsp: &str,
    ack: Option<u64>,
    attachments: u8,
    name: &str,
    args: &[&str],
    offset: Option<&str>,
) {
    begin(out, EVENT, attachments, nsp, ack);
    out.push(b'[');
    push_string(out, name);
    for arg in args {
        out.push(b',');
        out.extend_from_slice(arg.as_bytes());
    }
    end(out, offset);
}

/// The client's event `id` was taken. `args` is raw JSON, with commas between, maybe empty.
pub fn ack(out: &mut Vec<u8>, nsp: &str, id: u64, attachments: u8, args: &str) {
    begin(out, ACK, attachments, nsp, Some(id));
    out.push(b'[');
    out.extend_from_slice(args.as_bytes());
    out.push(b']');
}

/// A message as a member of its room hears it: an event of the publication's type, or of
/// `default_event` where it has none, with the data as its argument. The type must not be one that
/// clients cannot be sent ([`super::is_unsayable`]). Linear in the text.
pub fn delivery(
    out: &mut Vec<u8>,
    nsp: &str,
    default_event: &str,
    publication: &Publication<'_>,
    offset: Option<&str>,
) {
    let Publication { event, data, .. } = *publication;
    room_message(out, nsp, event, default_event, 0, data, offset);
}

/// The same out of its parts. `written` is the event's name as a JSON string with its quotes.
pub fn room_message(
    out: &mut Vec<u8>,
    nsp: &str,
    written: Option<&str>,
    default_event: &str,
    attachments: u8,
    data: &str,
    offset: Option<&str>,
) {
    let name = written.unwrap_or(default_event);
    let parts = nsp.len() + name.len() + data.len() + offset.map_or(0, str::len);
    out.reserve(DELIVERY_FRAME_BYTES + parts);
    begin(out, EVENT, attachments, nsp, None);
    out.push(b'[');
    if written.is_some() {
        out.extend_from_slice(name.as_bytes());
    } else {
        push_string(out, name);
    }
    out.push(b',');
    out.extend_from_slice(data.as_bytes());
    end(out, offset);
}

/// What stands before the JSON. With attachments the packet is the binary one of its kind.
fn begin(out: &mut Vec<u8>, kind: u8, attachments: u8, nsp: &str, ack: Option<u64>) {
    if attachments == 0 {
        out.push(kind);
    } else {
        out.push(kind - EVENT + BINARY_EVENT);
        push_digits(out, attachments.into());
        out.push(b'-');
    }
    if nsp != ROOT {
        out.extend_from_slice(nsp.as_bytes());
        out.push(b',');
    }
    if let Some(id) = ack {
        push_digits(out, id);
    }
}

/// The last argument, if it is an offset, and the end of the array.
fn end(out: &mut Vec<u8>, offset: Option<&str>) {
    if let Some(offset) = offset {
        out.push(b',');
        push_string(out, offset);
    }
    out.push(b']');
}

fn push_digits(out: &mut Vec<u8>, number: u64) {
    write!(out, "{number}").expect("a vector takes all");
}
