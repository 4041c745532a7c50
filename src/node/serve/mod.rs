//! HTTP on a shard's thread: accepts, hands requests to hyper, lets sockets in.
//!
//! A connection is a task only until its handshake is done; then its socket is taken back from
//! hyper (`hand_over.rs`) and goes to the shard, and the task ends. One that has not asked yet has
//! no more than the task: hyper and its buffers begin with the first byte. What a request is
//! answered stands in `answer.rs`, who may come in by an endpoint in `door.rs`, and what is asked
//! of polling sessions in `engine.rs`. A client that goes while its request hangs is noticed at
//! once: hyper reads meanwhile, and drops what is being answered.

mod answer;
mod door;
mod engine;
mod hand_over;
mod patience;
mod secured;
mod stream;
mod suite;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::{Future as _, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::TokioIo;
use rustix::io::Errno;
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};

use crate::http::doors;
use crate::limits::{HTTP_CONNECTIONS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};
use crate::node::clock;
use crate::node::local::Local;
use crate::node::proxy;
use crate::node::threshold::{self, Place, Threshold};
use crate::shard::Arrival;
use crate::sid::Sid;
use answer::answer;
use hand_over::hand_over;
use patience::Patience;
use stream::Stream;

/// Pause after a failed accept: most often the process is out of descriptors.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// How many that wait are cut at once when descriptors are wanting.
const CUT_FOR_DESCRIPTORS: usize = 64;

/// How often a failing accept is told; each is counted.
const ACCEPT_TOLD_EVERY: Duration = Duration::from_secs(10);

/// Accepts connections for as long as the node lives.
pub(super) async fn accept(local: Rc<Local>, listener: TcpListener) {
    let threshold = Threshold::new(HTTP_CONNECTIONS_MAX);
    let mut told = None;
    loop {
        if !threshold.has_room() {
            local.metrics().accept_waits_total.add(1);
        }
        let cut = threshold.room(now_ms).await;
        local.metrics().handshakes_cut_total.add(cut);
        let (stream, peer) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                if told.is_none_or(|told: Instant| told.elapsed() > ACCEPT_TOLD_EVERY) {
                    told = Some(Instant::now());
                    tracing::warn!(%error, "accept failed");
                }
                local.metrics().accept_errors_total.add(1);
                // Who only stands there holds the descriptor that is wanting.
                if is_want_of_descriptors(&error) {
                    let cut = (0..CUT_FOR_DESCRIPTORS)
                        .take_while(|_| threshold.cut_oldest(now_ms()).is_ok());
                    local.metrics().handshakes_cut_total.add(cut.count() as u64);
                }
                tokio::time::sleep(ACCEPT_RETRY).await;
                continue;
            }
        };
        let live = local.common.live();
        // What a listed proxy stands for is many clients: it has no share to fill.
        let is_proxy = doors::is_listed(peer.ip(), &live.trusted_proxies);
        let address = (!is_proxy).then(|| peer.ip());
        let Some((place, cut)) = threshold.enter(address, share(&local), now_ms()) else {
            local.metrics().handshakes_cut_total.add(1);
            continue;
        };
        local.metrics().handshakes_cut_total.add(cut);
        // Latency before bytes: a turn's output is one send anyway.
        let _ = stream.set_nodelay(true);
        // Who asks and does not take the answer is cut like who does not finish asking.
        let _ = SockRef::from(&stream).set_tcp_user_timeout(Some(live.request_timeout));
        let announced = is_proxy && live.proxy_protocol;
        tokio::task::spawn_local(serve(Rc::clone(&local), stream, peer, place, announced));
    }
}

fn now_ms() -> u64 {
    clock::now().mono_ms
}

/// How many of the places an address may have.
fn share(local: &Local) -> Option<u32> {
    threshold::share(local.common.census.per_address_max())
}

fn is_want_of_descriptors(error: &io::Error) -> bool {
    matches!(Errno::from_io_error(error), Some(Errno::MFILE | Errno::NFILE))
}

/// A handshake that was answered: the socket to be, and who comes in by it.
struct Entrance {
    on_upgrade: OnUpgrade,
    arrival: Arrival,
    /// The polling session that it is to take over from: it is in already.
    sid: Option<Sid>,
}

/// Where that is left for who takes the socket.
type Entered = Cell<Option<Entrance>>;

/// What a request has of its connection.
struct Door<'a> {
    place: &'a Place,
    entered: &'a Entered,
    patience: &'a Patience,
}

/// A connection from its first byte to its last, or to its upgrade. One whose proxy is to announce
/// its client begins with that.
async fn serve(
    local: Rc<Local>,
    stream: TcpStream,
    peer: SocketAddr,
    place: Place,
    announced: bool,
) {
    let entered = Entered::default();
    tokio::select! {
        biased;
        // Only while it waits: nothing is lost that was asked.
        () = place.cut() => tracing::debug!(%peer, "a connection was cut before it asked"),
        () = converse(&local, stream, peer, &place, announced, &entered) => {}
    }
    if let Some(entrance) = entered.take() {
        Box::pin(hand_over(&local, entrance)).await;
    }
    local.ended();
}

