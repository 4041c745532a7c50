//! What others notice of ten thousand connections that end at once.
//!
//! Ten thousand clients of one process leave as fast as their kernel can close them, while another
//! process publishes two hundred messages a second to a hundred subscribers. Told is the latency of
//! each message: from the time it was due until the last subscriber has it, in a quiet second just
//! before, and from the burst's beginning until the broker has forgotten the last of those who
//! left. They leave in three ways: without a word, with a reset, and with a close frame which the
//! broker must answer. The broker has processor 0, the clients share processor 1, those who leave
//! at the lowest priority.
//!
//! `cargo bench --bench burst -- [--connections N] [--runs N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::child::{self, Child};
use rig::report::{self, median};
use rig::swarm::{self, Heard, Swarm};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVER_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;
const SUBSCRIBERS: usize = 100;
/// Between two messages.
const PERIOD: Duration = Duration::from_millis(5);
/// How long is looked at before the burst.
const QUIET: Duration = Duration::from_secs(1);
/// Messages whose latency is told of the time after the broker has forgotten everybody: the last
/// ones that were published while it had not.
const AFTERWARDS: Duration = Duration::from_millis(50);
const WAYS: [&str; 3] = ["end", "reset", "goodbye"];
/// One of so many clients that leave shares its room with the others.
const ROOM: usize = 100;

fn main() {
    let arguments = Arguments::read();
    match arguments.text("role") {
        Some(broker::ROLE) => broker::run(&arguments),
        Some("crowd") => crowd(&arguments),
        _ => measure(&arguments),
    }
}

fn measure(arguments: &Arguments) {
    let connections = arguments.size("connections", 10_000, 100);
    let runs = arguments.size("runs", 5, 1);
    report::head("Latency while many connections end");
    let pinned = std::thread::available_parallelism().map_or(1, usize::from) > 1;
    if pinned {
        child::pin(LOAD_PROCESSOR);
    }
    println!("{connections} connections end; {SUBSCRIBERS} subscribers, a message each {PERIOD:?}");
    println!("latencies in ms until the last subscriber has a message");
    println!();
    println!("way       run   gone in   quiet: median   longest   burst: median   longest");
    for way in WAYS {
        let mut longest = Vec::new();
        for run in 1..=runs {
            let mut broker = Broker::start(1, false, pinned.then_some(SERVER_PROCESSOR));
            let burst = Scene::new(&broker).burst(&mut broker, connections, way);
            let (quiet, loud) = (ms(&burst.quiet), ms(&burst.loud));
            longest.push(most(&loud));
            println!(
                "{way:8} {run:4} {:9.0} {:15.2} {:9.2} {:15.2} {:9.2}",
                burst.took.as_secs_f64() * 1000.0,
                median(&quiet),
                most(&quiet),
                median(&loud),
                most(&loud)
            );
        }
        println!("{way:8} longest: median {:.2}, most {:.2}", median(&longest), most(&longest));
    }
}

fn ms(latencies: &[Duration]) -> Vec<f64> {
    latencies.iter().map(|latency| latency.as_secs_f64() * 1000.0).collect()
}

fn most(values: &[f64]) -> f64 {
    values.iter().copied().fold(0.0, f64::max)
}

/// Latencies before and during a burst, and how long that was.
struct Burst {
    quiet: Vec<Duration>,
    loud: Vec<Duration>,
    took: Duration,
}

/// A message that is on its way.
struct Sent {
    due: Instant,
    /// Subscribers that have it.
    got: usize,
    arrived: Option<Duration>,
}

/// The publisher and its subscribers.
struct Scene {
    address: SocketAddr,
    swarm: Swarm,
    publisher: usize,
    sent: Vec<Sent>,
}

impl Scene {
    fn new(broker: &Broker) -> Self {
        let address = broker.address;
        let mut swarm = Swarm::new();
        let request = [swarm::handshake(broker::PATH), subscribe("news")].concat();
        for n in 0..SUBSCRIBERS {
            swarm.connect(swarm::address(n), address, &request);
        }
        hear_texts(&mut swarm, SUBSCRIBERS);
        let publisher = swarm.connect(Ipv4Addr::LOCALHOST, address, &request_of_publisher());
        hear_texts(&mut swarm, 1);
        Self { address, swarm, publisher, sent: Vec::new() }
    }

