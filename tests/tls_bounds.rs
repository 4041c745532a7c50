//! What TLS holds of those who strain it: handshakes that never end, hellos in crumbs, readers that
//! do not read; and what a new certificate changes for who is connected. Heap is counted over the
//! whole process, so that one test runs at a time.

#[path = "../benches/rig/memory.rs"]
#[allow(dead_code, reason = "what measuring programs use of it")]
mod memory;
#[path = "secured/mod.rs"]
#[allow(dead_code, reason = "what other tests use of it")]
mod secured;

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use memory::{Counting, Memory};
use rustls::pki_types::ServerName;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConnection, HandshakeKind};
use secured::certificate::Certificate;
use secured::{PATIENCE, frame, node, raw};
use shardwire::auth::Rules;
use shardwire::config::{Dialect, SlowConsumerPolicy};
use shardwire::node::{Node, Setup, tls};
use shardwire::shard::outbox::OutboxBound;
use shardwire::shard::{Endpoint, Policy};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

static ALONE: Mutex<()> = Mutex::new(());

/// Heap of one that is in its handshake: its session, what it said of a record, its task.
const WAITING_BYTES_MAX: u64 = 8 << 10;
/// Heap that comes and goes besides: a shard's buffers, those of one poll, one record.
const SLACK_BYTES: u64 = 1 << 20;

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        std::thread::yield_now();
    }
}

/// What a client says first.
fn hello(certificate: &Certificate) -> (ClientConnection, Vec<u8>) {
    let name = ServerName::try_from("localhost").unwrap();
    let mut session = ClientConnection::new(certificate.client(&[&TLS13]), name).unwrap();
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    (session, hello)
}

#[test]
fn a_thousand_handshakes_are_small_and_end_in_time() {
    let _alone = alone();
    let certificate = Certificate::new("thousand");
    let node = node(1, &certificate, |setup| setup.request_timeout = Duration::from_secs(4));
    let failed = || node.metrics()[0].tls_failed_total.get();
    // One to whom the shard shows what it keeps for all that come.
    drop(raw(&node, &certificate, &TLS13));
    let hello = hello(&certificate).1;
    let (before, begun) = (Memory::read().heap, Instant::now());
    let mut clients = Vec::new();
    for number in 0..1000 {
        let mut socket = TcpStream::connect(node.address()).unwrap();
        // Half without the last byte, half with: those have been answered and say no more.
        let said = hello.len() - number % 2;
        socket.write_all(&hello[..said]).unwrap();
        clients.push(socket);
    }
    // All have been heard, and half of them answered.
    for socket in clients.iter_mut().step_by(2) {
        socket.read_exact(&mut [0; 6]).unwrap();
    }
    let heap = Memory::read().heap - before;
    assert!(begun.elapsed() < Duration::from_secs(3) && failed() == 0, "they were too slow");
    println!("{} bytes each", heap / 1000);
    assert!(heap < 1000 * WAITING_BYTES_MAX, "{} bytes each", heap / 1000);
    until("all are cut", || failed() == 1000);
    for mut socket in clients {
        let mut rest = Vec::new();
        let end = socket.read_to_end(&mut rest);
        assert!(end.is_ok() || !rest.is_empty());
    }
    until("the heap is back", || Memory::read().heap < before + SLACK_BYTES);
    node.drain(Duration::from_millis(100));
}

