//! Clients that are killed at random under load, and others that must not notice.
//!
//! For a minute, some hundred clients a second come and are killed: in their handshake, in the
//! midst of a frame or a fragmented message, while they publish, with output that they never read;
//! with a reset or without a word. Meanwhile others stay and check that each publisher's messages
//! come in order, none lost, none twice: all of those that stay, and of those that are killed a
//! beginning, the same for everybody. Before, during and after, the broker's memory is read; after,
//! it must be back.
//!
//! `cargo bench --bench churn -- [--seconds N] [--shards N] [--a-second N] [--seed N]`

#![allow(clippy::cast_precision_loss, reason = "figures are for people")]

mod rig;

use std::collections::{BTreeMap, HashMap};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use rig::arguments::Arguments;
use rig::broker::{self, Broker};
use rig::memory::{Counting, Memory};
use rig::report;
use rig::swarm::{self, Heard, Swarm};

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const ROOMS: usize = 10;
/// Messages a second to all rooms together.
const MESSAGES_A_SECOND: f64 = 200.0;
const PUBLISHERS: usize = 8;
/// Stable subscribers of two rooms each, and of all rooms by a pattern.
const OF_TWO_ROOMS: usize = 80;
const OF_ALL_ROOMS: usize = 40;
/// The topic of large messages, read by nobody: whoever subscribes is a slow consumer.
const FLOOD: &str = "flood";
const FLOOD_BYTES: usize = 64 << 10;
const FLOODS_A_SECOND: f64 = 20.0;
/// The longest life of a client that is to be killed.
const LIFE_MS_MAX: u64 = 4000;
const STEP: Duration = Duration::from_millis(2);
/// Numbers of publishers that are killed begin here.
const KILLED_FROM: usize = 1000;

fn main() {
    let arguments = Arguments::read();
    if arguments.text("role") == Some(broker::ROLE) {
        return broker::run(&arguments);
    }
    let seconds = arguments.size("seconds", 60, 1);
    let shards = arguments.size("shards", 4, 4);
    let a_second = arguments.size("a-second", 150, 50);
    let seed = arguments.size("seed", 1, 1);
    report::head("Churn");
    println!("{shards} shards, {seconds} s, {a_second} clients a second, seed {seed}");
    let mut broker = Broker::start(shards, false, None);
    let mut scene = Scene::new(broker.address, seed as u64);
    let warm_up = Duration::from_millis(seconds as u64 * 1000 / 10);
    scene.run(warm_up, a_second as f64, || {});
    scene.calm(&mut broker);
    let before = broker.memory();
    let mut peak = Memory::default();
    let mut next_reading = Instant::now();
    scene.run(Duration::from_secs(seconds as u64), a_second as f64, || {
        if next_reading <= Instant::now() {
            let now = broker.memory();
            peak.heap = peak.heap.max(now.heap_peak);
            peak.resident = peak.resident.max(now.resident);
            peak.anonymous = peak.anonymous.max(now.anonymous);
            next_reading += Duration::from_millis(500);
        }
    });
    scene.calm(&mut broker);
    let after = broker.memory();
    scene.print();
    println!(
        "  messages dropped with slow consumers: {}",
        broker.metric("dropped_disconnect_total")
    );
    for (when, memory) in [("before", before), ("peak", peak), ("after", after)] {
        let kib = |bytes: u64| bytes >> 10;
        println!(
            "  {when:6} heap {:6} KiB, resident {:6} KiB, anonymous {:6} KiB",
            kib(memory.heap),
            kib(memory.resident),
            kib(memory.anonymous)
        );
    }
}

/// How a client is to be killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fate {
    /// With half of its request sent.
    InRequest,
    /// With its whole request sent and the answer unread.
    InHandshake,
    /// After it sent frames right behind its request.
    Early,
    /// As a subscriber that reads.
    Reading,
    /// As a subscriber of large messages that never reads.
    NeverReading,
    /// As a publisher, with half a frame sent.
    InFrame,
    /// As a publisher, with half a fragmented message sent.
    InFragments,
    /// By the broker, for a frame without a mask.
    Unmasked,
}

