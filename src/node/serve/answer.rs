//! What a request is answered: its endpoint's door, or its route behind the guard of the API.
//!
//! Called by hyper for each request of a connection. The endpoints' paths come first, compared as
//! they stand; then the routes (protocols.md section 7). Says nothing of its own: reports are
//! `http/health`, what a request has the shards do is a file of `node/`.

use std::net::SocketAddr;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::header::{ALLOW, HeaderValue};
use hyper::{Request, StatusCode};

use crate::http::{self, Answer, Route, doors, openapi};
use crate::node::api;
use crate::node::clock;
use crate::node::live::Live;
use crate::node::local::Local;
use crate::node::publishing;
use crate::node::serve::Entered;
use crate::node::serve::door::enter;

pub(super) async fn answer(
    local: &Rc<Local>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    entered: &Entered,
) -> Answer {
    let _in_progress = local.common.begin_request();
    let live = local.common.live();
    let endpoints = &live.policy.endpoints;
    let path = request.uri().path();
    if let Some(endpoint) = endpoints.iter().position(|endpoint| endpoint.path == path) {
        return enter(local, &live, endpoint as u8, peer.ip(), &mut request, entered);
    }
    let route = Route::of(request.method(), path);
    if route.is_guarded()
        && let Err(answer) = guard(&live, &request)
    {
        return answer;
    }
    match route {
        Route::Health => local.common.facts().health(),
        Route::Ready => local.common.facts().ready(),
        Route::Metrics if local.common.scraped_elsewhere => {
            http::error(StatusCode::NOT_FOUND, "not found")
        }
        Route::Metrics => local.common.facts().metrics(),
        Route::Publish => publishing::answer(local, request).await,
        Route::Say(to) => api::say(local, to, request).await,
        Route::Disconnect(whom) => api::disconnect(local, whom, request).await,
        Route::Report(about) => api::report(local, about, request.uri().query()).await,
        Route::OpenApi => openapi::answer(),
        Route::WrongMethod(allowed) => {
            let mut answer = http::error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        Route::Malformed => http::error(StatusCode::BAD_REQUEST, "the path is ill formed"),
        Route::Unknown => http::error(StatusCode::NOT_FOUND, "not found"),
    }
}

/// Lets only the API key or an admin's token pass. Without a key and a verifier the API is off.
fn guard(live: &Live, request: &Request<Incoming>) -> Result<(), Answer> {
    let unauthorized =
        || http::error(StatusCode::UNAUTHORIZED, "API key or a token of role admin required");
    let given = doors::bearer(request.headers()).ok_or_else(unauthorized)?;
    if let Some(key) = &live.api_key
        && doors::is_key(given, key)
    {
        return Ok(());
    }
    let verifier = live.policy.verifier.as_ref().ok_or_else(unauthorized)?;
    let identity = verifier.verify(given, clock::now().wall).map_err(|_| unauthorized())?;
    if identity.has_role("admin") {
        return Ok(());
    }
    Err(http::error(StatusCode::FORBIDDEN, "role admin required"))
}
