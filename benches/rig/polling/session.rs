//! One client that polls: what it asks, and what it makes of the answers.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use shardwire::load::stamp::Stamp;
use shardwire::load::swarm::Swarm;
use shardwire::wire::engineio::SEPARATOR;
use shardwire::wire::frame::{OpCode, put_masked};

use super::http::Line;
use super::{Told, Upgrade};

/// Milliseconds that a client takes from its last poll to its switch.
const SWITCH_MS_MAX: u64 = 100;

/// Which of a client's sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Get = 0,
    Post = 1,
    WebSocket = 2,
}

impl Which {
    pub fn of(number: u64) -> Self {
        [Self::Get, Self::Post, Self::WebSocket][number as usize]
    }
}

/// How far the way to a WebSocket is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Probe {
    /// Asked for.
    Asked(Upgrade),
    /// `2probe` is sent.
    Sent(Upgrade),
    /// Answered: the switch comes once neither poll nor post is under way, and a little later, as
    /// over a long line: what the broker has meanwhile must go over.
    Pausing(Option<Instant>),
    /// Gone.
    Through,
}

/// A client.
pub struct Session {
    from: Ipv4Addr,
    to: SocketAddr,
    path: String,
    connect: String,
    sid: String,
    pub get: Option<Line>,
    pub post: Option<Line>,
    pub socket: Option<Line>,
    probe: Option<Probe>,
    /// How long its switch takes.
    line: Duration,
    is_polling: bool,
    is_posting: bool,
    /// It polls no more.
    pub rests: bool,
    /// Engine.IO packets to be sent.
    out: Vec<String>,
}

type Tell<'a> = &'a mut dyn FnMut(Told);

