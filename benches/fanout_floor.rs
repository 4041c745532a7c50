//! What a delivery costs the broker, beside the least that it could cost: one bare `send` each.
//!
//! Two servers on processor 0, in turns: the broker with one shard, and a loop that sends ready
//! frames of the same bytes to as many sockets (the *floor*). One load process on processor 1
//! publishes and reads for both. The next messages go out when every subscriber has the last ones,
//! so no queue hides anything.
//!
//! The load sleeps until the last subscriber of a turn has its bytes: to wake a sleeping reader
//! costs the server more than all else, how often it sleeps is luck, and clients elsewhere are
//! never woken by the server. `--readers-at-once` reads as bytes come. Ratios are taken of
//! neighbouring rounds: what disturbs the machine disturbs both. Where the kernel lays a thousand
//! sockets in memory weighs as much as the broker's own work, so the processes are started anew
//! several times.
//!
//! `cargo bench --bench fanout_floor -- [--connections N] [--runs N] [--pairs N] [--messages N]
//! [--readers-at-once]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::child::{self, Child};
use rig::report::{self, median, quartile};
use rig::swarm::{self, Heard, Swarm};
use rustix::net::{RecvFlags, SendFlags, recv, send};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TOPIC: &str = "all";
/// Bytes of a message's `data`, its quotes included.
const DATA_BYTES: usize = 128;
const SERVER_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;
/// Less than the broker's ping interval.
const ALIVE_FOR: Duration = Duration::from_secs(10);
/// Messages in flight at a time.
const BATCHES: [usize; 2] = [1, 16];
/// Rounds that warm both servers up and count for nothing.
const WARM_UP_PAIRS: usize = 2;

fn main() {
    let arguments = Arguments::read();
    match arguments.text("role") {
        Some(broker::ROLE) => broker::run(&arguments),
        Some("floor") => floor(&arguments),
        _ => compare(&arguments),
    }
}

fn compare(arguments: &Arguments) {
    let connections = arguments.size("connections", 1000, 20);
    let runs = arguments.size("runs", 5, 1);
    let pairs = arguments.size("pairs", 15, 1);
    let messages = arguments.size("messages", 800, 32);
    report::head("CPU of a delivery: broker beside a bare send loop");
    let pinned = std::thread::available_parallelism().map_or(1, usize::from) > 1;
    if pinned {
        child::pin(LOAD_PROCESSOR);
    }
    println!("{connections} connections, data of {DATA_BYTES} bytes");
    let mut ways = BATCHES.map(|_| Rounds::default());
    for run in 1..=runs {
        let mut broker = Side::broker(connections, pinned);
        let frame = broker.first_frame();
        let mut floor = Side::floor(connections, &frame, pinned);
        if run == 1 {
            println!("{} bytes in a frame", frame.len());
        }
        for (batch, way) in BATCHES.into_iter().zip(&mut ways) {
            // A single message is the dear case: fewer of them make a round of the same length.
            let messages = if batch == 1 { messages.div_ceil(16) } else { messages };
            let mut rounds = Rounds::default();
            for pair in 0..WARM_UP_PAIRS + pairs {
                // Strictly in turns: each round finds the caches as the other server left them.
                let of_floor = floor.round(messages, batch, frame.len());
                let of_broker = broker.round(messages, batch, frame.len());
                if pair >= WARM_UP_PAIRS {
                    rounds.add(&of_floor, &of_broker);
                }
            }
            let ratio = median(&rounds.ratios);
            println!("run {run}, {batch:2} in flight: broker / floor {ratio:.3}");
            way.extend(rounds);
        }
    }
    for (batch, way) in BATCHES.into_iter().zip(ways) {
        way.print(batch);
    }
}

/// Figures of one way to publish.
#[derive(Default)]
struct Rounds {
    floor_us: Vec<f64>,
    broker_us: Vec<f64>,
    ratios: Vec<f64>,
    floor_took_us: Vec<f64>,
    broker_took_us: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, floor: &Round, broker: &Round) {
        self.floor_us.push(floor.cpu_us);
        self.broker_us.push(broker.cpu_us);
        self.ratios.push(broker.cpu_us / floor.cpu_us);
        self.floor_took_us.push(floor.took_us);
        self.broker_took_us.push(broker.took_us);
    }

    fn extend(&mut self, other: Self) {
        self.floor_us.extend(other.floor_us);
        self.broker_us.extend(other.broker_us);
        self.ratios.extend(other.ratios);
        self.floor_took_us.extend(other.floor_took_us);
        self.broker_took_us.extend(other.broker_took_us);
    }

    fn print(&self, batch: usize) {
        let way = if batch == 1 { "one at a time".into() } else { format!("{batch} in flight") };
        println!();
        println!("{way}: {} pairs of rounds", self.ratios.len());
        println!(
            "  server CPU a delivery: floor {:.3} µs, broker {:.3} µs (medians)",
            median(&self.floor_us),
            median(&self.broker_us)
        );
        println!(
            "  broker / floor: median {:.3}, quartiles {:.3} and {:.3}, least {:.3}, most {:.3}",
            median(&self.ratios),
            quartile(&self.ratios, 1),
            quartile(&self.ratios, 3),
            quartile(&self.ratios, 0),
            quartile(&self.ratios, 4)
        );
        println!(
            "  time until all have it: floor {:.0} µs, broker {:.0} µs (medians)",
            median(&self.floor_took_us),
            median(&self.broker_took_us)
        );
    }
}

