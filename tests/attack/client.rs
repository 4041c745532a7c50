//! A client made of bytes: it can do what no library would.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream};
use std::time::Duration;

use shardwire::wire::frame::{OpCode, put_masked};
use socket2::{Domain, Socket, Type};

use crate::broker::LIMIT;

pub const JSON_PING: &str = r#"{"type":"ping"}"#;

/// A connection, before or after its upgrade.
pub struct Client(pub TcpStream);

impl Client {
    /// Connects, and says nothing.
    pub fn connect(to: SocketAddr, from: IpAddr) -> Self {
        Self::connect_with(socket(), to, from)
    }

    /// The same on a socket that is there already.
    pub fn connect_with(socket: Socket, to: SocketAddr, from: IpAddr) -> Self {
        socket.bind(&SocketAddr::from((from, 0)).into()).expect("a port");
        socket.connect_timeout(&to.into(), LIMIT).expect("the kernel takes it in");
        let stream = TcpStream::from(socket);
        stream.set_read_timeout(Some(LIMIT)).expect("a live socket");
        stream.set_write_timeout(Some(LIMIT)).expect("a live socket");
        stream.set_nodelay(true).expect("a live socket");
        Self(stream)
    }

    /// Connects and upgrades, which must succeed.
    pub fn enter(to: SocketAddr, from: IpAddr, path: &str) -> Self {
        Self::connect(to, from).upgrade(path)
    }

    /// Upgrades, which must succeed.
    pub fn upgrade(mut self, path: &str) -> Self {
        self.send(handshake(path, "").as_bytes());
        let head = self.head();
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        self
    }

    /// Sends bytes, as far as the broker lets it.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// The head of an answer; what came of it, where the connection ends.
    pub fn head(&mut self) -> String {
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && matches!(self.0.read(&mut byte), Ok(1)) {
            head.push(byte[0]);
        }
        String::from_utf8_lossy(&head).into_owned()
    }

    /// The status of an answer; 0 where the connection ends without one.
    pub fn status(&mut self) -> u16 {
        self.head().get(9..12).and_then(|status| status.parse().ok()).unwrap_or(0)
    }

    /// Asks and gives the status.
    pub fn ask(&mut self, request: &str) -> u16 {
        self.send(request.as_bytes());
        self.status()
    }

    /// All that comes until the end of the connection, as text.
    pub fn rest(&mut self) -> String {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest);
        String::from_utf8_lossy(&rest).into_owned()
    }

    /// Waits for the end of the connection, whatever comes before.
    pub fn ends(mut self) -> bool {
        let mut buffer = [0; 4096];
        loop {
            match self.0.read(&mut buffer) {
                Ok(0) => return true,
                Ok(_) => {}
                Err(error) => return error.kind() == std::io::ErrorKind::ConnectionReset,
            }
        }
    }

    /// Whether nothing came and the connection is there.
    pub fn is_open(&self) -> bool {
        self.0.set_nonblocking(true).expect("a live socket");
        let peeked = self.0.peek(&mut [0]);
        self.0.set_nonblocking(false).expect("a live socket");
        peeked.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock)
    }

    /// Ends it with a reset.
    pub fn reset(self) {
        let socket = Socket::from(self.0);
        let _ = socket.set_linger(Some(Duration::ZERO));
    }

    /// Sends a text message.
    pub fn say(&mut self, text: &str) -> bool {
        self.send(&frame(OpCode::Text, false, text.as_bytes()))
    }

    /// The next frame but pings, which need no answer within a minute: its opcode and payload.
    pub fn hear(&mut self) -> (u8, Vec<u8>) {
        loop {
            let (opcode, payload) = self.hear_any();
            if opcode != 9 {
                return (opcode, payload);
            }
        }
    }

    fn hear_any(&mut self) -> (u8, Vec<u8>) {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).expect("a frame");
        let mut length = u64::from(head[1]);
        for (mark, bytes) in [(126, 2), (127, 8)] {
            if u64::from(head[1]) == mark {
                let mut extended = [0; 8];
                self.0.read_exact(&mut extended[8 - bytes..]).expect("a length");
                length = u64::from_be_bytes(extended);
            }
        }
        let mut payload = vec![0; length as usize];
        self.0.read_exact(&mut payload).expect("a payload");
        (head[0] & 15, payload)
    }

    pub fn hear_text(&mut self) -> String {
        let (opcode, payload) = self.hear();
        assert_eq!(opcode, 1, "{payload:?}");
        String::from_utf8(payload).expect("UTF-8")
    }

    /// The close frame behind whatever else comes: its code.
    pub fn hear_close(&mut self) -> u16 {
        loop {
            let (opcode, payload) = self.hear();
            if opcode == 8 {
                return u16::from_be_bytes([payload[0], payload[1]]);
            }
        }
    }
}

/// A request of the API with a body, on a connection of its own: its status, and what follows.
pub fn post(to: SocketAddr, from: IpAddr, path: &str, bearer: &str, body: &str) -> (u16, String) {
    let mut client = Client::connect(to, from);
    let status = client.ask(&format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {bearer}\r\n\
        Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    (status, client.rest())
}

/// A socket that is not connected.
pub fn socket() -> Socket {
    Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor")
}

/// The request of an upgrade, with further header lines.
pub fn handshake(path: &str, lines: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
        Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{lines}\r\n"
    )
}

/// A whole frame as a client sends it.
pub fn frame(opcode: OpCode, compressed: bool, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 14);
    put_masked(&mut out, opcode, compressed, [1, 2, 3, 4], payload);
    out
}
