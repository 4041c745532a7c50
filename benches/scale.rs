//! Whether an operation of a shard costs the same with a million connections as with ten thousand.
//!
//! The shard without a kernel: its port takes every byte and keeps none. Each operation is a turn
//! of its own, in random order over the crowd, and timed alone. All is done twice in the same
//! order, and of each operation the shorter time counts: what the machine did in between falls out,
//! what the shard does at just that operation (a list that is moved, a table that grows) stays, and
//! shows in the longest operation. Nothing should grow with the crowd but the time that memory
//! takes; `a load` is that time, one load of a random line among as many bytes as the crowd holds.
//!
//! `cargo bench --bench scale -- [--most N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Instant;

use rig::arguments::Arguments;
use rig::memory::{Counting, Memory};
use rig::{clients, report};
use shardwire::auth::Rules;
use shardwire::config::Dialect;
use shardwire::connection::ConnKey;
use shardwire::interest::Interest;
use shardwire::limits::{PING_INTERVAL_MS, TICK_MS};
use shardwire::mailbox::{Mailbox, Wake};
use shardwire::metrics::ShardMetrics;
use shardwire::shard::{Arrival, Endpoint, Parts, Policy, Port, Sent, Shard};
use shardwire::sid::NotSecret;
use shardwire::time::{Now, Timestamp};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// Connections of one room.
const ROOM: usize = 1000;
/// One connection of so many has a pattern.
const PATTERN_EACH: usize = 10;
/// Publishes to rooms, and to each other kind of topic.
const ROOM_PUBLISHES: usize = 300;
const PUBLISHES: usize = 20_000;
/// Loads that the yardstick makes.
const LOADS: usize = 1_000_000;
/// 64-bit words of a cache line.
const LINE: usize = 8;

fn main() {
    let arguments = Arguments::read();
    let most = arguments.size("most", 1_000_000, 2000);
    report::head("Operations of one shard, by its connections");
    let sizes: Vec<usize> = [10_000, 100_000, 1_000_000]
        .into_iter()
        .filter(|&size| size < most)
        .chain([most])
        .collect();
    let columns: Vec<Vec<Row>> = sizes.iter().map(|&size| measure(size)).collect();
    print(&sizes, &columns);
}

/// What one operation took, or held, at one size of the crowd.
struct Row {
    name: &'static str,
    mean_ns: f64,
    longest_us: f64,
    /// Heap bytes a connection after it, where it is told.
    heap: Option<f64>,
}

fn measure(size: usize) -> Vec<Row> {
    let first = Crowd::life(size);
    let second = Crowd::life(size);
    let held = first.iter().filter_map(|stage| stage.heap).max().unwrap_or(0);
    let stages = first.into_iter().zip(second).map(|(first, second)| {
        let shorter: Vec<u64> =
            first.took_ns.iter().zip(&second.took_ns).map(|(one, other)| *one.min(other)).collect();
        let longest = shorter.iter().max().copied().unwrap_or(0);
        Row {
            name: first.name,
            mean_ns: shorter.iter().sum::<u64>() as f64 / first.operations as f64,
            longest_us: longest as f64 / 1000.0,
            heap: first.heap.map(|bytes| bytes as f64 / size as f64),
        }
    });
    let load = Row { name: "a load", mean_ns: load_ns(held), longest_us: 0.0, heap: None };
    stages.chain([load]).collect()
}

fn print(sizes: &[usize], columns: &[Vec<Row>]) {
    let growth = |at: usize| {
        let last = &columns[columns.len() - 1][at];
        format!("{:12.2}", last.mean_ns / columns[0][at].mean_ns)
    };
    table("ns an operation", sizes, columns, |row| Some(row.mean_ns), growth);
    let longest = |row: &Row| (row.longest_us > 0.0).then_some(row.longest_us);
    table("the longest turn, µs", sizes, columns, longest, |_| String::new());
    table("heap bytes a connection", sizes, columns, |row| row.heap, |_| String::new());
    println!("last column: the growth of ns an operation, largest to smallest crowd");
}

/// A line for each row that has such a figure.
fn table(
    title: &str,
    sizes: &[usize],
    columns: &[Vec<Row>],
    figure: impl Fn(&Row) -> Option<f64>,
    after: impl Fn(usize) -> String,
) {
    print!("{title:28}");
    for size in sizes {
        print!("{size:>12}");
    }
    println!();
    for (at, row) in columns[0].iter().enumerate().filter(|(_, row)| figure(row).is_some()) {
        print!("{:28}", row.name);
        for column in columns {
            print!("{:12.1}", figure(&column[at]).unwrap_or(0.0));
        }
        println!("{}", after(at));
    }
    println!();
}

