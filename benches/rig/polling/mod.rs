//! Socket.IO clients that begin by polling, and may take a WebSocket later, as stock clients do.
//!
//! Each has a connection for its polls and one for its posts, both kept. One poll and one post at a
//! time; what is said meanwhile goes in the next post, all of it. On the way to a WebSocket (`2probe`,
//! `3probe`, `5`) it ends both before the switch. All are served by one thread under one epoll, and
//! known by numbers of their own; each has an address of its own. A client that the broker does not
//! treat as it should is told as ended, with what was the matter.

mod http;
mod session;

use std::collections::VecDeque;
use std::mem;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use shardwire::load::stamp::Stamp;

use http::Line;
use session::{Session, Which};

/// Sockets of clients that were given up without being closed.
const KEPT_MAX: usize = 4096;
/// Addresses of a block of them.
const BLOCK: usize = 250;

/// What a client tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Its namespace is connected.
    Ready,
    /// One event was acknowledged.
    Acknowledged,
    /// A message.
    Message(Stamp),
    /// It is on its WebSocket.
    Upgraded,
    /// The WebSocket that it tried is lost, as was meant; it polls on.
    ProbeLost,
    /// It is over, in a few words.
    End(String),
}

/// How far a client goes on its way to a WebSocket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Upgrade {
    /// To its end.
    Whole,
    /// The WebSocket is lost right behind `2probe`.
    ToProbe,
    /// The WebSocket is lost at the answer to that.
    ToAnswer,
}

/// How a client is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// Its poll is aborted.
    AbortedPoll,
    /// All its connections end.
    Dropped,
    /// The same with a reset.
    Reset,
    /// It says `1`.
    Goodbye,
    /// It never polls nor says anything again.
    Silence,
    /// As it is about to switch to its WebSocket.
    InSwitch,
    /// With half a post sent, or half a frame where it has a WebSocket.
    InFrame,
}

/// The clients.
pub struct Pollers {
    epoll: OwnedFd,
    address: SocketAddr,
    path: String,
    sessions: Vec<Option<Session>>,
    /// How many came, for their addresses.
    came: usize,
    told: Vec<(usize, Told)>,
    kept: VecDeque<Line>,
    /// Those that are about to go over to their WebSocket.
    switching: Vec<usize>,
}

impl Pollers {
    /// Nobody yet.
    ///
    /// # Panics
    /// When there is no descriptor left.
    pub fn new(address: SocketAddr, path: &str) -> Self {
        Self {
            epoll: epoll::create(CreateFlags::CLOEXEC).expect("a descriptor is left"),
            address,
            path: path.into(),
            sessions: Vec::new(),
            came: 0,
            told: Vec::new(),
            kept: VecDeque::new(),
            switching: Vec::new(),
        }
    }

    /// Begins a session; it connects to its namespace by itself.
    ///
    /// # Panics
    /// When there is no descriptor or port left.
    pub fn connect(&mut self, number: usize, token: Option<&str>) {
        if number >= self.sessions.len() {
            self.sessions.resize_with(number + 1, || None);
        }
        let (block, host) = (self.came / BLOCK % 100, self.came % BLOCK);
        let from = Ipv4Addr::new(127, 253, block as u8, 1 + host as u8);
        self.came += 1;
        let mut session = Session::begin(from, self.address, &self.path, token);
        self.watch(number, Which::Get, session.get.as_ref());
        let is_sent = session.shake_hands();
        self.sessions[number] = Some(session);
        if !is_sent {
            self.end(number, "the broker hung up before it was asked");
        }
    }

    /// Says a Socket.IO packet, now or as soon as it may.
    pub fn say(&mut self, number: usize, packet: &str) {
        let Some(session) = self.sessions.get_mut(number).and_then(Option::as_mut) else { return };
        session.say(packet);
        self.go_on(number);
    }

    /// Sets out to a WebSocket.
    pub fn upgrade(&mut self, number: usize, how: Upgrade) {
        let Some(session) = self.sessions.get_mut(number).and_then(Option::as_mut) else { return };
        if session.try_websocket(how) {
            let session = self.sessions[number].as_ref();
            self.watch(number, Which::WebSocket, session.and_then(|it| it.socket.as_ref()));
        }
    }

    /// Nobody polls any more, once its poll is answered; who has a WebSocket goes on.
    pub fn rest(&mut self) {
        self.sessions.iter_mut().flatten().for_each(|session| session.rests = true);
    }

