//! What a delivery costs in one way, beside another way: two servers in turns, one load for both.
//!
//! - `shards`: two shards beside one; the subscribers of one topic are spread over both. Once with
//!   all threads on processor 0, so that nothing but the work differs, and once with a processor for
//!   each shard, where caches are shared and sleepers woken across. Whatever the threads, what is
//!   told is processor time of the whole process.
//! - `deflate`: messages of 2 KiB, a quarter when compressed, to subscribers that negotiated
//!   compression, beside as many that did not.
//! - `rooms`: a hundred topics, each subscriber in ten of them, eight publishers, 64 messages in
//!   flight, beside a bare loop that makes a `send` for each delivery.
//!
//! As in `fanout_floor`, the next messages go out when everybody has the last ones, the load sleeps
//! until those to whom it waits have theirs, and ratios are taken of neighbouring rounds.
//!
//! `cargo bench --bench fanout_pairs -- [--only shards|deflate|rooms] [--connections N] [--runs N]
//! [--pairs N] [--messages N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::child::{self, Child};
use rig::report::{self, median, quartile};
use rig::swarm::{self, Heard, Swarm};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::net::{RecvFlags, SendFlags, recv, send};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVER_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;
/// Rounds that warm both servers up and count for nothing.
const WARM_UP_PAIRS: usize = 2;
/// Less than the broker's ping interval.
const ALIVE_FOR: Duration = Duration::from_secs(10);
const ROOMS: usize = 100;
const ROOMS_EACH: usize = 10;
const PUBLISHERS_OF_ROOMS: usize = 8;
/// Bytes of a publish to the bare loop: the room's number in two digits, then stuffing.
const RECORD_BYTES: usize = 192;

fn main() {
    let arguments = Arguments::read();
    match arguments.text("role") {
        Some(broker::ROLE) => return broker::run(&arguments),
        Some("bare") => return bare(&arguments),
        _ => {}
    }
    report::head("CPU of a delivery, two ways side by side");
    let plan = Plan::read(&arguments);
    let wanted = |name| arguments.text("only").is_none_or(|only| only == name);
    let one_topic =
        |batch, data_bytes| Load { rooms: 1, each: 1, publishers: 1, batch, data_bytes };
    if wanted("shards") {
        for (apart, where_) in [(false, "on one processor"), (true, "a processor each")] {
            for batch in [1, 16] {
                let name = format!("2 shards {where_} / 1 shard, {batch} in flight");
                let one = Way::Broker { shards: 1, apart: false, deflate: false };
                let two = Way::Broker { shards: 2, apart, deflate: false };
                plan.compare(&name, one, two, one_topic(batch, 128));
            }
        }
    }
    if wanted("deflate") {
        for batch in [1, 16] {
            let name = format!("2 KiB compressed / uncompressed, {batch} in flight");
            let way = |deflate| Way::Broker { shards: 1, apart: false, deflate };
            plan.compare(&name, way(false), way(true), one_topic(batch, 2048));
        }
    }
    if wanted("rooms") {
        let load = Load {
            rooms: ROOMS,
            each: ROOMS_EACH,
            publishers: PUBLISHERS_OF_ROOMS,
            batch: 64,
            data_bytes: 128,
        };
        let broker = Way::Broker { shards: 1, apart: false, deflate: false };
        plan.compare("100 rooms, 64 in flight: broker / a send each", Way::Bare, broker, load);
    }
}

/// How much is measured.
struct Plan {
    connections: usize,
    runs: usize,
    pairs: usize,
    deliveries: usize,
    pinned: bool,
}

/// What is published to whom.
#[derive(Clone, Copy)]
struct Load {
    rooms: usize,
    /// Rooms of a subscriber.
    each: usize,
    publishers: usize,
    /// Messages in flight.
    batch: usize,
    data_bytes: usize,
}

