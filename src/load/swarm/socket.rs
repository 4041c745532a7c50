//! Sockets of the swarm: where they connect from, how they are made, what a failure means.
//!
//! A server on this machine is connected to from many addresses of 127.0.0.0/8, because one
//! address has some 28,000 ports and a server may count connections by address. Nothing here
//! waits, and nothing is kept.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use nix::sys::socket::{setsockopt, sockopt::IpBindAddressNoPort};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, recv, send,
    socket_with, sockopt,
};

/// Connections from one address: what the kernel's usual range has of ports.
const PER_ADDRESS_MAX: u32 = 28_000;
/// Addresses of 127.0.0.0/8 that are used: 250 to the last byte, 250 to the third, 250 to the
/// second. The first is 127.1.0.1, so that 127.0.0.1 is left to others.
const ADDRESSES: u32 = 250 * 250 * 250;

/// Where connections go and come from.
#[derive(Debug)]
pub(super) struct Route {
    target: SocketAddr,
    per_address: u32,
}

impl Route {
    pub(super) fn new(target: SocketAddr, per_address: u32) -> Self {
        Self { target, per_address: per_address.clamp(1, PER_ADDRESS_MAX) }
    }

    /// The address that a client of the run connects from; `None` leaves it to the kernel.
    fn source(&self, number: u32) -> Option<Ipv4Addr> {
        if !matches!(self.target.ip(), IpAddr::V4(target) if target.is_loopback()) {
            return None;
        }
        let nth = number / self.per_address % ADDRESSES;
        let (second, third, last) = (nth / 62_500, nth / 250 % 250, nth % 250);
        Some(Ipv4Addr::new(127, 1 + second as u8, third as u8, 1 + last as u8))
    }

    /// A socket that connects; how that ends, its readiness tells. The inner error is the server's
    /// doing, to be told like one that comes later. `make_room`: as in [`with_room`].
    ///
    /// # Errors
    /// No descriptor, no port or no memory is left, in words.
    pub(super) fn open(
        &self,
        number: u32,
        make_room: impl FnMut() -> bool,
    ) -> io::Result<Result<OwnedFd, Errno>> {
        let family = match self.target {
            SocketAddr::V4(_) => AddressFamily::INET,
            SocketAddr::V6(_) => AddressFamily::INET6,
        };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = with_room(|| socket_with(family, SocketType::STREAM, flags, None), make_room)
            .map_err(|error| in_words("no socket for a connection", error))?;
        sockopt::set_tcp_nodelay(&socket, true)?;
        let source = self.source(number);
        if let Some(source) = source {
            // The port is chosen by the connect, when the other end is known: ports that wait out
            // an earlier connection elsewhere can be used. An old kernel does without.
            let _ = setsockopt(&socket, IpBindAddressNoPort, &true);
            bind(&socket, &SocketAddr::from((source, 0)))
                .map_err(|error| in_words(&format!("cannot connect from {source}"), error))?;
        }
        match connect(&socket, &self.target) {
            Ok(()) | Err(Errno::INPROGRESS) => Ok(Ok(socket)),
            Err(error @ (Errno::ADDRNOTAVAIL | Errno::AGAIN)) => {
                let from = source.map_or("here".into(), |source| source.to_string());
                let what = format!("no port is left from {from} to {}", self.target);
                Err(in_words(&what, error))
            }
            Err(error @ (Errno::NOBUFS | Errno::NOMEM)) => {
                Err(in_words("no memory for a connection", error))
            }
            Err(error) => Ok(Err(error)),
        }
    }
}

/// Makes something that takes a descriptor, again as often as none is left and `make_room` says that
/// it has closed another.
fn with_room<T>(
    mut make: impl FnMut() -> Result<T, Errno>,
    mut make_room: impl FnMut() -> bool,
) -> Result<T, Errno> {
    loop {
        match make() {
            Err(Errno::MFILE | Errno::NFILE) if make_room() => {}
            done => return done,
        }
    }
}

/// An error with what it means, and what can be done.
fn in_words(what: &str, error: Errno) -> io::Error {
    let advice = match error {
        Errno::MFILE => "; this process may open no more descriptors (ulimit -n): more workers",
        Errno::NFILE => "; the system has no descriptor left (fs.file-max)",
        Errno::ADDRNOTAVAIL | Errno::AGAIN => {
            "; fewer connections from one address, or a wider net.ipv4.ip_local_port_range"
        }
        _ => "",
    };
    io::Error::new(error.kind(), format!("{what}: {error}{advice}"))
}

