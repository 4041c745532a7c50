//! Replies, errors and deliveries as JSON text.
//!
//! Each function appends one message, without any frame, to `out`; the order of the keys is that of
//! the system which this dialect replaces. Contract: protocols.md section 4.

use crate::connection::ConnectionId;
use crate::limits::ECHOED_TYPE_BYTES_MAX;
use crate::message::Publication;
use crate::time::{RFC3339_BYTES, Timestamp};
use crate::wire::json::push_string;

/// Bytes of a delivery beside its parts, of which the user id may grow when escaped.
const DELIVERY_FRAME_BYTES: usize = 192;

/// The first message of a connection.
pub fn connection(out: &mut Vec<u8>, id: ConnectionId, at: Timestamp) {
    out.extend_from_slice(b"{\"type\":\"connection\",\"data\":{\"connectionId\":");
    push_connection(out, Some(id));
    out.push(b',');
    end_with_timestamp(out, &at.rfc3339());
}

/// The answer to `ping`.
pub fn pong(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(b"{\"type\":\"pong\",\"data\":{");
    end_with_timestamp(out, &at.rfc3339());
}

/// The connection is a member of `channel`.
pub fn joined(out: &mut Vec<u8>, channel: &str) {
    out.extend_from_slice(b"{\"type\":\"channel_joined\",\"data\":{\"channel\":");
    push_string(out, channel);
    out.extend_from_slice(b"}}");
}

/// The connection is no member of `channel`. A `reason` says why the broker withdrew it.
pub fn left(out: &mut Vec<u8>, channel: &str, reason: Option<&str>) {
    out.extend_from_slice(b"{\"type\":\"channel_left\",\"data\":{\"channel\":");
    push_string(out, channel);
    if let Some(reason) = reason {
        out.extend_from_slice(b",\"reason\":");
        push_string(out, reason);
    }
    out.extend_from_slice(b"}}");
}

/// The connection receives notifications of these types, an array as the client wrote it.
pub fn notifications(out: &mut Vec<u8>, raw_types: &str) {
    out.extend_from_slice(b"{\"type\":\"notifications_subscribed\",\"data\":{\"types\":");
    out.extend_from_slice(raw_types.as_bytes());
    out.extend_from_slice(b"}}");
}

/// A request is not carried out.
pub fn error(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(b"{\"type\":\"error\",\"data\":{\"error\":");
    push_string(out, text);
    out.extend_from_slice(b"}}");
}

/// There is no such type of message. Of `kind` at most [`ECHOED_TYPE_BYTES_MAX`] bytes are told,
/// whole characters.
pub fn unknown_type(out: &mut Vec<u8>, kind: &str) {
    out.extend_from_slice(b"{\"type\":\"error\",\"data\":{\"error\":\"Unknown message type: ");
    let quote = out.len();
    push_string(out, &kind[..kind.floor_char_boundary(ECHOED_TYPE_BYTES_MAX)]);
    out.remove(quote);
    out.extend_from_slice(b"}}");
}

/// The token's time is over: the last message before close code 4401.
pub fn auth_expired(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(
        b"{\"type\":\"auth_expired\",\"data\":{\"code\":401,\"message\":\"Token expired\",",
    );
    end_with_timestamp(out, &at.rfc3339());
}

/// What a member receives: a `channel_message`, or the whole frame that the server side gave.
/// `at_text` is `publication.at` as [`Timestamp::rfc3339`] gives it. Linear in the text.
pub fn delivery(out: &mut Vec<u8>, publication: &Publication<'_>, at_text: &[u8; RFC3339_BYTES]) {
    let Publication { topic, data, sender, from, verbatim, .. } = *publication;
    if let Some(frame) = verbatim {
        return out.extend_from_slice(frame.as_bytes());
    }
    let parts = topic.len() + data.len() + sender.map_or(0, str::len);
    out.reserve(DELIVERY_FRAME_BYTES + parts);
    out.extend_from_slice(b"{\"type\":\"channel_message\",\"data\":{\"channel\":");
    push_string(out, topic);
    out.extend_from_slice(b",\"message\":");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b",\"sender\":{\"id\":");
    match sender {
        Some(sender) => push_string(out, sender),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"connectionId\":");
    push_connection(out, from);
    out.extend_from_slice(b"},");
    end_with_timestamp(out, at_text);
}

fn push_connection(out: &mut Vec<u8>, id: Option<ConnectionId>) {
    match id {
        Some(id) => {
            out.push(b'"');
            out.extend_from_slice(&id.digits());
            out.push(b'"');
        }
        None => out.extend_from_slice(b"null"),
    }
}

/// The last member of `data`, and the end.
fn end_with_timestamp(out: &mut Vec<u8>, at_text: &[u8; RFC3339_BYTES]) {
    out.extend_from_slice(b"\"timestamp\":\"");
    out.extend_from_slice(at_text);
    out.extend_from_slice(b"\"}}");
}
