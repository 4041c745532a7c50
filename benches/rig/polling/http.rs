//! A socket of a polling client: requests and their answers on one kept connection, or frames once it
//! is a WebSocket. Nothing here waits.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use httparse::{EMPTY_HEADER, Response, Status};
use socket2::{Domain, Socket, Type};

/// One connection.
pub struct Line {
    pub stream: TcpStream,
    input: Vec<u8>,
}

/// What a request was answered.
pub struct Reply {
    pub status: u16,
    pub body: Vec<u8>,
}

/// A frame of the server's: the low bits of its first byte, and what is in it.
pub struct Frame {
    pub opcode: u8,
    pub payload: Vec<u8>,
}

impl Line {
    /// Connects from an address.
    ///
    /// # Panics
    /// When nobody listens there, or no descriptor or port is left.
    pub fn connect(from: Ipv4Addr, to: SocketAddr) -> Self {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is left");
        socket.bind(&SocketAddr::from((from, 0)).into()).expect("a port is free");
        socket.connect(&to.into()).expect("the broker listens");
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true).expect("a TCP socket");
        stream.set_nonblocking(true).expect("a socket");
        Self { stream, input: Vec::new() }
    }

    /// Sends something short; whether the other side still takes it.
    ///
    /// # Panics
    /// When the kernel has no room for it: what waits is little, or the broker does not read.
    pub fn send(&mut self, bytes: &[u8]) -> bool {
        match self.stream.write(bytes) {
            Ok(taken) => {
                assert_eq!(taken, bytes.len(), "the broker reads");
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => panic!("the broker reads"),
            Err(_) => false,
        }
    }

    /// Reads what has come; whether more may come.
    pub fn read(&mut self) -> bool {
        let mut piece = [0; 16 << 10];
        loop {
            match self.stream.read(&mut piece) {
                Ok(0) => return false,
                Ok(count) => self.input.extend_from_slice(&piece[..count]),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return false,
            }
        }
    }

    /// The next answer, if it is whole.
    ///
    /// # Panics
    /// When it is none of HTTP.
    pub fn reply(&mut self) -> Option<Reply> {
        let mut headers = [EMPTY_HEADER; 32];
        let mut head = Response::new(&mut headers);
        let Status::Complete(body_at) = head.parse(&self.input).expect("HTTP") else { return None };
        let length = head.headers.iter().find(|it| it.name.eq_ignore_ascii_case("content-length"));
        let length = length.map_or("0", |it| std::str::from_utf8(it.value).expect("a number"));
        let end = body_at + length.parse::<usize>().expect("a number");
        let status = head.code.expect("a status");
        let body = self.input.get(body_at..end)?.to_vec();
        self.input.drain(..end);
        Some(Reply { status, body })
    }

    /// The next frame, if it is whole.
    ///
    /// # Panics
    /// When it is one of several: the broker does not send such.
    pub fn frame(&mut self) -> Option<Frame> {
        let [first, short, ..] = self.input[..] else { return None };
        assert!(first & 0x80 != 0, "the broker sends whole messages");
        let (head, length) = match short {
            126 => (4, u64::from(u16::from_be_bytes(*self.input.get(2..)?.first_chunk()?))),
            127 => (10, u64::from_be_bytes(*self.input.get(2..)?.first_chunk()?)),
            length => (2, u64::from(length)),
        };
        let end = head + length as usize;
        let payload = self.input.get(head..end)?.to_vec();
        self.input.drain(..end);
        Some(Frame { opcode: first & 0xF, payload })
    }
}
