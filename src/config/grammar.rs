//! The grammars of texts in the configuration: hosts, networks, origins, paths. That of a
//! rule's topic is `auth::rules`'.
//!
//! Plain predicates that the rows of `keys.rs` name, and the parsers that `meant.rs` uses on a
//! text that has passed them.

use std::net::{IpAddr, SocketAddr};

use ipnet::{IpNet, Ipv4Net};

use crate::topic::{Pattern, TopicBounds};

/// Bits before the IPv4 address in an IPv6 one that stands for it (RFC 4291 section 2.5.5.2).
const V4_MAPPED_BITS: u8 = 96;

/// Paths that the HTTP routes own (protocols.md section 7).
const ROUTES: [&str; 4] = ["/health", "/ready", "/metrics", "/api"];

pub(super) fn any_text(text: &str) -> bool {
    !text.is_empty()
}

/// An IP address, without brackets, or a host name of letters, digits, hyphens and dots.
pub(super) fn host(text: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    // A last label of digits alone is an address that failed to parse, not a name.
    let is_name = || {
        text.len() <= 253
            && text.split('.').all(is_label)
            && text.rsplit('.').next().is_some_and(|last| last.parse::<u64>().is_err())
    };
    text.parse::<IpAddr>().is_ok() || is_name()
}

/// Whether a [`host`] can only be reached from the same machine.
pub(super) fn is_loopback(host: &str) -> bool {
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|ip| ip.to_canonical().is_loopback())
}

/// An IP address with a port.
pub(super) fn socket_address(text: &str) -> bool {
    text.parse::<SocketAddr>().is_ok()
}

/// A network; a single address is the network of itself.
/// An IPv4 network in the form of IPv6 is the IPv4 one, as addresses are compared; one that is
/// larger than all of IPv4 in that form is none.
pub(super) fn parse_network(text: &str) -> Option<IpNet> {
    let network = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))?;
    let IpNet::V6(v6) = network else { return Some(network) };
    let Some(mapped) = v6.addr().to_ipv4_mapped() else { return Some(network) };
    let prefix = v6.prefix_len().checked_sub(V4_MAPPED_BITS)?;
    Ipv4Net::new(mapped, prefix).ok().map(IpNet::V4)
}

pub(super) fn network(text: &str) -> bool {
    parse_network(text).is_some()
}

/// An `Origin` header's value (RFC 6454 section 7), or `*` for any.
pub(super) fn origin(text: &str) -> bool {
    if text == "*" || text == "null" {
        return true;
    }
    text.split_once("://").is_some_and(|(scheme, authority)| {
        let is_part = |part: &str| {
            !part.is_empty()
                && !part
                    .contains(|c: char| c.is_whitespace() || c.is_control() || "/?#@*".contains(c))
        };
        is_part(scheme) && is_part(authority)
    })
}

/// Where a webhook may be.
pub(super) fn webhook_url(text: &str) -> bool {
    crate::auth::webhook::check_url(text).is_ok()
}

/// The path of an endpoint: what stands in a request line before `?`.
pub(super) fn path(text: &str) -> bool {
    text.starts_with('/')
        && text.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'#'))
}

/// Whether the HTTP routes own this path.
pub(super) fn is_route(path: &str) -> bool {
    ROUTES.iter().any(|route| {
        path.strip_prefix(route).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// A pattern of topics.
pub(super) fn pattern(text: &str) -> bool {
    Pattern::parse(text, TopicBounds::default()).is_ok()
}
