//! Subscribers of topics that are killed at random, in the midst of what they do.
//!
//! Some hundred clients a second come and are killed: in their handshake, in the midst of a frame or
//! a fragmented message, while they publish, with output that they never read; with a reset or
//! without a word. Others stay: of those that stay each publisher's messages come whole, of those
//! that are killed a beginning, the same for everybody.

use std::collections::{BTreeMap, HashMap};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::rig::arguments::Arguments;
use crate::rig::broker::Broker;
use crate::rig::clients::{self, Clients, Heard, subscribe};
use crate::rig::mute;
use crate::{Watched, random};
use shardwire::load::stamp::Stamp;
use shardwire::load::swarm::{Leave, Swarm};
use shardwire::wire::frame::{OpCode, put_masked};
use socket2::Socket;

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
const LIFE_MS_MAX: usize = 4000;
const STEP: Duration = Duration::from_millis(2);
/// The clients that stay: subscribers of two rooms, of all rooms, publishers.
const STAYING: usize = OF_TWO_ROOMS + OF_ALL_ROOMS + PUBLISHERS;
const FIRST_PUBLISHER: usize = OF_TWO_ROOMS + OF_ALL_ROOMS;

/// Runs it.
pub fn run(arguments: &Arguments, shards: usize, seconds: usize, seed: usize) {
    let a_second = arguments.size("a-second", 150, 50);
    println!("{shards} shards, {seconds} s, {a_second} clients a second, seed {seed}");
    let mut broker = Broker::start(shards, false, None);
    let mut scene = Scene::new(broker.address, seed as u64);
    let warm_up = Duration::from_millis(seconds as u64 * 1000 / 10);
    scene.run(warm_up, a_second as f64, || {});
    scene.calm(&mut broker);
    let mut watched = Watched::begin(&mut broker);
    scene.run(Duration::from_secs(seconds as u64), a_second as f64, || watched.look(&mut broker));
    scene.calm(&mut broker);
    scene.print();
    println!(
        "  messages dropped with slow consumers: {}",
        broker.metric("dropped_disconnect_total")
    );
    watched.print(&mut broker);
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

/// A client that is to be killed.
struct Doomed {
    fate: Fate,
    at: Instant,
    /// Where it is no client of the swarm: it never gets as far, or never reads.
    socket: Option<Socket>,
}

/// What was published by somebody to a room, or what came of it.
type Counts = HashMap<(usize, usize), usize>;

struct Scene {
    address: SocketAddr,
    clients: Clients,
    /// By their numbers, which go on from those who stay.
    doomed: BTreeMap<usize, Doomed>,
    /// By a subscriber's number: its rooms, and how many came of each publisher and room.
    got: Vec<(Vec<usize>, Counts)>,
    sent: Counts,
    random: u64,
    came: usize,
    killed: BTreeMap<Fate, usize>,
    closed: BTreeMap<u16, usize>,
    deliveries: usize,
}

impl Scene {
    fn new(address: SocketAddr, seed: u64) -> Self {
        let two_rooms = |n: usize| vec![n % ROOMS, (n + 1 + n / ROOMS) % ROOMS];
        let rooms =
            (0..OF_TWO_ROOMS).map(two_rooms).chain((0..OF_ALL_ROOMS).map(|_| (0..ROOMS).collect()));
        let mut clients = Clients::new(address, false);
        clients.enter(STAYING, 2 * OF_TWO_ROOMS + OF_ALL_ROOMS, |n| match n {
            ..OF_TWO_ROOMS => {
                let [one, other] = [0, 1].map(|at| room(two_rooms(n)[at]));
                subscribe(&[&one, &other])
            }
            OF_TWO_ROOMS..FIRST_PUBLISHER => subscribe(&["room.*"]),
            _ => Vec::new(),
        });
        Self {
            address,
            clients,
            doomed: BTreeMap::new(),
            got: rooms.map(|rooms| (rooms, Counts::new())).collect(),
            sent: Counts::new(),
            random: seed,
            came: 0,
            killed: BTreeMap::new(),
            closed: BTreeMap::new(),
            deliveries: 0,
        }
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
                let data = format!("\"{}\"", "x".repeat(FLOOD_BYTES));
                assert!(self.clients.say(FIRST_PUBLISHER, &clients::publish(FLOOD, &data)));
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
        broker.wait_for_connections(STAYING as u64);
        let quiet = Instant::now() + Duration::from_millis(500);
        while Instant::now() < quiet {
            self.read(STEP);
        }
        self.compare();
    }

    /// The next message of a publisher that stays, to a room at random.
    fn publish(&mut self) {
        let publisher = FIRST_PUBLISHER + self.below(PUBLISHERS);
        let room = self.below(ROOMS);
        let frame = self.message(publisher, room);
        assert!(self.clients.say(publisher, &frame));
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
        let number = STAYING + self.came;
        self.came += 1;
        let at = Instant::now() + Duration::from_millis(self.below(LIFE_MS_MAX) as u64);
        let mut first = mute::REQUEST.to_vec();
        match fate {
            Fate::InRequest => first.truncate(1 + self.below(first.len() - 1)),
            Fate::Early => {
                let room = self.below(ROOMS);
                first.extend(subscribe(&["room.*"]));
                (0..3).for_each(|_| first.extend(self.message(number, room)));
            }
            _ => {}
        }
        let is_mute = matches!(fate, Fate::InRequest | Fate::InHandshake | Fate::Early);
        let from = self.below(mute::ADDRESSES);
        let socket = is_mute.then(|| mute::connect(from, self.address, &first));
        if socket.is_none() {
            self.clients.connect(number);
        }
        self.doomed.insert(number, Doomed { fate, at, socket });
    }

    /// What a client that is to be killed does once it is let in.
    fn begin(&mut self, number: usize) {
        let room_number = self.below(ROOMS);
        let Some(Doomed { fate, .. }) = self.doomed.get(&number) else { return };
        let frames = match fate {
            Fate::Reading => subscribe(&[&room(room_number), "room.*"]),
            Fate::NeverReading => {
                self.clients.neglect(number);
                subscribe(&[FLOOD])
            }
            Fate::InFrame | Fate::InFragments => {
                let count = 1 + self.below(20);
                (0..count).flat_map(|_| self.message(number, room_number)).collect()
            }
            Fate::Unmasked => vec![0x81, 0x02, b'{', b'}'],
            Fate::InRequest | Fate::InHandshake | Fate::Early => return,
        };
        self.clients.say(number, &frames);
    }

    /// Kills those whose time it is.
    fn kill(&mut self, is_time: impl Fn(Instant) -> bool) {
        let due = |(number, doomed): (&usize, &Doomed)| is_time(doomed.at).then_some(*number);
        let due: Vec<usize> = self.doomed.iter().filter_map(due).collect();
        for number in due {
            let Some(Doomed { fate, socket, .. }) = self.doomed.remove(&number) else { continue };
            let room = self.below(ROOMS);
            // Never finished, so it must never come.
            let text = message(number, room, u32::MAX as usize);
            let mut cut = Vec::new();
            match fate {
                Fate::InFrame => cut.extend_from_slice(&text[..=self.below(text.len() - 1)]),
                Fate::InFragments => {
                    put_masked(&mut cut, OpCode::Text, false, Swarm::KEY, b"{\"type\":");
                    cut[0] &= 0x7F; // Not the last.
                    cut.push(text[0]);
                }
                _ => {}
            }
            let how = [Leave::Reset, Leave::Silent][self.below(2)];
            if let Some(socket) = socket {
                let linger = (how == Leave::Reset).then_some(Duration::ZERO);
                socket.set_linger(linger).expect("a socket");
            } else {
                self.clients.say(number, &cut);
                self.clients.leave(number, how);
            }
            *self.killed.entry(fate).or_insert(0) += 1;
        }
    }

    /// Reads whoever has something to read.
    fn read(&mut self, at_most: Duration) {
        for (number, heard) in self.clients.wait(at_most) {
            match heard {
                Heard::Open => self.begin(number),
                Heard::Messages(first, count) => self.hear(number, first, count as usize),
                Heard::Subscribed => {}
                Heard::End(code) => {
                    *self.closed.entry(code).or_insert(0) += 1;
                    assert!(number >= STAYING, "{number} was cut");
                    self.doomed.remove(&number);
                }
            }
        }
    }

    /// Messages that came to somebody, checked where it is one of those who stay.
    fn hear(&mut self, number: usize, first: Stamp, count: usize) {
        let Some((rooms, got)) = self.got.get_mut(number) else { return };
        let of = (first.stream as usize / ROOMS, first.stream as usize % ROOMS);
        assert!(rooms.contains(&of.1), "client {number}: {first:?}");
        let next = got.entry(of).or_insert(0);
        assert_eq!(first.number as usize, *next, "client {number}: {first:?}");
        *next += count;
        assert!(*next <= self.sent[&of], "nobody published {first:?}");
        self.deliveries += count;
    }

    /// Whether all that was published by those who stay has come to all who want it.
    fn is_complete(&self) -> bool {
        self.got.iter().all(|(rooms, got)| {
            self.sent
                .iter()
                .filter(|((publisher, room), _)| *publisher < STAYING && rooms.contains(room))
                .all(|(key, count)| got.get(key) == Some(count))
        })
    }

    /// Of each publisher that was killed, everybody in a room got the same.
    fn compare(&self) {
        let mut common = Counts::new();
        for (key, count) in self.got.iter().flat_map(|(_, got)| got) {
            assert_eq!(common.entry(*key).or_insert(*count), count, "of {key:?}");
        }
        for (rooms, got) in &self.got {
            for key in common.keys().filter(|(_, room)| rooms.contains(room)) {
                assert!(got.contains_key(key), "of {key:?} somebody got nothing");
            }
        }
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
        random(&mut self.random, bound)
    }
}

fn room(number: usize) -> String {
    format!("room.{number}")
}

fn message(publisher: usize, room: usize, count: usize) -> Vec<u8> {
    let data = clients::stamped(publisher * ROOMS + room, count, 0);
    clients::publish(&self::room(room), &data)
}
