//! What a request's headers say of who is at the door: token, origin, API key.
//!
//! Decides nothing but what the headers alone decide. Protocols.md sections 1 and 11 ("Doors").

use std::net::{IpAddr, SocketAddr};

use hyper::header::{
    AUTHORIZATION, CONTENT_LENGTH, COOKIE, HOST, HeaderValue, ORIGIN, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, TRANSFER_ENCODING,
};
use hyper::{HeaderMap, Request, Version};
use ipnet::IpNet;
use subtle::ConstantTimeEq;

use crate::limits::ORIGIN_BYTES_SHOWN;
use crate::origin::{OriginMark, Origins, Site};

/// The subprotocol by which a browser carries a token.
pub const BEARER_PROTOCOL: &str = "bearer";

/// The token a request carries: in the query, the `Authorization` header, the cookie `token` or
/// the subprotocol list, the first of these that is there.
pub fn token(query: Option<&str>, headers: &HeaderMap) -> Option<String> {
    let in_query = query.and_then(|query| {
        form_urlencoded::parse(query.as_bytes())
            .find(|(key, _)| key == "token")
            .map(|(_, value)| value.into_owned())
    });
    in_query
        .or_else(|| bearer(headers).map(str::to_owned))
        .or_else(|| cookie(headers, "token").map(str::to_owned))
        .or_else(|| bearer_protocol(headers).map(str::to_owned))
}

/// The credentials of an `Authorization: Bearer` header.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let (scheme, credentials) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credentials.trim())
}

fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value.trim_matches('"'))
}

/// The subprotocols that a handshake offers.
pub fn protocols(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    headers
        .get_all(SEC_WEBSOCKET_PROTOCOL)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .filter(|protocol| !protocol.is_empty())
}

fn bearer_protocol(headers: &HeaderMap) -> Option<&str> {
    let mut offered = protocols(headers);
    offered.find(|protocol| *protocol == BEARER_PROTOCOL)?;
    offered.next()
}

/// Whether a request may come in from where its `Origin` says. One without is no browser's. `tls`
/// is whether the broker speaks that.
pub fn is_allowed(origins: &Origins, headers: &HeaderMap, tls: bool) -> bool {
    let Some(origin) = headers.get(ORIGIN) else { return true };
    let Ok(origin) = origin.to_str() else { return *origins == Origins::Any };
    origins.allow(origin, site(headers, tls))
}

/// What a connection keeps of the page that a browser came from.
pub fn origin_mark(headers: &HeaderMap, tls: bool) -> OriginMark {
    headers.get(ORIGIN).map_or(OriginMark::NONE, |origin| {
        // One that is no text is allowed only where all are.
        OriginMark::new(origin.to_str().unwrap_or_default(), site(headers, tls))
    })
}

/// Whether every `Host` of a request, of which there is one at least, names this machine or a
/// listed page: a browser that was led here by somebody's DNS names neither.
pub fn is_known_host(origins: &Origins, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(HOST).iter().peekable();
    let is_known = |host: &HeaderValue| host.to_str().is_ok_and(|host| origins.know_host(host));
    hosts.peek().is_some() && hosts.all(is_known)
}

/// The `Origin` of a request as a log may show it: cut, and with nothing that a terminal heeds.
pub fn shown_origin(headers: &HeaderMap) -> String {
    let origin = headers.get(ORIGIN).map(HeaderValue::as_bytes).unwrap_or_default();
    origin[..origin.len().min(ORIGIN_BYTES_SHOWN)].escape_ascii().to_string()
}

fn site(headers: &HeaderMap, tls: bool) -> Site<'_> {
    Site { host: headers.get(HOST).and_then(|host| host.to_str().ok()), tls }
}

/// Whether an address is one of the operator's proxies.
pub fn is_listed(address: IpAddr, trusted: &[IpNet]) -> bool {
    let address = address.to_canonical();
    trusted.iter().any(|net| net.contains(&address))
}

/// The client's address: the peer's, or where that is a trusted proxy the right-most entry of
/// `X-Forwarded-For` that is none. An entry that is no address ends the search.
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !is_listed(client, trusted) {
        return client;
    }
    let lines: Vec<_> = headers.get_all("x-forwarded-for").iter().collect();
    let entries = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for entry in entries {
        let Some(address) = forwarded(entry.trim_ascii()) else { break };
        client = address;
        if !is_listed(client, trusted) {
            break;
        }
    }
    client
}

