//! A swarm against sockets of this thread: what the server sees is read from the other end.

mod ends;
mod frames;
mod secure;
mod slow;

use std::io::{Read as _, Write as _};
use std::mem;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use super::*;
use crate::load::dialect::Words;
use crate::load::scenario::{Credentials, Spoken, Tls};
use crate::load::stamp::Stamp;
use crate::wire::frame::{OpCode, put_frame};

/// No test waits longer for what has to happen.
const PATIENCE: Duration = Duration::from_secs(20);

const TAKEN: &str = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";

/// A message is a word; with `lines` each ends with a line feed, wherever frames may end.
struct Word {
    lines: bool,
}

impl Dialect for Word {
    fn handshake(&self, who: &Who<'_>, key: &str, offer: Option<&str>, out: &mut Vec<u8>) {
        let offer = offer.map_or(String::new(), |it| format!("Sec-WebSocket-Extensions: {it}\r\n"));
        let number = who.number;
        let text = format!("GET /{number} HTTP/1.1\r\nSec-WebSocket-Key: {key}\r\n{offer}\r\n");
        out.extend_from_slice(text.as_bytes());
    }

    fn opened(&self, who: &Who<'_>, say: &mut Words<'_>) -> bool {
        say.text(format!("i am {}", who.number).as_bytes());
        who.publishes
    }

    fn foreign(&self, payload: &[u8]) -> Option<&'static str> {
        payload.starts_with(b"SSH").then_some("words")
    }

    fn subscribe(&self, pattern: &str, _: u16, say: &mut Words<'_>) -> bool {
        say.text(pattern.as_bytes());
        true
    }

    fn publish(&self, _: &str, payload: &[u8], say: &mut Words<'_>) {
        say.text(payload);
    }

    fn hear(
        &self,
        _: &Who<'_>,
        payload: &[u8],
        say: &mut Words<'_>,
        tell: &mut dyn FnMut(Heard<'_>),
    ) -> usize {
        let end = if self.lines {
            payload.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1)
        } else {
            payload.len()
        };
        for line in payload[..end].split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match line {
                b"ready" => tell(Heard::Ready),
                b"subscribed" => tell(Heard::Subscribed),
                b"question" => say.text(b"answer"),
                line if line.starts_with(b"no ") => tell(Heard::Refused(&line[3..])),
                line => match Stamp::find(line) {
                    Some((stamp, _)) => tell(Heard::Delivery(stamp)),
                    None => tell(Heard::Other),
                },
            }
        }
        end
    }
}

/// What was heard, in words.
#[derive(Default)]
struct Notes {
    log: Vec<String>,
    publishes: bool,
}

impl Audience for Notes {
    fn happened(&mut self, connection: u32, what: Happened<'_>, answer: &mut Vec<u8>) {
        if let Happened::Heard { heard: Heard::Delivery(stamp), count, frame_bytes } = what {
            let numbers = stamp.number..stamp.number + count;
            let told =
                numbers.map(|number| format!("{connection} delivery {number} {frame_bytes}"));
            return self.log.extend(told);
        }
        self.log.push(match what {
            Happened::Ready => {
                Words::new(answer, Swarm::KEY).text(b"subscribe");
                format!("{connection} ready")
            }
            Happened::Heard { heard: Heard::Refused(text), frame_bytes, .. } => {
                format!("{connection} no {} {frame_bytes}", String::from_utf8_lossy(text))
            }
            Happened::Heard { heard, frame_bytes, .. } => {
                format!("{connection} {heard:?} {frame_bytes}")
            }
            Happened::Refused(why) => format!("{connection} refused: {why}"),
            Happened::Ended(code) => format!("{connection} ended {code}"),
        });
    }

    fn who(&self, connection: u32) -> Who<'_> {
        Who { number: connection, token: None, topic: "", publishes: self.publishes }
    }
}

struct Rig {
    swarm: Swarm,
    notes: Notes,
    listener: TcpListener,
    now_us: u64,
}

/// What a rig is made of.
#[derive(Default)]
struct Setting {
    lines: bool,
    compression: bool,
    tls: Option<Tls>,
}

