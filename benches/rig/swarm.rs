//! Very many WebSocket clients in one thread: plain sockets under one epoll, frames by hand.
//!
//! Reads what the broker sends frame by frame, answers its pings, and counts bytes where a program
//! wants no more than that. What a client sends goes out at once. Panics when the broker breaks
//! the protocol: these are measurements, and such a run is void.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, send, sockopt};

/// Bytes read from a socket at a time.
const READ_BYTES: usize = 256 << 10;
/// Sockets told ready at a time.
const READY_MAX: usize = 1024;
/// Any key is as good as another where nobody is to be fooled.
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What a client hears.
#[derive(Debug)]
pub enum Heard<'a> {
    /// The handshake is done.
    Open,
    /// A text message.
    Text(&'a str),
    /// A compressed text message, as it came.
    Compressed(&'a [u8]),
    /// A close frame with its code.
    Close(u16),
    /// The connection is over.
    End,
}

struct Client {
    socket: OwnedFd,
    open: bool,
    /// The start of a frame whose rest has not come.
    rest: Vec<u8>,
}

/// The clients.
pub struct Swarm {
    epoll: OwnedFd,
    clients: Vec<Option<Client>>,
    free: Vec<usize>,
    events: Vec<Event>,
    buffer: Box<[u8]>,
}

impl Swarm {
    /// Nobody yet.
    ///
    /// # Panics
    /// When there is no descriptor left.
    pub fn new() -> Self {
        Self {
            epoll: epoll::create(CreateFlags::CLOEXEC).expect("a descriptor is left"),
            clients: Vec::new(),
            free: Vec::new(),
            events: Vec::with_capacity(READY_MAX),
            buffer: vec![0; READ_BYTES].into_boxed_slice(),
        }
    }

    /// Connects from an address of 127.0.0.0/8 and sends the first bytes; says the client's number.
    ///
    /// # Panics
    /// When the broker does not take it.
    pub fn connect(&mut self, from: Ipv4Addr, to: SocketAddr, first: &[u8]) -> usize {
        let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None)
            .expect("a descriptor is left");
        // The address alone: many ports of one address would be one client to the broker.
        let from = SocketAddr::new(IpAddr::V4(from), 0);
        rustix::net::bind(&socket, &from).expect("a port is free");
        rustix::net::connect(&socket, &to).expect("the broker listens");
        sockopt::set_tcp_nodelay(&socket, true).expect("a TCP socket");
        rustix::io::ioctl_fionbio(&socket, true).expect("a socket");
        send_all(&socket, first);
        let client = Client { socket, open: false, rest: Vec::new() };
        let number = self.free.pop().unwrap_or_else(|| {
            self.clients.push(None);
            self.clients.len() - 1
        });
        let data = EventData::new_u64(number as u64);
        epoll::add(&self.epoll, &client.socket, data, EventFlags::IN).expect("memory is left");
        self.clients[number] = Some(client);
        number
    }

    /// Waits until a client has something to read, or the time is over; which have.
    ///
    /// # Panics
    /// Never: the descriptor is ours.
    pub fn wait(&mut self, at_most: Duration) -> Vec<usize> {
        let timeout = timespec(at_most);
        self.events.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => panic!("epoll: {error}"),
        }
        self.events.iter().map(|event| event.data.u64() as usize).collect()
    }

    /// Reads a client once and tells what it heard; a connection that is over is forgotten.
    ///
    /// # Panics
    /// When the broker breaks the protocol.
    pub fn read(&mut self, number: usize, mut tell: impl FnMut(Heard<'_>)) {
        let Some(client) = &mut self.clients[number] else { return };
        let bytes = match recv(&client.socket, &mut *self.buffer, RecvFlags::DONTWAIT) {
            Ok((bytes, _)) => bytes,
            Err(Errno::AGAIN | Errno::INTR) => return,
            Err(_) => 0,
        };
        if bytes == 0 {
            self.leave(number);
            return tell(Heard::End);
        }
        let used = if client.rest.is_empty() {
            client.take(&self.buffer[..bytes], &mut tell)
        } else {
            client.rest.extend_from_slice(&self.buffer[..bytes]);
            let all = std::mem::take(&mut client.rest);
            let used = client.take(&all, &mut tell);
            client.rest = all[used..].to_vec();
            return;
        };
        client.rest.extend_from_slice(&self.buffer[used..bytes]);
    }

    /// Reads a client once and says how many bytes came; 0 when there was nothing.
    ///
    /// # Panics
    /// When the connection is over.
    pub fn count(&mut self, number: usize) -> usize {
        let client = self.clients[number].as_ref().expect("a client");
        match recv(&client.socket, &mut *self.buffer, RecvFlags::DONTWAIT) {
            Ok((0, _)) => panic!("the broker has closed a connection"),
            Ok((bytes, _)) => bytes,
            Err(Errno::AGAIN | Errno::INTR) => 0,
            Err(error) => panic!("recv: {error}"),
        }
    }

    /// Waits until this client has something to read, or the time is over.
    ///
    /// # Panics
    /// When there is no such client.
    pub fn wait_for(&self, number: usize, at_most: Duration) {
        let client = self.clients[number].as_ref().expect("a client");
        // Woken early or late, the next read tells.
        let _ = poll(&mut [PollFd::new(&client.socket, PollFlags::IN)], Some(&timespec(at_most)));
    }

    /// Sends bytes; whether the connection was there to take them.
    pub fn send(&mut self, number: usize, bytes: &[u8]) -> bool {
        self.clients[number].as_ref().is_some_and(|client| send_all(&client.socket, bytes))
    }

    /// Never tells again that this client has something to read.
    pub fn neglect(&mut self, number: usize) {
        if let Some(client) = &self.clients[number] {
            // Already done: fine too.
            let _ = epoll::delete(&self.epoll, &client.socket);
        }
    }

    /// Whether the connection is there.
    pub fn is_there(&self, number: usize) -> bool {
        self.clients.get(number).is_some_and(Option::is_some)
    }

    /// Closes the socket of a client without a word.
    pub fn leave(&mut self, number: usize) {
        if self.clients[number].take().is_some() {
            self.free.push(number);
        }
    }

    /// Closes it with a reset: what is on its way is lost.
    pub fn reset(&mut self, number: usize) {
        if let Some(client) = &self.clients[number] {
            // Fails for a socket that is dead already.
            let _ = sockopt::set_socket_linger(&client.socket, Some(Duration::ZERO));
        }
        self.leave(number);
    }
}

