//! A node with an endpoint of Engine.IO, and a client that says each byte itself.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::node::{Node, Setup};
use shardwire::shard::{Endpoint, Policy};

/// Longer than any answer takes.
const PATIENCE: Duration = Duration::from_secs(10);

/// What makes a request one for a WebSocket.
pub const UPGRADE: &str = "Connection: Upgrade\r\nUpgrade: websocket\r\n\
                           Sec-WebSocket-Version: 13\r\n\
                           Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";

/// A node; `change` what it is started with.
pub fn start(shards: u8, change: impl FnOnce(&mut Setup)) -> Node {
    // Messages come back as they were.
    let engine = Endpoint {
        engine_only: true,
        ..Endpoint::new("/socket.io/", Dialect::SocketIo, false, Rules::open())
    };
    let policy =
        Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, Rules::open()), engine]);
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut setup = Setup::bare(address, shards, policy);
    change(&mut setup);
    Node::start(setup).unwrap()
}

/// An answer: its head in lower case, and its body.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Answer {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let values = self.head.lines().filter_map(|line| line.split_once(": "));
        values.filter(|(own, _)| *own == name).map(|(_, value)| value).next()
    }
}

/// A request under way, on a connection of its own.
pub struct Asking(pub TcpStream);

impl Asking {
    /// Sends a request with further header lines and a body; the connection ends with it.
    pub fn new(node: &Node, method: &str, target: &str, headers: &str, body: &str) -> Self {
        let mut stream = TcpStream::connect(node.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let length = body.len();
        let length =
            if length > 0 { format!("Content-Length: {length}\r\n") } else { String::new() };
        let close = if headers.contains("Upgrade") { "" } else { "Connection: close\r\n" };
        let head =
            format!("{method} {target} HTTP/1.1\r\nHost: a.example\r\n{close}{length}{headers}");
        stream.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        Self(stream)
    }

    /// Hears the answer to its end.
    pub fn answer(mut self) -> Answer {
        let mut bytes = Vec::new();
        self.0.read_to_end(&mut bytes).expect("an answer in time");
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Answer { status, head: head.to_lowercase(), body: body.to_owned() }
    }
}

/// Sends a request and hears its answer.
pub fn ask(node: &Node, method: &str, target: &str, headers: &str) -> Answer {
    Asking::new(node, method, target, headers, "").answer()
}

/// A polling session.
pub struct Session<'a> {
    node: &'a Node,
    sid: String,
}

impl<'a> Session<'a> {
    pub fn open(node: &'a Node) -> Self {
        let opened = ask(node, "GET", "/socket.io/?EIO=4&transport=polling", "");
        assert_eq!(opened.status, 200, "{opened:?}");
        let sid = opened.body.strip_prefix("0{\"sid\":\"").unwrap().split('"').next().unwrap();
        Self { node, sid: sid.to_owned() }
    }

    fn target(&self) -> String {
        format!("/socket.io/?EIO=4&transport=polling&sid={}", self.sid)
    }

    /// Begins a poll.
    pub fn poll(&self) -> Asking {
        Asking::new(self.node, "GET", &self.target(), "", "")
    }

    /// Begins a poll, and waits until it hangs at its session.
    pub fn hanging_poll(&self) -> Asking {
        let before = polls_waiting(self.node);
        let poll = self.poll();
        while polls_waiting(self.node) == before {
            std::thread::yield_now();
        }
        poll
    }

    pub fn post(&self, records: &str) -> Answer {
        Asking::new(self.node, "POST", &self.target(), "", records).answer()
    }

    /// Brings a WebSocket that says these at once.
    pub fn bring(&self, says: &[&str]) -> Socket {
        Socket::begin(self.node, &self.target().replace("polling", "websocket"), says)
    }

    /// Begins any request of this session that polls.
    pub fn begins(&self, method: &str, headers: &str) -> Asking {
        Asking::new(self.node, method, &self.target(), headers, "")
    }

    /// Any request of this session.
    pub fn asks(&self, method: &str, transport: &str, headers: &str) -> Answer {
        let target = format!("/socket.io/?EIO=4&transport={transport}&sid={}", self.sid);
        ask(self.node, method, &target, headers)
    }
}

/// A WebSocket.
pub struct Socket {
    stream: TcpStream,
    /// What came and was not looked at.
    rest: Vec<u8>,
}

impl Socket {
    /// A session that begins as a WebSocket.
    pub fn open(node: &Node) -> Self {
        let mut socket = Self::begin(node, "/socket.io/?EIO=4&transport=websocket", &[]);
        assert!(socket.hear().is_some_and(|it| it.starts_with("0{")));
        socket
    }

    fn begin(node: &Node, target: &str, says: &[&str]) -> Self {
        let Asking(stream) = Asking::new(node, "GET", target, UPGRADE, "");
        let mut socket = Self { stream, rest: Vec::new() };
        for text in says {
            socket.say(text);
        }
        let head = socket.until(|bytes| {
            let end = bytes.windows(4).position(|part| part == b"\r\n\r\n")? + 4;
            Some((end, String::from_utf8(bytes[..end].to_vec()).unwrap()))
        });
        assert!(head.unwrap().starts_with("HTTP/1.1 101 "));
        socket
    }

    /// Says a CONNECT packet; gives the reply.
    pub fn connect(&mut self, packet: &str) -> String {
        self.say(packet);
        self.hear().expect("a reply")
    }

    /// Says a short text.
    pub fn say(&mut self, text: &str) {
        let length = u16::try_from(text.len()).expect("a short text");
        let head = match length {
            0..126 => vec![0x81, 0x80 | length as u8],
            _ => [&[0x81, 0x80 + 126][..], &length.to_be_bytes()].concat(),
        };
        self.stream.write_all(&[&head, &[0; 4][..], text.as_bytes()].concat()).unwrap();
    }

    /// The next text; `None` at the end, or a close frame.
    pub fn hear(&mut self) -> Option<String> {
        self.until(|bytes| {
            let (&[kind, short], rest) = bytes.split_first_chunk()?;
            let (length, head) = match short {
                126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 2),
                _ => (usize::from(short), 0),
            };
            let payload = rest.get(head..head + length)?;
            let text = String::from_utf8_lossy(payload).into_owned();
            Some((2 + head + length, (kind == 0x81).then_some(text)))
        })?
    }

    /// Reads until enough is there; `None` at the end.
    fn until<T>(&mut self, enough: impl Fn(&[u8]) -> Option<(usize, T)>) -> Option<T> {
        loop {
            if let Some((taken, found)) = enough(&self.rest) {
                self.rest.drain(..taken);
                return Some(found);
            }
            let mut bytes = [0; 1024];
            let read = self.stream.read(&mut bytes).expect("an answer in time");
            if read == 0 {
                return None;
            }
            self.rest.extend_from_slice(&bytes[..read]);
        }
    }
}

/// Polls that hang.
pub fn polls_waiting(node: &Node) -> u64 {
    node.metrics().iter().map(|shard| shard.polls_waiting.get()).sum()
}