/// What came of reading.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes.
    Bytes(usize),
    /// None for now.
    Nothing,
    /// The server is done.
    End,
    /// The connection is lost.
    Lost(Errno),
}

/// Reads once, without waiting.
pub(super) fn read(socket: &OwnedFd, buffer: &mut [u8]) -> Read {
    loop {
        match recv(socket, &mut *buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => return Read::End,
            Ok((bytes, _)) => return Read::Bytes(bytes),
            Err(Errno::AGAIN) => return Read::Nothing,
            Err(Errno::INTR) => {}
            Err(error) => return Read::Lost(error),
        }
    }
}

/// Sends what the kernel takes, without waiting; how many bytes those are.
///
/// # Errors
/// The connection is lost for sending.
pub(super) fn write(socket: &OwnedFd, bytes: &[u8]) -> Result<usize, Errno> {
    loop {
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            // No room, or no memory for now: both end with a writable event.
            Err(Errno::AGAIN | Errno::NOBUFS | Errno::NOMEM) => return Ok(0),
            done => return done,
        }
    }
}

/// Why connecting failed, once its socket is ready; `None`: it did not.
pub(super) fn fault(socket: &OwnedFd) -> Option<Errno> {
    match sockopt::socket_error(socket) {
        Ok(Ok(())) => None,
        Ok(Err(error)) | Err(error) => Some(error),
    }
}

/// Lets the close of a socket reset its connection.
pub(super) fn reset_on_close(socket: &OwnedFd) {
    // Fails for a socket that is dead already.
    let _ = sockopt::set_socket_linger(socket, Some(Duration::ZERO));
}

/// Lets the kernel hold few bytes for a socket that reads slowly: about a second of them, at least
/// the least that it does.
pub(super) fn narrow(socket: &OwnedFd, bytes_per_s: u32) {
    /// Bytes of a buffer, of which the kernel makes twice as many with its own keeping.
    const BYTES: std::ops::RangeInclusive<usize> = 4 << 10..=64 << 10;
    let bytes = (bytes_per_s as usize / 2).clamp(*BYTES.start(), *BYTES.end());
    // A larger buffer falsifies nothing: the server's backlog begins that much later.
    let _ = sockopt::set_socket_recv_buffer_size(socket, bytes);
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn source_addresses() {
        let local = Route::new(([127, 0, 0, 1], 80).into(), 3);
        let source = |number| local.source(number).unwrap().octets();
        assert_eq!(source(0), [127, 1, 0, 1]);
        assert_eq!(source(2), [127, 1, 0, 1]);
        assert_eq!(source(3), [127, 1, 0, 2]);
        assert_eq!(source(3 * 250), [127, 1, 1, 1]);
        assert_eq!(source(3 * 62_500), [127, 2, 0, 1]);
        assert_eq!(source(3 * (ADDRESSES - 1)), [127, 250, 249, 250]);
        assert_eq!(source(3 * ADDRESSES), [127, 1, 0, 1]);
        let all: HashSet<_> = (0..100_000).map(|nth| source(3 * nth)).collect();
        assert_eq!(all.len(), 100_000);
        let far = Route::new(([192, 0, 2, 1], 80).into(), 3);
        assert_eq!(far.source(5), None);
        assert_eq!(Route::new(([127, 0, 0, 1], 80).into(), 0).per_address, 1);
        assert_eq!(Route::new(([127, 0, 0, 1], 80).into(), u32::MAX).per_address, 28_000);
    }

    #[test]
    fn where_no_descriptor_is_left_others_go() {
        let lingering = Cell::new(2_u32);
        let with = |errno| {
            with_room(
                || if lingering.get() == 0 { Ok(()) } else { Err(errno) },
                || lingering.replace(lingering.get().saturating_sub(1)) > 0,
            )
        };
        assert_eq!((with(Errno::NOBUFS), lingering.get()), (Err(Errno::NOBUFS), 2));
        assert_eq!((with(Errno::MFILE), lingering.get()), (Ok(()), 0));
        assert_eq!(with_room(|| Err::<(), _>(Errno::MFILE), || false), Err(Errno::MFILE));
    }

    #[test]
    fn what_is_missing_is_told() {
        let text = in_words("no socket for a connection", Errno::MFILE).to_string();
        assert!(text.starts_with("no socket for a connection: ") && text.contains("ulimit -n"));
        let text = in_words("no port is left", Errno::ADDRNOTAVAIL).to_string();
        assert!(text.contains("ip_local_port_range"));
    }
}
