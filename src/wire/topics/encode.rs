//! Replies, errors and deliveries as JSON text.
//!
//! Each function appends one message, without any frame, to `out`. An `id` is the request's as
//! written and stands right behind `type`. Contract: protocols.md section 3.

use crate::close::Refusal;
use crate::message::{Position, Publication};
use crate::time::{RFC3339_BYTES, Timestamp};
use crate::wire::json::push_string;

/// The code of what went wrong with an identity.
const UNAUTHENTICATED: &str = "401";

/// Bytes of a delivery beside its parts, of which the user id may grow when escaped.
const DELIVERY_FRAME_BYTES: usize = 128;

/// The token was good.
pub fn auth_success(out: &mut Vec<u8>, id: Option<&str>, user_id: &str, at: Timestamp) {
    begin(out, "auth_success", id);
    string_member(out, "userId", user_id);
    end(out, at);
}

/// The token was not good; the connection stays.
pub fn auth_error(out: &mut Vec<u8>, id: Option<&str>, at: Timestamp) {
    begin(out, "auth_error", id);
    member(out, "message", "\"Invalid token\"");
    member(out, "code", UNAUTHENTICATED);
    end(out, at);
}

/// The token's time is over: the last message before close code 4401.
pub fn auth_expired(out: &mut Vec<u8>, at: Timestamp) {
    begin(out, "auth_expired", None);
    member(out, "code", UNAUTHENTICATED);
    member(out, "message", "\"Token expired\"");
    end(out, at);
}

/// The subscription to `topic`, a topic or pattern, is in force.
pub fn subscribed(out: &mut Vec<u8>, id: Option<&str>, topic: &str, at: Timestamp) {
    begin(out, "subscribed", id);
    string_member(out, "topic", topic);
    end(out, at);
}

/// There is no subscription to `topic` any more. A `reason` says why the broker withdrew it.
pub fn unsubscribed(
    out: &mut Vec<u8>,
    id: Option<&str>,
    topic: &str,
    at: Timestamp,
    reason: Option<&str>,
) {
    begin(out, "unsubscribed", id);
    string_member(out, "topic", topic);
    if let Some(reason) = reason {
        string_member(out, "reason", reason);
    }
    end(out, at);
}

/// The message was taken. The epoch is a string of decimal digits: a JavaScript number would lose
/// some of them.
pub fn published(
    out: &mut Vec<u8>,
    id: Option<&str>,
    topic: &str,
    position: Option<Position>,
    at: Timestamp,
) {
    begin(out, "published", id);
    string_member(out, "topic", topic);
    if let Some(Position { epoch, offset }) = position {
        member(out, "offset", &offset.to_string());
        string_member(out, "epoch", &epoch.to_string());
    }
    end(out, at);
}

/// The answer to `ping`.
pub fn pong(out: &mut Vec<u8>, id: Option<&str>, at: Timestamp) {
    begin(out, "pong", id);
    end(out, at);
}

/// A request is not carried out. `details` names the `topic` it was about, the field that is
/// missing or ill typed, or the time to wait.
pub fn error(
    out: &mut Vec<u8>,
    id: Option<&str>,
    refusal: &Refusal,
    topic: Option<&str>,
    at: Timestamp,
) {
    begin(out, "error", id);
    member(out, "code", &refusal.code().to_string());
    string_member(out, "message", &refusal.to_string());
    out.extend_from_slice(b",\"details\":{");
    let details_start = out.len();
    if let Some(topic) = topic {
        string_member(out, "topic", topic);
    }
    match refusal {
        Refusal::Missing(field) | Refusal::IllTyped(field) => string_member(out, "field", field),
        Refusal::RateLimited { retry_after_ms } => {
            member(out, "retryAfterMs", &retry_after_ms.to_string());
        }
        _ => {}
    }
    if out.len() > details_start {
        out.remove(details_start);
    }
    out.push(b'}');
    end(out, at);
}

/// What a subscriber receives. `at_text` is `publication.at` as [`Timestamp::rfc3339`] gives it,
/// which a fan-out needs once for all dialects.
pub fn delivery(out: &mut Vec<u8>, publication: &Publication<'_>, at_text: &[u8; RFC3339_BYTES]) {
    let Publication { topic, event, data, metadata, sender, sender_in_metadata, .. } = *publication;
    let sender = sender.filter(|_| !sender_in_metadata);
    let event = event.unwrap_or("\"message\"");
    out.reserve(
        DELIVERY_FRAME_BYTES
            + topic.len()
            + event.len()
            + data.len()
            + metadata.len()
            + sender.map_or(0, str::len),
    );
    out.extend_from_slice(b"{\"type\":\"message\",\"topic\":");
    push_string(out, topic);
    out.extend_from_slice(b",\"eventType\":");
    out.extend_from_slice(event.as_bytes());
    out.extend_from_slice(b",\"data\":");
    out.extend_from_slice(data.as_bytes());
    out.extend_from_slice(b",\"metadata\":{");
    out.extend_from_slice(metadata.as_bytes());
    if let Some(sender) = sender {
        let key: &[u8] = if metadata.is_empty() { b"\"senderId\":" } else { b",\"senderId\":" };
        out.extend_from_slice(key);
        push_string(out, sender);
    }
    out.extend_from_slice(b"},\"timestamp\":\"");
    out.extend_from_slice(at_text);
    out.extend_from_slice(b"\"}");
}

fn begin(out: &mut Vec<u8>, kind: &str, id: Option<&str>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    if let Some(id) = id {
        member(out, "id", id);
    }
}

fn end(out: &mut Vec<u8>, at: Timestamp) {
    out.extend_from_slice(b",\"timestamp\":\"");
    out.extend_from_slice(&at.rfc3339());
    out.extend_from_slice(b"\"}");
}

/// A further member whose value is JSON already.
fn member(out: &mut Vec<u8>, key: &str, json: &str) {
    push_key(out, key);
    out.extend_from_slice(json.as_bytes());
}

/// A further member whose value is a string.
fn string_member(out: &mut Vec<u8>, key: &str, text: &str) {
    push_key(out, key);
    push_string(out, text);
}

fn push_key(out: &mut Vec<u8>, key: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(b"\":");
}
