//! The door of an endpoint: who may come in, and what the handshake's answer says.
//!
//! Order: the shape of the request, draining, origin, limits, token (protocols.md sections 1, 9 and
//! 11): what costs little is looked at first, so that a flood is refused before it costs a
//! signature. Who is refused is told so over HTTP and its connection ends; in `channels` a bad
//! token is let in to hear it in a close frame. Reads headers by `http/doors`; counts by the
//! census; never touches a shard.

use std::net::IpAddr;

use bytes::Bytes;
use fastwebsockets::WebSocketError;
use fastwebsockets::upgrade::{is_upgrade_request, upgrade};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{
    HeaderValue, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, StatusCode};

use crate::auth::{Identity, channels};
use crate::close::Close;
use crate::config::Dialect;
use crate::http::{self, Answer, doors};
use crate::node::census::Full as DoorFull;
use crate::node::live::{Disbelief, Live};
use crate::node::local::Local;
use crate::node::serve::{Entered, Entrance};
use crate::shard::{Arrival, Endpoint};
use crate::wire::deflate::{self, Accepted};

/// The door of an endpoint.
pub(super) fn enter(
    local: &Local,
    live: &Live,
    endpoint: u8,
    peer: IpAddr,
    request: &mut Request<Incoming>,
    entered: &Entered,
) -> Answer {
    match admit(local, live, endpoint, peer, request, entered) {
        Ok(answer) => answer,
        Err(refused) => turn_away(local, peer, request, refused),
    }
}

/// Tells somebody that it is not let in, and the log.
pub(super) fn turn_away(
    local: &Local,
    peer: IpAddr,
    request: &Request<Incoming>,
    Refused { why, answer }: Refused,
) -> Answer {
    let status = answer.status().as_u16();
    let path = request.uri().path();
    let origin = matches!(why, Why::Origin).then(|| doors::shown_origin(request.headers()));
    let origin = origin.map(tracing::field::display);
    tracing::debug!(%peer, status, path, origin, "an upgrade was refused");
    let metrics = local.metrics();
    let counter = match why {
        Why::Malformed => &metrics.upgrades_refused_malformed_total,
        Why::Draining => &metrics.upgrades_refused_draining_total,
        Why::Origin => &metrics.upgrades_refused_origin_total,
        Why::Address => &metrics.upgrades_refused_address_total,
        Why::Full => &metrics.upgrades_refused_full_total,
        Why::Token => &metrics.upgrades_refused_token_total,
    };
    counter.add(1);
    http::last(answer)
}

/// Why somebody is not let in; each has its counter.
pub(super) enum Why {
    Malformed,
    Draining,
    Origin,
    Address,
    Full,
    Token,
}

/// Who is not let in, and what it hears.
pub(super) struct Refused {
    why: Why,
    answer: Answer,
}

impl Why {
    pub(super) fn answered(self, answer: Answer) -> Refused {
        Refused { why: self, answer }
    }
}

fn admit(
    local: &Local,
    live: &Live,
    endpoint: u8,
    peer: IpAddr,
    request: &mut Request<Incoming>,
    entered: &Entered,
) -> Result<Answer, Refused> {
    let common = &local.common;
    if let Some(fault) = doors::host_fault(request) {
        return Err(Why::Malformed.answered(http::error(StatusCode::BAD_REQUEST, fault)));
    }
    if request.method() != Method::GET || !is_upgrade_request(request) {
        return Err(Why::Malformed.answered(no_upgrade(request.method())));
    }
    if let Some(fault) = doors::handshake_fault(request) {
        return Err(Why::Malformed.answered(http::error(StatusCode::BAD_REQUEST, fault)));
    }
    if common.is_draining() {
        let answer = http::retry_later(StatusCode::SERVICE_UNAVAILABLE, "server is shutting down");
        return Err(Why::Draining.answered(answer));
    }
    if !doors::is_allowed(&live.policy.origins, request.headers(), live.tls.is_some()) {
        let answer = http::error(StatusCode::FORBIDDEN, "origin not allowed");
        return Err(Why::Origin.answered(answer));
    }
    let address = doors::client_address(peer, request.headers(), &live.trusted_proxies);
    common.census.look(address).map_err(full)?;
    let Guest { identity, refused } =
        identify(live, endpoint, peer, request).map_err(|answer| Why::Token.answered(answer))?;
    let Agreed { on_upgrade, compression, answer } = agree(live, endpoint, request)?;
    common.census.enter(address).map_err(full)?;
    let origin = doors::origin_mark(request.headers(), live.tls.is_some());
    let arrival =
        Arrival { identity, compression, refused, origin, ..Arrival::new(endpoint, address) };
    entered.set(Some(Entrance { on_upgrade, arrival, sid: None }));
    Ok(answer)
}

/// A handshake that is good.
pub(super) struct Agreed {
    pub(super) on_upgrade: OnUpgrade,
    pub(super) compression: Option<Accepted>,
    pub(super) answer: Answer,
}

