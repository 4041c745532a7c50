//! Which route a request asks for, by method and path.
//!
//! One table says what there is; `openapi.json` tells clients the same, and a test holds the two
//! together. A path is cut at its slashes first and then decoded, so that a name in it may hold any
//! character. Routes: protocols.md section 7.

use std::borrow::Cow;

use hyper::Method;

use super::disconnect::Whom;
use super::say::To;
use super::wanted::About;

/// What a request asks for, with the names in its path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// Whether the process serves.
    Health,
    /// Whether it takes clients.
    Ready,
    /// The counters for Prometheus.
    Metrics,
    /// Publish a message, or a batch.
    Publish,
    /// Say something to somebody, whatever they are subscribed to.
    Say(To),
    /// End connections.
    Disconnect(Whom),
    /// Tell of connections, topics, or all of it.
    Report(About),
    /// Describe all of this.
    OpenApi,
    /// The path is there, but not for this method.
    WrongMethod {
        /// Which ones it is there for.
        allowed: &'static str,
        /// Whether those want the key.
        guarded: bool,
    },
    /// The path is no text: an escape in it is broken, or what is escaped is not UTF-8.
    Malformed,
    /// Nothing is there.
    Unknown,
}

const GET: &str = "GET, HEAD";
const POST: &str = "POST";

/// A path with a name in braces, its methods, and the route that it is.
type Row = (&'static str, &'static str, fn(InPath) -> Route);

const ROUTES: &[Row] = &[
    ("/api/publish", POST, |_| Route::Publish),
    ("/health", GET, |_| Route::Health),
    ("/ready", GET, |_| Route::Ready),
    ("/metrics", GET, |_| Route::Metrics),
    ("/api/broadcast", POST, |_| Route::Say(To::Everyone)),
    ("/api/tenants/{tenant}/broadcast", POST, |it| Route::Say(To::Tenant(it.name()))),
    ("/api/users/{user}/notify", POST, |it| Route::Say(To::User(it.name()))),
    ("/api/channels/{channel}/send", POST, |it| Route::Say(To::Channel(it.name()))),
    ("/api/users/{user}/disconnect", POST, |it| Route::Disconnect(Whom::User(it.name()))),
    ("/api/connections/{connection}/disconnect", POST, |it| {
        Route::Disconnect(Whom::Connection(it.name()))
    }),
    ("/api/stats", GET, |_| Route::Report(About::Stats)),
    ("/api/connections", GET, |_| Route::Report(About::Connections)),
    ("/api/connections/{connection}", GET, |it| Route::Report(About::Connection(it.name()))),
    ("/api/topics", GET, |_| Route::Report(About::Topics)),
    ("/api/topics/{topic}", GET, |it| Route::Report(About::Topic(it.name()))),
    ("/api/topics/{topic}/presence", GET, |it| Route::Report(About::Presence(it.name()))),
    ("/api/topics/{topic}/history", GET, |it| Route::Report(About::History(it.name()))),
    ("/api/openapi.json", GET, |_| Route::OpenApi),
];

/// The name in a path, where its template has one.
struct InPath(Option<String>);

impl InPath {
    /// The name.
    ///
    /// # Panics
    /// When the template has none: our bug, which the test of the table finds.
    fn name(self) -> String {
        self.0.expect("a route's template has the name that the route takes")
    }
}

impl Route {
    /// The route of a request.
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::Unknown };
        let Some(segments) = segments(path) else { return Self::Malformed };
        let found = ROUTES.iter().find_map(|row| Some((row, in_path(row.0, &segments)?)));
        let Some((&(_, allowed, route), name)) = found else { return Self::Unknown };
        if allowed.split(", ").any(|name| name == method.as_str()) {
            route(name)
        } else {
            let guarded = route(name).is_guarded();
            Self::WrongMethod { allowed, guarded }
        }
    }

    /// Whether it wants the API key or an admin's token: all of the API.
    pub fn is_guarded(&self) -> bool {
        match self {
            Self::Health | Self::Ready | Self::Metrics | Self::Malformed | Self::Unknown => false,
            Self::WrongMethod { guarded, .. } => *guarded,
            Self::Publish
            | Self::Say(_)
            | Self::Disconnect(_)
            | Self::Report(_)
            | Self::OpenApi => true,
        }
    }

    /// The names that its query may hold; `None`: it is not looked at.
    pub fn parameters(&self) -> Option<&'static [&'static str]> {
        Some(match self {
            Self::Say(To::User(_)) | Self::Disconnect(Whom::User(_)) => &["tenant", "tenantId"],
            Self::Report(About::Connections) => {
                &["limit", "cursor", "user", "userId", "tenant", "tenantId"]
            }
            Self::Report(About::Topics) => &["limit", "cursor", "prefix"],
            Self::Report(About::History(_)) => &["since", "limit"],
            Self::Publish
            | Self::Say(_)
            | Self::Disconnect(_)
            | Self::Report(_)
            | Self::OpenApi => &[],
            Self::Health
            | Self::Ready
            | Self::Metrics
            | Self::WrongMethod { .. }
            | Self::Malformed
            | Self::Unknown => return None,
        })
    }
}

