//! The routes of the API that ask shards or have them send: one request, its answers awaited, one
//! reply.
//!
//! Called by `serve/` for a request that may. How requests and replies read is `http` and `report`;
//! how shards are asked is `asking.rs`; publishing, which alone takes batches, is `publishing.rs`.
//! Contract: protocols.md section 7 and section 11, "HTTP API".

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::{Request, StatusCode};

use crate::announcement;
use crate::close::Refusal;
use crate::http::disconnect::Whom;
use crate::http::publish::{Published, result};
use crate::http::say::{Reach, Said, To};
use crate::http::wanted::About;
use crate::http::{self, Answer, Parameters};
use crate::node::clock;
use crate::node::live::Live;
use crate::node::local::Local;
use crate::node::publishing::{Results, settled};
use crate::report::Wanted;

/// Sends a message to whom the path names.
pub(super) async fn say(local: &Rc<Local>, to: To, request: Request<Incoming>) -> Answer {
    let live = local.common.live();
    let parameters = Parameters::of(request.uri().query());
    let body = match body(&live, request, live.policy.message_bytes_max).await {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let outcome = match to.said(&parameters, &body, live.policy.topic_bounds) {
        Ok(said) => send(local, said).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(_) => http::json(StatusCode::OK, &result(&outcome, None)),
        Err(refusal) => http::refused(refusal),
    }
}

async fn send(local: &Local, said: Said) -> Results {
    match said.reach {
        Reach::Subscribers(topic) => {
            let at = clock::now().wall;
            let counting = local.publish(&announcement::publication(&topic, &said.message, at))?;
            local.wake.notify_one();
            settled(counting).await
        }
        Reach::These(audience) => {
            let delivered = local.say(audience, &said.message).await?;
            Ok(Published { delivered, position: None })
        }
    }
}

/// Ends the connections that the path names.
pub(super) async fn disconnect(
    local: &Rc<Local>,
    whom: Whom,
    request: Request<Incoming>,
) -> Answer {
    let live = local.common.live();
    let parameters = Parameters::of(request.uri().query());
    match body(&live, request, live.policy.message_bytes_max).await {
        Ok(body) => carry_out(local, whom.wanted(&parameters, &body)).await,
        Err(answer) => answer,
    }
}

/// Tells of what the path names.
pub(super) async fn report(local: &Rc<Local>, about: About, query: Option<&str>) -> Answer {
    carry_out(local, about.wanted(&Parameters::of(query))).await
}

async fn carry_out(local: &Rc<Local>, wanted: Result<Wanted, Refusal>) -> Answer {
    let outcome = match wanted {
        Ok(wanted) => local.report(wanted).await,
        Err(refusal) => Err(refusal),
    };
    match outcome {
        Ok(mut text) => {
            text.push('\n');
            http::with_type(StatusCode::OK, "application/json", text)
        }
        Err(refusal) => http::refused(refusal),
    }
}

/// The body of a request, within its bound and in time. One that is announced to be larger is
/// refused at once.
pub(super) async fn body(
    live: &Live,
    request: Request<Incoming>,
    bytes_max: usize,
) -> Result<Bytes, Answer> {
    let waits_for_leave = request.headers().contains_key(EXPECT);
    let body = request.into_body();
    if body.size_hint().lower() > bytes_max as u64 {
        if !waits_for_leave {
            tokio::task::spawn_local(discard(body, live.request_timeout));
        }
        return Err(too_large());
    }
    let body = Limited::new(body, bytes_max).collect();
    match tokio::time::timeout(live.request_timeout, body).await {
        Err(_) => Err(http::error(StatusCode::REQUEST_TIMEOUT, "the body took too long")),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(http::error(StatusCode::BAD_REQUEST, "the body broke off")),
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