/// Agrees to a handshake, whoever it is of: its version, and what it offers.
pub(super) fn agree(
    live: &Live,
    endpoint: u8,
    request: &mut Request<Incoming>,
) -> Result<Agreed, Refused> {
    let on_upgrade = hyper::upgrade::on(&mut *request);
    let (mut answer, _) = upgrade(&mut *request).map_err(|error| {
        let status = match error {
            WebSocketError::InvalidSecWebsocketVersion => StatusCode::UPGRADE_REQUIRED,
            _ => StatusCode::BAD_REQUEST,
        };
        let answer = http::error(status, &error.to_string());
        Why::Malformed.answered(http::with_header(answer, SEC_WEBSOCKET_VERSION, "13"))
    })?;
    let compression = compression(live, request, &mut answer);
    choose_protocol(live, endpoint, request, &mut answer);
    Ok(Agreed { on_upgrade, compression, answer: answer.map(|_| Full::default()) })
}

fn no_upgrade(method: &Method) -> Answer {
    if method != Method::GET {
        return http::wrong_method("GET");
    }
    let answer = http::error(StatusCode::UPGRADE_REQUIRED, "this is a WebSocket endpoint");
    http::with_header(answer, UPGRADE, "websocket")
}

fn full(full: DoorFull) -> Refused {
    let (why, status, message) = words(full);
    why.answered(http::retry_later(status, message))
}

/// Why nobody more is let in, and how that is said.
pub(super) fn words(full: DoorFull) -> (Why, StatusCode, &'static str) {
    match full {
        DoorFull::Server => (Why::Full, StatusCode::SERVICE_UNAVAILABLE, "server is full"),
        DoorFull::Address => {
            let message = "too many connections from this address";
            (Why::Address, StatusCode::TOO_MANY_REQUESTS, message)
        }
    }
}

/// Who is let in.
#[derive(Default)]
struct Guest {
    identity: Option<Identity>,
    /// Why it hears nothing but its close.
    refused: Option<Close>,
}

/// Who knocks. A token that is there must be good, in any dialect; where none may be missing is the
/// dialect's matter. In `topics` none is fine, for the session asks for it.
fn identify(
    live: &Live,
    endpoint: u8,
    peer: IpAddr,
    request: &Request<Incoming>,
) -> Result<Guest, Answer> {
    let endpoint = &live.policy.endpoints[usize::from(endpoint)];
    let known = match endpoint.dialect {
        Dialect::Echo => return Ok(Guest::default()),
        _ => verify(live, request),
    };
    if endpoint.dialect == Dialect::Channels {
        return Ok(identify_member(endpoint, known).unwrap_or_else(|reason| {
            tracing::debug!(%peer, path = endpoint.path, reason, "a client of channels was refused");
            Guest { identity: None, refused: Some(Close::AuthRefused) }
        }));
    }
    let known = known.map_err(|why| http::unauthorized(&why.to_string()));
    match endpoint.dialect {
        // Whatever the endpoint requires: it is never open.
        Dialect::Admin => match known? {
            Some(identity) if identity.has_role("admin") => Ok(Guest::of(identity)),
            Some(_) => Err(http::error(StatusCode::FORBIDDEN, "role admin required")),
            None => Err(http::unauthorized("token required")),
        },
        Dialect::Events if endpoint.require_authentication => {
            known?.map(Guest::of).ok_or_else(|| http::unauthorized("token required"))
        }
        _ => Ok(known?.map(Guest::of).unwrap_or_default()),
    }
}

/// Who comes to `channels`, where the handshake is answered first and a no follows as a close.
///
/// # Errors
/// Why it is a no.
fn identify_member(
    endpoint: &Endpoint,
    known: Result<Option<Identity>, Disbelief>,
) -> Result<Guest, String> {
    match known.map_err(|why| why.to_string())? {
        Some(identity) => match channels::obstacle(identity.user_id(), identity.tenant()) {
            None => Ok(Guest::of(identity)),
            Some(obstacle) => Err(obstacle.to_owned()),
        },
        None if !endpoint.require_authentication => Ok(Guest::default()),
        None => Err("no token".to_owned()),
    }
}

impl Guest {
    fn of(identity: Identity) -> Self {
        Self { identity: Some(identity), refused: None }
    }
}

/// Whose token a request carries, if any, and it is believed.
pub(super) fn verify(
    live: &Live,
    request: &Request<Incoming>,
) -> Result<Option<Identity>, Disbelief> {
    let Some(token) = doors::token(request.uri().query(), request.headers()) else {
        return Ok(None);
    };
    live.believe(&token).map(Some)
}

fn compression(
    live: &Live,
    request: &Request<Incoming>,
    answer: &mut hyper::Response<http_body_util::Empty<Bytes>>,
) -> Option<Accepted> {
    live.policy.compression_min_bytes?;
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
    live: &Live,
    endpoint: u8,
    request: &Request<Incoming>,
    answer: &mut hyper::Response<http_body_util::Empty<Bytes>>,
) {
    if live.policy.endpoints[usize::from(endpoint)].dialect == Dialect::Echo {
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
