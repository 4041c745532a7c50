//! Clients that know which shard their connections are on.
//!
//! A session's name says its shard, so a connection that has opened one is on that; it is used again
//! for the requests of others. HTTP is written by hand, WebSockets are tungstenite's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use serde_json::Value;
use shardwire::sid::Sid;
use tokio_tungstenite::tungstenite::error::Error as WsError;
use tokio_tungstenite::tungstenite::handshake::HandshakeError;
use tokio_tungstenite::tungstenite::protocol::WebSocket;
use tokio_tungstenite::tungstenite::{Bytes, Message, client};

/// The longest wait for anything.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// What a request is answered.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    pub body: String,
}

impl Answer {
    /// All values of a header.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let of = self.headers.iter().filter(|(known, _)| known == name);
        of.map(|(_, value)| value.as_str()).collect()
    }

    /// The status and the body.
    pub fn told(&self) -> (u16, &str) {
        (self.status, &self.body)
    }
}

/// A connection that stays.
pub struct Line {
    stream: BufReader<TcpStream>,
    address: SocketAddr,
    /// Its shard; of one that has opened nothing yet a guess.
    pub shard: u8,
}

impl Line {
    pub fn dial(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream: BufReader::new(stream), address, shard: 0 }
    }

    /// Begins a session by polling; gives what the server says of it.
    pub fn open(&mut self, path: &str) -> Value {
        let answer = self.ask("GET", &format!("{path}?EIO=4&transport=polling"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        let said = serde_json::from_str(answer.body.strip_prefix('0').unwrap()).unwrap();
        self.shard = shard_of(&said);
        said
    }

    /// Sends a request, whose answer is heard later.
    pub fn send(&mut self, method: &str, target: &str, body: &str) {
        self.send_with(method, target, "", body);
    }

    /// The same with headers of one's own, each with its line's end.
    pub fn send_with(&mut self, method: &str, target: &str, headers: &str, body: &str) {
        let length = body.len();
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{headers}Content-Length: {length}\r\n\r\n",
            self.address
        );
        self.stream.get_mut().write_all(format!("{head}{body}").as_bytes()).unwrap();
    }

    /// Hears one answer.
    pub fn hear(&mut self) -> Answer {
        let mut line = || {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let status = line();
        let status = status.split(' ').nth(1).expect("an answer").parse().unwrap();
        let mut headers = Vec::new();
        while let Some((name, value)) = line().split_once(": ") {
            headers.push((name.to_ascii_lowercase(), value.to_owned()));
        }
        let length = headers.iter().find(|(name, _)| name == "content-length");
        let length = length.map_or(0, |(_, value)| value.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Answer { status, headers, body: String::from_utf8(body).unwrap() }
    }

    pub fn ask(&mut self, method: &str, target: &str, body: &str) -> Answer {
        self.send(method, target, body);
        self.hear()
    }

    /// Asks for a WebSocket.
    ///
    /// # Errors
    /// The answer's status, where that is a no.
    pub fn upgrade(self, target: &str) -> Result<Socket, u16> {
        let url = format!("ws://{}{target}", self.address);
        assert!(self.stream.buffer().is_empty());
        match client::client(url, self.stream.into_inner()) {
            Ok((socket, answer)) => {
                let cookies = answer.headers().get_all("set-cookie").iter();
                let cookies = cookies.map(|it| it.to_str().unwrap().to_owned()).collect();
                Ok(Socket { socket, cookies })
            }
            Err(HandshakeError::Failure(WsError::Http(answer))) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }
}

/// The shard of the session that a server says this of.
pub fn shard_of(opened: &Value) -> u8 {
    Sid::parse(opened["sid"].as_str().unwrap()).expect("a name of ours").shard()
}

/// A WebSocket.
pub struct Socket {
    socket: WebSocket<TcpStream>,
    /// What its handshake's answer set.
    pub cookies: Vec<String>,
}

impl Socket {
    pub fn say(&mut self, text: &str) {
        self.socket.send(Message::text(text)).unwrap();
    }

    pub fn say_bytes(&mut self, bytes: &[u8]) {
        self.socket.send(Message::binary(Bytes::copy_from_slice(bytes))).unwrap();
    }

    /// Hears text.
    pub fn hear(&mut self) -> String {
        match self.socket.read().unwrap() {
            Message::Text(text) => text.to_string(),
            message => panic!("{message:?} is no text"),
        }
    }

    pub fn hear_bytes(&mut self) -> Vec<u8> {
        match self.socket.read().unwrap() {
            Message::Binary(bytes) => bytes.to_vec(),
            message => panic!("{message:?} is no bytes"),
        }
    }

    /// Hears nothing but its end, pings of the protocol apart; gives the code and the reason of the
    /// close frame, if one came.
    pub fn hear_end(&mut self) -> Option<(u16, String)> {
        loop {
            match self.socket.read() {
                Ok(Message::Close(frame)) => {
                    return frame.map(|it| (it.code.into(), it.reason.to_string()));
                }
                Ok(Message::Text(text)) if text.as_str() == "2" => {}
                Ok(message) => panic!("{message:?} is no end"),
                Err(WsError::Io(error)) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    panic!("it lives on")
                }
                Err(_) => return None,
            }
        }
    }

    /// Says that it goes, and does.
    pub fn close(mut self) {
        let _ = self.socket.close(None);
        let _ = self.socket.flush();
    }
}
