//! HTTP as the broker speaks it: which route a request asks for, and what answers look like.
//!
//! Pure reading and writing: `node/` receives requests, asks the shards and sends what is made
//! here. Routes: protocols.md section 7.

pub mod cors;
pub mod disconnect;
pub mod doors;
pub mod engine;
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

use std::fmt::Display;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER,
    WWW_AUTHENTICATE,
};
use hyper::{Response, StatusCode};
use serde_json::json;

use crate::close::Refusal;

/// An answer with its whole body.
pub type Answer = Response<Full<Bytes>>;

/// An answer of JSON.
pub fn json(status: StatusCode, body: &impl Display) -> Answer {
    with_type(status, "application/json", format!("{body}\n"))
}

/// An answer of text of a given type. Nothing the broker answers may be cached.
pub fn with_type(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    answer
}

/// An error in the form of the API (protocols.md section 11, "HTTP API").
pub fn error(status: StatusCode, message: &str) -> Answer {
    json(status, &error_body(status.as_u16(), message))
}

/// The same without its status, for one of several results.
fn error_body(code: u16, message: &str) -> serde_json::Value {
    json!({"error": {"code": code, "message": message}})
}

/// 401, with the scheme that would open (RFC 9110 section 15.5.2).
pub fn unauthorized(message: &str) -> Answer {
    with_header(error(StatusCode::UNAUTHORIZED, message), WWW_AUTHENTICATE, "Bearer")
}

/// 405, with the methods that there are (RFC 9110 section 15.5.6).
pub fn wrong_method(allowed: &'static str) -> Answer {
    with_header(error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed"), ALLOW, allowed)
}

/// A refusal that may be none in a second.
pub fn retry_later(status: StatusCode, message: &str) -> Answer {
    retrying(error(status, message))
}

/// An answer that says when to try again: in a second.
fn retrying(answer: Answer) -> Answer {
    with_header(answer, RETRY_AFTER, "1")
}

/// An answer after which the connection ends: who is sent away gives its descriptor back, and its
/// next try costs it a connection.
pub fn last(answer: Answer) -> Answer {
    with_header(answer, CONNECTION, "close")
}

/// An answer with one more header.
pub fn with_header(mut answer: Answer, name: HeaderName, value: &'static str) -> Answer {
    answer.headers_mut().insert(name, HeaderValue::from_static(value));
    answer
}

/// What is answered to a request that is not carried out.
pub fn refused(refusal: Refusal) -> Answer {
    let status = StatusCode::from_u16(refusal.code()).unwrap_or(StatusCode::BAD_REQUEST);
    error(status, &refusal.to_string())
}