#[test]
fn a_hello_may_come_in_crumbs() {
    let _alone = alone();
    let certificate = Certificate::new("crumbs");
    let node = node(1, &certificate, |_| {});
    for (of_record, of_write) in [(1, 1000), (7, 5), (100, 1), (4096, 3)] {
        let (mut session, hello) = hello(&certificate);
        let mut records = Vec::new();
        for crumb in hello[5..].chunks(of_record) {
            records.extend_from_slice(&[22, 3, 1]);
            records.extend_from_slice(&(crumb.len() as u16).to_be_bytes());
            records.extend_from_slice(crumb);
        }
        let mut socket = TcpStream::connect(node.address()).unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        for part in records.chunks(of_write) {
            socket.write_all(part).unwrap();
        }
        while session.is_handshaking() {
            session.complete_io(&mut socket).unwrap();
        }
        assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn large_messages_in_pieces_both_ways() {
    let _alone = alone();
    let certificate = Certificate::new("pieces");
    let node = node(1, &certificate, |_| {});
    for version in [&TLS12, &TLS13] {
        let (mut session, mut socket) = raw(&node, &certificate, version);
        let mut data = String::new();
        (0..100_000).for_each(|n| write!(data, "{n:08}").unwrap());
        let subscribe = frame(br#"{"type":"subscribe","topic":"t"}"#);
        let publish =
            frame(format!(r#"{{"type":"message","topic":"t","data":"{data}"}}"#).as_bytes());
        let (mut said, mut heard) = ([subscribe, publish].concat(), Vec::new());
        // Now a byte, now many: where a record begins has nothing to do with where a write does.
        let (mut records, mut step) = (Vec::new(), 1);
        while !said.is_empty() || session.wants_write() {
            let taken = session.writer().write(&said[..said.len().min(20_000)]).unwrap();
            said.drain(..taken);
            while session.wants_write() {
                session.write_tls(&mut records).unwrap();
            }
            while !records.is_empty() {
                let bytes = records.len().min(step);
                socket.write_all(&records[..bytes]).unwrap();
                records.drain(..bytes);
                step = step * 31 % 30_011 + 1;
            }
        }
        let mut stream = rustls::Stream::new(&mut session, &mut socket);
        while heard.len() < data.len() || !heard.ends_with(b"}") {
            let mut bytes = [0; 777];
            let read = stream.read(&mut bytes).unwrap();
            assert!(read > 0);
            heard.extend_from_slice(&bytes[..read]);
        }
        assert!(heard.windows(data.len()).any(|part| part == data.as_bytes()));
    }
    node.drain(Duration::from_millis(100));
}

#[test]
fn who_does_not_read_is_ended_within_bounds() {
    const OUTBOX_BYTES: usize = 1 << 20;
    let _alone = alone();
    let certificate = Certificate::new("bounds");
    let node = node(1, &certificate, |setup| {
        let policy = SlowConsumerPolicy::Disconnect;
        setup.policy.outbox = OutboxBound { bytes_max: OUTBOX_BYTES, policy };
    });
    for version in [&TLS12, &TLS13] {
        let (mut slow, mut slow_socket) = raw(&node, &certificate, version);
        let mut stream = rustls::Stream::new(&mut slow, &mut slow_socket);
        stream.write_all(&frame(br#"{"type":"subscribe","topic":"t"}"#)).unwrap();
        let mut publisher = raw(&node, &certificate, version);
        let mut stream = rustls::Stream::new(&mut publisher.0, &mut publisher.1);
        let before = node.metrics()[0].dropped_disconnect_total.get();
        let heap = Memory::read().heap;
        let data = "x".repeat(20_000);
        let message = format!(r#"{{"type":"message","topic":"t","data":"{data}","id":0}}"#);
        let mut said = 0;
        while node.metrics()[0].dropped_disconnect_total.get() == before {
            stream.write_all(&frame(message.as_bytes())).unwrap();
            let mut answer = [0; 1000];
            assert!(stream.read(&mut answer).unwrap() > 0);
            said += 1;
            assert!(said < 5000, "the outbox does not fill");
        }
        let peak = Memory::read().heap_peak - heap;
        println!("{said} messages of {} bytes, heap {peak}", data.len());
        assert!(peak < OUTBOX_BYTES as u64 + SLACK_BYTES, "{peak}");
        // What was sent before is whole; then it is told why.
        let mut stream = rustls::Stream::new(&mut slow, &mut slow_socket);
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).expect("the end of the session is told");
        let close = heard.windows(4).rposition(|part| part[0] == 0x88 && part[2..] == [0x03, 0xf5]);
        assert!(close.is_some_and(|at| at + 40 > heard.len()), "{} bytes", heard.len());
    }
    node.drain(Duration::from_millis(100));
}

fn setup(certificate: &Certificate, address: SocketAddr) -> Setup {
    let policy = Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, Rules::open())]);
    let tls = Some(tls::load(&certificate.files()).unwrap());
    Setup { tls, ..Setup::bare(address, 1, policy) }
}

/// Says ping, hears pong.
fn is_served(client: &mut (ClientConnection, TcpStream)) {
    let mut stream = rustls::Stream::new(&mut client.0, &mut client.1);
    stream.write_all(&frame(br#"{"type":"ping"}"#)).unwrap();
    let mut heard = Vec::new();
    while !heard.windows(6).any(|part| part == b"\"pong\"") {
        let mut bytes = [0; 100];
        let read = stream.read(&mut bytes).unwrap();
        assert!(read > 0);
        heard.extend_from_slice(&bytes[..read]);
    }
}

#[test]
fn a_new_certificate_is_for_those_who_come() {
    let _alone = alone();
    let [old, new] = ["live-old", "live-new"].map(Certificate::new);
    let node = Node::start(setup(&old, SocketAddr::from(([127, 0, 0, 1], 0)))).unwrap();
    let mut clients: Vec<_> =
        [&TLS12, &TLS13].into_iter().map(|version| raw(&node, &old, version)).collect();
    // One in the midst of its handshake, and one with a ticket.
    let (mut between, hello) = hello(&old);
    let mut between_socket = TcpStream::connect(node.address()).unwrap();
    between_socket.write_all(&hello).unwrap();
    let config = old.client(&[&TLS13]);
    for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
        let mut met = secured::greet_with(&node, &config);
        assert_eq!(met.0.handshake_kind(), Some(kind));
        let mut stream = rustls::Stream::new(&mut met.0, &mut met.1);
        stream.write_all(b"GET /health HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
        stream.read_to_end(&mut Vec::new()).unwrap();
    }
    for client in &mut clients {
        is_served(client);
    }
    until("the hello was answered", || between_socket.peek(&mut [0]).unwrap() == 1);

    node.reloader().reload(setup(&new, node.address())).unwrap();
    clients.iter_mut().for_each(is_served);
    while between.is_handshaking() {
        between.complete_io(&mut between_socket).unwrap();
    }
    // A ticket of the old one opens nothing: there is a whole handshake, with the new one.
    let (mut session, mut socket) = secured::meet(&node, &config);
    assert!(session.complete_io(&mut socket).is_err());
    let mut client = raw(&node, &new, &TLS13);
    is_served(&mut client);
    clients.iter_mut().for_each(is_served);
    node.drain(Duration::from_millis(100));
}
