//! The routes of the API that ask shards or have them send: one request, its answers awaited, one
//! reply.
//!
//! Called by `serve/` for a request that may. How requests and replies read is `http` and `report`;
//! how shards are asked is `asking.rs`; publishing, which alone takes batches, is `publishing.rs`.
//! Contract: protocols.md section 7 and section 11, "HTTP API".

use std::rc::Rc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use crate::announcement;
use crate::close::Refusal;
use crate::http::disconnect::Whom;
use crate::http::publish::{Published, result};
use crate::http::say::{Reach, Said, To};
use crate::http::wanted::About;
use crate::http::{self, Answer, Parameters};
use crate::node::body::body;
use crate::node::clock;
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