/// Nanoseconds of one load that depends on the last, among so many bytes.
fn load_ns(bytes: u64) -> f64 {
    let lines = (bytes as usize / (LINE * size_of::<u64>())).max(2);
    // One ring through all lines, in random order.
    let order = shuffled(lines);
    let mut words = vec![0_u64; lines * LINE];
    for (at, &line) in order.iter().enumerate() {
        words[line as usize * LINE] = u64::from(order[(at + 1) % lines]);
    }
    let mut line = 0;
    let begin = Instant::now();
    for _ in 0..LOADS {
        line = words[line as usize * LINE];
    }
    black_box(line);
    begin.elapsed().as_nanos() as f64 / LOADS as f64
}

/// 0 to `count`, in an order that looks random and is the same each time.
fn shuffled(count: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..count as u32).collect();
    let mut draw = draws();
    for at in (1..count).rev() {
        order.swap(at, draw(at + 1));
    }
    order
}

/// Draws numbers below a bound, the same ones each time.
fn draws() -> impl FnMut(usize) -> usize {
    let mut state = 1_u64;
    move |below| {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((state >> 33) % below as u64) as usize
    }
}

/// One kind of operation, done many times.
struct Stage {
    name: &'static str,
    /// Operations, where a turn is more than one.
    operations: usize,
    /// Nanoseconds of each turn.
    took_ns: Vec<u64>,
    heap: Option<u64>,
}

/// Takes every byte.
#[derive(Default)]
struct Sink {
    bytes: u64,
    closed: usize,
}

impl Port for Sink {
    fn send(&mut self, _: u32, bytes: &[u8]) -> Sent {
        self.bytes += black_box(bytes).len() as u64;
        Sent::Bytes(bytes.len())
    }

    fn shut(&mut self, _: u32) {}

    fn close(&mut self, _: u32, _: IpAddr) {
        self.closed += 1;
    }
}

struct Awake;

impl Wake for Awake {
    fn wake(&self) {}
}

/// A shard with its connections.
struct Crowd {
    shard: Shard,
    metrics: Arc<ShardMetrics>,
    sink: Sink,
    keys: Vec<ConnKey>,
    now: Now,
    heap_before: u64,
}

