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

use std::net::SocketAddr;
use std::sync::mpsc::{self, TryRecvError};
use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::child::{self, Child};
use rig::clients::{self, Clients, Heard, subscribe};
use rig::report::{self, median};
use shardwire::load::swarm::Leave;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVER_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;
const SUBSCRIBERS: usize = 100;
/// The number of the client that publishes.
const PUBLISHER: usize = SUBSCRIBERS;
/// Between two messages.
const PERIOD: Duration = Duration::from_millis(5);
/// How long is looked at before the burst.
const QUIET: Duration = Duration::from_secs(1);
/// Messages whose latency is told of the time after the broker has forgotten everybody: the last
/// ones that were published while it had not.
const AFTERWARDS: Duration = Duration::from_millis(50);
const WAYS: [(&str, Leave); 3] =
    [("end", Leave::Silent), ("reset", Leave::Reset), ("goodbye", Leave::Close)];
/// Bytes of a message's data.
const DATA_BYTES: usize = 122;
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
    for (way, _) in WAYS {
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
    clients: Clients,
    sent: Vec<Sent>,
    /// Messages of the first of them, published before.
    before: usize,
}

impl Scene {
    fn new(broker: &Broker) -> Self {
        let mut clients = Clients::new(broker.address, false);
        clients.enter(SUBSCRIBERS + 1, SUBSCRIBERS, |number| {
            if number == PUBLISHER { Vec::new() } else { subscribe(&["news"]) }
        });
        Self { address: broker.address, clients, sent: Vec::new(), before: 0 }
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
        self.before += self.sent.len();
        self.sent.clear();
        let begin = Instant::now();
        let mut over = false;
        loop {
            let due = begin + PERIOD * self.sent.len() as u32;
            if !over && due <= Instant::now() {
                over = enough();
                let data = clients::stamped(0, self.before + self.sent.len(), DATA_BYTES);
                self.clients.say(PUBLISHER, &clients::publish("news", &data));
                self.sent.push(Sent { due, got: 0, arrived: None });
            }
            if over && self.sent.iter().all(|sent| sent.arrived.is_some()) {
                return;
            }
            let due = begin + PERIOD * self.sent.len() as u32;
            let wait = due.saturating_duration_since(Instant::now());
            for (_, heard) in self.clients.wait(if over { QUIET } else { wait }) {
                let Heard::Messages(first, count) = heard else {
                    panic!("a message comes, not {heard:?}")
                };
                let at = first.number as usize - self.before;
                for sent in &mut self.sent[at..at + count as usize] {
                    sent.got += 1;
                    if sent.got == SUBSCRIBERS {
                        sent.arrived = Some(sent.due.elapsed());
                    }
                }
            }
        }
    }

    fn latencies(&self) -> Vec<Duration> {
        self.sent.iter().filter_map(|sent| sent.arrived).collect()
    }
}

/// Those who leave: connects them, and lets all of them go the way it is told to.
fn crowd(arguments: &Arguments) {
    // At the lowest priority: the messages' latency is not to be that of a busy reader.
    rustix::process::nice(19).expect("lower is always allowed");
    let connections = arguments.number("connections").expect("how many");
    let address = arguments.text("address").expect("where to").parse().expect("an address");
    let mut clients = Clients::new(address, false);
    clients.enter(connections, 2 * connections, |number| {
        subscribe(&[&format!("room.{}", number / ROOM), &format!("own.{number}")])
    });
    child::say("ready");
    child::answer(|way| {
        let (_, how) = WAYS.into_iter().find(|(name, _)| *name == way).expect("a way");
        for number in 0..connections {
            clients.leave(number, how);
        }
        "gone".into()
    });
}
