//! HTTP on a shard's thread: accepts, hands requests to hyper, answers routes, lets sockets in.
//!
//! A connection is a task only until its handshake is done; then its socket is taken back from
//! hyper and goes to the shard, and the task ends. One that has not asked yet has no more than the
//! task: hyper and its buffers begin with the first byte. Order at the door: path, draining, origin,
//! token, limits (protocols.md sections 1, 9 and 11).

use std::cell::Cell;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use fastwebsockets::WebSocketError;
use fastwebsockets::upgrade::{is_upgrade_request, upgrade};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, CONNECTION, HeaderValue, RETRY_AFTER, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::auth::Identity;
use crate::config::Dialect;
use crate::http::{self, Answer, Route, doors};
use crate::limits::{HTTP_CONNECTIONS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};
use crate::node::census::Full as DoorFull;
use crate::node::clock;
use crate::node::local::Local;
use crate::node::publishing;
use crate::shard::Arrival;
use crate::wire::deflate::{self, Accepted};

/// Pause after a failed accept: most often the process is out of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// How often a failing accept is told; each is counted.
const ACCEPT_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Accepts connections for as long as the node lives.
pub(super) async fn accept(local: Rc<Local>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(HTTP_CONNECTIONS_MAX));
    let mut told = None;
    loop {
        if places.available_permits() == 0 {
            local.metrics().accept_waits_total.add(1);
        }
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if told.is_none_or(|told: Instant| told.elapsed() > ACCEPT_TOLD_EVERY) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, "accept failed");
                }
                local.metrics().accept_errors_total.add(1);
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        // Latency before bytes: a turn's output is one send anyway.
        let _ = stream.set_nodelay(true);
        // Who asks and does not take the answer is cut like who does not finish asking.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(local.common.request_timeout));
        let local = Rc::clone(&local);
        tokio::task::spawn_local(async move {
            serve(local, stream, peer).await;
            drop(place);
        });
    }
}

/// A handshake that was answered: the socket to be, and who comes in by it.
type Entered = Cell<Option<(OnUpgrade, Arrival)>>;

async fn serve(local: Rc<Local>, stream: TcpStream, peer: SocketAddr) {
    let timeout = local.common.request_timeout;
    let begun = Instant::now();
    // Not hyper's wait: it would hold 16 KiB of buffers for it. With the bytes there, hyper begins
    // and ends within one poll, so that of a thousand who come at once one has buffers at a time.
    if !matches!(tokio::time::timeout(timeout, stream.readable()).await, Ok(Ok(()))) {
        tracing::debug!(%peer, "a connection that asked for nothing");
        return;
    }
    let entered = Entered::default();
    let service = service_fn(async |request| {
        Ok::<_, Infallible>(answer(&local, peer, request, &entered).await)
    });
    let mut hyper = http1::Builder::new();
    hyper
        .timer(TokioTimer::new())
        .header_read_timeout(timeout.saturating_sub(begun.elapsed()))
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .max_headers(REQUEST_HEADERS_MAX);
    // In a box, for the task to be small while it waits; gone before the socket is asked for.
    let served = Box::pin(hyper.serve_connection(TokioIo::new(stream), service).with_upgrades());
    if let Err(error) = served.await {
        tracing::debug!(%peer, %error, "an HTTP connection ended early");
    }
    if let Some((on_upgrade, arrival)) = entered.take() {
        hand_over(&local, on_upgrade, arrival).await;
    }
    local.http_ended();
}