const FATES: [Fate; 8] = [
    Fate::InRequest,
    Fate::InHandshake,
    Fate::Early,
    Fate::Reading,
    Fate::NeverReading,
    Fate::InFrame,
    Fate::InFragments,
    Fate::Unmasked,
];

/// Who a client is.
enum Part {
    Gone,
    Publisher,
    /// Of these rooms.
    Subscriber(Vec<usize>),
    Doomed {
        fate: Fate,
        id: usize,
        at: Instant,
    },
}

/// What was published by somebody to a room, or what came of it.
type Counts = HashMap<(usize, usize), usize>;

struct Scene {
    address: std::net::SocketAddr,
    swarm: Swarm,
    parts: Vec<Part>,
    publishers: Vec<usize>,
    /// By a client's number: how many came of each publisher and room.
    got: Vec<Counts>,
    sent: Counts,
    random: u64,
    came: usize,
    killed: BTreeMap<Fate, usize>,
    closed: BTreeMap<u16, usize>,
    deliveries: usize,
}

impl Scene {
    fn new(address: std::net::SocketAddr, seed: u64) -> Self {
        let mut scene = Self {
            address,
            swarm: Swarm::new(),
            parts: Vec::new(),
            publishers: Vec::new(),
            got: Vec::new(),
            sent: Counts::new(),
            random: seed,
            came: 0,
            killed: BTreeMap::new(),
            closed: BTreeMap::new(),
            deliveries: 0,
        };
        let mut wanted = 0;
        for n in 0..OF_TWO_ROOMS {
            let rooms = vec![n % ROOMS, (n + 1 + n / ROOMS) % ROOMS];
            let request = subscribe(&[room(rooms[0]), room(rooms[1])]);
            wanted += rooms.len();
            scene.stay(n, Part::Subscriber(rooms), &request);
        }
        for n in 0..OF_ALL_ROOMS {
            wanted += 1;
            let everything = Part::Subscriber((0..ROOMS).collect());
            scene.stay(OF_TWO_ROOMS + n, everything, &subscribe(&["room.*".into()]));
        }
        for n in 0..PUBLISHERS {
            let number = scene.stay(OF_TWO_ROOMS + OF_ALL_ROOMS + n, Part::Publisher, &[]);
            scene.publishers.push(number);
        }
        let mut replies = 0;
        while replies < wanted {
            for number in scene.swarm.wait(Duration::from_secs(5)) {
                scene.swarm.read(number, |heard| {
                    replies += usize::from(matches!(heard, Heard::Text(_)));
                });
            }
        }
        scene
    }

    /// A client that stays.
    fn stay(&mut self, n: usize, part: Part, request: &[u8]) -> usize {
        let first = [&*swarm::handshake(broker::PATH), request].concat();
        self.enter(swarm::address(n), part, &first)
    }

    fn enter(&mut self, from: Ipv4Addr, part: Part, first: &[u8]) -> usize {
        let number = self.swarm.connect(from, self.address, first);
        if number >= self.parts.len() {
            self.parts.resize_with(number + 1, || Part::Gone);
            self.got.resize_with(number + 1, Counts::new);
        }
        self.parts[number] = part;
        number
    }