impl Client {
    /// Takes whole frames out of the bytes; says how many bytes they were.
    fn take(&mut self, bytes: &[u8], tell: &mut impl FnMut(Heard<'_>)) -> usize {
        let mut at = 0;
        if !self.open {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let Some(end) = end else { return 0 };
            let head = &bytes[..end];
            assert!(
                head.starts_with(b"HTTP/1.1 101"),
                "handshake refused: {}",
                String::from_utf8_lossy(head)
            );
            self.open = true;
            at = end + 4;
            tell(Heard::Open);
        }
        while let Some((opcode, payload, end)) = frame(&bytes[at..]) {
            match opcode {
                0x81 => tell(Heard::Text(std::str::from_utf8(payload).expect("UTF-8"))),
                0xC1 => tell(Heard::Compressed(payload)),
                0x88 => {
                    let code = payload.first_chunk().map_or(1005, |code| u16::from_be_bytes(*code));
                    tell(Heard::Close(code));
                }
                0x89 => {
                    send_all(&self.socket, &masked(0x8A, payload));
                }
                0x8A => {}
                other => panic!("a frame that begins with {other:#x}"),
            }
            at += end;
        }
        at
    }
}

/// The first frame of some bytes: its first byte, its payload, where it ends.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let [first, length, ..] = *bytes else { return None };
    let (length, start) = match length {
        126 => (usize::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?) as usize, 10),
        length => (usize::from(length), 2),
    };
    Some((first, bytes.get(start..start + length)?, start + length))
}

/// Sends all, waiting where the kernel's buffer is full; whether the connection took it.
fn send_all(socket: &OwnedFd, mut bytes: &[u8]) -> bool {
    while !bytes.is_empty() {
        match send(socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(sent) => bytes = &bytes[sent..],
            Err(Errno::AGAIN) => {
                // A reset ends the wait as room does.
                let _ = poll(&mut [PollFd::new(socket, PollFlags::OUT)], None);
            }
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
    true
}

fn timespec(time: Duration) -> Timespec {
    Timespec { tv_sec: time.as_secs().cast_signed(), tv_nsec: i64::from(time.subsec_nanos()) }
}

/// A client's text frame.
pub fn text(payload: &str) -> Vec<u8> {
    masked(0x81, payload.as_bytes())
}

/// A client's frame whose first byte is given.
pub fn masked(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ 126..0x1_0000 => {
            frame.push(0xFE);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0xFF);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// The request of a handshake.
pub fn handshake(path: &str) -> Vec<u8> {
    format!(
        "GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
    .into_bytes()
}

/// The address of the n-th client: 50 clients share one.
pub fn address(n: usize) -> Ipv4Addr {
    let n = n / 50;
    Ipv4Addr::new(127, 1 + (n / 62_500) as u8, (n / 250 % 250) as u8, 1 + (n % 250) as u8)
}
