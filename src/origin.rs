//! Which pages a browser may bring along: the `Origin` of a request, the host it was sent to, and
//! the operator's list.
//!
//! Texts in, yes or no out; who reads headers is `http/doors`, who keeps a mark of where a
//! connection came from is a shard. Contract: protocols.md section 10 `allow_origins`, section 11
//! "Doors".

use std::net::IpAddr;

use crate::topic::name_hash;

/// Where browsers may come from; a request without `Origin` is from no browser and let in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origins {
    /// From the host that the request itself names.
    SameHost,
    /// From anywhere.
    Any,
    /// From these, in the form of [`Origins::only`].
    Only(Vec<String>),
}

impl Origins {
    /// A list, as origins are compared: in lower case, and without the port that their scheme has
    /// anyway.
    pub fn only<T: AsRef<str>>(list: &[T]) -> Self {
        let plain = |origin: &T| normalised(origin.as_ref()).to_ascii_lowercase();
        Self::Only(list.iter().map(plain).collect())
    }

    /// Whether a page of this origin may come in by a request to this site.
    pub fn allow(&self, origin: &str, site: Site<'_>) -> bool {
        match self {
            Self::Any => true,
            Self::SameHost => is_same_host(origin, site),
            Self::Only(list) => {
                let origin = normalised(origin);
                list.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
            }
        }
    }

    /// Whether a `Host` header names this machine, or the host of a page on the list: a name that
    /// somebody else's page has made ours by DNS is neither. Ports make no difference.
    pub fn know_host(&self, host: &str) -> bool {
        let name = without_port(host);
        is_this_machine(name)
            || match self {
                Self::Any => true,
                Self::SameHost => false,
                Self::Only(list) => list
                    .iter()
                    .filter_map(|origin| origin.split_once("://"))
                    .any(|(_, listed)| without_port(listed).eq_ignore_ascii_case(name)),
            }
    }
}

/// Where a request was sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Site<'a> {
    /// Its `Host` header, where it has one.
    pub host: Option<&'a str>,
    /// Whether the broker itself speaks TLS. Where it does not, a proxy before it may.
    pub tls: bool,
}

/// Whether an origin is that of the site which a request was sent to: a web page, and with TLS one
/// that came by TLS.
pub fn is_same_host(origin: &str, site: Site<'_>) -> bool {
    site.host.zip(origin.split_once("://")).is_some_and(|(host, (scheme, origin))| {
        let is_https = scheme.eq_ignore_ascii_case("https");
        (is_https || !site.tls && scheme.eq_ignore_ascii_case("http"))
            && without_default_port(scheme, origin)
                .eq_ignore_ascii_case(without_default_port(scheme, host))
    })
}

/// An origin without the port that its scheme has anyway (RFC 6454 section 6.2). Upper and lower
/// case stay as they are.
fn normalised(origin: &str) -> &str {
    origin.split_once("://").map_or(origin, |(scheme, host)| {
        let cut = host.len() - without_default_port(scheme, host).len();
        &origin[..origin.len() - cut]
    })
}

fn without_default_port<'a>(scheme: &str, host: &'a str) -> &'a str {
    let port = if scheme.eq_ignore_ascii_case("http") {
        ":80"
    } else if scheme.eq_ignore_ascii_case("https") {
        ":443"
    } else {
        return host;
    };
    host.strip_suffix(port).unwrap_or(host)
}

/// A host without its port; an IPv6 address keeps its brackets.
fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

/// Whether a host without a port can only be this machine.
fn is_this_machine(name: &str) -> bool {
    let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || bare.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback())
}

/// What a connection keeps of the `Origin` it came with, to be held against other settings later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OriginMark {
    /// A hash of the header in lower case; 0 where there was none.
    hash: u32,
    /// Whether it was the host that the request itself named.
    same_host: bool,
}

impl OriginMark {
    /// That of who brought no `Origin` and is no browser.
    pub const NONE: Self = Self { hash: 0, same_host: false };

    /// That of an `Origin` header of a request to this site; the same for the same origin, however
    /// it is spelled.
    pub fn new(origin: &str, site: Site<'_>) -> Self {
        let hash = hash_of(&normalised(origin).to_ascii_lowercase());
        Self { hash, same_host: is_same_host(origin, site) }
    }

    /// Whether a page with this mark may be connected.
    pub fn is_allowed(self, origins: &Origins) -> bool {
        match origins {
            _ if self == Self::NONE => true,
            Origins::Any => true,
            Origins::SameHost => self.same_host,
            Origins::Only(list) => list.iter().any(|origin| hash_of(origin) == self.hash),
        }
    }
}

