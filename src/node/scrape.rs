//! The metrics at an address of their own, where the operator wants them away from the clients.
//!
//! A small server of its own on the control thread: no shard waits for a scrape, and what a
//! firewall keeps in is `/metrics` and nothing else. Without the setting the route stands on the
//! main port (`serve/answer.rs`). Specification: protocols.md section 7, section 10
//! `server.metrics_address`.

use std::convert::Infallible;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::http::{self, Answer, Route, doors};
use crate::limits::{REQUEST_HEAD_BYTES_MAX, REQUEST_HEADERS_MAX, SCRAPES_MAX};
use crate::node::common::Common;

/// Pause after a failed accept.
const ACCEPT_RETRY: Duration = Duration::from_millis(50);

/// For how long a scraper may stay, in time limits of a request: it comes once a minute or so, and
/// a connection that only stands there is cut for the next.
const STAY: u32 = 12;

/// Binds the address, for [`serve`].
///
/// # Errors
/// It cannot be bound: the operator's.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(address).map_err(|error| {
        io::Error::new(error.kind(), format!("server.metrics_address {address}: {error}"))
    })?;
    listener.set_nonblocking(true)?;
    Ok(listener)
}

/// Answers scrapes until the runtime ends.
pub(super) async fn serve(listener: TcpListener, common: Arc<Common>) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(%error, "the metrics' address cannot be watched");
            return;
        }
    };
    let places = Arc::new(Semaphore::new(SCRAPES_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_RETRY).await;
            continue;
        };
        let common = Arc::clone(&common);
        tokio::spawn(async move {
            converse(stream, &common).await;
            drop(place);
        });
    }
}

async fn converse(stream: TcpStream, common: &Common) {
    let timeout = common.live().request_timeout;
    let service = service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
        Ok::<_, Infallible>(match doors::host_fault(&request) {
            Some(fault) => http::last(http::error(StatusCode::BAD_REQUEST, fault)),
            None => answer(common, request.method(), request.uri().path()),
        })
    });
    let mut hyper = http1::Builder::new();
    hyper
        .timer(TokioTimer::new())
        .header_read_timeout(timeout)
        .max_buf_size(REQUEST_HEAD_BYTES_MAX)
        .max_headers(REQUEST_HEADERS_MAX);
    let served = hyper.serve_connection(TokioIo::new(stream), service);
    if let Ok(Err(error)) = tokio::time::timeout(timeout * STAY, served).await {
        tracing::debug!(%error, "a scrape ended early");
    }
}

fn answer(common: &Common, method: &Method, path: &str) -> Answer {
    match Route::of(method, path) {
        Route::Metrics => common.facts().metrics(),
        Route::WrongMethod { allowed, .. } if path == "/metrics" => http::wrong_method(allowed),
        _ => http::error(StatusCode::NOT_FOUND, "not found"),
    }
}