    fn burst(mut self, broker: &mut Broker, connections: usize, way: &'static str) -> Burst {
        let count = connections.to_string();
        let address = self.address.to_string();
        let mut crowd = Child::start("crowd", &["--connections", &count, "--address", &address]);
        assert_eq!(crowd.hear(), "ready");
        let end = Instant::now() + QUIET;
        self.publish_until(|| Instant::now() >= end);
        let quiet = self.latencies();
        let begin = Instant::now();
        let (over, is_over) = mpsc::channel();
        std::thread::spawn(move || {
            let answer = crowd.ask(way);
            // The process stays until the sockets' end has been seen.
            over.send((answer, crowd)).expect("the other thread waits");
        });
        let mut gone = None;
        let mut left = None;
        self.publish_until(|| {
            if left.is_none() {
                left = match is_over.try_recv() {
                    Ok(crowd) => Some(crowd),
                    Err(TryRecvError::Empty) => return false,
                    Err(TryRecvError::Disconnected) => panic!("the crowd has ended"),
                };
            }
            // Asked only once they have left: the question costs the broker time as well.
            if gone.is_none() && broker.metric("connections") <= SUBSCRIBERS as u64 + 1 {
                gone = Some(Instant::now());
            }
            gone.is_some_and(|gone| gone.elapsed() > AFTERWARDS)
        });
        let took = gone.map_or(Duration::ZERO, |gone| gone - begin);
        Burst { quiet, loud: self.latencies(), took }
    }

    /// Publishes, each message when it is due, until it is enough and all have arrived.
    fn publish_until(&mut self, mut enough: impl FnMut() -> bool) {
        self.sent.clear();
        let begin = Instant::now();
        let mut over = false;
        loop {
            let due = begin + PERIOD * self.sent.len() as u32;
            if !over && due <= Instant::now() {
                over = enough();
                let data = format!("{:0>120}", self.sent.len());
                let message = format!(r#"{{"type":"message","topic":"news","data":"{data}"}}"#);
                self.swarm.send(self.publisher, &swarm::text(&message));
                self.sent.push(Sent { due, got: 0, arrived: None });
            }
            if over && self.sent.iter().all(|sent| sent.arrived.is_some()) {
                return;
            }
            let due = begin + PERIOD * self.sent.len() as u32;
            let wait = due.saturating_duration_since(Instant::now());
            for number in self.swarm.wait(if over { QUIET } else { wait }) {
                let sent = &mut self.sent;
                self.swarm.read(number, |heard| {
                    let Heard::Text(text) = heard else { panic!("a message comes, not {heard:?}") };
                    let sent = &mut sent[number_in(text)];
                    sent.got += 1;
                    if sent.got == SUBSCRIBERS {
                        sent.arrived = Some(sent.due.elapsed());
                    }
                });
            }
        }
    }

    fn latencies(&self) -> Vec<Duration> {
        self.sent.iter().filter_map(|sent| sent.arrived).collect()
    }
}

fn subscribe(topic: &str) -> Vec<u8> {
    swarm::text(&format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#))
}

/// The publisher too has a topic, so that its answer shows that it is in.
fn request_of_publisher() -> Vec<u8> {
    [swarm::handshake(broker::PATH), subscribe("of-the-publisher")].concat()
}

/// The number that a message carries in 120 digits.
fn number_in(text: &str) -> usize {
    let digits = text.split_once("\"data\":\"").expect("a message has data").1;
    digits[..120].parse().expect("a number")
}

fn hear_texts(swarm: &mut Swarm, count: usize) {
    let mut heard = 0;
    while heard < count {
        for number in swarm.wait(Duration::from_secs(5)) {
            swarm.read(number, |what| heard += usize::from(matches!(what, Heard::Text(_))));
        }
    }
}

/// Those who leave: connects them, and lets all of them go the way it is told to.
fn crowd(arguments: &Arguments) {
    // At the lowest priority: the messages' latency is not to be that of a busy reader.
    rustix::process::nice(19).expect("lower is always allowed");
    let connections = arguments.number("connections").expect("how many");
    let address = arguments.text("address").expect("where to").parse().expect("an address");
    let mut swarm = Swarm::new();
    let mut numbers = Vec::new();
    for n in 0..connections {
        let room = subscribe(&format!("room.{}", n / ROOM));
        let request = [swarm::handshake(broker::PATH), room, subscribe(&format!("own.{n}"))];
        numbers.push(swarm.connect(swarm::address(n), address, &request.concat()));
        if (n + 1) % ROOM == 0 || n + 1 == connections {
            hear_texts(&mut swarm, 2 * (n % ROOM + 1));
        }
    }
    child::say("ready");
    child::answer(|way| {
        for &number in &numbers {
            match way {
                "end" => swarm.leave(number),
                "reset" => swarm.reset(number),
                _ => {
                    swarm.send(number, &swarm::masked(0x88, &1000_u16.to_be_bytes()));
                }
            }
        }
        while numbers.iter().any(|&number| swarm.is_there(number)) {
            for number in swarm.wait(Duration::from_secs(5)) {
                swarm.read(number, |_| {});
            }
        }
        "gone".into()
    });
}