/// A server.
#[derive(Clone, Copy)]
enum Way {
    Broker { shards: usize, apart: bool, deflate: bool },
    Bare,
}

impl Plan {
    fn read(arguments: &Arguments) -> Self {
        let pinned = std::thread::available_parallelism().map_or(1, usize::from) > 1;
        if pinned {
            child::pin(LOAD_PROCESSOR);
        }
        let connections = arguments.size("connections", 1000, 20);
        let messages = arguments.size("messages", 320, 16);
        Self {
            connections,
            runs: arguments.size("runs", 3, 1),
            pairs: arguments.size("pairs", 12, 1),
            deliveries: messages * connections,
            pinned,
        }
    }

    /// Measures the second way beside the first.
    fn compare(&self, name: &str, first: Way, second: Way, load: Load) {
        let (mut firsts, mut seconds, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        let (mut first_took, mut second_took) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            let mut sides = [first, second].map(|way| Side::start(way, load, self));
            let each = load.batch * self.connections * load.each / load.rooms;
            // A single message is the dear case: fewer of them make a round of the same length.
            let batches =
                if load.batch == 1 { self.deliveries / 16 } else { self.deliveries } / each;
            for pair in 0..WARM_UP_PAIRS + self.pairs {
                let [one, other] = &mut sides;
                let (one, other) = (one.round(batches.max(1)), other.round(batches.max(1)));
                if pair >= WARM_UP_PAIRS {
                    firsts.push(one.cpu_us);
                    seconds.push(other.cpu_us);
                    ratios.push(other.cpu_us / one.cpu_us);
                    first_took.push(one.took_us);
                    second_took.push(other.took_us);
                }
            }
        }
        println!("{name}: median {:.3}", median(&ratios));
        println!(
            "  quartiles {:.3} and {:.3}, {} pairs; {:.3} and {:.3} µs of CPU a delivery",
            quartile(&ratios, 1),
            quartile(&ratios, 3),
            ratios.len(),
            median(&seconds),
            median(&firsts),
        );
        println!(
            "  until all have it: {:.0} and {:.0} µs",
            median(&second_took),
            median(&first_took)
        );
    }
}

/// One round: processor time of a delivery, and how long a batch took to reach everybody.
struct Round {
    cpu_us: f64,
    took_us: f64,
}

enum Server {
    Broker(Broker),
    Bare(Child),
}

/// A server with its publishers and subscribers.
struct Side {
    server: Server,
    load: Load,
    swarm: Swarm,
    publishers: Vec<usize>,
    subscribers: Vec<usize>,
    /// When each subscriber last said something.
    alive: Instant,
    /// Messages published so far.
    published: usize,
}

/// The rooms of the n-th subscriber.
fn rooms_of(n: usize, load: Load) -> impl Iterator<Item = usize> {
    (0..load.each).map(move |k| (n + k * 7) % load.rooms)
}

impl Side {
    fn start(way: Way, load: Load, plan: &Plan) -> Self {
        let pinned = plan.pinned.then_some(SERVER_PROCESSOR);
        let (server, address, request) = match way {
            Way::Broker { shards, apart, deflate } => {
                let broker = Broker::start(shards, false, pinned.filter(|_| !apart));
                let address = broker.address;
                (Server::Broker(broker), address, handshake(deflate))
            }
            Way::Bare => {
                let count = plan.connections.to_string();
                let pinned = if plan.pinned { "--pinned" } else { "--free" };
                let mut bare = Child::start("bare", &["--connections", &count, pinned]);
                let address = bare.hear().parse().expect("an address");
                (Server::Bare(bare), address, Vec::new())
            }
        };
        let mut side = Self {
            server,
            load,
            swarm: Swarm::new(),
            publishers: Vec::new(),
            subscribers: Vec::new(),
            alive: Instant::now(),
            published: 0,
        };
        side.enter(address, plan.connections, &request);
        side
    }

