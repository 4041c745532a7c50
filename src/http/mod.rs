//! HTTP as the broker speaks it: which route a request asks for, and what answers look like.
//!
//! Pure reading and writing: `node/` receives requests, asks the shards and sends what is made
//! here. Routes: protocols.md section 7.

pub mod disconnect;
pub mod doors;
pub mod health;
pub mod openapi;
mod parameters;
pub mod publish;
mod route;
pub mod say;
mod text;
pub mod wanted;

pub use parameters::Parameters;
pub use route::Route;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::close::Refusal;

/// An answer with its whole body.
pub type Answer = Response<Full<Bytes>>;

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

/// What is answered to a request that is not carried out.
pub fn refused(refusal: Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.code()).unwrap_or(StatusCode::BAD_REQUEST);
    error(status, &refusal.to_string())
}
