//! HTTP as the broker speaks it: which route a request asks for, and what answers look like.
//!
//! Pure reading and writing: `node/` receives requests, asks the shards and sends what is made
//! here. Routes: protocols.md section 7.

pub mod doors;
pub mod publish;
pub mod reports;

use std::borrow::Cow;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

/// An answer with its whole body.
pub type Answer = Response<Full<Bytes>>;

/// What a request asks for, by method and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `GET /health`
    Health,
    /// `GET /ready`
    Ready,
    /// `GET /metrics`
    Metrics,
    /// `POST /api/publish`
    Publish,
    /// `GET /api/stats`
    Stats,
    /// The path is there, but not for this method; which one is.
    WrongMethod(&'static str),
    /// The path is no text: an escape in it is broken, or what is escaped is not UTF-8.
    Malformed,
    /// Nothing is there.
    Unknown,
}

impl Route {
    /// The route of a request.
    ///
    /// The path is cut at its slashes first and then decoded, so that a name may hold any character.
    pub fn of(method: &Method, path: &str) -> Self {
        let Some(path) = path.strip_prefix('/') else { return Self::Unknown };
        let Some(segments) = segments(path) else { return Self::Malformed };
        let segments: Vec<&str> = segments.iter().map(|segment| &**segment).collect();
        let (route, allowed) = match segments[..] {
            ["health"] => (Self::Health, "GET, HEAD"),
            ["ready"] => (Self::Ready, "GET, HEAD"),
            ["metrics"] => (Self::Metrics, "GET, HEAD"),
            ["api", "publish"] => (Self::Publish, "POST"),
            ["api", "stats"] => (Self::Stats, "GET, HEAD"),
            _ => return Self::Unknown,
        };
        if allowed.split(", ").any(|name| name == method.as_str()) {
            route
        } else {
            Self::WrongMethod(allowed)
        }
    }

    /// Whether it wants the API key or an admin's token.
    pub fn is_guarded(&self) -> bool {
        matches!(self, Self::Publish | Self::Stats)
    }
}

/// The segments of a path without its first slash, decoded; `None` where one cannot be.
fn segments(path: &str) -> Option<Vec<Cow<'_, str>>> {
    path.split('/').map(decoded).collect()
}

/// A segment without its percent escapes (RFC 3986 section 2.1).
fn decoded(segment: &str) -> Option<Cow<'_, str>> {
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

/// An answer of JSON.
pub fn json(status: StatusCode, body: &serde_json::Value) -> Answer {
    with_type(status, "application/json", format!("{body}\n"))
}

/// An answer of text of a given type. Nothing the broker answers may be cached.
pub fn with_type(status: StatusCode, content_type: &'static str, body: String) -> Answer {
    let mut answer = Response::new(Full::new(Bytes::from(body)));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An error in the form of the API (protocols.md section 11, "HTTP API").
pub fn error(status: StatusCode, message: &str) -> Answer {
    json(status, &json!({"error": {"code": status.as_u16(), "message": message}}))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn routes() {
        assert_eq!(Route::of(&Method::GET, "/health"), Route::Health);
        assert_eq!(Route::of(&Method::HEAD, "/metrics"), Route::Metrics);
        assert_eq!(Route::of(&Method::POST, "/api/publish"), Route::Publish);
        assert_eq!(Route::of(&Method::GET, "/api/publish"), Route::WrongMethod("POST"));
        for path in ["/health/", "//health", "health", "*", "/api%2Fstats", "/HEALTH", "/"] {
            assert_eq!(Route::of(&Method::GET, path), Route::Unknown, "{path}");
        }
        assert_eq!(Route::of(&Method::GET, "/api/%73tats"), Route::Stats);
        for path in ["/%", "/%4", "/a/%zz", "/%ff", "/%+1"] {
            assert_eq!(Route::of(&Method::GET, path), Route::Malformed, "{path}");
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
    }
}
