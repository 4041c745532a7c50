//! Clients of a measured broker: the load generator's swarm, and what its members hear.
//!
//! What happens is gathered and handed out as a list, so that a program reads in one place what it
//! waits for. Messages are known by their stamp. While things happen the swarm does not sleep: its
//! readers are awake, and the broker wakes nobody. A run in which a client is refused or is refused
//! something is void and panics.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde::Serialize;
use serde_json::json;
use shardwire::load::dialect::{self, Heard as Said, Who, Words};
use shardwire::load::scenario::{Credentials, Spoken, Target, Tls};
use shardwire::load::stamp::Stamp;
use shardwire::load::swarm::{Audience, Happened, Leave, Swarm};
use shardwire::wire::frame::OpCode;

use super::broker::{self, Broker};

/// Connections from one address: half of what the broker takes from one.
const PER_ADDRESS: u32 = 50;
/// Handshakes under way at a time.
const CONNECTING_MAX: usize = 64;
/// The longest wait for anything; what does not come then never will.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// What a client hears.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// The handshake is done.
    Open,
    /// One subscription is in force.
    Subscribed,
    /// So many messages of one stream, numbered one after the other; the first of them.
    Messages(Stamp, u32),
    /// The connection is over, with this close code; 1006 without one.
    End(u16),
}

/// The clients, each known by a number.
pub struct Clients {
    swarm: Swarm,
    crowd: Crowd,
    begun: Instant,
}

struct Crowd {
    tokens: Vec<String>,
    heard: Vec<(usize, Heard)>,
    /// Who was refused what, where a run goes on with that.
    refused: Option<Vec<(usize, String)>>,
}

impl Audience for Crowd {
    fn happened(&mut self, connection: u32, what: Happened<'_>, _: &mut Vec<u8>) {
        let heard = match what {
            Happened::Ready => Heard::Open,
            Happened::Heard { heard: Said::Subscribed, .. } => Heard::Subscribed,
            Happened::Heard { heard: Said::Delivery(stamp), count, .. } => {
                Heard::Messages(stamp, count)
            }
            Happened::Heard { heard: Said::Refused(words), .. } => {
                let words = String::from_utf8_lossy(words);
                let Some(refused) = &mut self.refused else {
                    panic!("client {connection}: {words}")
                };
                return refused.push((connection as usize, words.into()));
            }
            Happened::Heard { .. } => return,
            Happened::Refused(why) => panic!("client {connection}: {why}"),
            Happened::Ended(code) => Heard::End(code),
        };
        self.heard.push((connection as usize, heard));
    }

    fn who(&self, connection: u32) -> Who<'_> {
        let token = self.tokens.get(connection as usize).map(String::as_str);
        Who { number: connection, token, topic: "", publishes: false }
    }
}

impl Clients {
    /// Nobody yet. With `compression`, each offers it.
    ///
    /// # Panics
    /// When there is no descriptor left.
    pub fn new(address: SocketAddr, compression: bool) -> Self {
        Self::of(&Self::target(address, compression, None))
    }

    /// Nobody yet; each will speak Socket.IO.
    ///
    /// # Panics
    /// When there is no descriptor left.
    pub fn of_rooms(broker: &Broker) -> Self {
        let target = Self::target(broker.address, false, None);
        Self::of(&Target { path: broker::ROOMS_PATH.into(), dialect: Spoken::Socketio, ..target })
    }

    /// Nobody yet; each will speak TLS where the broker does.
    ///
    /// # Panics
    /// When there is no descriptor left.
    pub fn of_broker(broker: &Broker) -> Self {
        let file = broker.certificate.as_ref().map(|certificate| certificate.file().to_owned());
        Self::of(&Self::target(broker.address, false, file.map(Tls::Authorities)))
    }

    fn target(address: SocketAddr, compression: bool, tls: Option<Tls>) -> Target {
        Target {
            address,
            host: "localhost".into(),
            path: broker::PATH.into(),
            tls,
            dialect: Spoken::Topics,
            compression,
            credentials: Credentials::None,
        }
    }

    fn of(target: &Target) -> Self {
        let swarm = Swarm::new(target, dialect::of(target), PER_ADDRESS);
        Self {
            swarm: swarm.expect("a descriptor is left"),
            crowd: Crowd { tokens: Vec::new(), heard: Vec::new(), refused: None },
            begun: Instant::now(),
        }
    }

    /// What each client shows in its handshake, by its number.
    pub fn show(&mut self, tokens: Vec<String>) {
        self.crowd.tokens = tokens;
    }