    /// Publishes, lets clients come and kills them, for so long.
    fn run(&mut self, time: Duration, a_second: f64, mut each_step: impl FnMut()) {
        let begin = Instant::now();
        let (mut messages, mut floods, mut entered) = (0.0, 0.0, 0.0);
        while begin.elapsed() < time {
            let elapsed = begin.elapsed().as_secs_f64();
            while messages < elapsed * MESSAGES_A_SECOND {
                messages += 1.0;
                self.publish();
            }
            while floods < elapsed * FLOODS_A_SECOND {
                floods += 1.0;
                let data = "x".repeat(FLOOD_BYTES);
                let text = format!(r#"{{"type":"message","topic":"{FLOOD}","data":"{data}"}}"#);
                assert!(self.swarm.send(self.publishers[0], &swarm::text(&text)));
            }
            while entered < elapsed * a_second {
                entered += 1.0;
                self.doom();
            }
            self.kill(|at| at <= Instant::now());
            self.read(STEP);
            each_step();
        }
    }

    /// Kills whoever is still to be killed, waits for what was published, and for the broker to
    /// have forgotten the dead; checks what everybody got.
    fn calm(&mut self, broker: &mut Broker) {
        self.kill(|_| true);
        let deadline = Instant::now() + Duration::from_secs(15);
        while !self.is_complete() {
            assert!(Instant::now() < deadline, "messages were lost");
            self.read(STEP);
        }
        broker.wait_for_connections((OF_TWO_ROOMS + OF_ALL_ROOMS + PUBLISHERS) as u64);
        let quiet = Instant::now() + Duration::from_millis(500);
        while Instant::now() < quiet {
            self.read(STEP);
        }
        self.compare();
    }

    /// The next message of a publisher that stays, to a room at random.
    fn publish(&mut self) {
        let publisher = self.below(PUBLISHERS);
        let room = self.below(ROOMS);
        let frame = self.message(publisher, room);
        assert!(self.swarm.send(self.publishers[publisher], &frame));
    }

    fn message(&mut self, publisher: usize, room: usize) -> Vec<u8> {
        let count = self.sent.entry((publisher, room)).or_insert(0);
        let frame = message(publisher, room, *count);
        *count += 1;
        frame
    }

    /// Lets a client come that will be killed.
    fn doom(&mut self) {
        let fate = FATES[self.below(FATES.len())];
        let id = KILLED_FROM + self.came;
        self.came += 1;
        let life = Duration::from_millis(self.below(LIFE_MS_MAX as usize) as u64);
        let part = Part::Doomed { fate, id, at: Instant::now() + life };
        let mut first = swarm::handshake(broker::PATH);
        match fate {
            Fate::InRequest => first.truncate(1 + self.below(first.len() - 1)),
            Fate::Early => {
                let room = self.below(ROOMS);
                first.extend(subscribe(&["room.*".into()]));
                for _ in 0..3 {
                    first.extend(self.message(id, room));
                }
            }
            _ => {}
        }
        let from = swarm::address(self.below(50_000));
        let number = self.enter(from, part, &first);
        if matches!(fate, Fate::InHandshake | Fate::InRequest) {
            self.swarm.neglect(number);
        }
    }

    /// What a client that is to be killed does once it is let in.
    fn begin(&mut self, number: usize, fate: Fate, id: usize) {
        let room_number = self.below(ROOMS);
        let frames = match fate {
            Fate::Reading => subscribe(&[room(room_number), "room.*".into()]),
            Fate::NeverReading => {
                self.swarm.neglect(number);
                subscribe(&[FLOOD.into()])
            }
            Fate::InFrame | Fate::InFragments => {
                let count = 1 + self.below(20);
                (0..count).flat_map(|_| self.message(id, room_number)).collect()
            }
            Fate::Unmasked => vec![0x81, 0x02, b'{', b'}'],
            Fate::InRequest | Fate::InHandshake | Fate::Early => return,
        };
        self.swarm.send(number, &frames);
    }

    /// Kills those whose time it is.
    fn kill(&mut self, is_time: impl Fn(Instant) -> bool) {
        for number in 0..self.parts.len() {
            let Part::Doomed { fate, id, at } = self.parts[number] else { continue };
            if !is_time(at) {
                continue;
            }
            let room = self.below(ROOMS);
            // Never finished, so it must never come.
            let text = message(id, room, usize::MAX);
            let cut = match fate {
                Fate::InFrame => text[..=self.below(text.len() - 1)].to_vec(),
                Fate::InFragments => [&swarm::masked(0x01, b"{\"type\":")[..], &text[..1]].concat(),
                _ => Vec::new(),
            };
            self.swarm.send(number, &cut);
            if self.below(2) == 0 {
                self.swarm.reset(number);
            } else {
                self.swarm.leave(number);
            }
            self.parts[number] = Part::Gone;
            *self.killed.entry(fate).or_insert(0) += 1;
        }
    }

    /// Reads whoever has something to read.
    fn read(&mut self, at_most: Duration) {
        for number in self.swarm.wait(at_most) {
            let Self { swarm, parts, got, sent, closed, deliveries, .. } = self;
            let (part, got) = (&parts[number], &mut got[number]);
            let (mut open, mut end) = (false, false);
            swarm.read(number, |heard| match (heard, part) {
                (Heard::Open, _) => open = true,
                (Heard::Text(text), Part::Subscriber(rooms)) => {
                    let [publisher, room, count] = read_message(text);
                    assert!(rooms.contains(&room), "{text}");
                    let next = got.entry((publisher, room)).or_insert(0);
                    assert_eq!(count, *next, "client {number}: {text}");
                    *next += 1;
                    assert!(*next <= sent[&(publisher, room)], "nobody published {text}");
                    *deliveries += 1;
                }
                (Heard::Text(_), _) => {}
                (Heard::Compressed(_), _) => panic!("nobody offered compression"),
                (Heard::Close(code), _) => *closed.entry(code).or_insert(0) += 1,
                (Heard::End, Part::Doomed { .. } | Part::Gone) => end = true,
                (Heard::End, Part::Publisher | Part::Subscriber(_)) => panic!("{number} was cut"),
            });
            if let Part::Doomed { fate, id, .. } = self.parts[number]
                && open
            {
                self.begin(number, fate, id);
            }
            if end {
                self.parts[number] = Part::Gone;
            }
        }
    }

    /// Whether all that was published by those who stay has come to all who want it.
    fn is_complete(&self) -> bool {
        self.subscribers().all(|(got, rooms)| {
            let of_stable = self
                .sent
                .iter()
                .filter(|((publisher, room), _)| *publisher < KILLED_FROM && rooms.contains(room));
            of_stable.into_iter().all(|(key, count)| got.get(key) == Some(count))
        })
    }

    /// Of each publisher that was killed, everybody in a room got the same.
    fn compare(&self) {
        let mut common = Counts::new();
        for (got, _) in self.subscribers() {
            for (key, count) in got {
                assert_eq!(common.entry(*key).or_insert(*count), count, "of {key:?}");
            }
        }
        for (got, rooms) in self.subscribers() {
            for key in common.keys().filter(|(_, room)| rooms.contains(room)) {
                assert!(got.contains_key(key), "of {key:?} somebody got nothing");
            }
        }
    }

    fn subscribers(&self) -> impl Iterator<Item = (&Counts, &Vec<usize>)> {
        self.got.iter().zip(&self.parts).filter_map(|(got, part)| match part {
            Part::Subscriber(rooms) => Some((got, rooms)),
            _ => None,
        })
    }

    fn print(&self) {
        let published: usize = self.sent.values().sum();
        println!("  {} clients came, killed: {:?}", self.came, self.killed);
        println!("  closed by the broker, by code: {:?}", self.closed);
        println!(
            "  {published} messages published, {} deliveries checked: none lost, doubled or out of \
             order",
            self.deliveries
        );
    }

    /// A number at random.
    fn below(&mut self, bound: usize) -> usize {
        // splitmix64.
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.random;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % bound as u64) as usize
    }
}

fn room(number: usize) -> String {
    format!("room.{number}")
}

fn subscribe(topics: &[String]) -> Vec<u8> {
    let topics = serde_json::to_string(topics).expect("strings");
    swarm::text(&format!(r#"{{"type":"subscribe","topics":{topics}}}"#))
}

fn message(publisher: usize, room: usize, count: usize) -> Vec<u8> {
    let data = format!("[{publisher},{room},{count}]");
    swarm::text(&format!(r#"{{"type":"message","topic":"room.{room}","data":{data}}}"#))
}

/// Publisher, room and count of a delivery.
fn read_message(text: &str) -> [usize; 3] {
    let data = text.split_once(r#""data":["#).and_then(|(_, rest)| rest.split_once(']'));
    let numbers = data.unwrap_or_else(|| panic!("no message: {text}")).0;
    let mut numbers = numbers.split(',').map(|number| number.parse().expect("a number"));
    let numbers = [(); 3].map(|()| numbers.next().expect("three numbers"));
    assert!(text.contains(&format!(r#""topic":"room.{}""#, numbers[1])), "{text}");
    numbers
}