impl Crowd {
    /// From the first connection to the last.
    fn life(size: usize) -> Vec<Stage> {
        let order = shuffled(size);
        let mut crowd = Self::new(size);
        let mut stages = vec![crowd.open(size)];
        let mut draw = draws();
        let subscribe = |topic: String| format!(r#"{{"type":"subscribe","topic":"{topic}"}}"#);
        let publish =
            |topic: String| format!(r#"{{"type":"message","topic":"{topic}","data":"{DATA}"}}"#);
        stages.push(crowd.ask("subscribe to a room", &order, 1, |n| {
            subscribe(format!("room.{}", n as usize / ROOM))
        }));
        stages.push(
            crowd.ask("subscribe to a new topic", &order, 1, |n| subscribe(format!("user.{n}"))),
        );
        // Everybody in one list: what moves it as it grows, and closes the gaps as they leave.
        stages.push(crowd.ask("subscribe to one for all", &order, 1, |_| subscribe("all".into())));
        let with_pattern = &order[..size / PATTERN_EACH];
        stages.push(crowd.ask("subscribe to a new pattern", with_pattern, 1, |n| {
            subscribe(format!("device.{n}.*"))
        }));
        let mut publishers = |count: usize| -> Vec<u32> {
            (0..count).map(|_| order[draw(with_pattern.len())]).collect()
        };
        let few = publishers(ROOM_PUBLISHES);
        let many = publishers(PUBLISHES);
        stages.push(crowd.ask("deliver to a room", &few, ROOM, |n| {
            publish(format!("room.{}", n as usize / ROOM))
        }));
        stages.push(crowd.ask("publish to a topic", &many, 1, |n| publish(format!("user.{n}"))));
        stages.push(
            crowd.ask("publish to a pattern", &many, 1, |n| publish(format!("device.{n}.state"))),
        );
        stages.push(crowd.ask("publish to nobody", &many, 1, |n| publish(format!("none.{n}.x"))));
        stages.push(crowd.ping(&order));
        stages.push(crowd.leave(&order));
        stages
    }

    fn new(size: usize) -> Self {
        let keys = Vec::with_capacity(size);
        let heap_before = Memory::read().heap;
        let metrics = ShardMetrics::new();
        let mailboxes: Arc<[Arc<Mailbox>]> = Arc::from([Mailbox::new(Box::new(Awake))]);
        let policy = Policy::new(vec![Endpoint::new("/ws", Dialect::Topics, false, Rules::open())]);
        let now = Now { mono_ms: 1, wall: Timestamp(1_769_860_800_123) };
        let parts = Parts {
            id: 0,
            mailboxes,
            interest: Interest::new(),
            policy: Arc::new(policy),
            metrics: Arc::clone(&metrics),
            seed: 1,
            node: 1,
            all_metrics: Arc::from([Arc::clone(&metrics)]),
            secrets: Box::new(NotSecret(1)),
        };
        let shard = Shard::new(parts, now);
        Self { shard, metrics, sink: Sink::default(), keys, now, heap_before }
    }

    /// Lets so many come.
    fn open(&mut self, size: usize) -> Stage {
        let mut took_ns = Vec::with_capacity(size);
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        for _ in 0..size {
            let arrival = Arrival::new(0, address);
            let begin = Instant::now();
            let key = self.shard.open(self.now, arrival);
            took_ns.push(begin.elapsed().as_nanos() as u64);
            self.keys.push(key);
        }
        self.stage("open", 1, took_ns)
    }

    /// Each of these connections sends a message, in a turn of its own.
    fn ask(
        &mut self,
        name: &'static str,
        who: &[u32],
        operations: usize,
        message: impl Fn(u32) -> String,
    ) -> Stage {
        let mut took_ns = Vec::with_capacity(who.len());
        for &n in who {
            let mut frame = clients::text(&message(n));
            let sent = self.sink.bytes;
            let begin = Instant::now();
            let taken =
                self.shard.read(self.now, self.keys[n as usize], &mut frame, &mut self.sink);
            self.shard.flush(self.now, &mut self.sink);
            took_ns.push(begin.elapsed().as_nanos() as u64);
            assert_eq!(taken, frame.len());
            assert_eq!(self.sink.bytes > sent, name != "publish to nobody");
        }
        self.stage(name, operations, took_ns)
    }

    /// Everybody gives a sign of life, spread over a ping interval, and is pinged one later.
    fn ping(&mut self, order: &[u32]) -> Stage {
        let ticks = (PING_INTERVAL_MS / TICK_MS) as usize;
        for who in order.chunks(order.len().div_ceil(ticks)) {
            self.now.mono_ms += TICK_MS;
            for &n in who {
                let mut frame = clients::alive();
                let key = self.keys[n as usize];
                let _ = self.shard.read(self.now, key, &mut frame, &mut self.sink);
            }
            while self.shard.next_deadline_ms().is_some_and(|at| at <= self.now.mono_ms) {
                self.shard.advance(self.now, &mut self.sink);
                self.shard.flush(self.now, &mut self.sink);
            }
        }
        let mut took_ns = Vec::with_capacity(ticks);
        let sends = self.metrics.sends_total.get();
        while self.metrics.sends_total.get() < sends + order.len() as u64 {
            // What one turn does not act on, the next does at once.
            let due = self.shard.next_deadline_ms().expect("everybody has a deadline");
            self.now.mono_ms = self.now.mono_ms.max(due);
            let begin = Instant::now();
            self.shard.advance(self.now, &mut self.sink);
            self.shard.flush(self.now, &mut self.sink);
            took_ns.push(begin.elapsed().as_nanos() as u64);
        }
        let mut stage = self.stage("ping", 1, took_ns);
        stage.operations = order.len();
        stage
    }

    /// Everybody leaves.
    fn leave(&mut self, order: &[u32]) -> Stage {
        let mut took_ns = Vec::with_capacity(order.len());
        for &n in order {
            let begin = Instant::now();
            self.shard.gone(self.keys[n as usize]);
            self.shard.flush(self.now, &mut self.sink);
            took_ns.push(begin.elapsed().as_nanos() as u64);
        }
        assert_eq!((self.sink.closed, self.shard.connections()), (order.len(), 0));
        self.stage("disconnect", 1, took_ns)
    }

    fn stage(&self, name: &'static str, each: usize, took_ns: Vec<u64>) -> Stage {
        // What the measurement itself holds is not the shard's.
        let own = (took_ns.capacity() * size_of::<u64>()) as u64;
        let heap = Memory::read().heap - self.heap_before - own;
        let told = name.starts_with("open") || name.starts_with("sub") || name == "disconnect";
        Stage { name, operations: took_ns.len() * each, took_ns, heap: told.then_some(heap) }
    }
}

/// 126 bytes, 128 with their quotes.
const DATA: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\
                    xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