/// Never 0, which is the mark of no origin.
fn hash_of(origin: &str) -> u32 {
    (name_hash(origin) as u32).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOWHERE: Site<'_> = Site { host: None, tls: false };

    fn at(host: &str) -> Site<'_> {
        Site { host: Some(host), tls: false }
    }

    #[test]
    fn origins_are_allowed_by_list_or_by_host() {
        let host = at("app.example:3000");
        assert!(Origins::SameHost.allow("http://app.example:3000", host));
        assert!(!Origins::SameHost.allow("http://app.example", host));
        assert!(!Origins::SameHost.allow("null", host));
        assert!(!Origins::SameHost.allow("http://app.example:3000", NOWHERE));
        assert!(Origins::Any.allow("null", NOWHERE));
        let list = Origins::only(&["https://App.example:443"]);
        assert!(list.allow("https://app.EXAMPLE", host));
        assert!(list.allow("https://app.example:443", host));
        assert!(!list.allow("https://app.example.evil", host));
        assert!(!list.allow("http://app.example", host));
    }

    #[test]
    fn an_origin_is_the_same_with_the_port_that_it_has_anyway() {
        for (host, origin, is_same) in [
            ("app.example", "http://app.example:80", true),
            ("app.example:80", "http://app.example", true),
            ("APP.example:443", "HTTPS://app.example", true),
            ("app.example:443", "https://app.example:443", true),
            ("[::1]:80", "http://[::1]", true),
            ("app.example", "https://app.example:80", false),
            ("app.example:443", "http://app.example", false),
            ("app.example:8443", "https://app.example", false),
            ("[::80]", "http://[:", false),
            ("app.example:80", "ws://app.example", false),
            ("app.example", "ws://app.example", false),
            ("app.example:3000", "chrome-extension://app.example:3000", false),
            ("app.example", "://app.example", false),
        ] {
            assert_eq!(is_same_host(origin, at(host)), is_same, "{origin} at {host}");
        }
    }

    #[test]
    fn with_tls_the_same_host_is_one_that_speaks_it() {
        for (host, origin, is_same) in [
            ("app.example", "https://app.example", true),
            ("app.example", "HTTPS://App.example:443", true),
            ("app.example:443", "https://app.example", true),
            ("app.example:3000", "https://app.example:3000", true),
            ("app.example", "http://app.example", false),
            ("app.example:80", "http://app.example", false),
            ("app.example:3000", "http://app.example:3000", false),
            ("app.example:443", "http://app.example:443", false),
            ("app.example:80", "https://app.example", false),
        ] {
            let site = Site { host: Some(host), tls: true };
            assert_eq!(is_same_host(origin, site), is_same, "{origin} at {host}");
        }
    }

    #[test]
    fn hosts_of_this_machine_and_of_listed_pages_are_known() {
        let list = Origins::only(&["https://app.example:8443", "null"]);
        for host in ["localhost", "LOCALHOST:3000", "127.0.0.1", "127.9.9.9:80", "[::1]:3000"] {
            assert!(Origins::SameHost.know_host(host) && list.know_host(host), "{host}");
        }
        assert!(list.know_host("App.example") && list.know_host("app.example:3000"));
        for host in [
            "evil.example:3000",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "128.0.0.1",
            "[2001:db8::1]:3000",
            "null",
            "",
            ":3000",
        ] {
            assert!(!Origins::SameHost.know_host(host) && !list.know_host(host), "{host}");
            assert!(Origins::Any.know_host(host), "{host}");
        }
        assert!(!Origins::SameHost.know_host("app.example"));
    }

    #[test]
    fn a_mark_is_held_against_each_kind_of_list() {
        let here = OriginMark::new("https://App.example:443", at("app.example"));
        let there = OriginMark::new("https://other.example", at("app.example"));
        let only = Origins::only(&["https://app.example", "null"]);
        for (origins, mark, allowed) in [
            (&Origins::Any, there, true),
            (&Origins::SameHost, here, true),
            (&Origins::SameHost, there, false),
            (&only, here, true),
            (&only, there, false),
            (&only, OriginMark::new("null", NOWHERE), true),
            (&only, OriginMark::NONE, true),
            (&Origins::SameHost, OriginMark::NONE, true),
        ] {
            assert_eq!(mark.is_allowed(origins), allowed, "{origins:?} {mark:?}");
        }
    }
}