    fn enter(&mut self, address: SocketAddr, connections: usize, request: &[u8]) {
        let Self { swarm, load, .. } = self;
        let publisher = |_| swarm.connect(Ipv4Addr::LOCALHOST, address, request);
        self.publishers = (0..load.publishers).map(publisher).collect();
        let subscriber = |n| swarm.connect(swarm::address(n), address, request);
        self.subscribers = (0..connections).map(subscriber).collect();
        let all = connections + load.publishers;
        self.hear(all, |heard| matches!(heard, Heard::Open));
        if matches!(self.server, Server::Broker(_)) {
            for (n, &subscriber) in self.subscribers.iter().enumerate() {
                let topics: Vec<String> =
                    rooms_of(n, self.load).map(|room| format!("\"room.{room:02}\"")).collect();
                let topics = topics.join(",");
                let request = format!(r#"{{"type":"subscribe","topics":[{topics}]}}"#);
                self.swarm.send(subscriber, &swarm::text(&request));
            }
            self.hear(connections * self.load.each, |heard| matches!(heard, Heard::Text(_)));
        }
    }

    /// Reads until so many have been heard that are wanted.
    fn hear(&mut self, count: usize, wanted: impl Fn(&Heard<'_>) -> bool) {
        let mut heard = 0;
        while heard < count {
            for number in self.swarm.wait(Duration::from_secs(5)) {
                self.swarm.read(number, |what| heard += usize::from(wanted(&what)));
            }
        }
    }

    fn cpu_ns(&mut self) -> u64 {
        match &mut self.server {
            Server::Broker(broker) => broker.cpu_ns(),
            Server::Bare(bare) => bare.ask_number("cpu"),
        }
    }

    /// Gives a sign of life for everybody, so that no ping mixes with the messages.
    fn keep_alive(&mut self) {
        if matches!(self.server, Server::Bare(_)) || self.alive.elapsed() < ALIVE_FOR {
            return;
        }
        for &number in self.subscribers.iter().chain(&self.publishers) {
            self.swarm.send(number, &swarm::masked(0x8A, &[]));
        }
        // The broker answers a pong with nothing; it must have read them before a round begins.
        std::thread::sleep(Duration::from_millis(50));
        self.alive = Instant::now();
    }

    fn round(&mut self, batches: usize) -> Round {
        self.keep_alive();
        let before = self.cpu_ns();
        let (mut took, mut deliveries) = (Duration::ZERO, 0);
        for _ in 0..batches {
            let begin = Instant::now();
            let to_rooms = self.publish();
            for at in (0..self.subscribers.len()).rev() {
                let expected: usize = rooms_of(at, self.load).map(|room| to_rooms[room]).sum();
                self.await_messages(self.subscribers[at], expected);
                deliveries += expected;
            }
            took += begin.elapsed();
        }
        let cpu_us = (self.cpu_ns() - before) as f64 / 1000.0;
        Round {
            cpu_us: cpu_us / deliveries as f64,
            took_us: took.as_secs_f64() * 1e6 / batches as f64,
        }
    }

    /// Publishes a batch, each publisher its share in one send; says how many to each room.
    fn publish(&mut self) -> Vec<usize> {
        let mut to_rooms = vec![0; self.load.rooms];
        for &publisher in &self.publishers {
            let mut bytes = Vec::new();
            for _ in 0..self.load.batch / self.load.publishers {
                let room = self.published * 37 % self.load.rooms;
                self.published += 1;
                to_rooms[room] += 1;
                match self.server {
                    Server::Broker(_) => bytes.extend(publish(room, self.load.data_bytes)),
                    Server::Bare(_) => bytes
                        .extend(format!("{room:02}{:RECORD_BYTES$}", "")[..RECORD_BYTES].bytes()),
                }
            }
            self.swarm.send(publisher, &bytes);
        }
        to_rooms
    }

    fn await_messages(&mut self, number: usize, expected: usize) {
        let mut got = 0;
        loop {
            if got < expected {
                self.swarm.read(number, |heard| match heard {
                    Heard::Text(_) | Heard::Compressed(_) => got += 1,
                    other => panic!("a message comes, not {other:?}"),
                });
            }
            assert!(got <= expected, "a subscriber got more than was sent");
            if got == expected {
                return;
            }
            self.swarm.wait_for(number, Duration::from_secs(5));
        }
    }
}

fn handshake(deflate: bool) -> Vec<u8> {
    let request = String::from_utf8(swarm::handshake(broker::PATH)).expect("it is text");
    let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
    if deflate { request.replace("\r\n\r\n", offer) } else { request }.into_bytes()
}

/// A client's publish of JSON text of so many bytes that compresses as such texts do.
fn publish(room: usize, bytes: usize) -> Vec<u8> {
    let mut data = String::from("[");
    for n in room.. {
        let hash = n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff;
        let item = format!(r#"{{"id":{hash},"state":"open","price":{}.25}}"#, hash % 977);
        if data.len() + item.len() + 2 > bytes {
            break;
        }
        data.extend([&*item, ","]);
    }
    let stuffing = "x".repeat(bytes - data.len() - 3);
    let text =
        format!(r#"{{"type":"message","topic":"room.{room:02}","data":{data}"{stuffing}"]}}"#);
    swarm::text(&text)
}

/// The bare loop: for each record read, one ready frame to each socket of its room.
fn bare(arguments: &Arguments) {
    if arguments.has("pinned") {
        child::pin(SERVER_PROCESSOR);
    }
    let connections = arguments.number("connections").expect("how many will come");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    child::say(&listener.local_addr().expect("it is bound").to_string());
    std::thread::spawn(move || serve_rooms(&listener, connections));
    child::answer(|_| child::cpu_ns().to_string());
}

fn serve_rooms(listener: &TcpListener, connections: usize) {
    let accept = |_| {
        let (mut stream, _): (TcpStream, _) = listener.accept().expect("the load connects");
        stream.set_nodelay(true).expect("a TCP socket");
        stream.write_all(b"HTTP/1.1 101\r\n\r\n").expect("the load reads");
        OwnedFd::from(stream)
    };
    let publishers: Vec<OwnedFd> = (0..PUBLISHERS_OF_ROOMS).map(accept).collect();
    let subscribers: Vec<OwnedFd> = (0..connections).map(accept).collect();
    let load = Load { rooms: ROOMS, each: ROOMS_EACH, publishers: 0, batch: 0, data_bytes: 0 };
    let mut rooms = vec![Vec::new(); ROOMS];
    for n in 0..connections {
        for room in rooms_of(n, load) {
            rooms[room].push(n);
        }
    }
    // As many bytes as the broker's frame of such a message.
    let payload = vec![b'x'; 247];
    let frame = [&[0x81, 126, 0, 247][..], &payload].concat();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let mut ready: Vec<PollFd<'_>> =
            publishers.iter().map(|it| PollFd::new(it, PollFlags::IN)).collect();
        poll(&mut ready, None).expect("a wait can be waited");
        let told: Vec<bool> = ready.iter().map(|it| !it.revents().is_empty()).collect();
        for publisher in publishers.iter().zip(told).filter(|(_, told)| *told).map(|(it, _)| it) {
            let Ok((bytes @ 1.., _)) = recv(publisher, &mut *buffer, RecvFlags::empty()) else {
                return;
            };
            assert_eq!(bytes % RECORD_BYTES, 0, "a publisher's share is one send");
            for record in buffer[..bytes].chunks(RECORD_BYTES) {
                let room = usize::from(record[0] - b'0') * 10 + usize::from(record[1] - b'0');
                for &n in &rooms[room] {
                    let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
                    assert_eq!(send(&subscribers[n], &frame, flags), Ok(frame.len()));
                }
            }
        }
    }
}
