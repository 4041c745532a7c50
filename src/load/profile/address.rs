//! Where a load goes: a `ws://` or `wss://` URL, and the path that a protocol has by default.
//!
//! RFC 6455 section 3: the port is 80 or 443 unless given, a fragment is not allowed.

use crate::load::scenario::Spoken;

/// What a URL of a server must look like.
pub(super) const ALLOWED: &str = "ws://host:port/path or wss://host:port/path";

/// A URL, cut up. The path is empty when there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    pub(super) tls: bool,
    /// Without the brackets of an IPv6 address.
    pub(super) host: String,
    pub(super) port: u16,
    /// As typed, for the `Host` header: without the port where it is the scheme's own.
    pub(super) authority: String,
    /// With its query.
    pub(super) path: String,
}

impl Url {
    /// Cuts it up. `None` when it is none of ours.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (scheme, rest) = text.split_once("://")?;
        let tls = match scheme.to_ascii_lowercase().as_str() {
            "ws" => false,
            "wss" => true,
            _ => return None,
        };
        let is_plain = |byte: u8| byte.is_ascii_graphic() && !b"#\\\"<>".contains(&byte);
        if !rest.bytes().all(is_plain) {
            return None;
        }
        let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
        let usual = if tls { 443 } else { 80 };
        let (host, port) = match authority.strip_prefix('[') {
            Some(bracketed) => {
                let (host, after) = bracketed.split_once(']')?;
                host.parse::<std::net::Ipv6Addr>().ok()?;
                (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
            }
            None => authority.split_once(':').unwrap_or((authority, "")),
        };
        let port = if port.is_empty() { usual } else { port.parse().ok().filter(|it| *it > 0)? };
        if host.is_empty() || host.contains('@') {
            return None;
        }
        let path = if path.starts_with('?') { format!("/{path}") } else { path.to_owned() };
        let authority = authority.trim_end_matches(':').to_owned();
        Some(Self { tls, host: host.to_owned(), port, authority, path })
    }
}

/// Where a protocol is unless the URL says so: at the broker's own path for it (protocols.md
/// section 1), else where its servers have it.
pub fn usual_path(dialect: Spoken) -> &'static str {
    match dialect {
        Spoken::Topics => "/ws",
        Spoken::Events => "/events",
        Spoken::Channels => "/channels",
        Spoken::Socketio => "/socket.io/?EIO=4&transport=websocket",
        Spoken::Mqtt => "/mqtt",
        Spoken::Nats | Spoken::Nchan | Spoken::Floor => "/",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_cut_up() {
        for (text, tls, host, port, authority, path) in [
            ("ws://127.0.0.1:3000/ws", false, "127.0.0.1", 3000, "127.0.0.1:3000", "/ws"),
            ("wss://broker.example", true, "broker.example", 443, "broker.example", ""),
            ("WS://h?x=1", false, "h", 80, "h", "/?x=1"),
            ("ws://[::1]:9/a?b=c:d@e", false, "::1", 9, "[::1]:9", "/a?b=c:d@e"),
            ("wss://[::1]", true, "::1", 443, "[::1]", ""),
        ] {
            let url = Url::parse(text).unwrap();
            let (host, authority, path) = (host.into(), authority.into(), path.into());
            assert_eq!(url, Url { tls, host, port, authority, path }, "{text}");
        }
        for text in [
            "",
            "h:1",
            "http://h/",
            "ws://",
            "ws:///ws",
            "ws://h:0/",
            "ws://h:70000/",
            "ws://h:x",
            "ws://[::1",
            "ws://[::1]x",
            "ws://[h]",
            "ws://u:p@h/",
            "ws://u@h/",
            "ws://h/a#b",
            "ws://h/a b",
            "ws://h/\r\nX: y",
        ] {
            assert_eq!(Url::parse(text), None, "{text}");
        }
    }
}
