//! The request of a WebSocket handshake (RFC 6455 section 4.1): what every dialect puts in front.
//!
//! Dialects differ in the path, in what is shown there, and in the subprotocol. The answer is the
//! swarm's to judge.

use crate::load::scenario::Target;

/// What all requests to a target share.
#[derive(Debug)]
pub(super) struct Door {
    host: String,
    /// Of the endpoint, with its query.
    path: String,
}

/// What differs from one request to the next.
#[derive(Debug)]
pub(super) struct Knock<'a> {
    /// Path and query.
    pub(super) path: &'a str,
    /// The value of `Sec-WebSocket-Protocol`.
    pub(super) protocol: Option<&'a str>,
    /// The value of `Sec-WebSocket-Key`.
    pub(super) key: &'a str,
    /// The value of `Sec-WebSocket-Extensions`.
    pub(super) offer: Option<&'a str>,
}

impl Door {
    pub(super) fn new(target: &Target) -> Self {
        Self { host: target.host.clone(), path: target.path.clone() }
    }

    /// Of the endpoint, with its query.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// The path with a token, if there is one, as the query's `token`.
    pub(super) fn path_showing(&self, token: Option<&str>) -> String {
        let mut path = self.path.clone();
        if let Some(token) = token {
            path.push_str(if path.contains('?') { "&token=" } else { "?token=" });
            push_encoded(&mut path, token);
        }
        path
    }

    /// Appends the request to the endpoint, with a token if there is one, for no subprotocol.
    pub(super) fn knock(
        &self,
        token: Option<&str>,
        key: &str,
        offer: Option<&str>,
        out: &mut Vec<u8>,
    ) {
        let path = self.path_showing(token);
        self.request(&Knock { path: &path, protocol: None, key, offer }, out);
    }

    /// Appends the request, whole.
    pub(super) fn request(&self, knock: &Knock<'_>, out: &mut Vec<u8>) {
        let Knock { path, protocol, key, offer } = *knock;
        let mut line = |parts: [&str; 2]| {
            out.extend(parts.iter().flat_map(|part| part.bytes()));
            out.extend_from_slice(b"\r\n");
        };
        line(["GET ", &[path, " HTTP/1.1"].concat()]);
        line(["Host: ", &self.host]);
        line(["Upgrade: ", "websocket"]);
        line(["Connection: ", "Upgrade"]);
        line(["Sec-WebSocket-Version: ", "13"]);
        line(["Sec-WebSocket-Key: ", key]);
        if let Some(protocol) = protocol {
            line(["Sec-WebSocket-Protocol: ", protocol]);
        }
        if let Some(offer) = offer {
            line(["Sec-WebSocket-Extensions: ", offer]);
        }
        line(["", ""]);
    }
}

/// Appends text, every byte percent-encoded that is not unreserved (RFC 3986 section 2.3): it can
/// stand in a path's segment or a query's value.
pub(in crate::load) fn push_encoded(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let digit = |value: u8| char::from(b"0123456789ABCDEF"[usize::from(value)]);
            out.extend(['%', digit(byte >> 4), digit(byte & 0xF)]);
        }
    }
}