/// An entry of `X-Forwarded-For`: an address, which some proxies give a port.
fn forwarded(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?;
    let bare = entry.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(entry);
    let address = bare.parse().or_else(|_| entry.parse::<SocketAddr>().map(|with| with.ip()));
    address.ok().map(|address: IpAddr| address.to_canonical())
}

/// What is wrong with the `Host` of any request (RFC 9112 section 3.2).
pub fn host_fault<B>(request: &Request<B>) -> Option<&'static str> {
    match request.headers().get_all(HOST).iter().count() {
        1 => None,
        0 if request.version() < Version::HTTP_11 => None,
        _ => Some("a request has one Host"),
    }
}

/// What is wrong with a handshake before its version is looked at (RFC 6455 section 4.2.1).
pub fn handshake_fault<B>(request: &Request<B>) -> Option<&'static str> {
    let headers = request.headers();
    let is_empty = |length: &HeaderValue| length.as_bytes() == b"0";
    if request.version() < Version::HTTP_11 {
        Some("a handshake is HTTP/1.1")
    } else if headers.get_all(HOST).iter().count() != 1 {
        Some("a handshake has one Host")
    } else if headers.get_all(ORIGIN).iter().count() > 1 {
        Some("a handshake has one Origin at most")
    } else if headers.contains_key(TRANSFER_ENCODING)
        || !headers.get_all(CONTENT_LENGTH).iter().all(is_empty)
    {
        Some("a handshake has no body")
    } else if headers.get_all(SEC_WEBSOCKET_KEY).iter().count() != 1
        || !headers.get(SEC_WEBSOCKET_KEY).is_some_and(is_key_text)
    {
        Some("Sec-WebSocket-Key must be 16 bytes in base64")
    } else {
        None
    }
}

fn is_key_text(key: &HeaderValue) -> bool {
    let key = key.as_bytes().trim_ascii();
    let is_base64 = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    key.len() == 24 && key.ends_with(b"==") && key[..22].iter().all(is_base64)
}

