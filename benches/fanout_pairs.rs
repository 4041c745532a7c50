//! What a delivery costs in one setting of the broker, beside another: two brokers in turns, one
//! load for both.
//!
//! - `shards`: two shards beside one; the subscribers of one topic are spread over both. Once with
//!   all threads on processor 0, so that nothing but the work differs, and once with a processor for
//!   each shard, where caches are shared and sleepers woken across. Whatever the threads, what is
//!   told is processor time of the whole process.
//! - `deflate`: messages of 2 KiB, a quarter when compressed, to subscribers that negotiated
//!   compression, beside as many that did not.
//! - `rules`: default rules, tenants, rate limits, a webhook and tokens, beside a broker that lets
//!   everyone do everything; nobody is refused. What rules may cost: a ratio of 1.03.
//! - `tls`: TLS 1.3 beside none.
//!
//! `shardwire bench` measures one broker, and beside it the kernel (`--floor`). This is for what
//! two settings differ by: ratios of neighbouring rounds, where what disturbs the machine disturbs
//! both. The next messages go out when everybody has the last ones. Readers are awake; the time
//! until all have a message holds their reading, and with `deflate` their inflating.
//!
//! `cargo bench --bench fanout_pairs -- [--only shards|deflate|rules|tls] [--connections N]
//! [--runs N] [--pairs N] [--messages N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::certificate::Certificate;
use rig::child;
use rig::clients::{self, Clients, Heard, PATIENCE};
use rig::report::{self, median, quartile};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVER_PROCESSOR: usize = 0;
const LOAD_PROCESSOR: usize = 1;
/// Rounds that warm both servers up and count for nothing.
const WARM_UP_PAIRS: usize = 2;
/// Less than the broker's ping interval.
const ALIVE_FOR: Duration = Duration::from_secs(10);
const TOPIC: &str = "all";

fn main() {
    let arguments = Arguments::read();
    if arguments.text("role") == Some(broker::ROLE) {
        return broker::run(&arguments);
    }
    report::head("CPU of a delivery, two ways side by side");
    let plan = Plan::read(&arguments);
    let wanted = |name| arguments.text("only").is_none_or(|only| only == name);
    if wanted("shards") {
        for (apart, where_) in [(false, "on one processor"), (true, "a processor each")] {
            for batch in [1, 16] {
                let name = format!("2 shards {where_} / 1 shard, {batch} in flight");
                let one = Way::PLAIN;
                let two = Way { shards: 2, apart, ..Way::PLAIN };
                plan.compare(&name, one, two, Load { batch, data_bytes: 128 });
            }
        }
    }
    if wanted("deflate") {
        for batch in [1, 16] {
            let name = format!("2 KiB compressed / uncompressed, {batch} in flight");
            let way = |deflate| Way { deflate, ..Way::PLAIN };
            plan.compare(&name, way(false), way(true), Load { batch, data_bytes: 2048 });
        }
    }
    if wanted("rules") {
        for batch in [1, 16] {
            let name = format!("rules / everything to everyone, {batch} in flight");
            let way = |rules| Way { rules, ..Way::PLAIN };
            plan.compare(&name, way(false), way(true), Load { batch, data_bytes: 128 });
        }
    }
    if wanted("tls") {
        for (batch, data_bytes) in [(1, 128), (16, 128), (1, 2048)] {
            let name = format!("TLS / none, {data_bytes} B, {batch} in flight");
            let way = |tls| Way { tls, ..Way::PLAIN };
            plan.compare(&name, way(false), way(true), Load { batch, data_bytes });
        }
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

/// What is published to everybody.
#[derive(Clone, Copy)]
struct Load {
    /// Messages in flight.
    batch: usize,
    data_bytes: usize,
}

/// A broker's setting.
#[derive(Clone, Copy)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a way to compare, and no two go together"
)]
struct Way {
    shards: usize,
    /// Each shard on a processor of its own.
    apart: bool,
    deflate: bool,
    /// All is judged that can be.
    rules: bool,
    tls: bool,
}

