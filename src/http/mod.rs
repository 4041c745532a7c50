//! HTTP as the broker speaks it: which route a request asks for, and what answers look like.
//!
//! Pure reading and writing: `node/` receives requests, asks the shards and sends what is made
//! here. Routes: protocols.md section 7.

pub mod doors;
pub mod publish;
pub mod reports;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use serde_json::json;

/// An answer with its whole body.
pub type Answer = Response<Full<Bytes>>;

/// What a request asks for, by method and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
    /// Nothing is there.
    Unknown,
}

impl Route {
    /// The route of a request.
    pub fn of(method: &Method, path: &str) -> Self {
        let (route, allowed) = match path {
            "/health" => (Self::Health, "GET, HEAD"),
            "/ready" => (Self::Ready, "GET, HEAD"),
            "/metrics" => (Self::Metrics, "GET, HEAD"),
            "/api/publish" => (Self::Publish, "POST"),
            "/api/stats" => (Self::Stats, "GET, HEAD"),
            _ => return Self::Unknown,
        };
        if allowed.split(", ").any(|name| name == method.as_str()) {
            route
        } else {
            Self::WrongMethod(allowed)
        }
    }

    /// Whether it wants the API key or an admin's token.
    pub fn is_guarded(self) -> bool {
        matches!(self, Self::Publish | Self::Stats)
    }
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
        assert_eq!(Route::of(&Method::GET, "/health/"), Route::Unknown);
    }
}