/// What a path has where `template` has braces, which is never empty; `None` where they differ.
fn in_path(template: &str, segments: &[Cow<'_, str>]) -> Option<InPath> {
    let mut name = None;
    let mut rest = segments.iter();
    for part in template.split('/').skip(1) {
        let segment = rest.next()?;
        if part.starts_with('{') && !segment.is_empty() {
            name = Some(segment.clone().into_owned());
        } else if part != segment {
            return None;
        }
    }
    rest.next().is_none().then_some(InPath(name))
}

/// The segments of a path without its first slash, decoded; `None` where one cannot be.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    path.split('/').map(decoded).collect()
}

/// A text without its percent escapes (RFC 3986 section 2.1); `None` where they are broken, or give
/// no UTF-8.
pub(super) fn decoded(segment: &str) -> Option<Cow<'_, str>> {
    if !segment.contains('%') {
        return Some(segment.into());
    }
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let [byte, behind @ ..] = rest {
        rest = behind;
        if *byte != b'%' {
            bytes.push(*byte);
            continue;
        }
        let [high, low, behind @ ..] = rest else { return None };
        let digit = |digit: u8| char::from(digit).to_digit(16);
        bytes.push((digit(*high)? << 4 | digit(*low)?) as u8);
        rest = behind;
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

/// The paths that there are, with a name in braces, and the methods of each.
#[cfg(test)]
pub(super) fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    ROUTES.iter().map(|row| (row.0, row.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        let get = |path| Route::of(&Method::GET, path);
        assert_eq!(get("/health"), Route::Health);
        assert_eq!(Route::of(&Method::HEAD, "/metrics"), Route::Metrics);
        assert_eq!(Route::of(&Method::POST, "/api/publish"), Route::Publish);
        let wrong = |allowed, guarded| Route::WrongMethod { allowed, guarded };
        assert_eq!(get("/api/publish"), wrong("POST", true));
        assert_eq!(Route::of(&Method::TRACE, "/api/topics/a"), wrong("GET, HEAD", true));
        assert_eq!(Route::of(&Method::POST, "/health"), wrong("GET, HEAD", false));
        assert_eq!(get("/api/%73tats"), Route::Report(About::Stats));
        for path in ["/health/", "//health", "health", "*", "/api%2Fstats", "/HEALTH", "/"] {
            assert_eq!(get(path), Route::Unknown, "{path}");
        }
        for path in ["/api/topics/", "/api/topics//presence", "/api/users/a", "/api", "/api/"] {
            assert_eq!(get(path), Route::Unknown, "{path}");
        }
        for path in ["/%", "/%4", "/a/%zz", "/%ff", "/%+1"] {
            assert_eq!(get(path), Route::Malformed, "{path}");
        }
    }

    #[test]
    fn names_in_paths_hold_any_character() {
        for (path, expected) in [
            ("a/b", &["a", "b"][..]),
            ("room%2F1/%C3%BC:x", &["room/1", "ü:x"]),
            ("a%2525", &["a%25"]),
            ("a+b//", &["a+b", "", ""]),
        ] {
            assert_eq!(segments(path).unwrap(), expected, "{path}");
        }
        let presence = Route::of(&Method::GET, "/api/topics/a%2Fb:%25/presence");
        assert_eq!(presence, Route::Report(About::Presence("a/b:%".into())));
        let notify = Route::of(&Method::POST, "/api/users/%7Buser%7D/notify");
        assert_eq!(notify, Route::Say(To::User("{user}".into())));
    }

    #[test]
    fn what_is_open_is_named() {
        for (path, methods) in table() {
            let method = methods.split(", ").next().unwrap().parse().unwrap();
            let guarded = Route::of(&method, path).is_guarded();
            assert_eq!(guarded, path.starts_with("/api/"), "{path}");
        }
    }
}