/// One round: processor time of a delivery, and how long one batch took to reach everybody.
struct Round {
    cpu_us: f64,
    took_us: f64,
}

enum Server {
    Broker(Broker),
    Floor(Child),
}

/// One of the two servers with its publisher and subscribers.
struct Side {
    server: Server,
    swarm: Swarm,
    publisher: usize,
    subscribers: Vec<usize>,
    /// Bytes of this batch that each client got, by its number.
    got: Vec<usize>,
    /// When each subscriber last said something.
    alive: Instant,
    /// Whether subscribers are read while others are still sent to.
    at_once: bool,
}

impl Side {
    fn broker(connections: usize, pinned: bool) -> Self {
        let broker = Broker::start(1, false, pinned.then_some(SERVER_PROCESSOR));
        let address = broker.address;
        let mut side = Self::connect(Server::Broker(broker), address, connections, || {
            swarm::handshake(broker::PATH)
        });
        side.hear(connections + 1, |heard| matches!(heard, Heard::Open));
        let request = swarm::text(&format!(r#"{{"type":"subscribe","topic":"{TOPIC}"}}"#));
        for &subscriber in &side.subscribers {
            side.swarm.send(subscriber, &request);
        }
        side.hear(connections, |heard| matches!(heard, Heard::Text(_)));
        side
    }

    fn floor(connections: usize, frame: &[u8], pinned: bool) -> Self {
        let (processor, count) = (SERVER_PROCESSOR.to_string(), connections.to_string());
        let mut arguments = vec!["--connections", &count];
        if pinned {
            arguments.extend(["--processor", &processor]);
        }
        let mut floor = Child::start("floor", &arguments);
        let address = floor.hear().parse().expect("an address");
        let mut side = Self::connect(Server::Floor(floor), address, connections, Vec::new);
        let hex = frame.iter().fold(String::new(), |mut hex, byte| {
            write!(hex, "{byte:02x}").expect("a string has room");
            hex
        });
        let Server::Floor(floor) = &mut side.server else { unreachable!("made above") };
        let request = publish().len();
        assert_eq!(floor.ask(&format!("{request} {hex}")), "ready");
        side
    }

    fn connect(
        server: Server,
        address: SocketAddr,
        connections: usize,
        first: impl Fn() -> Vec<u8>,
    ) -> Self {
        let mut swarm = Swarm::new();
        let publisher = swarm.connect(Ipv4Addr::LOCALHOST, address, &first());
        let subscribers =
            (0..connections).map(|n| swarm.connect(swarm::address(n), address, &first())).collect();
        let got = vec![0; connections + 1];
        let at_once = Arguments::read().has("readers-at-once");
        Self { server, swarm, publisher, subscribers, got, alive: Instant::now(), at_once }
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

    /// Publishes one message through the broker and gives back the frame that came of it.
    fn first_frame(&mut self) -> Vec<u8> {
        self.swarm.send(self.publisher, &publish());
        let (mut frame, mut heard) = (Vec::new(), 0);
        while heard < self.subscribers.len() {
            for number in self.swarm.wait(Duration::from_secs(5)) {
                self.swarm.read(number, |what| {
                    let Heard::Text(text) = what else { panic!("a message comes, not {what:?}") };
                    heard += 1;
                    frame = vec![0x81, 126];
                    frame.extend((text.len() as u16).to_be_bytes());
                    frame.extend(text.as_bytes());
                });
            }
        }
        frame
    }

    fn cpu_ns(&mut self) -> u64 {
        match &mut self.server {
            Server::Broker(broker) => broker.cpu_ns(),
            Server::Floor(floor) => floor.ask_number("cpu"),
        }
    }

    /// Gives a sign of life for every subscriber, so that no ping mixes with the messages.
    fn keep_alive(&mut self) {
        if matches!(self.server, Server::Floor(_)) || self.alive.elapsed() < ALIVE_FOR {
            return;
        }
        for &subscriber in &self.subscribers {
            self.swarm.send(subscriber, &swarm::masked(0x8A, &[]));
        }
        // The broker answers a pong with nothing; it must have read them before a round begins.
        std::thread::sleep(Duration::from_millis(50));
        self.alive = Instant::now();
    }

    /// Publishes so many messages, `batch` at a time.
    fn round(&mut self, messages: usize, batch: usize, frame_bytes: usize) -> Round {
        self.keep_alive();
        let requests = publish().repeat(batch);
        let batches = messages / batch;
        let mut took = Duration::ZERO;
        let before = self.cpu_ns();
        for _ in 0..batches {
            let begin = Instant::now();
            self.swarm.send(self.publisher, &requests);
            if self.at_once {
                self.await_bytes_at_once(batch * frame_bytes);
            } else {
                self.await_bytes(batch * frame_bytes);
            }
            took += begin.elapsed();
        }
        let cpu_us = (self.cpu_ns() - before) as f64 / 1000.0;
        Round {
            cpu_us: cpu_us / (batches * batch * self.subscribers.len()) as f64,
            took_us: took.as_secs_f64() * 1e6 / batches as f64,
        }
    }

    /// Reads until every subscriber got exactly so many bytes, the last one first.
    fn await_bytes(&mut self, bytes: usize) {
        for &number in self.subscribers.iter().rev() {
            let mut got = 0;
            while got < bytes {
                let more = self.swarm.count(number);
                if more == 0 {
                    self.swarm.wait_for(number, Duration::from_secs(5));
                }
                got += more;
            }
            assert_eq!(got, bytes, "a subscriber got more than was sent");
        }
    }

    /// The same, reading whoever has something while others are still sent to.
    fn await_bytes_at_once(&mut self, bytes: usize) {
        self.got.fill(0);
        let mut left = self.subscribers.len();
        while left > 0 {
            let ready = self.swarm.wait(Duration::from_secs(5));
            assert!(!ready.is_empty(), "{left} subscribers wait in vain");
            for number in ready {
                let got = &mut self.got[number];
                *got += self.swarm.count(number);
                assert!(*got <= bytes, "a subscriber got more than was sent");
                left -= usize::from(*got == bytes);
            }
        }
    }
}

/// The publish, as a client's frame.
fn publish() -> Vec<u8> {
    let data = "x".repeat(DATA_BYTES - 2);
    swarm::text(&format!(r#"{{"type":"message","topic":"{TOPIC}","data":"{data}"}}"#))
}

/// The floor: for each request read, one ready frame to each socket; those of one read together.
fn floor(arguments: &Arguments) {
    if let Some(processor) = arguments.number("processor") {
        child::pin(processor);
    }
    let connections = arguments.number("connections").expect("how many will come");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port is free");
    child::say(&listener.local_addr().expect("it is bound").to_string());
    let (frames, frame) = mpsc::channel();
    std::thread::spawn(move || send_frames(&listener, connections, &frame));
    child::answer(|question| {
        if question == "cpu" {
            return child::cpu_ns().to_string();
        }
        let (request_bytes, hex) = question.split_once(' ').expect("two words");
        let request_bytes: usize = request_bytes.parse().expect("a number");
        frames.send((request_bytes, bytes_of(hex))).expect("the thread waits for it");
        "ready".into()
    });
}

fn send_frames(listener: &TcpListener, connections: usize, frame: &Receiver<(usize, Vec<u8>)>) {
    let accept = || {
        let (stream, _) = listener.accept().expect("the load connects");
        stream.set_nodelay(true).expect("a TCP socket");
        OwnedFd::from(stream)
    };
    let publisher = accept();
    let subscribers: Vec<OwnedFd> = (0..connections).map(|_| accept()).collect();
    let Ok((request_bytes, frame)) = frame.recv() else { return };
    let mut buffer = vec![0; 64 << 10];
    let mut frames = Vec::new();
    let mut unread = 0;
    while let Ok((bytes @ 1.., _)) = recv(&publisher, &mut *buffer, RecvFlags::empty()) {
        unread += bytes;
        frames.clear();
        for _ in 0..unread / request_bytes {
            frames.extend_from_slice(&frame);
        }
        unread %= request_bytes;
        if frames.is_empty() {
            continue;
        }
        for subscriber in &subscribers {
            let sent = send(subscriber, &frames, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
            assert_eq!(sent, Ok(frames.len()), "the kernel has room: one batch at a time");
        }
    }
}

fn bytes_of(hex: &str) -> Vec<u8> {
    let digits = |at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal");
    (0..hex.len()).step_by(2).map(digits).collect()
}
