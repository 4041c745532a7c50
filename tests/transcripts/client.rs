//! A client of a transcript: its end of a connection, and what it has heard and not yet been asked
//! about.

use std::collections::VecDeque;
use std::net::IpAddr;

use shardwire::connection::ConnKey;
use shardwire::connection::ConnectionId;
use shardwire::shard::{Port, Sent};

use super::script::Frame;

/// Opcodes (RFC 6455 section 5.2).
const TEXT: u8 = 1;
const BINARY: u8 = 2;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;
/// Any mask does.
const MASK: [u8; 4] = [0x5a, 0x01, 0xff, 0x37];

/// A connection and whoever is at its other end.
pub struct Client {
    pub name: String,
    pub shard: u8,
    pub key: ConnKey,
    pub id: ConnectionId,
    /// On its way to the server.
    pub up: Vec<u8>,
    /// What came and is no whole frame yet.
    down: Vec<u8>,
    /// What came, each frame as a transcript writes it.
    pub heard: VecDeque<String>,
    /// The server has closed the connection.
    pub closed: bool,
    /// The server sends no more.
    ended: bool,
    /// The client is gone and hears nothing any more.
    pub left: bool,
}

impl Client {
    pub fn new(name: &str, shard: u8, key: ConnKey, id: ConnectionId) -> Self {
        Self {
            name: name.into(),
            shard,
            key,
            id,
            up: Vec::new(),
            down: Vec::new(),
            heard: VecDeque::new(),
            closed: false,
            ended: false,
            left: false,
        }
    }

    /// Puts a frame on its way.
    pub fn say(&mut self, frame: &Frame<'_>) {
        match *frame {
            Frame::Text(text) => self.put(TEXT, text.as_bytes()),
            Frame::Binary(text) => self.put(BINARY, text.as_bytes()),
            Frame::Ping(text) => self.put(PING, text.as_bytes()),
            Frame::Pong(text) => self.put(PONG, text.as_bytes()),
            Frame::Close { code, reason } => {
                let code = code.map_or(Vec::new(), |code| code.to_be_bytes().to_vec());
                self.put(CLOSE, &[&code[..], reason.as_bytes()].concat());
            }
        }
    }

    fn put(&mut self, opcode: u8, payload: &[u8]) {
        self.up.push(0x80 | opcode);
        match payload.len() {
            len @ 0..=125 => self.up.push(0x80 | len as u8),
            len => {
                self.up.push(0x80 + 126);
                let len = u16::try_from(len).expect("a transcript's frames are short");
                self.up.extend(len.to_be_bytes());
            }
        }
        self.up.extend(MASK);
        self.up.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    }

    /// Takes what came apart.
    fn hear(&mut self) {
        while let Some((opcode, payload)) = self.next_frame() {
            let text = String::from_utf8(payload.clone());
            let text = text.unwrap_or_else(|_| format!("{payload:02x?}"));
            self.heard.push_back(match opcode {
                TEXT => text,
                BINARY => bracketed("binary", &text),
                PING => bracketed("ping", &text),
                PONG => bracketed("pong", &text),
                CLOSE => match payload.split_first_chunk::<2>() {
                    None => "[close]".into(),
                    Some((code, reason)) => {
                        let code = u16::from_be_bytes(*code);
                        bracketed(&format!("close {code}"), &String::from_utf8_lossy(reason))
                    }
                },
                _ => format!("[opcode {opcode}]"),
            });
        }
    }

    /// The next whole frame: neither fragmented nor masked nor compressed, as the server must.
    fn next_frame(&mut self) -> Option<(u8, Vec<u8>)> {
        let (&first, &second) = (self.down.first()?, self.down.get(1)?);
        assert!(first & 0xf0 == 0x80 && second & 0x80 == 0, "no plain whole frame of a server");
        let (len, head) = match second {
            126 => (usize::from(u16::from_be_bytes(self.down.get(2..4)?.try_into().ok()?)), 4),
            127 => panic!("a transcript's frames are short"),
            len => (usize::from(len), 2),
        };
        let payload = self.down.get(head..head + len)?.to_vec();
        self.down.drain(..head + len);
        Some((first & 0x0f, payload))
    }

    fn end(&mut self) {
        if !std::mem::replace(&mut self.ended, true) && !self.left {
            self.heard.push_back("[end]".into());
        }
    }
}

/// A frame that is no text, as a transcript writes it.
fn bracketed(kind: &str, text: &str) -> String {
    if text.is_empty() { format!("[{kind}]") } else { format!("[{kind} {text}]") }
}

/// The clients of one shard, as the shard sees them.
pub struct Sockets<'c> {
    pub clients: &'c mut [Client],
    pub shard: u8,
}

impl Sockets<'_> {
    fn client(&mut self, conn: u32) -> &mut Client {
        let here = |it: &&mut Client| it.shard == self.shard && it.key.index == conn && !it.closed;
        self.clients.iter_mut().find(here).expect("the shard knows this connection")
    }
}

impl Port for Sockets<'_> {
    fn send(&mut self, conn: u32, bytes: &[u8]) -> Sent {
        let client = self.client(conn);
        if client.left {
            return Sent::Gone;
        }
        assert!(!client.ended, "bytes behind the end");
        client.down.extend(bytes);
        client.hear();
        Sent::Bytes(bytes.len())
    }

    fn shut(&mut self, conn: u32) {
        self.client(conn).end();
    }

    fn close(&mut self, conn: u32, _address: IpAddr) {
        let client = self.client(conn);
        client.end();
        client.closed = true;
    }
}
