//! What the two servers share: their arguments `PORT [WORKERS]`, the runtime, and the listener.

use std::io;
use std::net::Ipv4Addr;

use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpSocket;
use tokio::runtime::Builder;

/// Connections that may wait to be accepted.
const BACKLOG: u32 = 4096;

/// The command line's argument at `index`, as a number.
///
/// # Panics
///
/// If it is there and is not a number.
#[must_use]
pub fn argument(index: usize) -> Option<usize> {
    let text = std::env::args().nth(index)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{text} is not a number")))
}

/// Serves `router` on loopback, on as many threads as the command line says (one unless told
/// otherwise: then without the queues between them).
///
/// # Errors
///
/// The port is taken, or the runtime could not start.
///
/// # Panics
///
/// If the command line has no port.
pub fn run(router: Router) -> io::Result<()> {
    let port =
        argument(1).and_then(|port| port.try_into().ok()).expect("the first argument is a port");
    let mut runtime = match argument(2).unwrap_or(1) {
        1 => Builder::new_current_thread(),
        workers => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(workers);
            builder
        }
    };
    runtime.enable_all().build()?.block_on(async {
        let socket = TcpSocket::new_v4()?;
        socket.set_reuseaddr(true)?;
        socket.bind((Ipv4Addr::LOCALHOST, port).into())?;
        let listener = socket.listen(BACKLOG)?.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        axum::serve(listener, router).await
    })
}
