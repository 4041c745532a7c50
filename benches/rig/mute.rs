//! Connections that say what they are told to and read nothing: those who are killed in their
//! handshake, or right behind it, where a swarm of sound clients is of no use.

use std::net::{Ipv4Addr, SocketAddr};

use socket2::{Domain, Socket, Type};

/// Source addresses that they have, apart from the swarm's.
pub const ADDRESSES: usize = 1000;

/// The request of a handshake.
pub const REQUEST: &[u8] = b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// The same of Socket.IO.
pub const ROOMS_REQUEST: &[u8] = b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\n\
    Host: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

/// Connects from the n-th of the addresses and says this.
///
/// # Panics
/// When nobody listens there, or no descriptor or port is left.
pub fn connect(from: usize, to: SocketAddr, first: &[u8]) -> Socket {
    let from = Ipv4Addr::new(127, 252, (from / 250) as u8, 1 + (from % 250) as u8);
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is left");
    socket.bind(&SocketAddr::from((from, 0)).into()).expect("a port is free");
    socket.connect(&to.into()).expect("the broker listens");
    assert_eq!(socket.send(first).expect("it takes a few bytes"), first.len());
    socket
}
