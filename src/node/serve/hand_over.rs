//! A finished handshake: hyper gives the socket back, the shard takes it.
//!
//! From here on no task stays behind a connection. The place that the census gave it is freed
//! where the socket does not come back.

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;
use socket2::SockRef;
use tokio::net::TcpStream;

use crate::node::local::Local;
use crate::shard::Arrival;

/// Takes the socket back from hyper once the handshake's answer is out.
pub(super) async fn hand_over(local: &Local, on_upgrade: OnUpgrade, arrival: Arrival) {
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