    /// Goes on when the broker refuses somebody something; who was, and what, since the last call.
    pub fn take_refused(&mut self) -> Vec<(usize, String)> {
        self.crowd.refused.replace(Vec::new()).unwrap_or_default()
    }

    /// Begins a connection.
    ///
    /// # Panics
    /// When there is no descriptor or port left.
    pub fn connect(&mut self, number: usize) {
        let who = self.crowd.who(number as u32);
        self.swarm.connect(number as u32, &who).expect("a descriptor and a port are left");
    }

    /// Connects the clients 0 to `count`; each says what `first` has for it as soon as it is in.
    /// Until all are in, and so many subscriptions in force.
    ///
    /// # Panics
    /// When the broker does not let them in.
    pub fn enter(&mut self, count: usize, subscriptions: usize, first: impl Fn(usize) -> Vec<u8>) {
        let (mut connected, mut open, mut subscribed) = (0, 0, 0);
        while open < count || subscribed < subscriptions {
            while connected < count && connected - open < CONNECTING_MAX {
                self.connect(connected);
                connected += 1;
            }
            for (number, heard) in self.wait(PATIENCE) {
                match heard {
                    Heard::Open => {
                        open += 1;
                        self.say(number, &first(number));
                    }
                    Heard::Subscribed => subscribed += 1,
                    other => panic!("client {number}: {other:?}"),
                }
            }
        }
    }

    /// Waits until something happens, at most so long; what did.
    ///
    /// # Panics
    /// When the kernel does not let it wait.
    pub fn wait(&mut self, at_most: Duration) -> Vec<(usize, Heard)> {
        let begin = Instant::now();
        loop {
            let left = at_most.saturating_sub(begin.elapsed());
            let now_us = self.begun.elapsed().as_micros() as u64;
            self.swarm.turn(now_us, left, &mut self.crowd).expect("an epoll can be waited for");
            // Not all that wakes a swarm is heard by its audience: a ping, room to send.
            if !self.crowd.heard.is_empty() || left.is_zero() {
                return std::mem::take(&mut self.crowd.heard);
            }
        }
    }

    /// Sends bytes, frames or not; whether the connection was there to take them.
    pub fn say(&mut self, number: usize, bytes: &[u8]) -> bool {
        self.swarm.say(number as u32, bytes)
    }

    /// Never reads this client's messages again.
    pub fn neglect(&mut self, number: usize) {
        self.swarm.slow_down(number as u32, 0);
    }

    /// Gives a client up.
    pub fn leave(&mut self, number: usize, how: Leave) {
        self.swarm.leave(number as u32, how);
    }
}

/// A client's text frame.
pub fn text(payload: &str) -> Vec<u8> {
    let mut frame = Vec::new();
    Words::new(&mut frame, Swarm::KEY).text(payload.as_bytes());
    frame
}

/// A client's request to subscribe to topics or patterns.
pub fn subscribe(topics: &[impl Serialize]) -> Vec<u8> {
    text(&json!({"type": "subscribe", "topics": topics}).to_string())
}

/// A client's publish of some JSON text.
pub fn publish(topic: &str, data: &str) -> Vec<u8> {
    text(&format!(r#"{{"type":"message","topic":"{topic}","data":{data}}}"#))
}

/// A client's Socket.IO packet over a WebSocket.
pub fn packet(packet: &str) -> Vec<u8> {
    text(&format!("4{packet}"))
}

/// A Socket.IO packet that asks to be in a room.
pub fn join(room: &str) -> String {
    format!(r#"21["join_room",{{"room":"{room}"}}]"#)
}

/// A Socket.IO packet: a message to a room, with a stamp.
pub fn message(room: &str, stream: usize, number: usize) -> String {
    let content = stamped(stream, number, 0);
    format!(r#"2["message",{{"room":"{room}","content":{content}}}]"#)
}

/// A stamp as a JSON string of so many bytes, or as many as a stamp takes.
pub fn stamped(stream: usize, number: usize, bytes: usize) -> String {
    let mut text = b"\"".to_vec();
    let stamp = Stamp { stream: stream as u32, number: number as u32, at_us: 0 };
    stamp.put(&mut text, bytes.saturating_sub(2));
    text.push(b'"');
    String::from_utf8(text).expect("a stamp is ASCII")
}

/// A sign of life, which the broker answers with nothing.
pub fn alive() -> Vec<u8> {
    let mut frame = Vec::new();
    Words::new(&mut frame, Swarm::KEY).frame(OpCode::Pong, &[]);
    frame
}
