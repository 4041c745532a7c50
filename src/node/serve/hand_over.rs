//! A finished handshake: hyper gives the socket back, the shard takes it.
//!
//! From here on no task stays behind a connection. The place that the census gave it is freed
//! where the socket does not come back.

use std::io;

use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::rt::TokioIo;

use crate::node::local::Local;
use crate::node::serve::stream::Stream;
use crate::node::sockets::Wire;
use crate::shard::Arrival;

/// Takes the socket back from hyper once the handshake's answer is out.
pub(super) async fn hand_over(local: &Local, on_upgrade: OnUpgrade, arrival: Arrival) {
    let address = arrival.address;
    match on_upgrade.await.map(take_back) {
        Ok(Ok((wire, early))) => local.admit(arrival, wire, early),
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

fn take_back(upgraded: Upgraded) -> io::Result<(Wire, Vec<u8>)> {
    let parts = upgraded
        .downcast::<TokioIo<Stream>>()
        .map_err(|_| io::Error::other("not a connection of this server"))?;
    let (wire, unread) = parts.io.into_inner().into_wire()?;
    let mut early = Vec::from(parts.read_buf);
    early.extend_from_slice(&unread);
    Ok((wire, early))
}
