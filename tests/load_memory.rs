//! What an idle connection of the load generator costs its process in heap bytes, counted at the
//! allocator, and that nothing stays of those that left.
//!
//! A real [`Swarm`] and real sockets; the server is a thread of its own, whose heap is not counted.

#[allow(unsafe_code)] // A counting allocator cannot be written without.
mod counting;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use counting::held;
use shardwire::load::dialect::{Dialect, Heard, Who, Words};
use shardwire::load::scenario::{Credentials, Spoken, Target};
use shardwire::load::swarm::{Audience, Happened, Leave, Swarm};

/// Connections of the figure.
const CONNECTIONS: u32 = 500;
/// Heap bytes of an idle plain connection: a slot of 32 bytes, and room for an eighth more.
const PLAIN_BYTES_MAX: isize = 48;

const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n\x81\x02hi";

/// Says nothing but the handshake, hears anything.
struct Mute;

impl Dialect for Mute {
    fn handshake(&self, _: &Who<'_>, key: &str, _: Option<&str>, out: &mut Vec<u8>) {
        let text = format!("GET / HTTP/1.1\r\nSec-WebSocket-Key: {key}\r\n\r\n");
        out.extend_from_slice(text.as_bytes());
    }
    fn opened(&self, _: &Who<'_>, _: &mut Words<'_>) -> bool {
        false
    }
    fn subscribe(&self, _: &str, _: u16, _: &mut Words<'_>) -> bool {
        false
    }
    fn publish(&self, _: &str, _: &[u8], _: &mut Words<'_>) {}
    fn hear(
        &self,
        _: &Who<'_>,
        payload: &[u8],
        _: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        tell(Heard::Other);
        payload.len()
    }
}

/// Counts who heard something.
struct Count(u32);

impl Audience for Count {
    fn happened(&mut self, connection: u32, what: Happened<'_>, _: &mut Vec<u8>) {
        assert!(matches!(what, Happened::Heard { .. }), "{connection}: {what:?}");
        self.0 += 1;
    }
    fn who(&self, connection: u32) -> Who<'_> {
        Who { number: connection, token: None, topic: "", publishes: false }
    }
}

/// A server that takes everyone and keeps them.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let mut taken: Vec<TcpStream> = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let (mut head, mut byte) = (Vec::new(), [0]);
            while !head.ends_with(b"\r\n\r\n") && matches!(stream.read(&mut byte), Ok(1)) {
                head.push(byte[0]);
            }
            stream.write_all(ANSWER).unwrap();
            taken.push(stream);
        }
    });
    address
}

fn connect(swarm: &mut Swarm, audience: &mut Count) {
    let begun = Instant::now();
    audience.0 = 0;
    for connection in 0..CONNECTIONS {
        swarm.connect(connection, &audience.who(connection)).unwrap();
        while audience.0 <= connection {
            swarm.turn(0, Duration::from_millis(100), audience).unwrap();
            assert!(begun.elapsed() < Duration::from_mins(1));
        }
    }
    assert_eq!(swarm.counts().open, CONNECTIONS);
}

#[test]
fn bytes_of_an_idle_connection() {
    let target = Target {
        address: serve(),
        host: "localhost".into(),
        path: "/".into(),
        tls: None,
        dialect: Spoken::Topics,
        compression: false,
        credentials: Credentials::None,
    };
    let mut audience = Count(0);
    let mut swarm = Swarm::new(&target, Box::new(Mute), 100).unwrap();
    // What the first connection makes for all: scratch buffers, some kilobytes.
    swarm.connect(0, &audience.who(0)).unwrap();
    while audience.0 == 0 {
        swarm.turn(0, Duration::from_millis(100), &mut audience).unwrap();
    }
    swarm.leave(0, Leave::Silent);
    let before = held();
    connect(&mut swarm, &mut audience);
    let each = (held() - before) / CONNECTIONS.cast_signed() as isize;
    println!("{each} bytes a connection");
    assert!(each > 0, "{each} bytes a connection: not what it holds");
    assert!(each <= PLAIN_BYTES_MAX, "{each} bytes a connection");
    let full = held();
    // Slots stay, and serve the next ones.
    for connection in 0..CONNECTIONS {
        swarm.leave(connection, Leave::Silent);
    }
    connect(&mut swarm, &mut audience);
    assert!(held() <= full, "{} bytes more the second time", held() - full);
}
