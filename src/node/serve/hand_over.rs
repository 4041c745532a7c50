//! A finished handshake: hyper gives the socket back, the shard takes it.
//!
//! From here on no task stays behind a connection. The place that the census gave it is freed
//! where the socket does not come back. One that is to take over from a polling session has none:
//! the session has it, and may be on another shard.

use std::io;

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;

use crate::node::local::Local;
use crate::node::serve::Entrance;
use crate::node::serve::stream::Stream;
use crate::node::sockets::Wire;

/// Takes the socket back from hyper once the handshake's answer is out.
pub(super) async fn hand_over(local: &Local, entrance: Entrance) {
    let Entrance { on_upgrade, arrival, sid } = entrance;
    match (on_upgrade.await.map(take_back), sid) {
        (Ok(Ok((wire, early))), None) => return local.admit(arrival, wire, early),
        (Ok(Ok((wire, early))), Some(sid)) => {
            return local.bring(sid, arrival, wire, early);
        }
        (Ok(Err(error)), _) => tracing::error!(%error, "a socket could not be taken back"),
        (Err(error), _) => tracing::debug!(%error, "a handshake was not finished"),
    }
    if sid.is_none() {
        local.common.census.leave(arrival.address);
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
