//! Text to packets.
//!
//! Stricter than Node's parser where that reads what no client writes: numbers of attachments that
//! are not digits, a blank as an acknowledgement id, an id where it means nothing, events and
//! acknowledgements without an array, lone surrogates. Blanks around the JSON are JSON's own.

use super::{
    ACK, Args, Auth, BINARY_ACK, BINARY_EVENT, CONNECT, DISCONNECT, EVENT, Malformed, Packet, ROOT,
    is_reserved,
};
use crate::limits::{ACK_ID_MAX, ATTACHMENTS_MAX};
use crate::wire::json::{Scratch, Value};

/// Reads one packet of a client, without the `4` in front of it. Linear in the text; allocates
/// nothing once `scratch` has grown.
///
/// # Errors
/// For what is no packet, or one that only servers send: the client's fault.
pub fn decode<'a>(text: &'a str, scratch: &'a mut Scratch) -> Result<Packet<'a>, Malformed> {
    let (&kind, _) = text.as_bytes().split_first().ok_or(Malformed)?;
    let rest = text.get(1..).ok_or(Malformed)?;
    let (attachments, rest) = match kind {
        BINARY_EVENT | BINARY_ACK => attachments(rest)?,
        _ => (0, rest),
    };
    let (nsp, rest) = namespace(rest)?;
    match kind {
        CONNECT => Ok(Packet::Connect { nsp, auth: auth(rest, scratch)? }),
        DISCONNECT if trim(rest).is_empty() => Ok(Packet::Disconnect { nsp }),
        EVENT | BINARY_EVENT => {
            let (ack, rest) = ack_id(rest)?;
            let event = scratch.read_array(rest).map_err(|_| Malformed)?;
            let first = event.items().next().ok_or(Malformed)?;
            let name = match first.value {
                Value::String(name) if !is_reserved(name) => name,
                Value::Number => first.raw,
                _ => return Err(Malformed),
            };
            Ok(Packet::Event { nsp, ack, attachments, name, args: Args { event } })
        }
        ACK | BINARY_ACK => {
            let (ack, rest) = ack_id(rest)?;
            let ack = ack.ok_or(Malformed)?;
            scratch.read_array(rest).map_err(|_| Malformed)?;
            Ok(Packet::Ack { nsp, ack, attachments, args: trim(rest) })
        }
        _ => Err(Malformed),
    }
}

/// How many attachments follow, and what stands behind the dash.
fn attachments(text: &str) -> Result<(u8, &str), Malformed> {
    let (digits, rest) = split_digits(text);
    let rest = rest.strip_prefix('-').ok_or(Malformed)?;
    let count = digits.parse().map_err(|_| Malformed)?;
    if count <= ATTACHMENTS_MAX { Ok((count, rest)) } else { Err(Malformed) }
}

/// The namespace, [`ROOT`] where none is named, and what stands behind its comma.
///
/// It is sent back as it came, so what could be taken for something else on the wire is refused.
fn namespace(text: &str) -> Result<(&str, &str), Malformed> {
    if !text.starts_with('/') {
        return Ok((ROOT, text));
    }
    let (nsp, rest) = text.split_once(',').unwrap_or((text, ""));
    if nsp.bytes().any(|byte| byte.is_ascii_control()) { Err(Malformed) } else { Ok((nsp, rest)) }
}

/// The acknowledgement id, if there is one, and what stands behind it.
fn ack_id(text: &str) -> Result<(Option<u64>, &str), Malformed> {
    let (digits, rest) = split_digits(text);
    if digits.is_empty() {
        return Ok((None, rest));
    }
    let id = digits.parse().map_err(|_| Malformed)?;
    if id <= ACK_ID_MAX { Ok((Some(id), rest)) } else { Err(Malformed) }
}

/// What a client says of itself: an object, or nothing.
fn auth<'a>(text: &'a str, scratch: &'a mut Scratch) -> Result<Option<Auth<'a>>, Malformed> {
    let raw = trim(text);
    if raw.is_empty() {
        return Ok(None);
    }
    let (object, _) = scratch.read(raw).map_err(|_| Malformed)?;
    Ok(Some(Auth { object, raw }))
}

fn split_digits(text: &str) -> (&str, &str) {
    text.split_at(text.bytes().take_while(u8::is_ascii_digit).count())
}

/// Without the blanks that JSON allows around a value.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t', '\n', '\r'])
}