impl Session {
    /// A client that is connected and has asked nothing.
    pub fn begin(from: Ipv4Addr, to: SocketAddr, path: &str, token: Option<&str>) -> Self {
        let connect =
            token.map_or_else(|| "40".into(), |token| format!(r#"40{{"token":"{token}"}}"#));
        Self {
            from,
            to,
            path: path.into(),
            connect,
            sid: String::new(),
            get: Some(Line::connect(from, to)),
            post: None,
            socket: None,
            probe: None,
            line: Duration::from_millis(u64::from(from.octets()[3]) % SWITCH_MS_MAX),
            is_polling: false,
            is_posting: false,
            rests: false,
            out: Vec::new(),
        }
    }

    /// Whether it is on its WebSocket.
    pub fn is_upgraded(&self) -> bool {
        self.probe == Some(Probe::Through)
    }

    /// Whether it waits for the moment to go over.
    pub fn is_switching(&self) -> bool {
        matches!(self.probe, Some(Probe::Pausing(Some(_))))
    }

    /// All its sockets.
    pub fn lines(&self) -> impl Iterator<Item = &Line> {
        [&self.get, &self.post, &self.socket].into_iter().flatten()
    }

    fn head(&self, method: &str, transport: &str) -> String {
        let sid = if self.sid.is_empty() { String::new() } else { format!("&sid={}", self.sid) };
        let path = &self.path;
        format!("{method} {path}?EIO=4&transport={transport}{sid} HTTP/1.1\r\nHost: localhost\r\n")
    }

    /// Asks for a session; whether it could.
    pub fn shake_hands(&mut self) -> bool {
        let request = self.head("GET", "polling") + "\r\n";
        self.is_polling = true;
        self.get.as_mut().is_some_and(|line| line.send(request.as_bytes()))
    }

    /// Takes a packet to be sent, of Socket.IO.
    pub fn say(&mut self, packet: &str) {
        self.out.push(format!("4{packet}"));
    }

    /// Says, last of all, that it goes: on a line of its own, whatever is on its way.
    pub fn say_goodbye(&mut self) {
        if self.is_upgraded() {
            self.put_frame(b"1");
        } else if !self.is_posting {
            self.out = vec!["1".into()];
            let _ = self.send_post();
        }
    }

    /// Closes the connection for posts, if none is under way.
    pub fn close_post(&mut self) {
        if !self.is_posting {
            self.post = None;
        }
    }

    /// Closes the connection for polls, if none is under way.
    pub fn close_get(&mut self) {
        if !self.is_polling {
            self.get = None;
        }
    }

    /// Asks for a WebSocket; whether it could.
    pub fn try_websocket(&mut self, how: Upgrade) -> bool {
        if self.socket.is_some() || self.sid.is_empty() {
            return false;
        }
        let mut line = Line::connect(self.from, self.to);
        let request = self.head("GET", "websocket")
            + "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
               Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
        let is_sent = line.send(request.as_bytes());
        self.socket = is_sent.then_some(line);
        self.probe = is_sent.then_some(Probe::Asked(how));
        is_sent
    }

    /// Reads a socket.
    pub fn hear(&mut self, which: Which, tell: Tell<'_>) -> Result<(), String> {
        match which {
            Which::Get => self.hear_polls(tell),
            Which::Post => self.hear_posts(),
            Which::WebSocket => self.hear_socket(tell),
        }
    }

    fn hear_polls(&mut self, tell: Tell<'_>) -> Result<(), String> {
        let Some(line) = &mut self.get else { return Ok(()) };
        let goes_on = line.read();
        if let Some(reply) = line.reply() {
            let text = String::from_utf8(reply.body).map_err(|_| "a body that is no text")?;
            if reply.status != 200 {
                return Err(format!("a poll was answered {}: {text}", reply.status));
            }
            self.is_polling = false;
            for record in text.split(char::from(SEPARATOR)) {
                self.on_packet(record, tell)?;
            }
        }
        if goes_on || (matches!(self.probe, Some(Probe::Pausing(_))) && !self.is_polling) {
            return Ok(());
        }
        Err(if self.is_polling { "a poll was cut" } else { "no more polls are taken" }.into())
    }

    fn hear_posts(&mut self) -> Result<(), String> {
        let Some(line) = &mut self.post else { return Ok(()) };
        let goes_on = line.read();
        if let Some(reply) = line.reply() {
            self.is_posting = false;
            if (reply.status, &*reply.body) != (200, b"ok") {
                let body = String::from_utf8_lossy(&reply.body);
                return Err(format!("a post was answered {}: {body}", reply.status));
            }
        }
        if !goes_on {
            // One that was idle for long may be closed.
            self.post = None;
            if self.is_posting {
                return Err("a post was cut".into());
            }
        }
        Ok(())
    }

    fn hear_socket(&mut self, tell: Tell<'_>) -> Result<(), String> {
        let Some(line) = &mut self.socket else { return Ok(()) };
        let goes_on = line.read();
        if let Some(Probe::Asked(how)) = self.probe {
            match line.reply() {
                Some(reply) if reply.status == 101 => {
                    self.probe = Some(Probe::Sent(how));
                    self.put_frame(b"2probe");
                    if how == Upgrade::ToProbe {
                        self.lose_probe(tell);
                        return Ok(());
                    }
                }
                Some(reply) => return Err(format!("an upgrade was answered {}", reply.status)),
                None => {}
            }
        }
        while let Some(frame) = self.socket.as_mut().and_then(Line::frame) {
            match (frame.opcode, self.probe) {
                (1, Some(Probe::Sent(how))) if frame.payload == b"3probe" => {
                    if how == Upgrade::ToAnswer {
                        self.lose_probe(tell);
                        return Ok(());
                    }
                    self.probe = Some(Probe::Pausing(None));
                }
                (1, Some(Probe::Through)) => {
                    let text = String::from_utf8(frame.payload).map_err(|_| "no text")?;
                    self.on_packet(&text, tell)?;
                }
                (8, _) => return Err(format!("its WebSocket was closed: {:?}", frame.payload)),
                (opcode, probe) => return Err(format!("frame {opcode} at {probe:?}")),
            }
        }
        if goes_on { Ok(()) } else { Err("its WebSocket was cut".into()) }
    }

    fn lose_probe(&mut self, tell: Tell<'_>) {
        (self.socket, self.probe) = (None, None);
        tell(Told::ProbeLost);
    }

    fn on_packet(&mut self, packet: &str, tell: Tell<'_>) -> Result<(), String> {
        match packet.as_bytes() {
            [b'0', ..] if self.sid.is_empty() => {
                let open: serde_json::Value =
                    serde_json::from_str(&packet[1..]).map_err(|error| error.to_string())?;
                self.sid = open["sid"].as_str().ok_or("a session without a name")?.into();
                self.out.push(self.connect.clone());
            }
            b"2" => self.out.push("3".into()),
            b"6" => {}
            [b'4', b'0', ..] => tell(Told::Ready),
            [b'4', b'3', ..] if packet.contains(r#""success":true"#) => tell(Told::Acknowledged),
            [b'4', b'2', event @ ..] => {
                if let Some((stamp, _)) = Stamp::find(event) {
                    tell(Told::Message(stamp));
                } else if packet.starts_with(r#"42["error""#) {
                    return Err(packet.into());
                }
            }
            _ => return Err(format!("it was told {packet}")),
        }
        Ok(())
    }

    /// Polls, posts or switches, where it is time to.
    pub fn go_on(&mut self, tell: Tell<'_>) -> Result<(), String> {
        let is_pausing = matches!(self.probe, Some(Probe::Pausing(_)));
        let is_idle = !self.is_polling && !self.is_posting;
        if let Some(Probe::Pausing(at)) = &mut self.probe
            && is_idle
            && Instant::now() >= *at.get_or_insert_with(|| Instant::now() + self.line)
        {
            self.put_frame(b"5");
            (self.get, self.post, self.probe) = (None, None, Some(Probe::Through));
            tell(Told::Upgraded);
        }
        if self.is_upgraded() {
            for packet in std::mem::take(&mut self.out) {
                self.put_frame(packet.as_bytes());
            }
            return Ok(());
        }
        if is_pausing {
            return Ok(());
        }
        if !self.out.is_empty() && !self.is_posting && !self.sid.is_empty() && !self.send_post() {
            return Err("a post was not taken".into());
        }
        if !self.is_polling && !self.rests {
            let request = self.head("GET", "polling") + "\r\n";
            self.is_polling = true;
            if !self.get.as_mut().is_some_and(|line| line.send(request.as_bytes())) {
                return Err("a poll was not taken".into());
            }
        }
        Ok(())
    }

    /// Begins a post, or a frame where it has a WebSocket, and says no more.
    pub fn break_off(&mut self, half: &[u8]) {
        if self.is_upgraded() {
            let _ = self.socket.as_mut().is_some_and(|socket| socket.send(half));
        } else {
            let head = self.head("POST", "polling");
            let request = format!("{head}Content-Length: 1000\r\n\r\n42[\"message\"");
            let line = self.post.get_or_insert_with(|| Line::connect(self.from, self.to));
            line.send(request.as_bytes());
        }
    }

    fn send_post(&mut self) -> bool {
        let body = std::mem::take(&mut self.out).join(&*char::from(SEPARATOR).to_string());
        let head = self.head("POST", "polling");
        let request = format!(
            "{head}Content-Type: text/plain;charset=UTF-8\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.is_posting = true;
        let line = self.post.get_or_insert_with(|| Line::connect(self.from, self.to));
        line.send(request.as_bytes())
    }

    fn put_frame(&mut self, text: &[u8]) {
        let mut frame = Vec::new();
        put_masked(&mut frame, OpCode::Text, false, Swarm::KEY, text);
        if let Some(socket) = &mut self.socket {
            // That it is lost shows when it is read.
            socket.send(&frame);
        }
    }
}