async fn answer(
    local: &Rc<Local>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
    entered: &Entered,
) -> Answer {
    let _in_progress = local.common.begin_request();
    let endpoints = &local.common.policy.endpoints;
    let path = request.uri().path();
    if let Some(endpoint) = endpoints.iter().position(|endpoint| endpoint.path == path) {
        return enter(local, endpoint as u8, peer.ip(), &mut request, entered);
    }
    let route = Route::of(request.method(), path);
    if route.is_guarded()
        && let Err(answer) = guard(local, &request)
    {
        return answer;
    }
    let facts = local.common.facts();
    match route {
        Route::Health => facts.health(),
        Route::Ready => facts.ready(),
        Route::Metrics => facts.metrics(),
        Route::Stats => facts.stats(),
        Route::Publish => publishing::answer(local, request).await,
        Route::WrongMethod(allowed) => {
            let mut answer = http::error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
            answer
        }
        Route::Unknown => http::error(StatusCode::NOT_FOUND, "not found"),
    }
}

/// Lets only the API key or an admin's token pass. Without a key and a verifier the API is off.
fn guard(local: &Local, request: &Request<Incoming>) -> Result<(), Answer> {
    let unauthorized =
        || http::error(StatusCode::UNAUTHORIZED, "API key or a token of role admin required");
    let given = doors::bearer(request.headers()).ok_or_else(unauthorized)?;
    if let Some(key) = &local.common.api_key
        && doors::is_key(given, key)
    {
        return Ok(());
    }
    let verifier = local.common.policy.verifier.as_ref().ok_or_else(unauthorized)?;
    let identity = verifier.verify(given, clock::now().wall).map_err(|_| unauthorized())?;
    if identity.has_role("admin") {
        return Ok(());
    }
    Err(http::error(StatusCode::FORBIDDEN, "role admin required"))
}

/// The door of an endpoint.
fn enter(
    local: &Local,
    endpoint: u8,
    peer: IpAddr,
    request: &mut Request<Incoming>,
    entered: &Entered,
) -> Answer {
    match admit(local, endpoint, peer, request, entered) {
        Ok(answer) => answer,
        Err(mut answer) => {
            // Who is refused gives its descriptor back.
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            let status = answer.status().as_u16();
            tracing::debug!(%peer, status, path = request.uri().path(), "an upgrade was refused");
            local.metrics().upgrades_refused_total.add(1);
            answer
        }
    }
}

fn admit(
    local: &Local,
    endpoint: u8,
    peer: IpAddr,
    request: &mut Request<Incoming>,
    entered: &Entered,
) -> Result<Answer, Answer> {
    let common = &local.common;
    if request.method() != Method::GET || !is_upgrade_request(request) {
        return Err(no_upgrade(request.method()));
    }
    if let Some(fault) = doors::handshake_fault(request) {
        return Err(http::error(StatusCode::BAD_REQUEST, fault));
    }
    if common.is_draining() {
        return Err(retry_later("server is shutting down"));
    }
    if !doors::is_allowed(&common.origins, request.headers()) {
        return Err(http::error(StatusCode::FORBIDDEN, "origin not allowed"));
    }
    let identity = identify(local, endpoint, request)?;
    let on_upgrade = hyper::upgrade::on(&mut *request);
    let (mut answer, _) = upgrade(&mut *request).map_err(|error| {
        let status = match error {
            WebSocketError::InvalidSecWebsocketVersion => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        };
        let mut answer = http::error(status, &error.to_string());
        answer.headers_mut().insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        answer
    })?;
    let compression = compression(local, request, &mut answer);
    choose_protocol(local, endpoint, request, &mut answer);
    let address = doors::client_address(peer, request.headers(), &common.trusted_proxies);
    common.census.enter(address).map_err(|full| match full {
        DoorFull::Server => retry_later("server is full"),
        DoorFull::Address => {
            http::error(StatusCode::TOO_MANY_REQUESTS, "too many connections from this address")
        }
    })?;
    let arrival = Arrival { endpoint, identity, compression, address };
    entered.set(Some((on_upgrade, arrival)));
    Ok(answer.map(|_| Full::default()))
}

