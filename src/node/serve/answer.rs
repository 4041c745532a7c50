//! What a request is answered: its endpoint's door, or its route behind the guard of the API.
//!
//! Called by hyper for each request of a connection. The endpoints' paths come first, compared as
//! they stand, but for a slash at the end of Engine.IO's; then the routes (protocols.md section 7). Says nothing of its own: what the broker
//! tells of itself is `http/health`, what a request has the shards do is a file of `node/`. In trial
//! mode only hosts that are known are answered at all.

use std::net::SocketAddr;
use std::rc::Rc;

use hyper::body::Incoming;
use hyper::{Request, StatusCode};

use crate::config::Dialect;
use crate::http::{self, Answer, Parameters, Route, doors, openapi};
use crate::node::api;
use crate::node::live::{Disbelief, Live};
use crate::node::local::Local;
use crate::node::publishing;
use crate::node::serve::Door;
use crate::node::serve::door::enter;
use crate::node::serve::engine;
use crate::shard::Endpoint;

pub(super) async fn answer(
    local: &Rc<Local>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    door: &Door<'_>,
) -> Answer {
    let in_progress = local.common.begin_request();
    let live = local.common.live();
    let endpoints = &live.policy.endpoints;
    let path = request.uri().path();
    let fault = doors::host_fault(&request);
    if live.known_hosts_only
        && fault.is_none()
        && path != "/health"
        && !doors::is_known_host(&live.policy.origins, request.headers())
    {
        tracing::debug!(%peer, path, "a request to another host was refused");
        local.metrics().hosts_refused_total.add(1);
        let message = "in trial mode the Host must be localhost or a listed origin's";
        return http::last(http::error(StatusCode::FORBIDDEN, message));
    }
    let endpoint = endpoint_at(endpoints, path);
    if let Some(at) = endpoint
        && endpoints[at].dialect != Dialect::SocketIo
    {
        return enter(local, &live, at as u8, peer.ip(), &mut request, door.entered);
    }
    if let Some(fault) = fault {
        tracing::debug!(%peer, path, "a request without one Host was refused");
        return http::last(http::error(StatusCode::BAD_REQUEST, fault));
    }
    if let Some(at) = endpoint {
        return engine::answer(local, &live, at as u8, peer.ip(), request, door, in_progress).await;
    }
    let route = Route::of(request.method(), path);
    if route.is_guarded()
        && let Err(answer) = guard(&live, &request)
    {
        let client = doors::client_address(peer.ip(), request.headers(), &live.trusted_proxies);
        let status = answer.status().as_u16();
        tracing::debug!(%client, status, path, "a request to the API was refused");
        local.metrics().api_refused_total.add(1);
        return http::last(answer);
    }
    if let Some(known) = route.parameters()
        && let Err(unknown) = Parameters::of(request.uri().query()).only(known)
    {
        return http::error(StatusCode::BAD_REQUEST, &unknown);
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
        Route::WrongMethod { allowed, .. } => http::wrong_method(allowed),
        Route::Malformed => http::error(StatusCode::BAD_REQUEST, "the path is ill formed"),
        Route::Unknown => http::error(StatusCode::NOT_FOUND, "not found"),
    }
}

/// The endpoint of a path.
fn endpoint_at(endpoints: &[Endpoint], path: &str) -> Option<usize> {
    let with_slash_or_none = |endpoint: &Endpoint| {
        endpoint.dialect == Dialect::SocketIo && http::engine::is_at(path, &endpoint.path)
    };
    let exact = endpoints.iter().position(|endpoint| endpoint.path == path);
    exact.or_else(|| endpoints.iter().position(with_slash_or_none))
}

/// Lets only the API key or an admin's token pass. Without a key and a verifier the API is off.
fn guard(live: &Live, request: &Request<Incoming>) -> Result<(), Answer> {
    let unauthorized = || http::unauthorized("API key or a token of role admin required");
    let given = doors::bearer(request.headers()).ok_or_else(unauthorized)?;
    if let Some(key) = &live.api_key
        && doors::is_key(given, key.expose())
    {
        return Ok(());
    }
    let identity = live.believe(given).map_err(|why| match why {
        Disbelief::Token => unauthorized(),
        Disbelief::Tenant => http::unauthorized(&why.to_string()),
    })?;
    if identity.has_role("admin") {
        return Ok(());
    }
    Err(http::error(StatusCode::FORBIDDEN, "role admin required"))
}