    /// Closes the connection that a client posts by, if it does not just now; the next post opens one.
    pub fn close_post(&mut self, number: usize) {
        if let Some(Some(session)) = self.sessions.get_mut(number) {
            session.close_post();
        }
    }

    /// Closes the connection of a client that polls no more.
    pub fn close_get(&mut self, number: usize) {
        if let Some(Some(session)) = self.sessions.get_mut(number) {
            session.close_get();
        }
    }

    /// Whether a client is on its WebSocket.
    pub fn is_upgraded(&self, number: usize) -> bool {
        self.sessions.get(number).and_then(Option::as_ref).is_some_and(Session::is_upgraded)
    }

    /// Gives a client up; `half` is said where it is killed in a frame. Its number may be used again
    /// at once.
    pub fn kill(&mut self, number: usize, way: Way, half: &[u8]) {
        let Some(mut session) = self.sessions.get_mut(number).and_then(Option::take) else {
            return;
        };
        match way {
            Way::Dropped | Way::InSwitch => {}
            Way::InFrame => session.break_off(half),
            Way::Reset => session.lines().for_each(|line| {
                let socket = socket2::SockRef::from(&line.stream);
                socket.set_linger(Some(Duration::ZERO)).expect("a socket");
            }),
            Way::AbortedPoll => {
                session.get = None;
                self.keep(&mut session);
            }
            Way::Goodbye => {
                session.say_goodbye();
                self.keep(&mut session);
            }
            Way::Silence => self.keep(&mut session),
        }
    }

    fn keep(&mut self, session: &mut Session) {
        let lines = [session.get.take(), session.post.take(), session.socket.take()];
        for line in lines.into_iter().flatten() {
            epoll::delete(&self.epoll, &line.stream).expect("it was watched");
            self.kept.push_back(line);
        }
        while self.kept.len() > KEPT_MAX {
            self.kept.pop_front();
        }
    }

    /// Waits until something happens, at most so long; what did.
    ///
    /// # Panics
    /// When the kernel does not let it wait.
    pub fn wait(&mut self, at_most: Duration) -> Vec<(usize, Told)> {
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        let at_most = if self.told.is_empty() { at_most } else { Duration::ZERO };
        let at_most = Timespec {
            tv_sec: at_most.as_secs().cast_signed(),
            tv_nsec: at_most.subsec_nanos().into(),
        };
        let spare = rustix::buffer::spare_capacity(&mut events);
        epoll::wait(&self.epoll, spare, Some(&at_most)).expect("an epoll can be waited for");
        for event in events {
            let data = event.data.u64();
            self.hear((data >> 2) as usize, Which::of(data & 3));
        }
        for number in mem::take(&mut self.switching) {
            self.go_on(number);
        }
        mem::take(&mut self.told)
    }

    fn watch(&self, number: usize, which: Which, line: Option<&Line>) {
        let Some(line) = line else { return };
        let data = EventData::new_u64((number as u64) << 2 | which as u64);
        let flags = EventFlags::IN | EventFlags::RDHUP;
        epoll::add(&self.epoll, &line.stream, data, flags).expect("a socket can be watched");
    }

    /// Something came on a socket of a client's.
    fn hear(&mut self, number: usize, which: Which) {
        let Some(session) = self.sessions.get_mut(number).and_then(Option::as_mut) else { return };
        let told = &mut self.told;
        let heard = session.hear(which, &mut |it| told.push((number, it)));
        match heard {
            Ok(()) => self.go_on(number),
            Err(why) => self.end(number, &why),
        }
    }

    /// Polls and posts, where it is time to.
    fn go_on(&mut self, number: usize) {
        let Some(session) = self.sessions.get_mut(number).and_then(Option::as_mut) else { return };
        let told = &mut self.told;
        let had_post = session.post.is_some();
        let went = session.go_on(&mut |it| told.push((number, it)));
        if let Err(why) = went {
            return self.end(number, &why);
        }
        if session.is_switching() && !self.switching.contains(&number) {
            self.switching.push(number);
        }
        let session = self.sessions[number].as_ref();
        let post = session.and_then(|it| it.post.as_ref()).filter(|_| !had_post);
        self.watch(number, Which::Post, post);
    }

    fn end(&mut self, number: usize, why: &str) {
        self.sessions[number] = None;
        self.told.push((number, Told::End(why.into())));
    }
}
