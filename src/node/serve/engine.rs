//! Engine.IO at its endpoints: who may have a session, and what is asked of one.
//!
//! Order: the protocol's own faults, origin, draining, limits, token; then the shard that has the
//! session judges. A bad token is let in, to hear of it in its dialect: of a 401 clients know only
//! that it failed, and try for ever. What a request asks and how answers look is `http/engine`, what
//! pages of other origins may read `http/cors`. Contract: protocols.md sections 5 and 11 ("Doors").

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use fastwebsockets::upgrade::is_upgrade_request;
use hyper::body::{Body as _, Incoming};
use hyper::{Request, StatusCode};

use crate::http::cors::Cors;
use crate::http::engine::{self, Transport, Wanted};
use crate::http::{self, Answer, doors};
use crate::limits::SESSION_IDLE_MS;
use crate::node::body::{self, Unread};
use crate::node::clock;
use crate::node::common::InProgress;
use crate::node::live::Live;
use crate::node::local::Local;
use crate::node::serve::door::{Agreed, Refused, Why, agree, turn_away, verify, words};
use crate::node::serve::{Door, Entrance, suite};
use crate::polling::{Asked, Fault, HttpReply};
use crate::shard::Arrival;
use crate::sid::Sid;

/// What a request to an endpoint of Engine.IO is answered; `in_progress` counts it for the drain,
/// which does not wait for polls: their session tells them.
pub(super) async fn answer(
    local: &Rc<Local>,
    live: &Live,
    endpoint: u8,
    peer: IpAddr,
    mut request: Request<Incoming>,
    door: &Door<'_>,
    in_progress: InProgress<'_>,
) -> Answer {
    let is_upgrade = is_upgrade_request(&request);
    let cors = Cors::of(&live.policy.origins, request.headers(), live.tls.is_some());
    let wanted = Wanted::of(request.method(), request.uri().query(), is_upgrade);
    let answered = match wanted {
        Err(fault) => Err(fault),
        Ok(_) if cors.is_none() => {
            let answer = engine::at_fault(Fault::Forbidden, is_upgrade);
            Ok(turn_away(local, peer, &request, Why::Origin.answered(answer)))
        }
        Ok(Wanted::Preflight) => {
            return cors.unwrap_or(Cors::Silent).preflight(request.headers());
        }
        Ok(Wanted::Handshake(_)) if !suite::admits(live, request.uri().query()).await => {
            Err(Fault::Forbidden)
        }
        Ok(Wanted::Handshake(transport)) => {
            let begun = begin(local, live, endpoint, peer, &mut request, door, transport);
            Ok(begun.unwrap_or_else(|refused| turn_away(local, peer, &request, refused)))
        }
        Ok(Wanted::Upgrade(sid)) => {
            upgrade(local, live, endpoint, peer, &mut request, door, sid).await
        }
        // hyper stops to read behind a body that nobody wants, and the client's end with it.
        Ok(Wanted::Poll(_)) if !request.body().is_end_stream() => Err(Fault::Request),
        Ok(Wanted::Poll(sid)) => {
            // Nothing is kept of one that hangs.
            drop((in_progress, request));
            ask(local, live, door, sid, Asked::Poll).await
        }
        Ok(Wanted::Post(sid)) => post(local, live, request, door, sid).await,
    };
    let mut answer = answered.unwrap_or_else(|fault| {
        local.metrics().engine_requests_refused_total.add(1);
        tracing::debug!(%peer, fault = fault.message(), "a request to Engine.IO was at fault");
        let answer = engine::at_fault(fault, is_upgrade);
        if is_upgrade { http::last(answer) } else { answer }
    });
    if let Some(cors) = cors {
        cors.put(&mut answer);
    }
    answer
}

