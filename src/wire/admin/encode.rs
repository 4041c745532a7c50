//! Replies and errors as JSON text.
//!
//! Each function appends one message, without any frame, to `out`. An `id` is the request's as
//! written and stands right behind `type`. Contract: protocols.md section 11, "`admin` dialect".

use std::io::Write;

use crate::time::Timestamp;
use crate::wire::json::push_string;

/// The answer to a request of the type `kind`; `data` is JSON text.
pub fn reply(out: &mut Vec<u8>, id: Option<&str>, kind: &str, data: &str) {
    begin(out, kind, id);
    out.extend_from_slice(data.as_bytes());
    out.push(b'}');
}

/// A request is not carried out.
pub fn error(out: &mut Vec<u8>, id: Option<&str>, text: &str, code: u16) {
    begin(out, "error", id);
    out.extend_from_slice(b"{\"error\":");
    push_string(out, text);
    write!(out, ",\"code\":{code}}}}}").expect("a vector takes all");
}

/// The token's time is over: the last message before close code 4401.
pub fn auth_expired(out: &mut Vec<u8>, at: Timestamp) {
    begin(out, "auth_expired", None);
    out.extend_from_slice(b"{\"code\":401,\"message\":\"Token expired\",\"timestamp\":\"");
    out.extend_from_slice(&at.rfc3339());
    out.extend_from_slice(b"\"}}");
}

/// All that stands before the value of `data`.
fn begin(out: &mut Vec<u8>, kind: &str, id: Option<&str>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(kind.as_bytes());
    out.push(b'"');
    if let Some(id) = id {
        out.extend_from_slice(b",\"id\":");
        out.extend_from_slice(id.as_bytes());
    }
    out.extend_from_slice(b",\"data\":");
}