impl Way {
    const PLAIN: Self = Self { shards: 1, apart: false, deflate: false, rules: false, tls: false };
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
            let each = load.batch * self.connections;
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

/// A broker with its subscribers and, numbered behind them, its publisher.
struct Side {
    broker: Broker,
    load: Load,
    clients: Clients,
    subscribers: usize,
    /// When each subscriber last said something.
    alive: Instant,
    /// Messages published so far.
    published: usize,
}

impl Side {
    fn start(way: Way, load: Load, plan: &Plan) -> Self {
        let pinned = (plan.pinned && !way.apart).then_some(SERVER_PROCESSOR);
        let broker = if way.rules {
            Broker::start_with_rules(way.shards, pinned)
        } else if way.tls {
            Broker::secured(way.shards, pinned, Certificate::new("pairs"))
        } else {
            Broker::start(way.shards, false, pinned)
        };
        let mut clients = if way.tls {
            Clients::of_broker(&broker)
        } else {
            Clients::new(broker.address, way.deflate)
        };
        let subscribers = plan.connections;
        if way.rules {
            let tokens = (0..=subscribers).map(|user| broker::tenant_token(&format!("u{user}")));
            clients.show(tokens.collect());
        }
        clients.enter(subscribers + 1, subscribers, |number| {
            if number < subscribers { clients::subscribe(&[TOPIC]) } else { Vec::new() }
        });
        Self { broker, load, clients, subscribers, alive: Instant::now(), published: 0 }
    }

    /// Gives a sign of life for everybody, so that no ping mixes with the messages.
    fn keep_alive(&mut self) {
        if self.alive.elapsed() < ALIVE_FOR {
            return;
        }
        for number in 0..=self.subscribers {
            self.clients.say(number, &clients::alive());
        }
        // The broker answers a pong with nothing; it must have read them before a round begins.
        std::thread::sleep(Duration::from_millis(50));
        self.alive = Instant::now();
    }

    fn round(&mut self, batches: usize) -> Round {
        self.keep_alive();
        let before = self.broker.cpu_ns();
        let mut took = Duration::ZERO;
        for _ in 0..batches {
            let begin = Instant::now();
            let first = self.published;
            let bytes: Vec<u8> =
                (first..first + self.load.batch).flat_map(|number| self.publish(number)).collect();
            self.clients.say(self.subscribers, &bytes);
            self.published += self.load.batch;
            self.await_messages(first);
            took += begin.elapsed();
        }
        let cpu_us = (self.broker.cpu_ns() - before) as f64 / 1000.0;
        Round {
            cpu_us: cpu_us / (batches * self.load.batch * self.subscribers) as f64,
            took_us: took.as_secs_f64() * 1e6 / batches as f64,
        }
    }

    /// Waits until everybody has the messages from this number on, each once and in order.
    fn await_messages(&mut self, first: usize) {
        let mut next = vec![first; self.subscribers];
        let mut left = self.subscribers;
        while left > 0 {
            let all_heard = self.clients.wait(PATIENCE);
            assert!(!all_heard.is_empty(), "{left} subscribers wait in vain");
            for (number, heard) in all_heard {
                let Heard::Messages(stamp, count) = heard else {
                    panic!("a message comes, not {heard:?}")
                };
                assert_eq!(stamp.number as usize, next[number], "subscriber {number}");
                next[number] += count as usize;
                left -= usize::from(next[number] == self.published);
            }
        }
    }

    /// A client's publish of JSON text that compresses as such texts do.
    fn publish(&self, number: usize) -> Vec<u8> {
        let mut data = format!("[{},", clients::stamped(0, number, 0));
        for n in number.. {
            let hash = n.wrapping_mul(0x9e37_79b9) & 0xffff_ffff;
            let item = format!(r#"{{"id":{hash},"state":"open","price":{}.25}}"#, hash % 977);
            // With its comma, and the least of stuffing behind.
            if data.len() + item.len() + 4 > self.load.data_bytes {
                break;
            }
            data.extend([&*item, ","]);
        }
        let stuffing = "x".repeat(self.load.data_bytes - data.len() - 3);
        clients::publish(TOPIC, &format!("{data}\"{stuffing}\"]"))
    }
}