/// Begins a session: one that polls is there at once, one over a WebSocket once its socket is.
fn begin(
    local: &Local,
    live: &Live,
    endpoint: u8,
    peer: IpAddr,
    request: &mut Request<Incoming>,
    door: &Door<'_>,
    transport: Transport,
) -> Result<Answer, Refused> {
    let is_upgrade = transport == Transport::WebSocket;
    let later = |(why, status, message): (Why, StatusCode, &str)| {
        why.answered(engine::refused_later(status, message, is_upgrade))
    };
    if local.common.is_draining() {
        let status = StatusCode::SERVICE_UNAVAILABLE;
        return Err(later((Why::Draining, status, "server is shutting down")));
    }
    let address = doors::client_address(peer, request.headers(), &live.trusted_proxies);
    let census = &local.common.census;
    census.look(address).map_err(|full| later(words(full)))?;
    let known = verify(live, request);
    let now = clock::now().wall;
    let arrival = Arrival {
        bad_token: known.is_err(),
        identity: known.unwrap_or_default(),
        shown: suite::shown(live, request, &peer.to_string(), now),
        ..arrival(live, endpoint, address, request)
    };
    let agreed = if is_upgrade { Some(shake_hands(live, endpoint, request)?) } else { None };
    census.enter(address).map_err(|full| later(words(full)))?;
    let Some(Agreed { on_upgrade, compression, mut answer }) = agreed else {
        let mut answer = engine::records_of(local.open_polling(arrival));
        suite::set_cookies(live, now, &mut answer);
        return Ok(answer);
    };
    suite::set_cookies(live, now, &mut answer);
    let arrival = Arrival { compression, ..arrival };
    door.entered.set(Some(Entrance { on_upgrade, arrival, sid: None }));
    Ok(answer)
}

/// Answers the handshake of a WebSocket that is to take over from a polling session, if that is
/// there and has none already.
async fn upgrade(
    local: &Rc<Local>,
    live: &Live,
    endpoint: u8,
    peer: IpAddr,
    request: &mut Request<Incoming>,
    door: &Door<'_>,
    sid: Sid,
) -> Result<Answer, Fault> {
    match local.ask(sid, Asked::Look).await {
        Some(HttpReply::Taken) => {}
        Some(HttpReply::Bad(fault)) => return Err(fault),
        Some(HttpReply::Body(_) | HttpReply::NoRoom) | None => return Ok(busy(true)),
    }
    let Agreed { on_upgrade, compression, answer } = match shake_hands(live, endpoint, request) {
        Ok(agreed) => agreed,
        Err(refused) => return Ok(turn_away(local, peer, request, refused)),
    };
    let address = doors::client_address(peer, request.headers(), &live.trusted_proxies);
    let arrival = Arrival { compression, ..arrival(live, endpoint, address, request) };
    door.entered.set(Some(Entrance { on_upgrade, arrival, sid: Some(sid) }));
    Ok(answer)
}

/// Reads what is posted and hands it to the session.
async fn post(
    local: &Rc<Local>,
    live: &Live,
    request: Request<Incoming>,
    door: &Door<'_>,
    sid: Sid,
) -> Result<Answer, Fault> {
    if engine::is_bytes(request.headers()) {
        return Err(Fault::Request);
    }
    let headers = suite::kept(live, &request);
    match body::read(live, request, live.policy.socketio.payload_bytes_max).await {
        Ok(body) => {
            let records = suite::records(headers, body.into());
            ask(local, live, door, sid, Asked::Post(records.into())).await
        }
        Err(Unread::TooLarge) => Ok(engine::too_large()),
        Err(Unread::TooSlow | Unread::BrokenOff) => Err(Fault::Request),
    }
}

/// Asks a session, which may answer when it likes: no place is taken meanwhile, and the connection
/// may be silent for longer once it has carried a session that is there.
async fn ask(
    local: &Rc<Local>,
    live: &Live,
    door: &Door<'_>,
    sid: Sid,
    asked: Asked,
) -> Result<Answer, Fault> {
    door.place.is_of_session();
    match local.ask(sid, asked).await {
        Some(HttpReply::Bad(fault)) => Err(fault),
        Some(reply) => {
            let idle = Duration::from_millis(SESSION_IDLE_MS);
            door.patience.grant(idle.saturating_sub(live.request_timeout));
            Ok(engine::replied(reply))
        }
        None => Ok(busy(false)),
    }
}

/// What is answered where the session cannot be asked: the node ends.
fn busy(is_upgrade: bool) -> Answer {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    http::last(engine::refused_later(status, "server is shutting down", is_upgrade))
}

/// Who comes, but for its token.
fn arrival(live: &Live, endpoint: u8, address: IpAddr, request: &Request<Incoming>) -> Arrival {
    let origin = doors::origin_mark(request.headers(), live.tls.is_some());
    Arrival { origin, ..Arrival::new(endpoint, address) }
}

/// Agrees to a WebSocket, if its handshake is one.
fn shake_hands(
    live: &Live,
    endpoint: u8,
    request: &mut Request<Incoming>,
) -> Result<Agreed, Refused> {
    if let Some(fault) = doors::handshake_fault(request) {
        let answer = engine::refused(StatusCode::BAD_REQUEST, fault, true);
        return Err(Why::Malformed.answered(answer));
    }
    agree(live, endpoint, request)
}
