//! The body of a request to the API: read whole, within its bound and in time, or refused.
//!
//! Called by the routes that take one, and by Engine.IO, which has its own words for what is
//! refused. What is in it is for `http` to say. Contract: protocols.md section 11, "HTTP API" and
//! "Doors".

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::{Request, StatusCode};

use crate::http::{self, Answer};
use crate::node::live::Live;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// It is over its bound.
    TooLarge,
    /// It was not there in time.
    TooSlow,
    /// It ended before its end.
    BrokenOff,
}

/// The body of a request to the API; or what is answered where there is none.
pub(super) async fn body(
    live: &Live,
    request: Request<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, Answer> {
    read(live, request, bytes_max).await.map_err(|unread| match unread {
        Unread::TooLarge => too_large(),
        Unread::TooSlow => http::error(StatusCode::REQUEST_TIMEOUT, "the body took too long"),
        Unread::BrokenOff => http::error(StatusCode::BAD_REQUEST, "the body broke off"),
    })
}

/// The body of a request, within its bound and in time. One that is announced to be larger is
/// refused at once.
///
/// # Errors
/// Why there is none: the client's fault.
pub(super) async fn read(
    live: &Live,
    request: Request<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, Unread> {
    let waits_for_leave = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    if body.size_hint().lower() > bytes_max as u64 {
        if !waits_for_leave {
            tokio::task::spawn_local(discard(body, live.request_timeout));
        }
        return Err(Unread::TooLarge);
    }
    let body = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(live.request_timeout, body).await {
        Err(_) => Err(Unread::TooSlow),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(Unread::TooLarge),
        Ok(Err(_)) => Err(Unread::BrokenOff),
        Ok(Ok(body)) => Ok(body.to_bytes()),
    }
}

/// Reads away what is left of a body that was refused, for a time: a client in the midst of sending
/// it would be reset otherwise, and not hear why.
async fn discard(mut body: Incoming, time: Duration) {
    let rest = async { while let Some(Ok(_)) = body.frame().await {} };
    // Who is longer at it is cut.
    let _ = tokio::time::timeout(time, rest).await;
}

/// What is answered to a body over its bound.
pub(super) fn too_large() -> Answer {
    http::error(StatusCode::PAYLOAD_TOO_LARGE, "the body is too large")
}
