//! The floor's connections: accepted, greeted, read a buffer's worth a turn.
//!
//! A guest is known by its place. Pings and closes are answered here; a message's text goes to the
//! caller. A guest that breaks the protocol is sent away without a word: the load is ours.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::str;

use fastwebsockets::upgrade::upgrade;
use hyper::Request;
use memchr::memmem;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{RecvFlags, SocketFlags, accept_with, recv};

use crate::limits::{MESSAGE_BYTES_MAX, READ_BUFFER_BYTES, REQUEST_HEAD_BYTES_MAX};
use crate::wire::frame::{
    Decoder, Event, FrameBounds, OpCode, Partial, Sender, put_close, put_frame,
};

const BOUNDS: FrameBounds = FrameBounds {
    message_bytes_max: MESSAGE_BYTES_MAX,
    compression: false,
    sender: Sender::Client,
};

const HEAD_END: &[u8] = b"\r\n\r\n";

/// All connections.
#[derive(Debug)]
pub(super) struct Guests {
    places: Vec<Option<Guest>>,
    free: Vec<u32>,
    /// One for all.
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Guest {
    fd: OwnedFd,
    state: State,
}

#[derive(Debug)]
enum State {
    /// So much of the handshake's request has come.
    Asking(Vec<u8>),
    /// What is unfinished of a frame or message.
    Talking(Option<Box<Partial>>),
}

impl Default for Guests {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), buffer: vec![0; READ_BUFFER_BYTES] }
    }
}

impl Guests {
    /// Takes in all who wait at the door.
    pub(super) fn accept(&mut self, listener: &OwnedFd, epoll: &OwnedFd) -> io::Result<()> {
        loop {
            let fd = match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::INTR | Errno::CONNABORTED) => continue,
                Err(error) => return Err(error.into()),
            };
            // Lost already, if it fails: the first read will tell.
            let _ = set_tcp_nodelay(&fd, true);
            let place = self.free.pop().unwrap_or(self.places.len() as u32);
            epoll::add(epoll, &fd, EventData::new_u64(u64::from(place)), EventFlags::IN)?;
            if place as usize == self.places.len() {
                self.places.push(None);
            }
            self.places[place as usize] = Some(Guest { fd, state: State::Asking(Vec::new()) });
        }
    }

    /// The connection of a guest.
    #[inline]
    pub(super) fn fd(&self, guest: u32) -> Option<BorrowedFd<'_>> {
        self.places.get(guest as usize)?.as_ref().map(|guest| guest.fd.as_fd())
    }

    /// Closes a connection; its place may be given to another.
    pub(super) fn leave(&mut self, guest: u32) {
        if let Some(place @ Some(_)) = self.places.get_mut(guest as usize) {
            *place = None;
            self.free.push(guest);
        }
    }

    /// Reads what a guest has said, as much as a turn takes: each message goes to `hear`, what it is
    /// to be answered is appended to `answers`. False when it has gone.
    pub(super) fn read(
        &mut self,
        guest: u32,
        answers: &mut Vec<u8>,
        mut hear: impl FnMut(&[u8], &mut Vec<u8>),
    ) -> bool {
        let Some(Some(guest)) = self.places.get_mut(guest as usize) else { return true };
        match recv(&guest.fd, &mut *self.buffer, RecvFlags::empty()) {
            Ok((bytes @ 1.., _)) => {
                guest.take(&mut self.buffer[..bytes], answers, &mut hear).is_some()
            }
            Err(Errno::AGAIN | Errno::INTR) => true,
            Ok(_) | Err(_) => false,
        }
    }
}

impl Guest {
    /// `None` when it is over.
    fn take(
        &mut self,
        bytes: &mut [u8],
        answers: &mut Vec<u8>,
        hear: &mut impl FnMut(&[u8], &mut Vec<u8>),
    ) -> Option<()> {
        let request = match &mut self.state {
            State::Talking(partial) => return talk(partial, bytes, answers, hear),
            State::Asking(request) => request,
        };
        request.extend_from_slice(bytes);
        let Some(lines_len) = memmem::find(request, HEAD_END) else {
            return (request.len() <= REQUEST_HEAD_BYTES_MAX).then_some(());
        };
        let mut after = request.split_off(lines_len + HEAD_END.len());
        answers.extend_from_slice(accept(str::from_utf8(request).ok()?)?.as_bytes());
        let mut partial = None;
        let stays = talk(&mut partial, &mut after, answers, hear);
        self.state = State::Talking(partial);
        stays
    }
}

/// Reads frames. `None` when no more are to come.
fn talk(
    partial: &mut Option<Box<Partial>>,
    bytes: &mut [u8],
    answers: &mut Vec<u8>,
    hear: &mut impl FnMut(&[u8], &mut Vec<u8>),
) -> Option<()> {
    let mut decoder = Decoder::new(partial, bytes, &BOUNDS);
    while let Some(event) = decoder.next_event().ok()? {
        match event {
            Event::Message { payload, .. } => hear(payload, answers),
            Event::Ping(payload) => put_frame(answers, OpCode::Pong, false, payload),
            Event::Pong(_) => {}
            // The client ends the connection when it has this.
            Event::Close { code, .. } => put_close(answers, code, ""),
        }
    }
    Some(())
}

/// The answer to a handshake's request, if it is one (RFC 6455 section 4.2.2).
fn accept(head: &str) -> Option<String> {
    let key = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("Sec-WebSocket-Key").then_some(value.trim())
    })?;
    let request = Request::builder()
        .header("Sec-WebSocket-Key", key)
        .header("Sec-WebSocket-Version", "13")
        .body(())
        .ok()?;
    let (response, _) = upgrade(request).ok()?;
    let accept = response.headers().get("Sec-WebSocket-Accept")?.to_str().ok()?;
    Some(format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {accept}\r\n\r\n"
    ))
}