impl Rig {
    fn new(setting: Setting) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let target = Target {
            address: listener.local_addr().unwrap(),
            host: "localhost:1".into(),
            path: "/".into(),
            tls: setting.tls,
            dialect: Spoken::Topics,
            compression: setting.compression,
            credentials: Credentials::None,
        };
        let swarm = Swarm::new(&target, Box::new(Word { lines: setting.lines }), 3).unwrap();
        Self { swarm, notes: Notes::default(), listener, now_us: 0 }
    }

    /// Turns until it is so.
    fn until(&mut self, mut done: impl FnMut(&mut Swarm, &Notes) -> bool) {
        let begun = Instant::now();
        while !done(&mut self.swarm, &self.notes) {
            assert!(begun.elapsed() < PATIENCE, "heard only {:?}", self.notes.log);
            let wait = Duration::from_millis(5);
            self.swarm.turn(self.now_us, wait, &mut self.notes).unwrap();
        }
    }

    /// Turns until so much is heard, and takes it.
    fn hear(&mut self, things: usize) -> Vec<String> {
        self.until(|_, notes| notes.log.len() >= things);
        assert_eq!(self.swarm.unfinished, self.unfinished(), "what is kept is counted");
        mem::take(&mut self.notes.log)
    }

    /// Bytes that connections keep of what is not whole, one by one.
    fn unfinished(&self) -> usize {
        self.swarm.slots.iter().map(Slot::unfinished).sum()
    }

    /// A connection that has sent its request, and the server's end of it.
    fn asked(&mut self, connection: u32) -> Peer {
        let who = Who { number: connection, token: None, topic: "", publishes: false };
        self.swarm.connect(connection, &who).unwrap();
        let (stream, from) = self.listener.accept().unwrap();
        assert_eq!(from.ip().to_string(), format!("127.1.0.{}", 1 + connection / 3));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        self.until(|swarm, _| swarm.slots[connection as usize].stage == Stage::Asking);
        Peer(stream)
    }

    /// A connection with its handshake done.
    fn opened(&mut self, connection: u32) -> Peer {
        let mut peer = self.asked(connection);
        peer.request();
        peer.say(format!("{TAKEN}\r\n").as_bytes());
        self.until(|swarm, _| swarm.slots[connection as usize].stage == Stage::Open);
        assert_eq!(peer.frame(), (1, format!("i am {connection}").into_bytes()));
        peer
    }
}

/// The server's end of a connection.
struct Peer(TcpStream);

impl Peer {
    fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        let mut bytes = vec![0; length];
        self.0.read_exact(&mut bytes).unwrap();
        bytes
    }

    fn request(&mut self) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.extend(self.bytes(1));
        }
        String::from_utf8(head).unwrap()
    }

    /// A client's frame: its opcode and its payload.
    fn frame(&mut self) -> (u8, Vec<u8>) {
        let head = self.bytes(2);
        assert_eq!(head[0] & 0xF0, 0x80);
        assert_eq!(head[1] & 0x80, 0x80, "a client masks");
        let length = match head[1] & 0x7F {
            126 => usize::from(u16::from_be_bytes(self.bytes(2).try_into().unwrap())),
            127 => u64::from_be_bytes(self.bytes(8).try_into().unwrap()) as usize,
            length => usize::from(length),
        };
        let key = self.bytes(4);
        let masked = self.bytes(length);
        let plain = masked.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key);
        (head[0] & 0xF, plain.collect())
    }

    /// Nothing more comes.
    fn at_end(&mut self) {
        assert_eq!(self.0.read(&mut [0; 64]).unwrap(), 0);
    }
}

fn frame(opcode: OpCode, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    put_frame(&mut bytes, opcode, false, payload);
    bytes
}

fn text(payload: &str) -> Vec<u8> {
    frame(OpCode::Text, payload.as_bytes())
}

fn close(code: u16) -> Vec<u8> {
    frame(OpCode::Close, &code.to_be_bytes())
}

fn stamped(number: u32, bytes: usize) -> String {
    let mut payload = Vec::new();
    Stamp { stream: 1, number, at_us: 2 }.put(&mut payload, bytes);
    String::from_utf8(payload).unwrap()
}