fn no_upgrade(method: &Method) -> Answer {
    if method != Method::GET {
        return http::error(StatusCode::METHOD_NOT_ALLOWED, "method not allowed");
    }
    let mut answer = http::error(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint");
    answer.headers_mut().insert(hyper::header::UPGRADE, HeaderValue::from_static("websocket"));
    answer
}

fn retry_later(message: &str) -> Answer {
    let mut answer = http::error(StatusCode::SERVICE_UNAVAILABLE, message);
    answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    answer
}

/// Who knocks. A token that is there must be good; none is fine, the session will ask for it.
fn identify(
    local: &Local,
    endpoint: u8,
    request: &Request<Incoming>,
) -> Result<Option<Identity>, Answer> {
    let policy = &local.common.policy;
    if policy.endpoints[usize::from(endpoint)].dialect == Dialect::Echo {
        return Ok(None);
    }
    let Some(token) = doors::token(request.uri().query(), request.headers()) else {
        return Ok(None);
    };
    let verified =
        policy.verifier.as_ref().map(|verifier| verifier.verify(&token, clock::now().wall));
    match verified {
        Some(Ok(identity)) => Ok(Some(identity)),
        Some(Err(error)) => {
            tracing::debug!(%error, "a token was refused");
            Err(http::error(StatusCode::UNAUTHORIZED, "invalid token"))
        }
        None => Err(http::error(StatusCode::UNAUTHORIZED, "invalid token")),
    }
}

fn compression(
    local: &Local,
    request: &Request<Incoming>,
    answer: &mut hyper::Response<http_body_util::Empty<Bytes>>,
) -> Option<Accepted> {
    local.common.policy.compression_min_bytes?;
    let offers = request.headers().get_all(SEC_WEBSOCKET_EXTENSIONS);
    let offers = offers.iter().filter_map(|offer| offer.to_str().ok());
    let accepted = deflate::negotiate(offers)?;
    let response = HeaderValue::from_str(&accepted.response()).ok()?;
    answer.headers_mut().insert(SEC_WEBSOCKET_EXTENSIONS, response);
    Some(accepted)
}

/// Selects the subprotocol: the first one offered, as common servers do (which is `bearer` where
/// that carries the token). `echo` selects none.
fn choose_protocol(
    local: &Local,
    endpoint: u8,
    request: &Request<Incoming>,
    answer: &mut hyper::Response<http_body_util::Empty<Bytes>>,
) {
    if local.common.policy.endpoints[usize::from(endpoint)].dialect == Dialect::Echo {
        return;
    }
    let mut offered = doors::protocols(request.headers());
    let first = offered.next();
    let chosen = if offered.any(|protocol| protocol == doors::BEARER_PROTOCOL) {
        Some(doors::BEARER_PROTOCOL)
    } else {
        first
    };
    if let Some(chosen) = chosen
        && let Ok(value) = HeaderValue::from_str(chosen)
    {
        answer.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, value);
    }
}

/// Takes the socket back from hyper once the handshake's answer is out.
async fn hand_over(local: &Local, on_upgrade: OnUpgrade, arrival: Arrival) {
    let address = arrival.address;
    match on_upgrade.await.map(take_back) {
        Ok(Ok((fd, early))) => local.admit(arrival, fd, early),
        Ok(Err(error)) => {
            tracing::error!(%error, "a socket could not be taken back");
            local.common.census.leave(address);
        }
        Err(error) => {
            tracing::debug!(%error, "a handshake was not finished");
            local.common.census.leave(address);
        }
    }
}

fn take_back(upgraded: Upgraded) -> std::io::Result<(std::os::fd::OwnedFd, Vec<u8>)> {
    let parts = upgraded
        .downcast::<TokioIo<TcpStream>>()
        .map_err(|_| std::io::Error::other("not a plain TCP connection"))?;
    let stream = parts.io.into_inner().into_std()?;
    // From here on the pings and the outbox judge whether a client takes what it is sent.
    SockRef::from(&stream).set_tcp_user_timeout(None)?;
    Ok((stream.into(), parts.read_buf.into()))
}
