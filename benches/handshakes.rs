//! What it costs the broker to let a client in: without TLS, over TLS by a whole handshake, and by
//! one that a ticket shortens; with a P-256 key and with an RSA key of 2,048 bits.
//!
//! The broker runs in a process of its own; what is told is its processor time, from the accept to
//! the end of the socket, a WebSocket handshake between. A few clients come at a time, each step of
//! all before the next step of any, so that the broker is not woken for each alone. The ways take
//! turns, and each is told beside the one without TLS of the same round. Clients of rustls, with
//! the ciphers and the key exchange that they and the broker like best.
//!
//! `shardwire bench storm` tells how fast any server lets clients in.
//!
//! `cargo bench --bench handshakes -- [--rounds N] [--clients N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::cell::RefCell;
use std::io::{Read, Write};
use std::rc::Rc;
use std::sync::Arc;

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::certificate::Certificate;
use rig::report::{self, median, quartile};
use rig::{child, mute};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, SupportedProtocolVersion};
use socket2::Socket;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVER_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;
/// Rounds that count for nothing; in the first, tickets are got.
const WARM_UP_ROUNDS: usize = 2;
/// Clients that come at a time: as many as rustls keeps tickets for.
const AT_A_TIME: usize = 8;

fn main() {
    let arguments = Arguments::read();
    if arguments.text("role") == Some(broker::ROLE) {
        return broker::run(&arguments);
    }
    report::head("CPU of letting a client in");
    let pinned = std::thread::available_parallelism().map_or(1, usize::from) > 1;
    if pinned {
        child::pin(LOAD_PROCESSOR);
    }
    let processor = pinned.then_some(SERVER_PROCESSOR);
    let rounds = arguments.size("rounds", 40, 1);
    let clients = arguments.size("clients", 400, 16);
    let mut ways = vec![Way::plain(processor)];
    for (name, certificate) in
        [("P-256", Certificate::new("p256")), ("RSA-2048", Certificate::rsa("rsa"))]
    {
        ways.extend(Way::secured(name, certificate, processor));
    }
    let mut cpu_us = vec![Vec::new(); ways.len()];
    for round in 0..WARM_UP_ROUNDS + rounds {
        for (way, cpu_us) in ways.iter_mut().zip(&mut cpu_us) {
            let each = way.round(clients);
            if round >= WARM_UP_ROUNDS {
                cpu_us.push(each);
            }
        }
    }
    for (way, each) in ways.iter().zip(&cpu_us) {
        let more: Vec<_> = each.iter().zip(&cpu_us[0]).map(|(way, plain)| way - plain).collect();
        println!(
            "{:28} {:6.1} µs, {:6.1} more than without (quartiles {:.1} and {:.1}), {} rounds",
            way.name,
            median(each),
            median(&more),
            quartile(&more, 1),
            quartile(&more, 3),
            each.len()
        );
    }
}

/// A way to come in.
struct Way {
    name: String,
    broker: Rc<RefCell<Broker>>,
    tls: Option<Arc<ClientConfig>>,
    resumes: bool,
    /// Clients so far.
    come: usize,
}

impl Way {
    fn plain(processor: Option<usize>) -> Self {
        let broker = Rc::new(Broker::start(1, false, processor).into());
        Self { name: "without TLS".into(), broker, tls: None, resumes: false, come: 0 }
    }

    /// All ways over TLS to one broker.
    fn secured(key: &str, certificate: Certificate, processor: Option<usize>) -> Vec<Self> {
        let broker = Broker::secured(1, processor, certificate);
        let broker = Rc::new(RefCell::new(broker));
        let version = |version: &'static SupportedProtocolVersion, name: &str| {
            [false, true].map(|resumes| {
                let shown = broker.borrow();
                let certificate = shown.certificate.as_ref().expect("it speaks TLS");
                let mut config = ClientConfig::clone(&certificate.client(&[version]));
                if !resumes {
                    config.resumption = Resumption::disabled();
                }
                let kind = if resumes { "resumed" } else { "whole" };
                Self {
                    name: format!("{key}, TLS {name}, {kind}"),
                    broker: Rc::clone(&broker),
                    tls: Some(config.into()),
                    resumes,
                    come: 0,
                }
            })
        };
        [version(&TLS13, "1.3"), version(&TLS12, "1.2")].into_iter().flatten().collect()
    }

    /// Lets so many clients come and go; microseconds of processor time for each.
    fn round(&mut self, clients: usize) -> f64 {
        let before = self.broker.borrow_mut().cpu_ns();
        for _ in 0..clients / AT_A_TIME {
            self.some();
        }
        self.broker.borrow_mut().wait_for_connections(0);
        let cpu_ns = self.broker.borrow_mut().cpu_ns() - before;
        cpu_ns as f64 / 1000.0 / (clients / AT_A_TIME * AT_A_TIME) as f64
    }

    fn some(&mut self) {
        let begun = self.come > 0;
        let mut clients: Vec<_> = (0..AT_A_TIME).map(|_| self.client()).collect();
        for client in &mut clients {
            client.greet();
        }
        for client in &mut clients {
            client.enter();
        }
        for client in clients {
            let Some(session) = client.session else { continue };
            let resumed = session.handshake_kind() == Some(HandshakeKind::Resumed);
            assert!(resumed == self.resumes || !begun, "{}: {resumed}", self.name);
        }
    }

    /// One that has said the first word.
    fn client(&mut self) -> Client {
        self.come += 1;
        let mut session = self.tls.as_ref().map(|config| {
            let name = ServerName::try_from("localhost").expect("a name");
            ClientConnection::new(Arc::clone(config), name).expect("a session")
        });
        let mut first = Vec::new();
        match &mut session {
            Some(session) => drop(session.write_tls(&mut first).expect("it fits")),
            None => first.extend_from_slice(mute::REQUEST),
        }
        let address = self.broker.borrow().address;
        Client { socket: mute::connect(self.come % mute::ADDRESSES, address, &first), session }
    }
}

struct Client {
    socket: Socket,
    session: Option<ClientConnection>,
}

impl Client {
    /// Ends the handshake of TLS, and asks.
    fn greet(&mut self) {
        let Some(session) = &mut self.session else { return };
        while session.is_handshaking() {
            session.complete_io(&mut self.socket).expect("a handshake");
        }
        session.writer().write_all(mute::REQUEST).expect("it fits");
        session.complete_io(&mut self.socket).expect("it is sent");
    }

    /// Waits until it is in.
    fn enter(&mut self) {
        let Self { socket, session } = self;
        let mut heard = Vec::new();
        while !heard.ends_with(b"\r\n\r\n") {
            let mut bytes = [0; 1024];
            let read = match session {
                Some(session) => rustls::Stream::new(session, socket).read(&mut bytes),
                None => socket.read(&mut bytes),
            };
            let read = read.expect("an answer");
            assert!(read > 0, "an answer");
            heard.extend_from_slice(&bytes[..read]);
        }
        assert!(heard.starts_with(b"HTTP/1.1 101 "));
    }
}