async fn converse(
    local: &Rc<Local>,
    mut stream: TcpStream,
    mut peer: SocketAddr,
    place: &Place,
    announced: bool,
    entered: &Entered,
) {
    let by = tokio::time::Instant::now() + local.common.live().request_timeout;
    if announced {
        // In a box, here and below: what waits for its first byte is one task of some hundred bytes.
        let announced = Box::pin(announced_by(local, &mut stream, place));
        match tokio::time::timeout_at(by, announced).await {
            Ok(Ok(client)) => peer = client.unwrap_or(peer),
            Ok(Err(error)) if error.kind() == io::ErrorKind::QuotaExceeded => {
                local.metrics().handshakes_cut_total.add(1);
                tracing::debug!(%peer, "an address behind a proxy whose share is full");
                return;
            }
            Ok(Err(error)) => {
                local.metrics().proxy_headers_refused_total.add(1);
                tracing::debug!(%peer, %error, "a proxy without a PROXY header");
                return;
            }
            Err(_) => {
                local.metrics().proxy_headers_refused_total.add(1);
                tracing::debug!(%peer, "a proxy whose PROXY header did not come");
                return;
            }
        }
    }
    // Not hyper's wait: it would hold 16 KiB of buffers for it. With the bytes there, hyper begins
    // and ends within one poll, so that of a thousand who come at once one has buffers at a time.
    // And not for an end alone: thousands who never asked may leave at once.
    if !matches!(tokio::time::timeout_at(by, stream.peek(&mut [0])).await, Ok(Ok(1))) {
        tracing::debug!(%peer, "a connection that asked for nothing");
        return;
    }
    Box::pin(talk(local, stream, peer, place, by, entered)).await;
}

/// TLS where that is configured, and HTTP. Something has come, and the first request must be
/// complete by a time.
async fn talk(
    local: &Rc<Local>,
    stream: TcpStream,
    peer: SocketAddr,
    place: &Place,
    by: tokio::time::Instant,
    entered: &Entered,
) {
    // By itself: nobody who stays connected keeps old settings.
    let tls = local.common.live().tls.clone();
    let accepted = tokio::time::timeout_at(by, Stream::accept(stream, tls.as_ref())).await;
    let stream = match accepted.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => {
            tracing::debug!(%peer, %error, "a TLS handshake failed");
            local.metrics().tls_failed_total.add(1);
            return;
        }
    };
    let (asked, patience) = (Cell::new(false), Patience::default());
    let door = Door { place, entered, patience: &patience };
    let service = service_fn(async |request| {
        asked.set(true);
        place.is_served();
        let answer = answer(local, peer, request, &door).await;
        // One that is let in is not cut on the last yards.
        let enters = entered.take();
        if enters.is_none() {
            local.metrics().handshakes_cut_total.add(place.waits(now_ms()));
        }
        entered.set(enters);
        Ok::<_, Infallible>(answer)
    });
    let mut hyper = http1::Builder::new();
    hyper
        .timer(patience.clone())
        .header_read_timeout(local.common.live().request_timeout)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .max_headers(REQUEST_HEADERS_MAX);
    // Gone before the socket is asked for.
    let mut served = pin!(hyper.serve_connection(TokioIo::new(stream), service).with_upgrades());
    // hyper's time for a head begins anew with each; the first has what is left of its own.
    let first = poll_fn(|context| match served.as_mut().poll(context) {
        Poll::Ready(ended) => Poll::Ready(Some(ended)),
        Poll::Pending if asked.get() => Poll::Ready(None),
        Poll::Pending => Poll::Pending,
    });
    let ended = match tokio::time::timeout_at(by, first).await {
        Ok(Some(ended)) => ended,
        Ok(None) => served.await,
        Err(_) => {
            tracing::debug!(%peer, "a connection that did not finish asking");
            return;
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "an HTTP connection ended early");
    }
}

/// Whom a listed proxy speaks for: the address in its PROXY header, whose share the place counts
/// in unless it is a listed proxy itself; of kind `QuotaExceeded` the error that this share is full.
async fn announced_by(
    local: &Local,
    stream: &mut TcpStream,
    place: &Place,
) -> io::Result<Option<SocketAddr>> {
    let Some(client) = proxy::read(stream).await? else { return Ok(None) };
    if !doors::is_listed(client.ip(), &local.common.live().trusted_proxies) {
        match place.is_of(client.ip(), share(local)) {
            Some(cut) => local.metrics().handshakes_cut_total.add(cut),
            None => return Err(io::ErrorKind::QuotaExceeded.into()),
        }
    }
    Ok(Some(client))
}

#[cfg(test)]
mod tests;
