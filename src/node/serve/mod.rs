//! HTTP on a shard's thread: accepts, hands requests to hyper, lets sockets in.
//!
//! A connection is a task only until its handshake is done; then its socket is taken back from
//! hyper (`hand_over.rs`) and goes to the shard, and the task ends. One that has not asked yet has
//! no more than the task: hyper and its buffers begin with the first byte. What a request is
//! answered stands in `answer.rs`, who may come in by an endpoint in `door.rs`.

mod answer;
mod door;
mod hand_over;
mod stream;

use std::cell::Cell;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper_util::rt::{TokioIo, TokioTimer};
use socket2::SockRef;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use crate::limits::{HTTP_CONNECTIONS_MAX, REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX};
use crate::node::local::Local;
use crate::shard::Arrival;
use answer::answer;
use hand_over::hand_over;
use stream::Stream;

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
        let _ =
            SockRef::from(&stream).set_tcp_user_timeout(Some(local.common.live().request_timeout));
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
    let timeout = local.common.live().request_timeout;
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
    let served = Box::pin(
        hyper.serve_connection(TokioIo::new(Stream::Plain(stream)), service).with_upgrades(),
    );
    if let Err(error) = served.await {
        tracing::debug!(%peer, %error, "an HTTP connection ended early");
    }
    if let Some((on_upgrade, arrival)) = entered.take() {
        hand_over(&local, on_upgrade, arrival).await;
    }
    local.http_ended();
}