/// Whether a key is the configured one; takes the same time wherever they differ.
pub fn is_key(given: &str, configured: &str) -> bool {
    given.as_bytes().ct_eq(configured.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    #[test]
    fn a_token_from_each_carrier_in_order() {
        let all = headers(&[
            ("authorization", "Bearer header"),
            ("cookie", "a=b; token=cookie"),
            ("sec-websocket-protocol", "bearer, protocol"),
        ]);
        assert_eq!(token(Some("x=1&token=que%72y"), &all).unwrap(), "query");
        assert_eq!(token(Some("x=1"), &all).unwrap(), "header");
        let mut rest = all.clone();
        rest.remove("authorization");
        assert_eq!(token(None, &rest).unwrap(), "cookie");
        rest.remove("cookie");
        assert_eq!(token(None, &rest).unwrap(), "protocol");
        assert_eq!(token(None, &headers(&[("sec-websocket-protocol", "chat")])), None);
        assert_eq!(token(None, &headers(&[("authorization", "Basic abc")])), None);
    }

    #[test]
    fn handshakes() {
        let good = [("host", "a"), ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")];
        let fault = |changed: &[(&'static str, &'static str)]| {
            let mut request = Request::new(());
            for (name, value) in changed {
                request.headers_mut().append(*name, value.parse().unwrap());
            }
            handshake_fault(&request).is_some()
        };
        assert!(!fault(&good));
        assert!(!fault(&[good[0], good[1], ("content-length", "0")]));
        assert!(!fault(&[good[0], good[1], ("origin", "http://a")]));
        for bad in [
            &[good[1]][..],
            &[good[0]],
            &[good[0], good[0], good[1]],
            &[good[0], good[1], good[1]],
            &[good[0], ("sec-websocket-key", "short")],
            &[good[0], good[1], ("content-length", "3")],
            &[good[0], good[1], ("origin", "http://a"), ("origin", "http://a")],
            &[good[0], good[1], ("transfer-encoding", "chunked")],
        ] {
            assert!(fault(bad), "{bad:?}");
        }
    }

    #[test]
    fn an_origin_in_the_log() {
        let shown = |origin: &[u8]| {
            let origin = HeaderValue::from_bytes(origin).unwrap();
            shown_origin(&[(ORIGIN, origin)].into_iter().collect())
        };
        assert_eq!(shown(b"https://app.example:8443"), "https://app.example:8443");
        assert_eq!(shown(b"a\t\"\xc2\x85"), r#"a\t\"\xc2\x85"#);
        assert_eq!(shown(&[b'x'; 5000]).len(), 200);
    }

    #[test]
    fn a_request_has_one_host() {
        for (version, hosts, is_fault) in [
            (Version::HTTP_11, 1, false),
            (Version::HTTP_11, 0, true),
            (Version::HTTP_11, 2, true),
            (Version::HTTP_10, 0, false),
            (Version::HTTP_10, 2, true),
        ] {
            let mut request = Request::new(());
            *request.version_mut() = version;
            for _ in 0..hosts {
                request.headers_mut().append(HOST, HeaderValue::from_static("a"));
            }
            assert_eq!(host_fault(&request).is_some(), is_fault, "{version:?} {hosts}");
        }
    }

    #[test]
    fn origins_and_hosts() {
        let from = |origin| headers(&[("host", "app.example:3000"), ("origin", origin)]);
        assert!(is_allowed(&Origins::SameHost, &headers(&[("host", "app.example")]), false));
        assert!(is_allowed(&Origins::SameHost, &from("http://app.example:3000"), false));
        assert!(!is_allowed(&Origins::SameHost, &from("http://app.example"), false));
        assert!(!is_allowed(&Origins::SameHost, &from("http://app.example:3000"), true));
        let mut odd = from("null");
        odd.insert(ORIGIN, HeaderValue::from_bytes(b"\xff").unwrap());
        assert!(
            is_allowed(&Origins::Any, &odd, false) && !is_allowed(&Origins::SameHost, &odd, false)
        );
        let known = |hosts: &[(&'static str, &'static str)]| {
            is_known_host(&Origins::SameHost, &headers(hosts))
        };
        assert!(known(&[("host", "localhost:3000")]));
        assert!(!known(&[]) && !known(&[("host", "evil.example:3000")]));
        let mut two = headers(&[("host", "localhost")]);
        two.append(HOST, "evil.example".parse().unwrap());
        assert!(!is_known_host(&Origins::SameHost, &two));
    }

    #[test]
    fn the_client_behind_proxies() {
        let trusted: Vec<IpNet> = vec!["10.0.0.0/8".parse().unwrap(), "::1/128".parse().unwrap()];
        let peer = |text: &str| text.parse::<IpAddr>().unwrap();
        for (from, forwarded, client) in [
            ("192.0.2.1", "198.51.100.1", "192.0.2.1"),
            ("10.0.0.1", "198.51.100.1", "198.51.100.1"),
            ("10.0.0.1", "203.0.113.9, 198.51.100.1, 10.2.3.4", "198.51.100.1"),
            ("10.0.0.1", "10.1.1.1,10.2.2.2", "10.1.1.1"),
            ("10.0.0.1", "203.0.113.9, nonsense", "10.0.0.1"),
            ("10.0.0.1", "[2001:db8::1]:443", "2001:db8::1"),
            ("::1", "198.51.100.1:9", "198.51.100.1"),
            ("::ffff:10.0.0.1", "198.51.100.1", "198.51.100.1"),
        ] {
            let headers = headers(&[("x-forwarded-for", forwarded)]);
            assert_eq!(client_address(peer(from), &headers, &trusted), peer(client), "{forwarded}");
        }
        assert_eq!(client_address(peer("10.0.0.1"), &HeaderMap::new(), &trusted), peer("10.0.0.1"));
        // A client's own line with bytes that are no text must not hide the proxy's.
        let mut lines = HeaderMap::new();
        lines.append("x-forwarded-for", "203.0.113.9".parse().unwrap());
        let odd = hyper::header::HeaderValue::from_bytes(b"\xff, 198.51.100.1").unwrap();
        lines.append("x-forwarded-for", odd);
        let client = client_address(peer("10.0.0.1"), &lines, &trusted);
        assert_eq!(client, peer("198.51.100.1"));
    }

    #[test]
    fn keys() {
        assert!(is_key("secret", "secret"));
        assert!(!is_key("secret2", "secret"));
        assert!(!is_key("", "secret"));
    }
}
